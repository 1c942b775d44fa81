"""Does the same work on a Dask cluster of two processes, in a pool, and in one process; prints what each gave.

``python -m tests.workspace.cluster_run FOLDER``: a process of its own, so that a cluster that hangs can be ended.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from concurrent.futures import Executor
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from typing import Any

from dask.distributed import Client, LocalCluster

from aleat import Workspace
from aleat.evidence import ReadOptions
from aleat.hunt import compile_plan, hunt_paths, indicators_of_items, open_writer
from aleat.knowledge import KnowledgeItem, read_knowledge
from aleat.workspace import hunt_once, write_sightings
from tests.evidence.evtx_writer import evtx_bytes, sample
from tests.workspace.samples import write_logs, write_pack

FILES = 140
"""More than one job's worth of small files."""


def make_logs(folder: Path) -> Path:
    """Write the small case's logs, and many small ones with hits in each."""
    write_logs(folder)
    for number in range(FILES):
        events = sample(5, start=5 * number + 1, computer=f"ws{number % 7}.example")
        for event in events:
            event.channel, event.event_id = "Microsoft-Windows-Sysmon/Operational", 1
            event.data = [("CommandLine", f"quillwiper.exe /n {event.record_id}"), ("User", "agim")]
        (folder / f"many{number:03}.evtx").write_bytes(evtx_bytes(events[:2], events[2:]))
    return folder


def outcome(root: Path, logs: Path, pack: Path, workers: int, executor: Executor | None) -> dict[str, Any]:
    """Return what a hunt without a workspace writes, what one with it writes, and what the lake is."""
    once = BytesIO()
    hunted = hunt_once([logs], [pack], once, "jsonl", workers=workers, executor=executor)
    cut = hunt_in_small_ranges(logs, pack, workers, executor)
    kept = BytesIO()
    with Workspace.init(root, organisation="Team South", actor="agim", key_folder=root.parent / "keys") as ws:
        ws.add_knowledge(pack, giver="north")
        added = ws.add_evidence(logs, workers=workers, executor=executor)
        first = ws.hunt(workers=workers, executor=executor)
        write_sightings(first.sightings, kept, "jsonl")
        again = ws.hunt(workers=workers, executor=executor)
        verified = ws.verify()
    assert not verified.faults
    assert not added.issues
    return {
        "once": hashlib.sha256(once.getvalue()).hexdigest(),
        "cut": hashlib.sha256(cut).hexdigest(),
        "kept": hashlib.sha256(kept.getvalue()).hexdigest(),
        "lake": verified.lake,
        "events": [hunted.result.events, added.events, first.events],
        "sightings": [hunted.written, len(first.sightings), len(again.sightings)],
        "hunted again": again.segments,
    }


def hunt_in_small_ranges(logs: Path, pack: Path, workers: int, executor: Executor | None) -> bytes:
    """Return what a hunt writes that cuts every file into small ranges."""
    items = [item for item in read_knowledge([pack]) if isinstance(item, KnowledgeItem)]
    plan = compile_plan(list(indicators_of_items(items, "north")))
    options = ReadOptions(range_bytes=1024)
    result = hunt_paths([logs], plan, workers=workers, executor=executor, options=options)
    stream = BytesIO()
    with open_writer("jsonl", stream) as writer:
        for sighting in result.sightings:
            writer.write(sighting)
    return stream.getvalue()


def main(root: Path) -> None:
    """Do it three times, and print the outcomes as JSON."""
    logs, pack = make_logs(root / "logs"), write_pack(root / "pack")
    found = {"alone": outcome(root / "alone", logs, pack, 1, None), "pool": outcome(root / "pool", logs, pack, 2, None)}
    with ExitStack() as stack:
        cluster = stack.enter_context(
            LocalCluster(  # type: ignore[no-untyped-call]
                n_workers=2,
                threads_per_worker=2,
                processes=True,
                host="127.0.0.1",
                dashboard_address=None,
                local_directory=str(root / "dask"),
                memory_limit=None,
            )
        )
        client = stack.enter_context(Client(cluster, timeout=60))  # type: ignore[no-untyped-call]
        executor = client.get_executor(pure=False)
        found["cluster"] = outcome(root / "cluster", logs, pack, 4, executor)
        processes = client.run(os.getpid)
        found["cluster"]["processes"] = len({os.getpid(), *processes.values()})
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
