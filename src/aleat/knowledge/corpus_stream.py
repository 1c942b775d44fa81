"""A public corpus among STIX documents: recognised as a whole, while it streams by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from aleat.errors import Issue
from aleat.knowledge.blocks import KnowledgeBlock
from aleat.knowledge.items import KnowledgeItem
from aleat.trust.corpora import CorpusMatch
from aleat.trust.corpus_watch import CorpusWatch

__all__ = ["recognise_stream"]

_Found = KnowledgeItem | KnowledgeBlock | Issue


def recognise_stream(found: Iterable[_Found], watch: CorpusWatch) -> Iterator[tuple[_Found, CorpusMatch | None]]:
    """Yield what was found in one document, each with the corpus that the document is, or None.

    What may be a corpus is held back until it is decided: for most documents, until their first object. `watch` is
    a new one.
    """
    held: list[_Found] = []
    for one in found:
        if watch.undecided and not isinstance(one, Issue):
            for item in [one] if isinstance(one, KnowledgeItem) else one.items():
                watch.take(item.object)
                if not watch.undecided:
                    break
        if watch.undecided:
            held.append(one)
            continue
        yield from ((other, None) for other in held)
        held = []
        yield one, None
    match = watch.match()
    yield from ((other, match) for other in held)
