"""A playbook in the terminal: its facts, and its steps with branches set in; commands as they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aleat.cli.terminal import line, wrapped
from aleat.text import clip

if TYPE_CHECKING:
    from aleat.knowledge.playbooks import Playbook, PlaybookStep
    from aleat.report import Messages

__all__ = ["print_playbook"]

_TEXT = 400
_COMMAND_LINES = 12


def print_playbook(playbook: Playbook, messages: Messages) -> None:
    """Print what a playbook says of itself, and its steps; nothing of it is run."""
    from aleat.report import playbook_facts  # noqa: PLC0415

    line(f"{messages.say('response', 'playbook')}: {'; '.join(playbook_facts(playbook, messages))}")
    wrapped(messages.say("label", "responses_note"), indent="  ")
    for step in playbook.steps:
        _print_step(step, messages)
    if playbook.left_out:
        line(f"  {messages.say('label', 'steps_left_out', n=playbook.left_out)}")


def _print_step(step: PlaybookStep, messages: Messages) -> None:
    from aleat.report import step_text  # noqa: PLC0415

    indent = " " * (2 + 3 * step.depth)
    number = "" if step.refers_to is not None else f"{step.number}. "
    who = [messages.say("label", "step_by", agent=step.agent)] if step.agent else []
    who += [messages.say("label", "step_on", targets=", ".join(step.targets))] if step.targets else []
    told = f" ({' '.join(who)})" if who else ""
    wrapped(clip(f"{number}{step_text(step, messages)}{told}", _TEXT), indent=indent)
    if step.condition:
        wrapped(clip(f"{messages.say('label', 'step_if')}: {step.condition}", _TEXT), indent=f"{indent}   ")
    if step.description and step.description != step.name:
        wrapped(clip(step.description, _TEXT), indent=f"{indent}   ")
    for command in step.commands:
        first, *rest = command.text.splitlines()[:_COMMAND_LINES] or [""]
        line(f"{indent}   | {command.type}: {clip(first, _TEXT)}")
        for part in rest:
            line(f"{indent}   |   {clip(part, _TEXT)}")
