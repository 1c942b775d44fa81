"""One value changed in any row of the lake or a ledger, one byte in any file or exported line: `verify` names it."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from aleat import Workspace
from aleat.trust.chain import Entry, check_chain
from tests.cli.command import aleat
from tests.evidence.evtx_writer import evtx_bytes
from tests.workspace.conftest import Built
from tests.workspace.samples import access_log, process, write_logs, write_pack, zipped
from tests.workspace.test_custody import sha256
from tests.workspace.test_verify import changed, flip

TABLES = ("sources", "ranges", "segments", "coverage", "evidence_issues", "ledger_entries", "countersignatures")
KNOWLEDGE = ("objects", "packs", "traits", "copies", "facts", "arrivals")
NO_CONTENT = {("evidence_issues", "id")}
"""A row's own number, which says nothing: the order of rows is what a digest covers."""


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A case with all that custody can hold. Not to be changed, or changed back."""
    root = tmp_path_factory.mktemp("rich")
    logs = write_logs(root / "logs")
    damaged = bytearray(evtx_bytes([process(1), process(2)]))
    damaged[4096 + 512] = 0
    (logs / "damaged.evtx").write_bytes(bytes(damaged))
    (logs / "broken_access.log").write_bytes(access_log(8) + b"nothing of the kind\n")
    (logs / "copy_access.log").write_bytes((logs / "portal_access.log").read_bytes())
    (logs / "old.zip").write_bytes(zipped({"in/a_access.log": access_log(9)}))
    (logs / "notes.txt").write_text("nothing to see\n")
    (root / "SUMS").write_text(
        f"{sha256((logs / 'pc1.evtx').read_bytes())}  pc1.evtx\n{'0' * 64}  pc2.jsonl\n{'1' * 64}  gone.log\n"
    )
    more = root / "more"
    more.mkdir()
    (more / "gone_access.log").write_bytes(access_log(30))
    built = Built(root / "case", root / "keys", logs, root)
    with Workspace.init(built.folder, organisation="South", actor="agim", key_folder=built.keys) as ws:
        ws.add_knowledge(write_pack(root / "pack"), giver="north", originator="east")
        ws.add_knowledge(root / "pack", marking="red")
        ws.add_evidence(logs, copy=True, note="a note", hash_lists=[root / "SUMS"])
        ws.add_evidence(more)
        ws.forget("gone_access.log", "retention")
        found = ws.verify()
        assert found.faults == ()
        codes = {issue.code for source in ws.custody().sources for issue in source.issues}
        assert {"hash-mismatch", "known-source", "broken-line"} <= codes
    return built


def cells(folder: Path, table: str) -> Iterator[tuple[str, int, object]]:
    """Every (column, row, value) of a table."""
    with closing(sqlite3.connect(folder / "aleat.db")) as connection:
        found = connection.execute(f"SELECT rowid AS row, * FROM {table} ORDER BY rowid")  # noqa: S608
        names = [one[0] for one in found.description][1:]
        for row in found.fetchall():
            yield from ((name, row[0], value) for name, value in zip(names, row[1:], strict=True))


def write(folder: Path, table: str, column: str, row: int, value: object) -> int:
    """Change a value from outside, and return the row's number (which a changed key changes)."""
    with closing(sqlite3.connect(folder / "aleat.db")) as connection, connection:
        connection.execute("PRAGMA foreign_keys=OFF")
        connection.execute("PRAGMA ignore_check_constraints=ON")
        statement = f'UPDATE {table} SET "{column}" = ? WHERE rowid = ?'  # noqa: S608
        assert connection.execute(statement, (value, row)).rowcount == 1
    is_key = (column == "id" and table in ("sources", "evidence_issues")) or (column == "seq" and table in KNOWLEDGE)
    return int(str(value)) if is_key else row


def unseen(built: Built, table: str, *, every_row: bool) -> list[tuple[str, int]]:
    """The (column, row) of which `verify` finds nothing when it is changed."""
    found: list[tuple[str, int]] = []
    seen: set[str] = set()
    with built.open() as ws:
        for column, row, value in list(cells(built.folder, table)):
            if (table, column) in NO_CONTENT or (column in seen and not every_row):
                continue
            seen.add(column)
            other = changed(value)
            if isinstance(value, int) and column in ("id", "seq", "ordinal", "source", "object", "facts"):
                other = value + 1000  # a key: nothing else has it
            now = write(built.folder, table, column, row, other)
            if not ws.verify().faults:
                found.append((column, row))
            write(built.folder, table, column, now, value)
        assert ws.verify().faults == (), "it is as it was"
    return found


@pytest.mark.parametrize("table", [*TABLES[:6], *KNOWLEDGE])
def test_every_column_is_bound(rich: Built, table: str) -> None:
    """Whichever column of the first row is changed."""
    assert unseen(rich, table, every_row=False) == []


@pytest.mark.long
@pytest.mark.parametrize("table", [*TABLES[:6], *KNOWLEDGE])
def test_every_value_of_every_row_is_bound(rich: Built, table: str) -> None:
    """Whichever column of whichever row is changed."""
    assert unseen(rich, table, every_row=True) == []


@pytest.mark.parametrize("kind", ["evidence", "segments"])
@pytest.mark.parametrize("offset", [0, -1])
def test_one_byte_of_any_file_is_named(rich: Built, kind: str, offset: int) -> None:
    """The first, and the last one, of every file."""
    with rich.open() as ws:
        for path in sorted((rich.folder / kind).iterdir()):
            flip(path, offset)
            faults = ws.verify().faults
            flip(path, offset)
            assert faults, path.name
            assert all(fault.what in ("evidence-changed", "segment-changed") for fault in faults)
            if kind == "segments":
                assert path.name in faults[0].name
        assert ws.verify().faults == ()


def test_one_byte_of_any_exported_line_is_named(rich: Built) -> None:
    """Whoever holds the exported ledger and the public key finds the line."""
    with rich.open() as ws:
        lines = b"".join(ws.export_ledgers()).splitlines()
        keys = ws.public_keys
    custody = [line for line in lines if orjson.loads(line)["ledger"] == "custody"]
    assert list(check_chain("custody", [Entry(**orjson.loads(line)) for line in custody], keys)) == []
    for number, line in enumerate(custody):
        for at in range(1, len(line), max(1, len(line) // 15)):
            broken = bytearray(line)
            broken[at] ^= 1
            try:
                other = [
                    Entry(**orjson.loads(one)) for one in (*custody[:number], bytes(broken), *custody[number + 1 :])
                ]
            except (ValueError, TypeError):
                continue  # it is no line of a ledger any more
            faults = list(check_chain("custody", other, keys))
            assert faults, (number, at)
            assert min(fault.seq for fault in faults if fault.seq) <= number + 2


@pytest.mark.long
def test_the_command_names_each_and_ends_with_one(rich: Built, tmp_path: Path) -> None:
    """What a person sees: a line a fault."""
    folder = tmp_path / "copied"
    shutil.copytree(rich.folder, folder)
    write(folder, "evidence_issues", "reason", 1, "nothing was wrong")
    ran = aleat("verify", "-w", folder, "-q", keys=rich.keys)
    assert ran.code == 1
    assert "FAULT row-changed" in ran.err
