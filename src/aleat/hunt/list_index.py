"""An index over the entries of indicator lists: which entries does a cell's text hold?

Preparation turns every entry into one or a few *keys*, texts with a letter for their kind: "d:evil.example",
"4:3325256704/24". A text's observables are turned into all keys that could name them (a domain's parents,
an address's networks, a URL's and a path's beginnings), so that every comparison is a look-up: eight bytes an
entry in a sorted array of hashes, then the entry itself to be sure. Ten million entries cost 120 MB; the entries
stay where they are (`aleat.store.entries.EntryRows`), and only those that are found become objects. What was
prepared from a workspace's long list is kept beside it, and opened the next time (`aleat.store.prepared`).

What entries match: a *domain* itself and its subdomains; a *network* its addresses; a *URL* itself and what
lies below it or is asked of it; an *e-mail address*, a *hash*, a *CVE number* themselves; a *file name* the
last part of a path, or a word; a *path* itself, also within free text; a *registry key* itself and what lies
below it; a *text* and a *regular expression* whatever holds them; anything else the whole cell. All without
case, but for regular expressions. Values that can't be read, and networks wider than any owner's, are not
matched: `rejected` names each of them. Values that mean nothing are matched: their sightings are labelled
(`aleat.hunt.warnings`). Values that a STIX pattern names alone (pattern type "stix", or "stix-part" for patterns
over several events) are looked up like a list's, but exactly: no subdomains, nothing below a URL.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Container, Iterable, Iterator, Sequence
from copy import copy
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from aleat.errors import IntegrityError, PatternError
from aleat.hunt.expression import Regex, Text
from aleat.hunt.indicator import Indicator, ListEntry, NotEvaluated, Sighting
from aleat.hunt.list_keys import candidate_keys, entry_keys, registry_candidates
from aleat.hunt.list_prepare import (
    Hashes,
    Keys,
    Prepared,
    Rejected,
    hash_keys,
    pack,
    prepare,
    prepare_entries,
    prepared_version,
)
from aleat.hunt.matcher import Matcher
from aleat.hunt.observables import extract_in_chunks
from aleat.hunt.regexes import translate
from aleat.store.database import Database
from aleat.store.entries import StoredRows
from aleat.store.prepared import open_prepared, put_prepared
from aleat.text import composed

__all__ = ["ListIndex"]

LONG = 20_000
"""Entries from which on a list is looked into by itself, and what was prepared from a stored one is kept."""

_KEPT_ENTRIES = 100_000
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


class _Entry(NamedTuple):
    """An entry that was found: its list's position, what it says, and its keys."""

    list: int
    type: str
    value: str
    context: str
    keys: frozenset[str]


class _Part(NamedTuple):
    """Keys that are looked into together: one list's, or (`list` is -1) those of all short ones.

    `start` is added to their rows to give entries' numbers.
    """

    keys: Keys
    start: int
    list: int = -1


