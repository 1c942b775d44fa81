"""Cyber observables with the ids that STIX prescribes: whoever names one value, names it alike (STIX 2.1 §2.9, §6).

Such an id confirms a guess of the value to everybody who has the id: it is made only where all who get the object may
know the value.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

from aleat.errors import ObjectError, Place
from aleat.stix.ids import observable_id, random_id
from aleat.stix.objects import StixObject, make_object, plain_json

__all__ = ["OBSERVABLE_TYPES", "contributing_properties", "make_observable"]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    hashes: tuple[str, ...]
    contributing: dict[str, tuple[str, ...]]


@cache
def _table() -> _Table:
    data = files("aleat.stix").joinpath("observables.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(data), _Table)


OBSERVABLE_TYPES = frozenset(_table().contributing)
"""The types of cyber observables that STIX 2.1 defines."""


def contributing_properties(type_: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of an observable's `properties` that its id is made of; none: its id is random.

    Of several hashes the one that the specification prefers counts, else the first by its name.
    Raises `ObjectError` where STIX 2.1 defines no such type.

    >>> contributing_properties("file", {"name": "a", "size": 3, "hashes": {"SHA-256": "00", "MD5": "ff"}})
    {'hashes': {'MD5': 'ff'}, 'name': 'a'}
    """
    names = _table().contributing.get(type_)
    if names is None:
        raise ObjectError(f"STIX 2.1 defines no cyber observable of type {type_[:40]!r}.", Place(type_))
    found = {name: properties[name] for name in names if properties.get(name) not in (None, [], {})}
    hashes = found.get("hashes")
    if isinstance(hashes, Mapping):
        first = next((name for name in _table().hashes if name in hashes), min(hashes))
        found["hashes"] = {first: hashes[first]}
    return found


def make_observable(type_: str, *, markings: Iterable[str] = (), **properties: Any) -> StixObject:
    """Return a cyber observable with these properties and the id that follows from them; raises `ObjectError`."""
    contributing = contributing_properties(type_, plain_json(properties))
    id_ = observable_id(type_, contributing) if contributing else random_id(type_)
    return make_object(type_, id_, markings=markings, **properties)
