"""The verbs that look at knowledge: list, show, conflicts, compare, givers. They read only."""

from __future__ import annotations

from collections import Counter

import msgspec

from aleat.errors import InputError
from aleat.exchange.beside import findings_beside
from aleat.store.objects import Conflict, StoredObject, find_conflicts, get_variants
from aleat.workspace.giver_scores import giver_months
from aleat.workspace.hunt import HuntVerbs
from aleat.workspace.knowledge_diff import compare_packs
from aleat.workspace.knowledge_records import (
    GiverMonth,
    KnowledgeFilter,
    KnowledgeList,
    KnowledgeRow,
    PackDiff,
    ShownKnowledge,
)
from aleat.workspace.knowledge_show import show_object
from aleat.workspace.knowledge_view import KnowledgeReader, known_sightings

__all__ = ["KnowledgeVerbs"]

_ASKS_FOR_HITS = {"hit", "never-hit"}


class KnowledgeVerbs(HuntVerbs):
    """What is known, from whom, and what came of it."""

    def knowledge(
        self, wanted: KnowledgeFilter | None = None, *, limit: int | None = 20, hits: bool = False
    ) -> KnowledgeList:
        """Return the objects that fit, the first `limit` of them (None: all) as rows, all of them counted by type.

        With `hits` each row says in how many events an indicator was found, as hunts knew until now.
        """
        asked = wanted or KnowledgeFilter()
        counts: dict[str, int] | None = None
        if hits or _ASKS_FOR_HITS.intersection(asked.states):
            counts = self._hit_counts()
        with self.read() as connection:
            return KnowledgeReader(self, connection).select(asked, limit=limit, hits=counts)

    def find_knowledge(self, text: str) -> tuple[KnowledgeRow, ...]:
        """Return the objects that an id, a name, an alias, an ATT&CK or rule id, or a value means."""
        with self.read() as connection:
            reader = KnowledgeReader(self, connection)
            return tuple(reader.row(stored) for stored in reader.find(text))

    def show_knowledge(self, text: str) -> ShownKnowledge:
        """Return everything about the one object that `text` means; raises `InputError` where it isn't one."""
        result, sightings = known_sightings(self)
        with self.read() as connection:
            reader = KnowledgeReader(self, connection)
            found = reader.find(text)
            if len(found) != 1:
                many = f"{len(found)} objects are" if found else "Nothing is"
                raise InputError(
                    f"{many} called {text[:80]!r}, or name it as a value.",
                    advice="aleat knowledge TEXT looks for parts.",
                )
            rejected = result.not_evaluated if result is not None else ()
            shown = show_object(reader, found[0], sightings, rejected, hunted=result is not None)
            found_by_allies = findings_beside(
                connection, self.config.identity, (), (), (), hunted=False, only=shown.row.id
            )
        return msgspec.structs.replace(shown, findings=found_by_allies)

    def knowledge_conflicts(self) -> tuple[tuple[Conflict, tuple[KnowledgeRow, ...]], ...]:
        """Return each conflict with its contents as rows, the one that counts first."""
        with self.read() as connection:
            reader = KnowledgeReader(self, connection)
            rows: list[tuple[Conflict, tuple[KnowledgeRow, ...]]] = []
            variants: dict[str, StoredObject] = {}
            for conflict in sorted(find_conflicts(connection), key=lambda conflict: conflict.id):
                if not rows or rows[-1][0].id != conflict.id:
                    variants = {one.object.digest: one for one in get_variants(connection, conflict.id)}
                told = tuple(reader.row(variants[digest]) for digest in conflict.digests if digest in variants)
                rows.append((conflict, told))
            return tuple(rows)

    def compare_knowledge(self, before: str, after: str) -> PackDiff:
        """Return what differs between two packs: paths, or givers (``GIVER`` or ``GIVER@TIME``)."""
        with self.read() as connection:
            return compare_packs(KnowledgeReader(self, connection), before, after)

    def givers(self) -> tuple[GiverMonth, ...]:
        """Return, by giver and month, what came and what became of it, as hunts knew until now."""
        _, sightings = known_sightings(self)
        with self.read() as connection:
            return giver_months(KnowledgeReader(self, connection), sightings)

    def _hit_counts(self) -> dict[str, int]:
        _, sightings = known_sightings(self)
        events = {(one.ref, one.event) for one in sightings if one.hidden_by is None}
        return dict(Counter(ref for ref, _ in events))
