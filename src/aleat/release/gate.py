"""The gate: may this object leave, to this ally, now? One decision for each object; what no rule allows, stays.

A marking is a relation: TLP says what a *recipient* may do with what a *source* gave it
(https://www.first.org/tlp/). What we originate leaves under the label we give it, within the agreement with
the recipient. What another gave leaves only as its label and that giver's agreement allow for this recipient,
or by its originator's recorded permission. RED never leaves. An object that several gave leaves if one copy
permits it, and then on that copy alone.

Here objects are judged one by one; what they name and refer to is `aleat.release.closure`'s business.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from aleat.release.records import CopyFacts, Decision, Rule, Subject, Terms
from aleat.trust.agreements import Agreement, in_force

__all__ = ["agreement_with", "decide"]

_HOLD_LABELS: dict[str, Rule] = {"legal-hold": "legal-hold", "personal-data": "personal-data"}
_DEFINITIONS = ("marking-definition", "extension-definition")

# Of several copies that permit, the first of these is the one that an object leaves on …
_PREFERRED: tuple[Rule, ...] = (
    "own-label",
    "public-corpus",
    "back-to-giver",
    "clear",
    "permission",
    "onward-term",
    "green-community",
    "amber-client",
    "amber-own-organisation",
)
# … and of several that don't, the first of these is the reason given: the nearest to a yes.
_REASONS: tuple[Rule, ...] = (
    "own-unmarked",
    "own-label-not-agreed",
    "green-outside-community",
    "agreement-forbids",
    "amber-not-a-client",
    "third-party",
    "unmarked",
    "marking-weakened",
    "unknown-marking",
    "red",
    "classified",
)


class _Verdict(msgspec.Struct, frozen=True):
    allow: bool
    rule: Rule
    ask: tuple[str, ...] = ()
    parameters: dict[str, str] = {}


def agreement_with(party: str, terms: Terms) -> tuple[Agreement, ...]:
    """Return the agreements in force between us and `party` (a STIX identity id), bilateral ones first."""
    order = {"bilateral": 0, "alliance": 1, "sector-group": 2}
    found = [
        item
        for item in terms.agreements
        if {party, terms.own} <= set(item.parties) and in_force(item, terms.reference_time)
    ]
    return tuple(sorted(found, key=lambda item: (order[item.kind], item.name, -item.version)))


def decide(subjects: Iterable[Subject], terms: Terms) -> tuple[Decision, ...]:
    """Return one decision for each subject, in their order."""
    own_terms = agreement_with(terms.recipient.identity, terms)
    return tuple(_decide(subject, own_terms, terms) for subject in subjects)


def _decide(subject: Subject, own_terms: tuple[Agreement, ...], terms: Terms) -> Decision:
    if not own_terms:
        return _decision(subject, _Verdict(False, "no-agreement", (terms.own,)))
    for kind in (*terms.holds.get(subject.object.id, ()), *subject.object.labels):
        if kind in _HOLD_LABELS:
            return _decision(subject, _Verdict(False, _HOLD_LABELS[kind], (terms.own,)))
    if subject.object.type in _DEFINITIONS:
        return _decision(subject, _Verdict(True, "definition"))
    if not subject.copies:
        return _decision(subject, _Verdict(False, "no-copy"))
    verdicts = [(_judge(subject, copy, own_terms[0], terms), number) for number, copy in enumerate(subject.copies)]
    allowed = [item for item in verdicts if item[0].allow]
    if allowed:
        verdict, number = min(allowed, key=lambda item: (_PREFERRED.index(item[0].rule), _order(subject, item[1])))
        return _decision(subject, verdict, number, own_terms[0])
    verdict, _ = min(verdicts, key=lambda item: (_REASONS.index(item[0].rule), _order(subject, item[1])))
    return _decision(subject, verdict)


def _judge(subject: Subject, copy: CopyFacts, own_terms: Agreement, terms: Terms) -> _Verdict:
    """Judge one copy: first what stops it whoever gave it, then whose it is."""
    giver = terms.ally_names.get(copy.giver, copy.giver)
    ours = giver == terms.own or giver in terms.own_names
    others = tuple(sorted(copy.originators - {terms.own} - terms.own_names - {giver}))
    ask = others or ((giver,) if not ours else ())
    if (stopped := _stopped(copy, ask)) is not None:
        return stopped
    if copy.public_corpus is not None and copy.label in {None, "clear"}:
        return _Verdict(True, "public-corpus", parameters={"corpus": copy.public_corpus})
    if ours and not others:
        return _judge_own(copy, own_terms, terms)
    if giver == terms.recipient.identity and not others:
        return _Verdict(True, "back-to-giver")
    return _judge_received(subject, copy, giver, others, own_terms, terms)


def _stopped(copy: CopyFacts, ask: tuple[str, ...]) -> _Verdict | None:
    """What keeps a copy here whoever gave it."""
    if copy.classified:
        return _Verdict(False, "classified", ask)
    if copy.unknown:
        return _Verdict(False, "unknown-marking", ask, {"marking": copy.unknown[0]})
    if copy.label == "red":
        return _Verdict(False, "red", ask)
    if copy.weakened:
        return _Verdict(False, "marking-weakened", ask)
    return None


def _judge_own(copy: CopyFacts, own_terms: Agreement, terms: Terms) -> _Verdict:
    label = copy.label or own_terms.release.default_label
    if label is None:
        return _Verdict(False, "own-unmarked", (terms.own,), {"agreement": own_terms.name})
    if label == "red" or label not in own_terms.release.labels:
        return _Verdict(False, "own-label-not-agreed", (terms.own,), {"label": label, "agreement": own_terms.name})
    return _Verdict(True, "own-label", parameters={"agreement": own_terms.name})


def _judge_received(
    subject: Subject, copy: CopyFacts, giver: str, others: tuple[str, ...], own_terms: Agreement, terms: Terms
) -> _Verdict:
    sources = others or (giver,)
    if permission := _permitted(subject.object.id, sources, terms):
        return _Verdict(True, "permission", parameters={"permission": permission})
    if copy.label is None:
        return _Verdict(False, "unmarked", sources)
    if copy.label == "clear":
        return _Verdict(True, "clear")
    if others and copy.label != "green":
        return _Verdict(False, "third-party", others, {"label": copy.label})
    return _judge_by_agreement(copy, giver, sources, bool(others), own_terms, terms)


def _judge_by_agreement(
    copy: CopyFacts, giver: str, ask: tuple[str, ...], third: bool, own_terms: Agreement, terms: Terms
) -> _Verdict:
    """GREEN, AMBER or AMBER+STRICT of a giver: what its label allows *and* its agreement with us."""
    label, recipient = copy.label, terms.recipient.identity
    agreements = agreement_with(giver, terms)
    communities = {name for item in agreement_with(recipient, terms) for name in item.communities}
    by_label = False
    for agreement in agreements:
        shared = sorted(communities.intersection(agreement.communities))
        rule = _label_allows(label, bool(shared), own_terms)
        by_label = by_label or rule is not None
        for term in agreement.onward:
            if label not in term.labels:
                continue
            parameters = {"agreement": agreement.name}
            if recipient in term.to and not third:
                return _Verdict(True, "onward-term", parameters=parameters)
            everybody = not term.to and not term.communities
            if rule is not None and (everybody or communities.intersection(term.communities)):
                return _Verdict(True, rule, parameters=parameters)
    if not agreements:
        by_label = _label_allows(label, False, own_terms) is not None
    if by_label:
        return _Verdict(False, "agreement-forbids", ask, {"label": str(label)})
    if third:
        return _Verdict(False, "third-party", ask, {"label": str(label)})
    outside: Rule = "green-outside-community" if label == "green" else "amber-not-a-client"
    return _Verdict(False, outside, ask, {"label": str(label)})


def _label_allows(label: str | None, shared_community: bool, own_terms: Agreement) -> Rule | None:
    """Return the rule by which TLP itself allows this recipient, if it does."""
    if label == "green":
        return "green-community" if shared_community else None
    if own_terms.relation == "own-organisation":
        return "amber-own-organisation"
    return "amber-client" if label == "amber" and own_terms.relation == "constituent" else None


def _permitted(object_: str, sources: tuple[str, ...], terms: Terms) -> str | None:
    """Return the permissions by which every one of `sources` lets this object go to the recipient."""
    found: list[str] = []
    for source in sources:
        for item in terms.permissions:
            if (
                item.originator == source
                and item.recipient == terms.recipient.identity
                and object_ in item.objects
                and in_force(item, terms.reference_time)
            ):
                found.append(item.id)
                break
        else:
            return None
    return ",".join(found)


def _order(subject: Subject, number: int) -> tuple[str, ...]:
    """An order of copies that doesn't depend on the order in which they came."""
    copy = subject.copies[number]
    return (copy.giver, *sorted(copy.originators), str(copy.label))


def _decision(
    subject: Subject, verdict: _Verdict, copy: int | None = None, own_terms: Agreement | None = None
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
    )
