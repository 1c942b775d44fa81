"""Texts as 64-bit numbers, equal on every machine: what the value index keeps in their place.

The number is a polynomial over the text's bytes in lower case (modulo 2^64), mixed as MurmurHash3 ends. It is no
seal: two texts may share it, and somebody may look for such texts; then a search looks at one event too many, and
finds that it isn't one. A text that is there is always found. It is computed by columns, from Arrow's own buffers:
a hash of Arrow or polars may differ between versions and processors, and an index may be made on several.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from aleat.text import composed

__all__ = ["Hashes", "fold_text", "fold_texts", "hash_text", "hash_texts"]

Hashes = npt.NDArray[np.uint64]

_BYTES = 1 << 19  # that are looked at together, and of a text that is longer only so many
_BASE = 0x9E3779B97F4A7C15
_LENGTH = np.uint64(0xC2B2AE3D27D4EB4F)
_MIX = (np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53))
_SHIFT = np.uint64(33)


def fold_texts(texts: pa.Array) -> pa.Array:
    """Return texts in lower case (Unicode's simple mapping) and in normal form C, as values are compared."""
    ascii_only = pc.string_is_ascii(texts)
    if pc.all(ascii_only, min_count=0).as_py() is not False:
        return pc.utf8_lower(texts)
    other = pc.filter(texts, pc.invert(ascii_only))
    made = pa.array([composed(text) for text in other.to_pylist()], texts.type)
    return pc.utf8_lower(pc.replace_with_mask(texts, pc.fill_null(pc.invert(ascii_only), False), made))


def fold_text(text: str) -> str:
    """Return one text as `fold_texts` does.

    >>> fold_text("CMD.EXE"), fold_text("ÇELËS")
    ('cmd.exe', 'çelës')
    """
    folded: str = fold_texts(pa.array([_writable(text)])).to_pylist()[0]
    return folded


def hash_text(text: str) -> int:
    """Return the number of one text, folded.

    >>> hash_text("CMD.exe") == hash_text("cmd.EXE")
    True
    """
    return int(hash_texts(fold_texts(pa.array([_writable(text)])))[0])


def hash_texts(folded: pa.Array) -> Hashes:
    """Return the numbers of folded texts (a string array without nulls)."""
    count = len(folded)
    array = folded.cast(pa.large_binary())
    _, ends, data = array.buffers()
    offsets = np.frombuffer(ends, np.int64)[array.offset : array.offset + count + 1]
    content = np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)
    found = np.empty(count, np.uint64)
    start = 0
    while start < count:
        stop = int(np.searchsorted(offsets, offsets[start] + _BYTES, "right")) - 1
        stop = min(max(stop, start + 1), count)
        found[start:stop] = _polynomials(content, offsets[start : stop + 1])
        start = stop
    lengths = (offsets[1:] - offsets[:-1]).astype(np.uint64)
    return _mixed(found + lengths * _LENGTH)


def _polynomials(content: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> Hashes:
    """Return for each text the sum of its bytes times powers of a base, the first byte's being one."""
    powers, inverses = _powers()
    first = int(offsets[0])
    places = offsets - first
    whole = min(int(places[-1]), _BYTES)
    if not whole:
        return np.zeros(len(places) - 1, np.uint64)
    terms = np.zeros(whole + 1, np.uint64)
    np.multiply(content[first : first + whole], powers[:whole], out=terms[:whole])
    starts = np.minimum(places[:-1], whole)
    sums = np.add.reduceat(terms, starts)
    sums[places[1:] == places[:-1]] = 0
    product: Hashes = sums * inverses[starts]
    return product


@cache
def _powers() -> tuple[Hashes, Hashes]:
    """Return the powers of the base and of its inverse modulo 2^64."""
    inverse = pow(_BASE, -1, 1 << 64)
    return _powers_of(_BASE), _powers_of(inverse)


def _powers_of(base: int) -> Hashes:
    powers = np.ones(_BYTES + 1, np.uint64)
    known = 1
    while known <= _BYTES:
        step = np.uint64(pow(base, known, 1 << 64))
        more = powers[: min(known, _BYTES + 1 - known)] * step
        powers[known : known + len(more)] = more
        known *= 2
    return powers


def _mixed(numbers: Hashes) -> Hashes:
    for factor in _MIX:
        numbers ^= numbers >> _SHIFT
        numbers *= factor
    return numbers ^ (numbers >> _SHIFT)


def _writable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
