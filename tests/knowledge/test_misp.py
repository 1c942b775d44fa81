"""MISP events become STIX: what is hunted, what is only kept, who may have it; nothing is lost, and nothing breaks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aleat.errors import InputError, Issue
from aleat.hunt.compiler import compile_plan
from aleat.hunt.from_store import indicators_of_items
from aleat.knowledge import KnowledgeItem, Limits, detect_reader, read_knowledge
from aleat.knowledge.misp.labels import tag_markings
from aleat.release.facts import describe_derived
from aleat.stix import canonical_json
from aleat.stix.extensions import extension_definition, read_extension
from aleat.trust.markings import marking_id, read_marking
from tests.knowledge.misp_world import (
    ACTOR,
    ALLY,
    GROUP,
    OTHER,
    alone,
    attribute,
    document,
    event,
    kinds,
    objects,
    read,
    told,
    uuid,
)  # fmt: skip
from tests.stix.strict import strict_errors

# ------------------------------------------------------------------------------------------------- what it becomes


def test_the_whole_event_is_valid_stix() -> None:
    """Strictly, each object of it; all under the event's markings; each id once."""
    items, issues = read({"Event": event()})
    assert [error for item in items for error in strict_errors(item.object)] == []
    assert issues == []
    for item in items:
        if item.object.type != "marking-definition":
            assert {marking_id("tlp:amber"), marking_id("pap:green")} <= set(item.markings)
    ids = [item.object.id for item in items]
    assert sorted(set(ids)) == sorted({*ids})
    assert [item.object.type for item in items][-1] == "report"


def test_the_report_lists_what_the_event_has() -> None:
    """Named by its author, with the labels that are no markings, and everything referred to is there."""
    items, _ = read({"Event": event()})
    report = items[-1].object
    properties = report.properties()
    assert report.name == "Wiper at the <b>ministry</b>"
    assert report.labels == ('osint:lifetime="ephemeral"',)
    assert report.created_by_ref == f"identity--{ALLY['uuid']}"
    assert (report.created, report.modified) == ("2022-07-15T00:00:00.000Z", "2022-07-15T09:00:00.000Z")
    assert properties["published"] == "2022-07-15T10:00:00.000Z"
    assert set(properties["object_refs"]) <= {item.object.id for item in items}
    drafts, _ = read({"Event": event(published=False)})
    assert drafts[-1].object.type == "grouping"


def test_what_is_fit_for_detection_becomes_indicators() -> None:
    """`to_ids` decides; valid from when it was first seen, else from its time."""
    items, _ = read({"Event": event()})
    patterns = {item.object.pattern: item.object for item in items if item.object.pattern_type == "stix"}
    assert set(patterns) == {
        "[ipv4-addr:value = '192.0.2.7']",
        "[file:name = 'a.exe']",
        f"[file:hashes.'SHA-256' = '{'ab' * 32}']",
        "[domain-name:value = 'gone.example.org']",
        f"[file:hashes.MD5 = '{'0c' * 16}']",
        "[network-traffic:dst_ref.value = '192.0.2.8' AND network-traffic:dst_port = 443]",
        f"[file:hashes.MD5 = '{'0d' * 16}']",
        "[file:name = 'wiper.exe']",
        "[network-traffic:dst_ref.value = '192.0.2.9' AND network-traffic:dst_port = 8443]",
    }
    assert patterns["[ipv4-addr:value = '192.0.2.7']"].valid_from == "2022-07-14T06:00:00.000Z"
    assert patterns["[ipv4-addr:value = '192.0.2.7']"].labels == ("warning-list:Test net",)
    assert patterns["[file:name = 'a.exe']"].valid_from == "2022-07-15T08:00:00.000Z"
    assert patterns["[domain-name:value = 'gone.example.org']"].revoked
    assert [item.object.name for item in items if item.object.pattern_type == "sigma"] == ["A"]
    observed = told(items, 2).object
    assert observed.type == "observed-data"
    (ref,) = observed.properties()["object_refs"]
    assert ref == "domain-name--" + next(i.object.id for i in items if i.object.type == "domain-name")[13:]
    assert told(items, 5).object.type == "note"


