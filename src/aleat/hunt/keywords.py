"""Keywords over whole columns: the texts run together are searched once, and only those that hit are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from ahocorasick_rs import AhoCorasick, MatchKind

from aleat.hunt.columns import Column, cells_of
from aleat.hunt.expression import Exists, Text, fold
from aleat.hunt.matcher import Matcher

__all__ = ["KeywordScanner"]


class KeywordScanner:
    """Tests on every field, by atom number."""

    def __init__(self, tests: dict[int, Any]) -> None:
        self._matcher = Matcher()
        for atom, test in tests.items():
            self._matcher.add(atom, test)
        self._present = tuple(atom for atom, test in tests.items() if isinstance(test, Exists))
        literals = [
            fold(test.value)
            for test in tests.values()
            if isinstance(test, Text) and test.op != "equals" and len(test.value) > 2
        ]
        self._bulk = None
        if len(literals) == len(tests):
            self._bulk = AhoCorasick(literals, matchkind=MatchKind.Standard, store_patterns=False)

    def scan(self, column: Column) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Yield (code, atoms) for each text of the column that passes any."""
        if column.kind == "n":
            return
        suspects: Iterable[int] = range(len(column.texts))
        if self._bulk is not None and column.kind != "l":
            suspects = self._suspects(column.texts)
        for code in suspects:
            passed: set[int] = set(self._present)
            plain, floats, _ = cells_of(column.kind, column.texts[code])
            for atoms in self._matcher.match(plain) + self._matcher.match(floats, floats=True):
                passed.update(atoms)
            if passed:
                yield code, tuple(sorted(passed))

    def _suspects(self, texts: list[str]) -> list[int]:
        joined = "\n".join(texts)
        assert self._bulk is not None  # noqa: S101 - the caller asks only then
        matches = self._bulk.find_matches_as_indexes(fold(joined), overlapping=True)
        if not matches:
            return []
        ends = np.cumsum(np.array([len(text) + 1 for text in texts], np.int64))
        starts = np.array([start for _, start, _ in matches], np.int64)
        return sorted(set(np.searchsorted(ends, starts, side="right").tolist()))
