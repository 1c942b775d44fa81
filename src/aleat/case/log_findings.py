"""What logs show of themselves: cleared, cut, stopped, silent. Findings that ask a question, and are no hits.

Numbers: where a log counts its records, one that is missing between long stretches without a gap was taken out, or
lost; filters' results are told by their many gaps, and left alone. Clearing and stopping: what the system itself
says (our own signals), a stop only where nothing says that the whole system went down. Silences are in
`aleat.case.log_silences`. Whatever was seen several times on one host in one log is one finding.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import pairwise

import msgspec

from aleat.case.facts import text_of
from aleat.case.hosts import HostNames
from aleat.case.log_silences import LogSeries, find_log_silences, make_series
from aleat.case.parameters import ImpactParameters, LogParameters
from aleat.case.records import CoverageRow, EvidenceRef, LogFinding
from aleat.case.refs import ReferenceMaker
from aleat.case.signal_rules import signal_names
from aleat.evidence.activity import Activity, Run
from aleat.hunt.event_digest import event_digest
from aleat.hunt.indicator import Sighting
from aleat.times import DAY, MINUTE, calendar_time, micros_of

__all__ = ["KINDS", "LogActivity", "review_logs"]

KINDS = (
    "records-missing",
    "log-cleared",
    "log-silent",
    "logging-stopped",
    "logging-disabled",
    "host-silent",
    "records-unreadable",
    "parts-not-given",
)
_WHOLE_SYSTEM = frozenset(
    {
        "shutdown-planned",
        "shutdown-maintenance",
        "shutdown-security",
        "shutdown-clean",
        "shutdown-command",
        "shutdown-unexpected",
        "system-start",
    }
)
_CLEARED_IDS = frozenset({"1102", "104"})
_MOST_REFS = 5
_MOST_NAMES = 5


class LogActivity(msgspec.Struct, frozen=True):
    """The activity of one log of one host in one segment, and where that segment lies: source and records before it."""

    evidence: str
    record_base: int
    activity: Activity


class _Stretch(msgspec.Struct):
    """Records of one source without a gap, through its segments."""

    evidence: str
    first: int
    last: int
    first_time: int
    last_time: int
    first_ref: EvidenceRef
    last_ref: EvidenceRef


def review_logs(
    logs: Sequence[LogActivity],
    *,
    signals: Sequence[Sighting],
    coverage: Sequence[CoverageRow],
    names: HostNames,
    references: ReferenceMaker,
    unreadable: Collection[str] = (),
    impact: ImpactParameters,
    parameters: LogParameters,
) -> tuple[tuple[LogFinding, ...], tuple[CoverageRow, ...]]:
    """Return the findings, the gravest kind first, and the coverage with what is known of active hours and silences.

    `unreadable` are sources that could not be read whole: what is missing there may only be unread.
    """
    series = make_series(logs, names, references)
    found = [
        *_cleared(signals, references),
        *_stopped(signals, coverage, names, references, parameters),
        *_numbers(logs, names, references, unreadable, parameters),
        *find_log_silences(series, impact, parameters),
    ]
    spelled = make_series(logs, None, references)
    return _limited(found, parameters.most), tuple(_with_hours(row, spelled) for row in coverage)


def _limited(found: Iterable[LogFinding], most: int) -> tuple[LogFinding, ...]:
    """Return findings in order, at most so many of a kind; the last one of a kind says how many more there were."""
    kinds: dict[str, list[LogFinding]] = {kind: [] for kind in KINDS}
    for finding in found:
        kinds[finding.kind].append(finding)
    kept: list[LogFinding] = []
    for several in kinds.values():
        several.sort(key=lambda one: (-one.bits, -one.count, one.first, one.host, one.format, one.channel))
        if len(several) > most:
            more = {**several[most - 1].parameters, "more": str(len(several) - most)}
            several[most - 1 :] = [msgspec.structs.replace(several[most - 1], parameters=more)]
        kept += several
    return tuple(kept)


def _with_hours(row: CoverageRow, spelled: dict[tuple[str, str, str], LogSeries]) -> CoverageRow:
    """Return a row of the coverage with its hours: each spelling of a host is a row of its own."""
    log = spelled.get((row.host, row.format, row.channel))
    if log is None or not len(log.minutes):
        return row
    longest = log.longest_pause()
    silence = None if longest is None else (calendar_time(longest[0]), calendar_time(longest[1]))
    return msgspec.structs.replace(row, active_hours=log.active_hours(), silence=silence)


# ----------------------------------------------------------------------------------------- what the system says


def _cleared(signals: Sequence[Sighting], references: ReferenceMaker) -> Iterator[LogFinding]:
    """Yield one finding for all that was cleared on one host with no pause of a day: one command clears them all."""
    hosts: dict[str, list[Sighting]] = {}
    for signal in signals:
        if "log-cleared" in signal_names(signal) and signal.event_id in _CLEARED_IDS and signal.time is not None:
            hosts.setdefault(signal.host, []).append(signal)
    for host, several in hosts.items():
        for act in _acts(several):
            logs = list(dict.fromkeys(map(_cleared_log, act)))
            by = sorted({name for signal in act if (name := text_of(signal, "SubjectUserName"))})
            told = {
                "by": ", ".join(by[:_MOST_NAMES]),
                "logs": ", ".join(logs[:_MOST_NAMES]) if len(logs) > 1 else "",
                "more_logs": str(len(logs) - _MOST_NAMES) if len(logs) > _MOST_NAMES else "",
            }
            yield LogFinding(
                kind="log-cleared",
                host=host,
                format=act[0].format,
                channel=logs[0] if len(logs) == 1 else "",
                first=calendar_time(act[0].time or 0),
                last=calendar_time(act[-1].time or 0),
                count=len(act),
                refs=references.all_of(act, _MOST_REFS),
                parameters={name: text for name, text in told.items() if text},
            )


def _cleared_log(signal: Sighting) -> str:
    return "Security" if signal.event_id == "1102" else text_of(signal, "Channel") or signal.channel


def _acts(signals: Iterable[Sighting]) -> Iterator[list[Sighting]]:
    act: list[Sighting] = []
    for signal in sorted(signals, key=lambda one: (one.time or 0, one.channel != "Security", one.evidence, one.record)):
        if act and (signal.time or 0) - (act[-1].time or 0) > DAY:
            yield act
            act = []
        act.append(signal)
    yield act


def _stopped(
    signals: Sequence[Sighting],
    coverage: Sequence[CoverageRow],
    names: HostNames,
    references: ReferenceMaker,
    parameters: LogParameters,
) -> Iterator[LogFinding]:
    """Yield stops of the event log service while the system's own log goes on and says nothing of a shutdown."""
    near = int(parameters.shutdown_minutes * MINUTE)
    whole: dict[str, list[int]] = {}
    stops: dict[str, list[Sighting]] = {}
    for signal in signals:
        kinds = set(signal_names(signal))
        if signal.time is not None and kinds & _WHOLE_SYSTEM:
            whole.setdefault(signal.host, []).append(signal.time)
        elif signal.time is not None and "logging-stopped" in kinds:
            stops.setdefault(signal.host, []).append(signal)
    spans = {
        names.of(row.host): (micros_of(row.first), micros_of(row.last))
        for row in coverage
        if row.channel == "System" and row.first is not None and row.last is not None
    }
    yield from _disabled(signals, references)
    for host, several in stops.items():
        first, last = spans.get(host, (0, 0))
        alone = [
            signal
            for signal in several
            if first < (signal.time or 0) < last
            and not any(abs(time - (signal.time or 0)) <= near for time in whole.get(host, ()))
        ]
        if alone:
            yield _of_signals("logging-stopped", host, alone, references)


