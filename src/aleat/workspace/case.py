"""The verbs that answer: build the case, assess who, write the report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from aleat import __version__
from aleat.attribution import assess, profiles
from aleat.attribution.records import Assessment
from aleat.case import build_case, fit_responses, indicator_tags, is_about_responses, requests_table
from aleat.case.claims import ClaimsResult, read_claims
from aleat.case.records import Case, CoverageRow, SourceRow
from aleat.case.requests import request_columns, request_formats
from aleat.errors import InputError, Issue, TrustError
from aleat.evidence import NOTE_CODES, EventBatch, read_segment
from aleat.exchange import Desk, NotLookedAt, Sent, answer, findings_of_hunt, rule_ids
from aleat.exchange.beside import FindingRow, findings_beside
from aleat.exchange.findings import with_reasons
from aleat.exchange.overview import delivered_indicators, open_answer
from aleat.hunt.result import HuntResult
from aleat.release import Victim
from aleat.report import Answer, ReportInput, case_bundle, load_messages, make_answer, render_html
from aleat.store.allies import find_ally
from aleat.store.database import Connection
from aleat.store.dismissals import read_dismissals
from aleat.store.files import replacing, write_file
from aleat.store.lake import Lake
from aleat.store.objects import iterate_objects
from aleat.times import calendar_time
from aleat.trust.markings import marking_id
from aleat.workspace.activity import log_activity
from aleat.workspace.asking import message_id
from aleat.workspace.assumptions import lake_assumptions
from aleat.workspace.clocks import ClockVerbs
from aleat.workspace.evidence import open_lake
from aleat.workspace.exchange import ExchangeVerbs
from aleat.workspace.hunt import write_sightings
from aleat.workspace.knowledge import statements
from aleat.workspace.knowledge_view import known_sightings
from aleat.workspace.progress import Progress, silent
from aleat.workspace.results import ReportFiles

__all__ = ["BuiltCase", "CaseVerbs"]

_SIMULATION = "simulation"
_WITH_GIVERS = ("indicator", "intrusion-set", "relationship", "malware")
"""Types of objects whose givers the assessment weighs."""


class BuiltCase(msgspec.Struct, frozen=True, kw_only=True):
    """A case, who is behind it, and all that a report tells."""

    report: ReportInput
    hunt: HuntResult

    @property
    def case(self) -> Case:
        """The case itself."""
        return self.report.case

    @property
    def attribution(self) -> tuple[Assessment, ...]:
        """Who: sponsor first, then group."""
        return self.report.assessments

    def answer(self, language: str = "en") -> Answer:
        """Return the one-paragraph answer."""
        return make_answer(self.report, load_messages(language))


class CaseVerbs(ClockVerbs, ExchangeVerbs):
    """From what was hunted to an answer, our own and the one to an ally."""

    def build_case(self, name: str = "", *, workers: int | None = None, progress: Progress = silent) -> BuiltCase:
        """Hunt for what was not hunted for yet, and build the case from all that is there."""
        hunt = self.hunt(workers=workers, progress=progress)
        lake = open_lake(self)
        now = self.now()
        with self.read() as connection:
            names = self.names(connection)
            objects: list[dict[str, Any]] = []
            givers: dict[str, list[str]] = {}
            offered = []
            for stored in iterate_objects(connection):
                objects.append(stored.object.properties())
                if stored.object.type in _WITH_GIVERS:
                    givers[stored.object.id] = sorted({names.get(copy.giver, copy.giver) for copy in stored.copies})
                if is_about_responses(stored.object):
                    offered.append(stored)
            texts = list(statements(connection))
        issues = [issue for issue in (*lake.issues(), *hunt.issues) if issue.code not in NOTE_CODES]
        claims = _claims(texts, now, issues)
        corrected = self.corrected()
        case = build_case(
            name=name or self.config.organisation,
            reference_time=now,
            sightings=corrected.sightings(row for row in hunt.sightings if row.hidden_by is None),
            requests=corrected.requests(requests_table(_web_batches(lake))),
            coverage=corrected.coverage(_coverage(lake)),
            logs=log_activity(self, lake, progress),
            sources=_sources(lake),
            claims_result=claims,
            tags=indicator_tags(objects),
        )
        case = fit_responses(case, offered, givers=names)
        victim = [name for name in (self.config.country, self.config.sector, self.config.organisation) if name]
        report = ReportInput(
            case=case,
            assessments=assess(case, profiles(objects, givers=givers), victim=victim),
            organisation=self.config.organisation,
            version=__version__,
            made=now,
            zone=self.config.zone,
            events=hunt.events,
            rules=hunt.rules,
            issues=tuple(issues),
            not_evaluated=hunt.not_evaluated,
            assumptions=(*lake_assumptions(lake), *corrected.assumptions()),
            heads=self.heads(),
            hidden=hunt.tally.hidden,
            forgotten=lake.count_sources(forgotten=True),
            findings=self.findings_beside(hunt=hunt),
            simulation=_is_simulation(objects, texts),
        )
        return BuiltCase(report=report, hunt=hunt)

    def report(
        self, folder: str | Path | None = None, *, language: str = "en", built: BuiltCase | None = None, name: str = ""
    ) -> ReportFiles:
        """Write the report, the case as a STIX bundle, and all sightings; returns where they are."""
        built = built or self.build_case(name)
        target = Path(folder) if folder else self.folder / "reports"
        target.mkdir(parents=True, exist_ok=True)
        files = ReportFiles(
            html=target / "report.html", bundle=target / "case.json", sightings=target / "sightings.jsonl"
        )
        marking = marking_id(f"tlp:{self.config.default_marking}")
        with replacing(files.sightings) as path:
            write_sightings(built.case.sightings, path, "jsonl")
        write_file(files.bundle, case_bundle(built.report, identity=self.config.identity, markings=[marking]))
        write_file(files.html, render_html(built.report, language=language, beside=files.sightings.name))
        return files

    def answer(
        self,
        delivery: str | None = None,
        folder: str | Path | None = ".",
        *,
        to: str | None = None,
        remarks: str = "",
        outcome: str | None = None,
        lessons: str = "",
        approver: str | None = None,
    ) -> Path:
        """Send back what was found with a delivery (default: the latest of the ally `to`); an `outcome` closes it."""
        facts = self.answer_facts()

        def act(desk: Desk) -> Sent:
            chosen = delivery and (message_id(desk.connection, delivery) or delivery)
            if chosen is None and to is not None:
                chosen = open_answer(desk.connection, desk.own, find_ally(desk.connection, to).card.identity)
            if chosen is None:
                raise TrustError("There is no delivery to answer. See: aleat asks.")
            return answer(
                desk,
                chosen,
                remarks=remarks,
                outcome=outcome,
                lessons=lessons,
                approver=approver,
                **facts(desk.connection, chosen),
            )

        return self._send(folder, act)

    def answer_facts(self) -> Callable[[Connection, str], dict[str, Any]]:
        """Return a function that gives findings, coverage, gaps and victim for an answer to a delivery."""
        hunt = self.hunt()
        coverage = _coverage(open_lake(self))
        lost = [issue for issue in open_lake(self).issues() if issue.code not in NOTE_CODES]
        gaps = [NotLookedAt(what=f"{len(lost)} files or byte ranges", reason="unreadable")] if lost else []

        def facts(connection: Connection, delivery: str) -> dict[str, Any]:
            indicators = delivered_indicators(connection, delivery)
            found = findings_of_hunt(
                indicators, hunt.sightings, hunt.not_evaluated, rule_ids=rule_ids(connection, indicators)
            )
            return {
                "findings": with_reasons(found, _dismissal_reasons(connection)),
                "coverage": coverage,
                "not_looked_at": gaps,
                "victim": Victim(name=self.config.organisation, sector=self.config.sector, country=self.config.country),
                "engine": f"aleat {__version__}",
            }

        return facts

    def findings_beside(self, only: str | None = None, *, hunt: HuntResult | None = None) -> tuple[FindingRow, ...]:
        """Return what allies found (with `only` that indicator's id), each indicator's own finding of ours first.

        Ours is what hunts found until now (or `hunt`); nothing is hunted for.
        """
        with self.read() as connection:
            if not any(True for _ in iterate_objects(connection, ["sighting"])):
                return ()
        known = hunt or known_sightings(self)[0]
        coverage = _coverage(open_lake(self))
        with self.read() as connection:
            return findings_beside(
                connection,
                self.config.identity,
                known.sightings if known is not None else (),
                known.not_evaluated if known is not None else (),
                coverage,
                hunted=known is not None,
                only=only,
                reasons=_dismissal_reasons(connection),
            )


def _dismissal_reasons(connection: Connection) -> dict[str, str]:
    return {row.id: row.reason for row in read_dismissals(connection)}


def _at(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else calendar_time(microseconds)


def _web_batches(lake: Lake) -> Iterator[EventBatch]:
    for segment in lake.segments():
        if request_formats() & set(segment.formats):
            yield from read_segment(lake, segment, request_columns())


def _coverage(lake: Lake) -> list[CoverageRow]:
    return [
        CoverageRow(
            host=row.host,
            format=row.format,
            channel=row.channel,
            first=_at(row.first),
            last=_at(row.last),
            events=row.events,
        )
        for row in lake.coverage()
    ]


def _sources(lake: Lake) -> list[SourceRow]:
    return [
        SourceRow(
            path=row.facts.path,
            sha256=row.sha256 or "",
            size=row.size or 0,
            reader=f"{row.facts.reader} {row.facts.reader_version}",
            records=row.records,
            unreadable=row.issues,
            first=_at(row.first),
            last=_at(row.last),
        )
        for row in lake.sources()
    ]


def _claims(texts: list[tuple[str, str]], now: datetime, issues: list[Issue]) -> ClaimsResult | None:
    """Read the claims of every public statement, and join them."""
    results = []
    for document, text in texts:
        try:
            results.append(read_claims(text, document, reference_time=now))
        except InputError as error:
            issues.append(error.issue("claims", document))
    if not results:
        return None
    return ClaimsResult(
        claims=tuple(claim for result in results for claim in result.claims),
        contradictions=tuple(item for result in results for item in result.contradictions),
        alleged=tuple(item for result in results for item in result.alleged),
        collect=tuple(item for result in results for item in result.collect),
        open_offers=tuple(item for result in results for item in result.open_offers),
    )


def _is_simulation(objects: list[dict[str, Any]], texts: list[tuple[str, str]]) -> bool:
    """Say whether any of the material says of itself that it is a simulation (by a label)."""
    labelled = any(_SIMULATION in (item.get("labels") or ()) for item in objects)
    return labelled or any(text.lstrip().casefold().startswith(_SIMULATION) for _, text in texts)
