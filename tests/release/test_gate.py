"""The gate judges object by object: a table of cases with the decision written by hand beforehand."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from aleat.release import RULES, Subject, decide, describe_stored
from aleat.stix import StixObject, make_object
from aleat.store.objects import StoredObject
from tests.release.world import (
    AGREEMENTS,
    BANK,
    CREATED,
    GIVER,
    MITRE,
    NORTH,
    OURS,
    THIRD,
    agreement,
    identity,
    made,
    oid,
    permission,
    stored,
    subject,
    terms,
)

STATEMENT = make_object(
    "marking-definition",
    oid("marking-definition", "statement"),
    created=CREATED,
    definition_type="statement",
    definition={"statement": "Copyright 2022, somebody."},
)
CLASSIFIED = make_object(
    "marking-definition",
    oid("marking-definition", "classified"),
    created=CREATED,
    definition_type="statement",
    definition={"statement": "SECRET//REL TO XYZ"},
)
UNKNOWN = "marking-definition--0a6fdd7d-58c4-4a4e-9f0c-0f6a8a0b1c2d"
DEFINED: dict[str, StixObject] = {STATEMENT.id: STATEMENT, CLASSIFIED.id: CLASSIFIED}


def given(name: str, by: str | None, *labels: str, givers: tuple[str, ...] = (GIVER,), **more: object) -> Subject:
    """What `givers` gave us of `by`'s making."""
    provenance = {key: more.pop(key) for key in list(more) if key in {"corpus", "corpus_basis", "originator", "beside"}}
    return subject(stored(made("malware", name, by, *labels, **more), *givers, **provenance), DEFINED)


TWO = made("malware", "two")
TWO_GIVERS = subject(
    StoredObject(TWO, (*stored(TWO, GIVER, beside=("amber",)).copies, *stored(TWO, NORTH, beside=("clear",)).copies))
)

CASES: dict[str, tuple[Subject, dict[str, str]]] = {
    # name: (subject, {recipient: rule expected}); a rule in capitals lets the object leave
    "own clear": (given("o1", OURS, "clear", givers=(OURS,)), {"north": "OWN-LABEL", "bank": "OWN-LABEL"}),
    "own green": (given("o2", OURS, "green", givers=(OURS,)), {"north": "OWN-LABEL"}),
    "own amber": (given("o3", OURS, "amber", givers=(OURS,)), {"north": "OWN-LABEL", "third": "no-agreement"}),
    "own amber+strict": (given("o4", OURS, "amber+strict", givers=(OURS,)), {"north": "OWN-LABEL"}),
    "own red": (given("o5", OURS, "red", givers=(OURS,)), {"north": "red", "sister": "red"}),
    "own without a label": (given("o6", OURS, givers=(OURS,)), {"north": "OWN-LABEL"}),
    "own, known by a short name": (given("o7", None, "green", givers=("ours",)), {"north": "OWN-LABEL"}),
    "own with a statement only": (given("o8", OURS, STATEMENT.id, givers=(OURS,)), {"north": "OWN-LABEL"}),
    "own, a part of it red": (
        given(
            "o9",
            OURS,
            "green",
            givers=(OURS,),
            description="x",
            granular_markings=[
                {
                    "selectors": ["description"],
                    "marking_ref": "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1",
                }
            ],
        ),
        {"north": "red"},
    ),
    "own under a classification": (given("o10", OURS, "green", CLASSIFIED.id, givers=(OURS,)), {"north": "classified"}),
    "own with personal data": (
        given("o11", OURS, "green", givers=(OURS,), labels=["personal-data"]),
        {"north": "personal-data", "sister": "personal-data"},
    ),
    "giver's clear": (given("g1", GIVER, "clear"), {"north": "CLEAR", "bank": "CLEAR", "third": "no-agreement"}),
    "giver's green": (
        given("g2", GIVER, "green"),
        {"north": "GREEN-COMMUNITY", "bank": "agreement-forbids", "giver": "BACK-TO-GIVER"},
    ),
    "giver's amber": (
        given("g3", GIVER, "amber"),
        {
            "north": "amber-not-a-client",
            "bank": "AMBER-CLIENT",
            "sister": "AMBER-OWN-ORGANISATION",
            "giver": "BACK-TO-GIVER",
        },
    ),
    "giver's amber+strict": (
        given("g4", GIVER, "amber+strict"),
        {"north": "amber-not-a-client", "bank": "amber-not-a-client", "sister": "AMBER-OWN-ORGANISATION"},
    ),
    "giver's red": (given("g5", GIVER, "red"), {"north": "red", "sister": "red", "giver": "red"}),
    "giver's without a marking": (given("g6", GIVER), {"north": "unmarked", "giver": "BACK-TO-GIVER"}),
    "giver's with a statement only": (given("g7", GIVER, STATEMENT.id), {"north": "unmarked"}),
    "giver's green with a statement": (given("g8", GIVER, "green", STATEMENT.id), {"north": "GREEN-COMMUNITY"}),
    "giver's with an unknown marking": (given("g9", GIVER, "clear", UNKNOWN), {"north": "unknown-marking"}),
    "giver's classified": (given("g10", GIVER, "clear", CLASSIFIED.id), {"north": "classified", "giver": "classified"}),
    "giver's green, container amber": (
        given("g11", GIVER, "green", beside=("amber",)),
        {"north": "amber-not-a-client"},
    ),
    "giver known by a short name": (given("g12", GIVER, "green", givers=("giver",)), {"north": "GREEN-COMMUNITY"}),
    "third's clear through the giver": (given("t1", THIRD, "clear"), {"north": "CLEAR"}),
    "third's green through the giver": (
        given("t2", THIRD, "green"),
        {"north": "GREEN-COMMUNITY", "bank": "agreement-forbids"},
    ),
    "third's amber through the giver": (
        given("t3", THIRD, "amber"),
        {"north": "third-party", "bank": "third-party", "sister": "third-party", "giver": "third-party"},
    ),
    "third's red through the giver": (given("t4", THIRD, "red"), {"north": "red"}),
    "third's amber, said so beside the object": (given("t5", None, "amber", originator=THIRD), {"bank": "third-party"}),
    "north's own, through the giver": (given("t6", NORTH, "amber"), {"north": "third-party"}),
    "ours, handed back by the giver": (given("t7", OURS, "red"), {"north": "red"}),
    "ATT&CK": (
        given("c1", MITRE, STATEMENT.id, givers=("somebody",), corpus="mitre-attack", corpus_basis="appearance"),
        {"north": "PUBLIC-CORPUS", "bank": "PUBLIC-CORPUS"},
    ),
    "ATT&CK, by a basis that the policy doesn't take": (
        given("c2", MITRE, STATEMENT.id, givers=("somebody",), corpus="mitre-attack", corpus_basis="rumour"),
        {"north": "unmarked"},
    ),
    "ATT&CK within a pack marked red": (
        given("c3", MITRE, "red", corpus="mitre-attack", corpus_basis="appearance"),
        {"north": "red"},
    ),
    "ATT&CK within a pack marked amber": (
        given("c4", MITRE, "amber", corpus="mitre-attack", corpus_basis="appearance"),
        {"north": "third-party"},
    ),
    "third's amber that we put in ourselves": (given("t8", THIRD, "amber", givers=(OURS,)), {"north": "third-party"}),
    "third's without a marking that we put in ourselves": (given("t9", THIRD, givers=(OURS,)), {"north": "unmarked"}),
    "two givers, one copy is clear": (TWO_GIVERS, {"north": "BACK-TO-GIVER", "bank": "CLEAR"}),
    "nobody knows who gave it": (subject(stored(made("malware", "none", OURS, "clear"))), {"north": "no-copy"}),
}


