"""How fast STIX objects come in, and what that takes: `aleat add knowledge` from start to end, twice, beside `stix2`.

    python benchmarks/knowledge.py [--objects N ...] [--sample N] [--output docs/benchmarks-knowledge.md]

The bundles are made here, seeded: indicators with patterns over addresses, domains, URLs and hashes, malware,
relationships and observables, no two alike. Each command is a process of its own; its CPU time and the greatest
resident memory of any of its processes are what the system says of it when it ends (`wait4`). `stix2` parses a sample
of the same objects in the same run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_IDENTITY = "identity--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"
_GREEN = "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"


@dataclass(frozen=True)
class Run:
    """One process: what it did, with how many objects, wall and CPU seconds, greatest memory of a process in MiB."""

    name: str
    count: int
    wall: float
    cpu: float
    peak: int

    def line(self, beside: str = "") -> str:
        rate = f"{self.count / self.cpu:,.0f}" if self.count else ""
        cells = (self.name, f"{self.count:,}", f"{self.wall:.2f}", f"{self.cpu:.2f}", rate, f"{self.peak:,}", beside)
        return f"| {' | '.join(cells)} |"


def objects(count: int) -> Iterator[dict[str, Any]]:
    """Yield STIX 2.1 objects, seeded: of ten, six indicators, one malware, two relationships, one observable."""
    chance = random.Random(8)
    last = ""
    for number in range(count):
        kind = number % 10
        stamp = f"2022-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}T{number % 24:02}:00:00.{number % 1000:03}Z"
        common = {"spec_version": "2.1", "created": stamp, "modified": stamp, "created_by_ref": _IDENTITY}
        id_ = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        if kind < 6:
            value = f"198.51.{number % 256}.{chance.randint(0, 255)}" if kind % 2 else f"n{number}.example.org"
            type_ = "ipv4-addr" if kind % 2 else "domain-name"
            last = f"indicator--{id_}"
            yield {
                "type": "indicator",
                "id": last,
                **common,
                "name": f"Suspicious host {number}",
                "confidence": 70,
                "description": "Seen in a campaign against public services; treat hits as leads.",
                "indicator_types": ["malicious-activity"],
                "pattern": f"[{type_}:value = '{value}' OR file:hashes.'SHA-256' = '{chance.getrandbits(256):064x}']",
                "pattern_type": "stix",
                "valid_from": stamp,
                "labels": ["c2"],
                "object_marking_refs": [_GREEN],
            }
        elif kind == 6:
            yield {"type": "malware", "id": f"malware--{id_}", **common, "name": f"Family {number}", "is_family": True}
        elif kind < 9:
            refs = {"source_ref": last, "target_ref": f"malware--{id_}", "relationship_type": "indicates"}
            yield {"type": "relationship", "id": f"relationship--{id_}", **common, **refs}
        else:
            value = {"value": f"https://n{number}.example.net/{chance.getrandbits(40):x}"}
            yield {"type": "url", "spec_version": "2.1", "id": f"url--{id_}", **value}


def write_bundle(path: Path, count: int) -> None:
    """Write a bundle of `count` objects."""
    with path.open("w", encoding="utf-8") as file:
        file.write('{"type": "bundle", "id": "bundle--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f", "objects": [')
        for number, item in enumerate(objects(count)):
            file.write((", " if number else "") + json.dumps(item))
        file.write("]}")


def run(name: str, count: int, command: list[str], environment: dict[str, str]) -> Run:
    """Run a command to its end, and say what it took, its own processes included."""
    started = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    if status:
        raise SystemExit(f"{name} failed: {status}")
    return Run(name, count, wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024)


_STIX2 = """
import json, sys, stix2
for item in json.load(open(sys.argv[1]))["objects"]:
    stix2.parse(item, version="2.1")
"""
_STIX2_START = "import stix2"
_OURS = """
import sys
from pathlib import Path
from aleat.stix import parse_bundle
parse_bundle(Path(sys.argv[1]).read_bytes(), "b")
"""


def measure(folder: Path, counts: list[int], sample: int) -> Iterator[str]:
    """Yield the report, line by line."""
    environment = {**os.environ, "ALEAT_KEYS": str(folder / "keys"), "ALEAT_ACTOR": "benchmark"}
    python = sys.executable
    head = (python, "-m", "aleat")
    yield "| what | objects | wall s | CPU s | objects per CPU s | greatest process, MiB | |"
    yield "|---|---:|---:|---:|---:|---:|---|"
    write_bundle(folder / "sample.json", sample)
    begun = run("`aleat --version`: start alone", 0, [*head, "--version"], environment)
    yield begun.line()
    empty = run("`import stix2`: start alone", 0, [python, "-c", _STIX2_START], environment)
    yield empty.line()
    other = run("`stix2.parse` of a sample", sample, [python, "-c", _STIX2, str(folder / "sample.json")], environment)
    yield other.line()
    same = run("`parse_bundle` of the sample", sample, [python, "-c", _OURS, str(folder / "sample.json")], environment)
    yield same.line()
    parsing = (other.cpu - empty.cpu) / sample
    for count in counts:
        path = folder / f"{count}.json"
        write_bundle(path, count)
        case = str(folder / f"case-{count}")
        run("init", 0, [*head, "init", case], environment)
        command = [*head, "add", "knowledge", str(path), "-w", case, "-q"]
        first = run(f"`aleat add knowledge`, {path.stat().st_size / 1e6:,.0f} MB", count, command, environment)
        again = run("the same once more", count, command, environment)
        ours = (first.cpu - begun.cpu) / count
        size = (folder / f"case-{count}" / "aleat.db").stat().st_size / 1e6
        yield first.line(f"{parsing / ours:.0f} times less CPU than `stix2` needs to parse; database {size:,.0f} MB")
        yield again.line(f"{again.cpu / first.cpu:.0%} of the first's CPU, {again.wall / first.wall:.0%} of its time")
        path.unlink()


def main() -> None:
    """Measure, and print or write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--sample", type=int, default=5_000)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    load = os.getloadavg()[0]
    lines = [
        "# STIX objects into a workspace",
        "",
        f"`python benchmarks/knowledge.py`, on {os.cpu_count()} processors ({platform.machine()}), Python "
        f"{platform.python_version()}; load when it began: {load:.1f}. Other work at the same time makes both times "
        "longer: the ratios are what to compare.",
        "",
    ]
    with tempfile.TemporaryDirectory() as folder:
        for line in measure(Path(folder), given.objects, given.sample):
            print(line, flush=True)
            lines.append(line)
    if given.output:
        given.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
