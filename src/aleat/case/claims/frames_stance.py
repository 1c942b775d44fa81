"""How condemnations, offers, severed relations, claims of responsibility, support and reports are worded.

As in `frames_blame`: one function a frame, generators of drafts, nothing where it isn't really done.
"""

# Guard clauses, one a way in which a wording can be something else: hence the many returns.
# ruff: noqa: PLR0911

from __future__ import annotations

from collections.abc import Iterator

from aleat.case.claims.clauses import clause_subject, end_of_object, is_passive, subject_of
from aleat.case.claims.lexicon import words
from aleat.case.claims.phrases import Phrase
from aleat.case.claims.references import Actor
from aleat.case.claims.scene import Draft, Scene
from aleat.case.claims.speech import Voice

__all__ = [
    "claim",
    "condemn",
    "condemnation",
    "declare",
    "expel",
    "express",
    "harsh",
    "offer",
    "offer_noun",
    "order",
    "pledge",
    "ready",
    "report",
    "sever",
    "severance",
    "stand",
    "support",
]


_LEAVE = words("sets", "leave")
_NOT_CONDEMNED = words("sets", "not_condemned")
_AMBIGUOUS = words("sets", "ambiguous")


def _party_actor(scene: Scene, phrase: Phrase) -> Actor | None:
    """Return the side that a phrase names: "Iran's diplomats", "Iranian officials", "Iran ties", "Tehran"."""
    party = scene.memory.party_of(scene.parse, phrase)
    if phrase.kind == "actor" and phrase.head not in words("nouns", "diplomats"):
        return scene.memory.resolve(scene.parse, phrase)
    owner = scene.owner_of(phrase) if phrase.possessor_end is not None else None
    if owner is not None:
        return owner
    return Actor(party, scene.memory.slice(scene.parse, phrase.first, phrase.last), party) if party else None


def _object_target(scene: Scene, first: int, last: int) -> Actor | None:
    """Return whom a condemnation hits: the actor itself, else the deed's owner ("Iran's attack", "attack by Iran")."""
    for phrase in scene.parse.phrases:
        if not first <= phrase.first < last:
            continue
        if phrase.kind == "actor":
            if phrase.preposition in ("", "by", "from", "of"):
                return scene.memory.resolve(scene.parse, phrase)
            return None
        if phrase.kind == "thing":
            before = scene.lows[phrase.first : phrase.possessor_end or phrase.last]
            owned = phrase.possessor_end is not None or (phrase.party and phrase.via == "people") or before
            if owned and (phrase.possessor_end is not None or scene.memory.party_of(scene.parse, phrase)):
                return _party_actor(scene, phrase)
            for place in range(phrase.last, min(last, phrase.last + 12)):
                if scene.lows[place] in ("by", "from") and place + 1 in scene.parse.starting:
                    other = scene.parse.starting[place + 1]
                    return scene.memory.resolve(scene.parse, other) if other.kind == "actor" else None
            return None
    return None


def condemn(scene: Scene, index: int) -> Iterator[Draft]:
    """ "A condemns X", "X was condemned by A and B"."""
    if scene.noun_here(index) or scene.low(index + 1) in _NOT_CONDEMNED:
        return
    context = scene.context(index)
    if not context.done:
        return
    by = is_passive(scene.parse, index)
    if by is not None:
        near = [p for p in scene.parse.phrases if p.last <= index and index - p.last <= 4][-1:]
        if near and near[0].preposition in ("by", "from"):
            events = [p for p in scene.parse.phrases if p.last <= near[0].first and p.head in words("nouns", "event")]
            near = events[-1:]
        if near and words("words", "be") & set(scene.lows[near[0].last : index]):
            near = []
        subject = near or subject_of(scene.parse, index)
        about = scene.span(subject[-1].first, subject[-1].last) if subject else (0, 0)
        target = None
        if subject:
            target = _party_actor(scene, subject[-1])
        yield from scene.drafts("condemns", index, scene.agents(by), target=target, about=about)
        return
    if scene.low(index - 1) in ("was", "were", "been", "be", "being"):
        return
    stop = end_of_object(scene.parse, index + 1)
    if scene.low(index) in _AMBIGUOUS and not any(index < p.first < stop for p in scene.parse.phrases):
        return
    actors = scene.actors(index, context)
    as_ = scene.find(frozenset(("as",)), index + 1, min(stop, index + 9))
    if (
        as_ is not None and scene.find(words("phrases", "denial"), as_, as_ + 6) is not None
    ):  # "denounced it as baseless"
        about = scene.span(index + 1, as_)
        yield from scene.drafts("denies", index, actors, about=about, labels=context.labels)
        return
    target = _object_target(scene, index + 1, stop)
    at_large = (
        scene.low(index + 1) in ("any", "all", "every", "such") and "alleged" not in scene.lows[index : index + 4]
    )
    labels = (*context.labels, "general") if at_large else context.labels
    yield from scene.drafts("condemns", index, actors, target=target, about=scene.span(index + 1, stop), labels=labels)


