"""What comes in: a sealed file is opened, checked, and its messages and objects are kept; or all of it is refused.

Everything stands in the caller's transaction: a file that fails anywhere leaves nothing behind. Objects are
kept with their giver, label and agreement; nothing an ally sends can replace what is ours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

import msgspec

from aleat.errors import Issue, Place, SealError
from aleat.exchange.desk import Desk
from aleat.exchange.findings import Finding, read_findings
from aleat.exchange.messages import Message, Withdrawal, carried_release, decode_messages, message_row
from aleat.exchange.permissions import settle_permissions
from aleat.exchange.withdrawals import note_withdrawal, passed_on, settle_withdrawn
from aleat.stix import ObjectLimits, ParsedBundle, StixObject, format_timestamp, parse_bundle
from aleat.stix.extensions import read_extension
from aleat.store.allies import read_allies
from aleat.store.decisions import require
from aleat.store.exchanges import (
    FileRow,
    add_withdrawn,
    missing_serials,
    received_files,
    record_file,
    withdrawn_releases,
)
from aleat.store.objects import Provenance, PutResult, put_objects
from aleat.trust.agreements import AllyCard, Label
from aleat.trust.markings import marking_id
from aleat.trust.seal import Opened, open_sealed

__all__ = ["Received", "receive"]

_MAX_ROWS = 5_000_000
_CLOCK_SLACK = timedelta(days=1)
_Reader = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
_MarkingId = Annotated[str, msgspec.Meta(pattern=r"^marking-definition--[0-9a-f-]{36}\Z")]


class _Agreed(msgspec.Struct, frozen=True):
    name: str
    version: int


class _Listed(msgspec.Struct, frozen=True):
    id: str
    version: str
    digest: str
    label: Label | None = None
    markings: Annotated[tuple[_MarkingId, ...], msgspec.Meta(max_length=64)] = ()


class _Manifest(msgspec.Struct, frozen=True):
    agreement: _Agreed
    objects: tuple[_Listed, ...]
    readers: Annotated[tuple[_Reader, ...], msgspec.Meta(max_length=16)] = ()


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """What a sealed file held: who sent it, its messages, the objects in it, the findings among them.

    `missing` are numbers of the sender's earlier files that have not come; `issues` what was left out, and why.
    """

    sender: AllyCard
    messages: tuple[Message, ...]
    objects: tuple[StixObject, ...] = ()
    stored: PutResult = PutResult(0, 0, 0, ())
    findings: tuple[Finding, ...] = ()
    missing: tuple[int, ...] = ()
    issues: tuple[Issue, ...] = ()
    lists: tuple[str, ...] = ()
    """Digests of the lists whose entries came along."""
    passed_on: dict[str, tuple[str, ...]] = {}
    """What of that which the sender withdrew we gave to others: ids, by the ally's name."""
    readers: tuple[str, ...] = ()
    """For whose eyes it is, where it holds TLP:RED."""


