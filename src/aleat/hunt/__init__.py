"""The hunt: indicators times events gives sightings. The hot path.

`compile_plan` turns indicators (Sigma rules, correlations and filters; STIX patterns; lists of values) into a
`Plan`, which is data; a `Hunter` evaluates it over `EventBatch`es, each distinct value once; `correlate` looks
over the sightings of all segments; `apply_filters` labels what somebody dismissed. What could not be compiled
is in `Plan.not_evaluated`, by name.

This room does not read logs (`aleat.evidence`) or rule files (`aleat.knowledge`), fold copies of events or judge
what sightings mean (`aleat.case`). Its pure parts know no clock, disk or network; `drive` hands the work to an
executor and keeps the ledger of what was hunted (`hunt_paths`, `hunt_lake`); `open_writer` writes sightings.
"""

from __future__ import annotations

from aleat.hunt.compiler import compile_plan
from aleat.hunt.correlation import correlate
from aleat.hunt.coverage import Coverage, HostRow, LogSourceRow
from aleat.hunt.drive import hunt_lake, hunt_paths
from aleat.hunt.engine import Hunter, hunt_segment
from aleat.hunt.event_digest import event_digest
from aleat.hunt.filters import apply_filters
from aleat.hunt.from_store import indicators, indicators_of_items
from aleat.hunt.indicator import LEVELS, Indicator, ListEntry, NotEvaluated, Part, SegmentResult, Sighting
from aleat.hunt.output import FORMATS, SightingWriter, open_writer, sighting_line
from aleat.hunt.plan import ENGINE_VERSION, Plan
from aleat.hunt.result import HuntProgress, HuntResult, RuleCounts, Tally
from aleat.hunt.stix_match import match_pattern

__all__ = [
    "ENGINE_VERSION",
    "FORMATS",
    "LEVELS",
    "Coverage",
    "HostRow",
    "HuntProgress",
    "HuntResult",
    "Hunter",
    "Indicator",
    "ListEntry",
    "LogSourceRow",
    "NotEvaluated",
    "Part",
    "Plan",
    "RuleCounts",
    "SegmentResult",
    "Sighting",
    "SightingWriter",
    "Tally",
    "apply_filters",
    "compile_plan",
    "correlate",
    "event_digest",
    "hunt_lake",
    "hunt_paths",
    "hunt_segment",
    "indicators",
    "indicators_of_items",
    "match_pattern",
    "open_writer",
    "sighting_line",
]
