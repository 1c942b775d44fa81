"""What allies found beside what we found ourselves, indicator by indicator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from aleat.exchange.findings import Finding, findings_of_hunt, with_reasons
from aleat.exchange.messages import Inquiry, read_message
from aleat.exchange.overview import findings_received, rule_ids
from aleat.stix import is_timestamp, parse_timestamp
from aleat.store.allies import read_allies
from aleat.store.database import Connection
from aleat.store.exchanges import read_messages
from aleat.store.objects import iterate_objects

if TYPE_CHECKING:  # for annotations only: opening a file shouldn't load the hunt
    from aleat.case.records import CoverageRow
    from aleat.hunt.indicator import NotEvaluated, Sighting

__all__ = ["FindingRow", "LookedAt", "findings_beside", "looked_at"]

_MOST = 10_000
_SHOWN = {"month": "%Y-%m", "day": "%Y-%m-%d"}


class LookedAt(msgspec.Struct, frozen=True, kw_only=True):
    """What a finding rests on: kinds of logs, hosts, events, from when to when, and how many gaps were told."""

    sources: int = 0
    hosts: int = 0
    events: int = 0
    first: datetime | None = None
    last: datetime | None = None
    gaps: int = 0


class FindingRow(msgspec.Struct, frozen=True, kw_only=True):
    """One finding as it is shown: `by` is who found it (an identity, ours too), `name` the indicator's name."""

    by: str
    name: str
    finding: Finding
    looked: LookedAt = LookedAt()
    ours: bool = False
    ally: str = ""
    """The short name of the ally that found it."""

    def when(self, which: Literal["first", "last"]) -> str:
        """Return its first or last time (UTC), no more exactly than it was told; "" where there is none."""
        time = self.finding.first if which == "first" else self.finding.last
        return "" if time is None else format(time, _SHOWN.get(self.finding.granularity, "%Y-%m-%d %H:%M"))


def findings_beside(
    connection: Connection,
    own: str,
    sightings: Sequence[Sighting],
    not_evaluated: Iterable[NotEvaluated],
    coverage: Sequence[CoverageRow],
    *,
    hunted: bool,
    only: str | None = None,
    reasons: Mapping[str, str] | None = None,
) -> tuple[FindingRow, ...]:
    """Return what allies found (with `only` that indicator), each indicator's own finding of ours first.

    `sightings` and `not_evaluated` are what our hunts said of all; ours is told of the indicators that are here, and
    only if something was `hunted`; `reasons` are those of our dismissals, by id.
    """
    theirs = [one for one in findings_received(connection) if only in {None, one.indicator}]
    names = _names(connection, {one.indicator for one in theirs})
    here = sorted({one.indicator for one in theirs} & names.keys()) if hunted else []
    mine = findings_of_hunt(here, sightings, not_evaluated, rule_ids=rule_ids(connection, here))
    mine = with_reasons(mine, reasons or {})
    looked = _looked_here(coverage)
    rows = [
        FindingRow(by=own, name=names[one.indicator], finding=_told(one, looked), looked=looked, ours=True)
        for one in mine
    ]
    allies = {ally.card.identity: ally.card.name for ally in read_allies(connection)}
    asked = _asked(connection) if any(one.indicator not in names for one in theirs) else {}
    rows += [
        FindingRow(
            by=one.sender,
            ally=allies.get(one.sender, ""),
            name=names.get(one.indicator) or asked.get(one.indicator) or one.indicator,
            finding=one,
            looked=looked_at(one.coverage),
        )
        for one in theirs
    ]
    return tuple(
        sorted(
            rows, key=lambda row: (row.finding.indicator, row.finding.value, not row.ours, row.by, row.finding.delivery)
        )
    )


def looked_at(coverage: Mapping[str, Any]) -> LookedAt:
    """Return a coverage extension in numbers; what in it is not as our schema says counts for nothing."""
    listed = coverage.get("looked_at")
    entries = [one for one in listed[:_MOST] if isinstance(one, Mapping)] if isinstance(listed, list) else []
    gaps = coverage.get("not_looked_at")
    times = sorted(time for one in entries for name in ("first", "last") if (time := _time(one.get(name))) is not None)
    return LookedAt(
        sources=len({str(one.get("source")) for one in entries}),
        hosts=max((_number(one.get("hosts")) for one in entries), default=0)
        or len({one["host"] for one in entries if isinstance(one.get("host"), str)}),
        events=sum(_number(one.get("events")) for one in entries),
        first=times[0] if times else None,
        last=times[-1] if times else None,
        gaps=len(gaps) if isinstance(gaps, list) else 0,
    )


def _looked_here(rows: Sequence[CoverageRow]) -> LookedAt:
    firsts = [row.first for row in rows if row.first is not None]
    lasts = [row.last for row in rows if row.last is not None]
    return LookedAt(
        sources=len({(row.format, row.channel) for row in rows}),
        hosts=len({row.host for row in rows if row.host}),
        events=sum(row.events for row in rows),
        first=min(firsts, default=None),
        last=max(lasts, default=None),
    )


def _told(finding: Finding, looked: LookedAt) -> Finding:
    """Return a finding of ours; who looked at nothing has not "not seen" it."""
    if finding.status != "not-seen" or looked.events:
        return finding
    return msgspec.structs.replace(finding, status="not-evaluated", reason="nothing-looked-at")


def _names(connection: Connection, indicators: Iterable[str]) -> dict[str, str]:
    found = iterate_objects(connection, ids=sorted({*indicators}))
    return {stored.object.id: stored.object.name or stored.object.id for stored in found}


def _asked(connection: Connection) -> dict[str, str]:
    """Return what the indicators of all inquiries look for, which are kept in their messages only."""
    messages = (read_message(row) for row in read_messages(connection) if row.kind == "inquiry")
    return {one.indicator: one.what for item in messages if isinstance(item, Inquiry) for one in item.asked}


def _number(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53 else 0


def _time(value: object) -> datetime | None:
    return parse_timestamp(value) if isinstance(value, str) and is_timestamp(value) else None
