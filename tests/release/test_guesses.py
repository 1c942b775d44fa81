"""Ids that follow from a value: computed as STIX 2.1 §2.9 says, found wherever they are told, in little time."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aleat.release import prepare
from aleat.release.guesses import _OBSERVABLES, _PROPERTIES, ids_guessed, loose_ids
from aleat.stix.canonical import canonical_json
from tests.release.world import GIVER, OURS, SECRET, made, own_subject, stored, subject, terms

NAMESPACE = uuid.UUID("00abedb4-aa42-466c-9c01-fed23315a9b7")
HASHES = {"MD5": 32, "SHA-1": 40, "SHA-256": 64, "SHA-512": 128}


def guess(content: dict[str, object]) -> str:
    """The UUID of an observable that says just this."""
    return str(uuid.uuid5(NAMESPACE, canonical_json(content).decode()))


@given(st.text(min_size=1, max_size=60))
def test_each_property_that_makes_an_id_is_guessed(word: str) -> None:
    """A value, a name, a path, a key, an account: one id for each, and each is that word's."""
    found = ids_guessed([word])
    assert {guess({name: word}) for name in _PROPERTIES} <= found.keys()
    assert set(found.values()) == {word}


@pytest.mark.parametrize("algorithm", HASHES)
def test_hashes_are_guessed_by_their_length(algorithm: str) -> None:
    """A file of which only one hash is known; what isn't hexadecimal is none."""
    digest = "0a" * (HASHES[algorithm] // 2)
    assert guess({"hashes": {algorithm: digest}}) in ids_guessed([digest])
    assert guess({"hashes": {algorithm: "zz" + digest[2:]}}) not in ids_guessed(["zz" + digest[2:]])


@pytest.mark.parametrize(("word", "number"), [("64512", 64512), ("0", 0), ("4294967295", 4294967295)])
def test_numbers_of_autonomous_systems_are_guessed(word: str, number: int) -> None:
    """As numbers, which they are there."""
    assert guess({"number": number}) in ids_guessed([word])


@pytest.mark.parametrize("word", ["9" * 5_000, "\u0663\u0664", "²", "-1", "1e3", ""])
def test_what_is_no_number_is_read_as_none(word: str) -> None:
    """Digits without end, or of other scripts, stop nothing."""
    assert len(ids_guessed([word])) == len(_PROPERTIES)


@given(st.sampled_from(_OBSERVABLES), st.uuids(version=5), st.text(max_size=30), st.text(max_size=30))
def test_ids_of_observables_are_found_in_any_text(type_: str, id_: uuid.UUID, before: str, after: str) -> None:
    """Whatever stands around them."""
    assert str(id_) in loose_ids(f"{before} {type_}--{id_} {after}")


@given(st.sampled_from(_OBSERVABLES), st.uuids(version=4))
def test_random_ids_and_those_of_others_are_none(type_: str, id_: uuid.UUID) -> None:
    """Version 4 follows from nothing; an indicator's id follows from no value."""
    assert loose_ids(f"{type_}--{id_}") == frozenset()
    assert loose_ids(f"indicator--{uuid.uuid5(NAMESPACE, 'x')}") == frozenset()


@pytest.mark.parametrize("part", ["domain-name--", "-", "file--00000000-0000-5", "url--" * 3 + "0"])
def test_looking_for_ids_is_quick(part: str) -> None:
    """A million letters that begin like ids."""
    assert loose_ids(part * (1_000_000 // len(part))) == frozenset()


@pytest.mark.parametrize("where", ["description", "x_more", "report"])
def test_an_id_that_confirms_a_guess_leaves_in_no_place(where: str) -> None:
    """Also where the observable isn't here: it is the withheld indicator's value that it follows from."""
    hidden = made("indicator", "zqsecret", GIVER, "red")
    id_ = f"domain-name--{guess({'value': 'zqsecret.example'})}"
    properties: dict[str, object] = {"description": f"See {id_}."} if where == "description" else {}
    properties |= {"x_more": [id_]} if where == "x_more" else {}
    if where == "report":
        told = made("report", "Weekly", OURS, "green", published="2022-09-01T00:00:00.000Z", object_refs=[id_, OURS])
    else:
        told = made("malware", "OpenTool", OURS, "green", **properties)
    subjects = [subject(stored(hidden, GIVER)), own_subject(told, "green")]
    release = prepare(subjects, terms("north"), secret=SECRET)
    assert id_.rpartition("--")[2].encode() not in release.bundle + release.manifest
    alone = prepare(subjects[1:], terms("north"), secret=SECRET)
    assert id_.encode() in alone.bundle
