"""How accusations and denials are worded: one function a frame, each a generator of drafts.

A frame gets the scene and the token of its verb, and yields nothing where the verb is a noun here, is negated,
wished for or asked about, or where no actor stands beside it. The literal table of frames is in `acts`.
"""

# Guard clauses, one a way in which a wording can be something else: hence the many returns.
# ruff: noqa: PLR0911, PLR0912

from __future__ import annotations

from collections.abc import Iterator

from aleat.case.claims.clauses import clause_subject, end_of_object, is_passive, subject_of
from aleat.case.claims.lexicon import frames_of, phrases, words
from aleat.case.claims.phrases import Phrase, is_verb
from aleat.case.claims.references import Actor
from aleat.case.claims.scene import Draft, Scene

__all__ = [
    "accuse",
    "antecedent",
    "attack_by",
    "attribute",
    "behind",
    "blame",
    "call",
    "carry",
    "deny",
    "doubted",
    "groundless",
    "hold",
    "identify",
    "implicate",
    "not_involved",
    "party_in",
    "point",
    "reject",
]


_FOR = frozenset(("for", "over"))
_ON = frozenset(("on",))
_TO = frozenset(("to", "on"))
_AS = frozenset(("as",))


def _target(scene: Scene, phrase: Phrase | None) -> Actor | None:
    return None if phrase is None else scene.memory.resolve(scene.parse, phrase)


def accuse(scene: Scene, index: int) -> Iterator[Draft]:
    """ "A accuses S of X", "S was accused by A of X"."""
    if scene.noun_here(index):
        return
    context = scene.context(index)
    if not context.done:
        return
    by = is_passive(scene.parse, index)
    if by is not None:
        agents = scene.agents(by)
        subject = [p for p in subject_of(scene.parse, index) if p.kind != "thing"]
        of = scene.find(frozenset(("of",)), by, len(scene.lows))
        about = scene.object_span(of + 1) if of else (0, 0)
        yield from scene.drafts(
            "accuses", index, agents, target=_target(scene, subject[-1] if subject else None), about=about
        )
        return
    phrase = scene.phrase_after(index + 1)
    if scene.low(index + 1) == "us":
        yield from scene.drafts("accuses", index, scene.actors(index, context), target=scene.voice_at(index))
        return
    if phrase is None or phrase.kind == "thing":
        return
    place = _after_list(scene, phrase.last)
    about = scene.object_span(place + 1) if scene.low(place) in ("of", "over", "for", "in") else (0, 0)
    actors = scene.actors(index, context)
    yield from scene.drafts("accuses", index, actors, target=_target(scene, phrase), about=about, labels=context.labels)


def _after_list(scene: Scene, place: int) -> int:
    """Step over "…, B, C and others" after the first of those accused."""
    begin = place
    while place < begin + 14 and scene.low(place) in (",", "and", "others", "other", "states", "countries"):
        place += 1
        following = scene.parse.starting.get(place)
        if following is not None and following.kind == "actor":
            place = following.last
    return place if scene.low(place) == "of" else begin


