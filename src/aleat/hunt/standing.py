"""What an indicator is still worth: expired, revoked, withdrawn; told as labels on its sightings.

Three things end an indicator. **Expired**: its `valid_until` has come, or the agreement with its giver lets it age
(`aleat.trust.decay`) and its confidence has fallen below the agreed floor. It goes on hunting the past: an event from
before that time is a hit, also one from before `valid_from`, for knowledge comes after the attack; a later one
gets a label. **Revoked** by its creator, or **withdrawn** by all who gave it: it is not hunted for any more, and what
it hit before stays, labelled.

A label stands in `Sighting.hidden_by` and begins with one of `STANDING_LABELS`. Like a dismissal's it is a view: set
anew each time sightings are brought together, so that nothing is hunted again when an indicator ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from aleat.errors import ObjectError
from aleat.stix.extensions import read_extension
from aleat.stix.objects import StixObject
from aleat.stix.pattern_paths import pattern_types
from aleat.stix.times import parse_timestamp
from aleat.store.objects import Provenance, StoredObject
from aleat.store.withdrawn import CopyKey, WithdrawnCopy, copies_given
from aleat.times import micros_of
from aleat.trust.agreements import Agreement
from aleat.trust.decay import DecayTerms, days_to, share_left

__all__ = [
    "NO_TERMS",
    "STANDING_LABELS",
    "KnowledgeTerms",
    "Standing",
    "confidence_left",
    "copies_in_force",
    "expiry",
    "standing_code",
    "standing_of",
    "withdrawn_text",
]

STANDING_LABELS = ("expired: ", "revoked: ", "withdrawn: ")
"""What `Sighting.hidden_by` begins with where an indicator had ended; the reason follows."""

_DATED = datetime.fromisoformat("1990-01-01T00:00:00+00:00")  # a time before says that there was none
_NEVER = datetime.fromisoformat("9999-12-31T00:00:00+00:00")
_CERTAIN = 100  # what a share is taken of where nobody said a confidence (STIX 2.1 §3.2: it is unspecified then)


class Standing(msgspec.Struct, frozen=True, gc=False):
    """Why sightings of the indicator `ref` (a STIX id) don't count: all of them, or those from `since` on.

    `since` is microseconds since 1970. `label` goes into `Sighting.hidden_by`.
    """

    ref: str
    label: str
    since: int | None = None

    def holds(self, time: int | None) -> bool:
        """Say whether the label is for an event at `time`; one without a time can't be said to be late."""
        return self.since is None or (time is not None and time >= self.since)


class KnowledgeTerms(msgspec.Struct, frozen=True):
    """What beside the objects decides about them: withdrawn copies, agreements that let knowledge age, names."""

    withdrawn: Mapping[CopyKey, WithdrawnCopy] = {}
    agreements: tuple[Agreement, ...] = ()
    names: Mapping[str, str] = {}

    def decay_of(self, giver: str, agreement: str | None) -> DecayTerms | None:
        """Return how a copy of this giver ages: as the agreement it came under says, else one with that giver."""
        with_giver = [item for item in self.agreements if giver in item.parties and item.decay is not None]
        under = [item for item in with_giver if item.name == agreement]
        found = sorted(under or with_giver, key=lambda item: (item.kind != "bilateral", item.name))
        return found[0].decay if found else None


NO_TERMS = KnowledgeTerms()
"""Nothing is withdrawn, and nothing ages."""


def standing_code(label: str | None) -> str:
    """Return "expired", "revoked" or "withdrawn" where a sighting's `hidden_by` says that, else the empty string.

    >>> standing_code("expired: valid until 2022-07-01"), standing_code("b1d4"), standing_code(None)
    ('expired', '', '')
    """
    found = [start for start in STANDING_LABELS if label is not None and label.startswith(start)]
    return found[0].removesuffix(": ") if found else ""


def copies_in_force(stored: StoredObject, terms: KnowledgeTerms) -> tuple[Provenance, ...]:
    """Return the copies of an object that their givers have not withdrawn."""
    return copies_given(stored, terms.withdrawn)


