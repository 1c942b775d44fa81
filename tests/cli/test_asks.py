"""The ledger of asks and gives at the command line: what is asked, offered, permitted, sent in person, taken back."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from aleat import Workspace
from tests.cli.command import Call
from tests.cli.test_there_and_back import NORTH, SOUTH, Team, agree, states
from tests.workspace.samples import BAD_ADDRESS, bundle, write_logs

WEST = "west-cert"


@pytest.fixture
def three(tmp_path: Path, run: Call, monkeypatch: pytest.MonkeyPatch) -> tuple[Team, Team, Team]:
    """North gives, south is in between, west is whom north doesn't know."""
    north, south, west = (Team(name, tmp_path, run, monkeypatch) for name in (NORTH, SOUTH, WEST))
    for team, other in ((north, south), (south, north), (south, west), (west, south)):
        mark = other.do("card", "--fingerprint").strip()
        card = tmp_path / f"{other.name}.card"
        other.do("card", "-o", card)
        team.do("ally", "add", card, "--compared", mark)
        draft = tmp_path / f"{team.name}-{other.name}.toml"
        team.do("agreement", "draft", other.name, "-o", draft)
        team.do("agreement", "add", draft)
    return north, south, west


def test_leave_is_asked_given_and_used_with_one_command_each(three: tuple[Team, Team, Team], tmp_path: Path) -> None:
    """North's AMBER stays away from west until north permits it; the ledgers of both show the way."""
    north, south, _ = three
    with north.open() as ws:
        maker = ws.config.identity
    pack = json.loads(bundle((1, 2)))
    for item in pack["objects"]:
        item["created_by_ref"] = maker
    (tmp_path / "pack.json").write_text(json.dumps(pack))
    north.do("add", "knowledge", tmp_path / "pack.json", "--marking", "amber")
    agree(north, south)
    south.do("receive", north.send("release", "--to", SOUTH))
    preview = south.do("preview", "--to", WEST)
    assert "amber-not-a-client" in preview
    assert f"{NORTH} may permit 2 of what stays: aleat ask-permission {NORTH} --for {WEST}" in preview

    refused = south.do("ask-permission", NORTH, "--for", NORTH, "--until", "2099-01-01", "--reason", "x", code=1)
    assert refused == ""
    request = south.send(
        "ask-permission", NORTH, "--for", WEST, "--until", "2099-01-01", "--reason", "West is under attack too"
    )
    assert "permission request" in north.do("receive", request)
    waiting = north.do("asks")
    assert re.search(r"(?s)asked .* permission request: West is .* us: permit or refuse by 2099-01-01", waiting)
    whole = north.do("asks", SOUTH)
    assert "onward name: west-cert" in whole
    assert "did not go from us" not in whole
    assert pack["objects"][0]["id"] in whole.replace("\n", "").replace(" ", "")

    south.do("receive", north.send("permit", "--request", SOUTH, "--until", "2098-12-31"))
    preview = south.do("preview", "--to", WEST)
    assert "permission (2)" in preview or preview.count("permission") >= 2
    assert re.search(rf"{NORTH} +{WEST} +2 .* 2098-12-31 +holds", south.do("permissions"))
    released = south.send("release", "--to", WEST)
    assert released.exists()
    assert "left on this permission, in thread" in south.do("asks", NORTH)
    assert "Rests on: the permission in thread" in south.do("asks", WEST)
    assert "Everything fits." in south.do("verify")


def test_a_question_goes_to_an_ally_who_hunts_and_answers(three: tuple[Team, Team, Team]) -> None:
    """Asked by value; not seen without logs is "not evaluated"; the asker sees the answer by what it asked."""
    north, south, _ = three
    asked = north.send(
        "inquire", SOUTH, "evil[.]example", "--question", "Have you seen it?", "--needed-by", "2099-01-01"
    )
    south.do("receive", asked)
    assert re.search(
        r"(?s)asked .* inquiry: Have you seen it\?.* us: hunt, answer by 2099-01-01", south.do("asks", "--waiting")
    )
    north.do("receive", south.send("answer", "--to", NORTH))
    assert re.search(r"evil\.example +south-cert +not-evaluated", north.do("findings"))
    assert states(north, south) == [["answered"], ["answered"]]
    assert "led to findings: 0 seen, 0 not seen" in north.do("asks")
    assert "Nothing waits for us." in south.do("asks", "--waiting")
    north.do("inquire", SOUTH, "???", "--question", "x", code=1)


