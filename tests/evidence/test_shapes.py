"""Records of thousands of shapes: read within bounds, and nothing of them lost."""

from __future__ import annotations

import json

import polars as pl
import pytest

from aleat.evidence import columns, pairs, shapes
from tests.evidence.reading import events_of, read_bytes

MANY = 40


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that a small file reaches."""
    from aleat.evidence import windows_rows  # noqa: PLC0415
    from aleat.evidence.readers import json_records  # noqa: PLC0415

    for module in (windows_rows, json_records):
        monkeypatch.setattr(module, "MAX_SHAPES", 10)
        monkeypatch.setattr(module, "MAX_CHANNELS", 4)


def told(events: list[dict[str, object]]) -> list[dict[str, object]]:
    """The fields of events, what stands in ``rest`` among them."""
    out = []
    for event in events:
        fields = dict(event["fields"])  # type: ignore[call-overload]
        fields.update({name: str(value) for name, value in json.loads(fields.pop("rest", "{}")).items()})
        out.append(fields)
    return out


def test_windows_events_of_many_shapes_keep_their_fields() -> None:
    data = "".join(f'{{"EventID":1,"Channel":"Security","k{number}":"v"}}\n' for number in range(MANY))
    events = events_of(read_bytes(data.encode()))
    assert told(events) == [{f"k{number}": "v"} for number in range(MANY)]
    assert {event["event_id"] for event in events} == {"1"}


def test_windows_events_of_many_channels_keep_them() -> None:
    data = "".join(f'{{"EventID":1,"Channel":"c{number}","k":"v"}}\n' for number in range(MANY))
    events = events_of(read_bytes(data.encode()))
    channels = [event["channel"] or told([event])[0]["Channel"] for event in events]
    assert channels == [f"c{number}" for number in range(MANY)]


def test_json_records_of_many_shapes_keep_their_fields_and_facts() -> None:
    data = "".join(f'{{"_path":"conn","ts":1657872001.5,"k{number}":"v"}}\n' for number in range(MANY))
    events = events_of(read_bytes(data.encode()))
    assert [{**fields, "ts": None, "_path": None} for fields in told(events)] == [
        {f"k{number}": "v", "ts": None, "_path": None} for number in range(MANY)
    ]
    assert {(event["channel"], event["time"].year) for event in events} == {("conn", 2022)}


def test_columns_beyond_the_cells_go_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "MAX_CELLS", 100)
    monkeypatch.setattr(columns, "_ALWAYS", 8)
    data = "".join(f'{{"_path":"conn","ts":1657872001.5,"a":{{"k{number}":"v"}}}}\n' for number in range(MANY))
    events = events_of(read_bytes(data.encode()))
    assert [fields[f"a.k{number}"] for number, fields in enumerate(told(events))] == ["v"] * MANY
    assert max(len(event["fields"]) for event in events) < 8


def test_pairs_beyond_the_cells_go_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "MAX_CELLS", 100)
    monkeypatch.setattr(pairs, "_ALWAYS", 4)
    texts = pl.Series([f"a=1 k{number}=v" for number in range(MANY)])
    found = pairs.expand(texts, "quoted")
    assert len(found) == 4
    assert found["a"].to_list() == ["1"] * MANY
    assert found["rest"].to_list()[-1] == f"k{MANY - 1}=v"


def test_a_limit_admits_what_it_knows() -> None:
    known = shapes.Known(2)
    assert [known.admits(item) for item in "abcab"] == [True, True, False, True, True]


def test_thousands_of_equal_names_are_told_apart() -> None:
    """Each is found by halving: counting up from the first took minutes for one header."""
    taken: dict[str, int] = {}
    for number in range(20_000):
        taken[columns.free_name("ip", taken)] = number
    assert list(taken)[:3] == ["ip", "ip~", "ip~2"]
    assert len(taken) == 20_000
    found = pairs.expand(pl.Series(["ip=1 " * pairs.MAX_PAIRS]), "quoted")
    assert len(found) == pairs.MAX_PAIRS


def test_keys_that_flatten_to_one_name_keep_their_cells() -> None:
    (event,) = events_of(read_bytes(b'{"EventID":1,"Channel":"x","a":{"b.c":1,"b":{"c":2}},"a.b":{"c":3},"a.b.c":4}\n'))
    assert {name: value for name, value in event["fields"].items() if name.startswith("a.")} == {
        "a.b.c": "1",
        "a.b.c~": "2",
        "a.b.c~2": "3",
        "a.b.c~3": "4",
    }
