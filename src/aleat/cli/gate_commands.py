"""The commands of the gate: what would leave (preview), what leaves (release), what no longer holds (withdraw)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cyclopts

from aleat.cli.options import Actor, Folder, WorkspaceOption, open_workspace
from aleat.cli.terminal import line, table, tell_sent

if TYPE_CHECKING:
    from aleat.release import Release

__all__ = ["register"]


def register(app: cyclopts.App) -> None:
    """Add the commands to `app`."""
    for command in (preview, release, withdraw):
        app.command(command)


def preview(*, to: str, workspace: WorkspaceOption = None, actor: Actor = None) -> int:
    """Print what would leave for an ally and what not, object by object, with the rule that decided.

    Args:
        to: The ally's name.
        workspace: The workspace's folder.
        actor: Who acts.
    """
    with open_workspace(workspace, actor) as ws:
        _print_release(ws.preview(to))
    return 0


def _print_release(prepared: Release) -> None:
    from aleat.release import RULES  # noqa: PLC0415

    rows = [
        (
            "gives" if decision.allow else "keeps",
            decision.object,
            decision.label or "",
            RULES[decision.rule] + (f" Ask {', '.join(decision.ask)}." if decision.ask else ""),
        )
        for decision in prepared.decisions
    ]
    table(rows, ("", "object", "label", "why"), limit=len(rows) or 1)
    allowed = sum(decision.allow for decision in prepared.decisions)
    line(f"{allowed} would leave, {len(rows) - allowed} stay.")


def release(
    *,
    to: str,
    remarks: str = "",
    approver: str | None = None,
    of: str | None = None,
    output: Folder = Path(),
    workspace: WorkspaceOption = None,
    actor: Actor = None,
) -> int:
    """Seal what may leave for an ally; the ledger keeps the decision on every object.

    Args:
        to: The ally's name.
        remarks: What else to say.
        approver: The second releaser, where the agreement wants two people.
        of: The offer or request that it fulfils (default: the latest that was accepted).
        output: The folder that the sealed file is written to.
        workspace: The workspace's folder.
        actor: Who acts.
    """
    with open_workspace(workspace, actor) as ws:
        tell_sent(ws.release(to, output, remarks=remarks, approver=approver, of=of), output)
    return 0


def withdraw(
    release_id: str,
    *,
    reason: str,
    output: Folder = Path(),
    workspace: WorkspaceOption = None,
    actor: Actor = None,
) -> int:
    """Withdraw a release of ours, and tell its recipient; writes a sealed file.

    Args:
        release_id: The release's id.
        reason: Why.
        output: The folder that the sealed file is written to.
        workspace: The workspace's folder.
        actor: Who acts.
    """
    with open_workspace(workspace, actor) as ws:
        tell_sent(ws.withdraw(release_id, output, reason=reason), output)
    return 0
