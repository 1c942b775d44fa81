"""The commands with which two teams answer each other: accept, refuse, answer, close, receive."""

from __future__ import annotations

from pathlib import Path

import cyclopts

from aleat.cli.exit_codes import INCOMPLETE, USAGE
from aleat.cli.options import Actor, Folder, WorkspaceOption, open_alliance, open_workspace
from aleat.cli.post_commands import open_mail, tell_received
from aleat.cli.terminal import error, tell_sent

__all__ = ["register"]


def register(app: cyclopts.App) -> None:
    """Add the commands to `app`."""
    for command in (accept, refuse, answer, close, receive):
        app.command(command)


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
    with open_alliance(workspace, actor) as ws:
        tell_sent(ws.accept(message, output, remarks=remarks), output)
    return 0


def refuse(
    message: str, *, reason: str, output: Folder = Path(), workspace: WorkspaceOption = None, actor: Actor = None
) -> int:
    """Refuse an ally's offer, or its request for support, information or permission; writes a sealed file.

    Args:
        message: The offer's or request's id (see aleat asks), or the ally's name for its latest.
        reason: Why.
        output: The folder that the sealed file is written to.
        workspace: The workspace's folder.
        actor: Who acts.
    """
    with open_alliance(workspace, actor) as ws:
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
    with open_alliance(workspace, actor) as ws:
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
    results: str | None = None,
    remarks: str = "",
    outcome: str | None = None,
    lessons: str = "",
    approver: str | None = None,
    output: Folder = Path(),
    workspace: WorkspaceOption = None,
    actor: Actor = None,
) -> int:
    """Send back what was found, with a delivery or for a question: seen, or not seen with coverage; a sealed file.

    Args:
        message: The delivery's or inquiry's id (see aleat asks).
        to: The ally's name, for its latest delivery or inquiry.
        results: What came of people, tools or playbooks, in words; nothing is hunted for then.
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
        if results is not None:
            path = ws.tell_results(message, output, to=to, results=results, lessons=lessons, outcome=outcome)
            tell_sent(path, output)
            return 0
        path = ws.answer(message, output, to=to, remarks=remarks, outcome=outcome, lessons=lessons, approver=approver)
    tell_sent(path, output)
    return 0


def close(
    thread: str,
    *,
    outcome: str,
    lessons: str = "",
    provided: str = "",
    output: Folder = Path(),
    workspace: WorkspaceOption = None,
    actor: Actor = None,
) -> int:
    """End a thread of requests and offers; writes a sealed file.

    Args:
        thread: The thread's id (see aleat asks).
        outcome: What came of it.
        lessons: What was learned.
        provided: What was given: which services, for how long.
        output: The folder that the sealed file is written to.
        workspace: The workspace's folder.
        actor: Who acts.
    """
    with open_alliance(workspace, actor) as ws:
        tell_sent(ws.close_thread(thread, output, outcome=outcome, lessons=lessons, provided=provided), output)
    return 0
