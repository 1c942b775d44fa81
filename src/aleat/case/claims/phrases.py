"""Noun phrases of a sentence: who could have done something, and what it was done to.

There is no part-of-speech tagger here, on purpose: agencies write about states, ministries and attacks with a
small stock of nouns, and a chunker over that stock, capitals and closed-class words is linear, explainable,
and needs no model. What it does not know it leaves alone.
"""

# Guard clauses, one a way in which a wording can be something else: hence the many returns.
# ruff: noqa: PLR0911

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from aleat.case.claims.lexicon import frames_of, words
from aleat.case.claims.parties import gazetteer
from aleat.case.claims.text import Sentence, Token

__all__ = ["Parse", "Phrase", "is_verb", "learn_names", "parse"]

_OF_HEADS = words("sets", "of_heads")
_FOR_HEADS = words("sets", "for_heads")
_NAME_LINKS = words("sets", "name_links")
_ADJECTIVE_ENDS = ("-backed", "-linked", "-sponsored", "-based", "-led", "-speaking", "-aligned", "-affiliated", "-run")
_NOT_NAMES = frozenset(["i"])
_NOUN_OR_VERB = words("sets", "noun_or_verb")


@dataclass(slots=True)
class Phrase:
    """Tokens `first` to `last` (exclusive): an "actor", a "thing" or a "pronoun".

    `preposition` is the word that governs it ("by", "of", …), or empty. `possessor` is the phrase before
    ``'s``, where there is one (a part of this phrase). `party` is the state or body it speaks for, if named in it.
    """

    first: int
    last: int
    kind: str
    head: str
    preposition: str = ""
    party: str = ""
    via: str = ""
    possessor_end: int | None = None
    determiner: str = ""


@dataclass(slots=True)
class Parse:
    """A sentence with its noun phrases."""

    sentence: Sentence
    lows: list[str]
    phrases: list[Phrase]
    ending: dict[int, Phrase] = field(default_factory=dict)
    starting: dict[int, Phrase] = field(default_factory=dict)
    inside: dict[int, Phrase] = field(default_factory=dict)

    @property
    def tokens(self) -> list[Token]:
        """The sentence's tokens."""
        return self.sentence.tokens


def is_verb(low: str) -> bool:
    """Say whether a word is a verb form that the lexicon knows, or an auxiliary."""
    return low in words("words", "aux") or low in frames_of() or low in words("speech", "verbs")


def learn_names(found: Sequence[Sentence]) -> frozenset[str]:
    """Return the words that the prose writes with a capital in the middle of a sentence: its names."""
    names: set[str] = set()
    for sentence in found:
        if sentence.paragraph.kind != "body":
            continue
        for before, token in zip(sentence.tokens, sentence.tokens[1:], strict=False):
            if token.text[0].isupper() and before.low[-1].isalnum():
                names.add(token.low)
    return frozenset(names)


