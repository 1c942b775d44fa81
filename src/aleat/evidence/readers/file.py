"""Files that are no logs: one record that says what the file is, so that it can be hunted for and kept in custody.

A record has the fields ``name`` and ``extension`` (with its dot, in lower case; absent where there is none) as
`ReadOptions.name` says, ``size`` in bytes, ``md5``, ``sha1``, ``sha256`` (hex), and ``type``, a short word for what the
first bytes are the mark of (`file_types.toml`; absent for all else). It has no time: bytes carry none. The bytes
themselves are not kept, but hunted in by YARA rules (`aleat.hunt.yara_hunt`): here, or later through the opener.

The reader is never asked what it recognises: the opener gives it what no other reader knows, where files are wanted.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator
from functools import lru_cache
from importlib import resources
from typing import Any, BinaryIO

import numpy as np

from aleat.errors import LimitError, Place
from aleat.evidence.columns import NO_TIME, TableBuilder
from aleat.evidence.head import Head
from aleat.evidence.reader import ByteRange, RangeResult, ReadOptions
from aleat.opening.limits import FILE_BYTES

__all__ = ["FILE_BYTES", "FILE_FORMAT", "FileReader", "extension_of", "file_type", "too_large"]

FILE_FORMAT = "file"


class FileReader:
    """Makes one record of a whole file."""

    name = FILE_FORMAT
    version = 1
    local_times = False

    def detect(self, head: Head) -> bool:
        """Say no: what is no log is known only when all others have said no."""
        return False

    def cut(self, stream: BinaryIO, head: bytes, options: ReadOptions) -> Iterator[tuple[ByteRange, bytes]]:
        """Yield the whole file as one range; raises `LimitError` where it is larger than `ReadOptions.file_bytes`."""
        limit = FILE_BYTES if options.file_bytes is None else options.file_bytes
        pieces, left = [], limit + 1
        while left and (block := stream.read(left)):
            pieces.append(block)
            left -= len(block)
        if not left:
            raise too_large(options.name or "", limit)
        data = b"".join(pieces)
        yield ByteRange(0, 0, len(data), {}), data

    def read(self, data: bytes, span: ByteRange, path: str, options: ReadOptions) -> RangeResult:
        """Return the file's one record."""
        name = options.name or ""
        cells: dict[str, Any] = {
            "name": name,
            "extension": extension_of(name),
            "type": file_type(data),
            "md5": hashlib.md5(data, usedforsecurity=False).hexdigest(),
            "sha1": hashlib.sha1(data, usedforsecurity=False).hexdigest(),
            "sha256": hashlib.sha256(data).hexdigest(),
        }
        builder = TableBuilder()
        start = builder.extend(
            records=[0],
            offsets=[0],
            times=np.array([NO_TIME]),
            time_texts=[None],
            hosts=[options.host],
            providers=[None],
            event_ids=[None],
        )
        for field, text in cells.items():
            if text:
                builder.add_texts(start, field, [text])
        builder.add_texts(start, "size", [str(len(data))], numeric=True)
        return RangeResult([(FILE_FORMAT, "", builder.finish())])


def too_large(path: str, limit: int = FILE_BYTES) -> LimitError:
    """Return what is said of a file that is over the limit."""
    reason = f"The file is no log that a reader knows, and larger than {limit} bytes (limit: file_bytes)"
    advice = "Raise the limit (--limit file_bytes=VALUE), or hunt in it with another tool."
    return LimitError(f"{reason}; it is not taken as a file.", Place(path), advice=advice)


def extension_of(name: str) -> str:
    """Return a file name's extension with its dot, in lower case; the empty text where there is none.

    >>> extension_of("Invoice.PDF"), extension_of(".profile"), extension_of("a")
    ('.pdf', '', '')
    """
    head, dot, extension = name.rpartition(".")
    return f".{extension.lower()}" if dot and head and extension else ""


def file_type(data: bytes) -> str:
    """Return a short word for what `data` begins like, or the empty text.

    >>> file_type(b"%PDF-1.7"), file_type(b"plain text")
    ('PDF', '')
    """
    for word, mark in _marks():
        if data.startswith(mark):
            return word
    return ""


@lru_cache(maxsize=1)
def _marks() -> tuple[tuple[str, bytes], ...]:
    text = resources.files("aleat.evidence").joinpath("readers/file_types.toml").read_text("utf-8")
    table: dict[str, list[str]] = tomllib.loads(text)["marks"]
    return tuple((word, bytes.fromhex(mark)) for word, marks in table.items() for mark in marks)
