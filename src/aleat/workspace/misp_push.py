"""The verbs that write to an ally's MISP server: what it may have as events, what we found with its own as sightings.

Everything passes the gate, and stands in the ledgers before it leaves: the release with the decision on each object,
and which events were about to go where. What is there is kept behind each event, so that a push that was cut off goes
on there, and what may not leave any more is taken back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from aleat.errors import InputError, Issue, NotPermittedError, RemoteError, WorkspaceBusyError
from aleat.exchange.access import Access
from aleat.exchange.desk import Desk, agreed, terms_for, trusted_ally
from aleat.exchange.giving import prepare_release, record_decisions
from aleat.exchange.misp import WrittenEvents
from aleat.exchange.misp_compose import Composed, compose, settle
from aleat.exchange.misp_fit import NO_SERVERS, digest_of, number_groups, parts_of
from aleat.exchange.misp_labels import SHARING_GROUP, Reach
from aleat.exchange.misp_push import EventPlan, EventPushed, plan_event, push_event
from aleat.exchange.misp_session import MispAccount, MispSession, server_url
from aleat.knowledge.misp.fields import identifier
from aleat.release import Channel, Release
from aleat.store.files import write_file
from aleat.store.ledger import append_entry
from aleat.store.misp_parts import GONE, put_misp_parts, read_misp_parts
from aleat.trust.agreements import MispTerms
from aleat.workspace.progress import Progress, silent
from aleat.workspace.push import PushVerbs

__all__ = ["MispPushVerbs", "MispPushed", "MispWritten"]

_STAGE = "push"
_AMBER = {"organisation": 0, "sharing-group": SHARING_GROUP, "community": 1}
_GREEN = {"community": 1, "connected": 2}


class MispPushed(msgspec.Struct, frozen=True, kw_only=True):
    """What a push of events did: for which ally (identity), where, event by event.

    `returned` counts objects that the ally gave us itself, `own_only` events that only our own users there see,
    `release` is the ledger's (empty: nothing left).
    """

    ally: str
    url: str
    events: tuple[EventPushed, ...] = ()
    returned: int = 0
    own_only: int = 0
    release: str = ""
    issues: tuple[Issue, ...] = ()
    complete: bool = True


class MispWritten(msgspec.Struct, frozen=True, kw_only=True):
    """What a file of MISP's JSON holds: how many events, telling how many objects, under which release."""

    ally: str
    path: Path
    events: int = 0
    objects: int = 0
    release: str = ""
    issues: tuple[Issue, ...] = ()


class MispPushVerbs(PushVerbs):
    """What a workspace's releaser writes to MISP servers."""

    def push_misp(
        self,
        access: Access | str,
        *,
        to: str,
        publish: bool = False,
        distribution: int = 3,
        approver: str | None = None,
        progress: Progress = silent,
    ) -> MispPushed:
        """Write what the ally `to` may have to a MISP server of its, as events, as far as it isn't there yet.

        They stay unpublished unless `publish` says otherwise, and go no wider than `distribution` (MISP's level 0 to
        3). `approver` is the second releaser where the agreement wants two people. Raises `RemoteError` where the
        server can't be asked, `NotPermittedError` where there is no agreement, or it names other servers.
        """
        reach = Access(access) if isinstance(access, str) else access
        ally = self._may_push(to, approver)
        terms = self._misp_terms(to, server_url(reach))
        session = MispSession.open(reach)
        try:
            run = _Run(self, session, ally, to, approver, _channel(reach))
            return run.push(terms, distribution, publish=publish, progress=progress)
        finally:
            session.close()

    def write_misp(
        self, path: str | Path, *, to: str, distribution: int = 3, approver: str | None = None
    ) -> MispWritten:
        """Write what the ally `to` may have to a file of MISP's JSON, for a server that we have no account at.

        It passes the gate, and is recorded as a release. The file is neither sealed nor encrypted: what must be on its
        way is not in it, nor what is for one organisation alone.
        """
        ally = self._may_push(to, approver)
        with self.writing(), self._desk(write=True) as desk:
            terms = agreed(terms_for(desk, trusted_ally(desk, to).card, "plain")).misp
            group = {"uuid": terms.sharing_group} if terms.sharing_group else None
            own = desk.own.removeprefix("identity--")
            composed = compose(
                prepare_release(desk, to, channel="plain"),
                place=str(path),
                reach=reach_of(terms, group),
                distribution=distribution,
                info=self.config.organisation,
                own=desk.own,
                secret=desk.secret,
                restore=lambda event: _maker(event) == own,
            )
            numbers = {terms.sharing_group: NO_SERVERS}
            us = {"Orgc": {"uuid": own, "name": self.config.organisation}}
            events = [us | number_groups(event, numbers, keep=True) for event in composed.events]
            data = WrittenEvents(tuple({"Event": event} for event in events)).to_json()
            id_ = record_composed(desk, to, composed, approver=approver, channel="plain")
            facts = {"file": Path(path).name, "sha256": hashlib.sha256(data).hexdigest(), "release": id_}
            entry = {"ally": ally, "asked": "misp file", **facts, "events": len(composed.events)}
            append_entry(desk.connection, "exchange", "given", entry, **self._signing())
            write_file(Path(path), data)
        return MispWritten(
            ally=ally,
            path=Path(path),
            events=len(composed.events),
            objects=len(composed.objects),
            release=id_,
            issues=composed.issues,
        )

    def _misp_terms(self, to: str, url: str) -> MispTerms:
        """Return how far things may travel on the server at `url`; raises `NotPermittedError` where it isn't named."""
        with self._desk(write=False) as desk:
            agreement = agreed(terms_for(desk, trusted_ally(desk, to).card))
        named = {server.rstrip("/").removeprefix("misp+") for server in agreement.misp.servers}
        if named and url.rstrip("/") not in named:
            raise NotPermittedError(
                f"The agreement {agreement.name} names other MISP servers than this: {', '.join(sorted(named))[:300]}."
            )
        return agreement.misp


