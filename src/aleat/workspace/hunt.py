"""The hunt's verbs: over all that a workspace holds, or once over files without a workspace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timezone
from pathlib import Path
from time import perf_counter
from typing import IO

import msgspec

from aleat.case import signals
from aleat.errors import Issue
from aleat.evidence import NOTE_CODES, Limits, ReadOptions, Secrets, location
from aleat.evidence.mapping import formats_of_mappings
from aleat.formats import stated_formats
from aleat.hunt import LEVELS, Indicator, NotEvaluated, Plan, Sighting, compile_plan
from aleat.hunt.alerts import with_alerts
from aleat.hunt.dismissals import add_dismissals
from aleat.hunt.drive import hunt_lake, hunt_paths
from aleat.hunt.from_store import indicators, indicators_of_items, warning_lists, warning_lists_of_items
from aleat.hunt.output import open_writer
from aleat.hunt.placeholders import MAXIMUM_BYTES, read_placeholders
from aleat.hunt.result import HuntProgress, HuntResult
from aleat.hunt.retired import with_retired
from aleat.hunt.standing import Standing
from aleat.hunt.stated import check_formats
from aleat.hunt.summary import log_sources_without_evidence
from aleat.hunt.warning_lists import refused_expressions
from aleat.knowledge import NOTE_CODES as KNOWLEDGE_NOTES
from aleat.knowledge import KnowledgeItem, read_knowledge
from aleat.knowledge.quality import quality_of
from aleat.report import Assumption
from aleat.stix import StixObject
from aleat.store.dismissals import DismissalRow, read_dismissals
from aleat.store.objects import iterate_objects
from aleat.times import micros_of
from aleat.trust.markings import strictest_pap
from aleat.workspace.assumptions import ASSUMPTION_CODES, assumptions_of
from aleat.workspace.core import Session
from aleat.workspace.dismissals import dismiss, in_force, undo
from aleat.workspace.evidence import open_lake
from aleat.workspace.explain import ExplainedEvent, explain_event
from aleat.workspace.knowledge_terms import knowledge_terms
from aleat.workspace.mappings import read_mappings
from aleat.workspace.progress import Progress, silent
from aleat.workspace.quality import Doubts

__all__ = ["PLACEHOLDERS_NAME", "HuntVerbs", "Hunted", "hunt_once", "write_sightings"]


PLACEHOLDERS_NAME = "placeholders.toml"
"""The workspace's own values for Sigma's placeholders; it need not be there."""


@dataclass(frozen=True)
class Hunted:
    """A hunt without a workspace: its result, and how many files were passed over, by the code of the note.

    `written` is how many sightings went to the output, `assumptions` are those under which logs were read.
    """

    result: HuntResult
    notes: dict[str, int]
    written: int = 0
    assumptions: tuple[Assumption, ...] = ()


class HuntVerbs(Session):
    """Everything that is known, against everything that is held."""

    def plan(self, *, placeholders: Path | None = None) -> Plan:
        """Return the plan of all indicators that are known, our own signals among them, compiled once.

        Sigma's placeholders get the values in `placeholders.toml` in the workspace, where it is there, and in
        the file `placeholders`, which comes first.
        """
        given = _placeholders(self.folder / PLACEHOLDERS_NAME, placeholders)
        rejected: list[NotEvaluated] = []
        standings: list[Standing] = []
        retired: list[Indicator] = []
        with self.read() as connection:
            terms = knowledge_terms(self, connection)
            known = list(
                indicators(
                    connection,
                    self.folder,
                    terms=terms,
                    not_evaluated=rejected,
                    standings=standings,
                    retired=retired,
                )
            )
            warnings = tuple(warning_lists(connection, self.folder, not_evaluated=rejected))
            names = self.names(connection)
            dismissals = in_force(connection)
        named = [_named(indicator, names) for indicator in known]
        gone = [_named(indicator, names) for indicator in retired]
        with stated_formats(read_mappings(self.folder)):
            plan = compile_plan([*named, *signals()], placeholders=given, cache=self.folder / "cache")
            plan = with_retired(plan, gone, placeholders=given)
        rejected += refused_expressions(warnings)
        plan = msgspec.structs.replace(
            plan,
            warnings=warnings,
            standings=tuple(standings),
            not_evaluated=(*plan.not_evaluated, *rejected),
        )
        return add_dismissals(with_alerts(plan), dismissals)

    def hunt(
        self,
        *,
        placeholders: Path | None = None,
        workers: int | None = None,
        executor: Executor | None = None,
        progress: Progress = silent,
    ) -> HuntResult:
        """Evaluate what the ledger of hunts doesn't have yet, and return all that was found, then and now.

        `placeholders` is a file of values for Sigma's placeholders, beside the workspace's own. The work is done by
        `workers` processes, or by `executor` (a cluster's, say), of which `workers` says how many jobs it does at
        once and whose processes must see the workspace under the same path.
        """
        with self.writing():
            started = perf_counter()
            plan = self.plan(placeholders=placeholders)
            seconds = perf_counter() - started
            result = hunt_lake(
                open_lake(self),
                self.database,
                plan,
                time=self.now(),
                actor=self.actor,
                workers=workers,
                executor=executor,
                progress=_told(progress),
            )
        return _completed(replace(result, sightings=self._with_labels(result.sightings)), plan, seconds)

    def _with_labels(self, sightings: Sequence[Sighting]) -> tuple[Sighting, ...]:
        """Return the sightings with what is doubtful about their indicators, and what may be done with those."""
        refs = sorted({one.ref for one in sightings if one.hidden_by is None})
        if not refs:
            return tuple(sightings)
        with self.read() as connection:
            known = list(iterate_objects(connection, ids=refs))
            labels = Doubts(connection, self.folder).labels([stored.object for stored in known])
        codes = {ref: tuple(dict.fromkeys(label.code for label in found)) for ref, found in labels.items()}
        beside = {stored.object.id: [mark for copy in stored.copies for mark in copy.markings] for stored in known}
        pap = {stored.object.id: _pap_of(stored.object, beside[stored.object.id]) for stored in known}
        return tuple(_labelled(one, codes.get(one.ref, ()), pap.get(one.ref, "")) for one in sightings)

    def explain(
        self, rule: str, event: str, *, placeholders: Path | None = None, progress: Progress = silent
    ) -> ExplainedEvent:
        """Say why a rule did or did not match an event, branch by branch, and whether it could match here at all.

        `rule` is the rule's own id, its STIX id, short name or title; `event` is ``EVIDENCE:RECORD`` (a path as in
        a sighting, and the record's ordinal) or an event digest.
        """
        return explain_event(self, self.plan(placeholders=placeholders), rule, event, progress=progress)

    def dismiss(self, rule: str, reason: str, where: Iterable[str] = ()) -> DismissalRow:
        """Hide sightings of a rule as normal here: those whose fields hold ``FIELD=VALUE``, or all of them.

        All fields must hold, and one of the values given for a field; values are Sigma texts (``*`` and ``?``
        count), fields may carry Sigma's modifiers. Nothing is hunted anew, neither now nor when it is undone.
        """
        return dismiss(self, self.plan(), rule, reason, where)

    def undo_dismissal(self, identifier: str, reason: str = "") -> DismissalRow:
        """Show again what a dismissal (an id, or the beginning of one) hides."""
        return undo(self, identifier, reason)

    def dismissals(self) -> tuple[DismissalRow, ...]:
        """Return all dismissals, undone ones too, in order of time."""
        with self.read() as connection:
            return read_dismissals(connection)


def hunt_once(
    paths: Sequence[str | Path],
    rules: Sequence[Path],
    output: Path | IO[bytes],
    format_: str = "jsonl",
    *,
    min_level: str = "informational",
    since: datetime | None = None,
    until: datetime | None = None,
    placeholders: Path | None = None,
    zone: timezone = UTC,
    color: bool = False,
    logs: ReadOptions | None = None,
    limits: Limits | None = None,
    secrets: Secrets | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: Progress = silent,
) -> Hunted:
    """Hunt for the knowledge in `rules` in the evidence at `paths`; nothing is kept but what `output` gets.

    Sightings at or above `min_level` are written as they are found, so that memory doesn't grow with them; where
    `since` or `until` (aware times) is given, only those at or after the one and before the other.
    `placeholders` is a file of values for Sigma's placeholders; `workers` and `executor` are as in `HuntVerbs.hunt`,
    `zone` and `color` as in `aleat.hunt.open_writer`. `logs` is what is stated about zones, years and code pages,
    `limits` what archives may cost, `secrets` are passwords for them; a path may be a URL.
    """
    issues: list[Issue] = []
    rejected: list[NotEvaluated] = []
    standings: list[Standing] = []
    started = perf_counter()

    def items() -> Iterator[KnowledgeItem]:
        for number, item in enumerate(read_knowledge(rules)):
            progress("rules", number, None)
            if isinstance(item, Issue):
                issues.append(item)
            else:
                yield item

    source = ", ".join(path.name for path in rules)
    given = _placeholders(None, placeholders)
    known = list(items())
    warnings = tuple(warning_lists_of_items(known, source))
    mapped = formats_of_mappings(logs.mappings if logs else ())
    check_formats(mapped)
    with stated_formats(mapped):
        wanted_ones = indicators_of_items(known, source, not_evaluated=rejected, standings=standings)
        plan = compile_plan(list(wanted_ones), placeholders=given)
    rejected += refused_expressions(warnings)
    plan = msgspec.structs.replace(
        plan, warnings=warnings, standings=tuple(standings), not_evaluated=(*plan.not_evaluated, *rejected)
    )
    plan = with_alerts(plan)
    seconds = perf_counter() - started
    wanted = _wanted(min_level, since, until)
    objects = {item.object.id: item for item in known if item.object.type == "indicator"}
    codes: dict[str, tuple[str, ...]] = {}
    pap = {id_: _pap_of(item.object, item.markings) for id_, item in objects.items()}
    written = 0
    with ExitStack() as stack:
        stream = stack.enter_context(output.open("wb")) if isinstance(output, Path) else output
        writer = stack.enter_context(open_writer(format_, stream, zone=zone, color=color))

        def sink(sighting: Sighting) -> None:
            nonlocal written
            if wanted(sighting):
                if sighting.ref not in codes:
                    found = quality_of(objects[sighting.ref].object) if sighting.ref in objects else ()
                    codes[sighting.ref] = tuple(dict.fromkeys(label.code for label in found))
                writer.write(_labelled(sighting, codes[sighting.ref], pap.get(sighting.ref, "")))
                written += 1

        result = hunt_paths(
            [location(path) for path in paths],
            plan,
            workers=workers,
            executor=executor,
            options=logs,
            limits=limits,
            secrets=secrets,
            sink=sink,
            progress=_told(progress),
        )
    result = _completed(result, plan, seconds)
    found = tuple(issue for issue in result.issues if issue.code not in NOTE_CODES)
    assumptions = assumptions_of(result.issues, {})
    notes = Counter(issue.code for issue in (*issues, *result.issues) if _is_note(issue))
    lost = tuple(issue for issue in issues if issue.code not in KNOWLEDGE_NOTES)
    return Hunted(
        result=replace(result, issues=(*lost, *found)), notes=dict(notes), written=written, assumptions=assumptions
    )


def write_sightings(
    sightings: Iterable[Sighting],
    output: Path | IO[bytes],
    format_: str,
    *,
    min_level: str = "informational",
    since: datetime | None = None,
    until: datetime | None = None,
    zone: timezone = UTC,
    color: bool = False,
) -> int:
    """Write the sightings at or above `min_level` that nothing hides, and return how many they were.

    Where `since` or `until` (aware times) is given, only those at or after the one and before the other. `zone` and
    `color` are as in `aleat.hunt.open_writer`.
    """
    wanted = _wanted(min_level, since, until)
    count = 0
    with ExitStack() as stack:
        stream = stack.enter_context(output.open("wb")) if isinstance(output, Path) else output
        writer = stack.enter_context(open_writer(format_, stream, zone=zone, color=color))
        for sighting in sightings:
            if wanted(sighting):
                writer.write(sighting)
                count += 1
    return count


def _wanted(min_level: str, since: datetime | None, until: datetime | None) -> Callable[[Sighting], bool]:
    """Return whether a sighting is to be written; one without a time is in no stretch of time."""
    levels = frozenset(LEVELS[LEVELS.index(min_level) :])
    first, end = (None if time is None else micros_of(time) for time in (since, until))

    def wanted(sighting: Sighting) -> bool:
        if sighting.level not in levels or sighting.hidden_by is not None:
            return False
        if first is None and end is None:
            return True
        time = sighting.time
        return time is not None and (first is None or time >= first) and (end is None or time < end)

    return wanted


def _completed(result: HuntResult, plan: Plan, seconds: float) -> HuntResult:
    """Add what only the plan tells: its own time, and the log sources that were missing."""
    times = {"rules": seconds, **result.seconds, "total": seconds + result.seconds.get("total", 0.0)}
    return replace(result, seconds=times, missing_sources=log_sources_without_evidence(plan, result.coverage))


def _placeholders(own: Path | None, given: Path | None) -> dict[str, tuple[str, ...]]:
    """Return the values in the workspace's own file (which may be absent), and over them those in the given one."""
    values: dict[str, tuple[str, ...]] = {}
    for path in (own, given):
        if path is None or (path is own and not path.is_file()):
            continue
        with path.open("rb") as file:
            values.update(read_placeholders(file.read(MAXIMUM_BYTES + 1), str(path)))
    return values


def _labelled(sighting: Sighting, codes: tuple[str, ...], pap: str) -> Sighting:
    return msgspec.structs.replace(sighting, quality=codes, pap=pap) if codes or pap else sighting


def _pap_of(item: StixObject, beside: Iterable[str]) -> str:
    """Return the strictest PAP level of an object, of its parts, and of what its givers put beside it."""
    parts = (part.marking_ref for part in item.granular_markings)
    return strictest_pap([*item.object_marking_refs, *parts, *beside])


def _named(indicator: Indicator, names: Mapping[str, str]) -> Indicator:
    """Return the indicator with its givers by name."""
    givers = [names.get(giver, giver) for giver in indicator.source.split(", ")]
    return msgspec.structs.replace(indicator, source=", ".join(givers))


def _is_note(issue: Issue) -> bool:
    return issue.code in (KNOWLEDGE_NOTES if issue.stage == "knowledge" else NOTE_CODES - ASSUMPTION_CODES)


def _told(progress: Progress) -> Callable[[HuntProgress], None]:
    """Return the hunt's own kind of progress callback."""

    def show(state: HuntProgress) -> None:
        progress(state.phase, state.done, state.total)

    return show
