"""The commands that look at knowledge: list and filter, show, conflicts, diff, givers."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import cyclopts
from cyclopts import Parameter

from aleat.cli.exit_codes import INCOMPLETE
from aleat.cli.finding_words import print_findings
from aleat.cli.knowledge_words import fitted_table, folded, is_narrow, kind_words, label_words, list_rows, permits, says
from aleat.cli.options import Language, WorkspaceOption, moment, open_workspace
from aleat.cli.playbook_lines import print_playbook
from aleat.cli.terminal import error, line

if TYPE_CHECKING:
    from aleat.workspace import KnowledgeRow, PackDiff, ShownKnowledge

__all__ = ["register"]

_Many = Annotated[tuple[str, ...], Parameter(negative="")]
State = Literal["hunts", "revoked", "expired", "withdrawn", "conflict", "hit", "never-hit", "kept", "warns"]
RowFormat = Annotated[Literal["table", "json", "jsonl", "csv"], Parameter(name=["-t", "--format"])]

_LIMIT = 20
_FEW = 10
_LONG = 1200  # characters of a description
_ROW_KEYS = (
    "id",
    "type",
    "pattern_type",
    "name",
    "givers",
    "markings",
    "corpora",
    "modified",
    "received",
    "confidence",
    "confidence_now",
    "state",
    "reason",
    "conflict",
    "quality",
    "hits",
)
_DIFF_KEYS = ("what", "key", "type", "name", "properties")
_MONTH_KEYS = (
    "giver",
    "month",
    "objects",
    "indicators",
    "hit",
    "hits",
    "confirmed",
    "dismissed",
    "expired",
    "withdrawn",
    "conflicts",
    "doubtful",
)


def register(app: cyclopts.App) -> None:
    """Add the commands to `app`."""
    group = cyclopts.App(name="knowledge", help="Look at what is known: list and filter, show, compare, who gave it.")
    group.command(list_knowledge, name="list")
    group.default(list_knowledge)
    group.command(show_knowledge, name="show")
    group.command(knowledge_conflicts, name="conflicts")
    group.command(diff_knowledge, name="diff")
    group.command(knowledge_givers, name="givers")
    app.command(group)


def list_knowledge(
    text: str = "",
    *,
    type: _Many = (),
    pattern_type: _Many = (),
    giver: Annotated[tuple[str, ...], Parameter(name=["--from"], negative="")] = (),
    marking: _Many = (),
    corpus: _Many = (),
    value: str = "",
    label: _Many = (),
    quality: _Many = (),
    state: Annotated[tuple[State, ...], Parameter(negative="")] = (),
    since: str | None = None,
    until: str | None = None,
    hits: Annotated[bool, Parameter(negative="")] = False,
    format: RowFormat = "table",
    limit: int | None = None,
    workspace: WorkspaceOption = None,
) -> int:
    """List what is known, the first twenty, and how many there are; all filters that are given must fit.

    Args:
        text: Part of a name; or a whole alias, ATT&CK id or rule id.
        type: Of this STIX type (indicator, malware, intrusion-set …); several may be given, as of most filters.
        pattern_type: Indicators of this kind: stix, sigma, yara, list.
        giver: Given by this ally (its name or identity).
        marking: With this label: clear, amber, pap:red, or the id of a marking definition.
        corpus: Part of this public corpus.
        value: That names this value: in a pattern, as an observable, in a list.
        label: With this label of STIX.
        quality: Doubtful so: malformed, contradictory, too-general, warning-list; or any.
        state: hunts, revoked, expired, withdrawn, conflict, hit, never-hit; kept (can't be hunted for), warns.
        since: Changed at or after this time (2022-07-15, 2022-07-15T08:00; UTC unless it says).
        until: Changed before this time.
        hits: Show how many events each was found in, as hunts knew until now.
        format: table, json, jsonl or csv.
        limit: At most so many (default: 20 in a table, else all; 0: all).
        workspace: The workspace's folder.
    """
    from aleat.trust.markings import marking_id  # noqa: PLC0415
    from aleat.workspace import KnowledgeFilter  # noqa: PLC0415

    wanted = KnowledgeFilter(
        text=text,
        types=type,
        pattern_types=pattern_type,
        givers=giver,
        markings=tuple(marking_id(one if ":" in one or "--" in one else f"tlp:{one}") for one in marking),
        corpora=corpus,
        value=value,
        labels=label,
        quality=quality,
        states=state,
        since=None if since is None else moment(since),
        until=None if until is None else moment(until),
    )
    most = _LIMIT if limit is None and format == "table" else (limit or None)
    with open_workspace(workspace) as ws:
        found = ws.knowledge(wanted, limit=most, hits=hits)
    if format != "table":
        _write(found.rows, format, _ROW_KEYS)
    elif found.rows:
        list_rows(found.rows, hits=hits or "hit" in state or "never-hit" in state)
    types = ", ".join(f"{count:,} {name}" for name, count in found.types.items())
    more = f" The first {len(found.rows)} are shown: --limit 0 for all." if found.total > len(found.rows) else ""
    error(f"{found.total:,} objects{f': {types}' if types else ''}.{more}")
    _explain_marks(found.rows)
    return 0


def _explain_marks(rows: Sequence[KnowledgeRow]) -> None:
    marks = [("!", any(row.conflict for row in rows), "in conflict: aleat knowledge conflicts")]
    marks += [("?", any(row.quality for row in rows), "doubtful: aleat knowledge show NAME says why")]
    told = [f"{mark} {meaning}" for mark, there, meaning in marks if there]
    if told:
        error("; ".join(told) + ".")


def show_knowledge(what: str, *, language: Language = "en", workspace: WorkspaceOption = None) -> int:
    """Show what an object says, who gave it and when, under which marking, what it is related to, and what it hit.

    Args:
        what: A STIX id, a name, an alias, an ATT&CK id, a rule's id, or a value.
        language: en or sq; of the reasons why something is doubtful.
        workspace: The workspace's folder.
    """
    with open_workspace(workspace) as ws:
        found = ws.find_knowledge(what)
        if len(found) > 1:
            list_rows(found[:_LIMIT], hits=False, ids=True)
            error(f"{len(found):,} objects are called so, or name it. Show one of them by its id.")
            return 0
        shown = ws.show_knowledge(found[0].id if found else what)
    _print_shown(shown, language)
    return 0


def _print_shown(shown: ShownKnowledge, language: str) -> None:
    row = shown.row
    line(f"{row.name or row.id} ({kind_words(row)})")
    said = says(row.type, row.pattern_type, shown.pattern, shown.entries)
    facts = {
        "Looks for": said,
        "Says": _beginning(shown.description),
        "Also called": ", ".join(shown.aliases),
        "References": ", ".join(f"{id_} ({whose})" if whose else id_ for id_, whose in shown.ids),
        "Kinds": ", ".join(shown.types),
        "Labels": ", ".join(shown.labels),
        "Id": row.id,
        "Made": _made(shown),
        "Valid": _valid(shown),
        "Confidence": _confidence(row),
        "State": f"{row.state}{f': {row.reason}' if row.reason else ''}",
        "Not hunted": " ".join(shown.not_evaluated),
        "Permits": permits(row.markings, language),
        "Doubtful": _doubts(row, language),
        "Links": "\n".join(shown.external[:_FEW]),
    }
    for name, text in facts.items():
        if text:
            folded(name, text)
    if shown.pattern and shown.entries is None:
        line("Pattern")
        for part in shown.pattern.splitlines():
            line(f"  {part}")
    if shown.playbook is not None:
        from aleat.report import load_messages  # noqa: PLC0415

        print_playbook(shown.playbook, load_messages(language))
    _print_versions(shown)
    _print_relations(shown)
    _print_hits(shown)
    print_findings(shown.findings)


def _beginning(text: str) -> str:
    return text if len(text) <= _LONG else f"{text[:_LONG].rstrip()} …"


def _made(shown: ShownKnowledge) -> str:
    dated = shown.created and not shown.created.startswith("1970-01-01")
    by = f"by {shown.created_by}" if shown.created_by else ""
    when = f"{shown.created[:10]}, changed {shown.row.modified[:10]}" if dated else ""
    return " ".join(part for part in (when, by) if part)


def _valid(shown: ShownKnowledge) -> str:
    begins = shown.valid_from if not shown.valid_from.startswith("1970-01-01") else ""
    parts = (f"from {begins[:16]}" if begins else "", f"until {shown.valid_until[:16]}" if shown.valid_until else "")
    return " ".join(part for part in parts if part).replace("T", " ")


def _confidence(row: KnowledgeRow) -> str:
    if row.confidence is None:
        return ""
    now = row.confidence_now
    aged = now is not None and round(now) != row.confidence
    return f"{row.confidence} of 100{f', aged to {now:.0f} by agreement' if aged else ''}"


def _doubts(row: KnowledgeRow, language: str) -> str:
    if not row.quality:
        return ""
    from aleat.report import load_messages  # noqa: PLC0415

    messages = load_messages(language)
    return "\n".join(label_words(label, messages) for label in row.quality)


def _print_versions(shown: ShownKnowledge) -> None:
    line("Given")
    for version in shown.versions:
        notes = [
            "" if version.counts else "not the one that counts",
            "revoked" if version.revoked else "",
            "in conflict with another of the same time" if version.conflict else "",
            "STIX 2.0" if version.spec_version == "2.0" else "",
        ]
        told = ", ".join(note for note in notes if note)
        dated = version.version and not version.version.startswith("1970-01-01")
        line(f"  {version.version[:19] if dated else 'undated'}{f' ({told})' if told else ''}")
        for copy in version.copies:
            under = [*copy.markings] or ["no marking"]
            under += [f"agreement {copy.agreement}"] if copy.agreement else []
            under += [f"first said by {copy.originator}"] if copy.originator else []
            under += [f"public corpus {copy.corpus} (by {copy.basis})"] if copy.corpus else []
            under += [f"withdrawn {copy.withdrawn[:10]}"] if copy.withdrawn else []
            folded(f"    {copy.received[:10]}", f"by {copy.giver}: {', '.join(under)}; {copy.place}", indent=16)


def _print_relations(shown: ShownKnowledge) -> None:
    if not shown.relations:
        return
    line(f"Related ({len(shown.relations):,})")
    for one in shown.relations[:_LIMIT]:
        name = f"{one.name or one.id} ({one.type})"
        line(f"  {one.relation} {name}" if one.outward else f"  {name} {one.relation} this")
    if len(shown.relations) > _LIMIT:
        line(f"  … and {len(shown.relations) - _LIMIT:,} more")


def _print_hits(shown: ShownKnowledge) -> None:
    if shown.row.type != "indicator":
        return
    if not shown.hunted:
        line("Hits: nothing was hunted yet (aleat hunt).")
        return
    if not shown.hits:
        line("Hits: none. What was looked at: aleat coverage.")
        return
    line("Hits")
    headings = ["host", "events", "first", "last"]
    cells = [
        [row.host or "(no host)", f"{row.events:,}", _time(row.first), _time(row.last)] for row in shown.hits[:_LIMIT]
    ]
    more = {"value": [row.value for row in shown.hits], "not counted": [row.hidden for row in shown.hits]}
    for heading, texts in more.items():
        if any(texts):
            headings.append(heading)
            for cell, text in zip(cells, texts, strict=False):
                cell.append(text)
    fitted_table(cells, headings, stretch=len(headings) - 1, most=(24, 9, 19, 19, 30, 80))
    if len(shown.hits) > _LIMIT:
        line(f"… and {len(shown.hits) - _LIMIT:,} more")


def _time(micros: int | None) -> str:
    from aleat.hunt.output import format_time  # noqa: PLC0415

    return (format_time(micros) or "-")[:19].replace("T", " ")


def knowledge_conflicts(*, workspace: WorkspaceOption = None) -> int:
    """List what can't be right: one id and time with two contents, or a version by somebody else than its maker.

    Args:
        workspace: The workspace's folder.
    """
    with open_workspace(workspace) as ws:
        found = ws.knowledge_conflicts()
    reasons = {"same-version-differs": "same id and time, other content", "creator-differs": "not by its maker"}
    for conflict, rows in found[:_LIMIT]:
        line(f"{conflict.id}, version {conflict.version[:19]}: {reasons.get(conflict.reason, conflict.reason)}")
        for number, row in enumerate(rows[:_LIMIT]):
            marks = ", ".join(row.markings) or "no marking"
            line(f"  {'kept' if number else 'counts'}: {row.name or row.id}, from {', '.join(row.givers)}, {marks}")
        if len(rows) > _LIMIT:
            line(f"  … and {len(rows) - _LIMIT:,} more, kept too")
    more = f" The first {_LIMIT} are shown." if len(found) > _LIMIT else ""
    error(f"{len(found):,} conflicts.{more}")
    return 0


def diff_knowledge(
    before: str, after: str, *, format: RowFormat = "table", limit: int | None = None, workspace: WorkspaceOption = None
) -> int:
    """Compare two versions of a pack: what came, what is gone, what was revoked, which properties changed.

    Args:
        before: A file, folder or archive; or a giver here, as NAME or NAME@TIME (what had come until then).
        after: The same, of the later one.
        format: table, json, jsonl or csv.
        limit: At most so many rows (default: 20 in a table, else all; 0: all).
        workspace: The workspace's folder.
    """
    with open_workspace(workspace) as ws:
        found = ws.compare_knowledge(before, after)
    most = _LIMIT if limit is None and format == "table" else (limit or None)
    if format != "table":
        _write(found.rows[:most], format, _DIFF_KEYS)
    elif found.rows:
        cells = [(row.what, row.type, row.name or row.key, ", ".join(row.properties)) for row in found.rows[:most]]
        fitted_table(cells, ("what", "type", "name", "properties"), stretch=2, most=(8, 18, 200, 40))
    _print_diff_counts(found, most)
    return INCOMPLETE if found.issues else 0


def _print_diff_counts(found: PackDiff, most: int | None) -> None:
    counts = ", ".join(
        f"{sum(row.what == what for row in found.rows):,} {what}" for what in ("added", "gone", "revoked", "changed")
    )
    more = f" The first {most} are shown: --limit 0 for all." if most is not None and len(found.rows) > most else ""
    error(f"{found.before:,} objects before, {found.after:,} after: {counts}, {found.same:,} the same.{more}")
    if found.issues:
        error(f"{found.issues:,} parts could not be read, and were not compared.")


def knowledge_givers(*, format: RowFormat = "table", workspace: WorkspaceOption = None) -> int:
    """Tell by giver and month what came, and what became of it: hits, confirmed and dismissed ones, ends, conflicts.

    A hit is confirmed where somebody else's knowledge or another tool found the same event.

    Args:
        format: table, json, jsonl or csv.
        workspace: The workspace's folder.
    """
    with open_workspace(workspace) as ws:
        found = ws.givers()
    if format != "table":
        _write(found, format, _MONTH_KEYS)
        return 0
    narrow = is_narrow()
    headings = ["giver", "month", "given", "hits", "confirmed", "dismissed", "ended"]
    headings += [] if narrow else ["conflicts", "doubtful"]
    cells: list[list[str]] = []
    for row in found:
        counts = [row.objects, row.hits, row.confirmed, row.dismissed, row.expired + row.withdrawn]
        counts += [] if narrow else [row.conflicts, row.doubtful]
        cells.append([row.giver, row.month, *(f"{number:,}" for number in counts)])
    if cells:
        fitted_table(cells, headings, stretch=0, most=(40, 7, 9, 9, 9, 9, 9, 9, 9))
    error("Objects by the month in which they came; ended: expired, withdrawn or revoked.")
    return 0


def _write(rows: Iterable[Any], format: str, keys: Sequence[str]) -> None:
    import msgspec  # noqa: PLC0415

    from aleat.hunt.row_output import write_rows  # noqa: PLC0415

    records = ({key: msgspec.to_builtins(getattr(row, key)) for key in keys} for row in rows)
    write_rows(records, sys.stdout.buffer, format, keys)
