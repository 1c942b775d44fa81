"""The verb that takes knowledge in: what an ally says, with who gave it, when, and under which marking."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import Executor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from aleat.errors import Issue, Place
from aleat.knowledge import NOTE_CODES, UNDATED, KnowledgeItem, Limits
from aleat.knowledge.blocks import KnowledgeBlock, Known
from aleat.knowledge.places import open_places
from aleat.knowledge.reader import read_document_blocks
from aleat.opening import Secrets, shown_url
from aleat.processes import process_pool
from aleat.stix import content_id, make_object
from aleat.stix.columns import columns_of
from aleat.store.database import Connection
from aleat.store.entries import put_entries
from aleat.store.entries_verify import list_facts
from aleat.store.files import sync_files
from aleat.store.ledger import append_entry
from aleat.store.objects import ObjectWriter, Provenance, iterate_objects, known_kinds
from aleat.trust.markings import marking_id
from aleat.workspace.core import Session, giver_id
from aleat.workspace.progress import Progress, silent
from aleat.workspace.quality import Doubts
from aleat.workspace.received_lists import complete_lists, last_object
from aleat.workspace.results import KnowledgeAdded
from aleat.workspace.superseded import end_older_texts, rule_ids

__all__ = ["STATEMENT_LABEL", "add_knowledge", "add_statements", "keep", "stated_markings", "statements"]

STATEMENT_LABEL = "public-statement"
"""The label of a note that holds a public statement's text."""

_BATCH = 4_000
_MAX_STATEMENT = 5 * 1024 * 1024


def stated_markings(marking: str | None) -> tuple[str, ...]:
    """Return the ids of the marking that somebody states: a TLP level, a label with its scheme, or an id."""
    return (marking_id(marking if ":" in marking else f"tlp:{marking}"),) if marking else ()


def add_knowledge(
    session: Session,
    paths: Sequence[Path | str],
    *,
    giver: str | None = None,
    marking: str | None = None,
    originator: str | None = None,
    corpus: str | None = None,
    version: str = "",
    limits: Limits | None = None,
    secrets: Secrets | None = None,
    facts: Mapping[str, Any] | None = None,
    kind: str = "knowledge",
    progress: Progress = silent,
) -> KnowledgeAdded:
    """Read everything at `paths`, and keep it in one transaction, with its provenance and a ledger entry.

    A text among `paths` is a URL, which is fetched. What is known of each collection as a whole (a checkout's commit,
    what was fetched) stands in the entry's "places"; `facts` stand there, too. `version` is the declared corpus'.
    """
    labels = stated_markings(marking)
    limits = limits or Limits()
    places: dict[str, Mapping[str, str]] = {}

    def read(workers: Executor | None, known: Known) -> Iterator[KnowledgeItem | KnowledgeBlock | Issue]:
        for found in open_places(paths, limits, secrets):
            if isinstance(found, Issue):
                yield found
                continue
            if found.facts:
                places[found.shown] = found.facts
            yield from read_document_blocks(
                found.documents,
                limits=limits,
                policy=session.policy(),
                corpus=corpus,
                version=version or found.version,
                markings=labels,
                workers=workers,
                known=known,
            )

    stated = {
        **(facts or {}),
        "paths": [shown_url(path) if isinstance(path, str) else str(path) for path in paths],
        "marking": labels[0] if labels else None,
        "corpus": corpus,
        "places": places,
    }
    with session.writing(), _helpers() as workers, session.write() as connection:
        from_whom = giver_id(session, connection, giver)
        same = Provenance(giver=from_whom, received=session.now(), markings=labels, originator=originator)
        added = keep(
            session,
            connection,
            read(workers, lambda block: known_kinds(connection, block, same)),
            giver=from_whom,
            originator=originator,
            kind=kind,
            facts=stated,
            named={shown_url(path) if isinstance(path, str) else path.as_posix() for path in paths},
            progress=progress,
        )
    return msgspec.structs.replace(added, places=places)


