"""Who is speaking where: direct speech, "X said that …", "…, said X", "according to X".

A `Voice` covers a stretch of a sentence. Direct speech belongs to the voice after it or before it in its own
sentences, else to the speaker before it in the same paragraph; speech that runs on from the paragraph before
keeps its speaker.
"""

# Guard clauses, one a way in which a wording can be something else: hence the many returns.
# ruff: noqa: PLR0911

from __future__ import annotations

from dataclasses import dataclass

from aleat.case.claims.clauses import subject_of
from aleat.case.claims.lexicon import phrases, words
from aleat.case.claims.phrases import Parse, Phrase
from aleat.case.claims.references import Actor, Memory
from aleat.case.claims.text import QuoteSpan

__all__ = ["Voice", "quote_at", "voices_of"]


@dataclass(frozen=True, slots=True)
class Voice:
    """Somebody speaks: the verb's token, who, and the tokens that are said.

    `kind` is "before" and "after" (where the verb stands), "according", or "finding" (an inquiry's).
    """

    verb: int
    actor: Actor
    first: int
    last: int
    kind: str
    phrase: Phrase | None = None
    others: tuple[Actor, ...] = ()
    """Who says it too: "the FBI and CISA said"."""


def quote_at(parse: Parse, index: int) -> QuoteSpan | None:
    """Return the direct speech in which a token stands."""
    start = parse.tokens[index].start
    for span in parse.sentence.quotes:
        if span.start <= start < span.end:
            return span
    return None


def _after_verb(parse: Parse, verb: int) -> int:
    """Step over what may stand between a speech verb and what is said: "told reporters on Friday in Berlin"."""
    lows, index = parse.lows, verb + 1
    skip = words("speech", "media") | words("words", "weekdays") | words("words", "months") | words("speech", "time")
    light = words("sets", "light")
    told = lows[verb] in ("told", "tells", "informed", "assured", "assures", "reminded")
    if told and index in parse.starting:
        index = parse.starting[index].last
    steps = 0
    while index < len(lows) and steps < 14:
        low = lows[index]
        adverb = low in words("words", "adverb") or low.endswith("ly")
        prose = low in skip or (low in light and lows[index + 1 : index + 2] != ["will"]) or low.isdigit() or adverb
        nested = index in parse.starting and lows[index - 1] in ("in", "on", "at", "to", "via")
        if nested and parse.starting[index].kind != "pronoun":
            index = parse.starting[index].last
        elif prose and not (
            low in ("the", "a", "an", "its", "his") and lows[index - 1] not in ("in", "on", "at", "to", "via")
        ):
            index += 1
        else:
            return index
        steps += 1
    return index


def voices_of(parse: Parse, memory: Memory) -> list[Voice]:
    """Return the voices of a sentence, in order."""
    found: list[Voice] = []
    for index, low in enumerate(parse.lows):
        if low == "saying" and parse.lows[max(0, index - 1)] == "as" and not _fully_quoted(parse, index):
            before = parse.ending.get(index - 1)
            if parse.lows[index - 2] == "quoted":
                before = next(iter(subject_of(parse, index - 2)), None)
            if before is not None and before.kind == "actor":
                found.append(Voice(index, memory.resolve(parse, before), index + 1, len(parse.lows), "before", before))
        elif low in words("speech", "verbs") and not _fully_quoted(parse, index):
            voice = _inverted(parse, memory, index) or _plain(parse, memory, index)
            if voice is not None:
                found.append(voice)
        voice = _according(parse, memory, index)
        if voice is not None:
            found.append(voice)
    return found


def _fully_quoted(parse: Parse, index: int) -> bool:
    return quote_at(parse, index) is not None


def _inverted(parse: Parse, memory: Memory, verb: int) -> Voice | None:
    lows = parse.lows
    if not verb or lows[verb] not in words("speech", "inverted"):
        return None
    if lows[verb - 1] not in (",", "”", '"', "’", "»", "?", "!") or verb + 1 not in parse.starting:
        return None
    phrase = parse.starting[verb + 1]
    if phrase.kind == "thing":
        return None
    after = lows[phrase.last] if phrase.last < len(lows) else "."
    if after not in (",", ".", "in", "on", "at", "after", "during", "of", "who", "(", "as", "while", "to", "when", ":"):
        return None
    actor = memory.resolve(parse, phrase)
    title = parse.starting.get(phrase.last + 1) if after == "," else None
    if title is not None and title.head in words("nouns", "persons") and not actor.person and phrase.kind == "actor":
        actor = Actor(actor.name, actor.written, actor.party, True)  # "said Ana Lind, undersecretary at …"
        memory.persons.setdefault(parse.lows[phrase.last - 1], actor)
    return Voice(verb, _goes_on(memory, phrase, actor), 0, verb - 1, "after", phrase)


def _goes_on(memory: Memory, phrase: Phrase, actor: Actor) -> Actor:
    """Read "it added" after direct speech: who spoke last."""
    known = memory.last_speaker
    if phrase.kind != "pronoun" or known is None or phrase.head not in ("it", "they", "he", "she"):
        return actor
    if known.person == (phrase.head in ("he", "she")) or actor.name == actor.written:
        return Actor(known.name, actor.written, known.party, known.person)
    return actor


