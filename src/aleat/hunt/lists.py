"""The hunt for lists of values: which entries stand in which cells of which events.

A list is one indicator; each of its entries that hits is a `Sighting` of its own, whose `indicator` is
"<list id>#<value>". Every field is looked into, on its distinct values, each once (`ListIndex.lookup`); a text
met again in a later batch costs a dictionary look-up. What an entry matches is written in `list_index`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import msgspec
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from aleat.evidence.batch import EventBatch, split_column
from aleat.hunt.indicator import Indicator, Sighting
from aleat.hunt.list_index import ListIndex
from aleat.hunt.rows import RowReader

__all__ = ["ListHunter"]

_CACHE_CHARACTERS = 32_000_000


class ListHunter:
    """Hunts one `ListIndex`; keeps what was found in texts between batches, bounded by their length."""

    def __init__(self, index: ListIndex) -> None:
        self.index = index
        self._found: dict[str, tuple[int, ...]] = {}
        self._looked: set[str] = set()
        self._characters = 0

    @classmethod
    def of(cls, indicators: Iterable[Indicator]) -> ListHunter:
        """Prepare the lists among `indicators`."""
        return cls(ListIndex(indicators))

    def hunt(self, batches: Iterable[EventBatch]) -> Iterator[Sighting]:
        """Yield one sighting for each entry in each record, by batch, row and entry."""
        if not len(self.index):
            return
        for batch in batches:
            yield from self.hunt_batch(batch)

    def hunt_batch(self, batch: EventBatch) -> Iterator[Sighting]:
        """Yield one sighting for each entry in each record of `batch`, by row and entry."""
        columns = [_Column(batch.table, name) for name in batch.table.column_names if split_column(name)]
        self._look_up(columns)
        hits: dict[int, dict[int, dict[tuple[str, str], None]]] = {}
        for column in columns:
            entries_of = {code: self._entries(column.field, text) for code, text in enumerate(column.texts)}
            entries_of = {code: entries for code, entries in entries_of.items() if entries}
            for row, code in column.rows(entries_of):
                for entry in entries_of[code]:
                    hits.setdefault(row, {}).setdefault(entry, {})[column.field, column.texts[code]] = None
        reader = RowReader(batch, hits)
        for row in reader.rows:
            for entry, matched in sorted(hits[row].items()):
                yield self._sighting(reader, row, entry, tuple(matched))

    def _entries(self, field: str, text: str) -> tuple[int, ...]:
        entries = self._found.get(text, ())
        if entries and "version" in field.lower():  # "10.0.3.1" is no address there
            entries = tuple(entry for entry in entries if not self.index.is_address(entry))
        return entries

    def _sighting(self, reader: RowReader, row: int, entry: int, matched: tuple[tuple[str, str], ...]) -> Sighting:
        indicator, found = self.index.describe(entry)
        value, context = found.value, found.context
        if indicator.pattern_type != "aleat-list":
            return reader.sighting(row, indicator, matched=matched)
        title = f"{indicator.title}: {context}" if context else indicator.title
        name = f"{indicator.id}#{value}"
        sighting = reader.sighting(row, indicator, identifier=name, title=title, matched=matched)
        return msgspec.structs.replace(sighting, entry_type=found.type)

    def _look_up(self, columns: list[_Column]) -> None:
        new = {text: None for column in columns for text in column.texts if text not in self._looked}
        size = sum(map(len, new))
        if self._looked and self._characters + size > _CACHE_CHARACTERS:
            self._found.clear()
            self._looked.clear()
            self._characters = 0
            new = {text: None for column in columns for text in column.texts}
        self._found.update(self.index.lookup(list(new)))
        self._looked.update(new)
        self._characters += size


class _Column:
    """A field column: its distinct texts, and the rows of each."""

    def __init__(self, table: pa.Table, name: str) -> None:
        split = split_column(name)
        assert split is not None  # noqa: S101 - the caller chose field columns
        self.field, kind = split
        values = table[name].combine_chunks()
        if isinstance(values, pa.ChunkedArray):
            values = values.chunk(0) if values.num_chunks else pa.array([], pa.string())
        if not pa.types.is_dictionary(values.type):
            values = pc.dictionary_encode(values)
        self.texts: list[str] = [text or "" for text in values.dictionary.to_pylist()]
        if kind == "l":
            self.texts = [_list_text(text) for text in self.texts]
        self._codes = values.indices.fill_null(-1).to_numpy(zero_copy_only=False)

    def rows(self, codes: Collection[int]) -> Iterator[tuple[int, int]]:
        """Yield (row, code) for each row whose cell is one of the texts with these codes."""
        if codes:
            rows = np.flatnonzero(np.isin(self._codes, list(codes)))
            yield from zip(rows.tolist(), self._codes[rows].tolist(), strict=True)


def _list_text(text: str) -> str:
    """Return a list's members, one a line: JSON's own escapes would hide paths."""
    try:
        members = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    return "\n".join(member if isinstance(member, str) else orjson.dumps(member).decode() for member in members)
