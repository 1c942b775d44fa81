"""A bundle of any size, split into its objects block by block: exact boundaries, nothing parsed, memory bounded.

What stands in a string is told by the parity of the quotes before it (those that a backslash escapes don't count),
how deep a bracket stands by a running sum: both for a whole block at once. Between two objects of a list only a comma
and white space may stand; other values there (numbers, texts) are handed out as they are, for whoever parses them
to refuse. What an object holds is not looked at.

Specification: RFC 8259 (JSON); STIX 2.1 §8 (bundles); TAXII 2.1 §3.7 (envelopes).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from aleat.errors import InputError, LimitError, ObjectError, Place
from aleat.stix.limits import ObjectLimits
from aleat.stix.members import Members

__all__ = ["MemberSplitter", "find_members"]

_TOKENS = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[{\]}:,]|[^\s"\[{\]}:,]++', re.DOTALL)
_SPACE = b" \t\r\n"
_SCALAR = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[^,\s"]++', re.DOTALL)
_TAIL = 1024**2

_Positions = np.ndarray[Any, np.dtype[np.int64]]


def find_members(head: bytes) -> int | None:
    """Return where the list of objects begins (behind its bracket) in a file with this head; None: not to be told.

    That is a list at top level, or the list ``objects`` of a bundle or an envelope. An object of another type may have
    a list of that name too; it is one object, and read as a whole.
    """
    start = len(head) - len(head.removeprefix(b"\xef\xbb\xbf").lstrip(_SPACE))
    if head[start : start + 1] == b"[":
        return start + 1
    level, key, before = 0, b"", b""
    said: dict[bytes, bytes] = {}
    for match in _TOKENS.finditer(head, start):
        token = match.group()
        if token in (b"{", b"["):
            if level == 1 and key == b'"objects"' and token == b"[" and before == b":":
                return match.end() if _is_envelope(said) else None
            level += 1
        elif token in (b"}", b"]"):
            level -= 1
            if level == 0:
                return None
        elif level == 1:
            if token == b":":
                key = before
            elif before == b":":
                said[key] = token
        if level <= 1:
            before = token
    return None


def _is_envelope(said: dict[bytes, bytes]) -> bool:
    """Tell by the keys before ``objects`` whether they are a bundle's, or nobody's."""
    if (kind := said.get(b'"type"')) is not None:
        return kind in (b'"bundle"', b'""')
    return said.get(b'"id"', b'"bundle--').startswith(b'"bundle--')


@dataclass(slots=True)
class MemberSplitter:
    """Takes a list of objects block by block, from behind its opening bracket, and hands out its members.

    `offset` is the byte of the file at which the first block begins. `tail` are the bytes behind the list's end.
    """

    path: str
    limits: ObjectLimits
    offset: int
    ended: bool = False
    tail: bytearray = field(default_factory=bytearray)
    _carry: bytes = b""
    _open: int | None = None
    _in_string: int = 0
    _escaped: bool = False
    _depth: int = 0
    _count: int = 0
    _skipped: int = 0

    def feed(self, block: bytes) -> Iterator[Members | InputError]:
        """Yield the members that end in `block`; an error for what is too large or stands where nothing may."""
        if self.ended:
            yield from self._take_tail(block)
            return
        starts, ends, stop, depth = self._scan(block)
        shift = len(self._carry)
        data = self._carry + block if shift else block
        base = self.offset - shift
        self.offset += len(block)
        starts, ends = starts + shift, ends + shift
        begun = ([] if self._open is None else [self._open]) + starts.tolist()
        ended = ends.tolist()
        if self._skipped and ended:
            yield self._too_large(base + begun[0] - self._skipped, self._skipped + ended[0])
            data, base = data[ended[0] :], base + ended[0]
            shift -= ended[0]
            begun, ended = [at - ended[0] for at in begun[1:]], [at - ended[0] for at in ended[1:]]
            self._skipped, self._open = 0, None
            self._count += 1
        yield from self._members(data, base, begun, ended, depth)
        last = ended[-1] if ended else 0
        self._open = begun[-1] - last if len(begun) > len(ended) else None
        if stop is not None:
            yield from self._end(data, base, last, stop + shift)
            return
        if self._skipped:
            self._skipped += len(data)
            self._carry = b""
            return
        self._carry = data[last:]
        if len(self._carry) - (self._open or 0) > self.limits.object_bytes and self._open is not None:
            self._skipped = len(self._carry) - self._open
            self._carry, self._open = b"", 0
        elif self._open is None and len(self._carry) > self.limits.object_bytes:
            raise self._too_wide(base + last)

    def finish(self) -> Iterator[Members | InputError]:
        """Say what is wrong with the end, where the list was not closed."""
        if self.ended:
            return
        at = self.offset - len(self._carry) + (self._open or 0) - self._skipped
        reason = "The file breaks off within its list of objects; what stood whole before this byte was read."
        yield ObjectError(reason, self._place(at), advice="Ask its giver for the file again.")

    # ------------------------------------------------------------------------------------------- structure

    def _scan(self, block: bytes) -> tuple[_Positions, _Positions, int | None, int]:
        """Return where members that are lists or objects begin and end, where the list ends, and the greatest depth."""
        codes = np.frombuffer(block, np.uint8)
        quotes = self._quotes(block, codes)
        lowered = codes | 32  # [ and { fall together, as do ] and }
        at = np.flatnonzero((lowered == 0x7B) | (lowered == 0x7D))
        at = at[(np.searchsorted(quotes, at) + self._in_string) & 1 == 0]
        opens = lowered[at] == 0x7B
        depth = np.cumsum(np.where(opens, 1, -1)) + self._depth
        outside = np.flatnonzero(depth < 0)
        stop = None
        if len(outside):
            stop = int(at[outside[0]])
            at, opens, depth = at[: outside[0]], opens[: outside[0]], depth[: outside[0]]
        elif len(depth):
            self._depth = int(depth[-1])
        self._in_string = (self._in_string + len(quotes)) & 1
        return at[opens & (depth == 1)], at[~opens & (depth == 0)] + 1, stop, int(depth.max(initial=0))

    def _quotes(self, block: bytes, codes: np.ndarray[Any, np.dtype[np.uint8]]) -> _Positions:
        """Return where quotes stand that no backslash escapes."""
        quotes = np.flatnonzero(codes == 34)
        escaped, self._escaped = self._escaped, False
        if not escaped and b"\\" not in block:
            return quotes
        slashes = np.flatnonzero(codes == 92)
        first = np.flatnonzero(np.diff(slashes, prepend=-2) != 1)
        begins = slashes[first]
        lengths = np.diff(first, append=len(slashes))
        behind = begins + lengths
        if escaped and len(begins) and begins[0] == 0:
            lengths[0] += 1
        hidden = behind[lengths & 1 == 1]
        if escaped and not (len(begins) and begins[0] == 0):
            hidden = np.append(hidden, 0)
        if len(behind) and behind[-1] == len(block):
            self._escaped = bool(lengths[-1] & 1)
        mask = np.zeros(len(block) + 1, dtype=np.bool_)
        mask[hidden] = True
        return quotes[~mask[quotes]]

    # --------------------------------------------------------------------------------------------- members

    def _members(
        self, data: bytes, base: int, begun: list[int], ended: list[int], depth: int
    ) -> Iterator[Members | InputError]:
        if not ended:
            return
        begun = begun[: len(ended)]
        gaps = [0, *ended[:-1]]
        if len(data) > self.limits.object_bytes:  # else no gap can be too wide
            widths = (start - gap for gap, start in zip(gaps, begun, strict=True))
            wide = next((at for at, width in enumerate(widths) if width > self.limits.object_bytes), None)
            if wide is not None:
                yield from self._members(data, base, begun[:wide], ended[:wide], depth)
                raise self._too_wide(base + gaps[wide])
        odd = {gap for gap in {data[a:b] for a, b in zip(gaps, begun, strict=True)} if gap.strip(_SPACE) != b","}
        starts, ends = begun, ended
        if odd:
            starts, ends = [], []
            for gap, start, end in zip(gaps, begun, ended, strict=True):
                between = data[gap:start]
                if between in odd:
                    for one in self._between(between, base + gap, last=False):
                        if isinstance(one, InputError):
                            yield one
                        else:
                            starts.append(one[0] - base)
                            ends.append(one[1] - base)
                starts.append(start)
                ends.append(end)
                self._count += 1
        else:
            self._count += len(starts)
        yield Members(data, base, starts, ends, depth)

    def _between(self, gap: bytes, at: int, *, last: bool) -> Iterator[tuple[int, int] | InputError]:
        """Yield (start, end) of what stands between two objects, in the file; an error where the commas are wrong."""
        found = [(at + match.start(), at + match.end()) for match in _SCALAR.finditer(gap)]
        first = self._count == 0
        commas = _SCALAR.sub(b"", gap).count(b",")
        self._count += len(found)
        yield from found
        values = len(found) + (not last)  # each but the list's first has a comma before it
        if commas != values - (first and values > 0):
            reason = "Between two objects there must be one comma; the file was damaged here."
            yield ObjectError(reason, self._place(at), advice="Ask its giver for the file again.")

    def _end(self, data: bytes, base: int, last: int, stop: int) -> Iterator[Members | InputError]:
        starts, ends = [], []
        if stop - last > self.limits.object_bytes:
            raise self._too_wide(base + last)
        for one in self._between(data[last:stop], base + last, last=True):
            if isinstance(one, InputError):
                yield one
            else:
                starts.append(one[0] - base)
                ends.append(one[1] - base)
        if starts:
            yield Members(data, base, starts, ends, 0)
        self.ended, self._carry = True, b""
        if data[stop : stop + 1] != b"]":
            yield ObjectError("The list of objects is closed by a brace.", self._place(base + stop))
        yield from self._take_tail(data[stop + 1 :])

    def _take_tail(self, block: bytes) -> Iterator[InputError]:
        if len(self.tail) <= _TAIL:
            self.tail += block
            if len(self.tail) > _TAIL:
                reason = f"Behind the list of objects stand more than {_TAIL} bytes; they were not read."
                yield LimitError(reason, self._place(self.offset))

    def _too_wide(self, at: int) -> InputError:
        reason = f"What stands between two objects is larger than object_bytes ({self.limits.object_bytes} bytes)."
        return LimitError(reason, self._place(at))

    def _too_large(self, at: int, length: int) -> InputError:
        reason = f"The object is larger than object_bytes ({self.limits.object_bytes} bytes)."
        return LimitError(reason, self._place(at))

    def _place(self, offset: int) -> Place:
        return Place(self.path, offset=offset)
