"""Bad input, each kind named by its fault: a clear line with place and advice, and nothing else is lost."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from tests.cli import bad_inputs
from tests.cli.command import Call, aleat
from tests.workspace.samples import BAD_ADDRESS, SECOND_RULE, access_log, json_lines, write_logs, write_pack

EVIDENCE_FAULTS = {
    "empty folder": (bad_inputs.empty_folder, "empty", r"The folder is empty"),
    "empty file": (bad_inputs.empty_file, "nothing.evtx", r"The file is empty"),
    "nothing there": (lambda folder: folder / "absent", "absent", r"no such file or folder.*Check"),
    "truncated EVTX": (
        bad_inputs.truncated_evtx,
        "truncated.evtx at byte 89632",
        r"ends within a chunk.*Copy the file",
    ),
    "EVTX with a zeroed chunk": (bad_inputs.zeroed_chunk_evtx, "zeroed.evtx at byte 4096", r"nothing but zeros"),
    "EVTX with a bad header": (bad_inputs.bad_magic_evtx, "bad-magic.evtx at byte 0", r"doesn't start with ElfFile"),
    "text named .evtx": (bad_inputs.text_named_evtx, "notes.evtx", r"holds no EVTX log.*Check how"),
    "wrong encoding": (bad_inputs.wrong_encoding_log, "wrong-encoding.jsonl", r"UTF-16.*--encoding utf-16-le"),
    "exploding zip": (bad_inputs.exploding_zip, "explodes.zip", r"limit: expansion_ratio.*--limit expansion_ratio="),
    "climbing zip": (bad_inputs.climbing_zip, "climbs.zip!../../climbed.evtx", r"leads out of the archive's folder"),
    "broken zip": (bad_inputs.broken_zip, "broken.zip", r"directory is missing"),
    "symlink loop": (bad_inputs.symlink_loop, "loop/again", r"leads back to a folder that holds it"),
    "links in a circle": (bad_inputs.links_in_a_circle, "one.evtx", r"leads back to itself"),
    "dangling link": (bad_inputs.dangling_link, "gone.evtx", r"leads nowhere"),
    "named pipe": (bad_inputs.named_pipe, "pipe.evtx", r"neither a file nor a folder"),
}

RULE_FAULTS = {
    "syntax error": (bad_inputs.broken_rule, "broken.yml:8:12", r"no YAML"),
    "empty folder": (bad_inputs.empty_folder, "empty", r"no files"),
    "nothing there": (lambda folder: folder / "absent", "absent", r"no such file or folder.*Check"),
    "climbing zip": (bad_inputs.climbing_rules_zip, "climbs.zip", r"leads out|outside|climb"),
    "exploding zip": (bad_inputs.exploding_zip, "explodes.zip", r"limit: expansion_ratio"),
    "nested bundle": (bad_inputs.small_deep_bundle, "deep.json", r"breaks off within its list"),
    "not knowledge": (bad_inputs.no_knowledge, "noise.bin", r"."),
}


@pytest.fixture
def workspace(tmp_path: Path, run: Call) -> Path:
    """An empty workspace."""
    assert run("init", tmp_path / "case").code == 0
    return tmp_path / "case"


@pytest.mark.parametrize("fault", EVIDENCE_FAULTS)
def test_bad_evidence_is_named_and_costs_nothing_else(tmp_path: Path, run: Call, workspace: Path, fault: str) -> None:
    """One line says where and what; the good log beside it is taken in; the code is 3."""
    write, place, reason = EVIDENCE_FAULTS[fault]
    (tmp_path / "bad").mkdir()
    bad = write(tmp_path / "bad")
    good = tmp_path / "portal_access.log"
    good.write_bytes(access_log())
    ran = run("add", "evidence", bad, good, "-w", workspace)
    assert ran.code == 3
    lines = [line for line in ran.err.splitlines() if place in line]
    assert lines, ran.err
    assert re.search(reason, lines[0]), lines
    assert re.search(r"Evidence: \d sources \(0 known already\), (\d+) events", ran.out)
    again = run("add", "evidence", good, "-w", workspace)
    assert again.code == 0
    assert "1 known already" in again.out, "what was good is in already"
    assert not list(tmp_path.rglob("climbed*")), "nothing is ever unpacked"
    assert run("verify", "-w", workspace).code == 0


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_named(tmp_path: Path, run: Call, workspace: Path) -> None:
    """A file that its reader may not open is told with the system's reason."""
    bad_inputs.file_without_permission(tmp_path)
    ran = run("add", "evidence", tmp_path / "locked.evtx", "-w", workspace)
    assert ran.code == 3
    assert "locked.evtx" in ran.err
    assert "denied" in ran.err.casefold()


