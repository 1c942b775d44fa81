"""A withheld object may be called like a word of the standard: the standard's own words are no mention of it."""

from __future__ import annotations

import json

import pytest

from aleat.errors import Place
from aleat.release import Closure, Subject, close, decide
from aleat.release.structure import told_strings
from aleat.release.words import find_words, said_by
from aleat.stix import StixObject, parse_object
from aleat.stix.extensions import extend
from tests.release.world import CREATED, GIVER, OURS, SECRET, THIRD, made, own_subject, stored, subject, terms

TYPES_AND_PROPERTIES = ("indicator", "malware", "identity", "domain-name", "domain", "file", "report", "type", "name")
PARTS = ("marking", "object_marking_refs", "indica", "indicator--", "refs", "description", "hashes", "sha-256", "value")
VOCABULARIES = ("malicious-activity", "malicious", "activity", "stix", "2.1", "class", "organization", "seen", "uses")
OUR_WORDS = ("told-again", "withheld", "[withheld]", "held", "agreement", "the [withheld] and", "] and [")
FORMS = ("000z", "001z", "t00:00", "55d920b0", "4f79", "marking-definition--55d9", "abab", "--4f79-9ee9")
COMMON = ("the", "and", "nga")
CALLED = (*TYPES_AND_PROPERTIES, *PARTS, *VOCABULARIES, *OUR_WORDS, *FORMS, *COMMON)


def world(name: str) -> list[Subject]:
    """Something of a third party's of this name, that stays; and much that has nothing to do with it."""
    withheld = made("tool", name, THIRD, "amber")
    quiet = made("malware", "QuietRat", THIRD, "amber")
    beacon = made(
        "indicator",
        "Beacon",
        OURS,
        indicator_types=["malicious-activity"],
        pattern="[domain-name:value = 'beacon.example' OR file:hashes.'SHA-256' = '" + 8 * "abab1234" + "']",
    )
    given = made("indicator", "Given", GIVER, "green", indicator_types=["malicious-activity"])
    opened = made("malware", "OpenTool", OURS, "green", malware_types=["wiper"])
    refs = [beacon.id, opened.id]
    text = "From the QuietRat and QuietRat, QuietRat on."
    extended = {"extensions": extend("finding", {"status": "seen", "delivery": "d"})}
    return [
        subject(stored(withheld, GIVER)),
        subject(stored(quiet, GIVER)),
        own_subject(beacon, "green"),
        subject(stored(given, GIVER)),
        own_subject(opened, "green"),
        own_subject(made("report", "Weekly", OURS, "green", published=CREATED, object_refs=[*refs, quiet.id]), "green"),
        own_subject(made("note", "n", OURS, "green", content=text, object_refs=refs), "green"),
        own_subject(made("identity", "Ministry", OURS, "green", identity_class="organization", sectors=["energy"])),
        own_subject(
            made("relationship", "r", OURS, relationship_type="uses", source_ref=refs[1], target_ref=refs[0]), "green"
        ),
        own_subject(made("sighting", "s", OURS, sighting_of_ref=refs[0], **extended), "green"),
    ]


def leaves(subjects: list[Subject], **changes: object) -> set[tuple[str, str | None]]:
    """What leaves for an ally: types and names."""
    agreed = terms("north", **changes)
    closed = close(subjects, decide(subjects, agreed), agreed, secret=SECRET)
    return {(item.type, item.name) for item in closed.objects}


@pytest.mark.parametrize("name", CALLED)
def test_a_withheld_object_that_is_called_like_the_standard_keeps_nothing_here(name: str) -> None:
    """All leaves that would leave if it were called otherwise, and nothing stops the whole."""
    expected = leaves(world("QuietOtherwise"))
    assert {type_ for type_, _ in expected} >= {"identity", "indicator", "malware", "note", "report", "sighting"}
    assert ("identity", "energy") in expected
    assert leaves(world(name)) == expected


@pytest.mark.parametrize("name", ["Indicator", "malware", "domain", "Type", "wiper", "told-again", "4f79", "2.1"])
@pytest.mark.parametrize(
    "mention",
    [
        {"description": "It is called {}."},
        {"description": "See:{}"},
        {"x_more": "{}"},
        {"x_more": {"deep": ["{}"]}},
        {"x_more": {"x-{}": 1}},
        {"labels": ["kind", "x:{}"]},
        {"aliases": ["{}"]},
        {"malware_types": ["the-{}-kind"]},
        {"external_references": [{"source_name": "here", "description": "{}"}]},
        {"x_ids": "x-{}--5b3c7a52-9d0f-4a7e-8c1d-2f6e4b9a7c10"},
    ],
)
def test_elsewhere_its_name_is_a_mention(name: str, mention: dict[str, object]) -> None:
    """In texts, custom properties, names: what another gave stays."""
    withheld = made("tool", name, THIRD, "amber")
    filled = json.loads(json.dumps(mention).replace("{}", name))
    telling = made("malware", "Telling", GIVER, "green", **filled)
    stated = "aliases" in mention  # what states a word itself makes it free
    found = leaves([subject(stored(withheld, GIVER)), subject(stored(telling, GIVER))])
    assert (("malware", "Telling") in found) is stated


