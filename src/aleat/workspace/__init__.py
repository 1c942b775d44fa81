"""The front door: a workspace opens a folder that holds everything a case is made of.

Every verb of the command line is a method of `Workspace`; what it returns are the typed records of the rooms.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

from aleat.workspace.case import BuiltCase
from aleat.workspace.config import CONFIG_NAME, Config, find_workspace
from aleat.workspace.core import Clock, default_actor
from aleat.workspace.custody import ForgottenSource, ShownEvent
from aleat.workspace.evidence import verify
from aleat.workspace.giving import GivingVerbs, Previewed, TakenBack
from aleat.workspace.hunt import Hunted, hunt_once, write_sightings
from aleat.workspace.investigate import InvestigateVerbs
from aleat.workspace.knowledge_records import (
    GiverMonth,
    KnowledgeFilter,
    KnowledgeList,
    KnowledgeRow,
    PackDiff,
    ShownKnowledge,
)
from aleat.workspace.knowledge_verbs import KnowledgeVerbs
from aleat.workspace.lake import FieldSeen, LakeVerbs, Search
from aleat.workspace.misp_push import MispPushed, MispWritten
from aleat.workspace.misp_sightings import MispSighted, MispSightingVerbs
from aleat.workspace.poll import PollVerbs
from aleat.workspace.post import OpenedLetter
from aleat.workspace.progress import Progress, silent
from aleat.workspace.pull import PullVerbs
from aleat.workspace.push import PushedFeed, PushedTo
from aleat.workspace.results import (
    EvidenceAdded,
    Fault,
    HeldSource,
    Investigation,
    KnowledgeAdded,
    Polled,
    PolledFeed,
    Pulled,
    ReportFiles,
    Sorted,
    Verified,
)
from aleat.workspace.sharing import Sharing

__all__ = [
    "BuiltCase",
    "Config",
    "EvidenceAdded",
    "Fault",
    "FieldSeen",
    "ForgottenSource",
    "GiverMonth",
    "HeldSource",
    "Hunted",
    "Investigation",
    "KnowledgeAdded",
    "KnowledgeFilter",
    "KnowledgeList",
    "KnowledgeRow",
    "MispPushed",
    "MispSighted",
    "MispWritten",
    "OpenedLetter",
    "PackDiff",
    "Polled",
    "PolledFeed",
    "Previewed",
    "Pulled",
    "PushedFeed",
    "PushedTo",
    "ReportFiles",
    "Search",
    "Sharing",
    "ShownEvent",
    "ShownKnowledge",
    "Sorted",
    "TakenBack",
    "Verified",
    "Workspace",
    "default_actor",
    "find_workspace",
    "hunt_once",
    "write_sightings",
]


class Workspace(InvestigateVerbs, GivingVerbs, MispSightingVerbs, LakeVerbs, PollVerbs, PullVerbs, KnowledgeVerbs):
    """Everything a case is made of, in one folder.

    >>> with Workspace.open_or_init("case") as ws:                             # doctest: +SKIP
    ...     ws.add_knowledge("partner-pack/", giver="cert-ally")
    ...     ws.add_evidence("logs/")
    ...     print(ws.build_case().answer().paragraph)
    """

    @classmethod
    def open_or_init(
        cls,
        path: str | Path,
        *,
        actor: str | None = None,
        key_folder: Path | None = None,
        clock: Clock | None = None,
        zone: str = "UTC",
    ) -> Self:
        """Open the workspace at `path`, or make one there where there is none."""
        if (Path(path) / CONFIG_NAME).is_file():
            return cls.open(path, actor=actor, key_folder=key_folder, clock=clock)
        return cls.init(path, actor=actor, key_folder=key_folder, clock=clock, zone=zone)

    def verify(self, *, head: str | Path | None = None, progress: Progress = silent) -> Verified:
        """Re-check every hash, chain and signature; `head` is a file of heads that was exported before."""
        return verify(self, head=Path(head) if head else None, progress=progress)
