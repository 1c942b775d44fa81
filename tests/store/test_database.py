"""The database's connections."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import sqlalchemy as sa

from aleat.store.database import Database


def test_who_reads_may_begin_to_read_once_more(tmp_path: Path) -> None:
    """However many do at once: nobody waits for a connection that is held by who waits for one."""
    opened = Database.at(tmp_path / "aleat.db")
    count = 40
    together = threading.Barrier(count, timeout=20)

    def read_twice(_: int) -> int:
        with opened.read() as outer:
            together.wait()
            with opened.read() as inner:
                return int((outer.scalar(sa.text("SELECT 1")) or 0) + (inner.scalar(sa.text("SELECT 1")) or 0))

    with ThreadPoolExecutor(count) as threads:
        assert list(threads.map(read_twice, range(count))) == [2] * count
    opened.close()
