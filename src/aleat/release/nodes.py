"""Objects on their way through the gate, and what is withheld at the moment: ids and words, kept by counting.

An object's id is *hidden* where it stays and nothing with the same UUID leaves; a word is *secret* where something
that stays has it, and the recipient may not have it anyhow (a public corpus has it, or something stated that
leaves). Both are counted, so that a change costs what it changes, and which objects hold what is looked up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

import msgspec

from aleat.release.guesses import ids_guessed, loose_ids
from aleat.release.records import Decision, Rule, Subject
from aleat.release.words import Said, find_words, said_by, uuids_of
from aleat.stix.objects import StixObject

__all__ = ["Index", "Node", "uuid_of"]

_NONE: frozenset[str] = frozenset()


class Node:
    """One object on its way through the gate; `stands`: as far as is known, it leaves."""

    __slots__ = (
        "beside",
        "coarse",
        "corpus",
        "cut",
        "decision",
        "first",
        "hits",
        "id",
        "internal",
        "judged",
        "kept_back",
        "out",
        "public",
        "published",
        "refs",
        "rests",
        "said",
        "stands",
        "subject",
        "telling",
        "uuid",
    )

    def __init__(self, subject: Subject, decision: Decision, said: Said | None = None) -> None:
        self.subject = subject
        self.judged = decision
        """The gate's word on it alone."""
        self.first = decision
        """The word with which closure begins: another content of the same id may go before it."""
        self.decision = decision
        self.said = said or said_by(subject.object, subject.values, subject.notes)
        self.id = subject.object.id
        self.uuid = uuid_of(self.id)
        self.refs = self.said.uuids - {self.uuid}
        self.beside = uuids_of(decision.markings) if decision.markings else _NONE
        self.rests = frozenset(map(uuid_of, subject.rests_on)) if subject.rests_on else _NONE
        self.stands = decision.allow
        self.corpus = decision.rule == "public-corpus"
        self.hits: frozenset[str] = _NONE
        """Words of withheld objects that occur in it."""
        self.public: frozenset[str] = _NONE
        """The same, where it is part of a public corpus: then they are no secret."""
        self.internal: frozenset[str] = _NONE
        self.coarse: dict[str, object] | None = None
        """Its properties as they may be told, where that is less than they say."""
        self.kept_back: frozenset[str] = _NONE
        """Its words that are not told with it."""
        self.published = False
        """A published definition: it leaves as it was published, whatever somebody sent under its id."""
        self.telling = True
        """Its words are its own: it isn't known to everybody anyhow."""
        self.cut: tuple[tuple[frozenset[str], frozenset[str]], dict[str, object] | None] | None = None
        """What it was last told again without, and how."""
        self.out: StixObject | None = None
        """How it leaves."""

    @property
    def ours(self) -> bool:
        """Whether it leaves as ours."""
        return self.decision.rule == "own-label"

    @property
    def guarded(self) -> bool:
        """Whether its words must not be told where it stays: not those of what leaves in another version."""
        if not self.telling or self.subject.object.type == "extension-definition":
            return False
        return self.decision.rule != "superseded"

    def withheld(self, rule: Rule, found: Iterable[str] = (), ask: Iterable[str] = ()) -> Decision:
        """Return the word that it stays after all; `found` are ids or words, for our own eyes."""
        return msgspec.structs.replace(
            self.first,
            allow=False,
            rule=rule,
            form="withheld",
            copy=None,
            label=None,
            markings=(),
            ask=tuple(sorted({*ask})),
            parameters={**self.first.parameters, "because": sorted(found)[:10]},
        )


