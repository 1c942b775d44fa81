"""The commands of the gate: what would leave (preview), what leaves (release), what no longer holds (withdraw)."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import cyclopts
from cyclopts import Parameter

from aleat.cli.exit_codes import INCOMPLETE, USAGE
from aleat.cli.ledger_rows import LedgerFormat, withdrawal_record, write_records
from aleat.cli.options import Actor, Folder, Language, WorkspaceOption, open_alliance
from aleat.cli.terminal import error, line, table, tell_sent, wrapped

if TYPE_CHECKING:
    from aleat.release import Decision, Release
    from aleat.report import Messages
    from aleat.workspace import Previewed

__all__ = ["register"]

PreviewFormat = Annotated[Literal["table", "json", "jsonl"], Parameter(name=["-t", "--format"])]
Reader = Annotated[str, Parameter(name="--for")]
Show = Literal["all", "leaves", "stays", "different"]


def register(app: cyclopts.App) -> None:
    """Add the commands to `app`."""
    for command in (preview, release, withdraw, withdrawals, receipt):
        app.command(command)


def preview(
    *,
    to: str | None = None,
    reader: Reader = "",
    only: Show = "all",
    plain: Annotated[bool, Parameter(negative="")] = False,
    format: PreviewFormat = "table",
    language: Language = "en",
    workspace: WorkspaceOption = None,
    actor: Actor = None,
) -> int:
    """Print what would leave for an ally and what not, object by object, which rule decided, and whom to ask.

    At the end each rule that decided stands in a sentence. Without --to: one table of all objects and all allies.

    Args:
        to: The ally's name.
        reader: A person whom the agreement names for TLP:RED: with what is for that person only.
        only: Only what leaves, what stays, or what is different from what the ally was given before.
        plain: As it would be for a server that speaks without TLS.
        format: table, json (one document) or jsonl (one line an object).
        language: en or sq.
        workspace: The workspace's folder.
        actor: Who acts.
    """
    from aleat.report import load_messages  # noqa: PLC0415

    messages = load_messages(language)
    with open_alliance(workspace, actor) as ws:
        if to is None:
            if format != "table":
                error("Give --to ALLY with this format.")
                return USAGE
            releases = ws.preview_all()
            ids = {one.object for found in releases.values() for one in found.decisions}
            _print_all(releases, ws.object_names(ids), messages)
            return 0
        found = ws.preview_release(to, channel="plain" if plain else "sealed", reader=reader)
        allies = {ally.card.identity: ally.card.name for ally in ws.allies()}
    decisions = [one for one in found.release.decisions if _is_shown(found, one, only)]
    if format == "table":
        _print_preview(found, decisions, messages)
        _print_whom_to_ask(found, allies, messages)
    else:
        _write_preview(found, [_as_row(found, one, messages) for one in decisions], format)
    return 0


def _is_shown(found: Previewed, one: Decision, only: Show) -> bool:
    if only == "different":
        return found.changes.get(one.object, "") in {"new", "changed", "gone"}
    return only == "all" or one.allow == (only == "leaves")


def _print_preview(found: Previewed, decisions: list[Decision], messages: Messages) -> None:
    rows = []
    for one in decisions:
        change = found.changes.get(one.object, "")
        asked = [found.names.get(who, who) for who in one.ask]
        form = messages.say("preview", one.form) if one.form in {"told-again", "labelled"} else ""
        rows.append(
            (
                messages.say("preview", "gives" if one.allow else "keeps"),
                messages.say("preview", change) if change else "",
                one.object,
                found.names.get(one.object, ""),
                one.label or "",
                ", ".join(filter(None, (one.rule, form))),
                messages.say("preview", "ask", who=", ".join(asked)) if asked else "",
            )
        )
    table(rows, ("", "", "object", "name", "label", "rule", ""), limit=len(rows) or 1)
    _print_rules(Counter(one.rule for one in decisions), messages)
    allowed = sum(one.allow for one in found.release.decisions)
    staying = len(found.release.decisions) - allowed
    line(messages.say("preview", "summary", gives=allowed, stays=staying, ally=found.ally))
    if found.given:
        counts = Counter(found.changes.values())
        numbers = {name: counts[name] for name in ("new", "changed", "same", "gone")}
        line(messages.say("preview", "since", ally=found.ally, **numbers))


def _print_whom_to_ask(found: Previewed, allies: Mapping[str, str], messages: Messages) -> None:
    """Say for each ally whose permission may let more go with which command it is asked."""
    from aleat.exchange.permissions import OPENED_BY_PERMISSION  # noqa: PLC0415

    stay = [one for one in found.release.decisions if not one.allow and one.rule in OPENED_BY_PERMISSION]
    names = {*allies.values()}
    counts = Counter(who for one in stay for asked in one.ask if (who := allies.get(asked, asked)) in names)
    for who, count in sorted(counts.items()):
        command = f"aleat ask-permission {who} --for {found.ally} --until DATE --reason TEXT"
        line(messages.say("preview", "permission", who=who, n=count, command=command))


def _print_rules(counts: Counter[Any], messages: Messages) -> None:
    """Say in a sentence what each rule means that decided, for whoever answers for it."""
    line()
    line(f"{messages.say('preview', 'rules')}:")
    for rule, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        wrapped(f"{rule} ({count}): {messages.say('gate', rule)}", indent="  ")
    line()


def _as_row(found: Previewed, one: Decision, messages: Messages) -> dict[str, Any]:
    return {
        "object": one.object,
        "type": one.type,
        "name": found.names.get(one.object, ""),
        "version": one.version,
        "leaves": one.allow,
        "form": one.form,
        "as": str(one.parameters.get("as", one.object)) if one.allow else None,
        "label": one.label,
        "rule": one.rule,
        "why": messages.say("gate", one.rule),
        "ask": [{"identity": who, "name": found.names.get(who, "")} for who in one.ask],
        "since": found.changes.get(one.object, "") or None,
    }


def _write_preview(found: Previewed, rows: list[dict[str, Any]], format: Literal["json", "jsonl"]) -> None:
    if format == "jsonl":
        sys.stdout.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        return
    release = found.release
    head = {
        "to": {"name": found.ally, "identity": release.recipient},
        "agreement": {"name": release.agreement, "version": release.agreement_version},
        "two_people": release.two_people,
        "sha256": release.sha256,
    }
    print(json.dumps({**head, "objects": rows}, ensure_ascii=False, indent=2))


def _print_all(releases: Mapping[str, Release], names: Mapping[str, str], messages: Messages) -> None:
    """One row an object, one column an ally: it leaves, or the rule by which it stays."""
    allies = sorted(releases)
    words: dict[str, dict[str, str]] = {}
    counts: Counter[str] = Counter()
    for ally in allies:
        for one in releases[ally].decisions:
            leaves = messages.say("preview", "gives")
            if one.allow or words.setdefault(one.object, {}).get(ally, "") != leaves:
                words.setdefault(one.object, {})[ally] = leaves if one.allow else one.rule
            counts[one.rule] += 1
    rows = [(id_, names.get(id_, ""), *(said.get(ally, "") for ally in allies)) for id_, said in sorted(words.items())]
    table(rows, ("object", "name", *allies), limit=len(rows) or 1)
    _print_rules(counts, messages)


def release(
    *,
    to: str,
    remarks: str = "",
    approver: str | None = None,
    of: str | None = None,
    reader: Reader = "",
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
        reader: A person whom the agreement names for TLP:RED: RED of ours goes along, for that person only.
        output: The folder that the sealed file is written to.
        workspace: The workspace's folder.
        actor: Who acts.
    """
    with open_alliance(workspace, actor) as ws:
        tell_sent(ws.release(to, output, remarks=remarks, approver=approver, of=of, reader=reader), output)
    return 0


