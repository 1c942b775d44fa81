"""Random graphs of marked objects, each with words of its own that stand nowhere else by chance (canaries).

A graph is written down first (`Thing`: who made it, who gave it, under which markings, what it says of which
other), then made into STIX objects: the oracle (`tests.leaks.oracle`) reads what was written down, never the objects.
"""

from __future__ import annotations

import base64
import json
import random
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from aleat.errors import Place
from aleat.knowledge import KnowledgeItem
from aleat.stix import StixObject, make_object
from aleat.stix.entries import ENTRY_SCHEMA, entries_digest
from aleat.stix.extensions import extend
from aleat.stix.objects import parse_object
from tests.leaks.ground import NOW, identity
from tests.leaks.marks import mark

__all__ = ["Graph", "Mention", "Thing", "make_graph", "spell"]

CREATED = NOW - timedelta(days=10)
NAMESPACE = uuid.UUID("00abedb4-aa42-466c-9c01-fed23315a9b7")  # STIX 2.1 §2.9
MAKERS = ("ours", "ours", "ours", "giver", "third", "north", "")
LABELS = ("", "tlp:clear", "tlp:green", "tlp:green", "tlp:amber", "tlp:amber+strict", "tlp:red", "tlp1:green")
RARE = (
    "tlp1:amber", "tlp1:red", "alias", "pap:red", "pap:amber", "statement", "classified", "acs", "unknown", "misp:own",
    "misp:north", "misp:north+bank", "iep:clear", "iep:amber", "iep:red", "iep:over", "iep:instruction", "iep:none",
)  # fmt: skip
TYPES = (
    "malware", "malware", "campaign", "report", "grouping", "note", "opinion", "relationship", "relationship",
    "indicator", "indicator", "sighting", "observed-data", "domain-name", "url", "file", "identity", "course-of-action",
)  # fmt: skip
OBSERVABLES = frozenset({"domain-name", "url", "file"})
_NAMES = {
    **dict.fromkeys(("malware", "identity", "grouping", "course-of-action"), "{}"),
    **dict.fromkeys(("indicator", "domain-name"), "{}.example"),
    "campaign": "The {} one",
    "url": "https://{}.example/a",
    "file": "{}.exe",
}
"""What an object is called, or its value, by its canary; other types have no name that tells of them."""
_RENAMED = ("malware", "identity", "campaign", "indicator", "course-of-action")
_LETTERS = "bcdfghjklmnprstvwx"


@dataclass(frozen=True)
class Mention:
    """One thing told of another: `id`, `word` or `guess` (an id that only its value makes), and in which place.

    Places: "list" (a list of references), "end" (a reference that must be there), "text" (free text), "fixed" (a
    property that nobody knows).
    """

    target: int
    what: str
    place: str


@dataclass
class Thing:
    """One object as it was thought up; names are those of teams and of markings."""

    number: int
    type: str
    id: str
    word: str
    inner: str
    maker: str
    givers: dict[str, tuple[str, ...]]
    """Who gave it, and which markings stood beside that copy."""
    marks: tuple[str, ...]
    part: str = ""
    personal: bool = False
    hold: str = ""
    permitted: dict[str, tuple[str, ...]] = field(default_factory=dict)
    mentions: list[Mention] = field(default_factory=list)
    entries: tuple[str, ...] = ()
    older: Thing | None = None
    object: StixObject | None = None
    table: pa.Table | None = None

    @property
    def stated(self) -> frozenset[str]:
        """The canaries by which it could be known again: its name or value, a list's entries."""
        return frozenset({self.word, *self.entries} if self.type in _NAMES else self.entries)

    @property
    def values(self) -> tuple[str, ...]:
        """Its names and values in full."""
        own = (_NAMES[self.type].format(self.word),) if self.type in _NAMES else ()
        return (*own, *(f"{word}.example" for word in self.entries))

    @property
    def counting(self) -> Thing:
        """The version that counts: the newer, but for one that others hand on beside the maker's own word."""
        by_hearsay = self.maker not in self.givers
        return self.older if self.older is not None and by_hearsay and self.maker in self.older.givers else self

    @property
    def former(self) -> Thing | None:
        """The version that counts no more, if there is one."""
        return self if self.counting is self.older else self.older

    def items(self) -> list[tuple[str, KnowledgeItem]]:
        """What is handed in, by giver, the older version first."""
        assert self.object is not None
        before = self.older.items() if self.older else []
        return before + [
            (
                giver,
                KnowledgeItem(
                    object=self.object, place=Place("g"), entries=self.table, markings=tuple(map(mark, beside))
                ),
            )
            for giver, beside in self.givers.items()
        ]


