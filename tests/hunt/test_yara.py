"""YARA rules: compiled or named with their place, hunted for over long values and over files, within limits."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

import orjson
import pytest

from aleat.errors import Issue, Place
from aleat.evidence.readers.file import FILE_BYTES
from aleat.hunt import Indicator, Plan, compile_plan, hunt_paths, indicators_of_items
from aleat.hunt.explain import explain
from aleat.hunt.yara import ScanStoppedError, YaraScanner, compile_rules
from aleat.hunt.yara_hunt import (
    VALUE_BYTES,
    VALUE_CHARACTERS,
    FileContent,
    ScanGap,
    YaraHunter,
    YaraSet,
    file_variables,
    gap_issues,
)
from aleat.knowledge import UNDATED, KnowledgeItem, read_knowledge
from aleat.stix import content_id, make_object
from tests.hunt.batches import make_batch

MARKER = 'rule Marker { meta: score = 85 strings: $a = "MARKER-ONE" ascii wide condition: $a }'
PADDING = "x" * VALUE_CHARACTERS


def indicator(pattern: str, name: str = "Marker", line: int | None = 10) -> Indicator:
    """An indicator with this pattern, from line 10 of a file."""
    return Indicator(
        id=name,
        ref=f"indicator--{name}",
        digest=sha256(f"{name} {pattern}".encode("utf-8", "surrogatepass")).hexdigest(),
        pattern_type="yara",
        pattern=pattern,
        title=name,
        source="a.yar",
        place=Place("a.yar", line),
    )


def plan_of(folder: Path, text: str) -> Plan:
    """The plan of a rule file."""
    folder.mkdir(exist_ok=True)
    (folder / "rules.yar").write_text(text)
    items = [item for item in read_knowledge([folder]) if isinstance(item, KnowledgeItem)]
    return compile_plan(list(indicators_of_items(items, "rules.yar")))


def hunter(*patterns: str) -> YaraHunter:
    """A hunter for rules named after their order."""
    found = [indicator(pattern, f"rule{number}") for number, pattern in enumerate(patterns)]
    return YaraHunter(YaraSet(found, compile_rules(found).data))


def seen(found: Iterable[object]) -> list[str]:
    """The indicators of sightings."""
    return [item.indicator for item in found]  # type: ignore[attr-defined]


# -------------------------------------------------------------------------------------------------- compiling


@pytest.mark.parametrize(
    ("pattern", "place", "reason"),
    [
        ("rule Marker {\n  condition: $nope\n}", "a.yar:11:14", "unknown pattern `$nope`"),
        ("rule Marker { condition: nope }", "a.yar:10:26", "unknown identifier `nope`"),
        ("rule Marker { strings: $a = /(/ condition: $a }", "a.yar:10:30", "invalid regular expression"),
        ("rule Marker { condition: " + "(" * 5000 + "true" + ")" * 5000 + " }", "a.yar:10:", "nesting limit"),
        ('import "nowhere"\nrule Marker { condition: nowhere.x }', "a.yar:10", "unknown module `nowhere`"),
        ('include "/etc/passwd"', "a.yar:10", "include"),
        ('import "time"\nrule Marker { condition: time.now() > 0 }', "a.yar:10", "module time can't be used"),
        ('import "vt"\nrule Marker { condition: vt.net.port == 1 }', "a.yar:10", "module vt can't be used"),
        ("private rule base { condition: $x }\nrule Marker { condition: base }", "a.yar:10", "in the rule base"),
        ("private rule Marker { condition: true }", "a.yar:10", "no rule that could be reported"),
        ('rule Marker { meta: a = "\ud800" condition: true }', "a.yar:10", "surrogates"),
    ],
)
def test_what_does_not_compile_is_named_with_its_place(pattern: str, place: str, reason: str) -> None:
    """File, line and column where the fault is in the rule itself; the other rules go on."""
    compiled = compile_rules([indicator(pattern), indicator(MARKER, "good")])
    assert [(item.id, partial) for item, _, partial in compiled.rejected] == [("Marker", False)]
    error = compiled.rejected[0][1]
    assert str(error.place).startswith(place)
    assert reason in error.reason
    assert [match.rule for match in YaraScanner(compiled.data).scan(b"MARKER-ONE", seconds=5)] == ["Marker"]


def test_every_pattern_is_told_apart_that_needs_a_module_that_cannot_work() -> None:
    """Also beside rules that work, in a pattern that has another fault, and among those that only say its name."""
    unfed = 'import "time"\nrule Now { condition: time.now() > 0 }\n'
    patterns = [
        unfed,
        MARKER,
        unfed + "rule Two { condition: true }",
        unfed + "rule Broken { condition: $x }",
        'import "pe"\nrule Timely { meta: a = "time vt" condition: pe.is_pe }',
        'import "vt"\nrule Seen { condition: vt.net.port == 1 }',
    ]
    compiled = compile_rules([indicator(pattern, f"rule{number}") for number, pattern in enumerate(patterns)])
    partial = {item.id: also_there for item, _, also_there in compiled.rejected}
    assert partial == {"rule0": False, "rule2": True, "rule3": False, "rule5": False}
    reasons = {item.id: error.reason for item, error, _ in compiled.rejected}
    assert all("module time" in reasons[name] for name in ("rule0", "rule2"))
    assert "module vt" in reasons["rule5"]


def test_a_plan_names_what_it_cannot_evaluate_and_counts_the_rest(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, f"{MARKER}\nrule Broken {{\n  condition: $x\n}}\n")
    assert [item.id for item in plan.yara] == ["Marker"]
    (row,) = plan.not_evaluated
    assert (row.indicator, row.place.line, row.place.column, row.partial) == ("Broken", 3, 14, False)


def test_a_pattern_of_several_rules_is_evaluated_in_part_where_one_is_broken() -> None:
    """Other producers put whole files into one STIX indicator."""
    pattern = "rule one { condition: true }\nrule two { condition: nope }"
    compiled = compile_rules([indicator(pattern, line=None)])
    assert [(str(error.place), partial) for _, error, partial in compiled.rejected] == [("a.yar", True)]
    assert "line 2, column 23" in compiled.rejected[0][1].reason


def test_names_do_not_collide_and_a_global_rule_speaks_for_its_own_file(tmp_path: Path) -> None:
    """Two files each define `base`; the global rule of one that is never true silences only that one."""
    (tmp_path / "a.yar").write_text("global private rule never { condition: false }\nrule base { condition: true }")
    (tmp_path / "b.yar").write_text("rule base { condition: true }\nrule upper { condition: base }")
    items = [item for item in read_knowledge([tmp_path]) if isinstance(item, KnowledgeItem)]
    plan = compile_plan(list(indicators_of_items(items, "x")))
    found = YaraHunter(YaraSet(plan.yara, plan.yara_rules)).hunt(
        [make_batch([{"name": "a"}], format="file", channel="")], FileContent("a", b"text")
    )
    assert sorted(one.ref for one in found) == sorted(item.object.id for item in items[1:])


def test_a_stix_indicator_with_a_yara_pattern_is_hunted_for() -> None:
    item = make_object(
        "indicator",
        content_id("indicator", ["test", MARKER]),
        created=UNDATED,
        name="Mine",
        pattern=MARKER,
        pattern_type="yara",
        valid_from=UNDATED,
    )
    (found,) = indicators_of_items([KnowledgeItem(object=item, place=Place("bundle.json", offset=7))], "ally")
    assert (found.pattern_type, found.id, found.level) == ("yara", item.id, "medium")
    plan = compile_plan([found])
    assert (len(plan.yara), plan.not_evaluated) == (1, ())


def test_the_librarys_version_is_part_of_what_a_rule_is() -> None:
    """Another version can find something else, so that its cells of the ledger are others."""
    given = indicator(MARKER)
    assert compile_plan([given]).yara[0].digest != given.digest


def test_a_cached_plan_finds_the_same_and_a_damaged_set_is_compiled_anew(tmp_path: Path) -> None:
    first = compile_plan([indicator(MARKER)], cache=tmp_path)
    again = compile_plan([indicator(MARKER)], cache=tmp_path)
    assert again == first
    damaged = first.yara_rules[:-1] + bytes([first.yara_rules[-1] ^ 1])
    with pytest.raises(ValueError, match="damaged"):
        YaraScanner(damaged)
    rules = YaraSet(first.yara, damaged)
    assert [match.rule for match in rules.scanner.scan(b"MARKER-ONE", seconds=5)] == ["Marker"]


# ----------------------------------------------------------------------------------------------------- values


def test_long_values_are_looked_into_and_a_sighting_says_where() -> None:
    """The field, the string's name, its offset in the value, and what stands there."""
    text = f"{PADDING} MARKER-ONE and MARKER-ONE"
    batch = make_batch([{"ScriptBlockText": text, "Path": "MARKER-ONE"}, {"ScriptBlockText": "short MARKER-ONE"}])
    (found,) = hunter(MARKER.replace("Marker", "rule0")).hunt([batch])
    assert (found.indicator, found.record) == ("rule0", 0)
    assert found.matched == (
        ("ScriptBlockText", f"$a at {VALUE_CHARACTERS + 1}: MARKER-ONE"),
        ("ScriptBlockText", f"$a at {VALUE_CHARACTERS + 16}: MARKER-ONE"),
    )


