"""`aleat knowledge`: rows that fit the terminal, values made visible, other forms for programs."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from aleat.trust.markings import marking_id
from tests.cli.command import Call
from tests.workspace.samples import bundle, write_logs, write_pack

HOSTILE = "Everything \u202e\x1b[31m in com"


@pytest.fixture
def case(tmp_path: Path, run: Call) -> Path:
    """A workspace with a pack, and an object that is doubtful and hostile."""
    content = json.loads(bundle([2]))
    content["objects"][0] |= {"name": HOSTILE, "pattern": "[domain-name:value = '*.com']"}
    (tmp_path / "west.json").write_text(json.dumps(content))
    folder = tmp_path / "case"
    assert run("init", folder).code == 0
    assert run("add", "knowledge", write_pack(tmp_path / "pack"), "--from", "north", "-w", folder).code == 0
    added = run("add", "knowledge", tmp_path / "west.json", "--from", "west", "-w", folder)
    assert "Doubtful, and kept as they are: 1 too general." in added.err
    assert "*.com is a whole top-level domain" in added.err
    assert run("add", "evidence", write_logs(tmp_path / "logs"), "-w", folder, "-q").code == 0
    assert run("hunt", "-w", folder, "-q").code == 0
    return folder


@pytest.mark.parametrize("columns", [80, 120])
def test_rows_fit_the_terminal_and_act_on_nothing(
    case: Path, run: Call, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    """No line of the list is wider than the terminal; control characters are written out."""
    monkeypatch.setenv("COLUMNS", str(columns))
    for words in (("--hits",), ("list",), ("givers",), ("diff", "north", "west")):
        ran = run("knowledge", *words, "-w", case)
        assert ran.code == 0
        assert max(map(len, ran.out.splitlines())) <= columns, words
        assert not {character for character in ran.out if ord(character) < 32} - {"\n"}
    assert "\\u202e" in run("knowledge", "-w", case).out
    assert "ended: expired, withdrawn or revoked" in run("knowledge", "givers", "-w", case).err


def test_one_object_is_told_in_plain_words(case: Path, run: Call) -> None:
    """What it looks for, who gave it, what it hit, why it is doubtful, in both languages."""
    shown = run("knowledge", "show", "Wiper Started", "-w", case).out
    assert "events that fit this Sigma rule" in shown
    assert "by north: no marking" in shown
    assert "pc1.example" in shown
    doubtful = f"{'indicator--11111111-1111-4111-8111-000000000002'}"
    assert "too general: *.com is a whole top-level domain" in run("knowledge", "show", doubtful, "-w", case).out
    albanian = run("knowledge", "show", doubtful, "-w", case, "--language", "sq").out
    assert "tepër i përgjithshëm" in albanian
    several = run("knowledge", "show", "203.0.113.7", "-w", case)
    assert several.code == 0
    assert "Show one of them by its id" in several.err
    assert run("knowledge", "show", "nothing like it", "-w", case).code == 1


def test_programs_get_all_of_it(case: Path, run: Call) -> None:
    """JSON lines, JSON and CSV have every row, whatever a screen shows."""
    lines = run("knowledge", "-t", "jsonl", "-w", case).out.splitlines()
    rows = [json.loads(line) for line in lines]
    assert json.loads(run("knowledge", "-t", "json", "-w", case).out) == rows
    assert {row["name"] for row in rows} >= {HOSTILE, "Wiper Started"}
    assert next(row for row in rows if row["name"] == HOSTILE)["quality"][0]["code"] == "too-general"
    table = list(csv.DictReader(io.StringIO(run("knowledge", "-t", "csv", "-w", case).out)))
    assert len(table) == len(rows)
    assert [
        json.loads(line)["giver"] for line in run("knowledge", "givers", "-t", "jsonl", "-w", case).out.splitlines()
    ]


def test_filters_are_named_as_people_name_things(case: Path, run: Call) -> None:
    """A marking by its colour, a giver by its name; what is no label is said."""
    assert "Wiper Started" in run("knowledge", "wiper", "--from", "north", "--state", "hit", "-w", case).out
    assert run("knowledge", "--marking", "red", "-w", case).out == ""
    assert run("knowledge", "--marking", "pink", "-w", case).code == 1
    assert run("knowledge", "--state", "asleep", "-w", case).code == 2


def test_conflicts_are_told_and_none_is_told_too(case: Path, run: Call, tmp_path: Path) -> None:
    """Both contents, who gave which."""
    assert "0 conflicts" in run("knowledge", "conflicts", "-w", case).err
    content = json.loads(bundle([1]))
    content["objects"][0]["name"] = "Another name"
    (tmp_path / "east.json").write_text(json.dumps(content))
    run("add", "knowledge", tmp_path / "east.json", "--from", "east", "-w", case)
    told = run("knowledge", "conflicts", "-w", case)
    assert "counts: Server 1, from north, no marking" in told.out
    assert "kept: Another name, from east" in told.out


@pytest.mark.parametrize(("language", "words"), [("en", "passive work on what we hold only"), ("sq", "vetëm punë")])
def test_an_object_under_pap_says_what_may_be_done_with_it(
    tmp_path: Path, run: Call, language: str, words: str
) -> None:
    """In words, beside its hits; the strictest of several labels."""
    content = json.loads(bundle([1]))
    content["objects"][0]["object_marking_refs"] = [marking_id("pap:green"), marking_id("pap:red")]
    (tmp_path / "pack.json").write_text(json.dumps(content))
    folder = tmp_path / "pap"
    run("init", folder, "--organisation", "Team")
    run("add", "knowledge", tmp_path / "pack.json", "-w", folder)
    shown = run("knowledge", "show", content["objects"][0]["id"], "--language", language, "-w", folder)
    assert words in " ".join(shown.out.split())
