"""Records that a log continues in further lines of the same form: SharePoint marks their times with an asterisk.

Lines of several threads may stand between the parts. A part whose beginning isn't in the same range stays a record.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import polars as pl

from aleat.evidence.text_columns import Lines

__all__ = ["join_continued"]

_ELLIPSIS = "..."


def join_continued(lines: Lines, how: Mapping[str, str]) -> Lines:
    """Put the text of each line that `how` calls a continuation into the line that it continues.

    ``how["mark"]`` is an expression (Rust's) of the lines that continue another; ``how["form"]`` one (Python's) of all
    lines, whose groups are ``by`` (who wrote it: the last line by the same one is continued), ``text`` (what goes on,
    with an ellipsis at the seam) and what stands ``before`` and ``after`` it.
    """
    marked = lines.texts.str.contains(how["mark"]).to_numpy()
    if not marked.any():
        return lines
    form = re.compile(how["form"], re.DOTALL)
    texts = lines.texts.to_list()
    parts: dict[int, list[str]] = {}
    shapes: dict[int, tuple[str, str]] = {}
    last: dict[str, int] = {}
    keep = np.ones(len(lines), np.bool_)
    for row, text in enumerate(texts):
        match = form.match(text)
        if match is None:
            continue
        begun = last.get(match["by"]) if marked[row] else None
        if begun is None:
            last[match["by"]] = row
            parts[row] = [match["text"]]
            shapes[row] = match["before"], match["after"] or ""
        else:
            parts[begun][-1] = parts[begun][-1].rstrip().removesuffix(_ELLIPSIS)
            parts[begun].append(match["text"].lstrip().removeprefix(_ELLIPSIS))
            keep[row] = False
    for row, pieces in parts.items():
        if len(pieces) > 1:
            before, after = shapes[row]
            texts[row] = f"{before}{''.join(pieces)}{after}"
    return Lines(pl.Series(texts, dtype=pl.String), lines.offsets, lines.numbers).where(keep)
