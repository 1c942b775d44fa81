"""The keys under which list entries are kept, and under which observables look for them.

A key is a letter for its kind and a normalised text: ``4:`` and ``6:`` a network (its first address as a number,
and its prefix length), ``d:`` a domain, ``u:`` a
URL, ``e:`` and ``w:`` a domain and a URL alone, without what is below them, ``m:`` an e-mail address, ``h:`` a
hash, ``v:`` a CVE number, ``n:`` a file's name, ``p:`` a path, ``t:`` the end of a path, ``r:`` a registry key
and what is in it, ``x:`` a whole cell.
"""

from __future__ import annotations

import ipaddress
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from importlib import resources
from typing import Any

from aleat.hunt.indicator import ListEntry
from aleat.hunt.observables import normalise_domain, normalise_url, refang
from aleat.hunt.stix_views import STIX_TRANSFORMS
from aleat.text import composed

__all__ = [
    "candidate_keys",
    "entry_keys",
    "keys_digest",
    "meaningless_label",
    "meaningless_values",
    "network_keys",
    "registry_candidates",
    "too_wide",
]

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_KEYS = 3
"""To be raised with any change of what keys an entry has: what was prepared before is then made again."""

_HASH_LENGTHS = frozenset({32, 40, 56, 64, 96, 128})
_MAXIMUM_LABELS = 16
_MAXIMUM_SEGMENTS = 16


def entry_keys(entry: ListEntry) -> list[str]:
    """Return the keys under which an entry is found; none where its value can't be read as its type.

    >>> entry_keys(ListEntry("ipv4-addr", "198.51.100.0-198.51.100.2"))
    ['4:3325256704/31', '4:3325256706/32']
    """
    kind = entry.type.lower()
    value = refang(entry.value.strip())
    if "hashes" in kind:
        return _hash_keys(value)
    if kind.endswith(":exact"):
        return _exact_keys(kind, value)
    make = _KEYS_OF_TYPE.get(kind.partition(":")[0])
    return make(value) if make else [f"x:{composed(value).lower()}"] if value else []


def candidate_keys(kind: str, value: str, lengths: Mapping[str, Sequence[int]], tails: bool) -> Iterator[str]:
    """Yield every key that could name an address, a domain, a URL or a path (see `aleat.hunt.observables`).

    `lengths` are the prefix lengths of the networks to look for, by "4" and "6"; `tails` asks for the ends of
    paths too.
    """
    if kind in {"ipv4-addr", "ipv6-addr"}:
        family = "4" if kind == "ipv4-addr" else "6"
        yield from network_keys(family, int(ipaddress.ip_address(value)), lengths[family])
    elif kind == "domain-name":
        labels = value.split(".")[-_MAXIMUM_LABELS:]
        yield from (f"d:{'.'.join(labels[start:])}" for start in range(len(labels) - 1))
        yield f"e:{value}"
    elif kind == "url":
        yield from (f"u:{url}" for url in _url_beginnings(value))
        yield f"w:{value}"
    elif kind == "file:path":
        yield f"p:{value}"
        if tails:
            yield from (f"t:{tail}" for tail in _path_tails(value))


def _exact_keys(kind: str, value: str) -> list[str]:
    if kind == "url:exact":
        url = normalise_url(value)
        return [f"w:{url}"] if url else []
    name = normalise_domain(value)
    return [f"e:{name}"] if name else []


def _domain_keys(value: str) -> list[str]:
    name = normalise_domain(value.removeprefix("*").lstrip("."))
    return [f"d:{name}"] if name else _entry_network_keys(value)


def _url_keys(value: str) -> list[str]:
    url = normalise_url(value)
    return [f"u:{url}"] if url else []


def _mail_keys(value: str) -> list[str]:
    local, _, domain = value.lower().rpartition("@")
    name = normalise_domain(domain)
    return [f"m:{local}@{name}"] if name and local else []


def _registry_keys(value: str) -> list[str]:
    return [f"r:{key.lower()}" for key in STIX_TRANSFORMS["registry_key"](value.replace("/", "\\").rstrip("\\"), "")]


def registry_candidates(text: str) -> Iterator[str]:
    """Yield every key that could name a registry path: itself and what it lies in, with its hive's full names."""
    if text[:2].lower() == "hk" or text[:10].lower() == "\\registry\\":
        for key in STIX_TRANSFORMS["registry_key"](text, ""):
            path = key.lower()
            ends = [at for at, character in enumerate(path) if character == "\\"][2:][-_MAXIMUM_SEGMENTS:]
            yield from (f"r:{path[:end]}" for end in (*ends, len(path)))


def _mac_keys(value: str) -> list[str]:
    """Return the whole cells that a MAC address can be: with colons, hyphens, dots, nothing."""
    digits = "".join(character for character in value.lower() if character in "0123456789abcdef")
    if len(digits) != 12:
        return []
    pairs = [digits[at : at + 2] for at in range(0, 12, 2)]
    fours = [digits[at : at + 4] for at in range(0, 12, 4)]
    return [f"x:{text}" for text in (":".join(pairs), "-".join(pairs), ".".join(fours), digits)]


def _file_or_hash_keys(value: str) -> list[str]:
    return _hash_keys(value) or _file_keys(value)


def _entry_network_keys(value: str) -> list[str]:
    first, dash, last = value.partition("-")
    try:
        networks: list[_Network] = (
            list(
                ipaddress.summarize_address_range(
                    ipaddress.ip_address(first.strip()), ipaddress.ip_address(last.strip())
                )
            )
            if dash
            else [ipaddress.ip_network(value.strip("[]"), strict=False)]
        )
    except (ValueError, TypeError):
        return []
    return [f"{network.version}:{int(network.network_address)}/{network.prefixlen}" for network in networks]


