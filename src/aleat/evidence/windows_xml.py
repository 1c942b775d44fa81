"""One Windows event as XML, brought to the object that `WindowsTables.add_event` takes.

The text of one event has no document type before it, so that no entity can be declared in it: a reference to one is
an error of the parser (expat), and nothing is ever fetched or expanded. Names are those of the `evtx` wheel's JSON: an
element that occurs again beside one of its name is ``<name>_1``, ``<name>_2``; a second `Data` of one name is
``<name>~``, a third ``<name>~2``. Numbers of the System element are integers, as in EVTX; values of the payload are
texts. Layout: Windows' event schema (System, EventData, UserData …).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from xml.etree.ElementTree import Element, ParseError, fromstring

from aleat.evidence.windows_rows import WindowsTables
from aleat.evidence.windows_xml_fast import INTEGER_ATTRIBUTES, INTEGERS, integer_of, is_character, take_apart

__all__ = ["EVENT_START", "MAX_EVENT_BYTES", "XmlEventError", "add_xml", "parse_any", "parse_event", "parse_plain"]

MAX_EVENT_BYTES = 2 * 1024 * 1024
"""`event bytes`: a longer event is passed over as unreadable (a record of EVTX has less than 64 KiB)."""
MAX_XML_DEPTH = 32
"""`nesting`: an event with deeper elements is passed over as unreadable."""
MAX_ELEMENTS = 8192
"""`event elements`: an event with more is passed over as unreadable."""

EVENT_START = re.compile(
    rb"<(?:([A-Za-z_][\w.-]{0,40}):)?Event(?:\s[^<>]{0,2000})?>\s*+<(?:[\w.-]{1,41}:)?System[\s/>]"
)
"""An event's start tag with that of its System element: an element of UserData may be called Event, too."""

_PREFIX = re.compile(r"<([A-Za-z_][\w.-]{0,40}):Event")
_TEXT = re.compile(r">[^<]*+")
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|&#(?:([0-9]{1,7})|x([0-9A-Fa-f]{1,6}));")


class XmlEventError(ValueError):
    """A text that is no whole event; the message says why, without any value from it."""


def add_xml(rows: WindowsTables, offset: int, text: str) -> None:
    """Add the event whose XML is `text` (from ``<Event`` to ``</Event>``) to `rows`; raises `XmlEventError`."""
    rows.add_event(offset, parse_event(text))


def parse_event(text: str) -> dict[str, Any]:
    """Return the event that `text` holds, with its System element as an object; raises `XmlEventError`."""
    if len(text) > MAX_EVENT_BYTES:
        raise XmlEventError(f"it is longer than {MAX_EVENT_BYTES} bytes (limit: event bytes)")
    if text.count("<") > 2 * MAX_ELEMENTS:
        raise XmlEventError(f"it has more than {MAX_ELEMENTS} elements (limit: event elements)")
    event = parse_plain(text) or parse_any(text)
    system = event.get("System")
    if not isinstance(system, dict) or not ("EventID" in system or "Provider" in system):
        raise XmlEventError("it holds no System element")
    channel = system.get("Channel")
    if channel is not None and not isinstance(channel, str):
        raise XmlEventError("its channel is no text")
    return event


def parse_plain(text: str) -> dict[str, Any] | None:
    """Return the event where its layout is the usual one, else None."""
    plain = take_apart(text)
    if plain is None:
        return None
    event, behind = plain
    if behind:
        if not behind.startswith("<RenderingInfo") or not behind.endswith("</RenderingInfo>"):
            return None
        try:
            event["RenderingInfo"] = _value(_root(behind), 0)
        except XmlEventError:
            return None
    return event


def parse_any(text: str) -> dict[str, Any]:
    """Return the event, whatever its layout; raises `XmlEventError`."""
    event: dict[str, Any] = {}
    names = _Names()
    for section in _root(text):
        name = names.own(_local(section.tag))
        convert = _SECTIONS.get(name)
        event[name] = convert(section) if convert is not None else _value(section, 0)
    return event


