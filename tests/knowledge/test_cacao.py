"""CACAO playbooks become courses of action that hold them byte for byte; what they break is named."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from aleat.errors import InputError
from aleat.knowledge import Limits, detect_reader, read_knowledge
from aleat.knowledge.items import KnowledgeItem
from aleat.knowledge.playbooks.steps import FIELD_EXTENSION, playbook_bytes
from aleat.stix.extensions import extension_id, read_extension
from aleat.trust.markings import marking_id, read_marking
from tests.knowledge.playbooks import AGENT, START, document, playbook, read_playbook, step_id
from tests.stix.strict import strict_errors

ACTION = step_id("action", 11)


def changed_step(key: str, **changes: Any) -> dict[str, Any]:
    """The playbook with one step changed; a property that is None is left out."""
    made = playbook()
    step = {**made["workflow"].get(key, {}), **changes}
    made["workflow"][key] = {name: value for name, value in step.items() if value is not None}
    return made


def faults(content: object) -> set[tuple[str, str]]:
    """(place, section) of each rule that is broken."""
    found = set()
    for issue in read_playbook(content)[1]:
        place, _, section = issue.reason.rpartition("(")[2].rstrip(")").partition("; CACAO 2.0 §")
        found.add((place, section))
    return found


def test_a_playbook_becomes_a_valid_course_of_action_that_holds_its_bytes() -> None:
    """So that it leaves exactly as it came; whether a list or alone, indented or not."""
    raw = json.dumps(playbook(), indent=3).encode()
    (item,), issues = read_playbook(raw)
    assert issues == []
    assert playbook_bytes(item.object.properties()) == raw
    assert strict_errors(item.object) == []
    made = item.object.properties()
    assert (made["name"], made["labels"]) == ("Contain ransomware", ["ransomware"])
    assert (made["created"], made["modified"]) == ("2022-07-01T08:00:00.000Z", "2022-07-02T08:00:00.000Z")
    assert made["created_by_ref"] == step_id("identity", 2)
    assert made["external_references"] == [{"source_name": "ATT&CK", "external_id": "T1486"}]
    field = made["extensions"][FIELD_EXTENSION]
    assert (field["playbook_id"], field["playbook_type"]) == (step_id("playbook", 1), ["mitigation"])
    ours = read_extension(item.object, "playbook") or {}
    assert (ours["faults"], ours["techniques"], ours["sectors"]) == (0, ["T1486"], ["government"])
    assert read_playbook(raw)[0][0].object == item.object
    assert read_playbook(b"[" + raw + b"]")[0][0].object == item.object


def test_a_later_version_is_the_same_course_of_action() -> None:
    """Its version is the playbook's `modified`; revoked stays revoked."""
    first = read_playbook(playbook())[0][0].object
    later = read_playbook(playbook(modified="2022-08-01T00:00:00.000Z", revoked=True))[0][0].object
    assert later.id == first.id
    assert later.version > first.version
    assert later.revoked


def test_the_reader_comes_before_the_one_for_stix(tmp_path: Path) -> None:
    """A playbook's type and id look like a STIX object's; a STIX bundle's don't look like a playbook's."""
    for content in (playbook(), [playbook()], dict(sorted(playbook().items())), playbook(spec_version="2.0")):
        reader = detect_reader(document(content))
        assert reader is not None
        assert reader.name == "cacao"
    bundle = {"type": "bundle", "id": step_id("bundle", 1), "objects": []}
    custom = {"type": "playbook", "spec_version": "2.1", "id": step_id("playbook", 1)}
    for content in (bundle, custom):
        reader = detect_reader(document(content))
        assert reader is not None
        assert reader.name == "stix"
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "p.json").write_text(json.dumps(playbook()), "utf-8")
    (item,) = read_knowledge([tmp_path / "pack"])
    assert isinstance(item, KnowledgeItem)
    assert item.object.type == "course-of-action"


