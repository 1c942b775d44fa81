"""The verb that fetches well-known sources (SigmaHQ, ATT&CK …), checks them whole, and says what changed.

A source is fetched whole into temporary files, from its own HTTPS address or from a mirror (a URL, or a folder such as
a stick's), before anything of it is read; it is looked through once, and refused whole where an archive in it breaks
off or it isn't what it should be (a sign-in page, an error page). Then it comes in as the public corpus that it is, in
one transaction with an entry of the custody ledger (kind "pull"): version, licence, addresses, digests, and the digest
of the listing (`pulls/`) by which the next pull tells what is new, changed and gone. Indicators that the new version
no longer has (a rule's older text, one that was taken out) stay, and are hunted for no more; the entry names them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import msgspec

from aleat.errors import InputError, Issue, LimitError, Place, TrustError
from aleat.knowledge import Document, KnowledgeItem, Limits, read_documents
from aleat.knowledge.opener import open_documents
from aleat.knowledge.sources import (
    SourceFile,
    WellKnownSource,
    find_source,
    is_of,
    version_of,
    well_known,
    within,
)
from aleat.opening import fetch, is_url, shown_url
from aleat.stix.extensions import read_extension
from aleat.stix.objects import StixObject
from aleat.store.database import Connection
from aleat.store.files import write_file
from aleat.store.ledger import read_entries
from aleat.store.objects import find_objects
from aleat.store.withdrawn import ended_by_pulls
from aleat.workspace.core import Session
from aleat.workspace.knowledge import keep
from aleat.workspace.progress import Progress, silent
from aleat.workspace.results import HeldSource, Pulled

__all__ = ["PullVerbs", "pull", "pulled_sources"]

_STAGE = "pull"
_FOLDER = "pulls"
_BLOCK = 1024 * 1024
_TAIL = 66_000  # bytes: an end record and the longest comment behind it
_NOT_WHOLE = frozenset({"broken-archive", "encrypted", "limit", "unreadable", "empty"})
_SHOWN = 20  # names of what is new, changed, gone


@dataclass(frozen=True, slots=True)
class _Got:
    """One file that was fetched: where it lies, how it is shown, its digest, size and last bytes."""

    name: str
    path: Path
    shown: str
    sha256: str
    size: int
    tail: bytes


class _Object(msgspec.Struct):
    type: Any = None
    x_mitre_version: Any = None


class _Bundle(msgspec.Struct):
    objects: list[_Object] = []


Listing = dict[str, tuple[str, str]]
"""What a pull brought: by its lasting name (a rule's own id, an object's id), its content's digest and its title."""


class PullVerbs(Session):
    """What a workspace does with well-known sources."""

    def pull(
        self,
        *names: str,
        mirror: str | Path | None = None,
        limits: Limits | None = None,
        progress: Progress = silent,
    ) -> tuple[Pulled, ...]:
        """Fetch the sources called `names`, from `mirror` (a URL or a folder) where one is given; see `pull`."""
        return pull(self, names, mirror=mirror, limits=limits, progress=progress)

    def pulled(self) -> tuple[HeldSource, ...]:
        """Return every well-known source, with what is held of it and since when."""
        with self.read() as connection:
            return pulled_sources(connection)


def pulled_sources(connection: Connection | None) -> tuple[HeldSource, ...]:
    """Return every well-known source, with what is held of it (nothing, without a workspace) and since when."""
    entries = list(read_entries(connection, "custody", "pull")) if connection is not None else []
    found = []
    for source in well_known():
        own = [entry for entry in entries if entry.data.get("source") == source.name]
        version = str(own[-1].data["version"]) if own else ""
        since = next((entry.time for entry in own if entry.data["version"] == version), "")
        found.append(
            HeldSource(
                name=source.name,
                title=source.title,
                licence=source.licence,
                home=source.home,
                version=version,
                since=since,
                pulled=own[-1].time if own else "",
            )
        )
    return tuple(found)


def pull(
    session: Session,
    names: Sequence[str],
    *,
    mirror: str | Path | None = None,
    limits: Limits | None = None,
    known: Sequence[WellKnownSource] | None = None,
    progress: Progress = silent,
) -> tuple[Pulled, ...]:
    """Fetch well-known sources, and add each as the public corpus that it is; one that is refused costs no other.

    `mirror` holds the sources' files under their names (`sources.toml`): a URL, or a folder. Raises `InputError`
    for a name that no source of `known` (default: the shipped ones) has.
    """
    sources = [find_source(name, known or well_known()) for name in names]
    return tuple(_pull_one(session, source, mirror, limits or Limits(), progress) for source in sources)


