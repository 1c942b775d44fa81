"""From a list's tables to its entries: which cells are values, of what type, under which label.

What a cell looks like decides between the types that have a form of their own (addresses, domains, URLs,
hashes …); what its column says decides for names, paths, keywords and regular expressions, which have none.
A hash column's cell that is no hash has no type, and isn't hunted for.

A list may have millions of rows: everything is done by columns, block by block, and what is kept of a row is what
its entry says (`EntryCollector`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from aleat.errors import TrustError
from aleat.knowledge.list_table import Column, ListTable, column_role
from aleat.knowledge.values import TYPES, classify_values
from aleat.stix.entries import ENTRY_SCHEMA
from aleat.stix.ids import content_id
from aleat.trust.markings import marking_id

__all__ = [
    "EntryCollector",
    "RowClassifier",
    "has_labels",
    "head_labels",
    "label_marking",
    "list_hint",
    "may_have_labels",
    "stated_labels",
]

Numbers = np.ndarray[Any, np.dtype[Any]]

_BY_COLUMN = ["file:name", "file:path", "regex", "text", "tls-fingerprint", "windows-registry-key"]
_NETWORK = ["ipv4-addr", "ipv6-addr", "domain-name", "url"]
_RETYPED = ["", "file:path", "file:name", "domain-name"]
_SHORTEST_TEXT = 4  # characters: a shorter keyword stands in nearly everything
_MOST_LABELS = 1000  # rows with further ones are kept together, under a label that nobody knows
_MORE_LABELS = "one of too many labels"
_MOST_CONTEXTS = 10
_LABEL = re.compile(r"\b(TLP|PAP)\s?[:=]\s?(RED|AMBER(?:\s?\+\s?STRICT)?|GREEN|CLEAR|WHITE)\b", re.IGNORECASE)
_TYPE = pl.Enum(TYPES)
_SCHEMA: dict[str, Any] = {
    "type": _TYPE,
    "value": pl.String,
    "context": pl.String,
    "marking": pl.String,
    "line": pl.Int64,
    "column": pl.UInt16,
    "open": pl.Boolean,
}


def list_hint(name: str) -> str:
    """Return the type ("text", "regex" or "") that a file's name promises for values that look like nothing else."""
    lowered = name.lower()
    if "keyword" in lowered or "strings" in lowered:
        return "text"
    return "regex" if "regex" in lowered else ""


def may_have_labels(columns: Iterable[Column]) -> bool:
    """Return whether a column may hold labels by its name, so that its cells have to tell."""
    return any(column.role == "marking" and not _is_scheme(column) for column in columns)


def has_labels(columns: Iterable[Column]) -> bool:
    """Return whether a column that may hold labels by its name does by one of its cells."""
    for column in columns:
        if column.role == "marking" and not _is_scheme(column):
            cells = column.cells.unique().to_list()
            return any(not _is_unknown(cell, column.name) for cell in cells if cell)
    return False


def has_values(table: ListTable) -> bool:
    """Return whether a column that holds values by its name has any; without a look at what they are."""
    named = [column for column in table.columns if column.role == "value"]
    named = named or [column for column in table.columns if column.role not in {"context", "marking", "type"}]
    return any((column.cells != "").any() for column in named)


