"""Makes the objects of `cases.toml`, and asks the whole gate about all of them at once."""

from __future__ import annotations

import hashlib
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from aleat.knowledge.misp.labels import sharing_marking
from aleat.release import Release, Subject, Terms, describe_stored, prepare
from aleat.stix import StixObject, make_object
from aleat.stix.extensions import extend
from aleat.stix.ids import content_id
from aleat.store.objects import Provenance, StoredObject
from aleat.trust.agreements import AllyParty, NamedPerson, OnwardTerm, Permission, ReleaseTerms, fingerprint
from aleat.trust.iep import IEP_EXTENSION
from aleat.trust.markings import marking_id
from tests.release.world import (
    AGREEMENTS,
    CREATED,
    MITRE,
    NOW,
    OURS,
    POLICY,
    SECRET,
    agreement,
    card,
    identity,
    oid,
    terms,
)

RECIPIENTS = ("north", "bank", "west", "sister", "giver", "plain", "reader")
_AS_NORTH = ("plain", "reader", "unnamed", "rekeyed")
HOST = "dc01.inside.example.org"
_OBSERVABLES = {"ipv4-addr", "network-traffic", "process", "user-account", "windows-registry-key"}
_FILE = Path(__file__).with_name("cases.toml")
_TLP1 = {
    "white": "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9",
    "green": "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da",
    "amber": "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82",
    "red": "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed",
}
_ALIAS = "marking-definition--826578e1-40ad-459f-bc73-ede076f81f37"
_UNKNOWN = "marking-definition--0a6fdd7d-58c4-4a4e-9f0c-0f6a8a0b1c2d"
_ACS = "extension-definition--3a65884d-005a-4290-8335-cb2d778a83ce"
_OPEN = {
    "iep_version": 2.0,
    "name": "A policy",
    "start_date": "2022-01-01T00:00:00Z",
    "encrypt_in_transit": "may",
    "permitted_actions": "externally-visible-direct-actions",
    "affected_party_notifications": "may",
    "tlp": "white",
    "provider_attribution": "may",
    "unmodified_resale": "must-not",
}
_POLICIES: dict[str, dict[str, Any]] = {
    "clear": {},
    "encrypted": {"encrypt_in_transit": "must"},
    "amber": {"tlp": "amber"},
    "red": {"tlp": "red"},
    "over": {"end_date": "2022-09-19T00:00:00Z"},
    "future": {"start_date": "2022-09-21T00:00:00Z"},
    "instruction": {"permitted_actions": "contact-for-instruction"},
    "none": {"permitted_actions": "none"},
    "unnamed": {"provider_attribution": "must-not"},
    "named": {"provider_attribution": "must"},
    "quiet": {"affected_party_notifications": "must-not"},
    "version": {"iep_version": 3.0},
}


def _definition(name: str, **properties: Any) -> StixObject:
    return make_object("marking-definition", oid("marking-definition", name), created=CREATED, **properties)


def _statement(name: str, text: str) -> StixObject:
    return _definition(name, definition_type="statement", definition={"statement": text})


def _group(*names: str) -> StixObject:
    """As the MISP reader makes it of a sharing group."""
    members = [{"Organisation": {"uuid": identity(name).partition("--")[2], "name": name}} for name in names]
    uuid = oid("x", "+".join(names)).partition("--")[2]
    group = {"uuid": uuid, "name": " and ".join(names), "active": True, "SharingGroupOrg": members}
    found = sharing_marking({"distribution": "4", "sharing_group_id": "3", "SharingGroup": group})
    assert found is not None
    return found


def _forged() -> StixObject:
    """A group's definition with west among its members, under the id of the one without."""
    fuller = _group("north", "west").properties()
    return make_object(
        "marking-definition",
        content_id("marking-definition", "forged"),
        created=CREATED,
        name="x",
        extensions=fuller["extensions"],
    )


def _own_only() -> StixObject:
    found = sharing_marking({"distribution": "0"})
    assert found is not None
    return found


DEFINED: dict[str, StixObject] = {
    "statement": _statement("statement", "Copyright 2022, somebody."),
    "unused": _statement("unused", "Copyright 2021, nobody."),
    "held": _statement("held", "Copyright 2020, somebody else."),
    "classified": _statement("classified", "SECRET//REL TO XYZ"),
    "acs": _definition("acs", extensions={_ACS: {"extension_type": "property-extension", "x": "U"}}),
    "misp:own": _own_only(),
    "misp:north": _group("north"),
    "misp:north+bank": _group("north", "bank"),
    "misp:forged": _forged(),
} | {
    f"iep:{name}": _definition(
        f"iep:{name}", extensions={IEP_EXTENSION: {"extension_type": "property-extension", **_OPEN, **said}}
    )
    for name, said in _POLICIES.items()
}
_BY_ID = {item.id: item for item in DEFINED.values()}


