"""Requests for information: what is asked passes the asker's gate, what is answered the other side's."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from aleat.errors import InputError, NotPermittedError, PatternError, Place
from aleat.exchange import Findings, Received, Sent, answer, asks, findings_of_hunt, findings_received, receive
from aleat.exchange.inquiries import inquire, value_pattern
from aleat.exchange.messages import Inquiry
from aleat.exchange.overview import delivered_indicators, open_answer
from aleat.hunt.from_store import indicators as hunted_indicators
from aleat.stix import canonical_json, parse_object
from aleat.store.decisions import read_releases
from aleat.store.objects import get_object
from tests.exchange.teams import Team, indicator
from tests.exchange.test_there_and_back import COVERAGE, VICTIM, sighting

STRANGER = "identity--99999999-9999-4999-8999-999999999999"
DAY = datetime(2022, 7, 15, 8, 30, tzinfo=UTC)


def asked(north: Team, *, question: str = "Have you seen these?", **what: object) -> Sent:
    """North asks south."""
    with north.desk() as desk:
        return inquire(desk, "south", question=question, needed_by=date(2022, 10, 1), **what)  # type: ignore[arg-type]


def hand_over(sent: Sent, to: Team) -> Received:
    """Carry a file across."""
    with to.desk() as desk:
        return receive(desk, sent.data)


def states(*teams: Team) -> list[str]:
    """The state of each team's only thread."""
    result = []
    for team in teams:
        with team.database.read() as connection:
            result += [thread.state for thread in asks(connection)]
    return result


def test_a_question_is_hunted_for_and_answered_with_coverage(teams: tuple[Team, Team]) -> None:
    """One value is seen, one is not, over what was looked at; one of the asker's indicators was dismissed."""
    north, south = teams
    north.know(indicator(1, north.card.identity, "green"))
    sent = asked(north, values=["evil[.]example", "192.0.2.7"], indicators=[indicator(1, None).id])
    assert sent.left_out == ()
    hand_over(sent, south)
    assert states(north, south) == ["asked", "asked"]
    inquiry = sent.messages[0]
    assert isinstance(inquiry, Inquiry)
    ids = {item.what: item.indicator for item in inquiry.asked}
    assert set(ids) == {"evil.example", "192.0.2.7", "Beacon number 1"}
    with south.database.read() as connection:
        assert {item.ref for item in hunted_indicators(connection, south.folder)} == set(ids.values())
        delivered = delivered_indicators(connection, inquiry.id)
        assert open_answer(connection, south.card.identity, north.card.identity) == inquiry.id
    hunt = [
        sighting(ids["evil.example"], "e1", DAY),
        sighting(ids["Beacon number 1"], "e2", DAY, hidden_by="our own scanner"),
    ]
    with south.desk() as desk:
        back = answer(desk, inquiry.id, findings_of_hunt(delivered, hunt), coverage=COVERAGE, victim=VICTIM)
    hand_over(back, north)
    assert states(north, south) == ["answered", "answered"]
    message = back.messages[0]
    assert isinstance(message, Findings)
    assert (message.seen, message.not_seen, message.false_positives) == (1, 1, 1)
    with north.database.read() as connection:
        found = {item.indicator: item for item in findings_received(connection)}
    seen = found[ids["evil.example"]]
    assert (seen.status, seen.count, seen.first) == ("seen", 1, datetime(2022, 7, 15, tzinfo=UTC))
    assert found[ids["192.0.2.7"]].coverage["looked_at"][0]["hosts"] == 2
    assert found[ids["Beacon number 1"]].reason == "our own scanner"


