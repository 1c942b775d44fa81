"""MISP's warning lists: values that mean nothing wherever they occur (public resolvers, empty files' hashes …).

One JSON object a file: ``name``, ``description``, ``version``, ``type`` ("string" where there is none),
``matching_attributes`` (all, where there are none), and ``list``, texts or texts with comments. It becomes a list
like any other, an indicator with rows, which says that its values are benign and how they are compared (extension
`list`, ``warning``); what it labels is for `aleat.hunt.warning_lists`. Values stay as they are written.

Source: https://github.com/MISP/misp-warninglists (README, schema.json).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from aleat.errors import InputError, Issue, LimitError, Place
from aleat.knowledge.document import Document
from aleat.knowledge.items import UNDATED, KnowledgeItem
from aleat.knowledge.limits import Limits
from aleat.stix.entries import ENTRY_SCHEMA, entries_digest
from aleat.stix.extensions import extend
from aleat.stix.ids import content_id
from aleat.stix.objects import StixObject, make_object

__all__ = ["detect", "make_warning_list", "read"]

_STAGE = "knowledge"
_MATCHES = ("string", "substring", "hostname", "cidr", "regex")
_BEGIN = re.compile(rb'\{[ \t\r\n]*+"(?:description|list|matching_attributes|name|type|version)"[ \t\r\n]*+:')
_LIST = re.compile(rb'"list"[ \t\r\n]*+:[ \t\r\n]*+[\[{]')


def detect(document: Document) -> bool:
    """Tell whether a JSON file begins as a warning list does, and has a member ``list``."""
    head = document.head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return document.suffix == ".json" and _BEGIN.match(head) is not None and _LIST.search(head) is not None


def read(document: Document, limits: Limits) -> Iterator[KnowledgeItem | Issue]:
    """Yield the warning list in the document, and issues for what isn't in it."""
    if document.size > limits.warning_list_bytes:
        reason = f"The warning list is larger than {limits.warning_list_bytes} bytes (warning_list_bytes)."
        raise LimitError(reason, Place(document.path))
    content = _parse(document)
    match = _match(content)
    if match is None:
        reason = f"The warning list's type is none of {', '.join(_MATCHES)}; it is not used."
        yield Issue(_STAGE, "warning-list", Place(document.path), reason)
        return
    values, comments, faults = _values(content["list"])
    if faults:
        reason = f"{faults} values of the warning list are empty, or no texts; they are left out."
        yield Issue(_STAGE, "list-value", Place(document.path), reason, records=faults)
    entries = _entries(values, comments, match)
    yield KnowledgeItem(object=make_warning_list(content, match, entries), place=Place(document.path), entries=entries)


def make_warning_list(content: dict[str, Any], match: str, entries: pa.Table) -> StixObject:
    """Return the STIX indicator of a warning list with these entries; `content` is MISP's object."""
    digest = entries_digest(entries)
    attributes = content.get("matching_attributes")
    counts = pc.value_counts(entries.column("type").cast(pa.string()))
    warning = {
        "match": match,
        "attributes": [str(item) for item in attributes] if isinstance(attributes, list) else [],
        "version": str(content.get("version", "")),
    }
    name = str(content["name"])
    listed = {
        "entries": entries.num_rows,
        "entries_sha256": digest,
        "types": {row["values"]: row["counts"] for row in counts.to_pylist()},
        "columns": [],
        "duplicates": (pc.sum(entries.column("count")).as_py() or 0) - entries.num_rows,
        "warning": warning,
    }
    return make_object(
        "indicator",
        content_id("indicator", ["warning list", name, digest, warning]),
        created=UNDATED,
        name=name,
        description=str(content.get("description") or f"A warning list of {entries.num_rows} values."),
        indicator_types=["benign"],
        pattern=f"[x-aleat-list:entries_sha256 = '{digest}']",
        pattern_type="stix",
        valid_from=UNDATED,
        extensions=extend("list", listed),
    )


def _parse(document: Document) -> dict[str, Any]:
    try:
        content = orjson.loads(document.read().removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        place = Place(document.path, error.lineno, error.colno)
        raise InputError(f"The file is no JSON: {error.msg}.", place) from None
    if not isinstance(content, dict) or not isinstance(content.get("list"), list | dict):
        raise InputError("The file is no warning list: it has no list of values.", Place(document.path))
    if not isinstance(content.get("name"), str) or not content["name"].strip():
        raise InputError("The warning list has no name.", Place(document.path))
    return content


def _match(content: dict[str, Any]) -> str | None:
    kind = content.get("type") or "string"
    kind = kind[0] if isinstance(kind, list) else kind
    return kind if isinstance(kind, str) and kind in _MATCHES else None


def _values(listed: list[Any] | dict[str, Any]) -> tuple[list[str], list[str], int]:
    """Return the values, their comments, and how many are none."""
    rows = listed.items() if isinstance(listed, dict) else ((value, "") for value in listed)
    found: list[str] = []
    comments: list[str] = []
    faults = 0
    for value, comment in rows:
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if not isinstance(text, str) or not text.strip():
            faults += 1
            continue
        found.append(text.strip())
        comments.append(comment if isinstance(comment, str) else "")
    return found, comments, faults


def _entries(values: list[str], comments: list[str], match: str) -> pa.Table:
    """Return the rows: each value once, where it first stood."""
    first: dict[str, int] = {}
    counts: list[int] = []
    kept: list[str] = []
    for value, comment in zip(values, comments, strict=True):
        place = first.setdefault(value, len(first))
        if place == len(counts):
            counts.append(1)
            kept.append(comment)
        else:
            counts[place] += 1
    columns = [
        pa.array([_type(value, match) for value in first], pa.string()).dictionary_encode(),
        pa.array(list(first), pa.string()),
        pa.array(kept, pa.string()),
        pa.nulls(len(first), pa.int64()),
        pa.array(counts, pa.int64()),
    ]
    return pa.table(columns, names=ENTRY_SCHEMA.names).cast(ENTRY_SCHEMA)


def _type(value: str, match: str) -> str:
    if match == "cidr":
        return "ipv6-addr" if ":" in value else "ipv4-addr"
    return {"hostname": "domain-name", "regex": "regex"}.get(match, "text")
