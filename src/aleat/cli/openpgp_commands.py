"""The commands about our OpenPGP key: make, import, certificate."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import cyclopts
from cyclopts import Parameter

from aleat.cli.options import Actor, WorkspaceOption, open_alliance
from aleat.cli.terminal import line

__all__ = ["register"]

File = Annotated[Path | None, Parameter(name=["--output", "-o"])]


def register(app: cyclopts.App) -> None:
    """Add the commands to `app`."""
    group = cyclopts.App(name="openpgp", help="An OpenPGP key of ours, so that allies can seal files to it.")
    group.command(make)
    group.command(import_key, name="import")
    group.command(certificate)
    app.command(group)


def make(*, workspace: WorkspaceOption = None, actor: Actor = None) -> int:
    """Make an OpenPGP key, kept with our other private keys; our card carries its certificate from now on.

    Args:
        workspace: The workspace's folder.
        actor: Who does this.
    """
    with open_alliance(workspace, actor) as ws:
        _say(ws.make_openpgp_key().fingerprint)
    return 0


def import_key(path: Path, *, workspace: WorkspaceOption = None, actor: Actor = None) -> int:
    """Take a private OpenPGP key that the team has already; our card carries its certificate from now on.

    Args:
        path: The key's file, armoured or not, without a passphrase (gpg --export-secret-keys). Delete it afterwards.
        workspace: The workspace's folder.
        actor: Who does this.
    """
    with open_alliance(workspace, actor) as ws:
        _say(ws.import_openpgp_key(path).fingerprint)
    return 0


def certificate(*, output: File = None, workspace: WorkspaceOption = None) -> int:
    """Write our OpenPGP certificate in ASCII armour, for tools that read no card.

    Args:
        output: The file to write (default: standard output).
        workspace: The workspace's folder.
    """
    with open_alliance(workspace) as ws:
        text = ws.openpgp_certificate().text
    if output is None:
        sys.stdout.write(text)
    else:
        output.write_text(text, encoding="ascii")
    return 0


def _say(fingerprint: str) -> None:
    line(f"OpenPGP key {fingerprint}")
    line("The card has changed: give it to your allies again (aleat card), and read them its fingerprint.")
