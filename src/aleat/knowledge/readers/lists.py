"""Indicator lists: CSV and its kin, or one value a line. A list is one STIX indicator, its values are rows.

What has no type that is known is not hunted for, and is an issue with its lines; duplicates are counted.
Where a column carries labels (TLP, PAP), each label's rows become a list of their own, so that no row loses
or lends its label.

The indicator's STIX pattern names the digest of the rows: see the extension `list`. Its id follows from its
name and rows, so that the same list from two givers is one object with two copies.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from aleat.errors import Issue, LimitError, Place
from aleat.knowledge.document import Document
from aleat.knowledge.items import UNDATED, KnowledgeItem
from aleat.knowledge.limits import Limits
from aleat.knowledge.list_entries import classify_table, collect_entries, label_marking, list_hint
from aleat.knowledge.list_table import parse_table
from aleat.knowledge.text import decode_text
from aleat.stix.entries import entries_digest
from aleat.stix.extensions import extend
from aleat.stix.ids import content_id
from aleat.stix.objects import StixObject, make_object

__all__ = ["detect", "make_list_indicator", "read"]

_STAGE = "knowledge"
_SUFFIXES = {".csv", ".tsv", ".txt", ".ioc", ".iocs", ".lst", ".list", ""}
_LISTED_LINES = 10


def detect(document: Document) -> bool:
    """Tell whether at least half of the first values are of a known type, or the name or the header says so."""
    if document.suffix not in _SUFFIXES:
        return False
    text, _ = decode_text(document.head)
    if "\x00" in text:
        return False
    if document.size > len(document.head):
        text = text.rpartition("\n")[0]
    table = parse_table(text, document.suffix, line_characters=len(text) + 1)
    rows = classify_table(table, list_hint(document.name))
    if not len(rows):
        return False
    named = table.header and document.suffix in {".csv", ".tsv"}
    return named or 2 * int((rows["type"] != "").sum()) >= len(rows)


def read(document: Document, limits: Limits) -> Iterator[KnowledgeItem | Issue]:
    """Yield the list in the document (one for each label, where it has labels), and issues for what isn't in it."""
    text, guessed = decode_text(document.read())
    if guessed is not None:
        yield Issue(_STAGE, "encoding", Place(document.path), f"The file is no UTF-8; it was read as {guessed}.")
    table = parse_table(text, document.suffix, line_characters=limits.line_characters)
    if len(table.lines) > limits.list_entries:
        reason = f"The list has more than {limits.list_entries} lines (list_entries)."
        raise LimitError(reason, Place(document.path))
    if table.cut:
        reason = f"longer than {limits.line_characters} characters (line_characters)"
        yield _lines_issue(document, "limit", table.cut, reason)
    rows = classify_table(table, list_hint(document.name))
    untyped = rows.filter(pl.col("type") == "")
    if len(untyped):
        reason = "of no type that can be hunted for"
        yield _lines_issue(document, "list-value", untyped["line"].to_list(), reason)
    rows = rows.filter(pl.col("type") != "")
    columns = [column.name for column in table.columns if column.role == "context"]
    scheme = next((column.name for column in table.columns if column.role == "marking"), "")
    for label in sorted(rows["marking"].unique().to_list()):
        group = rows.filter(pl.col("marking") == label)
        entries = collect_entries(group)
        yield KnowledgeItem(
            object=make_list_indicator(document.name, entries, columns),
            place=Place(document.path, int(group["line"][0])),
            entries=entries,
            markings=(label_marking(label, scheme),) if label else (),
        )


def make_list_indicator(name: str, entries: pa.Table, columns: list[str] | None = None) -> StixObject:
    """Return the STIX indicator of a list called `name` with these entries (`ENTRY_SCHEMA`)."""
    digest = entries_digest(entries)
    counts = pc.value_counts(entries.column("type").cast(pa.string()))
    total = pc.sum(entries.column("count")).as_py() or 0
    content = {
        "entries": entries.num_rows,
        "entries_sha256": digest,
        "types": {row["values"]: row["counts"] for row in counts.to_pylist()},
        "columns": columns or [],
        "duplicates": total - entries.num_rows,
    }
    return make_object(
        "indicator",
        content_id("indicator", ["list", name, digest]),
        created=UNDATED,
        name=name,
        description=f"A list of {entries.num_rows} values.",
        pattern=f"[x-aleat-list:entries_sha256 = '{digest}']",
        pattern_type="stix",
        valid_from=UNDATED,
        extensions=extend("list", content),
    )


def _lines_issue(document: Document, code: str, lines: list[int] | tuple[int, ...], what: str) -> Issue:
    """One issue for all lines of a kind: the first ones named, all of them counted."""
    shown = ", ".join(map(str, lines[:_LISTED_LINES]))
    more = f" and {len(lines) - _LISTED_LINES} more" if len(lines) > _LISTED_LINES else ""
    reason = f"{len(lines)} values are {what}: lines {shown}{more}."
    return Issue(_STAGE, code, Place(document.path, lines[0]), reason, records=len(lines))
