"""Which contents of one id can't both be right: all are kept, and shown."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from aleat.stix.columns import microseconds
from aleat.stix.objects import restore_object
from aleat.store.object_tables import Conflict, copies, facts, objects, packs, traits
from aleat.store.objects_counting import CHUNK, contents_by_id

__all__ = ["NAMED_RIVALS", "find_conflicts", "find_conflicts_of", "raw_bytes", "rivals"]

NAMED_RIVALS = 100  # how many others a content in conflict names

_RIVALS = (objects.c.id, objects.c.time, objects.c.digest, traits.c.native, traits.c.created_by_ref, objects.c.seq)


def raw_bytes() -> sa.ColumnElement[bytes]:
    """An object's bytes, where `objects` is joined with `packs`."""
    start, length = (sa.cast(number, sa.Integer) for number in (objects.c.start + 1, objects.c.length))
    return sa.func.substr(packs.c.data, start, length, type_=sa.LargeBinary).label("raw")


def find_conflicts(connection: sa.Connection) -> tuple[Conflict, ...]:
    """Return all conflicts, ordered by id and version."""
    several = sa.select(objects.c.id).group_by(objects.c.id).having(sa.func.count() > 1).order_by(objects.c.id)
    return tuple(find_conflicts_of(connection, list(connection.scalars(several)), None))


def find_conflicts_of(connection: sa.Connection, ids: Sequence[str], fresh: set[str] | None) -> Iterator[Conflict]:
    """Yield the conflicts of these ids; only those that contents in `fresh` (digests) take part in, where given."""
    for start in range(0, len(ids), CHUNK):
        yield from _conflicts(connection, ids[start : start + CHUNK], fresh)


def rivals(connection: sa.Connection, ids: Sequence[str]) -> dict[tuple[str, int], tuple[str, ...]]:
    """Return, for each (id, time) with variants that conflict, their digests, the one that counts first."""
    several = sa.select(objects.c.id).where(objects.c.id.in_(ids)).group_by(objects.c.id).having(sa.func.count() > 1)
    doubtful = list(connection.scalars(several))
    return _rivals(connection, _rows(connection, doubtful)) if doubtful else {}


def _rows(connection: sa.Connection, ids: Sequence[str]) -> Sequence[Any]:
    query = sa.select(*_RIVALS).join(traits, objects.c.traits == traits.c.seq).where(objects.c.id.in_(ids))
    return [row for group in contents_by_id(connection, query) for row in group]


def _rivals(connection: sa.Connection, rows: Sequence[Any]) -> dict[tuple[str, int], tuple[str, ...]]:
    versions: dict[tuple[str, int], list[Any]] = defaultdict(list)
    for row in rows:
        if row.time != 0:
            versions[row.id, row.time].append(row)
    groups = {key: found for key, found in versions.items() if len(found) > 1}
    seqs = [row.seq for group in groups.values() for row in group]
    corpora: dict[int, set[str]] = defaultdict(set)
    for start in range(0, len(seqs), CHUNK):
        query = (
            sa.select(copies.c.object, facts.c.corpus)
            .join(facts, copies.c.facts == facts.c.seq)
            .where(copies.c.object.in_(seqs[start : start + CHUNK]), facts.c.corpus != "")
        )
        for seq, corpus in connection.execute(query):
            corpora[seq].add(corpus)
    groups = {key: group for key, group in groups.items() if not set.intersection(*(corpora[row.seq] for row in group))}
    said = _said(connection, [row.seq for group in groups.values() if _in_both_forms(group) for row in group])
    return {
        key: tuple(row.digest.hex() for row in group)
        for key, group in groups.items()
        if not (_in_both_forms(group) and said[group[0].seq] == said[group[1].seq])
    }


def _in_both_forms(group: Sequence[Any]) -> bool:
    """One content as STIX 2.0 and one as STIX 2.1: an upgrade, where both say the same."""
    return len(group) == 2 and {row.native for row in group} == {0, 1}


def _said(connection: sa.Connection, seqs: Sequence[int]) -> dict[int, tuple[Any, ...]]:
    """Return what each of these objects says that an upgrade from STIX 2.0 doesn't change."""
    found: dict[int, tuple[Any, ...]] = {}
    for start in range(0, len(seqs), CHUNK):
        query = (
            sa.select(objects.c.seq, raw_bytes())
            .join(packs, objects.c.pack == packs.c.seq)
            .where(objects.c.seq.in_(seqs[start : start + CHUNK]))
        )
        for seq, raw in connection.execute(query):
            one = restore_object(raw, "")
            what = (one.name, one.pattern, one.revoked, microseconds(one.valid_until or ""))
            found[seq] = (*what, one.relationship_type, one.source_ref, one.target_ref)
    return found


def _conflicts(connection: sa.Connection, ids: Sequence[str], fresh: set[str] | None) -> Iterator[Conflict]:
    rows = _rows(connection, ids)
    seqs = {row.digest.hex(): row.seq for row in rows}
    for (id_, _), digests in sorted(_rivals(connection, rows).items()):
        if fresh is None or fresh.intersection(digests):
            version = _version(connection, seqs[digests[0]])
            yield Conflict(id_, version, "same-version-differs", digests)
    for id_, group in groupby(rows, key=lambda row: row.id):
        first, *later = sorted(group, key=lambda row: row.seq)
        for row in later:
            digest = row.digest.hex()
            if row.created_by_ref != first.created_by_ref and (fresh is None or digest in fresh):
                yield Conflict(id_, _version(connection, row.seq), "creator-differs", (first.digest.hex(), digest))


def _version(connection: sa.Connection, seq: int) -> str:
    """Return the time of an object's version as it is written."""
    query = sa.select(raw_bytes()).join(packs, objects.c.pack == packs.c.seq).where(objects.c.seq == seq)
    return restore_object(connection.execute(query).scalar_one(), "").version
