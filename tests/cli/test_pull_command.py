"""The command `aleat pull`: what it prints, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aleat.cli.main import main

COLLECTION = {
    "type": "x-mitre-collection",
    "spec_version": "2.1",
    "id": "x-mitre-collection--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",
    "created": "2022-07-15T08:00:00.000Z",
    "modified": "2022-07-15T08:00:00.000Z",
    "name": "Example",
    "x_mitre_version": "1.0",
}


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    """A folder with ATT&CK's three files, small."""
    bundle = {"type": "bundle", "id": "bundle--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f", "objects": [COLLECTION]}
    for name in ("enterprise", "ics", "mobile"):
        (tmp_path / f"{name}-attack.json").write_text(json.dumps(bundle))
    return tmp_path


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("ALEAT_KEYS", str(tmp_path / "keys"))
    assert main(["init", str(tmp_path / "case"), "--actor", "agim"]) == 0
    return str(tmp_path / "case")


def test_a_source_from_a_stick_is_printed_with_its_licence(
    case: str, stick: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And then is what is held."""
    assert main(["pull", "attack", "--mirror", str(stick), "-w", case, "-q"]) == 0
    said = capsys.readouterr().out
    assert "1.0; licence: ATT&CK terms of use" in said
    assert "Added as the public corpus mitre-attack" in said
    assert main(["pull", "--list", "-w", case]) == 0
    assert "1.0 since" in capsys.readouterr().out


def test_one_that_is_refused_is_named_and_costs_no_other(
    case: str, stick: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """3 where some came, 1 where none did."""
    assert main(["pull", "attack", "d3fend", "--mirror", str(stick), "-w", case, "-q"]) == 3
    assert "d3fend: not taken in." in capsys.readouterr().err
    assert main(["pull", "sigmahq", "--mirror", str(stick), "-w", case, "-q"]) == 1


def test_what_there_is_can_be_asked_without_a_workspace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name is needed to pull; one that no source has is an error with those that there are."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ALEAT_WORKSPACE", raising=False)
    assert main(["pull", "--list"]) == 0
    assert "signature-base" in capsys.readouterr().out
    assert main(["pull"]) == 2


def test_an_unknown_name_is_told_with_those_that_there_are(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    """And nothing is fetched."""
    assert main(["pull", "nobody", "-w", case, "-q"]) == 1
    assert "There are sigmahq" in capsys.readouterr().err
