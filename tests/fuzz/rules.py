"""The target "rules": Sigma rules, correlations and filters, from a file's bytes to written sightings."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml

from aleat.errors import Issue, RuleError
from aleat.hunt import Hunter, Indicator, Plan, compile_plan, indicators_of_items
from aleat.hunt.expression import Expression
from aleat.hunt.sigma import FilterBody, RuleBody, read_document
from aleat.hunt.taxonomy import load_taxonomy
from aleat.knowledge import KnowledgeItem, read_knowledge
from tests.fuzz.mutation import mutate_text
from tests.fuzz.world import FIELDS, VALUES, Folder, checked_hunt, expected_records, random_batches

__all__ = ["MODIFIERS", "RulesTarget", "knowledge_of"]

MODIFIERS = (
    "contains", "startswith", "endswith", "all", "cased", "re", "i", "m", "s", "base64", "base64offset", "wide",
    "utf16", "utf16le", "utf16be", "windash", "cidr", "gt", "gte", "lt", "lte", "neq", "exists", "fieldref", "expand",
    "minute", "hour", "day", "week", "month", "year", "odd", "",
)  # fmt: skip
_SOURCES: tuple[dict[str, Any], ...] = (
    {"product": "windows", "category": "process_creation"},
    {"product": "windows", "service": "security"},
    {"product": "windows", "service": "sysmon"},
    {"product": "windows"},
    {"product": "windows", "category": "registry_set"},
    {"category": "network_connection", "product": "windows"},
    {"category": "dns_query"},
    {"category": "webserver"},
    {"category": "proxy"},
    {"product": "linux", "service": "auditd"},
    {"product": "aws", "service": "cloudtrail"},
    {"category": "file_event", "product": "windows"},
)
_PATTERNS = (
    "a.*b", "^(a+)+$", "(?i)cmd", "a{1,1000}", "\\bcmd\\b", "[a-z]+\\.exe$", "(a|b|ab)*c", "\\d{4}", "(?=x)", "(a)\\1",
    "(?P<n>a)", "\\p{L}+", "[[:alpha:]]", "a{9999}{9999}", "\\", "(", "[^\\x00-\\x7f]", "(?s).", "x*+", "\\Qa\\E",
)  # fmt: skip
_NAMES = ("selection", "filter_main", "filter_opt", "_hidden", "keywords", "sel-1", "1", "them", "not")
_TOKENS = (
    "selection", "1 of them", "all of selection*", " and ", " or ", " not ", "|all", "|contains", "|re", "|expand",
    "condition: ", "detection:", "correlation:", "filter:", "timespan: 1m", "group-by:", "%a%", "|base64offset",
)  # fmt: skip


class RulesTarget:
    """See the module; `seeds` are texts of rules to change, beside those that are made."""

    name = "rules"
    limit = 2.0

    def __init__(self, place: Folder, seeds: Sequence[str] = ()) -> None:
        self._place = place
        self._seeds = seeds

    def make(self, rng: random.Random) -> bytes:
        """Return one to three documents, half of the time damaged."""
        if self._seeds and rng.random() < 0.3:
            text = rng.choice(self._seeds)
            return mutate_text(text, rng, _TOKENS).encode("utf-8", "surrogatepass")
        documents = [_rule(rng, number) for number in range(rng.choice((1, 1, 2, 3)))]
        for number in range(rng.choice((0, 0, 1, 2))):
            documents.append(rng.choice((_correlation, _filter))(rng, len(documents) + number))
        styles = (None, False, True)
        text = "---\n".join(
            yaml.safe_dump(one, allow_unicode=True, default_flow_style=rng.choice(styles), sort_keys=False)
            for one in documents
        )
        if rng.random() < 0.4:
            text = mutate_text(text, rng, _TOKENS)
        data = text.encode("utf-8", "surrogatepass")
        if rng.random() < 0.05:
            data = data.replace(b"a", rng.randbytes(1))
        return data

    def check(self, data: bytes) -> None:
        """Read, compile, hunt and write; every indicator is in the plan or named; the naive evaluator agrees."""
        plan, given = knowledge_of(self._place, "rule.yml", data)
        _check_accounts(plan, given)
        checked_hunt([self._place.logs], plan)
        _check_naive(plan, given, data)


def knowledge_of(
    place: Folder, name: str, data: bytes, accept: Callable[[KnowledgeItem], bool] = lambda item: True
) -> tuple[Plan, list[Indicator]]:
    """Return the plan of a file of knowledge, and its indicators; a plan is data and can be stored."""
    path = place.path / name
    path.write_bytes(data)
    items = [item for item in read_knowledge([path]) if not isinstance(item, Issue) and accept(item)]
    given = list(indicators_of_items(items, "fuzz"))
    plan = compile_plan(given, placeholders={"a": ["x*", "y"], "name": ["10.0.0.0/8"]})
    light = msgspec.structs.replace(plan, lists=())  # whose values are kept apart
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(light), type=Plan) == light, "a plan is data"
    return plan, given


def _check_accounts(plan: Plan, given: Sequence[Indicator]) -> None:
    kept = [rule.indicator.id for rule in (*plan.rules, *plan.correlations, *plan.filters)]
    named = [row.indicator for row in plan.not_evaluated if not row.partial]
    assert sorted([*kept, *named]) == sorted(item.id for item in given), "in the plan or named"
    assert all(row.reason and row.place.path for row in plan.not_evaluated)


def _check_naive(plan: Plan, given: Sequence[Indicator], data: bytes) -> None:
    """Compare each rule's records with the naive evaluator's."""
    made = random_batches(data)
    hunter = Hunter(plan)
    found: dict[str, set[tuple[str, str, int]]] = {}
    for _, _, one in made:
        result = hunter.hunt([one])
        for sighting in (*result.sightings, *result.feeds):
            found.setdefault(sighting.ref, set()).add((one.format, one.channel, sighting.record))
    planned = {rule.indicator.ref: rule for rule in plan.rules}
    for indicator in given:
        if indicator.ref not in planned:
            continue
        expected: set[tuple[str, str, int]] = set()
        for expression in _expressions(indicator):
            records = expected_records(expression, made)
            if records is None:
                break
            expected |= records
        else:
            assert found.get(indicator.ref, set()) == expected, "the naive evaluator differs"


def _expressions(indicator: Indicator) -> list[Expression]:
    """Return a rule's expressions over events, one for each variant that can be evaluated."""
    placeholders = {"a": ["x*", "y"], "name": ["10.0.0.0/8"]}
    document = read_document(
        indicator.pattern, path="x", first_line=indicator.place.line or 1, placeholders=placeholders
    )
    assert isinstance(document.body, RuleBody | FilterBody)
    made = []
    for variant in load_taxonomy().variants(document.body.logsource):
        try:
            made.append(variant.apply(document.body.expression))
        except RuleError:
            continue
    return made


