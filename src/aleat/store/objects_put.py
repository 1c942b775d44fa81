"""Objects come in: thousands at a time, each content once, each giver's copy once, and nothing else changes.

Whether a content is here is looked up by its id: the same content has the same id. The rows that are added are
hashed on the way, so that the ledger's entry binds exactly those, however many there were before.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice, repeat
from typing import Any

import orjson
import sqlalchemy as sa

from aleat.stix.columns import ObjectColumns, columns_of
from aleat.stix.objects import StixObject
from aleat.stix.times import format_timestamp
from aleat.store.object_tables import (
    NUMBERED,
    Provenance,
    PutResult,
    arrivals,
    copies,
    facts,
    facts_row,
    insert_rows,
    known_blocks,
    object_values,
    objects,
    packs,
    rows_with,
    traits,
)
from aleat.store.objects_conflicts import find_conflicts_of

__all__ = ["AddedDigest", "ObjectWriter", "known_kinds", "put_objects"]

_CHUNK = 4_000  # objects handled at once; their ids in one question are below every database's number of parameters
_PACK = 16_384  # bytes, and what the last object has beyond
_MINDED = 65_536  # rows of a small table whose numbers are kept in mind

_Place = tuple[tuple[datetime, str], int | None, int | None, int | None]
"""When, and from what path a copy came; line, column, offset."""

_LINE = orjson.OPT_APPEND_NEWLINE


class AddedDigest:
    """A SHA-256 over rows of the numbered tables, each table's in their order."""

    def __init__(self) -> None:
        self._hashes = {table.name: hashlib.sha256() for table in NUMBERED}

    def take(self, table: sa.Table, rows: Iterable[Sequence[Any]]) -> None:
        """Take rows (all columns) of a table in."""
        if table is packs:
            lines = [b"%d %d\n%b" % (seq, len(data), data) for seq, data in rows]
        elif table is objects:
            lines = _lines([(*row[:4], row[4].hex(), *row[5:]) for row in rows])
        elif table is copies:
            lines = _lines(rows)
        elif table is known_blocks:
            lines = [orjson.dumps((row[0], row[1].hex(), *row[2:]), option=_LINE) for row in rows]
        else:
            lines = [orjson.dumps(tuple(row), option=_LINE) for row in rows]
        self._hashes[table.name].update(b"".join(lines))

    def value(self) -> str:
        """Return the digest (hex)."""
        parts = [f"{name} {part.hexdigest()}\n" for name, part in sorted(self._hashes.items())]
        return hashlib.sha256("".join(parts).encode()).hexdigest()


def _lines(rows: Iterable[Sequence[Any]]) -> list[bytes]:
    """Return the rows as lines of JSON; no text in them (an id, a digest) holds a bracket."""
    return [orjson.dumps([tuple(row) for row in rows])[1:-1].replace(b"],[", b"]\n["), b"\n"]


