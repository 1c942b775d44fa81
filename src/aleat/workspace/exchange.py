"""The verbs between two teams: asks and offers, releases, what came and what went."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from aleat.errors import SealError, TrustError
from aleat.exchange import (
    Affected,
    Desk,
    Finding,
    Offer,
    Received,
    Request,
    Sent,
    Thread,
    accept,
    ask,
    asks,
    close_thread,
    deliver,
    findings_received,
    offer,
    prepare_release,
    receive,
    refuse,
    withdraw,
)
from aleat.exchange.messages import Inquiry, PermissionRequest
from aleat.exchange.overview import open_delivery
from aleat.exchange.steps import AskRow, links, next_step
from aleat.release import Release
from aleat.store.allies import find_ally, read_allies
from aleat.store.entries_verify import list_facts
from aleat.store.ledger import append_entry
from aleat.workspace.allies import read_bounded
from aleat.workspace.asking import AskingVerbs, message_id
from aleat.workspace.called import may_be_called, names_of

__all__ = ["ExchangeVerbs", "take_sealed"]

_MAX_SEALED = 4 * 1024**3


class ExchangeVerbs(AskingVerbs):
    """What two teams do with each other.

    A verb that sends writes a sealed file into `folder` and returns its path; with None it puts the file into the post
    box, from where the ally fetches it, or `push_post` sends it (`aleat.workspace.post`), and returns its name there.
    """

    def ask(
        self, ally: str, folder: str | Path | None = ".", *, title: str, impact: str, needs: Sequence[str], **more: Any
    ) -> Path:
        """Ask an ally for support; `more` are `affected` (`Affected`) and further fields of `exchange.Request`."""
        affected = more.pop("affected", None) or Affected(sector=self.config.sector, country=self.config.country)
        return self._send(
            folder, lambda desk: ask(desk, ally, title=title, affected=affected, impact=impact, needs=needs, **more)
        )

    def offer(
        self, ally: str, folder: str | Path | None = ".", *, what: str, of: str | None = None, **more: Any
    ) -> Path:
        """Offer something to an ally, unasked or in answer to its request (default: the latest open one)."""

        def act(desk: Desk) -> Sent:
            return offer(
                desk,
                ally,
                what=what,
                of=(of and message_id(desk.connection, of)) or of or _open_request(desk, ally),
                **more,
            )

        return self._send(folder, act)

    def accept(self, of: str, folder: str | Path | None = ".", *, remarks: str = "") -> Path:
        """Take an ally's offer, or take on its request: a message's id, or the ally's name for its latest."""
        return self._send(folder, lambda desk: accept(desk, _message_of(desk, of), remarks=remarks))

    def refuse(self, of: str, folder: str | Path | None = ".", *, reason: str) -> Path:
        """Refuse an ally's offer or request: a message's id, or the ally's name for its latest."""
        return self._send(folder, lambda desk: refuse(desk, _message_of(desk, of), reason=reason))

    def close_thread(
        self, thread: str, folder: str | Path | None = ".", *, outcome: str, lessons: str = "", provided: str = ""
    ) -> Path:
        """End a thread of requests and offers: what came of it, what was learned, what was provided."""
        return self._send(
            folder,
            lambda desk: close_thread(
                desk, message_id(desk.connection, thread) or thread, outcome=outcome, lessons=lessons, provided=provided
            ),
        )

    def preview(self, to: str) -> Release:
        """Return what would leave for an ally now, and the decision on every object; nothing is recorded."""
        with self._desk(write=False) as desk:
            return prepare_release(desk, to)

    def release(
        self,
        to: str,
        folder: str | Path | None = ".",
        *,
        remarks: str = "",
        approver: str | None = None,
        of: str | None = None,
        reader: str = "",
    ) -> Path:
        """Seal what may leave for an ally, in answer to what it took from us (default: the latest it accepted).

        With a `reader`, a person whom the agreement names for it, TLP:RED of ours leaves too.
        """

        def act(desk: Desk) -> Sent:
            ally = find_ally(desk.connection, to).card.identity
            prepared = prepare_release(desk, to, reader=reader)
            answers = (of and message_id(desk.connection, of)) or of or open_delivery(desk.connection, desk.own, ally)
            return deliver(desk, to, prepared, of=answers, remarks=remarks, approver=approver)

        return self._send(folder, act)

    def withdraw(self, release: str, folder: str | Path | None = ".", *, reason: str) -> Path:
        """Withdraw a release of ours, and tell its recipient."""
        return self._send(folder, lambda desk: withdraw(desk, release, reason=reason))

    def receive(self, path: str | Path) -> Received:
        """Open a sealed file for us, verify it, and keep what it holds."""
        data = read_bounded(Path(path), _MAX_SEALED)
        with self.writing(), self._desk(write=True) as desk:
            return take_sealed(desk, data, str(path))

    def asks(self) -> tuple[Thread, ...]:
        """Return every thread of requests and offers with its state."""
        with self.read() as connection:
            return asks(connection)

    def ask_rows(self) -> tuple[AskRow, ...]:
        """Return every thread with what it waits for today, and which threads gave something on its permission."""
        today = self.now().date()
        with self.read() as connection:
            threads, joined = asks(connection), links(connection)
        used = {item.permission for item in joined}
        return tuple(
            AskRow(
                thread=thread,
                step=None if thread.id in used and thread.state == "permitted" else next_step(thread, today),
                links=tuple(item for item in joined if thread.id in {item.permission, item.given}),
            )
            for thread in threads
        )

    def find_thread(self, name: str) -> str:
        """Return the thread that a message belongs to: its id, the first letters of its UUID, or an ally's name."""
        with self.read() as connection:
            wanted = message_id(connection, name)
            if wanted is None:
                identity = find_ally(connection, name).card.identity
            for thread in reversed(asks(connection)):
                ids = {thread.id, *(item.id for item in thread.messages), *(fault.message for fault in thread.faults)}
                sides = {side for item in thread.messages for side in (item.sender, item.recipient)}
                if (wanted in ids) if wanted is not None else (identity in sides):
                    return thread.id
        raise TrustError(f"There is nothing called {name}. See: aleat asks.")

    def findings(self) -> tuple[Finding, ...]:
        """Return what allies found with what we gave them."""
        with self.read() as connection:
            return findings_received(connection)

    def object_names(self, ids: Iterable[str]) -> dict[str, str]:
        """Return what these objects are called; no team that is no ally is called like one, or like us."""
        with self.read() as connection:
            names = names_of(connection, ids)
            parties = {one.card.identity: one.card.name for one in read_allies(connection)}
        parties[self.config.identity] = self.config.name
        known = {*parties.values(), self.config.organisation}
        claimed = {id_: name for id_, name in names.items() if id_[:10] != "identity--" or may_be_called(name, known)}
        return claimed | parties


