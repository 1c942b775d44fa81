"""Rows of an `EventBatch` as Python values: only the few that an indicator hit are ever turned into them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
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

_Cells = tuple[npt.NDArray[np.signedinteger[Any]], list[Any]]


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
        names: list[str] = []
        cells: list[_Cells] = []
        for name in taken.column_names:
            split = split_column(name)
            column = taken[name]
            if split is None:
                self._fixed[name] = _values(column.cast(pa.int64()) if name == "time" else column)
            elif column.null_count < len(column):
                names.append(split[0])
                cells.append(_cells(column, split[1]))
        if cells:
            self._set_fields(names, cells)

    def _set_fields(self, names: Sequence[str], cells: Sequence[_Cells]) -> None:
        """Make each row's fields; rows that have the same ones together."""
        present = np.stack([codes >= 0 for codes, _ in cells], axis=1)
        shapes: dict[bytes, list[int]] = {}
        for row, shape in enumerate(np.packbits(present, axis=1)):
            shapes.setdefault(shape.tobytes(), []).append(row)
        for rows in shapes.values():
            there = np.flatnonzero(present[rows[0]]).tolist()
            fields = [names[place] for place in there]
            columns = [[cells[place][1][code] for code in cells[place][0][rows].tolist()] for place in there]
            for row, values in zip(rows, zip(*columns, strict=True) if columns else ((),) * len(rows), strict=True):
                self._fields[row] = dict(zip(fields, values, strict=True))

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


def _cells(column: pa.ChunkedArray, kind: str) -> _Cells:
    """Return for each row the place of its cell among the column's (absent: -1), and those cells, typed."""
    array = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    if not pa.types.is_dictionary(array.type) or len(array.dictionary) > 2 * len(array):
        array = array.cast(pa.string()).dictionary_encode()  # of its dictionary hardly anything is needed
    codes = array.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    texts = array.dictionary.to_pylist()
    return codes, texts if kind == "s" else [_CELLS[kind](text) for text in texts]


def _values(column: pa.ChunkedArray) -> list[Any]:
    """Return a column as Python values; a dictionary is decoded first, since pyarrow unpacks one cell by cell."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    values: list[Any] = column.to_pylist()
    return values
