"""Reads a document's sentences one after the other and applies the frames to every verb that the lexicon knows."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from aleat.case.claims import frames_blame, frames_signs, frames_stance
from aleat.case.claims.lexicon import frames_of, words
from aleat.case.claims.phrases import Parse, learn_names, parse
from aleat.case.claims.references import Actor, Memory
from aleat.case.claims.scene import Draft, Scene
from aleat.case.claims.speech import quote_at, voices_of
from aleat.case.claims.text import Paragraph, Sentence

__all__ = ["Reading", "read_sentences"]

Frame = Callable[[Scene, int], Iterator[Draft]]

# Frame of the lexicon, or single word, to the function that reads it; every entry that fits a token is tried.
_BY_FRAME: dict[str, Frame] = {
    "accuse": frames_blame.accuse,
    "blame": frames_blame.blame,
    "fault": frames_blame.implicate,
    "attribute": frames_blame.attribute,
    "hold": frames_blame.hold,
    "point": frames_blame.point,
    "identify": frames_blame.identify,
    "deny": frames_blame.deny,
    "reject": frames_blame.reject,
    "call": frames_blame.call,
    "condemn": frames_stance.condemn,
    "offer": frames_stance.offer,
    "pledge": frames_stance.pledge,
    "sever": frames_stance.sever,
    "expel": frames_stance.expel,
    "order": frames_stance.order,
    "declare": frames_stance.declare,
    "claim": frames_stance.claim,
    "support": frames_stance.support,
    "stand": frames_stance.stand,
    "express": frames_stance.express,
}
_BY_WORD: dict[str, tuple[Frame, ...]] = {
    "behind": (frames_blame.behind,),
    "responsible": (frames_blame.behind,),
    "accountable": (frames_blame.behind,),
    "culpable": (frames_blame.behind,),
    "blame": (frames_blame.behind,),
    "involvement": (frames_signs.involvement, frames_blame.not_involved),
    "responsibility": (frames_signs.involvement, frames_blame.not_involved),
    "role": (frames_signs.involvement, frames_blame.not_involved),
    "part": (frames_blame.not_involved,),
    "hand": (frames_blame.not_involved,),
    "connection": (frames_blame.not_involved,),
    "links": (frames_blame.not_involved,),
    "nothing": (frames_blame.not_involved,),
    "involved": (frames_blame.not_involved,),
    "condemnation": (frames_stance.condemnation,),
    "condemnations": (frames_stance.condemnation,),
    "severance": (frames_stance.severance,),
    "rupture": (frames_stance.severance,),
    "ready": (frames_stance.ready,),
    "will": (frames_stance.ready,),
    "offer": (frames_stance.offer_noun,),
    "same": (frames_signs.same,),
    "would": (frames_stance.ready,),
    "evidence": (frames_signs.evidence,),
    "proof": (frames_signs.evidence,),
    "hallmarks": (frames_signs.hallmarks,),
    "fingerprints": (frames_signs.hallmarks,),
    "signature": (frames_signs.hallmarks,),
}


@dataclass(slots=True)
class Reading:
    """What was read: drafts with the sentence each stands in, and the parses for later stages."""

    drafts: list[tuple[Draft, Parse]] = field(default_factory=list)
    parses: list[Parse] = field(default_factory=list)
    memory: Memory | None = None


def _frames_at(low: str) -> Iterator[Frame]:
    frame = frames_of().get(low)
    if frame in _BY_FRAME:
        yield _BY_FRAME[frame]
    yield from _BY_WORD.get(low, ())
    if low in words("phrases", "carry") or low in words("phrases", "by") or low in words("sets", "origin"):
        yield frames_blame.carry
    if low in words("nouns", "event"):
        yield frames_blame.attack_by
    if low.startswith(("state", "act", "hybrid")):
        yield frames_signs.aggression
    if low in words("phrases", "blame_words"):
        yield frames_stance.harsh
    if low in words("phrases", "denial"):
        yield frames_blame.groundless


def read_sentences(
    text: str, found: Sequence[Sentence], limit: int, visit: Callable[[Parse, Memory], None] | None = None
) -> Reading:
    """Read all sentences; stops after `limit` drafts (the caller reports it).

    `visit` is called for every sentence while the memory stands where the text does.
    """
    names = learn_names(found)
    reading = Reading(parses=[parse(sentence, names) for sentence in found])
    memory = Memory(text)
    memory.survey(reading.parses)
    reading.memory = memory
    groups = _by_paragraph(reading.parses)
    for group in groups:
        ends = [item.sentence.end for item in group]
        for item in group:
            if len(reading.drafts) >= limit:
                return reading
            reading.drafts.extend((draft, item) for draft in _read_one(item, group, ends, memory))
            if visit is not None:
                visit(item, memory)
            memory.note(item)
    return reading


def _by_paragraph(parses: list[Parse]) -> list[list[Parse]]:
    groups: list[list[Parse]] = []
    last: Paragraph | None = None
    for item in parses:
        if item.sentence.paragraph is not last:
            groups.append([])
            last = item.sentence.paragraph
        groups[-1].append(item)
    return groups


def _quote_voices(item: Parse, group: list[Parse], ends: list[int], memory: Memory) -> dict[int, Actor]:
    """Settle who speaks the direct speech that crosses this sentence's ends, from the paragraph around it."""
    found: dict[int, Actor] = {}
    paragraph = item.sentence.paragraph
    for span in item.sentence.quotes:
        if span.end <= item.sentence.start or span.start >= item.sentence.end:
            continue
        place = bisect_left(ends, span.end)
        closing = group[place] if place < len(group) else None
        if closing is not None and closing is not item:
            for voice in voices_of(closing, memory):
                if voice.kind == "after" and closing.tokens[voice.verb].start >= span.end:
                    found[span.start] = voice.actor
                    break
        opening = bisect_left(ends, span.start + 1)
        if span.start not in found and opening < len(group) and group[opening] is not item:
            voices = [v for v in voices_of(group[opening], memory) if v.kind == "before"]
            before = [v for v in voices if group[opening].tokens[v.verb].start < span.start]
            if before:
                found[span.start] = before[-1].actor
        if span.start in found or memory.last_speaker is None:
            continue
        if span.continued or memory.speaker_paragraph == paragraph.start:
            found[span.start] = memory.last_speaker
    return found