class _Run:
    """One push of events: what is the same for all of its steps."""

    def __init__(
        self, ws: MispPushVerbs, session: MispSession, ally: str, to: str, approver: str | None, channel: Channel
    ) -> None:
        self.ws, self.session, self.ally, self.to = ws, session, ally, to
        self.approver, self.channel = approver, channel
        self.account = session.account()

    def push(self, terms: MispTerms, distribution: int, *, publish: bool, progress: Progress) -> MispPushed:
        """Compose the events, see what is there, and send what isn't."""
        _check_rights(self.account, publish=publish)
        with self.ws.read() as connection:
            written = _events_of(read_misp_parts(connection, self.session.url, self.ally))
        kept = {event: _standing(parts) for event, parts in written.items() if _standing(parts)}
        reach, groups = self._reach(terms)
        with self.ws._desk(write=False) as desk:
            release = prepare_release(desk, self.to, channel=self.channel)
            composed = self._compose(desk, release, reach, distribution)
        events = {
            event["uuid"]: number_groups(event, {uuid: number for uuid, (number, _) in groups.items()})
            for event in settle(composed.events, written)
        }
        plans = []
        for number, uuid in enumerate(dict.fromkeys((*events, *kept))):
            progress("look", number, len(events))
            plans.append(plan_event(self.session, self.account, uuid, events.get(uuid), kept.get(uuid, {})))
        done, issues, complete = [], list(composed.issues), True
        id_ = self._record(composed, plans) if any(plan.body is not None for plan in plans) else ""
        try:
            for plan in plans:
                pushed = push_event(self.session, plan, publish=publish)
                self._keep(pushed)
                done.append(pushed)
                progress("push", len(done), len(plans))
        except RemoteError as error:
            complete = False
            issues.append(error.issue(_STAGE, self.session.url))
        issues += [issue for pushed in done for issue in pushed.issues]
        whole = MispPushed(
            ally=self.ally,
            url=self.session.url,
            events=tuple(done),
            returned=composed.returned,
            own_only=sum(str(event.get("distribution")) == "0" for event in events.values()),
            release=id_,
            issues=tuple(issues),
            complete=complete,
        )
        self._finish(whole)
        return whole

    def _compose(self, desk: Desk, release: Release, reach: Reach, distribution: int) -> Composed:
        own = self.account.uuid
        return compose(
            release,
            place=self.session.url,
            reach=reach,
            distribution=distribution,
            info=self.ws.config.organisation,
            own=desk.own,
            secret=desk.secret,
            restore=lambda event: self.account.may_synchronise or (bool(own) and _maker(event) == own),
        )

    def _reach(self, terms: MispTerms) -> tuple[Reach, Mapping[str, tuple[str, str]]]:
        """Return how far labels let things travel there, and the server's sharing groups."""
        groups = self.session.sharing_groups()
        group = None
        if terms.sharing_group:
            if terms.sharing_group not in groups:
                raise InputError(
                    f"The server has no sharing group {terms.sharing_group} that we may write to.",
                    advice="Have our organisation put into it there, or correct the agreement.",
                )
            group = {"uuid": terms.sharing_group, "name": groups[terms.sharing_group][1]}
        return reach_of(terms, group), groups

    def _record(self, composed: Composed, plans: Sequence[EventPlan]) -> str:
        """Write down what is about to leave, in one transaction: the release, where to, and each part's UUID."""
        ws = self.ws
        going = [plan for plan in plans if plan.body is not None]
        with ws.writing(), ws._desk(write=True) as desk:
            id_ = record_composed(desk, self.to, composed, approver=self.approver, channel=self.channel)
            data = {
                "server": self.session.url,
                "ally": self.ally,
                "asked": "misp",
                "release": id_,
                "events": [[plan.uuid, digest_of(plan.body or {})] for plan in going],
            }
            append_entry(desk.connection, "exchange", "given", data, **ws._signing())
            kept = read_misp_parts(desk.connection, self.session.url, self.ally)
            for plan in going:
                before = _standing(kept.get(plan.uuid, {}))
                parts = {part: before.get(part, "") for part in ("", *parts_of(plan.body or {}))}
                put_misp_parts(desk.connection, self.session.url, self.ally, plan.uuid, parts, time=desk.time)
        return id_

    def _keep(self, pushed: EventPushed) -> None:
        if not pushed.parts:
            return
        with self.ws.writing(), self.ws.write() as connection:
            put_misp_parts(connection, self.session.url, self.ally, pushed.uuid, pushed.parts, time=self.ws.now())

    def _finish(self, done: MispPushed) -> None:
        refused = [row for event in done.events for row in event.refused]
        data = {
            "server": done.url,
            "ally": done.ally,
            "asked": "misp",
            "release": done.release,
            "events": len(done.events),
            "taken": sum(event.taken for event in done.events),
            "known": sum(event.known for event in done.events),
            "withdrawn": sum(event.withdrawn for event in done.events),
            "refused": len(refused),
            "reasons": sorted({row.reason for row in refused})[:20],
            "complete": done.complete,
        }
        with self.ws.writing(), self.ws.write() as connection:
            append_entry(connection, "exchange", "push", data, **self.ws._signing())


