"""Paths into the lake: cut, hash, hand ranges to workers, commit in a fixed order.

The coordinator reads each source once, hashes it and its ranges, and passes over ranges whose segment is
already there; so an ingest that was killed goes on where it was, and a file that was ingested before costs
its reading only. Workers write segment files; the coordinator alone commits, in the order of sources and
ranges, so that ledger and lake are the same for any number of workers.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from aleat.errors import InputError, Issue, Place, WorkspaceError
from aleat.evidence.collector import Collector, SourceHashes, collection_hashes
from aleat.evidence.opener import Limits, Secrets, Source, open_sources
from aleat.evidence.read import segment_id, source_ranges
from aleat.evidence.reader import ByteRange, ReadOptions, reader_named
from aleat.evidence.readers.file import FILE_FORMAT
from aleat.evidence.segment import RangeTask, write_range
from aleat.processes import process_pool
from aleat.store.lake import Custodian, Lake, RangeRow, SegmentDraft, SourceFacts
from aleat.store.lake_custody import Ending
from aleat.store.lake_files import hash_file
from aleat.trust.keys import SigningKey

__all__ = ["IngestProgress", "IngestResult", "ingest"]


@dataclass(frozen=True, slots=True)
class IngestProgress:
    """How far an ingest is: the source at hand, its bytes so far and in all (None: unknown), events so far."""

    path: str
    bytes: int
    size: int | None
    sources: int
    events: int


@dataclass(slots=True)
class IngestResult:
    """What an ingest brought: ids of new sources, paths that were there already, new segments and events."""

    sources: list[int] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    segments: int = 0
    events: int = 0
    files: int = 0
    """How many of the new sources are no logs, and are kept as files."""
    agreeing: int = 0
    differing: int = 0
    """How many of the collector's own hashes are those that were found here, and how many aren't."""
    issues: list[Issue] = field(default_factory=list)


def ingest(
    paths: Sequence[Path | str],
    lake: Lake,
    *,
    actor: str,
    time: datetime,
    key: SigningKey,
    given_by: str,
    copy: bool = False,
    note: str = "",
    acquired: str = "",
    collector: Collector | None = None,
    options: ReadOptions | None = None,
    limits: Limits | None = None,
    secrets: Secrets | None = None,
    workers: int = 1,
    executor: Executor | None = None,
    progress: Callable[[IngestProgress], None] | None = None,
) -> IngestResult:
    """Bring everything that a reader recognises below `paths` into the lake, and return what came in.

    `copy` keeps the evidence in the workspace under its SHA-256; else it is referenced where it lies. `note` and
    `acquired` (a STIX timestamp) are what whoever collected it says, `collector` their own hashes. Work is done in
    this process, by `workers` processes, or by `executor`. What can't be read is in the result and in the lake's
    issues; the rest goes on. Raises `WorkspaceError` where the disk is full or a worker dies: what was committed
    stays, and the next ingest goes on from there.
    """
    lake.prepare()
    with ExitStack() as stack:
        if executor is None and workers > 1:
            executor = stack.enter_context(process_pool(workers))
        stated = _Stated(given_by, copy, note, acquired, collector or Collector())
        run = _Ingest(lake, Custodian(actor, time, key), stated, executor, max(workers, 2), progress)
        try:
            for found in open_sources(paths, limits=limits, options=options, files=True, secrets=secrets):
                if isinstance(found, Issue):
                    run.note(found)
                else:
                    run.add(found)
            run.drain(0)
            for issue in stated.collector.unmatched():
                run.note(issue)
        except BrokenProcessPool as error:
            raise WorkspaceError(
                "A worker process died (out of memory?). What was committed stays: run it again, with fewer workers."
            ) from error
        finally:
            run.close()
    return run.result


@dataclass(frozen=True, slots=True)
class _Stated:
    """What the person who adds evidence says about all of it."""

    given_by: str
    copy: bool
    note: str
    acquired: str
    collector: Collector


@dataclass(slots=True)
class _Run:
    """One source on its way: what is committed of it, and which known ranges wait for the next commit."""

    source: Source
    facts: SourceFacts
    id: int | None = None
    committed: list[RangeRow] = field(default_factory=list)
    waiting: list[RangeRow] = field(default_factory=list)
    dead: bool = False


@dataclass(slots=True)
class _Step:
    """One range in the order of commits; `future` is None where its segment is there (or on its way) already."""

    run: _Run
    span: ByteRange
    segment: str
    future: Future[SegmentDraft] | None
    ending: Ending | None


class _Ingest:
    """The coordinator's state."""

    def __init__(
        self,
        lake: Lake,
        custodian: Custodian,
        stated: _Stated,
        executor: Executor | None,
        window: int,
        progress: Callable[[IngestProgress], None] | None,
    ) -> None:
        self.lake = lake
        self.custodian = custodian
        self.stated = stated
        self.executor = executor
        self.window = window if executor else 0
        self.progress = progress
        self.result = IngestResult()
        self.loose: list[Issue] = []
        self.steps: deque[_Step] = deque()
        self.flying: set[str] = set()
        self.containers: dict[tuple[Path, str], str] = {}
        self.tasks = 0
        self.done = 0

    def note(self, issue: Issue) -> None:
        """Keep an issue that belongs to no source."""
        self.result.issues.append(issue)
        self.loose.append(issue)

    def add(self, source: Source) -> None:
        """Cut one source, hand out its ranges, commit what is ready."""
        try:
            run = self._begin(source)
            hashes = SourceHashes(source.path, [*self.stated.collector.of_stream(source), *collection_hashes(source)])
            for span, data, last in _with_last(source_ranges(run.source), self.note):
                hashes.update(data)
                self._queue(run, span, data, self._ending(source, hashes) if last else None)
                self.drain(self.window)
        except InputError as error:
            self.note(error.issue("evidence", source.path))

    def _begin(self, source: Source) -> _Run:
        container = ""
        if self.stated.copy or not source.is_plain:
            container = self._container(source)
        lies = str(source.file.absolute()) if not source.fleeting else source.path.partition("!")[0]
        if self.stated.copy:
            source = replace(source, file=self.lake.evidence_folder / container, fleeting=False)
        facts = SourceFacts(
            path=source.path,
            file=lies,
            members=source.members,
            container_sha256=container,
            reader=source.reader,
            reader_version=reader_named(source.reader).version,
            given_by=self.stated.given_by,
            copied=self.stated.copy,
            options=source.options.canonical(),
            note=self.stated.note,
            acquired=self.stated.acquired,
            origin=source.origin.canonical() if source.origin is not None else {},
        )
        run = _Run(source, facts)
        if (unfinished := self.lake.open_source(facts)) is not None:
            run.id, run.committed = unfinished
        return run

    def _container(self, source: Source, algorithm: str = "sha256") -> str:
        """Hash (and with `copy`: keep) the file that the source lies in, once."""
        known = self.containers.get((source.file, algorithm))
        if known is None:
            keep = self.stated.copy and algorithm == "sha256"
            try:
                known = self.lake.keep_evidence(source.file) if keep else hash_file(source.file, algorithm)
            except OSError as error:
                reason = f"It can't be read: {error.strerror or type(error).__name__}."
                raise InputError(reason, Place(source.path)) from error
            self.containers[source.file, algorithm] = known
        return known

    def _ending(self, source: Source, hashes: SourceHashes) -> Ending:
        """Return what is known of a source whose last byte went by; bytes that were forgotten once are told."""
        container = self.stated.collector.of_container(source)
        ending = hashes.ending(container, lambda algorithm: self._container(source, algorithm))
        if (forgotten := self.lake.forgotten_on(ending.sha256)) is None:
            return ending
        reason = f"These bytes were forgotten on {forgotten[:10]}, and are in the workspace again."
        advice = "Forget them again if that isn't wanted: aleat forget."
        again = Issue("evidence", "forgotten-before", Place(source.path), reason, advice)
        return replace(ending, issues=(*ending.issues, again))

    def _queue(self, run: _Run, span: ByteRange, data: bytes, ending: Ending | None) -> None:
        digest = hashlib.sha256(data).hexdigest()
        segment = segment_id(digest, span, reader_named(run.source.reader), run.source.options)
        future: Future[SegmentDraft] | None = None
        if segment not in self.flying and self.lake.known_events(segment) is None:
            self.flying.add(segment)
            self.tasks += 1
            temporary = self.lake.temporary_path(self.tasks)
            carried = data if self.executor is None or not run.source.is_plain else None
            task = RangeTask(run.source, span, segment, digest, str(temporary), carried)
            future = self._submit(task)
        self.steps.append(_Step(run, span, segment, future, ending))

    def _submit(self, task: RangeTask) -> Future[SegmentDraft]:
        if self.executor is not None:
            return self.executor.submit(write_range, task)
        future: Future[SegmentDraft] = Future()
        try:
            future.set_result(write_range(task))
        except Exception as error:  # handed on by `result`, as a pool does
            future.set_exception(error)
        return future

    def drain(self, keep: int) -> None:
        """Commit, in order, until at most `keep` steps are waiting."""
        while len(self.steps) > keep:
            self._commit(self.steps.popleft())

    def _commit(self, step: _Step) -> None:
        run = step.run
        try:
            draft = step.future.result() if step.future is not None else None
        except InputError as error:  # the file changed under our hands: this source stays unfinished
            self.note(error.issue("evidence", run.source.path))
            run.dead = True
            draft = None
        if not run.dead:
            events = draft.events if draft is not None else self.lake.known_events(step.segment)
            row = RangeRow(step.span.index, step.span.start, step.span.end, step.segment, events or 0)
            if draft is not None and self.lake.restore_segment(self.custodian, run.facts, draft):
                draft = None
            self._commit_range(run, row, draft, step.ending)
            if draft is not None:
                self.result.segments += 1
                self.result.events += draft.events
                self.result.issues.extend(draft.issues)
        elif draft is not None:
            self.lake.discard(draft)
        self.flying.discard(step.segment)
        self._report(step)

    def _commit_range(self, run: _Run, row: RangeRow, draft: SegmentDraft | None, ending: Ending | None) -> None:
        if row.ordinal < len(run.committed):
            if run.committed[row.ordinal] == row:  # done before the ingest was cut off
                if ending is not None:
                    self.lake.commit(self.custodian, run.facts, run.id, [], None, ending)
                    self._tell(ending)
                return
            if run.id is not None:  # the file is another one now
                self.lake.abandon_source(self.custodian, run.facts, run.id)
            run.waiting = run.committed[: row.ordinal]
            run.committed, run.id = [], None
        run.waiting.append(row)
        if draft is None and ending is None:
            return
        if draft is None and ending is not None and run.id is None and self._is_known(run, ending):
            return
        if run.id is None:
            run.id = self.lake.commit(self.custodian, run.facts, None, run.waiting, draft, ending)
            self.result.sources.append(run.id)
            self.result.files += run.source.reader == FILE_FORMAT
        else:
            self.lake.commit(self.custodian, run.facts, run.id, run.waiting, draft, ending)
        if ending is not None:
            self._tell(ending)
        run.waiting = []

    def _is_known(self, run: _Run, ending: Ending) -> bool:
        """Say whether these bytes are in the lake already; from another path, that is noted in its custody."""
        path = run.source.path
        known = self.lake.known_source(path, ending.sha256)
        if known is None:
            same = self.lake.complete_source(ending.sha256)
            if same is None:
                return False
            reason = f"Its bytes are those of {same[1]}, which is there already."
            note = Issue("evidence", "known-source", Place(path), reason)
            ending = replace(ending, issues=(*ending.issues, note))
            self.lake.commit_copy(self.custodian, run.facts, same[0], ending)
        elif ending.collector:
            self.lake.state_hashes(self.custodian, known, ending.collector)
        self._tell(ending)
        self.result.known.append(path)
        return True

    def _tell(self, ending: Ending) -> None:
        """Take what is known of a whole source into the result."""
        self.result.issues.extend(ending.issues)
        agreeing = sum(one.agrees for one in ending.collector)
        self.result.agreeing += agreeing
        self.result.differing += len(ending.collector) - agreeing

    def _report(self, step: _Step) -> None:
        if step.ending is not None:
            self.done += 1
        if self.progress is not None:
            source = step.run.source
            self.progress(IngestProgress(source.path, step.span.end, source.size, self.done, self.result.events))

    def close(self) -> None:
        """Let go of what is still under way, and keep the loose issues."""
        for step in self.steps:
            if step.future is not None:
                step.future.cancel()
        self.lake.clear_own_temporaries()
        if self.loose:
            self.lake.add_issues(self.custodian, self.loose)


def _with_last(
    ranges: Iterator[tuple[ByteRange, bytes]], note: Callable[[Issue], None]
) -> Iterator[tuple[ByteRange, bytes, bool]]:
    """Yield (range, bytes, whether it is the last); where reading fails, the range before is the last."""
    waiting: tuple[ByteRange, bytes] | None = None
    try:
        for item in ranges:
            if waiting is not None:
                yield (*waiting, False)
            waiting = item
    except InputError as error:
        note(error.issue("evidence"))
    if waiting is not None:
        yield (*waiting, True)
