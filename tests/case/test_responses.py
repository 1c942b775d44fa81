"""What can be done against an incident: what fits, why, from whom, in which order."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from aleat.case import Response, fit_responses
from aleat.case.records import Case, Incident
from aleat.errors import Place
from aleat.hunt.indicator import Sighting
from aleat.stix import StixObject, make_object
from aleat.store.objects import Provenance, StoredObject
from aleat.trust.markings import marking_id
from tests.knowledge.playbooks import numbered, playbook, read_playbook, step_id

NOW = datetime(2022, 10, 1, tzinfo=UTC)
SEEN = datetime(2022, 7, 15, 6, 30, tzinfo=UTC)
HASH = step_id("indicator", 70)
ALLY = step_id("identity", 71)


def hit(*tags: str, ref: str = "", minutes: int = 0, host: str = "MAIL01") -> Sighting:
    """A sighting of a rule with these tags."""
    time = int((SEEN + timedelta(minutes=minutes)).timestamp() * 1_000_000)
    return Sighting(
        indicator="rule", title="Files encrypted", level="high", author=None, evidence="e", record=1, offset=0,
        event="x", time=time, host=host, fields={}, source="ally", ref=ref, tags=tags,
    )  # fmt: skip


def case_of(*hits: Sighting, stages: tuple[str, ...] = ()) -> Case:
    """A case with one incident of all sightings."""
    incident = Incident(
        id=step_id("incident", 1), number=1, first=SEEN, last=SEEN, hosts=("MAIL01",), accounts=(), indicators=(),
        techniques=(), stages=tuple((stage, SEEN) for stage in stages), effects=(), level="high",
        sightings=tuple(range(len(hits))),
    )  # fmt: skip
    return Case(id=step_id("grouping", 1), name="c", reference_time=NOW, sightings=hits, incidents=(incident,))


def stored(
    item: StixObject, *, giver: str = ALLY, corpus: str | None = None, beside: tuple[str, ...] = ()
) -> StoredObject:
    """The object as one gave it."""
    copy = Provenance(giver=giver, received=NOW, markings=beside, corpus=corpus, source=Place("p"))
    return StoredObject(item, (copy,))


def made(type_: str, number: int, name: str = "", **properties: Any) -> StixObject:
    """An object."""
    named: dict[str, Any] = {"name": name} if name else {}
    return make_object(type_, f"{type_}--{numbered(number)}", created=SEEN, **named, **properties)


def technique(number: int, id_: str, name: str) -> StoredObject:
    """A technique of ATT&CK."""
    reference = {"source_name": "mitre-attack", "external_id": id_, "url": f"https://attack.mitre.org/techniques/{id_}"}
    return stored(made("attack-pattern", number, name, external_references=[reference]), corpus="attack")


def mitigation(
    number: int, name: str, *targets: int, corpus: str | None = "attack", kind: str = "mitigates"
) -> list[StoredObject]:
    """A course of action against techniques, with its relations."""
    item = made("course-of-action", number, name)
    relations = [
        made(
            "relationship", 1000 * number + target, relationship_type=kind, source_ref=item.id,
            target_ref=f"attack-pattern--{numbered(target)}", description="Scan what runs.",
        )
        for target in targets
    ]  # fmt: skip
    return [stored(one, corpus=corpus) for one in (item, *relations)]


def playbooks(**changes: Any) -> list[StoredObject]:
    """The tests' playbook as stored objects."""
    return [stored(item.object) for item in read_playbook(playbook(**changes))[0]]


ATTACK = [technique(31, "T1486", "Data Encrypted for Impact"), technique(32, "T1059", "Interpreter")]


def names(case: Case) -> list[str]:
    return [response.name for response in case.responses]


def only(case: Case) -> Response:
    (response,) = case.responses
    return response


def test_a_playbook_fits_by_the_technique_that_it_names() -> None:
    """With the sighting behind it, who gave it, under which marking, and its steps."""
    response = only(fit_responses(case_of(hit("attack.t1486")), [*ATTACK, *playbooks()], givers={ALLY: "CERT North"}))
    assert (response.kind, response.name, response.state) == ("playbook", "Contain ransomware", "")
    (reason,) = response.reasons
    assert (reason.kind, reason.value, reason.how) == ("technique", "T1486", "names")
    assert (reason.name, reason.host, reason.time) == ("Data Encrypted for Impact", "MAIL01", SEEN)
    assert [(giver.name, giver.markings) for giver in response.givers] == [("CERT North", ("TLP:AMBER",))]
    assert response.playbook is not None
    assert [step.name for step in response.playbook.steps] == ["Unplug", "Is the key in memory?", "Image the memory"]


def test_a_relationship_is_a_reason_and_a_sub_technique_has_its_techniques_mitigations() -> None:
    """ATT&CK states most mitigations for the technique."""
    case = fit_responses(case_of(hit("attack.t1059.001")), [*ATTACK, *mitigation(50, "Antivirus", 32)])
    (reason,) = only(case).reasons
    assert (reason.value, reason.how, reason.says) == ("T1059.001", "mitigates", "Scan what runs.")


