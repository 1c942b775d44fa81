"""The value index of a lake: for a value, the segments and columns in which it may stand. A cache, made again at will.

Segments are the truth; what stands in ``cache/index`` is made from them and bound to them: a part's name is a digest
over the segments that it covers with their files' SHA-256, its directory's SHA-256 stands in the database, and what is
read is checked against it. A part that doesn't fit is as good as none; a segment in no part is looked at itself.

The parts follow from the list of segments alone, in the order of sources and ranges: as many of 512 segments as fit,
then of 64, of 8, and single ones. New segments come at the end, so that adding costs little, and an index that grew
is, byte for byte, one that was made at once.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import sqlalchemy as sa

from aleat.errors import IntegrityError, WorkspaceError
from aleat.store.database import metadata
from aleat.store.index_part import PART_VERSION, FieldRow, Part, merge_field_rows, merge_parts
from aleat.store.index_segment import IndexTask, index_segment, segment_values
from aleat.store.lake import Lake, ranges, segments
from aleat.store.value_hash import hash_text

__all__ = ["IndexState", "Rebuilt", "ValueIndex", "forget_index"]

SIZES = (512, 64, 8, 1)
_FOLDER = ("cache", "index")
_ENDING = ".values"

Key = tuple[str, str]
"""(Segment, its file's SHA-256.)"""

index_parts = sa.Table(
    "index_parts",
    metadata,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("directory_sha256", sa.String, nullable=False),
)


@dataclass(frozen=True, slots=True)
class IndexState:
    """How the index is: parts and their bytes, segments in them and in all, segments that were read to make it."""

    parts: int
    bytes: int
    indexed: int
    segments: int
    read: int = 0


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild showed: the digest over all parts' bytes before and after, and whether anything was missing."""

    before: str
    after: str
    whole: bool
    """Whether there was a complete index before."""
    state: IndexState

    @property
    def same(self) -> bool:
        """Whether what was deleted and what was made are equal, byte for byte."""
        return self.before == self.after


class ValueIndex:
    """The value index of one lake as it is now; a refresh is seen by a new object."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self.folder = lake.root.joinpath(*_FOLDER)

    @cached_property
    def keys(self) -> tuple[Key, ...]:
        """All segments in the order of sources and ranges."""
        return _segment_keys(self._lake)

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The parts that are there and sound, in order."""
        digests = _known_digests(self._lake)
        found = []
        for block in _layout(self.keys):
            name = _name_of(block)
            if name in digests:
                try:
                    found.append(Part(self._path(name), digests[name]))
                except IntegrityError:
                    continue
        return tuple(found)

    @cached_property
    def missing(self) -> tuple[Key, ...]:
        """Segments that no sound part covers."""
        covered = {key for part in self.parts for key in part.segments}
        return tuple(key for key in self.keys if key not in covered)

    def state(self, *, read: int = 0) -> IndexState:
        """Return how the index is."""
        size = sum(part.path.stat().st_size for part in self.parts)
        return IndexState(len(self.parts), size, len(self.keys) - len(self.missing), len(self.keys), read)

    # ---------------------------------------------------------------------------------------------- asking

    def look_up(self, text: str) -> dict[str, frozenset[str]]:
        """Return segment -> columns where a value that is `text` but for case may stand."""
        number = hash_text(text)
        return self._answers(lambda part: part.look_up(number))

    def columns(self, wanted: Callable[[str], bool]) -> dict[str, frozenset[str]]:
        """Return segment -> those of its columns whose names are wanted."""
        return self._answers(lambda part: part.columns_of(wanted))

    def _answers(self, ask: Callable[[Part], Mapping[int, set[int]]]) -> dict[str, frozenset[str]]:
        found: dict[str, frozenset[str]] = {}
        for part in self.parts:
            try:
                answer = ask(part)
            except IntegrityError:  # it was damaged since: its segments are looked at themselves
                self._drop(part)
                continue
            names = part.directory.columns
            for place, columns in answer.items():
                found[part.segments[place][0]] = frozenset(names[column] for column in columns)
        return found

    def _drop(self, damaged: Part) -> None:
        self.parts = tuple(part for part in self.parts if part is not damaged)
        self.__dict__.pop("missing", None)

    def fields(self) -> list[FieldRow]:
        """Return what is known of each column of each log; segments that aren't indexed are read."""
        return merge_field_rows(self._field_rows())

    def _field_rows(self) -> Iterator[FieldRow]:
        for part in self.parts:
            try:
                rows = part.fields()
            except IntegrityError:
                self._drop(part)
                continue
            yield from rows
        for segment, file_sha256 in self.missing:
            yield from segment_values(self._lake.segment_path(segment), segment, file_sha256).fields

    def digest(self) -> str:
        """Return a SHA-256 (hex) over the parts' names and all their bytes as they lie on disk."""
        whole = hashlib.sha256()
        for part in self.parts:
            whole.update(f"{part.path.name} {part.file_sha256()}\n".encode())
        return whole.hexdigest()

    # ---------------------------------------------------------------------------------------------- making

    def refresh(
        self,
        *,
        executor: Executor | None = None,
        check: bool = False,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> IndexState:
        """Make what is missing, remove what is left over, and return the new state; for one writer at a time.

        With `check` every byte of every part is checked first, and a damaged one is made anew. Raises
        `WorkspaceError` where the disk refuses; what was there before still serves.
        """
        if check:
            self.parts = tuple(part for part in self.parts if part.is_whole())
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _Maker(self, self._lake, executor, progress).make()
        except OSError as error:
            what = error.strerror or type(error).__name__
            raise WorkspaceError(f"{self.folder}: the value index can't be written: {what}. Make room.") from error
        read = len(self.missing)
        for name in ("parts", "missing"):
            self.__dict__.pop(name, None)
        return self.state(read=read)

    def rebuild(
        self, *, executor: Executor | None = None, progress: Callable[[int, int], None] = lambda done, total: None
    ) -> Rebuilt:
        """Delete the index, make it anew from the segments, and say whether it is the same."""
        whole = not self.missing
        before = self.digest()
        self.delete()
        state = self.refresh(executor=executor, progress=progress)
        return Rebuilt(before, self.digest(), whole, state)

    def delete(self) -> None:
        """Delete the whole index."""
        with self._lake.database.write() as connection:
            index_parts.create(connection, checkfirst=True)
            connection.execute(sa.delete(index_parts))
        for path in self.folder.glob(f"*{_ENDING}*"):
            path.unlink(missing_ok=True)
        for name in ("parts", "missing"):
            self.__dict__.pop(name, None)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}{_ENDING}"


def forget_index(lake: Lake, forgotten: Sequence[str]) -> None:
    """Delete every part that covers one of these segments: nothing of them, no number and no example, is left."""
    index = ValueIndex(lake)
    gone = set(forgotten)
    with lake.database.write() as connection:
        index_parts.create(connection, checkfirst=True)
        for path in index.folder.glob(f"*{_ENDING}*"):
            try:
                held = {segment for segment, _ in Part(path).segments}
            except IntegrityError:
                held = gone
            if held & gone:
                path.unlink(missing_ok=True)
                connection.execute(sa.delete(index_parts).where(index_parts.c.name == path.name.partition(".")[0]))


class _Maker:
    """Makes the parts that are missing: runs of single segments by workers, merged here."""

    def __init__(
        self, index: ValueIndex, lake: Lake, executor: Executor | None, progress: Callable[[int, int], None]
    ) -> None:
        self._index = index
        self._lake = lake
        self._executor = executor
        self._progress = progress
        self._sound = {part.path.name.partition(".")[0]: part for part in index.parts}
        self._old = {name: part for name, part in _all_sound(lake, index.folder) if name not in self._sound}
        self._old.update(self._sound)
        self._total = len(index.missing)
        self._done = 0

    def make(self) -> None:
        """Make every part of the layout, then remove what no layout asks for."""
        wanted = []
        for block in _layout(self._index.keys):
            name = _name_of(block)
            wanted.append(name)
            if name not in self._sound:
                self._commit(name, self._made(block, name))
        names = set(wanted)
        with self._lake.database.write() as connection:
            index_parts.create(connection, checkfirst=True)
            connection.execute(sa.delete(index_parts).where(index_parts.c.name.not_in(sorted(names))))
        for path in self._index.folder.iterdir():
            if path.name.partition(".")[0] not in names or not path.name.endswith(_ENDING):
                path.unlink(missing_ok=True)

    def _made(self, block: Sequence[Key], name: str) -> str:
        try:
            return self._make(block, name)
        except IntegrityError:  # one of the smaller parts was damaged: from the segments, then
            self._old.clear()
            return self._make(block, name)

    def _make(self, block: Sequence[Key], name: str) -> str:
        target = self._index._path(name)
        waiting = self._index.folder / f"{name}.{os.getpid()}.part"
        inputs = list(self._inputs(block))
        digests = self._run([one for one in inputs if not isinstance(one, Part)])
        parts: list[Part] = []
        for one in inputs:
            if isinstance(one, Part):
                parts.append(one)
            else:
                path = self._run_path(one)
                parts.append(Part(path, digests[one]))
        if len(parts) == 1 and parts[0].path != target:
            digest = digests[block[0]]
            parts[0].path.replace(target)
        else:
            digest = merge_parts(waiting, parts)
            waiting.replace(target)
        for path in [self._run_path(one) for one in inputs if not isinstance(one, Part)]:
            path.unlink(missing_ok=True)
        return digest

    def _inputs(self, block: Sequence[Key]) -> Iterator[Part | Key]:
        """Yield the largest parts there are that cover a block, and single segments where there is none."""
        if (known := self._old.get(_name_of(block))) is not None and len(block) < SIZES[0]:
            yield known
        elif len(block) == 1:
            yield block[0]
        else:
            step = len(block) // 8
            for start in range(0, len(block), step):
                yield from self._inputs(block[start : start + step])

    def _run(self, keys: Sequence[Key]) -> dict[Key, str]:
        """Write the parts of single segments, and return their digests."""
        tasks = [
            IndexTask(str(self._lake.segment_path(segment)), segment, digest, str(self._run_path((segment, digest))))
            for segment, digest in keys
        ]
        found: dict[Key, str] = {}
        answers = map(index_segment, tasks) if self._executor is None else self._executor.map(index_segment, tasks)
        for key, digest in zip(keys, answers, strict=True):
            found[key] = digest
            self._done += 1
            self._progress(min(self._done, self._total), self._total)
        return found

    def _run_path(self, key: Key) -> Path:
        return self._index.folder / f"{_name_of([key])}.run"

    def _commit(self, name: str, digest: str) -> None:
        with self._lake.database.write() as connection:
            index_parts.create(connection, checkfirst=True)
            connection.execute(sa.delete(index_parts).where(index_parts.c.name == name))
            connection.execute(index_parts.insert(), {"name": name, "directory_sha256": digest})


def _all_sound(lake: Lake, folder: Path) -> Iterator[tuple[str, Part]]:
    """Yield every part that the database knows and whose directory is sound, wanted now or not."""
    for name, digest in _known_digests(lake).items():
        try:
            part = Part(folder / f"{name}{_ENDING}", digest)
        except IntegrityError:
            continue
        yield name, part


def _known_digests(lake: Lake) -> dict[str, str]:
    with lake.database.read() as connection:
        if not sa.inspect(connection).has_table(index_parts.name):
            return {}
        return {row.name: row.directory_sha256 for row in connection.execute(sa.select(index_parts))}


def _segment_keys(lake: Lake) -> tuple[Key, ...]:
    first = sa.select(ranges.c.segment, ranges.c.source, ranges.c.ordinal).order_by(ranges.c.source, ranges.c.ordinal)
    with lake.database.read() as connection:
        hashes = {
            row.id: row.file_sha256 for row in connection.execute(sa.select(segments.c.id, segments.c.file_sha256))
        }
        order = dict.fromkeys(row.segment for row in connection.execute(first))
    return tuple((segment, hashes[segment]) for segment in order if segment in hashes)


def _layout(keys: Sequence[Key]) -> Iterator[Sequence[Key]]:
    """Yield the blocks of segments that are a part each."""
    start = 0
    for size in SIZES:
        while len(keys) - start >= size:
            yield keys[start : start + size]
            start += size


def _name_of(block: Sequence[Key]) -> str:
    digest = hashlib.sha256(f"{PART_VERSION}\n".encode())
    for segment, file_sha256 in block:
        digest.update(f"{segment} {file_sha256}\n".encode())
    return digest.hexdigest()[:32]
