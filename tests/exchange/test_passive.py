"""PAP:RED holds by itself: whatever is done with indicators is passive work on evidence that is held.

What opens a connection knows nothing of indicators, and a hunt, a case and a report with indicators of every kind ask
the network for nothing.
"""

from __future__ import annotations

import ast
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import aleat
from aleat import Workspace
from aleat.stix import make_bundle, make_object
from aleat.trust.markings import marking_id

SOURCE = Path(aleat.__file__).parent
CLIENTS = {"socket", "ssl", "httpx2", "pymisp", "urllib.request", "http.client", "fsspec"}
# Where a connection out is opened: the one client of exchange, MISP's over it, and what opens the places of evidence.
DOORS = {
    "exchange/http_client.py",
    "exchange/http_transport.py",
    "exchange/misp_session.py",
    "opening/addresses.py",
    "opening/places.py",
}
# What an indicator, an observable or a hit is: none of it may be known at a door.
VALUES = (
    "aleat.hunt",
    "aleat.case",
    "aleat.report",
    "aleat.store",
    "aleat.stix.objects",
    "aleat.stix.values",
    "aleat.stix.entries",
    "aleat.knowledge.readers",
    "aleat.knowledge.values",
)


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_only_these_modules_open_connections() -> None:
    """A new one has to be looked at here; what our own server listens with is none."""
    found = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        if path.parent.name != "web" and set(_imports(path)) & CLIENTS
    }
    assert found == DOORS


@pytest.mark.parametrize("door", sorted(DOORS))
def test_no_door_knows_an_indicators_value(door: str) -> None:
    """It takes addresses of servers that a person named, and gives bytes."""
    found = {name for name in _imports(SOURCE / door) if name.startswith(VALUES)}
    assert found == set()


def test_a_hunt_and_its_report_ask_the_network_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Indicators under PAP:RED of a domain, an address and a URL, all of which the evidence has."""

    def refuse(*arguments: object, **_: object) -> None:
        raise AssertionError(f"the network was asked: {arguments[1:2]}")

    monkeypatch.setenv("ALEAT_KEYS", str(tmp_path / "keys"))
    for name in ("getaddrinfo", "gethostbyname", "gethostbyaddr", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "sendto", refuse)
    time = datetime(2022, 7, 15, 8, tzinfo=UTC)
    patterns = (
        "[domain-name:value = 'c2.example.org']",
        "[ipv4-addr:value = '198.51.100.7']",
        "[url:value = 'http://c2.example.org/a']",
    )
    indicators = [
        make_object(
            "indicator",
            f"indicator--00000000-0000-4000-8000-{number:012d}",
            created=time,
            markings=[marking_id("pap:red"), marking_id("tlp:green")],
            pattern=pattern,
            pattern_type="stix",
            valid_from=time,
        )
        for number, pattern in enumerate(patterns)
    ]
    (tmp_path / "pack.json").write_bytes(make_bundle(indicators))
    (tmp_path / "log.jsonl").write_text(
        '{"ts": 1657872000.0, "uid": "C1", "id.orig_h": "192.0.2.5", "id.orig_p": 50000, "id.resp_h": "198.51.100.7",'
        ' "id.resp_p": 80, "method": "GET", "host": "c2.example.org", "uri": "/a", "_path": "http"}\n',
        encoding="utf-8",
    )
    with Workspace.init(tmp_path / "w", organisation="Team", actor="ana") as ws:
        ws.add_knowledge(tmp_path / "pack.json")
        ws.add_evidence(tmp_path / "log.jsonl")
        hunt = ws.hunt()
        assert hunt.sightings
        written = ws.report(tmp_path / "out")
    assert written.html.stat().st_size > 0
