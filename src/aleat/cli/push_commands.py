"""The command that sends what an ally may have to a server: push."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import cyclopts

from aleat.cli.access_options import AccessOptions, access_to
from aleat.cli.exit_codes import INCOMPLETE
from aleat.cli.misp_push_commands import MISP_FILE, MispOptions, push_misp, tell_misp, write_misp
from aleat.cli.options import Actor, Quiet, WorkspaceOption, open_alliance, open_workspace
from aleat.cli.terminal import error, issues, line, progress
from aleat.errors import InputError
from aleat.text import clip, visible

if TYPE_CHECKING:
    from pathlib import Path

    from aleat.exchange.access import Access
    from aleat.workspace import MispPushed, MispSighted, PushedFeed, PushedTo, Workspace
    from aleat.workspace.alliance import Alliance
    from aleat.workspace.progress import Progress

__all__ = ["PUSHERS", "PushAsked", "register"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PushAsked:
    """What the command was asked for, whatever kind of server it goes to."""

    to: str
    collection: str = ""
    only: Literal["feed", "post"] | None = None
    approver: str | None = None
    misp: MispOptions = field(default_factory=MispOptions)


@dataclass(frozen=True, slots=True)
class Pusher:
    """What opens the workspace to push to a kind of server, what pushes, and what prints how it went: the exit code."""

    opens: Callable[[Path | None, str | None], Any]
    push: Callable[[Any, Access, PushAsked, Progress], Any]
    tell: Callable[[PushAsked, Any], int]


def _to_taxii(ws: Alliance, access: Access, asked: PushAsked, show: Progress) -> PushedTo:
    return ws.push(
        access,
        to=asked.to,
        collection=asked.collection,
        only=asked.only,
        approver=asked.approver,
        progress=show,
    )


def _tell_taxii(asked: PushAsked, pushed: PushedTo) -> int:
    if pushed.messages is not None:
        _tell(pushed.messages, "sealed files sent")
    for feed in pushed.feeds:
        _tell(feed, "objects sent")
    if pushed.left:
        error(f"{pushed.left} sealed files still wait for {asked.to}. See: aleat post.")
    if pushed.issues:
        error(f"{len(pushed.issues)} could not be done:")
        issues(pushed.issues)
    everything = (*pushed.feeds, *filter(None, [pushed.messages]))
    complete = all(feed.complete and not feed.refused for feed in everything)
    return 0 if complete and not pushed.issues else INCOMPLETE


def _to_misp(ws: Workspace, access: Access, asked: PushAsked, show: Progress) -> MispPushed | MispSighted:
    return push_misp(ws, access, asked.to, asked.approver, asked.misp, show)


def _tell_misp(_: PushAsked, done: MispPushed | MispSighted) -> int:
    return tell_misp(done)


_TAXII, _MISP = Pusher(open_alliance, _to_taxii, _tell_taxii), Pusher(open_workspace, _to_misp, _tell_misp)
PUSHERS = {"https": _TAXII, "http": _TAXII, "misp+https": _MISP, "misp+http": _MISP}
"""What pushes to a server, by its URL's scheme."""


def register(app: cyclopts.App) -> None:
    """Add the command to `app`."""
    app.command(push)


def push(
    url: str,
    *,
    to: str,
    collection: str = "",
    only: Literal["feed", "post"] | None = None,
    approver: str | None = None,
    misp: MispOptions | None = None,
    reach: AccessOptions | None = None,
    workspace: WorkspaceOption = None,
    actor: Actor = None,
    quiet: Quiet = False,
) -> int:
    """Send an ally its post, and what it may have and isn't there yet, to a server that it reads.

    The post are sealed files that a command put into the post box (--post); they go into a collection of messages.

    Args:
        url: A TAXII 2.1 collection, an API root, or a server's discovery (https://…); or a MISP server
            (misp+https://…), or a file for one (misp+file:PATH).
        to: For which ally: what leaves is what this one may have.
        collection: The collection to push what it may have into, by its id, alias or title, where there are several.
        only: Only the post (sealed files), or only the feed (what it may have).
        approver: The second releaser, where the agreement wants two people.
        workspace: The workspace's folder.
        actor: Who acts.
        quiet: No progress.
    """
    if url.startswith(MISP_FILE):
        with open_workspace(workspace, actor) as ws:
            return write_misp(ws, url.removeprefix(MISP_FILE), to, approver, misp or MispOptions())
    scheme = url.partition("://")[0].lower()
    if scheme not in PUSHERS:
        known = ", ".join(f"{name}://" for name in PUSHERS)
        raise InputError(
            f"{clip(visible(scheme), 40)!r} is no scheme of a server to push to.", advice=f"Known are {known}."
        )
    access = access_to(url, reach or AccessOptions())
    asked = PushAsked(to=to, collection=collection, only=only, approver=approver, misp=misp or MispOptions())
    with PUSHERS[scheme].opens(workspace, actor) as ws, progress(quiet=quiet) as show:
        pushed = PUSHERS[scheme].push(ws, access, asked, show)
    return PUSHERS[scheme].tell(asked, pushed)


def _tell(feed: PushedFeed, what: str) -> None:
    known = f", {feed.known:,} there already" if feed.known else ""
    waiting = f", {feed.waiting:,} not taken in yet" if feed.waiting else ""
    line(f"{feed.title}: {feed.taken:,} {what}{known}{waiting}.")
    if feed.refused:
        error(f"  {len(feed.refused)} were refused; the next push tries them again:")
        for failure in feed.refused[:20]:
            error(f"    {failure.id} {failure.version}: {failure.reason}")
    if not feed.complete:
        error("  It did not come to its end. What was pushed is remembered; push again to go on.")