def _pull_one(
    session: Session, source: WellKnownSource, mirror: str | Path | None, limits: Limits, progress: Progress
) -> Pulled:
    result = Pulled(name=source.name, title=source.title, licence=source.licence)
    notes: list[Issue] = []
    with ExitStack() as stack:
        try:
            got = list(_gather(source, mirror, limits, stack, notes))
            collections = _check_whole(source, got, limits)
        except InputError as error:
            return msgspec.structs.replace(result, notes=tuple(notes), refused=error.issue(_STAGE, source.home))
        digest = hashlib.sha256("".join(sorted(f"{one.sha256}\n" for one in got)).encode()).hexdigest()
        version = version_of(source, [one.tail for one in got], collections, digest)
        result = msgspec.structs.replace(result, notes=tuple(notes))
        return _keep(session, source, got, version, limits, result, progress)


# -- fetching ---------------------------------------------------------------------------------------------------------


def _gather(
    source: WellKnownSource, mirror: str | Path | None, limits: Limits, stack: ExitStack, notes: list[Issue]
) -> Iterator[_Got]:
    """Yield the source's files; they stay until `stack` closes. Raises `InputError` where one can't be had."""
    for file in source.files:
        place = _place(source, file, mirror)
        try:
            if isinstance(place, Path):
                yield _local(file, place, limits)
            else:
                yield _fetched(file, place, limits, stack, notes)
        except InputError as error:
            if not file.optional:
                raise
            reason = f"{error.reason} The source can do without it."
            notes.append(Issue(_STAGE, "passed-over", error.place or Place(file.name), reason))


def _place(source: WellKnownSource, file: SourceFile, mirror: str | Path | None) -> str | Path:
    if mirror is None:
        return file.url
    if isinstance(mirror, str) and is_url(mirror):
        parts = urlsplit(mirror)
        return urlunsplit((parts.scheme, parts.netloc, f"{parts.path.rstrip('/')}/{file.name}", parts.query, ""))
    folder = Path(mirror)
    own = folder / source.name / file.name
    return own if own.is_file() else folder / file.name


def _local(file: SourceFile, path: Path, limits: Limits) -> _Got:
    digest, size, tail = hashlib.sha256(), 0, b""
    try:
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK):
                size += len(block)
                if size > limits.place_bytes:
                    reason = f"The file is larger than {limits.place_bytes} bytes (place_bytes)."
                    raise LimitError(reason, Place(path.as_posix()))
                digest.update(block)
                tail = (tail + block)[-_TAIL:]
    except OSError as error:
        reason = f"It can't be read: {error.strerror}."
        advice = f"The mirror must hold a file called {file.name}."
        raise InputError(reason, Place(path.as_posix()), advice=advice) from None
    return _Got(file.name, path, path.as_posix(), digest.hexdigest(), size, tail)


def _fetched(file: SourceFile, url: str, limits: Limits, stack: ExitStack, notes: list[Issue]) -> _Got:
    found = fetch(url, limits, _STAGE)
    stack.callback(found.close)
    for one in found:
        if not isinstance(one, Issue):
            with one.file.open("rb") as stream:
                stream.seek(max(0, int(one.facts["size"]) - _TAIL))
                tail = stream.read(_TAIL)
            return _Got(file.name, one.file, one.shown, one.facts["sha256"], int(one.facts["size"]), tail)
        if one.code != "passed-over":
            raise InputError(one.reason, one.place, advice=one.advice)
        notes.append(one)
    raise InputError("Nothing came.", Place(shown_url(url)))


# -- checking ---------------------------------------------------------------------------------------------------------


def _documents(source: WellKnownSource, got: Sequence[_Got], limits: Limits) -> Iterator[Document | Issue]:
    for one in got:
        yield from within(open_documents(one.path, limits, shown=one.shown), source)


def _check_whole(source: WellKnownSource, got: Sequence[_Got], limits: Limits) -> list[str]:
    """Look through a source, and return its collections' versions; `InputError` where it isn't whole, or another."""
    found = 0
    versions: list[str] = []
    for item in _documents(source, got, limits):
        if isinstance(item, Issue):
            if item.code in _NOT_WHOLE - {"empty"}:
                raise InputError(f"{source.title} isn't whole: {item.reason}", item.place, advice=item.advice)
            continue
        if is_of(item, source):
            found += 1
            if source.version == "collection":
                versions += _collection_versions(item)
    if found < source.least:
        reason = f"This isn't {source.title}: {found} documents of its kind are in it, of {source.least} or more."
        advice = "Look at what stands there: a page of a proxy, an error, another file?"
        raise InputError(reason, Place(got[0].shown if got else source.home), advice=advice)
    return versions


def _collection_versions(document: Document) -> Iterator[str]:
    try:
        bundle = msgspec.json.decode(document.read(), type=_Bundle)
    except (msgspec.MsgspecError, RecursionError):
        return
    for one in bundle.objects:
        if one.type == "x-mitre-collection" and isinstance(one.x_mitre_version, str):
            yield one.x_mitre_version


# -- keeping ----------------------------------------------------------------------------------------------------------


