"""An originator's permission: asked for by message, answered by message, recorded where the gate looks for it.

What of an originator stays away from an ally, though the originator's word would let it go (`freeable`), is asked for
in one message. It names objects that came from that originator and nothing else: not what others gave, not whom the
originator's objects came through, not what the ally asked for. The originator is told for whom it decides.

The answer is kept on both sides with the signed header of the file that it came in. Permissions are *folded* from the
thread, like its state: what the originator grants beyond what was asked counts for nothing, what it takes back
ends, and a file that comes late, or twice, changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import date
from typing import Any, Final

import msgspec

from aleat.errors import NotPermittedError, TrustError
from aleat.exchange.collect import Knowledge, collect_knowledge
from aleat.exchange.desk import Desk, terms_for
from aleat.exchange.messages import AskedObject, Grant, PermissionRequest, read_message
from aleat.exchange.plain_words import check_words
from aleat.exchange.sending import Sent, answered, known_ally, message_head, new_id, recipient_of, say
from aleat.exchange.threads import Thread, fold_thread
from aleat.release import RULES, Decision, Subject, Terms, agreement_with, prepare
from aleat.store.database import Connection
from aleat.store.decisions import end_permission, keep_permission, read_permissions, require
from aleat.store.exchanges import read_files, read_messages
from aleat.store.ledger import append_entry
from aleat.store.objects import get_object
from aleat.store.shelves import find_on_shelf
from aleat.trust.agreements import AllyCard, Permission
from aleat.trust.people import require_two_people

__all__ = ["OPENED_BY_PERMISSION", "ask_permission", "freeable", "given_ids", "permit", "settle_permissions"]


OPENED_BY_PERMISSION: Final = frozenset(
    {
        "agreement-forbids",
        "amber-not-a-client",
        "distribution",
        "green-outside-community",
        "iep-attribution",
        "iep-dates",
        "iep-instruction",
        "iep-notification",
        "third-party",
        "unmarked",
    }
)
"""The gate's refusals that an originator's permission can open; the others stand whatever anybody permits."""


class _Listed(msgspec.Struct):
    id: str


class _Manifest(msgspec.Struct):
    objects: tuple[_Listed, ...]


def freeable(desk: Desk, originator: str, to: str) -> tuple[Decision, ...]:
    """Return the decisions on objects that stay away from the ally `to`, and that `originator`'s leave would let go.

    Where others have a say too, it is assumed that they agree. Needs an agreement in force with `to`.
    """
    card, ally = known_ally(desk, originator), known_ally(desk, to)
    return _freeable(desk, card, terms_for(desk, ally), _knowledge(desk, terms_for(desk, ally)))


def ask_permission(
    desk: Desk, originator: str, *, to: str, until: date, purpose: str, objects: Collection[str] = ()
) -> Sent:
    """Ask an originator for leave to pass `objects` (default: all `freeable` ones) on to the ally `to`.

    The purpose passes the gate for the originator: it may name nothing that stays away from it.
    """
    card, ally = recipient_of(desk, originator), known_ally(desk, to)
    if card.identity == ally.identity:
        raise TrustError(f"{card.name} gets back what it gave without being asked.")
    if until < desk.time.date():
        raise TrustError(f"The permission would have ended on {until}. Name a later --until.")
    terms = terms_for(desk, ally)
    knowledge = _knowledge(desk, terms)
    asked = {item.object: item for item in _freeable(desk, card, terms, knowledge)}
    chosen = sorted(asked) if not objects else sorted(set(objects))
    if not chosen:
        raise TrustError(f"Nothing stays away from {ally.name} that {card.name} could free. See: aleat preview.")
    if wrong := [id_ for id_ in chosen if id_ not in asked]:
        raise TrustError(_why_not(desk, wrong, card, terms, knowledge))
    check_words(desk, card, purpose, knowledge)
    thread = new_id()
    request = PermissionRequest(
        **message_head(desk, card.identity, thread, thread),
        objects=tuple(AskedObject(id_, asked[id_].version) for id_ in chosen),
        onward_to=ally.identity,
        onward_name=ally.organisation,
        onward_country=ally.country,
        purpose=purpose,
        until=until,
    )
    return say(desk, card, (request,))


def permit(
    desk: Desk,
    request: str,
    *,
    until: date | None = None,
    objects: Collection[str] = (),
    conditions: str = "",
    approver: str | None = None,
) -> Sent:
    """Permit what an ally's permission request asks for: all of it that is ours, or only `objects`, at most so long.

    What others made is not ours to permit: named, it is an error; else it is left out, and `Sent.left_out` has it.
    Where the agreement with the ally wants two people, `approver` is the second releaser.
    """
    thread, to = answered(desk, request)
    _require_two(desk, to, approver)
    asked = next(item for item in thread.messages if item.id == request)
    if not isinstance(asked, PermissionRequest):
        raise TrustError("That message asks for no permission. See: aleat asks.")
    if thread.state in {"refused", "taken-back", "closed"}:
        raise TrustError(f"That request is {thread.state}: a permission would count for nothing.")
    end = until or asked.until
    if not desk.time.date() <= end <= asked.until:
        raise TrustError(f"Permission was asked until {asked.until}: name a day up to then, from today on.")
    listed = [item.id for item in asked.objects]
    if unasked := sorted({*objects} - {*listed}):
        raise TrustError(f"Nobody asked for {unasked[0]}. A permission covers what was asked for.")
    chosen = sorted({*objects} or {*listed})
    ours = _ours(desk, chosen, to.identity)
    if not ours or (objects and len(ours) < len(chosen)):
        named = next(id_ for id_ in chosen if id_ not in ours)
        raise NotPermittedError(f"{named} is not ours to permit: somebody else made it, or we never gave it.")
    grant = Grant(
        **message_head(desk, to.identity, thread.id),
        of=request,
        objects=tuple(ours),
        onward_to=asked.onward_to,
        valid_from=desk.time.date(),
        valid_until=end,
        conditions=conditions,
    )
    facts: dict[str, Any] = {"permission": grant.permission, "to": to.identity, "onward_to": grant.onward_to}
    facts |= {
        "approver": approver,
        "objects": ours,
        "valid_from": grant.valid_from.isoformat(),
        "valid_until": end.isoformat(),
    }
    append_entry(desk.connection, "decisions", "permission-given", facts, **_signing(desk))
    sent = say(desk, to, (grant,))
    return msgspec.structs.replace(sent, left_out=tuple(id_ for id_ in chosen if id_ not in ours))


def _require_two(desk: Desk, to: AllyCard, approver: str | None) -> None:
    agreements = agreement_with(to.identity, terms_for(desk, to))
    if agreements and agreements[0].two_people:
        require_two_people(desk.actor, approver, agreements[0].name)
    if approver is not None:
        require(desk.connection, approver, "releaser")


def settle_permissions(desk: Desk, threads: Iterable[str]) -> None:
    """Make the table of permissions say what these threads say: add what is granted, end what no longer is."""
    held = {item.id: item for item in read_permissions(desk.connection)}
    for id_ in sorted({*threads}):
        thread = fold_thread(id_, [read_message(row) for row in read_messages(desk.connection, id_)])
        root = thread.root
        if not isinstance(root, PermissionRequest) or root.sender != desk.own:
            continue
        wanted = _granted(thread, root)
        for grant in (item for item in thread.messages if isinstance(item, Grant)):
            name = grant.permission
            if name in wanted and name not in held:
                keep_permission(desk.connection, wanted[name], grant.id, **_signing(desk))
            elif name in held and name not in wanted:
                end_permission(desk.connection, name, thread.id, **_signing(desk))


def given_ids(connection: Connection, ally: str, ids: Collection[str]) -> frozenset[str]:
    """Return which of these ids an ally has from us: in a sealed file, or on its shelf at our server."""
    files = (item for item in read_files(connection, ally) if item.direction == "out" and item.manifest)
    sealed = {one.id for item in files for one in msgspec.json.decode(item.manifest, type=_Manifest).objects}
    return frozenset(ids) & (sealed | find_on_shelf(connection, ally, ids).keys())


def _knowledge(desk: Desk, terms: Terms) -> Knowledge:
    return collect_knowledge(desk.connection, desk.root, desk.policy, {**terms.ally_names})


def _judge(desk: Desk, knowledge: Knowledge, terms: Terms) -> dict[str, Decision]:
    decisions = prepare(knowledge.subjects, terms, secret=desk.secret, lists=knowledge.lists).decisions
    return {item.object: item for item in decisions}


def _freeable(desk: Desk, originator: AllyCard, terms: Terms, knowledge: Knowledge) -> tuple[Decision, ...]:
    now = _judge(desk, knowledge, terms)
    theirs = {item.object.id for item in knowledge.subjects if _is_from(item, originator.identity, terms)}
    candidates = [
        item
        for item in now.values()
        if not item.allow and item.object in theirs and originator.identity in _parties(item, terms)
    ]
    whom = sorted({party for item in candidates for party in _parties(item, terms)})
    today, ids = desk.time.date(), frozenset(item.object for item in candidates)
    imagined = tuple(
        Permission(
            id=f"permission--{party}",
            originator=party,
            recipient=terms.recipient.identity,
            objects=ids,
            valid_from=today,
            valid_until=today,
        )
        for party in whom
    )
    freed = _judge(desk, knowledge, msgspec.structs.replace(terms, permissions=(*terms.permissions, *imagined)))
    return tuple(item for item in candidates if freed[item.object].allow)


def _parties(decision: Decision, terms: Terms) -> set[str]:
    """Return whom the gate would ask, by identity."""
    return {terms.ally_names.get(name, name) for name in decision.ask}


def _is_from(subject: Subject, originator: str, terms: Terms) -> bool:
    """Say whether this originator gave a copy of the object, or is said to have made it."""
    givers = {terms.ally_names.get(copy.giver, copy.giver) for copy in subject.copies}
    return originator in givers | {name for copy in subject.copies for name in copy.originators}


def _why_not(desk: Desk, wrong: Sequence[str], originator: AllyCard, terms: Terms, knowledge: Knowledge) -> str:
    """Return why the first of these objects can't be asked for."""
    id_ = wrong[0]
    subject = next((item for item in knowledge.subjects if item.object.id == id_), None)
    if subject is None:
        return f"{id_} is not here."
    if not _is_from(subject, originator.identity, terms):
        return f"{id_} is not from {originator.name}: it is not told of."
    decision = _judge(desk, knowledge, terms)[id_]
    if decision.allow:
        return f"{id_} may go to {terms.recipient.name} already: {RULES[decision.rule]}."
    return f"{originator.name}'s permission would not free {id_}: {RULES[decision.rule]}."


