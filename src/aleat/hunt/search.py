"""Searching a lake: the value index names the segments, few columns of those are read, then the rows that fit.

Answers come in the order of sources and ranges, and within one in the order of logs and records: the same for the
same lake, whatever the index is like. A segment that isn't indexed is looked at itself, so that an index that is
behind, damaged or absent costs time and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from aleat.errors import InputError, WorkspaceError
from aleat.evidence.batch import EventBatch, split_column
from aleat.hunt.event_digest import cell_text
from aleat.hunt.expression import normalise_name
from aleat.hunt.plan import FACT_FIELDS
from aleat.hunt.rows import RowReader
from aleat.hunt.search_query import Query, Term, terms_of
from aleat.store.lake import Lake, SegmentRow
from aleat.store.lake_files import OpenSegment, StoredTable
from aleat.store.list_cells import list_elements
from aleat.store.value_hash import fold_text, fold_texts
from aleat.store.value_index import ValueIndex
from aleat.times import micros_of

__all__ = ["SearchHit", "SearchScope", "Searched", "search_lake"]

_FACTS = ("host", "provider", "event_id")
"""Fixed columns of texts that are searched as fields are."""
_NAMES = {**FACT_FIELDS, "host": "host", "provider": "provider", "event_id": "event_id", "format": "format"}
_NAMES |= {"record_id": "record_id", "recordid": "record_id", "eventrecordid": "record_id", "evidence": "evidence"}
"""Names (normalised) of what every event has -> the fact."""
_ALWAYS = frozenset({"time", "host", "record"})
_SHOWN = 120
_BEFORE = 12

Mask = npt.NDArray[np.bool_]
_Columns = Mapping[str, frozenset[str]]


class SearchScope(msgspec.Struct, frozen=True):
    """Which events are looked at: from `since` to before `until`, of these hosts (in lower case; empty: of all).

    A host is named in full or by its first label. An event without a time is in no stretch of time.
    """

    since: datetime | None = None
    until: datetime | None = None
    hosts: frozenset[str] = frozenset()

    def has_host(self, host: str) -> bool:
        """Say whether events of a host are looked at."""
        folded = fold_text(host)
        return not self.hosts or folded in self.hosts or folded.partition(".")[0] in self.hosts


class SearchHit(msgspec.Struct, frozen=True, gc=False):
    """An event that was found; `matched` are the (field, text) pairs by which."""

    evidence: str
    record: int
    offset: int
    event: str
    time: int | None
    host: str
    format: str
    channel: str
    provider: str
    event_id: str
    record_id: int | None
    fields: dict[str, Any]
    matched: tuple[tuple[str, str], ...] = ()
    segment: str = ""


class Searched(msgspec.Struct):
    """How a search went: segments in all, those that the index left, those that were looked at, and not indexed."""

    segments: int = 0
    candidates: int = 0
    read: int = 0
    unindexed: int = 0
    hits: int = 0


def search_lake(
    lake: Lake,
    index: ValueIndex,
    query: Query,
    *,
    scope: SearchScope | None = None,
    went: Searched | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[SearchHit]:
    """Yield the events that fit, in a fixed order; `went` is filled on the way.

    Raises `InputError` where a pattern is too large to be compiled, `WorkspaceError` where a segment is missing.
    """
    chosen = scope or SearchScope()
    counts = went or Searched()
    terms = {term: _Compiled(term) for term in _all_terms(query)}
    hints = {term: _hint(term, index) for term in terms}
    missing = {segment for segment, _ in index.missing}
    possible = _possible(query, hints)
    names = [key for key, _ in index.keys if possible is None or key in possible or key in missing]
    rows = [row for row in lake.segments(set(names)) if _in_scope(row, chosen)]
    counts.segments, counts.candidates = len(index.keys), len(rows)
    counts.unindexed = sum(row.id in missing for row in rows)
    for done, row in enumerate(rows):
        progress(done, len(rows))
        here = {term: None if row.id in missing else _columns_in(hint, row.id) for term, hint in hints.items()}
        counts.read += 1
        for hit in _in_segment(lake, row, query, terms, here, chosen):
            counts.hits += 1
            yield hit


# -------------------------------------------------------------------------------------- which segments, which columns


def _all_terms(query: Query) -> Iterator[Term]:
    if query.term is not None:
        yield query.term
    for part in query.parts:
        yield from _all_terms(part)


def _fact_of(term: Term) -> str:
    return _NAMES.get(normalise_name(term.field), "") if term.field is not None else ""


def _hint(term: Term, index: ValueIndex) -> _Columns | None:
    """Return segment -> columns in which a term may be found; None: it may be anywhere."""
    if _fact_of(term) in ("format", "channel", "record_id", "evidence"):
        return None
    if term.wild:
        return None if term.field is None else index.columns(_Names(term))
    found = index.look_up(term.text)
    if term.field is None:
        return found
    wanted = _Names(term)
    kept = {segment: frozenset(filter(wanted, columns)) for segment, columns in found.items()}
    return {segment: columns for segment, columns in kept.items() if columns}


def _columns_in(hint: _Columns | None, segment: str) -> frozenset[str] | None:
    return None if hint is None else hint.get(segment, frozenset())


def _possible(query: Query, hints: Mapping[Term, _Columns | None]) -> Collection[str] | None:
    """Return the segments in which an expression can hold; None: in all."""
    if query.term is not None:
        hint = hints[query.term]
        return None if hint is None else hint.keys()
    if query.kind == "not":
        return None
    parts = [_possible(part, hints) for part in query.parts]
    known = [set(part) for part in parts if part is not None]
    if query.kind == "or":
        return set().union(*known) if len(known) == len(parts) else None
    return set.intersection(*known) if known else None


def _in_scope(row: SegmentRow, scope: SearchScope) -> bool:
    if not any(map(scope.has_host, row.hosts)):
        return False
    if scope.since is None and scope.until is None:
        return True
    if row.first is None or row.last is None:
        return False
    return (scope.since is None or row.last >= micros_of(scope.since)) and (
        scope.until is None or row.first < micros_of(scope.until)
    )


# ------------------------------------------------------------------------------------------------------ in a segment


class _Names:
    """Says whether a column's field is the one of a term."""

    def __init__(self, term: Term) -> None:
        self._any = term.field is None
        self._name = normalise_name(term.field or "")
        self._fact = _fact_of(term)

    def __call__(self, column: str) -> bool:
        split = split_column(column)
        if split is None:
            return column in _FACTS and (self._any or column == self._fact)
        return self._any or normalise_name(split[0]) == self._name


