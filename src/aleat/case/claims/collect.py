"""What to collect to test each claim: which logs, of which hosts, for which dates.

The table ``collect.toml`` maps what was hit and what is said to have happened to sources; condemnations, offers
and severed relations can't be tested in logs and get no row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import cache
from typing import Any

from aleat.case.claims.dates import DateMention
from aleat.case.claims.lexicon import table
from aleat.case.records import Claim, CollectItem

__all__ = ["collect_item", "effects_of"]


@cache
def _rows(kind: str) -> tuple[tuple[str, frozenset[str], tuple[str, ...]], ...]:
    rows: Iterable[dict[str, Any]] = table("collect")[kind]
    key = "code" if kind == "effect" else "name"
    return tuple((row[key], frozenset(row["words"]), tuple(row["logs"])) for row in rows)


def effects_of(lows: Iterable[str]) -> tuple[str, ...]:
    """Return the codes of the effects that words name ("disruption", "encryption", "wiping", "theft", …)."""
    found = frozenset(lows)
    return tuple(code for code, wanted, _ in _rows("effect") if wanted & found)


def _dates(mention: DateMention | None) -> str:
    words = table("collect")["dates"]
    if mention is None:
        return str(words["unsaid"])
    if mention.first is None or mention.last is None:
        return str(words["unsettled"]).format(text=mention.text)
    margin = mention.first - timedelta(days=int(words["margin_days"]))
    return str(words["settled"]).format(first=mention.first, last=mention.last, margin=margin)


def collect_item(
    claim: Claim, lows: Iterable[str], effects: Sequence[str], hosts: tuple[str, ...], date: DateMention | None
) -> CollectItem | None:
    """Return what tests `claim`, or None where no log can.

    `lows` are the words of the claim and of the victim's name, `hosts` the systems as the text names them.
    """
    question = table("collect")["questions"].get(claim.act)
    if question is None:
        return None
    found = frozenset(lows)
    logs: list[str] = []
    for _, wanted, sources in _rows("system"):
        if wanted & found:
            logs += sources
    for code, _, sources in _rows("effect"):
        if code in effects:
            logs += sources
    logs += table("collect")["always"]["logs"]
    if {"theft", "leak"} & set(effects) and claim.act in ("claims-responsibility", "denies"):
        question = "was-data-taken"
    unique = tuple(dict.fromkeys(logs))
    return CollectItem(claim=claim.id, question=question, logs=unique, hosts=hosts, dates=_dates(date))
