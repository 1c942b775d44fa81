r"""Texts that name their values: ``key=value`` in the styles of firewalls and services, CEF, LEEF; in columns.

==========  =====================================================================================================
``quoted``  ``key=value key="va\"lue"``: FortiGate, logfmt, auditd, most key-value logs
``cef``     extension of ArcSight's Common Event Format (rev. 26): values run up to the next `` key=``
``leef``    attributes of QRadar's Log Event Extended Format 2.0: parted by a tab, or the delimiter stated
``csv``     values by their place, quoted by RFC 4180
``sd``      structured data of RFC 5424: ``[id name="value"]``, named ``id.name``
``colon``   ``Key: value, Key: value``: Cisco FTD's events
``marked``  ``key:"value"; key:"value"``: Check Point's log exporter
==========  =====================================================================================================

Expressions are possessive, so that they take linear time.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

__all__ = ["STYLES", "Group", "expand", "split_delimited"]

Group = tuple[npt.NDArray[np.int64], dict[str, pl.Series]]
"""Rows, and the columns that all of them have."""

MAX_PAIRS = 1000
"""`pairs`: more of one line stay together in the field ``rest``."""

_QUOTED = re.compile(
    r'([A-Za-z_@][\w.\-/@]*+)=(?:"((?:[^"\\]++|\\.)*+)"|\'((?:[^\'\\]++|\\.)*+)\'|([^\s"\']*+\S*+))', re.DOTALL
)
_SD_ELEMENT = re.compile(r'\[([^\s\]="]++)((?:[^\]"\\]++|\\.|"(?:[^"\\]++|\\.)*+")*+)\]', re.DOTALL)
_COLON_KEY = re.compile(r"(?:^|(?<=, ))([A-Z][A-Za-z0-9_]{0,63}+): ")
_MARKED = re.compile(r'([A-Za-z_][\w.\-]*+):\s?(?:"((?:[^"\\]++|\\.)*+)"|([^\s";]++))')
_CEF_KEY = re.compile(r"(?:^|(?<=\s))([\w.\[\]\-]++)=")
_CEF_ESCAPES = {r"\=": "=", r"\\": "\\", r"\n": "\n", r"\r": "\r", r"\|": "|"}
_ESCAPE = re.compile(r"\\[=\\nr|]")


def expand(texts: pl.Series, style: str, columns: Sequence[str] = (), separator: str = ",") -> Iterator[Group]:
    """Yield groups of rows of one shape, with their named values; a row without any has a group without columns."""
    parse = STYLES[style](tuple(columns), separator)
    shapes: dict[tuple[str, ...], tuple[list[int], list[tuple[str, ...]]]] = {}
    for row, text in enumerate(texts.to_list()):
        found = parse(text) if text else {}
        keys = tuple(found)
        group = shapes.get(keys)
        if group is None:
            group = shapes[keys] = ([], [])
        group[0].append(row)
        group[1].append(tuple(found.values()))
    for keys, (rows, values) in shapes.items():
        series = {
            key: pl.Series(column, dtype=pl.String) for key, column in zip(keys, zip(*values, strict=True), strict=True)
        }
        yield np.array(rows, np.int64), series


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
        for part in text.split(separator, MAX_PAIRS):
            key, equals, value = part.partition("=")
            if equals and key.strip():
                _put(found, key.strip(), value)
        return found

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
    while key in found:
        key += "~"
    found[key] = value


STYLES: dict[str, Callable[[tuple[str, ...], str], Parse]] = {
    "quoted": _quoted,
    "cef": _cef,
    "leef": _leef,
    "csv": _by_place,
    "sd": _structured,
    "colon": _colon,
    "marked": _marked,
}
