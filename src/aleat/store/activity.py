"""What a segment says of when its logs were written, kept so that it is worked out once: a cache, bound to the file."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from aleat.store.database import Database, metadata

__all__ = ["put_activity", "read_activity"]

segment_activity = sa.Table(
    "segment_activity",
    metadata,
    sa.Column("segment", sa.String, primary_key=True),
    sa.Column("file_sha256", sa.String, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
)


def read_activity(database: Database, version: int) -> dict[tuple[str, str], bytes]:
    """Return what is known, by (segment, its file's SHA-256)."""
    with database.read() as connection:
        if not sa.inspect(connection).has_table(segment_activity.name):
            return {}
        query = sa.select(segment_activity).where(segment_activity.c.version == version)
        return {(row.segment, row.file_sha256): row.data for row in connection.execute(query)}


def put_activity(database: Database, version: int, rows: Sequence[tuple[str, str, bytes]]) -> None:
    """Keep (segment, its file's SHA-256, data) rows in place of what was there."""
    with database.write() as connection:
        segment_activity.create(connection, checkfirst=True)
        for segment, file_sha256, data in rows:
            connection.execute(sa.delete(segment_activity).where(segment_activity.c.segment == segment))
            values = {"segment": segment, "file_sha256": file_sha256, "version": version, "data": data}
            connection.execute(segment_activity.insert(), values)
