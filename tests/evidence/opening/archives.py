"""Archives for tests, made in memory: of every kind, and damaged."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pyarrow as pa
from backports import zstd

from aleat.errors import Issue
from aleat.evidence import Limits, ReadOptions, Source, open_sources, read_batches
from aleat.evidence.opener import Secrets

LOG = b'198.51.100.7 - - [15/Jul/2022:10:00:01 +0200] "GET /a HTTP/1.1" 200 512\n'


def lines(count: int, name: str = "a") -> bytes:
    """An access log of so many lines, each another."""
    return b"".join(LOG.replace(b"/a", f"/{name}/{number * 7919 % 100_003}".encode()) for number in range(count))


def zip_of(members: Mapping[str, bytes] | Iterable[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip archive."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, data in members.items() if isinstance(members, Mapping) else members:
            archive.writestr(name, data)
    return target.getvalue()


def tar_of(members: Mapping[str, bytes] | Iterable[tuple[str, bytes]], form: int = tarfile.GNU_FORMAT) -> bytes:
    """A tar archive."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=form) as archive:
        for name, data in members.items() if isinstance(members, Mapping) else members:
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), 1_657_872_000
            archive.addfile(info, io.BytesIO(data))
    return target.getvalue()


def lz4(data: bytes) -> bytes:
    """An LZ4 frame."""
    target = pa.BufferOutputStream()
    with pa.CompressedOutputStream(target, "lz4") as stream:
        stream.write(data)
    return target.getvalue().to_pybytes()


COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "gz": lambda data: gzip.compress(data, mtime=0),
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstd.compress,
    "lz4": lz4,
}


def found(
    *paths: Path | str,
    limits: Limits | None = None,
    secrets: Iterable[str] = (),
    files: bool = False,
    options: ReadOptions | None = None,
) -> tuple[dict[str, int], list[Issue], list[Source]]:
    """Events by the path's end (behind the last ``!``), issues, and sources: read while the walk stands at each."""
    counts: dict[str, int] = {}
    issues: list[Issue] = []
    sources: list[Source] = []
    for one in open_sources(paths, limits=limits, secrets=Secrets(list(secrets)), files=files, options=options):
        if isinstance(one, Issue):
            issues.append(one)
            continue
        sources.append(one)
        name = one.path.partition("!")[2] or Path(one.path).name
        counts[name] = sum(batch.table.num_rows for batch in read_batches(one, issues))
    return counts, issues, sources


def again(sources: Iterable[Source]) -> dict[str, int]:
    """Events by path, of sources that are opened again, each for itself."""
    return {
        source.path.partition("!")[2] or Path(source.path).name: sum(
            batch.table.num_rows for batch in read_batches(source, [])
        )
        for source in sources
    }


def codes(issues: Iterable[Issue]) -> list[str]:
    """The issues' codes."""
    return [issue.code for issue in issues]
