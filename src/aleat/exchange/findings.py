"""Findings: what was found with an ally's pack, indicator by indicator, as STIX sightings that go back to it.

Seen (how often, first, last), *not seen* with the coverage over which that holds, a false positive with its
reason, or not evaluated with its reason. A count of 0 alone is worthless, so every sighting carries what was
looked at. Times are coarsened and victims told of as the agreement says (`aleat.release.redact`); that the
findings may leave at all is the gate's to decide, on the sender's side.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from aleat.release import Victim, coarsen_time, enough, tell_victim
from aleat.release.retell import keyed_uuid
from aleat.stix import StixObject, format_timestamp, is_timestamp, make_object, parse_timestamp
from aleat.stix.extensions import extend, read_extension
from aleat.times import calendar_time
from aleat.trust.agreements import ReleaseTerms

if TYPE_CHECKING:  # for annotations only: opening a file shouldn't load the hunt
    from aleat.case.records import CoverageRow
    from aleat.hunt.indicator import NotEvaluated, Sighting

__all__ = [
    "Finding",
    "FindingStatus",
    "NotLookedAt",
    "finding_objects",
    "findings_of_hunt",
    "read_findings",
    "with_reasons",
]

FindingStatus = Literal["seen", "not-seen", "false-positive", "not-evaluated"]

_UNLOOKED = "nothing-looked-at"
_MAX_REASON = 500
_MAX_GAPS = 50  # they stand in every sighting
_MAX_COUNT = 999_999_999  # STIX 2.1 §5.2: a sighting's count


class NotLookedAt(msgspec.Struct, frozen=True):
    """A log, a host or a period that was not looked at, and why (a short code)."""

    what: str
    reason: str


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One indicator's result; `indicator` is its STIX id, `value` the entry where it is a list.

    `coverage` is what was looked at, filled when a finding is read back from an ally.
    """

    indicator: str
    status: FindingStatus
    count: int = 0
    first: datetime | None = None
    last: datetime | None = None
    value: str = ""
    reason: str = ""
    sender: str = ""
    delivery: str = ""
    coverage: dict[str, Any] = {}
    granularity: str = ""
    """How exact the times are, as the ally chose: "exact", "hour", "day", "month"."""


def findings_of_hunt(
    indicators: Iterable[str],
    sightings: Iterable[Sighting],
    not_evaluated: Iterable[NotEvaluated] = (),
    *,
    rule_ids: Mapping[str, str] | None = None,
) -> tuple[Finding, ...]:
    """Return the finding for each of the `indicators` (STIX ids) that an ally delivered.

    `sightings` are a hunt's, hidden ones too: an indicator whose every sighting was dismissed is a false
    positive, `hidden_by` its reason. Where all of them lie after its end (expired, revoked, withdrawn), it was not
    evaluated over them, and that word alone is the reason: it names nobody. What was not evaluated at all is neither
    seen nor not seen;
    `not_evaluated` names it by its STIX id, or by its rule's own id, which `rule_ids` has by STIX id (see
    `aleat.exchange.rule_ids`).
    """
    groups: dict[tuple[str, str], list[Sighting]] = {}
    wanted = set(indicators)
    for sighting in sightings:
        if sighting.ref in wanted:
            value = sighting.indicator.partition("#")[2]
            groups.setdefault((sighting.ref, value), []).append(sighting)
    values: dict[str, list[str]] = {}
    for indicator, value in sorted(groups):
        values.setdefault(indicator, []).append(value)
    skipped = {item.indicator: item.code for item in not_evaluated if not item.partial}
    found: list[Finding] = []
    for indicator in sorted(wanted):
        found += [_finding(indicator, value, groups[indicator, value]) for value in values.get(indicator, ())]
        if indicator in values:
            continue
        reason = skipped.get(indicator) or skipped.get((rule_ids or {}).get(indicator, ""))
        status: FindingStatus = "not-seen" if reason is None else "not-evaluated"
        found.append(Finding(indicator=indicator, status=status, reason=reason or ""))
    return tuple(found)


