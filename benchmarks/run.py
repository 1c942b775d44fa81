"""How fast Aleat reads and hunts, in one command: every phase in a process of its own.

    python benchmarks/run.py [--rules FOLDER] [--evtx FOLDER] [--copies N] [--entries N] [--output docs/benchmarks.md]

Web and JSON logs are made here; EVTX is copied N times under changed names and times (see `replicate`). Rules
and EVTX come from the test data where they aren't given; without any, rules are made, and EVTX is left out.
Prints processor and cores, events a second (wall, and of CPU time), CPU seconds, peak memory, shares of phases.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import random
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from lists import Measured, list_table, measure_lists
from replicate import replicate

from aleat.errors import Place
from aleat.evidence import ingest
from aleat.hunt import Indicator, compile_plan, hunt_lake, hunt_paths, open_writer
from aleat.hunt.result import HuntResult
from aleat.store.database import Database
from aleat.store.lake import Lake
from aleat.trust.keys import SigningKey
from evidence import read_all, write_access, write_iis, write_json
from hunt import read_rules

TIME = datetime(2022, 7, 1, tzinfo=UTC)
NEW_RULES = 50


@dataclass
class Row:
    """One line of the table."""

    name: str
    events: int = 0
    wall: float = 0.0
    cpu: float = 0.0
    peak: int = 0
    shares: dict[str, float] = field(default_factory=dict)
    note: str = ""

    def line(self) -> str:
        rates = [f"{self.events / spent:,.0f}" if self.events and spent else "" for spent in (self.wall, self.cpu)]
        whole = sum(self.shares.values()) or 1.0
        shares = ", ".join(f"{name} {100 * part / whole:.0f} %" for name, part in self.shares.items())
        said = "; ".join(text for text in (self.note, shares) if text)
        count = f"{self.events:,}" if self.events else ""
        return (
            f"| {self.name} | {count} | {self.wall:.2f} | {self.cpu:.2f} | {rates[0]} | {rates[1]} "
            f"| {self.peak:,} | {said} |"
        )


class Watch:
    """Measures wall and CPU seconds, those of ended worker processes included."""

    def __init__(self) -> None:
        self.wall, self.cpu = time.perf_counter(), _cpu()

    def row(self, name: str, events: int = 0, **more: Any) -> Row:
        return Row(name, events, time.perf_counter() - self.wall, _cpu() - self.cpu, _peak(), **more)


def _peak() -> int:
    """Return the peak memory of this process or its largest worker in MiB."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    status = Path("/proc/self/status")
    if status.exists():  # Linux, whose ru_maxrss begins with what the starting process had
        own = int(status.read_text("ascii").split("VmHWM:")[1].split()[0])
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) // 1024


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def made_rules(count: int) -> list[Indicator]:
    """Make rules like those of large collections: a few literals each, over a few fields."""
    rng = random.Random(11)
    found = []
    for number in range(count):
        name = f"00000000-0000-4000-8000-{number:012}"
        words = ", ".join(f"'{rng.choice('abcdefgh')}{rng.randrange(10**6)}-x'" for _ in range(6))
        text = (
            f"title: Rule {number}\nid: {name}\nlogsource: {{product: windows, category: process_creation}}\n"
            f"detection:\n  image: {{Image|endswith: ['\\run.exe', '\\tool{number}.exe']}}\n"
            f"  line: {{CommandLine|contains: [{words}]}}\n  condition: image and line\nlevel: medium\n"
        )
        digest = sha256(text.encode()).hexdigest()
        found.append(Indicator(name, name, digest, "sigma", text, f"Rule {number}", "made", Place("made"), "medium"))
    return found


def load_rules(folder: Path | None) -> list[Indicator]:
    return read_rules(folder) if folder is not None else made_rules(2000)


# --------------------------------------------------------------------------- phases, each in its own process


def compile_phase(rules: Path | None, cache: Path) -> list[Row]:
    watch = Watch()
    indicators = load_rules(rules)
    rows = [watch.row("rules read", note=f"{len(indicators):,} rules")]
    for name in ("plan compiled, cold", "plan from its cache"):
        watch = Watch()
        plan = compile_plan(indicators, cache=cache)
        rows.append(watch.row(name, note=f"{len(plan.rules):,} rules, {len(plan.atoms):,} atoms"))
    return rows


