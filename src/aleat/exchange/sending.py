"""What every act that sends shares: whom it goes to, the message's head, the thread it stands in, the sealed file.

An act takes a `Desk`, needs the role of a releaser, and returns a `Sent` whose bytes are to be written under its
(random) name *before* the transaction ends: a number in the ledger without its file looks to the ally like one that
was lost.
"""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

import msgspec

from aleat.errors import NotPermittedError, TrustError
from aleat.exchange.desk import Desk, trusted_ally
from aleat.exchange.findings import Finding
from aleat.exchange.messages import Message, Receipt, encode_messages, message_row, read_message
from aleat.exchange.receipts import owed_receipts
from aleat.exchange.threads import Thread, fold_thread
from aleat.release import Release
from aleat.stix import canonical_json, format_timestamp
from aleat.store.decisions import require
from aleat.store.exchanges import FileRow, next_serial, read_messages, record_file
from aleat.trust.agreements import AllyCard
from aleat.trust.seal import seal, sealed_name

__all__ = [
    "Sent",
    "acknowledge",
    "answered",
    "known_ally",
    "message_head",
    "new_id",
    "other_side",
    "recipient_of",
    "say",
    "send",
    "thread_of",
]


_WOULD_NOT_COUNT = {
    "no-root": "The thread's first message has not come yet, so nothing in it can be answered.",
    "answers-nothing": "That message can't be answered in this way.",
    "not-theirs": "That is the other side's to say, not ours.",
    "expired": "That offer's last day is over. Ask for a new one.",
}


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A sealed file that is ready to go: its name and bytes, the messages in it, the release that goes with it."""

    name: str
    data: bytes
    messages: tuple[Message, ...]
    thread: str
    file: str = ""
    """The sealed file's id, which its header says."""
    recipient: str = ""
    release: Release | None = None
    release_id: str = ""
    kept: tuple[Finding, ...] = ()
    """Findings that stay: too few events for the agreement's threshold, or withheld by the gate."""
    left_out: tuple[str, ...] = ()
    """Objects that were asked for or meant to go, and that stay."""


def recipient_of(desk: Desk, ally: str) -> AllyCard:
    """Return the card of the ally that gets something, whose fingerprint was compared; needs the role of a releaser."""
    require(desk.connection, desk.actor, "releaser")
    return known_ally(desk, ally)


def known_ally(desk: Desk, ally: str) -> AllyCard:
    """Return the card of an ally whose fingerprint was compared."""
    return trusted_ally(desk, ally).card


def new_id() -> str:
    """Return a random id for a message."""
    return f"message--{uuid.uuid4()}"


def message_head(desk: Desk, recipient: str, thread: str, id_: str | None = None) -> dict[str, Any]:
    """Return the fields that every message of ours has."""
    return {
        "id": id_ or new_id(),
        "thread": thread,
        "sender": desk.own,
        "recipient": recipient,
        "time": format_timestamp(desk.time),
        "person": desk.actor,
    }


def thread_of(desk: Desk, message: str) -> Thread:
    """Return the thread that a message (or thread) id belongs to."""
    messages = [read_message(row) for row in read_messages(desk.connection)]
    found = next((item.thread for item in messages if message in {item.id, item.thread}), None)
    if found is None:
        raise TrustError(f"There is no message {message}. See: aleat asks.")
    return fold_thread(found, [item for item in messages if item.thread == found])


def answered(desk: Desk, message: str) -> tuple[Thread, AllyCard]:
    """Return the thread of a message that is ours to answer, and who sent it."""
    thread = thread_of(desk, message)
    found = next((item for item in thread.messages if item.id == message), None)
    if found is None or found.recipient != desk.own:
        raise NotPermittedError("That message is not ours to answer.")
    return thread, recipient_of(desk, found.sender)


def other_side(desk: Desk, thread: Thread) -> AllyCard:
    """Return the ally with whom we hold a thread."""
    sides = {side for item in thread.messages for side in (item.sender, item.recipient)} - {desk.own}
    if len(sides) != 1:
        raise TrustError("The thread's first message has not come yet.")
    return recipient_of(desk, sides.pop())


def acknowledge(desk: Desk, ally: str) -> Sent | None:
    """Return a file that holds nothing but the receipts that we owe an ally; None where we owe none.

    Whoever may open files may say that they were opened: the role of an analyst will do.
    """
    require(desk.connection, desk.actor, "analyst")
    to = known_ally(desk, ally)
    return send(desk, to, ()) if owed_receipts(desk.connection, desk.own, to.identity) else None


def say(
    desk: Desk,
    to: AllyCard,
    messages: tuple[Message, ...],
    release: Release | None = None,
    release_id: str = "",
    kept: tuple[Finding, ...] = (),
) -> Sent:
    """Send messages that count in their thread; raises `TrustError` where one would not, and nothing is sent."""
    thread, ids = messages[0].thread, {item.id for item in messages}
    held = [read_message(row) for row in read_messages(desk.connection, thread)]
    for fault in fold_thread(thread, [*held, *messages]).faults:
        if fault.message in ids:
            raise TrustError(f"{_WOULD_NOT_COUNT[fault.reason]} See: aleat asks.")
    return send(desk, to, messages, release, release_id, kept)


def send(
    desk: Desk,
    to: AllyCard,
    messages: tuple[Message, ...],
    release: Release | None = None,
    release_id: str = "",
    kept: tuple[Finding, ...] = (),
) -> Sent:
    """Seal messages and release for an ally, and record the file; receipts that we owe the ally go along."""
    messages += tuple(
        Receipt(**message_head(desk, to.identity, message.thread), of=message.id, sha256=sha256)
        for message, sha256 in owed_receipts(desk.connection, desk.own, to.identity)
    )
    parts = {"messages.json": encode_messages(messages)}
    if release is not None:
        parts |= {
            "bundle.json": release.bundle,
            "manifest.json": release.manifest,
            "lists.json": canonical_json({id_: lines.decode() for id_, lines in release.lists.items()}),
        }
    data, opened = seal(
        parts,
        sender=desk.own,
        key=desk.key,
        recipient=to.identity,
        recipient_key=to.age_recipient,
        serial=next_serial(desk.connection, to.identity),
        time=desk.time,
        release=release_id,
        certificate=to.openpgp,
    )
    row = FileRow(
        file=opened.header.file,
        direction="out",
        peer=to.identity,
        serial=opened.header.serial,
        release=release_id,
        sha256=hashlib.sha256(data).hexdigest(),
        header=opened.header_bytes,
        signature=opened.signature,
        manifest=release.manifest if release is not None else b"",
    )
    rows = [message_row(item) for item in messages]
    record_file(desk.connection, row, rows, actor=desk.actor, time=desk.time, key=desk.key)
    return Sent(
        name=sealed_name(),
        data=data,
        messages=messages,
        thread=messages[0].thread,
        file=opened.header.file,
        recipient=to.identity,
        release=release,
        release_id=release_id,
        kept=kept,
    )
