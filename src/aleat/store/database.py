"""The workspace's database: one SQLAlchemy engine, one writer, many readers.

Each file of this room declares its own tables on `metadata`; nothing else in the project writes SQL. SQLite
runs in WAL mode with full synchronisation: what was committed stays, whatever happens to the process. PostgreSQL is
taken by its URL; what differs stands in `aleat.store.dialects`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from aleat.errors import WorkspaceError
from aleat.store.dialects import dialect_of

__all__ = ["Connection", "Database", "metadata"]

Connection = sa.Connection
"""For rooms that pass a connection on, and write no SQL themselves."""

metadata = sa.MetaData()

_TABLES = (
    "allies",
    "countersignatures",
    "decisions",
    "dismissals",
    "entry_lists",
    "exchanges",
    "given",
    "hunts",
    "lake",
    "ledger",
    "misp_parts",
    "object_tables",
    "polls",
    "post",
    "pushes",
    "shelves",
)
"""The files of this room that declare tables."""

_REFUSALS = {sa.exc.OperationalError, sa.exc.DatabaseError, sqlite3.OperationalError, sqlite3.DatabaseError}
"""What the disk or the file is to blame for; the finer kinds of error are faults of ours."""


class Database:
    """An open database; `read()` and `write()` hand out connections, `write()` in one transaction."""

    def __init__(self, url: str | sa.URL) -> None:
        # As many connections as are asked for: who holds one and needs another must not wait for others who do, too.
        in_file = sa.make_url(url).database not in {None, "", ":memory:"}
        pool: dict[str, Any] = {"pool_size": 20, "max_overflow": -1} if in_file else {}
        try:
            self.engine = sa.create_engine(url, **pool)
        except ModuleNotFoundError:
            raise WorkspaceError(
                "PostgreSQL needs its driver. Install it with: pip install 'aleat[postgres]'"
            ) from None
        self.dialect = dialect_of(self.engine)
        self.dialect.set_up(self.engine)

    @classmethod
    def at(cls, path: Path) -> Database:
        """Open (or make) the SQLite file at `path`."""
        return cls(sa.URL.create("sqlite", database=str(path)))

    def create_tables(self, connection: sa.Connection | None = None) -> None:
        """Make the tables that aren't there yet; within the transaction of `connection`, where it is given."""
        for name in _TABLES:
            import_module(f"aleat.store.{name}")
        with self._checked():
            self.dialect.declared(metadata).create_all(self.engine if connection is None else connection)

    def is_taken(self) -> bool:
        """Say whether a workspace is in the database already; tables that an `init` left empty are none."""
        with self.read() as connection:
            if not sa.inspect(connection).has_table("ledger_entries"):
                return False
            return connection.execute(sa.text("SELECT 1 FROM ledger_entries LIMIT 1")).first() is not None

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Yield a connection for reading."""
        with self._checked(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Yield a connection in one transaction: all of it is committed at the end, or none."""
        with self._checked(), self.engine.begin() as connection:
            self.dialect.begin(connection)
            yield connection

    @contextmanager
    def writer(self) -> Iterator[None]:
        """Be the one writer of the database, where a lock beside it isn't enough: across hosts.

        Raises `WorkspaceBusyError` at once if another process is.
        """
        with self._checked(), self.dialect.writer(self.engine):
            yield

    @contextmanager
    def _checked(self) -> Iterator[None]:
        try:
            yield
        except (sa.exc.DatabaseError, sqlite3.Error) as error:
            if type(error) not in _REFUSALS:
                raise
            reason = error.orig if isinstance(error, sa.exc.DatabaseError) else error
            raise WorkspaceError(
                f"The workspace's database refused: {reason}. {self.dialect.advice} What was committed stays."
            ) from error

    def truncate_log(self) -> None:
        """Bring everything into the database's own file, and empty its log: what was deleted is in neither."""
        with self.read() as connection:
            self.dialect.truncate_log(connection)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()