def test_each_record_of_a_value_and_each_member_of_a_list_counts() -> None:
    text = f"MARKER-ONE {PADDING}"
    rows = [{"Message": text}, {"Message": PADDING}, {"Message": text}, {"List": ["a", text]}, {"Message": None}]
    assert [one.record for one in hunter(MARKER).hunt([make_batch(rows)])] == [0, 2, 3]


def test_a_value_just_under_the_threshold_is_not_looked_into() -> None:
    for length, found in ((VALUE_CHARACTERS - 1, 0), (VALUE_CHARACTERS, 1)):
        batch = make_batch([{"Message": "MARKER-ONE".rjust(length)}])
        assert len(list(hunter(MARKER).hunt([batch]))) == found


def test_a_value_that_is_too_large_is_a_gap_with_its_first_record_and_costs_nothing_else() -> None:
    rows = [{"Message": PADDING}, {"Message": "M" * (VALUE_BYTES + 1)}, {"Message": f"MARKER-ONE {PADDING}"}]
    hunting = hunter(MARKER)
    assert [one.record for one in hunting.hunt([make_batch(rows)])] == [2]
    gaps = hunting.take_gaps()
    assert gaps == (ScanGap("yara-size", "Message", 1),)
    (issue,) = gap_issues(gaps, "a.evtx", 100)
    assert (issue.code, issue.records) == ("yara-size", 1)
    assert "record 101" in issue.reason
    assert "value_bytes" in issue.reason
    assert hunting.take_gaps() == ()


