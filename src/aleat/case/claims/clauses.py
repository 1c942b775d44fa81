"""Who does what in a sentence: subjects, negation and hedges of a verb, and the extent of its object.

All searches walk over one sentence (bounded by `text.MAX_TOKENS`) and over the noun phrases in it.
"""

# Guard clauses, one a way in which a wording can be something else: hence the many returns.
# ruff: noqa: PLR0911, PLR0912

from __future__ import annotations

from dataclasses import dataclass

from aleat.case.claims.lexicon import frames_of, words
from aleat.case.claims.phrases import Parse, Phrase, is_verb

__all__ = ["Context", "clause_subject", "context_of", "end_of_object", "is_passive", "subject_of"]

_QUOTES = frozenset('“”„«»"\u2018')
_SUBORDINATE = words("sets", "subordinate")
_IRREGULAR = words("sets", "irregular")
_OK_CONTROLLERS = words("sets", "ok_controllers")
_OBJECT_CONTROL = words("sets", "object_control")


@dataclass(frozen=True, slots=True)
class Context:
    """What stands around a verb: whether the act is really done, and where to look for who does it."""

    done: bool
    labels: tuple[str, ...] = ()
    verb: int = 0
    """The token from which the subject is sought (the controlling verb, where there is one)."""
    subject: Phrase | None = None


def _is_time(parse: Parse, phrase: Phrase) -> bool:
    return phrase.kind == "thing" and phrase.head in words("speech", "time")


def _skip_left(parse: Parse, index: int) -> int:
    """Walk left over auxiliaries, adverbs, dates, parentheses and quotation marks."""
    lows = parse.lows
    dates = words("words", "weekdays") | words("words", "months")
    light = words("words", "aux") | words("words", "adverb") | words("words", "negative")
    while index >= 0:
        low = lows[index]
        phrase = parse.ending.get(index + 1)
        if phrase is not None and _is_time(parse, phrase):
            index = phrase.first - 1
        elif (
            low in dates
            or low in ("last", "this", "next", "ago", "week", "weeks", "month", "months")
            or (low[0].isdigit() and index and (lows[index - 1] in dates or (index > 1 and lows[index - 2] in dates)))
            or (low == "on" and index + 1 < len(lows) and (lows[index + 1] in dates or lows[index + 1][0].isdigit()))
        ):
            index -= 1
        elif low == ")" and "(" in lows[max(0, index - 12) : index]:
            index = max(place for place in range(max(0, index - 12), index) if lows[place] == "(") - 1
        elif low in _QUOTES or (phrase is None and (low in light or low.endswith(("ly", "n't")))):
            index -= 1
        else:
            return index
    return index


def _is_verb_after(parse: Parse, phrase: Phrase) -> bool:
    """Say whether a verb follows a phrase, so that it is a subject."""
    lows, index = parse.lows, phrase.last
    dates = words("words", "weekdays") | words("words", "months")
    steps = 0
    while index < len(lows) and steps < 8:
        low = lows[index]
        if low == "(" and ")" in lows[index : index + 12]:
            index = lows.index(")", index) + 1
        elif (
            low in _QUOTES
            or low in words("words", "adverb")
            or low.endswith("ly")
            or low in dates
            or low == "on"
            or (low[0].isdigit() and low.isdigit())
        ):
            index += 1
        elif low == "," and index + 1 < len(lows) and (lows[index + 1] in ("who", "which", "whose") or steps == 0):
            try:
                index = lows.index(",", index + 1, index + 30) + 1
            except ValueError:
                return False
        else:
            looks = is_verb(low) or low in _IRREGULAR or (low.endswith("ed") and index not in parse.inside)
            return looks and index not in parse.starting
        steps += 1
    return False


def clause_subject(parse: Parse, index: int, *, things: bool = False) -> list[Phrase]:
    """Return the subject of the nearest clause that began before `index`."""
    for phrase in reversed(parse.phrases):
        if phrase.last > index or (phrase.kind == "thing" and not things):
            continue
        if phrase.preposition and phrase.preposition not in _SUBORDINATE:
            continue
        if _is_verb_after(parse, phrase):
            return _coordinated(parse, phrase)
    return _opening_subject(parse, index)


def _opening_subject(parse: Parse, index: int) -> list[Phrase]:
    """Return the actor that opens the sentence or the direct speech before `index`, where nothing else fits."""
    place = 0
    for spot in range(index - 1, -1, -1):
        if parse.lows[spot] in _QUOTES and parse.lows[spot] != "”":
            place = spot + 1
            break
    phrase = parse.starting.get(place)
    if phrase is None or phrase.kind == "thing" or phrase.last > index:
        return []
    between = parse.lows[phrase.last : index]
    return [] if ("," in between and between[0] != ",") or ";" in between else [phrase]


