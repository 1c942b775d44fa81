"""Both databases: every test of this room that takes `database`, or `new_database`, runs over SQLite and PostgreSQL.

The latter in the long runs; what tells the two apart is tested in the short ones too (`test_dialects.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from aleat.store.database import Database

NewDatabase = Callable[[Path], Database]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.long)])
def new_database(request: pytest.FixtureRequest) -> Iterator[NewDatabase]:
    """Return a function that opens an empty database: the file at a path, or a schema of its own for each path."""
    with ExitStack() as stack:

        def opened(path: Path) -> Database:
            if request.param == "sqlite":
                database = Database.at(path)
            else:
                server = request.getfixturevalue("postgres_server")
                database = Database(stack.enter_context(server.schema()))
            stack.callback(database.close)
            database.create_tables()
            return database

        yield opened


@pytest.fixture
def database(new_database: NewDatabase, tmp_path: Path) -> Database:
    """An empty database of a workspace."""
    return new_database(tmp_path / "aleat.db")
