"""A sentence with all that its reading needs: phrases, voices, and the document's memory.

The frames (see `frames` and `frames_cases`) ask a `Scene` who does what, and hand back `Draft` claims.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from aleat.case.claims.clauses import Context, clause_subject, context_of, end_of_object, subject_of
from aleat.case.claims.lexicon import words
from aleat.case.claims.phrases import Parse, Phrase
from aleat.case.claims.references import Actor, Memory
from aleat.case.claims.speech import Voice, quote_at

__all__ = ["Draft", "Scene"]


@dataclass(slots=True)
class Draft:
    """A claim before it has an id: who does what to whom, with its place in the sentence."""

    act: str
    actor: Actor
    trigger: int
    target: Actor | None = None
    about: tuple[int, int] = (0, 0)
    """Character offsets of the claim's object in the document (empty where it has none)."""
    said_by: Actor | None = None
    labels: tuple[str, ...] = ()
    firm: bool = False
    """A report that stands beside whatever else its speaker says in the sentence."""


@dataclass(slots=True)
class Scene:
    """One sentence in its document."""

    parse: Parse
    memory: Memory
    voices: list[Voice]
    quote_voices: dict[int, Actor] = field(default_factory=dict)
    """Speakers of direct speech (by its start) that other sentences of the paragraph settle."""

    @property
    def lows(self) -> list[str]:
        """The comparable forms of the sentence's tokens."""
        return self.parse.lows

    def low(self, index: int) -> str:
        """Return one token's comparable form ("" outside the sentence)."""
        return self.parse.lows[index] if 0 <= index < len(self.parse.lows) else ""

    def noun_here(self, index: int) -> bool:
        """Say whether the verb form at `index` is a noun or an adjective here."""
        before = self.low(index - 1)
        phrase = self.parse.inside.get(index)
        if phrase is not None and phrase.first < index:
            return True
        return before in words("words", "determiners") and before != "that"

    # --- who ----------------------------------------------------------------------------------------------------

    def voice_of_quote(self, index: int) -> Actor | None:
        """Return who speaks the direct speech in which a token stands."""
        span = quote_at(self.parse, index)
        if span is None:
            return None
        tokens = self.parse.tokens
        after = [v for v in self.voices if v.kind in ("after", "before") and tokens[v.verb].start >= span.end]
        for voice in after[:1]:
            if voice.kind == "after":
                return voice.actor
        before = [v for v in self.voices if v.kind == "before" and tokens[v.verb].start < span.start]
        if before:
            return before[-1].actor
        known = self.quote_voices.get(span.start)
        if known is not None:
            return known
        for voice in self.voices:
            if voice.kind == "according":
                return voice.actor
        return None

    def voice_at(self, index: int) -> Actor | None:
        """Return who says what stands at a token, directly or indirectly; None where the document itself does."""
        quoted = self.voice_of_quote(index)
        if quoted is not None:
            return quoted
        before = [v for v in self.voices if v.kind == "before" and v.first <= index < v.last and v.verb < index]
        if before:
            return before[-1].actor
        for voice in self.voices:
            if voice.kind == "after" and index < voice.last:
                return voice.actor
        for voice in self.voices:
            if voice.kind == "according" and index != voice.verb:
                return voice.actor
        return None

    def reporter_of(self, index: int, actor: Actor) -> Actor | None:
        """Return who passes on what `actor` does at a token, if that is somebody else."""
        voice = self.voice_at(index)
        second = [v.actor for v in self.voices if v.kind == "according"]
        for candidate in (voice, *second):
            if candidate is not None and candidate.name != actor.name:
                return candidate
        return None

    def actors(self, index: int, context: Context) -> list[Actor]:
        """Return who does the verb at `index`."""
        found = [context.subject] if context.subject is not None else subject_of(self.parse, context.verb)
        result = []
        for phrase in found:
            actor = self.actor_of(phrase, index)
            if actor is not None:
                result.append(actor)
        return result

    def actor_of(self, phrase: Phrase, index: int) -> Actor | None:
        """Return who a subject phrase is; first persons are the voice, "X's decision" is X."""
        if phrase.kind == "pronoun":
            if phrase.head in ("i", "we"):
                voice = self.voice_at(index)
                if voice is None and quote_at(self.parse, index) is None:
                    return self.memory.issuer
                return voice
            actor = self.memory.resolve(self.parse, phrase)
            if actor.name == actor.written:
                voice = self.voice_at(index)
                if voice is not None and phrase.head in ("it", "they") and not voice.person:
                    return Actor(voice.name, actor.written, voice.party)
            return actor
        if phrase.kind == "thing":
            return self.owner_of(phrase)
        return self.memory.resolve(self.parse, phrase)

    def owner_of(self, phrase: Phrase) -> Actor | None:
        """Return X of "X's accusation" and "the accusation by X"; for "the statement" its author."""
        party = self.memory.party_of(self.parse, phrase)
        if phrase.possessor_end is not None:
            written = self.memory.slice(self.parse, phrase.first, phrase.possessor_end)
            owner = Phrase(phrase.first, phrase.possessor_end, "actor", self.low(phrase.possessor_end - 1))
            owner.party, owner.via, owner.determiner = phrase.party, phrase.via, phrase.determiner
            resolved = self.memory.resolve(self.parse, owner)
            return Actor(resolved.name, written, resolved.party or party, resolved.person)
        if phrase.determiner in ("its", "their", "his", "her"):
            pronoun = {"its": "it", "their": "they", "his": "he", "her": "she"}[phrase.determiner]
            stand_in = Phrase(phrase.first, phrase.first + 1, "pronoun", pronoun)
            subject = [p for p in clause_subject(self.parse, phrase.first) if p.kind != "thing"]
            return self.memory.resolve(self.parse, subject[0] if subject else stand_in)
        following = self.low(phrase.last)
        if following in ("by", "from", "of") and phrase.last + 1 in self.parse.starting:
            other = self.parse.starting[phrase.last + 1]
            if other.kind == "actor":
                return self.memory.resolve(self.parse, other)
        if phrase.head in words("speech", "media") and self.memory.last_speaker is not None:
            return self.memory.last_speaker
        if party:
            written = self.memory.slice(self.parse, phrase.first, phrase.last)
            return Actor(party, written, party)
        return None

    def phrase_after(self, index: int) -> Phrase | None:
        """Return the phrase that begins after a verb, stepping over adverbs and quotation marks."""
        place = index
        while place < len(self.lows) and place < index + 5:
            if place in self.parse.starting:
                return self.parse.starting[place]
            low = self.lows[place]
            if not (
                low in words("words", "adverb")
                or low.endswith("ly")
                or low in '“"\u2018«'
                or low in ("off", "directly")
            ):
                return None
            place += 1
        return None

    def agents(self, by: int) -> list[Actor]:
        """Return who stands after "by": "by NATO, the EU and its allies"."""
        result: list[Actor] = []
        place = by + 1
        while len(result) < 8:
            phrase = self.phrase_after(place)
            if phrase is None or phrase.kind != "actor":
                break
            result.append(self.memory.resolve(self.parse, phrase))
            place = phrase.last
            if self.low(place) == "," and self.low(place + 1) != "and" and not self._listed(place):
                break
            while self.low(place) in (",", "and", "both", "by") and place < phrase.last + 3:
                place += 1
            if self.lows[place : place + 3] == ["as", "well", "as"]:
                place += 3
            if place == phrase.last:
                break
        return result

    def _listed(self, comma: int) -> bool:
        """Say whether a comma after an agent goes on with a list that ends in "and"."""
        phrase = self.parse.starting.get(comma + 1)
        return phrase is not None and phrase.kind == "actor" and self.low(phrase.last) in ("and", ",")

    # --- what ---------------------------------------------------------------------------------------------------

    def span(self, first: int, last: int) -> tuple[int, int]:
        """Return the character offsets of tokens `first` to `last`, without marks at either end."""
        tokens = self.parse.tokens
        while first < last and (
            not (tokens[first].text[0].isalnum() or tokens[first].text in ("“", '"', "$"))
            or tokens[first].low in ("or", "and")
        ):
            first += 1
        while last > first and not tokens[last - 1].text[-1].isalnum() and tokens[last - 1].text not in ("”", '"', ")"):
            last -= 1
        if first >= last:
            return (0, 0)
        start, end = tokens[first].start, tokens[last - 1].end
        return (start, end)

    def object_span(self, first: int) -> tuple[int, int]:
        """Return the offsets of the object that begins at a token."""
        if first >= len(self.lows):
            return (0, 0)
        return self.span(first, end_of_object(self.parse, first))

    def find(self, wanted: frozenset[str], first: int, last: int) -> int | None:
        """Return the first token of `wanted` between two tokens."""
        for place in range(max(0, first), min(last, len(self.lows))):
            if self.lows[place] in wanted:
                return place
        return None

    def drafts(
        self,
        act: str,
        index: int,
        actors: list[Actor],
        *,
        target: Actor | None = None,
        about: tuple[int, int] = (0, 0),
        labels: tuple[str, ...] = (),
    ) -> Iterator[Draft]:
        """Yield one draft for each actor."""
        together: tuple[Actor, ...] = ()
        if len(actors) == 1 and act != "severs":
            for voice in self.voices:
                if voice.others and voice.actor is actors[0]:
                    together = (*voice.others, voice.actor)
                    break
        for actor in (together or tuple(actors))[:8]:
            reporter = None if together else self.reporter_of(index, actor)
            yield Draft(act, actor, index, target, about, reporter, labels)

    def context(self, index: int, *, planned: bool = False) -> Context:
        """Return what stands around the verb at `index`."""
        return context_of(self.parse, index, planned=planned)
