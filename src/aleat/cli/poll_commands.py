"""The command that takes in what another party's server has: poll."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import cyclopts
from cyclopts import Parameter

from aleat.cli.access_options import AccessOptions, access_to
from aleat.cli.exit_codes import INCOMPLETE, USAGE
from aleat.cli.misp_poll_options import MispEvents
from aleat.cli.options import Actor, Quiet, WorkspaceOption, moment, open_workspace
from aleat.cli.post_commands import tell_received
from aleat.cli.terminal import error, issues, line, progress, table
from aleat.errors import Issue

if TYPE_CHECKING:
    from aleat.exchange.access import Access
    from aleat.workspace import Polled, PolledFeed

__all__ = ["register"]


def register(app: cyclopts.App) -> None:
    """Add the command to `app`."""
    app.command(poll)


def poll(
    url: str,
    *,
    collection: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    all: Annotated[bool, Parameter(negative="")] = False,
    giver: Annotated[str | None, Parameter(name=["--from"])] = None,
    marking: str | None = None,
    originator: str | None = None,
    since: str | None = None,
    events: MispEvents | None = None,
    reach: AccessOptions | None = None,
    workspace: WorkspaceOption = None,
    actor: Actor = None,
    quiet: Quiet = False,
) -> int:
    """Take in what is new at an ally's server, TAXII 2.1 or MISP. It goes on where the last poll ended.

    Args:
        url: TAXII 2.1: a collection, an API root, or a server's discovery (https://…); of the latter two the
            collections are listed, unless there is one only. MISP: the server (misp+https://…).
        collection: The collection to poll, by its id, alias or title; may be repeated.
        all: Poll all collections at the URL.
        giver: Who gives it (default: the server's name).
        marking: The TLP label of what carries none: clear, green, amber, amber+strict, red.
        originator: Who made it, where that isn't the giver and the objects don't say.
        since: Begin a first poll here (2022-07-15, 2022-07-15T08:00Z), or a later one again from here.
        workspace: The workspace's folder.
        actor: Who acts.
        quiet: No progress.
    """
    access = access_to(url, reach or AccessOptions())
    start = moment(since) if since else None
    with open_workspace(workspace, actor) as ws, progress(quiet=quiet) as show:
        if not (collection or all):
            found = ws.feeds(access)
            there = [item for item in found if not isinstance(item, Issue)]
            plain = [feed for feed in there if not feed.messages]
            if len(plain) != 1 and not (there and not plain):
                return _list(access, found)
        polled = ws.poll(
            access,
            feeds=collection,
            everything=all,
            giver=giver,
            marking=marking,
            originator=originator,
            since=start,
            events=events.filters() if events is not None else None,
            progress=show,
        )
    return _tell(polled)


def _list(access: Access, found: tuple[object, ...]) -> int:
    """Show what there is at a URL that is of no one collection, and how to go on."""
    there = [item for item in found if not isinstance(item, Issue) and not item.messages]  # type: ignore[attr-defined]
    refused = [item for item in found if isinstance(item, Issue)]
    if there:
        table([(feed.title, feed.id, feed.url) for feed in there], ("collection", "id", "url"))  # type: ignore[attr-defined]
        error("Name what to poll: --collection ID (may be repeated), or --all.")
    else:
        error("There is no collection at this URL that can be polled.")
    issues(refused)
    return USAGE


def _tell(polled: Polled) -> int:
    for received in polled.letters:
        tell_received(received)
    if polled.letter_issues:
        error(f"{len(polled.letter_issues)} sealed files could not be fetched or opened:")
        issues(polled.letter_issues)
    if polled.shut:
        error(f"{polled.shut} that came before still can't be opened. See: aleat receive.")
    for feed in polled.feeds:
        _tell_feed(feed)
    if polled.refused:
        error(f"{len(polled.refused)} can't be polled:")
        issues(polled.refused)
    return INCOMPLETE if polled.issues else 0


def _tell_feed(feed: PolledFeed) -> None:
    added = feed.added
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(added.kinds.items()))
    line(
        f"{feed.title}: {added.new:,} new objects, {added.known:,} known already in {feed.pages:,} pages"
        f"{f' ({kinds})' if kinds else ''}."
    )
    for corpus in added.corpora:
        line(f"  Public corpus recognised: {corpus}; treated as CLEAR by this workspace's policy.")
    if feed.bookmark:
        line(f"  Polled up to {feed.bookmark}; the next poll goes on there.")
    if not feed.complete:
        error("  It did not come to its end. What came is kept; poll again to go on.")
    if added.conflicts:
        error(f"  {added.conflicts} conflicts: same id and time, other content. Both are kept; the first one counts.")
    if added.issues:
        error(f"  {len(added.issues)} could not be read:")
        issues(added.issues)