def _read_one(item: Parse, group: list[Parse], ends: list[int], memory: Memory) -> Iterator[Draft]:
    paragraph = item.sentence.paragraph
    voices = voices_of(item, memory)
    scene = Scene(item, memory, voices)
    if item.sentence.quotes:
        scene.quote_voices = _quote_voices(item, group, ends, memory)
    if item.tokens[-1].text != "?" and "?" not in (token.text for token in item.tokens[-2:]):
        yield from _once(_labelled(scene, _all_drafts(scene)))
    speaking = [v for v in voices if v.kind in ("before", "after") and v.actor.name]
    if speaking and paragraph.kind == "body":
        memory.last_speaker = speaking[-1].actor
        memory.speaker_paragraph = paragraph.start
        memory.speaker_at = item.sentence.number


def _all_drafts(scene: Scene) -> Iterator[Draft]:
    for index, low in enumerate(scene.lows):
        for frame in _frames_at(low):
            yield from frame(scene, index)
    yield from frames_stance.report(scene)


def _the_country(scene: Scene, draft: Draft) -> None:
    """Settle "the country" as the one state of the sentence that is not the other side of the act."""
    for this, other in (("actor", draft.target), ("target", draft.actor)):
        actor: Actor | None = getattr(draft, this)
        if actor is None or actor.party or other is None or not other.party:
            continue
        last = actor.name.lower().removesuffix("’s").removesuffix("'s").rpartition(" ")[2]
        if last not in ("country", "nation", "state", "neighbour", "neighbor", "rival"):
            continue
        memory = scene.memory
        named = {
            memory.party_of(scene.parse, p) for p in scene.parse.phrases if p.first <= draft.trigger or this == "target"
        }
        named -= {"", other.party}
        if len(named) == 1:
            party = named.pop()
            setattr(draft, this, Actor(party, actor.written, party))


def _other_side(scene: Scene, draft: Draft) -> None:
    """Settle "it" in "A cut ties with S after accusing it of …": not A, so the side named last before it."""
    if draft.act != "accuses" or draft.target is None or draft.target.key != draft.actor.key:
        return
    place = draft.trigger
    for phrase in reversed(scene.parse.phrases):
        party = scene.memory.party_of(scene.parse, phrase) if phrase.last <= place and phrase.kind == "actor" else ""
        if party and party.lower() != draft.actor.key:
            draft.target = Actor(party, draft.target.written, party)
            return


def _labelled(scene: Scene, drafts: Iterator[Draft]) -> Iterator[Draft]:
    headline = scene.parse.sentence.paragraph.kind == "headline"
    for draft in drafts:
        labels = list(draft.labels)
        if headline:
            labels.append("headline")
        if quote_at(scene.parse, draft.trigger) is not None:
            labels.append("quoted")
        _the_country(scene, draft)
        _other_side(scene, draft)
        draft.labels = tuple(dict.fromkeys(labels))
        yield draft


def _once(drafts: Iterator[Draft]) -> Iterator[Draft]:
    """Keep one draft for one act of one side against one in a sentence; reports only where nothing else was said."""
    rows: list[Draft] = []
    for draft in drafts:
        if not draft.actor.name or draft.actor.name.lower() in ("who", "which"):
            continue
        own = draft.target is not None and draft.target.key == draft.actor.key
        if own and draft.act in ("accuses", "denies"):
            draft.target = None
        same = [
            row for row in rows
            if row.act == draft.act and row.actor.key == draft.actor.key
            and not (row.trigger == draft.trigger and row.actor.name != draft.actor.name)  # "the FBI and CISA said"
            and ("expulsion" in row.labels) == ("expulsion" in draft.labels)
            and (row.target is None or draft.target is None or row.target.key == draft.target.key)
        ]  # fmt: skip
        if same:
            if same[0].target is None and draft.target is not None:
                same[0].target = draft.target
            if same[0].about == (0, 0):
                same[0].about = draft.about
            continue
        rows.append(draft)
    named = {row.actor.key for row in rows if row.act == "accuses" and row.target is not None and row.target.party}
    rows = [
        row for row in rows
        if not (row.act == "accuses" and row.target is not None and not row.target.party and row.actor.key in named
                and "same-as-before" not in row.labels)
    ]  # fmt: skip
    others = [row for row in rows if row.act != "reports" or "not-independent" in row.labels]
    strong = {row.actor.name for row in others} | {row.said_by.name for row in others if row.said_by is not None}
    for row in rows:
        weak = row.act == "reports" and "not-independent" not in row.labels and not row.firm
        if weak and (row.actor.name in strong or (row.said_by is not None and row.said_by.name in strong)):
            continue
        yield row
