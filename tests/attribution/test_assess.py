"""Who did it: the right one, nobody, or not enough evidence; and what would change the answer."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aleat.attribution import SOMEBODY_ELSE, assess, default_weights, probability_words, profiles
from aleat.attribution.records import Assessment
from aleat.case.records import Claim
from tests.attribution.world import World, case_of, crowd, ident


def _world() -> World:
    world = World()
    world.group("Lynx", "State A", ["lynxdoor", "lynxwipe"], ["T1059", "T1486"])
    world.group("Heron", "State B", ["herondoor", "heronlock"], ["T1059", "T1566"])
    crowd(world)
    return world


def _assess(world: World, shown: list[str], techniques: list[str] = []) -> tuple[Assessment, Assessment]:  # noqa: B006
    sponsor, group = assess(case_of(shown, techniques), profiles(world.objects))
    return sponsor, group


def test_words_are_those_of_icd_203() -> None:
    ranges = [(0.03, "almost no chance"), (0.1, "very unlikely"), (0.3, "unlikely"), (0.5, "roughly even chance")]
    ranges += [(0.7, "likely"), (0.9, "very likely"), (0.97, "almost certain"), (1.0, "almost certain")]
    assert [probability_words(value) for value, _ in ranges] == [words for _, words in ranges]


def test_sponsor_comes_first_and_the_right_one_leads() -> None:
    sponsor, group = _assess(_world(), ["lynxdoor", "lynxwipe"], ["T1059", "T1486"])
    assert (sponsor.kind, group.kind) == ("sponsor", "group")
    assert sponsor.verdict == "assessed"
    assert sponsor.hypotheses[0].name == "State A"
    assert group.hypotheses[0].name == "Lynx"
    assert group.hypotheses[0].sponsor == "State A"
    assert group.hypotheses[0].posterior <= sponsor.hypotheses[0].posterior


def test_somebody_else_is_always_a_hypothesis_and_nothing_is_certain() -> None:
    for shown in ([], ["lynxdoor"], ["lynxdoor", "lynxwipe"]):
        for assessment in _assess(_world(), shown):
            assert SOMEBODY_ELSE in {hypothesis.name for hypothesis in assessment.hypotheses}
            assert all(0.01 <= hypothesis.posterior <= 0.99 for hypothesis in assessment.hypotheses)
            assert all(
                hypothesis.words == probability_words(hypothesis.posterior) for hypothesis in assessment.hypotheses
            )


def test_nothing_shown_is_not_enough_evidence() -> None:
    sponsor, group = _assess(_world(), [])
    assert (sponsor.verdict, sponsor.verdict_reason) == ("not-enough-evidence", "too-few-items")
    assert group.verdict == "not-enough-evidence"
    assert sponsor.hypotheses[0].name == SOMEBODY_ELSE


def test_one_statement_alone_is_not_enough_evidence() -> None:
    sponsor, _ = _assess(_world(), ["lynxdoor"])
    assert (sponsor.verdict, sponsor.verdict_reason) == ("not-enough-evidence", "too-few-items")


def test_equal_evidence_for_two_actors_is_a_tie() -> None:
    sponsor, group = _assess(_world(), ["lynxdoor", "lynxwipe", "herondoor", "heronlock"])
    assert (sponsor.verdict, sponsor.verdict_reason) == ("not-enough-evidence", "tie")
    assert (group.verdict, group.verdict_reason) == ("not-enough-evidence", "tie")
    posteriors = {one.name: one.posterior for one in sponsor.hypotheses}
    assert posteriors["State A"] == posteriors["State B"]


def test_a_planted_false_flag_doesnt_turn_the_answer() -> None:
    """Two pieces of Lynx's code, and one of Heron's left for us to find."""
    sponsor, _ = _assess(_world(), ["lynxdoor", "lynxwipe", "herondoor"])
    assert sponsor.hypotheses[0].name == "State A"
    weights = {weight.bits for weight in sponsor.weights if weight.hypothesis == ident("threat-actor", "State B|Ally")}
    assert max(weights) <= default_weights().cap["malware"]


def test_no_item_weighs_more_than_its_cap() -> None:
    world = _world()
    crowd(world, 300)
    sponsor, _ = _assess(world, ["lynxdoor", "lynxwipe"], ["T1486"])
    kinds = {item.id: item.kind for item in sponsor.items}
    caps = default_weights().cap
    assert all(weight.bits <= caps[kinds[weight.item]] + 1e-9 for weight in sponsor.weights)


def test_techniques_that_everybody_uses_weigh_nothing() -> None:
    sponsor, _ = _assess(_world(), ["lynxdoor", "lynxwipe"], ["T1059"])
    common = [item.id for item in sponsor.items if item.kind == "technique"]
    assert common
    assert all(abs(weight.bits) < 0.1 for weight in sponsor.weights if weight.item in common)


def test_techniques_alone_never_name_anybody() -> None:
    """An actor that is described at length fits everything; that isn't evidence."""
    world = _world()
    world.group("Prolific", "State P", [], [f"T1{number:03d}" for number in range(60)])
    sponsor, _ = _assess(world, [], [f"T1{number:03d}" for number in range(40)])
    assert sponsor.verdict == "not-enough-evidence"


