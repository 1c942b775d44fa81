"""The ledger of hunts: which rules were evaluated over which segments, and what they found there.

A *cell* is (segment, rule digest, mapping digest, engine version): evaluated once, never again. New rules on
old segments and old rules on new ones are both missing cells; a changed rule has another digest, so that its
old cells stay beside the new ones, and nothing is deleted: `as_of` shows what was known at a time. Rules are
many and hunted together, so a cell's row names a registered *set* of rules: one row for a segment and a hunt.

What was found in a cell is kept in one piece, compressed: it is always read whole. The contents are bytes to this
room: `aleat.hunt.stored` writes and reads them.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import sha256

import msgspec
import sqlalchemy as sa

from aleat.errors import WorkspaceError
from aleat.stix.times import format_timestamp
from aleat.store.database import metadata

__all__ = [
    "CellResult",
    "HuntKey",
    "RunRow",
    "begin_run",
    "get_run",
    "missing_cells",
    "put_cells",
    "put_gaps",
    "read_facts",
    "read_found",
    "read_gaps",
]

_CHUNK = 500
_CODEC = "zstd"  # what was found is JSON, and shrinks to a tenth
_LENGTH = struct.Struct("<Q")
_MAX_FOUND = 4 << 30

hunt_keys = sa.Table(
    "hunt_keys",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("mapping", sa.String, nullable=False),
    sa.Column("engine", sa.String, nullable=False),
    sa.UniqueConstraint("mapping", "engine"),
)
hunt_rules = sa.Table(
    "hunt_rules",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("digest", sa.String, nullable=False, unique=True),
)
hunt_sets = sa.Table(
    "hunt_sets",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("digest", sa.String, nullable=False, unique=True),
)
hunt_set_rules = sa.Table(
    "hunt_set_rules",
    metadata,
    sa.Column("set", sa.Integer, sa.ForeignKey("hunt_sets.id"), primary_key=True),
    sa.Column("rule", sa.Integer, sa.ForeignKey("hunt_rules.id"), primary_key=True),
)
hunt_runs = sa.Table(
    "hunt_runs",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("time", sa.String, nullable=False),  # STIX timestamp
    sa.Column("actor", sa.String, nullable=False),
    sa.Column("key", sa.Integer, sa.ForeignKey("hunt_keys.id"), nullable=False),
    sa.Column("set", sa.Integer, sa.ForeignKey("hunt_sets.id"), nullable=False),
)
hunt_results = sa.Table(
    "hunt_results",
    metadata,
    sa.Column("segment", sa.String, primary_key=True),
    sa.Column("set", sa.Integer, sa.ForeignKey("hunt_sets.id"), primary_key=True),
    sa.Column("key", sa.Integer, sa.ForeignKey("hunt_keys.id"), primary_key=True),
    sa.Column("run", sa.Integer, sa.ForeignKey("hunt_runs.id"), nullable=False),
    sa.Column("events", sa.BigInteger, nullable=False),
    sa.Column("found", sa.LargeBinary, nullable=False),  # empty: nothing was
)
hunt_gaps = sa.Table(
    "hunt_gaps",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("rule", sa.Integer, sa.ForeignKey("hunt_rules.id"), nullable=False, index=True),
    sa.Column("key", sa.Integer, sa.ForeignKey("hunt_keys.id"), nullable=False),
    sa.Column("row", sa.LargeBinary, nullable=False),
)
hunt_facts = sa.Table(
    "hunt_facts",
    metadata,
    sa.Column("segment", sa.String, primary_key=True),
    sa.Column("facts", sa.LargeBinary, nullable=False),
)


class HuntKey(msgspec.Struct, frozen=True):
    """What beside rule and segment decides a cell: the mappings' digest and the engine's version."""

    mapping: str
    engine: str


class RunRow(msgspec.Struct, frozen=True):
    """A hunt that was begun: when, by whom, with which rules (their digests), under which key."""

    id: int
    time: str
    actor: str
    key: HuntKey
    rules: frozenset[str]


class CellResult(msgspec.Struct, frozen=True):
    """What the rules `rules` found in one segment (b"": nothing); `facts` describes the segment."""

    segment: str
    rules: frozenset[str]
    events: int
    found: bytes = b""
    facts: bytes = b""


def begin_run(connection: sa.Connection, *, time: datetime, actor: str, key: HuntKey, rules: Collection[str]) -> RunRow:
    """Note that a hunt begins, and return its row. A hunt of the same rules registers no set again."""
    set_id = _register_set(connection, frozenset(rules))
    stamp = format_timestamp(time)
    values = {"time": stamp, "actor": actor, "key": _key_id(connection, key), "set": set_id}
    run = _inserted(connection.execute(hunt_runs.insert(), values))
    return RunRow(run, stamp, actor, key, frozenset(rules))


def get_run(connection: sa.Connection, as_of: datetime | None = None) -> RunRow | None:
    """Return the latest run, or the latest at or before `as_of`."""
    query = sa.select(hunt_runs, hunt_keys.c.mapping, hunt_keys.c.engine).join(hunt_keys)
    if as_of is not None:
        query = query.where(hunt_runs.c.time <= format_timestamp(as_of))
    row = connection.execute(query.order_by(hunt_runs.c.time.desc(), hunt_runs.c.id.desc()).limit(1)).first()
    if row is None:
        return None
    rules = connection.execute(
        sa.select(hunt_rules.c.digest).join(hunt_set_rules).where(hunt_set_rules.c.set == row.set)
    )
    return RunRow(row.id, row.time, row.actor, HuntKey(row.mapping, row.engine), frozenset(rules.scalars()))


def missing_cells(
    connection: sa.Connection, key: HuntKey, segments: Sequence[str], rules: Collection[str]
) -> list[tuple[str, frozenset[str]]]:
    """Return, in the order of `segments`, each that was not hunted for all of `rules`, with those missing."""
    wanted = frozenset(rules)
    sets_of: dict[str, list[int]] = {}
    query = (
        sa.select(hunt_results.c.segment, hunt_results.c.set)
        .join(hunt_keys)
        .where(hunt_keys.c.mapping == key.mapping, hunt_keys.c.engine == key.engine)
        .order_by(hunt_results.c.segment, hunt_results.c.set)
    )
    for segment, set_id in connection.execute(query):
        sets_of.setdefault(segment, []).append(set_id)
    missing: dict[tuple[int, ...], frozenset[str]] = {}
    found = []
    for segment in segments:
        sets = tuple(sets_of.get(segment, ()))
        if sets not in missing:
            missing[sets] = wanted - _rules_of(connection, sets)
        if missing[sets]:
            found.append((segment, missing[sets]))
    return found


def put_cells(connection: sa.Connection, run: RunRow, result: CellResult) -> None:
    """Keep what a hunt found in one segment, within the caller's transaction; what is there already stays."""
    key = _key_id(connection, run.key)
    cell = {"segment": result.segment, "set": _register_set(connection, result.rules), "key": key}
    if connection.execute(sa.select(hunt_results.c.run).where(*_equal(hunt_results, cell))).first():
        return
    values = {**cell, "run": run.id, "events": result.events, "found": _pack(result.found)}
    connection.execute(hunt_results.insert(), values)
    if not connection.execute(sa.select(hunt_facts.c.segment).where(hunt_facts.c.segment == result.segment)).first():
        connection.execute(hunt_facts.insert(), {"segment": result.segment, "facts": _pack(result.facts)})


