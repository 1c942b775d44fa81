"""The lake: ingest, commit point, custody, verification."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from aleat.errors import WorkspaceError
from aleat.evidence import IngestProgress, IngestResult, ReadOptions, ingest, open_sources, read_batches, read_segment
from aleat.evidence.opener import Source
from aleat.store.lake import Lake, sources
from aleat.store.lake_verify import verify_lake
from aleat.store.ledger import append_entry, read_entries, verify_ledger
from aleat.trust.keys import SigningKey
from tests.evidence.evtx_writer import evtx_bytes, sample
from tests.store.conftest import NewDatabase

OpenLake = Callable[[Path], Lake]

KEY = SigningKey.generate()
TIME = datetime(2022, 7, 20, tzinfo=UTC)
LINE = '198.51.100.{} - - [15/Jul/2022:10:00:{:02} +0200] "GET /a?n={} HTTP/1.1" 200 512\n'
SMALL = ReadOptions(range_bytes=2048)


@pytest.fixture
def open_lake(new_database: NewDatabase) -> OpenLake:
    """Return a function that makes a lake in a folder."""

    def opened(root: Path) -> Lake:
        root.mkdir(parents=True, exist_ok=True)
        return Lake(root, new_database(root / "aleat.sqlite"))

    return opened


@pytest.fixture
def lake(open_lake: OpenLake, tmp_path: Path) -> Lake:
    return open_lake(tmp_path / "workspace")


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "a.evtx").write_bytes(evtx_bytes(sample(5), sample(3, start=6, channel="System")))
    (folder / "web.log").write_text("".join(LINE.format(n % 9, n % 60, n) for n in range(200)))
    with zipfile.ZipFile(folder / "z.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner/b.evtx", evtx_bytes(sample(4, start=100, computer="host2.example")))
    return folder


def add(lake: Lake, *paths: Path, **options: Any) -> IngestResult:
    values = {"actor": "analyst", "time": TIME, "key": KEY, "given_by": "ministry", **options}
    return ingest(paths, lake, **values)


def events(lake: Lake) -> list[tuple[str, int, int]]:
    """Return (evidence, record in the source, offset) of everything in the lake."""
    out = []
    for row in lake.segments():
        for batch in read_segment(lake, row):
            records = batch.table.column("record").to_pylist()
            offsets = batch.table.column("offset").to_pylist()
            out += [(batch.evidence, batch.record_base + r, o) for r, o in zip(records, offsets, strict=True)]
    return sorted(out)


def test_what_is_read_from_the_lake_is_what_was_in_memory(lake: Lake, logs: Path) -> None:
    add(lake, logs, options=SMALL)
    stored = {}
    for row in lake.segments():
        for batch in read_segment(lake, row):
            key = (batch.evidence, batch.segment, batch.format, batch.channel)
            stored[key] = (batch.record_base, batch.table.to_pylist())
    direct = {}
    for source in open_sources([logs], options=SMALL):
        assert isinstance(source, Source)
        for batch in read_batches(source, []):
            key = (batch.evidence, batch.segment, batch.format, batch.channel)
            direct[key] = (batch.record_base, batch.table.to_pylist())
    assert stored == direct
    assert len(direct) > 6


def test_records_are_unique_in_their_source(lake: Lake, logs: Path) -> None:
    add(lake, logs, options=SMALL)
    places = events(lake)
    assert len({place[:2] for place in places}) == len(places) == 212


def test_it_works_after_the_logs_were_moved_away(lake: Lake, logs: Path) -> None:
    add(lake, logs)
    before = events(lake)
    shutil.rmtree(logs)
    assert events(lake) == before


def test_only_the_columns_asked_for_are_read(lake: Lake, logs: Path) -> None:
    add(lake, logs / "a.evtx")
    (row,) = lake.segments()
    for part in lake.read(row.id, {"User|s"}):
        assert [name for name in part.table.column_names if "|" in name] == ["User|s"]
        assert "time" in part.table.column_names
    for part in lake.read(row.id, lambda name: name.startswith("Command")):
        assert [name for name in part.table.column_names if "|" in name] == ["CommandLine|s"]


def test_custody_says_what_came_from_whom_and_how_much(lake: Lake, logs: Path) -> None:
    add(lake, logs)
    evtx, web, zipped = lake.sources()
    assert evtx.facts.path == (logs / "a.evtx").as_posix()
    assert (evtx.facts.given_by, evtx.facts.reader, evtx.actor) == ("ministry", "evtx", "analyst")
    assert (evtx.records, web.records, zipped.records) == (8, 200, 4)
    assert evtx.size == (logs / "a.evtx").stat().st_size
    assert evtx.first == evtx.last == 1657872000123456
    assert zipped.facts.members == ("inner/b.evtx",)
    with lake.database.read() as connection:
        kinds = [entry.kind for entry in read_entries(connection, "custody")]
        assert kinds == ["segment", "source"] * 3
        assert list(verify_ledger(connection, "custody", {KEY.key_id: KEY.public})) == []


def test_coverage_is_by_host_format_and_channel(lake: Lake, logs: Path) -> None:
    add(lake, logs)
    rows = [(row.host, row.format, row.channel, row.events) for row in lake.coverage()]
    assert rows == [
        ("", "access", "", 200),
        ("host1.example", "windows", "Security", 5),
        ("host1.example", "windows", "System", 3),
        ("host2.example", "windows", "Security", 4),
    ]
    first = lake.coverage()[0].first
    assert first is not None
    assert datetime.fromtimestamp(first / 1e6, UTC) == datetime(2022, 7, 15, 8, tzinfo=UTC)


def test_any_order_and_number_of_workers_gives_the_same_lake(open_lake: OpenLake, tmp_path: Path, logs: Path) -> None:
    paths = sorted(logs.iterdir())
    identities = set()
    for number, order in enumerate((paths, paths[::-1])):
        for workers in (1, 3):
            lake = open_lake(tmp_path / f"{number}-{workers}")
            with ThreadPoolExecutor(workers) as pool:
                add(lake, *order, options=SMALL, executor=pool if workers > 1 else None, workers=workers)
            identities.add(lake.identity())
            assert list(verify_lake(lake)) == []
            lake.database.close()
    assert len(identities) == 1


@pytest.mark.long
def test_worker_processes_give_the_same_ledger(open_lake: OpenLake, tmp_path: Path, logs: Path) -> None:
    said = []
    for workers in (1, 2):
        lake = open_lake(tmp_path / f"w{workers}")
        add(lake, logs, options=SMALL, workers=workers)
        with lake.database.read() as connection:
            said.append([(entry.kind, entry.data) for entry in read_entries(connection, "custody")])
        lake.database.close()
    assert said[0] == said[1]


class StopError(Exception):
    """Stands for a kill."""


def cut_off(lake: Lake, path: Path) -> None:
    """Stop adding a file in its midst, as a kill does."""

    def stop(progress: IngestProgress) -> None:
        if progress.bytes > 5000:
            raise StopError

    with pytest.raises(StopError):
        add(lake, path, options=SMALL, progress=stop)


def test_a_killed_ingest_goes_on_where_it_was(open_lake: OpenLake, lake: Lake, logs: Path, tmp_path: Path) -> None:
    seen = []

    def stop(progress: IngestProgress) -> None:
        seen.append(progress)
        if len(seen) == 4:
            raise StopError

    with pytest.raises(StopError):
        add(lake, logs / "web.log", options=SMALL, progress=stop)
    assert not lake.sources()[0].complete
    assert len(lake.segments()) == 4
    assert list(verify_lake(lake)) == []
    result = add(lake, logs / "web.log", options=SMALL)
    assert result.segments == len(lake.segments()) - 4
    (source,) = lake.sources()
    assert source.complete
    assert source.records == 200
    whole = open_lake(tmp_path / "whole")
    add(whole, logs / "web.log", options=SMALL)
    assert whole.identity() == lake.identity()
    assert events(whole) == events(lake)
    whole.database.close()


def test_a_file_that_changed_after_a_kill_is_another_source(lake: Lake, logs: Path) -> None:
    cut_off(lake, logs / "web.log")
    text = (logs / "web.log").read_text()
    (logs / "web.log").write_text(text.replace("n=30 ", "n=31 "))
    add(lake, logs / "web.log", options=SMALL)
    old, new = lake.sources()
    assert (old.complete, new.complete) == (False, True)
    assert new.records == 200
    assert list(verify_lake(lake)) == []
    for values in ({"abandoned": False}, {"added": "x"}, {"actor": "eve"}):
        with changed_source(lake, old.id, **values):
            assert [(fault.kind, fault.subject) for fault in verify_lake(lake)] == [("row-changed", old.facts.path)]


def test_work_that_was_cut_off_cannot_be_given_up_by_hand(lake: Lake, logs: Path) -> None:
    """That it was given up is in the ledger."""
    cut_off(lake, logs / "web.log")
    assert list(verify_lake(lake)) == []
    with changed_source(lake, lake.sources()[0].id, abandoned=True):
        (fault,) = verify_lake(lake)
    assert "abandoned" in fault.reason


def test_the_same_evidence_read_in_another_way_is_another_source(lake: Lake, logs: Path) -> None:
    """Each has its own entry in the ledger."""
    add(lake, logs / "web.log")
    add(lake, logs / "web.log", options=ReadOptions(host="web7"))
    assert len(lake.sources()) == 2
    assert list(verify_lake(lake)) == []


def test_the_same_evidence_twice_is_noticed(lake: Lake, logs: Path) -> None:
    add(lake, logs)
    identity = lake.identity()
    again = add(lake, logs)
    assert (again.segments, again.sources, len(again.known)) == (0, [], 3)
    assert len(lake.sources()) == 3
    shutil.copy(logs / "web.log", logs / "web-copy.log")
    third = add(lake, logs / "web-copy.log")
    assert [issue.code for issue in third.issues] == ["known-source"]
    assert lake.sources()[3].same_as == lake.sources()[1].id
    assert lake.sources()[3].records == 200
    assert lake.identity() == identity
    assert list(verify_lake(lake)) == []


def test_twins_in_one_ingest_are_noticed(lake: Lake, logs: Path) -> None:
    shutil.copy(logs / "a.evtx", logs / "b.evtx")
    with ThreadPoolExecutor(3) as pool:
        add(lake, logs, executor=pool, workers=3)
    assert [source.same_as for source in lake.sources()] == [None, 1, None, None]
    assert sum(row.events for row in lake.segments()) == 212


def test_a_grown_log_shares_its_segments(lake: Lake, logs: Path) -> None:
    add(lake, logs / "web.log", options=SMALL)
    with (logs / "web.log").open("a") as file:
        file.write(LINE.format(1, 1, 999))
    before = len(lake.segments())
    result = add(lake, logs / "web.log", options=SMALL)
    assert result.segments == 1
    assert len(lake.segments()) == before + 1
    assert [source.records for source in lake.sources()] == [200, 201]


@pytest.mark.parametrize("copy", [False, True])
def test_a_changed_byte_in_evidence_is_named(lake: Lake, logs: Path, copy: bool) -> None:
    add(lake, logs, copy=copy, options=SMALL)
    assert list(verify_lake(lake)) == []
    web = lake.sources()[1]
    path = lake.evidence_folder / (web.sha256 or "") if copy else logs / "web.log"
    data = bytearray(path.read_bytes())
    data[5000] ^= 1
    path.write_bytes(bytes(data))
    (fault,) = verify_lake(lake)
    assert (fault.kind, fault.subject) == ("evidence-changed", web.facts.path)
    assert "Changed: bytes 4" in fault.reason


def test_a_changed_byte_in_an_archive_is_named(lake: Lake, logs: Path) -> None:
    add(lake, logs / "z.zip")
    data = bytearray((logs / "z.zip").read_bytes())
    data[-3] ^= 1
    (logs / "z.zip").write_bytes(bytes(data))
    (fault,) = verify_lake(lake)
    assert fault.kind == "evidence-changed"


def test_a_changed_byte_in_a_segment_is_named(lake: Lake, logs: Path) -> None:
    add(lake, logs)
    path = lake.segment_path(lake.segments()[0].id)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    (fault,) = verify_lake(lake)
    assert (fault.kind, fault.subject) == ("segment-changed", str(path))


@contextmanager
def changed_source(lake: Lake, source: int, **values: object) -> Iterator[None]:
    """Change a source's row, and put it back."""
    with lake.database.write() as connection:
        before = connection.execute(sa.select(sources).where(sources.c.id == source)).one()
        connection.execute(sources.update().where(sources.c.id == source).values(**values))
    yield
    with lake.database.write() as connection:
        connection.execute(sources.update().where(sources.c.id == source).values(**before._mapping))


