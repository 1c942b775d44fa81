"""Taking back what was given: a whole release from its recipient, or objects from everybody who got them.

What we made ourselves is revoked (STIX 2.1 §3.6): here, in a sealed file for each ally who got it, under the id by
which that ally knows it, and on that ally's shelf. What others made can't be revoked by us: its recipients are asked
to use our copy no more, and it is passed on no more (a hold of the kind "withdrawn", which a named person may lift).

The other side: what a giver took back counts as withdrawn from then on (`aleat.store.withdrawn`), also where the file
that brought it comes only afterwards. What the giver gives again counts again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

import msgspec
import orjson

from aleat.errors import AleatError, ObjectError, Place, TrustError
from aleat.exchange.desk import Desk, terms_for
from aleat.exchange.giving import record_decisions
from aleat.exchange.messages import Withdrawal, read_message
from aleat.exchange.sending import Sent, known_ally, message_head, new_id, recipient_of, send
from aleat.release import Revoked, agreement_with, prepare_revocation
from aleat.stix import StixObject, canonical_json, parse_object
from aleat.stix.times import format_timestamp, parse_timestamp
from aleat.store.decisions import place_hold, read_releases, record_withdrawal, require
from aleat.store.exchanges import read_files, read_messages
from aleat.store.given import GivenObject, add_revocations, find_given, read_bundle
from aleat.store.ledger import append_entry
from aleat.store.objects import Provenance, StoredObject, get_variants, iterate_objects, put_objects
from aleat.store.shelves import find_on_shelf
from aleat.store.withdrawn import TAKEN_BACK, taken_back

__all__ = ["Withdrawn", "note_withdrawal", "passed_on", "settle_withdrawn", "withdraw", "withdraw_objects"]

_MOST = 10_000  # in one message


class _Listed(msgspec.Struct):
    id: str


class _Manifest(msgspec.Struct):
    """What is needed of a release's manifest; it was checked when it was received."""

    objects: tuple[_Listed, ...]


class Withdrawn(msgspec.Struct, frozen=True, kw_only=True):
    """What a withdrawal of objects did: the files to send, whom nothing can be sent to and why, what was revoked here,
    and what is passed on no more."""

    sent: tuple[Sent, ...]
    untold: dict[str, str] = {}
    revoked: tuple[str, ...] = ()
    held: tuple[str, ...] = ()


def withdraw(desk: Desk, release: str, *, reason: str) -> Sent:
    """Withdraw a release of ours, and tell its recipient."""
    row = next((item for item in read_releases(desk.connection) if item.id == release), None)
    if row is None:
        raise TrustError(f"There is no release {release}. See: aleat preview.")
    thread = next(
        (
            item.thread
            for item in map(read_message, read_messages(desk.connection))
            if getattr(item, "release", "") == release and item.sender == desk.own and not isinstance(item, Withdrawal)
        ),
        None,
    )
    if thread is None:
        raise TrustError(f"The release {release} was never sent.")
    to = recipient_of(desk, row.recipient)
    record_withdrawal(desk.connection, release, reason, actor=desk.actor, time=desk.time, key=desk.key)
    return send(desk, to, (Withdrawal(**message_head(desk, to.identity, thread), release=release, reason=reason),))


def withdraw_objects(desk: Desk, objects: Collection[str], *, reason: str) -> Withdrawn:
    """Withdraw objects (STIX ids) from everybody who got them, by a release or from our server; one file for each.

    Raises `TrustError` where one of them isn't here.
    """
    require(desk.connection, desk.actor, "releaser")
    wanted = sorted(set(objects))
    if not reason.strip():
        raise TrustError("Something is withdrawn for a reason: say which.")
    if len(wanted) > _MOST:
        raise TrustError(f"Withdraw at most {_MOST:,} objects at once.")
    stored = {one.object.id: one for one in iterate_objects(desk.connection, ids=wanted)}
    if missing := [id_ for id_ in wanted if id_ not in stored]:
        raise TrustError(f"There is no object {missing[0]} here.")
    given = find_given(desk.connection, wanted)
    ours = {id_ for id_, one in stored.items() if _is_ours(desk, one)}
    revoked = _revoke_here(desk, [stored[id_] for id_ in sorted(ours)])
    held = [id_ for id_ in wanted if id_ not in revoked]
    if held:
        place_hold(
            desk.connection, held, "withdrawn", reason, actor=desk.actor, time=desk.time, key=desk.key, role="releaser"
        )
    sent: list[Sent] = []
    untold: dict[str, str] = {}
    for ally in sorted({one.ally for one in given}):
        theirs = [one for one in given if one.ally == ally]
        try:
            sent.append(_tell(desk, ally, theirs, ours, reason))
        except AleatError as error:
            untold[ally] = str(error)
    return Withdrawn(sent=tuple(sent), untold=untold, revoked=tuple(sorted(revoked)), held=tuple(held))