@pytest.mark.parametrize(
    ("content", "place", "section"),
    [
        (playbook(name=None), "at the top", "3.1"),
        (playbook(unknown=1), "at the top", "3.1"),
        (playbook(priority=101), "/priority", "3.1"),
        (playbook(priority="1"), "/priority", "3.1"),
        (playbook(labels=[]), "/labels", "3.1"),
        (playbook(created="2022-07-01"), "/created", "10.17"),
        (playbook(created="2022-02-30T08:00:00.000Z"), "/created", "10.17"),
        (playbook(created="2022-07-01T08:00:00Z"), "/created", "3.1"),
        (playbook(modified="2022-06-01T08:00:00.000Z"), "/modified", "3.1"),
        (playbook(valid_from="2022-07-02T00:00:00Z", valid_until="2022-07-01T00:00:00Z"), "/valid_until", "3.1"),
        (playbook(created_by=step_id("playbook", 4)), "/created_by", "3.1"),
        (playbook(derived_from=[step_id("identity", 4)]), "/derived_from/0", "3.1"),
        (playbook(playbook_activities=None), "/playbook_activities", "3.1"),
        (playbook(workflow_start=step_id("start", 99)), "/workflow_start", "3.1"),
        (playbook(workflow_start=ACTION), "/workflow_start", "3.1"),
        (playbook(workflow_exception=step_id("action", 99)), "/workflow_exception", "3.1"),
        (playbook(workflow={START: {"type": "start", "on_completion": START}}), "/workflow", "3.1"),
        (playbook(agent_definitions=None), f"/workflow/{ACTION}/agent", "4.5"),
        (playbook(markings=[step_id("marking-tlp", 9)]), "/markings/0", "9"),
        (playbook(playbook_extensions={step_id("extension-definition", 9): {}}),
         f"/playbook_extensions/{step_id('extension-definition', 9)}", "8"),
        (playbook(spec_version="cacao-3.0"), "/spec_version", "3.1"),
        (playbook(spec_version="2.0"), "/spec_version", "3.1"),
        (playbook(type="playbook-template"), "/type", "3.1"),
        (playbook(external_references=[{"name": "alone"}]), "/external_references/0", "10"),
        (changed_step(ACTION, on_completion=step_id("action", 99)), f"/workflow/{ACTION}/on_completion", "4.1"),
        (changed_step(ACTION, on_success=step_id("end", 14)), f"/workflow/{ACTION}/on_completion", "4.1"),
        (changed_step(ACTION, on_completion=None), f"/workflow/{ACTION}", "4.1"),
        (changed_step(ACTION, type="end"), f"/workflow/{ACTION}", "10.10"),
        (changed_step(ACTION, targets=[step_id("linux", 9)]), f"/workflow/{ACTION}/targets/0", "4.5"),
        (changed_step(ACTION, in_args=["__host__"]), f"/workflow/{ACTION}/in_args/0", "10.18"),
        (changed_step(ACTION, description="ping __host__:value"), f"/workflow/{ACTION}/description", "10.18"),
        (changed_step(ACTION, commands=[{"type": "bash"}]), f"/workflow/{ACTION}/commands/0", "5"),
        (changed_step(ACTION, commands=[{"type": "sigma", "command_b64": "?"}]),
         f"/workflow/{ACTION}/commands/0/command_b64", "5"),
        (changed_step(ACTION, on_completion=START), f"/workflow/{ACTION}/on_completion", "4"),
        (changed_step(step_id("end", 90), type="end"), f"/workflow/{step_id('end', 90)}", "4"),
        (changed_step(step_id("end", 11), type="end"), f"/workflow/{step_id('end', 11)}", "10.10"),
        (changed_step(START, on_success=ACTION, on_completion=None), f"/workflow/{START}", "4.3"),
        (changed_step("step-1", type="end"), "/workflow", "4"),
        (playbook(agent_definitions={AGENT: {"type": "individual"}}), f"/agent_definitions/{AGENT}", "7.4"),
    ],
)  # fmt: skip
def test_what_a_playbook_breaks_is_named_with_place_and_section(
    content: dict[str, Any], place: str, section: str
) -> None:
    """And it goes in all the same, with the count of its faults: a plan with a fault still helps."""
    assert (place, section) in faults(content)
    items, issues = read_playbook(content)
    assert items[-1].object.type == "course-of-action"
    told = sum(issue.code == "playbook-rule" for issue in issues)
    assert (read_extension(items[-1].object, "playbook") or {})["faults"] == told
    assert strict_errors(items[-1].object) == []


