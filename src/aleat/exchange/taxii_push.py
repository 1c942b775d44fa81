"""Pushing objects into a TAXII 2.1 collection (§5.5), and what became of each of them (§4.3).

A push whose connection breaks may have been done or not, so it is never sent again blindly: the server is asked
which versions it holds first. An object that a server refuses because it has that very version already counts as
accepted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import urljoin

import msgspec

from aleat.errors import RemoteError
from aleat.exchange.taxii_client import TaxiiClient
from aleat.exchange.taxii_messages import Status
from aleat.stix.objects import StixObject
from aleat.stix.times import is_timestamp, parse_timestamp
from aleat.text import clip, visible

__all__ = ["PushFailure", "Pushed", "push_objects"]

_OBJECTS = 1_000  # in one envelope
_FRAME = 64  # bytes of an envelope around its objects


class PushFailure(msgspec.Struct, frozen=True):
    """An object that the server didn't take, with its reason in the server's words."""

    id: str
    version: str
    reason: str


class Pushed(msgspec.Struct, frozen=True):
    """What became of a push: (id, version) of what was accepted and of what is pending still, and what failed."""

    accepted: tuple[tuple[str, str], ...]
    pending: tuple[tuple[str, str], ...]
    failed: tuple[PushFailure, ...]


def push_objects(client: TaxiiClient, collection: str, items: Iterable[StixObject]) -> Pushed:
    """Push `items` into the collection at `collection` (its URL), in envelopes that its API root bears.

    Raises `RemoteError` where the server can't be asked; what was accepted before that stays there.
    """
    root = urljoin(collection, "../../")
    longest = client.api_root(root).max_content_length
    accepted: list[tuple[str, str]] = []
    pending: list[tuple[str, str]] = []
    failed: list[PushFailure] = []
    for batch in _batches(items, longest, failed):
        done = _push_batch(client, root, collection, batch)
        accepted += done.accepted
        pending += done.pending
        failed += done.failed
    return Pushed(tuple(accepted), tuple(pending), tuple(failed))


def _batches(items: Iterable[StixObject], longest: int, failed: list[PushFailure]) -> Iterator[list[StixObject]]:
    batch: list[StixObject] = []
    size = _FRAME
    for item in items:
        length = len(item.content) + 1
        if length + _FRAME > longest:
            reason = f"The object is larger than the server's limit of {longest:,} bytes (max_content_length)."
            failed.append(PushFailure(item.id, item.version, reason))
            continue
        if batch and (size + length > longest or len(batch) >= _OBJECTS):
            yield batch
            batch, size = [], _FRAME
        batch.append(item)
        size += length
    if batch:
        yield batch


def _push_batch(client: TaxiiClient, root: str, collection: str, batch: Sequence[StixObject]) -> Pushed:
    """Push one envelope; where it isn't known whether that was done, what isn't there is pushed again."""
    attempt = 0
    left = list(batch)
    there: list[StixObject] = []
    while left:
        attempt += 1
        envelope = b'{"objects":[' + b",".join(item.content for item in left) + b"]}"
        try:
            status = _completed(client, root, client.add_objects(collection, envelope))
        except RemoteError as error:
            if not error.transient or attempt >= client.limits.attempts:
                raise
            client.http.pause(attempt)
            there += [item for item in left if _holds(client, collection, item)]
            left = [item for item in left if item not in there]
            continue
        return _sort(client, collection, left, there, status)
    return Pushed(tuple((item.id, item.version) for item in there), (), ())


def _completed(client: TaxiiClient, root: str, status: Status) -> Status:
    """Return a push's status once it is complete, or what it is when patience ends."""
    for attempt in range(1, client.limits.attempts + 1):
        if status.status != "pending":
            return status
        client.http.pause(attempt)
        status = client.status(root, status.id)
    return status


def _sort(
    client: TaxiiClient, collection: str, batch: Sequence[StixObject], there: Sequence[StixObject], status: Status
) -> Pushed:
    """Say what became of each object: by the status' lists, or by its counts where the server lists nothing."""
    accepted = [(item.id, item.version) for item in there]
    pending: list[tuple[str, str]] = []
    failed: list[PushFailure] = []
    reasons = {(detail.id, _moment(detail.version)): detail.message for detail in status.failures}
    by_id = {detail.id: detail.message for detail in status.failures if not detail.version}
    waiting = {detail.id for detail in status.pendings}
    for item in batch:
        key = (item.id, _moment(item.version))
        reason = reasons.get(key, by_id.get(item.id))
        if reason is None and not item.version:  # an object without versions: the server names a time of its own
            reason = next((text for (id_, _), text in reasons.items() if id_ == item.id), None)
        if reason is not None and not _holds(client, collection, item):
            failed.append(PushFailure(item.id, item.version, clip(visible(reason), 300)))
        elif reason is None and (item.id in waiting or (status.status == "pending" and not status.pendings)):
            pending.append((item.id, item.version))
        else:
            accepted.append((item.id, item.version))
    if status.failure_count and not status.failures:
        failed.append(PushFailure("", "", f"{status.failure_count:,} objects failed; the server doesn't say which."))
    return Pushed(tuple(accepted), tuple(pending), tuple(failed))


def _holds(client: TaxiiClient, collection: str, item: StixObject) -> bool:
    versions = client.versions(collection, item.id)
    wanted = _moment(item.version)
    return bool(versions) if not item.version else wanted in {_moment(version) for version in versions}


def _moment(version: str) -> object:
    """Return what makes two ways of writing one time equal."""
    return parse_timestamp(version) if is_timestamp(version) else version