class RowClassifier:
    """Gives the values of a list's tables their types. The first table says which columns hold values.

    `labelled` says whether a column that may hold labels by its name (`has_labels`) does.
    """

    def __init__(self, hint: str = "", *, labelled: bool = True) -> None:
        self._hint = hint
        self._labelled = labelled
        self._value_column: int | None = None
        self._first = True
        self.columns: dict[str, None] = {}
        """The names of the columns that are context."""
        self.scheme = ""
        """The name of the column that holds labels."""

    def classify(self, table: ListTable) -> pl.DataFrame:
        """Return a row for each value: type ("" where unknown), value, context, marking (as written), line.

        `column` numbers the value's column; `open` tells that its type is by its form alone.
        """
        columns = self._with_roles(table)
        context = _context([column for column in columns if column.role == "context"], len(table.lines))
        labels = next((column for column in columns if column.role == "marking"), None)
        kinds = next((column for column in columns if column.role == "type"), None)
        values = [column for column in columns if column.role == "value"]
        values = values or [column for column in columns if column.role not in {"context", "marking", "type"}]
        self.columns.update({column.name: None for column in columns if column.role == "context"})
        self.scheme = self.scheme or (labels.name if labels else "")
        shared = pl.DataFrame(
            {
                "context": context,
                "marking": labels.cells if labels else pl.repeat("", len(table.lines), eager=True),
                "line": table.lines,
            }
        )
        frames = [
            _classify_column(column, kinds, shared, self._hint).with_columns(pl.lit(place, pl.UInt16).alias("column"))
            for place, column in enumerate(values)
        ]
        found = [frame.select(list(_SCHEMA)) for frame in frames]
        if len(found) == 1:
            return found[0]
        return pl.concat([pl.DataFrame(schema=_SCHEMA), *found]).sort("line", maintain_order=True)

    def _with_roles(self, table: ListTable) -> list[Column]:
        """Return the columns, with roles for what the header left open."""
        columns = [
            Column(column.name, column.cells, "context")
            if column.role == "marking" and not _is_scheme(column) and not self._labelled
            else column
            for column in table.columns
        ]
        if self._first:
            self._first = False
            if columns and all(column.role in {"context", "marking", "type"} for column in columns):
                shares = [(classify_values(column.cells.head(500))["type"] != "").sum() for column in columns]
                self._value_column = max(range(len(columns)), key=lambda number: (shares[number], -number))
        if self._value_column is not None:
            at = self._value_column
            columns[at] = Column(columns[at].name, columns[at].cells, "value")
        return columns


@dataclass(frozen=True, slots=True)
class _Block:
    """Rows as they are kept: as little as can be."""

    types: Numbers  # places in `TYPES`, 8 bits
    columns: Numbers
    open: Numbers
    labels: Numbers
    lines: Numbers
    values: pa.Array
    contexts: pa.Array


class EntryCollector:
    """Takes rows of `RowClassifier` and gives the entries (`ENTRY_SCHEMA`) of each label."""

    def __init__(self, hint: str = "") -> None:
        self._hint = hint
        self._blocks: list[_Block] = []
        self._labels: dict[str, int] = {}
        self._counts: dict[int, list[int]] = {}
        self.rows = 0

    def add(self, rows: pl.DataFrame) -> None:
        """Take the rows of one table."""
        types = rows["type"].to_physical().to_numpy().astype(np.uint8)
        columns = _shrunk(rows["column"].to_numpy())
        self.rows += len(rows)
        for column in np.unique(columns).tolist():
            of_column = types[columns == column]
            counts = self._counts.setdefault(column, [0, 0])
            counts[0] += len(of_column)
            counts[1] += int((of_column == TYPES.index("regex")).sum())
        self._blocks.append(
            _Block(
                types,
                columns,
                _shrunk(rows["open"].to_numpy()),
                _shrunk(self._label_numbers(rows["marking"])),
                rows["line"].to_numpy().astype(np.int32),
                _texts(rows["value"]),
                _texts(rows["context"]),
            )
        )

    def settle(self) -> list[int]:
        """Settle what only the whole list tells, and return the lines of values that have no type.

        Where most values of a column are regular expressions, all that have no clear form of their own are.
        """
        mostly = [column for column, (rows, found) in self._counts.items() if 2 * found >= max(1, rows)]
        if mostly and self._hint != "text":
            wanted = [TYPES.index(name) for name in _RETYPED]
            for block in self._blocks:
                mask = block.open & np.isin(block.types, wanted) & np.isin(block.columns, mostly)
                block.types[mask] = TYPES.index("regex")
        return [line for block in self._blocks for line in block.lines[block.types == 0].tolist()]

    def entries(self) -> Iterator[tuple[str, int, pa.Table]]:
        """Yield each label (as written, "" for none) with its first line and its entries; may be asked once."""
        blocks, self._blocks = self._blocks, []
        pa.default_memory_pool().release_unused()  # what splitting and joining left behind
        names = sorted(self._labels)
        for name in names:
            number = self._labels[name]
            parts = [(block, (block.types != 0) & (block.labels == number)) for block in blocks]
            first = next((int(block.lines[keep][0]) for block, keep in parts if keep.any()), 0)
            if name == names[-1]:
                blocks.clear()  # so that each block's memory serves the next one's entries
            if first:
                yield name, first, _unique_entries(parts)

    def _label_numbers(self, marking: pl.Series) -> Numbers:
        distinct = marking.unique(maintain_order=True).to_list()
        for label in distinct:
            if label not in self._labels:
                name = label if len(self._labels) < _MOST_LABELS else _MORE_LABELS
                self._labels.setdefault(name, len(self._labels))
        numbers = [self._labels.get(label, self._labels.get(_MORE_LABELS, 0)) for label in distinct]
        if len(distinct) == 1:
            return np.full(len(marking), numbers[0], dtype=np.int16)
        found = marking.replace_strict(distinct, numbers, return_dtype=pl.Int16)
        return found.to_numpy()


