"""From what a user names to collections of documents: paths, checkouts of git, and URLs that are fetched.

A collection is one thing that was given: everything that is recognised about it (that it is a public corpus, what
stands beside a document) holds within it. `facts` say what is known of it as a whole: a checkout's "commit" and
"branch", a fetched object's "url", "size", "sha256" and entity tag. Nothing is fetched but the URL that was given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from aleat.errors import Issue
from aleat.knowledge.document import Document
from aleat.knowledge.limits import Limits
from aleat.knowledge.opener import open_documents
from aleat.opening.checkout import read_checkout
from aleat.opening.container import Secrets
from aleat.opening.places import fetch
from aleat.text import path_text

__all__ = ["Collection", "open_places"]

_STAGE = "knowledge"


@dataclass(frozen=True, slots=True)
class Collection:
    """One collection: how it is shown, what is known of it, and its documents, anew each time they are asked for."""

    shown: str
    documents: Callable[[], Iterator[Document | Issue]]
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """A checkout's commit; "" where nothing says a version."""
        return self.facts.get("commit", "")


def open_places(
    places: Sequence[Path | str], limits: Limits, secrets: Secrets | None = None
) -> Iterator[Collection | Issue]:
    """Yield the collection at each path or URL (a text), and an issue for what can't be fetched.

    What was fetched is gone when the next is asked for.
    """
    for place in places:
        if isinstance(place, Path):
            opened = partial(open_documents, place, limits, secrets=secrets)
            checkout = read_checkout(place)
            told = {"commit": checkout.commit, "branch": checkout.branch} if checkout is not None else {}
            yield Collection(path_text(place.as_posix()), opened, told)
            continue
        for found in fetch(place, limits, _STAGE):
            if isinstance(found, Issue):
                yield found
            else:
                opened = partial(open_documents, found.file, limits, shown=found.shown, secrets=secrets)
                yield Collection(found.shown, opened, found.facts)
