"""Two teams of which one has an OpenPGP certificate in its card: sealed files to it are OpenPGP messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from aleat import Workspace
from aleat.errors import NotPermittedError, SealError, TrustError
from aleat.trust.agreements import fingerprint
from aleat.trust.openpgp import PgpKey


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Workspace, Workspace]:
    """North, and south with an OpenPGP key; they have each other's card, compared."""
    monkeypatch.setenv("ALEAT_KEYS", str(tmp_path / "keys"))
    north = Workspace.init(tmp_path / "north", organisation="Team North", actor="ana")
    south = Workspace.init(tmp_path / "south", organisation="Team South", actor="ben")
    south.make_openpgp_key()
    for one, other in ((north, south), (south, north)):
        (tmp_path / "card").write_bytes(other.export_card())
        one.add_ally(tmp_path / "card", compared=fingerprint(other.card()))
    return north, south


def test_a_request_goes_as_openpgp_and_comes_back_as_age(two: tuple[Workspace, Workspace], tmp_path: Path) -> None:
    """Each to what is in the other's card; a second opening is refused."""
    north, south = two
    asked = north.ask(south.config.name, tmp_path, title="Help", impact="Services are down.", needs=["analysts"])
    assert not asked.read_bytes().startswith(b"age-encryption.org")
    received = south.receive(asked)
    assert received.sender.name == north.config.name
    answered = south.accept(north.config.name, tmp_path)
    assert answered.read_bytes().startswith(b"age-encryption.org")
    north.receive(answered)
    assert [thread.state for thread in north.asks()] == [thread.state for thread in south.asks()]
    with pytest.raises(SealError, match="counts once"):
        south.receive(asked)


def test_a_key_is_imported_once_by_an_administrator(two: tuple[Workspace, Workspace], tmp_path: Path) -> None:
    """A second one would leave files shut; the ledger says who did it."""
    north, south = two
    key = PgpKey.generate("Team North")
    (tmp_path / "key.asc").write_text(key.text, encoding="ascii")
    with pytest.raises(TrustError, match="no OpenPGP key"):
        north.openpgp_certificate()
    assert north.import_openpgp_key(tmp_path / "key.asc").fingerprint == key.certificate.fingerprint
    assert north.card().openpgp == north.openpgp_certificate().text
    with pytest.raises(TrustError, match="already"):
        north.make_openpgp_key()
    south.set_roles("eve", ["analyst"])
    south.close()
    with Workspace.open(tmp_path / "south", actor="eve") as other, pytest.raises(NotPermittedError):
        other.make_openpgp_key()
