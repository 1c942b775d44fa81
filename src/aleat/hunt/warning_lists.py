"""Values that mean nothing wherever they occur: the project's own few, and the warning lists that somebody gave.

An ally's list may name a public resolver, an empty file's hash or a private address. Such an entry is looked for
like any other; its sightings get a label, "warning list: " and the names of the lists that it stands on, in
`Sighting.hidden_by`. They are kept and counted apart, and are no hits. A label is a view: it is set anew each time
sightings are brought together, so that a list that comes later labels what was found before.

Labelled are entries of indicator lists, but for regular expressions; not STIX patterns: somebody wrote each of those
for its value. A list's type says how it is compared, as MISP does (README of misp-warninglists, "type of warning
list"): *string*, the same text; *substring*, any part of it; *hostname*, the host, a domain above it, also of a
URL; *cidr*, an address or a network within one of the list's; *regex*, a match anywhere. Its matching attributes say
which types of value it is about (`data/warning_attributes.toml`); without any it is about all. Texts are compared
as they stand, but hosts, hashes and e-mail addresses without case.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from importlib import resources
from typing import Any

import msgspec
import numpy as np
import polars as pl

from aleat.errors import PatternError, Place
from aleat.hunt.expression import Regex
from aleat.hunt.indicator import ListEntry, NotEvaluated
from aleat.hunt.list_keys import entry_keys, meaningless_label, meaningless_values, network_keys
from aleat.hunt.list_prepare import Keys, hash_keys, pack, prepare
from aleat.hunt.matcher import Matcher
from aleat.hunt.observables import normalise_domain, normalise_url
from aleat.hunt.regexes import translate
from aleat.store.entries import EntryRows

__all__ = ["MATCHES", "WARNING_LABEL", "WarningIndex", "WarningList", "refused_expressions"]

WARNING_LABEL = "warning list: "
"""What `Sighting.hidden_by` begins with where an entry means nothing; the lists' names follow."""

MATCHES = ("string", "substring", "hostname", "cidr", "regex")
"""The types of MISP's warning lists."""

MAXIMUM_SEARCHED = 100_000
"""Substrings, or regular expressions, of one list that are looked for."""

_FOLDED = frozenset({"domain-name", "email-addr", "file:hashes", "ipv6-addr"})
_NETWORKS = frozenset({"ipv4-addr", "ipv6-addr"})
_DELIMITED = re.compile(r"([^\w\s\\])(.*)\1([a-zA-Z]*)", re.DOTALL)
_FLAGS = frozenset("ims")
_DOTTED = re.compile(r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}")
_KEPT = 100_000

Mask = np.ndarray[Any, np.dtype[np.bool_]]
"""One truth for each of many values."""


class WarningList(msgspec.Struct, frozen=True):
    """A list of values that mean nothing: its name, how it is compared (`MATCHES`), and with what (MISP's types)."""

    name: str
    match: str
    attributes: tuple[str, ...]
    place: Place
    version: str = ""
    source: str = ""
    ref: str = ""
    rows: EntryRows | None = None


