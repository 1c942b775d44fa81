"""Closure: no id, name, value, reference or relationship of what is withheld is in what leaves.

`decide` judges objects one by one; here each that may leave is looked through for what may not. Others' objects
that refer to a withheld one, or name it, are withheld too: they are never changed. Ours are told again without
it where they can do without (a report's list of objects, a note's text), and withheld where they can't (a
relationship, a sighting). What is withheld by this is looked for in turn, until nothing changes.

A word is no secret where the recipient may have it anyhow: it stands in a public corpus, or is a name or value
of something stated by somebody (not derived here) that leaves on its own permission.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Final

import msgspec

from aleat.errors import IntegrityError
from aleat.knowledge.playbooks.steps import playbook_bytes
from aleat.release.gate import agreement_with
from aleat.release.records import Decision, Rule, Subject, Terms
from aleat.release.retell import add_label, cut_object, name_again, replace_ids
from aleat.release.words import find_words, fold, internal_addresses, strings_of, strings_of_json, uuids_of, words_of
from aleat.stix.extensions import extension_id, extension_names
from aleat.stix.objects import StixObject
from aleat.trust.markings import known_marking_ids, marking_id

__all__ = ["Closed", "close"]

_UNLABELLED = ("marking-definition", "extension-definition")


class Closed(msgspec.Struct, frozen=True):
    """What leaves, ordered by type and id, and the final decision on every object, in the order of the subjects."""

    objects: tuple[StixObject, ...]
    decisions: tuple[Decision, ...]


class _Node:
    """One object on its way through the gate."""

    def __init__(self, subject: Subject, decision: Decision) -> None:
        self.subject = subject
        self.decision = decision
        self.id = subject.object.id
        self.uuid = _uuid(self.id)
        properties = subject.object.properties()
        self.playbook = _playbook_text(properties)
        strings = [*strings_of(properties), *self.playbook]
        self.refs = uuids_of(strings) - {self.uuid}
        self.beside = uuids_of(decision.markings)
        self.text = "\n".join(fold(text) for text in (*strings, *subject.values, *subject.notes))
        self.words = words_of(properties, subject.values)
        self.stands = decision.allow
        self.ours = decision.rule == "own-label"
        self.corpus = decision.rule == "public-corpus"
        self.hits: set[str] = set()
        self.internal: frozenset[str] = frozenset()
        self.published = False
        """A published definition: it leaves as it was published, whatever somebody sent under its id."""

    @property
    def guarded(self) -> bool:
        """Whether its words must not be told where it stays: not those of what leaves in another version."""
        return self.decision.rule != "superseded" and self.subject.object.type != "extension-definition"

    def withhold(self, rule: Rule, found: Iterable[str] = (), ask: Iterable[str] = ()) -> None:
        """Keep the object here after all; `found` are ids or words, for our own eyes."""
        self.stands = False
        self.decision = msgspec.structs.replace(
            self.decision,
            allow=False,
            rule=rule,
            form="withheld",
            copy=None,
            label=None,
            markings=(),
            ask=tuple(sorted({*ask})),
            parameters={**self.decision.parameters, "because": sorted(found)[:10]},
        )


def close(subjects: Sequence[Subject], decisions: Sequence[Decision], terms: Terms, *, secret: bytes) -> Closed:
    """Return what leaves, and the final decisions; `secret` keys the ids of what is told again.

    Raises `IntegrityError` if something withheld were still in it: then nothing leaves.
    """
    nodes = [_Node(subject, decision) for subject, decision in zip(subjects, decisions, strict=True)]
    _one_content_an_id(nodes)
    published = {_uuid(id_) for id_ in (*known_marking_ids(), *map(extension_id, extension_names()))}
    for node in nodes:
        node.published = node.uuid in published
    known = {_uuid(terms.own), _uuid(terms.recipient.identity), *published}
    _find_internal(nodes, terms)
    search = _Search(nodes, known)
    cuts: dict[str, dict[str, object]] = {}
    while True:
        before = sum(node.stands for node in nodes)
        hidden = _hidden_ids(nodes, known)
        words = search.update()
        cuts = _cut(nodes, hidden, words, known)
        _keep_unused_definitions(nodes)
        if sum(node.stands for node in nodes) == before:
            break
    objects = _emit(nodes, cuts, terms, secret)
    _check(objects, nodes, hidden | {_uuid(id_) for id_ in cuts}, words)
    return Closed(objects, tuple(node.decision for node in nodes))


def _one_content_an_id(nodes: Sequence[_Node]) -> None:
    """Of several contents of one id that may leave, the newest does."""
    newest: dict[str, _Node] = {}
    for node in nodes:
        if not node.stands:
            continue
        other = newest.get(node.id)
        if other is None or (node.decision.version, node.decision.digest) > (
            other.decision.version,
            other.decision.digest,
        ):
            newest[node.id] = node
    for node in nodes:
        if node.stands and newest[node.id] is not node:
            node.withhold("superseded")


def _find_internal(nodes: Sequence[_Node], terms: Terms) -> None:
    """Note in objects of ours what of our hosts, accounts and internal addresses they name."""
    agreements = agreement_with(terms.recipient.identity, terms)
    ours = [node for node in nodes if node.stands and node.ours]
    if not agreements or agreements[0].release.internal:
        return
    words = {fold(word) for word in terms.internal_words}
    found = find_words([node.text for node in ours], {word for word in words if word})
    for row, node in enumerate(ours):
        node.internal = found.get(row, frozenset()) | internal_addresses(node.text)


def _hidden_ids(nodes: Sequence[_Node], known: Collection[str]) -> set[str]:
    standing = {node.uuid for node in nodes if node.stands}
    return {node.uuid for node in nodes if not node.stands} - standing - set(known)


def _cut(
    nodes: Sequence[_Node], hidden: set[str], words: frozenset[str], known: Collection[str]
) -> dict[str, dict[str, object]]:
    """Withhold what can't leave; return the cut properties of what is to be told again, by old id."""
    cuts: dict[str, dict[str, object]] = {}
    ask = {node.uuid: node.decision.ask for node in nodes if node.uuid in hidden}
    for node in nodes:
        if not node.stands or node.published:
            continue
        found = {name: find(node, hidden, words) for name, find in FINDERS.items()}
        refs, names, internal = (found[name] for name in ("refers-to-withheld", "names-withheld", "names-internal"))
        if marked := found["marked-by-withheld"]:
            node.withhold("refers-to-withheld", marked, chain.from_iterable(ask[uuid] for uuid in marked))
        elif resting := found["rests-on-withheld"]:
            node.withhold("rests-on-withheld", resting, chain.from_iterable(ask[uuid] for uuid in resting))
        elif refs or names or internal:
            hits = names | internal
            tellable = node.ours and node.uuid not in known and not node.playbook
            cut = cut_object(node.subject.object, refs, hits) if tellable else None
            if cut is None or node.subject.values:
                asked = chain.from_iterable(ask[uuid] for uuid in refs)
                named: Rule = "names-withheld" if names else "names-internal"
                node.withhold("refers-to-withheld" if refs else named, refs or hits, asked)
            else:
                cuts[node.id] = cut
    return _spread(nodes, cuts, known)


