"""MISP and back: what came from MISP comes out as it was, what is ours as an event that PyMISP reads."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from aleat.errors import TrustError
from aleat.exchange.misp import write_events
from aleat.knowledge import KnowledgeItem, read_knowledge
from aleat.stix import StixObject, canonical_json, make_object, observable_id, parse_timestamp
from aleat.stix.extensions import extend
from aleat.trust.markings import effective_markings, marking_definition, marking_id
from tests.knowledge.misp_world import attribute, event, kinds, objects, read, uuid

TIME = parse_timestamp("2022-07-15T08:00:00.000Z")
RULE = "title: A\nlogsource:\n  product: windows\ndetection:\n  a:\n    b: c\n  condition: a\n"
AMBER, RED, STRICT = (marking_id(f"tlp:{level}") for level in ("amber", "red", "amber+strict"))


def back(content: object, **more: Any) -> dict[str, Any]:
    (one,) = write_events(objects(content), **more).events
    body: dict[str, Any] = one["Event"]
    return body


def pymisp_reads(value: dict[str, Any]) -> Any:
    """The event as PyMISP's own class has it."""
    import pymisp  # noqa: PLC0415 - its import takes a second

    loaded = pymisp.MISPEvent()
    loaded.load(copy.deepcopy(value))
    return loaded


# ------------------------------------------------------------------------------------------------- what came from MISP


def test_an_event_comes_out_as_it_went_in() -> None:
    """Every key, number, order, null and empty list of it; and PyMISP reads it."""
    assert canonical_json(back({"Event": event()})) == canonical_json(event())
    loaded = pymisp_reads({"Event": back({"Event": event()})})
    assert (loaded.uuid, len(loaded.attributes), len(loaded.objects)) == (uuid(0), 9, 2)
    assert [sighting.type for sighting in loaded.attributes[0].sightings] == ["0", "1", "2"]


@pytest.mark.data
def test_the_samples_come_out_as_they_went_in(test_data: Path) -> None:
    """However odd they are."""
    seen = 0
    for path in sorted((test_data / "misp-events").glob("*.json")):
        found = list(read_knowledge([path]))
        items = [item.object for item in found if isinstance(item, KnowledgeItem)]
        if not items:
            assert path.name == "sighting.json"
            continue
        given = json.loads(path.read_bytes())
        given = given["response"][0] if "response" in given else given
        (one,) = write_events(items).events
        assert canonical_json(one["Event"]) == canonical_json(given), path.name
        seen += 1
    assert seen == 7


@pytest.mark.parametrize("more", [{}, {"Attribute": None}, {"Attribute": []}, {"ObjectReference": None}])
def test_what_is_absent_stays_absent(more: dict[str, Any]) -> None:
    """No key is added, none is dropped."""
    body = {"info": "x", "Object": [{"name": "file", **more}]}
    assert back({"Event": body}) == body


@pytest.mark.parametrize("value", [0, None, "no list", []])
def test_what_should_be_a_list_and_is_none_stays(value: Any) -> None:
    """In the event itself too."""
    body = {"info": "x", "Attribute": value, "Object": [{"name": "file"}]}
    assert back({"Event": body})["Attribute"] == value


def test_in_out_and_in_again_is_the_same() -> None:
    """STIX to MISP to STIX: the same objects, byte for byte."""
    first = objects({"Event": event()})
    assert objects({"response": list(write_events(first).events)}) == first


def test_the_order_of_objects_does_not_matter() -> None:
    given = objects({"Event": event()})
    assert write_events(given[::-1]).events == write_events(given).events


def test_what_is_not_there_is_left_out_and_counted() -> None:
    """The gate withheld two: the rest is whole."""
    given = objects({"Event": event()})
    withheld = [item for item in given if RED in item.object_marking_refs]
    written = write_events([item for item in given if item not in withheld])
    values = [row["value"] for row in written.events[0]["Event"]["Attribute"]]
    assert len(values) == 8
    assert "ab" * 32 not in json.dumps(written.events)
    assert [(issue.code, issue.records) for issue in written.issues] == [("misp-missing", 1)]


