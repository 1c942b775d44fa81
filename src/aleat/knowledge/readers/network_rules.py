"""Rules of Snort and Suricata (`.rules`): each is kept as an indicator, whole; what of it logs can tell is beside it.

A rule's own indicator has its text as pattern, `pattern_type` "suricata" or "snort", its message as name, its number
(``gid:sid``) and references as external references; level and techniques by its metadata, class or priority. The hunt
finds it by its number in the alerts of our own sensors (`aleat.hunt.network_rules`). What it fixes (addresses,
names, fingerprints, lists of hashes beside the file) are indicators of their own, ``derived-from`` it, see
`aleat.knowledge.network_rule_values`: those that are a part of their rule only are of a low level.

A rule's revisions are versions of one object: the id is made of language, generator, number and action; `modified` of
its date and revision. Numbers from 1,000,000 to 1,999,999 are anybody's own: there the text is part of the id. Which
language a rule is in, its words tell; where they don't, those of the file's other rules; else it is Snort's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from aleat.errors import Issue, LimitError, ObjectError, Place
from aleat.knowledge.document import Document
from aleat.knowledge.items import UNDATED, KnowledgeItem
from aleat.knowledge.limits import Limits
from aleat.knowledge.list_entries import head_labels
from aleat.knowledge.network_rule_lists import rule_lists
from aleat.knowledge.network_rule_values import Derived, derive_patterns
from aleat.knowledge.network_rules import NetworkRule, is_rule_start, language_facts, split_network_rules
from aleat.knowledge.text import decode_text, guess_issues
from aleat.stix.extensions import extend
from aleat.stix.ids import content_id
from aleat.stix.objects import StixObject, make_object

__all__ = ["detect", "make_derived_indicator", "make_rule_indicator", "read", "rule_language"]

_STAGE = "knowledge"
_VERSION = 1  # of what is derived: part of its ids
_SUFFIXES = {".rules", ".rule", ".txt", ""}
_SHOWN = 10
_TEXT = 500  # characters of a message or a reference that are taken
_TECHNIQUE = re.compile(r"T[01][0-9]{3}(?:[._][0-9]{3})?", re.IGNORECASE)
_DATE = re.compile(r"([0-9]{4})[_-]([0-9]{1,2})[_-]([0-9]{1,2})")
_OWN_NUMBERS = range(1_000_000, 2_000_000)


def detect(document: Document) -> bool:
    """Tell whether a line of the head begins as a rule does; a file called ``.rules`` is looked through further."""
    if document.suffix not in _SUFFIXES:
        return False
    text, _ = decode_text(document.head)
    if "\0" in text:
        return False
    if any(is_rule_start(line.lstrip("# \t")) for line in text.split("\n")):
        return True
    if document.suffix != ".rules" or document.size <= len(document.head):
        return False
    first = next(document.blocks(1024**2), b"")
    return any(is_rule_start(line.lstrip("# \t")) for line in decode_text(first)[0].split("\n"))


def read(document: Document, limits: Limits) -> Iterator[KnowledgeItem | Issue]:
    """Yield an indicator for each rule, what is derived from it, and issues for what is none."""
    if document.size > limits.network_rule_bytes:
        reason = f"The file is larger than {limits.network_rule_bytes} bytes (network_rule_bytes)."
        raise LimitError(reason, Place(document.path))
    text, guessed = decode_text(document.read())
    yield from guess_issues(guessed, document.path)
    rules: list[NetworkRule] = []
    strange: list[int] = []
    for item in split_network_rules(text, document.path, limits):
        if isinstance(item, NetworkRule):
            rules.append(item)
        elif item.reason == "The line is no rule." and item.place is not None:
            strange.append(item.place.line or 0)
        else:
            place = item.place or Place(document.path)
            yield Issue(_STAGE, "rule-syntax" if item.code == "rule" else item.code, place, item.reason, item.advice)
    if strange:
        shown = ", ".join(map(str, strange[:_SHOWN])) + (" …" if len(strange) > _SHOWN else "")
        reason = f"{len(strange)} lines are no rules (settings, or broken): lines {shown}."
        yield Issue(_STAGE, "not-a-rule", Place(document.path, strange[0]), reason, records=len(strange))
    stated = head_labels(text)
    for found in _indicators(document, rules, limits):
        yield replace(found, markings=stated) if stated and isinstance(found, KnowledgeItem) else found


def _indicators(document: Document, rules: list[NetworkRule], limits: Limits) -> Iterator[KnowledgeItem | Issue]:
    told = [rule_language(rule) for rule in rules]
    usual = max(("snort", "suricata"), key=told.count)
    seen: dict[str, int] = {}
    kept: Counter[str] = Counter()
    for rule, language in zip(rules, told, strict=True):
        place = Place(document.path, rule.line)
        try:
            original = make_rule_indicator(rule, language or usual)
        except ObjectError as error:
            yield Issue(_STAGE, "rule-syntax", place, error.reason, error.advice)
            continue
        version = f"{original.id} {original.modified}"
        if seen.setdefault(version, rule.line) != rule.line:
            reason = f"The rule {rule.rule_id} stands twice with one revision, also in line {seen[version]}."
            yield Issue(_STAGE, "rule-twice", place, reason, "Both are kept.")
        yield KnowledgeItem(object=original, place=place)
        kept["disabled" if not rule.enabled else "rules"] += 1
        if not rule.enabled or rule.action in language_facts()["quiet"]:
            continue
        derived = derive_patterns(rule)
        for condition in derived:
            yield from _linked(make_derived_indicator(condition, rule, original), original, place)
        listed = 0
        for found in rule_lists(rule, document, limits):
            if isinstance(found, Issue):
                yield found
                continue
            item, entries = found
            listed += 1
            yield KnowledgeItem(object=item, place=place, entries=entries)
            yield KnowledgeItem(object=_relation(item, original), place=place)
        kept["alerts only"] += not derived and not listed
    if kept["alerts only"] or kept["disabled"]:
        yield _summary(document, kept)


def _summary(document: Document, kept: Counter[str]) -> Issue:
    reason = (
        f"{kept['alerts only']} of {kept['rules']} rules ask for what no log keeps (payloads, expressions …): "
        f"they are kept and passed on, and found only where a sensor of ours raised them; {kept['disabled']} more are "
        "switched off."
    )
    return Issue(_STAGE, "rule-payload", Place(document.path), reason, records=kept["alerts only"])


def _linked(derived: StixObject | None, original: StixObject, place: Place) -> Iterator[KnowledgeItem]:
    if derived is not None:
        yield KnowledgeItem(object=derived, place=place)
        yield KnowledgeItem(object=_relation(derived, original), place=place)


def _relation(derived: StixObject, original: StixObject) -> StixObject:
    return make_object(
        "relationship",
        content_id("relationship", ["derived-from", derived.id, original.id]),
        created=UNDATED,
        relationship_type="derived-from",
        source_ref=derived.id,
        target_ref=original.id,
    )


def rule_language(rule: NetworkRule) -> str:
    """Return "suricata" or "snort" where a word of the rule tells, else the empty text."""
    facts = language_facts()
    for language in ("suricata", "snort"):
        if rule.protocol in facts[language]["protocols"]:
            return language
    if not rule.source:
        return "snort"  # only Snort 3 has rules without addresses
    names = {option.name for option in rule.options}
    if any("." in name for name in names) or names & set(facts["suricata"]["keywords"]):
        return "suricata"
    return "snort" if names & set(facts["snort"]["keywords"]) else ""


def make_rule_indicator(rule: NetworkRule, language: str) -> StixObject:
    """Return the STIX indicator of a rule, whose pattern is its text; raises `ObjectError`."""
    metadata = _metadata(rule)
    number = rule.number("sid")
    content: list[Any] = ["network rule", language, rule.rule_id, rule.action, rule.enabled]
    if number in _OWN_NUMBERS:
        content.append(rule.text)
    dates = [date for key in ("created_at", "updated_at") if (date := _date(metadata.get(key, ""))) is not None]
    facts = {
        "kind": "rule",
        "rule_id": rule.rule_id,
        "level": _level(rule, metadata),
        "status": "" if rule.enabled else "disabled",
        "tags": _techniques(metadata),
    }
    labels = [*_techniques(metadata), *([f"classtype:{kind}"] if (kind := _plain(rule.first("classtype"))) else [])]
    labels += [f"malware-family:{_plain(metadata['malware_family'])}"] if metadata.get("malware_family") else []
    labels += [] if rule.enabled else ["disabled"]
    return make_object(
        "indicator",
        content_id("indicator", content),
        created=UNDATED,
        modified=max([UNDATED, *dates]) + timedelta(seconds=min(rule.number("rev"), 86_399)),
        name=_plain(rule.first("msg")) or f"Rule {rule.rule_id}",
        description=f"{language.title()} rule {rule.rule_id}, revision {rule.number('rev')}, action {rule.action}.",
        pattern=rule.text,
        pattern_type=language,
        valid_from=min(dates) if dates else UNDATED,
        labels=list(dict.fromkeys(labels)),
        external_references=[{"source_name": language, "external_id": rule.rule_id}, *_references(rule)],
        extensions=extend("rule", {key: value for key, value in facts.items() if value}),
    )


def make_derived_indicator(condition: Derived, rule: NetworkRule, original: StixObject) -> StixObject | None:
    """Return the STIX indicator of what a rule asks of logs; None where it can't be written."""
    metadata = _metadata(rule)
    level = _level(rule, metadata)
    part = "It is all that the rule asks." if condition.whole else "The rule asks for more: this finds more than it."
    facts = {
        "kind": "rule",
        "level": level if condition.whole else "low" if level not in ("", "informational") else level,
        "tags": _techniques(metadata),
    }
    try:
        return make_object(
            "indicator",
            content_id("indicator", ["network rule value", _VERSION, original.id, original.version, condition.pattern]),
            created=UNDATED,
            name=f"{original.name} ({condition.about})",
            description=f"A condition of the rule {rule.rule_id} on what logs keep. {part}",
            pattern=condition.pattern,
            pattern_type="stix",
            valid_from=original.valid_from,
            labels=_techniques(metadata),
            extensions=extend("rule", {key: value for key, value in facts.items() if value}),
        )
    except ObjectError:
        return None


