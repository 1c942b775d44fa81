"""A case as one HTML file that opens offline and loads nothing: no script, no font, no picture from elsewhere.

Every value from evidence or knowledge is escaped by the template engine and shown with `visible`, so that
neither markup nor control characters in it act. A Content-Security-Policy in the page forbids all loading.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from aleat.case.records import Case, TimelineEntry
from aleat.case.response_records import Response
from aleat.hunt.indicator import Sighting
from aleat.report.answer import first_things, hypothesis_name, link_name, make_answer
from aleat.report.logs import log_text
from aleat.report.messages import Messages, load_messages
from aleat.report.records import ReportInput
from aleat.report.responses import (
    FIRST_RESPONSES,
    begin_lines,
    giver_text,
    playbook_facts,
    reason_text,
    reasons_text,
    step_text,
)
from aleat.report.swimlane import make_swimlane
from aleat.text import clip, visible
from aleat.times import calendar_time

if TYPE_CHECKING:
    import jinja2

__all__ = ["MAX_ROWS", "entry_text", "environment", "render_html", "style"]

MAX_ROWS = 400
"""At most this many rows of a long table stand in the page; the rest is in the files beside it."""


def render_html(report: ReportInput, *, language: str = "en", beside: str = "sightings.jsonl") -> bytes:
    """Return the report as UTF-8 HTML; `beside` names the file that holds all sightings."""
    messages = load_messages(language)
    zone = ZoneInfo(report.zone)
    case = report.case
    moments = [_moment(sighting) for sighting in case.sightings]
    template = environment().get_template("report.html.j2")
    page = template.render(
        report=report,
        case=case,
        language=language,
        say=messages.say,
        say_count=messages.count,
        answer=make_answer(report, messages),
        first=first_things(case),
        responses=_by_incident(case),
        first_responses=FIRST_RESPONSES,
        told_response={
            "giver": lambda response: giver_text(response, messages),
            "why": lambda response: reasons_text(response, messages),
            "reason": lambda reason: reason_text(reason, messages),
            "facts": lambda playbook: playbook_facts(playbook, messages),
            "step": lambda step: step_text(step, messages),
            "lines": begin_lines,
        },
        swimlane=make_swimlane(case, moments),
        moments=moments,
        link_name=lambda link: link_name(link, case),
        hashes={source.path: source.sha256 for source in case.sources},
        when=lambda time: _when(time, zone),
        entry=lambda entry: entry_text(entry, messages),
        told=lambda finding: log_text(finding, messages),
        sentence=lambda section, record: _sentence(section, record, messages),
        shown_sightings=_shown(case),
        key_positions={position for incident in case.incidents for position in incident.key_events},
        matched=_short_matches,
        named=_names(report, messages),
        called=lambda hypothesis: hypothesis_name(hypothesis.name, messages),
        max_rows=MAX_ROWS,
        beside=beside,
        style=style(),
    )
    return page.encode("utf-8", errors="replace")


@cache
def environment() -> jinja2.Environment:
    """Return what renders the package's templates: everything is escaped, and made visible."""
    import jinja2  # noqa: PLC0415 (only reports need it)

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("aleat.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters["one_line"] = lambda value: " ".join(str(value).split())
    environment.filters["clip"] = lambda value, length=160: clip(visible(value), length)
    return environment


def _finalize(value: Any) -> Any:
    return visible(value) if type(value) is str else value


@cache
def style() -> Any:
    """Return the pages' style sheet."""
    import markupsafe  # noqa: PLC0415

    text = (files("aleat.report") / "templates" / "style.css").read_text(encoding="utf-8")
    return markupsafe.Markup(text)  # noqa: S704 (the package's own file)


def _moment(sighting: Sighting) -> datetime | None:
    return None if sighting.time is None else calendar_time(sighting.time)


def _when(time: datetime | None, zone: ZoneInfo) -> dict[str, str]:
    """Return a time's three texts: for machines, in UTC, and in the case's zone."""
    if time is None:
        return {"iso": "", "utc": "—", "local": ""}
    local = time.astimezone(zone)
    offset = local.strftime("%z")
    return {
        "iso": time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "utc": time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S"),
        "local": f"{local.strftime('%m-%d %H:%M')} {offset[:3]}:{offset[3:]}" if zone.key != "UTC" else "",
    }


def entry_text(entry: TimelineEntry, messages: Messages) -> str:
    """Return a timeline entry's sentence."""
    parameters = dict(entry.parameters)
    if "cause" in parameters:
        parameters["cause"] = messages.say("cause", parameters["cause"])
    if "act" in parameters:
        parameters["act"] = messages.say("act", parameters["act"])
    parameters.setdefault("title", entry.title)
    parameters.setdefault("host", entry.host)
    known = entry.kind in messages.catalogue["entry"]
    return messages.say("entry", entry.kind if known or not entry.title else "sighting", **parameters)


def _sentence(section: str, record: Any, messages: Messages) -> str:
    return messages.say(section, record.kind, **record.parameters)


def _short_matches(sighting: Sighting, most: int) -> list[tuple[str, str]]:
    """Return what made the indicator match, the shortest texts first: a whole message tells less than a field."""
    return sorted(sighting.matched, key=lambda pair: len(pair[1]))[:most]


def _by_incident(case: Case) -> dict[str, list[Response]]:
    """Return what can be done, by incident."""
    found: dict[str, list[Response]] = {}
    for response in case.responses:
        found.setdefault(response.incident, []).append(response)
    return found


def _shown(case: Case) -> tuple[int, ...]:
    """Positions of the sightings that the page shows: key events first, then the rest, in order of time."""
    key = [position for incident in case.incidents for position in incident.key_events]
    rest = [position for incident in case.incidents for position in incident.sightings]
    return tuple(sorted(list(dict.fromkeys([*key, *rest]))[:MAX_ROWS]))


def _names(report: ReportInput, messages: Messages) -> dict[str, str]:
    """Names of what the records refer to by id."""
    names = {incident.id: str(incident.number) for incident in report.case.incidents}
    for assessment in report.assessments:
        names |= {item.id: f"{item.kind}: {item.value}" for item in assessment.items}
        names |= {one.id: hypothesis_name(one.name, messages) for one in assessment.hypotheses}
    for claim in report.case.claims:
        names[claim.id] = f"{claim.speaker}: {clip(' '.join(claim.quote.split()), 120)}"
    return names
