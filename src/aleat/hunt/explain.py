"""Why a rule did or did not match one event: every variant, branch and atom with the value that it saw.

`explain` asks the engine itself: each atom of the rule is evaluated over the one event as a rule of its own, so
that an explanation can't differ from a hunt. It also says whether the rule could match anywhere in the evidence
(`reach`), and which of its fields no log of its kinds ever has. All is data; the words are the skins'.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec
import pyarrow as pa

from aleat.errors import InputError, RuleError
from aleat.evidence.batch import EventBatch, split_column
from aleat.hunt.alerts import alert_of, names_alert
from aleat.hunt.columns import Column, Table, cells_of
from aleat.hunt.coverage import Coverage, LogNotes
from aleat.hunt.engine import Hunter
from aleat.hunt.expression import (
    Atom,
    Exists,
    Fact,
    Field,
    FieldsMatch,
    Joined,
    Network,
    Number,
    Order,
    Regex,
    Subject,
    Test,
    Text,
    TimePart,
    View,
    Wildcard,
    fold,
    normalise_name,
)
from aleat.hunt.filters import apply_filters
from aleat.hunt.indicator import Indicator, NotEvaluated
from aleat.hunt.lists import ListHunter
from aleat.hunt.object_views import UNDER
from aleat.hunt.plan import FACT_FIELDS, Plan, Tree, Variant, atom_numbers
from aleat.hunt.rows import RowReader
from aleat.hunt.trees import make_predicate
from aleat.hunt.views import view
from aleat.hunt.yara import compile_rules, compile_strings
from aleat.hunt.yara_hunt import FileContent, YaraHunter, YaraSet, gap_issues, long_fields

__all__ = [
    "AtomTrace",
    "Branch",
    "Explanation",
    "Seen",
    "VariantTrace",
    "explain",
    "explain_alert",
    "fields_by_format",
    "find_rule",
]

Reach = Literal["could-match", "no-log-source", "no-field", "not-evaluated", "unknown"]
_RANKS: tuple[Reach, ...] = ("not-evaluated", "no-log-source", "no-field", "unknown", "could-match")
"""What needs several rules is within reach as the least of them."""
_KIND_OF_TREE: dict[str, Literal["all", "any", "not"]] = {"&": "all", "|": "any", "!": "not"}
_LISTED = 5


class Seen(msgspec.Struct, frozen=True):
    """A cell that an atom looked at: its field ("" for a fact), its text, and whether it passed."""

    field: str
    text: str
    passed: bool


class AtomTrace(msgspec.Struct, frozen=True):
    """One test on one subject, and what it saw.

    `subject` is a field's name as rules are compared (folded, without spaces), or a fact's; `test` a word of
    `aleat.hunt.expression` ("equals", "contains", "wildcard", "regex", "within", "lt", "exists" …) and `value`
    what was compared with. `reason` says why it failed: the field is "absent" or "null", or its value "differs".
    """

    subject: str
    test: str
    value: str
    cased: bool
    passed: bool
    reason: Literal["", "absent", "null", "differs"]
    seen: tuple[Seen, ...]


class Branch(msgspec.Struct, frozen=True):
    """A node of a variant's tree: "all" or "any" of its children, "not" its child, an "atom", or a "constant".

    Of a YARA rule: its "strings", which its condition weighs; `holds` says whether the condition does.
    """

    kind: Literal["all", "any", "not", "atom", "constant", "strings"]
    holds: bool
    children: tuple[Branch, ...] = ()
    atom: AtomTrace | None = None


class VariantTrace(msgspec.Struct, frozen=True):
    """One variant of a rule (a kind of evidence with that kind's field names) over the event."""

    name: str
    formats: tuple[str, ...]
    holds: bool
    tree: Branch


class Explanation(msgspec.Struct, frozen=True):
    """Why a rule did or did not match an event.

    `matches` says whether the event matches: for a "list" whether one of its values stands in it (`found`:
    title and the (field, text) pairs), for a "correlation" or a "pattern" over several events whether it counts
    for one of its `parts`; for a "yara" rule `variants` are the cells that it is evaluated over ("content": the file's
    bytes), each with the rule's strings; for another tool's "alert" `found` says where it names its rule. `hidden_by`
    is the filter that hides it. `reach` tells whether the rule could match anywhere in the evidence; `absent_fields`
    are its fields that no log of its kinds has.
    """

    indicator: str
    ref: str
    title: str
    kind: Literal["rule", "list", "correlation", "pattern", "yara", "alert", "not-evaluated"]
    matches: bool
    variants: tuple[VariantTrace, ...] = ()
    parts: tuple[Explanation, ...] = ()
    found: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()
    not_evaluated: tuple[NotEvaluated, ...] = ()
    hidden_by: str | None = None
    reach: Reach = "unknown"
    absent_fields: tuple[str, ...] = ()


def fields_by_format(notes: Iterable[LogNotes]) -> dict[str, frozenset[str]]:
    """Return the (normalised) names of the fields that the logs of each format have."""
    found: dict[str, set[str]] = {}
    for note in notes:
        found.setdefault(note.format, set()).update(map(normalise_name, note.fields))
    return {format_: frozenset(names) for format_, names in found.items()}


def find_rule(plan: Plan, name: str) -> str:
    """Return the id of the rule that `name` is: its own id, its STIX id, its short name or its title.

    Raises `RuleError` where there is none, or where a title is that of several.
    """
    patterns = {item.id for item in plan.patterns}
    known: dict[str, Indicator] = {
        item.id: item for item in _indicators(plan) if item.id.rpartition("[")[0] not in patterns
    }
    rejected = {row.indicator.partition("#")[0]: row.title for row in plan.not_evaluated}
    if name in known or name in rejected:
        return name
    short = {rule.indicator.id for rule in plan.rules if rule.name == name}
    short |= {rule.indicator.id for rule in plan.correlations if rule.name == name}
    by_ref = {item.id for item in known.values() if item.ref == name}
    titled = {item.id for item in known.values() if fold(item.title) == fold(name)}
    titled |= {identifier for identifier, title in rejected.items() if fold(title) == fold(name)}
    for found in (by_ref, short, titled):
        if len(found) == 1:
            return found.pop()
        if found:
            listed = ", ".join(sorted(found)[:_LISTED])
            raise RuleError(f"{len(found)} rules are called {name[:80]!r}.", advice=f"Give an id: {listed} …")
    raise RuleError(f"There is no rule {name[:80]!r} among those that are hunted for.", advice="Give its id or title.")


def explain(
    plan: Plan,
    rule: str,
    batch: EventBatch,
    row: int,
    *,
    coverage: Coverage | None = None,
    fields: Mapping[str, frozenset[str]] | None = None,
    content: FileContent | None = None,
) -> Explanation:
    """Explain a rule (as `find_rule` finds it) over the event in `row` of `batch`.

    `coverage` (a hunt's) and `fields` (see `fields_by_format`) tell what evidence there is; without them `reach`
    is "unknown". `content` is the file that a record of format "file" is about, for YARA rules. Raises `RuleError`
    where there is no such rule, `InputError` where there is no such row.
    """
    if not 0 <= row < batch.table.num_rows:
        raise InputError(f"There is no row {row} among {batch.table.num_rows} events.")
    return _Explainer(plan, _one_event(batch, row), coverage, fields or {}, content).explain(find_rule(plan, rule))


def explain_alert(plan: Plan, name: str, batch: EventBatch, row: int) -> Explanation | None:
    """Explain the alert of another tool that the event in `row` is; None where it is none, or not the one named.

    `name` is the id that the tool's rule has here, its title, or tool and title (``Wazuh: sshd: …``).
    """
    raised = alert_of(batch, row)
    if raised is None or not names_alert(name, raised[0].id, raised[0].author or "", raised[0].title):
        return None
    indicator, matched = raised
    (sighting,) = apply_filters(plan, [RowReader(batch, [row]).sighting(row, indicator, matched=matched)])
    return Explanation(
        indicator.id,
        indicator.ref,
        indicator.title,
        "alert",
        True,
        found=((f"{indicator.author} raised it", matched),),
        hidden_by=sighting.hidden_by,
        reach="could-match",
    )


def _indicators(plan: Plan) -> Iterable[Indicator]:
    yield from (rule.indicator for rule in plan.rules)
    yield from plan.lists
    yield from plan.patterns
    yield from plan.yara
    yield from (rule.indicator for rule in plan.correlations)


def _one_event(batch: EventBatch, row: int) -> EventBatch:
    """Return one event as a batch with its own fields and values only."""
    table = batch.table.slice(row, 1)
    columns: dict[str, pa.ChunkedArray] = {}
    for name in table.column_names:
        column = table[name]
        if split_column(name) is not None and column.null_count:
            continue
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type).dictionary_encode()
        columns[name] = column
    return EventBatch(batch.evidence, batch.segment, batch.record_base, batch.format, batch.channel, pa.table(columns))


