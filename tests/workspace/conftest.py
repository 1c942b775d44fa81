"""A small case, built once; tests that change a workspace work on copies."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from aleat import Workspace
from tests.workspace.samples import write_logs, write_pack


@dataclass(frozen=True)
class Built:
    """Where a case lies: its workspace, its keys, and what it was built from."""

    folder: Path
    keys: Path
    logs: Path
    pack: Path

    def open(self) -> Workspace:
        """Open the workspace."""
        return Workspace.open(self.folder, actor="agim", key_folder=self.keys)


def make(root: Path, *, copy: bool = False, hunt: bool = False) -> Built:
    """Build the small case below `root`."""
    built = Built(root / "case", root / "keys", write_logs(root / "logs"), write_pack(root / "pack"))
    with Workspace.init(built.folder, organisation="Team South", actor="agim", key_folder=built.keys) as ws:
        ws.add_knowledge(built.pack, giver="north")
        ws.add_evidence(built.logs, copy=copy)
        if hunt:
            ws.hunt(workers=1)
    return built


@pytest.fixture(autouse=True)
def _keys_of_the_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test touches the user's own keys."""
    monkeypatch.setenv("ALEAT_KEYS", str(tmp_path / "default-keys"))


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The small case, hunted, with copies of its evidence. Not to be changed."""
    return make(tmp_path_factory.mktemp("case"), copy=True, hunt=True)


@pytest.fixture
def copy_of(built: Built, tmp_path: Path) -> Callable[[], Built]:
    """Return a function that copies the small case, to be changed."""

    def copied() -> Built:
        folder = tmp_path / "copied"
        shutil.copytree(built.folder, folder)
        return Built(folder, built.keys, built.logs, built.pack)

    return copied


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """An empty workspace."""
    with Workspace.init(tmp_path / "empty", actor="agim", key_folder=tmp_path / "keys") as ws:
        yield ws