@contextmanager
def _helpers() -> Iterator[Executor | None]:
    """Yield a process beside this one, for large documents, where there is a processor for it."""
    if (os.cpu_count() or 1) < 2:
        yield None
        return
    with process_pool(1) as pool:  # starts with the first work
        yield pool


def keep(
    session: Session,
    connection: Connection,
    found: Iterable[KnowledgeItem | KnowledgeBlock | Issue],
    *,
    giver: str,
    originator: str | None = None,
    agreement: str | None = None,
    kind: str = "knowledge",
    facts: Mapping[str, Any] | None = None,
    named: Set[str] = frozenset(),
    progress: Progress = silent,
) -> KnowledgeAdded:
    """Keep what was found, whatever way it came, in the caller's transaction: the one way in.

    `connection` is that of `session.write()`, opened under `session.writing()`. `giver` is the identity of who
    handed it over (see `giver_id`), `originator` who said it first, `agreement` what it came under. One entry of
    the custody ledger, of this `kind`, binds all that came; `facts` (JSON: paths, URL, page, hash) stand in it
    beside giver and counts. `named` are the paths that somebody named himself: that there is nothing in one of
    those is an issue, deeper in a folder it is a note only. What `found` raises leaves nothing behind, where the
    caller lets it end the transaction. A Sigma rule of which a newer text came ends (`aleat.workspace.superseded`); a
    pull tells by itself what its source no longer has.
    """
    issues: list[Issue] = []
    kinds: Counter[str] = Counter()
    corpora: set[str] = set()
    lists: set[str] = set()
    unsynced: list[Path] = []
    rules: set[str] = set()
    entries = 0
    now = session.now()
    before = last_object(connection)
    writer = ObjectWriter(connection)
    doubts = Doubts(connection, session.folder)
    for batch in _batches(found, issues):
        if isinstance(batch, KnowledgeBlock):
            kinds.update({_kind_name(*kind): count for kind, count in batch.kinds.items()})
            corpora.update(_corpus_name(batch))
            if batch.known:
                writer.count_known(batch.kinds.total())
            else:
                doubts.look_at(batch)
                if batch.kinds["indicator", "sigma"]:
                    rules |= rule_ids(item.object for item in batch.items())
                given = _provenance(batch, Place(batch.path), giver, originator, agreement, now)
                writer.put_together(batch.columns, given, batch.offsets)
                if batch.digest is not None:
                    writer.remember(batch.digest, given, batch.kinds)
            progress("knowledge", writer.handled, None)
            continue
        doubts.look([item.object for item in batch])
        rules |= rule_ids(item.object for item in batch)
        for item in batch:
            if item.entries is not None:
                lists.add(put_entries(connection, session.folder, item.entries, unsynced))
                entries += item.entries.num_rows
            corpora.update(_corpus_name(item))
            kinds[_kind_name(item.object.type, item.object.pattern_type or "")] += 1
        copies = [_provenance(item, item.place, giver, originator, agreement, now) for item in batch]
        writer.put(columns_of([item.object for item in batch]), copies)
        progress("knowledge", writer.handled, None)
    result = writer.close()
    if kinds["note"]:
        tables, wrong = complete_lists(connection, before, Place(giver))
        issues += wrong
        lists |= {put_entries(connection, session.folder, table) for table in tables}
        entries += sum(table.num_rows for table in tables)
    sync_files(unsynced)
    data = {
        **(facts or {}),
        "giver": giver,
        "objects": result.new,
        "known": result.known + result.copies,
        "entries": entries,
        "lists": list_facts(connection, lists),
        "knowledge_rows": result.bound,
    }
    append_entry(connection, "custody", kind, data, actor=session.actor, time=now, key=session.key)
    superseded = end_older_texts(session, connection, rules, giver, agreement) if kind != "pull" else 0
    lost = [issue for issue in issues if issue.code not in NOTE_CODES or _is_nothing(issue, named)]
    return KnowledgeAdded(
        new=result.new,
        known=result.known + result.copies,
        conflicts=len(result.conflicts),
        superseded=superseded,
        entries=entries,
        kinds=dict(kinds),
        corpora=tuple(sorted(corpora)),
        issues=tuple(lost),
        notes=len(issues) - len(lost),
        quality=dict(doubts.counts),
        doubtful=tuple(doubts.listed),
    )


