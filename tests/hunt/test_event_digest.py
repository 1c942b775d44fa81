"""The digest that copies of one event share."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from aleat.evidence.batch import FIXED_SCHEMA, EventBatch
from aleat.hunt.event_digest import cell_text, event_digest, event_digests

EVENT: dict[str, Any] = {
    "host": "PC1.corp.example",
    "format": "windows",
    "channel": "Security",
    "record_id": 812,
    "time": 1_657_900_000_123_456,
    "fields": {"LogonType": 3, "TargetUserName": "arben"},
}


def test_copies_share_the_digest_whatever_the_export_did_to_host_time_and_fields() -> None:
    copy = {**EVENT, "host": "pc1.CORP.example", "time": 1_657_900_000_123_000, "fields": {"logontype": "3"}}
    assert event_digest(**EVENT) == event_digest(**copy)


def test_a_log_that_was_cleared_and_counts_anew_gives_another_digest() -> None:
    assert event_digest(**EVENT) != event_digest(**{**EVENT, "time": EVENT["time"] + 1_000_000})


def test_without_a_record_id_all_fields_count_by_their_text() -> None:
    bare = {**EVENT, "record_id": None}
    assert event_digest(**bare) == event_digest(**{**bare, "fields": {"targetusername": "arben", "LogonType": "3"}})
    assert event_digest(**bare) != event_digest(**{**bare, "fields": {"LogonType": 2, "TargetUserName": "arben"}})


def test_the_digest_is_pinned_so_that_stored_ones_stay_valid() -> None:
    assert event_digest(**EVENT) == "fc9158c12eae87471b117053aa0b3047"


def test_cells_have_the_canonical_text_of_the_cell_model() -> None:
    cells = ["a", 7, -1, 1.0, True, False, None, [1, "x"], [1 << 70]]
    assert [cell_text(cell) for cell in cells] == [
        "a",
        "7",
        "-1",
        "1.0",
        "true",
        "false",
        "",
        '[1,"x"]',
        f"[{1 << 70}]",
    ]


@given(st.dictionaries(st.text(min_size=1, max_size=4), st.text(max_size=4), max_size=4))
def test_field_order_does_not_matter_and_boundaries_do(fields: dict[str, str]) -> None:
    event = {**EVENT, "record_id": None}
    turned = dict(reversed(list(fields.items())))
    assert event_digest(**{**event, "fields": fields}) == event_digest(**{**event, "fields": turned})
    moved = {name + "a": cell for name, cell in fields.items()}
    if fields:
        assert event_digest(**{**event, "fields": fields}) != event_digest(**{**event, "fields": moved})


def test_a_batch_gives_each_row_the_digest_that_the_single_event_has() -> None:
    rows = {
        "time": [EVENT["time"], EVENT["time"], None],
        "time_text": ["", "", ""],
        "host": ["PC1.corp.example", "PC1.corp.example", None],
        "record": [0, 1, 2],
        "offset": [0, 10, 20],
        "record_id": [812, None, None],
        "provider": [None] * 3,
        "event_id": ["4624"] * 3,
    }
    table = pa.table(rows, schema=FIXED_SCHEMA)
    table = table.append_column("LogonType|i", pa.array(["3", "3", None]).dictionary_encode())
    table = table.append_column("TargetUserName|s", pa.array(["arben", "arben", "x"]).dictionary_encode())
    batch = EventBatch("a.evtx", "", 0, "windows", "Security", table)
    last = {**EVENT, "host": "", "record_id": None, "time": None, "fields": {"TargetUserName": "x"}}
    expected = [EVENT, {**EVENT, "record_id": None}, last]
    assert event_digests(batch) == [event_digest(**event) for event in expected]
