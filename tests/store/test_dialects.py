"""What differs between SQLite and PostgreSQL: locks, order, numbers, URLs."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from aleat.errors import WorkspaceBusyError, WorkspaceError
from aleat.stix.times import parse_timestamp
from aleat.store.database import Connection, Database, metadata
from aleat.store.dialects import check_url
from aleat.store.polls import polls, put_bookmark, read_bookmark, read_bookmarks
from tests.postgres import PostgresServer

TIME = parse_timestamp("2022-07-15T08:00:00Z")


def test_texts_are_in_the_order_of_their_bytes(postgres_server: PostgresServer) -> None:
    """A language's order would put `a-c` behind `ab`, and `B` behind `a`."""
    with postgres_server.schema() as url:
        database = Database(url)
        database.create_tables()
        names = ["ab", "a-c", "B", "a", "ä"]
        with database.write() as connection:
            for name in names:
                put_bookmark(connection, "u", name, "g", "x", time=TIME)
        with database.read() as connection:
            assert [mark.feed for mark in read_bookmarks(connection)] == sorted(names)
        database.close()


def test_null_characters_come_back(postgres_server: PostgresServer) -> None:
    """PostgreSQL's texts can't hold them; a stranger's host name can."""
    with postgres_server.schema() as url:
        database = Database(url)
        database.create_tables()
        names = ["a\0b", "\0", "\U0010fffd", "\U0010fffd0\0", "plain"]
        with database.write() as connection:
            for name in names:
                put_bookmark(connection, "u", name, "g", "x", time=TIME)
            assert [read_bookmark(connection, "u", name, "g") for name in names] == ["x"] * 5
        with database.read() as connection:
            assert {mark.feed for mark in read_bookmarks(connection)} == set(names)
        database.close()


def test_numbers_have_64_bits_and_declarations_stay_their_own(postgres_server: PostgresServer) -> None:
    """SQLite's integers do; the tables that statements are made from aren't changed by that."""
    with postgres_server.schema() as url:
        database = Database(url)
        database.create_tables()
        with database.read() as connection:
            kinds = {
                type(column["type"]).__name__
                for table in metadata.tables
                for column in sa.inspect(connection).get_columns(table)
            }
        assert "INTEGER" not in kinds
        assert polls.c.url.type.collation is None
        database.close()


def test_only_one_writes_across_hosts(postgres_server: PostgresServer) -> None:
    """Two openings of one schema stand for two hosts; another schema is another workspace."""
    with postgres_server.schema() as url, postgres_server.schema() as other:
        here, there, elsewhere = Database(url), Database(url), Database(other)
        with here.writer():
            with pytest.raises(WorkspaceBusyError, match="another host"), there.writer():
                pass
            with elsewhere.writer():
                pass
        with there.writer():
            pass
        for database in (here, there, elsewhere):
            database.close()


def test_what_was_begun_and_fails_leaves_nothing(postgres_server: PostgresServer) -> None:
    """A transaction is all or nothing, and lets the next one in."""
    with postgres_server.schema() as url:
        database = Database(url)
        database.create_tables()
        with pytest.raises(WorkspaceError, match="stop"), database.write() as connection:
            _put_and_stop(connection)
        with database.write() as connection:
            assert read_bookmarks(connection) == ()
        database.close()


def _put_and_stop(connection: Connection) -> None:
    put_bookmark(connection, "u", "f", "g", "x", time=TIME)
    raise WorkspaceError("stop")


@pytest.mark.parametrize(
    "url",
    ["postgresql://me:secret@db.example.org/case", "postgresql://db/case?password=secret", "mysql://db/case", "case"],
)
def test_urls_with_a_password_or_of_another_kind_are_refused(url: str) -> None:
    """Nothing of the password is in the message."""
    with pytest.raises(WorkspaceError) as caught:
        check_url(url)
    assert "secret" not in str(caught.value)


def test_a_url_is_recorded_with_its_driver() -> None:
    """However it was typed."""
    assert check_url("postgresql://me@db.example.org/case") == "postgresql+psycopg://me@db.example.org/case"
    assert check_url("postgresql+psycopg://db/case?sslmode=verify-full").endswith("db/case?sslmode=verify-full")


def test_a_server_that_is_not_there_is_told_with_advice(tmp_path: Path) -> None:
    """What to look at is another than with a file."""
    database = Database(f"postgresql+psycopg://postgres@/postgres?host={tmp_path}")
    with pytest.raises(WorkspaceError, match="PGPASSWORD"), database.read():
        pass
    database.close()
    assert "disk" in Database.at(tmp_path / "x.db").dialect.advice
