"""YARA-X behind one seam: indicators in, a compiled set out; bytes in, the rules that match and where.

Each pattern has a namespace of its own, named by its indicator's digest, so that rules of one name don't collide
and a global rule speaks for its own file only. Rules get no disk and no network (`include` is refused, and so are the
modules that would need either, or a clock: see `data/yara_modules.toml`), and a scan stops after a time.

A compiled set is bytes, and passes between processes; its first 32 are the SHA-256 of the rest.

Library: https://virustotal.github.io/yara-x/docs/api/python/. Not `yara-python`: it isn't memory-safe.
"""

from __future__ import annotations

import hashlib
import io
import threading
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from importlib import metadata, resources
from typing import TYPE_CHECKING, Any

import msgspec

from aleat.errors import Place, RuleError
from aleat.hunt.indicator import Indicator
from aleat.knowledge.yara_rules import YaraFile, split_rules

if TYPE_CHECKING:
    import yara_x

__all__ = [
    "VARIABLES",
    "CompiledRules",
    "RuleMatch",
    "ScanStoppedError",
    "Spot",
    "YaraScanner",
    "compile_rules",
    "compile_strings",
    "yara_version",
]

VARIABLES = ("filename", "filepath", "extension", "filetype", "owner")
"""The external variables that rules may use, all of them texts, as LOKI and THOR define them."""

_SEAM = "1"
"""Raised whenever the same rules can find something else through this seam."""

_DIGEST = 32
_SPOTS = 100_000
"""So many places of one string are looked for in one scan, where YARA-X would keep a million in memory."""

_CLOSE = 16  # spots that are kept of one string


class Spot(msgspec.Struct, frozen=True, gc=False):
    """Where a string of a rule stands: its name (``$a``), the offset and the length, in bytes."""

    string: str
    offset: int
    length: int


class RuleMatch(msgspec.Struct, frozen=True, gc=False):
    """A rule that matches: the digest of its indicator, its name, and its strings' first spots."""

    digest: str
    rule: str
    spots: tuple[Spot, ...]


class CompiledRules(msgspec.Struct, frozen=True):
    """What came of compiling: the set's bytes (empty where there is nothing in it), and what isn't in it.

    `rejected` are (indicator, why, whether other rules of its pattern are in the set).
    """

    data: bytes
    rejected: tuple[tuple[Indicator, RuleError, bool], ...] = ()


class ScanStoppedError(Exception):
    """A scan was stopped: it took longer than it may (`timed_out`), or YARA-X gave up."""

    def __init__(self, reason: str, *, timed_out: bool) -> None:
        super().__init__(reason)
        self.timed_out = timed_out


@lru_cache(maxsize=1)
def yara_version() -> str:
    """Return what beside a rule's text decides what it finds: the library's version and this seam's."""
    return f"yara-x {metadata.version('yara-x')}, {_SEAM}"


@lru_cache(maxsize=1)
def _unfed_modules() -> dict[str, str]:
    """Return the modules that can't work here, and why."""
    text = resources.files("aleat.hunt").joinpath("data/yara_modules.toml").read_text("utf-8")
    return {name: str(reason) for name, reason in tomllib.loads(text)["unfed"].items()}


def compile_rules(indicators: Sequence[Indicator]) -> CompiledRules:
    """Compile the indicators' patterns to one set; one that can't be costs only itself, and is named with its place."""
    import yara_x  # noqa: PLC0415 - heavy

    compiler = _new_compiler()
    failed: dict[str, RuleError] = {}
    public: dict[str, frozenset[str]] = {}  # of those that failed
    patterns = {indicator.digest: indicator for indicator in reversed(indicators)}
    for digest, indicator in reversed(patterns.items()):
        compiler.new_namespace(digest)
        try:
            compiler.add_source(indicator.pattern)
        except (yara_x.CompileError, ValueError) as error:
            failed[digest] = _explained(indicator, _first_error(indicator.pattern), error)
            public[digest] = _public_rules(indicator.pattern)
    for digest, message in _passed_over(patterns, compiler).items():
        failed.setdefault(digest, _unfed(patterns[digest], message))
    rules = compiler.build()
    names: dict[str, set[str]] = {}
    for rule in rules:
        names.setdefault(rule.namespace, set()).add(rule.identifier)
    there = {digest for digest, found in names.items() if _is_reported(patterns[digest], found, public.get(digest))}
    for digest in patterns.keys() - there - failed.keys():
        failed[digest] = RuleError("YARA: it holds no rule that could be reported.", patterns[digest].place)
    rejected = [
        (item, _at(failed[item.digest], item), item.digest in there) for item in indicators if item.digest in failed
    ]
    if not there:
        return CompiledRules(b"", tuple(rejected))
    buffer = io.BytesIO()
    rules.serialize_into(buffer)
    data = buffer.getvalue()
    return CompiledRules(hashlib.sha256(data).digest() + data, tuple(rejected))


