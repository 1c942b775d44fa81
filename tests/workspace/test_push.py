"""Pushing to a server that isn't ours: what the ally may have goes there, once, and nothing else does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from aleat import Workspace
from aleat.errors import InputError, NotPermittedError, TrustError
from aleat.exchange.access import Access, Credentials
from tests.exchange.cutting_proxy import Cuts, cutting_proxy
from tests.exchange.http_double import Reply, Request, serving, taxii
from tests.exchange.medallion_server import COLLECTIONS, PASSWORD, USER, medallion
from tests.exchange.teams import AGREEMENT, START, indicator
from tests.web.conftest import NORTH, SOUTH, befriend, take_in

KNOWN = Credentials(user=USER, password=PASSWORD)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Iterator[str]]:
    """A running Medallion: its URL, once for each of its empty collections."""
    with medallion(tmp_path_factory.mktemp("medallion"), page=50) as url:
        yield iter([f"{url}trustgroup1/collections/{id_}/" for id_ in COLLECTIONS])


@pytest.fixture
def place(places: Iterator[str]) -> str:
    """The URL of an empty collection."""
    return next(places)


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    """North's workspace, with south as its ally, 20 objects that may leave for it and 10 that may not."""
    with Workspace.init(
        tmp_path / "case",
        organisation="North",
        identity=NORTH,
        actor="ana",
        key_folder=tmp_path / "keys",
        clock=lambda: START,
    ) as opened:
        befriend(opened, "south", SOUTH)
        take_in(opened, (indicator(number, NORTH, "green" if number < 20 else "red") for number in range(30)))
        yield opened


def at(url: str) -> Access:
    """How the server is reached; nothing waits."""
    return Access(url, KNOWN, sleep=lambda _: None)


def polled(place: str, folder: Path) -> int:
    """How many new objects somebody else finds there."""
    with Workspace.init(folder, actor="agim", key_folder=folder.parent / "more-keys") as other:
        return other.poll(at(place)).feeds[0].added.kinds.get("stix indicator", 0)


def test_what_may_leave_is_pushed_once(ws: Workspace, place: str, tmp_path: Path) -> None:
    """Twenty of thirty leave; the second push has nothing to do; what comes later is pushed alone."""
    first = ws.push(at(place), to="south")
    assert (first.feeds[0].refused, first.issues, first.feeds[0].complete) == ((), (), True)
    assert polled(place, tmp_path / "first") == 20
    assert ws.push(at(place), to="south").feeds[0].taken == 0
    take_in(ws, [indicator(40, NORTH, "green")])
    assert ws.push(at(place), to="south").feeds[0].taken == 1
    assert polled(place, tmp_path / "second") == 21


def test_what_is_held_or_red_stays(ws: Workspace, place: str, tmp_path: Path) -> None:
    """The gate judges before each push: a hold keeps its object here, and lets it go once it is lifted."""
    held = "indicator--00000000-0000-4000-8000-000000000003"
    ws.hold([held], "legal-hold", "A court asked")
    ws.push(at(place), to="south")
    assert polled(place, tmp_path / "first") == 19
    ws.lift_hold(held, "legal-hold", "The court is content")
    assert ws.push(at(place), to="south").feeds[0].taken == 1
    assert polled(place, tmp_path / "second") == 20


def test_who_may_push(ws: Workspace, place: str) -> None:
    """Only a releaser, to an ally whose card was compared, under an agreement; two people where it wants two."""
    ws.set_roles("ben", ["analyst"])
    opened = Workspace.open(ws.folder, actor="ben", key_folder=ws.key_folder, clock=lambda: START)
    with opened as other, pytest.raises(NotPermittedError, match="releaser"):
        other.push(at(place), to="south")
    with pytest.raises(TrustError):
        ws.push(at(place), to="nobody")
    text = AGREEMENT.format(*sorted((NORTH, SOUTH))).replace("mutual-aid", "mutual-aid-south")
    text = text.replace("version = 1", "version = 2").replace('basis = "', 'two_people = true\nbasis = "')
    (ws.folder.parent / "two.toml").write_text(text)
    ws.add_agreement(ws.folder.parent / "two.toml")
    with pytest.raises(NotPermittedError, match="two people"):
        ws.push(at(place), to="south")
    with pytest.raises(NotPermittedError):
        ws.push(at(place), to="south", approver="ben")
    ws.set_roles("eva", ["releaser"])
    assert ws.push(at(place), to="south", approver="eva").feeds[0].refused == ()


