"""MISP galaxies: which galaxy, which version, and what its clusters are in STIX (the table `galaxies.toml`).

A galaxy has a version number and no dates. Its objects' `modified` counts that number in seconds from 1970, so that a
newer version of a galaxy stands before an older one, and the same version is the same object; it is no date.

Format: https://www.misp-standard.org/rfc/misp-standard-galaxy-format.html.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

from aleat.errors import InputError, Place
from aleat.knowledge.countries import country_code, region_word
from aleat.knowledge.items import UNDATED
from aleat.stix import StixObject, content_id, make_object
from aleat.stix.extensions import extend

__all__ = ["Galaxy", "Kind", "galaxy_table", "kind_of", "read_galaxy", "texts"]

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_MAX_VERSION = 4_000_000_000  # seconds: the year 2096
_MAX_TEXT = 1000  # characters of what is repeated on each of a galaxy's objects


class Kind(msgspec.Struct, frozen=True, rename={"class_": "class"}, forbid_unknown_fields=True):
    """What a galaxy's clusters are; see the comments in `galaxies.toml`."""

    stix: str
    types: tuple[str, ...] = ()
    class_: str = "class"
    own_id: bool = True
    stated: bool = True


class Galaxy(msgspec.Struct, frozen=True, kw_only=True):
    """One galaxy in one version. `modified` stands for the version; `identity` is the galaxy as a source."""

    type: str
    name: str
    uuid: str
    version: str
    modified: datetime
    source: str
    kind: Kind | None
    identity: StixObject

    def cluster_id(self, cluster: Mapping[str, Any]) -> str:
        """Return the STIX id of a cluster: its own uuid under its type, unless that is another source's object."""
        uuid, type_ = cluster.get("uuid"), self.cluster_type(cluster)
        if not isinstance(uuid, str) or not _UUID.fullmatch(uuid):
            return content_id(type_, ["misp-galaxy", self.uuid, str(cluster.get("value", ""))])
        if self.kind is None or not self.kind.own_id:
            return content_id(type_, ["misp-galaxy", uuid.lower()])
        return f"{type_}--{uuid.lower()}"

    def cluster_type(self, cluster: Mapping[str, Any]) -> str:
        """Return the STIX type of a cluster of this galaxy (empty where the galaxy has none)."""
        if self.kind is None:
            return ""
        if self.kind.stix == "location" and not place_of(cluster):
            return "identity"  # "Middle East", "Separatists": a kind of victim, and no place that STIX can name
        if not self.kind.stated and self.kind.stix in {"malware", "tool"} and malware_words(cluster):
            return "malware"
        return self.kind.stix

    def extension(self, **content: Any) -> dict[str, Any]:
        """Return the extension ``galaxy`` with `content`, beside which galaxy it is."""
        retells = "" if self.kind is None or self.kind.own_id else "mitre-attack"
        told = {"galaxy": self.type, "version": self.version, "source": self.source, "retells": retells, **content}
        return extend("galaxy", {key: value for key, value in told.items() if value not in ("", None, [], {}, ())})


def read_galaxy(content: Any, path: str) -> Galaxy:
    """Return the galaxy that a cluster file's JSON says it is; raises `InputError` where it is none."""
    if not isinstance(content, dict) or not isinstance(content.get("values"), list):
        raise InputError("The file is no MISP galaxy: it has no list of values.", Place(path))
    type_ = content.get("type")
    if not isinstance(type_, str) or not type_.strip():
        raise InputError("The MISP galaxy doesn't say its type.", Place(path))
    name, uuid, version = (_short(content.get(key)) for key in ("name", "uuid", "version"))
    modified = UNDATED + timedelta(seconds=min(int(version), _MAX_VERSION) if re.fullmatch(r"\d{1,18}", version) else 0)
    uuid = uuid.lower() if _UUID.fullmatch(uuid) else ""
    kind, category = _kinds()
    return Galaxy(
        type=_short(type_),
        name=name or _short(type_),
        uuid=uuid or _short(type_),
        version=version,
        modified=modified,
        source=_short(content.get("source")),
        kind=kind.get(type_) or category.get(_short(content.get("category"))),
        identity=_identity(content, name or _short(type_), uuid, version, modified),
    )


def kind_of(galaxy_type: str) -> Kind | None:
    """Return what clusters of a type of galaxy are, or None where the table doesn't have it."""
    return _kinds()[0].get(galaxy_type)


def place_of(cluster: Mapping[str, Any]) -> dict[str, str]:
    """Return the STIX properties that say which place a cluster is: ``country`` or ``region``; else nothing."""
    meta = cluster.get("meta")
    codes = [code for key in galaxy_table()["meta"]["codes"] for code in texts(_get(meta, key))]
    code = next((found for found in map(country_code, (*codes, str(cluster.get("value", "")))) if found), None)
    if code is not None:
        return {"country": code}
    word = region_word(str(cluster.get("value", "")))
    return {"region": word} if word is not None else {}


def malware_words(cluster: Mapping[str, Any]) -> list[str]:
    """Return STIX's words for the malware that a cluster says it is (meta.type), sorted."""
    table = galaxy_table()["malware_words"]
    said = texts(_get(cluster.get("meta"), "type"))
    return sorted({table[word.strip().lower()] for word in said if word.strip().lower() in table})


def texts(value: object) -> list[str]:
    """Return a meta field's texts: galaxies write one as a text, several as a list. Empty ones are left out."""
    found = value if isinstance(value, list) else [value]
    return [text.strip() for text in found if isinstance(text, str) and text.strip()]


@cache
def galaxy_table() -> dict[str, Any]:
    """Return the table `galaxies.toml`."""
    return tomllib.loads(files("aleat.knowledge").joinpath("galaxies.toml").read_text(encoding="utf-8"))


@cache
def _kinds() -> tuple[dict[str, Kind], dict[str, Kind]]:
    table = galaxy_table()
    return msgspec.convert(table["types"], dict[str, Kind]), msgspec.convert(table["categories"], dict[str, Kind])


def _identity(content: Mapping[str, Any], name: str, uuid: str, version: str, modified: datetime) -> StixObject:
    """Return the identity that says what the galaxy says."""
    told = {
        "galaxy": _short(content.get("type")),
        "version": version,
        "source": _short(content.get("source")),
        "uuid": uuid,
        "authors": [author[:200] for author in texts(content.get("authors"))[:500]],
    }
    return make_object(
        "identity",
        content_id("identity", ["misp-galaxy", uuid or _short(content.get("type"))]),
        created=UNDATED,
        modified=modified,
        name=f"MISP galaxy: {name}",
        description=_short(content.get("description")),
        identity_class="group",
        extensions=extend("galaxy", {key: value for key, value in told.items() if value or key == "version"}),
    )


def _get(meta: object, key: str) -> object:
    return meta.get(key) if isinstance(meta, dict) else None


def _short(value: object) -> str:
    plain = isinstance(value, str | int) and not isinstance(value, bool)
    return str(value).encode("utf-8", "replace").decode().strip()[:_MAX_TEXT] if plain else ""
