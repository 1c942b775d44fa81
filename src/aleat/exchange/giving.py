"""What is given: releases with their deliveries, and the findings that come back; objects leave through the gate."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from aleat.errors import NotPermittedError, TrustError
from aleat.exchange.collect import collect_knowledge
from aleat.exchange.desk import Desk, agreed, terms_for
from aleat.exchange.findings import Finding, NotLookedAt, finding_objects, read_findings
from aleat.exchange.messages import Closing, Delivery, Findings, Help, Message, Offer
from aleat.exchange.sending import Sent, answered, known_ally, message_head, new_id, recipient_of, say, thread_of
from aleat.knowledge.playbooks.steps import playbook_bytes
from aleat.release import Channel, Release, Terms, Victim, describe_derived, prepare
from aleat.release.rules import may_read_red
from aleat.stix import StixObject, format_timestamp
from aleat.store.decisions import DecisionRow, ReleaseRow, record_release, require
from aleat.store.given import keep_bundle
from aleat.trust.agreements import Agreement
from aleat.trust.markings import marking_id
from aleat.trust.people import require_two_people

if TYPE_CHECKING:  # for annotations only
    from aleat.case.records import CoverageRow

__all__ = ["answer", "deliver", "prepare_for", "prepare_release", "record_decisions"]


def prepare_release(
    desk: Desk,
    ally: str,
    *,
    derived: Sequence[StixObject] = (),
    rests_on: dict[str, Collection[str]] | None = None,
    selection: Collection[str] | None = None,
    channel: Channel = "sealed",
    reader: str = "",
) -> Release:
    """Return what would leave for `ally` now, with the decision on every object; nothing is recorded.

    `derived` are a case's objects, `rests_on` says from which objects each was derived without referring to
    them. With `selection` (ids) only that leaves, if it may. `channel` is how it
    would leave: what must be encrypted on its way leaves by no plain one. With a `reader`, a person whom the
    agreement names for it, RED of ours leaves too; raises `NotPermittedError` where it doesn't.
    """
    terms = terms_for(desk, known_ally(desk, ally), channel, reader)
    if reader and not may_read_red(agreed(terms), terms):
        raise NotPermittedError(f"The agreement with {ally} names nobody called {reader!r} for TLP:RED.")
    return prepare_for(desk, terms, derived, rests_on or {}, selection)


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
    to = recipient_of(desk, ally)
    if release.recipient != to.identity:
        raise TrustError("That release was prepared for another ally. Prepare it again.")
    agreement = agreed(terms_for(desk, to))
    if (agreement.name, agreement.version) != (release.agreement, release.agreement_version):
        raise TrustError("The agreement has changed since the release was prepared. Prepare it again.")
    id_ = record_decisions(desk, release, agreement, approver)
    messages: list[Message] = []
    if of is None:
        of = new_id()
        messages.append(Offer(**message_head(desk, to.identity, of, of), what=remarks or "What we may give you now."))
        thread = of
    else:
        thread = thread_of(desk, of).id
    head = message_head(desk, to.identity, thread)
    kinds: tuple[Help, ...] = ("knowledge",)
    if any(item.type == "course-of-action" and playbook_bytes(item.properties()) for item in release.objects):
        kinds = ("knowledge", "playbooks")
    given = Delivery(**head, of=of, release=id_, sha256=release.sha256, kinds=kinds, remarks=remarks)
    messages.append(given)
    return say(desk, to, tuple(messages), release, id_)


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
    thread, to = answered(desk, delivery)
    if any(item.id == delivery and isinstance(item, Delivery) and not item.release for item in thread.messages):
        raise TrustError("No objects came with that. Say in words what came of it: aleat answer --results TEXT.")
    terms = terms_for(desk, to)
    agreement = agreed(terms)
    label = agreement.release.default_label or next(iter(agreement.release.labels), "red")
    rows = tuple(findings)

    def attempt(
        rows: tuple[Finding, ...], gaps: Sequence[NotLookedAt]
    ) -> tuple[tuple[StixObject, ...], tuple[Finding, ...], Release]:
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
        return told, kept, prepare_for(desk, terms, told, {}, {item.id for item in told})

    told, kept, release = attempt(rows, not_looked_at)
    if not_looked_at and _names_what_stays(release):
        # What was not looked at names a rule, a log or a host that stays here: say only that there are gaps.
        not_looked_at = [NotLookedAt(f"{len(not_looked_at)} more", "not-listed")]
        told, kept, release = attempt(rows, not_looked_at)
    if _names_what_stays(release):
        # So may the reason that somebody gave for a dismissal: say only that it was dismissed.
        told, kept, release = attempt(_without_reasons(rows), not_looked_at)
    leaving = {item.id for item in release.objects}
    stay = [item for item in told if item.type == "sighting" and item.id not in leaving]
    withheld = tuple(
        Finding(indicator=str(item.properties()["sighting_of_ref"]), status="seen", reason="withheld") for item in stay
    )
    id_ = record_decisions(desk, release, agreement, approver)
    statuses = [item.status for item in read_findings(release.objects)]
    found = Findings(
        **message_head(desk, to.identity, thread.id),
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
        messages.append(Closing(**message_head(desk, to.identity, thread.id), outcome=outcome, lessons=lessons))
    return say(desk, to, tuple(messages), release, id_, (*kept, *withheld))


def _names_what_stays(release: Release) -> bool:
    return any(item.rule in {"names-withheld", "names-internal"} for item in release.decisions)


def _without_reasons(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    return tuple(
        msgspec.structs.replace(one, reason="dismissed") if one.status == "false-positive" else one for one in findings
    )


def prepare_for(
    desk: Desk,
    terms: Terms,
    derived: Sequence[StixObject],
    rests_on: dict[str, Collection[str]],
    selection: Collection[str] | None,
) -> Release:
    """Return what leaves on these terms: all that is known here and `derived`, through the gate."""
    names = {**terms.ally_names}
    knowledge = collect_knowledge(desk.connection, desk.root, desk.policy, names)
    made = {item.id for item in derived}
    subjects = [item for item in knowledge.subjects if item.object.id not in made]
    subjects += [
        describe_derived(item, desk.own, knowledge.definitions, rests_on=rests_on.get(item.id, ())) for item in derived
    ]
    return prepare(subjects, terms, secret=desk.secret, lists=knowledge.lists, selection=selection)


def record_decisions(desk: Desk, release: Release, agreement: Agreement | None, approver: str | None) -> str:
    """Keep a release with its decisions and the ledger's entry; return its id."""
    require(desk.connection, desk.actor, "releaser")
    if release.two_people:
        require_two_people(desk.actor, approver, release.agreement)
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
    record_release(desk.connection, row, decisions, time=desk.time, key=desk.key, reader=release.reader)
    keep_bundle(desk.connection, row.id, release.bundle, release.lists)
    return row.id
