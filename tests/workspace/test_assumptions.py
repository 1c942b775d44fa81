"""What logs don't say of their times is assumed aloud, repeated by the report, settled by a flag, or refused."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from aleat import Workspace
from aleat.evidence import read_options
from aleat.workspace import hunt_once
from tests.cli.command import Call, call

WRITTEN = datetime(2022, 7, 16, tzinfo=UTC).timestamp()
LINES = "Dec 31 23:30:00 gw0 sshd[1]: a\nJan  1 00:30:00 gw1 sshd[1]: b\n"
RULE = """title: T
id: 5f2c3a7e-0000-4000-8000-000000000001
logsource:
    product: linux
detection:
    k: [b]
    condition: k
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A syslog without year and zone, last written in July 2022."""
    path = tmp_path / "fw.log"
    path.write_text(LINES, encoding="utf-8")
    os.utime(path, (WRITTEN, WRITTEN))
    return path


def span(workspace: Workspace) -> list[tuple[str, str]]:
    """From when to when each source has events."""
    rows = [row for row in workspace.sources() if row.first is not None and row.last is not None]
    return [(_shown(row.first), _shown(row.last)) for row in rows]


def _shown(micros: int | None) -> str:
    assert micros is not None
    return datetime.fromtimestamp(micros / 1_000_000, UTC).strftime("%Y-%m-%d %H:%M")


def test_what_is_assumed_is_said_and_repeated_by_the_report(workspace: Workspace, log: Path) -> None:
    added = workspace.add_evidence(log)
    assert added.issues == ()
    assert {item.code: item.by for item in added.assumptions} == {"zone-assumed": "", "year-assumed": ""}
    assert "--log-zone" in next(item.settle for item in added.assumptions if item.code == "zone-assumed")
    assert span(workspace) == [("2021-12-31 23:30", "2022-01-01 00:30")]
    html = workspace.report().html.read_text(encoding="utf-8")
    assert "carry no zone and were read as UTC" in html
    assert "2021 to 2022" in html
    assert "--log-year 2021" in html
    albanian = workspace.report(language="sq").html.read_text(encoding="utf-8")
    assert "carry no zone" in albanian


def test_a_second_reading_as_stated_takes_the_place_of_the_first(workspace: Workspace, log: Path) -> None:
    workspace.add_evidence(log)
    stated = read_options(log_zones=["host:gw1=+05:00", "fw.log=Europe/Tirane"], log_years=["2019"])
    added = workspace.add_evidence(log, logs=stated)
    assert (added.sources, added.events) == (1, 2)
    assert [item.by for item in added.assumptions] == [workspace.actor] * 3
    assert span(workspace) == [("2019-12-31 19:30", "2019-12-31 22:30")]
    assert not workspace.verify().faults
    again = workspace.add_evidence(log, logs=stated)
    assert (again.sources, again.known_sources) == (0, 1)


def test_the_cases_zone_is_the_assumption(tmp_path: Path, log: Path) -> None:
    with Workspace.init(tmp_path / "case", zone="Europe/Tirane", key_folder=tmp_path / "keys") as workspace:
        added = workspace.add_evidence(log)
        assert any("the case's zone" in item.what for item in added.assumptions)
        assert span(workspace) == [("2021-12-31 22:30", "2021-12-31 23:30")]


def test_strict_time_refuses_what_would_be_assumed(workspace: Workspace, log: Path) -> None:
    added = workspace.add_evidence(log, logs=read_options(strict_time=True))
    assert added.events == 0
    (issue,) = added.issues
    assert "--log-" in issue.advice
    settled = read_options(strict_time=True, log_zones=["UTC"], log_years=["2021"])
    assert workspace.add_evidence(log, logs=settled).events == 2
    assert not workspace.verify().faults


def test_a_hunt_without_a_workspace_reads_so_too(tmp_path: Path, log: Path) -> None:
    rule = tmp_path / "rule.yml"
    rule.write_text(RULE, encoding="utf-8")
    logs = read_options(log_zones=["+02:00"], log_years=["2019"])
    assert {item.code for item in hunt_once([log], [rule], tmp_path / "any.jsonl", workers=1).assumptions} == {
        "zone-assumed",
        "year-assumed",
    }
    once = hunt_once([log], [rule], tmp_path / "out.jsonl", logs=logs, workers=1)
    assert {item.code for item in once.assumptions} == {"zone-stated", "year-stated"}
    assert once.notes == {}
    assert '"time":"2019-12-31T22:30:00' in (tmp_path / "out.jsonl").read_text(encoding="utf-8").replace('": "', '":"')


def test_the_flags_are_told_where_they_mean_nothing(workspace: Workspace, capfd: pytest.CaptureFixture[str]) -> None:
    run: Call = call
    where = ("-w", workspace.folder)
    assert run(capfd, "hunt", "--log-zone", "+02:00", *where).code == 2
    assert "Europe/Tirane" in run(capfd, "add", "evidence", "x", "--log-zone", "Nowhere/X", *where).err
