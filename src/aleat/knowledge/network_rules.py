"""The rule language of Snort and Suricata: a file's rules, each with its header and its options; no meaning yet.

A rule is an action, a protocol, and (not in Snort 3's service rules) addresses and ports of both sides, then options
in parentheses, each ended by a semicolon::

    alert tcp $HOME_NET any -> [192.0.2.1,198.51.100.0/24] 443 (msg:"…"; content:"…"; sid:1; rev:2;)

Lines may go on after a backslash, or (Snort 3) until the parentheses close. A rule behind ``#`` is one that is
switched off. All is read forward once: quotes and escapes are followed, nothing is tried again.

Sources: Snort 2.9 Users Manual §3.1–3.2, Snort 3 Rule Writing Guide, Suricata User Guide "Rules Format".
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from aleat.errors import InputError, LimitError, Place, RuleError
from aleat.knowledge.limits import Limits

__all__ = ["NetworkRule", "Option", "is_rule_start", "language_facts", "parse_network_rule", "split_network_rules"]

_QUOTE = re.compile(r'\\.|"', re.DOTALL)
_END = re.compile(r'\\.|[";]', re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][\w.-]*")
_MOST_OPTIONS = 2_000
_NUMBER = re.compile(r"[0-9]{1,10}")


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its keyword in lower case, and what stands after the colon, as written ("" where nothing does)."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class NetworkRule:
    """One rule as it is written; the header's sides are empty where it has none (Snort 3's service rules).

    `text` is the rule as one line, without the mark that switches it off; `enabled` says whether it had none.
    """

    text: str
    line: int
    enabled: bool
    action: str
    protocol: str
    source: str
    source_ports: str
    direction: str
    target: str
    target_ports: str
    options: tuple[Option, ...]

    def first(self, name: str) -> str:
        """Return the value of the first option called `name`, without quotes; empty where there is none."""
        return next((unquoted(option.value) for option in self.options if option.name == name), "")

    def number(self, name: str, otherwise: int = 0) -> int:
        """Return an option's number (``sid``, ``gid``, ``rev``)."""
        value = self.first(name).strip()
        return int(value) if _NUMBER.fullmatch(value) else otherwise

    @property
    def rule_id(self) -> str:
        """``gid:sid``, as alerts name a rule."""
        return f"{self.number('gid', 1)}:{self.number('sid')}"


def unquoted(value: str) -> str:
    r"""Return an option's text without its quotes and escapes.

    >>> unquoted('"a \\"b\\"\\; c"')
    'a "b"; c'
    """
    text = value.strip()
    if len(text) >= 2 and text[0] == text[-1] == '"':
        text = text[1:-1]
    return re.sub(r'\\([";:\\])', r"\1", text) if "\\" in text else text


