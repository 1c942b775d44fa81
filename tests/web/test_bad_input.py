"""What a partner or a stranger may try: refused with the right status, logged, and nothing changed.

What isn't here stands beside: other people's ids, replays and weaker markings in `test_rights.py`, slow clients in
`test_slow.py`, guessing in `test_access.py`, bytes of any kind in `test_hostile.py` and `test_openapi.py`.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from aleat import Workspace
from aleat.store.objects import iterate_objects
from aleat.web import WebLimits
from tests.exchange.malware import malware, malware_id
from tests.exchange.teams import START, indicator
from tests.web.conftest import NORTH, SOUTH, Served, running, served_at

Founded = tuple[Path, dict[str, str]]
DEEP = b'{"objects":[{"type":"malware","id":"malware--1","x":' + b"[" * 200_000
WIDE = b'{"objects":[' + b",".join([b"{}"] * 10_001) + b"]}"
KEYS = b'{"objects":[{' + b",".join(b'"k%d":0' % number for number in range(50_000)) + b"}]}"


def counts(ws: Workspace) -> tuple[int, int]:
    """How many objects and copies there are."""
    with ws.read() as connection:
        stored = list(iterate_objects(connection))
    return len(stored), sum(len(one.copies) for one in stored)


def refusals(served: Served) -> list[list[object]]:
    """The refusals in the exchange ledger, once the server has ended: account, address, status, how many."""
    entries = [json.loads(line) for line in b"".join(served.ws.export_ledgers()).splitlines()]
    return [row for entry in entries if entry["kind"] == "refused" for row in entry["data"]["refused"]]


@contextmanager
def quiet(workspace: Workspace, founded: Founded, limits: WebLimits | None = None) -> Iterator[Served]:
    """A server, after which the ledgers must be sound."""
    with running(workspace, limits or WebLimits(requests=1e6, burst=10**6)) as url:
        yield served_at(workspace, url, founded[1])
    assert not workspace.verify().faults


def test_another_allys_token(workspace: Workspace, founded: Founded) -> None:
    """With it one is that ally, and sees its collection alone: the other's is a 404 for every method, and is logged."""
    before = counts(workspace)
    with quiet(workspace, founded) as served:
        for method in ("GET", "POST", "DELETE"):
            for path in ("objects/", f"objects/{indicator(1, NORTH).id}/", "manifest/"):
                body = b'{"objects":[' + malware(1).raw + b"]}" if method == "POST" else None
                assert served.ask(served.collection("south") + path, method, who="east", body=body).status == 404
    assert ["east", "127.0.0.1", 404] in [row[:3] for row in refusals(served)]
    assert counts(workspace) == before


@pytest.mark.parametrize(
    "path",
    [
        "/taxii2/../taxii2/",
        "/taxii2/%2e%2e/taxii2/",
        "/taxii2/root/../",
        "//taxii2/",
        "/taxii2//root/",
        "/taxii2/root%2fcollections/",
        "/taxii2\\root\\",
        "/taxii2/root/;x/",
        "/taxii2/root/collections/../../root/",
        "/TAXII2/",
        "/taxii2/root/%00/",
        "/taxii2/root/%0a/",
        "/taxii2/%ff/",
        "/taxii2/root/.",
        "/etc/passwd",
        "http://elsewhere.example/taxii2/",
        "*",
    ],
)
def test_path_tricks(shared: Served, path: str) -> None:
    """No second way to what is here: a 404 for who may come, a 401 for who may not, whatever is written."""
    parts = urlsplit(shared.url)
    for who, status in ((f"Authorization: Bearer {shared.tokens['south']}\r\n", b"404"), ("", b"401")):
        with socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=10) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n{who}Connection: close\r\n\r\n".encode())
            assert connection.recv(65_536)[9:12] in {status, b"400"}


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Content-Length: 4\r\nContent-Length: 40\r\n",
        b"Content-Length: +4\r\n",
        b"Content-Length : 4\r\n",
        b" Content-Length: 4\r\n",
        b"Transfer-Encoding:\x0bchunked\r\n",
    ],
)
def test_a_request_hidden_in_another(shared: Served, head: bytes) -> None:
    """Where two could read the end of a body differently, nothing behind it is answered as a request of its own."""
    parts = urlsplit(shared.url)
    token = shared.tokens["south"].encode()
    hidden = b"GET /taxii2/ HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + token + b"\r\n\r\n"
    data = b"POST /taxii2/ HTTP/1.1\r\nHost: a\r\n" + head + b"\r\n0\r\n\r\n" + hidden
    with socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=10) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        said = b""
        while part := connection.recv(65_536):
            said += part
    assert said.startswith((b"HTTP/1.1 400", b"HTTP/1.1 401"))
    assert b" 200 " not in said


