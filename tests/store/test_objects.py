"""The store of objects: nothing changed, nothing doubled, nothing hidden."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from aleat.errors import Place
from aleat.stix import StixObject, parse_bundle, parse_object
from aleat.store.database import Database
from aleat.store.objects import (
    Provenance,
    find_conflicts,
    find_objects,
    get_object,
    get_variants,
    iterate_objects,
    knowledge_digest,
    put_objects,
    verify_added,
    verify_objects,
)

UUID = "8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"
FIRST = "2022-07-15T08:00:00.000Z"
LATER = "2022-07-16T08:00:00Z"
RECEIVED = datetime(2022, 9, 1, 12, tzinfo=UTC)
RED, GREEN = "marking-definition--red", "marking-definition--green"


def indicator(modified: str = FIRST, **more: Any) -> StixObject:
    properties = {
        "type": "indicator",
        "spec_version": "2.1",
        "id": f"indicator--{UUID}",
        "created": FIRST,
        "modified": modified,
        "pattern": "[file:name = 'a']",
        "pattern_type": "stix",
        "valid_from": FIRST,
        **more,
    }
    properties = {key: value for key, value in properties.items() if value is not None}
    return parse_object(json.dumps(properties).encode(), Place("test"))


def copy(giver: str = "north", **more: Any) -> Provenance:
    return Provenance(giver=giver, received=RECEIVED, **more)


def put(database: Database, *items: tuple[StixObject, Provenance]) -> tuple[int, int, int, list[str]]:
    with database.write() as connection:
        result = put_objects(connection, items)
    return result.new, result.copies, result.known, [conflict.reason for conflict in result.conflicts]


def test_an_object_comes_back_with_its_bytes_and_where_it_came_from(database: Database) -> None:
    """Every fact of its provenance."""
    item = indicator(x_unknown={"ë": [1.50]})
    given = copy(
        markings=(GREEN, RED),
        originator="identity--o",
        agreement="agreement-1",
        source=Place("pack.zip!a.json", 3, 4, 5),
        corpus="sigmahq",
        corpus_basis="declared",
    )
    assert put(database, (item, given)) == (1, 0, 0, [])
    with database.read() as connection:
        stored = get_object(connection, item.id)
        assert get_object(connection, "indicator--none") is None
    assert stored is not None
    assert stored.object == item
    assert stored.copies == (given,)


def test_adding_again_changes_nothing(database: Database) -> None:
    """Not even when it came later, from another file, in another layout."""
    item = indicator()
    again = parse_object(json.dumps(item.properties(), indent=3, sort_keys=True).encode(), Place("other"))
    assert put(database, (item, copy()), (item, copy())) == (1, 0, 1, [])
    with database.read() as connection:
        before = knowledge_digest(connection)
    later = Provenance(giver="north", received=datetime(2023, 1, 1, tzinfo=UTC), source=Place("elsewhere"))
    assert put(database, (again, later)) == (0, 0, 1, [])
    with database.read() as connection:
        assert knowledge_digest(connection) == before


def test_two_givers_of_one_object_are_two_copies(database: Database) -> None:
    """Each with its own marking; one's RED neither blocks nor betrays the other's GREEN."""
    item = indicator()
    put(database, (item, copy("north", markings=(RED,))))
    assert put(database, (item, copy("south", markings=(GREEN,)))) == (0, 1, 0, [])
    with database.read() as connection:
        stored = get_object(connection, item.id)
    assert stored is not None
    assert [(row.giver, row.markings) for row in stored.copies] == [("north", (RED,)), ("south", (GREEN,))]


def test_the_newest_version_counts_and_older_ones_stay(database: Database) -> None:
    """Whatever the order in which they come, and however their times are written."""
    old, new = indicator(), indicator(LATER, revoked=True)
    put(database, (new, copy()), (old, copy()))
    with database.read() as connection:
        newest = get_object(connection, old.id)
        versions = [stored.object.modified for stored in get_variants(connection, old.id)]
        kept = list(iterate_objects(connection))
        hunted = list(iterate_objects(connection, revoked=False))
    assert newest is not None
    assert newest.object == new
    assert versions == [LATER, FIRST]
    assert [stored.object for stored in kept] == [new]
    assert hunted == []


def test_one_time_written_in_two_ways_is_one_version(database: Database) -> None:
    """A conflict is found by the time, not by its text."""
    assert put(database, (indicator(), copy()), (indicator("2022-07-15T08:00:00Z", name="other"), copy())) == (
        2,
        0,
        0,
        ["same-version-differs"],
    )


def test_other_content_under_the_same_version_is_a_conflict_and_replaces_nothing(database: Database) -> None:
    """Both are kept and shown; the first one counts."""
    first, second = indicator(name="first"), indicator(name="second")
    put(database, (first, copy("north")))
    assert put(database, (second, copy("south"))) == (1, 0, 0, ["same-version-differs"])
    with database.read() as connection:
        stored = get_object(connection, first.id)
        variants = get_variants(connection, first.id)
        conflicts = find_conflicts(connection)
    assert stored is not None
    assert stored.object == first
    assert [row.giver for row in stored.copies] == ["north"]
    assert stored.conflicts == (second.digest,)
    assert [variant.object for variant in variants] == [first, second]
    assert [(conflict.id, conflict.digests) for conflict in conflicts] == [(first.id, (first.digest, second.digest))]


def test_a_version_by_another_creator_is_shown(database: Database) -> None:
    """STIX 2.1 §3.6: only its creator makes new versions of an object."""
    ours = indicator(created_by_ref=f"identity--{UUID}")
    theirs = indicator(LATER, created_by_ref="identity--11111111-1111-4111-8111-111111111111")
    assert put(database, (ours, copy()), (theirs, copy("south"))) == (2, 0, 0, ["creator-differs"])
    with database.read() as connection:
        assert [conflict.reason for conflict in find_conflicts(connection)] == ["creator-differs"]


MAKER, OTHER = "identity--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f", "identity--11111111-1111-4111-8111-111111111111"


def counting(*items: tuple[StixObject, Provenance]) -> str | None:
    """Return the name of the content that counts."""
    database = Database("sqlite://")
    database.create_tables()
    put(database, *items)
    with database.read() as connection:
        (one,) = iterate_objects(connection)
        assert get_object(connection, one.object.id) == one
        assert get_variants(connection, one.object.id)[0] == one
    return one.object.name


@pytest.mark.parametrize("order", [1, -1])
def test_what_its_maker_gave_counts_before_what_others_hand_on(order: int) -> None:
    """However new that says it is, and whether it would end the object: STIX 2.1 §3.6."""
    own = (indicator(name="own", created_by_ref=MAKER), copy(MAKER))
    told = (indicator(LATER, name="told", created_by_ref=MAKER, revoked=True), copy(OTHER))
    assert counting(*[own, told][::order]) == "own"


def test_a_later_version_of_its_makers_counts_whoever_else_gave_it() -> None:
    """A copy of another's beside the maker's takes nothing from it."""
    own = indicator(name="own", created_by_ref=MAKER)
    later = indicator(LATER, name="later", created_by_ref=MAKER)
    assert counting((own, copy(MAKER)), (later, copy(OTHER)), (later, copy(MAKER))) == "later"


def test_of_two_who_say_they_made_it_the_first_did() -> None:
    """Another's id under one's own name takes nobody's place."""
    own = (indicator(name="own", created_by_ref=MAKER), copy(MAKER))
    taken = (indicator(LATER, name="taken", created_by_ref=OTHER), copy(OTHER))
    assert counting(own, taken) == "own"


