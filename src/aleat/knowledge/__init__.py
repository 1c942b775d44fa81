"""What an ally knows: bytes in, STIX objects out, with their place; no clock, no judgement, no network but a given URL.

`read_knowledge` walks files, folders, archives, checkouts and URLs, and gives `KnowledgeItem`s and `Issue`s. Who
gave it, when and under which agreement is for the caller to say (`aleat.store.Provenance`); what may be hunted for is
for `aleat.hunt`, what may be passed on for `aleat.release`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aleat.deferred import deferred
from aleat.knowledge.document import Document
from aleat.knowledge.items import UNDATED, KnowledgeItem
from aleat.knowledge.limits import Limits

if TYPE_CHECKING:
    from aleat.knowledge.reader import NOTE_CODES, READERS, Reader, detect_reader, read_documents, read_knowledge

__all__ = [
    "NOTE_CODES",
    "READERS",
    "UNDATED",
    "Document",
    "KnowledgeItem",
    "Limits",
    "Reader",
    "detect_reader",
    "read_documents",
    "read_knowledge",
]

if not TYPE_CHECKING:
    _READING = ("NOTE_CODES", "READERS", "Reader", "detect_reader", "read_documents", "read_knowledge")
    __getattr__ = deferred(__name__, {"reader": _READING})
