"""The leaks that were reported of systems in use, one test for each, named after it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aleat.exchange.misp import write_events
from aleat.stix import StixObject, make_object
from aleat.trust.markings import marking_id
from tests.leaks.ground import NOW, OURS, Ground, identity
from tests.leaks.marks import DEFINED, mark
from tests.leaks.oracle import plain
from tests.leaks.surfaces import assert_untold, everything, served
from tests.release.world import CREATED, made

THIRD, GIVER, NORTH = identity("third"), identity("giver"), identity("north")
RED = made("malware", "Zqredcanary", OURS, "red", aliases=["Zqredalias"], description="Zqredtext")
OPEN = made("malware", "OpenTool", OURS, "green")
TOLD = ("zqredcanary", "zqredalias", "zqredtext", RED.id[-36:])


def relate(source: StixObject, target: StixObject, name: str = "x", **more: Any) -> StixObject:
    """A relationship of ours."""
    ends = {"relationship_type": "uses", "source_ref": source.id, "target_ref": target.id}
    return made("relationship", name, OURS, "green", **ends, **more)


def test_references_that_resolve_to_red_objects(ground: Ground) -> None:
    """Neither the RED object nor anything that refers to it is there; a report goes without it, under another id."""
    report = made("report", "Weekly", OURS, "green", published=CREATED, object_refs=[OPEN.id, RED.id])
    sighting = made("sighting", "s", OURS, "green", sighting_of_ref=RED.id)
    ground.know([RED, OPEN, relate(OPEN, RED), report, sighting])
    assert_untold(ground, *TOLD, report.id[-36:], sighting.id[-36:], ids=(RED.id, report.id))
    with ground.serving() as server:
        assert sorted(id_.partition("--")[0] for id_ in server.ids("north")) == [
            "malware",
            "marking-definition",
            "report",
        ]


def test_names_copied_into_relationships(ground: Ground) -> None:
    """A relationship between open objects that tells the RED one's name leaves without the name, as another object."""
    other = made("malware", "OtherTool", OURS, "green")
    link = relate(OPEN, other, description="Seen with Zqredcanary in May.")
    fixed = relate(other, OPEN, "y", x_note="like Zqredalias")
    ground.know([RED, OPEN, other, link, fixed])
    assert_untold(ground, *TOLD, link.id[-36:], fixed.id[-36:], ids=(link.id,))


def test_counts_and_histories(ground: Ground) -> None:
    """With withheld objects and without, every answer is the same: no count, no gap, no older version's name."""
    before = made("malware", "Zqformername", OURS, "red")
    now = make_object(
        "malware",
        before.id,
        created=CREATED,
        modified=NOW,
        created_by_ref=OURS,
        markings=[marking_id("tlp:green")],
        name="NewName",
        is_family=True,
    )
    note = made("note", "n", OURS, "green", content="Once called Zqformername.", object_refs=[OPEN.id])
    ground.know([before, OPEN])
    ground.know([now, note])
    assert_untold(ground, "zqformername", ids=(now.id,))
    with ground.serving() as server:
        listed = server.ask("north", server.path("north", f"objects/{now.id}/versions/"))
        assert listed.json["versions"] == ["2022-09-20T12:00:00.000Z"]


def test_withheld_objects_change_no_answer(ground: Ground) -> None:
    """Every answer of the server, headers and all, is the one that it would give if they weren't here."""
    visible = [OPEN, *(made("malware", f"Tool{number}", OURS, "green") for number in range(7))]
    hidden = [RED, *(made("malware", f"Zqhidden{number}", OURS, "red") for number in range(5)), relate(OPEN, RED)]
    answers = []
    for more in ([], hidden):
        ground.restore()
        ground.know(sorted([*visible, *more], key=lambda item: item.id))
        with ground.serving() as server:
            answers.append(list(served(server, "north", RED.id, visible[1].id)))
    assert answers[0] == answers[1]


def test_exports_and_public_feeds_that_ignore_the_marking(ground: Ground) -> None:
    """AMBER of ours goes to who is agreed; not to the client, whose agreement says GREEN, over no surface."""
    amber = made("malware", "Zqambercanary", OURS, "amber")
    strict = made("malware", "Zqstrictcanary", OURS, "amber+strict")
    ground.know([amber, strict, RED, OPEN])
    assert_untold(ground, "zqambercanary", to=("bank", "giver", "stranger"), ids=(amber.id,))
    assert_untold(ground, "zqstrictcanary", to=("north", "bank", "giver", "stranger"), ids=(strict.id,))
    assert_untold(ground, *TOLD, ids=(RED.id,))
    assert "zqambercanary" in plain(dict(everything(ground, "north"))["objects"])


