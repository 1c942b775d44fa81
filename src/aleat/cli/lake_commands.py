"""The commands that look into the lake: search, fields, sources, sql, index."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import cyclopts
from cyclopts import Parameter

from aleat.cli.exit_codes import FAILED
from aleat.cli.options import Quiet, Workers, WorkspaceOption, moment, open_workspace
from aleat.cli.terminal import error, line, progress, table
from aleat.text import clip, visible

if TYPE_CHECKING:
    from aleat.hunt.search import SearchHit
    from aleat.store.lake import SourceRow
    from aleat.workspace.lake import FieldSeen

__all__ = ["register"]

RowFormat = Annotated[Literal["table", "json", "jsonl", "csv"], Parameter(name=["--type", "-t"])]

_LIMIT = 100
_WIDTHS = (19, 20, 24, 48)
_FIELD_KEYS = ("format", "channel", "field", "kind", "events", "distinct", "exact", "first", "last", "example")
_SOURCE_KEYS = (
    "source",
    "path",
    "reader",
    "version",
    "sha256",
    "size",
    "events",
    "first",
    "last",
    "unreadable",
    "unreadable_bytes",
    "encodings",
    "options",
    "given_by",
    "added",
    "actor",
    "copied",
    "same_as",
    "complete",
    "forgotten",
)


def register(app: cyclopts.App) -> None:
    """Add the commands to `app`."""
    for command in (search, fields, sources, sql, index):
        app.command(command)


def search(
    what: str,
    *,
    since: str | None = None,
    until: str | None = None,
    host: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    limit: int | None = None,
    exact: Annotated[bool, Parameter(negative="")] = False,
    type: RowFormat = "table",
    workspace: WorkspaceOption = None,
    workers: Workers = None,
    quiet: Quiet = False,
) -> int:
    """Find events by a value, by FIELD=VALUE, or by an expression over such terms.

    Args:
        what: A whole value in any field; FIELD=VALUE; terms with and, or, not and brackets. Case doesn't count; * and ?
            are wildcards; quote values with blanks: 'User="NT AUTHORITY" or User=agim'.
        since: Only events at or after this time (2022-07-15, 2022-07-15T08:00; UTC unless it says).
        until: Only events before this time.
        host: Only events of this host (several may be given).
        limit: At most so many events (default: 100 in a table, else all; 0: all).
        exact: Case counts, and * and ? stand for themselves.
        type: table, json, jsonl or csv.
        workspace: The workspace's folder.
        workers: Worker processes, where the index has to be made first.
        quiet: No progress.
    """
    from aleat.hunt.row_output import HIT_KEYS, hit_record, write_rows  # noqa: PLC0415

    most = _LIMIT if limit is None and type == "table" else (limit or None)
    first, end = (None if text is None else moment(text) for text in (since, until))
    with open_workspace(workspace) as ws, progress(quiet=quiet) as show:
        found = ws.search(
            what, exact=exact, since=first, until=end, hosts=host, limit=most, workers=workers, progress=show
        )
        if type == "table":
            count = _print_hits(found, show.clear)
        else:
            count = write_rows(map(hit_record, found), sys.stdout.buffer, type, HIT_KEYS)
    went = found.went
    more = f" There are more: --limit {10 * (most or 1)}, or 0 for all." if found.more else ""
    error(f"{count:,} events; looked into {went.read:,} of {went.segments:,} segments.{more}")
    if went.unindexed:
        error(f"{went.unindexed:,} segments are not indexed yet, and were looked into themselves.")
    return 0


def _print_hits(hits: Iterable[SearchHit], clear: Any) -> int:
    count = 0
    for count, hit in enumerate(hits, 1):
        clear()
        if count == 1:
            _print_cells(["TIME (UTC)", "HOST", "EVENT", "FOUND"], "EVIDENCE")
        _print_cells([_time(hit.time), hit.host, _event(hit), _found(hit)], f"{hit.evidence} #{hit.record}")
    return count


def _print_cells(cells: Sequence[str], last: str) -> None:
    shown = [clip(visible(cell), width).ljust(width) for cell, width in zip(cells, _WIDTHS, strict=True)]
    line("  ".join([*shown, visible(last)]))


def _event(hit: SearchHit) -> str:
    channel = hit.channel.rpartition("/")[0] or hit.channel or hit.format
    return f"{channel.rpartition('-')[2]} {hit.event_id}".strip()


def _found(hit: SearchHit) -> str:
    if hit.matched:
        return ", ".join(f"{name}={text}" for name, text in hit.matched)
    return ", ".join(f"{name}={value}" for name, value in list(hit.fields.items())[:5])


def _time(micros: int | None) -> str:
    from aleat.hunt.output import format_time  # noqa: PLC0415

    return (format_time(micros) or "—")[:19].replace("T", " ")


def fields(
    name: str = "",
    *,
    type: RowFormat = "table",
    workspace: WorkspaceOption = None,
    workers: Workers = None,
    quiet: Quiet = False,
) -> int:
    """List the fields of every log: in how many events, how many values, since when, and one of them.

    Args:
        name: Only fields, formats or channels in whose name this stands.
        type: table, json, jsonl or csv.
        workspace: The workspace's folder.
        workers: Worker processes, where the index has to be made first.
        quiet: No progress.
    """
    with open_workspace(workspace) as ws, progress(quiet=quiet) as show:
        rows = ws.fields(workers=workers, progress=show)
    wanted = name.casefold()
    rows = tuple(row for row in rows if any(wanted in text.casefold() for text in (row.field, row.format, row.channel)))
    if type != "table":
        return _write([_field_record(row) for row in rows], type, _FIELD_KEYS)
    cells = [
        (
            f"{row.format} {row.channel}".strip(),
            row.field,
            f"{row.events:,}",
            f"{'' if row.exact else 'about '}{row.distinct:,}",
            _time(row.first)[:10],
            _time(row.last)[:10],
            clip(row.example, 40),
        )
        for row in rows
    ]
    table(cells, ("log", "field", "events", "values", "first", "last", "example"), limit=len(cells))
    return 0


def _field_record(row: FieldSeen) -> dict[str, Any]:
    from aleat.hunt.output import format_time  # noqa: PLC0415

    record = {key: getattr(row, key) for key in _FIELD_KEYS}
    return {**record, "first": format_time(row.first), "last": format_time(row.last)}


def sources(*, type: RowFormat = "table", workspace: WorkspaceOption = None) -> int:
    """List the register of evidence: what was given, by whom, how it was read, and what could not be read.

    Args:
        type: table, json, jsonl or csv.
        workspace: The workspace's folder.
    """
    with open_workspace(workspace) as ws:
        rows = ws.sources()
    if type != "table":
        return _write([_source_record(row) for row in rows], type, _SOURCE_KEYS)
    cells = [
        (
            clip(row.facts.path, 48),
            f"{row.facts.reader} {row.facts.reader_version}",
            (row.sha256 or "unfinished")[:12],
            f"{row.size or 0:,}",
            f"{row.records:,}",
            f"{_time(row.first)[:16]} – {_time(row.last)[:16]}" if row.first is not None else "—",
            f"{row.issues:,} ({row.unreadable_bytes:,} B)" if row.issues else "—",
            _read_as(row),
            row.facts.given_by,
        )
        for row in rows
    ]
    headings = ("path", "reader", "sha256", "bytes", "events", "from – to", "unreadable", "read as", "from")
    table(cells, headings, limit=len(cells))
    return 0


def _read_as(row: SourceRow) -> str:
    """Return what was assumed of a source, and what its texts turned out to be."""
    stated = {key: value for key, value in row.facts.options.items() if value not in (None, [], {}, "")}
    words = [f"{key} {value}" for key, value in sorted(stated.items())]
    words += [name for name in sorted(row.encodings) if name != "utf-8"]
    words += [f"copy of {row.same_as}"] if row.same_as is not None else []
    words += [] if row.complete else ["unfinished"]
    words += [f"forgotten {row.forgotten[:10]}"] if row.forgotten else []
    return ", ".join(words) or "—"


def _source_record(row: SourceRow) -> dict[str, Any]:
    from aleat.hunt.output import format_time  # noqa: PLC0415

    return {
        "source": row.id,
        "path": row.facts.path,
        "reader": row.facts.reader,
        "version": row.facts.reader_version,
        "sha256": row.sha256,
        "size": row.size,
        "events": row.records,
        "first": format_time(row.first),
        "last": format_time(row.last),
        "unreadable": row.issues,
        "unreadable_bytes": row.unreadable_bytes,
        "encodings": dict(row.encodings),
        "options": dict(row.facts.options),
        "given_by": row.facts.given_by,
        "added": row.added,
        "actor": row.actor,
        "copied": row.facts.copied,
        "same_as": row.same_as,
        "complete": row.complete,
        "forgotten": row.forgotten,
    }


def sql(
    query: str,
    *,
    memory: str = "1GB",
    limit: int | None = None,
    type: RowFormat = "table",
    workspace: WorkspaceOption = None,
    quiet: Quiet = False,
) -> int:
    """Ask the lake in SQL (DuckDB): views events, segments, sources and coverage; nothing can be changed.

    Args:
        query: A statement, as: select host, count(*) from events group by host.
        memory: The most memory that it may use, as 4GB.
        limit: At most so many rows (default: 100 in a table, else all; 0: all).
        type: table, json, jsonl or csv.
        workspace: The workspace's folder.
        quiet: No progress.
    """
    from itertools import islice  # noqa: PLC0415

    most = _LIMIT if limit is None and type == "table" else (limit or None)
    with (
        open_workspace(workspace) as ws,
        progress(quiet=quiet) as show,
        ws.sql(query, memory=memory, progress=show) as found,
    ):
        names = _distinct(found.columns)
        rows = islice(found, most)
        if type != "table":
            return _write((dict(zip(names, row, strict=True)) for row in rows), type, names)
        cells = [tuple("" if cell is None else cell for cell in row) for row in rows]
        show.clear()
        table(cells, names, limit=len(cells))
        if most is not None and next(iter(found), None) is not None:
            error(f"There are more rows: --limit {10 * most}, or 0 for all.")
    return 0


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Return column names that are keys: a second one of the same name gets a number."""
    found: dict[str, None] = {}
    for name in names:
        number, key = 1, name
        while key in found:
            number += 1
            key = f"{name}_{number}"
        found[key] = None
    return tuple(found)


