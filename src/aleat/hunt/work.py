"""What a worker does: the plan made ready once in its process, then ranges or segments in, findings out.

A `Setup` is data and passes between processes. `start_worker` is the initializer of a pool of ours; with any
other executor a process that has not met the plan says so, and gets the job again with its setup (`hunt_elsewhere`).
A worker gives the same findings for the same job whatever it did before.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from threading import Lock
from time import perf_counter

import msgspec

from aleat.errors import InputError, Issue, Place
from aleat.evidence import ByteRange, EventBatch, JoinedRead, Source, can_join, read_joined, read_range
from aleat.evidence.content import read_content
from aleat.evidence.opener import one_pass
from aleat.evidence.read import paused_collector
from aleat.evidence.readers.file import FILE_FORMAT
from aleat.hunt.alerts import AlertHunter, alert_fields
from aleat.hunt.coverage import LogNotes, describe_batch, describe_parts
from aleat.hunt.engine import Hunter, is_among
from aleat.hunt.expression import normalise_name
from aleat.hunt.indicator import Indicator, Sighting
from aleat.hunt.list_index import ListIndex
from aleat.hunt.lists import ListHunter
from aleat.hunt.plan import Plan
from aleat.hunt.stored import encode_found
from aleat.hunt.yara_hunt import FileContent, ScanGap, YaraHunter, YaraSet
from aleat.store.database import Database
from aleat.store.lake_files import ColumnFilter, read_segment_file

__all__ = [
    "Found",
    "RangeJob",
    "SegmentJob",
    "Setup",
    "Worker",
    "hunt_elsewhere",
    "hunt_jobs",
    "make_setup",
    "part_of",
    "start_worker",
    "worker_for",
]

_Hunters = tuple[Hunter, ListHunter, YaraHunter, AlertHunter]
_FAILURES = (MemoryError, RecursionError, ArithmeticError, LookupError, TypeError, ValueError, OSError)
_HUNTERS = 4  # plans of a part of the rules that one process keeps ready


class Setup(msgspec.Struct, frozen=True):
    """A plan and its lists, prepared; `key` names it within this run. The plan itself has no lists any more."""

    key: str
    plan: Plan
    index: ListIndex


class RangeJob(msgspec.Struct, frozen=True):
    """A range of a source; `number` is the source's in this hunt. Without `data` the worker reads its bytes itself."""

    number: int
    source: Source
    span: ByteRange
    data: bytes | None

    def content(self) -> bytes:
        """Return the range's bytes."""
        return self.data if self.data is not None else self.source.read_range(self.span.start, self.span.end)


class SegmentJob(msgspec.Struct, frozen=True):
    """A segment of a lake; `rules` are the digests of the rules that it was not yet hunted for."""

    segment: str
    path: Path
    rules: frozenset[str]
    described: bool = False
    """Whether the ledger has the segment's description already."""
    content: tuple[Source, ...] = ()
    """Of a file's record that YARA rules are to be evaluated over: where its bytes are."""
    sha256: str = ""
    """What those bytes' digest (hex) is."""


class Found(msgspec.Struct, frozen=True):
    """What was found in one job: sightings (those of rules that aren't reported are `feeds`), in order.

    Of a segment of a lake, and between processes, both are `kept` as the ledger of hunts has them. `record` counts
    from 0 in each job. `seconds` are those of reading, and of hunting. `gaps` are what YARA rules were not evaluated
    over for good, `left` the digests of rules that were not evaluated here now, and are to be the next time.
    """

    segment: str
    sightings: tuple[Sighting, ...] = ()
    feeds: tuple[Sighting, ...] = ()
    events: int = 0
    notes: tuple[LogNotes, ...] = ()
    issues: tuple[Issue, ...] = ()
    seconds: tuple[float, float] = (0.0, 0.0)
    kept: bytes = b""
    gaps: tuple[ScanGap, ...] = ()
    left: frozenset[str] = frozenset()


