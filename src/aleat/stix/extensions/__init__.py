"""Extension definitions of the project's own: what STIX 2.1 lacks (STIX 2.1 §7.3).

Each is one JSON file in this folder, named after the extension::

    {"title": …, "description": …, "version": "1.0.0", "created": <timestamp>, "types": ["property-extension"],
     "schema": <JSON Schema 2020-12 of the extension's content>, "example": <content that fits it>}

To add one, add such a file and nothing else: its id follows from its name, its STIX object is made here, the
schema is carried inside that object as text (so that an ally without a network can read it), and a test checks
every file, its example, and an object that bears it. Content in an object is ``extend(name, {...})``, read
back with ``read_extension(object, name)``. Raise `version` when the schema changes; keep what was readable
readable.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import orjson

from aleat.errors import ObjectError
from aleat.stix.canonical import canonical_json
from aleat.stix.ids import content_id
from aleat.stix.objects import StixObject, make_object
from aleat.stix.times import parse_timestamp

__all__ = [
    "extend",
    "extension_definition",
    "extension_id",
    "extension_names",
    "extension_schema",
    "project_identity",
    "read_extension",
]


def extension_names() -> tuple[str, ...]:
    """Return the names of all extensions, sorted."""
    entries = files("aleat.stix.extensions").iterdir()
    return tuple(sorted(entry.name.removesuffix(".json") for entry in entries if entry.name.endswith(".json")))


@cache
def extension_id(name: str) -> str:
    """Return the id of the extension `name`'s definition; raises `ObjectError` where there is none."""
    _load(name)
    return content_id("extension-definition", name)


def extension_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema of the extension `name`'s content, without the STIX property `extension_type`."""
    schema: dict[str, Any] = _load(name)["schema"]
    return schema


def extension_definition(name: str) -> StixObject:
    """Return the extension `name` as a STIX object."""
    content = _load(name)
    return make_object(
        "extension-definition",
        extension_id(name),
        created=parse_timestamp(content["created"]),
        modified=parse_timestamp(content.get("modified", content["created"])),
        created_by_ref=project_identity().id,
        name=content["title"],
        description=content["description"],
        schema=canonical_json(content["schema"]).decode(),
        version=content["version"],
        extension_types=content["types"],
    )


def project_identity() -> StixObject:
    """Return the identity that stands behind the extension definitions: this project, not its user."""
    return make_object(
        "identity",
        content_id("identity", "aleat project"),
        created=parse_timestamp("2026-11-01T00:00:00.000Z"),
        name="Aleat",
        description="The software project that defines these extensions.",
        identity_class="group",
    )


def extend(name: str, content: dict[str, Any]) -> dict[str, Any]:
    """Return the `extensions` entry for `content`: join several with ``|``.

    >>> extend("list", {"entries": 1, "entries_sha256": "00"})[extension_id("list")]["entries"]
    1
    """
    return {extension_id(name): {"extension_type": _load(name)["types"][0], **content}}


def read_extension(item: StixObject, name: str) -> dict[str, Any] | None:
    """Return the content of the extension `name` in `item`, without `extension_type`, or None."""
    content = item.extension(extension_id(name))
    return None if content is None else {key: value for key, value in content.items() if key != "extension_type"}


@cache
def _load(name: str) -> dict[str, Any]:
    try:
        data = files("aleat.stix.extensions").joinpath(f"{name}.json").read_bytes()
    except FileNotFoundError:
        raise ObjectError(f"There is no extension {name[:60]!r}; there are {', '.join(extension_names())}.") from None
    content: dict[str, Any] = orjson.loads(data)
    return content
