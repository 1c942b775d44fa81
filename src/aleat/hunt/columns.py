"""A batch's columns as codes and texts: each unpacked once, when first asked for, codes only if they decide."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from aleat.evidence.batch import EventBatch, split_column
from aleat.hunt.event_digest import cell_text
from aleat.hunt.expression import Fact, Field, FieldsMatch, Joined, View, fold, normalise_name
from aleat.hunt.plan import FACT_FIELDS
from aleat.hunt.views import view
from aleat.text import composed

__all__ = ["Codes", "Column", "Table", "cells_of", "compare_columns", "unique_rows"]

Codes = npt.NDArray[np.signedinteger[Any]]
"""For each row the place of its text in the dictionary; -1 where the field is absent."""


class Column:
    """A column of a batch: dictionary codes (absent: -1), unpacked only when asked for, and the texts."""

    def __init__(self, field: str, kind: str, codes: Codes | pa.Array, texts: list[str]) -> None:
        self.field = field
        self.kind = kind
        self.texts = texts
        self._codes = codes

    @property
    def codes(self) -> Codes:
        """The rows' codes."""
        if isinstance(self._codes, pa.Array):
            indices = self._codes.fill_null(-1) if self._codes.null_count else self._codes
            self._codes = indices.to_numpy(zero_copy_only=False)
        return self._codes


class Table:
    """A batch's columns as codes and texts, each unpacked once, when first asked for."""

    def __init__(self, batch: EventBatch) -> None:
        self.batch = batch
        table = batch.table
        self.rows = table.num_rows
        self.fields = [split for name in table.column_names if (split := split_column(name))]
        self._table = table
        self._columns: dict[str, Column] = {}

    def column(self, field: str, kind: str) -> Column:
        """Return the column of a field's cells of one kind."""
        name = f"{field}|{kind}"
        column = self._columns.get(name)
        if column is None:
            codes, texts = _codes_and_texts(self._table.column(name))
            column = self._columns[name] = Column(field, kind, codes, texts)
        return column

    def fixed(self, fact: str) -> Column:
        """Return a fixed column (without a name, as it is no field)."""
        column = self._columns.get(fact)
        if column is None:
            if fact == "channel":  # absent where the format has none
                channel = self.batch.channel
                column = Column(
                    "", "s", np.full(self.rows, 0 if channel else -1, np.int64), [channel] if channel else []
                )
            else:
                column = Column("", "s", *_codes_and_texts(self._table.column(fact)))
            self._columns[fact] = column
        return column

    def of_name(self, name: str) -> list[Column]:
        """Return the columns of a field by its normalised name."""
        return [self.column(field, kind) for field, kind in self.fields if normalise_name(field) == name]

    def of_subject(self, subject: Field | Fact | View) -> list[Column]:
        """Return the columns of a subject of `FieldsMatch`, with texts only."""
        if isinstance(subject, Fact):
            if subject.name == "format":
                return [Column("", "s", np.zeros(self.rows, np.int64), [self.batch.format])]
            return [self.fixed(subject.name)]
        columns = [column for column in self.of_name(subject.name) if column.kind != "n"]
        if not isinstance(subject, View) and subject.name in FACT_FIELDS:
            columns.append(self.fixed(FACT_FIELDS[subject.name]))
        if isinstance(subject, View):
            # several parts of one text are a list's elements to the comparison
            columns = [
                Column(
                    column.field,
                    "l",
                    column.codes,
                    [
                        orjson.dumps(
                            [
                                part
                                for cell in _flat(column.kind, text)
                                for part in view(subject.transform, cell, subject.argument)
                            ]
                        ).decode()
                        for text in column.texts
                    ],
                )
                for column in columns
            ]
        return columns

    def joined(self, subject: Joined) -> Column:
        """Return the texts of several fields joined, as a column of its own."""
        parts = [[column for column in self.of_name(name) if column.kind in "sibf"] for name in subject.names]
        columns = [column for group in parts for column in group]
        if not columns:
            return Column("", "s", np.full(self.rows, -1, np.int64), [])
        words = [_words(column) for column in columns]
        joined = words[0]
        for more in words[1:]:  # not all at once with null_handling="skip", which fails on rows that are all null
            joined = pc.coalesce(pc.binary_join_element_wise(joined, more, subject.separator), joined, more)
        encoded = joined.dictionary_encode()
        return Column(columns[0].field, "s", encoded.indices, encoded.dictionary.to_pylist())


