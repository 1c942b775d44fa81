"""Rows to Arrow tables: cells become dictionary columns, one for each (field, kind), as `batch` describes.

Readers hand over events in groups that share a shape, column by column; a column's values are interned in a
plain dict, so that a value that occurs ten thousand times is converted once. Cells of one column may differ
in kind: they are parted here. Nothing in this module knows any log format.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from aleat.evidence.batch import FIXED_SCHEMA

__all__ = [
    "ABSENT",
    "MAX_CELLS",
    "NO_TIME",
    "CellColumn",
    "Flat",
    "Piece",
    "TableBuilder",
    "cell_kind",
    "flatten_column",
    "free_name",
]

Codes = npt.NDArray[np.int32]

Piece = tuple[list[int], Sequence[Any], set[type]]
"""Cells of one column: their rows within a group, the values, their types."""

Flat = dict[str, list[Piece]]
"""A group's columns by name; one has several pieces where its rows have several shapes."""

NO_TIME = np.datetime64("NaT", "us")
MAX_CELLS = 32 * 1024 * 1024
"""`cells`: how many cells the field columns of one table may have, those that are absent counted."""

_ALWAYS = 64
MAX_DEPTH = 32
"""Objects nested deeper than this are kept as JSON text in one list cell."""


class _Absent:
    """The marker of a cell that isn't there (null is a cell; absent is none)."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = _Absent()


def _interner() -> defaultdict[Any, int]:
    """Return a dict that numbers values in the order in which they are first asked for."""
    return defaultdict(count().__next__)


def _is_integer(text: str) -> bool:
    return text.isdecimal() and text.isascii() and (text[0] != "0" or text == "0")


def _list_text(value: Any) -> str:
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS, default=str).decode()
    except TypeError:  # an integer of more than 64 bits
        return json.dumps(_finite(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


def _finite(value: Any) -> Any:
    """Replace what no JSON number can be by null, as `orjson` does."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, (list, tuple)) else value


_TYPE_KIND: Mapping[type, tuple[str, Callable[[Any], Any]]] = {
    str: ("s", str),
    int: ("i", int),
    float: ("f", repr),
    bool: ("b", lambda value: "true" if value else "false"),
    type(None): ("n", lambda _value: ""),
    list: ("l", _list_text),
    dict: ("l", _list_text),
    tuple: ("l", _list_text),
}


def cell_kind(value: Any) -> tuple[str, str]:
    """Return (kind, canonical text) of one cell.

    >>> cell_kind(7), cell_kind(True), cell_kind(None), cell_kind(["a", 1])
    (('i', '7'), ('b', 'true'), ('n', ''), ('l', '["a",1]'))
    """
    kind, convert = _TYPE_KIND[type(value)]
    return kind, str(convert(value))


def free_name(name: str, taken: Container[str]) -> str:
    """Return `name`, or where that is taken ``name~``, ``name~2`` …: the second of one name is kept beside the first.

    Names that are taken are taken in this order, so that the next one is found by halving.

    >>> free_name("a", {"a"}), free_name("a", {"a", "a~", "a~2"})
    ('a~', 'a~3')
    """
    if name not in taken:
        return name
    low, high = 0, 1
    while _repeated(name, high) in taken:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _repeated(name, middle) in taken else (low, middle)
    return _repeated(name, high)


def _repeated(name: str, number: int) -> str:
    return f"{name}~{number if number > 1 else ''}"


class CellColumn:
    """The codes and the dictionary of one (field, kind)."""

    __slots__ = ("_codes", "_dictionary")

    def __init__(self) -> None:
        self._dictionary = _interner()
        self._codes: list[tuple[int, Codes | None, Codes]] = []

    def add(self, start: int, rows: Codes | None, values: Sequence[Any]) -> None:
        """Add `values` at rows `start` + `rows` (None: consecutive rows from `start`)."""
        codes = np.fromiter(map(self._dictionary.__getitem__, values), np.int32, len(values))
        self._codes.append((start, rows, codes))

    def add_codes(self, start: int, rows: Codes | None, words: list[Any], codes: Codes) -> None:
        """Add cells that are already numbered: `codes` count in `words`."""
        numbers = np.fromiter(map(self._dictionary.__getitem__, words), np.int32, len(words))
        self._codes.append((start, rows, numbers[codes]))

    @property
    def filled(self) -> int:
        """How many cells it has."""
        return sum(len(codes) for _, _, codes in self._codes)

    def cells(self) -> Iterator[tuple[int, str]]:
        """Yield (row, text) of each cell."""
        words = list(self._dictionary)
        for start, rows, codes in self._codes:
            places = range(start, start + len(codes)) if rows is None else (rows + np.int32(start)).tolist()
            for row, code in zip(places, codes.tolist(), strict=True):
                yield row, str(words[code])

    def array(self, length: int, places: npt.NDArray[np.int64] | None) -> pa.DictionaryArray:
        """Return the column over `length` rows; `places` says where each row goes (None: where it is)."""
        full = np.full(length, -1, np.int32)
        filled = 0
        for start, rows, codes in self._codes:
            filled += len(codes)
            if rows is None:
                end = start + len(codes)
                full[slice(start, end) if places is None else places[start:end]] = codes
            else:
                at = rows + np.int32(start)
                full[at if places is None else places[at]] = codes
        missing = full < 0 if filled < length or (length and full.min() < 0) else None
        words = list(self._dictionary)
        if set(map(type, words)) != {str}:
            words = list(map(str, words))
        return pa.DictionaryArray.from_arrays(pa.array(full, mask=missing), pa.array(words, pa.string()), safe=False)


