"""STIX 2.1 patterns (§9) over events: compiled to the engine's expressions, or to values looked up like a list's.

What a comparison means over events:

- Its path is looked up in the map of object paths (`stix_paths`); comparisons joined by AND hold of one object
  of one event. A path that no kind of event holds makes its comparison *not evaluable*, never "no match": a
  pattern that needs it is a `NotEvaluated` naming the path; one that has alternatives is evaluated by those,
  and the rest is named as partial.
- Addresses, domains, URLs, e-mail addresses and hashes that are compared with ``=`` or ``IN`` alone are found
  wherever they stand in an event, inside free text too (`observables`): an observable in a command line is one.
- Text is compared without case where the systems that log don't tell it either (names, paths, keys, hashes,
  accounts), else by code points (§9.6.2). A hash, a key's hive, an address is compared in one form.
- A property that is absent, null, empty, or ``-`` is not present: every comparison with it is false, negated
  ones too (§9.6). Constants of another type are unequal to anything.

Patterns over several observations are evaluated by `stix_observation` over what their single ones matched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from unicodedata import normalize

import msgspec

from aleat.errors import PatternError
from aleat.hunt.expression import (
    ALWAYS,
    NEVER,
    Atom,
    Exists,
    Expression,
    Fact,
    Field,
    IsNull,
    Network,
    Number,
    Order,
    Regex,
    Test,
    Text,
    View,
    Wildcard,
    all_of,
    any_of,
    atoms,
    negate,
)
from aleat.hunt.indicator import Indicator, ListEntry, NotEvaluated
from aleat.hunt.networks import IpRange, parse_network
from aleat.hunt.plan import LogSource, PlanBuilder, PlannedRule
from aleat.hunt.regexes import translate
from aleat.hunt.stix_paths import EventObject, MappedField, event_objects, path_key
from aleat.hunt.stix_syntax import (
    AllOf,
    AnyOf,
    Comparison,
    Constant,
    Followed,
    ObjectPath,
    Observation,
    ObservationAnd,
    ObservationOr,
    Observations,
    Proposition,
    comparisons,
    observations,
    parse_pattern,
)

__all__ = ["CompiledPattern", "Part", "add_pattern", "compile_pattern", "like_parts", "part_identifier"]

_ORDERS = {"<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
_EVERYWHERE = {
    ("ipv4-addr", "value"): "ipv4-addr",
    ("ipv6-addr", "value"): "ipv6-addr",
    ("domain-name", "value"): "domain-name:exact",
    ("url", "value"): "url:exact",
    ("email-addr", "value"): "email-addr",
}
_FAMILIES = {"ip4": ("0.0.0.0/0",), "ip6": ("::/0",), "ip": ("0.0.0.0/0", "::/0")}
_TYPES = {"ipv4-addr": "ip4", "ipv6-addr": "ip6"}


class Part(msgspec.Struct, frozen=True):
    """One ``[…]`` of a pattern: an expression for the engine, and values that are looked up wherever they stand."""

    number: int
    expression: Expression
    entries: tuple[ListEntry, ...]


class CompiledPattern(msgspec.Struct, frozen=True):
    """What of a pattern can be evaluated over events.

    `tree` is None where nothing can; `parts` are its observations; `missing` says for each comparison that
    can't be evaluated why. `single` is True where the pattern is about one event, without qualifiers.
    """

    tree: Observations | None
    parts: tuple[Part, ...]
    missing: tuple[str, ...]

    @property
    def single(self) -> bool:
        """Whether the pattern is about one event."""
        return isinstance(self.tree, Observation)


def compile_pattern(text: str) -> CompiledPattern:
    """Compile a pattern; raises `PatternError` where it is none, or can't be evaluated in linear time."""
    missing: dict[str, None] = {}
    tree, propositions = _merged(parse_pattern(text))
    kept: dict[int, Proposition] = {}
    for number, proposition in propositions.items():
        pruned = _pruned(proposition, missing)
        if pruned is not None:
            kept[number] = pruned
    parts: dict[int, Part] = {}
    for number, proposition in kept.items():
        part = _part(number, proposition, missing)
        if part is not None:
            parts[number] = part
    tree_left = _left(tree, parts.keys())
    wanted = {item.number for item in observations(tree_left)} if tree_left is not None else set()
    return CompiledPattern(tree_left, tuple(parts[number] for number in sorted(wanted)), tuple(missing))


