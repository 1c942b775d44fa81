"""How knowledge is told on a terminal: what is doubtful about it, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aleat.cli.terminal import error
from aleat.text import clip

if TYPE_CHECKING:
    from aleat.knowledge.quality import QualityLabel
    from aleat.report import Messages
    from aleat.workspace import KnowledgeAdded

__all__ = ["label_words", "print_doubts"]

_LISTED = 5
_LONG = 80


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
