"""A workspace as it is opened for what passes between us and our allies.

Most commands of an exchange are short: this much of a workspace is opened without loading what reads logs and
knowledge, hunts, or builds a case.
"""

from __future__ import annotations

from aleat.workspace.giving import GivingVerbs
from aleat.workspace.post import PostVerbs
from aleat.workspace.push import PushVerbs

__all__ = ["Alliance"]


class Alliance(GivingVerbs, PushVerbs, PostVerbs):
    """Allies, agreements and accounts; asks and offers; what is given, pushed, posted and received."""
