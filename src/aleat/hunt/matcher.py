"""All tests of all rules on one subject, compiled so that a distinct value is looked at once.

A `Matcher` is given texts and returns, for each, the numbers of the atoms that pass. Its parts:

- *equals*: one dictionary of folded texts, one of cased ones;
- *contains, starts with, ends with* and the longest literal of wildcards and regular expressions: one
  Aho-Corasick automaton (`ahocorasick_rs`: unlike polars' `extract_many` it is built once, not at every call,
  which costs 17 ms for 10,000 literals; a hunt over many small files makes thousands of calls). Literals of one
  or two characters would hit nearly everywhere, and are looked for apart;
- *wildcards* whose literal was found: verified by a matcher that is linear in the text;
- *regular expressions* whose literal was found: polars, one call for all the texts in question;
- *networks*: integers, one look-up a prefix length;
- *numbers, order, parts of dates*: computed on the text.

What a test means is written in `aleat.hunt.expression`. No method keeps the texts: the caller caches.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from operator import add, eq, ge, gt, le, lt

import numpy as np
from ahocorasick_rs import AhoCorasick, Implementation, MatchKind

from aleat.hunt.expression import (
    Exists,
    IsNull,
    Network,
    Number,
    Order,
    Regex,
    Test,
    Text,
    TimePart,
    Wildcard,
    fold,
)
from aleat.hunt.networks import NetworkTable, parse_network
from aleat.hunt.regexes import find_matches, needs
from aleat.text import composed

__all__ = ["Matcher", "make_automaton", "number_text", "number_value", "wildcard_fits"]

_SHORTEST_PATTERN = 3
_CHARACTERS_PER_LITERAL = 16  # a text with more for each short literal is searched for one after the other
_LONGEST_NUMBER = 64
_DENSE_CHARACTERS = 2_000
_MANY_TEXTS = 64  # so many are first searched together for any literal at all, a block at a time
_BLOCK = 1024
_COMPARE = {"eq": eq, "lt": lt, "le": le, "gt": gt, "ge": ge}
_DECIMAL = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?", re.ASCII)
_HEXADECIMAL = re.compile(r"0[xX][0-9A-Fa-f]{1,32}", re.ASCII)
_DATE = re.compile(
    r"\s*([0-9]{4})[-/]([0-9]{1,2})[-/]([0-9]{1,2})(?:[T ]([0-9]{1,2}):([0-9]{2}))?|\s*([0-9]{1,2}):([0-9]{2})",
    re.ASCII,
)


class Matcher:
    """The tests on one subject; `add` them all, then ask."""

    def __init__(self) -> None:
        self.present: list[int] = []
        self.null: list[int] = []
        self._equals: dict[str, list[int]] = {}
        self._equals_cased: dict[str, list[int]] = {}
        self._floats: dict[float, list[int]] = {}
        self._folded = _Literals()
        self._cased = _Literals()
        self._wildcards: list[tuple[int, Wildcard]] = []
        self._regexes: list[tuple[int, Regex]] = []
        self._short_needs: list[tuple[str, int, int]] = []  # (literal, length, position) of those not found above
        self._networks = NetworkTable()
        self._computed: list[tuple[int, Number | Order | TimePart]] = []
        self.reads_text = False

    def add(self, number: int, test: Test) -> None:
        """Add a test under the atom's number."""
        if isinstance(test, Exists):
            self.present.append(number)
            return
        if isinstance(test, IsNull):
            self.null.append(number)
            return
        self.reads_text = True
        if isinstance(test, Text):
            self._add_text(number, test)
        elif isinstance(test, Wildcard):
            self._add_wildcard(number, test)
        elif isinstance(test, Regex):
            self._add_regex(number, test)
        elif isinstance(test, Network):
            network = parse_network(test.network)
            if network is not None:
                self._networks.add(network, number, covers=test.relation == "covers")
        elif isinstance(test, Number) and test.op == "eq":
            self._equals_cased.setdefault(number_text(test.value), []).append(number)
            self._floats.setdefault(float(test.value), []).append(number)
        else:
            self._computed.append((number, test))

    def _add_text(self, number: int, test: Text) -> None:
        value = composed(test.value)
        value = value if test.cased else fold(value)
        if test.op == "equals":
            table = self._equals_cased if test.cased else self._equals
            table.setdefault(value, []).append(number)
        else:
            (self._cased if test.cased else self._folded).add(value, test.op, number)

    def _add_wildcard(self, number: int, test: Wildcard) -> None:
        parts = tuple(composed(part) if isinstance(part, str) else part for part in test.parts)
        parts = tuple(fold(part) if isinstance(part, str) and not test.cased else part for part in parts)
        place = len(self._wildcards)
        self._wildcards.append((number, Wildcard(parts, test.cased)))
        literal = max((part for part in parts if isinstance(part, str)), key=len, default="")
        (self._cased if test.cased else self._folded).add(literal, "wildcard", place)

    def _add_regex(self, number: int, test: Regex) -> None:
        literal, length = needs(composed(test.pattern))
        self._regexes.append((number, test))
        if len(literal) >= _SHORTEST_PATTERN:
            self._folded.add(literal, "regex", len(self._regexes) - 1)
        else:
            self._short_needs.append((literal, length, len(self._regexes) - 1))

    def match(self, texts: list[str], *, floats: bool = False) -> list[tuple[int, ...]]:
        """Return for each text the numbers of the atoms that pass, ascending and once each.

        Texts are compared in Unicode's normal form C. `floats`: the texts are cells of kind float. `present` and
        `null` are the caller's to add.
        """
        found: list[tuple[int, ...]] = [()] * len(texts)
        suspects: dict[int, list[int]] = {}
        equals, cased = self._equals, self._equals_cased
        literals = [(part, part is self._folded) for part in (self._folded, self._cased) if part]
        rare = bool(self._short_needs or self._computed or self._networks or (floats and self._floats))
        texts = [text if text.isascii() else composed(text) for text in texts]
        all_folded = [text.lower() if text.isascii() else fold(text) for text in texts]
        for index in range(len(texts)) if rare else self._candidates(texts, all_folded):
            text, folded = texts[index], all_folded[index]
            passed: set[int] = set()
            wildcards: set[int] = set()
            regexes: set[int] = set()
            for part, folds in literals:
                part.find(folded if folds else text, passed, wildcards, regexes)
            if folded in equals:
                passed.update(equals[folded])
            if text in cased:
                passed.update(cased[text])
            for place in wildcards:
                number, test = self._wildcards[place]
                if wildcard_fits(test.parts, text if test.cased else folded):
                    passed.add(number)
            if rare:
                self._match_rare(text, folded, passed, regexes, floats=floats)
            for regex in regexes:
                suspects.setdefault(regex, []).append(index)
            if passed:
                found[index] = tuple(sorted(passed))
        if suspects:
            self._match_regexes(texts, found, suspects)
        return found

    def _candidates(self, texts: list[str], folded: list[str]) -> Iterable[int]:
        """Return the texts (their places) that can pass any test: most fields' texts hold none of the literals."""
        if len(texts) < _MANY_TEXTS:
            return range(len(texts))
        places = {place for place, text in enumerate(folded) if text in self._equals}
        places.update(place for place, text in enumerate(texts) if text in self._equals_cased)
        for part, searched in ((self._folded, folded), (self._cased, texts)):
            if part:
                holders = part.holders(searched)
                if holders is None:
                    return range(len(texts))
                places.update(holders)
        return sorted(places)

    def _match_rare(self, text: str, folded: str, passed: set[int], regexes: set[int], *, floats: bool) -> None:
        if floats and self._floats:
            passed.update(self._floats.get(float(text), ()))
        if self._networks:
            passed.update(self._networks.find(text))
        if self._computed:
            passed.update(number for number, test in self._computed if _computes(test, text))
        size = len(text)
        regexes.update(place for literal, length, place in self._short_needs if size >= length and literal in folded)

    def _match_regexes(self, texts: list[str], found: list[tuple[int, ...]], suspects: dict[int, list[int]]) -> None:
        for regex, indexes in suspects.items():
            number, test = self._regexes[regex]
            hits = find_matches(composed(test.pattern), test.flags, [texts[index] for index in indexes])
            for index, hit in zip(indexes, hits, strict=True):
                if hit and number not in found[index]:
                    found[index] = tuple(sorted((*found[index], number)))


