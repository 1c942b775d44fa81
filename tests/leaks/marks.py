"""The markings of the random graphs, by short names, and the definitions that must be here for those that need one."""

from __future__ import annotations

from typing import Any

from aleat.knowledge.misp.labels import sharing_marking
from aleat.stix import StixObject, make_object
from aleat.trust.iep import IEP_EXTENSION
from aleat.trust.markings import marking_id
from tests.leaks.ground import NOW, identity

__all__ = ["DEFINED", "MEMBERS", "mark"]

_PUBLISHED = {
    "tlp1:green": "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da",
    "tlp1:amber": "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82",
    "tlp1:red": "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed",
    "alias": "marking-definition--826578e1-40ad-459f-bc73-ede076f81f37",
    "unknown": "marking-definition--0a6fdd7d-58c4-4a4e-9f0c-0f6a8a0b1c2d",
}
_POLICY = {
    "iep_version": 2.0,
    "start_date": "2022-01-01T00:00:00Z",
    "encrypt_in_transit": "must",
    "permitted_actions": "externally-visible-direct-actions",
    "affected_party_notifications": "may",
    "tlp": "white",
    "provider_attribution": "may",
    "unmodified_resale": "must-not",
}
_POLICIES: dict[str, dict[str, Any]] = {
    "iep:clear": {},
    "iep:amber": {"tlp": "amber"},
    "iep:red": {"tlp": "red"},
    "iep:over": {"end_date": "2022-09-19T00:00:00Z"},
    "iep:instruction": {"permitted_actions": "contact-for-instruction"},
    "iep:none": {"permitted_actions": "none"},
}
MEMBERS = {"misp:own": (), "misp:north": ("north",), "misp:north+bank": ("north", "bank")}
"""Whom MISP's distribution names."""
_ACS = "extension-definition--3a65884d-005a-4290-8335-cb2d778a83ce"


def _definition(number: int, **properties: Any) -> StixObject:
    return make_object(
        "marking-definition", f"marking-definition--00000000-0000-4000-8000-{number:012d}", created=NOW, **properties
    )


def _statement(number: int, text: str) -> StixObject:
    return _definition(number, definition_type="statement", definition={"statement": text})


def _shared(names: tuple[str, ...]) -> StixObject:
    group = {
        "uuid": identity("group of " + "+".join(names)).partition("--")[2],
        "name": "zqgroupof " + " and ".join(names),
        "active": True,
        "SharingGroupOrg": [{"Organisation": {"uuid": identity(name).partition("--")[2]}} for name in names],
    }
    found = sharing_marking({"distribution": "4", "SharingGroup": group} if names else {"distribution": "0"})
    assert found is not None
    return found


DEFINED: dict[str, StixObject] = {
    "statement": _statement(1, "Copyright 2022, somebody."),
    "classified": _statement(2, "SECRET//REL TO XYZ"),
    "acs": _definition(3, extensions={_ACS: {"extension_type": "property-extension", "x": "U"}}),
    **{name: _shared(names) for name, names in MEMBERS.items()},
    **{
        name: _definition(
            10 + number, extensions={IEP_EXTENSION: {"extension_type": "property-extension", **_POLICY, **said}}
        )
        for number, (name, said) in enumerate(_POLICIES.items())
    },
}


def mark(name: str) -> str:
    """Return the id of a marking."""
    if name in DEFINED:
        return DEFINED[name].id
    return _PUBLISHED.get(name) or marking_id(name)