def test_a_ledger_of_an_earlier_version_that_names_less_still_fits(lake: Lake, logs: Path) -> None:
    """Also where a source was given up, and when it goes on with this one."""
    cut_off(lake, logs / "web.log")
    text = (logs / "web.log").read_text()
    (logs / "web.log").write_text(text.replace("n=30 ", "n=31 "))
    add(lake, logs, options=SMALL)
    new = {"added", "added_by", "file_size", "encodings"}
    with lake.database.write() as connection:
        entries = list(read_entries(connection, "custody"))
        connection.execute(sa.text("delete from ledger_entries"))
        for entry in entries:
            left = new | ({"reader"} if entry.kind == "segment" else set())
            data = {name: value for name, value in entry.data.items() if name not in left}
            if entry.kind != "abandoned":
                append_entry(connection, "custody", entry.kind, data, actor=entry.actor, time=TIME, key=KEY)
    assert list(verify_lake(lake)) == []
    (logs / "more.log").write_text("".join(LINE.format(7, n % 60, n) for n in range(20)))
    add(lake, logs)
    assert list(verify_lake(lake)) == []


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("update segments set file_sha256 = 'x' where events = 8", "segment-changed"),
        ("update segments set events = 7 where events = 8", "row-changed"),
        ("update segments set file_size = 7 where events = 8", "row-changed"),
        ("update segments set reader = 'evtx/0' where events = 8", "row-changed"),
        ("update segments set encodings = :bytes where events = 8", "row-changed"),
        ("update sources set actor = 'eve' where id = 1", "row-changed"),
        ("update sources set added = '2022-07-19' where id = 1", "row-changed"),
        ("update sources set abandoned = true where id = 1", "row-changed"),
        ("update coverage set last = 1 where channel = 'System'", "row-changed"),
        ("update ranges set start = 1 where source = 1", "row-changed"),
        ("update sources set sha256 = 'x' where id = 1", "row-changed"),
        ("delete from ranges where source = 1", "row-changed"),
    ],
)
def test_a_changed_row_is_named(lake: Lake, logs: Path, statement: str, kind: str) -> None:
    add(lake, logs)
    with lake.database.write() as connection:
        values = {"bytes": b'{"utf-8":9}'} if ":bytes" in statement else {}
        connection.execute(sa.text(statement), values)
    assert kind in {fault.kind for fault in verify_lake(lake)}


