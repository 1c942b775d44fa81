"""STIX 2.1 patterns (§9) over STIX observed data, by the standard's own words: `match_pattern`.

This is the evaluator for what others observed and wrote down; logs are hunted by `stix_pattern`. Where the
standard leaves room, it is read so:

- An observed data object stands for `number_observed` observations, each at some moment from `first_observed`
  to `last_observed` (§9.1): what *can* have happened in the order and time that the pattern asks for, matches.
  Moments are told apart to the microsecond there; in comparisons with timestamps, to their last digit.
- Observed data given several times is one: its latest version (§3.6), else the first.
- Comparisons start at one of the observables that `object_refs` names (or, deprecated, `objects` holds), and
  references lead to no others (§9.5, §9.7.4). What its bundle doesn't hold is looked for in the others.
- A path that leads nowhere makes its comparison false, NOT or not (§9.6); ``NOT EXISTS`` alone is true of it.
- ``NOT`` negates the comparison as a whole: with ``[*]``, no element may compare.
- Types that can't be compared are unequal, and every other comparison of them is false (§9.6.1). A text is a
  timestamp or octets where the constant is one, and it can be read as such (§9.2, §9.6.4).
- Over octets, regular expressions know ASCII alone (§9.6.1: no UNICODE), and each octet is one character.
"""

from __future__ import annotations

import base64
import binascii
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal
from unicodedata import normalize

from aleat.errors import ObjectError, PatternError
from aleat.hunt.matcher import wildcard_fits
from aleat.hunt.networks import IpRange
from aleat.hunt.regexes import find_matches as find_regex
from aleat.hunt.regexes import translate
from aleat.hunt.stix_constants import Constant, Moment, address_range, parse_moment
from aleat.hunt.stix_observation import Observed, find_matches
from aleat.hunt.stix_pattern import like_parts
from aleat.hunt.stix_syntax import (
    AllOf,
    Comparison,
    Followed,
    Observation,
    ObservationAnd,
    ObservationOr,
    Observations,
    Proposition,
    Repeated,
    observations,
    parse_pattern,
)
from aleat.times import micros_of

__all__ = ["match_pattern"]

MAXIMUM_COPIES = 20_000
"""Observations of one pattern by `number_observed`, beyond one of each observed data."""

_NO_OBSERVABLES = (
    "attack-pattern bundle campaign course-of-action extension-definition grouping identity incident indicator "
    "infrastructure intrusion-set language-content location malware malware-analysis marking-definition note "
    "observed-data opinion relationship report sighting threat-actor tool vulnerability"
)
"""The types of STIX 2.1 that a path can't begin with: it begins with an observable's (§9.7)."""

_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
}

Objects = Mapping[str, Any]
"""The observables that a path may lead through, by id."""
Test = Callable[[Mapping[str, Any], Objects], bool]
"""Whether a proposition holds where it starts at this observable."""


def match_pattern(pattern: str, bundles: list[dict[str, Any]]) -> tuple[str, ...]:
    """Return the ids of the observed data that a STIX 2.1 pattern matches first, in order of time; empty: none.

    Each of `bundles` is a STIX bundle (parsed JSON) of observed data and of the observables, custom types
    included, that their `object_refs` name. The first match is the earliest that is complete; observed data of
    one time stand in the order given. Raises `PatternError` for a pattern that can't be, that asks for a
    regular expression no linear engine can do, or whose combinations exceed the limits.

    >>> observed = {"type": "observed-data", "id": "observed-data--1", "object_refs": ["file--1"]}
    >>> file = {"type": "file", "id": "file--1", "name": "a.exe"}
    >>> match_pattern("[file:name = 'a.exe']", [{"type": "bundle", "objects": [observed, file]}])
    ('observed-data--1',)
    """
    tree = parse_pattern(pattern, empty_windows=True)
    tests = {item.number: _proposition(item.proposition) for item in observations(tree)}
    least, most = _sizes(tree)
    more = 0
    found: list[Observed] = []
    names: list[str] = []
    for data, objects in _observed_data(bundles):
        roots = [item for item in objects.values() if isinstance(item, Mapping) and _is_observable(item)]
        numbers = frozenset(number for number, test in tests.items() if any(test(root, objects) for root in roots))
        copies = min(_count(data), most) if numbers else 0
        more += max(0, copies - 1)
        if more > MAXIMUM_COPIES:
            raise PatternError(f"The pattern takes more than {MAXIMUM_COPIES} observations of the same data.")
        first, last = _times(data)
        for _ in range(copies):
            found.append(Observed(len(found), first, numbers, last))
            names.append(str(data.get("id", "")))
    if len(found) < least:
        return ()
    places = next(find_matches(tree, found), ())
    return tuple(dict.fromkeys(names[place] for place in places))


