"""Alerts of other tools: events in which another tool says that it found something, as sightings of that tool's rules.

Which events are alerts, and where they name the tool, its rule, a title and a level, is data: the ``[alert]`` of a
format's file (`aleat.formats`), one table or several:

==============  ==================================================================================================
``channel`` …   ``channel``, ``provider``, ``event_id`` (lists of texts), ``where`` (field = texts), ``has`` (fields):
                what must hold of an event that is an alert; ``unless`` (field = texts): what must not
``tool``        the tool's name, or a list of fields, of which the first that says something counts
``otherwise``   the tool's name where no such field says anything
``rule``        fields: the first that says something is the rule's id; a list of names in it is read together
``title``       fields; where none says anything, the rule's id is the title
``level``       one of Sigma's levels, or ``{fields = […], words = {text = level}, otherwise = level}``; numbers may
                be graded by where a level begins: ``from = [[1, "low"], [4, "medium"]]``
``techniques``  fields in whose texts ATT&CK techniques stand (``T1059.001``)
==============  ==================================================================================================

A field is a name, or ``{of = name, view = transform, argument = text}`` (`aleat.hunt.views`).

Each (tool, rule) is an indicator with an id of its own, made of nothing but those two names, so that it is the same
wherever its alerts come from. Title, level and techniques are those that the alert itself states. No rule is asked
whether the tool is right: how much its alerts weigh is for `aleat.case` to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from aleat.errors import Place
from aleat.evidence.batch import EventBatch
from aleat.formats import all_formats
from aleat.hunt.columns import Column, Table, cells_of, unique_rows
from aleat.hunt.expression import fold, normalise_name
from aleat.hunt.indicator import LEVELS, Indicator, Sighting
from aleat.hunt.plan import Plan
from aleat.hunt.rows import RowReader
from aleat.hunt.views import view
from aleat.stix.ids import content_id

__all__ = [
    "ALERT_PATTERN",
    "SOURCE",
    "AlertHunter",
    "Raised",
    "alert_fields",
    "alert_id",
    "alert_of",
    "alert_readings",
    "is_alert",
    "names_alert",
    "tool_of",
    "with_alerts",
]

ALERT_PATTERN = "aleat-alert"
"""`Indicator.pattern_type` of what stands in a plan for all alerts of one format."""
SOURCE = "alerts"
"""Alerts are given by ``alerts/<tool>``."""

_ENGINE = 1  # part of the digests: raised whenever the same description can give other sightings
_TECHNIQUE = re.compile(r"(?<![A-Za-z0-9])[Tt](\d{4}(?:\.\d{3})?)(?![0-9])")
_LONGEST = 512
"""Longer names of rules, and titles, are cut."""
_TECHNIQUES = 16
"""An alert's further techniques are left out of its tags."""
_KEPT = 50_000
"""Indicators that a process keeps ready: evidence can name as many rules as it has alerts."""
_FACTS = ("provider", "event_id")

Words = Mapping[str, Sequence[str]]
"""Texts by (normalised) name, of one kind of alert."""


