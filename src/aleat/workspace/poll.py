"""The verb that polls another party's server: what it has that we haven't is taken in, a few pages at a time.

Pages are fetched while nothing is locked; what has gathered is kept in one transaction with the bookmark that lies
behind it and an entry of the custody ledger. Whatever ends a poll, what was kept stays, and the next one goes on
there. Its end is an entry of its own, with counts and what was refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime

from aleat.errors import InputError, Issue, RemoteError
from aleat.exchange.access import Access, split_url
from aleat.exchange.feeds import Feed, Page
from aleat.exchange.misp_server import MispFilters
from aleat.exchange.sources import SOURCES, Source, open_source
from aleat.knowledge import Document, read_documents
from aleat.store.ledger import append_entry
from aleat.store.polls import put_bookmark, read_bookmark
from aleat.workspace.core import giver_id
from aleat.workspace.knowledge import keep, stated_markings
from aleat.workspace.post import PostVerbs, keep_letters
from aleat.workspace.progress import Progress, silent
from aleat.workspace.results import KnowledgeAdded, Polled, PolledFeed

__all__ = ["PollVerbs", "list_feeds", "poll"]

_GATHERED_OBJECTS = 20_000
_GATHERED_BYTES = 128 * 1024**2
_GATHERED_SECONDS = 30.0
"""What has gathered is kept at the first of these: little is fetched again after a kill."""

_STAGE = "poll"
_LISTED_ISSUES = 20  # in the ledger's entry; all of them are returned


def list_feeds(access: Access) -> tuple[Feed | Issue, ...]:
    """Return what can be polled at a URL; raises `RemoteError` where the server can't be asked."""
    source = open_source(access)
    try:
        return tuple(source.feeds())
    finally:
        source.close()


def poll(
    session: PostVerbs,
    access: Access,
    *,
    feeds: Sequence[str] = (),
    everything: bool = False,
    giver: str | None = None,
    marking: str | None = None,
    originator: str | None = None,
    since: datetime | None = None,
    events: MispFilters | None = None,
    progress: Progress = silent,
) -> Polled:
    """Take in what is new at the server of `access`, and remember how far that was.

    `feeds` names collections by id, alias or title; without it the only one is polled, or, with `everything`, all.
    `giver` (default: the server's name: what others say is never taken for our own), `marking` and `originator` are
    those of `add_knowledge`; the bookmark is kept for URL, feed and giver. `since` (aware) begins a first poll later,
    or a later one earlier; what lies between the last poll and `since` is never left out. Where there is a collection
    of messages at the URL, its sealed files are fetched and opened first, whoever they are from: each says so itself.
    `events` says which of a MISP server's events are asked for; each choice has a bookmark of its own. Raises
    `RemoteError` where the server can't even say what it has.
    """
    labels = stated_markings(marking)
    source = open_source(access, events)
    try:
        found = source.feeds()
        there = [item for item in found if isinstance(item, Feed)]
        refused = [item for item in found if isinstance(item, Issue)]
        letters = [feed for feed in there if feed.messages]
        plain = [feed for feed in there if not feed.messages]
        names = [name for name in feeds if not any(name in {box.id, box.alias, box.title} for box in letters)]
        only_letters = bool(letters) and not names and (bool(feeds) or not plain)
        chosen = [] if only_letters else _choose(plain, names, everything=everything)
        with session.read() as connection:
            from_whom = giver_id(session, connection, giver or access.origin[1])
        run = _Run(session, source, access, from_whom, originator, labels, progress)
        failures = [issue for feed in letters for issue in run.fetch_letters(feed)]
        opened = session.open_mail() if letters else ()
        done = [run.poll(feed, since) for feed in chosen]
    finally:
        source.close()
    return Polled(
        feeds=tuple(done),
        refused=tuple(refused if everything else ()),
        giver=from_whom,
        letters=tuple(one.received for one in opened if one.received is not None),
        letter_issues=(*failures, *(one.issue for one in opened if one.reason and not one.again)),
        shut=sum(one.again for one in opened),
    )


def _choose(there: Sequence[Feed], names: Sequence[str], *, everything: bool) -> Sequence[Feed]:
    if everything or (len(there) == 1 and not names):
        return there
    if not names:
        known = ", ".join(f"{feed.title!r}" for feed in there[:10]) or "none"
        raise InputError(
            f"There are {len(there)} collections at this URL: {known}.",
            advice="Name some (--collection), or poll them all (--all).",
        )
    chosen: dict[str, Feed] = {}
    for name in names:
        same = [feed for feed in there if name in {feed.id, feed.alias, feed.title, feed.url} - {""}]
        if len(same) != 1:
            how = "No collection" if not same else "More than one collection"
            raise InputError(f"{how} at this URL is called {name[:100]!r}.", advice="Name it by its id.")
        chosen[same[0].url] = same[0]
    return list(chosen.values())


class PollVerbs(PostVerbs):
    """What a workspace does with other parties' servers."""

    def poll(
        self,
        access: Access | str,
        *,
        feeds: Sequence[str] = (),
        everything: bool = False,
        giver: str | None = None,
        marking: str | None = None,
        originator: str | None = None,
        since: datetime | None = None,
        events: MispFilters | None = None,
        progress: Progress = silent,
    ) -> Polled:
        """Take in what is new at another party's server, and remember how far that was; see `poll`."""
        return poll(
            self,
            Access(access) if isinstance(access, str) else access,
            feeds=feeds,
            everything=everything,
            giver=giver,
            marking=marking,
            originator=originator,
            since=since,
            events=events,
            progress=progress,
        )

    def feeds(self, access: Access | str) -> tuple[Feed | Issue, ...]:
        """Return what can be polled at a server's URL, and an issue for each that can't be."""
        return list_feeds(Access(access) if isinstance(access, str) else access)


