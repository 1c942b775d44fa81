"""Paging through a collection: nothing is missed, whatever the server's way of paging and whatever breaks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aleat.errors import RemoteError
from aleat.exchange.access import RemoteLimits
from aleat.exchange.feeds import Feed, Page
from aleat.exchange.taxii_pages import read_pages, step_back
from tests.exchange.malware import malware_id
from tests.exchange.taxii_simulator import BEGIN, SimulatedClient, Simulator

FEED = Feed("one", "One", "https://taxii.example.org/root/collections/one/")
LATER = BEGIN + timedelta(days=30)


class Poller:
    """Polls a simulated collection, and keeps what a store keeps: ids, each once, and the bookmark."""

    def __init__(self, simulator: Simulator, limits: RemoteLimits | None = None) -> None:
        self.client = SimulatedClient(simulator, limits)
        self.held: set[str] = set()
        self.bookmark = ""
        self.pages: list[Page] = []
        self.received = 0

    def poll(self, since: datetime | None = None, now: datetime = LATER) -> bool:
        """Poll; say whether it came to its end."""
        try:
            for page in read_pages(self.client, FEED, bookmark=self.bookmark, since=since, reference_time=now):
                self.pages.append(page)
                for document in page.documents:
                    found = [item["id"] for item in json.loads(document.read())["objects"]]
                    self.received += len(found)
                    self.held |= set(found)
                self.bookmark = page.bookmark if page.bookmark is not None else self.bookmark
        except RemoteError:
            return False
        return True


def ids(numbers: Sequence[int]) -> set[str]:
    return {malware_id(number) for number in numbers}


@pytest.mark.parametrize("way", ["stable", "once", ""])
def test_pages_are_followed_to_the_end(way: str) -> None:
    """By `next`, also one that is the same for every page, and by times alone."""
    simulator = Simulator(next=way)
    for moment in range(12):
        simulator.push(range(moment * 8, moment * 8 + 8), moment)
    poller = Poller(simulator)
    assert poller.poll()
    assert poller.held == ids(range(96))
    assert poller.bookmark == "2022-07-15T08:00:11.000Z"


@pytest.mark.parametrize("unit", [1, 1_000, 1_000_000])
def test_servers_that_compare_coarsely_are_paged_without_gaps(unit: int) -> None:
    """Times are written to the microsecond, and compared in milliseconds, or as they are."""
    simulator = Simulator(next="", cap=5, unit=timedelta(microseconds=min(unit, 1_000)))
    for moment in range(20):
        simulator.push(range(moment * 2, moment * 2 + 2), moment * unit / 1_000_000)
    poller = Poller(simulator)
    assert poller.poll()
    assert poller.held == ids(range(40))


def test_more_objects_in_one_moment_than_a_page_holds_are_asked_for_at_once() -> None:
    """A server without `next` whose pages may be larger than what is asked for first."""
    simulator = Simulator(next="", cap=10_000)
    simulator.push(range(2_500), 1)
    simulator.push(range(2_500, 2_600), 2)
    poller = Poller(simulator)
    assert poller.poll()
    assert poller.held == ids(range(2_600))


def test_what_lies_out_of_reach_is_told() -> None:
    """A server without `next` whose pages can't hold one moment: the rest is lost, named, and the poll goes on."""
    simulator = Simulator(next="", cap=10)
    simulator.push(range(25), 1)
    simulator.push(range(25, 30), 2)
    poller = Poller(simulator)
    assert poller.poll()
    assert ids(range(25, 30)) <= poller.held
    assert [issue.code for page in poller.pages for issue in page.issues] == ["one-moment"]


def test_a_page_without_times_is_dated_by_the_manifest() -> None:
    """Neither `next` nor the headers of §1.6.8: the manifest says when its objects were added."""
    simulator = Simulator(next="", headers=False)
    for moment in range(6):
        simulator.push(range(moment * 5, moment * 5 + 5), moment)
    poller = Poller(simulator)
    assert poller.poll()
    assert poller.held == ids(range(30))


def test_objects_that_become_visible_late_are_found() -> None:
    """Added before the last poll's end by the server's clock, visible after it."""
    simulator = Simulator()
    simulator.push(range(5), 100)
    poller = Poller(simulator)
    poller.poll()
    simulator.push(range(5, 8), 70)
    assert poller.poll()
    assert poller.held == ids(range(8))


def test_a_time_in_the_future_hides_nothing_later() -> None:
    """A server whose clock is wrong, or that lies: the bookmark never lies behind the time of the poll."""
    simulator = Simulator()
    simulator.push(range(3), 10_000_000)
    poller = Poller(simulator)
    poller.poll(now=BEGIN + timedelta(hours=1))
    assert poller.bookmark == "2022-07-15T09:00:00.000Z"
    simulator.push(range(3, 6), 3_700)
    assert poller.poll(now=BEGIN + timedelta(hours=2))
    assert poller.held == ids(range(6))


