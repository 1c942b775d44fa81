"""A playbook of our own to vary in tests: unplug, decide, image the disk; under TLP:AMBER, for T1486."""

from __future__ import annotations

import json
from typing import Any

from aleat.errors import Issue
from aleat.knowledge import Document, KnowledgeItem, Limits
from aleat.knowledge.readers import cacao

__all__ = ["AGENT", "START", "document", "numbered", "playbook", "read_playbook", "step_id"]


def numbered(number: int) -> str:
    """A UUID for a number."""
    return f"{number:08x}-0000-4000-8000-{number:012x}"


def step_id(kind: str, number: int) -> str:
    """The id of a step, an agent, a marking."""
    return f"{kind}--{numbered(number)}"


START = step_id("start", 10)
AGENT = step_id("individual", 20)
_MARKING = step_id("marking-tlp", 3)


def action(name: str, then: str, command: str = "Pull the cable", kind: str = "manual") -> dict[str, Any]:
    """An action step with one command."""
    commands = [{"type": kind, "command": command}]
    return {"type": "action", "name": name, "commands": commands, "agent": AGENT, "on_completion": then}


def playbook(**changes: Any) -> dict[str, Any]:
    """A playbook that keeps to CACAO 2.0, with `changes`; a property that is None is left out."""
    made: dict[str, Any] = {
        "type": "playbook",
        "spec_version": "cacao-2.0",
        "id": step_id("playbook", 1),
        "name": "Contain ransomware",
        "description": "What to do first when files are encrypted.",
        "playbook_types": ["mitigation"],
        "playbook_activities": ["disconnect-system"],
        "created_by": step_id("identity", 2),
        "created": "2022-07-01T08:00:00.000Z",
        "modified": "2022-07-02T08:00:00.000Z",
        "severity": 80,
        "industry_sectors": ["government"],
        "labels": ["ransomware"],
        "external_references": [{"name": "ATT&CK", "external_id": "T1486"}],
        "markings": [_MARKING],
        "workflow_start": START,
        "workflow": {
            START: {"type": "start", "on_completion": step_id("action", 11)},
            step_id("action", 11): action("Unplug", step_id("if-condition", 12)),
            step_id("if-condition", 12): {
                "type": "if-condition",
                "name": "Is the key in memory?",
                "condition": "[process:name = 'locker.exe']",
                "on_true": step_id("action", 13),
                "on_false": step_id("end", 15),
                "on_completion": step_id("end", 14),
            },
            step_id("action", 13): action("Image the memory", step_id("end", 16), "dd if=/dev/mem", "bash"),
            step_id("end", 14): {"type": "end"},
            step_id("end", 15): {"type": "end"},
            step_id("end", 16): {"type": "end"},
        },
        "agent_definitions": {AGENT: {"type": "individual", "name": "Duty officer"}},
        "data_marking_definitions": {
            _MARKING: {
                "type": "marking-tlp",
                "id": _MARKING,
                "created_by": step_id("identity", 2),
                "created": "2022-07-01T08:00:00.000Z",
                "tlpv2_level": "TLP:AMBER",
            }
        },
    } | changes
    return {key: value for key, value in made.items() if value is not None}


def document(content: object, name: str = "playbook.json") -> Document:
    """A file that holds `content` (JSON, or its bytes)."""
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return Document(name, name, len(data), data[:8192], lambda: data)


def read_playbook(content: object, limits: Limits | None = None) -> tuple[list[KnowledgeItem], list[Issue]]:
    """Read one file; return (items, issues)."""
    found = list(cacao.read(document(content), limits or Limits()))
    return [i for i in found if isinstance(i, KnowledgeItem)], [i for i in found if isinstance(i, Issue)]
