"""`aleat poll`: what it lists, what it says, what it keeps to itself, and its exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.command import Call
from tests.exchange.http_double import Reply, Request, Server, serving, taxii
from tests.exchange.malware import malware

TOKEN = "t0ken-of-ours"
COLLECTIONS = [
    {"id": name, "title": name.title(), "can_read": name != "closed", "can_write": False}
    for name in ("one", "two", "closed")
]
ROOT = {"title": "Root", "versions": ["application/taxii+json;version=2.1"], "max_content_length": 1_000_000}


def answer(request: Request) -> Reply:
    """Three collections; the objects of `two` hold one that is wrong."""
    path = request.path.partition("?")[0]
    if request.headers.get("authorization") != f"Bearer {TOKEN}":
        return taxii(b'{"title": "Who are you?"}', 401)
    if path == "/root/":
        return taxii(json.dumps(ROOT).encode())
    if path == "/root/collections/":
        return taxii(json.dumps({"collections": COLLECTIONS}).encode())
    if path == "/root/collections/one/":
        return taxii(json.dumps(COLLECTIONS[0]).encode())
    objects = [malware(number).raw for number in range(3)]
    objects += [b'{"type": "malware", "id": "nobody"}'] if "/two/" in path else []
    return taxii(b'{"objects": [' + b",".join(objects) + b"]}", X_TAXII_Date_Added_Last="2022-07-15T08:00:00.000Z")


@pytest.fixture
def server() -> Iterator[Server]:
    """A TAXII server that knows our token."""
    with serving(answer) as running:
        yield running


@pytest.fixture
def case(tmp_path: Path, run: Call) -> Path:
    """A workspace."""
    assert run("init", tmp_path / "case", "--organisation", "Team South").code == 0
    return tmp_path / "case"


@pytest.fixture
def poll(run: Call, case: Path, tmp_path: Path) -> Callable[..., object]:
    """Run the command with our token in a file."""
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    return lambda *words: run("poll", *words, "--token-file", tmp_path / "token", "-w", case, "-q")


def test_a_collection_is_polled_and_polled_again(server: Server, poll: Call, case: Path) -> None:
    """Counts, how far, and the giver; the second time all is known. The token stands nowhere."""
    url = server.url + "root/collections/one/"
    first = poll(url, "--from", "north", "--marking", "amber")
    assert first.code == 0
    assert "One: 3 new objects, 0 known already in 1 pages (3 malware)." in first.out
    assert "Polled up to 2022-07-15T08:00:00.000Z" in first.out
    assert "http:// is not encrypted" in first.err
    again = poll(url, "--from", "north", "--marking", "amber")
    assert "0 new objects, 3 known already" in again.out
    assert "added_after=2022-07-15T07%3A59%3A00.000Z" in server.requests[-1].path
    written = b"".join(path.read_bytes() for path in case.rglob("*") if path.is_file())
    assert TOKEN.encode() not in written
    assert TOKEN not in first.out + first.err


def test_several_collections_are_listed_until_one_is_named(server: Server, poll: Call) -> None:
    """An API root lists (usage, 2); `--collection` and `--all` poll; what can't be read is 3."""
    listed = poll(server.url + "root/")
    assert listed.code == 2
    assert "two" in listed.out
    assert "--collection" in listed.err
    assert "not for us to read" in listed.err
    assert poll(server.url + "root/", "--collection", "one").code == 0
    everything = poll(server.url + "root/", "--all")
    assert everything.code == 3
    assert "Two: 0 new objects, 3 known already" in everything.out
    assert "1 could not be read" in everything.err
    assert poll(server.url + "root/", "--collection", "three").code == 1


def test_what_is_wrong_is_said(server: Server, run: Call, case: Path, poll: Call, tmp_path: Path) -> None:
    """No token, a URL of no kind, a URL with a password, no limit of that name, a file without a secret: code 1."""
    url = server.url + "root/collections/one/"
    refused = run("poll", url, "-w", case)
    assert (refused.code, "401" in refused.err, "Who are you?" in refused.err) == (1, True, True)
    assert "gopher" in poll("gopher://192.0.2.1/").err
    hidden = poll("https://me:hidden@taxii.example.org/")
    assert (hidden.code, "hidden" in hidden.err) == (1, False)
    assert "no limit of a poll" in poll(url, "--limit", "patience=5").err
    (tmp_path / "empty").write_text("")
    assert "holds no secret" in run("poll", url, "--token-file", tmp_path / "empty", "-w", case).err


def test_limits_are_lowered_by_name(server: Server, poll: Call) -> None:
    """What goes beyond is said, with code 3."""
    limited = poll(server.url + "root/collections/one/", "--limit", "page_bytes=100")
    assert limited.code == 3
    assert "page_bytes" in limited.err
    assert "did not come to its end" in limited.err
