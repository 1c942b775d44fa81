"""The library can do whatever the command line can; every command explains itself, and starts quickly."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cyclopts
import pytest

from aleat import Workspace, __version__, workspace
from aleat.cli.main import app
from aleat.workspace import BuiltCase
from tests.cli.command import Call, aleat, environment
from tests.workspace.samples import NEWS, write_logs, write_pack

BEHIND = {
    "init": "Workspace.init",
    "add knowledge": "Workspace.add_knowledge",
    "add evidence": "Workspace.add_evidence",
    "hunt": "Workspace.hunt",
    "explain": "Workspace.explain",
    "dismiss": "Workspace.dismiss",
    "dismissals": "Workspace.dismissals",
    "clocks measure": "Workspace.clocks",
    "clocks list": "Workspace.clock_corrections",
    "clocks set": "Workspace.set_clock",
    "clocks undo": "Workspace.undo_clock",
    "search": "Workspace.search",
    "fields": "Workspace.fields",
    "sources": "Workspace.sources",
    "sql": "Workspace.sql",
    "index": "Workspace.rebuild_index",
    "report": "Workspace.report",
    "verify": "Workspace.verify",
    "custody": "Workspace.custody",
    "show": "Workspace.show",
    "forget": "Workspace.forget",
    "ledger export": "Workspace.export_ledgers",
    "ledger head": "Workspace.export_heads",
    "ledger countersign": "Workspace.countersign",
    "ledger add": "Workspace.keep_countersignature",
    "knowledge list": "Workspace.knowledge",
    "knowledge show": "Workspace.show_knowledge",
    "knowledge conflicts": "Workspace.knowledge_conflicts",
    "knowledge diff": "Workspace.compare_knowledge",
    "knowledge givers": "Workspace.givers",
    "investigate": "Workspace.investigate",
    "case": "Workspace.build_case",
    "impact": "Workspace.build_case",
    "attribute": "BuiltCase.attribution",
    "claims": "Workspace.build_case",
    "timeline": "Workspace.build_case",
    "coverage": "Workspace.build_case",
    "card": "Workspace.export_card",
    "openpgp make": "Workspace.make_openpgp_key",
    "openpgp import": "Workspace.import_openpgp_key",
    "openpgp certificate": "Workspace.openpgp_certificate",
    "ally add": "Workspace.add_ally",
    "ally list": "Workspace.allies",
    "agreement draft": "Workspace.draft_agreement",
    "agreement add": "Workspace.add_agreement",
    "people": "Workspace.set_roles",
    "hold": "Workspace.hold",
    "permit": "Workspace.permit_objects",
    "ask": "Workspace.ask",
    "ask-permission": "Workspace.ask_permission",
    "inquire": "Workspace.inquire",
    "deliver": "Workspace.deliver",
    "retract": "Workspace.retract",
    "offer": "Workspace.offer",
    "accept": "Workspace.accept",
    "refuse": "Workspace.refuse",
    "preview": "Workspace.preview_release",
    "release": "Workspace.release",
    "answer": "Workspace.answer",
    "close": "Workspace.close_thread",
    "withdraw": "Workspace.withdraw_objects",
    "withdrawals": "Workspace.withdrawals",
    "receipt": "Workspace.acknowledge",
    "receive": "Workspace.receive",
    "asks": "Workspace.asks",
    "permissions": "Workspace.permissions",
    "findings": "Workspace.findings_beside",
    "poll": "Workspace.poll",
    "post": "Workspace.post",
    "pull": "Workspace.pull",
    "push": "Workspace.push",
    "serve": "Workspace.share",
    "account add": "Workspace.add_account",
    "account list": "Workspace.accounts",
    "account rotate": "Workspace.rotate_account",
    "account remove": "Workspace.remove_account",
}
"""What a library caller calls where a person types the command."""


def commands(group: cyclopts.App, before: str = "") -> Iterator[str]:
    """Every command's words."""
    for name in group:
        if name.startswith("-"):
            continue
        words = f"{before} {name}".strip()
        inner = [word for word in group[name] if not word.startswith("-")]
        if inner:
            yield from commands(group[name], words)
        else:
            yield words


COMMANDS = sorted(commands(app))


def test_every_command_has_a_method_behind_it() -> None:
    """A new command is written down here with the method that does its work."""
    assert sorted(BEHIND) == COMMANDS
    classes = {"Workspace": Workspace, "BuiltCase": BuiltCase}
    for path in BEHIND.values():
        owner, name = path.split(".")
        member = getattr(classes[owner], name)
        assert (member.fget if isinstance(member, property) else member).__doc__, path


def test_hunts_without_a_workspace_are_in_the_library_too() -> None:
    """`aleat hunt --rules` is `hunt_once`; what it writes, `write_sightings` writes."""
    assert {"hunt_once", "write_sightings"} <= set(workspace.__all__)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(run: Call, command: str) -> None:
    """`--help` names every parameter with a line on it."""
    ran = run(*command.split(), "--help")
    assert ran.code == 0
    assert f"aleat {command}" in ran.out


