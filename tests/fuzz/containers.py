"""The target "containers": archives of every kind, made, nested and damaged, opened as evidence and as knowledge.

An input is a file's name, a line feed, and the file's bytes. Damage is repaired where a checksum would hide what is
behind it: tar headers and 7z directories get the right one again, half of the time.
"""

from __future__ import annotations

import random
import struct
import tarfile
import zipfile
import zlib
from dataclasses import fields
from hashlib import sha256
from pathlib import Path

from aleat.errors import InputError, Issue
from aleat.evidence import Limits, Secrets, Source, open_sources
from aleat.knowledge import Limits as KnowledgeLimits
from aleat.knowledge.opener import open_documents
from tests.evidence.opening.archives import COMPRESSIONS, lines, tar_of, zip_of
from tests.fuzz.mutation import mutate_bytes
from tests.fuzz.world import Folder

__all__ = ["ContainersTarget"]

SAMPLES = Path(__file__).parents[1] / "evidence" / "opening" / "samples"
LIMITS = Limits(
    expansion_free_bytes=4_000_000,
    expansion_ratio=20,
    archive_members=300,
    decoder_bytes=16 * 1024 * 1024,
    password_rounds=2**19,
    archive_directory_bytes=1_000_000,
    file_bytes=1_000_000,
)
DOCUMENT_LIMITS = KnowledgeLimits(
    **{field.name: getattr(LIMITS, field.name) for field in fields(LIMITS)}  # the same, for knowledge
)
_NAMES = (
    "a.log",
    "var/log/b.log",
    "../up.log",
    "/etc/passwd",
    "C:\\x",
    "x\u202egpj.exe",
    "ë.txt",
    "n\0l",
    "d/",
    "#2",
    "a",
)
_MOST_MEMORY = 3_000_000  # kB, of the whole process: what one input needs is far below


class ContainersTarget:
    """See the module."""

    name = "containers"
    limit = 6.0

    def __init__(self, place: Folder) -> None:
        self._place = place
        self._samples = [
            (path.name, path.read_bytes()) for path in sorted(SAMPLES.iterdir()) if path.suffix in (".zip", ".7z")
        ]

    def make(self, rng: random.Random) -> bytes:
        """Return an archive, mostly damaged, now and then inside another."""
        name, data = rng.choice(self._samples) if rng.random() < 0.4 else _made(rng, rng.randrange(3))
        if rng.random() < 0.7:
            data = _damaged(name, data, rng)
        if rng.random() < 0.2:
            name, data = _wrapped(name, data, rng)
        return (
            name.encode("utf-8", "replace").replace(b"\n", b"_").replace(b"/", b"_").replace(b"\0", b"_") + b"\n" + data
        )

    def check(self, data: bytes) -> None:
        """Open it: all of it is a source or an issue, no more comes out than may, and again the same."""
        _, _, content = data.partition(b"\n")
        path = self._place.path / "archive"
        path.write_bytes(content)
        try:
            found = self._open(path)
            assert found or not content, "something is said"
            again = self._open(path)
            assert [digest for _, digest in found] == [digest for _, digest in again], "the same each time"
            self._check_again([one for one, _ in found if isinstance(one, Source)], dict_of(found))
            assert self._documents(path) == self._documents(path), "the same documents each time"
        finally:
            path.unlink()
        assert [one.name for one in self._place.path.iterdir()] == [], "nothing was unpacked"
        assert peak_memory() < _MOST_MEMORY

    def _open(self, path: Path) -> list[tuple[Source | Issue, str]]:
        out: list[tuple[Source | Issue, str]] = []
        total = 0
        secrets = Secrets(["secret"])
        for one in open_sources([path], limits=LIMITS, files=True, secrets=secrets):
            if isinstance(one, Issue):
                assert one.reason, "an issue says why"
                assert one.code, "and what"
                out.append((one, f"{one.code} {one.reason}"))
                continue
            one.path.encode()
            for member in one.members:
                member.encode()  # names are text that can be stored
            size, digest = _read(one)
            total += size
            out.append((one, digest))
        assert total <= 4 * LIMITS.allowed_bytes(path.stat().st_size), "no more than may"
        return out

    def _documents(self, path: Path) -> list[tuple[str, str]]:
        """Open it as knowledge: documents below the archive, or issues; and no more than may."""
        out: list[tuple[str, str]] = []
        total = 0
        for one in open_documents(path, DOCUMENT_LIMITS, secrets=Secrets(["secret"])):
            if isinstance(one, Issue):
                assert one.reason, "an issue says why"
                out.append((one.code, one.reason))
                continue
            data = one.read()
            assert one.head == data[: len(one.head)], "the head is the beginning"
            assert one.beside("../" * 70) is None, "nothing climbs out"
            one.relative.encode()
            total += len(data)
            out.append((one.relative, sha256(data).hexdigest()))
        assert total <= 4 * DOCUMENT_LIMITS.allowed_bytes(path.stat().st_size), "no more than may"
        return out

    def _check_again(self, sources: list[Source], digests: dict[str, str]) -> None:
        """A few sources, each opened for itself, hold what they held."""
        for source in sources[:3]:
            _, digest = _read(source)
            first = digests[source.path]
            assert digest == first or "limit" in first + digest, "opened again, it is another"


