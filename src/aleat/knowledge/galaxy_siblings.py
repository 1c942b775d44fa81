"""Clusters of other galaxies beside a file: their uuids → the STIX ids that they have.

A relation names a cluster by its uuid alone, and its galaxy says what it is in STIX; so the galaxies that lie in the
same folder are looked into. What is cached is known by the digest of the bytes that it was made from.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping

import orjson

from aleat.errors import InputError
from aleat.knowledge.document import Document
from aleat.knowledge.galaxies import galaxy_table, read_galaxy

__all__ = ["sibling_ids"]

_FILES = 128  # galaxies kept at once: twice as many as there are
_CLUSTERS = 100_000  # of one galaxy: thirty times as many as the largest has

_cache: OrderedDict[str, Mapping[str, str]] = OrderedDict()


def sibling_ids(document: Document) -> dict[str, str]:
    """Return the STIX ids of the clusters of all galaxies in the document's folder, by uuid (in lower case)."""
    found: dict[str, str] = {}
    names = {*galaxy_table()["types"], *galaxy_table()["files"]}
    for name in sorted(names):
        try:
            data = document.sibling(f"{name}.json")
        except InputError:
            continue  # the file's own reading says what is wrong with it
        if data is not None:
            for uuid, id_ in _ids(data).items():
                found.setdefault(uuid, id_)
    return found


def _ids(data: bytes) -> Mapping[str, str]:
    digest = hashlib.sha256(data).hexdigest()
    known = _cache.get(digest)
    if known is None:
        known = _cache[digest] = _read(data)
        while len(_cache) > _FILES:
            _cache.popitem(last=False)
    return known


def _read(data: bytes) -> Mapping[str, str]:
    try:
        content = orjson.loads(data.removeprefix(b"\xef\xbb\xbf"))
        galaxy = read_galaxy(content, "")
    except (InputError, ValueError):
        return {}
    values = content["values"]
    if galaxy.kind is None or len(values) > _CLUSTERS:
        return {}
    clusters = (one for one in values if isinstance(one, dict) and isinstance(one.get("uuid"), str))
    return {one["uuid"].lower(): galaxy.cluster_id(one) for one in clusters}
