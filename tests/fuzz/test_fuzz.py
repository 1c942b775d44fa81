"""A little of each fuzz target; and what the fuzzer itself must do."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tests.fuzz.runner import run
from tests.fuzz.targets import TARGETS, make_target

COUNTS = {"containers": 30, "rules": 30, "patterns": 60, "events": 15, "lists": 20} | {
    "bundles": 40,
    "cacao": 60,
    "catalogues": 100,
    "evtx": 40,
    "formats": 30,
    "json": 75,
    "json-lists": 10,
    "network-rules": 40,
    "openioc": 40,
    "spreadsheets": 2,
    "unix": 20,
    "tables": 30,
    "letters": 300,
    "mappings": 30,
    "messages": 300,
    "misp": 30,
    "misp-server": 100,
    "taxii": 300,
    "times": 75,
    "warning-lists": 60,
    "yara": 40,
    "prose": 20,
    "windows-xml": 80,
    "windows-csv": 80,
    "transcript": 80,
}


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_nothing_breaks_that_a_stranger_can_send(name: str, tmp_path: Path) -> None:
    """The same inputs each time; `python -m tests.fuzz` has as many as one likes."""
    with make_target(name) as target:
        report = run(target, tmp_path, seed=3, count=COUNTS[name])
    assert not report.findings, report.findings[0].text
    assert report.inputs == COUNTS[name]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(TARGETS))
def test_nothing_breaks_at_length(name: str, tmp_path: Path) -> None:
    """More of the same."""
    with make_target(name) as target:
        report = run(target, tmp_path, seed=4, count=12 * COUNTS[name])
    assert not report.findings, report.findings[0].text


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_a_seed_gives_the_same_inputs(name: str) -> None:
    with make_target(name) as one, make_target(name) as other:
        for number in range(20):
            assert one.make(random.Random(number)) == other.make(random.Random(number))  # noqa: S311


class Broken:
    """A target in which two inputs of five are findings."""

    name = "broken"
    limit = 0.05

    def make(self, rng: random.Random) -> bytes:
        return b"%d" % rng.randrange(5)

    def check(self, data: bytes) -> None:
        if data == b"3":
            raise KeyError(data)
        if data == b"4":
            until = time.process_time() + 0.1
            while time.process_time() < until:
                pass


def test_a_finding_is_kept_with_the_way_to_run_it_again(tmp_path: Path) -> None:
    """An error, and an input that takes too long."""
    report = run(Broken(), tmp_path, count=30)
    assert sorted(cause.split()[0] for cause in report.causes) == ["KeyError", "slow:"]
    kept = {path.name: (path / "input").read_bytes() for path in tmp_path.iterdir()}
    assert sorted(kept.values()) == [b"3", b"4"]
    why = {data: (tmp_path / name / "why.txt").read_text("utf-8") for name, data in kept.items()}
    assert all("python -m tests.fuzz broken --input" in text for text in why.values())
    assert "KeyError" in why[b"3"]
    assert "of processor time" in why[b"4"]
