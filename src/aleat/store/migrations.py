"""Steps that take a database from one format to the next; each bears being repeated after it was cut off."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from aleat.errors import WorkspaceError
from aleat.store.database import Database

__all__ = ["add_custody"]


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
