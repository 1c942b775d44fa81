"""The front door: a workspace opens a folder that holds everything a case is made of."""

from __future__ import annotations

from aleat.workspace.core import Session, default_actor

__all__ = ["Session", "default_actor"]
