"""Coarsening what we tell of victims: the sector and country for the ministry, the day for the second.

By the agreement's terms (`ReleaseTerms`). What is coarsened here is told under ids that are keyed with a
secret of the workspace: an id computed from a victim's name would confirm a guess.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import msgspec

from aleat.release.retell import keyed_uuid
from aleat.stix.objects import StixObject, make_object
from aleat.trust.agreements import ReleaseTerms

__all__ = ["Victim", "coarsen_time", "enough", "tell_victim"]


class Victim(msgspec.Struct, frozen=True, kw_only=True):
    """Who was affected: its name, its sector (STIX industry-sector-ov), its country (ISO 3166 alpha-2)."""

    name: str
    sector: str = ""
    country: str = ""


def coarsen_time(time: datetime, granularity: Literal["exact", "hour", "day", "month"]) -> datetime:
    """Return the beginning (UTC) of the hour, day or month of `time`, or `time` itself.

    >>> coarsen_time(datetime(2022, 7, 15, 8, 30, tzinfo=UTC), "day").isoformat()
    '2022-07-15T00:00:00+00:00'
    """
    time = time.astimezone(UTC)
    if granularity == "exact":
        return time
    time = time.replace(minute=0, second=0, microsecond=0)
    if granularity == "hour":
        return time
    return time.replace(hour=0) if granularity == "day" else time.replace(hour=0, day=1)


def enough(count: int, terms: ReleaseTerms) -> bool:
    """Tell whether a sighting of `count` events may be told of: few could point to somebody."""
    return count == 0 or count >= terms.threshold


def tell_victim(
    victim: Victim,
    terms: ReleaseTerms,
    *,
    own: str,
    recipient: str,
    created: datetime,
    markings: tuple[str, ...],
    secret: bytes,
) -> StixObject | None:
    """Return the victim as an identity that shows as much as the agreement allows, or None where that is nothing."""
    shown = {
        "name": (victim.name, victim.sector, victim.country),
        "sector-country": ("", victim.sector, victim.country),
        "country": ("", "", victim.country),
        "none": ("", "", ""),
    }[terms.victims]
    name, sector, country = shown
    if not any(shown):
        return None
    facts = "|".join((recipient, terms.victims, *shown, *markings))
    return make_object(
        "identity",
        f"identity--{keyed_uuid(secret, facts)}",
        created=created,
        created_by_ref=own,
        markings=markings,
        name=name or ", ".join(part for part in (sector, country) if part),
        description="Where it was seen, as far as the agreement lets it be told.",
        identity_class="organization" if name else "class",
        sectors=[sector] if sector else None,
    )
