"""Collections by their layout: which tool gathered them, on which host, what each file's path was there, its hash.

=============  ================================================================================================
Velociraptor   ``uploads/<accessor>/C%3A/Windows/…`` beside ``client_info.json``, ``collection_context.json``,
               ``uploads.json`` or ``results/``; names are percent-encoded; hashes stand in the results of uploads
KAPE           a folder ``C`` beside ``*_CopyLog.csv`` (which has a SHA-1 of each file) or ``*_ConsoleLog.txt``
UAC            ``uac-<host>-<system>-<time>``: ``[root]/var/log/…``, ``live_response/…``, ``bodyfile/…``
dissect        files that came out of a disk image (`disk_image`)
disk           a tree as it is on a disk: ``C/Windows/…``, ``Windows/System32/…``, ``var/log/…``
=============  ================================================================================================

What the collector says is told as its word: it is in the source's custody, and where a log names no host, the
collection's host counts. A collection that lies about itself misleads about that, and about nothing else.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from aleat.errors import InputError
from aleat.evidence.opening.disk_image import DiskImageArchive
from aleat.evidence.opening.source import Origin, Stated
from aleat.opening.container import Archive, numbered, pick
from aleat.opening.streams import read_fully
from aleat.text import path_text

__all__ = ["Collection", "collection_in_archive", "collection_in_folder"]

_RECORD_BYTES = 32 * 1024 * 1024
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}")
_UAC = re.compile(r"uac-(.+)-(aix|android|esxi|freebsd|linux|macos|netbsd|netscaler|openbsd|solaris)-[0-9]{14}")
_VELOCIRAPTOR_NAME = re.compile(r"Collection-(.+?)-[0-9]{4}-[0-9]{2}-[0-9]{2}T")
_KAPE_NAME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T?[0-9_-]*_(.+)")
_KAPE_HOST = re.compile(r"[Mm]achine name: ([A-Za-z0-9_.-]{1,253})")
_VELOCIRAPTOR_MARKS = frozenset({"client_info.json", "collection_context.json", "uploads.json", "results"})
_WINDOWS_FOLDERS = frozenset({"windows", "users", "programdata", "inetpub", "program files", "program files (x86)"})
_UNIX_FOLDERS = frozenset({"var", "etc", "usr", "home", "root", "opt", "srv", "private"})
_GENERIC = frozenset({"kape", "out", "output", "target", "targets", "tdest", "evidence", "collection", "triage", "c"})
_ALGORITHMS = {32: "md5", 40: "sha1", 64: "sha256"}
_HASH_KEYS = ("SourceFileSha256", "sha256", "Sha256", "SHA256", "SourceFileSha1", "sha1", "md5", "Md5")
_PATH_KEYS = ("SourceFile", "_Source", "vfs_path", "Path", "FullPath", "OSPath")


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection at `root` (as shown, with what separates its files from it); `hashes` by the original path."""

    collector: str
    host: str
    root: str
    original: Callable[[str], str]
    hashes: Mapping[str, tuple[Stated, ...]] = field(default_factory=dict)

    def origin(self, shown: str, members: Sequence[str]) -> Origin | None:
        """Return what the collection tells of the source shown as `shown`."""
        if not shown.startswith(self.root):
            return None
        inside, _, deeper = shown[len(self.root) :].partition("!")
        path = self.original(inside)
        if self.collector == "disk" and not path:
            return None
        packed = bool(deeper) or (bool(members) and members[-1] == "")
        hashes = () if packed else self.hashes.get(path.casefold(), ())
        return Origin("" if self.collector == "disk" else self.collector, self.host, path, hashes=hashes)


def collection_in_folder(folder: Path, names: Sequence[str]) -> Collection | None:
    """Return the collection that a folder with these names is, or None."""

    def read(name: str) -> bytes:
        try:
            with (folder / name).open("rb") as file:
                return file.read(_RECORD_BYTES)
        except (OSError, ValueError):
            return b""

    shown = path_text(folder.as_posix())
    own = path_text(folder.name or folder.absolute().name)
    listed = [name for name in names if name == "results" or re.fullmatch("[A-Za-z]", name)]
    deeper = [f"{name}/{inner}" for name in listed for inner in _listing(folder / name)]
    root = "" if shown == "." else f"{shown.rstrip('/')}/"
    return _recognise(root, own, [*names, *deeper], read)