def blame(scene: Scene, index: int) -> Iterator[Draft]:
    """ "A blames S for X", "A blamed X on S", "the attack that A blames on S", "blamed by A on S"."""
    if scene.noun_here(index) or scene.low(index - 1) in ("to", "of", "no", "any", "the"):
        context = scene.context(index)
        if scene.noun_here(index) or scene.low(index - 1) != "to" or not context.done:
            return
    context = scene.context(index)
    if not context.done:
        return
    by = is_passive(scene.parse, index)
    stop = end_of_object(scene.parse, index + 1)
    if by is not None:
        agents = scene.agents(by)
        on = scene.find(_ON, index + 1, stop)
        subject = subject_of(scene.parse, index)
        if on is not None:
            about = scene.span(subject[-1].first, subject[-1].last) if subject else (0, 0)
            yield from scene.drafts(
                "accuses", index, agents, target=_target(scene, scene.phrase_after(on + 1)), about=about
            )
        elif subject and subject[-1].kind != "thing":
            after = scene.find(_FOR, by, stop)
            about = scene.object_span(after + 1) if after else (0, 0)
            yield from scene.drafts("accuses", index, agents, target=_target(scene, subject[-1]), about=about)
        return
    actors = scene.actors(index, context)
    if scene.low(index + 1) == "on":
        target = _target(scene, scene.phrase_after(index + 2))
        yield from scene.drafts("accuses", index, actors, target=target, about=antecedent(scene, index))
        return
    if scene.low(index + 1) in _FOR:
        target = _relative_target(scene, index)
        if target is not None:
            yield from scene.drafts("accuses", index, actors, target=target, about=scene.object_span(index + 2))
        return
    phrase = scene.phrase_after(index + 1)
    on = scene.find(_ON, index + 1, stop)
    holder = scene.phrase_after(on + 1) if on is not None else None
    if on is not None and holder is not None and holder.kind == "actor" and (phrase is None or phrase.kind != "actor"):
        about = scene.span(index + 1, on)
        yield from scene.drafts(
            "accuses", index, actors, target=_target(scene, holder), about=about, labels=context.labels
        )
        return
    if scene.low(index + 1) == "us":
        yield from scene.drafts("accuses", index, actors, target=scene.voice_at(index))
        return
    same = "same" in scene.lows[index + 1 : index + 5]
    if phrase is None and same:
        place = scene.lows.index("same", index + 1) + 1
        phrase = next((p for p in scene.parse.phrases if p.first <= place < p.last), None)
    if phrase is None or phrase.kind == "thing":
        return
    after = scene.find(_FOR, phrase.last, stop)
    about = scene.object_span(after + 1) if after is not None else (0, 0)
    labels = (*context.labels, "same-as-before") if same and not party_in(scene, phrase) else context.labels
    yield from scene.drafts("accuses", index, actors, target=_target(scene, phrase), about=about, labels=labels)


def party_in(scene: Scene, phrase: Phrase) -> str:
    """Return the party that a phrase names."""
    return scene.memory.party_of(scene.parse, phrase)


def _relative_target(scene: Scene, index: int) -> Actor | None:
    """Return S of "S, which A blames for X"."""
    subject = subject_of(scene.parse, index)
    if not subject:
        return None
    place = subject[0].first - 1
    if scene.low(place) not in ("which", "whom", "that", "who"):
        return None
    place -= scene.low(place - 1) == ","
    return _target(scene, scene.parse.ending.get(place))


def antecedent(scene: Scene, index: int) -> tuple[int, int]:
    """Return the attack of "an attack (that) the government blames on …"."""
    subject = subject_of(scene.parse, index)
    first = subject[0].first if subject else index
    before = [p for p in scene.parse.phrases if p.last <= first and p.kind == "thing" and first - p.last <= 12]
    events = [p for p in before if p.head in words("nouns", "event")]
    near = events or [p for p in before if first - p.last <= 3]
    return scene.span(near[-1].first, near[-1].last) if near else (0, 0)


def implicate(scene: Scene, index: int) -> Iterator[Draft]:
    """ "A implicated S in X", "A fingered S for X"."""
    context = scene.context(index)
    phrase = scene.phrase_after(index + 1)
    if scene.noun_here(index) or not context.done or phrase is None or phrase.kind != "actor":
        return
    if scene.low(phrase.last) not in ("in", "for", "over", "as"):
        return
    about = scene.object_span(phrase.last + 1)
    yield from scene.drafts("accuses", index, scene.actors(index, context), target=_target(scene, phrase), about=about)


def attribute(scene: Scene, index: int) -> Iterator[Draft]:
    """ "A attributed X to S", "A has linked the attack to S", "A traced X to S"."""
    context = scene.context(index)
    if scene.noun_here(index) or not context.done:
        return
    stop = end_of_object(scene.parse, index + 1)
    wanted = _TO if scene.low(index).startswith("pin") else frozenset(("to",))
    to = scene.find(wanted, index + 1, stop)
    if to is None and {"series", "attack", "cyberattack", "cyberattacks", "attacks"} & set(
        scene.lows[index + 1 : index + 6]
    ):
        to = _far_to(scene, stop)
    by = is_passive(scene.parse, index)
    if to is None:
        return
    holder = scene.phrase_after(to + 1)
    if holder is None or holder.kind != "actor":
        return
    if by is not None:
        subject = subject_of(scene.parse, index)
        about = scene.span(subject[-1].first, subject[-1].last) if subject else (0, 0)
        if to > by:
            yield from scene.drafts("accuses", index, scene.agents(by), target=_target(scene, holder), about=about)
        return
    between = scene.lows[index + 1 : to]
    events = words("nouns", "event") | {"it", "them", "this", "malware", "blame", "responsibility"}
    subject = subject_of(scene.parse, index)
    relative = (
        bool(subject)
        and index - subject[-1].last <= 3
        and (_after_event(scene, subject[0].first) or scene.low(subject[0].first - 1) == "which")
    )
    if not any(low in events for low in between) and not relative:
        return
    about = antecedent(scene, index) if relative and to == index + 1 else scene.span(index + 1, to)
    yield from scene.drafts(
        "accuses",
        index,
        scene.actors(index, context),
        target=_target(scene, holder),
        about=about,
        labels=context.labels,
    )


