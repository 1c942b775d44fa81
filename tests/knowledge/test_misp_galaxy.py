"""MISP galaxies: names, aliases, and what is suspected of whom, as STIX; nothing told as a fact, no word lost."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from aleat.attribution import profiles
from aleat.errors import InputError, Issue, LimitError
from aleat.knowledge import Document, KnowledgeItem, Limits, detect_reader, read_knowledge
from aleat.knowledge.galaxies import galaxy_table
from aleat.knowledge.names import catalogue_id
from aleat.knowledge.readers import misp_galaxy
from aleat.stix import StixObject
from aleat.stix.extensions import extension_schema, read_extension
from aleat.store.database import Database
from aleat.store.objects import Provenance, put_objects
from tests.stix.strict import strict_errors

ACTOR = "11111111-0000-4000-8000-000000000001"
RAT = "11111111-0000-4000-8000-000000000002"
GROUP = "11111111-0000-4000-8000-000000000003"
ACTORS: dict[str, Any] = {
    "authors": ["A. Analyst", "B. Analyst"],
    "category": "actor",
    "description": "Adversaries, as an example.",
    "name": "Threat Actor",
    "source": "Example Project",
    "type": "threat-actor",
    "uuid": "22222222-0000-4000-8000-000000000001",
    "version": 7,
    "values": [
        {
            "uuid": ACTOR,
            "value": "Quiet Heron",
            "description": "An example of an actor.",
            "meta": {
                "synonyms": ["QH-1", "Grey Heron", "G0999"],
                "refs": ["https://example.org/heron", "a book, page 7", "https://attack.mitre.org/groups/G0999/"],
                "country": "IR",
                "attribution-confidence": "50",
                "cfr-suspected-state-sponsor": "Iran (Islamic Republic of)",
                "cfr-suspected-victims": ["Albania", "South Asia", "Atlantis"],
                "cfr-target-category": ["Government", "Private sector"],
                "since": "2017",
                "motive": "Espionage",
            },
            "related": [
                {"dest-uuid": RAT, "type": "uses", "tags": ['estimative-language:likelihood-probability="likely"']},
                {
                    "dest-uuid": GROUP,
                    "type": "similar",
                    "tags": ['estimative-language:likelihood-probability="very-likely"', "other"],
                },
                {"dest-uuid": ACTOR, "type": "similar"},
                {"dest-uuid": "99999999-0000-4000-8000-000000000009", "type": "similar"},
            ],
            "shape": {"of": "things to come"},
        },
        {"uuid": "11111111-0000-4000-8000-000000000004", "value": "Loud Heron", "meta": {"country": "RU"}},
    ],
}  # fmt: skip
RATS: dict[str, Any] = {
    "authors": ["A. Analyst"], "category": "tool", "description": "Remote access.", "name": "RAT", "source": "Example",
    "type": "rat", "uuid": "22222222-0000-4000-8000-000000000002", "version": "3",
    "values": [{"uuid": RAT, "value": "PlumRAT", "meta": {"synonyms": ["Plum"]},
                "related": [{"dest-uuid": ACTOR, "type": "used-by"}]}],
}  # fmt: skip
RETOLD: dict[str, Any] = {
    "authors": ["MITRE"], "category": "actor", "description": "ATT&CK groups.", "name": "Intrusion Set",
    "source": "https://github.com/mitre/cti", "type": "mitre-intrusion-set", "version": 40,
    "uuid": "22222222-0000-4000-8000-000000000003",
    "values": [{"uuid": GROUP, "value": "Quiet Heron - G0999",
                "meta": {"external_id": "G0999", "refs": ["https://attack.mitre.org/groups/G0999"]}}],
}  # fmt: skip
GALAXIES: dict[str, Any] = {"threat-actor.json": ACTORS, "rat.json": RATS, "mitre-intrusion-set.json": RETOLD}


def document(name: str, content: Any, others: dict[str, Any] | None = None) -> Document:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()

    def collected(relative: str) -> bytes | None:
        found = (others or {}).get(relative)
        return None if found is None else json.dumps(found).encode()

    return Document(name, name, len(data), data[:8192], lambda: data, collected=collected)


def read(content: Any, name: str = "threat-actor.json", limits: Limits | None = None) -> list[KnowledgeItem | Issue]:
    return list(misp_galaxy.read(document(name, content, GALAXIES), limits or Limits()))


def objects(found: list[KnowledgeItem | Issue]) -> list[StixObject]:
    return [item.object for item in found if isinstance(item, KnowledgeItem)]


def by_name(found: list[KnowledgeItem | Issue], name: str) -> StixObject:
    return next(item for item in objects(found) if item.name == name)


def relations(found: list[KnowledgeItem | Issue], kind: str) -> list[tuple[StixObject, dict[str, Any]]]:
    told = [(item, read_extension(item, "galaxy") or {}) for item in objects(found)]
    return [(item, content) for item, content in told if item.relationship_type == kind]


def changed(cluster: dict[str, Any]) -> dict[str, Any]:
    return ACTORS | {"values": [cluster]}


@pytest.mark.parametrize("name", GALAXIES)
def test_a_galaxy_is_recognised_and_its_objects_are_strictly_valid(name: str) -> None:
    """By its head, whatever the file is called; every object names galaxy and version, and fits the schema."""
    given = document("any.json", GALAXIES[name])
    reader = detect_reader(given)
    assert reader is not None
    assert reader.name == "misp-galaxy"
    for item in objects(read(GALAXIES[name])):
        assert strict_errors(item) == []
        content = read_extension(item, "galaxy")
        if content is not None:
            jsonschema.validate(content, extension_schema("galaxy"))
            assert (content["galaxy"], content["version"]) == (GALAXIES[name]["type"], str(GALAXIES[name]["version"]))
        else:  # a state, a place or a sector: nobody's statement
            assert item.type in {"identity", "location"}


def test_an_actor_has_its_names_its_references_and_every_other_word() -> None:
    """What STIX has no place for stands in the extension as it was written."""
    actor = by_name(read(ACTORS), "Quiet Heron")
    properties = actor.properties()
    assert actor.id == f"threat-actor--{ACTOR}"
    assert properties["aliases"] == ["QH-1", "Grey Heron", "G0999"]
    assert catalogue_id(properties)[0] == "G0999"
    told = [one.get("description") for one in properties["external_references"]]
    assert {"https://example.org/heron", "a book, page 7", "https://attack.mitre.org/groups/G0999/"} <= set(told)
    content = read_extension(actor, "galaxy") or {}
    cluster: dict[str, Any] = ACTORS["values"][0]
    assert content["meta"] == {k: v for k, v in cluster["meta"].items() if k not in {"synonyms", "refs"}}
    assert content["related"] == cluster["related"]
    assert content["other"] == {"shape": {"of": "things to come"}}


def test_a_sponsor_is_suspected_and_says_by_whom_where_and_how_sure() -> None:
    """Never as a fact: the relation has the field, the words, the galaxy, its version, and the confidence."""
    ((relation, content),) = relations(read(ACTORS), "attributed-to")
    state = by_name(read(ACTORS), "Iran")
    assert (relation.source_ref, relation.target_ref) == (f"threat-actor--{ACTOR}", state.id)
    assert relation.confidence == 50
    assert content == {
        "galaxy": "threat-actor",
        "version": "7",
        "source": "Example Project",
        "field": "cfr-suspected-state-sponsor",
        "said": ["Iran (Islamic Republic of)"],
        "suspected": True,
    }


def test_a_country_is_where_an_actor_sits_and_no_sponsor() -> None:
    """A gang in a country is not the country's."""
    found = read(ACTORS)
    actors = {relation.source_ref for relation, _ in relations(found, "attributed-to")}
    assert actors == {f"threat-actor--{ACTOR}"}
    assert {content["field"] for _, content in relations(found, "located-at")} == {"country"}
    assert len(relations(found, "located-at")) == 2


