"""One push of an ally's: each object is checked alone, what may come in is kept with that ally as its giver.

Refused is what can't be read, what another than the pusher made (unless it is the very object that the pusher had from
us, or its account may relay), a change of what it had from us and didn't make, and a weaker marking of that. What else
is here, and who else is our ally, doesn't count, so that a refusal tells nothing. What is relayed takes nobody's place:
of several contents of one object its maker's own word counts first (`aleat.store.objects_counting`).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from aleat.errors import AleatError, InputError, ObjectError, Place
from aleat.exchange.taxii_messages import Status, StatusDetail, encode_resource, parse_envelope
from aleat.knowledge import KnowledgeItem
from aleat.release import Terms
from aleat.release.facts import strictest_label
from aleat.stix.objects import StixObject, parse_object
from aleat.stix.times import parse_timestamp
from aleat.store.database import Connection
from aleat.store.ledger import append_entry
from aleat.store.shelves import ShelfRow, find_on_shelf, put_status
from aleat.text import clip, visible
from aleat.trust.markings import effective_markings
from aleat.workspace.accounts import Account
from aleat.workspace.core import Session
from aleat.workspace.taken_back import give_again

__all__ = ["MAX_OBJECTS", "status_body", "take_push"]

MAX_OBJECTS = 10_000
"""In one envelope."""

_ORDER = (None, "clear", "green", "amber", "amber+strict", "red")


class _Head(msgspec.Struct):
    id: str = ""
    modified: str = ""
    created: str = ""


class _RefusedError(Exception):
    """Why one object of a push is refused; the text is the pusher's to read."""


def take_push(
    session: Session, connection: Connection, account: Account, body: bytes, *, agreement: str, terms: Terms
) -> Status:
    """Keep what may come in of an envelope, in the caller's transaction, with its status and entries of the ledgers.

    `agreement` is the one it comes under. Raises `InputError` (code "wrong-json" or "limit") where the envelope
    itself can't be used; nothing is changed then.
    """
    members = _members(body)
    failures: list[StatusDetail] = []
    parsed: list[StixObject] = []
    for number, raw in enumerate(members):
        try:
            parsed.append(parse_object(bytes(raw), Place(f"taxii:{account.name}", number + 1)))
        except ObjectError as error:
            failures.append(_unreadable(bytes(raw), f"{error.reason} {error.advice}".strip()))
    had = find_on_shelf(connection, account.ally, [item.id for item in parsed])
    seen: dict[tuple[str, str], str] = {}
    good: list[StixObject] = []
    for item in parsed:
        try:
            _check(item, had.get(item.id), account, terms.own)
            if seen.setdefault((item.id, item.version), item.digest) != item.digest:
                raise _RefusedError("It stands twice in this envelope, with different content.")
        except _RefusedError as refusal:
            failures.append(StatusDetail(item.id, item.version, str(refusal)))
        else:
            good.append(item)
    return _keep(session, connection, account, agreement, good, failures, len(body))


def _members(body: bytes) -> list[msgspec.Raw]:
    try:
        envelope = parse_envelope(body)
        members = msgspec.json.decode(envelope.objects or b"[]", type=list[msgspec.Raw])
    except (AleatError, msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        said = str(error) if isinstance(error, AleatError) else "Its objects can't be read."
        raise InputError(f"That is no TAXII envelope. {clip(visible(said), 200)}") from None
    if not members:
        raise InputError("The envelope holds no objects.")
    if len(members) > MAX_OBJECTS:
        raise InputError(f"The envelope holds more than {MAX_OBJECTS:,} objects.", advice="Send fewer at once.")
    return members


def _check(item: StixObject, had: ShelfRow | None, account: Account, own: str) -> None:
    """Raise `_RefusedError` where an object may not come in; `had` is what the pusher may fetch of its id."""
    theirs = None if had is None else parse_object(had.raw, Place(item.id))
    if theirs is not None and theirs.digest == item.digest:
        return
    if item.type == "bundle":
        raise _RefusedError("A bundle is no object: send the objects in it.")
    if item.created_by_ref not in {None, account.ally} and not account.relay:
        raise _RefusedError("Somebody else made it, and this account may push what its own team made.")
    if own in {item.created_by_ref, item.id}:
        raise _RefusedError("It says that we made it; what we made comes from us.")
    if theirs is None:
        return
    made_by = theirs.created_by_ref or (theirs.id if theirs.type == "identity" else None)
    if _moment(theirs.version) == _moment(item.version):
        raise _RefusedError("Another content with the same id and version is here.")
    if made_by is not None and made_by != account.ally:
        raise _RefusedError("Only who made an object may change it (STIX 2.1 §3.6): make one of your own.")
    if made_by is None and _rank(item) < _rank(theirs):
        raise _RefusedError("Its marking is weaker than the one it was given to you under.")


def _moment(version: str) -> object:
    return parse_timestamp(version) if version else ""


def _rank(item: StixObject) -> int:
    return _ORDER.index(strictest_label(effective_markings(item, lambda _: None)))


def _keep(
    session: Session,
    connection: Connection,
    account: Account,
    agreement: str,
    good: Iterable[StixObject],
    failures: list[StatusDetail],
    size: int,
) -> Status:
    now = session.now()
    id_ = str(uuid.uuid4())
    source = Place(f"taxii:{account.name}")
    items = [KnowledgeItem(object=item, place=source) for item in good]
    facts = {"server": "taxii", "account": account.name, "push": id_}
    if items:
        from aleat.workspace.knowledge import keep  # noqa: PLC0415  (what reads knowledge)

        keep(session, connection, items, giver=account.ally, agreement=agreement, facts=facts)
        give_again(session, connection, account.ally, agreement, [item.object for item in items])
    successes = tuple(StatusDetail(item.object.id, item.object.version) for item in items)
    status = Status(
        id=id_,
        status="complete",
        total_count=len(items) + len(failures),
        success_count=len(items),
        failure_count=len(failures),
        pending_count=0,
        successes=successes,
        failures=tuple(failures),
    )
    put_status(connection, id_, account.ally, status_body(status, now), time=now)
    data = {
        **facts,
        "ally": account.ally,
        "objects": len(items),
        "refused": len(failures),
        "bytes": size,
        "reasons": sorted({failure.message for failure in failures})[:20],
    }
    append_entry(connection, "exchange", "taken", data, actor=session.actor, time=now, key=session.key)
    return status


def status_body(status: Status, received: datetime) -> bytes:
    """Return the status resource with its time (§4.3.1); what has no version of its own gets that time as one.

    A version is required of each object, and a timestamp of TAXII has six digits behind the second (§2).
    """
    time = received.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    content = msgspec.json.decode(encode_resource(status))
    content["request_timestamp"] = time
    for name in ("successes", "failures"):
        for detail in content.get(name, ()):
            detail["version"] = detail["version"] or time
            if not detail["message"]:
                del detail["message"]
    return msgspec.json.encode(content)


def _unreadable(raw: bytes, reason: str) -> StatusDetail:
    """Name an object that can't be read as well as it can be: by the id that it claims."""
    try:
        head = msgspec.json.decode(raw, type=_Head)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        head = _Head()
    version = head.modified or head.created
    return StatusDetail(clip(visible(head.id), 200) or "unknown", clip(visible(version), 40), clip(reason, 300))
