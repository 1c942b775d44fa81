"""Re-checking what passed between us and our allies: files and messages, against the exchange ledger.

The fold of a thread decides what a permission opens, so a message that was changed here by other means must be found.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from aleat.store.exchanges import exchange_messages, sealed_files
from aleat.store.ledger import read_entries

__all__ = ["verify_exchanges"]

_FILE = ("peer", "serial", "release", "sha256", "signature")
_KINDS = {"out": "sent", "in": "received"}


def verify_exchanges(connection: sa.Connection) -> Iterator[tuple[str, str]]:
    """Yield (what, reason) for every sealed file and message that differs from what the exchange ledger says of it."""
    files: dict[str, tuple[Any, ...]] = {}
    messages: dict[str, tuple[str, str | None]] = {}
    for entry in read_entries(connection, "exchange"):
        if entry.kind not in _KINDS.values() or "file" not in entry.data:
            continue
        data = entry.data
        files[data["file"]] = (entry.kind, *(data[name] for name in _FILE))
        hashes = data.get("bodies", [None] * len(data["messages"]))  # of an earlier day: the ids alone
        messages |= {id_: (data["file"], digest) for id_, digest in zip(data["messages"], hashes, strict=False)}
    found = {
        row.file: (_KINDS.get(row.direction, row.direction), *(getattr(row, name) for name in _FILE))
        for row in connection.execute(sa.select(sealed_files))
    }
    yield from _differences("file", files, found)
    kept = {row.id: (row.file, _digest(row.body)) for row in connection.execute(sa.select(exchange_messages))}
    told = {id_: (file, digest or kept.get(id_, ("", ""))[1]) for id_, (file, digest) in messages.items()}
    yield from _differences("message", told, kept)


def _digest(body: bytes | str) -> str:
    """Return a body's hash; one that was changed may be text."""
    return hashlib.sha256(body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body).hexdigest()


def _differences(what: str, said: dict[str, Any], found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name in sorted(said.keys() | found.keys()):
        label = name if name.startswith(what) else f"{what} {name}"
        if name not in found:
            yield label, "The exchange ledger has it, and its row is gone."
        elif name not in said:
            yield label, "No entry of the exchange ledger has it."
        elif said[name] != found[name]:
            yield label, "Its row differs from what the exchange ledger says."
