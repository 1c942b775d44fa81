"""Requests and answers of TAXII 2.1 over HTTP: media types, queries, error messages; no state, no network.

TAXII 2.1 §1.6.8 (media types), §3.4 (filters), §3.5 (paging), §3.6 (errors). https://docs.oasis-open.org/cti/taxii/v2.1/
What the standard demands of a server stands statement by statement, each with its test, in docs/reference/taxii.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import msgspec

from aleat.errors import ObjectError
from aleat.exchange.taxii_messages import MEDIA_TYPE
from aleat.stix.times import parse_timestamp
from aleat.store.shelves import ShelfQuery
from aleat.times import micros_of

if TYPE_CHECKING:
    from starlette.responses import Response

__all__ = [
    "Query",
    "RequestError",
    "answer",
    "check_accept",
    "check_content_type",
    "encode_failure",
    "failure_answer",
    "read_query",
]

_BASE_TYPE = "application/taxii+json"
_STIX_TYPE = "application/stix+json"
_QUALITY = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")
_MOST_VALUES = 500  # of one filter
_LONGEST_QUERY = 64 * 1024
_KNOWN = frozenset({"added_after", "limit", "next"})
_FIELDS = frozenset({"id", "type", "version", "spec_version"})


class RequestError(Exception):
    """What ends a request: a status of HTTP, with words for whoever asked."""

    def __init__(
        self, status: int, title: str, description: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(title)
        self.status, self.title, self.description = status, title, description
        self.headers = dict(headers or {})


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """What a URL's query asks for; `next` as it came; `limited`: by the client itself.

    `nothing`: no object can fit (another version of STIX).
    """

    shelf: ShelfQuery
    next: str = ""
    nothing: bool = False
    limited: bool = False


def answer(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer in TAXII's media type."""
    from starlette.responses import Response  # noqa: PLC0415

    fixed = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return Response(body, status, {**fixed, **(headers or {})}, media_type=MEDIA_TYPE)


def failure_answer(failure: RequestError) -> Response:
    """Return the answer with the error message of §3.6.1."""
    return answer(encode_failure(failure), failure.status, failure.headers)


def encode_failure(failure: RequestError) -> bytes:
    """Return the error message of §3.6.1 as JSON."""
    content: dict[str, Any] = {"title": failure.title, "http_status": str(failure.status)}
    if failure.description:
        content["description"] = failure.description
    return msgspec.json.encode(content)


def check_accept(header: str | None, *, manifest: bool = False) -> None:
    """Raise a 406 unless TAXII 2.1 (with its version, or without) is accepted; of several ranges the closest counts.

    RFC 9110 §12.5.1. `manifest`: STIX 2.1 is as good, as §5.3 names it for that endpoint.
    """
    if header is None:
        return
    kinds = (_BASE_TYPE, _STIX_TYPE) if manifest else (_BASE_TYPE,)
    quality = dict.fromkeys(kinds, (-1, 0.0))
    for part in header[:4096].split(","):
        base, parameters = _media_type(part)
        weight = _weight(parameters.pop("q", "1"))
        for kind in kinds:
            close = _closeness(base, parameters, kind)
            if close > quality[kind][0]:
                quality[kind] = (close, weight)
            elif close >= 0 and close == quality[kind][0]:
                quality[kind] = (close, max(weight, quality[kind][1]))
    (_, weight), *others = quality.values()
    if weight <= 0 and not any(close > 1 and weight > 0 for close, weight in others):
        raise RequestError(406, "This server speaks TAXII 2.1.", f"Accept {MEDIA_TYPE}.")


def _closeness(base: str, parameters: Mapping[str, str], kind: str) -> int:
    """Return how closely a media range names `kind` in version 2.1: -1 is not at all."""
    if base == kind and parameters.get("version", "2.1") == "2.1":
        return 3 if "version" in parameters else 2
    return {"application/*": 1, "*/*": 0}.get(base, -1)


