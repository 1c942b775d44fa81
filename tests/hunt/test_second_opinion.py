"""pySigma's parser as a second opinion on every case of the semantics suite: it agrees, has none, or differs for a
reason that stands here.
"""

from __future__ import annotations

from collections import Counter

import pytest

from .second_opinion import NoOpinionError, opinion
from .sigma_rules import rule_text
from .test_semantics import CASES, REJECTED, Case

YAML_1_1 = "PyYAML reads YAML 1.1 and hands on numbers, dates and booleans, where the specification asks for 1.2"
NOT_PARSED = "pySigma parses the value, and what it means is the backend's"

DIFFERS = {
    "R Yaml File: yes is a word (YAML 1.2)": YAML_1_1,
    "R Yaml File: 12:30 is a word (YAML 1.2)": YAML_1_1,
    "R General: leading zeros in the rule, as written": YAML_1_1,
    "R Yaml File: hexadecimal number, as written": YAML_1_1,
    "silent: gt reads hexadecimal": NOT_PARSED,
    "M windash: from each of the five": "pySigma replaces - and / only; the specification names five characters",
    "M base64: an escaped wildcard is itself": "pySigma encodes the escape's backslash with it",
    "M base64offset: bytes, not characters": "pySigma cuts by the number of characters, not of bytes",
    "M utf16: with its mark": "pySigma encodes the mark as UTF-8's three bytes",
    "M cidr: IPv4-mapped": NOT_PARSED,
    "R Field Usage: attributes of System": "the taxonomy's, not the parser's",
    "R Keywords: the facts are part of the event": "the second opinion is given the payload only",
}
"""Sections on which this project and pySigma differ, and why."""

TAKEN = {
    "R Special Field Values: null in a list": "the specification says a list can't hold null",
    "R Detection: empty list": "pySigma takes it for null",
    "M re: look-ahead": "a matter of the engine",
    "M re: back-reference": "a matter of the engine",
    "M re: possessive": "a matter of the engine",
    "M re: atomic": "a matter of the engine",
    "M re: too large": "a matter of the engine",
    "M expand: no values": "pySigma leaves placeholders to a pipeline",
}
"""What pySigma takes, and this project rejects by name."""


def judge(case: Case) -> str:
    """Return "agrees", "differs" or "no opinion"."""
    try:
        fires = opinion(rule_text(case.detection), case.event)
    except NoOpinionError:
        return "no opinion"
    return "agrees" if fires is case.expected else "differs"


@pytest.mark.filterwarnings("ignore:Possible nested set:FutureWarning:sigma.types")
def test_pysigma_agrees_or_differs_for_a_reason() -> None:
    """Where it can give an opinion at all."""
    judged = {number: judge(case) for number, case in enumerate(CASES)}
    differ = {CASES[number].section for number, verdict in judged.items() if verdict == "differs"}
    assert differ == set(DIFFERS)
    counted = Counter(judged.values())
    assert counted["agrees"] >= 250
    assert counted["no opinion"] <= 20


def test_pysigma_rejects_what_is_rejected_but_for_reasons() -> None:
    """Rules that this project names as wrong."""
    taken = set()
    for section, detection, _ in REJECTED:
        try:
            opinion(rule_text(detection), {})
        except NoOpinionError:
            continue
        taken.add(section)
    assert taken == set(TAKEN)
