"""Alleged incidents: which mentions of attacks in a text speak of one event, and which of another.

Each mention ("a July 15 cyberattack that shut down services", "another attack on police systems", "the attack")
has what distinguishes it: a date, a victim, a word such as "second" or "earlier". Mentions are taken in the
order of the text; a date or victim that doesn't fit, or "another", makes a new event; a bare "the attack" joins
the last one. Nothing here is confirmed by being counted.
"""

# Guard clauses, one a way in which a wording can be something else: hence the many returns.
# ruff: noqa: PLR0911

from __future__ import annotations

import re
from dataclasses import dataclass, field

from aleat.case.claims.clauses import subject_of
from aleat.case.claims.dates import DateMention, DocumentDates, find_dates
from aleat.case.claims.lexicon import words
from aleat.case.claims.parties import gazetteer
from aleat.case.claims.phrases import Parse, Phrase, is_verb
from aleat.case.claims.references import Memory
from aleat.case.claims.victims import Mention, before_verb, is_date_word, loose_end, set_victim, victim_span

__all__ = ["MAX_EVENTS", "Event", "EventGatherer", "Mention"]

MAX_EVENTS = 100
_LIMITS = frozenset((",", ";", ":", "—", "–", "which", "it", "they", "he", "she", "“"))
_LINKS = frozenset(("on", "in", "of", "the", "at", "from", "last"))
_MONTH_DAY = re.compile(
    r"(?i)(?:(?P<a>\d{1,2})(?:st|nd|rd|th)?(?: of)? )?"
    r"(?P<m>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?(?: (?P<b>\d{1,2})(?!\d))?"
)


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
            self.dates,
            key=lambda d: (
                d.first is None,
                (d.last - d.first).days if d.first and d.last else 0,
                not any(letter.isdigit() for letter in d.text),
                _month_day(d)[0] is None,
                d.start,
            ),
        )

    @property
    def victim(self) -> str:
        """The most telling name of what was hit."""
        named = self.named
        return named[0].victim if named else ""

    @property
    def named(self) -> list[Mention]:
        """The mentions that name what was hit, the most telling first."""
        found = [m for m in self.mentions if m.victim]
        return sorted(
            found,
            key=lambda m: (
                not m.systems,
                not m.words,
                m.parse.sentence.paragraph.kind != "body",
                -len(m.words),
                m.start,
            ),
        )


@dataclass(slots=True)
class EventGatherer:
    """Takes the sentences in their order, each while the memory stands where the text does; keeps the events."""

    known: DocumentDates
    events: list[Event] = field(default_factory=list)
    touched: int = -1
    at: int = -9
    """The sentence (its number) that spoke of the event `touched`."""

    def visit(self, parse: Parse, memory: Memory) -> None:
        """Read the mentions of one sentence."""
        lows = parse.lows
        if not any(
            low in words("events", "heads")
            or low in words("events", "verbs")
            or low in words("events", "hits")
            or low == "cyber"
            for low in lows
        ):
            return
        dates = find_dates(memory.text, parse.sentence.start, parse.sentence.end, self.known, parse.sentence.quotes)
        for mention in _mentions(parse, memory, dates):
            near = parse.sentence.number - self.at <= 1
            if mention.hit:
                if near and self.touched >= 0 and _tells_more(self.events[self.touched], mention):
                    self.events[self.touched].add(mention)
                continue
            if near and not mention.named and self.touched >= 0 and not self.events[self.touched].victim:
                self.events[self.touched].add(mention)  # "a second attack. The police's computers were attacked"
                continue
            place = _place(self.events, mention, self.touched)
            if parse.lows[mention.first] != "one":
                self.touched, self.at = place, parse.sentence.number


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
        elif low in words("events", "hits") and index not in parse.inside:
            found += _of_hit(parse, index, memory, dates)
        elif found and _is_the_one(parse, index):
            mention = Mention(parse, index, index + 1, rank=1)
            _complete(mention, memory, dates)
            found.append(mention)
    return sorted(found, key=lambda row: row.first)


def _is_the_one(parse: Parse, index: int) -> bool:
    """Say whether "similar to the one that …" stands at a token."""
    if parse.lows[index] != "one" or not index or parse.lows[index - 1] != "the" or index + 1 >= len(parse.lows):
        return False
    after = parse.lows[index + 1]
    return after in words("sets", "after_the_one") or index + 1 in parse.starting


