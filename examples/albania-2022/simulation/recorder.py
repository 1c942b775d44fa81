"""Collects a host's Windows events in any order, and writes them in order, in the shape of one export tool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from .shapes import SHAPES
from .world import Host, table


class Recorder:
    """All Windows events of the simulation.

    `add` takes an event type of the catalogue ("Security/4624") and the fields that differ from its defaults.
    `story` marks events of the attack or its aftermath with a stage's name; they are counted for the ground truth.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._events: dict[str, list[tuple[int, int, str, dict[str, Any], str]]] = {}
        self.story: Counter[tuple[str, str]] = Counter()
        self.stages: dict[str, list[tuple[int, str, str]]] = {}
        self._stage = ""
        self._count = 0

    def stage(self, name: str) -> None:
        """Mark all that is added from now on as part of this stage ("" ends it)."""
        self._stage = name

    def add(self, host: Host, moment: int, event: str, fields: dict[str, Any], user: str = "") -> None:
        """Record one event; `user` is the SID that stands in the event's System part (default: by channel)."""
        self._events.setdefault(host.name, []).append((moment, self._count, event, fields, user))
        self._count += 1
        if self._stage:
            self.story[self._stage, host.name] += 1
            self.stages.setdefault(self._stage, []).append((moment, host.name, event))

    def drop(self, host: Host, start: int, end: int) -> None:
        """Forget what a host recorded in [start, end): it was off, or wiped. Story events stay."""
        kept = self._events.get(host.name, [])
        told = {
            (moment, event)
            for events in self.stages.values()
            for moment, name, event in events
            if name == host.name and event != "Security/4634"
        }
        self._events[host.name] = [row for row in kept if not start <= row[0] < end or (row[0], row[2]) in told]

    def moments(self, host: str) -> list[int]:
        """Return the times of a host's events, sorted."""
        return sorted(row[0] for row in self._events.get(host, []))

    def lines(self, host: Host) -> Iterator[bytes]:
        """Yield a host's events as JSON lines, in order of time, record ids counted by channel."""
        catalogue = table("event_catalogue")
        write = SHAPES[host.shape]
        records: Counter[str] = Counter()
        for moment, _, event, fields, user in sorted(self._events.get(host.name, [])):
            kind = catalogue[event]
            channel = kind["channel"]
            records[channel] += 1
            record = 1000 * host.number + records[channel]
            yield write(host, moment, record, kind, {**kind["fields"], **fields}, user)

    def count(self, host: str) -> int:
        """Return how many events a host has."""
        return len(self._events.get(host, []))
