"""What is doubtful in what comes in: `aleat.knowledge.quality` with the warning lists that are here.

Labels are a view: nothing is stored, so that a warning list that comes later tells of what came before it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import msgspec

from aleat.hunt.from_store import list_objects, warning_lists
from aleat.hunt.warning_lists import WarningIndex
from aleat.knowledge.blocks import KnowledgeBlock
from aleat.knowledge.quality import QualityLabel, Warn, doubtful
from aleat.stix.objects import StixObject
from aleat.store.database import Connection

__all__ = ["DoubtfulObject", "Doubts"]

_LISTED = 1000


class DoubtfulObject(msgspec.Struct, frozen=True):
    """An object about which something is doubtful; it was kept as it is."""

    id: str
    name: str
    labels: tuple[QualityLabel, ...]


class Doubts:
    """Looks at objects batch by batch: `counts` by code, and the first thousand in `listed`."""

    def __init__(self, connection: Connection, root: Path) -> None:
        self._connection = connection
        self._root = root
        self.counts: Counter[str] = Counter()
        self.listed: list[DoubtfulObject] = []

    @cached_property
    def warn(self) -> Warn | None:
        """Looks up values on the warning lists that were here before; None where there are none."""
        there = list_objects(self._connection)
        lists = list(warning_lists(self._connection, self._root, among=there))
        return WarningIndex(lists).names if lists else None

    def look_at(self, block: KnowledgeBlock) -> None:
        """Look at a block that comes in: at the objects of which any may be doubtful."""
        if any(type_ == "indicator" for type_, _ in block.kinds):
            self.look([item.object for item in block.items(block.unusual if self.warn is None else None)])

    def look(self, items: Sequence[StixObject]) -> None:
        """Look at objects that come in."""
        if not any(item.type == "indicator" for item in items):
            return
        for position, labels in doubtful(items, self.warn):
            self.counts.update({label.code for label in labels})
            if len(self.listed) < _LISTED:
                self.listed.append(DoubtfulObject(items[position].id, items[position].name or "", labels))

    def labels(self, items: Sequence[StixObject]) -> dict[str, tuple[QualityLabel, ...]]:
        """Return the labels of those of these objects that are doubtful, by id; they are not counted."""
        return {items[position].id: labels for position, labels in doubtful(items, self.warn)}
