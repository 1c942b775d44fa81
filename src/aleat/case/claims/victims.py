"""A mention of an attack, and what was hit: after "on" and "against", before "was hit", in "which shut down …"."""

# Guard clauses, one a way in which a wording can be something else: hence the many returns.
# ruff: noqa: PLR0911, PLR0912

from __future__ import annotations

from dataclasses import dataclass

from aleat.case.claims.clauses import subject_of
from aleat.case.claims.dates import DateMention
from aleat.case.claims.lexicon import words
from aleat.case.claims.parties import gazetteer
from aleat.case.claims.phrases import Parse, Phrase, is_verb
from aleat.case.claims.references import Memory

__all__ = ["Mention", "before_verb", "is_date_word", "loose_end", "set_victim", "victim_span"]


@dataclass(slots=True)
class Mention:
    """One mention of an attack: its tokens in a sentence, and what tells it from others."""

    parse: Parse
    first: int
    last: int
    rank: int = 0
    """0: not said, 1: first or earlier, 2: second or another, 3: third …"""
    bare: bool = False
    indefinite: bool = False
    definite: bool = False
    plural: bool = False
    date: DateMention | None = None
    victim: str = ""
    words: frozenset[str] = frozenset()
    states: frozenset[str] = frozenset()
    effects: frozenset[str] = frozenset()
    extent: int = 0
    """The token after the last one of its noun phrase, with what it was done to and when (see `what`)."""
    hit: bool = False
    """Only what was hit ("its website was taken down"): it tells more of the event before it, and makes none."""

    @property
    def start(self) -> int:
        """Where the mention begins in the document."""
        return self.parse.tokens[self.first].start

    @property
    def systems(self) -> bool:
        """Whether the victim's name tells systems, and not just a state or a body."""
        return not self.victim[:1].isdigit() and bool(
            frozenset(self.victim.lower().split()) & words("events", "systems")
        )

    @property
    def clarity(self) -> tuple[int, ...]:
        """How clearly the mention names the event: the clearest one gives the event its words."""
        body = self.parse.sentence.paragraph.kind == "body"
        noun = not self.hit and self.parse.lows[self.first] != "one" and self.named
        return (body, noun, bool(self.victim) + (self.date is not None), self.systems, self.rank > 0, -self.start)

    @property
    def named(self) -> bool:
        """Whether it is a noun phrase ("a cyberattack on …"), and no verb."""
        return self.parse.lows[self.last - 1] not in words("events", "verbs") or self.last - 1 in self.parse.inside

    def what(self) -> tuple[int, int]:
        """Return the tokens of the phrase that names the event, cut at the clause's end."""
        first = self.first - (self.parse.lows[self.first] == "one")  # "the one recorded last July"
        return first, max(self.extent, self.last)


def before_verb(parse: Parse, subject: list[Phrase], verb: int) -> tuple[int, int]:
    """Return a passive's whole subject: "computer systems of the state police", "the border system BORA"."""
    first, stop = subject[0].first, verb
    before = parse.ending.get(first)
    if before is not None and before.kind == "thing" and before.head in words("events", "systems"):
        first = before.first
    elif (
        parse.lows[first - 1 : first]
        and parse.lows[first - 1].endswith(("ing", "ed"))
        and not is_verb(parse.lows[first - 1])
    ):
        before = parse.ending.get(first - 1)  # "an Albanian police transmitting system"
        first = before.first if before is not None and before.determiner else first
    while stop > subject[-1].last and parse.lows[stop - 1] in words("words", "aux") | words("words", "adverb") | {"to"}:
        stop -= 1
    if stop - first > 14 or {",", ";", "that", "which", "who"} & set(parse.lows[subject[-1].last : stop]):
        stop = subject[-1].last
    return first, stop


