"""The verbs that ask and answer in words: permissions, requests for information, help in person, what is taken back."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import msgspec

from aleat.errors import TrustError
from aleat.exchange import Desk, Sent, asks
from aleat.exchange.inquiries import inquire
from aleat.exchange.messages import Help, PermissionRequest
from aleat.exchange.outbox import answer_in_words, deliver_help, retract
from aleat.exchange.overview import open_answer, open_delivery
from aleat.exchange.permissions import ask_permission, freeable, given_ids, permit
from aleat.release import Decision
from aleat.store.allies import find_ally, read_allies
from aleat.store.database import Connection
from aleat.store.decisions import read_permissions
from aleat.store.exchanges import read_messages
from aleat.trust.agreements import Permission
from aleat.workspace.allies import AllyVerbs

__all__ = ["AskingVerbs", "SentFile", "message_id"]

_SHORT = re.compile("[0-9a-f][0-9a-f-]{3,35}")


class SentFile(msgspec.Struct, frozen=True, kw_only=True):
    """A sealed file that was written, and what was meant to go with it and stays here."""

    path: Path
    left_out: tuple[str, ...] = ()


class AskingVerbs(AllyVerbs):
    """What is asked of allies beside support: leave to pass on, what they have seen; and help that is no release."""

    def freeable(self, originator: str, to: str) -> tuple[Decision, ...]:
        """Return the decisions on what stays away from the ally `to`, and what `originator`'s leave would let go."""
        with self._desk(write=False) as desk:
            return freeable(desk, originator, to)

    def permissions(self) -> tuple[Permission, ...]:
        """Return all leaves of originators that are recorded here, ended ones too, by their last day."""
        with self.read() as connection:
            return tuple(sorted(read_permissions(connection), key=lambda item: (item.valid_until, item.id)))

    def given_ids(self, ally: str, ids: Collection[str]) -> frozenset[str]:
        """Return which of these objects' ids an ally (an identity) has from us."""
        with self.read() as connection:
            return given_ids(connection, ally, ids)

    def ask_permission(
        self,
        originator: str,
        folder: str | Path | None = ".",
        *,
        to: str,
        until: date,
        purpose: str,
        objects: Sequence[str] = (),
    ) -> Path:
        """Ask an originator for leave to pass objects (default: all `freeable` ones) on to the ally `to`."""
        return self._send(
            folder,
            lambda desk: ask_permission(desk, originator, to=to, until=until, purpose=purpose, objects=objects),
        )

    def permit_request(
        self,
        request: str,
        folder: str | Path | None = ".",
        *,
        until: date | None = None,
        objects: Sequence[str] = (),
        conditions: str = "",
        approver: str | None = None,
    ) -> SentFile:
        """Permit what an ally's permission request (a message's id, or the ally's name for its latest) asks for."""

        def act(desk: Desk) -> Sent:
            chosen = message_id(desk.connection, request) or _latest_request(desk, request)
            return permit(desk, chosen, until=until, objects=objects, conditions=conditions, approver=approver)

        return self._send_counted(folder, act)

    def inquire(
        self,
        ally: str,
        folder: str | Path | None = ".",
        *,
        question: str,
        values: Sequence[str] = (),
        indicators: Sequence[str] = (),
        patterns: Sequence[str] = (),
        **more: Any,
    ) -> SentFile:
        """Ask an ally whether it has seen these; `more` are `needed_by`, `approver` and fields of `Inquiry`."""

        def act(desk: Desk) -> Sent:
            return inquire(
                desk, ally, question=question, values=values, indicators=indicators, patterns=patterns, **more
            )

        return self._send_counted(folder, act)

    def retract(self, message: str, folder: str | Path | None = ".", *, reason: str) -> Path:
        """Take back what we said: a request, an offer, an acceptance, a permission."""
        return self._send(
            folder, lambda desk: retract(desk, message_id(desk.connection, message) or message, reason=reason)
        )

    def deliver(
        self,
        to: str,
        folder: str | Path | None = ".",
        *,
        what: str,
        kinds: Sequence[Help] = ("people",),
        people: Sequence[str] = (),
        begins: date | None = None,
        ends: date | None = None,
        of: str | None = None,
    ) -> Path:
        """Say that people, tools or other help come to an ally, in answer to what it took (default: the latest)."""

        def act(desk: Desk) -> Sent:
            ally = find_ally(desk.connection, to).card.identity
            answers = (of and message_id(desk.connection, of)) or of or open_delivery(desk.connection, desk.own, ally)
            return deliver_help(desk, to, what=what, of=answers, kinds=kinds, people=people, begins=begins, ends=ends)

        return self._send(folder, act)

    def tell_results(
        self,
        delivery: str | None = None,
        folder: str | Path | None = ".",
        *,
        to: str | None = None,
        results: str,
        lessons: str = "",
        outcome: str | None = None,
    ) -> Path:
        """Say in words what came of a delivery (default: the latest of the ally `to`); an `outcome` closes it."""

        def act(desk: Desk) -> Sent:
            chosen = delivery and (message_id(desk.connection, delivery) or delivery)
            if chosen is None and to is not None:
                chosen = open_answer(desk.connection, desk.own, find_ally(desk.connection, to).card.identity)
            if chosen is None:
                raise TrustError("There is no delivery to answer. See: aleat asks.")
            return answer_in_words(desk, chosen, what=results, lessons=lessons, outcome=outcome)

        return self._send(folder, act)

    def _send_counted(self, folder: str | Path | None, act: Callable[[Desk], Sent]) -> SentFile:
        sent: list[Sent] = []

        def counted(desk: Desk) -> Sent:
            sent.append(act(desk))
            return sent[-1]

        path = self._send(folder, counted)
        return SentFile(path=path, left_out=sent[-1].left_out)


def _latest_request(desk: Desk, ally: str) -> str:
    identity = find_ally(desk.connection, ally).card.identity
    roots = [thread.root for thread in asks(desk.connection) if thread.state == "asked"]
    waiting = [item.id for item in roots if isinstance(item, PermissionRequest) and item.sender == identity]
    if not waiting:
        raise TrustError(f"{ally} asks for no permission now. See: aleat asks.")
    return waiting[-1]


def message_id(connection: Connection, name: str) -> str | None:
    """Return the message that `name` means: an id as it is, or the only one whose UUID begins so; None: it is no id.

    An ally of that name comes first, so that no message can take a name's place.
    """
    if name.startswith("message--"):
        return name
    if not _SHORT.fullmatch(name) or any(ally.card.name == name for ally in read_allies(connection)):
        return None
    found = [row.id for row in read_messages(connection) if row.id.startswith(f"message--{name}")]
    if len(found) > 1:
        raise TrustError(f"{len(found)} messages begin with {name}: write more of it. See: aleat asks.")
    if not found:
        raise TrustError(f"There is no message {name}. See: aleat asks.")
    return found[0]