# --------------------------------------------------------------------------------------------- observed data


def _observed_data(bundles: Iterable[object]) -> Iterator[tuple[Mapping[str, Any], Objects]]:
    """Yield each observed data with the observables that it may be matched by."""
    everywhere: dict[str, Mapping[str, Any]] = {}
    places: dict[str, int] = {}
    found: list[tuple[Mapping[str, Any], dict[str, Mapping[str, Any]]]] = []
    for bundle in bundles:
        known: dict[str, Mapping[str, Any]] = {}
        for item in _items(bundle):
            name = item.get("id")
            if isinstance(name, str):
                known.setdefault(name, item)
                everywhere.setdefault(name, item)
            if item.get("type") != "observed-data":
                continue
            place = places.setdefault(name, len(found)) if isinstance(name, str) else len(found)
            if place == len(found):
                found.append((item, known))
            elif _version(item) > _version(found[place][0]):
                found[place] = (item, known)
    for item, known in found:
        references, embedded = item.get("object_refs"), item.get("objects")
        if isinstance(references, list):
            named = [name for name in references if isinstance(name, str) and name in everywhere]
            yield item, {name: known.get(name, everywhere[name]) for name in named}
        elif isinstance(embedded, Mapping):
            yield item, embedded


def _items(bundle: object) -> list[Mapping[str, Any]]:
    if not isinstance(bundle, Mapping):
        return []
    inside = [bundle] if bundle.get("type") == "observed-data" else bundle.get("objects")
    return [item for item in inside if isinstance(item, Mapping)] if isinstance(inside, list) else []


def _version(data: Mapping[str, Any]) -> tuple[bool, Any]:
    modified = _timestamp(data.get("modified"))
    return modified is not None, modified


def _is_observable(item: Mapping[str, Any]) -> bool:
    kind = item.get("type")
    return isinstance(kind, str) and kind not in _NO_OBSERVABLES.split()


def _count(data: Mapping[str, Any]) -> int:
    count = data.get("number_observed")
    return count if isinstance(count, int) and not isinstance(count, bool) and count > 1 else 1


