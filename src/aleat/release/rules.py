"""The gate's rules, one function each, in two literal tables: the first that has a word on an object or a copy decides.

A marking is a relation: TLP says what a *recipient* may do with what a *source* gave it
(https://www.first.org/tlp/); FIRST's IEP 2.0 sets conditions (https://www.first.org/iep/); MISP's distribution and
sharing groups name who may have something. A rule gives its verdict, or None where it has nothing to say. No rule
rests on another having refused before it, but for what stops a copy whoever gave it, which stands first.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final, Literal

import msgspec

from aleat.release.records import CopyFacts, Rule, Subject, Terms
from aleat.release.redact import is_kept, is_too_few
from aleat.release.words import strings_of, uuids_of
from aleat.trust.agreements import Agreement, AllyCard, fingerprint, in_force

__all__ = ["COPY_RULES", "OBJECT_RULES", "Case", "Verdict", "agreement_with", "may_read_red"]

_DEFINITIONS = ("marking-definition", "extension-definition")


class Verdict(msgspec.Struct, frozen=True):
    """What a rule says of a copy: whether it leaves, and whom to ask if not."""

    allow: bool
    rule: Rule
    ask: tuple[str, ...] = ()
    parameters: dict[str, str] = {}


class Case(msgspec.Struct, frozen=True):
    """One copy before the rules: whose it is, and the agreement in force with the recipient.

    `others` are originators that are neither we nor the giver.
    """

    subject: Subject
    copy: CopyFacts
    giver: str
    ours: bool
    others: tuple[str, ...]
    own_terms: Agreement
    terms: Terms

    @property
    def ask(self) -> tuple[str, ...]:
        """Who could say yes; nobody, where it is ours alone."""
        return self.others or ((self.giver,) if not self.ours else ())

    @property
    def sources(self) -> tuple[str, ...]:
        """Whose permission counts: every one of them."""
        return self.others or (self.giver,)

    @property
    def recipient(self) -> str:
        """The recipient's identity."""
        return self.terms.recipient.identity

    @property
    def own(self) -> bool:
        """Whether we gave it, and nobody else made it."""
        return self.ours and not self.others

    @property
    def returned(self) -> bool:
        """Whether it goes back to its giver, who made it."""
        return self.giver == self.recipient and not self.others

    @property
    def released(self) -> bool:
        """Whether who gave it would not mind, or said so: it goes back, or is permitted."""
        return self.returned or bool(_permitted(self))

    def allow(self, rule: Rule, **parameters: str) -> Verdict:
        """Return the verdict that it leaves."""
        return Verdict(True, rule, parameters=parameters)

    def refuse(self, rule: Rule, **parameters: str) -> Verdict:
        """Return the verdict that it stays, and whom to ask."""
        return Verdict(False, rule, self.ask or (self.terms.own,), parameters)


CopyRule = Callable[[Case], "Verdict | None"]
ObjectRule = Callable[[Subject, tuple[Agreement, ...], Terms], "Verdict | None"]


def agreement_with(party: str, terms: Terms) -> tuple[Agreement, ...]:
    """Return the agreements in force between us and `party` (a STIX identity id), bilateral ones first.

    With ourselves there is none: what a third said and we put in ourselves came under nobody's agreement.
    """
    order = {"bilateral": 0, "alliance": 1, "sector-group": 2}
    found = [
        item
        for item in terms.agreements
        if party != terms.own and {party, terms.own} <= set(item.parties) and in_force(item, terms.reference_time)
    ]
    return tuple(sorted(found, key=lambda item: (order[item.kind], item.name, -item.version)))


# ------------------------------------------------------------------- what is judged before any copy of it


def _no_agreement(_: Subject, own_terms: tuple[Agreement, ...], terms: Terms) -> Verdict | None:
    return None if own_terms else Verdict(False, "no-agreement", (terms.own,))


