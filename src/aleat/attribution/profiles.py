"""Profiles of actors, from STIX objects: who uses what, who aims at whom, who stands behind a group.

Groups are ``intrusion-set`` objects, and ``threat-actor`` objects that use something themselves. A sponsor is
the end of a group's ``attributed-to`` chain (a threat actor or an identity); ATT&CK names none. Objects that
name the same actor or software (by id, ATT&CK id, name or alias) are one; givers stay apart: every statement
("this group uses that", "this indicates that") remembers who made it.

Bad relationships (to ids that aren't there, in circles) are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

__all__ = ["ActorProfile", "Profiles", "Statement", "Thing", "fold", "profiles"]

_ACTORS = frozenset({"intrusion-set", "threat-actor"})
_SOFTWARE = frozenset({"malware", "tool"})
_MERGED = _ACTORS | _SOFTWARE | {"attack-pattern", "campaign", "infrastructure", "identity", "location"}
_ATTACK_ID = re.compile(r"[GSTC]\d{4}(?:\.\d{3})?")


class Statement(msgspec.Struct, frozen=True, order=True):
    """Who said so, and about what: one giver's word on one malware or group is one, however many indicators it has."""

    giver: str
    about: str


class ActorProfile(msgspec.Struct, frozen=True, kw_only=True):
    """A known group: what it uses and aims at, each with the statements that say so.

    `uses` maps a thing's key (``malware:…``, ``tool:…``, ``technique:T1486``) to statements; `indicators` maps
    indicator ids likewise; `targets` the folded names of sectors, countries and organisations.
    """

    id: str
    name: str
    aliases: tuple[str, ...]
    sponsor: str
    sponsor_id: str
    sponsor_statements: tuple[Statement, ...]
    uses: dict[str, tuple[Statement, ...]]
    indicators: dict[str, tuple[Statement, ...]]
    targets: dict[str, tuple[Statement, ...]]


class Thing(msgspec.Struct, frozen=True, kw_only=True):
    """Software or a technique by its key: its kind, its name, ids under which it is known."""

    key: str
    kind: str
    name: str
    attack_id: str


class Profiles(msgspec.Struct, frozen=True, kw_only=True):
    """All known groups, the things that they use, and what indicators indicate."""

    groups: tuple[ActorProfile, ...]
    things: dict[str, Thing]
    by_attack_id: dict[str, str]
    """ATT&CK id (``S0364``, ``T1486``, ``G0049``) → key of a thing, or id of a group."""
    indicated: dict[str, tuple[tuple[str, Statement], ...]]
    """Indicator id → keys of things (or ``group:…`` ids) that it indicates, with the statement."""


def profiles(objects: Iterable[Mapping[str, Any]], *, givers: Mapping[str, Sequence[str]] | None = None) -> Profiles:
    """Build profiles from STIX objects (2.0 or 2.1, as dicts), in any order.

    `givers` maps an object's id to the names of those who gave it; without it, an object's giver is the
    identity that created it.
    """
    return _ProfileMaker(objects, givers or {}).run()


def fold(name: str) -> str:
    """Fold a name so that spellings of one agree: letters and digits only, case folded.

    >>> fold("Mint-Sandstorm"), fold("MINT SANDSTORM")
    ('mintsandstorm', 'mintsandstorm')
    """
    return "".join(character for character in name.casefold() if character.isalnum())


