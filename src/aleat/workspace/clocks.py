"""The verbs of clocks: measured where logs tell of the same, corrected where an analyst says so, and only in the case.

A correction is a view: what is stored, hunted and searched keeps the time that the log says. The case (its sightings,
requests and what covers which time) is built with corrected times, and the report says so.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta

import msgspec
import numpy as np
import pyarrow as pa

from aleat.case.clocks import CLOCK_COLUMNS, ClockOffset, clock_name, measure_clocks, wants
from aleat.case.records import CoverageRow
from aleat.errors import InputError, TrustError
from aleat.evidence import EventBatch, read_segment
from aleat.hunt.indicator import Sighting
from aleat.report import Assumption
from aleat.stix.times import format_timestamp
from aleat.store.clocks import ClockCorrection, put_correction, read_corrections, undo_correction
from aleat.store.lake import Lake
from aleat.times import HOUR, MINUTE, SECOND
from aleat.workspace.evidence import open_lake
from aleat.workspace.hunt import HuntVerbs
from aleat.workspace.progress import Progress, silent

__all__ = ["ClockVerbs", "Corrected", "offset_text", "parse_offset"]

_OFFSET = re.compile(r"([+-])(?:(\d{1,5})h)?(?:(\d{1,5})m)?(?:(\d{1,7})(?:\.(\d{1,6}))?s)?", re.ASCII)


def parse_offset(text: str) -> int:
    """Return microseconds of ``+3m20s``, ``-1h``, ``+0.25s``; raises `InputError` where it is none.

    >>> parse_offset("+3m20s"), parse_offset("-0.5s")
    (200000000, -500000)
    """
    found = _OFFSET.fullmatch(text.strip())
    if found is None or not any(found.groups()[1:]):
        raise InputError(f"{text[:40]!r} is no offset of a clock.", advice="Write +3m20s (ahead) or -1h (behind).")
    hours, minutes, seconds = (int(found[group] or 0) for group in (2, 3, 4))
    amount = hours * HOUR + minutes * MINUTE + seconds * SECOND + int((found[5] or "").ljust(6, "0"))
    return -amount if found[1] == "-" else amount


def offset_text(offset: int) -> str:
    """Return an offset as `parse_offset` reads it.

    >>> offset_text(200_000_000), offset_text(-500_000), offset_text(0)
    ('+3m20s', '-0.5s', '+0s')
    """
    amount = abs(offset)
    hours, minutes, rest = amount // HOUR, amount % HOUR // MINUTE, amount % MINUTE
    seconds = f"{rest / SECOND:.6f}".rstrip("0").rstrip(".")
    parts = ((hours, f"{hours}h"), (minutes, f"{minutes}m"), (rest or not amount, f"{seconds}s"))
    return ("-" if offset < 0 else "+") + "".join(text for counts, text in parts if counts)


class ClockVerbs(HuntVerbs):
    """Clocks that are off."""

    def clocks(self, *, progress: Progress = silent) -> tuple[ClockOffset, ...]:
        """Measure how the clocks of the evidence differ, where two logs tell of the same; the largest first."""
        return measure_clocks(_batches(open_lake(self), progress))

    def set_clock(self, clock: str, offset: str, reason: str) -> ClockCorrection:
        """Say that a clock (a host, or ``source:PATH``) is ahead (``+3m20s``) or behind (``-1h``).

        The case, and nothing else, is built with corrected times from then on.
        """
        if not reason.strip():
            raise TrustError("A correction needs a reason: say how it is known that the clock was off.")
        known = self._known_clocks()
        name = clock if clock in known else clock.casefold()
        if name not in known:
            raise InputError(f"No event was dated by a clock called {clock[:80]!r}.", advice="See: aleat coverage.")
        now = self.now()
        row = ClockCorrection(
            id=str(uuid.uuid4()),
            clock=name,
            offset=parse_offset(offset),
            reason=reason.strip(),
            author=self.actor,
            time=format_timestamp(now),
        )
        with self.writing(), self.write() as connection:
            put_correction(connection, row, time=now, key=self.key)
        return row

    def undo_clock(self, correction: str, reason: str = "") -> ClockCorrection:
        """Undo a correction: its id, the beginning of one, or the clock."""
        with self.writing(), self.write() as connection:
            return undo_correction(connection, correction, reason, actor=self.actor, time=self.now(), key=self.key)

    def clock_corrections(self) -> tuple[ClockCorrection, ...]:
        """Return all corrections of clocks, undone ones too, in order of time."""
        with self.read() as connection:
            return read_corrections(connection)

    def corrected(self) -> Corrected:
        """Return the corrections in force, ready to be applied."""
        return Corrected([row for row in self.clock_corrections() if row.undone is None])

    def _known_clocks(self) -> set[str]:
        lake = open_lake(self)
        sources = {f"source:{row.facts.path}" for row in lake.sources()}
        return sources | {row.host.casefold() for row in lake.coverage() if row.host}


def _batches(lake: Lake, progress: Progress) -> Iterator[EventBatch]:
    for number, segment in enumerate(lake.segments()):
        progress("clocks", number, None)
        if wants(segment.formats):
            yield from read_segment(lake, segment, CLOCK_COLUMNS)


class Corrected:
    """Applies corrections of clocks to what a case is built from."""

    def __init__(self, corrections: Sequence[ClockCorrection]) -> None:
        self._rows = corrections
        self._offsets = {row.clock: row.offset for row in corrections}

    def _offset(self, host: str, evidence: str) -> int:
        by_source = self._offsets.get(f"source:{evidence}")
        return by_source if by_source is not None else self._offsets.get(clock_name(host, evidence), 0)

    def sightings(self, sightings: Iterable[Sighting]) -> list[Sighting]:
        """Return sightings at corrected times."""
        if not self._offsets:
            return list(sightings)
        return [self._sighting(sighting) for sighting in sightings]

    def _sighting(self, sighting: Sighting) -> Sighting:
        offset = self._offset(sighting.host, sighting.evidence)
        if not offset or sighting.time is None:
            return sighting
        return msgspec.structs.replace(sighting, time=sighting.time - offset)

    def requests(self, table: pa.Table) -> pa.Table:
        """Return requests at corrected times."""
        if not self._offsets or not table.num_rows:
            return table
        hosts = table.column("host").cast(pa.string()).to_pylist()
        logs = table.column("evidence").cast(pa.string()).to_pylist()
        offsets = np.array([self._offset(host or "", log) for host, log in zip(hosts, logs, strict=True)], np.int64)
        times = table.column("time").cast(pa.int64()).to_numpy() - offsets
        place = table.schema.get_field_index("time")
        return table.set_column(place, table.schema.field(place), pa.array(times).cast(table.schema.field(place).type))

    def coverage(self, rows: Iterable[CoverageRow]) -> list[CoverageRow]:
        """Return what covers which time, corrected by host (a correction of a source isn't known here)."""
        return [self._coverage(row) for row in rows]

    def _coverage(self, row: CoverageRow) -> CoverageRow:
        offset = timedelta(microseconds=self._offsets.get(row.host.casefold(), 0)) if row.host else timedelta()
        if not offset:
            return row
        first = None if row.first is None else row.first - offset
        last = None if row.last is None else row.last - offset
        return msgspec.structs.replace(row, first=first, last=last)

    def assumptions(self) -> tuple[Assumption, ...]:
        """Return what the report says of the corrections."""
        return tuple(
            Assumption(
                code="clock-set",
                what=f"The clock of {row.clock.removeprefix('source:')} is taken to be {offset_text(row.offset)} off; "
                f"the case and its report show corrected times, a hunt and a search the log's own. {row.reason}",
                settle=f"Undo it with: aleat clocks undo {row.id[:8]}",
                by=row.author,
                sources=(row.clock.removeprefix("source:"),),
            )
            for row in self._rows
        )
