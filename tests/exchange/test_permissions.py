"""An originator's permission, asked for and given by message: it opens exactly what was asked, and ends."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
import sqlalchemy as sa

from aleat.errors import NotPermittedError, TrustError
from aleat.exchange import Received, Sent, asks, prepare_release, receive, refuse
from aleat.exchange.messages import Grant, Message, PermissionRequest
from aleat.exchange.outbox import retract
from aleat.exchange.permissions import ask_permission, freeable, permit
from aleat.exchange.sending import message_head, send
from aleat.store.allies import find_ally
from aleat.store.decisions import add_permission, read_permissions, set_roles
from aleat.store.exchanges import read_files
from aleat.store.exchanges_verify import verify_exchanges
from aleat.store.ledger import read_entries, verify_ledger
from aleat.store.objects import Provenance, put_objects
from aleat.trust.agreements import Permission
from tests.exchange.teams import AGREEMENT, START, Team, indicator

STRANGER = "identity--99999999-9999-4999-8999-999999999999"
UNTIL = date(2023, 3, 31)
PURPOSE = "South hunts for this group in its own logs."


class Three(NamedTuple):
    """North gave south something; south would pass it on to west."""

    north: Team
    south: Team
    west: Team


@pytest.fixture
def three(teams: tuple[Team, Team], tmp_path: Path) -> Iterator[Three]:
    """North and south, and west, whom south knows; north knows nobody but south."""
    north, south = teams
    west = Team(tmp_path / "west", "west", "identity--44444444-4444-4444-8444-444444444444", "IT")
    text = AGREEMENT.replace('"mutual-aid"', '"with-west"')
    text = text.format(*sorted((south.card.identity, west.card.identity)))
    south.befriend(west, text)
    west.befriend(south, text)
    for number in (1, 2):
        item = indicator(number, north.card.identity, "amber")
        north.know(item)
        south.know(item, giver=north.card.identity)
    south.know(indicator(3, north.card.identity, "red"), giver=north.card.identity)
    south.know(indicator(4, STRANGER, "amber", name="Quiet name"), giver=STRANGER)
    south.know(indicator(5, south.card.identity, "amber+strict", name="Our own secret"))
    yield Three(north, south, west)
    west.close()


def iid(number: int) -> str:
    """An indicator's id."""
    return indicator(number, None).id


def asked(three: Three, *objects: str, purpose: str = PURPOSE) -> Sent:
    """South asks north for leave, for west."""
    with three.south.desk() as desk:
        return ask_permission(desk, "north", to="west", until=UNTIL, purpose=purpose, objects=objects)


def hand_over(sent: Sent, to: Team) -> Received:
    """Carry a file across."""
    with to.desk() as desk:
        return receive(desk, sent.data)


def permitted(three: Three, request: Sent, **fields: object) -> Sent:
    """North permits."""
    with three.north.desk() as desk:
        return permit(desk, request.messages[0].id, **fields)  # type: ignore[arg-type]


def rules(three: Three) -> dict[str, str]:
    """What south's gate says for west, by object."""
    with three.south.desk() as desk:
        return {item.object: item.rule for item in prepare_release(desk, "west").decisions}


def states(*teams: Team) -> list[list[str]]:
    """The states of all threads, by team."""
    result = []
    for team in teams:
        with team.database.read() as connection:
            result.append([thread.state for thread in asks(connection)])
    return result


def test_one_request_names_everything_that_this_originator_could_free(three: Three) -> None:
    """And nothing else: not RED, which its word doesn't free, not what others gave, not ours."""
    request = asked(three).messages[0]
    assert isinstance(request, PermissionRequest)
    assert [item.id for item in request.objects] == [iid(1), iid(2)]
    assert (request.onward_to, request.onward_name) == (three.west.card.identity, "Team west")


def test_a_permission_opens_exactly_what_was_asked_until_its_end(three: Three) -> None:
    """There and back: preview says "permission", the day after the end it says no more."""
    assert rules(three)[iid(1)] == "amber-not-a-client"
    request = asked(three, iid(1))
    hand_over(request, three.north)
    assert states(three.north, three.south) == [["asked"], ["asked"]]
    given = permitted(three, request)
    hand_over(given, three.south)
    assert states(three.north, three.south) == [["permitted"], ["permitted"]]
    found = rules(three)
    assert found[iid(1)] == "permission"
    assert found[iid(2)] == "amber-not-a-client"
    three.south.time = START.replace(year=2023, month=4, day=1)
    assert rules(three)[iid(1)] == "amber-not-a-client"


