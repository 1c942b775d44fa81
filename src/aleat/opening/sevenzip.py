"""7z archives: each folder (the unit that is packed as one) is unpacked once, forward, its files one after another.

Not `py7zr`: it pushes whole archives to files rather than letting them be read, and holds a folder's dictionary
whatever its size; the packing itself is done by the standard library, zstd's and the platform's AES. PPMd, BCJ2 and
Brotli, which other tools rarely choose for logs, are refused by name.
"""

from __future__ import annotations

import hashlib
import io
import lzma
import stat
import struct
from bz2 import BZ2Decompressor
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import IO, Any
from zlib import crc32

import numpy as np

from aleat.errors import InputError, LimitError, Place
from aleat.opening.compressed import Deflate, zstd_decoder
from aleat.opening.container import PASSWORD_ADVICE, Member, Note, Opening
from aleat.opening.limits import Budget, Limits, limit_advice
from aleat.opening.sevenzip_header import Coder, File, Folder, Header, read_header
from aleat.opening.streams import Checked, Decoded, Decoder, Slice, cast_stream, damaged, read_fully

__all__ = ["SevenZip"]

_MARK = b"7z\xbc\xaf\x27\x1c"
_COPY, _LZMA, _LZMA2, _AES = b"\0", b"\x03\x01\x01", b"\x21", b"\x06\xf1\x07\x01"
_DEFLATE, _BZIP2, _ZSTD = b"\x04\x01\x08", b"\x04\x02\x02", b"\x04\xf7\x11\x01"
_FILTERS = {
    b"\x03\x03\x01\x03": lzma.FILTER_X86,
    b"\x04": lzma.FILTER_X86,
    b"\x03\x03\x02\x05": lzma.FILTER_POWERPC,
    b"\x05": lzma.FILTER_POWERPC,
    b"\x03\x03\x04\x01": lzma.FILTER_IA64,
    b"\x06": lzma.FILTER_IA64,
    b"\x03\x03\x05\x01": lzma.FILTER_ARM,
    b"\x07": lzma.FILTER_ARM,
    b"\x03\x03\x07\x01": lzma.FILTER_ARMTHUMB,
    b"\x08": lzma.FILTER_ARMTHUMB,
    b"\x03\x03\x08\x05": lzma.FILTER_SPARC,
    b"\x09": lzma.FILTER_SPARC,
}
_DELTA = b"\x03"
_NAMES = {
    b"\x03\x04\x01": "PPMd",
    b"\x03\x03\x01\x1b": "BCJ2",
    b"\x04\xf7\x11\x02": "Brotli",
    b"\x04\x01\x09": "Deflate64",
}


class SevenZip:
    """The kind."""

    name = "7z"
    seeks = True

    def detect(self, head: bytes) -> bool:
        """Say whether a stream begins like one."""
        return head.startswith(_MARK)

    def open(self, stream: IO[bytes], size: int | None, path: str, opening: Opening) -> SevenZipArchive:
        """Read the directory."""
        return SevenZipArchive(stream, size or 0, path, opening)


