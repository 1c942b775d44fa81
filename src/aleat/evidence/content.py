"""The original bytes of evidence, opened again: where it lay when it came in, or in the copy; always by their hash."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import BinaryIO

from aleat.errors import InputError, Place
from aleat.evidence.opener import Source
from aleat.evidence.readers.file import FILE_BYTES

__all__ = ["read_content", "read_original"]

_BLOCK = 1024 * 1024


def read_content(sources: Sequence[Source], sha256: str) -> bytes:
    """Return the bytes with this SHA-256 from the first of `sources` that has them; raises `InputError` where none has.

    The error's code is "absent" where no file is there, "changed" where those that are hold other bytes.
    """
    longest = max(FILE_BYTES, *(source.size or 0 for source in sources)) if sources else 0
    return _read_first(sources, 0, longest + 1, sha256, "YARA rules were not evaluated in it")


def read_original(sources: Sequence[Source], start: int, end: int, sha256: str) -> bytes:
    """Return bytes `start` to `end` of the innermost stream, with this SHA-256; errors as `read_content`'s."""
    return _read_first(sources, start, end, sha256, "its original bytes can't be shown")


def _read_first(sources: Sequence[Source], start: int, end: int, sha256: str, consequence: str) -> bytes:
    found = locked = False
    for source in sources:
        try:
            with source.stream() as stream:
                data = _read(stream, start, end)
        except (OSError, InputError) as fault:
            locked |= isinstance(fault, InputError) and fault.code == "encrypted"
            continue
        found = True
        if hashlib.sha256(data).hexdigest() == sha256:
            return data
    path = sources[0].path if sources else ""
    if found:
        reason = f"The file was changed since it was added; {consequence}."
        error = InputError(reason, Place(path), advice="Add it again.")
        error.code = "changed"
    elif locked:
        reason = f"The file lies in an encrypted archive, whose password isn't kept; {consequence}."
        error = InputError(reason, Place(path), advice="Unpack the archive, and add its files.")
        error.code = "absent"
    else:
        reason = f"The file is absent: it can't be opened where it lay when it was added; {consequence}."
        error = InputError(reason, Place(path), advice="Put it back, or add it again with --copy.")
        error.code = "absent"
    raise error


def _read(stream: BinaryIO, start: int, end: int) -> bytes:
    """Return bytes `start` to `end` of a stream at its beginning, which may not be able to seek."""
    if start and stream.seekable():
        stream.seek(start)
    else:
        left = start
        while left and (block := stream.read(min(left, _BLOCK))):
            left -= len(block)
    pieces, left = [], end - start
    while left and (block := stream.read(left)):
        pieces.append(block)
        left -= len(block)
    return b"".join(pieces)
