"""The command that takes in what another party's server has: poll."""

from __future__ import annotations

import os
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import cyclopts
from cyclopts import Parameter

from aleat.cli.exit_codes import INCOMPLETE, USAGE
from aleat.cli.options import Actor, Quiet, WorkspaceOption, moment, open_workspace
from aleat.cli.terminal import error, issues, line, progress, table
from aleat.errors import InputError, Issue

if TYPE_CHECKING:
    from aleat.exchange.access import Access, RemoteLimits
    from aleat.workspace import Polled, PolledFeed

__all__ = ["register"]

_TOKEN, _PASSWORD, _KEY_PASSWORD, _PROXY = (
    "ALEAT_TOKEN",
    "ALEAT_PASSWORD",
    "ALEAT_CLIENT_KEY_PASSWORD",
    "ALEAT_PROXY",
)
_MAX_SECRET = 64 * 1024


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
    token_file: Path | None = None,
    user: str = "",
    password_file: Path | None = None,
    ca_file: Path | None = None,
    client_cert: Path | None = None,
    client_key: Path | None = None,
    client_key_password_file: Path | None = None,
    proxy: str = "",
    limit: Annotated[tuple[str, ...], Parameter(negative="")] = (),
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
        token_file: A file with our token there (- is standard input; else $ALEAT_TOKEN).
        user: Our name there, with a password (HTTP Basic).
        password_file: A file with our password (- is standard input; else $ALEAT_PASSWORD).
        ca_file: The certificates of the authorities to trust (PEM; default: the system's).
        client_cert: Our certificate there (PEM).
        client_key: Its key (PEM), where that isn't in the same file.
        client_key_password_file: A file with the key's password (else $ALEAT_CLIENT_KEY_PASSWORD).
        proxy: The proxy on the way: http://HOST:PORT (else $ALEAT_PROXY, which may hold its user and password).
        limit: Raise or lower what is taken: NAME=VALUE (docs/guides/polling.md).
        workspace: The workspace's folder.
        actor: Who acts.
        quiet: No progress.
    """
    from aleat.exchange.access import Access, Credentials, RemoteLimits, Tls  # noqa: PLC0415

    access = Access(
        url,
        Credentials(_secret(token_file, _TOKEN), user, _secret(password_file, _PASSWORD) if user else ""),
        Tls(_path(ca_file), _path(client_cert), _path(client_key), _secret(client_key_password_file, _KEY_PASSWORD)),
        proxy or os.environ.get(_PROXY, ""),
        _limits(RemoteLimits(), limit),
    )
    start = moment(since) if since else None
    with open_workspace(workspace, actor) as ws, progress(quiet=quiet) as show:
        if access.origin[0] == "http":
            error("Warning: http:// is not encrypted; anybody on the way can read and change what it carries.")
        if not (collection or all):
            found = ws.feeds(access)
            if len([item for item in found if not isinstance(item, Issue)]) != 1:
                return _list(access, found)
        polled = ws.poll(
            access,
            feeds=collection,
            everything=all,
            giver=giver,
            marking=marking,
            originator=originator,
            since=start,
            progress=show,
        )
    return _tell(polled)


def _list(access: Access, found: tuple[object, ...]) -> int:
    """Show what there is at a URL that is of no one collection, and how to go on."""
    there = [item for item in found if not isinstance(item, Issue)]
    refused = [item for item in found if isinstance(item, Issue)]
    if there:
        table([(feed.title, feed.id, feed.url) for feed in there], ("collection", "id", "url"))  # type: ignore[attr-defined]
        error("Name what to poll: --collection ID (may be repeated), or --all.")
    else:
        error("There is no collection at this URL that can be polled.")
    issues(refused)
    return USAGE


def _tell(polled: Polled) -> int:
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


def _secret(file: Path | None, variable: str) -> str:
    """Return the one line of a secret's file (- is standard input), else the environment's."""
    if file is None:
        return os.environ.get(variable, "")
    import sys  # noqa: PLC0415

    if str(file) == "-":
        data = sys.stdin.buffer.readline(_MAX_SECRET + 1)
    else:
        with file.open("rb") as stream:
            data = stream.read(_MAX_SECRET + 1)
    try:
        text = data.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        text = ""
    if not text or len(data) > _MAX_SECRET or len(text.splitlines()) > 1:
        raise InputError(f"{file} holds no secret.", advice="It is one line of text (UTF-8).")
    return text


def _path(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _limits(limits: RemoteLimits, stated: tuple[str, ...]) -> RemoteLimits:
    """Return the limits with what NAME=VALUE options change."""
    kinds = {field.name: type(getattr(limits, field.name)) for field in fields(limits)}
    changed: dict[str, float] = {}
    for text in stated:
        name, _, value = text.partition("=")
        try:
            changed[name] = kinds[name](value)
            if not changed[name] > 0:
                raise ValueError
        except (KeyError, ValueError):
            raise InputError(
                f"{text[:60]!r} is no limit of a poll.", advice=f"NAME=VALUE, of: {', '.join(kinds)}."
            ) from None
    return replace(limits, **changed)  # type: ignore[arg-type]