def dict_of(found: list[tuple[Source | Issue, str]]) -> dict[str, str]:
    """What was read of each source."""
    return {one.path: digest for one, digest in found if isinstance(one, Source)}


def _read(source: Source) -> tuple[int, str]:
    """Return how many bytes a source gives, and a digest of them and of what ended it."""
    digest, size = sha256(), 0
    try:
        with source.stream() as stream:
            while block := stream.read(65536):
                digest.update(block)
                size += len(block)
    except InputError as error:
        return size, f"{digest.hexdigest()} {error.code}"
    return size, digest.hexdigest()


def peak_memory() -> int:
    """Peak memory of this process in kB; 0 where the system doesn't tell."""
    try:
        text = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return int(text.partition("VmHWM:")[2].split()[0])


# ------------------------------------------------------------------------------------------------- making


def _made(rng: random.Random, depth: int) -> tuple[str, bytes]:
    members = []
    for _ in range(rng.randrange(1, 5)):
        name = rng.choice(_NAMES)
        if depth and rng.random() < 0.3:
            inner, data = _made(rng, depth - 1)
            name += inner
        else:
            data = rng.choice((b"", lines(5), rng.randbytes(300), bytes(rng.choice((10, 100_000)))))
        members.append((name, data))
    kind = rng.randrange(4)
    if kind == 0:
        unique = [(f"{number}{name}", data) for number, (name, data) in enumerate(members)]
        return "x.zip", zip_of(unique, rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA)))
    if kind == 1:
        plain = [(name.replace("\0", "_"), data) for name, data in members]
        return "x.tar", tar_of(plain, rng.choice((tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)))
    return _wrapped("x", members[0][1], rng)


def _wrapped(name: str, data: bytes, rng: random.Random) -> tuple[str, bytes]:
    ending = rng.choice(sorted(COMPRESSIONS))
    return f"{name}.{ending}", COMPRESSIONS[ending](data)


def _damaged(name: str, data: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.2:
        return data[: rng.randrange(len(data) + 1)]
    if data.startswith(b"7z\xbc\xaf") and len(data) > 64:
        return _damaged_7z(data, rng)
    data = mutate_bytes(data, rng)
    if name.endswith(".tar") and rng.random() < 0.7:
        return _tar_sums(data)
    return data


def _damaged_7z(data: bytes, rng: random.Random) -> bytes:
    offset, length = struct.unpack_from("<QQ", data, 12)
    body, header = data[32 : 32 + offset], data[32 + offset : 32 + offset + length]
    if rng.random() < 0.7:
        header = mutate_bytes(header, rng)
    else:
        body = mutate_bytes(body, rng)
    start = struct.pack("<QQI", len(body), len(header), zlib.crc32(header))
    if rng.random() < 0.05:
        start = mutate_bytes(start, rng)[:20].ljust(20, b"\0")
    return data[:8] + struct.pack("<I", zlib.crc32(start)) + start + body + header


def _tar_sums(data: bytes) -> bytes:
    """Give blocks that look like headers the right checksum."""
    changed = bytearray(data)
    for at in range(0, len(changed) - 511, 512):
        if changed[at + 257 : at + 262] == b"ustar":
            changed[at + 148 : at + 156] = b" " * 8
            changed[at + 148 : at + 156] = b"%06o\0 " % sum(changed[at : at + 512])
    return bytes(changed)
