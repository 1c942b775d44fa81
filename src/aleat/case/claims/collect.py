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


def _dates(mentions: Sequence[DateMention]) -> str:
    words = table("collect")["dates"]
    if not mentions:
        return str(words["unsaid"])
    found = []
    for mention in mentions:
        if mention.first is None or mention.last is None:
            found.append(str(words["unsettled"]).format(text=mention.text))
            continue
        margin = mention.first - timedelta(days=int(words["margin_days"]))
        day = mention.first == mention.last
        key = "day" if day else "settled"
        found.append(str(words[key]).format(first=mention.first, last=mention.last, margin=margin))
    return "; ".join(dict.fromkeys(found))


def _question(claim: Claim, own: frozenset[str]) -> str | None:
    """Return the question that a claim puts: who did it, whether data was taken, whether it happened."""
    if {"theft", "leak"} & own and claim.act in ("claims-responsibility", "denies"):
        return "was-data-taken"
    if "not-independent" in claim.labels:
        return "who-did-it"
    found = table("collect")["questions"].get(claim.act)
    return str(found) if found is not None else None


def collect_item(
    claim: Claim,
    lows: Iterable[str],
    effects: tuple[Sequence[str], frozenset[str]],
    hosts: tuple[str, ...],
    dates: Sequence[DateMention],
) -> CollectItem | None:
    """Return what tests `claim`, or None where no log can.

    `lows` are the words of the victim's names, `effects` the codes alleged of the attack and those in the claim's
    own sentence, `hosts` the systems as the text names them, `dates` those of the attacks.
    """
    alleged, own = effects
    question = _question(claim, own)
    if question is None:
        return None
    found = frozenset(lows)
    wanted = table("collect")["wanted"][question]
    logs: list[str] = []
    for _, names, sources in _rows("system"):
        if names & found:
            logs += sources
    for code, _, sources in _rows("effect"):
        if code in wanted["always"] or (code in wanted["alleged"] and code in alleged):
            logs += sources
    if wanted["general"] or not logs:
        logs += table("collect")["always"]["logs"]
    unique = tuple(dict.fromkeys(logs))
    return CollectItem(claim=claim.id, question=question, logs=unique, hosts=hosts, dates=_dates(dates))
