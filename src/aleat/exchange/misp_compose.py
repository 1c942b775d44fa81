"""A release as the MISP events that go to an ally's server: what the gate lets leave, as far as a server may hold it.

A server is read by many. So what is RED or AMBER+STRICT (people that are named, one organisation) never goes there,
whatever an agreement lets leave in a sealed file; and the distribution of all else is no wider than its label: see
`aleat.exchange.misp_labels.Reach`. What the ally gave us doesn't go back to it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from aleat.errors import Issue, Place
from aleat.exchange.misp import write_events
from aleat.exchange.misp_fit import PARTS, fit_event, parts_of
from aleat.exchange.misp_labels import Reach
from aleat.knowledge.misp.fields import identifier
from aleat.release import Decision, ListRow, Release
from aleat.release.retell import keyed_uuid
from aleat.stix.ids import content_id
from aleat.stix.objects import StixObject
from aleat.trust.markings import marking_id, read_marking

__all__ = ["Composed", "compose", "settle"]

_NEVER = frozenset({"red", "amber+strict"})
_STAGE = "push"


@dataclass(frozen=True, slots=True)
class Composed:
    """Events that fit a server (each the value of ``Event``), which of the store's objects they tell, and what not.

    `returned` counts objects that the ally gave us itself.
    """

    events: tuple[dict[str, Any], ...]
    objects: frozenset[str] = frozenset()
    returned: int = 0
    issues: tuple[Issue, ...] = ()


def compose(
    release: Release,
    *,
    place: str,
    reach: Reach,
    distribution: int,
    info: str,
    own: str,
    secret: bytes,
    restore: Callable[[Mapping[str, Any]], bool],
) -> Composed:
    """Return what of `release` goes to the MISP server (or file) called `place`.

    `distribution` is the widest level for anything, `info` begins the titles of events that no report stands for,
    `own` is our identity, `secret` keys their UUIDs. `restore` says of MISP's JSON of an event whether the server would
    keep whose it is: what it wouldn't is told anew, with its author's name in its comments.
    """
    by_id = {str(item.parameters.get("as", item.object)): item for item in release.decisions if item.allow}
    theirs = {id_ for id_, decision in by_id.items() if decision.rule == "back-to-giver"}
    beside = {id_: _beside(decision) for id_, decision in by_id.items()}
    definitions = {item.id: item for item in release.objects if item.type == "marking-definition"}
    narrow = {item.id for item in release.objects if _levels(item, beside.get(item.id, ()), definitions) & _NEVER}
    going = [item for item in release.objects if item.id not in narrow and not _is_theirs(item, theirs)]
    written = write_events(
        sorted(going, key=lambda item: (item.type, item.id)),
        distribution=distribution,
        markings=beside,
        info=info,
        reach=reach,
        restore=restore,
        lists={id_: [_row(line) for line in lines.splitlines()] for id_, lines in release.lists.items()},
        teller=own,
        make_id=lambda name: f"report--{keyed_uuid(secret, f'misp|{release.recipient}|{name}')}",
    )
    issues = list(written.issues)
    if narrow:
        reason = (
            f"{len(narrow)} objects are RED or AMBER+STRICT: for named people, or one organisation. They don't go "
            "to a server that others read too."
        )
        issues.append(Issue(_STAGE, "misp-label", Place(place), reason, "Send a sealed file.", records=len(narrow)))
    back = sum(_is_theirs(item, theirs) for item in release.objects if item.id not in narrow)
    told = {by_id[id_].object for id_ in written.told if id_ in by_id and id_ not in theirs}
    events = []
    for event in written.events:
        fitted = _fitted(event["Event"])
        if fitted is None:
            reason = "An event is nested too deep for a server; it doesn't go there."
            issues.append(Issue(_STAGE, "misp-depth", Place(place), reason, "Send a sealed file.", records=1))
        else:
            events.append(fitted)
    return Composed(
        tuple(event for event in events if identifier(event.get("uuid"))),
        frozenset(told),
        back,
        tuple(issues),
    )


def _fitted(event: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what of an event goes to a server, or None where that can't be written as JSON there."""
    try:
        fitted = fit_event(event)
        orjson.dumps({"response": [{"Event": fitted}]})
    except (TypeError, RecursionError):
        return None
    return fitted


def _row(line: bytes) -> ListRow:
    type_, value, context = orjson.loads(line)
    return str(type_), str(value), str(context)


def settle(events: Iterable[dict[str, Any]], kept: Mapping[str, Collection[str]]) -> list[dict[str, Any]]:
    """Return events whose parts have UUIDs that no other event there has: MISP keeps one in one event, for ever.

    `kept` are the parts that were written before, by event. A part that goes to another event than before gets a UUID
    over both.
    """
    homes = {part: event for event, parts in kept.items() for part in parts if part}
    settled = []
    for event in events:
        moved = {part for part in parts_of(event) if homes.get(part, event["uuid"]) != event["uuid"]}
        lists = {
            name: [_moved(member, event["uuid"]) if member.get("uuid") in moved else member for member in event[name]]
            for name in PARTS
            if moved and name in event
        }
        settled.append({**event, **lists})
    return settled


def _moved(member: Mapping[str, Any], event: str) -> dict[str, Any]:
    """Return a part under a UUID of its own in `event`."""
    again = {**member, "uuid": content_id("note", ["misp", event, member["uuid"]]).rpartition("--")[2]}
    again.pop("ObjectReference", None)
    inner = again.get("Attribute")
    return {**again, "Attribute": [_moved(one, event) for one in inner if "uuid" in one]} if inner else again


def _is_theirs(item: StixObject, theirs: set[str]) -> bool:
    """Tell whether the ally gave an object; who somebody is, and what a marking means, goes with what uses it."""
    return item.id in theirs and item.type not in {"identity", "marking-definition", "extension-definition"}


def _beside(decision: Decision) -> tuple[str, ...]:
    """Return the markings that go with an object: those that stood beside it, and the label that it leaves under."""
    label = (marking_id(f"tlp:{decision.label}"),) if decision.label else ()
    return tuple(dict.fromkeys((*label, *decision.markings)))


def _levels(item: StixObject, beside: tuple[str, ...], definitions: Mapping[str, StixObject]) -> set[str]:
    """Return the TLP levels of an object, of its parts, and of what stands beside it, policies' (IEP) too."""
    parts = [part.marking_ref for part in item.granular_markings if part.marking_ref]
    ids = (*item.object_marking_refs, *parts, *beside)
    found = [read_marking(id_, definitions.get(id_)) for id_ in ids]
    return {marking.level for marking in found if marking.kind in {"tlp", "iep"}}
