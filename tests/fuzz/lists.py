"""The target "lists": files of values, tables, bundles and texts of unknown form, through every knowledge reader.

An input is a file's name, a line feed, and the file's bytes.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

from aleat.hunt import Indicator
from tests.fuzz.mutation import mutate_bytes, mutate_text
from tests.fuzz.rules import knowledge_of
from tests.fuzz.world import VALUES, Folder, checked_hunt

__all__ = ["ListsTarget"]

_INDICATORS = (
    "10.1.2.3", "10.0.0.0/8", "::1", "2001:db8::/32", "evil.example", "*.evil.example", "hxxp://evil[.]example/a?b=c",
    "http://evil.example:8080/", "a@evil.example", "0a" * 16, "0a" * 20, "ab" * 32, "0a" * 64, "C:\\Windows\\x.exe",
    "cmd.exe", "/opt/x", "CVE-2022-1234", "evil dot example", "xn--e1afmkfd.example", "8.8.8.8", "127.0.0.1:80", "a b",
    "d41d8cd98f00b204e9800998ecf8427e", "regex:^(a+)+$", "HKLM\\Software\\x", "1.2.3", "999.1.1.1", "T1059", "AS64500",
)  # fmt: skip
_HEADERS = ("value", "indicator", "type", "ip", "sha256", "tlp", "comment", "date", "url", "x", "", "value")
_LABELS = ("TLP:RED", "tlp:amber+strict", "clear", "PAP:RED", "odd", "", "NATO RESTRICTED")
_TOKENS = (",", ";", "\t", '"', "#", "\n", "hxxp", "[.]", "TLP:RED", "value,", "=1+1", "\x00")
_NAMES = ("list.txt", "list.csv", "list.tsv", "hashes.ioc", "list", "pack.json", "news.txt", "rules.yar", "a.misp.json")


class ListsTarget:
    """See the module."""

    name = "lists"
    limit = 3.0

    def __init__(self, place: Folder) -> None:
        self._place = place

    def make(self, rng: random.Random) -> bytes:
        """Return a list, a third of the time damaged."""
        name = rng.choice(_NAMES)
        text = _bundle(rng) if name.endswith(".json") else _table(rng) if "." in name else _lines(rng)
        if rng.random() < 0.35:
            text = mutate_text(text, rng, _TOKENS)
        data = text.encode(rng.choice(("utf-8", "utf-8", "utf-8-sig", "utf-16", "cp1252")), "replace")
        return name.encode() + b"\n" + (mutate_bytes(data, rng) if rng.random() < 0.1 else data)

    def check(self, data: bytes) -> None:
        """Read, compile, hunt and write; every entry that hits is one of the list's."""
        name, _, content = data.partition(b"\n")
        plan, given = knowledge_of(self._place, name.decode("ascii", "replace") or "x", content)
        try:
            result = checked_hunt([self._place.logs], plan)
        finally:
            for path in self._place.path.iterdir():
                path.unlink()
        values = {item.id: set(_values(item)) for item in given}
        for sighting in result.sightings:
            identifier, mark, value = sighting.indicator.partition("#")
            assert not mark or value in values.get(identifier, {value}), "a hit of a value that nobody gave"


def _values(indicator: Indicator) -> Iterator[str]:
    yield from (entry.value for entry in indicator.entries)
    if indicator.rows is not None:
        for block in indicator.rows.blocks():
            yield from block["value"].cast("string").to_pylist()


def _value(rng: random.Random) -> str:
    return rng.choice((*_INDICATORS, *VALUES)).replace("\n", " ")


def _lines(rng: random.Random) -> str:
    return "\n".join(_value(rng) + rng.choice(("", "", " # note", ";x")) for _ in range(rng.randrange(1, 25)))


def _table(rng: random.Random) -> str:
    if rng.random() < 0.3:
        return _lines(rng)
    mark, width = rng.choice((",", ";", "\t", "|")), rng.randrange(1, 5)
    lines = [mark.join(rng.sample(_HEADERS, width))] if rng.random() < 0.7 else []
    for _ in range(rng.randrange(1, 25)):
        cells = [
            rng.choice((_value(rng), _value(rng), rng.choice(_LABELS))) for _ in range(width + (rng.random() < 0.1))
        ]
        lines.append(mark.join(f'"{cell}"' if rng.random() < 0.3 else cell for cell in cells))
    return "\n".join(lines)


def _bundle(rng: random.Random) -> str:
    kind = rng.randrange(4)
    values = [_value(rng) for _ in range(6)]
    if kind == 0:  # a warning list, as MISP writes them
        body: Any = {"name": "x", "type": rng.choice(("string", "cidr", "regex", "hostname", "odd")), "list": values}
        return json.dumps({**body, "matching_attributes": ["ip-dst", "domain"], "version": rng.choice((1, "x"))})
    if kind == 1:  # a MISP event
        attributes = [
            {"type": rng.choice(("ip-dst", "md5", "odd")), "value": value, "to_ids": True} for value in values
        ]
        return json.dumps({"Event": {"info": "x", "uuid": "x", "Attribute": attributes, "Object": []}})
    objects = [
        {
            "type": "indicator", "spec_version": "2.1", "id": f"indicator--0000000{number}-0000-4000-8000-000000000000",
            "created": "2022-07-15T08:00:00Z", "modified": "2022-07-15T08:00:00Z", "name": value,
            "pattern_type": rng.choice(("stix", "sigma", "yara", "odd")), "valid_from": "2022-07-15T08:00:00Z",
            "pattern": rng.choice(("[ipv4-addr:value = '10.1.2.3']", value, "title: x")),
        }
        for number, value in enumerate(values)
    ]  # fmt: skip
    if rng.random() < 0.3:
        objects[0][rng.choice(tuple(objects[0]))] = rng.choice((None, 5, [], {}, "x", True))  # type: ignore[assignment]
    return json.dumps({"type": "bundle", "id": "bundle--00000000-0000-4000-8000-000000000000", "objects": objects})
