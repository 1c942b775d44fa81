"""Our TAXII 2.1 server and Medallion (OASIS' own) in one run: pushing, the gate's judging, polling page by page.

    python benchmarks/taxii.py [--objects N] [--peer N] [--shelf N] [--crowd FILE] [--output PAGE]

Both servers are processes of their own on loopback, with one worker each and pages of 1,000. Objects are indicators,
GREEN, made here. Ours is pushed to and polled by `http.client` (so that mostly the server is measured), then ours and
Medallion by `taxii2-client` and by our own client; an account and a collection for each. What a server's process took
of the CPU is what the system says of it (/proc). Last, pages are cut from a shelf of a million rows that was written
as it is, without judging, by the store alone. `--crowd` is what `benchmarks/crowd.py --json` wrote.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import statistics
import tempfile
import time
import uuid
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from taxii_servers import PAGE, PASSWORD, TYPE, Door, medallion, ours

from aleat.errors import Place
from aleat.exchange.access import Access, Credentials
from aleat.exchange.feeds import Feed
from aleat.exchange.taxii_client import TaxiiClient
from aleat.exchange.taxii_pages import read_pages
from aleat.exchange.taxii_push import push_objects
from aleat.stix.objects import parse_object
from aleat.store.database import Database
from aleat.store.object_tables import insert_rows, objects, packs
from aleat.store.shelves import ShelfQuery, read_shelf, shelf

_TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class Measured:
    """What one phase took: seconds for each request, the server's CPU seconds."""

    what: str
    server: str
    client: str
    count: int
    times: list[float]
    cpu: float

    def line(self) -> str:
        """Return the table's row."""
        ordered = sorted(self.times)
        rate = f"{self.count / max(self.cpu, 0.01):,.0f}" if self.cpu >= 0 else ""
        cpu = f"{self.cpu:.1f}" if self.cpu >= 0 else ""
        middle, high = statistics.median(ordered) * 1000, ordered[int(len(ordered) * 0.95)] * 1000
        cells = (self.what, self.server, self.client, f"{self.count:,}", f"{sum(ordered):.1f}")
        shown = (*cells, f"{self.count / sum(ordered):,.0f}", cpu, rate, f"{middle:,.0f}", f"{high:,.0f}")
        return f"| {' | '.join(shown)} |"


def head() -> list[str]:
    """The table's first rows."""
    names = ("what", "server", "client", "objects", "seconds", "objects/s", "server CPU s", "objects per CPU s")
    return [
        f"| {' | '.join((*names, 'request, median ms', '95th percentile ms'))} |",
        "|---|---|---" + "|---:" * 7 + "|",
    ]


def measured(what: str, door: Door, client: str, count: int, run: Callable[[], list[float]]) -> Measured:
    """Run a phase; what its requests took, it returns."""
    before = cpu_of(door.process)
    times = run()
    return Measured(what, door.server, client, count, times, cpu_of(door.process) - before)


def cpu_of(process: int) -> float:
    """Return the CPU seconds of a process."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


# ------------------------------------------------------------------------------------------------- clients


class Plain:
    """`http.client` with one connection."""

    def __init__(self, door: Door) -> None:
        parts = urlsplit(f"{door.url}objects/")
        secret = b64encode(f"{door.user}:{PASSWORD}".encode()).decode()
        self.path = parts.path
        self.headers = {"Authorization": f"Basic {secret}", "Accept": TYPE, "Content-Type": TYPE}
        self.connection = http.client.HTTPConnection(str(parts.hostname), int(parts.port or 0), timeout=600)

    def ask(self, method: str, query: str = "", body: bytes | None = None) -> tuple[int, bytes]:
        """Make one request."""
        self.connection.request(method, self.path + query, body, self.headers)
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def push(self, bodies: list[bytes]) -> list[float]:
        """Push envelopes, one after the other."""
        times = []
        for body in bodies:
            began = time.perf_counter()
            status, said = self.ask("POST", body=body)
            times.append(time.perf_counter() - began)
            if status != 202 or json.loads(said)["failure_count"]:
                raise SystemExit(f"A push failed: {status} {said[:300]!r}")
        return times

    def first_page(self) -> list[float]:
        """Ask for one object until it comes: answers of 503 until then are the judging's time."""
        began = time.perf_counter()
        while self.ask("GET", "?limit=1")[0] != 200:
            time.sleep(0.2)
        return [time.perf_counter() - began]

    def poll(self, least: int) -> list[float]:
        """Take all pages."""
        times: list[float] = []
        count, query = 0, f"?limit={PAGE}"
        while True:
            began = time.perf_counter()
            status, body = self.ask("GET", query)
            times.append(time.perf_counter() - began)
            if status != 200:
                raise SystemExit(f"A poll failed: {status} {body[:300]!r}")
            found: dict[str, Any] = json.loads(body)
            count += len(found.get("objects", ()))
            if not found.get("more"):
                break
            query = f"?limit={PAGE}&next={found['next']}"
        return _whole(times, count, least)


