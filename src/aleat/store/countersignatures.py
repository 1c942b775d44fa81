"""Pages of ledger heads that went between us and allies: theirs that we countersigned, ours that they did.

Both sides keep the page. Ours holds our own ledgers to what they were when an ally signed; theirs lets us see when a
later page has fewer entries than an earlier one, or another hash at the same place.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from aleat.errors import InputError, SignatureError, TrustError
from aleat.stix.times import format_timestamp
from aleat.store.allies import StoredAlly, read_allies
from aleat.store.database import metadata
from aleat.store.ledger import append_entry, entry_hash, read_entries
from aleat.trust.heads import HeadPage, HeadStatement, read_head_page
from aleat.trust.keys import SigningKey

__all__ = ["keep_countersigned", "keep_given", "read_received", "verify_countersignatures"]

countersignatures = sa.Table(
    "countersignatures",
    metadata,
    sa.Column("sha256", sa.String, primary_key=True),  # of the page
    sa.Column("direction", sa.String, nullable=False),  # "given" (their ledgers, our signature), "received"
    sa.Column("workspace", sa.String, nullable=False),  # whose heads they are
    sa.Column("kept", sa.String, nullable=False),  # STIX timestamp
    sa.Column("page", sa.LargeBinary, nullable=False),
)


def keep_given(
    connection: sa.Connection, page: HeadPage, signed: HeadPage, *, actor: str, time: datetime, key: SigningKey
) -> None:
    """Keep an ally's page that we countersign; `page` is as it came.

    Raises `TrustError` where no compared ally's key signed it, or its ledgers went back behind what we signed before.
    """
    statement = page.statement
    _known_ally(connection, statement.identity, statement.key)
    for earlier in _pages(connection, "given", statement.workspace):
        _refuse_shorter(earlier.statement, statement)
    data = {"ally": statement.identity, "heads": [[one.ledger, one.entries, one.hash] for one in statement.heads]}
    _keep(connection, "given", signed, "countersigned", data, actor=actor, time=time, key=key)


def keep_countersigned(
    connection: sa.Connection, page: HeadPage, *, workspace: str, actor: str, time: datetime, key: SigningKey
) -> None:
    """Keep a page of our own heads that allies countersigned.

    Raises `TrustError` where it is another workspace's, nobody countersigned it, a countersigner is no compared ally,
    or the page isn't about the ledgers that are here.
    """
    if page.statement.workspace != workspace or page.statement.key != key.public.text:
        raise TrustError("That page is about another workspace's ledgers.")
    if not page.countersignatures:
        raise TrustError("Nobody countersigned that page yet. An ally does with: aleat ledger countersign FILE")
    for one in page.countersignatures:
        _known_ally(connection, one.identity, one.key)
    if wrong := list(_behind(connection, page.statement)):
        raise TrustError(f"The ledgers here are not those that were countersigned: {wrong[0][1]}")
    by = [[one.identity, one.key, one.time] for one in page.countersignatures]
    _keep(connection, "received", page, "countersignature", {"by": by}, actor=actor, time=time, key=key)


def read_received(connection: sa.Connection) -> Iterator[HeadPage]:
    """Yield the pages of our own heads that allies countersigned, in the order in which they were kept."""
    return _pages(connection, "received", None)


def verify_countersignatures(connection: sa.Connection) -> Iterator[tuple[str, str]]:
    """Yield (what, reason) where a kept page was changed or is gone, or our ledgers differ from what allies signed."""
    kinds = {"countersigned": "given", "countersignature": "received"}
    said: dict[str, tuple[str, ...]] = {}
    for entry in read_entries(connection, "exchange"):
        if entry.kind in kinds:
            said[entry.data["sha256"]] = (kinds[entry.kind], entry.data["workspace"], entry.time)
    for row in connection.execute(sa.select(countersignatures).order_by(countersignatures.c.sha256)):
        name = f"page of heads {row.sha256[:16]}"
        if said.pop(row.sha256, None) != (row.direction, row.workspace, row.kept):
            yield name, "Its row differs from its ledger entry."
        if hashlib.sha256(row.page).hexdigest() != row.sha256:
            yield name, "It was changed since it was kept."
            continue
        try:
            page = read_head_page(row.page, name)
        except (InputError, SignatureError) as error:
            yield name, str(error)
            continue
        if row.direction == "received":
            yield from _behind(connection, page.statement)
    for missing in sorted(said):
        yield f"page of heads {missing[:16]}", "The ledger names it, and its row is gone."


def _keep(
    connection: sa.Connection,
    direction: str,
    page: HeadPage,
    kind: str,
    data: dict[str, Any],
    *,
    actor: str,
    time: datetime,
    key: SigningKey,
) -> None:
    content = page.encode()
    digest = hashlib.sha256(content).hexdigest()
    known = connection.execute(sa.select(countersignatures.c.sha256).where(countersignatures.c.sha256 == digest))
    if known.first() is not None:
        return
    workspace = page.statement.workspace
    row = {"sha256": digest, "direction": direction, "workspace": workspace, "page": content}
    connection.execute(countersignatures.insert(), {**row, "kept": format_timestamp(time)})
    data = {"sha256": digest, "workspace": workspace, **data}
    append_entry(connection, "exchange", kind, data, actor=actor, time=time, key=key)


def _pages(connection: sa.Connection, direction: str, workspace: str | None) -> Iterator[HeadPage]:
    query = sa.select(countersignatures.c.page).where(countersignatures.c.direction == direction)
    if workspace is not None:
        query = query.where(countersignatures.c.workspace == workspace)
    order = (countersignatures.c.kept, countersignatures.c.sha256)
    for content in connection.execute(query.order_by(*order)).scalars().all():
        yield read_head_page(content)


def _known_ally(connection: sa.Connection, identity: str, key: str) -> StoredAlly:
    """Return the ally with this identity and key, whose card was compared; raises `TrustError` where there is none."""
    for ally in read_allies(connection):
        if ally.card.identity == identity and ally.card.signing_key == key:
            if ally.compared_by is None:
                raise TrustError(
                    f"Nobody compared the fingerprint of {ally.card.name} yet: have it read out, and import the card "
                    "again with --compared."
                )
            return ally
    raise TrustError("No ally here has the key that signed it. Import its card first (aleat ally add CARD).")


def _refuse_shorter(earlier: HeadStatement, later: HeadStatement) -> None:
    """Raise `TrustError` where a ledger has fewer entries than before, or another hash at the same number."""
    now = {one.ledger: one for one in later.heads}
    for one in earlier.heads:
        head = now.get(one.ledger)
        if head is None or head.entries < one.entries:
            there = head.entries if head else 0
            raise TrustError(
                f"The ledger {one.ledger} has {there} entries; when we signed on {earlier.time[:10]} it had "
                f"{one.entries}. It was cut: don't sign, and ask why."
            )
        if head.entries == one.entries and head.hash != one.hash:
            raise TrustError(
                f"The ledger {one.ledger} is another than the one that we signed on {earlier.time[:10]}. "
                "It was rewritten: don't sign, and ask why."
            )


def _behind(connection: sa.Connection, statement: HeadStatement) -> Iterator[tuple[str, str]]:
    """Yield where our ledgers don't hold what a page states."""
    for head in statement.heads:
        found = entry_hash(connection, head.ledger, head.entries) if head.entries else head.hash
        name = f"{head.ledger} entry {head.entries}"
        if found is None:
            yield name, f"The tail is cut: the head countersigned on {statement.time[:10]} has {head.entries} entries."
        elif found != head.hash:
            yield name, f"It differs from the head that was countersigned on {statement.time[:10]}."
