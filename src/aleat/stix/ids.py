"""Ids for objects that have none.

Ids are UUIDv5 over canonical *content*, in a namespace of the project's own, so that two workspaces that read
the same rule name it alike; random where the content is withheld from somebody who gets the object (an id
must not confirm a guess). Cyber observables in STIX's own namespace (STIX 2.1 §2.9) are made only for values
that everybody who gets them may know.
"""

from __future__ import annotations

import uuid
from typing import Any

from aleat.stix.canonical import canonical_json

__all__ = ["ALEAT_NAMESPACE", "STIX_OBSERVABLE_NAMESPACE", "content_id", "is_content_id", "observable_id", "random_id"]

ALEAT_NAMESPACE = uuid.UUID("9c3d0ab2-4dda-4b3a-8a4a-3c9fdf9cd90c")

# STIX 2.1 §2.9: the namespace of deterministic ids of cyber observables, and of nothing else.
STIX_OBSERVABLE_NAMESPACE = uuid.UUID("00abedb4-aa42-466c-9c01-fed23315a9b7")


def content_id(type_: str, content: Any) -> str:
    """Return the id of an object of STIX type `type_` whose identity is the JSON value `content`."""
    return f"{type_}--{uuid.uuid5(ALEAT_NAMESPACE, canonical_json([type_, content]).decode())}"


def is_content_id(id_: str, content: Any) -> bool:
    """Tell whether `id_` is the one that `content_id` gives; `content` from outside may be no canonical JSON."""
    try:
        return id_ == content_id(id_.partition("--")[0], content)
    except (ValueError, TypeError, RecursionError):
        return False


def observable_id(type_: str, contributing: dict[str, Any]) -> str:
    """Return the deterministic id of a cyber observable (STIX 2.1 §2.9) from its id-contributing properties."""
    return f"{type_}--{uuid.uuid5(STIX_OBSERVABLE_NAMESPACE, canonical_json(contributing).decode())}"


def random_id(type_: str) -> str:
    """Return a random id (UUIDv4) of an object of STIX type `type_`."""
    return f"{type_}--{uuid.uuid4()}"
