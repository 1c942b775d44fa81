"""What `aleat hunt` writes, and what it says on standard error."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from aleat.cli.terminal import wants_color
from tests.cli.command import Ran, call
from tests.workspace.samples import RULE, json_lines, write_logs

NO_VALUES = """\
title: Needs Values {number}
id: 6f1d7c7e-3f7e-4a43-9d1b-0a6a4c1f1{number:03}
logsource:
    product: windows
detection:
    selection:
        User|expand: '%absent%'
    condition: selection
"""
LINUX = """\
title: Of Another System
id: 6f1d7c7e-3f7e-4a43-9d1b-0a6a4c1f0009
logsource:
    product: linux
    service: auditd
detection:
    selection:
        a: b
    condition: selection
"""


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """Rules: one that fires, thirty that need a placeholder, one for Linux, and files that are none."""
    folder = tmp_path / "pack"
    folder.mkdir()
    (folder / "wiper.yml").write_text(RULE)
    (folder / "linux.yml").write_text(LINUX)
    for number in range(30):
        (folder / f"needs{number}.yml").write_text(NO_VALUES.format(number=number))
    for number in range(3):
        (folder / f"info{number}.yml").write_text("id: 1\nregression: true\n")
    return folder


def hunt(capture: pytest.CaptureFixture[str], pack: Path, logs: Path, *options: object) -> Ran:
    return call(capture, "hunt", logs, "--rules", pack, "--workers", 1, *options)


def test_every_rule_that_is_not_evaluated_is_listed(
    pack: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    logs = write_logs(tmp_path / "logs")
    ran = hunt(capfd, pack, logs, "-t", "jsonl")
    assert ran.code == 0
    assert ran.out.count("\n") == 2
    for number in range(30):
        assert f"Needs Values {number}: the placeholder %absent% has no values. Give them" in ran.err
    assert "30 indicators not evaluated:" in ran.err
    assert "more" not in ran.err
    assert "3 files are no rules" in ran.err


def test_every_range_that_cannot_be_read_is_listed(
    pack: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    logs = write_logs(tmp_path / "logs")
    for number in range(25):
        data = bytearray((logs / "pc1.evtx").read_bytes())
        data[4096 + 65536 : 4096 + 65536 + 40] = bytes(40)
        (logs / f"damaged{number}.evtx").write_bytes(bytes(data))
    ran = hunt(capfd, pack, logs, "-t", "jsonl")
    assert ran.code == 3
    for number in range(25):
        assert f"damaged{number}.evtx at byte" in ran.err


def test_the_summary_says_what_was_hit_and_what_was_missing(
    pack: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ran = hunt(capfd, pack, write_logs(tmp_path / "logs"), "-t", "jsonl")
    assert "2 sightings: 2 high; 0 hidden by dismissals." in ran.err
    assert "Top rules: Wiper Started 2." in ran.err
    assert "Top hosts: pc1.example 1, pc2.example 1." in ran.err
    assert "ATT&CK techniques: T1485 2." in ran.err
    assert "Logs that no rule reads (events): access 60." in ran.err
    assert "Log sources that rules ask for, and that aren't here (rules): linux auditd 1." in ran.err
    assert "Phases: " in ran.err


def test_since_and_until_limit_what_is_written(pack: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """pc1's event is at 08:03, pc2's at 08:05; `until` is not included."""
    logs = write_logs(tmp_path / "logs")

    def hosts(*options: str) -> list[str]:
        ran = hunt(capfd, pack, logs, "-t", "jsonl", *options)
        assert "2 sightings" in ran.err
        return sorted(json.loads(line)["host"] for line in ran.out.splitlines())

    assert hosts("--since", "2022-07-15T08:04") == ["pc2.example"]
    assert hosts("--until", "2022-07-15T08:05:00Z") == ["pc1.example"]
    assert hosts("--since", "2022-07-15T10:03:00+02:00", "--until", "2022-07-16") == ["pc1.example", "pc2.example"]
    assert hosts("--since", "2022-07-16") == []


def test_an_offset_shows_times_and_reads_them(pack: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """08:03 UTC is 10:03 there; a time without a zone is one of that place."""
    logs = write_logs(tmp_path / "logs")
    ran = hunt(capfd, pack, logs, "--time-offset", "+02:00", "--since", "2022-07-15T10:04")
    assert "TIME (UTC+02:00)" in ran.out
    assert "2022-07-15 10:05" in ran.out
    assert "10:03" not in ran.out
    assert "03:35:00" in hunt(capfd, pack, logs, "--time-offset=-04:30").out
    assert '"time":"2022-07-15T08:03' in hunt(capfd, pack, logs, "--time-offset", "+02:00", "-t", "jsonl").out


@pytest.mark.parametrize("text", ["2", "+2:7", "+15:00", "Tirane", "+02:00:00", "", "+99"])
def test_an_offset_that_is_none_is_told(
    text: str, pack: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ran = hunt(capfd, pack, write_logs(tmp_path / "logs"), f"--time-offset={text}")
    assert ran.code == 1
    assert "is no offset from UTC" in ran.err


class Terminal(io.StringIO):
    """Where somebody watches."""

    def isatty(self) -> bool:
        return True


def test_colours_are_for_terminals_and_can_be_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """$NO_COLOR, an option, a dumb terminal, no terminal."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("WT_SESSION", "x")
    monkeypatch.setattr("sys.stdout", Terminal())
    assert wants_color()
    assert not wants_color(no_color=True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not wants_color()
    monkeypatch.setenv("NO_COLOR", "")
    assert wants_color()
    monkeypatch.setattr("sys.stdout", io.StringIO())
    assert not wants_color()


def test_no_color_is_an_option(pack: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ran = hunt(capfd, pack, write_logs(tmp_path / "logs"), "--no-color", "-q")
    assert ran.code == 0
    assert "\x1b" not in ran.out


def test_low_levels_are_left_out(pack: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The rule's level is high."""
    logs = write_logs(tmp_path / "logs")
    assert hunt(capfd, pack, logs, "-t", "jsonl", "--min-level", "high").out.count("\n") == 2
    assert hunt(capfd, pack, logs, "-t", "jsonl", "--min-level", "critical").out == ""


def test_every_type_is_written_to_a_file_by_its_ending(
    pack: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """json, jsonl, csv, parquet; a table else, and -t decides."""
    logs = write_logs(tmp_path / "logs")
    for name, start in (("a.json", b"["), ("a.jsonl", b"{"), ("a.csv", b"indicator,"), ("a.parquet", b"PAR1")):
        assert hunt(capfd, pack, logs, "-o", tmp_path / name).code == 0
        assert (tmp_path / name).read_bytes().startswith(start)
    assert hunt(capfd, pack, logs, "-o", tmp_path / "a.txt").code == 0
    assert (tmp_path / "a.txt").read_bytes().startswith(b"TIME (UTC)")
    assert hunt(capfd, pack, logs, "-o", tmp_path / "b.txt", "-t", "parquet").code == 0
    assert (tmp_path / "b.txt").read_bytes().startswith(b"PAR1")


def test_a_time_that_is_none_is_told(pack: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ran = hunt(capfd, pack, write_logs(tmp_path / "logs"), "--since", "yesterday")
    assert ran.code == 1
    assert "'yesterday' is no time" in ran.err


def test_a_layer_for_the_navigator_is_written(pack: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "log.jsonl").write_bytes(json_lines())
    hunt(capfd, pack, tmp_path / "log.jsonl", "--navigator", tmp_path / "layer.json")
    layer = json.loads((tmp_path / "layer.json").read_bytes())
    assert [(row["techniqueID"], row["score"]) for row in layer["techniques"]] == [("T1485", 1)]


def test_placeholders_are_an_option(pack: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p.toml").write_text('absent = ["x"]')
    ran = hunt(capfd, pack, write_logs(tmp_path / "logs"), "--placeholders", tmp_path / "p.toml")
    assert "not evaluated" not in ran.err
    (tmp_path / "p.toml").write_text("a = 1\nabsent = [x]")
    ran = hunt(capfd, pack, tmp_path / "logs", "--placeholders", tmp_path / "p.toml")
    assert ran.code == 1
    assert "p.toml:1" in ran.err or "p.toml:2" in ran.err
