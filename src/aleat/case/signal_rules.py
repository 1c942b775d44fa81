"""The project's own Sigma rules for administrative facts: shutdowns, stopped services, cleared logs, accounts …

They are hunted with everything else under the source ``aleat``; each carries a tag ``aleat.<signal>``. Their
sightings are *context*: they tell causes, what was put in place and what was taken away, and never count as
hits. The rules are ``signals/*.yml``, several YAML documents a file (Sigma rules specification 2.1).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any

from aleat.errors import Place
from aleat.hunt.indicator import Indicator, Sighting
from aleat.stix.ids import content_id

__all__ = ["SIGNAL_SOURCE", "is_signal", "signal_names", "signals", "split_signals"]

SIGNAL_SOURCE = "aleat"
_PREFIX = "aleat."


@cache
def signals() -> tuple[Indicator, ...]:
    """Return the signal rules as indicators, in the order of their files and of the rules in them."""
    folder = files("aleat.case").joinpath("signals")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".yml"))
    found: list[Indicator] = []
    for name in names:
        text = folder.joinpath(name).read_text(encoding="utf-8")
        line = 1
        for document in text.split("---\n"):
            found.append(_indicator(document, Place(f"aleat/case/signals/{name}", line=line)))
            line += document.count("\n") + 1
    return tuple(found)


def _indicator(text: str, place: Place) -> Indicator:
    import yaml  # noqa: PLC0415  (only a hunt needs it)

    rule: dict[str, Any] = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    return Indicator(
        id=rule["id"],
        ref=content_id("indicator", ["sigma", text]),
        digest=hashlib.sha256(text.encode()).hexdigest(),
        pattern_type="sigma",
        pattern=text,
        title=rule["title"],
        source=SIGNAL_SOURCE,
        place=place,
        level=rule["level"],
        author=rule["author"],
        tags=tuple(rule["tags"]),
    )


def signal_names(sighting: Sighting) -> tuple[str, ...]:
    """Return the names of the signals that a sighting carries (``shutdown-planned``, …); empty where it is none."""
    if sighting.source != SIGNAL_SOURCE:
        return ()
    return tuple(tag[len(_PREFIX) :] for tag in sighting.tags if tag.startswith(_PREFIX))


def is_signal(sighting: Sighting) -> bool:
    """Say whether a sighting is context from our own signal rules, not a hit."""
    return bool(signal_names(sighting))


def split_signals(sightings: Iterable[Sighting]) -> tuple[list[Sighting], list[Sighting]]:
    """Return (hits, signals)."""
    hits: list[Sighting] = []
    context: list[Sighting] = []
    for sighting in sightings:
        (context if is_signal(sighting) else hits).append(sighting)
    return hits, context
