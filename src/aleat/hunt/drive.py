"""Hunts over whole evidence: work handed out, findings brought together in a fixed order, the ledger kept.

`hunt_paths` reads files and keeps nothing; `hunt_lake` hunts segments, evaluates only what the ledger doesn't
have yet, and returns all that the plan's rules have found there, then or now. Both hand their work to a
`concurrent.futures.Executor`: their own pool of processes (started only when there is enough to do), or any that
is given. Findings are taken in the order of the evidence, whoever is done first, so that the result is the same
for any number of workers. Correlations and patterns over several events come last, from all base matches.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import Literal

import msgspec

from aleat.errors import InputError, Issue, WorkspaceError
from aleat.evidence import Limits, ReadOptions, Secrets, Source, known_bytes, open_sources, source_ranges
from aleat.evidence.opener import one_pass
from aleat.evidence.readers.file import FILE_FORMAT
from aleat.hunt.correlation import correlate
from aleat.hunt.coverage import CoverageBuilder, LogNotes, Openings
from aleat.hunt.filters import Filters
from aleat.hunt.in_lake import file_sources
from aleat.hunt.indicator import NotEvaluated, Sighting
from aleat.hunt.plan import ENGINE_VERSION, Plan
from aleat.hunt.result import HuntProgress, HuntResult, Tally, count_rules
from aleat.hunt.stix_observation import correlate_pattern
from aleat.hunt.stored import Attacher, plan_digests, plan_mapping
from aleat.hunt.work import (
    Found,
    RangeJob,
    SegmentJob,
    Setup,
    Worker,
    hunt_elsewhere,
    hunt_jobs,
    make_setup,
    part_of,
    start_worker,
)
from aleat.hunt.yara_hunt import gap_issues
from aleat.processes import process_pool
from aleat.store.database import Database
from aleat.store.hunts import (
    CellResult,
    HuntKey,
    RunRow,
    begin_run,
    get_run,
    missing_cells,
    put_cells,
    put_gaps,
    read_facts,
    read_found,
    read_gaps,
)
from aleat.store.lake import Lake, SegmentRow, SegmentSource

__all__ = ["Sink", "hunt_lake", "hunt_paths"]

Sink = Callable[[Sighting], None]
"""Takes each reported sighting as it is found; it is not kept then."""

Progress = Callable[[HuntProgress], None]

POOL_BYTES = 300_000_000
"""Below this much evidence, one process is faster than starting more."""
POOL_EVENTS = 2_000_000

_JOB_BYTES = 8_000_000  # small ranges travel together
_JOB_COUNT = 64
_COMMIT_SEGMENTS = 32
_gap_encoder = msgspec.json.Encoder()
_gap_decoder = msgspec.json.Decoder(NotEvaluated)
_notes_decoder = msgspec.msgpack.Decoder(tuple[LogNotes, ...])


def hunt_paths(
    paths: Sequence[Path | str],
    plan: Plan,
    *,
    workers: int | None = None,
    executor: Executor | None = None,
    options: ReadOptions | None = None,
    limits: Limits | None = None,
    secrets: Secrets | None = None,
    sink: Sink | None = None,
    progress: Progress | None = None,
) -> HuntResult:
    """Hunt in everything that a reader recognises below `paths`, in one go; nothing is kept.

    `workers` processes are used (None: as many as there are processors, but one below `POOL_BYTES`), or
    `executor`, of which `workers` says how many jobs it does at once and whose processes must see files under the
    same paths. What can't be read is in `HuntResult.issues`; the rest goes on.
    """
    gathering = _Gathering(plan, sink, progress)
    opening = _Opening(options, limits, secrets)
    sources = _sources(paths, opening, gathering.issues, _wanted_files(plan))
    gathering.total = known_bytes(paths)
    with _Pool(make_setup(plan, _key(plan, executor)), workers, executor, gathering.total >= POOL_BYTES) as pool:
        base: dict[int, int] = {}
        for jobs, found in pool.run(_range_jobs(sources, gathering.issues, pool.reads)):
            for job, item in zip(jobs, found, strict=True):
                assert isinstance(job, RangeJob)  # noqa: S101 - made above
                start = base.get(job.number, 0)
                base[job.number] = start + item.events
                gathering.add_found(item, start, job.source.path, job.span.end - job.span.start)
        not_evaluated = [row for _, row in pool.setup.index.rejected]
    return gathering.finish((*plan.not_evaluated, *not_evaluated))


def hunt_lake(
    lake: Lake,
    database: Database,
    plan: Plan,
    *,
    time: datetime,
    actor: str,
    as_of: datetime | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    sink: Sink | None = None,
    progress: Progress | None = None,
) -> HuntResult:
    """Hunt in a lake for what the ledger doesn't have yet, and return all that the plan's rules have found.

    `time` and `actor` are noted with what is new. With `as_of`, nothing is hunted: the result is what the latest
    hunt at or before that time knew (of the rules that are in `plan` too). Each segment's findings are committed
    by themselves: a hunt that is killed goes on where it was.
    """
    gathering = _Gathering(plan, sink, progress)
    segments = {row.id: row for row in lake.segments()}
    if as_of is None:
        run, missing = _begin(database, plan, list(segments), time, actor)
        if missing:
            _hunt_missing(lake, database, gathering, run, missing, segments, (workers, executor))
    else:
        with database.read() as connection:
            past = get_run(connection, as_of)
        if past is None:
            return gathering.finish(plan.not_evaluated)
        run = past
    _collect(lake, database, gathering, run, segments, as_of)
    with database.read() as connection:
        rejected = [_gap_decoder.decode(row) for row in read_gaps(connection, run)]
    return gathering.finish((*plan.not_evaluated, *rejected))


def _begin(
    database: Database, plan: Plan, segments: Sequence[str], time: datetime, actor: str
) -> tuple[RunRow, list[tuple[str, frozenset[str]]]]:
    key = HuntKey(plan_mapping(plan), ENGINE_VERSION)
    rules = plan_digests(plan)
    with database.write() as connection:
        run = begin_run(connection, time=time, actor=actor, key=key, rules=rules)
        return run, missing_cells(connection, key, segments, rules)


def _hunt_missing(
    lake: Lake,
    database: Database,
    gathering: _Gathering,
    run: RunRow,
    missing: Sequence[tuple[str, frozenset[str]]],
    segments: dict[str, SegmentRow],
    workers: tuple[int | None, Executor | None],
) -> None:
    """Hunt the missing cells and commit them, segment by segment."""
    plan = gathering.plan
    gathering.total = len(missing)
    missing, described = _pass_over(database, gathering, run, missing, segments)
    if not missing:
        return
    large = sum(segments[name].events for name, _ in missing) >= POOL_EVENTS
    waiting: list[tuple[SegmentJob, Found]] = []

    def commit() -> None:
        with database.write() as connection:
            for job, item in waiting:
                notes = msgspec.msgpack.encode(item.notes)
                rules = job.rules - item.left
                put_cells(connection, run, CellResult(job.segment, rules, item.events, item.kept, notes))
        waiting.clear()

    with _Pool(make_setup(plan, _key(plan, workers[1]), database), *workers, large) as pool:
        with database.write() as connection:
            put_gaps(connection, run, [(row[0], _gap_encoder.encode(row[1])) for row in pool.setup.index.rejected])
        try:
            content = _contents(lake, plan, missing, segments)
            for jobs, found in pool.run(_segment_jobs(lake, missing, segments, described, content)):
                for job, item in zip(jobs, found, strict=True):
                    assert isinstance(job, SegmentJob)  # noqa: S101 - made above
                    gathering.note(item, 1)
                    if item.left or not item.issues:
                        waiting.append((job, item))
                if len(waiting) >= _COMMIT_SEGMENTS:
                    commit()
        finally:
            commit()


def _pass_over(
    database: Database,
    gathering: _Gathering,
    run: RunRow,
    missing: Sequence[tuple[str, frozenset[str]]],
    segments: dict[str, SegmentRow],
) -> tuple[list[tuple[str, frozenset[str]]], frozenset[str]]:
    """Commit empty cells where a segment's description leaves the missing rules nothing to find.

    Returns the cells that are left, and the segments that have a description.
    """
    plan = gathering.plan
    with database.read() as connection:
        notes = {segment: _notes_decoder.decode(facts) for segment, facts in read_facts(connection)}
    listed = frozenset(item.digest for item in (*plan.lists, *plan.yara))  # which look into every field
    openings: dict[frozenset[str], Openings] = {}
    left: list[tuple[str, frozenset[str]]] = []
    empty: list[CellResult] = []
    for name, rules in missing:
        if name in notes and rules.isdisjoint(listed):
            if rules not in openings:
                openings[rules] = Openings(part_of(plan, rules))
            if not openings[rules].any_in(notes[name]):
                empty.append(CellResult(name, rules, segments[name].events))
                continue
        left.append((name, rules))
    if empty:
        with database.write() as connection:
            for cell in empty:
                put_cells(connection, run, cell)
                gathering.note(Found(cell.segment), 1)
    return left, frozenset(notes)


def _collect(
    lake: Lake,
    database: Database,
    gathering: _Gathering,
    run: RunRow,
    segments: dict[str, SegmentRow],
    as_of: datetime | None,
) -> None:
    """Bring together what the ledger has for the plan, in the order of sources and their ranges."""
    attacher = Attacher(gathering.plan, run.rules)
    places = _places(lake, segments.values())
    with database.read() as connection:
        notes = {segment: _notes_decoder.decode(facts) for segment, facts in read_facts(connection)}
        for done, (source, row) in enumerate(places, 1):
            gathering.builder.add(notes.get(row.id, ()), source.path)
            pieces = read_found(connection, run, row.id, as_of)
            gathering.add_base(attacher.attach(pieces, row.id, source))
            gathering.issues += gap_issues(attacher.take_gaps(), source.path, source.record_base)
            gathering.events += row.events
            gathering.report("collect", done, len(places))


def _places(lake: Lake, segments: Iterable[SegmentRow]) -> list[tuple[SegmentSource, SegmentRow]]:
    """Return everywhere that a segment's bytes lie, copies of whole sources included, in the order of paths."""
    copies: dict[int, list[tuple[int, str]]] = {}
    for row in lake.sources():
        if row.same_as is not None:
            copies.setdefault(row.same_as, []).append((row.id, row.facts.path))
    found = []
    for segment in segments:
        for source in segment.sources:
            found.append((source, segment))
            for number, path in copies.get(source.source, ()):
                found.append((SegmentSource(number, path, source.record_base), segment))
    return sorted(found, key=lambda place: (place[0].path, place[0].record_base, place[1].id))


