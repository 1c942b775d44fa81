"""YARA in a workspace: files are evidence with custody, hunted in later, from the copy, or named where gone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from aleat import Workspace

MARKER = """\
rule Marker_One {
  meta:
    author = "Test Team"
    score = 80
  strings:
    $a = "MARKER-ONE"
  condition:
    $a
}
"""
OTHER = 'rule Marker_Two { strings: $a = "MARKER-TWO" condition: $a }\n'


def make(root: Path) -> Workspace:
    """An empty workspace."""
    return Workspace.init(root / "case", organisation="Team South", actor="agim", key_folder=root / "keys")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Two inert files that are no logs."""
    folder = tmp_path / "files"
    (folder / "sub").mkdir(parents=True)
    (folder / "page.php").write_text("<?php // MARKER-ONE ?>")
    (folder / "sub" / "data.bin").write_bytes(b"\0\1 MARKER-TWO")
    return folder


def rules(folder: Path, text: str, name: str = "rules.yar") -> Path:
    """A rule file."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


def found(ws: Workspace) -> list[tuple[str, str]]:
    """(rule, file) of each sighting of a hunt."""
    return sorted((one.indicator, Path(one.evidence).name) for one in ws.hunt().sightings)


def test_rules_that_come_later_are_evaluated_over_the_copy(tmp_path: Path, files: Path) -> None:
    """The files were moved away; the workspace has its own, and nothing is hunted twice."""
    with make(tmp_path) as ws:
        added = ws.add_evidence(files, copy=True)
        assert (added.sources, added.files, added.events, added.issues) == (2, 2, 2, ())
        assert ws.hunt().sightings == ()
        shutil.rmtree(files)
        ws.add_knowledge(rules(tmp_path / "rules", MARKER))
        assert found(ws) == [("Marker_One", "page.php")]
        ws.add_knowledge(rules(tmp_path / "rules", OTHER, "other.yar"))
        assert found(ws) == [("Marker_One", "page.php"), ("Marker_Two", "data.bin")]
        again = ws.hunt()
        assert (again.segments, len(again.sightings), again.issues) == (0, 2, ())
        assert ws.verify().faults == ()


def test_a_file_that_is_gone_or_changed_is_named_until_it_is_back(tmp_path: Path, files: Path) -> None:
    """What was found in it stays; its record is hunted in all the same."""
    kept = (files / "page.php").read_bytes()
    with make(tmp_path) as ws:
        ws.add_evidence(files)
        ws.add_knowledge(rules(tmp_path / "rules", MARKER))
        (files / "page.php").unlink()
        result = ws.hunt()
        assert [(issue.code, Path(issue.place.path).name) for issue in result.issues] == [("absent", "page.php")]
        (files / "page.php").write_text("something else")
        result = ws.hunt()
        assert [issue.code for issue in result.issues] == ["changed"]
        (files / "page.php").write_bytes(kept)
        assert found(ws) == [("Marker_One", "page.php")]
        shutil.rmtree(files)
        result = ws.hunt()
        assert [one.indicator for one in result.sightings] == ["Marker_One"]
        assert (result.segments, result.issues) == (0, ())


def test_lists_and_patterns_find_a_file_by_hash_and_name(tmp_path: Path, files: Path) -> None:
    """A file is an event: whatever looks into fields looks into its."""
    with make(tmp_path) as ws:
        ws.add_evidence(files)
        ws.add_knowledge(rules(tmp_path / "rules", MARKER))
        (one,) = ws.hunt().sightings
        (tmp_path / "list.csv").write_text(f"sha256\n{one.fields['sha256']}\n")
        ws.add_knowledge(tmp_path / "list.csv")
        assert len(ws.hunt().sightings) == 2


def test_investigate_sorts_rules_and_files_and_says_what_files_hold(tmp_path: Path, files: Path) -> None:
    """No incident can be founded on what has no time; but nobody is told that nothing was seen."""
    rules(files / "rules", MARKER)
    with make(tmp_path) as ws:
        done = ws.investigate(files)
        assert [path.name for path in done.sorted.knowledge] == ["rules"]
        assert sorted(path.name for path in done.sorted.evidence) == ["data.bin", "page.php"]
        assert done.evidence.files == 2
        assert (done.sightings, done.case.incidents) == (1, ())
        assert done.answer.hit
        assert "Marker_One" in done.answer.paragraph
        assert "one file" in done.answer.paragraph
        assert "Marker_One" in done.report.html.read_text(encoding="utf-8")


def test_a_dismissal_hides_and_an_explanation_says_so(tmp_path: Path, files: Path) -> None:
    with make(tmp_path) as ws:
        ws.add_evidence(files, copy=True)
        ws.add_knowledge(rules(tmp_path / "rules", MARKER))
        (one,) = ws.hunt().sightings
        ws.dismiss("Marker_One", "our own page", ["name=page.php"])
        assert [hit.hidden_by is None for hit in ws.hunt().sightings] == [False]
        told = ws.explain("Marker_One", f"{one.evidence}:0").explanation
        assert (told.kind, told.matches, told.reach) == ("yara", True, "could-match")
        assert told.hidden_by is not None


def test_the_same_rules_from_the_same_giver_are_known(tmp_path: Path) -> None:
    """A rule's id follows from its text; the kind is told as what it is."""
    with make(tmp_path) as ws:
        first = ws.add_knowledge(rules(tmp_path / "rules", MARKER + OTHER))
        again = ws.add_knowledge(tmp_path / "rules")
    assert (first.new, first.kinds) == (2, {"yara indicator": 2})
    assert (again.new, again.known) == (0, 2)