def test_a_scan_that_takes_too_long_is_stopped() -> None:
    """The condition would run for years; it ends within two ticks of the library's clock."""
    compiled = compile_rules([indicator("rule a { condition: for all i in (0..1000000000000) : (i >= 0) }")])
    with pytest.raises(ScanStoppedError) as stopped:
        YaraScanner(compiled.data).scan(b"abc", seconds=0)
    assert stopped.value.timed_out


class _Slow:
    """A set whose every scan is stopped."""

    def __init__(self) -> None:
        self.indicators = [indicator(MARKER)]
        self.compiled = b"made"
        self.scanner = self
        self.scans = 0

    def scan(self, data: bytes, **_: object) -> tuple[()]:
        self.scans += 1
        raise ScanStoppedError("slow", timed_out=True)


def test_stopped_scans_are_gaps_and_bounded_in_number() -> None:
    """After the eighth in one batch the rest is a gap without another scan, so that time stays bounded."""
    slow = _Slow()
    hunting = YaraHunter(slow)  # type: ignore[arg-type]
    rows = [{"Message": f"{number} {PADDING}"} for number in range(20)]
    assert list(hunting.hunt([make_batch(rows)])) == []
    gaps = hunting.take_gaps()
    assert (slow.scans, len(gaps), {gap.code for gap in gaps}) == (8, 20, {"yara-time"})
    (issue,) = gap_issues(gaps, "a.evtx")
    assert issue.records == 20
    assert list(hunting.hunt([make_batch([{"name": "a"}], format="file")], FileContent("a", b"x"))) == []
    assert hunting.take_gaps() == (ScanGap("yara-time", "", 0),)


