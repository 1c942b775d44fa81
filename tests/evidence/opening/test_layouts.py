"""Collections by their layout: the tool, the host, each file's own path and the collector's hash."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tests.evidence.opening.archives import COMPRESSIONS, found, lines, tar_of, zip_of

WEB = lines(20)
PATH = "C:\\inetpub\\logs\\LogFiles\\W3SVC1\\a.log"
VELOCIRAPTOR = {
    "client_info.json": json.dumps({"client_id": "C.1", "os_info": {"hostname": "WEB01"}}).encode(),
    "uploads.json": json.dumps({"vfs_path": "\\\\.\\" + PATH, "sha256": hashlib.sha256(WEB).hexdigest()}).encode(),
    "uploads/auto/C%3A/inetpub/logs/LogFiles/W3SVC1/a.log": WEB,
    "uploads/auto/var/log/b.log": WEB,
    "results/Windows.KapeFiles.Targets%2FUploads.json": json.dumps(
        {"SourceFile": PATH, "SourceFileSha1": hashlib.sha1(WEB).hexdigest()}  # noqa: S324 - what the tool writes
    ).encode(),
}
KAPE = {
    "C/inetpub/logs/LogFiles/W3SVC1/a.log": WEB,
    "2022-07-15T08_00_00_CopyLog.csv": b"CopiedTimestamp,SourceFile,DestinationFile,FileSize,SourceFileSha1\r\n"
    b'2022-07-15 08:00:00,"%s",x,1,%s\r\n' % (PATH.encode(), hashlib.sha1(WEB).hexdigest().upper().encode()),  # noqa: S324
    "2022-07-15T08_00_00_ConsoleLog.txt": b"KAPE version 1\r\nSystem info: Machine name: WEB01, 64-bit: True\r\n",
}


def _write(folder: Path, members: dict[str, bytes]) -> Path:
    for name, data in members.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@pytest.mark.parametrize(
    ("tool", "members", "hashes"),
    [("Velociraptor", VELOCIRAPTOR, {"sha256", "sha1"}), ("KAPE", KAPE, {"sha1"})],
)
@pytest.mark.parametrize("form", ["folder", "zip", "zip in a folder of its own"])
def test_collections_tell_host_path_and_hash(
    tmp_path: Path, tool: str, members: dict[str, bytes], hashes: set[str], form: str
) -> None:
    if form == "folder":
        _write(tmp_path / "x", members)
    else:
        inside = members if form == "zip" else {f"top/{name}": data for name, data in members.items()}
        (tmp_path / "x.zip").write_bytes(zip_of(inside))
    sources = [source for source in found(tmp_path)[2] if source.path.endswith("a.log")]
    (source,) = sources
    assert source.origin is not None
    assert (source.origin.collector, source.origin.host, source.origin.path) == (tool, "WEB01", PATH)
    assert {one.algorithm for one in source.origin.hashes} == hashes
    assert all(one.value == hashlib.new(one.algorithm, WEB).hexdigest() for one in source.origin.hashes)
    assert source.options.host == "WEB01"


def test_a_file_of_a_collection_that_is_given_alone_is_still_one_of_it(tmp_path: Path) -> None:
    """As `aleat investigate` gives them: one by one."""
    folder = _write(tmp_path / "x", KAPE)
    (source,) = found(folder / "C/inetpub/logs/LogFiles/W3SVC1/a.log")[2]
    assert source.origin is not None
    assert (source.origin.collector, source.origin.path) == ("KAPE", PATH)


def test_what_velociraptor_uploaded_from_unix_has_its_path(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(zip_of(VELOCIRAPTOR))
    (source,) = [one for one in found(tmp_path)[2] if one.path.endswith("b.log")]
    assert source.origin is not None
    assert source.origin.path == "/var/log/b.log"
    assert source.origin.hashes == ()


@pytest.mark.parametrize("form", ["folder", "tar.gz"])
def test_uac_is_known_by_its_name(tmp_path: Path, form: str) -> None:
    members = {"[root]/var/log/apache2/access.log": WEB, "live_response/process/ps.txt": b"PID\n", "uac.log": b"x\n"}
    name = "uac-mail-01.example-linux-20220715080000"
    if form == "folder":
        _write(tmp_path / name, members)
    else:
        (tmp_path / f"{name}.tar.gz").write_bytes(COMPRESSIONS["gz"](tar_of(members)))
    (source,) = found(tmp_path)[2]
    assert source.origin is not None
    origin = source.origin
    assert (origin.collector, origin.host, origin.path) == ("UAC", "mail-01.example", "/var/log/apache2/access.log")
    assert origin.canonical() == {
        "collector": "UAC",
        "host": "mail-01.example",
        "original_path": "/var/log/apache2/access.log",
    }


def test_a_plain_tree_of_a_disk_has_its_paths_and_no_host(tmp_path: Path) -> None:
    _write(tmp_path / "disk", {"C/inetpub/logs/a.log": WEB})
    (tmp_path / "logs.tgz").write_bytes(COMPRESSIONS["gz"](tar_of({"./var/log/b.log": WEB})))
    first, second = found(tmp_path)[2]
    assert first.origin is not None
    assert second.origin is not None
    assert (first.origin.path, second.origin.path) == ("C:\\inetpub\\logs\\a.log", "/var/log/b.log")
    assert first.origin.collector == first.origin.host == ""
    assert first.options.host is None


@pytest.mark.parametrize(
    "hostile",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b'{"os_info": 5, "hostname": ["x"]}',
        b'{"hostname": "../../x\\u001b[31m"}',
        b"\xff" * 99,
    ],
)
def test_a_collection_that_lies_misleads_about_nothing_else(tmp_path: Path, hostile: bytes) -> None:
    members = VELOCIRAPTOR | {"client_info.json": hostile, "uploads.json": hostile}
    (tmp_path / "x.zip").write_bytes(zip_of(members))
    counts, _, sources = found(tmp_path)
    assert counts["uploads/auto/var/log/b.log"] == 20
    assert {source.origin.host for source in sources if source.origin is not None} == {""}


def test_an_ordinary_folder_is_no_collection(tmp_path: Path) -> None:
    _write(tmp_path, {"web/a.log": WEB, "uploads/b.log": WEB})
    assert {source.origin for source in found(tmp_path)[2]} == {None}
