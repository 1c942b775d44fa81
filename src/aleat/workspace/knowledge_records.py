"""What the view of knowledge tells, as typed records; the words around them are the skins'."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from aleat.errors import Place
from aleat.exchange.beside import FindingRow
from aleat.knowledge.playbooks import Playbook
from aleat.knowledge.quality import QualityLabel

__all__ = [
    "CopyRow",
    "DiffRow",
    "GiverMonth",
    "HitRow",
    "KnowledgeFilter",
    "KnowledgeList",
    "KnowledgeRow",
    "PackDiff",
    "RelatedRow",
    "ShownKnowledge",
    "VersionRow",
]

State = Literal["hunts", "revoked", "expired", "withdrawn", "conflict", "hit", "never-hit", "kept", "warns"]


class KnowledgeFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for: all that is given must fit, and of several values of one kind any.

    `text` is a name, an alias or an ATT&CK id, or part of a name; `value` an exact value (of a pattern, an observable,
    a list). `markings` are ids, `givers` identity ids or names, `quality` label codes ("any": all). `since` and `until`
    are about when the object was made or changed.
    """

    types: tuple[str, ...] = ()
    pattern_types: tuple[str, ...] = ()
    givers: tuple[str, ...] = ()
    markings: tuple[str, ...] = ()
    corpora: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    quality: tuple[str, ...] = ()
    states: tuple[State, ...] = ()
    text: str = ""
    value: str = ""
    since: datetime | None = None
    until: datetime | None = None


class KnowledgeRow(msgspec.Struct, frozen=True, kw_only=True):
    """One object in a list. `confidence` is the maker's, `confidence_now` what ageing as agreed left of it.

    `state` is "hunts", "revoked", "withdrawn", "expired" (it hunts the past), "warns" (a list of values that mean
    nothing), "kept" (an indicator that can't be hunted for), or "" for what isn't an indicator. `hits` is None where
    nobody asked for them.
    """

    id: str
    type: str
    pattern_type: str = ""
    name: str = ""
    givers: tuple[str, ...] = ()
    markings: tuple[str, ...] = ()
    corpora: tuple[str, ...] = ()
    modified: str = ""
    received: str = ""
    confidence: int | None = None
    confidence_now: float | None = None
    state: str = ""
    reason: str = ""
    conflict: bool = False
    quality: tuple[QualityLabel, ...] = ()
    hits: int | None = None


class KnowledgeList(msgspec.Struct, frozen=True, kw_only=True):
    """One page of what fits, and how many fit in all, by type."""

    rows: tuple[KnowledgeRow, ...]
    total: int
    types: dict[str, int]


class CopyRow(msgspec.Struct, frozen=True, kw_only=True):
    """One giver's copy: when it came, where it stood, under what; `withdrawn` says when it was taken back."""

    giver: str
    received: str
    markings: tuple[str, ...] = ()
    originator: str = ""
    agreement: str = ""
    corpus: str = ""
    basis: str = ""
    place: Place = Place("")
    confidence_now: float | None = None
    withdrawn: str = ""


class VersionRow(msgspec.Struct, frozen=True, kw_only=True):
    """One version or variant: who gave it; whether it is the one that counts, revoked, or in conflict with another."""

    version: str
    digest: str
    spec_version: str
    counts: bool
    revoked: bool
    conflict: bool
    copies: tuple[CopyRow, ...]


class RelatedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A relation of an object: `outward` where it is the source; `id`, `type` and `name` are the other end's."""

    relation: str
    outward: bool
    id: str
    type: str
    name: str = ""


class HitRow(msgspec.Struct, frozen=True, kw_only=True):
    """What an indicator hit on one host: how many events, first and last (microseconds); `hidden`: why not counted."""

    host: str
    events: int
    first: int | None
    last: int | None
    value: str = ""
    hidden: str = ""


class ShownKnowledge(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one object."""

    row: KnowledgeRow
    description: str = ""
    aliases: tuple[str, ...] = ()
    ids: tuple[tuple[str, str], ...] = ()
    """What others know it by, and who: ATT&CK's ids, CVE numbers, a rule's own id."""
    labels: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    external: tuple[str, ...] = ()
    pattern: str = ""
    entries: int | None = None
    valid_from: str = ""
    valid_until: str = ""
    created: str = ""
    created_by: str = ""
    versions: tuple[VersionRow, ...] = ()
    relations: tuple[RelatedRow, ...] = ()
    hits: tuple[HitRow, ...] = ()
    hunted: bool = False
    """Whether a hunt looked for it."""
    playbook: Playbook | None = None
    """What a course of action holds, where it is a playbook."""
    conflicts: tuple[str, ...] = ()
    not_evaluated: tuple[str, ...] = ()
    findings: tuple[FindingRow, ...] = ()
    """What allies found with it."""


class DiffRow(msgspec.Struct, frozen=True, kw_only=True):
    """One difference between two packs: "added", "gone", "changed" (which `properties`) or "revoked"."""

    what: Literal["added", "gone", "changed", "revoked"]
    key: str
    type: str
    name: str = ""
    properties: tuple[str, ...] = ()


class PackDiff(msgspec.Struct, frozen=True, kw_only=True):
    """Two packs compared: how many objects each has, what is the same, what differs; `issues` counts unread parts."""

    before: int
    after: int
    same: int
    rows: tuple[DiffRow, ...]
    issues: int = 0


class GiverMonth(msgspec.Struct, frozen=True, kw_only=True):
    """What one giver gave in one month ("2022-09"), and what came of it since.

    `hit` counts indicators that hit anything that nothing hides, `hits` those events; `confirmed` are events of them
    that another giver's knowledge or another tool's alert found too, `dismissed` those that an analyst dismissed.
    """

    giver: str
    month: str
    objects: int = 0
    indicators: int = 0
    hit: int = 0
    hits: int = 0
    confirmed: int = 0
    dismissed: int = 0
    expired: int = 0
    withdrawn: int = 0
    conflicts: int = 0
    doubtful: int = 0
