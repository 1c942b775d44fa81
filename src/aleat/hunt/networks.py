"""IP addresses and networks as integers, so that a test against many networks costs one look-up a prefix length.

IPv4-mapped IPv6 addresses (``::ffff:a.b.c.d``) are the IPv4 address that they carry; zone ids are dropped.
Python's `ipaddress` parses: it refuses octets with leading zeros, which mean different addresses to different
programs.
"""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

__all__ = ["IpRange", "NetworkTable", "parse_network"]

_LONGEST_TEXT = 128
_MAPPED = 0xFFFF << 32
_MAPPED_BITS = 96


class IpRange(NamedTuple):
    """A network: IP version (4 or 6), its first address as an integer, and its prefix length."""

    version: int
    first: int
    prefixlen: int

    @property
    def max_prefixlen(self) -> int:
        """The number of bits of an address."""
        return 32 if self.version == 4 else 128


def parse_network(text: str) -> IpRange | None:
    """Return the address or network that `text` is, or None. Host bits are dropped.

    >>> parse_network("::ffff:10.1.2.3%eth0")
    IpRange(version=4, first=167838211, prefixlen=32)
    """
    if len(text) > _LONGEST_TEXT or not text or text[0] not in "0123456789abcdefABCDEF:[":
        return None
    address, slash, prefix = text.partition("/")
    if address.startswith("["):
        address = address.removeprefix("[").removesuffix("]")
    address = address.partition("%")[0]
    try:
        parsed = ipaddress.ip_address(address)
        if slash:
            network = ipaddress.ip_network(f"{address}/{prefix}", strict=False)
            length = network.prefixlen
        else:
            length = parsed.max_prefixlen
    except ValueError:
        return None
    first, version, bits = int(parsed), parsed.version, parsed.max_prefixlen
    if version == 6 and length >= _MAPPED_BITS and first >> 32 == 0xFFFF:
        first, version, bits, length = first - _MAPPED, 4, 32, length - _MAPPED_BITS
    return IpRange(version, first >> (bits - length) << (bits - length), length)


class NetworkTable:
    """Networks with numbers, looked up by an address that lies within them, or by a network that covers them."""

    def __init__(self) -> None:
        self._within: dict[tuple[int, int], dict[int, list[int]]] = {}
        self._covers: list[tuple[IpRange, int]] = []

    def __bool__(self) -> bool:
        return bool(self._within or self._covers)

    def add(self, network: IpRange, number: int, *, covers: bool = False) -> None:
        """Add a network under `number`; `covers`: a text fits that is a network around it."""
        if covers:
            self._covers.append((network, number))
        else:
            table = self._within.setdefault((network.version, network.prefixlen), {})
            table.setdefault(network.first, []).append(number)

    def find(self, text: str) -> list[int]:
        """Return the numbers of the networks that `text` lies within or covers."""
        value = parse_network(text)
        if value is None:
            return []
        bits = 32 if value.version == 4 else 128
        found: list[int] = []
        for (version, prefix), table in self._within.items():
            if version == value.version and prefix <= value.prefixlen:
                found += table.get(value.first >> (bits - prefix) << (bits - prefix), ())
        for network, number in self._covers:
            if network.version == value.version and value.prefixlen <= network.prefixlen:
                shift = bits - value.prefixlen
                if network.first >> shift == value.first >> shift:
                    found.append(number)
        return found
