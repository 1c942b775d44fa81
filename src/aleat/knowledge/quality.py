"""Quality at the door: what is doubtful about an indicator, told as labels; nothing is changed or left out for it.

Four codes: "warning-list" (its value stands on a list of values that mean nothing), "too-general" (it would hit
everywhere: a top-level domain, a /8, a private range, ``LIKE '%'``, the hash of an empty file), "malformed" (a bad
address, a hash of the wrong length, a pattern that can't be one) and "contradictory" (it ends before it begins, its
maker says benign and malicious). The words stand in `aleat.report.messages`, under a label's `reason`.

Pure, and quick over many: an indicator of the usual form with usual values costs one look (`USUAL`). Only STIX
patterns are looked into; entries of lists get their labels where they hit (`aleat.hunt.warning_lists`). Of several
comparisons of which all must hold no single one is too general.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

import msgspec

from aleat.stix.objects import StixObject
from aleat.stix.pattern_paths import Comparison, pattern_comparisons
from aleat.stix.times import parse_timestamp

__all__ = ["CODES", "REASONS", "USUAL", "QualityLabel", "doubtful", "quality_of", "version_labels"]

CODES = ("malformed", "contradictory", "too-general", "warning-list")

REASONS: Mapping[str, str] = {
    "address": "malformed",
    "hash-length": "malformed",
    "domain": "malformed",
    "pattern": "malformed",
    "ends-before-it-begins": "contradictory",
    "benign-and-malicious": "contradictory",
    "revoked-and-not": "contradictory",
    "top-level-domain": "too-general",
    "wide-network": "too-general",
    "reserved-address": "too-general",
    "any-text": "too-general",
    "empty-file": "too-general",
    "listed": "warning-list",
}
"""What can be said of an indicator, and its code; the words for it are the messages `quality`."""

Warn = Callable[[Sequence[tuple[str, str]]], Mapping[tuple[str, str], str]]
"""Returns, of (type, value) pairs, those that stand on warning lists, with the lists' names."""

