"""The verbs about accounts: by which an ally comes to our server, who let it in, and what it may do there."""

from __future__ import annotations

from datetime import timedelta

from aleat.errors import TrustError
from aleat.exchange.desk import trusted_ally
from aleat.stix.times import format_timestamp
from aleat.store.decisions import require
from aleat.store.ledger import append_entry
from aleat.trust.people import require_two_people
from aleat.workspace.accounts import Account, load_accounts, make_account, rotate_token, save_accounts
from aleat.workspace.exchange import ExchangeVerbs

__all__ = ["AccountVerbs"]


class AccountVerbs(ExchangeVerbs):
    """What a workspace's keeper does about the accounts of allies; each change is in the ledger of decisions."""

    def accounts(self) -> tuple[Account, ...]:
        """Return the accounts by which allies may come to our server, by name."""
        return load_accounts(self.folder)

    def add_account(
        self,
        name: str,
        ally: str,
        *,
        push: bool = False,
        relay: bool = False,
        token: str = "",
        password: str = "",
        certificate: str = "",
        approver: str | None = None,
    ) -> Account:
        """Make an account for an ally whose card was compared, proved by any of token, password, certificate.

        With `push` it may push what its ally made, with `relay` what others made, too.
        `approver` is the second releaser, without whom nothing is served where the agreement wants two people.
        """
        with self.writing(), self._desk(write=True) as desk:
            card = trusted_ally(desk, ally).card
            if approver is not None:
                require_two_people(desk.actor, approver, card.name)
                for person in (desk.actor, approver):
                    require(desk.connection, person, "releaser")
            there = load_accounts(self.folder)
            account = make_account(
                there,
                name=name,
                ally=card.identity,
                push=push,
                relay=relay,
                made=format_timestamp(desk.time),
                made_by=desk.actor,
                approved_by=approver or "",
                password=password,
                token=token,
                certificate=certificate,
            )
            facts = {"account": name, "ally": card.identity, "push": account.push, "relay": relay, "approver": approver}
            append_entry(desk.connection, "decisions", "account", facts, **self._signing())
            save_accounts(self.folder, (*there, account))
        return account

    def rotate_account(self, name: str, token: str, overlap: timedelta = timedelta()) -> Account:
        """Give an account a new token; the old one goes on for `overlap`. Raises `TrustError`; see `rotate_token`."""
        with self.writing(), self.write() as connection:
            there = load_accounts(self.folder)
            old = next((account for account in there if account.name == name), None)
            if old is None:
                raise TrustError(f"No account is called {name!r}. See: aleat account list")
            account = rotate_token(old, token, time=self.now(), overlap=overlap)
            facts = {"account": name, "until": account.old_until}
            append_entry(connection, "decisions", "account-rotated", facts, **self._signing())
            save_accounts(self.folder, (*(one for one in there if one.name != name), account))
        return account

    def remove_account(self, name: str) -> None:
        """Take an account away; raises `TrustError` where there is none of that name."""
        with self.writing(), self.write() as connection:
            there = load_accounts(self.folder)
            left = tuple(account for account in there if account.name != name)
            if left == there:
                raise TrustError(f"No account is called {name!r}. See: aleat account list")
            append_entry(connection, "decisions", "account-removed", {"account": name}, **self._signing())
            save_accounts(self.folder, left)