def make_setup(plan: Plan, key: str, database: Database | None = None) -> Setup:
    """Prepare a plan and its lists to be sent to workers; `database` is that of the workspace that holds the lists."""
    light = msgspec.structs.replace(plan, lists=(), warnings=(), standings=(), retired=())
    return Setup(key, light, ListIndex(plan.lists, database))


class Worker:
    """A setup made ready: hunts jobs one after the other."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self._indicators = _indicators(setup)
        self._yara = YaraSet(setup.plan.yara, setup.plan.yara_rules)
        self._hunters: OrderedDict[frozenset[str] | None, _Hunters] = OrderedDict()

    def hunt_range(self, job: RangeJob) -> Found:
        """Read a range and hunt in it."""
        started = perf_counter()
        data = job.content()
        read = read_range(job.source, job.span, data)
        content = FileContent(job.source.path, data) if job.source.reader == FILE_FORMAT else None
        return self._hunt(read.segment, read.batches, None, read.issues, perf_counter() - started, content)

    def hunt_joined(self, jobs: Sequence[RangeJob]) -> list[Found]:
        """Read ranges together and hunt in them together: gives what `hunt_range` gives for each, for less."""
        started = perf_counter()
        read = read_joined([(job.source, job.span, job.content()) for job in jobs])
        seconds = perf_counter() - started
        whole = self._hunt("", read.batches, None, (), seconds)
        notes: list[list[LogNotes]] = [[] for _ in jobs]
        for batch in read.batches:
            for number, note in describe_parts(batch, read.starts):
                notes[number].append(note)
        paths = [job.source.path for job in jobs]
        sightings = _parted(whole.sightings, paths, read)
        feeds = _parted(whole.feeds, paths, read)
        gaps = _parted_gaps(whole.gaps, read)
        hunting = perf_counter() - started - seconds
        return [
            Found(
                part.segment,
                tuple(sightings[number]),
                tuple(feeds[number]),
                part.events,
                tuple(notes[number]),
                part.issues,
                (seconds / len(jobs), hunting / len(jobs)),
                gaps=tuple(gaps[number]),
            )
            for number, part in enumerate(read.parts)
        ]

    def hunt_segment(self, job: SegmentJob) -> Found:
        """Read a segment of a lake and hunt in it for the rules that are asked for."""
        started = perf_counter()
        columns = self._columns(job.rules) if job.described else None
        if columns is None:
            batches = _read_segment(job, None)
            content, issues, left = self._content(job)
            found = self._hunt(job.segment, batches, job.rules, issues, perf_counter() - started, content)
            return msgspec.structs.replace(self.packed(found), left=left)
        batches = _read_segment(job, lambda column: is_among(normalise_name(column.rpartition("|")[0]), columns))
        read = perf_counter() - started
        complete: list[EventBatch] = []

        def whole(batch: EventBatch) -> EventBatch:
            if not complete:  # only now: most segments have no hit
                complete.extend(_read_segment(job, None))
            return complete[next(place for place, item in enumerate(batches) if item is batch)]

        started = perf_counter()
        hunter, _, _, alerts = self._ready(job.rules)
        result = hunter.hunt(batches, whole)
        raised = alerts.hunt(whole(batch) for batch in batches if alerts.opens(batch.format, batch.channel))
        kept = encode_found((*result.sightings, *raised, *result.feeds), self._indicators)
        return Found(job.segment, kept=kept, events=result.events, seconds=(read, perf_counter() - started))

    def packed(self, found: Found) -> Found:
        """Return the same with its sightings and gaps as the ledger of hunts keeps them."""
        kept = encode_found((*found.sightings, *found.feeds), self._indicators, found.gaps)
        return msgspec.structs.replace(found, sightings=(), feeds=(), kept=kept, gaps=())

    def _columns(self, rules: frozenset[str]) -> frozenset[str] | None:
        """Return the names of the fields that decide about these rules, or None where all can."""
        hunter, lists, yara, _ = self._ready(rules)
        if len(lists.index) or yara:
            return None
        names = hunter.columns()
        return None if names is None else names | alert_fields(self.setup.plan)

    def _content(self, job: SegmentJob) -> tuple[FileContent | None, tuple[Issue, ...], frozenset[str]]:
        """Return the bytes of the file that a segment is about, where YARA rules are to be evaluated over them.

        Where they aren't to be had: why, and the digests of the rules that are left for another time.
        """
        yara = self._ready(job.rules)[2]
        if not job.content or not yara:
            return None, (), frozenset()
        try:
            return FileContent(job.content[0].path, read_content(job.content, job.sha256)), (), frozenset()
        except InputError as error:
            return None, (error.issue("hunt"),), yara.digests

    def _hunt(
        self,
        segment: str,
        batches: Sequence[EventBatch],
        rules: frozenset[str] | None,
        issues: tuple[Issue, ...],
        reading: float,
        content: FileContent | None = None,
    ) -> Found:
        started = perf_counter()
        hunter, lists, yara, alerts = self._ready(rules)
        result = hunter.hunt(batches)
        listed = list(lists.hunt(batches))
        feeds = [item for item in listed if lists.index.is_part(item)]
        reported = [item for item in listed if not lists.index.is_part(item)]
        reported += yara.hunt(batches, content)
        reported += alerts.hunt(batches)
        # joined ranges have no segment in common, and are described by `hunt_joined`
        notes = tuple(describe_batch(batch) for batch in batches if batch.segment and batch.table.num_rows)
        return Found(
            segment,
            _merged(result.sightings, reported),
            _merged(result.feeds, feeds),
            result.events,
            notes,
            issues,
            (reading, perf_counter() - started),
            gaps=yara.take_gaps(),
        )

    def _ready(self, rules: frozenset[str] | None) -> _Hunters:
        """Return the hunters for the rules with these digests (None: all of them)."""
        if rules is not None and rules >= self._indicators.keys():
            rules = None
        ready = self._hunters.get(rules)
        if ready is None:
            plan, index = self.setup.plan, self.setup.index
            if rules is not None:
                plan, index = part_of(plan, rules), index.only(rules)
            ready = self._hunters[rules] = (
                Hunter(plan),
                ListHunter(index),
                YaraHunter(self._yara, rules),
                AlertHunter(plan.alerts, rules),
            )
            while len(self._hunters) > _HUNTERS:
                self._hunters.popitem(last=False)
        self._hunters.move_to_end(rules)
        return ready


def _indicators(setup: Setup) -> dict[str, Indicator]:
    """Return the setup's rules and lists by digest."""
    rules = {rule.indicator.digest: rule.indicator for rule in setup.plan.rules}
    others = (*setup.index.indicators, *setup.plan.yara, *setup.plan.alerts)
    return rules | {indicator.digest: indicator for indicator in others}


