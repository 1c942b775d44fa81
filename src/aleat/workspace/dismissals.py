"""The verbs of dismissals: "this is normal here", said, listed, undone."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from aleat.errors import RuleError, TrustError
from aleat.hunt import Plan
from aleat.hunt.alerts import names_alert
from aleat.hunt.dismissals import Dismissal, filter_text, logsource_of, parse_where
from aleat.hunt.explain import find_rule
from aleat.hunt.stored import alerts_kept
from aleat.stix.times import format_timestamp
from aleat.store.database import Connection
from aleat.store.dismissals import DismissalRow, put_dismissal, read_dismissals, undo_dismissal
from aleat.store.hunts import get_run, read_found
from aleat.workspace.core import Session
from aleat.workspace.evidence import open_lake

__all__ = ["dismiss", "in_force", "raised_rule", "undo"]

_LISTED = 5


def in_force(connection: Connection) -> list[Dismissal]:
    """Return the dismissals that were not undone."""
    return [
        Dismissal(row.id, row.rule, row.text, row.author) for row in read_dismissals(connection) if row.undone is None
    ]


def dismiss(session: Session, plan: Plan, rule: str, reason: str, where: Iterable[str]) -> DismissalRow:
    """Write down that a rule's sightings are normal where the conditions hold."""
    if not reason.strip():
        raise TrustError("A dismissal needs a reason: say why this is normal here.")
    try:
        identifier, title = _rule(plan, rule)
    except RuleError:
        raised = raised_rule(session, rule)
        if raised is None:
            raise
        identifier, title = raised
    now = session.now()
    name = str(uuid.uuid4())
    text = filter_text(
        identifier=name,
        rule=identifier,
        title=title,
        logsource=logsource_of(plan, identifier),
        where=parse_where(where),
        reason=reason,
        author=session.actor,
        date=now.date().isoformat(),
    )
    row = DismissalRow(
        id=name, rule=identifier, text=text, reason=reason, author=session.actor, time=format_timestamp(now)
    )
    with session.writing(), session.write() as connection:
        put_dismissal(connection, row, time=now, key=session.key)
    return row


def raised_rule(session: Session, name: str) -> tuple[str, str] | None:
    """Return the id and the title of another tool's rule whose alerts the last hunt found, by `name`.

    Raises `RuleError` where several are called so.
    """
    found: dict[str, str] = {}
    with session.read() as connection:
        run = get_run(connection)
        if run is None:
            return None
        for segment in open_lake(session).segments():
            for identifier, tool, title in alerts_kept(read_found(connection, run, segment.id)):
                if names_alert(name, identifier, tool, title):
                    found.setdefault(identifier, title)
    if len(found) > 1:
        listed = ", ".join(sorted(found)[:_LISTED])
        raise RuleError(
            f"{len(found)} rules of other tools are called {name[:80]!r}.", advice=f"Give an id: {listed} …"
        )
    return next(iter(found.items()), None)


def undo(session: Session, identifier: str, reason: str) -> DismissalRow:
    """Undo a dismissal (an id, or the beginning of one)."""
    with session.writing(), session.write() as connection:
        return undo_dismissal(connection, identifier, reason, actor=session.actor, time=session.now(), key=session.key)


def _rule(plan: Plan, name: str) -> tuple[str, str]:
    """Return the id and the title of a rule; of a list's value, the id with the value."""
    try:
        identifier = find_rule(plan, name)
    except RuleError:
        base, mark, value = name.partition("#")
        if not mark:
            raise
        return f"{find_rule(plan, base)}#{value}", value
    titles = {rule.indicator.id: rule.indicator.title for rule in plan.rules}
    titles |= {item.id: item.title for item in (*plan.lists, *plan.patterns, *plan.yara)}
    titles |= {rule.indicator.id: rule.indicator.title for rule in plan.correlations}
    return identifier, titles.get(identifier, identifier)
