"""What opening costs: memory, open files, passes over an archive."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from aleat.evidence import Source, open_sources, source_ranges
from aleat.evidence.opener import one_pass
from tests.evidence.opening.archives import COMPRESSIONS, lines, tar_of, zip_of

READ = """
import sys
from dataclasses import replace
from pathlib import Path
from aleat.evidence import Issue, Source, open_sources
total = 0
for one in open_sources([Path(sys.argv[1])], files=True):
    if isinstance(one, Source):
        with one.stream() as stream:
            while block := stream.read(1 << 20):
                total += len(block)
peak = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
print(total, peak)
""".replace("from aleat.evidence import Issue, ", "from aleat.errors import Issue\nfrom aleat.evidence import ")


def _read(path: Path) -> tuple[int, int]:
    """Bytes that came out, and the peak memory (kB) of a process that read them."""
    done = subprocess.run([sys.executable, "-c", READ, str(path)], capture_output=True, text=True, check=True)
    total, peak = done.stdout.split()
    return int(total), int(peak)


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
@pytest.mark.parametrize("kind", ["log.gz", "tar.zst"])
def test_memory_does_not_grow_with_what_comes_out(tmp_path: Path, kind: str) -> None:
    """One gigabyte of lines: within the limits, and never in memory."""
    block, blocks = lines(14_000), 896  # about a gigabyte
    size = len(block) * blocks
    path = tmp_path / f"x.{kind}"
    if kind == "log.gz":
        with gzip.open(path, "wb", compresslevel=1) as stream:
            for _ in range(blocks):
                stream.write(block)
    else:
        info = tarfile.TarInfo("a.log")
        info.size = size
        with path.open("wb") as file:
            packed = COMPRESSIONS[kind.removeprefix("tar.")]
            file.write(packed(info.tobuf()))
            piece = packed(block * 8)
            for _ in range(blocks // 8):
                file.write(piece)
            file.write(packed(bytes(-size % 512 + 1024)))
    total, peak = _read(path)
    assert total == size
    assert peak < 400_000


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are read from /proc")
@pytest.mark.parametrize("kind", ["zip", "tar.gz", "nested"])
def test_open_files_do_not_grow_with_the_members(tmp_path: Path, kind: str) -> None:
    members = {f"{number}.log": lines(2, str(number)) for number in range(200)}
    data = {
        "zip": zip_of(members),
        "tar.gz": COMPRESSIONS["gz"](tar_of(members)),
        "nested": zip_of({"x": zip_of(members)}),
    }
    (tmp_path / "x").write_bytes(data[kind])
    before = len(os.listdir("/proc/self/fd"))
    kept = []
    for source in open_sources([tmp_path]):
        assert isinstance(source, Source)
        kept.append(source)
        assert len(list(source_ranges(source))) == 1
        assert len(os.listdir("/proc/self/fd")) <= before + 3
    assert len(kept) == 200
    assert len(os.listdir("/proc/self/fd")) == before


class _Counting(io.FileIO):
    """A file that counts what is read of it."""

    taken = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(-1 if size is None else size)
        _Counting.taken += len(data)
        return data


@pytest.mark.parametrize("kind", ["tar.gz", "tar", "zip of a tar.gz"])
def test_an_archive_is_read_once_however_many_members_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    members = {f"{number}.log": os.urandom(4) + lines(30, str(number)) for number in range(300)}
    data = tar_of(members)
    if kind != "tar":
        data = COMPRESSIONS["gz"](data)
    if kind.startswith("zip"):
        data = zip_of({"x.tar.gz": data}, zipfile.ZIP_STORED)
    path = tmp_path / "x"
    path.write_bytes(data)
    plain = Path.open

    def opened(self: Path, *arguments: object, **named: object) -> object:
        return _Counting(self) if self == path else plain(self, *arguments, **named)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", opened)
    kept = [one for one in open_sources([path], files=True) if isinstance(one, Source)]
    _Counting.taken = 0
    with one_pass():  # as a hunt in a lake opens them again, later
        again = sum(len(part) for one in kept for _, part in source_ranges(replace(one, live=None)))
    assert again == sum(map(len, members.values()))
    assert _Counting.taken < 2.5 * len(data) + 1_100_000
    _Counting.taken = 0
    out = sum(
        len(part)
        for one in open_sources([path], files=True)
        if isinstance(one, Source)
        for _, part in source_ranges(one)
    )
    assert out == sum(map(len, members.values()))
    assert _Counting.taken < 2.5 * len(data) + 1_100_000