class ListIndex:
    """The entries of the given lists, prepared once; `lookup` finds them in texts. Passes between processes.

    Entries are numbered through all lists. With the `database` of the workspace that holds the lists, what was
    prepared from long ones is taken from its cache, or put there.
    """

    def __init__(self, indicators: Iterable[Indicator], database: Database | None = None) -> None:
        self.indicators = tuple(item for item in indicators if item.entries or item.rows is not None)
        self._patterns = frozenset(item.digest for item in self.indicators if item.pattern_type == "stix-part")
        counts = [_count(item) for item in self.indicators]
        self._starts = [0, *np.cumsum(counts, dtype=np.int64).tolist()]
        self._rejected_count = 0
        self._parts: list[_Part] = []
        rejected: list[tuple[str, NotEvaluated]] = []
        small: list[tuple[Keys, int]] = []
        tests: list[tuple[int, Text | Regex]] = []
        letters: set[str] = set()
        lengths: dict[str, set[int]] = {"4": set(), "6": set()}
        for number, indicator in enumerate(self.indicators):
            start = self._starts[number]
            try:
                made = _prepared(indicator, database)
            except IntegrityError as error:
                row = NotEvaluated(indicator.id, indicator.title, indicator.place, "list-rows", str(error))
                rejected.append((indicator.digest, row))
                self._rejected_count += counts[number]
                continue
            letters.update(made.parts.letters)
            for family, found in made.parts.lengths.items():
                lengths[family].update(found)
            if counts[number] >= LONG:
                self._parts.append(_Part(made.keys, start, number))
            elif len(made.keys.packed):
                small.append((made.keys, start))
            named = [*made.parts.rejected, *self._add_tests(number, made, tests)]
            self._rejected_count += len(named) + made.parts.more_rejected + made.parts.more_tests
            rejected += [(indicator.digest, row) for row in self._rejections(number, made, named)]
        if small:
            self._parts.append(_Part(_joined(small, self._starts[-1]), 0))
        self.rejected: tuple[tuple[str, NotEvaluated], ...] = tuple(rejected)
        self._tests = tuple(tests)
        self._letters = frozenset(letters)
        self._kinds = frozenset(_KIND_OF_KEY[letter] for letter in letters if letter in _KIND_OF_KEY)
        self._prefixes = {family: tuple(sorted(found)) for family, found in lengths.items()}
        self._make_ready()

    def __len__(self) -> int:
        return int(self._starts[-1]) - self._rejected_count

    @property
    def not_evaluated(self) -> tuple[NotEvaluated, ...]:
        """The entries that aren't matched, and why."""
        return tuple(row for _, row in self.rejected)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is made again."""
        return {**self.__dict__, "_matcher": None, "_entries": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._make_ready()

    def describe(self, entry: int) -> tuple[Indicator, ListEntry]:
        """Return the list that entry number `entry` stands in, and the entry as written there."""
        found = self._entry(entry)
        return self.indicators[found.list], ListEntry(found.type, found.value, found.context)

    def only(self, digests: Container[str]) -> ListIndex:
        """Return an index over those of the lists that have one of these digests."""
        numbers = [at for at, item in enumerate(self.indicators) if item.digest in digests]
        if len(numbers) == len(self.indicators):
            return self
        part = copy(self)
        part.rejected = ()
        wanted = np.zeros(len(self.indicators), dtype=np.bool_)
        wanted[numbers] = True
        part._parts = []
        for found in self._parts:
            if found.list >= 0:
                part._parts += [found] if wanted[found.list] else []
                continue
            rows = found.keys.packed & np.uint64((1 << found.keys.bits) - 1)
            keep = wanted[np.searchsorted(self._starts, rows, "right") - 1]
            if keep.any():
                part._parts.append(_Part(Keys(found.keys.packed[keep], found.keys.bits), 0))
        part._tests = tuple((entry, test) for entry, test in self._tests if wanted[self._list_of(entry)])
        part._make_ready()
        return part

    def is_part(self, sighting: Sighting) -> bool:
        """Return whether a sighting of this index is of a part of a pattern over several events."""
        return sighting.rule_digest in self._patterns

    def is_address(self, entry: int) -> bool:
        """Return whether entry number `entry` is an address or a network."""
        return any(key[0] in "46" for key in self._entry(entry).keys)

    def lookup(self, texts: Sequence[str]) -> dict[str, tuple[int, ...]]:
        """Return the numbers of the entries that each text holds, for those texts that hold any."""
        if not texts or not (self._parts or self._tests):
            return {}
        series = pl.Series(texts, dtype=pl.String)
        found: dict[int, set[int]] = {}
        for observables in extract_in_chunks(series, self._kinds) if self._kinds else ():
            hits = self._find_observables(observables.select("kind", "value").unique(maintain_order=True))
            wanted = pl.DataFrame(list(hits), schema={"kind": pl.String, "value": pl.String}, orient="row")
            for row, kind, value in observables.join(wanted, on=["kind", "value"]).iter_rows():
                found.setdefault(row, set()).update(hits[kind, value])
        if "x" in self._letters:
            whole = [(number, f"x:{composed(text).lower()}") for number, text in enumerate(texts)]
            for row, entries in self._find(whole):
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

    def _make_ready(self) -> None:
        self._entries: dict[int, _Entry] = {}
        self._checked: set[int] = set()
        self._matcher: Matcher | None = None
        if self._tests:
            self._matcher = Matcher()
            for entry, test in self._tests:
                self._matcher.add(entry, test)

    def _list_of(self, entry: int) -> int:
        return bisect_right(self._starts, entry) - 1

    def _entry(self, number: int) -> _Entry:
        found = self._entries.get(number)
        return found if found is not None else self._load([number])[number]

    def _load(self, numbers: Iterable[int]) -> dict[int, _Entry]:
        """Return entries by number: those that aren't known yet are read from their rows."""
        if len(self._entries) > _KEPT_ENTRIES:
            self._entries.clear()
        wanted: dict[int, list[int]] = {}
        for number in sorted({number for number in numbers if number not in self._entries}):
            wanted.setdefault(self._list_of(number), []).append(number)
        for place, entries in wanted.items():
            rows = [number - self._starts[place] for number in entries]
            for number, (type_, value, context) in zip(entries, self._rows(place, rows), strict=True):
                keys = frozenset(() if type_ in _SEARCHED else entry_keys(ListEntry(type_, value)))
                self._entries[number] = _Entry(place, type_, value, context, keys)
        return self._entries

    def _rows(self, place: int, rows: Sequence[int]) -> list[tuple[str, str, str]]:
        indicator = self.indicators[place]
        if not rows:
            return []
        if indicator.rows is not None:
            return indicator.rows.take(rows)
        entries = [indicator.entries[row] for row in rows]
        return [(entry.type, entry.value, entry.context) for entry in entries]

    def _find_observables(self, distinct: pl.DataFrame) -> dict[tuple[str, str], set[int]]:
        simple = distinct.join(_SIMPLE, on="kind").select("kind", "value", key=pl.col("letter") + pl.col("value"))
        known = self._known(hash_keys(simple["key"]))
        candidates = [((kind, value), key) for kind, value, key in simple.filter(known).iter_rows()]
        candidates += [
            ((kind, value), key)
            for kind, value in distinct.join(_SIMPLE, on="kind", how="anti").iter_rows()
            for key in candidate_keys(kind, value, self._prefixes, "t" in self._letters)
        ]
        found: dict[tuple[str, str], set[int]] = {}
        for observable, entries in self._find(candidates):
            found.setdefault(observable, set()).update(entries)
        return found

    def _known(self, hashes: Hashes) -> np.ndarray[Any, np.dtype[np.bool_]]:
        known = np.zeros(len(hashes), dtype=np.bool_)
        for part in self._parts:
            known |= part.keys.has(hashes)
        return known

    def _find(self, candidates: Sequence[tuple[Any, str]]) -> Iterator[tuple[Any, list[int]]]:
        """Yield what stands beside each candidate key that the index holds, with the entries that have the key."""
        if not candidates:
            return
        hashes = hash_keys([key for _, key in candidates])
        owners: dict[int, list[int]] = {}
        for part in self._parts:
            for at, rows in part.keys.rows_of(hashes):
                owners.setdefault(at, []).extend(row + part.start for row in rows)
        entries = self._load(number for numbers in owners.values() for number in numbers)
        for at in sorted(owners):
            beside, key = candidates[at]
            found: dict[tuple[int, str, str], int] = {}
            for number in sorted(owners[at]):
                entry = entries[number]
                if key in entry.keys:
                    found.setdefault((entry.list, entry.type, entry.value), number)  # a list may hold it twice
                else:
                    self._check(entry.list)
            if found:
                yield beside, list(found.values())

    def _check(self, place: int) -> None:
        """A hash that leads to another entry is chance, one in a hundred thousand: or the rows were changed."""
        rows = self.indicators[place].rows
        if rows is not None and place not in self._checked:
            self._checked.add(place)
            rows.check()

    def _add_tests(self, number: int, made: Prepared, tests: list[tuple[int, Text | Regex]]) -> list[Rejected]:
        """Add what is looked for in any text, and return what isn't."""
        rejected = []
        seen: set[tuple[str, str]] = set()
        for row, (type_, value, _) in zip(made.parts.tests, self._rows(number, made.parts.tests), strict=True):
            if (type_, value) in seen:
                continue
            seen.add((type_, value))
            test, fault = _checked_test(type_, value)
            if test is not None:
                tests.append((self._starts[number] + row, test))
            else:
                rejected.append(Rejected(row, *fault))
        return rejected

    def _rejections(self, number: int, made: Prepared, named: Sequence[Rejected]) -> Iterator[NotEvaluated]:
        indicator = self.indicators[number]
        for fault, (_, value, _) in zip(named, self._rows(number, [fault.row for fault in named]), strict=True):
            name = f"{indicator.id}#{value}"
            yield NotEvaluated(name, indicator.title, indicator.place, fault.code, fault.reason, True)
        for count, what in (
            (made.parts.more_rejected, "further values that can't be read"),
            (made.parts.more_tests, "further texts and regular expressions, beyond what one list is searched for"),
        ):
            if count:
                reason = f"{count} {what}, are not matched."
                yield NotEvaluated(indicator.id, indicator.title, indicator.place, "limit", reason, True)