@pytest.mark.parametrize(
    ("origin", "sponsors"),
    [
        ("Iran", ["Iran"]),
        ("Financially motivated", []),
        ("Israel, Private sector offensive actor", []),
        ("Iran; Russian Federation", ["Iran", "Russia"]),
        ("Unknown", []),
        ("", []),
    ],
)
def test_only_states_are_sponsors(origin: str, sponsors: list[str]) -> None:
    """A field that says more than states names no sponsor."""
    found = read(changed({"uuid": ACTOR, "value": "Heron", "meta": {"microsoft-origin-threat": origin}}))
    ids = {relation.target_ref for relation, _ in relations(found, "attributed-to")}
    assert sorted(item.name or "" for item in objects(found) if item.id in ids) == sponsors


def test_victims_are_places_and_sectors_and_what_is_unknown_stays_in_the_extension() -> None:
    """A name that is no place on any map makes no object."""
    found = read(ACTORS)
    aimed = {relation.target_ref for relation, _ in relations(found, "targets")}
    named = {item.name: item.properties() for item in objects(found) if item.id in aimed}
    assert set(named) == {"Albania", "Southern Asia", "Government", "Private sector"}
    assert (named["Albania"]["country"], named["Southern Asia"]["region"]) == ("AL", "southern-asia")
    assert named["Government"]["sectors"] == ["government"]


