"""Our server's collection of messages: an ally fetches the sealed files that wait for it, and pushes its own.

What an ally pushes is opened at once, in the request: the process that serves has the keys anyway, a withdrawal must
count from that moment, and the ally is told of each file whether it arrived as one. Nothing that can't be opened is
kept, but for pieces of a file until the last one is there. What waits for an ally was judged when it was sealed; before
it goes out, what it carries is held against the agreement, the holds, the permissions and the withdrawals of now.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import msgspec

from aleat.errors import AleatError, InputError, NotPermittedError, ObjectError, SealError, SignatureError, TrustError
from aleat.exchange.desk import Desk, agreed, terms_for, trusted_ally
from aleat.exchange.letters import letter_object, open_letter
from aleat.exchange.taxii_messages import Status, StatusDetail, parse_envelope
from aleat.stix.canonical import canonical_json
from aleat.store.decisions import read_decisions, require
from aleat.store.ledger import append_entry
from aleat.store.post import mark_posted, read_letters, read_post
from aleat.store.shelves import ShelfPage, ShelfQuery, put_status
from aleat.text import clip, visible
from aleat.workspace.accounts import Account
from aleat.workspace.post import take_letter
from aleat.workspace.pushed import status_body

if TYPE_CHECKING:
    from aleat.workspace.sharing import Sharing

__all__ = ["Mailbox", "releases_kept_back"]

_MAX_LETTERS = 100
"""In one envelope: each is opened, checked and kept in a transaction of its own."""


class _Head(msgspec.Struct):
    id: str = ""


class Mailbox:
    """The messages of a workspace as its server sees them; all methods may be called from several threads."""

    def __init__(self, sharing: Sharing) -> None:
        self.sharing = sharing
        self.ws = sharing.ws
        self._key = self.ws.key.derive_secret("taxii-messages")

    def collection_of(self, account: Account) -> str:
        """Return the id of an ally's collection of messages: it looks as random as that of its feed."""
        digest = hashlib.blake2b(account.collection.encode(), key=self._key[:64], digest_size=16).digest()
        return str(uuid.UUID(bytes=digest, version=4))

    # --------------------------------------------------------------------------------------- giving

    def page(self, account: Account, query: ShelfQuery, *, facts: Mapping[str, object] | None = None) -> ShelfPage:
        """Return a page of what waits for the account's ally; what leaves is in the exchange ledger before it does."""
        with self.ws._desk(write=False) as desk:
            kept_back = releases_kept_back(desk, account.ally)
            page, files = read_letters(
                desk.connection,
                account.ally,
                query,
                kept_back=kept_back,
                carry=lambda id_, payload: letter_object(id_, payload).raw,
            )
        if page.rows and facts is not None:
            listed = [row.id for row in page.rows]
            data = {
                **facts,
                "account": account.name,
                "ally": account.ally,
                "objects": len(page.rows),
                "files": sorted(files),
                "sha256": hashlib.sha256(canonical_json(listed)).hexdigest(),
            }
            with self.sharing.writing(), self.ws.write() as connection:
                signing = self.ws._signing()
                append_entry(connection, "exchange", "given", data, **signing)
                mark_posted(connection, listed, "fetched", time=signing["time"])
        return page

    def take_back(self, account: Account, id_: str, versions: Collection[int] | None = None) -> bool:
        """Raise `NotPermittedError`: a letter isn't taken back, its sender withdraws what it carried."""
        raise NotPermittedError("Letters are not deleted.")

    def is_taken_back(self, account: Account, id_: str, versions: Collection[int]) -> bool:
        """Return False: no letter ever is."""
        return False

    # --------------------------------------------------------------------------------------- taking

    def push(self, account: Account, body: bytes) -> Status:
        """Open the letters of an envelope, one by one, and say what became of each.

        Raises `InputError` where the envelope itself can't be used, `NotPermittedError` where the account may not
        push, or who serves may not open what comes.
        """
        if not account.push:
            raise NotPermittedError("This account may not push.")
        members = _members(body)
        with self.ws._desk(write=False) as desk:
            trusted_ally(desk, account.ally)
            require(desk.connection, desk.actor, "analyst")
        successes: list[StatusDetail] = []
        failures: list[StatusDetail] = []
        for raw in members:
            detail = self._take(account, bytes(raw))
            (failures if detail.message else successes).append(detail)
        return self._record(account, tuple(successes), tuple(failures), len(body))

    def _take(self, account: Account, raw: bytes) -> StatusDetail:
        """Open one letter and keep what it holds; the detail has a message where that failed."""
        try:
            letter, payload = open_letter(raw)
        except ObjectError as error:
            return StatusDetail(_claimed_id(raw), message=clip(error.reason, 300))
        try:
            with self.sharing.writing(), self.ws._desk(write=True) as desk:
                take_letter(desk, letter, payload, f"taxii:{account.name}", account.ally)
        except (SealError, SignatureError, TrustError, ObjectError, InputError) as error:
            return StatusDetail(letter.id, message=clip(visible(str(error)), 300))
        return StatusDetail(letter.id)

    def _record(
        self, account: Account, successes: tuple[StatusDetail, ...], failures: tuple[StatusDetail, ...], size: int
    ) -> Status:
        signing = self.ws._signing()
        status = Status(
            id=str(uuid.uuid4()),
            status="complete",
            total_count=len(successes) + len(failures),
            success_count=len(successes),
            failure_count=len(failures),
            pending_count=0,
            successes=successes,
            failures=failures,
        )
        data = {
            "server": "taxii",
            "account": account.name,
            "ally": account.ally,
            "push": status.id,
            "letters": len(successes),
            "refused": len(failures),
            "bytes": size,
            "reasons": sorted({failure.message for failure in failures})[:20],
        }
        with self.sharing.writing(), self.ws.write() as connection:
            body = status_body(status, signing["time"])
            put_status(connection, status.id, account.ally, body, time=signing["time"])
            append_entry(connection, "exchange", "taken", data, **signing)
        return status


