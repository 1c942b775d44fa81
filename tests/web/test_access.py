"""Who may come in, how often, and who is shut out."""

from __future__ import annotations

import threading
from base64 import b64encode
from dataclasses import dataclass
from datetime import timedelta

import pytest

from aleat import Workspace
from aleat.errors import NotPermittedError, TrustError, WorkspaceError
from aleat.web.access import Gatekeeper, WebLimits
from aleat.web.messages import RequestError
from aleat.workspace.accounts import ACCOUNTS_NAME, find_by_token
from tests.exchange.teams import START
from tests.web.conftest import PASSWORD


@dataclass
class Clock:
    """Seconds that pass when told to."""

    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds


def basic(user: str, password: str) -> str:
    """The header of HTTP Basic."""
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def refused(gatekeeper: Gatekeeper, authorization: str, address: str = "192.0.2.1") -> int:
    """The status that a request is refused with."""
    with pytest.raises(RequestError) as caught:
        gatekeeper.admit(authorization, "", address)
    return caught.value.status


def test_who_fails_too_often_is_shut_out_for_a_while(workspace: Workspace) -> None:
    """Ten wrong passwords shut an address out, the right one too; others come in, and later so does it."""
    clock = Clock()
    sharing = workspace.share()
    gatekeeper = Gatekeeper(sharing, WebLimits(failures=3), clock)
    assert [refused(gatekeeper, basic("south", "wrong")) for _ in range(4)] == [401, 401, 401, 429]
    assert refused(gatekeeper, basic("south", PASSWORD)) == 429
    assert gatekeeper.admit(basic("south", PASSWORD), "", "192.0.2.2").name == "south"
    clock.seconds = 901
    assert gatekeeper.admit(basic("south", PASSWORD), "", "192.0.2.1").name == "south"
    assert b'"kind":"locked-out"' in b"".join(workspace.export_ledgers())
    sharing.close()


def test_an_account_has_its_turns(workspace: Workspace, founded: tuple[object, dict[str, str]]) -> None:
    """More requests at once than its burst are refused, until time passes."""
    clock = Clock()
    sharing = workspace.share()
    gatekeeper = Gatekeeper(sharing, WebLimits(requests=1, burst=3), clock)
    token = f"Bearer {founded[1]['east']}"
    assert [gatekeeper.admit(token, "", "192.0.2.1").name for _ in range(3)] == ["east"] * 3
    assert refused(gatekeeper, token) == 429
    clock.seconds = 1.5
    assert gatekeeper.admit(token, "", "192.0.2.1").name == "east"
    sharing.close()


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic", "Basic ###", "Basic c291dGg=", "Digest x", "x" * 9000]
)
def test_what_names_nobody_is_refused(workspace: Workspace, header: str) -> None:
    """Any other header is a 401."""
    sharing = workspace.share()
    assert refused(Gatekeeper(sharing, WebLimits(), Clock()), header) == 401
    sharing.close()


def test_accounts_hold_no_secret(workspace: Workspace, founded: tuple[object, dict[str, str]]) -> None:
    """Neither a token nor a password stands in the workspace."""
    text = (workspace.folder / ACCOUNTS_NAME).read_text(encoding="utf-8")
    assert "$argon2id$" in text
    assert PASSWORD not in text
    assert founded[1]["south"] not in text


def test_accounts_that_cannot_be(workspace: Workspace) -> None:
    """A name twice, no proof, a short password, no such ally, a damaged file."""
    with pytest.raises(TrustError, match="already"):
        workspace.add_account("south", "south", token="x" * 40)
    with pytest.raises(TrustError, match="needs a token"):
        workspace.add_account("south-2", "south")
    with pytest.raises(TrustError, match="shorter"):
        workspace.add_account("south-2", "south", password="short")
    with pytest.raises(TrustError, match="64 hex"):
        workspace.add_account("south-2", "south", certificate="12:34")
    with pytest.raises((TrustError, NotPermittedError)):
        workspace.add_account("west", "west", token="x" * 40)
    with pytest.raises(TrustError, match="No account"):
        workspace.remove_account("west")
    (workspace.folder / ACCOUNTS_NAME).write_text("{", encoding="utf-8")
    with pytest.raises(WorkspaceError, match="can't be read"):
        workspace.accounts()


def test_a_token_is_changed_with_or_without_an_overlap(workspace: Workspace) -> None:
    """The new one works at once; the old one ends at once, or after the time that it was given."""
    old, new, newest = ("aleat-" + letter * 43 for letter in "abc")
    workspace.add_account("south-2", "south", token=old)
    workspace.rotate_account("south-2", new, timedelta(hours=2))
    found = {
        (token, hours): find_by_token(workspace.accounts(), token, START + timedelta(hours=hours))
        for token in (old, new)
        for hours in (0, 3)
    }
    assert [key for key, account in found.items() if account is None] == [(old, 3)]
    workspace.rotate_account("south-2", newest)
    known = [find_by_token(workspace.accounts(), token, START) for token in (old, new, newest)]
    assert [account is not None for account in known] == [False, False, True]
    assert b'"kind":"account-rotated"' in b"".join(workspace.export_ledgers())
    workspace.add_account("south-3", "south", password=PASSWORD)
    with pytest.raises(TrustError, match="not proved by a token"):
        workspace.rotate_account("south-3", new)
    with pytest.raises(TrustError, match="thirty days"):
        workspace.rotate_account("south-2", new, timedelta(days=31))
    with pytest.raises(TrustError, match="No account"):
        workspace.rotate_account("west", new)


def test_an_ipv6_host_is_one_address(workspace: Workspace) -> None:
    """Another address of the same /64 doesn't start anew."""
    sharing = workspace.share()
    gatekeeper = Gatekeeper(sharing, WebLimits(failures=2), Clock())
    assert [refused(gatekeeper, "Bearer x", f"2001:db8::{number}") for number in range(3)] == [401, 401, 429]
    assert refused(gatekeeper, "Bearer x", "2001:db8:0:1::1") == 401
    sharing.close()


def test_passwords_do_not_take_all_there_is(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two are hashed at once, eight wait, more are asked to come again; who is known already comes in meanwhile."""
    go, running, most = threading.Event(), [], []

    def slow(account: object, password: str) -> bool:
        running.append(password)
        most.append(len(running))
        go.wait(20)
        running.remove(password)
        return password == PASSWORD

    sharing = workspace.share()
    gatekeeper = Gatekeeper(sharing, WebLimits(), Clock())
    assert gatekeeper.admit(basic("south", PASSWORD), "", "192.0.2.1").name == "south"
    monkeypatch.setattr("aleat.web.access.check_password", slow)
    results: list[int] = []
    threads = [
        threading.Thread(
            target=lambda n=number: results.append(refused(gatekeeper, basic("south", f"guess {n}"), f"192.0.2.{n}"))  # type: ignore[misc]
        )
        for number in range(30)
    ]
    for thread in threads:
        thread.start()
    while len(results) < 20:
        threading.Event().wait(0.01)
    assert gatekeeper.admit(basic("south", PASSWORD), "", "192.0.2.1").name == "south"
    go.set()
    for thread in threads:
        thread.join(20)
    assert sorted(results) == [401] * 10 + [429] * 20
    assert max(most) <= 2
    sharing.close()


def test_accounts_of_one_ally_share_its_collection(workspace: Workspace) -> None:
    """A second account sees the same collection."""
    second = workspace.add_account("south-2", "south", token="x" * 40)
    assert second.collection == workspace.accounts()[1].collection
    assert not second.push