def _codes_and_texts(chunked: pa.ChunkedArray) -> tuple[Codes | pa.Array, list[str]]:
    """Return the codes and the texts of a dictionary column."""
    if chunked.num_chunks == 1:
        array = chunked.chunk(0)
    else:
        array = chunked.unify_dictionaries().combine_chunks() if chunked.num_chunks else chunked
    if isinstance(array, pa.ChunkedArray):  # an empty column
        return np.zeros(0, np.int64), []
    if not isinstance(array, pa.DictionaryArray):
        array = array.dictionary_encode()
    return array.indices, array.dictionary.to_pylist()


def _words(column: Column) -> pa.Array:
    """Return the rows' texts; null where there is none, or one that stands for none."""
    texts = pa.array([None if text in ("", "-") else text for text in column.texts], pa.string())
    codes = column.codes
    return texts.take(pa.array(codes, mask=codes < 0))


def cells_of(kind: str, text: str) -> tuple[list[str], list[str], bool]:
    """Return a cell's texts, its floats' texts, and whether it holds a null (a list: of its elements)."""
    if kind == "f":
        return [], [text], False
    if kind == "n":
        return [], [], True
    if kind != "l":
        return [text], [], False
    plain: list[str] = []
    floats: list[str] = []
    null = False
    waiting = [orjson.loads(text)]
    while waiting:
        cell = waiting.pop()
        if isinstance(cell, list):
            waiting += reversed(cell)
        elif cell is None:
            null = True
        elif isinstance(cell, float):
            floats.append(cell_text(cell))
        else:
            plain.append(cell_text(cell))
    return plain, floats, null


def _flat(kind: str, text: str) -> list[str]:
    plain, floats, _ = cells_of(kind, text)
    return plain + floats


def compare_columns(left: Column, right: Column, leaf: FieldsMatch) -> npt.NDArray[np.bool_]:
    """Return for each row whether a cell of `left` compares with a cell of `right`, by distinct pairs."""
    first, inverse = unique_rows([left.codes, right.codes])
    passed = np.zeros(len(first), bool)
    for position, row in enumerate(first.tolist()):
        one, other = left.codes[row], right.codes[row]
        if one < 0 or other < 0:
            continue
        change = composed if leaf.cased else lambda text: fold(composed(text))
        texts = [change(text) for text in _flat(left.kind, left.texts[one])]
        others = [change(text) for text in _flat(right.kind, right.texts[other])]
        passed[position] = any(_compares(leaf.op, text, part) for text in texts for part in others)
    return passed[inverse]


def _compares(op: str, text: str, part: str) -> bool:
    if op == "equals":
        return text == part
    if op == "contains":
        return part in text
    return text.startswith(part) if op == "startswith" else text.endswith(part)


def unique_rows(columns: list[Codes]) -> tuple[Codes, Codes]:
    """Return the first row of each distinct combination of the columns' numbers, and each row's combination.

    Combinations are told apart by a sum of products with fixed odd numbers, modulo 2^64; that no two fell
    together is checked on the columns themselves, and in that case the slower exact way is taken.
    """
    total = np.zeros(len(columns[0]), np.uint64)
    multiplier = 0x9E3779B97F4A7C15
    for column in columns:
        total += column.astype(np.int64, copy=False).view(np.uint64) * np.uint64(multiplier)
        multiplier = (multiplier * 0xD1342543DE82EF95 + 2) & 0xFFFFFFFFFFFFFFFF | 1
    _, first, inverse = np.unique(total, return_index=True, return_inverse=True)
    if all(np.array_equal(column[first][inverse], column) for column in columns):
        return first, inverse
    _, first, inverse = np.unique(np.stack(columns, axis=1), axis=0, return_index=True, return_inverse=True)
    return first, inverse.reshape(-1)