def _root(text: str) -> Element:
    if "\r" in text:  # a parser makes one line feed of what the event wrote as two characters
        text = _TEXT.sub(lambda found: found[0].replace("\r", "&#13;"), text)
    prefix = found[1] if (found := _PREFIX.match(text)) else ""
    if prefix:  # declared on an element around the events
        text = f'<{prefix}:Events xmlns:{prefix}="e">{text}</{prefix}:Events>'
    try:
        root = fromstring(text)  # noqa: S314 - see the module
    except ParseError as error:
        cleaned = _ILLEGAL.sub(_legal, text)
        if cleaned == text:
            raise XmlEventError(_why(error)) from None
        try:
            root = fromstring(cleaned)  # noqa: S314 - see the module
        except ParseError as again:
            raise XmlEventError(_why(again)) from None
    except ValueError:  # a lone surrogate
        raise XmlEventError("it holds characters that are none") from None
    return root[0] if prefix else root


def _legal(found: re.Match[str]) -> str:
    number = int(found[1]) if found[1] else int(found[2], 16) if found[2] else 0
    return found[0] if is_character(number) else "\ufffd"


def _why(error: ParseError) -> str:
    return _REASONS.get(error.code, "it is no well-formed XML")


_REASONS = {
    3: "it isn't closed",
    7: "its elements don't close in order",
    11: "it refers to an entity that isn't declared (entities are not expanded)",
    27: "it uses a namespace's prefix that isn't declared",
}
"""Expat's errors (XML_ERROR_NO_ELEMENTS, TAG_MISMATCH, UNDEFINED_ENTITY, UNBOUND_PREFIX) in words."""


_names: dict[str, str] = {}


def _local(tag: str) -> str:
    """Return a tag without its namespace."""
    name = _names.get(tag)
    if name is None:
        name = tag.rpartition("}")[2]
        if len(_names) < 10_000:
            _names[tag] = name
    return name


class _Names:
    """Gives each element beside others a name of its own."""

    def __init__(self, mark: str = "_") -> None:
        self._mark = mark
        self._seen: dict[str, int] = {}

    def own(self, name: str) -> str:
        """Return the name, with a number where it was given before."""
        seen = self._seen
        if name not in seen:
            seen[name] = 0
            return name
        while True:
            seen[name] += 1
            number = seen[name]
            other = f"{name}{self._mark}{'' if number == 1 and self._mark == '~' else number}"
            if other not in seen:
                seen[other] = 0
                return other


def _text(element: Element) -> str | None:
    """Return the element's text; what a pretty-printer put between its tags is none."""
    text = element.text
    if text is None or ("\n" in text and not text.strip()):
        return None
    return text


def _system(section: Element) -> dict[str, Any] | None:
    out: dict[str, Any] = {}
    names = _Names()
    for element in section:
        name = names.own(_local(element.tag))
        attributes = element.attrib
        value: Any = _text(element)
        if value is not None and name in INTEGERS:
            value = integer_of(value.strip())
        if attributes:
            inner: dict[str, Any] = {
                _local(key): integer_of(item) if key in INTEGER_ATTRIBUTES else item for key, item in attributes.items()
            }
            value = {"#attributes": inner} if value is None else {"#attributes": inner, "#text": value}
        elif len(element):
            value = _value(element, 1)
        out[name] = value
    return out or None


def _event_data(section: Element) -> Any:
    out: dict[str, Any] = {}
    unnamed: list[Any] = []
    names = _Names("~")
    if section.attrib:
        out["#attributes"] = dict(section.attrib)
    for element in section:
        name = _local(element.tag)
        if name != "Data":
            out[names.own(name)] = _value(element, 1)
            continue
        value = _value(element, 1) if len(element) else _text(element) or ""
        given = element.attrib.get("Name")
        if given:
            out[names.own(given)] = value
        else:
            unnamed.append(value)
    if unnamed:
        out["Data"] = {"#text": unnamed if len(unnamed) > 1 else unnamed[0]}
    return out or _text(section)


def _value(element: Element, depth: int) -> Any:
    """Return an element's value: None where it is empty, its text, or an object of what it holds."""
    if depth > MAX_XML_DEPTH:
        raise XmlEventError(f"it is nested deeper than {MAX_XML_DEPTH} levels (limit: nesting)")
    text = _text(element)
    attributes = {_local(key): value for key, value in element.attrib.items()}
    if not len(element) and not attributes:
        return text
    out: dict[str, Any] = {"#attributes": attributes} if attributes else {}
    names = _Names()
    for child in element:
        out[names.own(_local(child.tag))] = _value(child, depth + 1)
    if text is not None:
        out["#text"] = text
    return out


_SECTIONS: dict[str, Callable[[Element], Any]] = {"System": _system, "EventData": _event_data}
