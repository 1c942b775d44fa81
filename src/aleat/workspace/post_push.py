"""Pushing the post: the sealed files that wait for an ally go into a collection of messages, one letter each.

A letter that the server takes has gone; one that it refuses, or that doesn't get through, stays in the post box and is
pushed again the next time. Twice does no harm: a sealed file counts once (`aleat.trust.seal`).
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from aleat.errors import Issue, Place, RemoteError
from aleat.exchange import PushFailure, push_objects
from aleat.exchange.feeds import Feed
from aleat.exchange.letters import letter_object
from aleat.exchange.taxii_source import TaxiiSource
from aleat.store.post import PostRow, mark_posted, read_payload, read_post
from aleat.workspace.mailbox import releases_kept_back
from aleat.workspace.progress import Progress
from aleat.workspace.sharing import Sharing, SharingVerbs

__all__ = ["PushRun", "PushedFeed", "push_post"]

_STAGE = "push"


class PushedFeed(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a push into one collection: how many objects it took, had before, and has taken in unread yet."""

    title: str
    url: str
    taken: int = 0
    known: int = 0
    waiting: int = 0
    refused: tuple[PushFailure, ...] = ()
    complete: bool = True


class PushRun(Protocol):
    """What is the same for all steps of a push."""

    ws: SharingVerbs
    source: TaxiiSource
    sharing: Sharing
    ally: str
    progress: Progress
    issues: list[Issue]

    def record(self, kind: str, data: dict[str, object]) -> None:
        """Write an entry of the exchange ledger."""


def push_post(run: PushRun, box: Feed) -> PushedFeed:
    """Push what waits for the ally into the collection of messages `box`, in the order of sealing."""
    with run.ws._desk(write=False) as desk:
        kept_back = releases_kept_back(desk, run.ally)
        waiting = list(read_post(desk.connection, run.ally, waiting=True))
    taken = pending = 0
    refused: list[PushFailure] = []
    complete = True
    for row in waiting:
        if row.release and row.release in kept_back:
            reason = f"{row.name} stays: something in its release may no longer leave."
            if row.piece == 1:
                run.issues.append(Issue(_STAGE, "kept-back", Place(box.url), reason, "See: aleat preview."))
            continue
        try:
            failure = _push(run, box, row)
        except RemoteError as error:
            run.issues.append(error.issue(_STAGE, box.url))
            complete = False
            break
        if failure is None:
            taken += 1
        elif failure.reason:
            refused.append(failure)
        else:
            pending += 1
        run.progress("post", taken, len(waiting))
    done = PushedFeed(
        title=box.title, url=box.url, taken=taken, waiting=pending, refused=tuple(refused), complete=complete
    )
    facts = {"taken": taken, "waiting": pending, "refused": len(refused), "complete": complete}
    if waiting:
        reasons = sorted({failure.reason for failure in refused})[:20]
        run.record("push", {"server": box.url, "ally": run.ally, "letters": True, "reasons": reasons, **facts})
    return done


def _push(run: PushRun, box: Feed, row: PostRow) -> PushFailure | None:
    """Push one letter; None where it was taken, a failure without a reason where the server hasn't said yet."""
    with run.ws.read() as connection:
        payload = read_payload(connection, row.letter)
    if payload is None:  # another process pushed it long ago
        return None
    letter = letter_object(row.letter, payload)
    run.record(
        "given", {"server": box.url, "collection": box.id, "ally": run.ally, "asked": "push", "files": [row.file]}
    )
    done = push_objects(run.source.client, box.url, [letter])
    if done.failed:
        return done.failed[0]
    if done.pending:
        return PushFailure(row.letter, "", "")
    with run.sharing.writing(), run.ws.write() as connection:
        mark_posted(connection, [row.letter], f"pushed to {box.url}", time=run.ws.now())
    return None
