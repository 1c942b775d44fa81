"""Logs that no format knows: what is proposed of them, and how they are read once somebody confirms it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from aleat.errors import InputError, Issue
from aleat.evidence import ReadOptions, open_sources, read_batches
from aleat.evidence.head import Head
from aleat.evidence.mapping import formats_of_mappings, mapping_of_file, mapping_of_flag, mapping_of_json
from aleat.evidence.proposal import proposal
from aleat.evidence.reader import reader_named
from aleat.formats import all_formats, formats_of_texts, part_digest, stated_formats, stated_key, stated_texts
from aleat.hunt.expression import Field
from aleat.hunt.plan import LogSource
from aleat.hunt.stix_paths import event_objects
from aleat.hunt.taxonomy import load_taxonomy, taxonomy_digest

TABLE = """when;machine;who;what;amount
15.07.2022 10:00:01;SRV1;Agim Hoxha;"cmd.exe; whoami";1.234,5
16.07.2022 10:00:02;SRV2;Ana;notepad;12
"""
JSON = '{"ts": 1657872001.25, "dev": {"name": "SRV1"}, "cmd": "whoami"}\n{"ts": 1657872002, "dev": {"name": "SRV2"}}\n'
FILE = """
format = "myapp"
[[read]]
layout = "delimited"
header = [["when", "machine", "what"]]
time = { fields = ["when"], formats = ["%d.%m.%Y %H:%M:%S"], zone = "Europe/Tirane" }
host = ["machine"]
numbers = ["amount"]
decimal = ","
[[sigma]]
name = "myapp"
category = ["process_creation"]
needs = ["category"]
[sigma.fields]
CommandLine = "what"
[[stix]]
type = "process"
command_line = "what"
"""


def read(
    folder: Path, data: str | bytes, *mappings: str, name: str = "log.csv"
) -> tuple[list[dict[str, object]], list[Issue]]:
    """Rows of everything in a file, without absent cells, and the issues."""
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    rows: list[dict[str, object]] = []
    issues: list[Issue] = []
    for source in open_sources([path], options=ReadOptions(mappings=mappings)):
        if isinstance(source, Issue):
            issues.append(source)
            continue
        for batch in read_batches(source, issues):
            for row in batch.table.to_pylist():
                rows.append({"format": batch.format} | {key: value for key, value in row.items() if value is not None})
    return rows, issues


def test_nothing_is_read_without_a_mapping_and_the_flag_is_shown(tmp_path: Path) -> None:
    rows, (issue,) = read(tmp_path, TABLE)
    assert rows == []
    assert issue.code == "no-reader"
    assert "--map 'time=when,host=machine,time-format=%d.%m.%Y %H:%M:%S,format=myapp'" in issue.advice
    assert "--log-zone" in issue.advice


def test_the_flag_that_is_shown_reads_the_file(tmp_path: Path) -> None:
    _, (issue,) = read(tmp_path, TABLE)
    flag = issue.advice.split("--map '", 1)[1].split("'", 1)[0]
    rows, issues = read(tmp_path, TABLE, mapping_of_flag(f"{flag},zone=+02:00"))
    assert [item.code for item in issues if item.code != "zone-stated"] == []
    assert [(row["format"], row["host"], str(row["time"])) for row in rows] == [
        ("myapp", "SRV1", "2022-07-15 08:00:01+00:00"),
        ("myapp", "SRV2", "2022-07-16 08:00:02+00:00"),
    ]
    assert rows[0]["what|s"] == "cmd.exe; whoami"


def test_one_flag_reads_tables_and_json(tmp_path: Path) -> None:
    mapping = mapping_of_flag("time=ts,host=dev.name")
    rows, issues = read(tmp_path, JSON, mapping, name="log.json")
    assert issues == []
    assert [(row["format"], row["host"]) for row in rows] == [("other", "SRV1"), ("other", "SRV2")]
    wrapped = json.dumps({"_source": {"ts": 1657872001, "dev": {"name": "SRV3"}}})
    rows, _ = read(tmp_path, wrapped, mapping, name="log.json")
    assert rows[0]["host"] == "SRV3"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_mapping_file_reads_semicolons_and_decimal_commas_in_any_encoding(tmp_path: Path, encoding: str) -> None:
    rows, issues = read(tmp_path, TABLE.encode(encoding), mapping_of_file(FILE.encode(), "m.toml"))
    assert issues == []
    assert [str(row["time"]) for row in rows] == ["2022-07-15 08:00:01+00:00", "2022-07-16 08:00:02+00:00"]
    assert rows[0]["amount|f"] == "1234.5"
    assert rows[1]["amount|i"] == "12"


def test_two_columns_can_be_one_time(tmp_path: Path) -> None:
    text = "date,time,host,x\n2022-07-15,08:00:01,SRV1,a\n2022-07-15,08:00:02,SRV1,b\n"
    issue = proposal(Head(text.encode(), "log.csv"))
    assert issue is not None
    assert "--map 'time=date+time,host=host,format=myapp'" in issue.advice
    rows, _ = read(tmp_path, text, mapping_of_flag("time=date+time,host=host,zone=UTC"))
    assert str(rows[0]["time"]) == "2022-07-15 08:00:01+00:00"


def test_lines_are_read_by_the_linear_engine_alone(tmp_path: Path) -> None:
    file = r"""
