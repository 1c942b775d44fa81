"""Rules and filters where lists of semantics forget to look: forms, chains of modifiers, YAML, conditions.

Each case names the section of the specification 2.1 that it shows (R: Rules, M: Modifiers appendix, F: Filters,
T: Taxonomy appendix); "silent" where it doesn't say.
"""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from aleat.hunt import Hunter, apply_filters, compile_plan, hunt_segment

from .events import SYSMON, batch
from .naive_sigma import RandomRule, matches, random_event
from .sigma_rules import HEAD, fires, indicator, plan_of, rejection, rule_text

ONE = "a:\n    F: x\n"
TWO = "a:\n    F: x\nb:\n    G: y\n"

FIRES: list[tuple[str, str, dict[str, Any], bool]] = [
    # forms of a search
    ("R Lists: of lists", "selection:\n    - - F: x\n      - F: y\n    - word", {"F": "y"}, True),
    ("R Lists: of lists", "selection:\n    - - F: x\n      - F: y\n    - word", {"F": "a word"}, True),
    ("R Lists: maps and words", "selection:\n    - F: x\n      G: y\n    - word", {"F": "x", "G": "z"}, False),
    ("R Keywords: one word", "selection: word", {"F": "a word"}, True),
    ("R Keywords: a number", "selection: [4625]", {"F": "at 46251"}, True),
    ("R Keywords: a boolean", "selection: [true]", {"F": True}, True),
    ("R Keywords: beside a field", "selection:\n    F: x\n    '|all': [y, z]", {"F": "x", "G": "yz"}, True),
    ("R Keywords: beside a field", "selection:\n    F: x\n    '|all': [y, z]", {"F": "w", "G": "xyz"}, False),
    ("R Keywords: not in field names", "selection: [word]", {"word": "x"}, False),
    ("R Keywords: an escaped wildcard", "selection: ['a\\*b']", {"F": "xa*bx"}, True),
    ("R Keywords: an escaped wildcard", "selection: ['a\\*b']", {"F": "acb"}, False),
    ("R Keywords: contains changes nothing", "selection:\n    '|contains': b", {"F": "abc"}, True),
    ("R Maps: two names of one field", "selection:\n    F: x\n    f: y", {"F": ["x", "y"]}, True),
    ("R Maps: two names of one field", "selection:\n    F: x\n    f: y", {"F": "x"}, False),
    ("R Field Usage: dots", "selection:\n    a.b-c: x", {"a.b-c": "x"}, True),
    ("R Field Usage: a number", "selection:\n    1: x", {"1": "x"}, True),
    ("R General: a boolean is text", "selection:\n    F: true", {"F": "TRUE"}, True),
    ("R General: a boolean is text", "selection:\n    F|contains: true", {"F": "is True"}, True),
    ("R General: a boolean is text", "selection:\n    F|cased: true", {"F": "TRUE"}, False),
    ("R General: a very long value", f"selection:\n    F|endswith: '{'a' * 70_000}'", {"F": "b" + "a" * 70_001}, True),
    # chains
    ("M all: wherever it stands", "selection:\n    F|all|re: [x, y]", {"F": "xy"}, True),
    ("M all: wherever it stands", "selection:\n    F|all|re: [x, y]", {"F": "x"}, False),
    ("M neq: wherever it stands", "selection:\n    F|neq|re: x", {"F": "y"}, True),
    ("M neq: wherever it stands", "selection:\n    F|neq|cidr: 10.0.0.0/8", {"F": "10.1.1.1"}, False),
    ("M neq: of existence", "selection:\n    F|neq|exists: true", {"G": 1}, True),
    ("M neq: of null", "selection:\n    F|neq: null", {"F": ""}, True),
    ("M neq: of null", "selection:\n    F|neq: null", {"G": ""}, False),
    ("M neq|all: not all of them", "selection:\n    F|contains|all|neq: [x, y]", {"F": "x"}, True),
    ("M all: of one value", "selection:\n    F|contains|all: x", {"F": "axb"}, True),
    ("M startswith|endswith: in the order given", "selection:\n    F|startswith|endswith: b", {"F": "abc"}, True),
    ("M startswith|endswith: a pattern", "selection:\n    F|re|startswith|endswith: b", {"F": "abc"}, True),
    (
        "M startswith|endswith: a field",
        "selection:\n    F|fieldref|startswith|endswith: G",
        {"F": "abc", "G": "b"},
        True,
    ),
    ("M re|startswith", "selection:\n    F|re|startswith: 'b|c'", {"F": "ac"}, False),
    ("M re|endswith: before a final newline no more", "selection:\n    F|re|endswith: 'c'", {"F": "c\n"}, False),
    ("M gte: hexadecimal in quotes", "selection:\n    F|gte: '0x10'", {"F": 16}, True),
    ("M hour: after the operator", "selection:\n    F|gte|hour: 5", {"F": "2022-07-05 06:00:00"}, True),
    ("M week: ISO 8601 has 53", "selection:\n    F|week: 53", {"F": "2020-12-31"}, True),
    ("M fieldref: list", "selection:\n    F|fieldref: [G, H]", {"F": "x", "H": "x"}, True),
    ("M fieldref: all", "selection:\n    F|fieldref|all: [G, H]", {"F": "x", "G": "y", "H": "x"}, False),
    ("M base64: twice", "selection:\n    F|base64|base64: foobar", {"F": "Wm05dlltRnk="}, True),
    ("M windash: then base64", "selection:\n    F|windash|base64: '-a'", {"F": "L2E="}, True),
    # YAML 1.2
    ("R Yaml File: yes is a word", "selection:\n    F: yes", {"F": "yes"}, True),
    ("R Yaml File: yes is a word", "selection:\n    F: yes", {"F": True}, False),
    ("R Yaml File: off is a word", "selection:\n    F: off", {"F": "OFF"}, True),
    ("R Yaml File: 010 is ten", "selection:\n    F: 010", {"F": 10}, True),
    ("R Yaml File: 010 is ten", "selection:\n    F: 010", {"F": 8}, False),
    ("R Yaml File: 0o10 is eight", "selection:\n    F: 0o10", {"F": 8}, True),
    ("R Yaml File: a date is text", "selection:\n    F: 2020-01-01", {"F": "2020-01-01"}, True),
    ("R Yaml File: a time is text", "selection:\n    F: 12:30:00", {"F": "12:30:00"}, True),
    ("R Yaml File: 1_000 is text", "selection:\n    F: 1_000", {"F": 1000}, False),
    ("R Yaml File: a number beyond all is text", "selection:\n    F: 1e400", {"F": "inf"}, False),
    ("R Yaml File: a number beyond all is text", "selection:\n    F: 1e400", {"F": "1E400"}, True),
    ("R Yaml File: anchors", "a: &a\n    F: &l [x, z]\nselection:\n    G: *l\ncondition: selection", {"G": "z"}, True),
    ("R Yaml File: a tag", "selection:\n    F: !!str 5", {"F": "5"}, True),
    ("R Yaml File: CR-LF", "selection:\r\n    F:\r\n        - x\r\n", {"F": "x"}, True),
    # conditions
    ("R Condition: names that begin as operators", "notsel:\n    F: x\ncondition: notsel", {"F": "x"}, True),
    ("R Condition: names", "android:\n    F: x\norigin:\n    G: y\ncondition: android and origin", {"F": "x"}, False),
    ("R Condition: a name 'all'", "all:\n    F: x\ncondition: all", {"F": "x"}, True),
    ("R Condition: a name '1'", "1:\n    F: x\ncondition: 1", {"F": "x"}, True),
    ("R Condition: a name with dashes and dots", "a-b.c:\n    F: x\ncondition: a-b.c", {"F": "x"}, True),
    ("R Condition: brackets need no spaces", TWO + "condition: (a)and(not(b))", {"F": "x"}, True),
    ("R Condition: over lines", TWO + "condition: |\n    a\n    or b\n", {"G": "y"}, True),
    ("R Condition: not not", ONE + "condition: not not a", {"F": "x"}, True),
    ("R Condition: upper case", TWO + "condition: 1 OF THEM", {"G": "y"}, True),
    ("R Condition: a star alone", "_a:\n    F: x\nb:\n    G: y\ncondition: 1 of *", {"F": "x"}, False),
    ("R Condition: a pattern with underscore", "_a:\n    F: x\nb:\n    G: y\ncondition: 1 of _*", {"F": "x"}, True),
    ("R Condition: not all of", TWO + "condition: a and not all of *", {"F": "x"}, True),
    ("R Condition: deep brackets", TWO + f"condition: {'(' * 40}a or b{')' * 40}", {"G": "y"}, True),
    ("R Condition: old timeframe is no search", ONE + "timeframe: 5m\ncondition: all of them", {"F": "x"}, True),
    ("R Condition: 'timeframe' may be a search", "timeframe:\n    F: x\ncondition: timeframe", {"F": "x"}, True),
]