def _coordinated(parse: Parse, last: Phrase) -> list[Phrase]:
    """Return the phrases joined with `last` by "and" and commas, in the order of the text."""
    found, joined = [last], False
    place = last.first - 1
    while place > 0:
        low = parse.lows[place]
        listed = joined or parse.sentence.paragraph.kind == "headline"
        if low in ("and", "both") or (low == "," and listed):
            place -= low == "and" and parse.lows[place - 1] == ","
            if parse.lows[place - 1] == ")" and "(" in parse.lows[max(0, place - 4) : place]:
                place -= parse.lows[max(0, place - 4) : place][::-1].index("(") + 1
            before = parse.ending.get(place)
            if before is None or before.kind != "actor" or before.preposition:
                break
            if before.first and is_verb(parse.lows[before.first - 1]):
                break
            found.append(before)
            joined, place = True, before.first - 1
            continue
        break
    return found[::-1]


def subject_of(parse: Parse, verb: int) -> list[Phrase]:
    """Return the phrases that are the subject of the verb at `verb` (none where the sentence doesn't settle it)."""
    lows = parse.lows
    index = _skip_left(parse, verb - 1)
    if index < 0:
        return []
    phrase = parse.ending.get(index + 1)
    if phrase is not None:
        return _climb(parse, phrase, verb)
    low = lows[index]
    if low in ("named", "identified", "authorised", "authorized") and lows[index - 3 : index - 2] == ["who"]:
        before = parse.ending.get(index - 3)  # "an official who was not named said"
        if before is not None:
            return [before]
    if low in ("who", "which", "that"):
        place = index - 1 if index and lows[index - 1] != "," else index - 2
        before = parse.ending.get(place + 1)
        return [before] if before is not None else []
    if low in ("—", "–", "--"):
        opened = max((p for p in range(max(0, index - 30), index) if lows[p] in ("—", "–", "--")), default=0)
        before = parse.ending.get(opened) if opened else None
        if before is not None:
            return _climb(parse, before, verb)
    if low == ",":
        if lows[verb].endswith("ing"):
            return clause_subject(parse, index)
        return _over_apposition(parse, index) or clause_subject(parse, index)
    return clause_subject(parse, index + 1)


def _climb(parse: Parse, phrase: Phrase, verb: int) -> list[Phrase]:
    """From "Tirana" in "officials in Tirana said" to "officials"."""
    for _ in range(4):
        if not phrase.preposition or phrase.preposition in _SUBORDINATE:
            return _coordinated(parse, phrase)
        before = parse.ending.get(phrase.first - 1)
        if before is None and phrase.preposition == "of" and phrase.first > 1:
            counted = parse.lows[phrase.first - 2]
            if counted in words("sets", "counts") or counted[0].isdigit():
                return [phrase]
        if before is None:
            before = _phrase_left(parse, phrase.first - 2)
            if before is None:
                return clause_subject(parse, phrase.first - 1)
        phrase = before
    return []


def _phrase_left(parse: Parse, index: int) -> Phrase | None:
    """Return the phrase left of nouns that nobody listed: "the cyberattack" in "the cyberattack on the port of X"."""
    for place in range(index, max(-1, index - 8), -1):
        low = parse.lows[place]
        if is_verb(low) or not (low[0].isalnum() or low in _QUOTES):
            return None
        if place + 1 in parse.ending:
            return parse.ending[place + 1]
    return None


def _over_apposition(parse: Parse, comma: int) -> list[Phrase]:
    """Return the phrase before ``, … ,`` where the second comma is at `comma`."""
    lows = parse.lows
    for place in range(comma - 1, max(-1, comma - 40), -1):
        if lows[place] == ",":
            before = parse.ending.get(place)
            if before is None or (before.preposition and before.preposition not in _SUBORDINATE):
                return []
            inside = lows[place + 1]
            relative = inside in ("who", "which", "whose") or inside in words("words", "prepositions")
            apposed = parse.starting.get(place + 1) is not None or inside.endswith(("ing", "ed")) or relative
            return _coordinated(parse, before) if apposed else []
    return []


def is_passive(parse: Parse, verb: int) -> int | None:
    """Return the position of "by" where the verb is passive with an agent, else None."""
    lows = parse.lows
    if not lows[verb].endswith(("ed", "n", "d", "t")):
        return None
    for place in range(verb + 1, min(verb + 9, len(lows))):
        low = lows[place]
        if low == "by":
            return place
        if low in (",", ";", "that", "who", "which", "and", "for", "of") or low in words("words", "aux"):
            return None
        if place in parse.starting and place == verb + 1 and lows[verb - 1 : verb] not in (["been"], ["was"], ["were"]):
            return None
    return None


def _clause_start(parse: Parse, index: int) -> int:
    for place in range(index - 1, -1, -1):
        if parse.lows[place] in (",", ";", ":", "—", "–"):
            return place + 1
    return 0


