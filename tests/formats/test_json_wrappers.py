"""Objects that hold records in an array: several of them in one file, whatever is between them, lose none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aleat.evidence.reader import ReadOptions
from tests.formats.sample import read_data


def event(number: int) -> dict[str, object]:
    return {
        "eventVersion": "1.08",
        "eventTime": f"2022-07-15T08:00:{number:02}Z",
        "eventSource": "s3.amazonaws.com",
        "eventName": f"E{number}",
        "awsRegion": "eu",
        "userIdentity": {"type": "Root"},
    }


def wrapped(*numbers: int, **beside: object) -> str:
    return json.dumps({"Records": [event(number) for number in numbers], **beside})


@pytest.mark.parametrize("between", ["\n", "", " ", "\r\n\r\n"])
@pytest.mark.parametrize("beside", [{}, {"NextToken": "x", "Meta": {"RequestId": "r"}}])
@pytest.mark.parametrize("range_bytes", [None, 200])
def test_files_one_behind_another_are_read_to_the_last_record(
    between: str, beside: dict[str, object], range_bytes: int | None
) -> None:
    """What a stream of Event Hub or Firehose leaves: one such object after another."""
    data = between.join([wrapped(1, 2, **beside), wrapped(3, **beside), wrapped(4, 5, **beside)]).encode()
    found = read_data(data, "x.json", ReadOptions(), Path("x"), range_bytes)
    assert found.readers == ["cloudtrail"]
    assert [one["fields"]["eventName"][1] for one in found.events] == ["E1", "E2", "E3", "E4", "E5"]
    assert not found.issues


def test_records_behind_the_object_that_wraps_others_are_read_too() -> None:
    data = (wrapped(1) + "[" + json.dumps(event(2)) + "]").encode()
    found = read_data(data, "x.json", ReadOptions(), Path("x"))
    assert [one["fields"]["eventName"][1] for one in found.events] == ["E1", "E2"]


def test_an_empty_answer_holds_nothing_and_is_no_loss() -> None:
    data = (wrapped(1) + "\n" + json.dumps({"Records": []}) + "\n" + wrapped(2)).encode()
    found = read_data(data, "x.json", ReadOptions(), Path("x"))
    assert {one["fields"]["eventName"][1] for one in found.events if "eventName" in one["fields"]} == {"E1", "E2"}


def test_ten_thousand_of_them_on_one_line_take_no_longer_than_they_are() -> None:
    """What is behind the limit is named, not dropped."""
    data = ("[{}]}" * 10_000).encode()
    found = read_data((wrapped(1) + "\n").encode() + data, "x.json", ReadOptions(), Path("x"))
    assert found.events[0]["fields"]["eventName"] == ("s", "E1")


@pytest.mark.parametrize("tail", ['"Meta": {"a": {"b": [{}]}}}', '"Meta": {a: {"b": 1}}}', "}"])
def test_a_damaged_end_of_the_object_that_wraps_hides_nothing(tail: str) -> None:
    """What follows it on its line is read, or the damage is named."""
    data = ('{"Records": [' + json.dumps(event(1)) + "]," + tail + json.dumps(event(2)) + "\n").encode()
    found = read_data(data, "x.json", ReadOptions(), Path("x"))
    names = [one["fields"]["eventName"][1] for one in found.events if "eventName" in one["fields"]]
    assert names == ["E1", "E2"] or found.issues