@pytest.mark.parametrize(
    ("section", "detection", "event", "expected"), FIRES, ids=[f"{place}: {one[0]}" for place, one in enumerate(FIRES)]
)
def test_rule_means_what_the_specification_says(
    section: str, detection: str, event: dict[str, Any], expected: bool
) -> None:
    """Each fires, or doesn't, as its section has it."""
    assert fires(detection, event) is expected


REJECTED = [
    ("R Condition: an empty list", ONE + "condition: []", "empty", "7:12"),
    ("R Condition: null", ONE + "condition: ~", "names '~'", "7:12"),
    ("R Condition: a map", ONE + "condition: {a: b}", "must be a text", "7:12"),
    ("R Condition: two names", ONE + "condition: a a", "can't go on with 'a'", "7:12"),
    ("R Condition: near", TWO + "condition: a near b", "can't go on with 'near'", ""),
    ("R Condition: aggregation", ONE + "condition: a | count(F) by G > 5", "Write it as a correlation", "7:12"),
    ("R Condition: 1 of a list", TWO + "condition: 1 of (a, b)", "'them' or a pattern", ""),
    ("R Condition: only stars are wildcards", ONE + "condition: 1 of ?", "fits none", ""),
    ("R Condition: them, where all are hidden", "_a:\n    F: x\ncondition: 1 of them", "fits none", ""),
    ("R Detection: null", "a:\ncondition: a", "'a' is empty", "5:1"),
    ("R Detection: an empty map in a list", "a:\n    - {}\ncondition: a", "empty", "6:7"),
    ("R Detection: null in a list", "a: [~]\ncondition: a", "empty", ""),
    ("R Maps: a map as value", "selection:\n    F: {a: b}", "not a list or map", "6:8"),
    ("R Maps: a list in a list", "selection:\n    F: [[x]]", "not a list or map", "6:9"),
    ("R Maps: a field without a name", "selection:\n    ' |contains': x", "names no field", "6:5"),
    ("R Yaml File: merge keys", "a: &a\n    F: x\nselection:\n    <<: *a", "YAML 1.2", "8:5"),
    ("R Yaml File: tabs", "selection:\n\tF: x", "no valid YAML", "6:1"),
    ("M: in capitals", "selection:\n    F|Contains: x", "unknown modifier 'Contains'", "6:5"),
    ("M: none after the pipe", "selection:\n    F|: x", "unknown modifier ''", "6:5"),
    ("M gt|lt", "selection:\n    F|gt|lt: 5", "only one of lt, lte, gt and gte", "6:14"),
    ("M gt: a word", "selection:\n    F|gt: 1_000", "need a number", "6:11"),
    ("M gt: null", "selection:\n    F|gt: ~", "need a number", ""),
    ("M gt: a boolean", "selection:\n    F|gt: true", "need a number", ""),
    ("M gt: after contains", "selection:\n    F|contains|gt: 5", "need a number", ""),
    ("M contains: after gt", "selection:\n    F|gt|contains: 5", "needs a text", ""),
    ("M hour|day", "selection:\n    F|hour|day: 5", "day can't follow hour", "6:17"),
    ("M hour: 0 to 23", "selection:\n    F|hour: 24", "from 0 to 23", "6:13"),
    ("M minute: 0 to 59", "selection:\n    F|minute: [5, 60]", "from 0 to 59", "6:19"),
    ("M month: 1 to 12", "selection:\n    F|month: 0", "from 1 to 12", ""),
    ("M exists: one value", "selection:\n    F|exists: [true, false]", "one value", "6:5"),
    ("M exists: alone", "selection:\n    F|exists|contains: true", "needs a text", ""),
    ("M re: not of null", "selection:\n    F|re: ~", "must be a text", ""),
    ("M re: after cased", "selection:\n    F|cased|re: x", "re must be the first", ""),
    ("M i: before re", "selection:\n    F|i|re: x", "re must be the first", ""),
    ("M cidr: then contains", "selection:\n    F|cidr|contains: 10.0.0.0/8", "needs a text", ""),
    ("M cidr: after contains", "selection:\n    F|contains|cidr: 10.0.0.0/8", "cidr must be the first", ""),
    ("M wide|base64|wide", "selection:\n    F|wide|base64|wide: x", "can't follow another encoding", ""),
    ("M contains: null", "selection:\n    F|contains: ~", "needs a text", ""),
    ("M startswith: of a keyword", "selection:\n    '|startswith': x", "needs a field", ""),
    ("M cidr: of a keyword", "selection:\n    '|cidr': 10.0.0.0/8", "a keyword must be", ""),
    ("M fieldref: of a keyword", "selection:\n    '|fieldref': F", "a keyword must be", ""),
]


