"""Whose address a request is counted under: its peer's, or, where that is a proxy of ours, the one that it names.

A proxy adds the address that it was reached from at the end of ``X-Forwarded-For`` (or ``Forwarded``, RFC 7239), and
hands on what stood there before, which is the client's own word. So the list is read from its end, as long as those
that speak are trusted; what the first other one claims isn't looked at. Only the one header that the proxy is known
to write is read: the other would be the client's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from aleat.errors import InputError

__all__ = ["PROXY_HEADERS", "Proxies", "address_group", "read_proxies"]

PROXY_HEADERS = ("x-forwarded-for", "forwarded")

_MOST_HOPS = 32
_LONGEST = 4_096
_FOR = re.compile(r'(?:^|;)\s*for\s*=\s*(?:"([^"]*)"|([^;\s]*))', re.IGNORECASE)
_Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxies that are believed, and the header that they write."""

    networks: tuple[_Network, ...] = ()
    header: str = PROXY_HEADERS[0]

    def trusts(self, address: str) -> bool:
        """Tell whether `address` is one of the proxies."""
        found = _address(address)
        return found is not None and any(found in network for network in self.networks)

    def client(self, peer: str, headers: Sequence[tuple[bytes, bytes]]) -> str:
        """Return the address of who asks; `headers` as they came, `peer` the connection's other end.

        What the proxy names and can't be read as an address leaves the proxy's own.
        """
        if not self.trusts(peer):
            return peer
        said = b",".join(value for name, value in headers if name.lower() == self.header.encode())
        last = peer
        for hop in reversed(said[-_LONGEST:].decode("latin-1").split(",")[-_MOST_HOPS:]):
            named = _named(hop, self.header)
            if named is None:
                return last
            last = str(named)
            if not self.trusts(last):
                return last
        return last


def read_proxies(texts: Iterable[str], header: str = PROXY_HEADERS[0]) -> Proxies:
    """Return proxies from addresses and networks (``192.0.2.1``, ``2001:db8::/64``); raises `InputError`."""
    if header.lower() not in PROXY_HEADERS:
        raise InputError(f"No proxy header is called {header!r}.", advice=f"One of {', '.join(PROXY_HEADERS)}.")
    try:
        networks = tuple(ip_network(text.strip()) for text in texts)
    except ValueError as error:
        raise InputError(f"That is no address of a proxy: {error}.", advice="As 192.0.2.1 or 2001:db8::/64.") from None
    return Proxies(networks, header.lower())


def address_group(address: str) -> str:
    """Return what an address is counted as: an IPv6 host has a whole /64 to itself.

    >>> address_group("192.0.2.7"), address_group("2001:db8::7"), address_group("::ffff:192.0.2.7"), address_group("")
    ('192.0.2.7', '2001:db8::/64', '192.0.2.7', '')
    """
    found = _address(address)
    if isinstance(found, IPv6Address):
        return str(IPv6Network((int(found) >> 64 << 64, 64)))
    return str(found) if found is not None else address[:64]


def _named(hop: str, header: str) -> IPv4Address | IPv6Address | None:
    """Return the address in one part of the header; a port beside it is left out."""
    text = hop.strip()
    if header == "forwarded":
        match = _FOR.search(text)
        text = (match[1] or match[2] or "") if match else ""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    return _address(text)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found