class _Gathering:
    """Brings findings together: labels, counts, keeps or passes on, and correlates at the end."""

    def __init__(self, plan: Plan, sink: Sink | None, progress: Progress | None) -> None:
        self.plan = plan
        self.total = 0
        self.events = 0
        self.issues: list[Issue] = []
        self.builder = CoverageBuilder()
        self._sink = sink
        self._progress = progress
        self._kept: list[Sighting] = []
        self._base: list[Sighting] = []
        self._tally = Tally()
        self._done = 0
        self._segments = 0
        self._started = perf_counter()
        self._seconds = {"read": 0.0, "hunt": 0.0}
        self._needed = _needed_by_correlations(plan)
        self._filters = Filters(plan)

    @cached_property
    def _attacher(self) -> Attacher:
        return Attacher(self.plan, plan_digests(self.plan))

    def note(self, found: Found, amount: int) -> None:
        """Note one job's times and issues; `amount` is what it adds to the progress."""
        self._seconds["read"] += found.seconds[0]
        self._seconds["hunt"] += found.seconds[1]
        self.issues += found.issues
        self._segments += 1
        self._done += amount
        self.total = max(self.total, self._done)  # the size of what is packed isn't known before
        self.report("hunt", self._done, self.total)

    def add_found(self, found: Found, base: int, source: str, amount: int) -> None:
        """Add what was found in a range whose first record has the number `base` in its source."""
        self.events += found.events
        self.issues += gap_issues(found.gaps, source, base)
        self.builder.add(found.notes, source)
        if found.kept:
            self.add_base(self._attacher.attach([found.kept], found.segment, SegmentSource(0, source, base)))
            self.issues += gap_issues(self._attacher.take_gaps(), source, base)
        both = [*((True, item) for item in found.sightings), *((False, item) for item in found.feeds)]
        self.add_base(
            (reported, msgspec.structs.replace(item, record=item.record + base) if base else item)
            for reported, item in both
        )
        self.note(found, amount)

    def add_base(self, found: Iterable[tuple[bool, Sighting]]) -> None:
        """Add sightings of rules, each with whether its rule is reported."""
        pairs = list(found)
        labelled = self._filters.apply([sighting for _, sighting in pairs])
        reported = [sighting for (wanted, _), sighting in zip(pairs, labelled, strict=True) if wanted]
        self._base += [sighting for sighting in labelled if sighting.rule_digest in self._needed]
        for sighting in sorted(reported, key=_place):
            self._report_sighting(sighting)

    def finish(self, not_evaluated: Iterable[NotEvaluated]) -> HuntResult:
        """Correlate, and return the result."""
        rows = list(not_evaluated)
        started = perf_counter()
        self.report("correlate", 0, 1)
        for sighting in self._filters.apply(correlate(self.plan, self._base)):
            self._report_sighting(sighting)
        for indicator in self.plan.patterns:
            found, limit = correlate_pattern(indicator, (one for one in self._base if one.hidden_by is None))
            for sighting in self._filters.apply(found):
                self._report_sighting(sighting)
            if limit is not None:
                rows.append(limit)
        coverage = self.builder.coverage(self.plan)
        ended = perf_counter()
        return HuntResult(
            sightings=tuple(self._kept),
            not_evaluated=tuple(rows),
            issues=tuple(self.issues),
            coverage=coverage,
            rules=count_rules(self.plan, rows, self._tally, coverage),
            tally=self._tally,
            events=self.events,
            segments=self._segments,
            seconds={**self._seconds, "correlate": ended - started, "total": ended - self._started},
        )

    def report(self, phase: str, done: int, total: int) -> None:
        """Say how far the hunt is."""
        if self._progress is not None:
            self._progress(HuntProgress(phase, done, total, self.events, self._tally.sightings))

    def _report_sighting(self, sighting: Sighting) -> None:
        self._tally.add(sighting)
        if self._sink is not None:
            self._sink(sighting)
        else:
            self._kept.append(sighting)


