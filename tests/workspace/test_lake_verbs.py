"""The lake without a hunt: search, fields, sources, the index, SQL."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path

import pytest

from aleat import Workspace
from aleat.errors import InputError, WorkspaceError
from aleat.evidence import read_segment
from aleat.hunt.event_digest import cell_text
from aleat.hunt.rows import RowReader
from aleat.workspace.evidence import open_lake
from tests.evidence.evtx_writer import Event, evtx_bytes
from tests.workspace.conftest import Built
from tests.workspace.samples import moment, process


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Windows events in two files, a web log, JSON: several formats, few segments."""
    root = tmp_path_factory.mktemp("lake")
    logs = root / "logs"
    logs.mkdir()
    first = [process(n, "whoami /all" if n % 3 else 'cmd /c "echo *"', "pc1.example") for n in range(1, 40)]
    second = [process(n, f"run {n}", "PC2.example") for n in range(100, 130)]
    (logs / "a.evtx").write_bytes(evtx_bytes(first))
    (logs / "b.evtx").write_bytes(evtx_bytes(second))
    line = '198.51.100.{} - - [15/Jul/2022:10:00:{:02} +0000] "GET /whoami?n={} HTTP/1.1" 200 {}\n'
    (logs / "web.log").write_text("".join(line.format(n % 5, n % 60, n, n * 7) for n in range(120)))
    with Workspace.init(root / "case", actor="agim", key_folder=root / "keys") as ws:
        ws.add_evidence(logs)
        yield ws


def test_what_is_inside_a_list_is_found(tmp_path: Path, workspace: Workspace) -> None:
    """A value of a list, however deep, as a whole value is; a letter in another normal form too."""
    event = {"Channel": "Test", "EventID": 1, "Hostname": "pc1", "EventTime": "2022-07-15 08:00:00"}
    lists = [["Alpha", {"b": [7, True]}], ["beta"], ["Vie\u0301re"]]
    lines = [json.dumps({**event, "EventRecordID": n, "Things": things}) for n, things in enumerate(lists)]
    (tmp_path / "a.json").write_text("\n".join(lines).replace("\\\\u", "\\u"))
    workspace.add_evidence(tmp_path / "a.json")
    field = next(row for row in workspace.fields() if row.field.startswith("Things"))
    assert field.kind == "l"
    for what in ("ALPHA", "7", "Things=true", "Things=alph?"):
        assert [hit.matched[0][0] for hit in workspace.search(what) if hit.record == 0] == ["Things"], what
    assert [hit.record for hit in workspace.search("vi\u00e9re")] == [2]
    assert [hit.record for hit in workspace.search("*vi\u00e9*")] == [2]


def everything(ws: Workspace) -> Iterator[tuple[str, int, dict[str, str], dict[str, str]]]:
    """Each event: evidence, record, its fields' texts, its facts."""
    held = open_lake(ws)
    for row in held.segments():
        for batch in read_segment(held, row):
            rows = range(batch.table.num_rows)
            reader = RowReader(batch, rows)
            for number in rows:
                facts = {name: batch.table[name][number].as_py() or "" for name in ("host", "provider", "event_id")}
                facts |= {"format": batch.format, "channel": batch.channel}
                record = batch.table["record"][number].as_py() + batch.record_base
                fields = {name: cell_text(cell) for name, cell in reader.fields(number).items()}
                yield batch.evidence, record, fields, facts


def naive(ws: Workspace, test: Callable[[dict[str, str], dict[str, str]], bool]) -> list[tuple[str, int]]:
    return [(evidence, record) for evidence, record, fields, facts in everything(ws) if test(fields, facts)]


Test = Callable[[dict[str, str], dict[str, str]], bool]


def has(value: str) -> Test:
    def test(fields: dict[str, str], facts: dict[str, str]) -> bool:
        texts = [*fields.values(), facts["host"], facts["provider"], facts["event_id"]]
        return value.lower() in [text.lower() for text in texts]

    return test