def test_correlations_without_access_control(ground: Ground) -> None:
    """That two givers know one value is told to neither: each gets back its own copy, and nothing of the other's."""
    pattern = "[domain-name:value = 'zqshared.example']"
    theirs = made("indicator", "North's", NORTH, "amber", pattern=pattern)
    others = made("indicator", "Zqgiverscanary", GIVER, "amber", pattern=pattern)
    joined = relate(theirs, others, description="the same value")
    ground.know([theirs], NORTH)
    ground.know([others], GIVER)
    ground.know([joined])
    assert_untold(
        ground, "zqgiverscanary", others.id[-36:], joined.id[-36:], to=("north", "stranger"), ids=(others.id,)
    )
    assert_untold(ground, theirs.id[-36:], joined.id[-36:], to=("giver", "stranger"), ids=(theirs.id,))
    with ground.serving() as server:
        assert theirs.id in server.ids("north")
        assert others.id in server.ids("giver")


def _group(*members: str) -> dict[str, Any]:
    rows = [{"Organisation": {"uuid": identity(name)[-36:], "name": f"Zqteam{name}"}} for name in members]
    uuid = "5f5f5f5f-0000-4000-8000-000000000001"
    return {"uuid": uuid, "name": "Zqgroupcanary", "active": True, "SharingGroupOrg": rows}


def _event(**more: Any) -> dict[str, Any]:
    attribute = {
        "uuid": "5f5f5f5f-0000-4000-8000-000000000003",
        "type": "domain",
        "category": "Network activity",
        "value": "zqvalue.example",
        "to_ids": True,
        "distribution": "5",
    }
    event = {
        "uuid": "5f5f5f5f-0000-4000-8000-000000000002",
        "info": "Zqeventcanary",
        "date": "2022-09-01",
        "timestamp": "1662000000",
        "distribution": "3",
        "Orgc": {"uuid": identity("giver")[-36:], "name": "Giver"},
        "Attribute": [attribute | more.pop("attribute", {})],
    }
    return {"Event": event | more}


def _read(ground: Ground, name: str, content: Any, giver: str = "giver") -> None:
    path = Path(ground.folder) / name
    path.write_text(json.dumps(content), encoding="utf-8")
    ground.ws.add_knowledge(path, giver=giver)


def test_group_membership_shown_to_all(ground: Ground) -> None:
    """Who is in a sharing group is told to nobody, nor its name; nor whom else we have agreements with."""
    group = _group("north", "bank")
    _read(
        ground,
        "e.json",
        _event(distribution="4", sharing_group_id="3", SharingGroup=group, Tag=[{"name": "tlp:green"}]),
    )
    told = ("zqgroupcanary", "zqteamnorth", "zqteambank", group["uuid"])
    permitted = {"originator": "giver", "to": "sister", "basis": "a letter", "until": NOW.date()}
    ground.ws.permit_objects([one.object for one in ground.ws.preview("sister").decisions], **permitted)
    assert_untold(ground, *told, "zqvalue", to=("bank", "sister", "stranger"))
    assert "zqvalue" in plain(dict(everything(ground, "north"))["sealed bundle.json"])
    for name in ("north", "giver"):
        assert_untold(ground, *(identity(other)[-36:] for other in ("sister", "stranger")), to=(name,))


def test_who_else_is_in_a_group_is_told_to_no_member(ground: Ground) -> None:
    """The marking of a sharing group leaves with what bears it, without its members, over every surface."""
    ground.know(DEFINED.values())
    ground.know([made("malware", "Shared", GIVER, "green", mark("misp:north+bank"))], GIVER)
    assert_untold(ground, identity("bank")[-36:], "zqgroupof", to=("north", "giver"))
    with ground.serving() as server:
        assert mark("misp:north+bank") in server.ids("north")


def test_no_marking_read_as_free(ground: Ground) -> None:
    """What another gave without a marking stays; ours without one leaves only where the agreement sets a default."""
    theirs = made("malware", "Zqunmarked", GIVER)
    nobody = make_object("domain-name", "domain-name--5f5f5f5f-0000-4000-8000-000000000009", value="zqnobody.example")
    ours = made("malware", "Zqoursunmarked", OURS)
    ground.know([theirs, nobody], GIVER)
    ground.know([ours])
    assert_untold(ground, "zqunmarked", "zqnobody", to=("north", "bank", "sister", "stranger"), ids=(theirs.id,))
    assert_untold(ground, "zqoursunmarked", to=("bank", "stranger"), ids=(ours.id,))
    with ground.serving() as server:
        (told,) = (
            one
            for one in server.ask("giver", server.path("giver", "objects/")).json["objects"]
            if one.get("name") == "Zqoursunmarked"
        )
    assert told["object_marking_refs"] == [marking_id("tlp:green")]


