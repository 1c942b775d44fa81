"""The command as a process: killed, interrupted, with a full disk, a reader that leaves; it goes on afterwards."""

from __future__ import annotations

import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from aleat import Workspace
from tests.cli.command import aleat, environment
from tests.workspace.samples import access_log, evtx, json_lines, write_logs, write_pack

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and limits of POSIX")


def many_logs(folder: Path, count: int) -> Path:
    """Write `count` different logs of three kinds."""
    folder.mkdir()
    for number in range(count):
        host = f"pc{number}.example"
        kind = number % 3
        if kind == 0:
            (folder / f"{number:03}.evtx").write_bytes(evtx(bad=number % 2 == 0, host=host))
        elif kind == 1:
            (folder / f"{number:03}.jsonl").write_bytes(json_lines(bad=number % 2 == 0, host=host))
        else:
            (folder / f"{number:03}_access.log").write_bytes(access_log(60 + number, bad=number % 2 == 0))
    return folder


def segments(folder: Path) -> int:
    """How many segments are committed."""
    try:
        with closing(sqlite3.connect(f"file:{folder / 'aleat.db'}?mode=ro", uri=True, timeout=5)) as connection:
            return int(connection.execute("SELECT count(*) FROM segments").fetchone()[0])
    except sqlite3.Error:
        return -1


def start(*arguments: object, keys: Path) -> subprocess.Popen[bytes]:
    """Start the command in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "aleat", *map(str, arguments)],
        env=environment(keys),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def strike(process: subprocess.Popen[bytes], when: Callable[[], bool], number: int) -> tuple[int, str]:
    """Send a signal to the whole group as soon as `when`, and return exit code and standard error."""
    deadline = time.monotonic() + 60
    while process.poll() is None and not when():
        assert time.monotonic() < deadline, "it made no progress"
        time.sleep(0.002)
    if process.poll() is None:
        os.killpg(process.pid, number)
    _, said = process.communicate(timeout=60)
    return process.returncode, said.decode()


def outcome(folder: Path, keys: Path) -> tuple[str, list[tuple[object, ...]]]:
    """The lake's identity, and all sightings by what they say, where they stand."""
    with Workspace.open(folder, key_folder=keys, actor="agim") as ws:
        found = ws.verify()
        assert found.faults == (), found.faults
        sightings = ws.hunt(workers=1).sightings
    rows = [
        (sighting.indicator, Path(sighting.evidence).name, sighting.record, sighting.offset, sighting.event)
        for sighting in sightings
    ]
    return found.lake, sorted(rows, key=str)