def _times(data: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Return when it was first observed, and last where that is later, in microseconds since 1970."""
    first, last = (_moment(data.get(name)) for name in ("first_observed", "last_observed"))
    if first is None or last is None:
        return (last if first is None else first), None
    return first, (last if last > first else None)


def _moment(value: object) -> int | None:
    moment = _timestamp(value)
    return None if moment is None else micros_of(moment.time)


def _sizes(tree: Observations) -> tuple[int, int]:
    """Return how many observations a match has, at least and at most."""
    if isinstance(tree, Observation):
        return 1, 1
    if isinstance(tree, Followed | ObservationAnd | ObservationOr):
        sizes = [_sizes(child) for child in ((tree.first, tree.then) if isinstance(tree, Followed) else tree.children)]
        if isinstance(tree, ObservationOr):
            return min(least for least, _ in sizes), max(most for _, most in sizes)
        return sum(least for least, _ in sizes), sum(most for _, most in sizes)
    least, most = _sizes(tree.child)
    times = tree.times if isinstance(tree, Repeated) else 1
    return least * times, most * times


# ----------------------------------------------------------------------------------------------- propositions


def _proposition(proposition: Proposition) -> Test:
    if isinstance(proposition, Comparison):
        return _comparison(proposition)
    tests = [_proposition(child) for child in proposition.children]
    if isinstance(proposition, AllOf):
        return lambda root, objects: all(test(root, objects) for test in tests)
    return lambda root, objects: any(test(root, objects) for test in tests)


def _comparison(comparison: Comparison) -> Test:
    kind, steps, negated = comparison.path.type, comparison.path.steps, comparison.negated
    if comparison.operator == "EXISTS":
        return lambda root, objects: root.get("type") == kind and bool(_resolve(root, steps, objects)) != negated
    compares = _OPERATORS.get(comparison.operator, _ordered)(comparison)

    def test(root: Mapping[str, Any], objects: Objects) -> bool:
        if root.get("type") != kind:
            return False
        values = _resolve(root, steps, objects)
        return bool(values) and any(map(compares, values)) != negated

    return test


def _resolve(root: Mapping[str, Any], steps: Sequence[str | int], objects: Objects) -> list[Any]:
    """Return the values that a path leads to, each once; a reference is followed where the path goes on."""
    values: list[Any] = [root]
    reference = False
    for step in steps:
        found: dict[object, Any] = {}
        for value in values:
            for part in _step(value, step, objects, reference):
                found.setdefault(part if isinstance(part, str) else id(part), part)
        values = list(found.values())
        if isinstance(step, str):
            reference = step.endswith(("_ref", "_refs"))
    return values


def _step(value: Any, step: str | int, objects: Objects, reference: bool) -> Iterable[Any]:
    if isinstance(step, int):
        if not isinstance(value, list):
            return ()
        return value if step < 0 else value[step : step + 1]
    if reference and isinstance(value, str):
        value = objects.get(value)
    return (value[step],) if isinstance(value, Mapping) and step in value else ()


# ------------------------------------------------------------------------------------------------- comparisons

Compares = Callable[[Any], bool]


def _ordered(comparison: Comparison) -> Compares:
    (constant,) = comparison.values
    compare, octets = _ORDERS[comparison.operator], _holds_octets(comparison)

    def compares(value: Any) -> bool:
        pair = _comparable(value, constant, octets)
        return pair is not None and compare(*pair)

    return compares


def _unequal(comparison: Comparison) -> Compares:
    (constant,) = comparison.values
    octets = _holds_octets(comparison)

    def compares(value: Any) -> bool:
        pair = _comparable(value, constant, octets)
        return pair is None or pair[0] != pair[1]

    return compares


def _among(comparison: Comparison) -> Compares:
    octets = _holds_octets(comparison)

    def compares(value: Any) -> bool:
        pairs = [_comparable(value, constant, octets) for constant in comparison.values]
        return any(pair is not None and pair[0] == pair[1] for pair in pairs)

    return compares


def _like(comparison: Comparison) -> Compares:
    constant = normalize("NFC", str(comparison.values[0]))
    parts = tuple(like_parts(constant))
    octets = _holds_octets(comparison)
    if octets and _octets_of(constant) is None:
        return _never

    def compares(value: Any) -> bool:
        text = _text(value, octets)
        return text is not None and wildcard_fits(parts, text)

    return compares


def _matches(comparison: Comparison) -> Compares:
    constant = normalize("NFC", str(comparison.values[0]))
    octets = _holds_octets(comparison)
    pattern = translate(_OCTETS_IN_PATTERN.sub(_shifted, constant) if octets else constant, "s").pattern
    if octets and _octets_of(constant) is None:
        return _never

    def compares(value: Any) -> bool:
        text = _text(value, octets)
        if text is None:
            return False
        return find_regex(pattern, "s", [text.translate(_SHIFTED) if octets else text])[0]

    return compares


def _never(_: Any) -> bool:
    return False


_SHIFT = 0xE000
_SHIFTED = {code: code + _SHIFT for code in range(0x80, 0x100)}
"""Octets beyond ASCII, for a regular expression, as characters for private use: no letters, digits or blanks."""
_OCTETS_IN_PATTERN = re.compile(r"\\x\{?([0-9A-Fa-f]{2})(?![0-9A-Fa-f]+\})\}?|\\.|[\x80-\xff]", re.DOTALL)


def _shifted(found: re.Match[str]) -> str:
    """Return what stands in a regular expression for an octet, shifted if it is beyond ASCII."""
    code = int(found[1], 16) if found[1] else ord(found[0][-1])
    return chr(code + _SHIFT) if code >= 0x80 else found[0]


def _set(comparison: Comparison) -> Compares:
    constant = address_range(str(comparison.values[0]))
    superset = comparison.operator == "ISSUPERSET"

    def compares(value: Any) -> bool:
        network = address_range(value) if isinstance(value, str) else None
        if network is None or constant is None:
            return False
        return _within(constant, network) if superset else _within(network, constant)

    return compares


_OPERATORS: dict[str, Callable[[Comparison], Compares]] = {
    "!=": _unequal,
    "IN": _among,
    "LIKE": _like,
    "MATCHES": _matches,
    "ISSUBSET": _set,
    "ISSUPERSET": _set,
}


def _within(inner: IpRange, outer: IpRange) -> bool:
    shift = outer.max_prefixlen - outer.prefixlen
    same = inner.version == outer.version and inner.prefixlen >= outer.prefixlen
    return same and inner.first >> shift == outer.first >> shift


# ------------------------------------------------------------------------------------------------------ values


def _holds_octets(comparison: Comparison) -> Literal["", "_bin", "_hex"]:
    """Say whether a property holds octets, by the ending of its name (§9.6.4)."""
    names = [step for step in comparison.path.steps if isinstance(step, str)]
    return "_bin" if names[-1].endswith("_bin") else "_hex" if names[-1].endswith("_hex") else ""


def _comparable(value: Any, constant: Constant, octets: str) -> tuple[Any, Any] | None:
    """Return value and constant as one type, or None where their types can't be compared (§9.2)."""
    converted: Any = None
    if isinstance(constant, bool) or isinstance(value, bool):
        converted = value if isinstance(constant, bool) and isinstance(value, bool) else None
    elif isinstance(constant, int | float):
        converted = value if isinstance(value, int | float) else None
    elif isinstance(constant, Moment):
        converted = _timestamp(value)
    elif octets:
        constant = constant if isinstance(constant, bytes) else _octets_of(constant)  # type: ignore[assignment]
        converted = _decoded(value, octets)
    elif isinstance(constant, bytes):
        converted = _octets_of(value)
    elif isinstance(value, str):
        converted = value
    return None if converted is None or constant is None else (converted, constant)


def _text(value: Any, octets: str) -> str | None:
    """Return what LIKE and MATCHES look at: a text in NFC, or octets as the characters of their numbers."""
    if octets:
        data = _decoded(value, octets)
        return None if data is None else data.decode("latin-1")
    if not isinstance(value, str):
        return None
    return normalize("NFC", value.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


def _decoded(value: Any, octets: str) -> bytes | None:
    if not isinstance(value, str):
        return None
    try:
        if octets == "_hex":
            return binascii.unhexlify(value)
        return base64.b64decode(value, validate=True)
    except (ValueError, binascii.Error):
        return None


def _octets_of(value: Any) -> bytes | None:
    try:
        return value.encode("latin-1") if isinstance(value, str) else None
    except UnicodeEncodeError:
        return None


def _timestamp(value: object) -> Moment | None:
    if not isinstance(value, str):
        return None
    try:
        return parse_moment(value)
    except ObjectError:
        return None
