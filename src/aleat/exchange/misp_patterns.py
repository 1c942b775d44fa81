"""STIX patterns as what MISP has for them: values of which any is enough, or an object of values that go together.

A pattern is told as an object only if the object, read again, has that very pattern (`aleat.knowledge.misp.patterns`);
what is neither is told as it stands (``stix2-pattern``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aleat.knowledge.misp.mapping import written_objects, written_type
from aleat.knowledge.misp.patterns import object_pattern
from aleat.stix.ids import content_id

__all__ = ["WrittenObject", "alternatives", "inner_uuid", "joined_object"]

_TERM = re.compile(
    r"\s*([a-z0-9-]+:(?:[^\s=<>!'\[\]]|\[\*\])+(?:'[^']*'[^\s=<>!']*)*)\s*=\s*('(?:[^'\\]|\\.)*+'|[0-9]{1,15}+)\s*"
)
_BETWEEN = {word: re.compile(rf"{word}\b", re.IGNORECASE) for word in ("OR", "AND")}
_LONGEST = 20_000


@dataclass(frozen=True, slots=True)
class WrittenObject:
    """An object of MISP's to be: its template, and of each attribute what an attribute says."""

    name: str
    meta: str
    template: str
    version: str
    attributes: tuple[dict[str, Any], ...]


def alternatives(pattern: str) -> list[tuple[str, str]] | None:
    """Return (path, value) of a pattern that is one comparison, or several of which any is enough; else None."""
    found = _terms(pattern, "OR")
    if found is None or any(written_type(path) is None for path, _ in found):
        return None
    return [(path, _plain(constant)) for path, constant in found]


def joined_object(pattern: str) -> WrittenObject | None:
    """Return the object of MISP's that says a pattern of several comparisons that must all hold, or None."""
    terms = _terms(pattern, "AND")
    if terms is None or len(terms) < 2 or len({path for path, _ in terms}) < len(terms):
        return None
    for name, row in written_objects().items():
        paths: Mapping[str, list[str]] = row["paths"]
        if not all(path in paths for path, _ in terms):
            continue
        attributes = [
            {
                "object_relation": paths[path][0],
                "type": paths[path][1],
                "category": paths[path][2],
                "value": _plain(value),
            }
            for path, value in terms
        ]
        read = object_pattern(name, [{**one, "to_ids": True} for one in attributes]).pattern
        if sorted(_terms(read, "AND") or ()) == sorted(terms):
            return WrittenObject(name, row["meta"], row["uuid"], row["version"], tuple(attributes))
    return None


def inner_uuid(uuid: str, relation: str) -> str:
    """Return the UUID of an attribute of ours in the object `uuid`: of its relation, so that a new value takes it over.

    MISP keeps an object's attributes that a change doesn't mention; by their UUIDs those of ours are known.
    """
    return content_id("note", ["misp", "inner", uuid, relation]).rpartition("--")[2]


def _terms(pattern: str, between: str) -> list[tuple[str, str]] | None:
    """Return (path, constant as written) of the comparisons in one observation, joined by `between`; else None."""
    text = pattern.strip()
    if len(text) > _LONGEST or not text.startswith("[") or not text.endswith("]"):
        return None
    body, position, found = text[1:-1], 0, []
    while True:
        match = _TERM.match(body, position)
        if match is None:
            return None
        found.append((match[1], match[2]))
        position = match.end()
        if position == len(body):
            return found
        joint = _BETWEEN[between].match(body, position)
        if joint is None:
            return None
        position = joint.end()


def _plain(constant: str) -> str:
    """Return the value of a constant: text without its quotes, digits as they stand."""
    return re.sub(r"\\(.)", r"\1", constant[1:-1]) if constant[0] == "'" else constant