def _hash_keys(value: str) -> list[str]:
    text = value.lower().rpartition("=")[2].strip()
    return [f"h:{text}"] if len(text) in _HASH_LENGTHS and not set(text) - set("0123456789abcdef") else []


def _file_keys(value: str) -> list[str]:
    path = "/".join(part for part in value.strip().strip("\"'").lower().replace("\\", "/").split("/") if part)
    if value[:1] in "\\/" and path:
        path = f"/{path}"
    if not path:
        return []
    if "/" not in path:
        return [f"n:{path}"]
    variable, slash, rest = path.partition("/")
    if variable.startswith("%"):
        folder = _values()["variables"].get(variable)
        return [f"t:{folder}{slash}{rest}"] if folder else [f"t:/{rest}"] if "/" in rest else [f"n:{rest}"]
    return [f"p:{path}"]


def network_keys(family: str, number: int, lengths: Sequence[int]) -> Iterator[str]:
    """Yield the keys of the networks of these prefix lengths that an address of `family` ("4" or "6") lies in."""
    bits = 32 if family == "4" else 128
    for length in lengths:
        rest = bits - length
        yield f"{family}:{number >> rest << rest}/{length}"


def _url_beginnings(url: str) -> Iterator[str]:
    """Yield a normalised URL, and each beginning of it that ends where a part of a URL may end."""
    yield url
    path, query, _ = url.partition("?")
    if query:
        yield path
    ends = [at for at, character in enumerate(path) if character in "/;"][1:][-_MAXIMUM_SEGMENTS:]
    for end in ends:
        yield path[:end]
        yield path[: end + 1]


def _path_tails(path: str) -> Iterator[str]:
    starts = [at for at, character in enumerate(path) if character == "/"][-_MAXIMUM_SEGMENTS:]
    yield from (path[start:] for start in starts)


def _text() -> str:
    return resources.files("aleat.hunt").joinpath("data/list_values.toml").read_text("utf-8")


@lru_cache(maxsize=1)
def _values() -> dict[str, Any]:
    return tomllib.loads(_text())


@lru_cache(maxsize=1)
def _meaningless() -> dict[str, str]:
    """Return the keys that mean nothing, each with its label (networks under their own key)."""
    table = _values()
    labels: dict[str, str] = {}
    for group, letter in (("hashes", "h"), ("names", "n"), ("domains", "d")):
        for row in table[group]:
            labels.update({f"{letter}:{value}": row["label"] for value in row["values"]})
    for row in table["networks"]:
        for value in row["values"]:
            labels.update(dict.fromkeys(_entry_network_keys(value), row["label"]))
    return labels


@lru_cache(maxsize=1)
def _meaningless_lengths() -> dict[str, tuple[int, ...]]:
    keys = [key for key in _meaningless() if key[0] in "46"]
    return {family: tuple(sorted({int(key.rpartition("/")[2]) for key in keys if key[0] == family})) for family in "46"}


def too_wide(keys: Sequence[str]) -> bool:
    """Return whether one of an entry's keys is of a network wider than any owner's: it would hit everywhere."""
    widest = _values()["widest"]
    return any(
        int(key.rpartition("/")[2]) < widest["ipv4-addr" if key[0] == "4" else "ipv6-addr"]
        for key in keys
        if key[0] in "46"
    )


def meaningless_label(keys: Sequence[str]) -> str | None:
    """Return why an entry with these keys means nothing ("private address"), else None."""
    labels = _meaningless()
    for key in keys:
        if key[0] in "46":
            number, _, length = key[2:].rpartition("/")
            lengths = [known for known in _meaningless_lengths()[key[0]] if known <= int(length)]
            for parent in network_keys(key[0], int(number), lengths):
                if parent in labels:
                    return labels[parent]
        elif key in labels:
            return labels[key]
    return None


@lru_cache(maxsize=1)
def meaningless_values() -> frozenset[str]:
    """Return the single values that mean nothing, in lower case: a quick look before `meaningless_label`."""
    table = _values()
    rows = [row for group in ("hashes", "names", "domains", "networks") for row in table[group]]
    values = (str(value).lower() for row in rows for value in row["values"])
    return frozenset(value.removesuffix("/32").removesuffix("/128") for value in values)


def keys_digest() -> str:
    """Return the SHA-256 (hex) of what decides about keys: this file's rules by their number, and the table."""
    return sha256(f"{_KEYS}\n{_text()}".encode()).hexdigest()


# STIX object types first, then the names that lists use for the same things.
_KEYS_OF_TYPE: dict[str, Callable[[str], list[str]]] = {
    "ipv4-addr": _entry_network_keys,
    "ipv6-addr": _entry_network_keys,
    "domain-name": _domain_keys,
    "url": _url_keys,
    "email-addr": _mail_keys,
    "file": _file_or_hash_keys,
    "directory": _file_keys,
    "windows-registry-key": _registry_keys,
    "vulnerability": lambda value: [f"v:{value.lower()}"],
    "mac-addr": _mac_keys,
    "ip": _entry_network_keys,
    "domain": _domain_keys,
    "hostname": _domain_keys,
    "email": _mail_keys,
    "filename": _file_keys,
    "path": _file_keys,
    "hash": _hash_keys,
    "md5": _hash_keys,
    "sha1": _hash_keys,
    "sha256": _hash_keys,
    "sha512": _hash_keys,
}
