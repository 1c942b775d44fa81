"""The commands with which two teams talk: ask, offer, accept, refuse, answer, close, receive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import cyclopts
from cyclopts import Parameter

from aleat.cli.exit_codes import INCOMPLETE, USAGE
from aleat.cli.options import Actor, Folder, WorkspaceOption, open_workspace
from aleat.cli.post_commands import open_mail, tell_received
from aleat.cli.terminal import error, tell_sent

__all__ = ["register"]

Many = Annotated[tuple[str, ...], Parameter(negative="")]


def register(app: cyclopts.App) -> None:
    """Add the commands to `app`."""
    for command in (ask, offer, accept, refuse, answer, close, receive):
        app.command(command)


def ask(
    ally: str,
    *,
    title: str,
    impact: str,
    needs: Many,
    planned_use: str = "",
    measures_taken: str = "",
    other_support: str = "",
    output: Folder = Path(),
    workspace: WorkspaceOption = None,
    actor: Actor = None,
) -> int:
    """Ask an ally for support; writes a sealed file.

    Args:
        ally: The ally's name.
        title: What it is about, in a line.
        impact: What happened to whom.
        needs: What is needed (may be given several times).
        planned_use: How it will be used.
        measures_taken: What was done already.
        other_support: What other support there is.
        output: The folder that the sealed file is written to.
        workspace: The workspace's folder.
        actor: Who acts.
    """
    with open_workspace(workspace, actor) as ws:
        path = ws.ask(
            ally,
            output,
            title=title,
            impact=impact,
            needs=needs,
            planned_use=planned_use,
            measures_taken=measures_taken,
            other_support=other_support,
        )
    tell_sent(path, output)
    return 0


def offer(
    ally: str,
    *,
    what: str,
    of: str | None = None,
    conditions: str = "",
    output: Folder = Path(),
    workspace: WorkspaceOption = None,
    actor: Actor = None,
) -> int:
    """Offer an ally something: in answer to its open request, or unasked; writes a sealed file.

    Args:
        ally: The ally's name.
        what: What is offered.
        of: The request that it answers (default: the ally's latest open one).
        conditions: On which conditions.
        output: The folder that the sealed file is written to.
        workspace: The workspace's folder.
        actor: Who acts.
    """
    with open_workspace(workspace, actor) as ws:
        tell_sent(ws.offer(ally, output, what=what, of=of, conditions=conditions), output)
    return 0


def accept(
    message: str, *, remarks: str = "", output: Folder = Path(), workspace: WorkspaceOption = None, actor: Actor = None
) -> int:
    """Take an ally's offer, or take on its request; writes a sealed file.

    Args:
        message: The offer's or request's id (see aleat asks), or the ally's name for its latest.
        remarks: What else to say.
        output: The folder that the sealed file is written to.
        workspace: The workspace's folder.
        actor: Who acts.
    """
    with open_workspace(workspace, actor) as ws:
        tell_sent(ws.accept(message, output, remarks=remarks), output)
    return 0


def refuse(
    message: str, *, reason: str, output: Folder = Path(), workspace: WorkspaceOption = None, actor: Actor = None
) -> int:
    """Refuse an ally's offer or request; writes a sealed file.

    Args:
        message: The offer's or request's id (see aleat asks), or the ally's name for its latest.
        reason: Why.
        output: The folder that the sealed file is written to.
        workspace: The workspace's folder.
        actor: Who acts.
    """
    with open_workspace(workspace, actor) as ws:
        tell_sent(ws.refuse(message, output, reason=reason), output)
    return 0


def receive(*paths: Path, workspace: WorkspaceOption = None, actor: Actor = None) -> int:
    """Open sealed files for us, verify them, and keep what they hold.

    Args:
        paths: The sealed files; without any, what came over TAXII and could not be opened yet.
        workspace: The workspace's folder.
        actor: Who acts.
    """
    code = 0
    with open_workspace(workspace, actor) as ws:
        if not paths:
            return open_mail(ws)
        for path in paths:
            got = ws.receive(path)
            tell_received(got)
            code = INCOMPLETE if got.issues else code
    return code


def answer(
    message: str | None = None,
    *,
    to: str | None = None,
    remarks: str = "",
    outcome: str | None = None,
    lessons: str = "",
    approver: str | None = None,
    output: Folder = Path(),
    workspace: WorkspaceOption = None,
    actor: Actor = None,
) -> int:
    """Send back what was found with a delivery: seen, or not seen with coverage; writes a sealed file.

    Args:
        message: The delivery's id (see aleat asks).
        to: The ally's name, for its latest delivery.
        remarks: What else to say.
        outcome: What came of it; closes the thread.
        lessons: What was learned.
        approver: The second releaser, where the agreement wants two people.
        output: The folder that the sealed file is written to.
        workspace: The workspace's folder.
        actor: Who acts.
    """
    if message is None and to is None:
        error("Name the delivery, or --to ALLY for its latest.")
        return USAGE
    with open_workspace(workspace, actor) as ws:
        path = ws.answer(message, output, to=to, remarks=remarks, outcome=outcome, lessons=lessons, approver=approver)
    tell_sent(path, output)
    return 0


def close(
    thread: str,
    *,
    outcome: str,
    lessons: str = "",
    output: Folder = Path(),
    workspace: WorkspaceOption = None,
    actor: Actor = None,
) -> int:
    """End a thread of requests and offers; writes a sealed file.

    Args:
        thread: The thread's id (see aleat asks).
        outcome: What came of it.
        lessons: What was learned.
        output: The folder that the sealed file is written to.
        workspace: The workspace's folder.
        actor: Who acts.
    """
    with open_workspace(workspace, actor) as ws:
        tell_sent(ws.close_thread(thread, output, outcome=outcome, lessons=lessons), output)
    return 0
