"""What one event says: who acted, which addresses, hashes and names it holds, what it put in place or took away.

Field names are the source's own (Windows, Sysmon, IIS); they are compared as written. Values are normalised
only to compare them, never to show them.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

import msgspec

from aleat.case.records import Account
from aleat.hunt.indicator import Sighting

__all__ = [
    "Key",
    "accounts_of",
    "basename",
    "field_keys",
    "is_public_address",
    "make_account",
    "matched_keys",
    "persistence_value",
    "text_of",
]


class Key(msgspec.Struct, frozen=True, order=True):
    """Something that two sightings can share: kind ("account", "indicator", "tool", "infrastructure", "artefact")."""

    kind: str
    value: str


_LOGON_EVENTS = frozenset({"4624", "4625", "4648", "4672", "4768", "4769", "4771", "4776", "4778", "4779"})
_MADE_ACCOUNT_EVENTS = frozenset({"4720", "4722"})
_NOBODY = frozenset(
    {
        "",
        "-",
        "system",
        "local service",
        "network service",
        "anonymous logon",
        "localsystem",
        "iusr",
        "nt authority",
        "n/a",
        "defaultaccount",
        "trustedinstaller",
        "everyone",
        "none",
        "null",
    }
)
_SERVICE_DOMAINS = frozenset(
    {"nt authority", "iis apppool", "nt service", "window manager", "font driver host", "autorite nt"}
)
_ADDRESS_FIELDS = (
    "IpAddress",
    "SourceIp",
    "DestinationIp",
    "c-ip",
    "client_ip",
    "SourceAddress",
    "DestAddress",
    "SourceNetworkAddress",
    "ClientAddress",
    "RemoteAddress",
    "remote_host",
    "host",
)
_NAME_FIELDS = ("QueryName", "DestinationHostname")
_HASH_FIELDS = ("Hashes", "Hash", "SHA256", "sha256", "FileHash")
_ARTEFACT_FIELDS = (
    "ServiceName",
    "TaskName",
    "TargetFilename",
    "ServiceFileName",
    "ImagePath",
    "PipeName",
    "TargetObject",
)
_LONGEST = 8192
"""Characters of one value that are looked at."""
_SYSTEM_FOLDERS = ("\\windows\\system32\\", "\\windows\\syswow64\\", "\\windows\\winsxs\\", "\\program files")
_COMMON_FOLDERS = ("\\windows\\", "\\program files", "\\programdata\\microsoft\\")
_HASH = re.compile(r"(?:SHA256|SHA1|MD5)=([0-9A-Fa-f]{32,64})|\b([0-9A-Fa-f]{64}|[0-9A-Fa-f]{40}|[0-9A-Fa-f]{32})\b")
_HASH_TEXT = re.compile(r"[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}")
_DOMAIN = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63}){1,8}")
# RFC 1918, RFC 6598 (shared), RFC 1122 ("this network"), RFC 919 (broadcast, reserved), RFC 4193
_INSIDE = tuple(
    ipaddress.ip_network(text)
    for text in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "0.0.0.0/8",
        "240.0.0.0/4",
        "fc00::/7",
    )
)
_NUMBERS = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9]{4,}")


def text_of(sighting: Sighting, *names: str) -> str:
    """Return the first of the named fields that holds something, as text (its first 8,192 characters)."""
    for name in names:
        value = sighting.fields.get(name)
        if isinstance(value, (str, int, float)) and value not in {"", "-"}:
            return str(value)[:_LONGEST]
    return ""


def accounts_of(sighting: Sighting) -> tuple[Account, ...]:
    """Return the accounts that act in an event (and those that it creates), without machines and services."""
    found: dict[Account, None] = {}
    pairs: list[tuple[str, str]] = []
    if sighting.event_id in _LOGON_EVENTS | _MADE_ACCOUNT_EVENTS:
        pairs.append((text_of(sighting, "TargetUserName"), text_of(sighting, "TargetDomainName")))
    pairs.append((text_of(sighting, "SubjectUserName"), text_of(sighting, "SubjectDomainName")))
    for name in ("User", "UserName", "SourceUser", "cs-username", "AccountName", "user"):
        pairs.append((text_of(sighting, name), ""))
    if sighting.event_id == "1074":
        pairs.append((text_of(sighting, "param7"), ""))
    for name, domain in pairs:
        account = make_account(name, domain)
        if account is not None:
            found.setdefault(account)
    return tuple(found)


@lru_cache(maxsize=65536)
def make_account(name: str, domain: str = "") -> Account | None:
    """Return the account that a text names (``DOMAIN\\name``, ``name@domain``, ``name``), or None for nobody's."""
    name = name.strip()
    if "\\" in name:
        domain, _, name = name.rpartition("\\")
    elif "@" in name:
        name, _, domain = name.partition("@")
    folded = name.casefold()
    if folded in _NOBODY or name.endswith("$") or domain.casefold() in _SERVICE_DOMAINS:
        return None
    if folded.startswith(("dwm-", "umfd-", "s-1-5-")) or len(name) > 256:
        return None
    return Account(name, "" if domain == "-" else domain)


