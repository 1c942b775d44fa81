"""Custody: what is recorded of a source, the form to sign, the way back to its bytes, forgetting it."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aleat import Workspace
from aleat.errors import InputError, NotPermittedError
from aleat.evidence.collector import read_hash_list, read_side_file
from aleat.report.custody import CustodyForm, render_custody_html, render_custody_text
from aleat.store.lake_verify import verify_lake
from aleat.workspace.evidence import open_lake
from tests.cli.command import Call, call
from tests.workspace.conftest import Built, make
from tests.workspace.samples import access_log, evtx, json_lines, write_logs, zipped
from tests.workspace.test_verify import code, execute, flip, verified


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Call:
    """Runs the command in this process."""
    return lambda *arguments: call(capfd, *arguments)


ACQUIRED = datetime(2022, 7, 16, 10, tzinfo=UTC)


def sha256(data: bytes) -> str:
    """The hash that a collector states."""
    return hashlib.sha256(data).hexdigest()


def md5(data: bytes) -> str:
    """The same, by an older tool."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


# -------------------------------------------------------------------------------------- what is recorded


def test_a_source_has_its_collectors_words_hashes_and_times(workspace: Workspace, tmp_path: Path) -> None:
    """Note, time of acquisition, giver, hash lists of three tools and a side file stand in the source's record."""
    logs = write_logs(tmp_path / "logs")
    data = {path.name: path.read_bytes() for path in logs.iterdir()}
    sums, deep = tmp_path / "SHA256SUMS", tmp_path / "deep.txt"
    sums.write_text(f"{sha256(data['pc1.evtx'])}  ./logs/pc1.evtx\n{sha256(data['pc2.jsonl'])} *logs/pc2.jsonl\n")
    name = "portal_access.log"
    deep.write_text(
        "%%%% HASHDEEP-1.0\n%%%% size,md5,sha256,filename\n## made by hand\n"
        f"{len(data[name])},{md5(data[name])},{sha256(data[name])},/mnt/logs/{name}\n"
    )
    (logs / "pc1.evtx.md5").write_text(f"MD5 (pc1.evtx) = {md5(data['pc1.evtx'])}\n")
    added = workspace.add_evidence(
        logs, giver="ministry", note="From the server room", acquired=ACQUIRED, hash_lists=[sums, deep]
    )
    assert (added.agreeing_hashes, added.differing_hashes, added.issues) == (5, 0, ())
    form = workspace.custody()
    first = form.sources[0]
    assert (first.given_by, first.note, first.acquired) == (
        "ministry",
        "From the server room",
        "2022-07-16T10:00:00.000Z",
    )
    assert [(one.algorithm, Path(one.list).name, one.agrees) for one in first.collector] == [
        ("sha256", "SHA256SUMS", True),
        ("md5", "pc1.evtx.md5", True),
    ]
    assert [one.algorithm for one in form.sources[-1].collector] == ["md5", "sha256"]
    assert workspace.verify().faults == ()


def test_a_hash_that_differs_is_told_and_kept(workspace: Workspace, tmp_path: Path) -> None:
    """The bytes come in all the same; the mismatch is an issue, stands in the record, and ends with code 3."""
    logs = write_logs(tmp_path / "logs")
    sums = tmp_path / "SUMS"
    sums.write_text(f"{'0' * 64}  logs/pc1.evtx\n{'1' * 32}  logs/gone.evtx\n")
    added = workspace.add_evidence(logs, hash_lists=[sums])
    assert [issue.code for issue in added.issues] == ["hash-mismatch", "hash-unmatched"]
    assert (added.agreeing_hashes, added.differing_hashes) == (0, 1)
    assert "gone.evtx" in added.issues[1].reason
    kept = workspace.custody("pc1.evtx").sources[0]
    assert [(one.stated, one.found, one.agrees) for one in kept.collector] == [("0" * 64, kept.sha256, False)]
    assert [issue.code for issue in kept.issues] == ["hash-mismatch"]
    assert workspace.verify().faults == ()


