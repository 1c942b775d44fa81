"""Writing events to a MISP server with PyMISP: each once, brought up to date, and taken back where it must be.

MISP takes an event under our UUID once (a second ``add`` is a 404 with words), drops what it doesn't like of it without
a word (attributes whose value doesn't fit their type, tags where our role may not tag), and takes an ``edit`` only of
what is newer than what it has. So a push looks what is there, sends what differs, with times that are newer, and looks
again: what the server holds then counts, not what it answered. What was written before and may not leave any more is
deleted there, without saying again what it was.

What somebody else changed at the server stays as it is: parts that they deleted or added, tags that they put on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from aleat.errors import Issue, Place, RemoteError
from aleat.exchange.misp_fit import digest_of, head_of, parts_of, times_of
from aleat.exchange.misp_labels import narrow
from aleat.exchange.misp_patterns import inner_uuid
from aleat.exchange.misp_session import MispAccount, MispSession, said
from aleat.knowledge.misp.fields import flag, identifier, objects_in, text
from aleat.knowledge.misp.labels import distribution_level, is_label, tag_names
from aleat.text import clip, visible

__all__ = ["EventPlan", "EventPushed", "PartRefused", "plan_event", "push_event"]

_STAGE = "push"
_ABSENT = frozenset({404})
_COMPARED = ("type", "category", "value", "to_ids", "comment", "distribution", "name", "content", "deleted")
_WITHDRAWN = "Withdrawn"
_BATCH = 2_000
"""Parts in one request: PHP takes an event whole, and has a minute and a few hundred megabytes for it."""


class PartRefused(msgspec.Struct, frozen=True):
    """A part of an event that the server didn't keep: its UUID, what it is, why (the server's words, if it said)."""

    event: str
    part: str
    kind: str
    reason: str


class EventPushed(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one event: how many of its parts the server took, had already, were taken back, or refused.

    `parts` are the digests of what is there now (None: not there any more), to be kept.
    """

    uuid: str
    taken: int = 0
    known: int = 0
    withdrawn: int = 0
    published: bool = False
    refused: tuple[PartRefused, ...] = ()
    issues: tuple[Issue, ...] = ()
    parts: dict[str, str | None] = {}


@dataclass(frozen=True, slots=True)
class EventPlan:
    """What is to be done about one event: `body` is what is sent (None: nothing), `new` whether it isn't there yet."""

    uuid: str
    body: dict[str, Any] | None = None
    new: bool = False
    digests: Mapping[str, str] | None = None
    """Of all that is to be there, by part; "" is the event itself."""
    known: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    published: bool = False
    issues: tuple[Issue, ...] = ()


def plan_event(
    session: MispSession, account: MispAccount, uuid: str, event: Mapping[str, Any] | None, kept: Mapping[str, str]
) -> EventPlan:
    """Return what is to be done so that the server holds `event` (None: nothing of it any more).

    `kept` are the digests of what was written of it before. Raises `RemoteError` where the server can't be asked.
    """
    place = Place(f"{session.url}events/view/{uuid}")
    digests = _digests(event) if event is not None else {}
    there = _fetch(session, uuid)
    if isinstance(there, Issue):
        return EventPlan(uuid, issues=(there,))
    if there is None:
        if event is None:
            return EventPlan(uuid, digests={}, gone=tuple(kept))  # it isn't there at all
        return EventPlan(uuid, dict(event), True, digests)
    published = flag(there.get("published"))
    if not _is_ours(there, account):
        reason = "An event of this UUID is there, and another organisation's; it is left alone."
        issue = Issue(_STAGE, "misp-foreign", place, reason, "Its organisation can change it.", records=1)
        return EventPlan(uuid, published=published, issues=(issue,) if event is not None else ())
    return _plan_edit(uuid, event, there, kept, digests, published)


