"""Markings as facts: what a marking definition says, and which markings an object or a part of it has.

Not here: what a marking *allows*. TLP says what a recipient may do with what a source gave it; the decision
is the gate's (`aleat.release`), which has the agreement, the recipient and the originator too.

Known ids are known by this file's table alone: an object that came in can't redefine them. A definition that
says "tlp" under another id is not TLP (STIX 2.1 §7.2.1.4: no others may be made), and counts as unknown, as
does a marking whose definition isn't there. A statement whose text is a classification counts as classified, and so
does a structured marking that carries one: a state's access control (ACS), a classification by its kind or its words.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import msgspec

from aleat.errors import TrustError
from aleat.stix.extensions import extend, read_extension
from aleat.stix.ids import is_content_id
from aleat.stix.objects import StixObject, make_object
from aleat.stix.times import parse_timestamp
from aleat.trust.iep import Policy, read_policy

__all__ = [
    "EffectiveMarkings",
    "Marking",
    "MarkingKind",
    "PartMarking",
    "effective_markings",
    "known_marking_ids",
    "marking_definition",
    "marking_id",
    "published_marking_ids",
    "read_marking",
    "says_classification",
    "strictest_pap",
    "tell_definition",
]

MarkingKind = Literal["tlp", "pap", "statement", "classified", "distribution", "iep", "unknown"]

Resolver = Callable[[str], StixObject | None]
"""Gives the marking definition with an id, or None where it isn't there."""


class Marking(msgspec.Struct, frozen=True, order=True):
    """What one marking definition says.

    `kind` "tlp" and "pap" have a `level` ("clear", "green", "amber", "amber+strict", "red"; white is clear) and
    the `version` of the scheme; a "statement" or "classified" one has its `text`. An "iep" one has its `policy`, a
    "distribution" the `organisations` (STIX identity ids) that its giver named, none where it stays in one
    organisation. "unknown" is everything whose meaning isn't known here, `text` the name it gives itself.
    """

    id: str
    kind: MarkingKind
    level: str = ""
    version: str = ""
    text: str = ""
    organisations: tuple[str, ...] = ()
    policy: Policy | None = None

    @property
    def name(self) -> str:
        """What people call it: ``TLP:AMBER+STRICT``, ``PAP:RED``, or the text it carries."""
        if self.kind in {"tlp", "pap"}:
            level = "white" if self.version == "1.0" and self.level == "clear" else self.level
            return f"{self.kind.upper()}:{level.upper()}"
        return self.text or self.id


class PartMarking(msgspec.Struct, frozen=True):
    """A marking on parts of an object; `selectors` are those of STIX 2.1 §7.2.3."""

    marking: Marking
    selectors: tuple[str, ...]


class EffectiveMarkings(msgspec.Struct, frozen=True):
    """All markings that apply to one copy of an object: to the whole of it, and to parts."""

    whole: tuple[Marking, ...]
    parts: tuple[PartMarking, ...] = ()

    @property
    def all(self) -> tuple[Marking, ...]:
        """Every marking once, ordered by id."""
        return tuple(sorted({*self.whole, *(part.marking for part in self.parts)}))


def marking_id(name: str) -> str:
    """Return the id of the marking definition that people call `name`; an id is returned as it is.

    Raises `TrustError` where there is no such label.

    >>> marking_id("tlp:amber+strict")
    'marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003'
    """
    text = name.strip().lower()
    if text.startswith("marking-definition--"):
        return text
    table = _table()
    scheme, _, level = text.partition(":")
    found = None
    if scheme == "tlp":
        found = table["tlp2"].get(level) or table["tlp1"].get(level)
    elif scheme == "pap":
        found = table["pap"].get(level)
    if found is None:
        raise TrustError(
            f"{name[:60]!r} is no label. Known are tlp:clear, tlp:green, tlp:amber, tlp:amber+strict, tlp:red, "
            "tlp:white, pap:clear, pap:white, pap:green, pap:amber, pap:red, and the id of a marking definition."
        )
    return str(found)


