r"""Texts that name their values: ``key=value`` in the styles of firewalls and services, CEF, LEEF; in columns.

==========  =====================================================================================================
``quoted``  ``key=value key="va\"lue"``: FortiGate, logfmt, auditd, most key-value logs
``cef``     extension of ArcSight's Common Event Format (rev. 26): values run up to the next `` key=``
``leef``    attributes of QRadar's Log Event Extended Format: parted by the separator; "stated": by the one that the
            text begins with
``csv``     values by their place, quoted by RFC 4180
``sd``      structured data of RFC 5424: ``[id name="value"]``, named ``id.name``
``colon``   ``Key: value, Key: value``: Cisco FTD's events
``attributes``  lines of ``Name = "value"``: FreeRADIUS's detail files
``elements``  ``<Name>value</Name>``, each without others inside: NPS's DTS format
``labels``  a name as Windows' DNS server logs it, ``(3)www(7)example(0)``: ``question`` and, readable, ``query``
``marked``  ``key:"value"; key:"value"``: Check Point's log exporter
==========  =====================================================================================================

Expressions are possessive, so that they take linear time.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from xml.sax.saxutils import unescape

import numpy as np
import polars as pl

from aleat.evidence.columns import MAX_CELLS, free_name

__all__ = ["STYLES", "expand", "split_delimited"]

MAX_PAIRS = 1000
"""`pairs`: more of one line are passed over."""

_ALWAYS = 64
_WIDTH = 4
"""A cell of a column of texts takes as much memory as this many codes."""

_QUOTED = re.compile(
    r'([A-Za-z_@][\w.\-/@]*+)=(?:"((?:[^"\\]++|\\.)*+)"|\'((?:[^\'\\]++|\\.)*+)\'|([^\s"\']*+\S*+))', re.DOTALL
)
_SD_ELEMENT = re.compile(r'\[([^\s\]="]++)((?:[^\]"\\]++|\\.|"(?:[^"\\]++|\\.)*+")*+)\]', re.DOTALL)
_COLON_KEY = re.compile(r"(?:^|(?<=, ))([A-Z][A-Za-z0-9_]{0,63}+): ")
_MARKED = re.compile(r'([A-Za-z_][\w.\-]*+):\s?(?:"((?:[^"\\]++|\\.)*+)"|([^\s";]++))')
_DELIMITER = re.compile(r"(?:0?x|\\\\x)([0-9A-Fa-f]{2})")
_ELEMENT = re.compile(r"<([A-Za-z_][\w.\-]{0,63})(?: [^<>]{0,256})?>([^<]*+)<")
_LABEL = re.compile(r"\(\d{1,3}\)([^()]*+)")
_QUOTES = {"&quot;": '"', "&apos;": "'"}
_CEF_KEY = re.compile(r"(?:^|(?<=\s))([\w.\[\]\-]++)=")
_CEF_ESCAPES = {r"\=": "=", r"\\": "\\", r"\n": "\n", r"\r": "\r", r"\|": "|"}
_ESCAPE = re.compile(r"\\[=\\nr|]")


def expand(texts: pl.Series, style: str, columns: Sequence[str] = (), separator: str = ",") -> dict[str, pl.Series]:
    """Return the named values of each text as columns, null where a text hasn't the name.

    Names that few texts have go together in ``rest``, as ``name=value`` a line, where the columns would else hold
    more than `MAX_CELLS` cells.
    """
    parse = STYLES[style](tuple(columns), separator)
    found: dict[str, tuple[list[int], list[str]]] = {}
    for row, text in enumerate(texts.to_list()):
        for name, value in parse(text).items() if text else ():
            cells = found.get(name)
            if cells is None:
                cells = found[name] = ([], [])
            cells[0].append(row)
            cells[1].append(value)
    room = max(MAX_CELLS // _WIDTH // max(len(texts), 1), _ALWAYS)
    if len(found) > room:
        found = _with_rest(found, room)
    return {name: _column(rows, values, len(texts)) for name, (rows, values) in found.items()}


def _column(rows: list[int], values: list[str], count: int) -> pl.Series:
    column = pl.Series(values, dtype=pl.String)
    if len(rows) == count:
        return column
    places = np.full(count, len(values), np.int64)
    places[rows] = np.arange(len(values))
    return column.extend_constant(None, 1).gather(places)


def _with_rest(found: dict[str, tuple[list[int], list[str]]], room: int) -> dict[str, tuple[list[int], list[str]]]:
    """Keep the `room` - 1 commonest names, and put all others together."""
    common = set(sorted(found, key=lambda name: -len(found[name][0]))[: room - 1]) - {"rest"}
    rest: dict[int, list[str]] = {}
    for name, (rows, values) in found.items():
        if name not in common:
            for row, value in zip(rows, values, strict=True):
                rest.setdefault(row, []).append(value if name == "rest" else f"{name}={value}")
    kept = {name: cells for name, cells in found.items() if name in common}
    kept["rest"] = (list(rest), ["\n".join(items) for items in rest.values()])
    return kept


def split_delimited(text: str, separator: str) -> list[str]:
    """Return the values of one delimited line; what isn't quoted well is taken as it stands."""
    if '"' not in text:
        return text.split(separator)
    try:
        return next(csv.reader([text], delimiter=separator), [])
    except csv.Error:
        return text.split(separator)


Parse = Callable[[str], dict[str, str]]