def push_event(session: MispSession, plan: EventPlan, *, publish: bool) -> EventPushed:
    """Carry a plan out, and return what the server holds afterwards; `publish` tells it to others there too."""
    uuid = plan.uuid
    issues = list(plan.issues)
    done = EventPushed(uuid=uuid, issues=tuple(issues))
    if plan.digests is None:
        return done
    if plan.body is not None:
        done = _send(session, plan)
    else:
        parts: dict[str, str | None] = dict.fromkeys(plan.gone)
        parts |= {part: plan.digests[part] for part in plan.known if part in plan.digests}
        done = EventPushed(uuid=uuid, known=len([part for part in plan.known if part]), parts=parts)
    changed = plan.body is not None
    if publish and plan.digests and (changed or not plan.published) and "" in done.parts:
        done = _publish(session, done)
    return msgspec.structs.replace(done, issues=(*issues, *done.issues))


def _plan_edit(
    uuid: str,
    event: Mapping[str, Any] | None,
    there: Mapping[str, Any],
    kept: Mapping[str, str],
    digests: Mapping[str, str],
    published: bool,
) -> EventPlan:
    """Return the plan for an event that is there, and ours."""
    held, times = parts_of(there), times_of(there)
    wanted = parts_of(event) if event is not None else {}
    known, changed = [], []
    for part, (name, member) in wanted.items():
        theirs = held.get(part)
        same = kept.get(part) == digests[part]
        deleted = theirs is not None and flag(theirs[1].get("deleted")) and not flag(member.get("deleted"))
        if theirs is not None and (part in kept if deleted else same or _equal(theirs[1], member)):
            known.append(part)  # as it is, or as somebody else wants it: deleted
        else:
            changed.append((part, name, member))
    alive = [part for part, (_, member) in held.items() if not flag(member.get("deleted"))]
    gone = [part for part in kept if part and part not in wanted and part in alive]
    lost = [part for part in kept if part and part not in wanted and part not in alive]
    head = head_of(event) if event is not None else {"uuid": uuid, "info": _WITHDRAWN}
    same_head = kept.get("") == digests.get("") or (event is not None and _equal_head(there, head))
    if event is None:
        same_head = text(there.get("info")) == _WITHDRAWN
    known += [""] if same_head else []
    if same_head and not changed and not gone:
        return EventPlan(uuid, None, False, digests, tuple(known), tuple(lost), published)
    body = dict(head)
    body["timestamp"] = str(max(_number(head.get("timestamp")), _number(there.get("timestamp")) + 1))
    for part, name, member in changed:
        again: dict[str, Any] = {"deleted": False} if part in held and flag(held[part][1].get("deleted")) else {}
        again |= _newer(member, times)
        if name == "Object" and part in held:
            again["Attribute"] = [*again.get("Attribute", ()), *_stale(held[part][1], again)]
        body.setdefault(name, []).append(again)
    for part in gone:
        name, member = held[part]
        end = {"uuid": part, "deleted": True, "timestamp": str(_number(member.get("timestamp")) + 1)}
        body.setdefault(name, []).append(end)
    return EventPlan(uuid, body, False, digests, tuple(known), (*gone, *lost), published)


def _send(session: MispSession, plan: EventPlan) -> EventPushed:
    """Send a plan's event, look what the server made of it, and return that."""
    body = plan.body or {}
    before = times_of(body)
    failed = ""
    reasons: dict[str, str] = {}
    for number, batch in enumerate(_batches(body)):
        answer = _write(session, plan.uuid, batch, new=plan.new and not number)
        reasons |= _reasons(answer, batch)
        if isinstance(answer, Mapping) and "errors" in answer and "Event" not in answer:
            failed = failed or said(answer) or "no, and not why"
    place = Place(f"{session.url}events/view/{plan.uuid}")
    there = _fetch(session, plan.uuid)
    if there is None or isinstance(there, Issue):
        reason = f"The server didn't take the event{f': {failed}' if failed else ''}."
        return EventPushed(
            uuid=plan.uuid, issues=(Issue(_STAGE, "misp-event", place, reason, "Ask its keeper.", records=1),)
        )
    held, times = parts_of(there), times_of(there)
    sent = {part: row for part, row in parts_of(body).items() if part not in plan.gone}
    parts: dict[str, str | None] = {part: (plan.digests or {})[part] for part in plan.known if plan.digests}
    refused: list[PartRefused] = []
    for part, (name, _) in sent.items():
        if part in held and times.get(part, 0) >= before.get(part, 0):
            parts[part] = (plan.digests or {}).get(part, "")
        else:
            words = reasons.get(part) or failed or "The server didn't keep it, and doesn't say why."
            refused.append(PartRefused(plan.uuid, part, name, words))
    stood = _number(there.get("timestamp")) >= _number(body.get("timestamp"))
    failed = "" if stood else failed or "It didn't take the event's change, and doesn't say why."
    left = [part for part in plan.gone if part in held and not flag(held[part][1].get("deleted"))]
    parts |= {part: None for part in plan.gone if part not in left}
    issues = list(_faults(place, body, there, failed, len(left)))
    if stood:
        parts[""] = (plan.digests or {}).get("")
    taken = len(sent) - len(refused)
    known = len([part for part in plan.known if part])
    return EventPushed(
        uuid=plan.uuid,
        taken=taken,
        known=known,
        withdrawn=len([part for part in plan.gone if part]) - len(left),
        refused=tuple(refused),
        issues=tuple(issues),
        parts=parts,
    )


