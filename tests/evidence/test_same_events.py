"""The same Windows events as EVTX, as XML in every layout, and as JSON: the same events, and the same hits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest
from evtx import PyEvtxParser

from aleat.errors import Issue, Place
from aleat.evidence import EventBatch, open_sources, read_batches
from aleat.hunt import Hunter, Indicator, Plan, compile_plan
from aleat.hunt.event_digest import event_digests
from tests.evidence.test_security_datasets import rules
from tests.evidence.xml_layouts import LAYOUTS, lay_out, xml_of_evtx

pytestmark = pytest.mark.data

Hit = tuple[str, str]


def batches(path: Path) -> list[EventBatch]:
    """Return what is read of a file; nothing of it may be unreadable."""
    issues: list[Issue] = []
    found: list[EventBatch] = []
    for source in open_sources([path]):
        assert not isinstance(source, Issue), source
        found += read_batches(source, issues)
    assert issues == []
    return found


def digests(found: Sequence[EventBatch]) -> list[str]:
    """Return the events' digests in the order of their records."""
    rows = []
    for batch in found:
        records = batch.table["record"].to_pylist()
        rows += [
            (record + batch.record_base, digest) for record, digest in zip(records, event_digests(batch), strict=True)
        ]
    return [digest for _, digest in sorted(rows)]


def hits(found: Sequence[EventBatch], hunter: Hunter) -> Counter[Hit]:
    """Return the (rule, event) pairs."""
    return Counter((sighting.indicator, sighting.event) for batch in found for _, sighting in hunter.hunt_batch(batch))


def forms(evtx: Path, folder: Path) -> dict[str, Path]:
    """Write the events of an EVTX file in every other form."""
    texts = xml_of_evtx(str(evtx))
    found = {}
    for number, layout in enumerate(LAYOUTS):
        found[layout] = folder / f"{number}.xml"
        found[layout].write_bytes(lay_out(texts, layout))
    lines = [orjson.dumps(orjson.loads(record["data"])) for record in PyEvtxParser(str(evtx)).records_json() if record]
    found["json"] = folder / "events.jsonl"
    found["json"].write_bytes(b"\n".join(lines) + b"\n")
    return found


def check(files: Sequence[Path], folder: Path, plan: Plan) -> tuple[int, int]:
    """Compare every form of every file; return how many events and hits there were."""
    events = sightings = 0
    hunter = Hunter(plan)
    for evtx in files:
        whole = batches(evtx)
        expected, shown = digests(whole), hits(whole, hunter)
        for form, path in forms(evtx, folder).items():
            found = batches(path)
            assert digests(found) == expected, (form, evtx.name)
            assert hits(found, hunter) == shown, (form, evtx.name)
        events += len(expected)
        sightings += shown.total()
    return events, sightings


def test_some_events_are_the_same_in_every_form(test_data: Path, tmp_path: Path) -> None:
    text = "title: any\nid: any\nlogsource: {product: windows}\ndetection: {a: {EventID: [1, 3, 11]}, condition: a}\n"
    rule = Indicator("any", "any", "any", "sigma", text, "any", "t", Place("any.yml", 1))
    files = sorted((test_data / "evtx").rglob("*.evtx"))[::61]
    events, sightings = check(files, tmp_path, compile_plan([rule]))
    assert events > 50
    assert sightings > 0


@pytest.mark.long
def test_all_events_are_the_same_in_every_form(test_data: Path, tmp_path: Path) -> None:
    known = rules(test_data / "sigma")
    plan = compile_plan([rule for rule, _ in known.values()])
    files = sorted((test_data / "evtx").rglob("*.evtx"))
    events, sightings = check(files, tmp_path, plan)
    assert len(files) == 305
    assert events == 15683
    assert sightings == 5796