_EMPTY = {hashlib.new(name, b"").hexdigest() for name in ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")}
_LENGTHS = {"MD5": 32, "SHA-1": 40, "SHA-224": 56, "SHA-256": 64, "SHA-384": 96, "SHA-512": 128}
_LENGTHS |= {"SHA1": 40, "SHA256": 64, "SHA512": 128}
_EMPTY_MD5, _EMPTY_SHA1, _EMPTY_SHA256 = (hashlib.new(name, b"").hexdigest() for name in ("md5", "sha1", "sha256"))
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
# What needs no closer look: a comparison with a value that has the usual form and is in no reserved range.
_COMPARED = (
    r"(?:ipv4-addr:value = '(?!(?:0|10|127|100|169|172|192)\.)"
    rf"(?:1?[0-9]{{1,2}}|2[01][0-9]|22[0-3])(?:\.{_OCTET}){{3}}'"
    r"|domain-name:value = '(?:[A-Za-z0-9_-]{1,63}\.)++[A-Za-z]{2,63}'"
    r"|url:value = '[a-z]{2,10}://[^'\\]++'"
    r"|file:name = '[^'\\]{3,}+'"
    rf"|file:hashes\.'?MD5'? = '(?!{_EMPTY_MD5})[0-9a-fA-F]{{32}}'"
    rf"|file:hashes\.'SHA-1' = '(?!{_EMPTY_SHA1})[0-9a-fA-F]{{40}}'"
    rf"|file:hashes\.'SHA-256' = '(?!{_EMPTY_SHA256})[0-9a-fA-F]{{64}}')"
)
_USUAL = re.compile(rf"\[\s?{_COMPARED}\s?\]")
USUAL = re.compile(rf"\[\s?{_COMPARED}(?: (?:OR|AND) {_COMPARED})*+\s?\]")
"""A STIX pattern, all of it, about which nothing can be doubtful but that its values stand on a warning list."""
_TEXTS = re.compile(r"'(?:[^'\\]|\\.)*+('?)", re.DOTALL)  # the last may be open, so that none is begun twice
_ALL_OF = re.compile(r"\b(?:AND|FOLLOWEDBY)\b")
_HOST = re.compile(r"(?:\*\.|\.)?(?:[^\s\x00-\x20./:@\\'\"<>]{1,63}\.)*[^\s\x00-\x20./:@\\'\"<>]{1,63}\.?")
_ANY = re.compile(r"[\^$.*+?()%_\\/\[\]]*|\(?\.[*+]\)?|.|\\.|\[\^?..?.?\]")
_TOP_LEVEL = re.compile(r"\^?(?:\.[*+])?\\{0,2}\.[A-Za-z]{2,63}\$?")  # a regular expression: .com, \.com$, ^.*\.com$
_WIDE = {4: 8, 6: 20}
_DOCUMENTATION = tuple(
    map(ipaddress.ip_network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"))
)
_MALICIOUS = frozenset({"malicious-activity", "compromised", "attribution"})


class QualityLabel(msgspec.Struct, frozen=True, order=True):
    """What is doubtful: `code` (of `CODES`), `reason` (of `REASONS`), the value that it is about, a list's name."""

    code: str
    reason: str
    value: str = ""
    name: str = ""


def quality_of(item: StixObject, warn: Warn | None = None) -> tuple[QualityLabel, ...]:
    """Return what is doubtful about one object, without looking at any other."""
    return next(iter(doubtful([item], warn)), (0, ()))[1]


def doubtful(items: Sequence[StixObject], warn: Warn | None = None) -> Iterator[tuple[int, tuple[QualityLabel, ...]]]:
    """Yield (position, labels) of the objects about which something is doubtful, in their order.

    With `warn` values are looked for on warning lists, all at once.
    """
    found: dict[int, list[QualityLabel]] = {}
    benign: list[int] = []
    for position, item in enumerate(items):
        if item.type != "indicator":
            continue
        if item.valid_until is not None:
            found.setdefault(position, []).extend(_of_times(item))
        if b"benign" in item.raw:
            benign.append(position)
        if item.pattern_type == "stix" and not USUAL.fullmatch(item.pattern or ""):
            found.setdefault(position, []).extend(_of_pattern(item.pattern or ""))
    for position in _contradicted(items, benign):
        found.setdefault(position, []).append(_label("benign-and-malicious"))
    if warn is not None:
        for position, label in _warned(items, warn):
            known = found.setdefault(position, [])
            if all(one.value != label.value for one in known):
                known.append(label)
    for position in sorted(found):
        if found[position]:
            yield position, tuple(sorted(set(found[position])))


def version_labels(versions: Iterable[StixObject]) -> tuple[QualityLabel, ...]:
    """Return what is doubtful about an object's versions together: a later version of a revoked one isn't revoked."""
    ordered = sorted(versions, key=lambda item: parse_timestamp(item.version or _FIRST))
    back = any(earlier.revoked and not later.revoked for earlier, later in pairwise(ordered))
    return (_label("revoked-and-not"),) if back else ()


_FIRST = "1970-01-01T00:00:00Z"


def _label(reason: str, value: str = "", name: str = "") -> QualityLabel:
    return QualityLabel(REASONS[reason], reason, value, name)


def _of_times(item: StixObject) -> Iterator[QualityLabel]:
    if item.valid_from and item.valid_until and parse_timestamp(item.valid_until) <= parse_timestamp(item.valid_from):
        yield _label("ends-before-it-begins", item.valid_until)


def _of_pattern(pattern: str) -> Iterator[QualityLabel]:
    """Yield what is doubtful about a pattern that isn't of the usual form."""
    bare = _TEXTS.sub(r"'\1", pattern)
    pairs = (("[", "]"), ("(", ")"))
    if bare.count("'") % 2 or "[" not in bare or any(bare.count(one) != bare.count(other) for one, other in pairs):
        yield _label("pattern", pattern)
        return
    narrow = _ALL_OF.search(bare) is not None
    for comparison in pattern_comparisons(pattern):
        if comparison.negated:
            continue
        label = _of_comparison(comparison)
        if label is not None and not (narrow and label.code == "too-general"):
            yield label


def _of_comparison(comparison: Comparison) -> QualityLabel | None:
    kind, operator, value = comparison.type, comparison.operator, comparison.value
    if operator in ("LIKE", "MATCHES"):
        if _ANY.fullmatch(value):
            return _label("any-text", value)
        whole = _TOP_LEVEL.fullmatch(value) if operator == "MATCHES" else _is_top_level(value.lstrip("%."))
        return _label("top-level-domain", value) if kind == "domain-name" and whole else None
    check = _CHECKS.get(kind)
    if operator == "ISSUPERSET":  # of addresses: the network that is looked for holds this one
        return None
    return check(comparison) if check is not None else None


def _of_address(comparison: Comparison) -> QualityLabel | None:
    value = comparison.value
    try:
        network = ipaddress.ip_network(value.strip(), strict=False)
    except ValueError:
        return _label("address", value)
    if f"ipv{network.version}-addr" != comparison.type:
        return _label("address", value)
    if network.prefixlen <= _WIDE[network.version]:
        return _label("wide-network", value)
    reserved = network.is_private or network.is_multicast or network.is_reserved or network.is_link_local
    documented = any(net.version == network.version and network.subnet_of(net) for net in _DOCUMENTATION)  # type: ignore[arg-type]
    return _label("reserved-address", value) if reserved and not documented else None


def _of_domain(comparison: Comparison) -> QualityLabel | None:
    value = comparison.value
    if not _HOST.fullmatch(value):
        return _label("domain", value)
    return _label("top-level-domain", value) if _is_top_level(value) else None


def _is_top_level(value: str) -> bool:
    return "." not in value.removeprefix("*").strip(".")


def _of_hash(comparison: Comparison) -> QualityLabel | None:
    value = comparison.value.lower()
    name = comparison.path.partition(".")[2].strip("'").upper()
    length = _LENGTHS.get(name)
    if length is not None and (len(value) != length or not re.fullmatch("[0-9a-f]+", value)):
        return _label("hash-length", comparison.value, name)
    return _label("empty-file", comparison.value) if value in _EMPTY else None


_CHECKS: Mapping[str, Callable[[Comparison], QualityLabel | None]] = {
    "ipv4-addr": _of_address,
    "ipv6-addr": _of_address,
    "domain-name": _of_domain,
    "file:hashes": _of_hash,
}


def _contradicted(items: Sequence[StixObject], benign: Sequence[int]) -> Iterator[int]:
    """Yield the indicators that are called benign and malicious: in themselves, or by two of one maker's."""
    good: dict[tuple[str | None, str | None], list[int]] = {}
    for position in benign:
        types = _indicator_types(items[position])
        if "benign" in types:
            if types & _MALICIOUS:
                yield position
            else:
                item = items[position]
                good.setdefault((item.created_by_ref, item.pattern), []).append(position)
    if not good:
        return
    told: set[int] = set()
    for position, item in enumerate(items):
        same = good.get((item.created_by_ref, item.pattern))
        if same and position not in same and _indicator_types(item) & _MALICIOUS:
            told.update((position, *same))
    yield from sorted(told)


def _indicator_types(item: StixObject) -> set[str]:
    types = item.properties().get("indicator_types")
    return {str(one) for one in types} if isinstance(types, list) else set()


def _warned(items: Sequence[StixObject], warn: Warn) -> Iterator[tuple[int, QualityLabel]]:
    """Yield the positions of indicators whose only values stand on warning lists."""
    places: dict[tuple[str, str], list[int]] = {}
    for position, item in enumerate(items):
        if item.type != "indicator" or item.pattern_type != "stix" or not item.pattern:
            continue
        if _USUAL.fullmatch(item.pattern):
            path, _, text = item.pattern.partition(" = '")
            kind = path.strip("[ ").partition("." if ":hashes" in path else ":value")[0]
            places.setdefault((kind, text[: text.rindex("'")]), []).append(position)
            continue
        if "AND" in item.pattern and _ALL_OF.search(_TEXTS.sub(r"'\1", item.pattern)):
            continue
        for comparison in pattern_comparisons(item.pattern):
            if not comparison.negated and comparison.operator in ("=", "IN"):
                places.setdefault((comparison.type, comparison.value), []).append(position)
    for pair, names in warn(list(places)).items():
        for position in places[pair]:
            yield position, _label("listed", pair[1], names)
