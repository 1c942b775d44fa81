"""Counts for a hunt's summary."""

from __future__ import annotations

import json

from aleat.hunt import compile_plan
from aleat.hunt.coverage import CoverageBuilder, describe_batch
from aleat.hunt.summary import MissingSource, log_sources_without_evidence, navigator_layer, techniques, top
from tests.hunt.events import batch
from tests.hunt.sigma_rules import indicator, rule_text


def test_techniques_are_counted_whatever_their_case() -> None:
    tags = {"attack.t1059": 1, "attack.T1059": 2, "attack.t1059.001": 5, "attack.execution": 9, "cve.2021-1": 1}
    assert techniques(tags) == {"T1059.001": 5, "T1059": 3}


def test_equal_counts_stand_by_name() -> None:
    assert list(top({"b": 1, "a": 1, "c": 2}, 2)) == ["c", "a"]


def test_a_layer_has_each_technique_and_opens_the_parents() -> None:
    layer = json.loads(navigator_layer({"attack.t1485": 2, "attack.t1059.001": 7, "attack.t0814": 1}, name="n"))
    assert (layer["name"], layer["versions"]["layer"], layer["domain"]) == ("n", "4.5", "enterprise-attack")
    rows = {row["techniqueID"]: row for row in layer["techniques"]}
    assert list(rows) == ["T1059", "T1059.001", "T1485"]
    assert rows["T1059.001"]["score"] == 7
    assert "score" not in rows["T1059"]
    assert rows["T1059"]["showSubtechniques"]
    assert layer["gradient"]["maxValue"] == 7


def test_a_layer_of_nothing_is_a_layer() -> None:
    assert json.loads(navigator_layer({}, name="n"))["techniques"] == []


def test_log_sources_without_evidence_are_named_with_their_rules() -> None:
    heads = {
        "here": "title: T\nlogsource:\n    product: windows\n    service: security\n",
        "one": "title: T\nlogsource:\n    product: linux\n    service: auditd\n",
        "two": "title: T\nlogsource:\n    product: linux\n    service: auditd\n",
        "three": "title: T\nlogsource:\n    category: proxy\n",
    }
    plan = compile_plan(
        [indicator(rule_text("selection:\n    a: b", head=head), identifier=name) for name, head in heads.items()]
    )
    builder = CoverageBuilder()
    builder.add([describe_batch(batch([{"a": "b"}]))], "x")
    missing = log_sources_without_evidence(plan, builder.coverage(plan))
    assert missing == (MissingSource(None, "linux", "auditd", 2), MissingSource("proxy", None, None, 1))
