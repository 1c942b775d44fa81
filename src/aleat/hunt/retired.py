"""Indicators that are hunted for no more: what earlier hunts found of them is still shown.

The ledger of hunts knows rules by digests that compiling decides (values put into placeholders, the version of the
YARA library), so they are compiled once more, apart. Correlations and patterns over several events are evaluated anew
in each hunt from what their parts found: once retired, they aren't.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from aleat.hunt.compiler import compile_plan
from aleat.hunt.indicator import Indicator
from aleat.hunt.plan import Plan

__all__ = ["with_retired"]


def with_retired(
    plan: Plan, indicators: Sequence[Indicator], *, placeholders: Mapping[str, Sequence[str]] | None = None
) -> Plan:
    """Return the plan with indicators that are remembered and not hunted for."""
    if not indicators:
        return plan
    known = compile_plan(indicators, placeholders=placeholders)
    singles = [rule.indicator for rule in known.rules if rule.reported]
    singles += [item for item in known.lists if item.pattern_type != "stix-part"]
    light = [msgspec.structs.replace(item, pattern="", entries=(), rows=None) for item in (*singles, *known.yara)]
    return msgspec.structs.replace(plan, retired=tuple(light))
