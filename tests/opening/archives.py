"""Archives for tests, made in memory: of every kind."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Mapping

import pyarrow as pa
from backports import zstd

__all__ = ["COMPRESSIONS", "lz4", "tar_of", "zip_of"]


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
    return bytes(target.getvalue().to_pybytes())


COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "gz": lambda data: gzip.compress(data, mtime=0),
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstd.compress,
    "lz4": lz4,
}