# ------------------------------------------------------------------------------------------------- making


def _head(rng: random.Random, number: int) -> dict[str, Any]:
    head: dict[str, Any] = {"title": f"Rule {number}", "id": f"rule-{number}", "name": f"name_{number}"}
    if rng.random() < 0.3:
        head |= {"level": rng.choice(("low", "high", "odd", 5)), "author": rng.choice(("A", 5, None, ["x"]))}
    if rng.random() < 0.2:
        head |= {"fields": rng.choice((["Image"], "Image", 5, {"a": 1}, None)), "tags": rng.choice((["a.b"], "x", 5))}
    return head


def _rule(rng: random.Random, number: int) -> dict[str, Any]:
    return {**_head(rng, number), "logsource": _logsource(rng), "detection": _detection(rng)}


def _logsource(rng: random.Random) -> Any:
    return rng.choice(_SOURCES) if rng.random() < 0.95 else rng.choice(("x", None, {}, {"product": ["a"]}, [1]))


def _detection(rng: random.Random) -> dict[str, Any]:
    careful = rng.random() < 0.75
    names = rng.sample(_NAMES[:5] if careful else _NAMES, rng.randrange(1, 4))
    condition: Any = _condition(rng, names, 2, careful)
    if rng.random() < 0.1:
        condition = [condition, _condition(rng, names, 1, careful)]
    return {**{name: _search(rng, 2, careful) for name in names}, "condition": condition}


