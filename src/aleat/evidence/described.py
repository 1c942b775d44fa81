"""Readers made from the formats' files: what a ``[[read]]`` table may say, checked and ready for the generic readers.

Every ``[[read]]`` has a `layout` and what all layouts share (`Reading`):

===============  ======================================================================================
``layout``       lines, json, delimited, w3c, audit …: the module of `readers` that knows the grammar
``name``         of the reader, where a format has several (default: the format's name)
``time``         ``{fields = […], formats = […], zone = "UTC"}``: the first field that is there; `clock.TimeSpec`
``host``, …      ``host``, ``channel``, ``provider``, ``event_id``, ``record_id``: a list of fields, of which the
                 first that is there counts, or a text that holds for all events
``numbers``      fields of a text format whose integers are integers (``["*"]``: all)
``absent``       texts by which a text format says that a field isn't there
===============  ======================================================================================

The rest of a table is the layout's own; its module says what it takes. A table that can't be read is an error of
ours: `ValueError`, at the first use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from aleat.evidence.clock import TimeSpec
from aleat.formats import all_formats

if TYPE_CHECKING:
    from aleat.evidence.reader import Reader

__all__ = ["FACTS", "Pick", "Reading", "TimePick", "described_readers", "reading_of"]

ENGINE = 1
"""Changes with what the generic readers give for the same bytes and the same description."""

FACTS = ("host", "channel", "provider", "event_id", "record_id")


@dataclass(frozen=True, slots=True)
class Pick:
    """Where a fact of an event is: in the first of `fields` that is there, else it is `constant`."""

    fields: tuple[str, ...] = ()
    constant: str | None = None


@dataclass(frozen=True, slots=True)
class TimePick:
    """Where an event's time is: the texts of the first group of fields that is there, joined by blanks."""

    groups: tuple[tuple[str, ...], ...]
    spec: TimeSpec


@dataclass(frozen=True, slots=True)
class Reading:
    """One ``[[read]]`` table: what all layouts share, and the layout's `own` keys."""

    format: str
    name: str
    version: str
    layout: str
    time: TimePick
    facts: Mapping[str, Pick]
    numbers: frozenset[str]
    absent: frozenset[str]
    own: Mapping[str, Any]

    def is_number(self, field: str) -> bool:
        """Say whether a field's integers are integers."""
        return field in self.numbers or "*" in self.numbers


_SHARED = frozenset({"layout", "name", "time", "numbers", "absent", *FACTS})


def reading_of(format_: str, table: Mapping[str, Any]) -> Reading:
    """Check one table; raises `ValueError` with the format's name."""
    try:
        return Reading(
            format=format_,
            name=table.get("name", format_),
            version=f"{ENGINE}-{sha256(repr(table).encode()).hexdigest()[:12]}",
            layout=table["layout"],
            time=_time(table.get("time", {})),
            facts={name: _pick(table[name]) for name in FACTS if name in table},
            numbers=frozenset(table.get("numbers", ())),
            absent=frozenset(table.get("absent", ())),
            own={key: value for key, value in table.items() if key not in _SHARED},
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"formats/data/{format_}.toml: a [[read]] can't be used: {error!r}") from error


def _time(table: Mapping[str, Any]) -> TimePick:
    groups = tuple((item,) if isinstance(item, str) else tuple(item) for item in table.get("fields", ()))
    return TimePick(groups, TimeSpec(tuple(table.get("formats", ("iso",))), table.get("zone")))


def _pick(value: str | list[str]) -> Pick:
    return Pick(constant=value) if isinstance(value, str) else Pick(tuple(value))


@lru_cache(maxsize=1)
def described_readers() -> tuple[Reader, ...]:
    """Return a reader for each ``[[read]]`` of all formats: the stricter layouts first."""
    # not at the top: the generic readers import this module
    from aleat.evidence.readers.auditd import AuditReader  # noqa: PLC0415
    from aleat.evidence.readers.delimited import DelimitedReader  # noqa: PLC0415
    from aleat.evidence.readers.ivanti_vc0 import VC0Reader  # noqa: PLC0415
    from aleat.evidence.readers.journal import JournalReader  # noqa: PLC0415
    from aleat.evidence.readers.json_records import JsonReader  # noqa: PLC0415
    from aleat.evidence.readers.lines import LinesReader  # noqa: PLC0415
    from aleat.evidence.readers.raw_exports import RawJsonReader, RawTableReader  # noqa: PLC0415
    from aleat.evidence.readers.w3c import W3cReader  # noqa: PLC0415

    made: dict[str, Callable[[Reading], Reader]] = {
        "audit": AuditReader,
        "vc0": VC0Reader,
        "journal": JournalReader,
        "raw-json": RawJsonReader,
        "raw-delimited": RawTableReader,
        "json": JsonReader,
        "w3c": W3cReader,
        "lines": LinesReader,
        "delimited": DelimitedReader,
    }
    order = list(made)
    readings = [reading_of(item.name, table) for item in all_formats() for table in item.read]
    return tuple(made[item.layout](item) for item in sorted(readings, key=lambda item: order.index(item.layout)))
