"""A crowd on our TAXII server: many clients push and poll at once, and the server is killed in the middle (kill -9).

    python benchmarks/crowd.py [--seconds S] [--clients N] [--allies N] [--batch N] [--json FILE]

A workspace with some allies is made in a temporary folder, and served by `aleat serve` on loopback. Each client has one
connection; it pushes objects of its own, and polls what came since its last poll, page by page. Whoever gets
no answer asks the same again. Half-way the server is killed, and started again on the same port. At the end is checked:

- lost: what was accepted, and isn't in the workspace, in a poll of all by its ally, or in what each client polled
- doubled: what a client got twice, what a poll of all holds twice, what is kept twice
- strange: what an ally got that no client of it pushed and that isn't ours to give
- server errors: answers of 5xx; while the server is down there are none, and nobody is answered

Ends with 0 where all of these are 0 and `aleat verify` finds nothing.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from taxii_servers import befriend

from aleat import Workspace
from aleat.store.objects import iterate_objects
from aleat.workspace.accounts import make_token

TYPE = "application/taxii+json;version=2.1"
GREEN = "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"
MAX_PAGE = 1_000


@dataclass
class Ally:
    """An ally of ours, and what its clients had accepted (ids)."""

    identity: str
    collection: str
    token: str
    accepted: set[str] = field(default_factory=set)


@dataclass
class Figures:
    """What the clients saw."""

    statuses: Counter[int] = field(default_factory=Counter)
    times: dict[str, list[float]] = field(default_factory=lambda: {"push": [], "page": []})
    unanswered: int = 0
    pushed: int = 0
    polled: int = 0
    twice: int = 0
    faults: list[str] = field(default_factory=list)
    guard: threading.Lock = field(default_factory=threading.Lock)


def found(folder: Path, count: int) -> list[Ally]:
    """Make our workspace, and allies that have an agreement and an account that may push."""
    ours = Workspace.init(folder / "ours", organisation="ours", actor="ana", key_folder=folder / "ours-keys")
    allies = []
    with ours:
        for name in (f"ally{number}" for number in range(count)):
            befriend(ours, folder, name)
            token = make_token()
            account = ours.add_account(name, name, push=True, token=token)
            allies.append(Ally(account.ally, account.collection, token))
    return allies


class Server:
    """`aleat serve` in a process of its own, on one port."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        command = ["-m", "aleat", "serve", "--port", str(self.port), "--daily-objects", "10000000"]
        self.command = [sys.executable, *command, "-w", str(folder / "ours")]
        self.environment = {**os.environ, "ALEAT_KEYS": str(folder / "ours-keys")}
        self.cpu = 0.0
        self.start()

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True, env=self.environment)
        if self.process.stdout is None or "Serving" not in self.process.stdout.readline():
            raise SystemExit("The server didn't start.")

    def end(self, how: signal.Signals) -> None:
        """End it, and count the CPU seconds that it took."""
        self.process.send_signal(how)
        _, _, used = os.wait4(self.process.pid, 0)
        self.process.returncode = 0
        self.cpu += used.ru_utime + used.ru_stime


class Client:
    """One client: it pushes, and polls what came since."""

    def __init__(self, number: int, port: int, ally: Ally, figures: Figures, end: float) -> None:
        self.number, self.port, self.ally, self.figures, self.end = number, port, ally, figures, end
        self.connection: http.client.HTTPConnection | None = None
        self.path = f"/taxii2/root/collections/{ally.collection}/objects/"
        self.seen: set[str] = set()
        self.since = ""

    def run(self, batch: int) -> None:
        """Push and poll until it is time to stop; then poll once more what is left."""
        turn = 0
        try:
            while time.monotonic() < self.end:
                self.push([f"indicator--{uuid.uuid5(uuid.UUID(int=self.number), f'{turn}/{n}')}" for n in range(batch)])
                self.poll()
                turn += 1
        except Exception as error:
            self.figures.faults.append(f"client {self.number}: {error!r}")

    def push(self, ids: list[str]) -> None:
        """Push objects with these ids."""
        body = json.dumps({"objects": [indicator(id_, self.ally.identity) for id_ in ids]}).encode()
        status, _, said = self.ask("push", "POST", self.path, body)
        if status != 202:
            raise RuntimeError(f"a push was answered with {status}: {said[:200]!r}")
        told = json.loads(said)
        if told.get("failure_count") or told["success_count"] != len(ids):
            raise RuntimeError(f"a push failed: {said[:300]!r}")
        with self.figures.guard:
            self.ally.accepted.update(ids)
            self.figures.pushed += len(ids)

    def poll(self) -> None:
        """Take all that came since the last poll, page by page."""
        plain = f"?limit={MAX_PAGE}" + (f"&added_after={self.since}" if self.since else "")
        query = plain
        while True:
            status, headers, said = self.ask("page", "GET", self.path + query)
            if status != 200:
                raise RuntimeError(f"a page was answered with {status}: {said[:200]!r}")
            page = json.loads(said)
            ids = [item["id"] for item in page.get("objects", ())]
            with self.figures.guard:
                self.figures.polled += len(ids)
                self.figures.twice += len(ids) - len(set(ids) - self.seen)
            self.seen.update(ids)
            self.since = headers.get("X-TAXII-Date-Added-Last", self.since)
            if not page.get("more"):
                return
            query = f"{plain}&next={page['next']}"

    def poll_until(self, ids: set[str]) -> None:
        """Poll until all of `ids` came, for a minute at most: what came last may still be judged."""
        end = time.monotonic() + 60
        self.poll()
        while ids - self.seen and time.monotonic() < end:
            time.sleep(0.5)
            self.poll()

    def ask(self, what: str, method: str, path: str, body: bytes | None = None) -> tuple[int, Any, bytes]:
        """Make one request; where nobody answers, or one is to come again (429), ask the same again."""
        headers = {"Authorization": f"Bearer {self.ally.token}", "Accept": TYPE, "Content-Type": TYPE}
        while True:
            began = time.monotonic()
            try:
                if self.connection is None:
                    self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
                self.connection.request(method, path, body, headers)
                answer = self.connection.getresponse()
                said = answer.read()
            except (OSError, http.client.HTTPException):
                self.connection = None
                with self.figures.guard:
                    self.figures.unanswered += 1
                time.sleep(0.1)
                continue
            with self.figures.guard:
                self.figures.statuses[answer.status] += 1
                self.figures.times[what].append(time.monotonic() - began)
            if answer.status == 429 or answer.status >= 500:
                time.sleep(float(answer.headers.get("Retry-After", "1")))
                continue
            return answer.status, answer.headers, said


