"""Workspaces of earlier formats open: those in `old/` were written by the versions that had these formats."""

from __future__ import annotations

import re
import shutil
import sqlite3
import tarfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from aleat import Workspace
from aleat.errors import WorkspaceError
from aleat.store.keyring import save_signing_key
from aleat.workspace.config import FORMAT, MIGRATIONS
from tests.workspace.old.make import signing_key
from tests.workspace.samples import write_logs
from tests.workspace.test_verify import change

OLD = Path(__file__).parent / "old"
FORMATS = sorted(int(path.name.split("-")[1].split(".")[0]) for path in OLD.glob("format-*.tar.xz"))

LAKES = {1: "c38353986ab02efa", 2: "c0731f72005eb342"}
"""How the lakes' identities began when they were written."""


def unpack(number: int, folder: Path) -> Path:
    """Unpack the case of a format, with the key that signs it, and return its folder."""
    with tarfile.open(OLD / f"format-{number}.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    save_signing_key(folder / "keys", signing_key())
    return folder / "case"


def opened(case: Path) -> Workspace:
    """Open it as the person who made it."""
    later = datetime(2023, 1, 1, tzinfo=UTC)
    return Workspace.open(case, actor="agim", key_folder=case.parent / "keys", clock=lambda: later)


def schema(path: Path) -> dict[str, set[tuple[str, str]]]:
    """Each table's columns with their types."""
    with closing(sqlite3.connect(path)) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: {(row[1], row[2]) for row in connection.execute(f"PRAGMA table_info({name})")} for name in names}


def test_every_earlier_format_is_kept() -> None:
    """Whoever changes the format keeps a workspace of the one before (`tests/workspace/old/make.py`)."""
    assert list(range(1, FORMAT)) == FORMATS == sorted(MIGRATIONS)


@pytest.mark.parametrize("number", FORMATS)
def test_an_old_workspace_opens_verifies_and_is_backed_up(tmp_path: Path, number: int) -> None:
    """The lake, the ledgers and the sightings are what they were; settings and database from before are kept."""
    case = unpack(number, tmp_path)
    before = {path.name: path.read_bytes() for path in (case / "aleat.toml", case / "aleat.db")}
    with opened(case) as ws:
        found = ws.verify()
        assert ws.config.format == FORMAT
        assert found.faults == ()
        assert (found.sources, found.segments, found.entries) == (5, 5, 15)
        assert found.lake.startswith(LAKES[number])
        assert [Path(name).name for name in found.absent] == ["pc3.jsonl", "tirana_access.log"]
        assert len(ws.hunt(workers=1).sightings) == 7
        assert ws.custody().sources[0].collector == ()
    for name, data in before.items():
        assert (case / f"{name}.format-{number}").read_bytes() == data
    with opened(case) as ws:
        assert ws.verify().faults == ()
    assert len(list(case.glob("*.format-*"))) == 2, "it is migrated once"


@pytest.mark.parametrize("number", FORMATS)
def test_an_old_workspace_goes_on(tmp_path: Path, number: int) -> None:
    """Evidence comes in, is known again, is shown, forgotten: all that a new workspace can."""
    case = unpack(number, tmp_path)
    logs = write_logs(tmp_path / "more")
    with opened(case) as ws:
        added = ws.add_evidence(logs, giver="ministry", note="the same once more")
        assert (added.sources, added.segments) == (0, 0) or added.known_sources
        assert ws.show("logs/pc1.evtx#2").state == "fits"
        ws.forget("tirana_access.log", "retention")
        found = ws.verify()
        assert (found.faults, found.forgotten) == ((), 1)


@pytest.mark.parametrize("number", FORMATS)
@pytest.mark.parametrize(("table", "column"), [("sources", "facts"), ("segments", "encodings"), ("coverage", "last")])
def test_a_changed_value_of_an_old_workspace_is_found(tmp_path: Path, number: int, table: str, column: str) -> None:
    """Entries of earlier versions say less; what they say still binds."""
    case = unpack(number, tmp_path)
    with opened(case) as ws:
        assert ws.verify().faults == ()
    change(case, table, column, 0)
    with opened(case) as ws:
        assert ws.verify().faults


