"""Who decided what: people and roles, holds, permissions of originators, releases with every object's decision.

Each function writes its rows *and* the ledger's entry with the caller's connection, in one transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa

from aleat.errors import NotPermittedError, TrustError
from aleat.stix.canonical import canonical_json
from aleat.stix.times import format_timestamp
from aleat.store.database import metadata
from aleat.store.ledger import append_entry
from aleat.trust.agreements import Permission
from aleat.trust.chain import Entry
from aleat.trust.keys import SigningKey
from aleat.trust.people import ROLES, check_roles, require_role

__all__ = [
    "DecisionRow",
    "ReleaseRow",
    "add_permission",
    "end_permission",
    "keep_permission",
    "lift_hold",
    "permissions_used",
    "place_hold",
    "read_decisions",
    "read_holds",
    "read_people",
    "read_permissions",
    "read_releases",
    "record_release",
    "record_withdrawal",
    "require",
    "set_roles",
]

people = sa.Table(
    "people",
    metadata,
    sa.Column("actor", sa.String, primary_key=True),
    sa.Column("roles", sa.String, nullable=False),
)

holds = sa.Table(
    "holds",
    metadata,
    sa.Column("object", sa.String, primary_key=True),
    sa.Column("kind", sa.String, primary_key=True),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("placed_by", sa.String, nullable=False),
    sa.Column("placed", sa.String, nullable=False),
)

permissions = sa.Table(
    "permissions",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("originator", sa.String, nullable=False),
    sa.Column("recipient", sa.String, nullable=False),
    sa.Column("objects", sa.LargeBinary, nullable=False),
    sa.Column("valid_from", sa.String, nullable=False),
    sa.Column("valid_until", sa.String, nullable=False),
    sa.Column("basis", sa.String, nullable=False),
)

releases = sa.Table(
    "releases",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("recipient", sa.String, nullable=False),
    sa.Column("agreement", sa.String, nullable=False),
    sa.Column("agreement_version", sa.Integer, nullable=False),
    sa.Column("time", sa.String, nullable=False),
    sa.Column("actor", sa.String, nullable=False),
    sa.Column("approver", sa.String),
    sa.Column("sha256", sa.String, nullable=False),
    sa.Column("manifest", sa.LargeBinary, nullable=False),
    sa.Column("withdrawn", sa.String),
)

release_decisions = sa.Table(
    "release_decisions",
    metadata,
    sa.Column("release", sa.String, sa.ForeignKey("releases.id"), primary_key=True),
    sa.Column("object", sa.String, primary_key=True),
    sa.Column("version", sa.String, nullable=False),
    sa.Column("allow", sa.Boolean, nullable=False),
    sa.Column("rule", sa.String, nullable=False),
    sa.Column("detail", sa.LargeBinary, nullable=False),
)


class DecisionRow(msgspec.Struct, frozen=True, kw_only=True):
    """One object's decision as it is kept: `detail` is the rest of the gate's own record, as JSON."""

    object: str
    version: str
    allow: bool
    rule: str
    detail: dict[str, Any] = {}


class ReleaseRow(msgspec.Struct, frozen=True, kw_only=True):
    """One release as it is kept; `time` and `withdrawn` are STIX timestamps, `sha256` is the bundle's."""

    id: str
    recipient: str
    agreement: str
    agreement_version: int
    time: str
    actor: str
    approver: str | None
    sha256: str
    manifest: bytes
    withdrawn: str | None = None


def set_roles(
    connection: sa.Connection, person: str, roles: Collection[str], *, actor: str, time: datetime, key: SigningKey
) -> Entry:
    """Give `person` exactly these roles: the first person names themselves, later an administrator does."""
    chosen = check_roles(roles)
    known = read_people(connection)
    if known:
        require(connection, actor, "administrator")
    elif person != actor:
        raise NotPermittedError("The first person of a workspace names themselves.")
    others = any("administrator" in held for name, held in known.items() if name != person)
    if "administrator" not in chosen and not others:
        raise NotPermittedError("A workspace keeps at least one administrator. Name another first.")
    connection.execute(sa.delete(people).where(people.c.actor == person))
    if chosen:
        connection.execute(people.insert(), {"actor": person, "roles": ",".join(chosen)})
    data = {"person": person, "roles": list(chosen)}
    return append_entry(connection, "decisions", "roles", data, actor=actor, time=time, key=key)