class ObjectWriter:
    """What one transaction adds: `put` as often as there is something, `close` at the end. One at a time."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._last = {table.name: connection.scalar(sa.select(sa.func.max(table.c.seq))) or 0 for table in NUMBERED}
        self._first = {name: number + 1 for name, number in self._last.items()}
        self._covered = self._last[objects.name]  # objects up to this number may have copies
        self._digest = AddedDigest()
        self._minded: dict[str, dict[tuple[Any, ...], int]] = defaultdict(dict)
        self._hashes, self._hashed = array("q"), array("q")
        self._counts: Counter[str] = Counter()
        self._doubtful: set[str] = set()
        self._fresh: set[str] = set()

    def put(self, columns: ObjectColumns, given: Sequence[Provenance]) -> None:
        """Add objects, each with the copy at the same place of `given`."""
        self.put_copies(self.put_contents(columns), given)

    def put_together(self, columns: ObjectColumns, copy: Provenance, offsets: Sequence[int]) -> None:
        """Add objects that came together: one copy for all, each at its own byte of one document."""
        before = self._last[objects.name]
        seqs = self.put_contents(columns)
        number = self._numbers(facts, [facts_row(copy)])[0]
        came = (copy.received, copy.source.path)
        if len(seqs) == self._last[objects.name] - before and before == self._covered:  # all are new, none twice
            self._put_first_copies(number, self._arrival(*came), offsets)
            return
        self._put_copies([(seq, number) for seq in seqs], [(came, None, None, offset) for offset in offsets])

    def put_copies(self, seqs: Sequence[int], given: Sequence[Provenance]) -> None:
        """Add copies of the objects with these numbers."""
        shared = self._numbers(facts, [facts_row(copy) for copy in given])
        where = [(copy.source.line, copy.source.column, copy.source.offset) for copy in given]
        places = [((copy.received, copy.source.path), *place) for copy, place in zip(given, where, strict=True)]
        self._put_copies(list(zip(seqs, shared, strict=True)), places)

    def remember(self, block: bytes, copy: Provenance, kinds: Mapping[tuple[str, str], int]) -> None:
        """Keep in mind that all objects in a block of bytes (by its SHA-256) are here, with this copy's facts."""
        if known_kinds(self._connection, block, copy) is None:
            number = self._numbers(facts, [facts_row(copy)])[0]
            rows = orjson.dumps([(*kind, count) for kind, count in sorted(kinds.items())]).decode()
            seq = self._last[known_blocks.name] + 1
            self._insert(known_blocks, [(seq, block, number, sum(kinds.values()), rows)])

    def count_known(self, objects_: int) -> None:
        """Count copies that needn't be looked at: they are known."""
        self._counts["known"] += objects_

    @property
    def handled(self) -> int:
        """How many copies were handed in so far."""
        return self._counts["added"] + self._counts["known"]

    def close(self) -> PutResult:
        """Add what is left to add, and say what was changed."""
        import numpy as np  # noqa: PLC0415

        hashes, hashed = np.frombuffer(self._hashes, np.int64), np.frombuffer(self._hashed, np.int64)
        order = np.lexsort((hashed, hashes))  # in order, an index grows ten times faster
        for start in range(0, len(order), _CHUNK):
            part = order[start : start + _CHUNK]
            rows = list(zip(hashes[part].tolist(), hashed[part].tolist(), strict=True))
            insert_rows(self._connection, object_values, rows)
        bound: dict[str, Any] = {
            str(name): [first, self._last[name]] for name, first in self._first.items() if self._last[name] >= first
        }
        if bound:
            bound["sha256"] = self._digest.value()
        conflicts = find_conflicts_of(self._connection, sorted(self._doubtful), self._fresh)
        count = self._counts
        return PutResult(count["new"], count["added"] - count["new"], count["known"], tuple(conflicts), bound)

    # ---------------------------------------------------------------------------------------- contents

    def put_contents(self, columns: ObjectColumns) -> list[int]:
        """Return the numbers of the objects' rows, after adding those that weren't there; their copies come next."""
        there = self._contents_there(columns.ids)
        known = {digest: seq for found in there.values() for seq, digest in found}
        before = self._last["objects"]
        seqs: list[int] = []
        fresh: list[int] = []
        for number, digest in enumerate(columns.digests):
            seq = known.get(digest)
            if seq is None:
                fresh.append(number)
                seq = known[digest] = before + len(fresh)
            seqs.append(seq)
        if fresh:
            self._add_objects(columns, fresh)
            ids = [columns.ids[number] for number in fresh]
            if there or len(set(ids)) < len(ids):
                several = {id_ for id_, count in Counter(ids).items() if count > 1 or id_ in there}
                self._doubtful.update(several)
                self._fresh.update(columns.digests[number].hex() for number in fresh if several)
        self._counts["new"] += len(fresh)
        return seqs

    def _contents_there(self, ids: Sequence[str]) -> dict[str, list[tuple[int, bytes]]]:
        """Return (number, digest) of the contents that are there under these ids."""
        found: dict[str, list[tuple[int, bytes]]] = {}
        if not self._last["objects"]:
            return found
        for id_, seq, digest in rows_with(self._connection, objects, ("id", "seq", "digest"), sorted(set(ids))):
            found.setdefault(id_, []).append((seq, digest))
        return found

    def _add_objects(self, columns: ObjectColumns, fresh: Sequence[int]) -> None:
        shared = self._numbers(traits, [columns.traits[number] for number in fresh])
        rows: list[tuple[Any, ...]] = []
        packed: list[tuple[int, bytes]] = []
        parts: list[bytes] = []
        seq, pack, start = self._last["objects"], self._last["packs"] + 1, 0
        for number, trait in zip(fresh, shared, strict=True):
            raw, size = columns.raws[number], len(columns.raws[number])
            seq += 1
            key = (seq, columns.ids[number], columns.times[number], trait, columns.digests[number])
            rows.append((*key, pack, start, size))
            parts.append(raw)
            start += size
            if start >= _PACK:
                packed.append((pack, b"".join(parts)))
                parts, start, pack = [], 0, pack + 1
            if hashes := columns.values[number]:
                self._hashes.extend(hashes)
                self._hashed.extend([seq] * len(hashes))
        if parts:
            packed.append((pack, b"".join(parts)))
        self._insert(packs, packed)
        self._insert(objects, rows)

    # ------------------------------------------------------------------------------------------ copies

    def _put_copies(self, keys: Sequence[tuple[int, int]], places: Sequence[_Place]) -> None:
        there = self._copies_there(sorted({seq for seq, _ in keys if seq <= self._covered}))
        number = self._last[copies.name]
        rows = []
        for key, (came, *place) in zip(keys, places, strict=True):
            if key not in there:
                there.add(key)
                number += 1
                rows.append((number, *key, self._arrival(*came), *place))
        self._insert(copies, rows)
        self._covered = max(self._covered, *(seq for seq, _ in keys)) if keys else self._covered
        self._counts["added"] += len(rows)
        self._counts["known"] += len(keys) - len(rows)

    def _put_first_copies(self, number: int, arrival: int, offsets: Sequence[int]) -> None:
        """Add the first copies of the objects that were added last."""
        first, count = self._last[copies.name] + 1, len(offsets)
        seqs = range(self._covered + 1, self._covered + count + 1)
        same = [repeat(value, count) for value in (number, arrival, None, None)]
        self._insert(copies, list(zip(range(first, first + count), seqs, *same, offsets, strict=True)))
        self._covered += count
        self._counts["added"] += count

    def _copies_there(self, seqs: Sequence[int]) -> set[tuple[int, int]]:
        """Return (object, facts) of the copies of those objects."""
        if not seqs:
            return set()
        query = sa.select(copies.c.object, copies.c.facts).where(copies.c.object.in_(seqs))
        return {(seq, number) for seq, number in self._connection.execute(query)}

    def _arrival(self, received: datetime, path: str) -> int:
        minded = self._minded[arrivals.name]
        number = minded.get((received, path))
        if number is None:
            if len(minded) >= _MINDED:
                minded.clear()
            number = minded[(received, path)] = self._last[arrivals.name] + 1
            self._insert(arrivals, [(number, format_timestamp(received), path)])
        return number

    # ------------------------------------------------------------------------------------------- small

    def _numbers(self, table: sa.Table, rows: Sequence[tuple[Any, ...]]) -> list[int]:
        """Return the numbers of rows of a small table, after adding those that weren't there."""
        minded = self._minded[table.name]
        if len(minded) >= _MINDED:
            minded.clear()
        for row in dict.fromkeys(rows):
            if row not in minded:
                named = zip(list(table.columns)[1:], row, strict=True)
                query = sa.select(table.c.seq).where(*(column == value for column, value in named))
                number = self._connection.scalar(query)
                if number is None:
                    number = self._last[table.name] + 1
                    self._insert(table, [(number, *row)])
                minded[row] = number
        return [minded[row] for row in rows]

    def _insert(self, table: sa.Table, rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            insert_rows(self._connection, table, rows)
            self._last[table.name] = rows[-1][0]
            self._digest.take(table, rows)


def known_kinds(connection: sa.Connection, block: bytes, copy: Provenance) -> dict[tuple[str, str], int] | None:
    """Return what is in a block of bytes (by its SHA-256) all of which is here with this copy's facts; else None."""
    said = zip(list(facts.columns)[1:], facts_row(copy), strict=True)
    joined = sa.select(known_blocks.c.kinds).join(facts, known_blocks.c.facts == facts.c.seq)
    kinds = connection.scalar(joined.where(known_blocks.c.hash == block, *(column == value for column, value in said)))
    return None if kinds is None else {(type_, of): count for type_, of, count in orjson.loads(kinds)}


def put_objects(connection: sa.Connection, items: Iterable[tuple[StixObject, Provenance]]) -> PutResult:
    """Add copies of objects within the caller's transaction; what is there already stays as it is."""
    writer = ObjectWriter(connection)
    iterator = iter(items)
    while chunk := list(islice(iterator, _CHUNK)):
        writer.put(columns_of([item for item, _ in chunk]), [copy for _, copy in chunk])
    return writer.close()
