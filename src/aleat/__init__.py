"""Aleat: cyber-defence aid between two teams.

The front door is `Workspace`; see `aleat.workspace`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

__all__ = ["Workspace", "__version__"]

if TYPE_CHECKING:
    from aleat.workspace import Workspace


def __getattr__(name: str) -> object:
    """Load the front door when it is first asked for: `import aleat` alone stays light."""
    if name == "Workspace":
        from aleat.workspace import Workspace  # noqa: PLC0415

        return Workspace
    raise AttributeError(f"module 'aleat' has no attribute {name!r}")