class _Compiled:
    """A term made ready: which of a dictionary's texts it holds for."""

    def __init__(self, term: Term) -> None:
        self.term = term
        self.names = _Names(term)
        self.fact = _fact_of(term)
        self.everything = term.wild and not term.text.strip("*")
        self._text = term.text if term.cased else fold_text(term.text)
        self._regex = msgspec.structs.replace(term, text=self._text).regex if term.wild else ""

    def holds(self, texts: pa.Array) -> Mask:
        """Return for each text whether the term holds for it."""
        if self.everything:
            return np.ones(len(texts), bool)
        folded = texts if self.term.cased else fold_texts(texts)
        if self.term.wild:
            try:
                found = pc.match_substring_regex(folded, self._regex)
            except pa.ArrowInvalid as error:
                raise InputError("The pattern is too large.", advice="Search for less at once.") from error
        else:
            found = pc.equal(folded, self._text)
        mask: Mask = found.to_numpy(zero_copy_only=False)
        return mask

    def excerpt(self, text: str) -> str:
        """Return a text that the term holds for, or where it is long, what lies about the place that fits."""
        if len(text) <= _SHOWN:
            return text
        pieces = re.split(r"[*?]", self.term.text) if self.term.wild else [""]
        place = max(text.lower().find(max(pieces, key=len).lower()) - _BEFORE, 0)
        return f"{'…' if place else ''}{text[place : place + _SHOWN]}…"

    def holds_for(self, text: str) -> bool:
        """Say whether the term holds for one text."""
        return bool(self.holds(pa.array([text], pa.string()))[0])


