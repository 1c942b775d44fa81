"""What we send: requests, offers, acceptances, deliveries, findings, closings, withdrawals; each a sealed file.

Every function takes a `Desk`, needs the role of a releaser, and returns a `Sent` whose bytes are to be written
under its (random) name *before* the transaction ends: a number in the ledger without its file looks to the
ally like one that was lost. What a person writes into a message is that person's to answer for; objects
pass the gate.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from aleat.errors import NotPermittedError, TrustError
from aleat.exchange.collect import collect_knowledge
from aleat.exchange.desk import Desk, agreed, terms_for, trusted_ally
from aleat.exchange.findings import Finding, NotLookedAt, finding_objects, read_findings
from aleat.exchange.messages import (
    Acceptance,
    Affected,
    Closing,
    Delivery,
    Findings,
    Message,
    Offer,
    Refusal,
    Request,
    Withdrawal,
    encode_messages,
    message_row,
    read_message,
)
from aleat.exchange.threads import Thread, fold_thread
from aleat.release import Release, Terms, Victim, describe_derived, prepare
from aleat.stix import StixObject, canonical_json, format_timestamp
from aleat.store.decisions import DecisionRow, ReleaseRow, read_releases, record_release, record_withdrawal, require
from aleat.store.exchanges import FileRow, next_serial, read_messages, record_file
from aleat.trust.agreements import Agreement, AllyCard
from aleat.trust.markings import marking_id
from aleat.trust.people import require_two_people
from aleat.trust.seal import seal, sealed_name

if TYPE_CHECKING:  # for annotations only
    from aleat.case.records import CoverageRow

__all__ = [
    "Sent",
    "accept",
    "answer",
    "ask",
    "close_thread",
    "deliver",
    "offer",
    "prepare_release",
    "refuse",
    "withdraw",
]


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A sealed file that is ready to go: its name and bytes, the messages in it, the release that goes with it."""

    name: str
    data: bytes
    messages: tuple[Message, ...]
    thread: str
    release: Release | None = None
    release_id: str = ""
    kept: tuple[Finding, ...] = ()
    """Findings that stay: too few events for the agreement's threshold, or withheld by the gate."""


def ask(
    desk: Desk,
    ally: str,
    *,
    title: str,
    affected: Affected,
    impact: str,
    needs: Sequence[str],
    planned_use: str = "",
    measures_taken: str = "",
    other_support: str = "",
) -> Sent:
    """Ask an ally for support in incident response."""
    to = _recipient(desk, ally)
    id_ = _new_id()
    request = Request(
        **_head(desk, to.identity, id_, id_),
        title=title,
        affected=affected,
        impact=impact,
        needs=tuple(needs),
        planned_use=planned_use,
        measures_taken=measures_taken,
        other_support=other_support,
    )
    return _send(desk, to, (request,))


def offer(desk: Desk, ally: str, *, what: str, of: str | None = None, **fields: Any) -> Sent:
    """Offer something to an ally, unasked or in answer to its request `of`; `fields` are further ones of `Offer`."""
    to = _recipient(desk, ally)
    id_ = _new_id()
    thread = _thread_of(desk, of).id if of is not None else id_
    return _send(desk, to, (Offer(**_head(desk, to.identity, thread, id_), what=what, of=of, **fields),))


def accept(desk: Desk, of: str, *, remarks: str = "") -> Sent:
    """Accept an ally's offer, or take on its request."""
    thread, to = _answered(desk, of)
    return _send(desk, to, (Acceptance(**_head(desk, to.identity, thread.id), of=of, remarks=remarks),))


def refuse(desk: Desk, of: str, *, reason: str) -> Sent:
    """Refuse an ally's offer or request."""
    thread, to = _answered(desk, of)
    return _send(desk, to, (Refusal(**_head(desk, to.identity, thread.id), of=of, reason=reason),))


def close_thread(desk: Desk, thread: str, *, outcome: str, lessons: str = "") -> Sent:
    """End a thread."""
    found = _thread_of(desk, thread)
    to = _other_side(desk, found)
    closing = Closing(**_head(desk, to.identity, found.id), outcome=outcome, lessons=lessons)
    return _send(desk, to, (closing,))


def prepare_release(
    desk: Desk,
    ally: str,
    *,
    derived: Sequence[StixObject] = (),
    rests_on: dict[str, Collection[str]] | None = None,
    selection: Collection[str] | None = None,
) -> Release:
    """Return what would leave for `ally` now, with the decision on every object; nothing is recorded.

    `derived` are a case's objects, `rests_on` says from which objects each was derived without referring to
    them. With `selection` (ids) only that leaves, if it may.
    """
    terms = terms_for(desk, _known(desk, ally))
    return _prepare(desk, terms, derived, rests_on or {}, selection)


