"""YARA rules: each becomes a STIX indicator whose pattern stands alone.

A rule's pattern is its own text with what it needs of its file: imports, the rules that it refers to, and the
file's global rules, which are made private there, so that only the rule itself is reported, in any tool. A
private rule is no indicator by itself. Nothing is compiled here: whether a rule can be evaluated is the hunt's to
say (`aleat.hunt.yara`). What a file includes is looked for in its collection, and nowhere else; included rules are
there for those that need them, and come in themselves with their own file.

What a list of rules needs (name, description, author, dates, references, score, tags) is taken from the rule's
meta section, as public collections write it (signature-base, YARA Forge, Elastic's), and goes into the extension
`rule`. A rule's own id is its name: what scanners print and people search for (ids in meta sections are not unique in
public collections). An indicator's STIX id follows from its pattern.

Specification: https://virustotal.github.io/yara-x/docs/writing_rules/anatomy-of-a-rule/.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from aleat.errors import InputError, Issue, LimitError, ObjectError, Place
from aleat.knowledge.document import Document
from aleat.knowledge.items import UNDATED, KnowledgeItem
from aleat.knowledge.limits import Limits
from aleat.knowledge.text import decode_text, guess_issues
from aleat.knowledge.yara_includes import Includes
from aleat.knowledge.yara_rules import MetaValue, YaraRule, split_rules
from aleat.stix.extensions import extend
from aleat.stix.ids import content_id
from aleat.stix.levels import LEVELS
from aleat.stix.objects import StixObject, make_object

__all__ = ["detect", "level_of_score", "make_yara_indicator", "read"]

_STAGE = "knowledge"
_SUFFIXES = {".yar", ".yara"}
_SIGN = re.compile(
    rb"^[ \t]*+(?:(?:private|global)\s++)*+rule\s++[A-Za-z_]\w*+\s*+(?::[\w\s]++)?\{",
    re.MULTILINE,
)
_SECTION = re.compile(rb"\b(?:meta|strings|condition)[ \t\r\n]*+:")
_SCORES = ((80, "high"), (60, "medium"), (40, "low"), (0, "informational"))
_DATES = ("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%Y-%m", "%Y%m%d", "%d/%m/%Y", "%Y")
_TECHNIQUE = re.compile(r"\bT[01][0-9]{3}(?:\.[0-9]{3})?\b")
_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_TEXT = 2_000  # characters that are taken of a meta value


def detect(document: Document) -> bool:
    """Tell whether `document` holds a rule in its head, or is text that is called a rule file."""
    if document.suffix in _SUFFIXES:
        return b"\0" not in document.head or document.head[:2] in (b"\xff\xfe", b"\xfe\xff")
    match = _SIGN.search(document.head)
    return match is not None and _SECTION.search(document.head, match.end()) is not None


def read(document: Document, limits: Limits) -> Iterator[KnowledgeItem | Issue]:
    """Yield an indicator for each rule in the document that isn't private, and an issue for what is no rule."""
    data = document.read()
    if len(data) > limits.yara_bytes:
        raise LimitError(f"The file is larger than {limits.yara_bytes} bytes (yara_bytes).", Place(document.path))
    text, guessed = decode_text(data)
    yield from guess_issues(guessed, document.path)
    found = split_rules(text, document.path, limits, Includes(document, limits))
    for fault in found.faults:
        yield _issue(fault, document.path)
    for item in found.standing_alone(limits, document.path):
        if isinstance(item, InputError):
            yield _issue(item, document.path)
            continue
        rule, pattern = item
        place = Place(document.path, rule.line)
        try:
            yield KnowledgeItem(object=make_yara_indicator(rule, pattern), place=place)
        except ObjectError as error:
            yield Issue(_STAGE, "rule-syntax", place, error.reason, error.advice)
    for rule in found.unused():
        reason = f"The rule {rule.name} is private, and no other rule of the file needs it."
        yield Issue(_STAGE, "private-rule", Place(document.path, rule.line), reason)
    if not found.rules and not found.faults:
        yield Issue(_STAGE, "not-a-rule", Place(document.path), "The file holds no YARA rule.")


