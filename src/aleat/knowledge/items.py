"""What a reader gives: a STIX object with its place, and the rows beside it where it is a list."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aleat.errors import Place
from aleat.stix.objects import StixObject

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["UNDATED", "KnowledgeItem"]

UNDATED = datetime(1970, 1, 1, tzinfo=UTC)
"""Stands for `created` in what carries no date, and for `valid_from` in all that is made from rules and lists: a
reader has no clock, so that the same file always gives the same object. When it came is in its provenance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnowledgeItem:
    """One object that was read.

    `place` is where it stood; `entries` the rows of a list (`aleat.stix.entries.ENTRY_SCHEMA`); `corpus` the
    public corpus it is part of and `corpus_basis` by what that is known; `markings` ids of marking
    definitions that its container put on it, beside its own.
    """

    object: StixObject
    place: Place
    entries: pa.Table | None = None
    corpus: str | None = None
    corpus_basis: str = ""
    corpus_version: str = ""
    markings: tuple[str, ...] = ()
