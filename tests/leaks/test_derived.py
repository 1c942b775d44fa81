"""What was worked out here from withheld things is in nothing that leaves: timelines, scores, findings, reports."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest

from aleat.exchange import Finding, NotLookedAt, answer, findings_of_hunt, prepare_release
from aleat.release import RULES, Release, Victim
from aleat.report import case_objects
from aleat.stix import StixObject
from aleat.trust.markings import marking_id
from tests.leaks.ground import NOW, OURS, RECIPIENTS, Ground, identity
from tests.leaks.oracle import plain
from tests.leaks.surfaces import assert_untold, everything
from tests.release.world import made
from tests.report.cases import START, full_report, microseconds
from tests.workspace import samples

GIVER, NORTH = identity("giver"), identity("north")
RED = made("indicator", "Zqredrule", GIVER, "red")
OPEN = made("indicator", "OpenRule", OURS, "green")
RED_ACTOR = made("intrusion-set", "Zqredactor", GIVER, "red")
OPEN_ACTOR = made("intrusion-set", "OpenActor", OURS, "green")
ALLIES = tuple(name for name in RECIPIENTS if name != "stranger")


def case_of(*names: tuple[StixObject, float]) -> tuple[StixObject, ...]:
    """A case's objects: the first incident seen by the RED indicator, the second by the open one; who, by weight."""
    report = full_report()
    case = report.case
    first = set(case.incidents[0].sightings)
    sightings = tuple(
        msgspec.structs.replace(
            one, ref=RED.id if number in first else OPEN.id, time=microseconds(START) + number * 1_000_003
        )
        for number, one in enumerate(case.sightings)
    )
    one = report.assessments[0]
    hypotheses = tuple(
        msgspec.structs.replace(one.hypotheses[0], id=f"h{number}", name=actor.name, ref=actor.id, posterior=weight)
        for number, (actor, weight) in enumerate(names)
    )
    told = msgspec.structs.replace(one, kind="group", hypotheses=hypotheses or one.hypotheses)
    case = msgspec.structs.replace(case, sightings=sightings, claims=(), outages=())
    report = msgspec.structs.replace(report, case=case, assessments=(told,) if names else ())
    return case_objects(report, identity=OURS, markings=[marking_id("tlp:green")])


def released(ground: Ground, derived: tuple[StixObject, ...], rests: dict[str, Any] | None = None) -> Release:
    """A release of a case to north, beside all that is known."""
    with ground.ws._desk(write=False) as desk:
        return prepare_release(desk, "north", derived=derived, rests_on=rests)


def kinds(objects: tuple[StixObject, ...], type_: str) -> list[dict[str, Any]]:
    return [item.properties() for item in objects if item.type == type_]


# --------------------------------------------------------------------------------------- timelines


def test_timeline_entries_of_what_is_withheld(ground: Ground) -> None:
    """When and how often a RED indicator was seen isn't in a case's release, nor the incident that rests on it."""
    ground.know([RED], GIVER)
    ground.know([OPEN])
    case = case_of()
    incidents = [item for item in case if item.type == "incident"]
    release = released(ground, case, {incidents[0].id: [RED.id]})
    assert [item["count"] for item in kinds(release.objects, "sighting")] == [3]
    assert [item["name"] for item in kinds(release.objects, "incident")] == [incidents[1].name]
    text = plain(release.bundle + release.manifest)
    hidden = [item for item in case if item.type == "sighting" and item.properties()["sighting_of_ref"] == RED.id]
    for secret in (RED.id[-36:], "zqredrule", incidents[0].id[-36:], *(item.id[-36:] for item in hidden)):
        assert secret not in text
    for moment in _moments(incidents[0]) | {item.properties()["first_seen"] for item in hidden}:
        assert moment.lower() not in text


def _moments(incident: StixObject) -> set[str]:
    return {word for word in incident.properties()["description"].split() if word[:1].isdigit()}


def test_times_of_what_is_told_are_no_finer_than_agreed(ground: Ground) -> None:
    """Of what may be told the day is told, not the second, in the object and in what MISP makes of it."""
    ground.know([OPEN])
    seen = made("sighting", "s", OURS, "green", sighting_of_ref=OPEN.id, first_seen="2022-07-15T08:31:22Z", count=3)
    ground.know([seen])
    assert_untold(ground, "08:31", "1657873882", seen.id[-36:], to=ALLIES, ids=(seen.id,))
    assert "2022-07-15t00:00:00" in plain(dict(everything(ground, "north"))["objects"])


