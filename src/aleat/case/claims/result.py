"""From drafts to records: ids, quotes with their offsets, dates, contradictions, alleged incidents, what to collect."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

from aleat.case.claims.acts import Reading, read_sentences
from aleat.case.claims.collect import collect_item, effects_of
from aleat.case.claims.dates import DateMention, DocumentDates, document_dates, find_dates, span_of
from aleat.case.claims.events import MAX_EVENTS, Event, EventGatherer, Mention
from aleat.case.claims.lexicon import words
from aleat.case.claims.phrases import Parse
from aleat.case.claims.references import Actor
from aleat.case.claims.scene import Draft
from aleat.case.claims.text import paragraphs, sentences
from aleat.case.records import AllegedIncident, Claim, CollectItem, Contradiction
from aleat.errors import InputError, Issue, LimitError, Place
from aleat.stix.ids import content_id

__all__ = ["MAX_BYTES", "MAX_CLAIMS", "ClaimsResult", "build_claims"]

MAX_BYTES = 5_000_000
MAX_CLAIMS = 5_000
_MAX_CONTRADICTIONS = 500
_LONG_QUOTE = 1_000
_MAX_CHECKED = 500
_LIKE = ("as in ", "than in ", "like in ", "as on ")
_TESTED = frozenset(("accuses", "denies", "claims-responsibility", "reports"))
_DATA = frozenset(("data", "documents", "files", "records", "information"))


@dataclass(frozen=True, slots=True)
class ClaimsResult:
    """What one text claims. Nothing in it is confirmed.

    `open_offers` are the ids of claims (act "offers") that the text shows neither answered nor withdrawn.
    """

    claims: tuple[Claim, ...]
    contradictions: tuple[Contradiction, ...]
    alleged: tuple[AllegedIncident, ...]
    collect: tuple[CollectItem, ...]
    issues: tuple[Issue, ...] = ()
    open_offers: tuple[str, ...] = ()


@dataclass(slots=True)
class _Row:
    """A claim with what it was made from."""

    claim: Claim
    draft: Draft
    parse: Parse
    events: tuple[int, ...] = ()


def build_claims(text: str, document: str) -> ClaimsResult:
    """Read one document; see `aleat.case.claims.read_claims`."""
    _check(text, document)
    found = paragraphs(text)
    known = document_dates(text, found)
    gatherer = EventGatherer(known)
    reading = read_sentences(text, list(sentences(text, found)), MAX_CLAIMS, gatherer.visit)
    drafts = _settled(reading.drafts)[:MAX_CLAIMS]
    rows = _rows(text, document, drafts, gatherer, known)
    _settle_denials(rows)
    contradictions = _contradictions(rows)
    issues = []
    if len(reading.drafts) >= MAX_CLAIMS:
        reason = f"it holds more than {MAX_CLAIMS} claims; the rest was left out."
        issues.append(Issue("claims", "too-many-claims", Place(document), reason, "Cut the text into its articles."))
    if len(gatherer.events) >= MAX_EVENTS:
        reason = f"it speaks of more than {MAX_EVENTS} alleged incidents; further ones were not told apart."
        issues.append(Issue("claims", "too-many-incidents", Place(document), reason, "Cut the text into its articles."))
    return ClaimsResult(
        claims=tuple(row.claim for row in rows),
        contradictions=tuple(contradictions),
        alleged=tuple(_alleged(text, document, gatherer.events, rows)),
        collect=tuple(_collect(rows, gatherer.events)),
        issues=tuple(issues),
        open_offers=_open_offers(rows, reading),
    )


def _check(text: str, document: str) -> None:
    if len(text) > MAX_BYTES:
        reason = f"the text has more than {MAX_BYTES} bytes (limit on claims)."
        raise LimitError(reason, Place(document), advice="Cut it into its articles.")
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise InputError("it holds characters that no Unicode text has.", Place(document, offset=error.start)) from None
    if size > MAX_BYTES:
        reason = f"the text has {size} bytes, more than {MAX_BYTES} (limit on claims)."
        raise LimitError(reason, Place(document), advice="Cut it into its articles.")


# --- drafts of the whole document ------------------------------------------------------------------------------


def _settled(drafts: list[tuple[Draft, Parse]]) -> list[tuple[Draft, Parse]]:
    """Name whom a denial answers, and drop what is only presupposed where somebody says it outright."""
    accusers: dict[str, dict[str, Actor]] = {}
    for draft, _ in drafts:
        if draft.act == "accuses" and draft.target is not None:
            accusers.setdefault(draft.target.key, {}).setdefault(draft.actor.key, draft.actor)
    outright: dict[tuple[str, str], set[str]] = {}
    for draft, _ in drafts:
        if "nominal" not in draft.labels:
            outright.setdefault((draft.act, _side_of(draft)), set()).add(draft.target.key if draft.target else "")
    kept = []
    sides = _sides(drafts)
    latest: dict[str, list[tuple[int, Actor]]] = {}
    for draft, item in drafts:
        if "nominal" in draft.labels:
            said = outright.get((draft.act, _side_of(draft)), set())
            if said and (draft.target is None or draft.target.key in said or "" in said):
                continue
        number = item.sentence.number
        if draft.act == "accuses" and draft.target is not None:
            latest.setdefault(draft.target.key, []).append((number, draft.actor))
        if draft.act == "accuses" and not _party_of(draft.target) and _STATE & set(draft.labels):
            against = sides.get(draft.actor.key, {})
            if len(against) == 1:  # "state aggression" of the one state that this side accuses, or breaks with
                side = next(iter(against.values()))
                name = draft.target.name if draft.target is not None else side.party
                draft.target = Actor(name, name, side.party)
        if draft.act == "denies" and draft.target is None:
            draft.target = _accuser(latest.get(draft.actor.key, []), accusers.get(draft.actor.key, {}), number)
        if draft.act == "severs" and draft.target is None and len(sides.get(draft.actor.key, ())) == 1:
            draft.target = next(iter(sides[draft.actor.key].values()))
        kept.append((draft, item))
    _settle_receivers(kept)
    return kept


def _settle_receivers(drafts: list[tuple[Draft, Parse]]) -> None:
    """Name to whom an offer goes, and whose decision is backed, where the text has but one that it can be."""
    helped = {row.target.party: row.target for row, _ in drafts if row.act == "offers" and row.target is not None}
    severed = {row.actor.party for row, _ in drafts if row.act == "severs" and row.actor.party}
    for draft, item in drafts:
        if draft.target is not None:
            continue
        if draft.act == "offers" and len(helped) == 1:
            (party,) = helped
            if party and party != draft.actor.party:
                draft.target = Actor(party, party, party)
        elif draft.act == "supports" and len(severed) == 1:
            start, end = draft.about
            said = {token.low for token in item.tokens if start <= token.start < end}
            (party,) = severed
            if (
                said & {"decision", "move", "step"}
                and said & words("nouns", "relations")
                and party != draft.actor.party
            ):
                draft.target = Actor(party, party, party)


def _side_of(draft: Draft) -> str:
    """Return whose act it is: a state breaks relations once, but each of its bodies accuses for itself."""
    return draft.actor.name.lower() if draft.act == "accuses" else draft.actor.key


_STATE = frozenset(("unnamed-state", "same-as-before"))


def _party_of(actor: Actor | None) -> str:
    return actor.party if actor is not None else ""


def _sides(drafts: list[tuple[Draft, Parse]]) -> dict[str, dict[str, Actor]]:
    """Return whom each side accuses of attacks, or breaks with, by their keys."""
    sides: dict[str, dict[str, Actor]] = {}
    for draft, item in drafts:
        blames = draft.act == "severs" or (draft.act == "accuses" and _of_attack(draft, item))
        if blames and draft.target is not None and draft.target.party:
            sides.setdefault(draft.actor.key, {})[draft.target.key] = draft.target
    return sides


def _of_attack(draft: Draft, item: Parse) -> bool:
    """Say whether an accusation is of an attack (or of what isn't said), and not of propaganda or the like."""
    start, end = draft.about
    said = {token.low for token in item.tokens if start <= token.start < end}
    return not said or bool(said & (words("nouns", "event") | words("sets", "deeds") | words("events", "verbs")))


def _accuser(earlier: list[tuple[int, Actor]], anywhere: dict[str, Actor], number: int) -> Actor | None:
    """Return whom a denial in sentence `number` answers: who accused just before, else the only accuser there is."""
    near = {row.key: row for at, row in earlier[-3:] if number - at <= 1}
    before = near if len(near) == 1 else {row.key: row for _, row in earlier[-50:]}
    against = list((before or anywhere).values())
    parties = {actor.party for actor in against if actor.party}
    if len(against) == 1:
        return against[0]
    if len(parties) == 1:
        party = parties.pop()
        return Actor(party, party, party)
    return None


def _rows(
    text: str, document: str, drafts: list[tuple[Draft, Parse]], gatherer: EventGatherer, known: DocumentDates
) -> list[_Row]:
    digest = hashlib.sha256(text.encode()).hexdigest()
    by_sentence: dict[int, list[Draft]] = {}
    for draft, item in drafts:
        by_sentence.setdefault(item.sentence.number, []).append(draft)
    mentions = _mentions_by_sentence(gatherer.events)
    rows: list[_Row] = []
    at_byte = at_char = 0
    dated: dict[int, list[DateMention]] = {}
    for draft, item in drafts:
        number = item.sentence.number
        if number not in dated:
            dated = {number: find_dates(text, item.sentence.start, item.sentence.end, known, item.sentence.quotes)}
        here = mentions.get(number, [])
        event_dates = {m.date.start for _, m in here if m.date is not None}
        free = [row for row in dated[number] if row.start not in event_dates and not text.endswith(_LIKE, 0, row.start)]
        draft.about = _trimmed(draft.about, free, text)
        date = _date_of(draft, item, by_sentence[number], free)
        start, end = _quote_span(draft, item)
        at_byte += len(text[at_char:start].encode()) if start >= at_char else -len(text[start:at_char].encode())
        at_char = start
        claim = _claim(draft, text, document, digest, (start, end), at_byte, date, item)
        rows.append(
            _Row(
                claim,
                draft,
                item,
                _events_of(draft, item, here or _just_before(draft, mentions, number), gatherer.events),
            )
        )
    return _unique(rows)


def _unique(rows: list[_Row]) -> list[_Row]:
    seen: set[str] = set()
    return [row for row in rows if not (row.claim.id in seen or seen.add(row.claim.id))]  # type: ignore[func-returns-value]


def _claim(
    draft: Draft,
    text: str,
    document: str,
    digest: str,
    span: tuple[int, int],
    byte: int,
    date: DateMention | None,
    item: Parse,
) -> Claim:
    quote = text[span[0] : span[1]]
    target = draft.target
    first, last = span_of(date)
    trigger = item.tokens[draft.trigger].start
    content = [digest, draft.act, draft.actor.name, target.name if target else "", trigger]
    return Claim(
        id=content_id("note", content),
        act=draft.act,
        speaker=draft.actor.name,
        target=target.name if target else "",
        about=" ".join(text[draft.about[0] : draft.about[1]].split()),
        quote=quote,
        document=document,
        offset=span[0],
        byte_offset=byte,
        date_text=date.text if date else "",
        date_from=first,
        date_to=last,
        attributed_to=draft.said_by.name if draft.said_by else "",
        speaker_text=draft.actor.written,
        speaker_party=draft.actor.party,
        target_party=target.party if target else "",
        labels=draft.labels,
    )


def _quote_span(draft: Draft, item: Parse) -> tuple[int, int]:
    sentence = item.sentence
    if sentence.end - sentence.start <= _LONG_QUOTE:
        return sentence.start, sentence.end
    tokens = item.tokens
    first = max(0, draft.trigger - 60)
    last = min(len(tokens), draft.trigger + 60)
    return tokens[first].start, min(tokens[last - 1].end, tokens[first].start + 4 * _LONG_QUOTE)


def _trimmed(about: tuple[int, int], free: list[DateMention], text: str) -> tuple[int, int]:
    """Cut the claim's own date off the end of its object ("assistance to Albania on Monday")."""
    start, end = about
    for row in free:
        if start < row.start and row.end == end:
            head = text[start : row.start].rstrip()
            if head.endswith((" on", " in")):
                head = head[:-3].rstrip()
            end = start + len(head)
    return (start, end)


def _date_of(draft: Draft, item: Parse, drafts: list[Draft], free: list[DateMention]) -> DateMention | None:
    """Return the date of the claim: one that is no event's, and that belongs to no other act of the sentence.

    A date belongs to the act before it in its own clause ("offered help on Monday, days after …"), else to the
    first act after it ("Last week, A blamed …").
    """
    place = item.tokens[draft.trigger].start
    triggers = sorted({item.tokens[row.trigger].start for row in drafts})
    commas = [token.start for token in item.tokens if token.text in (",", ";", "—")]
    for row in free:
        if abs(row.start - place) > 240:
            continue
        before = [start for start in triggers if start < row.start]
        owner = before[-1] if before and not any(before[-1] < comma < row.start for comma in commas) else None
        if owner is None:
            owner = next((start for start in triggers if start > row.start), None)
        if owner == place:
            return row
    return None


# --- events ----------------------------------------------------------------------------------------------------


def _mentions_by_sentence(events: list[Event]) -> dict[int, list[tuple[int, Mention]]]:
    found: dict[int, list[tuple[int, Mention]]] = {}
    for position, event in enumerate(events):
        for mention in event.mentions:
            found.setdefault(mention.parse.sentence.number, []).append((position, mention))
    return found


def _events_of(draft: Draft, item: Parse, here: list[tuple[int, Mention]], events: list[Event]) -> tuple[int, ...]:
    if draft.act not in _TESTED and draft.act != "condemns":
        return ()
    if "general" in draft.labels or (draft.act == "accuses" and not _of_attack(draft, item)):
        return ()
    start, end = draft.about
    inside = [position for position, m in here if start <= m.start < end]
    if inside or draft.act in ("condemns", "denies"):
        return tuple(dict.fromkeys(inside[:1] if draft.act == "accuses" else inside[:2]))
    place = item.tokens[draft.trigger].start
    near = sorted(here, key=lambda row: (row[1].start > place, abs(row[1].start - place)))
    if near:
        return (near[0][0],)
    return (0,) if len(events) == 1 else ()


def _just_before(
    draft: Draft, mentions: dict[int, list[tuple[int, Mention]]], number: int
) -> list[tuple[int, Mention]]:
    """Return the attack last spoken of in the two sentences before, for an accusation that names none."""
    if draft.act == "accuses":
        for back in (number - 1, number - 2):
            if mentions.get(back):
                return mentions[back][-1:]
    return []


def _settle_denials(rows: list[_Row]) -> None:
    """Give a denial that names no attack those of the accusations that it answers.

    "The accusation" is the last one before it; "the accusations", "any involvement" are all before it. Where none
    stands before it (a headline, an inverted text), it is the first one after it. What is alleged only later in
    the text it didn't speak of.
    """
    for place, row in enumerate(rows):
        if row.draft.act != "denies" or row.events:
            continue
        mine = [(at, other) for at, other in enumerate(rows) if _accuses(other, row) and other.events]
        before = [other for at, other in mine if at < place]
        before = [other for other in before if "same-as-before" not in other.draft.labels] or before
        chosen = before or [other for at, other in mine if at > place][:1]
        said = set(row.claim.about.lower().split())
        if before and not said & words("sets", "many_accusations"):
            chosen = before[-1:]
        row.events = tuple(dict.fromkeys(event for other in chosen for event in other.events))[:4]


def _accuses(row: _Row, denial: _Row) -> bool:
    target = row.draft.target
    if row.draft.act != "accuses" or target is None or "planned" in row.draft.labels:
        return False
    wanted = denial.draft.target
    if wanted is not None and wanted.party and row.draft.actor.party and wanted.key != row.draft.actor.key:
        return False
    return target.key == denial.draft.actor.key or (bool(target.party) and target.party == denial.draft.actor.party)


def _alleged(text: str, document: str, events: list[Event], rows: list[_Row]) -> Iterable[AllegedIncident]:
    for position, event in enumerate(events):
        claims = tuple(row.claim.id for row in rows if position in row.events)
        if not claims and not (event.victim or event.dates):
            continue
        best = max(event.mentions, key=lambda m: m.clarity)
        tokens = best.parse.tokens
        begin, stop = best.what()
        what = " ".join(text[tokens[begin].start : tokens[stop - 1].end].split())
        date = event.date
        first, last = span_of(date)
        sentence = best.parse.sentence
        start, end = sentence.start, min(sentence.end, sentence.start + 4 * _LONG_QUOTE)
        content = [hashlib.sha256(text.encode()).hexdigest(), "alleged", start, tokens[best.first].start]
        yield AllegedIncident(
            id=content_id("incident", content),
            what=what,
            victim=event.victim,
            date_text=date.text if date else "",
            claims=claims,
            quote=text[start:end],
            offset=start,
            date_from=first,
            date_to=last,
            effects=effects_of(event.effects),
        )


def _hosts(event: Event) -> tuple[str, ...]:
    """Return the systems that were hit, as the text names them; where it names none, who was hit."""
    named = event.named
    found: list[str] = []
    for mention in named:
        name = mention.victim
        for word in ("its ", "his ", "their ", "the ", "an ", "a ", "of "):
            name = name.removeprefix(word)
        known = [row.lower() for row in found]
        if mention.systems and not any(name.lower() in row for row in known):
            found = [row for row in found if row.lower() not in name.lower()] + [name]
    return tuple(found[:6]) or ((event.victim,) if event.victim else ())


def _collect(rows: list[_Row], events: list[Event]) -> Iterable[CollectItem]:
    hosts_of = [_hosts(event) for event in events]
    dates_of = [event.date for event in events]
    effects_in = [effects_of(event.effects) for event in events]
    for row in rows:
        if row.draft.act not in _TESTED:
            continue
        linked = row.events
        own = set(effects_of(row.parse.lows))
        lows = set(row.parse.lows) if not linked else set()
        hosts: list[str] = []
        effects = set(own)
        for place in linked:
            for host in hosts_of[place]:
                lows |= {word.removesuffix("'s") for word in host.lower().replace("’", "'").split()}
                hosts.append(host)
            effects |= set(effects_in[place])
        if not linked and (not effects or row.draft.act == "accuses"):
            continue
        dates = [found for place in linked if (found := dates_of[place]) is not None]
        hosts = list(dict.fromkeys(hosts))
        item = collect_item(row.claim, lows, (tuple(sorted(effects)), frozenset(own)), tuple(hosts), dates)
        if item is not None:
            yield item


# --- contradictions and offers ---------------------------------------------------------------------------------


def _contradictions(rows: list[_Row]) -> list[Contradiction]:
    found: dict[tuple[str, str, str], Contradiction] = {}
    accusations: dict[str, list[_Row]] = {}
    for row in rows:
        if row.draft.act == "accuses" and row.draft.target is not None and "planned" not in row.draft.labels:
            accusations.setdefault(row.draft.target.key, []).append(row)
    for row in rows:
        if len(found) >= _MAX_CONTRADICTIONS:
            break
        if row.draft.act == "denies":
            _denials(row, [other for other in rows[:400] if _accuses(other, row)], found)
        elif row.draft.act == "claims-responsibility":
            _other_hands(row, rows, found)
    _two_perpetrators(accusations, found)
    _data_taken(rows, found)
    return list(found.values())


def _denials(row: _Row, against: list[_Row], found: dict[tuple[str, str, str], Contradiction]) -> None:
    """One pair for each side that accuses and each attack, with what it says in its clearest words."""
    order = sorted(
        against,
        key=lambda r: (bool({"headline", "nominal", "unnamed-state"} & set(r.draft.labels)), r.claim.offset),
    )
    for other in order:
        shared = set(other.events) & set(row.events)
        if not shared and (row.events or other.events) and not (not other.events and _speaks_of_it(other, row)):
            continue
        key = ("responsibility", other.draft.actor.key, row.draft.actor.party or row.draft.actor.key)
        same = [k for k in found if k[:2] == key[:2] and k[2].startswith(key[2] + " ")]
        if any(not shared or str(sorted(shared)) in k[2] for k in same):
            continue
        about = other.claim.about or row.claim.about
        pair = Contradiction(other.claim.id, row.claim.id, "responsibility", about, row.claim.speaker)
        found.setdefault((key[0], key[1], f"{key[2]} {sorted(shared)}"), pair)


def _speaks_of_it(accusation: _Row, denial: _Row) -> bool:
    """Say whether an accusation of no attack in particular can be what is denied: it stands before it."""
    return accusation.claim.offset <= denial.claim.offset and _of_attack(accusation.draft, accusation.parse)


def _other_hands(row: _Row, rows: list[_Row], found: dict[tuple[str, str, str], Contradiction]) -> None:
    """A group says that it did it, where somebody says that no group did, or else names a state."""
    reach = rows[:400]
    denied = [r for r in reach if "not-independent" in r.draft.labels and _same_attack(r, row)]
    named = [
        r for r in reach
        if r.draft.act == "accuses" and _party_of(r.draft.target) and not {"planned", "headline"} & set(r.draft.labels)
        and r.draft.target is not None and r.draft.target.key != row.draft.actor.key
        and _party_of(r.draft.target) != row.draft.actor.party and _same_attack(r, row)
    ]  # fmt: skip
    for other in (denied or named)[:1]:
        key = ("perpetrator", row.draft.actor.key, str(row.events))
        about = row.claim.about or other.claim.about
        found.setdefault(key, Contradiction(other.claim.id, row.claim.id, "perpetrator", about, row.claim.speaker))


def _same_attack(one: _Row, other: _Row) -> bool:
    if one.events and other.events:
        return bool(set(one.events) & set(other.events))
    return one.claim.offset == other.claim.offset or not (one.claim.about or other.claim.about)


def _two_perpetrators(accusations: dict[str, list[_Row]], found: dict[tuple[str, str, str], Contradiction]) -> None:
    blamed = [
        row
        for rows in list(accusations.values())[:20]
        for row in rows[:5]
        if row.draft.target and row.draft.target.party
    ]
    for place, row in enumerate(blamed):
        for other in blamed[place + 1 :]:
            mine, theirs = row.draft.target, other.draft.target
            if mine is None or theirs is None or mine.key == theirs.key or row.draft.actor.key == other.draft.actor.key:
                continue
            if set(row.events) & set(other.events):
                first, second = sorted((row, other), key=lambda r: r.claim.offset)
                key = ("perpetrator", first.draft.actor.key + mine.key, second.draft.actor.key + theirs.key)
                found.setdefault(key, Contradiction(first.claim.id, second.claim.id, "perpetrator", first.claim.about))


def _data_taken(rows: list[_Row], found: dict[tuple[str, str, str], Contradiction]) -> None:
    """One says that data was stolen or leaked, another that none was."""
    yes: list[_Row] = []
    no: list[_Row] = []
    taken = frozenset(
        ("stolen", "leaked", "obtained", "exfiltrated", "stole", "published", "copied", "compromised", "theft", "leak")
    )
    for row in rows[:1_000]:
        lows = set(row.parse.lows)
        if not (lows & taken and lows & _DATA) or row.draft.act not in _TESTED:
            continue
        negated = row.draft.act == "denies" or bool({"no", "not", "never", "none"} & lows)
        (no if negated else yes).append(row)
    for row in yes[:20]:
        for other in no[:20]:
            if row.draft.actor.key == other.draft.actor.key:
                continue
            key = ("data-taken", row.draft.actor.key, other.draft.actor.key)
            first, second = sorted((row, other), key=lambda r: r.claim.offset)
            found.setdefault(
                key, Contradiction(first.claim.id, second.claim.id, "data-taken", row.claim.about, row.claim.speaker)
            )


def _open_offers(rows: list[_Row], reading: Reading) -> tuple[str, ...]:
    """Return the offers that no later sentence accepts, declines or withdraws."""
    offers = [row for row in rows if row.draft.act == "offers"]
    checked = offers[:_MAX_CHECKED]
    if not offers:
        return ()
    closed: set[str] = set()
    answers = words("sets", "answers")
    for item in reading.parses:
        lows = item.lows
        if not ({"offer", "offers", "help", "assistance", "aid", "proposal"} & set(lows) and answers & set(lows)):
            continue
        verb = next(place for place, low in enumerate(lows) if low in answers)
        near = set(lows[verb : verb + 10])
        before = set(lows[max(0, verb - 3) : verb])
        if not near & {"offer", "offers", "help", "assistance", "aid", "proposal"} or before & {
            "not",
            "yet",
            "has n't",
            "never",
        }:
            continue
        keys = {row.draft.actor.key for row in checked}
        named = {actor.key for actor in _actors_in(item, reading)} & keys
        for row in checked:
            earlier = row.claim.offset <= item.sentence.start
            if earlier and (row.draft.actor.key in named or (not named and len(keys) == 1)):
                closed.add(row.claim.id)
    return tuple(row.claim.id for row in offers if row.claim.id not in closed)


def _actors_in(item: Parse, reading: Reading) -> Iterable[Actor]:
    if reading.memory is None:
        return
    for phrase in item.phrases:
        party = reading.memory.party_of(item, phrase)
        if party:
            yield Actor(party, party, party)
        if phrase.kind == "actor":
            yield reading.memory.resolve(item, replace(phrase))
