"""The values of indicator lists go over TAXII as notes, are put together there, and never hold what must stay."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from aleat import Workspace
from aleat.errors import Place
from aleat.exchange.access import Access, Credentials
from aleat.exchange.list_rows import read_rows, tell_rows
from aleat.exchange.taxii_client import TaxiiClient
from aleat.exchange.taxii_push import push_objects
from aleat.knowledge.readers.lists import make_list_indicator
from aleat.stix import make_object
from aleat.stix.entries import ENTRY_SCHEMA
from aleat.stix.extensions import extension_id, read_extension
from aleat.stix.objects import StixObject, parse_object
from aleat.store.changes import knowledge_mark
from aleat.store.entries import list_digests, read_entries
from aleat.store.objects import iterate_objects
from aleat.store.shelves import ShelfQuery
from aleat.trust.markings import marking_id
from aleat.workspace.accounts import make_token
from tests.exchange.teams import START, indicator
from tests.web.allies import make_pair, serving
from tests.web.conftest import EAST, NORTH, SOUTH, Served, befriend, take_in

PLACE = Place("x")
VALUES = [f"host-{number}.example" for number in range(12_000)]


@pytest.fixture
def theirs(tmp_path: Path) -> Iterator[Workspace]:
    """The ally's own workspace, empty."""
    with Workspace.init(tmp_path / "theirs", actor="besa", key_folder=tmp_path / "theirs-keys") as ws:
        yield ws


def add_list(served: Served, values: list[str], marking: str = "green") -> None:
    """Take a list in as our own."""
    path = served.ws.folder.parent / f"hosts-{len(values)}-{marking}.txt"
    path.write_text("\n".join(values) + "\n", encoding="utf-8")
    served.ws.add_knowledge(path, marking=marking)


def notes_of(served: Served, who: str = "south") -> list[dict[str, Any]]:
    """The notes with values that an ally may fetch."""
    found = served.ask(f"{served.collection(who)}objects/?match[type]=note", who=who).json
    return [one for one in found.get("objects", ()) if extension_id("list-rows") in one.get("extensions", {})]


def lists(ws: Workspace) -> list[list[str]]:
    """The values of all lists in a workspace."""
    with ws.read() as connection:
        digests = list_digests(connection)
    return [read_entries(ws.folder, digest).column("value").to_pylist() for digest in digests]


def access(served: Served, path: str = "") -> Access:
    """How the ally reaches the server."""
    return Access(path or served.url, Credentials(served.tokens["south"]), sleep=lambda _: None)


def test_a_list_arrives_with_its_values(served: Served, theirs: Workspace) -> None:
    """The ally polls it, and has the same values under the list's own digest; again, nothing is new."""
    add_list(served, VALUES)
    polled = theirs.poll(access(served), giver="north").feeds[0]
    assert (polled.complete, polled.added.issues) == (True, ())
    assert lists(theirs) == lists(served.ws)
    assert sorted(lists(theirs)[0]) == sorted(VALUES)
    with theirs.read() as connection:
        found = [one.object for one in iterate_objects(connection, ["indicator"])]
        names = [read_extension(one, "list") for one in found]
        assert [one["entries_sha256"] for one in names if one] == list(list_digests(connection))
    assert theirs.poll(access(served), giver="north").feeds[0].added.new == 0
    assert not theirs.verify().faults


def test_the_notes_are_stix_with_the_lists_label(served: Served) -> None:
    """Each stands on the list, says which values it has, carries the label, and is the same next time."""
    add_list(served, VALUES)
    notes = notes_of(served)
    sizes = [len(one["extensions"][extension_id("list-rows")]["rows"]) for one in notes]
    assert sorted(sizes) == [2_000, 5_000, 5_000]
    whole = next(one for one in served.ask(f"{served.collection()}objects/").json["objects"] if "extensions" in one)
    assert {one["object_refs"][0] for one in notes} == {whole["id"]}
    assert {tuple(one["object_marking_refs"]) for one in notes} == {tuple(whole["object_marking_refs"])}
    assert {one["created_by_ref"] for one in notes} == {NORTH}
    served.know(indicator(300, NORTH, "green"))
    assert [one["id"] for one in notes_of(served)] == [one["id"] for one in notes]
    assert not {one["id"] for one in notes} & {one["id"] for one in notes_of(served, "east")}


def test_a_list_that_stays_leaves_no_values(served: Served) -> None:
    """RED, held, or naming what must stay: neither the list nor a value is there; lifted, it is."""
    add_list(served, VALUES[:10], "red")
    assert notes_of(served) == []
    add_list(served, VALUES[:20])
    (note,) = notes_of(served)
    served.ws.hold([note["object_refs"][0]], "legal-hold", "a court asked for it")
    assert notes_of(served) == []
    body = served.ask(f"{served.collection()}objects/").body
    assert b"host-3.example" not in body
    served.ws.lift_hold(note["object_refs"][0], "legal-hold", "the court is done")
    assert [one["id"] for one in notes_of(served)] == [note["id"]]


def souths_list(values: list[str]) -> list[StixObject]:
    """A list that South made, with the notes that hold its values."""
    rows = [("domain-name", value, "") for value in values]
    columns = {"type": [row[0] for row in rows], "value": values, "context": [""] * len(rows)}
    numbers = {"line": [None] * len(rows), "count": [1] * len(rows)}
    fields = {**columns, **numbers}
    table = pa.table({name: pa.array(column, ENTRY_SCHEMA.field(name).type) for name, column in fields.items()})
    plain = make_list_indicator("South's hosts", table).properties()
    marked = {**plain, "created_by_ref": SOUTH, "object_marking_refs": [marking_id("tlp:green")]}
    item = parse_object(json.dumps(marked).encode(), Place("x"))
    return [item, *tell_rows(item, rows, label=None, recipient=NORTH, maker=SOUTH, secret=b"s" * 32)]


