"""Target "json": the samples of JSON logs, damaged, read and hunted in.

Beside what `formats` holds against a reader: another tool's alert comes back from the ledger as it was found, rules
that look below fields and inside of lists find what they find in whichever ranges, and every sighting can be written.
"""

from __future__ import annotations

import io
import random
from collections.abc import Iterator

import msgspec
import orjson

from aleat.evidence.batch import EventBatch
from aleat.evidence.head import HEAD_BYTES
from aleat.evidence.reader import ReadOptions, reader_named
from aleat.evidence.readers.json_records import JsonReader
from aleat.hunt import Hunter, Plan, Sighting, compile_plan
from aleat.hunt.alerts import AlertHunter, with_alerts
from aleat.hunt.output import sighting_line
from aleat.hunt.stored import Attacher, encode_found, plan_digests
from aleat.store.lake import SegmentSource
from tests.formats.sample import all_samples
from tests.fuzz.formats import FormatsTarget
from tests.fuzz.mutation import mutate_bytes, mutate_text
from tests.hunt.sigma_rules import indicator, rule_text

__all__ = ["ObjectsTarget"]

_TOKENS = (
    '{"',
    '":{"a":',
    '":[{"name":"x","value":',
    "}]",
    "[[[[",
    "]]",
    '":null,"',
    '":1e999,"',
    '":99999999999999999999999,"',
    '":-0.0,"',
    '"\\ud800"',
    '"\\u0000"',
    '"a.b":',
    '"Records":[',
    '"value":[{',
    '"data":[{',
    '"events":[',
    '"CloudTrailEvent":"{\\"eventName\\":',
    '"severity":"',
    '"T1059.001"',
    "\n{",
    "}\n",
)
_RULES = (
    ("aws", "cloudtrail", "selection:\n    requestParameters|contains: a\n    responseElements: null"),
    ("okta", "okta", "selection:\n    target.displayName|contains: a"),
    ("azure", "auditlogs", "selection:\n    TargetResources.modifiedProperties.newValue|contains: a"),
    ("azure", "auditlogs", "selection:\n    ConsentContext.IsAdminConsent: 'false'"),
    ("m365", "audit", "selection:\n    Parameters|contains: a\n    RequestType|exists: true"),
    ("gcp", "gcp.audit", "selection:\n    data.protoPayload.authorizationInfo.granted: true"),
    ("kubernetes", "audit", "selection:\n    hostPath: '*'"),
)


def _plan() -> Plan:
    made = []
    for number, (product, service, detection) in enumerate(_RULES):
        head = f"title: R{number}\nid: r{number}\nlogsource:\n    product: {product}\n    service: {service}\n"
        made.append(indicator(rule_text(detection, head=head), identifier=f"r{number}"))
    return with_alerts(compile_plan(made))


class ObjectsTarget(FormatsTarget):
    """See the module."""

    def __init__(self, name: str = "json") -> None:
        self.name = name
        readers = [(sample, reader_named(str(sample.expected["reader"]))) for sample in all_samples()]
        self._seeds = [
            (reader.name, sample.path.read_bytes()) for sample, reader in readers if isinstance(reader, JsonReader)
        ]
        self._plan = _plan()
        self._hunter = Hunter(self._plan)

    def make(self, rng: random.Random) -> bytes:
        """Return a damaged sample, or two of them in one, laid out as it is, in lines, or in one line."""
        reader, data = rng.choice(self._seeds)
        if rng.random() < 0.3:
            try:
                value = orjson.loads(data)
            except ValueError:
                pass
            else:
                items = value if isinstance(value, list) else [value]
                data = b"\n".join(map(orjson.dumps, items)) if rng.random() < 0.5 else orjson.dumps(value)
        if rng.random() < 0.1:
            data += rng.choice(self._seeds)[1]
        if rng.random() < 0.8:
            text = data.decode("utf-8", "surrogateescape")
            data = mutate_text(text, rng, _TOKENS).encode("utf-8", "replace")
        else:
            data = mutate_bytes(data, rng)
        return reader.encode() + b"\n" + data

    def check(self, data: bytes) -> None:
        """Read as `formats` does, then hunt."""
        super().check(data)
        name, _, content = data.partition(b"\n")
        for batches in _batches(name.decode(), content):
            found = list(self._hunter.hunt(batches).sightings)
            raised = list(AlertHunter(self._plan.alerts).hunt(batches))
            for sighting in (*found, *raised):
                orjson.loads(sighting_line(sighting))
            self._check_ledger(raised)

    def _check_ledger(self, raised: list[Sighting]) -> None:
        kept = encode_found(raised, {item.digest: item for item in self._plan.alerts})
        back = list(Attacher(self._plan, plan_digests(self._plan)).attach([kept] if kept else [], "s", _SOURCE))
        assert [one.indicator for _, one in back] == [one.indicator for one in raised], "the ledger has other alerts"
        for (_, one), other in zip(back, raised, strict=True):
            assert one.fields.keys() == other.fields.keys(), "the ledger has other fields"
            same = msgspec.structs.replace(one, fields={}) == msgspec.structs.replace(other, fields={})
            assert same, "an alert came back otherwise"


_SOURCE = SegmentSource(0, "x", 0)


def _batches(name: str, content: bytes) -> Iterator[list[EventBatch]]:
    reader = reader_named(name)
    options = ReadOptions(year=2022)
    for span, piece in reader.cut(io.BytesIO(content), content[:HEAD_BYTES], options):
        tables = reader.read(piece, span, "x", options).tables
        yield [EventBatch("x", "s", 0, format_, channel, table) for format_, channel, table in tables]
