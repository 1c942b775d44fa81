"""What no reader and no container knows: whether it could be a log all the same, and what to say of it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import PurePosixPath

from aleat.errors import Issue, Place

__all__ = ["Kind", "may_be_log", "no_reader", "refused_kind"]

_LOG_SUFFIXES = frozenset({"", "log", "txt", "json", "jsonl", "ndjson", "csv", "tsv", "xml", "w3c"})
_PACKED_SUFFIXES = frozenset({"gz", "bz2", "xz", "zst", "lz4", "old"})
_TAR_SUFFIXES = (".tar", ".tgz", ".tbz2", ".txz")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file that is known by its first bytes, and not opened here; `image`: a disk, or a container of one."""

    name: str
    marks: tuple[bytes, ...]
    at: int
    endings: tuple[str, ...]
    advice: str
    image: bool


def refused_kind(head: bytes, shown: str) -> Kind | None:
    """Return what kind of file that isn't opened a head belongs to, or None."""
    name = shown.lower()
    for kind in _kinds():
        if any(head.startswith(mark, kind.at) for mark in kind.marks) or (kind.endings and name.endswith(kind.endings)):
            return kind
    return None


def no_reader(shown: str, head: bytes) -> Issue:
    """Return what is said of something that no reader recognises."""
    if shown.lower().endswith(".evtx"):
        reason = "The file is called .evtx and holds no EVTX log: neither a file header nor a chunk was found."
        return _issue(shown, reason, "Check how it was exported.")
    if shown.lower().endswith(_TAR_SUFFIXES):
        reason = "The file is called a tar archive and doesn't begin like one: its first header is damaged."
        return _issue(shown, reason, "Copy the archive again from its source.")
    if wide := _wide_text(head[:4096]):
        reason = f"No reader recognises this; it looks like text in {wide.upper()} without a byte order mark."
        return _issue(shown, reason, f"Give its code page: --encoding {wide}")
    kind = "text" if b"\0" not in head[:4096] else "data"
    reason = f"No reader recognises this {kind}."
    return _issue(shown, reason, "The formats that are known: docs/reference/formats.md.")


def may_be_log(shown: str, head: bytes) -> bool:
    """Say whether what no reader knows could be a log all the same, by its name: then it must be told as unread."""
    name = PurePosixPath(shown.rpartition("!")[2]).name.lower()
    parts = name.split(".")
    while len(parts) > 1 and (parts[-1].isdigit() or parts[-1] in _PACKED_SUFFIXES):  # rotated
        parts.pop()
    suffix = parts[-1] if len(parts) > 1 else ""
    if suffix in ("evtx", "evt", "etl") or name.endswith(_TAR_SUFFIXES):
        return True
    return suffix in _LOG_SUFFIXES and (b"\0" not in head[:4096] or bool(_wide_text(head[:4096])))


@lru_cache(maxsize=1)
def _kinds() -> tuple[Kind, ...]:
    text = resources.files("aleat.evidence").joinpath("opening/refused.toml").read_text("utf-8")
    return tuple(
        Kind(
            item["name"],
            tuple(bytes.fromhex(mark) for mark in item["marks"]),
            item.get("at", 0),
            tuple(item.get("endings", ())),
            item.get("advice", ""),
            item.get("image", False),
        )
        for item in tomllib.loads(text)["kind"]
    )


def _issue(shown: str, reason: str, advice: str) -> Issue:
    return Issue("evidence", "no-reader", Place(shown), reason, advice)


def _wide_text(head: bytes) -> str:
    """Return the name of the UTF-16 that ASCII text in `head` is written in, or the empty string."""
    for name, zeros, letters in (("utf-16-le", head[1::2], head[::2]), ("utf-16-be", head[::2], head[1::2])):
        if len(zeros) >= 8 and zeros.count(0) > len(zeros) * 0.8 and letters.count(0) == 0:
            return name
    return ""
