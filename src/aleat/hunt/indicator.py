"""What can be hunted for, and what a hunt returns: the typed records of the hunt's two doors.

An `Indicator` goes in (Sigma rule, STIX pattern, list of values: they differ only in `pattern_type`);
a `Sighting` comes out (one indicator in one record, never folded); a `NotEvaluated` says what was not
hunted for, and why. All are frozen and hold no open resources, so that they pass between processes.
"""

from __future__ import annotations

from typing import Any

import msgspec

from aleat.errors import Place
from aleat.stix.levels import LEVELS
from aleat.store.entries import EntryRows

__all__ = ["LEVELS", "Indicator", "ListEntry", "NotEvaluated", "Part", "SegmentResult", "Sighting", "level_rank"]


def level_rank(level: str) -> int:
    """Return a level's place among `LEVELS`, weakest first; -1 for a word that is none.

    >>> level_rank("high") > level_rank("low") > level_rank("odd")
    True
    """
    return LEVELS.index(level) if level in LEVELS else -1


class ListEntry(msgspec.Struct, frozen=True, gc=False):
    """One value of an indicator list: its type (STIX object path's head, as "ipv4-addr") and its context."""

    type: str
    value: str
    context: str = ""


class Indicator(msgspec.Struct, frozen=True):
    """Something that can be hunted for.

    `id` is the rule's own id (Sigma's `id`, the STIX id, the list's id); `ref` the STIX indicator object's id
    in the store; `digest` the SHA-256 (hex) of what is evaluated, so that a changed rule is another cell of
    the ledger. `pattern_type` is "sigma", "stix" or "aleat-list"; `pattern` the rule's text (for a list: empty;
    its values are `rows`, or `entries` where they were named one by one). `source` names who gave it.
    `confidence` is STIX's, 0 to 100.
    """

    id: str
    ref: str
    digest: str
    pattern_type: str
    pattern: str
    title: str
    source: str
    place: Place
    level: str = "medium"
    author: str | None = None
    tags: tuple[str, ...] = ()
    confidence: int | None = None
    valid_from: str | None = None
    valid_until: str | None = None
    entries: tuple[ListEntry, ...] = ()
    rows: EntryRows | None = None


class Part(msgspec.Struct, frozen=True, gc=False):
    """One of several records that a correlation or a pattern over several events rests on."""

    evidence: str
    segment: str
    record: int
    offset: int
    event: str
    time: int | None = None


class Sighting(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One indicator in one record. Its JSON form, without the last group, is a line of ``hunt -t jsonl``.

    `time` is microseconds since 1970-01-01T00:00Z, or None where the record has none (in JSON: RFC 3339).
    `event` is equal for copies of one event: see `aleat.hunt.event_digest`. `fields` are the source's own
    names and cells. `matched` are the (field, text) pairs that made the indicator match, where known;
    `entry_type` is the type of the list's entry that did. `hidden_by` is the id of the dismissal or filter that
    hides it, or says which warning lists its value stands on (`aleat.hunt.warning_lists`).
    """

    indicator: str
    title: str
    level: str
    author: str | None
    evidence: str
    record: int
    offset: int
    event: str
    time: int | None
    host: str
    fields: dict[str, Any]
    source: str
    hidden_by: str | None = None
    parts: tuple[Part, ...] | None = None

    ref: str = ""
    rule_digest: str = ""
    segment: str = ""
    format: str = ""
    channel: str = ""
    event_id: str = ""
    provider: str = ""
    tags: tuple[str, ...] = ()
    matched: tuple[tuple[str, str], ...] = ()
    entry_type: str = ""
    quality: tuple[str, ...] = ()
    """Codes of what is doubtful about the indicator (`aleat.knowledge.quality`), put on where a hunt is shown."""
    pap: str = ""
    """The indicator's strictest PAP level ("red", "amber", "green", "clear"), put on there too: what may be done."""


class NotEvaluated(msgspec.Struct, frozen=True):
    """An indicator, or one variant of it (`partial`), that was not evaluated, and why."""

    indicator: str
    title: str
    place: Place
    code: str
    reason: str
    partial: bool = False


class SegmentResult(msgspec.Struct, frozen=True):
    """What a plan found in one segment: one cell of the hunt's ledger for each of the plan's rules.

    `feeds` are matches of rules that only correlations use (not reported themselves); `events` counts the
    rows read; `not_evaluated` are cells that could not be evaluated here.
    """

    segment: str
    sightings: tuple[Sighting, ...]
    feeds: tuple[Sighting, ...]
    events: int
    not_evaluated: tuple[NotEvaluated, ...] = ()
