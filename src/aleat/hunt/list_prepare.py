"""The keys of a list's entries as hashes, made by whole columns: what `aleat.hunt.list_index` looks into.

Nearly all values of a list are in their usual form already; their keys follow by a few operations on columns. All
others go, one by one, through `aleat.hunt.list_keys.entry_keys`, which decides: both give the same keys, and a test
compares them. Kept are eight bytes a key, in ascending order: the first bits of its hash, then the number of its
row. The keys themselves are made again from the few entries whose hash was found.

What is prepared can be kept as bytes. It is bound to the program that made it: polars' hashes may differ between
its versions and between processors, so a file begins with the hashes of a few known texts.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pyarrow as pa

from aleat.hunt.indicator import ListEntry
from aleat.hunt.list_keys import entry_keys, keys_digest, too_wide
from aleat.knowledge.values import ipv6_number
from aleat.store.entries import EntryRows

__all__ = [
    "Hashes",
    "Keys",
    "Prepared",
    "PreparedParts",
    "Rejected",
    "hash_keys",
    "pack",
    "prepare",
    "prepare_entries",
    "prepared_version",
]

Hashes = np.ndarray[Any, np.dtype[np.uint64]]
Rows = np.ndarray[Any, np.dtype[np.int64]]

MAXIMUM_TESTS = {"text": 100_000, "regex": 20_000}
"""Texts and regular expressions of one list that are searched for; each costs a look at every new text."""
MAXIMUM_REJECTED = 1_000
"""Entries that are named one by one where they aren't matched; the rest is counted."""

_FORMAT = 1
_MAGIC = b"aleatlst"
_PROBES = ["", "a", "198.51.100.7", "d:evil.example", "x" * 33, "u:" + "y" * 70, "z" * 300, "ë" * 9]
_HASH_LENGTHS = [32, 40, 56, 64, 96, 128]
_HIVES = {
    "hklm": "hkey_local_machine",
    "hkcu": "hkey_current_user",
    "hkcr": "hkey_classes_root",
    "hkcc": "hkey_current_config",
    "hku": "hkey_users",
}

# Signs of defanging, and of much else that wants a closer look.
_ODD = r"(?i)[x*]{2}p|fxp|[\[({\]*\s\"'%]"
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?"
_DOMAIN = rf"(?:{_LABEL}\.)+[a-z][a-z0-9-]*[a-z0-9]"
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
_URL = rf"^(?:[a-z][a-z0-9+.-]*://)?(?:{_IPV4}|{_DOMAIN})(?::[0-9]+)?(?:[/?][^#]*)?$"


class Rejected(msgspec.Struct, frozen=True, gc=False):
    """An entry that is not matched, by its row, and why."""

    row: int
    code: str
    reason: str