@dataclass(frozen=True)
class Graph:
    """One graph: its seed, and its things, made."""

    seed: int
    things: tuple[Thing, ...]

    def versions(self) -> list[Thing]:
        """Every thing, older versions too."""
        return [one for thing in self.things for one in (thing, thing.older) if one is not None]


def spell(generator: random.Random, word: str) -> str:
    """Write a word as people and tools do who didn't want it found, or didn't think of it."""
    return generator.choice(_SPELLINGS)(word)


_SPELLINGS: tuple[Callable[[str], str], ...] = (
    lambda word: word,
    lambda word: word.upper(),
    lambda word: word.replace(".", "[.]").replace("http", "hxxp"),
    lambda word: f"hxxps://x.{word}/x",
    lambda word: word[:4] + "\u200b" + word[4:],
    lambda word: word[:5] + "\u00ad" + word[5:],
    lambda word: "".join(chr(ord(letter) + 0xFEE0) if letter.isalpha() else letter for letter in word),
    lambda word: "".join(f"%{ord(letter):02x}" for letter in word),
    lambda word: base64.b64encode(f"see {word} there".encode()).decode(),
    lambda word: base64.b64encode(f"iex {word} -hidden".encode("utf-16-le")).decode(),
    lambda word: f"pre{word}post",
)


def make_graph(seed: int) -> Graph:
    """Return the graph of a seed: mostly small, seldom up to thirty objects."""
    generator = random.Random(seed)  # noqa: S311
    count = min(30, 2 + int(generator.expovariate(1 / 4)))
    things: list[Thing] = []
    for number in range(count):
        things.append(_think_up(generator, number, things))
    for thing in things:
        if thing.older is not None:
            thing.older.object = _make(generator, thing.older, things, CREATED - timedelta(days=5))
        _relate(generator, thing, things)
        thing.object = _make(generator, thing, things, CREATED)
    return Graph(seed, tuple(things))


def _word(generator: random.Random) -> str:
    return "zq" + "".join(generator.choice(_LETTERS) for _ in range(10))


def _think_up(generator: random.Random, number: int, before: Sequence[Thing]) -> Thing:
    type_ = generator.choice(TYPES)
    word = _word(generator)
    if before and generator.random() < 0.08 and (other := generator.choice(before)).type != type_:
        word = other.word  # two givers know one value
    maker = "" if type_ in OBSERVABLES else generator.choice(MAKERS)
    thing = Thing(number, type_, _new_id(generator, type_, word), word, _word(generator), maker, {}, ())
    _mark(generator, thing)
    chance = generator.random()
    if chance < 0.04:
        thing.hold = generator.choice(("legal-hold", "personal-data"))
    elif chance < 0.07:
        thing.personal = type_ not in OBSERVABLES
    elif chance < 0.14:
        whose = maker or next(iter(thing.givers))
        thing.permitted = {whose: tuple(generator.sample(("north", "bank", "sister", "giver"), 1))}
    if type_ == "indicator" and generator.random() < 0.12:
        thing.entries = tuple(_word(generator) for _ in range(generator.randint(1, 3)))
    if maker and type_ in _RENAMED and not thing.entries and generator.random() < 0.12:
        thing.older = Thing(number, type_, thing.id, _word(generator), _word(generator), maker, {}, ())
        _mark(generator, thing.older)
        thing.older.hold, thing.older.permitted = thing.hold, thing.permitted
    return thing


