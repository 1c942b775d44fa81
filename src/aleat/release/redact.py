"""Coarsening what we tell of victims: the sector and country for the ministry, the day for the second.

By the agreement's terms (`ReleaseTerms`), and only what we made ourselves: what others gave leaves unchanged or not at
all. What is coarsened is told under ids that are keyed with a secret of the workspace, as an id computed from a
victim's name would confirm a guess; an object that is told otherwise than it stands here says so by its label.

`coarsen` and what stays (`is_kept`, `is_too_few`) look at one object alone: the same for findings, for what the case
made and for what analysts put in, whatever way it leaves. Personal data and accounts are looked for in free text by
their form; a name in prose has none, and is found only where it is a victim's, a host's, or some withheld object's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal

import msgspec
import orjson

from aleat.errors import ObjectError
from aleat.release.records import Terms
from aleat.release.retell import FREE_TEXT, keyed_uuid
from aleat.release.structure import COARSENED
from aleat.release.words import fold
from aleat.stix.extensions import extension_id, read_extension
from aleat.stix.objects import StixObject, make_object
from aleat.stix.times import format_timestamp, parse_timestamp
from aleat.trust.agreements import ReleaseTerms

__all__ = [
    "COARSENERS",
    "Victim",
    "coarsen",
    "coarsen_time",
    "enough",
    "is_kept",
    "is_too_few",
    "personal_words",
    "tell_victim",
]

_HEAD = ("type", "spec_version", "id", "created", "modified", "created_by_ref", "revoked", "object_marking_refs")
_VICTIM_ROLES = frozenset({"victim", "target", "affected"})
_PRECISE = frozenset({"administrative_area", "city", "latitude", "longitude", "postal_code", "street_address"})
_COUNTS = {"sighting": "count", "observed-data": "number_observed"}
_TIMES = {
    "campaign": ("first_seen", "last_seen"),
    "network-traffic": ("start", "end"),
    "observed-data": ("first_observed", "last_observed"),
    "process": ("created_time",),
    "sighting": ("first_seen", "last_seen"),
    "windows-registry-key": ("modified_time",),
}
"""When something happened at a victim's, by the type of the object that says so."""

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}+@[\w-]++(?:\.[\w-]++)++")
_TELEPHONE = re.compile(r"(?<![\w+])\+\d{1,3}(?:[ ./-]?\(?\d{1,4}\)?){2,6}(?!\w)")
_ACCOUNT = re.compile(r"(?:\\users\\|/home/)([^\\/:*?\"<>|%\s\[\]]{2,64})(?=[\\/])")
# Without any of these in an object's bytes there is nothing to look for in its texts.
_SIGNS = re.compile(rb"@|\+|[(\[]at[)\]]|sers\\\\|/home/", re.IGNORECASE)
_NOBODY = frozenset({"all users", "default", "default user", "defaultuser0", "public", "lost+found"})


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
        description=COARSENED,
        identity_class="organization" if name else "class",
        sectors=[sector] if sector else None,
    )


def is_too_few(item: StixObject, terms: ReleaseTerms) -> bool:
    """Tell whether a sighting or observation of ours is of fewer events than the agreement lets be told.

    One that doesn't say how many is of one. A finding counts where something was seen: that nothing was, and that it
    was no attack, points to nobody.
    """
    if (name := _COUNTS.get(item.type)) is None:
        return False
    finding = read_extension(item, "finding") if item.type == "sighting" else None
    if finding is not None and finding.get("status") != "seen":
        return False
    count = item.properties().get(name, 1)
    return not enough(count if isinstance(count, int) and count >= 0 else 1, terms)


def is_kept(item: StixObject, terms: Terms, release: ReleaseTerms) -> bool:
    """Tell whether nothing of an object of ours may be told: an account, a host, a victim of whom nothing is left."""
    if item.type == "user-account":
        return not release.internal
    if item.type == "location":
        return coarsen(item, terms, release) == {}
    if item.type != "identity" or not _is_victim(item, terms):
        return False
    if item.properties().get("identity_class") == "system":
        return not release.internal
    return coarsen(item, terms, release) == {}


def coarsen(item: StixObject, terms: Terms, release: ReleaseTerms) -> dict[str, Any] | None:
    """Return the properties of an object of ours as they may be told, {} where none may be; None: as they stand."""
    coarsener = COARSENERS.get(item.type)
    if coarsener is None or (item.type == "identity" and not _is_victim(item, terms)):
        return None
    properties: dict[str, Any] = orjson.loads(item.content)
    told = coarsener(properties, release)
    return None if told == properties else told