def test_playbooks_come_first_then_allies_then_corpora_by_what_they_cover() -> None:
    """The same order for any order of what is stored."""
    found = [
        *ATTACK,
        *playbooks(),
        *mitigation(50, "Covers one", 31),
        *mitigation(51, "Covers both", 31, 32),
        *mitigation(52, "The ally's", 32, corpus=None),
    ]
    case = case_of(hit("attack.t1486"), hit("attack.t1059", minutes=5))
    expected = ["Contain ransomware", "The ally's", "Covers both", "Covers one"]
    assert names(fit_responses(case, found)) == expected
    shuffled = list(found)
    random.Random(7).shuffle(shuffled)  # noqa: S311
    assert fit_responses(case, shuffled) == fit_responses(case, found)


def test_what_remediates_the_malware_that_an_indicator_indicates_fits() -> None:
    """STIX 2.1 §4.2: remediates malware, vulnerability; mitigates indicator, malware, tool."""
    malware = made("malware", 60, "Locker", is_family=True, malware_types=["ransomware"], aliases=["LCK"])
    indicates = made("relationship", 61, relationship_type="indicates", source_ref=HASH, target_ref=malware.id)
    course = made("course-of-action", 62, "Restore from backups")
    remediates = made("relationship", 63, relationship_type="remediates", source_ref=course.id, target_ref=malware.id)
    found = [stored(item) for item in (malware, indicates, course, remediates)]
    (reason,) = only(fit_responses(case_of(hit(ref=HASH)), found)).reasons
    assert (reason.kind, reason.value, reason.how) == ("software", "Locker", "remediates")
    on_indicator = made("relationship", 64, relationship_type="mitigates", source_ref=course.id, target_ref=HASH)
    (reason,) = only(fit_responses(case_of(hit(ref=HASH)), [stored(course), stored(on_indicator)])).reasons
    assert (reason.kind, reason.value, reason.how) == ("indicator", "Files encrypted", "mitigates")
    named = [stored(malware), stored(indicates), *playbooks(labels=["lck"], external_references=None)]
    (reason,) = only(fit_responses(case_of(hit(ref=HASH)), named)).reasons
    assert (reason.kind, reason.value, reason.how) == ("software", "LCK", "names")


def test_vulnerabilities_and_tactics_are_reasons_too() -> None:
    """Sigma's tag cve.2021-26855; a tactic is the weakest."""
    found = playbooks(labels=["CVE-2021-26855", "attack.initial-access"], external_references=None)
    case = fit_responses(case_of(hit("cve.2021-26855", "attack.initial-access"), stages=("initial-access",)), found)
    assert [(reason.kind, reason.value) for reason in only(case).reasons] == [
        ("vulnerability", "CVE-2021-26855"),
        ("tactic", "initial-access"),
    ]


def test_what_is_revoked_or_deprecated_or_fits_nothing_is_left_out() -> None:
    """And an incident without anything that fits has nothing."""
    case = case_of(hit("attack.t1486"))
    assert fit_responses(case, [*ATTACK, *playbooks(revoked=True)]).responses == ()
    old = made("course-of-action", 50, "Old", x_mitre_deprecated=True)
    relation = mitigation(50, "Old", 31)[1]
    assert fit_responses(case, [*ATTACK, stored(old, corpus="attack"), relation]).responses == ()
    assert fit_responses(case_of(hit("attack.t1190")), [*ATTACK, *playbooks()]).responses == ()
    assert fit_responses(Case(id="x", name="c", reference_time=NOW), playbooks()).responses == ()


def test_a_playbook_says_when_it_is_not_valid() -> None:
    """It is shown all the same: people decide."""
    case = case_of(hit("attack.t1486"))
    expired = fit_responses(case, playbooks(valid_until="2022-08-01T00:00:00.000Z"))
    later = fit_responses(case, playbooks(valid_from="2022-11-01T00:00:00.000Z"))
    assert (only(expired).state, only(later).state) == ("expired", "not-yet-valid")


def test_markings_that_a_giver_put_beside_are_told() -> None:
    """Each copy keeps its own."""
    (item,) = playbooks()
    copy = msgspec.structs.replace(item.copies[0], giver="other", markings=(marking_id("tlp:red"),))
    both = StoredObject(item.object, (*item.copies, copy))
    givers = only(fit_responses(case_of(hit("attack.t1486")), [both])).givers
    assert {(giver.name, giver.markings) for giver in givers} == {
        (ALLY, ("TLP:AMBER",)),
        ("other", ("TLP:AMBER", "TLP:RED")),
    }


def test_two_hundred_playbooks_for_one_incident_are_enough() -> None:
    """The rest is counted nowhere: nobody reads three hundred."""
    found = [one for number in range(300) for one in playbooks(id=step_id("playbook", 500 + number))]
    assert len(fit_responses(case_of(hit("attack.t1486")), found).responses) == 200
