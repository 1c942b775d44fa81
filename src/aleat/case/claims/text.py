"""From a document to sentences of tokens, every one of which knows its place in the document.

A `Token`'s `start` and `end` are character offsets in the document as given: nothing is normalised before it
is measured, so that a quote is always a slice. Paragraphs are found first (wrapped lines are joined, headlines,
captions, bylines and related links told from prose), then sentences. All of it is linear in the length: the
patterns have no nested repetition, and a sentence ends after `MAX_TOKENS` tokens at the latest.

Not here: what the words mean (see `phrases` and `frames`).
"""

# Guard clauses, one a way in which a wording can be something else: hence the many returns.
# ruff: noqa: PLR0911

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple

from aleat.case.claims.lexicon import lines, words

__all__ = ["MAX_TOKENS", "Paragraph", "QuoteSpan", "Sentence", "Token", "paragraphs", "sentences", "tokenize"]

MAX_TOKENS = 300
_LONG_LINE = 2_000

_TOKEN = re.compile(
    r"""
      (?:[A-Za-z]\.){2,}                                        # U.S., e.g.
    | \d+(?:[.,]\d+)+                                           # 1,205.5
    | ['’]s\b                                                   # the possessive
    | [^\W_]+(?:-[^\W_]+)*(?:['’](?!s\b|S\b)[^\W_]+)*           # a word, hyphens and contractions kept
    | --+ | \.\.\.+
    | [^\s\x00-\x1f\x7f]                                        # control characters are no text
    """,
    re.VERBOSE,
)
_SPACE = re.compile(r"\s+")
_OPEN, _CLOSE, _STRAIGHT = "“„«", "”»", '"'
_ENDS = frozenset((".", "?", "!", "…"))
_CLOSERS = frozenset("”»\"')]’")
_DATELINE = re.compile(
    r"""(?:\([A-Z]{2,12}\)\s{0,2}[-–—]\s{0,2})?                    # (ANSA) -
        (?P<city>[^\W\d_a-z][^\W\d_a-z.'’ -]{2,30})                 # capitals
        (?:,\s{0,2}(?P<rest>[^—–:/()\n]{1,40}?))?
        \s{0,2}(?:\([A-Z][^()\n]{1,30}\)|/[A-Z][^/\n]{1,20}/\.?)?
        \s{0,2}(?:—|–|--?|:)\s""",
    re.VERBOSE,
)
_DATELINE_SLASH = re.compile(
    r"(?P<city>[A-Z]{3,20}), (?P<rest>[A-Z][a-z]{2,8}\.? \d{1,2})\.? ?/[A-Z][A-Za-z ]{1,15}/\.? "
)
_MONTHS = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}"
_DATELINES = (
    _DATELINE_SLASH,
    # May 10 (Reuters) -
    re.compile(rf"(?P<city>)(?P<rest>{_MONTHS}\.? \d{{1,2}}(?:, \d{{4}})?) ?\([A-Z][^()\n]{{1,30}}\) ?[-–—] "),
    # MOSCOW. Feb 22 (Interfax) -
    re.compile(rf"(?P<city>[A-Z]{{3,20}})\. (?P<rest>{_MONTHS}\.? \d{{1,2}}) \([A-Z][^()\n]{{1,30}}\) ?[-–—] "),
    # MOSCOW (UrduPoint News / Sputnik - 13th September, 2022)
    re.compile(r"(?P<city>[A-Z]{3,20}) \([A-Z][^()\n]{1,40}[-–] ?(?P<rest>\d[^()\n]{5,24}\d{4})\) "),
    # TORVA, 13 September 2022. Varonia …
    re.compile(rf"(?P<city>[A-Z]{{3,20}}), (?P<rest>\d{{1,2}} {_MONTHS} \d{{4}}|{_MONTHS} \d{{1,2}}, \d{{4}})[.:] "),
    _DATELINE,
)
_BYLINE = re.compile(r"(?:\S{1,12}\s{1,2}){0,2}\d[\d/.:-]*(?:\s{1,2}\S{1,12}){0,6}$")  # a date, "1 hour ago"
_TERMINAL = re.compile(r"[.?!…:;,][”\"'’»)\]]{0,3}\s*$|[”\"]\s*$")


class Token(NamedTuple):
    """A word or mark: its text, its comparable form, where it stands in the document."""

    text: str
    low: str
    start: int
    end: int


@dataclass(slots=True)
class QuoteSpan:
    """Direct speech, as character offsets of its marks; `continued` where it began in an earlier paragraph."""

    start: int
    end: int
    continued: bool = False


