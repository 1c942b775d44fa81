"""The verbs for what you hold: take evidence into the lake, and check everything again."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence, Set
from concurrent.futures import Executor
from dataclasses import replace
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import TypeVar

from aleat.errors import InputError, IntegrityError, Issue, TrustError
from aleat.evidence import NOTE_CODES, RANGE_BYTES, Limits, ReadOptions, Secrets, check_encoding, known_bytes
from aleat.evidence.ingest import IngestProgress, ingest
from aleat.stix.times import format_timestamp
from aleat.store.countersignatures import read_received, verify_countersignatures
from aleat.store.database import Connection
from aleat.store.decisions_verify import verify_decisions, verify_releases
from aleat.store.dismissals import verify_dismissals
from aleat.store.entries import verify_entries
from aleat.store.entries_verify import verify_list_rows
from aleat.store.exchanges_verify import verify_exchanges
from aleat.store.lake import Custodian, Lake
from aleat.store.lake_reread import replace_readings
from aleat.store.lake_verify import verify_lake
from aleat.store.ledger import LEDGERS, ledger_head, read_entries, verify_ledger
from aleat.store.objects import knowledge_digest, verify_added, verify_objects
from aleat.workspace.assumptions import assumptions_of
from aleat.workspace.collector import open_collector
from aleat.workspace.core import POLICY_NAME, Session
from aleat.workspace.heads import read_own_heads
from aleat.workspace.mappings import keep_mappings
from aleat.workspace.progress import Progress, silent
from aleat.workspace.results import EvidenceAdded, Fault, Verified

__all__ = ["add_evidence", "default_workers", "open_lake", "verify"]

_FEW_BYTES = 2 * RANGE_BYTES
"""Below this much input one process is faster than several."""

_Found = TypeVar("_Found")


def open_lake(session: Session) -> Lake:
    """Return the workspace's lake."""
    return Lake(session.folder, session.database)


def default_workers(paths: Sequence[Path | str] = ()) -> int:
    """Return how many worker processes to use: one for little input, else one a core."""
    if paths and known_bytes(paths, _FEW_BYTES) < _FEW_BYTES:
        return 1
    return max(1, min(os.cpu_count() or 1, 61))  # 61: what Windows can wait for


def add_evidence(
    session: Session,
    paths: Sequence[Path | str],
    *,
    copy: bool = False,
    giver: str | None = None,
    note: str = "",
    acquired: datetime | None = None,
    hash_lists: Sequence[Path] = (),
    encoding: str | None = None,
    host: str | None = None,
    logs: ReadOptions | None = None,
    limits: Limits | None = None,
    secrets: Secrets | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: Progress = silent,
) -> EvidenceAdded:
    """Bring everything that a reader recognises below `paths` into the lake, each source with its custody.

    `note` and `acquired` are what its collector says of it; `hash_lists` are files of their hashes, which are compared.
    `logs` is what is stated about zones, years and code pages (`aleat.evidence.read_options`), `limits` what archives
    may cost, `secrets` are passwords for them. A text among `paths` is a URL (`aleat.evidence.location`).

    The work is done by `workers` processes, or by `executor`, of which `workers` says how many jobs it does at once
    and whose processes must see the paths and the workspace as this one does.
    """
    if acquired is not None and acquired.tzinfo is None:
        raise InputError("The time of acquisition has no zone.", advice="Write 2022-07-15T08:00Z or +02:00.")
    collector, unread = open_collector(hash_lists)

    def show(state: IngestProgress) -> None:
        progress(f"evidence {Path(state.path).name}", state.events, None)

    with session.writing():
        keep_mappings(session.folder, logs.mappings if logs else ())
        result = ingest(
            paths,
            open_lake(session),
            actor=session.actor,
            time=session.now(),
            key=session.key,
            given_by=giver or session.config.organisation,
            copy=copy,
            note=note.strip(),
            acquired="" if acquired is None else format_timestamp(acquired),
            collector=collector,
            options=_options(session, logs or ReadOptions(), encoding, host),
            limits=limits,
            secrets=secrets,
            workers=workers or default_workers(() if executor is not None else paths),
            executor=executor,
            progress=show,
        )
        lake, custodian = open_lake(session), Custodian(session.actor, session.now(), session.key)
        again = list(replace_readings(lake, custodian, result.sources))
        result.issues.extend(again)
        lake.add_issues(custodian, again)
    named = {path.as_posix() for path in paths if isinstance(path, Path)}
    lost = tuple(
        issue for issue in (*unread, *result.issues) if issue.code not in NOTE_CODES or _is_nothing(issue, named)
    )
    return EvidenceAdded(
        sources=len(result.sources),
        known_sources=len(result.known),
        segments=result.segments,
        events=result.events,
        files=result.files,
        agreeing_hashes=result.agreeing,
        differing_hashes=result.differing,
        unreadable_bytes=sum(issue.length or 0 for issue in lost),
        assumptions=assumptions_of(result.issues, dict.fromkeys((i.place.path for i in result.issues), session.actor)),
        issues=lost,
    )