def _key(plan: Plan, executor: Executor | None) -> str:
    """Name a plan for the processes that make it ready; only another's processes may have known another plan."""
    if executor is None:
        return "plan"
    light = msgspec.structs.replace(plan, lists=(), warnings=(), standings=(), retired=())
    lists = [(item.id, item.ref, item.digest, item.source) for item in plan.lists]
    return sha256(msgspec.msgpack.encode((light, lists))).hexdigest()


def _place(sighting: Sighting) -> tuple[str, int, str, str]:
    return sighting.evidence, sighting.record, sighting.indicator, sighting.ref


def _needed_by_correlations(plan: Plan) -> frozenset[str]:
    """Return the digests of the rules whose sightings must be kept to the end."""
    used = {place for rule in plan.correlations for place in rule.rules if place >= 0}
    needed = {plan.rules[place].indicator.digest for place in used}
    parts = {item.digest for item in plan.lists if item.pattern_type == "stix-part"}
    patterns = {pattern.id for pattern in plan.patterns}
    parts |= {
        rule.indicator.digest
        for rule in plan.rules
        if not rule.reported and rule.indicator.id.rpartition("[")[0] in patterns
    }
    return frozenset(needed | parts)


# --------------------------------------------------------------------------------------------------- jobs

Jobs = tuple[RangeJob | SegmentJob, ...]


