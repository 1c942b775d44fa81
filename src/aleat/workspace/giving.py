"""The verbs about what is given: what would leave for whom and what is new in it, and what is taken back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from aleat.exchange import (
    Desk,
    Sent,
    WithdrawalRow,
    Withdrawn,
    acknowledge,
    prepare_release,
    terms_for,
    withdraw_objects,
    withdrawals,
)
from aleat.exchange.history import given_to
from aleat.exchange.letters import post_letter
from aleat.release import Channel, Release, agreement_with
from aleat.release.difference import Change, Given, compare_given
from aleat.store.allies import find_ally, read_allies
from aleat.store.files import write_file
from aleat.workspace.exchange import ExchangeVerbs

__all__ = ["GivingVerbs", "Previewed", "TakenBack"]


class Previewed(msgspec.Struct, frozen=True, kw_only=True):
    """What would leave for an ally, and how that differs from what it was given before.

    `changes` and `given` are by the object's id here; `names` are those of objects and of parties who may be asked.
    """

    ally: str
    release: Release
    changes: dict[str, Change]
    given: dict[str, Given]
    names: dict[str, str]


class TakenBack(msgspec.Struct, frozen=True, kw_only=True):
    """What a withdrawal of objects did, and the sealed files: paths, or names in the post box."""

    paths: tuple[Path, ...]
    done: Withdrawn


class GivingVerbs(ExchangeVerbs):
    """What a releaser looks at before something leaves, and does when it should not have."""

    def preview_release(self, to: str, *, channel: Channel = "sealed", reader: str = "") -> Previewed:
        """Return what would leave for an ally now, with the decision on every object and what is new since.

        `channel` is the way it would go, `reader` the named person for whom it would be. Nothing is recorded.
        """
        with self._desk(write=False) as desk:
            ally = find_ally(desk.connection, to).card
            release = prepare_release(desk, to, channel=channel, reader=reader)
            given = given_to(desk.connection, desk.own, release)
        changes = compare_given(given, release.decisions)
        named = {decision.object for decision in release.decisions}
        names = self.object_names(named)
        return Previewed(ally=ally.name, release=release, changes=changes, given=given, names=names)

    def preview_all(self) -> dict[str, Release]:
        """Return what would leave for each ally whose card was compared and with whom an agreement is in force."""
        found: dict[str, Release] = {}
        with self._desk(write=False) as desk:
            for ally in read_allies(desk.connection):
                terms = terms_for(desk, ally.card)
                if ally.compared_by is not None and agreement_with(ally.card.identity, terms):
                    found[ally.card.name] = prepare_release(desk, ally.card.name)
        return found

    def withdraw_objects(self, objects: Sequence[str], folder: str | Path | None = ".", *, reason: str) -> TakenBack:
        """Withdraw objects (STIX ids) from everybody who got them: a file for each ally, or into its post box."""
        target = Path(folder) if folder is not None else None
        with self.writing():
            self.database.create_tables()
            with self._desk(write=True) as desk:
                done = withdraw_objects(desk, objects, reason=reason)
                paths = tuple(self._write(desk, sent, target) for sent in done.sent)
        return TakenBack(paths=paths, done=done)

    def withdrawals(self) -> tuple[WithdrawalRow, ...]:
        """Return what we withdrew, ally by ally, and when each said that it had opened that."""
        with self.read() as connection:
            return withdrawals(connection, self.config.identity)

    def acknowledge(self, ally: str, folder: str | Path | None = ".") -> Path | None:
        """Seal the receipts that we owe an ally into a file of their own; None where we owe none."""
        target = Path(folder) if folder is not None else None
        with self.writing(), self._desk(write=True) as desk:
            sent = acknowledge(desk, ally)
            return self._write(desk, sent, target) if sent is not None else None

    def _write(self, desk: Desk, sent: Sent, target: Path | None) -> Path:
        """Write a sealed file into a folder, or put it into the post box, before the transaction ends."""
        if target is None:
            return Path(post_letter(desk, sent))
        target.mkdir(parents=True, exist_ok=True)
        write_file(target / sent.name, sent.data)
        return target / sent.name
