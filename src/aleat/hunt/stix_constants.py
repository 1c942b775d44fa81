"""The constants of STIX 2.1 patterns (§9.2): what their literals mean, and which of them can't be."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from datetime import datetime
from math import isfinite

import msgspec

from aleat.errors import ObjectError, PatternError
from aleat.hunt.networks import IpRange
from aleat.stix.times import parse_timestamp

__all__ = [
    "Constant",
    "Moment",
    "address_range",
    "check_constants",
    "parse_moment",
    "read_constant",
    "read_number",
    "read_timestamp",
    "unescape",
]

LARGEST_INTEGER = 2**53 - 1
"""STIX 2.1 §2.10."""

_ADDRESS = re.compile(r"[0-9A-Fa-f:.]{2,45}(?:/[0-9]{1,3})?", re.ASCII)


class Moment(msgspec.Struct, frozen=True, order=True):
    """A timestamp in its own precision: `finer` are the digits after the microsecond's, without zeros at the end."""

    time: datetime
    finer: str = ""


Constant = str | int | float | bool | bytes | Moment


def parse_moment(text: str) -> Moment:
    """Return the moment of a STIX timestamp; raises `ObjectError` where it is none.

    >>> parse_moment("2022-07-15T00:00:00.00000010Z").finer
    '1'
    """
    time = parse_timestamp(text)
    return Moment(time, text.partition(".")[2][6:-1].rstrip("0"))


def address_range(text: str) -> IpRange | None:
    """Return what the `value` of an ipv4-addr or ipv6-addr means (§6.8, §6.9): an address or a CIDR; None: neither.

    Host bits are dropped. Nothing is IPv4 that is written as IPv6.

    >>> address_range("10.2.4.5/24")
    IpRange(version=4, first=167904256, prefixlen=24)
    """
    if not _ADDRESS.fullmatch(text):
        return None
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
    return IpRange(network.version, int(network.network_address), network.prefixlen)


def read_constant(text: str) -> Constant:
    """Return the value of a literal; raises `PatternError` where it has none."""
    if text.startswith("'"):
        return unescape(text[1:-1])
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    if text[:2] == "t'":
        return read_timestamp(text)
    try:
        if text[:2] == "h'":
            return bytes.fromhex(text[2:-1])
        if text[:2] == "b'":
            return base64.b64decode(text[2:-1], validate=True)
    except (ValueError, binascii.Error) as error:
        raise PatternError("No STIX pattern: a constant can't be read (§9.2).") from error
    return read_number(text)


def read_number(text: str) -> int | float:
    """Return a number; raises where it is out of the range that STIX gives it (§2.6, §2.10)."""
    if "." in text and isfinite(value := float(text)):
        return value
    if "." not in text and len(text.lstrip("-0")) <= len(str(LARGEST_INTEGER)):
        number = int(text)
        if abs(number) <= LARGEST_INTEGER:
            return number
    raise PatternError("No STIX pattern: a number is out of range (§9.2, §2.6, §2.10).")


def read_timestamp(text: str) -> Moment:
    """Return the moment of a literal, ``t'…'``."""
    try:
        return parse_moment(text[2:-1])
    except ObjectError as error:
        raise PatternError("No STIX pattern: a timestamp can't be read (§9.2).") from error


def unescape(text: str) -> str:
    """Return what is between the apostrophes of a literal, without its escapes."""
    out = []
    characters = iter(text)
    for character in characters:
        out.append(next(characters, "") if character == "\\" else character)
    return "".join(out)


def check_constants(operator: str, values: tuple[Constant, ...]) -> None:
    """Raise where the constants can't stand after an operator."""
    if operator == "IN" and len({float if type(value) is int else type(value) for value in values}) > 1:
        raise PatternError("No STIX pattern: the constants of IN are of several types (§9.6.1).")
    if operator in {"ISSUBSET", "ISSUPERSET"} and address_range(str(values[0])) is None:
        raise PatternError(f"No STIX pattern: {operator} needs an address or a network (§9.6.1).")
