"""Advisories in prose (text, markdown, asciidoc): the text as a note, and the observables in it as one list.

Values are found where they stand out of prose: hashes, addresses, defanged or not; URLs; domains; e-mail
addresses; CVE numbers; registry keys; file paths and names. Their type is settled by `aleat.knowledge.values`,
as for lists. A plain domain counts only where the text defangs it or prints it as code or as a list item: prose
is full of harmless sites. Each entry's context is the line it stands in (cut), with its character offset in
the document; each technique named (``T1486``) becomes an external reference of the note to ATT&CK.

`detect` is the last to be asked and conservative: several observables or techniques, and no news with claims.
News belongs to `aleat.case.claims`, which decides so by the same signs (claims present, few observables).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import polars as pl
import pyarrow as pa

from aleat.errors import Issue, LimitError, Place
from aleat.knowledge.document import Document
from aleat.knowledge.items import UNDATED, KnowledgeItem
from aleat.knowledge.limits import Limits
from aleat.knowledge.readers.lists import make_list_indicator
from aleat.knowledge.text import decode_text, guess_issues
from aleat.knowledge.values import classify_values
from aleat.stix.entries import ENTRY_SCHEMA
from aleat.stix.ids import content_id, observable_id
from aleat.stix.objects import StixObject, make_object

__all__ = ["MAX_BYTES", "Found", "detect", "find_observables", "find_techniques", "read"]

_STAGE = "knowledge"
MAX_BYTES = 5_000_000
_SUFFIXES = frozenset((".txt", ".md", ".markdown", ".adoc", ".asciidoc", ".rst", ".text", ""))
_CONTEXT = 160
_MIN_SIGNS = 3

# One alternative a kind; every repetition is bounded or over one class, so that it runs in linear time.
_DOT = r"(?:\.|\[\.\]|\(\.\)|\[dot\]|\(dot\)|\{\.\})"
_HASH = "|".join(f"[0-9a-fA-F]{{{size}}}" for size in (128, 96, 64, 40, 32))
_AT = r"(?:@|\[@\]|\[at\]|\(at\))"
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"
_CANDIDATE = re.compile(
    rf"""
      (?<![0-9A-Za-z])(?P<hash>{_HASH})(?![0-9A-Za-z])
    | (?P<url>\b[hH][tTxX*]{{2}}[pP][sS]?(?:://|\[:\]//|\[://\]|:\\\\)[^\s<>"'`|“”]{{1,2000}})
    | (?<![\w.-])(?P<email>[A-Za-z0-9._%+-]{{1,64}}{_AT}(?:{_LABEL}{_DOT}){{1,6}}[A-Za-z]{{2,24}})(?![\w-])
    | (?<![\w.])(?P<ip>\d{{1,3}}(?:{_DOT}\d{{1,3}}){{3}}(?:/\d{{1,2}}|:\d{{1,5}})?)(?![\w-])
    | \b(?P<cve>[cC][vV][eE]-\d{{4}}-\d{{4,7}})\b
    | \b(?P<registry>(?:HKLM|HKCU|HKCR|HKU|HKEY_[A-Z_]{{4,20}})\\[^\s"'`|,;]{{1,400}})
    | (?P<path>(?<![A-Za-z])[A-Za-z]:\\[^\s"'`|<>*?,;]{{1,400}}|%[A-Za-z_()]{{3,30}}%\\[^\s"'`|<>*?,;]{{1,400}})
    | (?<![\w@./\\-])(?P<name>(?:{_LABEL}{_DOT}){{1,6}}[A-Za-z]{{2,24}})(?![\w-])
    """,
    re.VERBOSE,
)
_TECHNIQUE = re.compile(r"(?<![\w.-])T1\d{3}(?:\.\d{3})?(?![\w-])")
_DEFANGED = re.compile(r"\[|\(|\{|[hH][xX*]{2}[pP]")
_TRAILING = ".,;:)]}\"'”’`*_"
_HEADING = re.compile(r"^(?:#{1,6}|={1,5}) +(?P<title>.{1,200})$", re.MULTILINE)


class Found(NamedTuple):
    """An observable: as written, its character offset, its type and usual form, its line (from 1)."""

    written: str
    offset: int
    type: str
    value: str
    line: int


def detect(document: Document) -> bool:
    """Tell whether the document is prose that names several observables or techniques, and reads like no news."""
    if document.suffix not in _SUFFIXES:
        return False
    text, _ = decode_text(document.head)
    if "\x00" in text or not _is_prose(text):
        return False
    signs = len({found.value for found in find_observables(text)}) + len(set(find_techniques(text)))
    return signs >= _MIN_SIGNS


def _is_prose(text: str) -> bool:
    """Say whether a text has sentences: lines with several words, most of them of letters."""
    lines = [line for line in text.splitlines() if line.strip()]
    wordy = sum(1 for line in lines if line.count(" ") >= 5)
    return bool(lines) and not text.lstrip().startswith(("{", "[{", "<")) and wordy >= 2


def read(document: Document, limits: Limits) -> Iterator[KnowledgeItem | Issue]:
    """Yield the advisory as a note, and the list of its observables where it has any."""
    data = document.read()
    if len(data) > MAX_BYTES:
        reason = f"The text has {len(data)} bytes, more than {MAX_BYTES} (limit on prose)."
        raise LimitError(reason, Place(document.path), advice="Cut it into its documents.")
    text, guessed = decode_text(data)
    yield from guess_issues(guessed, document.path)
    found = find_observables(text)
    if len(found) > limits.list_entries:
        reason = f"The text names more than {limits.list_entries} observables (list_entries)."
        raise LimitError(reason, Place(document.path))
    indicator: StixObject | None = None
    if found:
        entries = _entries(text, found)
        indicator = make_list_indicator(document.name, entries, ["offset", "line"])
        yield KnowledgeItem(object=indicator, place=Place(document.path, found[0].line), entries=entries)
    source = make_object("file", observable_id("file", {"name": document.name}), name=document.name)
    yield KnowledgeItem(object=source, place=Place(document.path))
    refs = [source.id] if indicator is None else [source.id, indicator.id]
    yield KnowledgeItem(object=_note(document, text, refs), place=Place(document.path, 1))


def find_techniques(text: str) -> tuple[str, ...]:
    """Return the ATT&CK technique ids that a text names, in order, each as often as it stands there."""
    return tuple(match.group() for match in _TECHNIQUE.finditer(text))


def find_observables(text: str) -> tuple[Found, ...]:
    """Return the observables of a text, in order; a value that stands there twice is there twice.

    >>> [(row.type, row.value) for row in find_observables("It called hxxp://bad[.]example/a and 203.0.113[.]7.")]
    [('url', 'http://bad.example/a'), ('ipv4-addr', '203.0.113.7')]
    """
    rows: list[tuple[str, int]] = []
    for match in _CANDIDATE.finditer(text):
        written = match.group()
        if match.lastgroup in ("url", "registry", "path"):
            written = written.rstrip(_TRAILING) if not written.endswith(("[.]", "[:]")) else written
        if match.lastgroup == "url" and not (_DEFANGED.search(written[:200]) or _printed(text, match.start())):
            continue
        if match.lastgroup == "name" and not _stands_out(text, match.start(), match.end()):
            continue
        if written:
            rows.append((written, match.start()))
    if not rows:
        return ()
    frame = classify_values(pl.Series("value", [written for written, _ in rows], dtype=pl.String))
    found: list[Found] = []
    line = 1
    at = 0
    for (written, offset), type_, value in zip(rows, frame["type"], frame["value"], strict=True):
        line += text.count("\n", at, offset)
        at = offset
        if type_ and type_ != "regex":
            found.append(Found(written, offset, type_, value, line))
    return tuple(found)


def _printed(text: str, start: int) -> bool:
    """Say whether a plain URL is printed as a value: as code, or in a table's cell (links and references aren't)."""
    head = text[text.rfind("\n", max(0, start - 200), start) + 1 : start]
    return head.endswith("`") or (head.rstrip().endswith("|") and head.lstrip().startswith("|"))


def _stands_out(text: str, start: int, end: int) -> bool:
    """Say whether a name is meant as a value: defanged, printed as code, a list item, or a table's cell."""
    if _DEFANGED.search(text, start, end):
        return True
    before, after = text[max(0, start - 1) : start], text[end : end + 1]
    if before == "`" and after == "`":
        return True
    head = text[text.rfind("\n", max(0, start - 40), start) + 1 : start] if start else ""
    tail = text[end : end + 3].partition("\n")[0].strip()
    return head.strip(" \t-*•+|>`") == "" and tail[:1] in ("", "|", "`", ",", ";", "(", "-")


def _entries(text: str, found: tuple[Found, ...]) -> pa.Table:
    """Return the rows of the list: each value once, in order, with the line it first stands in as context."""
    first: dict[tuple[str, str], Found] = {}
    count: dict[tuple[str, str], int] = {}
    for row in found:
        key = (row.type, row.value)
        first.setdefault(key, row)
        count[key] = count.get(key, 0) + 1
    rows = list(first.values())
    columns = [
        pa.array([row.type for row in rows], pa.string()).dictionary_encode(),
        pa.array([row.value for row in rows], pa.string()),
        pa.array([f"offset: {row.offset}; {_quote(text, row)}" for row in rows], pa.string()),
        pa.array([row.line for row in rows], pa.int64()),
        pa.array([count[row.type, row.value] for row in rows], pa.int64()),
    ]
    return pa.table(columns, names=ENTRY_SCHEMA.names).cast(ENTRY_SCHEMA)


def _quote(text: str, row: Found) -> str:
    """Return the words around a value, exactly as they stand, within its own line."""
    start = max(text.rfind("\n", max(0, row.offset - _CONTEXT), row.offset) + 1, row.offset - _CONTEXT // 2)
    end = row.offset + len(row.written) + _CONTEXT // 2
    stop = text.find("\n", row.offset, end)
    return text[max(0, start) : stop if stop != -1 else end].strip()


def _note(document: Document, text: str, refs: list[str]) -> StixObject:
    """Return the note that keeps the text, about the document (a file object) and the list found in it."""
    title = _HEADING.search(text)
    first = next((line.strip() for line in text.splitlines() if line.strip()), document.name)
    abstract = (title.group("title") if title else first).strip()[:200]
    references = [
        {
            "source_name": "mitre-attack",
            "external_id": technique,
            "url": f"https://attack.mitre.org/techniques/{technique.replace('.', '/')}",
        }
        for technique in sorted(set(find_techniques(text)))
    ]
    return make_object(
        "note",
        content_id("note", ["prose", document.name, text]),
        created=UNDATED,
        abstract=abstract,
        content=text,
        object_refs=refs,
        external_references=references,
    )
