"""The summary of a hunt, on standard error: what was looked at, what fired, what could not be done, and all of that."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from aleat.cli.terminal import error, line
from aleat.stix.levels import LEVELS
from aleat.text import clip, visible

if TYPE_CHECKING:
    from aleat.hunt.indicator import NotEvaluated
    from aleat.hunt.result import HuntResult
    from aleat.report import Assumption

__all__ = ["print_assumptions", "print_hunt"]

_TOP = 5
_MANY = 12
_NAME = 60
_NOTES = {
    "not-a-rule": "{} no rules",
    "not-knowledge": "{} no knowledge",
    "passed-over": "{} no logs that a reader knows",
    "private-rule": "{} private rules that no other needs",
    "rule-level": "{} rules of an unknown level, taken as medium",
    "empty": "{} empty",
    "empty-file": "{} empty",
    "empty-folder": "{} empty folders",
}
_FILES = frozenset(_NOTES) - {"empty-folder", "private-rule", "rule-level"}


def print_assumptions(assumptions: Iterable[Assumption], write: Callable[[str], None] = line) -> None:
    """Write under which assumptions logs were read, with the flags that settle them."""
    for item in assumptions:
        where = f"{item.sources[0]}{f' and {len(item.sources) - 1} more' if item.sources[1:] else ''}"
        write(f"  {where}: {item.what}{'' if item.by or item.code.endswith('-stated') else f' {item.settle}'}".rstrip())


def print_hunt(result: HuntResult, notes: Mapping[str, int] | None = None, *, written: int | None = None) -> None:
    """Write the summary; every range that couldn't be read and every rule not evaluated stands in it.

    `notes` counts files passed over by code, `written` the sightings that went to the output.
    """
    _print_work(result, notes or {})
    _print_found(result, written)
    _print_gaps(result)


def _print_work(result: HuntResult, notes: Mapping[str, int]) -> None:
    seconds = result.seconds.get("total", 0.0)
    rate = f" ({result.events / seconds:,.0f} a second)" if seconds else ""
    error(f"{result.events:,} events in {seconds:.1f} s{rate}; peak memory {_peak_memory()}.")
    phases = {name: value for name, value in result.seconds.items() if name != "total"}
    error(f"Phases: {', '.join(f'{name} {value:.2f} s' for name, value in phases.items())}.")
    notes = dict(notes)
    if taken := notes.pop("taken-as-file", 0):
        error(f"Hunted as files, for they are no logs that a reader knows: {taken:,}.")
    if notes:
        parts = [_NOTES[code].format(_are(count, code)) for code, count in sorted(notes.items()) if code in _NOTES]
        others = sum(count for code, count in notes.items() if code not in _NOTES)
        parts += [f"{others:,} other notes"] if others else []
        error(f"Passed over: {'; '.join(parts)}.")
    rules = result.rules
    error(
        f"{rules.loaded:,} indicators: {rules.evaluated:,} evaluated ({rules.partial:,} in part), "
        f"{rules.fired:,} fired, {rules.rejected:,} rejected by name, "
        f"{rules.no_evidence:,} without evidence that they could fire in."
    )


def _are(count: int, code: str) -> str:
    if code not in _FILES:
        return f"{count:,}"
    return f"{count:,} file{'' if count == 1 else 's'} {'is' if count == 1 else 'are'}"


def _print_found(result: HuntResult, written: int | None) -> None:
    from aleat.hunt.summary import techniques, top  # noqa: PLC0415

    tally = result.tally
    levels = ", ".join(f"{tally.by_level[level]:,} {level}" for level in reversed(LEVELS) if tally.by_level[level])
    error(f"{tally.sightings:,} sightings{f': {levels}' if levels else ''}; {tally.hidden:,} hidden by dismissals.")
    _print_counts("Labelled, as values that mean nothing", top(tally.meaningless), _MANY)
    _print_counts("Labelled, for what they rest on had ended", top(tally.ended), _MANY)
    doubtful = Counter(code for one in result.sightings if one.hidden_by is None for code in one.quality)
    _print_counts("Sightings of doubtful indicators (aleat knowledge --quality any)", top(doubtful), _MANY)
    _print_pap(result)
    _print_alerts(tally.alerts)
    if written is not None and written != tally.sightings + tally.alerts.total():
        error(f"{written:,} of them written (--min-level, --since, --until).")
    _print_counts("Top rules", {title: count for (_, title), count in top(tally.by_rule, _TOP).items()}, _TOP)
    _print_counts("Top hosts", top(tally.by_host, _TOP), _TOP)
    _print_counts("ATT&CK techniques", techniques(tally.by_tag), _MANY)
    logs = {f"{row.format} {row.channel}".strip(): row.events for row in result.coverage.logs_without_rules}
    _print_counts("Logs that no rule reads", top(logs), _MANY, "events")
    missing = {
        " ".join(part for part in (row.product, row.category, row.service) if part): row.rules
        for row in result.missing_sources
    }
    _print_counts("Log sources that rules ask for, and that aren't here", missing, _MANY, "rules")


def _print_pap(result: HuntResult) -> None:
    """Say for how many sightings an indicator's PAP label limits what may be done, and how."""
    from aleat.report import load_messages  # noqa: PLC0415

    counts = Counter(one.pap for one in result.sightings if one.hidden_by is None)
    for level in ("red", "amber", "green"):
        if counts[level]:
            error(f"{load_messages().say('pap', level)} ({counts[level]:,} of the sightings).")