def _keep(
    session: Session,
    source: WellKnownSource,
    got: Sequence[_Got],
    version: str,
    limits: Limits,
    result: Pulled,
    progress: Progress,
) -> Pulled:
    listing: Listing = {}
    proven: set[str] = set()
    there: set[str] = set()  # digests of the indicators of this version
    policy = session.policy()
    try:
        corpus: str | None = policy.get(source.corpus).name
    except TrustError:
        corpus = None
    facts: dict[str, Any] = {
        "source": source.name,
        "version": version,
        "licence": source.licence,
        "home": source.home,
        "files": {one.name: {"place": one.shown, "sha256": one.sha256, "size": one.size} for one in got},
        "corpus": corpus,
    }

    def read() -> Iterator[KnowledgeItem | Issue]:
        for item in read_documents(
            lambda: _documents(source, got, limits), limits=limits, policy=policy, corpus=corpus, version=version
        ):
            if isinstance(item, KnowledgeItem) and not (
                item.object.type == "relationship" and source.version == "commit"
            ):
                _list(listing, item.object)
            if isinstance(item, KnowledgeItem) and item.object.type == "indicator":
                there.add(item.object.digest)
            if isinstance(item, KnowledgeItem) and item.corpus_basis == "digest":
                proven.add(item.corpus_version)
            yield item
        if proven and version.startswith("sha256:"):
            facts["version"] = "+".join(sorted(proven))  # what a digest shows says more than the files' own
        facts["listing"] = _write_listing(session.folder / _FOLDER, source.name, listing)
        ended = {digest for _, _, digest in ended_by_pulls(connection, source.name)}
        facts["gone"] = sorted(given - there - ended)
        facts["back"] = sorted(ended & there)

    with session.writing(), session.write() as connection:
        before = _last(connection, source.name)
        old = _read_listing(session.folder / _FOLDER, source.name, before)
        given = {one.object.digest for one in find_objects(connection, types=["indicator"], giver=source.name)}
        added = keep(session, connection, read(), giver=source.name, kind="pull", facts=facts, progress=progress)
    if before is not None and before.get("listing") != facts["listing"]:
        _listing_path(session.folder / _FOLDER, source.name, str(before.get("listing"))).unlink(missing_ok=True)
    return msgspec.structs.replace(
        result,
        version=facts["version"],
        before=str(before["version"]) if before else "",
        files={one.name: one.sha256 for one in got},
        declared=corpus is not None,
        added=added,
        **_changes(old, listing),
    )


def _list(listing: Listing, item: StixObject) -> None:
    """Add an object to a listing, under the name that it keeps when its content changes."""
    name = item.name or item.id
    key = item.id
    if item.type == "indicator":
        rule = read_extension(item, "rule") or {}
        key = f"{item.pattern_type}:{rule.get('rule_id') or name}"
    digest = item.digest
    if key in listing:  # several of one name: together they are one
        digest = hashlib.sha256(f"{min(digest, listing[key][0])}{max(digest, listing[key][0])}".encode()).hexdigest()
    listing[key] = (digest, " ".join(name.split())[:200])


def _changes(old: Listing | None, new: Listing) -> dict[str, Any]:
    """Return the counts and first titles of what is new, changed and gone; None as counts where nothing is known."""
    if old is None:
        return {}
    groups = {
        "new": [new[key][1] for key in new.keys() - old.keys()],
        "changed": [new[key][1] for key in new.keys() & old.keys() if new[key][0] != old[key][0]],
        "gone": [old[key][1] for key in old.keys() - new.keys()],
    }
    counts: dict[str, Any] = {f"{name}_count": len(titles) for name, titles in groups.items()}
    return counts | {f"{name}_titles": tuple(sorted(titles)[:_SHOWN]) for name, titles in groups.items()}


def _last(connection: Connection, name: str) -> Mapping[str, Any] | None:
    found = [entry.data for entry in read_entries(connection, "custody", "pull") if entry.data.get("source") == name]
    return found[-1] if found else None


def _listing_path(folder: Path, name: str, digest: str) -> Path:
    return folder / f"{name}-{digest[:16]}.tsv"


def _write_listing(folder: Path, name: str, listing: Listing) -> str:
    lines = (f"{key}\t{digest}\t{title}\n" for key, (digest, title) in sorted(listing.items()))
    data = "".join(lines).encode("utf-8", errors="replace")
    digest = hashlib.sha256(data).hexdigest()
    folder.mkdir(exist_ok=True)
    write_file(_listing_path(folder, name, digest), data)
    return digest


def _read_listing(folder: Path, name: str, before: Mapping[str, Any] | None) -> Listing | None:
    """Return the listing that an earlier pull left, None where there is none, or not the one that its entry binds."""
    if before is None:
        return None
    digest = str(before.get("listing"))
    try:
        data = _listing_path(folder, name, digest).read_bytes()
    except OSError:
        return None
    if hashlib.sha256(data).hexdigest() != digest:
        return None
    parts = (line.split("\t") for line in data.decode().splitlines())
    return {part[0]: (part[1], part[2]) for part in parts if len(part) == 3}
