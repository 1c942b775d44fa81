"""How evidence accuses: "irrefutable evidence that S …", "the hallmarks of S", "S's involvement", "state aggression".

As in `frames_blame`: one function a frame, generators of drafts, nothing where it is denied, doubted or asked for.
"""

# Guard clauses, one a way in which a wording can be something else: hence the many returns.
# ruff: noqa: PLR0912

from __future__ import annotations

from collections.abc import Iterator

from aleat.case.claims.clauses import clause_subject
from aleat.case.claims.frames_blame import antecedent, doubted, party_in
from aleat.case.claims.lexicon import phrases, words
from aleat.case.claims.phrases import Phrase
from aleat.case.claims.references import Actor
from aleat.case.claims.scene import Draft, Scene

__all__ = ["aggression", "evidence", "hallmarks", "involvement", "same"]


def involvement(scene: Scene, index: int) -> Iterator[Draft]:
    """ "A suggested Russian involvement", "A cited evidence of S's role"."""
    phrase = scene.parse.inside.get(index)
    if phrase is None or phrase.kind != "thing" or phrase.head != scene.low(index):
        return
    party = scene.memory.party_of(scene.parse, phrase)
    voice = scene.voice_at(index)
    if not party or doubted(scene, index, phrase.first):
        return
    verbs = words("sets", "verbs")
    verb = scene.find(verbs, phrase.first - 6, phrase.first)
    if verb is None or not scene.context(verb).done:
        return
    actors = [voice] if voice is not None else scene.actors(verb, scene.context(verb))
    written = scene.memory.slice(scene.parse, phrase.first, phrase.last)
    for actor in actors:
        if actor.key != party.lower():
            yield from scene.drafts("accuses", index, [actor], target=Actor(party, written, party), labels=("hedged",))


def evidence(scene: Scene, index: int) -> Iterator[Draft]:
    """Read "irrefutable evidence that S hired …", "evidence of S's hand"; "there is no evidence of S's …" denies."""
    denied = "no" in scene.lows[max(0, index - 3) : index] or "any" in scene.lows[max(0, index - 2) : index]
    negated = denied or any(low == "not" or low.endswith("n't") for low in scene.lows[max(0, index - 6) : index])
    index += scene.low(index + 1) in ("”", '"')  # "“indisputable evidence” that …"
    link = scene.low(index + 1)
    voice = scene.voice_at(index)
    if link not in ("that", "of", "for") or _asked(scene, index):
        return
    party = ""
    other: Phrase | None = None
    for place in range(index + 2, min(len(scene.lows), index + 8)):
        other = scene.parse.starting.get(place, other)
        if other is not None:
            party = party_in(scene, other)
            if other.kind != "pronoun" or party:
                break
    after = scene.parse.starting.get(other.last + 1) if other is not None and not party else None
    if after is not None and after.preposition in ("of", "by"):  # "the involvement of S's bodies"
        other, party = after, party_in(scene, after)
    if other is None or not (party or _unnamed_state(scene, index)):
        return
    about = scene.object_span(index + 2)
    if negated:
        if voice is not None and party and voice.party == party:
            yield from scene.drafts("denies", index, [voice], about=about)
        return
    if link == "that" and (other.kind != "actor" or not _deed_follows(scene, other)):
        return
    if link != "that" and not words("nouns", "hands") & set(scene.lows[index + 2 : index + 12]):
        return
    actors = [voice] if voice is not None else _finders(scene, index)
    target = Actor(party, scene.memory.slice(scene.parse, other.first, other.last), party) if party else None
    if target is not None and link == "that":
        target = scene.memory.resolve(scene.parse, other)
    labels = () if party else ("unnamed-state",)
    for actor in actors:
        if target is None or actor.key != target.key:
            yield from scene.drafts("accuses", index, [actor], target=target, about=about, labels=labels)