def make_yara_indicator(rule: YaraRule, pattern: str) -> StixObject:
    """Return the STIX indicator of a rule; `pattern` is its text with all that it needs."""
    meta: dict[str, MetaValue] = {}
    for key, value in rule.meta:
        meta.setdefault(key.lower(), value)
    own = _text(meta, "id", "uuid", "rule_id")
    own = own if _UUID.fullmatch(own) else ""
    created = _date(meta, "date", "creation_date", "created") or UNDATED
    tags = list(dict.fromkeys((*rule.tags, *_techniques(meta))))
    facts = {
        "kind": "rule",
        "rule_id": rule.name,
        "rule_name": rule.name,
        "level": _level(meta),
        "status": _text(meta, "status"),
        "author": _text(meta, "author", "authors"),
        "tags": tags,
    }
    return make_object(
        "indicator",
        content_id("indicator", ["yara", pattern]),
        created=created,
        modified=max(created, _date(meta, "modified", "last_modified", "date_modified") or created),
        name=rule.name,
        description=_text(meta, "description", "desc", "info") or rule.name,
        pattern=pattern,
        pattern_type="yara",
        valid_from=UNDATED,
        labels=tags,
        external_references=[{"source_name": "yara", "external_id": own or rule.name}, *_references(rule)],
        extensions=extend("rule", {key: value for key, value in facts.items() if value}),
    )


def level_of_score(score: float) -> str:
    """Return the level of a score from 0 to 100: 40 and more is worth a notice, 60 a warning, 80 an alert.

    >>> [level_of_score(score) for score in (10, 40, 75, 100)]
    ['informational', 'low', 'medium', 'high']
    """
    return next((level for least, level in _SCORES if score >= least), LEVELS[0])


def _level(meta: Mapping[str, MetaValue]) -> str:
    """Return the level that a rule gives itself, as a word or as a score; the empty text where it gives none."""
    for key in ("level", "severity", "threat_level"):
        word = str(meta.get(key, "")).strip().lower()
        if word in LEVELS:
            return word
    for key in ("score", "severity"):
        value = meta.get(key)
        if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
            value = int(value.strip()[:9])
        if isinstance(value, int) and not isinstance(value, bool):
            return level_of_score(value)
    return ""


def _references(rule: YaraRule) -> Iterator[dict[str, str]]:
    seen: set[str] = set()
    for key, value in rule.meta:
        if not key.lower().startswith(("reference", "url", "link")):
            continue
        for text in str(value).split():
            if text.startswith(("https://", "http://")) and text not in seen and len(text) <= _TEXT:
                seen.add(text)
                yield {"source_name": "reference", "url": text}


def _techniques(meta: Mapping[str, MetaValue]) -> Iterator[str]:
    """Yield ATT&CK's techniques as Sigma writes them in tags, from meta values that are about ATT&CK."""
    for key, value in meta.items():
        if isinstance(value, str) and ("mitre" in key or "attack" in key or "technique" in key):
            for match in _TECHNIQUE.finditer(value):
                yield f"attack.{match[0].lower()}"


def _date(meta: Mapping[str, MetaValue], *keys: str) -> datetime | None:
    """Return the midnight (UTC) of the first of these dates that can be read."""
    for key in keys:
        text = str(meta.get(key, "")).strip()[:10]
        for form in _DATES:
            try:
                return datetime.strptime(text, form).replace(tzinfo=UTC)
            except ValueError:
                continue
    return None


def _text(meta: Mapping[str, MetaValue], *keys: str) -> str:
    """Return the first of these values that is there, without control characters."""
    for key in keys:
        text = " ".join(str(meta.get(key, "")).split())[:_TEXT]
        if text:
            return "".join(character if character.isprintable() else "\ufffd" for character in text)
    return ""


def _issue(fault: InputError, path: str) -> Issue:
    code = "rule-syntax" if fault.code == "rule" else fault.code
    return Issue(_STAGE, code, fault.place or Place(path), fault.reason, fault.advice)