def make_automaton(literals: list[str]) -> AhoCorasick:
    """Return an automaton that finds every literal, overlapping ones too.

    Of few literals the library makes a dense one, which takes time with the square of a long literal's length.
    """
    dense = sum(map(len, literals)) <= _DENSE_CHARACTERS
    implementation = None if dense else Implementation.ContiguousNFA
    return AhoCorasick(literals, matchkind=MatchKind.Standard, store_patterns=False, implementation=implementation)


class _Literals:
    """Literals with what their place in the text means: for "contains" an atom's number, and so on."""

    def __init__(self) -> None:
        self._numbers: dict[str, dict[str, list[int]]] = {}
        self._built: AhoCorasick | None = None
        self._any: AhoCorasick | None = None
        self._separator = ""
        self._entries: list[tuple[list[int], list[int], list[int], list[int], list[int]]] = []
        self._short: dict[str, dict[str, list[int]]] = {}
        self._empty: tuple[tuple[str, dict[str, list[int]]], ...] = ()
        self._ready = False

    def __bool__(self) -> bool:
        """Return whether there are any."""
        return bool(self._numbers)

    def add(self, literal: str, op: str, number: int) -> None:
        """Add a literal (already folded, where case doesn't count)."""
        self._numbers.setdefault(literal, {}).setdefault(op, []).append(number)
        self._ready = False

    def _build(self) -> None:
        self._short = {literal: ops for literal, ops in self._numbers.items() if 0 < len(literal) < _SHORTEST_PATTERN}
        self._empty = (("", self._numbers[""]),) if "" in self._numbers else ()
        long = [pair for pair in self._numbers.items() if len(pair[0]) >= _SHORTEST_PATTERN]
        self._entries = [
            (
                ops.get("contains", []),
                ops.get("startswith", []),
                ops.get("endswith", []),
                ops.get("wildcard", []),
                ops.get("regex", []),
            )
            for _, ops in long
        ]
        self._built = make_automaton([literal for literal, _ in long]) if long else None
        self._any = make_automaton([literal for literal in self._numbers if literal])
        used = set().union(*self._numbers)
        self._separator = next(chr(code) for code in range(1, len(used) + 2) if chr(code) not in used)
        self._ready = True

    def holders(self, texts: list[str]) -> list[int] | None:
        """Return the places of the texts that hold any of the literals; None if most do."""
        if not self._ready:
            self._build()
        if self._empty:
            return None
        found: list[int] = []
        for begin in range(0, len(texts), _BLOCK):
            block = texts[begin : begin + _BLOCK]
            ends = np.cumsum([len(text) + 1 for text in block])
            assert self._any is not None  # noqa: S101 - built above
            matches = self._any.find_matches_as_indexes(self._separator.join(block))
            inside = np.searchsorted(ends, [start for _, start, _ in matches], side="right")
            found += (np.unique(inside) + begin).tolist()
            if 2 * len(found) > begin + len(block):
                return None
        return found

    def find(self, text: str, passed: set[int], wildcards: set[int], regexes: set[int]) -> None:
        """Add to the three sets what the literals in `text` mean."""
        if not self._ready:
            self._build()
        if self._built is not None and len(text) >= _SHORTEST_PATTERN:
            length = len(text)
            entries = self._entries
            for pattern, start, end in self._built.find_matches_as_indexes(text, overlapping=True):
                contains, starts, ends, wild, regex = entries[pattern]
                if contains:
                    passed.update(contains)
                if starts and start == 0:
                    passed.update(starts)
                if ends and end == length:
                    passed.update(ends)
                if wild:
                    wildcards.update(wild)
                if regex:
                    regexes.update(regex)
        for literal, ops in (*self._empty, *self._short_in(text)):
            passed.update(ops.get("contains", ()))
            wildcards.update(ops.get("wildcard", ()))
            if "startswith" in ops and text.startswith(literal):
                passed.update(ops["startswith"])
            if "endswith" in ops and text.endswith(literal):
                passed.update(ops["endswith"])

    def _short_in(self, text: str) -> list[tuple[str, dict[str, list[int]]]]:
        """Return the literals of one or two characters that `text` holds."""
        short = self._short
        if not short:
            return []
        if len(text) > _CHARACTERS_PER_LITERAL * len(short):
            return [pair for pair in short.items() if pair[0] in text]
        pairs = set(map(add, text, text[1:]))
        pairs.update(text)
        return [(literal, short[literal]) for literal in short.keys() & pairs]