def test_a_list_that_comes_later_is_compared_with_what_is_there(workspace: Workspace, tmp_path: Path) -> None:
    """The same folder again, with the list: nothing new is read in, the hashes are recorded."""
    logs = write_logs(tmp_path / "logs")
    workspace.add_evidence(logs)
    sums = tmp_path / "SUMS"
    sums.write_text(f"{sha256((logs / 'pc1.evtx').read_bytes())}  pc1.evtx\n")
    added = workspace.add_evidence(logs, hash_lists=[sums])
    assert (added.sources, added.agreeing_hashes) == (0, 1)
    assert [one.agrees for one in workspace.custody("pc1.evtx").sources[0].collector] == [True]
    before = workspace.verify()
    assert before.faults == ()
    workspace.add_evidence(logs, hash_lists=[sums])
    assert workspace.verify().entries == before.entries, "the same again says nothing new"


def test_members_of_an_archive_carry_both_hashes(workspace: Workspace, tmp_path: Path) -> None:
    """The archive's own, compared with the collector's; and the member's, by its path within."""
    inner = evtx()
    archive = tmp_path / "kape.zip"
    archive.write_bytes(zipped({"C/Windows/Logs/Security.evtx": inner, "C/other.jsonl": json_lines()}))
    sums = tmp_path / "SUMS"
    sums.write_text(f"{sha256(archive.read_bytes())}  kape.zip\n{sha256(inner)}  C:\\Windows\\Logs\\Security.evtx\n")
    added = workspace.add_evidence(archive, hash_lists=[sums])
    assert (added.agreeing_hashes, added.differing_hashes, added.issues) == (3, 0, ())
    first, second = workspace.custody().sources
    assert {first.container_sha256, second.container_sha256} == {sha256(archive.read_bytes())}
    assert {first.sha256, second.sha256} == {sha256(inner), sha256(json_lines())}
    of = {one.path.rpartition("/")[2]: [each.of for each in one.collector] for one in (first, second)}
    assert of == {"Security.evtx": ["container", "source"], "other.jsonl": ["container"]}


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        (f"{'a' * 64}  logs/a.evtx", ("logs", "a.evtx")),
        (f"{'A' * 40} *LOGS\\A.evtx", ("logs", "a.evtx")),
        (f"\\{'a' * 32}  a\\\\b.log", ("a", "b.log")),
        (f"SHA256 (dir/a b.log) = {'a' * 64}", ("dir", "a b.log")),
        (f"SHA2-256(a.log)= {'a' * 64}", ("a.log",)),
        (f"MD5(a.log)= {'a' * 32}", ("a.log",)),
    ],
)
def test_lists_of_common_tools_are_read(line: str, parts: tuple[str, ...]) -> None:
    """GNU's and BSD's tools, and openssl's."""
    found, issues = read_hash_list(f"# a comment\n{line}\r\n\n", "SUMS")
    assert [one.parts for one in found] == [parts]
    assert not issues


def test_a_table_of_powershell_is_read() -> None:
    """Get-FileHash | Export-Csv."""
    text = f'"Algorithm","Hash","Path"\n"SHA256","{"B" * 64}","E:\\logs\\a, b.evtx"\n'
    found, issues = read_hash_list(text, "hashes.csv")
    assert [(one.algorithm, one.value, one.parts) for one in found] == [("sha256", "b" * 64, ("logs", "a, b.evtx"))]
    assert not issues


@pytest.mark.parametrize("text", ["", "nonsense", "zz  a.log", f"{'a' * 33}  a.log", "a" * 9000, "\0\0", f"{'a' * 64}"])
def test_what_is_no_list_says_nothing(text: str) -> None:
    """Neither a crash nor a hash; lines that say nothing are counted with the first one's place."""
    found, issues = read_hash_list(text, "SUMS")
    assert not found
    assert [issue.place.line for issue in issues] == ([1] if text else [])


