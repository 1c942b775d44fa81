"""Re-checking what people decided: roles, holds and permissions, replayed from the decisions ledger.

The tables say what holds now, so that a gate can ask quickly; the signed ledger says what was decided. A row
that the ledger doesn't lead to was changed by other means.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import sqlalchemy as sa

from aleat.errors import AleatError, SignatureError
from aleat.stix.canonical import canonical_json
from aleat.store.allies import agreements, allies
from aleat.store.decisions import holds, people, permissions
from aleat.store.ledger import read_entries
from aleat.trust.agreements import fingerprint, read_card, verify_agreement
from aleat.trust.chain import Entry
from aleat.trust.keys import PublicKey

__all__ = ["verify_decisions"]


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
