"""Claims of news texts: golden files (text beside what must be read in it), and what must never be read in one."""

from __future__ import annotations

import json
import os
import textwrap
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from aleat.case.claims import MAX_BYTES, ClaimsResult, looks_like_news, read_claims
from aleat.errors import InputError, LimitError

GOLDEN = Path(__file__).parent / "claims"
NOW = datetime(2026, 11, 1, tzinfo=UTC)
TEXTS = sorted(path.stem for path in GOLDEN.glob("*.txt"))


def _read(text: str) -> ClaimsResult:
    return read_claims(text, "article.txt", reference_time=NOW)


def _acts(text: str) -> list[tuple[str, str, str]]:
    return [(c.act, c.speaker, c.target) for c in _read(text).claims]


def _golden(result: ClaimsResult) -> dict[str, Any]:
    """Write a result so that a person can read it as a diff: claims by number, no ids."""
    number = {claim.id: place for place, claim in enumerate(result.claims)}
    return {
        "claims": [
            {
                "act": c.act,
                "speaker": c.speaker,
                "party": c.speaker_party,
                "target": c.target,
                "about": c.about,
                "date": [c.date_text, c.date_from.date().isoformat() if c.date_from else None],
                "attributed_to": c.attributed_to,
                "labels": list(c.labels),
                "quote": c.quote[:60],
            }
            for c in result.claims
        ],
        "contradictions": [[number[c.first], number[c.second], c.point, c.who] for c in result.contradictions],
        "alleged": [
            {
                "what": a.what,
                "victim": a.victim,
                "date": [
                    a.date_text,
                    a.date_from.date().isoformat() if a.date_from else None,
                    a.date_to.date().isoformat() if a.date_to else None,
                ],
                "claims": [number[claim] for claim in a.claims],
                "effects": list(a.effects),
            }
            for a in result.alleged
        ],
        "open_offers": [number[claim] for claim in result.open_offers],
    }


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_gives_the_claims_of_its_golden_file(name: str) -> None:
    """Rewrite the golden files with ALEAT_REWRITE_GOLDEN=1, and read the diff."""
    found = _golden(_read((GOLDEN / f"{name}.txt").read_text("utf-8")))
    path = GOLDEN / f"{name}.json"
    if os.environ.get("ALEAT_REWRITE_GOLDEN"):
        path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
    assert found == json.loads(path.read_text("utf-8"))


@pytest.mark.parametrize("name", TEXTS)
def test_every_quote_stands_at_its_offsets(name: str) -> None:
    text = (GOLDEN / f"{name}.txt").read_text("utf-8")
    result = _read(text)
    for claim in result.claims:
        assert text[claim.offset : claim.offset + len(claim.quote)] == claim.quote
        assert text.encode()[claim.byte_offset :].startswith(claim.quote.encode())
    for alleged in result.alleged:
        assert text[alleged.offset : alleged.offset + len(alleged.quote)] == alleged.quote
        assert alleged.status == "alleged"


def test_the_same_text_gives_the_same_ids_whatever_the_clock_says() -> None:
    text = (GOLDEN / "wire_two_attacks.txt").read_text("utf-8")
    later = read_claims(text, "article.txt", reference_time=datetime(2031, 1, 1, tzinfo=UTC))
    assert later == _read(text)


