"""Logs that no format knows, on the command line: shown, confirmed, refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.command import call
from tests.evidence.test_mapping import FILE, TABLE
from tests.workspace.test_mappings import RULE


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (tmp_path / "rule.yml").write_text(RULE)
    (tmp_path / "m.toml").write_text(FILE)
    (tmp_path / "log.csv").write_text(TABLE)
    return tmp_path / "log.csv"


def test_a_hunt_shows_the_flag_and_takes_the_file(log: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ran = call(capfd, "hunt", log, "--rules", log.parent / "rule.yml", "-t", "jsonl", "-q")
    assert ran.out == ""
    assert "--map 'time=when,host=machine,time-format=%d.%m.%Y %H:%M:%S,format=myapp'" in ran.err
    mapping = ("--mapping", log.parent / "m.toml")
    ran = call(capfd, "hunt", log, "--rules", log.parent / "rule.yml", "-t", "jsonl", "-q", *mapping)
    assert json.loads(ran.out)["host"] == "SRV1"
    assert "--map" not in ran.err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--map", "host=a"), "names no time"),
        (("--map", "time=a,format=iis"), "give yours another name"),
        (("--mapping", "absent.toml"), "can't be read"),
        (("--mapping", "rule.yml"), "no TOML"),
    ],
)
def test_what_can_not_be_used_is_said_in_one_line(
    flags: tuple[str, str], said: str, log: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(log.parent)
    ran = call(capfd, "hunt", "log.csv", "--rules", "rule.yml", "-q", *flags)
    assert ran.code != 0
    assert ran.out == ""
    assert said in ran.err
    assert "Traceback" not in ran.err