def _metadata(rule: NetworkRule) -> dict[str, str]:
    """Return a rule's metadata: pairs divided by commas, the first of each name."""
    found: dict[str, str] = {}
    for option in rule.options:
        if option.name == "metadata":
            for pair in option.value.split(","):
                key, _, value = pair.strip().partition(" ")
                found.setdefault(key.lower(), value.strip())
    return found


def _techniques(metadata: dict[str, str]) -> list[str]:
    texts = (metadata.get(key, "") for key in ("mitre_technique_id", "mitre_technique", "technique"))
    found = [match[0].lower().replace("_", ".") for text in texts for match in _TECHNIQUE.finditer(text)]
    return [f"attack.{number}" for number in dict.fromkeys(found)]


def _level(rule: NetworkRule, metadata: dict[str, str]) -> str:
    facts = language_facts()
    severity = metadata.get("signature_severity", "").lower()
    if severity in facts["severity"]:
        return str(facts["severity"][severity])
    priority = str(rule.number("priority"))
    if priority == "0":
        kind = rule.first("classtype").strip()
        priority = next((number for number, names in facts["classes"].items() if kind in names), "")
    return str(facts["levels"].get(priority, ""))


def _date(text: str) -> datetime | None:
    match = _DATE.match(text)
    try:
        return datetime(int(match[1]), int(match[2]), int(match[3]), tzinfo=UTC) if match else None
    except ValueError:
        return None


def _references(rule: NetworkRule) -> Iterator[dict[str, str]]:
    seen: set[tuple[str, str]] = set()
    systems = language_facts()["references"]
    for option in rule.options:
        if option.name != "reference":
            continue
        system, _, value = option.value.partition(",")
        system, value = system.strip().lower(), _plain(value)
        if not value or (system, value) in seen:
            continue
        seen.add((system, value))
        if system == "url" and not re.search(r"\s", value):
            yield {"source_name": "reference", "url": value if "://" in value else f"http://{value}"}
        elif system == "cve" and (number := re.fullmatch(r"(?:CVE-)?([0-9]{4}-[0-9]{4,})", value, re.IGNORECASE)):
            yield {"source_name": "cve", "external_id": f"CVE-{number[1]}"}
        elif system:
            yield {"source_name": str(systems.get(system, _plain(system))), "external_id": value}


def _plain(text: str) -> str:
    """Return a text in one line, without control characters, cut."""
    words = " ".join(text.split())[:_TEXT]
    return "".join(character if character.isprintable() else "\ufffd" for character in words)