def deliver(
    desk: Desk,
    ally: str,
    release: Release,
    *,
    of: str | None = None,
    remarks: str = "",
    approver: str | None = None,
) -> Sent:
    """Send a prepared release, in answer to the offer or request `of`; without one it is an offer itself.

    Records the release with every decision. Raises `NotPermittedError` where the agreement wants two people and
    `approver` is not a second releaser.
    """
    to = _recipient(desk, ally)
    if release.recipient != to.identity:
        raise TrustError("That release was prepared for another ally. Prepare it again.")
    agreement = agreed(terms_for(desk, to))
    if (agreement.name, agreement.version) != (release.agreement, release.agreement_version):
        raise TrustError("The agreement has changed since the release was prepared. Prepare it again.")
    id_ = _record(desk, release, agreement, approver)
    messages: list[Message] = []
    if of is None:
        of = _new_id()
        messages.append(Offer(**_head(desk, to.identity, of, of), what=remarks or "What we may give you now."))
        thread = of
    else:
        thread = _thread_of(desk, of).id
    head = _head(desk, to.identity, thread)
    messages.append(Delivery(**head, of=of, release=id_, sha256=release.sha256, remarks=remarks))
    return _send(desk, to, tuple(messages), release, id_)


def answer(
    desk: Desk,
    delivery: str,
    findings: Iterable[Finding],
    *,
    coverage: Sequence[CoverageRow],
    not_looked_at: Sequence[NotLookedAt] = (),
    victim: Victim,
    remarks: str = "",
    outcome: str | None = None,
    lessons: str = "",
    approver: str | None = None,
    engine: str = "",
) -> Sent:
    """Send what was found with a delivery back to its giver; with an `outcome`, the thread is closed by it.

    The sightings pass the gate like everything else: one of an indicator that came from elsewhere stays.
    """
    thread, to = _answered(desk, delivery)
    terms = terms_for(desk, to)
    agreement = agreed(terms)
    label = agreement.release.default_label or next(iter(agreement.release.labels), "red")
    rows = tuple(findings)

    def attempt(gaps: Sequence[NotLookedAt]) -> tuple[tuple[StixObject, ...], tuple[Finding, ...], Release]:
        told, kept = finding_objects(
            rows,
            delivery=delivery,
            coverage=coverage,
            not_looked_at=gaps,
            victim=victim,
            terms=agreement.release,
            own=desk.own,
            recipient=to.identity,
            markings=(marking_id(f"tlp:{label}"),),
            time=desk.time,
            secret=desk.secret,
            engine=engine,
        )
        return told, kept, _prepare(desk, terms, told, {}, {item.id for item in told})

    told, kept, release = attempt(not_looked_at)
    if not_looked_at and any(item.rule in {"names-withheld", "names-internal"} for item in release.decisions):
        # What was not looked at names a rule, a log or a host that stays here: say only that there are gaps.
        told, kept, release = attempt([NotLookedAt(f"{len(not_looked_at)} more", "not-listed")])
    leaving = {item.id for item in release.objects}
    stay = [item for item in told if item.type == "sighting" and item.id not in leaving]
    withheld = tuple(
        Finding(indicator=str(item.properties()["sighting_of_ref"]), status="seen", reason="withheld") for item in stay
    )
    id_ = _record(desk, release, agreement, approver)
    statuses = [item.status for item in read_findings(release.objects)]
    found = Findings(
        **_head(desk, to.identity, thread.id),
        of=delivery,
        release=id_,
        sha256=release.sha256,
        seen=statuses.count("seen"),
        not_seen=statuses.count("not-seen"),
        false_positives=statuses.count("false-positive"),
        not_evaluated=statuses.count("not-evaluated"),
        remarks=remarks,
    )
    messages: list[Message] = [found]
    if outcome is not None:
        messages.append(Closing(**_head(desk, to.identity, thread.id), outcome=outcome, lessons=lessons))
    return _send(desk, to, tuple(messages), release, id_, (*kept, *withheld))


def withdraw(desk: Desk, release: str, *, reason: str) -> Sent:
    """Withdraw a release of ours, and tell its recipient."""
    row = next((item for item in read_releases(desk.connection) if item.id == release), None)
    if row is None:
        raise TrustError(f"There is no release {release}. See: aleat preview.")
    thread = next(
        (
            item.thread
            for item in map(read_message, read_messages(desk.connection))
            if isinstance(item, Delivery | Findings) and item.release == release and item.sender == desk.own
        ),
        None,
    )
    if thread is None:
        raise TrustError(f"The release {release} was never sent.")
    to = _recipient(desk, row.recipient)
    record_withdrawal(desk.connection, release, reason, actor=desk.actor, time=desk.time, key=desk.key)
    return _send(desk, to, (Withdrawal(**_head(desk, to.identity, thread), release=release, reason=reason),))


def _recipient(desk: Desk, ally: str) -> AllyCard:
    require(desk.connection, desk.actor, "releaser")
    return _known(desk, ally)