class TableBuilder:
    """Builds the table of one (format, channel) from groups of rows."""

    def __init__(self) -> None:
        self.rows = 0
        self._records: list[npt.NDArray[np.int64]] = []
        self._offsets: list[npt.NDArray[np.int64]] = []
        self._times: list[npt.NDArray[np.datetime64]] = []
        self._time_texts: list[str | None] = []
        self._record_ids: list[int | None] = []
        self._words = {name: CellColumn() for name in ("host", "provider", "event_id")}
        self._fields: dict[str, CellColumn] = {}

    def extend(
        self,
        *,
        records: Sequence[int],
        offsets: Sequence[int],
        times: npt.NDArray[np.datetime64],
        time_texts: Sequence[str | None],
        record_ids: Sequence[int | None] | None = None,
        hosts: Sequence[str | None],
        providers: Sequence[str | None],
        event_ids: Sequence[str | None],
        fields: Iterable[tuple[str, Piece]] = (),
    ) -> int:
        """Add rows of one shape.

        `fields` yields (name, piece); `ABSENT` among a piece's values leaves the cell out. Returns the first row's
        number, for `add_texts`.
        """
        start, count = self.rows, len(records)
        self.rows += count
        self._records.append(np.asarray(records, np.int64))
        self._offsets.append(np.asarray(offsets, np.int64))
        self._times.append(times)
        self._time_texts.extend(time_texts)
        self._record_ids.extend(record_ids if record_ids is not None else [None] * count)
        for name, words in (("host", hosts), ("provider", providers), ("event_id", event_ids)):
            self._add_word(name, start, words)
        for name, (rows, values, types) in fields:
            self._add_cells(name, start, None if len(rows) == count else rows, values, types)
        return start

    def add_texts(self, start: int, name: str, texts: Sequence[str | None], *, numeric: bool = False) -> None:
        """Add a column of texts to the rows from `start`; None leaves a cell out.

        With `numeric`, what is an integer in canonical form is a cell of kind ``i``.
        """
        words = _interner()
        codes = np.fromiter(map(words.__getitem__, texts), np.int32, len(texts))
        known = list(words)
        kinds = ["" if word is None else "i" if numeric and _is_integer(word) else "s" for word in known]
        for kind in sorted(set(kinds) - {""}):
            column = self._column(f"{name}|{kind}")
            if len(set(kinds)) == 1:
                column.add_codes(start, None, known, codes)
                return
            mine = np.array([other == kind for other in kinds])
            rows = np.flatnonzero(mine[codes])
            renumbered = np.cumsum(mine, dtype=np.int32) - 1
            inside = [word for word, other in zip(known, kinds, strict=True) if other == kind]
            column.add_codes(start, rows.astype(np.int32), inside, renumbered[codes[rows]].astype(np.int32))

    def _column(self, key: str) -> CellColumn:
        column = self._fields.get(key)
        if column is None:
            column = self._fields[key] = CellColumn()
        return column

    def _add_word(self, name: str, start: int, words: Sequence[str | None]) -> None:
        if None not in words:
            self._words[name].add(start, None, words)
            return
        rows = [row for row, word in enumerate(words) if word is not None]
        if rows:
            self._words[name].add(start, np.asarray(rows, np.int32), [words[row] for row in rows])

    def _add_cells(
        self, name: str, start: int, rows: Sequence[int] | None, values: Sequence[Any], types: set[type]
    ) -> None:
        numbers = None if rows is None else np.asarray(rows, np.int32)
        if len(types) == 1:
            self._add_kind(name, start, numbers, values, next(iter(types)))
            return
        for cell_type in sorted(types, key=lambda item: item.__name__):
            if cell_type is _Absent:
                continue
            inside = [row for row, value in enumerate(values) if type(value) is cell_type]
            at = np.asarray(inside, np.int32)
            at = at if numbers is None else numbers[at]
            self._add_kind(name, start, at, [values[row] for row in inside], cell_type)

    def _add_kind(self, name: str, start: int, rows: Codes | None, values: Sequence[Any], cell_type: type) -> None:
        if cell_type is _Absent:
            return
        kind, convert = _TYPE_KIND[cell_type]
        column = self._column(f"{name}|{kind}")
        column.add(start, rows, values if kind in "si" else [convert(value) for value in values])

    def _fold(self) -> None:
        """Put the rarest columns together in ``rest`` where all of them would have more than `MAX_CELLS` cells."""
        room = max(MAX_CELLS // max(self.rows, 1), _ALWAYS)
        if len(self._fields) <= room:
            return
        common = sorted(self._fields, key=lambda key: (-self._fields[key].filled, key))[: room - 1]
        kept = {key: self._fields[key] for key in common}
        rows, texts = _rest_of({key: column for key, column in self._fields.items() if key not in kept})
        name = free_name("rest", {key.rpartition("|")[0] for key in kept})
        kept[f"{name}|s"] = rest = CellColumn()
        rest.add(0, np.array(rows, np.int32), texts)
        self._fields = kept

    def finish(self) -> pa.Table:
        """Return the table: rows in the order of their records, field columns sorted by name."""
        records = np.concatenate(self._records) if self._records else np.empty(0, np.int64)
        offsets = np.concatenate(self._offsets) if self._offsets else np.empty(0, np.int64)
        times = np.concatenate(self._times) if self._times else np.empty(0, "datetime64[us]")
        time_texts = pa.array(self._time_texts, pa.string())
        record_ids = pa.array(self._record_ids, pa.int64())
        places = None
        if not np.all(records[:-1] < records[1:]):
            order = np.argsort(records, kind="stable")
            records, offsets, times = records[order], offsets[order], times[order]
            time_texts, record_ids = time_texts.take(pa.array(order)), record_ids.take(pa.array(order))
            places = np.empty(self.rows, np.int64)
            places[order] = np.arange(self.rows)
        columns: dict[str, Any] = {
            "time": pa.array(times.astype("datetime64[us]", copy=False), pa.timestamp("us", tz="UTC")),
            "time_text": time_texts,
            "host": self._words["host"].array(self.rows, places),
            "record": pa.array(records, pa.int64()),
            "offset": pa.array(offsets, pa.int64()),
            "record_id": record_ids,
            "provider": self._words["provider"].array(self.rows, places),
            "event_id": self._words["event_id"].array(self.rows, places),
        }
        fixed = [FIXED_SCHEMA.field(name) for name in columns]
        self._fold()
        names = sorted(self._fields)
        arrays = [*columns.values(), *(self._fields[name].array(self.rows, places) for name in names)]
        word = pa.dictionary(pa.int32(), pa.string())
        return pa.Table.from_arrays(arrays, schema=pa.schema([*fixed, *(pa.field(name, word) for name in names)]))


def _rest_of(columns: Mapping[str, CellColumn]) -> tuple[list[int], list[str]]:
    """Return rows and, as JSON, what the columns hold in each of them."""
    rows: dict[int, dict[str, Any]] = {}
    for key, column in columns.items():
        for row, text in column.cells():
            rows.setdefault(row, {})[key.rpartition("|")[0]] = text
    order = sorted(rows)
    return order, [_list_text(rows[row]) for row in order]


def flatten_column(name: str, rows: list[int], values: Sequence[Any], out: Flat, depth: int = 0) -> None:
    """Flatten a column whose cells may be nested objects into `out`, under dotted names.

    XML attributes (`#attributes`) and text (`#text`) of exported events belong to the element
    itself; namespace declarations are no fields; an empty object is a null. Work goes by shape, not by row.
    """
    types = set(map(type, values))
    if dict not in types or depth > MAX_DEPTH:
        _put(out, name, (rows, values, types))
        return
    keys_of = set(map(tuple, values)) if len(types) == 1 else set()
    if len(keys_of) == 1 and (keys := keys_of.pop()):  # by far the most columns: all cells of one shape
        _flatten_objects(name, keys, rows, values, out, depth)
        return
    shapes: dict[tuple[str, ...], tuple[list[int], list[Any]]] = {}
    plain: tuple[list[int], list[Any]] = ([], [])
    for row, value in zip(rows, values, strict=True):
        part = plain
        if type(value) is dict:
            keys = tuple(value)
            part = shapes.get(keys) or shapes.setdefault(keys, ([], []))
        part[0].append(row)
        part[1].append(value)
    if plain[0]:
        _put(out, name, (*plain, types - {dict}))
    for keys, (inside, objects) in shapes.items():
        if not keys:
            _put(out, name, (inside, [None] * len(inside), {type(None)}))
        _flatten_objects(name, keys, inside, objects, out, depth)


def _flatten_objects(
    name: str, keys: tuple[str, ...], rows: list[int], objects: Sequence[Any], out: Flat, depth: int
) -> None:
    """Flatten objects that all have the same `keys`, in the same order."""
    for key, values in zip(keys, zip(*map(dict.values, objects), strict=True), strict=True):
        if key != "xmlns" and not key.startswith("xmlns:"):
            child = name if key in _TRANSPARENT else f"{name}.{key}" if name else key
            flatten_column(child, rows, values, out, depth + 1)


_TRANSPARENT = frozenset({"#text", "#attributes"})


def _put(out: Flat, name: str, piece: Piece) -> None:
    for own in (name, _repeated(name, 1), free_name(name, out)):
        pieces = out.get(own)
        if pieces is None:
            out[own] = [piece]
            return
        taken = set().union(*(rows for rows, _, _ in pieces))
        if taken.isdisjoint(piece[0]):
            pieces.append(piece)
            return
        # two keys of one object flatten to one name: the second keeps its cells under a name of its own
