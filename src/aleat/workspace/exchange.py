"""The verbs between two teams: cards and agreements, asks and offers, releases, what came and what went."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

from aleat.errors import InputError, Place, TrustError
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
    answer,
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
from aleat.exchange.overview import open_answer, open_delivery
from aleat.release import Release
from aleat.stix import random_id
from aleat.store.allies import StoredAlly, add_agreement, add_ally, find_ally, read_allies
from aleat.store.decisions import add_permission, lift_hold, place_hold, require, set_roles
from aleat.store.entries_verify import list_facts
from aleat.store.files import write_file
from aleat.store.keyring import save_private_text
from aleat.store.ledger import append_entry
from aleat.store.objects import iterate_objects
from aleat.trust.agreements import Agreement, Permission, export_card
from aleat.trust.openpgp import PgpCertificate, PgpKey
from aleat.workspace.case import CaseVerbs
from aleat.workspace.knowledge import giver_id

__all__ = ["ExchangeVerbs"]

_MAX_DOCUMENT = 1024 * 1024
_MAX_SEALED = 4 * 1024**3


class ExchangeVerbs(CaseVerbs):
    """What two teams do with each other. A verb that sends writes a sealed file into a folder and returns its path."""

    def export_card(self) -> bytes:
        """Return our signed card, for allies to import."""
        return export_card(self.card(), self.key)

    def make_openpgp_key(self) -> PgpCertificate:
        """Make an OpenPGP key of ours, kept beside the signing key; our card carries its certificate from now on."""
        return self._keep_openpgp(PgpKey.generate(self.config.organisation))

    def import_openpgp_key(self, path: str | Path) -> PgpCertificate:
        """Take a private OpenPGP key (without a passphrase) as ours; our card carries its certificate from now on."""
        return self._keep_openpgp(PgpKey.from_bytes(_read(Path(path))))

    def openpgp_certificate(self) -> PgpCertificate:
        """Return our OpenPGP certificate; raises `TrustError` where we have none."""
        key = self.openpgp_key
        if key is None:
            raise TrustError("This workspace has no OpenPGP key. Make one: aleat openpgp make.")
        return key.certificate

    def add_ally(self, card: str | Path, *, compared: str | None = None) -> StoredAlly:
        """Import an ally's card; `compared` is the fingerprint that its people read out over another channel."""
        data = _read(Path(card))
        with self.writing(), self.write() as connection:
            return add_ally(connection, data, **self._signing(), compared=compared, path=str(card))

    def allies(self) -> tuple[StoredAlly, ...]:
        """Return all allies, by name."""
        with self.read() as connection:
            return tuple(read_allies(connection))

    def add_agreement(self, agreement: str | Path) -> Agreement:
        """Import an agreement's file, and sign it."""
        data = _read(Path(agreement))
        with self.writing(), self.write() as connection:
            return add_agreement(connection, data, **self._signing(), path=str(agreement))

    def draft_agreement(self, ally: str, *, years: int = 1) -> bytes:
        """Return the draft of an agreement with an ally, in force from today, for people to read and change."""
        today = self.now().date()
        with self.read() as connection:
            card = find_ally(connection, ally).card
        template = (files("aleat.workspace") / "templates" / "agreement.toml").read_text(encoding="utf-8")
        return template.format(
            name=f"{self.config.name}-{card.name}",
            own_name=_comment(self.config.organisation),
            ally_name=_comment(card.organisation),
            own=self.config.identity,
            ally=card.identity,
            valid_from=today,
            valid_until=today + timedelta(days=365 * years),
        ).encode()

    def set_roles(self, person: str, roles: Sequence[str]) -> None:
        """Give a person exactly these roles."""
        with self.writing(), self.write() as connection:
            set_roles(connection, person, roles, **self._signing())

    def hold(self, objects: Sequence[str], kind: str, reason: str) -> None:
        """Stop objects from leaving: kind is "legal-hold" or "personal-data"."""
        with self.writing(), self.write() as connection:
            place_hold(connection, objects, kind, reason, **self._signing())

    def lift_hold(self, object_: str, kind: str, reason: str) -> None:
        """Lift a hold, for a reason."""
        with self.writing(), self.write() as connection:
            lift_hold(connection, object_, kind, reason, **self._signing())

    def permit(self, permission: Permission, basis: str) -> None:
        """Record that an originator gave leave to pass something on."""
        with self.writing(), self.write() as connection:
            add_permission(connection, permission, basis, **self._signing())

    def permit_objects(self, objects: Sequence[str], *, originator: str, to: str, basis: str, until: date) -> None:
        """Record an originator's leave, from today, for an ally called `to`."""
        with self.read() as connection:
            recipient = find_ally(connection, to).card.identity
            who = giver_id(self, connection, originator)
        permission = Permission(
            id=random_id("permission"),
            originator=who,
            recipient=recipient,
            objects=frozenset(objects),
            valid_from=self.now().date(),
            valid_until=until,
        )
        self.permit(permission, basis)

    def ask(
        self, ally: str, folder: str | Path = ".", *, title: str, impact: str, needs: Sequence[str], **more: Any
    ) -> Path:
        """Ask an ally for support; `more` are `affected` (`Affected`) and further fields of `exchange.Request`."""
        affected = more.pop("affected", None) or Affected(sector=self.config.sector, country=self.config.country)
        return self._send(
            folder, lambda desk: ask(desk, ally, title=title, affected=affected, impact=impact, needs=needs, **more)
        )

    def offer(self, ally: str, folder: str | Path = ".", *, what: str, of: str | None = None, **more: Any) -> Path:
        """Offer something to an ally, unasked or in answer to its request (default: the latest open one)."""

        def act(desk: Desk) -> Sent:
            return offer(desk, ally, what=what, of=of or _open_request(desk, ally), **more)

        return self._send(folder, act)

    def accept(self, of: str, folder: str | Path = ".", *, remarks: str = "") -> Path:
        """Take an ally's offer, or take on its request: a message's id, or the ally's name for its latest."""
        return self._send(folder, lambda desk: accept(desk, _message_of(desk, of), remarks=remarks))

    def refuse(self, of: str, folder: str | Path = ".", *, reason: str) -> Path:
        """Refuse an ally's offer or request: a message's id, or the ally's name for its latest."""
        return self._send(folder, lambda desk: refuse(desk, _message_of(desk, of), reason=reason))

    def close_thread(self, thread: str, folder: str | Path = ".", *, outcome: str, lessons: str = "") -> Path:
        """End a thread of requests and offers."""
        return self._send(folder, lambda desk: close_thread(desk, thread, outcome=outcome, lessons=lessons))

    def preview(self, to: str) -> Release:
        """Return what would leave for an ally now, and the decision on every object; nothing is recorded."""
        with self._desk(write=False) as desk:
            return prepare_release(desk, to)

    def release(
        self,
        to: str,
        folder: str | Path = ".",
        *,
        remarks: str = "",
        approver: str | None = None,
        of: str | None = None,
    ) -> Path:
        """Seal what may leave for an ally, in answer to what it took from us (default: the latest it accepted)."""

        def act(desk: Desk) -> Sent:
            ally = find_ally(desk.connection, to).card.identity
            prepared = prepare_release(desk, to)
            answers = of or open_delivery(desk.connection, desk.own, ally)
            return deliver(desk, to, prepared, of=answers, remarks=remarks, approver=approver)

        return self._send(folder, act)

    def answer(
        self,
        delivery: str | None = None,
        folder: str | Path = ".",
        *,
        to: str | None = None,
        remarks: str = "",
        outcome: str | None = None,
        lessons: str = "",
        approver: str | None = None,
    ) -> Path:
        """Send back what was found with a delivery (default: the latest of the ally `to`); an `outcome` closes it."""
        facts = self.answer_facts()

        def act(desk: Desk) -> Sent:
            chosen = delivery
            if chosen is None and to is not None:
                chosen = open_answer(desk.connection, desk.own, find_ally(desk.connection, to).card.identity)
            if chosen is None:
                raise TrustError("There is no delivery to answer. See: aleat asks.")
            return answer(
                desk,
                chosen,
                remarks=remarks,
                outcome=outcome,
                lessons=lessons,
                approver=approver,
                **facts(desk.connection, chosen),
            )

        return self._send(folder, act)

    def withdraw(self, release: str, folder: str | Path = ".", *, reason: str) -> Path:
        """Withdraw a release of ours, and tell its recipient."""
        return self._send(folder, lambda desk: withdraw(desk, release, reason=reason))

    def receive(self, path: str | Path) -> Received:
        """Open a sealed file for us, verify it, and keep what it holds."""
        data = _read(Path(path), _MAX_SEALED)
        with self.writing(), self._desk(write=True) as desk:
            received = receive(desk, data, path=str(path))
            facts = {
                "giver": received.sender.identity,
                "paths": [str(path)],
                "sha256": hashlib.sha256(data).hexdigest(),
                "lists": list_facts(desk.connection, received.lists),
                "knowledge_rows": received.stored.bound,
            }
            append_entry(desk.connection, "custody", "received", facts, **self._signing())
        return received

    def asks(self) -> tuple[Thread, ...]:
        """Return every thread of requests and offers with its state."""
        with self.read() as connection:
            return asks(connection)

    def findings(self) -> tuple[Finding, ...]:
        """Return what allies found with what we gave them."""
        with self.read() as connection:
            return findings_received(connection)

    def object_names(self, ids: Iterable[str]) -> dict[str, str]:
        """Return the names of these objects, where they are here and have one."""
        with self.read() as connection:
            found = iterate_objects(connection, ids=sorted(set(ids)))
            return {stored.object.id: stored.object.name for stored in found if stored.object.name}

    # --------------------------------------------------------------------------------------- inside

    def _keep_openpgp(self, key: PgpKey) -> PgpCertificate:
        facts = {"openpgp": key.certificate.fingerprint}
        with self.writing(), self.write() as connection:
            require(connection, self.actor, "administrator")
            if self.openpgp_key is not None:
                raise TrustError("There is an OpenPGP key already: files that were sealed to it need it.")
            append_entry(connection, "decisions", "openpgp-key", facts, **self._signing())
            save_private_text(self.key_folder, f"{self.config.signing_key}.pgp", key.text)
        return key.certificate

    def _signing(self) -> dict[str, Any]:
        return {"actor": self.actor, "time": self.now(), "key": self.key}

    @contextmanager
    def _desk(self, *, write: bool) -> Iterator[Desk]:
        openpgp = self.openpgp_key
        with self.write() if write else self.read() as connection:
            yield Desk(
                connection=connection,
                card=self.card(),
                key=self.key,
                age_keys=(self.age_key,),
                openpgp_keys=(openpgp,) if openpgp is not None else (),
                actor=self.actor,
                time=self.now(),
                root=self.folder,
                policy=self.policy(),
                own_names=frozenset({self.config.organisation, self.config.name}),
                internal_words=self.internal_words(),
            )

    def _send(self, folder: str | Path, act: Callable[[Desk], Sent]) -> Path:
        """Do an act, and write its sealed file before the transaction ends: a number without its file looks lost."""
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        with self.writing(), self._desk(write=True) as desk:
            sent = act(desk)
            path = target / sent.name
            write_file(path, sent.data)
        return path


