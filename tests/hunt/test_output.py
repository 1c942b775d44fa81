"""Sightings as text, JSON, JSON lines, CSV and Parquet."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, timedelta, timezone
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aleat.hunt.indicator import Part, Sighting
from aleat.hunt.output import FORMATS, escape_cell, format_time, open_writer, sighting_line
from aleat.text import visible

SIGHTING = Sighting(
    indicator="4f3c",
    title="Web shell",
    level="high",
    author="Arta Hoxha",
    evidence="logs/web01/Security.evtx",
    record=812,
    offset=4096,
    event="fc91",
    time=1_657_900_000_123_456,
    host="WEB01",
    fields={"CommandLine": "cmd /c whoami", "ProcessId": 4, "Empty": None, "List": ["ë", 1]},
    source="cert-x",
    ref="indicator--1",
    channel="Security",
    event_id="4688",
)


def written(format: str, *sightings: Sighting, **shown: Any) -> bytes:
    stream = io.BytesIO()
    with open_writer(format, stream, **shown) as writer:
        for sighting in sightings:
            writer.write(sighting)
    return stream.getvalue()


def test_a_json_line_has_the_promised_keys_in_the_promised_order() -> None:
    assert sighting_line(SIGHTING).decode() == (
        '{"indicator":"4f3c","title":"Web shell","level":"high","author":"Arta Hoxha",'
        '"evidence":"logs/web01/Security.evtx","record":812,"offset":4096,"event":"fc91",'
        '"time":"2022-07-15T15:46:40.123456Z","host":"WEB01",'
        '"fields":{"CommandLine":"cmd /c whoami","ProcessId":4,"Empty":null,"List":["ë",1]},'
        '"source":"cert-x","hidden_by":null,"parts":null}'
    )


def test_parts_are_written_with_their_places() -> None:
    part = Part("a.evtx", "s", 1, 2, "e", None)
    line = json.loads(sighting_line(msgspec.structs.replace(SIGHTING, parts=(part,), time=None)))
    assert line["time"] is None
    assert line["parts"] == [{"evidence": "a.evtx", "record": 1, "offset": 2, "event": "e", "time": None}]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_every_format_holds_every_sighting(count: int) -> None:
    rows = [msgspec.structs.replace(SIGHTING, record=number) for number in range(count)]
    assert [json.loads(line)["record"] for line in written("jsonl", *rows).splitlines()] == list(range(count))
    assert [row["record"] for row in json.loads(written("json", *rows))] == list(range(count))
    table = list(csv.DictReader(io.StringIO(written("csv", *rows).decode())))
    assert [int(row["record"]) for row in table] == list(range(count))
    assert pq.read_table(io.BytesIO(written("parquet", *rows)))["record"].to_pylist() == list(range(count))
    assert len(written("table", *rows).splitlines()) == count + 1


def test_an_offset_is_for_people_and_programs_get_utc() -> None:
    """Table and CSV show it; JSON and Parquet don't change."""
    part = Part("a.evtx", "s", 1, 2, "e", SIGHTING.time)
    sighting = msgspec.structs.replace(SIGHTING, parts=(part,))
    zone = timezone(timedelta(hours=5, minutes=30))
    head, line = written("table", sighting, zone=zone).decode().splitlines()
    assert head.startswith("TIME (UTC+05:30)")
    assert line.startswith("2022-07-15 21:16:40")
    (row,) = csv.DictReader(io.StringIO(written("csv", sighting, zone=zone).decode()))
    assert row["time"] == "2022-07-15T21:16:40.123456+05:30"
    assert json.loads(row["parts"])[0]["time"] == "2022-07-15T15:46:40.123456Z"
    for name in ("json", "jsonl", "parquet"):
        assert written(name, sighting, zone=zone) == written(name, sighting)
    behind = written("table", sighting, zone=timezone(-timedelta(hours=8))).decode()
    assert "TIME (UTC-08:00)" in behind
    assert "2022-07-15 07:46:40" in behind
    assert written("table", sighting, zone=UTC) == written("table", sighting)


@pytest.mark.parametrize("time", [-(2**63), 2**63 - 1, -62_135_596_800_000_000, None])
def test_a_time_that_no_offset_can_show_is_left_out(time: int | None) -> None:
    for hours in (-14, 0, 14):
        format_time(time, timezone(timedelta(hours=hours)))