def personal_words(item: StixObject, release: ReleaseTerms) -> frozenset[str]:
    """Return personal data and accounts in free texts of an object of ours that the agreement keeps here, folded."""
    if _SIGNS.search(item.content) is None:
        return frozenset()
    properties = item.properties()
    text = fold("\n".join(str(properties[name]) for name in FREE_TEXT if isinstance(properties.get(name), str)))
    found: set[str] = set()
    if not release.personal:
        found.update(_EMAIL.findall(text) if "@" in text else ())
        found.update(_TELEPHONE.findall(text) if "+" in text else ())
    if not release.internal:
        found.update(name for name in _ACCOUNT.findall(text) if name not in _NOBODY)
    return frozenset(found)


def _is_victim(item: StixObject, terms: Terms) -> bool:
    """Tell whether an identity may be a victim's: not ours, no ally's, no class, and said to be nothing else.

    One that speaks for itself, and made objects that are here, is known as their maker.
    """
    parties = {party for agreement in terms.agreements for party in agreement.parties}
    if item.id in {terms.own, terms.recipient.identity, *terms.ally_names.values(), *parties}:
        return False
    if item.id in terms.makers and item.created_by_ref in {None, item.id}:
        return False
    properties = item.properties()
    roles = {str(role).lower() for role in properties.get("roles", ())}
    return properties.get("identity_class") != "class" and (not roles or bool(roles & _VICTIM_ROLES))


def _coarse_times(properties: Mapping[str, Any], release: ReleaseTerms) -> dict[str, Any]:
    return _coarsened(properties, _TIMES[properties["type"]], release)


def _coarsened(properties: Mapping[str, Any], times: Iterable[str], release: ReleaseTerms) -> dict[str, Any]:
    """Return properties with these times of them coarsened; what is no time is left out."""
    told = dict(properties)
    for name in times:
        try:
            exact = parse_timestamp(told[name])
        except KeyError:
            continue
        except (ObjectError, TypeError):
            del told[name]
            continue
        coarse = coarsen_time(exact, release.granularity)
        if coarse != exact:
            told[name] = format_timestamp(coarse)
    return told


def _coarse_note(properties: Mapping[str, Any], release: ReleaseTerms) -> dict[str, Any]:
    """An outage's window (our own extension) is told as coarsely as a sighting's times."""
    extensions = properties.get("extensions")
    outage = extensions.get(extension_id("outage")) if isinstance(extensions, dict) else None
    if not isinstance(extensions, dict) or not isinstance(outage, dict):
        return dict(properties)
    told = _coarsened(outage, ("last_served", "first_served"), release)
    return {**properties, "extensions": {**extensions, extension_id("outage"): told}}


def _coarse_process(properties: Mapping[str, Any], release: ReleaseTerms) -> dict[str, Any]:
    told = _coarse_times(properties, release)
    if not release.internal:
        told.pop("environment_variables", None)
    return told


def _coarse_identity(properties: Mapping[str, Any], release: ReleaseTerms) -> dict[str, Any]:
    if release.victims == "name":
        return dict(properties)
    sectors = [str(sector) for sector in properties.get("sectors", ())]
    if release.victims != "sector-country" or not sectors:
        return {}
    told = {name: properties[name] for name in _HEAD if name in properties}
    return {**told, "name": ", ".join(sectors), "description": COARSENED, "identity_class": "class", "sectors": sectors}


def _coarse_location(properties: Mapping[str, Any], release: ReleaseTerms) -> dict[str, Any]:
    if release.victims == "name" or not _PRECISE & properties.keys():
        return dict(properties)
    where = {name: properties[name] for name in ("region", "country") if name in properties}
    where = where if release.victims != "none" else {}
    return {**{name: properties[name] for name in _HEAD if name in properties}, **where} if where else {}


COARSENERS: Final[dict[str, Callable[[Mapping[str, Any], ReleaseTerms], dict[str, Any]]]] = {
    **dict.fromkeys(_TIMES, _coarse_times),
    "note": _coarse_note,
    "process": _coarse_process,
    "identity": _coarse_identity,
    "location": _coarse_location,
}
"""How an object of ours is told, by its type."""