def add_pattern(builder: PlanBuilder, indicator: Indicator) -> None:
    """Add a STIX indicator to a plan: its rules, its values, and what of it can't be evaluated.

    A pattern over one event is one rule; of one over several, each part is a rule that isn't reported itself.
    """
    try:
        compiled = compile_pattern(indicator.pattern)
    except PatternError as error:
        builder.not_evaluated.append(_rejection(indicator, error.code, error.reason))
        return
    partial = compiled.tree is not None
    builder.not_evaluated += [_rejection(indicator, "no-mapping", reason, partial) for reason in compiled.missing]
    if not partial:
        return
    light = msgspec.structs.replace(indicator, pattern="", entries=())
    for part in compiled.parts:
        rule = light if compiled.single else _part_indicator(light, part.number)
        if part.entries:
            kind = "stix" if compiled.single else "stix-part"
            builder.lists.append(msgspec.structs.replace(rule, pattern_type=kind, entries=part.entries))
        _add_rule(builder, rule, part.expression, reported=compiled.single)
    if not compiled.single:
        builder.patterns.append(indicator)


def part_identifier(indicator: str, number: int) -> str:
    """Return the identifier (or digest) of one part of a pattern, whose matches are no sightings of their own."""
    return f"{indicator}[{number}]"


def _part_indicator(indicator: Indicator, number: int) -> Indicator:
    return msgspec.structs.replace(
        indicator, id=part_identifier(indicator.id, number), digest=part_identifier(indicator.digest, number)
    )


def _add_rule(builder: PlanBuilder, rule: Indicator, expression: Expression, *, reported: bool) -> None:
    subjects = {leaf.subject for leaf, _ in atoms(expression) if isinstance(leaf, Atom)}
    tests = [(leaf.subject, leaf.test) for leaf, _ in atoms(expression) if isinstance(leaf, Atom)]
    formats = sorted({test.value for subject, test in tests if subject == Fact("format") and isinstance(test, Text)})
    fields = sorted({subject.name for subject in subjects if isinstance(subject, Field | View)})
    builder.rules.append(PlannedRule(rule, LogSource(), "", reported, tuple(formats), tuple(fields)))
    if expression != NEVER:
        builder.add_variant(len(builder.rules) - 1, "stix", formats, expression)


def _rejection(indicator: Indicator, code: str, reason: str, partial: bool = False) -> NotEvaluated:
    return NotEvaluated(indicator.id, indicator.title, indicator.place, code, reason, partial)


# ------------------------------------------------------------------------------------------ observations


def _merged(tree: Observations) -> tuple[Observations, dict[int, Proposition]]:
    """Return the tree with alternatives about one event joined to one observation, and the propositions."""
    propositions = {item.number: item.proposition for item in observations(tree)}
    if isinstance(tree, ObservationOr) and all(isinstance(child, Observation) for child in tree.children):
        joined = AnyOf(tuple(propositions[number] for number in sorted(propositions)))
        return Observation(0, joined), {0: joined}
    return tree, propositions


def _left(tree: Observations, numbers: Iterable[int]) -> Observations | None:
    """Return what is left of a tree when only the observations `numbers` can be evaluated; None: nothing."""
    known = frozenset(numbers)
    left: Observations | None = None
    if isinstance(tree, Observation):
        left = tree if tree.number in known else None
    elif isinstance(tree, ObservationOr):
        kept = [child for item in tree.children if (child := _left(item, known)) is not None]
        left = ObservationOr(tuple(kept)) if len(kept) > 1 else kept[0] if kept else None
    elif isinstance(tree, ObservationAnd):
        children = [child for item in tree.children if (child := _left(item, known)) is not None]
        left = ObservationAnd(tuple(children)) if len(children) == len(tree.children) else None
    elif isinstance(tree, Followed):
        first, then = _left(tree.first, known), _left(tree.then, known)
        left = Followed(first, then) if first is not None and then is not None else None
    else:
        child = _left(tree.child, known)
        left = msgspec.structs.replace(tree, child=child) if child is not None else None
    return left


# ------------------------------------------------------------------------------------------ propositions


