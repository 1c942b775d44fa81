"""What our server gives and takes: each ally's shelf, made by the gate, and what allies push.

A page is cut from the ally's shelf (`aleat.store.shelves`), which holds exactly what the gate lets leave for it. Before
each page the shelf is held against what the gate judged by: where terms changed (an agreement, a hold, a permission,
a withdrawal, the day), nothing is given before all was judged again; where only knowledge came, a shelf that takes
long to make is made beside, and pages go on from the last whole one.

What is pushed comes in by `keep`, with the ally as its giver. What the ally can't see must not show in what it is
told: whether a push is refused depends on the object itself and on the ally's own shelf, never on what else is here.
"""

from __future__ import annotations

import base64
import hashlib
import threading
import time
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from aleat.errors import InputError, NotPermittedError, WorkspaceBusyError, WorkspaceError
from aleat.exchange.desk import agreed, terms_for, trusted_ally
from aleat.exchange.taxii_messages import Status
from aleat.release import Channel
from aleat.stix.canonical import canonical_json
from aleat.store.changes import KnowledgeMark, knowledge_mark, last_definition
from aleat.store.database import Connection
from aleat.store.given import read_revocations, shelf_of
from aleat.store.ledger import append_entry, ledger_head
from aleat.store.objects import iterate_objects
from aleat.store.objects_count import makers
from aleat.store.shelves import (
    ShelfChange,
    ShelfPage,
    ShelfQuery,
    ShelfRow,
    find_on_shelf,
    put_shelf,
    read_shelf,
    read_shelf_state,
    read_status,
    take_snapshot,
    terms_mark,
)
from aleat.store.withdrawn import last_ending_pull, taken_back
from aleat.trust.iep import read_policy
from aleat.workspace.account_verbs import AccountVerbs
from aleat.workspace.accounts import Account, load_accounts
from aleat.workspace.core import POLICY_NAME
from aleat.workspace.judging import Bench, no_collecting
from aleat.workspace.pushed import take_push
from aleat.workspace.taken_back import take_back, version_time, versions_taken_back

__all__ = ["Sharing", "SharingVerbs"]

_QUICK_SECONDS = 2.0

_PATIENCE_SECONDS = 50.0
_LOCK_SECONDS = 60.0
_ATTEMPTS = 3


class SharingVerbs(AccountVerbs):
    """What a workspace's keeper does so that allies can fetch and push."""

    def share(self, *, quick_seconds: float = _QUICK_SECONDS, channel: Channel = "plain") -> Sharing:
        """Return what a server needs of this workspace; `aleat.web.serve` is one.

        What an ally may have is judged before each page that finds new knowledge, where that takes less than
        `quick_seconds`, and beside otherwise. `channel` is "tls" where the server speaks TLS itself:
        what must be encrypted on its way is on no other's shelf.
        """
        with self.writing():
            self.database.create_tables()
        return Sharing(self, quick_seconds, channel)


@dataclass(slots=True)
class _Entry:
    """An entry of the exchange ledger on its way."""

    kind: str
    data: dict[str, object]
    written: bool = False
    failure: Exception | None = None


