"""What a playbook names that it is for: ATT&CK's techniques and tactics, vulnerabilities, and names in labels.

Looked at are places in which authors say so: labels, external references, and the ids of ATT&CK and CVE in the name
and the description. Steps' texts are not: a playbook on one technique can name ten others in passing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from aleat.knowledge.playbooks.flow import workflow_of

__all__ = ["Subjects", "read_subjects"]

_TECHNIQUE = re.compile(r"(?<![A-Za-z0-9])[Tt]([0-9]{4})(?:\.([0-9]{3}))?(?![0-9])")
_CVE = re.compile(r"(?<![A-Za-z0-9])[Cc][Vv][Ee][-_. ]([0-9]{4})[-_. ]([0-9]{4,19})(?![0-9])")
_TACTICS = {
    "TA0043": "reconnaissance",
    "TA0042": "resource-development",
    "TA0001": "initial-access",
    "TA0002": "execution",
    "TA0003": "persistence",
    "TA0004": "privilege-escalation",
    "TA0005": "defense-evasion",
    "TA0006": "credential-access",
    "TA0007": "discovery",
    "TA0008": "lateral-movement",
    "TA0009": "collection",
    "TA0011": "command-and-control",
    "TA0010": "exfiltration",
    "TA0040": "impact",
}
"""https://attack.mitre.org/tactics/enterprise/."""

_TEXT = 10_000
_MOST = 200
_NAME = 200


class Subjects(msgspec.Struct, frozen=True, kw_only=True):
    """What a playbook names, each sorted: techniques (``T1486``), tactics, CVE ids, and names as written."""

    techniques: tuple[str, ...] = ()
    tactics: tuple[str, ...] = ()
    vulnerabilities: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


def read_subjects(content: Mapping[str, Any]) -> Subjects:
    """Return what the playbook says that it is for."""
    labels = [text[:_NAME] for text in _list(content, "labels") if isinstance(text, str)]
    references = [text for holder in (content, *workflow_of(content).values()) for text in _references(holder)]
    texts = [*labels, *references, *_own_texts(content)]
    techniques = {
        f"T{match[1]}.{match[2]}" if match[2] else f"T{match[1]}"
        for text in texts
        for match in _TECHNIQUE.finditer(text[:_TEXT])
    }
    vulnerabilities = {f"CVE-{match[1]}-{match[2]}" for text in texts for match in _CVE.finditer(text[:_TEXT])}
    tactics = {
        _TACTICS[word]
        for text in texts
        for word in re.findall(r"(?<!\w)TA[0-9]{4}(?!\w)", text[:_TEXT])
        if word in _TACTICS
    }
    named = set(_TACTICS.values())
    tactics |= {word for label in labels if (word := _word(label)) in named}
    return Subjects(
        techniques=tuple(sorted(techniques)[:_MOST]),
        tactics=tuple(sorted(tactics)),
        vulnerabilities=tuple(sorted(vulnerabilities)[:_MOST]),
        names=tuple(sorted({label.strip() for label in labels if label.strip()})[:_MOST]),
    )


def _word(label: str) -> str:
    return label.strip().casefold().removeprefix("attack.").replace("_", "-").replace(" ", "-")


def _own_texts(content: Mapping[str, Any]) -> Iterator[str]:
    for name in ("name", "description"):
        if isinstance(content.get(name), str):
            yield content[name]


def _references(holder: Mapping[str, Any]) -> Iterator[str]:
    for reference in _list(holder, "external_references"):
        if isinstance(reference, dict):
            for name in ("external_id", "name", "url"):
                text = reference.get(name)
                if isinstance(text, str):
                    yield text.replace("/", ".") if name == "url" else text


def _list(content: Mapping[str, Any], name: str) -> list[Any]:
    value = content.get(name)
    return value[:_MOST] if isinstance(value, list) else []
