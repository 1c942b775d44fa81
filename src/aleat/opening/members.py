"""Which members of an archive are not read, and how many of those are named one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from aleat.opening.container import Member, Note, Opening
from aleat.opening.limits import limit_advice

__all__ = ["is_named", "refusal_of", "unnamed", "zip_is_package"]

_NAMED = {"passed-over": 10, "empty-file": 10, "limit": 100}
"""So many members of one file that aren't read (links, empty ones …) are named; the rest is counted."""

_PACKAGES = frozenset({"[Content_Types].xml", "META-INF/MANIFEST.MF", "META-INF/manifest.xml", "AndroidManifest.xml"})
"""Members by which a zip archive is a document or a program: a file itself, beside what it holds."""


def refusal_of(member: Member, opening: Opening) -> Note | None:
    """Say why a member is not read, if so: its name climbs, it is no file, it is empty, or it is too much."""
    path = PurePosixPath(member.name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or member.name[1:2] == ":":
        return Note("unsafe-name", "The member's name leads out of the archive's folder; it wasn't read.")
    if member.refused is not None:
        return member.refused
    if member.size == 0:
        return Note("empty-file", "The member is empty.")
    if member.size is not None and member.size > opening.budget.left:
        budget = opening.budget
        reason = f"{member.size} bytes would come out of it; {max(budget.left, 0)} may, of {budget.total}"
        return Note("limit", f"{reason} (limit: {budget.name}).", limit_advice(budget.name))
    return None


def is_named(refusal: Note, passed: Counter[tuple[str, str]]) -> bool:
    """Count a member that isn't read; say whether it is among those that are named."""
    why = "" if refusal.code == "limit" else refusal.reason  # whose reasons have numbers in them
    passed[refusal.code, why] += 1
    return passed[refusal.code, why] <= _NAMED.get(refusal.code, passed[refusal.code, why])


def unnamed(passed: Counter[tuple[str, str]]) -> Iterator[Note]:
    """Say how many members were neither read nor named, and why."""
    for (code, why), count in sorted(passed.items()):
        more = count - _NAMED.get(code, count)
        if more > 0:
            reason = why or "they are larger than what is left to unpack."
            advice = limit_advice("expansion_ratio") if code == "limit" else ""
            yield Note(code, f"{more} further members, which aren't named: {reason}", advice)


def zip_is_package(names: Sequence[str]) -> bool:
    """Say whether an archive with these members is a document or a program."""
    return not _PACKAGES.isdisjoint(names)
