"""What of ours says who was hit, when and how often is told as coarsely as the agreement says, and says so."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aleat.release import Release, Subject, coarsen_time, prepare
from aleat.release.redact import personal_words
from aleat.stix import StixObject, make_object
from aleat.trust.agreements import ReleaseTerms
from tests.release.world import CREATED, GIVER, OURS, SECRET, agreement, made, oid, own_subject, stored, subject, terms

OPEN = made("malware", "OpenTool", OURS, "green")
LOOSE = ReleaseTerms(
    labels=("clear", "green", "amber"), victims="name", granularity="exact", internal=True, personal=True
)


def victim(name: str = "Ministry of Roads", **more: object) -> StixObject:
    """An identity of ours."""
    values: dict[str, object] = {"identity_class": "organization", "sectors": ["government"], **more}
    return make_object(
        "identity",
        oid("identity", name),
        created=CREATED,
        created_by_ref=OURS,
        name=name,
        **values,  # type: ignore[arg-type]
    )


def sighting(where: StixObject, count: int | None = 7, **more: object) -> StixObject:
    """A sighting of ours at a victim's."""
    return made(
        "sighting",
        f"s{where.id}{count}",
        OURS,
        "green",
        sighting_of_ref=OPEN.id,
        where_sighted_refs=[where.id],
        count=count,
        first_seen="2022-07-15T08:31:22.000Z",
        last_seen="2022-07-15T08:31:29.000Z",
        **more,
    )


def released(*items: StixObject | Subject, **release: object) -> Release:
    """What leaves for north of objects of ours, under these terms."""
    agreed = agreement("with-north", "north", release={"labels": ["clear", "green", "amber"], **release})
    subjects = [item if isinstance(item, Subject) else own_subject(item, "green") for item in items]
    return prepare(subjects, terms("north", agreements=(agreed,)), secret=SECRET)


def of_type(release: Release, type_: str) -> list[dict[str, object]]:
    """The properties of what leaves of a type."""
    return [item.properties() for item in release.objects if item.type == type_]


def test_the_sector_for_the_ministry_the_day_for_the_second() -> None:
    """Under ids of our own; both say that they are told again, and the manifest does."""
    ministry = victim()
    seen = sighting(ministry)
    release = released(OPEN, ministry, seen)
    (told,) = of_type(release, "sighting")
    (where,) = of_type(release, "identity")
    assert (told["first_seen"], told["last_seen"]) == ("2022-07-15T00:00:00.000Z", "2022-07-15T00:00:00.000Z")
    assert told["where_sighted_refs"] == [where["id"]]
    assert (where["name"], where["sectors"], where["identity_class"]) == ("government", ["government"], "class")
    for item, before in ((told, seen), (where, ministry)):
        assert item["id"] != before.id
        assert "told-again" in item["labels"]  # type: ignore[operator]
        (row,) = [row for row in json.loads(release.manifest)["objects"] if row["id"] == item["id"]]
        assert row["form"] == "told-again"
    for text in ("Roads", ministry.id[10:], seen.id[10:], "08:31"):
        assert text not in release.bundle.decode() + release.manifest.decode()


def test_the_agreement_can_let_all_of_it_through() -> None:
    """Byte for byte then."""
    ministry = victim()
    seen = sighting(ministry)
    agreed = agreement("with-north", "north", release=LOOSE)
    subjects = [own_subject(item, "green") for item in (OPEN, ministry, seen)]
    release = prepare(subjects, terms("north", agreements=(agreed,)), secret=SECRET)
    assert {item.raw for item in release.objects if item.type == "sighting"} == {seen.raw}
    (where,) = of_type(release, "identity")
    assert where["name"] == "Ministry of Roads"


@pytest.mark.parametrize(
    ("victims", "names"),
    [("name", {"Ministry of Roads"}), ("sector-country", {"government"}), ("country", set()), ("none", set())],
)
def test_a_victim_is_told_as_far_as_agreed(victims: str, names: set[str]) -> None:
    """Of one that may not be told of at all the sighting stays without saying where."""
    release = released(OPEN, victim(), sighting(victim()), victims=victims)
    assert {str(item["name"]) for item in of_type(release, "identity")} == names
    (told,) = of_type(release, "sighting")
    assert ("where_sighted_refs" in told) == bool(names)


def test_the_country_is_told_by_where_the_victim_lies() -> None:
    """A place to the street becomes its country, and how it is related to the victim is told again."""
    ministry = victim()
    place = made("location", "HQ", OURS, "green", country="AL", city="Tirana", latitude=41.3, longitude=19.8)
    link = made(
        "relationship", "l", OURS, "green", relationship_type="located-at", source_ref=ministry.id, target_ref=place.id
    )
    release = released(ministry, place, link)
    (where,) = of_type(release, "location")
    assert (where["country"], where.get("city"), where.get("latitude")) == ("AL", None, None)
    (told,) = of_type(release, "relationship")
    assert told["target_ref"] == where["id"]
    for text in ("Tirana", "41.3", place.id[10:]):
        assert text not in release.bundle.decode()


