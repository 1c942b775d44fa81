"""The hunt with YARA rules: over the long values of events, and over files that are evidence as a whole.

A rule is evaluated over a value by itself: a field's text of `VALUE_CHARACTERS` and more (script blocks, command
lines, messages), as UTF-8, each distinct value once. Of a file's record (format "file") it is evaluated over the
file's bytes, with the external variables that its name and path give; over an event's value these are empty.

What is too large, or takes too long, is a `ScanGap`: never silent, and it costs nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Literal, NamedTuple

import msgspec
import numpy as np

from aleat.errors import Issue, Place
from aleat.evidence.batch import EventBatch
from aleat.evidence.readers.file import FILE_FORMAT, extension_of, file_type
from aleat.hunt.columns import Column, Table, cells_of
from aleat.hunt.indicator import Indicator, Sighting
from aleat.hunt.rows import RowReader
from aleat.hunt.yara import RuleMatch, ScanStoppedError, YaraScanner, compile_rules

__all__ = [
    "FILE_SECONDS",
    "VALUE_BYTES",
    "VALUE_CHARACTERS",
    "VALUE_SECONDS",
    "FileContent",
    "ScanGap",
    "YaraHunter",
    "YaraSet",
    "gap_issues",
    "long_fields",
]

VALUE_CHARACTERS = 128
"""Shorter values are not looked into: YARA rules describe files and scripts, and a condition that only excludes
something would hold of every name and number."""

VALUE_BYTES = 4 * 1024 * 1024
"""`value_bytes`: a longer value (as UTF-8) is a gap. A whole script block is 32 KB at most, a message a few hundred."""

VALUE_SECONDS = 5
"""`value_seconds`: a scan of one value is stopped after it; 3,600 rules take less than a millisecond."""

FILE_SECONDS = 30
"""`file_seconds`: a scan of one file is stopped after it; 3,600 rules take one second for 32 MiB."""

_STOPPED = 8
"""So many values may be stopped in one segment; the rest of it is a gap then, so that time stays bounded."""

_SHOWN = 8  # spots of one rule that are told
_SNIPPET = 60  # bytes of a spot that are told
_CACHE_CHARACTERS = 32_000_000
_TEXT_KINDS = "sl"

_REASONS = {
    "yara-size": "longer than {limit} bytes (limit: value_bytes)",
    "yara-time": "not done in its time (limits: value_seconds, file_seconds), or given up by YARA-X",
}

GapCode = Literal["yara-size", "yara-time"]


class ScanGap(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Cells that YARA rules were not evaluated over: of one field ("" for a file), the first record, and how many."""

    code: GapCode
    field: str
    record: int
    cells: int = 1


class FileContent(NamedTuple):
    """The bytes of a file that a record is about, and its path as given."""

    path: str
    data: bytes


class YaraSet:
    """A plan's YARA rules, compiled; made ready when first used, once for all hunters of a process."""

    def __init__(self, indicators: Sequence[Indicator], compiled: bytes) -> None:
        self.indicators = indicators
        self.compiled = compiled

    @cached_property
    def scanner(self) -> YaraScanner:
        """The set made ready; a damaged one is compiled anew."""
        try:
            return YaraScanner(self.compiled)
        except ValueError:
            return YaraScanner(compile_rules(self.indicators).data)


class _Told(NamedTuple):
    """A pattern's match in one value, as a sighting tells it."""

    digest: str
    spots: tuple[str, ...]


