"""The commands between two teams: card, ally, agreement, people, ask, offer, release, answer, asks, receive."""

from __future__ import annotations

import sys
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import cyclopts
from cyclopts import Parameter

from aleat.cli import openpgp_commands
from aleat.cli.exit_codes import INCOMPLETE, USAGE
from aleat.cli.options import Actor, WorkspaceOption, open_workspace
from aleat.cli.terminal import error, issues, line, table

if TYPE_CHECKING:
    from aleat.release import Release

__all__ = ["register"]

Folder = Annotated[Path, Parameter(name=["--output", "-o"], help="The folder that the sealed file is written to.")]
File = Annotated[Path | None, Parameter(name=["--output", "-o"])]
Many = Annotated[tuple[str, ...], Parameter(negative="")]


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
    for command in (people, hold, permit, ask, offer, accept, refuse, preview, release, answer, close, withdraw):
        app.command(command)
    app.command(receive)
    app.command(asks)
    app.command(findings)


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

    with open_workspace(workspace) as ws:
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
    with open_workspace(workspace, actor) as ws:
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
    with open_workspace(workspace) as ws:
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
    with open_workspace(workspace) as ws:
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
    with open_workspace(workspace, actor) as ws:
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
    with open_workspace(workspace, actor) as ws:
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
        kind: legal-hold or personal-data.
        reason: Why.
        lift: Lift the hold.
        workspace: The workspace's folder.
        actor: Who acts.
    """
    with open_workspace(workspace, actor) as ws:
        if lift:
            for object_ in objects:
                ws.lift_hold(object_, kind, reason)
        else:
            ws.hold(objects, kind, reason)
    return 0


def permit(
    *objects: str,
    originator: str,
    to: str,
    basis: str,
    until: date,
    workspace: WorkspaceOption = None,
    actor: Actor = None,
) -> int:
    """Record that an originator gave leave to pass something of its own on to an ally.

    Args:
        objects: STIX ids that the leave covers.
        originator: Who gave it.
        to: The ally.
        basis: How it was given: a letter, a call, a message.
        until: The last day of the leave, as 2026-12-31.
        workspace: The workspace's folder.
        actor: Who acts.
    """
    with open_workspace(workspace, actor) as ws:
        ws.permit_objects(objects, originator=originator, to=to, basis=basis, until=until)
    return 0


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
    line(str(path))
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
        line(str(ws.offer(ally, output, what=what, of=of, conditions=conditions)))
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
        line(str(ws.accept(message, output, remarks=remarks)))
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
        line(str(ws.refuse(message, output, reason=reason)))
    return 0


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
        line(str(ws.release(to, output, remarks=remarks, approver=approver, of=of)))
    return 0


def receive(*paths: Path, workspace: WorkspaceOption = None, actor: Actor = None) -> int:
    """Open sealed files for us, verify them, and keep what they hold.

    Args:
        paths: The sealed files.
        workspace: The workspace's folder.
        actor: Who acts.
    """
    code = 0
    with open_workspace(workspace, actor) as ws:
        for path in paths:
            got = ws.receive(path)
            kinds = ", ".join(type(message).__name__.lower() for message in got.messages) or "no message"
            line(f"From {got.sender.name}: {kinds}; {len(got.objects)} objects, {len(got.findings)} findings.")
            if got.missing:
                numbers = ", ".join(map(str, got.missing))
                error(f"Earlier files of {got.sender.name} have not come: numbers {numbers}.")
            issues(got.issues)
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
    line(str(path))
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
        line(str(ws.close_thread(thread, output, outcome=outcome, lessons=lessons)))
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
        line(str(ws.withdraw(release_id, output, reason=reason)))
    return 0


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