@pytest.mark.parametrize(("count", "leaves"), [(4, False), (5, True), (0, True), (None, False)])
def test_few_events_point_to_somebody(count: int | None, leaves: bool) -> None:
    """Whoever put the sighting in: a threshold counts for all of ours."""
    release = released(OPEN, victim(), sighting(victim(), count), threshold=5)
    assert bool(of_type(release, "sighting")) == leaves


def test_names_of_victims_are_masked_in_texts_of_ours() -> None:
    """Also defanged or in another case; what others gave is theirs to say."""
    note = made("note", "n", OURS, "green", content="MINISTRY OF ROADS was hit.", object_refs=[OPEN.id])
    theirs = made("malware", "x", GIVER, "clear", description="Ministry of Roads was hit.")
    release = released(OPEN, victim(), note, subject(stored(theirs, GIVER)))
    (told,) = of_type(release, "note")
    assert told["content"] == "[withheld] was hit."
    assert theirs.raw in release.bundle


def test_personal_data_and_accounts_are_masked_in_texts_of_ours() -> None:
    """But not what is an indicator's own value, and not where the agreement lets them through."""
    text = "Mail a.person@roads.example.org or +355 69 123 4567, see C:\\Users\\bperson\\x.exe and /home/cperson/x."
    note = made("note", "n", OURS, "green", content=f"{text} From bait@evil.example.", object_refs=[OPEN.id])
    bait = made("indicator", "bait", OURS, "green", pattern="[email-addr:value = 'bait@evil.example']")
    (told,) = of_type(released(OPEN, note, bait), "note")
    for word in ("a.person", "123 4567", "bperson", "cperson"):
        assert word not in str(told["content"])
    assert "bait@evil.example" in str(told["content"])
    (told,) = of_type(released(OPEN, note, bait, personal=True, internal=True), "note")
    assert told["content"] == note.properties()["content"]


@pytest.mark.parametrize(
    "text", ["C:\\Users\\Public\\x.exe", "%USERPROFILE%\\x", "a @ b", "1.2.3.4 + 5", "user@", "++"]
)
def test_what_is_nobodys_is_not_masked(text: str) -> None:
    """Folders of no account, and what only looks like an address."""
    assert personal_words(made("malware", "m", OURS, description=text), ReleaseTerms()) == frozenset()


@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=4_000))
def test_any_text_is_looked_through(text: str) -> None:
    """In time that grows with its length."""
    personal_words(made("malware", "m", OURS, description=text + "@" * 50 + "+1 " * 200), ReleaseTerms())


def test_times_are_coarsened_to_their_beginning() -> None:
    """In UTC."""
    time = datetime(2022, 7, 15, 8, 31, 22, tzinfo=UTC)
    assert [coarsen_time(time, step).isoformat() for step in ("exact", "hour", "day", "month")] == [
        "2022-07-15T08:31:22+00:00",
        "2022-07-15T08:00:00+00:00",
        "2022-07-15T00:00:00+00:00",
        "2022-07-01T00:00:00+00:00",
    ]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_no_name_of_a_victim_is_in_anything_of_ours(seed: int) -> None:
    """Random victims, sightings, notes and reports that name them: in no byte of ours."""
    generator = random.Random(seed)  # noqa: S311
    names = ["Zq" + "".join(generator.choice("bcdfghjklm") for _ in range(8)) for _ in range(generator.randint(1, 5))]
    victims = [victim(name, sectors=generator.choice([["energy"], ["government"], []])) for name in names]
    items: list[StixObject] = [OPEN, *victims]
    for number in range(generator.randint(1, 8)):
        who = generator.choice(victims)
        text = f"About {generator.choice(names).upper()}, see {who.id}"
        about = {"object_refs": [OPEN.id, who.id]}
        items += generator.choice(
            [
                [sighting(who, generator.randint(0, 9), description=text)],
                [made("note", f"n{number}", OURS, "green", content=text, **about)],
                [made("report", f"r{number}", OURS, "green", published=CREATED, description=text, **about)],
                [made("malware", f"at {generator.choice(names)}", OURS, "green")],
            ]
        )
    unique = list({item.id: item for item in items}.values())
    threshold, kinds = generator.choice([1, 5]), generator.choice(["sector-country", "country", "none"])
    release = released(*unique, threshold=threshold, victims=kinds)
    text = (release.bundle + release.manifest).decode().lower()
    for one, name in zip(victims, names, strict=True):
        assert name.lower() not in text
        assert one.id.partition("--")[2] not in text