def known_marking_ids() -> frozenset[str]:
    """Return the ids of all marking definitions whose meaning is fixed."""
    return frozenset(_known())


def published_marking_ids() -> frozenset[str]:
    """Return those of `known_marking_ids` that are written too: aliases of other products are only read."""
    return known_marking_ids() - frozenset(_table()["aliases"])


def strictest_pap(ids: Iterable[str]) -> str:
    """Return the strictest PAP level among markings ("red", "amber", "green", "clear"), "" where there is none.

    PAP says what may be *done* with something, by ourselves too; it decides nothing about who may have it.
    """
    levels = {marking.level for id_ in ids if (marking := _known().get(id_)) is not None and marking.kind == "pap"}
    return next((level for level in ("red", "amber", "green", "clear") if level in levels), "")


def read_marking(id_: str, definition: StixObject | None) -> Marking:
    """Return what the marking definition `id_` says; `definition` is its object, where that is there."""
    if id_ in _known():
        return _known()[id_]
    if definition is None or definition.type != "marking-definition" or definition.id != id_:
        return Marking(id_, "unknown")
    properties = definition.properties()
    content = properties.get("definition")
    if definition_is_statement(properties) and isinstance(content, dict):
        text = str(content.get("statement", ""))
        return Marking(id_, "classified" if _classified().search(text) else "statement", text=text)
    classification = _classification(properties)
    if classification is not None:
        return Marking(id_, "classified", text=definition.name or classification)
    return _structured(definition, definition.name or "")


def _structured(definition: StixObject, name: str) -> Marking:
    """Return what a marking with a structure of its own says: a policy, a distribution, or nothing that is known."""
    id_ = definition.id
    if (policy := read_policy(definition)) is not None:
        return Marking(id_, "iep", policy.tlp, "2.0", name, policy=policy)
    if (facts := _distribution(definition)) is not None:
        return Marking(id_, "distribution", text=name, organisations=_organisations(definition, facts))
    return Marking(id_, "unknown", text=name)


def tell_definition(definition: StixObject) -> StixObject:
    """Return a marking definition as it may be told: one of a sharing group without its name and its members.

    Who is in a group is no business of who gets an object. Without them the marking names nobody: what bears it
    stays with whoever gets it.
    """
    if definition.type != "marking-definition" or (facts := _distribution(definition)) is None:
        return definition
    if facts["distribution"] != 4:
        return definition
    properties = definition.properties()
    created = properties.get("created")
    return make_object(
        "marking-definition",
        definition.id,
        created=parse_timestamp(str(created)),
        name="MISP sharing group",
        extensions=extend("misp", {"kind": "marking", "distribution": 4}),
    )


def _distribution(definition: StixObject) -> dict[str, Any] | None:
    """Return what a marking of MISP's own says of distribution, else None."""
    extensions = definition.properties().get("extensions")
    if not isinstance(extensions, dict) or len(extensions) != 1:
        return None
    facts = read_extension(definition, "misp")
    if facts is None or facts.get("kind") != "marking" or facts.get("distribution") not in (0, 4):
        return None
    return facts


def _organisations(definition: StixObject, facts: dict[str, Any]) -> tuple[str, ...]:
    """Return the identities of a sharing group's organisations, if its id says that they are the ones MISP named."""
    found = facts.get("organisations")
    if facts["distribution"] != 4 or not isinstance(found, list):
        return ()
    said = {name: value for name, value in facts.items() if name != "kind"}
    if not is_content_id(definition.id, ["misp", "sharing group", said]):
        return ()
    return tuple(sorted({f"identity--{text.lower()}" for text in found if isinstance(text, str)}))


def definition_is_statement(properties: dict[str, Any]) -> bool:
    """Tell whether a marking definition is a statement and nothing else."""
    return properties.get("definition_type") == "statement" and not properties.get("extensions")


