"""EVTX in pieces: chunks anywhere, records without their chunk, slack; and the account of every byte."""

from __future__ import annotations

import random
import struct
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aleat.evidence.evtx_chunk import CHUNK_BYTES, FILE_HEADER_BYTES
from aleat.evidence.reader import RangeResult, ReadOptions
from tests.evidence.evtx_writer import Event, chunk_bytes, evtx_bytes, record_bytes, sample
from tests.evidence.mutate import DAMAGES, damage
from tests.evidence.reading import events_of, issues_of, read_bytes

FILETIME = (1657872000 + 11_644_473_600) * 10_000_000  # 15 July 2022, 08:00 UTC


def account_of(results: list[RangeResult]) -> Counter[str]:
    """Return the account over all ranges."""
    found: Counter[str] = Counter()
    for result in results:
        found.update(result.account)
    return found


def ids_of(results: list[RangeResult]) -> list[int]:
    """Return the record ids of the events, in order."""
    return [event["record_id"] for event in events_of(results)]


def check_places(data: bytes, results: list[RangeResult]) -> None:
    """Each event's offset leads to its record."""
    for event in events_of(results):
        assert data[event["offset"] :].startswith(b"\x2a\x2a\0\0")


def test_every_byte_of_a_sound_file_is_accounted_for() -> None:
    data = evtx_bytes(sample(3), sample(2, start=4)) + bytes(CHUNK_BYTES)
    account = account_of(read_bytes(data))
    assert sum(account.values()) == len(data)
    assert account["header"] == FILE_HEADER_BYTES + 2 * 512
    assert account["record"] == sum(
        struct.unpack_from("<I", data, event["offset"] + 4)[0] for event in events_of(read_bytes(data))
    )
    assert account["empty"] == len(data) - account["header"] - account["record"]
    assert set(account) == {"header", "record", "empty"}


@pytest.mark.parametrize("seed", range(4 * len(DAMAGES)))
def test_every_byte_of_a_damaged_file_is_accounted_for(seed: int) -> None:
    damaged, _ = damage(evtx_bytes(sample(30), sample(25, start=31), sample(8, start=56)), seed)
    assert sum(account_of(read_bytes(damaged, "x.evtx")).values()) == len(damaged)


@pytest.mark.parametrize("before", [0, 512, 5000, 70_001])
def test_chunks_are_found_anywhere(before: int) -> None:
    """A file without its header, a part of a disk's unused space, memory."""
    rng = random.Random(1)  # noqa: S311 - a seeded filler
    noise = rng.randbytes(before)
    data = noise + chunk_bytes(sample(3)) + rng.randbytes(333) + chunk_bytes(sample(2, start=4)) + rng.randbytes(99)
    for options in (ReadOptions(), ReadOptions(range_bytes=CHUNK_BYTES)):
        results = read_bytes(data, "unallocated.bin", options)
        assert ids_of(results) == [1, 2, 3, 4, 5]
        check_places(data, results)
        account = account_of(results)
        assert sum(account.values()) == len(data)
        assert account["other"] == before + 333 + 99
        assert {issue.code for issue in issues_of(results)} == {"carved"}


@pytest.mark.parametrize("lost", [1, 600, 30_000])
def test_a_carved_chunk_that_lost_bytes_costs_the_next_one_nothing(lost: int) -> None:
    """The next one begins before this one should end, and a range is cut there."""
    sound = chunk_bytes(sample(3))
    data = (
        b"\xcc" * 777 + sound[: CHUNK_BYTES - lost] + chunk_bytes(sample(2, start=4)) + chunk_bytes(sample(1, start=6))
    )
    for options in (ReadOptions(), ReadOptions(range_bytes=CHUNK_BYTES)):
        results = read_bytes(data, "unallocated.bin", options)
        assert ids_of(results) == [1, 2, 3, 4, 5, 6]
        assert sum(account_of(results).values()) == len(data)