def test_a_built_case_is_on_no_shelf_and_in_no_release(ground: Ground, hunted: dict[str, Any]) -> None:
    """Building the case and reading its timeline puts nothing of it where an ally looks."""
    before = {name: _without_chance(everything(ground, name)) for name in ("north", "stranger")}
    built = ground.ws.build_case("zqcasename")
    assert built.case.timeline
    assert built.case.incidents
    assert {name: _without_chance(everything(ground, name)) for name in before} == before
    assert_untold(ground, "zqcasename", *(one.id[-36:] for one in built.case.incidents), to=ALLIES)


_BY_CHANCE = {"sealed header", "sealed signature", "sealed messages.json", "file's name", "about"}


def _without_chance(found: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """What is the same each time: all but ids of messages, numbers of files and signatures."""
    return [one for one in found if one[0] not in _BY_CHANCE]


# ------------------------------------------------------------------------------------------ scores


def test_weights_of_an_attribution_that_rests_on_what_is_withheld(ground: Ground) -> None:
    """Who did it, with a RED actor among the answers: no name, no weight, nor the rest that adds up to it."""
    ground.know([RED_ACTOR], GIVER)
    ground.know([OPEN, OPEN_ACTOR])
    case = case_of((OPEN_ACTOR, 0.8129), (RED_ACTOR, 0.1871))
    assert [item["confidence"] for item in kinds(case, "relationship") if "confidence" in item] == [81]
    release = released(ground, case)
    text = plain(release.bundle + release.manifest)
    for secret in ("zqredactor", RED_ACTOR.id[-36:], "0.8129", "0.1871", '"confidence":81', "attributed-to"):
        assert secret not in text, secret


def test_weights_of_an_attribution_to_what_may_be_told_leave(ground: Ground) -> None:
    """Nothing is kept for nothing: with two open actors it leaves, confidence and all."""
    other = made("intrusion-set", "OtherActor", OURS, "green")
    ground.know([OPEN, OPEN_ACTOR, other])
    release = released(ground, case_of((OPEN_ACTOR, 0.8129), (other, 0.1871)))
    assert [item["confidence"] for item in kinds(release.objects, "relationship") if "confidence" in item] == [81]
    assert b"0.8129" in release.bundle


def test_scores_of_what_others_gave_stay(ground: Ground) -> None:
    """How we weigh a giver, and how its indicators age here, is in nothing: theirs leave byte for byte."""
    theirs = made("indicator", "Theirs", GIVER, "green", confidence=77)
    ground.know([theirs], GIVER)
    ground.know([RED], GIVER)
    assert ground.ws.givers()
    release = released(ground, ())
    assert theirs.raw in {item.raw for item in release.objects}
    for row in orjson.loads(release.manifest)["objects"]:
        assert row.keys() <= {"id", "version", "digest", "label", "form", "markings"}
    assert orjson.loads(release.manifest).keys() == {"format", "from", "to", "agreement", "objects", "lists"}


# ----------------------------------------------------------------------- findings, coverage, files


FILE, FOLDER = "zqevidencefile.jsonl", "zqevidencefolder"


@pytest.fixture
def hunted(ground: Ground, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Evidence of two hosts, whose names are secret, in files whose names are; north's rule, which matches once."""
    folder = tmp_path / FOLDER
    folder.mkdir()
    (folder / FILE).write_bytes(samples.json_lines(host="zqhostalpha.example"))
    (folder / f"b-{FILE}").write_bytes(samples.json_lines(host="zqhostbeta.example", bad=False))
    rule = made("indicator", "Wiper", NORTH, "green", pattern=samples.RULE, pattern_type="sigma")
    ground.know([rule, OPEN], NORTH)
    ground.ws.add_evidence(folder)
    hunt = ground.ws.hunt()
    found = findings_of_hunt([rule.id], hunt.sightings, hunt.not_evaluated)
    assert [(one.status, one.count) for one in found] == [("seen", 1)]
    with ground.ws.read() as connection:
        facts = ground.ws.answer_facts()(connection, ground.deliveries["north"])
    yield {**facts, "findings": found}
    for path in (ground.ws.folder / "segments").rglob("*.parquet"):
        path.unlink()


def answered(ground: Ground, facts: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Our answer to north's delivery, as north reads it: all of it, and its bundle."""
    with ground.ws.writing(), ground.ws._desk(write=True) as desk:
        sent = answer(desk, ground.deliveries["north"], **facts)
    parts = ground.unseal("north", sent.data)
    return plain(b"\n".join(parts.values()) + sent.name.encode()), json.loads(parts["bundle.json"])


def test_answers_tell_no_host_no_file_and_no_victim(ground: Ground, hunted: dict[str, Any]) -> None:
    """What was seen goes back, by the day, with how many hosts were looked at: none of their names, nor a file's."""
    victim = Victim(name="Zqvictim", sector="government", country="AL")
    text, bundle = answered(ground, {**hunted, "victim": victim})
    (seen,) = [item for item in bundle["objects"] if item["type"] == "sighting"]
    assert (seen["count"], seen["first_seen"]) == (1, "2022-07-15T00:00:00.000Z")
    assert '"hosts":2' in text
    for secret in ("zqhost", "zqvictim", "zqevidence", "08:05", "jsonl"):
        assert secret not in text, secret


def test_a_log_source_that_names_a_host_is_not_told(ground: Ground, hunted: dict[str, Any]) -> None:
    """The names of logs are coverage; one that a host stands in keeps the finding here."""
    text, bundle = answered(ground, {**hunted, "coverage": [_hosted(row) for row in hunted["coverage"]]})
    assert "zqhost" not in text
    assert "objects" not in bundle


def _hosted(row: Any) -> Any:
    return msgspec.structs.replace(row, channel=f"{row.host}/Admin")


def test_findings_with_what_is_withheld_say_nothing_of_it(ground: Ground, hunted: dict[str, Any]) -> None:
    """Gaps that name a RED thing, a dismissal's reason that does, an indicator that another gave: none is told."""
    ground.know([RED], GIVER)
    (found,) = hunted["findings"]
    dismissed = msgspec.structs.replace(found, status="false-positive", reason="our test of zqredrule.example")
    other = Finding(indicator=RED.id, status="seen", count=4711, first=NOW, last=NOW)
    gaps = [NotLookedAt("the log of zqredrule.example", "unreadable")]
    facts = {**hunted, "findings": [dismissed, other], "not_looked_at": gaps}
    text, bundle = answered(ground, facts)
    assert [item["sighting_of_ref"] for item in bundle["objects"] if item["type"] == "sighting"] == [found.indicator]
    for secret in ("zqredrule", RED.id[-36:], "4711", "our test"):
        assert secret not in text, secret


def test_file_names_of_evidence_are_in_nothing(ground: Ground, hunted: dict[str, Any]) -> None:
    """Nor the hosts that are in them, nor their hashes, over any surface."""
    sources = [(row.facts.path, row.sha256) for row in ground.ws.sources()]
    assert len(sources) == 2
    hashes = [sha256 for _, sha256 in sources if sha256]
    assert_untold(ground, FOLDER, FILE, "zqhost", *hashes, to=RECIPIENTS)


# ----------------------------------------------------------------------------- reports and previews


def test_reports_and_exports_are_our_own_and_are_sent_by_no_release(
    ground: Ground, hunted: dict[str, Any], tmp_path: Path
) -> None:
    """They tell our own people everything, RED too; no release holds a byte of them, and no path of the server."""
    red = made("indicator", "Zqredwiper", GIVER, "red", pattern=samples.RULE.replace("Wiper Started", "Zqredwiper"))
    red = made("indicator", "Zqredwiper", GIVER, "red", pattern=red.properties()["pattern"], pattern_type="sigma")
    ground.know([red], GIVER)
    files = ground.ws.report(ground.ws.folder / "reports", name="zqcasename")
    page = files.html.read_text(encoding="utf-8").lower()
    assert all(word in page for word in ("zqcasename", "zqredwiper", "zqhostalpha"))
    exported = [item["id"][-36:] for item in json.loads(files.bundle.read_bytes())["objects"] if "case" in str(item)]
    assert_untold(ground, "zqcasename", "zqredwiper", "zqhost", *exported, red.id[-36:])
    with ground.serving() as server:
        for path in ("reports/report.html", "case.json", "taxii2/../reports/case.json", "sightings.jsonl"):
            for who in ("", *RECIPIENTS):
                assert server.ask(who, f"/{path}").status in {401, 404}
    for written in files.html.parent.iterdir():
        written.unlink()


def test_the_preview_is_for_us_and_in_nothing_that_leaves(ground: Ground) -> None:
    """It names what stays, by which rule, and whom to ask: no ally reads a word of that, and nothing is recorded."""
    ground.know([RED, made("malware", "Zqamber", GIVER, "amber")], GIVER)
    ground.know([OPEN, made("note", "n", OURS, "green", content="Like Zqredrule.", object_refs=[OPEN.id])])
    heads = ground.ws.heads()
    shown = ground.ws.preview_release("north")
    assert {"Zqredrule", "Zqamber"} <= set(shown.names.values())
    ask = {party for one in shown.release.decisions for party in one.ask}
    assert ask == {GIVER}
    assert set(ground.ws.preview_all()) == set(ALLIES)
    assert ground.ws.heads() == heads
    assert_untold(ground, "zqredrule", "zqamber", GIVER[-36:], to=("north",))
    stays = {one.rule for one in shown.release.decisions if not one.allow}
    words = [*(f'"{rule}"' for rule in stays), *(RULES[rule] for rule in stays), '"ask"', '"withheld"', '"because"']
    assert len(stays) > 1
    assert_untold(ground, *words, to=RECIPIENTS)
