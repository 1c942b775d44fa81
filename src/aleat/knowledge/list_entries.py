"""From a list's table to its entries: which cells are values, of what type, under which label.

What a cell looks like decides between the types that have a form of their own (addresses, domains, URLs,
hashes …); what its column says decides for names, paths, keywords and regular expressions, which have none.
A hash column's cell that is no hash has no type, and isn't hunted for.
"""

from __future__ import annotations

import polars as pl
import pyarrow as pa

from aleat.errors import TrustError
from aleat.knowledge.list_table import Column, ListTable, column_role
from aleat.knowledge.values import classify_values
from aleat.stix.entries import ENTRY_SCHEMA
from aleat.stix.ids import content_id
from aleat.trust.markings import marking_id

__all__ = ["classify_table", "collect_entries", "label_marking", "list_hint"]

_BY_COLUMN = ["file:name", "file:path", "regex", "text", "windows-registry-key"]
_NETWORK = ["ipv4-addr", "ipv6-addr", "domain-name", "url"]
_SHORTEST_TEXT = 4  # characters: a shorter keyword stands in nearly everything
_SCHEMA = {"type": pl.String, "value": pl.String, "context": pl.String, "marking": pl.String, "line": pl.Int64}


def list_hint(name: str) -> str:
    """Return the type ("text", "regex" or "") that a file's name promises for values that look like nothing else."""
    lowered = name.lower()
    if "keyword" in lowered or "strings" in lowered:
        return "text"
    return "regex" if "regex" in lowered else ""


def classify_table(table: ListTable, hint: str = "") -> pl.DataFrame:
    """Return a row for each value of `table`: type ("" where unknown), value, context, marking (as written), line."""
    columns = _with_value_column(table)
    context = _context([column for column in columns if column.role == "context"], len(table.lines))
    labels = next((column for column in columns if column.role == "marking"), None)
    kinds = next((column for column in columns if column.role == "type"), None)
    values = [column for column in columns if column.role == "value"]
    values = values or [column for column in columns if column.role not in {"context", "marking", "type"}]
    shared = pl.DataFrame(
        {
            "context": context,
            "marking": labels.cells if labels else pl.repeat("", len(table.lines), eager=True),
            "line": table.lines,
        }
    )
    frames = [_classify_column(column, kinds, shared, hint) for column in values]
    return pl.concat([pl.DataFrame(schema=_SCHEMA), *frames]).sort("line", maintain_order=True)


def collect_entries(rows: pl.DataFrame) -> pa.Table:
    """Return rows of `classify_table` as entries (`ENTRY_SCHEMA`): each value once, with its contexts and its count."""
    key = ["type", "value"]
    grouped = rows.unique(key, keep="first", maintain_order=True).with_columns(pl.lit(1, pl.Int64).alias("count"))
    if len(grouped) < len(rows):
        repeated = rows.filter(rows.select(key).is_duplicated()).group_by(key, maintain_order=True)
        contexts = pl.col("context").filter(pl.col("context") != "").unique(maintain_order=True)
        merged = repeated.agg(contexts.head(10).str.join(" | "), pl.len().cast(pl.Int64).alias("count"))
        grouped = grouped.update(merged, on=key, how="left")
    table = grouped.select(ENTRY_SCHEMA.names).to_arrow()
    columns = [
        table.column(name).cast(pa.string()).combine_chunks().dictionary_encode()
        if name == "type"
        else table.column(name).cast(ENTRY_SCHEMA.field(name).type)
        for name in ENTRY_SCHEMA.names
    ]
    return pa.Table.from_arrays(columns, schema=ENTRY_SCHEMA)


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


def _with_value_column(table: ListTable) -> list[Column]:
    """Return the columns, with roles for what the header left open."""
    columns = [_settle_marking(column) for column in table.columns]
    if any(column.role not in {"context", "marking", "type"} for column in columns) or not columns:
        return columns
    shares = [(classify_values(column.cells.head(500))["type"] != "").sum() for column in columns]
    best = max(range(len(columns)), key=lambda number: (shares[number], -number))
    return [
        Column(column.name, column.cells, "value") if number == best else column
        for number, column in enumerate(columns)
    ]


def _settle_marking(column: Column) -> Column:
    """A column that may hold labels does, if its name is a scheme's or one of its cells is a label."""
    if column.role != "marking" or column.name.lower().startswith(("tlp", "pap", "marking", "traffic")):
        return column
    cells = column.cells.unique().head(1000).to_list()
    known = any(not label_marking(cell, column.name).startswith("marking-definition--") for cell in cells if cell)
    return column if known else Column(column.name, column.cells, "context")


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
    frame = shared.with_columns(pl.Series("cell", column.cells), pl.lit(declared).alias("declared"))
    if kinds is not None and not declared:
        frame = _split_pairs(frame.with_columns(pl.Series("declared", kinds.cells)))
        words = frame["declared"].unique().to_list()
        roles = {word: _entry_type(word) for word in words}
        frame = frame.with_columns(pl.col("declared").replace_strict(roles, return_dtype=pl.String))
    frame = frame.filter(pl.col("cell") != "")
    frame = pl.concat([frame, classify_values(frame["cell"])], how="horizontal")
    frame = frame.with_columns(_settle_type().alias("type"))
    frame = _settle_untyped(frame, hint)
    port = pl.when(pl.col("port") != "").then(pl.lit("port: ") + pl.col("port"))
    text = pl.when(pl.col("context") != "").then(pl.col("context"))
    context = pl.concat_str(text, port, separator="; ", ignore_nulls=True)
    return frame.with_columns(context.alias("context")).select(list(_SCHEMA))


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
        .then(pl.lit("file:path"))
        .when(declared.is_in(_BY_COLUMN))
        .then(declared)
        .when(agrees)
        .then(shown)
        .otherwise(pl.lit(""))
    )


def _settle_untyped(frame: pl.DataFrame, hint: str) -> pl.DataFrame:
    """Where the list's name promises keywords, the rest are; where most are regular expressions, all are."""
    kind, undeclared = pl.col("type"), pl.col("declared") == ""
    names = ["", "file:path", "file:name", "domain-name"]
    if hint == "text":
        names = ["", "regex", "file:path"]
        frame = frame.with_columns(
            pl.when(undeclared & kind.is_in(names)).then(pl.lit("text")).otherwise(kind).alias("type")
        )
    elif 2 * (frame["type"] == "regex").sum() >= max(1, len(frame)):
        frame = frame.with_columns(
            pl.when(undeclared & kind.is_in(names)).then(pl.lit("regex")).otherwise(kind).alias("type")
        )
    elif hint:
        frame = frame.with_columns(pl.when(undeclared & (kind == "")).then(pl.lit(hint)).otherwise(kind).alias("type"))
    short = (pl.col("type") == "text") & (pl.col("value").str.len_chars() < _SHORTEST_TEXT)
    return frame.with_columns(pl.when(short).then(pl.lit("")).otherwise(pl.col("type")).alias("type"))
