"""The ledgers' heads as a signed page: exported, countersigned by an ally, taken back in, and checked against."""

from __future__ import annotations

from pathlib import Path

import msgspec

from aleat.errors import InputError, LimitError, Place, TrustError
from aleat.stix.times import format_timestamp
from aleat.store.countersignatures import keep_countersigned, keep_given
from aleat.trust.chain import Head
from aleat.trust.heads import MAX_PAGE, HeadPage, HeadStatement, countersign_heads, read_head_page, sign_heads
from aleat.workspace.core import Session

__all__ = ["countersign", "export_heads", "keep_countersignature", "read_heads", "read_own_heads"]


def export_heads(session: Session) -> bytes:
    """Return the ledgers' heads on a page that our key signs: for allies to countersign, or to keep elsewhere."""
    statement = HeadStatement(
        workspace=session.config.id,
        identity=session.config.identity,
        organisation=session.config.organisation,
        key=session.config.signing_public,
        time=format_timestamp(session.now()),
        heads=session.heads(),
    )
    return sign_heads(statement, session.key).encode()


def countersign(session: Session, path: Path) -> bytes:
    """Sign an ally's page of heads, keep it, and return it for the ally.

    Raises `TrustError` where no compared ally signed it, or its ledgers went back behind what we signed before.
    """
    page = read_heads(path)
    now = session.now()
    config = session.config
    signed = countersign_heads(
        page,
        session.key,
        identity=config.identity,
        organisation=config.organisation,
        time=format_timestamp(now),
    )
    with session.writing(), session.write() as connection:
        keep_given(connection, page, signed, actor=session.actor, time=now, key=session.key)
    return signed.encode()


def keep_countersignature(session: Session, path: Path) -> HeadPage:
    """Keep a page of our heads that an ally countersigned; `verify` holds the ledgers to it from now on."""
    page = read_heads(path)
    with session.writing(), session.write() as connection:
        keep_countersigned(
            connection, page, workspace=session.config.id, actor=session.actor, time=session.now(), key=session.key
        )
    return page


def read_heads(path: Path) -> HeadPage:
    """Read a page of heads from its file, with all signatures checked by the keys that it names."""
    return read_head_page(_read(path), str(path))


def read_own_heads(session: Session, path: Path) -> dict[str, Head]:
    """Return the heads that were exported here before, by ledger: from a page, or what format 1 wrote, unsigned.

    Raises `TrustError` where they are another workspace's.
    """
    data = _read(path)
    try:
        unsigned = msgspec.json.decode(data, type=_UnsignedHeads)
        workspace, heads = unsigned.workspace, unsigned.heads
    except msgspec.MsgspecError:
        statement = read_head_page(data, str(path)).statement
        workspace, heads = statement.workspace, statement.heads
    if workspace != session.config.id:
        raise TrustError(f"{path} holds the heads of another workspace.")
    return {head.ledger: head for head in heads}


class _UnsignedHeads(msgspec.Struct, frozen=True):
    workspace: str
    heads: tuple[Head, ...]


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_PAGE + 1)
    except OSError as error:
        reason = f"It can't be read: {error.strerror or type(error).__name__}."
        raise InputError(reason, Place(str(path))) from error
    if len(data) > MAX_PAGE:
        raise LimitError(f"It is longer than a page of heads may be ({MAX_PAGE} bytes).", Place(str(path)))
    return data