class YaraHunter:
    """Hunts a `YaraSet`; keeps what was found in values between batches, bounded by their length.

    `only` are the digests of the rules that are wanted (None: all).
    """

    def __init__(self, rules: YaraSet, only: frozenset[str] | None = None) -> None:
        self._rules = rules
        self._wanted: dict[str, list[Indicator]] = {}
        for item in rules.indicators:
            if only is None or item.digest in only:
                self._wanted.setdefault(item.digest, []).append(item)
        self._known: dict[str, tuple[_Told, ...] | GapCode] = {}
        self._characters = 0
        self._gaps: list[ScanGap] = []

    def __bool__(self) -> bool:
        return bool(self._wanted and self._rules.compiled)

    @property
    def digests(self) -> frozenset[str]:
        """The digests of the rules that are hunted for."""
        return frozenset(self._wanted)

    def take_gaps(self) -> tuple[ScanGap, ...]:
        """Return what was not looked into since this was last asked."""
        found, self._gaps = tuple(self._gaps), []
        return found

    def hunt(self, batches: Iterable[EventBatch], content: FileContent | None = None) -> Iterator[Sighting]:
        """Yield one sighting for each rule in each record, by batch, row and rule.

        `content` is the file that a record of format "file" is about; without it the record is passed over.
        """
        if not self:
            return
        for batch in batches:
            if batch.format != FILE_FORMAT:
                yield from self._hunt_values(batch)
            elif content is not None and batch.table.num_rows:
                yield from self._hunt_file(batch, content)

    # --------------------------------------------------------------------------------------------- files

    def _hunt_file(self, batch: EventBatch, content: FileContent) -> Iterator[Sighting]:
        reader = RowReader(batch, [0])
        name = str(reader.fields(0).get("name", ""))
        try:
            found = self._scan(content.data, FILE_SECONDS, file_variables(content.path, name, content.data))
        except ScanStoppedError:
            self._gaps.append(ScanGap("yara-time", "", 0))
            return
        for told in self._told(found, content.data):
            matched = tuple(("content", spot) for spot in told.spots)
            for indicator in self._wanted[told.digest]:
                yield reader.sighting(0, indicator, matched=matched)

    # -------------------------------------------------------------------------------------------- values

    def _hunt_values(self, batch: EventBatch) -> Iterator[Sighting]:
        table = Table(batch)
        hits: dict[int, dict[str, dict[tuple[str, str], None]]] = {}
        stopped = 0
        for field, kind in table.fields:
            if kind not in _TEXT_KINDS:
                continue
            column = table.column(field, kind)
            for code, cells in _long_cells(column):
                for cell in cells:
                    found = self._look(cell) if stopped < _STOPPED else "yara-time"
                    if isinstance(found, str):
                        stopped += found == "yara-time"
                        self._note(found, field, table, column, code)
                        continue
                    if found:
                        for row in np.flatnonzero(column.codes == code).tolist():
                            of_row = hits.setdefault(row, {})
                            for told in found:
                                pairs = of_row.setdefault(told.digest, {})
                                pairs.update(dict.fromkeys((field, spot) for spot in told.spots))
        reader = RowReader(batch, hits)
        for row in reader.rows:
            for digest, matched in sorted(hits[row].items()):
                for indicator in self._wanted[digest]:
                    yield reader.sighting(row, indicator, matched=tuple(matched))

    def _note(self, code: GapCode, field: str, table: Table, column: Column, at: int) -> None:
        rows = np.flatnonzero(column.codes == at)
        if len(rows):
            record = table.batch.table["record"][int(rows[0])].as_py()
            self._gaps.append(ScanGap(code, field, record, len(rows)))

    def _look(self, text: str) -> tuple[_Told, ...] | GapCode:
        """Return what is found in a value, each value once."""
        known = self._known.get(text)
        if known is not None:
            return known
        if self._characters + len(text) > _CACHE_CHARACTERS:
            self._known.clear()
            self._characters = 0
        self._characters += len(text)
        found = self._known[text] = self._look_anew(text)
        return found

    def _look_anew(self, text: str) -> tuple[_Told, ...] | GapCode:
        data = text.encode("utf-8", "replace")
        if len(data) > VALUE_BYTES:
            return "yara-size"
        try:
            return tuple(self._told(self._scan(data, VALUE_SECONDS, {}), data))
        except ScanStoppedError:
            return "yara-time"

    # ---------------------------------------------------------------------------------------------- both

    def _scan(self, data: bytes, seconds: int, variables: Mapping[str, str]) -> tuple[RuleMatch, ...]:
        return self._rules.scanner.scan(data, seconds=seconds, variables=variables)

    def _told(self, found: Iterable[RuleMatch], data: bytes) -> Iterator[_Told]:
        """Yield the wanted rules that match, an indicator's several rules together."""
        told: dict[str, list[str]] = {}
        for match in found:
            if match.digest in self._wanted:
                title = self._wanted[match.digest][0].title
                told.setdefault(match.digest, []).extend(_spots(match, title, data))
        for digest, spots in told.items():
            yield _Told(digest, tuple(spots[:_SHOWN]))


