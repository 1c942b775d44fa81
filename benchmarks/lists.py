"""Indicator lists at scale: how long a list of many mixed values takes to load, to open again, and to look into.

    python benchmarks/lists.py [--entries N]

The list is made here, seeded: hashes, addresses and networks of both families, domains, URLs, e-mail addresses,
file names and paths, CVE numbers, registry keys; a comment and a date beside each; some defanged, some quoted,
some twice. Each phase runs in a process of its own, so that its peak of memory is its own (Linux: VmHWM).
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_BLOCK = 100_000
_CELLS = 200_000
_WORDS = ["alba", "banka", "rruga", "deti", "mali", "zyra", "posta", "porti", "ura", "lulja", "fusha", "guri"]
_ENDINGS = ["com", "net", "org", "info", "al", "eu", "example", "online"]
_FOLDERS = ["C:\\Windows\\Temp", "C:\\ProgramData\\cache", "%TEMP%", "/var/www/html", "/opt/run", "\\\\share\\pub"]


@dataclass
class Measured:
    """One phase: what it did, how much, wall and CPU seconds, peak memory in MiB (0: not known), and a note."""

    name: str
    count: int
    wall: float
    cpu: float
    peak: int
    note: str = ""

    def line(self) -> str:
        rate = f"{self.count / self.cpu:,.0f}" if self.cpu else ""
        cells = (self.name, f"{self.count:,}", f"{self.wall:.2f}", f"{self.cpu:.2f}", rate, f"{self.peak:,}", self.note)
        return f"| {' | '.join(cells)} |"


class Watch:
    """Measures this process from now on."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def row(self, name: str, count: int, note: str = "") -> Measured:
        wall, cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
        return Measured(name, count, wall, cpu, _peak(), note)


def _peak() -> int:
    try:
        status = Path("/proc/self/status").read_text("utf-8")
    except OSError:
        return 0
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


# --------------------------------------------------------------------------------------------------- phases


def load_phase(path: Path) -> list[Measured]:
    """What `aleat hunt --rules LIST` does before it looks into the first event."""
    from aleat.hunt.from_store import indicators_of_items  # noqa: PLC0415 - each phase starts anew
    from aleat.hunt.list_index import ListIndex  # noqa: PLC0415
    from aleat.knowledge import KnowledgeItem, read_knowledge  # noqa: PLC0415

    whole, watch = Watch(), Watch()
    items = [item for item in read_knowledge([path]) if isinstance(item, KnowledgeItem)]
    lists = list(indicators_of_items(items, "benchmark"))
    count = sum(item.rows.count for item in lists if item.rows is not None)
    rows = [watch.row("list read", count)]
    watch = Watch()
    index = ListIndex(lists)
    rows += [watch.row("list made ready", count), whole.row("both: loaded", count)]
    return [*rows, *_looked_up(index, count)]


def store_phase(path: Path, folder: Path) -> list[Measured]:
    """What `aleat add knowledge` does with the list's rows, and the first hunt."""
    from aleat.knowledge import KnowledgeItem, read_knowledge  # noqa: PLC0415
    from aleat.store.entries import put_entries  # noqa: PLC0415

    watch = Watch()
    database = _database(folder)
    rows = 0
    for item in read_knowledge([path]):
        if isinstance(item, KnowledgeItem) and item.entries is not None:
            with database.write() as connection:
                put_entries(connection, folder, item.entries)
            rows += item.entries.num_rows
    return [watch.row("list read and stored", rows)]


def add_phase(path: Path, folder: Path) -> list[Measured]:
    """What `aleat add knowledge LIST` does, in a workspace of its own."""
    from aleat import Workspace  # noqa: PLC0415

    watch = Watch()
    with Workspace.open_or_init(folder / "workspace", key_folder=folder / "keys") as workspace:
        added = workspace.add_knowledge(path)
    return [watch.row("added to a workspace (`add knowledge`)", added.entries)]


def open_phase(folder: Path, name: str) -> list[Measured]:
    """What a hunt in a workspace does with the list: prepares it the first time, opens it the next."""
    from aleat.errors import Place  # noqa: PLC0415
    from aleat.hunt import Indicator  # noqa: PLC0415
    from aleat.hunt.list_index import ListIndex  # noqa: PLC0415
    from aleat.store.entries import stored_rows  # noqa: PLC0415

    database = _database(folder)
    watch = Watch()
    (path,) = (folder / "lists").glob("*.parquet")
    with database.read() as connection:
        rows = stored_rows(connection, folder, path.stem)
    listed = Indicator("list", "indicator--list", "d", "aleat-list", "", "list", "x", Place("list"), rows=rows)
    index = ListIndex([listed], database)
    return [watch.row(name, rows.count), *_looked_up(index, rows.count)]