def test_since_begins_later_but_leaves_no_gap() -> None:
    """A first poll begins there; a later one goes back to it, and never skips what was not polled yet."""
    simulator = Simulator()
    simulator.push(range(10), 0)
    simulator.push(range(10, 20), 1_000)
    poller = Poller(simulator)
    poller.poll(since=BEGIN + timedelta(seconds=1_000))
    assert poller.held == ids(range(10, 20))
    simulator.push(range(20, 30), 2_000)
    simulator.push(range(30, 40), 3_000)
    poller.poll(since=BEGIN + timedelta(seconds=3_000))
    assert poller.held == ids(range(10, 40))
    poller.poll(since=BEGIN)
    assert poller.held == ids(range(40))


def test_a_page_that_was_lost_is_not_asked_for_again_by_its_next() -> None:
    """Medallion hands a page out once: the chain begins anew behind what came."""
    simulator = Simulator(next="once", cuts={2})
    for moment in range(6):
        simulator.push(range(moment * 8, moment * 8 + 8), moment)
    poller = Poller(simulator)
    assert poller.poll()
    assert poller.held == ids(range(48))
    assert poller.received < 48 + 30


def test_pages_without_end_are_ended() -> None:
    """The same pages again and again, and ever new ones: both end, with what came kept."""

    class Loop(Simulator):
        """Says `more` for ever."""

        def answer(self, params):  # type: ignore[no-untyped-def]
            """The same page each time, with a new token."""
            found = super().answer({key: value for key, value in params.items() if key != "next"})
            body = json.loads(found.body)
            body |= {"more": True, "next": str(self.requests)}
            return type(found)(200, found.headers, json.dumps(body).encode(), "")

    simulator = Loop()
    simulator.push(range(5), 0)
    poller = Poller(simulator)
    assert not poller.poll()
    assert poller.held == ids(range(5))
    assert simulator.requests < 30
    endless = Simulator(cap=1)
    endless.push(range(200), 0)
    poller = Poller(endless, RemoteLimits(pages=50))
    assert not poller.poll()
    assert poller.held == ids(range(50))
    poller = Poller(endless, RemoteLimits(objects=20))
    assert not poller.poll()
    assert len(poller.held) == 20


@pytest.mark.parametrize(
    "time", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:60Z", "2022-07-15T08:00:00.123456789Z", "2022-02-30T00:00:00Z"]
)
def test_odd_times_in_headers_break_nothing(time: str) -> None:
    """The first and the last moment, finer ones, and what is none."""

    class Odd(Simulator):
        """Names one time for every page."""

        def answer(self, params):  # type: ignore[no-untyped-def]
            """As the simulator does, but for the times."""
            found = super().answer(params)
            headers = {**found.headers, "x-taxii-date-added-first": time, "x-taxii-date-added-last": time}
            return type(found)(200, headers, found.body, "")

    simulator = Odd()
    simulator.push(range(25), 0)
    poller = Poller(simulator)
    assert poller.poll()
    assert poller.held == ids(range(25))
    poller.poll()


def test_a_step_back_is_before_what_a_server_compares() -> None:
    """Milliseconds where it writes fractions, else seconds."""
    assert step_back("2022-07-15T08:00:00.5Z") == "2022-07-15T08:00:00.499Z"
    assert step_back("2022-07-15T08:00:00Z") == "2022-07-15T07:59:59.000Z"
    assert step_back("0001-01-01T00:00:00Z") == "0001-01-01T00:00:00.000Z"


@given(
    st.lists(st.tuples(st.integers(1, 30), st.integers(0, 120), st.booleans()), min_size=1, max_size=8),
    st.sets(st.integers(0, 40), max_size=12),
    st.sampled_from(["stable", "once", ""]),
    st.integers(1, 12),
    st.sampled_from([1, 1_000]),
)
def test_pushes_cuts_and_polls_in_any_order_end_with_the_same_set(
    steps: list[tuple[int, int, bool]], cuts: set[int], way: str, cap: int, unit: int
) -> None:
    """However much shares a moment, and wherever the line breaks: in the end all is there."""
    simulator = Simulator(next=way, cap=cap if way else 1_000, unit=timedelta(microseconds=unit), cuts=cuts)
    poller = Poller(simulator)
    moment, number = 0.0, 0
    for count, gap, polled in steps:
        moment += gap / 1_000
        simulator.push(range(number, number + count), moment)
        number += count
        if polled:
            poller.poll()
    while not poller.poll():
        assert simulator.requests < 5_000
    assert poller.held == ids(range(number))
    before = poller.bookmark
    simulator.cuts.clear()
    assert poller.poll()
    assert (poller.held, poller.bookmark) == (ids(range(number)), before)
