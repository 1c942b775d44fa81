"""How fast each reader of a described format reads: its sample grown to some megabytes, in a process of its own.

Run: ``python benchmarks/readers.py [--megabytes N] [--only NAME] [--output docs/benchmarks-readers.md]``. A sample is
repeated with other digits in every number of four and more, so that about as many values are new as in a log; what such
a log says is nonsense, and the lines are a handful of forms. Gives a table in Markdown: events and megabytes a CPU
second, peak memory.
"""

from __future__ import annotations

import argparse
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.formats.sample import Sample, all_samples, read_sample  # noqa: E402

from aleat.errors import Issue  # noqa: E402
from aleat.evidence import Source, open_sources, read_batches  # noqa: E402
from aleat.formats import format_named  # noqa: E402

_NUMBER = re.compile(rb"[0-9]{4,}")
PAGE = """# Benchmarks of readers

Made by `python benchmarks/readers.py --megabytes {megabytes}`; don't edit. Each of the formats' samples is repeated to
that size, with other digits in every number of four and more, and read in a process of its own, on one core of an AMD
EPYC. The samples are a handful of lines, so that their rates tell formats apart rather than say how fast a real log is
read: JSON samples are wide, a table's header counts once, and audit records of one serial number become one event,
however many there are (so auditd's events a second mean nothing; its megabytes do).

{rows}"""

HEAD = """| sample | reader | MB | events | events/s CPU | MB/s CPU | peak MiB |
|---|---|--:|--:|--:|--:|--:|
"""


def grown(sample: Sample, size: int) -> bytes:
    """Return the sample repeated to about `size` bytes; a table's header stays alone."""
    data = sample.path.read_bytes()
    head = b""
    if _layout(sample) == "delimited":
        head, feed, data = data.partition(b"\n")
        head += feed
    if not data.endswith(b"\n"):
        data += b"\n"
    rng = random.Random(7)
    pieces, have = [head], len(head)
    while have < size:
        pieces.append(_NUMBER.sub(_other(rng), data))
        have += len(data)
    return b"".join(pieces)


def _other(rng: random.Random) -> Callable[[re.Match[bytes]], bytes]:
    """Return what gives each number of one copy other last digits, equal numbers equal ones."""
    known: dict[bytes, bytes] = {}

    def replace(match: re.Match[bytes]) -> bytes:
        if (found := known.get(match[0])) is None:
            found = known[match[0]] = match[0][:-2] + b"%02d" % rng.randrange(10, 29)
        return found

    return replace


def _layout(sample: Sample) -> str:
    described = format_named(sample.format)
    reads = described.read if described else ()
    name = sample.expected["reader"]
    return next((str(table["layout"]) for table in reads if table.get("name", sample.format) == name), "")


def measure(name: str, megabytes: int) -> str:
    """Read one grown sample, and return its row."""
    sample = next(item for item in all_samples() if item.name == name)
    data = grown(sample, megabytes * 1024 * 1024)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / sample.path.name
        path.write_bytes(data)
        sources = [item for item in open_sources([path], options=sample.options) if isinstance(item, Source)]
        issues: list[Issue] = []
        read_sample(sample)  # libraries and expressions are ready
        start = time.process_time()
        events = sum(batch.table.num_rows for source in sources for batch in read_batches(source, issues))
        spent = time.process_time() - start
    reader = sources[0].reader if sources else "none"
    size = len(data) / 1e6
    rate, speed = (events / spent, size / spent) if spent else (0.0, 0.0)
    return f"| {name} | `{reader}` | {size:.0f} | {events:,} | {rate:,.0f} | {speed:.0f} | {_peak():,} |"


def _peak() -> int:
    """Return this process's peak memory in MiB, where Linux tells it."""
    status = Path("/proc/self/status")
    return int(status.read_text("ascii").split("VmHWM:")[1].split()[0]) // 1024 if status.exists() else 0


def table(megabytes: int, only: str = "") -> str:
    """Return the table of all samples."""
    rows = []
    for sample in all_samples():
        if only in sample.name:
            command = [sys.executable, __file__, "--megabytes", str(megabytes), "--measure", sample.name]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
            rows.append(
                done.stdout.strip() or f"| {sample.name} | failed: {done.stderr.strip()[-200:]} |  |  |  |  |  |"
            )
    return HEAD + "\n".join(rows) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=16)
    parser.add_argument("--only", default="")
    parser.add_argument("--measure", default="", help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    if given.measure:
        print(measure(given.measure, given.megabytes))
        return
    rows = table(given.megabytes, given.only)
    if given.output:
        given.output.write_text(PAGE.format(megabytes=given.megabytes, rows=rows), "utf-8")
    else:
        print(rows)


if __name__ == "__main__":
    main()
