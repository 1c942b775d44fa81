"""Profiles from STIX objects: merged names, sponsors at the end of a chain, bad input passed over."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aleat.attribution import profiles
from aleat.stix.extensions import extend
from tests.attribution.world import World, ident


def test_one_actor_under_two_names_is_one_profile() -> None:
    world = World()
    world.group("Mint Sandstorm", "State A", ["one"], giver="Ally", aliases=["PHOSPHORUS"])
    world.group("phosphorus", "", ["two"], giver="Other")
    (group,) = profiles(world.objects).groups
    assert len(group.uses) == 2
    assert group.sponsor == "State A"


def test_one_malware_of_two_givers_is_one_thing_with_two_statements() -> None:
    world = World()
    world.group("Lynx", "", ["ZeroCleare"], giver="Ally")
    world.group("Lynx", "", ["ZEROCLEARE"], giver="Other")
    (group,) = profiles(world.objects).groups
    (statements,) = group.uses.values()
    assert {one.giver for one in statements} == {"Ally", "Other"}


def test_sponsor_is_the_end_of_the_chain_and_circles_end() -> None:
    world = World()
    group = world.group("Lynx")
    unit, state = world.add("threat-actor", "Unit 1"), world.add("identity", "State A")
    world.relate(group, "attributed-to", unit)
    world.relate(unit, "attributed-to", state)
    world.relate(state, "attributed-to", unit)
    found = profiles(world.objects)
    assert [one.name for one in found.groups] == ["Lynx"]
    assert found.groups[0].sponsor == "State A"


def test_what_a_campaign_uses_its_group_uses() -> None:
    world = World()
    group = world.group("Lynx")
    campaign, wiper = world.add("campaign", "Operation"), world.add("malware", "wiper")
    world.relate(campaign, "attributed-to", group)
    world.relate(campaign, "uses", wiper)
    (found,) = profiles(world.objects).groups
    assert found.uses
    assert found.sponsor == ""


def test_revoked_and_dangling_objects_are_passed_over() -> None:
    world = World()
    group = world.group("Lynx")
    world.relate(group, "uses", "malware--00000000-0000-4000-8000-000000000000")
    world.objects.append({"type": "intrusion-set", "id": ident("intrusion-set", "old"), "name": "Old", "revoked": True})
    world.objects.append({"type": "relationship", "id": "relationship--x", "relationship_type": "uses"})
    world.objects.append({"id": 7, "type": None})
    (found,) = profiles(world.objects).groups
    assert found.uses == {}


_KINDS = st.sampled_from(
    ["intrusion-set", "threat-actor", "malware", "identity", "campaign", "indicator", "relationship"]
)
_IDS = st.sampled_from([f"x--{number}" for number in range(8)])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {"type": _KINDS, "id": _IDS},
            optional={
                "name": st.sampled_from(["Alpha", "Beta", "alpha", ""]),
                "source_ref": _IDS,
                "target_ref": _IDS,
                "relationship_type": st.sampled_from(["uses", "attributed-to", "indicates", "targets"]),
                "aliases": st.one_of(st.none(), st.lists(st.sampled_from(["Gamma", "Beta"]))),
                "external_references": st.one_of(st.none(), st.just([{"source_name": "mitre-attack"}]), st.just(["x"])),
            },
        ),
        max_size=25,
    )
)
def test_any_graph_gives_profiles(objects: list[dict[str, object]]) -> None:
    profiles(objects)


@pytest.mark.data
def test_attack_gives_its_groups_and_names_no_sponsor(test_data: Path) -> None:
    bundle = orjson.loads((test_data / "attack" / "enterprise-attack.json").read_bytes())
    found = profiles(bundle["objects"])
    assert len(found.groups) > 150
    assert {group.sponsor for group in found.groups} == {""}
    assert found.things[found.by_attack_id["S0002"]].name == "Mimikatz"
    users = [group.name for group in found.groups if found.by_attack_id["S0002"] in group.uses]
    assert len(users) > 20


def _from_galaxy(world: World, group: str, state: str, galaxy: str = "threat-actor", **more: object) -> None:
    """As the reader of galaxies tells it: an actor of the same name, and a suspicion."""
    actor = world.add("threat-actor", group)
    identity = next((o["id"] for o in world.objects if o["type"] == "identity" and o.get("name") == state), None)
    told = {"galaxy": galaxy, "version": "7", "field": "cfr-suspected-state-sponsor", "suspected": True}
    world.relate(actor, "attributed-to", identity or world.add("identity", state), giver=galaxy)
    world.objects[-1] |= {"extensions": extend("galaxy", told), **more}


def test_a_sponsor_that_only_a_galaxy_names_reaches_the_group_as_suspected_with_its_source() -> None:
    """ATT&CK names no sponsors; whoever does says how sure they are, and it stays a suspicion."""
    world = World()
    world.group("Quiet Heron", "", ["plum"], giver="ATT&CK")
    _from_galaxy(world, "QUIET HERON", "State A", confidence=50)
    (group,) = profiles(world.objects).groups
    assert (group.sponsor, group.sponsor_suspected) == ("State A", True)
    (basis,) = group.sponsor_basis
    assert (basis.source, basis.confidence) == ("MISP galaxy threat-actor 7", 50)


def test_what_an_ally_states_comes_before_what_galaxies_suspect_and_the_others_are_named() -> None:
    """However many suspect another: a contested sponsor says so."""
    world = World()
    world.group("Quiet Heron", "State B", ["plum"], giver="Ally")
    _from_galaxy(world, "Quiet Heron", "State A")
    _from_galaxy(world, "Quiet Heron", "State A", galaxy="other")
    (group,) = profiles(world.objects).groups
    assert (group.sponsor, group.sponsor_suspected, group.sponsor_others) == ("State B", False, ("State A",))


def _attack(item: dict[str, object], attack_id: str) -> None:
    item["external_references"] = [{"source_name": "mitre-attack", "external_id": attack_id}]


def test_an_alias_of_two_attack_groups_joins_nothing() -> None:
    """Collections of names are full of them; two ATT&CK ids are never one actor."""
    world = World()
    one = world.group("Quiet Heron", "", ["plum"])
    other = world.group("Loud Heron", "", ["pear"])
    world.group("Herons", "", ["apple"], aliases=["Quiet Heron", "Loud Heron"])
    by_id = {item["id"]: item for item in world.objects}
    _attack(by_id[one], "G0901")
    _attack(by_id[other], "G0902")
    found = profiles(world.objects).groups
    assert len([group for group in found if {"Quiet Heron", "Loud Heron"} <= {group.name, *group.aliases}]) <= 1
    assert len(found) == 2  # the third is one of them, and not both
    assert profiles(world.objects[::-1]) == profiles(world.objects)


def test_who_repeats_attack_is_no_second_giver() -> None:
    """A galaxy that tells ATT&CK again adds no independent word, where ATT&CK's own is here; else it counts."""
    world = World()
    group = world.group("Quiet Heron", "", ["plum"], giver="ATT&CK")
    copied = world.add("intrusion-set", "Quiet Heron", giver="Galaxy")
    malware = next(item["id"] for item in world.objects if item["type"] == "malware")
    world.relate(copied, "uses", malware, giver="Galaxy")
    world.objects[-1]["extensions"] = extend(
        "galaxy", {"galaxy": "mitre-intrusion-set", "version": "1", "retells": "x"}
    )
    (found,) = profiles(world.objects).groups
    assert {one.giver for said in found.uses.values() for one in said} == {"ATT&CK"}
    alone = [item for item in world.objects if item.get("source_ref") != group]
    (found,) = profiles(alone).groups
    assert {one.giver for said in found.uses.values() for one in said} == {"Galaxy"}


def test_what_attack_withdrew_does_not_come_back_by_who_repeats_it() -> None:
    """A galaxy is older than the ATT&CK that it tells again."""
    world = World()
    world.add("intrusion-set", "Quiet Heron", giver="ATT&CK", revoked=True)
    _attack(world.objects[-1], "G0901")
    world.add("intrusion-set", "Quiet Heron", giver="Galaxy")
    _attack(world.objects[-1], "G0901")
    world.objects[-1]["extensions"] = extend(
        "galaxy", {"galaxy": "mitre-intrusion-set", "version": "1", "retells": "x"}
    )
    assert profiles(world.objects).groups == ()