def test_what_is_asked_passes_the_askers_gate(teams: tuple[Team, Team]) -> None:
    """A third party's indicator, and a value that stands in it, are not asked for; the rest is, and it is said."""
    north, _ = teams
    north.know(indicator(4, STRANGER, "amber", name="Quiet name"), giver=STRANGER)
    sent = asked(
        north, values=["evil.example", "beacon-4.example"], indicators=[indicator(4, None).id, indicator(9, None).id]
    )
    assert [item.what for item in sent.messages[0].asked] == ["evil.example"]  # type: ignore[union-attr]
    assert len(sent.left_out) == 3
    assert any("names something that is withheld" in text for text in sent.left_out)
    assert any("not here" in text for text in sent.left_out)
    assert sent.release is not None
    left = sent.release.bundle + sent.release.manifest + repr(sent.messages).encode()
    for hidden in (b"beacon-4", b"Quiet name", indicator(4, None).id.encode(), STRANGER.encode()):
        assert hidden not in left
    with pytest.raises(NotPermittedError, match="Nothing of this"):
        asked(north, values=["beacon-4.example"])


def test_the_question_names_nothing_that_stays(teams: tuple[Team, Team]) -> None:
    """Its words pass the gate too."""
    north, _ = teams
    north.know(indicator(4, STRANGER, "amber", name="Quiet name"), giver=STRANGER)
    for question in ("Is it Quiet name?", "Something near beacon-4[.]example"):
        with pytest.raises(NotPermittedError, match="names something"):
            asked(north, values=["evil.example"], question=question)


def test_a_question_is_a_release_with_its_decisions(teams: tuple[Team, Team]) -> None:
    """The ledger says what was told by asking, and a made-up indicator stays out of what is known here."""
    north, south = teams
    sent = asked(north, values=["evil.example"])
    with north.database.read() as connection:
        (row,) = read_releases(connection, south.card.identity)
        assert get_object(connection, sent.messages[0].asked[0].indicator) is None  # type: ignore[union-attr]
    assert row.sha256 == sent.release.sha256  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("value", "pattern"),
    [
        ("hxxps://evil[.]example/a'b", r"[url:value = 'https://evil.example/a\'b']"),
        ("192.0.2.0/24", "[ipv4-addr:value ISSUBSET '192.0.2.0/24']"),
        ("2001:db8::1", "[ipv6-addr:value = '2001:db8::1']"),
        ("D41D8CD98F00B204E9800998ECF8427E", "[file:hashes.MD5 = 'd41d8cd98f00b204e9800998ecf8427e']"),
        ("a" * 64, f"[file:hashes.'SHA-256' = '{'a' * 64}']"),
        ("cl.exe", "[file:name = 'cl.exe']"),
        ("HKLM\\Software\\Evil", r"[windows-registry-key:key = 'HKLM\\Software\\Evil']"),
    ],
)
def test_a_value_is_looked_for_as_what_it_is(value: str, pattern: str) -> None:
    """In its usual form, escaped."""
    assert value_pattern(value)[1] == pattern


@pytest.mark.parametrize(
    ("what", "error"),
    [
        ({}, InputError),
        ({"values": ["???"]}, InputError),
        ({"values": [""]}, InputError),
        ({"patterns": ["[file:name ="]}, PatternError),
        ({"indicators": ["malware--00000000-0000-4000-8000-000000000001"]}, InputError),
        ({"values": [f"a{number}.example" for number in range(1001)]}, InputError),
    ],
)
def test_what_can_not_be_asked_says_so(teams: tuple[Team, Team], what: dict[str, object], error: type) -> None:
    """An error of ours, and nothing is sent."""
    with pytest.raises(error):
        asked(teams[0], **what)
    assert states(teams[0]) == []


def test_an_indicator_that_was_told_again_is_asked_under_the_id_it_leaves_with(teams: tuple[Team, Team]) -> None:
    """Answered findings fit what was asked."""
    north, south = teams
    secret = indicator(4, STRANGER, "amber", name="Quiet name")
    north.know(secret, giver=STRANGER)
    ours = indicator(6, north.card.identity, "green").properties() | {"description": "Like Quiet name, we think."}
    north.know(parse_object(canonical_json(ours), Place("x.json")))
    sent = asked(north, indicators=[ours["id"]])
    (item,) = sent.messages[0].asked  # type: ignore[union-attr]
    assert item.indicator in {one.id for one in sent.release.objects}  # type: ignore[union-attr]
    assert b"Quiet name" not in sent.release.bundle  # type: ignore[union-attr]
    hand_over(sent, south)
