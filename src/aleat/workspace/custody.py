"""The verbs of custody: what is known of each source, forgetting one, holding one, the ledgers' heads countersigned."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from aleat.errors import InputError
from aleat.report.custody import CustodyForm
from aleat.store.lake import Custodian, Lake, SourceRow
from aleat.store.lake_forget import clear_forgotten, forget_source, refuse_held
from aleat.trust.heads import HeadPage
from aleat.workspace.case import CaseVerbs
from aleat.workspace.core import Session
from aleat.workspace.custody_form import make_custody_form
from aleat.workspace.evidence import open_lake
from aleat.workspace.heads import countersign, export_heads, keep_countersignature
from aleat.workspace.progress import Progress, silent
from aleat.workspace.show import ShownEvent, show_event

__all__ = ["CustodyVerbs", "ForgottenSource", "ShownEvent", "find_source"]

_LISTED = 5


class ForgottenSource(msgspec.Struct, frozen=True, kw_only=True):
    """What `forget` did. `backups` and `reports` are files of the workspace that may still tell of the source."""

    sources: tuple[int, ...]
    path: str
    segments: int = 0
    events: int = 0
    shared: int = 0
    """Segments that other sources need: they stay."""
    heirs: tuple[str, ...] = ()
    """The paths of copies with the same bytes, which stay."""
    files: int = 0
    """Files that were removed, those of an earlier call that was cut off among them."""
    kept_copy: bool = False
    """The workspace's copy stays, since other sources lie in it."""
    backups: tuple[Path, ...] = ()
    reports: tuple[Path, ...] = ()
    repeated: bool = False
    """It was forgotten before: this call only removed what files were left."""


def find_source(lake: Lake, name: str, *, forgotten: bool = False) -> SourceRow:
    """Return the one source that `name` names: its number, path (or an end of it), or a SHA-256.

    Raises `InputError` where there is none, or there are several.
    """
    rows = lake.sources(forgotten=forgotten)
    found = [row for row in rows if name == str(row.id)]
    found = found or [row for row in rows if name == row.facts.path]
    found = found or [row for row in rows if row.facts.path.endswith((f"/{name}", f"!{name}"))]
    found = found or [row for row in rows if name.lower() in (row.sha256, row.facts.container_sha256)]
    if not found:
        raise InputError(f"There is no source {name[-120:]!r}.", advice="See: aleat custody.")
    if len(found) > 1:
        names = ", ".join(f"{row.id} ({row.facts.path[-80:]})" for row in found[:_LISTED])
        raise InputError(f"{len(found)} sources are called {name[-120:]!r}: {names}.", advice="Give the number of one.")
    return found[0]


def find_sources(lake: Lake, name: str) -> list[SourceRow]:
    """Return the source that `name` names, or all that lie in the archive of that path; forgotten ones if no other is.

    Raises `InputError` where there is none, or several sources are called so.
    """
    for forgotten in (False, True):
        rows = lake.sources(forgotten=forgotten)
        members = [row for row in rows if row.facts.members and _lies_in(row.facts.path, name)]
        if members and len({row.facts.container_sha256 for row in members}) == 1:
            return members
        try:
            return [find_source(lake, name, forgotten=forgotten)]
        except InputError:
            if forgotten or not _is_gone(lake, name):
                raise
    return []


def _lies_in(path: str, archive: str) -> bool:
    """Say whether a path is of a member of an archive, which is named by its path or an end of it."""
    outer = path.partition("!")[0] if "!" in path else ""
    return bool(outer) and (outer == archive or outer.endswith(f"/{archive}"))


class CustodyVerbs(CaseVerbs):
    """What is done with sources as such."""

    def custody(self, *sources: str) -> CustodyForm:
        """Return the custody form of these sources (number, path or SHA-256; default: all, forgotten ones too)."""
        lake = open_lake(self)
        rows = {row.id: row for name in sources for row in find_sources(lake, name)}
        return make_custody_form(self, list(rows.values()) if sources else None)

    def export_heads(self) -> bytes:
        """Return the ledgers' heads on a signed page, to be kept where the workspace isn't, and countersigned."""
        return export_heads(self)

    def countersign(self, page: str | Path) -> bytes:
        """Sign an ally's page of heads, keep it, and return it for the ally."""
        return countersign(self, Path(page))

    def keep_countersignature(self, page: str | Path) -> HeadPage:
        """Keep a page of our heads that an ally countersigned; `verify` holds the ledgers to it."""
        return keep_countersignature(self, Path(page))

    def forget(self, source: str, reason: str) -> ForgottenSource:
        """Remove a source (number, path or SHA-256) for a reason: what only it needs goes, a ledger entry stays.

        An archive's path stands for all its members. Only an administrator may; a legal hold stops it. A call that was
        cut off is finished by the next one.
        """
        lake = open_lake(self)
        with self.writing():
            rows = find_sources(lake, source)
            custodian = Custodian(self.actor, self.now(), self.key)
            for row in rows:
                refuse_held(lake, row)
            done = [forget_source(lake, custodian, row, reason) for row in rows if row.forgotten is None]
            files = clear_forgotten(lake)
        left = [path for path in (self.folder / "reports").rglob("*") if path.is_file()]
        heirs = {one.id: one.facts.path for one in lake.sources()}
        return ForgottenSource(
            sources=tuple(row.id for row in rows),
            path=rows[0].facts.path if len(rows) == 1 else source,
            segments=sum(len(one.segments) for one in done),
            events=sum(one.events for one in done),
            shared=sum(one.shared for one in done),
            heirs=tuple(heirs[one.heir] for one in done if one.heir in heirs),
            files=files,
            kept_copy=bool(done) and rows[-1].facts.copied and not done[-1].evidence,
            backups=tuple(sorted(self.folder.glob("aleat.db.format-*"))),
            reports=tuple(sorted(left)),
            repeated=not done,
        )

    def show(self, event: str, *, progress: Progress = silent) -> ShownEvent:
        """Return an event (EVIDENCE:RECORD, or an event digest) with the original bytes that it was read from."""
        return show_event(self, event, progress=progress)

    def hold(self, objects: Sequence[str], kind: str, reason: str) -> None:
        """Stop objects from leaving, and sources from being forgotten: kind is "legal-hold" or "personal-data".

        `objects` are STIX ids, or sources as `forget` takes them.
        """
        super().hold([_held_name(self, name) for name in objects], kind, reason)

    def lift_hold(self, object_: str, kind: str, reason: str) -> None:
        """Lift a hold, for a reason."""
        super().lift_hold(_held_name(self, object_), kind, reason)


def _is_gone(lake: Lake, name: str) -> bool:
    """Say whether a name is of a forgotten source alone."""
    try:
        find_source(lake, name)
    except InputError:
        return True
    return False


def _held_name(session: Session, name: str) -> str:
    """Return a STIX id as it is, and for a source the SHA-256 of its bytes (its path, where that isn't known yet)."""
    if "--" in name and name.partition("--")[0].replace("-", "").isalpha():
        return name
    rows = find_sources(open_lake(session), name)
    if len(rows) > 1:
        return rows[0].facts.container_sha256
    return rows[0].sha256 or rows[0].facts.path
