"""What is publicly known, by name: actors, software, techniques and countermeasures, with who says so.

An index over stored STIX objects, made when it is asked for: names, aliases, and ids of ATT&CK (``T1486``,
``M1053``, ``G0049``) and D3FEND (``D3-FE``) → the objects that bear them, and a technique → what mitigates it. Two
givers of one thing are two entries; nothing is merged or judged here (`aleat.attribution.profiles` does that).

What is revoked, or deprecated by ATT&CK, is found by its id only, and says so. Relations to what isn't there are
passed over. The answer is the same for any order of the objects.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from aleat.store.objects import StoredObject

__all__ = ["NAMED_TYPES", "Mitigation", "Named", "Names", "catalogue_id", "read_names"]

NAMED_TYPES = (
    "attack-pattern", "campaign", "course-of-action", "identity", "intrusion-set", "location", "malware",
    "relationship", "threat-actor", "tool", "x-mitre-tactic",
)  # fmt: skip
"""Types of objects that `read_names` looks at: give these to `iterate_objects`."""

_CATALOGUE = re.compile(r"(?:AML\.)?(?:TA|DET|[A-Z])\d{4}(?:\.\d{3})?|D3-[A-Z0-9]{1,16}")
_ALIASES = ("aliases", "x_mitre_aliases")


class Named(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One object that is known by a name: its STIX id and type, its names, and who says so.

    `catalogue_id` is its id in ATT&CK or D3FEND, or empty; `givers` are names of those who handed it over; `corpus`
    is the public corpus that it is part of, where it is one.
    """

    id: str
    type: str
    name: str
    aliases: tuple[str, ...] = ()
    catalogue_id: str = ""
    description: str = ""
    url: str = ""
    givers: tuple[str, ...] = ()
    corpus: str = ""
    withdrawn: bool = False


class Mitigation(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One countermeasure against one technique: a course of action, and what its relation says about how it helps.

    `technique` is the id that was asked for; `against` the technique that the countermeasure is stated for: the
    same, or the technique that it is part of, where nothing is stated for the sub-technique itself.
    """

    technique: str
    against: str
    action: Named
    description: str = ""


class Names:
    """Objects by their names; made by `read_names`."""

    def __init__(self, named: Iterable[Named], mitigates: Mapping[str, Sequence[tuple[str, str]]]) -> None:
        self._by_id = {one.id: one for one in sorted(named)}
        self._by_name: dict[str, list[str]] = {}
        self._by_catalogue: dict[str, list[str]] = {}
        for one in self._by_id.values():
            if one.catalogue_id:
                self._by_catalogue.setdefault(one.catalogue_id, []).append(one.id)
            for name in {_fold(name) for name in (one.name, *one.aliases) if name and not one.withdrawn}:
                self._by_name.setdefault(name, []).append(one.id)
        self._mitigates = mitigates

    def __len__(self) -> int:
        return len(self._by_id)

    def get(self, id_: str) -> Named | None:
        """Return what has the STIX id `id_`, or None."""
        return self._by_id.get(id_)

    def find(self, text: str) -> tuple[Named, ...]:
        """Return all that `text` names: a STIX id, an id of ATT&CK or D3FEND, a name, or an alias (in any spelling)."""
        text = text.strip()
        ids = dict.fromkeys(
            (
                *([text] if text in self._by_id else []),
                *self._by_catalogue.get(text.upper(), ()),
                *self._by_name.get(_fold(text), ()),
            )
        )
        return tuple(self._by_id[id_] for id_ in ids)

    def technique_name(self, technique: str) -> str:
        """Return the name of a technique by its ATT&CK id, or the empty string where nobody gave it."""
        found = [self._by_id[id_] for id_ in self._by_catalogue.get(technique.upper(), ())]
        named = [one for one in found if one.type == "attack-pattern" and one.name]
        return min(named, key=lambda one: (one.withdrawn, not one.corpus, one)).name if named else ""

    def mitigations_of(self, techniques: Iterable[str]) -> tuple[Mitigation, ...]:
        """Return what mitigates `techniques` (ATT&CK ids, or STIX ids of attack patterns), ordered by technique.

        A sub-technique for which nothing is stated has what is stated for its technique.
        """
        found: set[Mitigation] = set()
        for technique in sorted(set(techniques)):
            for key in (technique, technique.partition(".")[0]):
                stated = {one for id_ in self._techniques(key) for one in self._stated(technique, key, id_)}
                if stated:
                    found |= stated
                    break
        return tuple(sorted(found))

    def _techniques(self, key: str) -> list[str]:
        if key in self._by_id:
            return [key]
        listed = self._by_catalogue.get(key.upper(), ())
        return [id_ for id_ in listed if self._by_id[id_].type == "attack-pattern"]

    def _stated(self, technique: str, against: str, id_: str) -> Iterator[Mitigation]:
        for action, description in self._mitigates.get(id_, ()):
            named = self._by_id.get(action)
            if named is not None and not named.withdrawn:
                yield Mitigation(technique=technique, against=against, action=named, description=description)


def read_names(found: Iterable[StoredObject], *, givers: Mapping[str, str] | None = None) -> Names:
    """Return the index over stored objects (others than `NAMED_TYPES` are passed over), in any order.

    `givers` maps a giver's identity to its name.
    """
    known = givers or {}
    named: list[Named] = []
    mitigates: dict[str, set[tuple[str, str]]] = {}
    for stored in found:
        item = stored.object
        if item.type not in NAMED_TYPES:
            continue
        properties = item.properties()
        if item.type != "relationship":
            named.append(_named(stored, properties, known))
        elif item.relationship_type == "mitigates" and not item.revoked and not _deprecated(properties):
            pair = (str(item.source_ref), item.description or "")
            mitigates.setdefault(str(item.target_ref), set()).add(pair)
    return Names(named, {target: sorted(pairs) for target, pairs in mitigates.items()})


def catalogue_id(properties: Mapping[str, Any]) -> tuple[str, str]:
    """Return an object's id in ATT&CK or D3FEND and the address of its page there, or two empty strings.

    >>> catalogue_id({"external_references": [{"source_name": "mitre-attack", "external_id": "T1486"}]})
    ('T1486', '')
    """
    references = properties.get("external_references")
    for reference in references if isinstance(references, list) else ():
        if isinstance(reference, dict) and str(reference.get("source_name", "")).startswith("mitre"):
            found = str(reference.get("external_id", ""))
            if _CATALOGUE.fullmatch(found):
                return found, str(reference.get("url", ""))
    return "", ""


def _named(stored: StoredObject, properties: Mapping[str, Any], givers: Mapping[str, str]) -> Named:
    item = stored.object
    id_, url = catalogue_id(properties)
    listed = [alias for name in _ALIASES for alias in _texts(properties.get(name))]
    name = item.name or id_ or item.id
    return Named(
        id=item.id,
        type=item.type,
        name=name,
        aliases=tuple(alias for alias in dict.fromkeys(listed) if alias != name),
        catalogue_id=id_,
        description=item.description or "",
        url=url,
        givers=tuple(sorted({givers.get(copy.giver, copy.giver) for copy in stored.copies})),
        corpus=min((copy.corpus for copy in stored.copies if copy.corpus), default=""),
        withdrawn=item.revoked or _deprecated(properties),
    )


def _deprecated(properties: Mapping[str, Any]) -> bool:
    return properties.get("x_mitre_deprecated") is True


def _texts(value: object) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _fold(name: str) -> str:
    folded = "".join(character for character in name.casefold() if character.isalnum())
    return folded or name.strip().casefold()
