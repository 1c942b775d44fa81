"""PAP governs what we do ourselves: what may be done stands beside each hit, in the terminal and in the report."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from aleat import Workspace
from aleat.cli.hunt_summary import print_hunt
from aleat.hunt.output import open_writer
from aleat.report import load_messages
from aleat.trust.markings import marking_id, strictest_pap
from tests.workspace.samples import bundle, write_logs


def marked(path: Path, *labels: str) -> Path:
    """The pack's indicator under these labels."""
    content = json.loads(bundle())
    content["objects"][0]["object_marking_refs"] = [marking_id(label) for label in labels]
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_a_hit_says_what_its_label_permits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The strictest of several, also one that stood beside the object."""
    words = load_messages().say("pap", "red")
    with Workspace.init(tmp_path / "case") as ws:
        ws.add_evidence(write_logs(tmp_path / "logs"))
        ws.add_knowledge(marked(tmp_path / "one.json", "tlp:green", "pap:green"), giver="north", marking="pap:red")
        result = ws.hunt(workers=1)
        assert {one.pap for one in result.sightings} == {"red"}
        print_hunt(result)
        assert words in capsys.readouterr().err
        stream = io.BytesIO()
        with open_writer("table", stream) as writer:
            for one in result.sightings:
                writer.write(one)
        assert "[PAP:RED]" in stream.getvalue().decode()
        files = ws.report(tmp_path / "report", language="sq")
        assert load_messages("sq").say("pap", "red") in files.html.read_text(encoding="utf-8")


def test_without_a_label_nothing_is_said(tmp_path: Path) -> None:
    """An indicator that nobody labelled."""
    with Workspace.init(tmp_path / "case") as ws:
        ws.add_evidence(write_logs(tmp_path / "logs"))
        ws.add_knowledge(marked(tmp_path / "one.json", "tlp:green"), giver="north")
        assert {one.pap for one in ws.hunt(workers=1).sightings} == {""}


def test_the_strictest_label_counts() -> None:
    """WHITE and CLEAR are one level; what is no PAP label has none."""
    assert strictest_pap([marking_id("pap:clear"), marking_id("pap:amber"), marking_id("tlp:red")]) == "amber"
    assert strictest_pap([marking_id("pap:white")]) == "clear"
    assert strictest_pap([marking_id("tlp:red"), "marking-definition--00000000-0000-4000-8000-000000000000"]) == ""
