"""TAXII 2.1 on the wire: media types, envelopes, resources, error messages; bytes in, typed records out, no network.

TAXII 2.1 §1.6.8 (media types), §3.6.1 (error message), §3.7 (envelope), §4 and §5 (resources). Of an envelope only
`more` and `next` are read here; its objects are handed on byte for byte to the readers of knowledge.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from aleat.errors import ObjectError, RemoteError
from aleat.exchange.http_client import Answer
from aleat.stix.times import parse_timestamp
from aleat.text import clip, visible

__all__ = [
    "MEDIA_TYPE",
    "ApiRoot",
    "Collection",
    "Discovery",
    "Envelope",
    "ManifestRecord",
    "Status",
    "StatusDetail",
    "added_last",
    "check_media_type",
    "decode",
    "encode_resource",
    "error_of",
    "is_moment",
    "parse_envelope",
]

MEDIA_TYPE = "application/taxii+json;version=2.1"
"""What is asked for and what is sent (TAXII 2.1 §1.6.8.2)."""

_BASE_TYPE = "application/taxii+json"
_SHOWN = 300
_Resource = TypeVar("_Resource")
_TOKENS = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[{]|[\]}]|,|:', re.DOTALL)


class Discovery(msgspec.Struct, frozen=True):
    """A server's discovery resource (§4.1.1)."""

    title: str
    description: str = ""
    contact: str = ""
    default: str = ""
    api_roots: tuple[str, ...] = ()


class ApiRoot(msgspec.Struct, frozen=True):
    """An API root (§4.2.1); `max_content_length` is in bytes."""

    title: str
    max_content_length: int
    versions: tuple[str, ...] = ()
    description: str = ""


class Collection(msgspec.Struct, frozen=True):
    """A collection (§5.1.1)."""

    id: str
    title: str
    can_read: bool
    can_write: bool
    description: str = ""
    alias: str = ""
    media_types: tuple[str, ...] = ()


class ManifestRecord(msgspec.Struct, frozen=True):
    """One version of one object in a collection (§5.3.1): `date_added` is the server's, `version` the object's."""

    id: str
    date_added: str
    version: str
    media_type: str = ""


class StatusDetail(msgspec.Struct, frozen=True):
    """What became of one pushed object (§4.3.2)."""

    id: str
    version: str = ""
    message: str = ""


class Status(msgspec.Struct, frozen=True):
    """What became of a push (§4.3.1): `status` is "pending" or "complete"."""

    id: str
    status: str
    total_count: int
    success_count: int
    failure_count: int
    pending_count: int
    successes: tuple[StatusDetail, ...] = ()
    failures: tuple[StatusDetail, ...] = ()
    pendings: tuple[StatusDetail, ...] = ()


class Envelope(msgspec.Struct, frozen=True):
    """A page (§3.7): its objects' bytes (a JSON list, empty where there is none), and how it goes on."""

    objects: bytes
    count: int
    more: bool
    next: str | None


class _Frame(msgspec.Struct):
    objects: list[Any] | msgspec.UnsetType = msgspec.UNSET
    more: bool = False
    next: str | None = None


class _Page(msgspec.Struct):
    objects: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Error(msgspec.Struct):
    title: str = ""
    description: str = ""
    error_id: str = ""


def check_media_type(answer: Answer) -> None:
    """Raise `RemoteError` where an answer isn't TAXII 2.1 by its Content-Type; the version may be left out."""
    base, _, parameters = answer.headers.get("content-type", "").partition(";")
    found = dict(_parameter(text) for text in parameters.split(";") if text.strip())
    if base.strip().lower() != _BASE_TYPE:
        given = clip(visible(base.strip()), 80) or "no type at all"
        raise RemoteError(
            f"The server answers with {given}, not with {_BASE_TYPE}.",
            code="media-type",
            advice="Is the URL that of a TAXII 2.1 server?",
        )
    if found.get("version", "2.1") != "2.1":
        raise RemoteError(f"The server speaks TAXII {clip(visible(found['version']), 20)}, not 2.1.", code="media-type")


