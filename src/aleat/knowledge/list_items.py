"""From tables to what a list reader gives: the list's indicator (one for each label) with its rows, and issues."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from aleat.errors import Issue, LimitError, Place
from aleat.knowledge.document import Document
from aleat.knowledge.items import KnowledgeItem
from aleat.knowledge.list_entries import (
    EntryCollector,
    RowClassifier,
    has_labels,
    label_marking,
    list_hint,
    may_have_labels,
    stated_labels,
)
from aleat.knowledge.list_table import ListTable
from aleat.knowledge.readers.lists import make_list_indicator

__all__ = ["collect_tables", "list_items", "stated_labels"]

_STAGE = "knowledge"
_LISTED_LINES = 10


def collect_tables(
    tables: Callable[[], Iterator[ListTable]], name: str, most: int, path: str = ""
) -> tuple[RowClassifier, EntryCollector]:
    """Give the values of tables their types; `tables` makes them anew each time. Raises `LimitError` beyond `most`."""
    hint = list_hint(name)
    labelled = False
    for table in tables():
        labelled = has_labels(table.columns)
        if labelled or not may_have_labels(table.columns):
            break
    classifier, collector = RowClassifier(hint, labelled=labelled), EntryCollector(hint)
    for table in tables():
        collector.add(classifier.classify(table))
        if collector.rows > most:
            raise LimitError(f"The list has more than {most} values (list_entries).", Place(path))
    return classifier, collector


def list_items(
    document: Document,
    name: str,
    classifier: RowClassifier,
    collector: EntryCollector,
    markings: Sequence[str] = (),
    beside: Mapping[str, str] | None = None,
) -> Iterator[KnowledgeItem | Issue]:
    """Yield the list called `name` for each label, and an issue for the values of no type.

    `markings` are the whole list's, `beside` texts that stand beside it.
    """
    untyped = collector.settle()
    if untyped:
        shown = ", ".join(map(str, untyped[:_LISTED_LINES])) + (" …" if len(untyped) > _LISTED_LINES else "")
        reason = f"{len(untyped)} values are of no type that can be hunted for: records {shown}."
        yield Issue(_STAGE, "list-value", Place(document.path, untyped[0]), reason, records=len(untyped))
    for label, first, entries in collector.entries():
        own = (label_marking(label, classifier.scheme),) if label else ()
        yield KnowledgeItem(
            object=make_list_indicator(name, entries, list(classifier.columns), beside),
            place=Place(document.path, first),
            entries=entries,
            markings=tuple(sorted({*markings, *own})),
        )
