"""Sigma rules become STIX indicators whose pattern is the rule."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import yaml

from aleat.errors import Issue
from aleat.knowledge import Document, KnowledgeItem, Limits, read_knowledge
from aleat.knowledge.readers import sigma
from aleat.stix import StixObject
from aleat.stix.extensions import read_extension
from aleat.trust.corpora import parse_policy, policy_bytes
from aleat.trust.markings import marking_id
from tests.stix import strict

RULE = """\
# by us
title: Service stopped by script
id: 3f0f4e3a-6d0a-4c8a-9d5e-0a1b2c3d4e5f
status: test
description: Stops services before encrypting.
author: A. Analyst
date: 2022-07-20
modified: 2022/09/01
tags:
    - attack.impact
    - attack.t1489
    - attack.defense_evasion
    - tlp.amber
    - cve.2021-44228
references:
    - https://example.org/a
    - https://example.org/a
    - a talk, 2022
fields:
    - CommandLine
falsepositives:
    - Backups
related:
    - id: 11111111-0a0a-4c8a-9d5e-0a1b2c3d4e5f
      type: derived
license: MIT
logsource:
    product: windows
    category: process_creation
detection:
    selection:
        CommandLine|contains: 'net stop'
    condition: selection
level: high
"""
CORRELATION = """\
title: Many stops
name: many_stops
correlation:
    type: event_count
    rules: [stop]
    group-by: [Computer]
    timespan: 5m
    condition: {gte: 10}
"""
FILTER = """\
title: Backup does that
logsource: {product: windows, category: process_creation}
filter:
    rules: [3f0f4e3a-6d0a-4c8a-9d5e-0a1b2c3d4e5f]
    selection: {User: backup}
    condition: not selection