@given(st.text(st.sampled_from('0af \\\t*()=,%"\n#ZHASHDEP-56/:'), max_size=200) | st.text(max_size=80))
def test_any_text_is_read_without_a_crash(text: str) -> None:
    """What is stated has a hash of a known length, and a name; the rest is one issue."""
    found, issues = read_hash_list(text, "SUMS")
    assert all(len(one.value) in (32, 40, 64, 96, 128) and one.name for one in found)
    assert len(issues) <= 1


def test_a_side_file_may_hold_the_hash_alone() -> None:
    """`certutil`'s users and many scripts write no name."""
    assert [one.value for one in read_side_file(f" {'a' * 64}\n", "a.log.sha256", "a.log")] == ["a" * 64]
    assert read_side_file(f"{'a' * 64}  b.log\n", "a.log.sha256", "a.log") == []


def test_a_file_of_hashes_that_is_none_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    """Nothing comes in before the mistake is seen."""
    (tmp_path / "SUMS").write_text("hello\n")
    with pytest.raises(InputError, match="no list of hashes"):
        workspace.add_evidence(write_logs(tmp_path / "logs"), hash_lists=[tmp_path / "SUMS"])
    assert workspace.custody().sources == ()


# -------------------------------------------------------------------------------------- the form


def test_the_form_tells_everything_in_text_html_and_json(built: Built, tmp_path: Path) -> None:
    """Hashes, hands, times, the ledgers' heads, lines for signatures; in both languages; nothing is loaded."""
    with built.open() as ws:
        form = ws.custody()
        heads = ws.heads()
    for language, title in (("en", "CUSTODY RECORD"), ("sq", "PROCESVERBAL")):
        text = render_custody_text(form, language=language)
        page = render_custody_html(form, language=language).decode()
        assert text.startswith(title)
        assert text.count("_" * 60) == 6
        for source in form.sources:
            assert source.sha256 in text
            assert source.sha256 in page
        for head in heads:
            assert head.hash in text
            assert head.hash in page
        assert form.fingerprint in text
        assert "<script" not in page
        assert "http://" not in page
        assert max(len(line) for line in text.splitlines() if "/" not in line) <= 100
    assert msgspec.json.decode(msgspec.json.encode(form), type=CustodyForm) == form


def test_the_form_says_when_the_disk_was_pulled(tmp_path: Path) -> None:
    """By reference and there, by reference and away, copied."""
    built = make(tmp_path)
    with built.open() as ws:
        assert {one.state for one in ws.custody().sources} == {"reference"}
        (built.logs / "pc1.evtx").rename(tmp_path / "away.evtx")
        assert ws.custody("pc1.evtx").sources[0].state == "away"
        assert "its disk was pulled" in " ".join(render_custody_text(ws.custody("pc1.evtx")).split())


def test_hostile_names_and_notes_act_nowhere(workspace: Workspace, tmp_path: Path) -> None:
    """Control characters and markup of a name or a note are shown as text."""
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "<b>\x1b[31m_access.log").write_bytes(access_log(3))
    workspace.add_evidence(logs, note="<script>alert(1)</script>\x1b[2J")
    form = workspace.custody()
    text, page = render_custody_text(form), render_custody_html(form).decode()
    assert "\x1b" not in text + page
    assert "<script>" not in page
    assert "<b>" not in page


def test_sources_are_found_by_number_path_end_and_hash(built: Built) -> None:
    """What names several, or none, is said."""
    with built.open() as ws:
        form = ws.custody()
        for source in form.sources:
            for name in (str(source.number), source.path, source.path.rpartition("/")[2], source.sha256):
                assert ws.custody(name).sources == (source,)
        with pytest.raises(InputError, match="no source"):
            ws.custody("nowhere.evtx")


# -------------------------------------------------------------------------------------- back to the bytes


