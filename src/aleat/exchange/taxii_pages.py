"""Paging through a TAXII 2.1 collection so that nothing is missed, whatever breaks on the way (§3.4, §3.5, §5.4).

What makes that hard, and what is done about it:

- `added_after` leaves out its own moment, and many objects can share one. Every new start therefore lies a step
  before the last time that was seen (`step_back`): what comes twice is known to the store.
- `next` is a server's own memory. Medallion's hands a page out once: asked again after the connection broke, it
  gives the page behind. A request with `next` is thus never repeated; the chain starts anew behind its checkpoint.
- A server may page without `next`, by `added_after` and X-TAXII-Date-Added-Last alone. Where more objects than a
  page holds share a moment, stepping back would give the same page for ever: a larger page is asked for, then one
  of any size, then a finer step is tried; what then still lies beyond is told as out of reach, and the poll goes on.
- Objects may become visible later than their time says. A poll begins `OVERLAP` before the last one's end.
- A time in the future would hide all that comes until then: a bookmark never lies behind the time of the poll.
- Pages that go back in time aren't trusted to be in order: the checkpoint stays until the chain is at its end.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator
from datetime import UTC, datetime, timedelta

from aleat.errors import Issue, Place, RemoteError
from aleat.exchange.feeds import Feed, Page, page_document
from aleat.exchange.http_client import Answer
from aleat.exchange.taxii_client import TaxiiClient
from aleat.exchange.taxii_messages import Envelope, added_last, is_moment, parse_envelope
from aleat.stix.times import parse_timestamp

__all__ = ["OVERLAP", "read_pages", "step_back"]

OVERLAP = timedelta(seconds=60)
"""How far before its bookmark a poll begins: objects that were being added while the last one ended."""

_STAGE = "poll"
_MOMENT = timedelta(milliseconds=1)
_TICK = timedelta(microseconds=1)
_FIRST = datetime(1, 1, 1, tzinfo=UTC)
_LARGEST_PAGE = 100_000  # objects: the largest page that is asked for before its size is left to the server


def step_back(time: str) -> str:
    """Return a moment surely before `time` for a server that compares as coarsely as it writes, or in milliseconds.

    >>> step_back("2022-07-15T08:00:00.123456Z"), step_back("2022-07-15T08:00:00Z")
    ('2022-07-15T08:00:00.122Z', '2022-07-15T07:59:59.000Z')
    """
    return _text(_back(parse_timestamp(time), _MOMENT if "." in time else timedelta(seconds=1)))


def read_pages(
    client: TaxiiClient, feed: Feed, *, bookmark: str, since: datetime | None, reference_time: datetime
) -> Iterator[Page]:
    """Yield the pages of a collection behind `bookmark`; see `aleat.exchange.sources.Source.pages`."""
    yield from _Pager(client, feed, bookmark, reference_time).run(since)


class _Pager:
    """One walk through a collection: several chains of pages, each begun at a checkpoint."""

    def __init__(self, client: TaxiiClient, feed: Feed, bookmark: str, reference_time: datetime) -> None:
        self.client = client
        self.limits = client.limits
        self.feed = feed
        self.bookmark = parse_timestamp(bookmark) if is_moment(bookmark) else None
        self.reference_time = reference_time
        self.checkpoint = ""  # the time behind which nothing is missing: where a chain may begin again
        self.limit = self.limits.page_objects
        self.expected = ""  # a time that the next page must still hold, where a server was asked finely
        self.pages = self.objects = 0
        self.seen: set[bytes] = set()
        self.barren = 0  # pages in a row that brought nothing new

    def run(self, since: datetime | None) -> Iterator[Page]:
        """Yield pages until the server says that there is no more."""
        after: str | None = self._begin(since)
        failures = 0
        while after is not None:
            checkpoint, pages = self.checkpoint, self.pages
            try:
                after = yield from self._chain(after)
                failures = 0
            except RemoteError as error:
                failures = 1 if self.checkpoint != checkpoint else failures + 1
                if error.code == "page-size" and self.limit != 1:
                    self.limit = max(1, (self.limit or self.limits.page_objects) // 10)
                elif not error.transient or self.pages == pages or failures >= self.limits.attempts:
                    raise
                else:
                    self.client.http.pause(failures)
                after = step_back(self.checkpoint) if self.checkpoint else after
                self.barren = 0
                self.seen.clear()

    def _begin(self, since: datetime | None) -> str:
        """Return where a walk begins; nothing between the bookmark and a later `since` is left out."""
        starts = [_back(self.bookmark, OVERLAP)] if self.bookmark else []
        starts += [_back(since, timedelta(milliseconds=1))] if since else []
        return _text(min(starts)) if starts else ""

    def _chain(self, after: str) -> Generator[Page, None, str | None]:
        """Yield the pages from `after` on; return where the next chain begins, None at the end."""
        token: str | None = None
        latest = ""  # the latest time in this chain
        orderly = True
        while True:
            params = {"match[version]": "all", **({"limit": str(self.limit)} if self.limit else {})}
            params |= {"added_after": after} if after else {}
            params |= {"next": token} if token else {}
            answer = self._ask(params, repeatable=token is None)
            envelope = parse_envelope(answer.body)
            first, last = self._times(answer, envelope, params)
            if self.expected and not (first and parse_timestamp(first) <= parse_timestamp(self.expected)):
                yield self._out_of_reach()  # it compares more coarsely than was asked: some were left out
            self.expected = ""
            orderly = orderly and not (first and latest and parse_timestamp(first) < parse_timestamp(latest))
            latest = _later(latest, last)
            if latest and (orderly or not envelope.more):
                self.checkpoint = _later(self.checkpoint, latest)
            fresh = self._count(envelope)
            if fresh or not envelope.more:
                yield self._page(envelope, after)
            if not envelope.more:
                return None
            self._check_limits()
            if not envelope.next:
                return (yield from self._step(after, last))
            token = envelope.next

    def _ask(self, params: dict[str, str], *, repeatable: bool) -> Answer:
        try:
            return self.client.objects(self.feed.url, params, repeatable=repeatable)
        except RemoteError as error:
            if not repeatable and error.code in {"refused", "server-error"}:
                error.transient = True  # the server forgot its `next`: the chain begins anew
            raise

    def _times(self, answer: Answer, envelope: Envelope, params: dict[str, str]) -> tuple[str, str]:
        """Return when the page's first and last objects were added: by the headers, else by the manifest's page."""
        first, last = added_last(answer.headers)
        if last or not envelope.more or envelope.next or not envelope.count:
            return first, last
        try:
            records = self.client.manifest(self.feed.url, params)[: envelope.count]
        except RemoteError:
            return first, ""
        times = [record.date_added for record in records if is_moment(record.date_added)]
        return first, max(times, key=parse_timestamp, default="")

    def _count(self, envelope: Envelope) -> bool:
        """Count a page, and say whether it is another than those before."""
        self.pages += 1
        digest = hashlib.sha256(envelope.objects).digest()
        fresh = envelope.count > 0 and digest not in self.seen
        self.seen.add(digest)
        self.barren = 0 if fresh else self.barren + 1
        self.objects += envelope.count if fresh else 0
        return fresh

    def _page(self, envelope: Envelope, after: str) -> Page:
        shown = f"{self.feed.url}objects/" + (f"?added_after={after}" if after else "")
        document = page_document(shown, "objects.json", (b'{"objects":', envelope.objects, b"}"))
        return Page((document,) if envelope.count else (), (), self._bookmark(), envelope.count)

    def _bookmark(self) -> str | None:
        if not self.checkpoint:
            return None
        reached = min(parse_timestamp(self.checkpoint), self.reference_time)
        return _text(max(reached, self.bookmark) if self.bookmark else reached)

    def _step(self, after: str, last: str) -> Generator[Page, None, str]:
        """Return where a server without `next` is asked on; yield an issue where something is out of reach."""
        if not last:
            raise RemoteError(
                "The server says that there is more, and neither by `next` nor by times how to ask for it.",
                code="no-way-on",
            )
        target = step_back(last)
        if not after or parse_timestamp(target) > parse_timestamp(after):
            self.limit = self.limits.page_objects
            return target
        if self.limit:  # a page is full of one moment: more is asked for at once, at last as much as there is
            self.limit = self.limit * 10 if self.limit < _LARGEST_PAGE else 0
            return after
        self.limit = self.limits.page_objects
        finer = _fine(_back(parse_timestamp(last), _TICK, _TICK))
        if parse_timestamp(finer) > parse_timestamp(after):
            self.expected = last
            return finer
        yield self._out_of_reach()
        return _fine(max(parse_timestamp(last), parse_timestamp(after) + _TICK))

    def _out_of_reach(self) -> Page:
        reason = "More objects share one moment than the server puts into a page; those beyond are out of reach."
        advice = "Its keeper can raise the size of a page, or page by `next` (TAXII 2.1 §3.5)."
        return Page(issues=(Issue(_STAGE, "one-moment", Place(f"{self.feed.url}objects/"), reason, advice),))

    def _check_limits(self) -> None:
        for name, value, limit in (
            ("pages", self.pages, self.limits.pages),
            ("objects", self.objects, self.limits.objects),
        ):
            if value >= limit:
                raise RemoteError(
                    f"The server has more {name} than {limit:,} ({name}).",
                    code="limit",
                    advice="What came is kept; poll again to go on.",
                )
        if self.barren >= self.limits.empty_pages:
            raise RemoteError(
                f"The server sent {self.barren} pages in a row that bring nothing new, and says that there is more.",
                code="endless",
            )


def _later(one: str, other: str) -> str:
    return max((text for text in (one, other) if text), key=parse_timestamp, default="")


def _back(moment: datetime, step: timedelta, unit: timedelta = _MOMENT) -> datetime:
    """Return the moment `step` before, in whole units; none is before the year 1."""
    whole = _FIRST + (moment.astimezone(UTC) - _FIRST) // unit * unit
    return max(whole, _FIRST + step) - step


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _fine(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
