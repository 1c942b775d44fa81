"""Sigma and YARA rules that stand in an attribute, read as they are from files: each rule an indicator of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from aleat.errors import InputError, Issue, Place
from aleat.knowledge.document import HEAD_BYTES, Document
from aleat.knowledge.items import KnowledgeItem
from aleat.knowledge.limits import Limits
from aleat.knowledge.readers import sigma, yara

__all__ = ["read_rule"]


def read_rule(language: str, value: str, place: Place) -> Iterator[KnowledgeItem | Issue]:
    """Yield the rules in `value`, text of `language` ("sigma" or "yara"), and issues for what isn't used."""
    data = value.encode("utf-8", "replace")
    name = "attribute.yml" if language == "sigma" else "attribute.yar"
    document = Document(place.path, name, len(data), data[:HEAD_BYTES], lambda: data)
    read = sigma.read if language == "sigma" else yara.read
    try:
        for found in read(document, Limits()):
            yield replace(found, place=place)
    except InputError as error:
        yield Issue("knowledge", error.code, place, error.reason, error.advice)