FINDERS: Final[dict[str, Callable[[_Node, set[str], frozenset[str]], frozenset[str]]]] = {
    "marked-by-withheld": lambda node, hidden, _: node.beside & hidden,
    "rests-on-withheld": lambda node, hidden, _: frozenset(map(_uuid, node.subject.rests_on)) & hidden,
    "refers-to-withheld": lambda node, hidden, _: node.refs & hidden,
    "names-withheld": lambda node, _, words: words & node.hits,
    "names-internal": lambda node, _, __: node.internal,
}
"""What of the withheld is in an object, by the ids hidden and the words that must not be told."""


def _spread(
    nodes: Sequence[_Node], cuts: dict[str, dict[str, object]], known: Collection[str]
) -> dict[str, dict[str, object]]:
    """What refers to something told again is told again too, if it is ours, and withheld if not."""
    retold = {_uuid(id_) for id_ in cuts}
    fresh = set(retold)
    while fresh:
        candidates = [node for node in nodes if node.stands and not node.published and node.id not in cuts]
        reached = [node for node in candidates if node.refs & fresh]
        fresh = set()
        for node in reached:
            if node.ours and node.uuid not in known and not node.subject.object.granular_markings:
                cuts[node.id] = node.subject.object.properties()
                fresh.add(node.uuid)
            else:
                node.withhold("refers-to-withheld", node.refs & retold)
    return cuts


