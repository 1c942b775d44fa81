"""MISP and back: what came from MISP comes out as it was, what is ours as an event that PyMISP reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aleat.errors import TrustError
from aleat.exchange.misp import write_events
from aleat.knowledge import KnowledgeItem, read_knowledge
from aleat.stix import canonical_json, make_object, parse_timestamp
from aleat.trust.markings import marking_id
from tests.knowledge.misp_world import attribute, event, objects, read, uuid

TIME = parse_timestamp("2022-07-15T08:00:00.000Z")


def back(content: object, **more: Any) -> dict[str, Any]:
    (one,) = write_events(objects(content), **more).events
    return one["Event"]


def test_an_event_comes_out_as_it_went_in() -> None:
    """Every key, number, order, null and empty list of it."""
    assert canonical_json(back({"Event": event()})) == canonical_json(event())


@pytest.mark.data
def test_the_samples_come_out_as_they_went_in(test_data: Path) -> None:
    """However odd they are."""
    seen = 0
    for path in sorted((test_data / "misp-events").glob("*.json")):
        found = list(read_knowledge([path]))
        items = [item.object for item in found if isinstance(item, KnowledgeItem)]
        if not items:
            assert [issue.code for issue in found] == ["not-knowledge"]  # type: ignore[union-attr]
            assert path.name == "sighting.json"
            continue
        given = json.loads(path.read_bytes())
        given = given["response"][0] if "response" in given else given
        (one,) = write_events(items).events
        assert canonical_json(one["Event"]) == canonical_json(given), path.name
        seen += 1
    assert seen == 7
