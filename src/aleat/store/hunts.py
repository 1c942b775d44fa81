"""The ledger of hunts: which rules were evaluated over which segments, and what they found there.

A *cell* is (segment, rule digest, mapping digest, engine version): evaluated once, never again. New rules on
old segments and old rules on new ones are both missing cells; a changed rule has another digest, so that its
old cells stay beside the new ones, and nothing is deleted: `as_of` shows what was known at a time. Rules are
many and hunted together, so a cell's row names a registered *set* of rules: one row for a segment and a hunt.

What was found is kept as (segment, record, rule), the record's facts once for all rules that found it. The
contents are bytes to this room: `aleat.hunt.stored` writes and reads them.
"""

from __future__ import annotations

import zlib
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
    "Hit",
    "HuntKey",
    "RunRow",
    "begin_run",
    "get_run",
    "missing_cells",
    "put_cells",
    "put_gaps",
    "read_facts",
    "read_gaps",
    "read_hits",
]

_CHUNK = 500
_LEVEL = 3  # of zlib: facts are JSON, and shrink to a third

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
hunt_cells = sa.Table(
    "hunt_cells",
    metadata,
    sa.Column("segment", sa.String, primary_key=True),
    sa.Column("set", sa.Integer, sa.ForeignKey("hunt_sets.id"), primary_key=True),
    sa.Column("key", sa.Integer, sa.ForeignKey("hunt_keys.id"), primary_key=True),
    sa.Column("run", sa.Integer, sa.ForeignKey("hunt_runs.id"), nullable=False),
    sa.Column("events", sa.BigInteger, nullable=False),
)
hunt_records = sa.Table(
    "hunt_records",
    metadata,
    sa.Column("segment", sa.String, primary_key=True),
    sa.Column("record", sa.BigInteger, primary_key=True),
    sa.Column("facts", sa.LargeBinary, nullable=False),
)
hunt_hits = sa.Table(
    "hunt_hits",
    metadata,
    sa.Column("segment", sa.String, primary_key=True),
    sa.Column("record", sa.BigInteger, primary_key=True),
    sa.Column("key", sa.Integer, sa.ForeignKey("hunt_keys.id"), primary_key=True),
    sa.Column("rule", sa.Integer, sa.ForeignKey("hunt_rules.id"), primary_key=True),
    sa.Column("part", sa.String, primary_key=True),  # of a rule that finds several things: a list's value
    sa.Column("run", sa.Integer, sa.ForeignKey("hunt_runs.id"), nullable=False),
    sa.Column("found", sa.LargeBinary, nullable=False),
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


class Hit(msgspec.Struct, frozen=True):
    """One rule in one record of a segment; `facts` are the record's, `found` what this rule says of it."""

    segment: str
    record: int
    rule: str
    part: str
    facts: bytes
    found: bytes


class CellResult(msgspec.Struct, frozen=True):
    """What the rules `rules` found in one segment; `facts` describes the segment."""

    segment: str
    rules: frozenset[str]
    events: int
    hits: tuple[Hit, ...]
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
        sa.select(hunt_cells.c.segment, hunt_cells.c.set)
        .join(hunt_keys)
        .where(hunt_keys.c.mapping == key.mapping, hunt_keys.c.engine == key.engine)
        .order_by(hunt_cells.c.segment, hunt_cells.c.set)
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
    if connection.execute(sa.select(hunt_cells.c.run).where(*_equal(hunt_cells, cell))).first():
        return
    connection.execute(hunt_cells.insert(), {**cell, "run": run.id, "events": result.events})
    records = {hit.record: hit.facts for hit in result.hits}
    known = set(
        connection.execute(sa.select(hunt_records.c.record).where(hunt_records.c.segment == result.segment)).scalars()
    )
    rows = [
        {"segment": result.segment, "record": record, "facts": zlib.compress(facts, _LEVEL)}
        for record, facts in sorted(records.items())
        if record not in known
    ]
    if rows:
        connection.execute(hunt_records.insert(), rows)
    rules = _rule_ids(connection, {hit.rule for hit in result.hits})
    hits = {(hit.record, rules[hit.rule], hit.part): hit.found for hit in result.hits}
    if hits:
        connection.execute(
            hunt_hits.insert(),
            [
                {"segment": result.segment, "record": record, "key": key, "rule": rule, "part": part}
                | {"run": run.id, "found": found}
                for (record, rule, part), found in sorted(hits.items())
            ],
        )
    if not connection.execute(sa.select(hunt_facts.c.segment).where(hunt_facts.c.segment == result.segment)).first():
        values = {"segment": result.segment, "facts": zlib.compress(result.facts, _LEVEL)}
        connection.execute(hunt_facts.insert(), values)


def read_hits(
    connection: sa.Connection, run: RunRow, as_of: datetime | None = None, *, segment: str | None = None
) -> Iterator[Hit]:
    """Yield what the rules of `run` have found under its key, in this run or before, by segment, record and rule.

    With `as_of`, only what was found by runs at or before that time; with `segment`, only what was found there.
    """
    set_id = connection.execute(sa.select(hunt_runs.c.set).where(hunt_runs.c.id == run.id)).scalar_one()
    query = (
        sa.select(hunt_hits, hunt_records.c.facts, hunt_rules.c.digest)
        .join(hunt_keys, hunt_hits.c.key == hunt_keys.c.id)
        .join(hunt_set_rules, sa.and_(hunt_set_rules.c.rule == hunt_hits.c.rule, hunt_set_rules.c.set == set_id))
        .join(hunt_rules, hunt_rules.c.id == hunt_hits.c.rule)
        .join(
            hunt_records,
            sa.and_(hunt_records.c.segment == hunt_hits.c.segment, hunt_records.c.record == hunt_hits.c.record),
        )
        .where(hunt_keys.c.mapping == run.key.mapping, hunt_keys.c.engine == run.key.engine)
        .order_by(hunt_hits.c.segment, hunt_hits.c.record, hunt_rules.c.digest, hunt_hits.c.part)
    )
    if segment is not None:
        query = query.where(hunt_hits.c.segment == segment)
    if as_of is not None:
        runs = sa.select(hunt_runs.c.id).where(hunt_runs.c.time <= format_timestamp(as_of))
        query = query.where(hunt_hits.c.run.in_(runs))
    for row in connection.execution_options(yield_per=_CHUNK).execute(query):
        yield Hit(row.segment, row.record, row.digest, row.part, zlib.decompress(row.facts), row.found)


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
        yield segment, zlib.decompress(facts)


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
