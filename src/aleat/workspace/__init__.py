"""The front door: a workspace opens a folder that holds everything a case is made of.

Every verb of the command line is a method of `Workspace`; what it returns are the typed records of the rooms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aleat.deferred import deferred

if TYPE_CHECKING:
    from aleat.workspace.case import BuiltCase
    from aleat.workspace.config import Config, find_workspace
    from aleat.workspace.core import default_actor
    from aleat.workspace.custody import ForgottenSource, ShownEvent
    from aleat.workspace.giving import Previewed, TakenBack
    from aleat.workspace.hunt import Hunted, hunt_once, write_sightings
    from aleat.workspace.knowledge_records import (
        GiverMonth,
        KnowledgeFilter,
        KnowledgeList,
        KnowledgeRow,
        PackDiff,
        ShownKnowledge,
    )
    from aleat.workspace.lake import FieldSeen, Search
    from aleat.workspace.misp_push import MispPushed, MispWritten
    from aleat.workspace.misp_sightings import MispSighted
    from aleat.workspace.post import OpenedLetter
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
    from aleat.workspace.whole import Workspace

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

if not TYPE_CHECKING:
    __getattr__ = deferred(
        __name__,
        {
            "case": ("BuiltCase",),
            "config": ("Config", "find_workspace"),
            "core": ("default_actor",),
            "custody": ("ForgottenSource", "ShownEvent"),
            "giving": ("Previewed", "TakenBack"),
            "hunt": ("Hunted", "hunt_once", "write_sightings"),
            "knowledge_records": (
                "GiverMonth",
                "KnowledgeFilter",
                "KnowledgeList",
                "KnowledgeRow",
                "PackDiff",
                "ShownKnowledge",
            ),
            "lake": ("FieldSeen", "Search"),
            "misp_push": ("MispPushed", "MispWritten"),
            "misp_sightings": ("MispSighted",),
            "post": ("OpenedLetter",),
            "push": ("PushedFeed", "PushedTo"),
            "results": (
                "EvidenceAdded",
                "Fault",
                "HeldSource",
                "Investigation",
                "KnowledgeAdded",
                "Polled",
                "PolledFeed",
                "Pulled",
                "ReportFiles",
                "Sorted",
                "Verified",
            ),
            "sharing": ("Sharing",),
            "whole": ("Workspace",),
        },
    )
