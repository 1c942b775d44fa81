"""From what the store knows about an object to what the gate asks: labels, originators, corpora, weakened copies."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from aleat.release.records import CopyFacts, Subject
from aleat.stix.objects import StixObject
from aleat.store.objects import Provenance, StoredObject
from aleat.trust.agreements import Label
from aleat.trust.corpora import CorpusPolicy
from aleat.trust.markings import EffectiveMarkings, effective_markings, read_marking, tell_definition

__all__ = ["Definitions", "FactsMemo", "describe_derived", "describe_stored", "strictest_label"]

FactsMemo = dict[tuple[Hashable, ...], CopyFacts]
"""Facts of copies by what they follow from; good for one set of definitions and one policy."""

_ORDER: tuple[Label, ...] = ("clear", "green", "amber", "amber+strict", "red")


def strictest_label(markings: EffectiveMarkings) -> Label | None:
    """Return the strictest TLP label on the whole or any part of a copy, that of a policy (IEP) too; None: no label."""
    levels = {marking.level for marking in markings.all if marking.kind in {"tlp", "iep"}}
    found = [label for label in _ORDER if label in levels]
    return found[-1] if found else None


class Definitions(dict[str, StixObject]):
    """Marking definitions by id, and who told each: what an ally tells doesn't loosen what others gave."""

    def __init__(self, found: Mapping[str, StixObject], givers: Mapping[str, frozenset[str]]) -> None:
        super().__init__(found)
        self.givers = dict(givers)
        self._allies: dict[str, str] = {}
        self._told: dict[str, dict[str, StixObject]] = {}

    def among(self, ally_names: Mapping[str, str]) -> Definitions:
        """Return the same definitions; `ally_names` are our allies' ids by the names under which they may appear."""
        if self._allies != ally_names:
            self._allies, self._told = dict(ally_names), {}
        return self

    def told_to(self, giver: str) -> Mapping[str, StixObject]:
        """Return those that mean something in what `giver` gave: told by itself, or by somebody who is no ally."""
        giver = self._allies.get(giver, giver)
        if giver not in self._told:
            others = {*self._allies, *self._allies.values()} - {giver}
            others -= {name for name, id_ in self._allies.items() if id_ == giver}
            self._told[giver] = {id_: item for id_, item in self.items() if not self.givers[id_] <= others}
        return self._told[giver]


def describe_stored(
    stored: StoredObject,
    definitions: Mapping[str, StixObject],
    policy: CorpusPolicy | None,
    *,
    variants: Sequence[StoredObject] = (),
    values: Iterable[str] = (),
    notes: Iterable[str] = (),
    ally_names: Mapping[str, str] | None = None,
    memo: FactsMemo | None = None,
) -> Subject:
    """Return the subject of a stored object.

    `definitions` are the marking definitions by id, `policy` the signed policy on public corpora (None: none is
    trusted), `variants` other versions and variants of the same id, `values` a list's entries and `notes` their
    contexts, `ally_names` identity ids by the short names under which allies may appear as givers. `memo` spares
    looking at the same markings again; it must not be used with other definitions or another policy.
    """
    if isinstance(definitions, Definitions):
        definitions = definitions.among(ally_names or {})
    copies = _copies(stored, definitions, policy, memo)
    if variants:
        others = (copy for item in variants for copy in _copies(item, definitions, policy, memo))
        strictest = max((_rank(copy.label) for copy in others), default=-1)
        weakened = (_weakened(copy, strictest, ally_names or {}) for copy in copies)
        copies = [msgspec.structs.replace(c, weakened=w) if w else c for c, w in zip(copies, weakened, strict=True)]
    told = tell_definition(stored.object)
    return Subject(object=told, copies=tuple(copies), values=tuple(values), notes=tuple(notes))


def describe_derived(
    item: StixObject,
    own: str,
    definitions: Mapping[str, StixObject],
    *,
    rests_on: Iterable[str] = (),
) -> Subject:
    """Return the subject of an object that was made here, from evidence and others' knowledge."""
    facts = _facts(item, Provenance(giver=own, received=datetime.min), definitions, None)
    return Subject(object=item, copies=(facts,), derived=True, rests_on=frozenset(rests_on))


def _copies(
    stored: StoredObject,
    definitions: Mapping[str, StixObject],
    policy: CorpusPolicy | None,
    memo: FactsMemo | None = None,
) -> list[CopyFacts]:
    if memo is None:
        return [_facts(stored.object, copy, definitions, policy) for copy in stored.copies]
    item = stored.object
    found: list[CopyFacts] = []
    for copy in stored.copies:
        said = (item.object_marking_refs, item.granular_markings, item.created_by_ref)
        key = (*said, copy.giver, copy.markings, copy.originator, copy.corpus, copy.corpus_basis)
        facts = memo.get(key)
        if facts is None:
            facts = memo[key] = _facts(item, copy, definitions, policy)
        found.append(facts)
    return found


def _facts(
    item: StixObject, copy: Provenance, definitions: Mapping[str, StixObject], policy: CorpusPolicy | None
) -> CopyFacts:
    if isinstance(definitions, Definitions):
        definitions = definitions.told_to(copy.giver)
    markings = effective_markings(item, definitions.get, beside=copy.markings)
    trusted = policy is not None and policy.treats_as_clear(copy.corpus, copy.corpus_basis)
    return CopyFacts(
        giver=copy.giver,
        originators=frozenset(name for name in (item.created_by_ref, copy.originator) if name),
        label=strictest_label(markings),
        classified=any(marking.kind == "classified" for marking in markings.all),
        unknown=tuple(marking.id for marking in markings.all if marking.kind == "unknown"),
        public_corpus=copy.corpus if trusted else None,
        named=tuple(frozenset(marking.organisations) for marking in markings.all if marking.kind == "distribution"),
        policies=tuple(marking.policy for marking in markings.all if marking.policy is not None),
        beside=_beside(item, copy, definitions),
    )


def _beside(item: StixObject, copy: Provenance, definitions: Mapping[str, StixObject]) -> tuple[str, ...]:
    """Return the markings that stand beside this copy only, but for TLP, which a release tells as the label."""
    found = sorted({*copy.markings} - {*item.object_marking_refs})
    return tuple(id_ for id_ in found if read_marking(id_, definitions.get(id_)).kind != "tlp")


def _rank(label: Label | None) -> int:
    return _ORDER.index(label) if label is not None else -1


def _weakened(copy: CopyFacts, strictest: int, ally_names: Mapping[str, str]) -> bool:
    others = copy.originators - {copy.giver, ally_names.get(copy.giver, copy.giver)}
    return bool(others) and copy.public_corpus is None and _rank(copy.label) < strictest
