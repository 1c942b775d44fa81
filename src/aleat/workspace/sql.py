"""The lake in SQL: DuckDB over the segments, for questions that a search can't put. An extra (``aleat[sql]``).

The statement sees four views and nothing else: no file, no network, no setting and no Python variable. It can't change
the lake: what it reads is handed over by Arrow, and DuckDB is shut off from the disk before the statement runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from types import TracebackType
from typing import Any

from aleat.errors import InputError, WorkspaceError
from aleat.store.dataset import lake_dataset, lake_tables
from aleat.store.lake import Lake
from aleat.store.value_index import ValueIndex
from aleat.text import visible

__all__ = ["MEMORY", "Answer", "ask"]

MEMORY = "1GB"
"""What a statement may use, where nothing else is said; nothing is written to disk beyond it."""

_ROWS = 1000
_SETTINGS = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
    "temp_directory": "",
}


class Answer:
    """An open answer: `columns`, and rows of plain values to go through once; close it, or use it in a `with` block."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.columns = tuple(str(item[0]) for item in connection.description or ())
        self._rows = self._read()

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return self._rows

    def _read(self) -> Iterator[tuple[Any, ...]]:
        while self.columns and (rows := _guarded(self._connection.fetchmany, _ROWS)):
            for row in rows:
                yield tuple(map(_plain, row))

    def __enter__(self) -> Answer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back what the answer holds."""
        self._connection.close()


def ask(lake: Lake, index: ValueIndex, query: str, *, memory: str = MEMORY) -> Answer:
    """Run a statement over ``events``, ``segments``, ``sources`` and ``coverage``.

    Raises `InputError` with DuckDB's own words where the statement is wrong, does what it may not, or needs more than
    `memory`; `WorkspaceError` where DuckDB isn't installed.
    """
    try:
        import duckdb  # noqa: PLC0415
    except ImportError:
        raise WorkspaceError("SQL needs DuckDB. Install it with: pip install 'aleat[sql]'") from None
    try:
        connection = duckdb.connect(":memory:", config={**_SETTINGS, "memory_limit": memory})
    except duckdb.Error as error:
        raise InputError(f"DuckDB doesn't start: {_said(error)}", advice="Is --memory a size, as 2GB?") from error
    try:
        connection.register("events", lake_dataset(lake, index))
        for name, table in lake_tables(lake).items():
            connection.register(name, table)
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        if _guarded(connection.execute, query) is None:
            raise InputError("There is no statement.", advice="Write one, as: select count(*) from events")
        return Answer(connection)
    except BaseException:
        connection.close()
        raise


def _guarded(call: Any, argument: object) -> Any:
    import duckdb  # noqa: PLC0415

    try:
        return call(argument)
    except duckdb.OutOfMemoryException as error:
        raise InputError(_said(error), advice="Ask for less at once, or give --memory 4GB.") from error
    except (duckdb.Error, RuntimeError, UnicodeError) as error:
        raise InputError(_said(error), advice="Views: events, segments, sources, coverage.") from error


def _said(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return visible(" ".join(lines[:2]))[:500]


def _plain(value: Any) -> Any:
    """Return a value as JSON has it; times in UTC."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        with suppress(OverflowError):
            value = value.astimezone(UTC) if value.tzinfo else value
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, (bytes, bytearray)):
        return value.hex()
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)