def _far_to(scene: Scene, stop: int) -> int | None:
    """Return "to" after a clause between commas: "attributed the attacks, which …, to S"."""
    for place in range(stop, min(len(scene.lows) - 2, stop + 20)):
        if scene.low(place) == "," and scene.low(place + 1) == "to":
            return place + 1
    return None


def _after_event(scene: Scene, first: int) -> bool:
    """Say whether an attack stands right before a clause that begins at `first`: "attacks (that) it blames on S"."""
    place = first - (scene.low(first - 1) in ("which", "that"))
    place -= scene.low(place - 1) == ","
    before = scene.parse.ending.get(place)
    return before is not None and before.head in words("nouns", "event")


def hold(scene: Scene, index: int) -> Iterator[Draft]:
    """ "A holds S responsible for X"."""
    context = scene.context(index, planned=True)
    word = scene.find(frozenset(("responsible", "accountable")), index + 1, index + 12)
    phrase = scene.phrase_after(index + 1)
    if word is None or phrase is None or phrase.kind == "thing" or not context.done:
        return
    if phrase.last > word or "to" in scene.lows[phrase.last : word]:
        return
    about = scene.object_span(word + 2) if scene.low(word + 1) in _FOR else (0, 0)
    labels = context.labels
    if scene.low(index - 1) == "to":
        labels = tuple(dict.fromkeys((*labels, "planned")))
    target, actors, voice = _target(scene, phrase), scene.actors(index, context), scene.voice_at(index)
    if target is not None and target.key in {actor.key for actor in actors}:
        actors = [voice] if voice is not None and voice.key != target.key else []
    yield from scene.drafts("accuses", index, actors, target=target, about=about, labels=labels)


def point(scene: Scene, index: int) -> Iterator[Draft]:
    """ "A points the finger at S (over X)"."""
    finger = scene.find(frozenset(("finger", "fingers")), index + 1, index + 5)
    at = scene.find(frozenset(("at",)), index + 1, index + 9)
    context = scene.context(index)
    if finger is None:
        yield from _evidence_points(scene, index)
        return
    if at is None or not context.done:
        return
    phrase = scene.phrase_after(at + 1)
    if phrase is None or phrase.kind != "actor":
        return
    about = scene.object_span(phrase.last + 1) if scene.low(phrase.last) in _FOR else (0, 0)
    yield from scene.drafts("accuses", index, scene.actors(index, context), target=_target(scene, phrase), about=about)


def _evidence_points(scene: Scene, index: int) -> Iterator[Draft]:
    """ "(A said that) all the evidence points to S"."""
    if scene.low(index + 1) not in ("to", "at", "towards") or not scene.context(index).done:
        return
    signs = frozenset(("evidence", "everything", "signs", "traces", "indications", "fingerprints", "findings", "clues"))
    phrase, voice = scene.phrase_after(index + 2), scene.voice_at(index)
    if phrase is None or phrase.kind != "actor" or voice is None or scene.find(signs, index - 5, index) is None:
        return
    yield from scene.drafts("accuses", index, [voice], target=_target(scene, phrase))


def identify(scene: Scene, index: int) -> Iterator[Draft]:
    """ "A named S as the culprit"."""
    culprits = words("sets", "culprits")
    context = scene.context(index)
    phrase = scene.phrase_after(index + 1)
    if scene.noun_here(index) or phrase is None or phrase.kind != "actor" or not context.done:
        return
    named = scene.find(_AS, phrase.last, phrase.last + 2)
    holder = scene.phrase_after(named + 1) if named is not None else None
    if holder is not None and holder.kind == "actor" and party_in(scene, holder) and not party_in(scene, phrase):
        about = scene.span(phrase.first, phrase.last)
        actors = scene.actors(index, context)
        yield from scene.drafts("accuses", index, actors, target=_target(scene, holder), about=about)
        return
    if named is None or scene.find(culprits, named, named + 8) is None:
        return
    about = scene.object_span(named + 1)
    yield from scene.drafts("accuses", index, scene.actors(index, context), target=_target(scene, phrase), about=about)


