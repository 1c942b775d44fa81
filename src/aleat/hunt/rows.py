"""Rows of an `EventBatch` as Python values: only the few that an indicator hit are ever turned into them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import orjson
import pyarrow as pa

from aleat.evidence.batch import EventBatch, split_column
from aleat.hunt.event_digest import event_digest
from aleat.hunt.indicator import Indicator, Sighting

__all__ = ["RowReader", "typed_cell"]

_CELLS: dict[str, Callable[[str], Any]] = {
    "s": str,
    "i": int,
    "f": float,
    "b": lambda text: text == "true",
    "n": lambda _: None,
    "l": orjson.loads,
}


def typed_cell(kind: str, text: str) -> Any:
    """Return the cell that a column of `kind` holds as `text` (see `aleat.evidence.batch`).

    >>> typed_cell("i", "7"), typed_cell("n", ""), typed_cell("l", "[1]")
    (7, None, [1])
    """
    return _CELLS[kind](text)


class RowReader:
    """The given rows of a batch, decoded together: column by column, not cell by cell."""

    def __init__(self, batch: EventBatch, rows: Iterable[int]) -> None:
        self.batch = batch
        self.rows = sorted(set(rows))
        taken = batch.table.take(pa.array(self.rows, pa.int64()))
        self._at = {row: at for at, row in enumerate(self.rows)}
        self._fields: list[dict[str, Any]] = [{} for _ in self.rows]
        self._fixed: dict[str, list[Any]] = {}
        self._events: dict[int, str] = {}
        for name in taken.column_names:
            split = split_column(name)
            column = taken[name]
            if split is None:
                self._fixed[name] = _values(column.cast(pa.int64()) if name == "time" else column)
            elif column.null_count < len(column):
                field, kind = split
                make = _CELLS[kind]
                for fields, text in zip(self._fields, _values(column), strict=True):
                    if text is not None:
                        fields[field] = make(text)

    def fields(self, row: int) -> dict[str, Any]:
        """Return the cells of `row` by the source's own field names."""
        return self._fields[self._at[row]]

    def event(self, row: int) -> str:
        """Return the digest that copies of the event in `row` share."""
        at = self._at[row]
        known = self._events.get(at)
        if known is not None:
            return known
        digest = self._events[at] = event_digest(
            host=self._fixed["host"][at] or "",
            format=self.batch.format,
            channel=self.batch.channel,
            record_id=self._fixed["record_id"][at],
            time=self._fixed["time"][at],
            fields=self._fields[at],
        )
        return digest

    def sighting(
        self,
        row: int,
        indicator: Indicator,
        *,
        identifier: str = "",
        title: str = "",
        matched: tuple[tuple[str, str], ...] = (),
    ) -> Sighting:
        """Return the sighting of `indicator` in `row`, under another identifier or title where given."""
        at = self._at[row]
        return Sighting(
            indicator=identifier or indicator.id,
            title=title or indicator.title,
            level=indicator.level,
            author=indicator.author,
            evidence=self.batch.evidence,
            record=self._fixed["record"][at] + self.batch.record_base,
            offset=self._fixed["offset"][at],
            event=self.event(row),
            time=self._fixed["time"][at],
            host=self._fixed["host"][at] or "",
            fields=self._fields[at],
            source=indicator.source,
            ref=indicator.ref,
            rule_digest=indicator.digest,
            segment=self.batch.segment,
            format=self.batch.format,
            channel=self.batch.channel,
            event_id=self._fixed["event_id"][at] or "",
            provider=self._fixed["provider"][at] or "",
            tags=indicator.tags,
            matched=matched,
        )


def _values(column: pa.ChunkedArray) -> list[Any]:
    """Return a column as Python values; a dictionary is decoded first, since pyarrow unpacks one cell by cell."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    values: list[Any] = column.to_pylist()
    return values
