"""MISP servers as a source of polling: events that are new since the last poll, one page each, with PyMISP.

The server is first asked what it has (MISP's ``restSearch``, without the events' contents), then for each event by
its UUID, in the order of its time: so that a poll that was cut off goes on behind the last event that was kept, and
events with the same time are told apart by their UUIDs. Published events are ordered by the time of publishing: an
old event that is published today is new.

PyMISP speaks (`misp_session`). What an event becomes is for `aleat.knowledge.readers.misp`: here it stays the
server's bytes.

Not here: sightings that were added to an event which itself didn't change: MISP doesn't list those events again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode, urljoin

from aleat.errors import InputError, Issue, ObjectError, Place, RemoteError
from aleat.exchange.access import Access, Credentials
from aleat.exchange.feeds import Feed, Page, page_document
from aleat.exchange.http_client import Answer, HttpClient
from aleat.exchange.misp_session import MispSession, refusal, server_url
from aleat.knowledge.misp.fields import identifier, objects_in, text
from aleat.stix.times import parse_timestamp
from aleat.text import clip, visible

__all__ = ["MispFilters", "MispSource"]

_STAGE = "poll"
_FEED = "events"
_PASSES = 5
_LARGEST_TIME = 253_402_300_799
_LONGEST_NUMBER = 16


@dataclass(frozen=True, slots=True)
class MispFilters:
    """Which of a server's events are asked for.

    `tags` and `organisations` are MISP's own words (``!`` before: not), `published` None asks for unpublished ones too,
    `to_ids` for events only that have something fit for detection. `events` names them, by UUIDs or the server's own
    numbers: then just these come, and no bookmark is kept.
    """

    tags: tuple[str, ...] = ()
    organisations: tuple[str, ...] = ()
    published: bool | None = True
    to_ids: bool = False
    events: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in self.events:
            if not (identifier(name) or (name.isascii() and name.isdigit() and len(name) < _LONGEST_NUMBER)):
                raise InputError(f"{clip(visible(name), 60)!r} is no UUID and no number of an event.")

    @property
    def words(self) -> str:
        """What tells one choice of events from another; empty where there is none."""
        told = [("tag", name) for name in self.tags] + [("org", name) for name in self.organisations]
        told += [("published", "any")] if self.published is None else []
        told += [("to_ids", "1")] if self.to_ids else []
        told += [("event", name) for name in self.events]
        return urlencode(sorted(told))


@dataclass(frozen=True, slots=True)
class _Bookmark:
    """How far a poll came: all events before `time` (seconds), and those of `uuids` at it."""

    time: int = 0
    uuids: frozenset[str] = frozenset()

    @staticmethod
    def read(bookmark: str) -> _Bookmark:
        """Return what `write` wrote; raises `InputError` for anything else."""
        if not bookmark:
            return _Bookmark()
        time, *uuids = bookmark.split(" ")
        try:
            return _Bookmark(int(parse_timestamp(time).timestamp()), frozenset(uuids))
        except ObjectError:
            raise InputError("That is no bookmark of a MISP server's events.") from None

    def write(self) -> str:
        """Return it as text: the time, and the UUIDs."""
        time = datetime.fromtimestamp(self.time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return " ".join((time, *sorted(self.uuids)))

    def after(self, time: int, uuid: str) -> _Bookmark:
        """Return the bookmark behind the event `uuid` of `time`."""
        return _Bookmark(time, self.uuids | {uuid}) if time == self.time else _Bookmark(time, frozenset({uuid}))


class MispSource:
    """A MISP server, by its URL (``misp+https://HOST/``); the token of `access` is our key there."""

    def __init__(self, access: Access, filters: MispFilters | None = None) -> None:
        if not access.credentials.token:
            raise InputError(
                "A MISP server wants a key.", advice="Give a file with it (--token-file), or $ALEAT_TOKEN."
            )
        self.filters = filters or MispFilters()
        self.url = server_url(access)
        self._key = access.credentials.token
        self.http = HttpClient(replace(access, credentials=Credentials()))
        self._session: MispSession | None = None

    def close(self) -> None:
        """Close all connections."""
        self.http.close()

    def feeds(self) -> Sequence[Feed | Issue]:
        """Return the server's events as what can be polled; raises `RemoteError` where it doesn't let us in."""
        self._speak()
        words = self.filters.words  # another choice has another bookmark: what one passed over, the next may want
        return [Feed(f"{_FEED}?{words}" if words else _FEED, "MISP events", urljoin(self.url, _FEED))]

    def pages(self, feed: Feed, *, bookmark: str, since: datetime | None, reference_time: datetime) -> Iterator[Page]:
        """Yield the events that are new, oldest first; see `aleat.exchange.sources.Source.pages`."""
        if self.filters.events:
            yield from (self._page(name, None) for name in self.filters.events)
            return
        begin = _Bookmark.read(bookmark)
        if since is not None and (not bookmark or since.timestamp() < begin.time):
            begin = _Bookmark(max(int(since.timestamp()), 0))
        issues: list[Issue] = []
        rows = self._index(begin.time, issues)
        if issues:
            yield Page(issues=tuple(issues))
        done = begin
        for time, uuid in sorted(rows):
            if time == begin.time and uuid in begin.uuids:
                continue
            done = done.after(time, uuid)
            yield self._page(uuid, done.write())

    def _page(self, name: str, bookmark: str | None) -> Page:
        """Return the page of one event, with the bookmark behind it."""
        found = self._fetch(name)
        if isinstance(found, Issue):
            return Page(issues=(found,), bookmark=bookmark)
        document = page_document(self._shown(name), f"events/{name}.json", (found.body,))
        return Page((document,), (), bookmark, 1)

    def _index(self, since: int, issues: list[Issue]) -> set[tuple[int, str]]:
        """Return (time, UUID) of what is there since `since`.

        Pages shift where an event is deleted in between; what has several is looked through again until nothing is new.
        """
        rows: dict[str, int] = {}
        for _ in range(_PASSES):
            before, pages = len(rows), self._pass(since, rows, issues)
            if pages <= 1 or len(rows) == before:
                break
        return {(time, uuid) for uuid, time in rows.items()}

    def _pass(self, since: int, rows: dict[str, int], issues: list[Issue]) -> int:
        """Look once through the pages of the index; returns how many there were."""
        limits, page, empty = self.http.limits, 0, 0
        name = "publish_timestamp" if self.filters.published else "timestamp"
        seen: set[str] = set()
        while True:
            page += 1
            if page > limits.pages or len(rows) > limits.objects:
                raise RemoteError(
                    "The server's index of events doesn't end within the limits (pages, objects).", code="limit"
                )
            found = self._search(page, name, since)
            before = len(seen)
            for event in found:
                uuid, time = identifier(event.get("uuid")), _seconds(event.get(name))
                if not uuid or time is None:
                    reason = "An event of the server's index has no usable UUID or time; it can't be asked for."
                    issue = Issue(_STAGE, "misp", Place(self.url), reason, records=1)
                    if issue not in issues:
                        issues.append(issue)
                    continue
                seen.add(uuid)
                if time >= since:
                    rows[uuid] = time
            if len(found) < limits.page_objects:
                return page
            empty = 0 if len(seen) > before else empty + 1
            if empty >= limits.empty_pages:
                raise RemoteError("The server's index of events repeats itself.", code="limit")

    def _search(self, page: int, name: str, since: int) -> list[Mapping[str, Any]]:
        """Return one page of the index: events without their contents."""
        session = self._speak()
        filters = self.filters
        more: dict[str, Any] = {name: since} if since else {}
        more |= {"to_ids": 1} if filters.to_ids else {}
        answer = session.ask(
            lambda speaker: speaker.search(
                controller="events",
                metadata=True,
                limit=self.http.limits.page_objects,
                page=page,
                tags=list(filters.tags) or None,
                org=list(filters.organisations) or None,
                published=filters.published,
                pythonify=False,
                **more,
            )
        )
        if isinstance(answer, Mapping) and "errors" in answer:
            raise refusal(session.answer)
        rows, faults = objects_in(answer)
        if faults or isinstance(answer, Mapping):
            raise RemoteError("The server's index of events is no list of events.", code="broken")
        events = [row.get("Event", row) for row in rows]
        return [event if isinstance(event, Mapping) else {} for event in events]

    def _fetch(self, uuid: str) -> Answer | Issue:
        """Return the server's answer that holds the event `uuid`, and nothing else."""
        session = self._speak()
        value = session.ask(lambda speaker: speaker.get_event(uuid, deleted=True))
        place = Place(self._shown(uuid))
        answer = session.answer
        if isinstance(value, Mapping) and "errors" in value:
            reason = f"The server doesn't give this event (status {answer.status})."
            return Issue(_STAGE, "refused", place, reason, "Ask its keeper.", records=1)
        event = value.get("Event") if isinstance(value, Mapping) else None
        shown = event if isinstance(event, Mapping) else {}
        asked = identifier(shown.get("uuid")) if identifier(uuid) else text(shown.get("id")).strip()
        if not asked or asked != uuid.lower():
            return Issue(_STAGE, "misp", place, "The server gave something else than the event asked for.", records=1)
        return answer

    def _speak(self) -> MispSession:
        """Return the connection: PyMISP asks for the server's version, and who we are there."""
        if self._session is None:
            self._session = MispSession(self.url, self._key, self.http)
        return self._session

    def _shown(self, uuid: str) -> str:
        return urljoin(self.url, f"events/view/{uuid}")


def _seconds(value: Any) -> int | None:
    digits = text(value).strip()
    number = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 16 else -1
    return number if 0 <= number <= _LARGEST_TIME else None