class _Explainer:
    """One event, and the plan that it is held against."""

    def __init__(
        self,
        plan: Plan,
        event: EventBatch,
        coverage: Coverage | None,
        fields: Mapping[str, frozenset[str]],
        content: FileContent | None,
    ) -> None:
        self.plan = plan
        self.event = event
        self.table = Table(event)
        self.coverage = coverage
        self.fields = fields
        self.content = content

    def explain(self, identifier: str) -> Explanation:
        plan = self.plan
        rejected = tuple(row for row in plan.not_evaluated if row.indicator.partition("#")[0] == identifier)
        for position, correlation in enumerate(plan.correlations):
            if correlation.indicator.id == identifier:
                return self._correlation(position, rejected)
        for pattern in plan.patterns:
            if pattern.id == identifier:
                return self._pattern(pattern, rejected)
        for indicator in plan.yara:
            if indicator.id == identifier:
                return self._yara(indicator, rejected)
        places = [place for place, rule in enumerate(plan.rules) if rule.indicator.id == identifier]
        lists = [item for item in plan.lists if item.id == identifier]
        if places or lists:
            return self._rule(places, lists, rejected)
        return Explanation(
            identifier, "", rejected[0].title, "not-evaluated", False, not_evaluated=rejected, reach="not-evaluated"
        )

    def _correlation(self, position: int, rejected: tuple[NotEvaluated, ...]) -> Explanation:
        correlation = self.plan.correlations[position]
        parts = tuple(
            self._rule([place], [], ()) if place >= 0 else self._correlation(-1 - place, ())
            for place in dict.fromkeys(correlation.rules)
        )
        return self._of_parts(correlation.indicator, "correlation", parts, rejected)

    def _pattern(self, pattern: Indicator, rejected: tuple[NotEvaluated, ...]) -> Explanation:
        names = dict.fromkeys(
            item.id
            for item in (*(rule.indicator for rule in self.plan.rules), *self.plan.lists)
            if item.id.startswith(f"{pattern.id}[")
        )
        parts = tuple(self.explain(name) for name in names)
        return self._of_parts(pattern, "pattern", parts, rejected)

    def _of_parts(
        self,
        indicator: Indicator,
        kind: Literal["correlation", "pattern"],
        parts: tuple[Explanation, ...],
        rejected: tuple[NotEvaluated, ...],
    ) -> Explanation:
        reaches: list[Reach] = [part.reach for part in parts]
        reach: Reach = min(reaches, key=_RANKS.index) if reaches else "unknown"
        matches = any(part.matches for part in parts)
        return Explanation(
            indicator.id,
            indicator.ref,
            indicator.title,
            kind,
            matches,
            parts=parts,
            not_evaluated=rejected,
            reach=reach,
        )

    def _yara(self, indicator: Indicator, rejected: tuple[NotEvaluated, ...]) -> Explanation:
        """Explain a YARA rule over each long value, or over the file."""
        hunter = YaraHunter(YaraSet([indicator], compile_rules([indicator]).data))
        found = list(hunter.hunt([self.event], self.content))
        strings = _string_traces(indicator, self.event, self.content, found[0].matched if found else ())
        unseen = tuple(
            NotEvaluated(indicator.id, indicator.title, issue.place, issue.code, issue.reason, partial=True)
            for issue in gap_issues(hunter.take_gaps(), self.event.evidence)
        )
        reach: Reach = "unknown" if self.coverage is None else "could-match" if self.coverage.logs else "no-log-source"
        return Explanation(
            indicator.id,
            indicator.ref,
            indicator.title,
            "yara",
            bool(found),
            variants=strings,
            not_evaluated=(*rejected, *unseen),
            hidden_by=apply_filters(self.plan, found)[0].hidden_by if found else None,
            reach=reach,
        )

    def _rule(self, places: list[int], lists: list[Indicator], rejected: tuple[NotEvaluated, ...]) -> Explanation:
        """Explain a rule of one event, given by its places in the plan, and by values that stand anywhere."""
        indicator = self.plan.rules[places[0]].indicator if places else lists[0]
        variants = self._variants(places)
        sightings = [sighting for item in lists for sighting in ListHunter.of([item]).hunt([self.event])]
        found = tuple((sighting.title, sighting.matched) for sighting in sightings)
        holds = any(variant.holds for variant in variants)
        matches = bool(found) or holds
        hidden_by = None
        if matches:
            whole = RowReader(self.event, [0]).sighting(0, indicator)
            labels = [one.hidden_by for one in apply_filters(self.plan, [whole, *sightings])]
            hidden_by = labels[0] or (labels[1] if found and not holds and all(labels[1:]) else None)
        return Explanation(
            indicator.id,
            indicator.ref,
            indicator.title,
            "rule" if places else "list",
            matches,
            variants=variants,
            found=found,
            not_evaluated=rejected,
            hidden_by=hidden_by,
            reach="could-match" if matches else self._reach(places, bool(lists)),
            absent_fields=self._absent_fields(places),
        )

    # ------------------------------------------------------------------------------------------ variants

    def _variants(self, places: list[int]) -> tuple[VariantTrace, ...]:
        variants = [variant for variant in self.plan.variants if variant.rule in places]
        numbers = sorted({number for variant in variants for number, _ in atom_numbers(variant.tree)})
        single = [Variant(place, "", (), number, True, None) for place, number in enumerate(numbers)]
        hunter = Hunter(self.plan, variants=single)
        matched, contributions = hunter.match_batch(self.event)
        passed = {numbers[place] for place in matched.get(0, ())}
        cells: dict[int, set[tuple[str, str]]] = {}
        for column, sets in contributions:
            code = int(column.codes[0])
            if code >= 0:
                for number in hunter.sets[int(sets[code])]:
                    cells.setdefault(number, set()).add((column.field, column.texts[code]))
        return tuple(
            VariantTrace(
                variant.name,
                variant.formats,
                make_predicate(variant.tree)(passed),
                self._branch(variant.tree, passed, cells),
            )
            for variant in variants
        )

    def _branch(self, tree: Tree, passed: set[int], cells: Mapping[int, set[tuple[str, str]]]) -> Branch:
        if isinstance(tree, bool):
            return Branch("constant", tree)
        if isinstance(tree, int):
            return Branch("atom", tree in passed, atom=self._atom(tree, tree in passed, cells.get(tree, set())))
        children = tuple(self._branch(child, passed, cells) for child in tree[1:])
        return Branch(_KIND_OF_TREE[tree[0]], make_predicate(tree)(passed), children)

    def _atom(self, number: int, passed: bool, cells: set[tuple[str, str]]) -> AtomTrace:
        leaf = self.plan.atoms[number]
        told: tuple[str, str, str, bool]
        if isinstance(leaf, FieldsMatch):
            seen = [*self._seen(leaf.left, cells, passed), *self._seen(leaf.right, cells, passed)]
            told = _name(leaf.left), leaf.op, f"({_name(leaf.right)})", leaf.cased
        else:
            seen = self._seen(leaf.subject, cells, passed)
            told = _name(leaf.subject), *_told(leaf.test)
        reason: Literal["", "absent", "null", "differs"] = "differs"
        if passed:
            reason = ""
        elif not seen:
            reason = "absent"
        elif all(item is None for item in seen):
            reason = "null"
        shown = tuple(Seen("", "", False) if item is None else item for item in seen)
        return AtomTrace(*told, passed, reason, shown if reason != "null" else ())

    def _seen(self, subject: Subject, cells: set[tuple[str, str]], passed: bool) -> list[Seen | None]:
        """Return the cells of a subject (None: a null); of everything, only those that passed."""
        if isinstance(subject, Field | View):
            found: list[Seen | None] = []
            for column in self._columns_of(subject):
                found += _cells(column, subject, cells)
            if isinstance(subject, Field) and subject.name in FACT_FIELDS:
                found += self._fact(FACT_FIELDS[subject.name], passed)
            return found
        if isinstance(subject, Fact):
            return self._fact(subject.name, passed)
        if isinstance(subject, Joined):
            column = self.table.joined(subject)
            code = int(column.codes[0])
            return [Seen("", column.texts[code], passed)] if code >= 0 else []
        return [Seen(field, text, True) for field, text in sorted(cells)]

    def _columns_of(self, subject: Field | View) -> list[Column]:
        if isinstance(subject, View) and subject.transform == UNDER:
            start = f"{subject.name}."
            return [
                self.table.column(field, kind)
                for field, kind in self.table.fields
                if normalise_name(field).startswith(start)
            ]
        return self.table.of_name(subject.name)

    def _fact(self, name: str, passed: bool) -> list[Seen | None]:
        if name == "format":
            return [Seen("", self.event.format, passed)]
        column = self.table.fixed(name)
        code = int(column.codes[0])
        return [Seen("", column.texts[code], passed)] if code >= 0 else []

    # --------------------------------------------------------------------------------------------- reach

    def _reach(self, places: list[int], anywhere: bool) -> Reach:
        if self.coverage is None:
            return "unknown"
        if anywhere or not set(places).isdisjoint(self.coverage.rules_that_could_fire):
            return "could-match"
        return "no-field" if not set(places).isdisjoint(self.coverage.without_field) else "no-log-source"

    def _absent_fields(self, places: list[int]) -> tuple[str, ...]:
        """Return the fields of a rule that no log has, of the formats of which there is any."""
        found: dict[str, None] = {}
        for variant in self.plan.variants:
            formats = [self.fields[name] for name in variant.formats if name in self.fields]
            if variant.rule not in places or not formats:
                continue
            known = frozenset().union(*formats)
            for number, _ in atom_numbers(variant.tree):
                leaf = self.plan.atoms[number]
                subject = leaf.subject if isinstance(leaf, Atom) else leaf.left
                if isinstance(subject, View) and subject.transform == UNDER:
                    continue
                if isinstance(subject, Field | View) and subject.name not in known | FACT_FIELDS.keys():
                    found[subject.name] = None
        return tuple(found)