def _other_keys(_: Subject, own_terms: tuple[Agreement, ...], terms: Terms) -> Verdict | None:
    """The agreement names keys, and the card has others: nothing leaves until it names those."""
    card = terms.recipient
    parties = own_terms[0].ally if own_terms else ()
    named = [one.fingerprint for one in parties if one.identity == card.identity and one.fingerprint]
    if not named or "".join(named[0].split()).upper() == _keys_of(card).replace(" ", ""):
        return None
    return Verdict(False, "keys-not-agreed", (terms.own,), {"agreement": own_terms[0].name})


@lru_cache(64)
def _keys_of(card: AllyCard) -> str:
    return fingerprint(card)


def may_read_red(own_terms: Agreement, terms: Terms) -> bool:
    """Tell whether a sealed file goes to a person of the recipient's whom the agreement names for RED."""
    people = [person for one in own_terms.ally if one.identity == terms.recipient.identity for person in one.people]
    return terms.channel == "sealed" and any(person.red and person.name == terms.reader for person in people)


def _held(kind: Literal["legal-hold", "personal-data"]) -> ObjectRule:
    def judge(subject: Subject, _: tuple[Agreement, ...], terms: Terms) -> Verdict | None:
        kinds = (*terms.holds.get(subject.object.id, ()), *subject.object.labels)
        return Verdict(False, kind, (terms.own,)) if kind in kinds else None

    return judge


def _withdrawn(subject: Subject, _: tuple[Agreement, ...], terms: Terms) -> Verdict | None:
    return Verdict(False, "withdrawn", (terms.own,)) if "withdrawn" in terms.holds.get(subject.object.id, ()) else None


def _definition(subject: Subject, _: tuple[Agreement, ...], __: Terms) -> Verdict | None:
    return Verdict(True, "definition") if subject.object.type in _DEFINITIONS else None


def _no_copy(subject: Subject, _: tuple[Agreement, ...], __: Terms) -> Verdict | None:
    return None if subject.copies else Verdict(False, "no-copy")


# -------------------------------------------------------------------- what stops a copy, whoever gave it


def _classified(case: Case) -> Verdict | None:
    return case.refuse("classified") if case.copy.classified else None


def _unknown(case: Case) -> Verdict | None:
    return case.refuse("unknown-marking", marking=case.copy.unknown[0]) if case.copy.unknown else None


def _red(case: Case) -> Verdict | None:
    """RED is for named people: ours may go to one whom the agreement names for it, in a sealed file, by name."""
    if case.copy.label != "red" or (case.own and may_read_red(case.own_terms, case.terms)):
        return None
    return case.refuse("red")


def _weakened(case: Case) -> Verdict | None:
    return case.refuse("marking-weakened") if case.copy.weakened else None


def _distribution(case: Case) -> Verdict | None:
    """MISP's "your organisation only" and sharing groups: each that it bears must name the recipient."""
    if all(case.recipient in named for named in case.copy.named) or case.returned:
        return None
    if case.released and b"SharingGroupOrg" not in case.subject.object.content:  # who is in a group is told to nobody
        return None
    return case.refuse("distribution")


def _iep_encryption(case: Case) -> Verdict | None:
    """ENCRYPT IN TRANSIT: MUST (IEP framework §8) binds whoever sends it, ourselves too, and whoever permits it."""
    if case.terms.channel != "plain" or all(policy.encrypt_in_transit == "may" for policy in case.copy.policies):
        return None
    return case.refuse("iep-encryption")


def _iep_dates(case: Case) -> Verdict | None:
    if all(policy.holds(case.terms.reference_time) for policy in case.copy.policies) or case.released:
        return None
    return case.refuse("iep-dates")


def _iep_instruction(case: Case) -> Verdict | None:
    """To hand something on is an action; NONE and CONTACT FOR INSTRUCTION permit none (IEP framework §8)."""
    actions = {policy.permitted_actions for policy in case.copy.policies}
    if case.own or not actions & {"none", "contact-for-instruction"} or case.released:
        return None
    return case.refuse("iep-instruction")