def wildcard_fits(parts: tuple[str | int, ...], text: str) -> bool:
    """Return whether the whole text fits the parts (`aleat.hunt.expression.Wildcard`).

    The runs between two "any" parts are found leftmost one after the other, which is right because each "any"
    takes whatever is left: the time is linear in the text for a given pattern.

    >>> wildcard_fits(("a", 1, "c", 0), "abc and more"), wildcard_fits(("a", 0, "c"), "abcd")
    (True, False)
    """
    runs: list[list[str | int]] = [[]]
    for part in parts:
        if part == 0:
            runs.append([])
        else:
            runs[-1].append(part)
    at = _run_at(runs[0], text, 0)
    if at < 0:
        return False
    if len(runs) == 1:
        return at == len(text)
    for run in runs[1:-1]:
        at = _find_run(run, text, at)
        if at < 0:
            return False
    last = runs[-1]
    start = len(text) - _run_length(last)
    return start >= at and _run_at(last, text, start) == len(text)


def _run_length(run: Iterable[str | int]) -> int:
    return sum(len(part) if isinstance(part, str) else part for part in run)


def _run_at(run: list[str | int], text: str, at: int) -> int:
    """Return where the run ends that starts at `at`, or -1."""
    for part in run:
        if isinstance(part, int):
            at += part
        elif text.startswith(part, at):
            at += len(part)
        else:
            return -1
    return at if at <= len(text) else -1


