"""Where STIX objects are kept: every version and every variant with its bytes, and who gave each copy.

`objects` has one row for one content, `provenance` one row for one giver's copy of it (two givers of one
object are two rows, each with its own markings). Nothing is ever changed or deleted: adding the same thing
again adds no row, a newer version stands beside the older one, and the same id and `modified` with different
content is a conflict, kept and shown. Two kinds of difference are none: an upgrade of one object from
STIX 2.0, and variants of one public corpus (ATT&CK's three bundles differ so).

Of several variants of one version the one that came first counts, but STIX 2.1 before STIX 2.0: who comes
later with another content under the same id and time replaces nothing.

The rows of indicator lists are in `aleat.store.entries`.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby, islice
from typing import Any

import msgspec
import orjson
import sqlalchemy as sa

from aleat.errors import ObjectError, Place
from aleat.stix.canonical import canonical_json, canonical_json_parsed
from aleat.stix.objects import StixObject, parse_object, restore_object
from aleat.stix.times import format_timestamp, parse_timestamp
from aleat.store.database import metadata
from aleat.times import micros_of

__all__ = [
    "Conflict",
    "ObjectFault",
    "Provenance",
    "PutResult",
    "StoredObject",
    "find_conflicts",
    "get_object",
    "get_variants",
    "iterate_objects",
    "knowledge_digest",
    "put_objects",
    "verify_objects",
]

_CHUNK = 400  # rows handled at once; well below any database's number of parameters

objects = sa.Table(
    "objects",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("digest", sa.String, nullable=False, unique=True),
    sa.Column("id", sa.String, nullable=False),
    sa.Column("type", sa.String, nullable=False, index=True),
    sa.Column("time", sa.BigInteger, nullable=False),  # of the version: microseconds since 1970, 0 where it has none
    sa.Column("native", sa.Integer, nullable=False),  # 1: came as STIX 2.1, 0: as STIX 2.0
    sa.Column("created_by_ref", sa.String),
    sa.Column("revoked", sa.Integer, nullable=False),
    sa.Column("raw", sa.LargeBinary, nullable=False),
    sa.Index("objects_by_version", "id", "time"),
)

provenance = sa.Table(
    "provenance",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("key", sa.String, nullable=False, unique=True),
    sa.Column("digest", sa.String, sa.ForeignKey("objects.digest"), nullable=False, index=True),
    sa.Column("giver", sa.String, nullable=False),
    sa.Column("received", sa.String, nullable=False),
    sa.Column("markings", sa.String, nullable=False),
    sa.Column("originator", sa.String),
    sa.Column("agreement", sa.String),
    sa.Column("path", sa.String, nullable=False),
    sa.Column("line", sa.Integer),
    sa.Column("column", sa.Integer),
    sa.Column("offset", sa.BigInteger),
    sa.Column("corpus", sa.String),
    sa.Column("corpus_basis", sa.String, nullable=False),
)


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """How one copy of an object came here.

    `giver` is who handed it over (an ally's identity id, or a name), `received` when (aware). `markings` are ids
    of the marking definitions that the giver put on this copy *beside* those in the object itself (the
    container's, or those named when it was added). `originator` is who first said it, where that is known to be
    somebody else; `agreement` the id of the agreement it came under; `source` where it stood. `corpus` names
    the public corpus it is part of, `corpus_basis` by what that is known ("digest", "declared", "appearance").
    """

    giver: str
    received: datetime
    markings: tuple[str, ...] = ()
    originator: str | None = None
    agreement: str | None = None
    source: Place = Place("")
    corpus: str | None = None
    corpus_basis: str = ""


class StoredObject(msgspec.Struct, frozen=True):
    """An object and all its copies, in the order in which they came; `conflicts` are digests of other variants."""

    object: StixObject
    copies: tuple[Provenance, ...]
    conflicts: tuple[str, ...] = ()


class Conflict(msgspec.Struct, frozen=True):
    """Something that can't be right about an id: both contents are kept (`digests`, the one that counts first).

    `reason` is "same-version-differs" (same id and `modified`, different content) or "creator-differs" (a
    version by somebody other than the object's creator, which STIX 2.1 §3.6 forbids).
    """

    id: str
    version: str
    reason: str
    digests: tuple[str, ...]


class PutResult(msgspec.Struct, frozen=True):
    """What adding objects changed: new contents, new copies of known contents, copies already known, conflicts."""

    new: int
    copies: int
    known: int
    conflicts: tuple[Conflict, ...]


class ObjectFault(msgspec.Struct, frozen=True):
    """A stored object whose bytes no longer fit what was recorded."""

    id: str
    digest: str
    reason: str


def put_objects(connection: sa.Connection, items: Iterable[tuple[StixObject, Provenance]]) -> PutResult:
    """Add copies of objects within the caller's transaction; what is there already stays as it is."""
    new = copies = known = 0
    conflicts: list[Conflict] = []
    iterator = iter(items)
    while chunk := list(islice(iterator, _CHUNK)):
        contents = {item.digest: item for item, _ in reversed(chunk)}
        rows = {row["key"]: row for row in (_provenance_row(item, copy) for item, copy in reversed(chunk))}
        there = set(connection.scalars(sa.select(objects.c.digest).where(objects.c.digest.in_(contents))))
        keys = set(connection.scalars(sa.select(provenance.c.key).where(provenance.c.key.in_(rows))))
        fresh = [_object_row(item) for digest, item in reversed(contents.items()) if digest not in there]
        added = [row for key, row in reversed(rows.items()) if key not in keys]
        if fresh:
            connection.execute(objects.insert(), fresh)
        if added:
            connection.execute(provenance.insert(), added)
        if fresh:
            conflicts.extend(_conflicts(connection, sorted({row["id"] for row in fresh}), set(contents) - there))
        new += len(fresh)
        copies += len(added) - len(fresh)
        known += len(chunk) - len(added)
    return PutResult(new, copies, known, tuple(conflicts))


def get_object(connection: sa.Connection, id_: str) -> StoredObject | None:
    """Return the newest version of the object `id_` with its copies, or None."""
    query = _in_order(sa.select(objects).where(objects.c.id == id_)).limit(1)
    row = connection.execute(query).first()
    return next(_with_copies(connection, [row])) if row is not None else None


def get_variants(connection: sa.Connection, id_: str) -> tuple[StoredObject, ...]:
    """Return every version and variant of the object `id_`, the one that counts first."""
    rows = connection.execute(_in_order(sa.select(objects).where(objects.c.id == id_))).all()
    return tuple(_with_copies(connection, rows))


def iterate_objects(
    connection: sa.Connection,
    types: Sequence[str] | None = None,
    *,
    ids: Sequence[str] | None = None,
    revoked: bool = True,
) -> Iterator[StoredObject]:
    """Yield the newest version of every object, ordered by id; only of these `types` or `ids`, where given.

    An object whose newest version is revoked is left out where `revoked` is false.
    """
    if ids is not None and len(ids) > _CHUNK:
        ordered = sorted(set(ids))
        for start in range(0, len(ordered), _CHUNK):
            yield from iterate_objects(connection, types, ids=ordered[start : start + _CHUNK], revoked=revoked)
        return
    query = sa.select(objects)
    if types is not None:
        query = query.where(objects.c.type.in_(types))
    if ids is not None:
        query = query.where(objects.c.id.in_(ids))
    newest = (next(group) for _, group in groupby(connection.execute(_in_order(query)), key=lambda row: row.id))
    wanted = (row for row in newest if revoked or not row.revoked)
    while rows := list(islice(wanted, _CHUNK)):
        yield from _with_copies(connection, rows)


def find_conflicts(connection: sa.Connection) -> tuple[Conflict, ...]:
    """Return all conflicts, ordered by id and version."""
    several = sa.select(objects.c.id).group_by(objects.c.id).having(sa.func.count() > 1).order_by(objects.c.id)
    ids = list(connection.scalars(several))
    found: list[Conflict] = []
    for start in range(0, len(ids), _CHUNK):
        found.extend(_conflicts(connection, ids[start : start + _CHUNK], None))
    return tuple(found)


def knowledge_digest(connection: sa.Connection) -> str:
    """Return the SHA-256 (hex) over all objects and copies, whatever their order: what a ledger entry binds."""
    digest = hashlib.sha256()
    query = sa.select(provenance).order_by(provenance.c.key)
    for row in connection.execute(query):
        values = {str(name): value for name, value in row._mapping.items() if name != "seq"}
        digest.update(canonical_json(values) + b"\n")
    return digest.hexdigest()


def verify_objects(connection: sa.Connection) -> Iterator[ObjectFault]:
    """Yield every object whose bytes, id, version or provenance don't fit what was recorded."""
    for row in connection.execute(sa.select(objects).order_by(objects.c.seq)):
        try:
            item = parse_object(row.raw, Place(row.id))
        except ObjectError as error:
            yield ObjectFault(row.id, row.digest, f"its bytes were changed: {error.reason}")
            continue
        expected = _object_row(item)
        if item.digest != row.digest:
            yield ObjectFault(row.id, row.digest, "its bytes were changed (hash differs)")
        elif any(getattr(row, name) != value for name, value in expected.items()):
            yield ObjectFault(row.id, row.digest, "its row was changed (it doesn't fit its bytes)")
    known = set(connection.execute(sa.select(objects.c.digest)).scalars())
    for row in connection.execute(sa.select(provenance).order_by(provenance.c.seq)):
        try:
            fits = _key(row.digest, _provenance(row)) == row.key
        except (ValueError, TypeError, ObjectError):
            fits = False
        if not fits:
            yield ObjectFault("", row.digest, "a copy's provenance was changed (it doesn't fit its key)")
        elif row.digest not in known:
            yield ObjectFault("", row.digest, "somebody gave it, and its row is gone")


def _in_order(query: sa.Select[Any]) -> sa.Select[Any]:
    """Order rows by id, the version and variant that counts first."""
    return query.order_by(objects.c.id, objects.c.time.desc(), objects.c.native.desc(), objects.c.seq)


def _object_row(item: StixObject) -> dict[str, Any]:
    return {
        "digest": item.digest,
        "id": item.id,
        "type": item.type,
        "time": _microseconds(item.version),
        "native": int(item.upgraded is None),
        "created_by_ref": item.created_by_ref,
        "revoked": int(item.revoked),
        "raw": item.raw,
    }


def _microseconds(version: str) -> int:
    return micros_of(parse_timestamp(version)) if version else 0


def _key(digest: str, copy: Provenance) -> str:
    """What makes two copies the same: object, giver, markings, originator, agreement, corpus; not when or where."""
    facts = [
        digest,
        copy.giver,
        sorted(copy.markings),
        copy.originator,
        copy.agreement,
        copy.corpus,
        copy.corpus_basis,
    ]
    return hashlib.sha256(canonical_json_parsed(facts)).hexdigest()


def _provenance_row(item: StixObject, copy: Provenance) -> dict[str, Any]:
    return {
        "key": _key(item.digest, copy),
        "digest": item.digest,
        "giver": copy.giver,
        "received": format_timestamp(copy.received),
        "markings": orjson.dumps(sorted(copy.markings)).decode(),
        "originator": copy.originator,
        "agreement": copy.agreement,
        "path": copy.source.path,
        "line": copy.source.line,
        "column": copy.source.column,
        "offset": copy.source.offset,
        "corpus": copy.corpus,
        "corpus_basis": copy.corpus_basis,
    }


def _provenance(row: Any) -> Provenance:
    return Provenance(
        giver=row.giver,
        received=parse_timestamp(row.received),
        markings=tuple(orjson.loads(row.markings)),
        originator=row.originator,
        agreement=row.agreement,
        source=Place(row.path, row.line, row.column, row.offset),
        corpus=row.corpus,
        corpus_basis=row.corpus_basis,
    )


def _with_copies(connection: sa.Connection, rows: Sequence[Any]) -> Iterator[StoredObject]:
    digests = [row.digest for row in rows]
    copies: dict[str, list[Provenance]] = defaultdict(list)
    query = sa.select(provenance).where(provenance.c.digest.in_(digests)).order_by(provenance.c.seq)
    for copy in connection.execute(query):
        copies[copy.digest].append(_provenance(copy))
    conflicts = _rivals(connection, sorted({row.id for row in rows}))
    for row in rows:
        rivals = tuple(digest for digest in conflicts.get((row.id, row.time), ()) if digest != row.digest)
        yield StoredObject(restore_object(row.raw, row.digest), tuple(copies[row.digest]), rivals)


def _rivals(connection: sa.Connection, ids: Sequence[str]) -> dict[tuple[str, int], tuple[str, ...]]:
    """Return, for each (id, time) with variants that conflict, their digests, the one that counts first."""
    columns = (objects.c.id, objects.c.time, objects.c.digest, objects.c.native)
    several = sa.select(objects.c.id).where(objects.c.id.in_(ids)).group_by(objects.c.id).having(sa.func.count() > 1)
    doubtful = list(connection.scalars(several))
    if not doubtful:
        return {}
    rows = connection.execute(_in_order(sa.select(*columns).where(objects.c.id.in_(doubtful), objects.c.time != 0)))
    groups = {key: list(group) for key, group in groupby(rows, key=lambda row: (row.id, row.time))}
    groups = {key: group for key, group in groups.items() if len(group) > 1}
    digests = [row.digest for group in groups.values() for row in group]
    corpora: dict[str, set[str]] = defaultdict(set)
    for start in range(0, len(digests), _CHUNK):
        part = digests[start : start + _CHUNK]
        query = sa.select(provenance.c.digest, provenance.c.corpus).where(
            provenance.c.digest.in_(part), provenance.c.corpus.is_not(None)
        )
        for digest, corpus in connection.execute(query):
            corpora[digest].add(corpus)
    return {
        key: tuple(row.digest for row in group)
        for key, group in groups.items()
        if not _is_upgrade(group) and not set.intersection(*(corpora[row.digest] for row in group))
    }


def _is_upgrade(group: Sequence[Any]) -> bool:
    """One content as STIX 2.0 and one as STIX 2.1."""
    return len(group) == 2 and {row.native for row in group} == {0, 1}


def _conflicts(connection: sa.Connection, ids: Sequence[str], fresh: set[str] | None) -> Iterator[Conflict]:
    """Yield the conflicts of these ids; only those that contents in `fresh` take part in, where given."""
    versions = {
        row.digest: row for row in connection.execute(_in_order(sa.select(objects).where(objects.c.id.in_(ids))))
    }
    for (id_, _), digests in sorted(_rivals(connection, ids).items()):
        if fresh is None or fresh.intersection(digests):
            version = restore_object(versions[digests[0]].raw, digests[0]).version
            yield Conflict(id_, version, "same-version-differs", digests)
    for id_, group in groupby(versions.values(), key=lambda row: row.id):
        rows = sorted(group, key=lambda row: row.seq)
        first = rows[0]
        for row in rows[1:]:
            if row.created_by_ref != first.created_by_ref and (fresh is None or row.digest in fresh):
                version = restore_object(row.raw, row.digest).version
                yield Conflict(id_, version, "creator-differs", (first.digest, row.digest))
