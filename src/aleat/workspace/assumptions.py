"""What was assumed, guessed or stated about logs where they don't say it themselves, for a report to repeat."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aleat.errors import Issue
from aleat.evidence import TIME_NOTES
from aleat.report import Assumption
from aleat.store.lake import Lake

__all__ = ["ASSUMPTION_CODES", "assumptions_of", "lake_assumptions"]

ASSUMPTION_CODES = TIME_NOTES | {"encoding", "no-year", "date-order"}
"""Codes of issues that tell an assumption."""


def lake_assumptions(lake: Lake) -> tuple[Assumption, ...]:
    """Return every assumption under which the lake's events were read."""
    actors = {row.facts.path: row.actor for row in lake.sources()}
    return assumptions_of(lake.issues(), actors)


def assumptions_of(issues: Iterable[Issue], actors: Mapping[str, str]) -> tuple[Assumption, ...]:
    """Join the issues that say the same of several sources or ranges; `actors` says who added each source."""
    found: dict[tuple[str, str, str, str], tuple[dict[str, None], int]] = {}
    for issue in issues:
        if issue.code not in ASSUMPTION_CODES:
            continue
        number, text = _counted(issue.reason)
        by = actors.get(issue.place.path, "") if issue.code.endswith("-stated") else ""
        sources, count = found.get((issue.code, text, issue.advice, by), ({}, 0))
        sources[issue.place.path] = None
        found[issue.code, text, issue.advice, by] = (sources, count + number)
    return tuple(
        Assumption(code=code, what=f"{count:,} {what}" if count else what, settle=settle, by=by, sources=tuple(sources))
        for (code, what, settle, by), (sources, count) in sorted(found.items())
    )


def _counted(reason: str) -> tuple[int, str]:
    """Part the number that a reason begins with from the rest, which is then the same for all ranges."""
    number, _, rest = reason.partition(" ")
    if number.isdecimal() and number.isascii() and len(number) < 19:
        return int(number), rest.replace(" from here on", "", 1)
    return 0, reason
