"""Markings as facts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from aleat.errors import TrustError
from aleat.stix import StixObject, make_object, random_id
from aleat.trust.markings import effective_markings, known_marking_ids, marking_definition, marking_id, read_marking
from tests.stix.strict import strict_errors

WHEN = datetime(2022, 7, 15, 8, tzinfo=UTC)

# https://github.com/oasis-open/cti-stix-common-objects and STIX 2.1 §7.2.1.4
PUBLISHED = {
    "tlp:clear": "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487",
    "tlp:green": "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb",
    "tlp:amber": "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421",
    "tlp:amber+strict": "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003",
    "tlp:red": "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1",
    "tlp:white": "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9",
    "pap:clear": "marking-definition--ad15a0cd-55b6-4588-a14c-a66105329b92",
    "pap:white": "marking-definition--a3bea94c-b469-41dc-9cfe-d6e7daba7730",
    "pap:green": "marking-definition--c43594d1-4b11-4c59-93ab-1c9b14d53ce9",
    "pap:amber": "marking-definition--60f8932b-e51e-4458-b265-a2e8be9a80ab",
    "pap:red": "marking-definition--740d36e5-7714-4c30-961a-3ae632ceee0e",
}
TLP1 = {
    "green": "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da",
    "amber": "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82",
    "red": "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed",
}
ALIAS = "marking-definition--826578e1-40ad-459f-bc73-ede076f81f37"


def definition(id_: str | None = None, **properties: Any) -> StixObject:
    return make_object("marking-definition", id_ or random_id("marking-definition"), created=WHEN, **properties)


def statement(text: str) -> StixObject:
    return definition(definition_type="statement", definition={"statement": text})


@pytest.mark.parametrize(("name", "id_"), PUBLISHED.items())
def test_labels_have_their_published_ids(name: str, id_: str) -> None:
    """In any case of letters; an id is its own name."""
    assert marking_id(name) == marking_id(name.upper()) == marking_id(id_) == id_
    marking = read_marking(id_, None)
    assert f"{marking.kind}:{marking.level}" == name.replace("white", "clear")


@pytest.mark.parametrize(("level", "id_"), TLP1.items())
def test_tlp_1_is_known_by_its_ids(level: str, id_: str) -> None:
    """The same words with other ids; new labels are written in 2.0."""
    marking = read_marking(id_, None)
    assert (marking.kind, marking.level, marking.version) == ("tlp", level, "1.0")
    assert marking_id(f"tlp:{level}") != id_


def test_anothers_id_for_amber_strict_is_read_and_never_written() -> None:
    """An alias of one product."""
    assert read_marking(ALIAS, None).name == "TLP:AMBER+STRICT"
    with pytest.raises(TrustError, match="not one of the published"):
        marking_definition(ALIAS)


@pytest.mark.parametrize("id_", sorted(known_marking_ids() - {ALIAS}))
def test_the_published_objects_can_be_made(id_: str) -> None:
    """They pass strict validation, and say what the table says."""
    item = marking_definition(id_)
    assert item.id == id_
    assert strict_errors(item) == []
    assert item.name == read_marking(id_, item).name.replace("PAP:CLEAR", item.name or "")


@pytest.mark.parametrize("name", ["", "amber", "tlp:", "tlp:purple", "pap:amber+strict", "tlp:amber strict"])
def test_what_is_no_label_is_refused(name: str) -> None:
    """With the labels that there are."""
    with pytest.raises(TrustError, match=r"Known are tlp:clear"):
        marking_id(name)


def test_a_known_id_cannot_be_redefined() -> None:
    """Whatever an object that came in under that id says."""
    forged = definition(PUBLISHED["tlp:red"], definition_type="statement", definition={"statement": "free for all"})
    assert read_marking(forged.id, forged).name == "TLP:RED"


def test_tlp_under_an_id_of_ones_own_is_no_tlp() -> None:
    """STIX 2.1 §7.2.1.4 forbids it; what it means stays unknown, and unknown stays."""
    forged = definition(name="TLP:CLEAR", definition_type="tlp", definition={"tlp": "white"})
    assert (read_marking(forged.id, forged).kind, read_marking(forged.id, forged).name) == ("unknown", "TLP:CLEAR")
    extension = {"extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d": {"tlp_2_0": "clear"}}
    assert read_marking(*_pair(definition(extensions=extension))).kind == "unknown"


def _pair(item: StixObject) -> tuple[str, StixObject]:
    return item.id, item


def test_a_statement_is_carried() -> None:
    """Its text is kept; it has no level."""
    item = statement("Copyright 2022, Example Corp. Keep this restricted area secret.")
    marking = read_marking(item.id, item)
    assert (marking.kind, marking.level) == ("statement", "")
    assert marking.name.startswith("Copyright 2022")


@pytest.mark.parametrize(
    "text", ["NATO RESTRICTED", "SECRET//NOFORN", "RESTREINT UE/EU RESTRICTED", "VS-NfD", "Marking: TEPËR SEKRET."]
)
def test_a_statement_that_is_a_classification_is_classified(text: str) -> None:
    """A state's or an alliance's marking blocks; a statement wouldn't."""
    item = statement(text)
    assert read_marking(item.id, item).kind == "classified"


