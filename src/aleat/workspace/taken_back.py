"""What an ally takes back of what it gave, by a DELETE over TAXII (TAXII 2.1 §5.7).

An ally may take back its own copies, and nothing else. Nothing is destroyed: the copy, its custody and what it led to
stay, as they do after a withdrawal; but it hunts no more, nothing is told on the strength of it, and it is on that
ally's shelf no more, whoever else gave it. Given again, it counts again.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from aleat.errors import ObjectError
from aleat.stix.objects import StixObject
from aleat.stix.times import parse_timestamp
from aleat.store.database import Connection
from aleat.store.ledger import append_entry
from aleat.store.objects import get_variants
from aleat.store.withdrawn import TAKEN_BACK, taken_back
from aleat.times import micros_of
from aleat.workspace.core import Session

__all__ = ["give_again", "take_back", "version_time", "versions_taken_back"]


def take_back(
    session: Session, connection: Connection, ally: str, id_: str, versions: Collection[int] | None, *, account: str
) -> int:
    """Take back the copies of an object that `ally` gave, in the caller's transaction; return how many there were.

    `versions` are times (microseconds since 1970); None is every version.
    """
    ended = taken_back(connection, ally)
    gone = sorted(
        {
            (copy.agreement or "", stored.object.digest)
            for stored in get_variants(connection, id_)
            if versions is None or version_time(stored.object.version) in versions
            for copy in stored.copies
            if copy.giver == ally and (ally, copy.agreement, stored.object.digest) not in ended
        }
    )
    if gone:
        whose = {"giver": ally, "account": account, "object": id_}
        _record(session, connection, {**whose, "gone": [list(key) for key in gone]})
    return len(gone)


def give_again(
    session: Session, connection: Connection, ally: str, agreement: str, items: Collection[StixObject]
) -> None:
    """Let copies count again that `ally` had taken back, and now gave again, in the caller's transaction."""
    ended = taken_back(connection, ally)
    back = sorted({item.digest for item in items if (ally, agreement, item.digest) in ended})
    if back:
        _record(session, connection, {"giver": ally, "back": [[agreement, digest] for digest in back]})


def versions_taken_back(connection: Connection, ally: str, id_: str) -> frozenset[int]:
    """Return the times of the versions of an object that `ally` took back (microseconds since 1970)."""
    digests = {digest for _, _, digest in taken_back(connection, ally)}
    if not digests:
        return frozenset()
    return frozenset(
        version_time(one.object.version) for one in get_variants(connection, id_) if one.object.digest in digests
    )


def version_time(version: str) -> int:
    """Return when a version was made (microseconds since 1970); 0 where it doesn't say, or outside the calendar."""
    try:
        return micros_of(parse_timestamp(version)) if version else 0
    except ObjectError:
        return 0


def _record(session: Session, connection: Connection, data: dict[str, Any]) -> None:
    append_entry(connection, "decisions", TAKEN_BACK, data, actor=session.actor, time=session.now(), key=session.key)