def _pruned(proposition: Proposition, missing: dict[str, None]) -> Proposition | None:
    """Return the proposition without comparisons on paths that no event has; None where it needs one."""
    if isinstance(proposition, Comparison):
        if _is_mapped(proposition.path):
            return proposition
        missing[f"No kind of event has {proposition.path}."] = None
        return None
    children = [_pruned(child, missing) for child in proposition.children]
    kept = tuple(child for child in children if child is not None)
    if isinstance(proposition, AllOf):
        return AllOf(kept) if len(kept) == len(children) else None
    return AnyOf(kept) if len(kept) > 1 else kept[0] if kept else None


def _is_mapped(path: ObjectPath) -> bool:
    if _everywhere_type(path) is not None:
        return True
    key = path_key(path)
    return any(_fields(item, key) for item in event_objects() if item.type == path.type)


def _part(number: int, proposition: Proposition, missing: dict[str, None]) -> Part | None:
    """Compile one observation; alternatives that no object of any event can satisfy are named as missing."""
    alternatives = proposition.children if isinstance(proposition, AnyOf) else (proposition,)
    expressions: list[Expression] = []
    entries: list[ListEntry] = []
    for alternative in alternatives:
        values = _everywhere_entries(alternative)
        if values:
            entries += values
            continue
        expression = any_of([all_of([item.gate, _of_object(alternative, item)]) for item in event_objects()])
        if expression == NEVER:
            paths = ", ".join(dict.fromkeys(str(item.path) for item in comparisons(alternative)))
            missing[f"No object in any kind of event can be compared so: {paths}."] = None
        expressions.append(expression)
    expression = any_of(expressions)
    return None if expression == NEVER and not entries else Part(number, expression, tuple(entries))


def _everywhere_type(path: ObjectPath) -> str | None:
    """Return the list entry's type of an observable that is found wherever it stands."""
    key = path_key(path)
    if path.type == "file" and key.startswith("hashes."):
        return "file:hashes"
    return _EVERYWHERE.get((path.type, key))


def _everywhere_entries(proposition: Proposition) -> list[ListEntry]:
    """Return the values of a comparison that is found wherever they stand; none where it is another."""
    if not isinstance(proposition, Comparison) or proposition.negated or proposition.operator not in {"=", "IN"}:
        return []
    kind = _everywhere_type(proposition.path)
    if kind is None:
        return []
    entries = []
    for value in proposition.values:
        if not isinstance(value, str):
            return []
        if kind in {"ipv4-addr", "ipv6-addr"}:
            network = parse_network(value)
            if network is None or not _is_address(network):
                return []
        if kind == "file:hashes" and len(value) not in {32, 40, 56, 64, 96, 128}:
            return []
        entries.append(ListEntry(kind, value))
    return entries


def _of_object(proposition: Proposition, item: EventObject) -> Expression:
    """Return what must hold of the fields of one object of an event."""
    if isinstance(proposition, AllOf):
        return all_of([_of_object(child, item) for child in proposition.children])
    if isinstance(proposition, AnyOf):
        return any_of([_of_object(child, item) for child in proposition.children])
    if proposition.path.type != item.type:
        return NEVER
    key = path_key(proposition.path)
    if key.endswith(".type") and key not in item.properties:
        return _type_comparison(proposition, item, key)
    if proposition.operator == "EXISTS" and proposition.negated:
        return _absent(item, key)
    return any_of([_comparison(proposition, field) for field in item.properties.get(key, ())])


def _absent(item: EventObject, key: str) -> Expression:
    """Return that an object is there, by one of its other properties, but not this one."""
    if key not in item.properties:
        return NEVER
    here = any_of([_present(field) for field in item.properties[key]])
    others = [field for name, fields in item.properties.items() if name != key for field in fields]
    return all_of([negate(here), any_of([_present(field) for field in others])])


def _fields(item: EventObject, key: str) -> tuple[MappedField, ...]:
    if key in item.properties:
        return item.properties[key]
    return item.properties.get(f"{key.removesuffix('type')}value", ()) if key.endswith(".type") else ()


