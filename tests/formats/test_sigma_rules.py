"""SigmaHQ's own rules over the formats' samples: each log source of ours has an event that fires one of its rules."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pytest

from aleat.errors import Issue
from aleat.hunt import Hunter, Plan, compile_plan
from aleat.hunt.from_store import indicators_of_items
from aleat.knowledge import KnowledgeItem, read_knowledge
from tests.formats.sample import Sample, all_samples, read_sample

FOLDERS = ("rules", "rules-emerging-threats", "rules-threat-hunting")
PARTS = ("cloud", "identity", "application", "category")
"""Below `FOLDERS`, those parts that are about no operating system."""

pytestmark = pytest.mark.data

WITH_RULES = [sample for sample in all_samples() if sample.expected.get("fires")]


@lru_cache(maxsize=1)
def plan(folder: Path) -> Plan:
    paths = [path for name in FOLDERS for part in PARTS if (path := folder / name / part).is_dir()]
    items = [item for item in read_knowledge(paths) if not isinstance(item, Issue)]
    assert all(isinstance(item, KnowledgeItem) for item in items)
    return compile_plan(list(indicators_of_items(items, "sigmahq", not_evaluated=[])))


@pytest.mark.parametrize("sample", WITH_RULES, ids=lambda sample: sample.name)
def test_a_sample_fires_the_rules_that_it_names(sample: Sample, test_data: Path) -> None:
    found: dict[int, set[str]] = {}
    for sighting in Hunter(plan(test_data / "sigma")).hunt(read_sample(sample).batches).sightings:
        found.setdefault(sighting.record, set()).add(sighting.title)
    wanted = {int(record): set(titles) for record, titles in sample.expected["fires"].items()}
    assert found == wanted
