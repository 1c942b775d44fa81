"""PowerShell transcripts: a session's header, then each command with what it wrote.

A header stands between lines of asterisks; its labels are in the language of the system, so that its lines are told by
their order and their values: the start (``20220715100000``), two users, a configuration, the machine, the host
application, the process. With ``-IncludeInvocationHeader`` each command has its own start; else its time is that of the
session, and `TimeOf` says so. A session's start and end are events of their own, and so is text behind no command.
Layout: about_Transcripts of Microsoft.PowerShell.Host. `offset` is the byte of the prompt's line (of the asterisks for
starts and ends).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import polars as pl

from aleat.evidence.clock import TimeSpec, read_times, time_issues
from aleat.evidence.columns import TableBuilder
from aleat.evidence.head import Head
from aleat.evidence.reader import ByteRange, RangeResult, ReadOptions
from aleat.evidence.text import bom_length, cut_lines, detect_encoding, numbered_lines

__all__ = ["FORMAT", "TranscriptReader"]

FORMAT = "powershell_transcript"
MAX_OUTPUT = 16 * 1024
"""`output characters`: of what a command wrote, so much is kept; `OutputLength` says how much it was."""
MAX_COMMAND = 1024 * 1024
"""`command characters`: of a command's continuation lines, so much is kept."""

_STARS = re.compile(r"\*{20,80}")
_LABELLED = re.compile(r"([^:\n]{1,60}?)\s?: ?(.*)")
_MOMENT = re.compile(r"\d{14}")
_PROMPT = re.compile(r"(?:\[[^\]\n]{1,255}\]: )?PS(?: ([^>\n]{0,400}))?>+ ?(.*)")
_PROMPT_LINE = re.compile(r"\n(?:\[[^\]\n]{1,255}\]: )?PS(?: [^>\n]{0,400})?>")
_MACHINE = re.compile(r"(\S{1,255}) \((?:Microsoft Windows|Unix|Darwin|Linux)[^)\n]{0,200}\)?")
_NAMES = ("StartTime", "Username", "RunAsUser", "ConfigurationName", "Machine", "HostApplication", "ProcessId")
_HEADER_LINES = 40
_HEADER_BYTES = 64 * 1024
_TIMES = TimeSpec(("%Y%m%d%H%M%S",))


class TranscriptReader:
    """Reads PowerShell transcripts."""

    name = "powershell-transcript"
    version = 1

    def detect(self, head: Head) -> bool:
        """Say yes to a header's asterisks, its start, and its machine or PowerShell's version."""
        lines = head.lines[:_HEADER_LINES]
        if not lines or not _STARS.fullmatch(lines[0].lstrip("\ufeff")):
            return False
        labelled = [found for line in lines[1:12] if (found := _LABELLED.fullmatch(line)) is not None]
        return any(_MOMENT.fullmatch(found[2]) for found in labelled[:2]) and any(
            _MACHINE.fullmatch(found[2]) or found[1] in ("PSVersion", "PSEdition") for found in labelled
        )

    def cut(self, stream: BinaryIO, head: bytes, options: ReadOptions) -> Iterator[tuple[ByteRange, bytes]]:
        """Cut where a command or a session begins; each range knows the session that is on."""
        encoding = detect_encoding(head)
        feed = "\n".encode(encoding)
        session: dict[str, Any] = {}
        held, start, line, index = b"", 0, 1, 0
        for whole, data in cut_lines(stream, encoding, options.range_bytes, {}):
            held += data
            cut = _last_prompt(held, encoding) if whole.end - start >= options.range_bytes else 0
            if len(held) > max(4 * options.range_bytes, _HEADER_BYTES):
                cut = cut or len(held)
            if cut:
                context = {"encoding": encoding, "session": session}
                span = ByteRange(index, start, start + cut, context, line)
                yield span, held[:cut]
                session = _walk(held[:cut], span, options, {}).session
                start, line, index = start + cut, line + held[:cut].count(feed), index + 1
                held = held[cut:]
        if held:
            yield ByteRange(index, start, start + len(held), {"encoding": encoding, "session": session}, line), held

    def read(self, data: bytes, span: ByteRange, path: str, options: ReadOptions) -> RangeResult:
        """Read the commands of one range."""
        result = RangeResult()
        work = _walk(data, span, options, result.encodings)
        if not work.events:
            return result
        host = [event.get("Machine") or options.host for event in work.events]
        times = read_times(
            pl.Series([event["time"] for event in work.events], dtype=pl.String),
            _TIMES,
            options,
            hosts=pl.Series(host, dtype=pl.String),
        )
        builder = TableBuilder()
        count = len(work.events)
        start = builder.extend(
            records=range(count),
            offsets=[event["offset"] for event in work.events],
            times=times.times,
            time_texts=[event["time"] for event in work.events],
            hosts=host,
            providers=[None] * count,
            event_ids=[None] * count,
        )
        names = dict.fromkeys(name for event in work.events for name in event["fields"])
        for name in names:
            builder.add_texts(start, name, [event["fields"].get(name) for event in work.events], numeric=True)
        result.tables = [(FORMAT, "", builder.finish())]
        result.issues.extend(time_issues(path, span, options, {FORMAT: [times]}))
        return result


def _last_prompt(data: bytes, encoding: str) -> int:
    """Return where the last line with a prompt begins, or 0."""
    errors = "surrogateescape" if encoding == "utf-8" else "surrogatepass"
    text = data[: len(data) - len(data) % len("\n".encode(encoding))].decode(encoding, errors)
    last = 0
    for found in _PROMPT_LINE.finditer(text):
        last = found.start() + 1
    return len(text[:last].encode(encoding, errors))


