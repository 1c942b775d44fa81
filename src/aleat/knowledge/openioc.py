"""OpenIOC 1.0 and 1.1 documents: what they say about themselves, and their tree of terms. No meaning yet.

Read with the standard library's expat, forward, and only so far: a document type, an entity of its own, a node deeper
or a term more than the limits ends the reading, before anything is expanded. Elements are told by their local names.

Source: https://github.com/fireeye/OpenIOC_1.1 (schemas of 1.0 and 1.1).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from aleat.errors import InputError, LimitError, Place
from aleat.knowledge.limits import Limits

__all__ = ["IndicatorGroup", "IndicatorTerm", "OpenIoc", "parse_openioc"]

_TEXTS = {"short_description", "description", "keywords", "authored_by", "authored_date"}
_MOST_TEXT = 100_000  # characters of one element


@dataclass(frozen=True, slots=True)
class IndicatorTerm:
    """One `IndicatorItem`: a term (``FileItem/Md5sum``), a condition, and what it is compared with."""

    term: str
    condition: str
    content: str
    negated: bool
    preserve_case: bool
    line: int


@dataclass(slots=True)
class IndicatorGroup:
    """One `Indicator`: terms and groups, joined by `operator` ("AND" or "OR")."""

    operator: str
    children: list[IndicatorTerm | IndicatorGroup] = field(default_factory=list)


@dataclass(slots=True)
class OpenIoc:
    """One document: its version ("1.0", "1.1"), id, times as written, texts, links as (rel, text, href), its groups."""

    version: str = "1.0"
    id: str = ""
    modified: str = ""
    published: str = ""
    texts: dict[str, str] = field(default_factory=dict)
    links: list[tuple[str, str, str]] = field(default_factory=list)
    groups: list[IndicatorGroup] = field(default_factory=list)


def parse_openioc(data: bytes, path: str, limits: Limits) -> OpenIoc:
    """Return the OpenIOC document that the bytes are; raises `InputError` where they are none."""
    reading = _Reading(path, limits)
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = reading.refuse_type
    parser.EntityDeclHandler = reading.refuse_type
    parser.ExternalEntityRefHandler = reading.refuse_type
    parser.StartElementHandler = reading.start
    parser.EndElementHandler = reading.end
    parser.CharacterDataHandler = reading.text
    reading.parser = parser
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        place = Place(path, error.lineno, error.offset + 1)
        raise InputError(f"The XML can't be read: {expat.ErrorString(error.code)}.", place) from None
    except (ValueError, LookupError) as error:
        raise InputError(f"The XML can't be read: {type(error).__name__}.", Place(path)) from None
    if not reading.found:
        raise InputError("The XML is no OpenIOC document.", Place(path))
    return reading.document


class _Reading:
    """What is read so far; its methods are expat's handlers."""

    def __init__(self, path: str, limits: Limits) -> None:
        self.parser: Any = None
        self.document = OpenIoc()
        self.found = False
        self._path = path
        self._limits = limits
        self._open: list[str] = []
        self._groups: list[IndicatorGroup] = []
        self._item: dict[str, str] = {}
        self._link: tuple[str, str] = ("", "")
        self._texts: list[str] = []
        self._size = 0
        self._items = 0

    def refuse_type(self, *_: object) -> int:
        """Refuse a document type or an entity: nothing of either is ever expanded or fetched."""
        reason = "The XML declares a document type or entities; OpenIOC has neither."
        raise InputError(reason, self._place(), advice="Ask its giver for the plain document.")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        local = name.rpartition(" ")[2]
        self._open.append(local)
        if len(self._open) > self._limits.openioc_depth:
            depth = self._limits.openioc_depth
            raise LimitError(f"The XML is nested deeper than {depth} levels (openioc_depth).", self._place())
        self._texts, self._size = [], 0
        if len(self._open) == 1 and local.lower() in ("ioc", "openioc"):
            self.found = True
            self.document.version = "1.1" if local == "OpenIOC" else "1.0"
            self.document.id = attributes.get("id", "")
            self.document.modified = attributes.get("last-modified", "")
            self.document.published = attributes.get("published-date", "")
        elif local == "Indicator":
            group = IndicatorGroup(attributes.get("operator", "OR").strip().upper())
            (self._groups[-1].children if self._groups else self.document.groups).append(group)
            self._groups.append(group)
        elif local == "IndicatorItem":
            self._items += 1
            if self._items > self._limits.openioc_items:
                most = self._limits.openioc_items
                raise LimitError(f"The document has more terms than {most} (openioc_items).", self._place())
            self._item = {**attributes, "line": str(self.parser.CurrentLineNumber)}
        elif local == "Context":
            self._item["search"] = attributes.get("search", "")
        elif local == "link":
            self._link = (attributes.get("rel", ""), attributes.get("href", ""))

    def text(self, data: str) -> None:
        """Characters of an element."""
        self._size += len(data)
        if self._size <= _MOST_TEXT:
            self._texts.append(data)

    def end(self, name: str) -> None:
        """An element ends."""
        local = self._open.pop()
        text = "".join(self._texts)
        if local == "Indicator":
            self._groups.pop()
        elif local == "Content":
            self._item["content"] = text
        elif local == "IndicatorItem" and self._groups:
            self._groups[-1].children.append(_term(self._item))
        elif local in _TEXTS and not self._groups:
            self.document.texts.setdefault(local, " ".join(text.split()))
        elif local == "link":
            self.document.links.append((self._link[0], " ".join(text.split()), self._link[1]))
        self._texts, self._size = [], 0

    def _place(self) -> Place:
        return Place(self._path, self.parser.CurrentLineNumber, self.parser.CurrentColumnNumber + 1)


def _term(item: dict[str, str]) -> IndicatorTerm:
    return IndicatorTerm(
        term=item.get("search", "").strip(),
        condition=item.get("condition", "").strip().lower(),
        content=item.get("content", "").strip(),
        negated=item.get("negate", "").strip().lower() == "true",
        preserve_case=item.get("preserve-case", "").strip().lower() == "true",
        line=int(item.get("line", "1")),
    )
