"""Sigma rules, correlations and filters: each becomes a STIX indicator whose pattern is the rule's whole text.

Nothing of a rule is interpreted here but what a list of rules needs (title, level, author, tags, related rules …),
which goes into the extension `rule`; its references and the entries of catalogues that its tags name (ATT&CK, CVE)
become external references, a TLP tag a marking. Whether a rule can be evaluated is the hunt's to say. An indicator's id
follows from the rule's text and this reader's version, so that one rule from two givers is one object with two copies.

A YAML document that is no rule (a playbook, the description of a test) is an issue "not-a-rule", counted.

Specification: Sigma 2.1, https://github.com/SigmaHQ/sigma-specification.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

from aleat.errors import InputError, Issue, LimitError, ObjectError, Place
from aleat.knowledge.document import Document
from aleat.knowledge.items import UNDATED, KnowledgeItem
from aleat.knowledge.limits import Limits
from aleat.knowledge.sigma_tags import tag_label, tag_references
from aleat.knowledge.text import decode_text, guess_issues
from aleat.knowledge.yaml_documents import YamlDocument, split_documents
from aleat.stix.extensions import extend
from aleat.stix.ids import content_id
from aleat.stix.levels import LEVELS
from aleat.stix.objects import StixObject, make_object
from aleat.trust.markings import marking_id

__all__ = ["detect", "make_rule_indicator", "read"]

_STAGE = "knowledge"
_VERSION = 2  # of what this reader makes of a rule's text: part of the indicator's id
_ITEMS = 100  # of a list in a rule that are taken to the object; the rule's text has all
_TEXT = 2_000  # characters of each
_REFERENCE = 1_000  # characters of a URL
_SUFFIXES = {".yml", ".yaml"}
_ACTIONS = ("global", "reset", "repeat")  # parts of rules in Sigma 1, which mean nothing alone
_SIGNS = (b"detection:", b"correlation:", b"logsource:")

# Sigma's tags name ATT&CK's tactics (Sigma tags specification, namespace "attack").
_TACTICS = frozenset(
    """
    reconnaissance resource-development initial-access execution persistence privilege-escalation
    defense-evasion defense-impairment stealth credential-access discovery lateral-movement collection
    command-and-control exfiltration impact
    """.split()  # noqa: SIM905
)


def detect(document: Document) -> bool:
    """Tell whether `document` is YAML by its name, or looks like a rule."""
    if document.suffix in _SUFFIXES:
        return True
    return document.suffix == "" and any(sign in document.head for sign in _SIGNS) and b"title:" in document.head


def read(document: Document, limits: Limits) -> Iterator[KnowledgeItem | Issue]:
    """Yield an indicator for each rule in the document, and an issue for each document that is none."""
    data = document.read()
    if len(data) > limits.yaml_bytes:
        raise LimitError(f"The file is larger than {limits.yaml_bytes} bytes (yaml_bytes).", Place(document.path))
    text, guessed = decode_text(data)
    yield from guess_issues(guessed, document.path)
    for part in split_documents(text, document.path, limits):
        if isinstance(part, InputError):
            code = "rule-syntax" if part.code == "rule" else part.code
            yield Issue(_STAGE, code, part.place or Place(document.path), part.reason, part.advice)
        else:
            yield from _read_document(part, document.path)


def make_rule_indicator(text: str, rule: dict[str, Any], kind: str) -> StixObject:
    """Return the STIX indicator of a rule: `text` as it stands, `rule` the same parsed, `kind` as `rule_kind` says."""
    rule_id = _text(rule.get("id"))
    title = _text(rule.get("title")) or rule_id or "Untitled rule"
    created = _time(rule.get("date")) or UNDATED
    tags = [tag for tag in map(_text, _list(rule.get("tags"))) if tag]
    level = _text(rule.get("level")).lower()
    facts = {
        "kind": kind,
        "rule_id": rule_id,
        "rule_name": _text(rule.get("name")),
        "level": level if level in LEVELS else "",
        "status": _text(rule.get("status")),
        "author": _text(rule.get("author")),
        "license": _text(rule.get("license"))[:_TEXT],
        "tags": tags,
        "related": list(_related(rule.get("related"))),
        "fields": _texts(rule.get("fields")),
        "falsepositives": _texts(rule.get("falsepositives")),
    }
    references = [{"source_name": "sigma", "external_id": rule_id}] if rule_id else []
    return make_object(
        "indicator",
        content_id("indicator", ["sigma", _VERSION, text]),
        created=created,
        modified=max(created, _time(rule.get("modified")) or created),
        name=title,
        description=_text(rule.get("description")) or title,
        indicator_types=["benign"] if kind == "filter" else None,
        pattern=text,
        pattern_type="sigma",
        valid_from=UNDATED,
        labels=tags,
        kill_chain_phases=[
            {"kill_chain_name": "mitre-attack", "phase_name": phase} for phase in dict.fromkeys(_phases(tags))
        ],
        external_references=[*references, *tag_references(tags), *_references(rule.get("references"))],
        extensions=extend("rule", {key: value for key, value in facts.items() if value}),
    )


def rule_kind(rule: Any) -> str | None:
    """Return "rule", "correlation" or "filter", or None for a YAML value that is none of them."""
    if not isinstance(rule, dict):
        return None
    for key, kind in (("correlation", "correlation"), ("filter", "filter"), ("detection", "rule")):
        if key in rule and isinstance(rule[key], dict):
            return kind
    return None


def _read_document(part: YamlDocument, path: str) -> Iterator[KnowledgeItem | Issue]:
    place = Place(path, part.line)
    if part.value is None:  # nothing between two separators
        return
    kind = rule_kind(part.value)
    if kind is not None and part.value.get("action") in _ACTIONS:
        reason = "The rule uses 'action', which Sigma 2 has no more."
        yield Issue(_STAGE, "rule-syntax", place, reason, "Ask its giver for the whole rule.")
    elif kind is not None and any(not isinstance(key, str) for key in part.value):
        yield Issue(_STAGE, "rule-syntax", place, "A rule's keys are texts.", "Quote the key that is none.")
    elif kind is not None:
        try:
            found = make_rule_indicator(part.text, part.value, kind)
            label = tag_label([tag for tag in map(_text, _list(part.value.get("tags"))) if tag])
            yield KnowledgeItem(object=found, place=place, markings=(marking_id(label),) if label else ())
        except ObjectError as error:
            yield Issue(_STAGE, "rule-syntax", place, error.reason, error.advice)
        level = _text(part.value.get("level"))
        if level and level.lower() not in LEVELS:
            reason = f"Sigma has no level {level[:40]!r}; the rule counts as medium."
            yield Issue(_STAGE, "rule-level", place, reason, f"Levels are {', '.join(LEVELS)}.")
    elif isinstance(part.value, dict) and ("logsource" in part.value or "action" in part.value):
        reason = "The rule has no detection."
        if "action" in part.value:
            reason = "The rule uses 'action', which Sigma 2 has no more."
        yield Issue(_STAGE, "rule-syntax", place, reason, "Ask its giver for the whole rule.")
    else:
        yield Issue(_STAGE, "not-a-rule", place, "That is YAML, but no Sigma rule, correlation or filter.")


def _text(value: Any) -> str:
    if value is None or isinstance(value, (dict, list)):
        return ""
    return str(value).strip()


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _texts(value: Any) -> list[str]:
    return [text[:_TEXT] for text in map(_text, _list(value)[:_ITEMS]) if text]


def _related(value: Any) -> Iterator[dict[str, str]]:
    """Yield what a rule is related to, as it says it: the other's id, and how."""
    for one in _list(value)[:_ITEMS]:
        if isinstance(one, dict) and (other := _text(one.get("id"))) and (kind := _text(one.get("type")).lower()):
            yield {"id": other[:_TEXT], "type": kind[:_TEXT]}


def _references(value: Any) -> Iterator[dict[str, str]]:
    """Yield external references of a rule's references: what is no URL is kept as it is written."""
    for text in dict.fromkeys(_texts(value)):
        words = text.split()
        if len(words) == 1 and text.startswith(("https://", "http://")) and len(text) <= _REFERENCE:
            yield {"source_name": "reference", "url": text}
        else:
            yield {"source_name": "reference", "description": text}


def _time(value: Any) -> datetime | None:
    """Return the midnight (UTC) of a rule's date: YAML's own, or text as ``2024-07-15`` or ``2024/07/15``."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    try:
        found = date.fromisoformat(_text(value).replace("/", "-"))
    except ValueError:
        return None
    return datetime(found.year, found.month, found.day, tzinfo=UTC)


def _phases(tags: list[str]) -> Iterator[str]:
    for tag in tags:
        namespace, _, name = tag.lower().partition(".")
        if namespace == "attack" and (phase := name.replace("_", "-")) in _TACTICS:
            yield phase