Files = Literal["no", "also", "only"]
"""Whether files that are no logs are hunted in: "only" by a plan that logs' own formats mean nothing to."""


def _wanted_files(plan: Plan) -> Files:
    if plan.yara and not (plan.rules or plan.lists or plan.correlations):
        return "only"
    reads_files = any(FILE_FORMAT in variant.formats for variant in plan.variants)
    return "also" if plan.yara or plan.lists or reads_files else "no"


@dataclass(frozen=True, slots=True)
class _Opening:
    """What is stated about opening and reading evidence."""

    options: ReadOptions | None
    limits: Limits | None
    secrets: Secrets | None


def _sources(paths: Sequence[Path | str], stated: _Opening, issues: list[Issue], files: Files) -> Iterator[Source]:
    for found in open_sources(
        paths, limits=stated.limits, options=stated.options, files=files != "no", secrets=stated.secrets
    ):
        if isinstance(found, Issue):
            unread = files == "only" and found.code == "no-reader"
            issues.append(replace(found, code="taken-as-file") if unread else found)
        else:
            yield found


def _range_jobs(sources: Iterable[Source], issues: list[Issue], light: bool) -> Iterator[Jobs]:
    """Yield the ranges of all sources in order, small ones together; `light`: those of plain files without bytes."""
    waiting: list[RangeJob] = []
    size = 0
    for number, source in enumerate(sources):
        try:
            for span, data in source_ranges(source):
                if waiting and (size + len(data) > _JOB_BYTES or len(waiting) >= _JOB_COUNT):
                    yield tuple(waiting)
                    waiting, size = [], 0
                waiting.append(RangeJob(number, source, span, None if light and source.is_plain else data))
                size += len(data)
        except InputError as error:
            issues.append(error.issue("evidence", source.path))
    if waiting:
        yield tuple(waiting)


