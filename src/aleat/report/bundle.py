"""A case as a STIX 2.1 bundle: incidents, campaign, sightings, outages and assessments as objects of our own.

Strict validation lets an incident be only `related-to` a campaign, and the campaign `attributed-to` an
intrusion set or threat actor; so it is here. What STIX lacks is a note with an extension of the project's.
Objects of others (indicators, actors) are referred to, never copied: what leaves is for the gate to decide.
The same case gives the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from aleat.attribution.records import Assessment
from aleat.case.records import Case, Claim, Incident, Outage
from aleat.hunt.alerts import ALERT_PATTERN, is_alert, tool_of
from aleat.hunt.indicator import Sighting
from aleat.report.messages import Messages, load_messages
from aleat.report.records import ReportInput
from aleat.report.responses import FIRST_RESPONSES, reasons_text
from aleat.stix import StixObject, content_id, format_timestamp, make_bundle, make_object
from aleat.stix.extensions import extend, extension_definition
from aleat.times import calendar_time

__all__ = ["case_bundle", "case_objects"]

_STIX_ID = re.compile(r"(course-of-action|indicator|intrusion-set|threat-actor)--[0-9a-f-]{36}\Z")


def case_bundle(report: ReportInput, *, identity: str, markings: Iterable[str] = (), language: str = "en") -> bytes:
    """Return the case as the bytes of a bundle; `identity` is our STIX identity's id, `markings` what ours carry."""
    objects = case_objects(report, identity=identity, markings=markings, language=language)
    return make_bundle(objects, id_=content_id("bundle", report.case.id))


def case_objects(
    report: ReportInput, *, identity: str, markings: Iterable[str] = (), language: str = "en"
) -> tuple[StixObject, ...]:
    """Return the case's objects, the grouping that holds them first."""
    maker = _Maker(report.case, identity, tuple(markings), load_messages(language))
    team = make_object(
        "identity",
        identity,
        created=report.case.reference_time,
        name=report.organisation,
        identity_class="organization",
    )
    content = [*maker.incidents(), *maker.campaigns(), *maker.outages(), *maker.claims()]
    for assessment in report.assessments:
        content += maker.assessment(assessment)
    definitions = [extension_definition(name) for name in ("claim", "outage", "probability")]
    grouping = maker.make(
        "grouping",
        ["case", report.case.id],
        name=report.case.name,
        context="suspicious-activity",
        object_refs=[item.id for item in content] or [identity],
    )
    return (grouping, team, *definitions, *content)