def test_the_version_is_told_in_both_ways_of_starting(tmp_path: Path) -> None:
    """`python -m aleat` and the installed script are the same command."""
    assert aleat("--version", keys=tmp_path).out.strip() == __version__
    script = Path(sys.executable).with_name("aleat")
    if script.exists():
        done = subprocess.run(
            [script, "--version"], env=environment(tmp_path), capture_output=True, check=True, timeout=60
        )
        assert done.stdout.decode().strip() == __version__


def test_help_loads_no_heavy_library(tmp_path: Path) -> None:
    """The command starts at once: what it needs is imported when it is needed."""
    code = "import sys; from aleat.cli import main; main(['--help']); print('LOADED', *sorted(sys.modules))"
    said = aleat(program=("-c", code), keys=tmp_path).out.split("LOADED")[1].split()
    assert not {"polars", "pyarrow", "sigma", "sqlalchemy", "evtx", "numpy", "stix2patterns"} & set(said)


LIGHT = (
    ("ally", "list"),
    ("account", "list"),
    ("agreement", "draft", "south", "-o", "drawn.toml"),
    ("asks",),
    ("permissions",),
    ("withdrawals",),
    ("post",),
    ("preview", "--to", "south"),
    ("ask", "south", "--title", "Help", "--impact", "Much is down", "--needs", "rules"),
    ("receive", "absent.age"),
    ("push", "http://127.0.0.1:9/taxii2/", "--to", "nobody"),
)
"""Commands of an exchange, run in this order."""


def test_commands_between_allies_load_nothing_that_hunts(tmp_path: Path, run: Call) -> None:
    """Nothing that reads logs or knowledge, hunts or builds a case is imported for a short command."""
    for name in ("north", "south"):
        run("init", tmp_path / name, "--organisation", name)
    run("card", "-w", tmp_path / "south", "-o", tmp_path / "card")
    mark = run("card", "-w", tmp_path / "south", "--fingerprint").out.strip()
    assert run("ally", "add", tmp_path / "card", "-w", tmp_path / "north", "--compared", mark).code == 0
    run("agreement", "draft", "south", "-w", tmp_path / "north", "-o", tmp_path / "terms.toml")
    assert run("agreement", "add", tmp_path / "terms.toml", "-w", tmp_path / "north").code == 0
    code = f"""
import sys
from aleat.cli import main
for arguments in {LIGHT!r}:
    print("CODE", arguments[0], main([*arguments, "-w", "north"]))
    print("LOADED", arguments[0], *sorted(sys.modules))
"""
    said = aleat(program=("-c", code), keys=tmp_path / "keys", cwd=tmp_path).out.splitlines()
    codes = [line.split()[1:] for line in said if line.startswith("CODE ")]
    assert codes == [[name, "1" if name in {"receive", "push"} else "0"] for name, *_ in LIGHT]
    heavy = {"numpy", "pyarrow", "polars", "yara_x", "jinja2", "pymisp", "sigma", "evtx", "stix2patterns", "starlette"}
    heavy |= {"aleat.evidence", "aleat.hunt", "aleat.case", "aleat.attribution", "aleat.knowledge.reader"}
    loaded = [line.split()[1:] for line in said if line.startswith("LOADED ")]
    assert {name: heavy.intersection(modules) for name, *modules in loaded} == {name: set() for name, *_ in LIGHT}


def test_every_view_of_a_case_is_printed(tmp_path: Path, run: Call) -> None:
    """case, impact, attribute, claims, timeline, coverage, report, ledger: code 0, in both languages."""
    case = tmp_path / "case"
    (tmp_path / "news.txt").write_text(NEWS, encoding="utf-8")
    logs, pack = write_logs(tmp_path / "logs"), write_pack(tmp_path / "pack")
    assert run("investigate", logs, pack, tmp_path / "news.txt", "-w", case, "-q").code == 0
    expected = {
        "case": "you were hit",
        "impact": "",
        "attribute": "",
        "claims": "baseless",
        "timeline": "Wiper Started",
        "coverage": "pc1.example",
        "report": "report.html",
    }
    for command, said in expected.items():
        for language in ("en", "sq") if command != "report" else ("sq",):
            ran = run(command, "-w", case, "--language", language)
            assert ran.code == 0, ran
            assert language == "sq" or said in ran.out
            assert not {character for character in ran.said if ord(character) < 32} - {"\n"}
    assert run("ledger", "export", "-w", case).out.count('"kind":"segment"') == 3
    assert '"custody"' in run("ledger", "head", "-w", case).out


def test_a_workspace_is_found_from_below_and_by_name(
    tmp_path: Path, run: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """-w, else $ALEAT_WORKSPACE, else the nearest folder upward."""
    run("init", tmp_path / "one")
    run("init", tmp_path / "two")
    (tmp_path / "one" / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert run("verify").code == 1
    monkeypatch.chdir(tmp_path / "one" / "deep" / "er")
    assert run("verify").code == 0
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ALEAT_WORKSPACE", str(tmp_path / "two"))
    assert run("verify").code == 0
    assert run("verify", "-w", tmp_path / "three").code == 1
