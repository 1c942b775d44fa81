"""What every act of exchange needs: the open transaction, who we are, who acts, when, and on which terms."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from aleat.errors import NotPermittedError, TrustError
from aleat.release import Channel, Terms, agreement_with
from aleat.store.allies import StoredAlly, find_ally, read_agreements, read_allies
from aleat.store.database import Connection
from aleat.store.decisions import read_holds, read_permissions
from aleat.store.objects_count import makers
from aleat.trust.agreements import Agreement, AllyCard
from aleat.trust.corpora import CorpusPolicy
from aleat.trust.keys import AgeKey, SigningKey
from aleat.trust.openpgp import PgpKey

__all__ = ["Desk", "agreed", "terms_for", "trusted_ally"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Who acts, with what, in which transaction.

    `connection` is one that `Database.write` gave: an act and its ledger entry are committed together, or not at
    all. `card` is our own, `root` the workspace's folder (indicator lists lie below it), `policy` the signed one
    on public corpora, `own_names` further names under which we appear as a giver, `internal_words` names of
    our hosts, accounts and victims.
    """

    connection: Connection
    card: AllyCard
    key: SigningKey
    age_keys: tuple[AgeKey, ...]
    actor: str
    time: datetime
    root: Path
    policy: CorpusPolicy | None = None
    own_names: frozenset[str] = frozenset()
    internal_words: frozenset[str] = frozenset()
    openpgp_keys: tuple[PgpKey, ...] = ()

    @property
    def own(self) -> str:
        """Our STIX identity's id."""
        return self.card.identity

    @property
    def secret(self) -> bytes:
        """What keys the ids of what is told again."""
        return self.key.derive_secret("told-again")


def trusted_ally(desk: Desk, name: str) -> StoredAlly:
    """Return the ally with this name or identity, if its fingerprint was compared; raises `TrustError` otherwise."""
    ally = find_ally(desk.connection, name)
    if ally.card.identity == desk.own:
        raise TrustError("That is ourselves.")
    if ally.compared_by is None:
        raise NotPermittedError(
            f"Nobody has compared the fingerprint of {ally.card.name}'s card yet. Have its people read theirs to you, "
            f"and import the card again with it. Here it is: {ally.fingerprint}"
        )
    return ally


def terms_for(desk: Desk, card: AllyCard, channel: Channel = "sealed", reader: str = "") -> Terms:
    """Return the terms of a release to an ally, now: by a sealed file (for a named `reader`) or another `channel`."""
    return Terms(
        own=desk.own,
        own_names=desk.own_names | {desk.card.name},
        recipient=card,
        agreements=tuple(read_agreements(desk.connection, desk.key.public)),
        reference_time=desk.time,
        permissions=tuple(read_permissions(desk.connection)),
        holds=read_holds(desk.connection),
        internal_words=desk.internal_words,
        makers=makers(desk.connection),
        channel=channel,
        reader=reader,
        ally_names={ally.card.name: ally.card.identity for ally in read_allies(desk.connection)},
    )


def agreed(terms: Terms) -> Agreement:
    """Return the agreement in force with the recipient; raises `NotPermittedError` where there is none."""
    if agreements := agreement_with(terms.recipient.identity, terms):
        return agreements[0]
    raise NotPermittedError(
        f"There is no agreement in force with {terms.recipient.name}. Import one: aleat agreement add FILE."
    )
