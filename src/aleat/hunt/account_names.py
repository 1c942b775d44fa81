"""Accounts and groups that every Windows has, whatever its language: what else a SID or a name is called.

A rule that says ``Administrators`` means the group S-1-5-32-544, which a German machine calls ``Administratoren``. The
view `well_known` lets the names of `data/account_names.toml` stand beside what an event says; the taxonomy applies it
to the fields that hold accounts, on read, so that nothing is rewritten in the evidence.
"""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from importlib import resources

__all__ = ["WELL_KNOWN", "account_names_text", "well_known"]

WELL_KNOWN = "well_known"
"""The view's name."""

_SID = re.compile(r"%?\{?(S-1-\d{1,2}(?:-\d{1,10}){1,15})\}?", re.ASCII)
_OF_DOMAIN = re.compile(r"S-1-5-21-\d+-\d+-\d+-(\d{3,4})", re.ASCII)
_LONGEST = 200


def well_known(text: str, _: str = "") -> tuple[str, ...]:
    """Return all names of a well-known SID, or the other names of a well-known account (with or without its authority).

    >>> well_known("S-1-5-32-544")[:3], well_known("Administratoren")[:1], well_known("AUTORITE NT\\\\Système")
    (('Administrators', 'Administratorët', 'Administratoren'), ('Administrators',), ('NT AUTHORITY\\\\SYSTEM',))
    """
    if len(text) > _LONGEST:
        return ()
    by_sid, by_name, authorities = _tables()
    if found := _SID.fullmatch(text):
        relative = _OF_DOMAIN.fullmatch(found[1])
        return by_sid.get(f"domain.{relative[1]}" if relative else found[1], ())
    authority, slash, name = text.rpartition("\\")
    others = by_name.get(name.casefold(), ())
    if not slash:
        return tuple(other for other in others if other.casefold() != name.casefold())
    known = authorities.get(authority.casefold(), authority)
    full = f"{known}\\{others[0] if others else name}"
    return (full,) if full.casefold() != text.casefold() else ()


def account_names_text() -> str:
    """Return the table as it is written: what it says is part of the taxonomy's digest."""
    return resources.files("aleat.hunt").joinpath("data/account_names.toml").read_text("utf-8")


@lru_cache(maxsize=1)
def _tables() -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]], dict[str, str]]:
    table = tomllib.loads(account_names_text())
    by_sid = {sid: tuple(names) for sid, names in table["names"].items()}
    by_name: dict[str, tuple[str, ...]] = {}
    for names in by_sid.values():
        for name in names:
            by_name.setdefault(name.casefold(), names)
    authorities = {name.casefold(): known for known, names in table["authorities"].items() for name in names}
    return by_sid, by_name, authorities
