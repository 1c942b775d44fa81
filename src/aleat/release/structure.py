"""What every text of STIX says: names of properties and types, values of vocabularies, ids, times, paths of patterns.

In its own place such a word is the standard's, and no mention of a withheld object that is called so ("indicator",
"domain"). `told_strings` leaves out what is the standard's by its place, `without_forms` what is by its form.
Anywhere else (in free text, in a custom property, in a name) it counts, as a whole word.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

from aleat.stix.extensions import extension_names, extension_schema

__all__ = [
    "COARSENED",
    "MASK",
    "UUID",
    "is_structure",
    "is_word_of_standard",
    "says_nothing",
    "told_strings",
    "without_forms",
    "without_our_words",
]

MASK = "[withheld]"
"""What stands where something was taken out of a text of ours."""

COARSENED = "Where it was seen, as far as the agreement lets it be told."
"""The description of a victim that is told by its sectors."""

UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?Z")
_HEX = re.compile("[0-9a-f-]+")
_BLANK = "\u00ad"  # folding takes it out, so that no folded word has it


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    types: frozenset[str]
    properties: frozenset[str]
    times: frozenset[str]
    says_nothing: frozenset[str]
    vocabularies: dict[str, frozenset[str]]


class _Structure(msgspec.Struct, frozen=True):
    """The standard's and our own extensions' words; `places`: what a property's vocabulary has; `forms`: ids' parts."""

    types: frozenset[str]
    properties: frozenset[str]
    times: frozenset[str]
    says_nothing: frozenset[str]
    places: dict[str, frozenset[str]]
    words: frozenset[str]
    forms: str


@cache
def _structure() -> _Structure:
    data = files("aleat.release").joinpath("structure.toml").read_text("utf-8")
    table = msgspec.convert(tomllib.loads(data), _Table)
    properties, places = set(table.properties), {**dict.fromkeys(table.times, frozenset[str]()), **table.vocabularies}
    for name in extension_names():
        for property_, enumerated in _told_of(extension_schema(name)):
            properties.add(property_)
            if enumerated:
                places[property_] = places.get(property_, frozenset()) | enumerated
    words = {word.lower() for word in table.types.union(properties, *places.values(), {"stix"})}
    forms = "\n".join((*sorted(words), *(f"{type_}--" for type_ in sorted(table.types))))
    fixed = (table.types, frozenset(properties), table.times, table.says_nothing)
    return _Structure(*fixed, places, frozenset(words), forms)


def _told_of(schema: Any) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield the properties that a JSON schema names, each with the words that it may have."""
    if isinstance(schema, list):
        for item in schema:
            yield from _told_of(item)
    if not isinstance(schema, dict):
        return
    for key, item in schema.items():
        if key == "properties" and isinstance(item, dict):
            for name, told in item.items():
                enumerated = told.get("enum", ()) if isinstance(told, dict) else ()
                yield name, frozenset(word for word in enumerated if isinstance(word, str))
        yield from _told_of(item)


def says_nothing(word: str) -> bool:
    """Tell whether a folded word stands in any text."""
    return word in _structure().says_nothing


def told_strings(value: Any) -> list[str]:
    """Return the strings in a STIX object, keys too, but for what the standard puts into that place.

    >>> told_strings({"type": "malware", "name": "Quiet", "malware_types": ["wiper", "quiet kind"], "x_more": "type"})
    ['Quiet', 'quiet kind', 'x_more', 'type']
    """
    found: list[str] = []
    structure = _structure()
    if isinstance(value, dict) and value.get("type") == "identity" and _is_sectors(value, structure):
        value = {name: item for name, item in value.items() if name != "name"}
    _add(value, "", found, structure)
    return found


def _is_sectors(identity: dict[str, Any], structure: _Structure) -> bool:
    """Tell whether an identity is called by its sectors: a class of victims (`aleat.release.redact`)."""
    sectors = identity.get("sectors")
    if not isinstance(sectors, list) or not sectors:
        return False
    known = structure.places["sectors"]
    return all(isinstance(one, str) and one in known for one in sectors) and ", ".join(sectors) == identity.get("name")


def _add(value: Any, place: str, found: list[str], structure: _Structure) -> None:
    if isinstance(value, str):
        if place not in structure.places or not _is_in_place(place, value, structure):
            found.append(value)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key not in structure.properties:
                found.append(key)
            if isinstance(item, str):
                if key not in structure.places or not _is_in_place(key, item, structure):
                    found.append(item)
            elif isinstance(item, (dict, list)):
                _add(item, key, found, structure)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _add(item, place, found, structure)


def _is_in_place(place: str, value: str, structure: _Structure) -> bool:
    """Tell whether a value is one that the standard has for the property `place`."""
    if place in structure.times:
        return _TIME.fullmatch(value) is not None
    return value in structure.places[place]


def without_our_words(text: str) -> str:
    """Return a folded text of ours without the words that the gate itself puts there: they tell nothing.

    >>> "the [withheld]" in without_our_words("from the [withheld] on")
    False
    """
    return text.replace(MASK, _BLANK).replace(COARSENED.lower(), _BLANK)


def is_structure(word: str) -> bool:
    """Tell whether a folded word may be a part of an id, or is a word of the standard: where it stands decides."""
    return word in _structure().forms or "--" in word or _HEX.fullmatch(word) is not None


def is_word_of_standard(word: str) -> bool:
    """Tell whether a folded word is one of the standard's own."""
    return word in _structure().words


def without_forms(text: str) -> str:
    """Return a folded text without ids and without paths of STIX patterns."""
    return _ids_and_paths().sub(_BLANK, text)


@cache
def _ids_and_paths() -> re.Pattern[str]:
    types = "|".join(map(re.escape, sorted(_structure().types, key=len, reverse=True)))
    names = "|".join(re.escape(name.lower()) for name in sorted(_structure().properties, key=len, reverse=True))
    step = rf"(?:\.'?(?:{names})'?|\[(?:\*|\d{{1,9}})\])"
    path = rf"(?:{types}):'?(?:{names})'?{step}*(?=\s*+(?:[=<>!]|in\b|like\b|matches\b|issub|issup|not\b|\]))"
    return re.compile(rf"(?<![a-z0-9-])(?:(?:(?:{types})--)?{UUID}(?![a-z0-9])|{path})")
