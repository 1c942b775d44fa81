"""The way to a MISP server: TLS that nobody vouches for, a slow one, one that leads elsewhere. Nothing leaves on it."""

from __future__ import annotations

import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aleat import Workspace
from aleat.errors import RemoteError
from aleat.exchange.access import Access, Credentials, Tls
from tests.exchange.http_double import Reply, serving
from tests.exchange.misp_simulator import KEY, Misp, access, running
from tests.exchange.teams import indicator
from tests.exchange.test_http_tls import Authority, authority
from tests.web.conftest import NORTH, take_in
from tests.workspace.test_misp_push import north, values, ws

__all__ = ["authority", "north", "ws"]


def reach(url: str, **more: Any) -> Access:
    return Access(f"misp+{url}", Credentials(KEY), sleep=lambda _: None, **more)


def test_only_a_server_that_somebody_vouches_for(ws: Workspace, authority: Authority) -> None:
    """Without its authority not even our key leaves; with it, what must be encrypted on its way may go."""
    take_in(ws, [indicator(1, NORTH, "green")])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.server)
    misp = Misp()
    with serving(misp.answer, context) as server:
        with pytest.raises(RemoteError):
            ws.push_misp(reach(server.url), to="south")
        assert misp.bodies == []
        assert ws.push_misp(reach(server.url, tls=Tls(ca_file=authority.ca)), to="south").complete
    assert values(misp) == ["beacon-1.example"]


def test_a_slow_server_is_left(ws: Workspace) -> None:
    """Connecting, looking and writing have one deadline together."""
    take_in(ws, [indicator(1, NORTH, "green")])
    misp = Misp()
    ticks = iter(range(0, 1_000_000, 9))
    with running(misp) as server:
        slow = access(server, clock=lambda: float(next(ticks)))
        with pytest.raises(RemoteError, match="took longer"):
            ws.push_misp(replace(slow, limits=replace(slow.limits, seconds=60.0)), to="south")
    assert misp.events == {}


def test_what_is_written_is_led_nowhere_else(ws: Workspace) -> None:
    """A redirect of what is sent, even on the same server; the key goes to no other."""
    take_in(ws, [indicator(1, NORTH, "green")])
    misp = Misp()
    with running(misp) as server, serving(lambda _: Reply(200, {}, b"{}")) as other:
        for target in (f"{other.url}events/add", f"{server.url}events/add2"):
            moved = Reply(307, {"Location": target}, b"")
            misp.wrong = lambda request, moved=moved: moved if request.path.startswith("/events/add") else None
            done = ws.push_misp(access(server), to="south")
            assert [issue.code for issue in done.issues] == ["redirect"]
        assert other.requests == []


def test_a_busy_server_is_asked_again(ws: Workspace, tmp_path: Path) -> None:
    """429 says that nothing was done: so it is sent again; and only once there."""
    take_in(ws, [indicator(1, NORTH, "green")])
    misp = Misp()
    waits = iter([Reply(429, {"Retry-After": "1"}, b"{}")])
    misp.wrong = lambda request: next(waits, None) if request.path.startswith("/events/add") else None
    with running(misp) as server:
        done = ws.push_misp(access(server), to="south")
    assert (done.complete, done.issues) == (True, ())
    assert misp.sent("events/add") == 2
    assert values(misp) == ["beacon-1.example"]
