"""One writer at a time: a lock that the operating system drops when its holder dies, on every platform.

It is an exclusive transaction on an SQLite file of its own, so it needs no POSIX call and leaves nothing
behind that has to be cleaned up after a kill.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aleat.errors import WorkspaceBusyError, WorkspaceError

__all__ = ["writer_lock"]


@contextmanager
def writer_lock(path: Path, patience: float = 0.0) -> Iterator[None]:
    """Hold the lock at `path`; raises `WorkspaceBusyError` if another process holds it for `patience` seconds.

    Raises `WorkspaceError` where the disk refuses the file.
    """
    try:
        connection = sqlite3.connect(path, timeout=patience, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise WorkspaceError(f"{path} can't be opened: {error}.") from error
    try:
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise WorkspaceError(f"{path} can't be locked: {error}.") from error
            raise WorkspaceBusyError(
                f"Another process is writing to the workspace {path.parent}. Wait for it, or end it."
            ) from error
        yield
    finally:
        connection.close()
