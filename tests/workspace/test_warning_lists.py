"""Warning lists in a workspace, and in a hunt without one: an ally's list with a resolver among its values."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from aleat.workspace import Workspace, hunt_once

NAME = "List of known IPv4 public DNS resolvers"


def write(root: Path, resolver: str, other: str = "198.51.100.7") -> tuple[Path, Path, Path]:
    pack, warnings, logs = root / "pack", root / "warnings", root / "logs"
    for folder in (pack, warnings / "dns", logs):
        folder.mkdir(parents=True)
    (pack / "ally.csv").write_text(f"indicator,comment\n{resolver},C2\n{other},C2\n")
    listed = {"name": NAME, "version": 1, "description": "d", "type": "cidr", "list": [resolver]}
    (warnings / "dns" / "list.json").write_text(json.dumps({**listed, "matching_attributes": ["ip-dst", "ip-src"]}))
    lines = [
        {"Computer": "pc1", "EventID": 3, "Channel": "Microsoft-Windows-Sysmon/Operational", "DestinationIp": address}
        for address in (resolver, other, "203.0.113.9")
    ]
    (logs / "log.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return pack, warnings, logs


def labels(ws: Workspace) -> dict[str, str | None]:
    found = ws.hunt(workers=1)
    return {one.indicator.partition("#")[2]: one.hidden_by for one in found.sightings}


def test_what_stands_on_a_warning_list_is_labelled_and_no_hit(tmp_path: Path) -> None:
    """Also where the list comes later: nothing is hunted again. It isn't evidence of an incident either."""
    pack, warnings, logs = write(tmp_path, "192.0.2.53")
    with Workspace.init(tmp_path / "case", key_folder=tmp_path / "keys", actor="agim") as ws:
        ws.add_evidence(logs)
        ws.add_knowledge(pack, giver="north")
        assert labels(ws) == {"192.0.2.53": None, "198.51.100.7": None}
        ws.add_knowledge(warnings)
        assert labels(ws) == {"192.0.2.53": f"warning list: {NAME}", "198.51.100.7": None}
        result = ws.hunt(workers=1)
        assert (result.segments, result.tally.sightings, dict(result.tally.meaningless)) == (0, 1, {NAME: 1})
        assert "192.0.2.53" not in str(ws.build_case().case.sightings)
        assert not ws.verify().faults


def test_a_hunt_without_a_workspace_takes_warning_lists_among_its_rules(tmp_path: Path) -> None:
    pack, warnings, logs = write(tmp_path, "192.0.2.53")
    output = io.BytesIO()
    hunted = hunt_once([logs], [pack, warnings], output, workers=1)
    (line,) = [json.loads(line) for line in output.getvalue().splitlines()]
    assert line["indicator"].endswith("#198.51.100.7")
    assert dict(hunted.result.tally.meaningless) == {NAME: 1}
    assert hunted.result.rules.loaded == 1


@pytest.mark.data
def test_misps_own_lists_label_an_allys_resolver(test_data: Path, tmp_path: Path) -> None:
    pack, _, logs = write(tmp_path, "8.8.8.8", "c2.evil.example")  # RFC 5735's list has all that is for documents
    output = io.BytesIO()
    hunted = hunt_once([logs], [pack, test_data / "warninglists"], output, workers=1)
    (line,) = [json.loads(line) for line in output.getvalue().splitlines()]
    assert line["indicator"].endswith("#c2.evil.example")
    assert dict(hunted.result.tally.meaningless) == {f"public resolver; {NAME}": 1}
    assert (hunted.result.rules.rejected, hunted.result.not_evaluated) == (0, ())
