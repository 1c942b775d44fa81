"""`assess`: sponsor first, then group, for each campaign and each incident outside one.

Two levels, one model. A sponsor's profile is the union of its groups'; "somebody else" (with half of the prior)
covers everybody unknown and every known group that nobody ties to a sponsor. A group's posterior is its sponsor's
times its share within it, where a group that nobody has described yet is always possible. So P(group) never
exceeds P(sponsor). Nothing is ever told as 0 or 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log2

import msgspec

from aleat.attribution.items import Item, collect_items
from aleat.attribution.model import Unit, Weighing, posterior_of, weigh_items
from aleat.attribution.parameters import AttributionParameters, default_weights
from aleat.attribution.profiles import ActorProfile, Profiles
from aleat.attribution.records import Assessment, Hypothesis, Sensitivity
from aleat.attribution.words import probability_words
from aleat.case.records import Case

__all__ = ["SOMEBODY_ELSE", "assess"]

SOMEBODY_ELSE = "somebody-else"


class _Ranking(msgspec.Struct, frozen=True, kw_only=True):
    """One level's outcome: posteriors and bits by hypothesis, best first; the verdict with its reason."""

    posteriors: dict[str, float]
    weighing: Weighing
    bits: dict[str, float]
    leader: str
    verdict: str
    reason: str


def assess(
    case: Case,
    profiles: Profiles,
    *,
    victim: Sequence[str] = (),
    parameters: AttributionParameters | None = None,
) -> tuple[Assessment, ...]:
    """Assess who is behind each campaign of a case, and each incident that is in none.

    `victim` names the victim's country, sectors and organisation, as far as the user settles them. Claims in
    the case are not read: an accusation is not evidence.
    """
    chosen = parameters or default_weights()
    found: list[Assessment] = []
    incidents = {incident.id: incident for incident in case.incidents}
    in_campaign = {id_ for campaign in case.campaigns for id_ in campaign.incidents}
    subjects = [(campaign.id, campaign.incidents) for campaign in case.campaigns]
    subjects += [(incident.id, (incident.id,)) for incident in case.incidents if incident.id not in in_campaign]
    for subject, members in subjects:
        positions = sorted({position for id_ in members for position in incidents[id_].sightings})
        items = collect_items(case, positions, profiles, victim=victim)
        found += _Assessor(subject, items, profiles, chosen).run()
    return tuple(found)