def _read_segment(job: SegmentJob, wanted: ColumnFilter | None) -> list[EventBatch]:
    return [
        EventBatch("", table.segment, 0, table.format, table.channel, table.table)
        for table in read_segment_file(job.path, job.segment, wanted)
    ]


def part_of(plan: Plan, rules: frozenset[str]) -> Plan:
    """Return the plan with the variants and alerts of those rules only that have one of these digests."""
    variants = tuple(item for item in plan.variants if plan.rules[item.rule].indicator.digest in rules)
    alerts = tuple(item for item in plan.alerts if item.digest in rules)
    return msgspec.structs.replace(plan, variants=variants, alerts=alerts)


def _merged(one: tuple[Sighting, ...], other: Sequence[Sighting]) -> tuple[Sighting, ...]:
    """Join two findings in order of record and rule; a pattern found in both ways in one record is found once."""
    found: dict[tuple[str, int, str, str, str], Sighting] = {}
    for item in (*one, *other):
        key = (item.evidence, item.record, item.indicator, item.ref, item.rule_digest)
        known = found.get(key)
        if known is not None:
            matched = tuple(dict.fromkeys((*known.matched, *item.matched)))
            found[key] = msgspec.structs.replace(known, matched=matched)
        else:
            found[key] = item
    return tuple(found[key] for key in sorted(found))


