"""What is taken back: a release or objects, told to everybody who got them, and receipted."""

from __future__ import annotations

import json
from pathlib import Path

import orjson
import pytest

from aleat.errors import NotPermittedError, Place, SealError, TrustError
from aleat.exchange import (
    Delivery,
    Receipt,
    Sent,
    Withdrawal,
    acknowledge,
    asks,
    deliver,
    offer,
    prepare_release,
    receive,
    withdraw,
    withdraw_objects,
    withdrawals,
)
from aleat.stix import make_object, parse_object
from aleat.store.decisions import lift_hold, read_decisions, read_releases, set_roles
from aleat.store.given import read_bundle, read_revocations, remember_told
from aleat.store.ledger import read_entries, verify_ledger
from aleat.store.objects import get_object
from aleat.store.withdrawn import copies_given, withdrawn_copies
from aleat.trust.markings import marking_id
from tests.exchange.teams import START, Team, indicator
from tests.exchange.test_red import named

THIRD = "identity--33333333-3333-4333-8333-333333333333"
WEST = "identity--44444444-4444-4444-8444-444444444444"


def hand_over(sent: Sent, to: Team) -> object:
    """Carry a file across."""
    with to.desk() as desk:
        return receive(desk, sent.data, path=sent.name)


def give(north: Team, south: Team) -> Sent:
    """North releases what it may, and south opens it."""
    with north.desk() as desk:
        sent = deliver(desk, "south", prepare_release(desk, "south"))
    hand_over(sent, south)
    return sent


def standing(team: Team, id_: str) -> list[str]:
    """Who gave the team's copies of an object that nobody took back."""
    with team.database.read() as connection:
        found = get_object(connection, id_)
        assert found is not None
        return [copy.giver for copy in copies_given(found, withdrawn_copies(connection))]


def told_again(north: Team) -> tuple[str, str]:
    """North knows a report that must be told again to south, as it lists a third's; its id, and the third's."""
    secret = indicator(8, THIRD, "amber", name="Third")
    north.know(secret, giver=THIRD)
    own = indicator(1, north.card.identity, "green")
    report = make_object(
        "report",
        "report--00000000-0000-4000-8000-0000000000f1",
        created=START,
        created_by_ref=north.card.identity,
        markings=[marking_id("tlp:green")],
        name="Weekly",
        published=START,
        object_refs=[own.id, secret.id],
    )
    north.know(own, report)
    return report.id, secret.id


def test_what_is_ours_is_revoked_for_all_who_got_it(teams: tuple[Team, Team]) -> None:
    """Here and there: a newer version that says so; the receiver's copy counts no more."""
    north, south = teams
    own = indicator(1, north.card.identity, "green")
    north.know(own)
    give(north, south)
    with north.desk() as desk:
        done = withdraw_objects(desk, [own.id], reason="A false positive.")
    assert (done.revoked, done.held, done.untold) == ((own.id,), (), {})
    (sent,) = done.sent
    (message,) = [item for item in sent.messages if isinstance(item, Withdrawal)]
    assert (message.objects, message.reason) == ((own.id,), "A false positive.")
    hand_over(sent, south)
    for team in teams:
        with team.database.read() as connection:
            newest = get_object(connection, own.id)
            assert newest is not None
            assert newest.object.revoked
            verify_ledger(connection, "release", [team.key.public])
    with south.database.read() as connection:
        (thread,) = [one for one in asks(connection) if one.id == message.thread]
        assert thread.state == "withdrawn"


