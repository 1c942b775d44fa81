"""What the targets have in common: words, random events, and the way from a file of knowledge to an output."""

from __future__ import annotations

import csv
import json
import random
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any
from zlib import crc32

from aleat.evidence.batch import EventBatch
from aleat.hunt import FORMATS, Plan, Sighting, hunt_paths, open_writer
from aleat.hunt.expression import (
    Expression,
    FieldsMatch,
    Network,
    Order,
    Regex,
    TimePart,
    atoms,
)
from aleat.hunt.result import HuntResult
from tests.evidence.evtx_writer import Event, evtx_bytes
from tests.hunt.events import batch
from tests.hunt.naive import holds

__all__ = [
    "FIELDS", "VALUES", "Folder", "checked_hunt", "expected_records", "folder", "kinds_of_events", "random_batches",
]  # fmt: skip

SYSMON = "Microsoft-Windows-Sysmon/Operational"
VALUES = (
    "a", "ab", "ba", "cmd.exe", "C:\\Windows\\System32\\cmd.exe", "powershell -enc YQ== /c x", "–a —b ―c", "\\", "\\\\",
    "a\\*b", "*", "?", "-", "", " ", "4624", "5", "5.0", "007", "0x1f", "1e5", "10.1.2.3", "10.0.0.0/8", "::1",
    "fe80::1%eth0", "::ffff:10.1.2.3", "ËÇë", "İ", "straße", "STRAẞE", "a\nb", "\r\n", "2022-07-15T08:00:00Z",
    "MD5=0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A,SHA256=" + "ab" * 32, "http://evil.example/a?b=c", "evil.example",
    "a@evil.example", "HKU\\S-1-5-21-1\\Software\\Run\\x", "CORP\\arben", "null", "true", "NaN", "[1]", "{}", "%name%",
    "a" * 300, "\u202ex", "\x00", "tcp", "443", "=cmd", "CVE-2022-1234",
)  # fmt: skip
FIELDS = (
    "CommandLine", "Image", "ParentImage", "OriginalFileName", "TargetFilename", "TargetObject", "Details", "User",
    "Hashes", "DestinationIp", "DestinationPort", "DestinationHostname", "Protocol", "QueryName", "EventID", "Channel",
    "Provider_Name", "Computer", "New Value", "NewValue", "LogonType", "TargetUserName", "IpAddress", "ScriptBlockText",
    "c-uri", "cs-uri-query", "cs-method", "cs(User-Agent)", "sc-status", "c-ip", "ProcessId", "Data", "F", "Missing",
)  # fmt: skip


def _value(rng: random.Random) -> Any:
    kind = rng.randrange(20)
    if kind == 0:
        return None
    if kind == 1:
        return rng.choice((True, False))
    if kind in (2, 3):
        return rng.choice((0, 5, -1, 443, 4624, 10**20, 0.5, 5.0, 1e300))
    if kind == 4:
        return [rng.choice((*VALUES, None, 5)) for _ in range(rng.randrange(3))]
    if kind == 5:
        return "".join(rng.choice(VALUES[:20]) for _ in range(3))
    return rng.choice(VALUES)


_KINDS: tuple[dict[str, Any], ...] = (
    {"format": "windows", "channel": SYSMON, "provider": "Microsoft-Windows-Sysmon"},
    {"format": "windows", "channel": "Security", "provider": "Microsoft-Windows-Security-Auditing"},
    {"format": "windows", "channel": "System", "provider": None},
    {"format": "iis", "channel": "", "provider": None, "evidence": "u_ex.log"},
    {"format": "access", "channel": "", "provider": None, "evidence": "access.log"},
)
_NUMBERS = ("1", "3", "11", "13", "22", "4688", "4624", "7045", "4104")


def kinds_of_events() -> tuple[dict[str, Any], ...]:
    """Return the facts of the kinds of events that `random_batches` makes."""
    return _KINDS


def random_batches(data: bytes) -> list[tuple[dict[str, Any], list[dict[str, Any]], EventBatch]]:
    """Return (facts, events, batch) for each kind of event, random but decided by `data`, whose words they like."""
    rng = random.Random(crc32(data))  # noqa: S311 - repeatable, no secret
    text = data.decode("utf-8", "replace")
    fields = [name for name in FIELDS if name in text]
    values = [value for value in VALUES if value.strip() and value in text]
    made = []
    for kind in _KINDS:
        rows = []
        for _ in range(4):
            names = [*rng.sample(FIELDS, rng.randrange(1, 4)), *rng.sample(fields, min(len(fields), 4))]
            rows.append({name: rng.choice(values) if values and rng.random() < 0.5 else _value(rng) for name in names})
        if kind["format"] == "windows":
            rows = [{**row, "@event_id": rng.choice(_NUMBERS)} for row in rows]
        made.append((kind, rows, batch(rows, **kind)))
    return made


