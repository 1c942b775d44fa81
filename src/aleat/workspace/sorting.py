"""What `investigate` makes of the paths it is given: evidence, knowledge, public statements, files of any other kind.

Each file is asked for by its content, never by its name or folder: a sealed file is an ally's; else the readers
of evidence are asked, then those of knowledge; text that none knows is a public statement if it reads like one
(it says who accuses, denies, condemns, offers), else prose that an ally wrote. What is none of these is evidence as
a file: YARA rules and lists of hashes look into it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from aleat.case.claims import looks_like_news
from aleat.errors import Issue, Place
from aleat.evidence import Limits, ReadOptions, Secrets, Source, open_sources
from aleat.knowledge import Document, detect_reader
from aleat.knowledge.opener import open_documents
from aleat.trust.seal import is_sealed
from aleat.workspace.progress import Progress, silent
from aleat.workspace.results import Sorted

__all__ = ["sealed_files", "sort_paths"]

_STAGE = "sorting"
_HEAD = 64


def sort_paths(
    paths: Sequence[Path | str],
    *,
    logs: ReadOptions | None = None,
    limits: Limits | None = None,
    secrets: Secrets | None = None,
    progress: Progress = silent,
) -> Sorted:
    """Return the files at and below `paths` by what they are; what is none of it is an issue.

    What a mapping in `logs` reads is evidence. What is at a URL (a text) is evidence: it isn't fetched to be looked at.
    """
    evidence: list[Path | str] = [path for path in paths if isinstance(path, str)]
    local = _paths(paths)
    knowledge: list[Path] = []
    statements: list[Path] = []
    sealed: list[Path] = []
    issues: list[Issue] = []
    for number, found in enumerate(_files(local)):
        progress("sorting", number, None)
        if isinstance(found, Issue):
            issues.append(found)
            continue
        kind, said = ("sealed", []) if _is_sealed(found) else _kind(found, logs, limits, secrets)
        if kind in ("evidence", "file"):
            evidence.append(found)
        elif kind == "knowledge":
            knowledge.append(found)
        elif kind == "statement":
            statements.append(found)
        elif kind == "sealed":
            sealed.append(found)
        else:
            issues += said
    return Sorted(
        knowledge=(*_collections(local, knowledge, [*_paths(evidence), *statements, *sealed]), *sealed),
        evidence=tuple(evidence),
        statements=tuple(statements),
        issues=tuple(issues),
    )


def _paths(places: Sequence[Path | str]) -> list[Path]:
    return [place for place in places if isinstance(place, Path)]


def sealed_files(paths: Sequence[Path]) -> list[Path]:
    """Return the sealed files (age's binary form, OpenPGP messages) at and below `paths`, folders in sorted order."""
    return [found for found in _files(paths) if isinstance(found, Path) and _is_sealed(found)]


def _is_sealed(path: Path) -> bool:
    try:
        if not path.is_file():  # a pipe would wait for a writer
            return False
        with path.open("rb") as file:
            return is_sealed(file.read(_HEAD))
    except OSError:
        return False


def _collections(paths: Sequence[Path], knowledge: Sequence[Path], other: Sequence[Path]) -> tuple[Path, ...]:
    """Return the widest folders that hold knowledge and nothing else, and single files beside them.

    A collection is recognised as a whole (a public corpus by its layout, say), so it is kept whole.
    """
    mixed = {folder for path in other for folder in path.parents}
    widest: dict[Path, None] = {}
    for path in knowledge:
        roots = [root for root in paths if root == path or root in path.parents]
        between = [folder for folder in path.parents if any(root == folder or root in folder.parents for root in roots)]
        pure = [folder for folder in between if folder not in mixed]
        widest[pure[-1] if pure else path] = None
    return tuple(widest)


def _files(paths: Sequence[Path]) -> Iterator[Path | Issue]:
    """Yield every file, folders in sorted order; links to folders are not followed."""
    for path in paths:
        if not path.exists():
            yield Issue(
                _STAGE, "unreadable-file", Place(str(path)), "There is no such file or folder.", "Check the path."
            )
        elif path.is_dir():
            refused: list[OSError] = []
            empty = True
            for folder, folders, names in os.walk(path, onerror=refused.append):
                folders.sort()
                for name in sorted(names):
                    empty = False
                    yield Path(folder, name)
                for name in folders:
                    if Path(folder, name).is_symlink():
                        place = Place(str(Path(folder, name)))
                        yield Issue(_STAGE, "passed-over", place, "A link to a folder was not followed.", "Name it.")
            for error in refused:
                yield Issue(_STAGE, "unreadable-file", Place(str(error.filename)), "The folder can't be opened.")
            if empty and not refused:
                yield Issue(_STAGE, "empty-folder", Place(str(path)), "The folder is empty.")
        else:
            yield path


def _kind(
    path: Path, logs: ReadOptions | None, limits: Limits | None, secrets: Secrets | None
) -> tuple[str, list[Issue]]:
    said: list[Issue] = []
    for found in open_sources([path], options=logs, limits=limits, secrets=secrets):
        if isinstance(found, Source):
            return "evidence", []
        said.append(found)
    if path.suffix.lower() == ".evtx" or any(issue.code not in {"no-reader", "passed-over"} for issue in said):
        return "none", said
    for document in open_documents(path):
        if isinstance(document, Issue):
            said.append(document)
        else:
            reader = detect_reader(document)
            if reader is not None and reader.name != "prose":
                return "knowledge", []
            if _reads_like_news(document):
                return "statement", []
            if reader is not None:
                return "knowledge", []
    return "file", said[:1]


def _reads_like_news(document: Document) -> bool:
    return b"\0" not in document.head and looks_like_news(document.head.decode("utf-8", errors="replace"))