def test_everything_that_is_hunted_compiles() -> None:
    """Every indicator of the event is in the plan."""
    items, _ = read({"Event": event()})
    plan = compile_plan(list(indicators_of_items(items, "ally")))
    named = [row for row in plan.not_evaluated if "mutex" not in row.reason]
    assert [(row.code, row.reason) for row in named] == []


def test_sightings_proposals_and_reports_change_nothing() -> None:
    """Who saw it, and who says that it is none, stand beside it; a proposal is a note, one for deletion an opinion."""
    items, _ = read({"Event": event()})
    found = kinds(items)
    target = told(items, 1).object.id
    seen = [
        item.object.properties() for item in found["sighting"] if item.object.properties()["sighting_of_ref"] == target
    ]
    assert [(row["count"], row.get("labels")) for row in seen] == [
        (1, None),
        (0, ["false-positive"]),
        (0, ["expiration"]),
    ]
    assert {row["where_sighted_refs"][0] for row in seen} == {f"identity--{OTHER['uuid']}"}
    assert seen[0]["last_seen"] == "2022-07-15T15:46:40.000Z"
    assert sorted(item.object.type for item in found["proposal"]) == ["note", "note", "opinion"]
    (report,) = found["report"]
    assert report.object.properties()["content"] == "# Wiper\n\n<script>x</script>"
    assert told(items, 3).object.pattern == "[file:name = 'a.exe']"


def test_clusters_are_linked_with_their_own_ids() -> None:
    """A cluster has its UUID; what an indicator bears it indicates; the event's own are in its list."""
    items, _ = read({"Event": event()})
    (actor,) = (item.object for item in items if item.object.type == "threat-actor")
    assert actor.id == f"threat-actor--{ACTOR['GalaxyCluster'][0]['uuid']}"
    assert actor.properties()["aliases"] == ["EB", "Bear of Examples"]
    links = {
        (item.object.source_ref, item.object.relationship_type, item.object.target_ref)
        for item in items
        if item.object.type == "relationship"
    }
    assert (told(items, 1).object.id, "indicates", actor.id) in links
    assert (told(items, 20).object.id, "related-to", told(items, 23).object.id) in links
    technique = next(item.object for item in items if item.object.type == "attack-pattern")
    assert technique.id in items[-1].object.properties()["object_refs"]
    again = [item.object for item in alone(Galaxy=[ACTOR])[0] if item.object.type == "threat-actor"]
    assert again == [actor]


# ------------------------------------------------------------------------------------------------- who may have it


@pytest.mark.parametrize(
    ("tag", "label"),
    [
        ("tlp:clear", "tlp:clear"), ("tlp:white", "tlp:white"), ("TLP:GREEN", "tlp:green"), ("tlp:amber", "tlp:amber"),
        ("tlp:amber+strict", "tlp:amber+strict"), ("TLP: AMBER + STRICT", "tlp:amber+strict"),
        ("TLP:AMBER-STRICT", "tlp:amber+strict"), ("tlp-red", "tlp:red"), ("TLP RED", "tlp:red"),
        (" Tlp:Red ", "tlp:red"),
        ("PAP:RED", "pap:red"), ("pap:amber", "pap:amber"), ("PAP:CLEAR", "pap:clear"), ("PAP:WHITE", "pap:white"),
        ("pap_green", "pap:green"), ('tlp:"red"', "tlp:red"),
    ],
)  # fmt: skip
def test_labels_are_known_in_every_spelling(tag: str, label: str) -> None:
    """They are the published marking definitions."""
    assert tag_markings([tag]) == ((marking_id(label),), ())


@pytest.mark.parametrize(
    "tag", ["tlp:ex:chr", "tlp:unclear", "TLP:PURPLE", "pap:ultra", "tlp:", 'nato:classification="NS"']
)
def test_a_label_that_nobody_knows_is_a_marking_that_nobody_can_weigh(tag: str) -> None:
    """So the gate keeps what bears it; an ordinary tag is none."""
    (id_,), (definition,) = tag_markings([tag, "osint:x", "paper", "tlpx:red", "nato"])
    assert read_marking(id_, definition).kind == "unknown"
    assert strict_errors(definition) == []


