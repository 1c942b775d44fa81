"""How fast the hunt is: all rules of a folder over all logs of a folder, phase by phase.

    python benchmarks/hunt.py RULES LOGS [--copies N] [--profile]

Prints events/s, CPU seconds and peak memory of reading and of hunting apart, on one core. `--copies` hunts the
same events again under changed host names, so that most values repeat, as they do in real logs.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import platform
import pstats
import resource
import time
from hashlib import sha256
from pathlib import Path

import yaml

from aleat.errors import Issue, Place
from aleat.evidence import EventBatch, open_sources, read_batches
from aleat.hunt import Hunter, Indicator, Plan, SegmentResult, compile_plan


def read_rules(folder: Path) -> list[Indicator]:
    indicators = []
    for path in sorted(folder.rglob("*.yml")):
        text = path.read_text("utf-8")
        data = yaml.load(text, yaml.CSafeLoader)
        if not isinstance(data, dict) or not {"detection", "correlation"} & data.keys():
            continue
        digest = sha256(text.encode()).hexdigest()
        level = str(data.get("level", "medium"))
        identifier = str(data.get("id", digest))
        place = Place(str(path), 1)
        indicators.append(
            Indicator(identifier, identifier, digest, "sigma", text, str(data["title"]), folder.name, place, level)
        )
    return indicators


def read_logs(folder: Path) -> list[list[EventBatch]]:
    found = []
    for source in open_sources([folder]):
        if not isinstance(source, Issue):
            found.append(list(read_batches(source, [])))
    return found


def hunt(plan: Plan, logs: list[list[EventBatch]], hunter: Hunter) -> list[SegmentResult]:
    return [hunter.hunt(batches) for batches in logs]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("rules", type=Path)
    parser.add_argument("logs", type=Path)
    parser.add_argument("--copies", type=int, default=1)
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")

    clock = time.perf_counter()
    indicators = read_rules(arguments.rules)
    print(f"rules read       {len(indicators):>9,}   {time.perf_counter() - clock:7.2f} s")
    clock = time.perf_counter()
    plan = compile_plan(indicators)
    print(f"plan compiled    {len(plan.rules):>9,}   {time.perf_counter() - clock:7.2f} s (cold)")
    clock = time.perf_counter()
    logs = read_logs(arguments.logs)
    events = sum(batch.table.num_rows for batches in logs for batch in batches)
    spent = time.perf_counter() - clock
    print(f"logs read        {events:>9,}   {spent:7.2f} s   {events / spent:>11,.0f} events/s   {memory()}")

    hunter = Hunter(plan)
    profile = cProfile.Profile()
    for round_ in range(arguments.copies):
        if arguments.profile and round_ == 0:
            profile.enable()
        clock, cpu = time.perf_counter(), time.process_time()
        results = hunt(plan, logs, hunter)
        spent, cpu = time.perf_counter() - clock, time.process_time() - cpu
        profile.disable()
        found = sum(len(result.sightings) for result in results)
        name = "hunt, cold" if round_ == 0 else "hunt, again"
        rate = f"{events / cpu:>11,.0f} events/CPU s"
        print(f"{name:<16} {events:>9,}   {spent:7.2f} s   {rate}   {found:,} sightings   {memory()}")
    if arguments.profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)


def memory() -> str:
    return f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB"


if __name__ == "__main__":
    main()
