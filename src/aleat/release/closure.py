"""Closure: no id, name, value, reference or relationship of what is withheld is in what leaves.

`decide` judges objects one by one; here each that may leave is looked through for what may not. Others' objects
that refer to a withheld one, or name it, are withheld too: they are never changed. Ours are told again without
it where they can do without (a report's list of objects, a note's text), and withheld where they can't (a
relationship, a sighting). What is withheld by this is looked for in turn, until nothing changes.

A word is no secret where the recipient may have it anyhow: it stands in a public corpus, or is a name or value
of something stated by somebody (not derived here) that leaves on its own permission.

A `Closure` can be kept, and told what changed: what it withheld itself is begun with anew, everything else is
looked at only where something that it refers to or names has changed. The result is that of judging all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import chain
from typing import Final

import msgspec

from aleat.errors import IntegrityError
from aleat.release.gate import agreement_with
from aleat.release.nodes import Index, Node, uuid_of
from aleat.release.records import Decision, Rule, Subject, Terms
from aleat.release.redact import coarsen, personal_words
from aleat.release.retell import add_label, cut_object, name_again, replace_ids
from aleat.release.structure import told_strings, without_our_words
from aleat.release.words import Said, find_words, fold, internal_addresses, said_by, words_of
from aleat.stix.extensions import extension_id, extension_names
from aleat.stix.objects import StixObject
from aleat.trust.markings import known_marking_ids, marking_id

__all__ = ["Closed", "Closure", "close"]

_UNLABELLED = ("marking-definition", "extension-definition")

Cuts = dict[str, dict[str, object]]
"""Properties of what is told again, by its old id."""


class Closed(msgspec.Struct, frozen=True):
    """What leaves, ordered by type and id, and the final decision on every object, in the order of the subjects."""

    objects: tuple[StixObject, ...]
    decisions: tuple[Decision, ...]


def close(subjects: Sequence[Subject], decisions: Sequence[Decision], terms: Terms, *, secret: bytes) -> Closed:
    """Return what leaves, and the final decisions; `secret` keys the ids of what is told again.

    Raises `IntegrityError` if something withheld were still in it: then nothing leaves.
    """
    closure = Closure(terms, secret=secret)
    nodes = closure.change(zip(subjects, decisions, strict=True))
    leaving = sorted((node.out for node in nodes if node.out), key=lambda item: (item.type, item.id))
    return Closed(tuple(leaving), tuple(node.decision for node in nodes))


class Closure:
    """All objects for one recipient, on the same terms: what leaves of them, also after some have changed.

    Where `change` raises, it must not be used further.
    """

    def __init__(self, terms: Terms, *, secret: bytes) -> None:
        self._terms, self._secret = terms, secret
        self._published = {uuid_of(id_) for id_ in (*known_marking_ids(), *map(extension_id, extension_names()))}
        known = {uuid_of(terms.own), uuid_of(terms.recipient.identity), *self._published}
        self.index = Index(known)
        self._nodes: dict[str, list[Node]] = {}
        self._closed: set[Node] = set()
        self._retold: set[Node] = set()
        self._cuts: Cuts = {}
        self._fell: set[Node] = set()
        self.changed: dict[str, Node | None] = {}
        """What the last change did: by an object's id its node where it leaves otherwise than before, or None."""
        agreements = agreement_with(terms.recipient.identity, terms)
        self._own_terms = agreements[0] if agreements else None
        names_inside = bool(agreements) and not agreements[0].release.internal
        self._internal = {word for word in map(fold, terms.internal_words) if word} if names_inside else None

    @property
    def nodes(self) -> Iterable[Node]:
        """All objects."""
        return chain.from_iterable(self._nodes.values())

    def change(
        self,
        judged: Iterable[tuple[Subject, Decision]],
        gone: Collection[str] = (),
        said: Callable[[Subject], Said | None] = lambda _: None,
    ) -> list[Node]:
        """Take objects in, in place of all that are here with their ids or those in `gone`; return their nodes.

        `said` may know what an object says, so that it needn't be read.
        """
        fresh = [Node(subject, decision, said(subject)) for subject, decision in judged]
        for node in fresh:
            self._coarsen(node)
        left = {node.id for node in fresh}.union(gone)
        for id_ in left:
            for node in self._nodes.pop(id_, ()):
                self.index.remove(node)
                self._closed.discard(node)
                self._retold.discard(node)
        dirty = {*fresh, *self._closed}
        for node in self._closed:
            self.index.turn(node, node.first)
        self._closed = set()
        for node in fresh:
            node.published = node.uuid in self._published
            self._nodes.setdefault(node.id, []).append(node)
            self.index.add(node)
        self._begin(fresh)
        self._leave(self._settle(dirty), left)
        return fresh

    def _coarsen(self, node: Node) -> None:
        """Note how an object of ours is told, where the agreement keeps something of it back."""
        if not node.stands or not node.ours or self._own_terms is None:
            return
        item, release = node.subject.object, self._own_terms.release
        node.kept_back = personal_words(item, release) - node.said.words
        node.coarse = coarsen(item, self._terms, release) if node.uuid not in self.index.known else None
        if node.coarse is not None:
            node.kept_back |= node.said.words - words_of(node.coarse)
            # A sector in place of a name may be somebody's name, too.
            told = without_our_words(fold("\n".join(told_strings(node.coarse))))
            node.said = msgspec.structs.replace(node.said, text=f"{node.said.text}\n{told}")

    def _begin(self, fresh: Sequence[Node]) -> None:
        """What is judged before anything is looked for: one content an id; what of ours names our inside."""
        _one_content_an_id(fresh)
        for node in fresh:
            if node.first is not node.decision:
                self.index.turn(node, node.first)
        ours = [node for node in fresh if node.stands and node.ours]
        if self._internal is None or not ours:
            return
        found = find_words([node.said.text for node in ours], self._internal)
        for row, node in enumerate(ours):
            node.internal = found.get(row, frozenset()) | internal_addresses(node.said.text)

    def _settle(self, dirty: set[Node]) -> set[Node]:
        """Withhold until nothing changes; return all that was looked at."""
        seen: set[Node] = set()
        while True:
            dirty = dirty | self.index.settle() | self._retold
            seen |= dirty
            self._fell = set()
            self._cut(dirty)
            _keep_unused_definitions(self)
            if not self._fell:
                return seen | self._retold
            self._closed |= self._fell
            dirty = self._fell

    def _cut(self, nodes: Collection[Node]) -> None:
        """Withhold what can't leave; note the cut properties of what is to be told again."""
        index = self.index
        self._cuts = {}
        stays: dict[Node, Decision] = {}
        for node in nodes:
            if not node.stands or node.published:
                continue
            found = {name: find(node, index.hidden, index.secret) for name, find in FINDERS.items()}
            refs, names, internal = (found[name] for name in ("refers-to-withheld", "names-withheld", "names-internal"))
            if node.ours:
                internal |= node.hits & index.kept
            if marked := found["marked-by-withheld"]:
                stays[node] = node.withheld("refers-to-withheld", marked, self._asked(marked))
            elif resting := found["rests-on-withheld"]:
                stays[node] = node.withheld("rests-on-withheld", resting, self._asked(resting))
            elif refs or names or internal or node.coarse is not None:
                cut = self._tell_without(node, refs, names | internal)
                if cut is None:
                    named: Rule = "names-withheld" if names else "names-internal"
                    rule: Rule = "refers-to-withheld" if refs else named
                    stays[node] = node.withheld(rule, refs or names | internal, self._asked(refs))
                else:
                    self._cuts[node.id] = cut
        for node, decision in stays.items():
            self.withhold(node, decision)
        self._spread()
        self._retold = {node for id_ in self._cuts for node in self._nodes[id_] if node.stands}

    def withhold(self, node: Node, decision: Decision) -> None:
        """Keep an object here after all."""
        self.index.turn(node, decision)
        self._fell.add(node)

    def _asked(self, uuids: Iterable[str]) -> Iterable[str]:
        here = (self.index.by_uuid[uuid][-1] for uuid in uuids if uuid in self.index.by_uuid)
        return chain.from_iterable(node.decision.ask for node in here)

    def _tell_without(self, node: Node, refs: frozenset[str], words: frozenset[str]) -> dict[str, object] | None:
        """Return an object of ours without references and words, or None where it can't do without.

        One that is revoked isn't told again: it would revoke an id that nobody has.
        """
        if not node.ours or node.uuid in self.index.known or node.said.coded or node.subject.values:
            return None
        if node.subject.object.revoked or node.coarse == {}:
            return None
        if node.cut is None or node.cut[0] != (refs, words):
            node.cut = ((refs, words), cut_object(node.subject.object, refs, words, node.coarse))
        return node.cut[1]

    def _spread(self) -> None:
        """What refers to something told again is told again too, if it is ours, and withheld if not."""
        cuts, index = self._cuts, self.index
        retold = {uuid_of(id_) for id_ in cuts}
        fresh = set(retold)
        while fresh:
            reached = {node for uuid in fresh for node in index.referrers(uuid)}
            reached = {node for node in reached if node.stands and not node.published and node.id not in cuts}
            again = {node for node in reached if node.refs & fresh}
            fresh = set()
            for node in again:
                item = node.subject.object
                tellable = node.ours and node.uuid not in index.known
                if tellable and not item.granular_markings and not item.revoked:
                    cuts[node.id] = node.subject.object.properties()
                    fresh.add(node.uuid)
                else:
                    self.withhold(node, node.withheld("refers-to-withheld", node.refs & retold))
            retold |= fresh

    def _leave(self, nodes: Collection[Node], left: Collection[str]) -> None:
        """Make what leaves of the objects that were looked at, look at it once more, and note what changed."""
        ids = name_again(self._cuts, self._terms.recipient.identity, self._secret) if self._cuts else {}
        self.changed = dict.fromkeys(left)
        made: list[Node] = []
        for node in nodes:
            before = node.out
            node.out = self._told(node, ids)
            if node.out is not before:
                made.append(node)
                self.changed[node.id] = node if node.out is not None else None
        self._check([node for node in made if node.out is not None])

    def _told(self, node: Node, ids: Mapping[str, str]) -> StixObject | None:
        """Return how an object leaves, if it does, and say so in its decision."""
        if not node.stands:
            return None
        node.decision = node.first
        item = node.subject.object
        if node.published:
            return None
        if node.id in self._cuts:
            item = replace_ids(self._cuts[node.id], ids)
            parameters = {**node.decision.parameters, "as": item.id}
            node.decision = msgspec.structs.replace(node.decision, form="told-again", parameters=parameters)
        if node.ours and node.decision.label and item.type not in _UNLABELLED and not item.granular_markings:
            labelled = add_label(item, marking_id(f"tlp:{node.decision.label}"))
            if labelled is not item and node.decision.form == "as-is":
                node.decision = msgspec.structs.replace(node.decision, form="labelled")
            item = labelled
        same = node.out is not None and node.out.id == item.id and node.out.digest == item.digest
        return node.out if same else item

    def _check(self, nodes: Sequence[Node]) -> None:
        """Look at the very bytes that would leave; a fault here is ours, and stops everything."""
        hidden = self.index.hidden | {uuid_of(id_) for id_ in self._cuts}
        leaving = [(node, _said_as_told(node)) for node in nodes]
        telling = [(node, said) for node, said in leaving if not node.corpus]
        named = find_words([without_our_words(said.text) for _, said in telling], self.index.secret)
        ours = [(node, said) for node, said in telling if node.ours and node.uuid not in self.index.known]
        kept = find_words([without_our_words(said.text) for _, said in ours], self.index.kept)
        faults = [node for node, said in leaving if said.uuids & hidden] + [telling[row][0] for row in named]
        faults += [ours[row][0] for row in kept]
        if faults:
            id_ = min(node.id for node in faults)
            raise IntegrityError(f"The gate would let something withheld leave with {id_}. Nothing leaves.")