def take_sealed(desk: Desk, data: bytes, path: str, *, sender: str | None = None) -> Received:
    """Open a sealed file in the desk's transaction and keep what it holds, with its entry of the custody ledger.

    `path` says where it came from. With `sender` (an identity's id) it must be of that ally: `SealError` otherwise.
    """
    received = receive(desk, data, path=path)
    if sender is not None and received.sender.identity != sender:
        raise SealError("The file is sealed by another ally than the one who brought it.")
    facts = {
        "giver": received.sender.identity,
        "paths": [path],
        "sha256": hashlib.sha256(data).hexdigest(),
        "lists": list_facts(desk.connection, received.lists),
        "knowledge_rows": received.stored.bound,
    }
    append_entry(desk.connection, "custody", "received", facts, actor=desk.actor, time=desk.time, key=desk.key)
    return received


def _message_of(desk: Desk, name: str) -> str:
    """Return a message's id: by itself or its first letters, or the open offer or request of the ally called so."""
    if (found := message_id(desk.connection, name)) is not None:
        return found
    identity = find_ally(desk.connection, name).card.identity
    waiting = [
        message.id
        for thread in asks(desk.connection)
        if thread.state in {"asked", "offered"}
        for message in thread.messages
        if isinstance(message, Offer | Request | Inquiry | PermissionRequest) and message.sender == identity
    ]
    if not waiting:
        raise TrustError(f"Nothing of {name} waits for an answer. See: aleat asks.")
    return waiting[-1]


def _open_request(desk: Desk, ally: str) -> str | None:
    """Return the ally's latest request (for support or information) that nobody answered yet, or None."""
    identity = find_ally(desk.connection, ally).card.identity
    waiting = [thread for thread in asks(desk.connection) if thread.root is not None and thread.root.sender == identity]
    asked = [thread.id for thread in waiting if thread.state == "asked" and isinstance(thread.root, Request | Inquiry)]
    return asked[-1] if asked else None