def test_the_stricter_of_both_labels_counts() -> None:
    """An attribute has its event's markings and its own; an object those of its attributes too."""
    items, _ = read({"Event": event()})
    red, amber = marking_id("tlp:red"), marking_id("tlp:amber")
    assert {red, amber} <= set(told(items, 4).markings)
    assert {red, amber} <= set(told(items, 4).object.object_marking_refs)
    assert red not in told(items, 1).markings
    assert marking_id("pap:amber") in told(items, 1).markings
    inside = event()
    inside["Object"][0]["Attribute"][1]["Tag"] = [{"name": "tlp:red"}]
    items, _ = read({"Event": inside})
    assert red in told(items, 20).markings
    assert all(red in item.markings for item in items if item.object.pattern == "[file:name = 'wiper.exe']")
    assert [red in item.markings for item in kinds(items)["sighting"]] == [False, False, False, True]


def test_what_stays_in_one_organisation_or_a_group_says_so() -> None:
    """Distribution 0 and sharing groups are markings: on the attribute, or on everything of an event."""
    items, _ = read({"Event": event()})
    facts = {
        id_: read_extension(item.object, "misp") for item in items if (id_ := item.object.id).startswith("marking")
    }
    own = [facts[id_] for id_ in told(items, 4).markings if id_ in facts]
    assert [row["distribution"] for row in own if row] == [0]
    group = [facts[id_] for id_ in told(items, 8).markings if id_ in facts]
    assert [(row["sharing_group"], row["name"]) for row in group if row] == [(GROUP["uuid"], GROUP["name"])]
    assert not set(told(items, 1).markings) & set(facts)
    items, _ = read({"Event": event(distribution=0)})
    assert all(len(item.markings) > 2 for item in items if item.object.type != "marking-definition")
    for odd in ("9", -1, True, [], "x"):
        marked, _ = alone(attribute(1, "domain", "a.example.org"), distribution=odd)
        assert all(item.markings for item in marked if item.object.type != "marking-definition"), odd


def test_the_gate_knows_whom_a_distribution_names() -> None:
    """Nobody where it stays in one organisation; the group's organisations by their UUIDs."""
    items, _ = read({"Event": event()})
    definitions = {item.object.id: item.object for item in items if item.object.type == "marking-definition"}
    member = f"identity--{ALLY['uuid']}"
    for number, named in ((1, ()), (4, (frozenset(),)), (8, (frozenset({member}),))):
        (copy,) = describe_derived(told(items, number).object, "us", definitions).copies
        assert (copy.named, copy.unknown) == (named, ())


# ------------------------------------------------------------------------------------------------- same in, same out


def test_the_same_event_is_the_same_objects() -> None:
    """Also from another server, whose own numbers differ: only the event's object, which keeps those, does."""
    assert objects({"Event": event()}) == objects({"response": [{"Event": event()}]}) == objects([event()])
    other = json.loads(
        json.dumps(event()).replace('"event_id": "77"', '"event_id": "9077"').replace('"id": "10', '"id": "770')
    )
    mine, theirs = objects({"Event": event()}), objects({"Event": other})
    assert mine[:-1] == theirs[:-1]
    assert mine[-1].id == theirs[-1].id
    assert mine[-1].digest != theirs[-1].digest


def test_the_order_of_members_matters_to_the_events_own_object_only() -> None:
    turned = event()
    turned["Attribute"].reverse()
    turned["Object"].reverse()
    one, two = objects({"Event": event()}), objects({"Event": turned})
    assert {item.digest for item in one[:-1]} == {item.digest for item in two[:-1]}


def test_equal_attributes_without_uuid_are_two() -> None:
    """None of them is lost."""
    rows = [{"type": "domain", "value": "a.example.org", "to_ids": True}] * 3
    items, _ = read({"Event": {"info": "x", "Attribute": rows}})
    assert len({item.object.id for item in items if item.object.type == "indicator"}) == 3


