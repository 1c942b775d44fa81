"""The text of an indicator list, a block of lines at a time: whatever its size, few of them are held at once.

Lines that are empty or begin with ``#`` or ``//`` are comments, and are left out; of a line that is too long only
its number is kept.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import polars as pl
import pyarrow as pa

from aleat.errors import InputError, Place
from aleat.knowledge.document import Document

__all__ = ["BLOCK_BYTES", "LinesReader", "lines_of_text", "made_ahead"]

Item = TypeVar("Item")

BLOCK_BYTES = 1024**2
_GUESSED = "windows-1252"
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class LinesReader:
    """Reads one document's lines; `guessed` is the code page that was assumed where it is no UTF-8 (else None).

    What the bytes are is known at their end only: `__iter__` raises `UnicodeDecodeError` at the first that is no
    UTF-8, and reads them as Windows-1252 the next time. `long` are the numbers of lines that were left out.
    """

    def __init__(self, document: Document, *, line_characters: int) -> None:
        self._document = document
        self._longest = line_characters
        self.guessed: str | None = None
        self.long: list[int] = []

    def __iter__(self) -> Iterator[pl.DataFrame]:
        """Yield frames of `number` (from 1) and `text`, none of them empty."""
        self.long = []
        first = 1
        for block in _whole_lines(self._texts(), 4 * self._longest + 8):
            frame, count = lines_of_text(block, first)
            first += count
            too_long = frame["text"].str.len_chars() > self._longest
            if too_long.any():
                self.long += frame["number"].filter(too_long).to_list()
                frame = frame.filter(~too_long)
            if len(frame):
                yield frame

    def _texts(self) -> Iterator[bytes]:
        """Yield the document's text as blocks of UTF-8."""
        head = self._document.head
        encoding = next((name for mark, name in _MARKS if head.startswith(mark)), self.guessed or "utf-8")
        errors = "strict" if encoding == "utf-8" else "replace"
        decoder = codecs.getincrementaldecoder(encoding)(errors)
        try:
            for block in self._document.blocks(BLOCK_BYTES):
                yield decoder.decode(block).encode("utf-8", "replace")
            yield decoder.decode(b"", True).encode("utf-8", "replace")
        except UnicodeDecodeError:
            if self.guessed is not None:  # it changed while it was read
                raise InputError("The file can't be read as text.", Place(self._document.path)) from None
            self.guessed = _GUESSED
            raise


def made_ahead(items: Iterable[Item]) -> Iterator[Item]:
    """Yield the items in their order, each made in a second thread while the one before is in use."""
    rest = iter(items)
    end = object()
    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(next, rest, end)
        while (item := pending.result()) is not end:
            pending = pool.submit(next, rest, end)
            yield item  # type: ignore[misc]  # `next` gives an item, or the end


def lines_of_text(data: bytes, first: int = 1) -> tuple[pl.DataFrame, int]:
    """Return the lines of a UTF-8 text that aren't comments, numbered from `first`, and how many there are in all."""
    if not data.endswith(b"\n"):
        data += b"\n"
    ends = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == 10) + 1
    offsets = np.concatenate([[0], ends]).astype(np.int32)
    array = pa.StringArray.from_buffers(len(ends), pa.py_buffer(offsets.tobytes()), pa.py_buffer(data))
    text = pl.Series("text", array, dtype=pl.String).str.strip_chars("\r\n\ufeff")
    frame = pl.DataFrame([pl.int_range(first, first + len(text), eager=True, dtype=pl.Int64).alias("number"), text])
    return frame.filter(~pl.col("text").str.contains(r"^\s*(?:#|//|$)")), len(text)


def _whole_lines(blocks: Iterable[bytes], longest: int) -> Iterator[bytes]:
    """Join and cut blocks so that each ends with a line's end; of a line beyond `longest` bytes the head is enough."""
    rest = b""
    skipping = False
    for given in blocks:
        block = given
        if skipping:
            _, end, block = block.partition(b"\n")
            if not end:
                continue
            skipping = False
            yield rest + b"\n"
            rest = b""
        at = block.rfind(b"\n") + 1
        if at:
            yield rest + block[:at]
            rest = block[at:]
        else:
            rest += block
        if len(rest) > longest:
            rest = rest[:longest].decode("utf-8", "ignore").encode()
            skipping = True
    if rest:
        yield rest