def test_a_distribution_only_narrows() -> None:
    """The caller's level, and what a marking added here allows; never the other way."""
    assert back({"Event": event()}, distribution=3) == event()
    narrowed = back({"Event": event()}, distribution=0)
    assert narrowed["distribution"] == "0"
    shared = next(row for row in narrowed["Attribute"] if row["uuid"] == uuid(8))
    assert (shared["distribution"], shared["sharing_group_id"], "SharingGroup" in shared) == ("0", "0", False)
    given = objects({"Event": event()})
    (one,) = write_events(given, markings={given[-1].id: [RED]}).events
    assert one["Event"]["distribution"] == "0"
    assert [tag["name"] for tag in one["Event"]["Tag"]][-1] == "tlp:red"
    with pytest.raises(TrustError, match="distribution"):
        write_events(given, distribution=4)


def test_what_was_seen_here_is_added() -> None:
    """Our sighting of their indicator is a sighting of their attribute."""
    given = objects({"Event": event()})
    target = next(item for item in given if item.pattern == "[file:name = 'a.exe']")
    ours = make_object("identity", f"identity--{uuid(50)}", created=TIME, name="Us", identity_class="organization")
    seen = make_object(
        "sighting", f"sighting--{uuid(51)}", created=TIME, last_seen=TIME, count=3, sighting_of_ref=target.id,
        where_sighted_refs=[ours.id],
    )  # fmt: skip
    (one,) = write_events([*given, ours, seen]).events
    (row,) = next(row for row in one["Event"]["Attribute"] if row["uuid"] == uuid(3))["Sighting"]
    assert row == {
        "uuid": uuid(51), "type": "0", "date_sighting": "1657872000", "source": "",
        "Organisation": {"uuid": uuid(50), "name": "Us"},
    }  # fmt: skip


# ------------------------------------------------------------------------------------------------- what is ours


def ours() -> list[StixObject]:
    """A small case: what was found, by whom, under which markings."""

    def indicator(number: int, pattern: str, **more: Any) -> StixObject:
        settings = {"name": f"I{number}", "pattern_type": "stix", "valid_from": TIME, **more}
        return make_object("indicator", f"indicator--{uuid(number)}", created=TIME, pattern=pattern, **settings)

    team = make_object(
        "identity", f"identity--{uuid(60)}", created=TIME, name="Team South", identity_class="organization"
    )
    family = make_object("malware", f"malware--{uuid(61)}", created=TIME, name="Eraser", is_family=True, aliases=["E"])
    actor = make_object("threat-actor", f"threat-actor--{uuid(62)}", created=TIME, name="Example Bear")
    first = indicator(
        1, "[domain-name:value = 'c2.example.org']", markings=[AMBER, marking_id("pap:red")], labels=["c2"]
    )
    address = make_object("ipv4-addr", observable_id("ipv4-addr", {"value": "192.0.2.1"}), value="192.0.2.1")
    return [
        make_object(
            "report", f"report--{uuid(63)}", created=TIME, created_by_ref=team.id, name="What we found",
            published=TIME, object_refs=[first.id], markings=[marking_id("tlp:green")],
        ),
        team, family, actor, first, address,
        indicator(2, f"[file:hashes.'SHA-256' = '{'0a' * 32}' OR file:name = 'it\\'s.exe']", markings=[STRICT]),
        indicator(3, "[file:name = 'a' AND file:size = 3]"),
        indicator(4, RULE, pattern_type="sigma"),
        indicator(5, "rule a { condition: true }", pattern_type="yara"),
        make_object("relationship", f"relationship--{uuid(64)}", created=TIME, relationship_type="indicates",
                    source_ref=first.id, target_ref=family.id),
        make_object("sighting", f"sighting--{uuid(65)}", created=TIME, last_seen=TIME, sighting_of_ref=first.id,
                    where_sighted_refs=[team.id]),
        make_object("observed-data", f"observed-data--{uuid(66)}", created=TIME, first_observed=TIME,
                    last_observed=TIME, number_observed=1, object_refs=[address.id]),
        make_object("note", f"note--{uuid(67)}", created=TIME, content="# Text", abstract="A note",
                    object_refs=[first.id]),
        make_object("incident", f"incident--{uuid(68)}", created=TIME, name="Incident"),
        make_object("vulnerability", f"vulnerability--{uuid(69)}", created=TIME, name="CVE-2022-0001"),
    ]  # fmt: skip


