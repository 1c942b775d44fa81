"""How knowledge ages: what an agreement says about it, and the polynomial by which confidence falls.

The curve is that of MISP's decaying models (Mokaddem, Wagener, Dulaunoy, Iklody, "Taxonomy driven indicator scoring
in MISP threat intelligence platforms", 2018, https://arxiv.org/abs/1902.03914, "polynomial"):

    score(t) = base · (1 - (t / τ)^(1 / δ))

with the age t, the lifetime τ at whose end nothing is left, and the speed δ: 1 is a straight line, more falls fast at
first and slowly then, less the other way. An agreement states a half-life instead of τ, for people know those: the
score is half of the base after it, so that τ = half-life · 2^δ.

Nothing decays unless an agreement says so. Pure: ages come in as days.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

__all__ = ["DecayTerms", "days_to", "share_left"]

_Days = Annotated[int, msgspec.Meta(ge=1, le=36_500)]
_Type = Annotated[str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9:-]{0,63}\\Z")]


class DecayTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the other party's knowledge ages: `half_life` in days, for all or by type; below `floor` it is expired.

    `types` has half-lives of single types: of what a STIX pattern or a list's entry is about ("ipv4-addr",
    "domain-name", "file:hashes" …), or of pattern types ("sigma", "yara", "list"). Without `half_life` only those
    age. `floor` is a confidence (0 to 100), `speed` the polynomial's δ.
    """

    half_life: _Days | None = None
    floor: Annotated[int, msgspec.Meta(ge=0, le=100)] = 0
    speed: Annotated[float, msgspec.Meta(ge=0.1, le=10)] = 1.0
    types: dict[_Type, _Days] = {}

    def half_life_of(self, types: tuple[str, ...]) -> int | None:
        """Return the half-life of what is of these types: the shortest of those named, else the general one."""
        named = [self.types[name] for name in types if name in self.types]
        return min(named) if named else self.half_life


def share_left(days: float, half_life: int, speed: float = 1.0) -> float:
    """Return what is left of a confidence after `days`: 1 when it is new (or younger), 0 from the lifetime's end on.

    >>> share_left(0, 90), share_left(90, 90), share_left(45, 90), share_left(180, 90)
    (1.0, 0.5, 0.75, 0.0)
    """
    if days <= 0:
        return 1.0
    lifetime: float = half_life * 2.0**speed
    return max(0.0, 1.0 - float((days / lifetime) ** (1.0 / speed)))


def days_to(share: float, half_life: int, speed: float = 1.0) -> float:
    """Return after how many days only `share` (0 to 1) is left: the inverse of `share_left`.

    >>> days_to(0.5, 90), days_to(0.25, 90), days_to(1, 90)
    (90.0, 135.0, 0.0)
    """
    lifetime: float = half_life * 2.0**speed
    return lifetime * float((1.0 - min(max(share, 0.0), 1.0)) ** speed)