def _weight(text: str) -> float:
    """Return a quality value (RFC 9110 §12.4.2); what is none counts as 1."""
    return float(text) if _QUALITY.fullmatch(text) else 1.0


def check_content_type(header: str | None) -> None:
    """Raise a 415 unless a body is said to be TAXII 2.1."""
    base, parameters = _media_type(header or "")
    if base != _BASE_TYPE or parameters.get("version", "2.1") != "2.1":
        raise RequestError(415, "A body is of TAXII 2.1 here.", f"Send Content-Type: {MEDIA_TYPE}.")


def read_query(text: str, *, max_limit: int, of_object: bool = False) -> Query:
    """Return what a query asks for; raises a 400 for a parameter that can't be understood.

    `of_object`: of one object, whose id isn't asked for again.
    """
    values = _values(text)
    matches = {name[6:-1]: value for name, value in values.items() if name.startswith("match[") and name.endswith("]")}
    if unknown := sorted(set(matches) - _FIELDS):
        raise RequestError(400, "There is no such filter.", f"match[{unknown[0][:40]}] is not among {sorted(_FIELDS)}.")
    if of_object and {"id", "type"} & set(matches):
        raise RequestError(400, "There is no such filter here.", "An object has one id, and one type.")
    limit = max_limit
    if "limit" in values:
        limit = min(_number(values["limit"]), max_limit)
    added_after = None
    if "added_after" in values:
        added_after = _moment(values["added_after"], "added_after")
    specs = _list(matches, "spec_version")
    versions = _versions(_list(matches, "version"))
    return Query(
        shelf=ShelfQuery(
            added_after=added_after,
            ids=_list(matches, "id"),
            types=_list(matches, "type"),
            versions=versions,
            limit=limit,
        ),
        next=values.get("next", ""),
        nothing=specs is not None and "2.1" not in specs,
        limited="limit" in values,
    )


def _values(text: str) -> dict[str, str]:
    if len(text) > _LONGEST_QUERY:
        raise RequestError(414, "The query is too long.")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=50)
    except ValueError:
        raise RequestError(400, "The query can't be read.") from None
    known = [(name, value) for name, value in pairs if name in _KNOWN or name.startswith("match[")]
    if len({name for name, _ in known}) != len(known):
        raise RequestError(400, "A parameter stands twice in the query.")
    return dict(known)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18 and int(text) > 0):
        raise RequestError(400, "'limit' is no number.", "It is a whole number above zero.")
    return int(text)


def _moment(text: str, name: str) -> int:
    try:
        return micros_of(parse_timestamp(text))
    except ObjectError:
        raise RequestError(400, f"{name!r} is no timestamp.", "Write 2022-07-15T08:00:00.000Z.") from None


def _list(matches: Mapping[str, str], name: str) -> frozenset[str] | None:
    if name not in matches:
        return None
    found = matches[name].split(",")
    if len(found) > _MOST_VALUES or not all(found) or any("\x00" in value for value in found):
        raise RequestError(400, f"match[{name}] can't be read.", f"Give up to {_MOST_VALUES} values, with commas.")
    if name == "version" and (len(set(found)) != len(found) or ("all" in found and len(found) > 1)):
        raise RequestError(400, "match[version] names a version twice.", "'all' stands alone (TAXII 2.1 §3.4.1).")
    return frozenset(found)


def _versions(words: frozenset[str] | None) -> frozenset[int] | None:
    """Return the times of versions; an object has one version here, so that it is first, last and all of them."""
    if words is None or words & {"first", "last", "all"}:
        if words is not None:
            [_moment(word, "match[version]") for word in words - {"first", "last", "all"}]
        return None
    return frozenset(_moment(word, "match[version]") for word in words)


def _media_type(text: str) -> tuple[str, dict[str, str]]:
    base, _, rest = text.partition(";")
    parameters = {}
    for part in rest.split(";"):
        name, _, value = part.partition("=")
        if name.strip():
            parameters[name.strip().lower()] = value.strip().strip('"')
    return base.strip().lower(), parameters
