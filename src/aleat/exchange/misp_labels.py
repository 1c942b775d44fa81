"""Markings as what MISP has for them: tags, distribution levels, sharing groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aleat.knowledge.misp.labels import tag_markings, tag_names
from aleat.stix.extensions import read_extension
from aleat.stix.objects import StixObject
from aleat.trust.markings import Marking, read_marking

__all__ = ["SHARING_GROUP", "Labels", "Reach", "narrow", "tags_for"]

SHARING_GROUP = 4
"""MISP's distribution level of a sharing group."""

_RANKS = (0, 4, 1, 2, 3)
"""MISP's distribution levels, the narrowest first: a sharing group (4) is inside of a community."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How far TLP 2.0 (https://www.first.org/tlp/) lets something travel on a MISP server, as distribution levels.

    AMBER is for the recipient's organisation and its clients, of which the server knows nothing: whoever knows more (an
    agreement) can say that a sharing group (4), or the server's community (1), is just these. GREEN is for the
    recipient's community: this server's (1), or those connected to it (2). `unlabelled` is for what has no TLP label
    (None: that says nothing of it). `group` is MISP's JSON of the sharing group that level 4 means.
    """

    amber: int = 0
    green: int = 1
    unlabelled: int | None = None
    group: Mapping[str, Any] | None = None

    def level(self, label: str) -> int:
        """Return the widest distribution of what bears `label`, a TLP level in lower case."""
        return {"amber": self.amber, "green": self.green, "clear": 3}.get(label, 0)


_NOT_TAGS = {"unknown", "classified", "distribution", "iep"}
"""Markings that MISP carries only where they came from it."""


class Labels:
    """The markings of objects: their own, and those `beside` them (by object id)."""

    def __init__(
        self, objects: Mapping[str, StixObject], beside: Mapping[str, Sequence[str]], reach: Reach | None = None
    ) -> None:
        self._objects = objects
        self._beside = beside
        self._reach = reach or Reach()

    def put_level(self, value: dict[str, Any], level: int) -> None:
        """Write a distribution level into MISP's JSON, with the sharing group that it means."""
        value["distribution"] = str(level)
        if level == SHARING_GROUP and self._reach.group is not None:
            value["SharingGroup"] = dict(self._reach.group)

    def ids(self, item: StixObject) -> tuple[str, ...]:
        """Return the ids of the markings on `item`, those on its parts included: MISP can't mark a part."""
        parts = [part.marking_ref for part in item.granular_markings if part.marking_ref]
        return tuple(dict.fromkeys((*item.object_marking_refs, *parts, *self._beside.get(item.id, ()))))

    def markings(self, ids: Iterable[str]) -> list[Marking]:
        """Return what markings say."""
        return [read_marking(id_, self._objects.get(id_)) for id_ in ids]

    def facts(self, id_: str) -> dict[str, Any] | None:
        """Return what a marking of MISP's own says (a tag, a distribution level, a sharing group), else None."""
        definition = self._objects.get(id_)
        found = read_extension(definition, "misp") if definition is not None else None
        return found if found is not None and found.get("kind") == "marking" else None

    def writable(self, ids: Iterable[str]) -> bool:
        """Tell whether MISP can carry all of these markings."""
        found = [marking for marking in self.markings(ids) if marking.kind in _NOT_TAGS]
        return all(self.facts(marking.id) is not None for marking in found)

    def limit(self, ids: Iterable[str]) -> int | None:
        """Return the widest distribution that these markings allow, or None where they say nothing of it."""
        ids = tuple(ids)
        levels = [self._reach.level(marking.level) for marking in self.markings(ids) if marking.kind == "tlp"]
        if not levels and self._reach.unlabelled is not None:
            levels.append(self._reach.unlabelled)
        for id_ in ids:
            facts = self.facts(id_)
            if facts is not None:
                levels.append(SHARING_GROUP if self._is_our_group(facts) else 0)
        return min(levels, key=_RANKS.index) if levels else None

    def added_limit(self, item: StixObject) -> int | None:
        """Return the widest distribution that the markings beside `item` allow, or None."""
        if self._reach.unlabelled is not None:  # all labels count: on this server nobody weighed them yet
            return self.limit(id_ for id_ in self.ids(item) if self.facts(id_) is None)
        return self.limit(tuple(id_ for id_ in self._beside.get(item.id, ()) if id_ not in item.object_marking_refs))

    def _is_our_group(self, facts: Mapping[str, Any]) -> bool:
        """Tell whether a marking of MISP's own is the very sharing group that is written to."""
        group = self._reach.group
        named = str(facts.get("sharing_group", "")).lower()
        return facts.get("distribution") == SHARING_GROUP and group is not None and named == group.get("uuid")

    def add_to(self, value: dict[str, Any], item: StixObject) -> None:
        """Add to MISP's JSON of `item` the tags of markings that its own tags don't say."""
        said = set(tag_markings(tag_names(value.get("Tag")))[0]) | set(item.object_marking_refs)
        more = tags_for(self, [id_ for id_ in self.ids(item) if id_ not in said])
        if more:
            tags = value.get("Tag")
            value["Tag"] = [*(tags if isinstance(tags, list) else []), *more]


def tags_for(labels: Labels, ids: Iterable[str]) -> list[dict[str, str]]:
    """Return the tags of markings: TLP 2.0 and PAP by their names, statements and MISP's own tags as they stand."""
    names: dict[str, None] = {}
    for marking in labels.markings(ids):
        facts = labels.facts(marking.id)
        if marking.kind == "tlp":
            names[f"tlp:{marking.level}"] = None
        elif marking.kind == "pap":
            names[f"PAP:{marking.level.upper()}"] = None
        elif facts is not None and isinstance(facts.get("tag"), str):
            names[facts["tag"]] = None
        elif marking.kind == "statement" and marking.text:
            names[marking.text[:250]] = None
    return [{"name": name} for name in names]


def narrow(level: int, limits: Iterable[int]) -> int:
    """Return the narrowest of a distribution level and limits on it."""
    return min((level, *limits), key=_RANKS.index)