def _disabled(signals: Sequence[Sighting], references: ReferenceMaker) -> Iterator[LogFinding]:
    """Yield that the event log service was set not to start, whatever went on then: it shows at the next start."""
    found: dict[str, list[Sighting]] = {}
    for signal in signals:
        if signal.time is not None and "logging-disabled" in signal_names(signal):
            found.setdefault(signal.host, []).append(signal)
    for host, several in found.items():
        yield _of_signals("logging-disabled", host, several, references)


def _of_signals(kind: str, host: str, signals: Sequence[Sighting], references: ReferenceMaker) -> LogFinding:
    times = [signal.time or 0 for signal in signals]
    return LogFinding(
        kind=kind,
        host=host,
        format=signals[0].format,
        channel=signals[0].channel,
        first=calendar_time(min(times)),
        last=calendar_time(max(times)),
        count=len(signals),
        refs=references.all_of(signals, _MOST_REFS),
    )


# --------------------------------------------------------------------------------------------- record numbers


def _numbers(
    logs: Sequence[LogActivity],
    names: HostNames,
    references: ReferenceMaker,
    unreadable: Collection[str],
    parameters: LogParameters,
) -> Iterator[LogFinding]:
    by_source: dict[tuple[str, str, str], dict[str, list[tuple[LogActivity, Run]]]] = {}
    selections: set[tuple[str, str, str, str]] = set()
    for log in logs:
        activity = log.activity
        key = (names.of(activity.host), activity.format, activity.channel)
        if activity.selection:
            selections.add((*key, log.evidence))
        for run in activity.runs:
            by_source.setdefault(key, {}).setdefault(log.evidence, []).append((log, run))
    for key in sorted(by_source):
        whole: list[_Stretch] = []
        missing: list[tuple[_Stretch, _Stretch]] = []
        for evidence in sorted(by_source[key]):
            stretches = _stretches(by_source[key][evidence], references)
            if (*key, evidence) in selections or _is_selection(stretches, parameters):
                continue
            whole += [one for one in stretches if _length(one) >= parameters.least_records]
            missing += [pair for pair in pairwise(stretches) if _is_gap(*pair, parameters)]
        broken = [pair for pair in missing if pair[0].evidence in unreadable]
        sound = [pair for pair in missing if pair[0].evidence not in unreadable]
        yield from _missing("records-missing", key, sound, whole)
        yield from _missing("records-unreadable", key, broken, whole)
        yield from _not_given(key, whole)


