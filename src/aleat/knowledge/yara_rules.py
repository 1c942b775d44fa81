"""A YARA file taken apart: its rules with their own lines, what they need, and what stands between them.

Nothing is compiled here. The text is read token by token, in one pass and linear time: comments, strings,
regular expressions (YARA divides with ``\\``, so that a slash always begins one), words and braces. A rule that
isn't closed ends where the next begins, so that a fault costs one rule. What is wrong within a rule is for the
compiler to say (`aleat.hunt.yara`), with the lines that are kept here.

Specification: https://virustotal.github.io/yara-x/docs/writing_rules/anatomy-of-a-rule/.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from aleat.errors import InputError, LimitError, Place, RuleError
from aleat.knowledge.limits import Limits
from aleat.knowledge.yara_includes import Includes

__all__ = ["MetaValue", "YaraFile", "YaraRule", "split_rules"]

MetaValue = str | int | float | bool

_TOKEN = re.compile(
    r"""
      (?P<comment> //[^\n]*+ | /\*(?s:.*?)\*/ | /\*(?s:.*+) )
    | (?P<string>  "(?:[^"\\\n]|\\.)*+"? )
    | (?P<regex>   /(?:[^/\\\n]|\\[^\n])*+/?\w*+ )
    | (?P<word>    \w++ )
    | (?P<open>    \{ )
    | (?P<close>   \} )
    | (?P<other>   [^\s"/{}\w]++ )
    """,
    re.VERBOSE | re.ASCII,
)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|.)")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\"}
_NUMBER = re.compile(r"0x[0-9a-fA-F]{1,16}|[0-9]{1,18}")
_SECTIONS = frozenset({"meta", "strings", "variables", "condition"})
_INDENT = 200  # characters before a rule that are kept, so that columns are right
_KEYWORDS = frozenset({"rule", "private", "global", "import", "include"})
_STEPS = 20_000_000  # of looking for what rules need, in one file
_MARKS = ("$", "#", "@", "!", ".")
"""A word right behind one of these is a string's or a module's, not a rule's."""


@dataclass(slots=True)
class YaraRule:
    """One rule as it stands in its file: `text` from its line's first character to its closing brace.

    `line` counts from 1. `words` are those of its condition that could name a rule or a module, `prefixes`
    those with a star behind (``any of (suspicious*)``). `modifier` is where in `text` its first keyword stands,
    `condition` where its condition section begins (-1: nowhere).
    """

    name: str
    line: int
    text: str
    modifier: int
    private: bool = False
    everywhere: bool = False
    """Whether it is global."""
    tags: list[str] = field(default_factory=list)
    meta: list[tuple[str, MetaValue]] = field(default_factory=list)
    words: set[str] = field(default_factory=set)
    prefixes: set[str] = field(default_factory=set)
    condition: int = -1
    included: bool = False  # it stands in a file that this one includes: needed here, reported there

    @property
    def silent(self) -> str:
        """Its text, made private: it is evaluated, and not reported."""
        return self.text if self.private else f"{self.text[: self.modifier]}private {self.text[self.modifier :]}"


@dataclass(slots=True)
class YaraFile:
    """A file's rules in order, its imports (module and statement), and what was wrong with the rest of it."""

    rules: list[YaraRule] = field(default_factory=list)
    imports: dict[str, str] = field(default_factory=dict)
    faults: list[InputError] = field(default_factory=list)
    _used: set[int] = field(default_factory=set)

    def standing_alone(self, limits: Limits, path: str) -> Iterator[tuple[YaraRule, str] | InputError]:
        """Yield each rule that isn't private with a text that compiles by itself, or why it has none.

        The text is the file's imports that are used, the rules that this one refers to and the file's global
        rules, all made private, and the rule itself, in the file's order.
        """
        needs = _Needs(self.rules, limits)
        total = 0
        for number, rule in enumerate(self.rules):
            if rule.private or rule.included:
                continue
            needed = needs.of(number)
            self._used.update(needed or ())
            if needed is None:
                yield _too_many(limits, path, rule)
                continue
            parts = [rule.text if place == number else self.rules[place].silent for place in needed]
            words = set().union(*(self.rules[place].words for place in needed))
            parts[:0] = [statement for module, statement in self.imports.items() if module in words]
            size = sum(map(len, parts))
            total += size
            if size > limits.yara_rule_characters:
                reason = f"With what it needs the rule {rule.name} is longer than {limits.yara_rule_characters}"
                yield LimitError(f"{reason} characters (yara_rule_characters).", Place(path, rule.line))
            elif total > limits.yara_characters:
                reason = f"With what they need the rules are longer than {limits.yara_characters} characters"
                yield LimitError(
                    f"{reason} (yara_characters); this one and those below it are not taken.",
                    Place(path, rule.line),
                    advice="Split the file.",
                )
                return
            else:
                yield rule, "\n".join(parts)

    def unused(self) -> Iterator[YaraRule]:
        """Yield the private rules that no rule of `standing_alone` needed: they can't be seen anywhere."""
        for place, rule in enumerate(self.rules):
            if rule.private and not rule.included and place not in self._used:
                yield rule

    def absorb(self, other: YaraFile) -> None:
        """Take over what a file that is included has: rules and imports; its faults are told where it is read."""
        self.rules += [replace(rule, included=True) for rule in other.rules]
        for module, statement in other.imports.items():
            self.imports.setdefault(module, statement)


def split_rules(text: str, path: str, limits: Limits | None = None, includes: Includes | None = None) -> YaraFile:
    """Take a YARA file apart; never raises: what can't be used is in `YaraFile.faults`, with its place.

    `includes` has the files that it may include; without it, none.

    >>> found = split_rules('import "pe"\\nrule a : old { condition: pe.is_pe }', "a.yar")
    >>> found.rules[0].name, found.rules[0].line, found.rules[0].tags, found.imports
    ('a', 2, ['old'], {'pe': 'import "pe"'})
    """
    return _Splitter(text, path, limits or Limits(), includes).split()


class _Splitter:
    """The state of one pass over a file."""

    def __init__(self, text: str, path: str, limits: Limits, includes: Includes | None) -> None:
        self.includes = includes
        self.unmet: list[str] = []
        self.text = text
        self.path = path
        self.limits = limits
        self.found = YaraFile()
        self.modifiers: list[tuple[int, str]] = []
        self.stray: int | None = None
        self.rule: YaraRule | None = None
        self.start = 0

    @cached_property
    def _lines(self) -> list[int]:
        return [match.end() for match in re.finditer("\n", self.text)]

    def split(self) -> YaraFile:
        tokens = _Tokens(self.text)
        for kind, word, at in tokens:
            if kind == "word" and word in ("private", "global"):
                self.modifiers.append((at, word))
            elif kind == "word" and word == "rule":
                self._end_stray(self.modifiers[0][0] if self.modifiers else at)
                if not self._read_rule(tokens, at):
                    break
                self.modifiers = []
            elif kind == "word" and word in ("import", "include"):
                self._end_stray(at)
                self._read_statement(tokens, word, at)
            elif self.stray is None:
                self.stray = self.modifiers[0][0] if self.modifiers else at
                self.modifiers = []
        self._end_stray(len(self.text))
        return self.found

    def _read_statement(self, tokens: _Tokens, word: str, at: int) -> None:
        kind, name, _ = tokens.peek()
        if kind != "string":
            self._fault(at, f"After {word!r} a name in quotation marks is missing.")
            return
        next(tokens)
        if word == "import":
            self.found.imports.setdefault(name.strip('"'), f"import {name}")
        else:
            self._include(name.strip('"').replace("\\\\", "\\"), at)

    def _include(self, name: str, at: int) -> None:
        found = self.includes.find(name) if self.includes is not None else "it was given alone"
        shown, advice = name[:100], "Give the folder or archive that holds both, or put its rules into this file."
        if isinstance(found, str):
            self.unmet.append(f"{shown!r}: {found}")
            self._fault(at, f"The file includes {shown!r}: {found}. Rules that need it may not compile.", advice)
        elif found is not None:
            inner = _Splitter(found.text, self.path, self.limits, found.includes)
            self.found.absorb(inner.split())
            self.unmet += inner.unmet[:1]
            if inner.unmet:  # its other faults are told where it is read itself
                self._fault(at, f"The file includes {shown!r}, which includes {inner.unmet[0]}.", advice)

    def _read_rule(self, tokens: _Tokens, at: int) -> bool:
        """Read a rule whose keyword stands at `at`; return False where no more rules are taken."""
        if len(self.found.rules) >= self.limits.yara_rules:
            reason = f"The file has more than {self.limits.yara_rules} rules (yara_rules); the rest is not taken."
            self.found.faults.append(LimitError(reason, self._place(at), advice="Split the file."))
            return False
        first = self.modifiers[0][0] if self.modifiers else at
        kind, name, _ = tokens.peek()
        if kind != "word" or name[0].isdigit() or name in _KEYWORDS:
            self._fault(at, "After 'rule' a name is missing.")
            return True
        next(tokens)
        words = {word for _, word in self.modifiers}
        line = bisect_right(self._lines, first) + 1
        start = self._lines[line - 2] if line > 1 else 0
        if first - start > _INDENT or self.text[start:first].strip():
            start = first
        rule = YaraRule(name, line, "", first - start, "private" in words, "global" in words)
        if not self._read_tags(tokens, rule):
            self._fault(at, f"The rule {name} has no body.")
            return True
        end = _Body(tokens, rule).read()
        if end is None:
            self._fault(at, f"The rule {name} is not closed: a brace is missing.")
            return True
        rule.text = self.text[start:end]
        rule.condition -= start if rule.condition >= 0 else 0
        self.found.rules.append(rule)
        return True

    @staticmethod
    def _read_tags(tokens: _Tokens, rule: YaraRule) -> bool:
        """Read up to the body's brace."""
        while True:
            kind, word, _ = tokens.peek()
            if kind not in ("open", "word", "other") or word == "rule":
                return False
            next(tokens)
            if kind == "open":
                return True
            if kind == "word":
                rule.tags.append(word)
            elif word != ":":
                return False

    def _end_stray(self, at: int) -> None:
        """Name the text before `at` that is no rule; of a whole stretch, its first place."""
        if self.stray is not None:
            line = bisect_right(self._lines, self.stray) + 1
            until = bisect_right(self._lines, max(self.stray, at - 1)) + 1
            lines = f"line {line}" if line == until else f"lines {line} to {until}"
            self._fault(self.stray, f"That is no rule ({lines}).")
        self.stray = None

    def _fault(self, at: int, reason: str, advice: str = "Correct the file, or ask its giver.") -> None:
        if len(self.found.faults) <= self.limits.yara_faults:
            if len(self.found.faults) == self.limits.yara_faults:
                reason, advice = f"The file has more than {self.limits.yara_faults} faults; the rest is not told.", ""
            self.found.faults.append(RuleError(reason, self._place(at), advice=advice))

    def _place(self, at: int) -> Place:
        line = bisect_right(self._lines, at)
        return Place(self.path, line + 1, at - (self._lines[line - 1] if line else 0) + 1)


class _Tokens(Iterator[tuple[str, str, int]]):
    """The tokens of a text but its comments: (kind, text, where it stands); one can be looked at before it is taken."""

    _END = ("", "", 0)

    def __init__(self, text: str) -> None:
        self._found = _TOKEN.finditer(text)
        self._next = self._take()

    def _take(self) -> tuple[str, str, int]:
        for match in self._found:
            kind = match.lastgroup or ""
            if kind != "comment":
                return kind, match[0], match.start()
        return self._END

    def __next__(self) -> tuple[str, str, int]:
        token = self._next
        if token is self._END:
            raise StopIteration
        self._next = self._take()
        return token

    def peek(self) -> tuple[str, str, int]:
        """Return the next token without taking it; after the last one, one of no kind."""
        return self._next


class _Body:
    """Reads a rule's body: its meta section and the words of its condition."""

    def __init__(self, tokens: _Tokens, rule: YaraRule) -> None:
        self.tokens = tokens
        self.rule = rule

    def read(self) -> int | None:
        """Return where the body ends; None where it isn't closed."""
        depth, section = 1, ""
        before, end_of_before = "", -1
        while True:
            kind, word, at = self.tokens.peek()
            if not kind or (kind == "word" and word == "rule"):
                return None
            next(self.tokens)
            if kind == "open":
                depth += 1
            elif kind == "close":
                depth -= 1
                if depth == 0:
                    return at + 1
            elif kind == "word":
                following, sign, place = self.tokens.peek()
                if word in _SECTIONS and following == "other" and sign[0] == ":":
                    section = word
                    if word == "condition" and self.rule.condition < 0:
                        self.rule.condition = at
                elif section == "meta" and following == "other" and sign[0] == "=":
                    self._read_meta(word, sign)
                elif section == "condition" and not (end_of_before == at and before.endswith(_MARKS)):
                    self.rule.words.add(word)
                    if following == "other" and sign[0] == "*" and place == at + len(word):
                        self.rule.prefixes.add(word)
            before, end_of_before = word, at + len(word)

    def _read_meta(self, key: str, sign: str) -> None:
        next(self.tokens)
        kind, word, _ = self.tokens.peek()
        if kind == "string":
            self.rule.meta.append((key, _ESCAPE.sub(_unescape, word[1:].removesuffix('"'))))
        elif kind == "word" and word in ("true", "false"):
            self.rule.meta.append((key, word == "true"))
        elif kind == "word" and _NUMBER.fullmatch(word):
            number = int(word, 16 if word.startswith("0x") else 10)
            self.rule.meta.append((key, -number if sign == "=-" else number))


def _unescape(match: re.Match[str]) -> str:
    escaped = match[1]
    return chr(int(escaped[1:], 16)) if len(escaped) == 3 else _ESCAPES.get(escaped, escaped)


class _Needs:
    """Which rules of a file a rule needs: those that it names, those that these name, and the global ones."""

    def __init__(self, rules: Sequence[YaraRule], limits: Limits) -> None:
        self._rules = rules
        self._most = limits.yara_needs
        self._steps = _STEPS
        self._places: dict[str, int] = {}
        for place, rule in enumerate(rules):
            self._places.setdefault(rule.name, place)
        self._names = sorted(self._places)
        self._global = [place for place, rule in enumerate(rules) if rule.everywhere]

    def of(self, number: int) -> list[int] | None:
        """Return the places of the rules that `number` needs, itself among them, in order; None: too many."""
        found: set[int] = set()
        waiting = [number, *self._global[: self._most + 1]]
        while waiting:
            place = waiting.pop()
            self._steps -= 1
            if place in found:
                continue
            found.add(place)
            if len(found) > self._most or self._steps < 0:
                return None
            waiting += self._named_by(self._rules[place], place)
        return sorted(found)

    def _named_by(self, rule: YaraRule, before: int) -> Iterator[int]:
        """Yield the places of the rules that one names: only those that stand before it."""
        for word in rule.words:
            place = self._places.get(word, before)
            if place < before:
                yield place
        for prefix in rule.prefixes:
            for at in range(bisect_left(self._names, prefix), len(self._names)):
                self._steps -= 1
                if not self._names[at].startswith(prefix) or self._steps < 0:
                    break
                if self._places[self._names[at]] < before:
                    yield self._places[self._names[at]]


def _too_many(limits: Limits, path: str, rule: YaraRule) -> InputError:
    reason = f"The rule {rule.name} needs more than {limits.yara_needs} others (yara_needs), or too many are named."
    return LimitError(reason, Place(path, rule.line))
