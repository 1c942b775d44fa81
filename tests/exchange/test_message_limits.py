"""What a message may hold: bounded, of the right form, or refused by name with the whole file."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from aleat.errors import ObjectError
from aleat.exchange.messages import Message, decode_messages, encode_messages
from aleat.stix import canonical_json
from tests.exchange.test_thread_states import EXTRA, Closing, Grant, Inquiry, PermissionRequest, make
from tests.exchange.test_threads import SOUTH

OBJECTS = [f"indicator--00000000-0000-4000-8000-{number:012d}" for number in range(10_001)]


def changed(message: Message, **fields: Any) -> bytes:
    """The file's messages with one of them changed to what no type of ours would hold."""
    return canonical_json([{**msgspec.to_builtins(message), **fields}])


@pytest.mark.parametrize("kind", list(EXTRA))
def test_every_kind_is_written_and_read_the_same(kind: type) -> None:
    """Canonical, whole."""
    message = make(kind, 1, SOUTH, 2 if "of" in kind.__struct_fields__ else None)
    assert decode_messages(encode_messages((message,))) == (message,)


@pytest.mark.parametrize(
    "data",
    [
        b"[" + b" " * (16 * 1024 * 1024) + b"]",
        encode_messages(tuple(make(Closing, number, SOUTH) for number in range(1, 102))),
        changed(make(Grant, 1, SOUTH, 2), objects=OBJECTS),
        changed(make(Grant, 1, SOUTH, 2), objects=[]),
        changed(make(Grant, 1, SOUTH, 2), objects=["indicator--x"]),
        changed(make(Grant, 1, SOUTH, 2), valid_until="soon"),
        changed(make(PermissionRequest, 1, SOUTH), objects=[{"id": one, "version": ""} for one in OBJECTS]),
        changed(make(PermissionRequest, 1, SOUTH), objects=[]),
        changed(make(PermissionRequest, 1, SOUTH), onward_to="West"),
        changed(make(Inquiry, 1, SOUTH), asked=[]),
        changed(make(Closing, 1, SOUTH), outcome="x" * 20_001),
        changed(make(Closing, 1, SOUTH), time="2022-09-20"),
        changed(make(Closing, 1, SOUTH), time="~"),
        changed(make(Closing, 1, SOUTH), label="pink"),
        changed(make(Closing, 1, SOUTH), more="x"),
        changed(make(Closing, 1, SOUTH), id="message--1"),
        changed(make(Closing, 1, SOUTH), kind="order"),
        b'[{"kind":"closing","outcome":"\x80"}]',
        b"[" * 100_000,
    ],
    ids=range(19),
)
def test_what_is_too_much_or_of_another_form_is_refused(data: bytes) -> None:
    """An error of ours, whatever it is."""
    with pytest.raises(ObjectError):
        decode_messages(data)
