"""Findings as sightings on the attributes of an ally's MISP that our knowledge came from.

A sighting in MISP is one organisation's word on one attribute at one time: 0 seen, 1 false positive, 2 expiration. What
was seen becomes two, at its first and last time as coarse as the agreement says, with the number of events in its
source. Nobody can say "not seen" in MISP; that goes back in a sealed file (`aleat answer`), with its coverage.

MISP's API gives sightings no UUIDs of the sender's: the same word (organisation, attribute, type, time) is looked for,
at the server and in what was written down, before it is sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from aleat.errors import Issue, Place
from aleat.exchange.findings import Finding
from aleat.exchange.misp_places import MispPlace
from aleat.exchange.misp_session import MispAccount, MispSession, said
from aleat.knowledge.misp.fields import identifier, objects_in, text

__all__ = ["EXPIRED", "SightingRow", "SightingsPushed", "new_sightings", "push_sightings", "sighting_rows"]

EXPIRED = "expired"
"""The reason of a finding whose indicator our agreement let age away."""

_STAGE = "push"
_SEEN, _FALSE, _EXPIRATION = "0", "1", "2"


@dataclass(frozen=True, slots=True)
class SightingRow:
    """One sighting to be: on which attribute, of which type, when (seconds), in which words; for which indicator."""

    place: MispPlace
    type: str
    time: int
    source: str
    indicator: str

    @property
    def key(self) -> str:
        """What makes two of them the same."""
        return f"sighting|{self.place.attribute}|{self.type}|{self.time}"


class SightingsPushed(msgspec.Struct, frozen=True, kw_only=True):
    """What became of sightings: added, there already, refused; `done` are the keys of what is there, by event."""

    added: int = 0
    known: int = 0
    refused: int = 0
    issues: tuple[Issue, ...] = ()
    done: dict[str, tuple[str, ...]] = {}


def sighting_rows(findings: Iterable[Finding], places: Mapping[str, MispPlace]) -> tuple[SightingRow, ...]:
    """Return the sightings that say `findings`; what is neither seen, false nor expired says nothing in MISP."""
    rows: dict[str, SightingRow] = {}
    for finding in findings:
        place = places.get(finding.indicator)
        for type_, time in _times(finding) if place is not None else ():
            words = f"Aleat: {finding.count} events" if finding.count > 1 else "Aleat"
            row = SightingRow(place, type_, int(time.timestamp()), words, finding.indicator)  # type: ignore[arg-type]
            rows.setdefault(row.key, row)
    return tuple(sorted(rows.values(), key=lambda row: (row.place.event, row.key)))


def new_sightings(
    session: MispSession, account: MispAccount, rows: Sequence[SightingRow], kept: Mapping[str, Mapping[str, str]]
) -> tuple[tuple[SightingRow, ...], SightingsPushed]:
    """Return those of `rows` that aren't there yet, and what is known of the rest.

    `kept` are the keys of what was written before, by event. Raises `RemoteError` where the server can't be asked.
    """
    new: list[SightingRow] = []
    known = refused = 0
    issues: list[Issue] = []
    done: dict[str, tuple[str, ...]] = {}
    for event, group in _by_event(rows):
        waiting = [row for row in group if row.key not in kept.get(event, {})]
        known += len(group) - len(waiting)
        if not waiting:
            continue
        there = _attributes(session, event)
        place = Place(f"{session.url}events/view/{event}")
        if there is None:
            refused += len(waiting)
            reason = f"The server shows us no event of this UUID: {len(waiting)} sightings have nowhere to go."
            issues.append(Issue(_STAGE, "misp-sighting", place, reason, "Ask its keeper.", records=len(waiting)))
            continue
        lost = [row for row in waiting if row.place.attribute not in there]
        if lost:
            refused += len(lost)
            reason = f"{len(lost)} attributes are not there any more, or not shown to us; their sightings stay here."
            issues.append(Issue(_STAGE, "misp-sighting", place, reason, records=len(lost)))
        found = [row for row in waiting if _holds(there.get(row.place.attribute, []), row, account)]
        known += len(found)
        done[event] = tuple(row.key for row in found)
        new += [row for row in waiting if row not in lost and row not in found]
    return tuple(new), SightingsPushed(known=known, refused=refused, issues=tuple(issues), done=done)


def push_sightings(session: MispSession, rows: Sequence[SightingRow]) -> Iterator[SightingsPushed]:
    """Add sightings that aren't there, and yield after each event what became of its own."""
    for event, group in _by_event(rows):
        added: list[str] = []
        reasons: dict[str, int] = {}
        for row in group:
            answer = _add(session, row)
            if _is_added(answer):
                added.append(row.key)
            else:
                words = said(answer) or "it doesn't say why"
                reasons[words] = reasons.get(words, 0) + 1
        place = Place(f"{session.url}events/view/{event}")
        issues = tuple(
            Issue(_STAGE, "misp-sighting", place, f"The server refused {count} sightings: {words}", records=count)
            for words, count in reasons.items()
        )
        refused = len(group) - len(added)
        yield SightingsPushed(added=len(added), refused=refused, issues=issues, done={event: tuple(added)})


def _add(session: MispSession, row: SightingRow) -> Any:
    body = {"type": row.type, "source": row.source, "timestamp": str(row.time)}
    return session.ask(lambda speaker: speaker.add_sighting(body, row.place.attribute))


def _times(finding: Finding) -> list[tuple[str, datetime]]:
    times = [time for time in dict.fromkeys((finding.first, finding.last)) if time is not None]
    if finding.status == "seen":
        return [(_SEEN, time) for time in times]
    if finding.status == "false-positive":
        return [(_FALSE, times[-1])] if times else []
    return [(_EXPIRATION, times[-1])] if finding.reason == EXPIRED and times else []


def _by_event(rows: Sequence[SightingRow]) -> Iterator[tuple[str, list[SightingRow]]]:
    groups: dict[str, list[SightingRow]] = {}
    for row in rows:
        groups.setdefault(row.place.event, []).append(row)
    yield from groups.items()


def _attributes(session: MispSession, event: str) -> dict[str, list[Mapping[str, Any]]] | None:
    """Return the sightings of each attribute of the server's event, or None where it shows us none such."""
    value = session.ask(lambda speaker: speaker.get_event(event))
    found = value.get("Event") if isinstance(value, Mapping) else None
    if not isinstance(found, Mapping) or identifier(found.get("uuid")) != event:
        return None
    inner = [one for item in objects_in(found.get("Object"))[0] for one in objects_in(item.get("Attribute"))[0]]
    return {
        identifier(one.get("uuid")): objects_in(one.get("Sighting"))[0]
        for one in (*objects_in(found.get("Attribute"))[0], *inner)
    }


def _holds(sightings: Iterable[Mapping[str, Any]], row: SightingRow, account: MispAccount) -> bool:
    """Tell whether our organisation's same word is among an attribute's sightings."""
    for one in sightings:
        organisation = one.get("Organisation")
        maker = identifier(organisation.get("uuid")) if isinstance(organisation, Mapping) else ""
        ours = text(one.get("org_id")).strip() == account.organisation or (bool(maker) and maker == account.uuid)
        same = text(one.get("type")).strip() == row.type and text(one.get("date_sighting")).strip() == str(row.time)
        if ours and same:
            return True
    return False


def _is_added(answer: Any) -> bool:
    """Tell whether a sighting was added: MISP answers 200 with words of refusal too (SightingsController::add)."""
    if not isinstance(answer, Mapping) or "errors" in answer:
        return False
    return "Sighting" in answer or text(answer.get("message")).lower().endswith(("added", "added."))