@pytest.mark.parametrize(
    "sentence",
    [
        "Varonia did not accuse Kestria of the attack.",
        "Varonia has never blamed Kestria for the cyberattack.",
        "Varonia refused to condemn Kestria over the attack.",
        "Varonia stopped short of blaming Kestria for the attack.",
        "Varonia would condemn Kestria if it attacked again.",
        "Varonia may cut diplomatic ties with Kestria.",
        "Varonia threatened to sever diplomatic relations with Kestria.",
        "Lorland urged Varonia to expel Kestrian diplomats.",
        "Will Varonia break off diplomatic relations with Kestria?",
        "No group has claimed responsibility for the attack.",
        "Nobody claimed responsibility for the attack.",
        "If Varonia blames Kestria, relations will suffer.",
        "Varonia declined to attribute the attack to Kestria.",
        "The accused state has a new premier.",
        "Kestria denied access to the inspectors.",
        "The police offered a reward of 10,000 crowns.",
        "Varonia rejected the offer.",
        "Varonia called on Kestria to stop.",
        "Officials said it was unclear whether Kestria was behind the attack.",
        "The minister said there was no evidence that Kestria was behind the attack.",
        "Varonia is considering cutting diplomatic ties with Kestria.",
        "Without blaming Kestria, Varonia asked for an inquiry.",
        "Varonia asked for evidence that Kestria hired the hackers.",
        "Officials said that two ministries of Varonia were attacked.",
        "Kestrian embassy staff have been told to leave.",
        "The group published documents that it said came from Kestrian government mail.",
        "Varonia said there was no evidence of Kestrian involvement.",
        "The runner broke the record and ended ties with her coach.",
    ],
)
def test_what_is_not_done_is_not_read_as_done(sentence: str) -> None:
    """Negation, wishes, conditions, questions and other senses of the verbs."""
    text = f"A cyberattack hit Varonia on Monday.\n\n{sentence}\n"
    strong = {"accuses", "denies", "condemns", "offers", "severs", "claims-responsibility"}
    assert [row for row in _acts(text) if row[0] in strong] == []


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("Varonia accused Kestria of the attack.", ("accuses", "Varonia", "Kestria")),
        ("Varonia blames the attack on Kestria.", ("accuses", "Varonia", "Kestria")),
        ("Varonia held Kestria responsible for the attack.", ("accuses", "Varonia", "Kestria")),
        ("Varonia pointed the finger at Kestria.", ("accuses", "Varonia", "Kestria")),
        ("Varonia attributed the attack to Kestria.", ("accuses", "Varonia", "Kestria")),
        ("Varonia said that Kestria was behind the attack.", ("accuses", "Varonia", "Kestria")),
        ("Kestria was behind the attack, Varonia said.", ("accuses", "Varonia", "Kestria")),
        ("Kestria was blamed by Varonia for the attack.", ("accuses", "Varonia", "Kestria")),
        ("Varonia said the attack was blamed on Kestria by Lorland.", ("accuses", "Lorland", "Kestria")),
        ("“Behind the attack was Kestria,” Varonia said.", ("accuses", "Varonia", "Kestria")),
        ("Varonia said the attack bore the hallmarks of Kestria.", ("accuses", "Varonia", "Kestria")),
        ("Varonia cited clear evidence that Kestria was behind the attack.", ("accuses", "Varonia", "Kestria")),
        ("Kestria denied involvement in the attack.", ("denies", "Kestria", "")),
        ("Kestria dismissed the allegations as “fabricated”.", ("denies", "Kestria", "")),
        ("Kestria said the accusations were unfounded.", ("denies", "Kestria", "")),
        ("Kestria said it had nothing to do with the attack.", ("denies", "Kestria", "")),
        ("Kestria said it was not behind the attack.", ("denies", "Kestria", "")),
        ("The attack was condemned by NATO.", ("condemns", "NATO", "")),
        ("NATO strongly condemned Kestria’s cyberattack.", ("condemns", "NATO", "Kestria")),
        ("Lorland offered to help Varonia.", ("offers", "Lorland", "Varonia")),
        ("Lorland stands ready to assist Varonia.", ("offers", "Lorland", "Varonia")),
        ("Varonia severed diplomatic relations with Kestria.", ("severs", "Varonia", "Kestria")),
        ("Varonia decided to cut ties with Kestria.", ("severs", "Varonia", "Kestria")),
        ("Varonia expelled two Kestrian diplomats.", ("severs", "Varonia", "Kestria")),
        ("A group called Red Gull claimed responsibility for the attack.", ("claims-responsibility", "Red Gull", "")),
    ],
)
def test_an_act_is_read_with_who_and_whom(sentence: str, expected: tuple[str, str, str]) -> None:
    text = f"The government of Varonia and the government of Kestria met Lorland’s premier.\n\n{sentence}\n"
    assert expected in _acts(text)


def test_a_denial_is_set_against_the_accusation_that_it_answers() -> None:
    result = _read("Varonia accused Kestria of a cyberattack on its ports. Kestria called the accusation baseless.\n")
    (contradiction,) = result.contradictions
    assert contradiction.point == "responsibility"
    assert contradiction.who == "Kestria"
    first = next(c for c in result.claims if c.id == contradiction.first)
    assert (first.act, first.speaker) == ("accuses", "Varonia")


