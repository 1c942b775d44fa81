r"""Access logs of Apache and nginx: common, combined, and combined with the virtual host in front.

Apache's ``LogFormat`` directives (https://httpd.apache.org/docs/2.4/mod/mod_log_config.html) become fields:

=================  ==============================================================
``%v`` (``%v:%p``)  ``vhost``
``%h %l %u``       ``remote_host``, ``ident``, ``user``
``%r``             ``request``, and its parts ``method``, ``uri``, ``query``, ``protocol``
``%>s %b``         ``status``, ``bytes`` (integers; ``-`` stays ``-``)
``Referer``        ``referer``
``User-Agent``     ``user_agent``
what follows       ``extra``
=================  ==============================================================

Values are kept as written (``\"`` and ``\xhh`` stay escaped). The host is the stated one, else the virtual
host without its port. This is the family's living example: a new text reader looks like this one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from aleat.evidence.columns import TableBuilder
from aleat.evidence.head import Head
from aleat.evidence.reader import ByteRange, RangeResult, ReadOptions
from aleat.evidence.text import BLOCK_LINES, LineNotes, bom_length, cut_lines, detect_encoding, numbered_lines
from aleat.evidence.times import time_column
from aleat.times import micros_of

__all__ = ["AccessReader"]

_QUOTED = r'"((?:[^"\\]++|\\.)*+)"'
_LINE = re.compile(
    rf"(?:(\S++) (?!- ))?(\S++) (\S++) (\S++) \[([^\]]{{20,40}})\] {_QUOTED} (\d{{3}}|-) (\d++|-)"
    rf"(?: {_QUOTED} {_QUOTED})?+((?: .*+)?)",
    re.DOTALL,
)
_PLAIN = re.compile(
    r"(\S++) (\S++) (\S++) \[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] "
    r'"(([A-Za-z]++) ([^ "\\?]++)(?:\?([^ "\\]*+))? (HTTP/[\d.]++))" (\d{3}) (\d++|-)(?: "([^"\\]*+)" "([^"\\]*+)")?+',
    re.ASCII,
)
"""The lines that nearly all are; their requests come in parts."""
_TAIL = re.compile(rf" {_QUOTED} {_QUOTED}((?: .*+)?)", re.DOTALL)
_START = re.compile(r'([^\[]{5,2000}) \[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] "')
_RESULT = re.compile(r'" (\d{3}|-) (\d++|-)(?= |$)')
_TIME = re.compile(r"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)", re.ASCII)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH = {name: f"{number:02}" for number, name in enumerate(_MONTHS, 1)}
_PLAIN_NAMES = (
    "remote_host",
    "ident",
    "user",
    "time",
    "request",
    "method",
    "uri",
    "query",
    "protocol",
    "status",
    "bytes",
    "referer",
    "user_agent",
)


class _Row(NamedTuple):
    """One line's parts, None where the line has none."""

    vhost: str | None
    remote_host: str
    ident: str
    user: str
    time: str
    request: str
    status: str
    bytes: str
    referer: str | None
    user_agent: str | None
    extra: str | None


class AccessReader:
    """Reads access logs in the common and combined formats."""

    name = "access"
    version = 1

    def detect(self, head: Head) -> bool:
        """Say yes where at least half of the first lines are of the format."""
        lines = head.lines[:20]
        good = sum(1 for line in lines if _parse(line) is not None)
        return good > 0 and good * 2 >= len(lines)

    def cut(self, stream: BinaryIO, head: bytes, options: ReadOptions) -> Iterator[tuple[ByteRange, bytes]]:
        """Cut at line ends."""
        encoding = detect_encoding(head)
        return cut_lines(stream, encoding, options.range_bytes, {"encoding": encoding})

    def read(self, data: bytes, span: ByteRange, path: str, options: ReadOptions) -> RangeResult:
        """Read the lines of one range."""
        result = RangeResult()
        notes = LineNotes(path, span, result)
        rows = _Rows(options.host)
        skip = bom_length(data) if span.start == 0 else 0
        match_plain = _PLAIN.fullmatch
        for offset, number, text in numbered_lines(data, span, skip, options.encoding, result.encodings):
            line = text[:-1] if text[-1:] == "\r" else text
            if match := match_plain(line):
                rows.plain.append(match.groups())
                rows.plain_places.append((rows.records, offset))
            elif row := _parse(line):
                rows.others.append(row)
                rows.other_places.append((rows.records, offset))
                if '"' in row.request.replace('\\"', "") or (row.extra and row.referer is None):
                    reason = "The line's quotes don't pair; it was read as far as that allows."
                    notes.odd(offset, number, len(line), reason)
            else:
                if line.strip():
                    reason = "The line is in no access log format that is known."
                    notes.broken(offset, number, len(line.encode("utf-8", "replace")), reason)
                continue
            rows.records += 1
            if not rows.records % BLOCK_LINES:
                rows.flush()
        notes.finish()
        rows.flush()
        if rows.records:
            result.tables = [("access", "", rows.builder.finish())]
        return result


