"""Whether a text reads like news with claims in it, or like an advisory with observables.

`news_score` counts what each kind is full of; `looks_like_news` draws the line where `aleat investigate` sorts
a text: claims present and few observables. A text can be both (an advisory that accuses): it is then knowledge
first, and its claims are read too where somebody asks for them.
"""

from __future__ import annotations

import re

from aleat.case.claims.lexicon import frames_of, words
from aleat.case.claims.text import paragraphs, sentences

__all__ = ["looks_like_news", "news_score"]

_SAMPLE = 60_000
_OBSERVABLE = re.compile(
    r"\b(?:[0-9a-fA-F]{64}|[0-9a-fA-F]{40}|[0-9a-fA-F]{32})\b"
    r"|\b\d{1,3}(?:\[?\.\]?|\(\.\))\d{1,3}(?:\[?\.\]?|\(\.\))\d{1,3}(?:\[?\.\]?|\(\.\))\d{1,3}\b"
    r"|\bhxxps?://|\b[\w-]{1,63}(?:\[\.\]|\(\.\)|\[dot\])[\w-]{2,63}"
    r"|\bT1\d{3}(?:\.\d{3})?\b|\bCVE-\d{4}-\d{4,7}\b|\bHK(?:LM|CU)\\|\b[A-Za-z]:\\(?:Windows|Users|ProgramData)"
)


def news_score(text: str) -> float:
    """Return how much a text reads like news: claims-bearing sentences by a hundred, less five for each observable.

    Above 0 it is news rather than an advisory; a text without any speech or act of the lexicon scores 0 or less.
    Only the first 60,000 characters are looked at.
    """
    sample = text[:_SAMPLE]
    acting = frames_of()
    speaking = words("speech", "verbs")
    attacks = words("nouns", "event")
    told = acted = count = about = 0
    for sentence in sentences(sample, paragraphs(sample)):
        lows = {token.low for token in sentence.tokens}
        count += 1
        told += bool(lows & speaking)
        acted += any(acting.get(low) in _TELLING for low in lows)
        about += bool(lows & attacks)
    if not count or not (told or acted) or not about:
        return min(0.0, -5.0 * len(_OBSERVABLE.findall(sample)))
    return 100.0 * (told + acted) / (count + 4) - 5.0 * len(_OBSERVABLE.findall(sample))


_TELLING = frozenset(("accuse", "blame", "deny", "reject", "condemn", "offer", "sever", "expel"))


def looks_like_news(text: str) -> bool:
    """Say whether a text is news with claims rather than an advisory (see `news_score`)."""
    return news_score(text) >= 10.0
