"""What can be hunted for, from what was given: stored STIX indicators (or those just read) as `Indicator`s.

Whatever can be hunted for is a STIX `indicator` object: Sigma and YARA rules and STIX patterns by their
`pattern_type`, lists by the extension `list`, their values in the workspace's `lists/`. An object given by several is
hunted for once, and names all its givers. What is not hunted for (revoked, expired, of another pattern type) is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from aleat.errors import IntegrityError, ObjectError, Place
from aleat.hunt.indicator import LEVELS, Indicator, NotEvaluated
from aleat.hunt.warning_lists import WarningList
from aleat.knowledge.items import KnowledgeItem
from aleat.stix.extensions import read_extension
from aleat.stix.objects import StixObject
from aleat.stix.times import parse_timestamp
from aleat.store.database import Connection
from aleat.store.entries import EntryRows, stored_rows
from aleat.store.objects import StoredObject, iterate_objects

__all__ = ["indicators", "indicators_of_items", "warning_lists", "warning_lists_of_items"]

_PATTERN_TYPES = frozenset({"sigma", "stix", "yara"})
_LEVEL = "medium"


def indicators(
    connection: Connection,
    root: Path,
    *,
    reference_time: datetime | None = None,
    not_evaluated: list[NotEvaluated] | None = None,
) -> Iterator[Indicator]:
    """Yield every stored indicator that can be hunted for, ordered by STIX id.

    `root` is the workspace's folder, which holds the lists' rows. Indicators whose `valid_until` is not after
    `reference_time` are left out; that is the time that the hunt is about (say, of its first event), not today:
    evidence of last year is hunted with what was valid last year. What is left out goes to `not_evaluated`.
    """
    for stored in iterate_objects(connection, ["indicator"]):
        if "warning" in (read_extension(stored.object, "list") or {}):
            continue
        found = _of_stored(stored, connection, root, reference_time)
        if isinstance(found, Indicator):
            yield found
        elif not_evaluated is not None:
            not_evaluated.append(found)


def indicators_of_items(
    items: Iterable[KnowledgeItem],
    source: str,
    *,
    reference_time: datetime | None = None,
    not_evaluated: list[NotEvaluated] | None = None,
) -> Iterator[Indicator]:
    """Yield the indicators among what knowledge readers gave, in that order, each object once: for one-shot hunts."""
    seen: set[tuple[str, str]] = set()
    for item in items:
        key = (item.object.id, item.object.digest)
        listed = read_extension(item.object, "list") or {}
        if item.object.type != "indicator" or key in seen or "warning" in listed:
            continue
        seen.add(key)
        rows = None if item.entries is None else EntryRows(item.entries, str(listed.get("entries_sha256", "")))
        found = _make(item.object, source, item.place, reference_time, rows)
        if isinstance(found, Indicator):
            yield found
        elif not_evaluated is not None:
            not_evaluated.append(found)


def warning_lists(
    connection: Connection, root: Path, *, not_evaluated: list[NotEvaluated] | None = None
) -> Iterator[WarningList]:
    """Yield the warning lists that were given; what of them can't be used goes to `not_evaluated`."""
    for stored in iterate_objects(connection, ["indicator"]):
        listed = read_extension(stored.object, "list") or {}
        if "warning" not in listed or stored.object.revoked:
            continue
        place = stored.copies[0].source if stored.copies else Place(stored.object.id)
        source = ", ".join(dict.fromkeys(copy.giver for copy in stored.copies))
        try:
            rows = stored_rows(connection, root, str(listed.get("entries_sha256", "")))
        except IntegrityError as error:
            if not_evaluated is not None:
                title = f"Warning list {stored.object.name or stored.object.id}"
                not_evaluated.append(NotEvaluated(stored.object.id, title, place, "list-rows", str(error)))
            continue
        yield _warning_list(stored.object, listed, place, source, rows)