def _new_compiler() -> Any:
    import yara_x  # noqa: PLC0415 - heavy

    compiler = yara_x.Compiler(includes_enabled=False)
    compiler.max_warnings(0)
    for name in VARIABLES:
        compiler.define_global(name, "")
    for module in _unfed_modules():
        compiler.ignore_module(module)
    return compiler


def _passed_over(patterns: Mapping[str, Indicator], compiler: Any) -> dict[str, str]:
    """Return why rules were passed over (for a module that can't work), by the digest of their pattern.

    One compiler tells of all that it was ever given, and not whose they were: each pattern that may be meant has one
    of its own. Those that name a module are asked first, and the others only where some are missing.
    """
    import yara_x  # noqa: PLC0415 - heavy

    total = len(compiler.ignored_rules())
    found: dict[str, str] = {}
    names = tuple(_unfed_modules())
    importing = [digest for digest, item in patterns.items() if total and "import" in item.pattern]
    importing.sort(key=lambda digest: not any(name in patterns[digest].pattern for name in names))
    for digest in importing:
        if total <= 0:
            break
        own = _new_compiler()
        with suppress(yara_x.CompileError, ValueError):
            own.add_source(patterns[digest].pattern)
        ignored = own.ignored_rules()
        if ignored:
            found[digest] = str(ignored[0].message)
            total -= len(ignored)
    return found


def _first_error(pattern: str) -> Any:
    """Return what is first wrong with a pattern that can't be compiled, or None where that isn't said.

    A compiler of its own is asked: one tells the errors of all that it was ever given, each time.
    """
    import yara_x  # noqa: PLC0415 - heavy

    compiler = _new_compiler()
    try:
        compiler.add_source(pattern)
    except (yara_x.CompileError, ValueError):
        return next(iter(compiler.errors()), None)
    return None


@lru_cache(maxsize=1)
def _split(pattern: str) -> YaraFile:
    return split_rules(pattern, "")


def _public_rules(pattern: str) -> frozenset[str]:
    """Return the names of a pattern's rules that aren't private."""
    return frozenset(rule.name for rule in _split(pattern).rules if not rule.private)


def _is_reported(indicator: Indicator, names: set[str], public: frozenset[str] | None) -> bool:
    """Say whether any of an indicator's rules that compiled (by `names`) isn't private; `public` where it failed."""
    if public is None and "private" not in indicator.pattern:
        return True
    return not names.isdisjoint(_public_rules(indicator.pattern) if public is None else public)


def compile_strings(indicator: Indicator) -> tuple[CompiledRules, tuple[str, ...]]:
    """Compile an indicator's rules without their conditions, so that each string is found wherever it stands.

    Returns the set and the names of the strings in it; both are empty where its rules have none.
    """
    import yara_x  # noqa: PLC0415 - heavy

    rules = split_rules(indicator.pattern, indicator.place.path).rules
    parts = [f"{rule.text[: rule.condition]}condition: any of them\n}}" for rule in rules if not rule.private]
    compiled = CompiledRules(b"")
    names: dict[str, None] = {}
    for part in parts:  # one by one: a rule without strings is refused
        found = compile_rules([msgspec.structs.replace(indicator, pattern=part)])
        if found.data:
            compiled = found
            for rule in yara_x.Rules.deserialize_from(io.BytesIO(found.data[_DIGEST:])):
                names.update(dict.fromkeys(pattern.identifier for pattern in rule.patterns))
    return compiled, tuple(names)


def _at(error: RuleError, indicator: Indicator) -> RuleError:
    """Return an error about one of several indicators with one pattern, as said of this one."""
    if error.place is not None and error.place.path == indicator.place.path:
        return error
    return RuleError(error.reason, indicator.place, advice=error.advice)