class Raised(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What an alert says of itself: who raised it, by which rule, how grave it is in Sigma's words, Sigma's tags."""

    tool: str
    rule: str
    title: str
    level: str
    tags: tuple[str, ...] = ()

    def indicator(self, digest: str) -> Indicator:
        """Return the indicator that the tool's rule is; `digest` is that of the format's description."""
        identifier = alert_id(self.tool, self.rule)
        return Indicator(
            id=identifier,
            ref=identifier,
            digest=digest,
            pattern_type=ALERT_PATTERN,
            pattern=self.rule,
            title=self.title,
            source=f"{SOURCE}/{self.tool}",
            place=Place(SOURCE),
            level=self.level,
            author=self.tool,
            tags=self.tags,
        )


class Source(NamedTuple):
    """Where a text is: in a field, or in what a transform makes of it."""

    name: str
    transform: str = ""
    argument: str = ""

    def texts(self, words: Words) -> list[str]:
        """Return what is there of one kind of alert."""
        found = words.get(self.name, ())
        if self.transform:
            found = [part for text in found for part in view(self.transform, text, self.argument)]
        return [text.strip() for text in found if text.strip() not in ("", "-")]


class AlertReading(NamedTuple):
    """One table ``[alert]``, checked."""

    format: str
    facts: Mapping[str, frozenset[str]]
    where: Mapping[str, frozenset[str]]
    unless: Mapping[str, frozenset[str]]
    has: tuple[str, ...]
    tool: tuple[Source, ...]
    otherwise: str
    rule: tuple[tuple[Source, ...], ...]
    title: tuple[tuple[Source, ...], ...]
    level: tuple[Source, ...]
    levels: Mapping[str, str]
    steps: tuple[tuple[float, str], ...]
    default: str
    techniques: tuple[Source, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The normalised names of all fields that are read."""
        grouped = (item for group in (*self.rule, *self.title) for item in group)
        read = [*self.tool, *self.level, *self.techniques, *grouped]
        return tuple(dict.fromkeys((*(item.name for item in read), *self.where, *self.unless, *self.has)))

    def opens(self, channel: str) -> bool:
        """Say whether events of a channel can be alerts."""
        return "channel" not in self.facts or channel.casefold() in self.facts["channel"]

    def read(self, words: Words, facts: Mapping[str, str]) -> Raised | None:
        """Return what one kind of event says as an alert; None where it is none."""
        for name, wanted in self.facts.items():
            if name in _FACTS and facts.get(name, "").casefold() not in wanted:
                return None
        for name, wanted in self.where.items():
            if not any(text.casefold() in wanted for text in words.get(name, ())):
                return None
        for name, unwanted in self.unless.items():
            if any(text.casefold() in unwanted for text in words.get(name, ())):
                return None
        if not all(any(words.get(name, ())) for name in self.has):
            return None
        rule, title = _first(self.rule, words), _first(self.title, words)
        if not (rule or title):
            return None
        tool = next((text for item in self.tool for text in item.texts(words)), self.otherwise)
        stated = next((text for item in self.level for text in item.texts(words)), "").casefold()
        told = (text for item in self.techniques for text in item.texts(words))
        techniques = [match for text in told for match in _TECHNIQUE.findall(text)]
        return Raised(
            tool[:_LONGEST],
            (rule or title)[:_LONGEST],
            (title or rule)[:_LONGEST],
            self._level(stated),
            tuple(f"attack.t{number}" for number in dict.fromkeys(techniques[:_TECHNIQUES])),
        )

    def _level(self, stated: str) -> str:
        try:
            number = float(stated) if self.steps else None
        except ValueError:
            number = None
        if number is None:
            return self.levels.get(stated, self.default)
        return next((level for start, level in reversed(self.steps) if number >= start), self.default)


def alert_id(tool: str, rule: str) -> str:
    """Return the id of the indicator that a tool's rule is."""
    return content_id("indicator", ["alert", tool, rule])


def is_alert(sighting: Sighting) -> bool:
    """Say whether a sighting is another tool's alert."""
    return sighting.rule_digest in _digests()


def tool_of(sighting: Sighting) -> str:
    """Return the tool that raised an alert."""
    return sighting.author or ""


def names_alert(name: str, identifier: str, tool: str, title: str) -> bool:
    """Say whether `name` means a tool's rule: its id here, its title, or tool and title (``Wazuh: sshd: …``)."""
    return name == identifier or fold(name) in (fold(title), fold(f"{tool}: {title}"))


def with_alerts(plan: Plan) -> Plan:
    """Return the plan with all formats' alerts among what is hunted for."""
    return msgspec.structs.replace(plan, alerts=_indicators())


def alert_fields(plan: Plan) -> frozenset[str]:
    """Return the (normalised) names of the fields that decide about a plan's alerts."""
    return frozenset(name for item in plan.alerts for reading in alert_readings()[item.id] for name in reading.names)


def alert_of(batch: EventBatch, row: int) -> tuple[Indicator, tuple[tuple[str, str], ...]] | None:
    """Return the indicator of the alert that an event is, and the cells that say so; None where it is none."""
    hunter = AlertHunter(_indicators())
    part = _one_event(batch, row)
    for _, indicator, matched in hunter.raised(part):
        return indicator, matched
    return None


def _one_event(batch: EventBatch, row: int) -> EventBatch:
    """Return one event of a batch."""
    return EventBatch(
        batch.evidence, batch.segment, batch.record_base, batch.format, batch.channel, batch.table.slice(row, 1)
    )


class AlertHunter:
    """Finds alerts; `indicators` are a plan's, `only` the digests of those that are wanted (None: all)."""

    def __init__(self, indicators: Sequence[Indicator], only: frozenset[str] | None = None) -> None:
        self._readings = {
            item.id: (item.digest, alert_readings()[item.id])
            for item in indicators
            if (only is None or item.digest in only) and item.id in alert_readings()
        }
        self._indicators: dict[tuple[str, Raised], Indicator] = {}

    def __bool__(self) -> bool:
        return bool(self._readings)

    def opens(self, format_: str, channel: str) -> bool:
        """Say whether events of a format and a channel can be alerts."""
        return format_ in self._readings and any(item.opens(channel) for item in self._readings[format_][1])

    def opens_kind(self, kind: tuple[str, str, str, str]) -> bool:
        """Say whether events of a kind (format, channel, provider, event id) can be alerts."""
        if not self.opens(kind[0], kind[1]):
            return False
        facts = dict(zip(_FACTS, kind[2:], strict=True))
        return any(
            reading.opens(kind[1])
            and all(facts[name].casefold() in wanted for name, wanted in reading.facts.items() if name in _FACTS)
            for reading in self._readings[kind[0]][1]
        )

    def hunt(self, batches: Iterable[EventBatch]) -> Iterator[Sighting]:
        """Yield a sighting for each alert, by batch and row."""
        for batch in batches:
            if self.opens(batch.format, batch.channel):
                found = {row: (indicator, matched) for row, indicator, matched in self.raised(batch)}
                reader = RowReader(batch, found)
                for row in reader.rows:
                    indicator, matched = found[row]
                    yield reader.sighting(row, indicator, matched=matched)

    def raised(self, batch: EventBatch) -> Iterator[tuple[int, Indicator, tuple[tuple[str, str], ...]]]:
        """Yield (row, the tool's rule as an indicator, the cells that name it) for each alert of a batch."""
        if not batch.table.num_rows or not self.opens(batch.format, batch.channel):
            return
        digest, readings = self._readings[batch.format]
        readings = tuple(reading for reading in readings if reading.opens(batch.channel))
        table = Table(batch)
        names = tuple(dict.fromkeys(name for reading in readings for name in reading.names))
        columns = [(name, column) for name in names for column in table.of_name(name)]
        columns += [(fact, table.fixed(fact)) for fact in _FACTS]
        first, inverse = unique_rows([column.codes for _, column in columns])
        kinds = [self._kind(readings, columns, int(row), digest) for row in first]
        for row, kind in enumerate(inverse.tolist()):
            found = kinds[kind]
            if found is not None:
                yield row, *found

    def _kind(
        self, readings: Sequence[AlertReading], columns: Sequence[tuple[str, Column]], row: int, digest: str
    ) -> tuple[Indicator, tuple[tuple[str, str], ...]] | None:
        words, facts = _words_of(columns, row)
        for reading in readings:
            raised = reading.read(words, facts)
            if raised is not None:
                indicator = self._indicators.get((digest, raised))
                if indicator is None:
                    if len(self._indicators) >= _KEPT:
                        self._indicators.clear()
                    indicator = self._indicators[digest, raised] = raised.indicator(digest)
                naming = {item.name for group in (*reading.rule, *reading.title) for item in group}
                cells = [
                    (column.field, column.texts[column.codes[row]])
                    for name, column in columns
                    if name in naming and column.codes[row] >= 0
                ]
                return indicator, tuple(cells)
        return None


def _words_of(columns: Sequence[tuple[str, Column]], row: int) -> tuple[dict[str, list[str]], dict[str, str]]:
    words: dict[str, list[str]] = {}
    facts: dict[str, str] = {}
    for name, column in columns:
        codes: npt.NDArray[np.signedinteger[Any]] = column.codes
        code = int(codes[row])
        if code < 0:
            continue
        if not column.field:
            facts[name] = column.texts[code]
            continue
        plain, floats, _ = cells_of(column.kind, column.texts[code])
        words.setdefault(name, []).extend((*plain, *floats))
    return words, facts


def _first(groups: Iterable[tuple[Source, ...]], words: Words) -> str:
    """Return the texts of the first group of fields that are all there, joined; nothing where none is."""
    for group in groups:
        texts = [next(iter(item.texts(words)), "") for item in group]
        if all(texts):
            return " ".join(texts)
    return ""


# -------------------------------------------------------------------------------------------- descriptions


@lru_cache(maxsize=1)
def alert_readings() -> Mapping[str, tuple[AlertReading, ...]]:
    """Return the checked ``[alert]`` tables of all formats that have any; raises `ValueError` where one is wrong."""
    alerting = (item for item in all_formats() if item.alert)
    return {item.name: tuple(_reading(item.name, table) for table in item.alert) for item in alerting}


@lru_cache(maxsize=1)
def _indicators() -> tuple[Indicator, ...]:
    return tuple(
        Indicator(
            id=item.name,
            ref=content_id("indicator", ["alerts", item.name]),
            digest=sha256(f"{ALERT_PATTERN} {_ENGINE}\n{list(item.alert)!r}".encode()).hexdigest(),
            pattern_type=ALERT_PATTERN,
            pattern="",
            title=f"{item.title}: alerts",
            source=SOURCE,
            place=Place(f"aleat/formats/data/{item.name}.toml"),
        )
        for item in all_formats()
        if item.alert
    )


@lru_cache(maxsize=1)
def _digests() -> frozenset[str]:
    return frozenset(item.digest for item in _indicators())


def _reading(format_: str, table: Mapping[str, Any]) -> AlertReading:
    try:
        tool, level = table["tool"], table.get("level", "medium")
        graded = level if isinstance(level, Mapping) else {"otherwise": level}
        reading = AlertReading(
            format=format_,
            facts={name: _folded(table[name]) for name in ("channel", *_FACTS) if name in table},
            where=_conditions(table.get("where", {})),
            unless=_conditions(table.get("unless", {})),
            has=tuple(normalise_name(name) for name in table.get("has", ())),
            tool=() if isinstance(tool, str) else _sources(tool),
            otherwise=tool if isinstance(tool, str) else table["otherwise"],
            rule=_groups(table.get("rule", ())),
            title=_groups(table.get("title", ())),
            level=_sources(graded.get("fields", ())),
            levels={**{name: name for name in LEVELS}, **{k.casefold(): v for k, v in graded.get("words", {}).items()}},
            steps=tuple(sorted((float(start), str(name)) for start, name in graded.get("from", ()))),
            default=graded.get("otherwise", "medium"),
            techniques=_sources(table.get("techniques", ())),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"formats/data/{format_}.toml: an [alert] can't be used: {error!r}") from error
    if unknown := {reading.default, *reading.levels.values(), *(name for _, name in reading.steps)} - set(LEVELS):
        raise ValueError(f"formats/data/{format_}.toml: an [alert] has levels that aren't: {sorted(unknown)}")
    return reading


def _folded(texts: Iterable[str]) -> frozenset[str]:
    return frozenset(text.casefold() for text in texts)


def _conditions(table: Mapping[str, Iterable[str]]) -> dict[str, frozenset[str]]:
    return {normalise_name(name): _folded(texts) for name, texts in table.items()}


def _sources(items: Iterable[str | Mapping[str, str]]) -> tuple[Source, ...]:
    return tuple(_source(item) for item in items)


def _groups(items: Iterable[str | Mapping[str, str] | Sequence[Any]]) -> tuple[tuple[Source, ...], ...]:
    return tuple(_sources(item) if isinstance(item, list) else (_source(item),) for item in items)  # type: ignore[arg-type]


def _source(item: str | Mapping[str, str]) -> Source:
    if isinstance(item, str):
        return Source(normalise_name(item))
    return Source(normalise_name(item["of"]), item["view"], item.get("argument", ""))
