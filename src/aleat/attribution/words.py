"""The words of probability of ICD 203, Analytic Standards (2015), D.6.e(2)(a), first row of the table.

====================  ============
words                 range (%)
====================  ============
almost no chance      1 to 5
very unlikely         5 to 20
unlikely              20 to 45
roughly even chance   45 to 55
likely                55 to 80
very likely           80 to 95
almost certain        95 to 99
====================  ============
"""

from __future__ import annotations

__all__ = ["WORDS", "probability_words"]

WORDS: tuple[tuple[float, str], ...] = (
    # up to (and not including) → words
    (0.05, "almost no chance"),
    (0.20, "very unlikely"),
    (0.45, "unlikely"),
    (0.55, "roughly even chance"),
    (0.80, "likely"),
    (0.95, "very likely"),
    (1.00, "almost certain"),
)


def probability_words(probability: float) -> str:
    """Return the words for a probability between 0 and 1.

    >>> probability_words(0.5), probability_words(0.8), probability_words(0.99)
    ('roughly even chance', 'very likely', 'almost certain')
    """
    for limit, words in WORDS:
        if probability < limit:
            return words
    return WORDS[-1][1]