def test_an_ally_is_told_under_the_id_by_which_it_knows_an_object(teams: tuple[Team, Team]) -> None:
    """What was told again is revoked as it was told: neither its own id nor what was withheld goes along."""
    north, south = teams
    report, secret = told_again(north)
    give(north, south)
    with north.database.read() as connection:
        (release,) = read_releases(connection, south.card.identity)
        told = next(row for row in read_decisions(connection, release.id) if row.object == report)
    known = told.detail["parameters"]["as"]
    assert known != report
    with north.desk() as desk:
        (sent,) = withdraw_objects(desk, [report], reason="Wrong.").sent
        assert read_revocations(desk.connection, south.card.identity) == ()  # it was on no shelf
    assert sent.release is not None
    assert [item.id for item in sent.release.objects] == [known]
    for word in (report, secret, "Third"):
        assert word.partition("--")[2] or word not in sent.release.bundle.decode()
        assert (word.partition("--")[2] or word) not in sent.release.bundle.decode()
    hand_over(sent, south)
    with south.database.read() as connection:
        found = get_object(connection, known)
    assert found is not None
    assert found.object.revoked
    with north.desk() as desk:  # the revoked original leaves to nobody under an id that nobody has
        leaving = {item.id for item in prepare_release(desk, "south").objects}
    assert report not in leaving
    assert not any(id_.startswith("report--") for id_ in leaving)


def test_what_is_not_ours_is_recalled_and_passed_on_no_more(teams: tuple[Team, Team]) -> None:
    """Our copy of it; what another gave the receiver goes on. A named person may lift that for a reason."""
    north, south = teams
    theirs = indicator(5, THIRD, "clear", name="Third's")
    north.know(theirs, giver=THIRD)
    south.know(theirs, giver=THIRD)
    give(north, south)
    assert standing(south, theirs.id) == [THIRD, north.card.identity]
    with north.desk() as desk:
        done = withdraw_objects(desk, [theirs.id], reason="Their word is doubtful.")
    assert (done.revoked, done.held) == ((), (theirs.id,))
    (sent,) = done.sent
    assert sent.release is None
    hand_over(sent, south)
    assert standing(south, theirs.id) == [THIRD]
    with south.database.read() as connection:
        found = get_object(connection, theirs.id)
    assert found is not None
    assert not found.object.revoked
    with north.desk() as desk:
        (decision,) = [item for item in prepare_release(desk, "south").decisions if item.object == theirs.id]
        assert (decision.allow, decision.rule) == (False, "withdrawn")
        lift_hold(desk.connection, theirs.id, "withdrawn", "It was right.", actor="ana", time=north.time, key=north.key)
        assert theirs.id in {item.id for item in prepare_release(desk, "south").objects}
    give(north, south)
    assert standing(south, theirs.id) == [THIRD, north.card.identity]


def test_a_file_that_comes_after_the_withdrawal_of_what_it_holds_brings_nothing(teams: tuple[Team, Team]) -> None:
    """Files may come in any order: the later word counts, by its sender's own clock."""
    north, south = teams
    theirs = indicator(5, THIRD, "clear", name="Third's")
    north.know(theirs, giver=THIRD)
    with north.desk() as desk:
        late = deliver(desk, "south", prepare_release(desk, "south"))
    with north.desk() as desk:
        (sent,) = withdraw_objects(desk, [theirs.id], reason="Wrong.").sent
    hand_over(sent, south)
    hand_over(late, south)
    assert standing(south, theirs.id) == []
    with pytest.raises(SealError, match="opened before"):
        hand_over(late, south)


def test_everybody_who_got_it_is_told_and_nobody_else(teams: tuple[Team, Team], tmp_path: Path) -> None:
    """By a release, or from a shelf, also one that holds it no more; one file an ally."""
    north, south = teams
    west = Team(tmp_path / "west", "west", WEST, "IT")
    east = Team(tmp_path / "east", "east", WEST.replace("4444", "5555", 1), "HU")
    for one in (west, east):
        north.befriend(one, f'name = "with-{one.name}"'.join(_agreement(north, one).split('name = "mutual-aid"')))
        one.befriend(north)
    own = indicator(1, north.card.identity, "green")
    north.know(own)
    give(north, south)
    with north.desk() as desk:
        remember_told(desk.connection, WEST, [(own.id, own.id)])
        done = withdraw_objects(desk, [own.id], reason="Wrong.")
    assert {sent.recipient for sent in done.sent} == {south.card.identity, WEST}
    by_ally = {sent.recipient: sent for sent in done.sent}
    hand_over(by_ally[WEST], west)
    with west.database.read() as connection:
        found = get_object(connection, own.id)
    assert found is not None
    assert found.object.revoked
    west.close()
    east.close()


