"""The verbs of the post box: what waits to go to our allies, what came and waits to be opened.

What came is kept shut first, with how far that brought us, and opened then, each file in a transaction of its own: a
kill between the two loses nothing, and the next `open_mail` goes on there. A file that can't be opened stays for a
while with its reason, and costs the others nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import msgspec

from aleat.errors import AleatError, Issue, NotPermittedError, ObjectError, Place, WorkspaceError
from aleat.exchange import Received
from aleat.exchange.feeds import Page
from aleat.exchange.letters import open_letter
from aleat.exchange.taxii_messages import parse_envelope
from aleat.store.database import Connection
from aleat.store.ledger import append_entry
from aleat.store.post import (
    MailRow,
    PostRow,
    add_mail,
    drop_mail,
    is_known,
    note_refusal,
    read_mail,
    read_post,
    read_waiting,
)
from aleat.text import clip, visible
from aleat.workspace.exchange import ExchangeVerbs, take_sealed

__all__ = ["OpenedLetter", "PostVerbs", "keep_letters"]

_STAGE = "post"


class OpenedLetter(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one sealed file that came: `received` what it held, or None and the reason why it stays shut.

    `again` says that the reason was told before.
    """

    source: str
    sha256: str
    received: Received | None = None
    reason: str = ""
    again: bool = False

    @property
    def issue(self) -> Issue:
        """What is told of one that stays shut."""
        return Issue(_STAGE, "shut", Place(self.source), self.reason, "It is tried again: aleat receive.")


class PostVerbs(ExchangeVerbs):
    """What a workspace does with its post box."""

    def post(self, ally: str | None = None) -> tuple[PostRow, ...]:
        """Return the sealed files in the post box, to everybody or to one ally, in order; what went out as well."""
        with self.read() as connection:
            names = {row.card.name: row.card.identity for row in self.allies()}
            return tuple(read_post(connection, names.get(ally, ally) if ally else None))

    def mail(self) -> tuple[MailRow, ...]:
        """Return the sealed files that came over TAXII and aren't opened, each with what stood against that."""
        with self.read() as connection:
            return read_mail(connection)

    def open_mail(self) -> tuple[OpenedLetter, ...]:
        """Open what came, one file after the other, and keep what each holds; say which stay shut, and why."""
        return tuple(filter(None, map(self._open, self.mail())))

    def _open(self, row: MailRow) -> OpenedLetter | None:
        try:
            with self.writing(), self._desk(write=True) as desk:
                data = read_waiting(desk.connection, row.sha256)
                if data is None or is_known(desk.connection, row.sha256):
                    drop_mail(desk.connection, row.sha256)
                    return None
                received = take_sealed(desk, data, row.source)
                drop_mail(desk.connection, row.sha256)
        except (WorkspaceError, NotPermittedError):
            raise
        except AleatError as error:
            reason = clip(visible(str(error)), 500)
            if reason != row.reason:
                self._note(row, reason)
            return OpenedLetter(source=row.source, sha256=row.sha256, reason=reason, again=reason == row.reason)
        return OpenedLetter(source=row.source, sha256=row.sha256, received=received)

    def _note(self, row: MailRow, reason: str) -> None:
        facts = {"source": row.source, "sha256": row.sha256, "reason": reason}
        with self.writing(), self.write() as connection:
            note_refusal(connection, row.sha256, reason)
            append_entry(connection, "exchange", "shut", facts, **self._signing())


def keep_letters(
    session: PostVerbs, connection: Connection, pages: Sequence[Page], url: str
) -> tuple[int, tuple[Issue, ...]]:
    """Keep the sealed files in pages of a collection of messages, shut; return how many are new, and what is none.

    What we sent ourselves is passed over, and so is what was opened before.
    """
    there = {row.sha256 for row in read_mail(connection)}
    issues = [issue for page in pages for issue in page.issues]
    count = 0
    for raw in _objects(pages, url, issues):
        try:
            id_, sealed = open_letter(raw)
        except ObjectError as error:
            issues.append(error.issue(_STAGE, url))
            continue
        digest = hashlib.sha256(sealed).hexdigest()
        if digest not in there and not is_known(connection, digest):
            count += add_mail(connection, sealed, f"{url}objects/{id_}/", time=session.now()) is not None
            there.add(digest)
    return count, tuple(issues)


def _objects(pages: Sequence[Page], url: str, issues: list[Issue]) -> Iterable[bytes]:
    for page in pages:
        for document in page.documents:
            try:
                envelope = parse_envelope(document.read())
                members = msgspec.json.decode(envelope.objects or b"[]", type=list[msgspec.Raw])
            except (AleatError, msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
                issues.append(Issue(_STAGE, "wrong-json", Place(document.path), "The page's objects can't be read."))
                continue
            yield from map(bytes, members)
