"""Keywords over whole columns: the texts run together are searched once, and only those that hit are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from aleat.hunt.columns import Column, cells_of
from aleat.hunt.expression import Exists, Regex, Text, Wildcard, fold
from aleat.hunt.matcher import Matcher, make_automaton
from aleat.hunt.regexes import needs
from aleat.text import composed

__all__ = ["KeywordScanner"]


_CACHE_CHARACTERS = 16_000_000
_PLAIN = "sib"


def _literal(test: Any) -> str:
    """Return a folded text that stands in whatever passes the test; empty where none is known."""
    if isinstance(test, Text):
        return fold(composed(test.value)) if test.op != "equals" else ""
    if isinstance(test, Wildcard):
        return fold(composed(max((part for part in test.parts if isinstance(part, str)), key=len, default="")))
    return needs(test.pattern)[0] if isinstance(test, Regex) else ""


class KeywordScanner:
    """Tests on every field, by atom number."""

    def __init__(self, tests: dict[int, Any]) -> None:
        self._matcher = Matcher()
        for atom, test in tests.items():
            self._matcher.add(atom, test)
        self._present = tuple(atom for atom, test in tests.items() if isinstance(test, Exists))
        literals = [literal for literal in map(_literal, tests.values()) if len(literal) > 2]
        self._bulk = None
        self._known: dict[str, tuple[int, ...]] = {}
        self._characters = 0
        if len(literals) == len(tests):
            self._bulk = make_automaton(literals)

    def scan(self, column: Column) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Yield (code, atoms) for each text of the column that passes any."""
        if column.kind == "n":
            return
        if self._bulk is not None and column.kind != "l":
            suspects: Iterable[int] = self._suspects(column.texts)
        elif column.kind in _PLAIN:
            yield from self._scan_plain(column.texts)
            return
        else:
            suspects = range(len(column.texts))
        for code in suspects:
            passed: set[int] = set(self._present)
            plain, floats, _ = cells_of(column.kind, column.texts[code])
            for atoms in self._matcher.match(plain) + self._matcher.match(floats, floats=True):
                passed.update(atoms)
            if passed:
                yield code, tuple(sorted(passed))

    def _scan_plain(self, texts: list[str]) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Yield (code, atoms) of texts that are one cell each; a text that is met again is not searched again."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        size = sum(map(len, new))
        if self._characters + size > _CACHE_CHARACTERS:
            self._known.clear()
            self._characters, new = 0, list(dict.fromkeys(texts))
        self._characters += size
        self._known.update(zip(new, self._matcher.match(new), strict=True))
        for code, text in enumerate(texts):
            passed = self._known[text]
            if passed or self._present:
                yield code, tuple(sorted({*passed, *self._present}))

    def _suspects(self, texts: list[str]) -> list[int]:
        texts = [composed(text) for text in texts]
        joined = "\n".join(texts)
        assert self._bulk is not None  # noqa: S101 - the caller asks only then
        matches = self._bulk.find_matches_as_indexes(fold(joined), overlapping=True)
        if not matches:
            return []
        ends = np.cumsum(np.array([len(text) + 1 for text in texts], np.int64))
        starts = np.array([start for _, start, _ in matches], np.int64)
        return sorted(set(np.searchsorted(ends, starts, side="right").tolist()))
