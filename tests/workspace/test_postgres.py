"""A case whose database is PostgreSQL: the same work, the same answers, one writer across hosts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from aleat import Workspace
from aleat.errors import WorkspaceBusyError, WorkspaceError
from tests.postgres import PostgresServer
from tests.workspace.conftest import Built
from tests.workspace.samples import write_logs, write_pack

pytestmark = pytest.mark.long


@pytest.fixture
def url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of an empty schema."""
    with postgres_server.schema() as found:
        yield found


def init(folder: Path, url: str, keys: Path) -> Workspace:
    """Make a workspace in that schema."""
    return Workspace.init(folder, organisation="Team South", actor="agim", key_folder=keys, database=url)


def test_a_case_on_postgresql_says_what_one_in_a_file_says(built: Built, url: str, tmp_path: Path) -> None:
    """Knowledge, evidence, a hunt, the case, verification; nothing of SQLite is in the folder."""
    with init(tmp_path / "case", url, tmp_path / "keys") as ws:
        added = ws.add_knowledge(write_pack(tmp_path / "pack"), giver="north")
        assert added.new > 0
        assert ws.add_knowledge(tmp_path / "pack", giver="north").new == 0
        ws.add_evidence(write_logs(tmp_path / "logs"))
        hunted = ws.hunt(workers=1)
        with built.open() as other:
            assert len(list(hunted.sightings)) == len(list(other.hunt(workers=1).sightings))
            assert ws.build_case().answer().paragraph == other.build_case().answer().paragraph
        assert ws.verify().faults == ()
    with Workspace.open(tmp_path / "case", actor="agim", key_folder=tmp_path / "keys") as again:
        assert again.verify().faults == ()
        kinds = [json.loads(text)["kind"] for text in again.export_ledgers()]
    assert {"init", "knowledge"} <= set(kinds)
    assert not (tmp_path / "case" / "aleat.db").exists()


def test_a_database_holds_one_workspace(url: str, tmp_path: Path) -> None:
    """A second one is refused, and leaves no folder."""
    init(tmp_path / "one", url, tmp_path / "keys").close()
    with pytest.raises(WorkspaceError, match="holds a workspace already"):
        init(tmp_path / "two", url, tmp_path / "keys")
    assert not (tmp_path / "two" / "aleat.toml").exists()


def test_a_password_is_never_written(tmp_path: Path) -> None:
    """A URL that holds one is refused before anything is made."""
    with pytest.raises(WorkspaceError, match="password"):
        init(tmp_path / "case", "postgresql://me:secret@db.example.org/case", tmp_path / "keys")
    assert not (tmp_path / "case").exists()


def test_two_hosts_do_not_write_at_once(url: str, tmp_path: Path) -> None:
    """Each has its own folder's lock; the database's holds for both."""
    with init(tmp_path / "here", url, tmp_path / "keys") as here:
        shutil.copytree(tmp_path / "here", tmp_path / "there")
        with Workspace.open(tmp_path / "there", actor="agim", key_folder=tmp_path / "keys") as there:
            with here.writing(), pytest.raises(WorkspaceBusyError):
                there.add_knowledge(write_pack(tmp_path / "pack"))
            assert there.add_knowledge(tmp_path / "pack").new > 0
            assert here.add_knowledge(tmp_path / "pack").new == 0