def _shrunk(numbers: Numbers) -> Numbers:
    """Return an array as it is, or without memory of its own where all of it is one number."""
    if len(numbers) and (numbers == numbers[0]).all():
        return np.broadcast_to(numbers[0], numbers.shape)
    return numbers


def _unique_entries(parts: list[tuple[_Block, Numbers]]) -> pa.Table:
    """Return the wanted rows as entries: each value once, where it first stood, with its contexts and its count.

    `parts` are blocks with whether each row is wanted; it is emptied.
    """
    merged = _merge(parts, _repeated_rows(parts))
    types = pa.array(TYPES[1:], pa.string())
    ones = np.ones(max((len(keep) for _, keep in parts), default=0), dtype=np.int64)  # all blocks' counts, nearly
    tables = []
    parts.reverse()
    for number in range(len(parts)):
        block, keep = parts.pop()
        values, contexts = block.values, block.contexts
        counts = ones[: len(keep)]
        own = merged.get(number)
        if own is not None:
            keep = keep.copy()
            keep[own["row"].to_numpy()] = False
            stays = own.drop_nulls("count").sort("row")
            rows = stays["row"].to_numpy()
            keep[rows] = True
            counts = counts.copy()
            counts[rows] = stays["count"].to_numpy()
            if (stays["count"] > 1).any():
                contexts = _texts(pl.Series(contexts, dtype=pl.String).clone().scatter(rows, stays["context"]))
        if not keep.all():  # by polars, whose memory for the last block's texts serves this one's
            mask = pl.Series(keep)
            values = _texts(pl.Series(values, dtype=pl.String).filter(mask))
            contexts = _texts(pl.Series(contexts, dtype=pl.String).filter(mask))
        kinds = pa.DictionaryArray.from_arrays(pa.array(block.types[keep].astype(np.int32) - 1), types)
        lines = pa.array(block.lines[keep], pa.int64())
        counts = ones[: len(values)] if counts.base is ones else counts[keep]
        columns = [kinds, values, contexts, lines, pa.array(counts)]
        tables.append(pa.Table.from_arrays(columns, schema=ENTRY_SCHEMA))
    return pa.concat_tables(tables)


def _texts(texts: pl.Series) -> pa.Array:
    return texts.to_arrow().cast(pa.string())


def _repeated_rows(parts: list[tuple[_Block, Numbers]]) -> list[Numbers]:
    """Return, for each block, the rows whose type and value stand more than once, by their hashes: never too few."""
    ordered = np.empty(sum(len(keep) for _, keep in parts), dtype=np.uint64)
    end = 0
    for block, keep in parts:
        own = _hashes(block)[keep]
        ordered[end : end + len(own)] = own
        end += len(own)
    ordered = ordered[:end]
    ordered.sort()
    repeated = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    del ordered
    if not len(repeated):
        return [np.zeros(0, dtype=np.int64) for _ in parts]
    table = np.zeros(1 << 24, dtype=np.bool_)  # of the first 24 bits: a look at nearly all is enough
    table[repeated >> np.uint64(40)] = True
    found = []
    for block, keep in parts:
        own = _hashes(block)[keep]  # once more: that costs little, and keeping them would cost memory
        likely = np.flatnonzero(table[own >> np.uint64(40)])
        at = np.searchsorted(repeated, own[likely])
        rows = likely[repeated[np.minimum(at, len(repeated) - 1)] == own[likely]]
        found.append(np.flatnonzero(keep)[rows])
    return found