def withdrawn_text(stored: StoredObject, terms: KnowledgeTerms) -> str:
    """Return who withdrew an object, and when, in words; empty where nobody did."""
    digest = stored.object.digest
    found = [terms.withdrawn.get((copy.giver, copy.agreement, digest)) for copy in stored.copies]
    return ", ".join(dict.fromkeys(_who_and_when(one, terms) for one in found if one))


def _who_and_when(gone: WithdrawnCopy, terms: KnowledgeTerms) -> str:
    for_what = f", for its text of {gone.newer[:10]}" if gone.newer else ""
    return f"by {terms.names.get(gone.giver, gone.giver)} on {gone.time[:10]}{for_what}"


def standing_of(stored: StoredObject, terms: KnowledgeTerms) -> Standing | None:
    """Return what an indicator's sightings are labelled with; None where all of them count."""
    item = stored.object
    if item.revoked:
        when = f" on {item.version[:10]}" if item.version else ""
        return Standing(item.id, f"revoked: by its creator{when}")
    copies = copies_in_force(stored, terms)
    if stored.copies and not copies:
        return Standing(item.id, f"withdrawn: {withdrawn_text(stored, terms)}")
    ended = expiry(item, copies, terms)
    return None if ended is None else Standing(item.id, f"expired: {ended[1]}", micros_of(ended[0]))


def expiry(item: StixObject, copies: Sequence[Provenance], terms: KnowledgeTerms) -> tuple[datetime, str] | None:
    """Return when an indicator ends, and why, in words; None where it doesn't.

    It lives as long as one giver's copy does.
    """
    stated: tuple[datetime, str] | None = None
    if item.valid_until is not None:
        try:
            stated = parse_timestamp(item.valid_until), f"valid until {item.valid_until}"
        except ObjectError:
            stated = None
    ends = [_aged(item, copy, terms) for copy in copies] if terms.agreements else []
    told = [end for end in ends if end is not None]
    aged = max(told) if told and len(told) == len(ends) else None
    both = [end for end in (stated, aged) if end is not None]
    return min(both) if both else None


def confidence_left(item: StixObject, copy: Provenance, terms: KnowledgeTerms, time: datetime) -> float | None:
    """Return one copy's confidence (0 to 100) at `time`, aged as agreed; None where nobody said one."""
    if item.confidence is None:
        return None
    decay = terms.decay_of(copy.giver, copy.agreement)
    life = decay.half_life_of(_types(item)) if decay else None
    if decay is None or life is None:
        return float(item.confidence)
    days = (time - _born(item, copy)) / timedelta(days=1)
    return item.confidence * share_left(days, life, decay.speed)


def _aged(item: StixObject, copy: Provenance, terms: KnowledgeTerms) -> tuple[datetime, str] | None:
    """Return when a copy's confidence falls to the agreed floor; None where it never does."""
    decay = terms.decay_of(copy.giver, copy.agreement)
    life = decay.half_life_of(_types(item)) if decay else None
    if decay is None or life is None:
        return None
    base = _CERTAIN if item.confidence is None else item.confidence
    days = days_to(decay.floor / base if base else 1.0, life, decay.speed)
    born = _born(item, copy)
    end = born + timedelta(days=min(days, (_NEVER - born).days))
    return end, f"aged below the floor {decay.floor} on {end:%Y-%m-%d} (half-life {life} days)"


def _born(item: StixObject, copy: Provenance) -> datetime:
    """Return since when a copy ages: its version's time or `valid_from`, the later; when it came, if undated."""
    times: Iterable[str] = (text for text in (item.valid_from, item.version) if text)
    dated = [time for time in map(parse_timestamp, times) if time > _DATED]
    return max(dated) if dated else copy.received


def _types(item: StixObject) -> tuple[str, ...]:
    """Return what a half-life can be agreed for."""
    if b"extensions" in item.content and read_extension(item, "list") is not None:
        return ("list",)
    if item.pattern_type != "stix":
        return (item.pattern_type or item.type,)
    return (*pattern_types(item.pattern or ""), "stix")
