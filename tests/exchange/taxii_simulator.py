"""A TAXII 2.1 collection in memory, in the ways that servers differ in; a client that asks it without a network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from aleat.errors import RemoteError
from aleat.exchange.access import RemoteLimits
from aleat.exchange.http_client import Answer
from aleat.exchange.taxii_client import TaxiiClient
from aleat.exchange.taxii_messages import MEDIA_TYPE
from aleat.stix.times import parse_timestamp
from tests.exchange.malware import malware

__all__ = ["BEGIN", "SimulatedClient", "Simulator"]

BEGIN = datetime(2022, 7, 15, 8, tzinfo=UTC)


@dataclass
class Simulator:
    """A collection: `next` is "stable" (may be asked again), "once" (each page is handed out once), or "" (none).

    `unit` is how finely it compares times; `cap` the most objects of a page; `cuts` the requests, counted from 0,
    whose answers get lost after the server has done them.
    """

    next: str = "stable"
    cap: int = 10
    unit: timedelta = timedelta(microseconds=1)
    headers: bool = True
    cuts: set[int] = field(default_factory=set)
    added: list[tuple[datetime, int]] = field(default_factory=list)
    requests: int = 0
    chains: dict[str, tuple[list[tuple[datetime, int]], int]] = field(default_factory=dict)

    def push(self, numbers: range, seconds: float) -> None:
        """Add objects, all at one moment, so many seconds after the beginning."""
        moment = BEGIN + timedelta(seconds=seconds)
        self.added += [(moment, number) for number in numbers]
        self.added.sort(key=lambda pair: pair[0])

    def answer(self, params: Mapping[str, str]) -> Answer:
        """Answer GET objects."""
        number, self.requests = self.requests, self.requests + 1
        size = min(self.cap, int(params.get("limit", self.cap)))
        token = params.get("next", "")
        if token:
            if token not in self.chains:
                return _error(400)
            found, start = self.chains[token]
        else:
            found, start = self._after(params.get("added_after", "")), 0
            token = f"chain-{number}"
        page, more = found[start : start + size], start + size < len(found)
        follow = token if self.next == "once" else f"{token}-{start}"
        if self.next and more:
            self.chains[follow] = (found, start + size)
        if number in self.cuts:
            raise RemoteError("The connection broke.", code="broken", transient=True)
        body = {"more": more, "objects": [json.loads(malware(item).raw) for _, item in page]}
        if self.next and more:
            body["next"] = follow
        headers = {"content-type": MEDIA_TYPE}
        if page and self.headers:
            headers["x-taxii-date-added-first"] = _text(page[0][0])
            headers["x-taxii-date-added-last"] = _text(page[-1][0])
        return Answer(200, headers, json.dumps(body).encode(), "")

    def manifest(self, params: Mapping[str, str]) -> Answer:
        """Answer GET manifest."""
        found = self._after(params.get("added_after", ""))[: min(self.cap, int(params.get("limit", self.cap)))]
        records = [{"id": str(item), "date_added": _text(moment), "version": ""} for moment, item in found]
        return Answer(200, {"content-type": MEDIA_TYPE}, json.dumps({"objects": records}).encode(), "")

    def _after(self, text: str) -> list[tuple[datetime, int]]:
        if not text:
            return list(self.added)
        bound = self._whole(parse_timestamp(text))
        return [(moment, item) for moment, item in self.added if self._whole(moment) > bound]

    def _whole(self, moment: datetime) -> timedelta:
        return (moment - datetime(1, 1, 1, tzinfo=UTC)) // self.unit * self.unit


class _Patience:
    """Stands for the HTTP client: waits for nothing, and counts."""

    def __init__(self) -> None:
        self.pauses = 0

    def pause(self, attempt: int, asked: float | None = None) -> None:
        """Count."""
        self.pauses += 1


class SimulatedClient(TaxiiClient):
    """The client, its requests answered by a simulator; a repeatable one is tried again after a cut."""

    def __init__(self, simulator: Simulator, limits: RemoteLimits | None = None) -> None:
        self.simulator = simulator
        self.limits = limits or RemoteLimits()
        self.http = _Patience()  # type: ignore[assignment]

    def get(self, url: str, params: Mapping[str, str] | None = None, *, repeatable: bool = True) -> Answer:
        """Answer as the simulator does."""
        if urlsplit(url).path.endswith("/manifest/"):
            return self.simulator.manifest(params or {})
        attempt = 0
        while True:
            attempt += 1
            try:
                return self.simulator.answer(params or {})
            except RemoteError:
                if not repeatable or attempt >= self.limits.attempts:
                    raise


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _error(status: int) -> Answer:
    return Answer(status, {"content-type": MEDIA_TYPE}, b'{"title": "no"}', "")
