"""What can be done against an incident: the playbooks and courses of action of allies and public corpora that fit it.

Something fits by what the incident shows: the techniques of its sightings, the malware and tools that its indicators
indicate, vulnerabilities that its rules name, and, weakest, its tactics. A course of action says what it is against
by a relationship (STIX 2.1 §4.2: mitigates, remediates), by what it names (labels, external references), or as a
playbook by what was read of it. Each reason leads to the first sighting behind it. Nothing is judged here, and nothing
is run: who gave it, under which marking, and why it fits is told, and people decide.

Playbooks come first, an ally's before a public one's; then allies' courses of action; then those of public corpora
(ATT&CK's mitigations) by how many of the incident's techniques they cover. What is revoked, or deprecated by
ATT&CK, is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from aleat.case.records import Case, Incident
from aleat.case.response_records import Response, ResponseGiver, ResponseReason
from aleat.case.tactics import techniques_of
from aleat.hunt.indicator import Sighting
from aleat.knowledge.names import Names, read_names
from aleat.knowledge.playbooks import Playbook, render_playbook
from aleat.knowledge.playbooks.steps import FIELD_EXTENSION
from aleat.knowledge.playbooks.subjects import Subjects, read_subjects
from aleat.stix.extensions import read_extension
from aleat.stix.objects import StixObject
from aleat.stix.times import is_timestamp, parse_timestamp
from aleat.store.objects import StoredObject
from aleat.times import calendar_time
from aleat.trust.markings import effective_markings

__all__ = ["fit_responses", "is_about_responses"]

_TYPES = frozenset({"attack-pattern", "course-of-action", "malware", "marking-definition", "tool", "vulnerability"})
_RELATIONS = frozenset({"mitigates", "remediates", "indicates"})

_MOST = 200
_CVE_TAG = re.compile(r"cve[.-](\d{4})[.-](\d{4,19})", re.IGNORECASE)
_SOFTWARE = ("malware", "tool")
_TEXT = 2_000


class _Course(msgspec.Struct, frozen=True):
    """A course of action, and what it says that it is against."""

    stored: StoredObject
    playbook: Playbook | None
    subjects: Subjects
    related: tuple[str, ...] = ()


class _Shown(msgspec.Struct):
    """What one incident shows: each thing → the position of its first sighting."""

    techniques: dict[str, int]
    vulnerabilities: dict[str, int]
    ids: dict[str, int]
    names: dict[str, tuple[str, int]]
    tactics: dict[str, int]


def fit_responses(case: Case, found: Iterable[StoredObject], *, givers: Mapping[str, str] | None = None) -> Case:
    """Return the case with what can be done against each incident, best first, at most 200 for one.

    `found` are stored objects in any order (those that `is_about_responses` says); `givers` maps a giver's identity
    to its name.
    """
    stored = [one for one in found if is_about_responses(one.object)]
    if not case.incidents or not any(one.object.type == "course-of-action" for one in stored):
        return case
    knowledge = _Knowledge(stored, givers or {})
    fitting = [
        response
        for incident in case.incidents
        for response in knowledge.responses(incident, case.sightings, case.reference_time)
    ]
    return msgspec.structs.replace(case, responses=tuple(fitting))


def is_about_responses(item: StixObject) -> bool:
    """Say whether an object is one of those that `fit_responses` looks at."""
    return item.type in _TYPES or (item.type == "relationship" and item.relationship_type in _RELATIONS)


class _Knowledge:
    """Courses of action, and what they are related to."""

    def __init__(self, stored: Sequence[StoredObject], givers: Mapping[str, str]) -> None:
        self.givers = givers
        self.objects = {one.object.id: one.object for one in stored}
        self.names: Names = read_names(stored, givers=givers)
        self.courses = {one.object.id: _course(one) for one in stored if _is_offered(one.object)}
        self.against: dict[str, list[tuple[str, str]]] = {}
        self.indicates: dict[str, list[str]] = {}
        for item in self.objects.values():
            if item.type != "relationship" or item.revoked or not item.source_ref or not item.target_ref:
                continue
            if item.relationship_type == "indicates":
                self.indicates.setdefault(item.source_ref, []).append(item.target_ref)
            elif item.relationship_type in _RELATIONS and item.source_ref in self.courses:
                self.against.setdefault(item.target_ref, []).append((item.source_ref, item.relationship_type))

    def responses(self, incident: Incident, hits: Sequence[Sighting], now: datetime) -> list[Response]:
        """Return what fits one incident, best first."""
        shown = self._shown(incident, hits)
        reasons: dict[str, set[ResponseReason]] = {}
        for course, reason in (*self._related(shown), *self._named(shown)):
            reasons.setdefault(course, set()).add(reason)
        made = [self._response(incident, course, why, hits, now) for course, why in reasons.items()]
        return sorted(made, key=_rank)[:_MOST]

    def _shown(self, incident: Incident, hits: Sequence[Sighting]) -> _Shown:
        shown = _Shown({}, {}, {}, {}, {tactic: -1 for tactic, _ in incident.stages})
        for position in incident.sightings:
            hit = hits[position]
            for technique in techniques_of(hit):
                shown.techniques.setdefault(technique, position)
            for tag in hit.tags:
                if match := _CVE_TAG.fullmatch(tag):
                    shown.vulnerabilities.setdefault(f"CVE-{match[1]}-{match[2]}", position)
                tactic = tag[7:].replace("_", "-").lower()
                if tag.lower().startswith("attack.") and shown.tactics.get(tactic) == -1:
                    shown.tactics[tactic] = position
            for ref in dict.fromkeys((hit.ref, hit.indicator)):
                shown.ids.setdefault(ref, position)
                for target in sorted(self.indicates.get(ref, ())):
                    shown.ids.setdefault(target, position)
                    self._note(shown, target, position)
        return shown

    def _note(self, shown: _Shown, target: str, position: int) -> None:
        """Note the names of what an indicator indicates: software by name, alias and kind; vulnerabilities by id."""
        item = self.objects.get(target)
        if item is None or not item.name:
            return
        if item.type == "vulnerability":
            shown.vulnerabilities.setdefault(item.name.upper(), position)
        elif item.type in _SOFTWARE:
            properties = item.properties()
            for name in (item.name, *_words(properties, "aliases"), *_words(properties, "malware_types")):
                shown.names.setdefault(name.casefold(), (name, position))

    def _related(self, shown: _Shown) -> Iterator[tuple[str, ResponseReason]]:
        """Yield (course, reason) by relationships."""
        for one in self.names.mitigations_of(shown.techniques):
            if one.action.id in self.courses:
                position = shown.techniques[one.technique]
                name = self.names.technique_name(one.technique)
                says = one.description[:_TEXT]
                yield one.action.id, ResponseReason("technique", one.technique, "mitigates", name, position, says=says)
        for target, position in shown.ids.items():
            item = self.objects.get(target)
            kind = "software" if item and item.type in _SOFTWARE else "vulnerability"
            for course, how in self.against.get(target, ()):
                if target.startswith("indicator--"):
                    yield course, ResponseReason("indicator", "", how, "", position)
                elif item is not None and item.type != "attack-pattern":
                    yield course, ResponseReason(kind, item.name or target, how, "", position)

    def _named(self, shown: _Shown) -> Iterator[tuple[str, ResponseReason]]:
        """Yield (course, reason) by what courses of action name."""
        for id_, course in self.courses.items():
            subjects = course.subjects
            for technique, position in shown.techniques.items():
                if technique in subjects.techniques or technique.partition(".")[0] in subjects.techniques:
                    name = self.names.technique_name(technique)
                    yield id_, ResponseReason("technique", technique, "names", name, position)
            for vulnerability in subjects.vulnerabilities:
                if vulnerability in shown.vulnerabilities:
                    position = shown.vulnerabilities[vulnerability]
                    yield id_, ResponseReason("vulnerability", vulnerability, "names", "", position)
            for word in subjects.names:
                if word.casefold() in shown.names:
                    name, position = shown.names[word.casefold()]
                    yield id_, ResponseReason("software", name, "names", "", position)
            for target in course.related:
                if target in shown.ids:
                    item = self.objects.get(target)
                    yield id_, ResponseReason("related", (item and item.name) or "", "names", "", shown.ids[target])
            for tactic in subjects.tactics:
                if tactic in shown.tactics:
                    yield id_, ResponseReason("tactic", tactic, "names", "", shown.tactics[tactic])

    def _response(
        self, incident: Incident, id_: str, why: set[ResponseReason], hits: Sequence[Sighting], now: datetime
    ) -> Response:
        course = self.courses[id_]
        item = course.stored.object
        properties = item.properties()
        return Response(
            incident=incident.id,
            course=id_,
            name=item.name or id_,
            catalogue_id="" if course.playbook else _catalogue_id(self.names, id_),
            description=(item.description or "")[:_TEXT],
            kind="playbook" if course.playbook else "course-of-action",
            state=_state(properties, now),
            givers=self._givers(course.stored),
            public=all(copy.corpus for copy in course.stored.copies),
            reasons=tuple(sorted(_placed(_strongest(why), hits), key=_order)),
            playbook=course.playbook,
        )

    def _givers(self, stored: StoredObject) -> tuple[ResponseGiver, ...]:
        found = set()
        for copy in stored.copies:
            marked = effective_markings(stored.object, self.objects.get, beside=copy.markings)
            names = tuple(sorted({marking.name for marking in marked.all}))
            found.add(ResponseGiver(copy.corpus or self.givers.get(copy.giver, copy.giver), names))
        return tuple(sorted(found))


def _is_offered(item: StixObject) -> bool:
    if item.type != "course-of-action" or item.revoked:
        return False
    return b"x_mitre_deprecated" not in item.content or not item.properties().get("x_mitre_deprecated")


def _course(stored: StoredObject) -> _Course:
    item = stored.object
    properties = item.properties()
    ours = read_extension(item, "playbook")
    playbook = render_playbook(item)
    if ours is not None:
        names = {name: tuple(_words(ours, name)) for name in Subjects.__struct_fields__}
        return _Course(stored, playbook, Subjects(**names), tuple(_words(ours, "related_to")))
    references = properties.get("external_references")
    outer = {
        "labels": [*_words(properties, "labels"), *_words(item.extension(FIELD_EXTENSION) or {}, "labels")],
        "external_references": [
            {"external_id": one.get("external_id"), "url": one.get("url")}
            for one in (references if isinstance(references, list) else ())
            if isinstance(one, dict)
        ],
    }
    return _Course(stored, playbook, read_subjects(outer))


def _words(properties: Mapping[str, Any], name: str) -> list[str]:
    value = properties.get(name)
    return [word for word in value if isinstance(word, str)] if isinstance(value, list) else []


def _strongest(why: set[ResponseReason]) -> list[ResponseReason]:
    """Of several reasons about one thing keep one: a relationship says more than a name."""
    kept: dict[tuple[str, str], ResponseReason] = {}
    for reason in sorted(why, key=lambda one: (one.how == "names", one.kind, one.value, one.sighting, one.says)):
        kept.setdefault((reason.kind, reason.value), reason)
    return list(kept.values())


def _placed(why: Iterable[ResponseReason], hits: Sequence[Sighting]) -> Iterator[ResponseReason]:
    """Yield reasons with the host and time of the sighting behind each."""
    for reason in why:
        if reason.sighting < 0:
            yield reason
            continue
        hit = hits[reason.sighting]
        time = None if hit.time is None else calendar_time(hit.time)
        value = reason.value or hit.title
        yield msgspec.structs.replace(reason, value=value, host=hit.host, time=time)


_KINDS = ("technique", "software", "vulnerability", "indicator", "related", "tactic")


def _order(reason: ResponseReason) -> tuple[int, str, str]:
    return _KINDS.index(reason.kind), reason.value, reason.how


def _rank(response: Response) -> tuple[int, bool, int, int, str, str]:
    strong = sum(reason.kind != "tactic" for reason in response.reasons)
    group = 0 if response.kind == "playbook" else 2 if response.public else 1
    return group, response.public, -strong, -len(response.reasons), response.name.casefold(), response.course


def _catalogue_id(names: Names, id_: str) -> str:
    named = names.get(id_)
    return named.catalogue_id if named else ""


def _state(properties: Mapping[str, Any], now: datetime) -> str:
    """Return "expired", "not-yet-valid" or "", by the field's extension for playbooks."""
    extensions = properties.get("extensions")
    field = extensions.get(FIELD_EXTENSION) if isinstance(extensions, dict) else None
    if not isinstance(field, dict):
        return ""
    until, since = (field.get(f"playbook_valid_{end}") for end in ("until", "from"))
    if isinstance(until, str) and is_timestamp(until) and parse_timestamp(until) <= now:
        return "expired"
    if isinstance(since, str) and is_timestamp(since) and parse_timestamp(since) > now:
        return "not-yet-valid"
    return ""
