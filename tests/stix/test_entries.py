"""The digest of a list's rows: what it says, and nothing else."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from aleat.stix.entries import ENTRY_SCHEMA, empty_entries, entries_digest

ROWS = st.lists(
    st.tuples(st.sampled_from(["url", "text"]), st.text(max_size=5), st.text(max_size=5)), min_size=1, max_size=6
)


def table(rows: list[tuple[str, str, str]], line: int = 1) -> pa.Table:
    records = [
        {"type": kind, "value": value, "context": context, "line": line, "count": 1} for kind, value, context in rows
    ]
    return pa.Table.from_pylist(records, schema=ENTRY_SCHEMA)


@given(ROWS, ROWS)
def test_lists_with_one_digest_say_the_same(
    first: list[tuple[str, str, str]], second: list[tuple[str, str, str]]
) -> None:
    """Values, types and contexts in order; also where texts run into each other."""
    assert (entries_digest(table(first)) == entries_digest(table(second))) == (first == second)


@given(ROWS, st.integers(0, 6))
def test_the_digest_does_not_depend_on_how_the_rows_are_held(rows: list[tuple[str, str, str]], at: int) -> None:
    """Chunks, slices, dictionary order and line numbers don't count."""
    whole = table(rows)
    pieces = pa.concat_tables([table(rows[:at]), empty_entries(), table(rows[at:], line=9)])
    sliced = pa.concat_tables([table([("text", "before", "")]), whole]).slice(1)
    assert entries_digest(pieces) == entries_digest(whole) == entries_digest(sliced)