def _new_id(generator: random.Random, type_: str, word: str) -> str:
    if type_ in OBSERVABLES and generator.random() < 0.8:
        return guess(type_, word)
    return f"{type_}--{uuid.UUID(int=generator.getrandbits(128), version=4)}"


def value_of(type_: str, word: str) -> dict[str, str]:
    """What an observable says of a word."""
    return {"name" if type_ == "file" else "value": _NAMES[type_].format(word)}


def guess(type_: str, word: str) -> str:
    """The id that anybody can compute who guesses the value (STIX 2.1 §2.9)."""
    said = json.dumps(value_of(type_, word), separators=(",", ":"))
    return f"{type_}--{uuid.uuid5(NAMESPACE, said)}"


def _mark(generator: random.Random, thing: Thing) -> None:
    """Say who gave it, and how it, its copies and one of its parts are marked."""
    marks = {generator.choice(LABELS)} - {""}
    if generator.random() < 0.2:
        marks.add(generator.choice(RARE))
    thing.marks = tuple(sorted(marks))
    if thing.maker in {"ours", ""} and generator.random() < 0.75:
        givers = ["ours"]
    else:
        givers = generator.sample(("giver", "north", "third", "ours"), generator.choice((1, 1, 1, 2)))
    for giver in givers:
        label = generator.choice(LABELS) if generator.random() < 0.15 else ""
        thing.givers[giver] = (label,) if label else ()
    if generator.random() < 0.06:
        thing.part = generator.choice((*LABELS[1:], "classified", "unknown"))


def _relate(generator: random.Random, thing: Thing, things: Sequence[Thing]) -> None:
    """Say what it tells of which others."""
    others = [one for one in things if one is not thing] or [thing]

    def some(most: int) -> list[int]:
        return sorted({generator.choice(others).number for _ in range(generator.randint(1, most))})

    lists = {"report", "grouping", "note", "opinion", "observed-data"}
    if thing.type in lists:
        thing.mentions += [Mention(number, generator.choice(("guess", *["id"] * 8)), "list") for number in some(4)]
    if thing.type == "relationship":
        thing.mentions += [Mention(number, "id", "end") for number in (*some(1), *some(1))]
    if thing.type == "sighting":
        thing.mentions += [Mention(some(1)[0], "id", "end")]
    if thing.type not in OBSERVABLES and generator.random() < 0.45:
        what = generator.choice(("word", "word", "word", "id", "guess"))
        thing.mentions.append(Mention(some(1)[0], what, "text"))
    if generator.random() < 0.12:
        thing.mentions.append(Mention(some(1)[0], generator.choice(("word", "word", "id", "guess")), "fixed"))
    thing.mentions = [
        one
        if one.what != "guess" or things[one.target].type in {"indicator", *OBSERVABLES}
        else replace(one, what="id")
        for one in thing.mentions
    ]


def _make(generator: random.Random, thing: Thing, things: Sequence[Thing], created: datetime) -> StixObject:
    """Make the object: STIX of the thing's type, with its canaries, and what it tells of others."""
    refs = [_ref(mention, things) for mention in thing.mentions if mention.place in {"list", "end"}]
    texts = [_tell(generator, mention, things) for mention in thing.mentions if mention.place == "text"]
    fixed = [_tell(generator, mention, things) for mention in thing.mentions if mention.place == "fixed"]
    text = " ".join([f"About it: {thing.inner}.", *texts])
    properties = _PROPERTIES[thing.type](thing, refs, text)
    if fixed:
        properties["x_more"] = {"deep": fixed}
    if thing.entries:
        thing.table = _entries(thing.entries)
        properties["extensions"] = extend(
            "list", {"entries": len(thing.entries), "entries_sha256": entries_digest(thing.table)}
        )
    if thing.part and thing.type not in OBSERVABLES:
        selector = "content" if thing.type == "note" else "explanation" if thing.type == "opinion" else "description"
        if selector in properties:
            properties["granular_markings"] = [{"selectors": [selector], "marking_ref": mark(thing.part)}]
    if thing.part and "granular_markings" not in properties:
        thing.part = ""
    if thing.personal:
        properties["labels"] = ["personal-data"]
    if thing.type not in OBSERVABLES:
        properties |= {"created": created, "created_by_ref": identity(thing.maker) if thing.maker else None}
    made = make_object(thing.type, thing.id, markings=[mark(name) for name in thing.marks], **properties)
    if generator.random() < 0.1:  # JSON may write any letter as an escape
        made = parse_object(made.raw.replace(b"zq", b"\\u007aq"), Place("g"))
    return made


