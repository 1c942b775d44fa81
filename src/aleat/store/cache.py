"""Files that can always be made again: read whole or not at all, written so that nobody sees half of one."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["read_cached", "write_cached"]


def read_cached(folder: Path, name: str, *, max_bytes: int = 2**30) -> bytes | None:
    """Return the cached file's bytes; None where there is none, or it can't be read or is too large."""
    try:
        with (folder / name).open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError:
        return None
    return data if len(data) <= max_bytes else None


def write_cached(folder: Path, name: str, data: bytes) -> bool:
    """Put a file into the cache, under a temporary name first; return False where that can't be done."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        waiting = folder / f"{name}.{os.getpid()}.part"
        waiting.write_bytes(data)
        waiting.replace(folder / name)
    except OSError:
        return False
    return True
