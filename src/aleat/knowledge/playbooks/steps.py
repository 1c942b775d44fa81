"""A playbook as a list that people can read: its steps in the order in which they are taken, branches set in.

What a step leads to twice is told once, and referred to by its number. Commands are shown as they stand (base64
decoded where it is text); nothing is ever run, fetched or filled in. Texts are cut to lengths for a screen; the
playbook's own bytes are kept beside (`playbook_bytes`).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import msgspec
import orjson

from aleat.knowledge.playbooks.flow import flows_of, mapping_of, workflow_of
from aleat.stix.extensions import read_extension
from aleat.stix.objects import StixObject

__all__ = [
    "FIELD_EXTENSION",
    "MOST_STEPS",
    "Playbook",
    "PlaybookCommand",
    "PlaybookStep",
    "playbook_bytes",
    "read_steps",
    "render_playbook",
]

FIELD_EXTENSION = "extension-definition--1e1c1bd7-c527-4215-8e18-e199e74da57c"
"""The field's own extension of courses of action for playbooks, which CACAO Roaster and others write:
https://github.com/cyentific-rni/stix2.1-coa-playbook-extension (3.0.0: `playbook_bin`; before: `playbook_base64`)."""

MOST_STEPS = 500
"""At most this many steps are told."""

_TEXT = 2_000
_NAME = 200
_COMMANDS = 20
_DEPTH = 12
_BRANCHES = {"on_true": "then", "on_false": "else", "on_failure": "failure", "next_steps": "parallel", "cases": "case"}


class PlaybookCommand(msgspec.Struct, frozen=True):
    """One command of a step: its type ("manual", "bash" …), and its text as it stands; never run."""

    type: str
    text: str
    description: str = ""


class PlaybookStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step, or a reference to one that was told before (`refers_to`, its number).

    `depth` is how far it is set in; `branch` says of a branch's first step why it is taken: "then", "else",
    "while", "case" (`case` is its value), "parallel", "failure", "exception", "unreached", or "" where it follows.
    `type` is the playbook's own word ("action", "if-condition" …).
    """

    number: int
    depth: int
    branch: str = ""
    case: str = ""
    type: str = ""
    name: str = ""
    description: str = ""
    condition: str = ""
    agent: str = ""
    targets: tuple[str, ...] = ()
    commands: tuple[PlaybookCommand, ...] = ()
    refers_to: int | None = None
    id: str = ""


class Playbook(msgspec.Struct, frozen=True, kw_only=True):
    """What a playbook says of itself, and its steps; `left_out` counts those beyond `MOST_STEPS`.

    `faults` is how many rules of CACAO it breaks, `signatures` one word for each: "intact", "broken",
    "not-verified" (`aleat.knowledge.playbooks.signatures`).
    """

    id: str
    name: str
    description: str = ""
    types: tuple[str, ...] = ()
    activities: tuple[str, ...] = ()
    sectors: tuple[str, ...] = ()
    standard: str = ""
    template: bool = False
    severity: int | None = None
    impact: int | None = None
    priority: int | None = None
    steps: tuple[PlaybookStep, ...] = ()
    left_out: int = 0
    faults: int = 0
    signatures: tuple[str, ...] = ()


def render_playbook(item: StixObject) -> Playbook | None:
    """Return the playbook that a course of action holds, or None where it holds none that can be read."""
    properties = item.properties()
    data = playbook_bytes(properties)
    if data is None:
        return None
    try:
        content = orjson.loads(data.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError:
        return None
    if not isinstance(content, dict):
        return None
    ours = read_extension(item, "playbook") or {}
    steps, left_out = read_steps(content)
    template = content.get("type") == "playbook-template"
    faults = ours.get("faults", 0)
    signatures = ours.get("signatures", ())
    return Playbook(
        id=_text(content, "id", _NAME),
        name=_text(content, "name", _NAME) or item.name or "",
        description=_text(content, "description", _TEXT),
        types=_texts(content, "playbook_types"),
        activities=_texts(content, "playbook_activities"),
        sectors=_texts(content, "industry_sectors"),
        standard=_text(content, "spec_version", _NAME),
        template=template,
        severity=_number(content, "severity"),
        impact=_number(content, "impact"),
        priority=_number(content, "priority"),
        steps=steps,
        left_out=left_out,
        faults=faults if isinstance(faults, int) else 0,
        signatures=tuple(word for word in signatures if isinstance(word, str)) if isinstance(signatures, list) else (),
    )


def playbook_bytes(properties: Mapping[str, Any]) -> bytes | None:
    """Return the bytes of the playbook in a course of action, as it came, or None where there is none."""
    extension = mapping_of(mapping_of(properties, "extensions"), FIELD_EXTENSION)
    for name in ("playbook_bin", "playbook_base64"):
        text = extension.get(name)
        if isinstance(text, str):
            try:
                return base64.b64decode(text, validate=True)
            except (binascii.Error, ValueError):
                continue
    text = extension.get("playbook")
    return text.encode("utf-8", "replace") if isinstance(text, str) else None


def read_steps(content: Mapping[str, Any]) -> tuple[tuple[PlaybookStep, ...], int]:
    """Return a workflow's steps in order, and how many were left out; takes any JSON, and any graph."""
    return _Telling(content).tell()


