"""STIX documents of any size, block by block: objects as columns, so that a million of them are no million objects.

A document is split as it is read (`aleat.stix.splitter`); its objects are checked here, or in worker processes where
there are any and the document is worth it. Blocks come in the document's order either way. What is whole before a
break goes in, and the break is an issue.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from aleat.errors import InputError, Issue, LimitError, ObjectError, Place
from aleat.knowledge.document import Document
from aleat.knowledge.items import KnowledgeItem
from aleat.knowledge.limits import Limits
from aleat.knowledge.quality import USUAL
from aleat.stix.bundle import parse_bundle
from aleat.stix.columns import ObjectColumns, ParsedMembers, columns_of, kinds_of, parse_members
from aleat.stix.limits import ObjectLimits
from aleat.stix.members import Members
from aleat.stix.objects import restore_object
from aleat.stix.splitter import MemberSplitter, find_members

__all__ = ["WORTH_WORKERS", "KnowledgeBlock", "Known", "read_blocks"]

_STAGE = "knowledge"
_BLOCK = 512 * 1024
_WORTH_KNOWING = 128 * 1024  # bytes; smaller blocks are parsed sooner than looked up
_HEAD = 1024**2
_AHEAD = 6  # blocks handed to workers before their turn
_ALONE = 3  # blocks that weren't kept before, ere a worker is worth its start

Known = Callable[[bytes], Mapping[tuple[str, str], int] | None]
"""Tells of a block of bytes, by its SHA-256, how many objects of which kinds are in it, where all were kept before."""

_Looked = tuple[Members, bytes | None, Mapping[tuple[str, str], int] | None]
_Block = tuple[_Looked, ParsedMembers | None]

WORTH_WORKERS = 16 * 1024**2
"""Bytes: below that, a document is read before a worker process has started."""


@dataclass(slots=True)
class KnowledgeBlock:
    """Many objects of one document: what `KnowledgeItem` says, by columns.

    `offsets` are where the objects stand in the document `path`; `kinds` counts them by (STIX type, pattern type).
    `digest` is the SHA-256 of the bytes that they were, where all of those could be used and are many. A block that is
    `known` has no columns: it was kept before. `unusual` are the positions of those indicators about which something
    may be doubtful in itself (`aleat.knowledge.quality`); None: of whatever is here.
    """

    path: str
    columns: ObjectColumns
    offsets: list[int]
    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)
    corpus: str | None = None
    corpus_basis: str = ""
    corpus_version: str = ""
    markings: tuple[str, ...] = ()
    digest: bytes | None = None
    known: bool = False
    unusual: list[int] | None = None

    def items(self, positions: Iterable[int] | None = None) -> Iterator[KnowledgeItem]:
        """Yield the same one by one; those at `positions` only, where they are given."""
        columns = self.columns
        for position in range(len(columns.raws)) if positions is None else positions:
            raw, digest, offset = columns.raws[position], columns.digests[position], self.offsets[position]
            yield KnowledgeItem(
                object=restore_object(raw, digest.hex()),
                place=Place(self.path, offset=offset),
                corpus=self.corpus,
                corpus_basis=self.corpus_basis,
                corpus_version=self.corpus_version,
                markings=self.markings,
            )


def read_blocks(
    document: Document, limits: Limits, workers: Executor | None = None, known: Known | None = None
) -> Iterator[KnowledgeBlock | Issue]:
    """Yield a STIX document's objects, some at a time, and an issue for each that can't be used.

    Raises `InputError` where it is no STIX at all. `workers` are processes that may help, `known` tells of the
    SHA-256 of a block of bytes whether (and with which kinds of objects) all in it was kept before.
    """
    blocks = document.blocks(_BLOCK)
    head = b""
    for block in blocks:
        head += block
        if len(head) >= _HEAD:
            break
    at = find_members(head)
    if at is None:
        yield from _read_whole(document, limits.objects)
        return
    splitter = MemberSplitter(document.path, limits.objects, at)
    found = _split(splitter, chain([head[at:]], blocks), head[:at])
    parsed = _parse(_looked_up(found, known), document, limits.objects, workers)
    yield from _bounded(parsed, document.path, limits.objects)


def _read_whole(document: Document, limits: ObjectLimits) -> Iterator[KnowledgeBlock | Issue]:
    """Read one object, or a file whose form its head doesn't tell."""
    if document.size > limits.object_bytes:
        reason = (
            f"The file's list of objects doesn't begin in its first {_HEAD} bytes; as one object it is larger than "
            f"object_bytes ({limits.object_bytes} bytes)."
        )
        raise LimitError(reason, Place(document.path))
    bundle = parse_bundle(document.read(), document.path, limits)
    yield from bundle.issues
    if bundle.objects:
        yield KnowledgeBlock(document.path, columns_of(bundle.objects), list(bundle.offsets), kinds_of(bundle.objects))


