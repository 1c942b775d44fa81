"""What stands between us and our allies: all threads with their state, and the findings that came back."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from aleat.exchange.findings import Finding, read_findings
from aleat.exchange.messages import (
    Acceptance,
    Delivery,
    Findings,
    Inquiry,
    Message,
    Offer,
    Request,
    Results,
    read_message,
)
from aleat.exchange.threads import Thread, fold_threads
from aleat.store.database import Connection
from aleat.store.exchanges import read_files, read_messages
from aleat.store.objects import iterate_objects

__all__ = ["asks", "delivered_indicators", "findings_received", "open_answer", "open_delivery", "rule_ids"]


class _Listed(msgspec.Struct):
    id: str


class _Manifest(msgspec.Struct):
    objects: tuple[_Listed, ...]


def asks(connection: Connection) -> tuple[Thread, ...]:
    """Return every thread of requests and offers, ours and others', by the time of its beginning."""
    return fold_threads(read_message(row) for row in read_messages(connection))


def findings_received(connection: Connection) -> tuple[Finding, ...]:
    """Return what allies found with what we gave them; a finding counts only as its own sender's word."""
    found: list[Finding] = []
    for stored in iterate_objects(connection, ["sighting"]):
        givers = {copy.giver for copy in stored.copies}
        found += [item for item in read_findings([stored.object]) if item.sender in givers]
    return tuple(sorted(found, key=lambda item: (item.indicator, item.value, item.sender, item.delivery)))


def delivered_indicators(connection: Connection, delivery: str) -> tuple[str, ...]:
    """Return the ids of the indicators that came with an ally's delivery (a message's id), and are here."""
    row = next((item for item in read_messages(connection) if item.id == delivery), None)
    file = next((item for item in read_files(connection) if row is not None and item.file == row.file), None)
    if file is None or not file.manifest:
        return ()
    manifest = msgspec.json.decode(file.manifest, type=_Manifest)
    ids = [item.id for item in manifest.objects if item.id.startswith("indicator--")]
    return tuple(stored.object.id for stored in iterate_objects(connection, ids=ids))


def rule_ids(connection: Connection, indicators: Iterable[str]) -> dict[str, str]:
    """Return the rules' own ids (Sigma's) of these indicators, by STIX id, where they have one."""
    found: dict[str, str] = {}
    for stored in iterate_objects(connection, ids=sorted(set(indicators))):
        for reference in stored.object.properties().get("external_references", ()):
            if reference.get("source_name") == "sigma" and "external_id" in reference:
                found[stored.object.id] = str(reference["external_id"])
    return found


def open_delivery(connection: Connection, own: str, ally: str) -> str | None:
    """Return the message that a delivery to `ally` answers: our offer that it took, or its request that we took on."""
    found: list[Message] = []
    for thread in asks(connection):
        if thread.state in {"closed", "refused"}:
            continue
        by_id = {item.id: item for item in thread.messages}
        taken = [by_id[item.of] for item in thread.messages if isinstance(item, Acceptance) and item.of in by_id]
        for item in taken:
            ours = isinstance(item, Offer) and (item.sender, item.recipient) == (own, ally)
            theirs = isinstance(item, Request) and (item.sender, item.recipient) == (ally, own)
            if ours or theirs:
                found.append(item)
    return max(found, key=lambda item: (item.time, item.id)).id if found else None


def open_answer(connection: Connection, own: str, ally: str) -> str | None:
    """Return what of `ally` waits for our findings: its latest delivery or inquiry in a thread that is not closed.

    What was not answered yet comes first.
    """
    found: list[tuple[bool, str, str]] = []
    for thread in asks(connection):
        if thread.state == "closed":
            continue
        answered = {item.of for item in thread.messages if isinstance(item, Findings | Results)}
        found += [
            (item.id not in answered, item.time, item.id)
            for item in thread.messages
            if isinstance(item, Delivery | Inquiry) and (item.sender, item.recipient) == (ally, own)
        ]
    return max(found)[2] if found else None
