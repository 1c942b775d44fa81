"""Hash-chained, signed ledger entries: the mathematics, without the storage.

An entry's hash is the SHA-256 of the RFC 8785 form of its `body` object (ledger, sequence number, time,
actor, kind, data and the previous entry's hash); its signature is Ed25519 over that hash's 32 bytes. A chain
proves nothing against its own key's holder or a cut tail: compare its head with an exported one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from aleat.errors import SignatureError
from aleat.stix.canonical import canonical_json
from aleat.trust.keys import PublicKey, SigningKey

__all__ = ["GENESIS", "ChainFault", "Entry", "Head", "check_chain", "make_entry"]

GENESIS = "0" * 64


class Entry(msgspec.Struct, frozen=True):
    """One line of a ledger; `previous`, `hash` are hex SHA-256, `signature` is hex, `time` a STIX timestamp."""

    ledger: str
    seq: int
    time: str
    actor: str
    kind: str
    data: dict[str, Any]
    previous: str
    hash: str
    signature: str
    key_id: str

    def body(self) -> dict[str, Any]:
        """Return what is hashed."""
        return {
            "ledger": self.ledger,
            "seq": self.seq,
            "time": self.time,
            "actor": self.actor,
            "kind": self.kind,
            "data": self.data,
            "previous": self.previous,
        }


class Head(msgspec.Struct, frozen=True):
    """The end of a chain: how many entries it has, and the last one's hash. Keep it where the workspace isn't."""

    ledger: str
    entries: int
    hash: str


class ChainFault(msgspec.Struct, frozen=True):
    """One way in which a ledger doesn't fit: at entry `seq`, `reason` says how."""

    ledger: str
    seq: int
    reason: str


def make_entry(
    ledger: str,
    seq: int,
    time: str,
    actor: str,
    kind: str,
    data: dict[str, Any],
    previous: str,
    key: SigningKey,
) -> Entry:
    """Return the signed entry number `seq` (from 1) that follows the entry with hash `previous`."""
    unsigned = Entry(ledger, seq, time, actor, kind, data, previous, "", "", key.key_id)
    digest = hashlib.sha256(canonical_json(unsigned.body())).digest()
    return msgspec.structs.replace(unsigned, hash=digest.hex(), signature=key.sign(digest).hex())


def check_chain(
    ledger: str, entries: Iterable[Entry], keys: Mapping[str, PublicKey], head: Head | None = None
) -> Iterator[ChainFault]:
    """Yield every fault of a ledger's entries (in order), also against an exported `head`."""
    previous, count, at_head = GENESIS, 0, None
    for entry in entries:
        count += 1
        if entry.seq != count:
            yield ChainFault(ledger, entry.seq, f"entry {count} is missing or out of order")
            count = entry.seq
        if entry.ledger != ledger or entry.previous != previous:
            yield ChainFault(ledger, entry.seq, "does not follow the entry before it")
        digest = hashlib.sha256(canonical_json(entry.body())).digest()
        if digest.hex() != entry.hash:
            yield ChainFault(ledger, entry.seq, "its content was changed (hash differs)")
        if (key := keys.get(entry.key_id)) is None:
            yield ChainFault(ledger, entry.seq, f"signed with an unknown key {entry.key_id}")
        else:
            try:
                key.verify(bytes.fromhex(entry.signature), digest)
            except (SignatureError, ValueError):
                yield ChainFault(ledger, entry.seq, "its signature does not verify")
        previous = entry.hash
        if head is not None and count == head.entries:
            at_head = entry.hash
    if head is not None:
        if count < head.entries:
            yield ChainFault(ledger, count, f"the tail is cut: the exported head has {head.entries} entries")
        elif head.entries and at_head != head.hash:
            yield ChainFault(ledger, head.entries, "differs from the exported head")