@pytest.mark.parametrize(
    ("case", "recipient"), [(name, recipient) for name, (_, expected) in CASES.items() for recipient in expected]
)
def test_the_gate_decides_as_written_beforehand(case: str, recipient: str) -> None:
    """Each case, each recipient."""
    item, expected = CASES[case]
    (decision,) = decide([item], terms(recipient))
    rule = decision.rule.upper() if decision.allow else decision.rule
    assert rule == expected[recipient]
    assert decision.rule in RULES


def test_a_third_partys_refusal_names_whom_to_ask() -> None:
    """The originator decides, not the giver."""
    (decision,) = decide([given("x", THIRD, "amber")], terms("bank"))
    assert decision.ask == (THIRD,)


def test_a_recorded_permission_opens_amber_but_not_red() -> None:
    """By its originator, for this object, to this recipient, within its dates."""
    amber, red = given("p1", THIRD, "amber"), given("p2", THIRD, "red")
    leave = permission("third", "north", amber.object.id, red.object.id)
    first, second = decide([amber, red], terms("north", permissions=(leave,)))
    assert (first.allow, first.rule) == (True, "permission")
    assert (second.allow, second.rule) == (False, "red")
    for wrong in (
        permission("giver", "north", amber.object.id),
        permission("third", "bank", amber.object.id),
        permission("third", "north", red.object.id),
    ):
        assert not decide([amber], terms("north", permissions=(wrong,)))[0].allow
    late = terms("north", permissions=(leave,), reference_time=datetime(2022, 10, 1, tzinfo=UTC))
    assert not decide([amber], late)[0].allow


def test_a_hold_stops_whatever_the_label() -> None:
    """A legal hold is orthogonal to TLP, and stops public corpora too."""
    item = given("h", OURS, "clear", givers=(OURS,))
    (decision,) = decide([item], terms("north", holds={item.object.id: ("legal-hold",)}))
    assert (decision.allow, decision.rule) == (False, "legal-hold")


def test_an_agreement_counts_on_its_days_only() -> None:
    """Before and after, nothing leaves."""
    item = given("d", OURS, "clear", givers=(OURS,))
    for time in (datetime(2022, 8, 31, 23, 59, tzinfo=UTC), datetime(2023, 1, 1, tzinfo=UTC)):
        (decision,) = decide([item], terms("north", reference_time=time))
        assert decision.rule == "no-agreement"
    (decision,) = decide([item], terms("north", reference_time=datetime(2022, 12, 31, 23, 59, tzinfo=UTC)))
    assert decision.allow


