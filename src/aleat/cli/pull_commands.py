"""The command that fetches well-known sources of knowledge: pull."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cyclopts

from aleat.cli.exit_codes import FAILED, INCOMPLETE, USAGE
from aleat.cli.options import Actor, KnowledgeLimit, Quiet, WorkspaceOption, find, knowledge_options, open_workspace
from aleat.cli.terminal import error, issues, line, progress, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aleat.workspace import HeldSource, Pulled

__all__ = ["register"]

_COMMIT = 40  # characters of a commit, of which twelve are shown


def register(app: cyclopts.App) -> None:
    """Add the command to `app`."""
    app.command(pull)


def pull(
    *names: str,
    mirror: str | None = None,
    list: bool = False,
    limit: KnowledgeLimit = (),
    workspace: WorkspaceOption = None,
    actor: Actor = None,
    quiet: Quiet = False,
) -> int:
    """Fetch well-known public sources (sigmahq, attack, misp-galaxy …), check them whole, and add what is new.

    Args:
        names: The sources' names; `aleat pull --list` shows them.
        mirror: Where the sources' files lie instead: a URL, or a folder (a stick's, for those without internet).
        list: List the sources: licence, what is held of each, since when.
        limit: Raise what fetching and reading may cost: NAME=VALUE (docs/reference/limits.md).
        workspace: The workspace's folder.
        actor: Who acts.
        quiet: No progress.
    """
    if list:
        return _list(workspace)
    if not names:
        error("Nothing to pull: name sources, or see which there are: aleat pull --list")
        return USAGE
    limits, _ = knowledge_options(limit, (), None)
    with open_workspace(workspace, actor) as ws, progress(quiet=quiet) as show:
        done = ws.pull(*names, mirror=mirror, limits=limits, progress=show)
    for one in done:
        _print(one)
    if all(one.refused for one in done):
        return FAILED
    return INCOMPLETE if any(one.refused or one.added.issues for one in done) else 0


def _list(workspace: Path | None) -> int:
    from aleat.workspace import Workspace  # noqa: PLC0415
    from aleat.workspace.pull import pulled_sources  # noqa: PLC0415

    folder = find(workspace)
    if folder is None:
        _print_held(pulled_sources(None))
        return 0
    with Workspace.open(folder) as ws:
        _print_held(ws.pulled())
    return 0


def _print_held(sources: Sequence[HeldSource]) -> None:
    rows = []
    for one in sources:
        version = one.version[:12] if len(one.version) == _COMMIT else one.version
        held = f"{version} since {one.since[:10]}, pulled {one.pulled[:10]}" if one.version else "nothing"
        rows.append([one.name, one.title, one.licence, held])
    table(rows, ["name", "source", "licence", "held"])


def _print(one: Pulled) -> None:
    if one.refused is not None:
        error(f"{one.name}: not taken in.")
        issues([one.refused])
        return
    line(f"{one.name}: {one.title}, {one.version}; licence: {one.licence}.")
    for name, sha256 in one.files.items():
        line(f"  {name}: SHA-256 {sha256}")
    added = one.added
    line(f"  {added.new:,} new objects, {added.known:,} known already.")
    for corpus in added.corpora:
        line(f"  Added as the public corpus {corpus}; treated as CLEAR by this workspace's policy.")
    if not one.declared:
        line("  This workspace's policy (corpora.toml) names no such public corpus: what carries no label stays.")
    if one.new_count is not None:
        line(
            f"  Since the last pull ({one.before}): {one.new_count:,} new, {one.changed_count:,} changed, "
            f"{one.gone_count:,} gone."
        )
        for word, titles in (("new", one.new_titles), ("changed", one.changed_titles), ("gone", one.gone_titles)):
            for title in titles:
                line(f"    {word}: {title}")
    for note in one.notes:
        line(f"  Note: {note.place}: {note.reason}")
    if added.issues:
        error(f"  {len(added.issues)} could not be read:")
        issues(added.issues)
