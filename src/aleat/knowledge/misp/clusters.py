"""Clusters of MISP's galaxies, as an event carries them: threat actors, techniques, malware … with their own UUIDs.

What an event says of a cluster is a copy of its galaxy's text. Its object depends on the cluster alone: two events
with the same version of a cluster tell the same object. It has the id that the galaxy itself gives the cluster
(`aleat.knowledge.galaxies`); its version counts in microseconds: the galaxy's own, in seconds, stands before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from aleat.knowledge.countries import country_code
from aleat.knowledge.galaxies import Kind, kind_of
from aleat.knowledge.items import UNDATED, KnowledgeItem
from aleat.knowledge.misp.fields import identifier, objects_in, text
from aleat.knowledge.misp.kept import dump, split_local
from aleat.knowledge.misp.labels import sharing_marking
from aleat.stix.extensions import extend
from aleat.stix.ids import content_id
from aleat.stix.objects import StixObject, make_object

if TYPE_CHECKING:
    from aleat.knowledge.misp.events import Context

__all__ = ["make_cluster", "read_clusters"]

_ALIASED = frozenset({"attack-pattern", "intrusion-set", "malware", "threat-actor", "tool"})
_LARGEST_VERSION = 2**40


def read_clusters(value: Any, context: Context) -> Iterator[KnowledgeItem]:
    """Yield the objects of the clusters in ``Galaxy``; what has no STIX type is noted, and kept where it stood."""
    galaxies, faults = objects_in(value)
    for galaxy in galaxies:
        clusters, wrong = objects_in(galaxy.get("GalaxyCluster"))
        faults += wrong
        for cluster in clusters:
            made = make_cluster(text(galaxy.get("type")).strip(), cluster)
            if made is None:
                reason = "A galaxy's cluster has no STIX object of its own; it is kept with what it is attached to."
                context.warn("misp-kept", reason)
                continue
            sharing = sharing_marking(cluster)
            if sharing is not None and sharing.id not in context.defined:
                context.defined.add(sharing.id)
                yield KnowledgeItem(object=sharing, place=context.place)
            yield context.item(made, (sharing.id,) if sharing else ())
    if faults:
        context.warn("misp", "A galaxy is none.", records=faults)


def make_cluster(galaxy: str, cluster: Mapping[str, Any]) -> StixObject | None:
    """Return the object of a cluster of the galaxy of type `galaxy`, or None where STIX has no type for it."""
    kind, name = kind_of(galaxy), text(cluster.get("value")).strip()
    meta = cluster.get("meta")
    meta = meta if isinstance(meta, Mapping) else {}
    if kind is None or not name:
        return None
    type_, details = _details(kind, meta)
    uuid = identifier(cluster.get("uuid"))
    basis = ["misp-galaxy", uuid] if uuid else ["misp cluster", galaxy, name]
    version = text(cluster.get("version")).strip()
    number = int(version) if version.isascii() and version.isdigit() and len(version) < 15 else 0
    kept = {key: item for key, item in cluster.items() if key not in {"GalaxyElement", "tag_name", "local"}}
    return make_object(
        type_,
        f"{type_}--{uuid}" if uuid and kind.own_id else content_id(type_, basis),
        created=UNDATED,
        modified=UNDATED + timedelta(microseconds=min(number, _LARGEST_VERSION)),
        name=name,
        description=text(cluster.get("description")).strip() or None,
        external_references=_references(galaxy, cluster, meta),
        extensions=extend(
            "misp",
            {
                "kind": "cluster",
                "galaxy": galaxy,
                "tag": text(cluster.get("tag_name")),
                "content": dump(split_local(kept)[0]),
            },
        ),
        **details,
    )


def _details(kind: Kind, meta: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the type, and the properties that STIX wants of it: a place that has no code is a kind of victim."""
    type_ = kind.stix
    if type_ == "location":
        code = next((found for found in map(country_code, _texts(meta.get("ISO"))) if found), None)
        return (type_, {"country": code}) if code else ("identity", {"identity_class": "class"})
    if type_ == "identity":
        return type_, {"identity_class": kind.class_}
    names = {"aliases": _texts(meta.get("synonyms"))} if type_ in _ALIASED else {}
    return type_, names | ({"is_family": True} if type_ == "malware" else {})


def _references(galaxy: str, cluster: Mapping[str, Any], meta: Mapping[str, Any]) -> list[dict[str, str]]:
    found = [{"source_name": f"misp-galaxy:{galaxy}", "external_id": text(cluster.get("value")).strip()}]
    source = "mitre-attack" if galaxy.startswith("mitre-") else galaxy
    return found + [{"source_name": source, "external_id": code} for code in _texts(meta.get("external_id"))]


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return list(dict.fromkeys(item.strip() for item in values if isinstance(item, str) and item.strip()))
