"""Collections, passwords, limits and URLs through the workspace's verbs: what custody keeps of them, and what not."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest

from aleat import Workspace
from aleat.errors import InputError
from aleat.evidence import Secrets, change_limits
from aleat.evidence.content import read_content
from aleat.hunt.in_lake import file_sources
from aleat.workspace import hunt_once
from aleat.workspace.evidence import open_lake
from tests.cli.command import call
from tests.evidence.opening.archives import COMPRESSIONS, lines, tar_of, zip_of
from tests.evidence.opening.test_layouts import KAPE, PATH, VELOCIRAPTOR

SAMPLES = Path(__file__).parents[1] / "evidence" / "opening" / "samples"


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    return Workspace.init(tmp_path / "case", organisation="South", actor="agim", key_folder=tmp_path / "keys")


def _contents(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


@pytest.mark.parametrize(("tool", "members", "agreeing"), [("Velociraptor", VELOCIRAPTOR, 2), ("KAPE", KAPE, 1)])
def test_what_a_collection_tells_is_in_custody(
    tmp_path: Path, ws: Workspace, tool: str, members: dict[str, bytes], agreeing: int
) -> None:
    (tmp_path / "x.zip").write_bytes(zip_of(members))
    with ws:
        added = ws.add_evidence(tmp_path / "x.zip")
        assert (added.agreeing_hashes, added.differing_hashes) == (agreeing, 0)
        (row,) = [row for row in open_lake(ws).sources() if row.facts.path.endswith("a.log")]
        assert row.facts.origin == {"collector": tool, "host": "WEB01", "original_path": PATH}
        assert row.facts.options["host"] == "WEB01"
        assert ws.verify().faults == ()


def test_a_file_that_was_changed_since_it_was_collected_is_told(tmp_path: Path, ws: Workspace) -> None:
    name = "C/inetpub/logs/LogFiles/W3SVC1/a.log"
    (tmp_path / "x.zip").write_bytes(zip_of(KAPE | {name: KAPE[name] + lines(1)}))
    with ws:
        added = ws.add_evidence(tmp_path / "x.zip")
    assert added.differing_hashes == 1
    assert "hash-mismatch" in [issue.code for issue in added.issues]


def test_passwords_open_archives_and_stay_nowhere(tmp_path: Path, ws: Workspace) -> None:
    with ws:
        shut = ws.add_evidence(SAMPLES / "aes256.zip")
        assert "encrypted" in [issue.code for issue in shut.issues]
        word = "a pass phrase that stands nowhere"
        added = ws.add_evidence(SAMPLES / "aes256.zip", SAMPLES / "header.7z", secrets=Secrets([word, "secret"]))
        assert (added.sources, added.known_sources, added.events) == (3, 5, 120)
        assert ws.verify().faults == ()
        (row, *_) = open_lake(ws).sources()
        with pytest.raises(InputError, match="password isn't kept"):
            read_content(file_sources(open_lake(ws))[row.id], row.sha256 or "")
    assert word.encode() not in _contents(tmp_path)


def test_limits_are_raised_for_one_call(tmp_path: Path, ws: Workspace) -> None:
    (tmp_path / "x.tar.gz").write_bytes(COMPRESSIONS["gz"](tar_of({f"{n}.log": lines(1, str(n)) for n in range(9)})))
    with ws:
        few = ws.add_evidence(tmp_path / "x.tar.gz", limits=change_limits(["archive_members=4"]))
        assert (few.sources, [issue.code for issue in few.issues]) == (4, ["limit"])
        assert ws.add_evidence(tmp_path / "x.tar.gz").sources == 5


@pytest.mark.parametrize("copy", [False, True])
def test_evidence_at_a_url_has_its_address_in_custody(tmp_path: Path, ws: Workspace, copy: bool) -> None:
    store = fsspec.filesystem("memory")
    store.pipe("/case/a.log", lines(20))
    store.pipe("/case/b.tar.gz", COMPRESSIONS["gz"](tar_of({"var/log/c.log": lines(30, "c")})))
    try:
        with ws:
            added = ws.add_evidence("memory://case", copy=copy, workers=1 if copy else 2)
            assert (added.events, added.issues) == (50, ())
            first, second = open_lake(ws).sources()
            assert first.facts.origin["url"] == "memory://case/a.log"
            assert first.facts.origin["sha256"] == first.sha256
            assert second.facts.origin["original_path"] == "/var/log/c.log"
            assert second.facts.container_sha256 == second.facts.origin["sha256"]
            assert first.facts.copied == copy
            assert copy or first.facts.file == "memory://case/a.log"
            checked = ws.verify()
            assert checked.faults == ()
            assert len(checked.absent) == (0 if copy else 2)
            assert ws.add_evidence("memory://case", copy=copy).sources == 0
            assert copy or ws.investigate("memory://case", name="x").evidence.known_sources == 2
    finally:
        store.rm("/case", recursive=True)


def test_hunts_without_a_workspace_take_the_same(tmp_path: Path) -> None:
    rule = tmp_path / "rule.yml"
    rule.write_text(
        "title: x\nid: 4d7b4d5c-0000-4000-8000-000000000001\nlogsource: {category: webserver}\n"
        "detection:\n  a: {cs-uri-stem|startswith: /1}\n  condition: a\n"
    )
    output = tmp_path / "out.jsonl"
    done = hunt_once([SAMPLES / "aes128.zip"], [rule], output, secrets=Secrets(["secret"]), workers=1)
    assert done.result.events == 140


def test_the_commands_take_limits_and_passwords(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ALEAT_KEYS", str(tmp_path / "keys"))
    folder = str(tmp_path / "case")
    words = tmp_path / "words"
    words.write_bytes(b"\xef\xbb\xbfwrong\r\nsecret\r\n")
    call(capfd, "init", folder, "--organisation", "South")
    sample = SAMPLES / "zipcrypto.zip"
    done = call(capfd, "add", "evidence", sample, "--password-file", words, "-w", folder, "-q")
    assert "3 sources (1 known already)" in done.said
    done = call(capfd, "add", "evidence", sample, "--limit", "nonsense=1", "-w", folder, "-q")
    assert done.code != 0
    assert "no limit called" in done.said


def test_a_file_of_passwords_that_can_not_be_read_is_told(tmp_path: Path) -> None:
    from aleat.cli.options import archive_options  # noqa: PLC0415

    with pytest.raises(InputError, match="can't be read"):
        archive_options((), (), tmp_path / "nothing")
