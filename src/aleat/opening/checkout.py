"""Which commit a checkout of git is at, read from git's own files; git itself is never run.

A stranger's repository can name programs in its configuration, which `git` would start. Read are `.git/HEAD`, the file
of the ref that it names, and `packed-refs`; each is bounded, and a link out of `.git` is not followed. What isn't said
there (a worktree whose files lie elsewhere, refs in tables) is left open.

Formats: https://git-scm.com/docs/gitrepository-layout, https://git-scm.com/docs/git-pack-refs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["OWN_FOLDER", "Checkout", "is_bare_repository", "read_checkout"]

OWN_FOLDER = ".git"
"""Where git keeps what is its own: no part of what is checked out."""

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_REF = re.compile(r"refs/[A-Za-z0-9._/+@-]{1,250}")
_HEAD_BYTES = 4096
_PACKED_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Checkout:
    """A checkout: the commit that it is at ("" where that can't be read), and the branch ("" where there is none)."""

    commit: str
    branch: str

    def __str__(self) -> str:
        """Say both in words."""
        at = f"commit {self.commit}" if self.commit else "a commit that its files don't name"
        return f"{at} ({self.branch})" if self.branch else at


def is_bare_repository(folder: Path) -> bool:
    """Say whether a folder is a repository without a checkout: git's own files, and nothing else to read."""
    try:
        if not ((folder / "objects").is_dir() and (folder / "refs").is_dir()):
            return False
    except OSError:
        return False
    head = _read(folder / "HEAD", folder, _HEAD_BYTES).strip()
    return head.startswith("ref: refs/") or _COMMIT.fullmatch(head) is not None


def read_checkout(folder: Path) -> Checkout | None:
    """Return what the folder's `.git` says, None where it has none."""
    own = folder / OWN_FOLDER
    try:
        if own.is_file():
            return Checkout("", "")
        if not own.is_dir():
            return None
    except OSError:
        return None
    head = _read(own / "HEAD", own, _HEAD_BYTES).strip()
    if _COMMIT.fullmatch(head):
        return Checkout(head, "")
    name = head.removeprefix("ref:").strip()
    if not head.startswith("ref:") or _REF.fullmatch(name) is None or ".." in name:
        return Checkout("", "")
    commit = _read(own / name, own, _HEAD_BYTES).strip()
    if _COMMIT.fullmatch(commit) is None:
        commit = _packed(_read(own / "packed-refs", own, _PACKED_BYTES), name)
    return Checkout(commit, name.removeprefix("refs/heads/"))


def _packed(text: str, name: str) -> str:
    for line in text.splitlines():
        commit, _, ref = line.partition(" ")
        if ref.strip() == name and _COMMIT.fullmatch(commit):
            return commit
    return ""


def _read(path: Path, inside: Path, most: int) -> str:
    """Return a small file's text, "" where there is none, it is too large, or a link leads out of `inside`."""
    try:
        real = path.resolve(strict=True)
        if not (real.is_relative_to(inside.resolve()) and real.is_file()):
            return ""
        with real.open("rb") as file:
            data = file.read(most + 1)
    except (OSError, RuntimeError, ValueError):
        return ""
    return data.decode("utf-8", errors="replace") if len(data) <= most else ""
