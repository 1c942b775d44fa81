"""Writing to an ally's MISP server: what it may have is there once, as wide as its label, and nothing else ever was."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymisp
import pytest

from aleat import Workspace
from aleat.errors import InputError, NotPermittedError, Place, RemoteError
from aleat.stix import StixObject, make_object
from aleat.stix.objects import parse_object
from aleat.store.allies import add_agreement
from aleat.trust.markings import marking_id
from tests.exchange.http_double import Reply, Request
from tests.exchange.misp_simulator import GROUP, KEY, OUR_ORG, Misp, access, running
from tests.exchange.teams import AGREEMENT, START, indicator
from tests.web.conftest import NORTH, SOUTH, befriend, take_in

SHARED = f'\n[misp]\nsharing_group = "{GROUP["uuid"]}"\n'
GREEN = marking_id("tlp:green")


@pytest.fixture
def misp() -> Iterator[Misp]:
    """South's server, running, with an account of north's."""
    there = Misp()
    with running(there) as server:
        there.server = server
        yield there


@pytest.fixture(scope="session")
def north(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of north's workspace, with south as its ally, and of its keys."""
    folder = tmp_path_factory.mktemp("north")
    known: Any = {"identity": NORTH, "actor": "ana", "key_folder": folder / "keys", "clock": lambda: START}
    with Workspace.init(folder / "case", organisation="North", **known) as made:
        befriend(made, "south", SOUTH)
    return folder


@pytest.fixture
def ws(north: Path, tmp_path: Path) -> Iterator[Workspace]:
    """A copy of it."""
    shutil.copytree(north / "case", tmp_path / "case")
    with Workspace.open(tmp_path / "case", actor="ana", key_folder=north / "keys", clock=lambda: START) as opened:
        yield opened


def agree(ws: Workspace, more: str, labels: str = '"clear", "green", "amber"') -> None:
    """Sign a later version of the agreement, with more in it."""
    text = AGREEMENT.format(*sorted((NORTH, SOUTH))).replace("version = 1", "version = 2")
    text = text.replace('labels = ["clear", "green", "amber"]', f"labels = [{labels}]") + more
    with ws.writing(), ws.write() as connection:
        add_agreement(connection, text.encode(), **ws._signing())


def report(number: int, *refs: StixObject, name: str = "What we saw", label: str = "green") -> StixObject:
    """A report of ours."""
    return make_object(
        "report", f"report--00000000-0000-4000-8000-{number:012d}", created=START, created_by_ref=NORTH, name=name,
        published=START, object_refs=[item.id for item in refs], markings=[marking_id(f"tlp:{label}")],
    )  # fmt: skip


def push(ws: Workspace, misp: Misp, **more: Any) -> Any:
    assert misp.server is not None
    return ws.push_misp(access(misp.server), to="south", **more)


def values(misp: Misp) -> list[str]:
    return sorted(row["value"] for row in misp.attributes() if not row.get("deleted"))


def levels(misp: Misp) -> dict[str, str]:
    """How far each event goes, by the label in its title."""
    return {event["info"].rpartition("TLP:")[2].rstrip(")"): event["distribution"] for event in misp.events.values()}


# ------------------------------------------------------------------------------------------------- what is there


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


def test_what_changed_is_brought_up_to_date(ws: Workspace, misp: Misp) -> None:
    """A newer version, and what is new; MISP passes over what isn't newer than its own."""
    take_in(ws, [indicator(1, NORTH, "green"), indicator(2, NORTH, "green")])
    push(ws, misp)
    changed = make_object(
        "indicator", indicator(1, NORTH).id, created=START, modified=START.replace(minute=30), created_by_ref=NORTH,
        markings=[GREEN], name="Beacon", description="It calls every hour.", pattern_type="stix", valid_from=START,
        pattern="[domain-name:value = 'beacon-1.example']",
    )  # fmt: skip
    take_in(ws, [changed, indicator(3, NORTH, "green")])
    done = push(ws, misp)
    assert [(event.taken, event.known, event.refused) for event in done.events] == [(2, 1, ())]
    assert values(misp) == ["beacon-1.example", "beacon-2.example", "beacon-3.example"]
    assert next(row["comment"] for row in misp.attributes() if "1.ex" in row["value"]) == "It calls every hour."