def context_of(parse: Parse, verb: int, *, planned: bool = False) -> Context:
    """Judge whether the act at `verb` is done: not negated, not wished, not conditional, not asked about.

    With `planned`, "will" and "would" only label the act ("would sever" after "said that it").
    """
    lows = parse.lows
    start = _clause_start(parse, verb)
    if any(lows[place] in ("if", "unless", "whether") for place in range(start, verb)):
        return Context(False)
    if any(low in ("if", "unless") for low in lows[verb : verb + 12]) and _modal_before(parse, verb):
        return Context(False)
    index, labels = verb - 1, []
    while index >= 0 and index > verb - 8:
        low = lows[index]
        if low in words("words", "negative") or low.endswith("n't"):
            return Context(False)
        if low in words("words", "modal"):
            if not (planned and low in ("would", "shall")):
                return Context(False)
            labels.append("planned")
        elif low == "will":
            if not planned:
                return Context(False)
            labels.append("planned")
        elif low in words("phrases", "hedge"):
            labels.append("hedged")
        elif not (
            low in words("words", "aux") or low in words("words", "adverb") or low.endswith("ly") or low in _QUOTES
        ):
            break
        index -= 1
    subject = parse.ending.get(index + 1)
    if subject is not None and subject.determiner in ("no", "neither"):
        return Context(False)
    if index >= 0 and lows[index] in ("one", "body") and index and lows[index - 1] == "no":
        return Context(False)
    if index >= 0 and lows[index] == "to":
        return _infinitive(parse, verb, index, labels)
    if lows[verb].endswith("ing"):
        return _gerund(parse, verb, index, labels)
    return Context(True, tuple(dict.fromkeys(labels)), verb)


def _modal_before(parse: Parse, verb: int) -> bool:
    return any(low in words("words", "modal") for low in parse.lows[max(0, verb - 3) : verb])


def _infinitive(parse: Parse, verb: int, to: int, labels: list[str]) -> Context:
    lows = parse.lows
    commit, offer = words("controllers", "commit"), frames_of()
    for place in range(to - 1, max(-1, to - 8), -1):
        low = lows[place]
        if low in (",", ";", ".", "—"):
            break
        between = next((parse.inside[spot] for spot in range(place + 1, to) if spot in parse.inside), None)
        if low in words("controllers", "negative") or low.endswith("n't") or low in words("words", "negative"):
            return Context(False)
        if low in commit or low in _OK_CONTROLLERS or offer.get(low) in ("pledge", "offer"):
            outer = context_of(parse, place, planned=True) if low in offer or low.endswith(("ed", "s", "ing")) else None
            if outer is not None and not outer.done:
                return Context(False)
            if low in words("controllers", "nouns") and place in parse.inside:
                return Context(True, (*labels, "nominal"), place, parse.inside[place])
            if low in _OBJECT_CONTROL:
                return Context(True, tuple(labels), place, between) if between else Context(False)
            return Context(True, tuple(labels), place)
        if low in words("controllers", "irrealis"):
            return Context(False)
    return Context(False)


def _gerund(parse: Parse, verb: int, index: int, labels: list[str]) -> Context:
    low = parse.lows[index] if index >= 0 else ""
    back = set(parse.lows[max(0, index - 2) : index + 1])
    if low == "without" or (low in ("of", "from", "at", "to") and not back & {"practice", "habit"}):
        return Context(False)
    if low in words("controllers", "negative") or low in words("controllers", "irrealis"):
        return Context(False)
    if back & {"instead", "rather", "short"}:
        return Context(False)
    return Context(True, tuple(labels), verb)


def _is_medium(lows: list[str], place: int) -> bool:
    """Say whether "in a statement", "on Telegram" begins here: how it was said, not what."""
    ahead = lows[place + 1 : place + 4]
    for low in ahead:
        if low in words("speech", "media"):
            return True
        if low not in ("a", "an", "the", "its", "his", "her", "their", "separate", "joint", "video", "televised"):
            return False
    return False


_BREAK_AFTER_COMMA = words("sets", "break_after_comma")


def end_of_object(parse: Parse, first: int, *, limit: int = 45) -> int:
    """Return the token after the last one of the object that begins at `first`."""
    lows = parse.lows
    last = min(len(lows), first + limit)
    opened = 0
    inside = lows[:first].count('"') % 2 == 1
    for place in range(first, last):
        low = lows[place]
        after = lows[place + 1] if place + 1 < len(lows) else ""
        if low == '"' and inside:
            return place
        if low in ("“", "«"):
            opened += 1
        elif low in ("”", "»"):
            if not opened:
                return place
            opened -= 1
        elif low in (";", ":", "—", "–", "?", "!") or (low == "." and place >= len(lows) - 2):
            return place
        elif low == ",":
            clause = (
                after in _BREAK_AFTER_COMMA
                or after in words("words", "aux")
                or after in frames_of()
                or after.endswith("ing")
                or after in words("speech", "inverted")
            )
            if clause or place + 1 in parse.starting or after in _QUOTES or after in words("words", "adverb"):
                return place
        elif (low in ("in", "on", "via") and place > first and _is_medium(lows, place)) or (
            low in ("while", "although", "after", "because", "when", "but") and place > first
        ):
            return place
        elif low == "and" and place > first:
            if after in frames_of() or after in words("words", "aux") or after in words("speech", "verbs"):
                return place
            if after.endswith("ly") and place + 2 < len(lows) and lows[place + 2] in frames_of():
                return place
    return last
