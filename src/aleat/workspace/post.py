"""The verbs of the post box: what waits to go to our allies, what came and waits to be opened.

What came is kept shut first, with how far that brought us, and opened then, each file in a transaction of its own: a
kill between the two loses nothing, and the next `open_mail` goes on there. A file that can't be opened stays for a
while with its reason, and costs the others nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from aleat.errors import AleatError, Issue, NotPermittedError, ObjectError, Place, WorkspaceError
from aleat.exchange import Received
from aleat.exchange.desk import Desk
from aleat.exchange.feeds import Page
from aleat.exchange.letters import Letter, join_pieces, open_letter, read_payload
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

__all__ = ["OpenedLetter", "PostVerbs", "keep_letters", "take_letter"]

_STAGE = "post"


class OpenedLetter(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one sealed file that came: `received` what it held, or None and the reason why it stays shut.

    `again` says that the reason was told before.
    """

    source: str
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
        """Return the letters in the post box, to everybody or to one ally, in order; what went out as well."""
        names = {row.card.name: row.card.identity for row in self.allies()}
        with self.read() as connection:
            return tuple(read_post(connection, names.get(ally, ally) if ally else None))

    def mail(self) -> tuple[MailRow, ...]:
        """Return the letters that came over TAXII and aren't opened, each with what stood against that."""
        with self.read() as connection:
            return read_mail(connection)

    def open_mail(self) -> tuple[OpenedLetter, ...]:
        """Open what came, one file after the other, and keep what each holds; say which stay shut, and why.

        A file of which pieces have not come yet is passed over.
        """
        files: dict[tuple[str, str], list[MailRow]] = {}
        for row in self.mail():
            files.setdefault((row.box, row.part_of or row.sha256), []).append(row)
        return tuple(filter(None, map(self._open, files.values())))

    def _open(self, rows: Sequence[MailRow]) -> OpenedLetter | None:
        """Open one file, of which these are the letters."""
        source = f"{rows[0].box.removesuffix('/')}/objects/{rows[0].letter}/"
        try:
            with self.writing(), self._desk(write=True) as desk:
                letters = _letters(desk.connection, rows)
                known = not letters or is_known(desk.connection, letters[0].sha256)
                if not known and not _is_whole(letters):
                    return None
                drop_mail(desk.connection, [row.sha256 for row in rows])
                if known:
                    return None
                received = take_sealed(desk, _sealed(letters), source)
        except (WorkspaceError, NotPermittedError):
            raise
        except AleatError as error:
            reason = clip(visible(str(error)), 500)
            if reason != rows[0].reason:
                self._note(rows, source, reason)
            return OpenedLetter(source=source, reason=reason, again=reason == rows[0].reason)
        return OpenedLetter(source=source, received=received)

    def _note(self, rows: Sequence[MailRow], source: str, reason: str) -> None:
        facts = {"source": source, "letters": sorted(row.sha256 for row in rows), "reason": reason}
        with self.writing(), self.write() as connection:
            for row in rows:
                note_refusal(connection, row.sha256, reason)
            append_entry(connection, "exchange", "shut", facts, **self._signing())


def take_letter(desk: Desk, letter: Letter, payload: bytes, box: str, sender: str) -> Received | None:
    """Open a letter of the ally `sender` (an identity's id) in the desk's transaction; None where it counted before.

    A piece of a file is kept until the last one is there; the file is opened then.
    """
    if is_known(desk.connection, letter.sha256):
        return None
    if letter.piece is None:
        return take_sealed(desk, letter.content, box, sender=sender)
    add_mail(desk.connection, payload, box=box, letter=letter.id, part_of=letter.piece.of, time=desk.time)
    rows = [row for row in read_mail(desk.connection) if (row.box, row.part_of) == (box, letter.piece.of)]
    letters = _letters(desk.connection, rows)
    if not _is_whole(letters):
        return None
    drop_mail(desk.connection, [row.sha256 for row in rows])
    return take_sealed(desk, _sealed(letters), box, sender=sender)


def keep_letters(session: PostVerbs, connection: Connection, pages: Sequence[Page], url: str) -> tuple[Issue, ...]:
    """Keep the letters in pages of a collection of messages, shut; return what is none.

    What we sent ourselves is passed over, and so is what was opened before.
    """
    issues = [issue for page in pages for issue in page.issues]
    for raw in _objects(pages, url, issues):
        try:
            letter, payload = open_letter(raw)
        except ObjectError as error:
            issues.append(error.issue(_STAGE, url))
            continue
        if not is_known(connection, letter.sha256):
            part_of = "" if letter.piece is None else letter.piece.of
            add_mail(connection, payload, box=url, letter=letter.id, part_of=part_of, time=session.now())
    return tuple(issues)


def _letters(connection: Connection, rows: Iterable[MailRow]) -> list[Letter]:
    """Return what waits still of these rows, with its content."""
    found = ((row, read_waiting(connection, row.sha256)) for row in rows)
    return [read_payload(row.letter, payload) for row, payload in found if payload is not None]


def _is_whole(letters: Sequence[Letter]) -> bool:
    """Say whether these are all letters of their file, as far as they say."""
    piece = letters[0].piece
    if piece is None:
        return True
    return len({letter.piece.number for letter in letters if letter.piece is not None}) >= piece.count


def _sealed(letters: Sequence[Letter]) -> bytes:
    return letters[0].content if letters[0].piece is None else join_pieces(letters)


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
