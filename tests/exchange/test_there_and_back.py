"""Aid between two teams, there and back: request, offer, acceptance, pack, findings with coverage, closing."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pyarrow as pa
import pytest
import stix2validator

from aleat.case.records import CoverageRow
from aleat.errors import NotPermittedError, Place, SealError, SignatureError
from aleat.exchange import (
    Affected,
    Delivery,
    Findings,
    NotLookedAt,
    Sent,
    accept,
    answer,
    ask,
    asks,
    close_thread,
    deliver,
    delivered_indicators,
    findings_of_hunt,
    findings_received,
    offer,
    open_answer,
    open_delivery,
    prepare_release,
    read_findings,
    receive,
    refuse,
    rule_ids,
    withdraw,
)
from aleat.hunt.indicator import NotEvaluated, Sighting
from aleat.release import Victim
from aleat.stix import content_id, make_object
from aleat.stix.entries import ENTRY_SCHEMA, entries_digest
from aleat.stix.extensions import extend
from aleat.store.allies import add_ally
from aleat.store.decisions import read_decisions, read_releases, set_roles
from aleat.store.entries import put_entries, read_entries
from aleat.store.ledger import read_entries as read_ledger
from aleat.store.ledger import verify_ledger
from aleat.store.objects import get_object
from aleat.trust.agreements import export_card
from tests.exchange.teams import AGREEMENT, START, Team, indicator

THIRD = "identity--33333333-3333-4333-8333-333333333333"
VICTIM = Victim(name="Ministry of Roads", sector="government", country="AL")
COVERAGE = (
    CoverageRow(
        host="dc-one",
        format="windows",
        channel="Security",
        first=datetime(2022, 5, 3, 8, 1, tzinfo=UTC),
        last=datetime(2022, 9, 19, 23, 59, tzinfo=UTC),
        events=12_000,
    ),
    CoverageRow(
        host="web-one",
        format="windows",
        channel="Security",
        first=datetime(2022, 6, 1, 8, 1, tzinfo=UTC),
        last=datetime(2022, 9, 18, 23, 59, tzinfo=UTC),
        events=3_000,
    ),
)


def sighting(ref: str, event: str, time: datetime, **more: object) -> Sighting:
    """A row of a hunt."""
    values: dict[str, object] = {
        "indicator": ref,
        "title": "t",
        "level": "high",
        "author": None,
        "evidence": "logs/dc-one.evtx",
        "record": 1,
        "offset": 0,
        "event": event,
        "time": int(time.timestamp() * 1_000_000),
        "host": "dc-one",
        "fields": {"CommandLine": "secret-tool.exe"},
        "source": "north",
        "ref": ref,
    }
    return Sighting(**{**values, **more})  # type: ignore[arg-type]


def request(south: Team) -> Sent:
    """South asks north for help."""
    with south.desk() as desk:
        return ask(
            desk,
            "north",
            title="Government services are down",
            affected=Affected(entity="Ministry of Roads", sector="government", country="AL"),
            impact="Eight services shut down since Friday.",
            needs=["indicators", "two analysts"],
            planned_use="Hunt in the logs of twelve hosts.",
            measures_taken="Services were shut down to protect them.",
            other_support="None.",
        )


def hand_over(sent: Sent, to: Team) -> object:
    """Carry a file across."""
    with to.desk() as desk:
        return receive(desk, sent.data, path=sent.name)


def states(*teams: Team) -> list[list[str]]:
    """The states of all threads, by team."""
    result = []
    for team in teams:
        with team.database.read() as connection:
            result.append([thread.state for thread in asks(connection)])
    return result


def agreed_so_far(teams: tuple[Team, Team]) -> str:
    """Request, offer, acceptance; returns the offer's id."""
    north, south = teams
    first = request(south)
    hand_over(first, north)
    assert states(north, south) == [["asked"], ["asked"]]
    with north.desk() as desk:
        offered = offer(desk, "south", what="Our pack on this actor.", of=first.messages[0].id)
    hand_over(offered, south)
    assert states(north, south) == [["offered"], ["offered"]]
    with south.desk() as desk:
        accepted = accept(desk, offered.messages[0].id)
    hand_over(accepted, north)
    assert states(north, south) == [["accepted"], ["accepted"]]
    return offered.messages[0].id