def test_json_bombs(workspace: Workspace, founded: Founded) -> None:
    """Deep, wide, of many keys, of huge numbers: 422 as a whole, or each object failed; nothing is kept."""
    before = counts(workspace)
    with quiet(workspace, founded) as served:
        for body in (DEEP, WIDE, KEYS, b'{"objects":[1e999999]}', b'{"objects":["' + b"\\u0000" * 9_999):
            got = served.ask(f"{served.collection()}objects/", "POST", body=body)
            assert got.status == 422 or (got.status, got.json["success_count"]) == (202, 0)
            assert served.ask("").status == 200
    assert counts(workspace) == before


def test_a_partner_that_pushes_without_end(workspace: Workspace, founded: Founded) -> None:
    """Beyond its day's budget, in objects or bytes, it is a 429 that says when; none of it is kept, others go on."""
    limits = WebLimits(requests=1e6, burst=10**6, daily_objects=25, daily_bytes=20_000)
    with quiet(workspace, founded, limits) as served:
        assert served.push(*(malware(number) for number in range(20))).status == 202
        assert served.push(*(malware(number) for number in range(20, 30))).status == 202
        refused = served.push(malware(77))
        assert (refused.status, refused.json["http_status"]) == (429, "429")
        assert 0 < int(refused.headers["retry-after"]) <= 86_400
        assert served.ask(served.collection()).status == 200
        large = [malware(number, name="x" * 1_000) for number in range(100, 121)]
        assert served.push(*large, who="east").status == 429
        assert served.push(malware(200), who="east").status == 202
    with workspace.read() as connection:
        kept = {one.object.id for one in iterate_objects(connection, ["malware"])}
    assert kept == {malware_id(number) for number in (*range(30), 200)}
    assert ["south", "127.0.0.1", 429] in [row[:3] for row in refusals(served)]


def test_a_days_budget_outlives_a_restart(workspace: Workspace, founded: Founded) -> None:
    """In objects and in bytes, of the feed's pushes; another ally's is its own."""
    limits = WebLimits(requests=1e6, burst=10**6, daily_objects=25, daily_bytes=30_000)
    with quiet(workspace, founded, limits) as served:
        assert served.push(*(malware(number) for number in range(25))).status == 202
        large = [malware(number, name="x" * 1_000) for number in range(100, 115)]
        assert served.push(*large, who="east").status == 202
    with quiet(workspace, founded, limits) as served:
        assert served.push(malware(50)).status == 429
        assert served.push(malware(116), who="east").status == 202
        assert served.push(*large, who="east").status == 429


def test_a_clock_that_jumps(founded: Founded, workspace: Workspace) -> None:
    """Back a year, forward, and back: a poller that remembers times or tokens still gets everything once."""
    now = [START]
    folder, keys = workspace.folder, workspace.folder.parent / "keys"
    workspace.close()

    def clock() -> datetime:
        return now[0]

    with Workspace.open(folder, actor="ana", key_folder=keys, clock=clock) as ws, quiet(ws, founded) as served:
        last, got = "", []
        for turn, days in enumerate((0, 3, -10, 1, -10, 0)):
            now[0] = START + timedelta(days=days)
            served.push(indicator(100 + turn, SOUTH, "green"))
            page = served.ask(f"{served.collection()}objects/?" + (f"added_after={last}" if last else ""))
            got += [one["id"] for one in page.json.get("objects", ())]
            assert page.headers["x-taxii-date-added-last"] > last
            last = page.headers["x-taxii-date-added-last"]
        assert len(got) == len(set(got))
        assert set(got) == set(served.ids())
        assert {indicator(100 + turn, SOUTH).id for turn in range(6)} <= set(got)
