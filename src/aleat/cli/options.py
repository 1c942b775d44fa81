"""Options that several commands share, and how a command finds its workspace."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from aleat.errors import InputError, Place, WorkspaceError

if TYPE_CHECKING:
    from aleat.evidence import Limits, ReadOptions, Secrets
    from aleat.knowledge.limits import Limits as KnowledgeLimits
    from aleat.workspace import Workspace
    from aleat.workspace.alliance import Alliance

__all__ = [
    "Actor",
    "Encoding",
    "Folder",
    "KnowledgeLimit",
    "Language",
    "Limit",
    "LogYear",
    "LogZone",
    "Map",
    "MappingFile",
    "NoColor",
    "Password",
    "PasswordFile",
    "Quiet",
    "ReferenceTime",
    "Slack",
    "StrictTime",
    "Workers",
    "WorkspaceOption",
    "archive_options",
    "find",
    "knowledge_options",
    "moment",
    "open_alliance",
    "open_workspace",
    "stated",
]

_MAX_PASSWORDS = 1024 * 1024

WorkspaceOption = Annotated[Path | None, Parameter(name=["--workspace", "-w"], help="The workspace's folder.")]
Actor = Annotated[str | None, Parameter(help="Who acts (default: $ALEAT_ACTOR, else your user name).")]
Folder = Annotated[
    Path | None,
    Parameter(
        name=["--output", "-o"],
        negative="--post",
        negative_none="no-",
        help="The folder that the sealed file is written to; or --post: into the post box, for the ally to fetch from "
        "our server, or for aleat push.",
    ),
]
Quiet = Annotated[bool, Parameter(name=["--quiet", "-q"], negative="", help="No progress.")]
NoColor = Annotated[bool, Parameter(negative="", help="No colours.")]
Workers = Annotated[int | None, Parameter(help="Worker processes (default: one a core, one for little input).")]
ReferenceTime = Annotated[
    str | None, Parameter(help="The time that is recorded as now (2022-07-15T08:00Z; default: the clock's).")
]
LogZone = Annotated[
    tuple[str, ...],
    Parameter(
        name="--log-zone",
        negative="",
        help="Time zone of logs that write none: Europe/Tirane or +02:00 for all, 'fw/*.log=+02:00' by source, "
        "'host:DC*=Europe/Tirane' by host; may be repeated, the first that fits counts (default: the case's zone, "
        "said as an assumption).",
    ),
]
LogYear = Annotated[
    tuple[str, ...],
    Parameter(
        name="--log-year",
        negative="",
        help="Year of the first line of logs that write none: 2022, or 'fw/*.log=2022' by source (default: solved from "
        "the log's order and modification time).",
    ),
]
Encoding = Annotated[
    tuple[str, ...],
    Parameter(
        name="--encoding",
        negative="",
        help="Code page of text that is not UTF-8: cp1250 for all, 'fw/*.log=cp852' by source (default: guessed, and "
        "said).",
    ),
]
Limit = Annotated[
    tuple[str, ...],
    Parameter(
        name="--limit",
        negative="",
        help="Raise (or lower) what opening evidence may cost: NAME=VALUE, such as expansion_ratio=2000 or "
        "place_bytes=1T; may be repeated. Names: docs/reference/limits.md, and every message that a limit stops "
        "something.",
    ),
]
KnowledgeLimit = Annotated[
    tuple[str, ...],
    Parameter(
        name="--limit",
        negative="",
        help="Raise (or lower) what opening and reading knowledge may cost: NAME=VALUE; may be repeated. Names: "
        "docs/reference/limits.md, and every message that a limit stops something.",
    ),
]
Password = Annotated[
    tuple[str, ...],
    Parameter(
        name="--password",
        negative="",
        help="Password of encrypted zip and 7z archives; may be repeated, all are tried. Others can see it in the list "
        "of processes: better --password-file.",
    ),
]
PasswordFile = Annotated[
    Path | None,
    Parameter(name="--password-file", help="File with passwords, one a line (- is standard input)."),
]
Map = Annotated[
    tuple[str, ...],
    Parameter(
        name="--map",
        negative="",
        help="How to read tables and JSON that no format knows: 'time=ts,host=computer,format=myapp', with zone=, "
        "time-format=, channel=, provider=, event-id=, record-id=, separator=, category=, product=, service= where "
        "wanted; may be repeated, the first whose names a file has counts.",
    ),
]
MappingFile = Annotated[
    tuple[Path, ...],
    Parameter(name="--mapping", negative="", help="The same as a file (docs/guides/other-logs.md); may be repeated."),
]
StrictTime = Annotated[
    bool,
    Parameter(name="--strict-time", negative="", help="Refuse sources for which a zone or a year would be assumed."),
]
Slack = Annotated[
    bool,
    Parameter(
        name="--slack",
        negative="",
        help="EVTX: read older records that were left behind a chunk's last one, too, where nothing of them was "
        "overwritten; they have the field Recovered.",
    ),
]
Language = Annotated[Literal["en", "sq"], Parameter(help="The report's language: en or sq.")]


def find(workspace: Path | None) -> Path | None:
    """Return the workspace's folder by option, environment, or the folders above this one; None where there is none."""
    from aleat.workspace.config import find_workspace  # noqa: PLC0415

    if workspace is not None:
        return workspace
    if named := os.environ.get("ALEAT_WORKSPACE"):
        return Path(named)
    return find_workspace(Path.cwd())


