"""Workspaces and keys for tests of the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command import Call, Ran, call


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of this test's keys, set in the environment; no other setting of ours is."""
    folder = tmp_path / "keys"
    monkeypatch.setenv("ALEAT_KEYS", str(folder))
    monkeypatch.setenv("ALEAT_ACTOR", "agim")
    monkeypatch.setenv("ALEAT_TRACEBACK", "1")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("ALEAT_WORKSPACE", raising=False)
    return folder


@pytest.fixture
def run(keys: Path, capfd: pytest.CaptureFixture[str]) -> Call:
    """Run a command in this process: `run("verify", "-w", folder)`."""

    def runs(*arguments: object) -> Ran:
        return call(capfd, *arguments)

    return runs
