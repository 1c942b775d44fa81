"""A release as events: no byte of what is withheld, no label further than it goes, no word that is the server's own."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import pymisp
import pytest

from aleat.exchange.misp_compose import Composed, compose, settle
from aleat.exchange.misp_fit import digest_of, fit_event
from aleat.exchange.misp_labels import Reach
from aleat.release import Decision, Release, prepare
from aleat.release.words import fold
from aleat.trust.markings import effective_markings
from tests.exchange.misp_simulator import GROUP
from tests.knowledge.misp_world import ACTOR, event, objects, uuid
from tests.release.cases.table import RECIPIENTS, read_cases, release_to
from tests.release.test_closure import random_world
from tests.release.world import OURS, SECRET, terms

ORDER = ("0", "4", "1", "2", "3")
REACHES = (
    Reach(unlabelled=0),
    Reach(amber=4, unlabelled=4, group={"uuid": GROUP["uuid"]}),
    Reach(amber=1, green=2, unlabelled=1),
)


def composed(release: Release, reach: Reach = REACHES[0], **more: Any) -> Composed:
    settings: dict[str, Any] = {"distribution": 3, "restore": lambda _: False, "own": OURS, **more}
    return compose(release, place="there", reach=reach, info="Ours", secret=SECRET, **settings)


def rows(event_: dict[str, Any]) -> list[dict[str, Any]]:
    return [*event_["Attribute"], *event_["EventReport"], *(one for o in event_["Object"] for one in o["Attribute"])]


@pytest.mark.parametrize("recipient", RECIPIENTS)
@pytest.mark.parametrize("reach", REACHES, ids=["narrow", "group", "wide"])
def test_the_decided_cases(recipient: str, reach: Reach) -> None:
    """Of the objects whose decisions were written by hand: nothing of what stays is in what goes to a server."""
    release = release_to(recipient)
    found = composed(release, reach)
    text = fold(json.dumps(found.events))
    pairs = list(zip(read_cases(), release.decisions, strict=False))
    leaving = {case.id for case, decision in pairs if decision.allow}
    for case, decision in pairs:
        if not decision.allow and case.id not in leaving:
            assert case.id.rpartition("--")[2] not in text, (case.name, recipient)
            assert case.word.lower() not in text, (case.name, recipient)
    assert found.objects <= {decision.object for decision in release.decisions if decision.allow}
    assert found.events
    check_levels(release, found, reach)


def check_levels(release: Release, found: Composed, reach: Reach) -> None:
    """No attribute is seen by more people than its label allows; RED and AMBER+STRICT are not there."""
    widest = {"clear": 3, "green": reach.green, "amber": reach.amber}
    by_uuid = {item.id.rpartition("--")[2]: item for item in release.objects}
    labels = {str(d.parameters.get("as", d.object)).rpartition("--")[2]: d.label for d in release.decisions if d.allow}
    for one in found.events:
        names = [tag["name"] for tag in one["Tag"]]
        assert not {"tlp:red", "tlp:amber+strict"} & set(names)
        for row in rows(one):
            item = by_uuid.get(row["uuid"])
            if item is None:
                continue
            marks = effective_markings(item, lambda _: None, beside=())
            levels = {marking.level for marking in marks.all if marking.kind == "tlp"} | {labels[row["uuid"]]} - {None}
            assert not levels & {"red", "amber+strict"}
            most = min((str(widest[level]) for level in levels), key=ORDER.index) if levels else str(reach.unlabelled)
            level = min((one["distribution"], row["distribution"].replace("5", "3")), key=ORDER.index)
            assert ORDER.index(level) <= ORDER.index(most), (item.id, levels, level)
            if level == "4":
                assert GROUP["uuid"] in {part.get("SharingGroup", {}).get("uuid") for part in (one, row)}


def check_world(seed: int, to: str) -> int:
    subjects, secrets = random_world(seed)
    lists = {
        s.object.id: [("domain-name", value, note) for value, note in zip(s.values, s.notes, strict=True)]
        for s in subjects
        if s.values
    }
    release = prepare(subjects, terms(to), secret=SECRET, lists=lists)
    reach = REACHES[seed % 3]
    found = composed(release, reach)
    text = fold(json.dumps(found.events))
    for subject, decision in zip(subjects, release.decisions, strict=True):
        if not decision.allow:
            for secret in {subject.object.id.rpartition("--")[2], *secrets[subject.object.id]}:
                assert secret not in text, (seed, subject.object.id, secret)
    check_levels(release, found, reach)
    shuffled = list(release.objects)
    random.Random(seed).shuffle(shuffled)  # noqa: S311
    again = composed(Release(**{**{n: getattr(release, n) for n in release.__struct_fields__}, "objects": shuffled}))  # type: ignore[arg-type]
    assert json.dumps(again.events, sort_keys=True) == json.dumps(composed(release).events, sort_keys=True)
    return len(found.objects)


def test_random_worlds() -> None:
    """Ids, names and values of what is withheld stand in no event; some things do go."""
    assert sum(check_world(seed, ("north", "bank", "sister", "giver")[seed % 4]) for seed in range(60)) > 60


@pytest.mark.long
def test_many_random_worlds() -> None:
    for seed in range(60, 1_000):
        check_world(seed, ("north", "bank", "sister", "giver")[seed % 4])


# ------------------------------------------------------------------------------------------------- MISP's own words


def test_what_a_server_says_beside_an_event_does_not_go_on() -> None:
    """Its numbers, who keeps it there, what it correlates with: titles of other events."""
    told = event() | {
        "RelatedEvent": [{"Event": {"info": "CANARY", "uuid": uuid(70)}}],
        "event_creator_email": "canary@example.org",
        "Feed": [{"name": "CANARY"}],
        "extends_uuid": uuid(71),
        "Org": {"name": "CANARY"},
        "user_id": "31337",
    }
    told["Attribute"][0]["ShadowAttribute"] = [{"value": "canary.example.org"}]
    told["Attribute"][0]["RelatedAttribute"] = [{"value": "canary.example.org"}]
    told["Tag"] = [*told.get("Tag", []), {"name": "canary:local", "local": True}]
    fitted = json.dumps(fit_event(told))
    for word in ("canary", "31337", uuid(70), uuid(71), '"id"', "event_id", "org_id"):
        assert word not in fitted.lower(), word
    assert f"{uuid(801)}" in fitted


def test_a_cluster_is_held_by_its_tag() -> None:
    """MISP attaches clusters by their tags only."""
    fitted = fit_event({"uuid": uuid(1), "info": "x", "Galaxy": [ACTOR]})
    assert fitted["Tag"] == [{"name": 'misp-galaxy:threat-actor="Example Bear"'}]


def test_references_lead_to_what_is_there() -> None:
    """An object's reference to something that stayed is not in it."""
    here = {"uuid": uuid(2), "name": "file", "Attribute": []}
    reference = {"uuid": uuid(9), "referenced_uuid": uuid(3), "relationship_type": "drops"}
    told = {"uuid": uuid(1), "info": "x", "Object": [{**here, "ObjectReference": [reference]}]}
    assert "ObjectReference" not in fit_event(told)["Object"][0]
    told["Object"].append({"uuid": uuid(3), "name": "file", "Attribute": []})
    assert fit_event(told)["Object"][0]["ObjectReference"][0]["referenced_uuid"] == uuid(3)


