"""The whole workspace: every verb there is."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from aleat.workspace.alliance import Alliance
from aleat.workspace.config import CONFIG_NAME
from aleat.workspace.core import Clock
from aleat.workspace.evidence import verify
from aleat.workspace.investigate import InvestigateVerbs
from aleat.workspace.knowledge_verbs import KnowledgeVerbs
from aleat.workspace.lake import LakeVerbs
from aleat.workspace.misp_sightings import MispSightingVerbs
from aleat.workspace.poll import PollVerbs
from aleat.workspace.progress import Progress, silent
from aleat.workspace.pull import PullVerbs
from aleat.workspace.results import Verified

__all__ = ["Workspace"]


class Workspace(InvestigateVerbs, MispSightingVerbs, PollVerbs, Alliance, LakeVerbs, PullVerbs, KnowledgeVerbs):
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
