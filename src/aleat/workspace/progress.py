"""Progress of the workspace's verbs, as a callback: what, how many steps are done, of how many (None: unknown)."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Progress", "silent"]


class Progress(Protocol):
    """Is told how far a verb is."""

    def __call__(self, what: str, done: int, total: int | None = None) -> None:
        """Take note that `done` of `total` steps of `what` are done."""


def silent(what: str, done: int, total: int | None = None) -> None:
    """Say nothing."""
