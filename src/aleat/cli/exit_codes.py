"""What the command's exit code says: 0 complete; 1 failed; 2 usage; 3 done, but some input could not be read."""

from __future__ import annotations

__all__ = ["COMPLETE", "FAILED", "INCOMPLETE", "INTERRUPTED", "USAGE"]

COMPLETE, FAILED, USAGE, INCOMPLETE = 0, 1, 2, 3

INTERRUPTED = 130
"""Ctrl-C, as shells have it: 128 and the signal's number."""
