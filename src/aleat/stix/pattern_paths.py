"""A quick look at STIX patterns: what their comparisons are about, without parsing them.

For labels and lists only, where a hundred thousand patterns are looked at in a moment: linear in the text, and
content with what it recognises. What a pattern *means* is told by `aleat.hunt.stix_pattern`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

__all__ = ["Comparison", "pattern_comparisons", "pattern_types"]

# STIX 2.1 §9: object path, an operator, and a constant or a set of them. Possessive, so that it stays linear.
_COMPARISON = re.compile(
    r"(?<![a-z0-9-])(?P<type>[a-z0-9-]{3,250}+):(?P<path>(?:[A-Za-z0-9_.*-]|\[[0-9*]{1,9}\]|'(?:[^'\\]|\\.)*+')++)\s*+"
    r"(?P<negated>NOT\s++)?+(?P<operator>=|!=|<>|LIKE\b|MATCHES\b|ISSUBSET\b|ISSUPERSET\b|IN\b)\s*+"
    r"(?P<value>'(?:[^'\\]|\\.)*+'|\((?:[^()']|'(?:[^'\\]|\\.)*+')*+\))",
    re.DOTALL,
)
_TEXT = re.compile(r"'((?:[^'\\]|\\.)*+)'", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_KEPT = ("file:hashes", "file:name", "file:path")


class Comparison(msgspec.Struct, frozen=True, gc=False):
    """One comparison of a text: the type as lists name it ("file:hashes"), the path, the operator, the value."""

    type: str
    path: str
    operator: str
    value: str
    negated: bool = False


def pattern_comparisons(pattern: str) -> Iterator[Comparison]:
    """Yield the comparisons with texts in a pattern, one for each value of a set.

    >>> [(one.type, one.operator, one.value) for one in pattern_comparisons("[file:hashes.'SHA-256' = 'ab']")]
    [('file:hashes', '=', 'ab')]
    """
    for found in _COMPARISON.finditer(pattern):
        kind = _kind(found["type"], found["path"])
        negated = bool(found["negated"]) or found["operator"] in ("!=", "<>")
        for text in _TEXT.finditer(found["value"]):
            value = _ESCAPED.sub(r"\1", text[1])
            yield Comparison(kind, found["path"], found["operator"], value, negated)


def pattern_types(pattern: str) -> tuple[str, ...]:
    """Return what a pattern is about, each type once.

    >>> pattern_types("[ipv4-addr:value = '198.51.100.7' OR domain-name:value = 'evil.example']")
    ('ipv4-addr', 'domain-name')
    """
    return tuple(dict.fromkeys(_kind(found["type"], found["path"]) for found in _COMPARISON.finditer(pattern)))


def _kind(type_: str, path: str) -> str:
    if type_ == "file":
        head = re.split(r"[.\[]", path, maxsplit=1)[0]
        return f"file:{head}" if f"file:{head}" in _KEPT else "file"
    if type_ in ("domain-name", "ipv4-addr", "ipv6-addr", "url", "email-addr") and path != "value":
        return f"{type_}:{path}"
    return type_
