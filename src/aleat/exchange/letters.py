"""Letters: sealed files as they travel over TAXII, each a STIX `artifact` (STIX 2.1 §6.1) in a collection of messages.

An artifact's id is random, its marking is the same for all, and it names nobody: what a server, or whoever else
reads the collection, learns is that a file went, when, and roughly how large it is. All else is inside the seal
(`aleat.trust.seal`), and only its recipient can open that. Any TAXII client may read the collection; only Aleat does
anything with it.

A file that is larger than `LETTER_BYTES` goes in several letters, as most servers bear no large bodies. Each piece says
before its bytes to what it belongs::

    aleat-piece 1\\n
    {"count": 3, "number": 1, "of": <random UUID>, "sha256": <of the whole file>, "size": <of the whole file>}\\n
    <bytes>

That is not signed: pieces are put together, held against the hash, and then opened like any sealed file.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import uuid
from collections.abc import Iterator, Sequence
from typing import Annotated

import msgspec

from aleat.errors import ObjectError, Place, SealError
from aleat.exchange.desk import Desk
from aleat.exchange.sending import Sent
from aleat.stix.canonical import canonical_json
from aleat.stix.objects import StixObject, parse_object
from aleat.store.post import add_post
from aleat.trust.markings import marking_id
from aleat.trust.seal import MAX_SEALED, is_sealed

__all__ = [
    "LETTER_BYTES",
    "MESSAGES_ALIAS",
    "Letter",
    "Piece",
    "join_pieces",
    "letter_object",
    "open_letter",
    "post_letter",
    "read_payload",
]

MESSAGES_ALIAS = "aleat-messages"
"""The alias (TAXII 2.1 §5.1.1) of a collection of sealed files, by which Aleat knows one."""

LETTER_BYTES = 6 * 1024**2
"""How much of a sealed file goes into one letter: in base64 that is within what almost all servers take at once."""

_MIME_TYPE = "application/x-aleat-sealed"
_MARKING = "tlp:amber+strict"  # one for all: a letter's label would tell what is inside
_MAGIC = b"aleat-piece 1\n"
_MAX_HEAD = 1_000
_MAX_PIECES = MAX_SEALED // LETTER_BYTES + 1


class Piece(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which piece of which file: `of` is random, the same for all of a file's, `sha256` (hex) and `size` the file's."""

    of: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f-]{36}\Z")]
    number: Annotated[int, msgspec.Meta(ge=1, le=_MAX_PIECES)]
    count: Annotated[int, msgspec.Meta(ge=2, le=_MAX_PIECES)]
    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
    size: Annotated[int, msgspec.Meta(ge=1, le=MAX_SEALED)]


class Letter(msgspec.Struct, frozen=True):
    """An artifact's content: a sealed file, still shut, or the bytes of a `piece` of one."""

    id: str
    content: bytes
    piece: Piece | None = None

    @property
    def sha256(self) -> str:
        """The hash of the sealed file that it carries, or of which it is a piece (as the piece says)."""
        return hashlib.sha256(self.content).hexdigest() if self.piece is None else self.piece.sha256


class _Artifact(msgspec.Struct):
    id: str
    mime_type: str = ""
    payload_bin: str = ""


def post_letter(desk: Desk, sent: Sent) -> str:
    """Put a sealed file into the post box, in the desk's transaction, and return its name there.

    The ids of its letters are random, so that they confirm no guess at what is inside.
    """
    add_post(
        desk.connection,
        sent.recipient,
        file=sent.file,
        name=sent.name,
        release=sent.release_id,
        letters=[(f"artifact--{uuid.uuid4()}", payload) for payload in _payloads(sent.data)],
        time=desk.time,
    )
    return sent.name


def _payloads(sealed: bytes) -> Iterator[bytes]:
    """Yield what goes into a file's letters: the file itself, or its pieces."""
    if len(sealed) <= LETTER_BYTES:
        yield sealed
        return
    count = -(-len(sealed) // LETTER_BYTES)
    of, digest = str(uuid.uuid4()), hashlib.sha256(sealed).hexdigest()
    for number in range(1, count + 1):
        head = {"of": of, "number": number, "count": count, "sha256": digest, "size": len(sealed)}
        part = sealed[(number - 1) * LETTER_BYTES : number * LETTER_BYTES]
        yield b"".join((_MAGIC, canonical_json(head), b"\n", part))


def join_pieces(letters: Sequence[Letter]) -> bytes:
    """Return the sealed file that these letters are all pieces of; raises `SealError` where they don't make it up."""
    pieces = {letter.piece.number: letter for letter in letters if letter.piece is not None}
    first = next((letter.piece for letter in letters if letter.piece is not None), None)
    if first is None or sorted(pieces) != list(range(1, first.count + 1)):
        raise SealError("Pieces of the file are missing.")
    data = b"".join(pieces[number].content for number in sorted(pieces))
    if len(data) != first.size or hashlib.sha256(data).hexdigest() != first.sha256:
        raise SealError("The pieces that came don't make up the file that they name. Ask the ally to send it again.")
    return data


def letter_object(id_: str, payload: bytes) -> StixObject:
    """Return the artifact that carries a sealed file, or a piece of one."""
    content = {
        "type": "artifact",
        "spec_version": "2.1",
        "id": id_,
        "mime_type": _MIME_TYPE,
        "payload_bin": base64.b64encode(payload).decode("ascii"),
        "object_marking_refs": [marking_id(_MARKING)],
    }
    return parse_object(canonical_json(content), Place(id_))


def open_letter(raw: bytes) -> tuple[Letter, bytes]:
    """Return the letter in an artifact, and its payload as it came; raises `ObjectError` where it is none."""
    try:
        found = msgspec.json.decode(raw, type=_Artifact)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise ObjectError("The object is no letter.") from None
    if not found.id.startswith("artifact--") or len(found.id) > 80 or found.mime_type != _MIME_TYPE:
        raise ObjectError(f"The object is no letter: that is an artifact of {_MIME_TYPE}.")
    most = LETTER_BYTES + len(_MAGIC) + _MAX_HEAD
    if len(found.payload_bin) > most * 4 // 3 + 4:
        raise ObjectError(f"The letter is larger than {LETTER_BYTES:,} bytes.")
    try:
        payload = base64.b64decode(found.payload_bin, validate=True)
    except (binascii.Error, ValueError):
        raise ObjectError("The letter's content is no base64.") from None
    return read_payload(found.id, payload), payload


def read_payload(id_: str, payload: bytes) -> Letter:
    """Return what a letter's payload is; raises `ObjectError` where it is neither a sealed file nor a piece of one."""
    if is_sealed(payload):
        return Letter(id_, payload)
    if not payload.startswith(_MAGIC):
        raise ObjectError("The letter holds no sealed file.")
    end = payload.find(b"\n", len(_MAGIC), len(_MAGIC) + _MAX_HEAD)
    try:
        piece = msgspec.json.decode(payload[len(_MAGIC) : max(end, 0)], type=Piece)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise ObjectError("The letter is a piece of a file, and doesn't say of which.") from None
    content = payload[end + 1 :]
    whole = piece.count * LETTER_BYTES
    if piece.number > piece.count or not content or not whole - LETTER_BYTES < piece.size <= whole:
        raise ObjectError("The letter says that it is a piece which can't be.")
    return Letter(id_, content, piece)
