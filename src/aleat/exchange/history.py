"""What an ally has of us, by sealed files and from its shelf: the last of each object that stands."""

from __future__ import annotations

from collections.abc import Mapping

from aleat.exchange.messages import Withdrawal, read_message
from aleat.release import Release
from aleat.release.difference import Given
from aleat.store.database import Connection
from aleat.store.decisions import read_decisions, read_releases
from aleat.store.exchanges import read_messages
from aleat.store.fetched import FetchedObject, read_fetched

__all__ = ["given_to"]


def given_to(connection: Connection, own: str, release: Release) -> dict[str, Given]:
    """Return what the recipient of `release` (what would leave now) was given of each object, by the object's id here.

    That is the last that went in a sealed file, or what it had from its shelf, where that is what would leave now, or
    no file brought it. What was withdrawn since, whole releases or objects, is not among it.
    """
    ally = release.recipient
    gone: dict[str, str] = {}
    for message in map(read_message, read_messages(connection)):
        if isinstance(message, Withdrawal) and (message.sender, message.recipient) == (own, ally):
            gone.update((id_, max(message.time, gone.get(id_, ""))) for id_ in message.objects)
    sealed = {id_: one for id_, one in _sealed(connection, ally).items() if one.time > gone.get(one.told, "")}
    for id_, one in _from_shelf(read_fetched(connection, ally), release).items():
        if one.digest or (id_ not in sealed and one.told not in gone):
            sealed[id_] = one
    return sealed


def _from_shelf(fetched: Mapping[str, FetchedObject], release: Release) -> dict[str, Given]:
    """Return what was had from a shelf, by the object's id here; the digest is empty where it isn't what leaves now."""
    leaving = {item.id: item.digest for item in release.objects}
    found: dict[str, Given] = {}
    known = {one.object: one for one in fetched.values()}
    for decision in release.decisions:
        told = str(decision.parameters.get("as", decision.object))
        had = fetched.get(told) or known.get(decision.object)
        if had is not None:
            same = decision.allow and had.told == told and had.digest == leaving.get(told)
            digest = decision.digest if same else ""
            if digest or decision.object not in found:
                found[decision.object] = Given(digest, had.told, decision.label, decision.rule, had.time, "")
    return found


def _sealed(connection: Connection, ally: str) -> dict[str, Given]:
    """Return the last of each object that went to `ally` in a sealed file which stands."""
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
    return found