def with_pack(north: Team) -> None:
    """What north knows: three of its own, one of a third's under AMBER, one RED, and a list."""
    north.know(*(indicator(number, north.card.identity, "green") for number in (1, 2, 3)))
    north.know(indicator(4, THIRD, "amber", name="Quiet name"), giver=THIRD)
    north.know(indicator(5, north.card.identity, "red", name="Redder name"))
    table = pa.table(
        {
            "type": pa.array(["domain-name", "ipv4-addr"], ENTRY_SCHEMA.field("type").type),
            "value": ["listed.example", "192.0.2.77"],
            "context": ["", '{"note":"first wave"}'],
            "line": pa.array([1, 2], pa.int64()),
            "count": pa.array([1, 1], pa.int64()),
        },
        schema=ENTRY_SCHEMA,
    )
    listed = make_object(
        "indicator",
        content_id("indicator", "list"),
        created=START,
        name="domains.csv",
        description="A list of ours.",
        indicator_types=["malicious-activity"],
        pattern="[x-aleat-list:sha256 = 'x']",
        pattern_type="stix",
        valid_from=START,
        extensions=extend("list", {"entries": 2, "entries_sha256": entries_digest(table)}),
    )
    with north.database.write() as connection:
        put_entries(connection, north.folder, table)
    north.know(listed)


def deliver_pack(teams: tuple[Team, Team]) -> tuple[Sent, str]:
    """Everything up to the pack's arrival; returns the delivery and its message's id."""
    north, south = teams
    offered = agreed_so_far(teams)
    with_pack(north)
    with north.desk() as desk:
        assert open_delivery(desk.connection, north.card.identity, south.card.identity) == offered
        release = prepare_release(desk, "south")
        sent = deliver(desk, "south", release, of=offered)
    hand_over(sent, south)
    return sent, next(item.id for item in sent.messages if isinstance(item, Delivery))


def test_a_request_is_answered_there_and_back(teams: tuple[Team, Team]) -> None:
    """The whole way, in both stores."""
    north, south = teams
    sent, delivery = deliver_pack(teams)
    assert states(north, south) == [["delivered"], ["delivered"]]
    assert sent.release is not None
    for secret in (b"Quiet name", b"Redder name", b"beacon-4", b"beacon-5", b"000000000004", b"000000000005"):
        assert secret.lower() not in sent.release.bundle.lower() + sent.release.manifest.lower()
        assert secret.lower() not in sent.data.lower()
    with south.database.read() as connection:
        delivered = delivered_indicators(connection, delivery)
        assert open_answer(connection, south.card.identity, north.card.identity) == delivery
    listed = content_id("indicator", "list")
    assert delivered == tuple(
        sorted([listed, *(f"indicator--00000000-0000-4000-8000-{number:012d}" for number in (1, 2, 3))])
    )
    hunted = [
        sighting(delivered[0], "e1", datetime(2022, 7, 15, 8, 30, tzinfo=UTC)),
        sighting(delivered[0], "e1", datetime(2022, 7, 15, 8, 30, tzinfo=UTC)),  # a copy of the same event
        sighting(delivered[0], "e2", datetime(2022, 7, 18, 9, 30, tzinfo=UTC)),
        sighting(delivered[1], "e3", datetime(2022, 7, 18, 9, 30, tzinfo=UTC), hidden_by="our own scanner"),
        sighting(listed, "e4", datetime(2022, 7, 19, tzinfo=UTC), indicator=f"{listed}#listed.example"),
    ]
    findings = findings_of_hunt(delivered, hunted)
    with south.desk() as desk:
        back = answer(
            desk,
            delivery,
            findings,
            coverage=COVERAGE,
            not_looked_at=[NotLookedAt("windows/Microsoft-Windows-Sysmon/Operational", "no-log")],
            victim=VICTIM,
            outcome="We were hit; the pack found where.",
        )
    assert back.kept == ()
    hand_over(back, north)
    assert states(north, south) == [["closed"], ["closed"]]
    with north.database.read() as connection:
        found = {(item.indicator, item.value): item for item in findings_received(connection)}
        message = next(item for item in asks(connection)[0].messages if isinstance(item, Findings))
    assert (message.seen, message.not_seen, message.false_positives) == (2, 1, 1)
    seen = found[delivered[0], ""]
    assert (seen.status, seen.count) == ("seen", 2)
    assert seen.first == datetime(2022, 7, 15, tzinfo=UTC)
    assert found[delivered[1], ""].reason == "our own scanner"
    assert found[listed, "listed.example"].status == "seen"
    negative = found[delivered[2], ""]
    assert (negative.status, negative.count) == ("not-seen", 0)
    assert negative.coverage["looked_at"] == [
        {
            "source": "windows/Security",
            "hosts": 2,
            "events": 15_000,
            "first": "2022-05-03T00:00:00.000Z",
            "last": "2022-09-19T00:00:00.000Z",
        }
    ]
    assert negative.coverage["not_looked_at"][0]["reason"] == "no-log"


