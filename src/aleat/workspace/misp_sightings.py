"""The verb that says in an ally's MISP what we found with the indicators that it gave us from there.

What was found is told as in an answer (`aleat answer`): as coarse as the agreement says, above its threshold, through
the gate, which keeps what rests on somebody else's knowledge. What becomes a sighting there stands in the ledgers
before it leaves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from aleat.errors import Issue, NotPermittedError, RemoteError, WorkspaceBusyError
from aleat.exchange import Finding, findings_of_hunt, rule_ids
from aleat.exchange.access import Access
from aleat.exchange.desk import Desk, agreed, terms_for, trusted_ally
from aleat.exchange.findings import finding_objects, read_findings
from aleat.exchange.giving import prepare_release, record_decisions
from aleat.exchange.misp_places import MispPlace, find_places
from aleat.exchange.misp_session import MispSession, server_url
from aleat.exchange.misp_sightings import (
    EXPIRED,
    SightingRow,
    SightingsPushed,
    new_sightings,
    push_sightings,
    sighting_rows,
)
from aleat.hunt.result import HuntResult
from aleat.hunt.standing import expiry
from aleat.release import Channel, Release, Victim
from aleat.stix import StixObject
from aleat.store.database import Connection
from aleat.store.ledger import append_entry
from aleat.store.misp_parts import put_misp_parts, read_misp_parts
from aleat.store.objects import StoredObject, iterate_objects
from aleat.trust.markings import marking_id
from aleat.workspace.hunt import HuntVerbs
from aleat.workspace.knowledge_terms import knowledge_terms
from aleat.workspace.misp_push import MispPushVerbs
from aleat.workspace.progress import Progress, silent

__all__ = ["MispSighted", "MispSightingVerbs"]

_STAGE = "push"
_TYPES = ("indicator", "observed-data", "note")
"""What an attribute or object of MISP's becomes."""


class MispSighted(msgspec.Struct, frozen=True, kw_only=True):
    """What a push of sightings did: how many were added, were there, or were refused by the server.

    Of the ally's indicators from MISP, `unsaid` is how many findings MISP has no word for (not seen, not evaluated),
    `kept` how many stay here (fewer events than the agreement's threshold, or withheld by the gate), `ask` who could
    permit what the gate withheld: a server hands on what others made, and they decide who learns that it was seen.
    """

    ally: str
    url: str
    added: int = 0
    known: int = 0
    refused: int = 0
    unsaid: int = 0
    kept: int = 0
    ask: tuple[str, ...] = ()
    release: str = ""
    issues: tuple[Issue, ...] = ()
    complete: bool = True


class MispSightingVerbs(HuntVerbs, MispPushVerbs):
    """What is said back to MISP servers."""

    def push_misp_sightings(
        self, access: Access | str, *, to: str, approver: str | None = None, progress: Progress = silent
    ) -> MispSighted:
        """Tell the MISP server of the ally `to` what was found with what came from it, as sightings of its attributes.

        Hunts first. Raises `RemoteError` where the server can't be asked, `NotPermittedError` where there is no
        agreement, or it names other servers.
        """
        reach = Access(access) if isinstance(access, str) else access
        ally = self._may_push(to, approver)
        self._misp_terms(to, server_url(reach))
        hunt = self.hunt(progress=progress)
        channel: Channel = "tls" if reach.origin[0] == "https" else "plain"
        told = _Told(self, ally, to, channel, hunt)
        session = MispSession.open(reach)
        try:
            return _push(told, session, approver, progress)
        finally:
            session.close()