def test_what_is_ours_is_one_event_that_pymisp_reads() -> None:
    """Indicators as attributes, clusters, sightings, notes; what MISP has no place for is named."""
    written = write_events(ours(), distribution=3)
    (one,) = written.events
    body = one["Event"]
    assert (body["info"], body["uuid"], body["Orgc"]["name"]) == ("What we found", uuid(63), "Team South")
    assert [tag["name"] for tag in body["Tag"]] == ["tlp:green"]
    assert body["distribution"] == "1"
    rows = {(row["type"], row["value"]): row for row in body["Attribute"]}
    assert set(rows) == {
        ("domain", "c2.example.org"), ("sha256", "0a" * 32), ("filename", "it's.exe"), ("sigma", RULE),
        ("yara", "rule a { condition: true }"), ("ip-dst", "192.0.2.1"), ("vulnerability", "CVE-2022-0001"),
    }  # fmt: skip
    (file,) = body["Object"]
    assert (file["name"], file["uuid"]) == ("file", uuid(3))
    assert [(row["object_relation"], row["value"]) for row in file["Attribute"]] == [
        ("filename", "a"),
        ("size-in-bytes", "3"),
    ]
    domain = rows["domain", "c2.example.org"]
    assert (domain["uuid"], domain["to_ids"], domain["distribution"]) == (uuid(1), True, "0")
    assert [tag["name"] for tag in domain["Tag"]] == ["tlp:amber", "PAP:RED", "c2"]
    assert domain["Galaxy"][0]["GalaxyCluster"][0]["uuid"] == uuid(61)
    assert domain["Sighting"][0]["Organisation"]["name"] == "Team South"
    assert [cluster["GalaxyCluster"][0]["value"] for cluster in body["Galaxy"]] == ["Example Bear"]
    assert [report["name"] for report in body["EventReport"]] == ["A note"]
    assert not rows["ip-dst", "192.0.2.1"]["to_ids"]
    assert [(issue.code, issue.records) for issue in written.issues] == [("misp-untold", 1)]
    loaded = pymisp_reads(one)
    assert (len(loaded.attributes), len(loaded.objects)) == (7, 1)
    assert json.loads(loaded.to_json())["uuid"] == uuid(63)


def test_stix_to_misp_to_stix_keeps_what_counts() -> None:
    """Labels, galaxies, sightings, whether it is fit for detection."""
    items, issues = read(json.loads(write_events(ours(), distribution=1).to_json()))
    assert issues == []
    found = {item.object.pattern: item for item in items if item.object.type == "indicator"}
    domain = found["[domain-name:value = 'c2.example.org']"]
    assert {AMBER, marking_id("pap:red"), marking_id("tlp:green")} <= set(domain.markings)
    assert STRICT in found[f"[file:hashes.'SHA-256' = '{'0a' * 32}']"].markings
    assert "[file:name = 'it\\'s.exe']" in found
    assert "[file:name = 'a' AND file:size = 3]" in found
    (link,) = (item.object for item in items if item.object.type == "relationship")
    assert (link.source_ref, link.relationship_type) == (domain.object.id, "indicates")
    assert next(item.object.name for item in items if item.object.id == link.target_ref) == "Eraser"
    (seen,) = kinds(items)["sighting"]
    assert seen.object.properties()["sighting_of_ref"] == domain.object.id
    assert seen.object.properties()["last_seen"] == "2022-07-15T08:00:00.000Z"
    assert [item.object.type for item in items if item.object.type == "observed-data"] == ["observed-data"]
    names = {m.name for item in (domain,) for m in effective_markings(item.object, lambda _: None).whole}
    assert {"TLP:AMBER", "PAP:RED"} <= names


