"""Lists made ready: keys by columns are the keys of entries, and what is kept is not believed blindly."""

from __future__ import annotations

import random
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aleat.errors import IntegrityError, Place
from aleat.hunt import list_index, list_prepare
from aleat.hunt.indicator import Indicator, ListEntry
from aleat.hunt.list_index import ListIndex
from aleat.hunt.list_keys import entry_keys, too_wide
from aleat.hunt.list_prepare import MAXIMUM_REJECTED, Prepared, hash_keys, prepare, prepare_entries
from aleat.stix.entries import ENTRY_SCHEMA, ENTRY_TYPES, entries_digest
from aleat.store.database import Database
from aleat.store.entries import EntryRows, StoredRows, put_entries, stored_rows

PIECES = [
    "evil", ".", "example", "com", "[.]", "(dot)", "hxxp", "http", "://", ":", "80", "443", "8080", "/", "\\", "C:",
    "HKLM", "HKU", "s-1-5-21-1", "%TEMP%", "CVE-2020-1234", "192.0.2.1", "10.0.0.0", "/24", "/8", "/3", "::",
    "2001:db8", "@", "exe", "ë", "-", " ", "*.", "*", "1", "01", "d41d8cd98f00b204e9800998ecf8427e", "#", "?", "=",
    ",", "'", '"', "X", "_", "xn--a", "İ", "fxp", ".]", "::ffff:192.0.2.7",
]  # fmt: skip
VALUES = st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("".join)


def table(*entries: tuple[str, str]) -> pa.Table:
    records = [{"type": kind, "value": value, "context": "", "line": 1, "count": 1} for kind, value in entries]
    return pa.Table.from_pylist(records, schema=ENTRY_SCHEMA)


def rows_of(*entries: tuple[str, str]) -> EntryRows:
    made = table(*entries)
    return EntryRows(made, entries_digest(made))


def indicator(rows: EntryRows) -> Indicator:
    return Indicator("l", "indicator--l", rows.digest, "aleat-list", "", "l", "x", Place("l.csv"), rows=rows)


def keys_of(made: Prepared, keys: list[str]) -> dict[str, set[int]]:
    found = {keys[place]: set(rows) for place, rows in made.keys.rows_of(hash_keys(keys))}
    return {key: rows for key, rows in found.items() if rows}


@settings(deadline=None)  # a shared machine
@given(st.lists(st.tuples(st.sampled_from(ENTRY_TYPES), VALUES), min_size=1, max_size=8))
def test_keys_made_by_columns_are_those_of_each_entry(entries: list[tuple[str, str]]) -> None:
    """Also of values that aren't in their usual form."""
    whole = prepare(rows_of(*entries))
    each = prepare_entries([ListEntry(*entry) for entry in entries], explicit=False)
    assert (whole.keys.packed.tolist(), whole.keys.bits) == (each.keys.packed.tolist(), each.keys.bits)
    assert (whole.parts.lengths, sorted(whole.parts.letters)) == (each.parts.lengths, sorted(each.parts.letters))
    assert {row.row for row in whole.parts.rejected} == {row.row for row in each.parts.rejected}
    assert set(whole.parts.tests) == set(each.parts.tests)
    for row, entry in enumerate(entries):
        keys = entry_keys(ListEntry(*entry))
        if entry[0] not in {"text", "regex"} and not too_wide(keys):
            assert all(row in rows for rows in keys_of(whole, keys).values())


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["url", "text", "ipv4-addr"]), VALUES), max_size=5))
def test_what_was_prepared_comes_back(entries: list[tuple[str, str]]) -> None:
    made = prepare(rows_of(*entries))
    back = Prepared.from_bytes(memoryview(made.to_bytes()))
    assert back is not None
    assert (back.keys.packed.tolist(), back.parts) == (made.keys.packed.tolist(), made.parts)


def test_no_damage_to_what_was_prepared_is_taken_for_it() -> None:
    """Cut anywhere, or made by another program: it is prepared again."""
    data = prepare(rows_of(("domain-name", "evil.example"))).to_bytes()
    assert all(Prepared.from_bytes(memoryview(data[:end])) is None for end in range(len(data)))
    other = data.replace(pl.__version__.encode(), b"9" * len(pl.__version__))
    assert Prepared.from_bytes(memoryview(other)) is None


# ------------------------------------------------------------------------------------------- in a workspace


