"""Rules over events of nested objects: below a field, inside lists of objects, in other words."""

from __future__ import annotations

from typing import Any

import pytest

from aleat.hunt import Hunter, compile_plan, hunt_segment
from aleat.hunt.engine import is_among
from aleat.hunt.explain import explain
from aleat.hunt.expression import normalise_name
from aleat.hunt.views import view
from tests.hunt.batches import make_batch
from tests.hunt.sigma_rules import indicator, rule_text

AWS = "title: T\nlogsource:\n    product: aws\n    service: cloudtrail\n"
EVENT = {
    "requestParameters.bucketName": "archive",
    "requestParameters.VersioningConfiguration.Status": "Suspended",
    "requestParameters.tags": [{"key": "a", "value": {"inner": ["x", None, 7]}}],
    "eventName": "PutBucketVersioning",
    "responseElements": None,
}


def fires(detection: str, event: dict[str, Any] = EVENT) -> bool:
    plan = compile_plan([indicator(rule_text(detection, head=AWS))])
    assert not plan.not_evaluated
    return bool(hunt_segment(plan, [make_batch([event], format="cloudtrail", channel="")]).sightings)


@pytest.mark.parametrize(
    ("detection", "expected"),
    [
        ("selection:\n    requestParameters|contains: suspend", True),
        ("selection:\n    requestParameters|contains|all:\n        - archive\n        - Suspended", True),
        ("selection:\n    requestParameters.VersioningConfiguration|contains: Suspended", True),
        ("selection:\n    requestParameters.Versioning|contains: Suspended", False),
        ("selection:\n    requestParameters|exists: true", True),
        ("selection:\n    responseElements|exists: true", True),
        ("selection:\n    responseElements: null", True),
        ("selection:\n    errorCode: null", True),
        ("selection:\n    requestParameters: null", False),
        ("selection:\n    requestParameters.tags.key: A", True),
        ("selection:\n    requestParameters.tags.VALUE.inner: x", True),
        ("selection:\n    requestParameters.tags.value.inner: 7", True),
        ("selection:\n    requestParameters.tags.value.other: x", False),
        ("selection:\n    requestParameters.tags|contains: inner", True),
        ("selection:\n    eventName.anything: PutBucketVersioning", False),
    ],
)
def test_a_name_means_what_is_below_it_and_inside_lists_on_its_way(detection: str, expected: bool) -> None:
    assert fires(detection) is expected


def test_only_the_fields_that_decide_are_asked_for() -> None:
    """In a lake the columns below a field are among them, and no others."""
    plan = compile_plan([indicator(rule_text("selection:\n    requestParameters|contains: suspend", head=AWS))])
    columns = Hunter(plan).columns()
    assert columns is not None
    wanted = [name for name in EVENT if is_among(normalise_name(name), columns)]
    assert wanted == [name for name in EVENT if name.startswith("requestParameters.")]


def test_an_explanation_shows_the_field_below() -> None:
    plan = compile_plan([indicator(rule_text("selection:\n    requestParameters|contains: suspend", head=AWS))])
    told = explain(plan, "rule", make_batch([EVENT], format="cloudtrail", channel=""), 0)
    assert told.matches
    assert "requestParameters.VersioningConfiguration.Status" in str(told)


@pytest.mark.parametrize(
    ("transform", "text", "argument", "expected"),
    [
        ("inside", '{"a":[{"B":1},{"b":null},{"b":[true,"x"]}]}', "A.b", ("1", "true", "x")),
        ("inside", '{"a":{"b":{"c":2}}}', "a.b", ('{"c":2}',)),
        ("inside", '{"a":', "a", ()),
        ("inside", "", "a", ()),
        ("inside", "plain", "a", ()),
        ("named", '{"Name":"RequestType","Value":"Cmsi:Cmsi"}', ":Name:Value:RequestType", ("Cmsi:Cmsi",)),
        ("named", '{"Name":"Other","Value":"x"}', ":Name:Value:RequestType", ()),
        ("named", '{"p":[{"n":"k","v":"\\"False\\""}]}', "p:n:v:k", ('"False"', "False")),
        ("words", "0", "0=Success;*=Failure", ("Success",)),
        ("words", "50053", "0=Success;*=Failure", ("Failure",)),
        ("words", "TRUE", "true=yes", ("yes",)),
        ("words", "else", "true=yes", ()),
        ("under", "x", "", ("x",)),
    ],
)
def test_transforms(transform: str, text: str, argument: str, expected: tuple[str, ...]) -> None:
    assert view(transform, text, argument) == expected


def test_deep_and_wide_objects_take_linear_time() -> None:
    wide = '{"a":[' + ",".join('{"b":[{"c":1}]}' for _ in range(20_000)) + "]}"
    assert len(view("inside", wide, "a.b.c")) == 20_000
    assert view("inside", "[" * 5_000, "a") == ()
