"""The swimlane's axis and lanes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from aleat.report.swimlane import make_axis, make_swimlane
from tests.report.cases import EPOCH, full_report

MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2040, 1, 1)).map(lambda time: time.replace(tzinfo=UTC))


@given(st.lists(MOMENTS, min_size=1, max_size=40))
def test_the_axis_keeps_order_and_bounds(times: list[datetime]) -> None:
    """Later is never left of earlier, and everything lies on the axis."""
    axis = make_axis(times)
    places = [axis.x(time) for time in sorted(times)]
    assert places == sorted(places)
    assert all(-1e-6 <= place <= axis.width + 1e-6 for place in places)
    assert len(axis.gaps) == len(axis.stretches) - 1


def test_quiet_months_become_a_labelled_gap() -> None:
    """Fourteen months of nothing take no more room than a label."""
    start = datetime(2021, 5, 1, tzinfo=UTC)
    axis = make_axis([start, start + timedelta(days=420)])
    assert [days for _, days in axis.gaps] == [419]


def test_each_host_and_each_service_has_its_lane() -> None:
    """Services first, with their bars, then hosts by their first sighting."""
    case = full_report().case
    moments = [EPOCH + timedelta(microseconds=s.time) if s.time is not None else None for s in case.sightings]
    swimlane = make_swimlane(case, moments)
    assert swimlane is not None
    names = [lane.name for lane in swimlane.lanes]
    assert names[:3] == ["mail", "portal", "SP01"]
    assert swimlane.lanes[0].bars[0].open_end
    assert not swimlane.lanes[1].bars[0].open_end
    assert len(names) == 2 + 16