class Index:
    """Which nodes there are, which refer to what, and what is hidden and secret; `known` UUIDs are never hidden."""

    def __init__(self, known: Collection[str]) -> None:
        self.known = frozenset(known)
        self.hidden: set[str] = set()
        self.secret: set[str] = set()
        self.kept: set[str] = set()
        """What the agreement keeps back of what of ours leaves: it binds what is ours alone."""
        self.fresh: set[Node] = set()
        """Nodes whose texts haven't been searched yet."""
        self.by_uuid: dict[str, list[Node]] = defaultdict(list)
        self.definitions: set[Node] = set()
        self._referrers: dict[str, set[Node]] = defaultdict(set)
        self._standing: dict[str, int] = {}
        self._staying: dict[str, int] = {}
        self._told: dict[str, int] = {}
        self._kept: dict[str, int] = {}
        self._free: dict[str, int] = {}
        self._public: dict[str, int] = {}
        self._where: dict[str, set[Node]] = {}
        self._readable: set[Node] = set()
        self._moved: set[str] = set()
        self._moved_words: set[str] = set()
        self._loose: set[str] = set()
        self._guessed: dict[str, str] | None = None
        self._guesses: set[str] = set()

    def add(self, node: Node) -> None:
        """Take a node in."""
        node.telling = node.uuid not in self.known
        self.by_uuid[node.uuid].append(node)
        for uuid in (*node.refs, *node.beside, *node.rests):
            self._referrers[uuid].add(node)
        if node.judged.rule == "definition":
            self.definitions.add(node)
        if node.judged.allow:
            self._loose |= loose_ids(node.said.text)
            self._readable.add(node)
            self.fresh.add(node)
        self._count(node, 1)

    def remove(self, node: Node) -> None:
        """Forget a node."""
        self._count(node, -1)
        self.by_uuid[node.uuid].remove(node)
        if not self.by_uuid[node.uuid]:
            del self.by_uuid[node.uuid]
        for uuid in {*node.refs, *node.beside, *node.rests}:
            self._referrers[uuid].discard(node)
            if not self._referrers[uuid]:
                del self._referrers[uuid]
        for word in node.hits:
            self._where[word].discard(node)
        for word in node.public:
            _add(self._public, word, -1)
            self._moved_words.add(word)
        self.definitions.discard(node)
        self._readable.discard(node)
        self.fresh.discard(node)

    def turn(self, node: Node, decision: Decision) -> None:
        """Let a node's word be another."""
        self._count(node, -1)
        node.decision, node.stands = decision, decision.allow
        self._count(node, 1)

    def referrers(self, uuid: str) -> Collection[Node]:
        """Return the nodes that refer to a UUID, in them or beside them."""
        return self._referrers.get(uuid, ())

    def settle(self) -> set[Node]:
        """Bring `hidden` and `secret` up to date; return the nodes that have to do with what became or ceased so."""
        reached: set[Node] = set()
        self._search()
        for uuid in self._moved:
            now = uuid in self._staying and uuid not in self._standing and uuid not in self.known
            if now != (uuid in self.hidden):
                (self.hidden.add if now else self.hidden.discard)(uuid)
                reached.update(self.referrers(uuid))
        for word in self._moved_words:
            now = word in self._told and word not in self._free and word not in self._public
            now = now and not self._is_id_told(word)
            if now != (word in self.secret):
                (self.secret.add if now else self.secret.discard)(word)
                reached.update(self._where.get(word, ()))
            now = word in self._kept and word not in self._free and word not in self._public
            if now != (word in self.kept):
                (self.kept.add if now else self.kept.discard)(word)
                reached.update(self._where.get(word, ()))
        self._moved.clear()
        self._moved_words.clear()
        return reached | self._guess()

    def _is_id_told(self, word: str) -> bool:
        """Tell whether a word is the id (or its UUID) of something that leaves: with it, it is told anyhow."""
        uuid = word[-36:]
        return uuid in self._standing and (word == uuid or any(node.id.lower() == word for node in self.by_uuid[uuid]))

    def _guess(self) -> set[Node]:
        """Hide the ids of observables that only a secret word makes; return the nodes that refer to what changed.

        They are looked at only where one is told of which no object is here.
        """
        loose = {uuid for uuid in self._loose if uuid not in self.by_uuid}
        if not loose and self._guessed is None:
            return set()
        if self._guessed is None:
            self._guessed = ids_guessed(self.secret)
        else:
            self._guessed = {id_: word for id_, word in self._guessed.items() if word in self.secret}
            self._guessed |= ids_guessed(self.secret - set(self._guessed.values()))
        found = loose & self._guessed.keys()
        changed = found ^ self._guesses
        self._guesses = found
        for uuid in changed:
            shown = uuid not in found and (uuid not in self._staying or uuid in self._standing)
            (self.hidden.discard if shown else self.hidden.add)(uuid)
        return {node for uuid in changed for node in self.referrers(uuid)}

    def _search(self) -> None:
        """Look for words that weren't looked for yet in all texts, and for the others in the new texts."""
        looked_for = {word for word in self._moved_words if word in self._told or word in self._kept}
        new = looked_for - self._where.keys()
        if self.fresh:
            self._look(list(self.fresh), self._where.keys())
            self.fresh.clear()
        if new:
            self._where.update((word, set()) for word in new)
            self._look(list(self._readable), new)

    def _look(self, nodes: Sequence[Node], words: Collection[str]) -> None:
        for row, found in find_words([node.said.text for node in nodes], words).items():
            node = nodes[row]
            if node.corpus:
                for word in found - node.public:
                    _add(self._public, word, 1)
                node.public |= found
                self._moved_words.update(found)
            else:
                node.hits |= found
                for word in found:
                    self._where[word].add(node)

    def _count(self, node: Node, by: int) -> None:
        self._moved.add(node.uuid)
        self._moved_words.update(word for word in (node.uuid, node.id.lower()) if word in self._told)
        if node.stands:
            _add(self._standing, node.uuid, by)
            for word in node.kept_back:
                _add(self._kept, word, by)
            self._moved_words.update(node.kept_back)
            if not node.subject.derived:
                for word in node.said.words - node.kept_back:
                    _add(self._free, word, by)
                    if word in self._told or word in self._kept:
                        self._moved_words.add(word)
        else:
            _add(self._staying, node.uuid, by)
            if node.guarded:
                for word in node.said.words:
                    _add(self._told, word, by)
                self._moved_words.update(node.said.words)


def uuid_of(id_: str) -> str:
    """Return the UUID of a STIX id, in lower case."""
    return id_.rpartition("--")[2].lower()


def _add(counts: dict[str, int], key: str, by: int) -> None:
    now = counts.get(key, 0) + by
    if now:
        counts[key] = now
    else:
        del counts[key]
