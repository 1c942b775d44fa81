"""A plan: all that is hunted for, compiled to numbered atoms and small trees over their numbers; pure data.

A `Plan` holds no code and no open resource: it passes between processes and is cached as bytes. `PlanBuilder`
makes one from expressions. Equal atoms of different rules get one number, so that the engine tests a value for
all rules at once. Of each rule's variant it keeps:

- `tree`: an atom's number, a boolean, or ``["&", …]``, ``["|", …]``, ``["!", tree]``;
- `gate`: what must hold of the facts alone (log source, event id): a tree over fact atoms that is true wherever
  the variant can be;
- `triggers`: atoms of which at least one passes wherever the variant is true; None where there is no such set
  (a rule made of negations only), and the variant is evaluated wherever its gate is open.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Any

import msgspec

from aleat.hunt.expression import (
    ALWAYS,
    NEVER,
    Always,
    And,
    Atom,
    Everywhere,
    Exists,
    Expression,
    Fact,
    Field,
    FieldsMatch,
    IsNull,
    Joined,
    Not,
    Or,
    Regex,
    Subject,
    Text,
    View,
    Wildcard,
    all_of,
    any_of,
    fold,
    negate,
    normalise_name,
)
from aleat.hunt.indicator import Indicator, NotEvaluated
from aleat.hunt.standing import Standing
from aleat.hunt.warning_lists import WarningList

__all__ = [
    "ENGINE_VERSION",
    "FACT_FIELDS",
    "CorrelationRule",
    "FilterRule",
    "LogSource",
    "Plan",
    "PlanBuilder",
    "PlannedRule",
    "Tree",
    "Variant",
    "atom_numbers",
]

ENGINE_VERSION = "4"
"""Part of the hunt ledger's key: raised whenever the same plan can give other sightings."""

FACT_FIELDS = {"eventid": "event_id", "channel": "channel", "provider_name": "provider", "computer": "host"}
"""Field names (normalised) under which a fixed column is a field too: a payload may hold one of the same name,
and an atom on the field passes on either."""

GATE_FACTS = frozenset({"format", "channel", "provider", "event_id"})

Tree = Any
"""``int | bool | list[Tree]``: see the module's docstring."""


class LogSource(msgspec.Struct, frozen=True):
    """A Sigma rule's log source."""

    category: str | None = None
    product: str | None = None
    service: str | None = None


class Variant(msgspec.Struct, frozen=True, gc=False):
    """One way in which a rule is evaluated: over one kind of evidence, with that kind's field names."""

    rule: int
    """Position in `Plan.rules`."""
    name: str
    formats: tuple[str, ...]
    tree: Tree
    gate: Tree
    triggers: tuple[int, ...] | None


class PlannedRule(msgspec.Struct, frozen=True):
    """A rule of the plan. `indicator` has lost its pattern and entries, which the plan doesn't need.

    `reported` is False for rules that only feed correlations. `formats` are the evidence formats that its
    variants read; empty where no reader brings such evidence yet. `name` is Sigma's short name for references,
    `fields` those that the rule wants shown.
    """

    indicator: Indicator
    logsource: LogSource = LogSource()
    name: str = ""
    reported: bool = True
    formats: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()


class CorrelationRule(msgspec.Struct, frozen=True):
    """A Sigma correlation (specification 2.1, "Correlation section"), its references resolved.

    `rules` are positions in `Plan.rules` (n >= 0) or in `Plan.correlations` (``-1 - n``). `condition` are
    (operator, number) pairs, all of which must hold. `aliases` are (alias, ((rule, field), …)) with the same
    numbers; `timespan` is in seconds.
    """

    indicator: Indicator
    type: str
    rules: tuple[int, ...]
    group_by: tuple[str, ...]
    timespan: int
    condition: tuple[tuple[str, float], ...]
    fields: tuple[str, ...] = ()
    percentile: float | None = None
    aliases: tuple[tuple[str, tuple[tuple[int, str], ...]], ...] = ()
    expression: Tree = None
    reported: bool = True
    name: str = ""


class FilterRule(msgspec.Struct, frozen=True):
    """A Sigma filter: `rules` are the ids or names it applies to ("any": all of its log source).

    `anywhere`: it applies to the rules that it names by id whatever their log source (a dismissal).
    """

    indicator: Indicator
    rules: tuple[str, ...]
    logsource: LogSource
    anywhere: bool = False


