"""Who "he", "the ministry", "Tehran" and "the Balkan state" are, where the text settles it.

A `Memory` reads the document once, sentence by sentence, and keeps who was named with which title, which bodies
were spoken of, and who spoke last. Where two answers are possible the words stay as they are written.
"""

# Guard clauses, one a way in which a wording can be something else: hence the many returns.
# ruff: noqa: PLR0911

from __future__ import annotations

from dataclasses import dataclass, field

from aleat.case.claims.clauses import clause_subject
from aleat.case.claims.lexicon import frames_of, words
from aleat.case.claims.parties import gazetteer, same_stem
from aleat.case.claims.phrases import Parse, Phrase, is_verb

__all__ = ["Actor", "Memory"]

_LIMIT = 2_000
_STATE_WORDS = words("sets", "state_words")
_OTHERS = words("sets", "others")
_SUBORDINATE = words("sets", "references_after") | {""}
_ENDINGS = ("an", "ese", "ish", "ic", "ian", "i")
_TIED = words("sets", "tied")


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who acts: the name resolved, as written, the party that is spoken for ("" where not settled)."""

    name: str
    written: str
    party: str = ""
    person: bool = False

    @property
    def key(self) -> str:
        """What two mentions of the same side share: the party, else the name's own letters."""
        low = (self.party or self.name).lower()
        return low.removeprefix("the ").strip()


def _bag(actor: Actor) -> frozenset[str]:
    return frozenset(actor.name.lower().replace("’", "'").split()) - {"the", "a", "an"}


def _office(parse: Parse, phrase: Phrase) -> str:
    """Return the government office in a phrase: "prime minister", "deputy foreign minister" ("" where none)."""
    if phrase.kind != "actor":
        return ""
    found = parse.lows[phrase.first : phrase.last]
    place = next((i for i, low in enumerate(found) if low in words("sets", "offices")), None)
    if place is None or found[place + 1 : place + 2] in (["’s"], ["'s"], ["of"], ["for"]):
        return ""
    begin = place
    while begin and found[begin - 1] in words("sets", "office_adjectives"):
        begin -= 1
    return " ".join(found[begin : place + 1])


