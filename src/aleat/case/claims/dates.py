"""Dates as a text writes them, resolved only where the text itself settles year, month and day.

Settled are: a date with its year; a month with its year (as a range); and, where the document carries its own
date (a dateline or a line that says when it was published), weekdays and "yesterday" before it, and a day or
a month without a year that lies before it in the same year. A caption's date settles nothing, and neither does
the clock: there is no reference time in here.

>>> find_dates("On 7 September 2022 it cut ties.", 0, 32, DocumentDates(()))[0].first.isoformat()
'2022-09-07'
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from aleat.case.claims.text import Paragraph, QuoteSpan

__all__ = ["DateMention", "DocumentDates", "document_dates", "find_dates", "span_of"]

_SHORT = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: number for number, name in enumerate(_SHORT, start=1)}
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTH = (
    r"(?P<month>January|February|March|April|May|June|July|August|September|October|November|December"
    r"|JANUARY|FEBRUARY|MARCH|APRIL|MAY|JUNE|JULY|AUGUST|SEPTEMBER|OCTOBER|NOVEMBER|DECEMBER"
    r"|(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept|Sep|Oct|Nov|Dec|JAN|FEB|MAR|APR|JUN|JUL|AUG|SEPT|SEP|OCT|NOV|DEC)\b\.?)"
)
_DAY = r"(?P<day>[0-3]?\d)(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>(?:19|20)\d\d)(?!\d)"
_PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?<![\d-])" + _YEAR + r"-(?P<number>[01]\d)-(?P<day>[0-3]\d)(?![\d-])",
        r"(?<!\d)" + _DAY + r"(?: of)? " + _MONTH + r",? " + _YEAR,
        r"\b" + _MONTH + r" " + _DAY + r",? " + _YEAR,
        r"\b" + _MONTH + r" " + _DAY + r"(?![\d,]*\d)\b",
        r"(?<![\d,.])" + _DAY + r"(?: of)? " + _MONTH + r"(?![a-z])",
        r"\b" + _MONTH + r",? (?:of )?" + _YEAR,
        r"(?<=\bin )" + _MONTH + r"(?![\w-])(?P<before> last year)?",
        r"(?:(?<=\blast )|(?<=\bsince )|(?<=\bthe )|(?<=\blate )|(?<=\bearly )|(?<=\bmid-)|(?<=\bof ))"
        + _MONTH
        + r"(?![\w-])(?! \d)",
        r"\b" + _MONTH + r"(?= (?:[a-z-]+ )?(?:cyber|attack|hack|breach|intrusion|incident|assault))",
        r"(?:(?<=\b[iI]n )|(?<=\bof ))" + _YEAR + r"(?!-)",
        r"\b(?P<weekday>Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)\b",
        r"\b(?P<word>[Yy]esterday|[Tt]oday|[Tt]onight|[Ll]ast (?:week|month|year|night|evening)"
        r"|[Ll]ast (?:summer|spring|autumn|fall|winter)"
        r"|[Tt]his (?:week|month|year|morning|evening|summer|spring|autumn)|[Oo]ver the weekend"
        r"|[Ee]arlier this (?:week|month|year)"
        r"|(?:[Tt]he )?(?:previous|same) (?:day|evening|night|week|month|weekend)"
        r"|[Tt]he (?:night|evening|day|week|month|weekend) before|[Tt]he following day"
        r"|(?:a|one|two|three|four|five|several|\d+) "
        r"(?:day|week|month)s? (?:ago|earlier|later))\b",
    )
)
_PUBLISHED = re.compile(
    r"(?i)^\W{0,3}(?:published|updated|posted|date|issued|last updated|first published|created|on)\b"
)


@dataclass(frozen=True, slots=True)
class DateMention:
    """A date as written at a place of the document; `first` and `last` days where the text settles them."""

    start: int
    end: int
    text: str
    first: date | None = None
    last: date | None = None


@dataclass(frozen=True, slots=True)
class DocumentDates:
    """What the document says of its own date, and the years that its body gives to days and months."""

    own: tuple[date, ...]
    days: dict[tuple[int, int], frozenset[int]] | None = None
    years: frozenset[int] = frozenset()


def span_of(mention: DateMention | None) -> tuple[datetime | None, datetime | None]:
    """Return the first and last instant (UTC) of a settled date, or (None, None)."""
    if mention is None or mention.first is None or mention.last is None:
        return None, None
    first = datetime.combine(mention.first, time.min, tzinfo=UTC)
    last = datetime.combine(mention.last, time(23, 59, 59), tzinfo=UTC)
    return first, last


def _number(groups: dict[str, str | None]) -> int | None:
    if groups.get("number"):
        return int(groups["number"] or 0)
    month = groups.get("month")
    return _MONTHS.get(month[:3].lower()) if month else None


def _whole(groups: dict[str, str | None]) -> tuple[date | None, date | None]:
    """Return first and last day of a match that carries its year, else (None, None)."""
    month = _number(groups)
    year, day = groups.get("year"), groups.get("day")
    if year and "month" not in groups and "number" not in groups:
        return date(int(year), 1, 1), date(int(year), 12, 31)
    if not year or not month:
        return None, None
    try:
        if day:
            found = date(int(year), month, int(day))
            return found, found
        return _month_range(int(year), month)
    except ValueError:
        return None, None


def _month_range(year: int, month: int) -> tuple[date, date]:
    following = date(year + month // 12, month % 12 + 1, 1)
    return date(year, month, 1), following - timedelta(days=1)


def document_dates(text: str, found: Sequence[Paragraph]) -> DocumentDates:
    """Find the document's own date (datelines and lines of publication), and the days that its body dates fully."""
    own: list[date] = []
    days: dict[tuple[int, int], set[int]] = {}
    years: set[int] = set()
    seen_body = 0
    for paragraph in found:
        if paragraph.kind == "caption":
            continue
        line = text[paragraph.start : min(paragraph.end, paragraph.start + 4000)]
        if paragraph.kind == "body":
            seen_body += 1
            if paragraph.body_start > paragraph.start:
                head = text[paragraph.start : paragraph.body_start]
                own += [first for first, last in _fully(head) if first == last]
            for first, last in _fully(line):
                years.add(first.year)
                if first == last:
                    days.setdefault((first.month, first.day), set()).add(first.year)
        elif seen_body <= 1 and paragraph.kind != "related" and len(line) < 120:
            dated = line.count(" ") <= 8 or _PUBLISHED.match(line)
            if dated:
                own += [first for first, last in _fully(line) if first == last]
    frozen = {key: frozenset(values) for key, values in days.items()}
    return DocumentDates(tuple(dict.fromkeys(own))[:4], frozen, frozenset(years))