def test_a_label_alone_that_changed_narrows_what_is_there(ws: Workspace, misp: Misp) -> None:
    """The agreement's default label says more now: the very same object goes to another event, and is deleted here."""
    take_in(ws, [indicator(1, NORTH)])
    agree(ws, "", '"clear", "green", "amber"')
    push(ws, misp)
    assert levels(misp) == {"AMBER": "0"}
    text = AGREEMENT.format(*sorted((NORTH, SOUTH))).replace("version = 1", "version = 3")
    with ws.writing(), ws.write() as connection:
        add_agreement(
            connection,
            text.replace('default_label = "amber"', 'default_label = "green"').encode(),
            **ws._signing(),
        )
    done = push(ws, misp)
    assert done.issues == ()
    assert values(misp) == ["beacon-1.example"]
    assert [event["info"] for event in misp.events.values()] == ["Withdrawn", "North 2022-09 (TLP:GREEN)"]
    assert len({row["uuid"] for row in misp.attributes()}) == 2
    assert push(ws, misp).release == ""


def test_what_may_not_leave_any_more_is_taken_back(ws: Workspace, misp: Misp) -> None:
    """Deleted there, and nothing of it is said again; a part that nobody here wrote stays."""
    one, two = indicator(1, NORTH, "green"), indicator(2, NORTH, "green")
    take_in(ws, [one, two])
    push(ws, misp)
    (event,) = misp.events.values()
    event["Attribute"].append({"uuid": OUR_ORG["uuid"], "value": "theirs.example", "type": "domain", "timestamp": "1"})
    ws.hold([one.id], "legal-hold", "A court's order.")
    misp.bodies.clear()
    done = push(ws, misp)
    assert [(pushed.withdrawn, pushed.taken) for pushed in done.events] == [(1, 0)]
    assert values(misp) == ["beacon-2.example", "theirs.example"]
    assert b"beacon-1" not in b"".join(misp.bodies)
    assert push(ws, misp).release == ""
    ws.lift_hold(one.id, "legal-hold", "It ended.")
    push(ws, misp)
    assert values(misp) == ["beacon-1.example", "beacon-2.example", "theirs.example"]


def test_what_is_withdrawn_is_deleted_by_the_next_push(ws: Workspace, misp: Misp, tmp_path: Path) -> None:
    """A push is a release: who withdraws an object reaches the ally, and the server."""
    one = indicator(1, NORTH, "green")
    take_in(ws, [one, indicator(2, NORTH, "green")])
    push(ws, misp)
    ws.withdraw_objects([one.id], tmp_path, reason="It was ours.")
    done = push(ws, misp)
    assert done.complete
    assert values(misp) == ["beacon-2.example"]


def test_what_somebody_deleted_there_stays_deleted(ws: Workspace, misp: Misp) -> None:
    take_in(ws, [indicator(1, NORTH, "green"), indicator(2, NORTH, "green")])
    push(ws, misp)
    misp.attributes()[0]["deleted"] = True
    take_in(ws, [indicator(3, NORTH, "green")])
    done = push(ws, misp)
    assert (done.events[0].taken, len(values(misp))) == (1, 2)


def test_a_revoked_indicator_is_deleted_there(ws: Workspace, misp: Misp) -> None:
    take_in(ws, [indicator(1, NORTH, "green")])
    push(ws, misp)
    revoked = make_object(
        "indicator", indicator(1, NORTH).id, created=START, modified=START.replace(minute=30), created_by_ref=NORTH,
        markings=[GREEN], revoked=True, pattern="[domain-name:value = 'beacon-1.example']", pattern_type="stix",
        valid_from=START,
    )  # fmt: skip
    take_in(ws, [revoked])
    push(ws, misp)
    assert values(misp) == []


def test_a_lists_values_are_attributes(ws: Workspace, misp: Misp, tmp_path: Path) -> None:
    """Each by its type; one that left the list is deleted there."""
    path = tmp_path / "list.txt"
    path.write_text(f"192.0.2.1\nevil.example.org\n{'0a' * 32}\nfree text\n")
    ws.add_knowledge(path, giver=NORTH, marking="green")
    assert push(ws, misp).issues == ()
    rows = {row["value"]: (row["type"], row["to_ids"]) for row in misp.attributes()}
    assert rows["192.0.2.1"] == ("ip-dst", True)
    assert rows["evil.example.org"] == ("domain", True)
    assert rows["0a" * 32] == ("sha256", True)
    assert push(ws, misp).release == ""


