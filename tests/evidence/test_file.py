"""Files that are no logs: one record each, where files are wanted, told as a note or as unread."""

from __future__ import annotations

import gzip
import hashlib
import zipfile
from pathlib import Path

import pytest

from aleat.errors import InputError, Issue
from aleat.evidence import ReadOptions, Source, open_sources, read_batches
from aleat.evidence.content import read_content
from aleat.evidence.readers.file import FILE_BYTES, extension_of, file_type


def found(path: Path, **options: str) -> tuple[list[Source], list[Issue]]:
    """Sources and issues at a path, files wanted."""
    both = list(open_sources([path], files=True, options=ReadOptions(**options)))
    return [item for item in both if isinstance(item, Source)], [item for item in both if isinstance(item, Issue)]


def test_a_file_gives_one_record_of_what_it_is(tmp_path: Path) -> None:
    data = b"MZ" + bytes(range(200))
    (tmp_path / "Tool.EXE").write_bytes(data)
    (source,), (note,) = found(tmp_path, host="desk")
    assert note.code == "taken-as-file"
    issues: list[Issue] = []
    (batch,) = read_batches(source, issues)
    assert (batch.format, batch.channel, issues) == ("file", "", [])
    (row,) = batch.table.to_pylist()
    assert row["host"] == "desk"
    assert (row["time"], row["record"], row["offset"]) == (None, 0, 0)
    assert {name.partition("|")[0]: row[name] for name in row if "|" in name} == {
        "name": "Tool.EXE",
        "extension": ".exe",
        "type": "EXE",
        "size": str(len(data)),
        "md5": hashlib.md5(data, usedforsecurity=False).hexdigest(),
        "sha1": hashlib.sha1(data, usedforsecurity=False).hexdigest(),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def test_a_segment_depends_on_the_bytes_and_the_name_not_on_where_the_file_lies(tmp_path: Path) -> None:
    for place in ("a/one.php", "b/one.php", "b/two.php"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_text("<?php ?>")
    segments = [batch.segment for source in found(tmp_path)[0] for batch in read_batches(source, [])]
    assert segments[0] == segments[1] != segments[2]


def test_members_of_archives_have_their_own_names(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "pack.zip", "w") as archive:
        archive.writestr("in\\side/page.php", "<?php ?>")
    (tmp_path / "blob.bin.gz").write_bytes(gzip.compress(b"\0\1\2"))
    sources, _ = found(tmp_path)
    assert [source.options.name for source in sources] == ["blob.bin", "page.php"]


def test_a_document_is_a_file_beside_its_members(tmp_path: Path) -> None:
    """Rules for Office files and the like ask for the archive's own bytes; other archives are only opened."""
    for name, member in (("report.docx", "[Content_Types].xml"), ("plain.zip", "a.xml")):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr(member, "<a/>")
    sources, _ = found(tmp_path)
    assert [Path(source.path).name for source in sources] == [
        "plain.zip!a.xml",
        "report.docx",
        "report.docx![Content_Types].xml",
    ]
    issues: list[Issue] = []
    (batch,) = read_batches(sources[1], issues)
    assert batch.table["type|s"].to_pylist() == ["ZIP"]


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("page.php", b"<?php ?>", "taken-as-file"),
        ("picture.png", b"\x89PNG\r\n\x1a\n\0", "taken-as-file"),
        ("data.txt", b"\0\1\2\3", "taken-as-file"),
        ("notes.txt", b"hello", "no-reader"),
        ("messages", b"hello", "no-reader"),
        ("app.log.1", b"hello", "no-reader"),
        ("export.json", b"{}", "no-reader"),
        ("Security.evtx", b"\0\1\2\3", "no-reader"),
        ("wide.jsonl", '{"a": "some text in it"}'.encode("utf-16-le"), "no-reader"),
    ],
)
def test_what_could_be_a_log_is_told_as_unread_all_the_same(tmp_path: Path, name: str, data: bytes, code: str) -> None:
    """By its name, and by being text: nobody takes it for read because its hash is known."""
    (tmp_path / name).write_bytes(data)
    sources, issues = found(tmp_path)
    assert ([source.reader for source in sources], [issue.code for issue in issues]) == (["file"], [code])


def test_a_file_over_the_limit_is_named_plain_or_packed(tmp_path: Path) -> None:
    with (tmp_path / "large.bin").open("wb") as file:
        file.truncate(FILE_BYTES + 1)
    sources, (issue,) = found(tmp_path)
    assert (sources, issue.code) == ([], "limit")
    with zipfile.ZipFile(tmp_path / "large.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(tmp_path / "large.bin", "large.bin")
    sources, (issue,) = found(tmp_path / "large.zip")
    assert (sources, issue.code) == ([], "limit")
    assert "file_bytes" in issue.reason
    (tmp_path / "large.bin.gz").write_bytes(gzip.compress(bytes(FILE_BYTES + 1)))
    (packed,), _ = found(tmp_path / "large.bin.gz")  # whose length nobody says
    issues: list[Issue] = []
    assert list(read_batches(packed, issues)) == []
    assert [issue.code for issue in issues] == ["limit"]
    assert "file_bytes" in issues[0].reason


def test_content_is_read_again_from_the_first_place_that_has_it(tmp_path: Path) -> None:
    """Absent and changed are two things."""
    (tmp_path / "a.php").write_text("one")
    (tmp_path / "b.php").write_text("two")
    (tmp_path / "c.php").write_text("three")
    one, two, gone = found(tmp_path)[0]
    (tmp_path / "c.php").unlink()
    digest = hashlib.sha256(b"two").hexdigest()
    assert read_content([gone, one, two], digest) == b"two"
    for sources, code in (([gone], "absent"), ([gone, one], "changed")):
        with pytest.raises(InputError) as raised:
            read_content(sources, digest)
        assert raised.value.code == code


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"\x7fELF", "ELF"),
        (b"%PDF-1.4", "PDF"),
        (b"#!/bin/sh", "SCRIPT"),
        (b"", ""),
        (b"text", ""),
        (b"7z\xbc\xaf'\x1c", "7ZIP"),
    ],
)
def test_the_first_bytes_say_what_a_file_is(data: bytes, word: str) -> None:
    assert file_type(data) == word


def test_extensions_are_in_lower_case_with_their_dot() -> None:
    assert [extension_of(name) for name in ("A.TAR.GZ", "a", ".bashrc", "a.", "ë.Ë")] == [".gz", "", "", "", ".ë"]
