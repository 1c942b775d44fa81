"""The opener: what an ally's folder or archive may do to us, and may not."""

from __future__ import annotations

import gzip
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
from aleat.opening import Secrets
from tests.opening.archives import COMPRESSIONS, tar_of, zip_of

SAMPLES = Path(__file__).parents[1] / "evidence" / "opening" / "samples"


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
    assert list(codes.values()) == ["unsafe-name"]


def test_a_member_that_explodes_is_not_read(tmp_path: Path) -> None:
    """Neither one that says its size, nor one that lies about it."""
    path = pack(tmp_path / "p.zip", {"bomb.yml": b"\x00" * 30_000_000, "good.yml": b"good"})
    few = Limits(expansion_free_bytes=1_000_000)
    assert found(path, few) == ({"good.yml": b"good"}, {"bomb.yml": "limit"})
    data = path.read_bytes()
    assert data.count((30_000_000).to_bytes(4, "little")) == 2
    path.write_bytes(data.replace((30_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    contents, codes = found(path)
    assert (contents, codes) == ({"good.yml": b"good"}, {"bomb.yml": "broken-archive"})


def test_limits_on_archives_and_folders_are_named(tmp_path: Path) -> None:
    """Members, total size, files, depth, size of a file."""
    path = pack(tmp_path / "p.zip", {f"{number}.yml": b"1234567890" for number in range(5)})
    contents, codes = found(path, Limits(archive_members=4))
    assert (len(contents), codes) == (4, {"": "limit"})
    assert found(path, Limits(expanded_bytes=35))[1] == {"3.yml": "limit", "4.yml": "limit"}
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
    """Cut (what is whole is read), damaged, encrypted, links; advice says what to do."""
    good = pack(tmp_path / "good.zip", {"a.yml": b"a" * 50})
    cut = tmp_path / "cut.zip"
    cut.write_bytes(good.read_bytes()[:-15])
    assert found(cut) == ({"a.yml": b"a" * 50}, {"": "broken-archive"})
    data = bytearray(good.read_bytes())
    data[36] ^= 0xFF
    damaged = tmp_path / "damaged.zip"
    damaged.write_bytes(bytes(data))
    assert found(damaged) == ({}, {"a.yml": "broken-archive"})
    linked = tmp_path / "link.zip"
    with zipfile.ZipFile(linked, "w") as archive:
        info = zipfile.ZipInfo("passwd")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    assert found(linked)[1] == {"passwd": "passed-over"}


def test_an_encrypted_archive_opens_with_one_of_the_passwords() -> None:
    """And says that it needs one."""
    items = list(open_documents(SAMPLES / "aes256.zip"))
    assert {item.code for item in items if isinstance(item, Issue)} >= {"encrypted"}
    assert all("--password" in item.advice for item in items if isinstance(item, Issue) and item.code == "encrypted")
    opened = open_documents(SAMPLES / "aes256.zip", secrets=Secrets(["wrong", "secret"]))
    assert sum(isinstance(item, Document) for item in opened) == 4


@pytest.mark.parametrize("name", ["lzma2.7z", "plain.zip", "bzip2.7z"])
def test_archives_of_real_tools_are_walked(name: str) -> None:
    """The folder around everything doesn't count."""
    contents, codes = found(SAMPLES / name)
    assert sorted(contents) == ["access1.log", "access2.log", "access3.log", "sub/é.log"]
    assert set(codes.values()) == {"empty", "passed-over"}


@pytest.mark.parametrize("ending", ["", *COMPRESSIONS])
def test_tar_archives_are_walked_however_they_are_packed(tmp_path: Path, ending: str) -> None:
    """As a release of a repository comes: one folder around everything."""
    data = tar_of({"sigma-main/rules/a.yml": b"a", "sigma-main/LICENSE": b"l"})
    path = tmp_path / "release.tar"
    path.write_bytes(COMPRESSIONS[ending](data) if ending else data)
    assert found(path) == ({"rules/a.yml": b"a", "LICENSE": b"l"}, {})


@pytest.mark.parametrize("ending", COMPRESSIONS)
def test_a_compressed_file_is_the_file_in_it(tmp_path: Path, ending: str) -> None:
    """Under its name without the packing, so that readers know it by its suffix."""
    (tmp_path / f"list.csv.{ending}").write_bytes(COMPRESSIONS[ending](b"domain\nevil.example\n"))
    (document,) = open_documents(tmp_path / f"list.csv.{ending}")
    assert isinstance(document, Document)
    assert (document.relative, document.suffix, document.read()) == ("list.csv", ".csv", b"domain\nevil.example\n")


def test_archives_within_archives_are_folders(tmp_path: Path) -> None:
    """Down to a depth that has a name."""
    inner = zip_of({"rules/a.yml": b"a", "b.yml": b"b"})
    path = tmp_path / "outer.zip"
    path.write_bytes(
        zip_of({"x/in.zip": inner, "x/c.yml": b"c", "x/in.tar.gz": gzip.compress(tar_of({"d.yml": b"d"}))})
    )
    assert found(path) == (
        {"in.zip/rules/a.yml": b"a", "in.zip/b.yml": b"b", "c.yml": b"c", "in.tar/d.yml": b"d"},
        {},
    )
    shown = [item.path for item in open_documents(path) if isinstance(item, Document)]
    assert f"{path.as_posix()}!x/in.zip!rules/a.yml" in shown
    contents, codes = found(path, Limits(archive_depth=1))
    assert (set(contents), set(codes.values())) == ({"c.yml"}, {"limit"})


def test_a_spreadsheet_is_a_document_and_no_archive(tmp_path: Path) -> None:
    """Office files are zip archives inside."""
    sheet = zip_of({"[Content_Types].xml": b"<Types/>", "xl/workbook.xml": b"<workbook/>"})
    (tmp_path / "a.xlsx").write_bytes(sheet)
    (tmp_path / "b.zip").write_bytes(zip_of({"lists/b.xlsx": sheet, "lists/c.csv": b"c"}))
    assert found(tmp_path) == ({"a.xlsx": sheet, "b.xlsx": sheet, "c.csv": b"c"}, {})


def test_a_large_member_is_read_while_the_walk_stands_at_it(tmp_path: Path) -> None:
    """From a temporary file; afterwards that is gone, and says so."""
    big = os.urandom(1024) * 17_000
    (tmp_path / "p.tar").write_bytes(tar_of({"big.bin": big, "small.txt": b"s"}))
    walk = open_documents(tmp_path / "p.tar")
    document = next(walk)
    assert isinstance(document, Document)
    assert document.read() == big
    assert b"".join(document.blocks(1_000_000)) == big
    assert next(walk).read() == b"s"  # type: ignore[union-attr]
    with pytest.raises(InputError, match="let go of"):
        document.read()


def test_what_stands_beside_a_document_is_had_in_folders_and_archives(tmp_path: Path) -> None:
    """Within the collection, and within the limit."""
    files = {"r/a.yar": b"a", "r/b.yar": b"b" * 20, "secret": b"s"}
    folder = tmp_path / "pack"
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    (tmp_path / "outside").write_text("outside")
    (folder / "r" / "out").symlink_to(tmp_path / "outside")
    pack(tmp_path / "pack.zip", files)
    (tmp_path / "pack.tgz").write_bytes(gzip.compress(tar_of({f"top/{name}": data for name, data in files.items()})))
    for path in (folder, tmp_path / "pack.zip", tmp_path / "pack.tgz"):
        documents = {item.relative: item for item in open_documents(path) if isinstance(item, Document)}
        document = documents["r/a.yar"]
        assert document.sibling("b.yar") == b"b" * 20
        assert document.sibling("../secret") == b"s"
        for other in ("out", "../../outside", "none", "..", "/etc/passwd"):
            assert document.sibling(other) is None
        few = [item for item in open_documents(path, Limits(sibling_bytes=10)) if isinstance(item, Document)]
        with pytest.raises(InputError, match="sibling_bytes"):
            next(item for item in few if item.relative == "r/a.yar").sibling("b.yar")


def test_a_checkout_is_read_without_what_is_gits_own(tmp_path: Path) -> None:
    """Neither its folder nor the file of a worktree; a bare repository is refused with advice."""
    for name in ("rules/a.yml", ".git/HEAD", ".git/config", "sub/.git", "sub/b.yml"):
        (tmp_path / "work" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "work" / name).write_text(name)
    contents, codes = found(tmp_path / "work")
    assert (sorted(contents), codes) == (["rules/a.yml", "sub/b.yml"], {})
    document = next(item for item in open_documents(tmp_path / "work") if isinstance(item, Document))
    assert document.sibling("../.git/config") is None
    bare = tmp_path / "bare.git"
    for folder in ("objects", "refs"):
        (bare / folder).mkdir(parents=True)
    (bare / "HEAD").write_text("ref: refs/heads/main\n")
    (issue,) = open_documents(bare)
    assert isinstance(issue, Issue)
    assert (issue.code, "git clone" in issue.advice) == ("bare-repository", True)


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
