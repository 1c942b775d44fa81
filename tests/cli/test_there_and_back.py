"""Aid between two teams through the command line: asked, offered, given, hunted, answered, closed on both sides."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path

import pytest

from aleat import Workspace
from tests.cli.command import Call
from tests.examples.simulation import load
from tests.workspace.samples import bundle, write_logs, write_pack

NORTH, SOUTH = "north-cert", "south-cert"


class Team:
    """A team at its own workspace, with its own keys, at the command line."""

    def __init__(self, name: str, root: Path, run: Call, monkeypatch: pytest.MonkeyPatch) -> None:
        self.name, self.folder, self.keys = name, root / name, root / f"keys-{name}"
        self.outbox = root / f"outbox-{name}"
        self._run, self._patch = run, monkeypatch
        self.do("init", self.folder, "--organisation", name, workspace=False)

    def do(self, *arguments: object, workspace: bool = True, code: int = 0) -> str:
        """Run a command in this team's workspace; returns what it printed."""
        self._patch.setenv("ALEAT_KEYS", str(self.keys))
        ran = self._run(*arguments, *(("-w", self.folder) if workspace else ()))
        assert ran.code == code, ran
        return ran.out

    def send(self, *arguments: object) -> Path:
        """Run a command that writes a sealed file, and return it."""
        return Path(self.do(*arguments, "-o", self.outbox).strip())

    def open(self) -> Workspace:
        """Open the workspace as the library does."""
        return Workspace.open(self.folder, key_folder=self.keys, actor="agim")


@pytest.fixture
def teams(tmp_path: Path, run: Call, monkeypatch: pytest.MonkeyPatch) -> tuple[Team, Team]:
    """Two teams that know each other's card, and have compared fingerprints."""
    north, south = (Team(name, tmp_path, run, monkeypatch) for name in (NORTH, SOUTH))
    marks = {}
    for team in (north, south):
        said = team.do("card", "-o", tmp_path / f"{team.name}.card")
        marks[team.name] = re.search(r"channel: (.*)$", said.strip()).group(1)  # type: ignore[union-attr]
    for team, other in ((north, south), (south, north)):
        card = tmp_path / f"{other.name}.card"
        assert "not compared" not in team.do("ally", "add", card, "--compared", marks[other.name])
        assert other.name in team.do("ally", "list")
        draft = tmp_path / f"{team.name}.toml"
        team.do("agreement", "draft", other.name, "-o", draft)
        assert "is signed" in team.do("agreement", "add", draft)
    return north, south


def agree(north: Team, south: Team) -> None:
    """South asks, north offers, south accepts."""
    asked = south.send(
        "ask", NORTH, "--title", "Services are down", "--impact", "Eight services", "--needs", "indicators"
    )
    assert "request" in north.do("receive", asked)
    offered = north.send("offer", SOUTH, "--what", "Our pack")
    assert "offer" in south.do("receive", offered)
    accepted = south.send("accept", NORTH)
    assert "acceptance" in north.do("receive", accepted)


def states(*teams: Team) -> list[list[str]]:
    """The states of all threads, by team, as `aleat asks` prints them."""
    return [re.findall(r"(?m)^[0-9a-f]{8}  (\S+)", team.do("asks")) for team in teams]