def _iep_attribution(case: Case) -> Verdict | None:
    """What others made is never changed: it can neither lose its maker's id nor be given one."""
    says = {policy.attribution for policy in case.copy.policies} & {"must", "must-not"}
    if case.own or not says or case.released:
        return None
    there = uuids_of(strings_of(case.subject.object.properties()))
    names = any(source.rpartition("--")[2] in there for source in {*case.copy.originators, case.giver})
    if ("must-not" in says and names) or ("must" in says and case.subject.object.created_by_ref is None):
        return case.refuse("iep-attribution")
    return None


def _iep_notification(case: Case) -> Verdict | None:
    """A client of ours may be the very party that is affected (IEP framework §8)."""
    forbids = any(policy.affected_party_notifications == "must-not" for policy in case.copy.policies)
    if case.own or not forbids or case.own_terms.relation != "constituent" or case.released:
        return None
    return case.refuse("iep-notification")


# ------------------------------------------------------------------------------- whose it is, and its label


def _public_corpus(case: Case) -> Verdict | None:
    copy = case.copy
    if copy.public_corpus is None or copy.label not in {None, "clear"}:
        return None
    return case.allow("public-corpus", corpus=copy.public_corpus)


def _own_unmarked(case: Case) -> Verdict | None:
    if not case.own or case.copy.label or case.own_terms.release.default_label:
        return None
    return case.refuse("own-unmarked", agreement=case.own_terms.name)


def _own_label_not_agreed(case: Case) -> Verdict | None:
    label = case.copy.label or case.own_terms.release.default_label
    if not case.own or label is None or (label != "red" and label in case.own_terms.release.labels):
        return None
    if case.copy.label == "red" and may_read_red(case.own_terms, case.terms):
        return None
    return case.refuse("own-label-not-agreed", label=label, agreement=case.own_terms.name)


def _below_threshold(case: Case) -> Verdict | None:
    few = case.own and case.own_terms.release.threshold > 1 and is_too_few(case.subject.object, case.own_terms.release)
    return case.refuse("below-threshold", agreement=case.own_terms.name) if few else None


def _own_internal(case: Case) -> Verdict | None:
    kept = case.own and is_kept(case.subject.object, case.terms, case.own_terms.release)
    return case.refuse("names-internal", agreement=case.own_terms.name) if kept else None


def _own_label(case: Case) -> Verdict | None:
    if not case.own:
        return None
    reader = {"reader": case.terms.reader} if case.copy.label == "red" else {}
    return case.allow("own-label", agreement=case.own_terms.name, **reader)


def _back_to_giver(case: Case) -> Verdict | None:
    return case.allow("back-to-giver") if case.returned else None


def _permission(case: Case) -> Verdict | None:
    found = _permitted(case)
    return case.allow("permission", permission=found) if found else None


def _unmarked(case: Case) -> Verdict | None:
    return Verdict(False, "unmarked", case.sources) if case.copy.label is None else None


def _clear(case: Case) -> Verdict | None:
    return case.allow("clear") if case.copy.label == "clear" else None


def _third_party(case: Case) -> Verdict | None:
    if not case.others or case.copy.label == "green":
        return None
    return Verdict(False, "third-party", case.others, {"label": str(case.copy.label)})


def _onward_term(case: Case) -> Verdict | None:
    """The giver's agreement names the recipient: beyond its label, but not for what a third said."""
    for agreement in agreement_with(case.giver, case.terms):
        for term in agreement.onward:
            if case.copy.label in term.labels and case.recipient in term.to and not case.others:
                return case.allow("onward-term", agreement=agreement.name)
    return None


def _by_label(rule: Rule) -> CopyRule:
    """GREEN, AMBER or AMBER+STRICT of a giver: what its label allows *and* its agreement with us."""

    def judge(case: Case) -> Verdict | None:
        communities = _communities(case)
        for agreement in agreement_with(case.giver, case.terms):
            if _label_allows(case, bool(communities.intersection(agreement.communities))) != rule:
                continue
            for term in agreement.onward:
                everybody = not term.to and not term.communities
                if case.copy.label in term.labels and (everybody or communities.intersection(term.communities)):
                    return case.allow(rule, agreement=agreement.name)
        return None

    return judge


