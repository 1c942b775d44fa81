"""Dismissals: "this is normal here", written as Sigma filters and evaluated as labels, apart from the rules.

A dismissal names one rule by its own id, so that it outlives the rule's updates, and the events that are normal:
fields with values (Sigma texts, in which wildcards count; fields may carry modifiers), all of which must hold,
one of those given for one field; without any, every event. Unlike a filter that came with rules it isn't bound
to the rule's log source, and reads the source's own field names as well as Sigma's: what an analyst sees in a
sighting can be written down as it stands. It applies to lists, patterns and correlations (their last event) too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from aleat.errors import InputError, Place, RuleError
from aleat.formats import formats_of_texts, stated_formats
from aleat.hunt.expression import any_of
from aleat.hunt.indicator import Indicator, NotEvaluated
from aleat.hunt.plan import FilterRule, LogSource, Plan, PlanBuilder
from aleat.hunt.sigma import FilterBody, read_document
from aleat.hunt.taxonomy import load_taxonomy

__all__ = ["Dismissal", "add_dismissals", "filter_text", "logsource_of", "parse_where"]

_ANY = "any"
_NUMERIC = frozenset({"gt", "gte", "lt", "lte", "minute", "hour", "day", "week", "month", "year"})


class Dismissal(msgspec.Struct, frozen=True):
    """A dismissal that is in force: its id, the rule's own id, the Sigma filter, and who wrote it."""

    id: str
    rule: str
    text: str
    author: str


def parse_where(conditions: Iterable[str]) -> dict[str, list[str]]:
    """Return fields with their values from texts like ``FIELD=VALUE``; raises `InputError` for any other.

    >>> parse_where(["User=adm_*", "CommandLine|contains=a=b", "User=root"])
    {'User': ['adm_*', 'root'], 'CommandLine|contains': ['a=b']}
    """
    found: dict[str, list[str]] = {}
    for text in conditions:
        field, equals, value = text.partition("=")
        if not equals or not field.strip():
            raise InputError(f"{text[:80]!r} is no condition.", advice="Write FIELD=VALUE.")
        found.setdefault(field.strip(), []).append(value)
    return found


def filter_text(
    *,
    identifier: str,
    rule: str,
    title: str,
    logsource: LogSource | None,
    where: Mapping[str, Sequence[str]],
    reason: str,
    author: str,
    date: str,
) -> str:
    """Return a dismissal as a Sigma filter (YAML); `logsource` is the rule's, None where it has none.

    Raises `RuleError` where it could not be evaluated.
    """
    import yaml  # noqa: PLC0415 - few come here

    source = {name: value for name, value in msgspec.structs.asdict(logsource or LogSource()).items() if value}
    body: dict[str, Any] = {"rules": [rule]}
    if where:
        body["selection"] = {
            field: [_value(field, value) for value in values] if len(values) > 1 else _value(field, values[0])
            for field, values in where.items()
        }
        body["condition"] = "selection"
    else:
        body["selection"] = {"EventID|exists": True}
        body["condition"] = "selection or not selection"
    document = {
        "title": f"Dismissed: {title}",
        "id": identifier,
        "description": reason,
        "author": author,
        "date": date,
        "logsource": source or {"product": _ANY},
        "filter": body,
    }
    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)
    _compile(PlanBuilder(), Dismissal(identifier, rule, text, author))
    return text


def logsource_of(plan: Plan, rule: str) -> LogSource | None:
    """Return the log source of a plan's rule; None where it has none, as lists, patterns and correlations."""
    for planned in plan.rules:
        if planned.indicator.id == rule and planned.logsource != LogSource():
            return planned.logsource
    return None


def add_dismissals(plan: Plan, dismissals: Iterable[Dismissal]) -> Plan:
    """Return the plan with dismissals among its filters; its rules, and what is hunted for, stay as they are."""
    given = list(dismissals)
    if not given:
        return plan
    builder = PlanBuilder.of(plan)
    for dismissal in given:
        try:
            _compile(builder, dismissal)
        except InputError as error:
            row = NotEvaluated(
                dismissal.id, f"Dismissal of {dismissal.rule}", _place(dismissal), error.code, error.reason
            )
            builder.not_evaluated.append(row)
    return builder.build(plan.mapping_digest)


def _compile(builder: PlanBuilder, dismissal: Dismissal) -> None:
    document = read_document(dismissal.text, path=_place(dismissal).path, as_written=True)
    if not isinstance(document.body, FilterBody):
        raise RuleError("a dismissal must be a Sigma filter", _place(dismissal))
    expression, source = document.body.expression, document.body.logsource
    options, formats = [expression], []
    if source.product != _ANY:
        with stated_formats(formats_of_texts(builder.formats)):
            variants = load_taxonomy().variants(source)
        for variant in variants:
            with suppress(RuleError):  # a field that this kind of evidence lacks
                options.append(variant.apply(expression))
                formats.append(variant.format)
    indicator = Indicator(
        id=dismissal.id,
        ref="",
        digest="",
        pattern_type="sigma",
        pattern="",
        title=f"Dismissal of {dismissal.rule}",
        source="",
        place=_place(dismissal),
        author=dismissal.author,
    )
    builder.filters.append(FilterRule(indicator, (dismissal.rule,), source, anywhere=True))
    builder.add_variant(len(builder.filters) - 1, "dismissal", formats, any_of(options), of_filter=True)


def _place(dismissal: Dismissal) -> Place:
    return Place(f"dismissal {dismissal.id}")


def _value(field: str, text: str) -> object:
    """Return a value as the field's modifiers want it: a number, a truth, else a text."""
    modifiers = set(field.split("|")[1:])
    if "exists" in modifiers:
        return {"true": True, "false": False}.get(text.lower(), text)
    if modifiers & _NUMERIC:
        for kind in (int, float):
            with suppress(ValueError):
                return kind(text)
    return text