def read_found(connection: sa.Connection, run: RunRow, segment: str, as_of: datetime | None = None) -> Iterator[bytes]:
    """Yield what was found in a segment under the key of `run`, a piece for each of its cells, in order of time.

    With `as_of`, only what runs at or before that time found. Rules that aren't in `run` can be among it.
    """
    query = (
        sa.select(hunt_results.c.found)
        .join(hunt_keys)
        .where(hunt_keys.c.mapping == run.key.mapping, hunt_keys.c.engine == run.key.engine)
        .where(hunt_results.c.segment == segment, hunt_results.c.found != b"")
        .order_by(hunt_results.c.run, hunt_results.c.set)
    )
    if as_of is not None:
        runs = sa.select(hunt_runs.c.id).where(hunt_runs.c.time <= format_timestamp(as_of))
        query = query.where(hunt_results.c.run.in_(runs))
    for found in connection.execute(query).scalars():
        yield _unpack(found)


def put_gaps(connection: sa.Connection, run: RunRow, rows: Iterable[tuple[str, bytes]]) -> None:
    """Keep (rule, row) pairs that say what of a rule can't be evaluated anywhere; known rules' rows stay."""
    by_rule: dict[str, list[bytes]] = {}
    for rule, row in rows:
        by_rule.setdefault(rule, []).append(row)
    key, ids = _key_id(connection, run.key), _rule_ids(connection, by_rule.keys())
    for rule, gaps in sorted(by_rule.items()):
        values: dict[str, object] = {"rule": ids[rule], "key": key}
        if not connection.execute(sa.select(hunt_gaps.c.id).where(*_equal(hunt_gaps, values))).first():
            connection.execute(hunt_gaps.insert(), [{**values, "row": gap} for gap in gaps])


