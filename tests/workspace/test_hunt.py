"""Hunts fill what is missing, agree with each other, and are written as DESIGN says."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from aleat import Workspace
from aleat.hunt.indicator import Sighting
from aleat.workspace import hunt_once, write_sightings
from tests.cli.command import aleat
from tests.evidence.evtx_writer import evtx_bytes
from tests.workspace.conftest import Built
from tests.workspace.samples import RULE, SECOND_RULE, process, write_logs, write_pack

KEYS = (
    "indicator",
    "title",
    "level",
    "author",
    "evidence",
    "record",
    "offset",
    "event",
    "time",
    "host",
    "fields",
    "source",
    "hidden_by",
    "parts",
)
"""One line of `hunt -t jsonl`, as DESIGN writes it."""


def rows(sightings: tuple[Sighting, ...], format_: str = "jsonl") -> list[dict[str, Any]]:
    """The sightings as the lines that are written."""
    stream = io.BytesIO()
    write_sightings(sightings, stream, format_)
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def told(lines: list[dict[str, Any]]) -> list[str]:
    """Lines as text, sorted, without who gave the rule (a workspace knows it, a single hunt only the file)."""
    return sorted(json.dumps({**line, "source": ""}, sort_keys=True) for line in lines)


def test_a_second_hunt_evaluates_nothing_and_finds_the_same(built: Built, tmp_path: Path) -> None:
    """The ledger of hunts has it all; new rules on old evidence are what is missing, and nothing else."""
    shutil.copytree(built.folder, tmp_path / "case")
    with Workspace.open(tmp_path / "case", key_folder=built.keys, actor="agim") as ws:
        first = ws.hunt(workers=1)
        assert first.segments == 0
        assert len(first.sightings) == 4
        (tmp_path / "second.yml").write_text(SECOND_RULE)
        ws.add_knowledge(tmp_path / "second.yml")
        second = ws.hunt(workers=1)
        assert second.segments == 3
        assert len(second.sightings) == 4 + 40
        third = ws.hunt(workers=1)
        assert third.segments == 0
        assert rows(third.sightings) == rows(second.sightings)


def test_new_rules_work_after_the_log_files_were_moved_away(tmp_path: Path) -> None:
    """Segments are the truth: the log files aren't asked for again."""
    logs = write_logs(tmp_path / "logs")
    with Workspace.init(tmp_path / "case", key_folder=tmp_path / "keys", actor="agim") as ws:
        ws.add_evidence(logs)
        assert ws.hunt(workers=1).sightings == ()
        shutil.move(logs, tmp_path / "away")
        ws.add_knowledge(write_pack(tmp_path / "pack"))
        found = ws.hunt(workers=1)
        assert len(found.sightings) == 4
        assert {Path(sighting.evidence).name for sighting in found.sightings} == {
            "pc1.evtx",
            "pc2.jsonl",
            "portal_access.log",
        }
        assert ws.hunt(workers=1).segments == 0


@pytest.mark.long
def test_workers_and_order_change_nothing(tmp_path: Path) -> None:
    """One worker, two, evidence and rules in any order: the same lines."""
    logs = sorted(write_logs(tmp_path / "logs").iterdir())
    pack = write_pack(tmp_path / "pack")
    found = []
    for number, (paths, workers, rules_first) in enumerate([(logs, 1, True), (logs[::-1], 2, False), (logs, 2, True)]):
        with Workspace.init(tmp_path / str(number), key_folder=tmp_path / "keys", actor="agim") as ws:
            if rules_first:
                ws.add_knowledge(pack, giver="north")
            for path in paths:
                ws.add_evidence(path, workers=workers)
            if not rules_first:
                ws.add_knowledge(pack, giver="north")
            found.append(rows(ws.hunt(workers=workers).sightings))
    assert told(found[0]) == told(found[1]) == told(found[2])
    assert found[0] == found[1] == found[2], "in the same order, too"


