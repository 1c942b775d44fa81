"""How much a rule's match matters: the words of the extension `rule`, which are Sigma's."""

from __future__ import annotations

__all__ = ["LEVELS"]

LEVELS = ("informational", "low", "medium", "high", "critical")
"""Sigma's levels, weakest first (Sigma rules specification 2.1, "Level")."""
