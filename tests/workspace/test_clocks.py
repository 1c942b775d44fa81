"""A clock that is off: measured between a proxy's and a server's log, corrected in the case when somebody says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aleat import Workspace
from aleat.errors import AleatError, InputError
from aleat.workspace.clocks import Corrected, offset_text, parse_offset
from tests.cli.command import call

START = datetime(2022, 7, 15, 8, tzinfo=UTC)
AHEAD = timedelta(minutes=3, seconds=20)


@pytest.fixture
def measured(workspace: Workspace, tmp_path: Path) -> Workspace:
    """The same fifty requests in an Apache proxy's log and, by a clock that is ahead, in the IIS server's."""
    moments = [START + timedelta(seconds=30 * number) for number in range(50)]
    proxy = "".join(
        f'10.0.0.9 - - [{moment:%d/%b/%Y:%H:%M:%S} +0000] "GET /app/view.aspx?session=a{number:08} HTTP/1.1" 200 12\n'
        for number, moment in enumerate(moments)
    )
    server = "#Fields: date time s-computername cs-method cs-uri-stem cs-uri-query c-ip sc-status\n" + "".join(
        f"{moment + AHEAD:%Y-%m-%d %H:%M:%S} SRV1 GET /app/view.aspx session=a{number:08} 10.0.0.1 200\n"
        for number, moment in enumerate(moments)
    )
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "proxy.log").write_text(proxy, encoding="utf-8")
    (tmp_path / "logs" / "server.log").write_text(server, encoding="utf-8")
    workspace.add_evidence(tmp_path / "logs")
    return workspace


def test_the_difference_is_measured(measured: Workspace) -> None:
    (found,) = measured.clocks()
    other = "source:" + next(row.facts.path for row in measured.sources() if row.facts.path.endswith("proxy.log"))
    assert (found.pairing, found.clock, found.other) == ("web-request", *sorted(("srv1", other)))
    assert abs(found.offset) == AHEAD // timedelta(microseconds=1)
    assert (found.pairs, found.agreeing, found.like_zone) == (50, 50, False)


def test_a_correction_is_a_decision_that_the_report_tells(measured: Workspace) -> None:
    before = measured.build_case().case.coverage
    row = measured.set_clock("SRV1", "+3m20s", "measured against the proxy")
    built = measured.build_case()
    shifted = {cover.host: cover.first for cover in built.case.coverage}
    assert shifted["SRV1"] == START
    assert {cover.host: cover.first for cover in before}["SRV1"] == START + AHEAD
    (told,) = (item for item in built.report.assumptions if item.code == "clock-set")
    assert "measured against the proxy" in told.what
    assert told.by == measured.actor
    assert "+3m20s" in measured.report(built=built).html.read_text(encoding="utf-8")
    assert not measured.verify().faults
    assert measured.undo_clock(row.id[:8], "wrong").undone is not None
    assert measured.corrected().assumptions() == ()
    assert [row.undone is None for row in measured.clock_corrections()] == [False]


def test_a_second_correction_takes_the_place_of_the_first(measured: Workspace) -> None:
    measured.set_clock("srv1", "+3m", "by eye")
    measured.set_clock("srv1", "+3m20s", "measured")
    assert [row.undone is None for row in measured.clock_corrections()] == [False, True]


def test_what_makes_no_sense_is_refused(measured: Workspace) -> None:
    with pytest.raises(InputError, match="No event was dated"):
        measured.set_clock("nobody", "+1s", "x")
    with pytest.raises(InputError, match=r"\+3m20s"):
        measured.set_clock("srv1", "3 minutes", "x")
    with pytest.raises(AleatError, match="reason"):
        measured.set_clock("srv1", "+1s", " ")
    with pytest.raises(AleatError, match="no correction in force"):
        measured.undo_clock("srv1")


def test_the_commands_say_what_was_found(measured: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    where = ("-w", measured.folder, "--actor", measured.actor)
    assert "web-request" in call(capsys, "clocks", "measure", *where, "-q").out
    assert "No clock is corrected." in call(capsys, "clocks", "list", *where).out
    row = measured.set_clock("srv1", "+3m20s", "measured against the proxy")
    assert "measured against the proxy" in call(capsys, "clocks", "list", *where).out
    assert row.id[:8] in call(capsys, "clocks", "list", *where).out


@pytest.mark.parametrize("text", ["+3m20s", "-1h", "+0.25s", "+26h", "-1h0.000001s", "+0s"])
def test_offsets_are_written_as_they_are_read(text: str) -> None:
    assert offset_text(parse_offset(text)) == text


@pytest.mark.parametrize("text", ["", "+", "3m", "+3", "+1m1h", "+9999999999999s"])
def test_what_is_no_offset_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_offset(text)


def test_without_corrections_nothing_is_touched() -> None:
    corrected = Corrected([])
    assert corrected.sightings([]) == []
    assert corrected.assumptions() == ()
