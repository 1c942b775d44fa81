"""The fields of a Windows event from its rendered message, where an export has nothing else.

Only what is safe in every language is taken: the values of an event's lines ``<label>:<tabs><value>`` stand in the
order of the message's template, so that they are told by their places where their number is that of a known layout and
those with a known form (hexadecimal, a number, a path) have it. Sysmon writes its fields' own names. All else stays in
the message. The layouts are in `windows_messages.toml`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

__all__ = ["message_fields"]

_LABELLED = re.compile(r"(\t?)([^\t:]{1,80}?)\s?:(?:\t+| {2,4})(\S.*)?", re.DOTALL)
_EMPTY = re.compile(r"(\t)([^\t:]{1,80}?)\s?:\s*")
_SYSMON = re.compile(r"([A-Z][A-Za-z0-9]{1,40}): ?(.*)", re.DOTALL)
_PARTS = re.compile(r".{0,200}\((\d{1,9})\D{1,20}(\d{1,9})\).{0,20}")
_SCRIPT_ID = re.compile(r"[^:]{1,60}:\s*([0-9a-fA-F-]{36})\s*")
_SCRIPT_PATH = re.compile(r"[^:]{1,60}:[ \t]*(.*)")
_MAX_LINES = 2000
_FORMS = {
    "hex": re.compile(r"0[xX][0-9a-fA-F]{1,16}"),
    "int": re.compile(r"[0-9]{1,20}"),
    "pid": re.compile(r"0[xX][0-9a-fA-F]{1,16}|[0-9]{1,10}"),
    "path": re.compile(r"-|.{0,4000}[\\/].*", re.DOTALL),
    "address": re.compile(r"-|::1|[0-9A-Fa-f:.%]{2,60}|LOCAL|"),
}


@dataclass(frozen=True, slots=True)
class _Layout:
    """The fields of a message's lines in their order, each with its form or None; "" takes no field."""

    fields: tuple[tuple[str, str | None], ...]


def message_fields(provider: str, event_id: str, message: str) -> dict[str, str]:
    """Return the fields that an event's message tells, or none.

    >>> message_fields("Microsoft-Windows-Sysmon", "11", "File created:\\nImage: C:\\\\a.exe\\nTargetFilename: C:\\\\b")
    {'Image': 'C:\\\\a.exe', 'TargetFilename': 'C:\\\\b'}
    """
    text = message.replace("\r\n", "\n").replace("\r", "\n")
    if provider.casefold() in ("microsoft-windows-sysmon", "sysmon"):
        return _sysmon(text)
    if event_id == "4104" and "powershell" in provider.casefold():
        return _script(text)
    layouts = _layouts().get(event_id)
    if not layouts:
        return {}
    values = _values(text)
    for layout in layouts:
        if len(layout.fields) == len(values) and _fit(layout, values):
            return {
                name: value for (name, _), value in zip(layout.fields, values, strict=True) if name and value != "-"
            }
    return {}


def _values(text: str) -> list[str]:
    """Return the values of the lines that have a label, in their order."""
    found = []
    for line in text.split("\n", _MAX_LINES)[:_MAX_LINES]:
        match = _LABELLED.fullmatch(line.rstrip()) or _EMPTY.fullmatch(line)
        if match is not None and (match[1] or (match.lastindex == 3 and match[3])):
            found.append((match[3] or "").strip() if match.lastindex == 3 else "")
    return found


def _fit(layout: _Layout, values: list[str]) -> bool:
    return all(
        form is None or _FORMS[form].fullmatch(value) is not None
        for (_, form), value in zip(layout.fields, values, strict=True)
    )


def _sysmon(text: str) -> dict[str, str]:
    """Return Sysmon's fields; a line that begins with no name goes on with the value before."""
    out: dict[str, str] = {}
    last = ""
    for line in text.split("\n", _MAX_LINES)[1:_MAX_LINES]:
        match = _SYSMON.fullmatch(line)
        if match is not None and match[1] not in out:
            last = match[1]
            out[last] = match[2].rstrip()
        elif last and line:
            out[last] += "\n" + line
    return out


def _script(text: str) -> dict[str, str]:
    """Return a script block's text and what stands around it: a line before, and two lines behind an empty one."""
    lines = text.rstrip().split("\n")
    if len(lines) < 5 or lines[-3].strip():
        return {}
    parts, identifier = _PARTS.fullmatch(lines[0]), _SCRIPT_ID.fullmatch(lines[-2])
    path = _SCRIPT_PATH.fullmatch(lines[-1])
    if parts is None or identifier is None or path is None:
        return {}
    return {
        "MessageNumber": parts[1],
        "MessageTotal": parts[2],
        "ScriptBlockText": "\n".join(lines[1:-3]),
        "ScriptBlockId": identifier[1],
        "Path": path[1],
    }


@lru_cache(maxsize=1)
def _layouts() -> Mapping[str, tuple[_Layout, ...]]:
    text = resources.files("aleat.evidence").joinpath("windows_messages.toml").read_text("utf-8")
    data: dict[str, Any] = tomllib.loads(text)
    parts: Mapping[str, list[str]] = data.pop("parts")
    return {name: tuple(_layout(row, parts) for row in rows) for name, rows in data["messages"].items()}


def _layout(row: list[str], parts: Mapping[str, list[str]]) -> _Layout:
    words = [word for item in row for word in (parts[item[1:]] if item.startswith("@") else [item])]
    fields = []
    for word in words:
        name, _, form = word.partition(":")
        fields.append((name, form or None))
    return _Layout(tuple(fields))