def _fully(line: str) -> list[tuple[date, date]]:
    found = []
    for pattern in (*_PATTERNS[:3], _PATTERNS[5]):
        for match in pattern.finditer(line):
            first, last = _whole(match.groupdict())
            if first is not None and last is not None:
                found.append((first, last))
    return found


def find_dates(
    text: str, start: int, end: int, known: DocumentDates, quotes: Sequence[QuoteSpan] = ()
) -> list[DateMention]:
    """Return the date expressions of ``text[start:end]`` in order, none inside another.

    Inside direct speech (`quotes`) "last night" is the speaker's, not the document's, and stays as written.
    """
    taken: list[DateMention] = []
    for pattern in _PATTERNS:
        for match in pattern.finditer(text, start, end):
            if any(match.start() < other.end and other.start < match.end() for other in taken[-40:]):
                continue
            groups = match.groupdict()
            first, last = _settle(groups, match.group(), known)
            if groups.get("word") and any(span.start <= match.start() < span.end for span in quotes):
                first = last = None
            taken.append(DateMention(match.start(), match.end(), " ".join(match.group().split()), first, last))
    return sorted(taken, key=lambda row: row.start)


def _settle(groups: dict[str, str | None], written: str, known: DocumentDates) -> tuple[date | None, date | None]:
    whole = _whole(groups)
    if whole[0] is not None:
        return whole
    month, day = _number(groups), groups.get("day")
    if month and groups.get("before"):
        years = {own.year - 1 for own in known.own}
        return _month_range(years.pop(), month) if len(years) == 1 else (None, None)
    if month:
        return _without_year(month, int(day) if day else None, known)
    answers = {_relative(groups, written.lower(), own) for own in known.own}
    return answers.pop() if len(answers) == 1 else (None, None)


def _without_year(month: int, day: int | None, known: DocumentDates) -> tuple[date | None, date | None]:
    """Settle "15 July" and "in July" by the same day with its year, or by the document's own date."""
    years: set[int] = set()
    if day is not None and known.days:
        years |= known.days.get((month, day), frozenset())
    if not years and known.own:
        for own in known.own:
            if (month, day or 1) > (own.month, own.day):
                return None, None
            years.add(own.year)
    if len(years) != 1:
        return None, None
    year = years.pop()
    try:
        if day is not None:
            found = date(year, month, day)
            return found, found
        return _month_range(year, month)
    except ValueError:
        return None, None


def _relative(groups: dict[str, str | None], low: str, own: date) -> tuple[date | None, date | None]:
    weekday = groups.get("weekday")
    if weekday:
        back = (own.weekday() - _DAYS.index(weekday.lower())) % 7
        found = own - timedelta(days=back)
        return found, found
    if low in ("yesterday", "last night", "last evening"):
        found = own - timedelta(days=1)
        return found, found
    if low in ("today", "tonight", "this morning", "this evening"):
        return own, own
    return None, None
