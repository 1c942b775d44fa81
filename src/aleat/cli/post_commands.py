"""The command that shows the post box, and how what was in a sealed file is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cyclopts

from aleat.cli.exit_codes import INCOMPLETE
from aleat.cli.options import WorkspaceOption, open_alliance
from aleat.cli.terminal import error, issues, line, table

if TYPE_CHECKING:
    from aleat.exchange import Received
    from aleat.workspace.alliance import Alliance

__all__ = ["open_mail", "register", "tell_received"]

_WAITING = ("not tried yet", "other pieces of it have not come")

_LISTED = 5


def register(app: cyclopts.App) -> None:
    """Add the command to `app`."""
    app.command(post)


def post(*, workspace: WorkspaceOption = None) -> int:
    """Print the post box: sealed files to allies, waiting or gone, and those that came and can't be opened.

    Args:
        workspace: The workspace's folder.
    """
    with open_alliance(workspace) as ws:
        names = {ally.card.identity: ally.card.name for ally in ws.allies()}
        rows = [
            (
                row.name if row.pieces == 1 else f"{row.name} {row.piece}/{row.pieces}",
                names.get(row.ally, row.ally),
                f"{row.size:,}",
                row.added[:19] + "Z",
                row.how or "waits",
            )
            for row in ws.post()
        ]
        shut = [
            (row.sha256[:16], f"{row.size:,}", row.came[:19] + "Z", row.reason or _WAITING[bool(row.part_of)])
            for row in ws.mail()
        ]
    table(rows, ("file", "to", "bytes", "sealed", "went out"), limit=len(rows) or 1)
    if shut:
        line(f"{len(shut)} came and are shut still; aleat receive tries them again:")
        table(shut, ("sha-256", "bytes", "came", "why"), limit=len(shut))
    return 0


def open_mail(ws: Alliance) -> int:
    """Open what came over TAXII and is shut still; return the exit code."""
    opened = ws.open_mail()
    for one in opened:
        if one.received is not None:
            tell_received(one.received)
    shut = [one.issue for one in opened if one.received is None]
    if shut:
        error(f"{len(shut)} can't be opened:")
        issues(shut)
    if not opened:
        line("Nothing waits to be opened.")
    return INCOMPLETE if shut or any(one.received is not None and one.received.issues for one in opened) else 0


def tell_received(got: Received) -> None:
    """Say what a sealed file held, and what of its sender's has not come."""
    kinds = ", ".join(str(message.__struct_config__.tag).replace("-", " ") for message in got.messages) or "no message"
    line(f"From {got.sender.name}: {kinds}; {len(got.objects)} objects, {len(got.findings)} findings.")
    for ally, objects in got.passed_on.items():
        named = " ".join(objects[:_LISTED]) + (" …" if len(objects) > _LISTED else "")
        error(f"We passed on to {ally} what was withdrawn: {len(objects)} objects. See: aleat withdraw {named}")
    if got.readers:
        error(f"TLP:RED, for the eyes of {', '.join(got.readers)} only.")
    if got.missing:
        numbers = ", ".join(map(str, got.missing))
        error(f"Earlier files of {got.sender.name} have not come: numbers {numbers}.")
    issues(got.issues)
