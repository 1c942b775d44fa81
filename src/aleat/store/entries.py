"""Where the rows of indicator lists are kept: one Parquet file for one content, in the folder `lists/`.

A file is written under a temporary name, synced and renamed before its row is added in the caller's
transaction: a file without a row is harmless, a row without its file can't be.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from aleat.errors import IntegrityError
from aleat.stix.entries import ENTRY_SCHEMA, entries_digest
from aleat.store.database import metadata
from aleat.store.files import replacing

__all__ = ["EntryFault", "put_entries", "read_entries", "verify_entries"]

entry_lists = sa.Table(
    "entry_lists",
    metadata,
    sa.Column("digest", sa.String, primary_key=True),
    sa.Column("rows", sa.Integer, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("file_sha256", sa.String, nullable=False),
)


class EntryFault(msgspec.Struct, frozen=True):
    """A list's file that no longer fits what was recorded."""

    digest: str
    reason: str


def put_entries(connection: sa.Connection, root: Path, entries: pa.Table) -> str:
    """Keep `entries` (`aleat.stix.entries.ENTRY_SCHEMA`) under `root`/lists and return their digest."""
    entries = entries.cast(ENTRY_SCHEMA)
    digest = entries_digest(entries)
    if connection.execute(sa.select(entry_lists.c.digest).where(entry_lists.c.digest == digest)).first():
        return digest
    folder = root / "lists"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{digest}.parquet"
    with replacing(path) as temporary:
        pq.write_table(entries, temporary, compression="zstd")
        with temporary.open("rb") as file:
            file_sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
    row = {"digest": digest, "rows": entries.num_rows, "size": size, "file_sha256": file_sha256}
    connection.execute(entry_lists.insert(), row)
    return digest


def read_entries(root: Path, digest: str) -> pa.Table:
    """Return the entries with that digest; raises `IntegrityError` where their file is absent or broken."""
    path = root / "lists" / f"{digest}.parquet"
    try:
        return pq.read_table(path, memory_map=False).cast(ENTRY_SCHEMA)
    except FileNotFoundError:
        raise IntegrityError(
            f"The rows of an indicator list are absent: {path.name} is not in {path.parent}."
        ) from None
    except (pa.ArrowException, OSError) as error:
        raise IntegrityError(f"{path}: the rows of an indicator list can't be read: {error}.") from None


def verify_entries(connection: sa.Connection, root: Path) -> Iterator[EntryFault]:
    """Yield every list whose file is absent or changed."""
    for row in connection.execute(sa.select(entry_lists).order_by(entry_lists.c.digest)):
        path = root / "lists" / f"{row.digest}.parquet"
        try:
            with path.open("rb") as file:
                actual = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            yield EntryFault(row.digest, f"its file can't be read: {error.strerror}")
            continue
        if actual != row.file_sha256:
            yield EntryFault(row.digest, "its file was changed (hash differs)")
