"""How long a search takes in a lake of many rows, how large its index is, and how long that takes to make.

    python benchmarks/search.py [--millions 10 100] [--folder FOLDER] [--workers N] [--keep]

The lake is made of made-up web requests, table by table, and committed segment by segment as an ingest does (75,000
rows each: what 16 MiB of an access log hold); only the reading of text is left out. A value is planted in three of
its rows. Each question is asked in a process of its own, as the command is, and once more within it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from aleat import Workspace
from aleat.evidence.batch import FIXED_SCHEMA
from aleat.store.lake import Coverage, Custodian, Lake, RangeRow, SegmentDraft, SourceFacts
from aleat.store.lake_custody import Ending
from aleat.store.lake_files import write_segment_file
from aleat.workspace.evidence import open_lake

ROWS = 75_000
START = 1_656_633_600_000_000  # 2022-07-01
NEEDLE = "n=needle-7a41"
QUESTIONS = (
    ("a value in three rows", f'"{NEEDLE}"'),
    ("the same, its field named", f"query={NEEDLE}"),
    ("an address in one row of 3 million", "198.51.77.201"),
    ("a value that isn't there", "nowhere-at-all"),
    ("two terms", "remote_host=198.51.77.201 and status=404"),
    ("a value in every row, the first 100", "GET"),
    ("a wildcard in one field", "uri=*page-29*7*"),
)
_ASK = """
import json, sys, time
from datetime import datetime
started = time.perf_counter()
from pathlib import Path
from aleat import Workspace
folder, keys, what = sys.argv[1:]
times = [time.perf_counter() - started, time.process_time()]
with Workspace.open(folder, key_folder=Path(keys)) as ws:
    for _ in range(2):
        begun, spent = time.perf_counter(), time.process_time()
        found = ws.search(what, limit=100)
        hits = len(list(found))
        times += [time.perf_counter() - begun, time.process_time() - spent]
