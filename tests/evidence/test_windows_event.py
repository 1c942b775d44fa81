"""Typed events give the cells that the same events give as dictionaries."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from aleat.evidence.windows_event import decode_events
from aleat.evidence.windows_rows import WindowsTables


def pick(rng: random.Random, *choices: Any) -> Any:
    return rng.choice(choices)


def made_event(rng: random.Random) -> dict[str, Any]:
    """Make an event of any form that the typed way takes: values of all types, absent, null and empty elements."""
    provider = {"Name": pick(rng, "P1", "P2"), **pick(rng, {}, {"Guid": "{1}"}, {"EventSourceName": ""})}
    optional: dict[str, Any] = {
        "Version": pick(rng, 1, "1", None),
        "Level": 4,
        "Keywords": "0x8000000000000000",
        "Correlation": pick(rng, None, {"#attributes": {}}, {"#attributes": {"ActivityID": "a"}}),
        "Execution": pick(
            rng, None, {"#attributes": {"ProcessID": 4}}, {"#attributes": {"ProcessID": 4, "ThreadID": 8}}
        ),
        "Computer": pick(rng, "PC1", "PC2"),
        "Security": pick(rng, None, {"#attributes": {"UserID": "S-1-5-18"}}),
    }
    system = {
        "Provider": {"#attributes": provider},
        "EventID": pick(rng, 7, "7", {"#attributes": {"Qualifiers": 3}, "#text": 7}),
        "EventRecordID": rng.randrange(9),
        "TimeCreated": {"#attributes": {"SystemTime": "2022-07-15T08:00:00.000000Z"}},
        "Channel": pick(rng, "Security", "System"),
        **{name: value for name, value in optional.items() if rng.random() < 0.8},
    }
    payload = pick(
        rng,
        {"EventData": {"Image": "a.exe", "Level": rng.randrange(3)}},
        {"EventData": {"Data": {"#text": ["x", "y"]}}},
        {"EventData": None},
        {"UserData": {"LogFileCleared": {"#attributes": {"xmlns": "u"}, "Channel": "Security", "User": None}}},
        {"EventData": {"a": 1}, "UserData": {"B": {"c": 2.5}}},
        {"ProcessingErrorData": {"ErrorCode": 15003}},
        {},
    )
    return {"#attributes": {"xmlns": "x"}, "System": system, **payload}


@pytest.mark.parametrize("seed", range(8))
def test_typed_events_give_what_dictionaries_give(seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311 - repeatable, and no secret
    events = [made_event(rng) for _ in range(600)]
    typed = decode_events([json.dumps({"Event": event}) for event in events])
    assert typed is not None
    general, special = WindowsTables(), WindowsTables()
    for offset, event in enumerate(events):
        general.add_event(offset, event)
    special.add_typed(range(len(events)), typed)
    assert special.events == general.events == len(events)
    one, other = ({channel: table for _, channel, table in rows.tables()} for rows in (general, special))
    assert one.keys() == other.keys()
    for channel, table in one.items():
        assert table.schema == other[channel].schema
        assert table.to_pylist() == other[channel].to_pylist()


@pytest.mark.parametrize(
    "change",
    [
        {"Surprise": {"a": 1}},
        {"RenderingInfo": {"Message": "m"}},
        {"System": {"Provider": {"#attributes": {"Name": "p"}}}},
        {"System": None},
    ],
)
def test_what_is_not_named_is_refused_as_a_whole(change: dict[str, Any]) -> None:
    """An unknown element, an unknown place, no time, no System: the general way reads those, and loses nothing."""
    rng = random.Random(1)  # noqa: S311
    texts = [json.dumps({"Event": made_event(rng)}), json.dumps({"Event": {**made_event(rng), **change}})]
    assert decode_events(texts) is None
    assert decode_events([*texts[:1], "{"]) is None
