"""Every format's samples: recognised by one reader, read to the last record, mapped to Sigma's names."""

from __future__ import annotations

import importlib.util
import json
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from aleat.evidence.opener import NOTE_CODES
from aleat.formats import all_formats
from aleat.hunt.alerts import AlertHunter, alert_id, is_alert, with_alerts
from aleat.hunt.columns import cells_of
from aleat.hunt.expression import Fact, Field, Joined, View, normalise_name
from aleat.hunt.object_views import UNDER
from aleat.hunt.plan import LogSource, Plan
from aleat.hunt.taxonomy import load_taxonomy
from aleat.hunt.views import view
from tests.formats.sample import Sample, all_samples, read_sample

SAMPLES = pytest.mark.parametrize("sample", all_samples(), ids=lambda sample: sample.name)
CODED = {"windows", "file"}
"""Formats whose readers are code, with tests of their own."""


def cell(value: Any) -> tuple[str, str]:
    """Kind and canonical text of a value in a sample's expectations."""
    if isinstance(value, bool):
        return "b", "true" if value else "false"
    if isinstance(value, int):
        return "i", str(value)
    if isinstance(value, float):
        return "f", repr(value)
    if isinstance(value, list):
        return "l", json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    return "s", value


@SAMPLES
def test_a_sample_is_recognised_by_its_reader_alone(sample: Sample) -> None:
    assert read_sample(sample).readers == [sample.expected["reader"]]


@SAMPLES
def test_a_sample_gives_its_events_and_issues(sample: Sample) -> None:
    read = read_sample(sample)
    events = read.events
    assert [event["record"] for event in events] == list(range(len(events)))
    assert len(events) == sample.expected["events"], [issue.reason for issue in read.issues]
    codes = sorted({issue.code for issue in read.issues})
    assert codes == sorted(sample.expected.get("issues", [])), [issue.reason for issue in read.issues]
    for wanted in sample.expected.get("event", []):
        event = events[wanted["record"]]
        assert event["format"] == wanted.get("format", sample.format)
        for name in ("channel", "host", "provider", "event_id", "record_id", "time_text", "offset"):
            if name in wanted:
                assert event[name] == wanted[name], name
        if "time" in wanted:
            assert event["time"] == datetime.fromisoformat(wanted["time"])
        for name, value in wanted.get("fields", {}).items():
            assert event["fields"].get(name) == cell(value), name
        for name in wanted.get("absent", []):
            assert name not in event["fields"]


@SAMPLES
def test_small_ranges_lose_and_repeat_nothing(sample: Sample) -> None:
    if sample.expected.get("whole"):
        pytest.skip("its reader takes a file as one range")
    whole, parts = read_sample(sample), read_sample(sample, range_bytes=128)
    assert [without_record(event) for event in parts.events] == [without_record(event) for event in whole.events]
    lost = Counter(issue.code for issue in whole.issues if issue.code not in NOTE_CODES)
    assert Counter(issue.code for issue in parts.issues if issue.code not in NOTE_CODES) == lost


def without_record(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name != "record"}


@SAMPLES
def test_sigma_finds_a_samples_fields(sample: Sample) -> None:
    events = read_sample(sample).events
    for wanted in sample.expected.get("sigma", []):
        event = events[wanted.get("record", 0)]
        variants = [
            variant
            for variant in load_taxonomy().variants(LogSource(**wanted["logsource"]))
            if variant.format == event["format"]
        ]
        assert variants, f"no evidence of {wanted['logsource']} is {event['format']}"
        for name, value in wanted.get("fields", {}).items():
            found = [
                text for variant in variants for subject in variant.subjects(name) for text in texts(event, subject)
            ]
            assert str(value) in found, (name, found)


@SAMPLES
def test_a_samples_alerts_are_raised(sample: Sample) -> None:
    read = read_sample(sample)
    hunter = AlertHunter(with_alerts(Plan()).alerts)
    found = {sighting.record: sighting for sighting in hunter.hunt(read.batches)}
    wanted = {item["record"]: item for item in sample.expected.get("alert", [])}
    assert sorted(found) == sorted(wanted), [(one.record, one.title) for one in found.values()]
    for record, item in wanted.items():
        told = found[record]
        assert told.indicator == told.ref == alert_id(item["tool"], item["rule"])
        assert (told.author, told.title, told.level) == (item["tool"], item["title"], item["level"])
        assert list(told.tags) == item.get("tags", [])
        assert is_alert(told)


@pytest.mark.parametrize("name", [item.name for item in all_formats() if item.alert and item.name not in CODED])
def test_every_format_in_which_tools_alert_has_a_sample_of_it(name: str) -> None:
    assert any(sample.expected.get("alert") for sample in all_samples() if sample.format == name)


def texts(event: dict[str, Any], subject: Any) -> list[str]:
    """What an event has at a subject."""
    fields = {normalise_name(name): cell for name, cell in event["fields"].items()}
    if isinstance(subject, Field):  # names may differ by case alone
        wanted = normalise_name(subject.name)
        cells = [cell for name, cell in event["fields"].items() if normalise_name(name) == wanted]
        return [text for cell in cells for text in plain_texts(*cell)]
    if isinstance(subject, Joined):
        names = [normalise_name(name) for name in subject.names]
        parts = [fields[name][1] for name in names if name in fields and fields[name][1] not in ("", "-")]
        return [subject.separator.join(parts)] if parts else []
    if isinstance(subject, View):
        name = normalise_name(subject.name)
        below = subject.transform == UNDER
        cells = [cell for field, cell in fields.items() if (field.startswith(f"{name}.") if below else field == name)]
        found = [text for cell in cells for text in plain_texts(*cell)]
        return [part for text in found for part in view(subject.transform, text, subject.argument)]
    if isinstance(subject, Fact):
        return [str(event[subject.name])] if event[subject.name] is not None else []
    return []


def plain_texts(kind: str, text: str) -> list[str]:
    """The texts of a cell; a list's elements, whole as well."""
    return [text, *cells_of(kind, text)[0]] if kind == "l" else [text]


@pytest.mark.parametrize("name", [item.name for item in all_formats() if item.name not in CODED])
def test_every_reading_has_a_sample(name: str) -> None:
    item = next(item for item in all_formats() if item.name == name)
    shown = {sample.expected["reader"] for sample in all_samples()}
    assert {table.get("name", name) for table in item.read if table.get("detect") != []} <= shown


def test_the_page_of_formats_says_what_comes_out() -> None:
    place = Path(__file__).resolve().parents[2] / "docs" / "formats.py"
    spec = importlib.util.spec_from_file_location("docs_formats", place)
    assert spec is not None
    assert spec.loader is not None
    page = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(page)
    assert page.PAGE.read_text("utf-8") == page.text(), "make it again: python docs/formats.py"
