"""Random Sigma rules, and what they mean of an event: read from the specification 2.1, with none of the project's code.

A `RandomRule` holds its searches as Python values and its condition as a tree, so that nothing here parses; `text`
writes it as a Sigma document, with quotes, brackets and upper case as it happens.
"""

from __future__ import annotations

import ipaddress
import json
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any
from unicodedata import normalize

Event = Mapping[str, Any]

WORDS = [
    "", "-", "a", "ab", "abc", "ABC", "bca", "straße", "STRASSE", "STRAẞE", "\u0130", "i", "I", "\u0131", "\u212a", "k",
    "\u017f", "s", "Σ", "ς", "ë", "Ë", "cmd.exe", "C:\\x\\cmd.exe", "a*b", "a?b", "a\\b", "a\\\\b", "\\", "x -a /b",
    "x –a ―b", "-a-b", "5", "5.0", "05", "007", "0x1f", "0x1F", "-3", "1e3", "18446744073709551617", "9007199254740993",
    "true", "True", "10.1.2.3", "::ffff:10.1.2.3", "fe80::1%eth0", "10.0.0.0/9", "a\nb", "abc\n", "Zm9vYmFy",
    "xZm9vYg==", "Security", "YQBiAGMA", "eGFiYw==", "x" * 300 + "ab", "null", "\u200b", "a\u0301", "á",
]  # fmt: skip
PIECES = [
    "a", "b", "ab", "ABC", "\\", "\\\\", "*", "?", "\\*", "\\?", "\\\\*", "ß", "ẞ", "\u212a", "ë", "-", " -a",
    "/b", "5", "\n",
]  # fmt: skip
NAMES = ["F", "G", "H h", "EventID", "f", "x.y"]
REGEXES = [
    "a.c",
    "^a",
    "b$",
    "[ab]{2}",
    "c|d",
    "abc",
    "5",
    "^$",
    "a\\*b",
    "\\\\",
    "(a)(b)",
    "ë+",
    "x{3,}",
    "\\d",
    "^a$",
]
NETWORKS = ["10.0.0.0/8", "10.1.2.3", "::/0", "fe80::/10", "0.0.0.0/0", "10.1.2.3/31"]
FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL}
DASHES = "-/–—―"

PLAIN = [
    "", "contains", "startswith", "endswith", "cased", "contains|cased", "cased|startswith", "endswith|cased",
    "windash", "contains|windash", "windash|contains", "windash|startswith", "base64", "base64|contains",
    "base64offset|contains", "wide|base64offset|contains", "utf16le|base64", "utf16be|base64|contains", "utf16|base64",
]  # fmt: skip
LINKS = ["", "", "all", "neq", "all|neq"]


# ------------------------------------------------------------------------------------------------ random rules