def test_a_large_event_goes_in_several_requests(ws: Workspace, misp: Misp, monkeypatch: pytest.MonkeyPatch) -> None:
    """PHP takes a request whole; a break between two of them costs nothing."""
    monkeypatch.setattr("aleat.exchange.misp_push._BATCH", 3)
    take_in(ws, [indicator(n, NORTH, "green") for n in range(8)])
    misp.dies_after = 2
    assert not push(ws, misp).complete
    assert len(values(misp)) == 6
    misp.dies_after = -1
    (event,) = push(ws, misp).events
    assert (event.taken, event.known, event.issues) == (2, 6, ())
    assert len(values(misp)) == 8
    assert (misp.sent("events/add"), misp.sent("events/edit")) == (1, 2)


def test_objects_and_clusters_go_there_once(ws: Workspace, misp: Misp) -> None:
    """An object with its reference, a cluster with its tag; a newer version of it replaces what is there."""
    common: dict[str, Any] = {"created": START, "created_by_ref": NORTH, "markings": [GREEN]}

    def joined(port: int, **more: Any) -> StixObject:
        pattern = f"[network-traffic:dst_ref.value = '192.0.2.7' AND network-traffic:dst_port = {port}]"
        return make_object(
            "indicator", "indicator--00000000-0000-4000-8000-000000000070", **common, **more, pattern=pattern,
            pattern_type="stix", valid_from=START,
        )  # fmt: skip

    family = make_object(
        "malware", "malware--00000000-0000-4000-8000-000000000071", **common, name="Eraser", is_family=True
    )
    links = [
        make_object(
            "relationship", f"relationship--00000000-0000-4000-8000-0000000000{n}", **common, relationship_type=verb,
            source_ref=joined(1).id, target_ref=target,
        )
        for n, verb, target in ((72, "indicates", family.id), (73, "related-to", indicator(1, NORTH).id))
    ]  # fmt: skip
    take_in(ws, [joined(443), indicator(1, NORTH, "green"), family, *links])
    done = push(ws, misp)
    assert (done.issues, values(misp)) == ((), ["192.0.2.7", "443", "beacon-1.example"])
    (event,) = misp.events.values()
    (made,) = event["Object"]
    assert made["ObjectReference"][0]["referenced_uuid"] == indicator(1, NORTH).id.rpartition("--")[2]
    assert {"name": 'misp-galaxy:mitre-malware="Eraser"'} in made["Attribute"][0]["Tag"]
    assert push(ws, misp).release == ""
    take_in(ws, [joined(8443, modified=START.replace(minute=30))])
    push(ws, misp)
    assert values(misp) == ["192.0.2.7", "8443", "beacon-1.example"]
    fewer = "[network-traffic:src_ref.value = '192.0.2.8' AND network-traffic:dst_port = 8443]"
    changed = joined(1, modified=START.replace(minute=40)).properties() | {"pattern": fewer}
    take_in(ws, [parse_object(json.dumps(changed).encode(), Place("test"))])
    push(ws, misp)
    assert values(misp) == ["192.0.2.8", "8443", "beacon-1.example"]
    assert len(misp.events) == 1


def test_publishing_is_asked_for(ws: Workspace, misp: Misp) -> None:
    """Also of an event that is there already; without it nothing is published."""
    take_in(ws, [indicator(1, NORTH, "green")])
    push(ws, misp)
    assert [event["published"] for event in misp.events.values()] == [False]
    done = push(ws, misp, publish=True)
    assert [event.published for event in done.events] == [True]
    assert [event["published"] for event in misp.events.values()] == [True]
    assert [event.published for event in push(ws, misp, publish=True).events] == [False]


# ------------------------------------------------------------------------------------------------- how far it goes


def labelled(ws: Workspace) -> None:
    take_in(ws, [indicator(n, NORTH, label) for n, label in enumerate(("clear", "green", "amber", "amber+strict"))])


