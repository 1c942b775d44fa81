"""What a hunt returns: sightings, what was not evaluated, coverage, and counts for the summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from aleat.errors import Issue
from aleat.hunt.alerts import is_alert, tool_of
from aleat.hunt.coverage import Coverage
from aleat.hunt.indicator import NotEvaluated, Sighting
from aleat.hunt.plan import Plan
from aleat.hunt.standing import standing_code
from aleat.hunt.summary import MissingSource
from aleat.hunt.warning_lists import WARNING_LABEL

__all__ = ["HuntProgress", "HuntResult", "RuleCounts", "Tally", "count_rules"]


class HuntProgress(msgspec.Struct, frozen=True):
    """How far a hunt is: `done` of `total` bytes (one-shot) or segments, events and sightings so far.

    `phase` is "hunt", "collect" (sightings from the ledger), or "correlate".
    """

    phase: str
    done: int
    total: int
    events: int = 0
    sightings: int = 0


class RuleCounts(msgspec.Struct, frozen=True):
    """The plan's rules, patterns, lists and correlations in numbers.

    `loaded` were given; `evaluated` could be, wholly or in part; `fired` found something; `rejected` could not be
    evaluated, and are named; `partial` in part only; `no_evidence` are evaluated ones that could not have fired
    in this evidence: no such log source, or fields that are never filled.
    """

    loaded: int = 0
    evaluated: int = 0
    fired: int = 0
    rejected: int = 0
    partial: int = 0
    no_evidence: int = 0


class Tally:
    """Counts of the sightings that were reported: all, by level, rule, host and tag.

    Alerts of other tools are counted apart (`alerts`), and aren't among them. Apart are also those that filters and
    dismissals hide (`hidden`), those of values that mean nothing, by the names of the warning lists that they stand on
    (`meaningless`), and those of what had expired or was revoked or withdrawn (`ended`, by these words).
    """

    def __init__(self) -> None:
        self.sightings = 0
        self.hidden = 0
        self.meaningless: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self.alerts: Counter[tuple[str, str, str]] = Counter()
        """Alerts of other tools that nothing hides, by tool, the id of its rule here, and title."""
        self.by_host: Counter[str] = Counter()
        self.fired: set[str] = set()
        """Digests of the rules that found anything, hidden ones included."""
        self._kinds: Counter[tuple[str, str, str, tuple[str, ...]]] = Counter()

    def add(self, sighting: Sighting) -> None:
        """Count one sighting."""
        self.fired.add(sighting.rule_digest)
        if sighting.hidden_by is not None:
            if sighting.hidden_by.startswith(WARNING_LABEL):
                self.meaningless[sighting.hidden_by.removeprefix(WARNING_LABEL)] += 1
            elif code := standing_code(sighting.hidden_by):
                self.ended[code] += 1
            else:
                self.hidden += 1
            return
        if is_alert(sighting):
            self.alerts[tool_of(sighting), sighting.indicator, sighting.title] += 1
            return
        self.sightings += 1
        self._kinds[sighting.indicator, sighting.title, sighting.level, sighting.tags] += 1
        self.by_host[sighting.host] += 1

    @property
    def by_level(self) -> Counter[str]:
        """Sightings by level."""
        found: Counter[str] = Counter()
        for (_, _, level, _), number in self._kinds.items():
            found[level] += number
        return found

    @property
    def by_rule(self) -> Counter[tuple[str, str]]:
        """Sightings by the rule's id and title."""
        found: Counter[tuple[str, str]] = Counter()
        for (indicator, title, _, _), number in self._kinds.items():
            found[indicator, title] += number
        return found

    @property
    def by_tag(self) -> Counter[str]:
        """Sightings by the rules' tags."""
        found: Counter[str] = Counter()
        for (_, _, _, tags), number in self._kinds.items():
            for tag in tags:
                found[tag] += number
        return found


@dataclass(frozen=True)
class HuntResult:
    """What a hunt found, over what, and what it could not do.

    `sightings` is empty where a sink took them; `tally` counts them either way. `seconds` by phase: "read" and
    "hunt" are summed over workers, "correlate" and "total" are not. `segments` counts ranges or segments hunted
    now; what the ledger had already is not hunted again.
    """

    sightings: tuple[Sighting, ...]
    not_evaluated: tuple[NotEvaluated, ...]
    issues: tuple[Issue, ...]
    coverage: Coverage
    rules: RuleCounts
    tally: Tally
    events: int
    segments: int
    seconds: dict[str, float]
    missing_sources: tuple[MissingSource, ...] = ()
    """Log sources that rules ask for, of which there was no evidence."""


def count_rules(plan: Plan, not_evaluated: Sequence[NotEvaluated], tally: Tally, coverage: Coverage) -> RuleCounts:
    """Count a plan's indicators."""
    whole = {row.indicator for row in not_evaluated if not row.partial}
    listed = {item.id for item in plan.lists} | {item.id for item in plan.patterns}
    partial = {row.indicator.partition("#")[0] for row in not_evaluated if row.partial}
    patterns = frozenset(item.id for item in plan.patterns)
    parts = {rule.indicator.id for rule in plan.rules if _is_part(patterns, rule.indicator.id)}
    rules = {rule.indicator.id for rule in plan.rules} - parts
    rules |= {item.id for item in plan.lists if item.pattern_type != "stix-part"}
    rules |= {item.id for item in (*plan.patterns, *plan.yara)} | {rule.indicator.id for rule in plan.correlations}
    could = {plan.rules[place].indicator.id for place in coverage.rules_that_could_fire}
    singles = {rule.indicator.id for rule in plan.rules} - parts - listed
    digests = {rule.indicator.digest: rule.indicator.id for rule in plan.rules}
    digests |= {item.digest: item.id for item in (*plan.lists, *plan.patterns, *plan.yara)}
    digests |= {rule.indicator.digest: rule.indicator.id for rule in plan.correlations}
    fired = {digests[digest] for digest in tally.fired if digest in digests}
    return RuleCounts(
        loaded=len(rules | whole),
        evaluated=len(rules),
        fired=len(fired),
        rejected=len(whole - rules),
        partial=len(partial & rules),
        no_evidence=len(singles - could),
    )


def _is_part(patterns: frozenset[str], identifier: str) -> bool:
    return identifier.rpartition("[")[0] in patterns
