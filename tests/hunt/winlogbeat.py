"""Windows events as Winlogbeat writes them, made from their XML.

Written after Winlogbeat's exported fields and what its code does to a record (elastic/beats, `winevent.Event.Fields`
and `AddPairs`, `eventlog.Record.ToEvent`): values are texts; empty values are left out; data without a name is
``paramN``; the first of two values with one name stays; carriage returns before line feeds go; level, opcode and
keywords are words, not numbers; user data stands without its element, whose name is ``xml_name``; and zeros of the
system part are left out. The time is written to the millisecond.
"""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

__all__ = ["winlogbeat_event"]

_LEVELS = {0: "information", 1: "critical", 2: "error", 3: "warning", 4: "information", 5: "verbose"}
_OPCODES = {0: "Info", 1: "Start", 2: "Stop", 3: "DCStart", 4: "DCStop"}
_KEYWORDS = {0x10000000000000: "Audit Failure", 0x20000000000000: "Audit Success", 0x80000000000000: "Classic"}
_NAMESPACE = re.compile(r"^\{[^}]*\}")


def winlogbeat_event(xml: str) -> dict[str, Any]:
    """Return the document that Winlogbeat ships for an event's XML."""
    event = ElementTree.fromstring(xml.encode())  # noqa: S314 - the tests' own samples
    parts = {_name(child): child for child in event}
    system = {_name(child): child for child in parts["System"]}

    def text(name: str) -> str:
        return (system[name].text or "") if name in system else ""

    def attribute(name: str, key: str) -> str:
        return system[name].get(key, "") if name in system else ""

    win: dict[str, Any] = {
        "api": "wineventlog-file",
        "channel": text("Channel"),
        "computer_name": text("Computer"),
        "event_id": text("EventID"),
        "provider_name": attribute("Provider", "Name"),
        "provider_guid": attribute("Provider", "Guid"),
        "record_id": int(text("EventRecordID") or 0),
        "version": int(text("Version") or 0),
        "opcode": _OPCODES.get(int(text("Opcode") or 0), ""),
        "keywords": [word for bit, word in _KEYWORDS.items() if int(text("Keywords") or "0", 16) & bit],
        "activity_id": attribute("Correlation", "ActivityID"),
        "process": {
            "pid": int(attribute("Execution", "ProcessID") or 0),
            "thread": {"id": int(attribute("Execution", "ThreadID") or 0)},
        },
    }
    if user := attribute("Security", "UserID"):
        win["user"] = {"identifier": user}
    if "EventData" in parts:
        win["event_data"] = _pairs(parts["EventData"])
    if "UserData" in parts and len(parts["UserData"]):
        inner = parts["UserData"][0]
        if pairs := _pairs(inner):
            win["user_data"] = {**pairs, "xml_name": _name(inner)}
    return {
        "@timestamp": _milliseconds(attribute("TimeCreated", "SystemTime")),
        "event": {"code": win["event_id"], "kind": "event", "provider": win["provider_name"]},
        "host": {"name": win["computer_name"]},
        "log": {"level": _LEVELS.get(int(text("Level") or 0), "")},
        "winlog": {name: value for name, value in win.items() if value not in ("", 0, [], {})},
    }


def _pairs(element: ElementTree.Element) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, child in enumerate(element, 1):
        name = child.get("Name") or _name(child)
        value = child.text or ""
        if value:
            found.setdefault(f"param{number}" if name == "Data" else name, value.replace("\r\n", "\n"))
    return found


def _name(element: ElementTree.Element) -> str:
    return _NAMESPACE.sub("", element.tag)


def _milliseconds(time: str) -> str:
    whole, _, fraction = time.removesuffix("Z").removesuffix("+00:00").removesuffix(" UTC").partition(".")
    return f"{whole.replace(' ', 'T')}.{fraction[:3]:0<3}Z"