# --- what a voice says of somebody: "X said that S was behind it" ----------------------------------------------

_DOUBT = words("sets", "doubt")  # fmt: skip


def doubted(scene: Scene, index: int, first: int) -> bool:
    """Say whether what a voice says at `index` is put in doubt between the voice's verb and there."""
    voices = [v for v in scene.voices if v.kind == "before" and v.verb < index]
    start = voices[-1].verb + 1 if voices else max(0, first - 6)
    between = scene.lows[start:first]
    if "no" in between and between[between.index("no") + 1 :][:1] in (["doubt"], ["question"]):
        return False
    return any(low in _DOUBT or low.endswith("n't") for low in between)


def _said_of(
    scene: Scene, index: int, phrase: Phrase, about: tuple[int, int], labels: tuple[str, ...], negated: bool
) -> Iterator[Draft]:
    voice = scene.voice_at(index)
    if phrase.head in ("who", "which"):
        return
    named = bool(scene.memory.party_of(scene.parse, phrase))
    if phrase.kind == "thing" and not (phrase.head in ("services", "intelligence") and named):
        return
    actor = voice if phrase.head in ("i", "we") else scene.actor_of(phrase, index)
    if actor is None:
        return
    own = voice is not None and (voice.name == actor.name or voice.key == actor.key)
    if negated:
        if voice is None or own:
            yield from scene.drafts("denies", index, [voice or actor], about=about, labels=labels)
        return
    if doubted(scene, index, phrase.first):
        return
    if voice is None:
        yield from _evidence_of(scene, index, phrase, actor, about)
        return
    if own:
        yield from scene.drafts("claims-responsibility", index, [voice], about=about, labels=labels)
    else:
        yield from scene.drafts("accuses", index, [voice], target=actor, about=about, labels=labels)


def _evidence_of(scene: Scene, index: int, phrase: Phrase, actor: Actor, about: tuple[int, int]) -> Iterator[Draft]:
    """ "A described irrefutable evidence that S was behind X"."""
    word = scene.find(frozenset(("evidence", "proof")), max(0, phrase.first - 4), phrase.first)
    if word is None:
        return
    for subject in clause_subject(scene.parse, word):
        accuser = scene.actor_of(subject, index)
        if accuser is not None and subject.kind != "thing" and accuser.key != actor.key:
            yield from scene.drafts("accuses", index, [accuser], target=actor, about=about)


def _nobody_alone(scene: Scene, index: int) -> int:
    """Return how far back "no individuals or independent groups (were)" begins before "behind" (0: it doesn't)."""
    for back in range(2, 11):
        if scene.low(index - back) == "no":
            between = scene.lows[max(0, index - back) : index]
            return back if words("nouns", "independent") & set(between) and "," not in between else 0
    return 0


def behind(scene: Scene, index: int) -> Iterator[Draft]:
    """ "(A said that) S was behind X", "S is responsible for X", "S is to blame"; with "not" a denial."""
    low = scene.low(index)
    place = index - 1
    event = scene.parse.starting.get(index + 1)
    if low == "behind" and event is not None and scene.low(event.last) in ("is", "was", "were", "are"):
        doer, voice = scene.phrase_after(event.last + 1), scene.voice_at(index)
        if event.head in words("nouns", "event") and doer is not None and doer.kind == "actor" and voice is not None:
            about = scene.span(event.first, event.last)  # "behind the attack was S, A said"
            yield from scene.drafts("accuses", index, [voice], target=_target(scene, doer), about=about)
        return
    if _nobody_alone(scene, index):
        voice = scene.voice_at(index)
        if voice is not None:
            about = scene.object_span(index - _nobody_alone(scene, index))
            yield from scene.drafts("reports", index, [voice], about=about, labels=("not-independent",))
        return
    if low == "blame":
        if scene.low(place) != "to":
            return
        place -= 1
    labels: list[str] = []
    negated = False
    found_be = False
    while place >= 0 and place > index - 9:
        before = scene.low(place)
        if before in words("words", "be") or before in ("stood", "stands", "stand"):
            found_be = True
        elif before in words("words", "negative") or before.endswith("n't"):
            negated = negated or before not in ("no",) or True
            found_be = found_be or before.endswith("n't")
        elif before in words("phrases", "hedge") or before in ("may", "might", "could"):
            labels.append("hedged")
        elif not (
            before in words("words", "aux")
            or before in words("words", "adverb")
            or before.endswith("ly")
            or before in '“”"'
        ):
            break
        place -= 1
    if low == "behind" and not found_be and not negated:
        yield from _behind_noun(scene, index)
        return
    if low == "guilty" or not found_be:
        return
    if low in ("responsible", "accountable") and scene.low(index + 1) not in ("for", ",", ".", "”", '"'):
        return
    subject = subject_of(scene.parse, place + 1)
    if not subject:
        return
    first = index + 1 if low == "behind" else index + 2
    about = scene.object_span(first) if low == "behind" or scene.low(index + 1) == "for" else (0, 0)
    for phrase in subject:
        yield from _said_of(scene, index, phrase, about, tuple(dict.fromkeys(labels)), negated)


