"""The commands of clocks: measure, list, set, undo."""

from __future__ import annotations

import cyclopts

from aleat.cli.options import Actor, Quiet, WorkspaceOption, open_workspace
from aleat.cli.terminal import line, progress, table

__all__ = ["register"]


def register(app: cyclopts.App) -> None:
    """Add the commands to `app`."""
    clocks = cyclopts.App(name="clocks", help="Clocks that are off: measure them, correct them in the case.")
    clocks.command(clocks_measure, name="measure")
    clocks.command(clocks_list, name="list")
    clocks.command(clocks_set, name="set")
    clocks.command(clocks_undo, name="undo")
    app.command(clocks)


def clocks_measure(*, workspace: WorkspaceOption = None, actor: Actor = None, quiet: Quiet = False) -> int:
    """Measure how the clocks differ where two machines' logs tell of one happening; the largest difference first.

    Args:
        workspace: The workspace's folder.
        actor: Who acts.
        quiet: No progress.
    """
    from aleat.workspace.clocks import offset_text  # noqa: PLC0415

    with open_workspace(workspace, actor) as ws, progress(quiet=quiet) as show:
        found = ws.clocks(progress=show)
        show.clear()
    if not found:
        line("No two logs tell of enough of the same to compare their clocks.")
        return 0
    table(
        [
            (
                item.clock,
                offset_text(item.offset),
                item.other,
                item.pairing,
                f"{item.agreeing} of {item.pairs}",
                offset_text(item.spread)[1:],
                "a zone? (--log-zone)" if item.like_zone else "",
            )
            for item in found
        ],
        ("clock", "is ahead by", "of", "measured by", "agreeing", "within", "remark"),
        limit=len(found),
    )
    line("Which of two clocks is right is for you to say: aleat clocks set CLOCK OFFSET --reason TEXT.")
    return 0


def clocks_list(*, workspace: WorkspaceOption = None, actor: Actor = None) -> int:
    """List how clocks were corrected, by whom, when and why.

    Args:
        workspace: The workspace's folder.
        actor: Who acts.
    """
    from aleat.workspace.clocks import offset_text  # noqa: PLC0415

    with open_workspace(workspace, actor) as ws:
        rows = ws.clock_corrections()
    if not rows:
        line("No clock is corrected.")
        return 0
    cells = [
        (
            row.id[:8],
            row.clock,
            offset_text(row.offset),
            f"undone {row.undone[:10]}" if row.undone else "in force",
            row.time[:10],
            row.author,
            row.reason,
        )
        for row in rows
    ]
    table(cells, ("id", "clock", "ahead by", "state", "since", "author", "reason"), limit=len(rows))
    return 0


def clocks_set(clock: str, offset: str, *, reason: str, workspace: WorkspaceOption = None, actor: Actor = None) -> int:
    """Say that a clock was off: the case and its report are built with corrected times, and say so.

    Args:
        clock: A host, or source:PATH for a log that names none.
        offset: How far the clock is ahead (+3m20s) or, written --offset=-1h, behind.
        reason: How that is known.
        workspace: The workspace's folder.
        actor: Who acts.
    """
    with open_workspace(workspace, actor) as ws:
        row = ws.set_clock(clock, offset, reason)
    line(f"{row.clock} is corrected in the case. Undo it with: aleat clocks undo {row.id[:8]}")
    return 0


def clocks_undo(correction: str, *, reason: str = "", workspace: WorkspaceOption = None, actor: Actor = None) -> int:
    """Undo the correction of a clock.

    Args:
        correction: Its id, the beginning of one, or the clock.
        reason: Why it is undone.
        workspace: The workspace's folder.
        actor: Who acts.
    """
    with open_workspace(workspace, actor) as ws:
        row = ws.undo_clock(correction, reason)
    line(f"Undone: {row.clock}.")
    return 0
