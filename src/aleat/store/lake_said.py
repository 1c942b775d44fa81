"""What the custody ledger says of the lake: replayed in its order, so that rows can be compared with the last word."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from aleat.store.lake import SourceRow
from aleat.store.ledger import read_entries
from aleat.trust.chain import Entry

__all__ = ["Said", "SaidSources", "read_said"]


class SaidSources:
    """What the ledger says of finished sources: by the row's number, or as early versions did, by path and bytes."""

    def __init__(self) -> None:
        self._numbered: dict[int, dict[str, Any]] = {}
        self._named: dict[tuple[str, str], list[dict[str, Any]]] = {}

    def add(self, data: dict[str, Any]) -> None:
        """Take an entry of kind "source" or "copy"."""
        if "source" in data:
            self._numbered[data["source"]] = dict(data)
        else:
            self._named.setdefault((data["path"], data["sha256"]), []).append(dict(data))

    def correct(self, source: int, name: str, value: Any) -> None:
        """Take a later entry's word on one value."""
        if source in self._numbered:
            self._numbered[source][name] = value

    def take(self, source: SourceRow) -> dict[str, Any] | None:
        """Return the entry of a row, and count it as found."""
        if (numbered := self._numbered.get(source.id)) is not None and numbered["sha256"] == source.sha256:
            return self._numbered.pop(source.id)
        named = self._named.get((source.facts.path, source.sha256 or ""), [])
        options = dict(source.facts.options)  # the same bytes may have come in again, to be read otherwise
        fitting = [place for place, data in enumerate(named) if data.get("options", options) == options]
        return named.pop((fitting or [0])[0]) if named else None

    def left(self) -> Iterator[dict[str, Any]]:
        """Yield the entries that no row was found for."""
        yield from self._numbered.values()
        for entries in self._named.values():
            yield from entries


@dataclass(slots=True)
class Said:
    """The ledger's last word on each segment and source."""

    segments: dict[str, dict[str, Any]] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    """Segments that went with what was forgotten, and haven't come in again."""
    sources: SaidSources = field(default_factory=SaidSources)
    abandoned: dict[int, dict[str, Any]] = field(default_factory=dict)
    forgotten: dict[int, Entry] = field(default_factory=dict)
    same_as: dict[int, int | None] = field(default_factory=dict)
    """By a copy: who holds its bytes now; None where that is itself, since the source that held them was forgotten."""
    issues_sha256: str | None = None
    """Over the issues that belong to no source; None where no entry says."""
    exact: bool = True
    """No entry is of the first version, which said less."""


def read_said(connection: sa.Connection) -> Said:
    """Replay the custody ledger; raises `IntegrityError` at an entry that can't be read."""
    return _replay(read_entries(connection, "custody"))


def _replay(entries: Iterable[Entry]) -> Said:
    said = Said()
    for entry in entries:
        data = entry.data
        match entry.kind:
            case "segment":
                said.segments[data["segment"]] = data
                said.removed.discard(data["segment"])
                said.exact = said.exact and "reader" in data
            case "source" | "copy":
                said.sources.add(data)
                if "source" in data and entry.kind == "copy":
                    said.same_as[data["source"]] = data["same_as"]
            case "collector":
                said.sources.correct(data["source"], "collector", data["collector"])
            case "abandoned":
                said.abandoned[data["source"]] = data
            case "issues":
                said.issues_sha256 = data["issues_sha256"]
            case "forgotten":
                _forget(said, entry)
    return said


def _forget(said: Said, entry: Entry) -> None:
    data = entry.data
    said.forgotten[data["source"]] = entry
    for segment in data["segments"]:
        said.segments.pop(segment, None)
        said.removed.add(segment)
    if data["heir"] is not None:
        held = [copy for copy, holder in said.same_as.items() if holder == data["source"]]
        said.same_as |= dict.fromkeys(held, data["heir"]) | {data["heir"]: None}
        said.sources.correct(data["heir"], "ranges_sha256", data["ranges_sha256"])
