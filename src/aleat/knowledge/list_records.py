"""Lists as JSON: what of a document is the list, and its records as a table. No meaning yet.

Shapes, the first that fits: a list of texts; a list of records; records by their number (``{"1": [{…}]}``, as dumps of
abuse.ch are); one list among other members (``{"data": […]}``, ``{"indicators": […]}``); values as the names of members
(``{"evil.example": {…}}``); one record alone. A record's own members are columns, those of objects within it too
(``file.sha256``); lists of texts are joined. A list of values within a record is opened: its values stand with the
record's other members, and so do the members beside a list.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from aleat.knowledge.list_table import Column, ListTable, column_role
from aleat.knowledge.values import classify_values

__all__ = ["JsonList", "find_list", "records_table"]

_DEPTH = 6
_MOST_COLUMNS = 256
_CELL = 4_096  # characters that are taken of a cell beside the values
_BESIDE = 32  # members beside a list that are taken as its context
_BLOCK = 50_000
_MEMBERS = (
    "indicators",
    "iocs",
    "ioc",
    "observables",
    "data",
    "results",
    "urls",
    "items",
    "values",
    "entries",
    "objects",
)
_URL_PARTS = {"host", "hostname", "domain"}


@dataclass(slots=True)
class JsonList:
    """What a document's list is: records (or texts), and the texts beside the list by their names."""

    records: list[Any]
    beside: dict[str, str] = field(default_factory=dict)


def find_list(content: Any) -> JsonList | None:
    """Return the list in a parsed document; None where it holds none."""
    if isinstance(content, list) and content:
        return JsonList(content)
    return _list_in(content) if isinstance(content, dict) and content else None


def _list_in(content: dict[str, Any]) -> JsonList:
    members = list(content.values())
    if all(isinstance(member, list | dict) for member in members) and all(key.isdigit() for key in content):
        rows = [
            {"id": key, **row} if isinstance(row, dict) else row
            for key, member in content.items()
            for row in (member if isinstance(member, list) else [member])
        ]
        return JsonList(rows)
    lists = {key: member for key, member in content.items() if isinstance(member, list) and member}
    named = sorted((key for key in lists if key.lower() in _MEMBERS), key=lambda key: _MEMBERS.index(key.lower()))
    if not named:
        named = [key for key, member in lists.items() if all(isinstance(row, dict) for row in member)]
    if named:
        beside = {key: text for key, member in content.items() if key != named[0] and (text := _cell(member))}
        return JsonList(lists[named[0]], dict(list(beside.items())[:_BESIDE]))
    for key, member in content.items():  # {"response": {"data": […]}}
        if isinstance(member, dict) and any(name.lower() in _MEMBERS and member[name] for name in member):
            inner = find_list(member)
            if inner is not None:
                return JsonList(inner.records, {**inner.beside, **_texts_beside(content, key)})
    keys = pl.Series(list(content)[:500], dtype=pl.String)
    if 2 * int((classify_values(keys)["type"] != "").sum()) >= len(keys):
        rows = [{"value": key, **(row if isinstance(row, dict) else {"comment": row})} for key, row in content.items()]
        return JsonList(rows)
    return JsonList([content])


def _texts_beside(content: dict[str, Any], left_out: str) -> dict[str, str]:
    return {key: text for key, member in content.items() if key != left_out and (text := _cell(member))}


def records_table(records: Iterable[tuple[int, Any]]) -> Iterator[ListTable]:
    """Yield (line, record) as tables, block by block; a record that is a text is one value."""
    rows: list[dict[str, str]] = []
    lines: list[int] = []
    for line, record in records:
        for row in _rows(record):
            if not row:
                continue
            rows.append(row)
            lines.append(line)
        if len(rows) >= _BLOCK:
            yield _table(rows, lines)
            rows, lines = [], []
    yield _table(rows, lines)


def _rows(record: Any) -> Iterator[dict[str, str]]:
    """Yield a record's rows: one, or one for each value of a list of values within it."""
    if not isinstance(record, dict):
        text = _cell(record)
        if text:
            yield {"value": text}
        return
    cells: dict[str, str] = {}
    opened: list[tuple[str, list[Any]]] = []
    _flatten(record, "", cells, opened, 0)
    if not opened:
        yield cells
        return
    if any(_role(name) not in ("context", "type", "marking") for name in cells):
        yield cells
    for name, members in opened:
        context = {key: text for key, text in cells.items() if _role(key) in ("context", "marking")}
        for member in members:
            if isinstance(member, dict):
                yield from ({**context, **row} for row in _rows(member))
            elif text := _cell(member):
                yield {**context, name if _role(name) not in ("context", "type", "marking") else "value": text}


def _flatten(
    record: dict[str, Any], prefix: str, cells: dict[str, str], opened: list[tuple[str, list[Any]]], depth: int
) -> None:
    for key, member in record.items():
        name = f"{prefix}{key}"[:200]
        if len(cells) >= _MOST_COLUMNS:
            return
        if isinstance(member, dict) and depth < _DEPTH:
            _flatten(member, f"{name}.", cells, opened, depth + 1)
        elif isinstance(member, list) and member and _holds_values(key, member):
            opened.append((name, member))
        elif text := _cell(member):
            cells[name] = text


def _holds_values(key: str, members: list[Any]) -> bool:
    """Say whether a list within a record is one of values: by its name."""
    if all(isinstance(member, dict) for member in members):
        return key.lower() in _MEMBERS
    return _role(key) not in ("context", "type", "marking") and len(members) > 1


def _role(name: str) -> str:
    role = column_role(name)
    return role if role != "context" else column_role(name.rpartition(".")[2])


def _cell(member: Any) -> str:
    """Return a member as a cell's text."""
    if member is None or member == "":
        return ""
    if isinstance(member, str):
        return " ".join(member[:_CELL].split())
    if isinstance(member, bool):
        return "true" if member else "false"
    if isinstance(member, int | float):
        return str(member)
    if isinstance(member, list):
        return ", ".join(text for item in member[:100] if not isinstance(item, dict) and (text := _cell(item)))[:_CELL]
    return ""


def _table(rows: list[dict[str, str]], lines: list[int]) -> ListTable:
    names = list(dict.fromkeys(name for row in rows for name in row))
    kept = names[:_MOST_COLUMNS]
    has_url = any(_role(name) == "url" for name in kept)
    columns = []
    for name in kept:
        role = "context" if has_url and name.lower() in _URL_PARTS else _role(name)
        cells = pl.Series([row.get(name, "") for row in rows], dtype=pl.String).str.strip_chars()
        columns.append(Column(name, cells, role))
    if not columns:
        columns.append(Column("value", pl.Series([], dtype=pl.String), "value"))
    return ListTable(tuple(columns), pl.Series(lines, dtype=pl.Int64), True)