def read_phase(path: Path) -> list[Row]:
    watch = Watch()
    return [watch.row(f"read {path.name}", read_all(path))]


def one_shot_phase(name: str, paths: list[Path], rules: Path | None, cache: Path, workers: int) -> list[Row]:
    plan = compile_plan(load_rules(rules), cache=cache)
    watch = Watch()
    with tempfile.TemporaryFile() as stream, open_writer("jsonl", stream) as writer:
        result = hunt_paths(paths, plan, workers=workers, sink=writer.write)
    row = watch.row(name, result.events, note=f"{result.tally.sightings:,} sightings")
    row.shares = _shares(result, row.wall) if workers == 1 else {}
    return [row]


def _shares(result: HuntResult, wall: float) -> dict[str, float]:
    known = {phase: result.seconds[phase] for phase in ("read", "hunt", "correlate")}
    return {**known, "rest (files, output)": max(wall - sum(known.values()), 0.0)}


def lake_phase(name: str, paths: list[Path], rules: Path | None, cache: Path, folder: Path) -> list[Row]:
    database = Database.at(folder / "bench.sqlite")
    database.create_tables()
    lake = Lake(folder, database)
    rows = []
    watch = Watch()
    made = ingest(paths, lake, actor="benchmark", time=TIME, key=SigningKey.generate(), given_by="benchmark")
    rows.append(watch.row(f"ingest {name}", made.events))
    indicators = load_rules(rules)
    step = max(len(indicators) // NEW_RULES, 1)
    held_back = {id(item) for item in indicators[::step][:NEW_RULES]}
    fewer = compile_plan([item for item in indicators if id(item) not in held_back], cache=cache)
    plan = compile_plan(indicators, cache=cache)
    for label, hunted in (
        ("hunt stored", fewer),
        ("hunt again, nothing new", fewer),
        (f"hunt with {len(held_back)} new rules", plan),
        ("hunt again, nothing new", plan),
    ):
        watch = Watch()
        with tempfile.TemporaryFile() as stream, open_writer("jsonl", stream) as writer:
            result = hunt_lake(lake, database, hunted, time=TIME, actor="benchmark", workers=1, sink=writer.write)
        row = watch.row(
            f"{label} ({name})",
            result.events,
            note=f"{result.segments:,} segments, {result.tally.sightings:,} sightings",
        )
        row.shares = _shares(result, row.wall)
        rows.append(row)
    database.close()
    return rows


def warm_phase(name: str, folder: Path, rules: Path | None, cache: Path) -> list[Row]:
    """Hunt stored segments twice with one hunter, so that the second time every value is known."""
    from aleat.evidence import read_segment  # noqa: PLC0415
    from aleat.hunt import Hunter  # noqa: PLC0415

    plan = compile_plan(load_rules(rules), cache=cache)
    database = Database.at(folder / "bench.sqlite")
    lake = Lake(folder, database)
    segments = [list(read_segment(lake, row)) for row in lake.segments()]
    events = sum(batch.table.num_rows for batches in segments for batch in batches)
    hunter = Hunter(plan, memory=1 << 32)
    rows = []
    for label in ("every value new", "every value known"):
        watch = Watch()
        found = sum(len(hunter.hunt(batches).sightings) for batches in segments)
        rows.append(watch.row(f"engine alone, {label} ({name})", events, note=f"{found:,} sightings"))
    database.close()
    return rows


def alone(work: Callable[..., list[Row]], *arguments: Any) -> list[Row]:
    """Run one phase in a new process."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        rows = pool.submit(work, *arguments).result()
    for row in rows:
        print(row.line(), flush=True)
    return rows


# ------------------------------------------------------------------------------------------------- the whole


def machine() -> str:
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}"


def benchmark(arguments: argparse.Namespace, folder: Path) -> list[Row]:
    cache, rules = folder / "cache", arguments.rules
    cache.mkdir()
    logs = made_logs(_new(folder / "logs"), arguments.megabytes << 20, 100_000)
    rows = alone(compile_phase, rules, cache)
    for path in sorted(logs.iterdir()):
        rows += alone(read_phase, path)
    rows += alone(lake_phase, "made logs", [logs], rules, cache, _new(folder / "lake"))
    rows += alone(warm_phase, "made logs", folder / "lake", rules, cache)
    repeating = made_logs(_new(folder / "repeating"), arguments.megabytes << 20, 20)
    rows += alone(lake_phase, "made logs, values repeat", [repeating], rules, cache, _new(folder / "lake1"))
    if arguments.evtx is not None:
        rows += alone(one_shot_phase, "EVTX as given, hunted", [arguments.evtx], rules, cache, 1)
        copied = folder / f"evtx x {arguments.copies}"
        replicate(arguments.evtx, copied, arguments.copies)
        rows += alone(read_phase, copied)
        for workers in (1, 2):
            rows += alone(one_shot_phase, f"{copied.name}, hunted, workers: {workers}", [copied], rules, cache, workers)
        rows += alone(lake_phase, copied.name, [copied], rules, cache, _new(folder / "lake2"))
        rows += alone(warm_phase, copied.name, folder / "lake2", rules, cache)
        if arguments.large:
            large = folder / f"evtx x {arguments.large}"
            replicate(arguments.evtx, large, arguments.large)
            for workers in (1, 2):
                name = f"{large.name}, hunted, workers: {workers}"
                rows += alone(one_shot_phase, name, [large], rules, cache, workers)
    return rows


def made_logs(folder: Path, size: int, distinct: int) -> Path:
    rng = random.Random(7)
    for name, write in (("iis.log", write_iis), ("access.log", write_access), ("events.jsonl", write_json)):
        write(folder / name, size, rng, distinct)
    return folder


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder


def page(rows: list[Row], lists: list[Measured], arguments: argparse.Namespace, loads: tuple[float, float]) -> str:
    copies = f", EVTX copied {arguments.copies} times" if arguments.evtx else ""
    return (
        "# Benchmarks\n\nMade by `python benchmarks/run.py"
        f" --copies {arguments.copies} --large {arguments.large} --megabytes {arguments.megabytes}"
        f" --entries {arguments.entries}`; don't edit.\n\n"
        f"{machine()}. {arguments.megabytes} MB of each made log{copies}. The machine's load was {loads[0]:.1f} before "
        f"and {loads[1]:.1f} at the end{'; ' + arguments.note if arguments.note else ''}: where it was shared, "
        "CPU seconds say more than wall seconds. Each phase ran in a process of its own; peak memory is the largest "
        "process's, of a phase's rows from its start on. A hunt's shares are of its wall time.\n\n"
        "| what | events | wall s | CPU s | events/s wall | events/s CPU | peak MiB | shares, notes |\n"
        "|---|--:|--:|--:|--:|--:|--:|---|\n" + "\n".join(row.line() for row in rows) + "\n" + _lists_section(lists)
    )


def _lists_section(rows: list[Measured]) -> str:
    if not rows:
        return ""
    text = (
        "A list of mixed values, made by `lists.py`: what a hunt without a workspace loads, what a workspace stores, "
        "and what it opens again. Peaks are each process's own, from its start on."
    )
    return f"\n## Indicator lists\n\n{text}\n\n{list_table(rows)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = Path(os.environ.get("ALEAT_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    parser.add_argument("--rules", type=Path, default=_there(data / "sigma" / "rules"))
    parser.add_argument("--evtx", type=Path, default=_there(data / "evtx"))
    parser.add_argument("--copies", type=int, default=10)
    parser.add_argument("--large", type=int, default=0, help="copies of the EVTX for one worker against two")
    parser.add_argument("--megabytes", type=int, default=32)
    parser.add_argument("--entries", type=int, default=1_000_000, help="of the indicator list; 0: none")
    parser.add_argument("--note", default="", help="what else to say of the machine")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    before = os.getloadavg()[0]
    print(machine(), flush=True)
    folder = Path(tempfile.mkdtemp(prefix="aleat-bench-"))
    try:
        rows = benchmark(arguments, folder)
        lists = measure_lists(_new(folder / "lists"), arguments.entries) if arguments.entries else []
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if arguments.output:
        arguments.output.write_text(page(rows, lists, arguments, (before, os.getloadavg()[0])), "utf-8")


def _there(path: Path) -> Path | None:
    return path if path.is_dir() else None


if __name__ == "__main__":
    main()
