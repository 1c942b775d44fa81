"""The verb that pushes: what waits in the post box, and what an ally may have, go to another party's server, once.

What leaves is what the ally would get of our own server: the sealed files in its post box, into a collection of
messages (`aleat.exchange.letters`), and its shelf, judged by the gate before each step. What is about to leave stands
in the exchange ledger before it does; what became of each object is kept behind each envelope, so that a push that was
cut off goes on there, and what was refused is pushed again the next time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from aleat.errors import InputError, Issue, Place, RemoteError, WorkspaceBusyError
from aleat.exchange import PushFailure, push_objects
from aleat.exchange.access import Access
from aleat.exchange.desk import agreed, terms_for, trusted_ally
from aleat.exchange.feeds import Feed
from aleat.exchange.taxii_source import TaxiiSource
from aleat.release import Channel
from aleat.stix.canonical import canonical_json
from aleat.stix.objects import StixObject, parse_object
from aleat.store.decisions import require
from aleat.store.ledger import append_entry
from aleat.store.post import read_post
from aleat.store.pushes import (
    PushRow,
    pushed_digests,
    put_push_mark,
    put_pushes,
    read_open_pushes,
    read_push_mark,
)
from aleat.store.shelves import ShelfPage, ShelfQuery, read_shelf_state
from aleat.trust.people import require_two_people
from aleat.workspace.accounts import Account
from aleat.workspace.post_push import PushedFeed, push_post
from aleat.workspace.progress import Progress, silent
from aleat.workspace.sharing import Sharing, SharingVerbs

__all__ = ["PushVerbs", "PushedFeed", "PushedTo"]

_STAGE = "push"
_PAGE = 1_000
_PATIENCE = 200  # times 25 seconds, in which the gate judges


class PushedTo(msgspec.Struct, frozen=True, kw_only=True):
    """What a push did, collection by collection, for which ally; `issues` is what could not be done.

    `messages` is what became of the sealed files, None where there is no collection for them; `left` how many wait.
    """

    ally: str
    feeds: tuple[PushedFeed, ...] = ()
    messages: PushedFeed | None = None
    left: int = 0
    issues: tuple[Issue, ...] = ()


class PushVerbs(SharingVerbs):
    """What a workspace's releaser sends to other parties' servers."""

    def push(
        self,
        access: Access | str,
        *,
        to: str,
        collection: str = "",
        only: Literal["feed", "post"] | None = None,
        approver: str | None = None,
        progress: Progress = silent,
    ) -> PushedTo:
        """Push the post to the ally `to`, and what it may have, into collections of a TAXII 2.1 server that it reads.

        `collection` names that for the feed by id, alias or title, where there are several at the URL; `only` leaves
        out the post, or the feed. `approver` is the second releaser where the agreement wants two people. Raises
        `RemoteError` where the server can't even say what it has, `NotPermittedError` where there is no agreement.
        """
        reach = Access(access) if isinstance(access, str) else access
        ally = self._may_push(to, approver, feed=only != "post")
        source = TaxiiSource(reach)
        try:
            found = source.targets()
            boxes = [item for item in found if isinstance(item, Feed) and item.messages]
            feeds = [item for item in found if isinstance(item, Feed) and not item.messages]
            chosen = [] if only == "post" or (boxes and not feeds) else [_choose(feeds, collection)]
            run = _Push(self, source, ally, approver or "", progress)
            try:
                messages = push_post(run, boxes[0]) if boxes and only != "feed" else None
                pushed = tuple(run.push(feed) for feed in chosen)
            finally:
                run.close()
        finally:
            source.close()
        with self.read() as connection:
            left = sum(1 for _ in read_post(connection, ally, waiting=True))
        issues = (*(item for item in found if isinstance(item, Issue)), *run.issues)
        return PushedTo(ally=ally, feeds=pushed, messages=messages, left=left, issues=issues)

    def _may_push(self, to: str, approver: str | None, *, feed: bool = True) -> str:
        """Return the ally's identity, if we may push to it; a feed on the same terms as a release."""
        with self.writing():
            self.database.create_tables()
        with self._desk(write=False) as desk:
            require(desk.connection, desk.actor, "releaser")
            card = trusted_ally(desk, to).card
            if feed:
                agreement = agreed(terms_for(desk, card))
                if agreement.two_people:
                    require_two_people(desk.actor, approver, agreement.name)
                if approver is not None:
                    require(desk.connection, approver, "releaser")
        return card.identity


def _choose(feeds: Sequence[Feed], name: str) -> Feed:
    """Return the collection that is meant; raises `InputError` where that isn't clear."""
    same = [feed for feed in feeds if not name or name in {feed.id, feed.alias, feed.title, feed.url} - {""}]
    if len(same) == 1:
        return same[0]
    known = ", ".join(f"{feed.title!r} ({feed.id})" for feed in feeds[:10]) or "none"
    how = f"None is called {name[:100]!r}" if name else f"There are {len(feeds)} collections to push into at this URL"
    raise InputError(f"{how}: {known}.", advice="Name one by its id: --collection ID.")


