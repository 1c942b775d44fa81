"""D3FEND's countermeasures as STIX: courses of action, and `mitigates` relations to ATT&CK's techniques.

A countermeasure's id comes from its name in D3FEND's ontology, so that the mappings (which have names only) and the
ontology (which has the definition and D3FEND's id) tell one object; the ontology's is the newer version of it. A
technique is named by its ATT&CK id on an attack pattern of our own: ATT&CK's own object is never told a second time.

Source: https://d3fend.mitre.org/resources/ (mappings, ontology), D3FEND 1.x.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from aleat.errors import ObjectError
from aleat.knowledge.items import UNDATED
from aleat.stix import StixObject, content_id, is_timestamp, make_object, parse_timestamp
from aleat.stix.extensions import extend

__all__ = ["D3FEND", "Mappings", "countermeasures", "ontology_version"]

_ATTACK_ID = re.compile(r"T\d{4}(?:\.\d{3})?")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,120}")
_D3FEND_ID = re.compile(r"D3-[A-Z0-9]{1,16}")
_MAX_ID = 60
_BY_RELEASE = timedelta(seconds=1)

D3FEND = make_object(
    "identity",
    content_id("identity", ["mitre-d3fend"]),
    created=UNDATED,
    name="MITRE D3FEND",
    identity_class="group",
)
"""Who says so."""


class Mappings:
    """Collects rows of D3FEND's mappings: which countermeasure bears on which technique, by way of what."""

    def __init__(self) -> None:
        self._labels: dict[str, set[str]] = {}
        self._techniques: dict[tuple[str, str], StixObject] = {}
        self._pairs: dict[tuple[str, tuple[str, str]], dict[str, set[Any]]] = {}

    def add(self, row: Mapping[str, str]) -> bool:
        """Take in one row; return whether it names a countermeasure and a technique."""
        action = _fragment(row.get("def_tech", "")) or _from_label(row.get("def_tech_label", ""))
        technique = (row.get("off_tech_id", "").strip(), row.get("off_tech_label", "").strip())
        if not action or not technique[0] or len(technique[0]) > _MAX_ID:
            return False
        self._labels.setdefault(action, set()).add(row.get("def_tech_label", "").strip() or action)
        if technique not in self._techniques:
            self._techniques[technique] = _technique(*technique)
        told = self._pairs.setdefault(
            (action, technique), {"tactics": set(), "parents": set(), "attack": set(), "by": set()}
        )
        told["tactics"].add(row.get("def_tactic_label", ""))
        told["parents"].update((row.get("def_tech_parent_label", ""), row.get("top_def_tech_label", "")))
        told["attack"].add(row.get("off_tactic_label", ""))
        by = ("def_artifact_rel_label", "def_artifact_label", "off_artifact_label", "off_artifact_rel_label")
        told["by"].add(tuple(row.get(name, "") for name in by))
        return True

    def objects(self) -> Iterator[StixObject]:
        """Yield who says so, countermeasures, techniques, and relations, each in the order of their names."""
        yield D3FEND
        actions = {name: _action(name, min(labels)) for name, labels in sorted(self._labels.items())}
        yield from actions.values()
        yield from (self._techniques[key] for key in sorted(self._techniques))
        for (action, technique), told in sorted(self._pairs.items()):
            yield _mitigates(action, actions[action], self._techniques[technique], told)


def countermeasures(nodes: Iterable[Any], version: str, released: datetime) -> Iterator[StixObject | str]:
    """Yield each countermeasure among an ontology's nodes (JSON-LD), or the name of one that can't be told."""
    for node in nodes:
        if not isinstance(node, dict):
            continue
        id_ = _first(node.get("d3f:d3fend-id"))
        if not _D3FEND_ID.fullmatch(id_):
            continue
        try:
            yield _defined(node, id_, version, released)
        except ObjectError:
            yield id_


def ontology_version(nodes: Iterable[Any]) -> tuple[str, datetime]:
    """Return an ontology's version and date of release (where it has none: just after what has no date)."""
    for node in nodes:
        if isinstance(node, dict) and node.get("owl:versionInfo"):
            date = _first(node.get("d3f:release-date"))
            stamp = date if is_timestamp(date) else f"{date[:10]}T00:00:00Z"
            known = is_timestamp(stamp) and parse_timestamp(stamp) > UNDATED
            return _first(node["owl:versionInfo"])[:60], parse_timestamp(stamp) if known else UNDATED + _BY_RELEASE
    return "", UNDATED + _BY_RELEASE