def test_what_is_absent_or_no_marking_is_unknown() -> None:
    """A definition that never came, one with an extension that isn't known, an object of another type or id."""
    note = make_object("note", random_id("note"), created=WHEN, content="c", object_refs=["x"])
    other = definition(extensions={"extension-definition--11111111-1111-4111-8111-111111111111": {"level": 1}})
    assert read_marking("marking-definition--x", None).kind == "unknown"
    assert read_marking(other.id, other).kind == "unknown"
    assert read_marking(note.id, note).kind == "unknown"
    assert read_marking(random_id("marking-definition"), statement("free")).kind == "unknown"


def test_effective_markings_are_the_objects_own_the_containers_and_the_parts() -> None:
    """Each once, in an order that doesn't depend on theirs."""
    licence = statement("A licence.")
    item = make_object(
        "note",
        random_id("note"),
        created=WHEN,
        content="c",
        object_refs=["x"],
        markings=[PUBLISHED["tlp:green"], licence.id],
        granular_markings=[
            {"selectors": ["content"], "marking_ref": PUBLISHED["tlp:red"]},
            {"selectors": ["abstract"], "lang": "sq"},
        ],
    )
    found = effective_markings(item, {licence.id: licence}.get, beside=[PUBLISHED["tlp:amber"], PUBLISHED["tlp:green"]])
    assert sorted(marking.name for marking in found.whole) == ["A licence.", "TLP:AMBER", "TLP:GREEN"]
    assert [(part.marking.name, part.selectors) for part in found.parts] == [("TLP:RED", ("content",))]
    assert len(found.all) == 4


ACS = "extension-definition--3a65884d-005a-4290-8335-cb2d778a83ce"


@pytest.mark.parametrize(
    "properties",
    [
        {"extensions": {ACS: {"extension_type": "property-extension", "control_set": {"classification": "S"}}}},
        {"extensions": {ACS: {"extension_type": "property-extension", "control_set": {"classification": "U"}}}},
        {"definition_type": "classification", "definition": {"classification": "x"}},
        {"definition_type": "NATO", "definition": {"level": 2}},
        {"definition_type": "x-example", "definition": {"security_classification": "geheim"}},
        {"name": "NATO RESTRICTED"},
        {"definition_type": "x-example", "definition": {"parts": [{"says": ["TEPËR SEKRET"]}]}},
        {"extensions": {"extension-definition--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f": {"text": "VS-VERTRAULICH"}}},
    ],
)
def test_a_structured_classification_is_classified_and_blocks(properties: dict[str, Any]) -> None:
    """A state's access control whatever it says; a classification by kind, by property, or by its words anywhere."""
    found = definition(**properties)
    marking = read_marking(found.id, found)
    assert marking.kind == "classified"
    assert marking.text


@pytest.mark.parametrize(
    "properties",
    [
        {"definition_type": "iep", "definition": {"name": "FIRST IEP"}},
        {"definition_type": "x-example", "definition": {"classification": "unclassified"}},
        {"extensions": {"extension-definition--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f": {"handling": "secretary only"}}},
    ],
)
def test_a_structured_marking_that_is_not_understood_stays_unknown(properties: dict[str, Any]) -> None:
    """Which blocks as well, and says so."""
    found = definition(**properties)
    assert read_marking(found.id, found).kind == "unknown"