class _Told:
    """What was found with the ally's indicators from MISP, as far as the gate lets it leave."""

    def __init__(self, ws: MispSightingVerbs, ally: str, to: str, channel: Channel, hunt: HuntResult) -> None:
        self.ws, self.ally, self.to, self.channel = ws, ally, to, channel
        with ws._desk(write=False) as desk:
            stored = _given(desk.connection, ally, to)
            self.places: Mapping[str, MispPlace] = find_places(item.object for item in stored)
            indicators = sorted(self.places)
            found = findings_of_hunt(
                indicators, hunt.sightings, hunt.not_evaluated, rule_ids=rule_ids(desk.connection, indicators)
            )
            ended = self._ended(desk, stored)
            saying = [one for one in found if one.status in {"seen", "false-positive"}]
            self.unsaid = len({one.indicator for one in found if one.status not in {"seen", "false-positive"}})
            over = [Finding(indicator=id_, status="not-evaluated", reason=EXPIRED) for id_ in ended]
            self.objects = (*self._objects(desk, saying, "found"), *self._objects(desk, over, "expired"))
            saying += over
            self.objects = tuple({item.id: item for item in self.objects}.values())
            release = prepare_release(desk, to, derived=self.objects, selection=self._ids(), channel=channel)
        leaving = read_findings(release.objects)
        self.kept = len(saying) - len(leaving)
        self.ask = tuple(sorted({who for item in release.decisions if not item.allow for who in item.ask}))
        times = {one.indicator: msgspec.structs.replace(one, last=ended.get(one.indicator)) for one in leaving}
        self.findings = [times[one.indicator] if one.reason == EXPIRED else one for one in leaving]

    def rows(self) -> tuple[SightingRow, ...]:
        """Return them as MISP's sightings."""
        return sighting_rows(self.findings, self.places)

    def record(self, desk: Desk, rows: Sequence[SightingRow], url: str, approver: str | None) -> str:
        """Record the release of what these sightings say, as the gate judges now, and where it goes; returns its id."""
        said = {row.indicator for row in rows}
        chosen = {item.id for item in self.objects if item.properties().get("sighting_of_ref") in said}
        chosen |= {item.id for item in self.objects if item.type == "identity"}
        release: Release = prepare_release(desk, self.to, derived=self.objects, selection=chosen, channel=self.channel)
        if not said <= {one.indicator for one in read_findings(release.objects)}:
            raise WorkspaceBusyError("What may leave has changed meanwhile. Do it again.")
        agreement = agreed(terms_for(desk, trusted_ally(desk, self.to).card))
        id_ = record_decisions(desk, release, agreement, approver)
        data = {
            "server": url,
            "ally": self.ally,
            "asked": "misp sightings",
            "release": id_,
            "sightings": [[row.place.event, row.place.attribute, row.type, row.time] for row in rows],
        }
        append_entry(desk.connection, "exchange", "given", data, **self.ws._signing())
        return id_

    def _ids(self) -> set[str]:
        return {item.id for item in self.objects}

    def _ended(self, desk: Desk, stored: Sequence[StoredObject]) -> dict[str, datetime]:
        """Return which of the ally's indicators our agreement let age away, and when; what it ended itself it knows."""
        terms = knowledge_terms(self.ws, desk.connection)
        if not terms.agreements:
            return {}
        found: dict[str, datetime] = {}
        for item in stored:
            end = expiry(item.object, item.copies, terms) if item.object.type == "indicator" else None
            if end is not None and end[1].startswith("aged") and end[0] <= desk.time and item.object.id in self.places:
                found[item.object.id] = end[0]
        return found

    def _objects(self, desk: Desk, findings: Sequence[Finding], what: str) -> tuple[StixObject, ...]:
        """Return the findings above the agreement's threshold as STIX objects, as an answer has them."""
        if not findings:
            return ()
        config = self.ws.config
        agreement = agreed(terms_for(desk, trusted_ally(desk, self.to).card, self.channel))
        label = agreement.release.default_label or next(iter(agreement.release.labels), "red")
        if label in {"red", "amber+strict"}:
            raise NotPermittedError(
                f"The agreement lets findings go as TLP:{label.upper()} only, and MISP's sightings carry no label. "
                "Send them in a sealed file: aleat answer."
            )
        told, _ = finding_objects(
            findings,
            delivery=f"misp: {what}",
            coverage=(),
            not_looked_at=(),
            victim=Victim(name=config.organisation, sector=config.sector, country=config.country),
            terms=agreement.release,
            own=desk.own,
            recipient=self.ally,
            markings=(marking_id(f"tlp:{label}"),),
            time=desk.time,
            secret=desk.secret,
        )
        return told


def _given(connection: Connection, ally: str, name: str) -> list[StoredObject]:
    """Return what the ally gave us of what MISP's attributes and objects become."""
    return [
        stored
        for stored in iterate_objects(connection, _TYPES)
        if any(copy.giver in {ally, name} for copy in stored.copies)
        and (stored.object.type == "indicator" or b"extensions" in stored.object.content)
    ]


def _push(told: _Told, session: MispSession, approver: str | None, progress: Progress) -> MispSighted:
    """Add the sightings that aren't there yet, and keep what is there behind each event."""
    ws, url = told.ws, session.url
    with ws.read() as connection:
        kept = read_misp_parts(connection, url, told.ally)
    rows, state = new_sightings(session, session.account(), told.rows(), kept)
    _keep(ws, url, told.ally, state)
    id_ = ""
    if rows:
        with ws.writing(), ws._desk(write=True) as desk:
            id_ = told.record(desk, rows, url, approver)
    added, refused, issues, complete = 0, state.refused, list(state.issues), True
    try:
        for done in push_sightings(session, rows):
            _keep(ws, url, told.ally, done)
            added, refused = added + done.added, refused + done.refused
            issues += done.issues
            progress("push", added + refused, len(rows))
    except RemoteError as error:
        complete = False
        issues.append(error.issue(_STAGE, url))
    whole = MispSighted(
        ally=told.ally,
        url=url,
        added=added,
        known=state.known,
        refused=refused,
        unsaid=told.unsaid,
        kept=told.kept,
        ask=told.ask,
        release=id_,
        issues=tuple(issues),
        complete=complete,
    )
    data = {
        "server": url,
        "ally": told.ally,
        "asked": "misp sightings",
        "release": id_,
        "taken": added,
        "known": state.known,
        "refused": refused,
        "complete": complete,
    }
    with ws.writing(), ws.write() as connection:
        append_entry(connection, "exchange", "push", data, **ws._signing())
    return whole


def _keep(ws: MispSightingVerbs, url: str, ally: str, state: SightingsPushed) -> None:
    """Keep which sightings are there."""
    done = {event: keys for event, keys in state.done.items() if keys}
    if not done:
        return
    with ws.writing(), ws.write() as connection:
        for event, keys in done.items():
            put_misp_parts(connection, url, ally, event, dict.fromkeys(keys, "there"), time=ws.now())
