"""What an answer rests on: what was looked at, and which rules could have found something there at all.

"Not seen" says little where the log source was missing, or a field that a rule needs is never filled. While
events are hunted, `describe_batch` notes for each log its hosts and times, its kinds of events and its fields;
`Coverage` adds the notes up, and holds the plan against them. A rule *could have fired* where the evidence has
a kind of event that opens its gate, and at least one field (or keyword) on which one of its conditions rests.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from aleat.evidence.batch import EventBatch, split_column
from aleat.evidence.readers.file import FILE_FORMAT
from aleat.hunt.alerts import AlertHunter
from aleat.hunt.expression import Atom, Everywhere, Fact, Field, FieldsMatch, Joined, View, normalise_name
from aleat.hunt.matcher import Matcher
from aleat.hunt.object_views import UNDER
from aleat.hunt.plan import FACT_FIELDS, Plan, Tree, atom_numbers

__all__ = [
    "Coverage",
    "CoverageBuilder",
    "HostRow",
    "KindRow",
    "LogNotes",
    "LogSourceRow",
    "Openings",
    "describe_batch",
    "describe_parts",
]

Kind = tuple[str, str, str, str]
"""(format, channel, provider, event id)."""


class HostRow(msgspec.Struct, frozen=True, gc=False):
    """Events of one host in one log; times in microseconds since 1970, None where no event has one."""

    host: str
    format: str
    channel: str
    first: int | None
    last: int | None
    events: int
    evidence: int = 0
    """How many sources they come from."""


class KindRow(msgspec.Struct, frozen=True, gc=False):
    """Events of one kind in one log."""

    provider: str
    event_id: str
    events: int


class LogNotes(msgspec.Struct, frozen=True):
    """What one batch (or one segment's part) holds of one log."""

    format: str
    channel: str
    hosts: tuple[HostRow, ...]
    kinds: tuple[KindRow, ...]
    fields: tuple[str, ...]


class LogSourceRow(msgspec.Struct, frozen=True):
    """A log that was seen, and how many rules could have fired there."""

    format: str
    channel: str
    events: int
    rules: int


class Coverage(msgspec.Struct, frozen=True):
    """What a hunt looked at, and what could have been found there.

    `rules_that_could_fire` are positions in `Plan.rules`; `without_log_source` and `without_field` those that
    could not, by why. `logs_without_rules` are those of `logs` that no rule reads (lists read all of
    them, YARA rules the long values of all of them, and all files).
    """

    hosts: tuple[HostRow, ...] = ()
    logs: tuple[LogSourceRow, ...] = ()
    rules_that_could_fire: tuple[int, ...] = ()
    without_log_source: tuple[int, ...] = ()
    without_field: tuple[int, ...] = ()

    @property
    def logs_without_rules(self) -> tuple[LogSourceRow, ...]:
        """The logs that no rule reads."""
        return tuple(row for row in self.logs if not row.rules)


def describe_batch(batch: EventBatch) -> LogNotes:
    """Return what a batch holds: its hosts and times, kinds of events, and fields that are filled."""
    return _Described(batch).part(0, batch.table.num_rows)


def describe_parts(batch: EventBatch, starts: Sequence[int]) -> Iterator[tuple[int, LogNotes]]:
    """Yield (part, what it holds) for the parts of a batch whose records begin with `starts`, empty ones left out.

    The fields are those of the whole batch.
    """
    described = _Described(batch)
    records = batch.table["record"].to_numpy()
    places = [*np.searchsorted(records, np.asarray(starts, np.int64)).tolist(), len(records)]
    for number, (first, last) in enumerate(itertools.pairwise(places)):
        if first < last:
            yield number, described.part(first, last)


class _Described:
    """A batch's facts as numbers, to be summed up by row ranges."""

    def __init__(self, batch: EventBatch) -> None:
        table = batch.table
        self._log = batch.format, batch.channel
        self._hosts = _words(table["host"])
        self._providers = _words(table["provider"])
        self._event_ids = _words(table["event_id"])
        time = table["time"].cast(pa.int64())
        self._times = pc.fill_null(time, 0).to_numpy()
        self._timed = pc.is_valid(time).to_numpy()
        self._fields = tuple(sorted({split[0] for name in table.column_names if (split := split_column(name))}))

    def part(self, first: int, last: int) -> LogNotes:
        """Return what rows `first` to `last` hold."""
        rows = slice(first, last)
        return LogNotes(*self._log, tuple(self._host_rows(rows)), tuple(self._kind_rows(rows)), self._fields)

    def _host_rows(self, rows: slice) -> Iterator[HostRow]:
        names, codes = self._hosts
        here, times, timed = codes[rows], self._times[rows], self._timed[rows]
        for code, count in sorted(_counts(here), key=lambda pair: names[pair[0]]):
            inside = times[timed if count == len(here) else timed & (here == code)]
            first, last = (int(inside.min()), int(inside.max())) if len(inside) else (None, None)
            yield HostRow(names[code], *self._log, first, last, count)

    def _kind_rows(self, rows: slice) -> Iterator[KindRow]:
        (providers, one), (event_ids, other) = self._providers, self._event_ids
        both = one[rows].astype(np.int64) * len(event_ids) + other[rows]
        found = [(*divmod(code, len(event_ids)), count) for code, count in _counts(both)]
        for provider, event_id, count in sorted(found, key=lambda row: (providers[row[0]], event_ids[row[1]])):
            yield KindRow(providers[provider], event_ids[event_id], count)


def _counts(codes: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    values, counts = np.unique(codes, return_counts=True)
    return list(zip(values.tolist(), counts.tolist(), strict=True))


def _words(column: pa.ChunkedArray) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Return distinct texts, and each row's place among them; a null is the empty text."""
    if len(column.chunks) != 1 or not pa.types.is_dictionary(column.type):
        column = pc.dictionary_encode(column.cast(pa.string()).combine_chunks())
    array = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
    texts: dict[str, int] = {}
    place = [texts.setdefault(text or "", len(texts)) for text in [*array.dictionary.to_pylist(), ""]]
    codes = array.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return list(texts), np.asarray(place, np.int64)[codes]


class CoverageBuilder:
    """Adds up the notes of a hunt."""

    def __init__(self) -> None:
        self._hosts: dict[tuple[str, str, str], list[Any]] = {}
        self._kinds: dict[Kind, int] = {}
        self._fields: dict[tuple[str, str], set[str]] = {}

    def add(self, notes: Iterable[LogNotes], source: str) -> None:
        """Add what one segment holds; `source` names where it is from."""
        for item in notes:
            self._fields.setdefault((item.format, item.channel), set()).update(map(normalise_name, item.fields))
            for kind in item.kinds:
                key = (item.format, item.channel, kind.provider, kind.event_id)
                self._kinds[key] = self._kinds.get(key, 0) + kind.events
            for row in item.hosts:
                self._add_host(row, source)

    def _add_host(self, row: HostRow, source: str) -> None:
        known = self._hosts.setdefault((row.host, row.format, row.channel), [row.first, row.last, 0, set()])
        known[0] = _earlier(known[0], row.first, min)
        known[1] = _earlier(known[1], row.last, max)
        known[2] += row.events
        known[3].add(source)

    def coverage(self, plan: Plan) -> Coverage:
        """Return the sum, held against a plan."""
        hosts = tuple(
            HostRow(host, format, channel, first, last, events, len(sources))
            for (host, format, channel), (first, last, events, sources) in sorted(self._hosts.items())
        )
        gates = _Gates(plan)
        opened: set[int] = set()
        could: set[int] = set()
        per_log: dict[tuple[str, str], set[int]] = {}
        for kind in sorted(self._kinds):
            log = kind[:2]
            fields = self._fields[log]
            for number in gates.open_variants(kind, frozenset(fields & FACT_FIELDS.keys())):
                variant = plan.variants[number]
                opened.add(variant.rule)
                if variant.triggers is None or any(gates.is_present(atom, fields) for atom in variant.triggers):
                    could.add(variant.rule)
                    per_log.setdefault(log, set()).add(variant.rule)
        everywhere = {indicator.id for indicator in plan.lists}
        alerts = AlertHunter(plan.alerts)
        could |= {place for place, rule in enumerate(plan.rules) if rule.indicator.id in everywhere and self._kinds}
        logs = tuple(
            LogSourceRow(*log, sum(count for kind, count in self._kinds.items() if kind[:2] == log), rules)
            for log in sorted(self._fields)
            for rules in [
                len(per_log.get(log, ())) + (len(plan.yara) if log[0] == FILE_FORMAT else 0) + alerts.opens(*log)
            ]
        )
        rest = set(range(len(plan.rules))) - could
        return Coverage(
            hosts,
            logs,
            tuple(sorted(could)),
            tuple(sorted(rest - opened)),
            tuple(sorted(rest & opened)),
        )


def _earlier(one: int | None, other: int | None, choose: Callable[[int, int], int]) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return choose(one, other)


class Openings:
    """Says of a plan whether it could find anything at all in what notes describe."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._gates = _Gates(plan)
        self._alerts = AlertHunter(plan.alerts)

    def any_in(self, notes: Iterable[LogNotes]) -> bool:
        """Return False only where no variant's gate is open, or none of its triggers' fields is there, nor an alert."""
        for item in notes:
            if any(
                self._alerts.opens_kind((item.format, item.channel, kind.provider, kind.event_id))
                for kind in item.kinds
            ):
                return True
            fields = set(map(normalise_name, item.fields))
            payload = frozenset(fields & FACT_FIELDS.keys())
            opened: set[int] = set()
            for kind in item.kinds:
                opened.update(
                    self._gates.open_variants((item.format, item.channel, kind.provider, kind.event_id), payload)
                )
            for number in opened:
                triggers = self._plan.variants[number].triggers
                if triggers is None or any(self._gates.is_present(atom, fields) for atom in triggers):
                    return True
        return False


class _Gates:
    """The gates of a plan's variants, evaluated on kinds of events; equal gates and equal facts once."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._groups: dict[str, tuple[Tree, list[int]]] = {}
        for number, variant in enumerate(plan.variants):
            self._groups.setdefault(repr(variant.gate), (variant.gate, []))[1].append(number)
        self._matchers: dict[str, Matcher] = {}
        self._payload_atoms: dict[str, set[int]] = {}
        for gate, _ in self._groups.values():
            for atom, _ in atom_numbers(gate):
                self._add(atom)
        self._passed: dict[tuple[str, str], frozenset[int]] = {}
        self._open: dict[tuple[frozenset[int], frozenset[str]], list[int]] = {}

    def _add(self, atom: int) -> None:
        leaf = self._plan.atoms[atom]
        assert isinstance(leaf, Atom)  # noqa: S101 - a gate holds tests of facts only
        assert isinstance(leaf.subject, Field | Fact)  # noqa: S101
        name = leaf.subject.name
        fact = name if isinstance(leaf.subject, Fact) else FACT_FIELDS[name]
        known = self._payload_atoms.setdefault(name, set())
        if atom not in known:
            known.add(atom)
            self._matchers.setdefault(fact, Matcher()).add(atom, leaf.test)

    def open_variants(self, kind: Kind, payload: frozenset[str]) -> list[int]:
        """Return the variants that a kind of event can be; `payload` are facts' names that its fields have too."""
        hits: set[int] = set()
        for fact, text in zip(("format", "channel", "provider", "event_id"), kind, strict=True):
            hits |= self._passing(fact, text)
        key = frozenset(hits), payload
        if key in self._open:
            return self._open[key]
        unsure = set().union(*(self._payload_atoms.get(name, set()) for name in payload))
        found = self._open[key] = []
        for gate, members in self._groups.values():
            if _holds(gate, hits, unsure) is not False:
                found += members
        return found

    def _passing(self, fact: str, text: str) -> frozenset[int]:
        passed = self._passed.get((fact, text))
        if passed is None:
            matcher = self._matchers.get(fact)
            numbers: set[int] = set()
            if matcher is not None and text:
                numbers.update(matcher.present, matcher.match([text])[0])
            passed = self._passed[fact, text] = frozenset(numbers)
        return passed

    def is_present(self, atom: int, fields: set[str]) -> bool:
        """Say whether an atom's subject is among the fields of a log."""
        leaf = self._plan.atoms[atom]
        if isinstance(leaf, FieldsMatch):
            return all(not isinstance(side, Field | View) or side.name in fields for side in (leaf.left, leaf.right))
        subject = leaf.subject
        if isinstance(subject, View) and subject.transform == UNDER:
            return any(name.startswith(f"{subject.name}.") for name in fields)
        if isinstance(subject, Field | View):
            return subject.name in fields or subject.name in FACT_FIELDS
        if isinstance(subject, Joined):
            return any(name in fields for name in subject.names)
        return isinstance(subject, Everywhere | Fact)


def _holds(tree: Tree, hits: set[int], unsure: set[int]) -> bool | None:
    """Evaluate a gate over three values: an atom that a payload field could pass too is None unless it passed."""
    if isinstance(tree, bool):
        return tree
    if isinstance(tree, int):
        return True if tree in hits else None if tree in unsure else False
    values = [_holds(child, hits, unsure) for child in tree[1:]]
    if tree[0] == "!":
        return None if values[0] is None else not values[0]
    decisive = tree[0] == "|"
    if decisive in values:
        return bool(decisive)
    return None if None in values else not decisive
