"""Findings in words: what was found, when, and what was looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from aleat.cli.terminal import line

if TYPE_CHECKING:
    from aleat.exchange.beside import FindingRow, LookedAt

__all__ = ["looked_text", "print_findings"]

_LIMIT = 20


def looked_text(looked: LookedAt) -> str:
    """Return in a line what was looked at.

    >>> from aleat.exchange.beside import LookedAt
    >>> looked_text(LookedAt(sources=2, hosts=3, events=1200, gaps=1))
    '2 kinds of logs, 3 hosts, 1,200 events; 1 gap'
    """
    if not looked.sources:
        return ""
    text = f"{_count(looked.sources, 'kind of logs', 'kinds of logs')}, {_count(looked.hosts, 'host', 'hosts')}, "
    text += _count(looked.events, "event", "events")
    if looked.first is not None and looked.last is not None:
        text += f", {looked.first:%Y-%m-%d} to {looked.last:%Y-%m-%d}"
    return text + (f"; {_count(looked.gaps, 'gap', 'gaps')}" if looked.gaps else "")


def print_findings(rows: Sequence[FindingRow]) -> None:
    """Write what allies found, a line each, at most 20."""
    if not rows:
        return
    line("Allies' findings")
    for row in rows[:_LIMIT]:
        finding = row.finding
        times = " to ".join(dict.fromkeys(filter(None, (row.when("first"), row.when("last")))))
        count = f" {_count(finding.count, 'time', 'times')}" if finding.count else ""
        parts = [f"{finding.value} {finding.status}{count}".lstrip(), times, finding.reason, looked_text(row.looked)]
        line(f"  {row.ally or row.by}: {'; '.join(filter(None, parts))}")
    if len(rows) > _LIMIT:
        line(f"  … and {len(rows) - _LIMIT:,} more")


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