@pytest.mark.parametrize("lost", [1, 100, 4096, 40_000])
def test_bytes_that_are_missing_in_a_file_cost_one_chunk(lost: int) -> None:
    """Behind the gap, chunks are found at their new places."""
    sound = evtx_bytes(*(sample(20, start=1 + 20 * number) for number in range(6)))
    at = FILE_HEADER_BYTES + 2 * CHUNK_BYTES + 20_000
    data = sound[:at] + sound[at + lost :]
    for options in (ReadOptions(), ReadOptions(range_bytes=2 * CHUNK_BYTES)):
        results = read_bytes(data, "x.evtx", options)
        found = set(ids_of(results))
        assert {*range(1, 41), *range(61, 121)} <= found
        check_places(data, results)
        assert sum(account_of(results).values()) == len(data)
        assert "misplaced-chunk" in {issue.code for issue in issues_of(results)}


def test_bytes_that_were_put_into_a_file_cost_one_chunk() -> None:
    sound = evtx_bytes(*(sample(20, start=1 + 20 * number) for number in range(4)))
    at = FILE_HEADER_BYTES + CHUNK_BYTES + 100
    data = sound[:at] + b"\xcc" * 7777 + sound[at:]
    results = read_bytes(data, "x.evtx")
    assert {*range(1, 21), *range(41, 81)} <= set(ids_of(results))
    check_places(data, results)
    assert sum(account_of(results).values()) == len(data)


def test_records_without_their_chunks_header_are_read_where_they_tell_their_place() -> None:
    values: dict[str, Any] = {"in_template": True, "written": FILETIME, "data": [("A", "x" * 90)]}
    chunk = chunk_bytes([Event(record_id=number, **values) for number in range(1, 9)])
    whole = chunk_bytes(sample(1, start=90))
    data = b"\xcc" * 777 + chunk[512:] + whole
    results = read_bytes(data, "unallocated.bin")
    assert ids_of(results) == [1, 2, 3, 4, 5, 6, 7, 8, 90]
    check_places(data, results)
    middle = chunk[512 + 700 : 512 + 4000]  # from the middle of one record to that of another
    results = read_bytes(middle + whole, "unallocated.bin")
    assert ids_of(results) == [2, 3, 90]
    check_places(middle + whole, results)
    assert sum(account_of(results).values()) == len(middle + whole)


def with_slack(written: int = FILETIME, **values: object) -> bytes:
    """Return a file with one record, and an older one behind the chunk's end."""
    chunk = bytearray(chunk_bytes(sample(1, start=9)))
    old = Event(record_id=3, written=written, data=[("CommandLine", "old")], time="2022-07-15T08:00:00.5Z", **values)  # type: ignore[arg-type]
    chunk[20_000 : 20_000 + len(record_bytes(old, 20_000))] = record_bytes(old, 20_000)
    return evtx_bytes([])[:FILE_HEADER_BYTES] + bytes(chunk)


def test_slack_is_counted_and_read_on_request() -> None:
    data = with_slack()
    results = read_bytes(data)
    assert ids_of(results) == [9]
    assert account_of(results)["slack"] > 0
    assert issues_of(results) == []
    asked = read_bytes(data, options=ReadOptions(slack=True))
    first, second = events_of(asked)
    assert (first["record_id"], "Recovered" in first["fields"]) == (9, False)
    assert (second["record_id"], second["offset"], second["fields"]["Recovered"]) == (3, 4096 + 20_000, "slack")
    assert [issue.code for issue in issues_of(asked)] == ["slack-record"]


def test_slack_whose_header_and_content_disagree_is_not_read() -> None:
    data = with_slack(written=FILETIME + 10**10)
    assert ids_of(read_bytes(data, options=ReadOptions(slack=True))) == [9]
    other = bytearray(with_slack(in_template=True))
    assert ids_of(read_bytes(bytes(other), options=ReadOptions(slack=True))) == [9, 3]
    other[4096 + 20_000 + 30] ^= 1  # the number of the template
    assert ids_of(read_bytes(bytes(other), options=ReadOptions(slack=True))) == [9]