class SevenZipArchive:
    """An open archive."""

    def __init__(self, stream: IO[bytes], size: int, path: str, opening: Opening) -> None:
        self._stream = stream
        self._size = size
        self._path = path
        self._opening = opening
        self._word: str | None = None
        self._header = self._read_header()

    @property
    def names(self) -> Sequence[str]:
        """The names of all files."""
        return [one.name for one in self._header.files]

    def __iter__(self) -> Iterator[Member | Note]:
        """Yield the files in the order of their bytes; those without any come where the directory has them."""
        number, plain, refused = -1, _Plain(_empty), None
        for one in self._header.files:
            if one.is_folder:
                continue
            if one.folder < 0:
                yield Member(one.name, 0, io.BytesIO, _kind(one))
                continue
            if one.folder != number:
                number = one.folder
                folder = self._header.folders[number]
                refused = self._refused(folder)
                plain = _Plain(self._opener(folder))
            begin = plain.claim(one.size)
            yield Member(one.name, one.size, self._open_file(one, plain, begin), refused or _kind(one), one.modified)
        if self._header.more:
            limit = self._opening.limits.archive_members
            reason = f"The archive has {limit + self._header.more} members, more than {limit} (limit: archive_members)"
            yield Note("limit", f"{reason}; the rest was not looked at.", limit_advice("archive_members"))

    def _open_file(self, one: File, plain: _Plain, begin: int) -> Callable[[], IO[bytes]]:
        return lambda: cast_stream(Checked(plain.at(begin, one.size), one.size, one.crc, self._path))

    # -- the directory ----------------------------------------------------------------------------------------------

    def _read_header(self) -> Header:
        self._stream.seek(0)
        start = read_fully(self._stream, 32)
        if len(start) < 32 or crc32(start[12:]) != struct.unpack_from("<I", start, 8)[0]:
            raise damaged(self._path, "The archive's first header is damaged")
        offset, length, crc = struct.unpack_from("<QQI", start, 12)
        if not length:
            return Header()
        if 32 + offset + length > self._size:
            reason = "The archive is cut off: its directory, which stands at the end, is missing"
            raise InputError(f"{reason}.", Place(self._path), advice="Copy it again; join the parts of a split one.")
        limits = self._opening.limits
        self._check_length(length, limits)
        self._stream.seek(32 + offset)
        data = read_fully(self._stream, length)
        if crc32(data) != crc:
            raise damaged(self._path, "The archive's directory is damaged")
        for _ in range(4):
            header = read_header(data, self._path, limits.archive_members)
            if not header.encoded:
                return header
            if len(header.folders) != 1:
                break
            data = self._encoded(header.folders[0], limits)
        raise damaged(self._path, "The archive's directory is packed too deep")

    def _encoded(self, folder: Folder, limits: Limits) -> bytes:
        """Return a packed directory; where it is encrypted, with the password that makes its checksum right."""
        self._check_length(folder.size, limits)
        if (refused := self._unpackable(folder)) is not None:
            kind = LimitError if refused.code == "limit" else InputError
            raise kind(refused.reason, Place(self._path), advice=refused.advice)
        if not any(coder.method == _AES for coder in folder.coders):
            data = read_fully(self._opener(folder)(), folder.size)
            if folder.crc is not None and crc32(data) != folder.crc:
                raise damaged(self._path, "The archive's directory is damaged")
            return data
        for word in self._opening.secrets.words:
            found = self._try(folder, word, folder.size)
            if found is not None and crc32(found) == folder.crc:
                self._word = word
                return found
        tried = ", and no password given opens it" if self._opening.secrets.words else ""
        error = InputError(f"The archive's directory is encrypted{tried}.", Place(self._path), advice=PASSWORD_ADVICE)
        error.code = "encrypted"
        raise error

    def _check_length(self, length: int, limits: Limits) -> None:
        if length > limits.archive_directory_bytes:
            reason = f"The archive's directory is longer than {limits.archive_directory_bytes} bytes"
            advice = limit_advice("archive_directory_bytes")
            raise LimitError(f"{reason} (limit: archive_directory_bytes).", Place(self._path), advice=advice)

    # -- folders ----------------------------------------------------------------------------------------------------

    def _refused(self, folder: Folder) -> Note | None:
        """Say why a folder isn't unpacked, if so; finds its password."""
        if (note := self._unpackable(folder)) is not None:
            return note
        if any(coder.method == _AES for coder in folder.coders) and not self._find_word(folder):
            tried = ", and no password given opens it" if self._opening.secrets.words else ""
            return Note("encrypted", f"The member is encrypted{tried}.", PASSWORD_ADVICE)
        return None

    def _unpackable(self, folder: Folder) -> Note | None:
        """Say which of a folder's coders isn't known, or costs too much."""
        for coder in folder.coders:
            if coder.method in _NAMES or coder.inputs != 1 or coder.outputs != 1 or not _is_known(coder):
                name = _NAMES.get(coder.method, coder.method.hex())
                reason = f"The member is packed by {name}, which isn't read."
                return Note("broken-archive", reason, "Unpack it with 7-Zip, and add the files.")
            if (needs := _memory(coder)) > self._opening.limits.decoder_bytes:
                reason = f"Unpacking it takes {needs} bytes of memory (limit: decoder_bytes)."
                return Note("limit", reason, limit_advice("decoder_bytes"))
            if coder.method == _AES:
                rounds = 1 << (coder.properties[0] & 63) % 63  # 63: no hashing at all
                if rounds > self._opening.limits.password_rounds:
                    reason = f"Its password is hashed {rounds} times (limit: password_rounds)."
                    return Note("limit", reason, limit_advice("password_rounds"))
        return None

    def _find_word(self, folder: Folder) -> bool:
        """Find the password by the first file's checksum, or (where it is long) by whether its first bytes unpack."""
        size, crc = folder.parts[0] if folder.parts else (0, None)
        words = dict.fromkeys((self._word, *self._opening.secrets.words))
        packs = any(coder.method not in (_AES, _COPY) for coder in folder.coders)
        for word in (one for one in words if one is not None):
            whole = size <= 16 * 1024 * 1024
            data = self._try(folder, word, size if whole else 1024 * 1024)
            if data is not None and (crc32(data) == crc if whole and crc is not None else packs or crc is None):
                self._word = word
                return True
        return False

    def _try(self, folder: Folder, word: str, size: int) -> bytes | None:
        kept, self._word = self._word, word
        opening = self._opening
        self._opening = Opening(opening.limits, Budget(opening.limits, self._size), opening.secrets)
        try:
            return read_fully(self._opener(folder)(), size)
        except (InputError, ValueError):
            return None
        finally:
            self._word, self._opening = kept, opening

    def _opener(self, folder: Folder) -> Callable[[], IO[bytes]]:
        return lambda: self._unpacked(folder)

    def _unpacked(self, folder: Folder) -> IO[bytes]:
        """Return the bytes that a folder's chain of coders gives."""
        chain = _chain(folder)
        if chain is None or len(folder.packed) != 1:
            raise damaged(self._path, "The archive's directory can't be right: a chain of coders has no end")
        stream: IO[bytes] = cast_stream(Slice(self._stream, 32 + folder.start, folder.packed[0], self._path))
        done = 0
        for place in reversed(chain):
            coder, size = folder.coders[place], folder.sizes[place]
            if coder.method in (_LZMA, _LZMA2):
                filters = _following_filters(folder, chain, place)
                done = len(filters)
                stream = self._lzma(stream, [*filters, _lzma_filter(coder)], size)
            elif coder.method in _FILTERS or coder.method == _DELTA:
                done -= 1  # by the coder before
                if done < 0:
                    raise damaged(self._path, "A filter stands over something that isn't LZMA, which isn't read")
            elif coder.method == _AES:
                stream = cast_stream(_Aes(stream, coder.properties, self._word or "", size))
            elif coder.method != _COPY:
                stream = self._packed(stream, coder.method, size)
        return stream

    def _lzma(self, stream: IO[bytes], filters: list[dict[str, Any]], size: int) -> IO[bytes]:
        def make() -> Decoder:
            return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters)

        return _limited(Decoded(stream, make, self._opening.budget, self._path), size)

    def _packed(self, stream: IO[bytes], method: bytes, size: int) -> IO[bytes]:
        limits = self._opening.limits
        makers: dict[bytes, Callable[[], Decoder]] = {
            _DEFLATE: lambda: Deflate(-15),
            _BZIP2: BZ2Decompressor,
            _ZSTD: lambda: zstd_decoder(limits),
        }
        many = method != _DEFLATE  # by several threads: several streams behind one another
        more = (lambda head: len(head) > 3) if many else None
        return _limited(Decoded(stream, makers[method], self._opening.budget, self._path, more=more), size)


