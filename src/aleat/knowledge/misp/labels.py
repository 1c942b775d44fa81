"""Which markings MISP's tags, distribution levels and sharing groups are.

TLP 2.0, TLP 1.0 and PAP tags are the published marking definitions, however they are spelled. What restricts and has
no such definition (``tlp:ex:chr``, a classification, "your organisation only", a sharing group) becomes a marking
definition of our own. `aleat.trust` knows distributions and sharing groups by it; of the others it doesn't know what
they permit, so the gate keeps what bears them.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from aleat.errors import TrustError
from aleat.knowledge.items import UNDATED
from aleat.stix.extensions import extend
from aleat.stix.ids import content_id
from aleat.stix.objects import StixObject, make_object
from aleat.trust.markings import marking_id, says_classification

__all__ = [
    "distribution_level",
    "distribution_words",
    "is_label",
    "many_markings",
    "sharing_marking",
    "tag_markings",
    "tag_names",
]

_LABEL = re.compile(r"\s*(tlp|pap)(?![a-z0-9])\s*[:_-]?\s*(.*)", re.IGNORECASE | re.DOTALL)
_LEVEL = re.compile(r"[^a-z]+")
_LARGEST_SET = 32
_LARGEST_GROUP = 1000
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LEVELS = {"amberstrict": "amber+strict"}


def tag_names(value: Any) -> tuple[str, ...]:
    """Return the names in a list of tags (MISP's ``Tag``), each once; what is no tag is passed over."""
    rows = value if isinstance(value, list) else ()
    names = (row.get("name") if isinstance(row, Mapping) else row for row in rows)
    return tuple(dict.fromkeys(name.strip() for name in names if isinstance(name, str) and name.strip()))


def is_label(tag: str) -> bool:
    """Tell whether `tag` says who may know or do what."""
    return _LABEL.match(tag) is not None or _is_classification(tag)


def tag_markings(tags: Iterable[str]) -> tuple[tuple[str, ...], tuple[StixObject, ...]]:
    """Return the ids of the markings that `tags` are, and definitions of those that are not published ones.

    >>> tag_markings(["TLP:AMBER+STRICT", "osint:certainty"])[0]
    ('marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003',)
    """
    ids: dict[str, None] = {}
    unknown: dict[str, None] = {}
    for tag in tags:
        known = _published(tag)
        if known is not None:
            ids[known] = None
        elif is_label(tag):
            unknown[tag] = None
    made = [_make_definition("tag", tag, {"tag": tag}) for tag in unknown]
    if len(made) > _LARGEST_SET:
        made = [many_markings(one.id for one in made)]
    return (*ids, *(one.id for one in made)), tuple(made)


def many_markings(ids: Iterable[str]) -> StixObject:
    """Return one marking that stands for more markings than anybody means, so that not each object bears them all."""
    found = sorted(set(ids))
    digest = hashlib.sha256("\n".join(found).encode()).hexdigest()
    return _make_definition("markings", f"{len(found)} of them", {"name": digest})


def distribution_level(value: Any) -> int | None:
    """Return a distribution level 0 to 5, or None where `value` is none."""
    text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return int(text) if text in {"0", "1", "2", "3", "4", "5"} else None


def distribution_words(level: int) -> str:
    """Return what a distribution level is called."""
    return str(_table()["distribution"][str(level)])


def sharing_marking(item: Mapping[str, Any]) -> StixObject | None:
    """Return the marking of what stays in one organisation (distribution 0) or a sharing group (4), else None.

    A level that isn't known counts as 0; no level at all says nothing.
    """
    if item.get("distribution") is None:
        return None
    level = distribution_level(item["distribution"])
    if level == 4:
        group = item.get("SharingGroup")
        group = group if isinstance(group, Mapping) else {}
        group_id = str(group.get("uuid") or item.get("sharing_group_id") or "")[:200]
        name = str(group.get("name") or "")[:200]
        facts = {"distribution": 4, "sharing_group": group_id, "name": name, "organisations": _members(group)}
        return _make_definition("sharing group", name or group_id, facts)
    if level in {None, 0}:
        return _make_definition("distribution", distribution_words(0), {"distribution": 0})
    return None


def _members(group: Mapping[str, Any]) -> list[str]:
    """Return the UUIDs of a sharing group's organisations; none of a group that is no longer in use.

    MISP's `extend` says who may change the group, `releasability` is prose, and servers (`roaming`) are no
    organisations: who may have something is who is listed (MISP core format, "SharingGroupOrg").
    """
    rows = group.get("SharingGroupOrg")
    if not isinstance(rows, list) or len(rows) > _LARGEST_GROUP or group.get("active") in (False, 0, "0"):
        return []
    named = (row.get("Organisation") for row in rows if isinstance(row, Mapping))
    found = {str(one.get("uuid", "")).lower() for one in named if isinstance(one, Mapping)}
    return sorted(uuid for uuid in found if _UUID.fullmatch(uuid))


def _published(tag: str) -> str | None:
    match = _LABEL.fullmatch(tag)
    if match is None:
        return None
    level = _LEVEL.sub("", match[2].lower())
    try:
        return marking_id(f"{match[1].lower()}:{_LEVELS.get(level, level)}") if len(match[2]) < 30 else None
    except TrustError:
        return None


def _is_classification(tag: str) -> bool:
    """Tell whether a tag classifies: one of a taxonomy that does, or a free one with a classification's words."""
    if ":" not in tag and "=" not in tag:
        return says_classification(tag)
    return tag.partition(":")[0].strip().lower() in _table()["classifications"]


def _make_definition(kind: str, name: str, facts: dict[str, Any]) -> StixObject:
    kept = {key: value for key, value in facts.items() if value not in ("", [])}
    return make_object(
        "marking-definition",
        content_id("marking-definition", ["misp", kind, kept]),
        created=UNDATED,
        name=f"MISP {kind}: {name}"[:250],
        extensions=extend("misp", {"kind": "marking", **kept}),
    )


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(files("aleat.knowledge.misp").joinpath("labels.toml").read_text(encoding="utf-8"))
