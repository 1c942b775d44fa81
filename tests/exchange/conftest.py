"""Two befriended teams."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.exchange.teams import Team


@pytest.fixture
def teams(tmp_path: Path) -> Iterator[tuple[Team, Team]]:
    """The giver ("north") and the receiver ("south")."""
    north = Team(tmp_path / "north", "north", "identity--11111111-1111-4111-8111-111111111111", "NO")
    south = Team(tmp_path / "south", "south", "identity--22222222-2222-4222-8222-222222222222", "AL")
    north.befriend(south)
    south.befriend(north)
    yield north, south
    north.close()
    south.close()
