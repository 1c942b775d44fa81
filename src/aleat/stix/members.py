"""What a bundle is split into: whole members of its list, many at once, not parsed yet.

In a file of its own, so that a worker that parses them needn't load what splits.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Members"]


@dataclass(frozen=True, slots=True)
class Members:
    """Whole members of a list: `data[starts[i]:ends[i]]` each; `base` is the byte of the file that `data` begins at.

    `depth` is how deep the deepest of them nests.
    """

    data: bytes
    base: int
    starts: list[int]
    ends: list[int]
    depth: int
