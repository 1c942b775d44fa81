"""The target "misp": events with everything in them, odd values in every place, damaged; into STIX and back.

Held against it: what is read is STIX, the same each time, and is refused by name otherwise; every object bears its
event's markings; what is written again and read again is the same objects.
"""

from __future__ import annotations

import copy
import json
import random
from typing import Any

from aleat.errors import InputError, Issue
from aleat.exchange.misp import write_events
from aleat.knowledge import KnowledgeItem, Limits
from aleat.knowledge.misp.mapping import attribute_types
from aleat.knowledge.readers import misp
from tests.fuzz.mutation import ODD, mutate_bytes, mutate_text
from tests.knowledge.misp_world import document, event

__all__ = ["MispTarget"]

_TOKENS = (
    '"Attribute":',
    '"Tag":[{"name":"tlp:red"}]',
    '"to_ids":',
    "null,",
    "[[",
    "{}",
    '"uuid":"x",',
    '"distribution":"4"',
)
_VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 2**63, 1e308, "", "0", "1", [], {}, [{}], [[]], {"0": {}}, "tlp:red", [{"name": "PAP:RED"}],
    "192.0.2.1", "192.0.2.1|443", "a|b|c", "0a" * 16, "0a" * 32, "a'b\\c", "\x00", "C:\\x\\y.exe", "99999999999999",
)  # fmt: skip
_TAGS = ("tlp:white", "TLP:AMBER+STRICT", "tlp:ex:chr", "PAP:WHITE", "osint:x", 'nato:classification="NC"', "")

_NOT_WRITTEN = frozenset({"misp", "object"})
"""Where a list held what is none, that is named, and not written again."""


class MispTarget:
    """See the module."""

    name = "misp"
    limit = 3.0

    def make(self, rng: random.Random) -> bytes:
        """Return an event with some odd values; a third of them damaged as text."""
        body = copy.deepcopy(event())
        for _ in range(rng.randrange(6)):
            _change(body, rng)
        if rng.random() < 0.3:
            body["Tag"] = [{"name": rng.choice(_TAGS)} for _ in range(3)]
        text = json.dumps(rng.choice(({"Event": body}, {"response": [{"Event": body}, body]}, body)))
        if rng.random() < 0.35:
            text = mutate_text(text, rng, _TOKENS)
        data = text.encode("utf-8", "replace")
        return mutate_bytes(data, rng) if rng.random() < 0.1 else data

    def check(self, data: bytes) -> None:
        """Read, again, write, and read what was written."""
        first = _read(data)
        assert _read(data) == first, "the same event is other objects"
        items = [item for item in first if isinstance(item, KnowledgeItem)]
        given = [item.object for item in items]
        for item in items:
            marked = set(item.object.object_marking_refs)
            assert marked <= set(item.markings) or item.object.type not in {"indicator", "report"}, "a marking is lost"
        whole = not any(isinstance(item, Issue) and item.code in _NOT_WRITTEN for item in first)
        whole = whole and len({item.digest for item in given}) == len({item.id for item in given})
        written = write_events(given)
        if whole and len(written.events) == 1:
            again = {item.object.digest for item in _read(written.to_json()) if isinstance(item, KnowledgeItem)}
            assert {item.digest for item in given} == again, "what was written is something else"


def _read(data: bytes) -> list[KnowledgeItem | Issue]:
    try:
        return list(misp.read(document(data), Limits()))
    except InputError:
        return []


def _change(body: dict[str, Any], rng: random.Random) -> None:
    """Put an odd value somewhere into the event."""
    place: Any = body
    for _ in range(rng.randrange(5)):
        inner = [
            one
            for one in (place.values() if isinstance(place, dict) else place)
            if isinstance(one, dict | list) and one
        ]
        if not inner:
            break
        place = rng.choice(inner)
    if isinstance(place, dict):
        key = rng.choice([*place, "type", "Tag", "uuid", "to_ids"])
        place[key] = copy.deepcopy(rng.choice((*_VALUES, *ODD, *attribute_types())))
    elif rng.random() < 0.5:
        place.append(copy.deepcopy(rng.choice(_VALUES)))
    else:
        place.insert(0, copy.deepcopy(rng.choice(place)))
