"""What an ally has from its shelf: what pages that left for it held, and what was pushed for it and taken.

Nobody writes down each object of each page: the exchange ledger's entry of a page says from which number of the shelf
to which it went, so that what stands there now is what the ally had. What was taken off a shelf since is named without
its content, fetched or not.
"""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from aleat.stix.times import format_micros
from aleat.store.given import shelf_of, shelf_told, shelves_of
from aleat.store.ledger import read_entries
from aleat.store.pushes import pushes
from aleat.store.shelves import shelf

__all__ = ["FetchedObject", "read_fetched"]


class FetchedObject(msgspec.Struct, frozen=True):
    """An object as an ally had it: its SHA-256 ("" where that isn't known any more), since when, and its id here."""

    told: str
    digest: str = ""
    time: str = ""
    object: str = ""


def read_fetched(connection: sa.Connection, ally: str) -> dict[str, FetchedObject]:
    """Return what `ally` (an identity's id) had from its shelves, by the id under which it knows it."""
    found: dict[str, FetchedObject] = {}
    if not {shelf.name, shelf_told.name, pushes.name} <= set(sa.inspect(connection).get_table_names()):
        return found  # a workspace of an earlier day
    pages = _pages(connection, ally)
    if any(pages.values()):
        told = sa.select(shelf_told.c.told, shelf_told.c.object).where(shelf_told.c.ally.in_(shelves_of(ally)))
        found = {row.told: FetchedObject(row.told, object=row.object) for row in connection.execute(told)}
    columns = [shelf.c[name] for name in ("seq", "id", "digest", "added")]
    for name, ranges in pages.items():
        for row in connection.execute(sa.select(*columns).where(shelf.c.ally == name)):
            own = found.pop(row.id, None)
            if any(first <= row.seq <= last for first, last in ranges):
                object_ = own.object if own is not None else row.id
                found[row.id] = FetchedObject(row.id, bytes(row.digest).hex(), format_micros(row.added), object_)
    taken = sa.select(pushes.c.id, pushes.c.digest, pushes.c.time).order_by(pushes.c.time)
    for row in connection.execute(taken.where(pushes.c.ally == ally, pushes.c.state == "taken")):
        own = found.get(row.id)
        if own is None or own.time <= row.time:
            found[row.id] = FetchedObject(row.id, row.digest, row.time, own.object if own is not None else row.id)
    return found


def _pages(connection: sa.Connection, ally: str) -> dict[str, list[tuple[int, int]]]:
    """Return from which number to which the pages went that left for an ally, by what the shelf is called, joined."""
    ranges: dict[str, list[tuple[int, int]]] = {name: [] for name in shelves_of(ally)}
    for entry in read_entries(connection, "exchange", "given"):
        data = entry.data
        if data.get("ally") == ally and data.get("asked") == "objects" and "last" in data:
            ranges[shelf_of(ally, tls=bool(data.get("tls")))].append((int(data["first"]), int(data["last"])))
    return {name: _joined(sorted(parts)) for name, parts in ranges.items()}


def _joined(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for first, last in ranges:
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return joined