class _Rows:
    """Collects lines, and interns them block by block."""

    def __init__(self, host: str | None) -> None:
        self.builder = TableBuilder()
        self.records = 0
        self.plain: list[Sequence[str | None]] = []
        self.others: list[_Row] = []
        self.plain_places: list[tuple[int, int]] = []  # (record, offset)
        self.other_places: list[tuple[int, int]] = []
        self._host = host

    def flush(self) -> None:
        """Hand the collected lines to the builder."""
        if self.plain:
            columns = dict(zip(_PLAIN_NAMES, zip(*self.plain, strict=True), strict=True))
            self._add(self.plain_places, columns)
        if self.others:
            columns = dict(zip(_Row._fields, zip(*self.others, strict=True), strict=True))
            parts = zip(*map(split_request, columns["request"]), strict=True)
            columns.update(zip(("method", "uri", "query", "protocol"), parts, strict=True))
            self._add(self.other_places, columns)
        self.plain, self.others, self.plain_places, self.other_places = [], [], [], []

    def _add(self, places: list[tuple[int, int]], columns: dict[str, tuple[str | None, ...]]) -> None:
        count = len(places)
        records, offsets = zip(*places, strict=True)
        times = columns.pop("time")
        hosts = [_host_of(item) for item in columns.get("vhost", ())] or [None] * count
        start = self.builder.extend(
            records=records,
            offsets=offsets,
            times=_times(times),
            time_texts=times,
            hosts=[self._host] * count if self._host else hosts,
            providers=[None] * count,
            event_ids=[None] * count,
        )
        if "extra" in columns:
            columns["extra"] = tuple((item or "").strip() or None for item in columns["extra"])
        for name, values in columns.items():
            self.builder.add_texts(start, name, values, numeric=name in ("status", "bytes"))


def _parse(line: str) -> _Row | None:
    """Parse a line that may have spaces in the user's name, bare quotes in the request, or no end."""
    if match := _LINE.fullmatch(line):
        return _Row(*match.groups())
    start = _START.match(line)
    if start is None:
        return None
    result = _RESULT.search(line, start.end())
    if result is None:
        return None
    words = start[1].split(" ")
    vhost = words.pop(0) if len(words) > 3 and words[2] == "-" and words[1] != "-" else None
    if len(words) < 3:
        return None
    user = " ".join(words[2:])
    request = line[start.end() : result.start()]
    rest = line[result.end() :]
    tail = _TAIL.fullmatch(rest)
    referer, agent, extra = tail.groups() if tail else (None, None, rest)
    return _Row(vhost, words[0], words[1], user, start[2], request, result[1], result[2], referer, agent, extra or None)


def _times(texts: Sequence[str | None]) -> Any:
    """Return ``13/Jan/2016:19:31:20 +0200`` as datetime64[us]: all at once, or one by one where some are odd."""
    known = [text for text in texts if text and _TIME.fullmatch(text)]
    try:
        if len(known) != len(texts):
            return time_column(texts, parse_access_time)
        local = np.array([f"{t[7:11]}-{_MONTH[t[3:6]]}-{t[:2]}T{t[12:20]}" for t in known], "datetime64[us]")
        zones = {zone: _minutes(zone) for zone in {t[21:] for t in known}}
        if len(zones) == 1:
            return local - np.timedelta64(next(iter(zones.values())), "m")
        return local - np.array([zones[t[21:]] for t in known], "timedelta64[m]")
    except (ValueError, KeyError):
        return time_column(texts, parse_access_time)


def _minutes(zone: str) -> int:
    minutes = int(zone[1:3]) * 60 + int(zone[3:5])
    return -minutes if zone[0] == "-" else minutes


def _host_of(vhost: str | None) -> str | None:
    if not vhost:
        return None
    name, colon, port = vhost.rpartition(":")
    return name if colon and port.isdecimal() else vhost


def split_request(request: str) -> tuple[str | None, str | None, str | None, str | None]:
    """Return (method, path, query, protocol) of a request line; None for what it doesn't have.

    >>> split_request("GET /a?b=1 HTTP/1.1")
    ('GET', '/a', 'b=1', 'HTTP/1.1')
    """
    method, space, rest = request.partition(" ")
    if not space or not method.isalpha():
        return None, None, None, None
    uri, space, protocol = rest.rpartition(" ")
    if not protocol.startswith("HTTP/"):
        uri, protocol = rest, ""
    path, mark, query = uri.partition("?")
    return method, path, query if mark else None, protocol or None


def parse_access_time(text: Any) -> int | None:
    """Return microseconds since 1970 of ``13/Jan/2016:19:31:20 +0200``, or None."""
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    if match is None or match[2] not in _MONTHS:
        return None
    offset = timedelta(hours=int(match[8]), minutes=int(match[9]))
    try:
        zone = timezone(-offset if match[7] == "-" else offset)
        moment = datetime(
            int(match[3]),
            _MONTHS.index(match[2]) + 1,
            int(match[1]),
            int(match[4]),
            int(match[5]),
            int(match[6]),
            tzinfo=zone,
        )
    except ValueError:
        return None
    return micros_of(moment)