def harsh(scene: Scene, index: int) -> Iterator[Draft]:
    """ "(A said that) the attack was unacceptable"."""
    voice, place = scene.voice_at(index), index - 1
    while place > index - 6 and (
        scene.low(place).endswith("ly") or scene.low(place) in ("and", ",", "“", '"', "both")
        or scene.low(place) in words("phrases", "blame_words")
    ):  # fmt: skip
        place -= 1
    if voice is None or scene.low(place) not in words("words", "be"):
        return
    before = [p for p in scene.parse.phrases if p.last <= place and p.kind == "thing" and place - p.last <= 16]
    subject = next((p for p in before if p.head in words("nouns", "event") and not p.preposition), None)
    if (
        subject is None
        or subject.determiner in ("any", "such")
        or (subject.first and scene.low(subject.first - 1) == "if")
    ):
        return
    target = _party_actor(scene, subject)
    if target is not None and target.key == voice.key:
        return
    about = scene.span(subject.first, place)
    yield from scene.drafts("condemns", index, [voice], target=target, about=about)


def condemnation(scene: Scene, index: int) -> Iterator[Draft]:
    """ "drew condemnation from A and B", "condemnation by A"."""
    place = next(
        (p for p in range(index + 1, min(index + 4, len(scene.lows))) if scene.lows[p] in ("from", "by")), None
    )
    if place is None:
        return
    yield from scene.drafts("condemns", index, scene.agents(place), labels=("nominal",))


# --- offers ----------------------------------------------------------------------------------------------------


def _helps(scene: Scene, first: int, last: int) -> bool:
    stop = min(last, len(scene.lows))
    if scene.find(words("nouns", "not_help"), first, min(stop, first + 7)) is not None:
        return False
    return scene.find(words("nouns", "help"), first, stop) is not None


def _receiver(scene: Scene, first: int, last: int, speaker: list[Actor]) -> Actor | None:
    """Return to whom help is offered."""
    names = {actor.key for actor in speaker}
    phrase = scene.phrase_after(first)
    if phrase is not None and phrase.kind == "actor" and phrase.head not in words("nouns", "help"):
        return scene.memory.resolve(scene.parse, phrase)
    if phrase is not None and phrase.kind == "thing" and phrase.via == "name" and phrase.possessor_end is None:
        named = scene.memory.slice(scene.parse, phrase.first, phrase.first + 1)
        return Actor(phrase.party, named, phrase.party)
    for place in range(first, min(last, len(scene.lows))):
        if (
            scene.lows[place] in ("to", "help", "assist", "support", "with", "aid", "for", "helping")
            and place + 1 in scene.parse.starting
        ):
            phrase = scene.parse.starting[place + 1]
            if phrase.kind == "actor":
                actor = scene.memory.resolve(scene.parse, phrase)
                if actor.key not in names:
                    return actor
    return None