def _write(rows: Iterable[dict[str, Any]], format: str, keys: Sequence[str]) -> int:
    from aleat.hunt.row_output import write_rows  # noqa: PLC0415

    write_rows(rows, sys.stdout.buffer, format, keys)
    return 0


def index(
    *,
    rebuild: Annotated[bool, Parameter(negative="")] = False,
    workspace: WorkspaceOption = None,
    workers: Workers = None,
    quiet: Quiet = False,
) -> int:
    """Make the index of values that search uses, or prove it: delete it, make it anew, compare.

    Args:
        rebuild: Delete the index, make it anew from the segments, and say whether it is the same.
        workspace: The workspace's folder.
        workers: Worker processes.
        quiet: No progress.
    """
    with open_workspace(workspace) as ws, progress(quiet=quiet) as show:
        if not rebuild:
            state = ws.index(workers=workers, progress=show)
            show.clear()
            whole = f"{state.indexed:,} of {state.segments:,} segments"
            line(f"Index: {whole} in {state.parts:,} files, {state.bytes:,} bytes.")
            return 0
        done = ws.rebuild_index(workers=workers, progress=show)
    line(f"Before: {done.before}{'' if done.whole else ' (it was not complete)'}")
    line(f"After:  {done.after}")
    if done.same:
        line(f"The same, made from {done.state.segments:,} segments.")
    elif done.whole:
        error("It is not the same: the index was damaged, or made by another version. The new one serves.")
        return FAILED
    else:
        line(f"Made from {done.state.segments:,} segments.")
    return 0