def _explained(indicator: Indicator, told: Mapping[str, Any] | None, error: Exception) -> RuleError:
    """Return the compiler's first error about an indicator, with the place in the file that the rule came from."""
    if told is None:
        reason = (str(error).splitlines() or ["it can't be read"])[0][:200]
        return RuleError(f"YARA: {reason.removeprefix('error')}", indicator.place)
    line, column = int(told["line"]), int(told["column"])
    reason = f"{told['code']}, {told['title']}"
    detail = next((str(label["text"]) for label in told["labels"] if label["level"] == "error"), "")
    if detail and detail not in reason:
        reason += f": {detail}"
    place, where = _place(indicator, line, column)
    advice = "Write its rules into one file." if told["code"] == "E044" else "Correct the rule, or ask its giver."
    return RuleError(f"YARA {reason[:300]}{where}.", place, advice=advice)


def _place(indicator: Indicator, line: int, column: int) -> tuple[Place, str]:
    """Return where a line of a pattern is in its file, and words for what a place can't say."""
    given = indicator.place
    parts = _split(indicator.pattern).rules
    holder = max((part for part in parts if part.line <= line), key=lambda part: part.line, default=None)
    reported = [part for part in parts if not part.private]
    if given.line is None or holder is None or len(reported) != 1:
        return given, f" (line {line}, column {column} of its pattern)"
    if holder is not reported[0]:
        return given, f" (in the rule {holder.name}, which it needs)"
    return Place(given.path, given.line + line - holder.line, column), ""


def _unfed(indicator: Indicator, message: str) -> RuleError:
    modules = _unfed_modules()
    name = next((name for name in modules if f"`{name}`" in message), "")
    reason = modules.get(name, message)
    return RuleError(f"YARA: the module {name} can't be used: {reason}.", indicator.place)


class _Ready(threading.local):
    """This thread's scanner: YARA-X wants one used, and dropped, by the thread that made it, and no other.

    What belongs to a thread isn't dropped by whichever thread happens to collect garbage.
    """

    owner: YaraScanner | None = None
    scanner: yara_x.Scanner
    variables: dict[str, str]


_ready = _Ready()


class YaraScanner:
    """A compiled set made ready; keeps nothing of what it scanned."""

    def __init__(self, data: bytes) -> None:
        import yara_x  # noqa: PLC0415 - heavy

        body = memoryview(data)[_DIGEST:]
        if hashlib.sha256(body).digest() != data[:_DIGEST]:
            raise ValueError("The compiled YARA rules are damaged.")
        self._rules = yara_x.Rules.deserialize_from(io.BytesIO(body))

    def _prepare(self, variables: Mapping[str, str]) -> yara_x.Scanner:
        """Return this thread's scanner of the set, with these variables."""
        import yara_x  # noqa: PLC0415 - heavy

        if _ready.owner is not self:
            _ready.scanner = yara_x.Scanner(self._rules)
            _ready.scanner.max_matches_per_pattern(_SPOTS)
            _ready.owner, _ready.variables = self, dict.fromkeys(VARIABLES, "")
        for name in VARIABLES:
            value = variables.get(name, "")
            if value != _ready.variables[name]:
                _ready.scanner.set_global(name, value)
                _ready.variables[name] = value
        return _ready.scanner

    def scan(self, data: bytes, *, seconds: int, variables: Mapping[str, str] | None = None) -> tuple[RuleMatch, ...]:
        """Return the rules that match `data`, by digest and name; raises `ScanStoppedError`.

        A scan has at least `seconds`, and a second more at most. `variables` are those of `VARIABLES` that are known;
        the others are empty texts.
        """
        import yara_x  # noqa: PLC0415 - heavy

        scanner = self._prepare(variables or {})
        scanner.set_timeout(seconds + 1)  # its clock ticks once a second: the first may come at once
        try:
            found = scanner.scan(data).matching_rules
        except yara_x.TimeoutError as error:
            raise ScanStoppedError(f"YARA was stopped after {seconds} s", timed_out=True) from error
        except yara_x.ScanError as error:
            raise ScanStoppedError((str(error).splitlines() or ["unknown"])[0][:200], timed_out=False) from error
        return tuple(sorted((_match(rule) for rule in found), key=lambda match: (match.digest, match.rule)))


def _match(rule: yara_x.Rule) -> RuleMatch:
    spots = [
        Spot(pattern.identifier, spot.offset, spot.length)
        for pattern in rule.patterns
        for spot in pattern.matches[:_CLOSE]
    ]
    return RuleMatch(rule.namespace, rule.identifier, tuple(sorted(spots, key=lambda spot: spot.offset)))
