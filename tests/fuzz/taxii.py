"""The target "taxii": pages of a TAXII server, sound and damaged, with headers of any kind.

An input is the answer's headers, one a line, an empty line, and its body. Held against: a page is read or refused by
name; what is read is the envelope's own bytes; two ways of finding the objects agree; a poll of that one page ends.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from datetime import UTC, datetime

from aleat.errors import RemoteError
from aleat.exchange.access import RemoteLimits
from aleat.exchange.feeds import Feed
from aleat.exchange.http_client import Answer
from aleat.exchange.taxii_client import TaxiiClient
from aleat.exchange.taxii_messages import (
    Collection,
    Discovery,
    Envelope,
    Status,
    check_media_type,
    decode,
    error_of,
    parse_envelope,
)
from aleat.exchange.taxii_pages import read_pages
from tests.fuzz.mutation import mutate_bytes, mutate_text

__all__ = ["TaxiiTarget"]

_TOKENS = (
    '"objects":',
    '"more":true',
    '"next":"n"',
    "[[[[",
    "{}",
    "null",
    ",",
    '"\\ud800"',
    "1e999",
    "\x00",
    '{"objects":[',
)
_TIMES = (
    "2022-07-15T08:00:00Z",
    "0001-01-01T00:00:00.000Z",
    "9999-12-31T23:59:60Z",
    "2022-07-15T08:00:00.123456789Z",
    "x",
    "",
)
_TYPES = (
    "application/taxii+json;version=2.1",
    "application/taxii+json",
    "text/html",
    "application/taxii+json;version=2.0",
    ";;",
)
_FEED = Feed("one", "One", "https://taxii.example.org/root/collections/one/")


class _Client(TaxiiClient):
    """Answers every request with the same page."""

    def __init__(self, answer: Answer) -> None:
        self.limits = RemoteLimits(empty_pages=3, pages=10)
        self.http = self  # type: ignore[assignment]
        self._answer = answer

    def pause(self, attempt: int, asked: float | None = None) -> None:
        """Wait for nothing."""

    def get(self, url: str, params: Mapping[str, str] | None = None, *, repeatable: bool = True) -> Answer:
        """Return the page."""
        return self._answer


class TaxiiTarget:
    """See the module."""

    name = "taxii"
    limit = 3.0

    def make(self, rng: random.Random) -> bytes:
        """Return an answer, half the time damaged."""
        body = json.dumps(_resource(rng), indent=rng.choice((None, 2)))
        if rng.random() < 0.4:
            body = mutate_text(body, rng, _TOKENS)
        headers = [f"content-type: {rng.choice(_TYPES)}"]
        headers += [
            f"x-taxii-date-added-{end}: {rng.choice(_TIMES)}" for end in ("first", "last") if rng.random() < 0.7
        ]
        data = body.encode("utf-8", "replace")
        return "\n".join(headers).encode() + b"\n\n" + (mutate_bytes(data, rng) if rng.random() < 0.2 else data)

    def check(self, data: bytes) -> None:
        """Read it as everything that it could be, and poll it."""
        head, _, body = data.partition(b"\n\n")
        lines = (line.partition(": ") for line in head.decode("latin-1").split("\n"))
        answer = Answer(200, {name: value for name, _, value in lines}, body, "https://taxii.example.org/")
        for kind in (Collection, Discovery, Status):
            _or_refused(lambda kind=kind: decode(answer, kind, "resource"))  # type: ignore[misc]
        assert isinstance(error_of(answer), RemoteError)
        _or_refused(lambda: check_media_type(answer))
        envelope = _or_refused(lambda: parse_envelope(body))
        if isinstance(envelope, Envelope):
            assert envelope.objects in body
            assert bool(envelope.count) <= bool(envelope.objects)
        time = datetime(2022, 7, 16, tzinfo=UTC)
        _or_refused(lambda: list(read_pages(_Client(answer), _FEED, bookmark="", since=None, reference_time=time)))


def _or_refused(read: object) -> object:
    try:
        return read()  # type: ignore[operator]
    except RemoteError:
        return None


def _resource(rng: random.Random) -> object:
    objects = [
        {"type": "malware", "id": f"malware--{n}", "a": rng.choice(("]", "[", '"', {}, [1]))}
        for n in range(rng.randrange(4))
    ]
    kinds: list[object] = [
        {"objects": objects},
        {"more": rng.random() < 0.5, "next": rng.choice(("n", "", None)), "objects": objects},
        {"objects": objects, "more": True, "custom": {"objects": objects}},
        {"title": "T", "api_roots": ["/a/"], "id": "x", "can_read": True, "can_write": False},
        {"id": "x", "status": "complete", "total_count": 1, "success_count": 1, "failure_count": 0, "pending_count": 0},
        {"title": "no", "description": "\x1b[31m", "http_status": 400},
        {},
        objects,
    ]
    return rng.choice(kinds)