def receive(desk: Desk, data: bytes, *, path: str = "sealed file", limits: ObjectLimits | None = None) -> Received:
    """Open a sealed file and keep what it holds; `path` is named in provenance and issues.

    Raises `SealError` or `SignatureError` where it was damaged, forged, meant for somebody else, opened before
    or withdrawn: then nothing is kept.
    """
    require(desk.connection, desk.actor, "analyst")
    allies = {ally.card.identity: ally.card for ally in read_allies(desk.connection) if ally.compared_by is not None}
    opened = open_sealed(
        data,
        own=desk.own,
        age_keys=desk.age_keys,
        senders={id_: [card.public_key] for id_, card in allies.items()},
        received=received_files(desk.connection),
        withdrawn=withdrawn_releases(desk.connection),
        openpgp_keys=desk.openpgp_keys,
    )
    sender = allies[opened.header.sender]
    messages = _messages(opened, desk.own)
    row = FileRow(
        file=opened.header.file,
        direction="in",
        peer=sender.identity,
        serial=opened.header.serial,
        release=opened.header.release,
        sha256=hashlib.sha256(data).hexdigest(),
        header=opened.header_bytes,
        signature=opened.signature,
        manifest=opened.parts.get("manifest.json", b""),
    )
    rows = [message_row(item) for item in messages]
    record_file(desk.connection, row, rows, actor=desk.actor, time=desk.time, key=desk.key)
    settle_permissions(desk, (item.thread for item in messages))
    spread: dict[str, tuple[str, ...]] = {}
    for message in messages:
        if isinstance(message, Withdrawal) and message.objects:
            note_withdrawal(desk, sender.identity, {sender.name}, message)
        if isinstance(message, Withdrawal) and message.release:
            add_withdrawn(desk.connection, message.release, sender.identity, time=desk.time)
        if isinstance(message, Withdrawal):
            found = passed_on(desk, sender.identity, message)
            spread |= {allies[ally].name if ally in allies else ally: ids for ally, ids in found.items()}
    result = Received(
        sender=sender,
        messages=messages,
        missing=missing_serials(desk.connection, sender.identity),
        issues=_clock_issues(messages, desk, path),
        passed_on=spread,
    )
    if not opened.header.release:
        return result
    return _keep_release(desk, opened, result, path, limits)


def _messages(opened: Opened, own: str) -> tuple[Message, ...]:
    """Return the file's messages, all of which are from its sender to us."""
    messages = decode_messages(opened.parts.get("messages.json", b"[]"))
    if any(item.sender != opened.header.sender or item.recipient != own for item in messages):
        raise SealError("The file holds a message of somebody else, or to somebody else. Tell its sender.")
    if not opened.header.release and any(map(carried_release, messages)):
        raise SealError("A message says that a release comes with it, and none does. Ask the ally for a new file.")
    return messages


def _clock_issues(messages: tuple[Message, ...], desk: Desk, path: str) -> tuple[Issue, ...]:
    """Note messages that say that they were written in the future; no clock decides what they are worth."""
    latest = format_timestamp(desk.time + _CLOCK_SLACK)
    late = [item for item in messages if item.time > latest]
    reason = "A message says that it was written in the future: the sender's clock is wrong, or ours."
    return tuple(Issue("exchange", "clock", Place(path), reason, f"It says {item.time}.") for item in late)


def _keep_release(desk: Desk, opened: Opened, result: Received, path: str, limits: ObjectLimits | None) -> Received:
    bundle, manifest, lists = _release_parts(opened, result.messages)
    parsed = parse_bundle(bundle, path, limits)
    listed = _check_manifest(manifest, parsed, path)
    issues = [*result.issues, *parsed.issues]
    kept: list[tuple[StixObject, Provenance]] = []
    for item, offset in zip(parsed.objects, parsed.offsets, strict=True):
        if desk.own in {item.created_by_ref, item.id}:
            reason = "The object says that it is ours; an ally can't change what is ours."
            issues.append(Issue("exchange", "not-theirs", Place(path, offset=offset), reason))
            continue
        kept.append((item, _provenance(desk, item, listed, result.sender.identity, Place(path, offset=offset))))
    digests = _keep_lists(desk, [item for item, _ in kept if not item.revoked], lists, path, issues)
    stored = put_objects(desk.connection, kept)
    came = [(item, provenance.agreement) for item, provenance in kept]
    settle_withdrawn(desk, result.sender.identity, opened.header.sealed, came)
    return msgspec.structs.replace(
        result,
        objects=tuple(item for item, _ in kept),
        stored=stored,
        findings=tuple(
            finding for finding in read_findings(item for item, _ in kept) if finding.sender == result.sender.identity
        ),
        issues=tuple(issues),
        lists=tuple(digests),
        readers=listed[0].readers,
    )


