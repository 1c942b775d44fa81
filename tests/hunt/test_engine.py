"""The engine: against the naive evaluator, and what must not change its result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aleat.errors import Place
from aleat.evidence.batch import EventBatch
from aleat.hunt import Hunter, Indicator, Plan, Sighting, hunt_segment
from aleat.hunt.expression import (
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
    Network,
    Not,
    Number,
    Or,
    Regex,
    Text,
    View,
    Wildcard,
)
from aleat.hunt.plan import PlanBuilder, PlannedRule

from .events import batch
from .naive import holds

WORDS = [
    "",
    "a",
    "ab",
    "abc",
    "bca",
    "CAB",
    "cmd.exe",
    "c:\\x\\cmd.exe",
    "Ë",
    "ëa",
    "-",
    "5",
    "5.0",
    "007",
    "0x1f",
    "10.1.2.3",
    "abcabcabc",
    "a\nb",
    "Security",
    "4624",
]
NAMES = ["F", "G", "H h", "EventID"]

texts = st.sampled_from(WORDS) | st.text("abcë*\\ ", max_size=6)
scalars = texts | st.none() | st.booleans() | st.integers(-3, 12) | st.sampled_from([0.5, 5.0, 1e300])
cells = scalars | st.lists(scalars, max_size=3)
events = st.dictionaries(st.sampled_from([*NAMES, "f", "Hh"]), cells, max_size=4)

fields = st.builds(Field, st.sampled_from(NAMES))
subjects = (
    fields
    | st.sampled_from([Fact("channel"), Fact("event_id"), Fact("host"), Everywhere()])
    | st.builds(Joined, st.just(("F", "G")), st.sampled_from(["?", ""]))
    | st.builds(View, st.sampled_from(["F", "G"]), st.sampled_from(["basename", "before", "after"]), st.just("b"))
)
tests = (
    st.builds(Text, st.sampled_from(["equals", "contains", "startswith", "endswith"]), texts, st.booleans())
    | st.builds(
        Wildcard,
        st.lists(st.sampled_from(["a", "ab", "b", "ë", 0, 1, 2]), min_size=1, max_size=5).map(tuple),
        st.booleans(),
    )
    | st.builds(Regex, st.sampled_from(["a.c", "^a", "b$", "[ab]{2}", "c|d", "abc", "5"]), st.sampled_from(["", "i"]))
    | st.builds(Number, st.sampled_from(["eq", "lt", "le", "gt", "ge"]), st.integers(-3, 12) | st.sampled_from([0.5]))
    | st.builds(Network, st.sampled_from(["10.0.0.0/8", "::/0", "11.0.0.0/8"]))
)
atoms = (
    st.builds(Atom, subjects, tests)
    | st.builds(Atom, fields, st.sampled_from([IsNull(), Exists()]))
    | st.builds(
        FieldsMatch, fields, fields, st.sampled_from(["equals", "contains", "startswith", "endswith"]), st.booleans()
    )
)


def grow(children: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    several = st.lists(children, min_size=1, max_size=4).map(tuple)
    return st.builds(And, several) | st.builds(Or, several) | st.builds(Not, children)


expressions = st.recursive(atoms | st.builds(Always, st.booleans()), grow, max_leaves=8)


def plan_of(rules: Sequence[Expression]) -> Plan:
    builder = PlanBuilder()
    for number, expression in enumerate(rules):
        indicator = Indicator(str(number), str(number), str(number), "sigma", "", "t", "s", Place("x"))
        builder.rules.append(PlannedRule(indicator))
        builder.add_variant(number, "v", ("windows",), expression)
    return builder.build()


def hits(result_of: Hunter, batches: Sequence[EventBatch]) -> set[tuple[int, int]]:
    return {(int(one.indicator), one.record) for one in result_of.hunt(batches).sightings}


def expected(rules: Sequence[Expression], rows: Sequence[dict[str, Any]], host: str = "PC1") -> set[tuple[int, int]]:
    found = set()
    for record, event in enumerate(rows):
        event_id = str(event.get("@event_id", 4624))
        facts = {"channel": "Security", "format": "windows", "event_id": event_id, "host": host, "provider": ""}
        shown = {name: value for name, value in event.items() if not name.startswith("@")}
        for number, rule in enumerate(rules):
            if holds(rule, _as_seen(shown, event_id), facts):
                found.add((number, record))
    return found


def _as_seen(event: dict[str, Any], event_id: str) -> dict[str, Any]:
    """The fixed column is a field too: it matches beside a payload field of the same name."""
    return {**event, "Event ID": event_id}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(expressions, min_size=1, max_size=6), st.lists(events, min_size=1, max_size=8))
def test_engine_agrees_with_the_naive_evaluator(rules: list[Expression], rows: list[dict[str, Any]]) -> None:
    """Random rules on random events, all rules at once."""
    rows = numbered(rows)
    assert hits(Hunter(plan_of(rules)), [batch(rows)]) == expected(rules, rows)


@pytest.mark.long
@settings(max_examples=3000, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(expressions, min_size=1, max_size=6), st.lists(events, min_size=1, max_size=8))
def test_engine_agrees_with_the_naive_evaluator_at_length(rules: list[Expression], rows: list[dict[str, Any]]) -> None:
    """The same, many more times."""
    rows = numbered(rows)
    assert hits(Hunter(plan_of(rules)), [batch(rows)]) == expected(rules, rows)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(expressions, min_size=1, max_size=4), st.lists(events, min_size=2, max_size=8), st.data())
def test_result_does_not_depend_on_cut_order_or_memory(
    rules: list[Expression], rows: list[dict[str, Any]], data: st.DataObject
) -> None:
    """One batch, two in either order, chunked columns, and a hunter that forgets all the time find the same."""
    rows = numbered(rows)
    cut = data.draw(st.integers(1, len(rows) - 1))
    parts = [batch(rows[:cut]), batch(rows[cut:], record_base=cut)]
    plan = plan_of(rules)
    whole = hits(Hunter(plan), [batch(rows)])
    assert hits(Hunter(plan), parts) == whole
    assert hits(Hunter(plan, memory=0), parts[::-1]) == whole
    hunter = Hunter(plan)
    assert hits(hunter, [batch(rows)]) == hits(hunter, [batch(rows)]) == whole
    assert hits(hunter, [chunked(batch(rows), cut)]) == whole


def numbered(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give the events different event ids, so that gates differ within a batch."""
    return [{**row, "@event_id": 4624 + index % 3} for index, row in enumerate(rows)]