def test_the_extension_is_documented() -> None:
    """With a schema that every object of the event fits."""
    import jsonschema  # noqa: PLC0415

    schema = json.loads(extension_definition("misp").properties()["schema"])
    for item in objects({"Event": event()}):
        kept = read_extension(item, "misp")
        if kept is not None:
            jsonschema.validate(kept, schema)


# ------------------------------------------------------------------------------------------------- files and feeds


@pytest.mark.parametrize(
    ("content", "name", "reader"),
    [
        ({"Event": {"info": "x"}}, "a.json", "misp"),
        ({"response": [{"Event": {}}]}, "a.json", "misp"),
        ([{"Event": {}}], "a.json", "misp"),
        ({"info": "x", "Attribute": []}, "a.json", "misp"),
        ({"response": [{"id": "1", "orgc_id": "1", "info": "x"}]}, "a.json", "misp"),
        ({uuid(1): {"info": "x"}}, "manifest.json", "misp"),
        (f"{'0a' * 16},{uuid(1)}\n".encode(), "hashes.csv", "misp"),
        (b"value,comment\na.example.org,x\n", "hashes.csv", "lists"),
        ({"type": "bundle", "id": f"bundle--{uuid(1)}", "objects": []}, "a.json", "stix"),
        ({"name": "x", "list": ["a"]}, "a.json", "misp-warninglists"),
    ],
)
def test_events_are_told_from_other_files(content: object, name: str, reader: str) -> None:
    found = detect_reader(document(content, name))
    assert found is not None
    assert found.name == reader


def test_a_feed_is_its_events(tmp_path: Path) -> None:
    """Its manifest and hashes are noted: they say nothing more."""
    (tmp_path / "manifest.json").write_text(json.dumps({uuid(0): {"info": "x", "timestamp": 1}}))
    (tmp_path / "hashes.csv").write_text(f"{'0a' * 16},{uuid(0)}\n")
    (tmp_path / f"{uuid(0)}.json").write_text(json.dumps({"Event": event()}))
    found = list(read_knowledge([tmp_path]))
    assert [issue.code for issue in found if isinstance(issue, Issue)].count("misp-feed") == 2
    assert [item.object for item in found if isinstance(item, KnowledgeItem)] == objects({"Event": event()})


@pytest.mark.data
def test_every_sample_goes_in_or_is_refused_by_name(test_data: Path) -> None:
    """They are odd on purpose: no UUIDs, no info; templates and a lone sighting are no events."""
    refused = {}
    for path in sorted((test_data / "misp-events").rglob("*.json")):
        found = list(read_knowledge([path]))
        items = [item for item in found if isinstance(item, KnowledgeItem)]
        assert [error for item in items for error in strict_errors(item.object)] == []
        if not items:
            refused[path.relative_to(test_data).as_posix()] = [i.code for i in found if isinstance(i, Issue)]
    assert refused == {
        "misp-events/sighting.json": ["not-knowledge"],
        "misp-events/overwrite_file/definition.json": ["not-knowledge"],
        "misp-events/test_object_template/definition.json": ["not-knowledge"],
    }


# ------------------------------------------------------------------------------------------------- hostile input


@pytest.mark.parametrize(
    "wrong",
    [
        b'{"Event": ', b'{"Event": {"info": "x", "info": "y"}}', b'{"Event": ' + b"[" * 100_000,
        b'{"Event": {"info": "\\ud800"}}', b'{"response": []}', b'{"Event": {"info": NaN}}',
        b'{"Event": {"info": "x", "Attribute": ' + b"[" * 300 + b"]" * 300 + b"}}",
    ],
)  # fmt: skip
def test_what_is_no_event_is_refused_by_name(wrong: bytes) -> None:
    with pytest.raises(InputError):
        read(wrong)


