"""The target "events": logs of every form, made and damaged, from a file's bytes to written sightings.

An input is a file's name, a line feed, and the file's bytes.
"""

from __future__ import annotations

import gzip
import io
import json
import random
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aleat.errors import Issue, Place
from aleat.evidence import ReadOptions, open_sources, read_batches
from aleat.evidence.batch import FIXED_SCHEMA, EventBatch
from aleat.hunt import Indicator, ListEntry, compile_plan
from tests.evidence.evtx_writer import Event, evtx_bytes
from tests.evidence.mutate import damage
from tests.fuzz.mutation import mutate_bytes, mutate_text
from tests.fuzz.world import FIELDS, SYSMON, VALUES, Folder, checked_hunt

__all__ = ["EventsTarget"]

_SMALL = 700


class EventsTarget:
    """See the module; `seeds` are (name, bytes) of real logs to damage, beside those that are made."""

    name = "events"
    limit = 3.0

    def __init__(self, place: Folder, seeds: Sequence[tuple[str, bytes]] = ()) -> None:
        self._place = place
        self._seeds = seeds
        self._plan = compile_plan(_indicators())

    def make(self, rng: random.Random) -> bytes:
        """Return a log, half of the time damaged, now and then packed."""
        if self._seeds and rng.random() < 0.3:
            name, data = rng.choice(self._seeds)
        else:
            name, data = rng.choice(_FORMS)(rng)
        if rng.random() < 0.6:
            data = _damaged(name, data, rng)
        if rng.random() < 0.08:
            name, data = _packed(name, data, rng)
        return name.encode() + b"\n" + data

    def check(self, data: bytes) -> None:
        """Read with large and with small ranges, and hunt; the events are the same, each at its place."""
        name, _, content = data.partition(b"\n")
        path = self._place.path / (name.decode("ascii", "replace") or "x")
        path.write_bytes(content)
        try:
            whole, issues = _events(path, ReadOptions())
            parts, more = _events(path, ReadOptions(range_bytes=_SMALL))
            # where text is damaged a reader may take up the thread at a range's beginning
            assert whole == parts or issues or more, "other events with other ranges"
            for issue in issues:
                assert issue.reason, "an issue says why"
                assert issue.place.offset is None or issue.place.offset <= 10 * len(content) + 10_000_000
            result = checked_hunt([path], self._plan)
            assert result.events == len(whole), "the hunt saw all events"
        finally:
            path.unlink()


def _events(path: Path, options: ReadOptions) -> tuple[list[Any], list[Issue]]:
    """Return all events in order as comparable rows, and what could not be read; checks what must hold of them."""
    issues: list[Issue] = []
    rows: list[tuple[str, int, Any]] = []
    for source in open_sources([path], options=options, files=True):
        if isinstance(source, Issue):
            issues.append(source)
            continue
        own: list[tuple[str, int, Any]] = []
        for batch in read_batches(source, issues):
            own += _rows(batch)
        own.sort(key=lambda row: row[1])
        assert [row[1] for row in own] == list(range(len(own))), "records count from 0 without gaps"
        rows += own
    return rows, issues


def _rows(batch: EventBatch) -> list[tuple[str, int, Any]]:
    table = batch.table
    assert table.column_names[: len(FIXED_SCHEMA)] == FIXED_SCHEMA.names, "the fixed columns"
    table.validate(full=True)
    found = []
    for row in table.to_pylist():
        record = row.pop("record") + batch.record_base
        assert row["offset"] >= 0
        cells = {name: value for name, value in row.items() if value is not None}
        found.append((batch.evidence, record, (batch.format, batch.channel, cells)))
    return found