class Sharing:
    """A workspace as its server sees it; all methods may be called from several threads."""

    def __init__(self, ws: SharingVerbs, quick_seconds: float = _QUICK_SECONDS, channel: Channel = "plain") -> None:
        self.ws = ws
        self.channel: Channel = channel
        self._quick = quick_seconds
        self._tokens = AESSIV(ws.key.derive_secret("taxii-next"))
        self._pool = ThreadPoolExecutor(1, "aleat-shelf")
        self._entries: list[_Entry] = []
        self._bench = Bench(ws.key.derive_secret("taxii-list-rows"))
        self._making: dict[str, Future[None]] = {}
        self._seconds: dict[str, float] = {}
        self._two_people: dict[str, tuple[str, bool]] = {}
        self._custody: tuple[str, list[object]] = ("", [])
        self._moments: tuple[int, list[datetime]] = (0, [])
        self._guard = threading.Lock()
        self._writer = threading.Lock()
        self._looking = threading.Lock()
        ws.key, ws.card()  # read once, before threads are about

    def close(self) -> None:
        """Wait for what is being made, and end."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def accounts(self) -> tuple[Account, ...]:
        """Return the accounts as they are now."""
        return load_accounts(self.ws.folder)

    def prepare(self) -> None:
        """Begin to judge what each ally may have, so that the first who asks needn't wait for it."""
        for ally in sorted({account.ally for account in self.accounts()}):
            self._make(ally)

    @property
    def folder(self) -> Path:
        """The workspace's folder."""
        return self.ws.folder

    @property
    def organisation(self) -> str:
        """What the workspace's team is called."""
        return self.ws.config.organisation

    # --------------------------------------------------------------------------------------- giving

    def page(self, account: Account, query: ShelfQuery, *, facts: Mapping[str, object] | None = None) -> ShelfPage:
        """Return a page of the shelf of the account's ally; what leaves is in the exchange ledger before it does.

        `facts` (what was asked for) stand in the entry. Raises `WorkspaceBusyError` where the shelf isn't ready yet,
        and `NotPermittedError` where the agreement wants two people, and one alone let this account in.
        """
        for _ in range(_ATTEMPTS):
            self._refresh(account.ally)
            with self.ws.read() as connection:
                take_snapshot(connection)
                state = read_shelf_state(connection, self.shelf_of(account.ally))
                if state is not None and state.terms == self._terms(connection):
                    if not account.approved_by and self._wants_two(account.ally, state.terms):
                        raise NotPermittedError("The agreement wants two people, and one let this account in.")
                    page = read_shelf(connection, self.shelf_of(account.ally), query)
                    break
        else:
            raise WorkspaceBusyError("The terms are changing. Ask again in a moment.")
        if page.rows and facts is not None:
            self._record_page(account, page, facts)
        return page

    def token(self, account: Account, row: ShelfRow) -> str:
        """Return what stands for "behind `row`" in a URL: opaque, and of no use to another ally."""
        sealed = self._tokens.encrypt(f"{row.seq}.{row.added}".encode(), [account.ally.encode()])
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def place_of(self, account: Account, token: str) -> tuple[int, int]:
        """Return a token's row and when that was added; raises `InputError` where it isn't one of this ally's."""
        try:
            sealed = base64.b64decode(token.encode() + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
            seq, _, added = self._tokens.decrypt(sealed, [account.ally.encode()]).partition(b".")
            return int(seq), int(added)
        except (ValueError, InvalidTag, OverflowError):
            raise InputError("That 'next' is none that this server gave you.") from None

    def status(self, account: Account, id_: str) -> bytes | None:
        """Return the status resource of a push of this ally's, or None."""
        with self.ws.read() as connection:
            return read_status(connection, id_, account.ally)

    def _record_page(self, account: Account, page: ShelfPage, facts: Mapping[str, object]) -> None:
        listed = [[row.id, row.version] for row in page.rows]
        data = {
            **facts,
            "account": account.name,
            "ally": account.ally,
            "objects": len(page.rows),
            "first": page.rows[0].seq,
            "last": page.rows[-1].seq,
            "sha256": hashlib.sha256(canonical_json(listed)).hexdigest(),
            "tls": self.channel != "plain",
        }
        self.record("given", data)

    def record(self, kind: str, data: dict[str, object]) -> None:
        """Write an entry of the exchange ledger; entries that wait at the same time are written together."""
        entry = _Entry(kind, data)
        with self._guard:
            self._entries.append(entry)
        with self._writer:
            if not entry.written:
                self._write_entries()
        if entry.failure is not None:
            raise WorkspaceError("The ledger's entry could not be written.") from entry.failure

    def _write_entries(self) -> None:
        """Write all entries that wait, in one transaction."""
        with self._guard:
            waiting, self._entries = self._entries, []
        try:
            with self.ws.write() as connection:
                for entry in waiting:
                    append_entry(connection, "exchange", entry.kind, entry.data, **self.ws._signing())
        except Exception as error:
            for entry in waiting:
                entry.failure = error
        finally:
            for entry in waiting:
                entry.written = True

    # --------------------------------------------------------------------------------------- taking

    def push(self, account: Account, body: bytes) -> Status:
        """Take an envelope of an ally's in, object by object, and say what became of each; see `take_push`."""
        with self.ws.read() as connection:
            state = read_shelf_state(connection, self.shelf_of(account.ally))
        if state is None:
            self._refresh(account.ally)  # what it may have had from us is held against what it pushes
        with self.writing(), self.ws._desk(write=True) as desk:
            terms = terms_for(desk, trusted_ally(desk, account.ally).card)
            if not account.push:
                raise NotPermittedError("This account may not push.")
            return take_push(self.ws, desk.connection, account, body, agreement=agreed(terms).name, terms=terms)

    def take_back(self, account: Account, id_: str, versions: Collection[int] | None = None) -> bool:
        """Take back what the account's ally gave of an object (`aleat.workspace.taken_back`); False: it isn't here.

        Raises `NotPermittedError` where the ally may fetch it and gave none of it, or the account may not push.
        """
        if not account.push:
            raise NotPermittedError("This account may not delete.")
        self._refresh(account.ally)
        with self.writing(), self.ws.write() as connection:
            if take_back(self.ws, connection, account.ally, id_, versions, account=account.name):
                return True
            row = find_on_shelf(connection, account.ally, [id_], shelf=self.shelf_of(account.ally)).get(id_)
        if row is None or (versions is not None and version_time(row.version) not in versions):
            return False
        raise NotPermittedError("Only who gave an object may delete it.")

    def is_taken_back(self, account: Account, id_: str, versions: Collection[int]) -> bool:
        """Tell whether the account's ally took all of these versions of an object back."""
        with self.ws.read() as connection:
            return set(versions) <= versions_taken_back(connection, account.ally, id_)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the workspace's writer; wait a while where somebody else is."""
        end = time.monotonic() + _LOCK_SECONDS
        with self._writer:
            while True:
                lock = self.ws.writing()
                try:
                    lock.__enter__()
                    break
                except WorkspaceBusyError:
                    if time.monotonic() > end:
                        raise
                time.sleep(0.05)
            try:
                yield
            finally:
                lock.__exit__(None, None, None)

    # --------------------------------------------------------------------------------------- shelves

    def _terms(self, connection: Connection) -> str:
        """Return a digest of all that the gate judges by, beside the objects and who gave them."""
        ws = self.ws
        policy = ws.folder / POLICY_NAME
        facts = [
            *terms_mark(connection),
            ws.now().date().isoformat(),
            self._passed(connection),
            self.channel,
            len(makers(connection)),
            [ws.config.identity, ws.config.name, ws.config.organisation],
            *self._of_custody(connection),
            hashlib.sha256(policy.read_bytes()).hexdigest() if policy.is_file() else "",
        ]
        return hashlib.sha256(canonical_json(facts)).hexdigest()

    def _passed(self, connection: Connection) -> int:
        """Return how many of the moments are over at which policies (IEP) begin to hold, or hold no more."""
        last = last_definition(connection)
        known, moments = self._moments
        if known != last:
            read = (read_policy(one.object) for one in iterate_objects(connection, ["marking-definition"]))
            policies = [policy for policy in read if policy is not None]
            ends = [policy.end + timedelta(microseconds=1) for policy in policies if policy.end is not None]
            moments = sorted([*ends, *(policy.start for policy in policies)])
            self._moments = (last, moments)
        return bisect_right(moments, self.ws.now())

    def _wants_two(self, ally: str, terms: str) -> bool:
        """Tell whether the agreement in force wants two people for what leaves; it changes only with the terms."""
        known = self._two_people.get(ally)
        if known is None or known[0] != terms:
            with self.ws._desk(write=False) as desk:
                try:
                    known = (terms, agreed(terms_for(desk, trusted_ally(desk, ally).card)).two_people)
                except NotPermittedError:  # no agreement in force: the shelf is empty
                    known = (terms, False)
            self._two_people[ally] = known
        return known[1]

    def _of_custody(self, connection: Connection) -> list[object]:
        """Return what changes only with what is in custody: our hosts' names, and what pulls ended."""
        custody = ledger_head(connection, "custody").hash
        with self._looking:  # of many who ask after a push one looks
            head, facts = self._custody
            if head != custody:
                facts = [sorted(self.ws.internal_words()), last_ending_pull(connection)]
                self._custody = (custody, facts)
        return facts

    def shelf_of(self, ally: str) -> str:
        """Return what the shelf of `ally` is called that is for our kind of line; another server's is none of ours."""
        return shelf_of(ally, tls=self.channel != "plain")

    def _refresh(self, ally: str) -> None:
        """Have the shelf of `ally` hold what follows from the terms, and from all that is known, as of now.

        Where only knowledge came and judging takes long, what was judged before goes on until the new shelf is there.
        """
        end = time.monotonic() + _PATIENCE_SECONDS
        wanted: KnowledgeMark | None = None
        while True:
            with self.ws.read() as connection:
                take_snapshot(connection)
                state = read_shelf_state(connection, self.shelf_of(ally))
                terms, mark = self._terms(connection), knowledge_mark(connection)
            wanted = wanted or mark
            same = state is not None and state.terms == terms
            if (
                state is not None
                and same
                and all(made >= asked for made, asked in zip(state.mark, wanted, strict=True))
            ):
                return
            made = self._make(ally)
            if same and self._seconds.get(ally, 0.0) > self._quick:
                return
            try:
                made.result(self._quick if same else max(0.0, end - time.monotonic()))
            except TimeoutError:
                if same:
                    return
                raise WorkspaceBusyError("What you may have is being judged. Ask again in a moment.") from None

    def _make(self, ally: str) -> Future[None]:
        with self._guard:
            making = self._making.get(ally)
            if making is None or making.done():
                making = self._making[ally] = self._pool.submit(self._judge, ally)
            return making

    @no_collecting()
    def _judge(self, ally: str) -> None:
        """Make the shelf of `ally` by the gate, as `preview` does."""
        began = time.monotonic()
        with self.ws._desk(write=False) as desk:
            take_snapshot(desk.connection)
            stamp, mark = self._terms(desk.connection), knowledge_mark(desk.connection)
            try:
                terms = terms_for(desk, trusted_ally(desk, ally).card, self.channel)
                untold = {digest for _, _, digest in taken_back(desk.connection, ally)}
                revoked = read_revocations(desk.connection, self.shelf_of(ally))
                change = self._bench.judge(desk, terms, stamp, mark, untold=untold, beside=revoked)
            except NotPermittedError:  # no agreement in force, or nobody compared the card
                change = ShelfChange(())
        with self._writer, self.ws.write() as connection:
            shelf = self.shelf_of(ally)
            if not put_shelf(connection, shelf, change, terms=stamp, mark=mark, time=self.ws.now()):
                change = self._bench.everything(ally) or ShelfChange(())
                put_shelf(connection, shelf, change, terms=stamp, mark=mark, time=self.ws.now())
        whole = change.since is None and self._bench.keeps(ally)  # what comes next takes less
        self._seconds[ally] = 0.0 if whole else time.monotonic() - began
