"""How fast evidence is read: events per CPU second and peak memory, for each reader and for a whole ingest.

Run: ``python benchmarks/evidence.py [--data FOLDER] [--megabytes N]``. The web and JSON logs are made here;
EVTX comes from FOLDER/evtx (its sound chunks, joined to one file of N megabytes), and is left out without it.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import struct
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

from aleat.errors import Issue
from aleat.evidence import Source, ingest, open_sources, read_batches
from aleat.store.database import Database
from aleat.store.lake import Lake
from aleat.trust.keys import SigningKey

START = datetime(2022, 7, 1, tzinfo=UTC)


def write_iis(path: Path, size: int, rng: random.Random, distinct: int = 100_000) -> None:
    """`distinct`: how many values the numbers in queries and command lines have."""
    fields = "date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) sc-status"
    with path.open("w", encoding="ascii") as file:
        file.write(f"#Software: Microsoft Internet Information Services 10.0\n#Fields: {fields}\n")
        number = 0
        while file.tell() < size:
            for _ in range(1000):
                number += 1
                moment = START + timedelta(seconds=number / 3)
                agent = f"Mozilla/5.0+(Windows+NT+10.0;+rv:{rng.randrange(40)}.0)+Gecko/20100101+Firefox/102.0"
                file.write(
                    f"{moment:%Y-%m-%d %H:%M:%S} 10.1.2.{rng.randrange(4)} GET /portal/page{rng.randrange(300)}.aspx "
                    f"id={rng.randrange(distinct)} 443 - 198.51.{rng.randrange(100)}.{rng.randrange(256)} {agent} 200\n"
                )


def write_access(path: Path, size: int, rng: random.Random, distinct: int = 100_000) -> None:
    with path.open("w", encoding="ascii") as file:
        number = 0
        while file.tell() < size:
            for _ in range(1000):
                number += 1
                moment = START + timedelta(seconds=number / 3)
                file.write(
                    f"198.51.{rng.randrange(100)}.{rng.randrange(256)} - - [{moment:%d/%b/%Y:%H:%M:%S} +0200] "
                    f'"GET /page{rng.randrange(300)}?id={rng.randrange(distinct)} HTTP/1.1" 200 {rng.randrange(90000)} '
                    f'"https://portal.example/{rng.randrange(50)}" "Mozilla/5.0 (rv:{rng.randrange(40)}.0) Gecko"\n'
                )


def write_json(path: Path, size: int, rng: random.Random, distinct: int = 100_000) -> None:
    with path.open("wb") as file:
        number = 0
        while file.tell() < size:
            number += 1
            moment = START + timedelta(seconds=number / 3)
            system = {
                "Provider": {"#attributes": {"Name": "Microsoft-Windows-Sysmon"}},
                "EventID": 1,
                "Level": 4,
                "TimeCreated": {"#attributes": {"SystemTime": f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}"}},
                "EventRecordID": number,
                "Execution": {"#attributes": {"ProcessID": 1200, "ThreadID": 1600}},
                "Channel": "Microsoft-Windows-Sysmon/Operational",
                "Computer": f"host{rng.randrange(12)}.example",
            }
            data = {
                "Image": f"C:\\Program Files\\App{rng.randrange(200)}\\run.exe",
                "CommandLine": f"run.exe --task {rng.randrange(max(distinct // 10, 1))} --quiet",
                "ParentImage": "C:\\Windows\\explorer.exe",
                "ProcessId": rng.randrange(65000),
                "User": f"EXAMPLE\\user{rng.randrange(90)}",
                "Hashes": f"SHA256={rng.randrange(500):064x}",
                "UtcTime": f"{moment:%Y-%m-%d %H:%M:%S}",
            }
            file.write(orjson.dumps({"Event": {"System": system, "EventData": data}}) + b"\n")


def write_evtx(path: Path, size: int, folder: Path) -> None:
    chunks = []
    for source in sorted(folder.rglob("*.evtx")):
        data = source.read_bytes()
        starts = range(4096, len(data), 65536)
        chunks += [data[start : start + 65536] for start in starts if data[start : start + 8] == b"ElfChnk\0"]
    chunks *= max(size // (65536 * len(chunks)), 1)
    head = b"ElfFile\0" + struct.pack("<QQQIHHHH", 0, 0, 1, 128, 1, 3, 4096, len(chunks))
    head = head.ljust(124, b"\0")
    with path.open("wb") as file:
        file.write((head + struct.pack("<I", zlib.crc32(head[:120]))).ljust(4096, b"\0"))
        file.writelines(chunks)


def read_all(path: Path) -> int:
    issues: list[Issue] = []
    events = 0
    for source in open_sources([path]):
        if isinstance(source, Source):
            events += sum(batch.table.num_rows for batch in read_batches(source, issues))
    return events


def timed(name: str, work: Callable[[], int]) -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    events = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    rate = f"{events / cpu:>10,.0f} events/s CPU"
    print(f"{name:<28}{events:>10,} events {cpu:>8.2f} s CPU {wall:>8.2f} s {rate} {peak:>6} MB peak")


def inputs(folder: Path, size: int, data: Path) -> Iterator[Path]:
    rng = random.Random(7)
    for name, write in (("iis.log", write_iis), ("access.log", write_access), ("events.jsonl", write_json)):
        write(folder / name, size, rng)
        yield folder / name
    if (data / "evtx").is_dir():
        write_evtx(folder / "joined.evtx", size, data / "evtx")
        yield folder / "joined.evtx"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("ALEAT_TEST_DATA", beside)))
    parser.add_argument("--megabytes", type=int, default=64)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = list(inputs(folder, arguments.megabytes * 1024 * 1024, arguments.data))
        for path in made:
            timed(f"read {path.name}", lambda path=path: read_all(path))
        if (arguments.data / "evtx").is_dir():
            timed("read evtx/ (small files)", lambda: read_all(arguments.data / "evtx"))
        database = Database.at(folder / "bench.sqlite")
        database.create_tables()
        lake = Lake(folder, database)
        time_of = {"actor": "benchmark", "time": START, "key": SigningKey.generate(), "given_by": "benchmark"}
        timed("ingest all of it", lambda: ingest(made, lake, **time_of).events)
        database.close()


if __name__ == "__main__":
    main()