def test_absent_evidence_is_reported_and_no_fault(lake: Lake, logs: Path) -> None:
    add(lake, logs)
    shutil.rmtree(logs)
    faults = list(verify_lake(lake))
    assert [fault.kind for fault in faults] == ["evidence-absent"] * 3
    assert all(fault.absent for fault in faults)


def test_copied_evidence_stays_when_the_logs_go(lake: Lake, logs: Path) -> None:
    add(lake, logs, copy=True)
    shutil.rmtree(logs)
    assert list(verify_lake(lake)) == []
    assert len(list(lake.evidence_folder.iterdir())) == 3


def test_a_lost_segment_is_named_and_made_again(lake: Lake, logs: Path) -> None:
    add(lake, logs)
    identity = lake.identity()
    path = lake.segment_path(lake.segments()[0].id)
    path.unlink()
    assert [fault.kind for fault in verify_lake(lake)] == ["segment-missing"]
    with pytest.raises(WorkspaceError, match="missing"):
        list(lake.read(lake.segments()[0].id))
    add(lake, logs)
    assert path.is_file()
    assert lake.identity() == identity
    assert list(verify_lake(lake)) == []


def test_a_full_disk_is_a_clear_error_and_leaves_nothing_half_done(lake: Lake, logs: Path) -> None:
    """The segments' folder is a file here: every write into it is refused, as on a full disk."""
    add(lake, logs / "a.evtx")
    identity = lake.identity()
    moved = lake.segment_folder.rename(lake.root / "aside")

    def refuse(_progress: IngestProgress) -> None:
        raise AssertionError("nothing may be committed")

    lake.segment_folder.write_text("")
    with pytest.raises(WorkspaceError, match="make room and run it again"):
        add(lake, logs / "web.log", progress=refuse)
    lake.segment_folder.unlink()
    moved.rename(lake.segment_folder)
    assert lake.identity() == identity
    assert list(verify_lake(lake)) == []
    add(lake, logs / "web.log")
    assert len(lake.sources()) == 2


