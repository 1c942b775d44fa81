"""Indicators from what was given."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from aleat.errors import Place
from aleat.hunt.from_store import indicators, indicators_of_items
from aleat.hunt.indicator import Indicator, NotEvaluated
from aleat.hunt.standing import Standing
from aleat.knowledge.items import KnowledgeItem
from aleat.knowledge.readers.lists import make_list_indicator
from aleat.knowledge.readers.sigma import make_rule_indicator
from aleat.stix.entries import ENTRY_SCHEMA
from aleat.stix.ids import content_id
from aleat.stix.objects import StixObject, make_object
from aleat.store.database import Database
from aleat.store.entries import put_entries
from aleat.store.objects import Provenance, put_objects

RULE = "title: Web shell\nid: 0f06a3a5-6a09-413f-8743-000000000001\ndetection: {a: {b: c}, condition: a}\n"
NOW = datetime(2022, 7, 15, tzinfo=UTC)


def rule() -> StixObject:
    parsed = {"title": "Web shell", "id": "0f06a3a5-6a09-413f-8743-000000000001", "level": "HIGH", "author": "Arta"}
    return make_rule_indicator(RULE, {**parsed, "tags": ["attack.t1505.003"]}, "rule")


def pattern(name: str, **properties: object) -> StixObject:
    values: dict[str, object] = {"pattern": "[file:name = 'x']", "pattern_type": "stix", "valid_from": NOW}
    return make_object("indicator", content_id("indicator", [name]), created=NOW, name=name, **(values | properties))


def entries() -> pa.Table:
    rows = {"type": ["domain-name", "ipv4-addr"], "value": ["evil.example", "198.51.100.7"], "context": ["C2", ""]}
    return pa.table({**rows, "line": [1, 2], "count": [1, 1]}).cast(ENTRY_SCHEMA)


def load(
    database: Database,
    root: Path,
    *items: tuple[StixObject, str],
    standings: list[Standing] | None = None,
    retired: list[Indicator] | None = None,
) -> tuple[list[Indicator], list[NotEvaluated]]:
    left: list[NotEvaluated] = []
    with database.write() as connection:
        copies = [
            (item, Provenance(giver=giver, received=NOW, source=Place("pack/x.json", 3))) for item, giver in items
        ]
        put_objects(connection, copies)
        found = indicators(connection, root, not_evaluated=left, standings=standings, retired=retired)
        return list(found), left


def test_a_sigma_rule_keeps_its_own_id_level_author_and_place(database: Database, tmp_path: Path) -> None:
    ((found,), left) = load(database, tmp_path, (rule(), "cert-x"))
    assert not left
    assert (found.id, found.ref) == ("0f06a3a5-6a09-413f-8743-000000000001", rule().id)
    assert (found.pattern_type, found.pattern, found.level) == ("sigma", RULE, "high")
    assert (found.author, found.tags, found.source) == ("Arta", ("attack.t1505.003",), "cert-x")
    assert found.place == Place("pack/x.json", 3)


def test_an_object_from_two_givers_is_hunted_once_and_names_both(database: Database, tmp_path: Path) -> None:
    (found,), _ = load(database, tmp_path, (rule(), "cert-x"), (rule(), "cert-y"))
    assert found.source == "cert-x, cert-y"


def test_a_list_comes_with_its_rows(database: Database, tmp_path: Path) -> None:
    with database.write() as connection:
        put_entries(connection, tmp_path, entries())
    (found,), _ = load(database, tmp_path, (make_list_indicator("c2.csv", entries()), "cert-x"))
    assert (found.pattern_type, found.pattern, found.title) == ("aleat-list", "", "c2.csv")
    assert found.rows is not None
    assert found.rows.take([1, 0]) == [("ipv4-addr", "198.51.100.7", ""), ("domain-name", "evil.example", "C2")]


def test_a_list_whose_rows_are_gone_is_named(database: Database, tmp_path: Path) -> None:
    found, (left,) = load(database, tmp_path, (make_list_indicator("c2.csv", entries()), "cert-x"))
    assert (found, left.code) == ([], "list-rows")


def test_what_is_revoked_or_of_another_type_is_named_and_not_hunted(database: Database, tmp_path: Path) -> None:
    standings: list[Standing] = []
    retired: list[Indicator] = []
    objects = [pattern("good"), pattern("taken back", revoked=True), pattern("pcre", pattern_type="pcre")]
    pairs = ((item, "cert-x") for item in objects)
    found, left = load(database, tmp_path, *pairs, standings=standings, retired=retired)
    assert [item.title for item in found] == ["good"]
    assert {(row.title, row.code) for row in left} == {("taken back", "revoked"), ("pcre", "pattern-type")}
    assert [item.title for item in retired] == ["taken back"]
    assert standings == [Standing(objects[1].id, "revoked: by its creator on 2022-07-15")]


def test_what_expired_hunts_the_past(database: Database, tmp_path: Path) -> None:
    standings: list[Standing] = []
    end = datetime(2021, 1, 1, tzinfo=UTC)
    old = pattern("old", valid_from=datetime(2020, 1, 1, tzinfo=UTC), valid_until=end)
    found, left = load(database, tmp_path, (old, "cert-x"), standings=standings)
    assert ([item.title for item in found], left) == (["old"], [])
    (standing,) = standings
    micros = int(end.timestamp()) * 1_000_000
    assert [standing.holds(time) for time in (0, micros - 1, micros, micros + 1, None)] == [
        False,
        False,
        True,
        True,
        False,
    ]


def test_the_digest_follows_what_is_evaluated_not_who_wrote_or_gave_it(database: Database, tmp_path: Path) -> None:
    found, _ = load(
        database,
        tmp_path,
        (pattern("one"), "a"),
        (pattern("two"), "b"),
        (pattern("three", pattern="[file:name = 'y']"), "a"),
    )
    digests = {item.title: item.digest for item in found}
    assert digests["one"] == digests["two"] != digests["three"]


def test_items_just_read_give_the_same_indicators_as_the_store(database: Database, tmp_path: Path) -> None:
    with database.write() as connection:
        put_entries(connection, tmp_path, entries())
    listed = make_list_indicator("c2.csv", entries())
    stored, _ = load(database, tmp_path, *((item, "cert-x") for item in (rule(), listed, pattern("p"))))
    place = Place("pack/x.json", 3)
    items = [KnowledgeItem(object=item, place=place) for item in (rule(), pattern("p"), pattern("p"))]
    items.append(KnowledgeItem(object=listed, place=place, entries=entries()))
    assert sorted(indicators_of_items(items, "cert-x"), key=lambda item: item.ref) == stored
