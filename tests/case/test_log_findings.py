"""What logs show of themselves: numbers that are missing, clearings, stops, silences; and what they must not cry."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from aleat.case import LogActivity, build_case
from aleat.case.records import Case, CoverageRow, LogFinding, SourceRow
from aleat.evidence.activity import MOST_RUNS, activity_minutes, describe_activity
from aleat.evidence.batch import FIXED_SCHEMA, EventBatch
from tests.case.simulator import DAY, HOUR, MINUTE, at, hit

START = at("2022-07-01 00:00")
END = datetime(2022, 9, 1, tzinfo=UTC)
WORD = pa.dictionary(pa.int32(), pa.string())


def log(
    evidence: str,
    times: Sequence[int],
    numbers: Sequence[int] | None = None,
    *,
    host: str = "PC1",
    channel: str = "Security",
) -> list[LogActivity]:
    """The activity of a log with events at these times and with these record numbers."""
    count = len(times)
    columns: dict[str, Any] = {
        "time": pa.array(times, pa.timestamp("us", tz="UTC")),
        "time_text": pa.nulls(count, pa.string()),
        "host": pa.array([host] * count).dictionary_encode(),
        "record": pa.array(range(count), pa.int64()),
        "offset": pa.array([512 * place for place in range(count)], pa.int64()),
        "record_id": pa.array(numbers if numbers is not None else [None] * count, pa.int64()),
        "provider": pa.nulls(count, WORD),
        "event_id": pa.nulls(count, WORD),
    }
    table = pa.table(columns).cast(FIXED_SCHEMA)
    batch = EventBatch(evidence, "segment", 0, "windows", channel, table)
    return [LogActivity(evidence, 0, activity) for activity in describe_activity([batch])]


def every(step: int, start: int, end: int) -> list[int]:
    return list(range(start, end, step))


def case(logs: Iterable[LogActivity], **more: Any) -> Case:
    coverage = [
        CoverageRow(host="PC1", format="windows", channel=name, first=END - timedelta(90), last=END, events=9)
        for name in ("Security", "System")
    ]
    values: dict[str, Any] = {"name": "logs", "reference_time": END, "coverage": coverage, **more}
    return build_case(logs=list(logs), **values)


def findings(logs: Iterable[LogActivity], **more: Any) -> tuple[LogFinding, ...]:
    return case(logs, **more).log_findings


def numbered(*spans: range) -> tuple[list[int], list[int]]:
    numbers = [number for span in spans for number in span]
    return [START + number * MINUTE for number in numbers], numbers


# ------------------------------------------------------------------------------------------------------ numbers


def test_one_record_taken_out_of_thousands_is_found() -> None:
    """With the places of the records on both sides."""
    (found,) = findings(log("a.evtx", *numbered(range(1000, 3000), range(3001, 5000))))
    assert (found.kind, found.host, found.channel, found.count) == ("records-missing", "PC1", "Security", 1)
    assert [ref.record for ref in found.refs] == [1999, 2000]
    assert all(ref.event for ref in found.refs)
    assert found.parameters == {"gaps": "1", "from": "3000", "to": "3000"}
    assert (found.first, found.last) == tuple(
        datetime(2022, 7, 1, tzinfo=UTC) + timedelta(minutes=number) for number in (2999, 3001)
    )


def test_a_filtered_export_is_no_tampering() -> None:
    """Many gaps, or short stretches, are what a filter leaves."""
    selection = [number for number in range(6000) if number % 40 < 30]
    assert not findings(log("a.json", [START + number * MINUTE for number in selection], selection))
    assert not findings(log("a.evtx", *numbered(range(10), range(50, 60))))
    scattered = list(range(0, 9000, 7))
    (activity,) = log("a.json", [START + number * MINUTE for number in scattered], scattered)
    assert activity.activity.selection
    assert len(scattered) > MOST_RUNS


def test_what_another_source_holds_is_not_missing() -> None:
    """A copy of the same log fills the gap."""
    cut = log("a.evtx", *numbered(range(100, 300), range(310, 500)))
    assert not findings([*cut, *log("b.evtx", *numbered(range(250, 400)))])


def test_records_between_two_files_were_not_given() -> None:
    """A collection's gap is no deletion: it is said apart."""
    logs = [*log("a.evtx", *numbered(range(100, 300))), *log("b.evtx", *numbered(range(800, 900)))]
    (found,) = findings(logs)
    assert (found.kind, found.count) == ("parts-not-given", 500)