def test_relations_reach_the_galaxies_beside_it_and_say_how_sure_they_are() -> None:
    """Types are mapped, or become related-to; words of likelihood become STIX confidence; nothing points to itself."""
    found = read(ACTORS)
    ((uses, _),) = relations(found, "uses")
    assert (uses.source_ref, uses.target_ref, uses.confidence) == (f"threat-actor--{ACTOR}", f"malware--{RAT}", 68)
    ((similar, content),) = relations(found, "related-to")
    assert (similar.confidence, content["said"], content["likelihood"]) == (88, ["similar"], ["very-likely"])
    ((turned, _),) = relations(read(RATS, "rat.json"), "uses")
    assert (turned.source_ref, turned.target_ref) == (uses.source_ref, uses.target_ref)
    assert turned.id != uses.id  # another galaxy's word
    (note,) = [one for one in found if isinstance(one, Issue)]
    assert (note.code, note.records) == ("galaxy-relation", 1)


def test_a_retelling_of_attack_has_ids_of_its_own_and_attacks_id() -> None:
    """So that ATT&CK and the galaxies go in, in any order, and nothing conflicts."""
    group = by_name(read(RETOLD), "Quiet Heron")
    assert group.type == "intrusion-set"
    assert GROUP not in group.id
    assert catalogue_id(group.properties())[0] == "G0999"
    assert (read_extension(group, "galaxy") or {})["retells"] == "mitre-attack"


def test_the_same_galaxy_gives_the_same_objects_and_a_newer_version_newer_ones() -> None:
    """Versions have no dates: `modified` counts them, so that the newer one stands before the older."""
    first, again = objects(read(ACTORS)), objects(read(ACTORS))
    assert first == again
    newer = objects(read(ACTORS | {"version": 8}))
    assert [item.id for item in newer] == [item.id for item in first]
    for old, new in zip(first, newer, strict=True):
        assert old.digest == new.digest or (new.modified or "") > (old.modified or "")


def test_relations_in_circles_end() -> None:
    """Nothing follows them."""
    one, other = "11111111-0000-4000-8000-00000000000a", "11111111-0000-4000-8000-00000000000b"
    values = [
        {"uuid": one, "value": "One", "related": [{"dest-uuid": other, "type": "successor-of"}] * 3},
        {"uuid": other, "value": "Other", "related": [{"dest-uuid": one, "type": "successor-of"}]},
    ]
    assert len(relations(read(ACTORS | {"values": values}), "derived-from")) == 2