def with_reasons(findings: Iterable[Finding], reasons: Mapping[str, str]) -> tuple[Finding, ...]:
    """Return the findings, each false positive with its reason in words.

    `reasons` are those that people gave for their dismissals, by the dismissal's id. What a filter of a rule pack hid
    is said to be filtered, and no more: whose filter it is may not be ours to tell.

    >>> from aleat.exchange import Finding
    >>> found = Finding(indicator="indicator--1", status="false-positive", reason="4711, b1d4")
    >>> with_reasons([found], {"4711": "our own scanner"})[0].reason
    'our own scanner; filtered'
    """
    return tuple(
        msgspec.structs.replace(one, reason=_in_words(one.reason, reasons)[:_MAX_REASON])
        if one.status == "false-positive"
        else one
        for one in findings
    )


def _in_words(codes: str, reasons: Mapping[str, str]) -> str:
    return "; ".join(dict.fromkeys(reasons.get(code, "filtered") for code in codes.split(", ")))


def finding_objects(
    findings: Iterable[Finding],
    *,
    delivery: str,
    coverage: Sequence[CoverageRow],
    not_looked_at: Sequence[NotLookedAt],
    victim: Victim,
    terms: ReleaseTerms,
    own: str,
    recipient: str,
    markings: tuple[str, ...],
    time: datetime,
    secret: bytes,
    engine: str = "",
) -> tuple[tuple[StixObject, ...], tuple[Finding, ...]]:
    """Return the findings as STIX objects, and those that are kept here (fewer events than the threshold).

    The objects are sightings and the one identity that stands for the victim. Where nothing was looked at,
    nothing is "not seen". `delivery` is the message that is answered, `time` when this is told, `secret` keys
    the ids.
    """
    told_of = tell_victim(victim, terms, own=own, recipient=recipient, created=time, markings=markings, secret=secret)
    where = [told_of.id] if told_of is not None else []
    looked_at = _coverage(coverage, not_looked_at, terms, engine)
    objects: list[StixObject] = [told_of] if told_of is not None else []
    kept: list[Finding] = []
    for found in findings:
        unlooked = found.status == "not-seen" and not coverage
        finding = msgspec.structs.replace(found, status="not-evaluated", reason=_UNLOOKED) if unlooked else found
        if finding.status == "seen" and not enough(finding.count, terms):
            kept.append(finding)
            continue
        objects.append(_sighting(finding, delivery, looked_at, where, terms, own, recipient, markings, time, secret))
    return tuple(objects), tuple(kept)


def read_findings(objects: Iterable[StixObject]) -> tuple[Finding, ...]:
    """Return the findings among an ally's objects, by indicator; a bare count of 0 without coverage is none."""
    found: list[Finding] = []
    for item in objects:
        if item.type != "sighting" or (content := read_extension(item, "finding")) is None:
            continue
        properties = item.properties()
        coverage = read_extension(item, "coverage") or {}
        if content.get("status") == "not-seen" and not coverage.get("looked_at"):
            continue
        if content.get("status") not in FindingStatus.__args__:  # type: ignore[attr-defined]
            continue
        found.append(
            Finding(
                indicator=str(properties.get("sighting_of_ref", "")),
                status=content["status"],
                count=_count(properties),
                first=_time(properties, "first_seen"),
                last=_time(properties, "last_seen"),
                value=str(content.get("value", "")),
                reason=str(content.get("reason", "")),
                sender=item.created_by_ref or "",
                delivery=str(content.get("delivery", "")),
                coverage=coverage,
                granularity=str(content.get("granularity", "")),
            )
        )
    return tuple(sorted(found, key=lambda item: (item.indicator, item.value, item.sender, item.delivery)))


