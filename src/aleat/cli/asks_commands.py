"""The commands that show what passed between us and our allies: asks, findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import cyclopts
from cyclopts import Parameter

from aleat.cli.finding_words import looked_text
from aleat.cli.knowledge_words import fitted_table, width
from aleat.cli.ledger_rows import (
    LedgerFormat,
    ask_record,
    finding_record,
    permission_record,
    permission_state,
    thread_record,
    write_records,
)
from aleat.cli.options import WorkspaceOption, open_alliance, open_workspace
from aleat.cli.terminal import line, table, wrapped

if TYPE_CHECKING:
    from aleat.exchange.messages import Message
    from aleat.exchange.steps import AskRow, Step
    from aleat.exchange.threads import Thread
    from aleat.workspace.alliance import Alliance

__all__ = ["register"]

_TITLES = ("title", "question", "purpose", "what", "outcome", "reason", "conditions", "remarks")
_HEAD = frozenset({"id", "thread", "sender", "recipient", "time", "person", "label", "of"})
_STEPS = {
    "answer": "answer",
    "hunt": "hunt, answer",
    "permit": "permit or refuse",
    "decide": "accept or refuse",
    "deliver": "deliver",
    "release": "pass it on",
    "renew": "offer again (its last day is over)",
    "close": "close",
}
_LISTED = 20
_WIDE = 150  # columns
_FAULTS = {
    "no-root": "what it belongs to has not come",
    "answers-nothing": "what it answers has not come, or can't be answered so",
    "not-theirs": "its sender may not send it",
    "expired": "it accepts an offer after its last day",
}


def register(app: cyclopts.App) -> None:
    """Add the commands to `app`."""
    app.command(asks)
    app.command(permissions)
    app.command(findings)


def asks(
    thread: str | None = None,
    *,
    waiting: Annotated[bool, Parameter(negative="")] = False,
    format: LedgerFormat = "table",
    workspace: WorkspaceOption = None,
) -> int:
    """Print the ledger of asks and gives: who asked whom for what, its state, what it led to, and whose turn it is.

    Args:
        thread: Print this thread whole: its id, the first letters of it, or an ally's name for the latest.
        waiting: Only what waits for us.
        format: table, json (one array) or jsonl (one line a thread).
        workspace: The workspace's folder.
    """
    with open_alliance(workspace) as ws:
        names = _names(ws)
        rows = ws.ask_rows()
        today = ws.now().date()
        if thread is not None:
            wanted = ws.find_thread(thread)
            row = next(row for row in rows if row.thread.id == wanted)
            if format == "table":
                _print_thread(row, names, today, ws)
            else:
                write_records([thread_record(row, names, today, _not_from_us(row.thread, names, ws))], format)
            return 0
    if waiting:
        rows = tuple(row for row in rows if row.step is not None and names.get(row.step.who) == "us")
    if format == "table":
        _print_ledger(rows, names, today, waiting=waiting)
    else:
        write_records((ask_record(row, names, today) for row in rows), format)
    return 0


def _names(ws: Alliance) -> dict[str, str]:
    return {ally.card.identity: ally.card.name for ally in ws.allies()} | {ws.config.identity: "us"}


def _print_ledger(rows: tuple[AskRow, ...], names: Mapping[str, str], today: date, *, waiting: bool) -> None:
    if not rows:
        line("Nothing waits for us." if waiting else "Nothing was asked or offered yet: aleat ask, aleat offer.")
        return
    cells = [_cells(row, names, today) for row in rows]
    if width() >= _WIDE:
        headings = ("thread", "state", "since", "from → to", "what", "led to", "waits for")
        short = [(*cell[:4], _clip(cell[4], 56), _clip(cell[5], 36), cell[6]) for cell in cells]
        fitted_table(short, headings, stretch=4, most=(8, 10, 10, 34, 200, 40, 56))
    else:
        for id_, state, since, sides, what, led_to, turn in cells:
            line(f"{id_}  {state:<10} {since}  {sides}")
            line(_clip(f"{' ' * 10}{what}", width()))
            more = (f"led to {led_to}" if led_to else "", f"waits for {turn}" if turn else "")
            if text := "; ".join(filter(None, more)):
                wrapped(text, indent=" " * 10)
    ours = [row for row in rows if row.step is not None and names.get(row.step.who) == "us"]
    late = sum(row.step is not None and row.step.overdue(today) for row in ours)
    line()
    line(f"{len(ours)} of {len(rows)} wait for us{f', {late} overdue' if late else ''}. One whole: aleat asks THREAD.")


def _cells(row: AskRow, names: Mapping[str, str], today: date) -> tuple[str, str, str, str, str, str, str]:
    root = row.thread.root
    return (
        _short(row.thread.id),
        row.thread.state,
        root.time[:10] if root is not None else "",
        _sides(root, names) if root is not None else "",
        f"{_kind(root)}: {_said(root)}" if root is not None else "(its first message has not come)",
        _led_to(row.thread),
        _turn(row.step, names, today),
    )


def _print_thread(row: AskRow, names: Mapping[str, str], today: date, ws: Alliance) -> None:
    from aleat.exchange.steps import tree  # noqa: PLC0415

    thread = row.thread
    line(f"{thread.id}  {thread.state}")
    if turn := _turn(row.step, names, today):
        line(f"Waits for {turn}")
    known = ws.object_names(id_ for item in thread.messages for id_ in _objects(item))
    elsewhere = _not_from_us(thread, names, ws)
    for depth, message in tree(thread):
        indent = "    " * depth
        line()
        line(
            f"{indent}{message.time[:16].replace('T', ' ')}Z  {_sides(message, names)}  {_kind(message)}"
            f"  TLP:{message.label.upper()}  by {message.person}  [{_short(message.id)}]"
        )
        for name, values in _fields(message, names, known):
            if name and len(values) > 1:
                line(f"{indent}    {name}:")
                for value in values[:_LISTED]:
                    line(f"{indent}      {value}")
                if len(values) > _LISTED:
                    line(f"{indent}      … and {len(values) - _LISTED} more")
            else:
                wrapped(f"{name}: {values[0]}" if name else values[0], indent=f"{indent}    ")
    if elsewhere:
        line()
        line(f"{len(elsewhere)} of the objects did not go from us to who asks: {', '.join(elsewhere[:_LISTED])}")
    for fault in thread.faults:
        line()
        line(f"Doesn't count: {fault.message}: {_FAULTS[fault.reason]}.")
    for link in row.links:
        line()
        if link.permission == thread.id:
            line(f"Led to: {link.release} left on this permission, in thread {_short(link.given)}.")
        else:
            line(f"Rests on: the permission in thread {_short(link.permission)}, for {link.release}.")


def _not_from_us(thread: Thread, names: Mapping[str, str], ws: Alliance) -> list[str]:
    """Return what an ally asks our permission for, and did not get from us: somebody passed it on, or it guesses."""
    root = thread.root
    if root is None or _kind(root) != "permission request" or names.get(root.recipient) != "us":
        return []
    asked = list(_objects(root))
    given = ws.given_ids(root.sender, asked)
    return [id_ for id_ in asked if id_ not in given]


def _fields(message: Message, names: Mapping[str, str], known: Mapping[str, str]) -> Iterator[tuple[str, list[str]]]:
    """Yield what a message says beside its head, its main sentence first: the field, and its values."""
    main = next((name for name in _TITLES if getattr(message, name, "")), "")
    if main:
        yield "", [str(getattr(message, main))]
    for name in message.__struct_fields__:
        value = getattr(message, name)
        if name in _HEAD or name == main or value in ("", (), None):
            continue
        values = value if isinstance(value, tuple) else (value,)
        yield name.replace("_", " "), [_text(one, names, known) for one in values]


def _text(value: Any, names: Mapping[str, str], known: Mapping[str, str]) -> str:
    if hasattr(value, "__struct_fields__"):
        parts = [(name, getattr(value, name)) for name in value.__struct_fields__]
        if parts[0][0] in {"id", "indicator"}:
            id_ = str(parts[0][1])
            called = known.get(id_) or getattr(value, "what", "")
            return f"{called} ({id_})" if called else id_
        return ", ".join(f"{name} {part}" for name, part in parts if part)
    text = str(value)
    return f"{known[text]} ({text})" if text in known else names.get(text, text)


def _objects(message: Message) -> Iterator[str]:
    for one in (*getattr(message, "objects", ()), *getattr(message, "asked", ())):
        yield one if isinstance(one, str) else getattr(one, "id", "") or getattr(one, "indicator", "")


def _turn(step: Step | None, names: Mapping[str, str], today: date) -> str:
    if step is None:
        return ""
    due = f" by {step.due}" if step.due is not None and step.what != "renew" else ""
    late = " (overdue)" if step.overdue(today) and step.what != "renew" else ""
    return f"{names.get(step.who, step.who)}: {_STEPS[step.what]}{due}{late}"


def _led_to(thread: Thread) -> str:
    from aleat.exchange.messages import Findings  # noqa: PLC0415

    later = [item for item in thread.messages if item.id != thread.id and _kind(item) != "receipt"]
    counts = Counter(map(_kind, later))
    found = [item for item in later if isinstance(item, Findings)]
    words = [f"{count} {kind}s" if count > 1 else kind for kind, count in counts.items() if kind != "findings"]
    if found:
        words.append(
            f"findings: {sum(item.seen for item in found)} seen, {sum(item.not_seen for item in found)} not seen"
        )
    return ", ".join(words)


def _sides(message: Message, names: Mapping[str, str]) -> str:
    return " → ".join(names.get(side, side) for side in (message.sender, message.recipient))


def _said(message: Message) -> str:
    return next((text for name in _TITLES if (text := getattr(message, name, ""))), "")


def _kind(message: Message) -> str:
    return str(message.__struct_config__.tag).replace("-", " ")


def _short(id_: str) -> str:
    return id_.removeprefix("message--")[:8]


def _clip(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def permissions(*, format: LedgerFormat = "table", workspace: WorkspaceOption = None) -> int:
    """Print the leaves of originators that open the gate: whose, for whom, for how many objects, until when.

    Args:
        format: table, json (one array) or jsonl (one line a permission); these name the objects.
        workspace: The workspace's folder.
    """
    with open_alliance(workspace) as ws:
        names = _names(ws)
        found = ws.permissions()
        today = ws.now().date()
    if format != "table":
        write_records((permission_record(one, names, today) for one in found), format)
        return 0
    rows = [
        (
            names.get(one.originator, one.originator),
            names.get(one.recipient, one.recipient),
            len(one.objects),
            one.valid_from,
            one.valid_until,
            permission_state(one, today),
            _short(one.id.replace("permission--", "message--")),
        )
        for one in found
    ]
    table(rows, ("originator", "for", "objects", "from", "until", "state", "message"), limit=len(rows) or 1)
    return 0


def findings(*, format: LedgerFormat = "table", workspace: WorkspaceOption = None) -> int:
    """Print what allies found with what we gave or asked them, beside what we found ourselves.

    Args:
        format: table, json (one array) or jsonl (one line a finding).
        workspace: The workspace's folder.
    """
    with open_workspace(workspace) as ws:
        rows = ws.findings_beside()
        names = _names(ws)
    if format != "table":
        write_records((finding_record(row, names) for row in rows), format)
        return 0
    if not rows:
        line("No ally has answered with findings yet.")
        return 0
    looked = dict.fromkeys(text for row in rows if (text := looked_text(row.looked)))
    cells = [
        (
            _clip(row.name, 44) + (f" {row.finding.value}" if row.finding.value else ""),
            "us" if row.ours else row.ally or row.by,
            row.finding.status,
            row.finding.count or "",
            row.when("first"),
            row.when("last"),
            _clip(row.finding.reason, 30),
            f"[{list(looked).index(text) + 1}]" if (text := looked_text(row.looked)) else "",
        )
        for row in rows
    ]
    headings = ("indicator", "by", "status", "count", "first", "last", "reason", "looked at")
    table(cells, headings, limit=len(cells))
    for number, text in enumerate(looked, 1):
        line(f"[{number}] {text}")
    theirs = [row for row in rows if not row.ours]
    counts = Counter(row.finding.status for row in theirs)
    line()
    line(f"{len(theirs)} findings of allies: {', '.join(f'{count} {status}' for status, count in counts.items())}.")
    return 0