def _known(desk: Desk, ally: str) -> AllyCard:
    return trusted_ally(desk, ally).card


def _new_id() -> str:
    return f"message--{uuid.uuid4()}"


def _head(desk: Desk, recipient: str, thread: str, id_: str | None = None) -> dict[str, Any]:
    return {
        "id": id_ or _new_id(),
        "thread": thread,
        "sender": desk.own,
        "recipient": recipient,
        "time": format_timestamp(desk.time),
        "person": desk.actor,
    }


def _thread_of(desk: Desk, message: str) -> Thread:
    """Return the thread that a message (or thread) id belongs to."""
    messages = [read_message(row) for row in read_messages(desk.connection)]
    found = next((item.thread for item in messages if message in {item.id, item.thread}), None)
    if found is None:
        raise TrustError(f"There is no message {message}. See: aleat asks.")
    return fold_thread(found, [item for item in messages if item.thread == found])


def _answered(desk: Desk, message: str) -> tuple[Thread, AllyCard]:
    """Return the thread of a message that is ours to answer, and who sent it."""
    thread = _thread_of(desk, message)
    found = next((item for item in thread.messages if item.id == message), None)
    if found is None or found.recipient != desk.own:
        raise NotPermittedError("That message is not ours to answer.")
    return thread, _recipient(desk, found.sender)


def _other_side(desk: Desk, thread: Thread) -> AllyCard:
    sides = {side for item in thread.messages for side in (item.sender, item.recipient)} - {desk.own}
    if len(sides) != 1:
        raise TrustError("The thread's first message has not come yet.")
    return _recipient(desk, sides.pop())


def _prepare(
    desk: Desk,
    terms: Terms,
    derived: Sequence[StixObject],
    rests_on: dict[str, Collection[str]],
    selection: Collection[str] | None,
) -> Release:
    names = {**terms.ally_names}
    knowledge = collect_knowledge(desk.connection, desk.root, desk.policy, names)
    made = {item.id for item in derived}
    subjects = [item for item in knowledge.subjects if item.object.id not in made]
    subjects += [
        describe_derived(item, desk.own, knowledge.definitions, rests_on=rests_on.get(item.id, ())) for item in derived
    ]
    return prepare(subjects, terms, secret=desk.secret, lists=knowledge.lists, selection=selection)


def _record(desk: Desk, release: Release, agreement: Agreement, approver: str | None) -> str:
    """Keep a release with its decisions and the ledger's entry; return its id."""
    require(desk.connection, desk.actor, "releaser")
    if release.two_people:
        require_two_people(desk.actor, approver, agreement.name)
    if approver is not None:
        require(desk.connection, approver, "releaser")
    row = ReleaseRow(
        id=f"release--{uuid.uuid4()}",
        recipient=release.recipient,
        agreement=release.agreement,
        agreement_version=release.agreement_version,
        time=format_timestamp(desk.time),
        actor=desk.actor,
        approver=approver,
        sha256=release.sha256,
        manifest=release.manifest,
    )
    decisions = [
        DecisionRow(
            object=item.object,
            version=item.version,
            allow=item.allow,
            rule=item.rule,
            detail={
                "digest": item.digest,
                "label": item.label,
                "form": item.form,
                "ask": list(item.ask),
                "parameters": item.parameters,
            },
        )
        for item in release.decisions
    ]
    record_release(desk.connection, row, decisions, time=desk.time, key=desk.key)
    return row.id


def _send(
    desk: Desk,
    to: AllyCard,
    messages: tuple[Message, ...],
    release: Release | None = None,
    release_id: str = "",
    kept: tuple[Finding, ...] = (),
) -> Sent:
    """Seal messages and release for an ally, and record the file."""
    parts = {"messages.json": encode_messages(messages)}
    if release is not None:
        parts |= {
            "bundle.json": release.bundle,
            "manifest.json": release.manifest,
            "lists.json": canonical_json({id_: lines.decode() for id_, lines in release.lists.items()}),
        }
    data, opened = seal(
        parts,
        sender=desk.own,
        key=desk.key,
        recipient=to.identity,
        recipient_key=to.age_recipient,
        serial=next_serial(desk.connection, to.identity),
        time=desk.time,
        release=release_id,
        certificate=to.openpgp,
    )
    row = FileRow(
        file=opened.header.file,
        direction="out",
        peer=to.identity,
        serial=opened.header.serial,
        release=release_id,
        sha256=hashlib.sha256(data).hexdigest(),
        header=opened.header_bytes,
        signature=opened.signature,
        manifest=release.manifest if release is not None else b"",
    )
    rows = [message_row(item) for item in messages]
    record_file(desk.connection, row, rows, actor=desk.actor, time=desk.time, key=desk.key)
    return Sent(
        name=sealed_name(),
        data=data,
        messages=messages,
        thread=messages[0].thread,
        release=release,
        release_id=release_id,
        kept=kept,
    )