def offer(scene: Scene, index: int) -> Iterator[Draft]:
    """ "A offered B help", "A offered to share its knowledge with B"."""
    if scene.noun_here(index):
        return
    context = scene.context(index, planned=True)
    stop = end_of_object(scene.parse, index + 1)
    if not context.done or not _helps(scene, index + 1, min(stop, index + 16)):
        return
    if scene.low(index).endswith("ing") and scene.low(index - 1) in ("is", "are", "was", "were"):
        pass
    by = is_passive(scene.parse, index)
    if by is not None:
        yield from scene.drafts("offers", index, scene.agents(by))
        return
    actors = scene.actors(index, context)
    target = _receiver(scene, index + 1, stop, actors)
    yield from scene.drafts(
        "offers", index, actors, target=target, about=scene.span(index + 1, stop), labels=context.labels
    )


def pledge(scene: Scene, index: int) -> Iterator[Draft]:
    """ "A pledged to help B", "vowing to provide support"."""
    if scene.noun_here(index):
        return
    context = scene.context(index)
    stop = end_of_object(scene.parse, index + 1)
    if not context.done or not _helps(scene, index + 1, min(stop, index + 7)):
        return
    actors = scene.actors(index, context)
    target = _receiver(scene, index + 1, stop, actors)
    yield from scene.drafts(
        "offers", index, actors, target=target, about=scene.span(index + 1, stop), labels=("pledged",)
    )


def ready(scene: Scene, index: int) -> Iterator[Draft]:
    """ "A stands ready to help", "A will help B", "A's experts will assist": `index` is "ready" or "will"."""
    low = scene.low(index)
    verbs = words("sets", "verbs_2")
    if low == "ready":
        if scene.low(index + 1) != "to" or scene.find(verbs, index + 2, index + 5) is None:
            return
        verb = index
    else:
        best = scene.find(frozenset(("best", "utmost", "everything")), index + 1, index + 4)
        near = index + 3 if best is None else best + 5
        if scene.find(verbs, index + 1, near) is None or scene.voice_at(index) is None:
            return
        verb = index + 1
    stop = end_of_object(scene.parse, index + 1)
    begin = index + 2 if scene.low(index + 1) == "support" else index + 1
    if not _helps(scene, begin, min(stop, index + 14)):
        return
    context = scene.context(index if low == "ready" else verb, planned=True)
    if not context.done:
        return
    actors = [a for a in (scene.actor_of(p, index) for p in subject_of(scene.parse, index)) if a is not None]
    target = _receiver(scene, index + 1, stop, actors)
    yield from scene.drafts(
        "offers", index, actors, target=target, about=scene.span(index + 1, stop), labels=("pledged",)
    )


def offer_noun(scene: Scene, index: int) -> Iterator[Draft]:
    """ "A's offer to share …", "an offer of help from A"."""
    phrase = scene.parse.inside.get(index)
    if phrase is None or phrase.last != index + 1 or not _helps(scene, index + 1, index + 12):
        return
    owner = scene.owner_of(phrase)
    if owner is None and scene.low(index + 1) in ("of", "to"):
        from_ = scene.find(frozenset(("from", "by")), index + 1, index + 10)
        agents = scene.agents(from_) if from_ is not None else []
        owner = agents[0] if agents else None
    if owner is None or scene.find(frozenset(("no", "any")), phrase.first, index) is not None:
        return
    yield from scene.drafts("offers", index, [owner], about=scene.object_span(index + 1), labels=("nominal",))


# --- relations -------------------------------------------------------------------------------------------------


def _with_whom(scene: Scene, first: int, last: int) -> Actor | None:
    for place in range(first, min(last, len(scene.lows))):
        if scene.lows[place] in ("with", "to") and place + 1 in scene.parse.starting:
            phrase = scene.parse.starting[place + 1]
            if phrase.kind != "thing":
                return scene.memory.resolve(scene.parse, phrase)
    for phrase in scene.parse.phrases:
        if first <= phrase.first < last and phrase.kind == "thing" and phrase.head in words("nouns", "relations"):
            return _party_actor(scene, phrase)
    return None


