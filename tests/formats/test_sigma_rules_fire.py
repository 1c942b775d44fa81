"""A rule that asks for what a sample has, by Sigma's names and log source, fires on the sample: files to sightings."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

from aleat.errors import Place
from aleat.evidence import ReadOptions
from aleat.hunt import Indicator, Sighting, compile_plan
from aleat.hunt.drive import hunt_paths
from tests.formats.sample import SAMPLES, all_samples


def rule(name: str, wanted: Any) -> Indicator:
    """A rule for one ``[[sigma]]`` of a sample: all its fields, as they are."""
    fields = {key: escaped(value) for key, value in wanted["fields"].items()}
    text = json.dumps(
        {
            "title": name,
            "id": name,
            "logsource": wanted["logsource"],
            "detection": {"selection": fields, "condition": "selection"},
        }
    )
    return Indicator(name, f"indicator--{name}", name, "sigma", text, name, "samples", Place(name))


def escaped(value: Any) -> Any:
    """The value, with what Sigma takes for wildcards and escapes as plain characters."""
    if not isinstance(value, str):
        return value
    return value.replace("\\", "\\\\").replace("*", "\\*").replace("?", "\\?")


def test_every_samples_rules_fire_where_they_are_to() -> None:
    wanted = {
        f"{sample.name}-{number}": (sample.name, entry)
        for sample in all_samples()
        for number, entry in enumerate(sample.expected.get("sigma", []))
        if entry.get("fields")
    }
    plan = compile_plan([rule(name, entry) for name, (_, entry) in wanted.items()])
    assert [item.reason for item in plan.not_evaluated] == []
    found: dict[str, set[tuple[str, int]]] = defaultdict(set)

    def sink(sighting: Sighting) -> None:
        evidence = sighting.evidence.removeprefix(f"{SAMPLES.as_posix()}/")
        found[sighting.indicator].add((evidence, sighting.record))

    hunt_paths([sample.path for sample in all_samples()], plan, workers=1, options=ReadOptions(year=2022), sink=sink)
    silent = [name for name, (path, entry) in wanted.items() if (path, entry.get("record", 0)) not in found[name]]
    assert silent == []
