"""Which code page of one byte a text that is no UTF-8 is written in: a guess by its letters, always said as one.

The bytes above ASCII in distinct words of a bounded sample are weighed by how often a language has the letters that a
page makes of them (`letters.toml`); capitals inside a word, and alphabets mixed in one, speak against a page. The guess
is made from the first range of a source that has such bytes, and holds from there on. Where pages say the same, the
earlier one of the table is named.
"""

from __future__ import annotations

import math
import re
import tomllib
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import resources
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from aleat.evidence.reader import ByteRange
from aleat.evidence.text import FALLBACK

__all__ = ["PageGuess", "guess_page", "sample_words", "with_page"]

_BLOCK = 1024 * 1024
_MAX_WORDS = 4000
_WORD = re.compile(rb"[A-Za-z\x80-\xff]{0,40}[\x80-\xff][A-Za-z\x80-\xff]{0,40}")

_SYMBOL, _FOREIGN_LETTER, _OTHER = 2e-3, 2e-4, 1e-6
_CAPITAL_INSIDE, _MIXED_SCRIPTS = math.log(1e-2), math.log(1e-3)
_MARGIN = 5.0
"""By so much (natural logarithm of odds) must another page be better than the usual one."""


_LATIN = np.array([code < 128 and chr(code).isalpha() for code in range(256)])


@dataclass(frozen=True, slots=True)
class PageGuess:
    """The page that fits best, and the next ones that would give another text."""

    page: str
    others: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Page:
    """A code page: log weights of its bytes by language (rows), and which bytes are lower case letters, capitals
    and letters of other alphabets."""

    name: str
    weights: npt.NDArray[np.float64]
    lower: npt.NDArray[np.bool_]
    upper: npt.NDArray[np.bool_]
    foreign: npt.NDArray[np.bool_]


def sample_words(stream: BinaryIO) -> frozenset[bytes]:
    """Return distinct words with bytes above ASCII, of lines that are no UTF-8, until there are enough."""
    words: set[bytes] = set()
    carry = b""
    while len(words) < _MAX_WORDS and (block := stream.read(_BLOCK)):
        data = carry + block
        cut = data.rfind(b"\n") + 1 or len(data)
        data, carry = data[:cut], data[cut:]
        if data.isascii():
            continue
        words.update(_words(data))
    if carry and not carry.isascii():
        words.update(_words(carry))
    return frozenset(sorted(words)[:_MAX_WORDS])


def _words(data: bytes) -> Iterator[bytes]:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        for line in data.split(b"\n"):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                yield from _WORD.findall(line[:65536])


def guess_page(words: frozenset[bytes]) -> PageGuess | None:
    """Return the page that these words are most likely written in, or None where there are none."""
    if not words:
        return None
    pairs = np.zeros((256, 256), np.float64)
    for word in sorted(words):
        codes = np.frombuffer(b" " + word, np.uint8)
        np.add.at(pairs, (codes[:-1], codes[1:]), 1.0)
    counts = pairs.sum(axis=0)
    counts[:128] = 0
    scores = []
    for order, page in enumerate(_pages()):
        capitals = pairs[np.ix_(page.lower, page.upper)].sum()
        mixed = pairs[np.ix_(_LATIN, page.foreign)].sum() + pairs[np.ix_(page.foreign, _LATIN)].sum()
        likely = np.max(page.weights @ counts) + capitals * _CAPITAL_INSIDE + mixed * _MIXED_SCRIPTS
        scores.append((-float(likely) - _MARGIN * (page.name == FALLBACK), order, page.name))
    scores.sort()
    best = scores[0][2]
    sample = b" ".join(sorted(words))
    texts = {sample.decode(best, "replace")}
    others = []
    for _, _, name in scores[1:]:
        if (text := sample.decode(name, "replace")) not in texts:
            texts.add(text)
            others.append(name)
    return PageGuess(best, tuple(others[:2]))


@lru_cache(maxsize=1)
def _pages() -> tuple[_Page, ...]:
    table = tomllib.loads(resources.files("aleat.evidence").joinpath("letters.toml").read_text(encoding="utf-8"))
    found = []
    for name in table["pages"]:
        chars = [bytes([code]).decode(name, "replace") for code in range(256)]
        languages = [
            item["letters"]
            for item in table["language"].values()
            if any(name in table["groups"][group] for group in item["groups"])
        ]
        weights = np.array([[_weight(char, letters, table["symbols"]) for char in chars] for letters in languages])
        lower = np.array([char.islower() for char in chars])
        upper = np.array([code >= 128 and char.isupper() for code, char in enumerate(chars)])
        foreign = np.array([char.isalpha() and not unicodedata.name(char, "").startswith("LATIN") for char in chars])
        found.append(_Page(name, np.log(weights), lower, upper, foreign))
    return tuple(found)


def _weight(char: str, letters: dict[str, int], symbols: str) -> float:
    if char in letters:
        return letters[char] / 1000
    if char.lower() in letters:
        return letters[char.lower()] / 8000
    if char in symbols:
        return _SYMBOL
    return _FOREIGN_LETTER if char.isalpha() else _OTHER


def with_page(span: ByteRange, guess: PageGuess) -> ByteRange:
    """Have a range's lines that are no UTF-8 read in the guessed page."""
    context = dict(span.context) if guess.page == FALLBACK else {**span.context, "fallback": guess.page}
    return replace(span, context=context, other_pages=guess.others)
