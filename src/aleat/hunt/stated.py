"""Formats that somebody states: what they say of Sigma and STIX, checked before anything is hunted with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from aleat.errors import RuleError
from aleat.formats import Format, stated_formats
from aleat.hunt.expression import Subject, View
from aleat.hunt.stix_paths import event_objects
from aleat.hunt.taxonomy import format_subjects
from aleat.hunt.views import TRANSFORMS

__all__ = ["check_formats"]


def check_formats(formats: Sequence[Format]) -> None:
    """Raise `RuleError` where a stated ``[[sigma]]`` or ``[[stix]]`` can't be used."""
    for item in formats:
        try:
            _check_shape(item)
            for subject in _subjects(item):
                if isinstance(subject, View) and subject.transform not in TRANSFORMS:
                    known = ", ".join(sorted(TRANSFORMS))
                    raise RuleError(f"The mapping of {item.name} has a view {subject.transform!r}. Known are {known}.")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RuleError(
                f"What the mapping of {item.name} says of Sigma or STIX can't be used: {error!r}."
            ) from error


def _subjects(item: Format) -> Iterator[Subject]:
    yield from format_subjects(item)
    with stated_formats([item]):
        for thing in event_objects():
            if thing.format == item.name:
                yield from (mapped.subject for found in thing.properties.values() for mapped in found)


def _check_shape(item: Format) -> None:
    for table in item.sigma:
        for name in ("category", "product", "service", "needs", "channel", "provider", "event_id"):
            _texts(name, table.get(name, []))
        if not table["needs"]:
            raise ValueError("needs is empty")
        for name, value in table.get("fields", {}).items():
            for part in value if isinstance(value, list) else [value]:
                if not isinstance(part, str | dict):
                    raise TypeError(f"{name} = {part!r}")
    for table in item.stix:
        for name, value in table.items():
            _texts(name, [value] if isinstance(value, str) else value)
        if not isinstance(table["type"], str):
            raise TypeError("type")


def _texts(name: str, value: Any) -> None:
    if not isinstance(value, list) or not all(isinstance(part, str | int) for part in value):
        raise TypeError(f"{name} = {value!r}")