@pytest.mark.parametrize(
    ("label", "asked", "level"),
    [("clear", 3, "3"), ("clear", 0, "0"), ("green", 3, "1"), ("amber", 3, "0"), ("amber+strict", 3, "0"),
     ("red", 3, "0"), ("white", 2, "2"), (None, 2, "2"), (None, None, "0")],
)  # fmt: skip
def test_how_far_it_goes_is_never_wider_than_its_label(label: str | None, asked: int | None, level: str) -> None:
    """TLP 2.0: AMBER is for one organisation and its clients, GREEN for a community."""
    refs = [marking_id(f"tlp:{label}")] if label else []
    note = make_object(
        "note", f"note--{uuid(1)}", created=TIME, content="x", object_refs=[f"note--{uuid(1)}"], markings=refs
    )
    (one,) = write_events([note], distribution=asked).events
    assert one["Event"]["distribution"] == level


def test_what_bears_a_marking_that_misp_cannot_carry_is_not_written() -> None:
    """A classification, and one that nobody knows."""
    secret = make_object(
        "marking-definition", f"marking-definition--{uuid(5)}", created=TIME, definition_type="statement",
        definition={"statement": "NATO RESTRICTED"},
    )  # fmt: skip
    rows = [
        make_object("indicator", f"indicator--{uuid(n)}", created=TIME, pattern=f"[file:name = 'a{n}']",
                    valid_from=TIME, pattern_type="stix", markings=[f"marking-definition--{uuid(n)}"])
        for n in (5, 6)
    ]  # fmt: skip
    written = write_events([secret, *rows])
    assert written.events == ()
    assert [(issue.code, issue.records) for issue in written.issues] == [("misp-marking", 2)]


def test_nothing_is_nothing() -> None:
    assert write_events([]).events == ()
    assert write_events([marking_definition(AMBER)]).events == ()


@pytest.mark.parametrize("key", ["content", "members", "local"])
@pytest.mark.parametrize(
    "junk", ["", "[", "7", "null", "[[1]]", '{"Attribute": 3}', '{"Attribute": [[7], [], 5, ["x", 3, 4]]}']
)
def test_an_extension_that_somebody_made_up_breaks_nothing(key: str, junk: str) -> None:
    """Foreign objects can bear it too."""
    changed = []
    for item in objects({"Event": event()}):
        content = item.properties()
        for kept in content.get("extensions", {}).values():
            if key in kept:
                kept[key] = junk
        fixed = {"type", "id", "created", "modified", "spec_version"}
        times = {name: parse_timestamp(content[name]) for name in ("created", "modified") if name in content}
        rest = {name: value for name, value in content.items() if name not in fixed}
        changed.append(make_object(item.type, item.id, **times, **rest))
    for one in write_events(changed).events:
        json.dumps(one)


def test_an_attribute_alone_is_enough() -> None:
    """Its event's own object was withheld: it is told anew."""
    given = objects({"Event": {"info": "x", "Attribute": [attribute(1, "domain", "a.example.org")]}})
    (one,) = write_events([item for item in given if item.type == "indicator"]).events
    assert [row["value"] for row in one["Event"]["Attribute"]] == ["a.example.org"]


JOINED = [
    ("[network-traffic:dst_ref.value = '192.0.2.7' AND network-traffic:dst_port = 443]", "ip-port"),
    ("[windows-registry-key:key = 'HKLM\\\\Run' AND windows-registry-key:values[*].name = 'it\\'s']", "registry-key"),
    ("[process:name = 'a.exe' AND process:command_line = 'a.exe /all']", "process"),
    ("[file:name = 'a' AND file:size = 3]", "file"),
    ("[file:name = 'a' AND file:hashes.MD5 = '" + "0a" * 16 + "']", None),
    ("[file:name = 'a' AND file:name = 'b']", None),
    ("[file:name = 'a'] AND [file:size = 3]", None),
    ("[file:size = 3 AND file:parent_directory_ref.path = 'C:\\\\a']", None),
    ("[network-traffic:dst_port = 443 AND file:size = 3]", None),
    ("[network-traffic:dst_ref.value = '192.0.2.7' AND (network-traffic:dst_port = 443)]", None),
]


