"""Users' regular expressions, in linear time: Sigma's PCRE subset translated to Rust's syntax, run by polars.

Rust's `regex` has no look-around, no back-references and no possessive groups, and refuses patterns that
compile to more than 10 MiB: such a pattern raises `PatternError` with its name; there is no slow fallback.
Python's `re` never sees a user's pattern, because it backtracks.

Where the two dialects differ in meaning, `translate` keeps PCRE's: ``$`` also matches before a final newline (which
what follows in the pattern can't take then: that would be looking ahead),
``\\\\<`` is a character, ``[``, ``&&`` and ``{`` without a count are literal. ``\\\\w``, ``\\\\d``, ``\\\\s`` and
``\\\\b`` know all of Unicode.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from aleat.errors import PatternError
from aleat.hunt.expression import fold

__all__ = ["Needs", "Translation", "find_matches", "needs", "translate"]

MAX_PATTERN = 8192

_BLANK = r" \t\x{a0}\x{1680}\x{180e}\x{2000}-\x{200a}\x{202f}\x{205f}\x{3000}"
_BREAK = r"\n-\r\x{85}\x{2028}\x{2029}"
_ESCAPES = {
    "Z": r"(?:\n?\z)",
    "h": rf"[{_BLANK}]",
    "H": rf"[^{_BLANK}]",
    "v": rf"[{_BREAK}]",
    "V": rf"[^{_BREAK}]",
    "N": r"[^\n]",
    "e": r"\x1b",
    "R": rf"(?:\r\n|[{_BREAK}])",
    "<": "<",
    ">": ">",
}
_IN_CLASS = {"h": _BLANK, "v": _BREAK, "e": r"\x1b", "<": "<", ">": ">"}
_REFUSED = {
    "K": r"\K",
    "G": r"\G",
    "X": r"\X",
    "C": r"\C",
    "E": r"\E without \Q",
    "k": "a back-reference",
    "g": "a back-reference",
    **dict.fromkeys("123456789", "a back-reference"),
}
_GROUPS = {
    "?=": "look-ahead",
    "?!": "look-ahead",
    "?<=": "look-behind",
    "?<!": "look-behind",
    "?>": "an atomic group",
    "?|": "a branch-reset group",
    "?R": "recursion",
    "?&": "recursion",
    "?(": "a conditional group",
    "?#": "a comment",
    "?P=": "a back-reference",
    "?P>": "recursion",
}


class Translation(NamedTuple):
    """A pattern in Rust's syntax, and a text (folded) that every match contains, "" where none is known."""

    pattern: str
    literal: str


def translate(pattern: str, flags: str = "") -> Translation:
    """Translate a PCRE pattern to Rust's syntax and check that it compiles.

    Raises `PatternError` for what a linear engine can't do, for syntax errors, and beyond the size limit.

    >>> translate(r"a\\/b$")
    Translation(pattern='a\\\\/b(?:\\\\z|\\\\n\\\\z)', literal='a/b')
    """
    if len(pattern) > MAX_PATTERN:
        raise PatternError(f"regular expression of {len(pattern)} characters (limit: {MAX_PATTERN})")
    scanner = _Scanner(pattern, multiline="m" in flags)
    scanner.run()
    translated = "".join(scanner.out)
    problem = _compile_problem(with_flags(translated, flags))
    if problem:
        raise PatternError(f"regular expression not supported: {problem}")
    return Translation(translated, scanner.literal())


class Needs(NamedTuple):
    """What every match of a pattern needs of a text: a literal in its folded form ("" for none), and a length."""

    literal: str
    length: int


def needs(pattern: str) -> Needs:
    """Return what every match of a *translated* pattern needs: most texts are told to have none without a search."""
    scanner = _Scanner(pattern, multiline=True)
    try:
        scanner.run()
    except PatternError:
        return Needs("", 0)
    return Needs(scanner.literal(), scanner.length())


def with_flags(pattern: str, flags: str) -> str:
    """Return the pattern with its flags written in."""
    return f"(?{flags}){pattern}" if flags else pattern