def _indicators() -> list[Indicator]:
    """Return a rule of each kind: a selection, keywords, a correlation, a pattern, a list."""
    rules = {
        "cmd": "logsource: {product: windows}\ndetection:\n  a: {CommandLine|contains: [cmd, run]}\n  condition: a\n",
        "not": "logsource: {product: windows}\ndetection:\n  a: {EventID: [1, 4624]}\n  b: {User: null}\n"
        "  condition: a and not b\n",
        "words": "logsource: {category: webserver}\ndetection:\n  a: [GET, whoami]\n  condition: a\n",
        "often": "correlation:\n  type: event_count\n  rules: [cmd]\n  group-by: [Computer]\n  timespan: 5m\n"
        "  condition: {gte: 2}\n  generate: true\n",
    }
    found = [
        Indicator(
            name, f"indicator--{name}", name, "sigma", f"title: {name}\nid: {name}\n{text}", name, "fuzz", Place(name)
        )
        for name, text in rules.items()
    ]
    pattern = "[process:name = 'cmd.exe'] FOLLOWEDBY [ipv4-addr:value = '10.1.2.3'] WITHIN 300 SECONDS"
    found.append(Indicator("stix", "indicator--stix", "stix", "stix", pattern, "stix", "fuzz", Place("pack.json")))
    entries = (ListEntry("ipv4-addr", "10.1.2.3"), ListEntry("domain-name", "evil.example"))
    found.append(Indicator("list", "i--list", "list", "aleat-list", "", "list", "fuzz", Place("l"), entries=entries))
    return found


# ------------------------------------------------------------------------------------------------- making


def _time(rng: random.Random) -> str:
    return rng.choice(
        (f"2022-07-15T08:00:{rng.randrange(60):02}.1234567Z", "", "x", "0001-01-01T00:00:00Z", "1657872000")
    )


def _value(rng: random.Random) -> str:
    return rng.choice([text for text in VALUES if "\x00" not in text])


def _evtx(rng: random.Random) -> tuple[str, bytes]:
    def event(number: int) -> Event:
        values = [(name, _value(rng)) for name in rng.sample(FIELDS[:12], 4)]
        return Event(
            record_id=rng.choice((number, number, 0, 2**40)),
            event_id=rng.choice((1, 4624, 4688, 0, 70000)),
            channel=rng.choice((SYSMON, "Security", "", "ë")),
            computer=rng.choice(("pc1", "")),
            time=_time(rng) or "2022",
            data=() if rng.random() < 0.2 else values,
            unnamed=[_value(rng) or "x" for _ in range(rng.randrange(3))],
            user_data=("LogFileCleared", values) if rng.random() < 0.1 else None,
        )

    chunks = [[event(number) for number in range(1, rng.randrange(1, 12))] for _ in range(rng.randrange(1, 4))]
    return "a.evtx", evtx_bytes(*chunks)


def _json_event(rng: random.Random) -> dict[str, Any]:
    number, channel = rng.randrange(1, 100), rng.choice((SYSMON, "Security", "", None, 5))
    values: dict[str, Any] = {name: _json_value(rng, 2) for name in rng.sample(FIELDS, 4)}
    system = {
        "Provider": rng.choice(({"#attributes": {"Name": "P"}}, {"Name": "P"}, None, "P", 5)),
        "EventID": rng.choice(
            (4624, "4624", {"#text": 4624, "#attributes": {"Qualifiers": 0}}, {"Value": 1}, None, [1])
        ),
        "EventRecordID": rng.choice((number, str(number), -1, 10**25, None, "x")),
        "TimeCreated": rng.choice(({"#attributes": {"SystemTime": _time(rng)}}, {"SystemTime": 1657872000.5}, None, 5)),
        "Channel": channel,
        "Computer": rng.choice(("pc1", None, 5)),
    }
    if (kind := rng.randrange(4)) == 0:
        beat = {"channel": channel, "event_id": rng.choice((1, "1")), "record_id": number, "event_data": values}
        return {"@timestamp": _time(rng), "winlog": {**beat, "computer_name": "pc1", "provider_name": "P"}}
    if kind == 1:
        return {"Event": {"System": system, "UserData": {"LogFileCleared": values}}}
    if kind == 2:
        return {"EventID": number, "Channel": channel, "Hostname": "pc1", "TimeCreated": _time(rng), **values}
    return {"Event": {"System": system, "EventData": rng.choice((values, {"Data": ["a", "b"]}, None, "x", [values]))}}


def _json_value(rng: random.Random, depth: int) -> Any:
    kind = rng.randrange(10)
    if kind == 0 and depth:
        return {_value(rng): _json_value(rng, depth - 1) for _ in range(2)}
    if kind == 1 and depth:
        return [_json_value(rng, depth - 1) for _ in range(3)]
    if kind == 2:
        return rng.choice((None, True, 5, -0.0, 10**30, 1e308, 0.1))
    return rng.choice(VALUES)