class _Assessor:
    def __init__(
        self, subject: str, items: tuple[Item, ...], profiles: Profiles, parameters: AttributionParameters
    ) -> None:
        self._subject = subject
        self._items = items
        self._parameters = parameters
        self._groups = {group.id: group for group in profiles.groups}
        sponsors: dict[str, list[ActorProfile]] = {}
        for group in profiles.groups:
            if group.sponsor_id:
                sponsors.setdefault(group.sponsor_id, []).append(group)
        self._sponsors = {id_: sponsors[id_] for id_ in sorted(sponsors)}
        self._free = [group for group in profiles.groups if not group.sponsor_id]
        self._group_units = [Unit(group.id, frozenset({group.id})) for group in profiles.groups]
        self._sponsor_units = [
            Unit(id_, frozenset(group.id for group in groups)) for id_, groups in self._sponsors.items()
        ] + [Unit(group.id, frozenset({group.id})) for group in self._free]

    def run(self) -> list[Assessment]:
        """Return the two assessments, sponsor first."""
        return [self._assessment("sponsor"), self._assessment("group")]

    # --- ranking

    def _rank(self, kind: str, items: Sequence[Item]) -> _Ranking:
        sponsor_weighing = weigh_items(items, self._sponsor_units, self._parameters)
        group_weighing = weigh_items(items, self._group_units, self._parameters)
        sponsors = self._sponsor_posteriors(sponsor_weighing)
        if kind == "sponsor":
            posteriors, weighing = sponsors, sponsor_weighing
        else:
            posteriors, weighing = self._group_posteriors(sponsors, group_weighing), group_weighing
        bits = {id_: weighing.bits.get(id_, 0.0) for id_ in posteriors}
        bits[SOMEBODY_ELSE] = 0.0
        ordered = sorted(posteriors, key=lambda id_: (-posteriors[id_], -bits[id_], id_))
        leader = next((id_ for id_ in ordered if id_ != SOMEBODY_ELSE), SOMEBODY_ELSE)
        verdict, reason = self._verdict(leader, ordered, posteriors, bits, weighing, items)
        return _Ranking(
            posteriors={id_: posteriors[id_] for id_ in ordered},
            weighing=weighing,
            bits=bits,
            leader=leader,
            verdict=verdict,
            reason=reason,
        )

    def _sponsor_posteriors(self, weighing: Weighing) -> dict[str, float]:
        """Sponsors share what "somebody else" leaves of the prior; free groups count within somebody else."""
        reserve = self._parameters.prior["somebody_else"]
        count = len(self._sponsors)
        prior = dict.fromkeys(self._sponsors, (1.0 - reserve) / max(1, count))
        prior[SOMEBODY_ELSE] = reserve if count else 1.0
        bits = {id_: weighing.bits[id_] for id_ in self._sponsors}
        bits[SOMEBODY_ELSE] = log2(self._free_factor(weighing))
        return posterior_of(prior, bits)

    def _free_factor(self, weighing: Weighing) -> float:
        """How well "somebody else" explains it: half of it unknown, half the known groups without a sponsor."""
        if not self._free:
            return 1.0
        reserve = self._parameters.prior["somebody_else"]
        mean = sum(2.0 ** max(0.0, weighing.bits[group.id]) for group in self._free) / len(self._free)
        return float(reserve + (1.0 - reserve) * mean)

    def _group_posteriors(self, sponsors: dict[str, float], weighing: Weighing) -> dict[str, float]:
        found: dict[str, float] = {}
        another = self._parameters.prior["another_group"]
        for id_, groups in self._sponsors.items():
            prior = {group.id: (1.0 - another) / len(groups) for group in groups} | {"": another}
            shares = posterior_of(prior, weighing.bits)
            found.update({group.id: sponsors[id_] * shares[group.id] for group in groups})
        reserve = self._parameters.prior["somebody_else"]
        prior = {group.id: (1.0 - reserve) / len(self._free) for group in self._free} | {"": reserve}
        shares = posterior_of(prior, weighing.bits)
        found.update({group.id: sponsors[SOMEBODY_ELSE] * shares[group.id] for group in self._free})
        found[SOMEBODY_ELSE] = max(0.0, 1.0 - sum(found.values()))
        return found

    def _verdict(
        self,
        leader: str,
        ordered: Sequence[str],
        posteriors: dict[str, float],
        bits: dict[str, float],
        weighing: Weighing,
        items: Sequence[Item],
    ) -> tuple[str, str]:
        limits = self._parameters.verdict
        named = [id_ for id_ in ordered if id_ != SOMEBODY_ELSE]
        groups, _givers = _basis(leader, weighing, items)
        reason = ""
        if not self._groups:
            reason = "no-profiles"
        elif not named:
            reason = "no-sponsor-known"
        elif not groups:
            reason = "too-few-items"
        elif bits[leader] < limits["least_bits"]:
            reason = "too-little-weight"
        elif len(groups) < limits["least_groups"]:
            reason = "too-few-items"
        elif len(named) > 1 and log2(posteriors[leader] / max(posteriors[named[1]], 1e-12)) < limits["least_lead"]:
            reason = "several-groups" if self._complement(leader, named[1], items) else "tie"
        elif posteriors[leader] < limits["least_posterior"]:
            reason = "somebody-else-as-likely"
        return ("not-enough-evidence", reason) if reason else ("assessed", "")

    def _complement(self, first: str, second: str, items: Sequence[Item]) -> bool:
        """Two groups of one sponsor, each with software of its own in the case: they don't compete."""
        one, other = self._groups.get(first), self._groups.get(second)
        if one is None or other is None or not one.sponsor_id or one.sponsor_id != other.sponsor_id:
            return False
        own = [item.listed for item in items if item.record.kind in {"malware", "indicator", "infrastructure"}]
        return any(first in listed and second not in listed for listed in own) and any(
            second in listed and first not in listed for listed in own
        )

    # --- records

    def _assessment(self, kind: str) -> Assessment:
        ranking = self._rank(kind, self._items)
        listed = self._listed(kind, ranking)
        sensitivity = self._sensitivity(kind, ranking)
        shown = {hypothesis.id for hypothesis in listed}
        return Assessment(
            kind=kind,
            subject=self._subject,
            verdict=ranking.verdict,
            verdict_reason=ranking.reason,
            hypotheses=listed,
            items=tuple(item.record for item in self._items),
            weights=tuple(weight for weight in ranking.weighing.weights if weight.hypothesis in shown),
            sensitivity=sensitivity,
            confidence=self._confidence(ranking, sensitivity),
            without_giver=self._without_givers(kind, ranking),
        )

    def _listed(self, kind: str, ranking: _Ranking) -> tuple[Hypothesis, ...]:
        """The best by name; the rest is part of "somebody else"."""
        named = [id_ for id_ in ranking.posteriors if id_ != SOMEBODY_ELSE]
        kept = named[: int(self._parameters.limits["listed"])]
        posteriors = {id_: ranking.posteriors[id_] for id_ in kept}
        posteriors[SOMEBODY_ELSE] = max(0.0, 1.0 - sum(posteriors.values()))
        count = len(self._sponsors) if kept and kept[0] in self._sponsors else len(self._groups)
        ordered = sorted(posteriors, key=lambda id_: (-posteriors[id_], -ranking.bits[id_], id_))
        return tuple(self._hypothesis(kind, id_, posteriors[id_], ranking.bits[id_], count) for id_ in ordered)

    def _hypothesis(self, level: str, id_: str, posterior: float, bits: float, count: int) -> Hypothesis:
        least = self._parameters.limits["least"]
        told = min(1.0 - least, max(least, posterior))
        reserve = self._parameters.prior["somebody_else"]
        group = self._groups.get(id_)
        if id_ in self._sponsors:
            name, kind, sponsor = self._sponsors[id_][0].sponsor, "sponsor", ""
            tied = self._telling(self._sponsors[id_])
        elif group is not None:
            name, kind, sponsor = group.name, "group", group.sponsor
            tied = [group]
        else:
            name, kind, sponsor = SOMEBODY_ELSE, level, ""
            tied = []
        return Hypothesis(
            id=id_,
            kind=kind,
            name=name,
            ref="" if id_ == SOMEBODY_ELSE else id_,
            prior=round(reserve if id_ == SOMEBODY_ELSE else self._prior(id_, count, reserve), 5),
            posterior=round(told, 4),
            words=probability_words(round(told, 4)),
            bits=round(bits, 2),
            sponsor=sponsor,
            sponsor_suspected=bool(tied) and all(one.sponsor_suspected for one in tied),
            sponsor_sources=tuple(sorted({basis.source or basis.giver for one in tied for basis in one.sponsor_basis})),
            sponsor_others=tuple(sorted({other for one in tied for other in one.sponsor_others} - {name})),
        )

    def _telling(self, groups: Sequence[ActorProfile]) -> list[ActorProfile]:
        """The groups of a sponsor that most of the evidence lists: what ties it to them is what ties it to the case."""
        counts = {group.id: sum(group.id in item.listed for item in self._items) for group in groups}
        return [group for group in groups if counts[group.id] == max(counts.values())]

    def _prior(self, id_: str, count: int, reserve: float) -> float:
        if id_ in self._sponsors:
            return (1.0 - reserve) / max(1, count)
        group = self._groups[id_]
        if group.sponsor_id:
            share = (1.0 - reserve) / len(self._sponsors)
            return share * (1.0 - self._parameters.prior["another_group"]) / len(self._sponsors[group.sponsor_id])
        whole = reserve if self._sponsors else 1.0
        return whole * (1.0 - reserve) / len(self._free)

    def _sensitivity(self, kind: str, ranking: _Ranking) -> tuple[Sensitivity, ...]:
        """The outcome without each item that speaks for the leader; what moves it most comes first."""
        telling = {w.item for w in ranking.weighing.weights if w.hypothesis == ranking.leader and w.bits > 0}
        parts = {
            item.id: [other for other in self._items if other.id != item.id]
            for item in self._items
            if item.id in telling
        }
        return self._without(kind, ranking, parts)

    def _without_givers(self, kind: str, ranking: _Ranking) -> tuple[Sensitivity, ...]:
        """The outcome without each giver: all items go that rest on its word alone."""
        givers = sorted({giver for item in self._items for giver in item.record.givers})
        parts = {giver: [item for item in self._items if item.record.givers != (giver,)] for giver in givers}
        return self._without(kind, ranking, parts)

    def _without(self, kind: str, ranking: _Ranking, parts: Mapping[str, Sequence[Item]]) -> tuple[Sensitivity, ...]:
        """Rank again with each of the parts; what changes the answer, then what moves it most, comes first."""
        least = self._parameters.limits["least"]
        found: list[tuple[float, Sensitivity]] = []
        for name, items in parts.items():
            without = self._rank(kind, items)
            changes = without.leader != ranking.leader or without.verdict != ranking.verdict
            told = min(1.0 - least, max(least, without.posteriors[without.leader]))
            drop = ranking.posteriors[ranking.leader] - without.posteriors.get(ranking.leader, 0.0)
            found.append((drop, Sensitivity(name, without.leader, round(told, 4), changes)))
        found.sort(key=lambda one: (not one[1].changes_answer, -one[0], one[1].item))
        return tuple(one for _, one in found)

    def _confidence(self, ranking: _Ranking, sensitivity: Sequence[Sensitivity]) -> str:
        """About the basis, not the probability: independent statements, independent givers, no item that decides."""
        limits = self._parameters.confidence
        groups, givers = _basis(ranking.leader, ranking.weighing, self._items)
        fragile = any(one.changes_answer for one in sensitivity)
        if ranking.verdict != "assessed" or fragile or len(groups) < limits["moderate_groups"]:
            return "low"
        if len(groups) >= limits["high_groups"] and len(givers) >= limits["high_givers"]:
            return "high"
        return "moderate"


def _basis(leader: str, weighing: Weighing, items: Sequence[Item]) -> tuple[set[str], set[str]]:
    """The independent statements and the givers that the leader's weight rests on (techniques and victims apart)."""
    by_id = {item.id: item.record for item in items}
    groups: set[str] = set()
    givers: set[str] = set()
    for weight in weighing.weights:
        if weight.hypothesis == leader and weight.bits >= 0.25:
            record = by_id[weight.item]
            groups.add(record.group if record.kind not in {"technique", "target"} else record.kind)
            givers.update(record.givers)
    return groups, givers