def _find_run(run: list[str | int], text: str, at: int) -> int:
    """Return where the leftmost occurrence of the run from `at` on ends, or -1."""
    if not run:
        return at
    lead = 0  # characters before the run's first literal
    for part in run:
        if isinstance(part, str):
            break
        lead += part
    else:
        return at + lead if at + lead <= len(text) else -1
    place = text.find(part, at + lead)
    while place >= 0:
        end = _run_at(run, text, place - lead)
        if end >= 0:
            return end
        place = text.find(part, place + 1)
    return -1


def number_text(value: int | float) -> str:
    """Return the canonical text of a number (`aleat.evidence.batch`)."""
    return repr(value)


def number_value(text: str) -> int | float | None:
    """Return the number that a text is, or None (see `aleat.hunt.expression.Number`).

    >>> number_value("007"), number_value("0x1F"), number_value("-2.50"), number_value("1,000")
    (7, 31, -2.5, None)
    """
    text = text.strip()
    if not text or len(text) > _LONGEST_NUMBER:
        return None
    if _DECIMAL.fullmatch(text):
        digits = text.lstrip("+-")
        return int(text) if digits.isdigit() else float(text)
    return int(text, 16) if _HEXADECIMAL.fullmatch(text) else None


def _computes(test: Number | Order | TimePart, text: str) -> bool:
    if isinstance(test, Order):
        return bool(_COMPARE[test.op](text, test.value))
    value = number_value(text) if isinstance(test, Number) else _time_part(text, test.part)
    return value is not None and bool(_COMPARE[test.op](value, test.value))


def _time_part(text: str, part: str) -> int | None:
    """Return a part of the date (or time of day) that the text begins with, as written."""
    match = _DATE.match(text[:64])
    if match is None:
        return None
    year, month, day, hour, minute, only_hour, only_minute = match.groups()
    found = {"hour": hour or only_hour, "minute": minute or only_minute, "year": year, "month": month, "day": day}
    if part in found:
        value = found[part]
        return None if value is None else int(value)
    if year is None:
        return None
    try:
        return datetime(int(year), int(month), int(day)).isocalendar().week
    except ValueError:
        return None