class _ProfileMaker:
    def __init__(self, objects: Iterable[Mapping[str, Any]], givers: Mapping[str, Sequence[str]]) -> None:
        self._givers = givers
        self._objects: dict[str, Mapping[str, Any]] = {}
        relations: dict[str, Mapping[str, Any]] = {}
        for item in objects:
            id_, kind = item.get("id"), item.get("type")
            if not isinstance(id_, str) or item.get("revoked") or item.get("x_mitre_deprecated"):
                continue
            if kind == "relationship":
                relations[id_] = item
            elif kind in _MERGED or kind == "indicator":
                older = self._objects.get(id_)
                if older is None or str(older.get("modified", "")) <= str(item.get("modified", "")):
                    self._objects[id_] = item
        self._relations = [relations[id_] for id_ in sorted(relations)]
        self._home = self._merge()
        self._by_home: dict[str, list[str]] = {}
        for id_, home in sorted(self._home.items()):
            self._by_home.setdefault(home, []).append(id_)

    # --- one actor, one name

    def _merge(self) -> dict[str, str]:
        """Return object id → the id that stands for all objects of the same name (the smallest)."""
        parent: dict[str, str] = {id_: id_ for id_ in self._objects}

        def find(node: str) -> str:
            while parent[node] != node:
                parent[node] = parent[parent[node]]
                node = parent[node]
            return node

        first: dict[tuple[str, str], str] = {}
        for id_ in sorted(self._objects):
            item = self._objects[id_]
            if item["type"] not in _MERGED:
                continue
            for name in self._names(item):
                one = first.setdefault((_family(item["type"]), name), id_)
                a, b = find(one), find(id_)
                if a != b:
                    parent[max(a, b)] = min(a, b)
        return {id_: find(id_) for id_ in self._objects}

    def _names(self, item: Mapping[str, Any]) -> list[str]:
        names = [_attack_id(item)]
        if item["type"] != "attack-pattern":  # techniques share names ("Server", "Domains"); their ids decide
            names += [fold(str(name)) for name in (item.get("name", ""), *_aliases(item))]
        return [name for name in names if len(name) >= 4 or name == _attack_id(item) != ""]

    def _giver(self, item: Mapping[str, Any]) -> str:
        named = self._givers.get(str(item.get("id")))
        if named:
            return min(named)
        creator = self._objects.get(str(item.get("created_by_ref")))
        return str(creator.get("name", "")) if creator else str(item.get("created_by_ref") or "unknown")

    def _statement(self, relation: Mapping[str, Any]) -> Statement:
        giver = self._giver(relation)
        about = self._home.get(str(relation.get("target_ref")), str(relation.get("target_ref")))
        return Statement(giver, about)

    # --- what relationships say

    def run(self) -> Profiles:
        things = self._things()
        uses: dict[str, dict[str, set[Statement]]] = {}
        targets: dict[str, dict[str, set[Statement]]] = {}
        direct: dict[str, dict[str, set[Statement]]] = {}
        indicated: dict[str, set[tuple[str, Statement]]] = {}
        behind: dict[str, list[tuple[str, Statement]]] = {}
        for relation in self._relations:
            source = self._home.get(str(relation.get("source_ref")))
            target = self._home.get(str(relation.get("target_ref")))
            if source is None or target is None or source == target:
                continue
            kind = relation.get("relationship_type")
            statement = self._statement(relation)
            if kind == "attributed-to":
                behind.setdefault(source, []).append((target, statement))
            elif kind in {"uses", "controls", "compromises", "hosts", "owns"}:
                uses.setdefault(source, {}).setdefault(target, set()).add(statement)
            elif kind == "targets":
                targets.setdefault(source, {}).setdefault(target, set()).add(statement)
            elif kind == "indicates":
                indicated.setdefault(str(relation.get("source_ref")), set()).add((target, statement))
        for id_, found in indicated.items():
            for target, statement in found:
                direct.setdefault(target, {}).setdefault(id_, set()).add(statement)
        actors = self._actors(uses, direct, behind)
        groups = [self._profile(actor, uses, targets, direct, behind, things) for actor in sorted(actors)]
        by_attack_id = {thing.attack_id: key for key, thing in sorted(things.items()) if thing.attack_id}
        for actor in sorted(actors):
            for member in self._members(actor):
                if _attack_id(self._objects[member]):
                    by_attack_id.setdefault(_attack_id(self._objects[member]), f"group:{actor}")
        keyed = {
            id_: tuple(sorted((self._key_of(target, things, actors), one) for target, one in found))
            for id_, found in sorted(indicated.items())
        }
        return Profiles(
            groups=tuple(groups),
            things=things,
            by_attack_id=by_attack_id,
            indicated={id_: tuple(one for one in found if one[0]) for id_, found in keyed.items()},
        )

    def _things(self) -> dict[str, Thing]:
        found: dict[str, Thing] = {}
        for id_ in sorted(self._objects):
            item = self._objects[id_]
            if item["type"] in _SOFTWARE | {"attack-pattern", "infrastructure"} and self._home[id_] == id_:
                members = [self._objects[member] for member in self._members(id_)]
                attack_id = next((one for one in map(_attack_id, members) if one), "")
                kind = {"attack-pattern": "technique"}.get(str(item["type"]), str(item["type"]))
                if any(member["type"] == "tool" for member in members) and kind == "malware":
                    kind = "tool"  # what somebody knows as a public tool singles out nobody
                key = f"technique:{attack_id}" if kind == "technique" and attack_id else f"{kind}:{id_}"
                found[key] = Thing(key=key, kind=kind, name=str(item.get("name", id_)), attack_id=attack_id)
        return found

    def _members(self, home: str) -> list[str]:
        return self._by_home.get(home, [])

    def _actors(
        self,
        uses: Mapping[str, object],
        direct: Mapping[str, object],
        behind: Mapping[str, Sequence[tuple[str, Statement]]],
    ) -> set[str]:
        """Groups: every intrusion set, and threat actors that act themselves (not only stand behind a group)."""
        sponsors = {target for found in behind.values() for target, _ in found}
        found: set[str] = set()
        for id_, home in self._home.items():
            kind = self._objects[id_]["type"]
            acts = home in uses or home in direct
            if kind == "intrusion-set" or (kind == "threat-actor" and acts and home not in sponsors):
                found.add(home)
        return found

    def _key_of(self, target: str, things: Mapping[str, Thing], actors: set[str]) -> str:
        if target in actors:
            return f"group:{target}"
        item = self._objects[target]
        if item["type"] == "attack-pattern":
            key = f"technique:{_attack_id(item)}"
            return key if key in things else f"technique:{target}" if f"technique:{target}" in things else ""
        keys = (f"{kind}:{target}" for kind in ("malware", "tool", "infrastructure"))
        return next((key for key in keys if key in things), "")

    def _profile(
        self,
        actor: str,
        uses: Mapping[str, Mapping[str, set[Statement]]],
        targets: Mapping[str, Mapping[str, set[Statement]]],
        direct: Mapping[str, Mapping[str, set[Statement]]],
        behind: Mapping[str, Sequence[tuple[str, Statement]]],
        things: Mapping[str, Thing],
    ) -> ActorProfile:
        own = [actor, *self._campaigns(actor, behind)]
        used: dict[str, set[Statement]] = {}
        shown: dict[str, set[Statement]] = {}
        aimed: dict[str, set[Statement]] = {}
        for id_ in own:
            for target, statements in uses.get(id_, {}).items():
                key = self._key_of(target, things, set())
                if key:
                    used.setdefault(key, set()).update(statements)
            for indicator, statements in direct.get(id_, {}).items():
                shown.setdefault(indicator, set()).update(statements)
            for target, statements in targets.get(id_, {}).items():
                for member in self._members(target):
                    for name in _target_names(self._objects[member]):
                        aimed.setdefault(name, set()).update(statements)
        sponsor, said = self._sponsor(actor, behind)
        members = [self._objects[member] for member in self._members(actor)]
        names = sorted({str(name) for item in members for name in (item.get("name", ""), *_aliases(item)) if name})
        name = min((str(item.get("name", "")) for item in members if item.get("name")), default=actor)
        return ActorProfile(
            id=actor,
            name=name,
            aliases=tuple(one for one in names if one != name),
            sponsor=str(self._objects[sponsor].get("name", sponsor)) if sponsor else "",
            sponsor_id=sponsor,
            sponsor_statements=tuple(sorted(said)),
            uses=_sorted(used),
            indicators=_sorted(shown),
            targets=_sorted(aimed),
        )

    def _campaigns(self, actor: str, behind: Mapping[str, Sequence[tuple[str, Statement]]]) -> list[str]:
        return sorted(
            source
            for source, found in behind.items()
            if self._objects[source]["type"] == "campaign" and any(target == actor for target, _ in found)
        )

    def _sponsor(self, actor: str, behind: Mapping[str, Sequence[tuple[str, Statement]]]) -> tuple[str, set[Statement]]:
        """Follow "attributed-to" to its end; the most stated way first. Returns ("", …) where nobody is named."""
        at, said, seen = actor, set[Statement](), {actor}
        while True:
            ways: dict[str, set[Statement]] = {}
            for target, statement in behind.get(at, ()):
                if target not in seen and self._objects[target]["type"] in _ACTORS | {"identity"}:
                    ways.setdefault(target, set()).add(statement)
            if not ways:
                return ("" if at == actor else at), said
            at = min(ways, key=lambda target: (-len(ways[target]), target))
            said |= ways[at]
            seen.add(at)


def _family(kind: str) -> str:
    """Types that can be the same thing under two names: groups and actors, malware and tools."""
    return "actor" if kind in _ACTORS else "software" if kind in _SOFTWARE else kind


def _aliases(item: Mapping[str, Any]) -> list[str]:
    found = [*(item.get("aliases") or ()), *(item.get("x_mitre_aliases") or ())]
    return [str(alias) for alias in found]


def _attack_id(item: Mapping[str, Any]) -> str:
    for reference in item.get("external_references") or ():
        if isinstance(reference, Mapping) and str(reference.get("source_name", "")).startswith("mitre"):
            found = _ATTACK_ID.fullmatch(str(reference.get("external_id", "")))
            if found:
                return found[0]
    return ""


def _target_names(item: Mapping[str, Any]) -> list[str]:
    names = [item.get("name"), item.get("country"), item.get("region"), *(item.get("sectors") or ())]
    return [fold(str(name)) for name in names if name]


def _sorted(found: Mapping[str, set[Statement]]) -> dict[str, tuple[Statement, ...]]:
    return {key: tuple(sorted(found[key])) for key in sorted(found)}
