"""A disk that is full at any moment: a clear error, nothing half, the workspace opens; with room it goes on."""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from aleat import Workspace
from aleat.errors import WorkspaceError
from tests.workspace.conftest import Built
from tests.workspace.samples import access_log, write_logs, zipped

resource = pytest.importorskip("resource", reason="limits of POSIX")

TIME = datetime(2022, 7, 20, 12, tzinfo=UTC)


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes: a write fails there as it does on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


def opened(built: Built) -> Workspace:
    """The case with a clock that stands still."""
    return Workspace.open(built.folder, actor="agim", key_folder=built.keys, clock=lambda: TIME)


def state(folder: Path) -> dict[str, bytes]:
    """The files that an ingest leaves."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for name in ("segments", "evidence")
        for path in (folder / name).iterdir()
    }


@pytest.fixture
def prepared(tmp_path: Path) -> Built:
    """An empty case, and logs that need room in every place that an ingest writes to."""
    logs = write_logs(tmp_path / "logs")
    (logs / "old.zip").write_bytes(zipped({"in/a_access.log": access_log(400)}))
    built = Built(tmp_path / "case", tmp_path / "keys", logs, tmp_path)
    Workspace.init(built.folder, actor="agim", key_folder=built.keys, clock=lambda: TIME).close()
    return built


def sizes(fast: bool) -> list[int]:
    """From hardly any room to nearly enough."""
    found = [1024]
    while found[-1] < 600_000:
        found.append(int(found[-1] * (2.6 if fast else 1.12)) + 7)
    return found


@pytest.mark.parametrize("fast", [True, pytest.param(False, marks=pytest.mark.long)])
@pytest.mark.parametrize("copy", [True, False])
def test_wherever_the_room_ends_it_is_told_and_goes_on(prepared: Built, fast: bool, copy: bool) -> None:
    """Segment, copy, database, its log: each time one error with advice, and a workspace in which everything fits."""
    if not copy:  # a segment that is larger than the database's log
        rng = random.Random(3)  # noqa: S311
        line = '198.51.100.7 - - [15/Jul/2022:08:00:00 +0000] "GET /{} HTTP/1.1" 200 1 "-" "-"\n'
        noise = "".join(line.format(rng.randbytes(30).hex()) for _ in range(2000))
        (prepared.logs / "00_access.log").write_text(noise)
    quiet = prepared.pack / "quiet"
    shutil.copytree(prepared.folder, quiet)
    with Workspace.open(quiet, actor="agim", key_folder=prepared.keys, clock=lambda: TIME) as ws:
        ws.add_evidence(prepared.logs, copy=copy)
        ledger = b"".join(ws.export_ledgers())
    said: set[str] = set()
    for size in sizes(fast):
        try:
            with room_for(size), opened(prepared) as ws:
                ws.add_evidence(prepared.logs, copy=copy)
        except WorkspaceError as error:
            said.add(str(error))
        with opened(prepared) as ws:
            assert ws.verify().faults == ()
        left = [path.name for path in prepared.folder.rglob(".*") if path.is_file()]
        assert not left, "nothing half is left"
    assert said
    assert all("make room" in text or "Is the disk full" in text for text in said), said
    assert fast or len({text.partition(":")[0] for text in said}) > 1, "it failed in several places"
    with opened(prepared) as ws:
        ws.add_evidence(prepared.logs, copy=copy)
        assert ws.verify().faults == ()
        assert b"".join(ws.export_ledgers()) == ledger
    assert state(prepared.folder) == state(quiet)


def test_forgetting_without_room_is_told_and_can_be_repeated(prepared: Built) -> None:
    """The transaction is whole or not there."""
    with opened(prepared) as ws:
        ws.add_evidence(prepared.logs, copy=True)
    with room_for(2000), pytest.raises(WorkspaceError, match="Is the disk full"), opened(prepared) as ws:
        ws.forget("pc1.evtx", "retention")
    with opened(prepared) as ws:
        assert (ws.verify().faults, ws.verify().forgotten) == ((), 0)
        assert ws.forget("pc1.evtx", "retention").segments == 1
        assert ws.verify().faults == ()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the administrator may write anywhere")
def test_a_folder_that_may_not_be_written_to_is_told(prepared: Built) -> None:
    """Not only room can lack."""
    folder = prepared.folder / "segments"
    folder.chmod(0o500)
    try:
        with pytest.raises(WorkspaceError, match="can't be written"), opened(prepared) as ws:
            ws.add_evidence(prepared.logs)
    finally:
        folder.chmod(0o700)
    with opened(prepared) as ws:
        assert ws.verify().faults == ()