BAD: dict[str, Any] = {
    "no object": "text",
    "no value": {"uuid": ACTOR},
    "value of the wrong type": {"uuid": ACTOR, "value": 7},
    "meta of the wrong type": {"uuid": ACTOR, "value": "Heron", "meta": ["country"]},
    "nested too deep": {"uuid": ACTOR, "value": "Heron", "meta": {"a": json.loads("[" * 150 + "]" * 150)}},
}


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_cluster_is_named_and_the_rest_goes_in(fault: str) -> None:
    """By its place in the galaxy."""
    found = read(ACTORS | {"values": [BAD[fault], {"uuid": RAT, "value": "Heron"}]})
    (issue,) = [one for one in found if isinstance(one, Issue)]
    assert issue.code == "galaxy"
    assert "Cluster 1 " in issue.reason
    assert by_name(found, "Heron").id == f"threat-actor--{RAT}"


@pytest.mark.parametrize(
    "cluster",
    [
        {"value": "Heron", "uuid": 7, "description": ["x"], "related": "all", "revoked": "yes"},
        {"value": "Heron", "uuid": ACTOR, "meta": {"synonyms": "one", "refs": {"a": 1}, "country": ["IR", 7, None]}},
        {"value": "Heron", "uuid": ACTOR, "related": [7, {"dest-uuid": ["x"], "type": {}, "tags": 7}]},
        {"value": "<script>alert(1)</script>", "uuid": "../../etc", "meta": {"refs": ["javascript:alert(1)", "http://[::1"]}},
        {"value": "Heron", "uuid": ACTOR, "meta": {"attribution-confidence": 10**30, "country": "AL"}},
    ],
)  # fmt: skip
def test_wrong_types_are_kept_as_they_are(cluster: dict[str, Any]) -> None:
    """What can't be understood stays in the extension; nothing raises, all is valid."""
    found = read(changed(cluster))
    (item,) = [one for one in objects(found) if one.type == "threat-actor"]
    assert item.name == cluster["value"]
    assert strict_errors(item) == []


def test_two_clusters_with_one_uuid_are_one_and_an_issue() -> None:
    """The first counts, and the other is named."""
    found = read(ACTORS | {"values": [{"uuid": ACTOR, "value": "One"}, {"uuid": ACTOR.upper(), "value": "Other"}]})
    assert [item.name for item in objects(found) if item.type == "threat-actor"] == ["One"]
    assert [one.code for one in found if isinstance(one, Issue)] == ["galaxy"]


def test_a_galaxy_that_stix_has_no_place_for_is_told_with_its_count() -> None:
    """Not dropped in silence."""
    (issue,) = read(ACTORS | {"type": "firearms", "category": "guns"})
    assert isinstance(issue, Issue)
    assert (issue.code, issue.records) == ("galaxy", 2)


@pytest.mark.parametrize("content", [[], {"values": {}}, {"values": []}, {"values": [], "type": 7}, b"{", b"[" * 5000])
def test_what_is_no_galaxy_is_refused(content: Any) -> None:
    """With a reason."""
    with pytest.raises(InputError):
        read(content)


def test_a_key_that_stands_twice_and_too_much_are_refused() -> None:
    """Which one counts is anybody's guess; limits have names."""
    with pytest.raises(InputError, match="twice"):
        read(b'{"authors":[],"type":"rat","values":[{"value":"A","value":"B"}]}')
    with pytest.raises(LimitError, match="catalogue_bytes"):
        read(ACTORS, limits=Limits(catalogue_bytes=10))


def test_every_kind_in_the_table_makes_valid_objects() -> None:
    """One cluster of each galaxy that the table knows."""
    for type_ in galaxy_table()["types"]:
        galaxy = ACTORS | {"type": type_, "values": [{"uuid": ACTOR, "value": "Albania", "meta": {"synonyms": ["AL"]}}]}
        item = objects(read(galaxy))[1]
        assert strict_errors(item) == [], type_


