"""Who may come in, how often, and who is shut out."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass

import pytest

from aleat import Workspace
from aleat.errors import NotPermittedError, TrustError, WorkspaceError
from aleat.web.access import Gatekeeper, WebLimits
from aleat.web.messages import RequestError
from aleat.workspace.accounts import ACCOUNTS_NAME
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


def test_accounts_of_one_ally_share_its_collection(workspace: Workspace) -> None:
    """A second account sees the same collection."""
    second = workspace.add_account("south-2", "south", token="x" * 40)
    assert second.collection == workspace.accounts()[1].collection
    assert not second.push