@pytest.mark.parametrize(
    ("section", "detection", "reason", "place"),
    REJECTED,
    ids=[f"{place}: {one[0]}" for place, one in enumerate(REJECTED)],
)
def test_rule_that_cannot_be_is_named_with_its_place(section: str, detection: str, reason: str, place: str) -> None:
    """With line and column; nothing that could never match is taken in silence."""
    text = rejection(detection)
    assert reason in text
    assert text.startswith("test.yml:")
    if place:
        line, column = (int(part) for part in text.split(":")[1:3])
        assert line >= 5
        assert column >= 5


def test_places_are_those_of_the_file() -> None:
    """R Yaml File: a rule's line in a file of several."""
    text = rule_text("selection:\n    F|gt: many")
    (rejected,) = compile_plan([indicator(text, line=101)]).not_evaluated
    assert str(rejected.place) == "test.yml:106:15"


@pytest.mark.parametrize(
    ("section", "head", "expected"),
    [
        ("R LogSource: lower case", "title: T\nlogsource:\n    product: Windows\n    service: Security\n", True),
        ("R LogSource: definition", "title: T\nlogsource:\n    product: windows\n    definition: 'x: y'\n", True),
        ("R LogSource: custom", "title: T\nlogsource:\n    product: windows\n    index: main\n", True),
        ("R LogSource: empty attributes", "title: T\nlogsource:\n    product: windows\n    service: ''\n", True),
        ("R custom fields", "title: T\nmine: [1, {a: b}]\nlogsource:\n    product: windows\n", True),
        ("R Status, Level, Date: not the hunt's", HEAD + "status: new\nlevel: 9\ndate: 31-02-2020\n", True),
        ("R Taxonomy: its own name", HEAD + "taxonomy: sigma\n", True),
        ("R Yaml File: a mark", "\ufefftitle: T\nlogsource:\n    product: windows\n", True),
        ("R LogSource: another service", "title: T\nlogsource:\n    product: windows\n    service: system\n", False),
    ],
)
def test_what_stands_beside_the_detection(section: str, head: str, expected: bool) -> None:
    """Metadata decide nothing but where to look."""
    assert fires("selection:\n    F: x", {"F": "x"}, head=head) is expected


