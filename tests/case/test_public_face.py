"""The rooms' public faces, as others may rely on them."""

from __future__ import annotations

import aleat.attribution
import aleat.case
from aleat.attribution import default_weights
from aleat.case.parameters import defaults
from aleat.hunt import LEVELS


def test_case_offers_what_it_says() -> None:
    assert sorted(aleat.case.__all__) == [
        "ClaimsLike", "LogActivity", "REQUESTS_SCHEMA", "Response", "ResponseGiver", "ResponseReason", "SIGNAL_SOURCE",
        "build_case", "empty_requests", "fit_responses", "indicator_tags", "is_about_responses", "is_signal",
        "requests_table", "signals",
    ]  # fmt: skip


def test_attribution_offers_what_it_says() -> None:
    assert sorted(aleat.attribution.__all__) == [
        "ActorProfile", "AttributionParameters", "Profiles", "SOMEBODY_ELSE", "assess", "default_weights",
        "probability_words", "profiles",
    ]  # fmt: skip


def test_parameters_know_every_level_and_every_kind() -> None:
    weights = defaults().weights
    for table in (weights.hit, weights.noise, weights.ally_hit, weights.ally_noise, weights.cap, weights.ally_cap):
        assert set(table) == set(LEVELS)
    chosen = default_weights()
    assert set(chosen.likelihood) == set(chosen.cap) == set(chosen.kind_cap) == set(chosen.background) - {"strength"}
    assert all(chosen.cap[kind] <= chosen.kind_cap[kind] for kind in chosen.cap)
