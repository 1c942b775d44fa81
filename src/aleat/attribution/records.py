"""The typed records of an assessment: evidence items, hypotheses, weights, sensitivity.

A weight is a log-likelihood ratio in bits: how much more likely the item is if the hypothesis holds than if
"somebody else" did it (Good, *Probability and the Weighing of Evidence*, 1950). Words for probabilities are
those of ICD 203 (Intelligence Community Directive 203, Analytic Standards, 2015, D.6.e(2)(a)).
"""

from __future__ import annotations

import msgspec

from aleat.case.records import EvidenceRef

__all__ = ["Assessment", "EvidenceItem", "Hypothesis", "Sensitivity", "Weight"]


class EvidenceItem(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of evidence: its kind ("malware", "tool", "technique", "infrastructure", "indicator", "target"), value.

    `rarity` is the share of known actors that show it (0 to 1). `givers` are those whose knowledge it rests
    on; items that rest on one giver's single statement are not independent, and share a `group`.
    """

    id: str
    kind: str
    value: str
    rarity: float
    refs: tuple[EvidenceRef, ...]
    givers: tuple[str, ...]
    group: str
    statement: str = ""


class Weight(msgspec.Struct, frozen=True):
    """How one item weighs for one hypothesis, in bits (positive: for; negative: against), and why.

    Reasons: "listed" (in its profile), "not-listed", "common" (everybody does), "dependent" (the same statement
    already counts), "kind-cap", "giver-cap" (as much as one kind of item, or one giver's word, may weigh).
    """

    item: str
    hypothesis: str
    bits: float
    reason: str


class Hypothesis(msgspec.Struct, frozen=True, kw_only=True):
    """Who: kind "sponsor" or "group", `name`, the STIX `ref` it rests on, prior and posterior, and ICD 203's words.

    `name` is "somebody-else" for everybody who isn't listed: the unknown, and the known that fit less.
    """

    id: str
    kind: str
    name: str
    ref: str
    prior: float
    posterior: float
    words: str
    bits: float
    sponsor: str = ""
    sponsor_suspected: bool = False
    """Whether the tie between group and sponsor is nobody's finding, only somebody's published suspicion."""
    sponsor_sources: tuple[str, ...] = ()
    """Who ties them: the publication where there is one, else the giver."""
    sponsor_others: tuple[str, ...] = ()
    """Sponsors that others name for the same groups."""


class Sensitivity(msgspec.Struct, frozen=True):
    """The result without one item: who leads then, with which posterior, and whether the answer changes."""

    item: str
    leader: str
    posterior: float
    changes_answer: bool


class Assessment(msgspec.Struct, frozen=True, kw_only=True):
    """The answer for one level (`kind`: "sponsor" first, then "group").

    `verdict` is "assessed" or "not-enough-evidence", with `verdict_reason`: "no-profiles", "no-sponsor-known" (no
    profile names one), "too-few-items" (fewer than two independent statements), "too-little-weight", "tie",
    "several-groups" (of one sponsor, each with software of its own), "somebody-else-as-likely". `hypotheses` come best
    first and always hold "somebody else". `confidence` is "low", "moderate" or "high": it is about the basis,
    not the probability.
    """

    kind: str
    subject: str
    """The campaign's or incident's id."""
    verdict: str
    verdict_reason: str
    hypotheses: tuple[Hypothesis, ...]
    items: tuple[EvidenceItem, ...]
    weights: tuple[Weight, ...]
    sensitivity: tuple[Sensitivity, ...]
    confidence: str
    without_giver: tuple[Sensitivity, ...] = ()
    """The result without all that rests on one giver's word alone (`Sensitivity.item` is the giver's name)."""