def test_a_request_says_all_that_the_act_asks_for(three: tuple[Team, Team, Team]) -> None:
    """Affected entity, sector, country, impact, spreading, needs, use, measures, other support, by when."""
    north, south, _ = three
    said = {
        "--title": "Services are down",
        "--impact": "Eight services",
        "--needs": "two analysts",
        "--entity": "Ministry of Roads",
        "--sector": "government",
        "--country": "AL",
        "--spillover": "The gateway is shared with two neighbours",
        "--planned-use": "To hunt on twelve hosts",
        "--measures-taken": "Services were shut down",
        "--other-support": "A contract with a provider",
        "--needed-by": "2099-01-01",
        "--label": "green",
    }
    asked = south.send("ask", NORTH, *(part for pair in said.items() for part in pair))
    north.do("receive", asked)
    shown = " ".join(north.do("asks", SOUTH).split())
    for text in said.values():
        assert (text.upper() if text == "green" else text) in shown


def test_people_are_offered_sent_and_reported_on(three: tuple[Team, Team, Team]) -> None:
    """Without any object; an offer past its day isn't taken; what was said is taken back by its short id."""
    north, south, _ = three
    old = north.send("offer", SOUTH, "--what", "An old offer", "--until", "2020-01-01")
    south.do("receive", old)
    south.do("accept", NORTH, code=1)
    assert "offer again (its last day is over)" in north.do("asks")
    short = re.findall(r"(?m)^([0-9a-f]{8})  offered", north.do("asks"))[0]
    south.do("receive", north.send("retract", short, "--reason", "It was too late"))
    assert states(north, south) == [["taken-back"], ["taken-back"]]

    offered = north.send(
        "offer", SOUTH, "--what", "Two analysts", "--kind", "people", "--person", "Ana", "--person", "Ben"
    )
    south.do("receive", offered)
    north.do("receive", south.send("accept", NORTH, "--remarks", "Welcome"))
    south.do("receive", north.send("deliver", SOUTH, "--what", "Ana and Ben come", "--begins", "2026-12-01"))
    told = south.send(
        "answer", "--to", NORTH, "--results", "They found the web shell", "--outcome", "Done", "--lessons", "x"
    )
    north.do("receive", told)
    assert [state[-1] for state in states(north, south)] == ["closed", "closed"]


def test_permit_without_its_parts_says_what_is_missing(three: tuple[Team, Team, Team]) -> None:
    """A usage error, not a traceback; names that are no message are said."""
    north, south, _ = three
    north.do("permit", "indicator--00000000-0000-4000-8000-000000000001", code=2)
    north.do("permit", "--request", SOUTH, code=1)
    north.do("asks", "deadbeef", code=1)
    north.do("asks", "nobody", code=1)
    assert "Nothing was asked or offered yet" in north.do("asks")
    assert isinstance(south.open(), Workspace)


def test_a_false_positive_comes_back_with_the_reason_that_somebody_gave(
    three: tuple[Team, Team, Team], tmp_path: Path
) -> None:
    """In words, not by our dismissal's number; a reason that names a host of ours is not told."""
    north, south, _ = three
    south.do("add", "evidence", write_logs(tmp_path / "logs"))
    for reason, told in (
        ("Our own test of the web site", "Our own test of the web site"),
        ("As on pc1.example", "dismissed"),
    ):
        south.do("receive", north.send("inquire", SOUTH, BAD_ADDRESS, "--question", "Did this talk to you?"))
        with south.open() as ws:
            asked = ws.asks()[-1].messages[0].asked[0].indicator  # type: ignore[union-attr]
        south.do("hunt", "-q", "-o", tmp_path / "hunt.jsonl")
        south.do("dismiss", asked, "--reason", reason)
        north.do("receive", south.send("answer", "--to", NORTH))
        assert re.search(rf"{BAD_ADDRESS} +south-cert +false-positive +1 .* {told} ", north.do("findings"))
    assert "pc1" not in north.do("findings")


