"""The workspace's database: one SQLAlchemy engine, one writer, many readers.

Each file of this room declares its own tables on `metadata`; nothing else in the project writes SQL. SQLite
runs in WAL mode with full synchronisation: what was committed stays, whatever happens to the process.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from aleat.errors import WorkspaceError

__all__ = ["Connection", "Database", "metadata"]

Connection = sa.Connection
"""For rooms that pass a connection on, and write no SQL themselves."""

metadata = sa.MetaData()

_TABLES = (
    "allies",
    "countersignatures",
    "decisions",
    "dismissals",
    "entries",
    "exchanges",
    "hunts",
    "lake",
    "ledger",
    "object_tables",
    "polls",
)
"""The files of this room that declare tables."""

_BUSY_SECONDS = 30

_REFUSALS = {sa.exc.OperationalError, sa.exc.DatabaseError, sqlite3.OperationalError, sqlite3.DatabaseError}
"""What the disk or the file is to blame for; the finer kinds of error are faults of ours."""


class Database:
    """An open database; `read()` and `write()` hand out connections, `write()` in one transaction."""

    def __init__(self, url: str | sa.URL) -> None:
        self.engine = sa.create_engine(url)
        if self.engine.dialect.name == "sqlite":
            event.listen(self.engine, "connect", _configure_sqlite)

    @classmethod
    def at(cls, path: Path) -> Database:
        """Open (or make) the SQLite file at `path`."""
        return cls(sa.URL.create("sqlite", database=str(path)))

    def create_tables(self, connection: sa.Connection | None = None) -> None:
        """Make the tables that aren't there yet; within the transaction of `connection`, where it is given."""
        for name in _TABLES:
            import_module(f"aleat.store.{name}")
        with self._checked():
            metadata.create_all(self.engine if connection is None else connection)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Yield a connection for reading."""
        with self._checked(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Yield a connection in one transaction: all of it is committed at the end, or none."""
        with self._checked(), self.engine.begin() as connection:
            if self.engine.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection

    @contextmanager
    def _checked(self) -> Iterator[None]:
        try:
            yield
        except (sa.exc.DatabaseError, sqlite3.Error) as error:
            if type(error) not in _REFUSALS:
                raise
            reason = error.orig if isinstance(error, sa.exc.DatabaseError) else error
            raise WorkspaceError(
                f"The workspace's database refused: {reason}. Is the disk full, the folder not to be written to, "
                "or its file damaged? What was committed stays."
            ) from error

    def truncate_log(self) -> None:
        """Bring everything into the database's own file, and empty its log: what was deleted is in neither."""
        if self.engine.dialect.name == "sqlite":
            with self.read() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _configure_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # SQLAlchemy's begin is ours: see write()
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute(f"PRAGMA busy_timeout={_BUSY_SECONDS * 1000}")
    cursor.close()
