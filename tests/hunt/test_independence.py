"""Whatever the order of files, the size of ranges, the workers, the increments: the findings are the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aleat.evidence import ReadOptions
from aleat.evidence.ingest import ingest
from aleat.hunt.compiler import compile_plan
from aleat.hunt.drive import hunt_lake, hunt_paths
from aleat.hunt.output import sighting_line
from aleat.hunt.result import HuntResult
from aleat.store.database import Database
from aleat.store.lake import Lake
from aleat.trust.keys import SigningKey
from tests.evidence.evtx_writer import Event, evtx_bytes

from .test_drive import ALL, EVENTS, facts

BLOCKS = 6
SIZE = len(EVENTS) // BLOCKS
KEY = SigningKey.generate()


@dataclass(frozen=True)
class Step:
    """An increment: which blocks of events come, cut at which length, in which form, by how many workers; then a hunt
    for the first so many of the rules, by as many.
    """

    blocks: tuple[int, ...]
    range_bytes: int
    form: str
    workers: int
    rules: int


@st.composite
def histories(draw: st.DrawFn) -> list[Step]:
    """Return steps that bring each block once, and hunt for everything at the end."""
    order = draw(st.permutations(range(BLOCKS)))
    cuts = sorted(draw(st.sets(st.integers(1, BLOCKS - 1), max_size=3)))
    parts = [order[start:end] for start, end in zip([0, *cuts], [*cuts, BLOCKS], strict=True)]
    steps = []
    for number, part in enumerate(parts, 1):
        rules = len(ALL) if number == len(parts) else draw(st.integers(0, len(ALL)))
        form = draw(st.sampled_from(["lines", "array", "evtx"]))
        range_bytes = draw(st.sampled_from([700, 5000, 70_000, 1 << 24]))
        steps.append(Step(tuple(part), range_bytes, form, draw(st.sampled_from([0, 1, 3])), rules))
    return steps


def write(path: Path, events: Sequence[dict[str, Any]], form: str) -> None:
    """Write events to one file."""
    if form == "evtx":
        path.with_suffix(".evtx").write_bytes(
            evtx_bytes([as_event(item) for item in events[:3]], [as_event(item) for item in events[3:]])
        )
    elif form == "array":
        path.with_suffix(".json").write_bytes(orjson.dumps(list(events), option=orjson.OPT_INDENT_2))
    else:
        path.with_suffix(".jsonl").write_bytes(b"".join(orjson.dumps(item) + b"\n" for item in events))


def as_event(item: dict[str, Any]) -> Event:
    """Turn one of the drive's JSON events into a record."""
    system, data = item["Event"]["System"], item["Event"]["EventData"]
    return Event(
        record_id=system["EventRecordID"],
        event_id=system["EventID"],
        channel=system["Channel"],
        provider=system["Provider"]["#attributes"]["Name"] if "Provider" in system else "P",
        computer=system["Computer"],
        time=system["TimeCreated"]["#attributes"]["SystemTime"],
        data=[(name, str(value)) for name, value in data.items()],
    )


@contextmanager
def executor_of(workers: int) -> Iterator[Executor | None]:
    """Yield an executor of so many threads; none for 0."""
    if workers == 0:
        yield None
    else:
        with ThreadPoolExecutor(workers) as executor:
            yield executor


def told(result: HuntResult) -> list[bytes]:
    return [sighting_line(item) for item in result.sightings]


@settings(deadline=None, max_examples=6, suppress_health_check=[HealthCheck.too_slow])
@given(histories())
def test_any_history_ends_with_what_one_hunt_finds(
    tmp_path_factory: pytest.TempPathFactory, history: list[Step]
) -> None:
    """Increments of evidence and of rules, in any order, cut anyhow, read in any form, by any number of workers."""
    check(tmp_path_factory.mktemp("history"), history)


@pytest.mark.long
@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(histories())
def test_any_history_ends_with_what_one_hunt_finds_at_length(
    tmp_path_factory: pytest.TempPathFactory, history: list[Step]
) -> None:
    """The same, many more times."""
    check(tmp_path_factory.mktemp("history"), history)


def check(root: Path, history: Sequence[Step]) -> None:
    database = Database.at(root / "aleat.db")
    database.create_tables()
    lake = Lake(root / "lake", database)
    logs = root / "logs"
    last: HuntResult | None = None
    for number, step in enumerate(history, 1):
        folder = logs / f"step{number}"
        folder.mkdir(parents=True)
        for block in step.blocks:
            write(folder / f"block{block}", EVENTS[block * SIZE : (block + 1) * SIZE], step.form)
        time = datetime(2022, 8, number, tzinfo=UTC)
        with executor_of(step.workers) as executor:
            options = ReadOptions(range_bytes=step.range_bytes)
            ingest([folder], lake, actor="a", time=time, key=KEY, given_by="v", options=options, executor=executor)
            plan = compile_plan(ALL[: step.rules])
            last = hunt_lake(lake, database, plan, time=time, actor="a", executor=executor, workers=step.workers or 1)
    assert last is not None
    whole = hunt_paths([logs], compile_plan(ALL), workers=1)
    cut = hunt_paths([logs], compile_plan(ALL), workers=1, options=ReadOptions(range_bytes=history[0].range_bytes))
    assert told(last) == told(whole) == told(cut)
    assert last.coverage == whole.coverage
    assert facts(last) == EXPECTED
    database.close()


def expected(folder: Path) -> list[tuple[Any, ...]]:
    """What one hunt finds in one file, in order."""
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "all", EVENTS, "lines")
    return facts(hunt_paths([folder], compile_plan(ALL), workers=1))


EXPECTED: list[tuple[Any, ...]] = []


@pytest.fixture(autouse=True, scope="module")
def _expected(tmp_path_factory: pytest.TempPathFactory) -> None:
    EXPECTED[:] = expected(tmp_path_factory.mktemp("whole"))