def _condition(rng: random.Random, names: Sequence[str], depth: int, careful: bool) -> str:
    kind = rng.randrange(9)
    if depth and kind < 4:
        one, other = (_condition(rng, names, depth - 1, careful) for _ in range(2))
        return f"{one} {rng.choice(('and', 'or', 'AND', 'and not'))} {other}"
    if depth and kind == 4:
        return f"({_condition(rng, names, depth - 1, careful)})"
    if depth and kind == 5:
        return f"not {_condition(rng, names, depth - 1, careful)}"
    if kind == 6:
        what = rng.choice(("them", "selection*", "filter_*", "*", "x*"))
        return f"{rng.choice(('1', 'all', 'any', '2'))} of {what}" if not careful else f"1 of {names[0][:3]}*"
    return rng.choice(names)


def _search(rng: random.Random, depth: int, careful: bool) -> Any:
    kind = rng.randrange(8)
    if kind == 0 and depth:
        return [_search(rng, depth - 1, careful) for _ in range(rng.randrange(careful, 3))]
    if kind == 1:
        return [_scalar(rng, careful) for _ in range(rng.randrange(1, 3))]
    if kind == 2:
        return _scalar(rng, careful)
    return dict(_item(rng, careful) for _ in range(rng.randrange(1, 4)))


def _item(rng: random.Random, careful: bool) -> tuple[str, Any]:
    """Return a field with its modifiers, and its value or values; if careful, such that they fit together."""
    field = rng.choice(FIELDS)
    if careful:
        modifiers, values = rng.choice(_FITTING)
        several = "|all" in modifiers or rng.random() < 0.3
        chosen = [rng.choice(values) if values else _scalar(rng, careful) for _ in range(1 + several)]
        return field + modifiers, chosen if several and len(set(map(repr, chosen))) > 1 else chosen[0]
    if rng.random() < 0.05:
        field = rng.choice(("", " ", "|", "a.b", "ë"))
    modifiers = "|".join(["", *rng.choices(MODIFIERS, k=rng.choices((0, 1, 2, 4), (5, 6, 3, 1))[0])])
    if rng.random() < 0.3:
        return field + modifiers, [_scalar(rng, careful) for _ in range(rng.randrange(4))]
    return field + modifiers, _scalar(rng, careful)


_PLAIN = tuple(text for text in VALUES if not set(text) & set("*?\\%"))
_NUMERALS = (5, 4624, 0.5, "5", "007", -1, 10**30, 1e300)
_FITTING: tuple[tuple[str, Sequence[Any]], ...] = (
    *[(modifiers, ()) for modifiers in ("", "", "|contains", "|contains", "|startswith", "|endswith", "|neq")],
    *[(modifiers, VALUES) for modifiers in ("|cased", "|contains|cased", "|contains|all", "|contains|neq")],
    *[
        (modifiers, _PLAIN)
        for modifiers in ("|base64offset|contains", "|base64|contains", "|wide|base64offset|contains")
    ],
    *[(modifiers, _PLAIN) for modifiers in ("|windash", "|windash|contains|all", "|utf16be|base64", "|utf16|base64")],
    *[(modifiers, _PATTERNS) for modifiers in ("|re", "|re|i", "|re|i|m|s")],
    *[(modifiers, _NUMERALS) for modifiers in ("|gt", "|gte", "|lt", "|lte", "|neq")],
    *[(modifiers, (0, 8, 30)) for modifiers in ("|hour", "|minute", "|day", "|week", "|month", "|year")],
    *[(modifiers, FIELDS) for modifiers in ("|fieldref", "|fieldref|startswith", "|fieldref|contains")],
    ("|cidr", ("10.0.0.0/8", "::/0", "10.1.2.3", "fe80::/10", "0.0.0.0/0")),
    ("|exists", (True, False)),
    ("|expand", ("%a%", "x%name%", "%a%%name%", "*%a%")),
    ("|contains|expand", ("%a%", "%name%")),
)