def test_findings_show_no_more_of_the_victim_than_agreed(teams: tuple[Team, Team]) -> None:
    """Sector and country, the day; no host, no path, no field."""
    _, south = teams
    _, delivery = deliver_pack(teams)
    with south.database.read() as connection:
        delivered = delivered_indicators(connection, delivery)
    hunted = [sighting(delivered[0], "e1", datetime(2022, 7, 15, 8, 30, tzinfo=UTC))]
    with south.desk() as desk:
        back = answer(desk, delivery, findings_of_hunt(delivered, hunted), coverage=COVERAGE, victim=VICTIM)
    assert back.release is not None
    text = back.release.bundle.decode()
    for hidden in ("Ministry", "dc-one", "web-one", "secret-tool", "08:30", "evtx"):
        assert hidden not in text
    assert '"sectors":["government"]' in text
    assert "government, AL" in text


def test_gaps_that_name_what_stays_are_only_counted(teams: tuple[Team, Team]) -> None:
    """A rule of a third party's that was not evaluated is not told of by its name."""
    _, south = teams
    _, delivery = deliver_pack(teams)
    south.know(indicator(8, THIRD, "amber", name="Third party's own rule"), giver=THIRD)
    with south.database.read() as connection:
        delivered = delivered_indicators(connection, delivery)
    gaps = [NotLookedAt("Third party's own rule", "no-mapping"), NotLookedAt("syslog", "no-log")]
    with south.desk() as desk:
        back = answer(
            desk, delivery, findings_of_hunt(delivered, []), coverage=COVERAGE, not_looked_at=gaps, victim=VICTIM
        )
    assert back.release is not None
    assert b"Third party" not in back.release.bundle
    found = read_findings(back.release.objects)
    assert len(found) == len(delivered)
    assert found[0].coverage["not_looked_at"] == [{"what": "2 more", "reason": "not-listed"}]


def test_a_rule_that_was_not_evaluated_is_neither_seen_nor_not_seen(teams: tuple[Team, Team]) -> None:
    """Known by its rule's own id, too."""
    rule = make_object(
        "indicator",
        "indicator--00000000-0000-4000-8000-0000000000cc",
        created=START,
        name="rule",
        pattern="title: rule",
        pattern_type="sigma",
        valid_from=START,
        external_references=[{"source_name": "sigma", "external_id": "5f113a8f-8b61-41ca-b90f-d374fa7e4a39"}],
    )
    _, south = teams
    south.know(rule)
    with south.database.read() as connection:
        ids = rule_ids(connection, [rule.id, "indicator--00000000-0000-4000-8000-000000000001"])
    skipped = NotEvaluated("5f113a8f-8b61-41ca-b90f-d374fa7e4a39", "rule", Place("x.yml"), "no-mapping", "why")
    (finding,) = findings_of_hunt([rule.id], [], [skipped], rule_ids=ids)
    assert (finding.status, finding.reason) == ("not-evaluated", "no-mapping")


def test_who_looked_at_nothing_has_not_seen_nothing(teams: tuple[Team, Team]) -> None:
    """Without coverage an indicator was not evaluated."""
    _, south = teams
    _, delivery = deliver_pack(teams)
    with south.database.read() as connection:
        delivered = delivered_indicators(connection, delivery)
    with south.desk() as desk:
        back = answer(desk, delivery, findings_of_hunt(delivered, []), coverage=(), victim=VICTIM)
    message, _ = back.messages  # and a receipt
    assert isinstance(message, Findings)
    assert (message.not_seen, message.not_evaluated) == (0, len(delivered))


def test_what_leaves_is_valid_stix(teams: tuple[Team, Team]) -> None:
    """Objects of ours pass the strict validator, check 103 off."""
    _, south = teams
    sent, delivery = deliver_pack(teams)
    with south.database.read() as connection:
        delivered = delivered_indicators(connection, delivery)
    with south.desk() as desk:
        back = answer(desk, delivery, findings_of_hunt(delivered, []), coverage=COVERAGE, victim=VICTIM)
    options = stix2validator.ValidationOptions(strict=True, disabled="103", version="2.1")
    for release in (sent.release, back.release):
        assert release is not None
        for item in release.objects:
            result = stix2validator.validate_string(item.content.decode(), options)
            assert result.is_valid, (item.id, [str(error) for error in result.errors])


