"""Steps that take a database from one format to the next; each bears being repeated after it was cut off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa

from aleat.errors import Place, WorkspaceError
from aleat.stix.columns import columns_of
from aleat.stix.objects import restore_object
from aleat.stix.times import parse_timestamp
from aleat.store.database import Database
from aleat.store.objects import ObjectWriter, Provenance

__all__ = ["add_custody", "share_provenance"]

_ROWS = 4_000


def add_custody(path: Path) -> None:
    """Take the database at `path` from format 1 to 2, in one transaction: new columns, then what tables are missing."""
    if not path.is_file():
        raise WorkspaceError(f"{path} is missing. Bring it back from a backup.")
    database = Database.at(path)
    try:
        with database.write() as connection:
            _add_columns(connection, "sources", {"collector": "BLOB", "forgotten": "VARCHAR"})
            if _add_columns(connection, "evidence_issues", {"segment": "VARCHAR"}):
                connection.exec_driver_sql("UPDATE evidence_issues SET segment = '' WHERE source IS NOT NULL")
        database.create_tables()
    finally:
        database.close()


def _add_columns(connection: sa.Connection, table: str, columns: dict[str, str]) -> bool:
    """Add those columns that aren't there yet, and say whether any was."""
    there = {column["name"] for column in sa.inspect(connection).get_columns(table)}
    new = [f"{name} {kind}" for name, kind in columns.items() if name not in there]
    for column in new:
        connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN {column}")
    return bool(new)


def share_provenance(path: Path) -> None:
    """Take the database at `path` from format 2 to 3, in one transaction: what many objects share in small tables."""
    if not path.is_file():
        raise WorkspaceError(f"{path} is missing. Bring it back from a backup.")
    database = Database.at(path)
    try:
        with database.write() as connection:
            if not sa.inspect(connection).has_table("provenance"):
                return
            for index in ("objects_by_version", "ix_objects_type"):
                connection.exec_driver_sql(f"DROP INDEX IF EXISTS {index}")
            connection.exec_driver_sql("ALTER TABLE objects RENAME TO objects_2")
            database.create_tables(connection)
            _copy_objects(connection)
            for table in ("provenance", "objects_2"):
                connection.exec_driver_sql(f"DROP TABLE {table}")
    finally:
        database.close()


def _copy_objects(connection: sa.Connection) -> None:
    """Put every content, then every copy, in the order in which they came."""
    writer = ObjectWriter(connection)
    old = sa.text("SELECT raw, digest FROM objects_2 ORDER BY seq")
    numbers: dict[str, int] = {}
    for part in connection.execute(old).partitions(_ROWS):
        items = [restore_object(row.raw, row.digest) for row in part]
        numbers.update(zip((row.digest for row in part), writer.put_contents(columns_of(items)), strict=True))
    given = sa.text("SELECT * FROM provenance ORDER BY seq")
    for part in connection.execute(given).partitions(_ROWS):
        writer.put_copies([numbers[row.digest] for row in part], [_provenance(row) for row in part])
    writer.close()


def _provenance(row: sa.Row[tuple[Any, ...]]) -> Provenance:
    """Return a copy as format 2 kept it."""
    return Provenance(
        giver=row.giver,
        received=parse_timestamp(row.received),
        markings=tuple(orjson.loads(row.markings)),
        originator=row.originator,
        agreement=row.agreement,
        source=Place(row.path, row.line, row.column, row.offset),
        corpus=row.corpus,
        corpus_basis=row.corpus_basis,
    )