def _is_nothing(issue: Issue, named: Set[str]) -> bool:
    """Say whether what somebody named turned out to hold no knowledge: deeper in a folder that is worth a note only."""
    return issue.code in {"empty", "not-knowledge"} and issue.place.path in named


def add_statements(session: Session, paths: Sequence[Path], *, giver: str | None = None) -> tuple[Issue, ...]:
    """Keep public statements (news texts) as notes with their text; claims are read from them when a case is built."""
    with session.writing(), session.write() as connection:
        added = keep(
            session,
            connection,
            _statements(session, paths),
            giver=giver_id(session, connection, giver),
            kind="statements",
            facts={"paths": [str(path) for path in paths]},
        )
    return added.issues


def statements(connection: Connection) -> Iterator[tuple[str, str]]:
    """Yield (document, text) of each public statement."""
    for stored in iterate_objects(connection, ["note"]):
        properties = stored.object.properties()
        if STATEMENT_LABEL in properties.get("labels", ()):
            yield str(properties.get("abstract", "")), str(properties["content"])


def _statements(session: Session, paths: Sequence[Path]) -> Iterator[KnowledgeItem | Issue]:
    for path in paths:
        text = _read_statement(path)
        yield text if isinstance(text, Issue) else _statement(session, path, text)


def _statement(session: Session, path: Path, text: str) -> KnowledgeItem:
    note = make_object(
        "note",
        content_id("note", [STATEMENT_LABEL, path.name, text]),
        created=UNDATED,
        created_by_ref=session.config.identity,
        abstract=path.name,
        content=text,
        labels=[STATEMENT_LABEL],
        object_refs=[session.config.identity],
    )
    return KnowledgeItem(object=note, place=Place(str(path)))


def _read_statement(path: Path) -> str | Issue:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_STATEMENT + 1)
    except OSError as error:
        return Issue("claims", "unreadable-file", Place(str(path)), f"It can't be read: {error.strerror}.")
    if len(data) > _MAX_STATEMENT:
        reason = f"The text is longer than {_MAX_STATEMENT:,} bytes (limit: statement)."
        return Issue("claims", "limit", Place(str(path)), reason, "Give the part that matters.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _provenance(
    item: KnowledgeItem | KnowledgeBlock,
    place: Place,
    giver: str,
    originator: str | None,
    agreement: str | None,
    now: datetime,
) -> Provenance:
    return Provenance(
        giver=giver,
        received=now,
        markings=item.markings,
        originator=originator,
        agreement=agreement,
        source=place,
        corpus=item.corpus,
        corpus_basis=item.corpus_basis,
    )


def _kind_name(type_: str, pattern_type: str) -> str:
    return f"{pattern_type} indicator" if type_ == "indicator" and pattern_type else type_


def _corpus_name(item: KnowledgeItem | KnowledgeBlock) -> set[str]:
    """Return what the corpus of an item is called in the summary; nothing, where it is of none."""
    if not item.corpus:
        return set()
    return {f"{item.corpus} {item.corpus_version}".strip() + f" (by {item.corpus_basis})"}


def _batches(
    found: Iterable[KnowledgeItem | KnowledgeBlock | Issue], issues: list[Issue]
) -> Iterator[list[KnowledgeItem] | KnowledgeBlock]:
    batch: list[KnowledgeItem] = []
    for item in found:
        if isinstance(item, Issue):
            issues.append(item)
            continue
        if isinstance(item, KnowledgeBlock):
            if batch:
                yield batch
                batch = []
            yield item
            continue
        batch.append(item)
        if len(batch) >= _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