class _Chunker:
    """Walks over a sentence once and cuts out its noun phrases."""

    def __init__(self, sentence: Sentence, names: frozenset[str]) -> None:
        self.tokens = sentence.tokens
        self.lows = [token.low for token in sentence.tokens]
        self.names = names
        self.title_case = sentence.paragraph.kind == "headline"
        self.gaz = gazetteer()
        self.dates = words("words", "months") | words("words", "weekdays")
        self.actors, self.things = words("nouns", "actors"), words("nouns", "things") | words("nouns", "event")
        self.adjectives = words("nouns", "actor_adjectives")
        self.closed = (
            words("words", "prepositions")
            | words("words", "conjunctions")
            | words("words", "subordinators")
            | words("words", "relative")
            | words("words", "aux")
            | words("words", "adverb")
            | words("words", "determiners")
            | words("words", "pronouns")
            | words("words", "negative")
        )

    def is_name(self, index: int) -> bool:
        token = self.tokens[index]
        if not token.text[0].isupper() or token.low in self.dates or token.low in self.closed | _NOT_NAMES:
            return token.text in ("US", "IT") and token.text == "US"
        if token.low in self.gaz.heads:
            return True
        if self.title_case:
            return token.low in self.names or (len(token.text) > 1 and token.text.isupper())
        if index == 0 or self.tokens[index - 1].text in "“\"\u2018'«(":
            return token.low in self.names or not (is_verb(token.low) or token.low.endswith(("ing", "ed", "ly")))
        return True

    def member(self, index: int) -> str:
        """Return what a token can be in a phrase: "name", "actor", "thing", "adjective", or ""."""
        low = self.lows[index]
        if low in ("service", "services") and index and self.lows[index - 1] in words("sets", "secret_services"):
            return "actor"
        if low in self.things:
            return "name" if self.in_a_name(index) else "thing"
        if low in self.actors:
            return "actor"
        if low in self.adjectives or low.endswith(_ADJECTIVE_ENDS):
            return "adjective"
        if self.is_name(index):
            return "name"
        if low in _NAME_LINKS and self.tokens[index].text.islower() and index + 1 < len(self.lows):
            after = self.tokens[index + 1].text
            return "name" if after[0].isupper() and index and self.tokens[index - 1].text[0].isupper() else ""
        return ""

    def in_a_name(self, index: int) -> bool:
        """Say whether a common noun is part of a name here, by its capital and its neighbour's ("Night Ferrymen")."""
        if self.title_case or not self.tokens[index].text[0].isupper() or not index:
            return False
        after = self.tokens[index + 1].text if index + 1 < len(self.tokens) else ""
        return after[:1].isupper() and self.tokens[index + 1].low not in self.gaz.heads

    def run(self) -> list[Phrase]:
        found: list[Phrase] = []
        index = 0
        while index < len(self.lows):
            phrase = self.phrase_at(index)
            if phrase is None:
                index += 1
                continue
            before = self.lows[phrase.first - 1] if phrase.first else ""
            if before in words("words", "prepositions"):
                phrase.preposition = before
            found.append(phrase)
            index = phrase.last
        return found

    def phrase_at(self, start: int) -> Phrase | None:
        low = self.lows[start]
        if low in ("he", "she", "it", "they", "we", "i"):
            return Phrase(start, start + 1, "pronoun", low)
        index, determiner = start, ""
        if low in words("words", "determiners") and self.tokens[start].text != "US":
            determiner, index = low, start + 1
            if low == "that" and not (self.member_at(index) == "thing" and not self.lows[index].endswith("s")):
                return None
            index = self.skip_unknown(index)
            if index >= len(self.lows) or not self.member(index):
                return None
        elif not self.member(start):
            return None
        return self.extend(start, index, determiner)

    def member_at(self, index: int) -> str:
        return self.member(index) if index < len(self.lows) else ""

    def verb_here(self, index: int) -> bool:
        """Say whether a noun of the lexicon is rather a verb here: "Albania claims that"."""
        if self.lows[index] not in _NOUN_OR_VERB or index + 1 >= len(self.lows):
            return False
        low = self.lows[index + 1]
        return (
            low in words("words", "determiners")
            or low in words("words", "pronouns")
            or low
            in (
                "responsibility",
                "that",
                "second",
                "new",
                "another",
                "major",
                "credit",
                "help",
                "support",
                "cyber",
                "2nd",
                "third",
            )
            or self.member(index + 1) == "name"
        )

    def skip_unknown(self, index: int) -> int:
        """Step over adjectives nobody listed, between a determiner and a noun of the lexicon (at most three)."""
        for ahead in range(4):
            place = index + ahead
            if place >= len(self.lows):
                return index
            if self.member(place):
                return place
            low = self.lows[place]
            ranked = low in words("events", "first") | words("events", "later")
            if not low[0].isalnum() or (low in self.closed and not ranked):
                return index
            if low in frames_of() and not low.endswith("ed"):
                return index
        return index

    def extend(self, start: int, index: int, determiner: str) -> Phrase | None:
        kind = head = ""
        possessor_end = None
        last = index
        while index < len(self.lows):
            what = self.member(index)
            if what and head and self.verb_here(index):
                break
            if what:
                if head and what == "adjective" and self.lows[index] not in self.adjectives:
                    what = "adjective"
                if kind == "thing" and what == "name" and last == index and head not in ("police", "intelligence"):
                    break  # "cyberattack Iran …": a new phrase
                kind = what if what != "adjective" else kind or "adjective"
                head, index = self.lows[index], index + 1
                last = index
                continue
            step = self.link(index, head, kind)
            if not step:
                break
            if self.lows[index] in ("'s", "’s", "'"):
                possessor_end = index
                kind = ""
            index += step
        if kind in ("", "adjective"):
            if kind == "adjective" and determiner and head in ("same", "former", "latter", "accused", "alleged"):
                return None
            if not any(self.member(place) in ("name", "actor") for place in range(start, last)):
                return None
            if possessor_end is not None and last <= possessor_end:
                possessor_end = None
            kind = "actor"
        if possessor_end is not None and last <= possessor_end:
            possessor_end = None
        phrase = Phrase(start, last, "thing" if kind == "thing" else "actor", self.head_of(start, last, head))
        phrase.possessor_end, phrase.determiner = possessor_end, determiner
        self.set_party(phrase)
        return phrase

    def head_of(self, start: int, last: int, head: str) -> str:
        for place in range(start, last):
            if self.lows[place] in ("of", "for") and place > start:
                return self.lows[place - 1]
        return head

    def link(self, index: int, head: str, kind: str) -> int:
        """Return how many tokens join this phrase with what follows (0: none)."""
        low = self.lows[index]
        more = index + 1 < len(self.lows)
        if not more:
            return 0
        nxt = self.member(index + 1)
        if (
            low == "."
            and self.tokens[index - 1].end == self.tokens[index].start
            and self.tokens[index + 1].text[0].isupper()
        ):
            titled = head in words("sets", "titles") or (len(head) == 1 and self.tokens[index - 1].text.isupper())
            return 1 if titled and (nxt or len(self.tokens[index + 1].text) == 1) else 0
        if low in ("'s", "’s") or (low in ("'", "’") and head.endswith("s")):
            if nxt:
                return 1
            return 2 + self._gap(index + 2) if self.unknown_then_member(index + 1) else 0
        if kind == "thing":
            return 0
        if (low == "of" and head in _OF_HEADS) or (low == "for" and head in _FOR_HEADS):
            if nxt in ("name", "actor", "adjective"):
                return 1
            if self.lows[index + 1] in ("the", "its", "his", "their", "a") and index + 2 < len(self.lows):
                return 2 if self.member(index + 2) in ("name", "actor", "adjective") else 0
            return 0
        if low in ("and", "&") and kind in ("name", "actor"):
            return 1 if nxt in ("name", "actor") and self.inside_name(index) else 0
        if low == "and" and kind == "adjective":
            named = self.tokens[index - 1].text[0].isupper() and nxt in ("name", "actor") and self.inside_name(index)
            return 1 if nxt == "adjective" or named else 0
        return 0

    def unknown_then_member(self, index: int) -> bool:
        place = self.skip_unknown(index)
        return place > index and place < len(self.lows) and bool(self.member(place))

    def _gap(self, index: int) -> int:
        return max(0, self.skip_unknown(index) - index) if index < len(self.lows) else 0

    def inside_name(self, index: int) -> bool:
        """Say whether "and" stands inside one name: "Ministry of Intelligence and Security", "Trinidad and Tobago"."""
        for back in range(1, 5):
            if index - back < 0 or not (self.member(index - back) or self.lows[index - back] in ("of", "for")):
                break
            if self.lows[index - back] in ("of", "for"):
                return self.lows[index - back - 1] in _OF_HEADS | _FOR_HEADS and not self.gaz.at(self.lows, index + 1)
        bodies = words("sets", "body_nouns")
        for place in range(index + 1, min(index + 5, len(self.lows))):
            if place > index + 1 and self.lows[place] in bodies:
                return not self.gaz.at(self.lows, index + 1)
            if not self.tokens[place].text[0].isupper():
                break
        return any(
            (row := self.gaz.at(self.lows, index - back)) is not None and row[2] > back
            for back in range(1, 4)
            if index >= back
        )

    def set_party(self, phrase: Phrase) -> None:
        place = phrase.first
        stop = phrase.last if phrase.kind == "actor" else phrase.possessor_end or phrase.last
        while place < stop:
            row = self.gaz.at(self.lows[:stop], place)
            if row is None:
                place += 1
                continue
            party, via, size = row
            if self.tokens[place].text[0].isupper() and not self._is_person_name(place, size, stop):
                after = self.lows[place + size] if place + size < stop else ""
                if after not in ("member", "members", "ally", "allies", "country", "countries", "candidate", "partner"):
                    phrase.party, phrase.via = party, via
                    return
            place += size

    def _is_person_name(self, place: int, size: int, stop: int) -> bool:
        """Say whether a state's name is a person's first name here ("Jordan Smith", "Paris Hill")."""
        after = place + size
        if after >= stop or self.lows[after] in ("'s", "’s", "'"):
            return False
        row = self.gaz.at(self.lows, place)
        single = size == 1 and row is not None and row[1] in ("name", "capital")
        return single and self.member(after) == "name" and self.lows[after] not in self.gaz.heads


def parse(sentence: Sentence, names: frozenset[str]) -> Parse:
    """Find the noun phrases of a sentence; `names` are the document's (see `learn_names`)."""
    chunker = _Chunker(sentence, names)
    found = chunker.run()
    result = Parse(sentence, chunker.lows, found)
    for phrase in found:
        result.ending[phrase.last] = phrase
        result.starting[phrase.first] = phrase
        for place in range(phrase.first, phrase.last):
            result.inside[place] = phrase
    return result
