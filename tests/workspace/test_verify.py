"""`verify` finds any changed byte, and names it."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from aleat import Workspace
from aleat.cli import main
from aleat.workspace import Verified
from tests.workspace.conftest import Built, make

LEDGER_COLUMNS = ("time", "actor", "kind", "data", "previous", "hash", "signature", "key_id")
ROW_COLUMNS = (
    ("objects", "id"),
    ("objects", "time"),
    ("objects", "digest"),
    ("objects", "traits"),
    ("objects", "pack"),
    ("objects", "start"),
    ("objects", "length"),
    ("packs", "data"),
    ("traits", "created_by_ref"),
    ("traits", "markings"),
    ("traits", "native"),
    ("traits", "revoked"),
    ("facts", "giver"),
    ("facts", "markings"),
    ("facts", "originator"),
    ("facts", "agreement"),
    ("facts", "corpus"),
    ("facts", "corpus_basis"),
    ("arrivals", "received"),
    ("arrivals", "path"),
    ("copies", "facts"),
    ("copies", "arrival"),
    ("copies", "line"),
    ("copies", "column"),
    ("copies", "offset"),
    ("entry_lists", "file_sha256"),
    ("entry_lists", "digest"),
    ("entry_lists", "rows"),
    ("entry_lists", "size"),
    ("sources", "path"),
    ("sources", "facts"),
    ("sources", "sha256"),
    ("sources", "size"),
    ("sources", "same_as"),
    ("sources", "added"),
    ("sources", "actor"),
    ("sources", "abandoned"),
    ("segments", "data_sha256"),
    ("segments", "file_sha256"),
    ("segments", "events"),
    ("segments", "file_size"),
    ("segments", "reader"),
    ("segments", "encodings"),
    ("ranges", "start"),
    ("ranges", "end"),
    ("ranges", "segment"),
    ("ranges", "record_base"),
    ("coverage", "host"),
    ("coverage", "first"),
    ("coverage", "events"),
    ("people", "actor"),
    ("people", "roles"),
)
TABLES = (
    "ledger_entries",
    "objects",
    "packs",
    "traits",
    "copies",
    "facts",
    "arrivals",
    "entry_lists",
    "sources",
    "segments",
    "ranges",
    "coverage",
    "people",
)


def changed(value: object) -> object:
    """The value with one byte, bit or digit changed."""
    if isinstance(value, int):
        return value + 1
    if isinstance(value, bytes):
        return value[:-1] + bytes([value[-1] ^ 1])
    if isinstance(value, str) and value:
        return value[:-1] + ("0" if value[-1] != "0" else "1")
    return "x"


def execute(folder: Path, statement: str, *values: object) -> None:
    """Change a workspace's database from outside."""
    with closing(sqlite3.connect(folder / "aleat.db")) as connection, connection:
        connection.execute("PRAGMA foreign_keys=OFF")
        assert connection.execute(statement, values).rowcount == 1


def change(folder: Path, table: str, column: str, row: int) -> None:
    """Change one value of one row."""
    with closing(sqlite3.connect(folder / "aleat.db")) as connection:
        key, value = connection.execute(
            f'SELECT rowid, "{column}" FROM "{table}" ORDER BY rowid LIMIT 1 OFFSET ?',  # noqa: S608
            (row,),
        ).fetchone()
    execute(folder, f'UPDATE "{table}" SET "{column}" = ? WHERE rowid = ?', changed(value), key)  # noqa: S608


def flip(path: Path, offset: int = -7) -> None:
    """Flip one bit of a file."""
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def verified(built: Built) -> Verified:
    """What `verify` finds."""
    with built.open() as ws:
        return ws.verify()


def code(built: Built) -> int:
    """The exit code of `aleat verify`."""
    return main(["verify", "-w", str(built.folder), "--quiet"])


def test_an_untouched_workspace_fits(built: Built) -> None:
    """Everything is counted, and nothing is wrong."""
    found = verified(built)
    assert found.faults == found.absent == ()
    assert code(built) == 0
    assert (found.sources, found.segments) == (3, 3)
    assert found.entries == sum(head.entries for head in found.heads) > 8


@pytest.mark.parametrize("row", [0, 3, -1])
@pytest.mark.parametrize("column", LEDGER_COLUMNS)
def test_a_changed_value_in_a_ledger_is_found(copy_of: Callable[[], Built], column: str, row: int) -> None:
    """Whatever column and row: the entry is named."""
    built = copy_of()
    with closing(sqlite3.connect(built.folder / "aleat.db")) as connection:
        rows = connection.execute("SELECT count(*) FROM ledger_entries").fetchone()[0]
    change(built.folder, "ledger_entries", column, row % rows)
    faults = verified(built).faults
    assert any(fault.what == "ledger" and "entry" in fault.name for fault in faults), faults
    assert column != "data" or code(built) == 1