def test_no_label_is_carried_further_than_it_goes(ws: Workspace, misp: Misp) -> None:
    """CLEAR to all, GREEN to the community, AMBER to our own users; AMBER+STRICT not at all."""
    agree(ws, "", '"clear", "green", "amber", "amber+strict"')
    labelled(ws)
    done = push(ws, misp)
    assert levels(misp) == {"CLEAR": "3", "GREEN": "1", "AMBER": "0"}
    assert "beacon-3.example" not in values(misp)
    assert [(issue.code, issue.records) for issue in done.issues] == [("misp-label", 1)]


def test_an_agreement_says_for_whom_amber_is(ws: Workspace, misp: Misp) -> None:
    """A sharing group by its UUID, under the server's own number; GREEN to connected communities too."""
    agree(ws, SHARED + 'green = "connected"\n')
    labelled(ws)
    push(ws, misp)
    assert levels(misp) == {"CLEAR": "3", "GREEN": "2", "AMBER": "4"}
    (amber,) = (event for event in misp.events.values() if event["distribution"] == "4")
    assert (amber["sharing_group_id"], "SharingGroup" in amber) == (GROUP["id"], False)
    assert amber["Attribute"][0]["sharing_group_id"] == GROUP["id"]


def test_a_sharing_group_that_is_not_there_stops_all(ws: Workspace, misp: Misp) -> None:
    """Nothing leaves for a group that we can't write to."""
    agree(ws, SHARED)
    labelled(ws)
    misp.groups = [GROUP | {"active": False}]
    with pytest.raises(InputError, match="no sharing group"):
        push(ws, misp)
    assert misp.events == {}


def test_the_caller_can_only_narrow(ws: Workspace, misp: Misp) -> None:
    agree(ws, '\n[misp]\namber = "community"\n')
    labelled(ws)
    push(ws, misp, distribution=1)
    assert levels(misp) == {"CLEAR": "1", "GREEN": "1", "AMBER": "1"}


def test_only_servers_that_the_agreement_names(ws: Workspace, misp: Misp) -> None:
    agree(ws, '\n[misp]\nservers = ["https://misp.example.org/"]\n')
    labelled(ws)
    with pytest.raises(NotPermittedError, match="other MISP servers"):
        push(ws, misp)
    assert misp.bodies == []


def test_two_people_where_the_agreement_wants_them(ws: Workspace, misp: Misp) -> None:
    """And releasers both; nothing reaches the server before."""
    text = AGREEMENT.format(*sorted((NORTH, SOUTH))).replace("version = 1", "version = 2\ntwo_people = true")
    with ws.writing(), ws.write() as connection:
        add_agreement(connection, text.encode(), **ws._signing())
    take_in(ws, [indicator(1, NORTH, "green")])
    for approver in (None, "ana", "eve"):
        with pytest.raises(NotPermittedError):
            push(ws, misp, approver=approver)
    assert misp.bodies == []
    ws.set_roles("eve", ["releaser"])
    assert push(ws, misp, approver="eve").complete
    released = next(json.loads(row) for row in b"".join(ws.export_ledgers()).splitlines() if b'"release"' in row)
    assert released["data"]["approver"] == "eve"


def test_what_the_ally_gave_does_not_go_back(ws: Workspace, misp: Misp) -> None:
    take_in(ws, [indicator(1, SOUTH, "green")], giver=SOUTH)
    take_in(ws, [indicator(2, NORTH, "green")])
    done = push(ws, misp)
    assert values(misp) == ["beacon-2.example"]
    assert done.returned == 1


# ------------------------------------------------------------------------------------------------- nothing else


