"""What `push` does with a MISP server: events of what an ally may have, or sightings of what came from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from aleat.cli.exit_codes import INCOMPLETE
from aleat.cli.terminal import error, issues, line
from aleat.errors import InputError

if TYPE_CHECKING:
    from aleat.exchange.access import Access
    from aleat.workspace import MispPushed, MispSighted, Workspace
    from aleat.workspace.progress import Progress

__all__ = ["MISP_FILE", "MispOptions", "push_misp", "tell_misp", "write_misp"]

MISP_FILE = "misp+file:"
"""What a file of MISP's JSON is named by, instead of a server."""

_LEVELS = {"organisation": 0, "community": 1, "connected": 2, "all": 3}
_SHOWN = 20


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class MispOptions:
    """How a MISP server is written to.

    Args:
        publish: Publish the events there; without it they wait for somebody to look at them.
        distribution: MISP: no wider than this, whatever the labels allow.
        sightings: MISP: say what was found with the ally's own indicators from there, instead of giving events.
    """

    publish: Annotated[bool, Parameter(negative="")] = False
    distribution: Literal["organisation", "community", "connected", "all"] = "all"
    sightings: Annotated[bool, Parameter(negative="")] = False


def push_misp(
    ws: Workspace, access: Access, to: str, approver: str | None, options: MispOptions, show: Progress
) -> MispPushed | MispSighted:
    """Write to the server of `access` what was asked for."""
    if options.sightings:
        return ws.push_misp_sightings(access, to=to, approver=approver, progress=show)
    return ws.push_misp(
        access,
        to=to,
        publish=options.publish,
        distribution=_LEVELS[options.distribution],
        approver=approver,
        progress=show,
    )


def write_misp(ws: Workspace, path: str, to: str, approver: str | None, options: MispOptions) -> int:
    """Write a file of MISP's JSON, print what is in it, and return the exit code."""
    if options.sightings or options.publish or not path:
        raise InputError(f"A file is written by {MISP_FILE}PATH; sightings and publishing are for servers.")
    done = ws.write_misp(path, to=to, distribution=_LEVELS[options.distribution], approver=approver)
    line(f"{path}: {done.events:,} events, which tell {done.objects:,} objects. It is not sealed: mind its labels.")
    if done.issues:
        error(f"{len(done.issues)} to look at:")
        issues(done.issues)
    return INCOMPLETE if done.issues else 0


def tell_misp(done: MispPushed | MispSighted) -> int:
    """Print what a push to a MISP server did, and return the exit code."""
    from aleat.workspace import MispPushed  # noqa: PLC0415

    refused = 0
    if isinstance(done, MispPushed):
        _tell_events(done)
        refused = sum(len(event.refused) for event in done.events)
    else:
        line(f"{done.url}: {done.added:,} sightings added, {done.known:,} there already.")
        if done.unsaid:
            line(f"  {done.unsaid:,} indicators were not seen, or not looked for: MISP has no word for that.")
            line("  Say it with its coverage in a sealed file: aleat answer.")
        if done.kept:
            line(f"  {done.kept:,} findings stay here: below the agreement's threshold, or kept by the gate.")
        if done.ask:
            line(f"  The gate keeps what others made; ask {', '.join(done.ask[:_SHOWN])}.")
    if done.issues:
        error(f"{len(done.issues)} to look at:")
        issues(done.issues)
    if not done.complete:
        error("It did not come to its end. What is there is remembered; push again to go on.")
    return 0 if done.complete and not done.issues and not refused else INCOMPLETE


def _tell_events(done: MispPushed) -> None:
    taken, known = sum(event.taken for event in done.events), sum(event.known for event in done.events)
    withdrawn = sum(event.withdrawn for event in done.events)
    back = f", {withdrawn:,} taken back" if withdrawn else ""
    line(f"{done.url}: {len(done.events):,} events; {taken:,} parts new or changed, {known:,} there already{back}.")
    published = sum(event.published for event in done.events)
    if published:
        line(f"  {published:,} events published.")
    if done.own_only:
        line(
            f"  {done.own_only:,} events are seen by our own users there only. An agreement can say for whom AMBER is:"
        )
        line("  see [misp] in its draft.")
    if done.returned:
        line(f"  {done.returned:,} objects are the ally's own; they don't go back.")
    rows = [row for event in done.events for row in event.refused]
    if rows:
        error(f"  {len(rows)} were refused; the next push tries them again:")
        for row in rows[:_SHOWN]:
            error(f"    {row.kind} {row.part} of event {row.event}: {row.reason}")
