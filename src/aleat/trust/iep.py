"""FIRST's Information Exchange Policy (IEP) 2.0 as a typed record: what a provider lets its recipients do.

Read from the three forms in which it travels: a marking definition with the extension of OASIS' common objects
(762e2e97…, "IEP 2.0"), one of ``definition_type`` "iep", and the project's own extension `policy`, in which a
playbook's policy is kept. What it *means* for a release is the gate's business (`aleat.release`).

A policy that can't be read in full (another version, a word that the framework doesn't have, a date that is none,
a reference to a policy elsewhere, a statement that all three forms require and that isn't there) is no policy: the
marking stays unknown, and unknown stays.

Framework: https://www.first.org/iep/iep_framework_2_0, JSON: https://www.first.org/iep/iep-json-2_0.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal, get_args

import msgspec

from aleat.errors import ObjectError
from aleat.stix.extensions import read_extension
from aleat.stix.ids import is_content_id
from aleat.stix.objects import StixObject
from aleat.stix.times import parse_timestamp

__all__ = ["IEP_EXTENSION", "Policy", "PolicyActions", "read_policy"]

IEP_EXTENSION: Final = "extension-definition--762e2e97-ee51-43e5-a9ea-165fbb862c4a"
"""OASIS STIX common objects, extension definition "IEP 2.0"."""

PolicyActions = Literal[
    "none",
    "contact-for-instruction",
    "internally-visible-actions",
    "externally-visible-indirect-actions",
    "externally-visible-direct-actions",
]
"""What recipients may do with what they got, the narrowest first (framework §8)."""

_ACTIONS = get_args(PolicyActions)
_LEVELS = {"white": "clear", "amber-strict": "amber+strict"} | {
    level: level for level in ("clear", "green", "amber", "amber+strict", "red")
}
_SAME = {"may": "may", "must": "must", "must-not": "must-not"}
_WORDS: dict[str, dict[str, str]] = {
    "encrypt_in_transit": {"may": "may", "must": "must"},
    "permitted_actions": {action: action for action in _ACTIONS},
    "affected_party_notifications": {"may": "may", "must-not": "must-not"},
    "tlp": _LEVELS,
    "attribution": _SAME,
    "unmodified_resale": {"may": "may", "must-not": "must-not"},
}


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """One policy.

    `tlp` is a level of TLP 2.0 in lower case, `attribution` says whether whoever passes it on names the provider.
    `start` and `end` are UTC; the policy holds from the one until the other, both included, and `end` None means no
    end. That it isn't to be sold decides nothing: nothing is sold here, and the policy travels with what it marks.
    """

    tlp: str
    attribution: Literal["may", "must", "must-not"]
    permitted_actions: PolicyActions
    affected_party_notifications: Literal["may", "must-not"]
    encrypt_in_transit: Literal["may", "must"]
    unmodified_resale: Literal["may", "must-not"]
    start: datetime
    end: datetime | None = None

    def holds(self, time: datetime) -> bool:
        """Tell whether the policy is in effect at `time`."""
        return self.start <= time and (self.end is None or time <= self.end)


def read_policy(definition: StixObject) -> Policy | None:
    """Return the policy that a marking definition holds; None where it holds none, or one that can't be read.

    One that was kept under an id computed from what it says counts only under that id.
    """
    properties = definition.properties()
    extensions = properties.get("extensions")
    extensions = extensions if isinstance(extensions, dict) else {}
    if len(extensions) > 1:
        return None  # what another extension adds to it isn't known here
    content: Any = extensions.get(IEP_EXTENSION)
    if not extensions and str(properties.get("definition_type", "")).lower() == "iep":
        content = properties.get("definition")
        content = content.get("iep", content) if isinstance(content, dict) else None
    elif (kept := read_extension(definition, "policy")) is not None and kept.get("scheme") == "iep":
        content = kept.get("policy")
        if not is_content_id(definition.id, ["iep", content]):
            return None
    return _read(content) if isinstance(content, dict) else None


def _read(content: Mapping[str, Any]) -> Policy | None:
    version = content.get("iep_version")
    if isinstance(version, bool) or str(version) not in {"2", "2.0"}:
        return None
    if content.get("id_ref") is not None or content.get("revoked") not in (None, False):
        return None
    words = {name: _word(content, name) for name in _WORDS}
    start, end = _times(content, "start_date", "valid_from"), _times(content, "end_date", "valid_until")
    if None in words.values() or not start or end is None:
        return None
    return msgspec.convert({**words, "start": max(start), "end": min(end, default=None)}, Policy)


def _word(content: Mapping[str, Any], name: str) -> str | None:
    """Return what the policy says under `name`; None where it says nothing, or what is no word of IEP's."""
    value = content.get(name)
    if value is None and name == "attribution":
        value = content.get("provider_attribution")
    if not isinstance(value, str):
        return None
    return _WORDS[name].get(value.strip().lower().replace("_", "-").replace(" ", "-"))


def _times(content: Mapping[str, Any], *names: str) -> list[datetime] | None:
    """Return the dates under `names`; None where one is no date."""
    given = [content[name] for name in names if content.get(name) not in (None, "")]
    try:
        return [parse_timestamp(value) for value in given]
    except (ObjectError, TypeError):
        return None
