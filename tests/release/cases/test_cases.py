"""Every rule of the gate has its case, decided by hand beforehand; without any one rule, the table fails."""

from __future__ import annotations

import pytest

from aleat.errors import IntegrityError
from aleat.release import RULES, closure, decide, redact
from aleat.release.rules import COPY_RULES, OBJECT_RULES
from aleat.stix.extensions import read_extension
from tests.release.cases.table import (
    DEFINED,
    RECIPIENTS,
    differences,
    make_subjects,
    mark,
    read_cases,
    release_to,
    terms_for,
)


def test_the_gate_decides_as_the_table_says() -> None:
    """All objects together, closure included, for each recipient."""
    assert differences() == []


def test_the_table_is_large_and_names_each_object_once() -> None:
    """At least sixty objects; five recipients, one of them third to the others."""
    cases = read_cases()
    assert len(cases) >= 60
    assert len({case.name for case in cases}) == len(cases)
    assert all(case.expected(recipient)[:1] in {"+", "-"} for case in cases for recipient in RECIPIENTS)


def test_every_rule_has_its_case() -> None:
    """But for no agreement, other keys, and what revokes: nothing else is judged then."""
    found = {case.expected(recipient)[1:] for case in read_cases() for recipient in RECIPIENTS}
    assert found == set(RULES) - {"no-agreement", "keys-not-agreed", "revocation"}


def _all_stays() -> list[str]:
    """What a stranger, with whom there is no agreement, gets by another rule than that."""
    decisions = decide(make_subjects(), terms_for("stranger"))
    return [decision.object for decision in decisions if decision.rule != "no-agreement"]


def test_a_stranger_gets_nothing() -> None:
    """No agreement, no release, not even of what is clear."""
    assert _all_stays() == []


def _leaves_for_other_keys() -> list[str]:
    """What a recipient gets whose card has other keys than the agreement names."""
    decisions = decide(make_subjects(), terms_for("rekeyed"))
    return [decision.object for decision in decisions if decision.rule != "keys-not-agreed"]


def test_other_keys_than_the_agreements_get_nothing() -> None:
    """Whoever compared the new card: the agreement says by which keys the ally is known."""
    assert _leaves_for_other_keys() == []


def test_red_goes_to_nobody_who_is_not_named_for_it() -> None:
    """A person of the ally's, whom the agreement names for other things."""
    subjects = make_subjects()
    decisions = zip(decide(subjects, terms_for("unnamed")), decide(subjects, terms_for("north")), strict=True)
    assert all(unnamed == nobody for unnamed, nobody in decisions)


def _seen() -> bool:
    """Whether the suite sees that a rule is missing; a gate that stops at its own last look has seen it too."""
    try:
        return bool(_all_stays() or _leaves_for_other_keys() or differences())
    except IntegrityError:
        return True


@pytest.mark.long
@pytest.mark.parametrize("rule", [*OBJECT_RULES, *COPY_RULES])
def test_no_rule_can_go_unseen(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row of the gate's tables, taken out alone: it stays in its place, as the order decides, and is silent."""
    monkeypatch.setitem(OBJECT_RULES if rule in OBJECT_RULES else COPY_RULES, rule, lambda *_: None)
    assert _seen()


@pytest.mark.long
@pytest.mark.parametrize("finder", list(closure.FINDERS))
def test_no_part_of_closure_can_go_unseen(finder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each way in which one object tells of another, no longer looked for."""
    monkeypatch.setitem(closure.FINDERS, finder, lambda *_: frozenset())
    assert _seen()


@pytest.mark.long
@pytest.mark.parametrize("kind", list(redact.COARSENERS))
def test_no_coarsening_can_go_unseen(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each type of object of ours, told as it stands."""
    monkeypatch.setitem(redact.COARSENERS, kind, lambda properties, _: dict(properties))
    assert _seen()


@pytest.mark.long
def test_no_personal_data_can_go_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    """E-mail addresses, telephone numbers and accounts in free text, no longer looked for."""
    monkeypatch.setattr(closure, "personal_words", lambda *_: frozenset())
    assert _seen()


@pytest.mark.long
@pytest.mark.parametrize("step", ["_one_content_an_id", "_keep_unused_definitions"])
def test_no_step_of_closure_can_go_unseen(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One content an id; no definition that nothing uses."""
    monkeypatch.setattr(closure, step, lambda _: None)
    assert _seen()


def test_who_is_in_a_sharing_group_is_told_to_nobody() -> None:
    """Neither to a member: the marking leaves without the group's name and members, and names nobody there."""
    for recipient in ("north", "bank", "giver"):
        release = release_to(recipient)
        groups = [item for item in release.objects if item.id == mark("misp:north+bank")]
        assert [read_extension(item, "misp") for item in groups] == [{"kind": "marking", "distribution": 4}]
        members = read_extension(DEFINED["misp:north+bank"], "misp") or {}
        for secret in (*members["organisations"], members["sharing_group"], members["name"]):
            assert f'"{secret}"' not in release.bundle.decode()


def test_every_pap_marking_goes_with_its_object() -> None:
    """What may be done with it is the giver's word: as it came, definition included."""
    release = release_to("west")
    leaving = {item.name: item for item in release.objects if item.name}
    for case in read_cases():
        for name in case.marks:
            if name.startswith("pap:") and case.expected("west").startswith("+"):
                assert mark(name) in leaving[case.word].object_marking_refs
                assert mark(name) in {item.id for item in release.objects}