def read_gaps(connection: sa.Connection, run: RunRow) -> Iterator[bytes]:
    """Yield what of the rules of `run` can't be evaluated anywhere, as it was put."""
    set_id = connection.execute(sa.select(hunt_runs.c.set).where(hunt_runs.c.id == run.id)).scalar_one()
    query = (
        sa.select(hunt_gaps.c.row)
        .join(hunt_keys)
        .join(hunt_set_rules, sa.and_(hunt_set_rules.c.rule == hunt_gaps.c.rule, hunt_set_rules.c.set == set_id))
        .where(hunt_keys.c.mapping == run.key.mapping, hunt_keys.c.engine == run.key.engine)
        .order_by(hunt_gaps.c.id)
    )
    yield from connection.execute(query).scalars()


def read_facts(connection: sa.Connection) -> Iterator[tuple[str, bytes]]:
    """Yield (segment, facts) for each segment that was hunted."""
    for segment, facts in connection.execute(sa.select(hunt_facts).order_by(hunt_facts.c.segment)):
        yield segment, _unpack(facts)


def _pack(data: bytes) -> bytes:
    """Compress; what is empty stays so."""
    import pyarrow as pa  # noqa: PLC0415

    return _LENGTH.pack(len(data)) + pa.compress(data, codec=_CODEC, asbytes=True) if data else b""


def _unpack(data: bytes) -> bytes:
    if not data:
        return b""
    import pyarrow as pa  # noqa: PLC0415

    try:
        (length,) = _LENGTH.unpack_from(data)
        if length > _MAX_FOUND:
            raise ValueError
        return bytes(pa.decompress(data[_LENGTH.size :], length, codec=_CODEC, asbytes=True))
    except (struct.error, ValueError, OSError) as error:
        raise WorkspaceError(
            "What an earlier hunt found can't be read: the workspace's database is damaged. Restore it from a backup."
        ) from error


def _key_id(connection: sa.Connection, key: HuntKey) -> int:
    values = {"mapping": key.mapping, "engine": key.engine}
    row = connection.execute(sa.select(hunt_keys.c.id).where(*_equal(hunt_keys, values))).first()
    return int(row.id) if row else _inserted(connection.execute(hunt_keys.insert(), values))


def _register_set(connection: sa.Connection, rules: frozenset[str]) -> int:
    digest = sha256("\n".join(sorted(rules)).encode()).hexdigest()
    row = connection.execute(sa.select(hunt_sets.c.id).where(hunt_sets.c.digest == digest)).first()
    if row is not None:
        return int(row.id)
    set_id = _inserted(connection.execute(hunt_sets.insert(), {"digest": digest}))
    ids = _rule_ids(connection, rules)
    if ids:
        connection.execute(hunt_set_rules.insert(), [{"set": set_id, "rule": rule} for rule in sorted(ids.values())])
    return set_id


def _rule_ids(connection: sa.Connection, digests: Collection[str]) -> dict[str, int]:
    """Return the number of each rule, new ones registered."""
    wanted = sorted(digests)
    found: dict[str, int] = {}
    for start in range(0, len(wanted), _CHUNK):
        chunk = wanted[start : start + _CHUNK]
        query = sa.select(hunt_rules.c.digest, hunt_rules.c.id).where(hunt_rules.c.digest.in_(chunk))
        found.update((row.digest, row.id) for row in connection.execute(query))
        new = [{"digest": digest} for digest in chunk if digest not in found]
        if new:
            connection.execute(hunt_rules.insert(), new)
            found.update((row.digest, row.id) for row in connection.execute(query))
    return found


def _rules_of(connection: sa.Connection, sets: Sequence[int]) -> frozenset[str]:
    query = sa.select(hunt_rules.c.digest).join(hunt_set_rules)
    return frozenset(connection.execute(query.where(hunt_set_rules.c.set.in_(sets))).scalars()) if sets else frozenset()


def _equal(table: sa.Table, values: Mapping[str, object]) -> list[sa.ColumnElement[bool]]:
    return [table.c[name] == value for name, value in values.items()]


def _inserted(result: sa.CursorResult[tuple[()]]) -> int:
    key = result.inserted_primary_key
    if key is None:
        raise WorkspaceError("The workspace's database gave no id for a new row.")
    return int(key[0])