def test_a_list_arrives_with_its_entries(teams: tuple[Team, Team]) -> None:
    """Bound by the digest that the list's object names."""
    _, south = teams
    deliver_pack(teams)
    with south.database.read() as connection:
        stored = get_object(connection, content_id("indicator", "list"))
    assert stored is not None
    digest = next(iter(re.findall(r'"entries_sha256":"([0-9a-f]{64})"', stored.object.raw.decode())))
    table = read_entries(south.folder, digest)
    assert table.column("value").to_pylist() == ["listed.example", "192.0.2.77"]
    assert stored.copies[0].giver == teams[0].card.identity
    assert stored.copies[0].agreement == "mutual-aid"


def test_an_allys_pack_does_not_go_on_to_others_by_itself(teams: tuple[Team, Team], tmp_path: Path) -> None:
    """South is asked by west: what north gave under AMBER stays, GREEN leaves within the community."""
    north, south = teams
    deliver_pack(teams)
    north.know(indicator(9, north.card.identity, "amber"))
    west = Team(tmp_path / "west", "west", "identity--44444444-4444-4444-8444-444444444444", "IT")
    text = AGREEMENT.format(*sorted((south.card.identity, west.card.identity)))
    text = text.replace('"mutual-aid"', '"with-west"')
    south.befriend(west, text)
    with south.desk() as desk:
        release = prepare_release(desk, "west")
    rules = {item.object: item.rule for item in release.decisions}
    assert rules["indicator--00000000-0000-4000-8000-000000000001"] == "green-community"
    assert rules[content_id("indicator", "list")] == "amber-not-a-client"
    west.close()


def test_every_release_is_in_the_ledger_with_every_decision(teams: tuple[Team, Team]) -> None:
    """Who, when, to whom, which versions, which rules, which hash."""
    north, south = teams
    sent, _ = deliver_pack(teams)
    assert sent.release is not None
    with north.database.read() as connection:
        (row,) = read_releases(connection, south.card.identity)
        decisions = list(read_decisions(connection, row.id))
        (entry,) = read_ledger(connection, "release")
        keys = {north.key.key_id: north.key.public}
        for ledger in ("release", "exchange", "decisions"):
            assert list(verify_ledger(connection, ledger, keys)) == []
    assert (row.actor, row.sha256) == ("ana", sent.release.sha256)
    assert {item.object: item.rule for item in decisions if not item.allow} == {
        "indicator--00000000-0000-4000-8000-000000000004": "amber-not-a-client",
        "indicator--00000000-0000-4000-8000-000000000005": "red",
    }
    assert entry.data["sha256"] == row.sha256
    assert len(entry.data["allowed"]) == 4


def test_opening_a_file_twice_is_refused_and_changes_nothing(teams: tuple[Team, Team]) -> None:
    """A replay."""
    north, south = teams
    first = request(south)
    hand_over(first, north)
    with pytest.raises(SealError, match="counts once"):
        hand_over(first, north)
    with north.database.read() as connection:
        assert len(list(read_ledger(connection, "exchange"))) == 1


def test_files_that_are_missing_are_named(teams: tuple[Team, Team]) -> None:
    """Numbers show that one was lost, or kept back; it may come later."""
    north, south = teams
    first, second, third = request(south), request(south), request(south)
    assert hand_over(third, north).missing == (1, 2)  # type: ignore[attr-defined]
    assert hand_over(first, north).missing == (2,)  # type: ignore[attr-defined]
    assert hand_over(second, north).missing == ()  # type: ignore[attr-defined]


def test_a_withdrawn_release_stays_shut(teams: tuple[Team, Team]) -> None:
    """The withdrawal overtakes the delivery."""
    north, south = teams
    offered = agreed_so_far(teams)
    with_pack(north)
    with north.desk() as desk:
        sent = deliver(desk, "south", prepare_release(desk, "south"), of=offered)
    with north.desk() as desk:
        recall = withdraw(desk, sent.release_id, reason="A false positive in it.")
    hand_over(recall, south)
    with pytest.raises(SealError, match="withdrawn"):
        hand_over(sent, south)