def test_no_date_is_resolved_that_the_text_does_not_settle() -> None:
    result = _read("Varonia blamed Kestria in August for a cyberattack in July on its ports.\n")
    assert result.alleged[0].date_text == "July"
    assert result.alleged[0].date_from is None
    assert all(claim.date_from is None for claim in result.claims)


def test_a_captions_date_settles_nothing() -> None:
    text = (
        "Illustrative: a server room in Torva, September 20, 2017. (AP Photo/Somebody)\n\n"
        "Varonia was hit by a cyberattack on Friday that shut down its portals, officials said.\n"
    )
    assert _read(text).alleged[0].date_from is None


def test_a_dateline_settles_weekdays_before_it() -> None:
    text = "TORVA, Sept 10, 2022 (NWA) — Varonia said that a cyberattack on Friday hit the police.\n"
    alleged = _read(text).alleged[0]
    assert alleged.date_from == datetime(2022, 9, 9, tzinfo=UTC)


def test_the_collect_list_names_logs_hosts_and_dates_for_each_testable_claim() -> None:
    result = _read((GOLDEN / "wire_two_attacks.txt").read_text("utf-8"))
    tested = {item.claim for item in result.collect}
    assert {c.id for c in result.claims if c.act in ("accuses", "denies")} <= tested
    assert not {c.id for c in result.claims if c.act in ("offers", "severs", "condemns")} & tested
    police = next(item for item in result.collect if any("border control system BORA" in host for host in item.hosts))
    assert any("border system" in log for log in police.logs)
    assert any("2022-07-15" in item.dates for item in result.collect)


def test_a_denial_says_nothing_of_an_attack_that_is_told_later() -> None:
    result = _read((GOLDEN / "group_and_no_group.txt").read_text("utf-8"))
    by_id = {claim.id: claim for claim in result.claims}
    pairs = [(by_id[c.first].speaker, by_id[c.second].act, c.point) for c in result.contradictions]
    assert pairs == [
        ("Varonia", "denies", "responsibility"),
        ("Prime Minister Ada Lind", "claims-responsibility", "perpetrator"),
    ]
    second = next(alleged for alleged in result.alleged if alleged.what == "a second attack")
    assert second.date_from is None
    hosts = next(item.hosts for item in result.collect if item.claim in second.claims)
    assert set(hosts) == {"border system BORA", "computer systems of the state police"}


def test_news_is_told_from_an_advisory() -> None:
    news = {name: looks_like_news((GOLDEN / f"{name}.txt").read_text("utf-8")) for name in TEXTS}
    assert [name for name, found in news.items() if not found] == ["advisory_like", "no_claims"]


def test_a_text_that_is_too_long_is_refused_with_its_limit() -> None:
    with pytest.raises(LimitError, match=str(MAX_BYTES)):
        _read("a" * (MAX_BYTES + 1))
    with pytest.raises(LimitError, match=str(MAX_BYTES)):
        _read("ë" * (MAX_BYTES // 2 + 1))


def test_what_is_no_unicode_text_is_refused() -> None:
    with pytest.raises(InputError, match="Unicode"):
        _read("Varonia blamed Kestria. \ud800")


def test_a_naive_reference_time_is_a_callers_mistake() -> None:
    with pytest.raises(ValueError, match="aware"):
        read_claims("", "a", reference_time=datetime(2022, 1, 1))


def test_lines_wrapped_wide_are_one_paragraph() -> None:
    """A text that an editor wrapped at 130 columns reads like the same text with a line a paragraph."""
    sentences = (
        "Northland severed its diplomatic relations with Southland on 7 September 2022 and told the embassy's "
        "whole staff to leave the country within a day. Prime Minister Ada Lind accused Southland of the "
        "cyberattack of 15 July 2022, in which many of the government's services and websites had to be shut "
        "down. Southland's foreign ministry rejected the accusation as baseless, and Westland condemned the "
        "attack and offered to share its knowledge and experience in cyber defence with the government of "
        "Northland."
    )
    text = textwrap.fill(sentences, 130) + "\n"
    wrapped = read_claims(text, "wide.txt", reference_time=NOW)
    plain = read_claims(text.replace("\n", " ").strip(), "wide.txt", reference_time=NOW)
    assert [(c.act, c.speaker) for c in wrapped.claims] == [(c.act, c.speaker) for c in plain.claims]
    assert {c.act for c in wrapped.claims} >= {"severs", "accuses", "denies", "condemns", "offers"}
