"""The verbs that look into the lake: search it, say what is in it, ask it in SQL, and make its index."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from contextlib import ExitStack
from datetime import datetime
from itertools import islice

import msgspec

from aleat.errors import WorkspaceBusyError
from aleat.evidence.batch import split_column
from aleat.hunt.search import Searched, SearchHit, SearchScope, search_lake
from aleat.hunt.search_query import parse_query
from aleat.processes import process_pool
from aleat.store.index_part import FieldRow, estimate_distinct
from aleat.store.lake import Lake, SourceRow
from aleat.store.value_hash import fold_text
from aleat.store.value_index import IndexState, Rebuilt, ValueIndex
from aleat.workspace.core import Session
from aleat.workspace.evidence import default_workers, open_lake
from aleat.workspace.progress import Progress, silent
from aleat.workspace.sql import MEMORY, Answer, ask

__all__ = ["FieldSeen", "LakeVerbs", "Search"]

_FEW_SEGMENTS = 8
"""Up to so many segments are indexed in this process: starting others takes longer."""


class FieldSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A field of one log: in how many events, how many distinct values, since when, and one of them.

    Values that differ in case only count once. `exact` says whether `distinct` is counted (up to 255 values) or
    estimated (within about a sixth). `kind` is the cell's kind (`aleat.evidence.batch`), "" for what every event has.
    Times are microseconds since 1970.
    """

    format: str
    channel: str
    field: str
    kind: str
    events: int
    distinct: int
    exact: bool
    first: int | None
    last: int | None
    example: str


class Search:
    """A search under way: iterate over it for its hits; `went` says how it goes, `more` whether the limit cut it."""

    def __init__(self, hits: Iterator[SearchHit], went: Searched, limit: int | None) -> None:
        self._hits = hits
        self._limit = limit
        self.went = went
        self.more = False

    def __iter__(self) -> Iterator[SearchHit]:
        yield from islice(self._hits, self._limit)
        if self._limit is not None:
            self.more = next(self._hits, None) is not None


class LakeVerbs(Session):
    """What is in the lake, without a hunt."""

    def search(
        self,
        what: str,
        *,
        exact: bool = False,
        since: datetime | None = None,
        until: datetime | None = None,
        hosts: Iterable[str] = (),
        limit: int | None = None,
        workers: int | None = None,
        progress: Progress = silent,
    ) -> Search:
        """Look for a value, ``FIELD=VALUE``, or an expression over such terms (`aleat.hunt.search_query`).

        Only events at or after `since` and before `until` (aware times) and of `hosts` are looked at; at most `limit`
        are returned, in the order of sources and records. What isn't indexed yet is indexed first, unless another
        process is writing: then it is looked at itself. With `exact` case counts and wildcards don't. Raises
        `InputError` where `what` can't be read.
        """
        query = parse_query(what, exact=exact)
        lake = open_lake(self)
        index = self._indexed(lake, workers, progress)
        went = Searched()
        scope = SearchScope(since=since, until=until, hosts=frozenset(map(fold_text, hosts)))

        def show(done: int, total: int) -> None:
            progress("search", done, total)

        return Search(search_lake(lake, index, query, scope=scope, went=went, progress=show), went, limit)

    def index(
        self, *, workers: int | None = None, executor: Executor | None = None, progress: Progress = silent
    ) -> IndexState:
        """Bring the value index up to date, every byte of it checked."""
        with self.writing():
            return self._refreshed(open_lake(self), workers, executor, progress, check=True)

    def rebuild_index(
        self, *, workers: int | None = None, executor: Executor | None = None, progress: Progress = silent
    ) -> Rebuilt:
        """Delete the value index, make it anew from the segments, and say whether it is the same."""
        with self.writing(), ExitStack() as stack:
            index = ValueIndex(open_lake(self))
            pool = executor or _pool(stack, len(index.keys), workers)
            return index.rebuild(executor=pool, progress=lambda done, total: progress("index", done, total))

    def fields(self, *, workers: int | None = None, progress: Progress = silent) -> tuple[FieldSeen, ...]:
        """Return every field of every log: how often, how many values, since when; sorted."""
        index = self._indexed(open_lake(self), workers, progress)
        return tuple(map(_field_seen, index.fields()))

    def sources(self) -> tuple[SourceRow, ...]:
        """Return the register of evidence, in the order in which it came in."""
        return tuple(open_lake(self).sources())

    def sql(self, query: str, *, memory: str = MEMORY, progress: Progress = silent) -> Answer:
        """Run a statement in SQL over the views ``events``, ``segments``, ``sources`` and ``coverage``.

        It can read nothing else, and change nothing. Needs the extra ``aleat[sql]``; raises `InputError` where the
        statement is refused.
        """
        lake = open_lake(self)
        return ask(lake, self._indexed(lake, None, progress), query, memory=memory)

    def _indexed(self, lake: Lake, workers: int | None, progress: Progress) -> ValueIndex:
        """Return the index, brought up to date where that can be done now."""
        index = ValueIndex(lake)
        if not index.missing:
            return index
        try:
            with self.writing(patience=0):
                self._refreshed(lake, workers, None, progress)
        except WorkspaceBusyError:
            return index
        return ValueIndex(lake)

    def _refreshed(
        self, lake: Lake, workers: int | None, executor: Executor | None, progress: Progress, *, check: bool = False
    ) -> IndexState:
        index = ValueIndex(lake)
        with ExitStack() as stack:
            pool = executor or _pool(stack, len(index.missing), workers)
            return index.refresh(
                executor=pool, check=check, progress=lambda done, total: progress("index", done, total)
            )


def _pool(stack: ExitStack, segments: int, workers: int | None) -> Executor | None:
    workers = workers or default_workers()
    return stack.enter_context(process_pool(workers)) if workers > 1 and segments > _FEW_SEGMENTS else None


def _field_seen(row: FieldRow) -> FieldSeen:
    distinct, exact = estimate_distinct(row.sketch)
    field, kind = split_column(row.column) or (row.column, "")
    return FieldSeen(
        format=row.format,
        channel=row.channel,
        field=field,
        kind=kind,
        events=row.events,
        distinct=min(distinct, row.events),
        exact=exact,
        first=row.first,
        last=row.last,
        example=row.example,
    )
