"""Placeholders in a workspace and in a hunt without one."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from aleat.errors import InputError
from aleat.workspace import hunt_once
from tests.workspace.conftest import Built
from tests.workspace.samples import json_lines

RULE = """\
title: Somebody Ours
id: 6f1d7c7e-3f7e-4a43-9d1b-0a6a4c1f0003
status: test
author: Test Team
logsource:
    category: process_creation
    product: windows
detection:
    selection:
        CommandLine|contains: quillwiper
        SubjectUserName|expand: '%ours%'
    condition: selection
level: low
"""


def test_a_workspace_reads_its_placeholders(copy_of: Callable[[], Built], tmp_path: Path) -> None:
    """Other values are hunted for anew; the option's values come before the workspace's."""
    built = copy_of()
    (tmp_path / "rule.yml").write_text(RULE)
    option = tmp_path / "option.toml"
    option.write_text('ours = ["besa"]')
    with built.open() as ws:
        ws.add_knowledge(tmp_path / "rule.yml")
        (row,) = [row for row in ws.hunt(workers=1).not_evaluated if row.code == "placeholder"]
        assert row.reason == "the placeholder %ours% has no values. Give them with --placeholders FILE."
        (built.folder / "placeholders.toml").write_text('ours = ["agim"]')

        def hosts(given: Path | None = None) -> set[str]:
            found = ws.hunt(workers=1, placeholders=given).sightings
            return {sighting.host for sighting in found if sighting.title == "Somebody Ours"}

        assert hosts() == {"pc1.example"}
        assert hosts(option) == {"pc2.example"}
        assert hosts() == {"pc1.example"}
        (built.folder / "placeholders.toml").write_text("ours = [agim]")
        with pytest.raises(InputError, match=r"placeholders\.toml:1"):
            ws.plan()


def test_a_hunt_without_a_workspace_takes_placeholders(tmp_path: Path) -> None:
    (tmp_path / "rule.yml").write_text(RULE)
    (tmp_path / "log.jsonl").write_bytes(json_lines())
    (tmp_path / "p.toml").write_text('ours = ["b*"]')
    output = io.BytesIO()
    given = tmp_path / "p.toml"
    hunt_once([tmp_path / "log.jsonl"], [tmp_path / "rule.yml"], output, placeholders=given, workers=1)
    assert output.getvalue().count(b"\n") == 1
