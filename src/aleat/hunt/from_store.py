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

import pyarrow as pa

from aleat.errors import IntegrityError, ObjectError, Place
from aleat.hunt.indicator import LEVELS, Indicator, ListEntry, NotEvaluated
from aleat.knowledge.items import KnowledgeItem
from aleat.stix.extensions import read_extension
from aleat.stix.objects import StixObject
from aleat.stix.times import parse_timestamp
from aleat.store.database import Connection
from aleat.store.entries import read_entries
from aleat.store.objects import StoredObject, iterate_objects

__all__ = ["indicators", "indicators_of_items"]

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
        found = _of_stored(stored, root, reference_time)
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
        if item.object.type != "indicator" or key in seen:
            continue
        seen.add(key)
        found = _make(item.object, source, item.place, reference_time, item.entries)
        if isinstance(found, Indicator):
            yield found
        elif not_evaluated is not None:
            not_evaluated.append(found)


def _of_stored(stored: StoredObject, root: Path, reference_time: datetime | None) -> Indicator | NotEvaluated:
    item = stored.object
    source = ", ".join(dict.fromkeys(copy.giver for copy in stored.copies))
    place = stored.copies[0].source if stored.copies else Place(item.id)
    entries = None
    listed = read_extension(item, "list")
    if listed is not None and not item.revoked:
        try:
            entries = read_entries(root, str(listed.get("entries_sha256", "")))
        except IntegrityError as error:
            return NotEvaluated(item.id, item.name or item.id, place, "list-rows", str(error))
    return _make(item, source, place, reference_time, entries)


def _make(
    item: StixObject, source: str, place: Place, reference_time: datetime | None, entries: pa.Table | None
) -> Indicator | NotEvaluated:
    rule = read_extension(item, "rule") or {}
    identifier = str(rule.get("rule_id") or item.id)
    title = item.name or identifier
    fault = _fault(item, reference_time, entries)
    if fault is not None:
        return NotEvaluated(identifier, title, place, *fault)
    kind = "aleat-list" if entries is not None else str(item.pattern_type)
    pattern = "" if entries is not None else item.pattern or ""
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
        entries=() if entries is None else tuple(_entries(entries)),
    )


def _fault(item: StixObject, reference_time: datetime | None, entries: pa.Table | None) -> tuple[str, str] | None:
    """Return the code and reason why an indicator isn't hunted for; None where it is."""
    if item.revoked:
        return "revoked", "Its creator revoked it."
    if reference_time is not None and item.valid_until is not None:
        try:
            if parse_timestamp(item.valid_until) <= reference_time:
                return "expired", f"It was valid until {item.valid_until}."
        except ObjectError as error:
            return error.code, f"Its valid_until can't be read: {error.reason}"
    if entries is None and item.pattern_type not in _PATTERN_TYPES:
        return "pattern-type", f"Patterns of type {item.pattern_type!r} are not hunted for."
    return None


def _digest(kind: str, item: StixObject, pattern: str) -> str:
    """Return the SHA-256 (hex) of what is evaluated: the pattern, or the list's rows by their own digest."""
    content: dict[str, Any] = read_extension(item, "list") or {}
    text = str(content.get("entries_sha256", "")) if kind == "aleat-list" else pattern
    return sha256(f"{kind}\n{text}".encode("utf-8", "surrogatepass")).hexdigest()


def _entries(table: pa.Table) -> Iterator[ListEntry]:
    columns = [table.column(name).cast(pa.string()).to_pylist() for name in ("type", "value", "context")]
    for kind, value, context in zip(*columns, strict=True):
        yield ListEntry(kind, value, context)