def collection_in_archive(shown: str, archive: Archive) -> Collection | None:
    """Return the collection that an archive is, or None; of one without a directory only its name is asked."""

    def read(name: str) -> bytes:
        try:
            member = pick(numbered(archive, shown), name)
            if member is None or member.refused is not None:
                return b""
            return read_fully(member.open(), _RECORD_BYTES)
        except InputError:
            return b""

    if isinstance(archive, DiskImageArchive):
        return Collection("dissect.target", archive.host, f"{shown}!", _image_path)
    own = re.split(r"[/\\!]", shown)[-1]
    tops = {name.partition("/")[0] for name in archive.names}
    prefix = ""
    if len(tops) == 1 and all("/" in name for name in archive.names):  # everything in one folder
        (own,) = tops
        prefix = f"{own}/"
    names = [name.removeprefix(prefix) for name in archive.names]
    listed = {*names, *(name.partition("/")[0] for name in names)}
    found = _recognise(f"{shown}!{path_text(prefix)}", own, sorted(listed), lambda name: read(prefix + name))
    if found is None and not names:
        found = Collection("disk", "", f"{shown}!", _disk_path)
    return found


def _listing(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir())[:10_000]
    except OSError:
        return []


def _recognise(root: str, own: str, names: Sequence[str], read: Callable[[str], bytes]) -> Collection | None:
    """Return the collection whose top has these names; `own` is its folder's or archive's own name."""
    tops = set(names)
    if (match := _UAC.match(own)) is not None:
        return Collection("UAC", _host(match[1]), root, _uac_path)
    if "uploads" in tops and tops & _VELOCIRAPTOR_MARKS:
        return _velociraptor(root, own, names, read)
    drives = {name for name in tops if re.fullmatch("[A-Za-z]", name)}
    logs = [name for name in names if name.endswith(("_CopyLog.csv", "_ConsoleLog.txt")) and "/" not in name]
    if drives and logs:
        return _kape(root, own, logs, read)
    lower = {name.casefold() for name in tops}
    inside = (name.casefold().split("/", 2)[:2] for name in names if name[:1] in drives)
    volumes = any(len(parts) > 1 and parts[1] in _WINDOWS_FOLDERS for parts in inside)
    if volumes or len(lower & _WINDOWS_FOLDERS) > 1 or len(lower & _UNIX_FOLDERS) > 1:
        return Collection("disk", "", root, _disk_path)
    return None


# -- Velociraptor -------------------------------------------------------------------------------------------------


def _velociraptor(root: str, own: str, names: Sequence[str], read: Callable[[str], bytes]) -> Collection:
    host = ""
    for name in ("client_info.json", "collection_context.json", "host.json"):
        if name in names and not host:
            host = _host_in(_json(read(name)))
    if not host and (match := _VELOCIRAPTOR_NAME.match(own)) is not None:
        host = _host(match[1])
    records = [name for name in names if name == "uploads.json" or (name.startswith("results/") and "pload" in name)]
    hashes: dict[str, tuple[Stated, ...]] = {}
    for name in records[:100]:
        if not name.endswith((".csv", ".index")):
            _add_hashes(hashes, _json_hashes(read(name)), f"{root}{path_text(name)}")
    return Collection("Velociraptor", host, root, _velociraptor_path, hashes)


def _velociraptor_path(inside: str) -> str:
    """Return the path that an upload had.

    >>> _velociraptor_path("uploads/auto/C%3A/Windows/System32/winevt/Logs/Security.evtx")
    'C:\\\\Windows\\\\System32\\\\winevt\\\\Logs\\\\Security.evtx'
    """
    parts = inside.split("/")
    if parts[0] != "uploads" or len(parts) < 3:
        return ""
    parts = [unquote(part, errors="replace") for part in parts[2:]]
    drive = parts[0].removeprefix("\\\\.\\")
    if re.fullmatch("[A-Za-z]:", drive):
        return "\\".join([drive, *parts[1:]])
    return "/" + "/".join(part for part in parts if part)


