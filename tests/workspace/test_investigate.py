"""The main job in one go: everything is sorted by what it is, and answered honestly."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from aleat import Workspace
from aleat.cli import main
from aleat.workspace import BuiltCase
from tests import usage
from tests.cli.command import aleat
from tests.examples.simulation import load
from tests.workspace.samples import NEWS, RULE, SECOND_RULE, write_logs, write_pack, zipped


def names(paths: tuple[Path, ...]) -> set[str]:
    """The names of files or folders."""
    return {path.name for path in paths}


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """A folder with everything in it, under names that say nothing."""
    folder = tmp_path / "mixed"
    logs, pack = write_logs(tmp_path / "l"), write_pack(tmp_path / "p")
    (folder / "one" / "two").mkdir(parents=True)
    for number, path in enumerate([*sorted(logs.iterdir()), *sorted(pack.rglob("*.*"))]):
        target = folder / ("one" if number % 2 else "one/two") / f"item{number}{path.suffix}"
        target.write_bytes(path.read_bytes())
    (folder / "letter.txt").write_text(NEWS, encoding="utf-8")
    (folder / "rules.zip").write_bytes(zipped({"a/second.yml": SECOND_RULE.encode(), "a/wiper.yml": RULE.encode()}))
    (folder / "picture.bin").write_bytes(bytes(range(256)) * 20)
    return folder


def test_everything_is_sorted_by_its_content(workspace: Workspace, mixed: Path) -> None:
    """Logs, rules, bundles, lists, archives of rules, a news text; what is none of it is evidence as a file."""
    done = workspace.investigate(mixed, giver="north", workers=1)
    assert len(done.sorted.evidence) == 4
    assert names(done.sorted.statements) == {"letter.txt"}
    assert done.knowledge.kinds == {"sigma indicator": 3, "stix indicator": 2}
    assert "picture.bin" in names(done.sorted.evidence)
    assert (done.sorted.issues, done.evidence.issues, done.evidence.files) == ((), (), 1)
    assert done.evidence.events == 130 + 1
    assert done.sightings == 4 + 40
    assert done.answer.paragraph.startswith("Yes, you were hit")


def test_the_report_its_bundle_and_all_sightings_are_written(workspace: Workspace, mixed: Path) -> None:
    """Three files, each whole: HTML that loads nothing, STIX, one line a sighting."""
    files = workspace.investigate(mixed, workers=1).report
    html = files.html.read_text(encoding="utf-8")
    assert "you were hit" in html
    assert not [word for word in ("<script src", "<link", "<iframe", "@import", 'src="http') if word in html]
    bundle = json.loads(files.bundle.read_bytes())
    assert bundle["type"] == "bundle"
    assert {"incident", "note"} <= {item["type"] for item in bundle["objects"]}
    assert len(files.sightings.read_bytes().splitlines()) == 44
    assert not [path for path in files.html.parent.iterdir() if path.name.endswith(".part")]


def test_a_news_text_alone_opens_a_case_of_alleged_incidents(workspace: Workspace, tmp_path: Path) -> None:
    """Nothing is confirmed, no date is made up, and what to collect is listed."""
    (tmp_path / "news.txt").write_text(NEWS, encoding="utf-8")
    done = workspace.investigate(tmp_path / "news.txt", workers=1)
    assert (done.sightings, done.evidence.events, len(done.sorted.statements)) == (0, 0, 1)
    assert "nothing is confirmed" in done.answer.paragraph
    built: BuiltCase = workspace.build_case()
    assert built.case.incidents == ()
    assert built.case.campaigns == ()
    assert len(built.case.alleged) >= 2
    assert built.case.collect
    assert {claim.act for claim in built.case.claims} >= {"accuses", "denies", "offers"}
    for claim in built.case.claims:
        start = claim.byte_offset
        assert NEWS.encode()[start : start + len(claim.quote.encode())].decode() == claim.quote
    bundle = json.loads(done.report.bundle.read_bytes())
    confirmed = [item for item in bundle["objects"] if item["type"] in ("sighting", "campaign", "observed-data")]
    assert not confirmed
    assert "early September" in NEWS
    shown = re.sub("2022-09-01 (–|to) 2022-09-30", "", done.report.html.read_text(encoding="utf-8"))
    assert "2022-09-0" not in shown, "the text settles the month, and no day of it"


def test_evidence_without_hits_gives_an_honest_no(workspace: Workspace, tmp_path: Path) -> None:
    """It says what was looked at, and from when to when; nobody is accused."""
    logs = write_logs(tmp_path / "logs", bad=False)
    done = workspace.investigate(logs, write_pack(tmp_path / "pack"), workers=1)
    assert done.sightings == 0
    paragraph = done.answer.paragraph
    assert paragraph.startswith("Nothing of what was looked for was seen in what was looked at")
    for fact in ("130 events", "2022-07-15 08:00 UTC", "2022-07-15 08:59 UTC"):
        assert fact in paragraph
    built = workspace.build_case()
    assert {row.host for row in built.case.coverage} >= {"pc1.example", "pc2.example"}
    assert sum(row.events for row in built.case.coverage) == 130
    assert not [assessment for assessment in built.attribution if assessment.verdict == "assessed"]


def test_a_second_investigation_adds_to_the_first(workspace: Workspace, tmp_path: Path) -> None:
    """What is known is noticed, and the answer covers all that is there."""
    logs, pack = write_logs(tmp_path / "logs"), write_pack(tmp_path / "pack")
    first = workspace.investigate(logs, workers=1)
    assert first.sightings == 0
    second = workspace.investigate(pack, workers=1)
    assert second.sightings == 4
    third = workspace.investigate(logs, pack, workers=1)
    assert (third.evidence.segments, third.knowledge.new, third.sightings) == (0, 0, 4)
    assert third.answer.paragraph == second.answer.paragraph


def test_times_that_cannot_be_cost_nothing(tmp_path: Path) -> None:
    """Lines of the calendar's ends, pushed over them by their offsets: a report is made, in any zone."""
    line = '198.51.100.1 - - [{}] "GET /quillwiper HTTP/1.1" 200 512\n'
    times = ("01/Jan/0001:00:00:00 +1400", "15/Jul/2022:10:00:00 +0200", "31/Dec/9999:23:59:59 -1400")
    (tmp_path / "web.log").write_text("".join(line.format(time) for time in times), encoding="utf-8")
    with Workspace.init(tmp_path / "case", key_folder=tmp_path / "keys", zone="America/New_York") as ws:
        done = ws.investigate(tmp_path / "web.log", write_pack(tmp_path / "pack"), workers=1)
    assert done.evidence.events == 3
    assert done.report.html.is_file()


