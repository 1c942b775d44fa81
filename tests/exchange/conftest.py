"""Two befriended teams: made once, copied for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.exchange.teams import Team


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Team, Team]:
    """The two teams as they begin; their databases are closed."""
    folder = tmp_path_factory.mktemp("teams")
    north = Team(folder / "north", "north", "identity--11111111-1111-4111-8111-111111111111", "NO")
    south = Team(folder / "south", "south", "identity--22222222-2222-4222-8222-222222222222", "AL")
    north.befriend(south)
    south.befriend(north)
    north.close()
    south.close()
    return north, south


@pytest.fixture
def teams(founded: tuple[Team, Team], tmp_path: Path) -> Iterator[tuple[Team, Team]]:
    """The giver ("north") and the receiver ("south")."""
    north, south = founded[0].copied(tmp_path / "north"), founded[1].copied(tmp_path / "south")
    yield north, south
    north.close()
    south.close()