def test_leave_for_what_we_never_gave_is_asked_of_us_and_said(three: tuple[Team, Team, Team], tmp_path: Path) -> None:
    """Somebody else passed our object on: who decides sees it before it does."""
    north, south, _ = three
    with north.open() as ws:
        maker = ws.config.identity
    pack = json.loads(bundle((1,)))
    pack["objects"][0]["created_by_ref"] = maker
    (tmp_path / "pack.json").write_text(json.dumps(pack))
    for team in (north, south):
        team.do("add", "knowledge", tmp_path / "pack.json", "--marking", "amber")
    request = south.send("ask-permission", NORTH, "--for", WEST, "--until", "2099-01-01", "--reason", "x")
    north.do("receive", request)
    assert f"1 of the objects did not go from us to who asks: {pack['objects'][0]['id']}" in north.do("asks", SOUTH)


def test_the_ledger_is_told_to_programs(three: tuple[Team, Team, Team], tmp_path: Path) -> None:
    """Threads, a thread whole, permissions, withdrawals and findings as JSON: one array, or a line each."""
    north, south, _ = three
    for command in ("asks", "permissions", "withdrawals", "findings"):
        assert json.loads(north.do(command, "-t", "json")) == []
        assert north.do(command, "-t", "jsonl") == ""
    asked = south.send("ask", NORTH, "--title", "Down\x1b[2J", "--impact", "All", "--needs", "rules")
    north.do("receive", asked)
    inquiry = south.send("inquire", NORTH, "evil[.]example", "--question", "Seen?", "--needed-by", "2099-01-01")
    north.do("receive", inquiry)
    assert "\x1b" not in north.do("asks", "-t", "json")
    request, question = json.loads(north.do("asks", "--format", "json"))
    assert (request["kind"], request["state"], request["from"]["name"], request["to"]["name"]) == (
        "request",
        "asked",
        SOUTH,
        "us",
    )
    assert question["messages"] == {"inquiry": 1}
    assert question["waits_for"] | {"identity": "", "message": ""} == {
        "identity": "",
        "name": "us",
        "what": "hunt",
        "message": "",
        "due": "2099-01-01",
        "overdue": False,
    }
    assert [json.loads(line)["thread"] for line in north.do("asks", "--waiting", "-t", "jsonl").splitlines()] == [
        request["thread"],
        question["thread"],
    ]
    south.do("receive", north.send("answer", "--to", SOUTH))
    (finding,) = json.loads(south.do("findings", "-t", "json"))
    assert (finding["status"], finding["by"]["name"], finding["looked_at"]["hosts"]) == ("not-evaluated", NORTH, 0)
    (whole,) = json.loads(south.do("asks", question["thread"], "-t", "json"))
    assert [one["kind"] for one in whole["messages"]] == ["inquiry", "findings"]
    assert whole["messages"][0]["question"] == "Seen?"
    assert (whole["state"], whole["not_from_us"]) == ("answered", [])
    (tmp_path / "pack.json").write_bytes(bundle((1,)))
    north.do("add", "knowledge", tmp_path / "pack.json", "--marking", "green")
    north.do("offer", SOUTH, "--what", "Our pack", "-o", tmp_path)
    north.do("release", "--to", SOUTH, "-o", tmp_path)
    (release,) = set(re.findall(r"release--[0-9a-f-]{36}", north.do("asks", SOUTH)))
    north.do("withdraw", release, "--reason", "It was wrong", "-o", tmp_path)
    (taken,) = json.loads(north.do("withdrawals", "-t", "json"))
    assert (taken["release"], taken["ally"]["name"], taken["received"], taken["reason"]) == (
        release,
        SOUTH,
        None,
        "It was wrong",
    )
