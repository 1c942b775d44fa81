"""The tables of objects and their copies, and what stands in them.

```
packs     the objects' bytes, some 16 KiB of them in a row: written and read several times faster than one by one
objects   one row for one content: id, time of the version, digest, where its bytes are
traits    what many objects share: who made them, how they are marked, whether revoked, whether they came as STIX 2.0
copies    one row for one giver's copy of an object, with its place
facts     what many copies share: giver, markings beside the object's own, originator, agreement, corpus
arrivals  when, and from which file or address, copies came
known_blocks    hashes of large blocks of bytes all of whose objects are here, from the same giver: nothing to do
object_values   hashes of what objects can be looked up by (`aleat.stix.values`)
```

Rows are numbered in the order in which they came, without gaps, and never change: an entry of the custody ledger
binds the rows from one number to another (`aleat.store.objects_verify`). Random access is by one index, (id, time);
everything else grows at its end. Digests are 32 bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
import orjson
import sqlalchemy as sa

from aleat.errors import Place
from aleat.stix.canonical import canonical_json_parsed
from aleat.stix.objects import StixObject
from aleat.stix.times import parse_timestamp
from aleat.store.database import metadata

__all__ = [
    "NUMBERED",
    "Conflict",
    "Provenance",
    "PutResult",
    "StoredObject",
    "arrivals",
    "copies",
    "facts",
    "facts_row",
    "insert_rows",
    "known_blocks",
    "object_values",
    "objects",
    "packs",
    "provenance_of",
    "rows_with",
    "traits",
]

# PostgreSQL orders texts by a language's rules unless told otherwise; ids are ordered by their bytes everywhere.
_ID = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_DIGEST = sa.LargeBinary(32)

packs = sa.Table(
    "packs",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("data", sa.LargeBinary, nullable=False),
)

traits = sa.Table(
    "traits",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("created_by_ref", sa.String, nullable=False),  # empty: it doesn't say
    sa.Column("markings", sa.String, nullable=False),  # of the whole or of parts; a JSON list, sorted
    sa.Column("native", sa.Integer, nullable=False),  # 1: came as STIX 2.1, 0: as STIX 2.0
    sa.Column("revoked", sa.Integer, nullable=False),
    sa.UniqueConstraint("created_by_ref", "markings", "native", "revoked"),
)

objects = sa.Table(
    "objects",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("id", _ID, nullable=False),
    sa.Column("time", sa.BigInteger, nullable=False),  # of the version: microseconds since 1970, 0 where it has none
    sa.Column("traits", sa.Integer, nullable=False),
    sa.Column("digest", _DIGEST, nullable=False),
    sa.Column("pack", sa.Integer, nullable=False),
    sa.Column("start", sa.Integer, nullable=False),
    sa.Column("length", sa.Integer, nullable=False),
    sa.Index("objects_by_version", "id", "time"),
)

facts = sa.Table(
    "facts",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("giver", sa.String, nullable=False, index=True),
    sa.Column("markings", sa.String, nullable=False),  # a JSON list, sorted
    sa.Column("originator", sa.String, nullable=False),  # empty: none, as in the next two
    sa.Column("agreement", sa.String, nullable=False),
    sa.Column("corpus", sa.String, nullable=False),
    sa.Column("corpus_basis", sa.String, nullable=False),
    sa.UniqueConstraint("giver", "markings", "originator", "agreement", "corpus", "corpus_basis"),
)

arrivals = sa.Table(
    "arrivals",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("received", sa.String, nullable=False),
    sa.Column("path", sa.String, nullable=False),
)

copies = sa.Table(
    "copies",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("object", sa.Integer, nullable=False),
    sa.Column("facts", sa.Integer, nullable=False),
    sa.Column("arrival", sa.Integer, nullable=False),
    sa.Column("line", sa.Integer),
    sa.Column("column", sa.Integer),
    sa.Column("offset", sa.BigInteger),
    sa.Index("copies_by_object", "object", "facts", unique=True),
    sa.Index("copies_by_facts", "facts", "object"),
)

object_values = sa.Table(
    "object_values",
    metadata,
    sa.Column("hash", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("object", sa.Integer, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

known_blocks = sa.Table(
    "known_blocks",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("hash", _DIGEST, nullable=False),
    sa.Column("facts", sa.Integer, nullable=False),
    sa.Column("objects", sa.Integer, nullable=False),
    sa.Column("kinds", sa.String, nullable=False),  # JSON: [type, pattern type, count] of each
    sa.UniqueConstraint("hash", "facts"),
)

NUMBERED = (packs, objects, traits, copies, facts, arrivals, known_blocks)
"""The tables whose rows a ledger's entry binds by their numbers."""


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
    """An object and all its copies, in the order in which they came.

    `conflicts` are digests of other variants of the same time: the first hundred, the one that counts first.
    """

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
    """What adding objects changed: new contents, new copies of known contents, copies already known, conflicts.

    `bound` is for the custody ledger's entry (under the key "knowledge_rows"): the numbers of the rows that were
    added, and a SHA-256 over them.
    """

    new: int
    copies: int
    known: int
    conflicts: tuple[Conflict, ...]
    bound: dict[str, Any] = {}


def facts_row(copy: Provenance) -> tuple[str, str, str, str, str, str]:
    """Return what a row of `facts` says of a copy, its number aside."""
    return (
        copy.giver,
        _json_list(copy.markings),
        copy.originator or "",
        copy.agreement or "",
        copy.corpus or "",
        copy.corpus_basis,
    )


def provenance_of(row: Any) -> Provenance:
    """Return the copy that a row of `copies` with its `facts` and `arrivals` tells of."""
    return Provenance(
        giver=row.giver,
        received=parse_timestamp(row.received),
        markings=tuple(orjson.loads(row.markings)),
        originator=row.originator or None,
        agreement=row.agreement or None,
        source=Place(row.path, row.line, row.column, row.offset),
        corpus=row.corpus or None,
        corpus_basis=row.corpus_basis,
    )


def insert_rows(connection: sa.Connection, table: sa.Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows, each with a value for every column in the table's order: past SQLAlchemy's handling of each."""
    if not rows:
        return
    quote, mark = _spelling(connection)
    names = ", ".join(quote(column.name) for column in table.columns)
    marks = ", ".join([mark] * len(table.columns))
    connection.exec_driver_sql(f"INSERT INTO {quote(table.name)} ({names}) VALUES ({marks})", list(rows))  # noqa: S608


def rows_with(
    connection: sa.Connection, table: sa.Table, names: Sequence[str], keys: Sequence[str]
) -> Iterable[Sequence[Any]]:
    """Return the columns `names` of the rows whose first of these is one of `keys`, past SQLAlchemy's handling."""
    if not keys:
        return ()
    quote, mark = _spelling(connection)
    columns = ", ".join(map(quote, names))
    marks = ", ".join([mark] * len(keys))
    query = f"SELECT {columns} FROM {quote(table.name)} WHERE {quote(names[0])} IN ({marks})"  # noqa: S608
    return connection.exec_driver_sql(query, tuple(keys)).fetchall()


def _spelling(connection: sa.Connection) -> tuple[Callable[[str], str], str]:
    """Return how the database's driver wants names quoted, and what marks a parameter."""
    dialect = connection.engine.dialect
    return dialect.identifier_preparer.quote, "?" if dialect.paramstyle == "qmark" else "%s"


def _json_list(texts: Iterable[str]) -> str:
    return canonical_json_parsed(sorted(set(texts))).decode()
