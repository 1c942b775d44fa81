"""MISP events at scale: how fast an event with many attributes becomes STIX, and comes back, beside misp-stix.

    python benchmarks/misp.py [--attributes N] [--theirs N]

The event is made here, seeded: addresses, domains, URLs, hashes, file names, two in three with `to_ids`. Times are
this process's own; misp-stix (MISP's converter) has fewer attributes, because it takes its time.
"""

from __future__ import annotations

import argparse
import json
import random
import time
import uuid
import warnings
from collections.abc import Callable
from typing import Any

from aleat.exchange.misp import write_events
from aleat.knowledge import Document, KnowledgeItem, Limits
from aleat.knowledge.readers import misp


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--attributes", type=int, default=100_000)
    parser.add_argument("--theirs", type=int, default=2_000)
    options = parser.parse_args()
    print("| what | attributes | seconds | attributes/s |\n|---|---:|---:|---:|")
    event = make_event(options.attributes)
    data = json.dumps({"Event": event}).encode()
    document = Document("event.json", "event.json", len(data), data[:8192], lambda: data)
    items = measured("read to STIX", options.attributes, lambda: list(misp.read(document, Limits())))
    objects = [item.object for item in items if isinstance(item, KnowledgeItem)]
    written = measured("written to MISP", options.attributes, lambda: write_events(objects))
    if written.events[0]["Event"] != event:
        raise SystemExit("The event came back otherwise.")
    measured("misp-stix, to STIX", options.theirs, lambda: convert(make_event(options.theirs)))


def measured(name: str, count: int, run: Callable[[], Any]) -> Any:
    """Run it, print a line, and return what it gave."""
    begin = time.process_time()
    found = run()
    seconds = time.process_time() - begin
    print(f"| {name} | {count:,} | {seconds:.2f} | {count / seconds:,.0f} |")
    return found


def convert(event: dict[str, Any]) -> None:
    """What misp-stix does with an event."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from misp_stix_converter import MISPtoSTIX21Parser  # noqa: PLC0415

        MISPtoSTIX21Parser().parse_misp_event({"Event": event})


def make_event(count: int) -> dict[str, Any]:
    """Return an event with `count` attributes."""
    rng = random.Random(5)
    makers = (
        lambda: ("ip-dst", "Network activity", f"203.0.113.{rng.randrange(256)}"),
        lambda: ("domain", "Network activity", f"h{rng.randrange(10**9)}.example.org"),
        lambda: ("url", "Network activity", f"https://example.org/{rng.randrange(10**9)}"),
        lambda: ("sha256", "Payload delivery", f"{rng.getrandbits(256):064x}"),
        lambda: ("filename", "Payload delivery", f"f{rng.randrange(10**9)}.exe"),
    )
    rows = []
    for number in range(count):
        type_, category, value = rng.choice(makers)()
        rows.append(
            {
                "id": str(number + 1),
                "event_id": "1",
                "object_id": "0",
                "object_relation": None,
                "category": category,
                "type": type_,
                "value": value,
                "to_ids": number % 3 > 0,
                "uuid": str(uuid.UUID(int=rng.getrandbits(128), version=4)),
                "timestamp": str(1657872000 + number),
                "distribution": "5",
                "sharing_group_id": "0",
                "comment": "",
                "deleted": False,
                "disable_correlation": False,
                "first_seen": None,
                "last_seen": None,
                "Galaxy": [],
                "ShadowAttribute": [],
            }
        )
    return {
        "id": "1",
        "info": "Many",
        "uuid": str(uuid.UUID(int=rng.getrandbits(128), version=4)),
        "date": "2022-07-15",
        "timestamp": "1657872000",
        "published": True,
        "analysis": "2",
        "threat_level_id": "1",
        "distribution": "3",
        "Orgc": {"id": "1", "name": "Ally", "uuid": str(uuid.UUID(int=rng.getrandbits(128), version=4))},
        "Tag": [{"name": "tlp:green"}],
        "Attribute": rows,
    }


if __name__ == "__main__":
    main()
