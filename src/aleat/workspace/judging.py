"""What each ally's shelf is to hold, by the gate, kept in mind: what comes is judged beside what was judged before.

All that is known is read once, and then only what came; what an ally may have is judged once, and then only where
something came that it has to do with (`aleat.release.Closure`). Where terms changed (the stamp), everything is judged
anew; where public corpora's policy or the allies' names did, everything is read anew too. The result is the same.

What is kept in mind is some kilobytes for each object and a few hundred bytes for each object and ally; of knowledge
whose texts are larger than `Bench`'s `most_text`, nothing is, and all is judged each time.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

from aleat.exchange import Knowledge, collect_knowledge
from aleat.exchange.collect import read_definitions
from aleat.exchange.desk import Desk, agreed
from aleat.exchange.list_rows import tell_rows
from aleat.release import Closure, Decision, ListRow, Subject, Terms, decide, strictest_label
from aleat.release.facts import Definitions
from aleat.release.nodes import Node
from aleat.release.words import Said, said_by
from aleat.stix.extensions import extension_definition, extension_id, extension_names, read_extension
from aleat.stix.objects import StixObject
from aleat.store.changes import KnowledgeMark, ids_of_digests, ids_since, ids_under
from aleat.store.database import Connection
from aleat.store.entry_lists import list_digests
from aleat.store.shelves import ShelfChange
from aleat.store.withdrawn import CopyKey, withdrawn_copies
from aleat.trust.markings import effective_markings, marking_definition, published_marking_ids

__all__ = ["Bench", "no_collecting"]

_MOST_TEXT = 512 * 1024**2
_NEED_NO_LABEL = frozenset({"back-to-giver", "public-corpus", "definition", "permission"})


class _Known:
    """All subjects by id, as of a mark, and what each says."""

    def __init__(self, key: object, withdrawn: Mapping[CopyKey, object], mark: KnowledgeMark, all_: Knowledge) -> None:
        self.key, self.mark = key, mark
        self.withdrawn = frozenset(withdrawn)
        self.definitions = all_.definitions
        self.subjects: dict[str, Subject] = {}
        self.former: dict[str, list[Subject]] = {}
        """Versions and variants that count no more, by id."""
        self.rows: dict[str, int] = {}
        self.lists: dict[str, tuple[ListRow, ...]] = {}
        self.said: dict[str, Said] = {}
        self.text = 0
        self.take(all_)

    def take(self, found: Knowledge) -> None:
        """Take subjects in, in place of those that are here."""
        for item in found.subjects:
            id_ = item.object.id
            if item.former:
                continue
            self.former.pop(id_, None)
            if (before := self.said.pop(id_, None)) is not None:
                self.text -= len(before.text)
            self.rows.pop(id_, None)
            self.lists.pop(id_, None)
            self.subjects[id_] = item
        for item in found.subjects:
            if item.former:
                self.former.setdefault(item.object.id, []).append(item)
        self.rows.update(found.rows)
        self.lists.update(found.lists)

    def of(self, ids: Iterable[str] | None = None) -> list[Subject]:
        """Return the subjects of these ids (default: all), with those that count no more."""
        some = self.subjects.keys() if ids is None else [id_ for id_ in ids if id_ in self.subjects]
        return [one for id_ in some for one in (self.subjects[id_], *self.former.get(id_, ()))]

    def says(self, subject: Subject) -> Said | None:
        """Return what a subject says."""
        id_ = subject.object.id
        if subject.former:
            return None
        if (found := self.said.get(id_)) is None:
            found = self.said[id_] = said_by(subject.object, subject.values, subject.notes)
            self.text += len(found.text)
        return found


class _Judged:
    """One ally's: on which terms it was judged, and what its shelf holds."""

    def __init__(
        self, stamp: str, terms: Terms, desk: Desk, untold: frozenset[str], beside: Iterable[StixObject], rows: bytes
    ) -> None:
        self.stamp, self.untold, self._terms, self._rows_secret = stamp, untold, terms, rows
        self.mark: KnowledgeMark = (0, 0)
        self._beside = {item.id: item for item in beside if item.digest not in untold}
        self._shown: set[str] = set()
        self.closure = Closure(terms, secret=desk.secret)
        self.pending: set[str] = set()
        self.items: dict[str, StixObject] = {}
        """What is on the shelf, by the id of the object that it tells of."""
        self._notes: dict[str, list[StixObject]] = {}
        """The values of lists that are on the shelf, by the list's id."""
        self._used: dict[str, frozenset[str]] = {}
        self._uses: Counter[str] = Counter()
        self._definable = frozenset(_published())

    def judge(self, judged: Iterable[tuple[Subject, Decision]], known: _Known) -> tuple[list[StixObject], set[str]]:
        """Judge these objects, and whatever has to do with them; return what comes on the shelf and what goes."""
        self.closure.change(judged, said=known.says)
        coming: list[StixObject] = []
        going: set[str] = set()
        for id_, node in self.closure.changed.items():
            before, after = self.items.get(id_), None if node is None else self._travels(node)
            if after is None:
                self.items.pop(id_, None)
            else:
                self.items[id_] = after
                coming.append(after)
            if before is not None and (after is None or before.id != after.id):
                going.add(before.id)
            notes = self._tell_values(id_, node, after, known)
            coming += notes
            going |= {note.id for note in self._notes.pop(id_, ())} - {note.id for note in notes}
            if notes:
                self._notes[id_] = notes
            self._use(id_, node if after is not None else None, notes)
        self._define(coming, going)
        self._show_beside(coming, going)
        return coming, going

    def told(self) -> list[tuple[str, str]]:
        """Return what the last judging told again: ids, and those as told."""
        nodes = (node for node in self.closure.changed.values() if node is not None and node.out is not None)
        return [(node.id, node.out.id) for node in nodes if node.out and node.decision.form == "told-again"]

    def _travels(self, node: Node) -> StixObject | None:
        """Return how an object goes without a manifest, if it can: it must carry its label itself.

        What another gave under a label that stands beside it (its container's) would arrive without one; it isn't
        changed, as it isn't ours, so that it stays for a sealed file, whose manifest says the label.
        """
        item, decision = node.out, node.decision
        if item is None or item.digest in self.untold:
            return None
        if decision.form != "as-is" or decision.rule in _NEED_NO_LABEL:
            return item
        return item if _own_label(item.object_marking_refs, item.granular_markings, item) == decision.label else None

    def _tell_values(self, id_: str, node: Node | None, item: StixObject | None, known: _Known) -> list[StixObject]:
        """Return the notes with the values of an indicator list that is on the shelf."""
        if node is None or item is None or not known.lists.get(id_):
            return []
        notes = tell_rows(
            item,
            known.lists[id_],
            label=node.decision.label,
            recipient=self._terms.recipient.identity,
            maker=self._terms.own,
            secret=self._rows_secret,
        )
        return [note for note in notes if note.digest not in self.untold]

    def _use(self, id_: str, node: Node | None, notes: Iterable[StixObject]) -> None:
        """Note which published definitions an object uses."""
        used: frozenset[str] = frozenset()
        if node is not None and node.out is not None:
            said = node.said if node.out is node.subject.object else said_by(node.out)
            beside = node.beside.union(*(said_by(note).uuids for note in notes))
            used = (said.uuids | beside if beside else said.uuids) & self._definable
        before = self._used.pop(id_, frozenset())
        if used:
            self._used[id_] = used
        if used != before:
            self._uses.update(used)
            self._uses.subtract(before)

    def _show_beside(self, coming: list[StixObject], going: set[str]) -> None:
        """Let what stands beside be on the shelf, but for what the gate lets leave under the same id."""
        if not self._beside:
            return
        there = {item.id for item in self.items.values()}
        for id_, item in self._beside.items():
            if id_ in there:
                self._shown.discard(id_)
            elif id_ not in self._shown or id_ in going:
                self._shown.add(id_)
                coming.append(item)

    def everything(self) -> list[StixObject]:
        """Return all that is to be on the shelf."""
        notes = [note for part in self._notes.values() for note in part]
        return [*self.items.values(), *notes, *(self._beside[id_] for id_ in self._shown)]

    def _define(self, coming: list[StixObject], going: set[str]) -> None:
        """Let the definitions that are used be on the shelf, and no others."""
        for uuid, definition in _published().items():
            id_ = definition[0]
            if self._uses[uuid] > 0 and id_ not in self.items:
                self.items[id_] = _definition(id_)
                coming.append(self.items[id_])
            elif self._uses[uuid] <= 0 and self.items.pop(id_, None) is not None:
                going.add(id_)