def _behind_noun(scene: Scene, index: int) -> Iterator[Draft]:
    """ "A said that one of the S-backed groups behind the attack …": who is behind it is taken for granted."""
    phrase = scene.parse.ending.get(index)
    event = scene.phrase_after(index + 1)
    voice = scene.voice_at(index)
    if phrase is None or phrase.kind != "actor" or event is None or voice is None or not party_in(scene, phrase):
        return
    if event.head not in words("nouns", "event") or doubted(scene, index, phrase.first):
        return
    headline = scene.parse.sentence.paragraph.kind == "headline"
    if phrase.determiner not in ("the", "these", "those") and phrase.preposition != "of" and not headline:
        return
    actor = scene.memory.resolve(scene.parse, phrase)
    if actor.key != voice.key:
        about = scene.object_span(index + 1)
        yield from scene.drafts("accuses", index, [voice], target=actor, about=about, labels=("nominal",))


def carry(scene: Scene, index: int) -> Iterator[Draft]:
    """ "(A said that) S carried out X", "X was carried out by S", "X came from S"."""
    low = scene.low(index)
    if scene.noun_here(index) or low.endswith("ing") or _is_adjective(scene, index):
        return
    by = is_passive(scene.parse, index) if low in words("phrases", "by") or low == "done" else None
    if (
        by is None
        and low in ("came", "comes", "originated", "originates", "stemmed", "carried")
        and (place := index + 1 + (scene.low(index + 1) in ("out", "directly"))) < len(scene.lows)
        and scene.low(place) == "from"
    ):
        by = place
    if by is not None:
        yield from _done_by(scene, index, by)
        return
    if {"was", "were", "been", "being"} & set(scene.lows[max(0, index - 2) : index]):
        return  # "two ministries were attacked": by nobody who is named
    if low not in words("phrases", "carry") or low in (
        "did",
        "made",
        "hit",
        "targeted",
        "funded",
        "financed",
        "planned",
    ):
        return
    stop = end_of_object(scene.parse, index + 1)
    if scene.find(words("nouns", "event"), index + 1, min(stop, index + 9)) is None and low not in (
        "attacked",
        "hacked",
        "breached",
    ):
        return
    back = scene.lows[max(0, index - 4) : index]
    negated = any(word in ("not", "never") or word.endswith("n't") for word in back)
    if any(word in words("words", "modal") or word == "to" for word in back):
        return
    first = index + 1 + (scene.low(index + 1) == "out")
    for phrase in subject_of(scene.parse, index):
        doer = _state_before(scene, index, phrase) or phrase
        yield from _said_of(scene, index, doer, scene.object_span(first), (), negated)


def _state_before(scene: Scene, index: int, phrase: Phrase) -> Phrase | None:
    """From "S hired a group that attacked …" take S: who is accused, where the group has no name."""
    follows = scene.lows[phrase.last : phrase.last + 2]
    if party_in(scene, phrase) or not phrase.determiner or not {"that", "which", "who"} & set(follows):
        return None
    voice = scene.voice_at(index)
    for other in scene.parse.phrases:
        named = other.kind == "actor" and not other.preposition and party_in(scene, other)
        if named and other.last <= phrase.first and voice is not None:
            first = next((v.first for v in scene.voices if v.kind == "before" and v.first <= other.first), None)
            if first is not None and named.lower() != voice.key and other.first - first <= 2:
                return other
    return None


def _is_adjective(scene: Scene, index: int) -> bool:
    """Say whether "coordinated" stands before its noun: "a massive, coordinated cyberattack"."""
    if not scene.low(index).endswith("ed") or scene.low(index - 1) not in (",", "and"):
        return False
    following = scene.parse.starting.get(index + 1)
    event = following is not None and following.head in words("nouns", "event") and not following.determiner
    return event and index - 1 not in scene.parse.ending