def test_nothing_withheld_is_in_any_request(ws: Workspace, misp: Misp) -> None:
    """Names, values, ids, and what refers to them: looked for in every byte that the server got."""
    secret = indicator(7, NORTH, "red", name="CANARY-NAME")
    foreign = indicator(8, "identity--44444444-4444-4444-8444-444444444444", "amber", name="CANARY-AMBER")
    held = indicator(6, NORTH, "green", name="CANARY-HELD")
    open_ = indicator(1, NORTH, "green")
    told = report(5, open_, secret, held, name="Seen with CANARY-NAME")
    note = make_object(
        "note", "note--00000000-0000-4000-8000-000000000077", created=START, created_by_ref=NORTH, markings=[GREEN],
        content="It names CANARY-NAME and beacon-7.example.", object_refs=[open_.id, secret.id],
    )  # fmt: skip
    link = make_object(
        "relationship", "relationship--00000000-0000-4000-8000-000000000078", created=START, created_by_ref=NORTH,
        relationship_type="related-to", source_ref=open_.id, target_ref=secret.id, markings=[GREEN],
    )  # fmt: skip
    take_in(ws, [secret, held, open_, told, note, link])
    take_in(ws, [foreign], giver=SOUTH.replace("2", "4"))
    ws.hold([held.id], "legal-hold", "A court's order.")
    push(ws, misp, publish=True)
    assert values(misp) == ["beacon-1.example"]
    sent = b"".join(misp.bodies)
    for item in (secret, foreign, held):
        assert item.id.rpartition("--")[2].encode() not in sent
    for canary in (b"CANARY", b"beacon-7", b"beacon-8", b"beacon-6"):
        assert canary not in sent


def test_the_ledgers_say_what_left_before_it_does(ws: Workspace, misp: Misp) -> None:
    """A release with its decisions, where to, which events; then what became of them. `verify` finds all in order."""
    take_in(ws, [indicator(1, NORTH, "green"), indicator(2, NORTH, "red")])
    misp.dies_after = 0
    done = push(ws, misp)
    assert not done.complete
    lines = [json.loads(row) for row in b"".join(ws.export_ledgers()).splitlines()]
    released = next(row["data"] for row in lines if row.get("kind") == "release")
    assert [row[0] for row in released["allowed"]] == [indicator(1, NORTH).id]
    given = next(row["data"] for row in lines if row.get("kind") == "given")
    assert (given["release"], given["server"], len(given["events"])) == (done.release, done.url, 1)
    assert ws.verify().faults == ()


# ------------------------------------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize("after", [0, 1])
def test_a_push_that_was_cut_off_doubles_nothing(ws: Workspace, misp: Misp, after: int) -> None:
    """Before the server did it, or after: the next push finds out, and sends what isn't there."""
    take_in(ws, [indicator(n, NORTH, "green") for n in range(3)])
    misp.dies_after = after
    first = push(ws, misp)
    assert not first.complete
    misp.dies_after = -1
    second = push(ws, misp)
    assert second.complete
    assert values(misp) == [f"beacon-{n}.example" for n in range(3)]
    assert len(misp.events) == 1
    assert [event.taken for event in second.events] == [0 if after else 3]
    assert push(ws, misp).release == ""


def test_what_the_server_does_not_keep_is_named(ws: Workspace, misp: Misp) -> None:
    """MISP drops an attribute whose value it doesn't like without a word; an edit says why. The rest is there."""
    odd = make_object(
        "indicator", "indicator--00000000-0000-4000-8000-000000000050", created=START, created_by_ref=NORTH,
        markings=[GREEN], pattern="[domain-name:value = 'localhost']", pattern_type="stix", valid_from=START,
    )  # fmt: skip
    take_in(ws, [odd, indicator(1, NORTH, "green")])
    (event,) = push(ws, misp).events
    assert event.taken == 1
    assert [(row.kind, row.part) for row in event.refused] == [("Attribute", odd.id.rpartition("--")[2])]
    assert "doesn't say why" in event.refused[0].reason
    (event,) = push(ws, misp).events
    assert "Value is not valid" in event.refused[0].reason
    assert values(misp) == ["beacon-1.example"]


def test_an_account_that_synchronises_writes_ours_as_its_own(ws: Workspace, misp: Misp) -> None:
    """Who wrote a report is another identity than our organisation there: it must stay ours to change."""
    misp.role["perm_sync"] = True
    team = make_object("identity", NORTH, created=START, name="North", identity_class="organization", markings=[GREEN])
    one = indicator(1, NORTH, "green")
    take_in(ws, [team, one, report(9, one)])
    push(ws, misp)
    (event,) = misp.events.values()
    assert event["Orgc"] == OUR_ORG
    take_in(ws, [indicator(2, NORTH, "green"), report(9, one, indicator(2, NORTH), name="More")])
    assert push(ws, misp).issues == ()