def _deed_follows(scene: Scene, phrase: Phrase) -> bool:
    """Say whether a deed follows: "S was behind", "S “hired four gangs”"."""
    found = scene.lows[phrase.last : phrase.last + 5]
    negated = any(low in words("words", "negative") or low.endswith("n't") for low in found)
    deeds = words("phrases", "carry") | words("phrases", "behind") | words("phrases", "by") | words("nouns", "hiring")
    return not negated and bool(deeds & set(found))


def _asked(scene: Scene, index: int) -> bool:
    """Say whether evidence is only sought: "asked for evidence that", "is looking for evidence"."""
    before = scene.lows[max(0, index - 8) : index]
    return bool({"asked", "demanded", "without", "seek", "seeking", "for", "if", "whether", "provide"} & set(before))


def _unnamed_state(scene: Scene, index: int) -> bool:
    ahead = scene.lows[index + 2 : index + 6]
    return bool({"state", "state-sponsored", "state-backed", "foreign"} & set(ahead)) and bool(
        words("nouns", "hands") & set(ahead)
    )


def _finders(scene: Scene, index: int) -> list[Actor]:
    """Return who has the evidence: the subject of its verb ("the ministry cited evidence of …")."""
    subjects = [p for p in clause_subject(scene.parse, index) if p.kind != "thing"]
    return [actor for p in subjects if (actor := scene.actor_of(p, index)) is not None]


def hallmarks(scene: Scene, index: int) -> Iterator[Draft]:
    """ "The attack bore the hallmarks of S, A said", "it had S's fingerprints"."""
    voice = scene.voice_at(index)
    if voice is None or doubted(scene, index, index - 3):
        return
    phrase = scene.parse.starting.get(index + 2) if scene.low(index + 1) == "of" else scene.parse.inside.get(index)
    verb = scene.find(
        frozenset(("bore", "bears", "bear", "has", "had", "have", "having", "bearing", "carried")), index - 5, index
    )
    party = party_in(scene, phrase) if phrase is not None else ""
    if phrase is None or verb is None or not party or not scene.context(verb).done or voice.key == party.lower():
        return
    target = Actor(party, scene.memory.slice(scene.parse, phrase.first, phrase.last), party)
    yield from scene.drafts("accuses", index, [voice], target=target, about=antecedent(scene, verb), labels=("hedged",))


def aggression(scene: Scene, index: int) -> Iterator[Draft]:
    """ "A said that the attack was (a) state aggression", "it was not the work of a group but state aggression"."""
    row = next(
        (r for r in phrases("phrases", "state_aggression") if tuple(scene.lows[index : index + len(r)]) == r), None
    )
    voice = scene.voice_at(index)
    if row is None or voice is None:
        return
    place = index - 1
    while place > index - 5 and (
        scene.low(place) in ("a", "an", "clear", "pure", "“", '"') or scene.low(place).endswith("ly")
    ):
        place -= 1
    if scene.low(place) not in ("was", "is", "were", "but") or "not" in scene.lows[place + 1 : index]:
        return
    about = scene.span(index, index + len(row))
    yield from scene.drafts("accuses", index, [voice], about=about, labels=("unnamed-state",))


def same(scene: Scene, index: int) -> Iterator[Draft]:
    """Read "(A said that) results showed the same hand", "the aggressors are the same"."""
    voice = scene.voice_at(index)
    if voice is None or doubted(scene, index, index - 3):
        return
    doers = words("sets", "doers")
    before = scene.lows[max(0, index - 5) : index]
    if scene.low(index + 1) in doers:
        if not words("sets", "showing") & set(before):
            return
        first, last = index - (scene.low(index - 1) == "the"), index + 2
    elif scene.low(index - 1) in words("words", "be") and doers & set(before):
        place = max(p for p in range(index - 5, index) if scene.low(p) in doers)
        first, last = place, index + 1
    else:
        return
    if any(low in words("words", "negative") or low.endswith("n't") for low in before):
        return
    written = scene.memory.slice(scene.parse, first, last)
    yield from scene.drafts("accuses", index, [voice], target=Actor(written, written), labels=("same-as-before",))
