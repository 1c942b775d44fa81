"""Files that are whole or not there: written beside their place, synced, put in place, and the folder synced.

After a crash of the process or of the machine a file is what it was before, or all that was written; what a
kill leaves under the temporary name is written over the next time.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

__all__ = ["place_file", "replacing", "sync_file", "sync_files", "sync_folder", "temporary_path", "write_file"]

_SYNCED_TOGETHER = 8


def temporary_path(path: Path) -> Path:
    """Return where what will be `path` is written first."""
    return path.with_name(f".{path.name}.part")


@contextmanager
def replacing(path: Path, *, synced: bool = True) -> Iterator[Path]:
    """Yield where to write what becomes `path` when the block ends well; otherwise nothing of it is left.

    Where it is not `synced`, the caller does that (`sync_files`) before anything says that the file is there.
    """
    temporary = temporary_path(path)
    try:
        yield temporary
        if synced:
            sync_file(temporary)
            place_file(temporary, path)
        else:
            temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_file(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def place_file(temporary: Path, path: Path) -> None:
    """Give a synced file its name, and make that durable."""
    temporary.replace(path)
    sync_folder(path.parent)


def sync_file(path: Path) -> None:
    """Make what was written to a file durable; it is opened for writing, as Windows asks."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def sync_files(paths: Collection[Path]) -> None:
    """Make many files durable, and their names: together, so that the disk waits for few of them."""
    if paths:
        with ThreadPoolExecutor(_SYNCED_TOGETHER) as pool:
            list(pool.map(sync_file, paths))
    for folder in {path.parent for path in paths}:
        sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` durable, where the system has a way to."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