def _finding(indicator: str, value: str, sightings: Sequence[Sighting]) -> Finding:
    from aleat.hunt.standing import standing_code  # noqa: PLC0415 - opening a file shouldn't load the hunt

    shown = [item for item in sightings if item.hidden_by is None]
    events = {item.event for item in shown or sightings}
    times = sorted(item.time for item in shown or sightings if item.time is not None)
    ended = sorted({standing_code(item.hidden_by) for item in sightings} - {""})
    reasons = sorted({item.hidden_by for item in sightings if item.hidden_by and not standing_code(item.hidden_by)})
    if not shown and not reasons:
        return Finding(indicator=indicator, status="not-evaluated", value=value, reason=", ".join(ended))
    return Finding(
        indicator=indicator,
        status="seen" if shown else "false-positive",
        count=len(events),
        first=calendar_time(times[0]) if times else None,
        last=calendar_time(times[-1]) if times else None,
        value=value,
        reason="" if shown else ", ".join(reasons),
    )


def _sighting(
    finding: Finding,
    delivery: str,
    looked_at: Mapping[str, Any],
    where: list[str],
    terms: ReleaseTerms,
    own: str,
    recipient: str,
    markings: tuple[str, ...],
    time: datetime,
    secret: bytes,
) -> StixObject:
    seen = finding.status in {"seen", "false-positive"}
    content: dict[str, Any] = {"status": finding.status, "delivery": delivery, "granularity": terms.granularity}
    content |= {name: text for name in ("value", "reason") if (text := getattr(finding, name))}
    first = coarsen_time(finding.first, terms.granularity) if finding.first and seen else None
    last = coarsen_time(finding.last, terms.granularity) if finding.last and seen else None
    key = "|".join((recipient, delivery, finding.indicator, finding.value))
    properties: dict[str, Any] = {
        "sighting_of_ref": finding.indicator,
        "where_sighted_refs": where,
        "first_seen": first,
        "last_seen": last,
        "extensions": extend("finding", content) | extend("coverage", dict(looked_at)),
    }
    if finding.status != "not-evaluated":
        properties["count"] = min(finding.count, _MAX_COUNT)
    return make_object(
        "sighting",
        f"sighting--{keyed_uuid(secret, key)}",
        created=time,
        created_by_ref=own,
        markings=markings,
        **properties,
    )


def _coverage(
    rows: Sequence[CoverageRow], not_looked_at: Sequence[NotLookedAt], terms: ReleaseTerms, engine: str
) -> dict[str, Any]:
    groups: dict[tuple[str, str], list[CoverageRow]] = {}
    for row in rows:
        source = f"{row.format}/{row.channel}" if row.channel else row.format
        groups.setdefault((source, row.host if terms.internal else ""), []).append(row)
    looked_at: list[dict[str, Any]] = []
    for (source, host), group in sorted(groups.items()):
        entry: dict[str, Any] = {"source": source, "events": sum(row.events for row in group)}
        if host:
            entry["host"] = host
        else:
            entry["hosts"] = len({row.host for row in group})
        firsts = [row.first for row in group if row.first is not None]
        lasts = [row.last for row in group if row.last is not None]
        if firsts and lasts:
            entry["first"] = format_timestamp(coarsen_time(min(firsts), terms.granularity))
            entry["last"] = format_timestamp(coarsen_time(max(lasts), terms.granularity))
        looked_at.append(entry)
    content: dict[str, Any] = {"looked_at": looked_at}
    if not_looked_at:
        told = list(not_looked_at[:_MAX_GAPS])
        if rest := len(not_looked_at) - len(told):
            told.append(NotLookedAt(f"{rest} more", "not-listed"))
        content["not_looked_at"] = [{"what": item.what, "reason": item.reason} for item in told]
    if engine:
        content["engine"] = engine
    return content


def _count(properties: Mapping[str, Any]) -> int:
    count = properties.get("count")
    return count if isinstance(count, int) and 0 <= count <= _MAX_COUNT else 0


def _time(properties: Mapping[str, Any], name: str) -> datetime | None:
    text = properties.get(name)
    return parse_timestamp(text) if isinstance(text, str) and is_timestamp(text) else None
