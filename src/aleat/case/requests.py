"""Requests to services, from web logs: one row a request, columns only, for millions of rows.

The fields are those that ``[requests]`` of the formats' files names: ``service``, ``host`` and ``status`` are lists of
fields, of which the first that says something counts; ``Field|view:argument`` is a part of one (`aleat.hunt.views`; a
proxy's ``url|url_host``). Services are named by what the log says (IIS: ``cs-host``, else ``s-sitename``; access logs:
the virtual host), else by the log's folder or file. A vhost's port is dropped, names are case folded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc

from aleat.evidence.batch import EventBatch, field_column
from aleat.formats import all_formats, format_named
from aleat.hunt.views import view

__all__ = [
    "REQUESTS_SCHEMA",
    "credible_requests",
    "empty_requests",
    "request_columns",
    "request_formats",
    "requests_table",
    "service_from_path",
    "status_fields",
]

_WORD = pa.dictionary(pa.int32(), pa.string())

REQUESTS_SCHEMA = pa.schema(
    [
        pa.field("service", _WORD),
        pa.field("host", _WORD),
        pa.field("time", pa.timestamp("us", tz="UTC")),
        pa.field("status", pa.int16()),  # null where the log has none
        pa.field("evidence", _WORD),
        pa.field("record", pa.int64()),
        pa.field("offset", pa.int64()),
    ]
)


_KINDS = "si"
_OLDEST = timedelta(days=50 * 365)
_CLOCKS = timedelta(days=1)

_DULL_FOLDERS = re.compile(
    r"(?:w3svc\d+|logs?|logfiles|iis|apache2?|nginx|httpd|archive|evidence|web|inetpub|files?)", re.I
)
_DULL_STEM = re.compile(
    r"(?:u_ex|u_nc|ex|u_in|localhost|access|other_vhosts|ssl|[_\-.])*[_\-.]?[\d_\-.x]*(?:log|gz|txt|[_\-.])*", re.I
)


@lru_cache(maxsize=1)
def request_formats() -> frozenset[str]:
    """Return the formats of web logs: those whose file has a ``[requests]``."""
    return frozenset(item.name for item in all_formats() if item.requests)


def status_fields(format_: str) -> tuple[str, ...]:
    """Return the fields of a web log's format that may hold the status; none for other formats."""
    return _fields_of(format_, "status")


@lru_cache(maxsize=1)
def request_columns() -> frozenset[str]:
    """Return the field columns that `requests_table` looks at; batches need no others."""
    return frozenset(
        field_column(name.partition("|")[0], kind)
        for format_ in request_formats()
        for part in ("service", "status", "host")
        for name in _fields_of(format_, part)
        for kind in _KINDS
    )


@lru_cache
def _fields_of(format_: str, part: str) -> tuple[str, ...]:
    found = format_named(format_)
    return tuple(found.requests.get(part, ())) if found is not None else ()


def empty_requests() -> pa.Table:
    """Return a table without rows."""
    return REQUESTS_SCHEMA.empty_table()


def service_from_path(evidence: str) -> str:
    """Name a service after its log's folder, or the file where the folder says nothing.

    >>> service_from_path("logs/portal/u_ex220715.log"), service_from_path("logs/W3SVC1/mail_access.log")
    ('portal', 'mail')
    """
    parts = [part for part in re.split(r"[/\\!]", evidence) if part]
    stem = re.sub(r"\.(?:log|txt|gz|zip|\d+)", "", parts[-1]) if parts else ""
    telling = re.sub(r"[_\-.]?(?:access|error|u_ex|ex)?[_\-.]?[\dx_\-.]*$", "", stem, flags=re.I)
    if telling and not _DULL_STEM.fullmatch(telling) and not _DULL_FOLDERS.fullmatch(telling):
        return telling.casefold()
    for folder in reversed(parts[:-1]):
        if not _DULL_FOLDERS.fullmatch(folder):
            return folder.casefold()
    return (parts[-2] if len(parts) > 1 else stem or "unnamed").casefold()