def _count(indicator: Indicator) -> int:
    return indicator.rows.count if indicator.rows is not None else len(indicator.entries)


def _joined(small: Sequence[tuple[Keys, int]], count: int) -> Keys:
    """Return keys of short lists as keys of all: each with the number that its list's entries begin with."""
    bits = max(count, 1).bit_length()
    packed = []
    for keys, start in small:
        rows = (keys.packed & np.uint64((1 << keys.bits) - 1)).astype(np.int64)
        packed.append(pack(keys.packed, rows + start, bits))
    return Keys.of(np.concatenate(packed), bits)


def _prepared(indicator: Indicator, database: Database | None) -> Prepared:
    """Return a list made ready, from the workspace's cache where it is sound."""
    rows = indicator.rows
    if rows is None:
        return prepare_entries(indicator.entries, explicit=indicator.pattern_type != "aleat-list")
    if database is None or not isinstance(rows, StoredRows) or rows.count < LONG:
        return prepare(rows)
    version = prepared_version()
    data = open_prepared(database, rows.root, rows.digest, version)
    made = Prepared.from_bytes(data) if data is not None else None
    if made is None:
        made = prepare(rows)
        put_prepared(database, rows.root, rows.digest, version, made.to_bytes())
    return made


def _checked_test(type_: str, value: str) -> tuple[Text | Regex | None, tuple[str, str]]:
    """Return what is looked for in any text, or why it isn't."""
    if type_ == "text":
        if len(value) < _SHORTEST_TEXT:
            return None, ("meaningless", f"A text of fewer than {_SHORTEST_TEXT} characters is found everywhere.")
        return Text("contains", value), ("", "")
    try:
        return Regex(translate(value, "s").pattern, "s"), ("", "")
    except PatternError as error:
        return None, (error.code, error.reason)
