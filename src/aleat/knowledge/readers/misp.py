"""MISP: events as JSON, alone, in lists and answers of a server; a feed's files, each event one of them.

Accepted are ``{"Event": …}``, ``{"response": […]}`` (of whole events, or of their bodies), lists of either, one body
alone, and bodies that lack almost everything. A feed's ``manifest.json`` and ``hashes.csv`` say nothing that its
events don't, and are noted. What an event becomes: `aleat.knowledge.misp`.

Format: MISP core format, https://www.misp-standard.org/rfc/misp-standard-core.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from aleat.errors import Issue, LimitError, ObjectError, Place
from aleat.knowledge.document import Document
from aleat.knowledge.items import KnowledgeItem
from aleat.knowledge.limits import Limits
from aleat.knowledge.misp.events import STAGE, read_event
from aleat.stix.objects import has_duplicate_keys

__all__ = ["detect", "read"]

_WRAPPED = re.compile(
    rb'[\[{][ \t\r\n\[{]*+(?:"response"[ \t\r\n]*+:[ \t\r\n\[{]*+)?"Event"[ \t\r\n]*+:[ \t\r\n]*+[\[{]'
)
_WINDOWS = re.compile(
    rb'[\[{][ \t\r\n\[{]*+"Event"[ \t\r\n]*+:[ \t\r\n]*+\{[ \t\r\n]*+"(?:[#@]|System"|EventData"|xmlns")'
)
_BODY = re.compile(
    rb'"(?:Attribute|Object|ShadowAttribute)"[ \t\r\n]*+:[ \t\r\n]*+\[|'
    rb'"(?:Orgc|orgc_id|threat_level_id|publish_timestamp|event_creator_email|'
    rb'object_relation|template_uuid|EventReport|attribute_count)"[ \t\r\n]*+:'
)
_MANIFEST = re.compile(rb'\{[ \t\r\n]*+"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"[ \t\r\n]*+:[ \t\r\n]*+\{')
_HASHES = re.compile(rb"[0-9a-f]{32},[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\r?(?:\n|$)")
_STIX = re.compile(rb'"type"[ \t\r\n]*+:[ \t\r\n]*+"bundle"')
_MEMBERS = frozenset({"Attribute", "Object", "ShadowAttribute", "info", "Orgc", "EventReport", "threat_level_id"})


def detect(document: Document) -> bool:
    """Tell whether the head of `document` is that of MISP's events, or of a file of a feed of them."""
    head = document.head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if document.name == "hashes.csv":
        return _HASHES.match(head) is not None
    if not head.startswith((b"{", b"[")) or document.suffix not in {".json", ""}:
        return False
    if document.name == "manifest.json" and _MANIFEST.match(head):
        return True
    if _WINDOWS.match(head):  # an event of Windows' log, as JSON
        return False
    return _STIX.search(head) is None and (_WRAPPED.match(head) is not None or _BODY.search(head) is not None)


def read(document: Document, limits: Limits) -> Iterator[KnowledgeItem | Issue]:
    """Yield everything of the document's events, and an issue for each that can't be used."""
    place = Place(document.path)
    if document.name in {"manifest.json", "hashes.csv"} and not _WRAPPED.match(document.head):
        reason = "A file about a MISP feed's events; what it says stands in them too."
        yield Issue(STAGE, "misp-feed", place, reason)
        return
    if document.size > limits.misp_bytes:
        raise LimitError(f"The file is larger than {limits.misp_bytes} bytes (misp_bytes).", place)
    bodies = _bodies(_parse(document.read(), place), place)
    if len(bodies) > limits.misp_events:
        raise LimitError(f"The file has more than {limits.misp_events} events (misp_events).", place)
    for body in bodies:
        if not isinstance(body, Mapping) or not _MEMBERS & body.keys():
            yield Issue(STAGE, "misp", place, "One of the file's events is none.", records=1)
            continue
        try:
            yield from read_event(body, place)
        except (ObjectError, RecursionError) as error:
            reason = error.reason if isinstance(error, ObjectError) else "it is nested too deep"
            yield Issue(STAGE, "misp", place, f"An event can't be used: {reason}", records=1)


def _parse(data: bytes, place: Place) -> Any:
    try:
        value = orjson.loads(data.removeprefix(b"\xef\xbb\xbf"))
        again = orjson.dumps(value)
    except orjson.JSONDecodeError as error:
        raise ObjectError(
            f"The file is no JSON that can be used: {error.msg}.", Place(place.path, error.lineno, error.colno)
        ) from None
    except TypeError:
        raise LimitError("The file is nested deeper than 254 levels.", place) from None
    if has_duplicate_keys(data.removeprefix(b"\xef\xbb\xbf"), again):
        raise ObjectError("An object of the file has a key twice; which one counts is anybody's guess.", place)
    return value


def _bodies(value: Any, place: Place) -> list[Any]:
    """Return the events in a file, out of whatever they are wrapped in."""
    if isinstance(value, Mapping) and "response" in value and not _MEMBERS & value.keys():
        value = value["response"]
    rows = value if isinstance(value, list) else [value]
    found: list[Any] = []
    for row in rows:
        inner = row.get("Event") if isinstance(row, Mapping) and "Event" in row else row
        found += inner if isinstance(inner, list) else [inner]
    if not found:
        raise ObjectError("The file has no events.", place)
    return found