class _Plain:
    """A folder's unpacked bytes: files are read in their order, what isn't read is passed by."""

    def __init__(self, begin: Callable[[], IO[bytes]]) -> None:
        self._begin = begin
        self._stream: IO[bytes] | None = None
        self._at = 0
        self._claimed = 0
        self._fault: InputError | None = None

    def claim(self, size: int) -> int:
        """Return where the next file begins."""
        begin, self._claimed = self._claimed, self._claimed + size
        return begin

    def at(self, begin: int, size: int) -> IO[bytes]:
        """Return the stream of the file at `begin`."""
        return cast_stream(_PlainFile(self, begin, size))

    def read(self, place: int, size: int) -> bytes:
        """Return up to `size` bytes at `place`, which was not passed yet; a fault in the folder stays one."""
        if self._fault is not None:
            raise self._fault
        try:
            if self._stream is None:
                self._stream = self._begin()
            while self._at < place:
                passed = self._stream.read(min(1024 * 1024, place - self._at))
                if not passed:
                    return b""
                self._at += len(passed)
            data = self._stream.read(size)
        except InputError as error:
            self._fault = error
            raise
        self._at += len(data)
        return data


class _PlainFile(io.RawIOBase):
    def __init__(self, plain: _Plain, begin: int, size: int) -> None:
        self._plain = plain
        self._at = begin
        self._left = size

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        want = self._left if size < 0 else min(size, self._left)
        data = self._plain.read(self._at, want) if want else b""
        self._at += len(data)
        self._left -= len(data)
        return data