class PreparedParts(msgspec.Struct, frozen=True):
    """What is prepared of a list beside its hashes.

    `letters` are the kinds of its keys, `lengths` the prefix lengths of its networks by "4" and "6"; `tests` the
    rows of texts and regular expressions; `rejected` are named, and `more_rejected` only counted.
    """

    letters: str = ""
    lengths: dict[str, tuple[int, ...]] = {}
    tests: tuple[int, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    more_rejected: int = 0
    more_tests: int = 0


@dataclass(frozen=True)
class Keys:
    """Hashes of keys and the rows that have them, packed: `bits` of each number are the row's, the rest the hash's."""

    packed: Hashes
    bits: int

    @classmethod
    def of(cls, packed: Hashes, bits: int) -> Keys:
        """Sort packed numbers, in place."""
        packed.sort()
        return cls(packed, bits)

    def rows_of(self, hashes: Hashes) -> Iterator[tuple[int, list[int]]]:
        """Yield (place, rows) for each hash that is here, by its place in `hashes`; some are of another key."""
        if not len(self.packed):
            return
        floor = hashes >> np.uint64(self.bits) << np.uint64(self.bits)
        rest = np.uint64((1 << self.bits) - 1)
        first = np.searchsorted(self.packed, floor, "left")
        last = np.searchsorted(self.packed, floor | rest, "right")
        for place in np.flatnonzero(last > first).tolist():
            yield place, (self.packed[first[place] : last[place]] & rest).tolist()

    def has(self, hashes: Hashes) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return for each hash whether it is here."""
        if not len(self.packed):
            return np.zeros(len(hashes), dtype=np.bool_)
        floor = hashes >> np.uint64(self.bits) << np.uint64(self.bits)
        at = np.minimum(np.searchsorted(self.packed, floor), len(self.packed) - 1)
        found: np.ndarray[Any, np.dtype[np.bool_]] = self.packed[at] >> np.uint64(self.bits) == floor >> np.uint64(
            self.bits
        )
        return found


def pack(hashes: Hashes, rows: Rows, bits: int) -> Hashes:
    """Return hashes and rows as numbers of `Keys`."""
    packed: Hashes = hashes >> np.uint64(bits) << np.uint64(bits) | rows.astype(np.uint64)
    return packed


@dataclass(frozen=True)
class Prepared:
    """A list made ready: its keys, and `parts`."""

    keys: Keys
    parts: PreparedParts

    def to_bytes(self) -> bytes:
        """Return all of it as bytes; `from_bytes` reads them."""
        head = (prepared_version(), _probe(), len(self.keys.packed), self.keys.bits, self.parts)
        header = msgspec.msgpack.encode(head)
        start = _MAGIC + struct.pack("<Q", len(header)) + header
        return b"".join((start, b"\0" * (-len(start) % 8), self.keys.packed.astype("<u8", copy=False).data))

    @classmethod
    def from_bytes(cls, data: memoryview) -> Prepared | None:
        """Return what `to_bytes` gave, without copying; None where it isn't, or another program's."""
        try:
            (length,) = struct.unpack_from("<Q", data, len(_MAGIC))
            start = len(_MAGIC) + 8
            version, probe, count, bits, parts = _decoder.decode(data[start : start + length])
            if bytes(data[: len(_MAGIC)]) != _MAGIC or version != prepared_version() or probe != _probe():
                return None
            start += length
            packed = np.frombuffer(data, dtype="<u8", count=count, offset=start + -start % 8)
        except (struct.error, ValueError, msgspec.MsgspecError):
            return None
        return cls(Keys(packed, bits), parts)


_decoder = msgspec.msgpack.Decoder(tuple[str, list[int], int, int, PreparedParts])


def prepared_version() -> str:
    """Return the version of what is prepared: of its form, the keys' meaning, and polars, whose hashes it holds."""
    return f"{_FORMAT}-{keys_digest()[:12]}-{pl.__version__}"


def hash_keys(keys: Sequence[str] | pl.Series) -> Hashes:
    """Return the hashes of keys."""
    series = keys if isinstance(keys, pl.Series) else pl.Series(keys, dtype=pl.String)
    hashes: Hashes = series.hash(seed=0).to_numpy()
    return hashes


@lru_cache(maxsize=1)
def _probe() -> list[int]:
    return [int(number) for number in hash_keys(_PROBES)]


def prepare(rows: EntryRows, *, every: bool = False) -> Prepared:
    """Prepare a list's rows (`every`: the widest networks too); raises `IntegrityError` where they can't be read."""
    maker = _Maker(rows.count, explicit=every)
    start = 0
    for table in rows.blocks():
        types = table.column("type").chunk(0)
        if not pa.types.is_dictionary(types.type):
            types = types.dictionary_encode()
        values = pl.Series(table.column("value").chunk(0), dtype=pl.String)
        maker.add(types.indices.to_numpy(), types.dictionary.to_pylist(), values, start)
        start += table.num_rows
    return maker.finish()


def prepare_entries(entries: Sequence[ListEntry], *, explicit: bool) -> Prepared:
    """Prepare entries that are objects; `explicit`: somebody wrote them one by one, and wants even the widest."""
    maker = _Maker(len(entries), explicit=explicit)
    for row, entry in enumerate(entries):
        maker.add_one(entry, row)
    return maker.finish()


class _Maker:
    """Collects hashes and rows; `_add_*` take the rows of one kind in a block."""

    def __init__(self, count: int, *, explicit: bool = False) -> None:
        self._bits = max(count, 1).bit_length()
        self._explicit = explicit
        self._packed: Hashes = np.empty(count, dtype=np.uint64)
        self._end = 0
        self._letters: set[str] = set()
        self._lengths: dict[str, set[int]] = {"4": set(), "6": set()}
        self._tests: list[int] = []
        self._searched = dict.fromkeys(MAXIMUM_TESTS, 0)
        self._rejected: list[Rejected] = []
        self._more = 0
        self._more_tests = 0

    def add(self, codes: np.ndarray[Any, np.dtype[Any]], types: Sequence[str], values: pl.Series, start: int) -> None:
        """Add a block, whose first row has the number `start`; `codes` are places in `types`."""
        for code, type_ in enumerate(types):
            at = np.flatnonzero(codes == code)
            if not len(at):
                continue
            numbers = at + start
            if type_ in MAXIMUM_TESTS:
                room = MAXIMUM_TESTS[type_] - self._searched[type_]
                taken = numbers[:room].tolist()
                self._searched[type_] += len(taken)
                self._tests += taken
                self._more_tests += len(numbers) - len(taken)
                continue
            of_type = values.gather(at)
            make = _COLUMNS.get(_kind(type_))
            left = np.ones(len(numbers), dtype=np.bool_)
            if make is not None:
                places, keys = make(of_type)
                left[places] = False
                self._put(keys, numbers[places])
            rest = np.flatnonzero(left)
            if len(rest):
                self._add_each(type_, of_type.gather(rest).to_list(), numbers[rest])

    def add_one(self, entry: ListEntry, row: int) -> None:
        """Add one entry, whose row has the number `row`."""
        if entry.type in MAXIMUM_TESTS:
            self._tests.append(row)
        else:
            self._add_each(entry.type, [entry.value], np.asarray([row], dtype=np.int64))

    def finish(self) -> Prepared:
        """Return what was collected."""
        parts = PreparedParts(
            "".join(sorted(self._letters)),
            {family: tuple(sorted(lengths)) for family, lengths in self._lengths.items()},
            tuple(self._tests),
            tuple(self._rejected),
            self._more,
            self._more_tests,
        )
        return Prepared(Keys.of(self._packed[: self._end], self._bits), parts)

    def _put(self, keys: pl.Series, rows: Rows) -> None:
        if not len(keys):
            return
        heads = keys.str.head(1).unique().to_list()
        self._letters.update(heads)
        for family in {"4", "6"}.intersection(heads):
            own = keys if len(heads) == 1 else keys.filter(keys.str.starts_with(f"{family}:"))
            self._lengths[family].update(int(tail.rpartition("/")[2]) for tail in own.str.tail(4).unique().to_list())
        end = self._end + len(keys)
        if end > len(self._packed):  # few entries have several keys
            self._packed = np.concatenate([self._packed, np.empty(end // 8 + len(keys), dtype=np.uint64)])
        self._packed[self._end : end] = pack(hash_keys(keys), rows, self._bits)
        self._end = end

    def _add_each(self, type_: str, values: list[str], numbers: Rows) -> None:
        keys: list[str] = []
        rows: list[int] = []
        for number, value in zip(numbers.tolist(), values, strict=True):
            found = entry_keys(ListEntry(type_, value))
            if not found:
                self._reject(number, "list-value", f"The value can't be read as {type_!r}.")
            elif not self._explicit and too_wide(found):
                self._reject(number, "meaningless", "The network is wider than any owner's.")
            else:
                keys += found
                rows += [number] * len(found)
        self._put(pl.Series(keys, dtype=pl.String), np.asarray(rows, dtype=np.int64))

    def _reject(self, row: int, code: str, reason: str) -> None:
        if len(self._rejected) < MAXIMUM_REJECTED:
            self._rejected.append(Rejected(row, code, reason))
        else:
            self._more += 1


def _kind(type_: str) -> str:
    kind = type_.lower()
    if "hashes" in kind:
        return "hashes"
    return "" if kind.endswith(":exact") else kind.partition(":")[0]


# ------------------------------------------------------------------------------------------------ by columns
# Each takes values and returns the places of those whose keys it can make, and the keys (one a value).

_Made = tuple[np.ndarray[Any, np.dtype[Any]], pl.Series]


def _chosen(values: pl.Series, mask: pl.Series) -> tuple[np.ndarray[Any, np.dtype[Any]], pl.Series]:
    places = mask.arg_true()
    return places.to_numpy(), values.gather(places)


def _plain(values: pl.Series) -> pl.Series:
    """Tell which values are ASCII in lower case and have no sign of anything unusual."""
    return (values.str.len_bytes() == values.str.len_chars()) & ~values.str.contains(_ODD)


def _hash_column(values: pl.Series) -> _Made:
    mask = values.str.len_bytes().is_in(_HASH_LENGTHS) & values.str.contains("^[0-9a-f]+$")
    places, found = _chosen(values, mask)
    return places, "h:" + found


def _cve_column(values: pl.Series) -> _Made:
    places, found = _chosen(values, values.str.contains("^(?i:cve)-[0-9]+-[0-9]+$"))
    return places, "v:" + found.str.to_lowercase()


def _domain_column(values: pl.Series) -> _Made:
    short = values.str.len_bytes() <= 63  # so is each label
    mask = short & values.str.contains(rf"^(?:\*\.)?{_DOMAIN}$") & ~values.str.contains("[x*]{2}p|fxp")
    places, found = _chosen(values, mask)
    return places, "d:" + found.str.strip_prefix("*.")


def _mail_column(values: pl.Series) -> _Made:
    lowered = values.str.to_lowercase()
    mask = (values.str.len_bytes() <= 63) & _plain(values) & lowered.str.contains(rf"^[^@]+@{_DOMAIN}$")
    places, found = _chosen(lowered, mask)
    return places, "m:" + found


def _url_column(values: pl.Series) -> _Made:
    lowered = values.str.to_lowercase()
    odd = values.str.contains(r"(?i)[x*]{2}p|fxp|[\[({\]*\s]|[.,;:!)'\"]$")
    ascii_ = values.str.len_bytes() == values.str.len_chars()
    likely, found = _chosen(lowered, ascii_ & ~odd & lowered.str.contains(_URL))
    found = found.str.replace("^[a-z][a-z0-9+.-]*://", "")
    host = found.str.extract("^([^/?:]*)", 1)
    places, found = _chosen(found, (host.str.len_bytes() <= 63) & ~found.str.contains("://", literal=True))
    if found.str.contains(":", literal=True).any():
        found = found.str.replace(r"^([^/?:]*):(?:80|443)([/?]|$)", "$1$2")
    return likely[places], "u:" + found.str.replace("^([^/?]*)/$", "$1")


def _file_column(values: pl.Series) -> _Made:
    odd = values.str.contains(r"(?i)[x*]{2}p|fxp|[\[({\]*\"'=]|^[%\s]|\s$|[0-9a-f]{32}$")
    ascii_ = values.str.len_bytes() == values.str.len_chars()
    likely, found = _chosen(values, ascii_ & ~odd)
    found = found.str.to_lowercase().str.replace_all(r"[\\/]+", "/").str.strip_suffix("/")
    places, found = _chosen(found, found != "")
    slashed = found.str.contains("/", literal=True)
    letter = slashed.to_frame("s").select(pl.when("s").then(pl.lit("p:")).otherwise(pl.lit("n:"))).to_series()
    return likely[places], letter + found


def _address_column(values: pl.Series) -> _Made:
    places, found = _chosen(values, values.str.contains(rf"^{_IPV4}(?:/(?:3[0-2]|[12][0-9]|[89]))?$"))
    if not len(found):
        return _wide_address_column(values)
    parts = found.str.splitn("/", 2).struct.unnest()
    octets = parts["field_0"].str.split_exact(".", 3).struct.unnest()
    bits = parts["field_1"].fill_null("32").cast(pl.UInt32).to_numpy()
    number = np.zeros(len(found), dtype=np.uint32)
    for name in octets.columns:
        number = (number << np.uint32(8)) | octets[name].cast(pl.UInt32).to_numpy()
    masks = (np.uint64(0xFFFFFFFF) << (np.uint64(32) - bits.astype(np.uint64))).astype(np.uint32)
    first = pl.Series(number & masks)
    keys = "4:" + first.cast(pl.String) + "/" + pl.Series(bits).cast(pl.String)
    others, more = _wide_address_column(values)
    return np.concatenate([places, others]), pl.concat([keys, more])


def _wide_address_column(values: pl.Series) -> _Made:
    """The same for IPv6, in hexadecimal groups alone; one by one, but without an object for an address."""
    likely = values.str.contains("^[0-9a-fA-F:]*:[0-9a-fA-F:]*:[0-9a-fA-F:]*(?:/[0-9]{2,3})?$").arg_true()
    places: list[int] = []
    keys: list[str] = []
    for place, value in zip(likely.to_list(), values.gather(likely).to_list(), strict=True):
        address, slash, prefix = value.partition("/")
        bits = int(prefix) if slash else 128
        number = ipv6_number(address) if 20 <= bits <= 128 else None
        if number is not None:
            rest = 128 - bits
            places.append(place)
            keys.append(f"6:{number >> rest << rest}/{bits}")
    return np.asarray(places, dtype=np.int64), pl.Series(keys, dtype=pl.String)


def _registry_column(values: pl.Series) -> _Made:
    odd = values.str.contains(r"(?i)[x*]{2}p|fxp|[\[({\]*]|^\s|\s$|^[^\\/]*[\\/](?:s-1-5-21-|\.default)")
    ascii_ = values.str.len_bytes() == values.str.len_chars()
    likely, found = _chosen(values, ascii_ & ~odd & values.str.contains(r"(?i)^(?:hk[a-z]{1,2}|hkey_[a-z_]+)[\\/]."))
    found = found.str.to_lowercase().str.replace_all("/", "\\", literal=True).str.strip_chars_end("\\")
    parts = found.str.splitn("\\", 2).struct.unnest()
    places, rest = _chosen(parts["field_1"], parts["field_1"].is_not_null())
    hives = parts["field_0"].gather(places).replace(_HIVES)
    return likely[places], "r:" + hives + "\\" + rest


_COLUMNS: dict[str, Callable[[pl.Series], _Made]] = {
    "hashes": _hash_column,
    "ipv4-addr": _address_column,
    "ipv6-addr": _address_column,
    "domain-name": _domain_column,
    "url": _url_column,
    "email-addr": _mail_column,
    "vulnerability": _cve_column,
    "file": _file_column,
    "windows-registry-key": _registry_column,
}
