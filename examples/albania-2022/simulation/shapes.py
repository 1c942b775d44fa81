"""One Windows event as three tools write it: winlogbeat 7, evtx_dump, and NXLog as in Security-Datasets.

Each writer takes the host, the moment, the record id, the event's entry in the catalogue, its fields
(whole numbers and booleans where the XML has them) and the SID of the System part.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from .moments import HOUR, iso
from .world import Host

Writer = Callable[[Host, int, int, dict[str, Any], dict[str, Any], str], bytes]

_LEVELS = {0: "information", 1: "critical", 2: "error", 3: "warning", 4: "information", 5: "verbose"}
_SEVERITIES = {0: ("INFO", 2), 1: ("CRITICAL", 5), 2: ("ERROR", 4), 3: ("WARNING", 3), 4: ("INFO", 2), 5: ("DEBUG", 1)}
_SYSTEM = "S-1-5-18"


def _text(value: Any) -> str:
    if value is True or value is False:
        return "true" if value else "false"
    return str(value)


def _texts(fields: dict[str, Any]) -> dict[str, str]:
    """Return the fields as texts; GUIDs as those tools write them, lower-case in braces."""
    return {
        name: "{" + value.lower() + "}" if name.upper().endswith("GUID") and value else _text(value)
        for name, value in fields.items()
    }


def _process(kind: dict[str, Any], record: int) -> tuple[int, int]:
    """Return the process and thread that logged the event."""
    base = {"Security": 4, "System": 612}.get(kind["channel"], 2408)
    return base, 64 + record * 4 % 4096


def _message(kind: dict[str, Any], fields: dict[str, str]) -> str:
    body = "\r\n".join(f"{name}: {value}" for name, value in fields.items())
    return f"{kind['message']}\r\n{body}" if body else str(kind["message"])


def evtx_dump(host: Host, moment: int, record: int, kind: dict[str, Any], fields: dict[str, Any], user: str) -> bytes:
    """Write the event as ``evtx_dump -o jsonl`` does."""
    process, thread = _process(kind, record)
    provider = {"Name": kind["provider"]}
    if kind["guid"]:
        provider["Guid"] = kind["guid"]
    if kind["provider"] == "Service Control Manager":
        provider["EventSourceName"] = "Service Control Manager"
    number: Any = kind["id"]
    if "qualifiers" in kind:
        number = {"#attributes": {"Qualifiers": kind["qualifiers"]}, "#text": number}
    if not user and kind["channel"] not in ("Security", "System"):
        user = _SYSTEM
    event: dict[str, Any] = {
        "#attributes": {"xmlns": "http://schemas.microsoft.com/win/2004/08/events/event"},
        "System": {
            "Provider": {"#attributes": provider},
            "EventID": number,
            "Version": kind["version"],
            "Level": kind["level"],
            "Task": kind["task"],
            "Opcode": kind["opcode"],
            "Keywords": kind["keywords"],
            "TimeCreated": {"#attributes": {"SystemTime": iso(moment, 6)}},
            "EventRecordID": record,
            "Correlation": None,
            "Execution": {"#attributes": {"ProcessID": process, "ThreadID": thread}},
            "Channel": kind["channel"],
            "Computer": host.fqdn,
            "Security": {"#attributes": {"UserID": user}} if user else None,
        },
    }
    if "user_data" in kind:
        attributes = {"xmlns": "http://manifests.microsoft.com/win/2004/08/windows/eventlog"}
        event["UserData"] = {kind["user_data"]: {"#attributes": attributes, **fields}}
    else:
        event["EventData"] = fields or None
    return orjson.dumps({"Event": event}, option=orjson.OPT_APPEND_NEWLINE)


def winlogbeat(host: Host, moment: int, record: int, kind: dict[str, Any], fields: dict[str, Any], user: str) -> bytes:
    """Write the event as winlogbeat 7 does."""
    process, thread = _process(kind, record)
    texts = {name: value for name, value in _texts(fields).items() if value}
    failed = kind["keywords"] == "0x8010000000000000"
    winlog: dict[str, Any] = {
        "api": "wineventlog",
        "channel": kind["channel"],
        "computer_name": host.fqdn,
        "event_id": kind["id"],
        "provider_name": kind["provider"],
        "record_id": record,
        "opcode": "Info",
        "process": {"pid": process, "thread": {"id": thread}},
    }
    if kind["guid"]:
        winlog["provider_guid"] = "{" + kind["guid"].lower() + "}"
    if kind["category"]:
        winlog["task"] = kind["category"]
    if kind["version"]:
        winlog["version"] = kind["version"]
    if kind["channel"] == "Security":
        winlog["keywords"] = ["Audit Failure" if failed else "Audit Success"]
    elif kind["channel"] != "System":
        winlog["user"] = {"identifier": user or _SYSTEM, "domain": "NT AUTHORITY", "name": "SYSTEM", "type": "User"}
    if "user_data" in kind:
        winlog["user_data"] = {"xml_name": kind["user_data"], **texts}
    else:
        winlog["event_data"] = texts
    line = {
        "@timestamp": iso(moment, 3),
        "@metadata": {"beat": "winlogbeat", "type": "_doc", "version": "7.10.2"},
        "winlog": winlog,
        "event": {
            "action": kind["category"] or "None",
            "code": kind["id"],
            "created": iso(moment + 1_417_000, 3),
            "kind": "event",
            "outcome": "failure" if failed else "success",
            "provider": kind["provider"],
        },
        "log": {"level": _LEVELS[kind["level"]]},
        "message": _message(kind, texts),
        "host": {"name": host.fqdn},
        "ecs": {"version": "1.5.0"},
        "agent": {"type": "winlogbeat", "version": "7.10.2", "hostname": host.name, "name": host.name},
    }
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def security_datasets(
    host: Host, moment: int, record: int, kind: dict[str, Any], fields: dict[str, Any], user: str
) -> bytes:
    """Write the event as NXLog does, in the flat form that Security-Datasets made known (local EventTime)."""
    process, thread = _process(kind, record)
    texts = _texts(fields)
    severity, value = _SEVERITIES[kind["level"]]
    keywords = int(kind["keywords"], 16)
    local = iso(moment + 2 * HOUR, 0)[:-1].replace("T", " ")
    audit = kind["channel"] == "Security" and kind["id"] != 1102
    line: dict[str, Any] = {
        "EventTime": local,
        "Hostname": host.fqdn,
        "Keywords": keywords - (1 << 64) if keywords >= 1 << 63 else keywords,
        "EventType": ("AUDIT_FAILURE" if kind["id"] == 4625 else "AUDIT_SUCCESS") if audit else severity,
        "SeverityValue": value,
        "Severity": severity,
        "EventID": kind["id"],
        "SourceName": kind["provider"],
        "Version": kind["version"],
        "Task": kind["task"],
        "OpcodeValue": kind["opcode"],
        "RecordNumber": record,
        "ExecutionProcessID": process,
        "ThreadID": thread,
        "Channel": kind["channel"],
        "Message": _message(kind, texts),
        "Category": kind["category"],
        "Opcode": "Info",
        **{name: text for name, text in texts.items() if name != "Channel"},
        "EventReceivedTime": local,
        "SourceModuleName": "eventlog",
        "SourceModuleType": "im_msvistalog",
        "@timestamp": iso(moment, 3),
        "@version": "1",
        "host": "wec.qeveria.example",
    }
    if kind["guid"]:
        line["ProviderGuid"] = "{" + kind["guid"] + "}"
    if kind["channel"] not in ("Security", "System"):
        line.update(Domain="NT AUTHORITY", AccountName="SYSTEM", UserID=user or _SYSTEM, AccountType="User")
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


SHAPES: dict[str, Writer] = {
    "winlogbeat": winlogbeat,
    "evtx_dump": evtx_dump,
    "security-datasets": security_datasets,
}