def _hashes(block: _Block) -> Numbers:
    values: Numbers = pl.Series(block.values, dtype=pl.String).hash(seed=1).to_numpy()
    hashes: Numbers = values + block.types.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return hashes


def _merge(parts: list[tuple[_Block, Numbers]], rows: list[Numbers]) -> dict[int, pl.DataFrame]:
    """Return, by block, the `row`s that may be repeated: with `context` and `count` where they stay, else null."""
    frames = [
        pl.DataFrame(
            {
                "block": pl.Series(np.full(len(own), number, dtype=np.int32)),
                "row": pl.Series(own.astype(np.int32)),
                "type": pl.Series(block.types[own]),
                "value": pl.Series(block.values.take(pa.array(own)), dtype=pl.String),
                "context": pl.Series(block.contexts.take(pa.array(own)), dtype=pl.String),
            }
        )
        for number, ((block, _), own) in enumerate(zip(parts, rows, strict=True))
        if len(own)
    ]
    if not frames:
        return {}
    every = pl.concat(frames, rechunk=True)
    del frames
    contexts = pl.col("context").filter(pl.col("context") != "").unique(maintain_order=True)
    merged = every.group_by("type", "value", maintain_order=True).agg(
        pl.col("block", "row").first(),
        contexts.head(_MOST_CONTEXTS).str.join(" | "),
        pl.len().cast(pl.Int64).alias("count"),
    )
    first = merged.select("block", "row", "context", "count")
    joined = every.select("block", "row").join(first, on=["block", "row"], how="left")
    return {int(key[0]): frame for key, frame in joined.partition_by("block", as_dict=True).items()}


def label_marking(label: str, column: str) -> str:
    """Return the id of the marking definition that a row's label stands for.

    A label that isn't known gets an id that nobody else has: what is marked with it stays.

    >>> label_marking("Amber Strict", "TLP") == marking_id("tlp:amber+strict")
    True
    """
    text = " ".join(label.lower().split()).replace(" strict", "+strict").replace(": ", ":")
    scheme = "pap" if column.lower().startswith("pap") else "tlp"
    for name in (text, f"{scheme}:{text}"):
        try:
            return marking_id(name)
        except TrustError:
            continue
    return content_id("marking-definition", ["label that is not known", label])


def stated_labels(text: str) -> tuple[str, ...]:
    """Return the ids of the markings that a text beside a list states (``TLP:AMBER``, ``PAP: RED``).

    >>> len(stated_labels("Wave of July / TLP:AMBER+STRICT / PAP: RED"))
    2
    """
    return tuple(sorted({label_marking(match[2], match[1]) for match in _LABEL.finditer(text)}))


def head_labels(text: str) -> tuple[str, ...]:
    """Return the ids of the markings that a file's first comments state: those before its first other line.

    >>> len(head_labels("# our list\\n// TLP:GREEN\\nevil.example\\n# TLP:RED")), head_labels("evil.example # TLP:RED")
    (1, ())
    """
    stated = []
    for line in text.split("\n"):
        words = line.strip("\ufeff \t\r")
        if words and not words.startswith(("#", "//", ";")):
            break
        stated.append(words)
    return stated_labels("\n".join(stated))


def _is_scheme(column: Column) -> bool:
    return column.name.lower().startswith(("tlp", "pap", "marking", "traffic"))


def _is_unknown(cell: str, column: str) -> bool:
    return label_marking(cell, column) == content_id("marking-definition", ["label that is not known", cell])


def _context(columns: list[Column], rows: int) -> pl.Series:
    if not columns:
        return pl.repeat("", rows, eager=True)
    frame = pl.DataFrame({str(number): column.cells for number, column in enumerate(columns)})
    if len(columns) == 1 and columns[0].name.lower() in {"comment", "description", "context", "info", ""}:
        return frame.to_series()
    parts = [
        pl.when(pl.col(str(number)) != "").then(pl.lit(f"{column.name}: ") + pl.col(str(number)))
        for number, column in enumerate(columns)
    ]
    return frame.select(pl.concat_str(parts, separator="; ", ignore_nulls=True).alias("context")).to_series()


