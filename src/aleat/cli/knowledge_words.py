"""How knowledge is told on a terminal: rows that fit its width, an object in plain words, what is doubtful about it."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from aleat.cli.terminal import error
from aleat.text import clip, visible

if TYPE_CHECKING:
    from aleat.knowledge.quality import QualityLabel
    from aleat.report import Messages
    from aleat.workspace import KnowledgeAdded, KnowledgeRow

__all__ = [
    "fitted_table",
    "folded",
    "is_narrow",
    "kind_words",
    "label_words",
    "list_rows",
    "permits",
    "print_doubts",
    "row_state",
    "says",
]

_LISTED = 5
_LONG = 80
_NARROW = 100  # below it a column or two is left out
_PATTERN_KINDS = {"stix": "STIX pattern", "sigma": "Sigma rule", "yara": "YARA rule", "list": "list"}
_KINDS = {
    "ipv4-addr": "address",
    "ipv6-addr": "address",
    "domain-name": "domain",
    "url": "URL",
    "email-addr": "e-mail address",
    "file:hashes": "file with the hash",
    "file:name": "file called",
    "file:path": "file at",
}
_OPERATORS = {"LIKE": "like", "MATCHES": "matching", "ISSUBSET": "within", "ISSUPERSET": "containing"}


def permits(markings: Iterable[str], language: str) -> str:
    """Return what the strictest PAP label among the names of `markings` permits, "" where there is none."""
    levels = {name.removeprefix("PAP:").lower() for name in markings if name.startswith("PAP:")}
    strictest = next((level for level in ("red", "amber", "green", "clear") if level in levels), "")
    if not strictest:
        return ""
    from aleat.report import load_messages  # noqa: PLC0415

    return load_messages(language).say("pap", strictest)


def width() -> int:
    """Return the terminal's width, at most 160 and at least 60 columns."""
    return max(60, min(shutil.get_terminal_size((100, 24)).columns, 160))


def is_narrow() -> bool:
    """Say whether the terminal has no room for every column."""
    return width() < _NARROW


def fitted_table(
    rows: Iterable[Sequence[object]], headings: Sequence[str], *, stretch: int, most: Sequence[int]
) -> None:
    """Write rows in columns that fit the terminal: none wider than `most`, that at `stretch` takes what is left."""
    cells = [[visible(cell) for cell in row] for row in rows]
    shown = [[heading.upper() for heading in headings], *cells]
    widths = [min(most[at], max(len(row[at]) for row in shown)) for at in range(len(headings))]
    left = width() - sum(widths) + widths[stretch] - 2 * (len(widths) - 1)
    widths[stretch] = max(12, min(left, max(len(row[stretch]) for row in shown)))
    for row in shown:
        texts = (clip(cell, size).ljust(size) for cell, size in zip(row, widths, strict=True))
        print("  ".join(texts).rstrip())


def folded(label: str, text: str, *, indent: int = 12) -> None:
    """Write ``label  text``, folded at the terminal's width, with what follows under the text."""
    import textwrap  # noqa: PLC0415

    gap = " " * indent
    lines = [part for given in text.split("\n") for part in textwrap.wrap(visible(given), width() - indent) or [""]]
    for number, part in enumerate(lines or [""]):
        print(f"{(label.ljust(indent - 1) + ' ') if not number else gap}{part}".rstrip())


def list_rows(rows: Iterable[KnowledgeRow], *, hits: bool, ids: bool = False) -> None:
    """Write objects as a list."""
    given = list(rows)
    if ids:
        cells = [[kind_words(row), row.name or row.id, row.id] for row in given]
        fitted_table(cells, ("type", "name", "id"), stretch=1, most=(16, 200, 60))
        return
    headings = ["type", "name", "from", "marking", "state"]
    most = [16, 200, 18, 18, 12]
    cells = [
        [kind_words(row), row.name or row.id, _some(row.givers), _some(row.markings), row_state(row)] for row in given
    ]
    if not is_narrow():
        headings.append("changed")
        most.append(10)
        for cell, row in zip(cells, given, strict=True):
            cell.append("" if row.modified.startswith("1970-01-01") else row.modified[:10])
    if hits:
        headings.append("hits")
        most.append(9)
        for cell, row in zip(cells, given, strict=True):
            cell.append("" if row.type != "indicator" else f"{row.hits or 0:,}")
    fitted_table(cells, headings, stretch=1, most=most)


def kind_words(row: KnowledgeRow) -> str:
    """Return what kind of thing an object is, in words."""
    if row.type != "indicator":
        return row.type
    return _PATTERN_KINDS.get(row.pattern_type, f"{row.pattern_type} pattern")


def row_state(row: KnowledgeRow) -> str:
    """Return an object's state in a word, with a mark for what is doubtful or in conflict."""
    marks = ("!" if row.conflict else "") + ("?" if row.quality else "")
    return f"{row.state or '-'} {marks}".strip()


def says(type_: str, pattern_type: str, pattern: str, entries: int | None) -> str:
    """Return what an indicator looks for, in plain words; empty where it is nothing that can be put so."""
    if entries is not None:
        return f"any of {entries:,} values"
    if pattern_type == "sigma":
        return "events that fit this Sigma rule"
    if pattern_type == "yara":
        return "files and values in which this YARA rule finds its strings"
    if type_ != "indicator" or pattern_type != "stix":
        return ""
    return _pattern_words(pattern)


def _pattern_words(pattern: str) -> str:
    from aleat.stix.pattern_paths import pattern_comparisons  # noqa: PLC0415

    parts = []
    for one in pattern_comparisons(pattern):
        kind = _KINDS.get(one.type, f"{one.type} {one.path}")
        operator = _OPERATORS.get(one.operator, "")
        parts.append(" ".join(word for word in ("not" if one.negated else "", kind, operator, one.value) if word))
    if not parts:
        return ""
    joined = " and " if " AND " in pattern else ", then " if "FOLLOWEDBY" in pattern else " or "
    return joined.join(parts[:_LISTED]) + (f"{joined}{len(parts) - _LISTED} more" if len(parts) > _LISTED else "")


def label_words(label: QualityLabel, messages: Messages) -> str:
    """Return a quality label in words: its name, and the reason."""
    reason = messages.say("quality", label.reason, value=clip(label.value, _LONG), name=clip(label.name, _LONG))
    return f"{messages.say('quality', label.code)}: {reason}"


def print_doubts(added: KnowledgeAdded) -> None:
    """Write how many of the objects that came are doubtful, and the first of them; all were kept as they are."""
    if not added.quality:
        return
    from aleat.report import load_messages  # noqa: PLC0415

    messages = load_messages()
    counts = ", ".join(f"{count:,} {messages.say('quality', code)}" for code, count in sorted(added.quality.items()))
    error(f"  Doubtful, and kept as they are: {counts}.")
    for item in added.doubtful[:_LISTED]:
        error(
            f"    {clip(item.name or item.id, _LONG)}: {'; '.join(label_words(one, messages) for one in item.labels)}"
        )
    if len(added.doubtful) > _LISTED:
        error("    … aleat knowledge --quality any lists them all.")


def _some(names: Sequence[str]) -> str:
    return names[0] + (f" +{len(names) - 1}" if names[1:] else "") if names else "-"