@pytest.mark.long
@pytest.mark.data
def test_the_galaxies_of_misp_go_in_and_their_objects_are_valid(test_data: Path) -> None:
    """All clusters; a sample through the validator; ids differ from ATT&CK's own."""
    found = list(read_knowledge([test_data / "misp-galaxy" / "clusters"]))
    assert {one.code for one in found if isinstance(one, Issue)} <= {"galaxy-relation"}
    made = objects(found)
    sources = {path.stem: json.loads(path.read_bytes()) for path in (test_data / "misp-galaxy/clusters").glob("*.json")}
    clusters = [item for item in made if (read_extension(item, "galaxy") or {}).get("uuid")]
    assert len({item.id for item in clusters}) == sum(len(one["values"]) + 1 for one in sources.values())
    digests: dict[str, set[str]] = {}
    for item in made:
        digests.setdefault(item.id, set()).add(item.digest)
    assert all(len(found) == 1 for found in digests.values())
    assert [error for item in made[:: len(made) // 150] for error in strict_errors(item)] == []


def test_a_windows_event_as_json_is_no_event_of_misp() -> None:
    """Rules' regression data lie beside rules; both formats begin with the same word."""
    event = {"Event": {"#attributes": {"xmlns": "http://schemas.microsoft.com/win/2004/08/events/event"}, "System": {}}}
    assert detect_reader(document("sample.json", event)) is None


@pytest.mark.long
def test_twenty_thousand_clusters_go_in_one_by_one() -> None:
    """Linear in their number, relations and all: none waits for the others."""
    count = 20_000
    ids = [f"33333333-0000-4000-8000-{number:012x}" for number in range(count)]
    values = [
        {
            "uuid": one,
            "value": f"Heron {number}",
            "related": [{"dest-uuid": ids[number - 1], "type": "similar"}][number % 10 :],
        }
        for number, one in enumerate(ids)
    ]
    told = misp_galaxy.read(document("threat-actor.json", ACTORS | {"values": values}), Limits())
    assert sum(isinstance(one, KnowledgeItem) for one in told) == 1 + count + count // 10


@pytest.mark.long
@pytest.mark.data
def test_attack_and_the_galaxies_go_in_in_any_order_without_a_conflict(test_data: Path) -> None:
    """And a group that ATT&CK knows has the sponsor that only galaxies name: suspected, with its source."""
    attack = objects(list(read_knowledge([test_data / "attack" / "ics-attack.json"])))
    folder = test_data / "misp-galaxy" / "clusters"
    galaxies = [folder / f"{name}.json" for name in ("mitre-intrusion-set", "threat-actor")]
    retold = objects(list(read_knowledge(galaxies)))
    when = datetime(2026, 1, 1, tzinfo=UTC)
    for order in (attack + retold, retold + attack):
        database = Database("sqlite://")
        database.create_tables()
        with database.write() as connection:
            result = put_objects(connection, [(item, Provenance(giver="x", received=when)) for item in order])
        assert result.conflicts == ()
        database.close()
    group = next(one for one in profiles([item.properties() for item in attack + retold]).groups if one.name == "APT33")
    assert (group.sponsor, group.sponsor_suspected) == ("Iran", True)
    assert [(basis.source, basis.confidence) for basis in group.sponsor_basis] == [("MISP galaxy threat-actor 349", 50)]
    assert "Peach Sandstorm" in group.aliases


def test_records_that_have_values_are_no_galaxy() -> None:
    """A log's record may have a type, a name and values too."""
    record = {"name": "cpu", "type": "metric", "values": [{"at": 1, "value": 0.5}], "uuid": ACTOR}
    assert not misp_galaxy.detect(document("metrics.json", record))
    bare = {"type": "threat-actor", "values": ACTORS["values"]}
    assert misp_galaxy.detect(document("own.json", bare))