def test_spaces_in_a_log_source_are_underscores() -> None:
    """R LogSource: "spaces are replaced by a _"."""
    head = "title: T\nlogsource:\n    category: Process Creation\n    product: windows\n"
    assert fires("selection:\n    Image: x", {"Image": "x"}, head=head, channel=SYSMON, event_id=1)


@pytest.mark.parametrize("logsource", ["{}", "{definition: x}", "{product: ''}", "{product: [windows]}", "windows"])
def test_log_source_that_says_nothing_is_named(logsource: str) -> None:
    """R LogSource: at least one attribute."""
    assert rejection(ONE + "condition: a", head=f"title: T\nlogsource: {logsource}\n").startswith("test.yml:2:")


def test_other_taxonomies_are_named() -> None:
    """R Taxonomy: "must be handled by the used tool": its field names would be in no event."""
    assert "taxonomy 'ecs' is not known" in rejection("selection:\n    F: x", head=HEAD + "taxonomy: ecs\n")


@pytest.mark.parametrize(("name", "value"), [("md5", "0A"), ("sha1", "0b"), ("sha256", "0C"), ("imphash", "0D")])
def test_hashes_are_fields_of_their_own(name: str, value: str) -> None:
    """T Process Creation Events: Sysmon writes them as one list, `Hashes`."""
    head = "title: T\nlogsource:\n    category: process_creation\n    product: windows\n"
    event = {"Hashes": "SHA1=0B,MD5=0A,SHA256=0C,IMPHASH=0D"}
    for text, expected in ((value, True), ("0E", False)):
        detection = f"selection:\n    {name}: {text}"
        assert fires(detection, event, head=head, channel=SYSMON, event_id=1) is expected
    assert fires(f"selection:\n    {name}: 0E", {name: "0e"}, head=head, channel=SYSMON, event_id=1)


