"""People and their roles: who may do what in a workspace. Every decision has an actor; this says which may make it.

The first actor of a workspace has every role. Roles are kept in `aleat.store.decisions`; the checks are here.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from aleat.errors import NotPermittedError, TrustError

__all__ = ["ROLES", "check_roles", "require_role", "require_two_people"]

ROLES: Final = {
    "analyst": "adds knowledge and evidence, hunts, builds cases, opens sealed files, places holds",
    "releaser": "decides what leaves: requests, offers, releases, findings, withdrawals; permissions, lifted holds",
    "administrator": "names people and their roles, imports allies and agreements",
    "guest": "reads what an ally's guest may read, and decides nothing",
}


def check_roles(roles: Collection[str]) -> tuple[str, ...]:
    """Return `roles` in the table's order; raises `TrustError` for an unknown one, or for a guest with another."""
    if unknown := sorted(set(roles) - set(ROLES)):
        raise TrustError(f"There is no role {unknown[0]!r}. Roles are: {', '.join(ROLES)}.")
    if "guest" in roles and len(set(roles)) > 1:
        raise TrustError("A guest of an ally can have no other role.")
    return tuple(role for role in ROLES if role in roles)


def require_role(actor: str, roles: Collection[str], needed: str, *, who: Collection[str] = ()) -> None:
    """Raise `NotPermittedError` unless the `roles` of `actor` hold the one `needed`; it names those who have it."""
    if needed not in roles:
        advice = f"Ask {', '.join(sorted(who))}." if who else "Nobody in this workspace has it."
        raise NotPermittedError(f"{actor} does not have the role {needed} ({ROLES[needed]}). {advice}")


def require_two_people(actor: str, approver: str | None, agreement: str) -> None:
    """Raise `NotPermittedError` unless another person than `actor` approved."""
    if approver is None or approver == actor:
        raise NotPermittedError(
            f"The agreement {agreement} wants two people for a release: a second releaser must approve it."
        )
