"""STIX files as knowledge: what is recognised, and that nothing of it is lost."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from aleat.errors import Issue
from aleat.knowledge import Document, Limits, read_knowledge
from aleat.knowledge.readers import stix
from aleat.trust.corpora import parse_policy, policy_bytes

UUID = "8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"
DOMAIN = {"type": "domain-name", "spec_version": "2.1", "id": f"domain-name--{UUID}", "value": "evil.example"}
BUNDLE = {"type": "bundle", "id": f"bundle--{UUID}", "objects": [DOMAIN]}


def document(data: bytes, name: str = "x.json") -> Document:
    return Document(name, name, len(data), data[:8192], lambda: data)


@pytest.mark.parametrize(
    ("form", "data", "is_stix"),
    [
        ("bundle", json.dumps(BUNDLE), True),
        ("bundle, pretty", json.dumps(BUNDLE, indent=4), True),
        ("bundle with its type last", json.dumps(dict(reversed(BUNDLE.items()))), True),
        ("envelope", json.dumps({"objects": [DOMAIN]}), True),
        ("one object", json.dumps(DOMAIN), True),
        ("list", json.dumps([DOMAIN]), True),
        ("Windows event", '{"Event":{"System":{"EventID":4624}}}', False),
        ("winlogbeat event", '{"type":"wineventlog","winlog":{"event_id":1},"id":"5"}', False),
        ("MISP event", '{"Event":{"info":"x","uuid":"5b0","Attribute":[]}}', False),
        ("list of numbers", "[1,2,3]", False),
        ("text", "bundle", False),
    ],
)
def test_stix_is_told_from_other_json(form: str, data: str, is_stix: bool) -> None:
    """By its head."""
    assert stix.detect(document(data.encode())) is is_stix, form


def test_each_object_has_its_place_and_each_fault_its_issue() -> None:
    """The byte where it stands."""
    data = json.dumps({**BUNDLE, "objects": [DOMAIN, {"type": "x"}]}).encode()
    item, issue = sorted(stix.read(document(data), Limits()), key=lambda found: isinstance(found, Issue))
    assert not isinstance(item, Issue)
    assert item.place.offset == data.index(b'{"type": "domain-name"')
    assert isinstance(issue, Issue)
    assert issue.place.offset == data.rindex(b'{"type": "x"')


@pytest.mark.data
def test_attack_is_recognised(test_data: Path) -> None:
    """The two small bundles by digest."""
    paths = [test_data / "attack" / f"{name}-attack.json" for name in ("ics", "mobile")]
    found = Counter(
        item.code if isinstance(item, Issue) else (item.corpus, item.corpus_basis)
        for item in read_knowledge(paths, policy=parse_policy(policy_bytes()))
    )
    assert found == {("mitre-attack", "digest"): 1_825 + 2_535}


@pytest.mark.long
@pytest.mark.data
def test_attack_is_recognised_and_goes_in_whole(test_data: Path) -> None:
    """All three bundles by digest; the licence beside them is no knowledge, and is said."""
    policy = parse_policy(policy_bytes())
    counts: Counter[tuple[str, ...]] = Counter()
    for item in read_knowledge([test_data / "attack"], policy=policy):
        if isinstance(item, Issue):
            counts[item.code,] += 1
        else:
            counts[item.corpus or "", item.corpus_basis] += 1
    assert counts == {("mitre-attack", "digest"): 24_771 + 1_825 + 2_535, ("not-knowledge",): 1}