def _done_by(scene: Scene, index: int, by: int) -> Iterator[Draft]:
    phrase = scene.phrase_after(by + 1)
    subject = subject_of(scene.parse, index)
    thing = next((p for p in subject if p.kind == "thing" and p.head in words("nouns", "event")), None)
    voice = scene.voice_at(index)
    if phrase is None or voice is None or (thing is None and not _event_before(scene, index)):
        return
    back = scene.lows[max(0, index - 4) : index]
    negated = any(word in ("not", "never") or word.endswith("n't") for word in back)
    if any(word in words("words", "modal") for word in back) or doubted(scene, index, index - 3):
        return
    about = scene.span(thing.first, thing.last) if thing is not None else (0, 0)
    actor = scene.memory.resolve(scene.parse, phrase)
    if phrase.kind == "thing" and phrase.head not in ("hand", "hands", "source", "sources"):
        return
    independent = any(low in words("nouns", "independent") for low in scene.lows[phrase.first : phrase.last + 3])
    if negated:
        label = ("not-independent",) if independent and not actor.party else ()
        if actor.key == voice.key:
            yield from scene.drafts("denies", index, [voice], about=about)
        elif label:
            first = thing.first if thing is not None else by + 1
            yield from scene.drafts("reports", index, [voice], about=scene.object_span(first), labels=label)
        return
    if not actor.party and phrase.head in words("nouns", "group_words") and not _same(scene, phrase):
        return
    if actor.key == voice.key:
        yield from scene.drafts("claims-responsibility", index, [voice], about=about)
        return
    labels = ("same-as-before",) if _same(scene, phrase) else ()
    yield from scene.drafts("accuses", index, [voice], target=actor, about=about, labels=labels)


def _same(scene: Scene, phrase: Phrase) -> bool:
    return "same" in scene.lows[phrase.first : phrase.last]


def _event_before(scene: Scene, index: int) -> bool:
    """Say whether an attack is what the participle or the relative clause at `index` speaks of."""
    for place in range(index - 1, max(0, index - 9), -1):
        if scene.low(place) in ("that", "which"):
            before = scene.parse.ending.get(place - (scene.low(place - 1) == ","))
            if before is None and is_verb(scene.low(place - 1)):
                break  # "we can say that the attack …"
            return before is not None and before.head in words("nouns", "event")
        if scene.low(place) in (",", ";"):
            break
    things = [p for p in scene.parse.phrases if p.last <= index and index - p.last <= 14 and p.kind == "thing"]
    return any(p.head in words("nouns", "event") for p in things[-2:])


def attack_by(scene: Scene, index: int) -> Iterator[Draft]:
    """ "A reported a second cyberattack by S", "“another attack from the same aggressors”, A said"."""
    phrase = scene.parse.inside.get(index)
    if (
        phrase is None
        or phrase.kind != "thing"
        or phrase.last != index + 1
        or phrase.head not in words("nouns", "event")
    ):
        return
    comma = scene.low(index + 1) == ","
    if scene.low(index + 1 + comma) not in ("by", "from"):
        return
    other = scene.phrase_after(index + 2 + comma)
    voice = scene.voice_at(index)
    if other is None or other.kind == "pronoun" or voice is None or doubted(scene, index, phrase.first):
        return
    actor = scene.memory.resolve(scene.parse, other)
    same = _same(scene, other)
    if (
        (other.kind == "thing" and not same)
        or not (actor.party or same)
        or actor.key == voice.key
        or phrase.head.endswith("s")
    ):
        return
    about = scene.span(phrase.first, phrase.last)
    labels = ("same-as-before",) if same else ()
    yield from scene.drafts("accuses", index, [voice], target=actor, about=about, labels=labels)


# --- denials ---------------------------------------------------------------------------------------------------

_SAID_SO = frozenset(form for form, frame in frames_of().items() if frame in ("reject", "call", "deny"))
_NOT_DENIED = words("sets", "not_denied")


def _accuser(scene: Scene, first: int, last: int) -> Actor | None:
    """Return A of "A's accusation", "the accusation by A" in an object."""
    for phrase in scene.parse.phrases:
        if first <= phrase.first < last and phrase.kind == "thing" and phrase.head in words("nouns", "accusation"):
            if phrase.head in ("involvement", "responsibility"):
                continue
            return scene.owner_of(phrase)
    return None