def warning_lists_of_items(items: Iterable[KnowledgeItem], source: str) -> Iterator[WarningList]:
    """Yield the warning lists among what knowledge readers gave, each object once."""
    seen: set[str] = set()
    for item in items:
        listed = read_extension(item.object, "list") or {}
        if "warning" in listed and item.entries is not None and item.object.id not in seen:
            seen.add(item.object.id)
            rows = EntryRows(item.entries, str(listed.get("entries_sha256", "")))
            yield _warning_list(item.object, listed, item.place, source, rows)


def _warning_list(item: StixObject, listed: dict[str, Any], place: Place, source: str, rows: EntryRows) -> WarningList:
    warning: dict[str, Any] = listed["warning"] if isinstance(listed["warning"], dict) else {}
    attributes = warning.get("attributes")
    return WarningList(
        name=item.name or item.id,
        match=str(warning.get("match", "string")),
        attributes=tuple(map(str, attributes)) if isinstance(attributes, list) else (),
        place=place,
        version=str(warning.get("version", "")),
        source=source,
        ref=item.id,
        rows=rows,
    )


def _of_stored(
    stored: StoredObject, connection: Connection, root: Path, reference_time: datetime | None
) -> Indicator | NotEvaluated:
    item = stored.object
    source = ", ".join(dict.fromkeys(copy.giver for copy in stored.copies))
    place = stored.copies[0].source if stored.copies else Place(item.id)
    rows = None
    listed = read_extension(item, "list")
    if listed is not None and not item.revoked:
        try:
            rows = stored_rows(connection, root, str(listed.get("entries_sha256", "")))
        except IntegrityError as error:
            return NotEvaluated(item.id, item.name or item.id, place, "list-rows", str(error))
    return _make(item, source, place, reference_time, rows)


def _make(
    item: StixObject, source: str, place: Place, reference_time: datetime | None, rows: EntryRows | None
) -> Indicator | NotEvaluated:
    rule = read_extension(item, "rule") or {}
    identifier = str(rule.get("rule_id") or item.id)
    title = item.name or identifier
    fault = _fault(item, reference_time, rows)
    if fault is not None:
        return NotEvaluated(identifier, title, place, *fault)
    kind = "aleat-list" if rows is not None else str(item.pattern_type)
    pattern = "" if rows is not None else item.pattern or ""
    level = str(rule.get("level", "")).lower()
    return Indicator(
        id=identifier,
        ref=item.id,
        digest=_digest(kind, item, pattern),
        pattern_type=kind,
        pattern=pattern,
        title=title,
        source=source,
        place=place,
        level=level if level in LEVELS else _LEVEL,
        author=str(rule["author"]) if rule.get("author") else None,
        tags=tuple(map(str, rule.get("tags") or item.labels)),
        confidence=item.confidence,
        valid_from=item.valid_from,
        valid_until=item.valid_until,
        rows=rows,
    )


def _fault(item: StixObject, reference_time: datetime | None, rows: EntryRows | None) -> tuple[str, str] | None:
    """Return the code and reason why an indicator isn't hunted for; None where it is."""
    if item.revoked:
        return "revoked", "Its creator revoked it."
    if reference_time is not None and item.valid_until is not None:
        try:
            if parse_timestamp(item.valid_until) <= reference_time:
                return "expired", f"It was valid until {item.valid_until}."
        except ObjectError as error:
            return error.code, f"Its valid_until can't be read: {error.reason}"
    if rows is None and item.pattern_type not in _PATTERN_TYPES:
        return "pattern-type", f"Patterns of type {item.pattern_type!r} are not hunted for."
    return None


def _digest(kind: str, item: StixObject, pattern: str) -> str:
    """Return the SHA-256 (hex) of what is evaluated: the pattern, or the list's rows by their own digest."""
    content: dict[str, Any] = read_extension(item, "list") or {}
    text = str(content.get("entries_sha256", "")) if kind == "aleat-list" else pattern
    return sha256(f"{kind}\n{text}".encode("utf-8", "surrogatepass")).hexdigest()
