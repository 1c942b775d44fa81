"""What can be hunted for, from what was given: stored STIX indicators (or those just read) as `Indicator`s.

Whatever can be hunted for is a STIX `indicator` object: Sigma and YARA rules and STIX patterns by their
`pattern_type`, lists by the extension `list`, their values in the workspace's `lists/`. An object given by several is
hunted for once, and names all its givers. What is not hunted for (revoked, withdrawn by all its givers, of another
pattern type) is named. What a giver withdrew goes on in the name of those who gave it freely.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from aleat.errors import IntegrityError, Place
from aleat.hunt.indicator import LEVELS, Indicator, NotEvaluated
from aleat.hunt.standing import NO_TERMS, KnowledgeTerms, Standing, copies_in_force, standing_of
from aleat.hunt.warning_lists import WarningList
from aleat.knowledge.items import KnowledgeItem
from aleat.stix.extensions import read_extension
from aleat.stix.objects import StixObject
from aleat.store.database import Connection
from aleat.store.entries import EntryRows, list_digests, stored_rows
from aleat.store.objects import StoredObject, find_objects, iterate_objects
from aleat.store.withdrawn import newest_given

__all__ = [
    "PATTERN_TYPES",
    "indicators",
    "indicators_of_items",
    "list_objects",
    "warning_lists",
    "warning_lists_of_items",
]

PATTERN_TYPES = frozenset({"sigma", "snort", "stix", "suricata", "yara"})
_LEVEL = "medium"


def indicators(
    connection: Connection,
    root: Path,
    *,
    terms: KnowledgeTerms = NO_TERMS,
    not_evaluated: list[NotEvaluated] | None = None,
    standings: list[Standing] | None = None,
    retired: list[Indicator] | None = None,
) -> Iterator[Indicator]:
    """Yield every stored indicator that can be hunted for, ordered by STIX id.

    `root` is the workspace's folder, which holds the lists' rows; `terms` says what was withdrawn, and how knowledge
    ages. What is left out goes to `not_evaluated`; what is to be said on sightings, those of earlier hunts too, to
    `standings`. What was hunted for and is no more (revoked, withdrawn) goes to `retired`, so that what it hit
    before can still be shown.
    """
    for newest in iterate_objects(connection, ["indicator"]):
        if "warning" in (read_extension(newest.object, "list") or {}):
            continue
        stored = newest_given(connection, newest, terms.withdrawn)
        standing = standing_of(stored, terms)
        if standing is not None and standings is not None:
            standings.append(standing)
        ended = standing if standing is not None and standing.since is None else None
        found = _of_stored(stored, connection, root, terms, ended)
        if isinstance(found, NotEvaluated):
            if not_evaluated is not None:
                not_evaluated.append(found)
        elif ended is None:
            yield found
        else:
            _retire(found, ended, retired, not_evaluated)


def _retire(
    found: Indicator,
    ended: Standing,
    retired: list[Indicator] | None,
    not_evaluated: list[NotEvaluated] | None,
) -> None:
    """Put an indicator that ended among those that are remembered, and say why it isn't hunted for."""
    if retired is not None:
        retired.append(found)
    if not_evaluated is not None:
        code, _, reason = ended.label.partition(": ")
        text = f"It was {code} {reason}."
        not_evaluated.append(NotEvaluated(found.id, found.title, found.place, code, text))


def indicators_of_items(
    items: Iterable[KnowledgeItem],
    source: str,
    *,
    not_evaluated: list[NotEvaluated] | None = None,
    standings: list[Standing] | None = None,
) -> Iterator[Indicator]:
    """Yield the indicators among what knowledge readers gave, in that order, each object once: for one-shot hunts.

    What is to be said on sightings of those that ended goes to `standings`.
    """
    seen: set[tuple[str, str]] = set()
    for item in items:
        key = (item.object.id, item.object.digest)
        listed = read_extension(item.object, "list") or {}
        if item.object.type != "indicator" or key in seen or "warning" in listed:
            continue
        seen.add(key)
        rows = None if item.entries is None else EntryRows(item.entries, str(listed.get("entries_sha256", "")))
        standing = standing_of(StoredObject(item.object, ()), NO_TERMS)
        if standing is not None and standings is not None:
            standings.append(standing)
        ended = standing if standing is not None and standing.since is None else None
        found = _make(item.object, source, item.place, rows, ended=ended is not None)
        if isinstance(found, NotEvaluated):
            if not_evaluated is not None:
                not_evaluated.append(found)
        elif ended is None:
            yield found
        else:
            _retire(found, ended, None, not_evaluated)


def list_objects(connection: Connection) -> Iterator[StoredObject]:
    """Yield the objects of the lists whose rows are here, warning lists too, without looking at other indicators."""
    for digest in list_digests(connection):
        yield from find_objects(connection, types=["indicator"], value=digest)


def warning_lists(
    connection: Connection,
    root: Path,
    *,
    among: Iterable[StoredObject] | None = None,
    not_evaluated: list[NotEvaluated] | None = None,
) -> Iterator[WarningList]:
    """Yield the warning lists that were given, or those `among` these; what can't be used goes to `not_evaluated`."""
    for stored in among if among is not None else iterate_objects(connection, ["indicator"]):
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
    stored: StoredObject, connection: Connection, root: Path, terms: KnowledgeTerms, ended: Standing | None
) -> Indicator | NotEvaluated:
    item = stored.object
    copies = copies_in_force(stored, terms) or stored.copies
    source = ", ".join(dict.fromkeys(copy.giver for copy in copies))
    place = copies[0].source if copies else Place(item.id)
    rows = None
    listed = read_extension(item, "list")
    if listed is not None:
        try:
            rows = stored_rows(connection, root, str(listed.get("entries_sha256", "")))
        except IntegrityError as error:
            if ended is None:
                return NotEvaluated(item.id, item.name or item.id, place, "list-rows", str(error))
    return _make(item, source, place, rows, ended=ended is not None)


def _make(
    item: StixObject, source: str, place: Place, rows: EntryRows | None, *, ended: bool = False
) -> Indicator | NotEvaluated:
    rule = read_extension(item, "rule") or {}
    identifier = str(rule.get("rule_id") or item.id)
    title = item.name or identifier
    if rows is None and item.pattern_type not in PATTERN_TYPES and not ended:
        reason = f"Patterns of type {item.pattern_type!r} are not hunted for."
        return NotEvaluated(identifier, title, place, "pattern-type", reason)
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


def _digest(kind: str, item: StixObject, pattern: str) -> str:
    """Return the SHA-256 (hex) of what is evaluated: the pattern, or the list's rows by their own digest."""
    content: dict[str, Any] = read_extension(item, "list") or {}
    text = str(content.get("entries_sha256", "")) if kind == "aleat-list" else pattern
    return sha256(f"{kind}\n{text}".encode("utf-8", "surrogatepass")).hexdigest()
