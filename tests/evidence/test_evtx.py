"""The EVTX reader: fields, offsets, and what it makes of damage."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aleat.evidence.evtx_chunk import CHUNK_BYTES, FILE_HEADER_BYTES, Chunk
from aleat.evidence.reader import RangeResult, ReadOptions
from tests.evidence.evtx_writer import Event, chunk_bytes, evtx_bytes, file_header, sample
from tests.evidence.mutate import DAMAGES, damage
from tests.evidence.reading import events_of, issues_of, read_bytes


def offsets_of(data: bytes) -> list[int]:
    """Return where the records of a sound file start."""
    out = []
    for start in range(FILE_HEADER_BYTES, len(data), CHUNK_BYTES):
        out += [start + span.offset for span in Chunk.parse(data[start : start + CHUNK_BYTES]).spans]
    return out


def test_an_event_has_its_facts_fields_and_place() -> None:
    data = evtx_bytes(sample(2), sample(1, start=3, channel="System"))
    events = events_of(read_bytes(data))
    assert [event["record_id"] for event in events] == [1, 2, 3]
    assert [event["channel"] for event in events] == ["Security", "Security", "System"]
    first = events[0]
    assert first["host"] == "host1.example"
    assert first["provider"] == "Test-Provider"
    assert first["event_id"] == "1"
    assert first["time"].isoformat() == "2022-07-15T08:00:00.123456+00:00"
    assert first["time_text"] == "2022-07-15T08:00:00.1234567Z"
    assert first["fields"] == {
        "CommandLine": "run 1",
        "User": "agim",
        "Level": "4",
        "Execution.ProcessID": "4",
        "Execution.ThreadID": "8",
        "Computer": "host1.example",
    }


def test_the_offset_leads_to_the_record() -> None:
    data = evtx_bytes(sample(5), sample(4, start=6))
    for event in events_of(read_bytes(data)):
        magic, _, record_id = struct.unpack_from("<4sIQ", data, event["offset"])
        assert magic == b"\x2a\x2a\0\0"
        assert record_id == event["record_id"]


def test_qualifiers_leave_a_clean_event_id() -> None:
    event = Event(event_id=7036, attributes={"EventID": {"Qualifiers": "16384"}})
    read = events_of(read_bytes(evtx_bytes([event])))[0]
    assert read["event_id"] == "7036"
    assert read["fields"]["EventID.Qualifiers"] == "16384"


def test_unnamed_data_is_one_list() -> None:
    read = events_of(read_bytes(evtx_bytes([Event(unnamed=["a", "b"])], [Event(record_id=2, unnamed=["c"])])))
    assert [event["fields"]["Data"] for event in read] == ['["a","b"]', "c"]
    assert [event["kinds"]["Data"] for event in read] == ["l", "s"]


def test_user_data_is_flattened_and_names_its_element() -> None:
    cleared = ("LogFileCleared", [("Channel", "Other"), ("SubjectUserName", "agim"), ("Level", "high")])
    read = events_of(read_bytes(evtx_bytes([Event(channel="System", user_data=cleared)])))[0]
    assert read["channel"] == "System"
    assert read["fields"]["UserData"] == "LogFileCleared"
    assert read["fields"]["Channel"] == "Other"
    assert read["fields"]["Level"] == "high"
    assert read["fields"]["System.Level"] == "4"


def test_empty_null_and_absent_are_three_things() -> None:
    named = events_of(read_bytes(evtx_bytes([Event(data=[("A", ""), ("B", "x")])])))[0]
    assert (named["fields"]["A"], named["kinds"]["A"]) == ("", "s")
    assert "C" not in named["fields"]
    inner = events_of(read_bytes(evtx_bytes([Event(user_data=("Cleared", [("BackupPath", "")]))])))[0]
    assert (inner["fields"]["BackupPath"], inner["kinds"]["BackupPath"]) == ("", "n")


def test_ranges_of_one_chunk_give_the_same_events() -> None:
    data = evtx_bytes(*(sample(3, start=1 + 3 * number) for number in range(5)))
    whole = events_of(read_bytes(data))
    parts = read_bytes(data, options=ReadOptions(range_bytes=CHUNK_BYTES))
    assert len(parts) == 5
    cut = events_of(parts)
    assert [event["offset"] for event in cut] == [event["offset"] for event in whole]
    assert [event["fields"] for event in cut] == [event["fields"] for event in whole]


def test_unused_chunks_behind_the_last_are_no_loss() -> None:
    data = evtx_bytes(sample(2)) + bytes(3 * CHUNK_BYTES)
    results = read_bytes(data)
    assert len(events_of(results)) == 2
    assert issues_of(results) == []


def test_a_zeroed_chunk_is_named() -> None:
    data = file_header(3) + chunk_bytes(sample(2)) + bytes(CHUNK_BYTES) + chunk_bytes(sample(2, start=9))
    results = read_bytes(data)
    assert len(events_of(results)) == 4
    (issue,) = issues_of(results)
    assert (issue.code, issue.place.offset, issue.length) == ("zeroed-chunk", 4096 + CHUNK_BYTES, CHUNK_BYTES)


def test_a_truncated_chunk_gives_what_is_there() -> None:
    data = evtx_bytes(sample(2), sample(20, start=3))
    cut = offsets_of(data)[7] + 10
    results = read_bytes(data[:cut])
    assert len(events_of(results)) == 7
    codes = {issue.code: issue for issue in issues_of(results)}
    assert codes["truncated"].place.offset == cut
    assert codes["unreadable-range"].place.offset == cut - 10


def test_a_bad_records_checksum_is_named_and_the_records_are_read() -> None:
    data = bytearray(evtx_bytes(sample(3)))
    data[offsets_of(bytes(data))[1] + 16] ^= 1  # the time in a record's header, which says nothing of the event
    results = read_bytes(bytes(data))
    assert len(events_of(results)) == 3
    (issue,) = issues_of(results)
    assert issue.code == "records-checksum"
    assert issue.place.offset == 4096 + 512


@pytest.mark.parametrize("at", [0, 124])
def test_a_bad_chunk_header_is_named_and_the_records_are_read(at: int) -> None:
    data = bytearray(evtx_bytes(sample(3)))
    data[4096 + at] ^= 0xFF
    results = read_bytes(bytes(data))
    assert len(events_of(results)) == 3
    assert [issue.code for issue in issues_of(results)] == ["chunk-header"]


@pytest.mark.parametrize("at", [0, 60, 124])
def test_a_bad_file_header_is_named_and_the_chunks_are_read(at: int) -> None:
    data = bytearray(evtx_bytes(sample(3)))
    data[at] ^= 0xFF
    results = read_bytes(bytes(data), "x.evtx")
    assert len(events_of(results)) == 3
    assert [issue.code for issue in issues_of(results)] == ["file-header"]


def test_a_record_with_a_broken_header_is_read_if_its_content_is_whole() -> None:
    data = bytearray(evtx_bytes(sample(4)))
    data[offsets_of(bytes(data))[1]] = 0
    results = read_bytes(bytes(data))
    assert [event["record_id"] for event in events_of(results)] == [1, 2, 3, 4]
    assert [issue.code for issue in issues_of(results)] == ["records-checksum", "record-header"]


def test_a_record_with_broken_content_is_named_and_the_next_is_read() -> None:
    data = bytearray(evtx_bytes(sample(4)))
    starts = offsets_of(bytes(data))
    data[starts[1] + 24 : starts[2] - 4] = b"\xee" * (starts[2] - 4 - starts[1] - 24)
    results = read_bytes(bytes(data))
    assert [event["record_id"] for event in events_of(results)] == [1, 3, 4]
    lost = [issue for issue in issues_of(results) if issue.code == "unreadable-range"]
    assert [(issue.place.offset, issue.length, issue.records) for issue in lost] == [
        (starts[1], starts[2] - starts[1], 1)
    ]


def test_an_event_names_no_value_in_an_issue() -> None:
    """No evidence value may stand in a message of ours."""
    data = bytearray(evtx_bytes(sample(4)))
    starts = offsets_of(bytes(data))
    data[starts[1] + 30 : starts[1] + 90] = b"secret" * 10
    for issue in issues_of(read_bytes(bytes(data))):
        assert "secret" not in str(issue)


def check_accounted(sound: bytes, damaged: bytes, results: list[RangeResult]) -> None:
    """Every record of the sound file is either read at its offset or lies in a range that an issue names."""
    read = {event["offset"] for event in events_of(results)}
    issues = issues_of(results)
    spans = [(issue.place.offset or 0, (issue.place.offset or 0) + (issue.length or 0)) for issue in issues]
    for offset in offsets_of(sound):
        assert offset in read or any(start <= offset < end for start, end in spans), offset
    for start in range(FILE_HEADER_BYTES, len(sound), CHUNK_BYTES):
        before, after = sound[start : start + CHUNK_BYTES], damaged[start : start + CHUNK_BYTES]
        end = Chunk.parse(before).end
        if before[:8] == b"ElfChnk\0" and before[:end] != after[:end]:
            assert any(low < start + CHUNK_BYTES and start < high for low, high in spans), start


@pytest.mark.parametrize("seed", range(6 * len(DAMAGES)))
def test_damage_is_accounted_for(seed: int) -> None:
    sound = evtx_bytes(sample(30), sample(25, start=31), sample(8, start=56))
    damaged, _ = damage(sound, seed)
    check_accounted(sound, damaged, read_bytes(damaged, "x.evtx"))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(4096, 4096 + 6000), st.integers(0, 255)), min_size=1, max_size=30))
@example([(4096, 0), (7893, 1), (8980, 0)])  # header, one record's number, the next one's size
def test_no_bytes_make_the_reader_fail(changes: list[tuple[int, int]]) -> None:
    data = bytearray(evtx_bytes(sample(12)))
    sound = bytes(data)
    for at, value in changes:
        data[at] = value
    results = read_bytes(bytes(data), "x.evtx")
    check_accounted(sound, bytes(data), results)


@pytest.mark.long
@pytest.mark.data
def test_every_real_file_is_read_whole(test_data: Path) -> None:
    files = sorted((test_data / "evtx").rglob("*.evtx"))
    assert len(files) == 305
    events = 0
    for path in files:
        results = read_bytes(path.read_bytes(), path.name)
        assert issues_of(results) == []
        events += sum(result.events for result in results)
    assert events == 15683


@pytest.mark.data
def test_real_files_are_accounted_for_when_damaged(test_data: Path) -> None:
    rng = random.Random(2022)  # noqa: S311 - a seeded choice
    files = sorted((test_data / "evtx").rglob("*.evtx"))
    for number, path in enumerate(rng.sample(files, 40)):
        sound = path.read_bytes()
        damaged, _ = damage(sound, number)
        check_accounted(sound, damaged, read_bytes(damaged, path.name))


@pytest.mark.long
@pytest.mark.data
def test_all_real_files_are_accounted_for_when_damaged(test_data: Path) -> None:
    for number, path in enumerate(sorted((test_data / "evtx").rglob("*.evtx"))):
        sound = path.read_bytes()
        for round_number in range(3):
            damaged, _ = damage(sound, number + 1000 * round_number)
            check_accounted(sound, damaged, read_bytes(damaged, path.name))