def expected_records(
    expression: Expression, made: Sequence[tuple[dict[str, Any], list[dict[str, Any]], EventBatch]]
) -> set[tuple[str, str, int]] | None:
    """Return where the naive evaluator says an expression holds; None where it has no word for a test of it."""
    for leaf, _ in atoms(expression):
        if isinstance(leaf, FieldsMatch):
            continue
        test = leaf.test
        if isinstance(test, Regex | Order | TimePart) or (isinstance(test, Network) and test.relation != "within"):
            return None
    found = set()
    for facts, rows, one in made:
        for record, row in enumerate(rows):
            event = {name: value for name, value in row.items() if not name.startswith("@")}
            known = {**facts, "event_id": row.get("@event_id"), "host": "PC1"}
            if holds(expression, _as_seen(event, known), known):
                found.add((one.format, one.channel, record))
    return found


def _as_seen(event: dict[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Add the fixed columns, which are fields too, beside payload fields of the same name."""
    names = {"Event ID": "event_id", "Chan nel": "channel", "Provider _Name": "provider", "Comp uter": "host"}
    seen = {spaced: facts[name] for spaced, name in names.items() if facts[name] not in (None, "")}
    return {**event, **seen}


@dataclass(frozen=True)
class Folder:
    """A target's place on disk: `logs` hold a few events of each kind, `path` is for the input."""

    path: Path
    logs: Path


@contextmanager
def folder() -> Iterator[Folder]:
    """Make and remove a target's place on disk."""
    with tempfile.TemporaryDirectory(prefix="aleat-fuzz-") as name:
        place = Folder(Path(name) / "input", Path(name) / "logs")
        place.path.mkdir()
        place.logs.mkdir()
        for file, data in _logs().items():
            (place.logs / file).write_bytes(data)
        yield place


@cache
def _logs() -> dict[str, bytes]:
    rng = random.Random(7)  # noqa: S311
    events = [
        Event(
            record_id=number,
            event_id=int(rng.choice(_NUMBERS)),
            channel=rng.choice((SYSMON, "Security")),
            time=f"2022-07-15T08:{number:02}:00.0000000Z",
            computer=rng.choice(("pc1.example", "pc2.example")),
            data=[(name, rng.choice([text for text in VALUES if "\x00" not in text])) for name in FIELDS[:12]],
        )
        for number in range(1, 15)
    ]
    lines = [
        {
            "Event": {
                "System": {
                    "EventID": int(rng.choice(_NUMBERS)),
                    "Channel": rng.choice((SYSMON, "Security")),
                    "Computer": "pc3.example",
                    "EventRecordID": number,
                    "TimeCreated": {"#attributes": {"SystemTime": f"2022-07-15T09:{number:02}:00Z"}},
                },
                "EventData": {name: _value(rng) for name in rng.sample(FIELDS, 6)},
            }
        }
        for number in range(1, 15)
    ]
    iis = "#Fields: date time c-ip cs-method cs-uri-stem cs-uri-query cs(User-Agent) sc-status\n" + "".join(
        f"2022-07-15 08:00:{number:02} 10.1.2.{number} GET /a{number}.aspx x={number} evil.example 200\n"
        for number in range(10)
    )
    access = '10.1.2.3 - - [15/Jul/2022:08:00:00 +0200] "GET /a?cmd=whoami HTTP/1.1" 200 5 "-" "curl"\n' * 3
    return {
        "a.evtx": evtx_bytes(events),
        "b.jsonl": "".join(json.dumps(line) + "\n" for line in lines).encode(),
        "u_ex.log": iis.encode(),
        "access.log": access.encode(),
    }


def checked_hunt(paths: Sequence[Path], plan: Plan) -> HuntResult:
    """Hunt, write what was found in every form, and check that the lines can be read and the rows be counted."""
    result = hunt_paths(paths, plan, workers=1)
    for name in FORMATS:
        stream = BytesIO()
        with open_writer(name, stream) as writer:
            for sighting in result.sightings:
                writer.write(sighting)
        data = stream.getvalue()
        if name == "jsonl":
            lines = data.splitlines()
            assert len(lines) == len(result.sightings), "a line for each sighting"
            assert all(isinstance(json.loads(line)["record"], int) for line in lines)
        elif name == "json":
            assert len(json.loads(data)) == len(result.sightings), "an element for each sighting"
        elif name == "csv":
            assert len(list(csv.reader(StringIO(data.decode(), newline="")))) == len(result.sightings) + 1
        elif name == "table":
            assert not set(data.decode()) & set("\x00\x1b\r"), "no control character"
    check_sightings(plan, result.sightings)
    return result


def check_sightings(plan: Plan, sightings: Sequence[Sighting]) -> None:
    """Every sighting is of something in the plan, and its parts lie where it says."""
    known = {rule.indicator.id for rule in (*plan.rules, *plan.correlations)}
    known |= {item.id for item in (*plan.lists, *plan.patterns)}
    for sighting in sightings:
        name = sighting.indicator
        assert name in known or any(name.startswith(f"{one}#") for one in known), "a sighting of nothing"
        assert sighting.record >= 0
        if sighting.parts is not None:
            assert (sighting.evidence, sighting.record) in {(part.evidence, part.record) for part in sighting.parts}
