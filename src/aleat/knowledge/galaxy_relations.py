"""What a galaxy says between things: clusters' relations, suspected sponsors, origins and victims → relationships.

Nothing here is told as a fact. A relationship says in its extension ``galaxy`` where it stood, in which words, how
sure its author calls it, and that a sponsor, an origin or a victim is *suspected*.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from aleat.knowledge.countries import country_code, location_of, sector_of, state_of
from aleat.knowledge.galaxies import Galaxy, galaxy_table, texts
from aleat.knowledge.items import UNDATED
from aleat.stix import StixObject, content_id, make_object

__all__ = ["Related", "cluster_relations", "suspicions"]

_LIKELIHOOD = re.compile(r'estimative-language:likelihood-probability="([a-z-]{1,40})"')
_MANY = re.compile(r"\s*[,;/]\s*")

Resolver = Callable[[str], str | None]
"""Gives the STIX id of the cluster with a uuid, or None where it isn't known."""


class Related(msgspec.Struct, frozen=True):
    """What a cluster's relations became: relationships, and how many lead to clusters that aren't here."""

    relationships: tuple[StixObject, ...]
    unknown: int


def cluster_relations(galaxy: Galaxy, cluster: Mapping[str, Any], resolve: Resolver) -> Related:
    """Return the relationships that a cluster's ``related`` says, each pair and type once."""
    source = galaxy.cluster_id(cluster)
    said: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    unknown = 0
    related = cluster.get("related")
    for one in related if isinstance(related, list) else ():
        target = resolve(str(one.get("dest-uuid", "")).lower()) if isinstance(one, dict) else None
        if target is None:
            unknown += 1
        elif target != source:
            said.setdefault(_relation(str(one.get("type", "")).strip(), source, target), []).append(one)
    made = [_related(galaxy, key, entries) for key, entries in sorted(said.items())]
    return Related(tuple(made), unknown)


def suspicions(galaxy: Galaxy, cluster: Mapping[str, Any]) -> Iterator[StixObject]:
    """Yield what a cluster's meta suspects of an actor: states, places and sectors, and the relationships to them."""
    meta = cluster.get("meta")
    if not isinstance(meta, dict) or galaxy.cluster_type(cluster) != "threat-actor":
        return
    names = galaxy_table()["meta"]
    confidence = _confidence(meta.get(names["confidence"]))
    found: dict[str, StixObject] = {}
    said: dict[tuple[str, str], dict[str, list[str]]] = {}

    def suspect(kind: str, thing: StixObject | None, field: str, text: str) -> None:
        if thing is not None:
            found[thing.id] = thing
            said.setdefault((kind, thing.id), {}).setdefault(field, []).append(text)

    for field in names["sponsor"]:
        for text in _names_of_states(meta.get(field)):
            suspect("attributed-to", _state(text), field, text)
    for kind, fields in (("located-at", names["origin"]), ("targets", names["victims"])):
        for field in fields:
            for text in texts(meta.get(field)):
                suspect(kind, location_of(text), field, text)
    for field in names["sectors"]:
        for text in dict.fromkeys(texts(meta.get(field))):
            suspect("targets", sector_of(text), field, text)
    yield from (found[id_] for id_ in sorted(found))
    for (kind, target), fields in sorted(said.items()):
        for field, values in sorted(fields.items()):
            sure = confidence if kind != "targets" else None
            yield _suspected(galaxy, (kind, galaxy.cluster_id(cluster), target), field, values, sure)


def _state(text: str) -> StixObject | None:
    code = country_code(text)
    return state_of(code) if code is not None else None


def _names_of_states(value: object) -> list[str]:
    """Return the names in a field: as written where that is a state's name (some have commas), else its parts.

    Where a part says more than a state ("…, Financially motivated"), the field names no sponsor.
    """
    found: list[str] = []
    for text in texts(value):
        parts = [text] if country_code(text) else _MANY.split(text)
        if all(map(country_code, parts)):
            found += parts
    return found


def _confidence(value: object) -> int | None:
    text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return int(text) if re.fullmatch(r"\d{1,3}", text) and int(text) <= 100 else None


def _relation(said: str, source: str, target: str) -> tuple[str, str, str]:
    """Return (type, source, target) as STIX foresees it between these types of object; else ``related-to``."""
    table = galaxy_table()
    word = table["relations"].get(said.lower(), "")
    ends = (target, source) if word.startswith("<") else (source, target)
    word = word.removeprefix("<")
    first, second = (end.partition("--")[0] for end in ends)
    between = table["between"].get(word, ())
    if f"{first} {second}" in between or ("* =" in between and first == second):
        return (word, *ends)
    return ("related-to", source, target)


def _related(galaxy: Galaxy, key: tuple[str, str, str], entries: list[Mapping[str, Any]]) -> StixObject:
    words = sorted({one[1] for entry in entries for tag in texts(entry.get("tags")) if (one := _likely(tag))})
    table = galaxy_table()["likelihood"]
    extension = galaxy.extension(
        field="related", said=sorted({str(entry.get("type", ""))[:100] for entry in entries}), likelihood=words
    )
    return _relationship(galaxy, key, "related", extension, min((table[word] for word in words), default=None))


def _likely(tag: str) -> re.Match[str] | None:
    found = _LIKELIHOOD.fullmatch(tag)
    return found if found and found[1] in galaxy_table()["likelihood"] else None


def _suspected(
    galaxy: Galaxy, key: tuple[str, str, str], field: str, values: list[str], confidence: int | None
) -> StixObject:
    extension = galaxy.extension(field=field, said=sorted(set(values)), suspected=True)
    return _relationship(galaxy, key, field, extension, confidence)


def _relationship(
    galaxy: Galaxy, key: tuple[str, str, str], field: str, extension: dict[str, Any], confidence: int | None
) -> StixObject:
    kind, source, target = key
    return make_object(
        "relationship",
        content_id("relationship", ["misp-galaxy", galaxy.uuid, field, kind, source, target]),
        created=UNDATED,
        modified=galaxy.modified,
        created_by_ref=galaxy.identity.id,
        relationship_type=kind,
        source_ref=source,
        target_ref=target,
        confidence=confidence,
        external_references=[
            {"source_name": "misp-galaxy", "description": f"{galaxy.name}, version {galaxy.version or 'unknown'}"}
        ],
        extensions=extension,
    )