@cache
def language_facts() -> dict[str, Any]:
    """Return the table of the two languages' words (`network_rules.toml`)."""
    text = files("aleat.knowledge").joinpath("network_rules.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@cache
def _start() -> re.Pattern[str]:
    actions = "|".join(language_facts()["actions"])
    return re.compile(rf"(?:{actions})[ \t]++[A-Za-z][\w-]*+(?::[\w]++)?+[ \t]*+[(\[!$\w]")


def is_rule_start(line: str) -> bool:
    """Tell whether a line begins as a rule does: an action, a protocol, and more.

    >>> is_rule_start("alert tcp any any -> any 80 ("), is_rule_start("alert the others")
    (True, False)
    """
    if _start().match(line) is None:
        return False
    return "(" in line or "->" in line or "<>" in line or line.rstrip().endswith("\\")


def split_network_rules(text: str, path: str, limits: Limits) -> Iterator[NetworkRule | InputError]:
    """Yield the rules of a file in order, and an error for each that can't be read or line that is none."""
    lines = text.split("\n")
    at = 0
    found = 0
    while at < len(lines):
        begin = at
        line = lines[at].strip().removeprefix("\ufeff")
        at += 1
        enabled = not line.startswith("#")
        body = line.lstrip("# \t")
        if not body or (not enabled and not is_rule_start(body)) or line.startswith("//"):
            continue
        if line.startswith("/*"):
            at = _after_comment(lines, begin)
            continue
        place = Place(path, begin + 1)
        if not is_rule_start(body):
            yield RuleError("The line is no rule.", place)
            continue
        whole, at = _whole_rule(lines, begin, body, place, limits, enabled=enabled)
        try:
            if isinstance(whole, InputError):
                raise whole
            yield parse_network_rule(whole, begin + 1, enabled=enabled, path=path)
        except InputError as error:
            if enabled:  # else it was a comment
                yield error
        found += 1
        if found > limits.network_rules:
            yield LimitError(f"The file has more rules than {limits.network_rules} (network_rules).", place)
            return


def _after_comment(lines: list[str], begin: int) -> int:
    at = begin
    while at < len(lines) and "*/" not in lines[at]:
        at += 1
    return at + 1


def _whole_rule(
    lines: list[str], begin: int, first: str, place: Place, limits: Limits, *, enabled: bool
) -> tuple[str | InputError, int]:
    """Return a rule's lines as one (or what is wrong with them), and the place after them: no line is read twice."""
    parts: list[str] = []
    size = 0
    quoted = opened = goes_on = False
    at = begin
    while at < len(lines):
        part = first if at == begin else lines[at].strip()
        if at > begin:
            if not part or (is_rule_start(part.lstrip("# \t")) and not goes_on):
                break
            part = part if enabled else part.lstrip("# \t")
        at += 1
        goes_on = part.endswith("\\") and not part.endswith("\\\\")
        part = part[:-1].rstrip() if goes_on else part
        size += len(part)
        if size > limits.rule_characters:
            reason = f"The rule is longer than {limits.rule_characters} characters (rule_characters)."
            return LimitError(reason, place), at
        parts.append(part)
        for mark in _QUOTE.finditer(part):
            quoted ^= mark[0] == '"'
        opened = opened or "(" in part
        if opened and not quoted and not goes_on and part.endswith(")"):
            return " ".join(parts), at
        if not enabled and not goes_on:
            break
    return RuleError("The rule has no end: a parenthesis or a quote is not closed.", place), at


def parse_network_rule(text: str, line: int = 1, *, enabled: bool = True, path: str = "rule") -> NetworkRule:
    """Return one rule, written on one line; raises `RuleError` where it is none."""
    place = Place(path, line)
    head, opening, rest = text.partition("(")
    words = _header_words(head)
    if not opening or len(words) not in (2, 7):
        advice = "It is: action, protocol, address, port, direction, address, port, and options in parentheses."
        raise RuleError("The rule's header can't be read.", place, advice=advice)
    if len(words) == 7 and words[4] not in ("->", "<>", "<-", "=>"):
        raise RuleError("The rule's direction is none of ->, <> and =>.", place)
    words += [""] * (7 - len(words))
    options = tuple(_options(rest.rstrip().removesuffix(")"), place))
    rule = NetworkRule(
        text,
        line,
        enabled,
        words[0].lower(),
        words[1].lower(),
        words[2],
        words[3],
        words[4],
        words[5],
        words[6],
        options,
    )
    if not any(option.name == "sid" for option in options) or not rule.number("sid"):
        raise RuleError("The rule has no number (sid).", place, advice="Without one no alert names it.")
    return rule


def _header_words(head: str) -> list[str]:
    """Return the words of a header; lists in brackets are one, with their blanks taken out."""
    words: list[str] = []
    depth = 0
    for part in re.split(r"([\[\]\s])", head):
        if not part:
            continue
        if part.isspace():
            if not depth and words and words[-1]:
                words.append("")
            continue
        depth += (part == "[") - (part == "]")
        if words:
            words[-1] += part
        else:
            words.append(part)
    return [word for word in words if word]


def _options(body: str, place: Place) -> Iterator[Option]:
    start = count = 0
    quoted = False
    for mark in _END.finditer(body):
        if mark[0] == '"':
            quoted = not quoted
        elif mark[0] == ";" and not quoted:
            yield from _option(body[start : mark.start()], place)
            start = mark.end()
            count += 1
            if count > _MOST_OPTIONS:
                raise LimitError(f"The rule has more options than {_MOST_OPTIONS}.", place)
    if quoted:
        raise RuleError("A quote in the rule's options is not closed.", place)
    yield from _option(body[start:], place)


def _option(text: str, place: Place) -> Iterator[Option]:
    name, _, value = text.partition(":")
    name = name.strip().lower()
    if not name and not value.strip():
        return
    if not _NAME.fullmatch(name):
        raise RuleError("The rule has an option whose keyword can't be read.", place)
    yield Option(name, value.strip())