def deny(scene: Scene, index: int) -> Iterator[Draft]:
    """ "S denied it", "S denies any involvement", "the accusation was denied by S"."""
    context = scene.context(index)
    if scene.noun_here(index) or not context.done or scene.low(index + 1) in _NOT_DENIED:
        return
    by = is_passive(scene.parse, index)
    if by is not None:
        subject = subject_of(scene.parse, index)
        about = scene.span(subject[-1].first, subject[-1].last) if subject else (0, 0)
        target = scene.owner_of(subject[-1]) if subject and subject[-1].kind == "thing" else None
        yield from scene.drafts("denies", index, scene.agents(by), target=target, about=about)
        return
    if scene.low(index - 1) in ("was", "were", "been", "be", "being"):
        return
    stop = end_of_object(scene.parse, index + 1)
    target = _accuser(scene, index + 1, stop)
    actors = scene.actors(index, context)
    about = scene.span(index + 1, stop)
    if about == (0, 0):
        about = antecedent(scene, index)
    yield from scene.drafts("denies", index, actors, target=target, about=about, labels=context.labels)


def reject(scene: Scene, index: int) -> Iterator[Draft]:
    """ "S rejected the accusation (as baseless)"; an offer or a ransom that is rejected is no denial."""
    context = scene.context(index)
    if scene.noun_here(index) or not context.done:
        return
    by = is_passive(scene.parse, index)
    if by is not None:
        subject = subject_of(scene.parse, index)
        if subject and subject[-1].kind == "thing" and subject[-1].head in words("nouns", "accusation"):
            about = scene.span(subject[-1].first, subject[-1].last)
            yield from scene.drafts("denies", index, scene.agents(by), target=scene.owner_of(subject[-1]), about=about)
        return
    stop = end_of_object(scene.parse, index + 1)
    accusation = scene.find(words("nouns", "accusation"), index + 1, stop)
    as_ = scene.find(_AS, index + 1, stop)
    denied = as_ is not None and scene.find(words("phrases", "denial"), as_, as_ + 8) is not None
    calls = scene.find(frozenset(("calling", "describing", "branding")), index + 1, index + 40)
    if calls is not None and scene.find(words("phrases", "denial"), calls, calls + 10) is not None:
        denied = True
    if accusation is None and not denied:
        return
    target = _accuser(scene, index + 1, stop)
    about = scene.span(index + 1, as_ if as_ is not None and denied else stop)
    yield from scene.drafts(
        "denies", index, scene.actors(index, context), target=target, about=about, labels=context.labels
    )


def call(scene: Scene, index: int) -> Iterator[Draft]:
    """Read "S called it baseless" (denies), "A called it state aggression" (accuses), "… outrageous" (condemns)."""
    context = scene.context(index)
    if scene.noun_here(index) or not context.done:
        return
    limit = min(len(scene.lows), index + 28)
    if scene.low(index).startswith(("spoke", "speak")):
        for row in phrases("phrases", "state_aggression"):
            if scene.low(index + 1) == "of" and row[0] in scene.lows[index + 2 : index + 5]:
                start = scene.lows.index(row[0], index + 2)
                if tuple(scene.lows[start : start + len(row)]) == row:
                    span = scene.span(start, start + len(row))
                    actors = [v] if (v := scene.voice_at(index)) else scene.actors(index, context)
                    yield from scene.drafts("accuses", index, actors, about=span, labels=("unnamed-state",))
                    return
        return
    if scene.low(index + 1) == "as" and scene.find(words("phrases", "denial"), index + 2, index + 6) is not None:
        if scene.find(words("nouns", "accusation"), index + 2, index + 8) is not None:
            yield from scene.drafts("denies", index, scene.actors(index, context), about=scene.object_span(index + 2))
        return
    phrase = scene.phrase_after(index + 1)
    if phrase is None:
        return
    stop = next((p for p in range(phrase.last, limit) if scene.lows[p] in (";", "—") or _new_clause(scene, p)), limit)
    actors = scene.actors(index, context)
    about = scene.span(index + 1, phrase.last)
    heads = set(scene.lows[phrase.first : phrase.last])
    if phrase.kind == "pronoun" or heads & words("nouns", "event") or heads & {"move", "decision"}:
        for row in phrases("phrases", "state_aggression"):
            for place in range(phrase.last, min(stop, phrase.last + 8)):
                if tuple(scene.lows[place : place + len(row)]) == row and not heads & {"move", "decision"}:
                    span = scene.span(place, place + len(row))
                    yield from scene.drafts("accuses", index, actors, about=span, labels=("unnamed-state",))
                    return
    denial = scene.find(words("phrases", "denial"), phrase.last, stop)
    if denial is None:
        denial = scene.find(words("phrases", "denial"), phrase.first, phrase.last)
    accused = phrase.kind == "pronoun" or bool(heads & words("nouns", "accusation"))
    if denial is not None and accused:
        target = scene.owner_of(phrase) if phrase.kind == "thing" else None
        yield from scene.drafts("denies", index, actors, target=target, about=about, labels=context.labels)
        return
    harsh = scene.find(words("phrases", "blame_words"), phrase.last, stop)
    if harsh is not None and heads & words("nouns", "event"):
        yield from scene.drafts("condemns", index, actors, about=about, labels=context.labels)


