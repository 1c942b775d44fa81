"""STIX bundles: split into their objects, each with its own bytes unchanged and its own fault, if it has one.

Accepted are bundles of STIX 2.0 and 2.1, TAXII envelopes, lists of objects, and one object alone. One bad
object is an `Issue` with the byte where it starts; a file that is no STIX at all raises. The bundle's own id
says nothing (STIX 2.1 §8) and is kept only for showing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from aleat.errors import Issue, LimitError, ObjectError, Place
from aleat.stix.ids import random_id
from aleat.stix.limits import ObjectLimits
from aleat.stix.objects import StixObject, parse_object

__all__ = ["ParsedBundle", "make_bundle", "parse_bundle"]

_STAGE = "knowledge"
_TOKENS = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[{]++|[\]}]++|,', re.DOTALL)


@dataclass(frozen=True, slots=True)
class ParsedBundle:
    """A bundle's objects with the byte offset of each, and what could not be used, in the bundle's order."""

    objects: tuple[StixObject, ...]
    offsets: tuple[int, ...]
    issues: tuple[Issue, ...]
    id: str | None = None


class _Envelope(msgspec.Struct):
    type: str = ""
    id: str | None = None
    objects: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode


def parse_bundle(data: bytes, path: str, limits: ObjectLimits | None = None) -> ParsedBundle:
    """Return the objects in `data` (JSON text); `path` is named in issues.

    Raises `LimitError` for a file beyond `limits` as a whole, `ObjectError` for one that is no STIX.
    """
    limits = limits or ObjectLimits()
    if len(data) > limits.bundle_bytes:
        raise LimitError(f"The file is larger than bundle_bytes ({limits.bundle_bytes} bytes).", Place(path))
    start = len(data) - len(data.removeprefix(b"\xef\xbb\xbf").lstrip())
    envelope_id, objects_at, raws = _open_envelope(data, start, path, limits)
    if len(raws) > limits.objects:
        raise LimitError(f"The bundle has more objects than {limits.objects} (objects).", Place(path))
    return _parse_all(data, objects_at, raws, path, limits, envelope_id)


def make_bundle(objects: Iterable[StixObject], *, id_: str | None = None) -> bytes:
    """Return a STIX 2.1 bundle of `objects`, each with its bytes unchanged (STIX 2.0 in its upgraded form).

    The id is random unless given: a bundle's id means nothing, and must not tell what is in it.
    """
    head = f'{{"type":"bundle","id":{json.dumps(id_ or random_id("bundle"))}'.encode()
    members = b",\n".join(item.content for item in objects)
    return head + b',"objects":[\n' + members + b"\n]}\n" if members else head + b"}\n"


def _open_envelope(
    data: bytes, start: int, path: str, limits: ObjectLimits
) -> tuple[str | None, int, Sequence[bytes | msgspec.Raw]]:
    """Return (the bundle's id, where its first object is looked for, its objects' bytes)."""
    try:
        if data[start : start + 1] == b"[":
            return None, start + 1, _decode_list(data[start:])
        envelope = _decode_envelope(memoryview(data)[start:])
        if envelope.objects is msgspec.UNSET:
            if envelope.type in {"", "bundle"}:
                _check_envelope(data, b"", path)
                if not envelope.type:
                    raise ObjectError("The file holds no STIX objects.", Place(path))
                return envelope.id, start, ()
            return None, start, (data[start:].rstrip(),)
        if envelope.type not in {"", "bundle"}:  # an object of observed data has `objects` of its own
            return None, start, (data[start:].rstrip(),)
        members = bytes(envelope.objects)
        _check_envelope(data, members, path)
        return envelope.id, data.index(members) + 1, _decode_list(members)
    except RecursionError:
        return _split_deep(data, path, limits)
    except (msgspec.MsgspecError, ValueError) as error:
        reason = str(error).splitlines()[0][:160].rstrip(".")
        raise ObjectError(
            f"The file is no STIX bundle: {reason}.", Place(path), advice="Ask its giver for the file again."
        ) from None


def _check_envelope(data: bytes, members: bytes, path: str) -> None:
    """Raise where the bundle itself names a key twice: a second `objects` would be dropped in silence."""
    rest = data.removeprefix(b"\xef\xbb\xbf").replace(members, b"[]", 1) if members else data

    def refuse(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) != len(pairs):
            raise ObjectError("The bundle has a key twice; which one counts is anybody's guess.", Place(path))
        return dict(pairs)

    json.loads(rest, object_pairs_hook=refuse)


def _parse_all(
    data: bytes,
    position: int,
    raws: Sequence[bytes | msgspec.Raw],
    path: str,
    limits: ObjectLimits,
    envelope_id: str | None,
) -> ParsedBundle:
    objects: list[StixObject] = []
    offsets: list[int] = []
    issues: list[Issue] = []
    dropped = 0
    for member in raws:
        raw = bytes(member)
        offset = data.index(raw, position)  # between two members are a comma and white space only
        position = offset + len(raw)
        try:
            if len(raw) > limits.object_bytes:
                raise LimitError(f"The object is larger than object_bytes ({limits.object_bytes} bytes).")
            objects.append(parse_object(raw, Place(path, offset=offset), depth=limits.depth))
            offsets.append(offset)
        except (ObjectError, LimitError) as error:
            dropped += 1
            if len(issues) < limits.issues:
                place = Place(path, offset=offset)
                issues.append(Issue(_STAGE, error.code, place, error.reason, error.advice, length=len(raw), records=1))
    if dropped > len(issues):
        reason = f"{dropped - len(issues)} more objects of this file can't be used; they are not listed one by one."
        issues.append(Issue(_STAGE, "object", Place(path), reason, records=dropped - len(issues)))
    return ParsedBundle(tuple(objects), tuple(offsets), tuple(issues), envelope_id)


def _split_deep(data: bytes, path: str, limits: ObjectLimits) -> tuple[str | None, int, list[bytes]]:
    """Split a bundle that nests too deep for the decoder, so that its other objects still go in."""
    spans = list(_member_spans(data))
    if not spans:
        raise LimitError(
            f"The file is nested deeper than {limits.depth} levels outside its objects (depth).", Place(path)
        )
    return None, spans[0][0], [data[start:end] for start, end in spans]


def _member_spans(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of the members of the first list named ``objects`` on the bundle's own level."""
    level, expecting, inside, begin = 0, False, False, None
    for match in _TOKENS.finditer(data):
        first = data[match.start()]
        width = match.end() - match.start()
        if first in b"[{":
            if level == 1 and expecting and not inside and first == ord("["):
                inside, begin = True, match.start() + 1
            level += width
        elif first in b"]}":
            level -= width
            if inside and level <= 1:
                yield from _span(data, begin, match.end() - (2 - level))
                return
        elif first == ord(","):
            if inside and level == 2:
                yield from _span(data, begin, match.start())
                begin = match.end()
        elif level == 1:
            expecting = match.group() == b'"objects"'


def _span(data: bytes, start: int | None, end: int) -> Iterator[tuple[int, int]]:
    if start is not None and (body := data[start:end].strip()):
        first = data.index(body, start)
        yield first, first + len(body)