def withdraw(
    *names: str,
    reason: str,
    output: Folder = Path(),
    workspace: WorkspaceOption = None,
    actor: Actor = None,
) -> int:
    """Take back what was given: a release from its recipient, or objects from everybody who got them.

    Of objects, what is ours is revoked, here and there; what isn't is recalled, and passed on no more. One sealed file
    for each ally.

    Args:
        names: Releases (release--…), or objects (STIX ids).
        reason: Why.
        output: The folder that the sealed files are written to.
        workspace: The workspace's folder.
        actor: Who acts.
    """
    if not names:
        error("Name what is withdrawn: releases, or objects.")
        return USAGE
    releases = [name for name in names if name.startswith("release--")]
    objects = [name for name in names if name not in releases]
    code = 0
    with open_alliance(workspace, actor) as ws:
        for name in releases:
            tell_sent(ws.withdraw(name, output, reason=reason), output)
        if objects:
            taken = ws.withdraw_objects(objects, output, reason=reason)
            for path in taken.paths:
                tell_sent(path, output)
            if not taken.paths:
                error("Nobody can be told: nobody was given any of it, or none of them can be reached.")
            for ally, why in taken.done.untold.items():
                error(f"{ally} got it too, and isn't told: {why}")
                code = INCOMPLETE
            if taken.done.revoked:
                error(f"Revoked here: {', '.join(taken.done.revoked)}")
            if taken.done.held:
                error(f"Passed on no more: {', '.join(taken.done.held)}. Lift it: aleat hold --kind withdrawn --lift")
    return code


def withdrawals(*, format: LedgerFormat = "table", workspace: WorkspaceOption = None) -> int:
    """Print what we withdrew, from whom, and when each said that it had opened that.

    Args:
        format: table, json (one array) or jsonl (one line a withdrawal and ally); these name the objects.
        workspace: The workspace's folder.
    """
    with open_alliance(workspace) as ws:
        names = {ally.card.identity: ally.card.name for ally in ws.allies()}
        found = ws.withdrawals()
    if format != "table":
        write_records((withdrawal_record(one, names) for one in found), format)
        return 0
    rows = [
        (
            one.time[:16] + "Z",
            names.get(one.ally, one.ally),
            one.release or (one.objects[0] if len(one.objects) == 1 else f"{len(one.objects)} objects"),
            one.received[:16] + "Z" if one.received else "not yet",
            one.reason,
        )
        for one in found
    ]
    table(rows, ("withdrawn", "from", "what", "received", "why"), limit=len(rows) or 1)
    return 0


def receipt(ally: str, *, output: Folder = Path(), workspace: WorkspaceOption = None, actor: Actor = None) -> int:
    """Seal the receipts that we owe an ally into a file of their own; else they go with the next file to it.

    Args:
        ally: The ally's name.
        output: The folder that the sealed file is written to.
        workspace: The workspace's folder.
        actor: Who acts.
    """
    with open_alliance(workspace, actor) as ws:
        path = ws.acknowledge(ally, output)
    if path is None:
        error(f"We owe {ally} no receipt.")
    else:
        tell_sent(path, output)
    return 0