def _print_alerts(alerts: Mapping[tuple[str, str, str], int]) -> None:
    """Write how many alerts of other tools there are, of how many rules, and which tools and rules have most."""
    from aleat.hunt.summary import top  # noqa: PLC0415

    if not alerts:
        return
    by_tool: Counter[str] = Counter()
    by_rule: Counter[tuple[str, str]] = Counter()
    titles: dict[tuple[str, str], str] = {}
    for (tool, rule, title), count in alerts.items():
        by_tool[tool] += count
        by_rule[tool, rule] += count
        titles.setdefault((tool, rule), title)
    error(f"{sum(by_tool.values()):,} alerts of other tools, by {len(by_rule):,} of their rules.")
    _print_counts("Tools that raised them", top(by_tool), _MANY)
    shown: dict[str, int] = {}
    for (tool, rule), count in top(by_rule, _TOP).items():
        name = f"{tool}: {titles[tool, rule]}"
        shown[name] = shown.get(name, 0) + count
    _print_counts("Their rules", shown, _TOP)


def _print_counts(title: str, counts: Mapping[str, int], number: int, unit: str = "") -> None:
    """Write the first `number` of counts in one line, and how many more there are."""
    if not counts:
        return
    shown = [f"{clip(visible(name), _NAME) or '(none)'} {count:,}" for name, count in list(counts.items())[:number]]
    rest = f", and {len(counts) - number:,} more" if len(counts) > number else ""
    error(f"{title}{f' ({unit})' if unit else ''}: {', '.join(shown)}{rest}.")


def _print_gaps(result: HuntResult) -> None:
    if result.issues:
        error(f"{len(result.issues):,} ranges or files could not be read:")
        for issue in result.issues:
            length = f" ({issue.length:,} bytes)" if issue.length else ""
            error(f"  {issue}{length}")
    whole = [row for row in result.not_evaluated if not row.partial]
    partial = [row for row in result.not_evaluated if row.partial]
    for rows, what in ((whole, "not evaluated"), (partial, "evaluated in part only")):
        if rows:
            indicators = len({(row.indicator, row.place.path) for row in rows})
            error(f"{indicators:,} indicators {what}:")
            _print_rows(rows)


def _print_rows(rows: Iterable[NotEvaluated]) -> None:
    """Print each reason once, with how often it holds (a rule has one for each part that can't be evaluated)."""
    told = Counter(f"{row.place}: {row.title}: {row.reason}" for row in rows)
    for text, count in told.items():
        error(f"  {text}{f' ({count:,} times)' if count > 1 else ''}")


def _peak_memory() -> str:
    """Return the peak memory of this process and of its largest worker, where the system tells it."""
    try:
        import resource  # noqa: PLC0415 (not on Windows)
    except ImportError:
        return "unknown"
    scale = 1024 if sys.platform == "darwin" else 1
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // scale
    worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // scale
    if sys.platform == "linux":  # whose ru_maxrss begins with what the starting process had
        own = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
    return f"{own // 1024} MiB" + (f", {worker // 1024} MiB a worker" if worker else "")