def _string_traces(
    indicator: Indicator, event: EventBatch, content: FileContent | None, matched: tuple[tuple[str, str], ...]
) -> tuple[VariantTrace, ...]:
    """Return for each cell that a YARA rule is evaluated over which of the rule's strings stand in it."""
    compiled, names = compile_strings(indicator)
    seen: dict[str, list[str]] = {}
    for one in YaraHunter(YaraSet([indicator], compiled.data)).hunt([event], content):
        for field, text in one.matched:
            seen.setdefault(field, []).append(text)
    holding = {field for field, _ in matched}
    cells = ["content"] if content is not None else long_fields(event)
    return tuple(
        VariantTrace(
            field,
            (event.format,),
            field in holding,
            Branch("strings", field in holding, tuple(_string_trace(name, seen.get(field, ())) for name in names)),
        )
        for field in cells
    )


def _string_trace(name: str, told: Sequence[str]) -> Branch:
    """Return a string of a YARA rule as an atom; `told` are ``$name at offset: text``."""
    own = [text.removeprefix(f"{name} ") for text in told if text.startswith(f"{name} at ")]
    cells = tuple(Seen("", text, True) for text in own)
    return Branch(
        "atom", bool(own), atom=AtomTrace(name, "found", "", True, bool(own), "" if own else "differs", cells)
    )


