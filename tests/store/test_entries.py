"""The rows of lists: content-addressed files that belong to rows in the database."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from aleat.errors import IntegrityError
from aleat.stix.entries import ENTRY_SCHEMA, empty_entries, entries_digest
from aleat.store.database import Database
from aleat.store.entries import put_entries, read_entries, verify_entries


def table(*values: str) -> pa.Table:
    records = [
        {"type": "text", "value": value, "context": "", "line": line, "count": 1}
        for line, value in enumerate(values, 1)
    ]
    return pa.Table.from_pylist(records, schema=ENTRY_SCHEMA)


def test_rows_come_back_as_they_went_in(database: Database, tmp_path: Path) -> None:
    """Under their digest; the same rows are one file."""
    for entries in (table("a", "ë", ""), empty_entries()):
        with database.write() as connection:
            digest = put_entries(connection, tmp_path, entries)
            assert put_entries(connection, tmp_path, entries) == digest == entries_digest(entries)
        assert read_entries(tmp_path, digest).equals(entries)
    assert len(list((tmp_path / "lists").iterdir())) == 2


def test_what_was_not_committed_is_done_again(database: Database, tmp_path: Path) -> None:
    """A file without a row is harmless."""

    def interrupted() -> None:
        with database.write() as connection:
            put_entries(connection, tmp_path, table("a"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with database.write() as connection:
        digest = put_entries(connection, tmp_path, table("a"))
    with database.read() as connection:
        assert list(verify_entries(connection, tmp_path)) == []
    assert read_entries(tmp_path, digest).num_rows == 1


@pytest.mark.parametrize(("fault", "reason"), [("changed", "changed"), ("cut", "changed"), ("gone", "can't be read")])
def test_a_damaged_file_is_found(database: Database, tmp_path: Path, fault: str, reason: str) -> None:
    """One byte changed, cut off, or absent."""
    with database.write() as connection:
        digest = put_entries(connection, tmp_path, table("a", "b"))
    path = tmp_path / "lists" / f"{digest}.parquet"
    data = path.read_bytes()
    if fault == "gone":
        path.unlink()
    else:
        path.write_bytes(data[:-1] if fault == "cut" else data[:9] + bytes([data[9] ^ 1]) + data[10:])
    with database.read() as connection:
        assert [reason in found.reason for found in verify_entries(connection, tmp_path)] == [True]
    if fault != "changed":
        with pytest.raises(IntegrityError, match="rows of an indicator list"):
            read_entries(tmp_path, digest)