@pytest.mark.parametrize(
    ("what", "test"),
    [
        ("WHOAMI /ALL", has("whoami /all")),
        ("198.51.100.3", has("198.51.100.3")),
        ("pc2.EXAMPLE", has("pc2.example")),
        ("CommandLine=run 105", lambda f, _: f.get("CommandLine") == "run 105"),
        ("commandline=run 105", lambda f, _: f.get("CommandLine") == "run 105"),
        ("CommandLine=run 10?", lambda f, _: re.fullmatch("run 10.", f.get("CommandLine", "")) is not None),
        ("*whoami*", lambda f, _: any("whoami" in text for text in f.values())),
        (r"CommandLine=*\**", lambda f, _: "*" in f.get("CommandLine", "")),
        ("CommandLine=*", lambda f, _: "CommandLine" in f),
        ("CommandLine!=*", lambda f, _: "CommandLine" not in f),
        ("EventID=4688", lambda _, facts: facts["event_id"] == "4688"),
        ("format=access and status=200", lambda f, facts: facts["format"] == "access" and f["status"] == "200"),
        (
            "Channel=security and not Computer=PC1.example",
            lambda _, x: x["channel"] != "" and x["host"] == "PC2.example",
        ),
        ("query=n=7 or CommandLine=run 107", lambda f, _: False),
        (
            'query="n=7" or CommandLine="run 107"',
            lambda f, _: f.get("query") == "n=7" or f.get("CommandLine") == "run 107",
        ),
        ("not (format=access or host=PC1*)", lambda _, x: x["host"] == "PC2.example"),
        ("evidence=*b.evtx", lambda _, x: x["host"] == "PC2.example"),
        ("nothing of the kind", lambda _f, _x: False),
    ],
)
def test_a_search_finds_what_a_look_at_every_event_finds(lake: Workspace, what: str, test: Test) -> None:
    """In the same order, with and without an index."""
    expected = naive(lake, test) if " or CommandLine=run" not in what else None
    if expected is None:  # blanks without quotes beside an operator
        with pytest.raises(InputError, match="side by side"):
            lake.search(what)
        return
    shutil.rmtree(lake.folder / "cache", ignore_errors=True)
    with lake.writing():  # another process writes: the index can't be made
        assert [(hit.evidence, hit.record) for hit in lake.search(what)] == expected
    found = lake.search(what)
    assert [(hit.evidence, hit.record) for hit in found] == expected
    assert found.went.unindexed == 0


def test_a_hit_holds_all_there_is_of_its_event(lake: Workspace) -> None:
    """Fields, facts, place, and by what it was found."""
    (hit,) = lake.search("CommandLine=run 105")
    assert (hit.record, hit.host, hit.format, hit.channel) == (5, "PC2.example", "windows", "Security")
    assert (hit.event_id, hit.record_id, hit.provider) == ("4688", 105, "Microsoft-Windows-Security-Auditing")
    assert hit.fields["SubjectUserName"] == "agim"
    assert hit.matched == (("CommandLine", "run 105"),)
    assert (hit.time, bool(hit.offset), len(hit.event)) == (1657878300000000, True, 32)


def test_the_index_keeps_segments_out(lake: Workspace) -> None:
    """Only the one that holds the value is looked into."""
    found = lake.search("run 105")
    assert len(list(found)) == 1
    assert (found.went.read, found.went.segments) == (1, 3)


def test_limits_of_time_host_and_number(lake: Workspace) -> None:
    """From `since` to before `until`; hosts in any case; `more` says that the limit cut."""
    since = datetime.fromisoformat(moment(10))
    until = datetime.fromisoformat(moment(20))
    assert [hit.record_id for hit in lake.search("agim", since=since, until=until)] == list(range(10, 20))
    for name in ("pc2.example", "PC2"):
        assert {hit.host for hit in lake.search("agim", hosts=[name])} == {"PC2.example"}
    assert not list(lake.search("agim", hosts=["pc3"]))
    some = lake.search("agim", limit=7)
    assert (len(list(some)), some.more) == (7, True)
    whole = lake.search("run 105", limit=1)
    assert (len(list(whole)), whole.more) == (1, False)


def test_exact_means_every_letter(lake: Workspace) -> None:
    """Case counts, and a star is a star."""
    assert not list(lake.search("AGIM", exact=True))
    assert len(list(lake.search("agim", exact=True))) == 69
    assert len(list(lake.search('CommandLine=cmd /c "echo *"', exact=True))) == 13
    assert not list(lake.search("CommandLine=cmd*", exact=True))


def test_a_pattern_of_wildcards_takes_linear_time_or_is_refused(lake: Workspace) -> None:
    """With a word on what to do."""
    with pytest.raises(InputError, match="more than 100 wildcards"):
        lake.search("*a" * 101)
    assert not list(lake.search("*a" * 100 + "b" * 40_000))


def test_fields_and_sources_say_what_is_there(lake: Workspace) -> None:
    """Counts, spans, examples; and the register with every source."""
    rows = {(row.format, row.channel, row.field): row for row in lake.fields()}
    line = rows["windows", "Security", "CommandLine"]
    assert (line.events, line.distinct, line.exact, line.kind) == (69, 32, True, "s")
    assert line.example == "whoami /all"
    assert rows["windows", "Security", "host"].distinct == 2
    assert rows["access", "", "status"].events == 120
    names = [Path(row.facts.path).name for row in lake.sources()]
    assert names == ["a.evtx", "b.evtx", "web.log"]


def test_fields_are_whole_without_a_sound_index(lake: Workspace) -> None:
    """While another process writes, and where a part is damaged: the segments are read themselves."""
    whole = lake.fields()
    shutil.rmtree(lake.folder / "cache")
    with lake.writing():
        assert lake.fields() == whole
    lake.index()
    for part in (lake.folder / "cache" / "index").iterdir():
        data = bytearray(part.read_bytes())
        data[50] ^= 1
        part.write_bytes(data)
    assert lake.fields() == whole
    lake.index()


