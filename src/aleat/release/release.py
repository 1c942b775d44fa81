"""A release: what leaves for one ally, as bytes, with a manifest, and the decision on every object.

The bundle's and the manifest's bytes follow from the objects, the terms and the workspace's secret alone: the
same case and policy give the same bytes. The manifest lists what is in the bundle and under which label; it
says nothing of what is not. The decisions stay here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from aleat.errors import NotPermittedError
from aleat.release.closure import Closed, close
from aleat.release.facts import strictest_label
from aleat.release.gate import agreement_with, decide
from aleat.release.records import Decision, Subject, Terms
from aleat.release.retell import keyed_uuid
from aleat.release.words import strings_of, uuids_of
from aleat.stix.bundle import make_bundle
from aleat.stix.canonical import canonical_json
from aleat.stix.extensions import extension_definition, extension_id, extension_names
from aleat.stix.objects import StixObject
from aleat.trust.markings import effective_markings, marking_definition, published_marking_ids

__all__ = ["ListRow", "Release", "Revoked", "list_lines", "prepare", "prepare_revocation"]

ListRow = tuple[str, str, str]
"""One entry of an indicator list: its type, value and context (see `aleat.stix.entries`)."""


class Revoked(msgspec.Struct, frozen=True):
    """A version that revokes an object of ours, as a recipient knows it; `source` is the object's id here."""

    object: StixObject
    source: str


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """What would leave, or leaves; `sha256` (hex) is over bundle, manifest and lists, `objects` those in the bundle.

    `lists` are the entries of the indicator lists in the bundle, by the list's id (in the bundle), as JSON
    lines of [type, value, context].
    """

    recipient: str
    agreement: str
    agreement_version: int
    two_people: bool
    reader: str = ""
    """The named person for whom it is, where it holds RED."""
    bundle: bytes
    manifest: bytes
    lists: dict[str, bytes]
    objects: tuple[StixObject, ...]
    decisions: tuple[Decision, ...]

    @property
    def sha256(self) -> str:
        """The hash that the ledger binds."""
        parts = [self.bundle, self.manifest, *(self.lists[id_] for id_ in sorted(self.lists))]
        return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def prepare(
    subjects: Sequence[Subject],
    terms: Terms,
    *,
    secret: bytes,
    lists: Mapping[str, Sequence[ListRow]] | None = None,
    selection: Collection[str] | None = None,
) -> Release:
    """Judge all `subjects`, and return what of them (of `selection`, ids, if given) leaves for the recipient.

    `subjects` must hold everything here, not only what is meant to leave: what isn't known to the gate can't be
    kept back by it. `lists` are the entries of indicator lists by the list's id. Raises `NotPermittedError`
    where there is no agreement in force.
    """
    agreements = agreement_with(terms.recipient.identity, terms)
    if not agreements:
        raise NotPermittedError(
            f"There is no agreement in force with {terms.recipient.name}. Add one: aleat agreement add FILE."
        )
    closed = close(subjects, decide(subjects, terms), terms, secret=secret)
    counting = [word for subject, word in zip(subjects, closed.decisions, strict=True) if not subject.former]
    closed = Closed(closed.objects, tuple(counting))
    leaves_as = {d.object: str(d.parameters.get("as", d.object)) for d in closed.decisions if d.allow}
    chosen = None if selection is None else {leaves_as[id_] for id_ in selection if id_ in leaves_as}
    objects = [item for item in closed.objects if chosen is None or item.id in chosen]
    beside = {leaves_as[d.object]: d.markings for d in closed.decisions if d.allow}
    objects = _with_definitions(objects, closed.objects, [id_ for item in objects for id_ in beside.get(item.id, ())])
    entries = {
        leaves_as[id_]: list_lines(rows)
        for id_, rows in (lists or {}).items()
        if id_ in leaves_as and (chosen is None or leaves_as[id_] in chosen)
    }
    permitted = {leaves_as[d.object]: d for d in closed.decisions if d.allow}
    parties = (terms.own, terms.recipient.identity)
    reader = terms.reader if any(one.label == "red" for one in permitted.values()) else ""
    manifest = _manifest(objects, permitted, entries, parties, agreements[0].name, agreements[0].version, reader)
    bundle_id = f"bundle--{keyed_uuid(secret, hashlib.sha256(manifest).hexdigest())}"
    decisions = closed.decisions
    if selection is not None:
        decisions = tuple(item for item in decisions if item.object in selection)
    return Release(
        recipient=terms.recipient.identity,
        agreement=agreements[0].name,
        agreement_version=agreements[0].version,
        two_people=agreements[0].two_people,
        reader=reader,
        bundle=make_bundle(objects, id_=bundle_id),
        manifest=manifest,
        lists=entries,
        objects=tuple(objects),
        decisions=decisions,
    )