FINDERS: Final[dict[str, Callable[[Node, AbstractSet[str], AbstractSet[str]], frozenset[str]]]] = {
    "marked-by-withheld": lambda node, hidden, _: node.beside & hidden,
    "rests-on-withheld": lambda node, hidden, _: node.rests & hidden,
    "refers-to-withheld": lambda node, hidden, _: node.refs & hidden,
    "names-withheld": lambda node, _, secret: node.hits & secret,
    "names-internal": lambda node, _, __: node.internal,
}
"""What of the withheld is in an object, by the UUIDs that are hidden and the words that must not be told."""


def _one_content_an_id(nodes: Sequence[Node]) -> None:
    """Of several contents of one id that may leave, the newest does; one that counts no more doesn't."""
    newest: dict[str, Node] = {}
    for node in nodes:
        if not node.judged.allow or node.subject.former:
            continue
        other = newest.get(node.id)
        if other is None or (node.judged.version, node.judged.digest) > (other.judged.version, other.judged.digest):
            newest[node.id] = node
    for node in nodes:
        if node.judged.allow and newest.get(node.id) is not node:
            node.first = node.withheld("superseded")


def _keep_unused_definitions(closure: Closure) -> None:
    """Definitions of markings and extensions leave only with what uses them."""
    for node in [node for node in closure.index.definitions if node.stands]:
        users = (user for user in closure.index.referrers(node.uuid) if user.decision.rule != "definition")
        if not any(user.stands and (node.uuid in user.refs or node.uuid in user.beside) for user in users):
            closure.withhold(node, node.withheld("not-used"))


def _said_as_told(node: Node) -> Said:
    """Return what an object says as it would leave."""
    if node.out is None or node.out is node.subject.object:
        return node.said
    return said_by(node.out)
