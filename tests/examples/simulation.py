"""Loads the example's generator, and reads what it writes without Aleat's own readers."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "albania-2022"

_ACCESS = re.compile(rb'^(\S+) - (\S+) \[([^\]]+)\] "([^"]*)" (\d{3}) ')


def load() -> ModuleType:
    """Return the generator's package, loaded from the examples folder under a name of its own."""
    name = "albania_2022_simulation"
    if name not in sys.modules:
        package = EXAMPLE / "simulation"
        spec = importlib.util.spec_from_file_location(
            name, package / "__init__.py", submodule_search_locations=[str(package)]
        )
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


def moment(text: str) -> datetime:
    """Return the moment that a text of the ground truth means."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def requests(evidence: Path) -> Iterator[tuple[str, datetime, int, str]]:
    """Yield (folder, time, status, address) of every request in the web logs."""
    for path in sorted((evidence / "iis").rglob("*.log")):
        names: list[str] = []
        for line in path.read_bytes().split(b"\r\n"):
            if line.startswith(b"#Fields: "):
                names = line.decode().split()[1:]
            elif line and not line.startswith(b"#"):
                cells = dict(zip(names, line.split(b" "), strict=True))
                when = datetime.fromisoformat(f"{cells['date'].decode()}T{cells['time'].decode()}+00:00")
                yield path.parent.name, when, int(cells["sc-status"]), cells["c-ip"].decode()
    for path in sorted([*(evidence / "nginx").rglob("*.log"), *(evidence / "app").rglob("*.log")]):
        for line in path.read_bytes().splitlines():
            match = _ACCESS.match(line)
            assert match, line
            when = datetime.strptime(match[3].decode(), "%d/%b/%Y:%H:%M:%S %z").astimezone(UTC)
            yield path.parent.name, when, int(match[5]), match[1].decode()


def windows(path: Path) -> Iterator[tuple[str, str, int, dict[str, Any]]]:
    """Yield (time, channel, event id, fields) of every event of a host, whatever the shape."""
    for line in path.read_bytes().splitlines():
        event = json.loads(line)
        if "Event" in event:
            system = event["Event"]["System"]
            number = system["EventID"]
            data = event["Event"].get("EventData") or event["Event"].get("UserData") or {}
            number = number["#text"] if isinstance(number, dict) else number
            yield system["TimeCreated"]["#attributes"]["SystemTime"], system["Channel"], number, data
        elif "winlog" in event:
            log = event["winlog"]
            yield (
                event["@timestamp"],
                log["channel"],
                log["event_id"],
                log.get("event_data") or log.get("user_data") or {},
            )
        else:
            yield event["@timestamp"], event["Channel"], event["EventID"], event