def _plain(parse: Parse, memory: Memory, verb: int) -> Voice | None:
    lows = parse.lows
    if lows[verb] in ("states", "charge", "charges", "claims", "reports", "show", "report") and verb in parse.inside:
        return None
    if lows[verb].endswith("ing") and lows[verb - 1 : verb] not in ([","], ["and"]):
        return None
    unnamed = lows[max(0, verb - 4) : verb][:1] == ["who"]  # "an official who was not named said"
    if (
        any(low in words("words", "negative") or low.endswith("n't") for low in lows[max(0, verb - 3) : verb])
        and not unnamed
    ):
        return None
    if verb and lows[verb - 1] in words("words", "determiners") - {"that", "this", "both", "all", "each"}:
        return None  # "the said attack", "the alleged attack"
    if lows[verb] in ("told", "informed", "reminded", "assured", "warned") and lows[verb - 1] in words("words", "be"):
        return None  # "the staff have been told to leave"
    subjects = subject_of(parse, verb)
    if not subjects:
        return None
    phrase = subjects[-1]
    content = _after_verb(parse, verb)
    ends = content >= len(lows) or lows[content] in (",", ".", "”", '"') or content >= len(lows) - 1
    starts_quote = content < len(lows) and lows[content] in ("“", '"', ":", "«")
    if starts_quote or (lows[content : content + 1] == [","] and lows[content + 1 : content + 2] in (["“"], ['"'])):
        ends = False
    before = lows[subjects[0].first - 1] if subjects[0].first else ""
    kind = "after" if ends and before in (",", "”", '"', "?", "!", "»", "—", "’") else "before"
    if kind == "before" and ends and content >= len(lows) - 1:
        return None
    if phrase.kind == "thing":
        return _thing_speaks(parse, memory, verb, phrase, kind, content)
    actor = memory.resolve(parse, phrase)
    others = tuple(memory.resolve(parse, row) for row in subjects[:-1][-7:] if row.kind == "actor")
    if kind == "after":
        actor = _goes_on(memory, phrase, actor)
        return Voice(verb, actor, 0, subjects[0].first, "after", phrase, others)
    return Voice(verb, actor, content, len(lows), "before", phrase, others)


def _thing_speaks(parse: Parse, memory: Memory, verb: int, phrase: Phrase, kind: str, content: int) -> Voice | None:
    """Handle "the statement said" and "an investigation found"."""
    span = (0, phrase.first) if kind == "after" else (content, len(parse.lows))
    low = parse.lows[phrase.first : phrase.last]
    if phrase.head in words("speech", "findings") and parse.lows[verb] in words("speech", "found"):
        written = memory.slice(parse, phrase.first, phrase.last)
        return Voice(verb, Actor(written, written, memory.party_of(parse, phrase)), *span, "finding", phrase)
    if phrase.head not in words("speech", "media"):
        return None
    written = memory.slice(parse, phrase.first, phrase.last)
    issuer = parse.starting.get(phrase.last + 1)
    if issuer is not None and parse.lows[phrase.last] in ("by", "from", "of") and issuer.kind == "actor":
        return Voice(verb, memory.resolve(parse, issuer), *span, kind, phrase)
    if phrase.possessor_end is not None:
        owner = memory.slice(parse, phrase.first, phrase.possessor_end)
        return Voice(verb, Actor(owner, written, memory.party_of(parse, phrase)), *span, kind, phrase)
    for place in range(len(low) - 1):
        if low[place] in words("nouns", "actors") and phrase.determiner == "the":  # "the ministry statement said"
            rows = memory.bodies.get(low[place], [])
            if len({row.name for row in rows}) == 1:
                return Voice(verb, Actor(rows[0].name, written, rows[0].party), *span, kind, phrase)
    if memory.last_speaker is not None:
        known = memory.last_speaker
        return Voice(verb, Actor(known.name, written, known.party, known.person), *span, kind, phrase)
    return Voice(verb, Actor(written, written), *span, kind, phrase)


def _according(parse: Parse, memory: Memory, index: int) -> Voice | None:
    for row in phrases("speech", "according"):
        stop = index + len(row)
        if tuple(parse.lows[index:stop]) != row:
            continue
        phrase = next((parse.starting[spot] for spot in range(stop, stop + 4) if spot in parse.starting), None)
        if phrase is not None and any(not low[0].isalnum() for low in parse.lows[stop : phrase.first]):
            return None
        if phrase is None or phrase.kind == "pronoun":
            return None
        if phrase.kind == "thing":
            if phrase.possessor_end is not None and phrase.head in words("speech", "media"):
                owner = memory.slice(parse, phrase.first, phrase.possessor_end)
                actor = Actor(owner, owner, memory.party_of(parse, phrase))
                return Voice(index, actor, 0, len(parse.lows), "according", phrase)
            return None
        actor = memory.resolve(parse, phrase)
        after = parse.tokens[phrase.last] if phrase.last < len(parse.lows) else None
        bare = phrase.via == "people" and phrase.last - phrase.first <= 2
        if bare and after is not None and after.text.islower():  # "an Israeli readout"
            written = memory.slice(parse, phrase.first, phrase.last + 1)
            actor = Actor(written, written, actor.party)
        return Voice(index, actor, 0, len(parse.lows), "according", phrase)
    return None