def _host_in(found: Any) -> str:
    """Return the host's name in what Velociraptor says of its client."""
    if not isinstance(found, dict):
        return ""
    for key in ("hostname", "Hostname", "fqdn", "Fqdn"):
        if isinstance(found.get(key), str) and _host(found[key]):
            return _host(found[key])
    return _host_in(found.get("os_info"))


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _json_hashes(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield (original path, hash) of a file of uploads, one JSON object a line."""
    for line in data.splitlines():
        row = _json(line)
        if not isinstance(row, dict):
            continue
        upload = row.get("Upload") if isinstance(row.get("Upload"), dict) else {}
        both = {**upload, **row} if isinstance(upload, dict) else row
        path = next((both[key] for key in _PATH_KEYS if isinstance(both.get(key), str) and both[key]), "")
        for key in _HASH_KEYS:
            if path and isinstance(both.get(key), str):
                yield path, both[key]


# -- KAPE ---------------------------------------------------------------------------------------------------------


def _kape(root: str, own: str, logs: Sequence[str], read: Callable[[str], bytes]) -> Collection:
    host = ""
    hashes: dict[str, tuple[Stated, ...]] = {}
    for name in logs[:100]:
        data = read(name)
        if name.endswith("_ConsoleLog.txt"):
            if not host and (match := _KAPE_HOST.search(_text(data[: 1024 * 1024]))) is not None:
                host = match[1]
        else:
            _add_hashes(hashes, _csv_hashes(data), f"{root}{path_text(name)}")
    if not host:
        stem = re.sub(r"\.(zip|7z)$", "", own, flags=re.IGNORECASE)
        match = _KAPE_NAME.fullmatch(stem)
        stem = match[1] if match is not None else stem
        host = "" if stem.casefold() in _GENERIC else _host(stem)
    return Collection("KAPE", host, root, _disk_path, hashes)


def _csv_hashes(data: bytes) -> Iterator[tuple[str, str]]:
    try:
        for row in csv.DictReader(io.StringIO(_text(data), newline="")):
            yield row.get("SourceFile") or "", row.get("SourceFileSha1") or ""
    except csv.Error:
        return


def _text(data: bytes) -> str:
    wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    return data.decode("utf-16" if wide else "utf-8-sig", "replace")


# -- UAC, and plain trees -----------------------------------------------------------------------------------------


def _uac_path(inside: str) -> str:
    _, found, path = f"/{inside}".partition("/[root]/")
    return f"/{path}" if found else ""


def _disk_path(inside: str) -> str:
    r"""Return the path that a file had on its disk, or "" where the tree doesn't look like one.

    >>> _disk_path("C/Windows/System32/winevt/Logs/Security.evtx"), _disk_path("./var/log/syslog")
    ('C:\\Windows\\System32\\winevt\\Logs\\Security.evtx', '/var/log/syslog')
    """
    parts = [part for part in inside.replace("\\", "/").split("/") if part not in ("", ".")]
    if len(parts) > 1 and re.fullmatch("[A-Za-z]:?", parts[0]):
        return "\\".join([f"{parts[0][0].upper()}:", *parts[1:]])
    if len(parts) > 1 and parts[0].casefold() in _WINDOWS_FOLDERS:
        return "\\" + "\\".join(parts)
    if len(parts) > 1 and parts[0] in _UNIX_FOLDERS:
        return "/" + "/".join(parts)
    return ""


def _image_path(inside: str) -> str:
    drive, _, path = inside.partition("/")
    return f"{drive}:\\{path.replace('/', chr(92))}" if re.fullmatch("[A-Z]", drive) else f"/{inside}"


def _host(text: str) -> str:
    return text if _HOST.fullmatch(text) else ""


def _add_hashes(hashes: dict[str, tuple[Stated, ...]], found: Iterable[tuple[str, str]], record: str) -> None:
    for path, value in found:
        algorithm = _ALGORITHMS.get(len(value))
        if algorithm is None or re.fullmatch("[0-9A-Fa-f]+", value) is None:
            continue
        key = re.sub(r"^\\\\\.\\", "", path).casefold()
        stated = Stated(algorithm, value.lower(), record)
        if stated not in hashes.get(key, ()) and len(hashes.get(key, ())) < 4:
            hashes[key] = (*hashes.get(key, ()), stated)
