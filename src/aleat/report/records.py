"""What a report is made from: the case, its assessments, and the ledgers of what could not be done."""

from __future__ import annotations

from datetime import datetime

import msgspec

from aleat.attribution.records import Assessment
from aleat.case.records import Case
from aleat.errors import Issue
from aleat.exchange.beside import FindingRow
from aleat.hunt.indicator import NotEvaluated
from aleat.hunt.result import RuleCounts
from aleat.trust.chain import Head

__all__ = ["Assumption", "ReportInput"]


class Assumption(msgspec.Struct, frozen=True, kw_only=True):
    """Something that logs don't say, and under which they were read: their zone, their year, their code page.

    `code` is the issue's, `what` says it in words, `settle` is the flag that settles it; `by` is who stated it
    ("": nobody did, it was assumed). `sources` are the paths as given.
    """

    code: str
    what: str
    settle: str = ""
    by: str = ""
    sources: tuple[str, ...] = ()


class ReportInput(msgspec.Struct, frozen=True, kw_only=True):
    """All that the report tells; `zone` is the case's IANA time zone, shown beside UTC.

    `events` counts the events hunted through; `issues` are what could not be read, `not_evaluated` what could
    not be hunted for. `givers` are those whose knowledge was used. `heads` are the ledgers' heads.
    """

    case: Case
    assessments: tuple[Assessment, ...]
    organisation: str
    version: str
    made: datetime
    zone: str = "UTC"
    events: int = 0
    rules: RuleCounts = RuleCounts()
    givers: tuple[str, ...] = ()
    issues: tuple[Issue, ...] = ()
    not_evaluated: tuple[NotEvaluated, ...] = ()
    assumptions: tuple[Assumption, ...] = ()
    heads: tuple[Head, ...] = ()
    hidden: int = 0
    """Sightings that a dismissal hides."""
    forgotten: int = 0
    """Sources that were removed, as a retention rule or a court ordered; the ledger says which and why."""
    findings: tuple[FindingRow, ...] = ()
    """What allies found with what we gave or asked them, each indicator's own finding of ours first."""
    simulation: bool = False
    """The material says of itself that it is a simulation."""