def revoke(item: StixObject, time: datetime) -> StixObject | None:
    """Return the version of an object that revokes it, or None where it has no versions (a cyber observable).

    It says nothing that the object didn't say; `modified` is `time`, or just after the object's own.
    """
    properties: dict[str, Any] = orjson.loads(item.content)
    if "modified" not in properties or item.type in {"marking-definition", "extension-definition"}:
        return None
    after = parse_timestamp(properties["modified"]) + timedelta(milliseconds=1)
    properties |= {"revoked": True, "modified": format_timestamp(max(time, after))}
    return parse_object(canonical_json(properties), Place(item.id))


def _is_ours(desk: Desk, stored: StoredObject) -> bool:
    names = {None, desk.own, desk.card.name, *desk.own_names}
    makers = {stored.object.created_by_ref, *(copy.originator for copy in stored.copies)}
    return makers <= names and any(copy.giver in names for copy in stored.copies)


def _revoke_here(desk: Desk, ours: Iterable[StoredObject]) -> set[str]:
    """Keep the versions that revoke these objects of ours, under the markings that they had; return their ids."""
    revoked: list[tuple[StixObject, Provenance]] = []
    there: set[str] = set()
    for one in ours:
        again = None if one.object.revoked else revoke(one.object, desk.time)
        if one.object.revoked or again is not None:
            there.add(one.object.id)
        if again is not None:
            markings = sorted({mark for copy in one.copies for mark in copy.markings})
            provenance = Provenance(giver=desk.own, received=desk.time, markings=tuple(markings))
            revoked.append((again, provenance))
    bound = put_objects(desk.connection, revoked).bound if revoked else None
    if bound is not None:
        facts = {"giver": desk.own, "revoked": sorted(item.id for item, _ in revoked), "knowledge_rows": bound}
        signing: dict[str, Any] = {"actor": desk.actor, "time": desk.time, "key": desk.key}
        append_entry(desk.connection, "custody", "withdrawn", facts, **signing)
    return there


def _tell(desk: Desk, ally: str, given: list[GivenObject], ours: Collection[str], reason: str) -> Sent:
    """Tell one ally what of that it got no longer holds, under the ids by which it knows it."""
    to = recipient_of(desk, ally)
    again = [(one, item) for one in given if one.object in ours and (item := _revoked(desk, one)) is not None]
    revoked = [item for _, item in again]
    told = {one.told: one for one in given}
    for shelf in sorted({one.shelf for one in given} - {""}):  # what came in a sealed file alone is on no feed
        there = [item.object for one, item in again if one.shelf == shelf]
        add_revocations(desk.connection, shelf, there, time=desk.time)
    own_id = new_id()
    head = message_head(desk, to.identity, own_id, own_id)
    facts = {"objects": sorted(told), "to": ally, "reason": reason, "message": own_id}
    signing: dict[str, Any] = {"actor": desk.actor, "time": desk.time, "key": desk.key}
    append_entry(desk.connection, "release", "withdrawal", facts, **signing)
    ids = tuple(sorted(told))[:_MOST]
    if not revoked:
        return send(desk, to, (Withdrawal(**head, objects=ids, reason=reason),))
    terms = terms_for(desk, known_ally(desk, ally))
    agreement = next(iter(agreement_with(ally, terms)), None)
    last = next((row for row in reversed(list(read_releases(desk.connection, ally)))), None)
    name, version = (agreement.name, agreement.version) if agreement else ("none", 1)
    if agreement is None and last is not None:
        name, version = last.agreement, last.agreement_version
    release = prepare_revocation(
        list({item.object.id: item for item in revoked}.values()),
        own=desk.own,
        recipient=ally,
        agreement=name,
        agreement_version=version,
        secret=desk.secret,
    )
    id_ = record_decisions(desk, release, agreement, None)
    message = Withdrawal(**head, objects=ids, reason=reason, carries=id_, sha256=release.sha256)
    return send(desk, to, (message,), release, id_)


