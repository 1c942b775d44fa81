"""A Sigma rule that comes again, changed: the older text hunts no more, and everybody can see why."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from aleat import Workspace
from aleat.store.withdrawn import SUPERSEDED
from tests.workspace.samples import write_logs, write_pack

NOW = datetime(2022, 9, 20, 12, 0, tzinfo=UTC)
RULE = """title: Wiper Started
id: 6f1d7c7e-3f7e-4a43-9d1b-0a6a4c1f0009
status: test
date: 2022-08-01
modified: {modified}
logsource:
  category: process_creation
  product: windows
detection:
  selection:
    CommandLine|contains: {text}
  condition: selection
level: high
"""


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    """A workspace without knowledge, with logs."""
    with Workspace.init(tmp_path / "case", key_folder=tmp_path / "keys", actor="agim", clock=lambda: NOW) as opened:
        opened.add_evidence(write_logs(tmp_path / "logs"))
        yield opened


def rule(folder: Path, modified: str, text: str = "quillwiper") -> Path:
    """A file with the rule's text of a day."""
    path = folder / f"rule-{modified}-{text}.yml"
    path.write_text(RULE.format(modified=modified, text=text))
    return path


def hunted(ws: Workspace) -> list[str]:
    """What is hunted for, by the text that it looks for."""
    rows = ws.knowledge().rows
    shown = (ws.show_knowledge(row.id) for row in rows if row.type == "indicator" and row.state == "hunts")
    return sorted(one.pattern.partition("contains: ")[2].split()[0] for one in shown)


@pytest.mark.parametrize("order", list(itertools.permutations(["2022-09-01", "2022-09-02", "2022-09-03"])))
def test_the_newest_text_of_a_giver_is_hunted_for_whatever_came_last(
    ws: Workspace, tmp_path: Path, order: tuple[str, ...]
) -> None:
    """Each older one ends once, with an entry of the ledger; adding again changes nothing."""
    ended = 0
    for day in order:
        ended += ws.add_knowledge(rule(tmp_path, day, f"text-{day}"), giver="north").superseded
    assert hunted(ws) == ["text-2022-09-03"]
    assert ended == 2
    assert ws.add_knowledge(rule(tmp_path, order[0], f"text-{order[0]}"), giver="north").superseded == 0
    entries = [line for line in ws.export_ledgers() if f'"{SUPERSEDED}"'.encode() in line]
    assert sum(line.count(b"2022-09-0") for line in entries) == 2
    assert not ws.verify().faults


def test_the_older_texts_hits_stay_with_the_reason(ws: Workspace, tmp_path: Path) -> None:
    """It isn't hunted for any more; what it found is labelled."""
    ws.add_knowledge(rule(tmp_path, "2022-09-01"), giver="north")
    assert {one.hidden_by for one in ws.hunt(workers=1).sightings} == {None}
    ws.add_knowledge(rule(tmp_path, "2022-09-02", "nothing-else"), giver="north")
    found = ws.hunt(workers=1).sightings
    assert {one.hidden_by for one in found} == {"withdrawn: by north on 2022-09-20, for its text of 2022-09-02"}


def test_what_another_gave_and_what_cannot_be_told_apart_stays(ws: Workspace, tmp_path: Path) -> None:
    """Another giver's text, one of the same day, one without a day."""
    first = rule(tmp_path, "2022-09-01", "first")
    ws.add_knowledge(first, giver="north")
    ws.add_knowledge(first, giver="west")
    undated = tmp_path / "undated.yml"
    text = RULE.format(modified="", text="undated").replace("date: 2022-08-01\nmodified: \n", "")
    undated.write_text(text)
    for path in (rule(tmp_path, "2022-09-01", "second"), undated):
        assert ws.add_knowledge(path, giver="north").superseded == 0
    assert hunted(ws) == ["first", "second", "undated"]
    assert ws.add_knowledge(rule(tmp_path, "2022-09-02", "third"), giver="north").superseded == 2
    assert hunted(ws) == ["first", "third", "undated"], "west still says the first"


def test_a_pack_with_two_texts_of_one_rule_brings_the_newer(ws: Workspace, tmp_path: Path) -> None:
    """Beside rules that stand alone."""
    pack = write_pack(tmp_path / "pack")
    rule(pack, "2022-09-01", "older")
    rule(pack, "2022-09-02", "newer")
    assert ws.add_knowledge(pack, giver="north").superseded == 1
    ended = [row for row in ws.knowledge().rows if row.state == "withdrawn"]
    assert len(ended) == 1