def sever(scene: Scene, index: int) -> Iterator[Draft]:
    """ "A severed diplomatic relations with S", "A's decision to cut ties", "ties were cut by A"."""
    context = scene.context(index, planned=True)
    if not context.done:
        return
    by = is_passive(scene.parse, index)
    if by is not None:
        subject = subject_of(scene.parse, index)
        if subject and subject[-1].head in words("nouns", "relations"):
            yield from scene.drafts("severs", index, scene.agents(by), target=_with_whom(scene, subject[-1].first, by))
        return
    stop = end_of_object(scene.parse, index + 1)
    noun = scene.find(words("nouns", "relations"), index + 1, min(stop, index + 8))
    if noun is None or "restore" in scene.lows[index:noun]:
        return
    diplomatic = {"diplomatic", "all", "bilateral"} & set(scene.lows[index:noun])
    if scene.low(noun) not in ("relations", "ties", "relationship") and not diplomatic:
        return
    actors = scene.actors(index, context)
    target = _with_whom(scene, index + 1, stop)
    quote = scene.find(frozenset(("“", '"', "over")), noun, stop)
    about = scene.span(index + 1 + (scene.low(index + 1) in ("off", "down", "out")), quote or stop)
    yield from scene.drafts("severs", index, actors, target=target, about=about, labels=context.labels)


def severance(scene: Scene, index: int) -> Iterator[Draft]:
    """ "A announced the severance of diplomatic relations with S"."""
    noun = scene.find(words("nouns", "relations"), index + 1, index + 7)
    if noun is None:
        return
    subjects = [p for p in clause_subject(scene.parse, index) if p.kind != "thing"]
    actors = [a for a in (scene.actor_of(p, index) for p in subjects) if a is not None]
    target = _with_whom(scene, noun, min(len(scene.lows), noun + 5))
    yield from scene.drafts(
        "severs", index, actors, target=target, about=scene.object_span(index + 2), labels=("nominal",)
    )


def expel(scene: Scene, index: int) -> Iterator[Draft]:
    """ "A expelled S's diplomats"."""
    context = scene.context(index, planned=True)
    if not context.done or scene.noun_here(index):
        return
    by = is_passive(scene.parse, index)
    stop = end_of_object(scene.parse, index + 1)
    noun = scene.find(words("nouns", "diplomats"), index + 1, min(stop, index + 9))
    if by is not None:
        subject = subject_of(scene.parse, index)
        if subject and subject[-1].head in words("nouns", "diplomats"):
            yield from scene.drafts(
                "severs", index, scene.agents(by), target=_party_actor(scene, subject[-1]), labels=("expulsion",)
            )
        return
    if noun is None or scene.low(index - 1) in ("was", "were", "been", "be"):
        return
    phrase = scene.parse.inside.get(noun)
    target = _party_actor(scene, phrase) if phrase is not None else None
    about = scene.span(index + 1, stop)
    labels = ("expulsion", *context.labels)
    yield from scene.drafts("severs", index, scene.actors(index, context), target=target, about=about, labels=labels)


def order(scene: Scene, index: int) -> Iterator[Draft]:
    """ "A ordered S's embassy staff to leave", "gave diplomats 24 hours to leave"."""
    if scene.noun_here(index):
        return
    noun = scene.find(words("nouns", "diplomats"), index + 1, index + 9)
    if noun is None or scene.find(_LEAVE, noun, noun + 14) is None:
        return
    context = scene.context(index, planned=True)
    if not context.done or scene.low(index - 1) in ("was", "were", "been", "be"):
        return
    phrase = scene.parse.inside.get(noun)
    target = _party_actor(scene, phrase) if phrase is not None else None
    labels = ("expulsion", *context.labels)
    about = scene.object_span(index + 1)
    yield from scene.drafts("severs", index, scene.actors(index, context), target=target, about=about, labels=labels)