def read_people(connection: sa.Connection) -> dict[str, tuple[str, ...]]:
    """Return everybody's roles."""
    rows = connection.execute(sa.select(people).order_by(people.c.actor))
    return {row.actor: tuple(row.roles.split(",")) for row in rows}


def require(connection: sa.Connection, actor: str, role: str) -> None:
    """Raise `NotPermittedError` unless `actor` has `role` (one of `aleat.trust.people.ROLES`)."""
    assert role in ROLES  # noqa: S101 (a slip of ours, not input)
    everybody = read_people(connection)
    who = [name for name, roles in everybody.items() if role in roles]
    require_role(actor, everybody.get(actor, ()), role, who=who)


def place_hold(
    connection: sa.Connection,
    objects: Iterable[str],
    kind: str,
    reason: str,
    *,
    actor: str,
    time: datetime,
    key: SigningKey,
    role: str = "analyst",
) -> None:
    """Stop these objects (STIX ids) from leaving; `kind` is "legal-hold", "personal-data" or "withdrawn"."""
    if kind not in {"legal-hold", "personal-data", "withdrawn"}:
        raise TrustError(f"There is no hold of kind {kind!r}: it is legal-hold, personal-data or withdrawn.")
    require(connection, actor, role)
    held = sorted(set(objects))
    for object_ in held:
        connection.execute(sa.delete(holds).where(holds.c.object == object_, holds.c.kind == kind))
        row = {
            "object": object_,
            "kind": kind,
            "reason": reason,
            "placed_by": actor,
            "placed": format_timestamp(time),
        }
        connection.execute(holds.insert(), row)
    data = {"objects": held, "kind": kind, "reason": reason}
    append_entry(connection, "decisions", "hold", data, actor=actor, time=time, key=key)


def lift_hold(
    connection: sa.Connection, object_: str, kind: str, reason: str, *, actor: str, time: datetime, key: SigningKey
) -> None:
    """Lift a hold: by a named releaser, for a named reason."""
    require(connection, actor, "releaser")
    if not reason.strip():
        raise TrustError("A hold is lifted for a reason: say which.")
    found = connection.execute(sa.delete(holds).where(holds.c.object == object_, holds.c.kind == kind))
    if not found.rowcount:
        raise TrustError(f"There is no {kind} on {object_}.")
    data = {"objects": [object_], "kind": kind, "reason": reason}
    append_entry(connection, "decisions", "hold-lifted", data, actor=actor, time=time, key=key)


def read_holds(connection: sa.Connection) -> dict[str, tuple[str, ...]]:
    """Return the kinds of hold on each held object."""
    result: dict[str, tuple[str, ...]] = {}
    for row in connection.execute(sa.select(holds).order_by(holds.c.object, holds.c.kind)):
        result[row.object] = (*result.get(row.object, ()), row.kind)
    return result


def add_permission(
    connection: sa.Connection, permission: Permission, basis: str, *, actor: str, time: datetime, key: SigningKey
) -> None:
    """Record an originator's leave on a releaser's word; `basis` says how it was given (a letter, a call)."""
    require(connection, actor, "releaser")
    keep_permission(connection, permission, basis, actor=actor, time=time, key=key)


def keep_permission(
    connection: sa.Connection, permission: Permission, basis: str, *, actor: str, time: datetime, key: SigningKey
) -> None:
    """Record a leave that its originator signed, whoever opened the file; `basis` is the message's id."""
    row = {
        "id": permission.id,
        "originator": permission.originator,
        "recipient": permission.recipient,
        "objects": canonical_json(sorted(permission.objects)),
        "valid_from": permission.valid_from.isoformat(),
        "valid_until": permission.valid_until.isoformat(),
        "basis": basis,
    }
    connection.execute(permissions.insert(), row)
    data = {**row, "objects": sorted(permission.objects)}
    append_entry(connection, "decisions", "permission", data, actor=actor, time=time, key=key)