def _action(name: str, label: str) -> StixObject:
    return make_object(
        "course-of-action",
        content_id("course-of-action", ["mitre-d3fend", name]),
        created=UNDATED,
        created_by_ref=D3FEND.id,
        name=label,
        external_references=[{"source_name": "mitre-d3fend", "external_id": name, "description": _page(name)}],
        extensions=extend("d3fend", {"source": "mappings", "technique": name}),
    )


def _defined(node: Mapping[str, Any], id_: str, version: str, released: datetime) -> StixObject:
    name = _fragment(_first(node.get("@id"))) or id_
    parents = [_fragment(one) for one in _texts(node.get("rdfs:subClassOf"))]
    told = {
        "source": "ontology",
        "technique": name,
        "version": version,
        "tactics": sorted({_fragment(one) for one in _texts(node.get("d3f:enables"))} - {""}),
        "parents": sorted({one for one in parents if one and not one.startswith("_")}),
        "synonyms": sorted(set(_texts(node.get("d3f:synonym")))),
        "article": _first(node.get("d3f:kb-article")),
    }
    return make_object(
        "course-of-action",
        content_id("course-of-action", ["mitre-d3fend", name]),
        created=UNDATED,
        modified=released,
        created_by_ref=D3FEND.id,
        name=_first(node.get("rdfs:label")) or name,
        description=_first(node.get("d3f:definition")) or None,
        external_references=[{"source_name": "mitre-d3fend", "external_id": id_, "description": _page(name)}],
        extensions=extend("d3fend", {key: value for key, value in told.items() if value}),
    )


def _technique(id_: str, label: str) -> StixObject:
    source = "mitre-attack" if _ATTACK_ID.fullmatch(id_) else "mitre-d3fend"
    return make_object(
        "attack-pattern",
        content_id("attack-pattern", [source, id_, label]),
        created=UNDATED,
        created_by_ref=D3FEND.id,
        name=label or id_,
        external_references=[{"source_name": source, "external_id": id_}],
    )


def _mitigates(name: str, action: StixObject, technique: StixObject, told: Mapping[str, set[Any]]) -> StixObject:
    words = ("does", "artifact", "attacked", "how")
    artifacts = [{word: text for word, text in zip(words, one, strict=True) if text} for one in sorted(told["by"])]
    content = {
        "source": "mappings",
        "technique": name,
        "tactics": sorted(told["tactics"] - {""}),
        "parents": sorted(told["parents"] - {""}),
        "attack_tactics": sorted(told["attack"] - {""}),
        "artifacts": [one for one in artifacts if one],
    }
    return make_object(
        "relationship",
        content_id("relationship", [action.id, technique.id, content]),
        created=UNDATED,
        created_by_ref=D3FEND.id,
        relationship_type="mitigates",
        source_ref=action.id,
        target_ref=technique.id,
        description="; ".join(" ".join(one.values()) for one in content["artifacts"] if isinstance(one, dict)) or None,
        extensions=extend("d3fend", {key: value for key, value in content.items() if value}),
    )


def _page(name: str) -> str:
    return f"https://d3fend.mitre.org/technique/d3f:{name}"


def _fragment(iri: str) -> str:
    """Return the name behind an IRI's ``#`` or a prefix ``d3f:``; empty where it isn't one of D3FEND's."""
    name = iri.rpartition("#")[2] if "#" in iri else iri.removeprefix("d3f:") if iri.startswith("d3f:") else ""
    return name if _NAME.fullmatch(name) else ""


def _from_label(label: str) -> str:
    """Return a countermeasure's name from its label: "File Encryption" is FileEncryption."""
    name = "".join(word[:1].upper() + word[1:] for word in re.findall(r"[A-Za-z0-9.]+", label))
    return name if _NAME.fullmatch(name) else ""


def _texts(value: object) -> list[str]:
    """Return the texts of a JSON-LD value: a text, {"@value": …}, {"@id": …}, or a list of such."""
    found: list[str] = []
    for one in value if isinstance(value, list) else [value]:
        text = (one.get("@value") or one.get("@id")) if isinstance(one, dict) else one
        if isinstance(text, str) and text.strip():
            found.append(text.strip())
    return found


def _first(value: object) -> str:
    return next(iter(_texts(value)), "")
