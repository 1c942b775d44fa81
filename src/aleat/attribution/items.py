"""From a case's sightings to items of evidence: what of it is in any actor's profile, and on whose word.

A sighting speaks through what its indicator indicates (software, infrastructure, a group), through the ATT&CK
ids in its rule's tags (software, groups, techniques), and through nothing else: public claims never enter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import msgspec

from aleat.attribution.profiles import Profiles, Statement, fold
from aleat.attribution.records import EvidenceItem
from aleat.case.records import Case
from aleat.case.refs import ReferenceMaker
from aleat.hunt.indicator import Sighting
from aleat.stix.ids import content_id

__all__ = ["Item", "collect_items"]

_TAG = re.compile(r"attack\.([gst]\d{4}(?:\.\d{3})?)", re.IGNORECASE)
_KINDS = ("malware", "tool", "infrastructure", "technique")


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """An `EvidenceItem` with the ids of the groups whose profiles list it."""

    record: EvidenceItem
    listed: frozenset[str]

    @property
    def id(self) -> str:
        """The record's id."""
        return self.record.id


class _Seen(msgspec.Struct):
    kind: str
    value: str
    sightings: list[Sighting]
    statements: set[Statement]
    listed: set[str]


def collect_items(
    case: Case, positions: Iterable[int], profiles: Profiles, *, victim: Sequence[str] = ()
) -> tuple[Item, ...]:
    """Return the items that sightings at `positions` of a case give, in order of kind and value.

    `victim` names the victim's sectors, country and organisation, as STIX writes them.
    """
    collector = _Collector(profiles)
    for position in positions:
        collector.add(case.sightings[position])
    collector.add_victim(victim)
    return collector.items(ReferenceMaker(case.sources))


class _Collector:
    def __init__(self, profiles: Profiles) -> None:
        self._profiles = profiles
        self._seen: dict[tuple[str, str], _Seen] = {}
        self._users: dict[str, dict[str, tuple[Statement, ...]]] = {}
        self._names = {group.id: group.name for group in profiles.groups}
        for group in profiles.groups:
            for key, statements in group.uses.items():
                self._users.setdefault(key, {})[group.id] = statements

    def add(self, sighting: Sighting) -> None:
        """Take in what one sighting says."""
        for id_ in dict.fromkeys((sighting.ref, sighting.indicator)):
            for key, statement in self._profiles.indicated.get(id_, ()):
                if key.startswith("group:"):
                    self._add_direct(key.removeprefix("group:"), statement, sighting)
                else:
                    self._add_thing(key, sighting, statement)
        for tag in sighting.tags:
            match = _TAG.fullmatch(tag)
            if match:
                self._add_attack_id(match[1].upper(), sighting)

    def add_victim(self, names: Sequence[str]) -> None:
        """Take in whom it was aimed at."""
        for name in names:
            listed = {
                group.id: group.targets[fold(name)] for group in self._profiles.groups if fold(name) in group.targets
            }
            if listed:
                said = {one for statements in listed.values() for one in statements}
                self._seen["target", fold(name)] = _Seen("target", name, [], said, set(listed))

    def _add_attack_id(self, attack_id: str, sighting: Sighting) -> None:
        key = self._profiles.by_attack_id.get(attack_id, "")
        if attack_id.startswith("T"):
            for candidate in (f"technique:{attack_id}", f"technique:{attack_id.partition('.')[0]}"):
                if candidate in self._users:
                    self._add_thing(candidate, sighting)
                    return
        elif key.startswith("group:"):
            self._add_direct(key.removeprefix("group:"), Statement(sighting.source, key), sighting)
        elif key:
            self._add_thing(key, sighting)

    def _add_thing(self, key: str, sighting: Sighting, statement: Statement | None = None) -> None:
        users = self._users.get(key)
        thing = self._profiles.things.get(key)
        if not users or thing is None or thing.kind not in _KINDS:
            return
        said = {one for statements in users.values() for one in statements}
        value = f"{thing.attack_id} {thing.name}" if thing.kind == "technique" else thing.name
        seen = self._seen.setdefault((thing.kind, key), _Seen(thing.kind, value, [], said, set(users)))
        seen.sightings.append(sighting)
        if statement is not None:
            seen.statements.add(statement)

    def _add_direct(self, group: str, statement: Statement, sighting: Sighting) -> None:
        """An indicator that somebody ties to a group itself: one item for each indicator, one group of them a word."""
        if group not in self._names:
            return
        seen = self._seen.setdefault(
            ("indicator", f"{sighting.indicator}|{group}"), _Seen("indicator", sighting.title, [], set(), {group})
        )
        seen.sightings.append(sighting)
        seen.statements.add(Statement(statement.giver, group))

    def items(self, references: ReferenceMaker) -> tuple[Item, ...]:
        """Return all items in order of kind and value."""
        total = max(1, len(self._profiles.groups))
        found: list[Item] = []
        for (kind, key), seen in sorted(self._seen.items()):
            said = sorted(seen.statements)
            givers = tuple(sorted({one.giver for one in said}))
            about = sorted({one.about for one in said})
            listed = frozenset(seen.listed)
            record = EvidenceItem(
                id=content_id("note", ["evidence-item", kind, key]),
                kind=kind,
                value=seen.value,
                rarity=round(len(listed) / total, 4),
                refs=references.all_of(seen.sightings, 5),
                givers=givers,
                group=f"{'+'.join(givers)}|{about[0] if about else key}",
                statement=", ".join(sorted(self._names[id_] for id_ in listed)[:5]),
            )
            found.append(Item(record=record, listed=listed))
        return tuple(found)