@pytest.mark.parametrize("fault", RULE_FAULTS)
def test_bad_knowledge_is_named_and_costs_nothing_else(tmp_path: Path, run: Call, workspace: Path, fault: str) -> None:
    """A broken rule, bundle or archive is named with its place; what stands beside it is taken in."""
    write, place, reason = RULE_FAULTS[fault]
    (tmp_path / "bad").mkdir()
    bad = write(tmp_path / "bad")
    pack = write_pack(tmp_path / "pack")
    ran = run("add", "knowledge", bad, pack, "-w", workspace)
    assert ran.code == 3
    assert "Knowledge: 3 new objects" in ran.out
    lines = [line for line in ran.err.splitlines() if place in line]
    assert lines, ran.err
    assert re.search(reason, lines[0]), lines
    assert run("verify", "-w", workspace).code == 0


def test_a_rule_that_cannot_be_evaluated_is_listed_by_name_with_its_place(
    tmp_path: Path, run: Call, workspace: Path
) -> None:
    """Its condition names a selection that isn't there: the hunt says so, and the code stays 0."""
    path = bad_inputs.wrong_condition_rule(tmp_path)
    logs = write_logs(tmp_path / "logs")
    assert run("add", "knowledge", path, "-w", workspace).code == 0
    assert run("add", "evidence", logs, "-w", workspace).code == 0
    ran = run("hunt", "-w", workspace)
    assert ran.code == 0
    assert "1 indicators not evaluated" in ran.err
    assert re.search(r"wrong-condition\.yml.*Wiper Started.*selektion", ran.err)


def test_all_faults_in_one_folder_stop_nothing(tmp_path: Path, run: Call) -> None:
    """`investigate` on everything at once: each fault has its line, the good logs are hunted, the report is there."""
    for number, (write, _, _) in enumerate([*EVIDENCE_FAULTS.values(), *RULE_FAULTS.values()]):
        (tmp_path / "all" / str(number)).mkdir(parents=True)
        write(tmp_path / "all" / str(number))
    write_logs(tmp_path / "all" / "logs")
    write_pack(tmp_path / "all" / "pack")
    ran = run("investigate", tmp_path / "all", "-w", tmp_path / "case", "--quiet")
    assert ran.code == 3
    assert "you were hit" in ran.out.replace("\n", " ")
    for place in ("truncated.evtx", "zeroed.evtx", "notes.evtx", "broken.yml:8:12", "explodes.zip", "pipe.evtx"):
        assert place in ran.err
    assert (tmp_path / "case" / "reports" / "report.html").is_file()
    assert run("verify", "-w", tmp_path / "case").code == 0


def test_code_pages_are_read_or_named(tmp_path: Path, run: Call, workspace: Path) -> None:
    """UTF-16 with a mark and Western code pages are read; UTF-16 without a mark wants --encoding."""
    text = json_lines().decode().replace("besa", "gëzim")
    (tmp_path / "marked.jsonl").write_bytes(text.encode("utf-16"))
    (tmp_path / "western.jsonl").write_bytes(text.encode("cp1252"))
    (tmp_path / "plain16.jsonl").write_bytes(text.encode("utf-16-le"))
    ran = run("add", "evidence", tmp_path / "marked.jsonl", tmp_path / "western.jsonl", "-w", workspace)
    assert (ran.code, "60 events" in ran.out) == (0, True), ran
    ran = run("add", "evidence", tmp_path / "plain16.jsonl", "--encoding", "utf-16-le", "-w", workspace)
    assert (ran.code, "30 events" in ran.out) == (0, True), ran
    ran = run("add", "evidence", tmp_path / "western.jsonl", "--encoding", "klingon", "-w", workspace)
    assert ran.code == 1
    assert "klingon" in ran.err