@dataclass(slots=True)
class Paragraph:
    """A stretch of the document with its kind: "headline", "body", "caption", "byline", "related"."""

    start: int
    end: int
    kind: str
    dateline_city: str = ""
    dateline_rest: str = ""
    body_start: int = 0
    quotes: list[QuoteSpan] = field(default_factory=list)


@dataclass(slots=True)
class Sentence:
    """Tokens of one sentence, with the paragraph that it stands in."""

    tokens: list[Token]
    paragraph: Paragraph
    number: int
    quotes: tuple[QuoteSpan, ...] = ()
    """Direct speech that stands in it, in part or whole."""

    @property
    def start(self) -> int:
        """Where the sentence begins in the document."""
        return self.tokens[0].start

    @property
    def end(self) -> int:
        """Where it ends (exclusive)."""
        return self.tokens[-1].end


def _fold(text: str) -> str:
    low = text.lower().replace("’", "'")
    return low.replace("cyber-attack", "cyberattack") if low.startswith("cyber-attack") else low


def tokenize(text: str, start: int, end: int) -> list[Token]:
    """Return the tokens of ``text[start:end]``."""
    return [Token(m.group(), _fold(m.group()), m.start(), m.end()) for m in _TOKEN.finditer(text, start, end)]


def _line_spans(text: str) -> list[tuple[int, int]]:
    spans = []
    for match in re.finditer(r"[^\n\r\v\f\x85\u2028\u2029]+|\r\n|[\n\r\v\f\x85\u2028\u2029]", text):
        start, end = match.span()
        line = match.group()
        if line[0] in "\n\r\v\f\x85\u2028\u2029":
            spans.append((start, start))  # an end of line: an empty span, dropped or a blank below
            continue
        body = line.strip()
        if body:
            lead = len(line) - len(line.lstrip())
            spans.append((start + lead, start + lead + len(body)))
        else:
            spans.append((start, start))
    # A line is followed by the empty span of its own end; two in a row are a blank line.
    out: list[tuple[int, int]] = []
    empties = 0
    for start, end in spans:
        if start != end:
            if empties > 1 and out:
                out.append((start, start))
            out.append((start, end))
            empties = 0
        else:
            empties += 1
    return out


def _starts_like(low: str, kind: str) -> bool:
    return low.startswith(lines(kind))


def _line_kind(line: str) -> str:
    low = line.lower().lstrip("•*-–—>| ")
    short = len(line) < 400
    if short and (_starts_like(low, "caption") or any(mark in low for mark in lines("caption") if mark[0] in "(/_")):
        return "caption"
    if len(line) < 160 and _starts_like(low, "related"):
        return "related"
    if len(line) < 120 and _starts_like(low, "byline") and not line.rstrip().endswith("."):
        return "byline"
    return ""


def _is_wrapped(text: str, spans: list[tuple[int, int]]) -> bool:
    sizes = [end - start for start, end in spans if end > start]
    if len(sizes) < 4 or not 30 <= median(sizes) <= 160 or max(sizes) > 240:
        return False
    open_ended = sum(1 for start, end in spans if end > start and not _TERMINAL.search(text[max(start, end - 6) : end]))
    return open_ended * 2 >= len(sizes)


def _joins(text: str, previous: tuple[int, int], following: tuple[int, int], first: bool, width: float) -> bool:
    """Say whether a line goes on in the next one, in a document whose lines were wrapped."""
    before, after = text[previous[0] : previous[1]], text[following[0] : following[1]]
    if _line_kind(after) or _line_kind(before):
        return False
    if first and not _TERMINAL.search(before[-6:]) and not after[:1].islower():
        size = previous[1] - previous[0]
        return 0.75 * width <= size <= 1.2 * width
    return True


def paragraphs(text: str) -> list[Paragraph]:
    """Cut a document into paragraphs and say which of them are prose."""
    spans = _line_spans(text)
    wrapped = _is_wrapped(text, spans)
    sizes = [end - start for start, end in spans if end > start]
    width = median(sizes) if sizes else 0
    merged: list[tuple[int, int]] = []
    fresh = True
    for span in spans:
        if span[0] == span[1]:
            fresh = True
            continue
        if wrapped and not fresh and merged:
            last = merged[-1]
            start = text.rfind("\n", last[0], last[1]) + 1 or last[0]
            if _joins(text, (max(start, last[0]), last[1]), span, len(merged) == 1 and start == last[0], width):
                merged[-1] = (last[0], span[1])
                continue
        merged.append(span)
        fresh = False
    return _with_kinds(text, merged)


