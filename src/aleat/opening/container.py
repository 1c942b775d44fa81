"""The seam between a stream and the members of an archive in it; `containers` lists all kinds.

A container is `detect` (its magic, in a stream's head) and `open`, which returns an `Archive`: an iterable of members
and of notes on what isn't one, in a fixed order, for one pass forward; a member's stream is good until the next is
asked for. To add a kind: write a module beside this one with a class like `tar.Tar`, and name it in `containers`.
Names are keys: members of one name are told apart (`numbered`), the same way each time.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import IO, Protocol

from aleat.opening.limits import Budget, Limits
from aleat.opening.streams import damaged

__all__ = [
    "HEAD",
    "PASSWORD_ADVICE",
    "Archive",
    "Container",
    "Member",
    "Note",
    "Opening",
    "Secrets",
    "container_of",
    "containers",
    "numbered",
    "open_archive",
    "pick",
]

_HOSTILE = (ArithmeticError, LookupError, TypeError, ValueError, struct.error, RecursionError, MemoryError)

PASSWORD_ADVICE = "Give its password: --password, or --password-file."  # noqa: S105 - no password, but what to do

HEAD = 4096
"""As many bytes of a stream are enough for every `detect`."""


class Secrets:
    """Passwords to try, in order: never shown, never passed to another process."""

    def __init__(self, words: Sequence[str] = ()) -> None:
        self.words = tuple(words)

    def __repr__(self) -> str:
        return f"<{len(self.words)} passwords>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secrets) and self.words == other.words

    def __hash__(self) -> int:
        return hash(Secrets)

    def __reduce__(self) -> tuple[type[Secrets], tuple[()]]:
        return (Secrets, ())


@dataclass(frozen=True, slots=True)
class Opening:
    """What holds while one file on disk is opened, with all archives inside it."""

    limits: Limits
    budget: Budget
    secrets: Secrets = field(default_factory=Secrets)
    passed: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How many members of each kind weren't read so far: (code, why)."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something in an archive that isn't a member, or a fault: code, reason and advice as of an issue."""

    code: str
    reason: str
    advice: str = ""
    offset: int | None = None
    length: int | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """One file in an archive. `name` is "" for what a compressed stream holds; `size` is as the archive says.

    `refused` says why it isn't read (a link, a device, encrypted …); then `open` isn't called. `modified` is when it
    was last changed (seconds since 1970).
    """

    name: str
    size: int | None
    open: Callable[[], IO[bytes]]
    refused: Note | None = None
    modified: float | None = None


class Archive(Protocol):
    """An archive that is open; `names` are those known before anything is read (none where it is read forward)."""

    @property
    def names(self) -> Sequence[str]:
        """The names of all members, where there is a directory of them."""
        ...

    def __iter__(self) -> Iterator[Member | Note]:
        """Yield members and notes; raises `InputError` where it can't go on."""
        ...


class Container(Protocol):
    """One kind of archive."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    @property
    def seeks(self) -> bool:
        """Whether it needs a stream that can seek."""
        ...

    def detect(self, head: bytes) -> bool:
        """Say whether a stream that begins so is one."""
        ...

    def open(self, stream: IO[bytes], size: int | None, path: str, opening: Opening) -> Archive:
        """Return the archive; `size` is the stream's length where it seeks. Raises `InputError`."""
        ...


@lru_cache(maxsize=1)
def containers() -> tuple[Container, ...]:
    """Return every kind of archive, in the order in which a head is held against them."""
    # not at the top: the kinds import the seam
    from aleat.opening.compressed import COMPRESSED  # noqa: PLC0415
    from aleat.opening.sevenzip import SevenZip  # noqa: PLC0415
    from aleat.opening.tar import Tar  # noqa: PLC0415
    from aleat.opening.zip import Zip  # noqa: PLC0415

    return (Zip(), SevenZip(), *COMPRESSED, Tar())


def container_of(head: bytes) -> Container | None:
    """Return the kind of archive that begins so, or None."""
    return next((kind for kind in containers() if kind.detect(head)), None)


def open_archive(kind: Container, stream: IO[bytes], size: int | None, path: str, opening: Opening) -> Archive:
    """Open an archive of a kind; what a hostile one makes of its reader is an `InputError`, whatever it was."""
    try:
        return kind.open(stream, size, path, opening)
    except _HOSTILE as error:
        raise damaged(path, f"The archive can't be read ({type(error).__name__})") from error


def _safely(archive: Archive, path: str) -> Iterator[Member | Note]:
    try:
        yield from archive
    except _HOSTILE as error:
        raise damaged(path, f"The archive can't be read on ({type(error).__name__})") from error


def numbered(archive: Archive, path: str) -> Generator[Member | Note, None, None]:
    """Yield the archive's members with names that differ: the second "x" is called "x#2"."""
    seen: dict[str, int] = {}
    for item in _safely(archive, path):
        if isinstance(item, Note) or item.name not in seen:
            if isinstance(item, Member):
                seen[item.name] = 1
            yield item
            continue
        name = item.name
        while name in seen:
            seen[item.name] += 1
            name = f"{item.name}#{seen[item.name]}"
        seen[name] = 1
        yield replace(item, name=name)


def pick(items: Iterable[Member | Note], name: str) -> Member | None:
    """Return the member of this name among an archive's `numbered` ones, or None; what stands before is passed by."""
    for item in items:
        if isinstance(item, Member) and item.name == name:
            return item
    return None