@pytest.mark.parametrize(("table", "column"), ROW_COLUMNS)
def test_a_changed_value_in_a_row_is_found(copy_of: Callable[[], Built], table: str, column: str) -> None:
    """Objects, who gave them, lists, sources, segments, coverage, roles: nothing changes unseen."""
    built = copy_of()
    change(built.folder, table, column, 0)
    assert verified(built).faults


@pytest.mark.parametrize("table", TABLES)
def test_a_row_that_is_gone_is_found(copy_of: Callable[[], Built], table: str) -> None:
    """Deleting is a change too."""
    built = copy_of()
    execute(built.folder, f"DELETE FROM {table} WHERE rowid = (SELECT min(rowid) FROM {table})")  # noqa: S608
    assert verified(built).faults


def test_a_role_that_nobody_gave_is_found(copy_of: Callable[[], Built]) -> None:
    """Who may release is decided in the ledger, not by whoever can write to the file."""
    built = copy_of()
    execute(built.folder, "INSERT INTO people (actor, roles) VALUES ('eve', 'releaser')")
    faults = verified(built).faults
    assert [fault.name for fault in faults] == ["person eve"]


@pytest.mark.parametrize("kind", ["evidence", "segments", "lists"])
def test_a_changed_byte_in_a_file_is_found_and_named(copy_of: Callable[[], Built], kind: str) -> None:
    """Copied evidence, segments and the rows of lists are hashed again."""
    built = copy_of()
    path = sorted((built.folder / kind).iterdir())[0]
    flip(path)
    faults = verified(built).faults
    assert faults
    assert any(path.stem in f"{fault.name} {fault.reason}" or fault.what == "evidence-changed" for fault in faults)
    assert code(built) == 1


@pytest.mark.parametrize("kind", ["evidence", "segments", "lists"])
def test_a_file_that_is_gone_is_a_fault(copy_of: Callable[[], Built], kind: str) -> None:
    """What the workspace itself keeps may not be absent."""
    built = copy_of()
    sorted((built.folder / kind).iterdir())[0].unlink()
    assert verified(built).faults


@pytest.mark.parametrize("name", ["corpora.toml", "corpora.toml.jws"])
def test_a_changed_policy_is_found_and_not_followed(copy_of: Callable[[], Built], name: str) -> None:
    """What counts as public is signed: a changed policy is named, and knowledge isn't taken in under it."""
    built = copy_of()
    flip(built.folder / name)
    assert [(fault.what, fault.name) for fault in verified(built).faults] == [("policy", "corpora.toml")]
    assert main(["add", "knowledge", str(built.pack), "-w", str(built.folder)]) == 1


def test_evidence_by_reference_that_was_changed_is_named_with_its_bytes(tmp_path: Path) -> None:
    """The original lies with its owner; where its bytes differ, the range is told."""
    built = make(tmp_path)
    assert verified(built).faults == ()
    flip(built.logs / "pc2.jsonl", 100)
    faults = verified(built).faults
    assert [Path(fault.name).name for fault in faults] == ["pc2.jsonl"]
    assert "Changed: bytes 0 to" in faults[0].reason
    assert code(built) == 1


def test_evidence_by_reference_that_is_away_is_absent_and_no_fault(tmp_path: Path) -> None:
    """Exit code 3: what is there fits, one thing could not be checked."""
    built = make(tmp_path)
    (built.logs / "pc1.evtx").rename(tmp_path / "away.evtx")
    found = verified(built)
    assert found.faults == ()
    assert [Path(name).name for name in found.absent] == ["pc1.evtx"]
    assert code(built) == 3


def test_a_cut_tail_is_found_against_an_exported_head(copy_of: Callable[[], Built], tmp_path: Path) -> None:
    """A chain alone can't tell that its end is missing; the head that was kept elsewhere can."""
    built = copy_of()
    with built.open() as ws:
        heads = tmp_path / "heads.json"
        heads.write_bytes(ws.export_heads())
        assert ws.verify(head=heads).faults == ()
        ws.set_roles("besa", ["analyst"])
        assert ws.verify(head=heads).faults == (), "it grew since then"
    execute(built.folder, "DELETE FROM people WHERE actor = 'besa'")
    execute(built.folder, "DELETE FROM ledger_entries WHERE ledger = 'decisions' AND seq = 3")
    assert verified(built).faults == (), "to itself it looks whole"
    execute(built.folder, "DELETE FROM ledger_entries WHERE ledger = 'decisions' AND seq = 2")
    with Workspace.open(built.folder, key_folder=built.keys) as ws:
        faults = ws.verify(head=heads).faults
    assert any(fault.what == "ledger" and fault.name.startswith("decisions") for fault in faults)


def test_a_workspace_can_be_moved(copy_of: Callable[[], Built], tmp_path: Path) -> None:
    """Nothing in it depends on where it lies."""
    built = copy_of()
    shutil.move(built.folder, tmp_path / "elsewhere")
    moved = Built(tmp_path / "elsewhere", built.keys, built.logs, built.pack)
    assert verified(moved).faults == ()
    with moved.open() as ws:
        assert len(ws.hunt(workers=1).sightings) == 4