def _agreement_forbids(case: Case) -> Verdict | None:
    agreements = agreement_with(case.giver, case.terms)
    communities = _communities(case)
    shared = [bool(communities.intersection(agreement.communities)) for agreement in agreements] or [False]
    if all(_label_allows(case, one) is None for one in shared):
        return None
    return Verdict(False, "agreement-forbids", case.sources, {"label": str(case.copy.label)})


def _third_party_outside(case: Case) -> Verdict | None:
    """GREEN that a third said, where the recipient is in no community of the giver's: the third may know better."""
    return Verdict(False, "third-party", case.others, {"label": str(case.copy.label)}) if case.others else None


def _outside(label: str, rule: Rule) -> CopyRule:
    def judge(case: Case) -> Verdict | None:
        fits = (case.copy.label == "green") == (label == "green")
        return Verdict(False, rule, case.sources, {"label": str(case.copy.label)}) if fits else None

    return judge


def _communities(case: Case) -> set[str]:
    return {name for item in agreement_with(case.recipient, case.terms) for name in item.communities}


def _label_allows(case: Case, shared_community: bool) -> Rule | None:
    """Return the rule by which TLP itself allows this recipient, if it does: GREEN goes wherever AMBER may."""
    label, relation = case.copy.label, case.own_terms.relation
    if label == "green":
        outside: Rule | None = "green-client" if relation != "ally" else None
        return "green-community" if shared_community else outside
    if relation == "own-organisation":
        return "amber-own-organisation"
    return "amber-client" if label == "amber" and relation == "constituent" else None


def _permitted(case: Case) -> str | None:
    """Return the permissions by which every one of its sources lets this object go to the recipient."""
    found: list[str] = []
    terms = case.terms
    for source in case.sources:
        for item in terms.permissions:
            if (
                item.originator == source
                and item.recipient == terms.recipient.identity
                and in_force(item, terms.reference_time)
                and case.subject.object.id in item.objects
            ):
                found.append(item.id)
                break
        else:
            return None
    return ",".join(found)


OBJECT_RULES: Final[dict[str, ObjectRule]] = {
    "no-agreement": _no_agreement,
    "keys-not-agreed": _other_keys,
    "legal-hold": _held("legal-hold"),
    "personal-data": _held("personal-data"),
    "withdrawn": _withdrawn,
    "definition": _definition,
    "no-copy": _no_copy,
}
"""What decides on an object before its copies are looked at: the first with a word does."""

COPY_RULES: Final[dict[str, CopyRule]] = {
    # what stops a copy, whoever gave it
    "classified": _classified,
    "unknown-marking": _unknown,
    "red": _red,
    "marking-weakened": _weakened,
    "distribution": _distribution,
    "iep-encryption": _iep_encryption,
    "iep-dates": _iep_dates,
    "iep-instruction": _iep_instruction,
    "iep-attribution": _iep_attribution,
    "iep-notification": _iep_notification,
    # whose it is
    "public-corpus": _public_corpus,
    "own-unmarked": _own_unmarked,
    "own-label-not-agreed": _own_label_not_agreed,
    "below-threshold": _below_threshold,
    "names-internal": _own_internal,
    "own-label": _own_label,
    "back-to-giver": _back_to_giver,
    "permission": _permission,
    # its label, and its giver's agreement
    "unmarked": _unmarked,
    "clear": _clear,
    "third-party": _third_party,
    "onward-term": _onward_term,
    "green-community": _by_label("green-community"),
    "green-client": _by_label("green-client"),
    "amber-client": _by_label("amber-client"),
    "amber-own-organisation": _by_label("amber-own-organisation"),
    "agreement-forbids": _agreement_forbids,
    "third-party-outside": _third_party_outside,
    "green-outside-community": _outside("green", "green-outside-community"),
    "amber-not-a-client": _outside("amber", "amber-not-a-client"),
}
"""The rules for one copy, in their order: the first with a word decides. Each can be taken out by itself."""
