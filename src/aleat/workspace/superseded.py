"""A Sigma rule that comes again, changed: the giver's older text ends, and stays in the workspace with the reason.

A rule's text decides the id of its indicator, so that a changed rule is another object. What makes two of them one rule
is what the standard says: the rule's own ``id``, and of two with one id the one with the later ``modified`` (else
``date``) is the newer. Only a giver's own copies end, under the same agreement; what another gave goes on. Two texts of
one day, or without a day, can't be told apart so: both are hunted for. YARA has no ids, and names aren't unique: a
changed YARA rule stands beside the older one until its giver withdraws it, or a pull no longer brings it.

Specification: https://sigmahq.io/sigma-specification/specification/sigma-rules-specification.html (id, date, modified).
"""

from __future__ import annotations

from collections.abc import Iterable

from aleat.knowledge import UNDATED
from aleat.stix.extensions import read_extension
from aleat.stix.objects import StixObject
from aleat.stix.times import parse_timestamp
from aleat.store.database import Connection
from aleat.store.ledger import append_entry
from aleat.store.objects import StoredObject, find_objects, shared_values
from aleat.store.withdrawn import SUPERSEDED, withdrawn_copies
from aleat.workspace.core import Session

__all__ = ["end_older_texts", "rule_ids"]


def rule_ids(items: Iterable[StixObject]) -> set[str]:
    """Return the rules' own ids of those that are Sigma rules."""
    return {found for item in items if item.pattern_type == "sigma" and (found := _rule_id(item))}


def end_older_texts(
    session: Session, connection: Connection, rules: Iterable[str], giver: str, agreement: str | None
) -> int:
    """End what is older of these rules (their own ids) that one giver gave; return how many texts ended.

    An entry of the ledger of decisions names them; to be called when all that came is in, in its transaction.
    """
    shared = shared_values(connection, rules)
    if not shared:
        return 0
    gone = withdrawn_copies(connection)
    ended: list[tuple[str, str]] = []
    for rule in shared:
        given = [
            stored.object
            for stored in find_objects(connection, types=["indicator"], value=rule, giver=giver)
            if _is_given(stored, giver, agreement) and _rule_id(stored.object) == rule
        ]
        dated = [item for item in given if (giver, agreement, item.digest) not in gone and _is_dated(item)]
        newest = max((parse_timestamp(item.version) for item in dated), default=None)
        for item in dated:
            if newest is not None and parse_timestamp(item.version) < newest:
                ended.append((item.digest, newest.date().isoformat()))
    if ended:
        data = {"giver": giver, "agreement": agreement, "gone": [list(one) for one in sorted(ended)]}
        time = session.now()
        append_entry(connection, "decisions", SUPERSEDED, data, actor=session.actor, time=time, key=session.key)
    return len(ended)


def _is_given(stored: StoredObject, giver: str, agreement: str | None) -> bool:
    return any((copy.giver, copy.agreement) == (giver, agreement) for copy in stored.copies)


def _rule_id(item: StixObject) -> str:
    rule = read_extension(item, "rule") or {}
    return str(rule.get("rule_id") or "")


def _is_dated(item: StixObject) -> bool:
    return bool(item.version) and parse_timestamp(item.version) > UNDATED
