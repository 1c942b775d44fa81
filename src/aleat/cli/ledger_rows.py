"""The ledger of asks and gives for programs: threads, permissions, withdrawals and findings as records of JSON.

Identities stand with the name by which we know them; messages as they were signed (`aleat.exchange.messages`).
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

if TYPE_CHECKING:
    from aleat.exchange import FindingRow
    from aleat.exchange.messages import Message
    from aleat.exchange.receipts import WithdrawalRow
    from aleat.exchange.steps import AskRow, Step
    from aleat.trust.agreements import Permission

__all__ = [
    "LedgerFormat",
    "ask_record",
    "finding_record",
    "permission_record",
    "permission_state",
    "thread_record",
    "withdrawal_record",
    "write_records",
]

LedgerFormat = Annotated[Literal["table", "json", "jsonl"], Parameter(name=["-t", "--format"])]

Names = Mapping[str, str]
"""What those are called whose identities (ids) we know: "us", and our allies."""


def write_records(records: Iterable[Mapping[str, Any]], format: str) -> None:
    """Write records to standard output: one array (json), or one a line (jsonl)."""
    from aleat.hunt.row_output import write_rows  # noqa: PLC0415

    found = list(records)
    write_rows(found, sys.stdout.buffer, format, tuple(found[0]) if found else ())


def ask_record(row: AskRow, names: Names, today: date) -> dict[str, Any]:
    """Return a thread as the ledger lists it; its messages are counted by kind. What isn't known yet is None."""
    thread, root = row.thread, row.thread.root
    return {
        "thread": thread.id,
        "state": thread.state,
        "kind": root and root.__struct_config__.tag,
        "time": root and root.time,
        "from": root and _party(root.sender, names),
        "to": root and _party(root.recipient, names),
        "label": root and root.label,
        "messages": dict(Counter(str(item.__struct_config__.tag) for item in thread.messages)),
        "waits_for": _step(row.step, names, today),
        "faults": [{"message": fault.message, "reason": fault.reason} for fault in thread.faults],
        "permissions": [
            {"permission": link.permission, "given": link.given, "release": link.release} for link in row.links
        ],
    }


def thread_record(row: AskRow, names: Names, today: date, not_from_us: Sequence[str]) -> dict[str, Any]:
    """Return a thread with its messages whole, in the order of their time.

    `not_from_us` are objects that our permission is asked for, and that did not go from us to who asks.
    """
    record = ask_record(row, names, today)
    return {**record, "messages": [_message(item) for item in row.thread.messages], "not_from_us": list(not_from_us)}


def permission_record(one: Permission, names: Names, today: date) -> dict[str, Any]:
    """Return an originator's leave with its objects' ids, and whether it holds today."""
    return {
        "permission": one.id,
        "originator": _party(one.originator, names),
        "for": _party(one.recipient, names),
        "objects": sorted(one.objects),
        "from": one.valid_from.isoformat(),
        "until": one.valid_until.isoformat(),
        "state": permission_state(one, today),
    }


def permission_state(one: Permission, today: date) -> str:
    """Return "holds", "not yet" or "ended"."""
    if one.valid_from <= today <= one.valid_until:
        return "holds"
    return "not yet" if today < one.valid_from else "ended"


def withdrawal_record(one: WithdrawalRow, names: Names) -> dict[str, Any]:
    """Return what we withdrew from an ally; `received` is None until its receipt came."""
    return {
        "time": one.time,
        "ally": _party(one.ally, names),
        "release": one.release or None,
        "objects": list(one.objects),
        "received": one.received or None,
        "reason": one.reason,
    }


def finding_record(row: FindingRow, names: Names) -> dict[str, Any]:
    """Return what somebody found with an indicator, and what was looked at; times are as exact as they were told."""
    looked = row.looked
    return {
        "indicator": row.finding.indicator,
        "name": row.name,
        "value": row.finding.value or None,
        "by": _party(row.by, names),
        "ours": row.ours,
        "status": row.finding.status,
        "count": row.finding.count,
        "first": row.when("first") or None,
        "last": row.when("last") or None,
        "reason": row.finding.reason or None,
        "looked_at": {
            "sources": looked.sources,
            "hosts": looked.hosts,
            "events": looked.events,
            "first": looked.first and looked.first.isoformat(),
            "last": looked.last and looked.last.isoformat(),
            "gaps": looked.gaps,
        },
    }


def _party(identity: str, names: Names) -> dict[str, str | None]:
    return {"identity": identity, "name": names.get(identity)}


def _step(step: Step | None, names: Names, today: date) -> dict[str, Any] | None:
    if step is None:
        return None
    return {
        **_party(step.who, names),
        "what": step.what,
        "message": step.message,
        "due": step.due and step.due.isoformat(),
        "overdue": step.overdue(today),
    }


def _message(message: Message) -> dict[str, Any]:
    import msgspec  # noqa: PLC0415

    found: dict[str, Any] = msgspec.to_builtins(message)
    return found
