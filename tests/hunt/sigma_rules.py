"""Small Sigma rules for tests: made from their detection part, compiled, and held against events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from textwrap import dedent, indent
from typing import Any

from aleat.errors import Place
from aleat.evidence.batch import EventBatch
from aleat.hunt import Indicator, Plan, compile_plan, hunt_segment

from .events import batch

HEAD = "title: Test\nlogsource:\n    product: windows\n"


def indicator(text: str, *, identifier: str = "rule", path: str = "test.yml", line: int = 1) -> Indicator:
    """Make an indicator of a Sigma document's text."""
    digest = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return Indicator(identifier, f"indicator--{identifier}", digest, "sigma", text, "Test", "tests", Place(path, line))


def rule_text(detection: str, *, head: str = HEAD) -> str:
    """Make a rule's text of its detection section; "condition: selection" is added where there is none."""
    body = dedent(detection).strip("\n")
    if "condition:" not in body:
        body += "\ncondition: selection"
    return f"{head}detection:\n{indent(body, '    ')}\n"


def plan_of(detection: str, *, head: str = HEAD, placeholders: Mapping[str, Sequence[str]] | None = None) -> Plan:
    """Compile one rule."""
    return compile_plan([indicator(rule_text(detection, head=head))], placeholders=placeholders)


def fires(
    detection: str,
    event: Mapping[str, Any],
    *,
    head: str = HEAD,
    placeholders: Mapping[str, Sequence[str]] | None = None,
    **facts: Any,
) -> bool:
    """Return whether the rule fires on the event; a rule that can't be compiled fails the test."""
    plan = plan_of(detection, head=head, placeholders=placeholders)
    assert not plan.not_evaluated, plan.not_evaluated
    return bool(hunt_segment(plan, [batch([event], **facts)]).sightings)


def rejection(detection: str, *, head: str = HEAD) -> str:
    """Return why the rule is not evaluated; "" where it is."""
    plan = plan_of(detection, head=head)
    return "; ".join(f"{item.place}: {item.reason}" for item in plan.not_evaluated)


def records(plan: Plan, batches: Sequence[EventBatch]) -> list[int]:
    """Return the records that any rule of the plan hit."""
    return sorted({one.record for one in hunt_segment(plan, batches).sightings})