def _in_segment(
    lake: Lake,
    row: SegmentRow,
    query: Query,
    terms: Mapping[Term, _Compiled],
    hints: Mapping[Term, frozenset[str] | None],
    scope: SearchScope,
) -> Iterator[SearchHit]:
    place = row.sources[0]
    try:
        with OpenSegment(lake.segment_path(row.id), row.id) as file:
            for number, columns in enumerate(file.columns):
                wanted = {term: _wanted(compiled, hints[term], columns) for term, compiled in terms.items()}
                if not _can_hold(query, wanted, terms):
                    continue
                needed = _ALWAYS.union(*wanted.values(), ["record_id"] if _asks(terms, "record_id") else [])
                masks = [_fits(query, stored, terms, wanted, scope, place.path) for stored in file.read(number, needed)]
                if not any(mask.any() for mask in masks):
                    continue
                for stored, mask in zip(file.read(number), masks, strict=True):
                    batch = EventBatch(
                        place.path, row.id, place.record_base, stored.format, stored.channel, stored.table
                    )
                    yield from _hits(batch, np.flatnonzero(mask).tolist(), query, terms)
    except FileNotFoundError:
        reason = f"The segment {row.id} is missing from {lake.segment_folder}."
        raise WorkspaceError(f"{reason} Bring it back from a backup, or add its evidence again.") from None


def _wanted(compiled: _Compiled, hint: frozenset[str] | None, columns: frozenset[str]) -> frozenset[str]:
    """Return the columns of a row group in which a term is looked for."""
    return frozenset(name for name in (columns if hint is None else hint & columns) if compiled.names(name))


def _asks(terms: Mapping[Term, _Compiled], fact: str) -> bool:
    return any(compiled.fact == fact for compiled in terms.values())


def _can_hold(query: Query, wanted: Mapping[Term, frozenset[str]], terms: Mapping[Term, _Compiled]) -> bool:
    """Say whether an expression can hold in a row group that has these columns."""
    if query.term is not None:
        return bool(wanted[query.term]) or bool(terms[query.term].fact)
    if query.kind == "not":
        return True
    parts = (_can_hold(part, wanted, terms) for part in query.parts)
    return any(parts) if query.kind == "or" else all(parts)


def _fits(
    query: Query,
    stored: StoredTable,
    terms: Mapping[Term, _Compiled],
    wanted: Mapping[Term, frozenset[str]],
    scope: SearchScope,
    evidence: str,
) -> Mask:
    mask = _evaluate(query, stored, terms, wanted, evidence)
    if mask.any():
        mask = mask & _scope_mask(stored.table, scope)
    return mask


def _evaluate(
    query: Query,
    stored: StoredTable,
    terms: Mapping[Term, _Compiled],
    wanted: Mapping[Term, frozenset[str]],
    evidence: str,
) -> Mask:
    if query.term is not None:
        return _term_mask(terms[query.term], stored, wanted[query.term], evidence)
    parts = [_evaluate(part, stored, terms, wanted, evidence) for part in query.parts]
    if query.kind == "not":
        return ~parts[0]
    combined: Mask = (np.logical_or if query.kind == "or" else np.logical_and).reduce(parts)
    return combined