def _classification(properties: dict[str, Any]) -> str | None:
    """Return what a structured marking calls its classification, or None where it is none that is known here.

    A state's access control in an extension, a kind of definition that is one by its name, a property that says one,
    or a classification's words anywhere in it. Where it is none of these it stays unknown, which blocks too.
    """
    table = _table()["classified"]
    extensions = properties.get("extensions")
    for id_ in extensions if isinstance(extensions, dict) else ():
        if id_ in table["extensions"]:
            return str(table["extensions"][id_])
    kind = str(properties.get("definition_type", ""))
    if kind.lower() in table["types"]:
        return kind
    for name, text in _texts_of({name: properties.get(name) for name in ("name", "definition", "extensions")}):
        named = name.lower() in table["properties"] and text.strip().lower() not in table["none"]
        if named or _classified().search(text):
            return text[:200]
    return None


def _texts_of(value: Any) -> Iterator[tuple[str, str]]:
    """Yield (property, text) of all texts within a JSON value; how deep that is was bounded when it was parsed."""
    pending: list[tuple[str, Any]] = [("", value)]
    while pending:
        name, inner = pending.pop()
        if isinstance(inner, str):
            yield name, inner
        elif isinstance(inner, dict):
            pending += [(str(key), item) for key, item in sorted(inner.items(), reverse=True)]
        elif isinstance(inner, list):
            pending += [(name, item) for item in reversed(inner)]


def effective_markings(item: StixObject, resolver: Resolver, *, beside: Iterable[str] = ()) -> EffectiveMarkings:
    """Return the markings of one copy of `item`: its own, those on its parts, and those `beside` it.

    `beside` are ids that its container, or whoever added it, put on this copy (`Provenance.markings`).
    A granular marking on a whole property or below is kept as the part it names; nothing is merged away.
    """
    refs = dict.fromkeys((*item.object_marking_refs, *beside))
    whole = tuple(sorted(read_marking(ref, resolver(ref)) for ref in refs))
    parts = tuple(
        PartMarking(read_marking(part.marking_ref, resolver(part.marking_ref)), part.selectors)
        for part in item.granular_markings
        if part.marking_ref
    )
    return EffectiveMarkings(whole, parts)


def says_classification(text: str) -> bool:
    """Tell whether a text has the words of a state's or an alliance's classification, as these are written."""
    return _classified().search(text) is not None


def marking_definition(id_: str) -> StixObject:
    """Return the published object of a known marking definition; raises `TrustError` for any other id."""
    marking = _known().get(id_)
    table = _table()
    if marking is None or id_ in table["aliases"]:
        raise TrustError(f"{id_} is not one of the published marking definitions.")
    if marking.kind == "tlp" and marking.version == "1.0":
        return make_object(
            "marking-definition",
            id_,
            created=parse_timestamp(table["tlp1_created"]),
            definition_type="tlp",
            name=marking.name,
            definition={"tlp": marking.name.removeprefix("TLP:").lower()},
        )
    extension, key = (table["tlp2_extension"], "tlp_2_0") if marking.kind == "tlp" else (table["pap_extension"], "pap")
    word = next(word for word, known in table["tlp2" if marking.kind == "tlp" else "pap"].items() if known == id_)
    return make_object(
        "marking-definition",
        id_,
        created=parse_timestamp(table["tlp2_created" if marking.kind == "tlp" else "pap_created"]),
        name=f"{marking.kind.upper()}:{word.upper()}",
        extensions={extension: {"extension_type": "property-extension", key: word}},
    )


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(files("aleat.trust").joinpath("markings.toml").read_text(encoding="utf-8"))


@cache
def _known() -> dict[str, Marking]:
    table = _table()
    plain = {"white": "clear"}
    known = {id_: Marking(id_, "tlp", level, "2.0") for level, id_ in table["tlp2"].items()}
    known |= {id_: Marking(id_, "tlp", plain.get(level, level), "1.0") for level, id_ in table["tlp1"].items()}
    known |= {id_: Marking(id_, "pap", plain.get(level, level)) for level, id_ in table["pap"].items()}
    return known | {id_: Marking(id_, "tlp", level, "2.0") for id_, level in table["aliases"].items()}


@cache
def _classified() -> re.Pattern[str]:
    words = "|".join(re.escape(word) for word in _table()["classified"]["words"])
    return re.compile(rf"(?<!\w)(?:{words})(?!\w)")
