"""Security playbooks (OASIS CACAO 2.0): each becomes a STIX course of action that holds it byte for byte.

A file is one playbook (or template), or a list of them. What it breaks of its specification is an issue with rule
and place, and it goes in all the same, with the count: a plan with a fault still helps, and who reads it is told.
Refused is what can't be told apart from another (no id, a key twice), or is beyond a limit. Versions 1.0 and 1.1 are
read as far as they go: shown and passed on, not held against the schema of 2.0.

The course of action has the field's own extension for playbooks (`FIELD_EXTENSION`) with the original bytes, and one
of ours (`playbook`) with what was read of them. Its id follows from the playbook's id; its version is the playbook's
`modified`. Nothing in a playbook is run, fetched or filled in, here or later.

Specification: https://docs.oasis-open.org/cacao/security-playbooks/v2.0/security-playbooks-v2.0.html.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec
import orjson

from aleat.errors import InputError, Issue, LimitError, ObjectError, Place
from aleat.knowledge.document import Document
from aleat.knowledge.items import UNDATED, KnowledgeItem
from aleat.knowledge.limits import Limits
from aleat.knowledge.playbooks.check import Fault, check_playbook
from aleat.knowledge.playbooks.flow import mapping_of
from aleat.knowledge.playbooks.markings import PlaybookMarkings, read_playbook_markings
from aleat.knowledge.playbooks.signatures import signature_states
from aleat.knowledge.playbooks.steps import FIELD_EXTENSION
from aleat.knowledge.playbooks.subjects import read_subjects
from aleat.stix.canonical import canonical_json_parsed
from aleat.stix.extensions import extend
from aleat.stix.ids import content_id
from aleat.stix.objects import StixObject, has_duplicate_keys, is_deeper, make_object
from aleat.stix.times import is_timestamp, parse_timestamp

__all__ = ["OLDER_VERSIONS", "course_of_action_id", "detect", "make_course_of_action", "read"]

OLDER_VERSIONS = ("1.0", "1.1", "cacao-1.0", "cacao-1.1")

_STAGE = "knowledge"
_SIGN = re.compile(
    rb'"type"[ \t\r\n]*+:[ \t\r\n]*+"playbook(?:-template)?"'
    rb'|"spec_version"[ \t\r\n]*+:[ \t\r\n]*+"cacao-'
    rb'|"(?:agent|target)_definitions"[ \t\r\n]*+:'
)
_WORKFLOW = re.compile(rb'"workflow(?:_start)?"[ \t\r\n]*+:')
_BUNDLE = re.compile(rb'"type"[ \t\r\n]*+:[ \t\r\n]*+"bundle"')
_STIX = re.compile(rb'"spec_version"[ \t\r\n]*+:[ \t\r\n]*+"2\.[0-9]"')
_UUID = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_ID = re.compile(rf"playbook(?:-template)?--{_UUID}")
_IDENTITY = re.compile(rf"identity--{_UUID}")
# By these names ATT&CK and D3FEND give objects their own ids (STIX 2.1 §2.5): a playbook only refers to one.
_CATALOGUE = re.compile(r"mitre-[a-z0-9-]{1,40}", re.IGNORECASE)
_NAME = 500
_TEXT = 20_000
_TOLD = 25  # faults of one playbook that are told one by one


def detect(document: Document) -> bool:
    """Tell whether the head of `document` is that of a CACAO playbook, or of a list of them."""
    head = document.head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not head.startswith((b"{", b"[")) or _BUNDLE.search(head):
        return False
    # Some write the version as STIX does: there a workflow tells a playbook from an object of STIX's.
    return bool(_WORKFLOW.search(head) or (_SIGN.search(head) and not _STIX.search(head)))


def read(document: Document, limits: Limits) -> Iterator[KnowledgeItem | Issue]:
    """Yield each playbook's course of action, the markings that it defines, and an issue for each fault."""
    if document.size > limits.playbook_bytes:
        reason = f"The file is larger than {limits.playbook_bytes} bytes (playbook_bytes)."
        raise LimitError(reason, Place(document.path))
    data = document.read()
    start = len(data) - len(data.removeprefix(b"\xef\xbb\xbf").lstrip())
    seen: set[str] = set()
    for raw in _parts(data, start, document.path):
        place = Place(document.path)
        try:
            content = _parse(raw, place, limits)
            yield from _convert(content, raw, place, seen)
        except InputError as error:
            yield error.issue(_STAGE, document.path)


