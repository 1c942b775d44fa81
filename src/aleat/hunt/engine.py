"""The hot path: a plan over batches of events, by distinct values instead of events.

For each batch, the `Hunter`

1. reads the facts (format, channel, provider, event id) and opens the gates of the variants that could apply;
   for each combination of facts that is worked out once (`_Active`);
2. looks only at the columns that those variants name, and in each only at the texts it hasn't met before: a
   text becomes the number of the *set of atoms* that it passes, nearly always the empty one, 0;
3. adds the columns' set numbers up to a row's *signature*: rows with equal signatures match the same rules, so
   the trees are evaluated once for each new signature, by set operations over atom numbers, and only those of
   variants that one of the atoms triggers;
4. turns the rows that matched something into sightings.

An absent field passes no atom, hence contributes nothing; `IsNull` is compiled to "a null passed, or nothing
was present". What was learnt is kept between batches and segments in one process, and dropped as a whole when
it outgrows `memory` bytes. The result depends on nothing but the plan and the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from aleat.evidence.batch import EventBatch
from aleat.hunt.columns import Codes, Column, Table, cells_of, compare_columns, unique_rows
from aleat.hunt.expression import (
    Atom,
    Everywhere,
    Fact,
    Field,
    FieldsMatch,
    Joined,
    Subject,
    View,
    normalise_name,
)
from aleat.hunt.indicator import SegmentResult, Sighting
from aleat.hunt.keywords import KeywordScanner
from aleat.hunt.lists import ListHunter
from aleat.hunt.matcher import Matcher
from aleat.hunt.object_views import UNDER
from aleat.hunt.plan import FACT_FIELDS, Plan, Tree, Variant, atom_numbers
from aleat.hunt.rows import RowReader
from aleat.hunt.trees import Predicate, evaluate_gate, make_predicate
from aleat.hunt.views import view

__all__ = ["Hunter", "hunt_segment", "is_among"]

_MEMORY = 96_000_000
_PER_TEXT = 120  # bytes of a cached text beside its characters
_PER_ATOM = 36
_PER_SIGNATURE = 400
_EVERYWHERE = Everywhere()
_TEXT_KINDS = "sib"


def hunt_segment(plan: Plan, batches: Iterable[EventBatch]) -> SegmentResult:
    """Return what `plan` finds in the batches of one segment. Pure; a `Hunter` does the same, and remembers."""
    return Hunter(plan).hunt(batches)


class _Contribution(NamedTuple):
    """What a column adds to the rows' signatures: for each of its codes the number of a set of atoms."""

    column: Column
    sets: npt.NDArray[np.int64]  # by code; the last entry, 0, is for absent cells (code -1)


class _Active:
    """The variants whose gates are open under some facts, indexed by the atoms that trigger them."""

    def __init__(self, hunter: Hunter, variants: tuple[int, ...]) -> None:
        self.variants = variants
        self.always: list[int] = []
        self.triggered: dict[int, list[int]] = {}
        subjects: set[int] = set()
        self.everywhere: set[int] = set()
        self.matches: set[int] = set()
        for number in variants:
            variant = hunter.variants[number]
            if variant.triggers is None:
                self.always.append(number)
            else:
                for atom in variant.triggers:
                    self.triggered.setdefault(atom, []).append(number)
            for atom in hunter.numbers_of(number):
                subject = hunter.subject_of[atom]
                if subject == -1:
                    self.matches.add(atom)
                elif hunter.subjects[subject] == _EVERYWHERE:
                    self.everywhere.add(atom)
                else:
                    subjects.add(subject)
        self.subjects = frozenset(subjects)

    def find(self, hunter: Hunter, hits: set[int]) -> tuple[int, ...]:
        """Return the variants that are true where exactly the atoms `hits` pass."""
        candidates = set(self.always)
        triggered = self.triggered
        for atom in hits:
            if atom in triggered:
                candidates.update(triggered[atom])
        return tuple(sorted(number for number in candidates if hunter.predicate(number)(hits)))


