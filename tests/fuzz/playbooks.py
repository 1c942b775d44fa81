"""The target "cacao": playbooks with steps of every kind, wired at random, then damaged; read, told, matched.

An input is a JSON file. What holds of each: it is a course of action or an issue; the bytes are kept as they came; it
has a marking wherever the playbook says that it has one; its steps are told within their limit, each once; twice gives
the same.
"""

from __future__ import annotations

import copy
import json
import random
from typing import Any

from aleat.errors import InputError, Issue
from aleat.knowledge import KnowledgeItem, Limits
from aleat.knowledge.playbooks import render_playbook
from aleat.knowledge.playbooks.steps import MOST_STEPS, playbook_bytes
from aleat.knowledge.readers import cacao
from tests.fuzz.mutation import mutate_bytes, mutate_text
from tests.knowledge.playbooks import document, playbook, step_id

__all__ = ["PlaybooksTarget"]

_KINDS = (
    "start",
    "end",
    "action",
    "playbook-action",
    "parallel",
    "if-condition",
    "while-condition",
    "switch-condition",
)
_ODD: tuple[Any, ...] = (
    None, True, -1, 2**70, 1e308, "", "<script>alert(1)</script>", "\u202e", "TLP:RED", [], {}, [[]], {"a": None},
    "T1486", "__x__:value", "9999-12-31T23:59:60Z", "0001-01-01T00:00:00.000Z", "AAAA", step_id("start", 10),
)  # fmt: skip
_TOKENS = ('"', "{", "}", "[", "]", ",", ":", "null", "\\u0000", "\\ud800", "--", '"id":', "1e999", "cacao-2.0")


class PlaybooksTarget:
    """See the module."""

    name = "cacao"
    limit = 3.0

    def __init__(self) -> None:
        """Load what is loaded when it is first needed: no input's time."""
        _read(json.dumps(playbook()).encode())

    def make(self, rng: random.Random) -> bytes:
        """Return a file; half of them damaged in their values, a fifth in their text."""
        content: Any = playbook()
        for number in range(rng.randrange(12)):
            kind = rng.choice(_KINDS)
            content["workflow"][step_id(kind, 40 + number)] = _step(rng, kind)
        if rng.random() < 0.5:
            for _ in range(rng.randrange(1, 4)):
                _damage(content, rng)
        content = [content, playbook(id=step_id("playbook", 9))] if rng.random() < 0.1 else content
        text = json.dumps(content, indent=rng.choice((None, 1)), ensure_ascii=rng.random() < 0.5)
        if rng.random() < 0.2:
            text = mutate_text(text, rng, _TOKENS)
        data = text.encode("utf-8", "replace")
        return mutate_bytes(data, rng) if rng.random() < 0.1 else data

    def check(self, data: bytes) -> None:
        """Read it twice; what is made holds what was given."""
        first, second = _read(data), _read(data)
        assert first == second
        for item in first:
            if isinstance(item, Issue) or item.object.type != "course-of-action":
                continue
            raw = playbook_bytes(item.object.properties())
            assert raw is not None
            assert raw in data
            assert bool(item.object.object_marking_refs) == _is_marked(json.loads(raw.decode("utf-8-sig")))
            told = render_playbook(item.object)
            assert told is not None
            assert len(told.steps) <= MOST_STEPS
            numbers = [step.number for step in told.steps if step.refers_to is None]
            assert numbers == list(range(1, len(numbers) + 1))


def _read(data: bytes) -> list[KnowledgeItem | Issue]:
    try:
        return list(cacao.read(document(data), Limits()))
    except InputError as error:
        return [error.issue("knowledge", "playbook.json")]


def _is_marked(content: dict[str, Any]) -> bool:
    return "markings" in content and content["markings"] != []


def _step(rng: random.Random, kind: str) -> dict[str, Any]:
    step: dict[str, Any] = {"type": kind}
    for name in ("on_completion", "on_success", "on_failure", "on_true", "on_false", "agent", "condition", "switch"):
        if rng.random() < 0.4:
            step[name] = _target(rng)
    if rng.random() < 0.4:
        step["next_steps"] = [_target(rng) for _ in range(rng.randrange(4))]
    if rng.random() < 0.3:
        step["cases"] = {f"c{number}": _target(rng) for number in range(rng.randrange(4))}
    if rng.random() < 0.4:
        step["commands"] = [{"type": rng.choice(("bash", "sigma", "x")), "command_b64": rng.choice(("QQ==", "?", ""))}]
    return step


def _target(rng: random.Random) -> str:
    return step_id(rng.choice(_KINDS), 40 + rng.randrange(12)) if rng.random() < 0.9 else step_id("action", 11)


def _damage(content: Any, rng: random.Random) -> None:
    """Put something odd in a random place."""
    while True:
        keys: list[Any] = list(content) if isinstance(content, dict) else list(range(len(content)))
        if not keys:
            return
        key = rng.choice(keys)
        if isinstance(content[key], (dict, list)) and content[key] and rng.random() < 0.7:
            content = content[key]
            continue
        content[key] = copy.deepcopy(rng.choice(_ODD))
        return