class _Maker:
    """Makes objects of one case: same creator, same time, same markings."""

    def __init__(self, case: Case, identity: str, markings: tuple[str, ...], messages: Messages) -> None:
        self.case = case
        self.identity = identity
        self.markings = markings
        self.messages = messages
        self.known: dict[str, str] = {}
        self.raised: set[str] = set()

    def make(self, type_: str, identifying: Any, /, **properties: Any) -> StixObject:
        """Return an object whose id follows from the case and `identifying`."""
        return make_object(
            type_,
            content_id(type_, [self.case.id, identifying]),
            created=self.case.reference_time,
            created_by_ref=self.identity,
            markings=self.markings,
            **properties,
        )

    def relate(self, source: str, kind: str, target: str, **properties: Any) -> StixObject:
        """Return a relationship."""
        return self.make(
            "relationship",
            [source, kind, target],
            relationship_type=kind,
            source_ref=source,
            target_ref=target,
            **properties,
        )

    def note(self, content: Any, text: str, refs: Iterable[str], **properties: Any) -> StixObject:
        """Return a note on `refs` (the identity, where there is none)."""
        return self.make("note", content, content=text, object_refs=sorted(set(refs)) or [self.identity], **properties)

    def incidents(self) -> Iterator[StixObject]:
        """Yield incidents, and the sightings in each."""
        for incident in self.case.incidents:
            effects = ", ".join(self.messages.say("effect", effect) for effect in incident.effects)
            made = self.make(
                "incident",
                ["incident", incident.id],
                name=f"{self.case.name}: {incident.number}",
                description=f"{_second(incident.first)} – {_second(incident.last)} {effects}".strip(),
            )
            self.known[incident.id] = made.id
            yield from self.responses(incident, made.id)
            sightings = list(self._sightings(incident))
            yield made
            yield from sightings
            yield self.make(  # no relationship may begin or end at a sighting (STIX 2.1 §3.7)
                "grouping",
                ["sightings of", incident.id],
                name=f"{self.case.name}: {incident.number}",
                context="suspicious-activity",
                object_refs=[made.id, *(sighting.id for sighting in sightings)],
            )

    def responses(self, incident: Incident, made: str) -> Iterator[StixObject]:
        """Yield how an incident is related to the courses of action that stand first beside it."""
        fitting = [response for response in self.case.responses if response.incident == incident.id]
        for response in fitting[:FIRST_RESPONSES]:
            if _STIX_ID.match(response.course):
                yield self.relate(
                    made, "related-to", response.course, description=reasons_text(response, self.messages)
                )

    def _sightings(self, incident: Incident) -> Iterator[StixObject]:
        groups: dict[str, list[Sighting]] = {}
        for position in incident.sightings:
            sighting = self.case.sightings[position]
            if _STIX_ID.match(sighting.ref):
                groups.setdefault(sighting.ref, []).append(sighting)
        for ref, group in sorted(groups.items()):
            if is_alert(group[0]) and ref not in self.raised:
                self.raised.add(ref)
                yield self.raised_rule(group[0])
            times = sorted(sighting.time for sighting in group if sighting.time is not None)
            yield self.make(
                "sighting",
                ["sighting", incident.id, ref],
                sighting_of_ref=ref,
                where_sighted_refs=[self.identity],
                count=min(len(group), 999_999_999),
                first_seen=calendar_time(times[0]) if times else None,
                last_seen=calendar_time(times[-1]) if times else None,
            )

    def raised_rule(self, sighting: Sighting) -> StixObject:
        """Return the indicator that another tool's rule is, by what the first of its alerts says."""
        name = f"{tool_of(sighting)}: {sighting.title}"
        return make_object(
            "indicator",
            sighting.ref,
            created=self.case.reference_time,
            created_by_ref=self.identity,
            markings=self.markings,
            name=name,
            description="A rule of another tool, known by the alerts that it raised.",
            indicator_types=["unknown"],
            pattern=name,
            pattern_type=ALERT_PATTERN,
            valid_from=format_timestamp(self.case.reference_time),
        )

    def campaigns(self) -> Iterator[StixObject]:
        """Yield campaigns and their incidents."""
        for campaign in self.case.campaigns:
            made = self.make(
                "campaign",
                ["campaign", campaign.id],
                name=self.case.name,
                first_seen=campaign.first,
                last_seen=campaign.last,
            )
            self.known[campaign.id] = made.id
            yield made
            for incident in campaign.incidents:
                if incident in self.known:
                    yield self.relate(self.known[incident], "related-to", made.id)

    def outages(self) -> Iterator[StixObject]:
        """Yield a note for each outage."""
        for outage in self.case.outages:
            refs = [self.known[outage.incident]] if outage.incident in self.known else []
            text = self.messages.say(
                "entry", "outage", service=outage.service, cause=self.messages.say("cause", outage.cause)
            )
            yield self.note(["outage", outage.id], text, refs, extensions=extend("outage", _outage_content(outage)))

    def claims(self) -> Iterator[StixObject]:
        """Yield a note for each claim."""
        for claim in self.case.claims:
            yield self.note(["claim", claim.id], claim.quote, [], extensions=extend("claim", _claim_content(claim)))

    def assessment(self, assessment: Assessment) -> Iterator[StixObject]:
        """Yield the note of an assessment, and whom a campaign is attributed to where it says so."""
        subject = self.known.get(assessment.subject)
        best = assessment.hypotheses[0] if assessment.hypotheses else None
        assessed = assessment.verdict == "assessed" and best is not None
        text = (
            f"{best.name}: {self.messages.say('icd203', best.words)} ({100 * best.posterior:.0f} %)"
            if assessed and best
            else self.messages.say("verdict", assessment.verdict_reason)
        )
        basis = self.note(
            ["assessment", assessment.kind, assessment.subject],
            text,
            [subject] if subject else [],
            extensions=extend("probability", _assessment_content(assessment)),
        )
        yield basis
        if assessed and best and subject and subject.startswith("campaign--") and _STIX_ID.match(best.ref):
            yield self.relate(  # where its basis may not leave, neither may what was worked out from it
                subject,
                "attributed-to",
                best.ref,
                confidence=round(100 * best.posterior),
                external_references=[{"source_name": "assessment", "external_id": basis.id}],
            )


def _second(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"


def _outage_content(outage: Outage) -> dict[str, Any]:
    content: dict[str, Any] = {
        "service": outage.service,
        "last_served": format_timestamp(outage.last_served),
        "cause": outage.cause,
        "reason": outage.reason,
        "rate_before": round(outage.rate_before, 3),
        "failed_requests": outage.failed_requests,
    }
    if outage.first_served:
        content["first_served"] = format_timestamp(outage.first_served)
    return content


def _claim_content(claim: Claim) -> dict[str, Any]:
    content = {
        "act": claim.act,
        "speaker": claim.speaker,
        "target": claim.target,
        "quote": claim.quote,
        "document": claim.document,
        "offset": claim.offset,
    }
    return {key: value for key, value in content.items() if value != ""}


def _assessment_content(assessment: Assessment) -> dict[str, Any]:
    leader = assessment.hypotheses[0].id if assessment.hypotheses else ""
    bits = {weight.item: weight.bits for weight in assessment.weights if weight.hypothesis == leader}
    names = {hypothesis.id: hypothesis.name for hypothesis in assessment.hypotheses}
    without = {change.item: change for change in assessment.sensitivity}
    items = []
    for item in assessment.items:
        row: dict[str, Any] = {
            "kind": item.kind,
            "value": item.value,
            "bits_for_leader": round(bits.get(item.id, 0), 3),
        }
        if change := without.get(item.id):
            row["leader_without"] = names.get(change.leader, change.leader)
            row["probability_without"] = round(change.posterior, 4)
        items.append(row)
    return {
        "level": assessment.kind,
        "verdict": assessment.verdict,
        "reason": assessment.verdict_reason,
        "confidence": assessment.confidence,
        "hypotheses": [
            {
                "name": hypothesis.name,
                **({"ref": hypothesis.ref} if hypothesis.ref else {}),
                "probability": round(hypothesis.posterior, 4),
                "words": hypothesis.words,
                "bits": round(hypothesis.bits, 3),
                **({"sponsor_suspected": True} if hypothesis.sponsor_suspected else {}),
                **({"sponsor_sources": list(hypothesis.sponsor_sources)} if hypothesis.sponsor_sources else {}),
            }
            for hypothesis in assessment.hypotheses
        ],
        "items": items,
    }
