"""Many clients at once, and a kill in the middle: nothing lost, nothing doubled, no 5xx while the server is up."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from aleat import Workspace
from aleat.store.objects import get_variants, iterate_objects
from tests.exchange.malware import malware
from tests.exchange.teams import AGREEMENT
from tests.web.conftest import NORTH, SOUTH, Answer, Served, served_at

CLIENTS, PUSHES, BATCH = 12, 6, 20


class Crowd:
    """Clients of one server that may be gone for a while; each asks again until it is answered."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.statuses: set[int] = set()
        self.pushed = 0
        self.failed: list[BaseException] = []
        self.half = threading.Event()

    def run(self, number: int) -> None:
        """Push batches, and poll everything after each."""
        try:
            for turn in range(PUSHES):
                first = (number * PUSHES + turn) * BATCH
                batch = [malware(one) for one in range(first, first + BATCH)]
                status = self.until_answered(lambda batch=batch: self.served.push(*batch)).json  # type: ignore[misc]
                assert status["success_count"] == BATCH
                self.pushed += 1
                if self.pushed >= CLIENTS * PUSHES // 2:
                    self.half.set()
                self.poll()
        except BaseException as error:
            self.failed.append(error)
            self.half.set()

    def poll(self) -> None:
        """Take all pages; each object once."""
        got: list[str] = []
        query = "limit=40"
        while True:
            path = f"{self.served.collection()}objects/?{query}"
            page = self.until_answered(lambda path=path: self.served.ask(path)).json  # type: ignore[misc]
            got += [item["id"] for item in page["objects"]]
            if not page.get("more"):
                break
            query = f"limit=40&next={page['next']}"
        assert len(got) == len(set(got))

    def until_answered(self, ask: object) -> Answer:
        """Ask again while nobody is there."""
        for _ in range(600):
            try:
                answer: Answer = ask()  # type: ignore[operator]
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)
                continue
            self.statuses.add(answer.status)
            return answer
        raise AssertionError("nobody answers")


@pytest.mark.long
def test_a_crowd_and_a_kill(workspace: Workspace, founded: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    """All that was accepted is there once, the workspace verifies, and a new poll has what may leave."""
    text = AGREEMENT.format(*sorted((NORTH, SOUTH))).replace("mutual-aid", "mutual-aid-south")
    path = tmp_path / "longer.toml"
    path.write_text(text.replace("version = 1", "version = 2").replace("2023-08-31", "2099-08-31"), encoding="utf-8")
    workspace.add_agreement(path)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "aleat", "serve", "--port", str(port), "-w", str(workspace.folder)]
    environment = {**os.environ, "ALEAT_KEYS": str(tmp_path / "served" / "keys")}
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    crowd = Crowd(served_at(workspace, f"http://127.0.0.1:{port}/taxii2/", founded[1]))
    threads = [threading.Thread(target=crowd.run, args=(number,)) for number in range(CLIENTS)]
    try:
        for thread in threads:
            thread.start()
        assert crowd.half.wait(120)
        server.kill()
        server.wait(timeout=20)
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
        for thread in threads:
            thread.join(120)
    finally:
        server.kill()
        server.wait(timeout=20)
    assert not crowd.failed
    assert crowd.statuses == {200, 202}
    with workspace.read() as connection:
        stored = list(iterate_objects(connection, ["malware"]))
        assert all(len(get_variants(connection, one.object.id)) == 1 for one in stored[:50])
    assert {one.object.id for one in stored} == {malware(number).id for number in range(CLIENTS * PUSHES * BATCH)}
    assert {len(one.copies) for one in stored} == {1}
    assert not workspace.verify().faults
