"""From indicators to a plan: each is compiled or named, none is dropped in silence, one bad rule costs only itself.

Compiling SigmaHQ's rules takes seconds, so the result is cached as data (MessagePack, never pickle) under the
digest of everything that decides it: each indicator, the placeholders, the taxonomy with the pipelines' versions,
and the engine's version. A damaged cache file is thrown away and made anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from aleat.errors import InputError, RuleError
from aleat.formats import stated_texts
from aleat.hunt.expression import And, Atom, Exists, Expression, Field, Not, Or
from aleat.hunt.indicator import Indicator, NotEvaluated
from aleat.hunt.network_rules import FORMAT as ALERT_FORMAT
from aleat.hunt.network_rules import PATTERN_TYPES as NETWORK_RULES
from aleat.hunt.network_rules import alert_expression
from aleat.hunt.placeholders import UsedPlaceholders
from aleat.hunt.plan import (
    ENGINE_VERSION,
    CorrelationRule,
    FilterRule,
    LogSource,
    Plan,
    PlanBuilder,
    PlannedRule,
    plan_digest,
)
from aleat.hunt.sigma import CorrelationBody, FilterBody, RuleBody, SigmaDocument, read_document
from aleat.hunt.sigma_condition import parse_condition
from aleat.hunt.sigma_values import Placeholders
from aleat.hunt.stix_paths import mapping_digest as stix_mapping_digest
from aleat.hunt.taxonomy import Taxonomy, load_taxonomy, taxonomy_digest
from aleat.hunt.yara import compile_rules, yara_version
from aleat.store.cache import read_cached, write_cached

__all__ = ["compile_plan"]

_PLAN_FORMAT = b"aleat plan 3"


def compile_plan(
    indicators: Sequence[Indicator],
    *,
    placeholders: Mapping[str, Sequence[str]] | None = None,
    cache: Path | None = None,
) -> Plan:
    """Compile indicators of all kinds to one plan, in the order given.

    `placeholders` are the values of Sigma's ``%name%`` (for the modifier `expand`); `cache` a folder in which the
    plan is kept. What can't be evaluated is in `Plan.not_evaluated` with its reason; nothing is raised for it.
    """
    if cache is None:
        return _Compiler(placeholders or {}).compile(indicators)
    try:
        digest = _digest(indicators, placeholders or {})
    except UnicodeEncodeError:  # half of a surrogate pair somewhere: named below, and no name for a file
        return _Compiler(placeholders or {}).compile(indicators)
    plan = _load(cache, digest)
    if plan is None:
        plan = _Compiler(placeholders or {}).compile(indicators)
        _store(cache, digest, plan)
        return plan
    return _with_lists(plan, indicators)


class _Compiler:
    def __init__(self, placeholders: Placeholders) -> None:
        self.placeholders = UsedPlaceholders(placeholders)
        self.builder = PlanBuilder()
        self._taxonomy: Taxonomy | None = None
        self._correlations: list[tuple[Indicator, str, CorrelationBody]] = []
        self._filters: list[tuple[Indicator, FilterBody]] = []
        self._yara: list[Indicator] = []

    def compile(self, indicators: Iterable[Indicator]) -> Plan:
        for indicator in indicators:
            try:
                self._add(indicator)
            except InputError as error:
                self._reject(indicator, error)
            except RecursionError:
                self._reject(indicator, RuleError("nested too deep", indicator.place))
        self._resolve()
        for indicator, body in self._filters:
            self._add_filter(indicator, body)
        if self._yara:
            self._compile_yara()
        self.builder.formats = stated_texts()
        return self.builder.build(taxonomy_digest())

    @property
    def taxonomy(self) -> Taxonomy:
        if self._taxonomy is None:
            self._taxonomy = load_taxonomy()
        return self._taxonomy

    def _reject(self, indicator: Indicator, error: InputError, *, partial: bool = False, where: str = "") -> None:
        reason = f"{_ended(error.reason)} {error.advice}" if error.advice else error.reason
        self.builder.not_evaluated.append(
            NotEvaluated(
                indicator=indicator.id,
                title=indicator.title,
                place=error.place or indicator.place,
                code=error.code,
                reason=reason if reason.startswith(where) else f"{where}: {reason}",
                partial=partial,
            )
        )

    def _add(self, indicator: Indicator) -> None:
        if indicator.pattern_type == "aleat-list":
            self.builder.lists.append(indicator)
        elif indicator.pattern_type == "stix":
            self._add_pattern(indicator)
        elif indicator.pattern_type == "sigma":
            self._add_document(indicator)
        elif indicator.pattern_type == "yara":
            digest = plan_digest([indicator.digest.encode(), yara_version().encode()])
            self._yara.append(msgspec.structs.replace(indicator, digest=digest))
        elif indicator.pattern_type in NETWORK_RULES:
            self._add_network_rule(indicator)
        else:
            raise RuleError(f"indicators of type {indicator.pattern_type!r} can't be evaluated", indicator.place)

    def _add_document(self, indicator: Indicator) -> None:
        place = indicator.place
        self.placeholders.forget()
        document = read_document(
            indicator.pattern, path=place.path, first_line=place.line or 1, placeholders=self.placeholders
        )
        if isinstance(document.body, CorrelationBody):
            self._correlations.append((indicator, document.name, document.body))
        elif isinstance(document.body, FilterBody):
            self._filters.append((indicator, document.body))
        else:
            self._add_rule(self._with_values(indicator), document, document.body)

    def _with_values(self, indicator: Indicator) -> Indicator:
        """Let the values that were put in be part of what is evaluated: other values are another cell of the ledger."""
        used = self.placeholders.used()
        if not used:
            return indicator
        digest = plan_digest([indicator.digest.encode(), msgspec.json.encode(used)])
        return msgspec.structs.replace(indicator, digest=digest)

    def _add_rule(self, indicator: Indicator, document: SigmaDocument, body: RuleBody) -> None:
        rule = len(self.builder.rules)
        compiled, failures = self._variants(body.logsource, body.expression)
        if failures and not compiled:
            raise failures[0][1]
        self.builder.rules.append(
            PlannedRule(
                indicator=_bare(indicator),
                logsource=body.logsource,
                name=document.name,
                formats=tuple(sorted({format_ for _, format_, _ in compiled})),
                fields=document.fields,
            )
        )
        for name, format_, expression in compiled:
            self.builder.add_variant(rule, name, (format_,), expression)
        for name, error in failures:
            self._reject(indicator, error, partial=True, where=name)

    def _variants(
        self, logsource: LogSource, expression: Expression
    ) -> tuple[list[tuple[str, str, Expression]], list[tuple[str, RuleError]]]:
        """Return the variants that compile as (name, format, expression), and those that don't."""
        compiled: list[tuple[str, str, Expression]] = []
        failures: list[tuple[str, RuleError]] = []
        for variant in self.taxonomy.variants(logsource):
            try:
                compiled.append((variant.name, variant.format, variant.apply(expression)))
            except RuleError as error:
                failures.append((variant.name, error))
        return compiled, failures

    def _add_pattern(self, indicator: Indicator) -> None:
        from aleat.hunt import stix_pattern  # noqa: PLC0415 - imports ANTLR, which is slow

        stix_pattern.add_pattern(self.builder, indicator)

    def _add_network_rule(self, indicator: Indicator) -> None:
        expression = alert_expression(indicator)
        self.builder.rules.append(PlannedRule(indicator=_bare(indicator), formats=(ALERT_FORMAT,)))
        self.builder.add_variant(len(self.builder.rules) - 1, "alert", (ALERT_FORMAT,), expression)

    def _compile_yara(self) -> None:
        """Compile all YARA rules to one set."""
        compiled = compile_rules(self._yara)
        whole: set[str] = set()
        for indicator, error, partial in compiled.rejected:
            self._reject(indicator, error, partial=partial)
            if not partial:
                whole.add(indicator.digest)
        self.builder.yara = [indicator for indicator in self._yara if indicator.digest not in whole]
        self.builder.yara_rules = compiled.data

    # -------------------------------------------------------------------- correlations and filters

    def _resolve(self) -> None:
        """Turn the correlations' references into positions, dropping (by name) those that lead nowhere."""
        targets: dict[str, list[int]] = {}
        for position, rule in enumerate(self.builder.rules):
            for key in {rule.indicator.id, rule.name} - {""}:
                targets.setdefault(key, []).append(position)
        waiting = list(self._correlations)
        while waiting:
            left = []
            for entry in waiting:  # each may stand before what it needs
                if all(reference in targets for reference in entry[2].rules):
                    self._add_correlation(*entry, targets)
                else:
                    left.append(entry)
            if len(left) == len(waiting):
                break
            waiting = left
        for indicator, _, body in waiting:
            missing = ", ".join(repr(reference) for reference in body.rules if reference not in targets)
            error = RuleError(
                f"the correlation refers to {missing}, which is not among the rules, or refers back to it",
                indicator.place,
                advice="Give the rules that it needs along with it.",
            )
            error.code = "reference"
            self._reject(indicator, error)

    def _add_correlation(
        self, indicator: Indicator, name: str, body: CorrelationBody, targets: dict[str, list[int]]
    ) -> None:
        try:
            rules = tuple(_target(reference, targets, indicator) for reference in body.rules)
            aliases = tuple(
                (alias, tuple((_target(reference, targets, indicator), field) for reference, field in fields))
                for alias, fields in body.aliases
            )
            expression = _correlation_tree(body.expression, body.rules) if body.expression else None
            if body.type == "temporal" and len(set(rules)) < len(rules):
                raise RuleError("the correlation names a rule twice", indicator.place)
        except RuleError as error:
            self._reject(indicator, error)
            return
        if not body.generate:
            self._silence(rules)
        self.builder.correlations.append(
            CorrelationRule(
                indicator=_bare(indicator),
                type=body.type,
                rules=rules,
                group_by=body.group_by,
                timespan=body.timespan,
                condition=body.condition,
                fields=body.fields,
                percentile=body.percentile,
                aliases=aliases,
                expression=expression,
                name=name,
            )
        )
        for key in {indicator.id, name} - {""}:
            targets.setdefault(key, []).append(-len(self.builder.correlations))

    def _silence(self, rules: Iterable[int]) -> None:
        """Referred rules are not reported themselves (Correlation Rules 2.1, "Generate")."""
        for position in rules:
            if position >= 0:
                self.builder.rules[position] = msgspec.structs.replace(self.builder.rules[position], reported=False)
            else:
                place = -1 - position
                self.builder.correlations[place] = msgspec.structs.replace(
                    self.builder.correlations[place], reported=False
                )

    def _add_filter(self, indicator: Indicator, body: FilterBody) -> None:
        compiled, failures = self._variants(body.logsource, body.expression)
        if failures and not compiled:
            self._reject(indicator, failures[0][1])
            return
        position = len(self.builder.filters)
        self.builder.filters.append(FilterRule(_bare(indicator), body.rules, body.logsource))
        for name, format_, expression in compiled:
            self.builder.add_variant(position, name, (format_,), expression, of_filter=True)