@pytest.fixture
def stored(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StoredRows:
    """A list in a workspace, long enough to be kept prepared."""
    monkeypatch.setattr(list_index, "LONG", 3)
    entries = [("domain-name", f"evil{number}.example") for number in range(9)]
    with database.write() as connection:
        digest = put_entries(connection, tmp_path, table(*entries))
        return stored_rows(connection, tmp_path, digest)


def hits(rows: EntryRows, database: Database | None = None) -> dict[str, tuple[int, ...]]:
    return ListIndex([indicator(rows)], database).lookup(["evil3.example", "evil33.example", "x.evil8.example"])


HITS = {"evil3.example": (3,), "x.evil8.example": (8,)}


def cached(root: Path) -> Path:
    (found,) = (root / "cache").glob("*.list")
    return found


def test_a_long_list_is_prepared_once(stored: StoredRows, database: Database, tmp_path: Path) -> None:
    assert hits(stored, database) == HITS
    made = cached(tmp_path).stat().st_mtime_ns
    (tmp_path / "lists" / f"{stored.digest}.parquet").touch()
    assert hits(stored, database) == HITS
    assert cached(tmp_path).stat().st_mtime_ns == made


@pytest.mark.parametrize("fault", ["changed", "cut", "gone", "another's"])
def test_a_damaged_or_forged_cache_is_made_again(
    stored: StoredRows, database: Database, tmp_path: Path, fault: str
) -> None:
    """A file without its row's hash is as good as none."""
    hits(stored, database)
    path = cached(tmp_path)
    data = path.read_bytes()
    if fault == "gone":
        path.unlink()
    else:
        other = prepare(rows_of(*[("domain-name", "other.example")] * 9)).to_bytes()
        path.write_bytes({"changed": data[:-1] + bytes([data[-1] ^ 1]), "cut": data[:-8], "another's": other}[fault])
    assert hits(stored, database) == HITS
    assert path.read_bytes() == data


def test_rows_that_were_changed_are_found(stored: StoredRows, database: Database, tmp_path: Path) -> None:
    """What was prepared leads to entries that aren't there any more; without it the file's own hash tells."""
    hits(stored, database)
    path = tmp_path / "lists" / f"{stored.digest}.parquet"
    changed = [("domain-name", f"good{number}.example") for number in range(9)]
    with database.write() as connection:
        other = put_entries(connection, tmp_path, table(*changed))
    path.write_bytes((tmp_path / "lists" / f"{other}.parquet").read_bytes())
    fresh = StoredRows(tmp_path, stored.digest, stored.count, stored._file_sha256)
    with pytest.raises(IntegrityError, match="changed"):
        hits(fresh, database)
    index = ListIndex([indicator(fresh)])
    assert [(row.code, row.partial) for row in index.not_evaluated] == [("list-rows", False)]


# ------------------------------------------------------------------------------------------ many, and hostile


def test_long_and_short_lists_together_find_what_each_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbered through, whatever their length."""
    chance = random.Random(4)  # noqa: S311 - a test's dice
    lists = []
    for number in range(5):
        values = [f"h{chance.randrange(40)}.example" for _ in range(number * 4 + 1)]
        lists.append(indicator(rows_of(*(("domain-name", value) for value in dict.fromkeys(values)))))
    texts = [f"h{number}.example" for number in range(40)]
    whole = ListIndex(lists).lookup(texts)
    monkeypatch.setattr(list_index, "LONG", 6)
    index = ListIndex(lists)
    assert index.lookup(texts) == whole
    assert {index.describe(entry)[1].value for found in whole.values() for entry in found} <= set(texts)
    part = index.only({lists[1].digest, lists[4].digest})
    expected = {
        text: left
        for text, found in whole.items()
        if (left := tuple(entry for entry in found if index.describe(entry)[0] in (lists[1], lists[4])))
    }
    assert part.lookup(texts) == expected


def test_a_list_that_holds_a_value_twice_finds_it_once() -> None:
    """Lists that were not read by us may."""
    assert ListIndex([indicator(rows_of(*[("domain-name", "evil.example")] * 3))]).lookup(["evil.example"]) == {
        "evil.example": (0,)
    }


def test_where_nothing_can_be_read_the_first_are_named_and_the_rest_counted() -> None:
    bad = [("ipv4-addr", f"300.0.0.{number}") for number in range(MAXIMUM_REJECTED + 50)]
    index = ListIndex([indicator(rows_of(*bad))])
    assert len(index) == 0
    *named, rest = index.not_evaluated
    assert {row.code for row in named} == {"list-value"}
    assert len(named) == MAXIMUM_REJECTED
    assert (rest.code, rest.reason) == ("limit", "50 further values that can't be read, are not matched.")


def test_more_expressions_than_can_be_searched_for_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(list_prepare.MAXIMUM_TESTS, "regex", 3)
    index = ListIndex([indicator(rows_of(*(("regex", f"evil{number}[a-z]") for number in range(5))))])
    assert [(row.code, row.reason[:1]) for row in index.not_evaluated] == [("limit", "2")]
    assert sorted(index.lookup(["evil2x", "evil3x"])) == ["evil2x"]
