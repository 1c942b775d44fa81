"""What opening may cost: every limit has a name, which stands in the message of what it stopped."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import TypeVar, cast

from aleat.errors import InputError, LimitError, Place

__all__ = ["FILE_BYTES", "READ_BEFORE", "Budget", "Limits", "change_limits", "limit_advice"]

FILE_BYTES = 32 * 1024 * 1024
"""`file_bytes`: larger files are named, and not taken. Programs and documents that attack are smaller (the scanners
that teams use stop at 5 to 30 MB), and a file is held in memory as a whole, several at a time with several workers."""

_VALUE = re.compile(r"([0-9][0-9_]*)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}


@dataclass(frozen=True, slots=True)
class Limits:
    """What the opener allows; sizes in bytes. `change_limits` raises them by name.

    `expansion_ratio` is how many times its own size a file on disk may unpack to, with all archives inside it, once
    it is beyond `expansion_free_bytes`; `expanded_bytes` holds whatever the ratio. `decoder_bytes` is the memory that
    a decompressor's dictionary may take; `password_rounds` how often an archive may have a password hashed.
    `place_seconds` is how long a server may be silent, `place_total_seconds` how long one object may take.
    """

    files: int = 1_000_000
    file_bytes: int = FILE_BYTES
    archive_members: int = 100_000
    archive_directory_bytes: int = 64 * 1024 * 1024
    archive_depth: int = 6
    expansion_ratio: int = 250
    expansion_free_bytes: int = 1024**3
    expanded_bytes: int = 1024**4
    decoder_bytes: int = 256 * 1024 * 1024
    password_rounds: int = 2**24
    place_bytes: int = 256 * 1024**3
    place_objects: int = 100_000
    place_redirects: int = 5
    place_seconds: int = 60
    place_total_seconds: int = 12 * 3600
    image_bytes: int = 1024**4
    image_seconds: int = 6 * 3600

    def allowed_bytes(self, compressed: int) -> int:
        """Return how many bytes may come out of `compressed` ones."""
        return min(self.expanded_bytes, max(self.expansion_free_bytes, self.expansion_ratio * compressed))


READ_BEFORE = Limits(
    file_bytes=1024**4,
    archive_members=10**9,
    archive_directory_bytes=1024**3,
    archive_depth=64,
    expansion_ratio=10**6,
    decoder_bytes=1024**3,
)
"""For what was read once, within the limits of then, and is opened again by its hash."""


_L = TypeVar("_L", bound=Limits)


def change_limits(changes: Iterable[str], limits: _L | None = None) -> _L:
    """Return `limits` with those changed that `changes` name, as ``NAME=VALUE``; raises `InputError`.

    >>> change_limits(["archive_members=1_000_000", "decoder_bytes=1G"]).decoder_bytes
    1073741824
    """
    found = cast("_L", limits or Limits())
    known = {field.name for field in fields(found) if isinstance(getattr(found, field.name), int)}
    for change in changes:
        name, _, text = (part.strip() for part in change.partition("="))
        if name not in known:
            advice = f"There are {', '.join(sorted(known))}."
            raise InputError(f"There is no limit called {name[:40]!r}.", advice=advice)
        match = _VALUE.fullmatch(text)
        if match is None or len(match[1]) > 20:
            advice = f"Write {name}=1000000, or a size like {name}=4G."
            raise InputError(f"{text[:40]!r} is no value for the limit {name}.", advice=advice)
        found = replace(found, **{name: int(match[1]) * _UNITS[match[2].upper()]})
    return found


def limit_advice(name: str) -> str:
    """Return what to do where the limit `name` stops something that is trusted."""
    return f"If you trust it, raise the limit: --limit {name}=VALUE."


class Budget:
    """How many bytes may still come out of one file on disk, all decompressors inside it together."""

    def __init__(self, limits: Limits, compressed: int) -> None:
        self.total = self.left = limits.allowed_bytes(compressed)
        self.name = "expanded_bytes" if self.total == limits.expanded_bytes else "expansion_ratio"

    def spend(self, amount: int, path: str) -> None:
        """Count `amount` bytes; raises `LimitError` where there are none left."""
        self.left -= amount
        if self.left < 0:
            raise self.spent(path)

    def spent(self, path: str) -> LimitError:
        """Return what is said where the limit is reached."""
        reason = f"More than {self.total} bytes come out of this archive (limit: {self.name})."
        return LimitError(reason, Place(path), advice=limit_advice(self.name))
