"""Sigma filters (Filters specification 2.1): "this is normal here", as a label on sightings, never in the rule.

A filter names rules by id or name and describes events; a sighting of one of those rules in such an event gets
the filter's id in `hidden_by`. It is still there, is counted, and is shown again when the filter is taken away:
`apply_filters` looks only at sightings, so that no log is read again. The first filter in the plan's order wins.

Sightings of lists' entries that mean nothing get their label here as well (`aleat.hunt.warning_lists`), where no
filter hides them.

The events are rebuilt from the sightings' own fields and matched by the same engine as rules are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

import msgspec
import pyarrow as pa

from aleat.evidence.batch import FIXED_SCHEMA, EventBatch, field_column
from aleat.hunt.engine import Hunter
from aleat.hunt.event_digest import cell_text
from aleat.hunt.indicator import Sighting
from aleat.hunt.plan import FilterRule, LogSource, Plan
from aleat.hunt.warning_lists import WarningIndex

__all__ = ["Filters", "apply_filters", "batches_of"]

_WORD = pa.dictionary(pa.int32(), pa.string())
_KINDS: dict[type, str] = {str: "s", bool: "b", int: "i", float: "f", type(None): "n", list: "l"}
_ROWS = 20_000


def apply_filters(plan: Plan, sightings: Iterable[Sighting]) -> tuple[Sighting, ...]:
    """Return the sightings in their order, each with `hidden_by` set anew: to a filter's id, or to None."""
    return Filters(plan).apply(sightings)


class Filters:
    """A plan's filters made ready, dismissals among them."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._filters = list(enumerate(plan.filters))
        self._of_rule: dict[str, frozenset[int]] = {}
        self._warnings = WarningIndex(plan.warnings)
        self._standings = {standing.ref: standing for standing in plan.standings}

    @cached_property
    def _hunter(self) -> Hunter:
        return Hunter(self._plan, variants=self._plan.filter_variants)

    @cached_property
    def _rules(self) -> dict[str, tuple[str, LogSource | None]]:
        """The name and the log source of each rule."""
        found: dict[str, tuple[str, LogSource | None]] = {
            rule.indicator.id: (rule.name, rule.logsource) for rule in self._plan.rules
        }
        found.update({rule.indicator.id: (rule.name, None) for rule in self._plan.correlations})
        return found

    def apply(self, sightings: Iterable[Sighting]) -> tuple[Sighting, ...]:
        """Return the sightings in their order, each with `hidden_by` set anew."""
        labelled = [msgspec.structs.replace(one, hidden_by=None) if one.hidden_by else one for one in sightings]
        if self._filters:
            self._hide(labelled)
        for position, one in enumerate(labelled):
            if one.entry_type and one.hidden_by is None:
                label = self._warnings.label(one.entry_type, one.indicator.partition("#")[2])
                if label is not None:
                    labelled[position] = msgspec.structs.replace(one, hidden_by=label)
            standing = self._standings.get(one.ref) if self._standings else None
            if standing is not None and standing.holds(one.time):
                labelled[position] = msgspec.structs.replace(one, hidden_by=standing.label)
        return tuple(labelled)

    def _hide(self, labelled: list[Sighting]) -> None:
        """Label those that filters hide."""
        wanted = {
            position: found for position, one in enumerate(labelled) if (found := self._candidates(one.indicator))
        }
        positions = list(wanted)
        for batch, rows in batches_of([labelled[position] for position in positions]):
            matched, _ = self._hunter.match_batch(batch)
            for row, variants in matched.items():
                position = positions[rows[row]]
                filters = {self._plan.filter_variants[variant].rule for variant in variants} & wanted[position]
                if filters:
                    hidden_by = self._plan.filters[min(filters)].indicator.id
                    labelled[position] = msgspec.structs.replace(labelled[position], hidden_by=hidden_by)

    def _candidates(self, rule: str) -> frozenset[int]:
        """Return the filters that name a rule."""
        if rule not in self._of_rule:
            name, source = self._rules.get(rule, ("", None))
            self._of_rule[rule] = frozenset(
                number for number, filter_ in self._filters if _applies(filter_, rule, name, source)
            )
        return self._of_rule[rule]


def _applies(filter_: FilterRule, rule: str, name: str, logsource: LogSource | None) -> bool:
    """A filter applies to the rules that it names (or to any) of its log source; a dismissal to those of its ids."""
    if filter_.anywhere:
        return rule in filter_.rules or rule.partition("#")[0] in filter_.rules
    if filter_.rules and rule not in filter_.rules and (not name or name not in filter_.rules):
        return False
    if logsource is None:  # no Sigma rule of one event: named outright, or not meant
        return bool(filter_.rules)
    return all(
        getattr(filter_.logsource, part) in (None, getattr(logsource, part))
        for part in ("category", "product", "service")
    )


def batches_of(sightings: Sequence[Sighting]) -> Iterable[tuple[EventBatch, list[int]]]:
    """Yield the events of sightings as batches, each with the positions of its rows in `sightings`."""
    groups: dict[tuple[str, str], list[int]] = {}
    for position, sighting in enumerate(sightings):
        groups.setdefault((sighting.format, sighting.channel), []).append(position)
    for (format_, channel), members in groups.items():
        for start in range(0, len(members), _ROWS):
            rows = members[start : start + _ROWS]
            table = _table([sightings[position] for position in rows])
            yield EventBatch("", "", 0, format_, channel, table), rows


def _table(sightings: Sequence[Sighting]) -> pa.Table:
    count = len(sightings)
    columns: dict[str, pa.Array] = {
        "time": pa.array([one.time for one in sightings], pa.int64()).cast(pa.timestamp("us", tz="UTC")),
        "time_text": pa.nulls(count, pa.string()),
        "host": pa.array([one.host for one in sightings], pa.string()).cast(_WORD),
        "record": pa.array([one.record for one in sightings], pa.int64()),
        "offset": pa.array([one.offset for one in sightings], pa.int64()),
        "record_id": pa.nulls(count, pa.int64()),
        "provider": pa.array([one.provider or None for one in sightings], pa.string()).cast(_WORD),
        "event_id": pa.array([one.event_id or None for one in sightings], pa.string()).cast(_WORD),
    }
    assert list(columns) == FIXED_SCHEMA.names  # noqa: S101 - the seam's own order
    cells: dict[str, list[str | None]] = {}
    for row, sighting in enumerate(sightings):
        for name, value in sighting.fields.items():
            column = cells.setdefault(field_column(name, _KINDS.get(type(value), "l")), [None] * count)
            column[row] = cell_text(value)
    for name, texts in cells.items():
        columns[name] = pa.array(texts, pa.string()).cast(_WORD)
    return pa.table(columns)
