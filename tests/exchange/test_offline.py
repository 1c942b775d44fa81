"""Both teams work offline, and their files cross: in the end both hold the same threads, in the same states."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from aleat.errors import AleatError, SealError, TrustError
from aleat.exchange import Affected, Sent, Thread, accept, answer, ask, asks, close_thread, offer, receive, refuse
from aleat.exchange.desk import Desk
from aleat.exchange.inquiries import inquire
from aleat.exchange.messages import Message
from aleat.exchange.outbox import answer_in_words, deliver_help, retract
from aleat.release import Victim
from aleat.store.exchanges import missing_serials
from aleat.store.ledger import verify_ledger
from tests.exchange.teams import START, Team

Act = Callable[[Desk, str, list[Message], random.Random], Sent]


def _some(messages: list[Message], chance: random.Random) -> str:
    return chance.choice(messages).id if messages else "message--00000000-0000-4000-8000-000000000000"


ACTS: tuple[Act, ...] = (
    lambda desk, ally, _, __: ask(desk, ally, title="Help", affected=Affected(), impact="much", needs=["all"]),
    lambda desk, ally, _, __: inquire(desk, ally, question="Seen?", values=["evil.example"]),
    lambda desk, ally, _, __: offer(desk, ally, what="A pack", valid_until=desk.time.date()),
    lambda desk, ally, said, chance: offer(desk, ally, what="People", of=_some(said, chance), kinds=("people",)),
    lambda desk, _, said, chance: accept(desk, _some(said, chance)),
    lambda desk, _, said, chance: accept(desk, _some(said, chance)),
    lambda desk, _, said, chance: refuse(desk, _some(said, chance), reason="no"),
    lambda desk, _, said, chance: retract(desk, _some(said, chance), reason="no more"),
    lambda desk, ally, said, chance: deliver_help(desk, ally, what="Two analysts", of=_some(said, chance)),
    lambda desk, _, said, chance: answer_in_words(desk, _some(said, chance), what="They helped"),
    lambda desk, _, said, chance: close_thread(desk, _some(said, chance), outcome="done"),
)


def _threads(team: Team) -> tuple[Thread, ...]:
    with team.database.read() as connection:
        return asks(connection)


def _carry(files: list[tuple[Sent, Team]], chance: random.Random) -> None:
    """Carry the files in any order, some twice: the second time they are refused, and change nothing."""
    again = [*files, *chance.choices(files, k=len(files) // 3)] if files else []
    chance.shuffle(again)
    opened: set[bytes] = set()
    for sent, to in again:
        with to.desk() as desk:
            if sent.data in opened:
                with pytest.raises(SealError, match="counts once"):
                    receive(desk, sent.data)
            else:
                receive(desk, sent.data)
        opened.add(sent.data)


@pytest.mark.parametrize("seed", range(5))
def test_two_teams_that_worked_offline_agree_when_all_files_came(teams: tuple[Team, Team], seed: int) -> None:
    """Random acts on both sides, clocks that jump, files that cross, come late, in any order and twice."""
    chance = random.Random(seed)  # noqa: S311
    files: list[tuple[Sent, Team]] = []
    for _ in range(30):
        team, other = chance.sample(teams, 2)
        team.time += timedelta(hours=chance.choice([0, 1, 30, -20]))
        said = [item for thread in _threads(team) for item in thread.messages]
        try:
            with team.desk() as desk:
                files.append((chance.choice(ACTS)(desk, other.name, said, chance), other))
        except AleatError:
            pass  # what can't be done now is not done, and leaves nothing
        if chance.random() < 0.15:
            _carry(files, chance)
            files = []
    _carry(files, chance)
    north, south = teams
    assert _threads(north) == _threads(south)
    assert len(_threads(north)) > 2
    for team in teams:
        with team.database.read() as connection:
            for other in teams:
                assert missing_serials(connection, other.card.identity) == ()
            assert list(verify_ledger(connection, "exchange", {team.key.key_id: team.key.public})) == []


def _offered(north: Team, south: Team, **fields: Any) -> str:
    with north.desk() as desk:
        sent = offer(desk, "south", what="A pack", **fields)
    with south.desk() as desk:
        receive(desk, sent.data)
    return sent.messages[0].id


def test_an_offer_whose_last_day_is_over_is_not_accepted(teams: tuple[Team, Team]) -> None:
    """The command says so; a message made by hand counts for nothing on either side."""
    north, south = teams
    of = _offered(north, south, valid_until=date(2022, 9, 30))
    south.time = START.replace(month=10)
    with south.desk() as desk, pytest.raises(TrustError, match="ended on 2022-09-30"):
        accept(desk, of)


def test_an_acceptance_that_crosses_the_offers_retraction_loses(teams: tuple[Team, Team]) -> None:
    """Both sides are told the same: the offer is gone."""
    north, south = teams
    of = _offered(north, south)
    with south.desk() as desk:
        yes = accept(desk, of)
    with north.desk() as desk:
        gone = retract(desk, of, reason="We need it ourselves.")
    with north.desk() as desk:
        receive(desk, yes.data)
    with south.desk() as desk:
        receive(desk, gone.data)
        with pytest.raises(TrustError, match="taken-back"):
            accept(desk, of)
    assert [[item.state for item in _threads(team)] for team in teams] == [["taken-back"], ["taken-back"]]


def test_only_what_we_said_ourselves_is_taken_back(teams: tuple[Team, Team]) -> None:
    """And what was given is withdrawn instead."""
    north, south = teams
    of = _offered(north, south)
    with south.desk() as desk, pytest.raises(TrustError, match="not ours to take back"):
        retract(desk, of, reason="x")
    with north.desk() as desk:
        given = deliver_help(desk, "south", of=of, what="Two analysts", people=["Ana", "Ben"], begins=date(2022, 9, 21))
        with pytest.raises(TrustError, match="Withdraw it"):
            retract(desk, given.messages[0].id, reason="x")
        with pytest.raises(TrustError, match="before it begins"):
            deliver_help(desk, "south", what="x", begins=date(2022, 9, 21), ends=date(2022, 9, 20))


def test_people_come_without_a_bundle_and_their_results_close_the_thread(teams: tuple[Team, Team]) -> None:
    """Offer and delivery in one file; what came of it, and what was learned, goes back in words."""
    north, south = teams
    with north.desk() as desk:
        sent = deliver_help(desk, "south", what="Two analysts for a week", people=["Ana", "Ben"])
    with south.desk() as desk:
        receive(desk, sent.data)
        back = answer_in_words(desk, sent.messages[1].id, what="Found the web shell", lessons="Keep logs", outcome="ok")
    with north.desk() as desk:
        receive(desk, back.data)
    assert [[item.state for item in _threads(team)] for team in teams] == [["closed"], ["closed"]]


def test_a_message_from_the_future_is_kept_and_said(teams: tuple[Team, Team]) -> None:
    """The sender's clock is three years ahead: an issue, not a state."""
    north, south = teams
    north.time = START.replace(year=2025)
    with north.desk() as desk:
        sent = offer(desk, "south", what="A pack")
    with south.desk() as desk:
        received = receive(desk, sent.data)
    assert [issue.code for issue in received.issues] == ["clock"]
    assert [item.state for item in _threads(south)] == ["offered"]


def test_what_would_not_count_is_not_sent(teams: tuple[Team, Team]) -> None:
    """An answer to what can't be answered so, or that is the other side's to give, is an error, and leaves nothing."""
    north, south = teams
    of = _offered(north, south)
    with south.desk() as desk:
        yes = accept(desk, of).messages[0].id
    with south.desk() as desk:
        with pytest.raises(TrustError, match="can't be answered in this way"):
            answer_in_words(desk, of, what="They helped")
        with pytest.raises(TrustError, match="other side's to say"):
            deliver_help(desk, "north", what="Two analysts", of=of)
        with pytest.raises(TrustError, match="can't be answered in this way"):
            deliver_help(desk, "north", what="Two analysts", of=yes)
    with north.desk() as desk:
        given = deliver_help(desk, "south", what="Two analysts", of=of)
    with south.desk() as desk:
        receive(desk, given.data)
        with pytest.raises(TrustError, match="--results"):
            answer(desk, given.messages[0].id, (), coverage=(), victim=Victim(name="x", sector="", country=""))
    assert [len(thread.messages) for thread in _threads(south)] == [3]