def victim_span(mention: Mention) -> tuple[int, int] | None:
    """Find what was hit: after "on", "against", "that targeted"; before "was hit by", "suffered"."""
    parse, lows = mention.parse, mention.parse.lows
    place = mention.last
    limit = min(len(lows), place + 14)
    act_verbs = words("sets", "acts_before_event")
    if lows[mention.first] == "one" and (suffered := _suffered_after(mention)) is not None:
        return suffered
    while place < limit:
        low = lows[place]
        if low == "on" and lows[max(0, mention.first - 1)] in words("sets", "blaming"):
            break  # "blamed the intrusion on S"
        if low == "similar":
            break
        if low == "into" and place - mention.last > 4:
            break
        if low == "in" and lows[place + 1 : place + 2] == ["which"]:
            return _in_which(parse, place + 2)
        if low in ("on", "against", "into") and place + 1 < len(lows) and not is_date_word(lows[place + 1]):
            stop = loose_end(parse, place + 1)
            if (
                low in ("on", "against", "into")
                and stop > place + 1
                and not lows[place + 1].isdigit()
                and not _is_medium(lows, place)
            ):
                again = lows[stop : stop + 3] == [",", "this", "time"] and lows[stop + 3 : stop + 4] in (
                    ["on"],
                    ["against"],
                )
                if again and loose_end(parse, stop + 4) > stop + 4:
                    return stop + 4, loose_end(parse, stop + 4)
                return place + 1, stop
        if low in words("events", "does") and place not in parse.inside:
            skip = place + 1 + (lows[place + 1 : place + 2] in (["down"], ["out"], ["offline"], ["off"]))
            stop = loose_end(parse, skip)
            if stop > skip:
                return skip, stop
        if low in (".", ";", "”") or low in words("speech", "verbs") or low in act_verbs:
            break
        place += 1
    recorded = _recorded_on(mention)
    if recorded is not None:
        return recorded
    for back in range(mention.first - 1, max(-1, mention.first - 9), -1):
        low = lows[back]
        if low in words("events", "heads") or low in (",", ";"):
            break
        passive = low in words("events", "hit") and "by" in lows[back : mention.first]
        if (
            passive
            or low in words("events", "suffered")
            or low in ("under",)
            or (low == "of" and "target" in lows[max(0, back - 2) : back])
        ):
            verb = back - 2 if low == "of" else back
            while verb and (
                lows[verb - 1] in words("sets", "before_hit")
                or lows[verb - 1] in '“"'
                or lows[verb - 1] in words("words", "aux")
            ):
                verb -= 1
            subject = subject_of(parse, verb)
            if subject and subject[-1].head not in ("who", "which"):
                return before_verb(parse, subject, verb)
            break
    return _suffered_after(mention)


def _recorded_on(mention: Mention) -> tuple[int, int] | None:
    """Read "another attack, …, was recorded last night on the BORA system"."""
    parse, lows = mention.parse, mention.parse.lows
    verb = next(
        (
            p
            for p in range(mention.last, len(lows))
            if lows[p] in words("sets", "recorded") and lows[p - 1] in ("was", "were")
        ),
        None,
    )
    if verb is None or any(low in words("events", "heads") for low in lows[mention.last : verb]):
        return None
    for place in range(verb + 1, min(len(lows) - 1, verb + 8)):
        if lows[place] in ("on", "against", "in") and not is_date_word(lows[place + 1]):
            stop = loose_end(parse, place + 1)
            systems = words("events", "systems") & set(lows[place + 1 : stop])
            return (place + 1, stop) if systems else None
    return None


def _in_which(parse: Parse, first: int) -> tuple[int, int] | None:
    """Read "in which many services had to be shut down"."""
    lows = parse.lows
    for place in range(first + 1, min(len(lows), first + 12)):
        if lows[place] in words("words", "aux"):
            hit = words("events", "hit") | words("events", "hits")
            return (first, place) if hit & set(lows[place : place + 6]) else None
        if lows[place] in words("events", "does") or not (lows[place][0].isalnum() or lows[place] in ("’s", "'s")):
            return None
    return None


def _suffered_after(mention: Mention) -> tuple[int, int] | None:
    """Read "the one that e-Albania suffered in July"."""
    lows = mention.parse.lows
    for place in range(mention.last, min(len(lows), mention.last + 10)):
        if lows[place] in words("events", "suffered"):
            subject = subject_of(mention.parse, place)
            if subject and subject[-1].first >= mention.last:
                return subject[0].first, subject[-1].last
    return None


def _is_medium(lows: list[str], place: int) -> bool:
    return bool(set(lows[place + 1 : place + 3]) & words("speech", "media"))


def is_date_word(low: str) -> bool:
    """Say whether "on X" tells a day (or a medium), and not what was hit."""
    return (
        low in words("words", "weekdays")
        or low in words("words", "months")
        or low in ("last", "this", "twitter", "x", "saturday")
    )