def test_the_answer_is_recorded_on_both_sides_with_its_signature(three: Three) -> None:
    """The permission's row names the message, whose file's signed header is kept; north's ledger says what it gave."""
    request = asked(three)
    hand_over(request, three.north)
    given = permitted(three, request)
    hand_over(given, three.south)
    with three.south.database.read() as connection:
        (permission,) = read_permissions(connection)
        (file,) = (item for item in read_files(connection) if item.direction == "in")
        entries = [item for item in read_entries(connection, "decisions") if item.kind == "permission"]
        assert list(verify_ledger(connection, "decisions", {three.south.key.key_id: three.south.key.public})) == []
    assert entries[0].data["basis"] == given.messages[0].id
    assert file.signature
    assert permission.objects == {iid(1), iid(2)}
    assert (permission.originator, permission.recipient) == (three.north.card.identity, three.west.card.identity)
    assert permission.valid_until == UNTIL
    with three.north.database.read() as connection:
        (entry,) = (item for item in read_entries(connection, "decisions") if item.kind == "permission-given")
    assert entry.data["objects"] == [iid(1), iid(2)]


def test_an_analyst_may_open_the_file_that_brings_a_permission(three: Three) -> None:
    """The originator decided, and a releaser asked: who opens the file decides nothing."""
    request = asked(three)
    hand_over(request, three.north)
    given = permitted(three, request)
    with three.south.database.write() as connection:
        set_roles(connection, "ben", ["analyst"], actor="ana", time=START, key=three.south.key)
    with three.south.desk("ben") as desk:
        receive(desk, given.data)
    assert rules(three)[iid(1)] == "permission"


def test_the_request_tells_nothing_of_what_others_gave(three: Three) -> None:
    """Neither by default, nor when it is named, nor in the purpose."""
    sent = asked(three)
    text = repr(sent.messages)
    for hidden in (iid(3), iid(4), iid(5), "Quiet name", STRANGER, "beacon"):
        assert hidden not in text
    for number in (4, 5):
        with pytest.raises(TrustError, match="not from north"):
            asked(three, iid(number))
    for purpose in ("As Quiet name shows.", "They use beacon-4.example", f"See {iid(4)}", "Our own secret"):
        with pytest.raises(NotPermittedError, match="names something"):
            asked(three, purpose=purpose)
    with pytest.raises(TrustError, match="would not free"):
        asked(three, iid(3))


def test_what_came_through_another_is_asked_of_its_maker_without_naming_who_gave_it(three: Three) -> None:
    """North made it, a stranger passed it on: north decides, and doesn't learn from whom we have it."""
    three.south.know(indicator(7, three.north.card.identity, "amber"), giver=STRANGER)
    sent = asked(three)
    assert iid(7) in {item.id for item in sent.messages[0].objects}  # type: ignore[union-attr]
    assert STRANGER not in repr(sent.messages)


def test_an_object_of_two_originators_needs_the_leave_of_both(three: Three) -> None:
    """North made it, a stranger said it first: north is asked, and its word alone opens nothing."""
    item = indicator(9, three.north.card.identity, "amber")
    provenance = Provenance(giver="a feed", received=START, originator=STRANGER)
    with three.south.database.write() as connection:
        put_objects(connection, [(item, provenance)])
    request = asked(three, item.id)
    assert STRANGER not in repr(request.messages)
    three.north.know(item)
    hand_over(request, three.north)
    hand_over(permitted(three, request), three.south)
    assert rules(three)[item.id] == "third-party"
    leave = Permission(
        id="permission--by-letter",
        originator=STRANGER,
        recipient=three.west.card.identity,
        objects=frozenset({item.id}),
        valid_from=date(2022, 9, 1),
        valid_until=UNTIL,
    )
    with three.south.desk() as desk:
        add_permission(desk.connection, leave, "a letter", actor="ana", time=desk.time, key=desk.key)
    assert rules(three)[item.id] == "permission"


def test_nothing_is_asked_where_nothing_could_be_freed(three: Three) -> None:
    """An error with advice; no empty request."""
    with three.south.desk() as desk:
        assert {item.object for item in freeable(desk, "north", "west")} == {iid(1), iid(2)}
        assert freeable(desk, "west", "north") == ()
        with pytest.raises(TrustError, match="could free"):
            ask_permission(desk, "west", to="north", until=UNTIL, purpose=PURPOSE)
        with pytest.raises(TrustError, match="back"):
            ask_permission(desk, "west", to="west", until=UNTIL, purpose=PURPOSE)
        with pytest.raises(TrustError, match="later"):
            ask_permission(desk, "north", to="west", until=date(2020, 1, 1), purpose=PURPOSE)