def open_workspace(workspace: Path | None, actor: str | None = None, reference_time: str | None = None) -> Workspace:
    """Open the workspace that `find` finds, with a clock that stands still where a `reference_time` is given.

    Raises `WorkspaceError` where there is none.
    """
    from aleat.workspace import Workspace  # noqa: PLC0415

    time = None if reference_time is None else moment(reference_time)
    return Workspace.open(_found(workspace), actor=actor, clock=None if time is None else lambda: time)


def open_alliance(workspace: Path | None, actor: str | None = None) -> Alliance:
    """Open the workspace that `find` finds for what passes between us and our allies: it takes a third of the time.

    Raises `WorkspaceError` where there is none.
    """
    from aleat.workspace.alliance import Alliance  # noqa: PLC0415

    return Alliance.open(_found(workspace), actor=actor)


def _found(workspace: Path | None) -> Path:
    folder = find(workspace)
    if folder is None:
        raise WorkspaceError("There is no workspace here or above. Make one with: aleat init FOLDER")
    return folder


def moment(text: str) -> datetime:
    """Return the time that an option gives, in UTC unless it says."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"{text[:40]!r} is no time.", advice="Write 2022-07-15T08:00Z.") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def stated(
    log_zone: tuple[str, ...],
    log_year: tuple[str, ...],
    encoding: tuple[str, ...],
    *,
    host: str | None = None,
    strict_time: bool = False,
    slack: bool = False,
    maps: tuple[str, ...] = (),
    mappings: tuple[Path, ...] = (),
) -> ReadOptions:
    """Return what these options state about logs.

    Raises `InputError` for a zone or a code page that is unknown, and for a mapping that can't be used.
    """
    from aleat.evidence import read_options  # noqa: PLC0415

    options = read_options(
        encodings=encoding, host=host, log_zones=log_zone, log_years=log_year, strict_time=strict_time
    )
    if slack:
        options = replace(options, slack=True)
    if not (maps or mappings):
        return options
    from aleat.evidence.mapping import mapping_of_flag  # noqa: PLC0415

    texts = (*(mapping_of_flag(text) for text in maps), *(_mapping(path) for path in mappings))
    return replace(options, mappings=texts)


def _mapping(path: Path) -> str:
    from aleat.evidence.mapping import MAXIMUM_BYTES, mapping_of_file  # noqa: PLC0415

    try:
        with path.open("rb") as file:
            return mapping_of_file(file.read(MAXIMUM_BYTES + 1), str(path))
    except OSError as error:
        raise InputError(f"The mapping can't be read: {error.strerror}.", Place(str(path))) from error


def archive_options(
    limit: tuple[str, ...], password: tuple[str, ...], password_file: Path | None
) -> tuple[Limits, Secrets]:
    """Return the limits and the passwords that these options state; raises `InputError`."""
    from aleat.evidence import Secrets, change_limits  # noqa: PLC0415

    return change_limits(limit), Secrets([*password, *(_passwords(password_file) if password_file else ())])


def knowledge_options(
    limit: tuple[str, ...], password: tuple[str, ...], password_file: Path | None
) -> tuple[KnowledgeLimits, Secrets]:
    """Return the limits on knowledge and the passwords that these options state; raises `InputError`."""
    from aleat.knowledge.limits import Limits as KnowledgeLimits  # noqa: PLC0415
    from aleat.opening import Secrets, change_limits  # noqa: PLC0415

    words = [*password, *(_passwords(password_file) if password_file else ())]
    return change_limits(limit, KnowledgeLimits()), Secrets(words)


def _passwords(file: Path) -> list[str]:
    """Return a file's lines, without their ends."""
    try:
        if str(file) == "-":
            data = sys.stdin.buffer.read(_MAX_PASSWORDS + 1)
        else:
            with file.open("rb") as stream:
                data = stream.read(_MAX_PASSWORDS + 1)
    except OSError as error:
        raise InputError(f"The passwords can't be read: {error.strerror}.", Place(str(file))) from error
    if len(data) > _MAX_PASSWORDS:
        raise InputError(f"This is longer than {_MAX_PASSWORDS} bytes: no file of passwords.", Place(str(file)))
    words = data.decode("utf-8-sig", "surrogateescape").split("\n")
    return [word.removesuffix("\r") for word in words if word.strip("\r")]