def _looked_up(index: Any, entries: int) -> list[Measured]:
    """Look into texts as they stand in logs; a third of them hold a value of the list."""
    rng = random.Random(8)
    numbers = [rng.randrange(entries) for _ in range(_CELLS // 3)]
    values = [index.describe(number)[1].value for number in sorted(numbers)]
    other = [_value(rng, number) for number in range(_CELLS - len(values))]
    texts = [f"GET {value} from 10.1.2.{number % 256}" for number, value in enumerate([*values, *other])]
    watch = Watch()
    found = index.lookup(texts)
    return [watch.row("distinct cells looked into", len(texts), f"{len(found):,} hold an entry")]


def _database(folder: Path) -> Any:
    from aleat.store.database import Database  # noqa: PLC0415

    database = Database.at(folder / "aleat.sqlite")
    database.create_tables()
    return database


def measure_lists(folder: Path, entries: int) -> list[Measured]:
    """Run every phase in a process of its own, and return what was measured; `folder` is empty."""
    path = folder / "list.csv"
    write_list(path, entries)
    phases: list[tuple[Callable[..., list[Measured]], tuple[Any, ...]]] = [
        (load_phase, (path,)),
        (add_phase, (path, folder)),
        (store_phase, (path, folder)),
        (open_phase, (folder, "stored list made ready, the first time")),
        (open_phase, (folder, "stored list opened again")),
    ]
    rows = []
    for work, arguments in phases:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            for row in pool.submit(work, *arguments).result():
                print(row.line(), flush=True)
                rows.append(row)
    return rows


def list_table(rows: list[Measured]) -> str:
    """Return the section on lists of `docs/benchmarks.md`."""
    head = "| what | entries, cells | wall s | CPU s | each s CPU | peak MiB | notes |\n|---|--:|--:|--:|--:|--:|---|\n"
    return head + "\n".join(row.line() for row in rows) + "\n"


# --------------------------------------------------------------------------------------------------- the list


def write_list(path: Path, entries: int, seed: int = 5) -> None:
    """Write a list (CSV) of so many lines."""
    rng = random.Random(seed)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("indicator,comment,first seen\n")
        for start in range(0, entries, _BLOCK):
            file.writelines(_lines(rng, start, min(_BLOCK, entries - start)))


def _lines(rng: random.Random, start: int, count: int) -> Iterator[str]:
    for number in range(start, start + count):
        value = _value(rng, number)
        comment = f'"wave {number % 9}, see note"' if number % 50 == 0 else f"wave {number % 9}"
        yield f"{value},{comment},2022-{number % 12 + 1:02}-{number % 28 + 1:02}\n"
        if number % 100 == 99:
            yield f"{value},again,\n"


def _value(rng: random.Random, number: int) -> str:
    """Return a value: of each hundred 36 hashes, 24 addresses, 4 networks and IPv6 addresses, 18 domains …"""
    bits = rng.getrandbits(64)
    share = rng.random()
    make = next(make for limit, make in _KINDS if share < limit)
    value = make(rng, bits, number)
    return _defanged(value) if number % 20 == 0 else value


def _defanged(value: str) -> str:
    if value.startswith("http"):
        return value.replace("http", "hxxp", 1)
    return value.replace(".", "[.]") if "\\" not in value and "/" not in value else value


def _hash(rng: random.Random, bits: int, number: int) -> str:
    return f"{rng.getrandbits(256):064x}"[: (32, 40, 64)[number % 3]]


def _address(rng: random.Random, bits: int, number: int) -> str:
    return f"{bits % 200 + 11}.{bits >> 8 & 255}.{bits >> 16 & 255}.{bits >> 24 & 255}"


def _network(rng: random.Random, bits: int, number: int) -> str:
    return f"{bits % 200 + 11}.{bits >> 8 & 255}.{bits >> 16 & 255}.0/{bits >> 24 & 7 | 16}"


def _address6(rng: random.Random, bits: int, number: int) -> str:
    return f"2001:db8:{bits & 0xFFFF:x}::{bits >> 16 & 0xFFFF:x}" + ("/64" if number % 2 else "")


def _host(rng: random.Random, bits: int, number: int) -> str:
    return f"{rng.choice(_WORDS)}{bits % 10_000_000}.{rng.choice(_WORDS)}.{rng.choice(_ENDINGS)}"


def _url(rng: random.Random, bits: int, number: int) -> str:
    return f"https://{_host(rng, bits, number)}/{rng.choice(_WORDS)}/{bits >> 40:x}.php?id={bits & 0xFFF}"


def _mail(rng: random.Random, bits: int, number: int) -> str:
    return f"{rng.choice(_WORDS)}{bits % 1_000_000}@{_host(rng, bits, number)}"


def _name(rng: random.Random, bits: int, number: int) -> str:
    return f"{rng.choice(_WORDS)}{bits % 100_000_000}.exe"


def _path(rng: random.Random, bits: int, number: int) -> str:
    folder = rng.choice(_FOLDERS)
    return f"{folder}{'/' if folder[0] == '/' else chr(92)}{rng.choice(_WORDS)}{bits % 100_000_000}.dll"


def _cve(rng: random.Random, bits: int, number: int) -> str:
    return f"CVE-20{bits % 25:02}-{bits >> 8 & 0xFFFFF:05}"


def _key(rng: random.Random, bits: int, number: int) -> str:
    return f"HKLM\\Software\\{rng.choice(_WORDS)}\\{bits % 100_000_000}"


_KINDS: tuple[tuple[float, Callable[[random.Random, int, int], str]], ...] = (
    (0.36, _hash),
    (0.60, _address),
    (0.62, _network),
    (0.64, _address6),
    (0.82, _host),
    (0.90, _url),
    (0.92, _mail),
    (0.94, _name),
    (0.97, _path),
    (0.98, _cve),
    (1.01, _key),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=1_000_000)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="aleat-lists-"))
    try:
        measure_lists(folder, arguments.entries)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
