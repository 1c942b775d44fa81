"""`aleat poll misp+https://…`: a MISP server's events, once, with their giver; its key stands nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command import Call
from tests.exchange.misp_simulator import KEY, Misp, running
from tests.knowledge.misp_world import event, uuid


@pytest.fixture
def case(tmp_path: Path, run: Call) -> Path:
    """A workspace, and a file with our key."""
    assert run("init", tmp_path / "case", "--organisation", "Team South").code == 0
    (tmp_path / "key").write_text(f"{KEY}\n")
    return tmp_path / "case"


def test_a_misp_server_is_polled_and_polled_again(case: Path, tmp_path: Path, run: Call) -> None:
    """The second poll goes on behind the first; what came is listed with its giver."""
    misp = Misp({uuid(0): event()})
    with running(misp) as server:
        words = (f"misp+{server.url}", "--from", "north", "--token-file", tmp_path / "key", "-w", case, "-q")
        first = run("poll", *words)
        assert first.code == 0, first.err
        assert "MISP events: " in first.out
        assert "stix indicator" in first.out
        assert f"Polled up to 2022-07-15T10:00:00Z {uuid(0)};" in first.out
        again = run("poll", *words)
        assert "0 new objects, 0 known already" in again.out
        misp.events[uuid(0)]["publish_timestamp"] = "1657999999"
        assert "0 known already" not in run("poll", *words).out
    written = b"".join(path.read_bytes() for path in case.rglob("*") if path.is_file())
    assert KEY.encode() not in written
    assert KEY not in first.out + first.err


def test_a_file_is_added_like_any_knowledge(case: Path, tmp_path: Path, run: Call) -> None:
    """Twice changes nothing."""
    import json  # noqa: PLC0415

    (tmp_path / "event.json").write_text(json.dumps({"Event": event()}))
    first = run("add", "knowledge", tmp_path / "event.json", "-w", case, "--from", "north", "-q")
    assert first.code == 0, first.err
    again = run("add", "knowledge", tmp_path / "event.json", "-w", case, "--from", "north", "-q")
    assert "0 new objects" in again.out or again.out.startswith("0 "), again.out


def test_without_a_key_it_is_said(case: Path, run: Call) -> None:
    found = run("poll", "misp+https://misp.example.org/", "-w", case, "-q")
    assert found.code in {1, 2}
    assert "key" in found.err
