"""STIX 2.0 told as 2.1, with nothing lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aleat.errors import Place
from aleat.stix import parse_bundle, parse_object
from tests.stix.strict import strict_errors

UUID = "8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"
TIME = "2018-02-03T08:00:00.000Z"


def old(type_: str, **properties: Any) -> dict[str, Any]:
    """An object of STIX 2.0: without `spec_version`."""
    return {"type": type_, "id": f"{type_}--{UUID}", "created": TIME, "modified": TIME, **properties}


@pytest.mark.parametrize(
    ("properties", "added"),
    [
        (
            old("indicator", labels=["malicious-activity"], pattern="[file:name = 'a']", valid_from=TIME),
            {"indicator_types": ["malicious-activity"], "pattern_type": "stix", "pattern_version": "2.0"},
        ),
        (old("malware", name="M", labels=["wiper"]), {"malware_types": ["wiper"], "is_family": True}),
        (old("tool", name="T", labels=["exploitation"]), {"tool_types": ["exploitation"]}),
        (old("threat-actor", name="A", labels=["nation-state"]), {"threat_actor_types": ["nation-state"]}),
        (old("report", name="R", labels=["campaign"], published=TIME), {"report_types": ["campaign"]}),
        (old("campaign", name="C"), {}),
    ],
    ids=lambda value: value.get("type", "") if isinstance(value, dict) else "",
)
def test_an_upgrade_adds_what_2_1_asks_for_and_takes_nothing(properties: dict[str, Any], added: dict[str, Any]) -> None:
    """Labels stay; the received bytes are kept beside the upgraded ones."""
    raw = json.dumps(properties).encode()
    item = parse_object(raw, Place("old.json"))
    assert item.raw == raw
    assert item.spec_version == "2.0"
    assert item.properties() == {**properties, "spec_version": "2.1", **added}
    assert item.pattern_type == added.get("pattern_type")


def test_an_observable_without_a_version_is_2_1() -> None:
    """STIX 2.1 §3.3: the implicit version of cyber observables."""
    item = parse_object(
        json.dumps({"type": "domain-name", "id": f"domain-name--{UUID}", "value": "evil.example"}).encode(), Place("")
    )
    assert (item.spec_version, item.upgraded) == ("2.1", None)


def test_an_upgraded_indicator_passes_strict_validation() -> None:
    """Where the original was sound."""
    properties = old(
        "indicator",
        name="N",
        description="D",
        labels=["malicious-activity"],
        pattern="[file:name = 'a']",
        valid_from=TIME,
    )
    assert strict_errors(parse_object(json.dumps(properties).encode(), Place(""))) == []


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "count"),
    [pytest.param("enterprise", 24_771, marks=pytest.mark.long), ("ics", 1_825), ("mobile", 2_535)],
)
def test_attack_goes_in_whole_and_comes_out_as_given(test_data: Path, name: str, count: int) -> None:
    """ATT&CK's three bundles (STIX 2.0): every object's bytes, and every property in the upgraded form."""
    data = (test_data / "attack" / f"{name}-attack.json").read_bytes()
    bundle = parse_bundle(data, name)
    assert (len(bundle.objects), bundle.issues) == (count, ())
    given = json.loads(data)["objects"]
    for item, properties, offset in zip(bundle.objects, given, bundle.offsets, strict=True):
        assert data[offset : offset + len(item.raw)] == item.raw
        assert properties.items() <= item.properties().items()
        assert json.loads(item.raw) == properties