class _Aes(io.RawIOBase):
    """AES-256 in CBC mode; the key is SHA-256 over salt, password and a counter, 2^n times."""

    def __init__(self, stream: IO[bytes], properties: bytes, word: str, size: int) -> None:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes  # noqa: PLC0415

        first, second = properties[0], properties[1] if len(properties) > 1 else 0
        salt_bytes = (first >> 7 & 1) + (second >> 4)
        vector_bytes = (first >> 6 & 1) + (second & 15)
        salt = properties[2 : 2 + salt_bytes]
        vector = properties[2 + salt_bytes : 2 + salt_bytes + vector_bytes].ljust(16, b"\0")[:16]
        self._inner = Cipher(algorithms.AES(_key(word, salt, first & 63)), modes.CBC(vector)).decryptor()
        self._stream = stream
        self._left = size
        self._ready = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        want = self._left if size < 0 else min(size, self._left)
        while len(self._ready) < want:
            block = self._stream.read(max(want, 4096))
            if not block:
                break
            self._ready += self._inner.update(block)
        found, self._ready = self._ready[:want], self._ready[want:]
        self._left -= len(found)
        return found


@lru_cache(maxsize=16)
def _key(word: str, salt: bytes, power: int) -> bytes:
    secret = salt + word.encode("utf-16-le", "surrogatepass")
    if power == 63:
        return secret.ljust(32, b"\0")[:32]
    digest, step = hashlib.sha256(), min(1 << power, 65536)
    rows = np.zeros((step, len(secret) + 8), dtype=np.uint8)
    rows[:, : len(secret)] = np.frombuffer(secret, np.uint8)
    for begin in range(0, 1 << power, step):
        counters = np.arange(begin, begin + step, dtype="<u8")
        rows[:, len(secret) :] = counters.view(np.uint8).reshape(step, 8)
        digest.update(rows.tobytes())
    return digest.digest()


def _limited(stream: Decoded, size: int) -> IO[bytes]:
    """Return the stream's first `size` bytes: raw LZMA doesn't know where it ends."""
    plain = _Plain(lambda: cast_stream(stream))
    return plain.at(0, size)


def _chain(folder: Folder) -> list[int] | None:
    """Return the coders' places, the last one (whose output nobody takes) first; None where that is no chain."""
    place = next((one for one in range(len(folder.coders)) if one not in folder.bound.values()), None)
    chain: list[int] = []
    while place is not None and 0 <= place < len(folder.coders) and place not in chain:
        chain.append(place)
        place = folder.bound.get(place)
    return chain if len(chain) == len(folder.coders) and place is None else None


def _following_filters(folder: Folder, chain: list[int], place: int) -> list[dict[str, Any]]:
    """Return the filters that the output of the coder at `place` goes through next, outermost first."""
    found: list[dict[str, Any]] = []
    for one in reversed(chain[: chain.index(place)]):
        coder = folder.coders[one]
        if coder.method in _FILTERS:
            found.insert(0, {"id": _FILTERS[coder.method]})
        elif coder.method == _DELTA:
            distance = coder.properties[0] + 1 if coder.properties else 1
            found.insert(0, {"id": lzma.FILTER_DELTA, "dist": distance})
        else:
            break
    return found


def _lzma_filter(coder: Coder) -> dict[str, Any]:
    if coder.method == _LZMA2:
        return {"id": lzma.FILTER_LZMA2, "dict_size": max(_memory(coder), 4096)}
    level = coder.properties[0]
    properties = {"lc": level % 9, "lp": level // 9 % 5, "pb": level // 45}
    return {"id": lzma.FILTER_LZMA1, "dict_size": max(_memory(coder), 4096), **properties}


def _memory(coder: Coder) -> int:
    """Return the length of a coder's dictionary."""
    if coder.method == _LZMA:
        return int.from_bytes(coder.properties[1:5], "little")
    if coder.method == _LZMA2:
        size = coder.properties[0]
        return 0xFFFFFFFF if size >= 40 else (2 | size & 1) << (size // 2 + 11)
    return 0


def _is_known(coder: Coder) -> bool:
    if coder.method == _LZMA:
        return len(coder.properties) == 5 and coder.properties[0] < 225
    if coder.method in (_LZMA2, _AES):
        return len(coder.properties) > 0
    return coder.method in (_COPY, _DEFLATE, _BZIP2, _ZSTD, _DELTA) or coder.method in _FILTERS


def _kind(one: File) -> Note | None:
    """Say that a file is a link, where its attributes (of a Unix system) say so."""
    mode = one.attributes >> 16 if one.attributes & 0x8000 else 0
    if stat.S_ISLNK(mode) or one.attributes & 0x400:
        return Note("passed-over", "The member is a symbolic link; links in archives aren't followed.")
    if mode and not stat.S_ISREG(mode) and stat.S_IFMT(mode):
        return Note("passed-over", "The member is a device, a pipe or the like; it isn't read.")
    return None


def _empty() -> IO[bytes]:
    return io.BytesIO()