def _release_parts(opened: Opened, messages: tuple[Message, ...]) -> tuple[bytes, bytes, dict[str, bytes]]:
    """Return bundle, manifest and lists, checked against the message that delivers them."""
    bundle, manifest = opened.parts.get("bundle.json"), opened.parts.get("manifest.json")
    carriers = [item for item in messages if carried_release(item)]
    if bundle is None or manifest is None or [carried_release(item) for item in carriers] != [opened.header.release]:
        raise SealError("The file names a release, but doesn't deliver it. Ask the ally for a new file.")
    try:
        texts = msgspec.json.decode(opened.parts.get("lists.json", b"{}"), type=dict[str, str])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise SealError("The release's lists can't be read.") from error
    lists = {id_: text.encode() for id_, text in texts.items()}
    parts = [bundle, manifest, *(lists[id_] for id_ in sorted(lists))]
    digest = hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()
    if digest != getattr(carriers[0], "sha256", None):
        raise SealError("The release is not the one that the message delivers. Ask the ally for a new file.")
    return bundle, manifest, lists


def _check_manifest(data: bytes, parsed: ParsedBundle, path: str) -> tuple[_Manifest, dict[str, _Listed]]:
    try:
        manifest = msgspec.json.decode(data, type=_Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise SealError(f"{path}: the release's manifest can't be read.") from error
    listed = {item.id: item for item in manifest.objects}
    if any(item.id not in listed or listed[item.id].digest != item.digest for item in parsed.objects):
        raise SealError(f"{path}: the bundle holds an object that is not in the manifest. Ask for a new file.")
    return manifest, listed


def _provenance(
    desk: Desk, item: StixObject, listed: tuple[_Manifest, dict[str, _Listed]], giver: str, place: Place
) -> Provenance:
    manifest, objects = listed
    label = objects[item.id].label
    given = [*objects[item.id].markings, *([marking_id(f"tlp:{label}")] if label is not None else [])]
    beside = tuple(sorted({*given} - {*item.object_marking_refs}))
    return Provenance(giver=giver, received=desk.time, markings=beside, agreement=manifest.agreement.name, source=place)


def _keep_lists(
    desk: Desk, objects: list[StixObject], lists: Mapping[str, bytes], path: str, issues: list[Issue]
) -> list[str]:
    """Keep the entries of lists that fit their objects' digest, and return the digests; the rest goes to `issues`."""
    kept: list[str] = []
    for item in objects:
        content = read_extension(item, "list") if item.type == "indicator" else None
        if content is None:
            continue
        try:
            digest = _keep_list(desk, lists.get(item.id, b""), content.get("entries_sha256"))
        except ValueError as error:
            issues.append(Issue("exchange", "list", Place(path), f"The entries of {item.id} can't be read: {error}."))
            continue
        if digest is None:
            reason = f"The entries of {item.id} are not those that the list names; they were left out."
            issues.append(Issue("exchange", "list", Place(path), reason, "Ask the ally for a new file."))
            continue
        kept.append(digest)
    return kept


def _keep_list(desk: Desk, lines: bytes, named: object) -> str | None:
    """Keep the entries of a list and return their digest, None where it isn't `named`; raises `ValueError`."""
    import pyarrow as pa  # noqa: PLC0415

    from aleat.stix.entries import entries_digest, entries_of  # noqa: PLC0415
    from aleat.store.entries import put_entries  # noqa: PLC0415

    decode = msgspec.json.Decoder(tuple[str, str, str]).decode
    try:
        rows: list[tuple[str, str, str]] = [decode(line) for line in lines.splitlines()[: _MAX_ROWS + 1]]
        if len(rows) > _MAX_ROWS:
            raise ValueError(f"more than {_MAX_ROWS} entries")
        table = entries_of(rows)
    except (msgspec.MsgspecError, pa.ArrowException) as error:
        raise ValueError(str(error)) from None
    return put_entries(desk.connection, desk.root, table) if entries_digest(table) == named else None
