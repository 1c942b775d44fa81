"""The catalogues: the same messages, with the same parameters, in every language."""

from __future__ import annotations

import re
import string
from importlib.resources import files
from tomllib import loads

from aleat.case.log_findings import KINDS
from aleat.report import LANGUAGES, load_messages


def parameters(text: str) -> set[str]:
    """The {names} of a message."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_all_languages_say_the_same() -> None:
    """Same sections, same codes, same parameters: none is missing in one of them."""
    first = load_messages(LANGUAGES[0]).catalogue
    for language in LANGUAGES[1:]:
        other = load_messages(language).catalogue
        assert {s: set(m) for s, m in other.items()} == {s: set(m) for s, m in first.items()}
        for section, messages in first.items():
            for code, text in messages.items():
                assert parameters(text) == parameters(other[section][code]), (language, section, code)


def test_an_unknown_code_is_shown_not_lost() -> None:
    """A code that no catalogue has appears as itself, with its parameters."""
    assert load_messages().say("cause", "sabotage") == "sabotage"
    assert load_messages().say("next", "phone-somebody", who="the ministry") == "phone-somebody: the ministry"


def test_every_message_that_the_template_asks_for_is_there() -> None:
    """Constant codes in the template exist in the catalogue."""

    template = (files("aleat.report") / "templates" / "report.html.j2").read_text(encoding="utf-8")
    catalogue = load_messages().catalogue
    asked = re.findall(r'say\("(\w+)", "([\w-]+)"', template)
    assert asked
    assert [(section, code) for section, code in asked if code not in catalogue[section]] == []


CODE = re.compile(r'"([a-z]+(?:-[a-z]+)*)"')


def codes_in(path: str, before: str) -> set[str]:
    """String literals of code form that follow `before` in a module of the package."""
    text = (files("aleat") / path).read_text(encoding="utf-8")
    return {code for line in text.splitlines() if before in line for code in CODE.findall(line.split(before, 1)[1])}


def test_every_code_of_a_case_has_its_words() -> None:
    """What the stages can say by code, the catalogue can say in words."""
    catalogue = load_messages().catalogue
    assert codes_in("case/causes.py", "reason=") <= set(catalogue["outage_reason"])
    assert codes_in("case/causes.py", "cause=") - codes_in("case/causes.py", "reason=") <= set(catalogue["cause"])
    assert codes_in("case/next_steps.py", "_step(") <= set(catalogue["next"])
    assert codes_in("case/open_items.py", "kind=") - {"web-script"} <= set(catalogue["open"])
    assert {*KINDS, "log-cleared-by", "log-silent-to-the-end", "host-silent-to-the-end"} <= set(catalogue["log"])
    assert codes_in("attribution/assess.py", "reason =") <= set(catalogue["verdict"])
    effects = loads((files("aleat") / "case/tactics.toml").read_text(encoding="utf-8"))
    assert {*effects["effects"].values(), *effects["tactic_effects"].values()} <= set(catalogue["effect"])


def test_every_code_of_a_claim_has_its_words() -> None:
    """Acts, questions and the points on which claims part."""
    catalogue = load_messages().catalogue
    table = loads((files("aleat") / "case/claims/collect.toml").read_text(encoding="utf-8"))
    assert set(table["questions"].values()) | set(table["wanted"]) <= set(catalogue["question"])
    assert {"responsibility", "perpetrator", "data-taken"} <= set(catalogue["point"])