@pytest.mark.parametrize("number", FORMATS)
def test_a_migrated_database_is_that_of_a_new_workspace(tmp_path: Path, number: int) -> None:
    """The same tables with the same columns."""
    case = unpack(number, tmp_path)
    opened(case).close()
    with Workspace.init(tmp_path / "new", key_folder=tmp_path / "new-keys", actor="agim"):
        pass
    old, new = schema(case / "aleat.db"), schema(tmp_path / "new" / "aleat.db")
    assert {name: columns for name, columns in old.items() if name in new} == new


@pytest.mark.parametrize("statements", [1, 2, 3])
def test_a_migration_that_was_cut_off_is_repeated(tmp_path: Path, statements: int) -> None:
    """Some columns are there, the settings still say the old format: the next opening ends it."""
    case = unpack(1, tmp_path)
    half = [
        "ALTER TABLE sources ADD COLUMN collector BLOB",
        "ALTER TABLE sources ADD COLUMN forgotten VARCHAR",
        "ALTER TABLE evidence_issues ADD COLUMN segment VARCHAR",
    ]
    with closing(sqlite3.connect(case / "aleat.db")) as connection, connection:
        for statement in half[:statements]:
            connection.execute(statement)
    with opened(case) as ws:
        assert ws.verify().faults == ()
        assert ws.config.format == FORMAT


def test_a_migration_whose_settings_were_not_written_is_repeated(tmp_path: Path) -> None:
    """The database is of the new format, the settings still say the old one."""
    case = unpack(2, tmp_path)
    opened(case).close()
    shutil.copy(case / "aleat.toml.format-2", case / "aleat.toml")
    with opened(case) as ws:
        assert ws.verify().faults == ()
        assert ws.config.format == FORMAT


@pytest.mark.parametrize("number", FORMATS)
@pytest.mark.parametrize(
    ("table", "column"),
    [("packs", "data"), ("objects", "digest"), ("facts", "giver"), ("copies", "line"), ("arrivals", "path")],
)
def test_knowledge_of_an_old_workspace_is_bound(tmp_path: Path, number: int, table: str, column: str) -> None:
    """By the digest over all copies that its last entry names, also after more came in."""
    case = unpack(number, tmp_path)
    for more in (False, True):
        with opened(case) as ws:
            if more:
                list_ = tmp_path / "list.txt"
                list_.write_text("evil.example\nworse.example\n")
                ws.add_knowledge(list_)
            assert ws.verify().faults == ()
        shutil.copytree(case, tmp_path / f"changed-{more}" / "case")
        shutil.copytree(tmp_path / "keys", tmp_path / f"changed-{more}" / "keys")
        change(tmp_path / f"changed-{more}" / "case", table, column, 0)
        with opened(tmp_path / f"changed-{more}" / "case") as ws:
            assert ws.verify().faults


def test_a_workspace_without_its_database_is_not_made_anew(tmp_path: Path) -> None:
    """A migration doesn't hide that the database is missing."""
    case = unpack(1, tmp_path)
    (case / "aleat.db").unlink()
    with pytest.raises(WorkspaceError, match=r"aleat\.db is missing"):
        opened(case)
    assert "format = 1" in (case / "aleat.toml").read_text()


def test_a_newer_format_is_refused_and_left_alone(tmp_path: Path) -> None:
    """Not a byte of it changes."""
    case = unpack(1, tmp_path)
    path = case / "aleat.toml"
    path.write_text(re.sub("format = 1", f"format = {FORMAT + 1}", path.read_text()))
    shutil.copytree(case, tmp_path / "before")
    with pytest.raises(WorkspaceError, match="newer Aleat"):
        opened(case)
    for kept in (tmp_path / "before").rglob("*"):
        if kept.is_file():
            assert (case / kept.relative_to(tmp_path / "before")).read_bytes() == kept.read_bytes()
