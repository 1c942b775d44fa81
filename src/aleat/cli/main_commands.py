"""The commands of the main job: init, add, hunt, report, verify, investigate."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import cyclopts
from cyclopts import Parameter

from aleat.cli.case_commands import print_alleged
from aleat.cli.exit_codes import FAILED, INCOMPLETE, USAGE
from aleat.cli.hunt_summary import print_assumptions, print_hunt
from aleat.cli.knowledge_words import print_doubts
from aleat.cli.options import (
    Actor,
    Encoding,
    KnowledgeLimit,
    Language,
    Limit,
    LogYear,
    LogZone,
    Map,
    MappingFile,
    NoColor,
    Password,
    PasswordFile,
    Quiet,
    ReferenceTime,
    Slack,
    StrictTime,
    Workers,
    WorkspaceOption,
    archive_options,
    find,
    knowledge_options,
    open_workspace,
    stated,
)
from aleat.cli.terminal import error, issues, line, progress, wants_color, wrapped
from aleat.errors import InputError

if TYPE_CHECKING:
    from aleat.workspace import EvidenceAdded, KnowledgeAdded

__all__ = ["register"]


Level = Literal["informational", "low", "medium", "high", "critical"]
Format = Literal["table", "json", "jsonl", "csv", "parquet"]
_OFFSET = re.compile(r"(?:UTC)?([+-])([0-9]{1,2})(?::?([0-5][0-9]))?")
_LARGEST_OFFSET = 14  # of a clock anywhere
Giver = Annotated[str | None, Parameter(name=["--from"], help="Who gave it (default: ourselves).")]


def register(app: cyclopts.App) -> None:
    """Add the commands to `app`."""
    app.command(init)
    add = cyclopts.App(name="add", help="Add knowledge or evidence to the workspace.")
    add.command(add_knowledge, name="knowledge")
    add.command(add_evidence, name="evidence")
    app.command(add)
    app.command(hunt)
    app.command(report)
    app.command(verify)
    app.command(investigate)


def init(
    folder: Path,
    *,
    organisation: str = "",
    identity: str = "",
    country: str = "",
    zone: str = "UTC",
    database: str = "",
    actor: Actor = None,
) -> int:
    """Make a workspace in a new folder, with keys of its own.

    Args:
        folder: The new workspace's folder; absent or empty.
        organisation: Your team's name.
        identity: Your team's STIX identity, where it has one already (default: a new one).
        country: Your country, two letters (ISO 3166).
        zone: The case's time zone (IANA name), shown beside UTC.
        database: A PostgreSQL database, postgresql://USER@HOST/DATABASE (default: a file in the folder); its password
            is in $PGPASSWORD or ~/.pgpass.
        actor: Who acts.
    """
    from aleat.workspace.alliance import Alliance  # noqa: PLC0415

    with Alliance.init(
        folder,
        organisation=organisation,
        identity=identity,
        country=country,
        zone=zone,
        database=database,
        actor=actor,
    ) as ws:
        line(f"Workspace {folder} of {ws.config.organisation}; its keys are in {ws.key_folder}: keep a copy.")
    return 0


def add_knowledge(
    *paths: str,
    giver: Giver = None,
    marking: str | None = None,
    originator: str | None = None,
    corpus: str | None = None,
    limit: KnowledgeLimit = (),
    password: Password = (),
    password_file: PasswordFile = None,
    workspace: WorkspaceOption = None,
    actor: Actor = None,
    quiet: Quiet = False,
) -> int:
    """Add what an ally knows: STIX bundles, Sigma rules, indicator lists, ATT&CK, prose, sealed files.

    Args:
        paths: Files, folders, checkouts of git, archives (zip, tar, 7z, gz, zst, xz …); or URLs (https://).
        giver: Who gave it (default: ourselves).
        marking: The TLP label of what carries none: clear, green, amber, amber+strict, red.
        originator: Who made it, where that isn't the giver and the objects don't say.
        corpus: Name of the public corpus that this is (sigmahq, attack), where it can't be recognised.
        limit: Raise what opening and reading may cost: NAME=VALUE (docs/reference/limits.md).
        password: Password of encrypted archives.
        password_file: Passwords, one a line (- is standard input); others can't see it in the list of processes.
        workspace: The workspace's folder.
        actor: Who acts.
        quiet: No progress.
    """
    if not paths:
        error("Nothing to add: name files or folders.")
        return USAGE
    limits, secrets = knowledge_options(limit, password, password_file)
    with open_workspace(workspace, actor) as ws, progress(quiet=quiet) as show:
        added = ws.add_knowledge(
            *paths,
            giver=giver,
            marking=marking,
            originator=originator,
            corpus=corpus,
            limits=limits,
            secrets=secrets,
            progress=show,
        )
    _print_knowledge(added)
    return INCOMPLETE if added.issues else 0


def place_words(facts: Mapping[str, str]) -> str:
    """Return what is known of a collection as a whole, in words."""
    if "sha256" in facts:
        plain = "; over plain HTTP: others could read and change it" if facts["url"].startswith("http:") else ""
        return f"fetched, {int(facts['size']):,} bytes, SHA-256 {facts['sha256']}{plain}"
    branch = f" ({facts['branch']})" if facts.get("branch") else ""
    return f"a git checkout at commit {facts.get('commit') or 'unknown'}{branch}"


def _print_knowledge(added: KnowledgeAdded) -> None:
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(added.kinds.items()))
    line(f"Knowledge: {added.new:,} new objects, {added.known:,} known already{f' ({kinds})' if kinds else ''}.")
    for corpus in added.corpora:
        line(f"  Public corpus recognised: {corpus}; treated as CLEAR by this workspace's policy.")
    for shown, facts in added.places.items():
        line(f"  {shown}: {place_words(facts)}")
    for name in added.opened:
        line(f"  Sealed file of {name} opened and verified.")
    if added.conflicts:
        error(f"  {added.conflicts} conflicts: same id and time, other content. Both are kept; the first one counts.")
    if added.superseded:
        line(f"  {added.superseded:,} older texts of Sigma rules end: their giver gave newer ones.")
    print_doubts(added)
    if added.issues:
        error(f"  {len(added.issues)} could not be read:")
        issues(added.issues)


def add_evidence(
    *paths: str,
    copy: bool = False,
    giver: Giver = None,
    note: str = "",
    acquired: str | None = None,
    hash_list: Annotated[tuple[Path, ...], Parameter(negative="")] = (),
    encoding: Encoding = (),
    log_zone: LogZone = (),
    log_year: LogYear = (),
    strict_time: StrictTime = False,
    slack: Slack = False,
    map: Map = (),
    mapping: MappingFile = (),
    limit: Limit = (),
    password: Password = (),
    password_file: PasswordFile = None,
    host: str | None = None,
    reference_time: ReferenceTime = None,
    workspace: WorkspaceOption = None,
    actor: Actor = None,
    workers: Workers = None,
    quiet: Quiet = False,
) -> int:
    """Add what you hold: logs of any kind that is known, and other files; folders, archives, collections, URLs.

    Args:
        paths: Files, folders, archives, collections; or URLs (https://, s3://, az://, gs://).
        copy: Keep a copy in the workspace, by its hash (default: by reference).
        giver: Who handed it over (default: ourselves).
        note: What its collector noted (where it stood, how it was taken); stands in its custody.
        acquired: When it was collected (2022-07-15T08:00Z; UTC unless it says).
        hash_list: The collector's own hashes, as sha256sum, md5sum, hashdeep or Get-FileHash write them; they are
            compared, and so are files like NAME.sha256 beside the evidence.
        encoding: The code page of text that is not UTF-8 (default: guessed, and said).
        log_zone: The time zone of logs that write none.
        log_year: The year of the first line of logs that write none.
        strict_time: Refuse sources for which a zone or a year would be assumed.
        slack: EVTX: read older records behind a chunk's last one, too, where they are whole.
        map: How to read tables and JSON that no format knows.
        mapping: The same as a file; may be repeated.
        limit: Raise what opening evidence may cost: NAME=VALUE (docs/reference/limits.md).
        password: A password of encrypted archives; may be repeated.
        password_file: Passwords, one a line (- is standard input); others can't see it in the list of processes.
        host: The host's name, where the log doesn't say.
        reference_time: The time that custody records as now (default: the clock's).
        workspace: The workspace's folder.
        actor: Who acts.
        workers: Worker processes.
        quiet: No progress.
    """
    if not paths:
        error("Nothing to add: name files or folders.")
        return USAGE
    logs = stated(
        log_zone, log_year, encoding, host=host, strict_time=strict_time, slack=slack, maps=map, mappings=mapping
    )
    limits, secrets = archive_options(limit, password, password_file)
    with open_workspace(workspace, actor, reference_time) as ws, progress(quiet=quiet) as show:
        added = ws.add_evidence(
            *paths,
            copy=copy,
            giver=giver,
            note=note,
            acquired=_time(acquired, UTC),
            hash_lists=hash_list,
            logs=logs,
            limits=limits,
            secrets=secrets,
            workers=workers,
            progress=show,
        )
    _print_evidence(added)
    return INCOMPLETE if added.issues else 0


def _print_evidence(added: EvidenceAdded) -> None:
    line(
        f"Evidence: {added.sources:,} sources ({added.known_sources:,} known already), "
        f"{added.events:,} events in {added.segments:,} new segments."
    )
    if added.files:
        line(f"  {added.files:,} are no logs that a reader knows: kept as files, for YARA rules and lists of hashes.")
    if added.agreeing_hashes or added.differing_hashes:
        line(f"  Collector's hashes: {added.agreeing_hashes:,} agree, {added.differing_hashes:,} differ.")
    print_assumptions(added.assumptions)
    if added.issues:
        error(f"  {len(added.issues)} could not be read ({added.unreadable_bytes:,} bytes):")
        issues(added.issues)


def hunt(
    *paths: str,
    rules: Annotated[tuple[Path, ...], Parameter(negative="")] = (),
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    format: Annotated[Format | None, Parameter(name=["--type", "-t"])] = None,
    min_level: Level = "informational",
    since: str | None = None,
    until: str | None = None,
    time_offset: str | None = None,
    placeholders: Path | None = None,
    navigator: Path | None = None,
    encoding: Encoding = (),
    log_zone: LogZone = (),
    log_year: LogYear = (),
    strict_time: StrictTime = False,
    slack: Slack = False,
    map: Map = (),
    mapping: MappingFile = (),
    limit: Limit = (),
    password: Password = (),
    password_file: PasswordFile = None,
    workspace: WorkspaceOption = None,
    actor: Actor = None,
    workers: Workers = None,
    no_color: NoColor = False,
    quiet: Quiet = False,
) -> int:
    """Hunt for everything the workspace knows in everything it holds; or, with --rules, in PATHS at once.

    Args:
        paths: Evidence for a hunt without a workspace (with --rules): as of aleat add evidence.
        rules: Knowledge for a hunt without a workspace: rules, bundles, lists.
        output: Write sightings to this file (default: standard output).
        format: table, json, jsonl, csv or parquet (default: table).
        min_level: Leave out sightings below this level.
        since: Write only sightings at or after this time (2022-07-15, 2022-07-15T08:00; UTC or --time-offset unless
            it says).
        until: Write only sightings before this time.
        time_offset: Show times at this offset from UTC (+02:00, or --time-offset=-05:00) in table and CSV; JSON and
            Parquet stay in UTC.
        placeholders: Values for Sigma's placeholders: TOML, name = ["value", …] (a workspace's: placeholders.toml).
        navigator: Write the ATT&CK techniques seen to this file, as a layer for the ATT&CK Navigator.
        encoding: With PATHS: the code page of text that is not UTF-8 (default: guessed, and said).
        log_zone: With PATHS: the time zone of logs that write none.
        log_year: With PATHS: the year of the first line of logs that write none.
        strict_time: With PATHS: refuse sources for which a zone or a year would be assumed.
        slack: With PATHS: EVTX: read older records behind a chunk's last one, too, where they are whole.
        limit: With PATHS: raise what opening evidence may cost: NAME=VALUE (docs/reference/limits.md).
        password: With PATHS: a password of encrypted archives; may be repeated.
        password_file: With PATHS: passwords, one a line (- is standard input).
        workspace: The workspace's folder.
        actor: Who acts.
        workers: Worker processes.
        no_color: No colours in the table (nor where $NO_COLOR is set, or the output is no terminal).
        quiet: No progress.
    """
    from aleat.hunt.summary import navigator_layer  # noqa: PLC0415
    from aleat.workspace import hunt_once, write_sightings  # noqa: PLC0415

    zone = _offset(time_offset)
    first, end = _time(since, zone), _time(until, zone)
    color = output is None and wants_color(no_color=no_color)
    kind = format or (_format_of(output) if output else "table")
    target = output or sys.stdout.buffer
    logs = stated(log_zone, log_year, encoding, strict_time=strict_time, slack=slack, maps=map, mappings=mapping)
    limits, secrets = archive_options(limit, password, password_file)
    if not paths and logs != stated((), (), ()):
        error("What is in the workspace was read already: state zones, years and code pages with aleat add evidence.")
        return USAGE
    with progress(quiet=quiet) as show:
        if not (paths or rules):
            with open_workspace(workspace, actor) as ws:
                result = ws.hunt(placeholders=placeholders, workers=workers, progress=show)
            written = write_sightings(
                result.sightings, target, kind, min_level=min_level, since=first, until=end, zone=zone, color=color
            )
            notes: dict[str, int] = {}
        elif paths and rules:
            once = hunt_once(
                paths,
                rules,
                target,
                kind,
                min_level=min_level,
                since=first,
                until=end,
                placeholders=placeholders,
                zone=zone,
                color=color,
                logs=logs,
                limits=limits,
                secrets=secrets,
                workers=workers,
                progress=show,
            )
            result, notes, written = once.result, once.notes, once.written
            print_assumptions(once.assumptions, error)
        else:
            error("A hunt without a workspace needs both: evidence as PATHS, and knowledge after --rules.")
            return USAGE
    if navigator is not None:
        described = f"{result.tally.sightings} sightings in {result.events} events"
        navigator.write_bytes(navigator_layer(result.tally.by_tag, name="aleat hunt", description=described))
    print_hunt(result, notes, written=written)
    return INCOMPLETE if result.issues else 0


def _offset(text: str | None) -> timezone:
    """Return the offset from UTC that an option gives."""
    if text is None:
        return UTC
    found = _OFFSET.fullmatch(text)
    if found is None or int(found[2]) > _LARGEST_OFFSET:
        raise InputError(f"{text[:40]!r} is no offset from UTC.", advice="Write +02:00 or -05:30.")
    ahead = timedelta(hours=int(found[2]), minutes=int(found[3] or 0))
    return timezone(-ahead if found[1] == "-" else ahead) if ahead else UTC


def _time(text: str | None, zone: timezone) -> datetime | None:
    """Return the time that an option gives; one without a zone is in `zone`."""
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"{text[:40]!r} is no time.", advice="Write 2022-07-15 or 2022-07-15T08:00Z.") from None
    return time if time.tzinfo else time.replace(tzinfo=zone)


def _format_of(output: Path) -> Format:
    endings: dict[str, Format] = {".json": "json", ".jsonl": "jsonl", ".csv": "csv", ".parquet": "parquet"}
    return endings.get(output.suffix, "table")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def report(
    *,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    language: Language = "en",
    workspace: WorkspaceOption = None,
    actor: Actor = None,
) -> int:
    """Build the case and write its report: one HTML file, the case as STIX 2.1, all sightings.

    Args:
        output: The folder to write to (default: reports/ in the workspace).
        language: The report's language: en or sq.
        workspace: The workspace's folder.
        actor: Who acts.
    """
    with open_workspace(workspace, actor) as ws:
        files = ws.report(output, language=language)
    for path in (files.html, files.bundle, files.sightings):
        line(str(path))
    return 0


def verify(*, head: Path | None = None, workspace: WorkspaceOption = None, quiet: Quiet = False) -> int:
    """Re-check every hash, chain and signature in the workspace.

    Args:
        head: A file of ledger heads that was exported before (aleat ledger head): finds a cut tail.
        workspace: The workspace's folder.
        quiet: No progress.
    """
    with open_workspace(workspace) as ws, progress(quiet=quiet) as show:
        found = ws.verify(head=head, progress=show)
    line(
        f"Checked {found.sources:,} sources, {found.segments:,} segments, {found.entries:,} ledger entries. "
        f"Lake {found.lake[:16]}…"
    )
    for fault in found.faults:
        error(f"FAULT {fault.what} {fault.name}: {fault.reason}")
    for name in found.absent:
        error(f"absent: {name} is kept by reference and is not there; it was not checked")
    if found.forgotten:
        line(f"{_count(found.forgotten, 'source')} forgotten before.")
    for name in found.countersigned:
        line(f"The ledgers' heads were countersigned by {name}.")
    line("Everything fits." if not found.faults else f"{len(found.faults)} faults.")
    return FAILED if found.faults else (INCOMPLETE if found.absent else 0)


def investigate(
    *paths: str,
    giver: Giver = None,
    marking: str | None = None,
    name: str = "",
    copy: bool = False,
    language: Language = "en",
    zone: str = "UTC",
    encoding: Encoding = (),
    log_zone: LogZone = (),
    log_year: LogYear = (),
    strict_time: StrictTime = False,
    slack: Slack = False,
    map: Map = (),
    mapping: MappingFile = (),
    limit: Limit = (),
    password: Password = (),
    password_file: PasswordFile = None,
    workspace: WorkspaceOption = None,
    actor: Actor = None,
    workers: Workers = None,
    quiet: Quiet = False,
) -> int:
    """Do all of it in one go: sort what is given, hunt, build the case, print the answer, write the report.

    Args:
        paths: An ally's pack, your logs, public statements: files, folders, archives, in any order; evidence also by
            URL.
        giver: Who gave the knowledge among it.
        marking: The TLP label of knowledge that carries none.
        name: The case's name (default: the folder's).
        copy: Keep a copy of the evidence in the workspace.
        language: The report's language: en or sq.
        zone: The case's time zone, where a new workspace is made: shown beside UTC, and assumed for logs that write
            none.
        encoding: The code page of text that is not UTF-8 (default: guessed, and said).
        log_zone: The time zone of logs that write none.
        log_year: The year of the first line of logs that write none.
        strict_time: Refuse sources for which a zone or a year would be assumed.
        slack: EVTX: read older records behind a chunk's last one, too, where they are whole.
        map: How to read tables and JSON that no format knows.
        mapping: The same as a file; may be repeated.
        limit: Raise what opening evidence may cost: NAME=VALUE (docs/reference/limits.md).
        password: A password of encrypted archives; may be repeated.
        password_file: Passwords, one a line (- is standard input); others can't see it in the list of processes.
        workspace: The workspace's folder (default: the nearest one, else a new folder aleat-case here).
        actor: Who acts.
        workers: Worker processes.
        quiet: No progress.
    """
    from aleat.report import load_messages  # noqa: PLC0415
    from aleat.workspace import Workspace  # noqa: PLC0415

    if not paths:
        error("Nothing to investigate: name files or folders.")
        return USAGE
    logs = stated(log_zone, log_year, encoding, strict_time=strict_time, slack=slack, maps=map, mappings=mapping)
    limits, secrets = archive_options(limit, password, password_file)
    folder = find(workspace) or Path("aleat-case")
    with Workspace.open_or_init(folder, actor=actor, zone=zone) as ws, progress(quiet=quiet) as show:
        done = ws.investigate(
            *paths,
            giver=giver,
            marking=marking,
            name=name,
            copy=copy,
            language=language,
            logs=logs,
            limits=limits,
            secrets=secrets,
            workers=workers,
            progress=show,
        )
        show.clear()
    line(
        f"Sorted: knowledge in {_count(len(done.sorted.knowledge), 'place')}, "
        f"{_count(len(done.sorted.evidence), 'file')} of evidence, "
        f"{_count(len(done.sorted.statements), 'public statement')}."
    )
    _print_knowledge(done.knowledge)
    _print_evidence(done.evidence)
    line(f"Hunt: {done.sightings:,} sightings; {done.not_evaluated:,} indicators not evaluated.")
    line()
    wrapped(done.answer.paragraph)
    print_alleged(done.case, load_messages(language))
    line()
    line(f"Report: {done.report.html}")
    if done.sorted.issues:
        error(f"{len(done.sorted.issues)} files were left out:")
        issues(done.sorted.issues)
    return INCOMPLETE if done.issues else 0