def _ref(mention: Mention, things: Sequence[Thing]) -> str:
    target = things[mention.target]
    if mention.what != "guess":
        return target.id
    return guess(target.type if target.type in OBSERVABLES else "domain-name", target.word)


def _tell(generator: random.Random, mention: Mention, things: Sequence[Thing]) -> str:
    target = things[mention.target]
    if mention.what == "word":
        told = target if target.older is None or generator.random() < 0.5 else target.older
        return spell(generator, generator.choice(told.values or ("nothing",)))
    text = _ref(mention, things)
    return generator.choice((text, text.upper(), base64.b64encode(f"id {text}".encode()).decode()))


def _entries(words: Sequence[str]) -> pa.Table:
    rows = [
        {"type": "domain-name", "value": f"{word}.example", "context": "", "line": number + 1, "count": 1}
        for number, word in enumerate(words)
    ]
    return pa.Table.from_pylist(rows, schema=ENTRY_SCHEMA)


def _playbook(thing: Thing, text: str) -> dict[str, Any]:
    content = json.dumps({"name": thing.word, "workflow": {"action--1": {"name": text}}}).encode()
    field_ = {"extension_type": "property-extension", "playbook_bin": base64.b64encode(content).decode()}
    return {"extension-definition--1e1c1bd7-c527-4215-8e18-e199e74da57c": field_}


_PROPERTIES: dict[str, Callable[[Thing, list[str], str], dict[str, Any]]] = {
    "malware": lambda one, _, text: {"name": one.word, "is_family": True, "description": text},
    "campaign": lambda one, _, text: {"name": f"The {one.word} one", "description": text},
    "identity": lambda one, _, text: {"name": one.word, "description": text},
    "report": lambda one, refs, text: {"name": "weekly", "description": text, "published": NOW, "object_refs": refs},
    "grouping": lambda one, refs, text: {"name": one.word, "description": text, "context": "x", "object_refs": refs},
    "note": lambda one, refs, text: {"content": text, "object_refs": refs},
    "opinion": lambda one, refs, text: {"opinion": "agree", "explanation": text, "object_refs": refs},
    "relationship": lambda one, refs, text: {
        "relationship_type": "uses",
        "source_ref": refs[0],
        "target_ref": refs[-1],
        "description": text,
    },
    "sighting": lambda one, refs, text: {"sighting_of_ref": refs[0], "count": 3, "description": text},
    "observed-data": lambda one, refs, text: {
        "first_observed": CREATED,
        "last_observed": CREATED,
        "number_observed": 2,
        "object_refs": refs,
        "x_text": text,
    },
    "indicator": lambda one, _, text: {
        "name": "something",
        "description": text,
        "pattern": f"[domain-name:value = '{one.word}.example']",
        "pattern_type": "stix",
        "valid_from": CREATED,
    },
    "course-of-action": lambda one, _, text: {"name": one.word, "extensions": _playbook(one, text)},
    "domain-name": lambda one, _, __: value_of(one.type, one.word),
    "url": lambda one, _, __: value_of(one.type, one.word),
    "file": lambda one, _, __: value_of(one.type, one.word),
}