def test_a_log_cut_into_segments_is_one_log() -> None:
    """Where a segment ends nothing is missing."""
    assert not findings([*log("a.evtx", *numbered(range(300))), *log("a.evtx", *numbered(range(300, 600)))])


def test_what_could_not_be_read_is_not_said_to_be_deleted() -> None:
    """The source has damage of its own."""
    source = SourceRow(
        path="a.evtx", sha256="", size=1, reader="evtx 1", records=1, unreadable=2, first=None, last=None
    )
    (found,) = findings(log("a.evtx", *numbered(range(100, 300), range(310, 500))), sources=[source])
    assert found.kind == "records-unreadable"


def test_a_log_that_counts_anew_is_no_gap() -> None:
    """Two logs of one name in one file: the higher numbers are the earlier ones."""
    times = [START + place * MINUTE for place in range(400)]
    assert not findings(log("a.json", times, [*range(5000, 5200), *range(1, 201)]))


# ------------------------------------------------------------------------------------------ what the system says


def signal(name: str, time: int, event_id: str, **fields: Any) -> Any:
    return hit(name, "PC1", time, source="aleat", tags=[f"aleat.{name}"], event_id=event_id, **fields)


def test_all_that_one_command_cleared_is_one_finding() -> None:
    """Ninety logs within a minute: one row, with who did it and the first names."""
    cleared = [signal("log-cleared", START + n, "104", Channel=f"Log{n:02}", SubjectUserName="eve") for n in range(90)]
    later = signal("log-cleared", START + 5 * DAY, "1102", SubjectUserName="eve")
    many, one = findings([], signals=[*cleared, later])
    assert (many.kind, many.channel, many.count, many.parameters["by"]) == ("log-cleared", "", 90, "eve")
    assert many.parameters["logs"] == "Log00, Log01, Log02, Log03, Log04"
    assert many.parameters["more_logs"] == "85"
    assert (one.channel, one.count, len(one.refs)) == ("Security", 1, 1)


def test_a_stop_of_the_logger_alone_is_found_one_with_the_system_is_not() -> None:
    """1100 belongs to every shutdown; without one near it, somebody stopped the service."""
    stop = signal("logging-stopped", START + 40 * DAY, "1100")
    assert [one.kind for one in findings([], signals=[stop])] == ["logging-stopped"]
    down = signal("shutdown-clean", START + 40 * DAY + MINUTE, "6006")
    assert not findings([], signals=[stop, down])
    assert not findings([], signals=[stop], coverage=[])


def test_a_logger_that_was_set_not_to_start_is_found_whatever_follows() -> None:
    """It shows at the next start of the system, so that a shutdown explains nothing."""
    off = signal("logging-disabled", START + 40 * DAY, "7040")
    down = signal("shutdown-clean", START + 40 * DAY + MINUTE, "6006")
    (found,) = findings([], signals=[off, down], coverage=[])
    assert (found.kind, found.count) == ("logging-disabled", 1)


# ----------------------------------------------------------------------------------------------------- silences


