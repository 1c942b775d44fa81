"""YARA files: taken apart without losing a line, each rule an indicator that stands alone, faults named."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import yara_x
from hypothesis import given
from hypothesis import strategies as st

from aleat.errors import Issue
from aleat.knowledge import KnowledgeItem, Limits, read_knowledge
from aleat.knowledge.readers.yara import level_of_score
from aleat.knowledge.yara_rules import split_rules
from aleat.stix.extensions import read_extension

PACK = """\
/* A pack of inert rules: rule not_this_one { condition: true } */
import "pe"
import "hash"  // rule nor_this { condition: true }

private rule helper
{
  strings:
    $m = "MARKER }"            // a brace in a string
    $r = /ab\\/c[{]"\\}/ nocase  // and in a regular expression
    $h = { 4D [2-4] (41 | 42) /* a comment */ 5A }
  condition:
    any of them
}

global private rule small { condition: filesize < 1MB }

rule Marker_One : inert sample {
  meta:
    description = "An inert \\"marker\\""
    author = "A. Analyst"
    reference = "https://example.org/a https://example.org/b"
    date = "2024-03-01"
    modified = "2024-05-02"
    score = 85
    mitre_attack = "T1059.001, T1105"
    id = "0c2f5d4a-5c9d-4a55-9a3c-0b2a4d4b6f11"
  condition:
    helper and pe.number_of_sections == 0
}

    rule Marker_Two { strings: $helper = "x" condition: $helper or any of (hel*) }
"""


def read(path: Path, limits: Limits | None = None) -> tuple[list[KnowledgeItem], list[Issue]]:
    """Items and issues at a path."""
    found = list(read_knowledge([path], limits=limits))
    return (
        [item for item in found if isinstance(item, KnowledgeItem)],
        [item for item in found if isinstance(item, Issue)],
    )


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """The pack as a file."""
    (tmp_path / "pack.yar").write_text(PACK)
    return tmp_path / "pack.yar"


def test_each_rule_that_is_not_private_is_an_indicator_with_its_line(pack: Path) -> None:
    items, issues = read(pack)
    assert [(item.object.name, item.place.line) for item in items] == [("Marker_One", 17), ("Marker_Two", 31)]
    assert {(item.object.type, item.object.pattern_type) for item in items} == {("indicator", "yara")}
    assert issues == []


def test_a_pattern_holds_what_its_rule_needs_made_private_and_nothing_else(pack: Path) -> None:
    """The imports that are used, the rules that it names, the file's global rules; so it stands alone."""
    one, two = (str(item.object.pattern) for item in read(pack)[0])
    assert one.startswith('import "pe"\nprivate rule helper\n{')
    assert 'import "hash"' not in one
    assert "global private rule small" in one
    assert "Marker_Two" not in one
    assert "private rule helper" in two, "any of (hel*) names it"
    assert "import" not in two
    assert two.endswith('    rule Marker_Two { strings: $helper = "x" condition: $helper or any of (hel*) }')


def test_a_rule_that_another_needs_is_made_private_there(tmp_path: Path) -> None:
    """In its own indicator it is reported, in the other's it is not."""
    (tmp_path / "a.yar").write_text("rule base { condition: true }\nrule upper { condition: base }\n")
    base, upper = (item.object.pattern for item in read(tmp_path)[0])
    assert base == "rule base { condition: true }"
    assert upper == "private rule base { condition: true }\nrule upper { condition: base }"


def test_meta_becomes_what_a_list_of_rules_shows(pack: Path) -> None:
    found = read(pack)[0][0].object
    rule = read_extension(found, "rule")
    assert rule is not None
    assert rule["author"] == "A. Analyst"
    assert rule["level"] == "high"
    assert rule["rule_id"] == rule["rule_name"] == "Marker_One"
    assert rule["tags"] == ["inert", "sample", "attack.t1059.001", "attack.t1105"]
    assert found.properties()["description"] == 'An inert "marker"'
    assert (found.created[:10], found.modified[:10]) == ("2024-03-01", "2024-05-02")
    references = found.properties()["external_references"]
    assert references[0] == {"source_name": "yara", "external_id": "0c2f5d4a-5c9d-4a55-9a3c-0b2a4d4b6f11"}
    assert [row["url"] for row in references[1:]] == ["https://example.org/a", "https://example.org/b"]


@pytest.mark.parametrize(
    ("meta", "level"),
    [
        ("score = 30", "informational"),
        ("score = 40", "low"),
        ('score = "60"', "medium"),
        ("score = 80", "high"),
        ('severity = "Critical"', "critical"),
        ("severity = 100", "high"),
        ("score = true", None),
        ("score = 99999999999999999999999999", None),
        ("", None),
    ],
)
def test_a_score_or_a_word_is_a_level(tmp_path: Path, meta: str, level: str | None) -> None:
    (tmp_path / "a.yar").write_text(f"rule a {{ meta: x = 1 {meta} condition: true }}")
    rule = read_extension(read(tmp_path)[0][0].object, "rule")
    assert rule is not None
    assert rule.get("level") == level


def test_levels_rise_with_scores() -> None:
    assert [level_of_score(score) for score in (-5, 0, 39, 40, 59, 60, 79, 80, 1000)] == [
        *["informational"] * 3,
        *["low"] * 2,
        *["medium"] * 2,
        *["high"] * 2,
    ]


def test_the_same_rule_is_the_same_object_wherever_it_stands(tmp_path: Path) -> None:
    """Its id follows from its pattern: another line, another file, another neighbour change nothing."""
    (tmp_path / "a.yar").write_text("rule a { condition: true }\n")
    (tmp_path / "b.yara").write_text("// moved\n\nrule other { condition: false }\nrule a { condition: true }\n")
    items, _ = read(tmp_path)
    assert [item.place.line for item in items] == [1, 3, 4]
    assert items[0].object.id == items[2].object.id != items[1].object.id


@pytest.mark.parametrize("name", ["rules.yar", "rules.YARA", "rules.txt", "rules", "rules.rule"])
def test_rules_are_known_by_what_they_are(tmp_path: Path, name: str) -> None:
    text = "// a comment first\nprivate rule a { condition: true }\nrule b : tag { condition: a }\n"
    (tmp_path / name).write_text(text)
    assert [item.object.name for item in read(tmp_path)[0]] == ["b"]


@pytest.mark.parametrize(
    ("text", "told", "left"),
    [
        ('include "/etc/passwd"\nrule ok { condition: true }', (1, "leads out of the collection"), 1),
        ('include "../../x.yar"\nrule ok { condition: true }', (1, "leads out of the collection"), 1),
        ('include "none.yar"\nrule ok { condition: true }', (1, "isn't in the collection"), 1),
        ("hello\nrule ok { condition: true }", (1, "no rule"), 1),
        ("rule ok { condition: true }\nfoo bar\nbaz\nrule ok2 { condition: true }", (2, r"lines 2 to 3"), 2),
        ("rule { condition: true }\nrule ok { condition: true }", (1, "name is missing"), 1),
        ("rule 1a { condition: true }\nrule ok { condition: true }", (1, "name is missing"), 1),
        ("rule open { condition: true\nrule ok { condition: true }", (1, "open is not closed"), 1),
        ("rule last { condition: true", (1, "last is not closed"), 0),
        ("rule bare\nrule ok { condition: true }", (1, "bare has no body"), 1),
        ("import\nrule ok { condition: true }", (1, "quotation marks"), 1),
        ("nothing of a rule", (1, "no rule"), 0),
    ],
)
def test_a_fault_is_named_with_its_line_and_costs_only_itself(
    tmp_path: Path, text: str, told: tuple[int, str], left: int
) -> None:
    (tmp_path / "a.yar").write_text(text)
    items, issues = read(tmp_path)
    assert len(items) == left
    assert (issues[0].code, issues[0].place.line) == ("rule-syntax", told[0])
    assert told[1] in issues[0].reason
    assert issues[0].advice


def test_a_private_rule_that_nobody_needs_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.yar").write_text("private rule lonely { condition: true }\nrule a { condition: true }\n")
    items, issues = read(tmp_path)
    assert [item.object.name for item in items] == ["a"]
    assert [(issue.code, issue.place.line) for issue in issues] == [("private-rule", 1)]


def test_a_file_of_comments_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.yar").write_text("/* rule a { condition: true } */\n")
    items, issues = read(tmp_path)
    assert ([issue.code for issue in issues], items) == (["not-a-rule"], [])


@pytest.mark.parametrize(
    ("limits", "text", "name"),
    [
        (Limits(yara_bytes=10), "rule a { condition: true }", "yara_bytes"),
        (Limits(yara_rules=1), "rule a { condition: true }\nrule b { condition: true }", "yara_rules"),
        (Limits(yara_needs=1), "rule a { condition: true }\nrule b { condition: a }", "yara_needs"),
        (Limits(yara_rule_characters=20), "rule a { condition: true }", "yara_rule_characters"),
        (Limits(yara_characters=40), "rule a { condition: true }\nrule b { condition: true }", "yara_characters"),
    ],
)
def test_what_is_over_a_limit_is_told_with_the_limits_name(
    tmp_path: Path, limits: Limits, text: str, name: str
) -> None:
    (tmp_path / "a.yar").write_text(text)
    _, issues = read(tmp_path, limits)
    assert [issue.code for issue in issues] == ["limit"]
    assert f"({name})" in issues[0].reason


@pytest.mark.parametrize(
    "text",
    [
        "rule a " + "{" * 200_000,
        "rule " * 50_000,
        "/*" * 100_000,
        '"' * 100_000,
        "/ " * 100_000,
        "private " * 100_000,
        "rule a { condition: true } " * 1_000,
        "\n".join(f"rule r{n} {{ condition: any of (r*) }}" for n in range(1_100)),
    ],
    ids=["braces", "keywords", "comments", "quotes", "slashes", "modifiers", "one line", "prefixes"],
)
def test_hostile_files_take_linear_time(tmp_path: Path, text: str) -> None:
    """Each would take minutes where the work were quadratic; all of them end, and are told."""
    (tmp_path / "a.yar").write_text(text)
    items, issues = read(tmp_path)
    assert items or issues


@given(st.text(alphabet='rule privateglobal{}"/*\\\n:=$#@!a1.()x', max_size=200))
def test_any_text_is_taken_apart_without_a_fault_of_ours(text: str) -> None:
    """What is taken for a rule stands in the text as it is, from its line to its closing brace."""
    found = split_rules(text, "a.yar")
    for rule in found.rules:
        assert rule.text in text
        assert rule.text.endswith("}")
        assert text.split("\n")[rule.line - 1 :]


@pytest.mark.long
@pytest.mark.data
def test_every_rule_of_a_public_collection_is_an_indicator(test_data: Path) -> None:
    """Counted apart, by a scan of the files' lines outside comments: none is lost, none is made up."""
    items, issues = read(test_data / "yara")
    assert len(items) == len({item.object.id for item in items}) == 3587
    assert len({item.object.name for item in items}) == 3587
    assert {issue.code for issue in issues} <= {"not-knowledge", "not-a-rule"}
    for item in items:
        assert item.place.line is not None


def write_pack(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.yar"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


INCLUDING = {
    "index": 'include "./rules/main.yar"\ninclude "lib/helpers.yar"\n',
    "rules__main": 'include "..\\\\lib\\\\helpers.yar"\nrule main { condition: helper and pe.is_pe }\n',
    "lib__helpers": 'import "pe"\ninclude "deep.yar"\nprivate rule helper { condition: deep }\n',
    "lib__deep": 'rule deep { strings: $a = "M" condition: $a }\nglobal private rule small { condition: filesize<9 }\n',
}


@pytest.mark.parametrize("packed", [False, True])
def test_a_rule_stands_alone_with_what_its_file_includes(tmp_path: Path, packed: bool) -> None:
    """In a folder and in an archive alike; each rule comes in once, and compiles by itself."""
    folder = write_pack(tmp_path / "pack", **INCLUDING)
    if packed:
        with zipfile.ZipFile(tmp_path / "pack.zip", "w") as archive:
            for path in sorted(folder.rglob("*.yar")):
                archive.write(path, path.relative_to(folder).as_posix())
    items, issues = read(tmp_path / "pack.zip" if packed else folder)
    assert {issue.code for issue in issues} <= {"not-a-rule", "private-rule"}
    assert sorted(item.object.name or "" for item in items) == ["deep", "main"]
    (pattern,) = (item.object.pattern or "" for item in items if item.object.name == "main")
    assert pattern.startswith('import "pe"')
    assert [word for word in ("rule deep", "private rule helper", "rule small", "rule main") if word in pattern] == [
        "rule deep",
        "private rule helper",
        "rule small",
        "rule main",
    ]
    yara_x.compile(pattern)


def test_includes_in_a_circle_and_beyond_the_limits_are_named(tmp_path: Path) -> None:
    """And cost nothing but themselves."""
    circle = write_pack(tmp_path / "c", a='include "b.yar"\nrule a { condition: true }', b='include "a.yar"\n')
    items, issues = read(circle)
    assert [item.object.name for item in items] == ["a"]
    assert any("circle" in issue.reason for issue in issues)
    chain = {f"f{number}": f'include "f{number + 1}.yar"\nrule r{number} {{ condition: true }}' for number in range(5)}
    folder = write_pack(tmp_path / "d", **chain, f5="rule r5 { condition: true }")
    for limits, word in (
        (Limits(include_depth=2), "include_depth"),
        (Limits(includes=2), "(includes)"),
        (Limits(include_bytes=60), "include_bytes"),
        (Limits(sibling_bytes=30), "sibling_bytes"),
    ):
        items, issues = read(folder, limits)
        assert len(items) == 6
        assert any(word in issue.reason for issue in issues)
