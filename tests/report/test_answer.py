"""The answer: one paragraph, by what the case holds."""

from __future__ import annotations

import msgspec

from aleat.hunt.result import RuleCounts
from aleat.report import load_messages, make_answer
from aleat.report.records import ReportInput
from tests.report.cases import full_report


def changed(report: ReportInput, **changes: object) -> ReportInput:
    """The report with other values in its case."""
    return msgspec.structs.replace(report, case=msgspec.structs.replace(report.case, **changes))


EMPTY: dict[str, object] = {"incidents": (), "campaigns": (), "outages": (), "open_items": (), "sightings": ()}


def test_the_whole_answer() -> None:
    """Every question of the design is answered, in its order."""
    answer = make_answer(full_report(), load_messages())
    assert answer.hit is True
    assert answer.paragraph == (
        "Yes, you were hit: 16 of 17 hosts show it, from 2021-05-24 14:00 UTC to 2022-09-08 19:30 UTC, in 2 incidents. "
        "The first trace is on SP01 (Web shell requested), 417 days before the loudest day. "
        "What was done there: access, encryption, wiping. "
        "2 service outages: portal from 2022-07-15 06:30 UTC to 2022-07-18 06:00 UTC (the attacker); "
        "mail from 2022-07-15 07:30 UTC to beyond the end of its log (shut down by its owner to protect it). "
        "The incidents belong to one campaign: 1 rare links weigh 14 bits (threshold 10), among them rwdsk.sys. "
        "Who is behind it: State A, very likely (90 %, moderate confidence). "
        "What would change this: without malware wiper, somebody else would lead with 60 %. "
        "Are they still in? Yes: activity goes on until the evidence ends, "
        "and one thing was never seen removed or reset."
    )


def test_a_negative_answer_states_its_coverage() -> None:
    """An honest no says what was looked at."""
    answer = make_answer(changed(full_report(), **EMPTY), load_messages())
    assert answer.hit is False
    assert "9 indicators, 1000 events of 2 hosts" in answer.paragraph


def test_without_evidence_nothing_is_confirmed() -> None:
    """A news text alone opens a case of alleged incidents."""
    report = msgspec.structs.replace(changed(full_report(), **EMPTY), events=0)
    answer = make_answer(report, load_messages())
    assert answer.hit is None
    assert "nothing is confirmed" in answer.paragraph


def test_evidence_without_indicators_is_no_negative_answer() -> None:
    """Events were read, but nothing was looked for."""
    report = msgspec.structs.replace(changed(full_report(), **EMPTY), rules=RuleCounts())
    assert "nothing was looked for" in make_answer(report, load_messages()).paragraph


def test_a_suspected_sponsor_says_whose_suspicion_it_is_and_who_names_another() -> None:
    """It is no finding of the case."""
    report = full_report()
    (assessment,) = report.assessments
    first, *others = assessment.hypotheses
    told = msgspec.structs.replace(
        first, sponsor_suspected=True, sponsor_sources=("MISP galaxy threat-actor 7",), sponsor_others=("State B",)
    )
    suspected = msgspec.structs.replace(assessment, hypotheses=(told, *others))
    text = make_answer(msgspec.structs.replace(report, assessments=(suspected,)), load_messages()).paragraph
    assert "MISP galaxy threat-actor 7 suspects; it is no finding of this case" in text
    assert "Others name another sponsor of the same groups: State B." in text