def _is_event(parse: Parse, phrase: Phrase) -> bool:
    if phrase.preposition == "to" and phrase.last - phrase.first == 1:  # "a tool to attack …"
        return False
    if phrase.head in words("events", "heads"):
        return parse.lows[phrase.last - 1] == phrase.head
    cyber = "cyber" in parse.lows[phrase.first : phrase.last]
    return cyber and phrase.head in words("events", "cyber_heads")


def _of_phrase(parse: Parse, phrase: Phrase, memory: Memory, dates: list[DateMention]) -> Mention | None:
    first, determiner = _reach_back(parse, phrase)
    if _is_infinitive(parse, phrase, determiner):
        return None
    inside = parse.lows[first : phrase.last]
    plural = phrase.head.endswith("s")
    if phrase.determiner in ("any", "no", "such", "other", "all", "every", "each", "some", "many"):
        return None
    follower = parse.lows[phrase.last] if phrase.last < len(parse.lows) else ""
    if follower in words("sets", "compounds"):
        return None
    if follower in words("nouns", "things") and phrase.last in parse.starting:
        return None
    if determiner in ("a", "an", "any", "another") and "no" in parse.lows[max(0, first - 4) : first]:
        return None  # "no evidence of a second intrusion"
    mention = Mention(parse, first, phrase.last, plural=plural)
    if words("events", "third") & set(inside):
        mention.rank = 3
    elif words("events", "later") & set(inside) or determiner == "another" or follower == "similar":
        mention.rank = 2
    elif words("events", "first") & set(inside):
        mention.rank = 1
    mention.indefinite = determiner in ("a", "an", "another") or (not determiner and phrase.possessor_end is None)
    if mention.indefinite and mention.rank < 2 and _is_predicate(parse, first - 1):
        mention.indefinite = False
    _complete(mention, memory, dates)
    _name_words(mention, phrase, memory)
    after = parse.lows[mention.extent : mention.extent + 2]
    if after[:1] == ["and"] and mention.extent + 1 in parse.starting and mention.extent == mention.last:
        other = parse.starting[mention.extent + 1]
        mention.extent = other.last if other.kind == "thing" and _is_event(parse, other) else mention.extent
    mention.definite = determiner in ("the", "this", "that") and not plural
    mention.bare = not mention.rank and not mention.date and not mention.words and not mention.indefinite
    if plural and mention.indefinite and not (mention.date or mention.rank or mention.states):
        return None
    return mention


def _is_infinitive(parse: Parse, phrase: Phrase, determiner: str) -> bool:
    """Say whether the noun is a verb here: "to paralyse services and hack into records"."""
    if determiner or phrase.last - phrase.first > 1 or phrase.head not in ("hack", "attack", "breach", "raid", "leak"):
        return False
    before = parse.lows[phrase.first - 1] if phrase.first else ""
    after = parse.lows[phrase.last] if phrase.last < len(parse.lows) else ""
    joined = before in ("and", "or", ",", "to") or before in words("words", "modal") or before == "will"
    return joined and (after == "into" or after in words("words", "determiners") or phrase.last in parse.starting)


def _is_predicate(parse: Parse, index: int) -> bool:
    """Say whether "it was" stands before "a massive attack": the attack that was spoken of."""
    if parse.lows[index] in words("words", "determiners"):
        index -= 1
    while index > 0 and parse.lows[index] in words("words", "adverb"):
        index -= 1
    return index > 0 and parse.lows[index] in words("words", "be") and parse.lows[index - 1] in ("it", "this", "that")


def _name_words(mention: Mention, phrase: Phrase, memory: Memory) -> None:
    """Take a name before the noun as what was hit ("the Viasat cyberattack"); a state's name is who did it."""
    parse = mention.parse
    for place in range(phrase.first, phrase.last - 1):
        token = parse.tokens[place]
        named = token.text[0].isupper() and token.low.isalpha() and place > 0
        if not named or token.low in memory.local or gazetteer().at(parse.lows, place) is not None:
            continue
        if (
            is_date_word(token.low)
            or token.low in words("words", "determiners")
            or token.low in words("events", "plain")
        ):
            continue
        mention.words |= {token.low}


