"""What must not leave, worked out naively from what was written down of a graph: nothing of the gate is called here.

Written from the rules as people state them (docs/concepts/release.md, TLP 2.0), for the four allies of
`tests.leaks.ground`. It says what surely stays, not what surely leaves: where it is unsure, it says nothing.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from dataclasses import dataclass
from urllib.parse import unquote

from tests.leaks.graphs import OBSERVABLES, Graph, Thing, guess
from tests.leaks.marks import MEMBERS

__all__ = ["Secrets", "canaries_in", "secrets_of", "uuids_in"]

LEVELS = ("clear", "green", "amber", "amber+strict", "red")
_LEVEL_OF = {"alias": "amber+strict", "iep:clear": "clear", "iep:amber": "amber", "iep:red": "red"}
_LEVEL_OF |= {"iep:over": "clear", "iep:instruction": "clear", "iep:none": "clear"}
# What the agreement with each lets leave of ours, and the label of what has none.
_OURS: dict[str, tuple[frozenset[str], str]] = {
    "north": (frozenset({"clear", "green", "amber"}), "amber"),
    "bank": (frozenset({"clear", "green"}), ""),
    "sister": (frozenset({"clear", "green", "amber", "amber+strict"}), "amber"),
    "giver": (frozenset({"clear", "green"}), "green"),
}
_OPEN, _CHANGED, _GONE = 0, 1, 2
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_CANARY = re.compile("zq[b-y]{10}")
_UNSEEN = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")


@dataclass(frozen=True)
class Secrets:
    """What of a graph must not be in anything that one ally gets: UUIDs, and canaries."""

    uuids: frozenset[str]
    canaries: frozenset[str]


def secrets_of(graph: Graph, to: str) -> Secrets:
    """Return what of a graph surely stays from an ally."""
    state = {thing.number: _OPEN if _may(thing.counting, to) else _GONE for thing in graph.things}
    while True:
        secret = _secret_words(graph, state, to)
        before = dict(state)
        for thing in graph.things:
            state[thing.number] = max(state[thing.number], _by_mentions(thing, graph, state, secret))
        if state == before:
            break
    uuids = {thing.id[-36:] for thing in graph.things if state[thing.number] != _OPEN}
    inner = {thing.counting.inner for thing in graph.things if state[thing.number] == _GONE}
    inner |= {former.inner for former in _former(graph) if not _may(former, to)}
    guesses = {guess(type_, word)[-36:] for word in secret for type_ in OBSERVABLES}
    free = {thing.id[-36:] for thing in graph.things if state[thing.number] == _OPEN}
    return Secrets(frozenset((uuids | guesses) - free), frozenset(secret | inner))


def _secret_words(graph: Graph, state: dict[int, int], to: str) -> frozenset[str]:
    """Names and values that nothing which may leave states."""
    told = [one.counting for one in graph.things if state[one.number] != _GONE]
    told += [former for former in _former(graph) if _may(former, to)]
    every = {word for one in graph.versions() for word in one.stated}
    return frozenset(every - {word for one in told for word in one.stated})


def _former(graph: Graph) -> list[Thing]:
    return [former for thing in graph.things if (former := thing.former) is not None]


def _by_mentions(thing: Thing, graph: Graph, state: dict[int, int], secret: frozenset[str]) -> int:
    """Return what becomes of a thing by what it tells of others: what others made is never changed."""
    worst = _OPEN
    for mention in thing.counting.mentions:
        target = graph.things[mention.target]
        if mention.what == "id":
            telling = state[target.number] != _OPEN
            gone = state[target.number] == _GONE
        elif mention.what == "guess":
            telling = gone = target.word in secret
        else:  # an older version's name may be the one that was told: only what is sure counts
            words = target.stated | (target.older.stated if target.older is not None else frozenset())
            telling = gone = bool(target.values) and words <= secret
        if telling:
            keeps = gone and mention.place in {"end", "fixed"}
            worst = max(worst, _GONE if keeps or not _own(thing.counting) else _CHANGED)
    return worst


def _own(thing: Thing) -> bool:
    """Whether it can be one of ours that is told again: given by us, and made by nobody else."""
    return "ours" in thing.givers and thing.maker in {"ours", ""}


def _may(thing: Thing, to: str) -> bool:
    """Whether an ally may have a thing, by its markings and givers alone."""
    if thing.hold or thing.personal or to not in _OURS:
        return False
    return any(_may_copy(thing, giver, beside, to) for giver, beside in thing.givers.items())


def _may_copy(thing: Thing, giver: str, beside: tuple[str, ...], to: str) -> bool:
    marks = [*thing.marks, *beside, *([thing.part] if thing.part else [])]
    if {"classified", "acs", "unknown"} & set(marks):
        return False
    label = _strictest(marks)
    if label == "red" or _weakened(thing, giver, label):
        return False
    third = thing.maker if thing.maker not in {"", "ours", giver} else ""
    own, back = giver == "ours" and not third, giver == to and not third
    released = back or to in thing.permitted.get(third or giver, ())
    if not released and _conditions_forbid(marks, own, to):
        return False
    if own:
        labels, default = _OURS[to]
        return (label or default) in labels
    return released or _may_onward(label, giver, third, to)


def _conditions_forbid(marks: list[str], own: bool, to: str) -> bool:
    """MISP's distribution names somebody else; a policy is over, or wants to be asked."""
    named_others = any(to not in MEMBERS[name] for name in marks if name in MEMBERS)
    return named_others or "iep:over" in marks or (not own and bool({"iep:instruction", "iep:none"} & set(marks)))


