"""The main job in one go: sort what is given, take it in, hunt, build the case, write the report."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from datetime import datetime
from pathlib import Path

from aleat.errors import InputError, Issue, Place, TrustError
from aleat.evidence import Limits, ReadOptions, Secrets, is_url, location, shown_url
from aleat.exchange import Received
from aleat.knowledge import Limits as KnowledgeLimits
from aleat.workspace.custody import CustodyVerbs
from aleat.workspace.evidence import add_evidence
from aleat.workspace.knowledge import add_knowledge, add_statements
from aleat.workspace.progress import Progress, silent
from aleat.workspace.results import EvidenceAdded, Investigation, KnowledgeAdded
from aleat.workspace.sorting import sealed_files, sort_paths

__all__ = ["InvestigateVerbs"]


class InvestigateVerbs(CustodyVerbs):
    """The verbs that take things in, and the one that does it all."""

    def add_knowledge(
        self,
        *paths: str | Path,
        giver: str | None = None,
        marking: str | None = None,
        originator: str | None = None,
        corpus: str | None = None,
        limits: KnowledgeLimits | None = None,
        secrets: Secrets | None = None,
        progress: Progress = silent,
    ) -> KnowledgeAdded:
        """Add what an ally knows; sealed files among it are opened and verified, each refused one is an issue.

        A text among `paths` that is a URL (https://…) is fetched. `limits` are what opening and reading may cost,
        `secrets` passwords of archives.

        `giver` is who gave it (an ally's name, or any name; default: ourselves), `marking` a TLP label that is
        put on all of it, `originator` who made it where the objects don't say, `corpus` the public corpus it is.
        """
        given = [location(path) for path in paths]
        sealed = sealed_files([path for path in given if isinstance(path, Path)])
        opened: list[Received] = []
        refused: list[Issue] = []
        for path in sealed:
            try:
                opened.append(self.receive(path))
            except (TrustError, InputError) as error:
                refused.append(Issue("exchange", "sealed-file", Place(str(path)), str(error)))
        plain = [path for path in given if path not in sealed]
        added = KnowledgeAdded()
        if plain:
            added = add_knowledge(
                self,
                plain,
                giver=giver,
                marking=marking,
                originator=originator,
                corpus=corpus,
                limits=limits,
                secrets=secrets,
                progress=progress,
            )
        return added.with_opened(opened, refused)

    def add_evidence(
        self,
        *paths: str | Path,
        copy: bool = False,
        giver: str | None = None,
        note: str = "",
        acquired: datetime | None = None,
        hash_lists: Sequence[str | Path] = (),
        encoding: str | None = None,
        host: str | None = None,
        logs: ReadOptions | None = None,
        limits: Limits | None = None,
        secrets: Secrets | None = None,
        workers: int | None = None,
        executor: Executor | None = None,
        progress: Progress = silent,
    ) -> EvidenceAdded:
        """Add what you hold: by reference, or with `copy` content-addressed; see `aleat.evidence` for the formats.

        `note` and `acquired` are what whoever collected it says; `hash_lists` are files of their own hashes, which are
        compared with what is read, as are side files (``<name>.sha256``, ``.md5`` …).

        The work is done by `workers` processes, or by `executor` (a cluster's, say), of which `workers` says how many
        jobs it does at once and whose processes must see the paths and the workspace as this one does.
        """
        return add_evidence(
            self,
            [location(path) for path in paths],
            copy=copy,
            giver=giver,
            note=note,
            acquired=acquired,
            hash_lists=[Path(path) for path in hash_lists],
            encoding=encoding,
            host=host,
            logs=logs,
            limits=limits,
            secrets=secrets,
            workers=workers,
            executor=executor,
            progress=progress,
        )

    def add_statements(self, *paths: str | Path, giver: str | None = None) -> tuple[Issue, ...]:
        """Add public statements: news texts, whose claims a case sets beside the evidence."""
        return add_statements(self, [Path(path) for path in paths], giver=giver)

    def investigate(
        self,
        *paths: str | Path,
        giver: str | None = None,
        marking: str | None = None,
        name: str = "",
        copy: bool = False,
        language: str = "en",
        logs: ReadOptions | None = None,
        limits: Limits | None = None,
        secrets: Secrets | None = None,
        workers: int | None = None,
        progress: Progress = silent,
    ) -> Investigation:
        """Do it all with what is at `paths`, in any order, and return what was done and the answer.

        `logs` is what is stated about zones, years and code pages of the logs among it, `limits` what archives may
        cost, `secrets` are passwords for them. A path may be a URL: what is there is evidence.
        """
        given = [location(path) for path in paths]
        found = sort_paths(given, logs=logs, limits=limits, secrets=secrets, progress=progress)
        knowledge, evidence = KnowledgeAdded(), EvidenceAdded()
        issues: list[Issue] = list(found.issues)
        if found.knowledge:
            knowledge = self.add_knowledge(*found.knowledge, giver=giver, marking=marking, progress=progress)
        if found.statements:
            issues += self.add_statements(*found.statements)
        if found.evidence:
            evidence = self.add_evidence(
                *found.evidence,
                copy=copy,
                logs=logs,
                limits=limits,
                secrets=secrets,
                workers=workers,
                progress=progress,
            )
        built = self.build_case(name or _case_name(self.folder, paths), workers=workers, progress=progress)
        return Investigation(
            sorted=found,
            knowledge=knowledge,
            evidence=evidence,
            case=built.case,
            answer=built.answer(language),
            report=self.report(built=built, language=language),
            sightings=len(built.case.sightings),
            not_evaluated=len([row for row in built.report.not_evaluated if not row.partial]),
            issues=(*issues, *knowledge.issues, *evidence.issues),
        )


def _case_name(folder: Path, paths: Sequence[str | Path]) -> str:
    """Name a case after the one file or folder that was given, else after the workspace."""
    if len(paths) == 1:
        if is_url(paths[0]):
            return Path(shown_url(str(paths[0])).partition("?")[0]).stem
        return Path(paths[0]).resolve().stem
    return folder.resolve().name
