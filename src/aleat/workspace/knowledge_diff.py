"""Two versions of a pack compared: two places, or what two givers (or one, at two times) have given.

Objects are the same where their ids are; rules where their own ids are, for a rule that was changed is another object
here. What a list holds is compared by its rows' digest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aleat.errors import InputError, Issue
from aleat.knowledge import NOTE_CODES, read_knowledge
from aleat.stix.extensions import read_extension
from aleat.stix.objects import StixObject
from aleat.store.objects import get_variants, iterate_objects
from aleat.workspace.called import name_of
from aleat.workspace.knowledge_records import DiffRow, PackDiff
from aleat.workspace.knowledge_view import KnowledgeReader

__all__ = ["compare_packs"]

_SECTION = re.compile(r"^([A-Za-z_][A-Za-z0-9_ -]{0,60}):", re.MULTILINE)
_ITSELF = frozenset({"id", "modified", "spec_version"})
_OF_READING = frozenset({"created_by_ref"})


def compare_packs(reader: KnowledgeReader, before: str, after: str) -> PackDiff:
    """Return what differs between two packs.

    Each is a path, or a giver's name, which may be followed by ``@`` and a time (what had come until then). Raises
    `InputError` where it is neither.
    """
    issues: list[Issue] = []
    old, new = (_by_key(_pack(reader, text, issues)) for text in (before, after))
    rows = [
        *(_row("gone", key, item) for key, item in old.items() if key not in new),
        *(_row("added", key, item) for key, item in new.items() if key not in old),
    ]
    same = 0
    for key, item in new.items():
        if key not in old:
            continue
        known = old[key]
        if known.digest == item.digest or not (changed := _changed(known, item)):
            same += 1
        elif item.revoked and not known.revoked:
            rows.append(_row("revoked", key, item))
        else:
            rows.append(_row("changed", key, item, changed))
    order = ("added", "gone", "revoked", "changed")
    rows.sort(key=lambda row: (order.index(row.what), row.type, row.name, row.key))
    lost = sum(issue.code not in NOTE_CODES for issue in issues)
    return PackDiff(before=len(old), after=len(new), same=same, rows=tuple(rows), issues=lost)


def _row(what: Any, key: str, item: StixObject, properties: tuple[str, ...] = ()) -> DiffRow:
    kind = f"{item.pattern_type} indicator" if item.type == "indicator" and item.pattern_type else item.type
    return DiffRow(what=what, key=key, type=kind, name=name_of(item), properties=properties)


def _pack(reader: KnowledgeReader, text: str, issues: list[Issue]) -> Iterator[StixObject]:
    path = Path(text)
    if path.exists():
        for found in read_knowledge([path]):
            if isinstance(found, Issue):
                issues.append(found)
            else:
                yield found.object
        return
    giver, _, when = text.partition("@")
    until = _time(when) if when else None
    known = {name for name, called in reader.terms.names.items() if called == giver} | {giver}
    count = 0
    for newest in iterate_objects(reader.connection):
        stored = [newest] if until is None else get_variants(reader.connection, newest.object.id)
        for one in stored:
            if any(copy.giver in known and (until is None or copy.received <= until) for copy in one.copies):
                count += 1
                yield one.object
                break
    if not count:
        raise InputError(f"{text[:80]!r} is no path, and nobody of this name gave anything (by then).")


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise InputError(
            f"{text[:40]!r} is no time.", advice="Write GIVER@2022-09-01 or GIVER@2022-09-01T08:00."
        ) from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _by_key(items: Iterable[StixObject]) -> dict[str, StixObject]:
    """Return objects by what makes them the same in another pack; a second one of the same key gets a number."""
    found: dict[str, StixObject] = {}
    for item in items:
        rule = read_extension(item, "rule") or {}
        key = str(rule.get("rule_id") or item.id)
        listed = read_extension(item, "list")
        if listed is not None and "rule_id" not in rule:
            key = f"list {item.name}" if item.name else item.id
        known = found.get(key)
        if known is not None and known.id == item.id:
            found[key] = max(known, item, key=lambda one: one.version)
            continue
        number = 2
        while key in found and found[key].digest != item.digest:
            key = f"{key.rpartition('#')[0] or key}#{number}"
            number += 1
        found[key] = item
    return found


def _changed(before: StixObject, after: StixObject) -> tuple[str, ...]:
    """Return which properties differ; of a rule, which of its sections."""
    old, new = before.properties(), after.properties()
    names = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    names = [name for name in names if name not in _ITSELF]
    if "pattern" in names and after.pattern_type == "sigma":
        sections = _sections(before.pattern or ""), _sections(after.pattern or "")
        told = sorted(
            name for name in sections[0].keys() | sections[1].keys() if sections[0].get(name) != sections[1].get(name)
        )
        return tuple(told) or ("comments or order",)
    return tuple(names) if names or before.id == after.id else ()


def _sections(text: str) -> dict[str, str]:
    """Return a Sigma rule's text by its top-level keys."""
    parts = _SECTION.split(text)
    return {name: body.strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)}