def _cells(column: Column, subject: Field | View, cells: set[tuple[str, str]]) -> list[Seen | None]:
    code = int(column.codes[0])
    if code < 0:
        return []
    text = column.texts[code]
    passed = (column.field, text) in cells
    if isinstance(subject, View):
        plain, floats, _ = cells_of(column.kind, text)
        parts = [part for cell in plain + floats for part in view(subject.transform, cell, subject.argument)]
        return [Seen(column.field, part, passed) for part in parts]
    return [None] if column.kind == "n" and not passed else [Seen(column.field, text, passed)]


def _name(subject: Subject) -> str:
    """Return how a subject is called: a field's or fact's name, with what is done to it."""
    if isinstance(subject, Field | Fact):
        return subject.name
    if isinstance(subject, View):
        argument = f" {subject.argument}" if subject.argument else ""
        return f"{subject.name} ({subject.transform}{argument})"
    return subject.separator.join(subject.names) if isinstance(subject, Joined) else "*"


def _told(test: Test) -> tuple[str, str, bool]:
    """Return a test's word, what it compares with, and whether case counts."""
    told = "null", "", False
    if isinstance(test, Exists):
        told = "exists", "", False
    elif isinstance(test, Text):
        told = test.op, test.value, test.cased
    elif isinstance(test, Wildcard):
        shown = "".join(part if isinstance(part, str) else "?" * part or "*" for part in test.parts)
        told = "wildcard", shown, test.cased
    elif isinstance(test, Regex):
        told = "regex", f"(?{test.flags}){test.pattern}" if test.flags else test.pattern, "i" not in test.flags
    elif isinstance(test, Network):
        told = test.relation, test.network, False
    elif isinstance(test, Number | Order):
        told = test.op, str(test.value), True
    elif isinstance(test, TimePart):
        told = f"{test.part} {test.op}", str(test.value), True
    return told
