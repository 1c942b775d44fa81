"""What the workspace's verbs return: counts and findings, as typed records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from aleat.case.records import Case
from aleat.errors import Issue
from aleat.exchange import Received
from aleat.report.answer import Answer
from aleat.report.records import Assumption
from aleat.trust.chain import Head
from aleat.workspace.quality import DoubtfulObject

__all__ = [
    "EvidenceAdded",
    "Fault",
    "Investigation",
    "KnowledgeAdded",
    "Polled",
    "PolledFeed",
    "ReportFiles",
    "Sorted",
    "Verified",
]


class KnowledgeAdded(msgspec.Struct, frozen=True, kw_only=True):
    """What `add_knowledge` did: `kinds` counts new objects by STIX type (indicators by pattern type)."""

    new: int = 0
    known: int = 0
    conflicts: int = 0
    superseded: int = 0
    """Older texts of Sigma rules that ended, because the same giver gave a newer one."""
    entries: int = 0
    kinds: dict[str, int] = {}
    corpora: tuple[str, ...] = ()
    opened: tuple[str, ...] = ()
    """Sealed files that were opened, by the name of the ally who sent them."""
    quality: dict[str, int] = {}
    """How many objects something is doubtful about, by the label's code (`aleat.knowledge.quality`); all were kept."""
    doubtful: tuple[DoubtfulObject, ...] = ()
    """The first thousand of them."""
    places: dict[str, Mapping[str, str]] = {}
    """What is known of collections as wholes (a checkout's "commit", a fetched file's "sha256"), by how it is shown."""
    notes: int = 0
    """Files passed over because they are no knowledge, and the like: nothing was lost."""
    issues: tuple[Issue, ...] = ()

    def with_opened(self, received: Sequence[Received], refused: Sequence[Issue]) -> KnowledgeAdded:
        """Return the same with what sealed files held, and those that were refused."""
        return msgspec.structs.replace(
            self,
            new=self.new + sum(one.stored.new for one in received),
            known=self.known + sum(one.stored.known + one.stored.copies for one in received),
            conflicts=self.conflicts + sum(len(one.stored.conflicts) for one in received),
            opened=tuple(one.sender.name for one in received),
            issues=(*self.issues, *refused, *(issue for one in received for issue in one.issues)),
        )


class Pulled(msgspec.Struct, frozen=True, kw_only=True):
    """What a pull of one source did. `refused` says why nothing of it came in; `notes` what else is to be known.

    `files` are the SHA-256 of its files by name, `before` the version that was held. The counts say what differs from
    the last pull (None: there is none to compare with), the titles name the first of them. `declared` says that it
    was added as its public corpus; where the workspace's policy names none such, it wasn't.
    """

    name: str
    title: str
    licence: str
    version: str = ""
    before: str = ""
    files: dict[str, str] = {}
    declared: bool = True
    added: KnowledgeAdded = KnowledgeAdded()
    new_count: int | None = None
    changed_count: int | None = None
    gone_count: int | None = None
    new_titles: tuple[str, ...] = ()
    changed_titles: tuple[str, ...] = ()
    gone_titles: tuple[str, ...] = ()
    notes: tuple[Issue, ...] = ()
    refused: Issue | None = None


class HeldSource(msgspec.Struct, frozen=True, kw_only=True):
    """A well-known source, and what is held of it: its version ("" for none), since when, and when it was last pulled.

    Times are STIX timestamps.
    """

    name: str
    title: str
    licence: str
    home: str
    version: str = ""
    since: str = ""
    pulled: str = ""


class PolledFeed(msgspec.Struct, frozen=True, kw_only=True):
    """What a poll of one feed (a collection) did; `bookmark` is where the next one begins, `complete` that it ended."""

    title: str
    id: str
    url: str
    pages: int
    bookmark: str
    complete: bool
    added: KnowledgeAdded


class Polled(msgspec.Struct, frozen=True, kw_only=True):
    """What a poll did, feed by feed; `refused` is what of the server can't be polled, `giver` who all of it is from."""

    feeds: tuple[PolledFeed, ...]
    refused: tuple[Issue, ...]
    giver: str
    letters: tuple[Received, ...] = ()
    """What was in the sealed files of a collection of messages, in the order in which they were opened."""
    letter_issues: tuple[Issue, ...] = ()
    shut: int = 0
    """How many sealed files came that can't be opened, for a reason that was told before."""

    @property
    def issues(self) -> tuple[Issue, ...]:
        """All that could not be read."""
        return (*self.refused, *(issue for feed in self.feeds for issue in feed.added.issues), *self.letter_issues)


class EvidenceAdded(msgspec.Struct, frozen=True, kw_only=True):
    """What `add_evidence` did: sources and segments new and known, events, byte ranges that were lost.

    `files` counts those of the new sources that are no logs, and are kept as files; `agreeing_hashes` and
    `differing_hashes` what came of the collector's own hashes.
    """

    sources: int = 0
    known_sources: int = 0
    segments: int = 0
    events: int = 0
    files: int = 0
    agreeing_hashes: int = 0
    differing_hashes: int = 0
    unreadable_bytes: int = 0
    assumptions: tuple[Assumption, ...] = ()
    """What the logs don't say of their times and texts, and under which they were read."""
    issues: tuple[Issue, ...] = ()


class Fault(msgspec.Struct, frozen=True):
    """One thing that `verify` found wrong: what ("evidence", "segment", "ledger", "object"), its name, and how."""

    what: str
    name: str
    reason: str


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What `verify` found. `absent` names evidence by reference that isn't there: no fault, but not checked."""

    faults: tuple[Fault, ...]
    absent: tuple[str, ...]
    sources: int
    segments: int
    entries: int
    lake: str
    """The lake's identity: a Merkle root over its segments."""
    heads: tuple[Head, ...]
    forgotten: int = 0
    """How many sources were forgotten; they aren't among `sources`."""
    countersigned: tuple[str, ...] = ()
    """Which allies countersigned the ledgers' heads, and when; empty where a ledger has a fault."""


class ReportFiles(msgspec.Struct, frozen=True, kw_only=True):
    """The files that `report` wrote."""

    html: Path
    bundle: Path
    sightings: Path


class Sorted(msgspec.Struct, frozen=True, kw_only=True):
    """What `investigate` made of the paths it was given."""

    knowledge: tuple[Path, ...] = ()
    evidence: tuple[Path | str, ...] = ()
    statements: tuple[Path, ...] = ()
    issues: tuple[Issue, ...] = ()


class Investigation(msgspec.Struct, frozen=True, kw_only=True):
    """What `investigate` did, step by step, and the answer."""

    sorted: Sorted
    knowledge: KnowledgeAdded
    evidence: EvidenceAdded
    case: Case
    answer: Answer
    report: ReportFiles
    sightings: int
    not_evaluated: int
    issues: tuple[Issue, ...]