def _comment(text: str) -> str:
    """Return `text` for a TOML comment: one line, no control characters."""
    return "".join(character if character.isprintable() else " " for character in text)


def _message_of(desk: Desk, name: str) -> str:
    """Return a message's id: `name` itself, or the latest open offer or request of the ally that is called so."""
    if name.startswith("message--"):
        return name
    identity = find_ally(desk.connection, name).card.identity
    waiting = [
        message.id
        for thread in asks(desk.connection)
        if thread.state in {"asked", "offered"}
        for message in thread.messages
        if isinstance(message, Offer | Request) and message.sender == identity
    ]
    if not waiting:
        raise TrustError(f"Nothing of {name} waits for an answer. See: aleat asks.")
    return waiting[-1]


def _open_request(desk: Desk, ally: str) -> str | None:
    """Return the ally's latest request that nobody answered yet, or None."""
    identity = find_ally(desk.connection, ally).card.identity
    waiting = [thread for thread in asks(desk.connection) if thread.root is not None and thread.root.sender == identity]
    asked = [thread.id for thread in waiting if thread.state == "asked"]
    return asked[-1] if asked else None


def _read(path: Path, limit: int = _MAX_DOCUMENT) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise InputError(f"It can't be read: {error.strerror}.", Place(str(path))) from error
    if len(data) > limit:
        raise InputError(f"It is longer than {limit:,} bytes.", Place(str(path)))
    return data