def _options(session: Session, logs: ReadOptions, encoding: str | None, host: str | None) -> ReadOptions:
    """Return what is stated about the logs, with the case's zone as the one that is assumed."""
    zone = session.config.zone
    options = logs if logs.assume_zone or zone == "UTC" else replace(logs, assume_zone=zone)
    if encoding is not None:
        check_encoding(encoding)
        options = replace(options, encoding=encoding)
    return options if host is None else replace(options, host=host)


def _is_nothing(issue: Issue, named: Set[str]) -> bool:
    """Say whether what somebody named turned out to be empty: deeper in a folder that is worth a note only."""
    return issue.code in {"empty-folder", "empty-file"} and issue.place.path in named


def verify(session: Session, *, head: Path | None = None, progress: Progress = silent) -> Verified:
    """Check every hash, chain and signature; `head` is a file of heads that was exported before."""
    expected = read_own_heads(session, head) if head else {}
    lake = open_lake(session)
    faults: list[Fault] = []
    absent: list[str] = []
    entries = 0
    with session.read() as connection:
        for ledger in LEDGERS:
            progress("ledger", entries, None)
            found = verify_ledger(connection, ledger, session.public_keys, expected.get(ledger))
            faults += [Fault("ledger", f"{fault.ledger} entry {fault.seq}", fault.reason) for fault in found]
            entries += ledger_head(connection, ledger).entries
        broken = bool(faults)
        faults += _readable(_stored_faults(session, connection), broken=broken)
        countersigned = _countersigners(connection) if not faults else ()
    for number, found_fault in enumerate(_readable(verify_lake(lake), broken=broken)):
        progress("lake", number, None)
        if found_fault.absent:
            absent.append(found_fault.subject)
        else:
            faults.append(Fault(found_fault.kind, found_fault.subject, found_fault.reason))
    return Verified(
        faults=tuple(faults),
        absent=tuple(absent),
        sources=lake.count_sources(),
        forgotten=lake.count_sources(forgotten=True),
        segments=len(lake.segments()),
        entries=entries,
        lake=lake.identity(),
        heads=session.heads(),
        countersigned=countersigned,
    )


def _stored_faults(session: Session, connection: Connection) -> Iterator[Fault]:
    """Yield what is wrong with objects, lists, decisions and the policy."""
    yield from (Fault("object", fault.id, fault.reason) for fault in verify_objects(connection))
    yield from _verify_knowledge(connection)
    for fault in chain(verify_entries(connection, session.folder), verify_list_rows(connection)):
        yield Fault("list", fault.digest, fault.reason)
    try:
        session.policy()
    except TrustError as error:
        yield Fault("policy", POLICY_NAME, str(error))
    for name, reason in verify_decisions(connection, session.public_keys.values()):
        yield Fault("decision", name, reason)
    for name, reason in verify_releases(connection):
        yield Fault("release", name, reason)
    for name, reason in verify_dismissals(connection):
        yield Fault("decision", name, reason)
    for name, reason in verify_exchanges(connection):
        yield Fault("exchange", name, reason)
    for name, reason in verify_countersignatures(connection):
        yield Fault("countersigned", name, reason)


def _countersigners(connection: Connection) -> tuple[str, ...]:
    """Return who countersigned the ledgers' heads, and when."""
    pages = read_received(connection)
    return tuple(f"{one.organisation} on {one.time[:10]}" for page in pages for one in page.countersignatures)


def _readable(found: Iterator[_Found], *, broken: bool) -> Iterator[_Found]:
    """Yield what is found; where a ledger is `broken`, checks against it end where it can't be read any more."""
    try:
        yield from found
    except (IntegrityError, LookupError, TypeError, ValueError):
        if not broken:
            raise


def _verify_knowledge(connection: Connection) -> Iterator[Fault]:
    """Compare all objects and their copies with what the custody ledger's entries say was added, one after another."""
    added = []
    earlier = None
    for entry in read_entries(connection, "custody"):
        earlier = entry.data.get("knowledge_digest", earlier)
        if "knowledge_rows" in entry.data:
            added.append((entry.seq, entry.data["knowledge_rows"]))
    if earlier is not None:  # what format 2 bound: all copies at once
        before = min((bound["copies"][0] for _, bound in added if "copies" in bound), default=None)
        if earlier != knowledge_digest(connection, before=before):
            yield Fault("object", "knowledge", "The objects or their copies differ from the custody ledger's digest.")
    for fault in verify_added(connection, added, begun=earlier is not None):
        yield Fault("object", fault.digest, fault.reason)
