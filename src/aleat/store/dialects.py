"""What differs between the databases that a workspace can live in: SQLite, a file, and PostgreSQL, a server.

Everything else of this room is one code through SQLAlchemy Core. What a dialect answers for: how a connection is set
up, how a transaction that writes keeps other writers out, who is the one writer, and how tables are made.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy import event

from aleat.errors import WorkspaceBusyError, WorkspaceError

__all__ = ["Dialect", "check_url", "dialect_of"]

_BUSY_SECONDS = 30
_CACHE_KIB = 128 * 1024  # of an index into which a million rows go; taken only as it is needed
_TRANSACTION, _WRITER = 1_634_493_793, 1_634_493_794
"""The first halves of the keys of our advisory locks; the second says which schema."""

_SCHEMA = "hashtext(current_database() || '/' || current_schema())"


class Dialect(Protocol):
    """One kind of database."""

    advice: str
    """What to look at when it refuses."""

    def set_up(self, engine: sa.Engine) -> None:
        """Prepare an engine for its connections."""

    def begin(self, connection: sa.Connection) -> None:
        """Begin a transaction that writes: from here on until its end nobody else does."""

    def writer(self, engine: sa.Engine) -> Any:
        """Return a context manager that holds the place of the one writer; raises `WorkspaceBusyError`."""

    def declared(self, metadata: sa.MetaData) -> sa.MetaData:
        """Return the tables as they are to be made here."""

    def truncate_log(self, connection: sa.Connection) -> None:
        """Leave nothing of what was deleted in a log beside the database, as far as that is ours to do."""


class _Sqlite:
    """A file; one connection at a time writes. The one writer is whoever holds the folder's lock."""

    advice = "Is the disk full, the folder not to be written to, or its file damaged?"

    def set_up(self, engine: sa.Engine) -> None:
        event.listen(engine, "connect", _configure_sqlite)

    def begin(self, connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    @contextmanager
    def writer(self, engine: sa.Engine) -> Iterator[None]:
        yield

    def declared(self, metadata: sa.MetaData) -> sa.MetaData:
        return metadata

    def truncate_log(self, connection: sa.Connection) -> None:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


class _Postgresql:
    """A schema of a server's database. Locks are advisory ones, so that they hold across hosts."""

    advice = "Is the server reached, its schema ours, and the password in $PGPASSWORD or ~/.pgpass?"

    def set_up(self, engine: sa.Engine) -> None:
        event.listen(engine, "connect", _configure_postgresql)

    def begin(self, connection: sa.Connection) -> None:
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_BUSY_SECONDS}s'")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_TRANSACTION}, {_SCHEMA})")

    @contextmanager
    def writer(self, engine: sa.Engine) -> Iterator[None]:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            held = connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({_WRITER}, {_SCHEMA})").scalar()
            if not held:
                raise WorkspaceBusyError(
                    f"Another process, here or on another host, is writing to the workspace at {_shown(engine.url)}. "
                    "Wait for it, or end it."
                )
            try:
                yield
            finally:
                connection.exec_driver_sql(f"SELECT pg_advisory_unlock({_WRITER}, {_SCHEMA})")

    def declared(self, metadata: sa.MetaData) -> sa.MetaData:
        """Return copies of the tables with SQLite's types: integers of 64 bits, text in the order of its bytes."""
        found = sa.MetaData()
        for table in metadata.sorted_tables:
            for column in table.to_metadata(found).columns:
                if isinstance(column.type, sa.String):
                    column.type = sa.String(column.type.length, collation="C")
                elif isinstance(column.type, sa.Integer):
                    column.type = sa.BigInteger()
        return found

    def truncate_log(self, connection: sa.Connection) -> None:
        """Do nothing: the server's log and its dead rows are its keeper's."""


_DIALECTS: dict[str, Dialect] = {"sqlite": _Sqlite(), "postgresql": _Postgresql()}


def dialect_of(engine: sa.Engine) -> Dialect:
    """Return the dialect of an engine; raises `WorkspaceError` for a database that Aleat doesn't live in."""
    try:
        return _DIALECTS[engine.dialect.name]
    except KeyError:
        raise WorkspaceError(f"Aleat doesn't live in {engine.dialect.name}, only in SQLite and PostgreSQL.") from None


def check_url(url: str) -> str:
    """Return the URL of a workspace's PostgreSQL database as it is recorded; raises `WorkspaceError`.

    A password in it is refused: libpq reads one from $PGPASSWORD, ~/.pgpass or a service file.
    """
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        raise WorkspaceError("That is no URL of a database. Write postgresql://USER@HOST/DATABASE.") from None
    if parsed.get_backend_name() != "postgresql":
        raise WorkspaceError("That is no URL of a PostgreSQL database. Write postgresql://USER@HOST/DATABASE.")
    if parsed.password is not None or "password" in parsed.query:
        raise WorkspaceError("The database's URL holds a password. Put that into $PGPASSWORD or ~/.pgpass.")
    return parsed.set(drivername="postgresql+psycopg").render_as_string()


def _configure_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # SQLAlchemy's begin is ours: see begin()
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute(f"PRAGMA busy_timeout={_BUSY_SECONDS * 1000}")
    cursor.execute(f"PRAGMA cache_size={-_CACHE_KIB}")
    cursor.close()


def _configure_postgresql(_connection: Any, record: Any) -> None:
    from aleat.store.postgres_text import carry_nulls  # noqa: PLC0415

    server = record.driver_connection
    server.execute("SET synchronous_commit = on")
    server.execute("SET timezone = 'UTC'")
    server.commit()
    carry_nulls(server)


def _shown(url: sa.URL) -> str:
    return url.set(query={}).render_as_string(hide_password=True)
