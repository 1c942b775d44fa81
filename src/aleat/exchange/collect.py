"""Everything a workspace knows, as the gate wants to see it: each object with its copies, labels and entries.

A copy that its giver withdrew is none: on it nothing leaves.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import msgspec

from aleat.errors import IntegrityError
from aleat.release import ListRow, Subject, describe_stored
from aleat.release.facts import Definitions, FactsMemo
from aleat.stix import StixObject
from aleat.stix.extensions import read_extension
from aleat.store.changes import ids_of_several
from aleat.store.database import Connection
from aleat.store.objects import StoredObject, get_variants, iterate_objects
from aleat.store.objects_held import iterate_held
from aleat.store.withdrawn import CopyKey, WithdrawnCopy, copies_given, newest_given, withdrawn_copies
from aleat.trust.corpora import CorpusPolicy
from aleat.trust.markings import read_marking

__all__ = ["Knowledge", "collect_knowledge", "read_definitions"]

_HEX = re.compile("[0-9a-f]{64}")


class Knowledge(msgspec.Struct, frozen=True):
    """All subjects, the entries of lists by the list's id, and marking definitions by id.

    `rows` are the numbers by which the store knows the objects, where they are what counts there.
    """

    subjects: tuple[Subject, ...]
    lists: dict[str, tuple[ListRow, ...]]
    definitions: Definitions
    rows: dict[str, int] = {}


def collect_knowledge(
    connection: Connection,
    root: Path,
    policy: CorpusPolicy | None,
    ally_names: Mapping[str, str] | None = None,
    *,
    ids: Collection[str] | None = None,
    definitions: Definitions | None = None,
) -> Knowledge:
    """Return everything stored, or (of these `ids`) what is; `root` is the workspace's folder (its lists lie below it).

    `policy` is the signed one; `definitions` those of `read_definitions`, where they were read already.
    """
    names = ally_names or {}
    definitions = read_definitions(connection) if definitions is None else definitions
    subjects: list[Subject] = []
    lists: dict[str, tuple[ListRow, ...]] = {}
    rows_of: dict[str, int] = {}
    memo: FactsMemo = {}
    several = ids_of_several(connection, ids)
    withdrawn = withdrawn_copies(connection)
    for held in iterate_held(connection, ids):
        found = newest_given(connection, held.stored, withdrawn)
        stored = msgspec.structs.replace(found, copies=copies_given(found, withdrawn)) if withdrawn else found
        item = stored.object
        rows = _entries(item, root)
        if rows is not None:
            lists[item.id] = rows
        subject = describe_stored(
            stored,
            definitions,
            policy,
            variants=_variants(connection, stored, names) if item.id in several else (),
            values=[value for _, value, _ in rows or ()],
            notes=[context for _, _, context in rows or ()],
            ally_names=names,
            memo=memo,
        )
        subjects.append(subject)
        if found is held.stored and subject.object is item:  # a definition may be told otherwise than it is stored
            rows_of[item.id] = held.seq
    counting = {one.object.id: one.object.digest for one in subjects if one.object.id in several}
    subjects += _former(connection, counting, definitions, policy, names, withdrawn)
    return Knowledge(tuple(subjects), lists, definitions, rows_of)


def _former(
    connection: Connection,
    counting: Mapping[str, str],
    definitions: Definitions,
    policy: CorpusPolicy | None,
    names: Mapping[str, str],
    withdrawn: Mapping[CopyKey, WithdrawnCopy],
) -> Iterator[Subject]:
    """Yield the versions and variants that count no more; `counting` are the digests of those that do, by id."""
    for id_, digest in sorted(counting.items()):
        contents = get_variants(connection, id_)
        for one in contents:
            if one.object.type != "marking-definition" and one.object.digest != digest:
                others = [other for other in contents if other is not one]
                given = msgspec.structs.replace(one, copies=copies_given(one, withdrawn))
                subject = describe_stored(given, definitions, policy, variants=others, ally_names=names)
                yield msgspec.structs.replace(subject, former=True)


def read_definitions(connection: Connection) -> Definitions:
    """Return the marking definitions that mean one thing here; one that two givers tell otherwise means nothing.

    Somebody who sends another's definition again, with other words, can't loosen it so; nor can an ally tell what a
    marking means that others put on theirs (`Definitions.told_to`). Of one sharing group, that with fewer
    organisations counts.
    """
    found: dict[str, StixObject] = {}
    givers: dict[str, frozenset[str]] = {}
    for newest in iterate_objects(connection, ["marking-definition"]):
        id_ = newest.object.id
        variants = get_variants(connection, id_)
        told = {read_marking(id_, one.object): one.object for one in variants}
        if len(told) == 1 or {marking.kind for marking in told} == {"distribution"}:
            found[id_] = told[min(told, key=lambda marking: (len(marking.organisations), marking.organisations))]
            givers[id_] = frozenset(copy.giver for one in variants for copy in one.copies)
    return Definitions(found, givers)


def _variants(connection: Connection, stored: StoredObject, names: Mapping[str, str]) -> tuple[StoredObject, ...]:
    """Other versions and variants, looked up only where somebody else than the maker gave the object."""
    by = stored.object.created_by_ref
    foreign = any(by not in {None, copy.giver, names.get(copy.giver)} and copy.corpus is None for copy in stored.copies)
    if not foreign:
        return ()
    others = get_variants(connection, stored.object.id)
    return tuple(item for item in others if item.object.digest != stored.object.digest)


def _entries(item: StixObject, root: Path) -> tuple[ListRow, ...] | None:
    if item.type != "indicator" or b'"extensions"' not in item.content:
        return None
    if (content := read_extension(item, "list")) is None:
        return None
    digest = str(content.get("entries_sha256", ""))
    if not _HEX.fullmatch(digest):
        return ()
    from aleat.store.entries import read_entries  # noqa: PLC0415  (pyarrow)

    try:
        table = read_entries(root, digest)
    except IntegrityError:
        return ()  # its values never came, or are damaged (`verify` says so): there is nothing to tell
    columns = [table.column(name).to_pylist() for name in ("type", "value", "context")]
    return tuple(zip(*columns, strict=True))