def test_a_list_comes_in_by_pushes(served: Served) -> None:
    """Notes and list in any order, one after the other: with the last part the values are here, and are hunted for."""
    whole = souths_list(VALUES)
    assert len(whole) == 4
    with TaxiiClient(access(served, served.collection())) as client:
        for item in reversed(whole[1:]):
            assert lists(served.ws) == []
            assert push_objects(client, served.collection(), [item]).failed == ()
    assert lists(served.ws) == [VALUES]
    assert served.push(whole[0]).json["success_count"] == 1
    assert not served.ws.verify().faults


def test_values_that_come_after_their_list_are_withheld_with_it(served: Served) -> None:
    """What of ours names one of them is told without it from that moment, as if list and values had come together."""
    item, note = (
        parse_object(json.dumps(one.properties() | {"object_marking_refs": [marking_id("tlp:amber")]}).encode(), PLACE)
        for one in souths_list(["quiet-host.example", "b.example"])
    )
    own = make_object(
        "note",
        "note--00000000-0000-4000-8000-0000000000aa",
        created=START,
        created_by_ref=NORTH,
        markings=[marking_id("tlp:green")],
        content="We saw quiet-host.example",
        object_refs=[indicator(1, NORTH).id],
    )
    served.know(own)
    assert served.push(item).json["success_count"] == 1
    assert own.id in served.ids("limit=1000", who="east")
    assert served.push(note).json["success_count"] == 1
    found = served.ask(f"{served.collection('east')}objects/?limit=1000", who="east").json["objects"]
    assert [one["content"] for one in found if one["type"] == "note"] == ["We saw [withheld]"]


def test_values_that_come_alone_are_withheld_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list came over TAXII without them, and all else that the sealed file holds is known."""
    pair = make_pair(tmp_path)
    monkeypatch.setattr("aleat.exchange.list_rows.MAX_ROWS", 1)
    befriend(pair.north, "east", EAST)
    account = pair.north.add_account("east", "east", token=make_token())
    own = make_object(
        "note",
        "note--00000000-0000-4000-8000-0000000000aa",
        created=START,
        created_by_ref=NORTH,
        markings=[marking_id("tlp:green")],
        content="We saw quiet-host.example",
        object_refs=[indicator(1, NORTH).id],
    )
    take_in(pair.north, [indicator(1, NORTH, "green"), own])
    (tmp_path / "other.txt").write_text("c.example\nd.example\n", encoding="utf-8")
    pair.south.add_knowledge(tmp_path / "other.txt", marking="amber")
    pair.south.release("north", tmp_path / "early")
    (early,) = (tmp_path / "early").iterdir()
    pair.north.receive(early)
    (tmp_path / "list.txt").write_text("quiet-host.example\nb.example\n", encoding="utf-8")
    pair.south.add_knowledge(tmp_path / "list.txt", marking="amber")
    sharing = pair.north.share(quick_seconds=60.0)

    def notes() -> list[str]:
        rows = sharing.page(account, ShelfQuery(types=["note"])).rows
        return [json.loads(row.raw)["content"] for row in rows]

    with serving(pair.north) as url:
        pair.south.push(pair.at(url, "south"), to="north", only="feed")
    assert notes() == ["We saw quiet-host.example"]
    pair.south.release("north", tmp_path / "late")
    (late,) = (tmp_path / "late").iterdir()
    with pair.north.read() as connection:
        before = knowledge_mark(connection)
    pair.north.receive(late)
    with pair.north.read() as connection:
        assert knowledge_mark(connection) == before
    assert ["quiet-host.example", "b.example"] in lists(pair.north)
    assert notes() == ["We saw [withheld]"]
    sharing.close()
    for ws in (pair.north, pair.south):
        assert ws.verify().faults == ()
        ws.close()


def test_values_that_the_list_does_not_name_are_left_out(served: Served) -> None:
    """A part with another value, of another list, or with a part too many: nothing is kept, and the rest goes on."""
    item, note = souths_list(["a.example", "b.example"])
    rows = note.properties()["extensions"][extension_id("list-rows")]
    for change in (
        {"rows": [["domain-name", "evil.example", ""]]},
        {"rows": [["domain-name", 7, ""]]},
        {"rows": "x"},
        {"parts": ["note--x"]},
        {"parts": [note.id, note.id]},
        {"parts": []},
        {"entries_sha256": "00"},
    ):
        changed = note.properties()
        changed["extensions"] = {extension_id("list-rows"): {**rows, **change}}
        assert served.push(item, changed).json["success_count"] == 2
        assert lists(served.ws) == []
    assert served.ask("").status == 200


def test_a_long_list_goes_without_its_values(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound the list alone is there; a sealed file carries both."""
    monkeypatch.setattr("aleat.exchange.list_rows.MAX_ROWS", 5)
    add_list(served, VALUES[:6])
    assert notes_of(served) == []
    assert len(served.ids("match[type]=indicator")) == 21


def test_parts_are_small() -> None:
    """Neither rows nor bytes of one note are many, whatever the list; read again they are the rows."""
    rows = [("url", f"https://example.org/{number}/" + "x" * 3_000, "c" * 50) for number in range(700)]
    item = souths_list(["a.example"])[0]
    notes = tell_rows(item, rows, label="green", recipient=NORTH, maker=SOUTH, secret=b"s" * 32)
    assert len(notes) > 3
    assert max(len(note.raw) for note in notes) < 1_000_000
    parts = [read_rows(note) for note in notes]
    assert [row for part in parts if part for row in part.rows] == rows
    assert tell_rows(item, [], label="green", recipient=NORTH, maker=SOUTH, secret=b"s" * 32) == []
