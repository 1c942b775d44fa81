"""Refusals are in the ledger, gathered: the first at once, the others in bounded rows, none of them lost in silence."""

from __future__ import annotations

from typing import Any

from aleat.errors import WorkspaceBusyError
from aleat.web.refusals import Refusals
from tests.web.conftest import Served
from tests.web.test_access import Clock


class Book:
    """Entries that were written; refuses to write while it is busy."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, dict[str, Any]]] = []
        self.busy = False

    def __call__(self, kind: str, data: dict[str, object]) -> None:
        if self.busy:
            raise WorkspaceBusyError("somebody else writes")
        self.entries.append((kind, data))


def test_the_first_is_written_at_once_and_the_others_together() -> None:
    """Ten minutes of refusals are one entry, with how many there were of each kind."""
    book, clock = Book(), Clock()
    refusals = Refusals(book, clock)
    assert refusals.note(401, "", "192.0.2.1")
    refusals.flush()
    assert book.entries == [("refused", {"refused": [["", "192.0.2.1", 401, 1]], "others": 0})]
    clock.seconds = 30
    assert not any(refusals.note(404, "south", "192.0.2.2") for _ in range(5))
    clock.seconds = 700
    assert refusals.note(404, "south", "192.0.2.2")
    refusals.flush()
    refusals.flush()
    assert book.entries[1:] == [("refused", {"refused": [["south", "192.0.2.2", 404, 6]], "others": 0})]


def test_a_stranger_cannot_fill_the_disk() -> None:
    """A hundred thousand addresses make one entry of fifty rows; all are counted."""
    book = Book()
    refusals = Refusals(book, Clock())
    for number in range(100_000):
        refusals.note(401, "", f"2001:db8:{number:x}::/64")
    refusals.flush()
    ((_, data),) = book.entries
    assert len(data["refused"]) == 50
    assert data["others"] == 99_950


def test_lock_outs_are_bounded_too() -> None:
    """Of many only the first are entries of their own; the others are counted, until some time has passed."""
    book, clock = Book(), Clock()
    refusals = Refusals(book, clock)
    for number in range(1_000):
        refusals.locked_out(f"192.0.2.{number}", "south", 10)
    assert [kind for kind, _ in book.entries] == ["locked-out"] * 20
    refusals.flush()
    assert book.entries[-1] == ("refused", {"refused": [], "others": 980})
    clock.seconds = 601
    refusals.locked_out("192.0.2.1", "south", 10)
    assert book.entries[-1][0] == "locked-out"


def test_what_cannot_be_written_now_is_counted_later() -> None:
    """While another process writes to the workspace nobody waits, and no refusal is lost."""
    book, clock = Book(), Clock()
    refusals = Refusals(book, clock)
    book.busy = True
    refusals.note(401, "", "192.0.2.1")
    refusals.flush()
    refusals.locked_out("192.0.2.1", "south", 10)
    book.busy = False
    clock.seconds = 11
    assert refusals.note(401, "", "192.0.2.1")
    refusals.flush()
    assert book.entries == [("refused", {"refused": [["", "192.0.2.1", 401, 1]], "others": 1})]


def test_the_server_writes_them(served: Served) -> None:
    """A stranger's request is in the exchange ledger without a secret; the ledgers verify."""
    secret = "aleat-a-token-that-nobody-has"
    assert served.ask("", who=None, headers={"Authorization": f"Bearer {secret}"}).status == 401
    for _ in range(200):
        if b'"kind":"refused"' in (ledgers := b"".join(served.ws.export_ledgers())):
            break
        served.ask("")
    assert b'"kind":"refused"' in ledgers
    assert secret.encode() not in ledgers
    assert not served.ws.verify().faults