def _type_comparison(comparison: Comparison, item: EventObject, key: str) -> Expression:
    """Compare the type of the object that a reference leads to, which its value tells."""
    options = []
    for field in _fields(item, key):
        for name in ("ipv4-addr", "ipv6-addr") if field.kind in _FAMILIES else ("domain-name",):
            holds = _constant_holds(comparison, name)
            if holds:
                options.append(_present(MappedField(field.subject, _TYPES.get(name, field.kind))))
    return any_of(options)


def _constant_holds(comparison: Comparison, name: str) -> bool:
    operator, values = comparison.operator, comparison.values
    if operator == "EXISTS":
        return not comparison.negated
    if operator not in {"=", "!=", "IN"}:
        raise PatternError(f"{operator} is not evaluated on an object's type.")
    return ((name in values) == (operator != "!=")) != comparison.negated


# ------------------------------------------------------------------------------------------- comparisons


def _comparison(comparison: Comparison, field: MappedField) -> Expression:
    present = _present(field)
    if comparison.operator == "EXISTS":
        return present
    if comparison.operator == "!=":
        holds = negate(_any_test(comparison.values, "=", field))
    else:
        operator = "=" if comparison.operator == "IN" else comparison.operator
        holds = _any_test(comparison.values, operator, field)
    return all_of([present, negate(holds) if comparison.negated else holds])


def _present(field: MappedField) -> Expression:
    if field.kind in _FAMILIES:
        return any_of([Atom(field.subject, Network(network)) for network in _FAMILIES[field.kind]])
    nothing = [Atom(field.subject, Text("equals", text)) for text in ("", "-")]
    return all_of([Atom(field.subject, Exists()), negate(any_of(nothing)), negate(Atom(field.subject, IsNull()))])


def _any_test(values: Iterable[Constant], operator: str, field: MappedField) -> Expression:
    return any_of([_test(value, operator, field) for value in values])


def _test(value: Constant, operator: str, field: MappedField) -> Expression:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return NEVER  # no field that is mapped holds booleans, octets or times
    if field.kind == "number":
        tests = _number_tests(value, operator)
    elif not isinstance(value, str):
        tests = None
    elif field.kind in _FAMILIES:
        tests = _address_tests(value, operator)
    else:
        tests = _text_tests(value, operator, field.kind == "exact")
    return NEVER if tests is None else all_of([Atom(field.subject, test) for test in tests] or [ALWAYS])


def _number_tests(value: str | float, operator: str) -> list[Test] | None:
    if isinstance(value, str) or operator not in {"=", *_ORDERS}:
        return None
    if operator == "=":  # both ends, since a process id may stand there in hexadecimal
        return [Number("ge", value), Number("le", value)]
    return [Number(_ORDERS[operator], value)]  # type: ignore[arg-type]


def _address_tests(value: str, operator: str) -> list[Test] | None:
    if operator in {"LIKE", "MATCHES", *_ORDERS}:
        return _text_tests(value, operator, True)
    network = parse_network(value)
    if network is None:
        return None
    if operator == "ISSUBSET" or (operator == "=" and _is_address(network)):
        return [Network(value)]
    return [Network(value, "covers")] if operator == "ISSUPERSET" else [Network(value), Network(value, "covers")]


def _is_address(network: IpRange) -> bool:
    return network.prefixlen == network.max_prefixlen


def _text_tests(value: str, operator: str, cased: bool) -> list[Test] | None:
    if operator == "=":
        return [Text("equals", value, cased)]
    if operator in _ORDERS:
        return [Order(_ORDERS[operator], value)]  # type: ignore[arg-type]
    if operator == "LIKE":
        return [Wildcard(tuple(like_parts(normalize("NFC", value))), cased)]
    if operator == "MATCHES":
        flags = "s" if cased else "is"
        return [Regex(translate(normalize("NFC", value), flags).pattern, flags)]
    return None


def like_parts(pattern: str) -> Iterator[str | int]:
    """Yield the parts of a LIKE pattern: ``%`` is any run of characters, ``_`` exactly one (§9.6.1)."""
    literal = ""
    count = 0
    for character in pattern:
        if character == "_":
            if literal:
                yield literal
                literal = ""
            count += 1
            continue
        if count:
            yield count
            count = 0
        if character == "%":
            if literal:
                yield literal
                literal = ""
            yield 0
        else:
            literal += character
    if literal:
        yield literal
    if count:
        yield count
