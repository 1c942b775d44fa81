"""Values from evidence, made safe to look at: nothing in them acts on a terminal, a page or a reader's eye."""

from __future__ import annotations

import re

__all__ = ["clip", "visible"]

# Control characters, and those that reorder or hide text (Unicode TR 36 §2.5 "bidirectional text spoofing").
_INVISIBLE = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]")


def visible(value: object) -> str:
    r"""Return the text of `value` with control, bidirectional and invisible characters written as escapes.

    >>> visible("a\x1b[31mb\u202e")
    'a\\x1b[31mb\\u202e'
    """
    return _INVISIBLE.sub(_escape, str(value))


def clip(text: str, length: int) -> str:
    """Return `text`, cut in its middle to `length` characters where it is longer."""
    if len(text) <= length:
        return text
    half = (length - 1) // 2
    return f"{text[: length - 1 - half]}…{text[len(text) - half :]}"


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