def test_a_forwarded_event_is_its_sources() -> None:
    """A collector's log holds other hosts' events under its own record ids; the host is the event's Computer."""
    events = [Event(record_id=1, computer="dc1.example"), Event(record_id=2, computer="ws7.example")]
    assert [event["host"] for event in events_of(read_bytes(evtx_bytes(events)))] == ["dc1.example", "ws7.example"]


@given(
    st.lists(st.tuples(st.integers(0, 200_000), st.integers(0, 3000)), max_size=4),
    st.lists(st.integers(0, 200_000), max_size=4),
    st.booleans(),
)
def test_no_cuts_and_no_bytes_break_the_account(
    cuts: list[tuple[int, int]], changes: list[int], headless: bool
) -> None:
    template = [
        Event(record_id=number, in_template=True, written=FILETIME, data=[("A", "x" * 900)]) for number in range(9, 29)
    ]
    data = bytearray(evtx_bytes(sample(8), template, sample(8, start=29)))
    for at, length in cuts:
        del data[at : at + length]
    for at in changes:
        if at < len(data):
            data[at] ^= 0x2A
    if headless:
        del data[:4096]
    copy = bytes(data) + chunk_bytes(sample(1, start=99))
    for options in (ReadOptions(slack=True), ReadOptions(range_bytes=CHUNK_BYTES)):
        results = read_bytes(copy, "x.evtx", options)
        assert sum(account_of(results).values()) == len(copy)


def _check_real(data: bytes, name: str) -> Counter[str]:
    results = read_bytes(data, name)
    account = account_of(results)
    assert sum(account.values()) == len(data), name
    return account


@pytest.mark.long
@pytest.mark.data
def test_every_byte_of_every_real_file_is_accounted_for(test_data: Path) -> None:
    """As they are, damaged, and without a header at an odd place."""
    rng = random.Random(305)  # noqa: S311 - a seeded choice
    files = sorted((test_data / "evtx").rglob("*.evtx"))
    assert len(files) == 305
    total: Counter[str] = Counter()
    for number, path in enumerate(files):
        sound = path.read_bytes()
        account = _check_real(sound, path.name)
        assert set(account) <= {"header", "record", "slack", "empty"}
        total.update(account)
        _check_real(damage(sound, number)[0], path.name)
        before = rng.randbytes(rng.randrange(1, 9000))
        carved = read_bytes(before + sound[4096:], "carved.bin")
        assert sum(account_of(carved).values()) == len(before) + len(sound) - 4096
        assert ids_of(carved) == ids_of(read_bytes(sound, path.name))
    assert sum(total.values()) == sum(path.stat().st_size for path in files)


@pytest.mark.data
def test_records_of_real_chunks_are_found_without_their_headers(test_data: Path) -> None:
    """Of ten files; a record whose template was defined before the cut can't be read."""
    found = lost = 0
    for path in sorted((test_data / "evtx").rglob("*.evtx"))[::30]:
        sound = path.read_bytes()
        known = {(event["record_id"], str(event["fields"])) for event in events_of(read_bytes(sound, path.name))}
        end = next(sound.find(b"ElfChnk\0", 4096 + 8) for _ in (0,))
        piece = sound[4096 + 512 : end if end > 0 else None]
        results = read_bytes(b"\x01" * 1001 + piece + chunk_bytes(sample(1, start=10**9)), "carved.bin")
        events = [event for event in events_of(results) if event["record_id"] != 10**9]
        assert {(event["record_id"], str(event["fields"])) for event in events} & known
        found += len(events)
        lost += sum((event["record_id"], str(event["fields"])) not in known for event in events)
    assert found > 100
    assert lost <= found // 10