def test_a_refusal_ends_an_offer(teams: tuple[Team, Team]) -> None:
    """And says why."""
    north, south = teams
    with north.desk() as desk:
        offered = offer(desk, "south", what="People.", kinds=("people",))
    hand_over(offered, south)
    with south.desk() as desk:
        hand_over(refuse(desk, offered.messages[0].id, reason="No room."), north)
    assert states(north, south) == [["refused"], ["refused"]]


def test_a_release_without_a_request_is_an_offer_of_its_own(teams: tuple[Team, Team]) -> None:
    """One file: the offer and what it offers."""
    north, south = teams
    with_pack(north)
    with north.desk() as desk:
        sent = deliver(desk, "south", prepare_release(desk, "south"))
    hand_over(sent, south)
    assert states(north, south) == [["delivered"], ["delivered"]]
    with north.desk() as desk:
        hand_over(close_thread(desk, sent.thread, outcome="Done."), south)
    assert states(north, south) == [["closed"], ["closed"]]


def test_only_a_releaser_lets_things_leave(teams: tuple[Team, Team]) -> None:
    """An analyst prepares, a releaser releases; the message names who may."""
    north, _ = teams
    with north.database.write() as connection:
        set_roles(connection, "ben", ["analyst"], actor="ana", time=START, key=north.key)
    with_pack(north)
    with north.desk("ben") as desk:
        release = prepare_release(desk, "south")
        with pytest.raises(NotPermittedError, match=r"releaser.*Ask ana"):
            deliver(desk, "south", release)


def test_two_people_release_where_the_agreement_wants_it(teams: tuple[Team, Team]) -> None:
    """One person twice is one person."""
    north, south = teams
    text = AGREEMENT.format(*sorted((north.card.identity, south.card.identity)))
    north.befriend(south, text.replace("version = 1", "version = 2\ntwo_people = true"))
    with_pack(north)
    with north.desk() as desk:
        release = prepare_release(desk, "south")
        for approver in (None, "ana", "ben"):
            with pytest.raises(NotPermittedError):
                deliver(desk, "south", release, approver=approver)
        set_roles(desk.connection, "ben", ["releaser"], actor="ana", time=START, key=north.key)
        assert deliver(desk, "south", release, approver="ben").release_id


def test_an_ally_whose_card_nobody_compared_gets_nothing(teams: tuple[Team, Team], tmp_path: Path) -> None:
    """And nothing of theirs is opened."""
    north, _ = teams
    west = Team(tmp_path / "west", "west", "identity--44444444-4444-4444-8444-444444444444", "IT")
    west.befriend(north)
    with north.database.write() as connection:
        add_ally(connection, export_card(west.card, west.key), actor="ana", time=START, key=north.key)
    with north.desk() as desk, pytest.raises(NotPermittedError, match="compared"):
        offer(desk, "west", what="x")
    with west.desk() as desk:
        sent = offer(desk, "north", what="x")
    with pytest.raises(SignatureError, match="compared"):
        hand_over(sent, north)
    west.close()


def test_a_file_that_says_it_is_from_us_or_changes_ours_is_not_believed(teams: tuple[Team, Team]) -> None:
    """An ally's bundle can't hold a new version of what is ours."""
    north, south = teams
    fake = indicator(1, south.card.identity, "clear", name="Poisoned")
    north.know(fake)
    with north.desk() as desk:
        release = prepare_release(desk, "south")
        assert fake.id in {item.id for item in release.objects}
        sent = deliver(desk, "south", release)
    received = hand_over(sent, south)
    assert [issue.code for issue in received.issues] == ["not-theirs"]  # type: ignore[attr-defined]
    with south.database.read() as connection:
        assert get_object(connection, fake.id) is None


def test_an_interrupted_act_leaves_nothing(teams: tuple[Team, Team]) -> None:
    """The number, the message and the ledger's entry stand and fall together."""
    north, _ = teams

    def interrupted() -> None:
        with north.desk() as desk:
            offer(desk, "south", what="x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with north.database.read() as connection:
        assert asks(connection) == ()
        assert list(read_ledger(connection, "exchange")) == []


def test_messages_are_plain_records(teams: tuple[Team, Team]) -> None:
    """What is kept is what was signed."""
    _, south = teams
    sent = request(south)
    with south.database.read() as connection:
        (thread,) = asks(connection)
    assert thread.messages == sent.messages
    assert msgspec.to_builtins(sent.messages[0])["affected"]["sector"] == "government"