def course_of_action_id(playbook: str) -> str:
    """Return the id of the course of action that a playbook with this id becomes."""
    return content_id("course-of-action", ["cacao", playbook.lower()])


def make_course_of_action(
    content: Mapping[str, Any], raw: bytes, *, faults: int, markings: PlaybookMarkings
) -> StixObject:
    """Return the course of action of a playbook; `raw` are its bytes. Raises `ObjectError` where it can't be one."""
    created = _time(content, "created")
    modified = _time(content, "modified")
    creator = content.get("created_by")
    first = min(time for time in (created, modified, UNDATED) if time) if created is None else created
    sectors = _texts(content, "industry_sectors")
    subjects = read_subjects(content)
    field = {
        "type": "playbook",
        "extension_type": "property-extension",
        "playbook_id": content["id"],
        "created": first,
        "modified": max(first, modified or first),
        "playbook_creation_time": created,
        "playbook_modification_time": modified,
        "playbook_creator": creator if isinstance(creator, str) and _IDENTITY.fullmatch(creator) else None,
        "playbook_valid_from": _time(content, "valid_from"),
        "playbook_valid_until": _time(content, "valid_until"),
        "revoked": content.get("revoked") is True or None,
        "labels": _texts(content, "labels"),
        "playbook_type": _texts(content, "playbook_types"),
        "playbook_standard": "cacao",
        "playbook_abstraction": "template" if content.get("type") == "playbook-template" else None,
        **{f"playbook_{name}": _percent(content, name) for name in ("impact", "severity", "priority")},
        "playbook_bin": base64.b64encode(raw).decode(),
    }
    ours = {
        "standard": str(content.get("spec_version", ""))[:_NAME],
        "sha256": hashlib.sha256(raw).hexdigest(),
        "faults": faults,
        "signatures": list(signature_states(content)),
        **msgspec.to_builtins(subjects),
        "activities": _texts(content, "playbook_activities"),
        "derived_from": _texts(content, "derived_from"),
        "related_to": _texts(content, "related_to"),
        "sectors": sectors,
    }
    return make_object(
        "course-of-action",
        course_of_action_id(content["id"]),
        created=first,
        modified=max(first, modified or first),
        created_by_ref=field["playbook_creator"],
        markings=markings.ids,
        name=_text(content, "name", _NAME) or str(content["id"]),
        description=_text(content, "description", _TEXT) or None,
        revoked=content.get("revoked") is True or None,
        labels=_texts(content, "labels"),
        external_references=list(_references(content)),
        extensions={FIELD_EXTENSION: field} | extend("playbook", ours),
    )


def _convert(content: dict[str, Any], raw: bytes, place: Place, seen: set[str]) -> Iterator[KnowledgeItem | Issue]:
    name = content["id"]
    version = content.get("spec_version")
    if version in ("cacao-2.0", "2.0"):
        faults = check_playbook(content)
    elif version in OLDER_VERSIONS:
        faults = ()
        reason = f"The playbook is of CACAO {str(version).removeprefix('cacao-')}: it is not held against a schema."
        yield Issue(_STAGE, "playbook-older", place, reason, "Ask for version 2.0, where steps look wrong.")
    else:
        faults = (Fault("/spec_version", "version", "No such version of CACAO is known.", "3.1"),)
    yield from _issues(faults, name, place)
    markings = read_playbook_markings(content)
    item = make_course_of_action(content, raw, faults=sum(fault.must for fault in faults), markings=markings)
    key = f"{item.id} {item.version}"
    if key in seen:
        yield Issue(_STAGE, "playbook-twice", place, f"The file holds the playbook {name} twice in one version.")
    seen.add(key)
    for definition in markings.definitions:
        yield KnowledgeItem(object=definition, place=place)
    yield KnowledgeItem(object=item, place=place)


def _issues(faults: tuple[Fault, ...], name: str, place: Place) -> Iterator[Issue]:
    """Yield the first faults one by one, the rest as a count."""
    for fault in faults[:_TOLD]:
        yield Issue(_STAGE, "playbook-rule" if fault.must else "playbook-note", place, f"{name}: {fault}")
    if len(faults) > _TOLD:
        more = len(faults) - _TOLD
        reason = f"{name}: {more} further rules of CACAO 2.0 are broken."
        yield Issue(_STAGE, "playbook-rule", place, reason, "Ask its author for a corrected version.", records=more)