LOGS = 120
"""Many small logs, so that a kill or an interrupt falls between two commits on a fast machine too."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, tuple[str, list[tuple[object, ...]]]]:
    """Logs and a pack, and what a run over them gives that nobody disturbs."""
    root = tmp_path_factory.mktemp("undisturbed")
    logs, pack = many_logs(root / "logs", LOGS), write_pack(root / "pack")
    with Workspace.init(root / "case", key_folder=root / "keys", actor="agim") as ws:
        ws.add_knowledge(pack)
        ws.add_evidence(logs)
    return logs, pack, outcome(root / "case", root / "keys")


@pytest.mark.parametrize(
    "after", [pytest.param(0, marks=pytest.mark.long), pytest.param(1, marks=pytest.mark.long), 12]
)
def test_killed_while_adding_evidence_it_goes_on(
    tmp_path: Path, undisturbed: tuple[Path, Path, tuple[str, list[tuple[object, ...]]]], after: int
) -> None:
    """kill -9 after some segments: what was committed stays, and the same command again gives the same lake."""
    logs, pack, expected = undisturbed
    keys, case = tmp_path / "keys", tmp_path / "case"
    with Workspace.init(case, key_folder=keys, actor="agim") as ws:
        ws.add_knowledge(pack)
    process = start("add", "evidence", logs, "-w", case, keys=keys)
    code, _ = strike(
        process, lambda: segments(case) > after or (after == 0 and (case / "lock").exists()), signal.SIGKILL
    )
    assert code == -signal.SIGKILL
    before = segments(case)
    assert before < LOGS, "the kill came too late to show anything"
    with Workspace.open(case, key_folder=keys, actor="agim") as ws:
        assert ws.verify().faults == ()
        added = ws.add_evidence(logs)
    assert added.segments == LOGS - before, "only what was missing is read again"
    assert outcome(case, keys) == expected


def test_interrupted_it_says_so_and_goes_on(
    tmp_path: Path, undisturbed: tuple[Path, Path, tuple[str, list[tuple[object, ...]]]]
) -> None:
    """Ctrl-C: code 130, one line with advice, no traceback; the same command again ends the work."""
    logs, pack, expected = undisturbed
    keys, case = tmp_path / "keys", tmp_path / "case"
    with Workspace.init(case, key_folder=keys, actor="agim") as ws:
        ws.add_knowledge(pack)
    process = start("add", "evidence", logs, "-w", case, keys=keys)
    code, said = strike(process, lambda: segments(case) > 12, signal.SIGINT)
    assert code == 130
    assert "stopped" in said
    assert "run the same command again" in said
    assert "Traceback" not in said
    assert 12 < segments(case) < LOGS, "it was interrupted in its middle"
    again = aleat("add", "evidence", logs, "-w", case, keys=keys)
    assert again.code == 0
    assert outcome(case, keys) == expected


@pytest.mark.long
def test_killed_at_random_moments_of_investigate_it_goes_on(tmp_path: Path) -> None:
    """Eight kills at moments drawn by a seed, two workers: the answer and the lake are those of one quiet run."""
    logs, pack = many_logs(tmp_path / "logs", LOGS), write_pack(tmp_path / "pack")
    keys = tmp_path / "keys"
    started = time.monotonic()
    quiet = aleat("investigate", logs, pack, "-w", tmp_path / "quiet", keys=keys)
    span = time.monotonic() - started
    assert quiet.code == 0
    expected = outcome(tmp_path / "quiet", keys)
    rng = random.Random(2022)  # noqa: S311
    killed = 0
    case = tmp_path / "case"
    for _ in range(30):
        begun = time.monotonic()
        moment = begun + rng.uniform(0.1, 0.9) * span
        process = start("investigate", logs, pack, "-w", case, "--workers", "2", keys=keys)
        code, said = strike(process, lambda moment=moment: time.monotonic() > moment, signal.SIGKILL)
        assert code in (0, -signal.SIGKILL), said
        if code == 0:  # what is left to do gets less from run to run
            span = time.monotonic() - begun
        killed += code != 0
        if (case / "aleat.toml").exists():
            with Workspace.open(case, key_folder=keys, actor="agim") as ws:
                assert ws.verify().faults == ()
        if killed == 8:
            break
    assert killed == 8
    last = aleat("investigate", logs, pack, "-w", case, keys=keys)
    assert last.code == 0
    assert last.out.split("Yes,")[1].split("Report:")[0] == quiet.out.split("Yes,")[1].split("Report:")[0]
    assert outcome(case, keys) == expected
    assert not [path for path in case.rglob("*") if ".part" in path.name or path.name.endswith(".tmp")]


@pytest.mark.parametrize("how", ["reference", pytest.param("copy", marks=pytest.mark.long)])
def test_a_full_disk_is_told_and_costs_nothing(tmp_path: Path, how: str) -> None:
    """A file that may not grow stands for the full disk: code 1, one line with advice; with room it goes on."""
    keys, case = tmp_path / "keys", tmp_path / "case"
    logs = write_logs(tmp_path / "logs")
    with Workspace.init(case, key_folder=keys, actor="agim") as ws:
        ws.add_evidence(logs)
        before = ws.verify().lake
    big = tmp_path / "big"
    big.mkdir()
    rng = random.Random(1)  # noqa: S311
    noise = b"".join(
        b'198.51.100.7 - - [15/Jul/2022:08:%02d:%02d +0000] "GET /%s HTTP/1.1" 200 1 "-" "-"\n'
        % (number // 60 % 60, number % 60, rng.randbytes(30).hex().encode())
        for number in range(8000)
    )
    (big / "big_access.log").write_bytes(noise)

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))

    more = ("--copy",) if how == "copy" else ()
    ran = aleat("add", "evidence", big, *more, "-w", case, keys=keys, preexec_fn=limited)
    assert ran.code == 1
    assert "aleat: " in ran.err
    assert "make room" in ran.err
    assert "fault of Aleat" not in ran.said
    assert "Traceback" not in ran.said
    with Workspace.open(case, key_folder=keys, actor="agim") as ws:
        assert (ws.verify().faults, ws.verify().lake) == ((), before)
        assert ws.add_evidence(big, copy=how == "copy").events == 8000
        assert ws.verify().faults == ()


@pytest.mark.long
@pytest.mark.parametrize("arguments", [("init", "new"), ("report",)], ids=["init", "report"])
def test_a_full_disk_elsewhere_is_told_too(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """`init` and `report` with no room: one line, code 1, and with room it works."""
    keys = tmp_path / "keys"
    with Workspace.init(tmp_path / "case", key_folder=keys, actor="agim") as ws:
        ws.add_evidence(write_logs(tmp_path / "logs"))
    where = ("-w", "case") if arguments[0] != "init" else ()

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))

    ran = aleat(*arguments, *where, keys=keys, cwd=tmp_path, preexec_fn=limited)
    assert ran.code == 1
    assert ran.err.startswith("aleat: ")
    assert "fault of Aleat" not in ran.said
    assert aleat(*arguments, *where, keys=keys, cwd=tmp_path).code == 0


@pytest.mark.parametrize(
    ("shell", "code"),
    [
        ("-t jsonl | head -n 1", 0),
        pytest.param("-t jsonl > /dev/full", 1, marks=pytest.mark.long),
        pytest.param("-t table | head -c 0", 0, marks=pytest.mark.long),
        pytest.param("-t csv >&-", 0, marks=pytest.mark.long),
    ],
)
def test_a_reader_that_leaves_is_no_error(tmp_path: Path, shell: str, code: int) -> None:
    """`aleat hunt | head -1`, a closed and a full standard output: no traceback, whatever is printed."""
    keys, case = tmp_path / "keys", tmp_path / "case"
    with Workspace.init(case, key_folder=keys, actor="agim") as ws:
        ws.add_knowledge(write_pack(tmp_path / "pack"))
        ws.add_evidence(many_logs(tmp_path / "logs", 9))
    command = f"'{sys.executable}' -m aleat hunt -w '{case}' -q {shell}"
    done = subprocess.run(
        ["bash", "-c", f"{command}; echo code ${{PIPESTATUS[0]}} >&2"],
        env=environment(keys),
        capture_output=True,
        timeout=60,
        check=False,
    )
    said = done.stderr.decode()
    for never in ("Traceback", "Exception ignored", "fault of Aleat"):
        assert never not in said
    assert f"code {code}" in said


@pytest.mark.long
def test_the_second_writer_is_told_at_once(tmp_path: Path) -> None:
    """Another process holds the workspace: code 1, one line, no waiting."""
    keys, case = tmp_path / "keys", tmp_path / "case"
    logs = write_logs(tmp_path / "logs")
    with Workspace.init(case, key_folder=keys, actor="agim") as ws, ws.writing():
        ran = aleat("add", "evidence", logs, "-w", case, keys=keys, timeout=20)
        assert ran.code == 1
        assert "Another process is writing" in ran.err
        assert aleat("verify", "-w", case, keys=keys).code == 0


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_console_of_few_letters_is_told_all_the_same(tmp_path: Path, encoding: str) -> None:
    """What its code page can't hold is written as a number: Windows' consoles and pipes have such."""
    ran = subprocess.run(
        [sys.executable, "-m", "aleat", "init", str(tmp_path / "Ћ")],
        env=environment(tmp_path / "keys", PYTHONIOENCODING=encoding),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert rb"of \u040b;" in ran.stdout
