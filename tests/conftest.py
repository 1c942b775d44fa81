"""Fixtures for all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from aleat.store.database import Database

_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"

settings.register_profile("aleat", deadline=None)  # a shared machine's pauses are no failures
settings.load_profile("aleat")


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
