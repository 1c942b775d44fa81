"""The bytes of a file that is evidence as a whole, opened again: where it lay when it came in, or in the copy."""

from __future__ import annotations

import gzip
import hashlib
import zipfile
from collections.abc import Sequence
from typing import BinaryIO

from aleat.errors import InputError, Place
from aleat.evidence.opener import Source
from aleat.evidence.readers.file import FILE_BYTES

__all__ = ["read_content"]


def read_content(sources: Sequence[Source], sha256: str) -> bytes:
    """Return the bytes with this SHA-256 from the first of `sources` that has them; raises `InputError` where none has.

    The error's code is "absent" where no file is there, "changed" where those that are hold other bytes.
    """
    found = False
    for source in sources:
        try:
            with source.stream() as stream:
                data = _read(stream)
        except (OSError, EOFError, InputError, zipfile.BadZipFile, gzip.BadGzipFile, KeyError, RuntimeError):
            continue
        found = True
        if hashlib.sha256(data).hexdigest() == sha256:
            return data
    path = sources[0].path if sources else ""
    if found:
        error = InputError(
            "The file was changed since it was added; YARA rules were not evaluated in it.",
            Place(path),
            advice="Add it again.",
        )
        error.code = "changed"
    else:
        error = InputError(
            "The file is absent: it can't be opened where it lay when it was added; "
            "YARA rules were not evaluated in it.",
            Place(path),
            advice="Put it back, or add it again with --copy.",
        )
        error.code = "absent"
    raise error


def _read(stream: BinaryIO) -> bytes:
    pieces, left = [], FILE_BYTES + 1
    while left and (block := stream.read(left)):
        pieces.append(block)
        left -= len(block)
    return b"".join(pieces)
