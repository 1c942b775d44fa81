"""OpenIOC's tree of terms as STIX patterns: what of it logs can be asked.

- OR of terms is one comparison expression; AND of terms about the same kind of thing (a file's name and its size)
  is one too, about one object; AND of several kinds is several observations.
- A term that STIX has no path for (`openioc.toml`), or a comparison that its kind can't take, is named. In an OR it is
  left out; an AND that needs it is left out whole: without it, it would find more than its author meant.
- "Not" is kept within an AND that says something else of the same thing; alone it would be true of everything, and
  is named.
- A pattern that grows too long is parted at its topmost OR.
"""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from aleat.knowledge.network_rule_values import pattern_text
from aleat.knowledge.openioc import IndicatorGroup, IndicatorTerm

__all__ = ["Translation", "openioc_facts", "translate_openioc"]

_LONGEST = 60_000  # characters of one pattern: the hunt takes 100,000
_RANGE = re.compile(r"\[?\s*(-?[0-9]{1,18})\s+TO\s+(-?[0-9]{1,18})\s*\]?")
_NUMBER = re.compile(r"-?[0-9]{1,18}")


@dataclass(slots=True)
class Translation:
    """STIX patterns, each an alternative; and why terms are in none, counted: (term, reason) → how often."""

    patterns: list[str] = field(default_factory=list)
    left_out: Counter[tuple[str, str]] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Part:
    """A comparison expression over objects of some types; `alone` is what it is outside of an AND."""

    text: str
    types: frozenset[str]
    alone: str = ""
    negated: bool = False

    @property
    def single(self) -> str:
        return self.alone or self.text


@dataclass(frozen=True, slots=True)
class _Observed:
    """An observation expression."""

    text: str


_Node = _Part | _Observed


@cache
def openioc_facts() -> dict[str, Any]:
    """Return the table of terms and conditions (`openioc.toml`)."""
    return tomllib.loads(files("aleat.knowledge").joinpath("openioc.toml").read_text(encoding="utf-8"))


def translate_openioc(groups: Sequence[IndicatorGroup]) -> Translation:
    """Return what of a document's criteria can be asked of logs; several groups are alternatives."""
    found = Translation()
    tops = [node for group in groups for node in _alternatives(group, found)]
    batch: list[str] = []
    size = 0
    for node in tops:
        if isinstance(node, _Observed):
            if len(node.text) <= _LONGEST:
                found.patterns.append(node.text)
            else:
                found.left_out["a group", "its pattern is too long"] += 1
            continue
        if batch and size + len(node.single) > _LONGEST:
            found.patterns.append(f"[{' OR '.join(batch)}]")
            batch, size = [], 0
        batch.append(node.single)
        size += len(node.single) + 4
    if batch:
        found.patterns.append(f"[{' OR '.join(dict.fromkeys(batch))}]")
    return found


def _alternatives(group: IndicatorGroup, found: Translation) -> list[_Node]:
    """Return the alternatives of a group: of an OR its children, of an OR among them theirs; of an AND itself."""
    if group.operator != "OR" and len(group.children) > 1:
        node = _all_of(group, found)
        return [] if node is None else [node]
    nodes: list[_Node] = []
    for child in group.children:
        if isinstance(child, IndicatorGroup):
            nodes += _alternatives(child, found)
            continue
        part = _translate(child, found)
        if part is not None and part.negated:
            found.left_out[child.term, "a negation alone is true of everything"] += 1
        elif part is not None:
            nodes.append(part)
    return nodes


def _all_of(group: IndicatorGroup, found: Translation) -> _Node | None:
    nodes: list[_Node] = []
    for child in group.children:
        node = _any_of(child, found) if isinstance(child, IndicatorGroup) else _translate(child, found)
        if node is None:
            found.left_out["a group", "one of the terms that it joins by AND can't be asked"] += 1
            return None
        nodes.append(node)
    observed = [node.text for node in nodes if isinstance(node, _Observed)]
    parts: dict[frozenset[str], list[_Part]] = {}
    for node in nodes:
        if isinstance(node, _Part):
            parts.setdefault(node.types if len(node.types) == 1 else frozenset({node.text}), []).append(node)
    joined: list[_Part] = []
    for same in parts.values():
        if all(part.negated for part in same):
            found.left_out["a group", "what it negates has no counterpart of the same kind"] += 1
            return None
        texts = [same[0].single] if len(same) == 1 else [part.text for part in same]
        joined.append(_Part(" AND ".join(texts), same[0].types))
    if not observed and len(joined) == 1:
        return _Part(f"({joined[0].text})", joined[0].types)
    return _Observed(f"({' AND '.join([*(f'[{part.text}]' for part in joined), *observed])})")


def _any_of(group: IndicatorGroup, found: Translation) -> _Node | None:
    """Return a group below an AND; None where nothing of it can be asked."""
    nodes = _alternatives(group, found)
    if not nodes:
        return None
    if len(nodes) == 1:
        return nodes[0]
    parts = [node for node in nodes if isinstance(node, _Part)]
    if len(parts) == len(nodes):
        types = frozenset().union(*(part.types for part in parts))
        text = " OR ".join(part.text if len(types) == 1 else part.single for part in parts)
        return _Part(f"({text})", types)
    return _Observed(f"({' OR '.join(f'[{node.single}]' if isinstance(node, _Part) else node.text for node in nodes)})")


# -------------------------------------------------------------------------------------------------- terms


