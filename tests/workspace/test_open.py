"""A workspace is made, opened, refused, migrated, and written to by one process at a time."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from aleat import Workspace
from aleat.errors import FormatVersionError, TrustError, WorkspaceBusyError, WorkspaceError
from aleat.store.files import temporary_path
from aleat.workspace import config
from aleat.workspace.config import CONFIG_NAME, FORMAT
from tests.workspace.conftest import Built
from tests.workspace.samples import write_logs


def rewrite(folder: Path, name: str, value: str) -> None:
    """Change one setting of a workspace's file."""
    path = folder / CONFIG_NAME
    path.write_text(re.sub(rf"(?m)^{name} = .*$", f"{name} = {value}", path.read_text()))


def test_a_new_workspace_opens_and_has_its_keys_elsewhere(tmp_path: Path) -> None:
    """What `init` makes, `open` opens; private keys lie in no workspace."""
    keys = tmp_path / "keys"
    with Workspace.init(
        tmp_path / "case", organisation="Team South", country="AL", key_folder=keys, actor="agim"
    ) as ws:
        assert ws.config.organisation == "Team South"
        assert ws.config.country == "AL"
    with Workspace.open(tmp_path / "case", key_folder=keys, actor="besa") as ws:
        assert ws.actor == "besa"
        assert ws.people() == {"agim": ("analyst", "releaser", "administrator")}
        assert ws.verify().faults == ()
    assert not [path for path in (tmp_path / "case").rglob("*") if path.is_file() and b"PRIVATE" in path.read_bytes()]
    assert {path.suffix for path in keys.iterdir()} == {".pem", ".age"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in keys.iterdir())


@pytest.mark.parametrize("name", ["absent", "a-file", "no-workspace"])
def test_a_folder_that_is_no_workspace_is_named_with_advice(tmp_path: Path, name: str) -> None:
    """The message says which folder, and how a workspace is made."""
    (tmp_path / "a-file").write_text("x")
    (tmp_path / "no-workspace").mkdir()
    with pytest.raises(WorkspaceError, match=name) as error:
        Workspace.open(tmp_path / name)
    assert name == "a-file" or "aleat init" in str(error.value)


def test_a_newer_format_is_refused_with_advice(workspace: Workspace) -> None:
    """Nothing is read that this Aleat can't understand."""
    rewrite(workspace.folder, "format", str(FORMAT + 1))
    with pytest.raises(FormatVersionError, match="newer Aleat") as error:
        Workspace.open(workspace.folder, key_folder=workspace.key_folder)
    assert str(workspace.folder) in str(error.value)
    assert f"format {FORMAT + 1}" in str(error.value)


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [("format", '"one"', "format"), ("zone", '"Tirana"', "Tirana"), ("organisation", "7", "organisation")],
)
def test_a_wrong_setting_is_named(workspace: Workspace, setting: str, value: str, said: str) -> None:
    """The message names the file and the setting."""
    rewrite(workspace.folder, setting, value)
    with pytest.raises(WorkspaceError, match=said) as error:
        Workspace.open(workspace.folder, key_folder=workspace.key_folder)
    assert CONFIG_NAME in str(error.value)


def test_a_damaged_settings_file_is_named(workspace: Workspace) -> None:
    """A file that is no TOML is an error with the file's name, not a traceback."""
    (workspace.folder / CONFIG_NAME).write_bytes(b"format = \xff\xfe")
    with pytest.raises(WorkspaceError, match=CONFIG_NAME):
        Workspace.open(workspace.folder)


def test_init_takes_no_folder_that_holds_something(workspace: Workspace, tmp_path: Path) -> None:
    """Neither another workspace nor anybody's files are written over."""
    with pytest.raises(WorkspaceError, match="workspace already"):
        Workspace.init(workspace.folder)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_bytes(b"x")
    with pytest.raises(WorkspaceError, match="not empty"):
        Workspace.init(tmp_path / "photos")
    assert (tmp_path / "photos" / "one.jpg").read_bytes() == b"x"


@pytest.mark.parametrize("missing", [1, 2, 3, 4, 5, 6])
def test_an_init_that_was_cut_off_can_be_repeated(workspace: Workspace, missing: int) -> None:
    """`aleat.toml` is written last: without it, what is there is the rest of an `init`, and is made again."""
    parts = [CONFIG_NAME, "corpora.toml.jws", "corpora.toml", "aleat.db", "segments", "reports"]
    for name in parts[:missing]:
        path = workspace.folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    temporary_path(workspace.folder / CONFIG_NAME).write_bytes(b"half")
    with Workspace.init(workspace.folder, key_folder=workspace.key_folder, actor="agim") as again:
        found = again.verify()
    assert found.faults == ()
    assert found.entries == 2, "the cut init's entries are gone"