def _target(reference: str, targets: Mapping[str, list[int]], indicator: Indicator) -> int:
    found = targets.get(reference, [])
    if len(found) != 1:
        raise RuleError(
            f"the reference {reference!r} fits {'several rules' if found else 'no rule'}",
            indicator.place,
            advice="References are ids or names, which must be unique.",
        )
    return found[0]


def _correlation_tree(text: str, rules: Sequence[str]) -> object:
    """Return a temporal condition (``rule_a and not rule_b``) as a tree over positions in the correlation's rules."""
    names: dict[str, Expression] = {name: Atom(Field(str(place)), Exists()) for place, name in enumerate(rules)}
    return _encode_places(parse_condition(text, names))


def _encode_places(expression: Expression) -> object:
    if isinstance(expression, And | Or):
        sign = "&" if isinstance(expression, And) else "|"
        return [sign, *[_encode_places(child) for child in expression.children]]
    if isinstance(expression, Not):
        return ["!", _encode_places(expression.child)]
    assert isinstance(expression, Atom)  # noqa: S101 - a name stands for an atom, see above
    assert isinstance(expression.subject, Field)  # noqa: S101
    return int(expression.subject.name)


def _ended(sentence: str) -> str:
    """Return a sentence with its full stop."""
    return sentence if sentence.endswith((".", "!", "?", ":")) else f"{sentence}."


