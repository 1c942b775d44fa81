"""What stands encoded in a text: base64 (UTF-8, and the UTF-16 of PowerShell's commands), hex, percent signs, escapes.

An encoded name is still told to whoever can decode it, so that the gate looks through texts as any of these tools
reads them. Linear in the text's length: each run is decoded once, and what it says once more.

It doesn't decrypt, decompress, or undo an encoding of somebody's own.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from urllib.parse import unquote

__all__ = ["readings_of"]

# Lines of base64 (MIME's, PEM's) are one run; a run is long enough to hold twelve bytes. A hyphen, which the URL-safe
# kind has for what no letter makes, parts two: every id would be a run otherwise.
_RUN = re.compile(r"[A-Za-z0-9+/_]{16,}(?:\r?\n[A-Za-z0-9+/_]+)*")
_HEX = re.compile("(?:[0-9a-fA-F]{2})+")
# Backslashes are begun with at their first, so that each is looked at once.
_ESCAPE = re.compile(r"(?<!\\)\\++(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2}))")
_LONG_NUMBER = re.compile("&#([0-9]{9,}+)")
_SHORT = 64
_SHIFTED = 4096
"""Runs up to this length are read from each of their first four letters: something may stand before what is encoded."""


def readings_of(texts: Iterable[str]) -> list[str]:
    """Return what stands encoded in `texts`, and what stands encoded in that.

    >>> readings_of(["powershell -enc aQBlAHgAIABlAHYAaQBsAC4AZQB4AGEAbQBwAGwAZQA="])[0]
    'iex evil.example'
    """
    found = [reading for text in texts for reading in _read(text)]
    return found + [one for text in found for one in (_read_short(text) if len(text) <= _SHORT else _read(text))]


@lru_cache(8_192)
def _read_short(text: str) -> tuple[str, ...]:
    return tuple(_read(text))


def _read(text: str) -> Iterator[str]:
    if "%" in text and (plain := unquote(text)) != text:
        yield plain
    if "&" in text and (plain := html.unescape(_LONG_NUMBER.sub(_shorter, text))) != text:
        yield plain
    if "\\" in text and (plain := _joined(_ESCAPE.sub(_letter, text))) != text:
        yield plain
    if len(text) >= 16:
        for match in _RUN.finditer(text):
            run = match[0]
            yield from _decoded(run) if len(run) <= _SHORT else _decode(run)


def _letter(match: re.Match[str]) -> str:
    return chr(int(match[1] or match[2], 16))


def _joined(text: str) -> str:
    """Join the two halves (surrogates) of a letter beyond the first 65,536; a half alone is no letter."""
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")


def _shorter(match: re.Match[str]) -> str:
    """Leave of a character's number as many digits as say which it is, or that it is none."""
    return f"&#{match[1].lstrip('0')[:8] or '0'}"


@lru_cache(8_192)
def _decoded(run: str) -> tuple[str, ...]:
    """Decode a short run: names of properties look like base64, and stand in every object."""
    return tuple(_decode(run))


def _decode(run: str) -> Iterator[str]:
    run = run.replace("\r", "").replace("\n", "")
    if _HEX.fullmatch(run):
        yield from _texts(bytes.fromhex(run))
        return
    run = run.replace("_", "/")
    for start in range(4 if len(run) <= _SHIFTED else 1):
        part = run[start:]
        part = part[: len(part) - 1] if len(part) % 4 == 1 else part
        try:
            yield from _texts(base64.b64decode(part + "=" * (-len(part) % 4)))
        except (binascii.Error, ValueError):
            continue


def _texts(data: bytes) -> Iterator[str]:
    """Yield bytes as the text that they may be: what is mostly no letters is none."""
    if 3 * data.count(0) > len(data):
        for start in (0, 1):
            text = data[start:].decode("utf-16-le", "ignore")
            if _is_text(text):
                yield text
        return
    text = data.decode("utf-8", "ignore")
    if _is_text(text):
        yield text


def _is_text(text: str) -> bool:
    return len(text) > 2 and 2 * sum(map(str.isprintable, text)) > len(text)
