"""The simulated world: hosts, accounts, tables; read from the data folder."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parent.parent / "data"


@cache
def table(name: str) -> Any:
    """Return a JSON table of the data folder; treat it as read-only."""
    return json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Host:
    """A Windows host of the victim's."""

    name: str
    domain: str
    dns: str
    ip: str
    role: str
    shape: str
    rate: int
    user: str
    number: int

    @property
    def fqdn(self) -> str:
        """Return the host's full name."""
        return f"{self.name}.{self.dns}"

    @property
    def machine(self) -> str:
        """Return the first part of the host's process GUIDs."""
        return hashlib.sha256(self.name.encode()).hexdigest()[:8].upper()


@cache
def hosts() -> dict[str, Host]:
    """Return all Windows hosts by name, in the order of the data file."""
    world = table("world")
    return {
        row["name"]: Host(
            name=row["name"],
            domain=row["domain"],
            dns=world["domains"][row["domain"]]["dns"],
            ip=row["ip"],
            role=row["role"],
            shape=row["shape"],
            rate=row["rate"],
            user=row.get("user", ""),
            number=number,
        )
        for number, row in enumerate(world["hosts"], start=1)
    }


@cache
def sid(domain: str, account: str) -> str:
    """Return an account's security identifier."""
    if domain in ("NT AUTHORITY", ""):
        return "S-1-5-18"
    world = table("world")
    rid = world["rids"].get(account)
    if rid is None:
        rid = 1100 + int.from_bytes(hashlib.sha256(account.lower().encode()).digest()[:2], "big") % 8000
    return f"{world['domains'][domain]['sid']}-{rid}"