def file_variables(evidence: str, name: str, content: bytes) -> dict[str, str]:
    """Return the external variables of a file: `filename`, `filepath` (its folder), `extension`, `filetype`."""
    folder = evidence.replace("!", "/").rpartition("/")[0]
    return {"filename": name, "filepath": folder, "extension": extension_of(name), "filetype": file_type(content)}


def long_fields(batch: EventBatch) -> list[str]:
    """Return the fields of a batch that hold values long enough to be looked into."""
    if batch.format == FILE_FORMAT:
        return []
    table = Table(batch)
    fields = [
        field for field, kind in table.fields if kind in _TEXT_KINDS and any(_long_cells(table.column(field, kind)))
    ]
    return list(dict.fromkeys(fields))


def gap_issues(gaps: Iterable[ScanGap], path: str, base: int = 0) -> Iterator[Issue]:
    """Yield an issue for each kind of gap in each field of one source; `base` is added to the gaps' records."""
    of_kind: dict[tuple[GapCode, str], list[ScanGap]] = {}
    for gap in gaps:
        of_kind.setdefault((gap.code, gap.field), []).append(gap)
    for (code, field), found in sorted(of_kind.items()):
        cells = sum(gap.cells for gap in found)
        why = _REASONS[code].format(limit=VALUE_BYTES)
        if field:
            what = f"{cells} value{'' if cells == 1 else 's'} of {field}, the first in record {found[0].record + base},"
        else:
            what = "the file"
        reason = f"YARA rules were not evaluated over {what} {'is' if cells == 1 else 'are'} {why}."
        yield Issue("hunt", code, Place(path), reason, records=cells)


def _long_cells(column: Column) -> Iterator[tuple[int, list[str]]]:
    """Yield (code, cells) for each text of a column that holds cells long enough to be looked into."""
    for code, text in enumerate(column.texts):
        if len(text) >= VALUE_CHARACTERS:
            cells = [cell for cell in cells_of(column.kind, text)[0] if len(cell) >= VALUE_CHARACTERS]
            if cells:
                yield code, cells


def _spots(match: RuleMatch, title: str, data: bytes) -> list[str]:
    """Return what is told of a match: its strings with their offsets, or the rule's name where it has none."""
    told = [
        f"{spot.string} at {spot.offset}: {_snippet(data[spot.offset : spot.offset + spot.length])}"
        for spot in match.spots[:_SHOWN]
    ]
    if not told:
        return [match.rule]
    return told if match.rule == title else [f"{match.rule}: {text}" for text in told]


def _snippet(data: bytes) -> str:
    """Return the beginning of what matched: as text where it is some, else in hexadecimal as rules write it."""
    shown = data[:_SNIPPET]
    text = shown.decode("utf-8", "ignore")
    more = "…" if len(data) > len(shown) else ""
    if text.isprintable() and len(text.encode()) >= len(shown) - 3 and text:
        return text + more
    wide = shown[::2] if len(shown) > 1 and not any(shown[1::2]) else b""
    if wide and all(32 <= byte < 127 for byte in wide):
        return wide.decode("ascii") + more
    return f"{{ {shown[: _SNIPPET // 2].hex(' ')} }}" + ("…" if len(data) > _SNIPPET // 2 else "")
