"""A TAXII 2.1 client: discovery, API roots, collections, objects, manifests, versions, statuses, and pushing.

Every call is one request of the specification (TAXII 2.1 §4, §5) and checks media type, shape and size of what
comes back. Paging through a collection without a gap is `aleat.exchange.taxii_pages`. `taxii2-client` is for
tests: it has no limits, follows redirects anywhere, and retries nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import TracebackType
from typing import Self
from urllib.parse import quote, urljoin

import msgspec

from aleat.errors import RemoteError
from aleat.exchange.access import Access, split_url
from aleat.exchange.http_client import Answer, HttpClient
from aleat.exchange.taxii_messages import (
    MEDIA_TYPE,
    ApiRoot,
    Collection,
    Discovery,
    ManifestRecord,
    Status,
    check_media_type,
    decode,
    error_of,
)

__all__ = ["TaxiiClient", "read_api_root", "read_collection"]

_NAME = re.compile(r"[A-Za-z0-9._~-]{1,200}")


class _Collections(msgspec.Struct):
    collections: tuple[Collection, ...] = ()


class _Manifest(msgspec.Struct):
    objects: tuple[ManifestRecord, ...] = ()
    more: bool = False


class _Versions(msgspec.Struct):
    versions: tuple[str, ...] = ()
    more: bool = False


class TaxiiClient:
    """One TAXII 2.1 server. URLs are absolute and on the server of `access`; those of API roots end with a slash."""

    def __init__(self, access: Access) -> None:
        self.http = HttpClient(access)
        self.limits = access.limits
        self.url = split_url(access.url).geturl()

    def close(self) -> None:
        """Close all connections."""
        self.http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def discovery(self, url: str | None = None) -> Discovery:
        """Return the server's discovery resource (§4.1); its API roots may be relative to `url`."""
        return decode(self.get(url or self.url), Discovery, "discovery")

    def api_root(self, url: str) -> ApiRoot:
        """Return the API root at `url` (§4.2)."""
        return read_api_root(self.get(url))

    def collections(self, root: str) -> tuple[Collection, ...]:
        """Return the collections of the API root at `root` (§5.1); ids that would change a URL are refused."""
        found = decode(self.get(urljoin(root, "collections/")), _Collections, "collections").collections
        if len(found) > self.limits.collections:
            raise RemoteError(
                f"The API root has more collections than {self.limits.collections:,} (collections).",
                code="limit",
                advice="Name one by its own URL.",
            )
        return tuple(_sound(collection) for collection in found)

    def collection(self, url: str) -> Collection:
        """Return the collection at `url` (§5.2)."""
        return read_collection(self.get(url))

    def objects(self, collection: str, params: Mapping[str, str], *, repeatable: bool = True) -> Answer:
        """Return the answer with one page of the objects of the collection at `collection` (§5.4)."""
        answer = self.get(urljoin(collection, "objects/"), params, repeatable=repeatable)
        if answer.status >= 300:
            raise error_of(answer)
        check_media_type(answer)
        return answer

    def manifest(self, collection: str, params: Mapping[str, str]) -> tuple[ManifestRecord, ...]:
        """Return one page of the manifest of the collection at `collection` (§5.3)."""
        return decode(self.get(urljoin(collection, "manifest/"), params), _Manifest, "manifest").objects

    def object(self, collection: str, id_: str, params: Mapping[str, str] | None = None) -> Answer:
        """Return the answer with the versions of one object that `params` ask for (§5.6; default: the last)."""
        answer = self.get(urljoin(collection, f"objects/{quote(id_, safe='')}/"), params)
        if answer.status >= 300:
            raise error_of(answer)
        check_media_type(answer)
        return answer

    def versions(self, collection: str, id_: str) -> tuple[str, ...]:
        """Return the versions of one object (§5.8); none where the collection doesn't hold it."""
        answer = self.get(urljoin(collection, f"objects/{quote(id_, safe='')}/versions/"))
        if answer.status == 404:
            return ()
        return decode(answer, _Versions, "versions").versions

    def status(self, root: str, id_: str) -> Status:
        """Return what became of a push (§4.3)."""
        found = decode(self.get(urljoin(root, f"status/{_segment(id_)}/")), Status, "status")
        if found.id != id_:
            raise RemoteError("The server answers with the status of another push.", code="wrong-id")
        return found

    def add_objects(self, collection: str, envelope: bytes) -> Status:
        """Send one envelope to the collection at `collection` (§5.5), once; the objects may be pending still."""
        answer = self.http.request(
            "POST",
            urljoin(collection, "objects/"),
            headers={"Accept": MEDIA_TYPE, "Content-Type": MEDIA_TYPE},
            content=envelope,
            repeatable=False,
        )
        return decode(answer, Status, "status")

    def get(self, url: str, params: Mapping[str, str] | None = None, *, repeatable: bool = True) -> Answer:
        """Return the answer to GET `url`, whatever its status is."""
        return self.http.request("GET", url, params=params, headers={"Accept": MEDIA_TYPE}, repeatable=repeatable)


def read_api_root(answer: Answer) -> ApiRoot:
    """Return the API root in an answer; raises `RemoteError` where it doesn't speak TAXII 2.1."""
    root = decode(answer, ApiRoot, "API root")
    if not any(version.replace(" ", "").endswith("taxii+json;version=2.1") for version in root.versions):
        raise RemoteError("The API root doesn't say that it speaks TAXII 2.1.", code="media-type")
    return root


def read_collection(answer: Answer) -> Collection:
    """Return the collection in an answer."""
    return _sound(decode(answer, Collection, "collection"))


def _sound(collection: Collection) -> Collection:
    _segment(collection.id)
    return collection


def _segment(id_: str) -> str:
    """Return an id that a server gave as part of a path; raises `RemoteError` where it would lead elsewhere."""
    if not _NAME.fullmatch(id_) or id_ in {".", ".."}:
        raise RemoteError("The server names an id that can't be part of a URL.", code="wrong-id")
    return id_
