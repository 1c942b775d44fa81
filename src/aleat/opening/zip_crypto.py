"""Encrypted members of zip archives: PKWARE's old cipher (APPNOTE 6.1), and AES as WinZip and 7-Zip write it.

https://www.winzip.com/en/support/aes-encryption/: AES in counter mode (little-endian from 1), a key of PBKDF2 with a
thousand rounds of SHA-1, two bytes that tell a wrong password, ten bytes of HMAC-SHA-1 behind the data.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

import numpy as np

from aleat.errors import InputError
from aleat.opening.streams import cast_stream, damaged, read_fully

__all__ = ["Aes", "Cipher", "decrypted", "fitting_password", "parse_aes"]


@dataclass(frozen=True, slots=True)
class Aes:
    """What the extra field says: 1 (with a CRC) or 2, the key's length in bytes, how the plain text is packed."""

    version: int
    key_bytes: int
    method: int

    @property
    def salt_bytes(self) -> int:
        """Length of the salt before the data."""
        return self.key_bytes // 2


@dataclass(frozen=True, slots=True, repr=False)
class Cipher:
    """A password that fits a member, and how the member is packed."""

    word: bytes
    method: int
    aes: Aes | None

    @property
    def has_crc(self) -> bool:
        """Whether the archive's checksum is of the plain text."""
        return self.aes is None or self.aes.version == 1


def parse_aes(extra: bytes) -> Aes | None:
    """Return what a member's extra field says of AES, or None."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == 0x9901 and length >= 7 and at + 11 <= len(extra):
            version, _, strength, method = struct.unpack_from("<H2sBH", extra, at + 4)
            return Aes(version, 8 + 8 * strength, method) if strength in (1, 2, 3) else None
        at += 4 + length
    return None


def fitting_password(
    packed: io.RawIOBase, method: int, check: int, aes: Aes | None, words: Sequence[str]
) -> Cipher | None:
    """Return the first password that opens a member, or None; `check` is the byte that the old cipher's header tells.

    Passwords are tried as UTF-8 and, where they differ so, in code page 437, as old tools took them.
    """
    if method == 99 and aes is None:
        return None
    try:
        head = packed.read((aes.salt_bytes + 2) if aes is not None else 12) or b""
    except InputError:
        return None
    for word in words:
        spellings = {word.encode("utf-8", "surrogateescape"), word.encode("cp437", "replace")}
        for spelling in sorted(spellings):
            if aes is not None:
                if len(head) == aes.salt_bytes + 2 and _aes_keys(spelling, head[:-2], aes)[2] == head[-2:]:
                    return Cipher(spelling, aes.method, aes)
            elif len(head) == 12 and _old_cipher(spelling).decrypt(head)[-1] == check:
                return Cipher(spelling, method, None)
    return None


def decrypted(packed: IO[bytes], size: int, cipher: Cipher, path: str) -> IO[bytes]:
    """Return the plain stream of a member's `size` bytes."""
    if cipher.aes is None:
        plain = _OldStream(packed, _old_cipher(cipher.word))
        read_fully(cast_stream(plain), 12)
        return cast_stream(plain)
    return cast_stream(_AesStream(packed, size, cipher, cipher.aes, path))


class _OldCipher:
    """Three numbers, each byte changes them (APPNOTE 6.1.5)."""

    def __init__(self) -> None:
        self.keys = (0x12345678, 0x23456789, 0x34567890)

    def take(self, word: bytes) -> None:
        first, second, third = self.keys
        for value in word:
            first = _crc_step(first, value)
            second = ((second + (first & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
            third = _crc_step(third, second >> 24)
        self.keys = (first, second, third)

    def decrypt(self, data: bytes) -> bytes:
        table = _CRC
        first, second, third = self.keys
        out = bytearray(len(data))
        for place, value in enumerate(data):
            mixed = third | 2
            plain = value ^ ((mixed * (mixed ^ 1)) >> 8 & 0xFF)
            out[place] = plain
            first = (first >> 8) ^ table[(first ^ plain) & 0xFF]
            second = ((second + (first & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
            third = (third >> 8) ^ table[(third ^ (second >> 24)) & 0xFF]
        self.keys = (first, second, third)
        return bytes(out)


def _crc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ 0xEDB88320 if value & 1 else value >> 1  # noqa: PLW2901 - eight shifts
        table.append(value)
    return tuple(table)


_CRC = _crc_table()


def _crc_step(crc: int, value: int) -> int:
    return (crc >> 8) ^ _CRC[(crc ^ value) & 0xFF]


def _old_cipher(word: bytes) -> _OldCipher:
    cipher = _OldCipher()
    cipher.take(word)
    return cipher


class _OldStream(io.RawIOBase):
    """What the old cipher hides."""

    def __init__(self, packed: IO[bytes], cipher: _OldCipher) -> None:
        self._packed = packed
        self._cipher = cipher

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._cipher.decrypt(self._packed.read(size))


def _aes_keys(word: bytes, salt: bytes, aes: Aes) -> tuple[bytes, bytes, bytes]:
    """Return (key, key of the HMAC, the two bytes that tell a wrong password)."""
    made = hashlib.pbkdf2_hmac("sha1", word, salt, 1000, 2 * aes.key_bytes + 2)
    return made[: aes.key_bytes], made[aes.key_bytes : -2], made[-2:]


class _AesStream(io.RawIOBase):
    """What AES hides; the HMAC is compared at the end."""

    def __init__(self, packed: IO[bytes], size: int, cipher: Cipher, aes: Aes, path: str) -> None:
        from cryptography.hazmat.primitives.ciphers import Cipher as BlockCipher  # noqa: PLC0415
        from cryptography.hazmat.primitives.ciphers import algorithms, modes  # noqa: PLC0415

        self._packed = packed
        self._path = path
        head = read_fully(packed, aes.salt_bytes + 2)
        key, key_of_hmac, _ = _aes_keys(cipher.word, head[: aes.salt_bytes], aes)
        # counter mode counts big-endian everywhere else: each block of the key stream is made by itself
        self._block = BlockCipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305
        self._hmac = hmac.new(key_of_hmac, digestmod="sha1")
        self._left = size - aes.salt_bytes - 2 - 10
        self._count = 1
        self._stream = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        want = self._left if size < 0 else min(size, self._left)
        if want <= 0:
            return b""
        data = self._packed.read(want)
        self._hmac.update(data)
        self._left -= len(data)
        if not self._left and read_fully(self._packed, 10) != self._hmac.digest()[:10]:
            raise damaged(self._path, "The encrypted member's seal is wrong: bytes in it were changed")
        stream = self._take(len(data))
        mixed = np.frombuffer(data, np.uint8) ^ np.frombuffer(stream, np.uint8)
        return mixed.tobytes()

    def _take(self, size: int) -> bytes:
        """Return the next bytes of the key stream."""
        if size > len(self._stream):
            blocks = (size - len(self._stream) + 15) // 16
            counters = np.zeros((blocks, 2), dtype="<u8")
            counters[:, 0] = np.arange(self._count, self._count + blocks, dtype=np.uint64)
            self._count += blocks
            self._stream += self._block.update(counters.tobytes())
        taken, self._stream = self._stream[:size], self._stream[size:]
        return taken
