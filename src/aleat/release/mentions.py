"""Which of the words that are somewhere in a text are mentions there: in time that grows with the text alone.

A word of up to five characters, or one of the standard's own, counts only where it stands alone. What may be a part of
an id counts only outside of ids and of paths of STIX patterns; a whole UUID counts anywhere.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection
from functools import lru_cache

from aleat.release.structure import UUID, is_structure, is_word_of_standard, without_forms

__all__ = ["ALONE", "mentioned", "stands_alone"]

ALONE = 5
"""Words up to this length count only where they stand alone."""

_FEW = 32  # words that are looked for one by one; more of them in one go
_BEGINNING = re.compile(r"(?<![^\W_])")  # where no letter or digit stands before
_without_forms = lru_cache(4)(without_forms)  # several texts' words are looked for again when the closure is checked


def mentioned(words: Collection[str], text: str) -> frozenset[str]:
    """Return which of these folded words, all of which are in this folded text, are mentions there."""
    parts = {word for word in words if is_structure(word)}
    found = _long_or_alone({word for word in words if word not in parts}, text)
    if parts:
        whole = {word for word in parts if re.search(UUID, word)}
        bare = _without_forms(text)
        found |= whole | _long_or_alone(parts - whole, bare, there=False)
    return frozenset(found)


def _long_or_alone(words: set[str], text: str, *, there: bool = True) -> set[str]:
    """Return those that are long enough (and in the text, unless that is known: `there`), or stand alone."""
    short = {word for word in words if len(word) <= ALONE or is_word_of_standard(word)}
    long = words - short
    return (long if there else _occurring(long, text)) | _alone(short, text)


def _occurring(words: set[str], text: str) -> set[str]:
    if len(words) <= _FEW:
        return {word for word in words if word in text}
    import polars as pl  # noqa: PLC0415 (heavy)

    (found,) = pl.Series("text", [text], dtype=pl.String).str.extract_many(sorted(words), overlapping=True).to_list()
    return set(found)


def _alone(words: set[str], text: str) -> set[str]:
    if len(words) <= _FEW:
        return {word for word in words if stands_alone(word, text)}
    by_length: dict[int, set[str]] = defaultdict(set)
    for word in words:
        by_length[len(word)].add(word)
    found: set[str] = set()
    for match in _BEGINNING.finditer(text):
        start = match.start()
        for length, wanted in by_length.items():
            end = start + length
            if text[start:end] in wanted and not text[end : end + 1].isalnum():
                found.add(text[start:end])
    return found


def stands_alone(word: str, text: str) -> bool:
    """Tell whether a word stands somewhere in a text with no letter or digit beside it."""
    start = text.find(word)
    while start >= 0:
        end = start + len(word)
        if not (start and text[start - 1].isalnum()) and not text[end : end + 1].isalnum():
            return True
        start = text.find(word, start + 1)
    return False
