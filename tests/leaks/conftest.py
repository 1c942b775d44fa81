"""One workspace with five allies for all tests of leaks, put back as it was before each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.leaks.ground import Ground, Server


@pytest.fixture(scope="session")
def made_ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """The workspace, made once."""
    ground = Ground(tmp_path_factory.mktemp("leaks"))
    yield ground
    ground.close()


@pytest.fixture
def ground(made_ground: Ground) -> Ground:
    """The workspace as it was made."""
    made_ground.restore()
    return made_ground


@pytest.fixture
def server(ground: Ground) -> Iterator[Server]:
    """Its server; what the test takes in before it asks is there."""
    with ground.serving() as server:
        yield server
