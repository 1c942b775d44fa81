"""The ledger of hunts."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from aleat.errors import WorkspaceError
from aleat.store.database import Database
from aleat.store.hunts import (
    CellResult,
    HuntKey,
    begin_run,
    get_run,
    hunt_results,
    missing_cells,
    put_cells,
    put_gaps,
    read_facts,
    read_found,
    read_gaps,
)

KEY = HuntKey("m1", "1")


def day(number: int) -> datetime:
    return datetime(2022, 7, number, 12, tzinfo=UTC)


def hunt(
    database: Database,
    when: int,
    segments: list[str],
    rules: set[str],
    hits: list[tuple[str, int, str]],
    key: HuntKey = KEY,
) -> None:
    """Fill the missing cells as a hunt does, with those hits that belong to them."""
    with database.write() as connection:
        run = begin_run(connection, time=day(when), actor="arta", key=key, rules=rules)
        for segment, missing in missing_cells(connection, key, segments, rules):
            lines = [
                f"{where} {record} {rule}\n" for where, record, rule in hits if where == segment and rule in missing
            ]
            put_cells(connection, run, CellResult(segment, missing, 10, "".join(lines).encode(), b"facts"))


def found(database: Database, as_of: datetime | None = None) -> list[tuple[str, int, str]]:
    with database.read() as connection:
        run = get_run(connection, as_of)
        assert run is not None
        pieces = [piece for segment in ("s1", "s2") for piece in read_found(connection, run, segment, as_of)]
        hits = [line.split() for piece in pieces for line in piece.decode().splitlines()]
        return sorted((segment, int(record), rule) for segment, record, rule in hits if rule in run.rules)


def missing(database: Database, segments: list[str], rules: set[str], key: HuntKey = KEY) -> list[tuple[str, set[str]]]:
    with database.read() as connection:
        return [(name, set(rules)) for name, rules in missing_cells(connection, key, segments, rules)]


def test_new_rules_and_new_segments_are_both_missing_cells(database: Database) -> None:
    assert missing(database, ["s1", "s2"], {"a", "b"}) == [("s1", {"a", "b"}), ("s2", {"a", "b"})]
    hunt(database, 1, ["s1", "s2"], {"a", "b"}, [])
    assert missing(database, ["s1", "s2"], {"a", "b"}) == []
    assert missing(database, ["s2", "s3", "s1"], {"a", "c"}) == [("s2", {"c"}), ("s3", {"a", "c"}), ("s1", {"c"})]


def test_another_mapping_or_engine_is_another_cell(database: Database) -> None:
    hunt(database, 1, ["s1"], {"a"}, [])
    assert missing(database, ["s1"], {"a"}, HuntKey("m2", "1")) == [("s1", {"a"})]
    assert missing(database, ["s1"], {"a"}, HuntKey("m1", "2")) == [("s1", {"a"})]


def test_increments_give_what_one_hunt_gives(database: Database, tmp_path: Path) -> None:
    hits = [("s1", 3, "a"), ("s1", 3, "b"), ("s2", 0, "b"), ("s2", 7, "c")]
    hunt(database, 1, ["s1"], {"a"}, hits)
    hunt(database, 2, ["s1", "s2"], {"a", "b"}, hits)
    hunt(database, 3, ["s1", "s2"], {"a", "b", "c"}, hits)
    whole = Database.at(tmp_path / "whole.db")
    whole.create_tables()
    hunt(whole, 1, ["s1", "s2"], {"a", "b", "c"}, hits)
    assert found(database) == found(whole) == sorted(hits)
    whole.close()


def test_a_changed_rule_supersedes_and_nothing_is_deleted(database: Database) -> None:
    hunt(database, 1, ["s1"], {"old"}, [("s1", 1, "old")])
    hunt(database, 2, ["s1"], {"new"}, [("s1", 2, "new")])
    assert found(database) == [("s1", 2, "new")]
    assert found(database, day(1)) == [("s1", 1, "old")]


def test_as_of_shows_what_was_known_then(database: Database) -> None:
    hits = [("s1", 1, "a"), ("s2", 2, "a")]
    hunt(database, 1, ["s1"], {"a"}, hits)
    hunt(database, 3, ["s1", "s2"], {"a"}, hits)
    assert found(database, day(2)) == [("s1", 1, "a")]
    assert found(database) == hits
    with database.read() as connection:
        assert get_run(connection, datetime(2022, 6, 1, tzinfo=UTC)) is None


def test_facts_come_back_as_they_were(database: Database) -> None:
    hunt(database, 1, ["s1"], {"a", "b"}, [("s1", 1, "a"), ("s1", 1, "b")])
    with database.read() as connection:
        run = get_run(connection)
        assert run is not None
        assert (run.actor, run.time, run.rules) == ("arta", "2022-07-01T12:00:00.000Z", frozenset("ab"))
        assert list(read_found(connection, run, "s1")) == [b"s1 1 a\ns1 1 b\n"]
        assert list(read_facts(connection)) == [("s1", b"facts")]


def test_what_can_never_be_evaluated_is_kept_once_for_each_rule(database: Database) -> None:
    hunt(database, 1, ["s1"], {"a", "b"}, [])
    for _ in range(2):
        with database.write() as connection:
            run = get_run(connection)
            assert run is not None
            put_gaps(connection, run, [("a", b"one"), ("a", b"two"), ("z", b"of another hunt")])
    with database.read() as connection:
        assert list(read_gaps(connection, run)) == [b"one", b"two"]


def test_a_hunt_cut_off_leaves_only_whole_cells(database: Database) -> None:
    def cut_off() -> None:
        with database.write() as connection:
            run = begin_run(connection, time=day(1), actor="arta", key=KEY, rules={"a"})
            put_cells(connection, run, CellResult("s1", frozenset("a"), 1, b"found"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut_off()
    assert missing(database, ["s1"], {"a"}) == [("s1", {"a"})]


def test_thousands_of_rules_are_one_row_a_segment(database: Database) -> None:
    rules = {f"rule{number}" for number in range(3000)}
    hunt(database, 1, ["s1"], rules, [])
    hunt(database, 2, ["s2"], rules, [])
    with database.read() as connection:
        counts = [
            connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar()  # noqa: S608 - names of ours
            for table in ("hunt_results", "hunt_set_rules", "hunt_rules")
        ]
    assert counts == [2, 3000, 3000]
    assert missing(database, ["s1"], rules | {"x"}) == [("s1", {"x"})]


def test_a_damaged_piece_is_told_in_words(database: Database) -> None:
    hunt(database, 1, ["s1"], {"a"}, [("s1", 1, "a")])
    with database.write() as connection:
        connection.execute(sa.update(hunt_results).values(found=bytes.fromhex("0500000000000000FF")))
    with pytest.raises(WorkspaceError, match="database is damaged"):
        found(database)
