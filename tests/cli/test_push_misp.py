"""`aleat push misp+https://…` and `misp+file:…`: what an ally may have, in its MISP, or in a file for it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pymisp
import pytest

from aleat import Workspace
from tests.cli.command import Call, environment
from tests.exchange.http_double import Reply, Request
from tests.exchange.misp_simulator import KEY, Misp, running
from tests.exchange.teams import indicator
from tests.knowledge.misp_world import OTHER, attribute, event, uuid
from tests.web.conftest import SOUTH, befriend, take_in
from tests.workspace.samples import BAD_ADDRESS, write_logs


@pytest.fixture
def case(tmp_path: Path, run: Call) -> Path:
    """A workspace with an ally, two indicators that it may have and one that it mayn't, and a file with our key."""
    assert run("init", tmp_path / "case", "--organisation", "Team North").code == 0
    (tmp_path / "key").write_text(f"{KEY}\n")
    with Workspace.open(tmp_path / "case", actor="agim") as ws:
        own = ws.config.identity
        befriend(ws, "south", SOUTH)
        (tmp_path / "agreement.toml").write_bytes(ws.draft_agreement("south"))
        ws.add_agreement(tmp_path / "agreement.toml")
        rows = [indicator(n, own, label) for n, label in enumerate(("green", "amber", "red"))]
        take_in(ws, rows, giver=own)
    return tmp_path / "case"


def test_events_are_pushed_once(case: Path, tmp_path: Path, run: Call) -> None:
    """It says what is new, and what was there."""
    misp = Misp()
    with running(misp) as server:
        words = (f"misp+{server.url}", "--to", "south", "--token-file", tmp_path / "key", "-w", case, "-q")
        first = run("push", *words)
        assert (first.code, "2 events; 2 parts new or changed, 0 there already" in first.out) == (0, True), first.said
        assert "1 events are seen by our own users there only" in first.out
        again = run("push", *words, "--publish", "--distribution", "community")
        assert "0 parts new or changed, 2 there already" in again.out, again.said
        assert "2 events published" in again.out
    assert sorted(row["value"] for row in misp.attributes()) == ["beacon-0.example", "beacon-1.example"]
    assert KEY not in first.said + again.said
    written = b"".join(path.read_bytes() for path in case.rglob("*") if path.is_file())
    assert KEY.encode() not in written


def test_what_is_refused_is_said(case: Path, tmp_path: Path, run: Call) -> None:
    """The exit code says that something is missing."""
    misp = Misp(role={"perm_add": True, "perm_tagger": False})
    with running(misp) as server:
        done = run("push", f"misp+{server.url}", "--to", "south", "--token-file", tmp_path / "key", "-w", case, "-q")
    assert done.code == 1
    assert "may not tag" in done.err


def test_sightings_are_pushed(case: Path, tmp_path: Path, run: Call) -> None:
    """Of what came from that server; what MISP has no word for is said."""
    rows = [attribute(2, "ip-dst", BAD_ADDRESS), attribute(3, "domain", "never.example.org")]
    south = {"id": "3", "uuid": SOUTH.removeprefix("identity--"), "name": "Team south"}
    there = {**event(), "Orgc": south, "Attribute": rows, "Object": [], "Tag": [], "ShadowAttribute": []}
    other = {**there, "uuid": uuid(60), "Orgc": OTHER, "Attribute": [attribute(61, "ip-dst", BAD_ADDRESS)]}
    misp = Misp({uuid(0): there, uuid(60): other})
    write_logs(tmp_path / "logs")
    with running(misp) as server:
        words = (f"misp+{server.url}", "--token-file", tmp_path / "key", "-w", case, "-q")
        assert run("poll", *words, "--from", "south", "--marking", "green").code == 0
        assert run("add", "evidence", tmp_path / "logs", "-w", case, "-q").code in {0, 3}
        done = run("push", *words, "--to", "south", "--sightings")
        assert "1 sightings added, 0 there already" in done.out, done.said
        assert "MISP has no word for that" in done.out
        assert f"ask identity--{OTHER['uuid']}" in done.out
        assert "0 sightings added, 1 there already" in run("push", *words, "--to", "south", "--sightings").out