def test_a_refusal_comes_back_with_its_reason(three: Three) -> None:
    """And opens nothing."""
    request = asked(three)
    hand_over(request, three.north)
    with three.north.desk() as desk:
        no = refuse(desk, request.messages[0].id, reason="West is not known to us.")
    hand_over(no, three.south)
    assert states(three.north, three.south) == [["refused"], ["refused"]]
    assert rules(three)[iid(1)] == "amber-not-a-client"
    with three.north.desk() as desk, pytest.raises(TrustError, match="refused"):
        permit(desk, request.messages[0].id)


def test_the_originator_may_permit_less(three: Three) -> None:
    """Fewer objects, a shorter time; never more than was asked."""
    request = asked(three)
    hand_over(request, three.north)
    with three.north.desk() as desk:
        with pytest.raises(TrustError, match="asked until"):
            permit(desk, request.messages[0].id, until=UNTIL + timedelta(days=1))
        with pytest.raises(TrustError, match="Nobody asked"):
            permit(desk, request.messages[0].id, objects=[iid(3)])
    hand_over(permitted(three, request, objects=[iid(2)], until=date(2022, 12, 31)), three.south)
    found = rules(three)
    assert (found[iid(1)], found[iid(2)]) == ("amber-not-a-client", "permission")


def test_what_a_third_made_is_not_the_originators_to_permit(three: Three) -> None:
    """North can't give leave for a stranger's object that it passed on, and its word would count for nothing."""
    foreign = indicator(8, STRANGER, "amber")
    three.north.know(foreign, giver=STRANGER)
    request = asked(three)
    hand_over(request, three.north)
    forged = _forged(three, request, iid(1), foreign.id, iid(4), iid(5))
    three.south.know(foreign, giver=three.north.card.identity)
    hand_over(forged, three.south)
    found = rules(three)
    assert found[iid(1)] == "permission"
    assert found[foreign.id] == "third-party"
    assert found[iid(4)] == "amber-not-a-client"
    assert found[iid(5)] == "own-label-not-agreed"
    with three.south.database.read() as connection:
        (permission,) = read_permissions(connection)
    assert permission.objects == {iid(1)}


def _forged(three: Three, request: Sent, *objects: str, by: Team | None = None, **fields: object) -> Sent:
    """A grant made by hand."""
    sender = by or three.north
    root = request.messages[0]
    values: dict[str, object] = {
        "of": root.id,
        "objects": objects,
        "onward_to": three.west.card.identity,
        "valid_from": date(2022, 1, 1),
        "valid_until": date(2099, 1, 1),
    }
    with sender.desk() as desk:
        to = find_ally(desk.connection, "south").card
        head = message_head(desk, to.identity, root.thread)
        return send(desk, to, (Grant(**{**head, **values, **fields}),))  # type: ignore[arg-type]


def test_a_permission_lasts_no_longer_than_was_asked(three: Three) -> None:
    """Whatever it says."""
    request = asked(three)
    hand_over(_forged(three, request, iid(1)), three.south)
    with three.south.database.read() as connection:
        (permission,) = read_permissions(connection)
    assert permission.valid_until == UNTIL


@pytest.mark.parametrize("fault", ["another ally", "another recipient", "no such request", "another thread"])
def test_a_permission_that_nobody_asked_that_ally_for_counts_for_nothing(three: Three, fault: str) -> None:
    """West permits itself what north was asked for; or north names another than was asked."""
    request = asked(three)
    fields: dict[str, object] = {}
    if fault == "another recipient":
        fields = {"onward_to": STRANGER}
    if fault == "no such request":
        fields = {"of": "message--00000000-0000-4000-8000-000000000001"}
    if fault == "another thread":
        fields = {"thread": "message--00000000-0000-4000-8000-000000000001"}
    by = three.west if fault == "another ally" else three.north
    hand_over(_forged(three, request, iid(1), by=by, **fields), three.south)
    with three.south.database.read() as connection:
        assert list(read_permissions(connection)) == []
    assert rules(three)[iid(1)] == "amber-not-a-client"


def test_a_permission_that_is_taken_back_ends(three: Three) -> None:
    """On both sides, with the originator's signed word for it."""
    request = asked(three)
    hand_over(request, three.north)
    given = permitted(three, request)
    hand_over(given, three.south)
    assert rules(three)[iid(1)] == "permission"
    with three.north.desk() as desk:
        back = retract(desk, given.messages[0].id, reason="A mistake.")
    hand_over(back, three.south)
    assert states(three.north, three.south) == [["taken-back"], ["taken-back"]]
    assert rules(three)[iid(1)] == "amber-not-a-client"
    with three.south.database.read() as connection:
        kinds = [item.kind for item in read_entries(connection, "decisions")]
    assert kinds.count("permission-ended") == 1