def find_matches(pattern: str, flags: str, texts: list[str]) -> list[bool]:
    """Return for each text whether the (translated) pattern is found in it."""
    import polars  # noqa: PLC0415 - slow to import, and few hunts come here

    series = polars.Series(texts, dtype=polars.String)
    found: list[bool] = series.str.contains(with_flags(pattern, flags), literal=False, strict=True).to_list()
    return found


@lru_cache(maxsize=4096)
def _compile_problem(pattern: str) -> str:
    """Return what the engine says against the pattern, "" where nothing."""
    import polars  # noqa: PLC0415

    try:
        polars.Series([""], dtype=polars.String).str.contains(pattern, literal=False, strict=True)
    except polars.exceptions.ComputeError as error:
        text = str(error)
        for line in text.splitlines():
            if line.startswith("error: "):
                return line.removeprefix("error: ")
        return text.splitlines()[0].removeprefix("regex error: ")
    return ""


class _Scanner:
    """One pass over a pattern: writes Rust's syntax, and notes literal runs outside of any group."""

    def __init__(self, pattern: str, *, multiline: bool) -> None:
        self.pattern = pattern
        self.multiline = multiline
        self.out: list[str] = []
        self._at = 0
        self._depth = 0
        self._runs: list[str] = [""]
        self._opaque = False  # alternatives or a flag at the top: no run is certain
        self._length = 0  # characters that every match has outside of groups
        self._last = 0  # of those, the last item's, which a quantifier multiplies

    def literal(self) -> str:
        """Return the longest certain run, folded; "" where it is too short to help."""
        if self._opaque:
            return ""
        return fold(max((run for run in self._runs if run.isascii()), key=len, default=""))

    def length(self) -> int:
        """Return how many characters every match has at least."""
        return 0 if self._opaque else self._length + self._last

    def _item(self, characters: int) -> None:
        """Note an item of so many characters; inside of groups none are counted."""
        self._length += self._last
        self._last = characters if self._depth == 0 else 0

    def run(self) -> None:
        """Scan the whole pattern."""
        while self._at < len(self.pattern):
            character = self.pattern[self._at]
            if character == "\\":
                self._escape()
            elif character == "[":
                self._break()
                self._class()
                self._item(1)
            elif character in "*+?":
                self._quantifier(character)
            elif character == "{":
                self._brace()
            else:
                self._plain(character)

    def _plain(self, character: str) -> None:
        self._at += 1
        if character == "(":
            self._open_group()
        elif character == ")":
            self._item(0)
            self._depth -= 1
            self._item(0)
            self._break()
            self.out.append(")")
        elif character == "|":
            self._opaque |= self._depth <= 0
            self._break()
            self.out.append("|")
        elif character == "$":
            self._break()
            self._item(0)
            self.out.append("$" if self.multiline else r"(?:\z|\n\z)")
        elif character in ".^":
            self._break()
            self._item(1 if character == "." else 0)
            self.out.append(character)
        else:
            self._literal(character, r"\}" if character == "}" else r"\]" if character == "]" else character)

    def _literal(self, character: str, written: str) -> None:
        self.out.append(written)
        self._item(1)
        if self._depth == 0:
            self._runs[-1] += character

    def _break(self) -> None:
        if self._runs[-1]:
            self._runs.append("")

    def _open_group(self) -> None:
        rest = self.pattern[self._at : self._at + 3]
        for start, name in _GROUPS.items():
            if rest.startswith(start):
                raise PatternError(f"regular expression not supported: {name}")
        if rest.startswith("?") and rest[1:2] not in ("<", "P", "'"):
            # (?i) or (?i:…): flags change what literals mean (x), and where $ matches (m)
            end = self.pattern.find(")", self._at)
            colon = self.pattern.find(":", self._at)
            stop = min(place for place in (end, colon, len(self.pattern)) if place >= 0)
            flags = self.pattern[self._at + 1 : stop]
            self._opaque |= "x" in flags
            self.multiline |= "m" in flags.partition("-")[0]
        self._item(0)
        self._depth += 1
        self._break()
        self.out.append("(")

    def _escape(self) -> None:
        following = self.pattern[self._at + 1 : self._at + 2]
        self._at += 2
        if not following:
            raise PatternError("regular expression ends in a backslash")
        if following in _REFUSED:
            raise PatternError(f"regular expression not supported: {_REFUSED[following]}")
        if following == "Q":
            end = self.pattern.find("\\E", self._at)
            quoted = self.pattern[self._at : end if end >= 0 else len(self.pattern)]
            self._at = end + 2 if end >= 0 else len(self.pattern)
            for character in quoted:
                self._literal(character, character if character.isalnum() else f"\\x{{{ord(character):x}}}")
        elif following == "0":
            self._break()
            self._item(1)
            self.out.append(self._octal())
        elif following in _ESCAPES:
            self._break()
            self._item(0)
            self.out.append(_ESCAPES[following])
        elif following.isalnum() or not following.isascii():
            self._break()
            self._item(1 if following in "dDsSwWnrtfv" else 0)
            argument = ""
            if following in "pPxuU":  # takes an argument that is no literal
                self._opaque = True
                end = self.pattern.find("}", self._at)
                if self.pattern[self._at : self._at + 1] == "{" and end > 0:
                    argument = self.pattern[self._at : end + 1]
                    self._at = end + 1
            self.out.append("\\" + following + argument if following.isascii() else following)
        else:
            self._literal(following, "\\" + following)

    def _octal(self) -> str:
        """Return the character whose octal number ends here: ``\\0`` and up to two more digits."""
        start = self._at
        while self._at < start + 2 and self.pattern[self._at : self._at + 1] in set("01234567"):
            self._at += 1
        return f"\\x{{{int(self.pattern[start - 1 : self._at], 8):x}}}"

    def _class(self) -> None:
        """Copy a bracketed class, with what only Rust reads as set operators made literal."""
        start = self._at
        self._at += 1
        self.out.append("[")
        if self.pattern[self._at : self._at + 1] == "^":
            self.out.append("^")
            self._at += 1
        if self.pattern[self._at : self._at + 1] == "]":
            self.out.append(r"\]")
            self._at += 1
        while self._at < len(self.pattern):
            character = self.pattern[self._at]
            pair = self.pattern[self._at : self._at + 2]
            self._at += 1
            if character == "]":
                self.out.append("]")
                return
            if pair == "[:" and ":]" in self.pattern[self._at :]:
                end = self.pattern.index(":]", self._at) + 2
                self.out.append(self.pattern[self._at - 1 : end])
                self._at = end
            elif character == "\\" and len(pair) == 2:
                self._at += 1
                self.out.append(self._octal() if pair[1] == "0" else _IN_CLASS.get(pair[1], pair))
            elif character in "[&~":
                self.out.append("\\" + character)
            elif pair == "--":
                self.out.append(r"\-")
            else:
                self.out.append(character)
        raise PatternError(f"regular expression: the class that opens at {start + 1} is never closed")

    def _quantifier(self, character: str) -> None:
        self._at += 1
        self.out.append(character)
        if character != "+":
            self._runs[-1] = self._runs[-1][:-1]
            self._last = 0
        self._break()
        self._lazy_or_possessive()

    def _brace(self) -> None:
        end = self.pattern.find("}", self._at)
        counts = self.pattern[self._at + 1 : end] if end > 0 else ""
        low, comma, high = counts.partition(",")
        digits = (low.isdigit() or (comma and not low and high.isdigit())) and (not high or high.isdigit())
        if not digits:
            self._at += 1
            self._literal("{", r"\{")
            return
        self._at = end + 1
        self._last *= int(low or "0")
        self.out.append(f"{{{low or '0'}{comma}{high}}}")
        if not int(low or "0"):
            self._runs[-1] = self._runs[-1][:-1]
        self._break()
        self._lazy_or_possessive()

    def _lazy_or_possessive(self) -> None:
        following = self.pattern[self._at : self._at + 1]
        if following == "+":
            raise PatternError("regular expression not supported: a possessive quantifier")
        if following == "?":
            self.out.append("?")
            self._at += 1
