"""The command line: a skin over `aleat.workspace`, with no logic that a library caller can't reach."""

from __future__ import annotations

from aleat.cli.main import main

__all__ = ["main"]