@dataclass
class _Walk:
    """Goes through a range's lines; `events` are what they tell."""

    session: dict[str, Any]
    events: list[dict[str, Any]] = field(default_factory=list)
    command: dict[str, Any] | None = None
    output: list[str] = field(default_factory=list)
    kept: int = 0
    length: int = 0

    def begin(self, offset: int, kind: str, fields: Mapping[str, str | None]) -> None:
        """Begin an event; what was on is over."""
        self.end()
        session = self.session
        own = {name: session.get(name) for name in (*_NAMES[1:], "PSVersion", "PSEdition")}
        time = session.get("CommandTime") or session.get("StartTime")
        if "CommandTime" not in session and kind == "command":
            own["TimeOf"] = "session"
        session.pop("CommandTime", None)
        self.command = {
            "offset": offset,
            "time": time,
            "Machine": session.get("Host"),
            "fields": {"Kind": kind, **own, **fields},
        }

    def more(self, text: str) -> None:
        """Take a line of output."""
        self.length += len(text) + 1
        if self.kept < MAX_OUTPUT:
            self.output.append(text[: MAX_OUTPUT - self.kept])
            self.kept += len(text) + 1

    def end(self) -> None:
        """Finish the event that is on."""
        if self.command is None:
            return
        fields = self.command["fields"]
        text = "\n".join(self.output).strip("\n")
        if text:
            fields["Output"] = text
            if self.length > MAX_OUTPUT:
                fields["OutputLength"] = str(self.length)
        self.command["fields"] = {name: value for name, value in fields.items() if value}
        if text or fields["Kind"] != "output":
            self.events.append(self.command)
        self.command, self.output, self.kept, self.length = None, [], 0, 0


def _walk(data: bytes, span: ByteRange, options: ReadOptions, counts: dict[str, int]) -> _Walk:
    skip = bom_length(data) if span.start == 0 else 0
    lines = [
        (offset, text.rstrip("\r"))
        for offset, _, text in numbered_lines(
            data,
            span,
            skip,
            options.encoding,
            counts,
        )
    ]
    walk = _Walk(dict(span.context["session"]))
    position = 0
    while position < len(lines):
        offset, text = lines[position]
        if text.startswith("*") and _STARS.fullmatch(text):
            taken = _header(lines, position, walk)
            if taken:
                position += taken
                continue
        found = _PROMPT.fullmatch(text) if text.startswith(("PS", "[")) else None
        if found is not None:
            position += 1
            command = [found[2]]
            while position < len(lines) and lines[position][1].startswith(">> ") and len(command) < MAX_COMMAND // 64:
                command.append(lines[position][1][3:])
                position += 1
            is_empty = not command[0].strip() and len(command) == 1  # nobody's command
            fields = {"Command": "\n".join(command)[:MAX_COMMAND], "Location": found[1]}
            walk.begin(offset, "output" if is_empty else "command", {} if is_empty else fields)
            continue
        if walk.command is None and text.strip():
            walk.begin(offset, "output", {})
        if walk.command is not None:
            walk.more(text)
        position += 1
    walk.end()
    return walk


def _header(lines: Sequence[tuple[int, str]], position: int, walk: _Walk) -> int:
    """Take a header or an end, or a command's own start; return how many lines it has (0 where it is none)."""
    offset = lines[position][0]
    block: list[tuple[str, str]] = []
    title = ""
    for number in range(position + 1, min(position + _HEADER_LINES, len(lines))):
        text = lines[number][1]
        if _STARS.fullmatch(text):
            return number + 1 - position if _take(block, title, offset, walk) else 0
        if _PROMPT.fullmatch(text):
            return 0
        found = _LABELLED.fullmatch(text)
        if found is not None:
            block.append((found[1], found[2]))
        elif block:
            block[-1] = (block[-1][0], f"{block[-1][1]}\n{text}")  # a host application's long command line
        else:
            title = text
    return 0


def _take(block: list[tuple[str, str]], title: str, offset: int, walk: _Walk) -> bool:
    if not block or not _MOMENT.fullmatch(block[0][1].strip()):
        return False
    moment = block[0][1].strip()
    if len(block) > 3:
        session: dict[str, Any] = {"StartTime": moment}
        plain = [(label, value) for label, value in block if not label.startswith(("PS", "CLR", "WS", "Build", "Seri"))]
        machine = next((at for at, (_, value) in enumerate(plain) if _MACHINE.fullmatch(value)), None)
        # the configuration was added in version 5: the machine is the fourth or the fifth
        names = _NAMES if machine is None or machine >= 4 else tuple(name for name in _NAMES if name != _NAMES[3])
        session.update({name: value for name, (_, value) in zip(names, plain, strict=False) if value})
        session.update({label: value for label, value in block if label in ("PSVersion", "PSEdition")})
        session["Host"] = _host(session.get("Machine", ""))
        walk.end()
        walk.session = session
        walk.begin(offset, "start", {})
    elif title:
        walk.session["CommandTime"] = moment
        walk.begin(offset, "end", {})
    else:
        walk.end()
        walk.session["CommandTime"] = moment
    return True


def _host(text: str) -> str | None:
    found = _MACHINE.fullmatch(text)
    return found[1] if found else text.split(" ", maxsplit=1)[0] or None