def error_of(answer: Answer) -> RemoteError:
    """Return what an answer of 400 and above says, in the server's own words where it has some (§3.6.1)."""
    said = ""
    try:
        check_media_type(answer)
        error = msgspec.json.decode(answer.body, type=_Error)
        said = ": ".join(part for part in (error.title, error.description) if part)
    except (msgspec.MsgspecError, RemoteError, RecursionError, UnicodeDecodeError):
        pass
    words = f" The server says: {clip(visible(said), _SHOWN)}" if said else ""
    advice = {
        401: "Give a token, or a user and a password.",
        403: "Ask the server's keeper for the right to read.",
        404: "Is the URL right, with its slash at the end?",
        406: "The server doesn't speak TAXII 2.1.",
    }.get(answer.status, "")
    kind = "refused" if answer.status < 500 else "server-error"
    return RemoteError(f"The server answers {answer.status}.{words}", code=kind, advice=advice)


def decode(answer: Answer, kind: type[_Resource], what: str) -> _Resource:
    """Return the resource in an answer; raises `RemoteError` where it is an error, or something else."""
    if answer.status >= 300:
        raise error_of(answer)
    check_media_type(answer)
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        reason = clip(visible(str(error).splitlines()[0]), 160).rstrip(".")
        raise RemoteError(f"The server's {what} can't be read: {reason}.", code="wrong-json") from None


def encode_resource(resource: msgspec.Struct) -> bytes:
    """Return a resource as JSON; optional properties that are empty are left out."""
    needed = {field.encode_name for field in msgspec.structs.fields(resource) if field.required}
    content = msgspec.to_builtins(resource)
    return msgspec.json.encode({key: value for key, value in content.items() if key in needed or value not in ("", ())})


def parse_envelope(body: bytes) -> Envelope:
    """Return the page in `body`, its objects untouched; raises `RemoteError` where it is none.

    An envelope without objects is a page without any (§3.7); a key of the envelope that stands twice is refused.
    """
    start, end, count = _quick_span(body) or _objects_span(body)
    frame = body[:start] + b"[]" + body[end:] if end else body
    try:
        json.loads(frame, object_pairs_hook=_unique)
        read = msgspec.json.decode(frame, type=_Frame)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        reason = clip(visible(str(error).splitlines()[0]), 160).rstrip(".")
        raise RemoteError(f"A page is no TAXII envelope: {reason}.", code="wrong-json") from None
    return Envelope(body[start:end], count, read.more, read.next or None)


def _quick_span(body: bytes) -> tuple[int, int, int] | None:
    """Return the same as `_objects_span` for a page that is sound, by the decoder."""
    try:
        members = msgspec.json.decode(body, type=_Page).objects
        if isinstance(members, msgspec.UnsetType):
            return 0, 0, 0
        raw = bytes(members)
        count = len(msgspec.json.decode(raw, type=list[msgspec.Raw]))
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    start = body.index(raw)
    return start, start + len(raw), count


def _objects_span(body: bytes) -> tuple[int, int, int]:
    """Return where the list of objects stands on the envelope's own level, and how many members it has, in one pass.

    The members aren't parsed, so that one of them which nests without end, or is damaged, is its reader's to refuse.
    """
    level = start = commas = 0
    name = b""
    filled = False
    for match in _TOKENS.finditer(body):
        first = match[0][:1]
        if first in b"[{":
            level += 1
            if level == 2 and first == b"[" and name == b'"objects"' and not start:
                start = match.start()
            elif start:
                filled = True
        elif first in b"]}":
            level -= 1
            if start and level == 1:
                inner = filled or bool(body[start + 1 : match.start()].strip())
                return start, match.end(), commas + 1 if inner else 0
        elif start:
            commas += first == b"," and level == 2
            filled = True
        elif level == 1 and first == b'"':
            name = match[0]
        elif first == b",":
            name = b""
    return 0, 0, 0


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("it has a key twice")
    return dict(pairs)


def added_last(headers: Mapping[str, str]) -> tuple[str, str]:
    """Return the times of X-TAXII-Date-Added-First and -Last (§1.6.8.1), each empty where it is no timestamp."""
    first, last = (headers.get(f"x-taxii-date-added-{end}", "").strip() for end in ("first", "last"))
    return first if is_moment(first) else "", last if is_moment(last) else ""


def is_moment(text: str) -> bool:
    """Tell whether `text` is a timestamp that can be reckoned with (the year 9999's last leap second can't)."""
    try:
        parse_timestamp(text)
    except ObjectError:
        return False
    return True


def _parameter(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name.strip().lower(), value.strip().strip('"')
