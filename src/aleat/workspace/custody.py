"""The verbs of custody: what is known of each source, forgetting one, holding one, the ledgers' heads countersigned."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from aleat.errors import InputError
from aleat.report.custody import CustodyForm
from aleat.store.lake import Custodian, Lake, SourceRow
from aleat.store.lake_forget import Forgotten, clear_forgotten, forget_source
from aleat.trust.heads import HeadPage
from aleat.workspace.core import Session
from aleat.workspace.custody_form import make_custody_form
from aleat.workspace.evidence import open_lake
from aleat.workspace.exchange import ExchangeVerbs
from aleat.workspace.heads import countersign, export_heads, keep_countersignature
from aleat.workspace.progress import Progress, silent
from aleat.workspace.show import ShownEvent, show_event

__all__ = ["CustodyVerbs", "ForgottenSource", "ShownEvent", "find_source"]

_LISTED = 5


class ForgottenSource(msgspec.Struct, frozen=True, kw_only=True):
    """What `forget` did. `backups` and `reports` are files of the workspace that may still tell of the source."""

    source: int
    path: str
    segments: int = 0
    events: int = 0
    shared: int = 0
    """Segments that other sources need: they stay."""
    heir: str = ""
    """The path of a copy with the same bytes, which stays; "" where there is none."""
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


class CustodyVerbs(ExchangeVerbs):
    """What is done with sources as such."""

    def custody(self, *sources: str) -> CustodyForm:
        """Return the custody form of these sources (number, path or SHA-256; default: all, forgotten ones too)."""
        lake = open_lake(self)
        rows = [find_source(lake, name, forgotten=_is_gone(lake, name)) for name in sources]
        return make_custody_form(self, rows if sources else None)

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

        Only an administrator may; a legal hold stops it. A call that was cut off is finished by the next one.
        """
        lake = open_lake(self)
        with self.writing():
            row = find_source(lake, source, forgotten=_is_gone(lake, source))
            done = Forgotten(row.facts.path, (), 0, 0, None, "")
            if row.forgotten is None:
                done = forget_source(lake, Custodian(self.actor, self.now(), self.key), row, reason)
            files = clear_forgotten(lake)
        left = [path for path in (self.folder / "reports").rglob("*") if path.is_file()]
        heirs = {one.id: one.facts.path for one in lake.sources()}
        return ForgottenSource(
            source=row.id,
            path=row.facts.path,
            segments=len(done.segments),
            events=done.events,
            shared=done.shared,
            heir=heirs.get(done.heir, "") if done.heir is not None else "",
            files=files,
            kept_copy=row.forgotten is None and row.facts.copied and not done.evidence,
            backups=tuple(sorted(self.folder.glob("aleat.db.format-*"))),
            reports=tuple(sorted(left)),
            repeated=row.forgotten is not None,
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
    row = find_source(open_lake(session), name)
    return row.sha256 or row.facts.path
