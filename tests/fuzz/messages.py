"""The target "messages": threads of typed messages as an ally's sealed file holds them, senseless and damaged.

Held against: they are read whole or refused by name; what is read can be written and read again; any order and any
repetition folds to the same threads; every thread has a tree of its messages and a turn, or none.
"""

from __future__ import annotations

import json
import random
import uuid
from datetime import date
from typing import Any

from aleat.errors import ObjectError
from aleat.exchange.messages import decode_messages, encode_messages, message_row, read_message
from aleat.exchange.steps import next_step, tree
from aleat.exchange.threads import FOLLOWS, fold_threads
from tests.fuzz.mutation import mutate_bytes, mutate_text

__all__ = ["MessagesTarget"]

_SIDES = tuple(f"identity--{uuid.UUID(int=number, version=4)}" for number in range(3))
_IDS = tuple(f"message--{uuid.UUID(int=number, version=4)}" for number in range(8))
_OBJECT = "indicator--00000000-0000-4000-8000-000000000001"
_TIMES = ("2022-09-20T12:00:00.000Z", "2022-09-20T12:00:00Z", "0000-00-00T99:99:99Z", "9999-12-31T23:59:60Z", "x", "")
_WORDS: dict[str, tuple[Any, ...]] = {
    "title": ("Help", "", "x" * 501),
    "affected": ({}, {"country": "AL"}, {"country": "ALB"}, None),
    "impact": ("much", "\u202e\x00"),
    "needs": (["all"], [], "all"),
    "question": ("Seen?",),
    "asked": ([{"indicator": _OBJECT, "what": "x"}], []),
    "objects": ([{"id": _OBJECT, "version": ""}], [_OBJECT], []),
    "onward_to": (_SIDES[2],),
    "onward_name": ("West",),
    "purpose": ("p",),
    "until": ("2030-01-01", "2030-02-30"),
    "what": ("A pack",),
    "valid_until": ("2022-09-30", None),
    "reason": ("no",),
    "release": ("release--1", ""),
    "sha256": ("0" * 64, ""),
    "valid_from": ("2022-01-01",),
    "seen": (1, -1, 1e400),
    "not_seen": (0,),
    "false_positives": (0,),
    "not_evaluated": (0,),
    "outcome": ("done",),
}
_TOKENS = ('"kind":"offer"', '"of":null', "[[[[", "{}", '"\\ud800"', "1e999", '"label":"red"', f'"id":"{_IDS[0]}"')


class MessagesTarget:
    """Messages of a few threads between three sides."""

    name = "messages"
    limit = 3.0

    def make(self, rng: random.Random) -> bytes:
        """Return a file's messages: most are well formed, few make sense."""
        data = json.dumps([_message(rng) for _ in range(rng.randint(0, 9))]).encode()
        if rng.random() < 0.3:
            data = mutate_text(data.decode(), rng, _TOKENS).encode("utf-8", "surrogatepass")
        return mutate_bytes(data, rng) if rng.random() < 0.2 else data

    def check(self, data: bytes) -> None:
        """Read, write, keep and fold them."""
        try:
            messages = decode_messages(data)
        except ObjectError:
            return
        assert decode_messages(encode_messages(messages)) == messages
        assert tuple(read_message(message_row(item)) for item in messages) == messages
        distinct = tuple({item.id: item for item in messages}.values())
        threads = fold_threads(distinct)
        again = [*distinct, *distinct]
        random.Random(len(data)).shuffle(again)  # noqa: S311
        assert fold_threads(again) == threads
        assert sum(len(item.messages) + len(item.faults) for item in threads) == len(distinct)
        for thread in threads:
            assert {item.id for _, item in tree(thread)} == {item.id for item in thread.messages}
            next_step(thread, date(2022, 9, 20))


def _message(rng: random.Random) -> dict[str, Any]:
    kind = rng.choice(list(FOLLOWS))
    sender = rng.choice(_SIDES)
    fields: dict[str, Any] = {
        "kind": kind.__struct_config__.tag,
        "id": rng.choice(_IDS),
        "thread": rng.choice(_IDS[:3]),
        "sender": sender,
        "recipient": rng.choice(_SIDES),
        "time": _TIMES[0] if rng.random() < 0.9 else rng.choice(_TIMES),
        "person": "ana",
    }
    for name in kind.__struct_fields__:
        if name == "of":
            fields["of"] = rng.choice(_IDS)
        elif name in _WORDS:
            words = _WORDS[name]
            fields[name] = words[0] if rng.random() < 0.9 else rng.choice(words)
    if "objects" in fields and kind.__name__ != "PermissionRequest":
        fields["objects"] = [_OBJECT]
    return fields
