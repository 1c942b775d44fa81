"""What an object can be looked up by: its values, names and aliases, as whoever asks for one would write it.

Taken are the texts of cyber observables (also those inside of observed data), the constants of STIX patterns, the names
and aliases of everything else, and the ids that others know it by (ATT&CK's, a CVE number). Case and white space at
the ends don't count. A value is kept as a hash of 8 bytes, so that an index of it is small: who finds one looks at
the object itself (`has_value`) before he believes it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import blake2b
from struct import Struct
from typing import Any

__all__ = ["has_value", "hash_value", "indexed_values", "value_hashes"]

_TEXTS = frozenset(
    """
    name value path key url user_id account_login subject message_id serial_number cpe command_line
    """.split()  # noqa: SIM905
)
_OTHERS = frozenset({"aliases", "x_mitre_aliases", "pattern", "hashes", "external_references", "objects"})
_KEYS = _TEXTS | _OTHERS
_CONSTANT = re.compile(r"'((?:[^'\\]|\\.)*+)'", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_MOST = 10_000  # values of one object
_signed = Struct(">q").unpack


def indexed_values(properties: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the different values that the object with these properties can be looked up by, in their usual form.

    >>> indexed_values({"type": "indicator", "pattern_type": "stix", "pattern": "[url:value = 'http://A.example/']"})
    ('http://a.example/',)
    """
    texts = _texts(properties)
    found = dict.fromkeys([usual for text in texts if (usual := text.strip().casefold())])
    return tuple(found) if len(found) <= _MOST else tuple(found)[:_MOST]


def value_hashes(properties: Mapping[str, Any]) -> list[int]:
    """Return the hashes (signed, 64 bits) of `indexed_values`."""
    return [_hash(value) for value in indexed_values(properties)]


def hash_value(value: str) -> int:
    """Return the hash (signed, 64 bits) of one value, however it is written."""
    return _hash(value.strip().casefold())


def has_value(properties: Mapping[str, Any], value: str) -> bool:
    """Tell whether the object with these properties can be looked up by `value`."""
    return value.strip().casefold() in indexed_values(properties)


def _hash(usual: str) -> int:
    number: int
    (number,) = _signed(blake2b(usual.encode("utf-8", "surrogatepass"), digest_size=8).digest())
    return number


def _texts(properties: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    for name in sorted([name for name in properties if name in _KEYS]):
        value = properties[name]
        if name in _TEXTS:
            if isinstance(value, str):
                found.append(value)
        elif name == "pattern":
            if isinstance(value, str) and properties.get("pattern_type", "stix") == "stix":
                found += _constants(value)
        else:
            found += _inner(name, value)
    return found


def _constants(pattern: str) -> list[str]:
    found = _CONSTANT.findall(pattern)
    return found if "\\" not in pattern else [_ESCAPE.sub(r"\1", text) for text in found]


def _inner(name: str, value: Any) -> list[str]:
    if name == "hashes":
        return _strings(list(value.values())) if isinstance(value, dict) else []
    if name == "external_references":
        return _strings([one.get("external_id") for one in value if isinstance(one, dict)] if _is_list(value) else [])
    if name == "objects":  # observed data of STIX 2.0
        inner = value.values() if isinstance(value, dict) else ()
        return [text for one in inner if isinstance(one, dict) and "objects" not in one for text in _texts(one)]
    return _strings(value)


def _strings(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if _is_list(value) else []


def _is_list(value: Any) -> bool:
    return isinstance(value, list)
