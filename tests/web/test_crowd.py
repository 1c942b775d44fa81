"""Many clients at once, and a kill in the middle: nothing lost, nothing doubled, no 5xx while the server is up."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "crowd.py"


@pytest.mark.long
def test_a_crowd_and_a_kill(tmp_path: Path) -> None:
    """Twenty clients of three allies push and poll for some seconds; the benchmark's own run is longer.

    What each ally's clients had accepted is in the workspace once, and came to each of them once; nobody got what
    another ally pushed, and the workspace verifies.
    """
    told = tmp_path / "figures.json"
    size = ("--seconds", "12", "--clients", "20", "--allies", "3", "--batch", "10")
    command = [sys.executable, str(SCRIPT), *size, "--json", str(told)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    figures = json.loads(told.read_text(encoding="utf-8"))
    assert ran.returncode == 0, (ran.stderr[-2000:], figures)
    assert {name: figures[name] for name in ("lost", "doubled", "strange", "server errors", "faults")} == {
        "lost": 0,
        "doubled": 0,
        "strange": 0,
        "server errors": 0,
        "faults": [],
    }
    assert set(figures["statuses"]) <= {"200", "202", "429"}
    assert figures["unanswered"] > 0, "the kill was seen"
    assert figures["pushed"] > figures["pushed before the kill"] > 0
