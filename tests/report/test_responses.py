"""What can be done, beside the incident: on the page, in the bundle; escaped, in every language."""

from __future__ import annotations

import re

import msgspec
import pytest

from aleat.case.response_records import Response, ResponseGiver, ResponseReason
from aleat.knowledge.playbooks import Playbook, PlaybookCommand, PlaybookStep
from aleat.report import LANGUAGES, ReportInput, case_objects, load_messages, reasons_text, render_html, step_text
from aleat.stix.ids import random_id
from tests.report.cases import START, full_report
from tests.report.test_html import HOSTILE, Page, poison
from tests.stix.strict import strict_errors

COMMAND = PlaybookCommand("bash", "systemctl stop smbd && echo <done>")
STEPS = (
    PlaybookStep(number=1, depth=0, type="action", name="Unplug", agent="Duty officer", targets=("the host",)),
    PlaybookStep(number=2, depth=0, type="if-condition", condition="[file:name = 'x']"),
    PlaybookStep(number=3, depth=1, branch="then", type="action", name="Stop sharing", commands=(COMMAND,)),
    PlaybookStep(number=0, depth=1, branch="else", refers_to=1),
)
PLAYBOOK = Playbook(
    id="playbook--1", name="Contain", types=("mitigation",), steps=STEPS, faults=1, signatures=("broken",)
)


def response(number: int = 0, **changes: object) -> Response:
    """One that fits the first incident."""
    incident = full_report().case.incidents[0].id
    made = Response(
        incident=incident,
        course=f"course-of-action--00000000-0000-4000-8000-{number:012}",
        name=f"Contain ransomware {number}",
        kind="playbook",
        reasons=(ResponseReason("technique", "T1486", "mitigates", "Data Encrypted", 3, "HOST02", START),),
        givers=(ResponseGiver("CERT North", ("TLP:AMBER",)),),
        playbook=PLAYBOOK,
    )
    return msgspec.structs.replace(made, **changes)


def report_with(*responses: Response) -> ReportInput:
    report = full_report()
    return msgspec.structs.replace(report, case=msgspec.structs.replace(report.case, responses=responses))


def test_a_playbook_stands_beside_its_incident_with_giver_marking_reason_and_steps() -> None:
    """Collapsed, in the order in which it is done; commands as they stand."""
    page = Page(render_html(report_with(response())))
    text = " ".join(page.text.split())
    assert "What can be done" in text
    assert "mitigates T1486 Data Encrypted, seen on HOST02 at 2022-07-15 06:00 UTC" in text
    assert "from CERT North (TLP:AMBER)" in text
    assert "systemctl stop smbd && echo <done>" in text
    assert "if so: Stop sharing" in text
    assert "if not: go on with step 1" in text
    assert "breaks one rule of CACAO" in text
    assert "signature doesn't fit" in text
    assert ("details", {}) in page.tags


def test_ten_stand_open_and_the_rest_one_step_away() -> None:
    """Twenty things on the first screen, not twenty thousand."""
    page = render_html(report_with(*(response(number) for number in range(14)))).decode()
    head, _, rest = page.partition('<details class="more">')
    assert (head.count("Contain ransomware"), rest.count("Contain ransomware")) == (10, 4)
    assert "4 more that fit" in rest


def test_nothing_in_a_playbook_acts() -> None:
    """Scripts and control characters in every text."""
    hostile = response(
        playbook=poison(PLAYBOOK), name=HOSTILE, description=HOSTILE, givers=(ResponseGiver(HOSTILE, (HOSTILE,)),)
    )
    page = Page(render_html(report_with(hostile)))
    assert not {tag for tag, _ in page.tags} & {"script", "img"}
    assert "\x1b" not in page.text
    assert "\u202e" not in page.text


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_code_has_its_words(language: str) -> None:
    """Kinds of reasons, branches, steps, signatures, states."""
    words = load_messages(language).catalogue
    assert {"then", "else", "while", "case", "parallel", "failure", "exception", "unreached"} <= set(words["branch"])
    assert {"intact", "broken", "not-verified"} == set(words["signature"])
    assert {"playbook", "course-of-action", "expired", "not-yet-valid"} <= set(words["response"])
    page = render_html(report_with(response()), language=language).decode()
    assert "technique-mitigates" not in page


def test_the_case_says_what_an_incident_is_related_to() -> None:
    """Strict STIX 2.1 lets an incident be related to a course of action; the course itself isn't copied."""
    objects = case_objects(report_with(response()), identity=random_id("identity"))
    (link,) = [item for item in objects if item.target_ref and item.target_ref.startswith("course-of-action--")]
    assert (link.relationship_type, (link.source_ref or "").partition("--")[0]) == ("related-to", "incident")
    assert "mitigates T1486" in (link.description or "")
    assert strict_errors(link) == []
    assert not [item for item in objects if item.type == "course-of-action"]


def test_a_course_of_action_tells_what_it_says_line_by_line() -> None:
    """With what its relationship says about each technique; an empty description is none."""
    reason = ResponseReason("technique", "T1486", "mitigates", says="Keep backups offline.")
    plain = response(playbook=None, kind="course-of-action", description="First.\n\nSecond.", reasons=(reason,))
    page = render_html(report_with(plain, response(1, playbook=None, description=" \n"))).decode()
    assert "<summary>First.</summary><p>First.<br>Second.</p>" in page
    assert "Keep backups offline." in page


def test_lines_are_the_same_for_page_and_terminal() -> None:
    """One place makes them."""
    english = load_messages("en")
    assert step_text(STEPS[1], english) == "decision"
    many = response(reasons=tuple(ResponseReason("tactic", f"t{n}", "names") for n in range(5)))
    assert re.fullmatch(r"is for the tactic t0; .*; and 2 more", reasons_text(many, english))
