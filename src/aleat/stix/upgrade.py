"""STIX 2.0 objects told again as STIX 2.1: only what 2.1 requires is added, nothing is taken away.

What 2.1 renamed (`labels` of an indicator became `indicator_types`, …) is *added* under its new name where
the values are known to be of that vocabulary; `labels` stay. `is_family` of malware, which 2.0 doesn't say,
is true: 2.0 describes families unless it says otherwise. Cyber observables inside `observed-data.objects`
stay as they are: 2.1 still has that form (§2.13, §4.14, deprecated), its ``object_refs`` must not stand beside it, and
one object told as several would be others than those that were given.

Specification: STIX 2.1 §3.3 (implicit version), §4, Appendix C (revision history).
"""

from __future__ import annotations

from typing import Any

__all__ = ["needs_upgrade", "upgrade_object"]

# STIX 2.1 §6: the types that may stand without spec_version and are 2.1 nonetheless.
_OBSERVABLES = frozenset(
    """
    artifact autonomous-system directory domain-name email-addr email-message file ipv4-addr ipv6-addr mac-addr
    mutex network-traffic process software url user-account windows-registry-key x509-certificate
    """.split()  # noqa: SIM905
)

# STIX 2.0 part 2: all its own types. What is of another type, and has no time of its own, is no object of 2.0.
_OLD_TYPES = frozenset(
    """
    attack-pattern campaign course-of-action identity indicator intrusion-set malware marking-definition
    observed-data relationship report sighting threat-actor tool vulnerability
    """.split()  # noqa: SIM905
)

# The property that 2.0 called `labels`, with an open vocabulary of its own.
_TYPES = {
    "identity": "roles",  # STIX 2.0 part 2, §2.4: "the list of roles that this Identity performs"
    "indicator": "indicator_types",
    "malware": "malware_types",
    "report": "report_types",
    "threat-actor": "threat_actor_types",
    "tool": "tool_types",
}


def needs_upgrade(type_: str, spec_version: str | None, created: str | None = "") -> bool:
    """Tell whether an object is STIX 2.0: it says so, or says nothing and is no cyber observable (§3.3).

    Observables of an extension (§7.3) say nothing either; but every object of 2.0 has its time of creation, `created`.
    """
    if spec_version is not None:
        return spec_version == "2.0"
    return type_ not in _OBSERVABLES and (type_ in _OLD_TYPES or created is not None)


def upgrade_object(properties: dict[str, Any]) -> dict[str, Any]:
    """Return a STIX 2.1 object with all properties of the STIX 2.0 object `properties`."""
    upgraded = {**properties, "spec_version": "2.1"}
    type_ = properties["type"]
    labels = properties.get("labels")
    if type_ in _TYPES and isinstance(labels, list):
        upgraded.setdefault(_TYPES[type_], labels)
    if type_ == "indicator":
        upgraded.setdefault("pattern_type", "stix")
        upgraded.setdefault("pattern_version", "2.0")
    elif type_ == "malware":
        upgraded.setdefault("is_family", True)
    return upgraded