def test_what_could_not_be_read_is_kept(lake: Lake, tmp_path: Path) -> None:
    folder = tmp_path / "bad"
    folder.mkdir()
    data = bytearray(evtx_bytes(sample(4)))
    data[4096 + 512] = 0
    (folder / "a.evtx").write_bytes(bytes(data))
    (folder / "b.txt").write_text("nothing\n")
    first = add(lake, folder)
    add(lake, folder)
    kept = lake.issues()
    assert sorted(issue.code for issue in kept) == ["no-reader", "record-header", "records-checksum"]
    assert sorted(kept, key=str) == sorted(first.issues, key=str)
    assert lake.sources()[0].issues == 2


def test_what_a_killed_process_left_is_cleared_away(lake: Lake, logs: Path) -> None:
    lake.prepare()
    (lake.segment_folder / ".tmp-99-1").write_bytes(b"half")
    add(lake, logs)
    assert not list(lake.segment_folder.glob(".tmp-*"))


def test_a_segment_file_is_plain_parquet_and_its_bytes_are_fixed(
    open_lake: OpenLake, tmp_path: Path, logs: Path
) -> None:
    import pyarrow.parquet as pq  # noqa: PLC0415

    contents = []
    for name in ("x", "y"):
        lake = open_lake(tmp_path / name)
        add(lake, logs / "a.evtx")
        path = lake.segment_path(lake.segments()[0].id)
        contents.append(path.read_bytes())
        lake.database.close()
    assert contents[0] == contents[1]
    table = pq.read_table(io.BytesIO(contents[0]))
    assert table.num_rows == 8
    assert set(table.column("channel").to_pylist()) == {"Security", "System"}