@pytest.mark.parametrize("modifiers", ["expand|cidr", "expand|re", "all|expand|cidr"])
def test_placeholders_of_patterns_and_networks(modifiers: str) -> None:
    """R Placeholders, M: "applied in the given order"."""
    detection = f"selection:\n    F|{modifiers}: ['%nets%']"
    values = {"nets": ["10.0.0.0/8"] if "cidr" in modifiers else ["10.1.1.1"]}
    assert fires(detection, {"F": "10.1.1.1"}, placeholders=values)
    assert not fires(detection, {"F": "11.1.1.1"}, placeholders=values)


# ----------------------------------------------------------------------------------------------------- filters

RULE = "title: R\nname: whoami\nlogsource:\n    product: windows\n    service: security\n" + rule_text(
    "selection:\n    F: x", head=""
)


def filter_text(rules: str, *, logsource: str = "{product: windows}", condition: str = "selection") -> str:
    return (
        f"title: Hide\nlogsource: {logsource}\nfilter:\n    rules: {rules}\n    selection:\n        User: eda\n"
        f"    other:\n        G: y\n    condition: {condition}\n"
    )


@pytest.mark.parametrize(
    ("section", "text", "expected"),
    [
        ("F Relative rules: by name", filter_text("[whoami]"), True),
        ("F Relative rules: by id", filter_text("[rule]"), True),
        ("F Relative rules: one word", filter_text("rule"), True),
        ("F Relative rules: another", filter_text("[other]"), False),
        ("F silent: any", filter_text("any"), True),
        ("F silent: a list of any", filter_text("[Any]"), True),
        ("F Log source: as wide", filter_text("any", logsource="{product: windows, service: security}"), True),
        ("F Log source: narrower", filter_text("any", logsource="{category: process_creation}"), False),
        ("F Log source: another", filter_text("[rule]", logsource="{product: linux}"), False),
        ("F filter condition: and", filter_text("any", condition="selection and other"), False),
        ("F filter condition: or", filter_text("any", condition="selection or other"), True),
        ("F filter condition: and not", filter_text("any", condition="selection and not other"), True),
        ("F silent: joined as tools want it", filter_text("any", condition="not selection and not other"), True),
        ("F filter condition: all of them", filter_text("any", condition="all of them"), False),
    ],
)
def test_filter_hides_what_it_describes(section: str, text: str, expected: bool) -> None:
    """In the events of the rules that it names, of its log source."""
    plan = compile_plan([indicator(RULE), indicator(text, identifier="filter")])
    assert not plan.not_evaluated, plan.not_evaluated
    given = hunt_segment(plan, [batch([{"F": "x", "User": "eda"}])]).sightings
    assert [one.hidden_by for one in apply_filters(plan, given)] == ["filter" if expected else None]


