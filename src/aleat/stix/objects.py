"""STIX objects: the bytes that came in, beside the validated properties that Aleat itself uses.

Invariants: `raw` is never changed, so that unknown properties survive byte for byte; every property that is
typed here has been checked; an object has no duplicate keys and no nesting beyond `ObjectLimits.depth`. An
object of STIX 2.0 keeps its bytes in `raw` and has its STIX 2.1 form in `upgraded` (see `aleat.stix.upgrade`).

Not here: whether an object is *valid STIX* in every detail (that is for `stix2-validator`, in tests), and
the meaning of patterns, markings and extensions. Why not `stix2`: it parses 100,000 indicators in 38 s.

Specification: STIX 2.1, https://docs.oasis-open.org/cti/stix/v2.1/os/stix-v2.1-os.html, §3.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec
import orjson

from aleat.errors import ObjectError, Place
from aleat.stix.canonical import canonical_json, canonical_json_parsed, parse_json
from aleat.stix.times import format_timestamp, is_timestamp
from aleat.stix.upgrade import needs_upgrade, upgrade_object

__all__ = [
    "GranularMarking",
    "Received",
    "StixObject",
    "check_received",
    "decode_received",
    "has_duplicate_keys",
    "is_deeper",
    "make_object",
    "parse_object",
    "plain_json",
    "restore_object",
]

# STIX 2.1 §2.9: object-type--UUID. Versions of UUID are not checked in what others made.
_ID = re.compile(r"([a-z0-9][a-z0-9-]{1,248}[a-z0-9])--[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_BRACKETS = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[{]++|[\]}]++', re.DOTALL)
_SPACED_COLON = re.compile(rb'"[ \t\r\n]+:')


class GranularMarking(msgspec.Struct, frozen=True, gc=False):
    """A marking on parts of an object (STIX 2.1 §7.2.3): either `marking_ref` or `lang` is set."""

    selectors: tuple[str, ...]
    marking_ref: str = ""
    lang: str = ""


class StixObject(msgspec.Struct, frozen=True, gc=False):
    """One STIX object: its bytes, and the properties that Aleat uses, checked.

    `raw` are the bytes as received; `upgraded` the STIX 2.1 form where they are STIX 2.0. `digest` is the
    SHA-256 (hex) of the RFC 8785 form of `raw`: equal for two copies that differ in white space or the order
    of keys only. Times are STIX timestamps as written. Made by `parse_object` and `make_object`.
    """

    type: str
    id: str
    spec_version: str = "2.1"
    created: str | None = None
    modified: str | None = None
    created_by_ref: str | None = None
    object_marking_refs: tuple[str, ...] = ()
    granular_markings: tuple[GranularMarking, ...] = ()
    revoked: bool = False
    name: str | None = None
    description: str | None = None
    labels: tuple[str, ...] = ()
    confidence: int | None = None
    lang: str | None = None
    pattern: str | None = None
    pattern_type: str | None = None
    valid_from: str | None = None
    valid_until: str | None = None
    relationship_type: str | None = None
    source_ref: str | None = None
    target_ref: str | None = None
    raw: bytes = b""
    digest: str = ""
    upgraded: bytes | None = None

    @property
    def content(self) -> bytes:
        """The object as STIX 2.1 JSON: `raw` itself, unless that is STIX 2.0."""
        return self.raw if self.upgraded is None else self.upgraded

    @property
    def version(self) -> str:
        """What tells versions of one id apart: `modified`, else `created`, else the empty string (§3.6)."""
        return self.modified or self.created or ""

    def properties(self) -> dict[str, Any]:
        """Return all properties of the STIX 2.1 form, unknown ones included, as a new dictionary."""
        properties: dict[str, Any] = orjson.loads(self.content)
        return properties

    def extension(self, extension_id: str) -> dict[str, Any] | None:
        """Return the content of the extension `extension_id`, or None where the object doesn't have it."""
        if b'"extensions"' not in self.content:
            return None
        extensions = self.properties().get("extensions")
        content = extensions.get(extension_id) if isinstance(extensions, dict) else None
        return content if isinstance(content, dict) else None


class Received(msgspec.Struct, gc=False):
    """The typed part of an object's JSON, in the order of `StixObject`; everything else stays in the bytes."""

    type: str
    id: str
    spec_version: str | None = None
    created: str | None = None
    modified: str | None = None
    created_by_ref: str | None = None
    object_marking_refs: tuple[str, ...] = ()
    granular_markings: tuple[GranularMarking, ...] = ()
    revoked: bool = False
    name: str | None = None
    description: str | None = None
    labels: tuple[str, ...] = ()
    confidence: int | None = None
    lang: str | None = None
    pattern: str | None = None
    pattern_type: str | None = None
    valid_from: str | None = None
    valid_until: str | None = None
    relationship_type: str | None = None
    source_ref: str | None = None
    target_ref: str | None = None


decode_received = msgspec.json.Decoder(Received).decode


def parse_object(raw: bytes, place: Place, *, depth: int = 100) -> StixObject:
    """Return the STIX object whose JSON is `raw`; nothing of it is changed or dropped.

    Raises `ObjectError` with `place` where it is no STIX object that can be used: broken JSON, duplicate
    keys, nesting deeper than `depth`, a property of the wrong type, a bad id or timestamp.
    """
    if is_deeper(raw, depth):
        raise ObjectError(f"The object is nested deeper than {depth} levels.", place)
    try:
        received = decode_received(raw)
        value = parse_json(raw)
        canonical = canonical_json_parsed(value)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ObjectError(f"That is no usable STIX object: {_short(error)}.", place) from None
    if has_duplicate_keys(raw, canonical):
        raise ObjectError(
            "The object has a key twice; which one counts is anybody's guess.", place, advice="Ask its giver."
        )
    try:
        check_received(received)
    except ObjectError as error:
        raise ObjectError(error.reason, place, advice=error.advice) from None
    return _assemble(raw, hashlib.sha256(canonical).hexdigest(), received, value, place)