# ------------------------------------------------------------------------------------------------------ files


def test_a_file_gives_its_name_path_extension_and_type_to_rules() -> None:
    """LOKI's and THOR's external variables; the owner is not known of evidence."""
    assert file_variables("case/disk.zip!Temp/Run.EXE", "Run.EXE", b"MZ\x90") == {
        "filename": "Run.EXE",
        "filepath": "case/disk.zip/Temp",
        "extension": ".exe",
        "filetype": "EXE",
    }
    rules = [
        'rule rule0 { condition: filename == "Run.EXE" and extension == ".exe" }',
        'rule rule1 { condition: filepath endswith "/Temp" and filetype == "EXE" }',
        'rule rule2 { condition: owner == "" and filename matches /run/i }',
        'rule rule3 { condition: filename == "" }',
    ]
    batch = make_batch([{"name": "Run.EXE"}], format="file", channel="")
    found = list(hunter(*rules).hunt([batch], FileContent("case/disk.zip!Temp/Run.EXE", b"MZ\x90")))
    assert sorted(seen(found)) == ["rule0", "rule1", "rule2"]
    values = make_batch([{"Message": PADDING}])
    assert seen(hunter(*rules).hunt([values])) == ["rule3"], "of an event's value they are empty"


def test_what_matched_in_a_file_is_told_as_text_or_in_hexadecimal() -> None:
    rules = ['rule rule0 { strings: $t = "MARKER" wide $h = { 4D 5A 90 00 } condition: all of them }']
    data = b"MZ\x90\x00 " + "MARKER".encode("utf-16-le")
    (found,) = hunter(*rules).hunt([make_batch([{"name": "a"}], format="file")], FileContent("a", data))
    assert found.matched == (("content", "$h at 0: { 4d 5a 90 00 }"), ("content", "$t at 5: MARKER"))


def write_files(folder: Path) -> Path:
    """Inert files of several kinds, a zip among them, and a log of one event with a script block."""
    (folder / "sub").mkdir(parents=True)
    (folder / "page.php").write_text("<?php // MARKER-ONE ?>")
    (folder / "sub" / "other.bin").write_bytes(b"\0\1\2 nothing")
    with zipfile.ZipFile(folder / "pack.zip", "w") as archive:
        archive.writestr("in/script.ps1", "Write-Host MARKER-ONE")
    event = {
        "Event": {
            "System": {
                "Provider": {"#attributes": {"Name": "Microsoft-Windows-PowerShell"}},
                "EventID": 4104,
                "TimeCreated": {"#attributes": {"SystemTime": "2024-05-01T10:00:00.000000Z"}},
                "EventRecordID": 7,
                "Channel": "Microsoft-Windows-PowerShell/Operational",
                "Computer": "host.example",
            },
            "EventData": {"ScriptBlockText": f"Write-Host {PADDING} MARKER-ONE"},
        }
    }
    (folder / "events.jsonl").write_bytes(orjson.dumps(event) + b"\n")
    return folder


