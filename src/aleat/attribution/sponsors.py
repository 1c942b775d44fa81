"""Who is said to stand behind a group: the chain of `attributed-to`, and on whose word.

What somebody states comes before what somebody suspects; of several, the most stated. Those that are not followed
are named: a sponsor that is contested says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from aleat.stix.extensions import extension_id

__all__ = ["Sponsor", "SponsorBasis", "Way", "basis_of", "follow_sponsor", "galaxy_of"]


class SponsorBasis(msgspec.Struct, frozen=True, order=True):
    """One statement that `sponsor` stands behind a group: who handed it over, and the publication it is from.

    `source` is empty where the giver states it itself; `confidence` (0 to 100) is the publication's own, where it says
    one; `suspected` is true where it says no more than that.
    """

    sponsor: str
    giver: str
    source: str = ""
    confidence: int | None = None
    suspected: bool = False


class Way(msgspec.Struct, frozen=True, order=True):
    """One `attributed-to` from somebody to `target`."""

    target: str
    basis: SponsorBasis


class Sponsor(msgspec.Struct, frozen=True):
    """The end of a chain (`id`, empty where nobody is named), all that it rests on, and sponsors that others name."""

    id: str
    basis: tuple[SponsorBasis, ...] = ()
    others: tuple[str, ...] = ()


def galaxy_of(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a MISP galaxy says of an object or relation in its extension; empty where it isn't from one."""
    extensions = item.get("extensions")
    found = extensions.get(extension_id("galaxy")) if isinstance(extensions, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def basis_of(relation: Mapping[str, Any], giver: str, sponsor: str) -> SponsorBasis:
    """Return what an `attributed-to` relationship rests on."""
    galaxy, confidence = galaxy_of(relation), relation.get("confidence")
    source = f"MISP galaxy {galaxy.get('galaxy', '')} {galaxy.get('version', '')}".rstrip() if galaxy else ""
    plain = isinstance(confidence, int) and not isinstance(confidence, bool)
    return SponsorBasis(sponsor, giver, source, confidence if plain else None, galaxy.get("suspected") is True)


def follow_sponsor(
    actor: str, behind: Mapping[str, list[Way]], stands: Callable[[str], bool], name: Callable[[str], str]
) -> Sponsor:
    """Follow `attributed-to` from `actor` to its end; `stands` tells who can stand behind somebody. Circles end."""
    at, basis, others, seen = actor, set[SponsorBasis](), set[str](), {actor}
    while True:
        ways: dict[str, set[SponsorBasis]] = {}
        for way in behind.get(at, ()):
            if way.target not in seen and stands(way.target):
                ways.setdefault(way.target, set()).add(way.basis)
        if not ways:
            return Sponsor("" if at == actor else at, tuple(sorted(basis, key=_order)), tuple(sorted(others)))
        at = min(ways, key=lambda target: (-_stated(ways[target]), -len(ways[target]), target))
        others |= {name(target) for target in ways if target != at}
        basis |= ways[at]
        seen.add(at)


def _stated(basis: set[SponsorBasis]) -> int:
    return sum(not one.suspected for one in basis)


def _order(one: SponsorBasis) -> tuple[str, str, str, int, bool]:
    return (one.sponsor, one.giver, one.source, -1 if one.confidence is None else one.confidence, one.suspected)