def test_loops_and_steps_that_nothing_leads_to_are_worth_a_note_only() -> None:
    """A loop may be meant; the specification forbids neither."""
    content = changed_step(ACTION, on_completion=START)
    issues = read_playbook(content)[1]
    assert {issue.code for issue in issues} == {"playbook-note"}
    assert any("loop" in issue.reason for issue in issues)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"type": "playbook", ', "no JSON"),
        (b'[{"type": "playbook"', "no JSON"),
        (playbook(id=None), "no id"),
        (playbook(id="playbook--1"), "no id"),
        (playbook(type="play"), "no playbook"),
        (json.dumps(playbook()).replace('"name": "Contain', '"name": "x", "name": "Contain').encode(), "a key twice"),
        (playbook(labels=[[[[[[[[[[]]]]]]]]]]), "nested deeper than 9 levels (playbook_depth)"),
        (playbook(workflow={step_id("end", n): {"type": "end"} for n in range(30)}), "more steps than 20 (playbook_st"),
        (playbook(labels=["x"] * 600), "more than 500 values (playbook_nodes)"),
    ],
)
def test_what_cannot_be_told_apart_from_another_is_refused(content: object, reason: str) -> None:
    """With its reason; the file's other playbooks go in."""
    limits = Limits(playbook_depth=9, playbook_steps=20, playbook_nodes=500)
    if isinstance(content, bytes) and content.startswith(b"["):
        with pytest.raises(InputError, match=reason):
            read_playbook(content, limits)
        return
    items, issues = read_playbook(content, limits)
    assert items == []
    assert any(reason in issue.reason for issue in issues)


def test_one_bad_playbook_costs_the_others_nothing() -> None:
    """A list of three, one of them without an id."""
    items, issues = read_playbook([playbook(), playbook(id="x"), playbook(id=step_id("playbook", 7))])
    assert len(items) == 2
    assert [issue.code for issue in issues] == ["object"]


def test_older_versions_are_read_as_far_as_they_go() -> None:
    """Named as older; not held against the schema of 2.0; their markings hold."""
    old = playbook(spec_version="1.1", type="playbook-template", workflow={"step--1": {"type": "single", "name": "x"}})
    (item,), issues = read_playbook(old)
    assert [issue.code for issue in issues] == ["playbook-older"]
    assert item.object.object_marking_refs == (marking_id("tlp:amber"),)


def marked(**definition: Any) -> tuple[list[KnowledgeItem], Any]:
    """The playbook under one marking; (items, what that marking says to the gate)."""
    key = step_id(definition["type"], 3)
    common = {"id": key, "created_by": step_id("identity", 2), "created": "2022-07-01T08:00:00.000Z"}
    content = playbook(markings=[key], data_marking_definitions={key: {**common, **definition}})
    items = read_playbook(content)[0]
    definitions = {item.object.id: item.object for item in items}
    refs = items[-1].object.object_marking_refs
    return items, [read_marking(ref, definitions.get(ref)) for ref in refs]


@pytest.mark.parametrize("level", ["RED", "AMBER+STRICT", "AMBER", "GREEN", "CLEAR"])
def test_tlp_becomes_the_published_marking(level: str) -> None:
    """As the gate knows it."""
    _, (marking,) = marked(type="marking-tlp", tlpv2_level=f"TLP:{level}")
    assert marking.name == f"TLP:{level}"


def test_a_statement_is_carried_and_a_classification_is_recognised() -> None:
    """The definition comes along."""
    items, (marking,) = marked(type="marking-statement", statement="Copyright Example")
    assert (marking.kind, marking.text) == ("statement", "Copyright Example")
    assert strict_errors(items[0].object) == []
    assert marked(type="marking-statement", statement="NATO RESTRICTED")[1][0].kind == "classified"


def test_a_policy_that_stix_has_no_type_for_blocks_and_its_tlp_holds() -> None:
    """FIRST's IEP: everything that it says is kept."""
    policy = {"tlp": "RED", "iep_version": 2, "permitted_actions": "none", "attribution": "must-not"}
    items, found = marked(type="marking-iep", name="P", **policy)
    assert {marking.kind for marking in found} == {"tlp", "unknown"}
    assert "TLP:RED" in {marking.name for marking in found}
    kept = read_extension(items[0].object, "policy") or {}
    assert kept["policy"]["permitted_actions"] == "none"
    assert strict_errors(items[0].object) == []


def test_a_published_marking_counts_by_its_id_alone() -> None:
    """CACAO fixes the ids of TLP 2.0: a playbook that doesn't define them is GREEN all the same, and has a fault."""
    items, issues = read_playbook(playbook(markings=["marking-tlp--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"]))
    assert items[-1].object.object_marking_refs == (marking_id("tlp:green"),)
    assert ["its id says which it is" in issue.reason for issue in issues] == [True]


