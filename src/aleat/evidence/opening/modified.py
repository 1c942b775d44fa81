"""When a source was last written: its file's modification time, or what the archive says of the member it lies in."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

__all__ = ["modified_of"]

_GZIP_HEAD = struct.Struct("<2sBBI")


def modified_of(file: Path, members: Sequence[str] = ()) -> float | None:
    """Return seconds since 1970 of the last change of what lies in `file`, or None where nothing says it.

    A zip's times have no zone and are taken as UTC; a gzip file has its content's time in its head, unless it was
    packed from a stream. Of nested archives the outer one's word counts; other archives have the file's time.
    """
    try:
        if members and members[0]:
            with zipfile.ZipFile(file) as archive:
                return datetime(*archive.getinfo(members[0]).date_time, tzinfo=UTC).timestamp()
        if members:
            with file.open("rb") as stream:
                magic, _, _, packed = _GZIP_HEAD.unpack(stream.read(_GZIP_HEAD.size))
            if magic == b"\x1f\x8b" and packed:
                return float(packed)
    except (OSError, ValueError, KeyError, struct.error, zipfile.BadZipFile):
        pass
    try:
        return file.stat().st_mtime
    except OSError:
        return None
