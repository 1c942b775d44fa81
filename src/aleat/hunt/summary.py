"""What a hunt's summary counts beside its sightings: techniques, log sources that were missing; a Navigator layer.

Pure: counts in, counts out. The words around them are the skins'.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
import orjson

from aleat.hunt.coverage import Coverage
from aleat.hunt.plan import Plan

__all__ = ["MissingSource", "log_sources_without_evidence", "navigator_layer", "techniques", "top"]

_TECHNIQUE = re.compile(r"attack\.(t[0-9]{4}(?:\.[0-9]{3})?)", re.IGNORECASE)
_T = TypeVar("_T")
_COLOURS = ("#fff5d6", "#e08214", "#7f2704")


class MissingSource(msgspec.Struct, frozen=True, gc=False):
    """A log source that rules ask for, of which there was no evidence, and how many rules do."""

    category: str | None
    product: str | None
    service: str | None
    rules: int


def techniques(tags: Mapping[str, int]) -> dict[str, int]:
    """Return how many sightings each ATT&CK technique has, the most frequent first, from counts of Sigma's tags.

    >>> techniques({"attack.t1059.001": 3, "attack.execution": 9, "attack.T1105": 4})
    {'T1105': 4, 'T1059.001': 3}
    """
    found: Counter[str] = Counter()
    for tag, count in tags.items():
        match = _TECHNIQUE.fullmatch(tag)
        if match:
            found[match[1].upper()] += count
    return top(found)


def top(counts: Mapping[_T, int], number: int | None = None) -> dict[_T, int]:
    """Return the `number` largest counts (None: all), the largest first, equal ones by name."""
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], str(pair[0])))[:number])


def log_sources_without_evidence(plan: Plan, coverage: Coverage) -> tuple[MissingSource, ...]:
    """Return the log sources of which there was nothing, those that most rules ask for first."""
    counts: Counter[tuple[str | None, str | None, str | None]] = Counter()
    for place in coverage.without_log_source:
        source = plan.rules[place].logsource
        if source.category or source.product or source.service:
            counts[source.category, source.product, source.service] += 1
    return tuple(MissingSource(*source, count) for source, count in top(counts).items())


def navigator_layer(tags: Mapping[str, int], *, name: str, description: str = "") -> bytes:
    """Return a layer (format 4.5, JSON) for MITRE's ATT&CK Navigator: each Enterprise technique seen, and how often.

    `tags` are counts of Sigma's tags; techniques of ATT&CK for ICS (T0…) belong to another domain and are left out.
    """
    seen = {technique: count for technique, count in techniques(tags).items() if technique.startswith("T1")}
    parents = {technique.partition(".")[0] for technique in seen if "." in technique}
    rows: list[dict[str, Any]] = [
        {"techniqueID": technique, "score": seen[technique], "comment": f"{seen[technique]} sightings", "enabled": True}
        for technique in sorted(seen)
    ]
    rows += [
        {"techniqueID": parent, "enabled": True, "showSubtechniques": True} for parent in sorted(parents - seen.keys())
    ]
    for row in rows:
        if row["techniqueID"] in parents:
            row["showSubtechniques"] = True
    layer = {
        "name": name,
        "versions": {"layer": "4.5", "navigator": "5.1.0"},
        "domain": "enterprise-attack",
        "description": description,
        "sorting": 3,
        "hideDisabled": False,
        "techniques": sorted(rows, key=lambda row: str(row["techniqueID"])),
        "gradient": {"colors": list(_COLOURS), "minValue": 0, "maxValue": max(seen.values(), default=1)},
    }
    return orjson.dumps(layer, option=orjson.OPT_INDENT_2) + b"\n"
