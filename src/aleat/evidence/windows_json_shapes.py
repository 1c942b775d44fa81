"""The shapes in which tools write a Windows event as JSON, brought to the two forms that `windows_rows` takes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from aleat.evidence.windows_rows import FlatEvent, WindowsTables

__all__ = ["UnknownShapeError", "add_object"]


class UnknownShapeError(ValueError):
    """A JSON value that is no Windows event of any known shape."""


_CHANNEL = ("Channel", "channel", "log_name", "LogName", "EventLog")
_PROVIDER = ("Provider", "SourceName", "ProviderName", "provider_name", "source_name", "Provider_Name", "Source")
_EVENT_ID = ("EventID", "event_id", "EventId", "Id")
_RECORD_ID = ("EventRecordID", "RecordNumber", "record_id", "record_number", "RecordId", "EventRecordId")
_HOST = ("Hostname", "Computer", "ComputerName", "computer_name", "MachineName", "host.name", "agent.hostname")
_TIME = ("SystemTime", "TimeCreated", "EventTime", "@timestamp", "timestamp", "time")
_NESTED = ("EventData", "UserData", "event_data", "user_data")

_WINLOG_NAMES = {
    "provider_guid": "Provider.Guid",
    "version": "Version",
    "task": "Task",
    "opcode": "Opcode",
    "keywords": "Keywords",
    "activity_id": "Correlation.ActivityID",
    "related_activity_id": "Correlation.RelatedActivityID",
    "process.pid": "Execution.ProcessID",
    "process.thread.id": "Execution.ThreadID",
    "user.identifier": "Security.UserID",
}
"""What Winlogbeat calls the System values (its exported fields, module winlog), and their XML names."""

_PARAMETER = re.compile(r"param([0-9]{1,9})")
_ZONED = re.compile(r".*(?:Z|UTC|[+-]\d\d:?\d\d)", re.DOTALL)
_DATE_ONLY_SIGN = 10


def _any_starts(names: Iterable[str], start: str) -> bool:
    """Say whether a name starts so; all of them are searched at once, since hardly ever one does."""
    return f"\0{start}" in "\0" + "\0".join(names) and any(name.startswith(start) for name in names)


def _any_ends(names: tuple[str, ...], end: str) -> bool:
    return f"{end}\0" in "\0".join((*names, "")) and any(name.endswith(end) for name in names)


def add_object(rows: WindowsTables, offset: int, value: Any) -> None:
    """Add one JSON object to `rows`; raises `UnknownShapeError` where it is no Windows event."""
    if type(value) is not dict:
        raise UnknownShapeError
    event = value.get("Event")
    if type(event) is dict and type(event.get("System")) is dict:
        extra = {name: item for name, item in value.items() if name not in ("Event", "Event_attributes")}
        _add_event(rows, offset, event, extra)
    elif type(value.get("System")) is dict:
        _add_event(rows, offset, value, None)
    elif type(value.get("_source")) is dict:
        add_object(rows, offset, value["_source"])
    elif "winlog" in value or _any_starts(value, "winlog."):
        _add_winlogbeat(rows, offset, value)
    else:
        _add_flat(rows, offset, value)


def _add_event(rows: WindowsTables, offset: int, event: dict[str, Any], extra: dict[str, Any] | None) -> None:
    system = event["System"]
    if _any_ends((*system, *event), "_attributes"):
        event = _fold_attributes(event)
        system = event["System"]
    event_id = system.get("EventID")
    if type(event_id) is dict and "Value" in event_id:
        system = {**system, "EventID": event_id["Value"]}
        event = {**event, "System": system}
    channel = system.get("Channel")
    if type(channel) is not str and channel is not None:
        event = {**event, "System": {**system, "Channel": _text(channel)}}
    if "EventID" not in system and "Provider" not in system:
        raise UnknownShapeError
    rows.add_event(offset, event, extra)


def _fold_attributes(value: Any) -> Any:
    """Turn ``{"X": v, "X_attributes": {…}}`` to ``{"X": {"#attributes": {…}, "#text": v}}``, at every depth."""
    if isinstance(value, list):
        return [_fold_attributes(item) for item in value]
    if not isinstance(value, dict):
        return value
    out: dict[str, Any] = {}
    for name, item in value.items():
        base = name.removesuffix("_attributes")
        if base != name and isinstance(item, dict):
            inner = _fold_attributes(value.get(base))
            if isinstance(inner, dict):
                out[base] = {"#attributes": item, **inner}
            elif inner is None:
                out[base] = {"#attributes": item}
            else:
                out[base] = {"#attributes": item, "#text": inner}
        elif name not in out:
            out[name] = _fold_attributes(item)
    return out


def _add_winlogbeat(rows: WindowsTables, offset: int, value: dict[str, Any]) -> None:
    flat: dict[str, Any] = {}
    _flatten("", value, flat, 0)
    facts = {
        "channel": flat.pop("winlog.channel", None),
        "provider": flat.pop("winlog.provider_name", None),
        "event_id": flat.pop("winlog.event_id", flat.get("event.code")),
        "record_id": flat.pop("winlog.record_id", None),
        "time": flat.pop("@timestamp", None),
    }
    host = flat.get("winlog.computer_name") or flat.get("host.name") or flat.get("host.hostname")
    if facts["event_id"] is None and facts["channel"] is None:
        raise UnknownShapeError
    fields: dict[str, Any] = {}
    later: dict[str, Any] = {}
    for name, item in flat.items():
        for wrapper in ("winlog.event_data.", "winlog.user_data."):
            if name.startswith(wrapper):
                fields[name.removeprefix(wrapper)] = item
                break
        else:
            later[name] = item
    _add_unnamed(fields)
    if "xml_name" in fields and "winlog.user_data.xml_name" in flat:
        fields["UserData"] = fields.pop("xml_name")
    for name, item in later.items():
        inner = name.removeprefix("winlog.")
        stored = "Computer" if name == "winlog.computer_name" else _WINLOG_NAMES.get(inner, "") if inner != name else ""
        stored = stored or name
        fields[f"System.{stored}" if stored in fields else stored] = item
    _add(rows, offset, facts, host, fields)


def _add_unnamed(fields: dict[str, Any]) -> None:
    """Add `Data`, the values without a name, which Winlogbeat calls ``param1``, ``param2`` … by their places.

    Providers have such names of their own too, so that those stay.
    """
    if "Data" in fields or not _any_starts(fields, "param"):
        return
    places = sorted((int(found[1]), name) for name in fields if (found := _PARAMETER.fullmatch(name)))
    if places:
        values = [fields[name] for _, name in places]
        fields["Data"] = values if len(values) > 1 else values[0]


def _flatten(prefix: str, value: dict[str, Any], out: dict[str, Any], depth: int) -> None:
    for key, item in value.items():
        name = f"{prefix}.{key}" if prefix else key
        if type(item) is dict and depth < 16:
            _flatten(name, item, out, depth + 1)
        else:
            out[name] = item


def _add_flat(rows: WindowsTables, offset: int, value: dict[str, Any]) -> None:
    event_id = _first(value, _EVENT_ID)
    channel = _first(value, _CHANNEL)
    if event_id is None or (channel is None and _first(value, _PROVIDER) is None):
        raise UnknownShapeError
    fields = dict(value)
    facts = {
        "event_id": fields.pop(event_id),
        "channel": fields.pop(channel) if channel else None,
        "time": _best_time(value),
    }
    provider, record = _first(value, _PROVIDER), _first(value, _RECORD_ID)
    facts["provider"] = fields.pop(provider) if provider else None
    facts["record_id"] = fields.pop(record) if record else None
    host = _first(value, _HOST)
    outer = value.get("host")
    computer = value[host] if host else outer.get("name") if isinstance(outer, dict) else outer
    for section in _NESTED:
        inner = fields.get(section)
        if isinstance(inner, dict):
            del fields[section]
            for name, item in inner.items():
                if name in fields:
                    fields[f"System.{name}"] = fields.pop(name)
                fields[name] = item
            if section == "event_data":
                _add_unnamed(fields)
    _add(rows, offset, facts, computer, fields)


def _first(value: dict[str, Any], names: tuple[str, ...]) -> str | None:
    """Return the first of `names` under which `value` has a text or a number."""
    for name in names:
        item = value.get(name)
        if item is not None and type(item) is not dict and type(item) is not list:
            return name
    return None


def _best_time(value: dict[str, Any]) -> Any:
    """Return the event's own time with a zone; else the export's with one; else Sysmon's UtcTime; else one without."""
    zoneless = None
    for name in _TIME:
        item = value.get(name)
        if isinstance(item, dict):
            item = item.get("SystemTime", item.get("#attributes", {}).get("SystemTime") if item else None)
        if isinstance(item, (int, float)) and not isinstance(item, bool):
            return item
        if isinstance(item, str) and item:
            if item.startswith("/Date(") or _ZONED.fullmatch(item[_DATE_ONLY_SIGN:]):
                return item
            zoneless = zoneless if zoneless is not None else item
    utc = value.get("UtcTime")
    return f"{utc}Z" if isinstance(utc, str) and utc[:4].isdecimal() and "Z" not in utc else zoneless


def _text(value: Any) -> str:
    return value if type(value) is str else "" if value is None else str(value)


def _add(rows: WindowsTables, offset: int, facts: dict[str, Any], host: Any, fields: dict[str, Any]) -> None:
    event_id, record, provider = facts["event_id"], facts["record_id"], facts["provider"]
    time = facts["time"]
    if type(record) is str:
        record = int(record) if record.isascii() and record.isdecimal() and len(record) < 19 else None
    rows.add_flat(
        offset,
        FlatEvent(
            channel=_text(facts["channel"]),
            provider=None if provider is None else _text(provider),
            event_id=None if event_id is None else _text(event_id),
            record_id=record if type(record) is int and abs(record) < 2**63 else None,
            time=None if isinstance(time, (dict, list)) else time,
            host=host if type(host) is str else None,
            fields=fields,
        ),
    )