def test_a_wrong_command_line_is_told_with_code_2(run: Call, workspace: Path) -> None:
    """Usage errors change nothing."""
    for arguments in (
        ("hunt", "--min-level", "enormous"),
        ("hunt", "somewhere"),
        ("add", "evidence"),
        ("add", "knowledge"),
        ("investigate",),
        ("report", "--language", "xx"),
        ("permit", "x", "--originator", "y", "--to", "z", "--basis", "b", "--until", "someday"),
        ("no-such-command",),
        ("verify", "--no-such-option"),
        ("answer",),
    ):
        assert run(*arguments).code == 2, arguments


def test_what_fails_says_why_with_code_1(tmp_path: Path, run: Call, workspace: Path) -> None:
    """No workspace, an unknown label, zone, ally or file: one line each, and nothing is left half made."""
    for arguments, said in (
        (("verify", "-w", tmp_path / "none"), "aleat init"),
        (("init", workspace), "workspace already"),
        (("init", tmp_path / "new", "--zone", "Mars"), "Mars"),
        (("add", "knowledge", tmp_path, "--marking", "purple", "-w", workspace), "purple"),
        (("ally", "add", tmp_path / "none.card", "-w", workspace), "none.card"),
        (("agreement", "add", tmp_path / "none.toml", "-w", workspace), "none.toml"),
        (("receive", tmp_path / "none.age", "-w", workspace), "none.age"),
        (("release", "--to", "nobody", "-w", workspace), "nobody"),
        (("verify", "--head", tmp_path / "none.json", "-w", workspace), "none.json"),
    ):
        ran = run(*arguments)
        assert ran.code == 1, (arguments, ran)
        assert said in ran.err, ran
    assert not (tmp_path / "new").exists()
    assert run("verify", "-w", workspace).code == 0


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_a_bundle_of_100_mb_of_nesting_is_refused_in_bounded_memory(tmp_path: Path) -> None:
    """It is told in one line, takes less than 700 MB, and the pack beside it comes in."""
    keys = tmp_path / "keys"
    deep = bad_inputs.deep_bundle(tmp_path / "deep.json", 100_000_000)
    pack = write_pack(tmp_path / "pack")
    assert aleat("init", tmp_path / "case", keys=keys).code == 0
    code = (
        "import sys; from pathlib import Path; from aleat.cli import main; code = main(sys.argv[1:]);"
        "print('PEAK', Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0]); sys.exit(code)"
    )
    ran = aleat("add", "knowledge", deep, pack, "-w", tmp_path / "case", keys=keys, program=("-c", code))
    assert ran.code == 3
    assert re.search(r"deep\.json at byte 85: The file breaks off within its list", ran.err)
    assert "Knowledge: 3 new objects" in ran.out
    # Not getrusage: Linux counts what the parent had before the program was started.
    assert int(ran.out.split("PEAK ")[1]) < 700 * 1024


def test_known_things_stay_after_a_rule_is_changed_for_the_worse(tmp_path: Path, run: Call, workspace: Path) -> None:
    """A file that can't be read any more takes nothing away that was read before."""
    pack = write_pack(tmp_path / "pack")
    logs = write_logs(tmp_path / "logs")
    run("add", "knowledge", pack, "-w", workspace)
    run("add", "evidence", logs, "-w", workspace)
    (pack / "rules" / "wiper.yml").write_text("title: [")
    (pack / "rules" / "second.yml").write_text(SECOND_RULE)
    assert run("add", "knowledge", pack, "-w", workspace).code == 3
    ran = run("hunt", "-w", workspace, "-t", "jsonl")
    assert ran.code == 0
    assert "Wiper Started" in ran.out
    assert BAD_ADDRESS in ran.out
    assert "Any Run Of Agim" in ran.out
