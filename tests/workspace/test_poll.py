"""Polls into a real store over a real connection: pushes, cuts and polls in any order end with the same objects."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from aleat import Workspace
from aleat.errors import RemoteError
from aleat.exchange.access import Access, RemoteLimits
from aleat.store.objects import iterate_objects
from tests.exchange.http_double import Reply, Request, serving
from tests.exchange.malware import malware_id
from tests.exchange.taxii_simulator import Simulator

COLLECTION = {"id": "one", "title": "One", "can_read": True, "can_write": False}
TAXII = {"Content-Type": "application/taxii+json;version=2.1"}


def over_http(simulator: Simulator) -> Callable[[Request], Reply]:
    """Serve a simulated collection; where its line is cut, an answer ends in its middle."""

    def answer(request: Request) -> Reply:
        parts = urlsplit(request.path)
        if not parts.path.endswith("/objects/"):
            return Reply(200, TAXII, json.dumps(COLLECTION).encode())
        try:
            found = simulator.answer(dict(parse_qsl(parts.query)))
        except RemoteError:
            return Reply(200, TAXII, b'{"objects": [{"type": "mal', length=5_000)
        return Reply(found.status, found.headers, found.body)

    return answer


@pytest.mark.parametrize("seed", [1, 2, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(3, 12))])
def test_pushes_cuts_and_polls_end_with_the_same_objects_once(seed: int, tmp_path: Path) -> None:
    """Whatever the server's way of paging; each object has one copy, and all of it verifies."""
    rng = random.Random(seed)  # noqa: S311
    way = rng.choice(("stable", "once", ""))
    simulator = Simulator(next=way, cap=rng.randrange(2, 12) if way else 1_000)
    simulator.cuts = {rng.randrange(60) for _ in range(rng.randrange(25))}
    number, moment = 0, 0.0
    with (
        serving(over_http(simulator)) as server,
        Workspace.init(tmp_path / "case", actor="agim", key_folder=tmp_path / "keys") as ws,
    ):
        access = Access(f"{server.url}r/collections/one/", limits=RemoteLimits(attempts=2), sleep=lambda _: None)
        for _ in range(rng.randrange(2, 7)):
            count = rng.randrange(1, 25)
            simulator.push(range(number, number + count), moment)
            number, moment = number + count, moment + rng.choice((0, 0.0005, 3, 500))
            if rng.random() < 0.6:
                ws.poll(access, giver="north")
        while not ws.poll(access, giver="north").feeds[0].complete:
            assert simulator.requests < 500
        simulator.cuts.clear()
        assert ws.poll(access, giver="north").feeds[0].added.new == 0
        with ws.read() as connection:
            copies = {stored.object.id: len(stored.copies) for stored in iterate_objects(connection, ["malware"])}
        assert copies == {malware_id(index): 1 for index in range(number)}
        assert ws.verify().faults == ()