def _agreement(north: Team, other: Team) -> str:
    from tests.exchange.teams import AGREEMENT  # noqa: PLC0415

    return AGREEMENT.format(*sorted((north.card.identity, other.card.identity)))


def test_one_ally_who_cannot_be_told_keeps_nobody_else_from_it(teams: tuple[Team, Team]) -> None:
    """The answer names who isn't told, and why."""
    north, south = teams
    own = indicator(1, north.card.identity, "green")
    north.know(own)
    give(north, south)
    with north.desk() as desk:
        remember_told(desk.connection, WEST, [(own.id, own.id)])
        done = withdraw_objects(desk, [own.id], reason="Wrong.")
    assert list(done.untold) == [WEST]
    assert [sent.recipient for sent in done.sent] == [south.card.identity]


def test_a_receipt_goes_with_the_next_file_and_both_sides_keep_it(teams: tuple[Team, Team]) -> None:
    """Once for each delivery and withdrawal, with the hash of the file that was opened."""
    north, south = teams
    own = indicator(1, north.card.identity, "green")
    north.know(own)
    given = give(north, south)
    with north.desk() as desk:
        (sent,) = withdraw_objects(desk, [own.id], reason="Wrong.").sent
    hand_over(sent, south)
    with north.database.read() as connection:
        assert [row.received for row in withdrawals(connection, north.card.identity)] == [""]
    with south.desk() as desk:
        back = offer(desk, "north", what="Thanks.")
        receipts = [item for item in back.messages if isinstance(item, Receipt)]
        delivery = next(item for item in given.messages if isinstance(item, Delivery))
        withdrawal = next(item for item in sent.messages if isinstance(item, Withdrawal))
        assert {item.of for item in receipts} == {delivery.id, withdrawal.id}
        assert acknowledge(desk, "north") is None
    hand_over(back, north)
    for team in teams:
        with team.database.read() as connection:
            kept = [item for thread in asks(connection) for item in thread.messages if isinstance(item, Receipt)]
            assert sorted(item.id for item in kept) == sorted(item.id for item in receipts)
    with north.database.read() as connection:
        (row,) = withdrawals(connection, north.card.identity)
    assert row.received == next(item.time for item in receipts if item.of == withdrawal.id)
    assert (row.ally, row.objects, row.reason) == (south.card.identity, (own.id,), "Wrong.")


def test_a_file_of_receipts_alone_needs_no_releaser(teams: tuple[Team, Team]) -> None:
    """Whoever may open files may say that they were opened."""
    north, south = teams
    north.know(indicator(1, north.card.identity, "green"))
    give(north, south)
    with south.database.write() as connection:
        set_roles(connection, "ben", ["analyst"], actor="ana", time=START, key=south.key)
    with south.desk("ben") as desk:
        sent = acknowledge(desk, "north")
        assert sent is not None
        assert [type(item) for item in sent.messages] == [Receipt]
    hand_over(sent, north)


def test_only_a_releaser_withdraws_and_for_a_reason(teams: tuple[Team, Team]) -> None:
    """And only what is here."""
    north, _ = teams
    own = indicator(1, north.card.identity, "green")
    north.know(own)
    with north.database.write() as connection:
        set_roles(connection, "ben", ["analyst"], actor="ana", time=START, key=north.key)
    with north.desk("ben") as desk, pytest.raises(NotPermittedError, match="releaser"):
        withdraw_objects(desk, [own.id], reason="x")
    with north.desk() as desk:
        with pytest.raises(TrustError, match="reason"):
            withdraw_objects(desk, [own.id], reason=" ")
        with pytest.raises(TrustError, match="no object"):
            withdraw_objects(desk, [own.id, indicator(99, None).id], reason="x")


