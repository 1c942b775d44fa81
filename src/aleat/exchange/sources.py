"""The seam of polling: what can be polled, and what a poll gives.

A source is a server of another party, opened by `open_source` by its URL's scheme. It has feeds (a TAXII
collection, a MISP server's events), and gives a feed's news as pages: documents for the readers of knowledge
beside a bookmark, the source's own text for how far that brings us. Page and bookmark are kept in one
transaction (`aleat.workspace.poll`), so that a poll that was cut off goes on behind what was kept. A source may
give again what it gave before: the store drops what is known. It must not leave out anything in between.

To add one, write a file beside `taxii_source.py` (the one to imitate) and put it into `SOURCES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from aleat.errors import InputError, Issue
from aleat.exchange import misp_server, taxii_source
from aleat.exchange.access import Access
from aleat.exchange.feeds import Feed, Page
from aleat.text import clip, visible

__all__ = ["SOURCES", "Source", "open_source"]


class Source(Protocol):
    """An open connection to a server that can be polled; used in a `with` block by `aleat.workspace.poll`."""

    def feeds(self) -> Sequence[Feed | Issue]:
        """Return what can be polled at the URL, and an issue for each that can't be; raises `RemoteError`."""
        ...

    def pages(self, feed: Feed, *, bookmark: str, since: datetime | None, reference_time: datetime) -> Iterator[Page]:
        """Yield what came into `feed` after `bookmark` (empty: from the start), or `since`, in the server's order.

        Raises `RemoteError` where it can't go on; what was yielded before stands.
        """
        ...

    def close(self) -> None:
        """Close all connections."""
        ...


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of server: what it is called, and what connects to one (without asking it anything yet)."""

    name: str
    connect: Callable[[Access], Source]


SOURCES: dict[str, Kind] = {
    "https": Kind("TAXII 2.1", taxii_source.TaxiiSource),
    "http": Kind("TAXII 2.1", taxii_source.TaxiiSource),
    "misp+https": Kind("MISP", misp_server.MispSource),
    "misp+http": Kind("MISP", misp_server.MispSource),
}
"""By the URL's scheme; what stands before a ``+`` is taken off before the server is reached (`access.split_url`)."""


def open_source(access: Access, events: misp_server.MispFilters | None = None) -> Source:
    """Open the server at the URL of `access`, of a MISP server only the `events` that are asked for.

    Raises `InputError` where the URL's scheme is of no kind that can be polled.
    """
    scheme = access.url.partition("://")[0].lower()
    if scheme not in SOURCES:
        known = ", ".join(f"{name}:// ({kind.name})" for name, kind in SOURCES.items())
        raise InputError(
            f"{clip(visible(scheme), 40)!r} is no scheme of a server to poll.", advice=f"Known are {known}."
        )
    if events is None:
        return SOURCES[scheme].connect(access)
    if SOURCES[scheme].connect is not misp_server.MispSource:
        raise InputError("Tags, organisations and single events are asked of MISP servers (misp+https://…) only.")
    return misp_server.MispSource(access, events)