"""


def strict_errors(item: StixObject) -> list[str]:
    """What the validator has against it but 302: a reference should have a hash, and nobody fetched what it names."""
    return [error for error in strict.strict_errors(item) if "{302}" not in error]


def document(text: str | bytes, name: str = "r.yml") -> Document:
    data = text.encode() if isinstance(text, str) else text
    return Document(name, name, len(data), data[:8192], lambda: data)


def read(text: str | bytes) -> tuple[list[KnowledgeItem], list[Issue]]:
    items = list(sigma.read(document(text), Limits()))
    return [i for i in items if isinstance(i, KnowledgeItem)], [i for i in items if isinstance(i, Issue)]


def test_a_rule_is_an_indicator_that_loses_nothing() -> None:
    """Its text is the pattern; what it says about itself is in the extension; strict validation passes."""
    (item,), issues = read(RULE)
    assert issues == []
    rule = item.object
    assert (rule.pattern, rule.pattern_type, rule.name) == (RULE, "sigma", "Service stopped by script")
    assert rule.description == "Stops services before encrypting."
    assert (rule.created, rule.modified) == ("2022-07-20T00:00:00.000Z", "2022-09-01T00:00:00.000Z")
    assert rule.labels == ("attack.impact", "attack.t1489", "attack.defense_evasion", "tlp.amber", "cve.2021-44228")
    assert rule.properties()["external_references"] == [
        {"source_name": "sigma", "external_id": "3f0f4e3a-6d0a-4c8a-9d5e-0a1b2c3d4e5f"},
        {"source_name": "mitre-attack", "external_id": "T1489"},
        {"source_name": "cve", "external_id": "CVE-2021-44228"},
        {"source_name": "reference", "url": "https://example.org/a"},
        {"source_name": "reference", "description": "a talk, 2022"},
    ]
    assert item.markings == (marking_id("tlp:amber"),)
    assert read_extension(rule, "rule") == {
        "kind": "rule",
        "rule_id": "3f0f4e3a-6d0a-4c8a-9d5e-0a1b2c3d4e5f",
        "level": "high",
        "status": "test",
        "author": "A. Analyst",
        "license": "MIT",
        "tags": list(rule.labels),
        "related": [{"id": "11111111-0a0a-4c8a-9d5e-0a1b2c3d4e5f", "type": "derived"}],
        "fields": ["CommandLine"],
        "falsepositives": ["Backups"],
    }
    phases = [phase["phase_name"] for phase in rule.properties()["kill_chain_phases"]]
    assert phases == ["impact", "defense-evasion"]
    assert strict_errors(rule) == []
    assert str(item.place) == "r.yml:1"


def test_the_same_rule_is_the_same_object_and_another_text_another() -> None:
    """From whomever, under whatever file name."""
    first, again, other = (read(text)[0][0].object for text in (RULE, RULE, RULE + "# changed\n"))
    assert first == again
    assert first.id != other.id


def test_rules_correlations_and_filters_of_one_file_are_told_apart() -> None:
    """Each with its own place; a filter says that it is about what is benign."""
    items, issues = read(f"{RULE}---\n{CORRELATION}---\n{FILTER}")
    assert issues == []
    kinds = [(read_extension(item.object, "rule") or {})["kind"] for item in items]
    assert kinds == ["rule", "correlation", "filter"]
    assert [item.place.line for item in items] == [1, 36, 45]
    assert items[1].object.pattern == CORRELATION
    assert (read_extension(items[1].object, "rule") or {})["rule_name"] == "many_stops"
    assert items[2].object.properties()["indicator_types"] == ["benign"]
    assert all(strict_errors(item.object) == [] for item in items)


@pytest.mark.parametrize(
    ("fault", "text", "code"),
    [
        ("a test's description", "id: x\nrule_metadata:\n- id: y\n", "not-a-rule"),
        ("a list", "- a\n- b\n", "not-a-rule"),
        ("a text", "hello\n", "not-a-rule"),
        ("no detection", RULE.replace("detection:", "detections:"), "rule-syntax"),
        ("detection that is a list", "title: x\nlogsource: {}\ndetection: [a]\n", "rule-syntax"),
        ("an action of old", "action: global\ntitle: x\n", "rule-syntax"),
        ("an action of old in a rule", f"action: global\n{RULE}", "rule-syntax"),
        ("a key that is no text", "1: 2\ndetection: {a: b}\n", "rule-syntax"),
        ("wrong indentation", RULE.replace("    product", "   product"), "rule-syntax"),
        ("a selection twice", RULE.replace("    condition", "    selection: {a: b}\n    condition"), "rule-syntax"),
    ],
)
def test_what_is_no_rule_is_an_issue(fault: str, text: str, code: str) -> None:
    """Counted, and named by its kind."""
    items, issues = read(text)
    assert items == []
    assert [issue.code for issue in issues] == [code], fault


def test_a_syntax_error_costs_only_what_follows() -> None:
    """With file, line and column."""
    items, issues = read(f"{RULE}---\ntitle: x\n  detection: y\n")
    assert len(items) == 1
    assert (issues[0].code, str(issues[0].place)) == ("rule-syntax", "r.yml:37:12")


def test_a_rule_without_dates_or_title_is_still_kept() -> None:
    """It gets a date that doesn't depend on when it is read."""
    ((item,), _) = read("detection: {a: {b: c}, condition: a}\ntags: attack.t1\nlevel: 7\nauthor: [x]\ndate: soon\n")
    assert item.object.created == "1970-01-01T00:00:00.000Z"
    assert item.object.name == "Untitled rule"
    assert item.object.labels == ("attack.t1",)
    assert strict_errors(item.object) == []


def test_a_level_that_sigma_has_not_is_named() -> None:
    """The rule is kept, and counts as medium (Rules specification 2.1, "Level")."""
    (item,), (issue,) = read(RULE.replace("level: high", "level: severe"))
    assert "level" not in (read_extension(item.object, "rule") or {})
    assert (issue.code, str(issue.place)) == ("rule-level", "r.yml:1")
    assert "'severe'" in issue.reason