def _revoked(desk: Desk, one: GivenObject) -> Revoked | None:
    """Return what revokes an object of ours for an ally, as the ally was given it."""
    item = _as_given(desk, one)
    again = revoke(item, desk.time) if item is not None else None
    return Revoked(again, one.object) if again is not None else None


def _as_given(desk: Desk, one: GivenObject) -> StixObject | None:
    """Return an object as an ally got it, or None where that isn't known any more."""
    if one.release and (kept := read_bundle(desk.connection, one.release)) is not None:
        for member in orjson.loads(kept[0]).get("objects", ()):
            if member["id"] == one.told:
                return parse_object(orjson.dumps(member), Place(one.told))
    shelf = one.shelf or None
    if (row := find_on_shelf(desk.connection, one.ally, [one.told], shelf=shelf).get(one.told)) is not None:
        return parse_object(row.raw, Place(one.told))
    if one.told == one.object:
        contents = [item.object for item in get_variants(desk.connection, one.object) if not item.object.revoked]
        return contents[0] if len(contents) == 1 else None  # of several, it may never have had the newest
    return None


# --------------------------------------------------------------------------------------- the other side


def note_withdrawal(desk: Desk, giver: str, names: Collection[str], message: Withdrawal) -> None:
    """Let our copies of the objects that `giver` withdrew count as taken back; `names` are its names as a giver."""
    ended = taken_back(desk.connection)
    gone = {
        (copy.giver, copy.agreement, stored.object.digest)
        for id_ in message.objects
        for stored in get_variants(desk.connection, id_)
        for copy in stored.copies
        if copy.giver in {giver, *names}
    }
    _note(desk, gone - ended.keys(), "gone", message.id)


def passed_on(desk: Desk, giver: str, message: Withdrawal) -> dict[str, tuple[str, ...]]:
    """Return what of that which `giver` withdrew we gave to others: the objects' ids here, by ally (identity)."""
    objects = set(message.objects)
    if message.release:
        for row in read_files(desk.connection, giver):
            if row.direction == "in" and row.release == message.release and row.manifest:
                objects |= {item.id for item in msgspec.json.decode(row.manifest, type=_Manifest).objects}
    given = [one for one in find_given(desk.connection, objects) if one.ally not in {giver, desk.own}]
    allies = sorted({one.ally for one in given})
    return {ally: tuple(sorted({one.object for one in given if one.ally == ally})) for ally in allies}


def settle_withdrawn(desk: Desk, giver: str, sealed: str, items: Iterable[tuple[StixObject, str | None]]) -> None:
    """Say of objects that came in a file sealed at `sealed` whether they stand: with the agreement each came under.

    One that its giver withdrew later doesn't, however late the file came; one that it withdrew before is given again.
    """
    times: dict[str, datetime] = {}
    for message in map(read_message, read_messages(desk.connection)):
        if isinstance(message, Withdrawal) and message.sender == giver and message.objects:
            time = _time(message.time, desk.time)
            times.update((id_, max(time, times.get(id_, time))) for id_ in message.objects)
    if not times:
        return
    came = _time(sealed, desk.time)
    ended = taken_back(desk.connection, giver)
    gone, back = set(), set()
    for item, agreement in items:
        key = (giver, agreement, item.digest)
        if item.id not in times or times[item.id] == came:
            continue
        if times[item.id] > came and key not in ended:
            gone.add(key)
        elif times[item.id] < came and key in ended:
            back.add(key)
    _note(desk, gone, "gone", "")
    _note(desk, back, "back", "")


def _note(desk: Desk, keys: Collection[tuple[str, str | None, str]], how: str, message: str) -> None:
    signing: dict[str, Any] = {"actor": desk.actor, "time": desk.time, "key": desk.key}
    for giver in sorted({key[0] for key in keys}):
        listed = sorted([agreement or "", digest] for by, agreement, digest in keys if by == giver)
        data: dict[str, Any] = {"giver": giver, how: listed, "message": message}
        append_entry(desk.connection, "decisions", TAKEN_BACK, data, **signing)


def _time(text: str, otherwise: datetime) -> datetime:
    try:
        return parse_timestamp(text)
    except ObjectError:
        return otherwise