def credible_requests(table: pa.Table, reference_time: datetime) -> pa.Table:
    """Leave out requests later than a day after `reference_time` (clocks differ), or 50 years before it.

    Such times are damage, or a lie; a service's usual rate is kept for every hour between its first and its last.
    """
    time = table.column("time")
    first, last = (pa.scalar(reference_time + span, time.type) for span in (-_OLDEST, _CLOCKS))
    return table.filter(pc.and_(pc.greater_equal(time, first), pc.less_equal(time, last)))


def requests_table(batches: Iterable[EventBatch]) -> pa.Table:
    """Return the requests of all web-log batches as a table of `REQUESTS_SCHEMA`; other formats are passed over.

    Rows without a time are left out: they can't lie in or out of a window.
    """
    tables = [_requests_of(batch) for batch in batches if batch.format in request_formats() and batch.table.num_rows]
    if not tables:
        return empty_requests()
    return pa.concat_tables(tables).unify_dictionaries()


def _requests_of(batch: EventBatch) -> pa.Table:
    table = batch.table
    count = table.num_rows
    service = _first(table, _fields_of(batch.format, "service"), count)
    fallback = service_from_path(batch.evidence)
    service = _on_dictionary(service, fallback)
    host = _filled_host(table, batch.format, count)
    columns = [
        service,
        host,
        table.column("time").combine_chunks() if count else table.column("time"),
        _status(table, status_fields(batch.format), count),
        pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int32()), pa.array([batch.evidence])),
        pc.add(table.column("record"), batch.record_base),
        table.column("offset"),
    ]
    made = pa.Table.from_arrays([_plain(column) for column in columns], schema=REQUESTS_SCHEMA)
    return made.filter(pc.is_valid(made.column("time")))


def _plain(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    return column


def _first(table: pa.Table, fields: tuple[str, ...], count: int) -> pa.Array:
    """Return the first of the fields that is there, row by row, as text (null where none is)."""
    found = pa.nulls(count, pa.string())
    for field in fields:
        source, _, how = field.partition("|")
        for kind in _KINDS:
            name = field_column(source, kind)
            if name in table.column_names:
                column = _plain(table.column(name))
                values = _viewed(column, how) if how else column.cast(pa.string())
                values = pc.if_else(pc.is_in(values, pa.array(["", "-", "_"])), pa.scalar(None, pa.string()), values)
                found = pc.coalesce(found, values)
    return found


def _viewed(column: pa.Array, how: str) -> pa.Array:
    """Return the first part that a view takes of each text (null where it takes none)."""
    transform, _, argument = how.partition(":")
    encoded = column if isinstance(column, pa.DictionaryArray) else column.cast(pa.string()).dictionary_encode()
    parts = [next(iter(view(transform, text, argument)), None) for text in encoded.dictionary.to_pylist()]
    return pc.take(pa.array(parts, pa.string()), encoded.indices)


def _on_dictionary(values: pa.Array, fallback: str) -> pa.DictionaryArray:
    """Clean names once a distinct value: case folded, the port dropped, the fallback for null."""
    encoded = pc.fill_null(values, fallback).dictionary_encode()
    names = [
        re.sub(r":\d+$", "", str(name)).casefold().rstrip(".") or fallback for name in encoded.dictionary.to_pylist()
    ]
    unique = list(dict.fromkeys(names))
    place = {name: position for position, name in enumerate(unique)}
    codes = pc.take(pa.array([place[name] for name in names], pa.int32()), encoded.indices)
    return pa.DictionaryArray.from_arrays(codes, pa.array(unique, pa.string()))


def _filled_host(table: pa.Table, format_: str, count: int) -> pa.DictionaryArray:
    host = _plain(table.column("host")).cast(pa.string())
    host = pc.if_else(pc.equal(host, ""), pa.scalar(None, pa.string()), host)
    filled = pc.coalesce(host, _first(table, _fields_of(format_, "host"), count), pa.scalar("", pa.string()))
    return filled.dictionary_encode().cast(_WORD)


def _status(table: pa.Table, fields: tuple[str, ...], count: int) -> pa.Array:
    text = _first(table, fields, count)
    clean = pc.if_else(pc.match_substring_regex(text, r"^[0-9]{1,4}$"), text, pa.scalar(None, pa.string()))
    return clean.cast(pa.int16())