@pytest.mark.parametrize(("pattern", "name"), JOINED)
def test_what_must_hold_together_is_an_object_that_says_just_that(pattern: str, name: str | None) -> None:
    """Read again it has that very pattern; what no object says stays a pattern of STIX."""
    item = make_object(
        "indicator", f"indicator--{uuid(1)}", created=TIME, pattern=pattern, pattern_type="stix", valid_from=TIME
    )
    (one,) = write_events([item]).events
    body = one["Event"]
    pymisp_reads(one)
    if name is None:
        assert [row["type"] for row in body["Attribute"]] == ["stix2-pattern"]
    else:
        assert [made["name"] for made in body["Object"]] == [name]
    found = [told.object.pattern for told in read(one)[0] if told.object.type == "indicator"]
    assert found == [pattern]


def test_relationships_between_objects_are_references() -> None:
    """MISP has these between objects, and from objects to attributes; of attributes it has none."""

    def indicator(number: int, pattern: str) -> StixObject:
        id_ = f"indicator--{uuid(number)}"
        return make_object("indicator", id_, created=TIME, pattern=pattern, pattern_type="stix", valid_from=TIME)

    def link(number: int, source: StixObject, target: StixObject) -> StixObject:
        return make_object(
            "relationship", f"relationship--{uuid(number)}", created=TIME, relationship_type="derived-from",
            source_ref=source.id, target_ref=target.id,
        )  # fmt: skip

    whole = indicator(1, "[file:name = 'a' AND file:size = 3]")
    alone = indicator(2, "[domain-name:value = 'a.example.org']")
    written = write_events([whole, alone, link(3, whole, alone), link(4, alone, whole)])
    (reference,) = written.events[0]["Event"]["Object"][0]["ObjectReference"]
    assert (reference["referenced_uuid"], reference["relationship_type"]) == (uuid(2), "derived-from")
    assert [(issue.code, issue.records) for issue in written.issues] == [("misp-untold", 1)]
    pymisp_reads(written.events[0])


def test_two_that_say_the_same_are_one_under_both_labels() -> None:
    """MISP drops the second of two equal attributes; the stricter label binds."""
    rows = [
        make_object(
            "indicator", f"indicator--{uuid(n)}", created=TIME, pattern="[domain-name:value = 'a.example.org']",
            pattern_type="stix", valid_from=TIME, markings=[mark],
        )
        for n, mark in ((1, marking_id("tlp:clear")), (2, AMBER))
    ]  # fmt: skip
    written = write_events(rows, distribution=3)
    (row,) = written.events[0]["Event"]["Attribute"]
    assert ([tag["name"] for tag in row["Tag"]], row["distribution"]) == (["tlp:clear", "tlp:amber"], "0")
    assert written.issues == ()


@pytest.mark.parametrize(
    ("status", "count", "kind"),
    [
        ("seen", 3, "0"),
        ("false-positive", 2, "1"),
        ("not-seen", 0, None),
        ("not-evaluated", None, None),
        (None, 0, None),
    ],
)
def test_not_seen_is_no_sighting(status: str | None, count: int | None, kind: str | None) -> None:
    """MISP has no word for it: it is named, not told as its opposite."""
    first = make_object(
        "indicator", f"indicator--{uuid(1)}", created=TIME, pattern="[domain-name:value = 'a.example.org']",
        pattern_type="stix", valid_from=TIME,
    )  # fmt: skip
    more: dict[str, Any] = {"count": count} if count is not None else {}
    more |= {"extensions": extend("finding", {"status": status, "delivery": "x"})} if status else {}
    seen = make_object(
        "sighting", f"sighting--{uuid(2)}", created=TIME, sighting_of_ref=first.id, last_seen=TIME, **more
    )
    written = write_events([first, seen])
    (row,) = written.events[0]["Event"]["Attribute"]
    assert [one["type"] for one in row.get("Sighting", ())] == ([kind] if kind else [])
    assert [issue.code for issue in written.issues] == ([] if kind else ["misp-untold"])
