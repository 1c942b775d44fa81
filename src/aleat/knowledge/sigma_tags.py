"""What Sigma's tags say: references to ATT&CK, CVE, CAR and D3FEND, and TLP labels.

Tags are ``namespace.name`` (Sigma tags specification 2.1). What isn't known stays a label, as all of them do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

__all__ = ["tag_label", "tag_references"]

_TECHNIQUE = re.compile(r"t[0-9]{4}(?:\.[0-9]{3})?")
_OTHER_ATTACK = re.compile(r"[gs][0-9]{4}")
_CVE = re.compile(r"(?:cve[-.])?((?:19|20)[0-9]{2})[-.]([0-9]{4,7})")
_CAR = re.compile(r"(?:car[-.])?([0-9]{4}-[0-9]{2}-[0-9]{3})")
_D3FEND = re.compile(r"d3-?[a-z]{1,10}")
_LABELS = {
    "clear": "tlp:clear",
    "white": "tlp:white",
    "green": "tlp:green",
    "amber": "tlp:amber",
    "amber-strict": "tlp:amber+strict",
    "amber+strict": "tlp:amber+strict",
    "red": "tlp:red",
}


def tag_references(tags: Sequence[str]) -> Iterator[dict[str, str]]:
    """Yield an external reference for each catalogue's entry that the tags name, each once.

    >>> [one["external_id"] for one in tag_references(["attack.t1059.001", "attack.impact", "cve.2021-44228"])]
    ['T1059.001', 'CVE-2021-44228']
    """
    seen: set[str] = set()
    for tag in tags:
        found = _reference(tag.lower())
        if found is not None and found["external_id"] not in seen:
            seen.add(found["external_id"])
            yield found


def tag_label(tags: Sequence[str]) -> str | None:
    """Return the TLP label that the tags put on a rule: the strictest, where several do.

    >>> tag_label(["tlp.green", "tlp.amber"]), tag_label(["attack.t1059"])
    ('tlp:amber', None)
    """
    order = list(_LABELS.values())
    found = [_LABELS[name] for tag in tags if (name := _name_of_label(tag)) in _LABELS]
    return max(found, key=order.index, default=None)


def _name_of_label(tag: str) -> str:
    namespace, _, name = tag.lower().partition(".")
    return name.replace("_", "-") if namespace == "tlp" else ""


def _reference(tag: str) -> dict[str, str] | None:
    namespace, _, name = tag.partition(".")
    if namespace == "attack" and (_TECHNIQUE.fullmatch(name) or _OTHER_ATTACK.fullmatch(name)):
        return {"source_name": "mitre-attack", "external_id": name.upper()}
    if namespace == "cve" and (match := _CVE.fullmatch(name)):
        return {"source_name": "cve", "external_id": f"CVE-{match[1]}-{match[2]}"}
    if namespace == "car" and (match := _CAR.fullmatch(name)):
        return {"source_name": "mitre-car", "external_id": f"CAR-{match[1]}"}
    if namespace == "d3fend" and _D3FEND.fullmatch(name):
        return {"source_name": "mitre-d3fend", "external_id": name.upper()}
    return None
