"""Re-checking the rows of indicator lists' table: the custody ledger names each list that came in.

The lists' files are checked by `aleat.store.entries.verify_entries`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import sqlalchemy as sa

from aleat.store.entry_lists import EntryFault, entry_lists
from aleat.store.ledger import read_entries

__all__ = ["list_facts", "verify_list_rows"]

_FACTS = ("rows", "size", "file_sha256")


def list_facts(connection: sa.Connection, digests: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return, for each of these lists that is here, its rows, size and file's hash: what a ledger entry binds."""
    found = {}
    for digest in sorted(set(digests)):
        row = connection.execute(sa.select(entry_lists).where(entry_lists.c.digest == digest)).first()
        if row is not None:
            found[digest] = {name: getattr(row, name) for name in _FACTS}
    return found


def verify_list_rows(connection: sa.Connection) -> Iterator[EntryFault]:
    """Yield every list whose row is gone or is not what the custody ledger says (entries ``lists``)."""
    said: dict[str, dict[str, Any]] = {}
    for entry in read_entries(connection, "custody"):
        said.update(entry.data.get("lists", {}))
    found = list_facts(connection, said)
    for digest, facts in sorted(said.items()):
        if digest not in found:
            yield EntryFault(digest, "the ledger names it, and its row is gone")
        elif different := [name for name in _FACTS if facts[name] != found[digest][name]]:
            yield EntryFault(digest, f"its row differs from its ledger entry ({', '.join(different)})")
