"""Store: where objects, decisions, ledgers and segments live. All SQL of the project stands here.

Each file declares its tables on `aleat.store.database.metadata` and the functions that read and write them;
nothing here decides what the rows mean.
"""

from __future__ import annotations

from aleat.store.database import Connection, Database
from aleat.store.ledger import LEDGERS, append_entry, export_ledger, ledger_head, verify_ledger
from aleat.store.lock import writer_lock

__all__ = [
    "LEDGERS",
    "Connection",
    "Database",
    "append_entry",
    "export_ledger",
    "ledger_head",
    "verify_ledger",
    "writer_lock",
]