class Hunter:
    """A plan made ready to hunt, with what it has learnt about texts; one for each process."""

    def __init__(self, plan: Plan, *, variants: Sequence[Variant] | None = None, memory: int = _MEMORY) -> None:
        self.plan = plan
        self.variants = plan.variants if variants is None else variants
        self.memory = memory
        self.subjects: list[Subject] = []
        self.subject_of: list[int] = []
        self._by_name: dict[str, list[int]] = {}
        self._under: dict[str, list[int]] = {}
        self._by_fact: dict[str, list[int]] = {}
        self._joined: list[int] = []
        self._atoms_of: dict[int, list[int]] = {}
        self._numbers: dict[int, tuple[int, ...]] = {}
        self._index_subjects()
        self._matchers: dict[int, Matcher] = {}
        self._scanners: dict[frozenset[int], KeywordScanner] = {}
        self._positive: dict[int, frozenset[int]] = {}
        self._predicates: dict[int, Predicate] = {}
        self._gates = self._group_gates()
        self._active_sets: dict[tuple[int, ...], _Active] = {}
        self._lists = ListHunter.of(plan.lists) if plan.lists and variants is None else None
        self._forget()

    # ------------------------------------------------------------------------------------ what is kept

    def _forget(self) -> None:
        """Start anew with an empty memory of texts, sets of atoms and signatures."""
        self._known: dict[tuple[int, str], dict[str, int]] = {}
        self._set_numbers: dict[tuple[int, ...], int] = {(): 0}
        self.sets: list[tuple[int, ...]] = [()]
        self._found: dict[tuple[int, ...], tuple[int, ...]] = {}
        self._by_facts: dict[tuple[Any, ...], _Active] = {}
        self._bytes = 0

    def set_number(self, atoms: Iterable[int]) -> int:
        """Return the number of a set of atoms."""
        key = tuple(sorted(set(atoms)))
        number = self._set_numbers.get(key)
        if number is None:
            number = self._set_numbers[key] = len(self.sets)
            self.sets.append(key)
            self._bytes += _PER_TEXT + _PER_ATOM * len(key)
        return number

    def _index_subjects(self) -> None:
        """Number the subjects, and sort under them the atoms that these variants use (of a plan cut down, not all)."""
        numbers: dict[Subject, int] = {}
        used = {atom for variant in range(len(self.variants)) for atom in self.numbers_of(variant)}
        used |= {atom for variant in self.variants for atom, _ in atom_numbers(variant.gate)}
        for atom, leaf in enumerate(self.plan.atoms):
            if isinstance(leaf, FieldsMatch):
                self.subject_of.append(-1)
                continue
            number = numbers.setdefault(leaf.subject, len(numbers))
            self.subject_of.append(number)
            if atom in used:
                self._atoms_of.setdefault(number, []).append(atom)
        self.subjects = list(numbers)
        for number, subject in enumerate(self.subjects):
            if isinstance(subject, View) and subject.transform == UNDER:
                self._under.setdefault(subject.name, []).append(number)
            elif isinstance(subject, Field | View):
                self._by_name.setdefault(subject.name, []).append(number)
                fact = FACT_FIELDS.get(subject.name)
                if fact:
                    self._by_fact.setdefault(fact, []).append(number)
            elif isinstance(subject, Fact):
                self._by_fact.setdefault(subject.name, []).append(number)
            elif isinstance(subject, Joined):
                self._joined.append(number)

    def _matcher(self, subject: int) -> Matcher:
        matcher = self._matchers.get(subject)
        if matcher is None:
            matcher = self._matchers[subject] = Matcher()
            for atom in self._atoms_of.get(subject, ()):
                matcher.add(atom, self._test(atom))
        return matcher

    def _test(self, atom: int) -> Any:
        leaf = self.plan.atoms[atom]
        assert isinstance(leaf, Atom)  # noqa: S101 - matches of fields have no subject, and never come here
        return leaf.test

    def numbers_of(self, variant: int) -> tuple[int, ...]:
        """Return the atoms of a variant."""
        numbers = self._numbers.get(variant)
        if numbers is None:
            numbers = self._numbers[variant] = tuple({n for n, _ in atom_numbers(self.variants[variant].tree)})
        return numbers

    def _positive_atoms(self, variant: int) -> frozenset[int]:
        atoms = self._positive.get(variant)
        if atoms is None:
            tree = self.variants[variant].tree
            atoms = self._positive[variant] = frozenset(atom for atom, positive in atom_numbers(tree) if positive)
        return atoms

    def predicate(self, variant: int) -> Predicate:
        """Return a variant's tree as a function of the atoms that pass."""
        predicate = self._predicates.get(variant)
        if predicate is None:
            predicate = self._predicates[variant] = make_predicate(self.variants[variant].tree)
        return predicate

    # ------------------------------------------------------------------------------------------- gates

    def _group_gates(self) -> list[tuple[Tree, list[int]]]:
        groups: dict[str, tuple[Tree, list[int]]] = {}
        for number, variant in enumerate(self.variants):
            groups.setdefault(repr(variant.gate), (variant.gate, []))[1].append(number)
        return list(groups.values())

    def _active(self, facts: tuple[int, ...], unsure: frozenset[int]) -> _Active:
        """Return the variants open where the sets `facts` pass; `unsure` are subjects that payloads hold too."""
        key = (facts, unsure)
        active = self._by_facts.get(key)
        if active is None:
            hits = {atom for number in facts for atom in self.sets[number]}
            open_: list[int] = []
            for gate, members in self._gates:
                if evaluate_gate(gate, hits, lambda atom: self.subject_of[atom] in unsure) is not False:
                    open_ += members
            variants = tuple(sorted(open_))
            active = self._active_sets.get(variants)
            if active is None:
                active = self._active_sets[variants] = _Active(self, variants)
            self._by_facts[key] = active
        return active

    # -------------------------------------------------------------------------------------------- hunt

    def columns(self) -> frozenset[str] | None:
        """Return the (normalised) names of all fields that can decide anything here; None: every field can.

        A name that ends in a dot stands for all that begin so (see `is_among`).
        """
        names = set(FACT_FIELDS)
        for number in self._atoms_of:
            subject = self.subjects[number]
            if subject == _EVERYWHERE:
                return None
            names.update(_names_of(subject))
        for variant in range(len(self.variants)):
            for atom in self.numbers_of(variant):
                leaf = self.plan.atoms[atom]
                if isinstance(leaf, FieldsMatch):
                    names.update(_names_of(leaf.left), _names_of(leaf.right))
        return None if self._lists is not None else frozenset(names)

    def hunt(
        self, batches: Iterable[EventBatch], whole: Callable[[EventBatch], EventBatch] | None = None
    ) -> SegmentResult:
        """Return what the plan's rules and lists find in the batches of one segment, in order of record and rule.

        Where the batches have the deciding `columns` only, `whole` returns a batch's rows with all of theirs.
        """
        sightings: list[Sighting] = []
        feeds: list[Sighting] = []
        segment, events = "", 0
        for batch in batches:
            segment = batch.segment
            events += batch.table.num_rows
            for rule, sighting in self.hunt_batch(batch, whole):
                (sightings if self.plan.rules[rule].reported else feeds).append(sighting)
            if self._lists is not None:
                for sighting in self._lists.hunt_batch(batch):
                    (feeds if self._lists.index.is_part(sighting) else sightings).append(sighting)
        order = _sighting_order
        return SegmentResult(segment, tuple(sorted(sightings, key=order)), tuple(sorted(feeds, key=order)), events)

    def hunt_batch(
        self, batch: EventBatch, whole: Callable[[EventBatch], EventBatch] | None = None
    ) -> Iterator[tuple[int, Sighting]]:
        """Yield (position in `Plan.rules`, sighting) for each rule in each record of `batch`; `whole` as in `hunt`."""
        rows, contributions = self.match_batch(batch)
        if not rows:
            return
        reader = RowReader(whole(batch) if whole is not None else batch, rows)
        passed = self._passed(reader.rows, contributions)
        best_of: dict[tuple[int, ...], list[tuple[int, frozenset[int]]]] = {}
        for row, cells in zip(reader.rows, passed, strict=True):
            best = best_of.get(rows[row])
            if best is None:
                best = best_of[rows[row]] = self._by_rule(rows[row])
            for rule, wanted in best:
                matched = [(field, text) for number, field, text in cells if not wanted.isdisjoint(self.sets[number])]
                indicator = self.plan.rules[rule].indicator
                yield rule, reader.sighting(row, indicator, matched=tuple(dict.fromkeys(matched)))

    def _by_rule(self, variants: tuple[int, ...]) -> list[tuple[int, frozenset[int]]]:
        """Return the variants' rules, in order, each with the atoms that stand positively in one of them."""
        best: dict[int, list[int]] = {}
        for variant in variants:
            best.setdefault(self.variants[variant].rule, []).append(variant)
        return [
            (rule, frozenset().union(*[self._positive_atoms(number) for number in members]))
            for rule, members in sorted(best.items())
        ]

    @staticmethod
    def _passed(rows: Sequence[int], contributions: list[_Contribution]) -> list[list[tuple[int, str, str]]]:
        """Return for each row the cells that passed any atom: the set's number, field and text."""
        at = np.asarray(rows, np.int64)
        found: list[list[tuple[int, str, str]]] = [[] for _ in rows]
        for column, sets in contributions:
            if column.field:
                codes = column.codes[at]
                numbers = sets[codes]
                for place in np.flatnonzero(numbers).tolist():
                    found[place].append((int(numbers[place]), column.field, column.texts[codes[place]]))
        return found

    def match_batch(self, batch: EventBatch) -> tuple[dict[int, tuple[int, ...]], list[_Contribution]]:
        """Return the variants that are true in each row that has any, and the columns that decided."""
        if self._bytes > self.memory:
            self._forget()
        table = Table(batch)
        if not table.rows:
            return {}, []
        facts = self._facts(table)
        names = {normalise_name(field) for field, _ in table.fields}
        unsure = frozenset(number for name in names & FACT_FIELDS.keys() for number in self._by_name.get(name, ()))
        combinations, of_row = facts.combinations()
        actives = [self._active(combination, unsure) for combination in combinations]
        subjects = frozenset().union(*[active.subjects for active in actives])
        contributions = self._field_contributions(table, subjects)
        contributions += self._keyword_contributions(table, actives)
        contributions += self._match_contributions(table, actives)
        return self._evaluate(table, combinations, actives, of_row, contributions), contributions

    def _facts(self, table: Table) -> _Facts:
        constant = [
            self._text_sets(subject, "s", [text])[0]
            for fact, text in (("format", table.batch.format), ("channel", table.batch.channel))
            if text  # absent where the format has none
            for subject in self._by_fact.get(fact, ())
        ]
        columns = []
        for fact in ("provider", "event_id"):
            column = table.fixed(fact)
            for subject in self._by_fact.get(fact, ()):
                columns.append(_Contribution(column, self._sets_of(subject, column)))
        return _Facts(tuple(sorted(set(constant) - {0})), columns, table.rows)

    def _field_contributions(self, table: Table, subjects: frozenset[int]) -> list[_Contribution]:
        found: list[_Contribution] = []
        for field, kind in table.fields:
            for subject in self._reading(normalise_name(field)):
                if subject in subjects:
                    column = table.column(field, kind)
                    found.append(_Contribution(column, self._sets_of(subject, column)))
        for fact in ("host",):
            for subject in self._by_fact.get(fact, ()):
                if subject in subjects:
                    column = table.fixed(fact)
                    found.append(_Contribution(column, self._sets_of(subject, column)))
        for subject in self._joined:
            if subject in subjects:
                joined = self.subjects[subject]
                assert isinstance(joined, Joined)  # noqa: S101 - the index above says so
                column = table.joined(joined)
                found.append(_Contribution(column, self._sets_of(subject, column)))
        return [contribution for contribution in found if contribution.sets.any()]

    def _reading(self, name: str) -> Sequence[int]:
        """Return the subjects that read a field: under its name, or under that of an object that it is part of."""
        found = self._by_name.get(name, ())
        if not self._under or "." not in name:
            return found
        parents = [self._under[parent] for parent in _parents(name) if parent in self._under]
        return [*found, *(number for numbers in parents for number in numbers)] if parents else found

    def _keyword_contributions(self, table: Table, actives: list[_Active]) -> list[_Contribution]:
        atoms = frozenset().union(*[active.everywhere for active in actives])
        if not atoms:
            return []
        scanner = self._scanners.get(atoms)
        if scanner is None:
            scanner = self._scanners[atoms] = KeywordScanner({atom: self._test(atom) for atom in atoms})
        columns = [table.column(field, kind) for field, kind in table.fields]
        columns += [table.fixed(fact) for fact in ("channel", "provider", "event_id", "host")]
        found = []
        for column in columns:
            sets = np.zeros(len(column.texts) + 1, np.int64)
            for code, passed in scanner.scan(column):
                sets[code] = self.set_number(passed)
            if sets.any():
                found.append(_Contribution(column, sets))
        return found

    def _match_contributions(self, table: Table, actives: list[_Active]) -> list[_Contribution]:
        found = []
        for atom in sorted(frozenset().union(*[active.matches for active in actives])):
            leaf = self.plan.atoms[atom]
            assert isinstance(leaf, FieldsMatch)  # noqa: S101 - that is what `matches` holds
            passed = np.zeros(table.rows, bool)
            for left in table.of_subject(leaf.left):
                for right in table.of_subject(leaf.right):
                    passed |= compare_columns(left, right, leaf)
            if passed.any():
                column = Column("", "", passed.astype(np.int64) - 1, [""])
                found.append(_Contribution(column, np.array([self.set_number((atom,)), 0], np.int64)))
        return found

    def _sets_of(self, subject: int, column: Column) -> npt.NDArray[np.int64]:
        """Return for each code of a column the number of the set of atoms of `subject` that its text passes."""
        return np.array([*self._text_sets(subject, column.kind, column.texts), 0], np.int64)

    def _text_sets(self, subject: int, kind: str, texts: list[str]) -> list[int]:
        known = self._known.setdefault((subject, "s" if kind in _TEXT_KINDS else kind), {})
        try:
            return [known[text] for text in texts]
        except KeyError:
            pass
        new = [text for text in dict.fromkeys(texts) if text not in known]
        for text, atoms in zip(new, self._pass(subject, kind, new), strict=True):
            known[text] = self.set_number(atoms) if atoms else 0
        self._bytes += _PER_TEXT * len(new) + sum(map(len, new))
        return [known[text] for text in texts]

    def _pass(self, subject: int, kind: str, texts: list[str]) -> Sequence[Sequence[int]]:
        """Return the atoms that each text passes, with those for presence and null."""
        matcher, how = self._matcher(subject), self.subjects[subject]
        if kind == "n":
            return [matcher.present + matcher.null for _ in texts]
        if kind in _TEXT_KINDS and not isinstance(how, View):  # by far the most columns: each text is one cell
            passed = matcher.match(texts) if matcher.reads_text else [()] * len(texts)
            present = tuple(matcher.present)
            return [present + atoms for atoms in passed] if present else passed
        cells: list[tuple[list[str], list[str], bool]] = [cells_of(kind, text) for text in texts]
        if isinstance(how, View):
            cells = [
                ([part for text in plain + floats for part in view(how.transform, text, how.argument)], [], null)
                for plain, floats, null in cells
            ]
        plain = dict.fromkeys(text for cell in cells for text in cell[0])
        floats = dict.fromkeys(text for cell in cells for text in cell[1])
        of_plain = dict(zip(plain, matcher.match(list(plain)), strict=True)) if matcher.reads_text else {}
        of_float = dict(zip(floats, matcher.match(list(floats), floats=True), strict=True)) if floats else {}
        found = []
        for texts_of, floats_of, null in cells:
            atoms: list[int] = [] if isinstance(how, View) and not texts_of else list(matcher.present)
            if null:
                atoms += matcher.null
            for text in texts_of:
                atoms += of_plain.get(text, ())
            for text in floats_of:
                atoms += of_float.get(text, ())
            found.append(atoms)
        return found

    # -------------------------------------------------------------------------------------- evaluation

    def _evaluate(
        self,
        table: Table,
        combinations: list[tuple[int, ...]],
        actives: list[_Active],
        of_row: Codes,
        contributions: list[_Contribution],
    ) -> dict[int, tuple[int, ...]]:
        columns = [contribution.sets[contribution.column.codes] for contribution in contributions]
        columns.append(of_row)
        first, inverse = unique_rows(columns)
        at_first = [column[first].tolist() for column in columns]
        found: list[tuple[int, ...]] = []
        for sets in zip(*at_first, strict=True):
            combination = combinations[sets[-1]]
            active = actives[sets[-1]]
            signature = (id(active), *combination, -1, *sorted(set(sets[:-1]) - {0}))
            variants = self._found.get(signature)
            if variants is None:
                hits = {atom for number in (*combination, *sets[:-1]) for atom in self.sets[number]}
                variants = self._found[signature] = active.find(self, hits)
                self._bytes += _PER_SIGNATURE
            found.append(variants)
        hit = np.array([bool(variants) for variants in found], bool)
        if not hit.any():
            return {}
        return {row: found[inverse[row]] for row in np.flatnonzero(hit[inverse]).tolist()}