def _ours(desk: Desk, ids: Sequence[str], peer: str) -> list[str]:
    """Return which of these objects are ours to permit: we made them, or told them again to this ally."""
    given = given_ids(desk.connection, peer, ids)
    names = desk.own_names | {desk.own, desk.card.name}
    ours: list[str] = []
    for id_ in ids:
        stored = get_object(desk.connection, id_)
        if stored is None:
            made = id_ in given
        else:
            by = stored.object.created_by_ref
            made = by == desk.own or (by is None and any(copy.giver in names for copy in stored.copies))
        if made:
            ours.append(id_)
    return ours


def _granted(thread: Thread, request: PermissionRequest) -> dict[str, Permission]:
    """Return the permissions that the thread gives, cut to what was asked for."""
    asked = frozenset(item.id for item in request.objects)
    return {
        grant.permission: Permission(
            id=grant.permission,
            originator=request.recipient,
            recipient=request.onward_to,
            objects=asked & {*grant.objects},
            valid_from=grant.valid_from,
            valid_until=min(grant.valid_until, request.until),
        )
        for grant in thread.grants
        if grant.onward_to == request.onward_to and asked & {*grant.objects}
    }


def _signing(desk: Desk) -> dict[str, Any]:
    return {"actor": desk.actor, "time": desk.time, "key": desk.key}