def _of_hit(parse: Parse, index: int, memory: Memory, dates: list[DateMention]) -> list[Mention]:
    """Read "its border system had been taken down": what else was hit."""
    before = parse.lows[index - 1] if index else ""
    if before not in ("was", "were", "been", "be") or "by" in parse.lows[index : index + 4]:
        return []
    if before == "be" and parse.lows[index - 2 : index - 1] != ["to"]:
        return []
    if parse.lows[index] in ("taken", "shut", "brought", "closed") and not (
        {"down", "offline"} & set(parse.lows[index + 1 : index + 3])
    ):
        return []
    subject = subject_of(parse, index)
    if not subject or subject[-1].kind == "pronoun":
        return []
    first, stop = before_verb(parse, subject, index)
    if not frozenset(parse.lows[first:stop]) & words("events", "systems"):
        return []
    mention = Mention(parse, index, index + 1, bare=True, hit=True)
    set_victim(mention, memory, first, stop)
    mention.effects = frozenset(parse.lows[first : index + 4])
    return [mention] if mention.victim else []


def _tells_more(event: Event, mention: Mention) -> bool:
    return not (mention.states and event.states and not mention.states & event.states)


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
        span = before_verb(parse, subject, index)
        if parse.lows[span[0]] in words("words", "pronouns") or parse.lows[span[0]] in words("words", "relative"):
            return []
        set_victim(mention, memory, *span)
        mention.first, mention.extent = span[0], index + 1
    else:
        mention = Mention(parse, index, index + 1, indefinite=True)
        stop = loose_end(parse, index + 1)
        if stop == index + 1:
            return []
        set_victim(mention, memory, index + 1, stop)
        mention.extent = stop
    mention.date = _date_for(mention, dates)
    mention.effects = frozenset(parse.lows[max(0, mention.first - 2) : mention.extent + 14])
    return [mention] if mention.words or mention.states else []


def _complete(mention: Mention, memory: Memory, dates: list[DateMention]) -> None:
    mention.date = _date_for(mention, dates)
    span = victim_span(mention)
    parse = mention.parse
    mention.extent = mention.last
    if span is not None:
        set_victim(mention, memory, *span)
        between = parse.lows[mention.last : span[0]]
        apposed = between[:1] == [","] and between[1:2] in (["on"], ["against"])
        near = len(between) <= 6 and (apposed or not _LIMITS & set(between))
        if mention.victim and span[0] > mention.last and near:
            mention.extent = span[1]
    if mention.date is not None:
        start = mention.date.start
        gap = [t.low for t in parse.tokens[mention.extent : mention.extent + 3] if t.start < start]
        last = sum(1 for t in parse.tokens if t.start < mention.date.end)
        if start > parse.tokens[mention.extent - 1].start and len(gap) < 3 and set(gap) <= _LINKS and last:
            mention.extent = max(mention.extent, last)
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
        dated = after != "on" or mention.last + 1 >= len(parse.lows) or is_date_word(parse.lows[mention.last + 1])
        if (dated and after in ("on", "in", "last", "this", ",", ".")) or after in words("words", "weekdays"):
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
        if len(between) <= 3 and not (barrier | {",", "that", "over", "after", "for", "following"}) & set(between):
            return before[-1]
        place = sum(1 for t in tokens if t.start < before[-1].start)
        opening = before[-1].start - tokens[0].start <= 12 or (place and tokens[place - 1].low == "that")
        if opening and _opens(mention, before[-1], barrier):
            return before[-1]
    return None


def _opens(mention: Mention, row: DateMention, barrier: frozenset[str]) -> bool:
    """Say whether a sentence opens with the date of the attack: "In July, a cyberattack shut down …"."""
    between = [t.low for t in mention.parse.tokens[: mention.first] if t.start >= row.end]
    if between[:1] == [","] and between[2:4] == ["said", ","]:
        between = between[4:]  # "The evening before, it said, …"
    barrier = barrier - {"found"} if ["found", "to"] in [between[i : i + 2] for i in range(len(between))] else barrier
    acts = words("sets", "acts_before_event")
    return len(between) <= 12 and not barrier & set(between) and not acts & set(between)


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
    calendar = mention.date is not None and _month_day(mention.date)[0] is not None
    if event.rank >= 2 and not mention.rank and calendar and not event.dates:
        return None  # "another attack …": what is dated later without a word of it is the one before
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
        same = touched and mention.definite and not (mention.rank or mention.date)
        score += 2 if mention.words & event.words else (0 if same else -2)
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