def end_permission(
    connection: sa.Connection, permission: str, basis: str, *, actor: str, time: datetime, key: SigningKey
) -> None:
    """Let a permission end now: from this day on it opens nothing; `basis` is the message that ends it."""
    last = (time.date() - timedelta(days=1)).isoformat()
    found = sa.update(permissions).where(permissions.c.id == permission, permissions.c.valid_until > last)
    if connection.execute(found.values(valid_until=last)).rowcount:
        data = {"permission": permission, "basis": basis}
        append_entry(connection, "decisions", "permission-ended", data, actor=actor, time=time, key=key)


def read_permissions(connection: sa.Connection) -> Iterator[Permission]:
    """Yield every recorded permission, by id."""
    for row in connection.execute(sa.select(permissions).order_by(permissions.c.id)).fetchall():
        yield Permission(
            id=row.id,
            originator=row.originator,
            recipient=row.recipient,
            objects=frozenset(msgspec.json.decode(row.objects, type=list[str])),
            valid_from=date.fromisoformat(row.valid_from),
            valid_until=date.fromisoformat(row.valid_until),
        )


def record_release(
    connection: sa.Connection,
    release: ReleaseRow,
    decisions: Iterable[DecisionRow],
    *,
    time: datetime,
    key: SigningKey,
    reader: str = "",
) -> Entry:
    """Keep a release, and append its ledger entry: who, when, to whom, which versions, which rules, which hash.

    `reader` is the named person for whom it is, where it holds RED.
    """
    rows = list(decisions)
    connection.execute(releases.insert(), msgspec.structs.asdict(release))
    if rows:
        connection.execute(
            release_decisions.insert(),
            [
                {
                    "release": release.id,
                    "object": row.object,
                    "version": row.version,
                    "allow": row.allow,
                    "rule": row.rule,
                    "detail": canonical_json(row.detail),
                }
                for row in rows
            ],
        )
    data = {
        "release": release.id,
        "to": release.recipient,
        "agreement": release.agreement,
        "agreement_version": release.agreement_version,
        "approver": release.approver,
        "sha256": release.sha256,
        "allowed": [[row.object, row.version, row.rule] for row in rows if row.allow],
        "withheld": [[row.object, row.version, row.rule] for row in rows if not row.allow],
    }
    if reader:
        data["reader"] = reader
    return append_entry(connection, "release", "release", data, actor=release.actor, time=time, key=key)


def record_withdrawal(
    connection: sa.Connection, release: str, reason: str, *, actor: str, time: datetime, key: SigningKey
) -> Entry:
    """Mark a release of ours as withdrawn."""
    require(connection, actor, "releaser")
    found = connection.execute(
        sa.update(releases).where(releases.c.id == release).values(withdrawn=format_timestamp(time))
    )
    if not found.rowcount:
        raise TrustError(f"There is no release {release}.")
    data = {"release": release, "reason": reason}
    return append_entry(connection, "release", "withdrawal", data, actor=actor, time=time, key=key)


def read_releases(connection: sa.Connection, recipient: str | None = None) -> Iterator[ReleaseRow]:
    """Yield releases (to one `recipient`, if given) in order of time."""
    query = sa.select(releases).order_by(releases.c.time, releases.c.id)
    if recipient is not None:
        query = query.where(releases.c.recipient == recipient)
    for row in connection.execute(query).fetchall():
        yield ReleaseRow(**row._mapping)


def read_decisions(connection: sa.Connection, release: str) -> Iterator[DecisionRow]:
    """Yield the decisions of one release, by object."""
    query = sa.select(release_decisions).where(release_decisions.c.release == release)
    for row in connection.execute(query.order_by(release_decisions.c.object)).fetchall():
        detail = msgspec.json.decode(row.detail, type=dict[str, Any])
        yield DecisionRow(object=row.object, version=row.version, allow=row.allow, rule=row.rule, detail=detail)


def permissions_used(connection: sa.Connection) -> Iterator[tuple[str, str]]:
    """Yield each release with each permission on which something left in it."""
    query = sa.select(release_decisions.c.release, release_decisions.c.detail).where(
        release_decisions.c.rule == "permission", release_decisions.c.allow
    )
    found: set[tuple[str, str]] = set()
    for row in connection.execute(query):
        parameters = msgspec.json.decode(row.detail, type=dict[str, Any]).get("parameters", {})
        found |= {(row.release, name) for name in str(parameters.get("permission", "")).split(",") if name}
    yield from sorted(found)