class _Run:
    """One poll: what is the same for all of its feeds."""

    def __init__(
        self,
        session: PostVerbs,
        source: Source,
        access: Access,
        giver: str,
        originator: str | None,
        labels: tuple[str, ...],
        progress: Progress,
    ) -> None:
        self.session = session
        self.source = source
        self.clock = access.clock
        self.kind = SOURCES[access.url.partition("://")[0].lower()].name
        self.server = split_url(access.url).geturl()
        self.giver = giver
        self.originator = originator
        self.labels = labels
        self.progress = progress

    def poll(self, feed: Feed, since: datetime | None) -> PolledFeed:
        """Poll one feed to its end, or to where the server ends it."""
        with self.session.read() as connection:
            bookmark = read_bookmark(connection, feed.url, feed.id, self.giver)
        began = bookmark
        added: list[KnowledgeAdded] = []
        failures: list[Issue] = []
        pages = self._pages(feed, bookmark, since, failures)
        gathered: list[Page] = []
        count = size = objects = 0
        due = self.clock() + _GATHERED_SECONDS
        for page in pages:
            count += 1
            objects += page.objects
            gathered.append(page)
            size += sum(document.size for document in page.documents)
            self.progress("poll", objects, None)
            full = size >= _GATHERED_BYTES or sum(one.objects for one in gathered) >= _GATHERED_OBJECTS
            if full or self.clock() >= due:
                added.append(self._keep(feed, gathered))
                gathered, size, due = [], 0, self.clock() + _GATHERED_SECONDS
        if gathered:
            added.append(self._keep(feed, gathered))
        return self._finish(feed, began, count, added, failures)

    def fetch_letters(self, feed: Feed) -> tuple[Issue, ...]:
        """Keep what is new in a collection of messages, shut, page by page; return what could not be."""
        session = self.session
        with session.read() as connection:
            bookmark = read_bookmark(connection, feed.url, feed.id, self.giver)
        failures: list[Issue] = []
        for page in self._pages(feed, bookmark, None, failures):
            try:
                with session.writing(), session.write() as connection:
                    issues = keep_letters(session, connection, [page], feed.url)
                    if page.bookmark is not None:
                        put_bookmark(connection, feed.url, feed.id, self.giver, page.bookmark, time=session.now())
            except InputError as error:
                return (*failures, error.issue(_STAGE, feed.url))
            failures += issues
        return tuple(failures)

    def _pages(self, feed: Feed, bookmark: str, since: datetime | None, failures: list[Issue]) -> Iterator[Page]:
        """Yield a feed's pages; what ends them too early is put into `failures`."""
        try:
            yield from self.source.pages(feed, bookmark=bookmark, since=since, reference_time=self.session.now())
        except RemoteError as error:
            failures.append(error.issue(_STAGE, feed.url))

    def _keep(self, feed: Feed, pages: Sequence[Page]) -> KnowledgeAdded:
        """Keep what has gathered, with the bookmark behind it, in one transaction."""
        parts: list[Document | Issue] = []
        for page in pages:
            parts += (*page.documents, *page.issues)
        bookmark = next((page.bookmark for page in reversed(pages) if page.bookmark is not None), None)
        session = self.session
        with session.writing(), session.write() as connection:
            if bookmark is not None:
                put_bookmark(connection, feed.url, feed.id, self.giver, bookmark, time=session.now())
            if not parts:
                return KnowledgeAdded()
            return keep(
                session,
                connection,
                read_documents(lambda: iter(parts), policy=session.policy(), markings=self.labels),
                giver=self.giver,
                originator=self.originator,
                kind="knowledge",
                facts={
                    "url": feed.url,
                    "server": self.kind,
                    "feed": feed.id,
                    "pages": len(pages),
                    "bookmark": bookmark,
                    "marking": self.labels[0] if self.labels else None,
                },
                named={part.path for page in pages for part in page.documents},
            )

    def _finish(
        self, feed: Feed, began: str, pages: int, added: Sequence[KnowledgeAdded], failures: Sequence[Issue]
    ) -> PolledFeed:
        """Write the poll's entry, and return what it did."""
        session = self.session
        whole = _sum(added, failures)
        with session.writing(), session.write() as connection:
            bookmark = read_bookmark(connection, feed.url, feed.id, self.giver)
            data = {
                "url": feed.url,
                "server": self.kind,
                "feed": feed.id,
                "giver": self.giver,
                "pages": pages,
                "objects": whole.new,
                "known": whole.known,
                "conflicts": whole.conflicts,
                "from": began or None,
                "to": bookmark or None,
                "complete": not failures,
                "issues": len(whole.issues),
                "refused": [f"{issue.code}: {issue.reason}" for issue in whole.issues[:_LISTED_ISSUES]],
            }
            append_entry(connection, "exchange", "poll", data, actor=session.actor, time=session.now(), key=session.key)
        return PolledFeed(
            title=feed.title,
            id=feed.id,
            url=feed.url,
            pages=pages,
            bookmark=bookmark,
            complete=not failures,
            added=whole,
        )


def _sum(added: Sequence[KnowledgeAdded], failures: Sequence[Issue]) -> KnowledgeAdded:
    kinds: Counter[str] = Counter()
    for one in added:
        kinds.update(one.kinds)
    return KnowledgeAdded(
        new=sum(one.new for one in added),
        known=sum(one.known for one in added),
        conflicts=sum(one.conflicts for one in added),
        entries=sum(one.entries for one in added),
        kinds=dict(kinds),
        corpora=tuple(sorted({name for one in added for name in one.corpora})),
        notes=sum(one.notes for one in added),
        issues=(*(issue for one in added for issue in one.issues), *failures),
    )
