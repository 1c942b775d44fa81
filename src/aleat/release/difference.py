"""What is different from what an ally was given before: object by object, by the decisions on both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from aleat.release.records import Decision
from aleat.trust.agreements import Label

__all__ = ["Change", "Given", "compare_given"]

Change = Literal["new", "changed", "same", "gone", ""]
"""An object against what the ally has of it: "gone" would leave no more, "" stays as before."""


class Given(msgspec.Struct, frozen=True):
    """What an ally was last given of an object: its digest, the id and label it went under, which rule, when.

    From its shelf, `release` is empty, and the digest too where that isn't what would leave now.
    """

    digest: str
    told: str
    label: Label | None
    rule: str
    time: str
    release: str


def compare_given(given: Mapping[str, Given], decisions: Iterable[Decision]) -> dict[str, Change]:
    """Return for each object (its id here) how what would leave now differs from what was `given`.

    An object is changed where it, the id or text under which it is told, or its label is another.
    """
    found: dict[str, Change] = {}
    for decision in decisions:
        before = given.get(decision.object)
        now = (decision.digest, str(decision.parameters.get("as", decision.object)), decision.label)
        if not decision.allow:
            change: Change = "gone" if before is not None else ""
        elif before is None:
            change = "new"
        else:
            change = "same" if now == (before.digest, before.told, before.label) else "changed"
        if found.get(decision.object, "") in {"", "gone"}:  # of several contents of an id, that which leaves counts
            found[decision.object] = change
    return found
