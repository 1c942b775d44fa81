"""Logs that no format knows, from the flag or the file to the sighting: in a workspace, and without one."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from aleat.errors import InputError, RuleError
from aleat.evidence import ReadOptions
from aleat.evidence.mapping import formats_of_mappings, mapping_of_file, mapping_of_flag
from aleat.hunt.stated import check_formats
from aleat.workspace import Workspace, hunt_once
from tests.evidence.test_mapping import FILE, TABLE

RULE = """title: A question who one is
id: 6f1e1b4c-1111-4111-8111-111111111111
status: test
logsource: {category: process_creation}
detection:
  a: {CommandLine|contains: whoami}
  condition: a
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "log.csv").write_text(TABLE)
    (tmp_path / "rule.yml").write_text(RULE)
    workspace = Workspace.init(tmp_path / "ws", key_folder=tmp_path / "keys")
    workspace.add_knowledge(tmp_path / "rule.yml")
    return workspace


def test_a_mapping_stays_in_the_workspace_and_a_better_one_needs_no_new_ingest(
    workspace: Workspace, tmp_path: Path
) -> None:
    plain = mapping_of_file(FILE.partition("[[sigma]]")[0].encode(), "m.toml")
    with workspace as ws:
        assert ws.add_evidence(tmp_path / "log.csv", logs=ReadOptions(mappings=(plain,))).events == 2
        assert ws.hunt(workers=1).tally.sightings == 0
        kept = tmp_path / "ws" / "mappings" / "myapp.json"
        assert json.loads(kept.read_text())["format"] == "myapp"
        kept.unlink()
        kept.with_suffix(".toml").write_text(FILE)
        (found,) = ws.hunt(workers=1).sightings
        assert (found.format, found.host, found.title) == ("myapp", "SRV1", "A question who one is")
        ws.dismiss("A question who one is", "normal here", ["CommandLine|contains=whoami"])
        assert [one.hidden_by is not None for one in ws.hunt(workers=1).sightings] == [True]


def test_a_mapping_in_the_workspace_that_can_not_be_used_is_named(workspace: Workspace, tmp_path: Path) -> None:
    with workspace as ws:
        (tmp_path / "ws" / "mappings").mkdir()
        (tmp_path / "ws" / "mappings" / "myapp.toml").write_text("format = 5")
        with pytest.raises(InputError) as error:
            ws.hunt(workers=1)
        assert "myapp.toml" in str(error.value.place)


def test_a_flag_is_enough_for_a_hunt_without_a_workspace(workspace: Workspace, tmp_path: Path) -> None:
    workspace.close()
    flag = "time=when,time-format=%d.%m.%Y %H:%M:%S,zone=+02:00,host=machine,format=myapp,category=process_creation"
    (tmp_path / "own.yml").write_text(RULE.replace("CommandLine", "what"))
    output = io.BytesIO()
    logs = ReadOptions(mappings=(mapping_of_flag(flag),))
    hunted = hunt_once([tmp_path / "log.csv"], [tmp_path / "own.yml"], output, logs=logs, workers=1)
    assert hunted.written == 1
    assert json.loads(output.getvalue())["host"] == "SRV1"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('needs = ["category"]', ""),
        ('needs = ["category"]', "needs = []"),
        ('CommandLine = "what"', "CommandLine = 5"),
        ('CommandLine = "what"', 'CommandLine = { of = "what", view = "nothing" }'),
        ('CommandLine = "what"', "CommandLine = { }"),
        ('type = "process"', ""),
        ('command_line = "what"', 'command_line = "what|nothing"'),
        ('command_line = "what"', "command_line = 5"),
    ],
)
def test_what_a_mapping_says_of_sigma_and_stix_is_checked(old: str, new: str) -> None:
    assert old in FILE
    formats = formats_of_mappings([mapping_of_file(FILE.replace(old, new, 1).encode(), "m.toml")])
    with pytest.raises(RuleError):
        check_formats(formats)