@pytest.mark.parametrize(
    ("name", "starts", "holds"),
    [
        ("pc1.evtx", b"**\0\0", "quillwiper /all".encode("utf-16-le")),
        ("pc2.jsonl", b'{"Event"', b"quillwiper /all"),
        ("portal_access.log", b"203.0.113.7 - -", b"GET /faqe/10"),
    ],
)
@pytest.mark.parametrize("copy", [True, False])
def test_an_event_leads_back_to_its_bytes(tmp_path: Path, name: str, starts: bytes, holds: bytes, copy: bool) -> None:
    """EVTX, JSON and text, copied and by reference: the record's own bytes, no more and no less."""
    built = make(tmp_path, copy=copy)
    with built.open() as ws:
        shown = [
            ws.show(f"{one.evidence}#{one.record}") for one in ws.hunt(workers=1).sightings if name in one.evidence
        ]
        assert shown
        for one in shown:
            original = (built.logs / name).read_bytes()
            assert one.state == "fits"
            assert one.length == len(one.original)
            assert original[one.offset : one.offset + len(one.original)] == one.original
            assert one.original.startswith(starts)
            assert holds in one.original
            assert one.original.count(starts) == 1
            assert one.source_sha256 == sha256(original)
            assert one.fields
            assert ws.show(one.event).record == one.record


def test_an_event_of_an_archives_member_leads_back_too(workspace: Workspace, tmp_path: Path) -> None:
    """The offset is in the member's own bytes; both hashes are told."""
    inner = access_log(60)
    archive = tmp_path / "logs.zip"
    archive.write_bytes(zipped({"deep/nested.zip": zipped({"portal_access.log": inner})}))
    workspace.add_evidence(archive)
    shown = workspace.show("portal_access.log:10")
    assert shown.original.rstrip() == inner.splitlines()[10]
    assert (shown.container_sha256, shown.source_sha256) == (sha256(archive.read_bytes()), sha256(inner))
    assert shown.state == "fits"


def test_bytes_that_changed_or_are_away_are_not_shown(tmp_path: Path, run: Call) -> None:
    """ "changed" ends with 1, "absent" with 3; the fields that were read are there all the same."""
    built = make(tmp_path)
    flip(built.logs / "portal_access.log", 30)
    ran = run("show", "portal_access.log:10", "-w", built.folder)
    assert ran.code == 1
    assert "changed" in ran.out
    assert "/faqe/10" in ran.out
    (built.logs / "portal_access.log").unlink()
    ran = run("show", "portal_access.log:10", "-w", built.folder)
    assert ran.code == 3
    assert "Original:  absent" in ran.out


def test_show_prints_text_escaped_and_binary_as_hexadecimal(tmp_path: Path, run: Call) -> None:
    """A terminal sees no control character; -o has the bytes as they are."""
    built = make(tmp_path)
    ran = run("show", "pc1.evtx:2", "-w", built.folder, "-o", tmp_path / "record.bin")
    assert ran.code == 0
    assert "000000  2a 2a 00 00" in ran.out
    assert (tmp_path / "record.bin").read_bytes()[:4] == b"**\0\0"
    assert not {character for character in ran.out if ord(character) < 32} - {"\n"}
    with pytest.raises(InputError, match="no record"), built.open() as ws:
        ws.show("pc1.evtx:99999")


# -------------------------------------------------------------------------------------- forgetting


def test_a_forgotten_source_is_gone_and_everything_fits(copy_of: Callable[[], Built]) -> None:
    """Segments, copy, coverage, sightings: gone. A signed entry, and the row's name: there. `verify` is green."""
    built = copy_of()
    with built.open() as ws:
        before = list(ws.hunt(workers=1).sightings)
        source = ws.custody("pc1.evtx").sources[0]
        done = ws.forget("pc1.evtx", "court order 7/2022")
        assert (done.segments, done.events, done.files) == (1, 40, 2)
        found = ws.verify()
        assert found.faults == ()
        assert (found.sources, found.segments, found.forgotten) == (2, 2, 1)
        after = ws.hunt(workers=1).sightings
        assert [one for one in before if "pc1.evtx" not in one.evidence] == list(after)
        assert len(before) > len(after)
        assert ws.hunt(workers=1).segments == 0, "nothing is hunted again"
        assert "pc1.example" not in {row.host for row in open_lake(ws).coverage()}
        form = ws.custody()
        assert [(one.path, one.sha256, one.forgotten_reason) for one in form.forgotten] == [
            (source.path, source.sha256, "court order 7/2022")
        ]
        assert "1" in render_custody_text(form)
    assert code(built) == 0
    held = b"".join(path.read_bytes() for path in built.folder.glob("aleat.db*"))
    assert b"pc1.example" not in held, "what is deleted is written over"


