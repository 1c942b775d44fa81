"""Indicator lists: CSV and its kin, or one value a line. A list is one STIX indicator, its values are rows.

What has no type that is known is not hunted for, and is an issue with its lines; duplicates are counted.
Where a column carries labels (TLP, PAP), each label's rows become a list of their own, so that no row loses
or lends its label.

The indicator's STIX pattern names the digest of the rows: see the extension `list`. Its id follows from its
name and rows, so that the same list from two givers is one object with two copies.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from aleat.errors import Issue, LimitError, Place
from aleat.knowledge.document import Document
from aleat.knowledge.items import UNDATED, KnowledgeItem
from aleat.knowledge.limits import Limits
from aleat.knowledge.list_entries import (
    EntryCollector,
    RowClassifier,
    has_labels,
    has_values,
    head_labels,
    label_marking,
    list_hint,
    may_have_labels,
)
from aleat.knowledge.list_lines import BLOCK_BYTES, LinesReader, lines_of_text, made_ahead
from aleat.knowledge.list_table import ListTable, parse_tables
from aleat.knowledge.text import decode_text, guess_issues
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
    frame, _ = lines_of_text(text.encode("utf-8", "replace"))
    blocks = [frame] if len(frame) else []
    tables = list(parse_tables(blocks, document.suffix, line_characters=len(text) + 1))
    named = tables[0].header and document.suffix in {".csv", ".tsv"}
    if named and any(map(has_values, tables)):
        return True  # what they are is for the reading
    hint = list_hint(document.name)
    collector = EntryCollector(hint)
    classifier = RowClassifier(hint, labelled=has_labels(tables[0].columns))
    for table in tables:
        collector.add(classifier.classify(table))
    untyped = len(collector.settle())
    if not collector.rows:
        return False
    return named or 2 * (collector.rows - untyped) >= collector.rows


def read(document: Document, limits: Limits) -> Iterator[KnowledgeItem | Issue]:
    """Yield the list in the document (one for each label, where it has labels), and issues for what isn't in it."""
    lines = LinesReader(document, line_characters=limits.line_characters)
    try:
        classifier, collector = _collect(document, lines, limits)
    except UnicodeDecodeError:
        classifier, collector = _collect(document, lines, limits)
    yield from guess_issues(lines.guessed, document.path)
    if lines.long:
        reason = f"longer than {limits.line_characters} characters (line_characters)"
        yield _lines_issue(document, "limit", lines.long, reason)
    untyped = collector.settle()
    if untyped:
        yield _lines_issue(document, "list-value", untyped, "of no type that can be hunted for")
    stated = head_labels(decode_text(document.head)[0])
    if len(untyped) == collector.rows:
        yield Issue(_STAGE, "empty", Place(document.path), "The list holds no values of a type that is known.")
    for label, first, entries in collector.entries():
        own = (label_marking(label, classifier.scheme),) if label else ()
        yield KnowledgeItem(
            object=make_list_indicator(document.name, entries, list(classifier.columns)),
            place=Place(document.path, first),
            entries=entries,
            markings=tuple(sorted({*stated, *own})),
        )


def _collect(document: Document, lines: LinesReader, limits: Limits) -> tuple[RowClassifier, EntryCollector]:
    """Read all of a list; where a column may hold labels, all of it is looked through first."""
    hint = list_hint(document.name)

    def tables() -> Iterator[ListTable]:
        return parse_tables(lines, document.suffix, line_characters=limits.line_characters)

    labelled = False
    for table in tables():
        labelled = has_labels(table.columns)
        if labelled or not may_have_labels(table.columns):
            break
    classifier, collector = RowClassifier(hint, labelled=labelled), EntryCollector(hint)
    for table in made_ahead(tables()) if document.size > BLOCK_BYTES else tables():
        collector.add(classifier.classify(table))
        if collector.rows > limits.list_entries:
            reason = f"The list has more than {limits.list_entries} values (list_entries)."
            raise LimitError(reason, Place(document.path))
    return classifier, collector


def make_list_indicator(
    name: str, entries: pa.Table, columns: list[str] | None = None, beside: Mapping[str, str] | None = None
) -> StixObject:
    """Return the STIX indicator of a list called `name` with these entries (`ENTRY_SCHEMA`).

    `beside` are texts that stand beside the list, by their names: they are told in its description.
    """
    digest = entries_digest(entries)
    counts: Counter[str] = Counter()
    for chunk in entries.column("type").chunks:  # not cast to texts first: that would be all of them
        for row in pc.value_counts(chunk).to_pylist():
            counts[row["values"]] += row["counts"]
    total = pc.sum(entries.column("count")).as_py() or 0
    content = {
        "entries": entries.num_rows,
        "entries_sha256": digest,
        "types": dict(counts),
        "columns": columns or [],
        "duplicates": total - entries.num_rows,
    }
    told = "".join(f" {key}: {text}." for key, text in (beside or {}).items())
    return make_object(
        "indicator",
        content_id("indicator", ["list", name, digest, told] if told else ["list", name, digest]),
        created=UNDATED,
        name=name,
        description=f"A list of {entries.num_rows} values.{told}",
        pattern=f"[x-aleat-list:entries_sha256 = '{digest}']",
        pattern_type="stix",
        valid_from=_stated(beside, "valid_from") or UNDATED,
        valid_until=_stated(beside, "valid_until", "expires", "expires_at", "expiration"),
        extensions=extend("list", content),
    )


def _stated(beside: Mapping[str, str] | None, *names: str) -> datetime | None:
    """Return the first of these times that stands beside a list; one without a zone is UTC."""
    for name, text in (beside or {}).items():
        if name.lower() in names:
            try:
                time = datetime.fromisoformat(text.strip())
                return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
            except (ValueError, OverflowError):
                continue
    return None


def _lines_issue(document: Document, code: str, lines: list[int] | tuple[int, ...], what: str) -> Issue:
    """One issue for all lines of a kind: the first ones named, all of them counted."""
    shown = ", ".join(map(str, lines[:_LISTED_LINES]))
    more = f" and {len(lines) - _LISTED_LINES} more" if len(lines) > _LISTED_LINES else ""
    reason = f"{len(lines)} values are {what}: lines {shown}{more}."
    return Issue(_STAGE, code, Place(document.path, lines[0]), reason, records=len(lines))