def test_a_single_hunt_finds_what_the_workspace_finds(built: Built) -> None:
    """Without a workspace the lines are the same, but for who gave the rule, and only of the given rules."""
    with built.open() as ws:
        kept = rows(ws.hunt(workers=1).sightings)
    stream = io.BytesIO()
    hunt_once([built.logs], [built.pack], stream, workers=1)
    once = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert told(once) == told([line for line in kept if line["source"] != "aleat"])
    assert all(tuple(line) == KEYS for line in [*once, *kept])


def test_a_line_leads_to_its_bytes(built: Built) -> None:
    """`evidence`, `record` and `offset` are those of the event in the file; the author is kept."""
    stream = io.BytesIO()
    hunt_once([built.logs], [built.pack], stream, workers=1)
    lines = {Path(line["evidence"]).name: line for line in map(json.loads, stream.getvalue().splitlines())}
    web = lines["portal_access.log"]
    assert (built.logs / "portal_access.log").read_bytes()[web["offset"] :].startswith(b"203.0.113.7 - - ")
    one = lines["pc2.jsonl"]
    found = (built.logs / "pc2.jsonl").read_bytes()[one["offset"] :].splitlines()[0]
    assert json.loads(found)["Event"]["EventData"]["CommandLine"] == "quillwiper /all"
    assert one["fields"]["CommandLine"] == "quillwiper /all"
    assert one["author"] == "Test Team"
    assert (one["level"], one["title"], one["hidden_by"], one["parts"]) == ("high", "Wiper Started", None, None)
    assert (built.logs / "pc1.evtx").read_bytes()[lines["pc1.evtx"]["offset"] :].startswith(b"\x2a\x2a\0\0")


def test_every_form_of_output_can_be_read(built: Built, tmp_path: Path) -> None:
    """json, csv and parquet hold the rows of jsonl."""
    with built.open() as ws:
        sightings = ws.hunt(workers=1).sightings
    lines = rows(sightings)
    for kind in ("json", "csv", "parquet"):
        assert write_sightings(sightings, tmp_path / f"out.{kind}", kind) == 4
    assert json.loads((tmp_path / "out.json").read_bytes()) == lines
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file))
    assert [row["event"] for row in read] == [line["event"] for line in lines]
    assert [row["indicator"] for row in read] == [line["indicator"] for line in lines]
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.column("event").to_pylist() == [line["event"] for line in lines]


def test_hostile_values_reach_no_terminal(tmp_path: Path) -> None:
    """An event that carries escape sequences is shown with them visible, in every form that a terminal gets."""
    hostile = "quillwiper \x1b]0;owned\x07\x1b[31m\r\nFake line \u202egnp.exe \x9b2J"
    (tmp_path / "logs").mkdir()
    xml = hostile.replace("\x1b", "E").replace("\x07", "B")  # EVTX's XML holds no such characters; JSON does
    (tmp_path / "logs" / "a.evtx").write_bytes(evtx_bytes([process(1, xml)]))
    event = {
        "Event": {
            "System": {"EventID": 4688, "Channel": "Security", "Computer": "pc\x1b[2J", "EventRecordID": 1},
            "EventData": {"CommandLine": hostile},
        }
    }
    (tmp_path / "logs" / "b.jsonl").write_text(json.dumps(event) + "\n")
    (tmp_path / "rule.yml").write_text(RULE)
    forbidden = {chr(number) for number in (*range(0x20), *range(0x7F, 0xA0))} - {"\n"}
    machine = forbidden - {chr(number) for number in range(0x7F, 0xA0)}  # JSON's own escapes are enough there
    for kind in ("table", "jsonl", "json"):
        stream = io.BytesIO()
        hunt_once([tmp_path / "logs"], [tmp_path / "rule.yml"], stream, kind, workers=1)
        shown = stream.getvalue().decode()
        assert ("Wiper Started" if kind == "table" else "quillwiper") in shown
        assert not set(shown) & (forbidden if kind == "table" else machine), kind
    ran = aleat("hunt", tmp_path / "logs", "--rules", tmp_path / "rule.yml", "-q", keys=tmp_path / "keys")
    assert ran.code == 0
    assert not set(ran.said) & forbidden
