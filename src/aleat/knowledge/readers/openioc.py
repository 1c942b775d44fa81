"""OpenIOC 1.0 and 1.1: a document is kept as an indicator, whole; what of it logs can tell is beside it.

The document's own indicator has its XML as pattern (`pattern_type` "openioc"), and is passed on as it came. Its
criteria become indicators with STIX patterns, ``derived-from`` it (`aleat.knowledge.openioc_patterns`): one for all
that is about single events, one for each alternative that joins several. What can't be asked of a log is named.

The id follows from the document's own id; `modified` is its last change, so that its revisions are versions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from aleat.errors import Issue, LimitError, ObjectError, Place
from aleat.knowledge.document import Document
from aleat.knowledge.items import UNDATED, KnowledgeItem
from aleat.knowledge.limits import Limits
from aleat.knowledge.openioc import OpenIoc, parse_openioc
from aleat.knowledge.openioc_patterns import Translation, translate_openioc
from aleat.knowledge.text import decode_text
from aleat.stix.ids import content_id
from aleat.stix.objects import StixObject, make_object

__all__ = ["detect", "make_openioc_indicator", "read"]

_STAGE = "knowledge"
_VERSION = 1  # of what is derived: part of its ids
_SUFFIXES = {".ioc", ".xml", ".openioc", ""}
_SIGN = re.compile(r"<(?:[\w-]+:)?(?:ioc|OpenIOC)[\s>]")
_SHOWN = 12
_TEXT = 2_000


def detect(document: Document) -> bool:
    """Tell whether an XML file's head has OpenIOC's root element."""
    if document.suffix not in _SUFFIXES:
        return False
    text, _ = decode_text(document.head)
    return text.lstrip("\ufeff \t\r\n").startswith("<") and _SIGN.search(text) is not None


def read(document: Document, limits: Limits) -> Iterator[KnowledgeItem | Issue]:
    """Yield the document as an indicator, what is derived from it, and an issue for what isn't hunted for."""
    if document.size > limits.openioc_bytes:
        reason = f"The document is larger than {limits.openioc_bytes} bytes (openioc_bytes)."
        raise LimitError(reason, Place(document.path))
    data = document.read()
    content = parse_openioc(data, document.path, limits)
    place = Place(document.path)
    try:
        original = make_openioc_indicator(content, decode_text(data)[0])
    except ObjectError as error:
        yield Issue(_STAGE, "object", place, error.reason, error.advice)
        return
    yield KnowledgeItem(object=original, place=place)
    found = translate_openioc(content.groups)
    for number, pattern in enumerate(found.patterns, 1):
        part = f" (part {number} of {len(found.patterns)})" if len(found.patterns) > 1 else ""
        try:
            derived = _derived(pattern, f"{original.name}{part}", original)
        except ObjectError as error:
            yield Issue(_STAGE, "object", place, error.reason, error.advice)
            continue
        yield KnowledgeItem(object=derived, place=place)
        relation = make_object(
            "relationship",
            content_id("relationship", ["derived-from", derived.id, original.id]),
            created=UNDATED,
            relationship_type="derived-from",
            source_ref=derived.id,
            target_ref=original.id,
        )
        yield KnowledgeItem(object=relation, place=place)
    if found.left_out or not found.patterns:
        yield _left_out(found, place)


def _left_out(found: Translation, place: Place) -> Issue:
    if not found.left_out:
        return Issue(_STAGE, "openioc-terms", place, "The document has no criteria that could be hunted for.")
    named = [
        f"{term or 'a term without a name'} ({count}: {why})" for (term, why), count in found.left_out.most_common()
    ]
    more = f" and {len(named) - _SHOWN} more" if len(named) > _SHOWN else ""
    count = found.left_out.total()
    shown = "; ".join(_plain(text) for text in named[:_SHOWN])
    reason = f"{count} criteria can't be asked of logs, and are kept only: {shown}{more}."
    return Issue(_STAGE, "openioc-terms", place, reason, records=count)


def make_openioc_indicator(content: OpenIoc, text: str) -> StixObject:
    """Return the STIX indicator of a document; `text` is its XML. Raises `ObjectError`."""
    own = _plain(content.id)
    created = _date(content.texts.get("authored_date", "")) or UNDATED
    author = _plain(content.texts.get("authored_by", ""))
    links = [(rel, label, href) for rel, label, href in content.links if not _is_url(href or label)]
    labels = [
        *content.texts.get("keywords", "").split(),
        *(f"{rel}:{label}" if rel else label for rel, label, _ in links),
    ]
    references = [{"source_name": "openioc", "external_id": own}] if own else []
    references += [{"source_name": "author", "description": author}] if author else []
    for rel, label, href in content.links:
        if _is_url(href or label):
            references.append({"source_name": _plain(rel) or "link", "url": (href or label).strip()})
    return make_object(
        "indicator",
        content_id("indicator", ["openioc", own] if own else ["openioc", "", text]),
        created=created,
        modified=max(created, _date(content.modified) or created),
        name=_plain(content.texts.get("short_description", "")) or own or "OpenIOC document",
        description=_plain(content.texts.get("description", "")),
        pattern=text,
        pattern_type="openioc",
        pattern_version=content.version,
        valid_from=UNDATED,
        labels=[label for label in dict.fromkeys(map(_plain, labels)) if label],
        external_references=references,
    )


def _derived(pattern: str, name: str, original: StixObject) -> StixObject:
    return make_object(
        "indicator",
        content_id("indicator", ["openioc criteria", _VERSION, original.id, original.version, name, pattern]),
        created=UNDATED,
        name=name,
        description="What the OpenIOC document asks, as far as logs can be asked.",
        pattern=pattern,
        pattern_type="stix",
        valid_from=UNDATED,
        labels=list(original.labels),
    )


def _is_url(text: str) -> bool:
    return text.strip().startswith(("https://", "http://")) and not re.search(r"\s", text.strip())


def _date(text: str) -> datetime | None:
    """Return a time as OpenIOC writes it; one without a zone is taken as UTC, as its schema says nothing."""
    try:
        time = datetime.fromisoformat(text.strip())
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return time if time.year > 1900 else None


def _plain(text: str) -> str:
    words = " ".join(text.split())[:_TEXT]
    return "".join(character if character.isprintable() else "\ufffd" for character in words)