class WarningIndex:
    """Tells which warning lists a value stands on. Nothing is read before the first question."""

    def __init__(self, lists: Iterable[WarningList]) -> None:
        self._given = sorted(lists, key=lambda item: (item.name, item.ref))
        self._known: dict[tuple[str, str], str | None] = {}

    def label(self, type_: str, value: str) -> str | None:
        """Return the label of an entry of an indicator list that means nothing, else None."""
        if type_ == "regex":
            return None
        key = (type_, value)
        if key not in self._known:
            if len(self._known) >= _KEPT:
                self._known.clear()
            names = dict.fromkeys(self._names(type_, value))
            self._known[key] = WARNING_LABEL + "; ".join(names) if names else None
        return self._known[key]

    def names(self, pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """Return, of many (type, value) pairs, those that mean nothing, each with the names of what it stands on.

        Each list is asked once for all of them; what remains is looked at one by one.
        """
        if not pairs:
            return {}
        values = pl.Series([value for _, value in pairs], dtype=pl.String)
        found: dict[int, dict[str, None]] = {}
        for place, (type_, value) in enumerate(pairs):
            own = None
            if value.lower() in meaningless_values():
                own = meaningless_label(entry_keys(ListEntry(type_, value)))
            if own:
                found.setdefault(place, {})[own] = None
        for item in self._lists:
            for place in np.flatnonzero(item.candidates(pairs, values)).tolist():
                type_, value = pairs[place]
                if (not item.about or item.about & _attributes(type_, value)) and item.holds(type_, value):
                    found.setdefault(place, {})[item.name] = None
        return {pairs[place]: "; ".join(names) for place, names in found.items()}

    @cached_property
    def _lists(self) -> list[_Comparison]:
        return [_COMPARISONS[item.match](item) for item in self._given if item.match in _COMPARISONS]

    def _names(self, type_: str, value: str) -> Iterator[str]:
        own = meaningless_label(entry_keys(ListEntry(type_, value))) if type_ != "text" else None
        if own:
            yield own
        attributes = _attributes(type_, value)
        for item in self._lists:
            if (not item.about or item.about & attributes) and item.holds(type_, value):
                yield item.name


def refused_expressions(lists: Iterable[WarningList]) -> Iterator[NotEvaluated]:
    """Yield the regular expressions of warning lists that no linear engine can do, and what is beyond the limits."""
    for item in lists:
        if item.rows is None or item.match not in {"regex", "substring"}:
            continue
        for row, value in _first_values(item.rows) if item.match == "regex" else ():
            try:
                _expression(value)
            except PatternError as error:
                name = f"{item.name}#{row}"
                yield NotEvaluated(name, f"Warning list {item.name}", item.place, error.code, error.reason, True)
        if item.rows.count > MAXIMUM_SEARCHED:
            reason = f"Of its {item.rows.count} values the first {MAXIMUM_SEARCHED} are looked for."
            yield NotEvaluated(item.name, f"Warning list {item.name}", item.place, "limit", reason, True)


class _Comparison:
    """A warning list made ready: `holds` tells whether a value stands on it."""

    def __init__(self, item: WarningList) -> None:
        assert item.rows is not None  # noqa: S101 - lists without rows are not given
        self.name = item.name
        self.about = frozenset() if "ALL" in item.attributes else frozenset(item.attributes)
        self.rows = item.rows

    def holds(self, type_: str, value: str) -> bool:
        raise NotImplementedError

    def candidates(self, pairs: Sequence[tuple[str, str]], values: pl.Series) -> Mask:
        """Return for each of many values whether `holds` has to be asked."""
        return np.ones(len(pairs), dtype=np.bool_)


class _Texts(_Comparison):
    """The same text."""

    @cached_property
    def keys(self) -> Keys:
        bits = max(self.rows.count, 1).bit_length()
        packed = []
        start = 0
        for table in self.rows.blocks():
            texts = pl.Series(table.column("value").chunk(0), dtype=pl.String)
            hashes = hash_keys(self.folded(texts))
            packed.append(pack(hashes, np.arange(start, start + len(hashes)), bits))
            start += len(hashes)
        return Keys.of(np.concatenate(packed), bits) if packed else Keys(np.zeros(0, dtype=np.uint64), bits)

    def folded(self, texts: pl.Series) -> pl.Series:
        """Return texts as they are looked up."""
        return texts.str.to_lowercase()

    def found(self, texts: Sequence[str]) -> Iterator[str]:
        """Yield the list's values that may be one of these texts."""
        hashes = hash_keys(self.folded(pl.Series(texts, dtype=pl.String)))
        for _, rows in self.keys.rows_of(hashes):
            yield from (text for _, text, _ in self.rows.take(rows))

    def candidates(self, pairs: Sequence[tuple[str, str]], values: pl.Series) -> Mask:
        return self.keys.has(hash_keys(self.folded(values)))

    def holds(self, type_: str, value: str) -> bool:
        texts = [value, value.removeprefix("*")] if type_ == "domain-name" else [value]
        wanted = {text.lower() for text in texts} if type_ in _FOLDED else set(texts)
        return any((text.lower() if type_ in _FOLDED else text) in wanted for text in self.found(texts))


class _Hosts(_Texts):
    """A host, or a domain above it."""

    def folded(self, texts: pl.Series) -> pl.Series:
        return texts.str.strip_chars(".").str.to_lowercase()

    def candidates(self, pairs: Sequence[tuple[str, str]], values: pl.Series) -> Mask:
        above: list[str] = []
        places: list[int] = []
        for place, pair in enumerate(pairs):
            labels = _host(*pair).split(".")
            above += (".".join(labels[start:]) for start in range(len(labels)))
            places += [place] * len(labels)
        found = np.zeros(len(pairs), dtype=np.bool_)
        found[np.array(places, dtype=np.int64)[self.keys.has(hash_keys(above))]] = True
        return found

    def holds(self, type_: str, value: str) -> bool:
        host = _host(type_, value)
        labels = host.split(".") if host else []
        above = [".".join(labels[start:]) for start in range(len(labels))]
        return bool(above) and any(text.strip(".").lower() in above for text in self.found(above))


class _Networks(_Comparison):
    """An address or a network within one of the list's."""

    @cached_property
    def keys(self) -> tuple[Keys, dict[str, tuple[int, ...]]]:
        made = prepare(self.rows, every=True)
        return made.keys, made.parts.lengths

    def candidates(self, pairs: Sequence[tuple[str, str]], values: pl.Series) -> Mask:
        keys, lengths = self.keys
        found = np.array([type_ in _NETWORKS for type_, _ in pairs], dtype=np.bool_)
        plain = [place for place in np.flatnonzero(found).tolist() if _DOTTED.fullmatch(pairs[place][1])]
        octets = values.gather(plain).str.split_exact(".", 3).struct.unnest().cast(pl.UInt32, strict=False)
        numbers = octets.fill_null(0).to_numpy().astype(np.int64) @ np.array([1 << 24, 1 << 16, 1 << 8, 1])
        found[plain] = False
        for length in lengths["4"]:
            texts = pl.Series(numbers >> (32 - length) << (32 - length)).cast(pl.String)
            inside = keys.has(hash_keys("4:" + texts + f"/{length}"))
            found[np.array(plain, dtype=np.int64)[inside]] = True
        return found

    def holds(self, type_: str, value: str) -> bool:
        networks = [key for key in entry_keys(ListEntry(type_, value)) if key[0] in "46"]
        return bool(networks) and type_ in _NETWORKS and all(map(self._within, networks))

    def _within(self, network: str) -> bool:
        keys, lengths = self.keys
        first, _, length = network[2:].rpartition("/")
        shorter = [known for known in lengths[network[0]] if known <= int(length)]
        above = list(network_keys(network[0], int(first), shorter))
        for _, rows in keys.rows_of(hash_keys(above)) if above else ():
            for kind, text, _ in self.rows.take(rows):
                if not set(above).isdisjoint(entry_keys(ListEntry(kind, text))):
                    return True
        return False


class _Substrings(_Comparison):
    """Any part of a text."""

    @cached_property
    def texts(self) -> list[str]:
        return [text for _, text in _first_values(self.rows) if text]

    def candidates(self, pairs: Sequence[tuple[str, str]], values: pl.Series) -> Mask:
        texts = [text.lower() for text in self.texts]
        found: Mask = values.str.to_lowercase().str.contains_any(texts).to_numpy() if texts else _none(pairs)
        return found

    def holds(self, type_: str, value: str) -> bool:
        if type_ in _FOLDED:
            folded = value.lower()
            return any(text.lower() in folded for text in self.texts)
        return any(text in value for text in self.texts)


class _Expressions(_Comparison):
    """A regular expression that matches anywhere."""

    @cached_property
    def matcher(self) -> Matcher:
        matcher = Matcher()
        for row, text in _first_values(self.rows):
            try:
                matcher.add(row, _expression(text))
            except PatternError:  # named by `refused_expressions`
                continue
        return matcher

    def candidates(self, pairs: Sequence[tuple[str, str]], values: pl.Series) -> Mask:
        return np.array([bool(found) for found in self.matcher.match(values.to_list())], dtype=np.bool_)

    def holds(self, type_: str, value: str) -> bool:
        return bool(self.matcher.match([value])[0])


_COMPARISONS: dict[str, type[_Comparison]] = {
    "string": _Texts,
    "substring": _Substrings,
    "hostname": _Hosts,
    "cidr": _Networks,
    "regex": _Expressions,
}


def _none(pairs: Sequence[tuple[str, str]]) -> Mask:
    return np.zeros(len(pairs), dtype=np.bool_)


def _first_values(rows: EntryRows) -> Iterator[tuple[int, str]]:
    """Yield (row, value) of the first `MAXIMUM_SEARCHED` rows."""
    count = 0
    for table in rows.blocks():
        for text in table.column("value").to_pylist():
            if count >= MAXIMUM_SEARCHED:
                return
            yield count, text
            count += 1


def _expression(text: str) -> Regex:
    """Return a regular expression as PHP writes them (``/…/i``); raises `PatternError` for what can't be done."""
    parts = _DELIMITED.fullmatch(text.strip())
    pattern, flags = (parts[2], parts[3]) if parts else (text, "")
    unknown = sorted(set(flags) - _FLAGS - {"u"})
    if unknown:
        raise PatternError(f"the flags {', '.join(unknown)} of a regular expression are not known")
    kept = "".join(sorted(set(flags) & _FLAGS))
    return Regex(translate(pattern, kept).pattern, kept)


def _host(type_: str, value: str) -> str:
    """Return the host in a domain, an address or a URL in lower case, else the empty string."""
    if type_ == "domain-name":
        return normalise_domain(value.removeprefix("*").lstrip(".")) or ""
    if type_ == "url":
        url = normalise_url(value) or ""
        return url.partition("/")[0].partition("?")[0].partition(":")[0]
    return value.lower() if type_ in _NETWORKS else ""


def _attributes(type_: str, value: str) -> frozenset[str]:
    table = _attribute_table()
    if "hashes" in type_:
        return frozenset(table["hashes"].get(str(len(value)), ()))
    return frozenset(table["kinds"].get(type_, ()))


@lru_cache(maxsize=1)
def _attribute_table() -> dict[str, Any]:
    return tomllib.loads(resources.files("aleat.hunt").joinpath("data/warning_attributes.toml").read_text("utf-8"))