def test_own_objects_leave_only_under_labels_that_the_agreement_names() -> None:
    """A label of ours, or the default; without a default, what has no label stays."""
    narrow = agreement("narrow", "north", release={"labels": ["clear"]})
    amber, bare = given("n1", OURS, "amber", givers=(OURS,)), given("n2", OURS, givers=(OURS,))
    first, second = decide([amber, bare], terms("north", agreements=(narrow,)))
    assert (first.rule, second.rule) == ("own-label-not-agreed", "own-unmarked")


def test_a_label_alone_is_not_enough_where_the_givers_agreement_is_silent() -> None:
    """GREEN within the community, but the giver's agreement lets nothing go on."""
    silent = (*AGREEMENTS[:3], agreement("with-giver", "giver", communities=("csirts",)))
    (decision,) = decide([given("s", GIVER, "green")], terms("north", agreements=silent))
    assert (decision.allow, decision.rule, decision.ask) == (False, "agreement-forbids", (GIVER,))


def test_an_agreement_can_name_the_recipient() -> None:
    """The giver's own word for this ally goes beyond its label, but not for what a third said."""
    named = (*AGREEMENTS[:3], agreement("with-giver", "giver", onward=[{"labels": ["amber"], "to": [NORTH]}]))
    mine, thirds = decide([given("n", GIVER, "amber"), given("m", THIRD, "amber")], terms("north", agreements=named))
    assert (mine.allow, mine.rule) == (True, "onward-term")
    assert (thirds.allow, thirds.rule) == (False, "third-party")


@pytest.mark.parametrize(
    ("onward", "rule"),
    [
        ([{"labels": ["amber"]}], "agreement-forbids"),
        ([{"labels": ["green"], "to": [BANK]}], "agreement-forbids"),
        ([{"labels": ["green"], "communities": ["banks"]}], "agreement-forbids"),
        ([{"labels": ["amber"]}, {"labels": ["green"]}], "green-community"),
        ([{"labels": ["green"], "to": [NORTH]}], "onward-term"),
    ],
)
def test_each_term_counts_for_its_own_labels_and_recipients(onward: list[dict[str, object]], rule: str) -> None:
    """A GREEN object of the giver's for north, who shares a community with it."""
    changed = (*AGREEMENTS[:3], agreement("with-giver", "giver", communities=("csirts",), onward=onward))
    (decision,) = decide([given("e", GIVER, "green")], terms("north", agreements=changed))
    assert decision.rule == rule


def test_a_giver_can_not_name_recipients_for_what_a_third_said() -> None:
    """Not even for GREEN, where no community is shared."""
    changed = (*AGREEMENTS[:3], agreement("with-giver", "giver", onward=[{"labels": ["green"], "to": [NORTH]}]))
    (decision,) = decide([given("e", THIRD, "green")], terms("north", agreements=changed))
    assert (decision.rule, decision.ask) == ("third-party", (THIRD,))


def test_a_newer_version_by_somebody_else_does_not_loosen_a_marking() -> None:
    """What its originator marked AMBER stays so when another sends it as CLEAR."""
    strict = stored(made("malware", "w", THIRD, "amber"), THIRD)
    loose = stored(made("malware", "w", THIRD, "clear"), GIVER)
    (decision,) = decide([subject(loose, variants=[strict])], terms("north"))
    assert (decision.allow, decision.rule) == (False, "marking-weakened")
    by_themselves = stored(made("malware", "w", THIRD, "clear"), THIRD)
    assert decide([subject(by_themselves, variants=[strict])], terms("north"))[0].allow


def test_no_policy_trusts_no_corpus() -> None:
    """Public corpora are public by the signed policy, not by their looks."""
    item = stored(made("malware", "k", MITRE, STATEMENT.id), "somebody", corpus="mitre-attack", corpus_basis="digest")
    (decision,) = decide([describe_stored(item, DEFINED, None)], terms("north"))
    assert decision.rule == "unmarked"


def test_the_order_of_copies_does_not_matter() -> None:
    """Same input, same decision."""
    item = made("malware", "order")
    one, two = stored(item, GIVER, beside=("amber",)).copies[0], stored(item, BANK, beside=("clear",)).copies[0]
    first = decide([subject(StoredObject(item, (one, two)))], terms("north"))[0]
    second = decide([subject(StoredObject(item, (two, one)))], terms("north"))[0]
    assert (first.rule, first.label, first.ask) == (second.rule, second.label, second.ask)


def test_nothing_is_released_to_a_stranger() -> None:
    """No agreement, no release, not even of what is public."""
    decisions = decide([item for item, _ in CASES.values()], terms("stranger"))
    assert {decision.rule for decision in decisions} == {"no-agreement"}
    assert identity("stranger") not in {party for item in AGREEMENTS for party in item.parties}
