"""The gate: may this object leave, to this ally, now? One decision for each object; what no rule allows, stays.

A marking is a relation: TLP says what a *recipient* may do with what a *source* gave it
(https://www.first.org/tlp/). What we originate leaves under the label we give it, within the agreement with
the recipient. What another gave leaves only as its label and that giver's agreement allow for this recipient,
or by its originator's recorded permission. RED never leaves. An object that several gave leaves if one copy
permits it, and then on that copy alone.

Legal holds, personal data, classifications and unknown markings stop whatever else is said; what names its recipients
(MISP's distribution) or sets conditions (IEP 2.0) stops unless its source permits, or gets it back.

The rules are tables in `aleat.release.rules`. Here objects are judged one by one; what they name and refer to is
`aleat.release.closure`'s business.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from aleat.release.records import CopyFacts, Decision, Rule, Subject, Terms
from aleat.release.rules import COPY_RULES, OBJECT_RULES, Case, Verdict, agreement_with
from aleat.trust.agreements import Agreement

__all__ = ["agreement_with", "decide"]

_NOTHING_ALLOWS = Verdict(False, "unmarked")

# Of several copies that permit, the first of these is the one that an object leaves on …
_PREFERRED: tuple[Rule, ...] = (
    "own-label",
    "public-corpus",
    "back-to-giver",
    "clear",
    "permission",
    "onward-term",
    "green-community",
    "green-client",
    "amber-client",
    "amber-own-organisation",
)
# … and of several that don't, the first of these is the reason given: the nearest to a yes.
_REASONS: tuple[Rule, ...] = (
    "own-unmarked",
    "own-label-not-agreed",
    "below-threshold",
    "names-internal",
    "green-outside-community",
    "agreement-forbids",
    "amber-not-a-client",
    "third-party",
    "unmarked",
    "iep-notification",
    "iep-attribution",
    "iep-instruction",
    "iep-dates",
    "iep-encryption",
    "distribution",
    "marking-weakened",
    "unknown-marking",
    "red",
    "classified",
)


class _LookedError(Exception):
    """A rule looked at the object itself."""


class _Unseen:
    """Stands for any object with the same copies: what is decided without a look at it goes for all of them."""

    def __getattr__(self, name: str) -> NoReturn:
        raise _LookedError


_Word = tuple[Verdict, int | None]


def decide(subjects: Iterable[Subject], terms: Terms) -> tuple[Decision, ...]:
    """Return one decision for each subject, in their order."""
    own_terms = agreement_with(terms.recipient.identity, terms)
    alike: dict[tuple[CopyFacts, ...], _Word | None] = {}
    return tuple(_decide(subject, own_terms, terms, alike) for subject in subjects)


def _decide(
    subject: Subject,
    own_terms: tuple[Agreement, ...],
    terms: Terms,
    alike: dict[tuple[CopyFacts, ...], _Word | None],
) -> Decision:
    for judge in OBJECT_RULES.values():
        if (verdict := judge(subject, own_terms, terms)) is not None:
            return _decision(subject, verdict)
    if not own_terms or not subject.copies:
        return _decision(subject, _NOTHING_ALLOWS)
    copies = subject.copies
    if copies not in alike:
        unseen: Any = _Unseen()
        try:
            alike[copies] = _judge_all(unseen, copies, own_terms[0], terms)
        except _LookedError:
            alike[copies] = None
    verdict, number = alike[copies] or _judge_all(subject, copies, own_terms[0], terms)
    return _decision(subject, verdict, number, own_terms[0])


def _judge_all(subject: Subject, copies: Sequence[CopyFacts], own_terms: Agreement, terms: Terms) -> _Word:
    """Return the word on all copies of an object, and the copy on which it leaves, if it does."""
    verdicts = [(_judge(subject, copy, own_terms, terms), number) for number, copy in enumerate(copies)]
    allowed = [item for item in verdicts if item[0].allow]
    if allowed:
        return min(allowed, key=lambda item: (_PREFERRED.index(item[0].rule), _order(copies, item[1])))
    return min(verdicts, key=lambda item: (_REASONS.index(item[0].rule), _order(copies, item[1])))[0], None


def _judge(subject: Subject, copy: CopyFacts, own_terms: Agreement, terms: Terms) -> Verdict:
    """Judge one copy: the first rule of the table that has a word decides, and without one it stays."""
    giver = terms.ally_names.get(copy.giver, copy.giver)
    ours = giver == terms.own or giver in terms.own_names
    others = tuple(sorted(copy.originators - {terms.own} - terms.own_names - {giver}))
    case = Case(subject, copy, giver, ours, others, own_terms, terms)
    for judge in COPY_RULES.values():
        if (verdict := judge(case)) is not None:
            return verdict
    return _NOTHING_ALLOWS


def _order(copies: Sequence[CopyFacts], number: int) -> tuple[str, ...]:
    """An order of copies that doesn't depend on the order in which they came."""
    copy = copies[number]
    return (copy.giver, *sorted(copy.originators), str(copy.label))


def _decision(
    subject: Subject, verdict: Verdict, copy: int | None = None, own_terms: Agreement | None = None
) -> Decision:
    label = subject.copies[copy].label if copy is not None else None
    form = "as-is" if verdict.allow else "withheld"
    if verdict.rule == "own-label" and label is None and own_terms is not None:
        label, form = own_terms.release.default_label, "labelled"
    if verdict.rule == "public-corpus" and label is None:
        label = "clear"
    return Decision(
        object=subject.object.id,
        version=subject.object.version,
        type=subject.object.type,
        digest=subject.object.digest,
        allow=verdict.allow,
        rule=verdict.rule,
        label=label,
        ask=verdict.ask,
        copy=copy,
        form=form,  # type: ignore[arg-type]
        parameters=dict(verdict.parameters),
        markings=subject.copies[copy].beside if copy is not None else (),
    )
