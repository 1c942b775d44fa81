"""Changes to texts and bytes that a parser may stumble over."""

from __future__ import annotations

import random
from collections.abc import Sequence

__all__ = ["mutate_bytes", "mutate_text"]

ODD = (
    "\x00", "\ufeff", "\u202e", "\ud7ff", "\U0010ffff", "\u2028", "İ", "ẞ", "ﬀ", "\t", "\r", "\n\n", "'", '"', "\\",
    "\\\\", "*", "?", "%", "|", ":", "- ", "[", "]", "{", "}", "(", ")", "&a ", "*a", "<<: ", "!!binary ", "!x ",
    "#", ",", "---\n", "...\n", "null", "~", "true", "yes", "0x1f", "1e309", "-0", ".nan", ".inf", "9" * 30, "=",
    "1_000", "0o17", "12:30:45", "2022-07-15", "a" * 300, "\\u0000", "$", "^", "+", "@", "`", "<a>", "&amp;",
)  # fmt: skip


def mutate_text(text: str, rng: random.Random, words: Sequence[str] = ()) -> str:
    """Return a text with one to four changes; `words` are tokens that belong to its language."""
    for _ in range(rng.randrange(1, 5)):
        text = rng.choice(_TEXT)(text, rng, words)
    return text


def mutate_bytes(data: bytes, rng: random.Random) -> bytes:
    """Return bytes with one to eight changes: flips, cuts, repetitions, odd values."""
    changed = bytearray(data)
    for _ in range(rng.randrange(1, 9)):
        at = rng.randrange(len(changed) + 1)
        kind = rng.randrange(5)
        if kind == 0 and at < len(changed):
            changed[at] ^= 1 << rng.randrange(8)
        elif kind == 1 and at < len(changed):
            changed[at] = rng.choice((0, 0xFF, 0x7F, 0x80, 0x22, 0x0A))
        elif kind == 2:
            del changed[at : at + rng.choice((1, 2, 16, 500))]
        elif kind == 3:
            changed[at:at] = rng.randbytes(rng.choice((1, 2, 16)))
        else:
            changed[at:at] = changed[at : at + rng.choice((1, 20, 300))]
    return bytes(changed)


def _place(text: str, rng: random.Random) -> int:
    return rng.randrange(len(text) + 1)


def _insert(text: str, rng: random.Random, words: Sequence[str]) -> str:
    at = _place(text, rng)
    return text[:at] + rng.choice([*ODD, *words]) + text[at:]


def _replace(text: str, rng: random.Random, words: Sequence[str]) -> str:
    at = _place(text, rng)
    return text[:at] + rng.choice([*ODD, *words]) + text[at + rng.randrange(1, 12) :]


def _delete(text: str, rng: random.Random, words: Sequence[str]) -> str:
    at = _place(text, rng)
    return text[:at] + text[at + rng.choice((1, 1, 3, 40)) :]


def _repeat(text: str, rng: random.Random, words: Sequence[str]) -> str:
    at, length = _place(text, rng), rng.choice((1, 8, 60))
    return text[:at] + text[at : at + length] * rng.choice((2, 3, 200)) + text[at + length :]


def _lines(text: str, rng: random.Random, words: Sequence[str]) -> str:
    lines = text.split("\n")
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    kind = rng.randrange(4)
    if kind == 0:
        lines[one], lines[other] = lines[other], lines[one]
    elif kind == 1:
        lines.insert(one, lines[other])
    elif kind == 2:
        del lines[one]
    else:
        lines[one] = " " * rng.choice((1, 4)) + lines[one]
    return "\n".join(lines)


def _nest(text: str, rng: random.Random, words: Sequence[str]) -> str:
    at, deep = _place(text, rng), rng.choice((5, 60, 500))
    left, right = rng.choice((("[", "]"), ("{a: ", "}"), ("(", ")"), ("not ", ""), ("- ", ""), ("((", "))")))
    return text[:at] + left * deep + text[at : at + 5] + right * deep + text[at + 5 :]


_TEXT = (_insert, _insert, _replace, _delete, _repeat, _lines, _lines, _nest)