def prepare_revocation(
    revoked: Sequence[Revoked], *, own: str, recipient: str, agreement: str, agreement_version: int, secret: bytes
) -> Release:
    """Return the release that revokes objects of ours: versions that say nothing which the recipient wasn't given.

    So it needs no rule's leave, nor a second person's; the agreement is named as that under which they were given.
    """
    revoked = sorted(revoked, key=lambda one: (one.object.type, one.object.id))
    objects = [one.object for one in revoked]
    decisions = tuple(
        Decision(
            object=one.source,
            version=one.object.version,
            type=one.object.type,
            digest=one.object.digest,
            allow=True,
            rule="revocation",
            label=strictest_label(effective_markings(one.object, lambda _: None)),
            form="as-is",
            parameters={} if one.object.id == one.source else {"as": one.object.id},
        )
        for one in revoked
    )
    permitted = {one.object.id: decision for one, decision in zip(revoked, decisions, strict=True)}
    manifest = _manifest(objects, permitted, {}, (own, recipient), agreement, agreement_version)
    bundle_id = f"bundle--{keyed_uuid(secret, hashlib.sha256(manifest).hexdigest())}"
    return Release(
        recipient=recipient,
        agreement=agreement,
        agreement_version=agreement_version,
        two_people=False,
        bundle=make_bundle(objects, id_=bundle_id),
        manifest=manifest,
        lists={},
        objects=tuple(objects),
        decisions=decisions,
    )


def _with_definitions(
    objects: Sequence[StixObject], permitted: Sequence[StixObject], beside: Sequence[str]
) -> list[StixObject]:
    """Add the definitions that the objects use, or have `beside` them: permitted ones, published ones, our own."""
    there = {item.id for item in objects}
    used = {uuid for item in objects for uuid in uuids_of(strings_of(item.properties()))}
    used |= uuids_of(beside)
    published = {
        **{item.id: item for item in permitted if item.type in {"marking-definition", "extension-definition"}},
        **dict.fromkeys(published_marking_ids()),
        **{extension_id(name): name for name in extension_names()},
    }
    added: list[StixObject] = []
    for id_, found in sorted(published.items()):
        if id_ in there or id_.rpartition("--")[2] not in used:
            continue
        if isinstance(found, StixObject):
            added.append(found)
        else:
            added.append(marking_definition(id_) if found is None else extension_definition(found))
    return sorted([*objects, *added], key=lambda item: (item.type, item.id))


def _manifest(
    objects: Sequence[StixObject],
    permitted: Mapping[str, Decision],
    lists: Mapping[str, bytes],
    parties: tuple[str, str],
    agreement: str,
    version: int,
    reader: str = "",
) -> bytes:
    content: dict[str, Any] = {
        "format": 1,
        "from": parties[0],
        "to": parties[1],
        "agreement": {"name": agreement, "version": version},
        "objects": [_listed(item, permitted.get(item.id)) for item in objects],
        "lists": [{"id": id_, "sha256": hashlib.sha256(lines).hexdigest()} for id_, lines in sorted(lists.items())],
    }
    return canonical_json(content | {"readers": [reader]} if reader else content)


def _listed(item: StixObject, decision: Decision | None) -> dict[str, Any]:
    """Return an object's row in the manifest: markings that stood beside it here go along, so that none is lost.

    One that is told otherwise than it stands here says so: a cyber observable has no label to say it by itself.
    """
    row = {"id": item.id, "version": item.version, "digest": item.digest, "label": decision.label if decision else None}
    row |= {"form": "told-again"} if decision is not None and decision.form == "told-again" else {}
    return {**row, "markings": list(decision.markings)} if decision is not None and decision.markings else row


def list_lines(rows: Sequence[ListRow]) -> bytes:
    """Return a list's entries as they leave: JSON lines of [type, value, context]."""
    return b"".join(canonical_json(list(row)) + b"\n" for row in rows)
