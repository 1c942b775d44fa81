"""The commands of our own server: serve, and the accounts of allies who may come."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import cyclopts
from cyclopts import Parameter

from aleat.cli.options import Actor, WorkspaceOption, open_alliance, open_workspace
from aleat.cli.terminal import error, line, table
from aleat.errors import InputError

__all__ = ["register"]

_KEY_PASSWORD = "ALEAT_SERVER_KEY_PASSWORD"  # noqa: S105
_MAX_SECRET = 64 * 1024


def register(app: cyclopts.App) -> None:
    """Add the commands to `app`."""
    app.command(serve)
    accounts = cyclopts.App(name="account", help="Accounts by which allies come to our server.")
    accounts.command(account_add, name="add")
    accounts.command(account_list, name="list")
    accounts.command(account_rotate, name="rotate")
    accounts.command(account_remove, name="remove")
    app.command(accounts)


def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 8443,
    certificate: Path | None = None,
    key: Path | None = None,
    client_ca: Path | None = None,
    plain: Annotated[bool, Parameter(negative="")] = False,
    trusted_proxy: list[str] | None = None,
    proxy_header: str = "x-forwarded-for",
    daily_objects: int = 250_000,
    workspace: WorkspaceOption = None,
    actor: Actor = None,
) -> int:
    """Run the TAXII 2.1 server: each ally fetches what the gate lets it have, and pushes what it gives us.

    Args:
        host: The address to listen on; 0.0.0.0 is every one of this machine.
        port: The port to listen on; 0 takes a free one.
        certificate: The server's certificate with those behind it (PEM).
        key: Its key (PEM), where that isn't in the same file; a password comes in $ALEAT_SERVER_KEY_PASSWORD.
        client_ca: Who vouches for clients' certificates (PEM); without it none is asked for.
        plain: Speak without TLS on any address: behind a proxy that speaks it.
        trusted_proxy: A proxy's address or network; it is believed about whose request it is. Can be given often.
        proxy_header: The header in which the proxy says so: x-forwarded-for, or forwarded (RFC 7239).
        daily_objects: How many objects an ally may push in a day.
        workspace: The workspace's folder.
        actor: Who acts.
    """
    from aleat.web import Listening, WebLimits, read_proxies, serve  # noqa: PLC0415

    listening = Listening(
        host=host,
        port=port,
        certificate=str(certificate) if certificate else None,
        key=str(key) if key else None,
        key_password=os.environ.get(_KEY_PASSWORD),
        client_ca=str(client_ca) if client_ca else None,
        plain=plain,
        proxies=read_proxies(trusted_proxy or (), proxy_header),
    )
    with open_workspace(workspace, actor) as ws:
        if not ws.accounts():
            error("Warning: there is no account yet; nobody can come. Make one: aleat account add NAME --ally ALLY")
        sharing = ws.share(channel="tls" if certificate is not None else "plain")
        sharing.prepare()
        try:
            serve(sharing, listening, WebLimits(daily_objects=max(1, daily_objects)), started=_tell)
        finally:
            sharing.close()
    return 0


def _tell(url: str) -> None:
    """Say where the server is, at once: whoever started it waits for that."""
    line(f"Serving at {url}. Stop with Ctrl-C.")
    sys.stdout.flush()


def account_add(
    name: str,
    *,
    ally: str,
    push: Annotated[bool, Parameter(negative="")] = False,
    relay: Annotated[bool, Parameter(negative="")] = False,
    password_file: Path | None = None,
    client_cert: str = "",
    approver: str | None = None,
    workspace: WorkspaceOption = None,
    actor: Actor = None,
) -> int:
    """Make an account for an ally, and print its token: once, it is nowhere else.

    Args:
        name: The account's name; the user, where a password is used.
        ally: Whose account it is, by name; its card must have been compared.
        push: The account may push too, what its ally made.
        relay: The account may push what others made, too: where one's connector hands on what it got from many.
        password_file: Prove it by the password in this file (- is standard input) instead of a token.
        client_cert: Prove it by a client certificate, by its SHA-256 (64 hex digits), instead of a token.
        approver: The second releaser, where the agreement wants two people: without, such an ally gets no feed.
        workspace: The workspace's folder.
        actor: Who acts.
    """
    from aleat.workspace.accounts import make_token  # noqa: PLC0415

    password = _secret(password_file) if password_file is not None else ""
    token = "" if password or client_cert else make_token()
    with open_alliance(workspace, actor) as ws:
        proofs = {"token": token, "password": password, "certificate": client_cert}
        account = ws.add_account(name, ally, push=push, relay=relay, approver=approver, **proofs)
    error(f"Account {account.name} of {ally} sees collection {account.collection}.")
    if token:
        line(token)
    return 0


def account_list(*, workspace: WorkspaceOption = None) -> int:
    """Print the accounts: whose, what they may, how they are proved.

    Args:
        workspace: The workspace's folder.
    """
    with open_alliance(workspace) as ws:
        names = {ally.card.identity: ally.card.name for ally in ws.allies()}
        rows = [
            (
                one.name,
                names.get(one.ally, one.ally),
                ", ".join(("fetch", *(["push"] if one.push else []), *(["relay"] if one.relay else []))),
                ", ".join(kind for kind in ("token", "password", "certificate") if getattr(one, kind)),
                one.collection,
            )
            for one in ws.accounts()
        ]
    table(rows, ("account", "ally", "may", "proved by", "collection"), limit=len(rows) or 1)
    return 0


def account_rotate(
    name: str, *, overlap_hours: float = 0.0, workspace: WorkspaceOption = None, actor: Actor = None
) -> int:
    """Give an account a new token, and print it: once, it is nowhere else.

    Args:
        name: The account's name.
        overlap_hours: How long the old token goes on, so that the ally can change over; at most 720.
        workspace: The workspace's folder.
        actor: Who acts.
    """
    from aleat.workspace.accounts import make_token  # noqa: PLC0415

    token = make_token()
    with open_alliance(workspace, actor) as ws:
        account = ws.rotate_account(name, token, timedelta(hours=overlap_hours))
    until = f" Its old token goes on until {account.old_until}." if account.old_until else ""
    error(f"Account {account.name} has a new token.{until}")
    line(token)
    return 0


def account_remove(name: str, *, workspace: WorkspaceOption = None, actor: Actor = None) -> int:
    """Take an account away: a running server lets it in no more.

    Args:
        name: The account's name.
        workspace: The workspace's folder.
        actor: Who acts.
    """
    with open_alliance(workspace, actor) as ws:
        ws.remove_account(name)
    return 0


def _secret(path: Path) -> str:
    """Return the first line of a file with a secret."""
    if str(path) == "-":
        data = sys.stdin.buffer.read(_MAX_SECRET)
    else:
        with path.open("rb") as file:
            data = file.read(_MAX_SECRET)
    try:
        text = data.decode("utf-8").splitlines()[0] if data else ""
    except UnicodeDecodeError:
        raise InputError("The file with the password is not UTF-8.") from None
    if not text:
        raise InputError("The file with the password is empty.")
    return text