class _Push:
    """One push: what is the same for all of its steps."""

    def __init__(self, ws: PushVerbs, source: TaxiiSource, ally: str, approver: str, progress: Progress) -> None:
        self.ws: SharingVerbs = ws
        self.source, self.ally, self.approver, self.progress = source, ally, approver, progress
        channel: Channel = "tls" if source.client.http.origin[0] == "https" else "plain"
        self.sharing = Sharing(ws, quick_seconds=1e9, channel=channel)
        self.issues: list[Issue] = []

    def close(self) -> None:
        """End what judges."""
        self.sharing.close()

    def push(self, feed: Feed) -> PushedFeed:
        """Push what isn't in the collection yet, step by step; what stops it is an issue, and leaves what is done."""
        taken = known = waiting = 0
        refused: list[PushFailure] = []
        complete = True
        try:
            for items, mark in self._steps(feed):
                fresh = self._fresh(feed, items)
                known += len(items) - len(fresh)
                rows = self._push(feed, fresh) if fresh else []
                self._keep(feed, rows, mark)
                taken += sum(row.state == "taken" for row in rows)
                waiting += sum(row.state == "waiting" for row in rows)
                refused += [PushFailure(row.id, row.version, row.reason) for row in rows if row.state == "refused"]
                self.progress("push", taken + known + waiting, None)
        except RemoteError as error:
            complete = False
            self.issues.append(error.issue(_STAGE, feed.url))
        done = PushedFeed(
            title=feed.title,
            url=feed.url,
            taken=taken,
            known=known,
            waiting=waiting,
            refused=tuple(refused),
            complete=complete,
        )
        self._finish(done)
        return done

    def _steps(self, feed: Feed) -> Iterator[tuple[list[StixObject], int]]:
        """Yield what to push, and up to which number of the shelf that goes: first what was refused before."""
        with self.ws.read() as connection:
            again = sorted({row.id for row in read_open_pushes(connection, feed.url, self.ally)})
            mark = read_push_mark(connection, feed.url, self.ally)
        for start in range(0, len(again), _PAGE):
            part = again[start : start + _PAGE]
            yield _objects(self._page(ShelfQuery(ids=part, limit=len(part)))), 0
        with self.ws.read() as connection:
            state = read_shelf_state(connection, self.sharing.shelf_of(self.ally))
        if state is not None and state.last < mark:
            mark = 0  # the workspace came back from a backup: its numbers began anew
        while True:
            page = self._page(ShelfQuery(after=mark, limit=_PAGE))
            if page.rows:
                mark = page.rows[-1].seq
                yield _objects(page), mark
            if not page.more:
                return

    def _page(self, query: ShelfQuery) -> ShelfPage:
        """Return a page of the ally's shelf as the gate judges now, however long that takes."""
        account = Account(name="push", ally=self.ally, collection="", approved_by=self.approver)
        for attempt in range(_PATIENCE):
            try:
                return self.sharing.page(account, query)
            except WorkspaceBusyError:
                if attempt == _PATIENCE - 1:
                    raise
                self.progress("judge", attempt, None)
        raise AssertionError

    def _fresh(self, feed: Feed, items: Sequence[StixObject]) -> list[StixObject]:
        with self.ws.read() as connection:
            done = pushed_digests(connection, feed.url, self.ally, [item.id for item in items])
        return [item for item in items if (item.id, item.digest) not in done]

    def _push(self, feed: Feed, items: Sequence[StixObject]) -> list[PushRow]:
        """Push objects, written down before they leave, and return what became of each."""
        listed = [[item.id, item.version] for item in items]
        facts = {"objects": len(items), "sha256": hashlib.sha256(canonical_json(listed)).hexdigest()}
        self.record("given", {"server": feed.url, "collection": feed.id, "ally": self.ally, "asked": "push", **facts})
        done = push_objects(self.source.client, feed.url, items)
        pending = set(done.pending)
        failed = {(failure.id, failure.version): failure.reason for failure in done.failed}
        unnamed = failed.get(("", ""), "")
        rows = []
        for item in items:
            key = (item.id, item.version)
            if key in failed:
                rows.append(PushRow(item.id, item.digest, item.version, "refused", failed[key]))
            elif key in pending or unnamed:
                rows.append(PushRow(item.id, item.digest, item.version, "waiting", unnamed))
            else:
                rows.append(PushRow(item.id, item.digest, item.version, "taken"))
        if unnamed:
            self.issues.append(Issue(_STAGE, "refused", Place(feed.url), unnamed, "Push again to have them asked for."))
        return rows

    def _keep(self, feed: Feed, rows: Sequence[PushRow], mark: int) -> None:
        if not (rows or mark):
            return
        with self.sharing.writing(), self.ws.write() as connection:
            put_pushes(connection, feed.url, self.ally, rows, time=self.ws.now())
            if mark:
                put_push_mark(connection, feed.url, self.ally, mark)

    def _finish(self, done: PushedFeed) -> None:
        reasons = sorted({failure.reason for failure in done.refused})[:20]
        data = {
            "server": done.url,
            "ally": self.ally,
            "taken": done.taken,
            "known": done.known,
            "waiting": done.waiting,
            "refused": len(done.refused),
            "reasons": reasons,
            "complete": done.complete,
        }
        self.record("push", data)

    def record(self, kind: str, data: dict[str, object]) -> None:
        """Write an entry of the exchange ledger."""
        ws = self.ws
        with self.sharing.writing(), ws.write() as connection:
            append_entry(connection, "exchange", kind, data, actor=ws.actor, time=ws.now(), key=ws.key)


def _objects(page: ShelfPage) -> list[StixObject]:
    return [parse_object(row.raw, Place(row.id)) for row in page.rows]