class Bench:
    """Judges for all allies of one workspace; one thread at a time. `rows_secret` keys the ids of lists' values."""

    def __init__(self, rows_secret: bytes, most_text: int = _MOST_TEXT) -> None:
        self._rows_secret, self._most_text = rows_secret, most_text
        self._known: _Known | None = None
        self._allies: dict[str, _Judged] = {}

    def judge(
        self,
        desk: Desk,
        terms: Terms,
        stamp: str,
        mark: KnowledgeMark,
        *,
        untold: Collection[str] = (),
        beside: Iterable[StixObject] = (),
    ) -> ShelfChange:
        """Return how the recipient's shelf is to change to hold what the gate lets leave now.

        `stamp` stands for all that the gate judges by beside what is known, `mark` for that; `untold` are digests of
        what the recipient doesn't want; what is `beside` is on the shelf whatever the gate says, as long as the stamp
        is the same. Raises `NotPermittedError` where there is no agreement in force.
        """
        try:
            return self._judge(desk, terms, stamp, mark, frozenset(untold), beside)
        except BaseException:
            self._known = None
            self._allies.clear()
            raise

    def _judge(
        self,
        desk: Desk,
        terms: Terms,
        stamp: str,
        mark: KnowledgeMark,
        untold: frozenset[str],
        beside: Iterable[StixObject],
    ) -> ShelfChange:
        ally = terms.recipient.identity
        agreed(terms)
        known = self._learn(desk, terms.ally_names, mark)
        state = self._allies.get(ally)
        since = None
        if state is None or state.stamp != stamp or state.untold != untold:
            state = self._allies[ally] = _Judged(stamp, terms, desk, untold, beside, self._rows_secret)
            subjects = known.of()
        else:
            since = (stamp, state.mark)
            subjects = known.of(sorted(state.pending))
        state.pending = set()
        state.mark = mark
        coming, going = state.judge(zip(subjects, decide(subjects, terms), strict=True), known)
        change = self._change(state, known, coming, frozenset(going), since)
        if known.text > self._most_text:
            self._known = None
            self._allies.clear()
        return change

    def keeps(self, ally: str) -> bool:
        """Tell whether an ally's shelf is in mind, so that only what comes will be judged."""
        return ally in self._allies

    def everything(self, ally: str) -> ShelfChange | None:
        """Return all that the shelf of `ally` was to hold when it was last judged, if that is in mind."""
        state, known = self._allies.get(ally), self._known
        return None if state is None or known is None else self._change(state, known, state.everything())

    def _change(
        self,
        state: _Judged,
        known: _Known,
        coming: list[StixObject],
        going: frozenset[str] = frozenset(),
        since: tuple[str, KnowledgeMark] | None = None,
    ) -> ShelfChange:
        rows = {item.id: row for item in coming if (row := known.rows.get(item.id)) and _is_stored(item, known)}
        coming.sort(key=lambda item: (rows.get(item.id, 0), item.type, item.id))  # as it is stored: quick to read
        return ShelfChange(coming, going, rows, since, tuple(state.told()))

    def _learn(self, desk: Desk, names: Mapping[str, str], mark: KnowledgeMark) -> _Known:
        """Have in mind what is known at `mark`."""
        connection = desk.connection
        key = (desk.policy, sorted(names.items()))
        withdrawn = withdrawn_copies(connection)
        known = self._known
        if known is not None and known.key == key:
            ids = ids_since(connection, known.mark) if known.mark != mark else set()
            ids |= ids_of_digests(connection, {digest for _, _, digest in known.withdrawn ^ frozenset(withdrawn)})
            ids |= _completed(connection, known)
            definitions = known.definitions
            if any(id_.startswith("marking-definition--") for id_ in ids):
                definitions = read_definitions(connection)
                ids |= ids_under(connection, _differing(known.definitions, definitions))
            found = collect_knowledge(connection, desk.root, desk.policy, {**names}, ids=ids, definitions=definitions)
            known.take(found)
            known.mark, known.withdrawn, known.definitions = mark, frozenset(withdrawn), definitions
            for state in self._allies.values():
                state.pending |= ids
            return known
        self._allies.clear()
        found = collect_knowledge(connection, desk.root, desk.policy, {**names})
        known = self._known = _Known(key, withdrawn, mark, found)
        return known


