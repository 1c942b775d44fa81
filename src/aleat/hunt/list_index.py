"""An index over the entries of indicator lists: which entries does a cell's text hold?

Preparation turns every entry into one or a few *keys*, texts with a letter for their kind: "d:evil.example",
"4:198.51.100.0/24". A text's observables are turned into all keys that could name them (a domain's parents,
an address's networks, a URL's and a path's beginnings), so that every comparison is a look-up: eight bytes an
entry in a sorted array of hashes, then the key itself to be sure. A million entries cost about 60 MB.

What entries match: a *domain* itself and its subdomains; a *network* its addresses; a *URL* itself and what
lies below it or is asked of it; an *e-mail address*, a *hash*, a *CVE number* themselves; a *file name* the
last part of a path, or a word; a *path* itself, also within free text; a *registry key* itself and what lies
below it; a *text* and a *regular expression* whatever holds them; anything else the whole cell. All without
case, but for regular expressions. Entries that mean nothing (`data/list_values.toml`) and values that can't be
read are not matched: `rejected` names each of them. Values that a STIX pattern names alone (pattern type
"stix", or "stix-part" for patterns over several events) are looked up like a list's, but exactly: no
subdomains, nothing below a URL, and no value is taken for meaningless that somebody wrote a pattern for.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from copy import copy
from typing import Any

import msgspec
import numpy as np
import polars as pl

from aleat.errors import PatternError
from aleat.hunt.expression import Regex, Text
from aleat.hunt.indicator import Indicator, ListEntry, NotEvaluated, Sighting
from aleat.hunt.list_keys import candidate_keys, entry_keys, meaningless_label, registry_candidates
from aleat.hunt.matcher import Matcher
from aleat.hunt.observables import extract_in_chunks
from aleat.hunt.regexes import translate

__all__ = ["ListIndex"]

_SEARCHED = frozenset({"text", "regex"})
_SHORTEST_TEXT = 4
_KIND_OF_KEY = {
    "4": "ipv4-addr",
    "6": "ipv6-addr",
    "d": "domain-name",
    "u": "url",
    "e": "domain-name",
    "w": "url",
    "m": "email-addr",
    "h": "file:hashes",
    "v": "vulnerability",
    "n": "file:name",
    "p": "file:path",
    "t": "file:path",
}

# Observables that have one key only: looked for without a step through Python.
_SIMPLE = pl.DataFrame(
    {
        "kind": ["email-addr", "file:hashes", "file:name", "vulnerability"],
        "letter": ["m:", "h:", "n:", "v:"],
    }
)


class ListIndex:
    """The entries of the given lists, prepared once; `lookup` finds them in texts. Passes between processes."""

    def __init__(self, indicators: Iterable[Indicator]) -> None:
        self.indicators = tuple(item for item in indicators if item.entries)
        self._parts = frozenset(item.digest for item in self.indicators if item.pattern_type == "stix-part")
        keys: list[str] = []
        owners: list[int] = []
        lists: list[int] = []
        values: list[str] = []
        contexts: list[str] = []
        rejected: list[tuple[str, NotEvaluated]] = []
        tests: list[tuple[int, Text | Regex]] = []
        for number, indicator in enumerate(self.indicators):
            seen: set[tuple[str, str]] = set()
            for entry in indicator.entries:
                if (entry.type, entry.value) in seen:
                    continue
                seen.add((entry.type, entry.value))
                found, fault = _checked_keys(entry, explicit=indicator.pattern_type != "aleat-list")
                test = None
                if entry.type in _SEARCHED:
                    found, (test, fault) = [], _checked_test(entry)
                if fault:
                    rejected.append((indicator.digest, _rejection(indicator, entry, *fault)))
                    continue
                if test is not None:
                    tests.append((len(values), test))
                keys += found
                owners += [len(values)] * len(found)
                lists.append(number)
                values.append(entry.value)
                contexts.append(entry.context)
        self.rejected: tuple[tuple[str, NotEvaluated], ...] = tuple(rejected)
        self._lists = np.asarray(lists, dtype=np.int32)
        self._values = pl.Series(values, dtype=pl.String)
        self._contexts = pl.Series(contexts, dtype=pl.String)
        self._addresses = np.zeros(len(values), dtype=np.bool_)
        self._addresses[[owner for owner, key in zip(owners, keys, strict=True) if key[0] in "46"]] = True
        self._tests = tuple(tests)
        self._arrange(pl.Series(keys, dtype=pl.String), np.asarray(owners, dtype=np.int32))

    def __len__(self) -> int:
        return len(self._values)

    @property
    def not_evaluated(self) -> tuple[NotEvaluated, ...]:
        """The entries that aren't matched, and why."""
        return tuple(row for _, row in self.rejected)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the hashes out, and the entries' own objects: they are in the columns."""
        light = tuple(msgspec.structs.replace(item, entries=()) for item in self.indicators)
        return {**self.__dict__, "indicators": light, "_hashes": None, "_matcher": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._arrange(self._keys, self._owners)

    def describe(self, entry: int) -> tuple[Indicator, str, str]:
        """Return the list that entry number `entry` stands in, its value as written there, and its context."""
        return self.indicators[int(self._lists[entry])], str(self._values[entry]), str(self._contexts[entry])

    def only(self, digests: Container[str]) -> ListIndex:
        """Return an index over those of the lists that have one of these digests."""
        numbers = [at for at, item in enumerate(self.indicators) if item.digest in digests]
        if len(numbers) == len(self.indicators):
            return self
        part = copy(self)
        keep = np.isin(self._lists, numbers)[self._owners] if len(self._lists) else np.zeros(0, np.bool_)
        part.rejected = ()
        part._tests = tuple((entry, test) for entry, test in self._tests if self._lists[entry] in numbers)
        part._arrange(self._keys.filter(pl.Series(keep, dtype=pl.Boolean)), self._owners[keep])
        return part

    def is_part(self, sighting: Sighting) -> bool:
        """Return whether a sighting of this index is of a part of a pattern over several events."""
        return sighting.rule_digest in self._parts

    def is_address(self, entry: int) -> bool:
        """Return whether entry number `entry` is an address or a network."""
        return bool(self._addresses[entry])

    def lookup(self, texts: Sequence[str]) -> dict[str, tuple[int, ...]]:
        """Return the numbers of the entries that each text holds, for those texts that hold any."""
        if not texts or not (len(self._keys) or self._tests):
            return {}
        series = pl.Series(texts, dtype=pl.String)
        found: dict[int, set[int]] = {}
        for observables in extract_in_chunks(series, self._kinds) if self._kinds else ():
            hits = self._find_observables(observables.select("kind", "value").unique(maintain_order=True))
            wanted = pl.DataFrame(list(hits), schema={"kind": pl.String, "value": pl.String}, orient="row")
            for row, kind, value in observables.join(wanted, on=["kind", "value"]).iter_rows():
                found.setdefault(row, set()).update(hits[kind, value])
        if "x" in self._letters:
            for row, entries in self._find([(number, f"x:{text.lower()}") for number, text in enumerate(texts)]):
                found.setdefault(row, set()).update(entries)
        if "r" in self._letters:
            keys = [(number, key) for number, text in enumerate(texts) for key in registry_candidates(text)]
            for row, entries in self._find(keys):
                found.setdefault(row, set()).update(entries)
        if self._matcher is not None:
            for row, numbers in enumerate(self._matcher.match(list(texts))):
                if numbers:
                    found.setdefault(row, set()).update(numbers)
        return {texts[row]: tuple(sorted(entries)) for row, entries in sorted(found.items())}

    def _arrange(self, keys: pl.Series, owners: np.ndarray[Any, np.dtype[np.int32]]) -> None:
        self._matcher: Matcher | None = None
        if self._tests:
            self._matcher = Matcher()
            for entry, test in self._tests:
                self._matcher.add(entry, test)
        hashes = keys.hash(seed=0).to_numpy()
        order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[order]
        self._keys = keys.gather(order)
        self._owners = owners[order]
        self._letters = frozenset(keys.str.head(1).unique().to_list())
        self._kinds = frozenset(_KIND_OF_KEY[letter] for letter in self._letters if letter in _KIND_OF_KEY)
        self._prefixes = {family: self._prefix_lengths(family) for family in "46"}

    def _prefix_lengths(self, family: str) -> tuple[int, ...]:
        keys = self._keys.filter(self._keys.str.starts_with(f"{family}:"))
        lengths = keys.str.split("/").list.last().unique().to_list()
        return tuple(sorted(int(length) for length in lengths))

    def _find_observables(self, distinct: pl.DataFrame) -> dict[tuple[str, str], set[int]]:
        simple = distinct.join(_SIMPLE, on="kind").select("kind", "value", key=pl.col("letter") + pl.col("value"))
        hashes = simple["key"].hash(seed=0).to_numpy()
        candidates = [((kind, value), key) for kind, value, key in simple.filter(self._known(hashes)).iter_rows()]
        candidates += [
            ((kind, value), key)
            for kind, value in distinct.join(_SIMPLE, on="kind", how="anti").iter_rows()
            for key in candidate_keys(kind, value, self._prefixes, "t" in self._letters)
        ]
        found: dict[tuple[str, str], set[int]] = {}
        for observable, entries in self._find(candidates):
            found.setdefault(observable, set()).update(entries)
        return found

    def _known(self, hashes: np.ndarray[Any, np.dtype[np.uint64]]) -> np.ndarray[Any, np.dtype[np.bool_]]:
        at = np.searchsorted(self._hashes, hashes)
        known: np.ndarray[Any, np.dtype[np.bool_]] = self._hashes[np.minimum(at, len(self._hashes) - 1)] == hashes
        return known

    def _find(self, candidates: Sequence[tuple[Any, str]]) -> Iterator[tuple[Any, list[int]]]:
        """Yield what stands beside each candidate key that the index holds, with the owners of the key."""
        if not candidates:
            return
        hashes = pl.Series([key for _, key in candidates], dtype=pl.String).hash(seed=0).to_numpy()
        first = np.searchsorted(self._hashes, hashes, "left")
        last = np.searchsorted(self._hashes, hashes, "right")
        for at in np.flatnonzero(last > first).tolist():
            beside, key = candidates[at]
            owners = [int(self._owners[n]) for n in range(first[at], last[at]) if self._keys[n] == key]
            if owners:
                yield beside, owners


def _checked_keys(entry: ListEntry, explicit: bool) -> tuple[list[str], tuple[str, str] | None]:
    keys = entry_keys(entry)
    if not keys:
        return [], ("list-value", f"The value can't be read as {entry.type!r}.")
    label = None if explicit else meaningless_label(keys)
    if label:
        return [], ("meaningless", f"The value means nothing wherever it occurs: {label}.")
    return keys, None


def _checked_test(entry: ListEntry) -> tuple[Text | Regex | None, tuple[str, str] | None]:
    """Return what is looked for in any text, or why it isn't."""
    if entry.type == "text":
        if len(entry.value) < _SHORTEST_TEXT:
            return None, ("meaningless", f"A text of fewer than {_SHORTEST_TEXT} characters is found everywhere.")
        return Text("contains", entry.value), None
    try:
        return Regex(translate(entry.value, "s").pattern, "s"), None
    except PatternError as error:
        return None, (error.code, error.reason)


def _rejection(indicator: Indicator, entry: ListEntry, code: str, reason: str) -> NotEvaluated:
    return NotEvaluated(f"{indicator.id}#{entry.value}", indicator.title, indicator.place, code, reason, True)