def _bare(indicator: Indicator) -> Indicator:
    return msgspec.structs.replace(indicator, pattern="", entries=())


# ------------------------------------------------------------------------------------------------- cache


def _digest(indicators: Sequence[Indicator], placeholders: Placeholders) -> str:
    encoder = msgspec.msgpack.Encoder(order="deterministic")
    parts = [_PLAN_FORMAT, ENGINE_VERSION.encode(), taxonomy_digest().encode(), stix_mapping_digest().encode()]
    parts.append(encoder.encode({name: list(values) for name, values in placeholders.items()}))
    if any(indicator.pattern_type == "yara" for indicator in indicators):
        parts.append(yara_version().encode())
    parts += [encoder.encode(_without_entries(indicator)) for indicator in indicators]
    return plan_digest(parts)


def _without_entries(indicator: Indicator) -> Indicator:
    """A list's digest stands for its entries, of which there can be millions."""
    if indicator.pattern_type != "aleat-list":
        return indicator
    return msgspec.structs.replace(indicator, entries=(), rows=None)


def _load(cache: Path, digest: str) -> Plan | None:
    data = read_cached(cache, f"{digest}.plan")
    if data is None:
        return None
    try:
        return msgspec.msgpack.decode(data, type=Plan)
    except (msgspec.MsgspecError, RecursionError):
        return None


def _store(cache: Path, digest: str, plan: Plan) -> None:
    lists = tuple(_without_entries(indicator) for indicator in plan.lists)
    write_cached(cache, f"{digest}.plan", msgspec.msgpack.encode(msgspec.structs.replace(plan, lists=lists)))


def _with_lists(plan: Plan, indicators: Sequence[Indicator]) -> Plan:
    """Put the lists' entries back, which are not in the cache."""
    given = iter([indicator for indicator in indicators if indicator.pattern_type == "aleat-list"])
    lists = tuple(next(given) if kept.pattern_type == "aleat-list" else kept for kept in plan.lists)
    return msgspec.structs.replace(plan, lists=lists)