def _keep_unused_definitions(nodes: Sequence[_Node]) -> None:
    """Definitions of markings and extensions leave only with what uses them."""
    used = {
        ref for node in nodes if node.stands and node.decision.rule != "definition" for ref in node.refs | node.beside
    }
    for node in nodes:
        if node.stands and node.decision.rule == "definition" and node.uuid not in used:
            node.withhold("not-used")


class _Search:
    """Keeps which words of withheld objects occur in which standing ones; looks for each word once."""

    def __init__(self, nodes: Sequence[_Node], known: Collection[str]) -> None:
        self.nodes = nodes
        self.telling = [node for node in nodes if node.uuid not in known and node.guarded]
        self.searched: set[str] = set()
        self.public: set[str] = set()

    def update(self) -> frozenset[str]:
        """Return the words that must not be told now, and note in each standing node which of them it has."""
        words = {word for node in self.telling if not node.stands and node.guarded for word in node.words}
        new = words - self.searched
        self.searched |= new
        corpus = [node.text for node in self.nodes if node.corpus]
        for found in find_words(corpus, new).values():
            self.public |= found
        others = [node for node in self.nodes if node.stands and not node.corpus]
        for row, found in find_words([node.text for node in others], new).items():
            others[row].hits |= found
        free = {word for node in self.nodes if node.stands and not node.subject.derived for word in node.words}
        return frozenset(words - self.public - free)


def _emit(
    nodes: Sequence[_Node], cuts: dict[str, dict[str, object]], terms: Terms, secret: bytes
) -> tuple[StixObject, ...]:
    ids = name_again(cuts, terms.recipient.identity, secret)
    leaving: list[StixObject] = []
    for node in nodes:
        if not node.stands or node.published:
            continue
        item = node.subject.object
        if node.id in cuts:
            item = replace_ids(cuts[node.id], ids)
            node.decision = msgspec.structs.replace(
                node.decision, form="told-again", parameters={**node.decision.parameters, "as": item.id}
            )
        if node.ours and node.decision.label and item.type not in _UNLABELLED and not item.granular_markings:
            labelled = add_label(item, marking_id(f"tlp:{node.decision.label}"))
            if labelled is not item and node.decision.form == "as-is":
                node.decision = msgspec.structs.replace(node.decision, form="labelled")
            item = labelled
        leaving.append(item)
    return tuple(sorted(leaving, key=lambda item: (item.type, item.id)))


def _check(objects: Sequence[StixObject], nodes: Sequence[_Node], hidden: set[str], words: frozenset[str]) -> None:
    """Look at the very bytes that would leave; a fault here is ours, and stops everything."""
    public = {node.id for node in nodes if node.corpus}
    for item in objects:
        properties = item.properties()
        strings = [*strings_of(properties), *_playbook_text(properties)]
        own = item.id in public
        if uuids_of(strings) & hidden or (not own and find_words(["\n".join(map(fold, strings))], words)):
            raise IntegrityError(f"The gate would let something withheld leave with {item.id}. Nothing leaves.")


def _playbook_text(properties: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the text of a playbook in an object, which stands there as base64: it is looked through like the rest."""
    data = playbook_bytes(properties) if properties.get("type") == "course-of-action" else None
    return () if data is None else tuple(strings_of_json(data))


def _uuid(id_: str) -> str:
    return id_.rpartition("--")[2].lower()
