"""Disk images: refused by name without the other program; read like an archive from a stranger with it.

The other program is a stand-in here: it sends what `image_to_tar.py` sends, and misbehaves as programs may.
"""

from __future__ import annotations

import io
import json
import os
import stat
import sys
import tarfile
from pathlib import Path

import pytest

from aleat.evidence import Limits
from aleat.evidence.opening import image_to_tar
from tests.evidence.opening.archives import again, codes, found, lines

WEB = lines(20)
IMAGE = b"QFI\xfb" + bytes(5000)


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("ALEAT_DISSECT", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    path = tmp_path / "disk.qcow2"
    path.write_bytes(IMAGE)
    return path


def _stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """Name a program that answers like the Python with dissect.target."""
    script = folder / "stand-in"
    script.write_text(f"#!{sys.executable}\nimport sys\nfrom pathlib import Path\n{body}\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("ALEAT_DISSECT", str(script))


def _archive(members: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return target.getvalue()


FACTS = json.dumps({"hostname": "WEB01", "os": "windows"}).encode()
END = json.dumps({"errors": [["c:/x", "OSError"]], "count": 3, "files": 2}).encode()
FILES = {"C/inetpub/logs/LogFiles/W3SVC1/a.log": WEB, "var/log/b.log": WEB}


def test_an_image_is_refused_by_name_where_nothing_opens_it(image: Path) -> None:
    counts, (issue,), _ = found(image)
    assert (counts, issue.code) == ({}, "no-reader")
    assert "QCOW2" in issue.reason
    assert "dissect.target" in issue.advice


@pytest.mark.skipif(os.name == "nt", reason="the stand-in is a script with an interpreter line")
def test_an_images_files_come_with_host_and_path(image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = tmp_path / "answer"
    answer.write_bytes(_archive({"aleat-image.json": FACTS, **FILES, "aleat-end.json": END}))
    _stand_in(tmp_path, monkeypatch, f"sys.stdout.buffer.write(Path({str(answer)!r}).read_bytes())")
    counts, issues, sources = found(image)
    assert counts == dict.fromkeys(FILES, 20)
    assert codes(issues) == ["unreadable-file", "unreadable-file"]
    assert "2 further files" in issues[1].reason
    origins = [source.origin for source in sources]
    assert [(one.collector, one.host, one.path) for one in origins if one is not None] == [
        ("dissect.target", "WEB01", "C:\\inetpub\\logs\\LogFiles\\W3SVC1\\a.log"),
        ("dissect.target", "WEB01", "/var/log/b.log"),
    ]
    assert again(sources) == counts


@pytest.mark.skipif(os.name == "nt", reason="the stand-in is a script with an interpreter line")
@pytest.mark.parametrize(
    ("body", "events"),
    [
        ("sys.exit(3)", 0),
        ("sys.stdout.buffer.write(Path(ANSWER).read_bytes()[:6000])", 20),
        ("sys.stdout.buffer.write(b'no archive' * 1000)", 0),
        ("sys.stdout.buffer.write(bytes(5000))", 0),
    ],
)
def test_a_program_that_misbehaves_is_told(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, events: int
) -> None:
    answer = tmp_path / "answer"
    answer.write_bytes(_archive({"aleat-image.json": FACTS, **FILES, "aleat-end.json": END}))
    _stand_in(tmp_path, monkeypatch, body.replace("ANSWER", repr(str(answer))))
    counts, issues, _ = found(image)
    assert "broken-archive" in codes(issues)
    assert counts.get("C/inetpub/logs/LogFiles/W3SVC1/a.log", 0) == events


@pytest.mark.skipif(os.name == "nt", reason="the stand-in is a script with an interpreter line")
def test_an_image_gives_no_more_than_the_limit(image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = tmp_path / "answer"
    answer.write_bytes(_archive({"aleat-image.json": FACTS, "var/log/b.log": WEB * 100}))
    _stand_in(tmp_path, monkeypatch, f"sys.stdout.buffer.write(Path({str(answer)!r}).read_bytes())")
    assert "limit" in codes(found(image, limits=Limits(image_bytes=20_000))[1])


def test_a_program_that_is_not_there_is_told(image: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ALEAT_DISSECT", str(tmp_path / "nothing"))
    (issue,) = found(image)[1]
    assert (issue.code, "ALEAT_DISSECT" in issue.advice) == ("broken-archive", True)


def test_later_parts_of_an_image_are_its_own(image: Path) -> None:
    folder = image.parent / "case"
    folder.mkdir()
    for ending in ("E01", "E02"):
        (folder / f"disk.{ending}").write_bytes(b"EVF\x09\x0d\x0a\xff\x00" + bytes(1000))
    assert codes(found(folder)[1]) == ["no-reader", "passed-over"]


def test_what_the_other_program_looks_for_is_found_in_a_tree(tmp_path: Path) -> None:
    """`image_to_tar`'s patterns, over a folder in place of an image."""
    for name in ("var/log/a/b.log", "var/log/c.log", "Home/u/.bash_history", "home2/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(WEB)
    (tmp_path / "var/log/link").symlink_to(tmp_path)
    writer = image_to_tar.Writer(io.BytesIO())

    def names(pattern: str) -> list[str]:
        return ["/".join(found) for _, found in image_to_tar.matching(tmp_path, pattern.split("/"), writer)]

    assert names("var/log/**") == ["var/log/a/b.log", "var/log/c.log"]
    assert names("var/log/*.log") == ["var/log/c.log"]
    assert names("h*/*/.*_history") == ["Home/u/.bash_history"]
    assert names("var/none/*") == []
    assert writer.errors == []
