"""What can be done against an incident, as sentences: one way for the page and the terminal.

Codes come from `aleat.case.responses` and a playbook's steps; words are the catalogue's. What came from others is put
into sentences as it is: whoever shows them escapes them.
"""

from __future__ import annotations

from aleat.case.response_records import Response, ResponseReason
from aleat.knowledge.playbooks import Playbook, PlaybookStep
from aleat.report.messages import Messages
from aleat.stix.times import format_timestamp
from aleat.text import clip

__all__ = ["FIRST_RESPONSES", "begin_lines", "giver_text", "playbook_facts", "reason_text", "reasons_text", "step_text"]

FIRST_RESPONSES = 10
"""At most this many stand open beside an incident; the rest is one step away."""

_REASONS = 3
_LONG = 160  # characters
_MARKING = 60


def reason_text(reason: ResponseReason, messages: Messages) -> str:
    """Return why a course of action fits: "mitigates T1486 …, seen on HOST at TIME"."""
    value, name = clip(reason.value, _LONG), clip(reason.name, _LONG)
    text = messages.say("reason", f"{reason.kind}-{reason.how}", value=value, name=name).strip()
    if reason.time is None:
        return text
    time = f"{format_timestamp(reason.time)[:16].replace('T', ' ')} UTC"
    return f"{text}, {messages.say('reason', 'seen', host=clip(reason.host, _LONG) or '?', time=time)}"


def reasons_text(response: Response, messages: Messages) -> str:
    """Return the strongest reasons in one line, and how many more there are."""
    texts = [reason_text(reason, messages) for reason in response.reasons[:_REASONS]]
    if len(response.reasons) > _REASONS:
        texts.append(messages.say("label", "reasons_more", n=len(response.reasons) - _REASONS))
    return "; ".join(texts)


def giver_text(response: Response, messages: Messages) -> str:
    """Return who gave it, each with the markings of that copy."""
    unmarked = messages.say("label", "response_unmarked")
    told = []
    for giver in response.givers:
        labels = sorted(giver.markings, key=lambda name: (not name.startswith(("TLP:", "PAP:")), name))
        marked = "" if response.public else f" ({'; '.join(clip(name, _MARKING) for name in labels[:5]) or unmarked})"
        told.append(messages.say("label", "response_from", giver=clip(giver.name, _LONG)) + marked)
    return ", ".join(told)


def playbook_facts(playbook: Playbook, messages: Messages) -> tuple[str, ...]:
    """Return what a playbook says of itself in short: its types, length, gravity, and what is wrong with it."""
    facts = [*playbook.types]
    if playbook.template:
        facts.append(messages.say("response", "template"))
    steps = sum(step.refers_to is None for step in playbook.steps) + playbook.left_out
    facts.append(messages.count("steps", steps))
    if playbook.severity:
        facts.append(messages.say("label", "playbook_severity", n=playbook.severity))
    if playbook.impact:
        facts.append(messages.say("label", "playbook_impact", n=playbook.impact))
    if playbook.faults:
        facts.append(messages.count("playbook_faults", playbook.faults))
    facts += dict.fromkeys(messages.say("signature", state) for state in playbook.signatures)
    return tuple(facts)


def begin_lines(text: str, longest: int) -> tuple[str, ...]:
    """Return the lines of a text that aren't empty, at most `longest` characters of it from its beginning.

    >>> begin_lines("Unplug.\\n\\nThen call.", 15)
    ('Unplug.', 'Then …')
    """
    begun = f"{text[: longest - 1]}…" if len(text) > longest else text
    return tuple(line for line in (part.rstrip() for part in begun.splitlines()) if line)


def step_text(step: PlaybookStep, messages: Messages) -> str:
    """Return a step's line: why it is taken, and what it is called, or where the workflow goes on."""
    why = messages.say("branch", step.branch, case=clip(step.case, _LONG)) if step.branch else ""
    if step.refers_to is not None:
        what = messages.say("label", "step_refers", n=step.refers_to)
    else:
        what = step.name or messages.say("step", step.type)
    return f"{why}: {what}" if why else what