def _with_kinds(text: str, spans: list[tuple[int, int]]) -> list[Paragraph]:
    result: list[Paragraph] = []
    in_body = in_related = False
    for start, end in spans:
        line = text[start : min(end, start + _LONG_LINE)]
        kind = _line_kind(line)
        terminal = bool(_TERMINAL.search(text[max(start, end - 6) : end]))
        prose = terminal and end - start > 40
        if kind == "related" and not prose:
            in_related = True
        elif in_related and prose:
            in_related = False
        if not kind:
            if in_related:
                kind = "related"
            elif prose or (in_body and terminal) or end - start > 200:
                kind = "body"
            elif not in_body and line.count(" ") >= 2 and not _BYLINE.match(line):
                kind = "headline"
            else:
                kind = "related" if in_body else "byline"
        if kind == "body":
            in_body = True
        paragraph = Paragraph(start, end, kind, body_start=start)
        if kind == "body":
            _cut_dateline(text, paragraph)
        result.append(paragraph)
    _mark_quotes(text, result)
    return result


def _cut_dateline(text: str, paragraph: Paragraph) -> None:
    head = text[paragraph.start : min(paragraph.end, paragraph.start + 130)]
    match = next((found for row in _DATELINES if (found := row.match(head))), None)
    if not match or 0 < len(match.group("city").strip()) < 3:
        return
    paragraph.dateline_city = match.group("city").strip()
    paragraph.dateline_rest = (match.group("rest") or "").strip()
    paragraph.body_start = paragraph.start + match.end()


def _mark_quotes(text: str, found: list[Paragraph]) -> None:
    carried = False
    for paragraph in found:
        if paragraph.kind not in ("body", "headline"):
            continue
        opened: int | None = None
        for index in range(paragraph.body_start, paragraph.end):
            mark = text[index]
            if mark in _OPEN or (mark == _STRAIGHT and opened is None):
                if opened is None:
                    opened = index
            elif (mark in _CLOSE or mark == _STRAIGHT) and opened is not None:
                continued = carried and opened == paragraph.body_start
                paragraph.quotes.append(QuoteSpan(opened, index + 1, continued))
                opened, carried = None, False
        if opened is not None:  # goes on in the next paragraph, or its end was forgotten
            paragraph.quotes.append(QuoteSpan(opened, paragraph.end, carried and opened == paragraph.body_start))
            carried = True
        elif paragraph.kind == "body":
            carried = False


def sentences(text: str, found: list[Paragraph]) -> Iterator[Sentence]:
    """Yield the sentences of the prose and of the headlines, in the order of the document."""
    number = 0
    for paragraph in found:
        if paragraph.kind not in ("body", "headline"):
            continue
        passed = 0
        for tokens in _split(tokenize(text, paragraph.body_start, paragraph.end), text):
            start, end = tokens[0].start, tokens[-1].end
            while passed < len(paragraph.quotes) and paragraph.quotes[passed].end <= start:
                passed += 1
            stop = passed
            while stop < len(paragraph.quotes) and paragraph.quotes[stop].start < end:
                stop += 1
            yield Sentence(tokens, paragraph, number, tuple(paragraph.quotes[passed:stop]))
            number += 1


def _split(tokens: list[Token], text: str) -> Iterator[list[Token]]:
    begin = 0
    index = 0
    while index < len(tokens):
        size = index - begin + 1
        if _ends_here(tokens, index, text) or size >= MAX_TOKENS:
            stop = index + 1
            while stop < len(tokens) and stop - index < 4 and _is_closing(tokens, stop, text):
                stop += 1
            yield tokens[begin:stop]
            begin = index = stop
            continue
        index += 1
    if begin < len(tokens):
        yield tokens[begin:]


def _is_closing(tokens: list[Token], index: int, text: str) -> bool:
    token = tokens[index]
    return token.text in _CLOSERS and token.start == tokens[index - 1].end


def _ends_here(tokens: list[Token], index: int, text: str) -> bool:
    token = tokens[index]
    dotted = len(token.text) > 2 and token.text[-1] == "." and token.text[0].isalpha()
    if token.text not in _ENDS and not dotted:
        return False
    after = index + 1
    while after < len(tokens) and _is_closing(tokens, after, text):
        after += 1
    if after >= len(tokens):
        return True
    follower = tokens[after]
    if follower.start == tokens[after - 1].end:  # no space: 3.5, example.com, «U.S.-led»
        return False
    closed = after > index + 1
    first = follower.text[0]
    if not (first.isupper() or first.isdigit() or first in "“„«\"'\u2018(["):
        return False
    if closed and token.text != "…":
        return True
    if dotted:
        return follower.low in words("words", "starters") and first.isupper()
    if token.text == "." and index:
        before = tokens[index - 1]
        touching = before.end == token.start
        if touching and before.low in words("words", "abbreviations"):
            return before.low in ("no", "inc", "co", "corp", "etc", "may") and follower.low in words(
                "words", "starters"
            )
        if touching and len(before.text) == 1 and before.text.isupper():  # an initial
            return False
    return True
