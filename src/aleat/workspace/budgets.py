"""What allies pushed lately, by the exchange ledger: a day's budget must not begin anew with the server."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from aleat.stix.times import format_timestamp, parse_timestamp
from aleat.store.ledger import read_entries
from aleat.workspace.core import Session

__all__ = ["LatePush", "pushed_lately"]


class LatePush(msgspec.Struct, frozen=True):
    """A push of an ally's (identity): how many seconds ago, of how many objects and bytes; refused ones too."""

    ally: str
    seconds: float
    objects: int
    size: int


def pushed_lately(session: Session, seconds: float) -> tuple[LatePush, ...]:
    """Return what allies pushed to our server in the last `seconds`, in the order in which it came."""
    now = session.now()
    since = format_timestamp(now - timedelta(seconds=seconds))
    with session.read() as connection:
        entries = list(read_entries(connection, "exchange", "taken", since=since))
    found = []
    for entry in entries:
        data, ago = entry.data, (now - parse_timestamp(entry.time)).total_seconds()
        objects = sum(int(data.get(name, 0)) for name in ("objects", "letters", "refused"))
        found.append(LatePush(str(data.get("ally", "")), max(0.0, ago), objects, int(data.get("bytes", 0))))
    return tuple(found)
