"""The verbs about whom we trust with what: cards, agreements, roles, holds, permissions; and the desk we act from."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

from aleat.errors import InputError, Place, TrustError
from aleat.exchange import Desk, Sent
from aleat.exchange.letters import post_letter
from aleat.stix import random_id
from aleat.store.allies import StoredAlly, add_agreement, add_ally, find_ally, read_allies
from aleat.store.decisions import add_permission, lift_hold, place_hold, require, set_roles
from aleat.store.files import write_file
from aleat.store.keyring import save_private_text
from aleat.store.ledger import append_entry
from aleat.trust.agreements import Agreement, Permission, Person, export_card, fingerprint
from aleat.trust.openpgp import PgpCertificate, PgpKey
from aleat.workspace.core import Session, giver_id

__all__ = ["AllyVerbs", "read_bounded"]

_MAX_DOCUMENT = 1024 * 1024


class AllyVerbs(Session):
    """Who our allies are, and what was agreed with them."""

    def export_card(self) -> bytes:
        """Return our signed card, for allies to import."""
        return export_card(self.card(), self.key)

    def make_openpgp_key(self) -> PgpCertificate:
        """Make an OpenPGP key of ours, kept beside the signing key; our card carries its certificate from now on."""
        return self._keep_openpgp(PgpKey.generate(self.config.organisation))

    def import_openpgp_key(self, path: str | Path) -> PgpCertificate:
        """Take a private OpenPGP key (without a passphrase) as ours; our card carries its certificate from now on."""
        return self._keep_openpgp(PgpKey.from_bytes(read_bounded(Path(path))))

    def openpgp_certificate(self) -> PgpCertificate:
        """Return our OpenPGP certificate; raises `TrustError` where we have none."""
        key = self.openpgp_key
        if key is None:
            raise TrustError("This workspace has no OpenPGP key. Make one: aleat openpgp make.")
        return key.certificate

    def add_ally(self, card: str | Path, *, compared: str | None = None) -> StoredAlly:
        """Import an ally's card; `compared` is the fingerprint that its people read out over another channel."""
        data = read_bounded(Path(card))
        with self.writing(), self.write() as connection:
            return add_ally(connection, data, **self._signing(), compared=compared, path=str(card))

    def allies(self) -> tuple[StoredAlly, ...]:
        """Return all allies, by name."""
        with self.read() as connection:
            return tuple(read_allies(connection))

    def add_agreement(self, agreement: str | Path) -> Agreement:
        """Import an agreement's file, and sign it."""
        data = read_bounded(Path(agreement))
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
            ally_organisation=_quoted(card.organisation),
            ally_country=_quoted(card.country),
            ally_constituency=_quoted(card.constituency),
            ally_fingerprint=fingerprint(card),
            ally_people="".join(map(_person, card.people)) or _NOBODY_NAMED,
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

    def internal_words(self) -> frozenset[str]:
        """Return names of our hosts, which stay unless an agreement lets them through."""
        from aleat.store.lake import Lake  # noqa: PLC0415

        return frozenset(row.host for row in Lake(self.folder, self.database).coverage() if row.host)

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

    def _send(self, folder: str | Path | None, act: Callable[[Desk], Sent]) -> Path:
        """Do an act, and write its sealed file before the transaction ends: a number without its file looks lost.

        Without a folder it goes into the post box, in the same transaction; its name there is returned.
        """
        if folder is None:
            with self.writing(), self._desk(write=True) as desk:
                return Path(post_letter(desk, act(desk)))
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        with self.writing(), self._desk(write=True) as desk:
            sent = act(desk)
            path = target / sent.name
            write_file(path, sent.data)
        return path


_NOBODY_NAMED = """
# [[ally.people]]                          # people of theirs whom it names
# name = ""
# role = ""
# contact = ""
# red = false                              # may TLP:RED of ours be given to this person, in a sealed file?
"""


def _person(person: Person) -> str:
    """Return a person of an ally's card as an agreement names them: for nothing yet."""
    said = {"name": person.name, "role": person.role, "contact": person.contact}
    lines = "".join(f"{key} = {_quoted(value)}\n" for key, value in said.items() if value)
    return f"\n[[ally.people]]\n{lines}red = false  # may TLP:RED of ours be given to this person, in a sealed file?\n"


def _quoted(text: str) -> str:
    """Return `text` as a TOML string, in one line."""
    return json.dumps(_comment(text), ensure_ascii=False)


def _comment(text: str) -> str:
    """Return `text` for a TOML comment: one line, no control characters."""
    return "".join(character if character.isprintable() else " " for character in text)


def read_bounded(path: Path, limit: int = _MAX_DOCUMENT) -> bytes:
    """Return a file of at most `limit` bytes; raises `InputError`."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise InputError(f"It can't be read: {error.strerror}.", Place(str(path))) from error
    if len(data) > limit:
        raise InputError(f"It is longer than {limit:,} bytes.", Place(str(path)))
    return data