def _translate(term: IndicatorTerm, found: Translation) -> _Part | None:
    """Return a term as a comparison; None where it can't be, which is named."""
    facts = openioc_facts()
    row = facts["terms"].get(term.term)
    condition = facts["conditions"].get(term.condition)
    if row is None:
        found.left_out[term.term, "no log is asked for it"] += 1
        return None
    if condition is None or not term.content:
        found.left_out[term.term, "its condition or content can't be read"] += 1
        return None
    negated = term.negated != condition.startswith("!")
    condition = condition.removeprefix("!")
    make = _KINDS[row["kind"]]
    text = make(row, condition, term)
    if text is None:
        found.left_out[term.term, "its content doesn't fit its condition"] += 1
        return None
    types = frozenset({str(row["path"]).partition(":")[0]})
    if negated:
        if " OR " in text or " AND " in text:
            found.left_out[term.term, "what is made of several comparisons can't be negated"] += 1
            return None
        path, _, rest = text.partition(" ")
        return _Part(f"{path} NOT {rest}", types, negated=True)
    alone = ""
    if row.get("alone"):
        alone = _address({**row, "path": f"ipv{6 if ':' in term.content else 4}-addr:value"}, condition, term) or ""
    return _Part(f"({text})" if " OR " in text or " AND " in text else text, types, alone)


def _text(row: dict[str, Any], condition: str, term: IndicatorTerm) -> str | None:
    cased = bool(row.get("cased")) and not term.preserve_case
    return _compare(str(row["path"]), condition, term.content, caseless=cased)


def _compare(path: str, condition: str, content: str, *, caseless: bool = False) -> str | None:
    if condition == "matches":
        return f"{path} MATCHES {pattern_text(content)}"
    if condition not in ("=", "contains", "starts", "ends"):
        return None
    if condition == "=" and not caseless:
        return f"{path} = {pattern_text(content)}"
    if not caseless and not set(content) & set("%_"):
        start, end = "%" * (condition != "starts"), "%" * (condition != "ends")
        return f"{path} LIKE {pattern_text(start + content + end)}"
    start, end = "^" * (condition in ("=", "starts")), "$" * (condition in ("=", "ends"))
    return f"{path} MATCHES {pattern_text(('(?i)' if caseless else '') + start + re.escape(content) + end)}"


def _hash(row: dict[str, Any], condition: str, term: IndicatorTerm) -> str | None:
    text = term.content.lower()
    if condition != "=" or len(text) != row["length"] or set(text) - set("0123456789abcdef"):
        return None
    return f"{row['path']} = {pattern_text(text)}"


def _number(row: dict[str, Any], condition: str, term: IndicatorTerm) -> str | None:
    path = row["path"]
    between = _RANGE.fullmatch(term.content)
    if between and condition == "=":
        return f"{path} >= {int(between[1])} AND {path} <= {int(between[2])}"
    if condition not in ("=", ">", "<") or not _NUMBER.fullmatch(term.content):
        return None
    return f"{path} {condition} {int(term.content)}"


def _address(row: dict[str, Any], condition: str, term: IndicatorTerm) -> str | None:
    try:
        network = ipaddress.ip_network(term.content, strict=False)
    except ValueError:
        return None
    if condition != "=":
        return None
    path = str(row["path"])
    if path == "ipv4-addr:value" and network.version == 6:
        path = "ipv6-addr:value"
    if network.num_addresses == 1:
        return f"{path} = {pattern_text(str(network.network_address))}"
    return f"{path} ISSUBSET {pattern_text(str(network))}"


def _path(row: dict[str, Any], condition: str, term: IndicatorTerm) -> str | None:
    """A whole path: the file's name and its folder are two properties."""
    prefix = f"{row['path']}{':' if ':' not in row['path'] else '.'}"
    name, folder = f"{prefix}name", f"{prefix}parent_directory_ref.path"
    content = term.content
    if condition == "matches":
        return None
    mark = "\\" if "\\" in content else "/"
    head, slash, tail = content.rpartition(mark)
    if not slash:
        parts = [_compare(name, condition, content)]
        parts += [_compare(folder, condition, content)] if condition in ("contains", "starts") else []
        return _joined(" OR ", parts)
    above = {"=": "=", "contains": "ends", "starts": "=", "ends": "ends"}.get(condition)
    below = {"=": "=", "contains": "starts", "starts": "starts", "ends": "="}.get(condition)
    if above is None or below is None:
        return None
    parts = [_compare(folder, above, head) if head else None, _compare(name, below, tail) if tail else None]
    both = _joined(" AND ", [part for part in parts if part])
    if condition in ("contains", "starts") and both:  # it may stand within the folder
        return _joined(" OR ", [f"({both})", _compare(folder, condition, content.rstrip(mark))])
    return both


def _registry(row: dict[str, Any], condition: str, term: IndicatorTerm) -> str | None:
    """A key, or a key with a value's name behind it."""
    path = str(row["path"])
    whole = _compare(path, condition, term.content.rstrip("\\"))
    head, slash, tail = term.content.rpartition("\\")
    above = {"=": "=", "contains": "ends", "ends": "ends"}.get(condition)
    if not slash or not head or not tail or above is None:
        return whole
    value = "windows-registry-key:values[*].name"
    below = "starts" if condition == "contains" else "="
    return _joined(
        " OR ", [whole, f"({_joined(' AND ', [_compare(path, above, head), _compare(value, below, tail)])})"]
    )


def _url(row: dict[str, Any], condition: str, term: IndicatorTerm) -> str | None:
    if condition == "=" and term.content.startswith("/"):
        path = "network-traffic:extensions.'http-request-ext'.request_value"
        return _compare(path, condition, term.content, caseless=not term.preserve_case)
    return _compare(str(row["path"]), condition, term.content)


def _joined(word: str, parts: Iterable[str | None]) -> str | None:
    texts = [part for part in parts if part]
    return word.join(texts) if texts else None


_KINDS = {
    "text": _text,
    "hash": _hash,
    "number": _number,
    "address": _address,
    "path": _path,
    "registry": _registry,
    "url": _url,
}