def test_many_indicators_of_one_statement_count_once() -> None:
    """Fifty addresses that one giver ties to one group are one statement."""
    world = _world()
    group = ident("intrusion-set", "Lynx|Ally")
    names = [f"addr{number}" for number in range(20)]
    for name in names:
        world.objects.append({"type": "indicator", "id": f"indicator--ind-{name}"})
        world.relate(f"indicator--ind-{name}", "indicates", group)
    _, one = _assess(world, names[:1])
    _, many = _assess(world, names)
    assert sum(w.bits for w in one.weights if w.hypothesis == group) == pytest.approx(
        sum(w.bits for w in many.weights if w.hypothesis == group)
    )
    assert {weight.reason for weight in many.weights if weight.hypothesis == group} >= {"listed", "dependent"}


def test_all_evidence_from_one_giver_is_capped_and_never_of_high_confidence() -> None:
    world = World()
    world.group("Lynx", "State A", [f"lynx{number}" for number in range(6)])
    crowd(world)
    sponsor, _ = _assess(world, [f"lynx{number}" for number in range(6)])
    assert sponsor.hypotheses[0].bits <= default_weights().dependence["giver_cap"] + 0.01
    assert sponsor.confidence in {"low", "moderate"}
    (without,) = sponsor.without_giver
    assert without.item == "Ally"
    assert without.changes_answer


def test_a_second_independent_giver_raises_the_probability_and_the_confidence() -> None:
    world = World()
    world.group("Lynx", "State A", [f"lynx{number}" for number in range(4)], giver="Ally")
    world.group("Lynx", "State A", [f"tool{number}" for number in range(4)], giver="Other ally")
    crowd(world)
    shown = [f"lynx{number}" for number in range(4)]
    alone, _ = _assess(world, shown)
    both, _ = _assess(world, shown + [f"tool{number}" for number in range(4)])
    assert both.hypotheses[0].posterior > alone.hypotheses[0].posterior
    assert both.confidence == "high"


def test_sensitivity_names_the_item_without_which_the_answer_falls() -> None:
    sponsor, _ = _assess(_world(), ["lynxdoor", "lynxwipe"])
    pivot = sponsor.sensitivity[0]
    assert pivot.changes_answer
    assert pivot.posterior < sponsor.hypotheses[0].posterior
    assert {item.value for item in sponsor.items if item.id == pivot.item} <= {"lynxdoor", "lynxwipe"}
    assert sponsor.confidence == "low"


def test_two_groups_of_one_sponsor_complement_each_other() -> None:
    world = World()
    world.group("Doors", "State A", ["door1", "door2"])
    world.group("Wipers", "State A", ["wipe1", "wipe2"])
    crowd(world)
    sponsor, group = _assess(world, ["door1", "door2", "wipe1", "wipe2"])
    assert sponsor.hypotheses[0].name == "State A"
    assert sponsor.verdict == "assessed"
    assert group.verdict_reason == "several-groups"


