"""The ground truth: what the simulation knows, told in the logs' own times. Only tests read it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import first_wave, second_wave
from .moments import at, iso
from .recorder import Recorder
from .web import Served
from .world import hosts

_CLOSED = {
    "first-wave": ("wave1:", "2022-07-26 00:00"),
    "second-wave": ("wave2:", "2022-09-20 00:00"),
}


def _second(moment: int) -> str:
    return iso(moment, 0)


def _incident(recorder: Recorder, name: str, prefix: str) -> dict[str, Any]:
    events = sorted(
        (moment, host, kind)
        for stage, rows in recorder.stages.items()
        if stage.startswith(prefix)
        for moment, host, kind in rows
        if kind != "Security/4634"
    )
    stages = {
        stage.partition(":")[2]: {
            "first": iso(min(rows)[0]),
            "last": iso(max(rows)[0]),
            "events": len(rows),
        }
        for stage, rows in sorted(recorder.stages.items())
        if stage.startswith(prefix)
    }
    return {
        "name": name,
        "first": iso(events[0][0]),
        "last": iso(events[-1][0]),
        "hosts": sorted({host for _, host, _ in events}),
        "events": len(events),
        "events_by_host": {host: sum(row[1] == host for row in events) for host in sorted({row[1] for row in events})},
        "stages": stages,
    }


def _outage(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "last_served": _second(row["last_served"]), "first_served": _second(row["first_served"])}


def truth(
    recorder: Recorder, served: list[Served], canaries: dict[str, Any], count: Callable[[str], int]
) -> dict[str, Any]:
    """Return the ground truth; `count` gives the number of a host's Windows events."""
    incidents = [_incident(recorder, name, prefix) for name, (prefix, _) in _CLOSED.items()]
    incidents[0]["accounts"] = [
        "QEVERIA\\" + name
        for name in ("Administrator", "HealthMailbox7f3c21", "a.kelmendi", "gëzim.çela", "svc-sharepoint")
    ]
    incidents[1]["accounts"] = ["POLICIA\\Administrator", "POLICIA\\e.dervishi"]
    hit = {host for incident in incidents for host in incident["hosts"]}
    outages = sorted(
        (row for site in served for row in site.outages), key=lambda row: (row["last_served"], row["service"])
    )
    windows = {host: count(host) for host in hosts()}
    return {
        "simulation": True,
        "events": {
            "windows": windows,
            "web": {site.service: site.requests for site in served},
            "total": sum(windows.values()) + sum(site.requests for site in served),
        },
        "campaigns": 1,
        "campaign": {"name": "HomeLand Justice", "incidents": [incident["name"] for incident in incidents]},
        "incidents": incidents,
        "sponsor": "Islamic Republic of Iran (as publicly reported)",
        "groups": ["DEV-0861", "DEV-0842"],
        "links": [
            "203.0.113.77",
            "edge-sync-cdn.test",
            "cl.exe",
            "rwdsk.sys",
            "GoXML.exe",
            "Mellona.exe",
            "tlsvc.exe",
            "TLSPolicyHelper",
            second_wave.TASK,
        ],
        "benign_hosts": sorted(set(hosts()) - hit),
        "outages": [_outage(row) for row in outages],
        "not_collected": {
            "services": ["portal.sherbime.example", "www.ministria.example", "mail.qeveria.example"],
            "from": "2022-07-26T00:00:00Z",
            "to": "2022-08-30T00:00:00Z",
            "note": "web logs of whole days that were never given: no outage, and nothing is known",
        },
        "web_requests_of_intruders": {site.service: site.intruder for site in served if site.intruder},
        "open": {
            "persistence": [
                {"host": "UJ-FS01", "kind": "scheduled-task", "value": first_wave.TASK, "since": "2022-03-03T19:48:27Z"}
            ],
            "accounts": ["QEVERIA\\" + first_wave.MADE[1]],
            "died_with_the_host": [
                {"host": host, "kind": "driver-service", "value": "RawDisk3"}
                for host in ("POL-APP01", "POL-DB01", "UJ-FS01", "UJ-SHP01")
            ],
        },
        "benign_accounts_made": ["QEVERIA\\klea.çarçani"],
        "closed": {
            "persistence": [
                {"host": "UJ-SHP01", "kind": "web-shell", "value": "pickers.aspx"},
                {"host": "UJ-SHP01", "kind": "web-shell", "value": "ClientBin.aspx"},
                {"host": "UJ-EXCH01", "kind": "web-shell", "value": "error4.aspx"},
                {"host": "UJ-EXCH01", "kind": "scheduled-task", "value": first_wave.EXCHANGE_TASK},
                {"host": "UJ-DC01", "kind": "service", "value": first_wave.SERVICE},
                {"host": "POL-DC01", "kind": "service", "value": second_wave.SERVICE},
                {"host": "POL-DB01", "kind": "scheduled-task", "value": second_wave.TASK},
            ],
            "accounts": [
                account for incident in incidents for account in incident["accounts"] if "HealthMailbox" not in account
            ],
        },
        "taken": {
            "mailboxes": ["it.admin", "juridiku", "kabineti", "ministri", "prokurimet"],
            "from": "2021-10-07",
            "to": "2022-07-12",
        },
        "first_alarm": iso(at("2022-07-15 12:05:08")),
        "canaries": canaries,
    }
