"""The numbers of attribution, read from ``weights.toml``, where each stands with its reason."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import msgspec

__all__ = ["AttributionParameters", "default_weights"]


class AttributionParameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Likelihoods by kind of item, caps, priors and thresholds; ``weights.toml`` says what each means."""

    likelihood: dict[str, float]
    background: dict[str, float]
    unlisted: dict[str, float]
    cap: dict[str, float]
    kind_cap: dict[str, float]
    dependence: dict[str, float]
    prior: dict[str, float]
    limits: dict[str, float]
    verdict: dict[str, float]
    confidence: dict[str, int]


@cache
def default_weights() -> AttributionParameters:
    """Return the parameters that the package ships."""
    text = files("aleat.attribution").joinpath("weights.toml").read_bytes()
    return msgspec.toml.decode(text, type=AttributionParameters)
