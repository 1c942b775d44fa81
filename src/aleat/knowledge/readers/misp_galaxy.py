"""MISP galaxies: clusters of what is publicly known (actors, software, techniques, sectors, countries), by name.

One JSON object a file, with ``type``, ``uuid``, ``version``, and ``values``, its clusters. Each cluster becomes one
STIX object, its relations and what it suspects become relationships (`aleat.knowledge.galaxy_relations`). Relations
to clusters of other galaxies are told where those lie beside the file; all stay in the object's extension.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson

from aleat.errors import InputError, Issue, LimitError, ObjectError, Place
from aleat.knowledge.document import Document
from aleat.knowledge.galaxies import Galaxy, read_galaxy
from aleat.knowledge.galaxy_clusters import make_cluster
from aleat.knowledge.galaxy_relations import cluster_relations, suspicions
from aleat.knowledge.galaxy_siblings import sibling_ids
from aleat.knowledge.items import KnowledgeItem
from aleat.knowledge.limits import Limits
from aleat.stix.objects import has_duplicate_keys

__all__ = ["detect", "read"]

_STAGE = "knowledge"
_BEGIN = re.compile(
    rb'\{[ \t\r\n]*+"(?:authors|category|description|name|source|type|uuid|values|version)"[ \t\r\n]*+:'
)
_AUTHORS = re.compile(rb'"authors"[ \t\r\n]*+:[ \t\r\n]*+\[')
_VALUES = re.compile(rb'"values"[ \t\r\n]*+:[ \t\r\n]*+\[[ \t\r\n]*+(?:\{|\])')

_CLUSTER = re.compile(rb'"value"[ \t\r\n]*+:[ \t\r\n]*+"')


def detect(document: Document) -> bool:
    """Tell whether a JSON file begins as a galaxy's clusters do: with authors, or with values that are objects."""
    head = document.head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if document.suffix != ".json" or not _BEGIN.match(head):
        return False
    if _AUTHORS.search(head) is not None and b'"category"' in head:
        return True
    return _VALUES.search(head) is not None and _CLUSTER.search(head) is not None and b'"uuid"' in head


def read(document: Document, limits: Limits) -> Iterator[KnowledgeItem | Issue]:
    """Yield the galaxy, its clusters and what they say, and issues for what can't be used."""
    content = _parse(document, limits)
    galaxy = read_galaxy(content, document.path)
    place = Place(document.path)
    if galaxy.kind is None:
        count = len(content["values"])
        reason = f"The galaxy {galaxy.type[:60]!r} has no place in STIX; its {count} clusters are not taken."
        yield Issue(_STAGE, "galaxy", place, reason, records=count)
        return
    yield KnowledgeItem(object=galaxy.identity, place=place)
    reading = _Reading(galaxy, document, limits)
    yield from reading.clusters(content["values"])
    yield from reading.relations()


class _Reading:
    """One galaxy's clusters, on their way to STIX."""

    def __init__(self, galaxy: Galaxy, document: Document, limits: Limits) -> None:
        self._galaxy = galaxy
        self._document = document
        self._limits = limits
        self._ids: dict[str, str] = {}
        self._told: set[str] = set()
        self._kept: list[dict[str, Any]] = []

    def clusters(self, values: list[Any]) -> Iterator[KnowledgeItem | Issue]:
        """Yield an object for each cluster, and an issue for each that can't be one."""
        faults = 0
        for number, cluster in enumerate(values):
            try:
                if not isinstance(cluster, dict):
                    raise ObjectError("The cluster is no object.")
                item = make_cluster(self._galaxy, cluster)
                if len(item.raw) > self._limits.objects.object_bytes:
                    raise LimitError(
                        f"The cluster is larger than {self._limits.objects.object_bytes} bytes (object_bytes)."
                    )
                if item.id in self._told:
                    raise ObjectError("Another cluster of the galaxy has its uuid.")
            except (ObjectError, LimitError) as error:
                faults += 1
                if faults <= self._limits.objects.issues:
                    reason = (
                        f"Cluster {number + 1} of the galaxy {self._galaxy.type[:60]!r} is not taken: {error.reason}"
                    )
                    yield Issue(_STAGE, "galaxy", Place(self._document.path), reason, records=1)
                continue
            self._told.add(item.id)
            self._kept.append(cluster)
            uuid = cluster.get("uuid")
            if isinstance(uuid, str):
                self._ids[uuid.lower()] = item.id
            yield KnowledgeItem(object=item, place=Place(self._document.path))
        if faults > self._limits.objects.issues:
            more = faults - self._limits.objects.issues
            reason = f"{more} more clusters of the galaxy are not taken; they are not listed one by one."
            yield Issue(_STAGE, "galaxy", Place(self._document.path), reason, records=more)

    def relations(self) -> Iterator[KnowledgeItem | Issue]:
        """Yield what the clusters say between things, and a note on what leads to clusters that aren't here."""
        place = Place(self._document.path)
        unknown = 0
        ids = self._all_ids()
        for cluster in self._kept:
            try:
                found = cluster_relations(self._galaxy, cluster, ids.get)
                unknown += found.unknown
                for item in (*found.relationships, *suspicions(self._galaxy, cluster)):
                    if item.id not in self._told:
                        self._told.add(item.id)
                        yield KnowledgeItem(object=item, place=place)
            except ObjectError as error:
                reason = f"A relation of {self._galaxy.cluster_id(cluster)} is not taken: {error.reason}"
                yield Issue(_STAGE, "galaxy", place, reason, records=1)
        if unknown:
            reason = (
                f"{unknown} relations lead to clusters that are not here; they stay with the clusters that name them."
            )
            yield Issue(_STAGE, "galaxy-relation", place, reason, records=unknown)

    def _all_ids(self) -> dict[str, str]:
        """Return the STIX ids of clusters by uuid: of this galaxy, and of those beside it where it names any."""
        related = (one for cluster in self._kept for one in _dictionaries(cluster.get("related")))
        if all(str(one.get("dest-uuid", "")).lower() in self._ids for one in related):
            return self._ids
        return sibling_ids(self._document) | self._ids


def _dictionaries(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _parse(document: Document, limits: Limits) -> dict[str, Any]:
    if document.size > limits.catalogue_bytes:
        raise LimitError(
            f"The galaxy is larger than {limits.catalogue_bytes} bytes (catalogue_bytes).", Place(document.path)
        )
    data = document.read().removeprefix(b"\xef\xbb\xbf")
    try:
        content = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        place = Place(document.path, error.lineno, error.colno)
        raise InputError(f"The file is no JSON: {error.msg}.", place) from None
    if has_duplicate_keys(data, orjson.dumps(content)):
        raise InputError("The galaxy has a key twice; which one counts is anybody's guess.", Place(document.path))
    if isinstance(content, dict) and isinstance(content.get("values"), list):
        if len(content["values"]) > limits.objects.objects:
            reason = f"The galaxy has more clusters than {limits.objects.objects} (objects)."
            raise LimitError(reason, Place(document.path))
        return content
    raise InputError("The file is no MISP galaxy: it has no list of values.", Place(document.path))
