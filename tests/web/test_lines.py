"""What leaves over a plain line and what over TLS: each ally has a shelf for either, and neither undoes the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from aleat import Workspace
from aleat.store.shelves import ShelfQuery
from aleat.workspace.sharing import Sharing
from tests.exchange.teams import indicator
from tests.web.conftest import NORTH, take_in
from tests.web.test_redaction import encrypted_policy


@pytest.fixture
def both(workspace: Workspace) -> Iterator[tuple[Sharing, Sharing]]:
    """The workspace's server without TLS, and with it."""
    plain, tls = (workspace.share(quick_seconds=60.0, channel=channel) for channel in ("plain", "tls"))
    yield plain, tls
    plain.close()
    tls.close()


def page(sharing: Sharing, ally: str = "south") -> dict[str, tuple[int, bytes]]:
    """What is on an ally's shelf for that line, with its numbers."""
    account = next(one for one in sharing.accounts() if one.name == ally)
    return {row.id: (row.seq, row.raw) for row in sharing.page(account, ShelfQuery()).rows}


def test_two_lines_do_not_undo_each_other(both: tuple[Sharing, Sharing]) -> None:
    """Serving over one line and pushing over the other, in turn: nothing is judged or numbered anew."""
    plain, tls = both
    policy, item = encrypted_policy()
    take_in(plain.ws, [policy, item])
    first = page(plain), page(tls)
    assert item.id in first[1]
    assert item.id not in first[0]
    take_in(plain.ws, [indicator(60, NORTH, "green")])
    again = page(plain), page(tls)
    for before, after in zip(first, again, strict=True):
        assert {id_: after[id_] for id_ in before} == before
        assert len(after) == len(before) + 1


def test_what_was_withdrawn_is_revoked_only_where_it_was(both: tuple[Sharing, Sharing], tmp_path: Path) -> None:
    """What must be encrypted on its way lands on no plain shelf when it is revoked."""
    plain, tls = both
    policy, item = encrypted_policy()
    take_in(plain.ws, [policy, item])
    common = indicator(3, NORTH, "green").id
    page(plain), page(tls)
    taken = plain.ws.withdraw_objects([item.id, common], tmp_path, reason="Wrong.")
    assert len(taken.paths) == 1
    shown = page(plain), page(tls)
    assert item.id not in shown[0]
    assert b'"revoked":true' in shown[1][item.id][1]
    assert all(b'"revoked":true' in one[common][1] for one in shown)