format = "myapp"
[[read]]
layout = "lines"
time = { fields = ["fact_time"], formats = ["iso"], zone = "UTC" }
host = ["machine"]
[[read.pattern]]
regex = '^(?<fact_time>\S+) (?<machine>\S+): (?<text>.*)$'
"""
    rows, issues = read(tmp_path, "2022-07-15T08:00:01 SRV1: hello\nbroken\n", mapping_of_file(file.encode(), "m.toml"))
    assert [row["text|s"] for row in rows] == ["hello"]
    assert [item.code for item in issues] == ["broken-line"]
    for bad in (r"regex = '(?<a>x(?=y))'", r"regex = '(?<a>(x)\1)'", "regex = '('", "regex = 'x'\nodd = 'y'"):
        with pytest.raises(InputError):
            mapping_of_file(file.replace(file.split("\n")[-2], bad).encode(), "m.toml")


def test_a_format_that_knows_the_file_comes_first(tmp_path: Path) -> None:
    text = '{"remote_addr":"198.51.100.7","request_uri":"/","status":200,"time":"2022-07-15T08:00:01Z"}\n'
    rows, _ = read(tmp_path, text, mapping_of_flag("time=time,host=remote_addr"), name="access.json")
    assert rows[0]["format"] == "web_json"


def test_a_mapping_that_does_not_fit_leaves_the_file_alone(tmp_path: Path) -> None:
    rows, (issue,) = read(tmp_path, TABLE, mapping_of_flag("time=ts,host=computer"))
    assert rows == []
    assert issue.code == "no-reader"


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        ("a,b\n1,2\n", None),
        ("Dear all, please find the list below\nof names, ranks\n", None),
        ("name,size\nx,1\ny,2\n" * 6, "none of its first values look like times"),
        ('{"name": "a document", "files": {"b": 1}}\n', None),
        ("\x7fELF\0\0,a,b\n1,2\n", None),
        ('{"a": 1}\n{"a": 2}\n', "none of its first values look like times"),
        ("Datum\tRechner\n15/07/2022 10:00:01\tSRV1\n", "time-format=%d/%m/%Y %H:%M:%S"),
        ("Date,Server\n7/15/2022 10:00:01 PM,SRV1\n", "time-format=%m/%d/%Y %I:%M:%S %p"),
        ("start,x\n01/02/2022 10:00:01,SRV1\n", "can't be told apart"),
        ("id,when\n1657872001,2022-07-15T08:00:01Z\n", "time=when"),
        ('[{"@timestamp":"2022-07-15T08:00:01Z","host":{"name":"SRV1"},"x":1}]', "time=@timestamp,host=host.name"),
    ],
)
def test_what_is_proposed(data: str, shown: str | None) -> None:
    issue = proposal(Head(data.encode(), "log"))
    assert (issue is None) == (shown is None)
    if issue is not None and shown is not None:
        assert shown in f"{issue.reason} {issue.advice}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "host=a",
        "time=",
        "time=a,format=IIS!",
        "time=a,format=iis",
        "time=a,zone=Nowhere/Land",
        "time=a,time-format=%H:%M",
        "tim=a",
        "time=a,separator=ab",
    ],
)
def test_flags_that_can_not_be_used_are_refused(text: str) -> None:
    with pytest.raises(InputError) as error:
        mapping_of_flag(text)
    assert error.value.advice


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('format = "myapp"', ""),
        ('layout = "delimited"', 'layout = "evtx"'),
        ('header = [["when", "machine", "what"]]', ""),
        ('header = [["when", "machine", "what"]]', "header = 5"),
        ('host = ["machine"]', "host = 5"),
        ('host = ["machine"]', 'detect = ["(a+)+$"]'),
        ("decimal", "embed"),
        ("[[stix]]", "[[stix]"),
        ("Europe/Tirane", "Nowhere"),
        ("%H:%M", "%M"),
    ],
)
def test_files_that_can_not_be_used_are_refused_by_name(old: str, new: str) -> None:
    assert old in FILE
    with pytest.raises(InputError) as error:
        mapping_of_file(FILE.replace(old, new, 1).encode(), "m.toml")
    assert error.value.place is not None
    assert error.value.place.path == "m.toml"


def test_a_mapping_is_part_of_a_segments_name_and_only_of_those_that_it_reads(tmp_path: Path) -> None:
    mapping = mapping_of_file(FILE.encode(), "m.toml")
    path = tmp_path / "log.csv"
    path.write_text(TABLE)
    (source,) = open_sources([path], options=ReadOptions(mappings=(mapping,)))
    assert not isinstance(source, Issue)
    assert "mapping" in source.options.canonical()
    assert "sigma" not in source.options.canonical()["mapping"]
    assert "mapping" not in ReadOptions(mappings=(mapping,)).canonical()


def test_stated_formats_count_within_and_nowhere_else() -> None:
    formats = formats_of_mappings([mapping_of_file(FILE.encode(), "m.toml")])
    before = (taxonomy_digest(), part_digest("stix"), len(event_objects()))
    source = LogSource(category="process_creation")
    with stated_formats(formats):
        assert all_formats()[-1].name == "myapp"
        (variant,) = [item for item in load_taxonomy().variants(source) if item.format == "myapp"]
        assert variant.subjects("CommandLine") == (Field("what"),)
        assert taxonomy_digest() != before[0]
        assert len(event_objects()) == before[2] + 1
        assert [item.stix for item in formats_of_texts(stated_texts())] == [item.stix for item in formats]
    assert (taxonomy_digest(), part_digest("stix"), len(event_objects())) == before
    assert stated_key() == ""
    assert not [item for item in load_taxonomy().variants(source) if item.format == "myapp"]


def test_json_of_a_mapping_is_read_again() -> None:
    text = mapping_of_file(FILE.encode(), "m.toml")
    assert mapping_of_json(text.encode(), "m.json") == text
    for bad in ("", "[]", "{", "{}", "5"):
        with pytest.raises(InputError):
            mapping_of_json(bad.encode(), "m.json")


def test_a_log_stores_export_gives_the_events_of_the_original(tmp_path: Path) -> None:
    """A line by itself, and the same one in Splunk's and Elastic's exports: the same fields, beside the store's own."""
    line = '198.51.100.7 - - [15/Jul/2022:08:00:01 +0000] "GET /a?b=1 HTTP/1.1" 200 512 "-" "curl/7.81"'
    splunk = json.dumps({"result": {"_raw": line, "_time": "2022-07-15T10:00:01+02:00", "host": "web1"}})
    elastic = json.dumps(
        {
            "_source": {
                "message": line,
                "log": {"file": {"path": "/x"}},
                "agent": {"type": "filebeat"},
                "@timestamp": "x",
            }
        }
    )
    (plain,), _ = read(tmp_path, line + "\n", name="access.log")
    for text in (splunk, elastic):
        (row,), issues = read(tmp_path, text, name="export.json")
        assert issues == []
        added = {name for name in row if name.startswith("export.")}
        assert added
        assert {name: value for name, value in row.items() if name not in added | {"host"}} == plain


@pytest.mark.data
def test_the_real_log_of_jira_is_read_line_by_line(test_data: Path) -> None:
    path = test_data / "logs" / "plaso" / "jira_access.log"
    (source,) = open_sources([path])
    assert not isinstance(source, Issue)
    issues: list[Issue] = []
    rows = [row for batch in read_batches(source, issues) for row in batch.table.to_pylist()]
    assert issues == []
    assert len(rows) == len(path.read_text().splitlines())
    assert [row["remote_host|s"] for row in rows][:2] == ["192.168.1.10", "192.168.1.11"]


@pytest.mark.parametrize("range_bytes", [2**20, 40])
def test_lines_of_a_table_whose_header_is_damaged_are_named(range_bytes: int) -> None:
    """They were passed over without a word, as if each stood before the header."""
    data = b"RunTime,Execu\rtableName\n" + b"2022-07-15 08:00:01,CMD.EXE\n" * 5
    reader, options = reader_named("pecmd-timeline"), ReadOptions(range_bytes=range_bytes)
    results = [reader.read(piece, span, "x", options) for span, piece in reader.cut(io.BytesIO(data), data, options)]
    assert sum(result.events for result in results) == 0
    assert sum(len(result.issues) for result in results) == 6
