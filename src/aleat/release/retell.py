"""Telling an object of ours again: without what is withheld, and under an id that confirms nobody's guess.

Only what we made ourselves is ever told again; what others gave leaves unchanged or not at all. The new id is
keyed with a secret of the workspace (see `SigningKey.derive_secret`): the same for the same content and
recipient, so that a release can be made again, and different for two allies who compare notes.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import uuid
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

import orjson

from aleat.errors import Place
from aleat.release.readings import readings_of
from aleat.release.structure import MASK, told_strings, without_our_words
from aleat.release.words import find_words, fold, replace_uuids, strings_of, uuids_of
from aleat.stix.canonical import canonical_json
from aleat.stix.objects import StixObject, parse_object
from aleat.stix.times import format_timestamp, parse_timestamp
from aleat.trust.markings import read_marking

__all__ = ["FREE_TEXT", "MASK", "TOLD_AGAIN", "add_label", "cut_object", "keyed_uuid", "name_again", "replace_ids"]

TOLD_AGAIN = "told-again"
"""The label (STIX `labels`) that says so."""

FREE_TEXT = ("description", "content", "abstract", "explanation")
"""Properties of which a part can be taken out, and the rest still makes sense."""

_OPTIONAL = frozenset({"created_by_ref"})
_REQUIRED_LISTS = {
    "report": "object_refs",
    "grouping": "object_refs",
    "note": "object_refs",
    "opinion": "object_refs",
    "observed-data": "object_refs",
}
_ROUNDS = 16


def cut_object(
    item: StixObject,
    uuids: Collection[str],
    words: Collection[str],
    coarse: Mapping[str, Any] | None = None,
) -> dict[str, Any] | None:
    """Return the properties of `item` without references to `uuids` and without `words` (folded) in free text.

    `coarse` are those that may be told at all, where that is less than all.

    None where that can't be done: a reference that the object can't be without, a word in a name or a pattern,
    an object whose parts have markings of their own, a definition.
    """
    properties: dict[str, Any] = orjson.loads(item.content) if coarse is None else dict(coarse)
    if item.granular_markings or item.type in {"marking-definition", "extension-definition"}:
        return None
    for name in list(properties):
        if name.endswith("_refs") and isinstance(properties[name], list):
            kept = [ref for ref in properties[name] if not uuids_of([str(ref)]) & set(uuids)]
            if not kept and (properties[name] and _REQUIRED_LISTS.get(item.type) == name):
                return None
            properties[name] = kept
            if not kept:
                del properties[name]
        elif name in _OPTIONAL and uuids_of([str(properties[name])]) & set(uuids):
            del properties[name]
        elif name in FREE_TEXT and isinstance(properties[name], str):
            properties[name] = _mask(properties[name], uuids, words)
    rest = told_strings({key: value for key, value in properties.items() if key != "id"})
    if _tells(rest, uuids, words):
        return None
    return properties


def name_again(cuts: Mapping[str, dict[str, Any]], recipient: str, secret: bytes) -> dict[str, str]:
    """Return the new id of each object in `cuts` (old id to properties), stable as long as what they say is."""
    marks = {
        id_: _keyed(secret, [recipient, id_, hashlib.sha256(canonical_json(properties)).hexdigest()])
        for id_, properties in cuts.items()
    }
    by_uuid = {id_.rpartition("--")[2].lower(): id_ for id_ in cuts}
    targets = {
        id_: sorted(by_uuid[found] for found in uuids_of(strings_of(properties)) & by_uuid.keys())
        for id_, properties in cuts.items()
    }
    for _ in range(min(_ROUNDS, len(cuts))):  # what is referred to counts as said, too
        marks = {
            id_: _keyed(secret, [mark, *(marks[target] for target in targets[id_])]) for id_, mark in marks.items()
        }
    return {id_: f"{id_.rpartition('--')[0]}--{keyed_uuid(secret, mark)}" for id_, mark in marks.items()}


def replace_ids(properties: dict[str, Any], ids: Mapping[str, str], *, told_again: bool = True) -> StixObject:
    """Return the object with every old id in it (its own included, and in texts) replaced, labelled as told again.

    A text in which an old id stands encoded is masked.
    """
    uuids = {old.rpartition("--")[2].lower(): new.rpartition("--")[2] for old, new in ids.items()}

    def renamed(value: Any) -> Any:
        if isinstance(value, str):
            said = replace_uuids(value, uuids)
            return MASK if uuids_of(readings_of((said,))) & uuids.keys() else said
        if isinstance(value, dict):
            return {replace_uuids(key, uuids): renamed(item) for key, item in value.items()}
        return [renamed(item) for item in value] if isinstance(value, list) else value

    content = renamed(properties)
    if told_again and not _is_observable(content):
        content["labels"] = sorted({*content.get("labels", ()), TOLD_AGAIN})
    return parse_object(canonical_json(content), Place(content["id"]))


def add_label(item: StixObject, marking: str) -> StixObject:
    """Return an object of ours with `marking` as its TLP label: itself, or its next version.

    The new version is one millisecond younger: the content changed, so `modified` must (STIX 2.1 §3.6), and the
    same object gets the same bytes each time.
    """
    properties: dict[str, Any] = orjson.loads(item.content)
    before = properties.get("object_marking_refs", [])
    others = [ref for ref in before if read_marking(ref, None).kind != "tlp"]
    if marking in before and len(before) - len(others) == 1:
        return item
    properties["object_marking_refs"] = sorted({*others, marking})
    if (modified := properties.get("modified")) is not None:
        properties["modified"] = format_timestamp(parse_timestamp(modified) + timedelta(milliseconds=1))
    return parse_object(canonical_json(properties), Place(item.id))


def keyed_uuid(secret: bytes, text: str) -> uuid.UUID:
    """Return a UUID that only the holder of `secret` can make; it looks random (version 4)."""
    digest = hmac.new(secret, text.encode(), hashlib.sha256).digest()
    return uuid.UUID(bytes=digest[:16], version=4)


def _keyed(secret: bytes, value: list[str]) -> str:
    return hmac.new(secret, canonical_json(value), hashlib.sha256).hexdigest()


def _mask(text: str, uuids: Collection[str], words: Collection[str]) -> str:
    """Replace ids and words; where one hides behind its spelling, the whole text."""
    found = find_words([fold(text)], words).get(0, frozenset())
    for word in sorted(found, key=len, reverse=True):
        text = re.sub(re.escape(word), MASK, text, flags=re.IGNORECASE)
    return MASK if _tells([text], uuids, words) else text


def _tells(texts: list[str], uuids: Collection[str], words: Collection[str]) -> bool:
    """Tell whether one of these ids or words stands in texts, encoded or not."""
    texts = [*texts, *readings_of(texts)]
    return bool(uuids_of(texts) & set(uuids) or find_words([without_our_words(fold("\n".join(texts)))], words))


def _is_observable(content: Mapping[str, Any]) -> bool:
    return "created" not in content