def loose_end(parse: Parse, first: int) -> int:
    """Return where a noun phrase of unlisted words ends that begins at `first`."""
    lows = parse.lows
    place = first
    while place < len(lows) and place < first + 14:
        low = lows[place]
        joined = (
            low == "and" and place > first and place + 1 < len(lows) and not lows[place + 1].endswith(("ed", "ing"))
        )
        if (
            joined
            and lows[place + 1] not in words("words", "aux")
            and lows[place + 1] not in words("words", "pronouns")
        ):
            place += 1
            continue
        mark = not low[0].isalnum() and low not in ("'s", "’s")
        if low == "," and (listed := _list_end(parse, place)):
            return listed
        goes_on = low == "of" or (low == "this" and place == first)
        if not goes_on and (mark or low in words("events", "stop") or is_date_word(low)):
            break
        adverb = low.endswith("ly") and place > first and low not in words("events", "allies")
        if low in ("earlier", "days", "hours") or adverb:
            break
        place += 1
    while place > first and lows[place - 1] in ("and", "'s", "’s", "of", "the"):
        place -= 1
    return place


def _list_end(parse: Parse, comma: int) -> int:
    """Return where "…, private and media websites" ends, for a list that begins before a comma (0: it is none)."""
    lows = parse.lows
    joined = 0
    if lows[comma + 1 : comma + 2] in (["a"], ["an"], ["the"], ["and"], ["or"]):
        return 0
    for place in range(comma + 1, min(len(lows), comma + 16)):
        low = lows[place]
        if low in ("and", "or"):
            joined = place
        elif low == ",":
            if joined:
                return place
        elif low in words("events", "stop") or not low[0].isalnum() or is_verb(low) or is_date_word(low):
            return place if joined and place - joined > 1 and lows[place - 1] in words("events", "systems") else 0
    return 0


def set_victim(mention: Mention, memory: Memory, first: int, last: int) -> None:
    """Take tokens `first` to `last` as what was hit; whose ally it is says nothing of that."""
    parse = mention.parse
    while (
        first < last
        and parse.lows[first] in ("its", "his", "her")
        and last - first > 1
        and _is_ally(parse, first, last)
    ):
        first += 1
    if _is_ally(parse, first, last):
        state = _state_in(parse, memory, first, min(len(parse.lows), last + 2))
        if state:
            mention.victim, mention.states = state, frozenset((state,))
        return
    mention.victim = memory.slice(parse, first, last)
    telling: set[str] = set()
    states: set[str] = set()
    for place in range(first, last):
        low = parse.lows[place]
        row = gazetteer().at(parse.lows[:last], place)
        if row is not None and parse.tokens[place].text[0].isupper():
            if row[1] != "body":
                states.add(row[0])
        elif low in memory.local and parse.tokens[place].text[0].isupper():
            states.add(memory.local[low])
        elif low[0].isalnum() and low not in words("events", "generic") and low not in words("words", "determiners"):
            telling.add(low.rstrip("s") if len(low) > 4 else low)
    phrase = parse.starting.get(first)
    if phrase is not None and not states and phrase.kind != "thing":
        actor = memory.resolve(parse, phrase)
        if actor.party and actor.name != actor.written:
            states.add(actor.party)
            if phrase.last == last:
                mention.victim = actor.name
                telling = set()
    mention.words, mention.states = frozenset(telling), frozenset(states)


def _is_ally(parse: Parse, first: int, last: int) -> bool:
    """Say whether the words only say whose ally was hit ("a NATO partner", "its member")."""
    found = parse.lows[first:last]
    return bool(words("events", "allies") & set(found)) and not words("events", "systems") & set(found)


def _state_in(parse: Parse, memory: Memory, first: int, last: int) -> str:
    """Return the state that is named beside the ally: "NATO ally Albania", "our NATO ally, Albania"."""
    for place in range(first, last):
        row = gazetteer().at(parse.lows[:last], place)
        if row is not None and row[1] == "name" and parse.tokens[place].text[0].isupper():
            after = parse.lows[place + row[2]] if place + row[2] < len(parse.lows) else ""
            if after not in words("events", "allies"):
                return row[0]
        elif parse.lows[place] in memory.local and parse.tokens[place].text[0].isupper():
            return memory.local[parse.lows[place]]
    return ""