def _length(stretch: _Stretch) -> int:
    return stretch.last - stretch.first + 1


def _stretches(runs: Iterable[tuple[LogActivity, Run]], references: ReferenceMaker) -> list[_Stretch]:
    """Join one source's runs, which its segments cut, in order of number."""
    found: list[_Stretch] = []
    for log, run in sorted(runs, key=lambda pair: (pair[1].first, -pair[1].last)):
        last = _reference(log, run.last, run.last_time, run.last_record, run.last_offset, references)
        if found and run.first <= found[-1].last + 1:
            if run.last > found[-1].last:
                found[-1].last, found[-1].last_time, found[-1].last_ref = run.last, run.last_time, last
            continue
        first = _reference(log, run.first, run.first_time, run.first_record, run.first_offset, references)
        found.append(_Stretch(log.evidence, run.first, run.last, run.first_time, run.last_time, first, last))
    return found


def _reference(
    log: LogActivity, number: int, time: int, record: int, offset: int, references: ReferenceMaker
) -> EvidenceRef:
    activity = log.activity
    event = event_digest(
        host=activity.host, format=activity.format, channel=activity.channel, record_id=number, time=time, fields={}
    )
    return references.at(log.evidence, record + log.record_base, offset, event)


def _is_selection(stretches: Sequence[_Stretch], parameters: LogParameters) -> bool:
    gaps = len(stretches) - 1
    return gaps > parameters.few_gaps and gaps * parameters.records_a_gap > sum(map(_length, stretches))


def _is_gap(before: _Stretch, after: _Stretch, parameters: LogParameters) -> bool:
    long = min(_length(before), _length(after)) >= parameters.least_records
    return long and after.first_time >= before.last_time  # else it was counted anew: two logs of one name


def _missing(
    kind: str, key: tuple[str, str, str], gaps: Sequence[tuple[_Stretch, _Stretch]], whole: Sequence[_Stretch]
) -> Iterator[LogFinding]:
    """Yield one finding for a log's gaps that no other source fills."""
    open_gaps = []
    for before, after in gaps:
        count = _uncovered(before.last + 1, after.first - 1, whole)
        if count:
            open_gaps.append((count, before, after))
    if not open_gaps:
        return
    refs = [ref for _, before, after in open_gaps for ref in (before.last_ref, after.first_ref)]
    most = max(open_gaps, key=lambda gap: gap[0])
    yield LogFinding(
        kind=kind,
        host=key[0],
        format=key[1],
        channel=key[2],
        first=calendar_time(min(before.last_time for _, before, _ in open_gaps)),
        last=calendar_time(max(after.first_time for _, _, after in open_gaps)),
        count=sum(count for count, _, _ in open_gaps),
        refs=tuple(dict.fromkeys(refs))[: 2 * _MOST_REFS],
        parameters={
            "gaps": str(len(open_gaps)),
            "from": str(most[1].last + 1),
            "to": str(most[2].first - 1),
        },
    )


def _uncovered(first: int, last: int, whole: Sequence[_Stretch]) -> int:
    """Return how many numbers from `first` to `last` are in no stretch."""
    count, at = 0, first
    for stretch in sorted(whole, key=lambda one: one.first):
        if stretch.last < at or stretch.first > last:
            continue
        count += max(0, stretch.first - at)
        at = max(at, stretch.last + 1)
    return count + max(0, last - at + 1)


def _is_between(before: _Stretch, after: _Stretch) -> bool:
    return before.evidence != after.evidence and after.first_time >= before.last_time


def _not_given(key: tuple[str, str, str], whole: Sequence[_Stretch]) -> Iterator[LogFinding]:
    """Yield one finding for what is missing between a log's sources."""
    ordered = sorted(whole, key=lambda one: (one.first, one.last))
    gaps: list[tuple[_Stretch, _Stretch]] = []
    reached: _Stretch | None = None
    for stretch in ordered:
        if reached is not None and stretch.first > reached.last + 1 and _is_between(reached, stretch):
            gaps.append((reached, stretch))
        if reached is None or stretch.last > reached.last:
            reached = stretch
    if gaps:
        refs = [ref for before, after in gaps for ref in (before.last_ref, after.first_ref)]
        yield LogFinding(
            kind="parts-not-given",
            host=key[0],
            format=key[1],
            channel=key[2],
            first=calendar_time(gaps[0][0].last_time),
            last=calendar_time(gaps[-1][1].first_time),
            count=sum(after.first - before.last - 1 for before, after in gaps),
            refs=tuple(dict.fromkeys(refs))[: 2 * _MOST_REFS],
            parameters={"gaps": str(len(gaps))},
        )
