"""A cluster does what a pool does, and what one process does, byte for byte."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TIMEOUT = 900


@pytest.mark.long
def test_a_cluster_of_two_processes_gives_the_same_bytes_and_the_same_lake(tmp_path: Path) -> None:
    """Hunts without and with a workspace, evidence added, files cut small; warnings are errors there too."""
    pytest.importorskip("distributed", reason="needs the extra cluster")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.workspace.cluster_run", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "ALEAT_KEYS": str(tmp_path / "keys")},
        capture_output=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-4000:]
    found = json.loads(done.stdout)
    assert found["cluster"].pop("processes") == 3
    assert found["cluster"] == found["pool"] == found["alone"]
    assert found["alone"]["kept"] == found["alone"]["cut"]
    assert min(found["alone"]["sightings"]) > 700
    assert found["alone"]["hunted again"] == 0
