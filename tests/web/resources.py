"""TAXII 2.1's resources as sections 3.6 to 5.8 define them: names, types and what is required."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

from tests.exchange.teams import indicator
from tests.web.conftest import NORTH, Served

__all__ = ["RESOURCES", "TIMESTAMP", "check", "lists_in", "paths"]

TIMESTAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")


def _identifier(value: Any) -> bool:
    return isinstance(value, str) and uuid.UUID(value).version == 4 and str(uuid.UUID(value)) == value


def _integer(value: Any) -> bool:
    return type(value) is int and abs(value) < 2**53


def _list_of(kind: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and bool(value) and all(map(kind, value))


def _resource(name: str) -> Callable[[Any], bool]:
    return lambda value: check(name, value) is None


_STRING: Callable[[Any], bool] = lambda value: isinstance(value, str)  # noqa: E731
_BOOLEAN: Callable[[Any], bool] = lambda value: type(value) is bool  # noqa: E731
_TIME: Callable[[Any], bool] = lambda value: isinstance(value, str) and bool(TIMESTAMP.fullmatch(value))  # noqa: E731
_OBJECT: Callable[[Any], bool] = lambda value: isinstance(value, dict) and {"type", "id"} <= set(value)  # noqa: E731

RESOURCES: dict[str, dict[str, Callable[[Any], bool]]] = {
    "error": {"title!": _STRING, "description": _STRING, "http_status": _STRING},
    "envelope": {"more": _BOOLEAN, "next": _STRING, "objects": _list_of(_OBJECT)},
    "discovery": {
        "title!": _STRING,
        "description": _STRING,
        "contact": _STRING,
        "default": _STRING,
        "api_roots": _list_of(_STRING),
    },
    "api-root": {
        "title!": _STRING,
        "description": _STRING,
        "versions!": _list_of(_STRING),
        "max_content_length!": _integer,
    },
    "status": {
        "id!": _identifier,
        "status!": lambda value: value in {"complete", "pending"},
        "request_timestamp": _TIME,
        **{f"{kind}_count!": _integer for kind in ("total", "success", "failure", "pending")},
        **{kind: _list_of(_resource("status-details")) for kind in ("successes", "failures", "pendings")},
    },
    "status-details": {"id!": _STRING, "version!": _STRING, "message": _STRING},
    "collections": {"collections": _list_of(_resource("collection"))},
    "collection": {
        "id!": _identifier,
        "title!": _STRING,
        "description": _STRING,
        "alias": _STRING,
        "can_read!": _BOOLEAN,
        "can_write!": _BOOLEAN,
        "media_types": _list_of(_STRING),
    },
    "manifest": {"more": _BOOLEAN, "next": _STRING, "objects": _list_of(_resource("manifest-record"))},
    "manifest-record": {"id!": _STRING, "date_added!": _TIME, "version!": _STRING, "media_type": _STRING},
    "versions": {"more": _BOOLEAN, "next": _STRING, "versions": _list_of(_STRING)},
}
"""By the resource's name; a property with ! is required. `next` of a manifest and of versions is ours (§7.1)."""


def check(name: str, value: Any) -> str | None:
    """Say what of `value` isn't as the resource `name` must be; None where all is."""
    properties = {key.removesuffix("!"): test for key, test in RESOURCES[name].items()}
    required = {key[:-1] for key in RESOURCES[name] if key.endswith("!")}
    if not isinstance(value, dict):
        return f"{name} is no object"
    if missing := required - set(value):
        return f"{name} lacks {sorted(missing)}"
    if strange := set(value) - set(properties):
        return f"{name} has {sorted(strange)}"
    wrong = [key for key, item in value.items() if not properties[key](item)]
    return f"{name}: {wrong} have the wrong type" if wrong else None


def lists_in(value: Any) -> list[list[Any]]:
    """All lists in a JSON value."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [*([value] if isinstance(value, list) else []), *(one for item in inner for one in lists_in(item))]


def paths(served: Served) -> list[str]:
    """The four endpoints that answer with objects, or with what is known of them."""
    at = served.collection()
    one = f"{at}objects/{indicator(1, NORTH).id}/"
    return [f"{at}manifest/", f"{at}objects/", one, f"{one}versions/"]