def test_what_leaves_is_written_down_first(ws: Workspace, place: str) -> None:
    """The exchange ledger has what was about to leave, and what became of it; no secret stands in it."""
    pushed = ws.push(at(place), to="south").feeds[0]
    entries = [json.loads(text) for text in ws.export_ledgers()]
    found = [entry for entry in entries if entry["kind"] in {"given", "push"}]
    assert [entry["kind"] for entry in found] == ["given", "push"]
    assert found[0]["data"]["objects"] == found[1]["data"]["taken"] == pushed.taken
    assert PASSWORD not in json.dumps(entries)
    assert ws.verify().faults == ()


def test_a_push_that_is_cut_off_goes_on(ws: Workspace, place: str, tmp_path: Path) -> None:
    """The line breaks at every request for a while: nothing is lost, and nothing is there twice."""
    parts = urlsplit(place)
    cuts = Cuts(after=dict.fromkeys(range(2, 100), 10))
    with cutting_proxy(int(parts.port or 0), cuts):
        broken = ws.push(at(cuts.url + parts.path.lstrip("/")), to="south")
        assert not broken.feeds[0].complete
        assert broken.issues
        cuts.after.clear()
        whole = ws.push(at(cuts.url + parts.path.lstrip("/")), to="south")
        assert (whole.feeds[0].complete, whole.issues) == (True, ())
        assert ws.push(at(cuts.url + parts.path.lstrip("/")), to="south").feeds[0].taken == 0
    assert polled(place, tmp_path / "other") == 20


def test_what_a_server_refuses_is_named_and_tried_again(ws: Workspace) -> None:
    """One object fails with the server's reason; the next push sends that one alone."""
    bad = "indicator--00000000-0000-4000-8000-000000000005"
    sent: list[list[str]] = []

    def answer(request: Request) -> Reply:
        if request.method == "POST":
            items = [item["id"] for item in json.loads(request.body)["objects"]]
            sent.append(items)
            failures = [{"id": bad, "version": "", "message": "Not today."}] if len(sent) == 1 else []
            status = {"id": "s", "status": "complete", "total_count": len(items), "pending_count": 0}
            status |= {
                "success_count": len(items) - len(failures),
                "failure_count": len(failures),
                "failures": failures,
            }
            return taxii(json.dumps(status).encode(), 202)
        if request.path.endswith("/versions/"):
            return taxii(b"{}", 404)
        if request.path.endswith("/collections/one/"):
            return taxii(b'{"id": "one", "title": "One", "can_read": true, "can_write": true}')
        return taxii(
            b'{"title": "R", "versions": ["application/taxii+json;version=2.1"], "max_content_length": 1000000}'
        )

    with serving(answer) as server:
        where = Access(f"{server.url}root/collections/one/", sleep=lambda _: None)
        first = ws.push(where, to="south")
        assert [(failure.id, failure.reason) for failure in first.feeds[0].refused] == [(bad, "Not today.")]
        second = ws.push(where, to="south")
        assert (second.feeds[0].refused, second.feeds[0].taken) == ((), 1)
        assert sent[1] == [bad]
        ws.push(where, to="south")
    assert len(sent) == 2


def test_which_collection_is_meant(ws: Workspace, place: str) -> None:
    """Of several, none is chosen for you; a name that fits none is told with what there is."""
    root = place.partition("collections/")[0]
    for name, said in (("", "16 collections"), ("elsewhere", "None is called")):
        with pytest.raises(InputError, match=said):
            ws.push(at(root), to="south", collection=name)