def test_what_left_is_kept_as_it_left(teams: tuple[Team, Team]) -> None:
    """Bundle and lists, byte for byte, behind the hash in the ledger's entry."""
    north, south = teams
    north.know(indicator(1, north.card.identity, "green"))
    sent = give(north, south)
    assert sent.release is not None
    with north.database.read() as connection:
        assert read_bundle(connection, sent.release_id) == (sent.release.bundle, sent.release.lists)
        (entry,) = read_entries(connection, "release", "release")
    assert entry.data["sha256"] == sent.release.sha256
    assert orjson.loads(sent.release.bundle)["objects"]


def test_a_release_is_withdrawn_from_its_recipient_alone(teams: tuple[Team, Team]) -> None:
    """Nothing is revoked: it may be given again."""
    north, south = teams
    own = indicator(1, north.card.identity, "green")
    north.know(own)
    sent = give(north, south)
    with north.desk() as desk:
        recall = withdraw(desk, sent.release_id, reason="The wrong ally.")
    hand_over(recall, south)
    assert standing(south, own.id) == []
    with north.database.read() as connection:
        found = get_object(connection, own.id)
    assert found is not None
    assert not found.object.revoked
    give(north, south)
    assert standing(south, own.id) == [north.card.identity]


def test_who_passed_it_on_is_told_so(teams: tuple[Team, Team], tmp_path: Path) -> None:
    """What its giver takes back, by object or by release, went on to others: they are named."""
    north, south = teams
    west = Team(tmp_path / "west", "west", WEST, "IT")
    south.befriend(west, _agreement(south, west).replace("mutual-aid", "with-west"))
    north.know(*(indicator(number, north.card.identity, "clear") for number in (1, 2)))
    first = give(north, south)
    with south.desk() as desk:
        deliver(desk, "west", prepare_release(desk, "west"))
    with north.desk() as desk:
        (sent,) = withdraw_objects(desk, [indicator(1, None).id], reason="Wrong.").sent
    with north.desk() as desk:
        recall = withdraw(desk, first.release_id, reason="All of it.")
    with south.desk() as desk:
        assert receive(desk, sent.data).passed_on == {"west": (indicator(1, None).id,)}
    with south.desk() as desk:
        found = receive(desk, recall.data).passed_on
        assert set(found["west"]) >= {indicator(1, None).id, indicator(2, None).id}
    west.close()


def test_red_that_a_named_person_had_is_revoked_in_its_file_and_on_no_shelf(teams: tuple[Team, Team]) -> None:
    """A feed is for everybody of the ally."""
    north, south = teams
    named(north, south)
    red = indicator(1, north.card.identity, "red")
    north.know(red)
    with north.desk() as desk:
        deliver(desk, "south", prepare_release(desk, "south", reader="Sokol Shembull"))
    with north.desk() as desk:
        (sent,) = withdraw_objects(desk, [red.id], reason="Wrong.").sent
        assert read_revocations(desk.connection, south.card.identity) == ()
    assert sent.release is not None
    assert [item.id for item in sent.release.objects] == [red.id]


def test_a_version_that_an_ally_never_had_is_not_revoked_to_it(teams: tuple[Team, Team]) -> None:
    """It was on a shelf once, and became RED with more in it: it is named, and nothing of it told."""
    north, south = teams
    green = indicator(1, north.card.identity, "green")
    content = json.loads(green.raw)
    content |= {"modified": "2022-09-19T00:00:00.000Z", "description": "Whom we suspect"}
    content["object_marking_refs"] = [marking_id("tlp:red")]
    north.know(green, parse_object(json.dumps(content).encode(), Place("test")))
    with north.desk() as desk:
        remember_told(desk.connection, south.card.identity, [(green.id, green.id)])
        (sent,) = withdraw_objects(desk, [green.id], reason="Wrong.").sent
        assert read_revocations(desk.connection, south.card.identity) == ()
    (message,) = [item for item in sent.messages if isinstance(item, Withdrawal)]
    assert message.objects == (green.id,)
    assert sent.release is None