class Plan(msgspec.Struct, frozen=True):
    """All that is hunted for. Made by `aleat.hunt.compile_plan`, or a `PlanBuilder`."""

    atoms: tuple[Atom | FieldsMatch, ...] = ()
    rules: tuple[PlannedRule, ...] = ()
    variants: tuple[Variant, ...] = ()
    correlations: tuple[CorrelationRule, ...] = ()
    filters: tuple[FilterRule, ...] = ()
    filter_variants: tuple[Variant, ...] = ()
    """Of `filters`: their `rule` is a position there."""
    lists: tuple[Indicator, ...] = ()
    warnings: tuple[WarningList, ...] = ()
    """Lists of values that mean nothing: they label sightings, and are not hunted for."""
    standings: tuple[Standing, ...] = ()
    """Which indicators ended, and when: they label sightings (`aleat.hunt.standing`)."""
    retired: tuple[Indicator, ...] = ()
    """What is hunted for no more; what it hit in earlier hunts is shown, labelled."""
    patterns: tuple[Indicator, ...] = ()
    """STIX patterns over several events, which `aleat.hunt.stix_pattern` evaluates."""
    yara: tuple[Indicator, ...] = ()
    """YARA rules, with their patterns; each one's digest is of the library's version too."""
    alerts: tuple[Indicator, ...] = ()
    """One for each format in which other tools alert: `aleat.hunt.alerts`."""
    yara_rules: bytes = b""
    """The same compiled to one set, in which a digest names each: `aleat.hunt.yara`."""
    not_evaluated: tuple[NotEvaluated, ...] = ()
    mapping_digest: str = ""
    formats: tuple[str, ...] = ()
    """Formats that are stated beside those that ship (`aleat.formats.stated_texts`)."""


class PlanBuilder:
    """Collects rules and numbers their atoms."""

    def __init__(self) -> None:
        self._numbers: dict[Atom | FieldsMatch, int] = {}
        self._weights: list[float] = []
        self.rules: list[PlannedRule] = []
        self.variants: list[Variant] = []
        self.correlations: list[CorrelationRule] = []
        self.filters: list[FilterRule] = []
        self.filter_variants: list[Variant] = []
        self.lists: list[Indicator] = []
        self.warnings: list[WarningList] = []
        self.standings: list[Standing] = []
        self.retired: list[Indicator] = []
        self.patterns: list[Indicator] = []
        self.yara: list[Indicator] = []
        self.alerts: list[Indicator] = []
        self.yara_rules = b""
        self.formats: tuple[str, ...] = ()
        self.not_evaluated: list[NotEvaluated] = []

    @classmethod
    def of(cls, plan: Plan) -> PlanBuilder:
        """Return a builder that holds a plan, to add to it; its numbers stay."""
        builder = cls()
        builder._numbers = {leaf: number for number, leaf in enumerate(plan.atoms)}
        builder._weights = [_weight(leaf) for leaf in plan.atoms]
        listed = ("rules", "variants", "correlations", "filters", "filter_variants", "lists", "warnings")
        for name in (*listed, "standings", "retired", "patterns", "yara", "alerts"):
            setattr(builder, name, list(getattr(plan, name)))
        builder.yara_rules = plan.yara_rules
        builder.formats = plan.formats
        builder.not_evaluated = list(plan.not_evaluated)
        return builder

    def add_variant(
        self, rule: int, name: str, formats: Iterable[str], expression: Expression, *, of_filter: bool = False
    ) -> None:
        """Add a variant of the rule at position `rule`; one that can never be true is left out."""
        tree = self._encode(expression)
        if tree is False:
            return
        gate = _gate(expression)
        triggers = self._triggers(expression)
        variant = Variant(
            rule,
            name,
            tuple(formats),
            tree,
            self._encode(gate),
            None if triggers is None else tuple(sorted(triggers[1])),
        )
        (self.filter_variants if of_filter else self.variants).append(variant)

    def build(self, mapping_digest: str = "") -> Plan:
        """Return the plan."""
        return Plan(
            atoms=tuple(self._numbers),
            rules=tuple(self.rules),
            variants=tuple(self.variants),
            correlations=tuple(self.correlations),
            filters=tuple(self.filters),
            filter_variants=tuple(self.filter_variants),
            lists=tuple(self.lists),
            warnings=tuple(self.warnings),
            standings=tuple(self.standings),
            retired=tuple(self.retired),
            patterns=tuple(self.patterns),
            yara=tuple(self.yara),
            alerts=tuple(self.alerts),
            yara_rules=self.yara_rules,
            not_evaluated=tuple(self.not_evaluated),
            mapping_digest=mapping_digest,
            formats=self.formats,
        )

    def number(self, leaf: Atom | FieldsMatch) -> int:
        """Return the number of a leaf, which is the same for leaves that test the same."""
        leaf = _canonical(leaf)
        number = self._numbers.setdefault(leaf, len(self._numbers))
        if number == len(self._weights):
            self._weights.append(_weight(leaf))
        return number

    def _encode(self, expression: Expression) -> Tree:
        if isinstance(expression, Always):
            return expression.value
        if isinstance(expression, And):
            return ["&", *[self._encode(child) for child in expression.children]]
        if isinstance(expression, Or):
            return ["|", *[self._encode(child) for child in expression.children]]
        if isinstance(expression, Not):
            return ["!", self._encode(expression.child)]
        number = self.number(expression)
        if _is_null(expression):
            assert isinstance(expression, Atom)  # noqa: S101 - only an atom has a test
            return ["|", number, ["!", self.number(Atom(expression.subject, Exists()))]]
        return number

    def _triggers(self, expression: Expression) -> tuple[float, set[int]] | None:
        """Return (cost, numbers) of the cheapest set of which one passes where the expression is true."""
        if isinstance(expression, Always):
            return None if expression.value else (0.0, set())
        if isinstance(expression, And | Or):
            options = [self._triggers(child) for child in expression.children]
            found = [option for option in options if option is not None]
            if isinstance(expression, And):
                return min(found, key=lambda option: option[0], default=None)
            complete = len(found) == len(options)
            return (
                (sum(option[0] for option in found), set().union(*[option[1] for option in found]))
                if complete
                else None
            )
        # a fact is the gate's business, and a null test passes on an absent field too
        if isinstance(expression, Not) or is_fact(expression) or _is_null(expression):
            return None
        number = self.number(expression)
        return self._weights[number], {number}