def _parted(sightings: Iterable[Sighting], paths: Sequence[str], read: JoinedRead) -> list[list[Sighting]]:
    """Sort the sightings in joined ranges under their own ranges, with their own paths, segments and records."""
    found: list[list[Sighting]] = [[] for _ in paths]
    for item in sightings:
        number = bisect_right(read.starts, item.record) - 1
        record = item.record - read.starts[number]
        own = msgspec.structs.replace(item, evidence=paths[number], segment=read.parts[number].segment, record=record)
        found[number].append(own)
    return found


def _parted_gaps(gaps: Iterable[ScanGap], read: JoinedRead) -> list[list[ScanGap]]:
    """Sort gaps in joined ranges under their own ranges; cells of several count where the first is."""
    found: list[list[ScanGap]] = [[] for _ in read.parts]
    for gap in gaps:
        number = bisect_right(read.starts, gap.record) - 1
        found[number].append(msgspec.structs.replace(gap, record=gap.record - read.starts[number]))
    return found


_ready_workers: dict[str, Worker] = {}
_turn = Lock()


def start_worker(setup: Setup) -> None:
    """Make a process of a pool ready."""
    _ready_workers.clear()
    _ready_workers[setup.key] = Worker(setup)


def worker_for(key: str, setup: Setup | None) -> Worker | None:
    """Return this process's worker; None where it never met the plan, and `setup` doesn't come along either."""
    if setup is not None and key not in _ready_workers:
        start_worker(setup)
    return _ready_workers.get(key)


def hunt_elsewhere(key: str, setup: Setup | None, jobs: Sequence[RangeJob | SegmentJob]) -> list[Found] | None:
    """Do as `hunt_jobs` does, in a worker process: what was found is packed for the way back.

    Returns None where this process must be given the setup first. Threads of one process take turns.
    """
    with _turn:
        worker = worker_for(key, setup)
        if worker is None:
            return None
        return [worker.packed(item) if item.sightings or item.feeds else item for item in hunt_jobs(worker, jobs)]


@paused_collector()
def hunt_jobs(worker: Worker, jobs: Sequence[RangeJob | SegmentJob]) -> list[Found]:
    """Hunt several jobs in this process; one that fails costs only itself, and says so."""
    with one_pass():
        return _hunt_jobs(worker, jobs)


def _hunt_jobs(worker: Worker, jobs: Sequence[RangeJob | SegmentJob]) -> list[Found]:
    found: list[Found] = []
    for joined, group in groupby(jobs, key=lambda job: isinstance(job, RangeJob) and can_join(job.source)):
        together = [job for job in group if isinstance(job, RangeJob)] if joined else []
        if len(together) > 1:
            try:
                found += worker.hunt_joined(together)
                continue
            except _FAILURES:
                pass  # which of them it was shows when each is hunted by itself
        found += [hunt_job(worker, job) for job in (together or group)]
    return found


def hunt_job(worker: Worker, job: RangeJob | SegmentJob) -> Found:
    """Hunt one job; a failure is a finding without sightings, and an issue."""
    try:
        return worker.hunt_range(job) if isinstance(job, RangeJob) else worker.hunt_segment(job)
    except _FAILURES as error:
        path, offset = (job.source.path, job.span.start) if isinstance(job, RangeJob) else (str(job.path), None)
        length = job.span.end - job.span.start if isinstance(job, RangeJob) else None
        reason = f"This part could not be hunted: {type(error).__name__}."
        advice = "Run `aleat verify`; if the evidence is sound, report this as a fault of Aleat."
        if isinstance(error, OSError):
            reason = f"A worker can't read this part: {error.strerror or type(error).__name__}."
            advice = "Every worker must see evidence and workspace under the same paths."
        issue = Issue("hunt", "not-hunted", Place(path, offset=offset), reason, advice, length)
        segment = job.segment if isinstance(job, SegmentJob) else ""
        return Found(segment, issues=(issue,))
