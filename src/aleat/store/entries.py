"""Where the rows of indicator lists are kept: one Parquet file for one content, in the folder `lists/`.

A file is written under a temporary name and renamed before its row is added in the caller's transaction, and synced
before that ends: a file without a row is harmless, a row without its file can't be. A list may have millions of rows:
`EntryRows` hands them out by blocks, and single ones when they are asked for.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from aleat.errors import IntegrityError
from aleat.stix.entries import ENTRY_SCHEMA, entries_digest
from aleat.store.entry_lists import EntryFault, entry_lists, list_digests
from aleat.store.files import replacing

__all__ = [
    "EntryRows",
    "StoredRows",
    "list_digests",
    "put_entries",
    "read_entries",
    "stored_rows",
    "verify_entries",
]

_GROUP_ROWS = 65_536  # of a file, read together
_KEPT_GROUPS = 16  # decoded ones: a million rows in all
_BLOCK_ROWS = 262_144


def put_entries(connection: sa.Connection, root: Path, entries: pa.Table, unsynced: list[Path] | None = None) -> str:
    """Keep `entries` (`aleat.stix.entries.ENTRY_SCHEMA`) under `root`/lists and return their digest.

    Whoever keeps many lists hands in `unsynced`: the files' paths are put there, and are to be synced (`sync_files`)
    before the transaction ends.
    """
    entries = entries.cast(ENTRY_SCHEMA)
    digest = entries_digest(entries)
    if connection.execute(sa.select(entry_lists.c.digest).where(entry_lists.c.digest == digest)).first():
        return digest
    folder = root / "lists"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{digest}.parquet"
    with replacing(path, synced=unsynced is None) as temporary:
        pq.write_table(entries, temporary, compression="zstd", row_group_size=_GROUP_ROWS)
        with temporary.open("rb") as file:
            file_sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
    if unsynced is not None:
        unsynced.append(path)
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


class EntryRows:
    """The rows of one list, by number (from 0), wherever they are. Equal where their content is.

    `digest` is `aleat.stix.entries.entries_digest` of the rows, `count` how many there are.
    """

    def __init__(self, table: pa.Table, digest: str) -> None:
        self.digest = digest
        self.count: int = table.num_rows
        self._batches = [pa.Table.from_batches([batch]) for batch in table.to_batches(max_chunksize=_BLOCK_ROWS)]
        self._starts = _starts([batch.num_rows for batch in self._batches])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EntryRows) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"EntryRows({self.digest[:12]}, {self.count})"

    def blocks(self) -> Iterator[pa.Table]:
        """Yield all rows in order, some at a time."""
        yield from self._batches

    def take(self, rows: Sequence[int]) -> list[tuple[str, str, str]]:
        """Return (type, value, context) of some rows."""
        found: list[tuple[str, str, str]] = []
        for row in rows:  # not `take`, which joins all chunks first
            at = int(np.searchsorted(self._starts, row, "right")) - 1
            found += _triples(self._batches[at].slice(row - int(self._starts[at]), 1))
        return found

    def check(self) -> None:
        """Raise `IntegrityError` where the rows aren't those of the digest any more."""


class StoredRows(EntryRows):
    """The rows of a list in a workspace; nothing is read before it is asked for. Passes between processes."""

    def __init__(self, root: Path, digest: str, count: int, file_sha256: str) -> None:
        self.root = root
        self.digest = digest
        self.count = count
        self._file_sha256 = file_sha256
        self._file: pq.ParquetFile | None = None
        self._starts = _starts([])
        self._groups: OrderedDict[int, pa.Table] = OrderedDict()

    def __reduce__(self) -> tuple[Any, ...]:
        return StoredRows, (self.root, self.digest, self.count, self._file_sha256)

    def blocks(self) -> Iterator[pa.Table]:
        """Yield all rows in order, some at a time; raises `IntegrityError` where the file isn't what was stored."""
        self.check()
        try:
            for batch in self._opened().iter_batches(_BLOCK_ROWS):
                yield pa.Table.from_batches([batch])
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(_path(self.root, self.digest), error) from None

    def take(self, rows: Sequence[int]) -> list[tuple[str, str, str]]:
        """Return (type, value, context) of some rows; raises `IntegrityError` where they can't be read."""
        self._opened()
        found: list[tuple[str, str, str]] = []
        for row in rows:
            group = int(np.searchsorted(self._starts, row, "right")) - 1
            found += _triples(self._group(group).slice(row - int(self._starts[group]), 1))
        return found

    def check(self) -> None:
        """Raise `IntegrityError` where the file is not the one that was stored."""
        path = _path(self.root, self.digest)
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise _unreadable(path, error) from None
        if found != self._file_sha256:
            raise IntegrityError(f"{path}: the rows of an indicator list were changed (hash differs).")

    def _opened(self) -> pq.ParquetFile:
        if self._file is None:
            path = _path(self.root, self.digest)
            try:
                self._file = pq.ParquetFile(path, memory_map=False)
            except (pa.ArrowException, OSError) as error:
                raise _unreadable(path, error) from None
            meta = self._file.metadata
            counts = [meta.row_group(number).num_rows for number in range(meta.num_row_groups)]
            self._starts = _starts(counts)
        return self._file

    def _group(self, number: int) -> pa.Table:
        table = self._groups.get(number)
        if table is None:
            try:
                table = self._opened().read_row_group(number, columns=["type", "value", "context"])
            except (pa.ArrowException, OSError) as error:
                raise _unreadable(_path(self.root, self.digest), error) from None
            self._groups[number] = table
            while len(self._groups) > _KEPT_GROUPS:
                self._groups.popitem(last=False)
        self._groups.move_to_end(number)
        return table


def stored_rows(connection: sa.Connection, root: Path, digest: str) -> StoredRows:
    """Return the rows with that digest, unread; raises `IntegrityError` where there are none, or no such file."""
    row = connection.execute(sa.select(entry_lists).where(entry_lists.c.digest == digest)).first()
    path = _path(root, digest)
    if row is None or not path.is_file():
        raise IntegrityError(f"The rows of an indicator list are absent: {path.name} is not in {path.parent}.")
    return StoredRows(root, digest, row.rows, row.file_sha256)


def _starts(counts: Sequence[int]) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)


def _triples(table: pa.Table) -> list[tuple[str, str, str]]:
    columns = [table.column(name).cast(pa.string()).to_pylist() for name in ("type", "value", "context")]
    return list(zip(*columns, strict=True))


def _path(root: Path, digest: str) -> Path:
    return root / "lists" / f"{digest}.parquet"


def _unreadable(path: Path, error: Exception) -> IntegrityError:
    return IntegrityError(f"{path}: the rows of an indicator list can't be read: {error}.")


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
