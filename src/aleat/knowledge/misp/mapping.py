"""What MISP's attributes and objects are in STIX: comparisons of a pattern, and observables; tables in TOML beside it.

A comparison is text of STIX 2.1 §9.5 without brackets (``file:hashes.MD5 = '…'``); several are joined by the caller.
An observable is its type and properties (§6), without id.
"""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

__all__ = [
    "AttributeType",
    "ObjectTemplate",
    "Observable",
    "attribute_type",
    "attribute_types",
    "galaxy_of",
    "is_category",
    "kept_reason",
    "kill_chain_phase",
    "object_template",
    "quote",
    "written_entry",
    "written_objects",
    "written_rule",
    "written_type",
]

Observable = tuple[str, dict[str, Any]]
"""A cyber observable's type and its properties."""

_NUMBERS = ("_port", ":size", ":number")
_OPEN_HASHES = frozenset({"MD5", "SHA-1", "SHA-256", "SHA-512", "SHA3-256", "SHA3-512", "SSDEEP", "TLSH"})
"""STIX 2.1 §10.10, hash-algorithm-ov."""


@dataclass(frozen=True, slots=True)
class AttributeType:
    """One type of attribute: see the head of attributes.toml."""

    name: str
    values: tuple[re.Pattern[str], ...] = ()
    paths: tuple[str, ...] = ()
    join: str = ""
    observables: tuple[str, ...] = ()
    rule: str = ""
    kept: str = ""
    short: AttributeType | None = None

    def parts(self, value: str) -> tuple[str, ...] | None:
        """Return the parts of `value` (one, unless the type is composite), or None where it isn't of the type."""
        count = len(self.values)
        texts = [value] if count <= 1 else value.split("|") if value.count("|") == count - 1 else []
        if len(texts) != count:
            return None
        texts = [text.strip() for text in texts]
        fits = (form.fullmatch(text) for form, text in zip(self.values, texts, strict=True))
        return tuple(texts) if all(fits) and self._sound(texts) else None

    def comparisons(self, value: str) -> tuple[str, ...]:
        """Return what holds of the thing: alternatives, or one where all parts belong together; none where unfit."""
        parts = self.parts(value)
        if parts is None:
            return self.short.comparisons(value) if self.short else ()
        found = [compare(path, part) for path, part in zip(self.paths, parts, strict=True) if path]
        return (" AND ".join(found),) if self.join == "AND" else tuple(found)

    def observable(self, value: str) -> tuple[Observable, ...]:
        """Return the observables that `value` names; none where STIX has none, or it is unfit."""
        parts = self.parts(value)
        if parts is None:
            return self.short.observable(value) if self.short else ()
        merged: dict[str, dict[str, Any]] = {}
        found: list[Observable] = []
        for path, part in zip(self.observables, parts, strict=False):
            if not path:
                continue
            type_, properties = _observe(path, part)
            if type_ in merged:
                merged[type_] |= properties
            else:
                merged[type_] = properties
                found.append((type_, properties))
        return tuple(found)

    def _sound(self, parts: Sequence[str]) -> bool:
        """Whether addresses are addresses, and ports ports."""
        for path, part in zip(self.paths, parts, strict=True):
            if (path == "ip" or path.endswith("_ref.value")) and not _is_address(part):
                return False
            if path.endswith("_port") and int(part) > 65535:
                return False
        return True


@dataclass(frozen=True, slots=True)
class ObjectTemplate:
    """How the attributes of one kind of object belong together: see the head of objects.toml."""

    alone: frozenset[str] = frozenset()
    together: dict[str, str] = field(default_factory=dict)
    weak: frozenset[str] = frozenset()
    beside: bool = False


def attribute_types() -> tuple[str, ...]:
    """Return the names of all types of attributes that are known."""
    return tuple(_types())


def attribute_type(name: str) -> AttributeType | None:
    """Return the type of attribute called `name`, or None where MISP has none of that name."""
    return _types().get(name)


def kept_reason(name: str) -> str:
    """Return why attributes of type `name` have no pattern, as a clause; empty where they have."""
    type_ = _types().get(name)
    if type_ is None:
        return "its type is not one of MISP's that are known here"
    return str(_table("attributes")["reasons"][type_.kept]) if type_.kept else ""


@cache
def object_template(name: str) -> ObjectTemplate | None:
    """Return how objects called `name` are compared, or None where nothing is known of them."""
    row = _table("objects").get(name)
    if row is None:
        return None
    alone, weak = frozenset(row.get("alone", ())), frozenset(row.get("weak", ()))
    return ObjectTemplate(alone, row.get("together", {}), weak, row.get("beside", False))


def is_category(name: str) -> bool:
    """Tell whether MISP has a category called `name`."""
    return name in _table("attributes")["categories"]


def kill_chain_phase(category: str) -> str:
    """Return the phase of Lockheed Martin's kill chain that a category of MISP's names, or the empty string."""
    return str(_table("attributes")["kill_chain"].get(category, ""))