def test_a_rebuild_proves_the_index(lake: Workspace) -> None:
    """The same digest before and after; a damaged one differs, and is mended."""
    lake.index()
    done = lake.rebuild_index()
    assert done.whole
    assert done.same
    part = next((lake.folder / "cache" / "index").iterdir())
    data = bytearray(part.read_bytes())
    data[30] ^= 1
    part.write_bytes(data)
    assert not lake.rebuild_index().same
    assert lake.rebuild_index().same


def test_the_index_is_outside_verify(lake: Workspace) -> None:
    """It is a cache: damage to it is no fault of the evidence."""
    lake.index()
    part = next((lake.folder / "cache" / "index").iterdir())
    part.write_bytes(b"")
    assert not lake.verify().faults
    assert len(list(lake.search("run 105"))) == 1


# --------------------------------------------------------------------------------------------------------- SQL


def test_sql_answers_over_all_views(lake: Workspace) -> None:
    """Events join with their segments and sources."""
    pytest.importorskip("duckdb")
    with lake.sql("select format, count(*) as n, min(time) as first from events group by 1 order by 1") as answer:
        assert answer.columns == ("format", "n", "first")
        assert list(answer) == [("access", 120, "2022-07-15T10:00:00Z"), ("windows", 69, "2022-07-15T08:01:00Z")]
    query = """
        select s.evidence, e.record + s.record_base, e."CommandLine|s" from events e join segments s using (segment)
        where e.record_id = 105"""
    with lake.sql(query) as answer:
        assert [(Path(row[0]).name, *row[1:]) for row in answer] == [("b.evtx", 5, "run 105")]
    with lake.sql("select (select count(*) from sources), (select sum(events) from coverage)") as answer:
        assert list(answer) == [(3, 189)]


@pytest.mark.parametrize(
    "query",
    [
        "select * from read_csv('{file}')",
        "select * from read_text('{file}')",
        "select * from '{file}'",
        "select * from glob('/*')",
        "copy (select 1) to '{file}.out'",
        "attach '{file}.db'",
        "export database '{file}.folder'",
        "install httpfs",
        "load httpfs",
        "set enable_external_access = true",
        "set memory_limit = '100GB'",
        "select * from connection",
        "select * from 'https://example.org/a.csv'",
        "selekt",
        "",
    ],
)
def test_sql_reads_and_writes_nothing_else(lake: Workspace, tmp_path: Path, query: str) -> None:
    """No file, network, extension, setting or variable of ours."""
    pytest.importorskip("duckdb")
    file = tmp_path / "secret.csv"
    file.write_text("a,b\n1,2\n")
    with pytest.raises(InputError), lake.sql(query.format(file=file)) as answer:
        assert not list(answer)
    assert [path.name for path in tmp_path.iterdir()] == ["secret.csv"]


def test_sql_that_needs_too_much_memory_says_so(lake: Workspace) -> None:
    """It ends with advice, and the process lives on."""
    pytest.importorskip("duckdb")
    with pytest.raises(InputError, match="--memory"):
        lake.sql("select list(a.range) from range(40000000) a", memory="20MB")
    with pytest.raises(InputError, match="--memory a size"):
        lake.sql("select 1", memory="much")


def test_without_duckdb_the_extra_is_named(lake: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """How to install it."""
    monkeypatch.setitem(__import__("sys").modules, "duckdb", None)
    with pytest.raises(WorkspaceError, match=r"aleat\[sql\]"):
        lake.sql("select 1")


# ---------------------------------------------------------------------------------------------------- coverage


def test_a_record_that_was_taken_out_is_in_coverage(tmp_path: Path, workspace: Workspace) -> None:
    """From EVTX to the case's findings, and what was worked out is kept."""
    events = [process(n) for n in range(1, 80) if n != 50]
    cleared = Event(
        record_id=80,
        event_id=1102,
        provider="Microsoft-Windows-Eventlog",
        computer="pc1.example",
        time=moment(80),
        user_data=("LogFileCleared", [("SubjectUserName", "eve")]),
    )
    (tmp_path / "a.evtx").write_bytes(evtx_bytes(events[:40], [*events[40:], cleared]))
    workspace.add_evidence(tmp_path / "a.evtx")
    for _ in range(2):
        missing, cleared_finding = workspace.build_case().case.log_findings
        assert (missing.kind, missing.count, missing.parameters["from"]) == ("records-missing", 1, "50")
        assert missing.refs[0].sha256
        assert [hit.record for hit in islice(workspace.search("EventRecordID=49"), 2)] == [missing.refs[0].record]
        assert (cleared_finding.kind, cleared_finding.parameters) == ("log-cleared", {"by": "eve"})


def test_the_small_case_has_no_findings_of_its_logs(built: Built) -> None:
    """Logs that are as they should be raise no question."""
    with built.open() as ws:
        case = ws.build_case().case
    assert case.log_findings == ()
    assert json.dumps([row.active_hours for row in case.coverage])
