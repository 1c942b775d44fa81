"""The case's numbers, read from ``parameters.toml``, where each stands with its reason."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import msgspec

__all__ = [
    "CampaignParameters",
    "ImpactParameters",
    "IncidentParameters",
    "LogParameters",
    "Parameters",
    "WeightParameters",
    "defaults",
]


class WeightParameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How sightings weigh; see `aleat.case.weigh`."""

    hit: dict[str, float]
    noise: dict[str, float]
    ally_hit: dict[str, float]
    ally_noise: dict[str, float]
    prior_days: float
    cap: dict[str, float]
    ally_cap: dict[str, float]
    act_seconds: float
    dependent: float
    act_rest_cap: float
    tactic_cap: float
    least: float
    chaining: float
    generic_sources: tuple[str, ...]


class IncidentParameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How stretches of activity become incidents; see `aleat.case.incidents`."""

    pause_hours: float
    margin: float
    floor: float
    quiet_days: float
    link_bits: float
    dwell_bits: float
    dwell_elsewhere_bits: float
    after_impact_days: float
    neighbours: int
    key_cap: float
    near_minutes: float
    link_cap: dict[str, float]
    account_bits: float
    key_events: int
    active_hours: float
    over_days: float


class CampaignParameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How incidents become campaigns; see `aleat.case.campaign`."""

    threshold: float
    link_cap: dict[str, float]


class ImpactParameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How silences become outages; see `aleat.case.impact` and `aleat.case.causes`."""

    surprise_bits: float
    least_minutes: float
    busiest_minute: float
    weekend_days: tuple[int, ...]
    local_hours: int
    rotation_slack_bits: float
    attack_lead_hours: float
    order_lead_minutes: float
    lag_minutes: float
    known_days: float
    recurring_minutes: float


class LogParameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What in a log itself is a finding; see `aleat.case.log_findings`."""

    least_records: int
    records_a_gap: int
    few_gaps: int
    surprise_bits: float
    least_minutes: int
    known_minutes: int
    known_days: float
    others_share: float
    habit_share: float
    shutdown_minutes: float
    most: int


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of the case's numbers."""

    weights: WeightParameters
    incidents: IncidentParameters
    campaign: CampaignParameters
    impact: ImpactParameters
    logs: LogParameters


@cache
def defaults() -> Parameters:
    """Return the parameters that the package ships."""
    text = files("aleat.case").joinpath("parameters.toml").read_bytes()
    return msgspec.toml.decode(text, type=Parameters)
