"""What is known of each log format, as data: one file a format, read by the rooms that each part concerns.

A format is a kind of event (``windows``, ``zeek``, ``cloudtrail`` …), in however many layouts it is written. Its file
is `data/<name>.toml`:

=================  =====================================================================================
``title``, …       what it is called, its family, the documentation that it follows, notes for the docs
``[[read]]``       how its bytes become events, one for each layout; read by `aleat.evidence.described`
``[[sigma]]``      which Sigma log sources its events are, and Sigma's names of fields; `aleat.hunt.taxonomy`
``[[stix]]``       which STIX objects its events tell of, and where; `aleat.hunt.stix_paths`
``[requests]``     where it is a web log: the fields that name service, host and status; `aleat.case.requests`
``[alert]``        where another tool alerts: the fields that name the rule (a table, or several); `aleat.hunt.alerts`
=================  =====================================================================================

The source's own field names are stored and all else is applied on read, so that a better mapping needs no new
ingest. To add a format: write its file, with a sample in `tests/formats/samples`; code is wanted only for a grammar
that no layout knows.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from importlib import resources
from typing import Any

__all__ = [
    "Format",
    "all_formats",
    "format_named",
    "format_of",
    "formats_of_texts",
    "part_digest",
    "stated_formats",
    "stated_key",
    "stated_texts",
]

PARTS = frozenset({"title", "family", "documentation", "notes", "read", "sigma", "stix", "requests", "alert"})


@dataclass(frozen=True, slots=True)
class Format:
    """One format's file; parts that it doesn't have are empty."""

    name: str
    title: str
    family: str
    documentation: tuple[str, ...]
    notes: str
    read: Sequence[Mapping[str, Any]]
    sigma: Sequence[Mapping[str, Any]]
    stix: Sequence[Mapping[str, Any]]
    requests: Mapping[str, Any]
    alert: Sequence[Mapping[str, Any]]


_STATED: ContextVar[tuple[Format, ...]] = ContextVar("stated_formats", default=())


def all_formats() -> tuple[Format, ...]:
    """Return all formats: those that ship, sorted by name, and those that are stated where this is called.

    Raises `ValueError` where a file has a part that no room reads.
    """
    return (*_shipped(), *_STATED.get())


@contextmanager
def stated_formats(formats: Sequence[Format]) -> Iterator[None]:
    """Let formats count, within, that somebody states beside those that ship (their `read` is none of this)."""
    token = _STATED.set(tuple(formats))
    try:
        yield
    finally:
        _STATED.reset(token)


def stated_key() -> str:
    """Return what changes with the stated formats (empty where there are none): a key for what is made of all."""
    stated = _STATED.get()
    return sha256(repr(stated).encode()).hexdigest() if stated else ""


def stated_texts() -> tuple[str, ...]:
    """Return the stated formats as JSON texts, which `formats_of_texts` reads."""
    return tuple(
        json.dumps({"name": item.name, "title": item.title, "sigma": item.sigma, "stix": item.stix})
        for item in _STATED.get()
    )


def formats_of_texts(texts: Sequence[str]) -> tuple[Format, ...]:
    """Return the formats that `stated_texts` wrote."""
    rows = [json.loads(text) for text in texts]
    return tuple(format_of(row.pop("name"), {"family": "other", **row}) for row in rows)


def format_named(name: str) -> Format | None:
    """Return the format that ships and is called `name`, or None where there is none."""
    return _by_name().get(name)


def part_digest(part: str) -> str:
    """Return the SHA-256 (hex) of one part of all files: another mapping can give other sightings."""
    return _part_digest(part, stated_key())


@lru_cache(maxsize=64)
def _part_digest(part: str, _stated: str) -> str:
    parts = [(item.name, getattr(item, part)) for item in all_formats()]
    return sha256(repr(parts).encode()).hexdigest()


@lru_cache(maxsize=1)
def _shipped() -> tuple[Format, ...]:
    folder = resources.files("aleat.formats").joinpath("data")
    files = sorted((item for item in folder.iterdir() if item.name.endswith(".toml")), key=lambda item: item.name)
    return tuple(_format(item.name.removesuffix(".toml"), item.read_text("utf-8")) for item in files)


@lru_cache(maxsize=1)
def _by_name() -> dict[str, Format]:
    return {item.name: item for item in _shipped()}


def _format(name: str, text: str) -> Format:
    data = tomllib.loads(text)
    return format_of(name, data)


def format_of(name: str, data: Mapping[str, Any]) -> Format:
    """Return a format of what its file says; raises `ValueError`."""
    if unknown := data.keys() - PARTS:
        raise ValueError(f"formats/data/{name}.toml: no room reads {', '.join(sorted(unknown))}")
    return Format(
        name=name,
        title=data["title"],
        family=data["family"],
        documentation=tuple(data.get("documentation", ())),
        notes=data.get("notes", ""),
        read=data.get("read", ()),
        sigma=data.get("sigma", ()),
        stix=data.get("stix", ()),
        requests=data.get("requests", {}),
        alert=_tables(data.get("alert", ())),
    )


def _tables(value: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Return one table, or several, as several."""
    return (value,) if isinstance(value, Mapping) else tuple(value)