@pytest.mark.parametrize(
    ("section", "text", "reason"),
    [
        ("F Relative rules: at least one", filter_text("[]"), "names no rules"),
        ("F Relative rules: at least one", filter_text("~"), "names no rules"),
        ("F Relative rules: words", filter_text("[{a: b}]"), "list of words"),
        ("F filter condition", filter_text("any", condition="[]"), "empty"),
        ("F Log source", filter_text("any", logsource="{}"), "log source"),
        ("F Taxonomy", filter_text("any") + "taxonomy: ecs\n", "taxonomy"),
    ],
)
def test_filter_that_cannot_be_is_named(section: str, text: str, reason: str) -> None:
    """A filter of no rules hides nothing: an empty list is not "any"."""
    (rejected,) = compile_plan([indicator(RULE), indicator(text, identifier="filter")]).not_evaluated
    assert reason in rejected.reason


# ------------------------------------------------------------------------------------------- the naive evaluator


def differences(seed: int, rules: int = 25, events: int = 25) -> list[tuple[str, dict[str, Any]]]:
    """Return the random rules, with an event, on which the engine and the naive reading of the standard differ."""
    random = Random(seed)  # noqa: S311
    made = [RandomRule(random) for _ in range(rules)]
    texts = [rule.text for rule in made]
    rows = [random_event(random) for _ in range(events)]
    plan = compile_plan([indicator(text, identifier=str(place)) for place, text in enumerate(texts)])
    rejected = {int(one.indicator) for one in plan.not_evaluated}
    assert len(rejected) <= rules / 2
    given = {(int(one.indicator), one.record) for one in Hunter(plan).hunt([batch(rows)]).sightings}
    found = []
    for place, rule in enumerate(made):
        for record, row in enumerate(rows):
            facts = {"channel": "Security", "event_id": str(row["@event_id"]), "host": "PC1"}
            if place not in rejected and matches(rule, row, facts) is not ((place, record) in given):
                found.append((texts[place], row))
    return found


@pytest.mark.parametrize("seed", range(6))
def test_engine_agrees_with_a_naive_reading_of_the_standard(seed: int) -> None:
    """Random rules as text, with modifiers, escapes and conditions, on events with odd cells."""
    assert differences(seed) == []


def test_engine_agrees_where_there_are_many_values() -> None:
    """Many distinct texts are searched together; few rules leave most of them without a hit."""
    assert differences(7, rules=3, events=400) + differences(8, rules=1, events=400) == []


@pytest.mark.long
def test_engine_agrees_with_a_naive_reading_of_the_standard_at_length() -> None:
    """The same, many more times."""
    assert [found for seed in range(100, 200) for found in differences(seed)] == []


def test_rule_without_evidence_of_its_kind_is_in_the_plan() -> None:
    """R LogSource: compiled, and known to have no reader."""
    plan = plan_of("selection:\n    F: x", head="title: T\nlogsource:\n    product: qflow\n")
    assert [rule.formats for rule in plan.rules] == [()]