def releases_kept_back(desk: Desk, ally: str) -> frozenset[str]:
    """Return the releases in the post box for an ally that may no longer go out, as things stand now.

    That is where no agreement is in force, a hold came upon something in it, or a permission on which something left
    has ended. What was withdrawn is left out by the post box itself.
    """
    waiting = {row.release for row in read_post(desk.connection, ally, waiting=True)} - {""}
    if not waiting:
        return frozenset()
    try:
        terms = terms_for(desk, trusted_ally(desk, ally).card)
        agreed(terms)
    except TrustError:
        return frozenset(waiting)
    today = terms.reference_time.date()
    permitted = {
        object_
        for permission in terms.permissions
        if permission.recipient == ally and permission.valid_from <= today <= permission.valid_until
        for object_ in permission.objects
    }
    return frozenset(
        release
        for release in waiting
        if any(
            row.allow and (row.object in terms.holds or (row.rule == "permission" and row.object not in permitted))
            for row in read_decisions(desk.connection, release)
        )
    )


def _members(body: bytes) -> list[msgspec.Raw]:
    try:
        members = msgspec.json.decode(parse_envelope(body).objects or b"[]", type=list[msgspec.Raw])
    except (AleatError, msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        said = str(error) if isinstance(error, AleatError) else "Its objects can't be read."
        raise InputError(f"That is no TAXII envelope. {clip(visible(said), 200)}") from None
    if not members:
        raise InputError("The envelope holds no objects.")
    if len(members) > _MAX_LETTERS:
        raise InputError(f"The envelope holds more than {_MAX_LETTERS} letters.", advice="Send fewer at once.")
    return members


def _claimed_id(raw: bytes) -> str:
    try:
        return clip(visible(msgspec.json.decode(raw, type=_Head).id), 200) or "unknown"
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return "unknown"