def _may_onward(label: str, giver: str, third: str, to: str) -> bool:
    """What another gave, by its label and its agreement with us."""
    if label in {"", "clear"}:
        return label == "clear"
    if giver not in {"giver", "north"} or (third and label != "green"):
        return False  # no agreement lets us pass it on; a third's is the third's to decide
    if label == "green":
        return to in {"north", "giver"}
    return giver == "giver" and (to == "sister" or (label == "amber" and to == "bank"))


def _weakened(thing: Thing, giver: str, label: str) -> bool:
    if thing.older is None or thing.maker in {"", giver}:
        return False
    rank = LEVELS.index(label) if label else -1
    for older_beside in thing.older.givers.values():
        found = _strictest([*thing.older.marks, *older_beside, *([thing.older.part] if thing.older.part else [])])
        if found and LEVELS.index(found) > rank:
            return True
    return False


def _strictest(marks: list[str]) -> str:
    """The strictest label of TLP, of a policy's too; "" where there is none."""
    levels = [_LEVEL_OF.get(name) or name.partition(":")[2] for name in marks if not name.startswith(("pap", "misp"))]
    return max((level for level in levels if level in LEVELS), key=LEVELS.index, default="")


# ------------------------------------------------------------------------------------------ reading bytes


def plain(data: bytes) -> str:
    """Return what some bytes say, however it is spelled: escapes, base64 and percent signs undone, all folded."""
    text = data.decode("utf-8", "replace")
    text = re.sub(r"\\+u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), text)
    more = [unquote(text)] if "%" in text else []
    for run in re.findall(r"[A-Za-z0-9+/]{15,}={0,2}", text):
        try:
            raw = base64.b64decode(run + "=" * (-len(run) % 4))
        except (binascii.Error, ValueError):
            continue
        more += [raw.decode("utf-8", "ignore"), raw.decode("utf-16-le", "ignore")]
    return _UNSEEN.sub("", unicodedata.normalize("NFKC", "\n".join([text, *more]))).casefold()


def canaries_in(text: str) -> set[str]:
    """Return the canaries in a folded text."""
    return set(_CANARY.findall(text))


def uuids_in(text: str) -> set[str]:
    """Return the UUIDs in a folded text."""
    return set(_UUID.findall(text))
