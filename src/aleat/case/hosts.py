"""Hosts and services by one name each, although logs write them in several ways.

A host is written short in one log and fully qualified in the next, in capitals here and not there. Two
spellings are one host where they differ in case only, or where one is the first label of the other and no
other host shares that label. Which spelling is kept doesn't depend on the order of the evidence.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping

from aleat.case.records import CoverageRow
from aleat.hunt.indicator import Sighting

__all__ = ["HostNames", "coverage_hosts", "host_addresses", "is_address", "service_host"]

_SEPARATORS = re.compile(r"[/\\!]")
_SOURCE_ADDRESS_FIELDS = ("SourceIp", "SourceAddress")


def is_address(text: str) -> bool:
    """Say whether a text is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(text.strip().removeprefix("::ffff:"))
    except ValueError:
        return False
    return True


class HostNames:
    """Maps every spelling of a host's name to the one that the case uses."""

    def __init__(self, names: Iterable[str]) -> None:
        spellings: dict[str, set[str]] = {}
        for name in names:
            if name:
                spellings.setdefault(name.casefold().rstrip("."), set()).add(name.rstrip("."))
        by_label: dict[str, set[str]] = {}
        for key in spellings:
            if "." in key and not is_address(key):
                by_label.setdefault(key.partition(".")[0], set()).add(key)
        self._canonical: dict[str, str] = {}
        for key in sorted(spellings):
            full = by_label.get(key, set())
            home = next(iter(full)) if "." not in key and len(full) == 1 else key
            self._canonical[key] = min(spellings[home])
        self._labels = {label: self._canonical[min(keys)] for label, keys in by_label.items() if len(keys) == 1}

    def of(self, name: str) -> str:
        """Return the case's spelling of `name` (itself where it is new)."""
        key = name.casefold().rstrip(".")
        return self._canonical.get(key) or self._labels.get(key) or name

    def known(self, name: str) -> str | None:
        """Return the case's spelling of `name`, or None where no evidence comes from such a host."""
        key = name.casefold().rstrip(".")
        return self._canonical.get(key) or self._labels.get(key)

    def in_path(self, path: str) -> str | None:
        """Return the host whose name is a folder (or the stem, or a part of it) in an evidence path, nearest first."""
        for part in reversed(_SEPARATORS.split(path)):
            stem = part.partition(".")[0]
            for candidate in (part, stem):
                found = self.known(candidate) if candidate else None
                if found:
                    return found
            for piece in re.split(r"[_\s]", stem):
                found = self.known(piece) if len(piece) > 2 else None
                if found:
                    return found
        return None


def host_addresses(sightings: Iterable[Sighting], names: HostNames) -> dict[str, str]:
    """Return address → host, for addresses that events show as their own host's (Sysmon 3, outgoing; ``s-ip``).

    An address that two hosts show is left out.
    """
    seen: dict[str, set[str]] = {}
    for sighting in sightings:
        if not sighting.host or is_address(sighting.host):
            continue
        if sighting.format == "windows" and str(sighting.fields.get("Initiated", "")).casefold() != "true":
            continue
        for field in (*_SOURCE_ADDRESS_FIELDS, "s-ip") if sighting.format == "windows" else ("s-ip",):
            value = sighting.fields.get(field)
            if isinstance(value, str) and is_address(value):
                seen.setdefault(value, set()).add(names.of(sighting.host))
    return {address: next(iter(hosts)) for address, hosts in sorted(seen.items()) if len(hosts) == 1}


def service_host(
    host: str, service: str, evidence: str, names: HostNames, addresses: Mapping[str, str], known: frozenset[str]
) -> str:
    """Return the host that serves a service: what the log says, where evidence knows it; else what its path says.

    `known` are hosts that other evidence comes from. Tried in this order: the log's own host, where known; its
    address, where seen with a host; a folder or file named after a known host; the service's name itself (or
    its first label) as a host; the log's own host, unknown as it is.
    """
    direct = names.of(host) if host else ""
    if direct in known:
        return direct
    by_address = addresses.get(host)
    if by_address:
        return by_address
    for candidate in (names.in_path(evidence), names.known(service)):
        if candidate and candidate in known:
            return candidate
    return direct


def coverage_hosts(coverage: Iterable[CoverageRow]) -> set[str]:
    """Return the hosts that have any evidence."""
    return {row.host for row in coverage if row.host}