def _quoted(_columns: tuple[str, ...], _separator: str) -> Parse:
    def parse(text: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for key, double, single, bare in _QUOTED.findall(text):
            value = double or single or bare
            if "\\" in double or "\\" in single:
                value = value.replace('\\"', '"').replace("\\'", "'").replace("\\\\", "\\")
            _put(found, key, value)
            if len(found) >= MAX_PAIRS:
                break
        return found

    return parse


def _cef(_columns: tuple[str, ...], _separator: str) -> Parse:
    def parse(text: str) -> dict[str, str]:
        found: dict[str, str] = {}
        keys = list(_CEF_KEY.finditer(text))[:MAX_PAIRS]
        for match, following in zip(keys, [*keys[1:], None], strict=True):
            value = text[match.end() : following.start() if following else len(text)].rstrip()
            _put(found, match[1], _ESCAPE.sub(lambda item: _CEF_ESCAPES[item[0]], value) if "\\" in value else value)
        return _labelled(found)

    return parse


def _labelled(found: dict[str, str]) -> dict[str, str]:
    """Return the pairs with custom fields under their labels too: ``cs1Label=Rule cs1=x`` has the field ``Rule``."""
    out = dict(found)
    for key, label in found.items():
        if key.endswith("Label") and label and label not in out and (value := found.get(key[:-5])) is not None:
            out[label] = value
    return out


def _structured(_columns: tuple[str, ...], _separator: str) -> Parse:
    def parse(text: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for element, parameters in _SD_ELEMENT.findall(text):
            _put(found, element, "")
            for key, double, single, bare in _QUOTED.findall(parameters):
                value = double or single or bare
                if "\\" in value:
                    value = value.replace('\\"', '"').replace("\\]", "]").replace("\\\\", "\\")
                _put(found, f"{element}.{key}", value)
                if len(found) >= MAX_PAIRS:
                    return found
        return {key: value for key, value in found.items() if value or "." in key}

    return parse


def _colon(_columns: tuple[str, ...], _separator: str) -> Parse:
    def parse(text: str) -> dict[str, str]:
        found: dict[str, str] = {}
        keys = list(_COLON_KEY.finditer(text))[:MAX_PAIRS]
        for match, following in zip(keys, [*keys[1:], None], strict=True):
            value = text[match.end() : following.start() - 2 if following else len(text)]
            _put(found, match[1], value.strip())
        return found

    return parse


def _marked(_columns: tuple[str, ...], _separator: str) -> Parse:
    def parse(text: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for key, quoted, bare in _MARKED.findall(text):
            _put(found, key, quoted.replace('\\"', '"').replace("\\\\", "\\") if "\\" in quoted else quoted or bare)
            if len(found) >= MAX_PAIRS:
                break
        return found

    return parse


def _leef(_columns: tuple[str, ...], separator: str) -> Parse:
    def parse(text: str) -> dict[str, str]:
        found: dict[str, str] = {}
        parted = separator
        if separator == "stated":
            parted, text = _stated(text)
        for part in text.split(parted, MAX_PAIRS):
            key, equals, value = part.partition("=")
            if equals and key.strip():
                _put(found, key.strip(), value)
        return found

    return parse


def _stated(text: str) -> tuple[str, str]:
    """Return the delimiter that LEEF 2.0's header states (a character, or its number as ``x5E``), and the rest."""
    head, bar, rest = text.partition("|")
    if not bar or len(head) > 5 or "=" in head:
        return "\t", text
    if match := _DELIMITER.fullmatch(head):
        return chr(int(match[1], 16)), rest
    return (head if len(head) == 1 else "\t"), rest


def _attributes(_columns: tuple[str, ...], _separator: str) -> Parse:
    def parse(text: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for line in text.split("\n", MAX_PAIRS):
            key, equals, value = line.strip().partition(" = ")
            if equals and key:
                _put(found, key, value.strip('"'))
        return found

    return parse


def _elements(_columns: tuple[str, ...], _separator: str) -> Parse:
    def parse(text: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for match in _ELEMENT.finditer(text):
            _put(found, match[1], unescape(match[2], _QUOTES))
            if len(found) >= MAX_PAIRS:
                break
        return found

    return parse


def _labels(_columns: tuple[str, ...], _separator: str) -> Parse:
    def parse(text: str) -> dict[str, str]:
        name = ".".join(label for label in _LABEL.findall(text) if label)
        return {"question": text, "query": name or text.rstrip(".")}

    return parse


def _by_place(columns: tuple[str, ...], separator: str) -> Parse:
    def parse(text: str) -> dict[str, str]:
        values = split_delimited(text, separator)
        found = {name: value for name, value in zip(columns, values) if name and value != ""}  # noqa: B905 - either may end
        if len(values) > len(columns):
            found["rest"] = separator.join(values[len(columns) :])
        return found

    return parse


def _put(found: dict[str, str], key: str, value: str) -> None:
    """Keep a second value of a key beside the first, under a name of its own."""
    found[free_name(key, found)] = value


STYLES: dict[str, Callable[[tuple[str, ...], str], Parse]] = {
    "quoted": _quoted,
    "cef": _cef,
    "leef": _leef,
    "csv": _by_place,
    "sd": _structured,
    "colon": _colon,
    "marked": _marked,
    "attributes": _attributes,
    "elements": _elements,
    "labels": _labels,
}
