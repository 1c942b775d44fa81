"""The index of what is publicly known: names, aliases, ids, and what mitigates a technique."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

from aleat.knowledge.names import Names, catalogue_id, read_names
from aleat.stix import content_id, make_object
from aleat.store.objects import Provenance, StoredObject

WHEN = datetime(2022, 9, 1, tzinfo=UTC)


def stored(type_: str, name: str, *, giver: str = "north", attack: str = "", **more: Any) -> StoredObject:
    references = [{"source_name": "mitre-attack", "external_id": attack}] if attack else []
    item = make_object(type_, content_id(type_, [name, attack]), created=WHEN, name=name or None, **more,
                       external_references=references)  # fmt: skip
    return StoredObject(item, (Provenance(giver=giver, received=WHEN),))


def mitigates(action: StoredObject, technique: StoredObject, text: str, **more: Any) -> StoredObject:
    item = make_object(
        "relationship",
        content_id("relationship", [action.object.id, technique.object.id, text]),
        created=WHEN,
        relationship_type="mitigates",
        source_ref=action.object.id,
        target_ref=technique.object.id,
        description=text,
        **more,
    )
    return StoredObject(item, (Provenance(giver="north", received=WHEN),))


ENCRYPT = stored("attack-pattern", "Data Encrypted for Impact", attack="T1486")
SHELL = stored("attack-pattern", "Command and Scripting Interpreter", attack="T1059")
POWERSHELL = stored("attack-pattern", "PowerShell", attack="T1059.001")
BACKUP = stored("course-of-action", "Data Backup", attack="M1053")
SIGNING = stored("course-of-action", "Code Signing", attack="M1045")
OLD = stored("course-of-action", "An Older Way", attack="M1000", x_mitre_deprecated=True)
GROUP = stored("intrusion-set", "Mint Sandstorm", attack="G0059", aliases=["Magic Hound", "APT35"])
WORLD = [
    ENCRYPT, SHELL, POWERSHELL, BACKUP, SIGNING, OLD, GROUP,
    mitigates(BACKUP, ENCRYPT, "Keep copies where the network doesn't reach."),
    mitigates(SIGNING, SHELL, "Let only signed scripts run."),
    mitigates(OLD, ENCRYPT, "Nobody says this any more."),
]  # fmt: skip


def world() -> Names:
    return read_names(WORLD, givers={"north": "Team North"})


def test_an_actor_is_found_by_name_alias_and_id_in_any_spelling() -> None:
    """Dashes, spaces and case don't matter; the giver is named."""
    for text in ("Mint Sandstorm", "mint-sandstorm", "APT 35", "g0059", GROUP.object.id):
        (found,) = world().find(text)
        assert (found.name, found.givers) == ("Mint Sandstorm", ("Team North",))
    assert world().find("nobody") == ()


def test_a_technique_has_its_name_and_its_mitigations() -> None:
    """What is deprecated is not advice; how it helps is what the relation says."""
    assert world().technique_name("T1486") == "Data Encrypted for Impact"
    assert world().technique_name("T9999") == ""
    (found,) = world().mitigations_of(["T1486"])
    assert (found.action.name, found.action.catalogue_id) == ("Data Backup", "M1053")
    assert found.description == "Keep copies where the network doesn't reach."
    assert world().mitigations_of([ENCRYPT.object.id])[0].action == found.action


def test_a_sub_technique_without_mitigations_has_those_of_its_technique_and_says_so() -> None:
    """`against` names the technique for which it is stated."""
    (found,) = world().mitigations_of(["T1059.001", "T1059.001", "T9999"])
    assert (found.technique, found.against, found.action.name) == ("T1059.001", "T1059", "Code Signing")


def test_two_givers_of_one_name_are_two_entries() -> None:
    """Names are an index, not a judgement."""
    theirs = stored("malware", "Emotet", giver="south", attack="S0367", is_family=True)
    ours = stored("malware", "EMOTET", giver="north", is_family=True)
    found = read_names([theirs, ours]).find("emotet")
    assert sorted(one.givers for one in found) == [("north",), ("south",)]


def test_the_order_of_objects_does_not_matter() -> None:
    """Any permutation gives the same answers."""
    for some in itertools.islice(itertools.permutations(WORLD), 0, 3_000_000, 600_000):
        assert read_names(some).mitigations_of(["T1486", "T1059.001"]) == read_names(WORLD).mitigations_of(
            ["T1059.001", "T1486"]
        )


def test_references_of_the_wrong_form_are_passed_over() -> None:
    """What others write into references raises nothing."""
    for references in (None, "T1486", [None], [{"source_name": 7}], [{"source_name": "mitre", "external_id": ["T1"]}]):
        assert catalogue_id({"external_references": references}) == ("", "")
