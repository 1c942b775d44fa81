"""The commands that go with a hunt: explain, dismiss, dismissals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import cyclopts
from cyclopts import Parameter

from aleat.cli.options import Actor, Quiet, WorkspaceOption, open_workspace
from aleat.cli.terminal import line, progress, table
from aleat.text import clip

if TYPE_CHECKING:
    from aleat.hunt.explain import AtomTrace, Branch, Explanation
    from aleat.workspace.explain import ExplainedEvent

__all__ = ["explanation_lines", "register"]

_LONG = 200
_TESTS = {
    "equals": "is",
    "contains": "contains",
    "startswith": "starts with",
    "endswith": "ends with",
    "wildcard": "fits",
    "regex": "matches",
    "within": "is within",
    "covers": "covers",
    "eq": "is",
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
    "exists": "is there",
    "null": "is null",
    "found": "stands there",
}
_REASONS = {"absent": "not in this event", "null": "null in this event"}
_BRANCHES = {
    "all": "all of",
    "any": "one of",
    "not": "not",
    "constant": "always",
    "strings": "its condition over the strings",
}
_REACHES = {
    "no-log-source": "It can't match in this workspace: there is no evidence of its log source.",
    "no-field": "It can't match in this workspace: no event of its log source has a field that it needs.",
    "not-evaluated": "It can't match: it is not evaluated.",
}


def register(app: cyclopts.App) -> None:
    """Add the commands to `app`."""
    for command in (explain, dismiss, dismissals):
        app.command(command)


def explain(rule: str, event: str, *, workspace: WorkspaceOption = None, quiet: Quiet = False) -> int:
    """Say why a rule did or did not match an event: each branch and each test, with the value that it saw.

    Args:
        rule: The rule's id, STIX id, name or title.
        event: EVIDENCE:RECORD, as they stand in a sighting, or an event digest.
        workspace: The workspace's folder.
        quiet: No progress.
    """
    with open_workspace(workspace) as ws, progress(quiet=quiet) as show:
        told = ws.explain(rule, event, progress=show)
    for text in explanation_lines(told):
        line(text)
    return 0


def dismiss(
    rule: str,
    *,
    reason: str,
    where: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    workspace: WorkspaceOption = None,
    actor: Actor = None,
) -> int:
    """Hide sightings of a rule: this is normal here. The rule goes on, and the summary counts what is hidden.

    Args:
        rule: The rule's id, STIX id, name or title; of a list's value, LIST#VALUE.
        reason: Why it is normal.
        where: FIELD=VALUE: only sightings with this value (* and ? count); several fields must all hold.
        workspace: The workspace's folder.
        actor: Who acts.
    """
    with open_workspace(workspace, actor) as ws:
        row = ws.dismiss(rule, reason, where)
    line(f"Dismissed: {row.rule}. Undo it with: aleat dismissals --undo {row.id[:8]}")
    return 0


def dismissals(
    *,
    undo: str | None = None,
    reason: str = "",
    text: Annotated[bool, Parameter(negative="")] = False,
    workspace: WorkspaceOption = None,
    actor: Actor = None,
) -> int:
    """List what is dismissed as normal, by whom, when and why; or undo one.

    Args:
        undo: Undo this dismissal (an id, or the beginning of one); its sightings are shown again.
        reason: Why it is undone.
        text: Print the Sigma filters themselves.
        workspace: The workspace's folder.
        actor: Who acts.
    """
    with open_workspace(workspace, actor) as ws:
        if undo is not None:
            row = ws.undo_dismissal(undo, reason)
            line(f"Undone: {row.id} of {row.rule}.")
            return 0
        rows = ws.dismissals()
    if text:
        for number, row in enumerate(rows):
            if number:
                line("---")
            for part in row.text.splitlines():
                line(part)
    elif rows:
        states = [f"undone {row.undone[:10]}" if row.undone else "in force" for row in rows]
        cells = [
            (row.id[:8], row.rule, state, row.time[:10], row.author, row.reason)
            for row, state in zip(rows, states, strict=True)
        ]
        table(cells, ("id", "rule", "state", "since", "author", "reason"), limit=len(rows))
    else:
        line("Nothing is dismissed.")
    return 0


def explanation_lines(told: ExplainedEvent) -> Iterator[str]:
    """Yield an explanation as the lines of a tree."""
    from aleat.hunt.output import format_time  # noqa: PLC0415

    when = format_time(told.time) or "no time"
    log = f"{told.format} {told.channel}".strip()
    yield f"Event: {told.evidence} record {told.record}, {when}, host {told.host or '(none)'}, {log}; {told.event}"
    yield from _rule(told.explanation, "")


def _rule(told: Explanation, indent: str) -> Iterator[str]:
    verdict = "matches" if told.matches else "does not match"
    if told.kind == "alert":
        verdict = "another tool raised this event" if told.matches else "no other tool raised this event so"
    if told.kind in ("correlation", "pattern"):
        verdict = "counts this event" if told.matches else "does not count this event"
    yield f"{indent}{told.title} ({told.indicator}): {verdict}."
    inner = f"{indent}  "
    if told.hidden_by:
        yield f"{inner}Hidden by {told.hidden_by}."
    if told.reach in _REACHES:
        yield f"{inner}{_REACHES[told.reach]}"
    if told.absent_fields and not told.matches:
        yield f"{inner}Fields that no such log here has: {', '.join(told.absent_fields)}."
    for row in told.not_evaluated:
        yield f"{inner}{'Not evaluated in part' if row.partial else 'Not evaluated'}: {row.reason}"
    for title, pairs in told.found:
        where = ", ".join(f'{field} "{clip(text, _LONG)}"' for field, text in pairs)
        yield f"{inner}yes  {title}: {'told in' if told.kind == 'alert' else 'found in'} {where}"
    if told.kind == "list" and not told.found:
        yield f"{inner}no   none of its values stands in this event"
    if told.kind == "yara" and not told.variants:
        yield f"{inner}no   no value of this event is long enough to be looked into"
    for variant in told.variants:
        yield f"{inner}Over {variant.name or 'events'} ({', '.join(variant.formats)}):"
        yield from _branch(variant.tree, f"{inner}  ")
    for part in told.parts:
        yield from _rule(part, inner)


def _branch(branch: Branch, indent: str) -> Iterator[str]:
    mark = "yes" if branch.holds else "no "
    if branch.atom is not None:
        yield f"{indent}{mark}  {_test(branch.atom)}"
        return
    yield f"{indent}{mark}  {_BRANCHES[branch.kind]}{':' if branch.children else ''}"
    for child in branch.children:
        yield from _branch(child, f"{indent}     ")


def _test(atom: AtomTrace) -> str:
    subject = "any field" if atom.subject == "*" else atom.subject
    value = "" if atom.test in ("exists", "null", "found") else f' "{clip(atom.value, _LONG)}"'
    cased = " (case counts)" if atom.cased and atom.test in ("equals", "contains", "startswith", "endswith") else ""
    text = f"{subject} {_TESTS.get(atom.test, atom.test)}{value}{cased}"
    if not atom.passed and atom.subject == "*":
        return f"{text}: in no field"
    if atom.reason in _REASONS:
        return f"{text}: {_REASONS[atom.reason]}"
    saw = ", ".join(f'"{clip(cell.text, _LONG)}"' + (f" ({cell.field})" if cell.field else "") for cell in atom.seen)
    return f"{text}: saw {saw}" if saw else text