def declare(scene: Scene, index: int) -> Iterator[Draft]:
    """ "A declared two diplomats personae non gratae"."""
    noun = scene.find(words("nouns", "diplomats"), index + 1, index + 9)
    if noun is None or scene.find(frozenset(("persona", "personae")), noun, noun + 6) is None:
        return
    context = scene.context(index, planned=True)
    phrase = scene.parse.inside.get(noun)
    if not context.done or scene.noun_here(index):
        return
    target = _party_actor(scene, phrase) if phrase is not None else None
    yield from scene.drafts(
        "severs",
        index,
        scene.actors(index, context),
        target=target,
        about=scene.object_span(index + 1),
        labels=("expulsion",),
    )


# --- responsibility, support, reports --------------------------------------------------------------------------


def claim(scene: Scene, index: int) -> Iterator[Draft]:
    """ "G claimed responsibility for X", "responsibility was claimed by G", "G said it had stolen"."""
    word = scene.find(frozenset(("responsibility", "credit")), index + 1, index + 4)
    context = scene.context(index)
    if not context.done:
        return
    by = is_passive(scene.parse, index)
    if by is not None:
        subject = subject_of(scene.parse, index)
        if subject and subject[-1].head in ("responsibility", "credit"):
            after = subject[-1].last
            about = scene.object_span(after + 1) if scene.low(after) == "for" else (0, 0)
            yield from scene.drafts("claims-responsibility", index, scene.agents(by), about=about)
        return
    if scene.noun_here(index) and scene.low(index - 1) in words("words", "determiners"):
        return
    actors = scene.actors(index, context)
    if word is not None:
        about = scene.object_span(word + 2) if scene.low(word + 1) in ("for", "of") else (0, 0)
        yield from scene.drafts("claims-responsibility", index, actors, about=about, labels=context.labels)
        return
    if scene.low(index) not in ("claimed", "claims", "claim", "claiming", "admitted", "admits", "boasted"):
        return
    deed = words("sets", "deed")
    taken = scene.phrase_after(index + 1)
    done = scene.find(deed, index + 1, index + 9)
    if done is None and taken is not None and taken.kind == "thing" and taken.head in words("nouns", "event"):
        about = scene.object_span(index + 1)
        yield from scene.drafts("claims-responsibility", index, [a for a in actors if not a.party], about=about)
        return
    if done is None or any(p.kind == "actor" and index < p.first < done for p in scene.parse.phrases):
        return
    if any(low in words("words", "negative") for low in scene.lows[index:done]):
        return
    group = [a for a in actors if set(a.name.lower().split()) & words("nouns", "group_words") or not a.party]
    about = scene.object_span(index + 1)
    yield from scene.drafts("claims-responsibility", index, group, about=about, labels=context.labels)


def support(scene: Scene, index: int) -> Iterator[Draft]:
    """ "A supports B's decision", "A backed the move"; an adjective or a noun is none."""
    if scene.noun_here(index) or (scene.low(index).endswith("ing") and scene.low(index - 1) != ","):
        return
    context = scene.context(index)
    if not context.done or is_passive(scene.parse, index) is not None:
        return
    phrase = scene.phrase_after(index + 1)
    if phrase is None or phrase.kind == "pronoun":
        return
    heads = set(scene.lows[phrase.first : phrase.last])
    state = phrase.kind == "actor" and bool(scene.memory.party_of(scene.parse, phrase))
    if not state and not heads & {"move", "decision", "government", "action", "measures", "step", "approach", "ally"}:
        return
    if scene.low(index) in ("welcome", "welcomes", "welcomed", "welcoming", "hail", "hails", "hailed") and state:
        return
    about = scene.object_span(index + 1)
    target = (
        _party_actor(scene, phrase)
        if phrase.kind == "actor" or phrase.possessor_end is not None
        else scene.owner_of(phrase)
    )
    yield from scene.drafts(
        "supports", index, scene.actors(index, context), target=target, about=about, labels=context.labels
    )


