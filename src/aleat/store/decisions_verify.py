"""Re-checking what people decided: roles, holds and permissions, replayed from the decisions ledger.

The tables say what holds now, so that a gate can ask quickly; the signed ledger says what was decided. A row
that the ledger doesn't lead to was changed by other means.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa

from aleat.errors import AleatError, IntegrityError, SignatureError
from aleat.stix.canonical import canonical_json
from aleat.store.allies import agreements, allies
from aleat.store.decisions import holds, people, permissions, releases
from aleat.store.given import read_bundle
from aleat.store.ledger import read_entries
from aleat.trust.agreements import fingerprint, read_card, verify_agreement
from aleat.trust.chain import Entry
from aleat.trust.keys import PublicKey

__all__ = ["verify_decisions", "verify_releases"]


def verify_decisions(connection: sa.Connection, keys: Iterable[PublicKey]) -> Iterator[tuple[str, str]]:
    """Yield (what, reason) for every role, hold, permission, ally or agreement that differs from the ledger.

    `keys` are the public keys that may have signed agreements for this workspace.
    """
    keys = tuple(keys)
    roles: dict[str, str] = {}
    held: dict[tuple[str, str], tuple[str, str, str]] = {}
    given: dict[str, tuple[object, ...]] = {}
    known: dict[str, tuple[str, str | None]] = {}
    agreed: dict[tuple[str, int], str] = {}
    for entry in read_entries(connection, "decisions"):
        data = entry.data
        if entry.kind == "roles":
            roles[data["person"]] = ",".join(data["roles"])
        elif entry.kind in ("hold", "hold-lifted"):
            _replay_hold(held, entry)
        elif entry.kind == "permission":
            given[data["id"]] = (*(data[name] for name in _PERMISSION), canonical_json(data["objects"]))
        elif entry.kind == "permission-ended" and data["permission"] in given:
            row = given[data["permission"]]
            last = (date.fromisoformat(entry.time[:10]) - timedelta(days=1)).isoformat()
            given[data["permission"]] = (*row[:3], last, *row[4:])
        elif entry.kind == "ally":
            known[data["ally"]] = (data["fingerprint"], data["compared_by"])
        elif entry.kind == "agreement":
            agreed[data["agreement"], data["version"]] = data["signature"]
    found_roles = {row.actor: row.roles for row in connection.execute(sa.select(people))}
    yield from _differences("person", {name: text for name, text in roles.items() if text}, found_roles)
    found_holds = {
        (row.object, row.kind): (row.reason, row.placed_by, row.placed) for row in connection.execute(sa.select(holds))
    }
    yield from _differences("hold", held, found_holds)
    found_permissions = {
        row.id: (*(getattr(row, name) for name in _PERMISSION), row.objects)
        for row in connection.execute(sa.select(permissions))
    }
    yield from _differences("permission", given, found_permissions)
    found_allies = {
        row.identity: (_fingerprint(row.card), row.compared_by) for row in connection.execute(sa.select(allies))
    }
    yield from _differences("ally", known, found_allies)
    rows = connection.execute(sa.select(agreements)).all()
    found_agreements = {
        (row.name, row.version): row.signature if _is_signed(row.text, row.signature, keys) else None for row in rows
    }
    yield from _differences("agreement", agreed, found_agreements)


def verify_releases(connection: sa.Connection) -> Iterator[tuple[str, str]]:
    """Yield (what, reason) for every release that differs from the ledger's entry, or isn't kept as it left."""
    said: dict[str, tuple[Any, ...]] = {
        entry.data["release"]: (*(entry.data[name] for name in _RELEASE), entry.actor, entry.time)
        for entry in read_entries(connection, "release", "release")
    }
    rows = connection.execute(sa.select(releases)).all()
    found = {
        row.id: (row.recipient, row.agreement, row.agreement_version, row.approver, row.sha256, row.actor, row.time)
        for row in rows
    }
    yield from _differences("release", said, found)
    for row in rows:
        try:
            kept = read_bundle(connection, row.id)
        except IntegrityError as error:
            yield f"release {row.id}", str(error)
            continue
        if kept is None:
            continue  # of an earlier day, when only the hash was kept
        parts = [kept[0], bytes(row.manifest), *(kept[1][id_] for id_ in sorted(kept[1]))]
        if hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest() != row.sha256:
            yield f"release {row.id}", "Its bundle, manifest or lists are not those that left."


_RELEASE = ("to", "agreement", "agreement_version", "approver", "sha256")
_PERMISSION = ("originator", "recipient", "valid_from", "valid_until", "basis")


def _is_signed(text: bytes, signature: str, keys: Iterable[PublicKey]) -> bool:
    for key in keys:
        with suppress(SignatureError):
            verify_agreement(text, signature, key)
            return True
    return False


def _fingerprint(card: bytes) -> str:
    """Return a card's fingerprint; of one that was changed, its error."""
    try:
        return fingerprint(read_card(card, "card"))
    except AleatError as error:
        return str(error)


def _replay_hold(held: dict[tuple[str, str], tuple[str, str, str]], entry: Entry) -> None:
    for object_ in entry.data["objects"]:
        if entry.kind == "hold":
            held[object_, entry.data["kind"]] = (entry.data["reason"], entry.actor, entry.time)
        else:
            held.pop((object_, entry.data["kind"]), None)


def _differences(what: str, said: Mapping[Any, Any], found: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
    for name in sorted(map(str, said.keys() - found.keys())):
        yield f"{what} {name}", "The ledger decided on it, and its row is gone."
    for name in sorted(map(str, found.keys() - said.keys())):
        yield f"{what} {name}", "Its row was not decided by any entry of the ledger."
    for name in sorted(map(str, (key for key in said.keys() & found.keys() if said[key] != found[key]))):
        yield f"{what} {name}", "Its row differs from what the ledger decided."