def test_permission_refusal_and_retraction_end_alike_in_any_order(three: Three, tmp_path: Path) -> None:
    """Two of north's people decide differently, one takes it back: south ends in one state, whatever comes first."""
    request = asked(three)
    hand_over(request, three.north)
    id_ = request.messages[0].id
    given = permitted(three, request)
    with three.north.desk() as desk:
        no = refuse(desk, id_, reason="We decided otherwise.")
    with three.north.desk() as desk:
        back = retract(desk, given.messages[0].id, reason="It was a mistake.")
    ends = set()
    for number, order in enumerate(itertools.permutations([given, no, back])):
        south = three.south.copied(tmp_path / f"south-{number}")
        for sent in order:
            hand_over(sent, south)
        (threads,) = states(south)
        with south.database.read() as connection:
            opens = [item for item in read_permissions(connection) if item.valid_until >= south.time.date()]
        ends.add((*threads, len(opens)))
        south.close()
    assert ends == {(*states(three.north)[0], 0)}


def test_a_request_that_was_taken_back_is_not_permitted(three: Three) -> None:
    """The permission crosses it on the way, and counts for nothing."""
    request = asked(three)
    hand_over(request, three.north)
    given = permitted(three, request)
    with three.south.desk() as desk:
        back = retract(desk, request.messages[0].id, reason="No longer needed.")
    hand_over(given, three.south)
    hand_over(back, three.north)
    assert states(three.north, three.south) == [["taken-back"], ["taken-back"]]
    assert rules(three)[iid(1)] == "amber-not-a-client"


def test_only_a_releaser_asks_and_permits(three: Three) -> None:
    """Who may let things leave."""
    for team in (three.north, three.south):
        with team.database.write() as connection:
            set_roles(connection, "ben", ["analyst"], actor="ana", time=START, key=team.key)
    with three.south.desk("ben") as desk, pytest.raises(NotPermittedError, match="releaser"):
        ask_permission(desk, "north", to="west", until=UNTIL, purpose=PURPOSE)
    request = asked(three)
    hand_over(request, three.north)
    with three.north.desk("ben") as desk, pytest.raises(NotPermittedError, match="releaser"):
        permit(desk, request.messages[0].id)


def test_a_message_of_another_kind_is_not_permitted(three: Three) -> None:
    """It says what to do."""
    request = asked(three)
    hand_over(request, three.north)
    given = permitted(three, request)
    hand_over(given, three.south)
    message: Message = given.messages[0]
    with three.south.desk() as desk, pytest.raises(TrustError, match="no permission"):
        permit(desk, message.id)


@pytest.mark.parametrize("fault", ["widened", "gone", "slipped in", "another file"])
def test_a_message_that_was_changed_here_by_other_means_is_found(three: Three, fault: str) -> None:
    """A permission is as good as the message it came with: the ledger binds each message and file."""
    request = asked(three, iid(1))
    hand_over(request, three.north)
    given = permitted(three, request)
    hand_over(given, three.south)
    statements = {
        "widened": "UPDATE exchange_messages SET body = replace(body, '2023-03-31', '2099-03-31') WHERE kind = 'grant'",
        "gone": "DELETE FROM exchange_messages WHERE kind = 'grant'",
        "slipped in": "INSERT INTO exchange_messages SELECT id || 'x', thread, kind, sender, "
        "recipient, time, body, file FROM exchange_messages WHERE kind = 'grant'",
        "another file": "UPDATE sealed_files SET sha256 = 'x' WHERE direction = 'in'",
    }
    with three.south.database.write() as connection:
        assert list(verify_exchanges(connection)) == []
        connection.execute(sa.text(statements[fault]))
        (found,) = verify_exchanges(connection)
    assert found[0].startswith("file" if fault == "another file" else "message--")


def test_two_people_permit_where_the_agreement_wants_it(three: Three) -> None:
    """As they release: one person twice is one person."""
    text = AGREEMENT.format(*sorted((three.north.card.identity, three.south.card.identity)))
    three.north.befriend(three.south, text.replace("version = 1", "version = 2\ntwo_people = true"))
    request = asked(three)
    hand_over(request, three.north)
    for approver in (None, "ana", "ben"):
        with pytest.raises(NotPermittedError):
            permitted(three, request, approver=approver)
    with three.north.database.write() as connection:
        set_roles(connection, "ben", ["releaser"], actor="ana", time=START, key=three.north.key)
    hand_over(permitted(three, request, approver="ben"), three.south)
    assert rules(three)[iid(1)] == "permission"
