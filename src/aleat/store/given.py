"""What allies were given: each release's bundle as it left, what their shelves held, and what of it is revoked.

```
given_bundles   a release's bundle and lists, byte for byte (zlib); its hash is in the ledger's entry of the release
shelf_told      what a shelf held under another id than the object's own, or holds no more
shelf_revoked   what revokes objects of ours that were on a shelf, for that shelf
```

An ally has two shelves: what must be encrypted on its way, and what speaks of it, is on that for TLS alone.

Rows are added; only a revocation replaces an earlier one of the same object.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

import msgspec
import sqlalchemy as sa

from aleat.errors import IntegrityError, Place
from aleat.stix.objects import StixObject, parse_object
from aleat.stix.times import format_timestamp
from aleat.store.database import metadata
from aleat.store.decisions import release_decisions, releases

__all__ = [
    "GivenObject",
    "add_revocations",
    "find_given",
    "keep_bundle",
    "read_bundle",
    "read_revocations",
    "remember_told",
    "shelf_of",
    "shelves_of",
]

_CHUNK = 400
_TLS = "/tls"

given_bundles = sa.Table(
    "given_bundles",
    metadata,
    sa.Column("release", sa.String, sa.ForeignKey("releases.id"), primary_key=True),
    sa.Column("bundle", sa.LargeBinary, nullable=False),
    sa.Column("lists", sa.LargeBinary, nullable=False),  # JSON: the list's id to its lines
)

shelf_told = sa.Table(
    "shelf_told",
    metadata,
    sa.Column("ally", sa.String, primary_key=True),
    sa.Column("told", sa.String, primary_key=True),
    sa.Column("object", sa.String, nullable=False, index=True),
)

shelf_revoked = sa.Table(
    "shelf_revoked",
    metadata,
    sa.Column("ally", sa.String, primary_key=True),
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("raw", sa.LargeBinary, nullable=False),
    sa.Column("time", sa.String, nullable=False),
)


class GivenObject(msgspec.Struct, frozen=True, order=True):
    """An object that an ally was given: under which id (`told`), with which `release`, or from which `shelf`."""

    ally: str
    object: str
    told: str
    release: str = ""
    shelf: str = ""


class _Detail(msgspec.Struct):
    parameters: dict[str, object] = {}


def shelf_of(ally: str, *, tls: bool) -> str:
    """Return what the shelf of `ally` (an identity's id) is called that is given over TLS, or over a plain line."""
    return ally + _TLS if tls else ally


def shelves_of(ally: str) -> tuple[str, str]:
    """Return what both shelves of `ally` are called."""
    return ally, ally + _TLS


def keep_bundle(connection: sa.Connection, release: str, bundle: bytes, lists: Mapping[str, bytes]) -> None:
    """Keep what left with a release, in the caller's transaction."""
    given_bundles.create(connection, checkfirst=True)  # a workspace of an earlier day has none
    texts = {id_: lines.decode() for id_, lines in lists.items()}
    row = {
        "release": release,
        "bundle": zlib.compress(bundle, 1),
        "lists": zlib.compress(msgspec.json.encode(texts, order="sorted"), 1),
    }
    connection.execute(given_bundles.insert(), row)


def read_bundle(connection: sa.Connection, release: str) -> tuple[bytes, dict[str, bytes]] | None:
    """Return the bundle and lists that left with a release, or None where they weren't kept.

    Raises `IntegrityError` where they are damaged.
    """
    if not sa.inspect(connection).has_table(given_bundles.name):
        return None
    row = connection.execute(sa.select(given_bundles).where(given_bundles.c.release == release)).first()
    if row is None:
        return None
    try:
        texts = msgspec.json.decode(zlib.decompress(row.lists), type=dict[str, str])
        return zlib.decompress(row.bundle), {id_: text.encode() for id_, text in texts.items()}
    except (zlib.error, msgspec.MsgspecError) as error:
        raise IntegrityError(f"What left with {release} is damaged here.") from error


def remember_told(connection: sa.Connection, name: str, told: Iterable[tuple[str, str]]) -> None:
    """Note which objects (id, id as told) the shelf called so holds under another id, or held."""
    wanted = {told_id: object_ for object_, told_id in told}
    if not wanted:
        return
    shelf_told.create(connection, checkfirst=True)
    known = set(connection.scalars(sa.select(shelf_told.c.told).where(shelf_told.c.ally == name)))
    rows = [
        {"ally": name, "told": told_id, "object": wanted[told_id]} for told_id in sorted(wanted) if told_id not in known
    ]
    if rows:
        connection.execute(shelf_told.insert(), rows)


def find_given(connection: sa.Connection, objects: Collection[str]) -> tuple[GivenObject, ...]:
    """Return who was given any of these objects (ids): by a release, or because it was on the ally's shelf."""
    from aleat.store.shelves import shelf  # noqa: PLC0415 (which tells this file what it takes off)

    found: set[GivenObject] = set()
    wanted = sorted(set(objects))
    for start in range(0, len(wanted), _CHUNK):
        part = wanted[start : start + _CHUNK]
        query = (
            sa.select(releases.c.recipient, release_decisions)
            .join(releases, releases.c.id == release_decisions.c.release)
            .where(release_decisions.c.object.in_(part), release_decisions.c.allow.is_(True))
        )
        for row in connection.execute(query):
            parameters = msgspec.json.decode(row.detail, type=_Detail).parameters
            found.add(GivenObject(row.recipient, row.object, str(parameters.get("as", row.object)), row.release))
        if not sa.inspect(connection).has_table(shelf_told.name):
            continue
        for row in connection.execute(sa.select(shelf_told).where(shelf_told.c.object.in_(part))):
            found.add(GivenObject(row.ally.removesuffix(_TLS), row.object, row.told, shelf=row.ally))
        for row in connection.execute(sa.select(shelf.c.ally, shelf.c.id).where(shelf.c.id.in_(part))):
            found.add(GivenObject(row.ally.removesuffix(_TLS), row.id, row.id, shelf=row.ally))
    return tuple(sorted(found))


def add_revocations(connection: sa.Connection, name: str, items: Iterable[StixObject], *, time: datetime) -> None:
    """Keep versions that revoke what was on the shelf called so, for that shelf, in the caller's transaction."""
    shelf_revoked.create(connection, checkfirst=True)
    for item in items:
        same = (shelf_revoked.c.ally == name) & (shelf_revoked.c.id == item.id)
        connection.execute(sa.delete(shelf_revoked).where(same))
        row = {"ally": name, "id": item.id, "raw": item.content, "time": format_timestamp(time)}
        connection.execute(shelf_revoked.insert(), row)


def read_revocations(connection: sa.Connection, name: str) -> tuple[StixObject, ...]:
    """Return the versions that revoke what was on the shelf called so, by id."""
    if not sa.inspect(connection).has_table(shelf_revoked.name):
        return ()
    query = sa.select(shelf_revoked).where(shelf_revoked.c.ally == name).order_by(shelf_revoked.c.id)
    return tuple(parse_object(bytes(row.raw), Place(row.id)) for row in connection.execute(query))