def test_colours_are_for_the_tables_levels_only() -> None:
    """And never where they weren't asked for."""
    assert b"\x1b" not in written("table", SIGHTING)
    colored = written("table", SIGHTING, color=True)
    assert b"\x1b[31mhigh         \x1b[0m" in colored
    assert colored.count(b"\x1b") == 2
    assert colored.replace(b"\x1b[31m", b"").replace(b"\x1b[0m", b"") == written("table", SIGHTING)
    odd = msgspec.structs.replace(SIGHTING, title="\x1b[31mevil", level="odd")
    assert b"\x1b" not in written("table", odd, color=True)
    for name in ("json", "jsonl", "csv", "parquet"):
        assert written(name, SIGHTING, color=True) == written(name, SIGHTING)


def test_parquet_has_times_as_times_and_fields_as_json() -> None:
    (row,) = pq.read_table(io.BytesIO(written("parquet", SIGHTING))).to_pylist()
    assert row["time"].isoformat() == "2022-07-15T15:46:40.123456+00:00"
    assert json.loads(row["fields"])["ProcessId"] == 4


def test_parquet_is_written_in_blocks() -> None:
    rows = [msgspec.structs.replace(SIGHTING, record=number) for number in range(12_000)]
    file = pq.ParquetFile(io.BytesIO(written("parquet", *rows)))
    assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == [5000, 5000, 2000]


def test_the_table_shows_no_control_character_of_the_evidence() -> None:
    evil = msgspec.structs.replace(
        SIGHTING, host="\x1b[2J\x9b\u202egnp", title="a\nb\x07", evidence="x\x1b]0;t\x07.evtx"
    )
    text = written("table", evil).decode()
    assert text.count("\n") == 2
    assert not set(text) & set("\x1b\x07\x9b\u202e")
    assert r"\x1b[2J\x9b\u202egnp" in text


def test_the_table_says_which_value_of_a_list_and_what_is_hidden() -> None:
    row = msgspec.structs.replace(SIGHTING, indicator="list--1#evil.example", hidden_by="f1")
    assert "[hidden] Web shell (evil.example)" in written("table", row).decode()


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\uff1d1"])
def test_no_csv_cell_is_a_formula(text: str) -> None:
    """A leading tab or line break is written out, and is none any more."""
    row = msgspec.structs.replace(SIGHTING, host=text, title=text)
    (read,) = csv.DictReader(io.StringIO(written("csv", row).decode(), newline=""))
    assert read["host"] == read["title"] == (f"'{text}" if text.isprintable() else visible(text))
    assert escape_cell(text) == f"'{text}"
    assert escape_cell("plain") == "plain"


def test_a_csv_file_holds_no_control_character_of_the_evidence() -> None:
    """Texts show what stood there, a field's JSON says the same."""
    said = {"a": "\x1b[31m\x7f\x9b\u202e\U000e0041\n", "\u2066k": "ë"}
    evil = msgspec.structs.replace(SIGHTING, host="\x1b[2J\x9b\u202egnp", title="a\nb\x07", fields=said)
    text = written("csv", evil).decode()
    assert visible(text.replace("\r\n", "")) == text.replace("\r\n", "")
    (read,) = csv.DictReader(io.StringIO(text, newline=""))
    assert (read["host"], read["title"]) == (r"\x1b[2J\x9b\u202egnp", r"a\x0ab\x07")
    assert json.loads(read["fields"]) == said


@pytest.mark.parametrize("format", FORMATS)
def test_odd_values_are_written_all_the_same(format: str) -> None:
    fields: dict[str, Any] = {"big": 1 << 70, "half": "a\ud800b", "nan": float("nan")}
    row = msgspec.structs.replace(SIGHTING, fields=fields, host="h\ud800", time=1 << 62)
    assert written(format, row)
    if format == "jsonl":
        read = json.loads(written(format, row), parse_constant=pytest.fail)
        assert read["fields"] == {"big": 1 << 70, "half": "a\ud800b", "nan": None}


def test_times_outside_of_the_calendar_are_none() -> None:
    assert format_time(1 << 62) is None
    assert format_time(-1) == "1969-12-31T23:59:59.999999Z"


@settings(deadline=None)
@given(st.text(), st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text(), max_size=4))
def test_json_lines_come_back_as_they_were(host: str, fields: dict[str, Any]) -> None:
    line = sighting_line(msgspec.structs.replace(SIGHTING, host=host, fields=fields))
    assert b"\n" not in line
    read = json.loads(line)
    assert (read["host"], read["fields"]) == (host, fields)


@settings(deadline=None)
@given(st.text())
def test_escaped_text_holds_nothing_that_moves_or_hides(text: str) -> None:
    shown = visible(text)
    assert all(character.isprintable() or character.isspace() or ord(character) > 0xFF for character in shown)
    assert visible(shown) == shown