def test_a_hunt_over_a_folder_finds_files_members_and_script_blocks(tmp_path: Path) -> None:
    """A sighting in a file is record 0 of it, with its hashes; it has neither host nor time."""
    folder = write_files(tmp_path / "evidence")
    result = hunt_paths([folder], plan_of(tmp_path / "rules", MARKER))
    found = {Path(one.evidence).name: one for one in result.sightings}
    assert sorted(found) == ["events.jsonl", "page.php", "pack.zip!in/script.ps1".rpartition("/")[2]]
    page = found["page.php"]
    assert (page.record, page.offset, page.time, page.host, page.level) == (0, 0, None, "", "high")
    assert page.fields["name"] == "page.php"
    assert page.fields["size"] == 22
    assert len(page.fields["sha256"]) == 64
    assert found["events.jsonl"].host == "host.example"
    assert result.rules.fired == result.rules.evaluated == 1
    assert {issue.code for issue in result.issues} == {"taken-as-file"}
    assert result.events == 4
    logs = {row.format: row.rules for row in result.coverage.logs}
    assert logs["file"] == 1


def test_any_number_of_workers_finds_the_same(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "evidence")
    plan = plan_of(tmp_path / "rules", MARKER)
    one, two = (hunt_paths([folder], plan, workers=workers) for workers in (1, 2))
    assert one.sightings == two.sightings
    assert one.issues == two.issues


def test_a_file_over_the_limit_is_named(tmp_path: Path) -> None:
    with (tmp_path / "large.bin").open("wb") as file:
        file.truncate(FILE_BYTES + 1)
    result = hunt_paths([tmp_path], plan_of(tmp_path / "rules", MARKER))
    (issue,) = [issue for issue in result.issues if issue.code == "limit"]
    assert "large.bin" in issue.place.path
    assert "file_bytes" in issue.reason


def test_without_such_rules_a_file_that_is_no_log_is_no_evidence(tmp_path: Path) -> None:
    """It is told as it always was, and nothing is hashed."""
    (tmp_path / "page.php").write_text("<?php ?>")
    result = hunt_paths([tmp_path], Plan())
    assert (result.events, [issue.code for issue in result.issues]) == (0, ["no-reader"])


# ---------------------------------------------------------------------------------------------------- explain


def test_an_explanation_tells_each_string_and_the_values_that_were_long_enough() -> None:
    text = 'rule Marker { strings: $a = "MARKER-ONE" $b = "MARKER-TWO" condition: all of them }'
    plan = compile_plan([indicator(text)])
    batch = make_batch([{"Message": f"{PADDING} MARKER-ONE", "Short": "MARKER-TWO"}])
    told = explain(plan, "Marker", batch, 0)
    assert (told.kind, told.matches) == ("yara", False)
    (variant,) = told.variants
    assert (variant.name, variant.holds, variant.tree.kind) == ("Message", False, "strings")
    first, second = variant.tree.children
    assert first.atom is not None
    assert second.atom is not None
    assert (first.atom.subject, first.holds, first.atom.seen[0].text) == ("$a", True, "at 129: MARKER-ONE")
    assert (second.atom.subject, second.holds, second.atom.seen) == ("$b", False, ())
    assert explain(plan, "Marker", make_batch([{"Short": "MARKER-TWO"}]), 0).variants == ()


def test_an_explanation_of_a_file_looks_into_its_bytes() -> None:
    plan = compile_plan([indicator(MARKER)])
    batch = make_batch([{"name": "a.txt"}], format="file", channel="", evidence="a.txt")
    told = explain(plan, "Marker", batch, 0, content=FileContent("a.txt", b"MARKER-ONE"))
    assert told.matches
    assert [variant.name for variant in told.variants] == ["content"]


# ------------------------------------------------------------------------------------------------- real rules


@pytest.mark.long
@pytest.mark.data
def test_every_rule_of_a_public_collection_is_compiled(test_data: Path) -> None:
    """3,587 rules of signature-base, those with external variables and modules among them, each alone: all compile."""
    items = list(read_knowledge([test_data / "yara"]))
    known = [item for item in items if isinstance(item, KnowledgeItem)]
    assert {item.code for item in items if isinstance(item, Issue)} <= {"not-knowledge", "not-a-rule"}
    plan = compile_plan(list(indicators_of_items(known, "signature-base")))
    assert (len(plan.yara), plan.not_evaluated) == (3587, ())
    scanner = YaraScanner(plan.yara_rules)
    assert scanner.scan(b"An inert text that no rule describes. " * 10, seconds=60) == ()
