"""Our TAXII 2.1 server under its own load: pushing, the gate's judging of a shelf, and polling it page by page.

    python benchmarks/taxii.py [--objects N] [--page N] [--shelf N]

A workspace with one ally is made in a temporary folder; indicators are made here, GREEN. The server runs in a process
of its own on loopback; the client is `http.client` with one connection, so that mostly the server is measured. The
first page is asked for until the ally's shelf is judged (answers of 503 until then are its time). Last, pages are cut
from a shelf of a million rows that was written as it is, without judging.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aleat import Workspace
from aleat.store.database import Database
from aleat.store.object_tables import insert_rows, objects, packs
from aleat.store.shelves import ShelfQuery, read_shelf, shelf
from aleat.workspace.accounts import make_token

TYPE = "application/taxii+json;version=2.1"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=100_000)
    parser.add_argument("--page", type=int, default=1_000)
    parser.add_argument("--shelf", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        token, collection, ally = found(folder)
        command = [sys.executable, "-m", "aleat", "serve", "--port", "0", "-w", str(folder / "ours")]
        environment = {**os.environ, "ALEAT_KEYS": str(folder / "ours-keys"), "PYTHONUNBUFFERED": "1"}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
            said = process.stdout.readline() if process.stdout else ""
            url = urlsplit(said.split()[2].rstrip("."))
            try:
                run(
                    Client(str(url.hostname), int(url.port or 0), token, collection),
                    ally,
                    options.objects,
                    options.page,
                )
            finally:
                process.terminate()
        large(folder, options.shelf, options.page)


def found(folder: Path) -> tuple[str, str, str]:
    """Make two teams that have an agreement, and the ally's account; return token, collection, the ally's identity."""
    ours = Workspace.init(folder / "ours", organisation="ours", actor="ana", key_folder=folder / "ours-keys")
    theirs = Workspace.init(folder / "theirs", organisation="theirs", actor="besa", key_folder=folder / "theirs-keys")
    with ours, theirs:
        (folder / "card").write_bytes(theirs.export_card())
        fingerprint = ours.add_ally(folder / "card").fingerprint
        ours.add_ally(folder / "card", compared=fingerprint)
        (folder / "agreement.toml").write_bytes(ours.draft_agreement("theirs"))
        ours.add_agreement(folder / "agreement.toml")
        token = make_token()
        account = ours.add_account("theirs", "theirs", push=True, token=token)
        return token, account.collection, account.ally


class Client:
    """One connection to the server."""

    def __init__(self, host: str, port: int, token: str, collection: str) -> None:
        self.path = f"/taxii2/root/collections/{collection}/objects/"
        self.headers = {"Authorization": f"Bearer {token}", "Accept": TYPE, "Content-Type": TYPE}
        self.connection = http.client.HTTPConnection(host, port, timeout=600)

    def ask(self, method: str, query: str = "", body: bytes | None = None) -> tuple[int, bytes]:
        """Make one request."""
        self.connection.request(method, self.path + query, body, self.headers)
        answer = self.connection.getresponse()
        return answer.status, answer.read()


def run(client: Client, ally: str, count: int, page: int) -> None:
    print("| what | objects | seconds | objects/s | page, median ms | page, p95 ms |\n|---|---:|---:|---:|---:|---:|")
    bodies = [envelope(range(start, min(start + page, count)), ally) for start in range(0, count, page)]
    times: list[float] = []
    for body in bodies:
        began = time.perf_counter()
        status, said = client.ask("POST", body=body)
        times.append(time.perf_counter() - began)
        if status != 202 or json.loads(said)["failure_count"]:
            raise SystemExit(f"A push failed: {status} {said[:300]!r}")
    tell("push", count, times)
    began = time.perf_counter()
    while client.ask("GET", "?limit=1")[0] != 200:
        time.sleep(0.5)
    tell("judge all for one ally", count, [time.perf_counter() - began])
    for name in ("poll", "poll again"):
        times, came = poll(client, page)
        if came < count:
            raise SystemExit(f"Only {came} of {count} came.")
        tell(name, came, times)
    print(f"Last page against first (medians of five): {edges(times):.2f}")


def poll(client: Client, page: int) -> tuple[list[float], int]:
    times: list[float] = []
    count, query = 0, f"?limit={page}"
    while True:
        began = time.perf_counter()
        status, body = client.ask("GET", query)
        times.append(time.perf_counter() - began)
        if status != 200:
            raise SystemExit(f"A poll failed: {status} {body[:300]!r}")
        found: dict[str, Any] = json.loads(body)
        count += len(found.get("objects", ()))
        if not found.get("more"):
            return times, count
        query = f"?limit={page}&next={found['next']}"


def large(folder: Path, rows: int, page: int) -> None:
    """Tell how long a page takes at the beginning and at the end of a large shelf."""
    database = Database.at(folder / "large.db")
    database.create_tables()
    raw = json.dumps(json.loads(envelope(range(1), "identity--" + str(uuid.uuid4())))["objects"][0]).encode()
    each = 40
    with database.write() as connection:
        packed = ((number + 1, raw * each) for number in range(rows // each))
        insert_rows(connection, packs, list(packed))
        for start in range(0, rows, 50_000):
            part = range(start, min(start + 50_000, rows))
            ids = [f"indicator--{number * 7919 % rows:032d}" for number in part]
            named = list(zip(part, ids, strict=True))
            stored = [(n + 1, id_, 1, 1, b"d" * 32, n // each + 1, n % each * len(raw), len(raw)) for n, id_ in named]
            insert_rows(connection, objects, stored)
            kept = [("ally", n + 1, id_, "indicator", "", 1, 10**15 + n, b"d" * 32, n + 1, None) for n, id_ in named]
            insert_rows(connection, shelf, kept)
    for name, after in (("first", 0), ("last", rows - page)):
        times = []
        for _ in range(50):
            with database.read() as connection:
                began = time.perf_counter()
                read_shelf(connection, "ally", ShelfQuery(after=after, limit=page))
                times.append(time.perf_counter() - began)
        tell(f"{name} page of {rows:,}, the store alone", page * len(times), times)
    database.close()


def envelope(numbers: range, ally: str) -> bytes:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    items = [
        {
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
        for number in numbers
    ]
    return json.dumps({"objects": items}).encode()


def edges(times: list[float]) -> float:
    return statistics.median(times[-6:-1] or times) / statistics.median(times[:5])


def tell(what: str, objects: int, times: list[float]) -> None:
    ordered = sorted(times)
    middle, high = statistics.median(ordered) * 1000, ordered[int(len(ordered) * 0.95)] * 1000
    print(f"| {what} | {objects:,} | {sum(times):.1f} | {objects / sum(times):,.0f} | {middle:.0f} | {high:.0f} |")


if __name__ == "__main__":
    main()
