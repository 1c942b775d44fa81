"""Writing to an ally's MISP server: what it may have is there once, as wide as its label, and nothing else ever was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pymisp
import pytest

from aleat import Workspace
from aleat.errors import NotPermittedError, RemoteError
from aleat.exchange.access import Access
from aleat.stix import StixObject, make_object
from aleat.store.allies import add_agreement
from aleat.trust.markings import marking_id
from aleat.workspace.poll import list_feeds
from tests.exchange.misp_simulator import GROUP, KEY, OUR_ORG, Misp, access, running
from tests.exchange.teams import AGREEMENT, START, indicator
from tests.web.conftest import NORTH, SOUTH, befriend, take_in

SHARED = f"""
[misp]
sharing_group = "{GROUP["uuid"]}"
"""


@pytest.fixture
def misp() -> Misp:
    """South's server, with an account of north's."""
    return Misp()


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    """North's workspace, with south as its ally."""
    with Workspace.init(
        tmp_path / "case",
        organisation="North",
        identity=NORTH,
        actor="ana",
        key_folder=tmp_path / "keys",
        clock=lambda: START,
    ) as opened:
        befriend(opened, "south", SOUTH)
        yield opened


def report(number: int, *refs: StixObject, name: str = "What we saw", label: str = "green") -> StixObject:
    """A report of ours."""
    return make_object(
        "report", f"report--00000000-0000-4000-8000-{number:012d}", created=START, created_by_ref=NORTH, name=name,
        published=START, object_refs=[item.id for item in refs], markings=[marking_id(f"tlp:{label}")],
    )  # fmt: skip


def push(ws: Workspace, misp: Misp, **more: Any) -> Any:
    with running(misp) as server:
        return ws.push_misp(access(server), to="south", **more)


def values(misp: Misp) -> list[str]:
    return sorted(row["value"] for row in misp.attributes() if not row.get("deleted"))


def test_what_may_leave_is_there_once(ws: Workspace, misp: Misp) -> None:
    """One event for the report, one for what no report lists; a second push has nothing to do."""
    first, second, third = (indicator(n, NORTH, "green") for n in (1, 2, 3))
    take_in(ws, [first, second, third, indicator(4, NORTH, "red"), report(9, first, second)])
    done = push(ws, misp)
    assert (done.complete, done.issues) == (True, ())
    assert [event.taken for event in done.events] == [2, 1]
    assert values(misp) == [f"beacon-{n}.example" for n in (1, 2, 3)]
    assert [event["info"] for event in misp.events.values()] == ["What we saw", "North 2022-09 (TLP:GREEN)"]
    for event in misp.events.values():
        assert (event["distribution"], event["published"], event["Tag"]) == ("1", False, [{"name": "tlp:green"}])
        loaded = pymisp.MISPEvent()
        loaded.load({"Event": event})
        assert all(row.to_ids and row.type == "domain" for row in loaded.attributes)
    before = json.dumps(misp.events)
    again = push(ws, misp)
    assert [event.taken for event in again.events] == [0, 0]
    assert (again.release, json.dumps(misp.events)) == ("", before)
