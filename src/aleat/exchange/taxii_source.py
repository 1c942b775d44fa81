"""TAXII 2.1 servers as a source of polling: from a URL to collections, from a collection to pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from urllib.parse import urljoin, urlsplit

import msgspec

from aleat.errors import Issue, RemoteError
from aleat.exchange.access import Access
from aleat.exchange.feeds import Feed, Page
from aleat.exchange.letters import MESSAGES_ALIAS
from aleat.exchange.taxii_client import TaxiiClient, read_api_root, read_collection
from aleat.exchange.taxii_messages import Collection, decode
from aleat.exchange.taxii_pages import read_pages
from aleat.text import clip, visible

__all__ = ["TaxiiSource"]

_STAGE = "poll"
_DISCOVERY = "/taxii2/"
"""Where a server's discovery stands, where only the server was named (TAXII 2.1 §1.6.4)."""


class _Anything(msgspec.Struct):
    """What tells the three resources that a URL can be apart."""

    title: str
    api_roots: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    versions: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    can_read: bool | msgspec.UnsetType = msgspec.UNSET


class TaxiiSource:
    """A TAXII 2.1 server, by the URL of its discovery, of an API root, or of a collection."""

    def __init__(self, access: Access) -> None:
        self.client = TaxiiClient(access)
        self.url = _resource_url(self.client.url)

    def close(self) -> None:
        """Close all connections."""
        self.client.close()

    def feeds(self) -> Sequence[Feed | Issue]:
        """Return the collections at the URL, and an issue for each API root and collection that can't be read."""
        return [item if isinstance(item, Issue) else _feed(*item) for item in self._all()]

    def targets(self) -> Sequence[Feed | Issue]:
        """Return the collections at the URL that we may push into, and an issue for each API root that can't be read.

        Raises `RemoteError` where there is none.
        """
        found = self._all()
        writable = [item if isinstance(item, Issue) else _as_feed(*item) for item in found if _takes(item)]
        if not any(isinstance(item, Feed) for item in writable):
            raise RemoteError(
                "There is no collection at this URL that is for us to push into.",
                code="not-writable",
                advice="Ask the server's keeper for the right.",
            )
        return writable

    def _all(self) -> list[tuple[str, Collection] | Issue]:
        """Return the collections at the URL, each with its own URL, whatever we may do with them."""
        head, middle, _ = self.url.rpartition("/collections/")
        if middle and self.url.endswith(middle):
            return list(self._collections(f"{head}/"))
        answer = self.client.get(self.url)
        found = decode(answer, _Anything, "answer")
        if found.can_read is not msgspec.UNSET:
            return [(self.url, read_collection(answer))]
        if found.versions is not msgspec.UNSET:
            read_api_root(answer)
            return list(self._collections(self.url))
        roots = found.api_roots or ()
        if len(roots) > self.client.limits.collections:
            raise RemoteError(
                f"The server names more API roots than {self.client.limits.collections:,} (collections).",
                code="limit",
                advice="Name one by its own URL.",
            )
        return [item for root in roots for item in self._root(root)]

    def pages(self, feed: Feed, *, bookmark: str, since: datetime | None, reference_time: datetime) -> Iterator[Page]:
        """Yield the pages of a collection; see `aleat.exchange.sources.Source.pages`."""
        return read_pages(self.client, feed, bookmark=bookmark, since=since, reference_time=reference_time)

    def _root(self, named: str) -> Iterator[tuple[str, Collection] | Issue]:
        """Yield the collections of an API root that the discovery names; one that fails costs the others nothing."""
        try:
            root = urljoin(self.url, named if named.endswith("/") else f"{named}/")
            self.client.http.check_origin(root)
            yield from self._collections(root)
        except (RemoteError, ValueError) as error:
            problem = error if isinstance(error, RemoteError) else RemoteError("That is no URL.", code="wrong-url")
            yield problem.issue(_STAGE, clip(visible(named.partition("?")[0]), 200))

    def _collections(self, root: str) -> Iterator[tuple[str, Collection]]:
        for collection in self.client.collections(root):
            yield urljoin(root, f"collections/{collection.id}/"), collection


def _feed(url: str, collection: Collection) -> Feed | Issue:
    if not collection.can_read:
        error = RemoteError(
            "The collection is not for us to read.",
            code="not-readable",
            advice="Ask the server's keeper for the right.",
        )
        return error.issue(_STAGE, url)
    return _as_feed(url, collection)


def _takes(item: tuple[str, Collection] | Issue) -> bool:
    return isinstance(item, Issue) or item[1].can_write


def _as_feed(url: str, collection: Collection) -> Feed:
    return Feed(
        id=collection.id,
        title=clip(visible(collection.title), 100),
        url=url,
        alias=collection.alias,
        description=clip(visible(collection.description), 300),
        messages=collection.alias == MESSAGES_ALIAS,
    )


def _resource_url(url: str) -> str:
    """Return the URL of a resource: with its slash, without what stands below a collection."""
    parts = urlsplit(url)
    if parts.path in {"", "/"}:
        return urljoin(url, _DISCOVERY)
    whole = url if url.endswith("/") else f"{url}/"
    for below in ("objects/", "manifest/"):
        if "/collections/" in whole and not whole.endswith(f"/collections/{below}"):
            whole = whole.removesuffix(below) if whole.endswith(f"/{below}") else whole
    return whole