def mark(name: str) -> str:
    """The id of a marking of the table."""
    if name in DEFINED:
        return DEFINED[name].id
    if name in {"alias", "unknown"}:
        return _ALIAS if name == "alias" else _UNKNOWN
    if name.startswith("tlp1:"):
        return _TLP1[name.removeprefix("tlp1:")]
    return marking_id(name if ":" in name else f"tlp:{name}")


class Case(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One row of the table."""

    name: str
    marks: tuple[str, ...] = ()
    type: str = "malware"
    by: str = "ours"
    givers: tuple[str, ...] | None = None
    originator: str = ""
    beside: tuple[str, ...] = ()
    part: str = ""
    labels: tuple[str, ...] = ()
    hold: str = ""
    corpus: str = ""
    permitted: dict[str, tuple[str, ...]] = {}
    stricter: str = ""
    refers: dict[str, Any] = {}
    says: str = ""
    called: str = ""
    called_plainly: str = ""
    rests_on: tuple[str, ...] = ()
    same_as: str = ""
    properties: dict[str, Any] = {}
    outage: dict[str, str] = {}
    keeps: tuple[str, ...] = ()
    """What of it stands in nothing of ours that leaves, whatever the decision; "name" is its name."""
    definition: str = ""
    all: str = ""
    north: str = ""
    bank: str = ""
    west: str = ""
    sister: str = ""
    giver: str = ""
    plain: str = ""
    reader: str = ""

    def expected(self, recipient: str) -> str:
        """The decision for a recipient, as it was written beforehand.

        `plain` is north by a way without TLS, `reader` a person of north's whom the agreement names for RED.
        """
        said = getattr(self, recipient) or (self.north if recipient in _AS_NORTH else "")
        return str(said or self.all)

    @property
    def word(self) -> str:
        """A name that occurs in no other."""
        return "x" + hashlib.sha256(self.name.encode()).hexdigest()[:16]

    @property
    def id(self) -> str:
        """The object's id."""
        if self.definition:
            return DEFINED[self.definition].id
        return oid(self.type, self.same_as or self.name)


@cache
def read_cases() -> tuple[Case, ...]:
    """Every row, in the file's order."""
    document = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    return tuple(msgspec.convert(row, Case) for row in document["case"])


def _id_of(name: str) -> str:
    return next(case.id for case in read_cases() if case.name == name)


def _word_of(name: str) -> str:
    return next(case.word for case in read_cases() if case.name == name)


def _object(case: Case, marks: tuple[str, ...]) -> StixObject:
    properties: dict[str, Any] = {"description": "What it is."}
    if case.type == "malware":
        properties["is_family"] = True
    if case.type == "report":
        properties["published"] = CREATED
    if case.type == "relationship":
        properties["relationship_type"] = "related-to"
    properties |= case.properties
    if case.outage:
        properties["extensions"] = extend("outage", {"service": "portal", "cause": "maintenance", **case.outage})
    for name, target in case.refers.items():
        properties[name] = [_id_of(one) for one in target] if isinstance(target, list) else _id_of(target)
    if case.type == "note":
        content = properties.get("content", f"Beware of {_word_of(case.says or case.name)} today.")
        more = {name: value for name, value in properties.items() if name == "extensions"}
        properties = {"content": content, "object_refs": properties["object_refs"], **more}
    elif case.type != "relationship":
        properties["name"] = case.called_plainly or (f"like {_word_of(case.called)}" if case.called else case.word)
    if case.part:
        properties["granular_markings"] = [{"selectors": ["description"], "marking_ref": mark(case.part)}]
    if case.labels:
        properties["labels"] = list(case.labels)
    by = {"": None, "mitre": MITRE}.get(case.by, identity(case.by))
    if case.type in _OBSERVABLES:
        properties |= {"account_login": case.word} if case.type == "user-account" else {}
        properties = {name: value for name, value in properties.items() if name not in {"name", "description"}}
        return make_object(case.type, case.id, markings=[mark(name) for name in marks], **properties)
    made = CREATED.replace(day=1 if not case.same_as else 2, year=2022 if not case.same_as else 2021)
    return make_object(
        case.type,
        case.id,
        created=made,
        created_by_ref=by,
        markings=[mark(name) for name in marks],
        **properties,
    )


def _copies(case: Case) -> tuple[Provenance, ...]:
    copies: list[Provenance] = []
    for entry in (case.by,) if case.givers is None else case.givers:
        giver, _, label = entry.partition(":")
        beside = (*case.beside, *([label] if label else []))
        copies.append(
            Provenance(
                giver=identity(giver),
                received=NOW,
                markings=tuple(mark(name) for name in beside),
                originator=identity(case.originator) if case.originator else None,
                corpus="mitre-attack" if case.corpus else None,
                corpus_basis=case.corpus or None,
            )
        )
    return tuple(copies)


def make_subject(case: Case) -> Subject:
    """What the gate is asked of a row."""
    if case.definition:
        item = DEFINED[case.definition]
        return describe_stored(StoredObject(item, _copies(Case(name="x"))), _BY_ID, POLICY)
    variants = []
    if case.stricter:
        strict = Provenance(giver=identity(case.by), received=NOW)
        variants = [StoredObject(_object(case, (case.stricter,)), (strict,))]
    stored = StoredObject(_object(case, case.marks), _copies(case))
    subject = describe_stored(stored, _BY_ID, POLICY, variants=variants)
    return msgspec.structs.replace(subject, rests_on=frozenset(_id_of(name) for name in case.rests_on))


@cache
def make_subjects() -> tuple[Subject, ...]:
    """Every row's subject, in order, then the definitions that no row is about."""
    rows = [make_subject(case) for case in read_cases()]
    told = {case.definition for case in read_cases()}
    more = [make_subject(Case(name=name, definition=name)) for name in DEFINED if name not in told]
    return (*rows, *more)


def terms_for(recipient: str) -> Terms:
    """The terms for one of the recipients; all agreements are in force."""
    giver = (
        OnwardTerm(labels=("green",), communities=("csirts",)),
        OnwardTerm(labels=("amber",), to=(identity("west"),)),
        OnwardTerm(labels=("amber", "amber+strict")),
    )
    everything = OnwardTerm(labels=("clear", "green", "amber", "amber+strict"))
    people = (NamedPerson(name="Nora", red=True), NamedPerson(name="Nils"))
    known_by = fingerprint(card("bank" if recipient == "rekeyed" else "north"))
    north = AllyParty(identity=identity("north"), organisation="North", fingerprint=known_by, people=people)
    agreements = (
        agreement("with-north", "north", communities=("csirts",), ally=(north,)),
        *(item for item in AGREEMENTS if item.name not in {"with-giver", "with-north"}),
        agreement("with-giver", "giver", communities=("csirts",), onward=giver),
        agreement("with-west", "west", release=ReleaseTerms(labels=("clear", "green"), threshold=5, victims="none")),
        agreement("with-kin", "kin", onward=(everything,)),
        agreement("with-mute", "mute", communities=("csirts",)),
    )
    permissions = [
        Permission(
            id=f"permission-{who}-{to}-{case.word}",
            originator=identity(who),
            recipient=identity(to),
            objects=frozenset({case.id}),
            valid_from=NOW.date(),
            valid_until=NOW.date(),
        )
        for case in read_cases()
        for who, recipients in case.permitted.items()
        for to in recipients
    ]
    holds = {case.id: (case.hold,) for case in read_cases() if case.hold}
    return terms(
        "north" if recipient in _AS_NORTH else recipient,
        reader={"reader": "Nora", "plain": "Nora", "unnamed": "Nils"}.get(recipient, ""),
        channel="plain" if recipient == "plain" else "sealed",
        agreements=agreements,
        permissions=tuple(permissions),
        holds=holds,
        own_names=frozenset({"ours"}),
        internal_words=frozenset({HOST}),
        makers=frozenset(case.id for case in read_cases() if case.type == "identity"),
    )


@cache
def _kept() -> dict[str, str]:
    """What is in nothing of ours that leaves, with its case's name."""
    return {case.word if word == "name" else word: case.name for case in read_cases() for word in case.keeps}


def told_after_all(recipient: str) -> list[str]:
    """What the agreement keeps here, and stands in an object of ours that leaves all the same."""
    ours = [item for item in release_to(recipient).objects if item.created_by_ref in {None, OURS}]
    text = "\n".join(item.content.decode() for item in ours)
    return [f"{name}: {word}" for word, name in _kept().items() if word in text]


def release_to(recipient: str) -> Release:
    """What the whole gate gives a recipient of all of it."""
    return prepare(make_subjects(), terms_for(recipient), secret=SECRET)


def differences() -> list[str]:
    """Where the gate decides otherwise than the table says: nothing, unless a rule is missing."""
    found: list[str] = []
    for recipient in RECIPIENTS:
        decisions = release_to(recipient).decisions
        for case, decision in zip(read_cases(), decisions, strict=False):
            said = f"{'+' if decision.allow else '-'}{decision.rule}"
            if said != case.expected(recipient):
                found.append(f"{case.name} to {recipient}: {said}, not {case.expected(recipient)}")
        found += [f"{words} is told to {recipient}" for words in told_after_all(recipient)]
    return found


assert identity("ours") == OURS