@pytest.mark.parametrize(
    ("word", "text", "found"),
    [
        ("malware", "antimalware", False),
        ("malware", "a malware.", True),
        ("malware", "malware--5b3c7a52-9d0f-4a7e-8c1d-2f6e4b9a7c10", False),
        ("malware", "malware--5b3c7a52", True),
        ("quietrat", "quietrat--5b3c7a52-9d0f-4a7e-8c1d-2f6e4b9a7c10", True),
        ("5b3c7a52", "malware--5b3c7a52-9d0f-4a7e-8c1d-2f6e4b9a7c10", False),
        ("5b3c7a52", "call 5b3c7a52 now", True),
        ("5b3c7a52-9d0f-4a7e-8c1d-2f6e4b9a7c10", "malware--5b3c7a52-9d0f-4a7e-8c1d-2f6e4b9a7c10", True),
        ("malware--5b3c7a52-9d0f-4a7e-8c1d-2f6e4b9a7c10", "malware--5b3c7a52-9d0f-4a7e-8c1d-2f6e4b9a7c10", True),
        ("file", "[file:name = 'a.exe' and file:hashes.'sha-256' = 'ab']", False),
        ("file", "[file:name = 'file']", True),
        ("value", "[domain-name:value in ('a.example')]", False),
        ("value", "the domain-name:value of it", True),
        ("process", "[process:binary_ref.name = 'x' and process:x_secret = 'y']", True),
        ("secret", "[x-secret:value = 'y']", True),
    ],
)
def test_where_a_word_counts(word: str, text: str, found: bool) -> None:
    """Not in ids, nor in the paths of patterns; a word of the standard only as a whole word."""
    assert bool(find_words([text], {word})) is found
    assert bool(find_words([text, text], {word}).get(1)) is found


def test_what_the_standard_says_in_its_place_is_no_text() -> None:
    """Elsewhere the same words are."""
    said = told_strings(
        {
            "type": "malware",
            "x_type": "malware",
            "created": "2022-07-15T08:00:00.000Z",
            "modified": "yesterday, by QuietRat",
            "malware_types": ["wiper", "quiet kind"],
            "sectors": ["wiper"],
            "kill_chain_phases": [{"kill_chain_name": "own", "phase_name": "type"}],
            "extensions": {"x-quiet-ext": {"extension_type": "property-extension", "quiet": "type"}},
            "value": "2022-07-15T08:00:00.000Z",
        }
    )
    assert said == [
        "x_type", "malware", "yesterday, by QuietRat", "quiet kind", "wiper", "own", "type", "x-quiet-ext", "quiet",
        "type", "2022-07-15T08:00:00.000Z",
    ]  # fmt: skip


def test_a_type_that_the_standard_has_not_is_said() -> None:
    """A custom type may be named after what is withheld."""
    raw = b'{"type":"x-quietrat","spec_version":"2.1","id":"x-quietrat--5b3c7a52-9d0f-4a7e-8c1d-2f6e4b9a7c10",'
    raw += b'"created":"2022-07-15T08:00:00.000Z","modified":"2022-07-15T08:00:00.000Z"}'
    item: StixObject = parse_object(raw, Place("x"))
    assert "x-quietrat" in said_by(item).text


@pytest.mark.parametrize("form", ["{uuid}", "{id}", "{upper}"])
def test_the_id_of_what_leaves_is_no_secret(form: str) -> None:
    """Whoever names an alias after it doesn't keep that object here, nor what refers to it."""
    given = made("indicator", "Given", GIVER, "clear")
    link = made("note", "n", GIVER, "clear", content="on it", object_refs=[given.id])
    alias = form.format(uuid=given.id.partition("--")[2], id=given.id, upper=given.id.upper())
    withheld = made("tool", "QuietTool", THIRD, "amber", aliases=[alias])
    subjects = [subject(stored(one, GIVER)) for one in (given, link, withheld)]
    assert leaves(subjects) == {("indicator", "Given"), ("note", None)}
    held = {given.id: ("legal-hold",)}
    assert leaves(subjects, holds=held) == set()
    telling = made("malware", "Telling", GIVER, "green", description=alias.lower())
    assert leaves([subject(stored(telling, GIVER)), subjects[2]]) == set()


def test_a_sector_in_place_of_a_victims_name_names_nobody() -> None:
    """Something withheld that is called like a sector keeps no victims of that sector here."""
    ministry = own_subject(
        made("identity", "Ministry", OURS, "green", identity_class="organization", sectors=["energy", "water"])
    )
    assert leaves([ministry, subject(stored(made("tool", "energy", THIRD, "amber"), GIVER))]) == {
        ("identity", "energy, water")
    }
    named = made("identity", "energy, x", GIVER, "green", identity_class="class", sectors=["energy"])
    withheld = subject(stored(made("tool", "energy, x", THIRD, "amber"), GIVER))
    telling = made("malware", "Telling", GIVER, "green", description="of energy, x")
    assert leaves([withheld, subject(stored(telling, GIVER))]) == set()
    assert leaves([withheld, subject(stored(named, GIVER))]) == {("identity", "energy, x")}


def test_an_id_that_leaves_no_more_is_a_secret_again() -> None:
    """Also where objects come and go one by one."""
    given = made("indicator", "Given", GIVER, "clear")
    telling = made("malware", "Telling", GIVER, "green", description=f"See {given.id}.")
    withheld = made("tool", "QuietTool", THIRD, "amber", aliases=[given.id])
    subjects = [subject(stored(one, GIVER)) for one in (given, telling, withheld)]
    agreed = terms("north")
    closure = Closure(agreed, secret=SECRET)
    closure.change(zip(subjects, decide(subjects, agreed), strict=True))
    assert {node.id for node in closure.nodes if node.out} == {given.id, telling.id}
    closure.change((), gone=[given.id])
    assert {node.id for node in closure.nodes if node.out} == set()
    closure.change(zip(subjects[:1], decide(subjects[:1], agreed), strict=True))
    assert {node.id for node in closure.nodes if node.out} == {given.id, telling.id}
