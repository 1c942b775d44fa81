"""What the command line writes to a person: plain lines, tables, progress; every foreign value made visible."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from aleat.errors import Issue
from aleat.text import clip, visible

__all__ = [
    "MAX_LISTED",
    "ProgressLine",
    "error",
    "issues",
    "line",
    "progress",
    "table",
    "tell_sent",
    "wants_color",
    "wrapped",
]

MAX_LISTED = 20
"""At most this many rows of a list that can be long are printed; how many more there are is said."""

_SECOND = 1.0


def line(text: str = "", *, stream: TextIO | None = None) -> None:
    """Write one line; control characters in it are shown, not acted on."""
    print(visible(text), file=stream or sys.stdout)


def error(text: str) -> None:
    """Write one line to standard error."""
    for part in text.split("\n"):
        line(part, stream=sys.stderr)


def tell_sent(path: Path, folder: Path | None) -> None:
    """Say where a sealed file is: its path on standard output, or that it waits in the post box."""
    if folder is not None:
        line(str(path))
    else:
        error(f"{path.name} waits in the post box: for the ally to fetch it (aleat serve), or to be sent (aleat push).")


def wrapped(text: str, *, indent: str = "") -> None:
    """Write a paragraph, folded at the terminal's width (at most 100 columns)."""
    import shutil  # noqa: PLC0415
    import textwrap  # noqa: PLC0415

    width = min(shutil.get_terminal_size((100, 24)).columns, 100)
    for part in textwrap.wrap(visible(text), width, initial_indent=indent, subsequent_indent=indent):
        print(part)


def wants_color(*, no_color: bool = False) -> bool:
    """Say whether standard output is a terminal that knows colours, and nobody said no (https://no-color.org)."""
    if no_color or os.environ.get("NO_COLOR") or not sys.stdout.isatty():
        return False
    return bool(os.environ.get("WT_SESSION")) if os.name == "nt" else os.environ.get("TERM", "dumb") != "dumb"


def table(rows: Iterable[Sequence[object]], headings: Sequence[str] = (), *, limit: int = MAX_LISTED) -> None:
    """Write rows in aligned columns, at most `limit` of them, each cell clipped; says how many more there are."""
    cells = [[clip(visible(cell), 72) for cell in row] for row in rows]
    shown = cells[:limit]
    if headings:
        shown.insert(0, [heading.upper() for heading in headings])
    widths = [max(len(row[i]) for row in shown) for i in range(len(shown[0]))] if shown else []
    for row in shown:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if len(cells) > limit:
        print(f"… and {len(cells) - limit} more")


def issues(rows: Sequence[Issue], *, limit: int = MAX_LISTED) -> None:
    """Write what could not be done to standard error, at most `limit` rows, and how many more there are."""
    for issue in rows[:limit]:
        error(f"  {issue}")
    if len(rows) > limit:
        error(f"  … and {len(rows) - limit} more; the report lists them all")


class ProgressLine:
    """Progress of one command: one line rewritten on a terminal, a line now and then elsewhere, nothing if quick."""

    def __init__(self, stream: TextIO, *, quiet: bool) -> None:
        self.stream = stream
        self.quiet = quiet
        self.live = stream.isatty()
        self.started = self.shown = time.monotonic()
        self.drawn = 0  # characters, to be written over: not every console knows control sequences

    def __call__(self, what: str, done: int, total: int | None = None) -> None:
        """Say that `done` of `total` steps of `what` are done."""
        now = time.monotonic()
        if self.quiet or now - self.started < _SECOND or now - self.shown < (0.1 if self.live else 5.0):
            return
        self.shown = now
        share = f" of {total:,}" if total else ""
        text = clip(visible(f"{what}: {done:,}{share} ({now - self.started:.0f} s)"), 100)
        self.stream.write(f"\r{text.ljust(self.drawn)}" if self.live else f"{text}\n")
        self.stream.flush()
        self.drawn = len(text) if self.live else 0

    def clear(self) -> None:
        """Wipe the line, where there is one."""
        if self.drawn:
            self.stream.write(f"\r{' ' * self.drawn}\r")
            self.stream.flush()
            self.drawn = 0


@contextmanager
def progress(*, quiet: bool = False) -> Iterator[ProgressLine]:
    """Yield a progress callback on standard error, and wipe it at the end."""
    shown = ProgressLine(sys.stderr, quiet=quiet)
    try:
        yield shown
    finally:
        shown.clear()