def test_help_is_asked_for_given_hunted_with_answered_and_closed(teams: tuple[Team, Team], tmp_path: Path) -> None:
    """Seen with times, not seen with coverage; the thread is closed on both sides, and both workspaces verify."""
    north, south = teams
    pack = write_pack(tmp_path / "pack")
    unseen = json.loads(bundle((2,)))
    unseen["objects"][0]["pattern"] = "[ipv4-addr:value = '192.0.2.200']"
    (pack / "unseen.json").write_text(json.dumps(unseen))
    north.do("add", "knowledge", pack, "--marking", "green")
    south.do("add", "evidence", write_logs(tmp_path / "logs"))
    agree(north, south)
    assert states(north, south) == [["accepted"], ["accepted"]]

    preview = north.do("preview", "--to", SOUTH)
    assert "would leave" in preview
    given = north.send("release", "--to", SOUTH)
    assert "delivery" in south.do("receive", given)
    assert states(north, south) == [["delivered"], ["delivered"]]

    lines = [json.loads(line) for line in south.do("hunt", "-t", "jsonl").splitlines()]
    assert {line["source"] for line in lines} == {NORTH}
    assert len(lines) == 4
    answered = south.send("answer", "--to", NORTH, "--outcome", "Contained", "--lessons", "Look for the list earlier")
    assert "findings" in north.do("receive", answered)
    assert states(north, south) == [["closed"], ["closed"]]

    with north.open() as ws:
        found = ws.findings()
    by_status = {finding.status: finding for finding in found}
    assert {"seen", "not-seen"} <= set(by_status)
    seen = [finding for finding in found if finding.status == "seen"]
    assert all(finding.first and finding.last and finding.count for finding in seen)
    assert any(finding.indicator.endswith("000000000002") for finding in found if finding.status == "not-seen")
    assert all(finding.coverage["looked_at"] for finding in found if finding.status == "not-seen")
    printed = north.do("findings")
    assert printed.count("  not-seen  ") == sum(finding.status == "not-seen" for finding in found)
    assert "2 hosts, 130 events" in printed
    shown = north.do("knowledge", "show", seen[0].indicator)
    assert f"{SOUTH}: " in shown[shown.index("Allies' findings") :]
    for team in teams:
        assert "Everything fits." in team.do("verify")


def test_the_sealed_file_can_be_given_to_add_knowledge(teams: tuple[Team, Team], tmp_path: Path) -> None:
    """What is sealed is opened and verified there too, and its giver is the ally who sealed it."""
    north, south = teams
    north.do("add", "knowledge", write_pack(tmp_path / "pack"), "--marking", "green")
    agree(north, south)
    given = north.send("release", "--to", SOUTH)
    assert f"Sealed file of {NORTH} opened and verified." in south.do("add", "knowledge", given)
    with south.open() as ws:
        assert {rule.indicator.source for rule in ws.plan().rules} - {"aleat"} == {NORTH}


def test_a_sealed_file_for_somebody_else_or_changed_on_its_way_is_refused(
    teams: tuple[Team, Team], tmp_path: Path
) -> None:
    """One line, code 1, and nothing of it is kept."""
    north, south = teams
    north.do("add", "knowledge", write_pack(tmp_path / "pack"), "--marking", "green")
    agree(north, south)
    given = north.send("release", "--to", SOUTH)
    north.do("receive", given, code=1)
    data = bytearray(given.read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "changed.age").write_bytes(data)
    south.do("receive", tmp_path / "changed.age", code=1)
    assert states(south) == [["accepted"]]
    assert "delivery" in south.do("receive", given)


@pytest.mark.long
def test_nothing_of_a_third_partys_leaves_with_the_examples_pack(teams: tuple[Team, Team], tmp_path: Path) -> None:
    """No id and no text of the third party's AMBER and RED stands in any byte that reaches the ally, sealed or open."""
    north, south = teams
    truth = load().build(tmp_path / "example", seed=2022, scale=0.02)
    canaries = [
        text.encode() for colour in truth["canaries"].values() for kind in ("ids", "texts") for text in colour[kind]
    ]
    assert len(canaries) > 20
    north.do("add", "knowledge", tmp_path / "example" / "pack")
    agree(north, south)
    given = north.send("release", "--to", SOUTH)
    assert not [text for text in canaries if text in given.name.encode() or text in given.read_bytes()]
    south.do("receive", given)
    opened = _everything(south.folder)
    assert len(opened) > 100_000
    assert not [text for text in canaries if text in opened or text.replace(b".", b"[.]") in opened]
    south.do("add", "evidence", tmp_path / "example" / "evidence", "--quiet")
    south.do("hunt", "--quiet", "-o", tmp_path / "hunt.jsonl")
    answered = south.send("answer", "--to", NORTH, "--outcome", "Contained")
    north.do("receive", answered)
    assert states(north, south) == [["closed"], ["closed"]]
    with north.open() as ws:
        assert "seen" in {finding.status for finding in ws.findings()}


def _everything(folder: Path) -> bytes:
    """All bytes that a workspace keeps, its database's values unpacked, and its file names."""
    pieces = [str(path.relative_to(folder)).encode() for path in folder.rglob("*")]
    pieces += [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    connection = sqlite3.connect(folder / "aleat.db")
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for table in tables:
        for row in connection.execute(f'SELECT * FROM "{table}"'):  # noqa: S608
            pieces += [value if isinstance(value, bytes) else str(value).encode() for value in row]
    connection.close()
    return b"\n".join(pieces)