def stand(scene: Scene, index: int) -> Iterator[Draft]:
    """ "A stands with B", "stood by its ally"."""
    place = index + 1
    while scene.low(place) in words("words", "adverb") | {
        "firmly",
        "united",
        "in",
        "full",
        "solidarity",
        "shoulder",
        "to",
    } or scene.low(place).endswith("ly"):
        place += 1
    if scene.low(place) not in ("with", "by", "alongside", "beside"):
        return
    phrase = scene.phrase_after(place + 1)
    context = scene.context(index)
    if phrase is None or phrase.kind == "thing" or not context.done:
        return
    target = scene.memory.resolve(scene.parse, phrase)
    yield from scene.drafts(
        "supports",
        index,
        scene.actors(index, context),
        target=target,
        about=scene.object_span(index),
        labels=context.labels,
    )


def express(scene: Scene, index: int) -> Iterator[Draft]:
    """ "A expressed solidarity with B", "voiced support", "expressed appreciation for the decision"."""
    noun = scene.find(words("sets", "frames_stance_solidarity"), index + 1, index + 6)
    outrage = scene.find(frozenset(("outrage", "condemnation", "indignation")), index + 1, index + 6)
    context = scene.context(index)
    if not context.done or (noun is None and outrage is None):
        return
    stop = end_of_object(scene.parse, index + 1)
    actors = scene.actors(index, context)
    act = "supports" if outrage is None else "condemns"
    target = None
    if noun is not None:
        for_ = scene.find(frozenset(("for",)), noun + 1, noun + 4)
        phrase = scene.phrase_after(for_ + 1) if for_ is not None else None
        if phrase is not None and phrase.kind == "thing":
            target = scene.owner_of(phrase)
        else:
            target = _receiver(scene, noun + 1, stop, actors)
    yield from scene.drafts(act, index, actors, target=target, about=scene.span(index + 1, stop), labels=context.labels)


def report(scene: Scene) -> Iterator[Draft]:
    """Yield what named speakers say of the attacks themselves: hit, detected, shut down, stolen, or not stolen."""
    effects = words("nouns", "event") | words("sets", "frames_stance_hit")
    for voice in scene.voices:
        first, last = _content(scene, voice)
        said = scene.lows[first:last]
        if not any(low in effects for low in said) or scene.low(voice.verb) in words("sets", "silent"):
            continue
        if said[:1] in (["if"], ["unless"]) or _beside_the_point(said, effects):
            continue
        told = scene.low(voice.verb) in ("told", "tells") and voice.phrase is not None and voice.kind == "before"
        if told and first >= last - 2:
            continue
        stop = last if voice.kind == "after" else min(last, end_of_object(scene.parse, first))
        about = scene.span(first, stop)
        if about == (0, 0):
            continue
        labels = ("finding",) if voice.kind == "finding" else ()
        said_by = scene.reporter_of(voice.verb, voice.actor)
        firm = scene.low(voice.verb) in words("sets", "firm_reports") and voice.kind == "before"
        firm = firm and bool(words("events", "heads") & set(said[:6]))
        yield Draft("reports", voice.actor, voice.verb, None, about, said_by, labels, firm)


def _content(scene: Scene, voice: Voice) -> tuple[int, int]:
    """Return the tokens that a voice says, without "that" and without "according to …" itself."""
    first, last = voice.first, voice.last
    if voice.kind == "according":
        stop = voice.phrase.last if voice.phrase is not None else voice.verb + 2
        if voice.verb > 3:
            first, last = 0, voice.verb
        else:
            comma = scene.find(frozenset((",",)), stop, len(scene.lows))
            first, last = (comma + 1 if comma is not None else stop), len(scene.lows)
    if scene.low(first) == "that":
        first += 1
    return first, last


def _beside_the_point(said: list[str], effects: frozenset[str]) -> bool:
    """Say whether an attack is only mentioned: in talk of accusations, of a reply to it, of such attacks at large."""
    place = next(i for i, low in enumerate(said) if low in effects)
    before = set(said[:place])
    about = words("sets", "talk") & before
    return bool(about) or ("such" in said[max(0, place - 2) : place]) or ("any" in said[max(0, place - 3) : place])
