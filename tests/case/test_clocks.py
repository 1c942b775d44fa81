"""Clocks are compared where two machines' logs tell of one happening, and only where they agree on it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from aleat.case.clocks import ClockOffset, clock_name, measure_clocks
from aleat.evidence import EventBatch
from aleat.times import HOUR, MINUTE, SECOND
from tests.hunt.events import batch

NOON = datetime(2022, 7, 15, 12, tzinfo=UTC)


def logons(host: str, event_id: int, ahead: float, numbers: range, lag: float = 0) -> EventBatch:
    """Logons by their GUIDs, told by a clock that is so many seconds ahead."""
    events: list[dict[str, Any]] = [
        {"LogonGuid": f"{{0000{number:04x}-1111-2222-3333-444444444444}}", "EventID": event_id} for number in numbers
    ]
    times = [NOON + timedelta(seconds=60 * number + ahead + lag * (number % 7)) for number in numbers]
    return batch(events, host=host, event_id=event_id, times=times)


def measured(*batches: EventBatch) -> list[tuple[str, str, int]]:
    return [(item.clock, item.other, item.offset // SECOND) for item in measure_clocks(batches)]


def test_a_clock_that_is_ahead_is_measured() -> None:
    server, controller = logons("SRV1", 4624, 200, range(40)), logons("DC1", 4769, 0, range(40))
    assert measured(server, controller) == [("dc1", "srv1", -200)]
    (found,) = measure_clocks([controller, server])
    assert (found.pairs, found.agreeing, found.spread, found.like_zone) == (40, 40, 0, False)


def test_tickets_that_are_used_later_do_not_move_it() -> None:
    """Of seven uses, six come up to an hour late: no two seconds hold half of them, and nothing is told."""
    assert measured(logons("SRV1", 4624, 0, range(70), lag=600), logons("DC1", 4769, 0, range(70))) == []


def test_few_or_doubled_keys_tell_nothing() -> None:
    assert measured(logons("SRV1", 4624, 9, range(4)), logons("DC1", 4769, 0, range(4))) == []
    twice = [logons("SRV1", 4624, 9, range(20))] * 2
    assert measured(*twice, logons("DC1", 4769, 0, range(20))) == []
    nothing = batch([{"LogonGuid": "{00000000-0000-0000-0000-000000000000}"}] * 9, host="A", event_id=4624)
    assert measured(nothing, nothing) == []
    assert measured() == []


def test_other_events_with_a_guid_are_no_logons() -> None:
    assert measured(logons("SRV1", 4672, 9, range(20)), logons("DC1", 4769, 0, range(20))) == []


def test_a_difference_of_zones_is_told_as_one() -> None:
    def is_zone(offset: float) -> bool:
        (found,) = measure_clocks([logons("A", 4624, offset, range(20)), logons("B", 4769, 0, range(20))])
        return found.like_zone

    assert is_zone(HOUR / SECOND)
    assert is_zone(5.5 * HOUR / SECOND + 20)
    assert not is_zone(15 * MINUTE / SECOND)
    assert not is_zone(HOUR / SECOND + 300)


def test_logs_without_a_host_have_a_clock_of_their_own() -> None:
    assert clock_name("DC1", "x.evtx") == "dc1"
    assert clock_name("", "logs/a.log") == "source:logs/a.log"


@settings(max_examples=25, deadline=None)
@given(offset=st.integers(-86_400, 86_400), order=st.permutations([0, 1, 2]))
def test_the_order_of_the_logs_does_not_count(offset: int, order: list[int]) -> None:
    logs = [
        logons("A", 4624, offset, range(10)),
        logons("B", 4769, 0, range(20)),
        logons("A", 4624, offset, range(10, 20)),
    ]
    found: tuple[ClockOffset, ...] = measure_clocks([logs[place] for place in order])
    assert [(item.clock, item.other, item.offset, item.pairs) for item in found] == [("a", "b", offset * SECOND, 20)]