def test_where_its_maker_gave_nothing_the_newest_counts() -> None:
    """What two others hand on weighs the same."""
    first = (indicator(name="first", created_by_ref=MAKER), copy("north"))
    second = (indicator(LATER, name="second", created_by_ref=MAKER), copy(OTHER))
    assert counting(first, second) == "second"


@pytest.mark.parametrize(("basis", "expected"), [("digest", "corpus"), ("declared", "corpus"), ("appearance", "told")])
def test_a_recognised_corpus_is_its_makers_word(basis: str, expected: str) -> None:
    """What only looks like one anybody can forge. A later version of the corpus counts, whoever made that."""
    corpus = (indicator(name="corpus", created_by_ref=MAKER), copy(corpus="mitre-attack", corpus_basis=basis))
    told = (indicator("2022-07-17T08:00:00Z", name="told", created_by_ref=MAKER), copy(OTHER))
    assert counting(corpus, told) == expected
    later = (indicator(LATER, name="later", created_by_ref=OTHER), copy(corpus="mitre-attack", corpus_basis="digest"))
    if basis == "digest":
        assert counting(corpus, told, later) == "later"


def test_an_upgrade_from_stix_2_0_is_no_conflict(database: Database) -> None:
    """In either order the STIX 2.1 form counts, and the older one stays."""
    new = indicator()
    old = indicator(spec_version=None, pattern_type=None, labels=["malicious-activity"])
    for number, order in enumerate(itertools.permutations([old, new])):
        rows = [(item, copy(f"giver {number}")) for item in order]
        assert put(database, *rows)[3] == []
        with database.read() as connection:
            stored = get_object(connection, new.id)
            assert stored is not None
            assert (stored.object, stored.conflicts) == (new, ())
            assert len(get_variants(connection, new.id)) == 2