class RandomRule:
    """A rule made by chance; the same for the same `random`."""

    def __init__(self, random: Random) -> None:
        self.random = random
        names = random.sample(
            ["selection", "sel_a", "sel_b", "filter_x", "_hidden", "notsel", "android", "them_all"], 3
        )
        self.searches = {name: self._search(2) for name in names}
        self.condition = self._condition(3)

    @property
    def text(self) -> str:
        """The rule as a document (JSON is YAML)."""
        detection = {name: _written(search) for name, search in self.searches.items()}
        detection["condition"] = self._write(self.condition)
        return json.dumps(
            {"title": "t", "logsource": {"product": "windows"}, "detection": detection},
            ensure_ascii=self.random.random() < 0.5,
        )

    def _search(self, depth: int) -> Any:
        chance = self.random.random()
        if chance < 0.15:
            key = self.random.choice(["", "|all", "|re", "|cased"])
            return Items({key: self._values(key.strip("|"), self.random.randint(2, 3) if key == "|all" else None)})
        if chance < 0.35 and depth:
            return [self._search(depth - 1) for _ in range(self.random.randint(1, 3))]
        keys = {self._key() for _ in range(self.random.randint(1, 3))}
        return Items({key: self._values(key.partition("|")[2]) for key in sorted(keys)})

    def _key(self) -> str:
        chance = self.random.random()
        if chance < 0.12:
            kind = "re" + "".join(f"|{flag}" for flag in "ims" if self.random.random() < 0.3)
        elif chance < 0.22:
            kind = self.random.choice(["lt", "lte", "gt", "gte"])
        elif chance < 0.28:
            kind = "cidr"
        elif chance < 0.34:
            return f"{self.random.choice(NAMES)}|exists"
        elif chance < 0.42:
            kind = "fieldref" + self.random.choice(["", "|contains", "|startswith", "|endswith", "|cased"])
        else:
            kind = self.random.choice(PLAIN)
        link = self.random.choice(LINKS)
        return "|".join(part for part in (self.random.choice(NAMES), kind, link) if part)

    def _values(self, modifiers: str, count: int | None = None) -> list[Any]:
        count = 1 if modifiers.startswith("exists") else count or self.random.choice([1, 1, 1, 2, 3])
        found = [self._value(set(modifiers.split("|")) - {"all", "neq", ""}) for _ in range(count)]
        return found if None not in found else [None]

    def _value(self, modifiers: set[str]) -> Any:  # noqa: PLR0911 - one line a kind
        random = self.random
        if "re" in modifiers:
            return random.choice(REGEXES)
        if modifiers & {"lt", "lte", "gt", "gte"}:
            return random.choice([0, 5, -3, 0.5, 30, 1000, 2**63])
        if "cidr" in modifiers:
            return random.choice(NETWORKS)
        if "exists" in modifiers:
            return random.choice([True, False])
        if "fieldref" in modifiers:
            return random.choice(["F", "G", "Hh"])
        if modifiers & {"base64", "base64offset"}:
            return random.choice(["abc", "foob", "foobar", "ë", "a", "xy"])
        if not modifiers and random.random() < 0.25:
            return random.choice([None, True, False, 5, -3, 7, 0.5, 5.0, 10**19, 4625])
        if random.random() < 0.5:
            return "".join(random.choice(PIECES) for _ in range(random.randint(1, 4)))
        return random.choice(WORDS)

    def _condition(self, depth: int) -> Any:
        random = self.random
        chance = random.random()
        if chance < 0.35 or not depth:
            if chance < 0.12:
                pattern = random.choice(["them", "*", "sel*", "*_*", "_*", "selection"])
                if _fitting(pattern, self.searches):
                    return (random.choice(["1", "all", "any"]), pattern)
            return random.choice(list(self.searches))
        if chance < 0.55:
            return ("not", self._condition(depth - 1))
        return (random.choice(["and", "or"]), self._condition(depth - 1), self._condition(depth - 1))

    def _write(self, tree: Any, above: int = 0) -> str:
        """Write a condition with the brackets that precedence asks for, and sometimes more."""
        if isinstance(tree, str):
            return tree
        case = str.upper if self.random.random() < 0.2 else str
        if tree[0] in ("1", "all", "any"):
            return f"{case(tree[0])} {case('of')} {tree[1]}"
        level = {"or": 1, "and": 2, "not": 3}[tree[0]]
        parts = [self._write(child, level) for child in tree[1:]]
        written = f"{case('not')} {parts[0]}" if tree[0] == "not" else f" {case(tree[0])} ".join(parts)
        return f"({written})" if level < above or self.random.random() < 0.15 else written


class Items(dict[str, list[Any]]):
    """A map of a search: keys with modifiers, and their values."""


def _written(search: Any) -> Any:
    if isinstance(search, list):
        return [_written(part) for part in search]
    if list(search) == [""]:
        return search[""]
    return {key: values if len(values) > 1 else values[0] for key, values in search.items()}


def random_event(random: Random) -> dict[str, Any]:
    """Return an event with odd cells."""
    event = {name: _cell(random, 2) for name in random.sample([*NAMES, "Hh", "GG"], random.randint(0, 5))}
    return {**event, "@event_id": random.choice([1, 5, 4625])}


def _cell(random: Random, depth: int) -> Any:
    chance = random.random()
    if chance < 0.12 and depth:
        return [_cell(random, depth - 1) for _ in range(random.randint(0, 3))]
    if chance < 0.35:
        return random.choice([None, True, False, 0, 5, -3, 7, 31, 0.5, 5.0, 1e300, 10**18, 2**63 - 1])
    if chance < 0.5:
        return "".join(random.choice(["a", "b", "C", "\\", "*", "ß", "K", "-", " /", "5", "\n"]) for _ in range(4))
    return random.choice(WORDS)


# ------------------------------------------------------------------------------------------------ their meaning