def test_a_published_id_is_not_weakened_by_what_stands_under_it() -> None:
    """Who defines RED's id as CLEAR gets both: the stricter holds."""
    key = "marking-tlp--e828b379-4e03-4974-9ac4-e53a884c97c1"
    definition = {"type": "marking-tlp", "id": key, "tlpv2_level": "TLP:CLEAR"}
    items, _ = read_playbook(playbook(markings=[key], data_marking_definitions={key: definition}))
    assert marking_id("tlp:red") in items[-1].object.object_marking_refs


@pytest.mark.parametrize("markings", ["TLP:RED", {"a": 1}, [1], [None], [step_id("marking-tlp", 9)], 7])
def test_markings_that_cannot_be_read_count_as_unknown(markings: Any) -> None:
    """Never as none: what nobody understands stays."""
    items, issues = read_playbook(playbook(markings=markings))
    assert issues
    refs = items[-1].object.object_marking_refs
    assert len(refs) == 1
    assert read_marking(refs[0], None).kind == "unknown"


@pytest.mark.parametrize(
    "definition",
    [
        {"type": "marking-tlp", "tlpv2_level": 5, "statement": "Copyright"},
        {"type": "marking-secret", "statement": "Copyright"},
        {"type": "marking-tlp", "tlpv2_level": "TLP:PURPLE"},
        {"type": "marking-statement", "statement": 7},
    ],
)
def test_a_marking_that_is_read_in_part_counts_as_unknown_too(definition: dict[str, Any]) -> None:
    """What could be read doesn't stand for what couldn't."""
    assert "unknown" in {marking.kind for marking in marked(**definition)[1]}


def test_of_two_levels_both_hold() -> None:
    """The gate takes the stricter."""
    found = marked(type="marking-tlp", tlpv2_level="TLP:CLEAR", tlp="TLP:RED")[1]
    assert {marking.name for marking in found} == {"TLP:CLEAR", "TLP:RED"}


def test_a_revoked_marking_still_holds() -> None:
    """Nobody but its author can say what goes instead."""
    _, (marking,) = marked(type="marking-tlp", tlpv2_level="TLP:RED", revoked=True)
    assert marking.name == "TLP:RED"


def test_what_it_is_for_is_read_from_labels_and_references() -> None:
    """Steps' texts are not looked at: they name things in passing."""
    content = changed_step(ACTION, description="unlike T1059")
    content |= {"labels": ["attack.t1561.002", "Impact", "CVE-2021-26855"], "name": "For TA0003"}
    content["external_references"] = [{"name": "x", "url": "https://attack.mitre.org/techniques/T1490/"}]
    ours = read_extension(read_playbook(content)[0][0].object, "playbook") or {}
    assert ours["techniques"] == ["T1490", "T1561.002"]
    assert ours["tactics"] == ["impact", "persistence"]
    assert ours["vulnerabilities"] == ["CVE-2021-26855"]


def test_a_reference_to_a_technique_does_not_make_the_playbook_one() -> None:
    """In STIX an id under "mitre-attack" is the object's own."""
    content = playbook(external_references=[{"name": "mitre-attack", "external_id": "T1486"}])
    made = read_playbook(content)[0][0].object.properties()
    assert made["external_references"] == [{"source_name": "ATT&CK", "external_id": "T1486"}]
    assert made["extensions"][extension_id("playbook")]["techniques"] == ["T1486"]


def test_text_that_is_not_for_eyes_stays_inert() -> None:
    """Scripts, control characters: kept as they are in the bytes, and nowhere in an issue."""
    evil = "<script>alert(1)</script>\u0007"
    content = playbook(name=evil, description=evil, labels=[evil], **{evil: 1})
    items, issues = read_playbook(content)
    assert items[0].object.name == evil
    assert all("\u0007" not in issue.reason for issue in issues)
    assert base64.b64encode(json.dumps(content).encode()).decode() in items[0].object.raw.decode()


def test_a_hundred_thousand_steps_are_refused_and_five_thousand_in_a_ring_are_read() -> None:
    """No recursion anywhere; faults are counted, not listed without end."""
    many = {step_id("end", n): {"type": "end"} for n in range(100_000)}
    items, issues = read_playbook(playbook(workflow=many))
    assert items == []
    assert issues[0].code == "limit"
    ring = playbook()
    keys = [step_id("parallel", n) for n in range(100, 1_500)]
    for key, after in zip(keys, [*keys[1:], keys[0]], strict=True):
        ring["workflow"][key] = {"type": "parallel", "next_steps": [after, START], "on_completion": after}
    items, issues = read_playbook(ring)
    assert len(items) == 1
    assert len(issues) <= 26