@pytest.mark.parametrize("junk", [None, 7, "<script>", [1], [[]], {"a": {}}, "9" * 400])
def test_a_member_of_any_kind_costs_only_itself(junk: object) -> None:
    """In every place that means something, one at a time; what is usable of the rest goes in."""
    sound = attribute(2, "domain", "b.example.org")
    for name in (*event(), "SharingGroup", "warnings"):
        items, _ = alone(sound, **{name: junk})
        assert items[-1].object.type in {"report", "grouping"}, name
    for name in (*sound, "Tag", "Sighting", "SharingGroup", "data"):
        items, _ = alone(attribute(1, "domain", "a.example.org", **{name: junk}), sound)
        assert told(items, 2).object.type == "indicator", name
    for name in (*event()["Object"][0], "Sighting"):
        items, _ = alone(sound, Object=[{**event()["Object"][0], name: junk}])
        assert told(items, 2).object.type == "indicator", name


def test_references_that_go_in_circles_or_nowhere_are_named() -> None:
    """An object that refers to itself, two that refer to each other, one to nothing, one to a number."""

    def reference(target: object) -> dict[str, object]:
        return {"referenced_uuid": target, "relationship_type": "x"}

    things = [
        {"name": "a", "uuid": uuid(1), "ObjectReference": [reference(uuid(1)), reference(uuid(2)), reference(uuid(9))]},
        {"name": "b", "uuid": uuid(2), "ObjectReference": [reference(uuid(1)), reference(5), reference(None), 7]},
    ]
    items, issues = alone(Object=things)
    assert sum(item.object.type == "relationship" for item in items) == 3
    assert [(issue.code, issue.records) for issue in issues] == [("misp-reference", 3)]


def test_thousands_of_labels_stay_a_matter_of_size() -> None:
    """On the event, each of its objects bears one marking for all of them; so does an object for its attributes'."""
    tags = [{"name": f"tlp:odd{number}"} for number in range(2000)]
    rows = [attribute(n, "domain", f"a{n}.example.org") for n in range(1, 300)]
    items, _ = alone(*rows, Tag=[*tags, {"name": "tlp:red"}])
    assert {len(item.markings) for item in items if item.object.type != "marking-definition"} == {2}
    assert marking_id("tlp:red") in items[-1].markings
    marked = [{**row, "Tag": [tag, {"name": "tlp:amber"}]} for row, tag in zip(rows, tags, strict=False)]
    items, _ = alone(Object=[{"name": "x", "uuid": uuid(5000), "Attribute": marked}])
    held = told(items, 5000)
    assert len(held.markings) == 2
    assert marking_id("tlp:amber") in held.markings
    definitions = {item.object.id: item.object for item in items if item.object.type == "marking-definition"}
    assert describe_derived(held.object, "us", definitions).copies[0].unknown


@pytest.mark.parametrize("time", ["-1", "0", "99999999999999999999", "x", "1e9", "٣", 2**70, -5, "1657872000.5"])
def test_times_that_are_none_count_as_absent(time: object) -> None:
    """Nothing stops at them, nothing is made up: the event's own date counts."""
    items, _ = alone(attribute(1, "domain", "a.example.org", timestamp=time, first_seen=time))
    assert told(items, 1).object.valid_from == "2022-07-15T00:00:00.000Z"


def test_limits_are_named() -> None:
    with pytest.raises(InputError, match="misp_bytes"):
        read({"Event": event()}, Limits(misp_bytes=10))
    with pytest.raises(InputError, match="misp_events"):
        read([{"Event": event()}] * 3, Limits(misp_events=2))


def test_markup_and_long_texts_stay_as_they_are() -> None:
    """They are kept whole, and shortened where they are a name."""
    value = "<img src=x onerror=alert(1)>" * 1000
    items, _ = alone(attribute(1, "text", value, to_ids=False), attribute(2, "filename", value))
    assert told(items, 1).object.properties()["content"] == f"text: {value}"
    assert len(told(items, 2).object.name or "") <= 250
    kept = read_extension(told(items, 2).object, "misp") or {}
    assert json.loads(kept["content"])["value"] == value
    assert canonical_json(json.loads(kept["content"])) == kept["content"].encode()
