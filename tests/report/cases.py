"""Small cases, made by hand, for the tests of the report."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from aleat.attribution.records import Assessment, EvidenceItem, Hypothesis, Sensitivity, Weight
from aleat.case.records import (
    Account,
    AllegedIncident,
    Campaign,
    CampaignLink,
    Case,
    Claim,
    CollectItem,
    CoverageRow,
    EvidenceRef,
    Incident,
    NextStep,
    OpenItem,
    Outage,
    SourceRow,
    TimelineEntry,
)
from aleat.hunt.indicator import Sighting
from aleat.hunt.result import RuleCounts
from aleat.report.records import ReportInput

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
START = datetime(2022, 7, 15, 6, 0, tzinfo=UTC)
HASH = "ab" * 32


def microseconds(time: datetime) -> int:
    """Microseconds since the epoch."""
    return (time - EPOCH) // timedelta(microseconds=1)


def sighting(
    minutes: int, host: str, title: str = "Ransom note written", level: str = "high", **more: object
) -> Sighting:
    """A sighting some minutes after the start."""
    values: dict[str, object] = {
        "indicator": "6d9c4f4e-0000-4000-8000-000000000001",
        "title": title,
        "level": level,
        "author": "Aleat's tests",
        "evidence": f"logs/{host}.jsonl",
        "record": minutes,
        "offset": 512 * minutes,
        "event": f"{host}-{minutes}",
        "time": microseconds(START + timedelta(minutes=minutes)),
        "host": host,
        "fields": {"Image": r"C:\Temp\x.exe"},
        "source": "Ally",
        "matched": (("Image", r"C:\Temp\x.exe"),),
    }
    return Sighting(**{**values, **more})  # type: ignore[arg-type]


def full_report(**changes: object) -> ReportInput:
    """A report in which every section has something to say."""
    sightings = (
        sighting(-600_000, "SP01", "Web shell requested", "medium"),
        *(sighting(i * 7, f"HOST{i:02}", level=("low", "high", "critical")[i % 3]) for i in range(12)),
        *(sighting(80_000 + i * 5, f"POLICE{i}", "Wiper driver loaded", "critical") for i in range(3)),
    )
    ref = EvidenceRef("logs/HOST01.jsonl", HASH, 7, 3584, "HOST01-7")
    first = Incident(
        id="incident--00000000-0000-4000-8000-000000000001",
        number=1,
        first=START - timedelta(minutes=600_000),
        last=START + timedelta(minutes=77),
        hosts=("SP01", *(f"HOST{i:02}" for i in range(12))),
        accounts=(Account("svc.backup", "GOV"),),
        indicators=("6d9c4f4e-0000-4000-8000-000000000001",),
        techniques=("T1190", "T1486"),
        stages=(("initial-access", START - timedelta(minutes=600_000)),),
        effects=("access", "encryption"),
        level="critical",
        sightings=tuple(range(13)),
        key_events=(0, 3, 6),
    )
    second = Incident(
        id="incident--00000000-0000-4000-8000-000000000002",
        number=2,
        first=START + timedelta(minutes=80_000),
        last=START + timedelta(minutes=80_010),
        hosts=("POLICE0", "POLICE1", "POLICE2"),
        accounts=(),
        indicators=("6d9c4f4e-0000-4000-8000-000000000001",),
        techniques=("T1561.002",),
        stages=(("impact", START + timedelta(minutes=80_000)),),
        effects=("wiping",),
        level="critical",
        sightings=(13, 14, 15),
        key_events=(13,),
        still_active=True,
    )
    outages = (
        Outage(
            id="o1",
            service="portal",
            host="WEB01",
            last_served=START + timedelta(minutes=30),
            first_served=START + timedelta(days=3),
            cause="attacker",
            reason="destructive-sighting",
            because=(ref,),
            rate_before=2.4,
            surprise=900.0,
            failed_requests=3,
            before=ref,
            after=ref,
        ),
        Outage(
            id="o2",
            service="mail",
            host="MAIL01",
            last_served=START + timedelta(minutes=90),
            first_served=None,
            cause="protective-shutdown",
            reason="planned-shutdown",
            because=(ref,),
            rate_before=5.0,
            surprise=1200.0,
        ),
    )
    link = CampaignLink("tool", "rwdsk.sys", 14.2, (first.id, second.id), (ref,))
    claim = Claim(
        id="claim-1",
        act="accuses",
        speaker="The prime minister",
        target="State A",
        about="the attack",
        quote="“It was State A.”",
        document="news.txt",
        offset=10,
        byte_offset=10,
        date_text="on Wednesday",
    )
    case = Case(
        id="grouping--00000000-0000-4000-8000-000000000003",
        name="Two waves",
        reference_time=START + timedelta(days=90),
        sightings=sightings,
        incidents=(first, second),
        campaigns=(
            Campaign(
                id="campaign--00000000-0000-4000-8000-000000000004",
                incidents=(first.id, second.id),
                links=(link,),
                weight=14.2,
                threshold=10.0,
                first=first.first,
                last=second.last,
            ),
        ),
        outages=outages,
        timeline=tuple(
            TimelineEntry(
                time=START + timedelta(minutes=i * 7),
                kind="sighting",
                host=f"HOST{i:02}",
                level="high",
                title="Ransom note written",
                refs=(ref,),
            )
            for i in range(12)
        ),
        open_items=(
            OpenItem(kind="persistence-not-removed", host="SP01", value="task Updater", since=START, refs=(ref,)),
        ),
        next_steps=(
            NextStep(kind="remove-persistence", priority=1, parameters={"host": "SP01", "value": "task Updater"}),
        ),
        coverage=(
            CoverageRow(host="SP01", format="windows", channel="Security", first=START, last=START, events=10),
            CoverageRow(host="WEB01", format="iis", channel="", first=START, last=START, events=10),
        ),
        sources=(
            SourceRow(
                path="logs/HOST01.jsonl",
                sha256=HASH,
                size=1000,
                reader="windows-json",
                records=10,
                unreadable=0,
                first=START,
                last=START,
            ),
        ),
        claims=(claim,),
        alleged=(
            AllegedIncident(
                id="a1",
                what="attack",
                victim="the police",
                date_text="Friday",
                claims=("claim-1",),
                quote="q",
                offset=3,
            ),
        ),
        collect=(CollectItem(claim="claim-1", question="Was it hit?", logs=("web logs",), hosts=(), dates=""),),
    )
    item = EvidenceItem(id="i1", kind="malware", value="wiper", rarity=0.01, refs=(ref,), givers=("Ally",), group="g1")
    hypotheses = tuple(
        Hypothesis(
            id=f"h{i}", kind="sponsor", name=name, ref="", prior=0.3, posterior=posterior, words=words, bits=bits
        )
        for i, (name, posterior, words, bits) in enumerate(
            [("State A", 0.9, "very likely", 5.0), ("somebody else", 0.1, "very unlikely", 0.0)]
        )
    )
    assessment = Assessment(
        kind="sponsor",
        subject=case.campaigns[0].id,
        verdict="assessed",
        verdict_reason="",
        hypotheses=hypotheses,
        items=(item,),
        weights=(Weight("i1", "h0", 5.0, "profile-uses"),),
        sensitivity=(Sensitivity("i1", "h1", 0.6, True),),
        confidence="moderate",
    )
    values: dict[str, object] = {
        "case": case,
        "assessments": (assessment,),
        "organisation": "CERT Example",
        "version": "0",
        "made": START,
        "zone": "Europe/Tirane",
        "events": 1000,
        "rules": RuleCounts(loaded=10, evaluated=9, fired=2, rejected=1),
        "givers": ("Ally",),
    }
    return ReportInput(**{**values, **changes})  # type: ignore[arg-type]
