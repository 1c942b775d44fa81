"""Lists that a rule of Suricata names: hashes of files, data sets of names and addresses, kept beside the rules.

``filemd5:bad.txt`` (and `filesha1`, `filesha256`) means one hash a line; ``dataset:isset,name,type T,load bad.lst`` one
value a line, of type string (in base64), md5, sha256, ip, ipv4 or ipv6. Each becomes a list like any other. What is
negated, isn't there, or whose field no log keeps, is named.

Source: Suricata User Guide, "File Keywords" and "Datasets".
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections import Counter
from collections.abc import Callable, Iterator

import pyarrow as pa

from aleat.errors import InputError, Issue, Place
from aleat.knowledge.document import Document
from aleat.knowledge.limits import Limits
from aleat.knowledge.network_rules import NetworkRule, Option, language_facts, unquoted
from aleat.knowledge.readers.lists import make_list_indicator
from aleat.knowledge.text import decode_text
from aleat.stix.entries import ENTRY_SCHEMA
from aleat.stix.objects import StixObject

__all__ = ["rule_lists"]

_HASHES = {"filemd5": 32, "filesha1": 40, "filesha256": 64}
_DATASET_HASHES = {"md5": 32, "sha256": 64}
_STAGE = "knowledge"


def rule_lists(rule: NetworkRule, document: Document, limits: Limits) -> Iterator[tuple[StixObject, pa.Table] | Issue]:
    """Yield the lists that a rule names, each as an indicator with its rows, and an issue for what can't be used."""
    place = Place(document.path, rule.line)
    domain = False
    for option in rule.options:
        domain = _is_domain_buffer(option.name, domain)
        found = _named(option, domain=domain)
        if found is None:
            continue
        path, type_, convert = found
        try:
            data = document.sibling(path)
        except InputError as error:
            yield Issue(
                _STAGE, "rule-list", place, f"A list that the rule names can't be read: {error.reason}", error.advice
            )
            continue
        if data is None:
            reason = "The rule names a list that is not beside it."
            yield Issue(_STAGE, "rule-list", place, reason, "Give the folder that has both.")
            continue
        if len(data) > limits.list_bytes:
            yield Issue(
                _STAGE, "limit", place, f"The rule's list is larger than {limits.list_bytes} bytes (list_bytes)."
            )
            continue
        entries, faults = _entries(decode_text(data)[0], type_, convert)
        if faults:
            reason = f"{faults} lines of a list that the rule names are no values of its type."
            yield Issue(_STAGE, "list-value", place, reason, records=faults)
        if entries.num_rows:
            yield make_list_indicator(path.rpartition("/")[2], entries), entries


def _is_domain_buffer(name: str, before: bool) -> bool:
    """Say whether a name is looked at from here on."""
    for row in language_facts()["buffers"]:
        if name in row.get("sticky", ()):
            return bool(row["kind"] == "domain")
    return before


def _named(option: Option, *, domain: bool) -> tuple[str, str, Callable[[str], str]] | None:
    """Return the file that an option names, the type of its values, and what reads one ("" for none)."""
    if option.name in _HASHES and not option.value.strip().startswith("!"):
        return unquoted(option.value).strip(), "file:hashes", lambda text: _hash(text, _HASHES[option.name])
    if option.name != "dataset":
        return None
    words = [part.strip() for part in option.value.split(",")]
    named = {pair[0]: pair[1] for part in words if len(pair := part.split(None, 1)) == 2}
    path, kind = named.get("load") or named.get("state"), named.get("type", "")
    if words[0] != "isset" or not path:
        return None
    if kind in _DATASET_HASHES:
        return path, "file:hashes", lambda text: _hash(text, _DATASET_HASHES[kind])
    if kind in ("ip", "ipv4", "ipv6"):
        return path, "ipv4-addr", _address
    return (path, "domain-name", _encoded) if kind == "string" and domain else None


def _hash(line: str, length: int) -> str:
    text = line.split(None, 1)[0].split(",", 1)[0].lower()
    return text if len(text) == length and not set(text) - set("0123456789abcdef") else ""


def _address(line: str) -> str:
    try:
        address = ipaddress.ip_address(line.split(",", 1)[0].strip())
    except ValueError:
        return ""
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def _encoded(line: str) -> str:
    try:
        text = base64.b64decode(line.split(",", 1)[0].strip(), validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return ""
    text = text.lower().strip(".")
    return text if text.isprintable() and "." in text and " " not in text else ""


def _entries(text: str, type_: str, convert: Callable[[str], str]) -> tuple[pa.Table, int]:
    """Return the rows of a list, and how many of its lines are no values."""
    first: dict[str, int] = {}
    counts: Counter[str] = Counter()
    faults = 0
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        value = convert(line.strip())
        if not value:
            faults += 1
            continue
        first.setdefault(value, number)
        counts[value] += 1
    types = ["ipv6-addr" if type_ == "ipv4-addr" and ":" in value else type_ for value in first]
    columns = [
        pa.array(types, pa.string()).dictionary_encode(),
        pa.array(list(first), pa.string()),
        pa.array([""] * len(first), pa.string()),
        pa.array(list(first.values()), pa.int64()),
        pa.array([counts[value] for value in first], pa.int64()),
    ]
    return pa.table(columns, names=ENTRY_SCHEMA.names).cast(ENTRY_SCHEMA), faults
