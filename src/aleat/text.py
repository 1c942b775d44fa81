"""Foreign values, made safe to look at: nothing in them acts on a terminal, a page or a reader's eye."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

__all__ = ["clip", "composed", "path_text", "visible", "visible_json"]

# Control characters, line and paragraph separators, and what turns, hides or joins text (Unicode Technical
# Report 36, "Bidirectional Text Spoofing"); lone surrogates can't be written at all.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


def visible(value: object) -> str:
    r"""Return the text of `value` with everything written out that would move, colour, turn or hide what is shown.

    >>> visible("a\x1b[31mb\u202e")
    'a\\x1b[31mb\\u202e'
    """
    return _UNSAFE.sub(_escape, str(value))


def visible_json(text: str) -> str:
    r"""Return JSON text with the same characters written as JSON's own escapes: what it says is unchanged.

    >>> visible_json('{"a": "\x9b\u202e"}')
    '{"a": "\\u009b\\u202e"}'
    """
    return _UNSAFE.sub(_escape_json, text)


def path_text(path: str) -> str:
    """Return a file's path as text that any encoder takes (its name needn't be Unicode), with U+FFFD for the rest."""
    try:
        data = path.encode("utf-8", "surrogateescape")  # bytes that are no UTF-8, as POSIX systems give them
    except UnicodeEncodeError:
        data = path.encode("utf-8", "surrogatepass")  # half of a pair of UTF-16, as Windows does
    return data.decode("utf-8", "replace")


def composed(text: str) -> str:
    r"""Return `text` in Unicode's normal form C, so that a letter with its accent is one text however it was written.

    Text with more than 30 combining marks in a row (no language has them; Unicode's Stream-Safe Text Format) stays as
    it is: to order them would take quadratic time.

    >>> composed("e\u0301") == "\u00e9"
    True
    """
    if text.isascii() or _BEYOND_LATIN.search(text) is None or _long_run().search(text) is not None:
        return text
    return unicodedata.normalize("NFC", text)


_BEYOND_LATIN = re.compile("[\u0300-\U0010ffff]")
"""Text without any of these is in normal form C."""


@lru_cache(maxsize=1)
def _long_run() -> re.Pattern[str]:
    marks = (chr(code) for code in range(0x300, 0x20000) if unicodedata.combining(chr(code)))
    return re.compile(f"[{''.join(marks)}]{{31}}")


def clip(text: str, length: int) -> str:
    r"""Return `text`, cut in its middle to `length` characters where it is longer.

    >>> clip("C:\\Windows\\System32\\cmd.exe", 15)
    'C:\\Wind…cmd.exe'
    """
    if len(text) <= length:
        return text
    half = (length - 1) // 2
    return f"{text[: length - 1 - half]}…{text[len(text) - half :]}"


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _escape_json(match: re.Match[str]) -> str:
    units = match.group().encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))