class _Facts:
    """The sets of fact atoms of each row."""

    def __init__(self, constant: tuple[int, ...], columns: list[_Contribution], rows: int) -> None:
        self.constant = constant
        self.columns = columns
        self.rows = rows

    def combinations(self) -> tuple[list[tuple[int, ...]], Codes]:
        """Return the distinct combinations of set numbers, and for each row the position of its own."""
        arrays = [sets[column.codes] for column, sets in self.columns if sets.any()]
        if not arrays:
            return [self.constant], np.zeros(self.rows, np.int64)
        first, inverse = unique_rows(arrays)
        found: dict[tuple[int, ...], int] = {}
        place = np.empty(len(first), np.int64)
        for position, sets in enumerate(zip(*[array[first].tolist() for array in arrays], strict=True)):
            key = (*self.constant, *sorted(set(sets) - {0}))
            place[position] = found.setdefault(key, len(found))
        return list(found), place[inverse]


def is_among(name: str, columns: frozenset[str]) -> bool:
    """Say whether a field's normalised name is among those that `Hunter.columns` returns."""
    return name in columns or ("." in name and any(f"{parent}." in columns for parent in _parents(name)))


def _parents(name: str) -> list[str]:
    """Return the names of the objects that a dotted name is part of, the outermost first.

    >>> _parents("a.b.c")
    ['a', 'a.b']
    """
    parts = name.split(".")[:-1]
    return [".".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _names_of(subject: Subject) -> tuple[str, ...]:
    if isinstance(subject, Joined):
        return subject.names
    if isinstance(subject, View) and subject.transform == UNDER:
        return (f"{subject.name}.",)
    return (subject.name,) if isinstance(subject, Field | View) else ()


def _sighting_order(sighting: Sighting) -> tuple[str, int, str, str]:
    return sighting.evidence, sighting.record, sighting.indicator, sighting.ref
