"""Copies that their givers took back: told from the withdrawals that came, and the manifests of what came before;
from what an ally deleted of its own on our server; and copies of public sources that the source's newest version no
longer has: told from the ledger's entries of pulls.

Nothing is deleted: objects and copies stay as they are, and a copy counts as withdrawn while its giver's word stands.
It is only that giver's copy; what somebody else gave goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from aleat.store.exchanges import sealed_files, withdrawn
from aleat.store.ledger import read_entries
from aleat.store.objects import Provenance, StoredObject, get_variants

__all__ = [
    "SUPERSEDED",
    "TAKEN_BACK",
    "CopyKey",
    "WithdrawnCopy",
    "copies_given",
    "ended_by_pulls",
    "last_ending_pull",
    "newest_given",
    "superseded_copies",
    "taken_back",
    "withdrawn_copies",
]

TAKEN_BACK = "taken-back"
"""Entries (ledger "decisions") of what a giver deleted on our server: what is `gone`, and what came `back`."""

SUPERSEDED = "superseded"
"""Entries (ledger "decisions") of rules' older texts that ended when a giver gave a newer one."""

CopyKey = tuple[str, str | None, str]
"""A giver, the agreement that a copy came under, and the object's digest."""


class WithdrawnCopy(msgspec.Struct, frozen=True):
    """An object that its giver took back: who, with which release, and when the withdrawal came (STIX timestamp).

    Of a public source, `release` is the version that no longer has it; it is empty for what was deleted over TAXII, and
    where the giver's `newer` text of the same rule (its date) stands in its place.
    """

    giver: str
    release: str
    time: str
    newer: str = ""


class _Named(msgspec.Struct):
    name: str


class _Digest(msgspec.Struct):
    digest: str


class _Manifest(msgspec.Struct):
    """What is needed of a release's manifest; it was checked when it was received."""

    agreement: _Named
    objects: tuple[_Digest, ...]


_decode_manifest = msgspec.json.Decoder(_Manifest).decode


def withdrawn_copies(connection: sa.Connection) -> dict[CopyKey, WithdrawnCopy]:
    """Return the copies that their givers withdrew, by giver, agreement and digest of the object.

    What the same giver gave again, in a release that it did not withdraw, is not among them.
    """
    gone = {row.release: row for row in connection.execute(sa.select(withdrawn))}
    ended = superseded_copies(connection) | ended_by_pulls(connection)
    ended |= _withdrawn_releases(connection, gone) if gone else {}
    return ended | taken_back(connection)


def taken_back(connection: sa.Connection, giver: str | None = None) -> dict[CopyKey, WithdrawnCopy]:
    """Return the copies that allies (or one) deleted on our server, and did not give again since."""
    found: dict[CopyKey, WithdrawnCopy] = {}
    for entry in read_entries(connection, "decisions", TAKEN_BACK):
        ally = str(entry.data.get("giver", ""))
        if giver is not None and ally != giver:
            continue
        for agreement, digest in entry.data.get("gone", ()):
            found[ally, agreement or None, digest] = WithdrawnCopy(ally, "", entry.time)
        for agreement, digest in entry.data.get("back", ()):
            found.pop((ally, agreement or None, digest), None)
    return found


def superseded_copies(connection: sa.Connection) -> dict[CopyKey, WithdrawnCopy]:
    """Return the copies of Sigma rules of which the same giver gave a newer text, under the same agreement."""
    found: dict[CopyKey, WithdrawnCopy] = {}
    for entry in read_entries(connection, "decisions", SUPERSEDED):
        giver, agreement = str(entry.data.get("giver", "")), str(entry.data.get("agreement") or "") or None
        for digest, newer in entry.data.get("gone", ()):
            found[giver, agreement, digest] = WithdrawnCopy(giver, "", entry.time, str(newer))
    return found


def ended_by_pulls(connection: sa.Connection, giver: str | None = None) -> dict[CopyKey, WithdrawnCopy]:
    """Return the copies that a public source gave, and that its newest version, as pulled, no longer has.

    An entry of a pull names the digests that were `gone` since the one before, and those that came `back`.
    """
    found: dict[CopyKey, WithdrawnCopy] = {}
    for entry in read_entries(connection, "custody", "pull"):
        source = str(entry.data.get("giver", ""))
        if giver is not None and source != giver:
            continue
        found |= {
            (source, None, digest): WithdrawnCopy(source, str(entry.data.get("version", "")), entry.time)
            for digest in entry.data.get("gone", ())
        }
        for digest in entry.data.get("back", ()):
            found.pop((source, None, digest), None)
    return found


def last_ending_pull(connection: sa.Connection) -> int:
    """Return the number of the last pull's entry that ended something, or brought it back; 0 where there is none."""
    entries = read_entries(connection, "custody", "pull")
    return max((entry.seq for entry in entries if entry.data.get("gone") or entry.data.get("back")), default=0)


def _withdrawn_releases(connection: sa.Connection, gone: Mapping[str, Any]) -> dict[CopyKey, WithdrawnCopy]:
    query = sa.select(sealed_files.c.peer, sealed_files.c.release, sealed_files.c.manifest).where(
        sealed_files.c.direction == "in", sealed_files.c.peer.in_({row.peer for row in gone.values()})
    )
    found: dict[CopyKey, WithdrawnCopy] = {}
    stays: set[CopyKey] = set()
    for peer, release, manifest in connection.execute(query).fetchall():
        if not release or not manifest:
            continue
        row = gone.get(release)
        keys = _manifest_keys(peer, manifest)
        if row is not None and row.peer == peer:
            found.update(dict.fromkeys(keys, WithdrawnCopy(peer, release, row.time)))
        else:
            stays.update(keys)
    return {key: copy for key, copy in found.items() if key not in stays}


def _manifest_keys(peer: str, manifest: bytes) -> list[CopyKey]:
    content = _decode_manifest(manifest)
    return [(peer, content.agreement.name, item.digest) for item in content.objects]


def copies_given(stored: StoredObject, withdrawn: Mapping[CopyKey, WithdrawnCopy]) -> tuple[Provenance, ...]:
    """Return the copies of an object that their givers have not withdrawn."""
    if not withdrawn:
        return stored.copies
    digest = stored.object.digest
    return tuple(copy for copy in stored.copies if (copy.giver, copy.agreement, digest) not in withdrawn)


def newest_given(
    connection: sa.Connection, newest: StoredObject, withdrawn: Mapping[CopyKey, WithdrawnCopy]
) -> StoredObject:
    """Return the newest version that somebody gave and did not withdraw; `newest` where it is one, or none is.

    A version that revokes the object stays the newest, whoever withdrew it.
    """
    if not withdrawn or newest.object.revoked or not newest.copies or copies_given(newest, withdrawn):
        return newest
    others = get_variants(connection, newest.object.id)
    return next((stored for stored in others if copies_given(stored, withdrawn)), newest)