def others(door: Door, bodies: list[bytes], count: int) -> Iterator[Measured]:
    """Push and poll with `taxii2-client`."""
    from taxii2client.v21 import Collection, as_pages  # noqa: PLC0415

    collection = Collection(door.url, user=door.user, password=PASSWORD)

    def push() -> list[float]:
        times = []
        for body in bodies:
            began = time.perf_counter()
            status = collection.add_objects(body, wait_for_completion=True, timeout=600)
            times.append(time.perf_counter() - began)
            if status.failure_count or status.success_count != body.count(b'"pattern_type"'):
                raise SystemExit(f"A push to {door.server} failed: {status.failures[:3]}")
        return times

    def poll() -> list[float]:
        times, came = [], 0
        began = time.perf_counter()
        for page in as_pages(collection.get_objects, per_request=PAGE):
            times.append(time.perf_counter() - began)
            came += len(page.get("objects", ()))
            began = time.perf_counter()
        return _whole(times, came, count)

    yield measured("push", door, "taxii2-client", count, push)
    yield measured("poll, first time", door, "taxii2-client", count, poll)
    yield measured("poll again", door, "taxii2-client", count, poll)


def own(door: Door, bodies: list[bytes], count: int) -> Iterator[Measured]:
    """Push and poll with our own client, which checks what comes."""
    items = [
        parse_object(json.dumps(one).encode(), Place("x")) for body in bodies for one in json.loads(body)["objects"]
    ]
    access = Access(door.root, Credentials(user=door.user, password=PASSWORD))
    with TaxiiClient(access) as client:

        def push() -> list[float]:
            times = []
            for start in range(0, count, PAGE):
                began = time.perf_counter()
                pushed = push_objects(client, door.url, items[start : start + PAGE])
                times.append(time.perf_counter() - began)
                if pushed.failed:
                    raise SystemExit(f"A push to {door.server} failed: {pushed.failed[:3]}")
            return times

        def poll() -> list[float]:
            times, came = [], 0
            began = time.perf_counter()
            feed = Feed(id=door.url, title=door.user, url=door.url)
            for page in read_pages(client, feed, bookmark="", since=None, reference_time=datetime.now(UTC)):
                times.append(time.perf_counter() - began)
                came += page.objects
                began = time.perf_counter()
            return _whole(times, came, count)

        yield measured("push", door, "ours", count, push)
        yield measured("poll, first time", door, "ours", count, poll)
        yield measured("poll again", door, "ours", count, poll)


def _whole(times: list[float], came: int, least: int) -> list[float]:
    if came < least:
        raise SystemExit(f"Only {came} of {least} came.")
    return times


# ------------------------------------------------------------------------------------------------ what is run


def run(folder: Path, count: int, peer: int, rows: int) -> Iterator[str]:
    """Yield the page's lines."""
    yield from head()
    with ours(folder, ["plain", "taxii2", "own"]) as doors:
        client, door = Plain(doors[0]), doors[0]
        yield measured("push", door, "http.client", count, lambda: client.push(envelopes(count, door))).line()
        judged = measured("judge all for one ally", door, "http.client", count, client.first_page)
        yield judged.line()
        polled = measured("poll", door, "http.client", count, lambda: client.poll(count))
        yield polled.line()
        again = measured("poll again", door, "http.client", count, lambda: client.poll(count))
        yield again.line()
        client.push(envelopes(PAGE, door))
        yield measured(f"judge {PAGE:,} more", door, "http.client", PAGE, client.first_page).line()
        client.push(envelopes(20, door))
        yield measured("judge 20 more", door, "http.client", 20, client.first_page).line()
        both = count / (sum(judged.times) + sum(polled.times))
        with medallion(folder, ["taxii2", "own"]) as beside:
            for ally, theirs in zip(doors[1:], beside, strict=True):
                for one in (ally, theirs):
                    bodies = envelopes(peer, one)
                    for result in (others if ally.user == "taxii2" else own)(one, bodies, peer):
                        yield result.line()
    yield ""
    yield f"The first poll with the judging of everything before it: {both:,.0f} objects/s."
    yield f"Last page against first, through the server (medians of five pages): {edges(again.times):.2f}."
    first, last = large(folder, rows, 0), large(folder, rows, rows - PAGE)
    middles = [statistics.median(times) * 1000 for times in (first, last)]
    yield (
        f"Of {rows:,} rows on a shelf, by the store alone: first page {middles[0]:.1f} ms, last {middles[1]:.1f} ms, "
        f"ratio {middles[1] / middles[0]:.2f} (medians of fifty)."
    )


