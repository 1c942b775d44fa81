"""What an object can be looked up by: its values, names and aliases, as whoever asks for one would write it.

Taken are the texts of cyber observables (also those inside of observed data), the constants of STIX patterns, the names
and aliases of everything else, and the ids that others know it by (ATT&CK's, a CVE number). Case and white space at
the ends don't count. A value is kept as a hash of 8 bytes, so that an index of it is small: who finds one looks at
the object itself (`has_value`) before he believes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any

__all__ = ["has_value", "hash_value", "indexed_values", "value_hashes"]

_TEXTS = (
    "name",
    "value",
    "path",
    "key",
    "url",
    "user_id",
    "account_login",
    "subject",
    "message_id",
    "serial_number",
    "cpe",
    "command_line",
)
_LISTS = ("aliases", "x_mitre_aliases")
_CONSTANT = re.compile(r"'((?:[^'\\]|\\.)*+)'", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_MOST = 10_000  # values of one object


def indexed_values(properties: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the different values that the object with these properties can be looked up by, in their usual form.

    >>> indexed_values({"type": "indicator", "pattern_type": "stix", "pattern": "[url:value = 'http://A.example/']"})
    ('http://a.example/',)
    """
    found: dict[str, None] = {}
    for text in _texts(properties):
        usual = text.strip().casefold()
        if usual:
            found[usual] = None
            if len(found) == _MOST:
                break
    return tuple(found)


def value_hashes(properties: Mapping[str, Any]) -> list[int]:
    """Return the hashes (signed, 64 bits) of `indexed_values`."""
    return [hash_value(value) for value in indexed_values(properties)]


def hash_value(value: str) -> int:
    """Return the hash (signed, 64 bits) of one value, however it is written."""
    data = value.strip().casefold().encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "big", signed=True)


def has_value(properties: Mapping[str, Any], value: str) -> bool:
    """Tell whether the object with these properties can be looked up by `value`."""
    return value.strip().casefold() in indexed_values(properties)


def _texts(properties: Mapping[str, Any]) -> Iterator[str]:
    for name in _TEXTS:
        value = properties.get(name)
        if isinstance(value, str):
            yield value
    for name in _LISTS:
        yield from _strings(properties.get(name))
    if "pattern" in properties:
        yield from _constants(properties)
    for name, inner in (("hashes", "hashes"), ("external_references", "external_id"), ("objects", "")):
        if name in properties:
            yield from _inner(properties[name], inner)


def _constants(properties: Mapping[str, Any]) -> Iterator[str]:
    pattern = properties["pattern"]
    if isinstance(pattern, str) and properties.get("pattern_type", "stix") == "stix":
        for match in _CONSTANT.finditer(pattern):
            yield _ESCAPE.sub(r"\1", match[1]) if "\\" in match[1] else match[1]


def _inner(value: Any, kind: str) -> Iterator[str]:
    if kind == "hashes" and isinstance(value, dict):
        yield from _strings(list(value.values()))
    elif kind == "external_id" and isinstance(value, list):
        yield from _strings([one.get("external_id") for one in value if isinstance(one, dict)])
    elif not kind and isinstance(value, dict):  # observed data of STIX 2.0
        for one in value.values():
            if isinstance(one, dict) and "objects" not in one:
                yield from _texts(one)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for one in value:
            if isinstance(one, str):
                yield one
