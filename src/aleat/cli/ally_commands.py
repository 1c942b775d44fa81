"""The commands about whom we trust with what: card, ally, agreement, people, hold, permit."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import Annotated

import cyclopts
from cyclopts import Parameter

from aleat.cli import openpgp_commands
from aleat.cli.asking_commands import tell_left_out
from aleat.cli.exit_codes import USAGE
from aleat.cli.options import Actor, Folder, WorkspaceOption, open_alliance
from aleat.cli.terminal import error, line, table, tell_sent

__all__ = ["register"]

File = Annotated[Path | None, Parameter(name=["--output", "-o"])]


def register(app: cyclopts.App) -> None:
    """Add the commands to `app`."""
    app.command(card)
    allies = cyclopts.App(name="ally", help="Allies: import a card, list them.")
    allies.command(ally_add, name="add")
    allies.command(ally_list, name="list")
    app.command(allies)
    openpgp_commands.register(app)
    agreements = cyclopts.App(name="agreement", help="Agreements with allies.")
    agreements.command(agreement_draft, name="draft")
    agreements.command(agreement_add, name="add")
    app.command(agreements)
    for command in (people, hold, permit):
        app.command(command)


def card(
    *,
    output: File = None,
    fingerprint: Annotated[bool, Parameter(negative="")] = False,
    workspace: WorkspaceOption = None,
) -> int:
    """Write our card for allies to import: who we are, and our public keys.

    Args:
        output: The file to write (default: standard output).
        fingerprint: Only print the card's fingerprint, to be read to allies over another channel.
        workspace: The workspace's folder.
    """
    from aleat.trust.agreements import fingerprint as fingerprint_of  # noqa: PLC0415

    with open_alliance(workspace) as ws:
        data = ws.export_card()
        mark = fingerprint_of(ws.card())
    if fingerprint:
        line(mark)
    elif output is None:
        sys.stdout.buffer.write(data)
    else:
        output.write_bytes(data)
        line(f"Read this to your allies over another channel: {mark}")
    return 0


def ally_add(path: Path, *, compared: str | None = None, workspace: WorkspaceOption = None, actor: Actor = None) -> int:
    """Import an ally's card.

    Args:
        path: The card's file.
        compared: The fingerprint that the ally's people read out; without it nothing can be sent or opened yet.
        workspace: The workspace's folder.
        actor: Who acts.
    """
    with open_alliance(workspace, actor) as ws:
        ally = ws.add_ally(path, compared=compared)
    line(f"{ally.card.name}: {ally.card.organisation}, fingerprint {ally.fingerprint}")
    if ally.compared_by is None:
        line("Have its people read theirs to you, then import the card again with --compared FINGERPRINT.")
    return 0


def ally_list(*, workspace: WorkspaceOption = None) -> int:
    """Print the allies.

    Args:
        workspace: The workspace's folder.
    """
    with open_alliance(workspace) as ws:
        rows = [
            (ally.card.name, ally.card.organisation, ally.card.country, ally.compared_by or "not compared")
            for ally in ws.allies()
        ]
    table(rows, ("name", "organisation", "country", "compared by"), limit=len(rows) or 1)
    return 0


def agreement_draft(ally: str, *, output: File = None, workspace: WorkspaceOption = None) -> int:
    """Write the draft of an agreement with an ally, for people to read and change.

    Args:
        ally: The ally's name.
        output: The file to write (default: standard output).
        workspace: The workspace's folder.
    """
    with open_alliance(workspace) as ws:
        data = ws.draft_agreement(ally)
    if output is None:
        sys.stdout.buffer.write(data)
    else:
        output.write_bytes(data)
    return 0


def agreement_add(path: Path, *, workspace: WorkspaceOption = None, actor: Actor = None) -> int:
    """Import an agreement, and sign it.

    Args:
        path: The agreement's TOML file.
        workspace: The workspace's folder.
        actor: Who acts.
    """
    with open_alliance(workspace, actor) as ws:
        agreement = ws.add_agreement(path)
    line(
        f"Agreement {agreement.name}, version {agreement.version}, is signed and in force from {agreement.valid_from}."
    )
    return 0


def people(person: str | None = None, *roles: str, workspace: WorkspaceOption = None, actor: Actor = None) -> int:
    """Print everybody's roles; or give PERSON exactly these ROLES: analyst, releaser, administrator, guest.

    Args:
        person: Whose roles to set.
        roles: The roles.
        workspace: The workspace's folder.
        actor: Who acts.
    """
    with open_alliance(workspace, actor) as ws:
        if person is not None:
            ws.set_roles(person, roles)
        everybody = ws.people()
    table([(name, ", ".join(held)) for name, held in everybody.items()], limit=len(everybody))
    return 0


def hold(
    *objects: str,
    kind: str = "legal-hold",
    reason: str,
    lift: Annotated[bool, Parameter(negative="")] = False,
    workspace: WorkspaceOption = None,
    actor: Actor = None,
) -> int:
    """Stop objects from leaving, and sources of evidence from being forgotten; or lift such a hold.

    Args:
        objects: STIX ids; or sources, by number, path (or the end of it) or SHA-256.
        kind: legal-hold, personal-data, or withdrawn (passed on no more: aleat withdraw).
        reason: Why.
        lift: Lift the hold.
        workspace: The workspace's folder.
        actor: Who acts.
    """
    with open_alliance(workspace, actor) as ws:
        if lift:
            for object_ in objects:
                ws.lift_hold(object_, kind, reason)
        else:
            ws.hold(objects, kind, reason)
    return 0


def permit(
    *objects: str,
    request: str | None = None,
    originator: str | None = None,
    to: str | None = None,
    basis: str | None = None,
    until: date | None = None,
    conditions: str = "",
    approver: str | None = None,
    output: Folder = Path(),
    workspace: WorkspaceOption = None,
    actor: Actor = None,
) -> int:
    """Permit what an ally asks our leave for (--request); or record a leave that an originator gave us otherwise.

    With --request it writes a sealed file with the permission: all that was asked for and is ours, or only OBJECTS, at
    most as long as was asked. Without it, --originator, --to, --basis and --until say what was given to us.

    Args:
        objects: STIX ids that the leave covers (with --request: default all that were asked for).
        request: The permission request's id (see aleat asks), or the ally's name for its latest.
        originator: Who gave it.
        to: The ally.
        basis: How it was given: a letter, a call, a message.
        until: The last day of the leave, as 2026-12-31.
        conditions: On which conditions; with --request.
        approver: The second releaser, where the agreement wants two people; with --request.
        output: The folder that the sealed file is written to; with --request.
        workspace: The workspace's folder.
        actor: Who acts.
    """
    if request is not None:
        with open_alliance(workspace, actor) as ws:
            sent = ws.permit_request(
                request, output, until=until, objects=objects, conditions=conditions, approver=approver
            )
        tell_left_out(tuple(f"{id_}: not ours to permit" for id_ in sent.left_out))
        tell_sent(sent.path, output)
        return 0
    if originator is None or to is None or basis is None or until is None or not objects:
        error("Name the --request; or OBJECTS with --originator, --to, --basis and --until.")
        return USAGE
    with open_alliance(workspace, actor) as ws:
        ws.permit_objects(objects, originator=originator, to=to, basis=basis, until=until)
    return 0
