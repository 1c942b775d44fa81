"""Indicator lists in spreadsheets (.xlsx, .xlsm, .xlsb, .xls, .ods): each sheet is a list like any other.

A sheet's header is the first of its first rows that names a column of values, with two cells at least where rows have
as many; what stands above (titles, often in merged cells) belongs to no row, and is told in the list's description. A
sheet without a header is read as lines of values. A sheet in which nothing has a type that is known is named.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import polars as pl

from aleat.errors import Issue, LimitError, Place
from aleat.knowledge.document import Document
from aleat.knowledge.items import KnowledgeItem
from aleat.knowledge.limits import Limits
from aleat.knowledge.list_items import collect_tables, list_items, stated_labels
from aleat.knowledge.list_table import Column, ListTable, column_role
from aleat.knowledge.sheet_process import Sheet
from aleat.knowledge.sheets import has_macros, read_sheets

__all__ = ["detect", "read"]

_STAGE = "knowledge"
_SUFFIXES = {".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"}
_SIGNS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
_HEAD_ROWS = 40
_MOST_COLUMNS = 256
_TITLE = 300  # characters


def detect(document: Document) -> bool:
    """Tell whether a document is called a spreadsheet, and begins as one."""
    return document.suffix in _SUFFIXES and document.head.startswith(_SIGNS)


def read(document: Document, limits: Limits) -> Iterator[KnowledgeItem | Issue]:
    """Yield the lists of all sheets, and issues for what isn't in them."""
    place = Place(document.path)
    if document.size > limits.list_bytes:
        raise LimitError(f"The spreadsheet is larger than {limits.list_bytes} bytes (list_bytes).", place)
    data = document.read()
    sheets = read_sheets(data, document.path, limits)
    if has_macros(data):
        yield Issue(_STAGE, "macros", place, "The spreadsheet has macros; they are not looked at.")
    single = sum(bool(sheet.rows) for sheet in sheets) == 1
    for sheet in sheets:
        if not sheet.rows:
            continue
        name = document.name if single else f"{document.name}: {sheet.name}"
        table, title = _table(sheet)
        classifier, collector = collect_tables(partial(_one, table), name, limits.list_entries, document.path)
        found = 0
        beside = {"title": title} if title else None
        for item in list_items(document, name, classifier, collector, stated_labels(title), beside):
            found += isinstance(item, KnowledgeItem)
            yield item
        if not found:
            reason = f"The sheet {sheet.name[:60]!r} holds no values of a type that is known."
            yield Issue(_STAGE, "empty", place, reason)


def _one(table: ListTable) -> Iterator[ListTable]:
    yield table


def _table(sheet: Sheet) -> tuple[ListTable, str]:
    """Return a sheet as a table, and what stands above its header."""
    at = _header_row(sheet)
    rows = sheet.rows if at is None else sheet.rows[at + 1 :]
    numbers = sheet.numbers if at is None else sheet.numbers[at + 1 :]
    width = min(max((len(row) for row in sheet.rows), default=1), _MOST_COLUMNS)
    names = [f"column {place + 1}" for place in range(width)]
    if at is not None:
        names = [name or names[place] for place, name in enumerate(_padded(sheet.rows[at], width))]
    columns = []
    for place, name in enumerate(names):
        cells = pl.Series([row[place] if place < len(row) else "" for row in rows], dtype=pl.String)
        columns.append(Column(" ".join(name.split()), cells.str.strip_chars(), column_role(name)))
    title = ""
    if at is not None:
        title = " / ".join(" ".join(cell.split()) for row in sheet.rows[:at] for cell in row if cell)[:_TITLE]
    return ListTable(tuple(columns), pl.Series(numbers, dtype=pl.Int64), at is not None), title


def _padded(row: list[str], width: int) -> list[str]:
    return [*row[:width], *([""] * (width - len(row)))]


def _header_row(sheet: Sheet) -> int | None:
    """Return the place of the row that names the columns."""
    widths = sorted(sum(bool(cell) for cell in row) for row in sheet.rows)
    usual = widths[len(widths) // 2]
    for at, row in enumerate(sheet.rows[:_HEAD_ROWS]):
        filled = [cell for cell in row if cell]
        named = [cell for cell in filled if column_role(cell) not in ("context", "type", "marking")]
        if named and len(filled) >= min(usual, 2):
            return at
    return None
