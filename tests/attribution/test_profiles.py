"""Profiles from STIX objects: merged names, sponsors at the end of a chain, bad input passed over."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aleat.attribution import profiles
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