def test_a_file_is_written(case: Path, tmp_path: Path, run: Call) -> None:
    """MISP's JSON, which PyMISP reads; what may not leave is not in it, nor is it published."""
    done = run("push", f"misp+file:{tmp_path / 'events.json'}", "--to", "south", "-w", case, "-q")
    assert (done.code, "2 events, which tell 2 objects" in done.out) == (0, True), done.said
    data = (tmp_path / "events.json").read_bytes()
    assert b"beacon-2" not in data
    for row in json.loads(data)["response"]:
        loaded = pymisp.MISPEvent()
        loaded.load(row)
        assert (loaded.published, len(loaded.attributes)) == (False, 1)
    assert run("push", "misp+file:", "--to", "south", "-w", case, "-q").code == 1
    assert run("push", "misp+file:x", "--to", "south", "-w", case, "--sightings").code == 1
    assert run("push", "misp+ftp://x/", "--to", "south", "-w", case).code == 1


def test_a_poll_asks_for_what_is_wanted(case: Path, tmp_path: Path, run: Call) -> None:
    """Each choice has its own bookmark: what one passed over, the next takes."""
    tagged = {**event(), "uuid": uuid(30), "Tag": [{"name": "tlp:green"}], "Attribute": [], "Object": []}
    misp = Misp({uuid(0): event(), uuid(30): tagged})
    with running(misp) as server:
        words = (f"misp+{server.url}", "--from", "south", "--token-file", tmp_path / "key", "-w", case, "-q")
        assert "in 1 pages" in run("poll", *words, "--tag", "tlp:green").out
        assert "in 0 pages" in run("poll", *words, "--tag", "tlp:green").out
        assert "in 2 pages" in run("poll", *words).out
        assert "in 1 pages" in run("poll", *words, "--event", uuid(0)).out
        assert "in 2 pages" in run("poll", *words, "--to-ids", "--unpublished").out
        assert "no UUID" in run("poll", *words, "--event", "../admin").err
        assert "MISP servers" in run("poll", "https://taxii.example.org/", "--tag", "x", "-w", case, "--all").err
    assert [query.get("to_ids") for query in misp.searches][-1] == 1


@pytest.mark.long
@pytest.mark.parametrize("done", [False, True], ids=["before the server did it", "after"])
def test_a_push_that_is_killed_doubles_nothing(case: Path, keys: Path, tmp_path: Path, run: Call, done: bool) -> None:
    """SIGKILL while the server has the request: the next push finds out what is there."""
    misp, there, go_on = Misp(), threading.Event(), threading.Event()

    def hold(request: Request) -> Reply | None:
        if not request.path.startswith("/events/add") or there.is_set():
            return None
        if done:
            misp._add("", json.loads(request.body)["Event"])
        there.set()
        go_on.wait(60)
        return Reply(200, {}, b"{}")

    misp.wrong = hold
    with running(misp) as server:
        words = ("push", f"misp+{server.url}", "--to", "south", "--token-file", tmp_path / "key", "-w", case, "-q")
        command = [sys.executable, "-m", "aleat", *map(str, words)]
        with subprocess.Popen(command, env=environment(keys), stdout=subprocess.DEVNULL) as process:
            assert there.wait(60)
            process.kill()
        go_on.set()
        again = run(*words)
        assert again.code == 0, again.said
        assert "0 parts new or changed, 2 there already" in run(*words).out
    assert sorted(row["value"] for row in misp.attributes()) == ["beacon-0.example", "beacon-1.example"]
    assert len(misp.events) == 2
    assert run("verify", "-w", case, "-q").code == 0
