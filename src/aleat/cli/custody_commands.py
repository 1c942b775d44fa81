"""The commands of custody: custody, show, forget, and the ledgers with their heads."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import cyclopts
from cyclopts import Parameter

from aleat.cli.exit_codes import FAILED, INCOMPLETE
from aleat.cli.options import Actor, Language, Quiet, WorkspaceOption, open_workspace
from aleat.cli.terminal import line, progress
from aleat.text import clip, visible

if TYPE_CHECKING:
    from aleat.workspace import ForgottenSource, ShownEvent

__all__ = ["register"]

Output = Annotated[Path | None, Parameter(name=["--output", "-o"])]

_SHOWN_BYTES = 64 * 1024
_SHOWN_FIELD = 2000
_LINE_BYTES = 16
_STATES = {"absent": INCOMPLETE, "changed": FAILED}


def register(app: cyclopts.App) -> None:
    """Add the commands to `app`."""
    app.command(custody)
    app.command(show)
    app.command(forget)
    ledgers = cyclopts.App(name="ledger", help="The ledgers: export them, have their heads countersigned by an ally.")
    ledgers.command(ledger_export, name="export")
    ledgers.command(ledger_head, name="head")
    ledgers.command(ledger_countersign, name="countersign")
    ledgers.command(ledger_add, name="add")
    app.command(ledgers)


def custody(
    *sources: str,
    output: Output = None,
    format: Annotated[Literal["text", "html", "json"] | None, Parameter(name=["--type", "-t"])] = None,
    language: Language = "en",
    workspace: WorkspaceOption = None,
    actor: Actor = None,
) -> int:
    """Print the custody record of the evidence, for a court or an ally to sign: hashes, who gave it, what was not read.

    Args:
        sources: Sources by number, path (or its end) or SHA-256 (default: all).
        output: The file to write (default: standard output); a name that ends in .html or .json says how.
        format: text, html or json.
        language: The form's language: en or sq.
        workspace: The workspace's folder.
        actor: Who acts.
    """
    import msgspec  # noqa: PLC0415

    from aleat.report.custody import render_custody_html, render_custody_text  # noqa: PLC0415

    with open_workspace(workspace, actor) as ws:
        form = ws.custody(*sources)
    kind = format or {".html": "html", ".htm": "html", ".json": "json"}.get(output.suffix if output else "", "text")
    if kind == "html":
        data = render_custody_html(form, language=language)
    elif kind == "json":
        data = msgspec.json.format(msgspec.json.encode(form), indent=2) + b"\n"
    else:
        data = render_custody_text(form, language=language).encode("utf-8", "replace")
    _put(data, output)
    return 0


def show(
    event: str,
    *,
    output: Output = None,
    workspace: WorkspaceOption = None,
    quiet: Quiet = False,
) -> int:
    """Show the original bytes of an event, after checking that the evidence still has them; and what was read.

    Args:
        event: EVIDENCE:RECORD, as they stand in a sighting, or an event digest.
        output: Write the original bytes to this file, as they are.
        workspace: The workspace's folder.
        quiet: No progress.
    """
    with open_workspace(workspace) as ws, progress(quiet=quiet) as note:
        shown = ws.show(event, progress=note)
    for text in _event_lines(shown):
        line(text)
    if output is not None and shown.state == "fits":
        output.write_bytes(shown.original)
    return _STATES.get(shown.state, 0)


def forget(
    source: str,
    *,
    reason: str,
    workspace: WorkspaceOption = None,
    actor: Actor = None,
) -> int:
    """Remove a source, as a retention rule or a court orders: its segments, findings and copy; a ledger entry stays.

    Only an administrator may, and not where a legal hold is on it (aleat hold SOURCE). What other sources share stays.

    Args:
        source: Its number, path (or the end of it) or SHA-256; an archive's path stands for all its members.
        reason: Why; stands in the ledger.
        workspace: The workspace's folder.
        actor: Who acts.
    """
    with open_workspace(workspace, actor) as ws:
        done = ws.forget(source, reason)
    for text in _forgotten_lines(done):
        line(text)
    return 0


def ledger_export(*, output: Output = None, workspace: WorkspaceOption = None) -> int:
    """Write the ledgers as JSON lines.

    Args:
        output: The file to write (default: standard output).
        workspace: The workspace's folder.
    """
    with open_workspace(workspace) as ws:
        _put(b"".join(ws.export_ledgers()), output)
    return 0


def ledger_head(*, output: Output = None, workspace: WorkspaceOption = None) -> int:
    """Write the ledgers' heads on a signed page: keep it where the workspace isn't, or have an ally countersign it.

    Args:
        output: The file to write (default: standard output).
        workspace: The workspace's folder.
    """
    with open_workspace(workspace) as ws:
        _put(ws.export_heads(), output)
    return 0


def ledger_countersign(
    page: Path, *, output: Output = None, workspace: WorkspaceOption = None, actor: Actor = None
) -> int:
    """Countersign an ally's page of heads, and keep it: a later page that goes back behind it is refused.

    Args:
        page: The page that the ally's `aleat ledger head` wrote.
        output: The file to write (default: standard output): give it back to the ally.
        workspace: The workspace's folder.
        actor: Who acts.
    """
    with open_workspace(workspace, actor) as ws:
        _put(ws.countersign(page), output)
    return 0


def ledger_add(page: Path, *, workspace: WorkspaceOption = None, actor: Actor = None) -> int:
    """Take a page of our heads back in that an ally countersigned: from now on verify holds the ledgers to it.

    Args:
        page: The page that the ally's `aleat ledger countersign` wrote.
        workspace: The workspace's folder.
        actor: Who acts.
    """
    with open_workspace(workspace, actor) as ws:
        kept = ws.keep_countersignature(page)
    for one in kept.countersignatures:
        line(f"Countersigned by {one.organisation} on {one.time[:10]}.")
    return 0


def _put(data: bytes, output: Path | None) -> None:
    if output is None:
        sys.stdout.buffer.write(data)
    else:
        output.write_bytes(data)


def _event_lines(shown: ShownEvent) -> Iterator[str]:
    from aleat.hunt.output import format_time  # noqa: PLC0415

    kept = "copied into the workspace" if shown.kept == "copy" else "by reference"
    yield f"Event:     {shown.event}"
    yield f"Source:    {shown.source}, {shown.evidence} ({kept}), read by {shown.reader}"
    if shown.container_sha256:
        yield f"Container: SHA-256 {shown.container_sha256}"
    yield f"SHA-256:   {shown.source_sha256 or 'not known: its last byte was not read'}"
    length = "" if shown.length is None else f", {shown.length:,} bytes"
    yield f"Record:    {shown.record}, at byte {shown.offset:,}{length}"
    log = f"{shown.format} {shown.channel}".strip()
    yield f"Time:      {format_time(shown.time) or 'none'}, host {shown.host or '(none)'}, log {log}"
    span = f"bytes {shown.range_start:,} to {shown.range_end:,}"
    if shown.state == "fits":
        yield f"Checked:   {span} have SHA-256 {shown.range_sha256}, as the ledger says"
        yield "Original:"
        yield from _original_lines(shown.original)
    else:
        yield f"Original:  {shown.state}. {shown.reason} ({span} had SHA-256 {shown.range_sha256})"
    yield "Fields:"
    for name, value in shown.fields.items():
        yield f"  {name}: {clip(visible(value), _SHOWN_FIELD)}"


def _original_lines(data: bytes) -> Iterator[str]:
    """Yield original bytes: text escaped, all else as hexadecimal with what is readable beside it."""
    part = data[:_SHOWN_BYTES]
    text = _as_text(part)
    if text is not None:
        for row in text.rstrip("\r\n").split("\n"):
            yield f"  {visible(row.removesuffix(chr(13)))}"
    else:
        for at in range(0, len(part), _LINE_BYTES):
            some = part[at : at + _LINE_BYTES]
            readable = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in some)
            yield f"  {at:06x}  {some.hex(' ').ljust(3 * _LINE_BYTES)} {readable}"
    if len(data) > _SHOWN_BYTES:
        yield f"  … and {len(data) - _SHOWN_BYTES:,} bytes more; -o FILE writes them all"


def _as_text(data: bytes) -> str | None:
    """Return bytes as UTF-8 text; None where they are none (a cut last character doesn't count against them)."""
    if b"\0" in data:
        return None
    for cut in range(4):
        try:
            return data[: len(data) - cut].decode("utf-8")
        except UnicodeDecodeError:
            continue
    return None


def _forgotten_lines(done: ForgottenSource) -> Iterator[str]:
    if done.repeated:
        yield f"{done.path} was forgotten before; {done.files:,} files that were left are removed."
    else:
        yield f"Forgotten: {done.path}: {done.segments:,} segments with {done.events:,} events, {done.files:,} files."
    for heir in done.heirs:
        yield f"  Its bytes stay, since they are those of {heir} too."
    if done.shared:
        yield f"  {done.shared:,} segments stay, since other sources have the same bytes there."
    if done.kept_copy:
        yield "  The workspace's copy stays, since other sources lie in it."
    for path in (*done.backups, *done.reports):
        yield f"  May still tell of it: {path}"