def reach_of(terms: MispTerms, group: Mapping[str, Any] | None) -> Reach:
    """Return how far an agreement lets labels travel; what has no label goes as far as AMBER."""
    amber = _AMBER[terms.amber or ("sharing-group" if terms.sharing_group else "organisation")]
    amber = 0 if amber == SHARING_GROUP and group is None else amber
    return Reach(amber=amber, green=_GREEN[terms.green], unlabelled=amber, group=group)


def record_composed(desk: Desk, to: str, composed: Composed, *, approver: str | None, channel: Channel) -> str:
    """Record the release of what `composed` tells, as the gate judges in this very transaction; returns its id."""
    release = prepare_release(desk, to, selection=composed.objects, channel=channel)
    if not composed.objects <= {decision.object for decision in release.decisions if decision.allow}:
        raise WorkspaceBusyError("What may leave has changed meanwhile. Do it again.")
    return record_decisions(desk, release, agreed(terms_for(desk, trusted_ally(desk, to).card)), approver)


def _check_rights(account: MispAccount, *, publish: bool) -> None:
    if not account.may_write:
        raise RemoteError("Our account there may not add events.", code="refused", advice="Ask the server's keeper.")
    if not account.may_tag:
        raise RemoteError(
            "Our account there may not tag: labels would be lost on the way.",
            code="refused",
            advice="Ask the server's keeper for a role with perm_tagger.",
        )
    if publish and not account.may_publish:
        raise RemoteError("Our account there may not publish.", code="refused", advice="Push without --publish.")


def _channel(access: Access) -> Channel:
    return "tls" if access.origin[0] == "https" else "plain"


def _maker(event: Mapping[str, Any]) -> str:
    """Return the UUID of the organisation that made an event."""
    maker = event.get("Orgc")
    return identifier(maker.get("uuid")) if isinstance(maker, Mapping) else ""


def _events_of(kept: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """Return what was written of events, without what was added to others' events (sightings)."""
    found = {
        event: {part: digest for part, digest in parts.items() if "|" not in part} for event, parts in kept.items()
    }
    return {event: parts for event, parts in found.items() if parts}


def _standing(parts: Mapping[str, str]) -> dict[str, str]:
    """Return what of an event we wrote and didn't take back."""
    return {part: digest for part, digest in parts.items() if digest != GONE}