def large(folder: Path, rows: int, after: int) -> list[float]:
    """Return what a page behind row `after` of a large shelf takes."""
    path = folder / "large.db"
    fresh = not path.exists()
    database = Database.at(path)
    if fresh:
        fill(database, rows)
    times = []
    for _ in range(50):
        with database.read() as connection:
            began = time.process_time()
            read_shelf(connection, "ally", ShelfQuery(after=after, limit=PAGE))
            times.append(time.process_time() - began)
    database.close()
    return times


def fill(database: Database, rows: int) -> None:
    """Write a large shelf."""
    database.create_tables()
    raw = json.dumps(indicator(0, f"identity--{uuid.uuid4()}")).encode()
    each = 40
    with database.write() as connection:
        insert_rows(connection, packs, [(number + 1, raw * each) for number in range(rows // each)])
        for start in range(0, rows, 50_000):
            part = range(start, min(start + 50_000, rows))
            ids = [f"indicator--{number * 7919 % rows:032d}" for number in part]
            named = list(zip(part, ids, strict=True))
            stored = [(n + 1, id_, 1, 1, b"d" * 32, n // each + 1, n % each * len(raw), len(raw)) for n, id_ in named]
            insert_rows(connection, objects, stored)
            kept = [("ally", n + 1, id_, "indicator", "", 1, 10**15 + n, b"d" * 32, n + 1, None) for n, id_ in named]
            insert_rows(connection, shelf, kept)


def envelopes(count: int, door: Door) -> list[bytes]:
    """Return envelopes of a thousand objects."""
    made = [indicator(number, door.made_by) for number in range(count)]
    return [json.dumps({"objects": made[start : start + PAGE]}).encode() for start in range(0, count, PAGE)]


def indicator(number: int, ally: str) -> dict[str, Any]:
    """One object of an ally's, GREEN."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return {
        "type": "indicator",
        "spec_version": "2.1",
        "id": f"indicator--{uuid.uuid4()}",
        "created": now,
        "modified": now,
        "created_by_ref": ally,
        "object_marking_refs": ["marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"],
        "name": f"Beacon number {number}",
        "pattern": f"[domain-name:value = 'beacon-{number}.example']",
        "pattern_type": "stix",
        "valid_from": now,
    }


def edges(times: list[float]) -> float:
    """Return how much longer the last pages take than the first."""
    return statistics.median(times[-6:-1] or times) / statistics.median(times[:5])


def crowd_lines(path: Path) -> Iterator[str]:
    """Tell of a run of the crowd."""
    told = json.loads(path.read_text(encoding="utf-8"))
    times = told["milliseconds"]
    yield "\n## A crowd, and a kill in the middle\n"
    yield (
        f"`python benchmarks/crowd.py --seconds {told['seconds']:.0f} --clients {told['clients']}`: {told['clients']} "
        f"clients of {told['allies']} allies push and poll at once, and the server is killed half-way (kill -9); load "
        f"averages at the end {', '.join(map(str, told['load average']))}.\n"
    )
    yield "| pushed and accepted | polled | unanswered while it was down | lost | doubled | strange | answers of 5xx |"
    yield "|---:|---:|---:|---:|---:|---:|---:|"
    numbers = (told[name] for name in ("pushed", "polled", "unanswered", "lost", "doubled", "strange", "server errors"))
    yield f"| {' | '.join(f'{number:,}' for number in numbers)} |\n"
    yield (
        f"A push took {times['push']['median']:,} ms (95th percentile {times['push']['95th percentile']:,}), a page "
        f"{times['page']['median']:,} ms ({times['page']['95th percentile']:,}), as the clients saw it; the server was "
        f"down for {told['down seconds']} s, and took {told['server CPU seconds']} s of the CPU. Answers by status: "
        f"{', '.join(f'{status}: {number:,}' for status, number in told['statuses'].items())}."
    )


def main() -> None:
    """Measure, and print or write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=100_000)
    parser.add_argument("--peer", type=int, default=5_000, help="objects for each server and client beside each other")
    parser.add_argument("--shelf", type=int, default=1_000_000)
    parser.add_argument("--crowd", type=Path)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    lines = [
        "# Serving allies over TAXII: how fast\n",
        f"Written by `python benchmarks/taxii.py`, on {os.cpu_count()} processors ({platform.machine()}), Python "
        f"{platform.python_version()}, Medallion {version('medallion')}, taxii2-client {version('taxii2-client')}; "
        f"load average when it began: {os.getloadavg()[0]:.1f}. Other work at the same time makes all longer: CPU "
        "seconds and ratios are what to compare. Each page and each push has its signed entry in our ledger, and each "
        "of our objects was judged by the gate; Medallion keeps its objects in memory, and judges nothing.\n",
    ]
    with tempfile.TemporaryDirectory() as name:
        for line in run(Path(name), options.objects, options.peer, options.shelf):
            print(line, flush=True)
            lines.append(line)
    if options.crowd:
        lines += crowd_lines(options.crowd)
    if options.output:
        options.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