def chunked(one: EventBatch, cut: int) -> EventBatch:
    """The same batch with its columns in two chunks with dictionaries of their own."""
    pieces = [one.table.slice(0, cut), one.table.slice(cut)]
    again = [pa.table({name: redone(piece[name]) for name in piece.column_names}) for piece in pieces]
    return EventBatch(one.evidence, one.segment, one.record_base, one.format, one.channel, pa.concat_tables(again))


def redone(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0)
    return array.dictionary_decode().dictionary_encode() if pa.types.is_dictionary(array.type) else array


def sighted(rule: Expression, rows: list[dict[str, Any]], **facts: Any) -> tuple[Sighting, ...]:
    return hunt_segment(plan_of([rule]), [batch(rows, **facts)]).sightings


def test_sighting_carries_the_sources_own_fields_with_their_types() -> None:
    """Strings, integers, floats, booleans, nulls and lists come back as such; absent fields don't."""
    row = {"CommandLine": "x", "Port": 5, "Ratio": 0.5, "Signed": True, "Nothing": None, "Data": ["a", 1]}
    (found,) = sighted(Atom(Field("port"), Number("eq", 5)), [{"Other": "y"}, row])
    assert found.fields == row
    assert found.record == 1


def test_sighting_says_what_matched() -> None:
    """Positive atoms that passed are named with their field and text; negated ones are not."""
    rule = And((Atom(Field("A"), Text("contains", "evil")), Not(Atom(Field("B"), Text("contains", "good")))))
    (found,) = sighted(rule, [{"A": "Evil.exe", "B": "bad"}])
    assert found.matched == (("A", "Evil.exe"),)


def test_sighting_leads_to_its_record() -> None:
    """Record base and offset are those of the batch."""
    (found,) = sighted(Atom(Field("A"), Text("equals", "x")), [{}, {"A": "x"}], record_base=700, evidence="a.evtx")
    assert (found.evidence, found.record, found.offset) == ("a.evtx", 701, 100)


def test_payload_field_of_a_facts_name_matches_beside_the_fact() -> None:
    """An event whose payload has a field EventID of its own matches on either."""
    rule = And((Atom(Field("EventID"), Number("eq", 7)), Atom(Field("A"), Text("equals", "x"))))
    rows = [{"A": "x"}, {"A": "x", "EventID": 7}, {"A": "x", "EventID": "9", "@event_id": 7}]
    assert [one.record for one in sighted(rule, rows, event_id=1)] == [1, 2]


def test_a_log_without_channels_has_no_field_of_that_name() -> None:
    """It is absent there, neither empty nor equal to the beginning of anything."""
    rows = [{"A": "x"}]
    facts = {"format": "iis", "channel": ""}
    there = Atom(Field("A"), Exists())
    for rule in (
        Atom(Field("Channel"), Exists()),
        Atom(Field("Channel"), Text("contains", "")),
        FieldsMatch(Field("A"), Field("Channel"), "contains"),
    ):
        assert not sighted(And((there, rule)), rows, **facts)
        assert sighted(And((there, Not(rule))), rows, **facts)
    assert sighted(Atom(Field("Channel"), IsNull()), rows, **facts)
    assert sighted(Atom(Field("Channel"), Exists()), rows)


def test_rule_of_another_log_is_not_evaluated() -> None:
    """The gate is on the facts: the payload can't open it."""
    rule = And((Atom(Fact("channel"), Text("equals", "System")), Atom(Field("A"), Text("equals", "x"))))
    assert not sighted(rule, [{"A": "x", "Channel": "System"}])
    assert sighted(rule, [{"A": "x"}], channel="SYSTEM")


def test_rule_of_negations_only_fires_on_events_without_the_field() -> None:
    """A rule without any positive atom is evaluated wherever its gate is open."""
    rule = And((Atom(Fact("channel"), Text("equals", "Security")), Not(Atom(Field("A"), Text("equals", "x")))))
    assert [one.record for one in sighted(rule, [{"A": "x"}, {"A": "y"}, {"B": "x"}, {}])] == [1, 2, 3]


def test_unreported_rules_feed_correlations_only() -> None:
    """What only a correlation needs is apart from what is reported."""
    plan = plan_of([Atom(Field("A"), Text("equals", "x"))])
    plan = msgspec.structs.replace(plan, rules=(msgspec.structs.replace(plan.rules[0], reported=False),))
    result = hunt_segment(plan, [batch([{"A": "x"}])])
    assert (len(result.sightings), len(result.feeds), result.events) == (0, 1, 1)


def test_empty_batch_and_empty_plan_find_nothing() -> None:
    """Neither is an error."""
    assert not hunt_segment(plan_of([]), [batch([{"A": "x"}])]).sightings
    assert not hunt_segment(plan_of([Atom(Field("A"), Exists())]), [batch([])]).sightings
