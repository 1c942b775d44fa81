"""search, fields, sources, sql, index and coverage, as a person types them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from aleat import Workspace
from tests.cli.command import Call
from tests.evidence.evtx_writer import Event, evtx_bytes
from tests.workspace.samples import moment, process

EVIL = "=cmd|'/C calc'!A0\x1b[31m\u202e"


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Windows events, one of them with a hostile value, one taken out, a log cleared."""
    root = tmp_path_factory.mktemp("case")
    events = [process(n) for n in range(1, 90) if n != 44]
    events.append(Event(record_id=90, event_id=4688, computer="pc1.example", time=moment(90), data=[("Evil", EVIL)]))
    cleared = Event(record_id=91, event_id=1102, provider="Microsoft-Windows-Eventlog", time=moment(91))
    (root / "a.evtx").write_bytes(evtx_bytes(events[:45], [*events[45:], cleared]))
    with Workspace.init(root / "case", actor="agim", key_folder=root / "keys") as ws:
        ws.add_evidence(root / "a.evtx")
    return root / "case"


def test_a_search_prints_what_was_found_and_where(run: Call, case: Path) -> None:
    """A table for people, with a word on standard error on how much was looked at."""
    ran = run("search", "CommandLine=run 7", "-w", case, "-q")
    assert ran.code == 0
    heading, row = ran.out.splitlines()
    assert heading.split() == ["TIME", "(UTC)", "HOST", "EVENT", "FOUND", "EVIDENCE"]
    assert row.split()[:6] == ["2022-07-15", "08:07:00", "pc1.example", "Security", "4688", "CommandLine=run"]
    assert row.endswith("a.evtx #6")
    assert "1 events; looked into 1 of 1 segments." in ran.err


def test_all_forms_say_the_same(run: Call, case: Path) -> None:
    """JSON, JSON lines, CSV: the same events, keys in the same order."""
    lines = [
        json.loads(line) for line in run("search", "CommandLine=run 1?", "-w", case, "-t", "jsonl").out.splitlines()
    ]
    assert [line["record_id"] for line in lines] == list(range(10, 20))
    assert json.loads(run("search", "CommandLine=run 1?", "-w", case, "-t", "json").out) == lines
    rows = list(csv.DictReader(io.StringIO(run("search", "CommandLine=run 1?", "-w", case, "-t", "csv").out)))
    assert list(rows[0]) == list(lines[0])
    assert [json.loads(row["fields"]) for row in rows] == [line["fields"] for line in lines]
    assert lines[0]["time"] == "2022-07-15T08:10:00.000000Z"
    assert lines[0]["matched"] == ["CommandLine"]
    assert json.loads(run("search", "nothing", "-w", case, "-t", "json").out) == []


def test_limits_are_said(run: Call, case: Path) -> None:
    """How many more there are isn't counted; that there are is told."""
    ran = run("search", "agim", "-w", case, "--limit", 3, "--since", "2022-07-15T08:05", "--host", "PC1.example")
    assert len(ran.out.splitlines()) == 4
    assert "There are more: --limit 30, or 0 for all." in ran.err
    assert run("search", "agim", "-w", case, "--limit", 0).out.count("\n") == 89


def test_what_is_in_a_value_acts_on_nothing(run: Call, case: Path) -> None:
    """Neither on the terminal nor in a spreadsheet."""
    for kind in ("table", "csv", "jsonl", "json"):
        said = run("search", "Evil=*", "-w", case, "-t", kind).out
        assert "\x1b" not in said
        assert "\u202e" not in said or kind in ("json", "jsonl")
    assert not [cell for row in csv.reader(io.StringIO(said)) for cell in row if cell.startswith("=")]
    for command in (("fields", "Evil"), ("fields", "Evil", "-t", "csv"), ("sql", 'select "Evil|s" as e from events')):
        ran = run(*command, "-w", case)
        assert ran.code == 0
        assert not {"\x1b", "\u202e"} & set(ran.out)
    assert "'=cmd" in run("fields", "Evil", "-t", "csv", "-w", case).out


def test_a_search_that_cannot_be_read_is_refused(run: Call, case: Path) -> None:
    """With the place."""
    ran = run("search", "a and (b or", "-w", case)
    assert ran.code == 1
    assert "search:1:" in ran.err
    assert run("search", "a", "-w", case, "--since", "yesterday").code == 1


def test_fields_and_sources_are_listed(run: Call, case: Path) -> None:
    """For people and for programs."""
    assert "CommandLine" in run("fields", "command", "-w", case).out
    rows = [json.loads(line) for line in run("fields", "-w", case, "-t", "jsonl").out.splitlines()]
    (row,) = [row for row in rows if row["field"] == "SubjectUserName"]
    assert (row["events"], row["distinct"], row["exact"], row["example"]) == (88, 1, True, "agim")
    (source,) = json.loads(run("sources", "-w", case, "-t", "json").out)
    assert source["path"].endswith("a.evtx")
    assert (source["reader"], source["events"], len(source["sha256"])) == ("evtx", 90, 64)
    assert source["sha256"][:12] in run("sources", "-w", case).out


def test_the_index_is_proved(run: Call, case: Path) -> None:
    """Deleted, made anew, compared; what was damaged is said, with code 1."""
    assert "1 of 1 segments" in run("index", "-w", case).out
    ran = run("index", "--rebuild", "-w", case)
    assert ran.code == 0
    before, after, said = ran.out.splitlines()
    assert before.split()[1] == after.split()[1]
    assert said == "The same, made from 1 segments."
    part = next((case / "cache" / "index").iterdir())
    part.write_bytes(part.read_bytes()[:-100] + bytes(100))
    assert run("search", "run 7", "-w", case).out.count("run 7") == 1
    part.write_bytes(b"x")
    ran = run("index", "-w", case)
    assert (ran.code, "1 of 1 segments" in ran.out) == (0, True)


def test_sql_prints_rows_or_a_clear_refusal(run: Call, case: Path) -> None:
    """Columns of one name are told apart."""
    pytest.importorskip("duckdb")
    said = run("sql", "select 1 as a, 2 as a", "-w", case, "-t", "jsonl").out
    assert json.loads(said) == {"a": 1, "a_2": 2}
    ran = run("sql", "select * from range(200)", "-w", case)
    assert len(ran.out.splitlines()) == 101
    assert "There are more rows" in ran.err
    ran = run("sql", "select * from read_text('/etc/hostname')", "-w", case)
    assert ran.code == 1
    assert "Views: events, segments, sources, coverage." in ran.err


def test_coverage_says_what_the_logs_show(run: Call, case: Path) -> None:
    """First the findings, then every host and log with its hours and its longest silence."""
    said = " ".join(run("coverage", "-w", case).out.split())
    assert "Records missing where the log counts without a gap before and after: 1 (numbers 44 to 44 the most)" in said
    assert "Logs cleared: Security (clearings: 1)" in said
    assert "HOURS WITH EVENTS" in said
    assert "Rekorde që mungojnë" in run("coverage", "-w", case, "--language", "sq").out