def test_an_event_of_somebody_else_is_left_alone(ws: Workspace, misp: Misp) -> None:
    """Under our UUID, by whatever accident; and one that is there, but hidden from us."""
    take_in(ws, [indicator(1, NORTH, "green")])
    push(ws, misp)
    (event,) = misp.events.values()
    event |= {"Orgc": {"uuid": GROUP["uuid"], "name": "Else"}, "orgc_id": "9"}
    before = json.dumps(event)
    take_in(ws, [indicator(2, NORTH, "green")])
    done = push(ws, misp)
    assert [issue.code for issue in done.issues] == ["misp-foreign"]
    assert json.dumps(event) == before
    misp.wrong = lambda request: Reply(404, {}, b'{"name": "Invalid event"}') if "/view/" in request.path[7:] else None
    done = push(ws, misp)
    assert [issue.code for issue in done.issues] == ["misp-event"]
    assert "already exists" in done.issues[0].reason


@pytest.mark.parametrize("right", ["perm_add", "perm_tagger"])
def test_an_account_without_the_right_writes_nothing(ws: Workspace, misp: Misp, right: str) -> None:
    """Labels are tags: an account that may not tag would lose them."""
    take_in(ws, [indicator(1, NORTH, "green")])
    misp.role[right] = False
    with pytest.raises(RemoteError) as caught:
        push(ws, misp)
    assert caught.value.code == "refused"
    assert misp.events == {}


def test_a_server_that_spreads_it_wider_is_named(ws: Workspace, misp: Misp) -> None:
    """And one that drops the label."""
    take_in(ws, [indicator(1, NORTH, "green")])
    push(ws, misp)
    (event,) = misp.events.values()
    take_in(ws, [indicator(2, NORTH, "green")])

    def wrong(request: Request) -> Reply | None:
        if "/view/" in request.path:
            event["distribution"], event["Tag"] = "3", []
        return None

    misp.wrong = wrong
    assert {issue.code for issue in push(ws, misp).issues} == {"misp-tag", "misp-wider"}


BAD = {
    "no JSON": Reply(200, {}, b"<html>hello</html>"),
    "text": Reply(200, {}, b'"x"'),
    "number": Reply(200, {}, b"7"),
    "list": Reply(200, {}, b"[1, 2]"),
    "nested": Reply(200, {}, b"[" * 100_000),
    "another event": Reply(200, {}, b'{"Event": {"uuid": "0a1eca70-0000-4000-8000-000000000001"}}'),
    "errors as text": Reply(200, {}, b'{"errors": "no", "Event": 3}'),
    "too large": Reply(200, {}, b" " * 300_000),
    "redirect": Reply(302, {"Location": "http://192.0.2.1/"}, b""),
    "forbidden": Reply(403, {}, b'{"name": "no", "errors": {"Attribute": {"99999999999": ["x"], "0": {"a": []}}}}'),
    "forbidden text": Reply(403, {}, b"no"),
    "busy": Reply(429, {"Retry-After": "1"}, b"{}"),
    "busy for ever": Reply(429, {"Retry-After": "999999"}, b"{}"),
    "error": Reply(500, {}, b"<b>secret</b>"),
    "cut off": Reply(200, {}, b'{"Event": {', length=500),
    "deep": Reply(200, {}, b'{"Event": {"uuid": ' + b'{"a": ' * 20_000 + b"1" + b"}" * 20_002),
}


@pytest.mark.parametrize("where", ["events/add", "events/view", "sharingGroups/index", "organisations/view"])
def test_a_server_that_answers_wrongly_gets_no_more(ws: Workspace, misp: Misp, where: str) -> None:
    """Whatever it answers ends in a promised error or a named one; no key and none of the server's bytes is shown."""
    take_in(ws, [indicator(1, NORTH, "green")])
    beside = where in {"sharingGroups/index", "organisations/view"}
    for name, reply in BAD.items():
        if beside and name not in {"text", "list", "nested", "cut off", "forbidden"}:
            continue
        misp.wrong = lambda request, reply=reply: reply if request.path.strip("/").startswith(where) else None
        try:
            done = push(ws, misp)
        except RemoteError as error:
            said = str(error)
        else:
            said = " ".join(str(issue) for issue in done.issues)
        assert KEY not in said
        assert "secret" not in said
        misp.events.clear()
    misp.wrong = lambda _: None
    assert push(ws, misp).complete
    assert values(misp) == ["beacon-1.example"]
