"""What was refused, in the exchange ledger: gathered, so that a stranger who asks for ever can't fill the disk.

The first refusal is written at once, those that follow together once in a while, by account, address and status; what
goes beyond so many kinds is counted only. So refusals cost at most `_KINDS` short rows every `_EVERY` seconds.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

from aleat.errors import AleatError

__all__ = ["Refusals"]

_EVERY = 600.0  # seconds
_SOON = 10.0
_KINDS = 50
_LOCKS = 20


class Refusals:
    """Gathers refusals; `record` writes an entry, `clock` counts seconds. May be called from several threads."""

    def __init__(self, record: Callable[[str, dict[str, object]], None], clock: Callable[[], float]) -> None:
        self._record, self._clock = record, clock
        self._counts: Counter[tuple[str, str, int]] = Counter()
        self._others = 0
        self._locks = 0
        self._next = self._renewed = clock()
        self._guard = threading.Lock()

    def note(self, status: int, account: str, address: str) -> bool:
        """Count one refusal; True where it is time to `flush`."""
        kind = (account[:64], address[:64], status)
        with self._guard:
            if kind in self._counts or len(self._counts) < _KINDS:
                self._counts[kind] += 1
            else:
                self._others += 1
            return self._clock() >= self._next

    def locked_out(self, address: str, account: str, failures: int) -> None:
        """Write that an address was shut out; of many at once only the first, the others are counted."""
        with self._guard:
            now = self._clock()
            if now >= self._renewed + _EVERY:
                self._renewed, self._locks = now, 0
            self._locks += 1
            if self._locks > _LOCKS:
                self._others += 1
                return
        self._write("locked-out", {"address": address[:64], "account": account[:64], "failures": failures})

    def flush(self) -> None:
        """Write what was gathered; what can't be written now is kept for later."""
        with self._guard:
            counts, others = self._counts, self._others
            if not counts and not others:
                return
            self._counts, self._others = Counter(), 0
            self._next = self._clock() + _EVERY
        rows = [[account, address, status, count] for (account, address, status), count in sorted(counts.items())]
        if not self._write("refused", {"refused": rows, "others": others}):
            with self._guard:
                self._others += others + sum(counts.values())
                self._next = self._clock() + _SOON

    def _write(self, kind: str, data: dict[str, object]) -> bool:
        try:
            self._record(kind, data)
        except AleatError:  # somebody else writes to the workspace: who is refused isn't told that, nor kept waiting
            return False
        return True
