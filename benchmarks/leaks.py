"""Looks for leaks in random graphs of marked objects, on every surface, and says how far it came.

    PYTHONPATH=. python benchmarks/leaks.py --graphs 100000 --seed 6 --out leaks.jsonl

Graph number N has the seed `--seed` times 1,000,000,000 plus N, so that any can be made again alone. A hundred graphs
lie together in a workspace (their words and ids differ). Each of the five allies asks every endpoint; one of them gets
the sealed release, its MISP events and an answer with findings, has some of what it sees held between two pages, and
pushes. One line of JSON a workspace: how many graphs are done, how many objects left, and every leak.
"""

from __future__ import annotations

import argparse
import gc
import json
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from tests.leaks.ground import Ground
from tests.leaks.harness import look_for_leaks

TOGETHER = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--graphs", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--first", type=int, default=0, help="the number of the first graph")
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after so long, and say how far it came")
    parser.add_argument("--out", type=Path, default=Path("leaks.jsonl"))
    options = parser.parse_args()
    memory = Path("/dev/shm")  # noqa: S108
    ground = Ground(Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None)))
    base, began, cpu = options.seed * 1_000_000_000, time.monotonic(), time.process_time()
    done, leaks, objects, left = options.first, 0, 0, 0
    gc.disable()  # once a workspace is enough, and a tenth faster
    with options.out.open("a", encoding="utf-8") as out:
        while done < options.graphs and time.monotonic() - began < options.seconds:
            count = min(TOGETHER, options.graphs - done)
            world = look_for_leaks(ground, range(base + done, base + done + count), done // TOGETHER)
            gc.collect()
            done += count
            leaks += len(world.leaks)
            left += world.left
            objects += sum(len(graph.things) for graph in world.graphs)
            row = {
                "graphs": done,
                "of": options.graphs,
                "seed": options.seed,
                "objects": objects,
                "left": left,
                "leaks": leaks,
                "seconds": round(time.monotonic() - began, 1),
                "cpu": round(time.process_time() - cpu, 1),
                "found": [asdict(leak) for leak in world.leaks],
            }
            out.write(json.dumps(row) + "\n")
            out.flush()
    print(json.dumps({key: value for key, value in row.items() if key != "found"}))


if __name__ == "__main__":
    main()
