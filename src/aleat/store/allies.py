"""Allies and agreements as a workspace keeps them: the files' own bytes, whose key signed, what was compared.

A card is kept as it came; a newer card of the same identity replaces it, and has to be compared again when a
key changed. Agreements keep all their versions; the highest one counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import msgspec
import sqlalchemy as sa

from aleat.errors import IntegrityError, SignatureError, TrustError
from aleat.stix.times import format_timestamp
from aleat.store.database import metadata
from aleat.store.ledger import append_entry
from aleat.trust.agreements import (
    Agreement,
    AllyCard,
    fingerprint,
    read_agreement,
    read_card,
    sign_agreement,
    verify_agreement,
)
from aleat.trust.keys import PublicKey, SigningKey

__all__ = [
    "StoredAlly",
    "add_agreement",
    "add_ally",
    "find_ally",
    "read_agreements",
    "read_allies",
]

allies = sa.Table(
    "allies",
    metadata,
    sa.Column("identity", sa.String, primary_key=True),
    sa.Column("name", sa.String, nullable=False, unique=True),
    sa.Column("card", sa.LargeBinary, nullable=False),
    sa.Column("imported", sa.String, nullable=False),
    sa.Column("compared_by", sa.String),
)

agreements = sa.Table(
    "agreements",
    metadata,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("text", sa.LargeBinary, nullable=False),
    sa.Column("signature", sa.String, nullable=False),
    sa.Column("signed", sa.String, nullable=False),
)


class StoredAlly(msgspec.Struct, frozen=True):
    """An ally: the card, and who compared its fingerprint over another channel (None: nobody yet)."""

    card: AllyCard
    compared_by: str | None

    @property
    def fingerprint(self) -> str:
        """What two people read to each other."""
        return fingerprint(self.card)


def add_ally(
    connection: sa.Connection,
    data: bytes,
    *,
    actor: str,
    time: datetime,
    key: SigningKey,
    compared: str | None = None,
    path: str = "card",
) -> StoredAlly:
    """Keep an ally's card; `compared` is the fingerprint that the ally's people read out, if they did.

    Raises `SignatureError` where it differs from the card's, `TrustError` where the name is another ally's.
    """
    card = read_card(data, path)
    if compared is not None and _squeeze(compared) != _squeeze(fingerprint(card)):
        raise SignatureError(f"{path}: the fingerprint is not the one that was read out. Do not trust this card.")
    before = _get(connection, allies.c.identity == card.identity)
    other = _get(connection, allies.c.name == card.name)
    if other is not None and other.card.identity != card.identity:
        raise TrustError(f"Another ally is called {card.name} already. Ask which card is right.")
    if before is not None and before.card.issued > card.issued:
        raise TrustError(f"A newer card of {card.name} is here already.")
    same_keys = before is not None and fingerprint(before.card) == fingerprint(card)
    compared_by = actor if compared is not None else (before.compared_by if before and same_keys else None)
    row = {
        "identity": card.identity,
        "name": card.name,
        "card": data,
        "imported": format_timestamp(time),
        "compared_by": compared_by,
    }
    connection.execute(sa.delete(allies).where(allies.c.identity == card.identity))
    connection.execute(allies.insert(), row)
    entry = {"ally": card.identity, "name": card.name, "fingerprint": fingerprint(card), "compared_by": compared_by}
    append_entry(connection, "decisions", "ally", entry, actor=actor, time=time, key=key)
    return StoredAlly(card, compared_by)


def read_allies(connection: sa.Connection) -> Iterator[StoredAlly]:
    """Yield all allies, by name."""
    for row in connection.execute(sa.select(allies).order_by(allies.c.name)).fetchall():
        yield StoredAlly(read_card(row.card, row.name), row.compared_by)


def find_ally(connection: sa.Connection, name: str) -> StoredAlly:
    """Return the ally with this name or identity; raises `TrustError` where there is none."""
    if (ally := _get(connection, sa.or_(allies.c.name == name, allies.c.identity == name))) is None:
        raise TrustError(f"No ally is called {name!r} here. Import its card first (aleat ally add CARD).")
    return ally


def add_agreement(
    connection: sa.Connection, text: bytes, *, actor: str, time: datetime, key: SigningKey, path: str = "agreement"
) -> Agreement:
    """Check an agreement's file, sign it with the workspace's key and keep it.

    Raises `InputError` for a faulty file and `TrustError` where the same version with another text is here.
    """
    agreement = read_agreement(text, path)
    same = (agreements.c.name == agreement.name) & (agreements.c.version == agreement.version)
    known = connection.execute(sa.select(agreements).where(same)).first()
    if known is not None:
        if known.text != text:
            raise TrustError(
                f"{path}: version {agreement.version} of this agreement reads differently. Number it anew."
            )
        return agreement
    row = {
        "name": agreement.name,
        "version": agreement.version,
        "text": text,
        "signature": sign_agreement(text, key),
        "signed": format_timestamp(time),
    }
    connection.execute(agreements.insert(), row)
    entry = {"agreement": agreement.name, "version": agreement.version, "signature": row["signature"]}
    append_entry(connection, "decisions", "agreement", entry, actor=actor, time=time, key=key)
    return agreement


def read_agreements(connection: sa.Connection, key: PublicKey) -> Iterator[Agreement]:
    """Yield each agreement's latest version; raises `IntegrityError` where it was changed after signing."""
    latest: dict[str, sa.Row[tuple[str, int, bytes, str, str]]] = {}
    for row in connection.execute(sa.select(agreements).order_by(agreements.c.name, agreements.c.version)):
        latest[row.name] = row
    for row in latest.values():
        text = row.text if isinstance(row.text, bytes) else str(row.text).encode()
        try:
            verify_agreement(text, row.signature, key)
        except SignatureError as error:
            raise IntegrityError(
                f"The agreement {row.name} version {row.version} was changed after it was signed. Import it again."
            ) from error
        yield read_agreement(text, row.name)


def _get(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> StoredAlly | None:
    row = connection.execute(sa.select(allies).where(condition)).first()
    return None if row is None else StoredAlly(read_card(row.card, row.name), row.compared_by)


def _squeeze(text: str) -> str:
    return "".join(text.split()).upper()