def test_the_report_says_how_many_sources_were_forgotten(copy_of: Callable[[], Built]) -> None:
    """In the page, beside the custody of what is left."""
    built = copy_of()
    with built.open() as ws:
        ws.forget("pc1.evtx", "retention")
        page = ws.report().html.read_text(encoding="utf-8")
    assert "1 source was forgotten" in page


def test_a_legal_hold_stops_it_until_it_is_lifted(copy_of: Callable[[], Built]) -> None:
    """The hold is on the source's bytes; a releaser lifts it for a reason."""
    built = copy_of()
    with built.open() as ws:
        ws.hold(["pc1.evtx"], "legal-hold", "the prosecutor's file 12")
        with pytest.raises(NotPermittedError, match="prosecutor's file 12"):
            ws.forget("pc1.evtx", "retention")
        assert ws.verify().forgotten == 0
        ws.lift_hold("pc1.evtx", "legal-hold", "the trial is over")
        assert ws.forget("pc1.evtx", "retention").segments == 1


def test_only_an_administrator_may_and_for_a_reason(copy_of: Callable[[], Built]) -> None:
    """An analyst may not; no reason is no reason."""
    built = copy_of()
    with built.open() as ws:
        ws.set_roles("besa", ["analyst"])
        with pytest.raises(InputError, match="reason"):
            ws.forget("pc1.evtx", " ")
    with Workspace.open(built.folder, actor="besa", key_folder=built.keys) as ws:
        with pytest.raises(NotPermittedError, match="administrator"):
            ws.forget("pc1.evtx", "retention")
        assert ws.verify().faults == ()


def test_what_others_share_stays_with_them(workspace: Workspace, tmp_path: Path) -> None:
    """A copy of the bytes takes the ranges over; a log that grew keeps the ranges that it began with."""
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "one_access.log").write_bytes(access_log(50))
    (logs / "two_access.log").write_bytes(access_log(50))
    (logs / "three_access.log").write_bytes(access_log(50))
    workspace.add_evidence(logs)
    done = workspace.forget("one_access.log", "retention")
    assert (done.segments, [Path(heir).name for heir in done.heirs]) == (0, ["three_access.log"])
    assert workspace.verify().faults == ()
    assert [Path(row.sources[0].path).name for row in open_lake(workspace).segments()] == ["three_access.log"]
    assert workspace.show("three_access.log:10").state == "fits"
    assert workspace.forget("three_access.log", "retention").heirs[0].endswith("two_access.log")
    assert workspace.verify().faults == ()
    assert workspace.custody("two_access.log").sources[0].records == 50
    last = workspace.forget("two_access.log", "retention")
    assert (last.segments, last.heirs) == (1, ())
    assert workspace.verify().faults == ()
    assert open_lake(workspace).segments() == []


def test_an_archives_copy_stays_while_others_lie_in_it(workspace: Workspace, tmp_path: Path) -> None:
    """The last of its members takes the copy along."""
    (tmp_path / "two.zip").write_bytes(zipped({"a_access.log": access_log(20), "b.jsonl": json_lines()}))
    workspace.add_evidence(tmp_path / "two.zip", copy=True)
    assert workspace.forget("a_access.log", "retention").kept_copy
    assert len(list((workspace.folder / "evidence").iterdir())) == 1
    assert not workspace.forget("b.jsonl", "retention").kept_copy
    assert list((workspace.folder / "evidence").iterdir()) == []
    assert workspace.verify().faults == ()