def test_a_log_that_stops_while_others_go_on_is_found() -> None:
    """Sysmon says nothing for a night in which it always did; Security was written."""
    end = START + 20 * DAY
    cut = [time for time in every(2 * MINUTE, START, end) if not 10 * DAY < time - START < 10 * DAY + 9 * HOUR]
    logs = [*log("a.evtx", cut, channel="Sysmon"), *log("b.evtx", every(5 * MINUTE, START, end))]
    (found,) = findings(logs)
    assert (found.kind, found.channel, found.bits > 60) == ("log-silent", "Sysmon", True)
    assert (found.first, found.last) == (
        datetime(2022, 7, 11, tzinfo=UTC),
        datetime(2022, 7, 11, 9, tzinfo=UTC),
    )
    assert len(found.refs) == 2


def test_a_log_that_ends_before_the_others_is_found() -> None:
    """It stops for good: the finding has no end."""
    logs = [
        *log("a.evtx", every(2 * MINUTE, START, START + 10 * DAY), channel="Sysmon"),
        *log("b.evtx", every(5 * MINUTE, START, START + 20 * DAY)),
    ]
    (found,) = findings(logs)
    assert (found.kind, found.channel, found.last) == ("log-silent", "Sysmon", None)


def test_a_host_that_falls_silent_while_others_talk_is_found_once() -> None:
    """Not once for each of its logs."""
    end = START + 20 * DAY
    cut = [time for time in every(2 * MINUTE, START, end) if not 10 * DAY < time - START < 10 * DAY + 9 * HOUR]
    logs = [
        *log("a.evtx", cut, channel="Sysmon"),
        *log("b.evtx", [time + 1 for time in cut]),
        *log("c.evtx", every(5 * MINUTE, START, end), host="PC2"),
    ]
    (found,) = findings(logs)
    assert (found.kind, found.host, found.channel) == ("host-silent", "PC1", "")


def test_nights_weekends_and_rare_logs_are_no_silences() -> None:
    """A log written in office hours, one written by chance, one too short to be known."""
    office = [
        time
        for time in every(3 * MINUTE, START, START + 40 * DAY)
        if 7 <= time // HOUR % 24 < 17 and (time // DAY + 3) % 7 < 5
    ]
    rng = random.Random(4)  # noqa: S311
    rare = sorted(rng.randrange(START, START + 40 * DAY) for _ in range(500))
    logs = [
        *log("a.evtx", office, channel="Sysmon"),
        *log("r.evtx", rare, channel="Setup"),
        *log("b.evtx", every(5 * MINUTE, START, START + 40 * DAY)),
        *log("s.evtx", every(MINUTE, START, START + DAY), channel="Short"),
    ]
    assert not findings(logs)


def test_coverage_tells_active_hours_and_the_longest_silence() -> None:
    """Per host and log source: when there are events, and when there are none."""
    times = [*every(10 * MINUTE, START, START + 5 * HOUR), *every(10 * MINUTE, START + 30 * HOUR, START + 31 * HOUR)]
    security, system = case(log("b.evtx", times)).coverage
    assert security.active_hours == 6
    assert security.silence == (datetime(2022, 7, 1, 4, 50, tzinfo=UTC), datetime(2022, 7, 2, 6, tzinfo=UTC))
    assert (system.active_hours, system.silence) == (None, None)


def test_the_order_of_the_evidence_does_not_matter() -> None:
    """Same logs, another order: the same findings."""
    logs = [
        *log("a.evtx", *numbered(range(100, 300), range(310, 500))),
        *log("b.evtx", *numbered(range(800, 900))),
        *log("c.evtx", *numbered(range(100, 200), range(250, 400)), host="PC2"),
    ]
    assert findings(logs) == findings(reversed(logs)) != ()


def test_minutes_come_back_as_they_were() -> None:
    """Packed and unpacked, times before 1970 too; events without a time are left out."""
    (one,) = log("a.evtx", [-5 * MINUTE, 0, MINUTE, MINUTE + 1, 9 * DAY])
    assert activity_minutes(one.activity.minutes).tolist() == [-5, 0, 1, 9 * 1440]
    (none,) = log("a.evtx", [None, None])  # type: ignore[list-item]
    assert not len(activity_minutes(none.activity.minutes))