def matches(rule: RandomRule, event: Event, facts: Mapping[str, str]) -> bool:
    """Return whether the rule holds of the event; `facts` are the texts of the event's fixed columns."""
    return _holds(rule.condition, {name: _found(search, event, facts) for name, search in rule.searches.items()})


def _holds(tree: Any, found: Mapping[str, bool]) -> bool:
    if isinstance(tree, str):
        return found[tree]
    if tree[0] == "not":
        return not _holds(tree[1], found)
    if tree[0] in ("1", "any", "all"):
        values = [found[name] for name in _fitting(tree[1], found)]
        return all(values) if tree[0] == "all" else any(values)
    values = [_holds(child, found) for child in tree[1:]]
    return all(values) if tree[0] == "and" else any(values)


def _fitting(pattern: str, names: Mapping[str, Any]) -> list[str]:
    if pattern in ("them", "*"):
        return [name for name in names if not name.startswith("_")]
    expression = pattern.replace("*", ".*")
    return [
        name
        for name in names
        if re.fullmatch(expression, name) and (pattern.startswith("_") or not name.startswith("_"))
    ]


def _found(search: Any, event: Event, facts: Mapping[str, str]) -> bool:
    if isinstance(search, list):
        return any(_found(part, event, facts) for part in search)
    return all(_entry(key, values, event, facts) for key, values in search.items())


def _entry(key: str, values: list[Any], event: Event, facts: Mapping[str, str]) -> bool:
    name, *modifiers = key.split("|")
    there = _cells(name, event, facts)
    found = [_passes(value, [one for one in modifiers if one], there, name, event, facts) for value in values]
    linked = all(found) if "all" in modifiers else any(found)
    return not linked if "neq" in modifiers else linked


def _same(name: str) -> str:
    return "".join(_fold(name).split())


def _cells(name: str, event: Event, facts: Mapping[str, str]) -> list[Any]:
    """Return a field's cells, of a list its elements; [] where the field is absent, ["an empty list"] marks one."""
    shown = {key: value for key, value in event.items() if not key.startswith("@")}
    if not name:
        return [cell for value in [*shown.values(), *facts.values()] for cell in _flat(value)]
    held = [value for key, value in shown.items() if _same(key) == _same(name)]
    if _same(name) == "eventid":
        held.append(facts["event_id"])
    return [cell for value in held for cell in _flat(value)] + ([...] if held else [])


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for part in value:
            yield from _flat(part)
    else:
        yield value


def _text(cell: Any) -> str:
    return str(cell).lower() if isinstance(cell, bool) else _composed(cell) if isinstance(cell, str) else repr(cell)


def _composed(text: str) -> str:
    return normalize("NFC", text)


def _fold(text: str) -> str:
    """Simple case folding: one character for one."""
    return "".join(next((to for to in (one.casefold(), one.lower()) if len(to) == 1), one) for one in _composed(text))


def _passes(  # noqa: PLR0911 - one block a kind of value
    value: Any, modifiers: list[str], there: list[Any], name: str, event: Event, facts: Mapping[str, str]
) -> bool:
    cells = [cell for cell in there if cell is not None and cell is not ...]
    if "exists" in modifiers:
        return bool(there) is value
    if value is None:
        return not there or None in there
    if "fieldref" in modifiers:
        others = [cell for cell in _cells(value, event, facts) if cell is not None and cell is not ...]
        change = _composed if "cased" in modifiers else _fold
        return any(_compare(change(_text(cell)), change(_text(other)), modifiers) for cell in cells for other in others)
    if "re" in modifiers:
        flags = sum(FLAGS[flag] for flag in modifiers if flag in "ms")
        change = _fold if "i" in modifiers else _composed
        return any(re.search(_composed(value), change(_text(cell)), flags) for cell in cells)
    for operator in ("lt", "lte", "gt", "gte"):
        if operator in modifiers:
            return any(_orders(operator, _text(cell), value) for cell in cells)
    if "cidr" in modifiers:
        return any(_within(_text(cell), value) for cell in cells)
    if isinstance(value, bool):
        return any(_fold(_text(cell)) == str(value).lower() for cell in cells) if name else _anywhere(cells, str(value))
    if isinstance(value, int | float):
        same = [cell for cell in cells if _text(cell) == repr(value) or (type(cell) is float and cell == value)]
        return bool(same) if name else _anywhere(cells, repr(value))
    change = _composed if "cased" in modifiers else _fold
    expressions = [
        re.compile(one, re.DOTALL) for one in _expressions(value, modifiers, anywhere=not name, change=change)
    ]
    return any(one.fullmatch(change(_text(cell))) for cell in cells for one in expressions)


