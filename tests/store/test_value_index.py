"""The value index: what it may say, how it grows, and that it is a cache nobody has to believe."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from aleat.errors import IntegrityError, WorkspaceError
from aleat.evidence import ReadOptions, ingest
from aleat.store.index_part import Part, SegmentValues, estimate_distinct, merge_parts, write_part
from aleat.store.lake import Lake
from aleat.store.value_hash import fold_texts, hash_text, hash_texts
from aleat.store.value_index import ValueIndex, forget_index
from aleat.trust.keys import SigningKey
from tests.store.conftest import NewDatabase

KEY = SigningKey.generate()
TIME = datetime(2022, 7, 20, tzinfo=UTC)
LINE = '198.51.{}.{} - - [15/Jul/2022:10:{:02}:{:02} +0200] "GET /page{}?n={} HTTP/1.1" 200 512\n'
SMALL = ReadOptions(range_bytes=2048)


@pytest.fixture
def lake(tmp_path: Path, new_database: NewDatabase) -> Lake:
    return Lake(tmp_path, new_database(tmp_path / "aleat.sqlite"))


def add(lake: Lake, name: str, lines: range, **options: Any) -> None:
    path = lake.root / name
    path.write_text("".join(LINE.format(n % 7, n % 9, n // 60 % 60, n % 60, n % 11, n) for n in lines))
    values = {"actor": "agim", "time": TIME, "key": KEY, "given_by": "ministry", "options": SMALL, **options}
    ingest([path], lake, **values)


def holding(lake: Lake, text: str) -> set[str]:
    """The segments that really hold a value."""
    found = set()
    for row in lake.segments():
        for table in lake.read(row.id):
            for name in table.table.column_names:
                if "|" in name and text.lower() in map(str.lower, filter(None, table.table[name].to_pylist())):
                    found.add(row.id)
    return found


def numbers(texts: list[str]) -> Any:
    return np.unique(hash_texts(fold_texts(pa.array(texts))))


def test_every_segment_that_holds_a_value_is_named(lake: Lake) -> None:
    """Values that recur, values that occur once, in any case; and hardly any segment in vain."""
    add(lake, "a.log", range(1800))
    index = ValueIndex(lake)
    assert index.refresh().indexed == len(index.keys) > 64
    for text in ("198.51.3.4", "n=777", "GET /PAGE3?N=300 http/1.1", "get", "/page10"):
        assert set(ValueIndex(lake).look_up(text)) == holding(lake, text) != set()
    assert not ValueIndex(lake).look_up("203.0.113.9")
    columns = ValueIndex(lake).look_up("n=777")
    assert set(columns.values()) == {frozenset({"query|s"})}


def test_an_index_that_grew_equals_one_made_at_once(lake: Lake) -> None:
    """Segments came in eleven steps; a rebuild gives the same bytes, in one process or with several workers."""
    for step in range(11):
        add(lake, f"{step}.log", range(step * 130, step * 130 + 20 + 11 * step))
        assert not ValueIndex(lake).missing or ValueIndex(lake).refresh().read < 20
    index = ValueIndex(lake)
    files = {path.name: path.read_bytes() for path in index.folder.iterdir()}
    rebuilt = index.rebuild()
    assert rebuilt.whole
    assert rebuilt.same
    assert {path.name: path.read_bytes() for path in index.folder.iterdir()} == files
    with ThreadPoolExecutor(3) as executor:
        assert ValueIndex(lake).rebuild(executor=executor).same


def test_segments_that_came_later_are_missing_until_they_are_added(lake: Lake) -> None:
    """The index says what it doesn't cover."""
    add(lake, "a.log", range(40))
    ValueIndex(lake).refresh()
    add(lake, "b.log", range(1000, 1040))
    index = ValueIndex(lake)
    assert [key for key in index.keys if key not in index.missing]
    state = index.refresh()
    assert (state.read, state.indexed) == (len(holding(lake, "GET")) - state.indexed + state.read, state.segments)
    assert not ValueIndex(lake).missing


@pytest.mark.parametrize("place", [20, -40])
def test_a_damaged_part_is_not_believed(lake: Lake, place: int) -> None:
    """One byte of body or directory: its segments count as missing, and a check makes it anew."""
    add(lake, "a.log", range(60))
    index = ValueIndex(lake)
    index.refresh()
    path = max(index.folder.iterdir(), key=lambda one: one.stat().st_size)
    sound = path.read_bytes()
    damaged = bytearray(sound)
    damaged[place] ^= 1
    path.write_bytes(damaged)
    index = ValueIndex(lake)
    covered = set(index.look_up("GET")) | {segment for segment, _ in index.missing}
    assert covered == holding(lake, "GET")
    assert index.missing
    assert not ValueIndex(lake).rebuild().same
    path.write_bytes(damaged)
    ValueIndex(lake).refresh(check=True)
    assert path.read_bytes() == sound


