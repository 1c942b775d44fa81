"""Profiles of actors, from STIX objects: who uses what, who aims at whom, who stands behind a group.

Groups are ``intrusion-set`` objects, and ``threat-actor`` objects that use something themselves. A sponsor is
the end of a group's ``attributed-to`` chain (a threat actor or an identity); ATT&CK names none. Objects that
name the same actor or software (by id, ATT&CK id, name or alias) are one; givers stay apart: every statement
("this group uses that", "this indicates that") remembers who made it.

Bad relationships (to ids that aren't there, in circles) are passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from aleat.attribution.joining import aliases_of, attack_id_of, fold, join_objects
from aleat.attribution.sponsors import Sponsor, SponsorBasis, Way, basis_of, follow_sponsor, galaxy_of

__all__ = ["ActorProfile", "Profiles", "Statement", "Thing", "fold", "profiles"]

_ACTORS = frozenset({"intrusion-set", "threat-actor"})
_SOFTWARE = frozenset({"malware", "tool"})
_MERGED = _ACTORS | _SOFTWARE | {"attack-pattern", "campaign", "infrastructure", "identity", "location"}


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
    sponsor_basis: tuple[SponsorBasis, ...]
    uses: dict[str, tuple[Statement, ...]]
    indicators: dict[str, tuple[Statement, ...]]
    targets: dict[str, tuple[Statement, ...]]
    sponsor_others: tuple[str, ...] = ()
    """Sponsors that others name for it."""

    @property
    def sponsor_suspected(self) -> bool:
        """Whether nobody states who stands behind it, and somebody suspects it."""
        return bool(self.sponsor_basis) and all(one.suspected for one in self.sponsor_basis)


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


class _ProfileMaker:
    def __init__(self, objects: Iterable[Mapping[str, Any]], givers: Mapping[str, Sequence[str]]) -> None:
        self._givers = givers
        self._objects: dict[str, Mapping[str, Any]] = {}
        relations: dict[str, Mapping[str, Any]] = {}
        withdrawn: set[str] = set()
        for item in objects:
            id_, kind = item.get("id"), item.get("type")
            if not isinstance(id_, str) or item.get("revoked") or item.get("x_mitre_deprecated"):
                withdrawn.add(attack_id_of(item))
                continue
            if kind == "relationship":
                relations[id_] = item
            elif kind in _MERGED or kind == "indicator":
                older = self._objects.get(id_)
                if older is None or str(older.get("modified", "")) <= str(item.get("modified", "")):
                    self._objects[id_] = item
        self._relations = [relations[id_] for id_ in sorted(relations)]
        for id_ in [id_ for id_, item in self._objects.items() if galaxy_of(item).get("retells")]:
            if attack_id_of(self._objects[id_]) in withdrawn - {""}:
                del self._objects[id_]  # ATT&CK no longer says so; who repeats it is behind
        self._home = join_objects(self._objects)
        self._by_home: dict[str, list[str]] = {}
        for id_, home in sorted(self._home.items()):
            self._by_home.setdefault(home, []).append(id_)

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

    def _without_retellings(self) -> Iterator[Mapping[str, Any]]:
        """Yield the relations; not those in which somebody repeats what its own author says here too."""
        own = {self._ends(relation) for relation in self._relations if not galaxy_of(relation).get("retells")}
        for relation in self._relations:
            if not galaxy_of(relation).get("retells") or self._ends(relation) not in own:
                yield relation

    def _ends(self, relation: Mapping[str, Any]) -> tuple[str | None, str | None, str]:
        source, target = (self._home.get(str(relation.get(end))) for end in ("source_ref", "target_ref"))
        return source, target, str(relation.get("relationship_type"))

    def run(self) -> Profiles:
        things = self._things()
        uses: dict[str, dict[str, set[Statement]]] = {}
        targets: dict[str, dict[str, set[Statement]]] = {}
        direct: dict[str, dict[str, set[Statement]]] = {}
        indicated: dict[str, set[tuple[str, Statement]]] = {}
        behind: dict[str, list[Way]] = {}
        for relation in self._without_retellings():
            source = self._home.get(str(relation.get("source_ref")))
            target = self._home.get(str(relation.get("target_ref")))
            if source is None or target is None or source == target:
                continue
            kind = relation.get("relationship_type")
            statement = self._statement(relation)
            if kind == "attributed-to":
                basis = basis_of(relation, statement.giver, self._name(target))
                behind.setdefault(source, []).append(Way(target, basis))
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
                if attack_id_of(self._objects[member]):
                    by_attack_id.setdefault(attack_id_of(self._objects[member]), f"group:{actor}")
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
                attack_id = next((one for one in map(attack_id_of, members) if one), "")
                kind = {"attack-pattern": "technique"}.get(str(item["type"]), str(item["type"]))
                if any(map(_is_tool, members)) and kind == "malware":
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
        behind: Mapping[str, list[Way]],
    ) -> set[str]:
        """Groups: every intrusion set, and threat actors that act themselves (not only stand behind a group)."""
        sponsors = {way.target for found in behind.values() for way in found}
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
            key = f"technique:{attack_id_of(item)}"
            return key if key in things else f"technique:{target}" if f"technique:{target}" in things else ""
        keys = (f"{kind}:{target}" for kind in ("malware", "tool", "infrastructure"))
        return next((key for key in keys if key in things), "")

    def _profile(
        self,
        actor: str,
        uses: Mapping[str, Mapping[str, set[Statement]]],
        targets: Mapping[str, Mapping[str, set[Statement]]],
        direct: Mapping[str, Mapping[str, set[Statement]]],
        behind: Mapping[str, list[Way]],
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
        sponsor = self._sponsor(actor, behind)
        members = [self._objects[member] for member in self._members(actor)]
        names = sorted({str(name) for item in members for name in (item.get("name", ""), *aliases_of(item)) if name})
        name = self._name(actor)
        return ActorProfile(
            id=actor,
            name=name,
            aliases=tuple(one for one in names if one != name),
            sponsor=self._name(sponsor.id) if sponsor.id else "",
            sponsor_id=sponsor.id,
            sponsor_basis=sponsor.basis,
            sponsor_others=sponsor.others,
            uses=_sorted(used),
            indicators=_sorted(shown),
            targets=_sorted(aimed),
        )

    def _campaigns(self, actor: str, behind: Mapping[str, list[Way]]) -> list[str]:
        return sorted(
            source
            for source, found in behind.items()
            if self._objects[source]["type"] == "campaign" and any(way.target == actor for way in found)
        )

    def _sponsor(self, actor: str, behind: Mapping[str, list[Way]]) -> Sponsor:
        """Follow "attributed-to" to its end, over actors and identities."""
        return follow_sponsor(
            actor, behind, lambda id_: self._objects[id_]["type"] in _ACTORS | {"identity"}, self._name
        )

    def _name(self, home: str) -> str:
        """Return what all objects that are one are called: ATT&CK's name first, a galaxy's last."""
        found = [self._objects[member] for member in self._members(home)]
        named = [item for item in found if item.get("name")]
        rank = [(not attack_id_of(item), bool(galaxy_of(item)), str(item["name"])) for item in named]
        return min(rank)[2] if rank else home


def _is_tool(item: Mapping[str, Any]) -> bool:
    """Whether somebody says that it is a public tool: not a galaxy that calls malware and tools alike so."""
    return item["type"] == "tool" and galaxy_of(item).get("type_stated") is not False


def _target_names(item: Mapping[str, Any]) -> list[str]:
    names = [item.get("name"), item.get("country"), item.get("region"), *(item.get("sectors") or ())]
    return [fold(str(name)) for name in names if name]


def _sorted(found: Mapping[str, set[Statement]]) -> dict[str, tuple[Statement, ...]]:
    return {key: tuple(sorted(found[key])) for key in sorted(found)}