class _Telling:
    """Walks a workflow once."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.content = content
        self.steps = workflow_of(content)
        self.agents = mapping_of(content, "agent_definitions")
        self.targets = mapping_of(content, "target_definitions")
        self.numbers: dict[str, int] = {}
        self.silent: set[str] = set()
        self.told: list[PlaybookStep] = []
        self.left_out = 0

    def tell(self) -> tuple[tuple[PlaybookStep, ...], int]:
        start, exception = self.content.get("workflow_start"), self.content.get("workflow_exception")
        if isinstance(start, str):
            self._from(start, "")
        if isinstance(exception, str) and exception not in self.numbers:
            self._from(exception, "exception")
        for key in self.steps:
            if key not in self.numbers and key not in self.silent:
                self._from(key, "unreached")
        return tuple(self.told), self.left_out

    def _from(self, first: str, branch: str) -> None:
        stack = [(first, 1 if branch else 0, branch, "")]
        while stack:
            key, depth, why, case = stack.pop()
            step = self.steps.get(key)
            if step is None or key in self.silent:
                continue
            if key in self.numbers:
                self._add(PlaybookStep(number=0, depth=depth, branch=why, case=case, refers_to=self.numbers[key]))
                continue
            if _says_nothing(step):
                self.silent.add(key)
            else:
                self.numbers[key] = len(self.numbers) + 1
                self._add(self._told(key, step, depth, why, case))
            stack.extend(reversed(self._onward(step, depth)))

    def _onward(self, step: Mapping[str, Any], depth: int) -> list[tuple[str, int, str, str]]:
        """Return what follows a step: its branches set in, then what comes after all of them."""
        inner = min(depth + 1, _DEPTH)
        branches: list[tuple[str, int, str, str]] = []
        after: list[tuple[str, int, str, str]] = []
        for path, target in flows_of(step):
            name = str(path[0])
            if name in {"on_completion", "on_success"}:
                after.append((target, depth, "", ""))
                continue
            branch = "while" if name == "on_true" and step.get("type") == "while-condition" else _BRANCHES[name]
            branches.append((target, inner, branch, str(path[1])[:_NAME] if name == "cases" else ""))
        return branches + after

    def _told(self, key: str, step: Mapping[str, Any], depth: int, branch: str, case: str) -> PlaybookStep:
        listed = step.get("targets")
        targets = [self._named(self.targets, one) for one in (listed if isinstance(listed, list) else ())[:_COMMANDS]]
        commands = step.get("commands")
        agent = step.get("agent")
        return PlaybookStep(
            number=self.numbers[key],
            depth=depth,
            branch=branch,
            case=case,
            type=_text(step, "type", _NAME),
            name=_text(step, "name", _NAME),
            description=_text(step, "description", _TEXT),
            condition=_text(step, "condition", _TEXT) or _text(step, "switch", _TEXT),
            agent=self._named(self.agents, agent) if agent is not None else "",
            targets=tuple(target for target in targets if target),
            commands=tuple(
                _command(one)
                for one in (commands if isinstance(commands, list) else [])[:_COMMANDS]
                if isinstance(one, dict)
            ),
            id=key[:_NAME],
        )

    @staticmethod
    def _named(table: Mapping[str, Any], key: object) -> str:
        value = table.get(key) if isinstance(key, str) else None
        return (_text(value, "name", _NAME) if isinstance(value, dict) else "") or str(key)[:_NAME]

    def _add(self, step: PlaybookStep) -> None:
        if len(self.told) < MOST_STEPS:
            self.told.append(step)
        elif step.refers_to is None:
            self.left_out += 1


def _says_nothing(step: Mapping[str, Any]) -> bool:
    """Say whether a step only marks a start or an end: people need no line for it."""
    return step.get("type") in ("start", "end") and not step.get("description")


def _command(command: Mapping[str, Any]) -> PlaybookCommand:
    text = _text(command, "command", _TEXT) or _decoded(command.get("command_b64"))
    if content := _text(command, "content", _TEXT) or _decoded(command.get("content_b64")):
        text = f"{text}\n{content}" if text else content
    return PlaybookCommand(_text(command, "type", _NAME), text[:_TEXT], _text(command, "description", _TEXT))


def _decoded(text: object) -> str:
    if not isinstance(text, str):
        return ""
    try:
        data = base64.b64decode(text[: 4 * _TEXT], validate=True)
    except (binascii.Error, ValueError):
        data = b"\0"
    return text[:_NAME] if b"\0" in data else data.decode("utf-8", "replace")[:_TEXT]


def _text(content: Mapping[str, Any], name: str, longest: int) -> str:
    value = content.get(name)
    return value[:longest] if isinstance(value, str) else ""


def _texts(content: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = content.get(name)
    return tuple(one[:_NAME] for one in value[:_COMMANDS] if isinstance(one, str)) if isinstance(value, list) else ()


def _number(content: Mapping[str, Any], name: str) -> int | None:
    value = content.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