# ---------------------------------------------------------------------- markings lost in conversion


def _stix20(marking: str) -> dict[str, Any]:
    malware = {
        "type": "malware",
        "id": "malware--5f5f5f5f-0000-4000-8000-000000000010",
        "created": "2022-09-01T00:00:00.000Z",
        "modified": "2022-09-01T00:00:00.000Z",
        "created_by_ref": GIVER,
        "name": "Zqconverted",
        "labels": ["trojan"],
        "object_marking_refs": [marking],
    }
    return {
        "type": "bundle",
        "id": "bundle--5f5f5f5f-0000-4000-8000-000000000011",
        "spec_version": "2.0",
        "objects": [malware],
    }


_TLP1_AMBER = "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82"
CONVERSIONS: dict[str, Any] = {
    "stix 2.0 to 2.1": _stix20(_TLP1_AMBER),
    "misp event's tag": _event(info="Zqconverted", Tag=[{"name": "tlp:amber"}]),
    "misp attribute's tag": _event(attribute={"value": "zqconverted.example", "Tag": [{"name": "tlp:amber"}]}),
    "misp tag of tlp 1": _event(info="Zqconverted", Tag=[{"name": 'tlp:"AMBER"'}, {"name": "TLP:AMBER"}]),
    "misp distribution": _event(info="Zqconverted", distribution="0", Tag=[{"name": "tlp:green"}]),
    "misp attribute's distribution": _event(
        attribute={"value": "zqconverted.example", "distribution": "0"}, Tag=[{"name": "tlp:green"}]
    ),
    "misp sharing group": _event(
        info="Zqconverted", distribution="4", SharingGroup=_group("sister"), Tag=[{"name": "tlp:green"}]
    ),
    "misp tag of a classification": _event(info="Zqconverted", Tag=[{"name": "tlp:clear"}, {"name": "SECRET//NOFORN"}]),
    "taxii envelope": {"objects": [{**_stix20(_TLP1_AMBER)["objects"][0], "spec_version": "2.1", "is_family": False}]},
}


@pytest.mark.parametrize("name", list(CONVERSIONS))
def test_markings_lost_in_conversion(ground: Ground, name: str) -> None:
    """What came in under a marking that keeps it from an ally is kept from it, whatever format it came in."""
    content = CONVERSIONS[name]
    if name == "taxii envelope":
        with ground.serving() as server:
            assert server.push("giver", *content["objects"]).json["success_count"] == 1
    else:
        _read(ground, "in.json", content)
    assert len(ground.ws.preview("north").decisions) > 0
    assert_untold(ground, "zqconverted", to=("north", "stranger"))


def test_markings_lost_in_what_leaves(ground: Ground) -> None:
    """Label, PAP and statement go along: in the envelope and the bundle on the object, in MISP's events as tags."""
    said = make_object(
        "marking-definition",
        "marking-definition--5f5f5f5f-0000-4000-8000-000000000012",
        created=CREATED,
        definition_type="statement",
        definition={"statement": "Copyright of a quiet team."},
    )
    marks = (marking_id("tlp:green"), marking_id("pap:amber"), said.id)
    beacon = made("indicator", "beacon", OURS, *marks)
    ground.know([said, beacon])
    with ground.serving() as server:
        found = server.ask("north", server.path("north", "objects/")).json["objects"]
    assert {tuple(sorted(one["object_marking_refs"])) for one in found if one["id"] == beacon.id} == {
        tuple(sorted(marks))
    }
    assert {*marks} <= {one["id"] for one in found}
    surfaces = dict(everything(ground, "north"))
    assert all(mark.encode() in surfaces["sealed bundle.json"] for mark in marks)
    attribute = json.loads(surfaces["misp"])["Event"]["Attribute"][0]
    names = {tag["name"] for tag in attribute["Tag"]}
    assert {"tlp:green", "PAP:AMBER", "Copyright of a quiet team."} <= names


def test_what_misp_cannot_carry_is_not_written() -> None:
    """An object under a marking without a word in MISP is in no event."""
    unknown = made("indicator", "zqunknown", OURS, "marking-definition--5f5f5f5f-0000-4000-8000-0000000000ff")
    written = write_events([unknown, made("indicator", "open", OURS, "green")])
    assert b"zqunknown" not in written.to_json()
    assert [issue.code for issue in written.issues] == ["misp-marking"]
