"""The opener: what an ally's folder or archive may do to us, and may not."""

from __future__ import annotations

import os
import stat
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aleat.errors import InputError, Issue
from aleat.knowledge import Document, Limits
from aleat.knowledge.opener import open_documents


def found(path: Path, limits: Limits | None = None) -> tuple[dict[str, bytes], dict[str, str]]:
    """Contents by relative path, and codes of issues by path."""
    contents: dict[str, bytes] = {}
    codes: dict[str, str] = {}
    for item in open_documents(path, limits):
        if isinstance(item, Issue):
            codes[item.place.path.removeprefix(path.as_posix()).lstrip("/!")] = item.code
        else:
            contents[item.relative] = item.read()
    return contents, codes


def pack(path: Path, members: dict[str, bytes], **options: object) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_a_folder_is_walked_in_the_order_of_names(tmp_path: Path) -> None:
    """Whatever order the disk has them in; hidden files too."""
    for name in ("b/z.txt", "a.txt", "b/a.txt", "c.txt", ".hidden", "b/B.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    documents = [item for item in open_documents(tmp_path) if isinstance(item, Document)]
    assert [item.relative for item in documents] == [".hidden", "a.txt", "c.txt", "b/B.txt", "b/a.txt", "b/z.txt"]
    assert [item.suffix for item in documents][:2] == ["", ".txt"]
    assert documents[0].read() == documents[0].head == b".hidden"


def test_an_archive_is_walked_like_a_folder(tmp_path: Path) -> None:
    """A single folder around everything doesn't count; members are named with an exclamation mark."""
    path = pack(tmp_path / "p.zip", {"top/b.yml": b"b", "top/a/": b"", "top/a/x.yml": b"x"})
    documents = [item for item in open_documents(path) if isinstance(item, Document)]
    assert [(item.path, item.relative) for item in documents] == [
        (f"{path.as_posix()}!top/a/x.yml", "a/x.yml"),
        (f"{path.as_posix()}!top/b.yml", "b.yml"),
    ]


def test_what_is_not_there_or_empty_is_named(tmp_path: Path) -> None:
    """A missing path, an empty folder, an empty file."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "nothing.txt").touch()
    assert found(tmp_path / "none") == ({}, {"": "missing"})
    assert found(tmp_path / "empty") == ({}, {"": "empty"})
    assert found(tmp_path / "nothing.txt") == ({}, {"": "empty"})
    assert found(pack(tmp_path / "e.zip", {})) == ({}, {"": "empty"})


def test_links_are_followed_inside_only_and_never_in_a_circle(tmp_path: Path) -> None:
    """A pack can't make us read our own secrets."""
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    root = tmp_path / "pack"
    (root / "sub").mkdir(parents=True)
    (root / "sub" / "a.txt").write_text("a")
    (root / "inside").symlink_to(root / "sub" / "a.txt")
    (root / "outside").symlink_to(secret)
    (root / "sub" / "loop").symlink_to(root)
    (root / "self").symlink_to(root / "self")
    (root / "dangling").symlink_to(root / "gone")
    contents, codes = found(root)
    assert contents == {"inside": b"a", "sub/a.txt": b"a"}
    assert codes == {
        "outside": "link-outside",
        "sub/loop": "link-loop",
        "self": "link-loop",
        "dangling": "unreadable",
    }


def test_two_links_to_one_folder_are_no_loop(tmp_path: Path) -> None:
    """Only a folder within itself is."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.txt").write_text("a")
    (tmp_path / "one").symlink_to(tmp_path / "real")
    (tmp_path / "two").symlink_to(tmp_path / "real")
    contents, codes = found(tmp_path)
    assert sorted(contents) == ["one/a.txt", "real/a.txt", "two/a.txt"]
    assert codes == {}


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    """A pipe would wait for ever."""
    os.mkfifo(tmp_path / "pipe")
    assert found(tmp_path)[1]["pipe"] == "not-a-file"
    assert found(tmp_path / "pipe") == ({}, {"": "not-a-file"})


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_named(tmp_path: Path) -> None:
    """And the rest is read."""
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(name)
    (tmp_path / "a.txt").chmod(0)
    contents, codes = found(tmp_path)
    assert (sorted(contents), codes) == (["b.txt"], {"a.txt": "unreadable"})


@pytest.mark.parametrize("name", ["../a.yml", "x/../../a.yml", "/etc/a.yml", "C:/a.yml", "..\\a.yml"])
def test_a_member_whose_name_climbs_out_is_not_read(tmp_path: Path, name: str) -> None:
    """Nothing is unpacked, but nobody means well with such a name."""
    contents, codes = found(pack(tmp_path / "p.zip", {name: b"x", "good.yml": b"good"}))
    assert contents == {"good.yml": b"good"}
    assert list(codes.values()) == ["climbing-name"]


def test_a_member_that_explodes_is_not_read(tmp_path: Path) -> None:
    """Neither one that says its size, nor one that lies about it."""
    path = pack(tmp_path / "p.zip", {"bomb.yml": b"\x00" * 30_000_000, "good.yml": b"good"})
    assert found(path) == ({"good.yml": b"good"}, {"bomb.yml": "limit"})
    data = path.read_bytes()
    assert data.count((30_000_000).to_bytes(4, "little")) == 2
    path.write_bytes(data.replace((30_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    contents, codes = found(path)
    assert contents == {"good.yml": b"good"}
    assert set(codes) == {"bomb.yml"}


def test_limits_on_archives_and_folders_are_named(tmp_path: Path) -> None:
    """Members, total size, files, depth, size of a file."""
    path = pack(tmp_path / "p.zip", {f"{number}.yml": b"1234567890" for number in range(5)})
    assert found(path, Limits(archive_members=4)) == ({}, {"": "limit"})
    assert found(path, Limits(archive_bytes=35))[1] == {"3.yml": "limit", "4.yml": "limit"}
    assert set(found(path, Limits(file_bytes=9))[1].values()) == {"limit"}
    folder = tmp_path / "f" / "a" / "b"
    folder.mkdir(parents=True)
    for number in range(3):
        (folder / f"{number}.txt").write_text("x" * 20)
    assert found(tmp_path / "f", Limits(files=2))[1] == {"": "limit"}
    assert found(tmp_path / "f", Limits(folder_depth=2))[1] == {"a/b": "limit", "": "empty"}
    with pytest.raises(InputError, match="file_bytes"):
        found(folder, Limits(file_bytes=9))


def test_faults_of_archives_are_named(tmp_path: Path) -> None:
    """Cut, encrypted, damaged, links, archives within."""
    good = pack(tmp_path / "good.zip", {"a.yml": b"a" * 50})
    cut = tmp_path / "cut.zip"
    cut.write_bytes(good.read_bytes()[:-15])
    assert found(cut)[1] == {"": "archive"}
    assert found(pack(tmp_path / "n.zip", {"in.zip": good.read_bytes()}))[1] == {"in.zip": "archive"}
    data = bytearray(good.read_bytes())
    data[36] ^= 0xFF
    damaged = tmp_path / "damaged.zip"
    damaged.write_bytes(bytes(data))
    assert set(found(damaged)[1]) == {"a.yml"}
    encrypted = tmp_path / "encrypted.zip"
    data = bytearray(good.read_bytes())
    data[6] |= 1
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    encrypted.write_bytes(bytes(data))
    assert found(encrypted)[1] == {"a.yml": "encrypted"}
    linked = tmp_path / "link.zip"
    with zipfile.ZipFile(linked, "w") as archive:
        info = zipfile.ZipInfo("passwd")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    assert found(linked)[1] == {"passwd": "link-outside"}


def test_names_that_are_no_utf_8_can_be_shown(tmp_path: Path) -> None:
    """And stored."""
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/tiran\xeb.txt"))
    path.write_text("x")
    contents, _ = found(tmp_path)
    assert contents == {"tiran\ufffd.txt": b"x"}


@given(st.binary(max_size=300), st.integers(0, 400))
def test_a_damaged_archive_never_crashes(tmp_path_factory: pytest.TempPathFactory, junk: bytes, at: int) -> None:
    """It gives what is whole, and issues."""
    folder = tmp_path_factory.mktemp("zip")
    path = pack(folder / "p.zip", {"a.yml": b"title: a\n" * 9, "b/c.yml": b"x"})
    data = path.read_bytes()
    path.write_bytes(b"PK\x03\x04" + data[4:at] + junk + data[at + len(junk) :])
    found(path)