def indicator(id_: str, ally: str) -> dict[str, Any]:
    """One object of an ally's, GREEN."""
    return {
        "type": "indicator",
        "spec_version": "2.1",
        "id": id_,
        "created": "2022-07-15T08:00:00.000Z",
        "modified": "2022-07-15T08:00:00.000Z",
        "created_by_ref": ally,
        "object_marking_refs": [GREEN],
        "name": f"Beacon {id_[-12:]}",
        "pattern": f"[domain-name:value = '{id_[-12:]}.example']",
        "pattern_type": "stix",
        "valid_from": "2022-07-15T08:00:00.000Z",
    }


def run(folder: Path, seconds: float, count: int, allies: int, batch: int) -> dict[str, Any]:
    """Let the crowd run, and return the figures."""
    parties = found(folder, allies)
    server = Server(folder)
    figures, began = Figures(), time.monotonic()
    clients = [
        Client(number, server.port, parties[number % allies], figures, began + seconds) for number in range(count)
    ]
    threads = [threading.Thread(target=client.run, args=(batch,)) for client in clients]
    for thread in threads:
        thread.start()
    time.sleep(seconds / 2)
    at_kill = figures.pushed
    server.end(signal.SIGKILL)
    down = time.monotonic()
    server.start()
    down = time.monotonic() - down
    for thread in threads:
        thread.join()
    elapsed = time.monotonic() - began
    checked = check(server.port, parties, clients, figures)
    server.end(signal.SIGTERM)
    with Workspace.open(folder / "ours", actor="ana", key_folder=folder / "ours-keys") as ours:
        checked["faults"] = figures.faults + [str(fault) for fault in ours.verify().faults]
        with ours.read() as connection:
            kept = {one.object.id: len(one.copies) for one in iterate_objects(connection, ["indicator"])}
    accepted = set[str]().union(*(ally.accepted for ally in parties))
    checked["lost"] += len(accepted - kept.keys())
    checked["doubled"] += sum(copies != 1 for copies in kept.values())
    return {
        "clients": count,
        "allies": allies,
        "seconds": round(elapsed, 1),
        "pushed": figures.pushed,
        "pushed before the kill": at_kill,
        "polled": figures.polled,
        "down seconds": round(down, 2),
        "unanswered": figures.unanswered,
        "statuses": {str(status): number for status, number in sorted(figures.statuses.items())},
        "milliseconds": {what: spread(times) for what, times in figures.times.items()},
        "server CPU seconds": round(server.cpu, 1),
        "server errors": sum(number for status, number in figures.statuses.items() if status >= 500),
        **checked,
    }


def check(port: int, parties: list[Ally], clients: list[Client], figures: Figures) -> dict[str, Any]:
    """Poll once more, with the clients and with new ones, and hold that against what was accepted."""
    lost = strange = doubled = 0
    for number, ally in enumerate(parties):
        plain = Client(-1 - number, port, ally, Figures(), 0)
        for client in (plain, *(client for client in clients if client.ally is ally)):
            client.poll_until(ally.accepted)
            got = {id_ for id_ in client.seen if id_.startswith("indicator--")}
            lost += len(ally.accepted - got)
            strange += len(got - ally.accepted)
        doubled += plain.figures.twice
    return {"lost": lost, "doubled": doubled + figures.twice, "strange": strange}


def spread(times: list[float]) -> dict[str, int]:
    """The middle and the 95th percentile, in milliseconds."""
    ordered = sorted(times) or [0.0]
    return {
        "median": round(ordered[len(ordered) // 2] * 1000),
        "95th percentile": round(ordered[int(len(ordered) * 0.95)] * 1000),
    }


def main() -> None:
    """Run, print the figures, and say by the exit code whether all was well."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--allies", type=int, default=5)
    parser.add_argument("--batch", type=int, default=20, help="objects in a push")
    parser.add_argument("--json", type=Path, help="where the figures are written too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        figures = run(Path(name), options.seconds, options.clients, options.allies, options.batch)
    figures["load average"] = [round(load, 1) for load in os.getloadavg()]
    text = json.dumps(figures, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")
    sys.exit(1 if any(figures[name] for name in ("lost", "doubled", "strange", "server errors", "faults")) else 0)


if __name__ == "__main__":
    main()
