"""An ally's playbook, from its file to the report, the case's bundle and the terminal."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from aleat.cli.main import main
from tests.knowledge.playbooks import playbook
from tests.workspace.conftest import Built


def test_a_playbook_is_added_and_stands_beside_the_incident_that_it_fits(
    copy_of: Callable[[], Built], capsys: pytest.CaptureFixture[str]
) -> None:
    """Its giver, marking and reason; its steps in the report; a relationship in the case's bundle."""
    built = copy_of()
    file = built.folder.parent / "playbook.json"
    file.write_text(json.dumps(playbook(labels=["T1485"])), "utf-8")
    with built.open() as ws:
        added = ws.add_knowledge(file, giver="north")
        assert (added.new, added.issues) == (1, ())
        assert ws.add_knowledge(file, giver="north").new == 0
        case = ws.build_case().case
        wiped = [incident.id for incident in case.incidents if "T1485" in incident.techniques]
        assert [one.incident for one in case.responses] == wiped != []
        response = case.responses[0]
        assert response.reasons[0].value == "T1485"
        assert [(giver.name, giver.markings) for giver in response.givers] == [("north", ("TLP:AMBER",))]
        files = ws.report()
    assert "Image the memory" in files.html.read_text("utf-8")
    links = [
        item for item in json.loads(files.bundle.read_bytes())["objects"] if item.get("target_ref") == response.course
    ]
    assert [item["relationship_type"] for item in links] == ["related-to"] * len(wiped)
    assert main(["case", "-w", str(built.folder)]) == 0
    assert "Playbook: Contain ransomware, from north (TLP:AMBER)" in capsys.readouterr().out
    assert main(["knowledge", "show", "Contain ransomware", "-w", str(built.folder)]) == 0
    assert "1. Unplug (by Duty officer)" in capsys.readouterr().out