def atom_numbers(tree: Tree, positive: bool = True) -> Iterable[tuple[int, bool]]:
    """Yield the atoms' numbers in a tree, each with True where it stands under an even number of negations."""
    if isinstance(tree, bool):
        return
    if isinstance(tree, int):
        yield tree, positive
        return
    for child in tree[1:]:
        yield from atom_numbers(child, positive != (tree[0] == "!"))


def is_fact(leaf: Atom | FieldsMatch) -> bool:
    """Return whether an atom is decided by the log source's facts (but for a payload field of the same name)."""
    if isinstance(leaf, FieldsMatch):
        return False
    if isinstance(leaf.subject, Fact):
        return leaf.subject.name in GATE_FACTS
    return isinstance(leaf.subject, Field) and FACT_FIELDS.get(normalise_name(leaf.subject.name)) in GATE_FACTS


def _is_null(leaf: Atom | FieldsMatch) -> bool:
    return isinstance(leaf, Atom) and isinstance(leaf.test, IsNull)


def plan_digest(parts: Iterable[bytes]) -> str:
    """Return the SHA-256 (hex) over parts, each with its length."""
    digest = sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()


def _gate(expression: Expression, upper: bool = True) -> Expression:
    """Return what the facts alone say: true wherever the expression can be (or, if not `upper`, must be)."""
    if isinstance(expression, Always):
        return expression
    if isinstance(expression, And):
        return all_of([_gate(child, upper) for child in expression.children])
    if isinstance(expression, Or):
        return any_of([_gate(child, upper) for child in expression.children])
    if isinstance(expression, Not):
        return negate(_gate(expression.child, not upper))
    if is_fact(expression):
        return expression
    return ALWAYS if upper else NEVER


def _canonical(leaf: Atom | FieldsMatch) -> Atom | FieldsMatch:
    """Return the form of a leaf that equal tests share: names normalised, texts folded."""
    if isinstance(leaf, FieldsMatch):
        left, right = _canonical_subject(leaf.left), _canonical_subject(leaf.right)
        return FieldsMatch(left, right, leaf.op, leaf.cased)  # type: ignore[arg-type]
    test = leaf.test
    if isinstance(test, Text) and not test.cased:
        test = Text(test.op, fold(test.value))
    elif isinstance(test, Wildcard) and not test.cased:
        test = Wildcard(tuple(fold(part) if isinstance(part, str) else part for part in test.parts))
    return Atom(_canonical_subject(leaf.subject), test)


def _canonical_subject(subject: Subject) -> Subject:
    if isinstance(subject, Field):
        return Field(normalise_name(subject.name))
    if isinstance(subject, View):
        return View(normalise_name(subject.name), subject.transform, subject.argument)
    if isinstance(subject, Joined):
        return Joined(tuple(normalise_name(name) for name in subject.names), subject.separator)
    return subject


def _weight(leaf: Atom | FieldsMatch) -> float:
    """Guess how often a leaf passes: the lower, the better a trigger. Long literals are rare, existence common."""
    if isinstance(leaf, FieldsMatch):
        return 50.0
    test = leaf.test
    base = 2.0 if isinstance(leaf.subject, Everywhere) else 1.0
    if isinstance(test, Text):
        length = len(test.value)
        rarity = 1.0 if test.op == "equals" and length else 64.0 / (1 + min(length, 16) ** 2)
        return base * rarity
    if isinstance(test, Wildcard):
        length = max((len(part) for part in test.parts if isinstance(part, str)), default=0)
        return base * 64.0 / (1 + min(length, 16) ** 2)
    if isinstance(test, Exists):
        return 1000.0
    return base * (4.0 if isinstance(test, Regex) else 2.0)
