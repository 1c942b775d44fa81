"""From a case's evidence to hypotheses: which sponsor, which group, how sure, and what would change the answer.

Pure and deterministic. Weights are log-likelihood ratios in bits with stated likelihoods (``weights.toml``);
"somebody else" is always a hypothesis; "not enough evidence" is an answer. Public claims are never read.
See ``docs/concepts/attribution.md``.
"""

from aleat.attribution.assess import SOMEBODY_ELSE, assess
from aleat.attribution.parameters import AttributionParameters, default_weights
from aleat.attribution.profiles import ActorProfile, Profiles, profiles
from aleat.attribution.words import probability_words

__all__ = [
    "SOMEBODY_ELSE",
    "ActorProfile",
    "AttributionParameters",
    "Profiles",
    "assess",
    "default_weights",
    "probability_words",
    "profiles",
]
