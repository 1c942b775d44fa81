"""Recognising a public corpus while its bundle streams by: what is kept are digests, and only while it may be one.

Says what `aleat.trust.corpora.recognise_objects` says of the same objects at once. The first object that can't be a
corpus' own (somebody else's, or marked otherwise) decides: most bundles are out after their first object.
"""

from __future__ import annotations

from aleat.stix.objects import StixObject
from aleat.trust.corpora import CorpusMatch, CorpusPolicy, appears_in, corpus_digest

__all__ = ["CorpusWatch"]

_MOST = 100_000  # objects; nothing larger is recognised by its appearance


class CorpusWatch:
    """Is shown a bundle's objects one after another."""

    def __init__(self, policy: CorpusPolicy) -> None:
        self._policy = policy
        self._apparent = [corpus for corpus in policy.corpora if corpus.identity]
        self._by: dict[str, int] = {}
        self._digests: list[str] = []
        self._version = ""
        self._longest = max((one.objects for corpus in policy.corpora for one in corpus.versions), default=0)
        bare = [corpus for corpus in policy.corpora if corpus.versions and not corpus.identity]
        self._named_otherwise = max((one.objects for corpus in bare for one in corpus.versions), default=0)

    @property
    def undecided(self) -> bool:
        """Whether the objects so far may be (the beginning of) a corpus."""
        count = len(self._digests)
        return count <= self._named_otherwise or (bool(self._apparent) and count <= max(self._longest, _MOST))

    def take(self, item: StixObject) -> None:
        """Look at the next object."""
        self._apparent = [corpus for corpus in self._apparent if appears_in(item, corpus)]
        if not self.undecided:
            return
        self._digests.append(item.digest)
        if item.created_by_ref is not None:
            self._by[item.created_by_ref] = self._by.get(item.created_by_ref, 0) + 1
        if item.type == "x-mitre-collection" and not self._version:
            self._version = str(item.properties().get("x_mitre_version", ""))[:40]

    def match(self) -> CorpusMatch | None:
        """Return the corpus that all objects so far are, or None."""
        if not self._digests or not self.undecided:
            return None
        digest = corpus_digest(self._digests)
        for corpus in self._policy.corpora:
            for version in corpus.versions:
                if version.digest == digest and (not corpus.identity or corpus in self._apparent):
                    return CorpusMatch(corpus.name, "digest", version.name)
        for corpus in self._apparent:
            if 2 * self._by.get(corpus.identity, 0) > len(self._digests):
                return CorpusMatch(corpus.name, "appearance", self._version)
        return None
