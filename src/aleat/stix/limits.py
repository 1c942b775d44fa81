"""How much of a STIX bundle is taken: foreign bytes are hostile until they have passed these."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ObjectLimits"]


@dataclass(frozen=True, slots=True)
class ObjectLimits:
    """Limits on one STIX bundle; sizes in bytes.

    `depth` is how deep lists and objects may stand in each other within one STIX object: the specification's
    deepest (an extension within an object of observed data) needs about ten. An object that nests deeper costs
    only itself.
    """

    bundle_bytes: int = 2 * 1024**3
    object_bytes: int = 64 * 1024**2
    objects: int = 5_000_000
    depth: int = 100
    issues: int = 10_000
