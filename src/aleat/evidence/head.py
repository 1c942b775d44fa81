"""The head of a stream, by which readers say whether it is theirs: decoded once, parsed once, for all of them."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any

from aleat.evidence.json_objects import find_objects, parse_object
from aleat.evidence.text import bom_length, detect_encoding

__all__ = ["HEAD_BYTES", "WRAPPERS", "Head"]

HEAD_BYTES = 1024 * 1024
"""How much of a stream a reader sees of it before it says whether it is its format."""

_TEXT_BYTES = 256 * 1024
_LINES = 40
_OBJECTS = 20
_JSON = re.compile(rb"\s*+(?:\{|\[(?:\s*+[\[{\]\"]|\s*+$))")
WRAPPERS = frozenset(
    {"records", "value", "values", "items", "events", "logevents", "findings", "results", "entries", "logs", "data"}
    | {"alerts", "authlogs"}
)
"""Names, in lower case, under which an outer object holds the records in an array."""
_WRAPPED = re.compile(
    rb'\s*+\{(?:(?:\s*+"[^"\\]*+"\s*+:\s*+(?:"(?:[^"\\]++|\\.)*+"|[-\w.+]++)\s*+,)*+\s*+'
    rb'"(records|value|values|items|events|logevents|findings|results|entries|logs|data|alerts)"'
    rb'|(?:\s*+"[^"\\]*+"\s*+:\s*+(?:"(?:[^"\\]++|\\.)*+"|[-\w.+]++|\{[^{}\[\]]{0,4096}+\})\s*+,)*+\s*+"(items|data|authlogs)"'
    rb'|[^\[\]]{0,4096}?"(hits)")\s*+:\s*+\[(?=\s*+\{)',
    re.IGNORECASE,
)
"""An object that holds the records in an array of its own: ``{"Records": [{…``, ``{"hits": {"hits": [{…``."""


class Head:
    """The first bytes (`data`, at most `HEAD_BYTES`) of a stream that is called `name`, and what they say."""

    def __init__(self, data: bytes, name: str) -> None:
        self.data = data
        self.name = name

    @cached_property
    def encoding(self) -> str:
        """The text's encoding, as `detect_encoding` says."""
        return detect_encoding(self.data)

    @cached_property
    def text(self) -> str:
        """The first 256 KiB as text, without a byte order mark; what is no text in that encoding is replaced."""
        return self.data[bom_length(self.data) : _TEXT_BYTES].decode(self.encoding, "replace")

    @cached_property
    def lines(self) -> list[str]:
        """The first 40 lines that aren't blank, without line ends; the last one only where it is whole."""
        lines = self.text.split("\n")
        if len(lines) > 1:
            lines.pop()
        return [line.rstrip("\r") for line in lines if line.strip()][:_LINES]

    @cached_property
    def body(self) -> bytes:
        """The bytes as UTF-8, without a byte order mark."""
        data = self.data[bom_length(self.data) :]
        if self.encoding == "utf-8":
            return data
        return data[: len(data) & ~1].decode(self.encoding, "ignore").encode("utf-8", "ignore")

    @cached_property
    def is_json(self) -> bool:
        """Whether it begins like a JSON object, or an array of objects; ``[15/Jul/2022`` begins neither."""
        return _JSON.match(self.body[:1024]) is not None

    @cached_property
    def wrapper(self) -> tuple[str, int]:
        """The key under which an outer object holds the records, and where in `body` its array opens; else ("", 0)."""
        match = _WRAPPED.match(self.body)
        return ((match[1] or match[2] or match[3]).decode(), match.end() - 1) if match else ("", 0)

    @cached_property
    def objects(self) -> list[dict[str, Any]]:
        """The first JSON objects (those in the wrapper's array, where there is one), at most 20."""
        if not self.is_json:
            return []
        found: list[dict[str, Any]] = []
        start = self.wrapper[1]
        if not start:
            for line in self.body[:_TEXT_BYTES].split(b"\n", _OBJECTS)[:_OBJECTS]:
                value = parse_object(line.strip().removesuffix(b","))
                if value is not None:
                    found.append(value)
        if not found:
            for item in find_objects(self.body, start):
                if isinstance(item.value, dict):
                    found.append(item.value)
                if item.unfinished or len(found) == _OBJECTS:
                    break
        return found