def test_a_part_that_was_cut_or_replaced_is_as_good_as_none(lake: Lake) -> None:
    """An empty file, a part of another segment under the name: nothing is found there, and nothing fails."""
    add(lake, "a.log", range(60))
    index = ValueIndex(lake)
    index.refresh()
    first, second, *_ = sorted(index.folder.iterdir())
    other = second.read_bytes()
    second.write_bytes(first.read_bytes())
    first.write_bytes(b"")
    index = ValueIndex(lake)
    assert set(index.look_up("GET")) | {key[0] for key in index.missing} == holding(lake, "GET")
    index.refresh()
    assert second.read_bytes() == other


def test_nothing_of_a_forgotten_segment_is_left(lake: Lake) -> None:
    """Its part is deleted, with the numbers and examples in it."""
    add(lake, "a.log", range(40))
    add(lake, "b.log", range(500, 540))
    index = ValueIndex(lake)
    index.refresh()
    gone = index.keys[0][0]
    forget_index(lake, [gone])
    left = [Part(path) for path in index.folder.iterdir()]
    assert gone not in {segment for part in left for segment, _ in part.segments}
    assert gone in {segment for segment, _ in ValueIndex(lake).missing}


@pytest.mark.parametrize("after", [7, 18])
def test_a_build_that_was_killed_goes_on(lake: Lake, after: int) -> None:
    """Whatever it left: the next one ends with the same bytes as one that wasn't disturbed."""
    add(lake, "a.log", range(600))

    def kill(done: int, total: int) -> None:
        if done == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ValueIndex(lake).refresh(progress=kill)
    assert set(ValueIndex(lake).look_up("GET")) | {key[0] for key in ValueIndex(lake).missing} == holding(lake, "GET")
    state = ValueIndex(lake).refresh()
    files = {path.name: path.read_bytes() for path in ValueIndex(lake).folder.iterdir()}
    assert (state.indexed, len(files)) == (state.segments, state.parts)
    ValueIndex(lake).delete()
    ValueIndex(lake).refresh()
    assert {path.name: path.read_bytes() for path in ValueIndex(lake).folder.iterdir()} == files


def test_a_disk_that_refuses_is_said(lake: Lake) -> None:
    """A file lies where the folder should be."""
    add(lake, "a.log", range(5))
    (lake.root / "cache").write_text("")
    with pytest.raises(WorkspaceError, match="index can't be written"):
        ValueIndex(lake).refresh()


def test_fields_say_how_often_since_when_and_an_example(lake: Lake) -> None:
    """Counts are exact, distinct values up to 255 too; beyond that they are estimated, and said so."""
    add(lake, "a.log", range(600))
    index = ValueIndex(lake)
    index.refresh()
    rows = {row.column: row for row in index.fields()}
    assert {row.events for row in rows.values()} >= {600}
    assert estimate_distinct(rows["uri|s"].sketch) == (11, True)
    count, exact = estimate_distinct(rows["query|s"].sketch)
    assert not exact
    assert 480 < count < 720
    assert rows["query|s"].example == "n=0"
    assert rows["uri|s"].first < rows["uri|s"].last


def test_a_filter_hardly_ever_says_yes_for_nothing(tmp_path: Path) -> None:
    """Near-unique values stand in a filter of 16 to 32 bits each; fewer than one in 500 others pass it."""
    inside = [f"{{{number:032x}}}" for number in range(20_000)]
    path = tmp_path / "a.values"
    part = Part(path, write_part(path, SegmentValues("s", "f", {}, {"Guid|s": numbers(inside)}, ())))
    assert path.stat().st_size < 5 * len(inside)
    assert all(part.look_up(hash_text(text)) for text in inside[::100])
    passed = sum(bool(part.look_up(hash_text(f"other {number}"))) for number in range(2000))
    assert passed <= 4


def test_merging_in_any_steps_gives_the_same_bytes(tmp_path: Path) -> None:
    """All at once, or two and two: filters of different sizes and shared columns included."""
    made = []
    for number in range(4):
        exact = {"a|s": numbers([f"v{n}" for n in range(number + 3)]), f"b{number}|s": numbers(["x"])}
        near = {"c|s": numbers([f"{number}-{n}" for n in range(1500 * (number + 1))])}
        path = tmp_path / f"{number}.values"
        made.append(Part(path, write_part(path, SegmentValues(f"s{number}", "f", exact, near, ()))))
    merge_parts(tmp_path / "all", made)
    halves = []
    for name, some in (("left", made[:2]), ("right", made[2:])):
        halves.append(Part(tmp_path / name, merge_parts(tmp_path / name, some)))
    merge_parts(tmp_path / "again", halves)
    assert (tmp_path / "all").read_bytes() == (tmp_path / "again").read_bytes()
    whole = Part(tmp_path / "all")
    assert whole.look_up(hash_text("V4")) == {2: {0}, 3: {0}}
    assert 1 in whole.look_up(hash_text("1-2999"))


def test_a_file_that_is_no_part_is_refused(tmp_path: Path) -> None:
    """Whatever stands in it."""
    for number, data in enumerate((b"", b"ALEATVX1", b"\0" * 64 + b"ALEATVX1", b"x" * 100)):
        path = tmp_path / str(number)
        path.write_bytes(data)
        with pytest.raises(IntegrityError):
            Part(path)