def _parts(data: bytes, start: int, path: str) -> list[bytes]:
    """Return the bytes of each playbook in a file."""
    if data[start : start + 1] != b"[":
        return [data]
    try:
        return [bytes(raw) for raw in msgspec.json.decode(data[start:], type=list[msgspec.Raw])]
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InputError(f"The file is no JSON: {str(error).splitlines()[0][:160]}.", Place(path)) from None


def _parse(raw: bytes, place: Place, limits: Limits) -> dict[str, Any]:
    """Return the playbook in `raw`; raises `InputError` for what is none that can be told apart from others."""
    text = raw.removeprefix(b"\xef\xbb\xbf")
    if is_deeper(text, limits.playbook_depth):
        raise LimitError(f"The playbook is nested deeper than {limits.playbook_depth} levels (playbook_depth).", place)
    try:
        content = orjson.loads(text)
        canonical = canonical_json_parsed(content)
    except orjson.JSONDecodeError as error:
        where = Place(place.path, error.lineno, error.colno)
        raise InputError(f"The playbook is no JSON: {error.msg}.", where) from None
    except ValueError:
        raise InputError("The playbook has a value that JSON can't hold.", place) from None
    if not isinstance(content, dict) or content.get("type") not in ("playbook", "playbook-template"):
        raise ObjectError("That is no playbook: its type is neither playbook nor playbook-template.", place)
    if has_duplicate_keys(text, canonical):
        raise ObjectError("The playbook has a key twice; which one counts is anybody's guess.", place, advice=_ASK)
    if not isinstance(content.get("id"), str) or not _ID.fullmatch(content["id"]):
        raise ObjectError("The playbook has no id of the form playbook--UUID (CACAO 2.0 §10.10).", place, advice=_ASK)
    if len(mapping_of(content, "workflow")) > limits.playbook_steps:
        raise LimitError(f"The playbook has more steps than {limits.playbook_steps} (playbook_steps).", place)
    if _has_more_nodes(content, limits.playbook_nodes):
        raise LimitError(f"The playbook has more than {limits.playbook_nodes} values (playbook_nodes).", place)
    return content


_ASK = "Ask its author for a corrected version."


def _has_more_nodes(content: object, most: int) -> bool:
    """Tell whether a JSON value holds more than `most` values: each is held against the schema."""
    stack, seen = [content], 0
    while stack:
        item = stack.pop()
        inner = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        seen += len(inner)
        if seen > most:
            return True
        stack.extend(inner)
    return False


def _references(content: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """Yield external references in STIX's form: a name, and at least one thing beside it."""
    listed = content.get("external_references")
    for reference in listed[:200] if isinstance(listed, list) else ():
        if not isinstance(reference, dict) or not _text(reference, "name", _NAME):
            continue
        url = _text(reference, "url", 2_000)
        name = _text(reference, "name", _NAME)
        made = {
            "source_name": "ATT&CK" if _CATALOGUE.fullmatch(name) else name,
            "description": _text(reference, "description", _TEXT) or _text(reference, "source", _TEXT),
            "url": url if url.startswith(("https://", "http://")) and not re.search(r"\s", url) else "",
            "external_id": _text(reference, "external_id", _NAME) or _text(reference, "reference_id", _NAME),
        }
        made = {key: value for key, value in made.items() if value}
        if len(made) > 1:
            yield made


def _time(content: Mapping[str, Any], name: str) -> datetime | None:
    text = content.get(name)
    try:
        return parse_timestamp(text) if isinstance(text, str) and is_timestamp(text) else None
    except ObjectError:
        return None


def _percent(content: Mapping[str, Any], name: str) -> int | None:
    value = content.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 100 else None


def _text(content: Mapping[str, Any], name: str, longest: int) -> str:
    value = content.get(name)
    return value[:longest] if isinstance(value, str) and value.strip() else ""


def _texts(content: Mapping[str, Any], name: str) -> list[str]:
    value = content.get(name)
    return [one[:_NAME] for one in value[:500] if isinstance(one, str) and one] if isinstance(value, list) else []