@contextmanager
def no_collecting() -> Iterator[None]:
    """Let no garbage be looked for: what is made here is kept, and looking through it takes a quarter more."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _completed(connection: Connection, known: _Known) -> set[str]:
    """Return the ids of lists whose values weren't here when they were read, and are now."""
    empty = [id_ for id_, rows in known.lists.items() if not rows]
    there = frozenset(list_digests(connection)) if empty else frozenset()
    named = {id_: read_extension(known.subjects[id_].object, "list") or {} for id_ in empty}
    return {id_ for id_, content in named.items() if content.get("entries_sha256") in there}


def _differing(before: Definitions, after: Definitions) -> set[str]:
    """Return the ids of definitions that don't mean what they did, to whom they did."""
    told = [{(id_, item.digest, one.givers[id_]) for id_, item in one.items()} for one in (before, after)]
    return {id_ for id_, _, _ in told[0] ^ told[1]}


def _is_stored(item: StixObject, known: _Known) -> bool:
    """Tell whether an object leaves as it is stored."""
    subject = known.subjects.get(item.id)
    return subject is not None and subject.object is item and item.upgraded is None


@cache
def _published() -> dict[str, tuple[str, str]]:
    """Return the published definitions' ids, and our extensions' with their names, by UUID."""
    found = {id_.rpartition("--")[2]: (id_, "") for id_ in published_marking_ids()}
    return found | {extension_id(name).rpartition("--")[2]: (extension_id(name), name) for name in extension_names()}


@cache
def _definition(id_: str) -> StixObject:
    name = _published()[id_.rpartition("--")[2]][1]
    return extension_definition(name) if name else marking_definition(id_)


_LABELS: dict[Any, str | None] = {}


def _own_label(refs: tuple[str, ...], parts: tuple[Any, ...], item: StixObject) -> str | None:
    """Return the strictest TLP label that an object bears itself; what bears the same markings bears the same."""
    if parts:
        return strictest_label(effective_markings(item, lambda _: None))
    if refs not in _LABELS:
        if len(_LABELS) > 10_000:
            _LABELS.clear()
        _LABELS[refs] = strictest_label(effective_markings(item, lambda _: None))
    return _LABELS[refs]
