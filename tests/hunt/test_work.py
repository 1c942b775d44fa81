"""The worker's short ways, each against the long one: joined small files, segments read in part, or not at all."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aleat.evidence import Source, open_sources, source_ranges
from aleat.hunt.compiler import compile_plan
from aleat.hunt.coverage import CoverageBuilder, Openings
from aleat.hunt.drive import hunt_paths
from aleat.hunt.expression import Text, Wildcard, fold
from aleat.hunt.matcher import Matcher
from aleat.hunt.output import sighting_line
from aleat.hunt.work import Found, RangeJob, SegmentJob, Worker, hunt_job, hunt_jobs, make_setup
from aleat.store.database import Database
from aleat.store.lake import Lake
from tests.evidence.evtx_writer import evtx_bytes, sample
from tests.evidence.mutate import damage
from tests.hunt.test_drive import ALL, CERTUTIL, EVENTS, LIST, WHOAMI, add, hunt, lines, rule, sigma, write

RUN = sigma(
    "run",
    "title: run\nid: run\nlogsource: {product: windows}\ndetection:\n  a: {CommandLine|contains: 'run 2'}\n"
    "  b: {User: agim, Channel: System}\n  c: {Absent: null, EventID: 3}\n  condition: 1 of *\nlevel: low\n",
)
NEGATED = sigma("negated", WHOAMI.pattern.replace("condition: selection", "condition: not selection"))
PLAN = compile_plan([RUN, LIST])


def jobs_of(folder: Path) -> list[RangeJob]:
    sources = [source for source in open_sources([folder]) if isinstance(source, Source)]
    return [
        RangeJob(number, source, span, data)
        for number, source in enumerate(sources)
        for span, data in source_ranges(source)
    ]


def untimed(found: Sequence[Found]) -> list[Found]:
    return [msgspec.structs.replace(item, seconds=(0.0, 0.0), notes=()) for item in found]


def coverage(found: Sequence[Found], jobs: Sequence[RangeJob]) -> object:
    builder = CoverageBuilder()
    for job, item in zip(jobs, found, strict=True):
        builder.add(item.notes, job.source.path)
    return builder.coverage(PLAN)


@pytest.mark.parametrize("seed", range(4))
def test_joined_files_give_what_each_gives_alone(tmp_path: Path, seed: int) -> None:
    """Several logs and hosts, an empty file, a copy, and a damaged file among them."""
    rng = random.Random(seed)  # noqa: S311 - repeatable, and no secret
    for number in range(8):
        channel, computer = rng.choice(("Security", "System")), f"host{rng.randrange(3)}.example"
        events = sample(rng.randrange(1, 6), start=number * 3 + 1, channel=channel, computer=computer)
        data = evtx_bytes(events, sample(2, start=90))
        if number == 5:
            data, _ = damage(data, seed)
        (tmp_path / f"{number}.evtx").write_bytes(evtx_bytes() if number == 3 else data)
    (tmp_path / "copy.evtx").write_bytes((tmp_path / "0.evtx").read_bytes())
    jobs = jobs_of(tmp_path)
    worker = Worker(make_setup(PLAN, "plan"))
    alone = [hunt_job(worker, job) for job in jobs]
    joined = hunt_jobs(Worker(make_setup(PLAN, "plan")), jobs)
    assert sum(len(item.sightings) for item in alone) > 0
    assert untimed(joined) == untimed(alone)
    assert coverage(joined, jobs) == coverage(alone, jobs)


def test_new_rules_over_described_segments_find_what_one_hunt_finds(tmp_path: Path) -> None:
    """Rules without a log source or field there, one with hits, a keyword, a list, one after the other."""
    database = Database.at(tmp_path / "aleat.db")
    database.create_tables()
    lake = Lake(tmp_path / "lake", database)
    folder = write(tmp_path / "logs", EVENTS, [20, 41])
    add(lake, folder)
    text = "title: k\nid: k\nlogsource: {product: windows}\ndetection:\n  k: [urlcache]\n  condition: k\n"
    nothing = rule("other", "{CommandLine: x}").pattern.replace("process_creation", "dns_query")
    rules = (
        rule("first", "{Image|endswith: notepad.exe}"),
        sigma("other", nothing),
        rule("fieldless", "{NoSuchField: x}"),
        CERTUTIL,
        NEGATED,
        sigma("k", text),
        *ALL,
    )
    for number in range(1, len(rules) + 1):
        plan = compile_plan(rules[:number])
        kept, fresh = hunt((lake, database), plan, day=number), hunt_paths([folder], plan)
        assert lines(kept) == [sighting_line(item) for item in fresh.sightings]
        assert [item.matched for item in kept.sightings] == [item.matched for item in fresh.sightings]
        assert kept.coverage == fresh.coverage
    database.close()


def test_a_segment_that_is_read_in_part_gives_whole_events(tmp_path: Path) -> None:
    database = Database.at(tmp_path / "aleat.db")
    database.create_tables()
    lake = Lake(tmp_path / "lake", database)
    add(lake, write(tmp_path / "logs", EVENTS), range_bytes=1 << 20)
    worker = Worker(make_setup(compile_plan([WHOAMI, CERTUTIL]), "plan"))
    (row,) = lake.segments()
    job = SegmentJob(row.id, lake.segment_path(row.id), frozenset({CERTUTIL.digest}))
    whole, part = worker.hunt_segment(job), worker.hunt_segment(msgspec.structs.replace(job, described=True))
    assert whole.kept == part.kept != b""
    assert all(f'"{name}"'.encode() in part.kept for name in ("Image", "CommandLine", "ProcessId", "Computer"))
    assert part.notes == ()
    database.close()


def test_openings_close_only_where_nothing_can_be_found(tmp_path: Path) -> None:
    (tmp_path / "a.evtx").write_bytes(evtx_bytes(sample(3)))
    (job,) = jobs_of(tmp_path)
    notes = Worker(make_setup(PLAN, "plan")).hunt_range(job).notes
    assert Openings(PLAN).any_in(notes)
    assert not Openings(compile_plan([CERTUTIL])).any_in(notes)
    assert not Openings(compile_plan([])).any_in(notes)


LETTERS = st.text("abĞİßẞ.-\\ ", max_size=4)


@given(st.lists(st.tuples(st.sampled_from(("contains", "startswith", "endswith")), LETTERS, st.booleans())), LETTERS)
@settings(max_examples=200)
def test_short_literals_are_found_where_a_search_finds_them(tests: list[tuple[str, str, bool]], text: str) -> None:
    matcher = Matcher()
    for number, (op, value, cased) in enumerate(tests):
        matcher.add(number, Text(op, value, cased))  # type: ignore[arg-type]
    matcher.add(len(tests), Wildcard((0, "a", 0, "b")))
    wanted = []
    for number, (op, value, cased) in enumerate(tests):
        one, part = (text, value) if cased else (fold(text), fold(value))
        if {"contains": part in one, "startswith": one.startswith(part), "endswith": one.endswith(part)}[op]:
            wanted.append(number)
    folded = fold(text)
    if folded.endswith("b") and "a" in folded[:-1]:
        wanted.append(len(tests))
    assert matcher.match([text]) == [tuple(wanted)]
    long = text + "." * 1000
    assert matcher.match([long, text])[1] == tuple(wanted)
