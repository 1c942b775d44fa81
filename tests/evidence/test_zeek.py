"""Zeek's logs: tables and JSON of one capture give the same events; nothing of the real ones is lost."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from aleat.evidence.headed import MAX_HEADERS
from aleat.evidence.reader import ReadOptions
from tests.evidence.reading import events_of, issues_of, read_bytes

TABLE = b"""#separator \\x09
#set_separator\t,
#empty_field\t(empty)
#unset_field\t-
#path\t%(path)s
#fields\t%(fields)s
#types\t%(types)s
%(rows)s
"""


def as_json(table: bytes) -> bytes:
    """What Zeek's own JSON writer gives for a table (one header), by the types it states."""
    header: dict[bytes, list[bytes]] = {}
    out = []
    for line in table.splitlines():
        if line.startswith(b"#"):
            name, *values = line[1:].split(b"\t")
            header[name] = values
            continue
        names, types = header[b"fields"], header[b"types"]
        row: dict[str, Any] = {"_path": header[b"path"][0].decode()}
        for name, kind, value in zip(names, types, line.split(b"\t"), strict=True):
            if value != b"-":
                row[name.decode()] = json_value(kind.decode(), value)
        out.append(orjson.dumps(row))
    return b"\n".join(out) + b"\n"


def json_value(kind: str, value: bytes) -> Any:
    if kind.startswith(("set[", "vector[")):
        inner = kind.partition("[")[2].rstrip("]")
        return [] if value == b"(empty)" else [json_value(inner, item) for item in value.split(b",")]
    if kind in ("count", "int", "port"):
        return int(value)
    if kind in ("time", "interval", "double"):
        return float(value)
    if kind == "bool":
        return value == b"T"
    return (
        ""
        if value == b"(empty)"
        else value.decode("unicode_escape").encode("latin-1").decode("utf-8", "backslashreplace")
    )


def told(data: bytes) -> list[dict[str, Any]]:
    """Events without where they stand, and without what only one way of writing has."""
    events = events_of(read_bytes(data))
    for event in events:
        for name in ("offset", "time_text", "record"):
            del event[name]
        for part in ("fields", "kinds"):
            event[part] = {name: value for name, value in event[part].items() if name not in ("ts", "_path")}
    return events


def table(path: str, fields: str, types: str, *rows: str) -> bytes:
    parts = {"path": path, "fields": fields, "types": types, "rows": "\n".join(rows)}
    return TABLE % {name.encode(): text.replace(" ", "\t").encode() for name, text in parts.items()}


def test_tables_and_json_give_the_same_events() -> None:
    data = table(
        "conn",
        "ts uid id.orig_h id.orig_p id.resp_h id.resp_p duration local_orig tunnel_parents history",
        "time string addr port addr port interval bool set[string] string",
        "1657872001.500000 C1 10.0.0.1 1 10.0.0.2 443 0.000001 T (empty) (empty)",
        "1657872002.000000 C2 10.0.0.1 0 10.0.0.2 53 - - a,b Dd\\xc3\\xab",
    )
    assert told(data) == told(as_json(data))
    assert told(data)[1]["fields"]["history"] == "Dd\u00eb"


def test_a_header_may_change_and_a_torn_line_is_named() -> None:
    first = table("conn", "ts uid", "time string", "1657872001.5 C1", "1657872002.5")
    second = table("dns", "ts uid query", "time string string", "1657872003.5 C2 x.example")
    for size in (40, 200, 10_000):
        results = read_bytes(first + second, options=ReadOptions(range_bytes=size))
        assert [event["channel"] for event in events_of(results)] == ["conn", "dns"]
        (issue,) = issues_of(results)
        assert (issue.code, issue.place.line) == ("broken-line", 9)
        assert "1 values where 2 are named" in issue.reason


def test_rows_before_any_header_are_named() -> None:
    results = read_bytes(b"#separator \\x09\n1657872001.5\tC1\n")
    assert [issue.reason for issue in issues_of(results)] == ["There is no #fields line before it."]


def zeek_members(folder: Path) -> Iterator[tuple[str, bytes]]:
    for archive in sorted((folder / "logs" / "security-datasets").rglob("*.zip")):
        with zipfile.ZipFile(archive) as opened:
            for name in sorted(opened.namelist()):
                if name.endswith(".log") and "__MACOSX" not in name and "zeek" in archive.name:
                    yield f"{archive.name}!{name}", opened.read(name)


@pytest.mark.data
def test_every_record_of_real_logs_is_an_event(test_data: Path) -> None:
    events = 0
    for name, data in zeek_members(test_data):
        results = read_bytes(data, name)
        wanted = sum(1 for line in io.BytesIO(data) if not line.startswith(b"#"))
        assert (len(events_of(results)), issues_of(results)) == (wanted, []), name
        events += wanted
    assert events == 8973


@pytest.mark.data
def test_real_tables_give_the_events_of_their_json(test_data: Path) -> None:
    tables = [(name, data) for name, data in zeek_members(test_data) if data.startswith(b"#separator")]
    assert len(tables) == 46
    for name, data in tables:
        assert told(data) == told(as_json(data)), name


def test_headers_at_every_line_are_read_as_one_would_be() -> None:
    rows = [f"165787200{number}.5 C{number}" for number in range(9)]
    whole = table("conn", "ts uid", "time string", *rows)
    torn = b"".join(table("conn", "ts uid", "time string", row) for row in rows)
    assert told(torn) == told(whole)


def test_lines_under_too_many_headers_are_named() -> None:
    data = b"".join(
        table("conn", f"ts uid field{number}", "time string string", f"1657872001.5 C{number} x")
        for number in range(MAX_HEADERS + 3)
    )
    results = read_bytes(data)
    assert len(events_of(results)) == MAX_HEADERS
    assert [issue.reason for issue in issues_of(results)] == [
        f"It stands under more than {MAX_HEADERS} headers (limit: headers)."
    ] * 3