peak = next((int(line.split()[1]) // 1024 for line in open("/proc/self/status") if line.startswith("VmHWM")), 0)
print(json.dumps([hits, found.went.read, *times, peak]))
"""


def words(texts: list[str], codes: np.ndarray[Any, Any]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(texts))


def made_table(number: int, addresses: list[str], pages: list[str], agents: list[str]) -> pa.Table:
    rng = np.random.default_rng(number)
    times = START + (number * ROWS + np.arange(ROWS)) * 40_000
    queries = [f"n={value}" for value in rng.integers(0, 10**9, ROWS).tolist()]
    if number % 400 == 9:
        queries[ROWS // 2] = NEEDLE
    texts, codes = np.unique(np.array(queries), return_inverse=True)
    nothing = pa.nulls(ROWS, pa.dictionary(pa.int32(), pa.string()))
    sizes = [str(value) for value in range(40_000)]
    columns = {
        "time": pa.array(times, pa.timestamp("us", tz="UTC")),
        "time_text": pa.array(np.datetime_as_string(times.astype("datetime64[us]"), unit="s").tolist()),
        "host": words(["web1", "web2"], rng.integers(0, 2, ROWS)),
        "record": pa.array(range(ROWS), pa.int64()),
        "offset": pa.array(np.arange(ROWS) * 210),
        "record_id": pa.nulls(ROWS, pa.int64()),
        "provider": nothing,
        "event_id": nothing,
        "method|s": words(["GET", "POST"], (rng.random(ROWS) < 0.1).astype(int)),
        "remote_host|s": words(addresses, np.minimum(rng.zipf(1.1, ROWS), len(addresses)) - 1),
        "uri|s": words(pages, np.minimum(rng.zipf(1.3, ROWS), len(pages)) - 1),
        "query|s": words(texts.tolist(), codes),
        "status|i": words(["200", "302", "404", "500"], rng.choice(4, ROWS, p=[0.9, 0.05, 0.04, 0.01])),
        "bytes|i": words(sizes, rng.integers(0, len(sizes), ROWS)),
        "user_agent|s": words(agents, rng.integers(0, len(agents), ROWS)),
    }
    table = pa.table(columns)
    return table.cast(
        pa.schema([FIXED_SCHEMA.field(n) if n in FIXED_SCHEMA.names else table.field(n) for n in columns])
    )


def make_lake(ws: Workspace, lake: Lake, segments: int) -> None:
    rng = np.random.default_rng(1)
    addresses = [f"198.{51 + n // 65536}.{n // 256 % 256}.{n % 256}" for n in rng.permutation(120_000).tolist()]
    pages = [f"/portal/page-{n}.aspx" for n in range(5_000)]
    agents = [f"Mozilla/5.0 (X11; rv:{n}.0) Gecko/20100101" for n in range(300)]
    custodian = Custodian("benchmark", datetime(2022, 7, 1, tzinfo=UTC), ws.key)
    facts = SourceFacts("access.log", "access.log", (), "", "access", 1, "benchmark", False, {})
    lake.prepare()
    source = None
    for number in range(segments):
        table = made_table(number, addresses, pages, agents)
        temporary = lake.temporary_path(number)
        written = write_segment_file(temporary, [("access", "", table)])
        name = hashlib.sha256(f"segment {number}".encode()).hexdigest()
        first = START + number * ROWS * 40_000
        covered = Coverage("web1", "access", "", first, first + (ROWS - 1) * 40_000, ROWS)
        start, end = number * 2**24, (number + 1) * 2**24
        draft = SegmentDraft(
            id=name,
            start=start,
            end=end,
            temporary=str(temporary),
            data_sha256=name,
            file_sha256=written.sha256,
            file_size=written.size,
            events=ROWS,
            reader="access/1",
            coverage=(covered,),
            issues=(),
            encodings={"utf-8": ROWS},
        )
        row = RangeRow(number, start, end, name, ROWS)
        ending = Ending("0" * 64, segments * 2**24) if number == segments - 1 else None
        source = lake.commit(custodian, facts, source, [row], draft, ending)


def measure(millions: int, folder: Path, workers: int) -> None:
    segments = max(1, millions * 1_000_000 // ROWS)
    keys = folder / "keys"
    if not (folder / "case" / "aleat.toml").exists():
        with Workspace.init(folder / "case", actor="benchmark", key_folder=keys) as ws:
            begun = time.perf_counter()
            make_lake(ws, open_lake(ws), segments)
            print(f"made: {segments} segments in {time.perf_counter() - begun:.0f} s", flush=True)
    with Workspace.open(folder / "case", key_folder=keys) as ws:
        begun = time.perf_counter()
        state = ws.index(workers=workers)
        seconds = time.perf_counter() - begun
        held = sum(path.stat().st_size for path in (folder / "case" / "segments").iterdir())
    rows = segments * ROWS / 1e6
    print(f"\n{rows:.1f} million rows, {segments} segments of {held / rows / 1e6:.1f} MB a million rows", end="; ")
    print(f"index: {seconds:.0f} s with {workers} workers, {state.bytes / rows / 1e6:.1f} MB a million rows", end=", ")
    print(f"{state.parts} files\n")
    print("| question | hits | segments read | s, first (CPU) | s, again (CPU) | s to start (CPU) | MiB |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for name, what in QUESTIONS:
        command = [sys.executable, "-c", _ASK, str(folder / "case"), str(keys), what]
        done = subprocess.run(command, capture_output=True, check=True)
        hits, read, *times, peak = json.loads(done.stdout)
        shown = [f"{wall:.2f} ({cpu:.2f})" for wall, cpu in zip(times[2::2], times[3::2], strict=True)]
        print(
            f"| {name} | {hits} | {read} | {' | '.join(shown)} | {times[0]:.2f} ({times[1]:.2f}) | {peak} |", flush=True
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--millions", type=int, nargs="+", default=[10])
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--keep", action="store_true")
    given = parser.parse_args()
    for millions in given.millions:
        folder = (given.folder or Path(tempfile.mkdtemp())) / f"{millions}"
        folder.mkdir(parents=True, exist_ok=True)
        measure(millions, folder, given.workers)
        if not given.keep:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