def _term_mask(compiled: _Compiled, stored: StoredTable, columns: frozenset[str], evidence: str) -> Mask:
    table = stored.table
    mask = np.zeros(table.num_rows, bool)
    constant = {"format": stored.format, "channel": stored.channel, "evidence": evidence}.get(compiled.fact)
    if constant is not None and compiled.holds_for(constant):
        return ~mask
    if compiled.fact == "record_id":
        mask |= _number_mask(compiled, table["record_id"])
    for name in sorted(columns):
        if name in table.column_names:
            mask |= _column_mask(compiled, table[name], name.endswith("|l"))
    return mask


def _column_mask(compiled: _Compiled, column: pa.ChunkedArray, lists: bool = False) -> Mask:
    array = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    if not pa.types.is_dictionary(array.type):
        array = array.cast(pa.string()).dictionary_encode()
    held = np.append(compiled.holds(array.dictionary), False)
    if lists:
        elements, places = list_elements(array.dictionary)
        held[places[compiled.holds(elements)]] = True
    if not held.any():
        return np.zeros(len(array), bool)
    mask: Mask = held[array.indices.fill_null(-1).to_numpy(zero_copy_only=False)]
    return mask


def _number_mask(compiled: _Compiled, column: pa.ChunkedArray) -> Mask:
    return _column_mask(compiled, column.cast(pa.string()))


def _scope_mask(table: pa.Table, scope: SearchScope) -> Mask:
    mask = np.ones(table.num_rows, bool)
    if scope.since is not None or scope.until is not None:
        times = table["time"].combine_chunks()
        mask &= times.is_valid().to_numpy(zero_copy_only=False)
        micros = times.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
        if scope.since is not None:
            mask &= micros >= micros_of(scope.since)
        if scope.until is not None:
            mask &= micros < micros_of(scope.until)
    if scope.hosts:
        hosts = table["host"].cast(pa.string()).combine_chunks().dictionary_encode()
        wanted = np.array([*map(scope.has_host, hosts.dictionary.to_pylist()), False])
        mask &= wanted[hosts.indices.fill_null(-1).to_numpy(zero_copy_only=False)]
    return mask


def _hits(batch: EventBatch, rows: list[int], query: Query, terms: Mapping[Term, _Compiled]) -> Iterator[SearchHit]:
    if not rows:
        return
    positive = [terms[term] for term in terms_of(query)]
    for start in range(0, len(rows), 1000):
        some = rows[start : start + 1000]
        reader = RowReader(batch, some)
        taken = batch.table.select(["record", "offset", "time", "host", "provider", "event_id", "record_id"])
        taken = taken.take(pa.array(some, pa.int64()))
        taken = taken.set_column(2, "time", taken["time"].cast(pa.int64()))
        for row, facts in zip(some, taken.to_pylist(), strict=True):
            fields = reader.fields(row)
            yield SearchHit(
                evidence=batch.evidence,
                record=facts["record"] + batch.record_base,
                offset=facts["offset"],
                event=reader.event(row),
                time=facts["time"],
                host=facts["host"] or "",
                format=batch.format,
                channel=batch.channel,
                provider=facts["provider"] or "",
                event_id=facts["event_id"] or "",
                record_id=facts["record_id"],
                fields=fields,
                matched=_matched(positive, fields, facts),
                segment=batch.segment,
            )


def _matched(
    terms: list[_Compiled], fields: Mapping[str, Any], facts: Mapping[str, Any]
) -> tuple[tuple[str, str], ...]:
    """Return by which fields an event was found; facts only where no field says it."""
    found: dict[tuple[str, str], None] = {}
    for compiled in terms:
        there = {name: value for name, value in fields.items() if compiled.names(f"{name}|s")}
        pairs = [(name, cell_text(value)) for name, value in there.items()]
        for name, value in there.items():
            if isinstance(value, list):
                pairs += [(name, text) for text in list_elements(pa.array([cell_text(value)]))[0].to_pylist()]
        pairs += [(name, facts[name]) for name in _FACTS if facts[name] and compiled.names(name)]
        for name, text in pairs:
            if compiled.holds_for(text):
                found.setdefault((name, compiled.excerpt(text)))
    return tuple(found)
