"""One cluster of a MISP galaxy → one STIX object; all that STIX has no place for stays in the extension ``galaxy``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from aleat.errors import ObjectError
from aleat.knowledge.countries import sector_words
from aleat.knowledge.galaxies import Galaxy, malware_words, place_of, texts
from aleat.knowledge.items import UNDATED
from aleat.stix import StixObject, make_object

__all__ = ["make_cluster"]

_WITH_ALIASES = frozenset({"attack-pattern", "campaign", "intrusion-set", "malware", "threat-actor", "tool"})
_ATTACK_ID = re.compile(r"(?:[GSTCM]\d{4}(?:\.\d{3})?)")
_ATTACK_PAGE = re.compile(r"https?://attack\.mitre\.org/[a-z]+/([GSTCM]\d{4}(?:[./]\d{3})?)/?")
_URL = re.compile(r"https?://[A-Za-z0-9.-]+(?::\d{1,5})?(?:[/?#][A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]*)?")
_PHASE = re.compile(r"([a-z0-9-]{1,100}):([a-z0-9-]{1,100})")
_OWN = frozenset({"uuid", "value", "description", "meta", "related", "revoked"})


def make_cluster(galaxy: Galaxy, cluster: Mapping[str, Any]) -> StixObject:
    """Return the STIX object of a cluster; raises `ObjectError` where it can't be one."""
    value, meta = cluster.get("value"), cluster.get("meta", {})
    if not isinstance(value, str) or not value.strip():
        raise ObjectError("The cluster has no value.")
    if not isinstance(meta, dict):
        raise ObjectError("The cluster's meta is no object.")
    type_ = galaxy.cluster_type(cluster)
    attack_id, url = _attack_id(galaxy, meta)
    name = _name(value, attack_id)
    description = cluster.get("description")
    return make_object(
        type_,
        galaxy.cluster_id(cluster),
        created=UNDATED,
        modified=galaxy.modified,
        name=name,
        description=description if isinstance(description, str) and description.strip() else None,
        revoked=True if cluster.get("revoked") is True else None,
        external_references=_references(galaxy, cluster, meta, attack_id, url),
        extensions=_extension(galaxy, cluster, meta, type_, name),
        **_by_type(galaxy, cluster, meta, type_, name),
    )


def _by_type(
    galaxy: Galaxy, cluster: Mapping[str, Any], meta: Mapping[str, Any], type_: str, name: str
) -> dict[str, Any]:
    """Return the properties that only this type of object has."""
    own: dict[str, Any] = {}
    kind = galaxy.kind
    if type_ in _WITH_ALIASES:
        own["aliases"] = [alias for alias in dict.fromkeys(texts(meta.get("synonyms"))) if alias != name]
    if type_ == "malware":
        words = malware_words(cluster) or (kind.types if kind is not None and kind.stix == "malware" else ())
        own |= {"is_family": True, "malware_types": list(words)}
    elif type_ == "tool" and kind is not None:
        own["tool_types"] = list(kind.types)
    elif type_ == "attack-pattern":
        phases = [_PHASE.fullmatch(text) for text in texts(meta.get("kill_chain"))]
        own["kill_chain_phases"] = [{"kill_chain_name": one[1], "phase_name": one[2]} for one in phases if one]
    elif type_ == "identity":
        own |= {"identity_class": kind.class_ if kind is not None else "class", "sectors": sector_words(name)}
    elif type_ == "location":
        own |= place_of(cluster)
    return own


def _extension(
    galaxy: Galaxy, cluster: Mapping[str, Any], meta: Mapping[str, Any], type_: str, name: str
) -> dict[str, Any]:
    """Keep what STIX's properties don't say. References and aliases that stand there whole aren't said twice."""
    left = {key: value for key, value in meta.items() if not _told(key, value, type_)}
    related = cluster.get("related")
    as_listed = isinstance(related, list) and all(isinstance(one, dict) for one in related)
    other = {key: value for key, value in cluster.items() if key not in _OWN}
    for key in ("description", "uuid"):
        if key in cluster and not isinstance(cluster[key], str):
            other[key] = cluster[key]
    if related and not as_listed:
        other["related"] = related
    stated = galaxy.kind is None or galaxy.kind.stated or bool(malware_words(cluster))
    return galaxy.extension(
        uuid=cluster.get("uuid") if isinstance(cluster.get("uuid"), str) else None,
        value=cluster["value"] if cluster["value"] != name else None,
        meta=left,
        related=related if as_listed else None,
        other=other,
        type_stated=None if stated else False,
    )


def _told(key: str, value: object, type_: str) -> bool:
    plain = isinstance(value, list) and all(isinstance(one, str) for one in value)
    return plain and (key == "refs" or (key == "synonyms" and type_ in _WITH_ALIASES))


def _references(
    galaxy: Galaxy, cluster: Mapping[str, Any], meta: Mapping[str, Any], attack_id: str, url: str
) -> list[dict[str, str]]:
    uuid = cluster.get("uuid")
    own = {"source_name": "misp-galaxy", "description": f"{galaxy.name}, version {galaxy.version or 'unknown'}"}
    found = [own | ({"external_id": uuid} if isinstance(uuid, str) and uuid else {})]
    if attack_id:
        found.append({"source_name": "mitre-attack", "external_id": attack_id} | ({"description": url} if url else {}))
    return found + [_reference(text) for text in dict.fromkeys(texts(meta.get("refs"))) if text != url]


def _reference(text: str) -> dict[str, str]:
    """Return a reference by its site. The address is the description: STIX wants a hash beside each `url`."""
    try:
        site = urlsplit(text).hostname if _URL.fullmatch(text) else None
    except ValueError:
        site = None
    return {"source_name": site or "reference", "description": text}


def _attack_id(galaxy: Galaxy, meta: Mapping[str, Any]) -> tuple[str, str]:
    """Return the one ATT&CK id that a cluster names, with ATT&CK's page on it; nothing where it names several."""
    pages = {found[1].replace("/", "."): text for text in texts(meta.get("refs")) if (found := _match_page(text))}
    named = [text for text in texts(meta.get("external_id")) if _ATTACK_ID.fullmatch(text)]
    if not named:
        named = [text for text in texts(meta.get("synonyms")) if _ATTACK_ID.fullmatch(text)] or list(pages)
    if len(set(named)) != 1:
        return "", ""
    return named[0], pages.get(named[0], "")


def _match_page(text: str) -> re.Match[str] | None:
    return _ATTACK_PAGE.fullmatch(text) if _URL.fullmatch(text) else None


def _name(value: str, attack_id: str) -> str:
    """Return the value without the ATT&CK id that MISP writes behind it."""
    return value.strip().removesuffix(f" - {attack_id}").strip() if attack_id else value.strip()