def _new_clause(scene: Scene, place: int) -> bool:
    return scene.low(place) == "and" and (
        scene.low(place + 1).endswith("ed") or scene.low(place + 1) in words("words", "aux")
    )


def groundless(scene: Scene, index: int) -> Iterator[Draft]:
    """ "(S said that) the accusations were unfounded"."""
    noun = next((p for p in (index + 1, index + 2) if scene.low(p) in words("nouns", "accusation")), None)
    voice = scene.voice_at(index)
    if noun is not None and voice is not None and noun in scene.parse.inside and scene.low(index - 1) != "not":
        if scene.find(_SAID_SO, index - 4, index) is not None:
            return
        owner = scene.owner_of(scene.parse.inside[noun])
        own = owner is not None and owner.key == voice.key
        if not own and scene.low(index - 1) not in ("made", "makes", "spread", "spreading", "no"):
            yield from scene.drafts("denies", index, [voice], about=scene.object_span(noun), labels=("nominal",))
        return
    place = index - 1
    while place >= 0 and place > index - 6 and (
        scene.low(place) in ("a", "an", "pure", "complete", "total", "and", ",", "“", '"')
        or scene.low(place).endswith("ly")
        or scene.low(place) in words("phrases", "denial") or scene.low(place) in words("words", "adverb")
    ):  # fmt: skip
        place -= 1
    if scene.low(place) not in ("is", "are", "was", "were", "be", "been", "being"):
        return
    if any(low in words("words", "negative") or low.endswith("n't") for low in scene.lows[place - 1 : index]):
        return
    subjects = [p for p in scene.parse.phrases if p.last <= place and place - p.last <= 12 and p.kind == "thing"]
    accusation = next((p for p in reversed(subjects) if p.head in words("nouns", "accusation")), None)
    if accusation is None or voice is None:
        return
    about = scene.span(accusation.first, place)
    owner = scene.owner_of(accusation)
    target = owner if owner is not None and owner.name != voice.name else None
    yield from scene.drafts("denies", index, [voice], target=target, about=about)


def not_involved(scene: Scene, index: int) -> Iterator[Draft]:
    """ "S has nothing to do with X", "S had no role in X", "we are not involved"."""
    low, lows = scene.low(index), scene.lows
    if low == "nothing":
        if lows[index + 1 : index + 4] != ["to", "do", "with"]:
            return
        verb, first = index - 1, index + 4
    elif low in ("role", "involvement", "part", "hand", "responsibility", "connection", "knowledge", "links"):
        if scene.low(index - 1) not in ("no", "any") or (
            scene.low(index - 1) == "any" and "not" not in lows[max(0, index - 5) : index]
        ):
            return
        verb, first = index - 2, index + 1
        if scene.low(verb) not in ("has", "had", "have", "having", "plays", "played", "with", "bears", "bore"):
            return
    elif low == "involved":
        if "not" not in lows[max(0, index - 4) : index] and not any(
            w.endswith("n't") for w in lows[max(0, index - 3) : index]
        ):
            return
        verb, first = index, index + 1
    else:
        return
    voice = scene.voice_at(index)
    for phrase in subject_of(scene.parse, verb):
        actor = voice if phrase.head in ("i", "we") else scene.actor_of(phrase, index)
        if actor is None or phrase.kind == "thing":
            continue
        if voice is None or voice.key == actor.key or voice.name == actor.name:
            yield from scene.drafts("denies", index, [voice or actor], about=scene.object_span(first))