@pytest.mark.parametrize(
    "other",
    [
        {"pattern": "[domain-name:value = 'other.example']"},
        {"name": "Another"},
        {"revoked": True},
        {"valid_until": "2030-01-01T00:00:00Z"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_what_says_something_else_in_stix_2_1_is_no_upgrade(database: Database, other: dict[str, Any]) -> None:
    """It is a conflict, in either order."""
    new = indicator(**other)
    old = indicator(spec_version=None, pattern_type=None, labels=["malicious-activity"])
    assert put(database, (old, copy()), (new, copy()))[3] == ["same-version-differs"]
    with database.read() as connection:
        assert [conflict.digests for conflict in find_conflicts(connection)] == [(new.digest, old.digest)]
        stored = get_object(connection, new.id)
        assert stored is not None
        assert stored.conflicts == (old.digest,)


def test_thousands_of_contents_of_one_version_are_read_one_by_one(database: Database) -> None:
    """Each names some of the others, not all: that would be as many names as the square of them."""
    count = 3_000
    put(database, *((indicator(name=f"n{number}"), copy()) for number in range(count)))
    with database.read() as connection:
        variants = get_variants(connection, indicator().id)
        (conflict,) = find_conflicts(connection)
    assert [one.object.name for one in variants] == [f"n{number}" for number in range(count)]
    assert all(0 < len(one.conflicts) <= 100 and one.object.digest not in one.conflicts for one in variants)
    assert all(len(one.copies) == 1 for one in variants)
    assert len(conflict.digests) == count


def test_variants_within_one_public_corpus_are_no_conflict(database: Database) -> None:
    """ATT&CK's three bundles differ so; the same from somebody else is one."""
    one, two, three = (indicator(name=name) for name in ("enterprise", "ics", "somebody's"))
    corpus = copy(corpus="mitre-attack", corpus_basis="digest")
    assert put(database, (one, corpus), (two, corpus))[3] == []
    assert put(database, (three, copy("south")))[3] == ["same-version-differs"]


def test_observables_have_no_versions_and_no_conflicts(database: Database) -> None:
    """Two givers may know different things about one value."""
    id_ = f"domain-name--{UUID}"
    plain = {"type": "domain-name", "spec_version": "2.1", "id": id_, "value": "evil.example"}
    items = [parse_object(json.dumps({**plain, **more}).encode(), Place("")) for more in ({}, {"defanged": True})]
    assert put(database, *((item, copy()) for item in items)) == (2, 0, 0, [])


def test_objects_are_found_by_type_and_id_in_a_fixed_order(database: Database) -> None:
    """By id, whatever came first; many ids are no trouble."""
    items = [
        parse_object(
            b'{"type":"url","spec_version":"2.1","id":"url--8e2e2d2b-17d4-4cbf-938f-%012x","value":"u"}' % number,
            Place(""),
        )
        for number in reversed(range(1000))
    ]
    put(database, *((item, copy()) for item in items), (indicator(), copy()))
    with database.read() as connection:
        assert [stored.object.id for stored in iterate_objects(connection, ["url"])] == sorted(i.id for i in items)
        some = [item.id for item in items[:700]]
        assert len(list(iterate_objects(connection, ids=some))) == 700
        assert len(list(iterate_objects(connection))) == 1001


VERSIONS = st.lists(
    st.tuples(st.sampled_from([FIRST, LATER]), st.sampled_from("abc"), st.sampled_from(["north", "south"])), max_size=8
)


@settings(max_examples=25, deadline=None)
@given(VERSIONS, st.randoms())
def test_what_is_kept_does_not_depend_on_the_order(versions: list[tuple[str, str, str]], random: Any) -> None:
    """Nor on how often it is added: the same objects, copies and conflicting versions."""
    items = [(indicator(modified, name=name), copy(giver)) for modified, name, giver in versions]
    shuffled = [*items, *items[:3]]
    random.shuffle(shuffled)
    found = []
    for rows in (items, shuffled):
        database = Database("sqlite://")
        database.create_tables()
        with database.write() as connection:
            result = put_objects(connection, rows)
            found.append(
                (
                    knowledge_digest(connection),
                    {(c.id, c.version, frozenset(c.digests)) for c in find_conflicts(connection)},
                    result.new,
                    {c.version for c in result.conflicts},
                )
            )
        database.close()
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("fault", "table", "column", "value", "reason"),
    [
        ("a byte of an object", "packs", "data", indicator(name="changed").raw, "bytes were changed"),
        ("an object's bytes cut", "packs", "data", b"{", "bytes were changed"),
        ("its digest", "objects", "digest", b"x" * 32, "hash differs"),
        ("its id", "objects", "id", f"tool--{UUID}", "row was changed"),
        ("revocation undone", "traits", "revoked", 1, "row was changed"),
        ("time of a version", "objects", "time", 5, "row was changed"),
        ("its place", "objects", "start", 1, "place was changed"),
        ("what it is found by", "object_values", "hash", 1, "values"),
        ("a copy's object", "copies", "object", 7, "nobody gave it"),
        ("a copy's giver", "facts", "giver", "someone", ""),
        ("a copy's marking", "facts", "markings", "[]", ""),
        ("a copy's place", "copies", "line", 8, ""),
        ("a copy's path", "arrivals", "path", "elsewhere", ""),
    ],
)
def test_a_change_behind_our_back_is_found(
    database: Database, fault: str, table: str, column: str, value: Any, reason: str
) -> None:
    """By the object's own bytes and digest; what the ledger's entry binds covers all rows."""
    with database.write() as connection:
        bound = put_objects(connection, [(indicator(), copy(markings=(RED,)))]).bound
    with database.read() as connection:
        assert list(verify_objects(connection)) == []
        assert list(verify_added(connection, [(1, bound)])) == []
    with database.write() as connection:
        connection.execute(sa.text(f"UPDATE {table} SET {column} = :value"), {"value": value})  # noqa: S608
    with database.read() as connection:
        faults = list(verify_objects(connection))
        assert table == "object_values" or list(verify_added(connection, [(1, bound)])), fault
    assert not reason or any(reason in found.reason for found in faults), fault


def test_what_each_import_added_is_bound_on_its_own(database: Database) -> None:
    """A row too many, one too few, or an entry that is missing: each is found; what added nothing binds nothing."""
    bound = []
    for number in range(3):
        with database.write() as connection:
            bound.append((number, put_objects(connection, [(indicator(name=f"{number}"), copy())]).bound))
    with database.write() as connection:
        assert put_objects(connection, [(indicator(name="1"), copy())]).bound == {}
    with database.read() as connection:
        assert list(verify_added(connection, [*bound, (4, {})])) == []
        assert list(verify_added(connection, bound[:2])), "rows of which no entry tells"
        assert list(verify_added(connection, bound[1:])), "the first entry is missing"
        assert list(verify_added(connection, [bound[0], bound[2]])), "one between"
        assert list(verify_added(connection, [])), "all"


def test_objects_are_found_by_value_marking_and_giver(database: Database) -> None:
    """Each alone and together; the newest version decides; page by page."""
    domain = {"type": "domain-name", "spec_version": "2.1", "id": f"domain-name--{UUID}", "value": "Evil.Example"}
    observed = parse_object(json.dumps(domain).encode(), Place(""))
    old = indicator(pattern="[domain-name:value = 'evil.example' OR url:value = 'http://it\\'s.example/']")
    new = indicator(LATER, object_marking_refs=[f"marking-definition--{UUID}"])
    put(database, (observed, copy("north", markings=(RED,))), (observed, copy("south")), (old, copy("north")))

    def found(**asked: Any) -> list[str]:
        with database.read() as connection:
            return [stored.object.type for stored in find_objects(connection, **asked)]

    assert found(value=" EVIL.example ") == ["domain-name", "indicator"]
    assert found(value="http://it's.example/") == ["indicator"]
    assert found(value="evil.example", giver="south") == ["domain-name"]
    assert found(giver="north") == ["domain-name", "indicator"]
    assert found(giver="nobody") == found(value="evil") == found(marking=GREEN) == []
    assert found(marking=RED, types=["domain-name", "url"]) == ["domain-name"]
    assert found(limit=1) == ["domain-name"]
    assert found(after=observed.id, limit=5) == ["indicator"]
    put(database, (new, copy("south")))
    assert found(value="evil.example") == ["domain-name"], "the newer version says otherwise"
    assert found(marking=f"marking-definition--{UUID}") == ["indicator"]


@pytest.mark.long
@pytest.mark.data
def test_attacks_bundles_go_in_and_stay_themselves(database: Database, test_data: Path) -> None:
    """28,985 different contents of 29,131 objects, no conflict; a second time nothing changes; all bytes as given."""
    totals = []
    for _ in range(2):
        for name in ("enterprise", "ics", "mobile"):
            bundle = parse_bundle((test_data / "attack" / f"{name}-attack.json").read_bytes(), name)
            given = copy("ourselves", corpus="mitre-attack", corpus_basis="digest", source=Place(name))
            totals.append(put(database, *((item, given) for item in bundle.objects)))
    assert totals == [
        (24_771, 0, 0, []),
        (1_718, 0, 107, []),
        (2_498, 0, 37, []),
        (0, 0, 24_771, []),
        (0, 0, 1_825, []),
        (0, 0, 2_535, []),
    ]
    with database.read() as connection:
        assert list(verify_objects(connection)) == []
        groups = list(iterate_objects(connection, ["intrusion-set"]))
    assert len(groups) > 180
    assert all(stored.object.upgraded for stored in groups)
