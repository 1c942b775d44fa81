"""The typed records of a case: what the sightings mean. Frozen, pure data, with codes instead of prose.

Text for people is made from these codes by templates in `aleat.report`, so that one case can be told in
several languages. Times are aware UTC datetimes. Nothing here is *confirmed* by a public statement: an
`AllegedIncident` comes from claims, an `Incident` from evidence.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from aleat.case.response_records import Response
from aleat.hunt.indicator import Sighting

__all__ = [
    "Account",
    "AllegedIncident",
    "Campaign",
    "CampaignLink",
    "Case",
    "Claim",
    "CollectItem",
    "Contradiction",
    "CoverageRow",
    "EvidenceRef",
    "Incident",
    "LogFinding",
    "NextStep",
    "OpenItem",
    "Outage",
    "SourceRow",
    "TimelineEntry",
]


class EvidenceRef(msgspec.Struct, frozen=True):
    """Leads back to the bytes: path as given, SHA-256 of the source, record ordinal, byte offset, event digest."""

    evidence: str
    sha256: str
    record: int
    offset: int
    event: str = ""


class Account(msgspec.Struct, frozen=True):
    """An account as the evidence names it (domain may be empty)."""

    name: str
    domain: str = ""


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """Sightings that belong together: shared hosts, accounts, indicators, closeness in time.

    `stages` are ATT&CK tactic short names in the order first seen, with their first time. `effects` are codes:
    "access", "persistence", "credential-access", "lateral-movement", "exfiltration", "encryption", "wiping",
    "defacement". `still_active` is True/False, or None where the evidence doesn't say.
    """

    id: str
    number: int
    first: datetime
    last: datetime
    hosts: tuple[str, ...]
    accounts: tuple[Account, ...]
    indicators: tuple[str, ...]
    techniques: tuple[str, ...]
    stages: tuple[tuple[str, datetime], ...]
    effects: tuple[str, ...]
    level: str
    sightings: tuple[int, ...]
    """Positions in `Case.sightings`."""
    key_events: tuple[int, ...] = ()
    """The few sightings that tell the story (positions in `Case.sightings`), in order of time."""
    still_active: bool | None = None
    bits: float = 0.0
    """How strongly its evidence speaks for an attack, against the `mark` that it had to reach."""
    mark: float = 0.0
    boundary: str = ""
    """Why it isn't one with the incident before it ("quiet-after-impact", "nothing-rare-shared" …)."""
    quiet_days: float | None = None
    """Days between the end of the incident before it and its own first sighting (0 where they overlap)."""


class CampaignLink(msgspec.Struct, frozen=True):
    """Rare evidence that two incidents share: kind, value, weight (bits).

    `kind` is "indicator", "tool" (a hash), "account", "infrastructure" (an address or name on the internet) or
    "artefact" (a file, service or task name). `label` is the indicator's title where the value is its id.
    """

    kind: str
    value: str
    weight: float
    incidents: tuple[str, str]
    refs: tuple[EvidenceRef, ...] = ()
    label: str = ""


class Campaign(msgspec.Struct, frozen=True, kw_only=True):
    """Incidents that rare evidence links.

    `weight` is the sum of the links' bits for the weakest pair that holds it together, against `threshold`.
    """

    id: str
    incidents: tuple[str, ...]
    links: tuple[CampaignLink, ...]
    weight: float
    threshold: float
    first: datetime
    last: datetime


class Outage(msgspec.Struct, frozen=True, kw_only=True):
    """A window in which a service answered nobody.

    From `last_served` (the last request served before) to `first_served` (the first after; None: still down
    when the log ends). `cause` is "attacker", "protective-shutdown", "maintenance", "log-lost" or
    "undetermined"; `because` are the records that say so, `reason` a code for the rule that decided:

    ====================  ===========================================================================
    attacker              ``destruction-on-host``, ``destruction-on-dependency``, ``attacker-shutdown``
    protective-shutdown   ``shutdown-by-user``, ``service-stopped-by-user``, ``shutdown-for-security``
    maintenance           ``planned-reason``, ``planned-shutdown``, ``updates``, ``recurring``
    log-lost              ``log-deleted``, ``disk-full``, ``log-cleared-host-alive``, ``file-missing``
    undetermined          ``no-evidence``, ``host-unknown``, ``unexpected-shutdown``, ``shutdown-unexplained``,
                          ``conflicting``, ``log-cleared``
    ====================  ===========================================================================

    `rate_before` is in requests a minute; `surprise` in bits: how unlikely the silence is at that rate.
    """

    id: str
    service: str
    host: str
    last_served: datetime
    first_served: datetime | None
    cause: str
    reason: str
    because: tuple[EvidenceRef, ...]
    rate_before: float
    surprise: float
    failed_requests: int = 0
    before: EvidenceRef | None = None
    after: EvidenceRef | None = None
    incident: str | None = None
    by: str = ""
    """The account that ordered it, where the evidence names one."""


class TimelineEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One dated fact with its parameters.

    Kinds: "first-access", "sighting", "impact", "incident-end", "outage", "outage-end", "claim",
    "persistence-removed", "log-cleared", "logging-stopped", "web-log-deleted", "shutdown", "shutdown-unexpected",
    "account-reset", "account-disabled", "account-deleted", "account-created".
    """

    time: datetime
    kind: str
    host: str = ""
    level: str = ""
    title: str = ""
    parameters: dict[str, str] = {}
    refs: tuple[EvidenceRef, ...] = ()
    incident: str | None = None


class OpenItem(msgspec.Struct, frozen=True, kw_only=True):
    """Something the evidence never shows finished.

    Kinds: "web-shell-not-removed", "persistence-not-removed", "account-not-reset", "account-created-not-removed",
    "service-still-down", "log-ends" (an incident's host falls silent before the others), "host-without-evidence"
    (named in an incident, nothing collected from it), "log-gap" (no web log given for a time).
    """

    kind: str
    host: str
    value: str
    since: datetime
    refs: tuple[EvidenceRef, ...]
    incident: str | None = None


class NextStep(msgspec.Struct, frozen=True, kw_only=True):
    """Something to do next: a code with parameters; priority 1 is first.

    Parameters: `value`, `host` (each may be several, joined by ", "), `count`, `since`, `incident` (number), `logs`,
    `log`, `dates`, `what`.

    Kinds: "isolate-host", "remove-web-shell", "remove-persistence", "reset-account", "remove-account",
    "restore-service", "image-host", "block-indicator", "collect-logs", "close-coverage-gap", "preserve-logs",
    "hunt-again".
    """

    kind: str
    priority: int
    parameters: dict[str, str] = {}


class CoverageRow(msgspec.Struct, frozen=True, kw_only=True):
    """What was looked at: one host and log source, from first to last event, and how many events."""

    host: str
    format: str
    channel: str
    first: datetime | None
    last: datetime | None
    events: int
    active_hours: int | None = None
    """In how many hours of that time there are events (None: not looked at)."""
    silence: tuple[datetime, datetime] | None = None
    """The longest time without an event, where it is an hour or more."""


class LogFinding(msgspec.Struct, frozen=True, kw_only=True):
    """What a log itself shows of being cleared, cut or stopped: a question to its keeper, and no hit.

    ====================  ============================================================================================
    records-missing       numbers jump within one source that has all numbers before and after; `count` records
    log-cleared           the system says so (Windows 1102, 104), `count` times; `parameters` name who did it
    log-silent            nothing for a time that is improbable for this log, while others of its host were written
    logging-stopped       the event log service stopped (1100) while the system went on
    logging-disabled      the event log service was set not to start (its registry value, or Windows 7040)
    host-silent           no log of the host for a time that is improbable for it, while other hosts' were written
    records-unreadable    as records-missing, in a source that could not be read whole
    parts-not-given       numbers are missing between sources: `count` records in `parameters["gaps"]` stretches
    ====================  ============================================================================================

    `first` and `last` are the times of the records on both sides (`last` None: until the host's logs end); `refs`
    lead to them.
    """

    kind: str
    host: str
    format: str
    channel: str
    first: datetime
    last: datetime | None
    count: int = 0
    bits: float = 0.0
    """How improbable a silence is (2 to the minus `bits`)."""
    refs: tuple[EvidenceRef, ...] = ()
    parameters: dict[str, str] = {}


class SourceRow(msgspec.Struct, frozen=True, kw_only=True):
    """A source of evidence as custody knows it."""

    path: str
    sha256: str
    size: int
    reader: str
    records: int
    unreadable: int
    first: datetime | None
    last: datetime | None


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody says in public. Never evidence.

    `act` is "accuses", "denies", "condemns", "offers", "severs", "claims-responsibility", "supports" or "reports".
    `speaker` and `target` are resolved where the text settles it ("Tehran" to "Iran", "he" to a name), and
    left as written where it doesn't; `speaker_text` is as written, the parties are the states or bodies for
    which they speak ("" where the text doesn't say). `labels` are codes: "headline", "quoted", "nominal" (only
    presupposed: "A's decision to sever ties"), "passive", "planned", "pledged", "hedged", "expulsion",
    "unnamed-state", "same-as-before", "not-independent", "finding".
    `quote` is the exact text at `offset` (characters) in `document`; `byte_offset` the same in bytes of its
    UTF-8 form. `about` names the alleged act or the claim's object in the document's own words.
    `date_text` is the date as written; `date_from`/`date_to` are set only where the text settles them.
    """

    id: str
    act: str
    speaker: str
    target: str
    about: str
    quote: str
    document: str
    offset: int
    byte_offset: int
    date_text: str = ""
    date_from: datetime | None = None
    date_to: datetime | None = None
    attributed_to: str = ""
    """Who reports the speech, where the document quotes at second hand."""
    speaker_text: str = ""
    speaker_party: str = ""
    target_party: str = ""
    labels: tuple[str, ...] = ()


class Contradiction(msgspec.Struct, frozen=True):
    """Two claims that can't both hold, and the point on which they part.

    `point` is "responsibility" (one says that `who` did it, `who` denies it), "perpetrator" (two different sides
    are named, or a state by one and an independent group by itself) or "data-taken"; `about` is the deed in the
    document's own words.
    """

    first: str
    second: str
    point: str
    about: str = ""
    who: str = ""


class AllegedIncident(msgspec.Struct, frozen=True, kw_only=True):
    """An incident that a public text alleges; `status` is always "alleged".

    `effects` are codes: "disruption", "encryption", "wiping", "theft", "leak", "defacement", "intrusion".
    """

    id: str
    what: str
    victim: str
    date_text: str
    claims: tuple[str, ...]
    quote: str
    offset: int
    date_from: datetime | None = None
    date_to: datetime | None = None
    status: str = "alleged"
    effects: tuple[str, ...] = ()


class CollectItem(msgspec.Struct, frozen=True, kw_only=True):
    """What to collect to test a claim: which logs, from which hosts, for which dates (as far as the text says)."""

    claim: str
    question: str
    logs: tuple[str, ...]
    hosts: tuple[str, ...]
    dates: str


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """All that a case holds; made by `aleat.case.build_case`, read by attribution, report and release.

    `sightings` are those that count (neither hidden nor benign context), in order of time.
    """

    id: str
    name: str
    reference_time: datetime
    sightings: tuple[Sighting, ...] = ()
    incidents: tuple[Incident, ...] = ()
    campaigns: tuple[Campaign, ...] = ()
    outages: tuple[Outage, ...] = ()
    timeline: tuple[TimelineEntry, ...] = ()
    open_items: tuple[OpenItem, ...] = ()
    next_steps: tuple[NextStep, ...] = ()
    responses: tuple[Response, ...] = ()
    """What can be done, for each incident in turn, best first (`aleat.case.responses`)."""
    coverage: tuple[CoverageRow, ...] = ()
    log_findings: tuple[LogFinding, ...] = ()
    """What the logs show of being cleared, cut or stopped, the gravest kind first."""
    sources: tuple[SourceRow, ...] = ()
    claims: tuple[Claim, ...] = ()
    contradictions: tuple[Contradiction, ...] = ()
    alleged: tuple[AllegedIncident, ...] = ()
    collect: tuple[CollectItem, ...] = ()
    open_offers: tuple[str, ...] = ()
    """Claims (by id) that offer something, and that no text shows answered or withdrawn."""
    not_in_incident: int = 0
    """Sightings left outside every incident: too weak or too common."""
