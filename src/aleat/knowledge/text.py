"""Bytes to text, saying so where it had to be guessed."""

from __future__ import annotations

import codecs

from aleat.errors import Issue, Place

__all__ = ["decode_text", "guess_issues"]

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decode_text(data: bytes) -> tuple[str, str | None]:
    """Return the text of `data`, and the code page that was assumed where it is no UTF-8 (else None).

    Assumed is Windows-1252, which has the letters of Albanian, German, French and Italian; a byte that it
    doesn't have becomes U+FFFD.

    >>> decode_text(b"Tiran\\xeb")
    ('Tiranë', 'windows-1252')
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding, "replace"), None
    try:
        return data.decode(), None
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace"), "windows-1252"


def guess_issues(guessed: str | None, path: str) -> tuple[Issue, ...]:
    """Return the note that a file's code page was assumed, where it was (see `decode_text`)."""
    if guessed is None:
        return ()
    return (Issue("knowledge", "encoding", Place(path), f"The file is no UTF-8; it was read as {guessed}."),)