def _contents(
    lake: Lake, plan: Plan, missing: Sequence[tuple[str, frozenset[str]]], segments: dict[str, SegmentRow]
) -> dict[str, tuple[Source, ...]]:
    """Return where the bytes of files are that missing YARA rules are to be evaluated over, by segment."""
    yara = frozenset(item.digest for item in plan.yara)
    wanted = [name for name, rules in missing if FILE_FORMAT in segments[name].formats and not rules.isdisjoint(yara)]
    if not wanted:
        return {}
    held = file_sources(lake)
    return {name: tuple(copy for place in segments[name].sources for copy in held[place.source]) for name in wanted}


def _segment_jobs(
    lake: Lake,
    missing: Sequence[tuple[str, frozenset[str]]],
    segments: dict[str, SegmentRow],
    described: frozenset[str],
    contents: dict[str, tuple[Source, ...]],
) -> Iterator[Jobs]:
    waiting: list[SegmentJob] = []
    size = 0
    for name, rules in missing:
        row = segments[name]
        if waiting and (size + row.file_size > _JOB_BYTES or len(waiting) >= _JOB_COUNT):
            yield tuple(waiting)
            waiting, size = [], 0
        content = contents.get(name, ())
        job = SegmentJob(name, lake.segment_path(name), rules, name in described, content, row.data_sha256)
        waiting.append(job)
        size += row.file_size
    if waiting:
        yield tuple(waiting)


class _Pool:
    """Runs jobs here, in processes of ours, or in a given executor; hands back findings in the jobs' order."""

    def __init__(self, setup: Setup, workers: int | None, executor: Executor | None, large: bool) -> None:
        self.setup = setup
        all_of_them = large or executor is not None
        count = workers if workers is not None else multiprocessing.cpu_count() if all_of_them else 1
        self._count = max(count, 1)
        self._executor = executor
        self._own: Executor | None = None

    @property
    def reads(self) -> bool:
        """Whether workers read plain files themselves."""
        return self._executor is not None

    def __enter__(self) -> _Pool:
        if self._executor is None and self._count > 1:
            self._own = process_pool(self._count, initializer=start_worker, initargs=(self.setup,))
            self._executor = self._own
        return self

    def __exit__(self, *_: object) -> None:
        if self._own is not None:
            self._own.shutdown(wait=True, cancel_futures=True)

    def run(self, jobs: Iterable[Jobs]) -> Iterator[tuple[Jobs, list[Found]]]:
        """Yield each group of jobs with what was found, in order; a few groups are under way at a time."""
        if self._executor is None:
            worker = Worker(self.setup)
            with one_pass():
                for group in jobs:
                    yield group, hunt_jobs(worker, group)
            return
        waiting: deque[tuple[Jobs, Future[list[Found] | None]]] = deque()
        try:
            for group in jobs:
                waiting.append((group, self._submit(group, None)))
                while len(waiting) > 2 * self._count:
                    yield self._result(*waiting.popleft())
            while waiting:
                yield self._result(*waiting.popleft())
        except BrokenProcessPool as error:
            raise WorkspaceError(
                "A worker process died (out of memory?). What was committed stays: run it again, with fewer workers."
            ) from error

    def _submit(self, group: Jobs, setup: Setup | None) -> Future[list[Found] | None]:
        assert self._executor is not None  # noqa: S101 - `run` looked
        return self._executor.submit(hunt_elsewhere, self.setup.key, setup, group)

    def _result(self, group: Jobs, future: Future[list[Found] | None]) -> tuple[Jobs, list[Found]]:
        found = future.result()
        if found is None:  # a process of a given executor that never met this plan
            found = self._submit(group, self.setup).result()
        assert found is not None  # noqa: S101 - it has the setup now
        return group, found