def _anywhere(cells: list[Any], text: str) -> bool:
    return any(_fold(text) in _fold(_text(cell)) for cell in cells)


def _compare(text: str, part: str, modifiers: list[str]) -> bool:
    if "contains" in modifiers:
        return part in text
    if "startswith" in modifiers:
        return text.startswith(part)
    return text.endswith(part) if "endswith" in modifiers else text == part


def _orders(operator: str, text: str, value: float) -> bool:
    text = text.strip()
    if re.fullmatch(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,3})?", text):
        number: float = int(text) if text.lstrip("+-").isdigit() else float(text)
    elif re.fullmatch(r"0[xX][0-9a-fA-F]+", text):
        number = int(text, 16)
    else:
        return False
    return {"lt": number < value, "lte": number <= value, "gt": number > value, "gte": number >= value}[operator]


def _within(text: str, network: str) -> bool:
    try:
        inner, outer = (
            ipaddress.ip_network(re.sub(r"(?i)^::ffff:(?=[0-9.]+$)|%[^/]*", "", part), strict=False)
            for part in (text, network)
        )
    except ValueError:
        return False
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]


def _expressions(text: str, modifiers: list[str], *, anywhere: bool, change: Any) -> list[str]:
    """Return regular expressions for a value with its modifiers, applied in their order."""
    plain = "".join(one[-1] for one in re.findall(r"\\[\\*?]|[*?]|.", text, re.DOTALL))
    tokens = re.findall(r"\\[\\*?]|[*?]|.", _composed(text), re.DOTALL)  # Rules, "Escape Character"
    expressions = [
        "".join(
            ".*" if one == "*" else "." if one == "?" else re.escape(change(one[-1] if len(one) == 2 else one))
            for one in tokens
        )
    ]
    raw = plain.encode()
    for modifier in modifiers:
        if modifier in ("utf16le", "wide", "utf16be", "utf16"):
            raw = plain.encode("utf-16-be" if modifier == "utf16be" else "utf-16-le")
            raw = b"\xff\xfe" * (modifier == "utf16") + raw
        elif modifier == "base64":
            expressions = [re.escape(change(b64encode(raw).decode()))]
        elif modifier == "base64offset":
            expressions = [re.escape(change(one)) for one in _offsets(raw)]
        elif modifier == "windash":
            dash = rf"(?<!\w)[{DASHES}](?=\w)"
            found = [match.start() for match in re.finditer(dash, _masked(tokens))]
            expressions = [_wrap(_dashed(tokens, found, change), modifiers[: modifiers.index("windash")])]
        else:
            expressions = [_wrap(one, [modifier]) for one in expressions]
    return [f".*{one}.*" if anywhere else one for one in expressions]


def _masked(tokens: list[str]) -> str:
    """Each token as one character, a wildcard as one that is no part of a word."""
    return "".join("\n" if one in ("*", "?") else one[-1] for one in tokens)


def _dashed(tokens: list[str], found: list[int], change: Any) -> str:
    return "".join(
        f"[{DASHES}]" if place in found else ".*" if one == "*" else "." if one == "?" else re.escape(change(one[-1]))
        for place, one in enumerate(tokens)
    )


def _wrap(expression: str, modifiers: list[str]) -> str:
    for modifier in modifiers:
        before = ".*" if modifier in ("contains", "endswith") else ""
        after = ".*" if modifier in ("contains", "startswith") else ""
        expression = before + expression + after
    return expression


def _offsets(raw: bytes) -> Iterator[str]:
    """Yield what stays of a text in Base64 whatever stands around it, at each of the three offsets."""
    for shift in range(3):
        rest = -(shift + len(raw)) % 3
        both = [b64encode(fill * shift + raw + fill * rest).decode() for fill in (b"\0", b"\xff", b"\xaa", b"\x55")]
        same = [place for place in range(len(both[0])) if len({one[place] for one in both}) == 1]
        if same:
            yield both[0][same[0] : same[-1] + 1]