def _classify_column(column: Column, kinds: Column | None, shared: pl.DataFrame, hint: str) -> pl.DataFrame:
    declared = column.role if column.role != "value" else ""
    frame = shared.with_columns(pl.Series("cell", column.cells))
    if kinds is not None and not declared:
        frame = _split_pairs(frame.with_columns(pl.Series("declared", kinds.cells)))
        words = frame["declared"].unique().to_list()
        roles = {word: _entry_type(word) for word in words}
        frame = frame.with_columns(pl.col("declared").replace_strict(roles, return_dtype=pl.String).cast(_TYPE))
    else:
        frame = frame.with_columns(pl.lit(declared, dtype=_TYPE).alias("declared"))
    if (frame["cell"] == "").any():
        frame = frame.filter(pl.col("cell") != "")
    frame = frame.with_columns(classify_values(frame["cell"]).get_columns())
    if declared or kinds is not None:
        frame = frame.with_columns(_settle_type().alias("type"))
    frame = _settle_untyped(frame.with_columns((pl.col("declared") == "").alias("open")), hint)
    if (frame["port"] != "").any():
        port = pl.when(pl.col("port") != "").then(pl.lit("port: ") + pl.col("port"))
        text = pl.when(pl.col("context") != "").then(pl.col("context"))
        context = pl.concat_str(text, port, separator="; ", ignore_nulls=True)
        frame = frame.with_columns(context.alias("context"))
    return frame


def _split_pairs(frame: pl.DataFrame) -> pl.DataFrame:
    """Split values such as ``a.exe|d41d…`` whose type says ``filename|md5``: two rows of one line."""
    bars = pl.col("declared").str.count_matches(r"\|")
    paired = (bars > 0) & (bars == pl.col("cell").str.count_matches(r"\|"))
    if not frame.select(paired.any()).item():
        return frame
    split = pl.when(paired)
    return frame.with_columns(
        split.then(pl.col("declared").str.split("|")).otherwise(pl.concat_list("declared")).alias("declared"),
        split.then(pl.col("cell").str.split("|")).otherwise(pl.concat_list("cell")).alias("cell"),
    ).explode("declared", "cell")


def _entry_type(word: str) -> str:
    role = column_role(word)
    return role if role not in {"value", "type", "marking", "context"} else ""


def _settle_type() -> pl.Expr:
    """What the column says for what has no form; what the value shows for what has."""
    declared, shown = pl.col("declared"), pl.col("type")
    is_path = (declared == "file:name") & pl.col("value").str.contains(r"[\\/]")
    agrees = (declared == shown) | (declared.is_in(_NETWORK) & shown.is_in(_NETWORK))
    return (
        pl.when(declared == "")
        .then(shown)
        .when(is_path)
        .then(pl.lit("file:path", dtype=_TYPE))
        .when(declared.is_in(_BY_COLUMN))
        .then(declared)
        .when(agrees)
        .then(shown)
        .otherwise(pl.lit("", dtype=_TYPE))
    )


def _settle_untyped(frame: pl.DataFrame, hint: str) -> pl.DataFrame:
    """Where the list's name promises keywords or regular expressions, what has no form is one."""
    kind, undeclared = pl.col("type"), pl.col("open")
    if hint:
        names = ["", "regex", "file:path"] if hint == "text" else [""]
        promised = pl.when(undeclared & kind.is_in(names)).then(pl.lit(hint, dtype=_TYPE)).otherwise(kind)
        frame = frame.with_columns(promised.alias("type"))
    short = (pl.col("type") == "text") & (pl.col("value").str.len_chars() < _SHORTEST_TEXT)
    if frame.select(short.any()).item():
        frame = frame.with_columns(pl.when(short).then(pl.lit("", dtype=_TYPE)).otherwise(kind).alias("type"))
    return frame
