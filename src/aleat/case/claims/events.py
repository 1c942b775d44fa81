"""Alleged incidents: which mentions of attacks in a text speak of one event, and which of another.

Each mention ("a July 15 cyberattack that shut down services", "another attack on police systems", "the attack")
has what distinguishes it: a date, a victim, a word such as "second" or "earlier". Mentions are taken in the
order of the text; a date or victim that doesn't fit, or "another", makes a new event; a bare "the attack" joins
the last one. Nothing here is confirmed by being counted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from aleat.case.claims.clauses import subject_of
from aleat.case.claims.dates import DateMention, DocumentDates, find_dates
from aleat.case.claims.lexicon import words
from aleat.case.claims.parties import gazetteer
from aleat.case.claims.phrases import Parse, Phrase, is_verb
from aleat.case.claims.references import Memory

__all__ = ["MAX_EVENTS", "Event", "EventGatherer", "Mention"]

MAX_EVENTS = 100
_MONTH_DAY = re.compile(
    r"(?i)(?:(?P<a>\d{1,2})(?:st|nd|rd|th)?(?: of)? )?"
    r"(?P<m>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?(?: (?P<b>\d{1,2})(?!\d))?"
)


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
    plural: bool = False
    date: DateMention | None = None
    victim: str = ""
    words: frozenset[str] = frozenset()
    states: frozenset[str] = frozenset()
    effects: frozenset[str] = frozenset()

    @property
    def start(self) -> int:
        """Where the mention begins in the document."""
        return self.parse.tokens[self.first].start


@dataclass(slots=True)
class Event:
    """Mentions that speak of one alleged incident."""

    mentions: list[Mention] = field(default_factory=list)
    rank: int = 0
    dates: list[DateMention] = field(default_factory=list)
    words: set[str] = field(default_factory=set)
    states: set[str] = field(default_factory=set)
    effects: set[str] = field(default_factory=set)

    def add(self, mention: Mention) -> None:
        """Take a mention in, with what it says."""
        self.mentions.append(mention)
        self.rank = self.rank or mention.rank
        if mention.date is not None and mention.date.text not in {row.text for row in self.dates}:
            self.dates.append(mention.date)
        self.words |= mention.words
        self.states |= mention.states
        self.effects |= mention.effects

    @property
    def date(self) -> DateMention | None:
        """The date that settles most: resolved, and of the fewest days."""
        if not self.dates:
            return None
        return min(
            self.dates, key=lambda d: (d.first is None, (d.last - d.first).days if d.first and d.last else 0, d.start)
        )

    @property
    def victim(self) -> str:
        """The most telling name of what was hit."""
        named = [m for m in self.mentions if m.victim]
        if not named:
            return ""
        return max(
            named, key=lambda m: (len(m.words) > 0, m.parse.sentence.paragraph.kind == "body", len(m.words))
        ).victim


@dataclass(slots=True)
class EventGatherer:
    """Takes the sentences in their order, each while the memory stands where the text does; keeps the events."""

    known: DocumentDates
    events: list[Event] = field(default_factory=list)
    touched: int = -1

    def visit(self, parse: Parse, memory: Memory) -> None:
        """Read the mentions of one sentence."""
        lows = parse.lows
        if not any(
            low in words("events", "heads") or low in words("events", "verbs") or low == "cyber" for low in lows
        ):
            return
        dates = find_dates(memory.text, parse.sentence.start, parse.sentence.end, self.known, parse.sentence.quotes)
        for mention in _mentions(parse, memory, dates):
            place = _place(self.events, mention, self.touched)
            if parse.lows[mention.first] != "one":
                self.touched = place


# --- mentions --------------------------------------------------------------------------------------------------


def _mentions(parse: Parse, memory: Memory, dates: list[DateMention]) -> list[Mention]:
    found: list[Mention] = []
    for phrase in parse.phrases:
        if phrase.kind != "thing" or not _is_event(parse, phrase):
            continue
        mention = _of_phrase(parse, phrase, memory, dates)
        if mention is not None:
            found.append(mention)
    for index, low in enumerate(parse.lows):
        if low in words("events", "verbs") and index not in parse.inside:
            found += _of_verb(parse, index, memory, dates)
        elif found and _is_the_one(parse, index):
            mention = Mention(parse, index, index + 1, rank=1)
            _complete(mention, memory, dates)
            found.append(mention)
    return sorted(found, key=lambda row: row.first)


def _is_the_one(parse: Parse, index: int) -> bool:
    """Say whether "similar to the one that …" stands at a token."""
    if parse.lows[index] != "one" or not index or parse.lows[index - 1] != "the" or index + 1 >= len(parse.lows):
        return False
    return parse.lows[index + 1] in ("that", "which", "in", "on") or index + 1 in parse.starting


def _is_event(parse: Parse, phrase: Phrase) -> bool:
    if phrase.preposition == "to" and phrase.last - phrase.first == 1:  # "a tool to attack …"
        return False
    if phrase.head in words("events", "heads"):
        return parse.lows[phrase.last - 1] == phrase.head
    cyber = "cyber" in parse.lows[phrase.first : phrase.last]
    return cyber and phrase.head in words("events", "cyber_heads")


def _of_phrase(parse: Parse, phrase: Phrase, memory: Memory, dates: list[DateMention]) -> Mention | None:
    first, determiner = _reach_back(parse, phrase)
    inside = parse.lows[first : phrase.last]
    plural = phrase.head.endswith("s")
    if phrase.determiner in ("any", "no", "such", "other", "all", "every", "each", "some", "many"):
        return None
    follower = parse.lows[phrase.last] if phrase.last < len(parse.lows) else ""
    if follower in words("sets", "compounds"):
        return None
    if follower in words("nouns", "things") and phrase.last in parse.starting:
        return None
    mention = Mention(parse, first, phrase.last, plural=plural)
    if words("events", "third") & set(inside):
        mention.rank = 3
    elif words("events", "later") & set(inside) or determiner == "another" or follower == "similar":
        mention.rank = 2
    elif words("events", "first") & set(inside):
        mention.rank = 1
    mention.indefinite = determiner in ("a", "an", "another") or (not determiner and phrase.possessor_end is None)
    _complete(mention, memory, dates)
    mention.bare = not mention.rank and not mention.date and not mention.words and not mention.indefinite
    if plural and mention.indefinite and not (mention.date or mention.rank):
        return None
    return mention


def _reach_back(parse: Parse, phrase: Phrase) -> tuple[int, str]:
    """Return where a mention begins, with "the", "2nd", "massive" before its noun, and its determiner."""
    first, determiner = phrase.first, phrase.determiner
    while first and not determiner and phrase.first - first < 4:
        low = parse.lows[first - 1]
        if low in ("the", "a", "an", "another", "this", "that"):
            return first - 1, low
        ranked = low in words("events", "first") | words("events", "later") | words("events", "third")
        if not ranked and (
            not low[0].isalpha() or is_verb(low) or low in words("words", "prepositions") or (first - 1) in parse.inside
        ):
            break
        if not ranked and (
            low in words("words", "adverb") or low in words("words", "conjunctions") or low.endswith(("ed", "ing"))
        ):
            break
        first -= 1
    kept = next(
        (
            i
            for i in range(first, phrase.first)
            if parse.lows[i] in words("events", "first") | words("events", "later") | words("events", "third")
        ),
        phrase.first,
    )
    return kept, determiner


def _of_verb(parse: Parse, index: int, memory: Memory, dates: list[DateMention]) -> list[Mention]:
    low_before = parse.lows[index - 1] if index else ""
    if low_before in ("was", "were", "been", "be", "being", "to") or low_before.endswith("n't") or low_before == "not":
        passive = low_before in ("was", "were", "been")
        if not passive or "by" in parse.lows[index : index + 5]:
            return []
        subject = subject_of(parse, index)
        mention = Mention(parse, index, index + 1, indefinite=True)
        if not subject:
            return []
        _set_victim(mention, memory, subject[0].first, subject[-1].last)
    else:
        mention = Mention(parse, index, index + 1, indefinite=True)
        stop = _loose_end(parse, index + 1)
        if stop == index + 1:
            return []
        _set_victim(mention, memory, index + 1, stop)
    mention.date = _date_for(mention, dates)
    return [mention] if mention.words or mention.states else []


def _complete(mention: Mention, memory: Memory, dates: list[DateMention]) -> None:
    mention.date = _date_for(mention, dates)
    span = _victim_span(mention)
    if span is not None:
        _set_victim(mention, memory, *span)
    parse = mention.parse
    stop = min(len(parse.lows), mention.last + 40)
    for place in range(mention.last, stop):
        if place > mention.last and parse.lows[place] in words("events", "heads") and place in parse.inside:
            stop = place
            break
    around = range(max(0, mention.first - 14), stop)
    mention.effects = frozenset(parse.lows[place] for place in around)


def _date_for(mention: Mention, dates: list[DateMention]) -> DateMention | None:
    parse, tokens = mention.parse, mention.parse.tokens
    start, end = tokens[mention.first].start, tokens[mention.last - 1].end
    for row in dates:
        if start <= row.start < end:
            return row
    determined = parse.lows[mention.first] in ("the", "this", "that")
    if (
        determined
        and mention.last - mention.first <= 2
        and not mention.rank
        and mention.first
        and parse.lows[mention.first - 1] not in ("of",)
    ):
        after = parse.lows[mention.last] if mention.last < len(parse.lows) else ""
        if after in ("on", "in", "last", "this", ",", ".") or after in words("words", "weekdays"):
            return None  # "condemned the attack on Tuesday": the date is the condemnation's
    barrier = words("speech", "verbs") | words("nouns", "accusation")
    for row in dates:
        if row.start < end:
            continue
        between = [t.low for t in tokens[mention.last :] if t.start < row.start]
        clause = sum(1 for low in between if low in (",", ";", "—"))
        relative = between[:2] == [",", "which"] or between[:1] == ["which"] or between[:1] == ["that"]
        heads = any(low in words("events", "heads") for low in between)
        if (
            len(between) <= (16 if relative else 9)
            and clause <= (1 if relative else 0)
            and not heads
            and not barrier & set(between)
        ):
            return row
        break
    before = [row for row in dates if row.end <= start]
    if before:
        between = [t.low for t in tokens[: mention.first] if t.start >= before[-1].end]
        if len(between) <= 3 and not barrier & set(between) and "," not in between and "that" not in between:
            return before[-1]
        if before[-1].start - tokens[0].start <= 12 and _opens(mention, before[-1], barrier):
            return before[-1]
    return None


def _opens(mention: Mention, row: DateMention, barrier: frozenset[str]) -> bool:
    """Say whether a sentence opens with the date of the attack: "In July, a cyberattack shut down …"."""
    between = [t.low for t in mention.parse.tokens[: mention.first] if t.start >= row.end]
    acts = words("sets", "acts_before_event")
    return len(between) <= 12 and not barrier & set(between) and not acts & set(between)


def _victim_span(mention: Mention) -> tuple[int, int] | None:
    """Find what was hit: after "on", "against", "that targeted"; before "was hit by", "suffered"."""
    parse, lows = mention.parse, mention.parse.lows
    place = mention.last
    limit = min(len(lows), place + 14)
    act_verbs = words("sets", "acts_before_event")
    while place < limit:
        low = lows[place]
        if low == "on" and lows[max(0, mention.first - 1)] in words("sets", "blaming"):
            break  # "blamed the intrusion on S"
        if low in ("on", "against", "into") and place + 1 < len(lows) and not _is_date_word(lows[place + 1]):
            stop = _loose_end(parse, place + 1)
            if (
                low in ("on", "against", "into")
                and stop > place + 1
                and not lows[place + 1].isdigit()
                and not _is_medium(lows, place)
            ):
                return place + 1, stop
        if low in words("events", "does") and place not in parse.inside:
            skip = place + 1 + (lows[place + 1 : place + 2] in (["down"], ["out"], ["offline"], ["off"]))
            stop = _loose_end(parse, skip)
            if stop > skip:
                return skip, stop
        if low in (".", ";", "”") or low in words("speech", "verbs") or low in act_verbs:
            break
        place += 1
    for back in range(mention.first - 1, max(-1, mention.first - 9), -1):
        low = lows[back]
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
                last = (
                    verb
                    if subject[-1].last <= verb <= subject[-1].last + 8 and "," not in lows[subject[-1].last : verb]
                    else subject[-1].last
                )
                return subject[0].first, last
            break
    return _suffered_after(mention)


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


def _is_date_word(low: str) -> bool:
    return (
        low in words("words", "weekdays")
        or low in words("words", "months")
        or low in ("last", "this", "twitter", "x", "saturday")
    )


def _loose_end(parse: Parse, first: int) -> int:
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
        goes_on = low == "of" or (low == "this" and place == first)
        if not goes_on and (mark or low in words("events", "stop") or _is_date_word(low)):
            break
        if low in ("earlier", "days", "hours") or (low.endswith("ly") and place > first):
            break
        place += 1
    while place > first and lows[place - 1] in ("and", "'s", "’s", "of", "the"):
        place -= 1
    return place


def _set_victim(mention: Mention, memory: Memory, first: int, last: int) -> None:
    parse = mention.parse
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


# --- events ----------------------------------------------------------------------------------------------------


def _month_day(row: DateMention) -> tuple[int | None, int | None, str]:
    """Return month and day as far as written or settled, else the words themselves."""
    if row.first is not None and row.last is not None:
        return row.first.month, row.first.day if row.first == row.last else None, ""
    match = _MONTH_DAY.search(row.text)
    if match:
        day = match.group("a") or match.group("b")
        names = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
        return names.index(match.group("m").lower()) + 1, int(day) if day else None, ""
    return None, None, row.text.lower()


def _dates_fit(one: DateMention, other: DateMention) -> int:
    """Return 1 where two dates agree, -1 where they can't, 0 where the text doesn't say."""
    if one.first and other.first and one.last and other.last:
        return 1 if one.first <= other.last and other.first <= one.last else -1
    a, b = _month_day(one), _month_day(other)
    if a[0] and b[0]:
        if a[0] != b[0]:
            return -1
        return -1 if a[1] and b[1] and a[1] != b[1] else 1
    if a[2] and b[2]:
        return 1 if a[2] == b[2] else 0
    return 0


def _score(event: Event, mention: Mention, *, touched: bool, newest: bool) -> int | None:
    """Say how well a mention fits an event (None: not at all)."""
    score = 0
    if mention.date is not None and event.dates:
        fits = [_dates_fit(mention.date, row) for row in event.dates]
        if -1 in fits:
            return None
        score += 3 * max(fits)
    if mention.states and event.states:
        if not mention.states & event.states:
            return None
        score += 1
    if mention.words and event.words:
        score += 2 if mention.words & event.words else -2
    if mention.rank and event.rank:
        if mention.rank != event.rank:
            return None
        score += 2
    elif mention.rank >= 2:
        definite = not mention.indefinite
        if not definite or score <= 0:
            return None if not (definite and score >= 0 and newest) else score
    elif mention.rank == 1:
        score += 0 if event.rank == 0 else -1
    elif event.rank >= 2 and mention.indefinite and score <= 0:
        return score - 1
    return score + (1 if touched and mention.bare else 0)


def _place(events: list[Event], mention: Mention, touched: int) -> int:
    """Put a mention into the event that it fits best, or into a new one; return that event's position."""
    scored = []
    for position, event in enumerate(events):
        value = _score(event, mention, touched=position == touched, newest=position == len(events) - 1)
        if value is not None and value >= 0:
            scored.append((value, position == touched, position))
    if scored:
        best = max(scored)[2]
        events[best].add(mention)
        return best
    if mention.bare or len(events) >= MAX_EVENTS:
        return touched
    event = Event()
    event.add(mention)
    events.append(event)
    return len(events) - 1