def test_an_empty_folder_is_told_with_code_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing could be looked at: one line says so, and so does the code."""
    (tmp_path / "empty").mkdir()
    code = main(["investigate", str(tmp_path / "empty"), "-w", str(tmp_path / "case")])
    said = capsys.readouterr()
    assert code == 3
    assert "empty: The folder is empty." in said.err
    assert "Nothing was given" in said.out


def test_the_usage_script_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The front door, typed as in DESIGN."""
    pack, logs = write_pack(tmp_path / "pack"), write_logs(tmp_path / "logs")
    usage.main([str(tmp_path / "case"), str(pack), str(logs)])
    said = capsys.readouterr().out
    assert "3 objects, 130 events" in said
    assert "Yes, you were hit" in said


@pytest.mark.long
def test_the_example_at_a_fiftieth_is_answered_from_the_command_line(tmp_path: Path) -> None:
    """The real command on the example: everything sorted, hit, the right sponsor first, outages with their cause."""
    truth = load().build(tmp_path / "example", seed=2022, scale=0.02)
    parts = [tmp_path / "example" / name for name in ("pack", "evidence", "statements")]
    ran = aleat("investigate", *parts, "-w", tmp_path / "case", "-q", keys=tmp_path / "keys", timeout=300)
    assert ran.code == 0, ran.err
    said = " ".join(ran.out.split())
    assert f"{truth['events']['total']:,} events" in said
    assert "Yes, you were hit" in said
    assert truth["sponsor"] in said
    for outage in truth["outages"]:
        if outage["cause"] == "attacker":
            assert f"{outage['service']} from {outage['last_served'][:10]}" in said
    with Workspace.open(tmp_path / "case", key_folder=tmp_path / "keys", actor="agim") as ws:
        built = ws.build_case()
        assert ws.verify().faults == ()
    hosts = {host.split(".")[0].upper() for incident in built.case.incidents for host in incident.hosts}
    assert not hosts & set(truth["benign_hosts"])
    assert (tmp_path / "case" / "reports" / "report.html").stat().st_size > 10_000