def _batches(body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield an event in requests of no more parts than a server bears; only the first has what it says itself."""
    parts = list(parts_of(body).values())
    head = head_of(body)
    for start in range(0, max(len(parts), 1), _BATCH):
        batch: dict[str, Any] = dict(head) if not start else {"uuid": body.get("uuid")}
        for name, member in parts[start : start + _BATCH]:
            batch.setdefault(name, []).append(member)
        yield batch


def _write(session: MispSession, uuid: str, batch: Mapping[str, Any], *, new: bool) -> Any:
    if new:
        return session.ask(lambda speaker: speaker.add_event({"Event": batch}))
    return session.ask(lambda speaker: speaker.update_event({"Event": batch}, event_id=uuid))


def _faults(place: Place, body: Mapping[str, Any], there: Mapping[str, Any], failed: str, left: int) -> Iterator[Issue]:
    """Yield what the server did otherwise than it was told, and that somebody should look at."""
    if failed:
        yield Issue(_STAGE, "misp-event", place, f"The server says: {failed}", "Ask its keeper.", records=1)
    missing = [
        name for name in tag_names(body.get("Tag")) if is_label(name) and name not in tag_names(there.get("Tag"))
    ]
    if missing and not failed:
        reason = f"The server didn't keep the event's tags {', '.join(missing)[:200]}: its readers don't see them."
        yield Issue(_STAGE, "misp-tag", place, reason, "Ask its keeper for the right to tag.", records=len(missing))
    level, held = distribution_level(body.get("distribution")), distribution_level(there.get("distribution"))
    if level is not None and held is not None and 5 not in {level, held} and narrow(held, [level]) != held:
        reason = f"The server distributes the event wider (level {held}) than it was told (level {level})."
        yield Issue(_STAGE, "misp-wider", place, reason, "Have it narrowed there.", records=1)
    if left:
        reason = f"{left} parts that may not be there any more are still there."
        yield Issue(_STAGE, "misp-withdrawn", place, reason, "Have them deleted there.", records=left)


def _publish(session: MispSession, done: EventPushed) -> EventPushed:
    answer = session.ask(lambda speaker: speaker.publish(done.uuid))
    if isinstance(answer, Mapping) and "errors" not in answer:
        return msgspec.structs.replace(done, published=True)
    place = Place(f"{session.url}events/view/{done.uuid}")
    issue = Issue(_STAGE, "misp-publish", place, f"The server didn't publish it: {said(answer)}", records=1)
    return msgspec.structs.replace(done, issues=(*done.issues, issue))


def _fetch(session: MispSession, uuid: str) -> Mapping[str, Any] | Issue | None:
    """Return the server's event, deleted parts too, or None where it shows us none."""
    value = session.ask(lambda speaker: speaker.get_event(uuid, deleted=True))
    place = Place(f"{session.url}events/view/{uuid}")
    if isinstance(value, Mapping) and "errors" in value:
        if session.answer.status in _ABSENT:
            return None
        words = f"The server doesn't show this event (status {session.answer.status}): {said(value)}"
        return Issue(_STAGE, "refused", place, words, "Ask its keeper.", records=1)
    event = value.get("Event") if isinstance(value, Mapping) else None
    if not isinstance(event, Mapping) or identifier(event.get("uuid")) != uuid:
        raise RemoteError("The server gave something else than the event asked for.", code="broken")
    return event


def _is_ours(there: Mapping[str, Any], account: MispAccount) -> bool:
    """Tell whether the server lets us change its event: we made it, or we synchronise and it is locked."""
    maker = there.get("Orgc")
    maker = identifier(maker.get("uuid")) if isinstance(maker, Mapping) else ""
    ours = text(there.get("orgc_id")).strip() == account.organisation or (bool(maker) and maker == account.uuid)
    return ours or (account.may_synchronise and flag(there.get("locked")))


def _digests(event: Mapping[str, Any]) -> dict[str, str]:
    found = {part: digest_of(member) for part, (_, member) in parts_of(event).items()}
    return {"": digest_of(head_of(event)), **found}


def _equal(theirs: Mapping[str, Any], member: Mapping[str, Any]) -> bool:
    """Tell whether a server's part says what ours does: what a push that was cut off left there."""
    if "Attribute" in member or member.get("Sighting") or member.get("Galaxy"):
        return False
    ours = set(tag_names(member.get("Tag")))
    return ours <= set(tag_names(theirs.get("Tag"))) and all(
        _plain(theirs.get(name)) == _plain(member[name]) for name in _COMPARED if name in member
    )


def _equal_head(there: Mapping[str, Any], head: Mapping[str, Any]) -> bool:
    names = ("info", "date", "distribution", "analysis", "threat_level_id")
    same = all(_plain(there.get(name)) == _plain(head[name]) for name in names if name in head)
    return same and set(tag_names(head.get("Tag"))) <= set(tag_names(there.get("Tag"))) and "Galaxy" not in head


def _plain(value: Any) -> str:
    """Return a value in one of MISP's spellings: true, "1" and 1 are the same."""
    if isinstance(value, bool) or value is None:
        return str(int(bool(value)))
    return text(value).replace("\r\n", "\n").strip()


def _newer(member: Mapping[str, Any], times: Mapping[str, int]) -> dict[str, Any]:
    """Return a part with a time that is newer than the server's: MISP passes over what isn't."""
    again = dict(member)
    last = times.get(identifier(member.get("uuid")), 0)
    again["timestamp"] = str(max(_number(member.get("timestamp")), last + 1 if last else 0))
    if "Attribute" in again:
        again["Attribute"] = [_newer(one, times) for one in objects_in(member.get("Attribute"))[0]]
    return again


def _stale(theirs: Mapping[str, Any], member: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the ends of attributes that an object of ours had, and has no more; what others put into it stays."""
    uuid = identifier(member.get("uuid"))
    ours = {identifier(one.get("uuid")) for one in objects_in(member.get("Attribute"))[0]}
    for one in objects_in(theirs.get("Attribute"))[0]:
        part = identifier(one.get("uuid"))
        was = part == inner_uuid(uuid, text(one.get("object_relation")))
        if was and part not in ours and not flag(one.get("deleted")):
            yield {"uuid": part, "deleted": True, "timestamp": str(_number(one.get("timestamp")) + 1)}


def _reasons(answer: Any, body: Mapping[str, Any]) -> dict[str, str]:
    """Return what the server said about single parts: ``{"errors": {"Attribute": {"0": {"value": […]}}}}``, by UUID."""
    errors = answer.get("errors") if isinstance(answer, Mapping) else None
    if isinstance(errors, tuple | list) and len(errors) == 2 and isinstance(errors[1], Mapping):
        errors = errors[1].get("errors")
    found: dict[str, str] = {}
    for name in ("Attribute", "Object", "EventReport"):
        rows = errors.get(name) if isinstance(errors, Mapping) else None
        listed = objects_in(body.get(name))[0]
        for number, words in rows.items() if isinstance(rows, Mapping) else ():
            digits = str(number)
            if digits.isascii() and digits.isdigit() and len(digits) < 9 and int(digits) < len(listed):
                found[identifier(listed[int(digits)].get("uuid"))] = clip(visible(said({"errors": words})), 300)
    return found


def _number(value: Any) -> int:
    digits = text(value).strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 12 else 0
