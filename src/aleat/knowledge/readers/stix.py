"""STIX 2.0 and 2.1: bundles, TAXII envelopes, single objects; every object keeps its bytes.

A bundle that is a public corpus (ATT&CK) is recognised as a whole, by the workspace's policy; see
`aleat.trust.corpora`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from aleat.errors import Issue
from aleat.knowledge.blocks import read_blocks
from aleat.knowledge.document import Document
from aleat.knowledge.items import KnowledgeItem
from aleat.knowledge.limits import Limits

__all__ = ["detect", "read"]

_SIGN = re.compile(rb'"type"[ \t\r\n]*+:[ \t\r\n]*+"(?:bundle"|[a-z0-9-]+")')
_ID = re.compile(rb'"id"[ \t\r\n]*+:[ \t\r\n]*+"[a-z0-9-]+--[0-9a-fA-F-]{36}"')
_OBJECTS = re.compile(rb'"objects"[ \t\r\n]*+:')


def detect(document: Document) -> bool:
    """Tell whether the head of `document` is that of a STIX bundle, an envelope of objects, or a STIX object."""
    head = document.head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not head.startswith((b"{", b"[")):
        return False
    if b'"bundle"' in head and _SIGN.search(head):
        return True
    if _SIGN.search(head) and _ID.search(head):
        return True
    return document.suffix == ".json" and _OBJECTS.search(head[:200]) is not None


def read(document: Document, limits: Limits) -> Iterator[KnowledgeItem | Issue]:
    """Yield the document's objects, and an issue for each that can't be used."""
    for one in read_blocks(document, limits):
        if isinstance(one, Issue):
            yield one
        else:
            yield from one.items()