@lru_cache(maxsize=65536)
def is_public_address(text: str) -> bool:
    """Say whether a text is an address of the internet: not private, local, shared, multicast or unspecified.

    Documentation ranges (RFC 5737, RFC 3849) count as such: simulations use them for the internet.
    """
    try:
        address = ipaddress.ip_address(text.strip().removeprefix("::ffff:"))
    except ValueError:
        return False
    if address.is_multicast or address.is_loopback or address.is_link_local or address.is_unspecified:
        return False
    return not any(address.version == network.version and address in network for network in _INSIDE)


def basename(path: str) -> str:
    """Return the last part of a Windows, POSIX or URL path, case folded."""
    return path.strip().strip('"').replace("/", "\\").rstrip("\\").rpartition("\\")[2].casefold()


def matched_keys(sighting: Sighting) -> tuple[Key, ...]:
    """Return the keys that a sighting's own indicator asked for: the indicator, and the exact values it matched."""
    found = {Key("indicator", sighting.indicator): None}
    for _field, text in sighting.matched:
        key = _value_key(text)
        if key is not None:
            found.setdefault(key)
    return tuple(found)


@lru_cache(maxsize=65536)
def _value_key(text: str) -> Key | None:
    value = text.strip().casefold()
    if is_public_address(value):
        return Key("infrastructure", value)
    if _HASH_TEXT.fullmatch(value):
        return Key("tool", value)
    return None


def field_keys(sighting: Sighting) -> tuple[Key, ...]:
    """Return what an event holds that another could share: accounts, public addresses, hashes, names of artefacts."""
    found: dict[Key, None] = {}
    for account in accounts_of(sighting):
        found.setdefault(Key("account", account.name.casefold()))
    for name in _ADDRESS_FIELDS:
        value = sighting.fields.get(name)
        if isinstance(value, str) and is_public_address(value):
            found.setdefault(Key("infrastructure", value.strip().removeprefix("::ffff:")))
    for name in _NAME_FIELDS:
        value = sighting.fields.get(name)
        if isinstance(value, str) and len(value) < 254 and _DOMAIN.fullmatch(value.casefold()):
            found.setdefault(Key("infrastructure", value.casefold()))
    program = text_of(sighting, "Image", "ImageLoaded").casefold()
    own = not any(folder in program for folder in _SYSTEM_FOLDERS)  # Windows's own programs tie nobody to anybody
    for name in _HASH_FIELDS:
        value = sighting.fields.get(name)
        if own and isinstance(value, str):
            found.update(dict.fromkeys(_hashes(value[:1024])))
    for name in _ARTEFACT_FIELDS:
        value = sighting.fields.get(name)
        if isinstance(value, str):
            artefact = _artefact(value[:1024])
            if artefact is not None:
                found.setdefault(artefact)
    if sighting.format in {"iis", "access"}:
        stem = text_of(sighting, "cs-uri-stem", "path")
        if stem.casefold().endswith((".aspx", ".ashx", ".asmx", ".asp", ".jsp", ".jspx", ".php")):
            found.setdefault(Key("artefact", basename(stem)))
    return tuple(found)


@lru_cache(maxsize=16384)
def _hashes(text: str) -> tuple[Key, ...]:
    values = [(first or second).casefold() for first, second in _HASH.findall(text)]
    longest = max((len(value) for value in values), default=0)
    return tuple(Key("tool", value) for value in values if len(value) == longest)


@lru_cache(maxsize=16384)
def _artefact(value: str) -> Key | None:
    folded = value.casefold()
    if any(folder in folded for folder in _COMMON_FOLDERS) and not folded.endswith((".aspx", ".ashx", ".asmx")):
        return None
    name = basename(value.partition(" ")[0] if folded.partition(" ")[0].endswith(".exe") else value)
    if len(name) < 4 or _NUMBERS.search(name):
        return None
    return Key("artefact", name)


_PERSISTENCE_FIELDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    # what is put in place → the fields that name it, most telling first
    ("service", ("ServiceName", "param1")),
    ("task", ("TaskName",)),
    ("run-key", ("TargetObject",)),
    ("wmi", ("Name", "Consumer", "Filter", "ESS", "CONSUMER")),
    ("web-script", ("TargetFilename", "cs-uri-stem", "path")),
    ("startup", ("TargetFilename",)),
    ("file", ("TargetFilename",)),
)


def persistence_value(sighting: Sighting, kind: str) -> str:
    """Return the name of what an event of persistence kind `kind` puts in place or takes away."""
    for name, fields in _PERSISTENCE_FIELDS:
        if name == kind:
            return text_of(sighting, *fields)
    return ""