@dataclass(slots=True)
class Memory:
    """What the text has said so far about who is who."""

    text: str
    states: set[str] = field(default_factory=set)
    """Parties that the document names (not only by their capital)."""
    local: dict[str, str] = field(default_factory=dict)
    """Names that no table knows: low form to the party's name ("varonian" to "Varonia", "torva" to "Varonia")."""
    persons: dict[str, Actor] = field(default_factory=dict)
    bodies: dict[str, list[Actor]] = field(default_factory=dict)
    acronyms: dict[str, Actor] = field(default_factory=dict)
    roles: dict[str, tuple[str, Phrase]] = field(default_factory=dict)
    role_parses: dict[str, Parse] = field(default_factory=dict)
    issuer: Actor | None = None
    """Who issued the document, where its heading says so ("Statement by the Ministry of X")."""
    offices: dict[str, set[str]] = field(default_factory=dict)
    """Whose office a title is, where the text says it somewhere: "prime minister" to {"Albania"}."""
    seat: str = ""
    """The state whose capital stands in the dateline, if the text names it too."""
    last_person: list[Actor] = field(default_factory=list)
    last_body: list[Actor] = field(default_factory=list)
    last_speaker: Actor | None = None
    speaker_paragraph: int = -1
    speaker_at: int = -1
    person_at: int = -1
    """The sentences (their numbers) of the last speaker and of the last person who was a subject."""
    _known: dict[tuple[int, int, int], Actor] = field(default_factory=dict)
    """Phrases resolved since the last sentence was noted: what is known only grows between sentences."""

    def survey(self, parses: list[Parse]) -> None:
        """Look over the whole document for the states it names, and for states no table knows."""
        names: dict[str, str] = {}
        for parse in parses:
            for phrase in parse.phrases:
                if phrase.party and phrase.via != "capital":
                    self.states.add(phrase.party)
                if phrase.kind == "actor" and not phrase.party and phrase.last - phrase.first <= 2:
                    token = parse.tokens[phrase.last - 1]
                    if token.text[0].isupper() and token.low.isalpha() and len(names) < _LIMIT:
                        names.setdefault(token.low, token.text)
            self._learn_states(parse)
            self._learn_office(parse)
            paragraph = parse.sentence.paragraph
            self._learn_appositions(parse)
            city = paragraph.dateline_city.lower()
            dated = city and paragraph.dateline_rest.replace(" ", "").isalpha()
            if dated and gazetteer().at([city], 0) is None:
                self.local.setdefault(city, paragraph.dateline_rest)
        for parse in parses:
            self._learn_owners(parse, bare=False)
        names |= {low: name for low, name in self.local.items() if low == name.lower()}
        self._learn_adjectives(parses, names)
        for parse in parses:
            self._learn_owners(parse, bare=True)
        self._learn_capitals(parses)
        self._learn_seat(parses)
        for parse in parses[:3]:
            if parse.sentence.paragraph.kind == "headline" and self.issuer is None:
                self.set_issuer(parse)
        self._known.clear()

    def _learn_states(self, parse: Parse) -> None:
        """Note every state that is named at all: "a U.S. ally" names the United States."""
        table = gazetteer()
        for place, token in enumerate(parse.tokens):
            if token.text[0].isupper() and token.low in table.heads:
                row = table.at(parse.lows, place)
                if row is not None and row[1] in ("name", "people"):
                    self.states.add(row[0])

    def _learn_office(self, parse: Parse) -> None:
        """Note "Albania's prime minister", and the state that acts where "…, Prime Minister X said" tells it."""
        for phrase in parse.phrases:
            office = _office(parse, phrase)
            if not office:
                continue
            party = phrase.party if phrase.via in ("name", "people", "capital") else ""
            first = parse.phrases[0]
            if not party and phrase.first and parse.lows[phrase.first - 1] == "," and first.via in ("name", "capital"):
                own = first.first == 0 and first.kind == "actor" and first.last == 1
                cut = any(frames_of().get(low) == "sever" for low in parse.lows[: phrase.first])
                said = parse.lows[phrase.last : phrase.last + 1] or [""]
                party = first.party if own and cut and said[0] in words("speech", "verbs") else ""
            if party and len(self.offices) < _LIMIT:
                self.offices.setdefault(office, set()).add(party)

    def _learn_seat(self, parses: list[Parse]) -> None:
        for parse in parses[:12]:
            row = gazetteer().at([parse.sentence.paragraph.dateline_city.lower()], 0)
            if row is not None and row[1] == "capital" and row[0] in self.states:
                self.seat = row[0]
                return

    def _learn_owners(self, parse: Parse, *, bare: bool) -> None:
        """Learn states no table knows from "Kestria's ministry" and "the government of Kestria".

        With `bare`, from "the Belmark premier" too.
        """
        lows = parse.lows
        nouns = words("sets", "government_nouns")
        for place in range(1, len(lows) - 1):
            if lows[place] in ("'s", "’s") and lows[place + 1] in nouns:
                name = place - 1
            elif lows[place] == "of" and lows[place - 1] in (
                "government",
                "republic",
                "people",
                "kingdom",
                "president",
            ):
                name = place + 1
            elif bare and lows[place - 1] == "the" and lows[place + 1] in nouns:
                name = place
                if lows[place] in words("nouns", "actor_adjectives") or lows[place].endswith(_ENDINGS):
                    continue
            else:
                continue
            token = parse.tokens[name]
            lone = name == 0 or not parse.tokens[name - 1].text[0].isupper() or lows[place] == "of"
            named = lone and token.text[0].isupper() and token.low.isalpha()
            common = token.low in words("nouns", "actors")
            if named and not common and gazetteer().at(lows, name) is None and len(self.local) < _LIMIT:
                self.local.setdefault(token.low, token.text)

    def _learn_appositions(self, parse: Parse) -> None:
        """Learn "Belmark's premier, Tomas Riek," and "Tomas Riek, the premier of Belmark"."""
        for phrase in parse.phrases:
            other = parse.starting.get(phrase.last + 1)
            if other is None or phrase.last >= len(parse.lows) or parse.lows[phrase.last] != ",":
                continue
            if phrase.kind != "actor" or other.kind != "actor":
                continue
            role, name = (phrase, other) if phrase.head in words("nouns", "persons") else (other, phrase)
            last = parse.tokens[name.last - 1]
            if role.head not in words("nouns", "persons") or name.last - name.first not in (2, 3, 4):
                continue
            if last.text[0].isupper() and not name.party and len(self.persons) < _LIMIT:
                written = self.slice(parse, phrase.first, other.last)
                self.roles.setdefault(last.low, (written, role))
                self.role_parses.setdefault(last.low, parse)

    def _learn_adjectives(self, parses: list[Parse], names: dict[str, str]) -> None:
        by_head: dict[str, list[str]] = {}
        for low in names:
            by_head.setdefault(low[:4], []).append(low)
        for parse in parses:
            for token in parse.tokens:
                if not token.text[0].isupper() or token.low in self.local or len(self.local) >= _LIMIT:
                    continue
                for name in by_head.get(token.low[:4], ())[:20]:
                    stem = len(name) < len(token.low) and same_stem(name, token.low)
                    listed = stem and (gazetteer().at([token.low], 0) or gazetteer().at([name], 0))
                    if stem and not listed:
                        self.local[token.low] = self.local[name] = names[name]
                        break

    def set_issuer(self, parse: Parse) -> None:
        """Read "Statement by the Ministry of X" in a heading: the document's "we"."""
        lows = parse.lows
        for place, low in enumerate(lows[:8]):
            if (
                (
                    low in ("statement", "declaration", "communique", "communiqué", "remarks")
                    and place + 2 in parse.starting
                )
                and lows[place + 1] in ("by", "of", "from")
                and parse.starting[place + 2].kind == "actor"
            ):
                self.issuer = self.resolve(parse, parse.starting[place + 2])
                return

    def _learn_capitals(self, parses: list[Parse]) -> None:
        """Read "Torva, the capital of Varonia" and "Varonia's capital, Torva"."""
        for parse in parses:
            lows = parse.lows
            for place, low in enumerate(lows):
                if low != "capital":
                    continue
                if place > 2 and lows[place - 2 : place] == [",", "the"] and lows[place + 1 : place + 2] == ["of"]:
                    city, state = place - 3, place + 2
                elif place > 1 and lows[place - 1] == "'s" and lows[place + 1 : place + 2] == [","]:
                    city, state = place + 2, place - 2
                else:
                    continue
                if state < len(lows) and city < len(lows) and lows[state] in self.local:
                    self.local.setdefault(lows[city], self.local[lows[state]])

    # --- one phrase -------------------------------------------------------------------------------------------

    def slice(self, parse: Parse, first: int, last: int) -> str:
        """Return tokens `first` to `last` as one line of text."""
        return " ".join(self.text[parse.tokens[first].start : parse.tokens[last - 1].end].split())

    def party_of(self, parse: Parse, phrase: Phrase) -> str:
        """Return the party that a phrase names, by the table or by what the text taught.

        "Albania's allies" speak for none; "the Cuba ransomware group" bears a state's name only.
        """
        if phrase.head in _OTHERS and (phrase.possessor_end is not None or phrase.determiner in ("its", "their")):
            return ""
        if phrase.via == "name" and phrase.possessor_end is None and phrase.head in words("nouns", "group_words"):
            return ""
        if phrase.party:
            if phrase.via == "capital" and phrase.party not in self.states:
                return ""
            return phrase.party
        stop = phrase.last if phrase.kind == "actor" else phrase.possessor_end or phrase.last
        for place in range(phrase.first, stop):
            if parse.tokens[place].text[0].isupper() and parse.lows[place] in self.local:
                return self.local[parse.lows[place]]
        office = _office(parse, phrase) if phrase.determiner in ("", "the") and phrase.possessor_end is None else ""
        if office:
            holders = self.offices.get(office, set())
            return next(iter(holders)) if len(holders) == 1 else self.seat if not holders else ""
        return ""

    def resolve(self, parse: Parse, phrase: Phrase) -> Actor:
        """Return who a phrase is, resolved where the text settles it."""
        key = (id(parse), phrase.first, phrase.last)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = Actor(self.slice(parse, phrase.first, phrase.last), "")  # ends a circle
            known = self._known[key] = self._resolve(parse, phrase)
        return known

    def _resolve(self, parse: Parse, phrase: Phrase) -> Actor:
        written = self.slice(parse, phrase.first, phrase.last)
        if phrase.kind == "pronoun":
            return self._pronoun(parse, phrase, written)
        if phrase.kind == "actor" and phrase.determiner in ("its", "his", "her", "their", "our", "my"):
            return self._possessed(parse, phrase, written)
        party = self.party_of(parse, phrase)
        special = self._compound(parse, phrase, written, party)
        if special is not None:
            return special
        low = written.lower().removeprefix("the ").replace("’", "'")
        size = phrase.last - phrase.first
        if size <= 2 and phrase.via == "capital" and party and size == 1:
            return Actor(party, written, party)
        if low in self.local and size == 1:
            return Actor(self.local[low], written, self.local[low])
        if low in self.acronyms:
            known = self.acronyms[low]
            return Actor(known.name, written, known.party or party)
        named = self._named_person(parse, phrase, written, party)
        if named is not None:
            return named
        if not party or phrase.head in _STATE_WORDS:
            known_body = self._definite(parse, phrase, written, low)
            if known_body is not None:
                return known_body
        return self._tied(parse, phrase) or Actor(written, written, party, self._is_person(parse, phrase))

    def _compound(self, parse: Parse, phrase: Phrase, written: str, party: str) -> Actor | None:
        """Settle "the country's ministry", "officials in Belmark", "a group known as X", "neighbouring Sordia"."""
        lows = parse.lows
        if phrase.possessor_end is not None and lows[phrase.possessor_end - 1] in _STATE_WORDS and not party:
            owner = Phrase(phrase.first, phrase.possessor_end, "actor", lows[phrase.possessor_end - 1])
            owner.determiner = phrase.determiner
            state = self._definite_state(parse, owner, written)
            if state is not None:
                rest = self.slice(parse, phrase.possessor_end + 1, phrase.last)
                return Actor(f"{state.name}’s {rest}", written, state.party)
        named = parse.starting.get(phrase.last + 1)
        if named is not None and lows[phrase.last] == "," and phrase.head in words("nouns", "persons"):
            last = lows[named.last - 1]
            if last in self.roles and named.last - named.first <= 4:
                return Actor(self.roles[last][0], written, party, True)
        after = lows[phrase.last : phrase.last + 2]
        follower = parse.starting.get(phrase.last + len(after))
        if after in (["known", "as"], ["calling", "itself"], ["calling", "themselves"]) and follower is not None:
            return Actor(self.slice(parse, follower.first, follower.last), written, self.party_of(parse, follower))
        if after[:1] == ["in"] and phrase.head in words("sets", "places_of_officials") and not party:
            place = parse.starting.get(phrase.last + 1)
            if place is not None and place.kind == "actor" and self.party_of(parse, place):
                name = self.slice(parse, phrase.first, place.last)
                return Actor(name, written, self.party_of(parse, place))
        size = phrase.last - phrase.first
        if size == 1 and after[:1] == ["and"] and (shared := self._shared_head(parse, phrase)):
            return Actor(f"{written} {shared}", written, party)
        plain = size == 2 and lows[phrase.first] in words("nouns", "actor_adjectives") and phrase.kind == "actor"
        if party and plain and parse.tokens[phrase.first].text.islower() and lows[phrase.last - 1] == party.lower():
            return Actor(party, written, party)
        return None

    def _shared_head(self, parse: Parse, phrase: Phrase) -> str:
        """Return "officials" for "British" in "British and US officials"."""
        other = parse.starting.get(phrase.last + 1)
        short = phrase.via == "people" or (phrase.party and parse.tokens[phrase.first].text.isupper())
        if not short or other is None or other.last - other.first != 2 or not self.party_of(parse, other):
            return ""
        noun = parse.tokens[other.last - 1]
        plural = noun.text.islower() and noun.low in words("nouns", "actors") and noun.low.endswith("s")
        return noun.text if plural else ""

    def _tied(self, parse: Parse, phrase: Phrase) -> Actor | None:
        """Read "a hacker group associated with the Chinese government": whose hackers they are."""
        if phrase.party:
            return None
        other = parse.starting.get(phrase.last + 1)
        if parse.lows[phrase.last : phrase.last + 1] == ["from"] and other is not None:
            party = self.party_of(parse, other) if phrase.head in words("nouns", "group_words") else ""
            if party and other.kind == "actor":
                written = self.slice(parse, phrase.first, other.last)
                return Actor(written, written, party)
        for place in range(phrase.last, min(phrase.last + 3, len(parse.lows) - 2)):
            if parse.lows[place] in _TIED and parse.lows[place + 1] in ("with", "to", "by", "for"):
                other = parse.starting.get(place + 2)
                if other is not None and other.kind == "actor" and self.party_of(parse, other):
                    written = self.slice(parse, phrase.first, other.last)
                    return Actor(written, written, self.party_of(parse, other))
        return None

    def _is_person(self, parse: Parse, phrase: Phrase) -> bool:
        lows = parse.lows[phrase.first : phrase.last]
        if not any(low in words("nouns", "persons") for low in lows):
            return False
        return phrase.head in words("nouns", "persons") or parse.tokens[phrase.last - 1].text[0].isupper()

    def _named_person(self, parse: Parse, phrase: Phrase, written: str, party: str) -> Actor | None:
        last = parse.tokens[phrase.last - 1]
        if not last.text[0].isupper():
            return None
        known = self.persons.get(last.low)
        if known is None and last.low in self.roles:
            full, role = self.roles[last.low]
            known = Actor(full, full, self.party_of(self.role_parses[last.low], role), True)
        if known is None:
            return None
        if phrase.last - phrase.first <= 2 or len(known.name) >= len(written):
            return Actor(known.name, written, known.party or party, True)
        return Actor(written, written, party or known.party, True)

    def _definite(self, parse: Parse, phrase: Phrase, written: str, low: str) -> Actor | None:
        if phrase.determiner not in ("the", "this", "that"):
            return None
        if phrase.head in _STATE_WORDS:
            return self._definite_state(parse, phrase, written)
        rows = self.bodies.get(phrase.head, [])
        want = set(low.split())
        fitting = [
            row for row in rows if want <= set(row.name.lower().replace("’", "'").split()) and row.name != written
        ]
        full = [row for row in fitting if not any(_bag(row) < _bag(other) for other in fitting)]
        if len({row.name.lower() for row in full}) == 1:
            return Actor(full[0].name, written, full[0].party, full[0].person)
        last = self.last_body[-1] if self.last_body else None
        if len(full) > 1 and last is not None and any(row.name == last.name for row in full):
            return Actor(last.name, written, last.party, last.person)  # "the ministry": the one just spoken of
        if full and full[0].party and len({row.party for row in full}) == 1:
            return Actor(full[-1].name, written, full[-1].party, full[-1].person)
        return None

    def _definite_state(self, parse: Parse, phrase: Phrase, written: str) -> Actor | None:
        lows = set(parse.lows[phrase.first : phrase.last])
        for region, members in gazetteer().regions.items():
            if set(region.split()) <= lows:
                named = members & self.states
                return Actor(party := named.pop(), written, party) if len(named) == 1 else None
        if phrase.last - phrase.first > 2:
            return None
        before = {self.party_of(parse, other) for other in parse.phrases if other.last <= phrase.first} - {""}
        return Actor(party := before.pop(), written, party) if len(before) == 1 else None

    def _possessed(self, parse: Parse, phrase: Phrase, written: str) -> Actor:
        rest = self.slice(parse, phrase.first + 1, phrase.last)
        owner: Actor | None = None
        if phrase.determiner in ("its", "their"):
            owner = self._body_before(parse, phrase.first)
        elif phrase.determiner in ("his", "her"):
            owner = self._person_before(parse, phrase.first)
        if owner is None or not owner.name or (owner.name == owner.written and owner.name.lower() in ("it", "they")):
            return Actor(written, written, self.party_of(parse, phrase))
        party = self.party_of(parse, phrase) or ("" if phrase.head in _OTHERS else owner.party)
        return Actor(f"{owner.name}’s {rest}", written, party)

    def _pronoun(self, parse: Parse, phrase: Phrase, written: str) -> Actor:
        low = parse.lows[phrase.first]
        if low in ("he", "she"):
            known = self._person_before(parse, phrase.first)
        elif low in ("it", "they"):
            known = self._body_before(parse, phrase.first)
        else:
            known = None
        return Actor(known.name, written, known.party, known.person) if known else Actor(written, written)

    def _person_before(self, parse: Parse, index: int) -> Actor | None:
        for phrase in parse.phrases:
            if phrase.last <= index and phrase.kind == "actor" and not phrase.preposition:
                actor = self.resolve(parse, phrase)
                if actor.person:
                    return actor
        if self.last_speaker is not None and self.last_speaker.person and self.speaker_at >= self.person_at:
            return self.last_speaker
        recent = self.last_person[-2:]
        if recent and len({actor.name for actor in recent}) <= 2:
            return recent[-1]
        return None

    def _body_before(self, parse: Parse, index: int) -> Actor | None:
        spans = parse.sentence.quotes
        start = parse.tokens[index].start
        outside = not any(span.start <= start < span.end for span in spans)
        for phrase in clause_subject(parse, index)[:1]:
            place = parse.tokens[phrase.first].start
            if outside and any(span.start <= place < span.end for span in spans):
                break
            if phrase.kind != "thing" and phrase.determiner not in ("its", "their") and phrase.last <= index:
                actor = self.resolve(parse, phrase)
                return None if actor.person and not actor.party else actor
        for phrase in reversed(parse.phrases):
            place = parse.tokens[phrase.first].start
            if outside and any(span.start <= place < span.end for span in spans):
                continue
            fits = (
                phrase.kind == "actor"
                and phrase.preposition in _SUBORDINATE
                and phrase.determiner not in ("its", "their")
            )
            if phrase.last <= index and fits and not (phrase.first and is_verb(parse.lows[phrase.first - 1])):
                actor = self.resolve(parse, phrase)
                if not actor.person:
                    return actor
        return self.last_body[-1] if self.last_body else None

    # --- learning ---------------------------------------------------------------------------------------------

    def note(self, parse: Parse) -> None:
        """Remember the people and bodies of a sentence, after it has been read."""
        self._known.clear()
        for phrase in parse.phrases:
            if phrase.kind == "actor":
                self._note_phrase(parse, phrase)
        subject = next((p for p in parse.phrases if p.kind != "thing" and not p.preposition), None)
        if subject is not None and subject.kind == "actor" and parse.sentence.paragraph.kind == "body":
            actor = self.resolve(parse, subject)
            if actor.person:
                self.last_person = [*self.last_person[-3:], actor]
                self.person_at = parse.sentence.number
            elif parse.sentence.tokens[0].text not in '“"':
                self.last_body = [actor]

    def _note_phrase(self, parse: Parse, phrase: Phrase) -> None:
        if phrase.determiner in ("its", "his", "her", "their"):
            actor = self.resolve(parse, phrase)
        else:
            actor = Actor(self.slice(parse, phrase.first, phrase.last), "", self.party_of(parse, phrase))
        last = parse.tokens[phrase.last - 1]
        size = phrase.last - phrase.first
        lows = parse.lows[phrase.first : phrase.last]
        if self._is_person(parse, phrase) and last.text[0].isupper() and size >= 2 and len(self.persons) < _LIMIT:
            known = self.persons.get(last.low)
            if last.low not in words("nouns", "persons") and (known is None or len(known.name) < len(actor.name)):
                party = actor.party or (known.party if known else "")
                self.persons[last.low] = Actor(actor.name, actor.name, party, True)
        if (actor.party or size > 2) and size > 1:
            rows = self.bodies.setdefault(phrase.head, [])
            if len(rows) < 50 and all(row.name != actor.name for row in rows):
                person = any(low in words("nouns", "persons") for low in lows[-2:])
                rows.append(Actor(actor.name, actor.name, actor.party, person))
        after = parse.tokens[phrase.last : phrase.last + 3]
        if len(after) == 3 and after[0].text == "(" and after[2].text == ")" and after[1].text.isupper():
            short = 2 <= len(after[1].text) <= 10
            if short and len(self.acronyms) < _LIMIT:
                self.acronyms.setdefault(after[1].low, Actor(actor.name, actor.name, actor.party))
