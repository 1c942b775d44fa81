"""Knowledge and evidence come in with who gave them, once."""

from __future__ import annotations

import gzip
from pathlib import Path

import orjson
import pytest

from aleat import Workspace
from aleat.store.objects import iterate_objects
from aleat.trust.markings import marking_id
from aleat.workspace.evidence import open_lake
from tests.workspace.samples import RULE, evtx, json_lines, write_logs, write_pack, zipped


def test_who_gave_knowledge_under_which_marking_and_whose_it_is_are_kept(workspace: Workspace, tmp_path: Path) -> None:
    """Giver, time, marking and originator stand beside each object, and in the custody ledger."""
    added = workspace.add_knowledge(write_pack(tmp_path / "pack"), giver="north", marking="amber", originator="third")
    assert (added.new, added.known, added.entries, added.issues) == (3, 0, 2, ())
    with workspace.read() as connection:
        copies = [copy for stored in iterate_objects(connection) for copy in stored.copies]
    assert {copy.giver for copy in copies} == {"north"}
    assert {copy.originator for copy in copies} == {"third"}
    assert {copy.markings for copy in copies} == {(marking_id("tlp:amber"),)}
    assert all(copy.received and copy.source and copy.source.path for copy in copies)
    entries = [orjson.loads(line) for line in workspace.export_ledgers()]
    last = [entry for entry in entries if entry["kind"] == "knowledge"][-1]
    assert last["actor"] == "agim"
    assert last["data"]["giver"] == "north"


def test_the_same_knowledge_twice_changes_nothing(workspace: Workspace, tmp_path: Path) -> None:
    """It is known already; another giver is another copy of the same object."""
    pack = write_pack(tmp_path / "pack")
    workspace.add_knowledge(pack, giver="north")
    again = workspace.add_knowledge(pack, giver="north")
    assert (again.new, again.known, again.conflicts) == (0, 3, 0)
    other = workspace.add_knowledge(pack, giver="east")
    assert other.new == 0
    with workspace.read() as connection:
        stored = list(iterate_objects(connection))
    assert len(stored) == 3
    assert all({copy.giver for copy in one.copies} == {"north", "east"} for one in stored)
    assert workspace.verify().faults == ()


def test_knowledge_in_archives_is_the_same_knowledge(workspace: Workspace, tmp_path: Path) -> None:
    """A zip of rules gives the rules that the folder gives."""
    workspace.add_knowledge(write_pack(tmp_path / "pack") / "rules", giver="north")
    path = tmp_path / "rules.zip"
    path.write_bytes(zipped({"rules/wiper.yml": RULE.encode()}))
    assert workspace.add_knowledge(path, giver="north").new == 0


def test_evidence_has_its_custody(workspace: Workspace, tmp_path: Path) -> None:
    """SHA-256, size, who gave it, reader and version, records, first and last event."""
    logs = write_logs(tmp_path / "logs")
    added = workspace.add_evidence(logs, giver="ministry")
    assert (added.sources, added.known_sources, added.segments, added.events) == (3, 0, 3, 130)
    rows = {Path(row.facts.path).name: row for row in open_lake(workspace).sources()}
    assert {row.facts.given_by for row in rows.values()} == {"ministry"}
    assert all(row.sha256 and row.size and row.first and row.last and row.facts.reader for row in rows.values())
    assert {name: row.records for name, row in rows.items()} == {
        "pc1.evtx": 40,
        "pc2.jsonl": 30,
        "portal_access.log": 60,
    }


def test_the_same_evidence_twice_is_noticed(workspace: Workspace, tmp_path: Path) -> None:
    """By its bytes, under whatever name, and in an archive too."""
    logs = write_logs(tmp_path / "logs")
    workspace.add_evidence(logs)
    before = workspace.verify()
    again = workspace.add_evidence(logs)
    assert (again.sources, again.known_sources, again.segments, again.events) == (0, 3, 0, 0)
    (tmp_path / "copy.evtx").write_bytes(evtx())
    (tmp_path / "copy.zip").write_bytes(zipped({"pc2.jsonl": json_lines()}))
    (tmp_path / "copy.log.gz").write_bytes(gzip.compress((logs / "portal_access.log").read_bytes(), mtime=0))
    assert workspace.add_evidence(tmp_path / "copy.evtx", tmp_path / "copy.zip", tmp_path / "copy.log.gz").segments == 0
    after = workspace.verify()
    assert after.lake == before.lake
    assert after.faults == ()


def test_a_copy_stays_when_the_original_goes(workspace: Workspace, tmp_path: Path) -> None:
    """With `copy`, what was added lies in the workspace, by its hash; by reference, it is told as absent."""
    logs = write_logs(tmp_path / "logs")
    workspace.add_evidence(logs / "pc1.evtx", copy=True)
    workspace.add_evidence(logs / "pc2.jsonl")
    assert [path.read_bytes() for path in (workspace.folder / "evidence").iterdir()] == [evtx()]
    for path in logs.iterdir():
        path.unlink()
    found = workspace.verify()
    assert found.faults == ()
    assert [Path(name).name for name in found.absent] == ["pc2.jsonl"]


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.long)])
def test_the_lake_is_the_same_in_any_order_and_with_any_number_of_workers(tmp_path: Path, workers: int) -> None:
    """Its identity depends on the evidence alone."""
    logs = sorted(write_logs(tmp_path / "logs").iterdir())
    lakes = set()
    for number, (paths, several) in enumerate([(logs, 1), (logs[::-1], workers)]):
        with Workspace.init(tmp_path / str(number), key_folder=tmp_path / "keys", actor="agim") as ws:
            for path in paths:
                ws.add_evidence(path, workers=several)
            lakes.add(ws.verify().lake)
    assert len(lakes) == 1
