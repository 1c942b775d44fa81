"""What is prepared from a list once and opened again later: a cache, always to be made again, never believed blindly.

A file in ``cache/`` belongs to a row that has its SHA-256; both are named by the list's digest and by the version
of what prepared it. A file without a row, of another size or with another hash, is as good as none.
"""

from __future__ import annotations

import hashlib
import mmap
from pathlib import Path

import sqlalchemy as sa

from aleat.store.cache import write_cached
from aleat.store.database import Database, metadata

__all__ = ["open_prepared", "put_prepared"]

prepared_lists = sa.Table(
    "prepared_lists",
    metadata,
    sa.Column("digest", sa.String, primary_key=True),
    sa.Column("version", sa.String, primary_key=True),
    sa.Column("file_sha256", sa.String, nullable=False),
)

_FOLDER = "cache"


def put_prepared(database: Database, root: Path, digest: str, version: str, data: bytes) -> bool:
    """Keep what was prepared from the list `digest`; return False where that can't be done."""
    if not write_cached(root / _FOLDER, _name(digest, version), data):
        return False
    with database.write() as connection:
        prepared_lists.create(connection, checkfirst=True)
        key = (prepared_lists.c.digest == digest) & (prepared_lists.c.version == version)
        connection.execute(sa.delete(prepared_lists).where(key))
        row = {"digest": digest, "version": version, "file_sha256": hashlib.sha256(data).hexdigest()}
        connection.execute(prepared_lists.insert(), row)
    return True


def open_prepared(database: Database, root: Path, digest: str, version: str) -> memoryview | None:
    """Return what was prepared from the list `digest`, mapped from its file; None where there is nothing sound."""
    with database.read() as connection:
        if not sa.inspect(connection).has_table(prepared_lists.name):
            return None
        key = (prepared_lists.c.digest == digest) & (prepared_lists.c.version == version)
        wanted = connection.execute(sa.select(prepared_lists.c.file_sha256).where(key)).scalar()
    if wanted is None:
        return None
    try:
        with (root / _FOLDER / _name(digest, version)).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != wanted:
                return None
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError):
        return None


def _name(digest: str, version: str) -> str:
    return f"{digest}.{version}.list"