def test_an_archive_is_held_and_forgotten_as_a_whole(workspace: Workspace, tmp_path: Path) -> None:
    """Its path stands for all that lies in it; a hold on it is on each member."""
    (tmp_path / "two.zip").write_bytes(zipped({"a_access.log": access_log(20), "b.jsonl": json_lines()}))
    workspace.add_evidence(tmp_path / "two.zip", copy=True)
    workspace.hold(["two.zip"], "legal-hold", "the file 12")
    for name in ("two.zip", "b.jsonl"):
        with pytest.raises(NotPermittedError, match="the file 12"):
            workspace.forget(name, "retention")
    assert workspace.verify().forgotten == 0
    workspace.lift_hold("two.zip", "legal-hold", "over")
    done = workspace.forget("two.zip", "retention")
    assert (len(done.sources), done.segments, done.files, done.kept_copy) == (2, 2, 3, False)
    assert (workspace.verify().faults, workspace.verify().forgotten) == ((), 2)
    assert len(workspace.custody("two.zip").forgotten) == 2


def test_what_was_forgotten_can_come_in_again_and_that_is_said(copy_of: Callable[[], Built]) -> None:
    """The same file again is a new source; who adds it is told, and it can be forgotten again."""
    built = copy_of()
    with built.open() as ws:
        before = ws.verify().lake
        ws.forget("pc1.evtx", "retention")
        added = ws.add_evidence(built.logs / "pc1.evtx", copy=True)
        assert (added.sources, [issue.code for issue in added.issues]) == (1, ["forgotten-before"])
        found = ws.verify()
        assert (found.faults, found.lake, found.sources, found.forgotten) == ((), before, 3, 0)
        assert ws.forget("pc1.evtx", "again").segments == 1
        assert ws.verify().faults == ()


def test_a_forgetting_that_was_cut_off_is_named_and_goes_on(copy_of: Callable[[], Built]) -> None:
    """The rows went in one transaction, the files didn't: `verify` names them, the next call removes them."""
    built = copy_of()
    copies = {
        path: path.read_bytes() for folder in ("segments", "evidence") for path in (built.folder / folder).iterdir()
    }
    with built.open() as ws:
        ws.forget("pc1.evtx", "retention")
        gone = {path: data for path, data in copies.items() if not path.exists()}
        assert len(gone) == 2
        for path, data in gone.items():
            path.write_bytes(data)
        faults = ws.verify().faults
        assert sorted(fault.name for fault in faults) == sorted(map(str, gone))
        assert {fault.what for fault in faults} == {"forgotten-remains"}
        again = ws.forget("pc1.evtx", "retention")
        assert (again.repeated, again.files) == (True, 2)
        assert ws.verify().faults == ()


@pytest.mark.parametrize("column", ["forgotten", "sha256", "path", "facts"])
def test_a_changed_row_of_a_forgotten_source_is_found(copy_of: Callable[[], Built], column: str) -> None:
    """The name that is left is bound to the ledger like all others; and nobody is forgotten by hand."""
    built = copy_of()
    with built.open() as ws:
        ws.forget("pc1.evtx", "retention")
        assert ws.verify().faults == ()
    execute(built.folder, f"UPDATE sources SET {column} = substr({column}, 1, length({column}) - 1) WHERE id = 1")  # noqa: S608
    assert verified(built).faults


def test_a_source_that_was_hidden_by_hand_is_found(copy_of: Callable[[], Built]) -> None:
    """A row marked as forgotten that the ledger doesn't know of."""
    built = copy_of()
    execute(built.folder, "UPDATE sources SET forgotten = '2022-07-20T12:00:00.000Z' WHERE id = 1")
    assert verified(built).faults


def test_an_unfinished_source_can_be_forgotten(workspace: Workspace, tmp_path: Path) -> None:
    """What a killed ingest left."""
    logs = write_logs(tmp_path / "logs")
    workspace.add_evidence(logs)
    with closing(sqlite3.connect(workspace.folder / "aleat.db")) as connection, connection:
        connection.execute("UPDATE sources SET sha256 = NULL, size = NULL WHERE id = 1")
        connection.execute("DELETE FROM ledger_entries WHERE ledger = 'custody' AND seq = 2")
    workspace.forget("1", "retention")
    assert workspace.custody().forgotten[0].sha256 == ""
    assert [fault for fault in verify_lake(open_lake(workspace)) if "forgotten" in fault.reason] == []
