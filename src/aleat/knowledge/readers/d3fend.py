"""D3FEND as MITRE publishes it: mappings (SPARQL results as JSON, or CSV; all, or one technique's), and the ontology.

- ``d3fend-full-mappings.json``: ``{"head": {"vars": […]}, "results": {"bindings": [{"def_tech": {"value": …}, …}]}}``;
  one technique's answer has the same below ``off_to_def``
- ``d3fend-full-mappings.csv``: the same variables as columns
- ``d3fend.json``: JSON-LD; nodes with a ``d3f:d3fend-id`` are countermeasures
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from aleat.errors import InputError, Issue, LimitError, Place
from aleat.knowledge.d3fend import D3FEND, Mappings, countermeasures, ontology_version
from aleat.knowledge.document import Document
from aleat.knowledge.items import KnowledgeItem
from aleat.knowledge.limits import Limits
from aleat.knowledge.text import decode_text
from aleat.stix import StixObject

__all__ = ["detect", "read"]

_STAGE = "knowledge"
_VARS = re.compile(rb'"head"[ \t\r\n]*+:[ \t\r\n]*+\{[ \t\r\n]*+"vars"')
_GRAPH = re.compile(rb'"@(?:context|graph)"[ \t\r\n]*+:')


def detect(document: Document) -> bool:
    """Tell whether the head is that of D3FEND's mappings or ontology."""
    head = document.head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith(b"{"):
        mappings = b'"def_tech' in head and (_VARS.search(head) is not None or b'"off_to_def"' in head)
        return mappings or (_GRAPH.search(head) is not None and b"d3fend" in head)
    first = head.partition(b"\n")[0]
    return b"def_tech_label" in first and b"off_tech_id" in first and b"," in first


def read(document: Document, limits: Limits) -> Iterator[KnowledgeItem | Issue]:
    """Yield countermeasures, techniques and what mitigates what, and issues for rows that can't be used."""
    if document.size > limits.catalogue_bytes:
        reason = f"D3FEND's file is larger than {limits.catalogue_bytes} bytes (catalogue_bytes)."
        raise LimitError(reason, Place(document.path))
    data = document.read().removeprefix(b"\xef\xbb\xbf")
    if not data.lstrip().startswith(b"{"):
        yield from _mappings(document, _lines(data, document))
        return
    try:
        content = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise InputError(
            f"The file is no JSON: {error.msg}.", Place(document.path, error.lineno, error.colno)
        ) from None
    graph = content.get("@graph")
    if isinstance(graph, list):
        yield from _ontology(document, graph)
    else:
        yield from _mappings(document, _bindings(content, document))


def _mappings(document: Document, rows: Iterable[Mapping[str, str] | None]) -> Iterator[KnowledgeItem | Issue]:
    mappings = Mappings()
    unused = sum(row is None or not mappings.add(row) for row in rows)
    yield from (_item(document, found) for found in mappings.objects())
    if unused:
        reason = f"{unused} rows of the mapping name no countermeasure, or no technique; they are not taken."
        yield Issue(_STAGE, "d3fend", Place(document.path), reason, records=unused)


def _ontology(document: Document, graph: list[Any]) -> Iterator[KnowledgeItem | Issue]:
    version, released = ontology_version(graph)
    yield _item(document, D3FEND)
    told: dict[str, StixObject] = {}
    for found in countermeasures(graph, version, released):
        if isinstance(found, str):
            reason = f"The countermeasure {found} can't be told as STIX; it is not taken."
            yield Issue(_STAGE, "d3fend", Place(document.path), reason, records=1)
        elif found.id in told:
            reason = f"The countermeasure {found.name!r:.80} stands twice; the first counts."
            yield Issue(_STAGE, "d3fend", Place(document.path), reason, records=1)
        else:
            told[found.id] = found
            yield _item(document, found)
    if not told:
        raise InputError("The ontology has no countermeasure of D3FEND.", Place(document.path))


def _bindings(content: Mapping[str, Any], document: Document) -> Iterator[Mapping[str, str] | None]:
    """Yield the rows of SPARQL results, each variable's value as text; None for what is no row."""
    inner = content.get("off_to_def", content)
    results = inner.get("results") if isinstance(inner, dict) else None
    bindings = results.get("bindings") if isinstance(results, dict) else None
    if not isinstance(bindings, list):
        raise InputError("The mapping has no list of bindings.", Place(document.path))
    for row in bindings:
        yield {name: _value(cell) for name, cell in row.items()} if isinstance(row, dict) else None


def _value(cell: object) -> str:
    value = cell.get("value") if isinstance(cell, dict) else None
    return value.strip() if isinstance(value, str) else ""


def _lines(data: bytes, document: Document) -> Iterator[Mapping[str, str] | None]:
    """Yield the rows of a CSV file; None for one that has other columns than the header."""
    reader = csv.reader(io.StringIO(decode_text(data)[0]), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        for row in reader:
            fits = len(row) == len(header)
            if row:
                yield dict(zip(header, (text.strip() for text in row), strict=True)) if fits else None
    except csv.Error as error:
        raise InputError(f"The file is no CSV: {error}.", Place(document.path, reader.line_num)) from None


def _item(document: Document, found: StixObject) -> KnowledgeItem:
    return KnowledgeItem(object=found, place=Place(document.path))
