"""A request for information: "have you seen …?" What is asked goes as indicators, through the asker's gate.

What is asked shows what the asker knows: an indicator that was given to us goes only where its giver lets it go, and
a value that stands in something that stays away from the ally is not asked for. The other side hunts with the
indicators and answers with findings (`aleat.exchange.giving.answer`), which pass its own gate.

Indicators made for a question are kept nowhere but in the message: they are no knowledge, and leave with nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any

import msgspec

from aleat.errors import InputError, NotPermittedError, TrustError
from aleat.exchange.collect import collect_knowledge
from aleat.exchange.desk import Desk, agreed, terms_for
from aleat.exchange.giving import record_decisions
from aleat.exchange.messages import Asked, Inquiry
from aleat.exchange.plain_words import check_words
from aleat.exchange.sending import Sent, message_head, new_id, recipient_of, say
from aleat.release import RULES, Release, describe_derived, prepare
from aleat.stix import StixObject, make_object, random_id
from aleat.trust.agreements import ReleaseTerms
from aleat.trust.markings import marking_id

__all__ = ["inquire", "value_pattern"]

_MOST = 1000
_LONGEST = 2000
_PATHS = {
    "ipv4-addr": "ipv4-addr:value",
    "ipv6-addr": "ipv6-addr:value",
    "domain-name": "domain-name:value",
    "url": "url:value",
    "email-addr": "email-addr:value",
    "mac-addr": "mac-addr:value",
    "file:name": "file:name",
    "windows-registry-key": "windows-registry-key:key",
    "file:ssdeep": "file:hashes.SSDEEP",
}
_HASHES = {32: "MD5", 40: "'SHA-1'", 64: "'SHA-256'", 128: "'SHA-512'"}


def inquire(
    desk: Desk,
    ally: str,
    *,
    question: str,
    indicators: Collection[str] = (),
    values: Sequence[str] = (),
    patterns: Sequence[str] = (),
    needed_by: date | None = None,
    approver: str | None = None,
    **fields: Any,
) -> Sent:
    """Ask an ally whether it has seen these `indicators` (STIX ids), `values` (addresses, hashes …) or `patterns`.

    What the gate keeps is not asked, and `Sent.left_out` has it; where it keeps all, `NotPermittedError` says why.
    The question itself may name nothing that stays away from the ally. `fields` are further ones of `Inquiry`.
    """
    to = recipient_of(desk, ally)
    agreement = agreed(terms_for(desk, to))
    if not 0 < len(indicators) + len(values) + len(patterns) <= _MOST:
        raise InputError(f"Ask for at least one value, pattern or indicator, and at most {_MOST}.")
    made = _make(desk, values, patterns, agreement.release)
    asked = {*indicators, *(item.id for item in made)}
    if other := sorted(id_ for id_ in indicators if not id_.startswith("indicator--")):
        raise InputError(f"{other[0]} is no indicator: only indicators can be hunted for.")
    terms = terms_for(desk, to)
    knowledge = collect_knowledge(desk.connection, desk.root, desk.policy, {**terms.ally_names})
    subjects = [*knowledge.subjects, *(describe_derived(item, desk.own, knowledge.definitions) for item in made)]
    release = prepare(subjects, terms, secret=desk.secret, lists=knowledge.lists, selection=asked)
    check_words(desk, to, question, knowledge)
    told = [item for item in release.objects if item.type == "indicator"]
    kept = _kept(release, asked)
    if not told:
        raise NotPermittedError(f"Nothing of this may be asked of {to.name}: {'; '.join(sorted({*kept.values()}))}.")
    thread = new_id()
    id_ = record_decisions(desk, release, agreement, approver)
    head = message_head(desk, to.identity, thread, thread)
    inquiry = Inquiry(
        **{**head, **fields},
        question=question,
        asked=tuple(Asked(indicator=item.id, what=(item.name or item.pattern or "")[:_LONGEST]) for item in told),
        release=id_,
        sha256=release.sha256,
        needed_by=needed_by,
    )
    names = {item.id: item.name or item.id for item in made}
    left_out = tuple(f"{names.get(one, one)}: {why}" for one, why in sorted(kept.items()))
    return msgspec.structs.replace(say(desk, to, (inquiry,), release, id_), left_out=left_out)


def value_pattern(value: str) -> tuple[str, str]:
    """Return the value in its usual form, and the STIX pattern that looks for it; raises `InputError`.

    >>> value_pattern("evil[.]example")
    ('evil.example', "[domain-name:value = 'evil.example']")
    """
    import polars as pl  # noqa: PLC0415 (opening a file shouldn't load it)

    from aleat.knowledge.values import classify_values  # noqa: PLC0415

    row = classify_values(pl.Series([value.strip()], dtype=pl.String)).row(0, named=True)
    kind, usual = str(row["type"]), str(row["value"])
    path = f"file:hashes.{_HASHES[len(usual)]}" if kind == "file:hashes" and len(usual) in _HASHES else _PATHS.get(kind)
    if path is None:
        raise InputError(f"It isn't clear what kind of value {value[:100]!r} is. Ask for it with --pattern.")
    text = usual.replace("\\", "\\\\").replace("'", "\\'")
    operator = "ISSUBSET" if "addr" in kind and "/" in usual else "="
    return usual, f"[{path} {operator} '{text}']"


def _make(desk: Desk, values: Sequence[str], patterns: Sequence[str], terms: ReleaseTerms) -> list[StixObject]:
    """Return an indicator for each value and pattern, under the label that the agreement sets for what is ours."""
    label = terms.default_label or next(iter(terms.labels), None)
    if label is None and (values or patterns):
        raise TrustError("The agreement lets nothing of ours leave, so nothing can be asked by its value.")
    wanted = [value_pattern(value) for value in values] + [(pattern, pattern) for pattern in patterns]
    return [_indicator(desk, name, _checked(pattern), str(label)) for name, pattern in dict.fromkeys(wanted)]


def _checked(pattern: str) -> str:
    from aleat.hunt.stix_syntax import parse_pattern  # noqa: PLC0415 (opening a file shouldn't load the hunt)

    parse_pattern(pattern)
    return pattern


def _indicator(desk: Desk, name: str, pattern: str, label: str) -> StixObject:
    return make_object(
        "indicator",
        random_id("indicator"),
        created=desk.time,
        created_by_ref=desk.own,
        markings=[marking_id(f"tlp:{label}")],
        name=name[:_LONGEST],
        description="Asked for: have you seen it?",
        indicator_types=["unknown"],
        pattern=pattern,
        pattern_type="stix",
        valid_from=desk.time,
    )


def _kept(release: Release, asked: Collection[str]) -> dict[str, str]:
    """Return what the gate keeps of what was to be asked, and why."""
    decided = {item.object: item for item in release.decisions}
    kept = {id_: "it is not here" for id_ in asked if id_ not in decided}
    for id_, item in decided.items():
        if not item.allow:
            whom = f" (ask {', '.join(item.ask)})" if item.ask else ""
            kept[id_] = f"{RULES[item.rule]}{whom}"
    return kept
