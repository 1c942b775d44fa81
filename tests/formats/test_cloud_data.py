"""Real cloud logs and alerts: each file is read by its reader, to the last record, and shows what it must."""

from __future__ import annotations

import csv
import io
import json
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from aleat.evidence.reader import ReadOptions
from aleat.hunt import Hunter, Plan
from aleat.hunt.alerts import AlertHunter, with_alerts
from tests.formats.sample import Read, read_data
from tests.formats.test_sigma_rules import plan

pytestmark = pytest.mark.data

EXPECTED: dict[str, dict[str, Any]] = tomllib.loads(
    (Path(__file__).parent / "cloudtrail_expected.toml").read_text("utf-8")
)


def read(path: Path) -> Read:
    return read_data(path.read_bytes(), path.name, ReadOptions(), path)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_cloudtrail_records_of_a_technique_show_it(name: str, test_data: Path) -> None:
    path = test_data / "logs" / "cloudtrail" / name
    found = read(path)
    assert found.readers == ["cloudtrail"]
    assert (len(found.events), found.issues) == (len(json.loads(path.read_bytes())), [])
    assert all(event["time"] and event["host"] for event in found.events)
    fired = {one.title for one in Hunter(plan(test_data / "sigma")).hunt(found.batches).sightings}
    wanted = set(EXPECTED[name].get("rules", ()))
    assert wanted <= fired
    assert wanted or EXPECTED[name]["reason"]


def test_all_files_are_in_the_table(test_data: Path) -> None:
    assert sorted(path.name for path in (test_data / "logs" / "cloudtrail").glob("*.json")) == sorted(EXPECTED)


@pytest.mark.parametrize(
    ("name", "reader"), [("aws_cloudtrail.jsonl", "cloudtrail"), ("azure_activity_log.jsonl", "azure-activity")]
)
def test_plasos_json_lines_are_read_to_the_last(name: str, reader: str, test_data: Path) -> None:
    path = test_data / "logs" / "plaso" / "jsonl" / name
    found = read(path)
    assert found.readers == [reader]
    lines = [line for line in path.read_bytes().splitlines() if line.strip()]
    assert (len(found.events), found.issues) == (len(lines), [])
    assert all(event["time"] for event in found.events)


@pytest.mark.parametrize("name", ["russellmitchell", "shaw"])
def test_every_alert_of_a_flat_list_is_an_alert(name: str, test_data: Path) -> None:
    """Read without a flag; the labels beside them are no rule's business."""
    with zipfile.ZipFile(test_data / "alerts" / "ait" / f"{name}_alerts.zip") as archive:
        data = archive.read(f"{name}_alerts.txt")
    found = read_data(data, f"{name}_alerts.txt", ReadOptions(), Path(name))
    assert found.readers == ["flat_alerts"]
    records = sum(batch.table.num_rows for batch in found.batches)
    assert (records, found.issues) == (sum(1 for line in data.splitlines() if line.strip()) - 1, [])
    hunter = AlertHunter(with_alerts(Plan()).alerts)
    raised = [indicator for batch in found.batches for _, indicator, _ in hunter.raised(batch)]
    assert len(raised) == records
    assert {item.author for item in raised} == {"Wazuh", "Suricata", "AMiner"}
    assert not {item.pattern for item in raised} & {"false_positive", "-"}


def test_the_csv_of_the_security_datasets_is_read_without_a_flag(test_data: Path) -> None:
    place = test_data / "logs" / "security-datasets" / "atomic" / "aws" / "discovery" / "aws_s3_honeybucketlogs.zip"
    with zipfile.ZipFile(place) as archive:
        data = archive.read("AWS_S3_HoneyBucketLogs.csv")
    found = read_data(data, "AWS_S3_HoneyBucketLogs.csv", ReadOptions(), Path("x"))
    assert found.readers == ["cloudtrail-csv"]
    assert (len(found.events), found.issues) == (len(list(csv.reader(io.StringIO(data.decode())))) - 1, [])
    assert all(event["time"] for event in found.events)