def test_a_uuid_stays_in_the_event_where_it_was() -> None:
    """MISP keeps a UUID in one event for ever: what moves gets another, always the same."""
    one = {"uuid": uuid(1), "Attribute": [{"uuid": uuid(5), "value": "a"}], "Object": [], "EventReport": []}
    (same,) = settle([one], {uuid(1): {uuid(5): "x"}})
    assert same == one
    (moved,) = settle([one], {uuid(2): {uuid(5): "x"}})
    assert moved["Attribute"][0]["uuid"] not in {uuid(5), ""}
    assert settle([one], {uuid(2): {uuid(5): "x"}, uuid(1): {moved["Attribute"][0]["uuid"]: "y"}}) == [moved]


@pytest.mark.parametrize("recipient", ["north", "sister"])
def test_pymisp_takes_what_is_written(recipient: str) -> None:
    """Its own class checks every type and category against MISP's `describeTypes`."""
    for one in composed(release_to(recipient)).events:
        loaded = pymisp.MISPEvent()
        loaded.load({"Event": copy.deepcopy(one)})
        assert (loaded.uuid, loaded.published) == (one["uuid"], False)
        assert len(loaded.attributes) == len(one["Attribute"])
        assert json.loads(loaded.to_json())["distribution"] == one["distribution"]


def test_what_has_no_date_says_none() -> None:
    """The epoch means that nobody knows: MISP then takes the day of the push."""
    one = {"uuid": uuid(1), "info": "x", "date": "1970-01-01", "timestamp": "0"}
    row = {"uuid": uuid(2), "type": "domain", "value": "a.example", "timestamp": "0", "first_seen": "1970-01-01T00:00Z"}
    fitted = fit_event({**one, "Attribute": [row]})
    assert not {"date", "timestamp"} & set(fitted)
    assert not {"timestamp", "first_seen"} & set(fitted["Attribute"][0])


def test_odd_numbers_and_depths_are_borne() -> None:
    """Somebody's event with them mustn't stop all the others."""
    told = event() | {"threat_level_id": 2**60}
    told["Attribute"][0] |= {"value": 2**60, "comment": 1e300}
    assert len(digest_of(fit_event(told))) == 64
    deep: Any = "x"
    for _ in range(248):
        deep = [deep]
    given = objects({"Event": event() | {"Galaxy": [{"type": "tool", "GalaxyCluster": [{"meta": deep}]}]}})
    rows = tuple(Decision(object=item.id, version=item.version, type=item.type, digest=item.digest, allow=True,
                          rule="clear", label="clear") for item in given)  # fmt: skip
    release = Release(recipient="x", agreement="a", agreement_version=1, two_people=False, bundle=b"", manifest=b"",
                      lists={}, objects=tuple(given), decisions=rows)  # fmt: skip
    found = composed(release, restore=lambda _: True)
    assert "misp-depth" in {issue.code for issue in found.issues}
    assert found.events == ()


def test_what_has_no_uuid_gets_one() -> None:
    """Always the same, over what it says: without one it couldn't be told apart at the server."""
    told = {"uuid": uuid(1), "info": "x", "Attribute": [{"type": "domain", "value": "a"}, {"uuid": "x", "value": "b"}]}
    first, second = (row["uuid"] for row in fit_event(told)["Attribute"])
    assert len({first, second, ""}) == 3
    assert [row["uuid"] for row in fit_event(told)["Attribute"]] == [first, second]
