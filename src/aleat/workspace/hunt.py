"""The hunt's verbs: over all that a workspace holds, or once over files without a workspace."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from aleat.case import signals
from aleat.errors import Issue
from aleat.evidence import NOTE_CODES
from aleat.hunt import HuntResult, Indicator, NotEvaluated, Plan, compile_plan
from aleat.hunt.drive import hunt_lake, hunt_paths
from aleat.hunt.from_store import indicators, read_indicator
from aleat.hunt.output import write_sightings as write_rows
from aleat.hunt.result import HuntProgress
from aleat.knowledge import read_knowledge
from aleat.workspace.core import Session
from aleat.workspace.evidence import open_lake
from aleat.workspace.progress import Progress, silent

__all__ = ["HuntVerbs", "hunt_once"]
