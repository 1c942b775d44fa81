"""From paths to sources: order, archives, and what can't be opened."""

from __future__ import annotations

import gzip
import io
import os
import stat
import zipfile
from pathlib import Path

import pytest

from aleat.errors import Issue
from aleat.evidence import Limits, Source, open_sources, read_batches
from tests.evidence.evtx_writer import evtx_bytes, sample

LOG = b'198.51.100.7 - - [15/Jul/2022:10:00:01 +0200] "GET /a HTTP/1.1" 200 512\n'


def found(*paths: Path, limits: Limits | None = None) -> tuple[list[Source], list[Issue]]:
    everything = list(open_sources(paths, limits=limits))
    return [item for item in everything if isinstance(item, Source)], [
        item for item in everything if isinstance(item, Issue)
    ]


def count(source: Source, issues: list[Issue] | None = None) -> int:
    return sum(batch.table.num_rows for batch in read_batches(source, issues if issues is not None else []))


def zip_of(members: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return target.getvalue()


def test_a_folder_is_walked_in_sorted_order(tmp_path: Path) -> None:
    for name in ("b/2.log", "a/1.log", "c.log", "b/10.log"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(LOG)
    sources, issues = found(tmp_path)
    names = [Path(source.path).relative_to(tmp_path).as_posix() for source in sources]
    assert names == ["a/1.log", "b/10.log", "b/2.log", "c.log"]
    assert issues == []


def test_archives_are_read_in_place(tmp_path: Path) -> None:
    inner = zip_of({"deep/x.evtx": evtx_bytes(sample(3))})
    (tmp_path / "all.zip").write_bytes(
        zip_of({"web.log.gz": gzip.compress(LOG * 4), "inner.zip": inner, "plain.log": LOG * 2})
    )
    (tmp_path / "one.log.gz").write_bytes(gzip.compress(LOG * 5))
    sources, issues = found(tmp_path)
    assert issues == []
    root = tmp_path.as_posix()
    assert {source.path.removeprefix(root): count(source) for source in sources} == {
        "/all.zip!inner.zip!deep/x.evtx": 3,
        "/all.zip!plain.log": 2,
        "/all.zip!web.log.gz": 4,
        "/one.log.gz": 5,
    }


def test_a_symlink_loop_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.log").write_bytes(LOG)
    (tmp_path / "a" / "loop").symlink_to(tmp_path / "a", target_is_directory=True)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    (tmp_path / "nowhere").symlink_to(tmp_path / "missing")
    sources, issues = found(tmp_path)
    assert len(sources) == 1
    assert [issue.code for issue in issues] == ["symlink-loop", "unreadable-file", "symlink-loop"]


def test_what_is_no_file_or_is_empty_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "nothing.log").touch()
    os.mkfifo(tmp_path / "pipe")
    sources, issues = found(tmp_path, tmp_path / "absent")
    assert sources == []
    assert [issue.code for issue in issues] == ["empty-folder", "empty-file", "not-a-file", "unreadable-file"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.log").write_bytes(LOG)
    (tmp_path / "x.log").chmod(0)
    assert [issue.code for issue in found(tmp_path)[1]] == ["unreadable-file"]


def test_a_text_called_evtx_is_named_with_advice(tmp_path: Path) -> None:
    (tmp_path / "x.evtx").write_text("just text\n")
    (issue,) = found(tmp_path)[1]
    assert issue.code == "no-reader"
    assert "holds no EVTX log" in issue.reason


def test_what_no_reader_knows_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello\n")
    (issue,) = found(tmp_path)[1]
    assert issue.code == "no-reader"


def test_members_that_climb_out_are_not_read(tmp_path: Path) -> None:
    data = zip_of({"../up.log": LOG, "/root.log": LOG, "C:\\x.log": LOG, "..\\up.log": LOG, "fine.log": LOG})
    (tmp_path / "x.zip").write_bytes(data)
    sources, issues = found(tmp_path)
    assert [source.path.partition("!")[2] for source in sources] == ["fine.log"]
    assert [issue.code for issue in issues] == ["unsafe-name"] * 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.zip"]


def test_a_zip_that_would_explode_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(zip_of({"bomb.log": LOG * 200_000}))
    limits = Limits(expansion_free_bytes=1_000_000, expansion_ratio=20)
    sources, issues = found(tmp_path, limits=limits)
    assert sources == []
    assert "limit: expansion_ratio" in issues[0].reason


def test_a_gzip_that_explodes_is_stopped(tmp_path: Path) -> None:
    (tmp_path / "x.log.gz").write_bytes(gzip.compress(LOG * 200_000))
    limits = Limits(expansion_free_bytes=2_000_000, expansion_ratio=20)
    sources, _ = found(tmp_path, limits=limits)
    issues: list[Issue] = []
    assert count(sources[0], issues) < 200_000
    assert [issue.code for issue in issues] == ["broken-line", "limit"]
    assert "expansion_ratio" in issues[1].reason


def test_archives_within_archives_have_a_limit(tmp_path: Path) -> None:
    data = LOG
    for _ in range(8):
        data = gzip.compress(data)
    (tmp_path / "x.gz").write_bytes(data)
    assert "limit: archive_depth" in found(tmp_path)[1][0].reason


def test_too_many_members_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(zip_of({f"{number}.log": LOG for number in range(20)}))
    assert "limit: archive_members" in found(tmp_path, limits=Limits(archive_members=10))[1][0].reason


def test_encrypted_members_and_links_are_named(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("secret.log", LOG)
        archive.writestr(link, "/etc/passwd")
        archive.writestr("__MACOSX/._x", b"note")
    data = bytearray(target.getvalue())
    at = data.find(b"PK\x01\x02")
    data[at + 8] |= 1  # the central directory says that it is encrypted
    data[6] |= 1
    (tmp_path / "x.zip").write_bytes(bytes(data))
    sources, issues = found(tmp_path)
    assert sources == []
    assert [issue.code for issue in issues] == ["passed-over", "encrypted", "passed-over"]
    assert "1 members under __MACOSX" in issues[2].reason


@pytest.mark.parametrize("cut", [10, 60, 200])
def test_a_cut_off_archive_is_named(tmp_path: Path, cut: int) -> None:
    whole = zip_of({"a.log": LOG * 500, "b.log": os.urandom(300)})
    (tmp_path / "x.zip").write_bytes(whole[:-cut])
    _, issues = found(tmp_path)
    assert issues[0].code == "broken-archive"


def test_a_damaged_gzip_gives_what_comes_before(tmp_path: Path) -> None:
    lines = b"".join(LOG.replace(b"/a", b"/%d" % number) for number in range(30_000))
    whole = gzip.compress(lines)
    (tmp_path / "x.gz").write_bytes(whole[: len(whole) - 20_000])
    sources, issues = found(tmp_path)
    for source in sources:
        count(source, issues)
        assert 20_000 < count(source) < 30_000
    assert [issue.code for issue in issues] == ["broken-line", "input"]
    assert "breaks off" in issues[1].reason


def test_file_names_that_are_no_text_are_shown(tmp_path: Path) -> None:
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.log")).write_bytes(LOG)
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    (source,), _ = found(tmp_path)
    assert source.path.endswith("\ufffd.log")
    assert count(source) == 1
