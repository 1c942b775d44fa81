"""What an indicator is still worth: expired, revoked, withdrawn, aged."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from aleat.hunt.standing import (
    NO_TERMS,
    KnowledgeTerms,
    Standing,
    confidence_left,
    copies_in_force,
    standing_of,
)
from aleat.stix.objects import StixObject, make_object
from aleat.store.objects import Provenance, StoredObject
from aleat.store.withdrawn import WithdrawnCopy
from aleat.times import micros_of
from aleat.trust.agreements import Agreement, read_agreement

OURS, NORTH, WEST = (f"identity--{n}{n}{n}{n}{n}{n}{n}{n}-1111-4111-8111-111111111111" for n in "123")
BORN = datetime(2022, 7, 1, tzinfo=UTC)


def made(**properties: Any) -> StixObject:
    values: dict[str, Any] = {"pattern": "[ipv4-addr:value = '198.51.100.7']", "pattern_type": "stix"}
    values |= {"valid_from": BORN} | properties
    return make_object("indicator", "indicator--00000000-0000-4000-8000-000000000001", created=BORN, **values)


def stored(item: StixObject, *givers: str) -> StoredObject:
    return StoredObject(item, tuple(Provenance(giver=giver, received=BORN) for giver in givers))


def agreement(name: str, party: str, decay: str) -> Agreement:
    text = f"""
format = 1
name = "{name}"
version = 1
kind = "bilateral"
parties = ["{OURS}", "{party}"]
valid_from = 2022-01-01
valid_until = 2023-01-01
purposes = ["incident-response"]
[decay]
{decay}
"""
    return read_agreement(text.encode())


def test_an_agreement_without_decay_is_read_as_before() -> None:
    """What was signed before there was such a thing stays valid, and lets nothing age."""
    text = f'format = 1\nname = "a"\nversion = 1\nkind = "bilateral"\nparties = ["{OURS}", "{NORTH}"]\n'
    text += 'valid_from = 2022-01-01\nvalid_until = 2023-01-01\npurposes = ["incident-response"]\n'
    assert read_agreement(text.encode()).decay is None
    terms = KnowledgeTerms(agreements=(read_agreement(text.encode()),))
    assert standing_of(stored(made(confidence=1), NORTH), terms) is None


def test_confidence_falls_and_below_the_floor_it_counts_as_expired() -> None:
    """80 with a half-life of 30 days on a straight line: 40 after 30 days, the floor of 20 after 45."""
    terms = KnowledgeTerms(agreements=(agreement("a", NORTH, "half_life = 30\nfloor = 20"),))
    item = made(confidence=80)
    copy = Provenance(giver=NORTH, received=BORN)
    assert confidence_left(item, copy, terms, BORN + timedelta(days=30)) == pytest.approx(40)
    standing = standing_of(stored(item, NORTH), terms)
    assert standing is not None
    assert standing.since == micros_of(BORN + timedelta(days=45))
    assert standing.label == "expired: aged below the floor 20 on 2022-08-15 (half-life 30 days)"


def test_each_givers_copy_ages_as_agreed_with_that_giver() -> None:
    """The object hunts as long as one copy does; another giver's agreement takes nothing from it."""
    terms = KnowledgeTerms(agreements=(agreement("a", NORTH, "half_life = 30\nfloor = 20"),))
    assert standing_of(stored(made(confidence=80), NORTH, WEST), terms) is None
    both = KnowledgeTerms(agreements=(*terms.agreements, agreement("b", WEST, "half_life = 60\nfloor = 20")))
    standing = standing_of(stored(made(confidence=80), NORTH, WEST), both)
    assert standing is not None
    assert standing.since == micros_of(BORN + timedelta(days=90))


def test_the_end_that_its_maker_said_comes_first_where_it_does() -> None:
    """valid_until holds whatever was agreed; ageing can only be sooner."""
    terms = KnowledgeTerms(agreements=(agreement("a", NORTH, "half_life = 3000\nfloor = 1"),))
    end = BORN + timedelta(days=5)
    standing = standing_of(stored(made(valid_until=end), NORTH), terms)
    assert standing == Standing(made().id, "expired: valid until 2022-07-06T00:00:00.000Z", micros_of(end))


def test_what_has_no_date_ages_from_when_it_came() -> None:
    """Lists and rules carry 1970 for want of a date: nobody said that they are old."""
    terms = KnowledgeTerms(agreements=(agreement("a", NORTH, "half_life = 30"),))
    undated = datetime(1970, 1, 1, tzinfo=UTC)
    item = make_object(
        "indicator",
        made().id,
        created=undated,
        pattern="title: x",
        pattern_type="sigma",
        valid_from=undated,
        confidence=50,
    )
    left = confidence_left(item, Provenance(giver=NORTH, received=BORN), terms, BORN + timedelta(days=30))
    assert left == pytest.approx(25)


def test_withdrawn_by_one_giver_it_goes_on_in_the_others_name() -> None:
    """Only that giver's copy ends."""
    item = made()
    gone = WithdrawnCopy(NORTH, "release--1", "2022-09-21T10:00:00.000Z")
    terms = KnowledgeTerms({(NORTH, None, item.digest): gone}, names={NORTH: "north"})
    assert standing_of(stored(item, NORTH, WEST), terms) is None
    assert [copy.giver for copy in copies_in_force(stored(item, NORTH, WEST), terms)] == [WEST]
    assert standing_of(stored(item, NORTH), terms) == Standing(item.id, "withdrawn: by north on 2022-09-21")


def test_nothing_ends_by_itself() -> None:
    """Without a word of anybody an indicator hunts for ever."""
    assert standing_of(stored(made(confidence=0), NORTH), NO_TERMS) is None
    assert standing_of(msgspec.structs.replace(stored(made(), NORTH), copies=()), NO_TERMS) is None
