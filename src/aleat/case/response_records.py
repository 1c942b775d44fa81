"""What can be done against an incident, as typed records: frozen, pure data, with codes instead of prose."""

from __future__ import annotations

from datetime import datetime

import msgspec

from aleat.knowledge.playbooks.steps import Playbook

__all__ = ["Response", "ResponseGiver", "ResponseReason"]


class ResponseReason(msgspec.Struct, frozen=True):
    """Why a course of action fits an incident.

    `kind` is what it is about: "technique" (`value` its ATT&CK id, `name` its name), "software", "vulnerability"
    (a CVE id), "indicator", "related" (an object that the course names), "tactic" (ATT&CK's short name). `how` is
    "mitigates" or "remediates" where a relationship says so, and "names" where the course of action itself does.
    `says` is what the relationship says about how it helps. `sighting` is the position in `Case.sightings` of the
    first that shows it (-1: none by itself), seen on `host` at `time`.
    """

    kind: str
    value: str
    how: str
    name: str = ""
    sighting: int = -1
    host: str = ""
    time: datetime | None = None
    says: str = ""


class ResponseGiver(msgspec.Struct, frozen=True, order=True):
    """Who gave a course of action (or the public corpus that it is part of), and under which markings."""

    name: str
    markings: tuple[str, ...] = ()


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """A course of action that fits an incident, with every reason why; `kind` is "playbook" or "course-of-action".

    `course` is its STIX id, `catalogue_id` its id in ATT&CK or D3FEND. `state` is "expired" or "not-yet-valid" where
    the playbook says so of itself. `public`: every copy of it is part of a public corpus.
    """

    incident: str
    course: str
    name: str
    kind: str
    reasons: tuple[ResponseReason, ...]
    givers: tuple[ResponseGiver, ...] = ()
    catalogue_id: str = ""
    description: str = ""
    state: str = ""
    public: bool = False
    playbook: Playbook | None = None