def _split(splitter: MemberSplitter, blocks: Iterable[bytes], head: bytes) -> Iterator[Members | InputError]:
    try:
        for block in blocks:
            yield from splitter.feed(block)
    except InputError as error:
        yield error
        return
    yield from splitter.finish()
    if splitter.ended:
        yield from _check_around(head, bytes(splitter.tail), splitter.path)


def _check_around(head: bytes, tail: bytes, path: str) -> Iterator[InputError]:
    """Yield what is wrong with a bundle without its objects: no JSON, a key twice, or it is none."""
    around = head.removeprefix(b"\xef\xbb\xbf") + b"]" + tail
    twice: list[str] = []

    def notice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        twice.extend(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        return dict(pairs)

    try:
        value = json.loads(around, object_pairs_hook=notice)
    except (ValueError, RecursionError):
        yield ObjectError("What stands around the bundle's objects is no JSON; the objects were read.", Place(path))
        return
    if twice:
        reason = f"The bundle has the key {twice[0][:40]!r} twice; of its lists of objects only the first was read."
        yield ObjectError(reason, Place(path), advice="Ask its giver.")
    kind = value.get("type", "") if isinstance(value, dict) else ""
    if kind not in ("", "bundle"):
        reason = f"The file says behind its objects that it is no bundle, but a {str(kind)[:40]!r}; they were read."
        yield ObjectError(reason, Place(path), advice="Ask its giver.")


def _looked_up(found: Iterable[Members | InputError], known: Known | None) -> Iterator[_Looked | InputError]:
    for one in found:
        if isinstance(one, InputError):
            yield one
            continue
        digest, kinds = None, None
        if known is not None and one.starts and one.ends[-1] - one.starts[0] >= _WORTH_KNOWING:
            digest = hashlib.sha256(memoryview(one.data)[one.starts[0] : one.ends[-1]]).digest()
            kinds = known(digest)
        yield one, digest, kinds


def _parse(
    found: Iterable[_Looked | InputError], document: Document, limits: ObjectLimits, workers: Executor | None
) -> Iterator[_Block | InputError]:
    if document.size < WORTH_WORKERS:
        workers = None
    waiting: deque[tuple[_Looked | InputError, Future[ParsedMembers] | None]] = deque()

    def first() -> _Block | InputError:
        one, future = waiting.popleft()
        if isinstance(one, InputError) or one[2] is not None:
            return one if isinstance(one, InputError) else (one, None)
        if future is None or future.cancel():  # nobody has begun with it
            return one, parse_members(one[0], document.path, limits, USUAL)
        return one, future.result()

    new = 0
    for one in found:
        future = None
        if workers is not None and not isinstance(one, InputError) and one[2] is None:
            new += 1
            if new > _ALONE:
                future = workers.submit(parse_members, one[0], document.path, limits, USUAL)
        waiting.append((one, future))
        if new <= _ALONE or len(waiting) >= _AHEAD:
            yield first()
    while waiting:
        yield first()


def _bounded(
    parsed: Iterable[_Block | InputError], path: str, limits: ObjectLimits
) -> Iterator[KnowledgeBlock | Issue]:
    """Make blocks and issues, within the limits on their number."""
    objects = listed = dropped = 0
    for one in parsed:
        if isinstance(one, InputError):
            yield one.issue(_STAGE, path)
            continue
        (members, digest, kinds), found = one
        if found is None:
            objects += len(members.starts)
            yield KnowledgeBlock(path, columns_of(()), [], Counter(kinds or {}), digest=digest, known=True)
            continue
        for issue in found.issues:
            listed += 1
            if listed <= limits.issues:
                yield issue
            else:
                dropped += 1
        objects += len(found.offsets)
        if objects > limits.objects:
            yield Issue(_STAGE, "limit", Place(path), f"The bundle has more objects than {limits.objects} (objects).")
            break
        if found.offsets:
            columns = found.with_raws(members).columns
            whole = digest if not found.issues else None
            unusual = None if b"benign" in members.data else found.unusual  # of those a pair may be doubtful
            yield KnowledgeBlock(path, columns, found.offsets, found.kinds, digest=whole, unusual=unusual)
    if dropped:
        reason = f"{dropped} more objects of this file can't be used; they are not listed one by one."
        yield Issue(_STAGE, "object", Place(path), reason, records=dropped)
