"""A small world of marked objects for the gate's tests: four teams, their agreements, and makers of objects.

We are *ours* (a national team). *North* is an ally with a bilateral agreement, *bank* a client in our
constituency, *sister* a part of our own organisation; *giver* gives us things, *third* is somebody whose things
the giver passes on.
"""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime
from typing import Any

import msgspec

from aleat.release import CopyFacts, Subject, Terms, describe_stored
from aleat.stix import StixObject, make_object
from aleat.store.objects import Provenance, StoredObject
from aleat.trust.agreements import Agreement, AllyCard, Label, OnwardTerm, Permission, ReleaseTerms
from aleat.trust.corpora import parse_policy, policy_bytes
from aleat.trust.keys import AgeKey, SigningKey
from aleat.trust.markings import marking_definition, marking_id

NOW = datetime(2022, 9, 20, 12, 0, tzinfo=UTC)
CREATED = datetime(2022, 9, 1, tzinfo=UTC)
SECRET = b"a secret of thirty-two bytes, ok"
POLICY = parse_policy(policy_bytes())


def identity(name: str) -> str:
    """The identity id of a team in this world."""
    return f"identity--{uuid.uuid5(uuid.NAMESPACE_DNS, name)}"


OURS, NORTH, BANK, SISTER = identity("ours"), identity("north"), identity("bank"), identity("sister")
GIVER, THIRD = identity("giver"), identity("third")
MITRE = "identity--c78cb6e5-0c4b-4611-8297-d1b8b55e40b5"

_KEY = SigningKey.generate().public.text
_AGE = AgeKey.generate().recipient


def card(name: str) -> AllyCard:
    """An ally's card."""
    return AllyCard(
        identity=identity(name),
        name=name,
        organisation=name.title(),
        signing_key=_KEY,
        age_recipient=_AGE,
        issued="2022-09-01T00:00:00.000Z",
    )


def agreement(name: str, other: str, **changes: Any) -> Agreement:
    """A bilateral agreement of ours with `other`, in force in September 2022."""
    values: dict[str, Any] = {
        "format": 1,
        "name": name,
        "version": 1,
        "kind": "bilateral",
        "parties": (OURS, identity(other)),
        "valid_from": date(2022, 9, 1),
        "valid_until": date(2022, 12, 31),
        "purposes": ("incident-response",),
        "release": ReleaseTerms(labels=("clear", "green", "amber", "amber+strict"), default_label="amber"),
    }
    return msgspec.convert(msgspec.to_builtins({**values, **changes}), Agreement)


AGREEMENTS = (
    agreement("with-north", "north", communities=("csirts",)),
    agreement("with-bank", "bank", relation="constituent"),
    agreement("with-sister", "sister", relation="own-organisation"),
    agreement(
        "with-giver",
        "giver",
        communities=("csirts",),
        onward=(
            OnwardTerm(labels=("green",), communities=("csirts",)),
            OnwardTerm(labels=("amber", "amber+strict")),
        ),
    ),
)


def terms(recipient: str, **changes: Any) -> Terms:
    """The terms for a release to `recipient`."""
    values: dict[str, Any] = {
        "own": OURS,
        "own_names": frozenset({"ours"}),
        "recipient": card(recipient),
        "agreements": AGREEMENTS,
        "reference_time": NOW,
        "ally_names": {"giver": GIVER, "north": NORTH},
    }
    return Terms(**{**values, **changes})


def permission(originator: str, recipient: str, *objects: str) -> Permission:
    """An originator's leave for September."""
    return Permission(
        id="permission-1",
        originator=identity(originator),
        recipient=identity(recipient),
        objects=frozenset(objects),
        valid_from=date(2022, 9, 1),
        valid_until=date(2022, 9, 30),
    )


def oid(type_: str, name: str) -> str:
    """A version-4-looking id that follows from a name."""
    return f"{type_}--{uuid.UUID(bytes=uuid.uuid5(uuid.NAMESPACE_DNS, name).bytes, version=4)}"


def made(type_: str, name: str, by: str | None = None, *labels: str, **properties: Any) -> StixObject:
    """An object; `labels` are TLP words or marking ids."""
    markings = [label if "--" in label else marking_id(f"tlp:{label}") for label in labels]
    if type_ == "malware":
        properties = {"is_family": True, **properties}
    if type_ == "indicator":
        properties = {
            "pattern": f"[domain-name:value = '{name}.example']",
            "pattern_type": "stix",
            "valid_from": CREATED,
            **properties,
        }
    if type_ not in {"relationship", "sighting", "note"}:
        properties = {"name": name, **properties}
    return make_object(type_, oid(type_, name), created=CREATED, created_by_ref=by, markings=markings, **properties)


def stored(item: StixObject, *givers: str, beside: tuple[str, ...] = (), **provenance: Any) -> StoredObject:
    """The object as several gave it."""
    copies = tuple(
        Provenance(
            giver=giver, received=NOW, markings=tuple(marking_id(f"tlp:{label}") for label in beside), **provenance
        )
        for giver in givers
    )
    return StoredObject(item, copies)


DEFINITIONS = {
    id_: marking_definition(id_)
    for id_ in (marking_id(f"tlp:{level}") for level in ("clear", "green", "amber", "amber+strict", "red"))
}


def subject(item: StoredObject, definitions: dict[str, StixObject] | None = None, **more: Any) -> Subject:
    """What the gate is asked."""
    return describe_stored(item, {**DEFINITIONS, **(definitions or {})}, POLICY, ally_names={"giver": GIVER}, **more)


def own_subject(item: StixObject, label: Label | None = None, *, derived: bool = False, **more: Any) -> Subject:
    """An object of ours, stated unless `derived`."""
    facts = CopyFacts(giver=OURS, originators=frozenset({OURS}), label=label)
    return Subject(object=item, copies=(facts,), derived=derived, **more)
