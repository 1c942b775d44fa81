"""The commands that ask and offer: ask, inquire, ask-permission, offer, deliver, retract."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Literal

import cyclopts
from cyclopts import Parameter

from aleat.cli.options import Actor, Folder, WorkspaceOption, open_alliance
from aleat.cli.terminal import error, tell_sent

__all__ = ["Label", "register", "tell_left_out"]

Many = Annotated[tuple[str, ...], Parameter(negative="")]
Label = Annotated[
    Literal["clear", "green", "amber", "amber+strict", "red"],
    Parameter(help="How far the message itself may go on the ally's side (TLP 2.0)."),
]
Kinds = Annotated[
    tuple[Literal["knowledge", "playbooks", "tools", "people", "other"], ...], Parameter(name="--kind", negative="")
]


def register(app: cyclopts.App) -> None:
    """Add the commands to `app`."""
    for command in (ask, inquire, ask_permission, offer, deliver, retract):
        app.command(command)


def tell_left_out(left_out: tuple[str, ...]) -> None:
    """Say on standard error what stays here."""
    for text in left_out:
        error(f"Left out: {text}")


def ask(
    ally: str,
    *,
    title: str,
    impact: str,
    needs: Many,
    entity: str = "",
    sector: str | None = None,
    country: str | None = None,
    spillover: str = "",
    planned_use: str = "",
    measures_taken: str = "",
    other_support: str = "",
    needed_by: date | None = None,
    label: Label = "amber",
    output: Folder = Path(),
    workspace: WorkspaceOption = None,
    actor: Actor = None,
) -> int:
    """Ask an ally for support; writes a sealed file.

    The fields are those of a request for support under the EU Cyber Solidarity Act (Regulation (EU) 2025/38, art. 15).

    Args:
        ally: The ally's name.
        title: What it is about, in a line.
        impact: What happened to whom.
        needs: What is needed (may be given several times).
        entity: Who is affected, as far as you want to say (default: not said).
        sector: The affected entity's sector, in STIX's words (default: the workspace's).
        country: Its country, in two letters (default: the workspace's).
        spillover: The risk that it spreads to other states.
        planned_use: How the support will be used.
        measures_taken: What was done already.
        other_support: What other support there is: contracts, insurance, other allies.
        needed_by: The day by which it is needed, as 2026-12-31.
        label: How far the message itself may go.
        output: The folder that the sealed file is written to.
        workspace: The workspace's folder.
        actor: Who acts.
    """
    from aleat.exchange import Affected  # noqa: PLC0415

    with open_alliance(workspace, actor) as ws:
        affected = Affected(
            entity=entity,
            sector=ws.config.sector if sector is None else sector,
            country=ws.config.country if country is None else country,
        )
        path = ws.ask(
            ally,
            output,
            title=title,
            impact=impact,
            needs=needs,
            affected=affected,
            spillover=spillover,
            planned_use=planned_use,
            measures_taken=measures_taken,
            other_support=other_support,
            needed_by=needed_by,
            label=label,
        )
    tell_sent(path, output)
    return 0


def inquire(
    ally: str,
    *values: str,
    question: str,
    indicator: Many = (),
    pattern: Many = (),
    needed_by: date | None = None,
    approver: str | None = None,
    label: Label = "amber",
    output: Folder = Path(),
    workspace: WorkspaceOption = None,
    actor: Actor = None,
) -> int:
    """Ask an ally whether it has seen something; what may not be told to it is left out, and said.

    Args:
        ally: The ally's name.
        values: Addresses, domains, URLs, hashes, file names, registry keys; defanged or not.
        question: The question, in a line.
        indicator: An indicator that is known here, by its STIX id (may be given several times).
        pattern: A STIX pattern (may be given several times).
        needed_by: The day by which an answer is needed, as 2026-12-31.
        approver: The second releaser, where the agreement wants two people.
        label: How far the message itself may go.
        output: The folder that the sealed file is written to.
        workspace: The workspace's folder.
        actor: Who acts.
    """
    with open_alliance(workspace, actor) as ws:
        sent = ws.inquire(
            ally,
            output,
            question=question,
            values=values,
            indicators=indicator,
            patterns=pattern,
            needed_by=needed_by,
            approver=approver,
            label=label,
        )
    tell_left_out(sent.left_out)
    tell_sent(sent.path, output)
    return 0


def ask_permission(
    originator: str,
    *objects: str,
    to: Annotated[str, Parameter(name="--for")],
    until: date,
    reason: str,
    output: Folder = Path(),
    workspace: WorkspaceOption = None,
    actor: Actor = None,
) -> int:
    """Ask an originator for leave to pass on to an ally what it gave us; writes a sealed file.

    The originator learns which objects of its own you hold, for whom you ask, why, and until when.

    Args:
        originator: The ally whose objects they are.
        objects: STIX ids (default: all that stay away from the ally and that the originator's leave would let go).
        to: The ally who is to get them.
        until: The last day of the leave, as 2026-12-31.
        reason: What they are wanted for.
        output: The folder that the sealed file is written to.
        workspace: The workspace's folder.
        actor: Who acts.
    """
    with open_alliance(workspace, actor) as ws:
        path = ws.ask_permission(originator, output, to=to, until=until, purpose=reason, objects=objects)
    tell_sent(path, output)
    return 0


def offer(
    ally: str,
    *,
    what: str,
    of: str | None = None,
    kind: Kinds = ("knowledge",),
    person: Many = (),
    purpose: Many = (),
    conditions: str = "",
    until: date | None = None,
    label: Label = "amber",
    output: Folder = Path(),
    workspace: WorkspaceOption = None,
    actor: Actor = None,
) -> int:
    """Offer an ally something: in answer to its open request, or unasked; writes a sealed file.

    Args:
        ally: The ally's name.
        what: What is offered.
        of: The request that it answers (default: the ally's latest open one).
        kind: Knowledge, playbooks, tools, people or other (may be given several times).
        person: Who would come (may be given several times).
        purpose: What it may be used for (may be given several times).
        conditions: On which conditions.
        until: The offer's last day, as 2026-12-31: it can't be accepted later.
        label: How far the message itself may go.
        output: The folder that the sealed file is written to.
        workspace: The workspace's folder.
        actor: Who acts.
    """
    with open_alliance(workspace, actor) as ws:
        path = ws.offer(
            ally,
            output,
            what=what,
            of=of,
            kinds=kind,
            people=person,
            purposes=purpose,
            conditions=conditions,
            valid_until=until,
            label=label,
        )
    tell_sent(path, output)
    return 0


def deliver(
    ally: str,
    *,
    what: str,
    kind: Kinds = ("people",),
    person: Many = (),
    begins: date | None = None,
    ends: date | None = None,
    of: str | None = None,
    output: Folder = Path(),
    workspace: WorkspaceOption = None,
    actor: Actor = None,
) -> int:
    """Say that people, tools or other help come, in answer to what the ally took; objects go with aleat release.

    Args:
        ally: The ally's name.
        what: What comes.
        kind: People, tools, playbooks, knowledge or other (may be given several times).
        person: Who comes (may be given several times).
        begins: The first day, as 2026-12-01.
        ends: The last day.
        of: The offer or request that it fulfils (default: the latest that was accepted).
        output: The folder that the sealed file is written to.
        workspace: The workspace's folder.
        actor: Who acts.
    """
    with open_alliance(workspace, actor) as ws:
        path = ws.deliver(ally, output, what=what, kinds=kind, people=person, begins=begins, ends=ends, of=of)
    tell_sent(path, output)
    return 0


def retract(
    message: str, *, reason: str, output: Folder = Path(), workspace: WorkspaceOption = None, actor: Actor = None
) -> int:
    """Take back what we said: a request, an offer, an acceptance, a permission. What was given is withdrawn instead.

    Args:
        message: The message's id (see aleat asks).
        reason: Why.
        output: The folder that the sealed file is written to.
        workspace: The workspace's folder.
        actor: Who acts.
    """
    with open_alliance(workspace, actor) as ws:
        tell_sent(ws.retract(message, output, reason=reason), output)
    return 0
