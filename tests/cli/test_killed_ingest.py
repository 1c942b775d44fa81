"""kill -9 at twenty random moments of an ingest, then again: every byte is that of a run that nobody disturbed."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from aleat import Workspace
from tests.cli.command import aleat
from tests.cli.test_process import many_logs, start, strike
from tests.workspace.samples import access_log, evtx, json_lines, zipped

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(os.name == "nt", reason="signals of POSIX"),
]

KILLS = 20
FEWER = 8
TIME = datetime(2022, 7, 20, 12, tzinfo=UTC)
TABLES = ("sources", "ranges", "segments", "coverage", "evidence_issues", "ledger_entries")


def everything(folder: Path) -> Path:
    """Logs of every kind that an ingest treats its own way: of many ranges, broken, twice there, in archives, none."""
    many_logs(folder, 24)
    rng = random.Random(7)  # noqa: S311
    noise = [rng.randbytes(24).hex() for _ in range(997)]
    line = '198.51.100.{} - - [15/Jul/2022:{:02}:{:02}:{:02} +0000] "GET /{}/{} HTTP/1.1" 200 5 "-" "-"\n'
    with (folder / "large_access.log").open("w") as file:
        for n in range(340_000):
            file.write(line.format(n % 50, n // 3600 % 24, n // 60 % 60, n % 60, noise[n % 997], n))
    damaged = bytearray(evtx(host="damaged.example"))
    damaged[4096 + 700] ^= 0xFF
    (folder / "damaged.evtx").write_bytes(bytes(damaged))
    (folder / "broken_access.log").write_bytes(access_log(40) + b"nothing of the kind\n" + access_log(5))
    (folder / "copy.evtx").write_bytes((folder / "000.evtx").read_bytes())
    inner = zipped({"in/pc7.jsonl": json_lines(host="pc7.example"), "in/pc8.evtx": evtx(host="pc8.example")})
    (folder / "outer.zip").write_bytes(zipped({"inner.zip": inner, "web_access.log": access_log(70)}))
    (folder / "notes.txt").write_text("nothing to see\n")
    (folder / "empty.log").write_bytes(b"")
    return folder


def contents(case: Path) -> dict[str, object]:
    """All that an ingest leaves: files byte for byte, rows value for value."""
    files = {
        path.relative_to(case).as_posix(): path.read_bytes()
        for folder in ("segments", "evidence")
        for path in (case / folder).iterdir()
    }
    with closing(sqlite3.connect(case / "aleat.db")) as connection:
        rows = {name: connection.execute(f"SELECT * FROM {name} ORDER BY rowid").fetchall() for name in TABLES}  # noqa: S608
    return {**files, **rows}


@pytest.mark.parametrize(("workers", "more"), [(1, ()), (2, ()), (2, ("--copy",))], ids=["one", "two", "two, copying"])
def test_killed_at_twenty_moments_it_ends_as_if_nobody_had(tmp_path: Path, workers: int, more: tuple[str, ...]) -> None:
    """The same segments, each byte for byte, the same rows, the same ledger to its last signature."""
    keys, empty = tmp_path / "keys", tmp_path / "empty"
    logs = everything(tmp_path / "logs")
    Workspace.init(empty, key_folder=keys, actor="agim", clock=lambda: TIME).close()
    command = ("add", "evidence", logs, "--reference-time", TIME.isoformat(), "--workers", workers, *more, "-q", "-w")

    quiet = tmp_path / "quiet"
    shutil.copytree(empty, quiet)
    begun = time.monotonic()
    done = aleat(*command, quiet, keys=keys)
    span = time.monotonic() - begun
    assert done.code == 3, done.said
    expected = contents(quiet)
    segments = len(list((quiet / "segments").iterdir()))
    assert segments > 30

    rng = random.Random(workers + len(more))  # noqa: S311
    caught: list[int] = []
    tried = 0
    kills = FEWER if more else KILLS
    while len(caught) < kills:
        tried += 1
        assert tried < 3 * kills, "most kills came too late"
        case = tmp_path / f"case{tried}"
        shutil.copytree(empty, case)
        moment = time.monotonic() + rng.uniform(0.3, 0.97) * span
        process = start(*command, case, keys=keys)
        code, said = strike(process, lambda moment=moment: time.monotonic() > moment, signal.SIGKILL)
        assert code in (3, -signal.SIGKILL), said
        if code == 3:  # this time it was quicker
            assert contents(case) == expected
            span *= 0.97
        else:
            with Workspace.open(case, key_folder=keys, actor="agim", clock=lambda: TIME) as ws:
                found = ws.verify()
                assert found.faults == ()
                caught.append(found.segments)
                ws.add_evidence(logs, workers=workers if len(caught) % 4 == 0 else 1, copy=bool(more))
                assert contents(case) == expected, f"killed with {caught[-1]} of {segments} segments"
        shutil.rmtree(case)
    assert len(set(caught)) > 2, f"the kills fell at different moments: {caught}"
    assert any(0 < count < segments for count in caught), caught


def test_one_ingest_killed_again_and_again_ends_the_same(tmp_path: Path) -> None:
    """Each run goes on where the last one died; what is there is never read into another segment."""
    keys, case = tmp_path / "keys", tmp_path / "case"
    logs = everything(tmp_path / "logs")
    Workspace.init(case, key_folder=keys, actor="agim", clock=lambda: TIME).close()
    quiet = tmp_path / "quiet"
    shutil.copytree(case, quiet)
    command = ("add", "evidence", logs, "--reference-time", TIME.isoformat(), "-q", "-w")
    begun = time.monotonic()
    assert aleat(*command, quiet, "--workers", 2, keys=keys).code == 3
    span = time.monotonic() - begun
    rng = random.Random(11)  # noqa: S311
    for number in range(FEWER):
        moment = time.monotonic() + rng.uniform(0.3, 0.7) * span
        process = start(*command, case, "--workers", 1 + number % 2, keys=keys)
        strike(process, lambda moment=moment: time.monotonic() > moment, signal.SIGKILL)
        with Workspace.open(case, key_folder=keys, actor="agim") as ws:
            assert ws.verify().faults == ()
    assert aleat(*command, case, keys=keys).code == 3
    assert contents(case) == contents(quiet)


def test_a_forgetting_that_is_killed_is_ended_by_the_next_call(tmp_path: Path) -> None:
    """An archive of many members, killed at random moments: `verify` names at most files that are left, until then."""
    keys, case = tmp_path / "keys", tmp_path / "case"
    names = [f"m{number:02}_access.log" for number in range(40)]
    (tmp_path / "many.zip").write_bytes(zipped({name: access_log(20 + n) for n, name in enumerate(names)}))
    with Workspace.init(case, key_folder=keys, actor="agim") as ws:
        ws.add_evidence(tmp_path / "many.zip", copy=True)
        ws.hunt(workers=1)
    quiet = tmp_path / "quiet"
    shutil.copytree(case, quiet)
    command = ("forget", "many.zip", "--reason", "court", "-w")
    begun = time.monotonic()
    assert aleat(*command, quiet, keys=keys).code == 0
    span = time.monotonic() - begun
    rng = random.Random(5)  # noqa: S311
    for _ in range(5):
        moment = time.monotonic() + rng.uniform(0.4, 0.95) * span
        process = start(*command, case, keys=keys)
        strike(process, lambda moment=moment: time.monotonic() > moment, signal.SIGKILL)
        with Workspace.open(case, key_folder=keys, actor="agim") as ws:
            assert {fault.what for fault in ws.verify().faults} <= {"forgotten-remains"}
    assert aleat(*command, case, keys=keys).code == 0
    with Workspace.open(case, key_folder=keys, actor="agim") as ws:
        found = ws.verify()
        assert (found.faults, found.sources, found.forgotten) == ((), 0, 40)
    assert not list((case / "segments").iterdir())
    assert not list((case / "evidence").iterdir())
