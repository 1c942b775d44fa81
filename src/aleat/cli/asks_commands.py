"""The commands that show what passed between us and our allies: asks, findings."""

from __future__ import annotations

from datetime import datetime

import cyclopts

from aleat.cli.options import WorkspaceOption, open_workspace
from aleat.cli.terminal import line, table

__all__ = ["register"]


def register(app: cyclopts.App) -> None:
    """Add the commands to `app`."""
    app.command(asks)
    app.command(findings)


def asks(*, workspace: WorkspaceOption = None) -> int:
    """Print every request and offer, both sides', with its state and messages.

    Args:
        workspace: The workspace's folder.
    """
    with open_workspace(workspace) as ws:
        names = {ally.card.identity: ally.card.name for ally in ws.allies()} | {ws.config.identity: "us"}
        for thread in ws.asks():
            line(f"{thread.id}  {thread.state}")
            for message in thread.messages:
                kind = type(message).__name__.lower()
                said = (getattr(message, name, "") for name in ("title", "what", "outcome", "remarks", "reason"))
                text = next(filter(None, said), "")
                sides = " → ".join(names.get(side, side) for side in (message.sender, message.recipient))
                line(f"  {message.time[:16]}Z  {sides}  {kind}  {text}")
                if message.id != thread.id:
                    line(f"      {message.id}")
    return 0


def _day(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d}" if time else ""


def findings(*, workspace: WorkspaceOption = None) -> int:
    """Print what allies found with what we gave them.

    Args:
        workspace: The workspace's folder.
    """
    with open_workspace(workspace) as ws:
        found = ws.findings()
        names = ws.object_names(one.indicator for one in found)
    rows = [
        (
            one.status,
            one.count or "",
            _day(one.first),
            _day(one.last),
            names.get(one.indicator, one.indicator),
            one.value,
        )
        for one in found
    ]
    table(rows, ("status", "count", "first", "last", "indicator", "value"), limit=len(rows) or 1)
    return 0