def _json(rng: random.Random) -> tuple[str, bytes]:
    events = [_json_event(rng) for _ in range(rng.randrange(1, 12))]
    kind = rng.randrange(4)
    if kind == 0:
        text = json.dumps(events, indent=rng.choice((None, 1)))
    elif kind == 1:
        text = "".join(json.dumps(event, indent=2) + "\n" for event in events)
    else:
        text = rng.choice(("\n", "\r\n")).join(json.dumps(event, ensure_ascii=False) for event in events)
    encoding = rng.choice(("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-16-le"))
    return rng.choice(("a.json", "a.jsonl", "a.log")), text.encode(encoding, "surrogatepass")


def _iis(rng: random.Random) -> tuple[str, bytes]:
    names = ["date", "time", "c-ip", "cs-method", "cs-uri-stem", "cs-uri-query", "cs(User-Agent)", "sc-status", "x"]
    lines = []
    for _ in range(rng.randrange(1, 20)):
        if rng.random() < 0.15 or not lines:
            lines.append("#Fields: " + " ".join(rng.sample(names, rng.randrange(1, len(names) + 1))))
        words = ["2022-07-15", "08:00:01", "10.1.2.3", "GET", "/cmd", "-", "a+b", "200", _value(rng).replace("\n", "")]
        lines.append(" ".join(words[: rng.randrange(5, 10)]) if rng.random() < 0.8 else f"#Date: {_time(rng)}")
    encoding = rng.choice(("utf-8", "utf-8", "cp1252", "utf-16"))
    return "u_ex220715.log", "\n".join(lines).encode(encoding, "replace")


def _access(rng: random.Random) -> tuple[str, bytes]:
    lines = []
    for _ in range(rng.randrange(1, 20)):
        time = rng.choice(("15/Jul/2022:08:00:00 +0200", "99/Foo/0000:99:99:99 +9999", "15/Jul/2022:08:00:00"))
        request = rng.choice(("GET /a?b=whoami HTTP/1.1", "-", "", _value(rng), "GET /\\x16\\x03", 'a"b'))
        line = f'{rng.choice(("10.1.2.3", "::1", "-", "vhost:80 10.1.2.3"))} - - [{time}] "{request}" 200 5'
        lines.append(line + rng.choice(("", ' "-" "curl"', f' "{_value(rng)}" "{_value(rng)}"', ' "')))
    return "access.log", "\n".join(lines).encode(rng.choice(("utf-8", "latin-1")), "replace")


_FORMS = (_evtx, _evtx, _json, _json, _json, _iis, _access)
_TOKENS = (
    '{"Event":',
    '"System"',
    "#Fields: ",
    "#Date: ",
    '"winlog"',
    "[",
    "]",
    "{",
    "}",
    '\\"',
    "\\ud800",
    '"EventData"',
)


def _damaged(name: str, data: bytes, rng: random.Random) -> bytes:
    if name.endswith(".evtx"):
        if data[:7] == b"ElfFile" and b"ElfChnk\0" in data[4096::65536] + data[4096:4104] and rng.random() < 0.6:
            try:
                return damage(data, rng.randrange(10**6))[0]
            except IndexError:  # a sample without a chunk
                pass
        return mutate_bytes(data, rng)
    if rng.random() < 0.7:
        return mutate_text(data.decode("utf-8", "surrogateescape"), rng, _TOKENS).encode("utf-8", "replace")
    return mutate_bytes(data, rng)


def _packed(name: str, data: bytes, rng: random.Random) -> tuple[str, bytes]:
    if rng.random() < 0.5:
        packed = gzip.compress(data, mtime=0)
        return f"{name}.gz", mutate_bytes(packed, rng) if rng.random() < 0.5 else packed
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for member in (name, rng.choice(("../a.json", "b/c.log", "CON", "/x"))):
            archive.writestr(zipfile.ZipInfo(member, (2022, 7, 15, 0, 0, 0)), data)
    packed = stream.getvalue()
    return "a.zip", mutate_bytes(packed, rng) if rng.random() < 0.5 else packed


def seeds_of(data: Path) -> list[tuple[str, bytes]]:
    """Return real logs of at most 150 kB, at most 150, evenly spread."""
    paths = [
        path
        for ending in ("evtx", "json", "log")
        for path in sorted(data.glob(f"**/*.{ending}"))
        if path.stat().st_size <= 150_000
    ]
    return [(path.name, path.read_bytes()) for path in paths[:: max(len(paths) // 150, 1)] if path.name.isascii()]
