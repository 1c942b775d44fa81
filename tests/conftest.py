"""Fixtures for all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from aleat.store.database import Database
from tests.postgres import PostgresServer, find_binaries, running

_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"

settings.register_profile(
    "aleat",
    deadline=None,  # a shared machine's pauses are no failures
    max_examples=int(os.environ.get("ALEAT_EXAMPLES", "40")),  # others in each run; `make test-all` has 200
)
settings.load_profile("aleat")

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what a command compiles, the next command needn't


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty database of a workspace."""
    opened = Database.at(tmp_path / "aleat.db")
    opened.create_tables()
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real test material; tests that need it are skipped, and counted, where it is absent."""
    folder = Path(os.environ.get("ALEAT_TEST_DATA", _BESIDE))
    if not (folder / "README.md").is_file():
        pytest.skip("real test material is absent: set ALEAT_TEST_DATA to its folder")
    return folder


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server of our own; tests over it are skipped, and counted, where it isn't installed."""
    binaries = find_binaries()
    if binaries is None or os.name == "nt":
        pytest.skip("PostgreSQL's server is absent: install the package postgresql")
    with running(binaries) as server:
        yield server