def _scalar(rng: random.Random, careful: bool) -> Any:
    kind = rng.randrange(1, 9) if careful else rng.randrange(12)
    if kind == 0:
        return rng.choice((None, True, False, 5, 4624, 0.5, -1, 10**30, float("nan"), float("inf")))
    if kind == 1:
        return rng.choice(_PATTERNS)
    if kind == 2:
        return rng.choice(FIELDS)
    text = rng.choice(VALUES)
    if kind < 6:
        at = rng.randrange(len(text) + 1)
        text = text[:at] + rng.choice(("*", "?", "\\", "\\*", "\\\\*", "%a%", "%b%", "**")) + text[at:]
    elif kind == 6:
        start = rng.randrange(len(text) + 1)
        text = text[start : start + rng.randrange(1, 6)]
    elif careful:
        pass
    elif kind == 7 and rng.random() < 0.2:
        return [text]
    elif kind == 9 and rng.random() < 0.2:
        return {"a": text}
    return text


def _correlation(rng: random.Random, number: int) -> dict[str, Any]:
    body: dict[str, Any]
    if rng.random() < 0.6:
        kinds: tuple[str, ...] = ("event_count", "temporal", "temporal_ordered", "value_count")
        body = {
            "type": rng.choice(kinds),
            "rules": ["rule-0"] if number < 2 else ["rule-0", "name_1"],
            "group-by": rng.choice((["Computer"], ["User"], [])),
            "timespan": rng.choice(("1s", "5m", "1h")),
            "condition": {rng.choice(("gte", "gt", "lt", "eq", "neq")): rng.choice((1, 2, 3)), "field": "Image"},
        }
        return {**_head(rng, number), "correlation": body}
    kinds = (
        "event_count", "value_count", "temporal", "temporal_ordered", "value_sum", "value_avg", "value_percentile", "x",
    )  # fmt: skip
    rules = [rng.choice(("rule-0", "name_1", "rule-1", "rule-2", f"rule-{number}", "none")) for _ in range(2)]
    condition: Any = {rng.choice(("gte", "gt", "lt", "lte", "eq", "neq", "x")): rng.choice((1, 2, 0, -1, 0.5, "x"))}
    if rng.random() < 0.5:
        condition["field"] = rng.choice(("Image", ["Image", "User"], "ProcessId", None, 5))
    if rng.random() < 0.1:
        condition["percentile"] = rng.choice((50, 0, 100, 1000, -1, "x"))
    if rng.random() < 0.15:
        condition = rng.choice(("rule-0 and not name_1", "rule-0 or", "x", [1], None, 5))
    body = {
        "type": rng.choice(kinds),
        "rules": rules[: rng.choice((1, 2))] if rng.random() < 0.9 else rng.choice(("rule-0", None, {"a": 1}, 5)),
        "timespan": rng.choice(("1s", "5m", "1h", "1d", "999999999y", "0s", "x", 5, None, ["5m"])),
        "condition": condition,
    }
    if rng.random() < 0.6:
        body["group-by"] = rng.choice((["Computer"], ["User", "Image"], "User", None, [], ["al"], 5, {"a": 1}))
    if rng.random() < 0.2:
        body["aliases"] = rng.choice(({"al": {"rule-0": "User", "name_1": "Image"}}, {"al": "x"}, "x", {"al": {}}, [1]))
    if rng.random() < 0.3:
        body["generate"] = rng.choice((True, False, "x"))
    return {**_head(rng, number), "correlation": body}


def _filter(rng: random.Random, number: int) -> dict[str, Any]:
    rules = rng.choice((["rule-0"], "any", ["name_1", "rule-0"], None, 5, {"a": 1}, []))
    return {**_head(rng, number), "logsource": _logsource(rng), "filter": {"rules": rules, **_detection(rng)}}


def seeds_of(data: Path) -> list[str]:
    """Return real rules' texts, at most 400 of them, evenly spread."""
    paths = sorted((data / "sigma").glob("rules*/**/*.yml"))
    return [path.read_text("utf-8") for path in paths[:: max(len(paths) // 400, 1)]]