def galaxy_of(type_: str) -> tuple[str, str] | None:
    """Return the type and name of the galaxy in which objects of STIX type `type_` are told to MISP, or None."""
    found = _table("written")["galaxies"].get(type_)
    return (found[0], found[1]) if found else None


def written_type(path: str) -> tuple[str, str] | None:
    """Return the type and category of the attribute that tells what stands at an object path, or None.

    >>> written_type("file:hashes.'SHA-256'")
    ('sha256', 'Payload delivery')
    """
    found = _table("written")["paths"].get(path)
    return (found[0], found[1]) if found else None


def written_rule(language: str) -> tuple[str, str] | None:
    """Return the type and category of the attribute that holds a rule of a pattern type, or None."""
    found = _table("written")["rules"].get(language)
    return (found[0], found[1]) if found else None


def written_entry(type_: str, value: str) -> tuple[str, str, bool]:
    """Return the type, the category, and whether it is fit for detection, of the attribute for a list's value.

    >>> written_entry("file:hashes", "0a" * 16)
    ('md5', 'Payload delivery', True)
    """
    table = _table("written")["entries"]
    found = table.get(f"{type_}.{len(value)}") or table.get(type_) or table["other"]
    return found[0], found[1], found[2]


def written_objects() -> dict[str, dict[str, Any]]:
    """Return the templates of objects in which joined values are told: `uuid`, `version`, `meta`, `paths`, by name."""
    found: dict[str, dict[str, Any]] = _table("written")["objects"]
    return found


def quote(text: str) -> str:
    r"""Return `text` as a string constant of a pattern (STIX 2.1 §9.2).

    >>> print(quote("it's C:\\x"))
    'it\'s C:\\x'
    """
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def compare(path: str, value: str) -> str:
    """Return the comparison of a path of the tables with `value`; `ip` and `path` stand for what the value is."""
    kind, _, prefix = path.partition(":")
    if kind == "path" or path == "file:name":
        return _compare_file(f"{'process' if prefix and kind == 'path' else 'file'}:", prefix, value, kind == "path")
    if path == "ip":
        path = f"{_address_type(value)}:value"
    if path.endswith(_NUMBERS):
        digits = re.sub(r"[^0-9]", "", value)
        return f"{path} = {int(digits)}"
    if path == "mac-addr:value":
        value = value.lower().replace("-", ":")
    return f"{path} = {quote(value)}"


def _compare_file(head: str, prefix: str, value: str, whole: bool) -> str:
    """Compare a file's name, and the folder where `value` names one."""
    dotted = f"{prefix}." if whole and prefix else ""
    folder, name = _split_path(value)
    if not folder:
        return f"{head}{dotted}name = {quote(name)}"
    return f"{head}{dotted}name = {quote(name)} AND {head}{dotted}parent_directory_ref.path = {quote(folder)}"


def _split_path(value: str) -> tuple[str, str]:
    """Return (folder, name) of a path in Windows' or Unix' form; the folder is empty where there is none."""
    mark = "\\" if "\\" in value else "/"
    folder, _, name = value.rpartition(mark)
    if not name or not folder:
        return "", value
    return folder, name


def _observe(path: str, value: str) -> Observable:
    if path == "ip":
        return _address_type(value), {"value": value}
    type_, _, name = path.partition(":")
    if name.startswith("hashes."):
        return type_, {"hashes": {name.removeprefix("hashes.").strip("'"): value.lower()}}
    if name == "number":
        return type_, {name: int(re.sub(r"[^0-9]", "", value))}
    if path == "file:name":
        return type_, {name: _split_path(value)[1]}
    if path == "mac-addr:value":
        return type_, {name: value.lower().replace("-", ":")}
    return type_, {name: value}


def _address_type(value: str) -> str:
    return "ipv6-addr" if ":" in value else "ipv4-addr"


def _is_address(value: str) -> bool:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        return False
    return True


@cache
def _types() -> dict[str, AttributeType]:
    table = _table("attributes")
    forms = {name: re.compile(text, re.DOTALL | re.ASCII) for name, text in table["forms"].items()}
    return {name: _make_type(name, row, forms) for name, row in table["types"].items()}


def _make_type(name: str, row: dict[str, Any], forms: dict[str, re.Pattern[str]]) -> AttributeType:
    paths = tuple(row.get("paths", ()))
    observed = row.get("sco", True)
    if observed is True:
        composite = len(paths) > 1 and paths[1].startswith("file:hashes")
        observed = ("file:name", *paths[1:]) if composite else paths
    return AttributeType(
        name=name,
        values=tuple(forms[form] for form in row.get("values", ())),
        paths=paths,
        join=row.get("join", ""),
        observables=tuple(observed or ()),
        rule=row.get("rule", ""),
        kept=row.get("kept", ""),
        short=_make_type(name, row["short"], forms) if "short" in row else None,
    )


@cache
def _table(name: str) -> dict[str, Any]:
    return tomllib.loads(files("aleat.knowledge.misp").joinpath(f"{name}.toml").read_text(encoding="utf-8"))