def test_profiles_without_sponsors_name_groups_only() -> None:
    world = World()
    world.group("Lynx", "", ["lynxdoor", "lynxwipe"])
    for number in range(20):
        world.group(f"Crowd {number}", "", [f"crowdware{number}"])
    sponsor, group = _assess(world, ["lynxdoor", "lynxwipe"])
    assert (sponsor.verdict, sponsor.verdict_reason) == ("not-enough-evidence", "no-sponsor-known")
    assert group.hypotheses[0].name == "Lynx"


def test_a_known_group_without_sponsor_counts_against_every_sponsor() -> None:
    world = _world()
    world.group("Free", "", ["freeware"])
    with_free, _ = _assess(world, ["lynxdoor", "freeware"])
    without, _ = _assess(world, ["lynxdoor"])
    first = {one.name: one.posterior for one in with_free.hypotheses}
    second = {one.name: one.posterior for one in without.hypotheses}
    assert first["State A"] < second["State A"]


def test_no_profiles_and_no_incidents_are_answers() -> None:
    case = case_of(["lynxdoor"])
    assert {one.verdict_reason for one in assess(case, profiles([]))} == {"no-profiles"}
    empty = msgspec.structs.replace(case, incidents=(), campaigns=())
    assert assess(empty, profiles(_world().objects)) == ()


def test_accusations_change_nothing() -> None:
    case = case_of(["lynxdoor", "lynxwipe"])
    claim = Claim(id="c1", act="accuses", speaker="P", target="State B", about="it", quote="B did it", document="d", offset=0, byte_offset=0)  # fmt: skip  # noqa: E501
    accused = msgspec.structs.replace(case, claims=(claim,) * 50)
    known = profiles(_world().objects)
    assert assess(case, known) == assess(accused, known)


def test_items_lead_back_to_their_records() -> None:
    sponsor, _ = _assess(_world(), ["lynxdoor", "lynxwipe"])
    assert all(item.refs and item.givers == ("Ally",) for item in sponsor.items if item.kind == "malware")


def test_a_victim_that_only_one_actor_aims_at_weighs_a_little() -> None:
    world = _world()
    country = world.add("location", "Albania", country="AL")
    world.relate(ident("intrusion-set", "Lynx|Ally"), "targets", country)
    known = profiles(world.objects)
    case = case_of(["lynxdoor", "lynxwipe"])
    sponsor, _ = assess(case, known, victim=["albania"])
    items = {item.id for item in sponsor.items if item.kind == "target"}
    bits = [weight.bits for weight in sponsor.weights if weight.item in items and weight.bits > 0]
    assert len(bits) == 1
    assert bits[0] <= 1.0


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000))
def test_order_of_objects_changes_nothing(seed: int) -> None:
    objects = list(_world().objects)
    case = case_of(["lynxdoor", "lynxwipe", "herondoor"], ["T1059", "T1486"])
    before = assess(case, profiles(objects))
    random.Random(seed).shuffle(objects)  # noqa: S311
    assert assess(case, profiles(objects)) == before


@settings(max_examples=12, deadline=None)
@given(st.sets(st.sampled_from(["lynxdoor", "lynxwipe", "herondoor", "heronlock", "crowdware1", "crowdware2"])))
def test_posteriors_add_up_and_groups_never_exceed_their_sponsor(shown: set[str]) -> None:
    sponsor, group = _assess(_world(), sorted(shown))
    sponsors = {one.name: one.posterior for one in sponsor.hypotheses}
    for assessment in (sponsor, group):
        assert 0.9 < sum(one.posterior for one in assessment.hypotheses) < 1.1
    for one in group.hypotheses:
        if one.sponsor in sponsors:
            assert one.posterior <= sponsors[one.sponsor] + 0.011