def test_a_workspace_without_its_keys_says_where_they_are_looked_for(workspace: Workspace, tmp_path: Path) -> None:
    """Reading goes on without keys; what must be signed says which key is wanted, and how to give it."""
    logs = write_logs(tmp_path / "logs")
    with Workspace.open(workspace.folder, key_folder=tmp_path / "none") as ws:
        assert ws.verify().faults == ()
        with pytest.raises(TrustError, match="ALEAT_KEYS"):
            ws.add_evidence(logs)


def test_the_second_writer_is_told(workspace: Workspace, tmp_path: Path) -> None:
    """One writer, many readers: who comes second waits a little, gets an error, and can read meanwhile."""
    logs = write_logs(tmp_path / "logs")
    with Workspace.open(workspace.folder, key_folder=workspace.key_folder) as other:
        with workspace.writing(), pytest.raises(WorkspaceBusyError, match="Another process"):
            other.add_evidence(logs)
        with workspace.writing():
            assert other.verify().faults == ()
        assert other.add_evidence(logs).sources == 3, "the lock is free again"


def test_an_older_format_is_migrated_step_by_step_and_backed_up(
    built: Built, copy_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step takes settings from one format to the next; file and database from before are kept."""
    steps: list[int] = []

    def from_minus_one(folder: Path, values: dict[str, Any]) -> dict[str, Any]:
        steps.append(-1)
        return {"organisation": values.pop("team"), **values}

    def from_zero(folder: Path, values: dict[str, Any]) -> dict[str, Any]:
        steps.append(0)
        return {**values, "zone": "Europe/Tirane"}

    old = copy_of().folder
    rewrite(old, "format", "-1")
    path = old / CONFIG_NAME
    path.write_text(path.read_text().replace("organisation =", "team ="))
    before, database = path.read_bytes(), (old / "aleat.db").read_bytes()
    monkeypatch.setitem(config.MIGRATIONS, -1, from_minus_one)
    monkeypatch.setitem(config.MIGRATIONS, 0, from_zero)
    with Workspace.open(old, key_folder=built.keys, actor="agim") as ws:
        assert ws.config.organisation == "Team South"
        assert ws.config.zone == "Europe/Tirane"
        assert ws.verify().faults == ()
    assert steps == [-1, 0]
    assert (old / f"{CONFIG_NAME}.format--1").read_bytes() == before
    assert (old / "aleat.db.format--1").read_bytes() == database
    with Workspace.open(old, key_folder=built.keys) as ws:
        assert ws.config.format == FORMAT
    assert steps == [-1, 0], "it is migrated once"


def test_a_migration_that_failed_half_way_is_repeated_and_keeps_the_first_backup(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The format's number changes last; what was backed up first is never written over."""

    def fails(folder: Path, values: dict[str, Any]) -> dict[str, Any]:
        (folder / "corpora.toml").write_text("half-way")
        raise WorkspaceError("the disk is full")

    old = workspace.folder
    rewrite(old, "format", "0")
    before = (old / CONFIG_NAME).read_bytes()
    monkeypatch.setitem(config.MIGRATIONS, 0, fails)
    with pytest.raises(WorkspaceError, match="disk is full"):
        Workspace.open(old)
    assert (old / CONFIG_NAME).read_bytes() == before
    monkeypatch.setitem(config.MIGRATIONS, 0, lambda folder, values: values)
    assert Workspace.open(old).config.format == FORMAT
    assert (old / f"{CONFIG_NAME}.format-0").read_bytes() == before
    assert (old / f"{CONFIG_NAME}.format-0.1").read_bytes() == before


def test_a_format_from_which_no_way_leads_is_refused_unchanged(workspace: Workspace) -> None:
    """The message says from where there is no way; the settings stay as they are."""
    rewrite(workspace.folder, "format", "0")
    before = (workspace.folder / CONFIG_NAME).read_bytes()
    with pytest.raises(FormatVersionError, match="no way from 0"):
        Workspace.open(workspace.folder)
    assert (workspace.folder / CONFIG_NAME).read_bytes() == before


@pytest.mark.parametrize("name", ["what?", "100%20#1", "a&b;c", "Ministria e Punëve"])
def test_a_workspace_may_have_any_name(tmp_path: Path, name: str) -> None:
    """Its database lies in it, and nothing beside it."""
    with Workspace.init(tmp_path / name, key_folder=tmp_path / "keys") as ws:
        assert ws.verify().faults == ()
    assert (tmp_path / name / "aleat.db").is_file()
    assert {path.name for path in tmp_path.iterdir()} == {name, "keys"}