def restore_object(raw: bytes, digest: str) -> StixObject:
    """Return an object from bytes that `parse_object` accepted before; `digest` is the one it gave then."""
    return _assemble(raw, digest, decode_received(raw), None, Place(digest))


def make_object(
    type_: str,
    id_: str,
    *,
    created: datetime | None = None,
    modified: datetime | None = None,
    created_by_ref: str | None = None,
    markings: Iterable[str] = (),
    **properties: Any,
) -> StixObject:
    """Return an object of our own, in canonical JSON.

    `created` and `modified` (which is `created` where it isn't given) are aware times; leave both out for
    cyber observables. `markings` are ids of marking definitions. Properties that are None, or empty lists or
    objects, are left out, as STIX forbids them (§2.1, §2.8); datetimes become timestamps. Raises `ObjectError`.
    """
    content: dict[str, Any] = {"type": type_, "spec_version": "2.1", "id": id_}
    if created is not None:
        content["created"] = created
        if type_ != "marking-definition":  # §7.2.1: these have no versions
            content["modified"] = modified or created
    content |= {"created_by_ref": created_by_ref, "object_marking_refs": sorted(set(markings)), **properties}
    try:
        raw = canonical_json(plain_json(content))
    except (TypeError, ValueError) as error:  # a lone surrogate, NaN, or what is no JSON
        raise ObjectError(f"The object can't be written as JSON: {_short(error)}.", Place(id_)) from None
    return parse_object(raw, Place(id_))


def has_duplicate_keys(raw: bytes, canonical: bytes) -> bool:
    """Tell whether any JSON object within `raw` names a key twice; `canonical` is the canonical form of `raw`.

    Counts key ends (``":``) before and after a round trip, which drops duplicates; only where the text has
    escapes or spaces that would mislead the count is it parsed key by key.
    """
    if b"\\u00" not in raw and _SPACED_COLON.search(raw) is None:
        return raw.count(b'":') != canonical.count(b'":')
    duplicate = False

    def notice(pairs: list[tuple[str, Any]]) -> None:
        nonlocal duplicate
        duplicate = duplicate or len({key for key, _ in pairs}) != len(pairs)

    json.JSONDecoder(object_pairs_hook=notice).decode(raw.decode())
    return duplicate


def _short(error: Exception) -> str:
    return str(error).splitlines()[0][:160].rstrip(".") if str(error) else type(error).__name__


def is_deeper(raw: bytes, depth: int) -> bool:
    """Tell whether JSON text is nested deeper than `depth` levels, without parsing it."""
    if raw.count(b"{") + raw.count(b"[") <= depth:
        return False
    level = 0
    for match in _BRACKETS.finditer(raw):
        first = raw[match.start()]
        if first in b"[{":
            level += match.end() - match.start()
            if level > depth:
                return True
        elif first in b"]}":
            level -= match.end() - match.start()
    return False


@lru_cache(65_536)
def _is_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def check_received(received: Received) -> None:
    """Raise `ObjectError` where a typed property is not what STIX says it must be."""
    match = _ID.fullmatch(received.id)
    if match is None or match[1] != received.type:
        raise ObjectError(
            f"The id of this {received.type[:40]!r} is not of the form type--UUID.",
            advice="STIX 2.1 §2.9 says how ids look.",
        )
    for text in (received.created, received.modified, received.valid_from, received.valid_until):
        if text is not None and not is_timestamp(text):
            raise ObjectError(
                f"Its {_name_of_time(received)!r} is no STIX timestamp.",
                advice="STIX 2.1 §3.2: YYYY-MM-DDTHH:MM:SS.sssZ.",
            )
    for reference in (
        *received.object_marking_refs,
        received.created_by_ref,
        received.source_ref,
        received.target_ref,
    ):
        if reference is not None and not _is_id(reference):
            raise ObjectError("One of its references is no STIX id.", advice="STIX 2.1 §2.9 says how ids look.")
    if received.confidence is not None and not 0 <= received.confidence <= 100:
        raise ObjectError("Its 'confidence' is not between 0 and 100.")


def _name_of_time(received: Received) -> str:
    """Return the name of the first property that should be a timestamp, and isn't."""
    times = {name: getattr(received, name) for name in ("created", "modified", "valid_from", "valid_until")}
    return next(name for name, text in times.items() if text is not None and not is_timestamp(text))


def _assemble(raw: bytes, digest: str, received: Received, value: Any, place: Place) -> StixObject:
    upgraded = None
    if needs_upgrade(received.type, received.spec_version, received.created):
        properties = upgrade_object(value or parse_json(raw))
        received.pattern_type = properties.get("pattern_type", received.pattern_type)
        received.spec_version = "2.0"
        upgraded = canonical_json_parsed(properties)
    elif received.spec_version is None:
        received.spec_version = "2.1"
    elif received.spec_version != "2.1":
        raise ObjectError("Its 'spec_version' is neither 2.0 nor 2.1.", place)
    in_order = (*msgspec.structs.astuple(received), raw, digest, upgraded)
    return StixObject(*in_order)


def plain_json(value: Any) -> Any:
    """Return `value` as JSON: no None, no empty lists or objects, times as timestamps."""
    if isinstance(value, datetime):
        return format_timestamp(value)
    if isinstance(value, Mapping):
        items = ((key, plain_json(item)) for key, item in value.items())
        return {key: item for key, item in items if item is not None and item not in ([], {})}
    if isinstance(value, (list, tuple)):
        return [plain_json(item) for item in value]
    return value
