"""Where STIX object paths are in events: the ``[[stix]]`` tables of the formats' files (`aleat.formats`), read once.

An event tells of several *objects* (a connection, its two addresses, the program that made it). A comparison
holds of one of them, and comparisons joined by AND of the same one (STIX 2.1 §9.5): hence the map is by object,
not by path. `data/stix_groups.toml` says how a table is written, and has the groups of properties.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from hashlib import sha256
from importlib import resources
from typing import Any

import msgspec

from aleat.formats import all_formats, part_digest, stated_key
from aleat.hunt.expression import Atom, Expression, Fact, Field, Joined, Subject, Text, View, all_of, any_of
from aleat.hunt.stix_syntax import ObjectPath

__all__ = ["EventObject", "MappedField", "event_objects", "mapping_digest", "path_key"]

_USE = re.compile(r"(\w+)\(((?:[^()]|\([^()]*\))*)\)")
"""``group(field)``; a field's name may have blanks and brackets of its own."""
_RESERVED = frozenset({"type", "channel", "events"})
_HASH_NAMES = {"SHA1": "SHA-1", "SHA256": "SHA-256", "SHA512": "SHA-512", "SHA384": "SHA-384", "SHA224": "SHA-224"}


class MappedField(msgspec.Struct, frozen=True):
    """Where a property is: the subject to test, and how it compares (see the data file's head)."""

    subject: Subject
    kind: str


class EventObject(msgspec.Struct, frozen=True):
    """One object that some events tell of: `gate` says which events, `properties` where its properties are."""

    type: str
    format: str
    gate: Expression
    properties: dict[str, tuple[MappedField, ...]]


def event_objects() -> tuple[EventObject, ...]:
    """Return all objects of the map."""
    return _objects(stated_key())


@lru_cache(maxsize=4)
def _objects(_stated: str) -> tuple[EventObject, ...]:
    groups = tomllib.loads(_groups())["groups"]
    return tuple(_event_object(item.name, row, groups) for item in all_formats() for row in item.stix)


def mapping_digest() -> str:
    """Return the map's SHA-256 (hex): another map can give other sightings."""
    return sha256(f"{part_digest('stix')}\n{_groups()}".encode()).hexdigest()


def path_key(path: ObjectPath) -> str:
    """Return the form in which the map writes a path's steps.

    >>> path_key(ObjectPath("file", ("hashes", "sha256"))), path_key(ObjectPath("x", ("values", -1, "data")))
    ('hashes.SHA-256', 'values[*].data')
    """
    text = ""
    for step in path.steps:
        if isinstance(step, int):
            text += "[*]" if step <= 0 else f"[{step}]"
        else:
            text += f".{step}"
    head, hashes, name = text.removeprefix(".").rpartition("hashes.")
    if not hashes:
        return name
    name = name.upper()
    return f"{head}hashes.{_HASH_NAMES.get(name, name)}"


def _groups() -> str:
    return resources.files("aleat.hunt").joinpath("data/stix_groups.toml").read_text("utf-8")


def _event_object(format_: str, row: Mapping[str, Any], groups: dict[str, dict[str, str]]) -> EventObject:
    gate: list[Expression] = [Atom(Fact("format"), Text("equals", format_))]
    if "channel" in row:
        gate.append(Atom(Fact("channel"), Text("equals", row["channel"])))
    if "events" in row:
        gate.append(any_of([Atom(Fact("event_id"), Text("equals", number)) for number in row["events"]]))
    properties: dict[str, tuple[MappedField, ...]] = {}
    for name, value in row.items():
        if name not in _RESERVED:
            for key, text in _expanded(name, value, groups):
                properties[key] = (*properties.get(key, ()), _mapped(text))
    return EventObject(row["type"], format_, all_of(gate), properties)


def _expanded(name: str, value: str | list[str], groups: dict[str, dict[str, str]]) -> Iterator[tuple[str, str]]:
    for text in [value] if isinstance(value, str) else value:
        if not text.endswith(")") or text.partition("(")[0] not in groups:
            yield name, text
            continue
        for group, field in _USE.findall(text):
            for key, template in groups[group].items():
                yield f"{name}.{key}".removeprefix("."), template.replace("{}", field)


def _mapped(text: str) -> MappedField:
    source, _, kind = text.partition(" as ")
    field, bar, transform = source.partition("|")
    if bar:
        transform, _, argument = transform.partition(":")
        return MappedField(View(field, transform, argument), kind or "caseless")
    if "++" in field:
        return MappedField(Joined(tuple(field.split("++")), ""), kind or "caseless")
    if "+" in field:
        return MappedField(Joined(tuple(field.split("+")), "?"), kind or "caseless")
    return MappedField(Field(field), kind or "caseless")
