"""What an ally has of us, as far as sealed files say: the last of each object that stands."""

from __future__ import annotations

from aleat.exchange.messages import Withdrawal, read_message
from aleat.release.difference import Given
from aleat.store.database import Connection
from aleat.store.decisions import read_decisions, read_releases
from aleat.store.exchanges import read_messages

__all__ = ["given_to"]


def given_to(connection: Connection, own: str, ally: str) -> dict[str, Given]:
    """Return what `ally` (an identity's id) was last given of each object, by the object's id here.

    What was withdrawn since, whole releases or objects, is not among it. What it fetched from our server isn't either:
    there it is shown what has changed by itself.
    """
    found: dict[str, Given] = {}
    for row in read_releases(connection, ally):
        if row.withdrawn is not None:
            continue
        for one in read_decisions(connection, row.id):
            if not one.allow:
                continue
            if one.rule == "revocation":
                found.pop(one.object, None)
                continue
            told = str(one.detail.get("parameters", {}).get("as", one.object))
            label, digest = one.detail.get("label"), str(one.detail.get("digest", ""))
            found[one.object] = Given(digest, told, label, one.rule, row.time, row.id)
    for message in map(read_message, read_messages(connection)):
        if isinstance(message, Withdrawal) and (message.sender, message.recipient) == (own, ally):
            gone = set(message.objects)
            found = {id_: one for id_, one in found.items() if one.told not in gone or one.time > message.time}
    return found