def test_a_rule_in_another_code_page_is_read_and_said() -> None:
    """Windows-1252; UTF-16 says so itself."""
    items, issues = read(RULE.replace("A. Analyst", "Ç. Analyst").encode("cp1252"))
    assert [issue.code for issue in issues] == ["encoding"]
    assert (read_extension(items[0].object, "rule") or {})["author"] == "Ç. Analyst"
    assert len(read(RULE.encode("utf-16"))[0]) == 1


def test_rules_are_detected_by_name_or_by_look() -> None:
    """Other YAML too: its reader says what it isn't."""
    assert sigma.detect(document("x", "a.YAML"))
    assert sigma.detect(document(RULE, "rule"))
    assert not sigma.detect(document(RULE, "rule.txt"))
    assert not sigma.detect(document("title: x", "notes"))


def test_related_rules_of_one_collection_are_linked(tmp_path: Path) -> None:
    """By relationships between their indicators, whatever file comes first; what isn't there stays in the extension."""
    other = (
        RULE.replace("3f0f4e3a-6d0a", "11111111-0a0a").replace("derived", "similar").replace("    - tlp.amber\n", "")
    )
    (tmp_path / "a.yml").write_text(RULE)
    (tmp_path / "b.yml").write_text(
        other.replace("id: 11111111-0a0a-4c8a-9d5e-0a1b2c3d4e5f\n      type", "id: none\n      type")
    )
    first, second, link = (item.object for item in read_knowledge([tmp_path]) if isinstance(item, KnowledgeItem))
    facts = link.properties()
    assert (facts["source_ref"], facts["target_ref"]) == (first.id, second.id)
    assert facts["relationship_type"] == "derived-from"
    assert strict_errors(link) == []
    (item,) = (i for i in read_knowledge([tmp_path]) if isinstance(i, KnowledgeItem) and i.object.id == link.id)
    assert item.markings == (marking_id("tlp:amber"),)
    (tmp_path / "b.yml").unlink()
    assert len(list(read_knowledge([tmp_path]))) == 1


def test_what_a_rule_lists_is_bounded_and_of_any_form() -> None:
    """Its text has all of it."""
    text = "title: x\ndetection: {a: {b: c}, condition: a}\nrelated: {id: x}\nfields: 7\nreferences:\n"
    (item,), _ = read(text + "".join(f"  - https://example.org/{number}\n" for number in range(300)))
    facts = read_extension(item.object, "rule") or {}
    assert (facts.get("related"), facts["fields"]) == (None, ["7"])
    assert len(item.object.properties()["external_references"]) == 100
    assert strict_errors(item.object) == []


@pytest.mark.long
@pytest.mark.data
def test_all_of_sigmahq_goes_in(test_data: Path) -> None:
    """3,780 rules, recognised as the corpus that they are; 96 descriptions of tests, counted as no rules."""
    policy = parse_policy(policy_bytes())
    counts: Counter[tuple[str, ...]] = Counter()
    sample = []
    for item in read_knowledge([test_data / "sigma"], policy=policy):
        if isinstance(item, Issue):
            counts[item.code, item.place.path.rpartition(".")[2]] += 1
            continue
        if item.object.type == "relationship":
            counts["related", item.corpus or "", item.corpus_basis] += 1
            continue
        facts = read_extension(item.object, "rule") or {}
        counts[facts["kind"], item.corpus or "", item.corpus_basis] += 1
        if sum(counts.values()) % 200 == 0:
            sample.append(item)
    assert counts["rule", "sigmahq", "digest"] == 3780
    assert counts["not-a-rule", "yml"] == 96
    assert counts["related", "sigmahq", "digest"] > 700
    assert not {"limit", "rule-syntax", "broken-archive"} & {code for code, *_ in counts}
    for item in sample:
        assert strict_errors(item.object) == []
        with Path(item.place.path).open(encoding="utf-8", newline="") as file:
            assert item.object.pattern == file.read()
        assert yaml.safe_load(item.object.pattern or "")["title"] == item.object.name
